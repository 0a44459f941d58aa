"""Nights on which clocks change, ends of years, and zones that differ: every appointment once, in order, told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import filters
from portal.db import db
from portal.domain import availability, calendar, calendar_list, calendar_month, free_times, sheet_axis
from portal.domain.availability import Interval, day_bounds, hour_marks, local_instant
from portal.domain.calendar import Wish
from portal.domain.calendar_list import Filters, Stretch
from portal.domain.sheet import Sheet
from portal.models import Appointment, Branch, PortalUser, Service, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import save, within

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HALF_AN_HOUR = timedelta(minutes=30)
LONG_BEFORE = datetime(2026, 6, 1, tzinfo=UTC)
# Whole hours, half an hour (Lord Howe), at midnight (Cairo, Santiago, Havana), never, and at odd minutes (Kathmandu).
ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "Europe/Istanbul",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "America/Havana",
    "Asia/Kathmandu",
]


def at(day: date, hour: int, minute: int = 0, fold: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.combine(day, time(hour, minute, fold=fold), tzinfo=zone).astimezone(UTC)


# ---- Any zone, any instant --------------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_wall_clock_time_leads_back_to_its_instant_and_lies_in_its_day(name: str, instant: datetime) -> None:
    zone = ZoneInfo(name)
    instant = instant.replace(second=0, microsecond=0)
    local = instant.astimezone(zone)
    clock = local.time().replace(tzinfo=None, fold=0)
    comings = [local_instant(local.date(), clock, zone, last=last) for last in (False, True)]
    assert instant == comings[local.fold]
    bounds = day_bounds(local.date(), zone)
    assert bounds.start <= instant < bounds.end
    assert bounds.end == day_bounds(local.date() + DAY, zone).start


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("year", [2027, 2028])
def test_the_days_of_a_year_follow_each_other_without_a_gap(name: str, year: int) -> None:
    zone = ZoneInfo(name)
    days = [date(year, 1, 1) + number * DAY for number in range(366 if year % 4 == 0 else 365)]
    bounds = [day_bounds(day, zone) for day in days]
    assert bounds[0].start == at(days[0], 0, zone=zone)
    assert bounds[-1].end == at(date(year + 1, 1, 1), 0, zone=zone)
    assert all(one.end == following.start for one, following in pairwise(bounds))
    assert sum((one.duration for one in bounds), timedelta()) == bounds[-1].end - bounds[0].start


@pytest.mark.parametrize("name", ZONES)
def test_every_half_hour_of_a_year_has_one_row_on_its_own_day_and_they_are_in_order(name: str) -> None:
    """On sheets of the whole day: what lasts ten minutes stands on one of them, after what was before."""
    zone = ZoneInfo(name)
    instant, end = day_bounds(date(2027, 1, 1), zone).start, day_bounds(date(2027, 12, 31), zone).end
    before: tuple[date, int] = (date.min, 0)
    while instant < end:
        day = instant.astimezone(zone).date()
        if day != before[0]:
            axes = {each: whole_day(each, zone) for each in (day - DAY, day, day + DAY)}
        visit = Interval(instant, instant + 10 * MINUTE)
        assert [each for each, axis in axes.items() if axis.span(visit, each)] == [day]
        row, length = axes[day].span(visit, day) or (-1, 0)
        assert length == 2
        assert 0 <= row < axes[day].rows
        assert (day, row) > before
        before = (day, row)
        instant += HALF_AN_HOUR


@lru_cache(maxsize=4)
def whole_day(day: date, zone: ZoneInfo) -> sheet_axis.Axis:
    return sheet_axis.axis([day], zone, [(day, day_bounds(day, zone))])


@pytest.mark.parametrize("name", ZONES)
def test_the_hours_of_every_day_are_those_of_the_clock_on_the_wall(name: str) -> None:
    zone = ZoneInfo(name)
    for number in range(366):
        day = date(2028, 1, 1) + number * DAY
        shown = []
        moment, end = day_bounds(day, zone).start, day_bounds(day, zone).end
        while moment < end:
            local = moment.astimezone(zone)
            if (local.hour, local.fold) not in [hour for hour, _ in shown]:
                shown.append(((local.hour, local.fold), moment))
            moment += 15 * MINUTE
        assert hour_marks(day, zone) == [moment for _, moment in shown]


# ---- The two nights in Berlin -----------------------------------------------------------------------------------

# day before, hour, minute, fold, how long
SPRING_NIGHT = [(1, 23, 30, 0, 60), (0, 0, 30, 0, 30), (0, 1, 30, 0, 60), (0, 3, 30, 0, 45), (0, 23, 30, 0, 60)]
AUTUMN_NIGHT = [
    (1, 23, 30, 0, 60),
    (0, 1, 30, 0, 60),
    (0, 2, 30, 0, 30),
    (0, 2, 0, 1, 15),
    (0, 2, 30, 1, 30),
    (0, 3, 0, 0, 30),
    (0, 23, 30, 0, 60),
]
NIGHTS = [(SPRING, SPRING_NIGHT), (AUTUMN, AUTUMN_NIGHT)]


def book_night(firm: Firm, day: date, night: list[tuple[int, int, int, int, int]]) -> list[Appointment]:
    """Written in no order, so that an order by number is none by time."""
    rows = [
        factories.make_appointment(firm, start=at(day - before * DAY, hour, minute, fold), minutes=minutes)
        for before, hour, minute, fold, minutes in night[::-1]
    ]
    return sorted(rows, key=lambda row: row.start_time)


def sheet(firm: Firm, day: date, **wish: Any) -> Sheet:
    with tenant_scope(firm.id):
        found = calendar.sheet(Wish(day=day, **wish), LONG_BEFORE)
    assert found is not None
    return found


def agenda(firm: Firm, day: date, most: int = 50) -> Iterator[calendar_list.DayOf]:
    """All days of the list, page by page."""
    stretch: Stretch | None = Stretch(most=most)
    while stretch is not None:
        with tenant_scope(firm.id):
            page = calendar_list.agenda(Wish(view="list", day=day), Filters(), stretch, LONG_BEFORE)
        assert page is not None
        yield from page.groups
        stretch = Stretch(low=page.later, most=most) if page.later else None


def month_day(firm: Firm, day: date) -> calendar_month.Day:
    with tenant_scope(firm.id):
        found = calendar_month.month(Wish(view="month", day=day), LONG_BEFORE)
    assert found is not None
    return next(each for week in found.weeks for each in week.days if each.day == day)


def rows_of(place: str) -> tuple[int, int]:
    found = re.match(r"r(\d+) s(\d+)", place)
    assert found
    return int(found[1]), int(found[2])


@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_the_day_shows_each_once_in_order_and_beside_nobody(cast: Cast, day: date, night: list[Any]) -> None:
    rows = book_night(cast.salon, day, night)
    found = sheet(cast.salon, day)
    assert [line.entry.id for line in found.lines if line.entry] == [row.id for row in rows]
    assert sorted(entry.id for entry in found.entries) == sorted(row.id for row in rows)
    assert found.count == len(rows) - 1  # the first one counts on the day on which it begins
    assert found.clashes == []
    assert {entry.lane for entry in found.entries} == {""}
    placed = sorted(rows_of(entry.place) for entry in found.entries)
    assert all(first + length <= following for (first, length), (following, _) in pairwise(placed))
    assert found.rows == (23 if day == SPRING else 25) * sheet_axis.ROWS_PER_HOUR


@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_what_crosses_midnight_stands_on_both_days_and_once_on_each(cast: Cast, day: date, night: list[Any]) -> None:
    first, *_, last = book_night(cast.salon, day, night)
    before, after = sheet(cast.salon, day - DAY), sheet(cast.salon, day + DAY)
    assert [(entry.id, entry.before, entry.beyond) for entry in before.entries] == [(first.id, False, True)]
    assert [(entry.id, entry.before, entry.beyond) for entry in after.entries] == [(last.id, True, False)]
    assert (before.count, after.count) == (1, 0)


@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_the_week_shows_each_in_its_column_and_in_order(cast: Cast, day: date, night: list[Any]) -> None:
    rows = book_night(cast.salon, day, night)
    found = sheet(cast.salon, day, view="week")
    assert found.count == len(rows)
    (sunday,) = [column for column in found.columns if column.day == day]
    assert [entry.id for entry in sorted(sunday.entries, key=lambda one: rows_of(one.place))] == [
        row.id for row in rows
    ]
    (saturday,) = [column for column in found.columns if column.day == day - DAY]
    assert [entry.id for entry in saturday.entries] == [rows[0].id]


@pytest.mark.parametrize("most", [50, 2, 1])
@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_the_list_shows_each_once_and_in_order_however_short_its_pages(
    cast: Cast, day: date, night: list[Any], most: int
) -> None:
    rows = book_night(cast.salon, day, night)
    groups = list(agenda(cast.salon, day - DAY, most))
    assert [entry.id for group in groups for entry in group.entries] == [row.id for row in rows]
    for group in groups:
        assert {entry.start.astimezone(BERLIN).date() for entry in group.entries} == {group.day}


@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_the_month_counts_each_on_the_day_on_which_it_begins(cast: Cast, day: date, night: list[Any]) -> None:
    rows = book_night(cast.salon, day, night)
    found = [month_day(cast.salon, each) for each in (day - DAY, day)]
    assert [each.count for each in found] == [1, len(rows) - 1]
    assert [glance.id for glance in found[1].first] == [row.id for row in rows[1:4]]
    if day == SPRING:
        assert month_day(cast.salon, day + DAY).count == 0


def test_the_two_comings_of_half_past_two_are_told_apart_in_words(app: Any) -> None:
    first, second = at(AUTUMN, 2, 30), at(AUTUMN, 2, 30, fold=1)
    assert second - first == timedelta(hours=1)
    with app.test_request_context():
        words = [filters.clock(moment, "Europe/Berlin") for moment in (first, second)]
        spans = [filters.clock_span(moment, moment + HALF_AN_HOUR, "Europe/Berlin") for moment in (first, second)]
        across = filters.clock_span(at(AUTUMN, 1, 30), at(AUTUMN, 2, 30, fold=1), "Europe/Berlin")
        plain = filters.clock(at(AUTUMN + DAY, 2, 30), "Europe/Berlin")
    assert len(set(words)) == len(set(spans)) == 2
    assert [word.split("\xa0")[1] for word in words] in (["CEST", "CET"], ["MESZ", "MEZ"])
    assert across.count("\xa0") == 2
    assert plain == "02:30"


@pytest.mark.parametrize("view", ["day", "week", "month", "list"])
@pytest.mark.parametrize(("day", "night"), NIGHTS)
def test_every_page_opens_and_names_the_zone_where_it_must(
    client: PortalClient, cast: Cast, view: str, day: date, night: list[Any]
) -> None:
    rows = book_night(cast.salon, day, night)
    client.sign_in(cast.salon.owner)
    answer = client.get(
        f"/calendar?view={view}&date={day - DAY if view == 'list' else day}&branch={cast.salon.main.id}"
    )
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    if view != "month":
        assert all(f"/appointments/{row.id}" in text for row in rows)
    if day == AUTUMN:
        assert "02:30\xa0MESZ" in text  # in a month's cell there are the first three, among them this one
        assert view == "month" or "02:30\xa0MEZ" in text


def test_hours_and_free_times_of_the_nights_are_as_long_as_they_are(cast: Cast) -> None:
    firm = cast.salon
    row = {"branch_id": firm.main.id, "weekday": 7, "opens_at": time(1), "closes_at": time(4)}
    save(firm, WorkingHours(company_id=firm.id, **row))
    wish = save(firm, Service(company_id=firm.id, name="Kurz", duration_minutes=30, max_advance_days=900))
    with tenant_scope(firm.id):
        branch = db.session.get_one(Branch, firm.main.id)
        found = {
            day: free_times.search(branch, wish, LONG_BEFORE, start=day, shown=1).days[0]
            for day in (SPRING, SPRING + 7 * DAY, AUTUMN)
        }
    assert [len(each.times) for each in found.values()] == [7, 11, 15]  # of two, three and four hours
    for day, each in found.items():
        assert each.day == day
        starts = [free.start for free in each.times]
        assert starts == sorted(set(starts))
        assert starts[0] == at(day, 1)
        assert starts[-1] == at(day, 3, 30)
    in_spring = [f"{free.start.astimezone(BERLIN):%H:%M}" for free in found[SPRING].times]
    assert in_spring == ["01:00", "01:15", "01:30", "01:45", "03:00", "03:15", "03:30"]


# ---- Ends of years, and the 29th of February --------------------------------------------------------------------


def test_the_week_and_the_month_around_new_year(cast: Cast) -> None:
    firm = cast.salon
    eve = date(2026, 12, 31)
    rows = [factories.make_appointment(firm, start=at(eve, 23, 30), minutes=60)]
    rows.append(factories.make_appointment(firm, start=at(eve + DAY, 0, 30), minutes=30))
    week = sheet(firm, eve, view="week")
    assert (week.days[0], week.days[-1]) == (date(2026, 12, 28), date(2027, 1, 3))
    assert week.days == sheet(firm, eve + DAY, view="week").days
    assert week.count == 2
    assert sheet(firm, date(2027, 1, 4), view="week").count == 0
    with tenant_scope(firm.id):
        months = [calendar_month.month(Wish(view="month", day=day), LONG_BEFORE) for day in (eve, eve + DAY)]
    assert [month.weeks[-1 if month.day == eve else 0].number for month in months if month] == [53, 53]
    assert [month.count for month in months if month] == [1, 1]
    assert [[entry.id for entry in group.entries] for group in agenda(firm, eve)] == [[rows[0].id], [rows[1].id]]


def test_the_29th_of_february(cast: Cast) -> None:
    firm = cast.salon
    leap = date(2028, 2, 29)
    row = factories.make_appointment(firm, start=at(leap, 10))
    assert [entry.id for entry in sheet(firm, leap).entries] == [row.id]
    assert sheet(firm, leap - DAY).entries == sheet(firm, leap + DAY).entries == []
    assert month_day(firm, leap).count == 1
    assert month_day(firm, leap).in_month
    save(
        firm, WorkingHours(company_id=firm.id, branch_id=firm.main.id, weekday=2, opens_at=time(9), closes_at=time(10))
    )
    wish = save(firm, Service(company_id=firm.id, name="Kurz", duration_minutes=60, max_advance_days=365))
    now = at(date(2027, 3, 1), 0)
    with tenant_scope(firm.id):
        branch = db.session.get_one(Branch, firm.main.id)
        found = free_times.search(branch, wish, now, start=leap, by_customer=True)
    assert [day.day for day in found.days] == [leap]  # 365 days after the 1st of March 2027


# ---- Branches in several zones ----------------------------------------------------------------------------------


@pytest.fixture
def traveller(client: PortalClient, cast: Cast) -> PortalClient:
    """The owner, whose profile says New York, of branches in Berlin, London and Istanbul."""
    firm = cast.salon

    def spread() -> None:
        db.session.get_one(Branch, firm.other.id).timezone = "Europe/London"
        db.session.get_one(PortalUser, firm.owner.id).timezone = "America/New_York"
        db.session.add(
            Branch(company_id=firm.id, name="Salon Test Moda", address="Sokak 3", timezone="Europe/Istanbul")
        )

    within(firm, spread)
    return client.sign_in(firm.owner)


def istanbul_of(firm: Firm) -> int:
    with tenant_scope(firm.id):
        return int(db.session.query(Branch).filter_by(timezone="Europe/Istanbul").one().id)


@pytest.mark.parametrize("day", [SPRING, AUTUMN, date(2027, 7, 1)])
def test_each_branch_shows_its_own_clock_wherever_the_reader_is(traveller: PortalClient, cast: Cast, day: date) -> None:
    firm = cast.salon
    start = at(day, 12)  # in Berlin, on the day of a change already after it
    branches = {firm.main.id: "Europe/Berlin", firm.other.id: "Europe/London", istanbul_of(firm): "Europe/Istanbul"}
    for branch_id, name in branches.items():
        row = factories.make_appointment(firm, start=start, branch_id=branch_id)
        clock = f"{start.astimezone(ZoneInfo(name)):%H:%M}"
        for url in (
            f"/appointments/{row.id}",
            *(f"/calendar?view={view}&date={day}&branch={branch_id}" for view in ("day", "week", "month", "list")),
        ):
            text = traveller.get(url).get_data(as_text=True)
            assert clock in text, (url, clock)
            assert f"{start.astimezone(ZoneInfo('America/New_York')):%H:%M}" not in _times_in(text), url
        edit = traveller.get(f"/appointments/{row.id}/edit").get_data(as_text=True)
        assert f'value="{clock}"' in edit


def _times_in(text: str) -> set[str]:
    """The times of day that stand on the sheet's appointments."""
    return set(re.findall(r"\b\d\d:\d\d\b", re.sub(r"(?s)<form.*?</form>|<(header|aside|nav).*?</\1>", "", text)))


def test_a_time_that_one_branch_skips_another_has(traveller: PortalClient, cast: Cast) -> None:
    """On 29 March 2037, which is to come, Berlin has no half past two, London no half past one, Istanbul has both."""
    firm, spring = cast.salon, date(2037, 3, 29)
    istanbul = istanbul_of(firm)
    cases = [
        (firm.main.id, "02:30", None),
        (firm.main.id, "01:30", at(spring, 1, 30)),
        (firm.other.id, "01:30", None),
        (firm.other.id, "02:30", at(spring, 2, 30, zone=ZoneInfo("Europe/London"))),
        (istanbul, "01:30", at(spring, 1, 30, zone=ZoneInfo("Europe/Istanbul"))),
        (istanbul, "02:30", at(spring, 2, 30, zone=ZoneInfo("Europe/Istanbul"))),
    ]
    for branch_id, clock, start in cases:
        data = {"customer": firm.customer.id, "branch": branch_id, "service": firm.cut.id, "staff": ""}
        data |= {"date": spring.isoformat(), "time": clock, "source": "admin"}
        answer = traveller.post("/appointments/new", data=data)
        assert answer.status_code == (303 if start else 422), (branch_id, clock)
        with tenant_scope(firm.id):
            rows = db.session.query(Appointment).order_by(Appointment.id).all()
        assert start is None or rows[-1].start_time == start


def test_all_branches_on_one_sheet_stand_at_their_instant_and_the_sheet_says_so(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: setattr(db.session.get_one(Branch, firm.other.id), "timezone", "Europe/Istanbul"))
    noon = at(AUTUMN, 12)
    here = factories.make_appointment(firm, start=noon)
    there = factories.make_appointment(firm, start=noon, branch_id=firm.other.id, staff_id=firm.colleague.id)
    found = sheet(firm, AUTUMN, every_branch=True)
    assert found.mixed_zones
    assert found.zone == "Europe/Berlin"
    places = {entry.id: entry.place for entry in found.entries}
    assert places[here.id] == places[there.id]


def test_availability_is_not_fooled_by_a_day_that_has_no_midnight() -> None:
    santiago, spring = ZoneInfo("America/Santiago"), date(2027, 9, 5)  # 24:00 becomes 01:00
    assert day_bounds(spring, santiago).duration == timedelta(hours=23)
    whole = availability.opening(spring, santiago, [availability.Hours(7, time(0), time(0))])
    assert whole == [day_bounds(spring, santiago)]
    assert hour_marks(spring, santiago)[0].astimezone(santiago).hour == 1
