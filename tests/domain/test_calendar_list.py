"""The list of appointments: order, pages in both directions that meet exactly, filters, and change nights."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.db import db
from portal.domain import calendar_list
from portal.domain.calendar import NotThere, Wish
from portal.domain.calendar_list import Agenda, Filters, Place, Stretch
from portal.models import Appointment
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
AUTUMN = date(2027, 10, 31)


def part(low: Place | None = None, high: Place | None = None, most: int = 4) -> Stretch:
    """A small page."""
    return Stretch(low, high, most)


def at(hour: int, minute: int = 0, day: date = TUESDAY, fold: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, fold=fold), tzinfo=BERLIN).astimezone(UTC)


def agenda(
    firm: Firm, stretch: Stretch | None = None, filters: Filters | None = None, now: datetime | None = None, **wish: Any
) -> Agenda:
    with tenant_scope(firm.id):
        found = calendar_list.agenda(
            Wish(**({"view": "list", "day": TUESDAY} | wish)), filters or Filters(), stretch or part(), now or at(7)
        )
    assert found is not None
    return found


def ids(found: Agenda) -> list[int]:
    return [entry.id for entry in found.entries]


def fill(firm: Firm, number: int, step: timedelta = timedelta(hours=5)) -> list[int]:
    """Appointments from two days before on, several of them at the same moment; their ids in order."""
    rows = [
        factories.make_appointment(firm, start=at(9, day=date(2027, 3, 7)) + step * (index // 2))
        for index in range(number)
    ]
    return [row.id for row in sorted(rows, key=lambda row: (row.start_time, row.id))]


# ---- Pages ------------------------------------------------------------------------------------------------------


def test_pages_onwards_and_back_hold_each_appointment_once_and_in_order(cast: Cast) -> None:
    every = fill(cast.salon, 41)
    first = agenda(cast.salon)
    onwards, page = ids(first), first
    while page.later:
        page = agenda(cast.salon, part(page.later))
        onwards += ids(page)
        assert len(ids(page)) <= 4
    back, page = [], first
    while page.earlier:
        page = agenda(cast.salon, part(high=page.low))
        back = ids(page) + back
    assert back + onwards == every
    assert len(back) > 4
    assert len(onwards) > 8


def test_the_list_begins_with_the_day_asked_for(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(23, 59, TUESDAY - timedelta(days=1)))
    row = factories.make_appointment(cast.salon, start=at(0))
    assert ids(agenda(cast.salon)) == [row.id]


def test_a_page_shown_anew_keeps_its_ends_whatever_has_been_booked_or_cancelled(cast: Cast) -> None:
    fill(cast.salon, 30)
    first = agenda(cast.salon)
    second = agenda(cast.salon, part(first.later))
    new = factories.make_appointment(cast.salon, start=first.entries[1].start + timedelta(minutes=1))
    gone = first.entries[0].id
    within(cast.salon, lambda: db.session.delete(db.session.get_one(Appointment, gone)))
    anew = agenda(cast.salon, part(first.low, first.high, most=200))
    assert sorted(ids(anew)) == sorted([*(each for each in ids(first) if each != gone), new.id])
    assert ids(agenda(cast.salon, part(second.low, second.high, most=200))) == ids(second)


def test_a_page_shown_anew_has_the_version_that_it_had(cast: Cast) -> None:
    fill(cast.salon, 30)
    first = agenda(cast.salon)
    for page in (first, agenda(cast.salon, part(first.later)), agenda(cast.salon, part(high=first.low))):
        assert agenda(cast.salon, part(page.low, page.high, most=200)).version == page.version


def test_a_day_that_goes_on_says_so_and_a_new_one_does_not(cast: Cast) -> None:
    for minute in range(6):
        factories.make_appointment(cast.salon, start=at(9, minute))
    for minute in range(5):
        factories.make_appointment(cast.salon, start=at(9, minute, TUESDAY + timedelta(days=1)))
    pages = [agenda(cast.salon)]
    while place := pages[-1].later:
        pages.append(agenda(cast.salon, part(place)))
    told = [[(group.day.day, len(group.entries), group.goes_on) for group in page.groups] for page in pages]
    assert told == [[(9, 4, False)], [(9, 2, True), (10, 2, False)], [(10, 3, True)]]


def test_a_page_that_ends_with_a_day_leaves_room_for_more_of_it(cast: Cast) -> None:
    for hour in (9, 10, 11, 12):
        factories.make_appointment(cast.salon, start=at(hour))
    factories.make_appointment(cast.salon, start=at(9, day=TUESDAY + timedelta(days=1)))
    page = agenda(cast.salon)
    assert page.later == Place(at(0, day=TUESDAY + timedelta(days=1)))
    late = factories.make_appointment(cast.salon, start=at(20))
    assert late.id in ids(agenda(cast.salon, part(page.low, page.high, most=200)))
    assert not agenda(cast.salon, part(page.later)).groups[0].goes_on


def test_nothing_at_all_is_an_empty_page_in_both_directions(cast: Cast) -> None:
    page = agenda(cast.salon)
    assert (page.groups, page.later, page.count) == ([], None, 0)
    back = agenda(cast.salon, part(high=page.low))
    assert (back.groups, back.earlier) == ([], None)


@pytest.mark.parametrize("written", ["", "x", "1", "1-", "-1", "1-2-3", "9" * 30 + "-1", "1-" + "9" * 30])
def test_what_is_no_place_is_none(written: str) -> None:
    assert Place.parse(written) is None


def test_a_place_is_what_it_was_written_as() -> None:
    place = Place(at(9, 30), 17)
    assert Place.parse(str(place)) == place


# ---- Filters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("", ["cancelled", "completed", "confirmed", "no_show", "scheduled"]),
        ("open", ["confirmed", "scheduled"]),
        *((status, [status]) for status in ("scheduled", "confirmed", "completed", "cancelled", "no_show")),
    ],
)
def test_the_status_narrows_the_list(cast: Cast, status: str, found: list[str]) -> None:
    for hour, each in enumerate(("scheduled", "confirmed", "completed", "cancelled", "no_show"), start=9):
        factories.make_appointment(cast.salon, start=at(hour), status=each)
    page = agenda(cast.salon, part(most=50), Filters(status=status))
    assert sorted(entry.status for entry in page.entries) == found
    assert (page.count, page.unconfirmed) == (4, 1)


def test_customers_are_found_by_name_and_by_number(cast: Cast) -> None:
    firm = cast.salon
    other = factories.make_customer(firm, "Jörg", "Müller", phone_normalized="+4930777123")
    mine = factories.make_appointment(firm, start=at(9), customer_id=other.id)
    factories.make_appointment(firm, start=at(10))
    for query in ("mueller", "Mull", "jörg mü", "030 777123", "777123"):
        assert ids(agenda(firm, filters=Filters(query=query))) == [mine.id], query
    for query in ("nobody", "%", "'; --", "+++"):
        assert ids(agenda(firm, filters=Filters(query=query))) == [], query


def test_very_many_people_of_a_name_are_found_as_well(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = cast.salon
    rows = []
    for index in range(4):
        customer = factories.make_customer(firm, f"Gast{index}", "Schmidt")
        rows.append(factories.make_appointment(firm, start=at(9 + index), customer_id=customer.id))
    monkeypatch.setattr(calendar_list, "FEW_PEOPLE", 2)
    assert ids(agenda(firm, filters=Filters(query="schmidt"))) == [row.id for row in rows]


def test_branch_and_person_narrow_the_list(cast: Cast) -> None:
    firm = cast.salon
    here = factories.make_appointment(firm, start=at(9))
    open_ = factories.make_appointment(firm, start=at(10), staff_id=None)
    there = factories.make_appointment(firm, start=at(11), branch_id=firm.other.id, staff_id=firm.colleague.id)
    assert ids(agenda(firm)) == [here.id, open_.id]
    assert ids(agenda(firm, staff_id=firm.stylist.id)) == [here.id]
    assert ids(agenda(firm, every_branch=True)) == [here.id, open_.id, there.id]
    assert ids(agenda(firm, every_branch=True, visible=[firm.main.id])) == [here.id, open_.id]
    with pytest.raises(NotThere):
        agenda(firm, branch_id=firm.other.id, visible=[firm.main.id])


def test_another_company_s_appointments_are_not_there(cast: Cast) -> None:
    row = factories.make_appointment(cast.praxis, start=at(9))
    place = Place(row.start_time, row.id)
    for stretch in (part(), part(place), part(high=Place(at(23)))):
        page = agenda(cast.salon, stretch, every_branch=True)
        assert (ids(page), page.counts) == ([], {})


# ---- Nights -----------------------------------------------------------------------------------------------------


def test_the_doubled_hour_stands_in_order_and_midnight_is_crossed_once(cast: Cast) -> None:
    firm = cast.salon
    before = factories.make_appointment(firm, start=at(23, 30, AUTUMN - timedelta(days=1)), minutes=60)
    second = factories.make_appointment(firm, start=at(2, 30, AUTUMN, fold=1), minutes=30)
    first = factories.make_appointment(firm, start=at(2, 30, AUTUMN), minutes=30)
    page = agenda(firm, day=AUTUMN - timedelta(days=1))
    assert ids(page) == [before.id, first.id, second.id]
    assert [(group.day, len(group.entries)) for group in page.groups] == [
        (AUTUMN - timedelta(days=1), 1),
        (AUTUMN, 2),
    ]
