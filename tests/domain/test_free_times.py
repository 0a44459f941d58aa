"""Free times: held against a slow model that looks at every minute, and against what can really be booked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.db import db
from portal.domain import appointments, free_times
from portal.domain.availability import STEP, Interval
from portal.domain.free_times import Found, FreeTime, Need
from portal.domain.slots import Plan
from portal.domain.timetable import Timetable
from portal.models import Branch, BranchClosure, Service, Staff, StaffAbsence, StaffEventType, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import save, within
from tests.queries import Queries

BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
TUESDAY = date(2027, 3, 9)
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HERE = 1  # the branch of the model
ANNA, BEN = 11, 12


def at(hour: int, minute: int = 0, day: date = TUESDAY, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)


# ---- The model: minute by minute --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    zone: ZoneInfo
    days: list[date]
    hours: list[tuple[int | None, int, time, time]]  # whose, weekday, from, until
    closures: list[tuple[date, time | None, time | None]]
    absences: list[tuple[int, Interval]]
    busy: dict[int, list[Interval]]
    need: Need

    @property
    def timetable(self) -> Timetable:
        return Timetable(
            zones={HERE: self.zone},
            hours=[
                WorkingHours(branch_id=HERE, staff_id=whose, weekday=weekday, opens_at=opens, closes_at=closes)
                for whose, weekday, opens, closes in self.hours
            ],
            closures=[
                BranchClosure(branch_id=HERE, date=day, opens_at=opens, closes_at=closes)
                for day, opens, closes in self.closures
            ],
            absences=[
                StaffAbsence(staff_id=whose, starts_at=span.start, ends_at=span.end, kind="other")
                for whose, span in self.absences
            ],
            places={HERE: None},
        )


class Model:
    """What is free, found by asking every minute of some days the plainest questions."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.minutes: dict[date, list[datetime]] = {}
        moment = datetime.combine(min(case.days), time(0), tzinfo=UTC) - DAY
        while moment.date() <= max(case.days) + 3 * DAY:
            self.minutes.setdefault(moment.astimezone(case.zone).date(), []).append(moment)
            moment += MINUTE

    def found(self) -> list[FreeTime]:
        per_person = {whose: set(self.starts(whose)) for whose in self.case.busy}
        return [
            FreeTime(
                start, start + self.case.need.duration, tuple(who for who, own in per_person.items() if start in own)
            )
            for start in sorted(set().union(*per_person.values()))
        ]

    def starts(self, whose: int) -> Iterator[datetime]:
        need = self.case.need
        per_day = {day: self.at_work(whose, day) for day in {*self.case.days, *(day + DAY for day in self.case.days)}}
        working = set().union(*per_day.values())
        taken = {minute for span in self.case.busy[whose] for minute in _minutes(span.start, span.end)}
        for day in self.case.days:
            for start, opening in _with_openings(per_day[day]):
                on_grid = (start - opening) % STEP == timedelta(0)
                if on_grid and need.earliest <= start < need.until:
                    end = start + need.duration
                    around = set(_minutes(start - need.before, end + need.after))
                    if set(_minutes(start, end)) <= working and not around & taken:
                        yield start

    def at_work(self, whose: int, day: date) -> set[datetime]:
        special = [(opens, closes) for when, opens, closes in self.case.closures if when == day]
        own = [row for row in self.case.hours if row[0] == whose]
        rows = own or [row for row in self.case.hours if row[0] is None]
        minutes = {
            minute for _, weekday, *span in rows if weekday == day.isoweekday() for minute in self.wall(day, *span)
        }
        if any(opens is None or closes is None for opens, closes in special):
            minutes = set()
        elif special:
            opened = {minute for span in special for minute in self.wall(day, *span)}  # type: ignore[arg-type]
            minutes = minutes & opened if own else opened
        away = {minute for who, span in self.case.absences if who == whose for minute in _minutes(span.start, span.end)}
        return minutes - away

    def wall(self, day: date, opens: time, closes: time) -> list[datetime]:
        """From the first minute that the wall shows as late as that, to the last that it shows earlier than this."""
        shown = [(minute, minute.astimezone(self.case.zone).time()) for minute in self.minutes[day]]
        first = next((place for place, (_, wall) in enumerate(shown) if wall >= opens), len(shown))
        last = max((place for place, (_, wall) in enumerate(shown) if closes == time(0) or wall < closes), default=-1)
        return [minute for minute, _ in shown[first : last + 1]]


def _minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE


def _with_openings(minutes: set[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Each minute, with the first one of those that go on without a gap up to it."""
    opening = None
    for minute in sorted(minutes):
        opening = minute if opening is None or minute - MINUTE not in minutes else opening
        yield minute, opening


# ---- Against the model ------------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> Case:
    zone, first = draw(
        st.sampled_from(
            [
                *((BERLIN, day) for day in (TUESDAY, SPRING, AUTUMN, SPRING - DAY, AUTUMN - DAY)),
                *((LORD_HOWE, day) for day in (date(2027, 4, 4), date(2027, 10, 2))),
            ]
        )
    )
    days = [first, first + DAY]
    midnight = datetime.combine(first, time(0), tzinfo=zone).astimezone(UTC)
    quarters = st.integers(-8, 200).map(lambda n: midnight + n * 15 * MINUTE)
    spans = st.builds(
        lambda start, length: Interval(start, start + length * MINUTE), quarters, st.sampled_from([5, 15, 30, 300])
    )
    walls = st.tuples(st.integers(0, 95), st.integers(1, 96)).map(_opening)
    weekdays = st.sampled_from([day.isoweekday() for day in (*days, days[-1] + DAY)])
    hours = st.tuples(st.sampled_from([None, None, ANNA]), weekdays, walls).map(lambda row: (*row[:2], *row[2]))
    closures = st.tuples(st.sampled_from(days), st.one_of(st.just((None, None)), walls)).map(
        lambda row: (row[0], *row[1])
    )
    return Case(
        zone=zone,
        days=days,
        hours=draw(st.lists(hours, min_size=1, max_size=5)),
        closures=draw(st.lists(closures, max_size=2)),
        absences=draw(st.lists(st.tuples(st.sampled_from([ANNA, BEN]), spans), max_size=2)),
        busy={ANNA: draw(st.lists(spans, max_size=8)), BEN: draw(st.lists(spans, max_size=3))},
        need=Need(
            duration=draw(st.sampled_from([5, 30, 45, 200])) * MINUTE,
            earliest=draw(quarters),
            until=draw(quarters),
            before=draw(st.sampled_from([0, 5, 15])) * MINUTE,
            after=draw(st.sampled_from([0, 10, 15])) * MINUTE,
        ),
    )


def _opening(quarters: tuple[int, int]) -> tuple[time, time]:
    first, length = quarters
    last = min(first + length, 96) % 96
    return time(first // 4, first % 4 * 15), time(last // 4, last % 4 * 15)


ROUND_THE_CLOCK = [(None, weekday, time(0), time(0)) for weekday in range(1, 8)]
MORNING = (None, 2, time(9), time(12))
FREE: dict[int, list[Interval]] = {ANNA: [], BEN: []}


def long(day: date, minutes: int = 200) -> Need:
    return Need(minutes * MINUTE, at(0, day=day - DAY), at(0, day=day + 3 * DAY))


@settings(max_examples=120)
@given(cases())
@example(Case(BERLIN, [SPRING - DAY, SPRING], ROUND_THE_CLOCK, [], [], FREE, long(SPRING)))
@example(Case(BERLIN, [AUTUMN - DAY, AUTUMN], ROUND_THE_CLOCK, [], [], FREE, long(AUTUMN)))
@example(Case(BERLIN, [AUTUMN], [(None, 7, time(2, 30), time(3, 0))], [], [], FREE, long(AUTUMN, 30)))
@example(Case(BERLIN, [SPRING], [(None, 7, time(1, 0), time(2, 30))], [], [], FREE, long(SPRING, 30)))
@example(Case(BERLIN, [TUESDAY], [MORNING], [], [], {ANNA: [Interval(at(9, 30), at(10))]}, long(TUESDAY, 30)))
@example(Case(BERLIN, [TUESDAY], [], [], [], FREE, long(TUESDAY)))
def test_exactly_what_is_free_minute_by_minute_is_offered(case: Case) -> None:
    found = free_times.free(case.timetable, HERE, case.busy, case.days, case.need)
    assert found == Model(case).found()


@given(cases())
def test_a_day_s_times_do_not_depend_on_the_days_asked_with_it(case: Case) -> None:
    def ask(days: list[date]) -> list[FreeTime]:
        return free_times.free(case.timetable, HERE, case.busy, days, case.need)

    assert ask(case.days) == ask(case.days[:1]) + ask(case.days[1:])


def test_a_need_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Need(timedelta(0), at(8), at(9))


# ---- From the database ------------------------------------------------------------------------------------------


NOW = at(7)


def hours(firm: Firm, opens: time = time(9), closes: time = time(12), **values: Any) -> None:
    values = {"branch_id": firm.main.id} | values
    rows = [
        WorkingHours(company_id=firm.id, weekday=weekday, opens_at=opens, closes_at=closes, **values)
        for weekday in values.pop("weekdays", range(1, 8))
    ]
    within(firm, lambda: db.session.add_all(rows))


def service(firm: Firm, **values: Any) -> Service:
    values = {"name": "Beratung", "duration_minutes": 30, "min_advance_hours": 24, "max_advance_days": 30} | values
    return save(firm, Service(company_id=firm.id, **values))


def search(firm: Firm, wish: Service | None, now: datetime = NOW, **values: Any) -> Found:
    with tenant_scope(firm.id):
        branch = db.session.get_one(Branch, values.pop("branch_id", firm.main.id))
        return free_times.search(branch, wish, now, **values)


def starts(found: Found) -> list[datetime]:
    return [time.start for day in found.days for time in day.times]


def clocks(found: Found, day: date = TUESDAY) -> list[str]:
    return [f"{time.start.astimezone(BERLIN):%H:%M}" for each in found.days if each.day == day for time in each.times]


def test_what_stands_and_its_buffers_and_the_service_s_buffer_are_kept_clear(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(12))
    factories.make_appointment(firm, start=at(10), minutes=30, buffer_before=5, buffer_after=20)
    factories.make_appointment(firm, start=at(11, 30), minutes=30, status="cancelled")
    assert clocks(search(firm, service(firm, buffer_time_minutes=15))) == ["09:00", "11:00", "11:15", "11:30"]


def test_an_appointment_at_another_branch_takes_the_time_as_well(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    factories.make_appointment(firm, start=at(9), minutes=30, branch_id=firm.other.id)
    assert clocks(search(firm, service(firm))) == ["09:30"]


def test_the_appointment_that_is_to_be_moved_is_not_in_its_own_way(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    row = factories.make_appointment(firm, start=at(9), minutes=60)
    assert clocks(search(firm, service(firm))) == []
    assert clocks(search(firm, service(firm), but=row.id)) == ["09:00", "09:15", "09:30"]


def test_customers_keep_the_notice_and_the_window_and_the_desk_is_shown_both(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    wish = service(firm, min_advance_hours=26, max_advance_days=3)
    theirs = search(firm, wish, by_customer=True, shown=50)
    assert [day.day - TUESDAY for day in theirs.days] == [DAY, 2 * DAY, 3 * DAY]
    assert clocks(theirs, TUESDAY + DAY) == ["09:00", "09:15", "09:30"]
    assert theirs.later is None
    later = search(firm, wish, now=NOW + MINUTE, by_customer=True)
    assert clocks(later, TUESDAY + DAY) == ["09:15", "09:30"]
    ours = search(firm, wish, shown=50)
    assert ours.days[0].day == TUESDAY
    assert ours.limits is not None
    assert [start for start in starts(ours) if ours.limits.hold(start)] == starts(theirs)


def test_nothing_starts_before_now(cast: Cast) -> None:
    hours(cast.salon, time(9), time(10))
    found = search(cast.salon, service(cast.salon), now=at(9, 20))
    assert clocks(found) == ["09:30"]


def test_page_after_page_shows_everything_once(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10), weekdays=[2, 4])
    wish = service(firm, max_advance_days=60)
    whole = search(firm, wish, by_customer=True, shown=500)
    pages, start = [], None
    for _ in range(20):
        page = search(firm, wish, by_customer=True, start=start, shown=3)
        pages += starts(page)
        if page.later is None:
            break
        start = page.later
    assert pages == starts(whole)
    assert len(pages) == 17 * 3


def test_at_the_desk_one_may_look_beyond_an_empty_stretch(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10), valid_from=TUESDAY + 100 * DAY)
    first = search(firm, service(firm))
    assert (first.days, first.later) == ([], TUESDAY + free_times.HORIZON * DAY)
    assert search(firm, service(firm), start=first.later).days[0].day == TUESDAY + 100 * DAY


def test_the_first_free_with_anybody_names_all_who_could(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    second = save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, first_name="Anna", last_name="Berg"))
    factories.make_appointment(firm, start=at(9), minutes=30, staff_id=second.id)
    found = search(firm, service(firm))
    assert [time.staff_ids for time in found.days[0].times] == [
        (firm.stylist.id,),
        (firm.stylist.id,),
        (second.id, firm.stylist.id),
    ]
    assert found.names == {second.id: "Anna Berg", firm.stylist.id: "Sofia Klein"}
    one = search(firm, service(firm), staff_id=second.id)
    assert (clocks(one), one.names) == (["09:30"], {second.id: "Anna Berg"})
    assert search(firm, service(firm), among={firm.stylist.id: "Sofia Klein"}).names == {firm.stylist.id: "Sofia Klein"}


def test_who_has_hours_at_a_branch_belongs_to_it_and_who_takes_no_appointments_does_not(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    hours(firm, time(9), time(10), staff_id=firm.colleague.id, weekdays=[3])
    assert set(search(firm, service(firm)).names) == {firm.stylist.id, firm.colleague.id}
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.stylist.id), "is_available", False))
    found = search(firm, service(firm))
    assert set(found.names) == {firm.colleague.id}
    assert found.days[0].day == TUESDAY + DAY


def test_where_it_is_known_who_takes_a_service_nobody_else_is_asked(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, first_name="Anna", last_name="Berg"))
    assert set(search(firm, firm.cut).names) == {firm.stylist.id}
    mapping = (firm.event_type.id, firm.stylist.id)

    def forget() -> None:
        db.session.query(StaffEventType).filter_by(event_type_id=mapping[0], staff_id=mapping[1]).delete()

    within(firm, forget)
    assert len(search(firm, firm.cut).names) == 2


def test_absences_closures_and_breaks_are_left_out(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    hours(firm, time(11), time(12))
    away = {"staff_id": firm.stylist.id, "starts_at": at(9, 30), "ends_at": at(11, 15), "kind": "training"}
    save(firm, StaffAbsence(company_id=firm.id, **away))
    save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=TUESDAY + DAY))
    found = search(firm, service(firm))
    assert clocks(found) == ["09:00", "11:15", "11:30"]
    assert found.days[1].day == TUESDAY + 2 * DAY


def test_a_public_holiday_is_left_out(cast: Cast) -> None:
    firm = cast.salon
    hours(firm)
    friday = date(2027, 3, 26)  # Good Friday

    def choose() -> None:
        db.session.get_one(Branch, firm.main.id).region = "BE"

    within(firm, choose)
    found = search(firm, service(firm), start=friday)
    assert found.days[0].day == friday + DAY


def test_a_service_of_another_branch_is_offered_nowhere_else(cast: Cast) -> None:
    firm = cast.salon
    hours(firm)
    wish = service(firm, branch_id=firm.other.id)
    assert search(firm, wish).days == []
    hours(firm, branch_id=firm.other.id)
    assert search(firm, wish, branch_id=firm.other.id).days != []


def test_without_known_hours_nothing_is_offered(cast: Cast) -> None:
    assert search(cast.salon, service(cast.salon)).days == []


def test_the_other_company_has_no_part_in_it(cast: Cast) -> None:
    hours(cast.salon, time(9), time(10))
    factories.make_appointment(cast.praxis, start=at(9), minutes=60)
    found = search(cast.salon, service(cast.salon))
    assert clocks(found) == ["09:00", "09:15", "09:30"]
    assert cast.praxis.stylist.id not in found.names


def test_every_time_that_is_offered_can_be_booked_and_no_other(cast: Cast) -> None:
    """On the day of 25 hours, nearly round the clock: what is offered and taken is gone; what is left is free."""
    firm = cast.salon
    hours(firm, time(0), time(2, 30))
    hours(firm, time(2, 30), time(23, 59), weekdays=[7])
    wish = service(firm, duration_minutes=50, buffer_time_minutes=10)
    now = at(12, day=AUTUMN - DAY)
    offered = starts(search(firm, wish, now=now, start=AUTUMN, shown=1))
    assert len(offered) > 90
    booked = 0
    while offered:
        plan = Plan(
            branch_id=firm.main.id,
            customer_id=firm.customer.id,
            staff_id=firm.stylist.id,
            start=offered[len(offered) // 2],
            end=offered[len(offered) // 2] + 50 * MINUTE,
            service_id=wish.id,
        )
        within(firm, lambda plan=plan: appointments.book_by_hand(plan, now=now))  # type: ignore[misc]
        booked += 1
        found = search(firm, wish, now=now, start=AUTUMN, shown=1)
        offered = starts(found) if found.days and found.days[0].day == AUTUMN else []
    assert booked > 12


def test_it_takes_as_many_queries_for_many_people_and_days_as_for_one(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(10))
    wish = service(firm)

    def asked(**values: Any) -> int:
        with tenant_scope(firm.id):
            branch = db.session.get_one(Branch, firm.main.id)
            with Queries() as queries:
                free_times.search(branch, wish, NOW, **values)
        return len(queries)

    few = asked(shown=1)
    for number in range(12):
        save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, first_name=f"Nr. {number}", last_name="Berg"))
        factories.make_appointment(firm, start=at(9) + number * DAY)
    assert asked(shown=3) == few <= 8
    assert asked(shown=60) == few + 1  # what lies beyond two weeks is read after
