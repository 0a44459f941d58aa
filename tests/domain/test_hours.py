"""Weeks and seasons: what is saved is what is shown, what is refused, and what counts on a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal.db import db
from portal.domain import availability, hours, stranded, timetable
from portal.domain.availability import Hours
from portal.domain.errors import DomainError
from portal.domain.hours import ALWAYS, EMPTY, ChangedMeanwhile, Days, Plan, Season, Span, Whose, Wrong
from portal.forms.hours import TypedWeek
from portal.models import AuditLog, Branch, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NINE_TO_FIVE: Days = ((((time(9), time(12)), (time(13), time(17))),) * 5) + ((), ())
SUMMER = (date(2027, 6, 1), date(2027, 8, 31))


def week(*spans: Span) -> Days:
    """The same on every weekday, nothing on the weekend."""
    return ((tuple(spans),) * 5) + ((), ())


# ---- Pure -------------------------------------------------------------------------------------------------------


@st.composite
def days_of_spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Hours of a day that do not overlap; some meet."""
    minutes = sorted(draw(st.lists(st.integers(0, 1439), unique=True, max_size=8)))
    pairs = zip(minutes[::2], minutes[1::2], strict=False)
    return tuple((time(one // 60, one % 60), time(other // 60, other % 60)) for one, other in pairs)


weeks = st.tuples(*(days_of_spans() for _day in range(7)))


@pytest.mark.parametrize(
    ("spans", "wrong"),
    [
        (((time(18), time(0)),), []),
        (((time(0), time(0)),), []),  # all day
        (((time(9), time(12)), (time(18), time(0))), []),
        (((time(18), time(0)), (time(22), time(23))), [1]),
        (((time(22), time(0)), (time(9), time(0))), [0]),
        (((time(9), time(9)),), [0]),
    ],
)
def test_hours_may_end_at_midnight_and_nothing_comes_after_it(spans: tuple[Span, ...], wrong: list[int]) -> None:
    assert [place for place, _message in hours.wrong_spans(spans)] == wrong


@given(weeks)
def test_what_is_shown_is_what_was_saved(days: Days) -> None:
    assert TypedWeek.show(days).parsed() == days
    rows = [
        WorkingHours(branch_id=1, weekday=day, opens_at=opens, closes_at=closes)
        for day, spans in enumerate(days, start=1)
        for opens, closes in reversed(spans)
    ]
    saved = hours.plan_from(rows)
    assert saved.always.days == days
    if any(days):
        assert hours.check(Plan(), Season(days), ALWAYS) == saved


@given(weeks, weeks, st.dates(date(2027, 1, 1), date(2027, 12, 31)))
def test_a_days_opening_never_overlaps_itself_and_a_season_counts_alone(always: Days, summer: Days, day: date) -> None:
    rows = [Hours(number, *span) for number, spans in enumerate(always, start=1) for span in spans]
    rows += [Hours(number, *span, *SUMMER) for number, spans in enumerate(summer, start=1) for span in spans]
    opened = availability.opening(day, BERLIN, rows)
    assert all(one.end < other.start for one, other in pairwise(opened))
    if any(summer) and SUMMER[0] <= day <= SUMMER[1]:
        alone = [row for row in rows if row.valid_from]
        assert opened == availability.opening(day, BERLIN, alone)
    elif not SUMMER[0] <= day <= SUMMER[1]:
        assert opened == availability.opening(day, BERLIN, [row for row in rows if not row.valid_from])


@given(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=6))
def test_what_passes_the_check_overlaps_nowhere(pairs: list[tuple[int, int]]) -> None:
    spans = tuple((time(one), time(other)) for one, other in pairs)
    wrong = dict(hours.wrong_spans(spans))
    hours_of_day = sorted((one, other or 24) for one, other in pairs)  # 0:00 is the end of the day
    right = all(one < other for one, other in hours_of_day)
    apart = all(one[1] <= other[0] for one, other in pairwise(hours_of_day))
    assert (not wrong) == (right and apart)


def test_a_season_without_hours_on_a_weekday_is_closed_on_it() -> None:
    rows = [Hours(2, time(9), time(17)), Hours(1, time(9), time(17), *SUMMER)]
    assert availability.in_force(date(2027, 7, 6), rows) == []
    assert availability.in_force(date(2027, 7, 5), rows) == [rows[1]]
    assert availability.in_force(date(2027, 5, 4), rows) == [rows[0]]


def test_of_seasons_that_overlap_the_later_one_counts() -> None:
    open_end = Hours(2, time(8), time(9), date(2027, 1, 1), None)
    until = Hours(2, time(10), time(11), None, date(2027, 12, 31))
    summer = Hours(2, time(12), time(13), *SUMMER)
    rows = [until, open_end, summer]
    assert availability.in_force(date(2027, 7, 6), rows) == [summer]
    assert availability.in_force(date(2027, 2, 2), rows) == [open_end]
    assert availability.in_force(date(2026, 2, 3), rows) == [until]


@pytest.mark.parametrize(
    ("season", "instead_of", "field"),
    [
        (Season(week((time(12), time(9)))), ALWAYS, "1-0"),
        (Season(week((time(9), time(9)))), ALWAYS, "1-0"),
        (Season(week((time(9), time(12)), (time(11), time(14)))), ALWAYS, "1-1"),
        (Season(week((time(9), time(18)), (time(10), time(11)), (time(12), time(13)))), ALWAYS, "1-2"),
        (Season(NINE_TO_FIVE), None, "first"),
        (Season(NINE_TO_FIVE, SUMMER[1], SUMMER[0]), None, "last"),
        (Season(NINE_TO_FIVE, date(2027, 8, 31), date(2027, 9, 30)), None, "first"),
        (Season(NINE_TO_FIVE, None, date(2027, 6, 1)), None, "first"),
        (Season(NINE_TO_FIVE, date(1027, 6, 1), None), None, "first"),
        (Season(EMPTY, date(2028, 1, 1), None), None, "week"),
    ],
)
def test_what_cannot_be_saved_is_refused_beside_its_field(season: Season, instead_of: str | None, field: str) -> None:
    plan = Plan((Season(NINE_TO_FIVE), Season(NINE_TO_FIVE, *SUMMER)))
    with pytest.raises(Wrong) as wrong:
        hours.check(plan, season, instead_of)
    assert field in wrong.value.problems


def test_a_season_may_be_moved_over_its_own_days_and_beside_others() -> None:
    summer = Season(NINE_TO_FIVE, *SUMMER)
    plan = Plan((Season(NINE_TO_FIVE), summer))
    longer = Season(NINE_TO_FIVE, date(2027, 5, 1), SUMMER[1])
    assert hours.check(plan, longer, summer.key).seasons == (Season(NINE_TO_FIVE), longer)
    autumn = Season(NINE_TO_FIVE, SUMMER[1] + timedelta(days=1), None)
    assert hours.check(plan, autumn, None).seasons == (Season(NINE_TO_FIVE), summer, autumn)


# ---- Saved ------------------------------------------------------------------------------------------------------


def put(firm: Firm, season: Season, instead_of: str | None = ALWAYS, staff_id: int | None = None) -> Plan:
    whose = Whose(firm.main.id, staff_id)

    def work() -> Plan:
        return hours.save(whose, season, instead_of, hours.plan_of(whose).digest, NOW)

    return factories.within(firm, work)


def saved(firm: Firm, staff_id: int | None = None) -> Plan:
    with tenant_scope(firm.id):
        return hours.plan_of(Whose(firm.main.id, staff_id))


def test_a_week_and_a_season_are_saved_and_audited_once(cast: Cast) -> None:
    firm = cast.salon
    put(firm, Season(NINE_TO_FIVE))
    put(firm, Season(NINE_TO_FIVE))
    put(firm, Season(week((time(7), time(13))), *SUMMER), None)
    assert [season.key for season in saved(firm).seasons] == [ALWAYS, "2027-06-01_2027-08-31"]
    with tenant_scope(firm.id):
        rows = list(db.session.scalars(select(AuditLog).where(AuditLog.action == "hours.changed").order_by("id")))
    assert len(rows) == 2
    assert (rows[0].model_type, rows[0].model_id, rows[0].old_values) == ("branches", firm.main.id, {})
    assert (rows[0].new_values or {})["always"]["1"] == "09:00-12:00, 13:00-17:00"
    assert list(rows[1].new_values or {}) == ["2027-06-01_2027-08-31"]


def test_a_changed_week_leaves_seasons_and_other_people_alone(cast: Cast) -> None:
    firm = cast.salon
    put(firm, Season(NINE_TO_FIVE))
    put(firm, Season(NINE_TO_FIVE, *SUMMER), None)
    put(firm, Season(NINE_TO_FIVE), staff_id=firm.stylist.id)
    put(firm, Season(week((time(10), time(11)))))
    assert saved(firm).season("2027-06-01_2027-08-31") == Season(NINE_TO_FIVE, *SUMMER)
    assert saved(firm, firm.stylist.id).always.days == NINE_TO_FIVE
    assert saved(firm).always.days == week((time(10), time(11)))


def test_who_saves_second_is_told_and_nothing_is_saved(cast: Cast) -> None:
    firm, whose = cast.salon, Whose(cast.salon.main.id)
    shown = saved(firm).digest
    factories.within(firm, lambda: hours.save(whose, Season(NINE_TO_FIVE), ALWAYS, shown, NOW))
    with pytest.raises(ChangedMeanwhile):
        factories.within(firm, lambda: hours.save(whose, Season(week((time(1), time(2)))), ALWAYS, shown, NOW))
    assert saved(firm).always.days == NINE_TO_FIVE


def test_a_person_can_go_back_to_the_hours_of_the_branch_but_not_by_emptying_the_week(cast: Cast) -> None:
    firm, whose = cast.salon, Whose(cast.salon.main.id, cast.salon.stylist.id)
    put(firm, Season(NINE_TO_FIVE), staff_id=firm.stylist.id)
    with pytest.raises(Wrong):
        put(firm, Season(), staff_id=firm.stylist.id)
    plan = saved(firm, firm.stylist.id)
    assert plan.seasons
    factories.within(firm, lambda: hours.drop(whose, None, plan.digest, NOW))
    assert saved(firm, firm.stylist.id) == Plan()


def test_another_companys_branch_is_not_there(cast: Cast) -> None:
    whose = Whose(cast.praxis.main.id)
    with pytest.raises(DomainError):
        factories.within(cast.salon, lambda: hours.save(whose, Season(NINE_TO_FIVE), ALWAYS, Plan().digest, NOW))


def test_appointments_that_fall_outside_are_found_whoever_they_are_with(cast: Cast) -> None:
    firm = cast.salon
    put(firm, Season(NINE_TO_FIVE))
    put(firm, Season(week((time(9), time(11)))), staff_id=firm.stylist.id)
    monday = datetime(2027, 3, 8, tzinfo=UTC)

    def at(hour: int, **values: Any) -> int:
        return factories.make_appointment(firm, start=monday + timedelta(hours=hour), **values).id

    inside, in_break = at(9), at(11, staff_id=None)
    after_work, at_night, cancelled = at(13), at(20, staff_id=None), at(21, status="cancelled")
    with tenant_scope(firm.id):
        rows = stranded.coming(firm.main.id, NOW)
        table = stranded.timetable_for(db.session.get_one(Branch, firm.main.id), rows)
        found = {row.id for row in stranded.outside(table, rows)}
        theirs = {row.id for row in stranded.coming(firm.main.id, NOW, firm.stylist.id)}
    assert found == {in_break, after_work, at_night}
    assert {inside, after_work} <= theirs
    assert not {in_break, at_night, cancelled} & theirs


def test_without_hours_nothing_lies_outside(cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=NOW + timedelta(days=7))
    with tenant_scope(firm.id):
        rows = stranded.coming(firm.main.id, NOW)
        assert stranded.outside(stranded.timetable_for(db.session.get_one(Branch, firm.main.id), rows), rows) == []


def test_seasons_reach_the_timetable(cast: Cast) -> None:
    firm = cast.salon
    put(firm, Season(NINE_TO_FIVE))
    put(firm, Season(week((time(7), time(13))), *SUMMER), None)
    with tenant_scope(firm.id):
        table = timetable.load(db.session.get_one(Branch, firm.main.id), None, SUMMER[0], SUMMER[1])
    (span,) = table.open(firm.main.id, date(2027, 7, 6)) or []
    assert (span.start.hour, span.end.hour) == (5, 11)
    assert len(table.open(firm.main.id, date(2027, 5, 4)) or []) == 2
