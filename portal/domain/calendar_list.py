"""Appointments as a list by days, in pages that can be read on in both directions.

A page is a stretch between two places of the one order that all appointments have: by start, then by number. Places lie
between appointments, so stretches meet without a gap and without an overlap, whatever is booked or cancelled meanwhile.
An appointment across midnight stands on the day on which it begins.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.db import db
from portal.domain import availability, calendar, customer_search, sheet_colors, sheet_drawing, timetable
from portal.domain.calendar import Scope, Wish
from portal.domain.call_lists import from_micros, micros
from portal.domain.sheet import Entry, View
from portal.domain.slots import OPEN
from portal.models import Appointment, Customer, Staff
from portal.models.appointments import STATUSES

PAGE = 50
MOST_SHOWN = 200  # of a stretch that is shown anew
DAYS_COUNTED = 14
FEW_PEOPLE = 500  # found customers: their appointments are looked up; those of more are found by looking through
FILTERS: dict[str, tuple[str, ...]] = {"open": OPEN} | {status: (status,) for status in STATUSES}


@dataclass(frozen=True, order=True)
class Place:
    """Before the appointment of that start and number, and after all smaller ones. Written ``<microseconds>-<id>``."""

    at: datetime
    id: int = 0

    def __str__(self) -> str:
        return f"{micros(self.at)}-{self.id}"

    @classmethod
    def parse(cls, written: str | None) -> Place | None:
        """None for what is no place."""
        found = re.fullmatch(r"(\d{1,17})-(\d{1,18})", written or "")
        return cls(from_micros(int(found[1])), int(found[2])) if found else None


@dataclass(frozen=True)
class Filters:
    """``status``: a key of ``FILTERS`` or ''. ``query``: a customer's name, number or mail address."""

    status: str = ""
    query: str = ""
    country: str = "DE"


@dataclass(frozen=True)
class Stretch:
    """From ``low`` on, up to ``high``; with ``high`` alone the last before it; with neither from the wish's day."""

    low: Place | None = None
    high: Place | None = None
    most: int = PAGE

    @property
    def backwards(self) -> bool:
        return self.low is None and self.high is not None


@dataclass(frozen=True)
class DayOf:
    """A day's appointments. ``goes_on``: some of the same day stand on the page before."""

    day: date
    entries: list[Entry]
    goes_on: bool


@dataclass(frozen=True)
class Agenda(View):
    """A page, from ``low`` up to ``high``; None where nothing follows. ``counts``: by status, of ``days``."""

    groups: list[DayOf]
    low: Place
    high: Place | None
    earlier: Place | None
    status: str
    query: str
    counts: dict[str, int]

    @property
    def entries(self) -> list[Entry]:
        return [entry for group in self.groups for entry in group.entries]

    @property
    def version(self) -> str:
        """Of the page alone, whatever else has changed in the days counted."""
        said = repr((self.groups, self.low, self.high, self.zone, self.today))
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def later(self) -> Place | None:
        """Where the next page begins."""
        return self.high

    @property
    def count(self) -> int:
        """Appointments of the days counted, cancelled ones left out."""
        return sum(number for status, number in self.counts.items() if status != "cancelled")

    @property
    def unconfirmed(self) -> int:
        return self.counts.get("scheduled", 0)


# ---- Reading ----------------------------------------------------------------------------------------------------


def agenda(wish: Wish, filters: Filters, stretch: Stretch, now: datetime) -> Agenda | None:
    """A page; None for a company without a branch. Raises :class:`calendar.NotThere`."""
    scope = calendar.scope_of(wish, now)
    if scope is None:
        return None
    days = [scope.day + timedelta(days=offset) for offset in range(DAYS_COUNTED)]
    everybody, _absences = calendar.staff_of(scope.span(days))
    people = calendar.people_of(everybody, scope, timetable.of(scope.chosen, scope.closures, []), set())
    person = calendar.choose_person(wish, everybody, people)
    found = _page(scope, [*scope.shown(person), *_only(filters)], stretch)
    return Agenda(
        view="list",
        **scope.common(days, person, people),
        groups=_groups(found, scope, everybody, now),
        low=found.low,
        high=found.high,
        earlier=found.low if found.has_earlier else None,
        status=filters.status,
        query=filters.query,
        counts=_counts(scope, person, scope.span(days)),
    )


@dataclass(frozen=True)
class _Page:
    rows: list[Appointment]
    low: Place
    high: Place | None
    has_earlier: bool = True  # not looked for, where the page goes forwards


def _page(scope: Scope, conditions: list[ColumnElement[bool]], stretch: Stretch) -> _Page:
    """The appointments in order. One more than fits is read, to know where the page ends."""
    if stretch.backwards:
        assert stretch.high is not None
        rows = _fetch([*conditions, _before(stretch.high)], stretch.most + 1, backwards=True)
        if len(rows) <= stretch.most:
            low = _beginning(_day_of(rows[0].start_time, scope), scope) if rows else Place(from_micros(0))
            return _Page(rows, low, stretch.high, has_earlier=False)
        return _Page(rows[1:], _between(rows[0], rows[1], scope), stretch.high)
    low = stretch.low or _beginning(scope.day, scope)
    upto = [_before(stretch.high)] if stretch.high else []
    rows = _fetch([*conditions, _from(low), *upto], stretch.most + 1)
    if len(rows) <= stretch.most:
        return _Page(rows, low, stretch.high)
    return _Page(rows[:-1], low, _between(rows[-2], rows[-1], scope))


def _between(last: Appointment, first: Appointment, scope: Scope) -> Place:
    """Where a page begins: at the day's beginning, if its first appointment is the first of a day."""
    day = _day_of(first.start_time, scope)
    return Place(first.start_time, first.id) if _day_of(last.start_time, scope) == day else _beginning(day, scope)


def _beginning(day: date, scope: Scope) -> Place:
    return Place(availability.day_bounds(day, scope.zone).start)


def _day_of(moment: datetime, scope: Scope) -> date:
    return moment.astimezone(scope.zone).date()


def _fetch(conditions: list[ColumnElement[bool]], most: int, *, backwards: bool = False) -> list[Appointment]:
    """Ids first, from an index; the rows are joined to them."""
    order = (Appointment.start_time, Appointment.id)
    towards = tuple(column.desc() for column in order) if backwards else order
    ids = select(Appointment.id).where(*conditions).order_by(*towards).limit(most).subquery()
    return list(
        db.session.scalars(
            select(Appointment)
            .join(ids, ids.c.id == Appointment.id)
            .join(Customer, Customer.id == Appointment.customer_id)
            .options(contains_eager(Appointment.customer), joinedload(Appointment.service))
            .order_by(*order)
        )
    )


def _from(place: Place) -> ColumnElement[bool]:
    # One range on the index; the second half only parts appointments of the same moment.
    later = or_(Appointment.start_time > place.at, Appointment.id >= place.id)
    return and_(Appointment.start_time >= place.at, later)


def _before(place: Place) -> ColumnElement[bool]:
    earlier = or_(Appointment.start_time < place.at, Appointment.id < place.id)
    return and_(Appointment.start_time <= place.at, earlier)


def _only(filters: Filters) -> list[ColumnElement[bool]]:
    statuses = FILTERS.get(filters.status)
    found = [] if statuses is None else [Appointment.status.in_(statuses)]
    return [*found, *_of_people(filters)]


def _of_people(filters: Filters) -> list[ColumnElement[bool]]:
    """Appointments of the customers that are looked for."""
    if not filters.query.strip():
        return []
    people = select(Customer.id).where(*customer_search.matching(filters.query, filters.country))
    some = list(db.session.scalars(people.limit(FEW_PEOPLE + 1)))
    return [Appointment.customer_id.in_(some if len(some) <= FEW_PEOPLE else people)]


def _counts(scope: Scope, person: Staff | None, span: availability.Interval) -> dict[str, int]:
    rows = db.session.execute(
        select(Appointment.status, func.count())
        .where(*scope.counted(person))
        .where(Appointment.start_time >= span.start, Appointment.start_time < span.end)
        .group_by(Appointment.status)
        .order_by(Appointment.status)
    )
    return {status: int(count) for status, count in rows}


def _groups(page: _Page, scope: Scope, everybody: list[Staff], now: datetime) -> list[DayOf]:
    names, hues = {each.id: each.name for each in everybody}, sheet_colors.hues(everybody)

    def entry(row: Appointment) -> Entry:
        staff_id = row.staff_id or 0
        return sheet_drawing.entry_of(row, now, set(), names.get(staff_id, ""), hues.get(staff_id, ""))

    first = _day_of(page.low.at, scope)
    is_cut = page.low != _beginning(first, scope)
    return [
        DayOf(day, [entry(row) for row in rows], goes_on=is_cut and day == first)
        for day, rows in groupby(page.rows, lambda row: _day_of(row.start_time, scope))
    ]
