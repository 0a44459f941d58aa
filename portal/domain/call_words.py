"""What a call came to, in words: its outcome, why it ended, what was understood. Pure but for the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal import formats
from portal.domain import phones
from portal.domain.ledger import HOLD_LASTS
from portal.domain.transcripts import humanised
from portal.models import Call

# Whoever hangs up before this many seconds has not said what they wanted.
HUNG_UP = 10
# A call whose end nobody reported is not shown as running for ever; its hold is given back then as well.
RUNS_AT_MOST = HOLD_LASTS
# Facts that are shown elsewhere on the page, or mean nothing to anybody.
ELSEWHERE = {"intent", "call_successful", "in_voicemail", "customer_name", "caller_name", "summary", "language"}
LONGEST_FACT, LONGEST_LABEL, MOST_FACTS = 500, 60, 40


@dataclass(frozen=True)
class Outcome:
    """A pill: ``kind`` is '' on ok warn bad."""

    key: str
    kind: str
    icon: str
    label: str


def is_live(call: Call, now: datetime) -> bool:
    """Whether somebody is speaking right now, as far as we know."""
    return call.status == "in_progress" and call.started_at > now - RUNS_AT_MOST


def outcome(call: Call, now: datetime) -> Outcome:
    """What a call came to, the most important thing first: what was booked, then what is left to do."""
    if is_live(call, now):
        return Outcome("live", "on", "phone-call", _("On the phone now"))
    return _did_something(call) or _never_a_talk(call) or _asked_for(call) or _otherwise(call)


def _did_something(call: Call) -> Outcome | None:
    if call.appointment_created:
        return Outcome("booked", "ok", "calendar-event", _("Appointment booked"))
    if call.end_reason in {"call_transfer", "transfer_bridged"}:
        return Outcome("transferred", "", "arrow-forward-up", _("Transferred"))
    if (call.custom_data or {}).get("callback_requested") is True:
        return Outcome("callback", "warn", "phone-outgoing", _("Callback wanted"))
    return None


def _never_a_talk(call: Call) -> Outcome | None:
    known = {
        "in_progress": Outcome("unreported", "warn", "hourglass", _("End not reported")),
        "no_answer": Outcome("no_answer", "", "phone-x", _("Not reached")),
        "busy": Outcome("busy", "", "phone-x", _("Busy")),
        "failed": Outcome("failed", "bad", "alert-triangle", _("Failed")),
    }
    return known.get(call.status)


def _asked_for(call: Call) -> Outcome | None:
    if (call.custom_data or {}).get("call_successful") is False:
        return None
    known = {
        "cancel_appointment": Outcome("cancelled", "", "calendar-off", _("Appointment cancelled")),
        "reschedule_appointment": Outcome("moved", "ok", "calendar-event", _("Appointment moved")),
    }
    return known.get(call.intent or "")


def _otherwise(call: Call) -> Outcome:
    if call.end_reason == "voicemail_reached" or (call.custom_data or {}).get("in_voicemail") is True:
        return Outcome("voicemail", "", "message", _("Voicemail"))
    if not call.intent and (call.duration_seconds or 0) <= HUNG_UP:
        return Outcome("hung_up", "", "phone-off", _("Hung up"))
    return Outcome("talked", "", "message-2", intent(call.intent) if call.intent else _("Talked"))


def intents() -> dict[str, str]:
    """What callers want, by the names that the receptionist gives it, each in two words."""
    return {
        "book_appointment": _("Wanted an appointment"),
        "cancel_appointment": _("Wanted to cancel"),
        "reschedule_appointment": _("Wanted to move"),
        "complaint": _("Complaint"),
        "callback_request": _("Wants a callback"),
        "price_question": _("Asked for a price"),
        "opening_hours": _("Asked for opening hours"),
        "question": _("Question"),
        "prescription": _("Prescription"),
        "wrong_number": _("Wrong number"),
        "emergency": _("Emergency"),
        "voicemail": _("Voicemail"),
        "sales_call": _("Sales call"),
        "other": _("Something else"),
    }


def intent(name: str) -> str:
    """What the caller wanted, in two words."""
    return intents().get(name) or humanised(name)


def mood(sentiment: str | None) -> str:
    known: dict[str, str] = {"positive": _("Happy"), "neutral": _("Neutral"), "negative": _("Upset")}
    return known.get(sentiment or "", "")


def end_reason(reason: str | None, direction: str = "inbound") -> str:
    """Why a call ended, as one says it; '' when nobody knows."""
    if not reason:
        return ""
    caller = _("The caller hung up") if direction == "inbound" else _("The person called hung up")
    known = {
        "user_hangup": caller,
        "agent_hangup": _("The receptionist ended the call"),
        "call_transfer": _("Handed over to a person"),
        "transfer_bridged": _("Handed over to a person"),
        "transfer_cancelled": _("Nobody took over the call"),
        "voicemail_reached": _("A mailbox answered"),
        "ivr_reached": _("A machine answered"),
        "inactivity": _("Nobody said anything any more"),
        "max_duration_reached": _("The longest duration was reached"),
        "dial_busy": _("The line was busy"),
        "dial_no_answer": _("Nobody answered"),
        "user_declined": _("The call was declined"),
        "dial_failed": _("The number could not be dialled"),
        "invalid_destination": _("The number does not exist"),
        "user_requested_callback": _("The caller asked to be called back"),
        "user_requested_dnc": _("The person does not want any calls"),
        "concurrency_limit_reached": _("Too many calls at once"),
        "scam_detected": _("Taken for a fraud"),
        "marked_as_spam": _("Taken for an unwanted call"),
        "manual_stopped": _("Ended by hand"),
        "call_take_over": _("Taken over by a person"),
        "error_no_audio_received": _("Nothing was to be heard"),
        "error_asr": _("The speech recognition failed"),
    }
    if reason in known:
        return str(known[reason])
    if reason.startswith(("error_", "telephony_")):
        return str(_("A technical fault: %(reason)s", reason=humanised(reason.removeprefix("error_"))))
    return humanised(reason)


# ---- What was understood --------------------------------------------------------------------------------------


def facts(data: dict[str, Any] | None, language: str, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What the analysis found, as pairs of label and value, ready to be read."""
    found = []
    for name, value in (data or {}).items():
        if name not in ELSEWHERE and (text := _readable(value, language, zone)):
            found.append((_label(name)[:LONGEST_LABEL], text[:LONGEST_FACT]))
    return found[:MOST_FACTS]


def name_said(call: Call) -> str:
    """The name that was heard in the call; '' where none was."""
    for source in (call.custom_data or {}, call.dynamic_variables or {}):
        if isinstance(name := source.get("customer_name"), str) and name.strip():
            return name.strip()[:200]
    return ""


def _label(name: str) -> str:
    known = {
        "service": _("Service"),
        "preferred_staff": _("Preferred person"),
        "appointment_date": _("Day wanted"),
        "appointment_time": _("Time wanted"),
        "callback_requested": _("Callback wanted"),
        "callback_number": _("Call back at"),
        "phone_number": _("Phone number"),
        "customer_email": _("E-mail"),
        "email": _("E-mail"),
        "reason": _("Reason"),
        "note": _("Note"),
        "notes": _("Note"),
        "new_customer": _("New here"),
        "for_person": _("For whom"),
        "urgent": _("Urgent"),
        "insurance": _("Insurance"),
        "amount": _("Amount"),
        "medication": _("Medication"),
        "no_reminders": _("No reminders wanted"),
        "recording_consent": _("Agreed to the recording"),
        "voicemail_left": _("Message left"),
        "referred_to": _("Referred to"),
        "branch": _("Branch"),
    }
    return known.get(name) or humanised(name)


def _readable(value: Any, language: str, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    if isinstance(value, int | float):
        return formats.number(value, language)
    if isinstance(value, str):
        return _as_day(value, language, zone) or _as_number(value) or value.strip()
    return ", ".join(text for text in _inside(value, language, zone) if text)


def _inside(value: Any, language: str, zone: ZoneInfo) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield _readable(item, language, zone)
    elif isinstance(value, dict):
        for name, item in value.items():
            if text := _readable(item, language, zone):
                yield f"{_label(name)}: {text}"


def _as_day(text: str, language: str, zone: ZoneInfo) -> str:
    """A day or time written as machines do; '' for everything else."""
    if not text[:4].isdigit() or len(text) < len("2026-11-24"):
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if len(text) == len("2026-11-24"):
        return formats.day(date.fromisoformat(text), language, zone)
    return formats.when(moment if moment.tzinfo else moment.replace(tzinfo=zone), language, zone)


def _as_number(text: str) -> str:
    return phones.display(text) if text.startswith("+") and phones.normalise(text) == text else ""


def seconds_running(call: Call, now: datetime) -> int:
    """How long a running call has been going on."""
    return max(0, (now - call.started_at) // timedelta(seconds=1))
