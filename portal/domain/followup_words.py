"""Follow-ups in words: why a call needs somebody, what was promised, and what it closed itself by."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext

from portal import formats
from portal.domain.call_words import Outcome


def _(message: str, **values: Any) -> str:
    return str(gettext(message, **values))


def reason(name: str) -> Outcome:
    """Why, as a pill."""
    return {
        "complaint": Outcome("complaint", "bad", "mood-angry", _("Complaint")),
        "promise": Outcome("promise", "warn", "alert-triangle", _("Promised, no appointment")),
        "transfer_failed": Outcome("transfer_failed", "warn", "phone-x", _("Transfer did not succeed")),
        "hung_up": Outcome("hung_up", "", "phone-off", _("Hung up upset")),
        "callback": Outcome("callback", "", "phone-outgoing", _("Callback wanted")),
    }[name]


def late() -> Outcome:
    """Beside a call whose callback is overdue."""
    return Outcome("late", "bad", "phone-outgoing", _("Callback overdue"))


def moment(value: Any) -> datetime | None:
    """A time as ``facts`` keeps it."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else None


def day_and_time(at: datetime, language: str, zone: ZoneInfo, now: datetime | None = None) -> str:
    """``Wed 25 Nov, 16:00``; of the day of ``now`` ``today, 16:00``."""
    clock = formats.clock(at, language, zone)
    if now is not None and formats.local_day(at, zone) == formats.local_day(now, zone):
        return _("today, %(clock)s", clock=clock)
    return f"{formats.weekday_day(at, language, zone)}, {clock}"


def closing(closed: dict[str, Any], language: str, zone: ZoneInfo, now: datetime | None = None) -> str:
    """What it closed itself by; '' for what we know no words for."""
    start = moment(closed.get("start"))
    when = day_and_time(start, language, zone, now) if start else ""
    how = closed.get("how")
    if how == "called_back":
        return _("called back, talked for %(duration)s", duration=formats.duration(int(closed.get("seconds") or 0)))
    if how == "withdrawn":
        return _("a newer evaluation of the call finds nothing to do")
    if how == "kept":
        return _("the appointment stands: %(when)s", when=when) if when else _("the appointment stands")
    if how == "called_again" or (how == "booked" and closed.get("call_id")):
        return _("called again, appointment stands: %(when)s", when=when) if when else _("called again and was helped")
    if how == "booked" and closed.get("source") == "web":
        return _("booked online: %(when)s", when=when)
    return _("got an appointment: %(when)s", when=when) if how == "booked" else ""


def promise(facts: dict[str, Any] | None, language: str, zone: ZoneInfo, now: datetime | None = None) -> str:
    """What was promised and what stands in the calendar instead; '' for what is no promise."""
    told = promised(facts)
    start, booked = moment(told.get("start")), moment(told.get("booked_start"))
    if start is None:
        return ""
    when = day_and_time(start, language, zone, now)
    instead = day_and_time(booked, language, zone, now) if booked else ""
    kind = told.get("kind")
    if kind == "other_time" and instead:
        return _("The receptionist promised %(when)s, but %(instead)s is entered.", when=when, instead=instead)
    if kind == "other_service" and instead:
        return _(
            "The receptionist promised %(service)s on %(when)s; entered is %(other)s.",
            service=told.get("service") or "?",
            when=when,
            other=told.get("booked_service") or "?",
        )
    if kind == "cancelled":
        return _("The receptionist promised %(when)s; the booking was called off again.", when=when)
    return _("The receptionist promised %(when)s, but nothing is entered.", when=when)


def promised(facts: dict[str, Any] | None) -> dict[str, Any]:
    """The part of ``facts`` that keeps a promise; {} for every other reason."""
    told = (facts or {}).get("promise")
    return told if isinstance(told, dict) else {}
