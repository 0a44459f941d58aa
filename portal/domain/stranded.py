"""Appointments to come that lie outside of the hours: nobody moves them, but people are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.domain import availability, timetable
from portal.domain.availability import Interval
from portal.domain.slots import OPEN
from portal.domain.timetable import Timetable
from portal.models import Appointment, Branch, BranchClosure

MOST = 2000  # appointments that are looked at, the next ones first
SECOND = timedelta(seconds=1)


def coming(branch_id: int, now: datetime, staff_id: int | None = None) -> list[Appointment]:
    """The branch's open appointments from now on, at most :data:`MOST`; customer, staff and service loaded."""
    query = select(Appointment).where(
        Appointment.branch_id == branch_id, Appointment.start_time >= now, Appointment.status.in_(OPEN)
    )
    if staff_id is not None:
        query = query.where(Appointment.staff_id == staff_id)
    loaded = (joinedload(Appointment.customer), joinedload(Appointment.staff), joinedload(Appointment.service))
    return list(db.session.scalars(query.options(*loaded).order_by(Appointment.start_time, Appointment.id).limit(MOST)))


def timetable_for(branch: Branch, rows: Iterable[Appointment]) -> Timetable:
    """What counts on the days of these appointments; without absences."""
    zone = timetable.zone_of(branch)
    days = {day for row in rows for day in _days(row, zone)}
    closures = []
    if days:
        closures = list(
            db.session.scalars(
                select(BranchClosure)
                .where(BranchClosure.branch_id == branch.id, BranchClosure.date.between(min(days), max(days)))
                .order_by(BranchClosure.id)
            )
        )
    return timetable.of([branch], closures, [])


def outside(table: Timetable, rows: Iterable[Appointment]) -> list[Appointment]:
    """Those that do not lie within the hours of their branch and their person."""
    hours: dict[tuple[int | None, date], list[Interval] | None] = {}

    def on(row: Appointment, staff_id: int | None, day: date) -> list[Interval] | None:
        if (staff_id, day) not in hours:
            at = row.branch_id
            hours[staff_id, day] = table.open(at, day) if staff_id is None else table.works(staff_id, at, day)
        return hours[staff_id, day]

    def fits(row: Appointment, staff_id: int | None) -> bool:
        found = [on(row, staff_id, day) for day in _days(row, table.zones[row.branch_id])]
        if any(spans is None for spans in found):
            return True
        known = [span for spans in found for span in spans or []]
        return not availability.subtract([Interval(row.start_time, row.end_time)], known)

    return [row for row in rows if not (fits(row, None) and (row.staff_id is None or fits(row, row.staff_id)))]


def _days(row: Appointment, zone: ZoneInfo) -> list[date]:
    first, last = (moment.astimezone(zone).date() for moment in (row.start_time, row.end_time - SECOND))
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
