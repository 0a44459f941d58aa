"""A month at a glance: weeks, counts by local day, the first appointments, and what is special about a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.db import db
from portal.domain import calendar_month
from portal.domain.calendar import NotThere, Wish
from portal.domain.calendar_month import Day, Month
from portal.models import Branch, BranchClosure, StaffAbsence, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import save, within

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)


def at(hour: int, minute: int = 0, day: date = TUESDAY, fold: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, fold=fold), tzinfo=BERLIN).astimezone(UTC)


def month(firm: Firm, now: datetime | None = None, **wish: Any) -> Month:
    with tenant_scope(firm.id):
        found = calendar_month.month(Wish(**({"view": "month", "day": TUESDAY} | wish)), now or at(7))
    assert found is not None
    return found


def cell(found: Month, day: date = TUESDAY) -> Day:
    return next(each for week in found.weeks for each in week.days if each.day == day)


@pytest.mark.parametrize(
    ("day", "weeks"),
    [
        (date(2027, 2, 14), 4),  # begins on a Monday, ends on a Sunday
        (date(2027, 3, 1), 5),
        (date(2027, 5, 31), 6),
        (date(2024, 2, 29), 5),
        (date(2100, 12, 31), 5),
        (date(2000, 1, 1), 6),
    ],
)
def test_a_month_is_whole_weeks_from_monday(cast: Cast, day: date, weeks: int) -> None:
    found = month(cast.salon, day=day)
    days = [each.day for week in found.weeks for each in week.days]
    assert len(found.weeks) == weeks
    assert (days[0].isoweekday(), days[-1].isoweekday()) == (1, 7)
    assert days == [days[0] + timedelta(days=offset) for offset in range(len(days))]
    assert {each.day.month for each in found.own} == {day.month}
    assert [week.number for week in found.weeks] == [week.days[0].day.isocalendar().week for week in found.weeks]


def test_a_day_counts_by_status_and_names_the_first_that_are_not_cancelled(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(8), status="cancelled")
    for hour, status in ((12, "scheduled"), (9, "completed"), (10, "no_show"), (11, "confirmed"), (13, "confirmed")):
        factories.make_appointment(cast.salon, start=at(hour), status=status)
    found = cell(month(cast.salon))
    assert found.counts == {"cancelled": 1, "completed": 1, "confirmed": 2, "no_show": 1, "scheduled": 1}
    assert [(one.start, one.who, one.staff) for one in found.shown] == [
        (at(hour), "Aylin Demir", "Sofia Klein") for hour in (9, 10, 11)
    ]
    assert (found.count, found.more) == (5, 2)
    assert {one.hue for one in found.shown} == {found.shown[0].hue}
    assert (month(cast.salon).count, month(cast.salon).unconfirmed) == (5, 1)


def test_a_day_of_two_hundred_hands_over_three(cast: Cast) -> None:
    for minute in range(200):
        factories.make_appointment(cast.salon, start=at(8) + timedelta(minutes=minute), minutes=5)
    found = cell(month(cast.salon))
    assert (found.count, len(found.first), found.more) == (200, 3, 197)


def test_days_are_local_and_what_goes_across_midnight_counts_once(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(0, 5))
    factories.make_appointment(cast.salon, start=at(23, 30), minutes=90)
    found = month(cast.salon)
    assert [cell(found, TUESDAY + timedelta(days=days)).count for days in (-1, 0, 1)] == [0, 2, 0]
    assert found.count == 2


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_each_hour_of_a_change_day_lies_in_that_day(cast: Cast, day: date) -> None:
    first, last = at(0, day=day), at(0, day=day + timedelta(days=1))
    hours = (last - first) // timedelta(hours=1)
    for hour in range(hours):
        factories.make_appointment(cast.salon, start=first + timedelta(hours=hour), minutes=30)
    found = month(cast.salon, day=day)
    assert hours in {23, 25}
    assert cell(found, day).count == hours == found.count


def test_weeks_around_the_month_are_shown_but_not_counted(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9, day=date(2027, 4, 1)))
    found = month(cast.salon)
    assert cell(found, date(2027, 4, 1)).count == 1
    assert not cell(found, date(2027, 4, 1)).in_month
    assert found.count == 0


def test_today_closed_days_and_absences_are_marked(cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 7):
        hours = {"branch_id": firm.main.id, "opens_at": time(9), "closes_at": time(18)}
        save(firm, WorkingHours(company_id=firm.id, weekday=weekday, **hours))
    closure = {"branch_id": firm.main.id, "date": date(2027, 3, 12), "reason": "Betriebsausflug"}
    save(firm, BranchClosure(company_id=firm.id, **closure))
    absence = {"staff_id": firm.stylist.id, "starts_at": at(0), "ends_at": at(0) + timedelta(days=2)}
    save(firm, StaffAbsence(company_id=firm.id, kind="vacation", **absence))
    found = month(firm)
    assert [each.day for each in found.own if each.is_today] == [TUESDAY]
    assert cell(found, date(2027, 3, 12)).is_closed
    assert cell(found, date(2027, 3, 12)).label == "Betriebsausflug"
    assert found.closed_weekdays == [7]
    away = [each.day for each in found.own if each.away]
    assert away == [TUESDAY, TUESDAY + timedelta(days=1)]
    assert (cell(found).away[0].name, cell(found).away[0].kind) == ("Sofia Klein", "vacation")


def test_public_holidays_close_the_branch_and_are_named(cast: Cast) -> None:
    firm, womens_day = cast.salon, date(2027, 3, 8)
    assert not cell(month(firm), womens_day).is_closed
    within(firm, lambda: setattr(db.session.get_one(Branch, firm.main.id), "region", "BE"))
    found = cell(month(firm), womens_day)
    assert (found.is_closed, found.is_holiday) == (True, True)
    assert "Frauentag" in found.label


def test_what_is_said_besides_takes_the_room_of_an_appointment(cast: Cast) -> None:
    for hour in (9, 10, 11):
        factories.make_appointment(cast.salon, start=at(hour))
    closure = {"branch_id": cast.salon.main.id, "date": TUESDAY, "reason": "Inventur", "opens_at": time(9)}
    save(cast.salon, BranchClosure(company_id=cast.salon.id, closes_at=time(13), **closure))
    found = cell(month(cast.salon))
    assert (len(found.shown), found.more, found.is_closed) == (2, 1, False)


def test_the_freest_days_lie_ahead_and_are_open(cast: Cast) -> None:
    firm = cast.salon
    for day in range(10, 32):
        if day not in {18, 30}:
            factories.make_appointment(firm, start=at(9, day=date(2027, 3, day)))
    assert month(firm).freest == [date(2027, 3, 18), date(2027, 3, 30)]
    save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=date(2027, 3, 18)))
    assert month(firm).freest == [date(2027, 3, 10), date(2027, 3, 30)]
    assert month(firm, day=date(2027, 5, 5)).freest == []


def test_branch_and_person_narrow_what_is_counted(cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(9))
    factories.make_appointment(firm, start=at(10), staff_id=None)
    factories.make_appointment(firm, start=at(11), branch_id=firm.other.id, staff_id=firm.colleague.id)
    assert month(firm).count == 2
    assert month(firm, branch_id=firm.other.id).count == 1
    assert month(firm, staff_id=firm.stylist.id).count == 1
    everywhere = month(firm, every_branch=True)
    assert (everywhere.count, everywhere.branch, len(cell(everywhere).first)) == (3, None, 3)
    bound = month(firm, every_branch=True, visible=[firm.main.id])
    assert (bound.count, len(cell(bound).first)) == (2, 2)


def test_another_company_s_appointments_and_ids_are_not_there(cast: Cast) -> None:
    factories.make_appointment(cast.praxis, start=at(9))
    found = month(cast.salon, every_branch=True)
    assert (found.count, cell(found).first) == (0, [])
    for wish in ({"branch_id": cast.praxis.main.id}, {"staff_id": cast.praxis.stylist.id}):
        with pytest.raises(NotThere):
            month(cast.salon, **wish)


def test_a_company_without_a_branch_has_no_month(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert calendar_month.month(Wish(visible=[987654]), at(7)) is None


def test_the_version_changes_with_what_is_seen_only(cast: Cast) -> None:
    before = month(cast.salon).version
    assert month(cast.salon, now=at(17)).version == before
    factories.make_appointment(cast.salon, start=at(9, day=date(2027, 6, 1)))
    assert month(cast.salon).version == before
    factories.make_appointment(cast.salon, start=at(9))
    assert month(cast.salon).version != before
