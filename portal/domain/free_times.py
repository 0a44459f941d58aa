"""The next free times: when somebody of a branch could take a service.

:func:`free` is pure: hours, what takes people's time, and the need go in, free times come out. :func:`search` reads
what it needs, in as many queries for one day as for two months, for one person as for twenty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.db import db
from portal.domain import availability, timetable
from portal.domain.availability import NOTHING, STEP, Interval
from portal.domain.hours import works_at
from portal.domain.slots import BUSY, LONGEST, padded_span
from portal.domain.timetable import Timetable
from portal.models import (
    Appointment,
    Branch,
    CalcomEventType,
    Service,
    Staff,
    StaffAbsence,
    StaffEventType,
)

DAY = timedelta(days=1)
WEEK = 7
HORIZON = 9 * WEEK  # days that one search looks through
SOON = 2 * WEEK  # days that are looked through first
DAYS_SHOWN = 5
FARTHEST = timedelta(days=3 * 365)  # nobody plans beyond; where paging ends


@dataclass(frozen=True)
class Need:
    """What is looked for: so long, with buffers around it, starting from ``earliest`` on and before ``until``."""

    duration: timedelta
    earliest: datetime
    until: datetime
    before: timedelta = NOTHING
    after: timedelta = NOTHING

    def __post_init__(self) -> None:
        if self.duration <= NOTHING:
            raise ValueError("duration must be positive")


@dataclass(frozen=True)
class FreeTime:
    """An appointment that could be, in UTC, and all who could take it, the preferred one first."""

    start: datetime
    end: datetime
    staff_ids: tuple[int, ...]


@dataclass(frozen=True)
class Limits:
    """From when on, and before when, customers may book. People at the desk may too at other times, seeing it."""

    notice: datetime
    window: datetime

    def hold(self, start: datetime) -> bool:
        return self.notice <= start < self.window


@dataclass(frozen=True)
class FreeDay:
    """A local day and its free times, in order."""

    day: date
    times: list[FreeTime]


@dataclass(frozen=True)
class Found:
    """The first days with free times. ``later``: where the search goes on; None where there is nothing beyond."""

    days: list[FreeDay]
    later: date | None
    names: dict[int, str]
    limits: Limits | None


# ---- From values alone ------------------------------------------------------------------------------------------


def free(
    hours: Timetable, branch_id: int, busy: Mapping[int, Sequence[Interval]], days: Sequence[date], need: Need
) -> list[FreeTime]:
    """Every quarter of an hour from each opening of these local days on, at which somebody is free; by start.

    ``busy`` has a key for everybody who is asked, in the order of preference, and what takes their time, with its
    buffers. An appointment lies in its person's working hours and may cross midnight where those do; its buffers may
    reach beyond them. Where no hours are known, nothing is offered.
    """
    found: dict[datetime, list[int]] = {}
    for staff_id, taken in busy.items():
        for start in _starts(hours, branch_id, staff_id, availability.merge(taken), days, need):
            found.setdefault(start, []).append(staff_id)
    return [FreeTime(start, start + need.duration, tuple(ids)) for start, ids in sorted(found.items())]


def _starts(
    hours: Timetable, branch_id: int, staff_id: int, taken: list[Interval], days: Sequence[date], need: Need
) -> Iterator[datetime]:
    per_day = {day: _at_work(hours, branch_id, staff_id, day) for day in {*days, *(day + DAY for day in days)}}
    working = availability.merge(span for spans in per_day.values() for span in spans)
    for day in days:
        for span in per_day[day]:
            for start in _grid(span, need):
                slot = Interval(start, start + need.duration)
                if _lies_in(slot, working) and not _meets(slot.padded(need.before, need.after), taken):
                    yield start


def _at_work(hours: Timetable, branch_id: int, staff_id: int, day: date) -> list[Interval]:
    bounds = availability.day_bounds(day, hours.zones[branch_id])
    away = [Interval(row.starts_at, row.ends_at) for row in hours.away(staff_id, bounds)]
    return availability.subtract(hours.works(staff_id, branch_id, day) or [], away)


def _grid(span: Interval, need: Need) -> Iterator[datetime]:
    start = span.start
    while start < span.end and start < need.until:
        if start >= need.earliest:
            yield start
        start += STEP


def _lies_in(slot: Interval, spans: list[Interval]) -> bool:
    """Whether one of the spans, sorted and apart, holds all of it."""
    place = bisect_right(spans, slot.start, key=lambda span: span.start)
    return place > 0 and slot.end <= spans[place - 1].end


def _meets(slot: Interval, spans: list[Interval]) -> bool:
    """Whether it shares time with one of the spans, sorted and apart."""
    place = bisect_right(spans, slot.start, key=lambda span: span.end)
    return place < len(spans) and spans[place].start < slot.end


def limits(service: Service, now: datetime, zone: ZoneInfo) -> Limits:
    """The service's notice in hours, and its window in local days, to the end of the last."""
    last = now.astimezone(zone).date() + timedelta(days=service.max_advance_days)
    return Limits(now + timedelta(hours=service.min_advance_hours), availability.day_bounds(last, zone).end)


# ---- Reading ----------------------------------------------------------------------------------------------------


def search(
    branch: Branch,
    service: Service | None,
    now: datetime,
    *,
    start: date | None = None,
    staff_id: int | None = None,
    among: Mapping[int, str] | None = None,
    length: timedelta | None = None,
    by_customer: bool = False,
    but: int | None = None,
    shown: int = DAYS_SHOWN,
) -> Found:
    """The next days with free times, from ``start`` on, with that person or with anybody of the branch.

    ``length`` is needed without a service. ``among``: whom the reader may choose, and their names. ``by_customer``: the
    service's notice and window count. ``but``: the appointment that is to be moved is not in its own way.
    """
    zone = timetable.zone_of(branch)
    today = now.astimezone(zone).date()
    rules = limits(service, now, zone) if service else None
    strict = rules if by_customer else None
    end = today + (timedelta(days=service.max_advance_days) if service and strict else FARTHEST)
    first = max(start or today, today)
    last = min(first + (HORIZON - 1) * DAY, end)
    people = _people(branch, service, staff_id, among)
    if not people or last < first:
        return Found([], None, people, rules)
    need = Need(
        duration=length or timedelta(minutes=service.duration_minutes if service else 0),
        earliest=strict.notice if strict else now,
        until=availability.day_bounds(last, zone).end,
        after=timedelta(minutes=service.buffer_time_minutes if service else 0),
    )
    hours = _hours(branch, list(people), first, last)
    days = list(islice(_days_with(hours, branch.id, list(people), first, last, need, but), shown))
    seen = days[-1].day if len(days) == shown else last
    return Found(days, seen + DAY if seen < end else None, people, rules)


def _days_with(
    hours: Timetable, branch_id: int, staff_ids: list[int], first: date, last: date, need: Need, but: int | None
) -> Iterator[FreeDay]:
    """The days that have free times, a week at a time. Mostly the first ones have enough: the rest is read after."""
    if not hours.hours and not hours.closures:
        return  # no hours are known
    zone = hours.zones[branch_id]
    days = [first + offset * DAY for offset in range((last - first).days + 1)]
    for stage in filter(None, (days[:SOON], days[SOON:])):
        busy = _busy(staff_ids, _span(zone, stage[0], stage[-1]), but)
        for place in range(0, len(stage), WEEK):
            times = free(hours, branch_id, busy, stage[place : place + WEEK], need)
            for day, of_day in groupby(times, lambda time: time.start.astimezone(zone).date()):
                yield FreeDay(day, list(of_day))


def _people(
    branch: Branch, service: Service | None, staff_id: int | None, among: Mapping[int, str] | None
) -> dict[int, str]:
    """Who is asked, with their names: the person, or who belongs to the branch or has hours there.

    Where it is known who takes the service, only those are asked.
    """
    if service is not None and service.branch_id not in (None, branch.id):
        return {}
    if staff_id is not None and among is not None:
        return {staff_id: among[staff_id]} if staff_id in among else {}
    query = select(Staff).where(works_at([branch.id]) if staff_id is None else Staff.id == staff_id)
    rows = db.session.scalars(
        query.where(Staff.is_active, Staff.is_available).order_by(Staff.first_name, Staff.last_name, Staff.id)
    )
    people = {person.id: person.name for person in rows if among is None or person.id in among}
    takers = _takers(service) if service is not None and staff_id is None else set()
    return {id: name for id, name in people.items() if id in takers} or people


def _takers(service: Service) -> set[int]:
    """Whose event types book the service."""
    return set(
        db.session.scalars(
            select(StaffEventType.staff_id)
            .join(CalcomEventType, CalcomEventType.id == StaffEventType.event_type_id)
            .where(CalcomEventType.service_id == service.id, CalcomEventType.is_active, StaffEventType.is_active)
        )
    )


def _hours(branch: Branch, staff_ids: list[int], first: date, last: date) -> Timetable:
    """The timetable of these people for those days and the one after."""
    span = _span(timetable.zone_of(branch), first, last)
    absences = db.session.scalars(
        select(StaffAbsence).where(
            StaffAbsence.staff_id.in_(staff_ids), StaffAbsence.starts_at < span.end, StaffAbsence.ends_at > span.start
        )
    )
    return replace(timetable.load(branch, None, first, last + DAY), absences=list(absences))


def _span(zone: ZoneInfo, first: date, last: date) -> Interval:
    """From the first day's beginning to the end of the day after the last: a visit may cross midnight."""
    return Interval(availability.day_bounds(first, zone).start, availability.day_bounds(last + DAY, zone).end)


def _busy(staff_ids: list[int], span: Interval, but: int | None) -> dict[int, list[Interval]]:
    """What takes the time of each of these people, buffers included; a few columns of many rows."""
    rows = db.session.execute(
        select(
            Appointment.id,
            Appointment.staff_id,
            Appointment.start_time,
            Appointment.end_time,
            Appointment.buffer_before,
            Appointment.buffer_after,
        ).where(
            Appointment.staff_id.in_(staff_ids),
            Appointment.status.in_(BUSY),
            Appointment.start_time > span.start - 2 * LONGEST,
            Appointment.start_time < span.end + LONGEST,
        )
    )
    busy: dict[int, list[Interval]] = {staff_id: [] for staff_id in staff_ids}
    for row in rows:
        if row.staff_id is not None and row.id != but:
            taken = padded_span(row.start_time, row.end_time, row.buffer_before, row.buffer_after)
            busy[row.staff_id].append(taken)
    return busy
