"""What was said in a call: turns with their times, what the receptionist did between them, and text for the search.

Pure: from the provider's words to ours, and from ours to what stands on the page. Times are seconds from the start of
the call. A turn is ``{"who", "text", "at", "end", "words"}`` with words as ``[word, start, end]``; a tool call is
``{"id", "name", "arguments", "result", "ok", "at", "after"}``, ``after`` counting the turns before it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask_babel import gettext as _
from flask_babel import ngettext

from portal import formats
from portal.domain import phones

# What a MEDIUMTEXT surely holds at four bytes a letter; nobody speaks as much in a day.
LONGEST = 4_000_000
SHOWN_SLOTS = 4
SPEAKERS = {"agent": "agent", "user": "user", "transfer_target": "person"}
SPOKEN_LINE = re.compile(r"^(Agent|User|Transfer Target):[ \t]*", re.IGNORECASE | re.MULTILINE)
FAILED = {"error", "failed", "failure", "timeout", "not_found", "unavailable", "no_answer", "busy"}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Transcript:
    """One version of what was said, ready to be stored."""

    text: str
    turns: list[dict[str, Any]]
    tool_calls: list[dict[str, Any]]

    @property
    def reach(self) -> tuple[float, int]:
        """How far into the call it goes: of two versions, the one that reaches further is the newer one."""
        last = self.turns[-1] if self.turns else {}
        return (last.get("end") or last.get("at") or 0.0, len(self.text))


def clean(text: object, longest: int | None = None) -> str:
    """Text as both databases take it: no NUL and no half of a surrogate pair; '' for what is no text."""
    return _UNSTORABLE.sub("", text)[:longest] if isinstance(text, str) else ""


def storable(value: Any, depth: int = 6) -> Any:
    """The same for everything inside a JSON value; what is nested deeper than ``depth`` is cut off."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): storable(item, depth - 1) for key, item in value.items()} if depth else {}
    if isinstance(value, list):
        return [storable(item, depth - 1) for item in value] if depth else []
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- Reading what the provider sends -------------------------------------------------------------------------


def read(call: dict[str, Any]) -> Transcript | None:
    """The transcript in a call as Retell sends it; None where it says nothing about one."""
    entries = _list(call.get("transcript_with_tool_calls")) or _list(call.get("transcript_object"))
    text = clean(call.get("transcript"), LONGEST).strip()
    if entries:
        reading = _Reading()
        for entry in entries:
            reading.take(entry)
        return Transcript(text or as_text(reading.turns), reading.turns, reading.tool_calls)
    return Transcript(text, turns_of(text), []) if text else None


def as_text(turns: Iterable[dict[str, Any]]) -> str:
    """Turns as the provider writes them down: one line each, after who speaks."""
    names = {"agent": "Agent", "user": "User"}
    return "\n".join(f"{names.get(turn['who'], 'Transfer Target')}: {turn['text']}" for turn in turns)[:LONGEST]


def turns_of(text: str) -> list[dict[str, Any]]:
    """Turns, without times, of a transcript that came as text alone."""
    parts = SPOKEN_LINE.split(text)
    who = {"agent": "agent", "user": "user"}
    pairs = zip(parts[1::2], parts[2::2], strict=False)
    return [_turn(who.get(name.lower(), "person"), said.strip()) for name, said in pairs if said.strip()]


@dataclass
class _Reading:
    """The entries of one transcript, taken one after another."""

    turns: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)

    def take(self, entry: Any) -> None:
        role = clean(entry.get("role")) if isinstance(entry, dict) else ""
        if role in SPEAKERS:
            self._said(SPEAKERS[role], entry)
        elif role == "tool_call_invocation":
            self._called(entry)
        elif role == "tool_call_result":
            self._answered(entry)
        elif role == "dtmf":
            self._did("press_digit", {"digit": clean(entry.get("digit"), 10)}, entry)
        elif role == "sms":
            self._did("sms_received", {"text": clean(entry.get("content"))}, entry)

    def _said(self, who: str, entry: dict[str, Any]) -> None:
        if text := clean(entry.get("content"), LONGEST).strip():
            self.turns.append(_turn(who, text, _words(entry.get("words"))))

    def _called(self, entry: dict[str, Any]) -> None:
        name, kind = clean(entry.get("name"), 100), clean(entry.get("type"), 100)
        if name not in TOOLS and kind in TOOLS:
            name = kind  # named by whoever set the agent up; the kind says what it does
        self._did(name or kind, _decoded(entry.get("arguments")), entry)

    def _did(self, name: str, arguments: Any, entry: dict[str, Any]) -> None:
        at = _number(entry.get("time_sec"))
        if at is None and self.turns:
            at = self.turns[-1]["end"]
        call = {"id": clean(entry.get("tool_call_id"), 100), "name": name, "arguments": arguments, "result": None}
        self.tool_calls.append(call | {"ok": None, "at": at, "after": len(self.turns)})

    def _answered(self, entry: dict[str, Any]) -> None:
        wanted = clean(entry.get("tool_call_id"), 100)
        for call in reversed(self.tool_calls):
            if call["id"] == wanted:
                call["result"] = _decoded(entry.get("content"))
                call["ok"] = _succeeded(call["result"], entry.get("successful"))
                return


def _turn(who: str, text: str, words: list[list[Any]] | None = None) -> dict[str, Any]:
    words = words or []
    at, end = (words[0][1], words[-1][2]) if words else (None, None)
    return {"who": who, "text": text, "at": at, "end": end, "words": words}


def _words(words: Any) -> list[list[Any]]:
    """Words with their times; one without a time takes no part."""
    found = []
    for word in _list(words):
        if isinstance(word, dict):
            start, end = _number(word.get("start")), _number(word.get("end"))
            if start is not None and end is not None:
                found.append([clean(word.get("word"), 200).strip(), start, max(start, end)])
    return found


def _decoded(text: Any) -> Any:
    """Arguments and results are JSON inside a string, or plain words."""
    if not isinstance(text, str):
        return storable(text)
    try:
        return storable(json.loads(text, parse_constant=lambda name: None))
    except (ValueError, RecursionError):
        return clean(text, 2000)


def _succeeded(result: Any, said: Any) -> bool | None:
    if isinstance(said, bool):
        return said
    if isinstance(result, dict):
        status = str(result.get("status", "")).casefold()
        return not (result.get("error") or result.get("success") is False or status in FAILED)
    if isinstance(result, str):
        return not result.casefold().startswith(("error", "failed", "fehler"))
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    """Seconds between 0 and a day."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        return None
    return round(float(value), 3)


def booking_uids(tool_calls: Iterable[dict[str, Any]]) -> list[str]:
    """The uids of bookings that the receptionist was told it had made, in their order."""
    results = [call["result"] for call in tool_calls if call["ok"] is not False and isinstance(call["result"], dict)]
    uids = [result.get("uid") or result.get("booking_uid") or result.get("bookingUid") for result in results]
    return list(dict.fromkeys(uid for uid in uids if isinstance(uid, str) and uid))


def caller_spoke(turns: Iterable[dict[str, Any]]) -> bool:
    """Whether the caller said a word."""
    return any(turn["who"] == "user" for turn in turns)


def tenant_token(company_id: int) -> str:
    """The word that stands for the company in MySQL's full-text index, and in nobody's sentence."""
    return f"tenant{company_id:07d}x"


# ---- Showing it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line on the page: a turn (``who`` is agent, user or person), or what was done (``who`` is tool)."""

    who: str
    text: str
    at: float | None = None
    icon: str = ""
    failed: bool = False
    same_speaker: bool = False

    @property
    def second(self) -> int | None:
        return None if self.at is None else int(self.at)


def lines(turns: list[dict[str, Any]], tool_calls: list[dict[str, Any]], language: str, zone: ZoneInfo) -> list[Line]:
    """Turns and tool calls in the order in which they happened."""
    shown: list[Line] = []
    waiting = sorted(tool_calls, key=lambda call: int(call["after"]))
    for index, turn in enumerate(turns):
        while waiting and waiting[0]["after"] <= index:
            shown.append(_tool_line(waiting.pop(0), language, zone))
        same = bool(shown) and shown[-1].who == turn["who"]
        shown.append(Line(turn["who"], turn["text"], turn["at"], same_speaker=same))
    return shown + [_tool_line(call, language, zone) for call in waiting]


def _tool_line(call: dict[str, Any], language: str, zone: ZoneInfo) -> Line:
    icon, text = describe(call, language, zone)
    return Line("tool", text, call["at"], icon, failed=call["ok"] is False)


def describe(call: dict[str, Any], language: str, zone: ZoneInfo) -> tuple[str, str]:
    """Icon and sentence of one tool call: ``("calendar", "Free times checked: Mon 24 Nov, 10:30")``."""
    words = _Words(call, language, zone)
    icon, sentence = TOOLS.get(call["name"], ("robot", _Words.anything))
    return icon, sentence(words)


class _Words:
    """The sentence for one tool call, in one language and zone."""

    def __init__(self, call: dict[str, Any], language: str, zone: ZoneInfo) -> None:
        self.name: str = call["name"]
        self.arguments: dict[str, Any] = call["arguments"] if isinstance(call["arguments"], dict) else {}
        self.result: Any = call["result"]
        self.failed: bool = call["ok"] is False
        self.language, self.zone = language, zone

    def checked(self) -> str:
        if self.failed:
            return str(_("Free times could not be checked"))
        day = self._day(self.arguments.get("date"))
        times = [time for time in map(self._time, self._slots()) if time is not None]
        if not times:
            return str(
                _("Free times checked: nothing free on %(day)s", day=day) if day else _("Free times checked: none")
            )
        return str(_("Free times checked: %(times)s", times=self._listed(times)))

    def booked(self) -> str:
        what = self._what("start", "start_time", "time")
        if self.failed:
            return self._with(_("Booking did not work"), self._why())
        return self._with(_("Appointment booked"), what, self._text("name"))

    def cancelled(self) -> str:
        what = self._what("start", "start_time", "time")
        return self._with(_("Cancelling did not work") if self.failed else _("Appointment cancelled"), what)

    def moved(self) -> str:
        what = self._what("new_start", "start", "start_time")
        return self._with(_("Moving the appointment did not work") if self.failed else _("Appointment moved"), what)

    def transferred(self) -> str:
        to = phones.display(self._text("number", "transfer_destination", "phone_number"))
        why = self._text("reason")
        return self._with(_("Transfer did not work") if self.failed else _("Call transferred"), to, why)

    def transfer_cancelled(self) -> str:
        return str(_("Transfer called off"))

    def ended(self) -> str:
        return str(_("The receptionist ended the call"))

    def texted(self) -> str:
        return self._with(_("Text message not sent") if self.failed else _("Text message sent"), self._text("message"))

    def text_received(self) -> str:
        return self._with(_("Text message received"), self._text("text"))

    def pressed(self) -> str:
        return self._with(_("Key pressed"), self._text("digit", "digits"))

    def handed_over(self) -> str:
        return str(_("Handed over to another assistant"))

    def noted(self) -> str:
        return self._with(_("Noted"), _flat(self.arguments))

    def anything(self) -> str:
        did = humanised(self.name) or _("Action")
        label = _("%(action)s did not work", action=did) if self.failed else did
        return self._with(label, _flat(self.arguments))

    def _with(self, label: str, *details: str) -> str:
        told = ", ".join(detail for detail in details if detail)
        return f"{label}: {told}" if told else label

    def _text(self, *names: str) -> str:
        for name in names:
            if isinstance(value := self.arguments.get(name), str | int) and not isinstance(value, bool):
                return str(value)[:300]
        return ""

    def _why(self) -> str:
        if isinstance(self.result, str):
            return self.result[:300]
        if isinstance(self.result, dict):
            reason = str(self.result.get("message") or self.result.get("error") or "")[:300]
            return failure(reason) if reason else ""
        return ""

    def _what(self, *names: str) -> str:
        """When, from the arguments or else from the answer."""
        answer = self.result if isinstance(self.result, dict) else {}
        for value in [self.arguments.get(name) for name in names] + [answer.get(name) for name in names]:
            if (at := self._time(value)) is not None:
                day = formats.weekday_day(at, self.language, self.zone)
                return f"{day}, {formats.clock(at, self.language, self.zone)}"
        return ""

    def _slots(self) -> list[Any]:
        """The times in an answer, in any of the shapes that Cal.com and its tools have."""
        found = self.result.get("slots") if isinstance(self.result, dict) else self.result
        if isinstance(found, dict):
            found = [slot for day in found.values() if isinstance(day, list) for slot in day]
        if not isinstance(found, list):
            return []
        return [slot.get("time") or slot.get("start") if isinstance(slot, dict) else slot for slot in found]

    def _listed(self, times: list[datetime]) -> str:
        more = self.result.get("more_slots") if isinstance(self.result, dict) else 0
        hidden = len(times[SHOWN_SLOTS:]) + (more if isinstance(more, int) else 0)
        days: dict[str, list[str]] = {}
        for at in times[:SHOWN_SLOTS]:
            days.setdefault(formats.weekday_day(at, self.language, self.zone), []).append(self._clock(at))
        text = "; ".join(f"{day}, {', '.join(clocks)}" for day, clocks in days.items())
        return text + (ngettext(" and %(num)s more", " and %(num)s more", hidden) if hidden > 0 else "")

    def _clock(self, at: datetime) -> str:
        return formats.clock(at, self.language, self.zone)

    def _time(self, value: Any) -> datetime | None:
        """An aware time; one without a zone is meant in the zone that the call names, else in the branch's."""
        if not isinstance(value, str):
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return None
        if len(value) <= len("2026-11-24"):
            return None
        return at if at.tzinfo else at.replace(tzinfo=self._named_zone())

    def _named_zone(self) -> ZoneInfo:
        answer = self.result if isinstance(self.result, dict) else {}
        name = self.arguments.get("time_zone") or self.arguments.get("timezone") or answer.get("time_zone")
        try:
            return ZoneInfo(name) if isinstance(name, str) else self.zone
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return self.zone

    def _day(self, value: Any) -> str:
        try:
            return formats.weekday_day(datetime.fromisoformat(str(value)).date(), self.language, self.zone)
        except ValueError:
            return ""


def failure(reason: str) -> str:
    """The known reasons of a tool that failed, in words; others as they are, without underscores."""
    known = {
        "no_available_users_found_error": _("the time was just taken"),
        "no_answer": _("nobody answered"),
        "timeout": _("no answer in time"),
        "slot_not_available": _("the time was just taken"),
        "busy": _("the line was busy"),
    }
    return known.get(reason.casefold()) or reason.replace("_", " ")


# The tools that Retell brings along, and those that its Cal.com functions are usually called.
TOOLS = {
    "check_availability_cal": ("calendar", _Words.checked),
    "check_availability": ("calendar", _Words.checked),
    "book_appointment_cal": ("calendar-plus", _Words.booked),
    "book_appointment": ("calendar-plus", _Words.booked),
    "cancel_booking": ("calendar-off", _Words.cancelled),
    "cancel_appointment": ("calendar-off", _Words.cancelled),
    "reschedule_booking": ("calendar-event", _Words.moved),
    "reschedule_appointment": ("calendar-event", _Words.moved),
    "transfer_call": ("arrow-forward-up", _Words.transferred),
    "bridge_transfer": ("arrow-forward-up", _Words.transferred),
    "cancel_transfer": ("phone-x", _Words.transfer_cancelled),
    "end_call": ("phone-off", _Words.ended),
    "send_sms": ("message", _Words.texted),
    "sms_received": ("message", _Words.text_received),
    "press_digit": ("device-tablet", _Words.pressed),
    "agent_swap": ("robot", _Words.handed_over),
    "extract_dynamic_variable": ("note", _Words.noted),
}


def humanised(name: str) -> str:
    """``check_insurance`` → ``Check insurance``."""
    text = re.sub(r"[_\-\s]+", " ", name).strip()
    return text[:1].upper() + text[1:]


def _flat(values: dict[str, Any]) -> str:
    """Arguments as words: ``service: Haircut, date: 2026-11-24``."""
    plain = ((name, value) for name, value in values.items() if isinstance(value, str | int | float) and value != "")
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in plain)[:300]
