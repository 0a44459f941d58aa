"""Calendar files: read back by the library and by a stricter reader of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.db import db, transaction
from portal.domain import appointments, ical
from portal.domain.ical import Person, Visit
from portal.domain.slots import plan_of
from portal.models import Appointment, Branch
from portal.tenancy import tenant_scope
from tests import factories, ics
from tests.cast import Cast

HOST = "portal.example"
START = datetime(2027, 3, 9, 8, 30, tzinfo=UTC)
VISIT = Visit(7, 2, "confirmed", START, START + timedelta(minutes=45), START - timedelta(days=1), "Schnitt")
SALON, GUEST = Person("post@salon.example", "Salon Test"), Person("aylin@demir.example", "Aylin Demir")
WITHIN = datetime(2027, 1, 1, tzinfo=UTC)
NASTY = (
    "Waschen, Schneiden; Föhnen: \\n ist kein Umbruch, \\N auch nicht, C:\\Neu\\;\\,",
    "erste Zeile\nzweite Zeile\r\ndritte\rvierte\u2028fünfte\x0bsechste\x85siebte",
    "👩‍👩‍👧‍👦 Familie – „Übung“ ß ẞ İı",
    "שלום עולם مرحبا \u202eabc\u202c",
    '"BEGIN:VEVENT"\r\nEND:VCALENDAR\r\nATTENDEE:mailto:x@y',
    "x" * 10_000,
    "ä" * 10_000,
    "\\" * 300 + "," * 300,
    "a\x00b\x07c\x1bd\x7fe\ud800f\ufffeg\tz",
    " ",
    "",
)


def written(visit: Visit, **kwargs: Any) -> bytes:
    return ical.calendar([ical.event(visit, HOST, **kwargs)])


def strict(file: bytes) -> ics.Component:
    (found,) = ics.read(file).children
    return found


def library(file: bytes) -> icalendar.Event:
    (found,) = icalendar.Calendar.from_ical(file).walk("VEVENT")
    assert isinstance(found, icalendar.Event)
    return found


# ---- What stands in an event ------------------------------------------------------------------------------------


def test_an_event_says_who_where_when_and_in_which_version() -> None:
    visit = replace(
        VISIT, location="Salon, Weg 1", description="Bestätigt", url="https://portal.example/appointments/7"
    )
    found = library(written(visit))
    assert found["uid"] == "appointment-7@portal.example"
    assert found["sequence"] == 2
    assert found["summary"] == "Schnitt"
    assert found["location"] == "Salon, Weg 1"
    assert found["description"] == "Bestätigt"
    assert found["url"] == "https://portal.example/appointments/7"
    assert found.decoded("dtstart") == START
    assert found.decoded("dtend") == START + timedelta(minutes=45)
    assert found.decoded("dtstamp") == found.decoded("last-modified") == VISIT.changed_at


@pytest.mark.parametrize(
    ("status", "told", "busy"),
    [
        ("scheduled", "TENTATIVE", "OPAQUE"),
        ("confirmed", "CONFIRMED", "OPAQUE"),
        ("completed", "CONFIRMED", "OPAQUE"),
        ("no_show", "CONFIRMED", "OPAQUE"),
        ("cancelled", "CANCELLED", "TRANSPARENT"),
    ],
)
def test_every_status_is_one_that_calendars_know(status: str, told: str, busy: str) -> None:
    found = strict(written(replace(VISIT, status=status)))
    assert (found.text("STATUS"), found.text("TRANSP")) == (told, busy)


def test_the_uid_stays_and_the_sequence_goes_up_when_an_appointment_moves_or_is_cancelled(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=START)
    seen = [_as_told(row)]

    def moved() -> None:
        later = replace(plan_of(row), start=START + timedelta(hours=3), end=START + timedelta(hours=4))
        appointments.change(row, later)

    with tenant_scope(firm.id):
        for step in (
            moved,
            lambda: appointments.cancel(row, "krank", "customer", START - timedelta(days=1)),
            lambda: appointments.set_status(row, "back", START - timedelta(days=1)),
        ):
            transaction(step)
            seen.append(_as_told(db.session.get_one(Appointment, row.id)))
    assert len({uid for uid, _, _ in seen}) == 1
    assert all(earlier < later for (_, earlier, _), (_, later, _) in pairwise(seen))
    assert [status for _, _, status in seen] == ["CONFIRMED", "CONFIRMED", "CANCELLED", "CONFIRMED"]


def _as_told(row: Appointment) -> tuple[str, int, str]:
    visit = Visit(
        row.id, row.ical_sequence, row.status, row.start_time, row.end_time, row.updated_at, summary="Schnitt"
    )
    found = library(written(visit))
    return str(found["uid"]), int(found["sequence"]), str(found["status"])


def test_the_uid_names_our_host_without_port_or_login() -> None:
    assert ical.host_of("https://portal.example:8443/empfang") == "portal.example"
    assert ical.host_of("http://localhost") == "localhost"


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        written(replace(VISIT, start=START.replace(tzinfo=None)))


def test_a_place_is_a_line_with_name_street_and_town() -> None:
    branch = Branch(name="Salon Mitte", address="Weg 1\nHinterhaus ", postal_code="10115", city="Berlin")
    assert ical.place(branch) == "Salon Mitte, Weg 1, Hinterhaus, 10115 Berlin"
    branch.address = "Weg 1, 10115 Berlin"
    assert ical.place(branch) == "Salon Mitte, Weg 1, 10115 Berlin"
    assert ical.place(Branch(name="Salon", address="")) == "Salon"


# ---- Texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_arrive_whole(text: str) -> None:
    _assert_arrives(text)


@given(st.text(max_size=400))
def test_any_text_arrives_whole(text: str) -> None:
    _assert_arrives(text)


@given(st.text(alphabet='\\,;:\nnN"^ äא😀\r\t=', max_size=200))
def test_texts_made_of_what_has_a_meaning_arrive_whole(text: str) -> None:
    _assert_arrives(text)


def _assert_arrives(text: str) -> None:
    wanted = ical.clean(text)
    file = written(replace(VISIT, summary=text, description=text, location=text))
    found = strict(file)
    texts = {name: found.text(name) if found.has(name) else "" for name in ("SUMMARY", "DESCRIPTION", "LOCATION")}
    assert texts == {"SUMMARY": wanted.replace("\n", " "), "DESCRIPTION": wanted, "LOCATION": wanted}
    assert len(icalendar.Calendar.from_ical(file).walk("VEVENT")) == 1
    if wanted and "\\" not in wanted:  # the library reads a backslash before an n as a line break
        assert library(file)["description"] == wanted


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_name_can_invite_and_be_invited(ours: str, theirs: str) -> None:
    file = ical.invitation(
        VISIT, HOST, organizer=replace(SALON, name=ours), attendee=replace(GUEST, name=theirs), stamp=START
    )
    found = strict(file)
    assert found.one("ORGANIZER").value == "mailto:post@salon.example"
    assert found.one("ATTENDEE").value == "mailto:aylin@demir.example"
    assert found.one("ATTENDEE").params["PARTSTAT"] == "ACCEPTED"


@given(st.text(max_size=200))
def test_any_name_can_be_a_calendars(name: str) -> None:
    found = ics.read(ical.calendar([ical.event(VISIT, HOST)], name=name, zone="Europe/Berlin", method="PUBLISH"))
    wanted = " ".join(ical.clean(name).split())
    assert found.text("X-WR-CALNAME") == wanted if wanted else not found.has("X-WR-CALNAME")


# ---- Times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "Europe/Istanbul", "America/New_York"])
def test_every_hour_of_a_year_stays_the_same_instant(zone: str) -> None:
    hours = [WITHIN + timedelta(hours=hour) for hour in range(365 * 24)]
    local = [hour.astimezone(ZoneInfo(zone)) for hour in hours]
    events = [
        ical.event(replace(VISIT, id=number, start=start, end=start + timedelta(minutes=30)), HOST)
        for number, start in enumerate(local)
    ]
    found = icalendar.Calendar.from_ical(ical.calendar(events)).walk("VEVENT")
    assert [event.decoded("dtstart") for event in found] == hours
    # As a program in that zone shows them: the same wall clock, in the hour that comes twice as well.
    assert [event.decoded("dtstart").astimezone(ZoneInfo(zone)).isoformat() for event in found] == [
        moment.isoformat() for moment in local
    ]


@given(st.integers(0, 20 * 365 * 24 * 60), st.timezones())
def test_any_moment_in_any_zone_stays_the_same_instant(minutes: int, zone: ZoneInfo) -> None:
    start = (WITHIN + timedelta(minutes=minutes)).astimezone(zone)
    end = (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    found = library(written(replace(VISIT, start=start, end=end)))
    assert found.decoded("dtstart") == start.astimezone(UTC)
    assert found.decoded("dtend") - found.decoded("dtstart") == timedelta(hours=1)


BERLIN = ZoneInfo("Europe/Berlin")


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN)
    second = first.replace(fold=1)
    told = []
    for start in (first, second):
        end = start.astimezone(UTC) + timedelta(minutes=30)
        told.append(strict(written(replace(VISIT, start=start, end=end))).one("DTSTART").value)
    assert told == ["20271031T003000Z", "20271031T013000Z"]


def test_an_appointment_across_the_hour_that_is_left_out_keeps_its_length() -> None:
    start = datetime(2027, 3, 28, 1, 30, tzinfo=BERLIN)
    end = datetime(2027, 3, 28, 3, 30, tzinfo=BERLIN)
    found = library(written(replace(VISIT, start=start, end=end)))
    assert found.decoded("dtend") - found.decoded("dtstart") == timedelta(hours=1)


# ---- Files ------------------------------------------------------------------------------------------------------


def test_a_calendar_to_subscribe_to_says_its_name_zone_and_when_to_come_back() -> None:
    file = ical.calendar([], name="Salon, Mitte", zone="Europe/Berlin", refresh=timedelta(hours=1))
    found = ics.read(file)
    assert found.text("X-WR-CALNAME") == found.text("NAME") == "Salon, Mitte"
    assert found.text("X-WR-TIMEZONE") == "Europe/Berlin"
    refresh = found.one("REFRESH-INTERVAL")
    assert (refresh.value, refresh.params) == ("PT1H", {"VALUE": "DURATION"})
    assert found.text("X-PUBLISHED-TTL") == "PT60M"
    assert not found.has("METHOD")


@pytest.mark.parametrize(("status", "method"), [("confirmed", "REQUEST"), ("cancelled", "CANCEL")])
def test_an_invitation_books_and_takes_away(status: str, method: str) -> None:
    visit = replace(VISIT, status=status)
    file = ical.invitation(visit, HOST, organizer=SALON, attendee=GUEST, stamp=START)
    assert ics.read(file).text("METHOD") == ical.method_of(visit) == method
    found = library(file)
    assert found["organizer"] == "mailto:post@salon.example"
    assert found["organizer"].params["CN"] == "Salon Test"
    assert found["attendee"].params["RSVP"] == "FALSE"
    assert found.decoded("dtstamp") == START
    assert found.decoded("last-modified") == VISIT.changed_at


def test_an_empty_calendar_is_a_calendar() -> None:
    assert ics.read(ical.calendar([])).children == []
