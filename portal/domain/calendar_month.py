"""A month of the calendar: how full each day is, its first appointments, and what is special about it.

However many appointments there are, the database counts them by an index alone and hands over the first few of each
day. An appointment across midnight counts on the day on which it begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, literal_column, select, union_all

from portal.db import db
from portal.domain import availability, calendar, sheet_colors, timetable
from portal.domain.calendar import Scope, Wish
from portal.domain.sheet import View
from portal.domain.timetable import Timetable
from portal.models import Appointment, Branch, Customer, Staff

FIRST = 3  # appointments that a day's cell has room for
DAYS_AROUND = 45
WEEK = 7


@dataclass(frozen=True)
class Glance:
    """An appointment in a cell: when, who, and in whose colour."""

    id: int
    start: datetime
    status: str
    who: str
    phone: str | None
    staff: str
    hue: str
    is_twice: bool  # the clock shows its time once more that night


@dataclass(frozen=True)
class Away:
    name: str
    kind: str


@dataclass(frozen=True)
class Day:
    """A day's cell. ``counts``: appointments by status. ``label``: what is special about the day."""

    day: date
    in_month: bool
    is_today: bool
    counts: dict[str, int]
    first: list[Glance]
    is_closed: bool
    label: str
    is_holiday: bool
    away: list[Away]

    @property
    def count(self) -> int:
        return sum(number for status, number in self.counts.items() if status != "cancelled")

    @property
    def shown(self) -> list[Glance]:
        """As many of the first as there is room for beside what else is to be said."""
        said = bool(self.label) + bool(self.away)
        return self.first[: max(FIRST - said, 1)]

    @property
    def more(self) -> int:
        """How many there are besides those that are shown."""
        return self.count - len(self.shown)


@dataclass(frozen=True)
class Week:
    number: int
    days: list[Day]


@dataclass(frozen=True)
class Month(View):
    """Whole ISO weeks from Monday, four to six of them. ``closed_weekdays``: closed in all of them (1 = Monday)."""

    weeks: list[Week]
    closed_weekdays: list[int]

    @property
    def own(self) -> list[Day]:
        """The days of the month itself."""
        return [day for week in self.weeks for day in week.days if day.in_month]

    @property
    def count(self) -> int:
        return sum(day.count for day in self.own)

    @property
    def unconfirmed(self) -> int:
        return sum(day.counts.get("scheduled", 0) for day in self.own)

    @property
    def fullest(self) -> int:
        """Appointments of the fullest day that is shown."""
        return max(day.count for week in self.weeks for day in week.days)

    @property
    def freest(self) -> list[date]:
        """The two open days to come with the fewest appointments, in order; [] where all are as full."""
        ahead = [day for day in self.own if day.day > self.today and not day.is_closed]
        if len({day.count for day in ahead}) < 2:
            return []
        return sorted(day.day for day in sorted(ahead, key=lambda day: (day.count, day.day))[:2])


# ---- Reading ----------------------------------------------------------------------------------------------------


def month(wish: Wish, now: datetime) -> Month | None:
    """The month of the wish's day; None for a company without a branch. Raises :class:`calendar.NotThere`."""
    scope = calendar.scope_of(wish, now, DAYS_AROUND)
    if scope is None:
        return None
    days = days_of(scope.day)
    everybody, absences = calendar.staff_of(scope.span(days))
    hours = timetable.of(scope.chosen, scope.closures, absences)
    people = calendar.people_of(everybody, scope, hours, set())
    person = calendar.choose_person(wish, everybody, people)
    limits = _limits(scope, days)
    found = _Found(
        scope=scope,
        hours=hours,
        people=people,
        person=person,
        counts=_counts(scope, person, limits),
        first=_first(scope, person, limits, everybody),
    )
    return _drawn(found, days)


def days_of(day: date) -> list[date]:
    """The days of the weeks that the month has a part in."""
    first = day.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    monday = first - timedelta(days=first.isoweekday() - 1)
    sunday = last + timedelta(days=WEEK - last.isoweekday())
    return [monday + timedelta(days=offset) for offset in range((sunday - monday).days + 1)]


def _limits(scope: Scope, days: Sequence[date]) -> list[datetime]:
    """The midnights between the days, and the two around them: days of 23, 24 or 25 hours."""
    return [availability.day_bounds(day, scope.zone).start for day in [*days, days[-1] + timedelta(days=1)]]


def _counts(scope: Scope, person: Staff | None, limits: Sequence[datetime]) -> dict[int, dict[str, int]]:
    """Appointments by status, for the number of each day."""
    number = _number(limits).label("number")
    rows = db.session.execute(
        select(number, Appointment.status, func.count())
        .where(*scope.counted(person))
        .where(Appointment.start_time >= limits[0], Appointment.start_time < limits[-1])
        .group_by("number", Appointment.status)
        .order_by("number", Appointment.status)
    )
    counts: dict[int, dict[str, int]] = {}
    for day, status, count in rows:
        counts.setdefault(int(day), {})[status] = count
    return counts


def _number(limits: Sequence[datetime], first: int = 0) -> ColumnElement[Any]:
    """Which day an appointment begins on, by halving: local days cannot be told by the database."""
    if len(limits) == 2:
        return literal_column(str(first))
    middle = len(limits) // 2
    return case(
        (Appointment.start_time < limits[middle], _number(limits[: middle + 1], first)),
        else_=_number(limits[middle:], first + middle),
    )


def _first(
    scope: Scope, person: Staff | None, limits: Sequence[datetime], everybody: Sequence[Staff]
) -> dict[int, list[Glance]]:
    """The first appointments of each day, cancelled ones left out."""
    ids = _first_ids(scope.shown(person), limits)
    rows = db.session.execute(
        select(
            Appointment.id,
            Appointment.start_time,
            Appointment.status,
            Appointment.staff_id,
            Customer.full_name,
            Customer.phone_normalized,
        )
        .join(ids, ids.c.id == Appointment.id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .order_by(Appointment.start_time, Appointment.id)
    )
    names, hues = {each.id: each.name for each in everybody}, sheet_colors.hues(everybody)
    first: dict[int, list[Glance]] = {}
    for id_, start, status, staff_id, who, phone in rows:
        staff = names.get(staff_id or 0, ""), hues.get(staff_id or 0, "")
        day = bisect_right(limits, start) - 1
        first.setdefault(day, []).append(
            Glance(id_, start, status, who or "", phone, *staff, availability.is_twice(start, scope.zone))
        )
    return first


def _first_ids(conditions: Sequence[ColumnElement[bool]], limits: Sequence[datetime]) -> Subquery:
    """A few rows of an index for each day, whatever the day holds."""
    days = [
        select(Appointment.id)
        .where(*conditions, Appointment.status != "cancelled")
        .where(Appointment.start_time >= start, Appointment.start_time < end)
        .order_by(Appointment.start_time, Appointment.id)
        .limit(FIRST)
        .subquery()
        for start, end in pairwise(limits)
    ]
    return union_all(*(select(day.c.id) for day in days)).subquery()


# ---- Drawing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What the days are made from; ``counts`` and ``first`` by the number of the day."""

    scope: Scope
    hours: Timetable
    people: list[Staff]
    person: Staff | None
    counts: dict[int, dict[str, int]]
    first: dict[int, list[Glance]]

    def day(self, number: int, day: date) -> Day:
        closure = self.hours.closure(self.scope.chosen[0].id, day) if len(self.scope.chosen) == 1 else None
        return Day(
            day=day,
            in_month=(day.year, day.month) == (self.scope.day.year, self.scope.day.month),
            is_today=day == self.scope.today,
            counts=self.counts.get(number, {}),
            first=self.first.get(number, []),
            is_closed=all(self._open(branch, day) == [] for branch in self.scope.chosen),
            label=(closure.reason or "") if closure else "",
            is_holiday=bool(closure and closure.public),
            away=self._away(day),
        )

    def _open(self, branch: Branch, day: date) -> list[availability.Interval] | None:
        if self.person is None:
            return self.hours.open(branch.id, day)
        return self.hours.works(self.person.id, branch.id, day)

    def _away(self, day: date) -> list[Away]:
        bounds = availability.day_bounds(day, self.scope.zone)
        asked = [self.person] if self.person else [each for each in self.people if each.is_active]
        return [Away(person.name, rows[0].kind) for person in asked if (rows := self.hours.away(person.id, bounds))]


def _drawn(found: _Found, days: list[date]) -> Month:
    cells = [found.day(number, day) for number, day in enumerate(days)]
    weeks = [Week(cells[at].day.isocalendar().week, cells[at : at + WEEK]) for at in range(0, len(cells), WEEK)]
    return Month(
        view="month",
        **found.scope.common(days, found.person, found.people),
        weeks=weeks,
        closed_weekdays=[
            weekday + 1
            for weekday in range(WEEK)
            if all(week.days[weekday].is_closed and not week.days[weekday].count for week in weeks)
        ],
    )
