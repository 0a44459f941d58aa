"""Which call needs a person, why, and until when. Pure: what is known of a call in, duties and times out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.domain import spoken_times
from portal.domain.availability import Interval
from portal.domain.transcripts import clean

# Whoever calls for this needs nobody, whatever the analysis ticks.
NOBODYS = {"wrong_number", "sales_call", "spam", "voicemail"}
HANDED_OVER = {"call_transfer", "transfer_bridged"}
MAILBOX = {"voicemail_reached", "ivr_reached"}
YES = {"true", "yes", "ja", "1"}
WANTED_DAY = ("callback_date", "callback_day")
WANTED_TIME = ("callback_time", "callback_until", "callback_by", "callback_before", "callback_at")
DETAIL = 2000
# A talk of fewer seconds has served nobody, and an answered call of fewer has reached nobody.
SERVED_SECONDS = 15
REACHED_SECONDS = 20


# ---- Why ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallState:
    """What is known of a call. ``transfers`` are the steps of its timeline in their order; ``data`` the analysis."""

    direction: str = "inbound"
    status: str = "completed"
    end_reason: str | None = None
    seconds: int | None = None
    intent: str | None = None
    sentiment: str | None = None
    analysed: bool = True
    booked: bool = False
    data: dict[str, Any] | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    transfers: tuple[str, ...] = ()
    summary: str | None = None

    def says(self, name: str) -> bool | None:
        """A tick of the analysis; models write ``"yes"`` as well. None where it says nothing."""
        value = (self.data or {}).get(name)
        if isinstance(value, bool):
            return value
        return value.strip().casefold() in YES if isinstance(value, str) and value.strip() else None


@dataclass(frozen=True)
class Need:
    """One reason for which a call needs a person."""

    reason: str
    detail: str
    urgent: bool = False


def needs(call: CallState) -> list[Need]:
    """Every reason but the broken promise, which :mod:`portal.domain.promises` finds. A complaint is a callback too."""
    if call.status in ("in_progress", "no_answer", "busy") or call.intent in NOBODYS or _is_mailbox(call):
        return []
    found = []
    detail, urgent = _detail(call), call.says("urgent") is True
    if _is_complaint(call):
        found.append(Need("complaint", detail, True))
    elif _wants_callback(call):
        found.append(Need("callback", detail, urgent))
    if _transfer_failed(call):
        found.append(Need("transfer_failed", detail, True))
    if not found and _hung_up_angry(call):
        found.append(Need("hung_up", detail))
    return found


def _is_mailbox(call: CallState) -> bool:
    return call.end_reason in MAILBOX or call.says("in_voicemail") is True


def _is_complaint(call: CallState) -> bool:
    told = call.intent == "complaint" or call.says("complaint") is True
    return told and call.sentiment == "negative" and not _was_taken_over(call)


def _was_taken_over(call: CallState) -> bool:
    """A person has spoken with the caller, and nobody asked to be called back."""
    return _reached_a_person(call) and call.says("callback_requested") is not True


def _wants_callback(call: CallState) -> bool:
    wish = call.says("callback_requested")
    if wish is not None and not (wish is False and call.end_reason == "user_requested_callback"):
        return wish or _is_urgent(call)
    return call.intent == "callback_request" or call.end_reason == "user_requested_callback" or _is_urgent(call)


def _is_urgent(call: CallState) -> bool:
    """Urgent, nobody has taken it over, and no appointment has settled it."""
    return call.says("urgent") is True and not call.booked and not _reached_a_person(call)


def _reached_a_person(call: CallState) -> bool:
    return call.end_reason in HANDED_OVER or "transfer_bridged" in call.transfers


def _transfer_failed(call: CallState) -> bool:
    if _reached_a_person(call):
        return False
    tools = [tool for tool in call.tool_calls if tool.get("name") in ("transfer_call", "bridge_transfer")]
    failed = bool(tools) and tools[-1].get("ok") is False
    return failed or "transfer_cancelled" in call.transfers or call.end_reason == "transfer_cancelled"


def _hung_up_angry(call: CallState) -> bool:
    """Upset, and hung up on us with nothing done; who was upset about something else has been helped."""
    unserved = call.says("call_successful") is not True and not call.booked
    return (
        call.direction == "inbound" and call.sentiment == "negative" and call.end_reason == "user_hangup" and unserved
    )


def _detail(call: CallState) -> str:
    """What it is about, as the analysis says it."""
    told = (clean((call.data or {}).get(name), DETAIL).strip() for name in ("callback_reason", "reason", "note"))
    return next(filter(None, told), "") or clean(call.summary, DETAIL).strip()


# ---- Whether it has helped ------------------------------------------------------------------------------------


def serves(call: CallState) -> bool:
    """Whether the caller got what they wanted in this call. That it needs nobody itself is asked elsewhere."""
    if call.status != "completed" or call.direction != "inbound" or not call.analysed:
        return False
    if call.booked:
        return True
    broken = (call.end_reason or "").startswith(("error_", "telephony_")) or call.end_reason == "inactivity"
    if broken or call.intent in NOBODYS or call.says("call_successful") is False or _is_mailbox(call):
        return False
    return (call.seconds or 0) >= SERVED_SECONDS and not needs(call)


def reaches(call: CallState) -> bool:
    """Whether an outbound call has reached the person."""
    talked = call.status == "completed" and (call.seconds or 0) >= REACHED_SECONDS
    return call.direction == "outbound" and talked and call.intent not in NOBODYS and not _is_mailbox(call)


# ---- Until when -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """How long each kind may wait, in opening time. Failed transfers and angry callers wait as callbacks do."""

    complaint: timedelta = timedelta(minutes=15)
    promise: timedelta = timedelta(hours=2)
    callback: timedelta = timedelta(hours=4)

    def of(self, reason: str) -> timedelta:
        if reason in ("complaint", "promise"):
            return self.complaint if reason == "complaint" else self.promise
        return self.callback


SETTING = "followups"
SHORTEST, LONGEST = 5, 5 * 24 * 60  # minutes
HORIZON = 60  # days in which a branch opens again, or its hours are of no account


def terms_of(settings: dict[str, Any] | None) -> Terms:
    """What a company has set, in minutes; what is missing or makes no sense is as usual."""
    stored = (settings or {}).get(SETTING)
    given = stored if isinstance(stored, dict) else {}
    minutes = {name: value for name, value in given.items() if name in vars(Terms()) and _is_minutes(value)}
    return Terms(**{name: timedelta(minutes=value) for name, value in minutes.items()})


def _is_minutes(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and SHORTEST <= value <= LONGEST


def after_open_time(start: datetime, wait: timedelta, openings: Iterable[Interval] | None) -> datetime:
    """The moment at which ``wait`` of opening time has passed since ``start``.

    ``openings`` in their order, from the day of ``start`` on; None when no hours are known: then every hour counts.
    They are read only as far as needed, so they may be endless.
    """
    if openings is None:
        return start + wait
    left = wait
    for opening in openings:
        begin = max(opening.start, start)
        if begin >= opening.end:
            continue
        if opening.end - begin >= left:
            return begin + left
        left -= opening.end - begin
    return start + wait  # it never opens again in all the time that was looked at


def wanted_at(data: dict[str, Any] | None, said: datetime, zone: ZoneInfo) -> datetime | None:
    """When the caller was told to be called back, as far as the analysis names it; None for what is past by then."""
    told = data or {}
    day = next((told[name] for name in WANTED_DAY if told.get(name)), None)
    at = next((told[name] for name in WANTED_TIME if told.get(name)), None)
    if at is None:
        return None
    today = said.astimezone(zone).date()
    named = day or (None if spoken_times.read_day(str(at), today) else today.isoformat())
    return next((moment for moment in spoken_times.instants(named, at, zone, said) if moment > said), None)


def first_opening(day: date, openings: Iterable[Interval], zone: ZoneInfo) -> datetime | None:
    """When the business opens on ``day`` or, closed then, on the next day after it."""
    return next((opening.start for opening in openings if opening.start.astimezone(zone).date() >= day), None)
