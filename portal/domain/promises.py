"""Did the receptionist promise a time that stands in no calendar? Pure: what is known of a call against bookings.

A time counts as promised when a booking tool said that it had booked, or when the receptionist stated it as agreed
although no tool had: the words after the last tool decide, and where there are none, the analysis. What was only
offered, refused, or left to a callback is no promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.domain import spoken_times

# Said and booked times this close are the same: people round, and so do language models.
SAME = timedelta(minutes=10)
BOOKING_TOOLS = {"book_appointment_cal", "book_appointment", "create_booking", "book"}
MOVING_TOOLS = {"reschedule_booking", "reschedule_appointment", "move_appointment"}
CANCELLING_TOOLS = {"cancel_booking", "cancel_appointment"}
CHECKING_TOOLS = {"check_availability_cal", "check_availability", "get_slots"}
BOOKING_INTENTS = {"book_appointment", "reschedule_appointment"}
DAY_FIELDS = ("appointment_date", "date", "appointment_day", "booked_date")
TIME_FIELDS = ("appointment_time", "time", "start_time", "booked_time", "appointment_start", "appointment_datetime")
START_ARGUMENTS = ("new_start", "start", "start_time", "startTime", "datetime", "date_time")
ZONE_KEYS = ("time_zone", "timezone", "timeZone")
DONE = {"booked", "rescheduled", "accepted", "confirmed", "success", "ok"}
CALLED_OFF = {"cancelled", "canceled", "deleted"}

_AGREED = re.compile(
    r"\b(notiert|eingetragen|vorgemerkt|gebucht|reserviert|festgehalten|fest eingeplant|verlegt|bestätigt|abgemacht"
    r"|dann sehen wir (sie|uns|dich)|wir sehen (uns|sie)|dann kommen sie|kommen sie (dann |bitte |einfach |gern )"
    r"|wir erwarten sie|freuen uns auf sie|(der )?termin steht|trage (sie|ihnen|das|den termin) .*ein"
    r"|booked|noted|scheduled|reserved|confirmed|you.?re all set|all set|see you|put you (down|in)|moved to"
    r"|we.?ll expect you|expecting you)\b"
)
_REFUSED = re.compile(
    r"\b(leider|tut mir leid|bedauere|nicht (frei|möglich|verfügbar|geklappt|eingetragen|gebucht|buchen|eintragen)"
    r"|kein(e|en)? (freie[rn]? )?(termin|zeit|platz)|nichts (mehr )?frei|ausgebucht|warteliste"
    r"|(ruft|rufen|meldet|melden|meldet sich|melden uns) (sie |sich |uns )?.*(zurück|bei ihnen)|rückruf|prüfen"
    r"|meldet sich (jemand|das team|unter)|jemand (meldet|ruft)|klärt das|technische[ns]? problem"
    r"|unfortunately|i.?m (so )?sorry|could ?n.?t|could not|can ?not|can.?t"
    r"|not (available|free|possible)|fully booked|no (free |open )?(slots?|appointments?|availability)"
    r"|(call|get back to) you( back)?|waiting list)\b"
)
LONGEST = 4000  # characters of a turn; nobody says more in one breath, and the patterns take their time with more
# "Friday is taken, but Thursday is booked" refuses first and agrees then.
_SENTENCE_ENDS = re.compile(r"(?<=[.!?…])\s+|,? (?:aber|dafür|but) ")
_OFFERED = re.compile(r"\?\s*$")


# ---- What is known --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallFacts:
    """What a call left behind. ``said_at`` is when it took place; ``tool_calls`` and ``turns`` as in transcripts."""

    said_at: datetime
    zone: ZoneInfo
    intent: str | None = None
    data: dict[str, Any] | None = None
    turns: Sequence[dict[str, Any]] = ()
    tool_calls: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Booked:
    """An appointment of the caller, or of the call. ``starts``: where it stands, then where it has stood before.

    ``called_off``: it was cancelled; ``knowingly``: by the customer, or by a person of the business in the portal.
    """

    id: int
    starts: tuple[datetime, ...]
    made_at: datetime
    service: str | None = None
    in_call: bool = False
    called_off: bool = False
    knowingly: bool = False

    def is_at(self, moments: Iterable[datetime]) -> bool:
        return any(abs(start - moment) < SAME for start in self.starts for moment in moments)


@dataclass(frozen=True)
class Said:
    """What the caller was told. ``moments``: what the time can mean, the likeliest first."""

    moments: tuple[datetime, ...]
    service: str | None = None
    staff: str | None = None
    moving: bool = False


@dataclass(frozen=True)
class Promise:
    """A promise that is not kept by any appointment.

    ``kind``: none, other_time or other_service (``booked`` says which appointment there is instead), or cancelled.
    """

    kind: str
    start: datetime
    service: str | None = None
    staff: str | None = None
    booked: Booked | None = None


# ---- The check ------------------------------------------------------------------------------------------------


def check(facts: CallFacts, bookings: Sequence[Booked], services: Iterable[str] = ()) -> Promise | None:
    """The promise of this call that nothing in the calendar keeps; None when all is well.

    ``bookings`` are those of the caller and of the call; ``services``: the names of what the business offers.
    """
    said = promised(facts)
    if said is None:
        return None
    on_time = [booked for booked in bookings if booked.is_at(said.moments)]
    standing = [booked for booked in on_time if not booked.called_off]
    if any(not _is_other(said.service, booked.service, services) for booked in standing):
        return None
    if standing:
        return _broken("other_service", said, standing[0])
    if any(booked.knowingly for booked in on_time):
        return None
    elsewhere = [booked for booked in bookings if not booked.called_off and _belongs(booked, said, facts)]
    if elsewhere:
        return _broken("other_time", said, min(elsewhere, key=lambda booked: abs(booked.starts[0] - said.moments[0])))
    return _broken("cancelled" if on_time else "none", said, None)


def _broken(kind: str, said: Said, booked: Booked | None) -> Promise:
    return Promise(kind, said.moments[0], said.service, said.staff, booked)


def _belongs(booked: Booked, said: Said, facts: CallFacts) -> bool:
    """Whether it is what came of this call: made in it, or the one that it was to move."""
    return booked.in_call or (said.moving and booked.starts[0] > facts.said_at and booked.made_at < facts.said_at)


def _is_other(said: str | None, booked: str | None, services: Iterable[str]) -> bool:
    """Whether both are known by name here and are not the same; what callers call a service says little."""
    names = {_plain(name) for name in services}
    one, two = _plain(said), _plain(booked)
    return bool(one and two) and one != two and {one, two} <= names


def _plain(name: str | None) -> str:
    return re.sub(r"[\W_]+", "", (name or "").casefold())


# ---- What was promised ----------------------------------------------------------------------------------------


def promised(facts: CallFacts) -> Said | None:
    """The time that the caller takes for agreed; None where there is none."""
    done = _last(facts, BOOKING_TOOLS | MOVING_TOOLS, _worked)
    if done is not None:
        return None if _cancelled_after(facts, done) else _said(facts, _starts(facts, done), done)
    tried = _last(facts, BOOKING_TOOLS | MOVING_TOOLS, lambda call: not _worked(call))
    if tried is None and (facts.intent not in BOOKING_INTENTS or _last(facts, CANCELLING_TOOLS, _worked)):
        return None
    if not _was_agreed(facts, tried):
        return None
    return _said(facts, _agreed_time(facts, tried), tried)


def _last(facts: CallFacts, names: set[str], fits: Any) -> dict[str, Any] | None:
    return next((call for call in reversed(facts.tool_calls) if call.get("name") in names and fits(call)), None)


def _worked(call: dict[str, Any]) -> bool:
    """Whether the answer says that it is done. No answer, or a time-out, says nothing."""
    result = call.get("result")
    if call.get("ok") is not True:
        return False
    if isinstance(result, dict) and "status" in result:
        done = DONE | CALLED_OFF if call.get("name") in CANCELLING_TOOLS else DONE
        return str(result["status"]).casefold() in done
    return True


def _cancelled_after(facts: CallFacts, done: dict[str, Any]) -> bool:
    calls = list(facts.tool_calls)
    later = calls[calls.index(done) + 1 :]
    return any(call.get("name") in CANCELLING_TOOLS and _worked(call) for call in later)


def _said(facts: CallFacts, moments: Sequence[datetime], call: dict[str, Any] | None) -> Said | None:
    if not moments:
        return None
    arguments, data = _arguments(call), facts.data or {}
    service = _text(arguments.get("service")) or _text(data.get("service"))
    staff = _text(arguments.get("staff")) or _text(data.get("preferred_staff"))
    moving = facts.intent == "reschedule_appointment" or (call or {}).get("name") in MOVING_TOOLS
    return Said(tuple(moments), service, staff, moving)


def _arguments(call: dict[str, Any] | None) -> dict[str, Any]:
    arguments = (call or {}).get("arguments")
    return arguments if isinstance(arguments, dict) else {}


def _text(value: Any) -> str | None:
    return value.strip()[:200] or None if isinstance(value, str) else None


# ---- When -----------------------------------------------------------------------------------------------------


def _starts(facts: CallFacts, call: dict[str, Any] | None) -> list[datetime]:
    """The time that a tool was called with, or answered."""
    arguments = _arguments(call)
    result = call.get("result") if call else None
    zone = _named_zone(arguments, result) or facts.zone
    for source in (arguments, result if isinstance(result, dict) else {}):
        for name in START_ARGUMENTS:
            if found := spoken_times.written_instants(source.get(name), zone):
                return found
        if found := spoken_times.instants(source.get("date"), source.get("time"), zone, facts.said_at):
            return found
    return []


def _named_zone(arguments: dict[str, Any], result: Any) -> ZoneInfo | None:
    names = [source.get(key) for source in (arguments, result if isinstance(result, dict) else {}) for key in ZONE_KEYS]
    for name in names:
        try:
            if isinstance(name, str):
                return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            continue
    return None


def _agreed_time(facts: CallFacts, tried: dict[str, Any] | None) -> list[datetime]:
    """From what was tried in vain, the analysis, or the words themselves; several ways of saying it are united."""
    return _starts(facts, tried) or _from_fields(facts) or _from_words(facts)


def _from_fields(facts: CallFacts) -> list[datetime]:
    data = facts.data or {}
    day = next((data[name] for name in DAY_FIELDS if data.get(name)), None)
    at = next((data[name] for name in TIME_FIELDS if data.get(name)), None)
    return spoken_times.instants(day, at, facts.zone, facts.said_at)


def _from_words(facts: CallFacts) -> list[datetime]:
    """The last sentence of the receptionist in which something was agreed and a day and a time are named."""
    told = ((text, one) for text in map(_agent_text, reversed(facts.turns)) for one in _agreed_sentences(text))
    found = (_named_in(one, text, facts) for text, one in told)
    return next(filter(None, found), [])


def _agreed_sentences(text: str) -> list[str]:
    """Those in which something was agreed, the last one first: others name what is taken, or opening hours."""
    return [one for one in reversed(_SENTENCE_ENDS.split(text.casefold())) if _is_agreed(one)]


def _named_in(sentence: str, turn: str, facts: CallFacts) -> list[datetime]:
    """Day and time of a sentence; what it leaves out stands in the rest of the turn."""
    today = facts.said_at.astimezone(facts.zone).date()
    day = sentence if spoken_times.read_day(sentence, today) else turn
    at = sentence if spoken_times.read_times(sentence) else turn
    return spoken_times.instants(day, at, facts.zone, facts.said_at)


def _agent_text(turn: dict[str, Any]) -> str:
    """What the receptionist said; the end of it, where it is too much to be true."""
    return str(turn.get("text") or "")[-LONGEST:] if turn.get("who") == "agent" else ""


# ---- Was it agreed? -------------------------------------------------------------------------------------------


def _was_agreed(facts: CallFacts, tried: dict[str, Any] | None) -> bool:
    """The receptionist's last word on it; else the analysis, for what it found a day and a time."""
    verdict = _last_word(facts, tried)
    if verdict is not None:
        return verdict
    data = facts.data or {}
    if data.get("callback_requested") is True or data.get("call_successful") is False:
        return False
    return data.get("call_successful") is True and bool(_from_fields(facts))


def _last_word(facts: CallFacts, tried: dict[str, Any] | None) -> bool | None:
    """True for agreed, False for refused, None where the words tell neither."""
    verdict = None
    for turn in list(facts.turns)[_first_turn(facts, tried) :]:
        for sentence in _SENTENCE_ENDS.split(_agent_text(turn).casefold()):
            if _REFUSED.search(sentence):
                verdict = False
            elif _is_agreed(sentence):
                verdict = True
    return verdict


def _is_agreed(sentence: str) -> bool:
    return bool(_AGREED.search(sentence)) and not (_REFUSED.search(sentence) or _OFFERED.search(sentence))


def _first_turn(facts: CallFacts, tried: dict[str, Any] | None) -> int:
    """From the last attempt to book, else from the last look at free times, on."""
    last = tried or _last(facts, CHECKING_TOOLS, lambda call: True)
    after = (last or {}).get("after")
    return after if isinstance(after, int) else 0
