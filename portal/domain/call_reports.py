"""What Retell reports of a call, read into our own words. Pure: a payload in, a :class:`CallReport` out.

Events come in any order, repeated or not at all, so a report says how far the call had come (:class:`Stage`) and names
only what it really tells; what it leaves out is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from portal.domain import phones, transcripts
from portal.domain.pricing import seconds_from_ms
from portal.domain.transcripts import Transcript, clean, storable

LIFE = ("call_started", "call_ended", "call_analyzed")
TRANSFERS = ("transfer_started", "transfer_bridged", "transfer_cancelled", "transfer_ended")
EVENTS = (*LIFE, "transcript_updated", *TRANSFERS)

OVER = {"ended", "error", "not_connected"}
SENTIMENTS = {"Positive": "positive", "Neutral": "neutral", "Negative": "negative"}
STATUS_OF_REASON = {
    "dial_busy": "busy",
    "dial_no_answer": "no_answer",
    "user_declined": "no_answer",
    "dial_failed": "failed",
    "invalid_destination": "failed",
}
NAME_KEYS = ("customer_name", "caller_name", "name")
EMAIL_KEYS = ("customer_email", "email")
LONGEST_CALL = 7 * 86400  # seconds; beyond that a number is no duration
SUMMARY = 10_000  # characters, of a column of 64 KiB
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class UnreadableError(ValueError):
    """A report without which call it is about."""


class Stage(IntEnum):
    """How far a call has come; what a later stage says counts more."""

    STARTED = 0
    TALKING = 1
    ENDED = 2
    ANALYSED = 3


@dataclass(frozen=True)
class Transfer:
    """A step in handing the call over to a person: an event of ``TRANSFERS`` and where to."""

    step: str
    to: str | None
    at: datetime | None


@dataclass(frozen=True)
class CallReport:
    """One event. ``values`` are columns of ``calls``, None where the report says nothing.

    ``our_number`` is the side that belongs to the company, ``other_e164`` the other party where it has a number.
    """

    event: str
    call_id: str
    stage: Stage
    values: dict[str, Any]
    our_number: str | None
    agent_id: str | None
    other_e164: str | None
    other_raw: str
    transcript: Transcript | None = None
    name_said: str | None = None
    email_said: str | None = None
    transfer: Transfer | None = field(default=None)


def read(event: str, payload: dict[str, Any], country: str = phones.DEFAULT_COUNTRY) -> CallReport:
    """Read one event of ``EVENTS``. Raises :class:`UnreadableError` when it does not say which call it means."""
    call = payload.get("call")
    if not isinstance(call, dict) or not clean(call.get("call_id")).strip():
        raise UnreadableError(f"{event} names no call")
    inbound = call.get("direction") != "outbound"
    ours, theirs = ("to_number", "from_number") if inbound else ("from_number", "to_number")
    raw = clean(call.get(theirs), 100)
    stage = _stage(event, call)
    return CallReport(
        event=event,
        call_id=clean(call["call_id"]).strip()[:100],
        stage=stage,
        values=_values(call, stage, inbound, country) | _numbers(call, raw, country) | _analysis(call),
        our_number=_number(call.get(ours), country),
        agent_id=clean(call.get("agent_id"), 255) or None,
        other_e164=phones.normalise(raw, country),
        other_raw=raw,
        transcript=transcripts.read(call),
        name_said=_said(call, NAME_KEYS),
        email_said=_said(call, EMAIL_KEYS),
        transfer=_transfer(event, payload, call) if event in TRANSFERS else None,
    )


def _stage(event: str, call: dict[str, Any]) -> Stage:
    if event == "call_analyzed":
        return Stage.ANALYSED
    if event == "call_ended" or (event != "call_started" and clean(call.get("call_status")) in OVER):
        return Stage.ENDED
    return Stage.STARTED if event == "call_started" else Stage.TALKING


def _values(call: dict[str, Any], stage: Stage, inbound: bool, country: str) -> dict[str, Any]:
    identifier = _dict(call.get("telephony_identifier"))
    started, ended = _moment(call.get("start_timestamp")), _moment(call.get("end_timestamp"))
    reason = clean(call.get("disconnection_reason"), 100) or None
    over = stage >= Stage.ENDED
    return {
        "retell_call_id": clean(call.get("call_id"), 100),
        "twilio_call_sid": clean(identifier.get("twilio_call_sid"), 100) or None,
        "agent_id": clean(call.get("agent_id"), 255) or None,
        "direction": "inbound" if inbound else "outbound",
        "started_at": started,
        "ended_at": ended if over else None,
        "duration_seconds": _duration(call, started, ended) if over else None,
        "status": _status(clean(call.get("call_status")), reason) if over else "in_progress",
        "end_reason": reason if over else None,
        "recording_url": _address(call.get("recording_url")),
        "dynamic_variables": _variables(call),
    }


def _status(call_status: str, reason: str | None) -> str:
    if reason in STATUS_OF_REASON:
        return STATUS_OF_REASON[reason]
    if reason and reason.startswith(("error_", "telephony_")):
        return "failed"
    # Never connected, for one of the many reasons that have no status of their own (payment, concurrency, spam).
    return "failed" if call_status in {"error", "not_connected"} else "completed"


def _numbers(call: dict[str, Any], other: str, country: str) -> dict[str, Any]:
    return {
        "from_number": _number(call.get("from_number"), country),
        "to_number": _number(call.get("to_number"), country),
        "phone_number": _number(other, country),
    }


def _number(raw: Any, country: str) -> str | None:
    """E.164; what is neither that nor withheld (a SIP name, a short code) stays as it was sent."""
    text = clean(raw, 100).strip()
    if phones.is_withheld(text):
        return None
    return phones.normalise(text, country) or text[:50]


def _analysis(call: dict[str, Any]) -> dict[str, Any]:
    analysis = _dict(call.get("call_analysis"))
    custom = storable(_dict(analysis.get("custom_analysis_data")))
    told = {
        name: analysis[name] for name in ("call_successful", "in_voicemail") if isinstance(analysis.get(name), bool)
    }
    return {
        "summary": clean(analysis.get("call_summary"), SUMMARY).strip() or None,
        "sentiment": SENTIMENTS.get(str(analysis.get("user_sentiment"))),
        "intent": clean(custom.get("intent"), 100) or None,
        "language_code": _language(custom.get("language")),
        "custom_data": {**told, **custom} or None,
    }


def _language(value: Any) -> str | None:
    text = clean(value).strip().lower()
    return text if 2 <= len(text) <= 10 and text.replace("-", "").isascii() and text[:2].isalpha() else None


def _variables(call: dict[str, Any]) -> dict[str, Any] | None:
    """What the agent was told before the call, with what it found out in it on top."""
    told = _dict(call.get("retell_llm_dynamic_variables"))
    collected = _dict(call.get("collected_dynamic_variables"))
    both: dict[str, Any] = storable({**told, **collected})
    return both or None


def _said(call: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """What the caller said of themselves; never what we told the agent about them."""
    analysis = _dict(call.get("call_analysis"))
    for source in (analysis.get("custom_analysis_data"), call.get("collected_dynamic_variables")):
        for name in names:
            if text := clean(_dict(source).get(name), 255).strip():
                return text
    return None


def _transfer(event: str, payload: dict[str, Any], call: dict[str, Any]) -> Transfer:
    to = payload.get("transfer_destination") or call.get("transfer_destination")
    if isinstance(to, dict):
        to = to.get("number") or to.get("sip_uri")
    ended = call.get("transfer_end_timestamp") if event == "transfer_ended" else None
    return Transfer(event, clean(to, 100) or None, _moment(payload.get("event_timestamp")) or _moment(ended))


def _duration(call: dict[str, Any], started: datetime | None, ended: datetime | None) -> int | None:
    """Whole seconds, rounded up; from the two timestamps where the provider gives no duration."""
    ms = call.get("duration_ms")
    if not _is_count(ms) and started and ended:
        ms = int((ended - started).total_seconds() * 1000)
    if not _is_count(ms):
        return 0 if call.get("call_status") == "not_connected" else None
    seconds = seconds_from_ms(int(ms))  # type: ignore[arg-type]
    return seconds if seconds <= LONGEST_CALL else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _moment(value: Any) -> datetime | None:
    """A time from milliseconds since 1970; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e14:
        return None
    moment = datetime.fromtimestamp(int(value) / 1000, UTC)
    return moment if EARLIEST <= moment < LATEST else None


def _address(value: Any) -> str | None:
    text = clean(value, 2000).strip()
    return text if text.startswith(("https://", "http://")) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
