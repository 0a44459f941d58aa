"""iCalendar (RFC 5545): appointments as calendar programs read them. Pure, from values to bytes.

Both users go the same way: a :class:`Visit` says what is to be told, :func:`event` makes a VEVENT of it, and
:func:`calendar` the file. A mail to a customer needs one call, :func:`invitation`; its attachment is ``text/calendar``
with the parameters ``method`` (:func:`method_of`) and ``charset=utf-8``.

- The UID is made of the appointment's id and our host, so it stays the same however often the appointment is moved.
  SEQUENCE is the appointment's ``ical_sequence``, which goes up with every move and cancellation.
- Times are written in UTC. Every program shows them in its reader's zone, no VTIMEZONE has to be understood, and the
  hour that the clocks strike twice stays two hours: a local time with TZID can only mean the first of them.
- Texts may hold anything. Control characters go, line breaks become one kind, the rest arrives as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from icalendar import Calendar, Event, vCalAddress, vText

from portal.models import Branch

PRODUCT = "-//Empfang//Calendar//EN"
CONTENT_TYPE = "text/calendar; charset=utf-8"
# An appointment's status → the event's. Who did not come had an appointment all the same.
STATUS = {
    "scheduled": "TENTATIVE",
    "confirmed": "CONFIRMED",
    "completed": "CONFIRMED",
    "no_show": "CONFIRMED",
    "cancelled": "CANCELLED",
}
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Controls but for tab and line feed, halves of surrogate pairs, and what Unicode says is no character.
_UNFIT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Visit:
    """An appointment for one reader: the texts hold only what that reader may know. Times are aware.

    ``status`` is the appointment's own; ``changed_at`` its ``updated_at``; ``url`` an address to read more at.
    """

    id: int
    sequence: int
    status: str
    start: datetime
    end: datetime
    changed_at: datetime
    summary: str
    location: str = ""
    description: str = ""
    url: str = ""


@dataclass(frozen=True)
class Person:
    """Who invites, or is invited."""

    email: str
    name: str = ""


def event(
    visit: Visit,
    host: str,
    *,
    stamp: datetime | None = None,
    organizer: Person | None = None,
    attendee: Person | None = None,
) -> Event:
    """The VEVENT. ``host`` is :func:`host_of` the portal; ``stamp`` when the message was written, else the change."""
    made = Event()
    made.add("uid", uid(visit.id, host))
    made.add("sequence", visit.sequence)
    times = {"dtstart": visit.start, "dtend": visit.end, "last-modified": visit.changed_at}
    for name, moment in (times | {"dtstamp": stamp or visit.changed_at}).items():
        made.add(name, _utc(moment))
    made.add("status", STATUS[visit.status])
    made.add("transp", "TRANSPARENT" if visit.status == "cancelled" else "OPAQUE")
    _add_text(made, "summary", clean(visit.summary).replace("\n", " "))
    _add_text(made, "location", visit.location)
    _add_text(made, "description", visit.description)
    if visit.url:
        made.add("url", visit.url)
    _add_people(made, organizer, attendee)
    return made


def calendar(
    events: Iterable[Event],
    *,
    name: str = "",
    zone: str = "",
    method: str | None = None,
    refresh: timedelta | None = None,
) -> bytes:
    """The file: UTF-8, CRLF, folded. ``name``, ``zone`` (IANA) and ``refresh`` are for those who subscribe."""
    made = Calendar()
    made.add("prodid", PRODUCT)
    made.add("version", "2.0")
    made.add("calscale", "GREGORIAN")
    if method:
        made.add("method", method)
    line = " ".join(clean(name).split())
    for key, text in (("name", line), ("x-wr-calname", line), ("x-wr-timezone", zone)):
        _add_text(made, key, text)
    if refresh:
        made.add("refresh-interval", refresh, parameters={"VALUE": "DURATION"})
        made.add("x-published-ttl", _Text(f"PT{int(refresh.total_seconds() // 60)}M"))
    made.subcomponents.extend(events)
    file: bytes = made.to_ical()
    return file


def invitation(visit: Visit, host: str, *, organizer: Person, attendee: Person, stamp: datetime) -> bytes:
    """The attachment that books, moves or takes away the appointment in the attendee's own calendar."""
    one = event(visit, host, stamp=stamp, organizer=organizer, attendee=attendee)
    return calendar([one], method=method_of(visit))


def method_of(visit: Visit) -> str:
    return "CANCEL" if visit.status == "cancelled" else "REQUEST"


def uid(appointment_id: int, host: str) -> str:
    return f"appointment-{appointment_id}@{host}"


def host_of(portal_base_url: str) -> str:
    """The part of the UID that makes it ours."""
    return urlsplit(portal_base_url).hostname or "localhost"


def place(branch: Branch) -> str:
    """The branch and its address on one line: ``Salon Mitte, Weg 1, 10115 Berlin``."""
    town = " ".join(part for part in (branch.postal_code, branch.city) if part)
    street = ", ".join(line.strip() for line in (branch.address or "").splitlines() if line.strip())
    parts = [branch.name, street, town if town not in street else ""]
    return ", ".join(part for part in parts if part)


def clean(text: str) -> str:
    """The text with line feeds as its only line breaks and nothing that a calendar file must not hold."""
    return _UNFIT.sub("", _BREAKS.sub("\n", text)).strip()


class _Text(vText):
    r"""TEXT, escaped as the RFC says. The library's own takes ``\N``, as in ``C:\New``, for a line break."""

    def to_ical(self) -> bytes:
        escaped = self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
        return escaped.encode()


def _add_people(made: Event, organizer: Person | None, attendee: Person | None) -> None:
    if organizer:
        made.add("organizer", _address(organizer))
    if attendee:
        # Booked already, and answers would reach nobody: no program shall ask for one.
        made.add("attendee", _address(attendee, ROLE="REQ-PARTICIPANT", PARTSTAT="ACCEPTED", RSVP="FALSE"))


def _add_text(made: Event | Calendar, name: str, text: str) -> None:
    if text := clean(text):
        made.add(name, _Text(text))


def _address(person: Person, **params: str) -> vCalAddress:
    made = vCalAddress(f"mailto:{clean(person.email)}")
    # A parameter has no escape for a quotation mark that every program knows.
    if name := " ".join(clean(person.name).replace('"', "'").split()):
        made.params["CN"] = name
    made.params.update(params)
    return made


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"naive time {moment}")
    return moment.astimezone(UTC)
