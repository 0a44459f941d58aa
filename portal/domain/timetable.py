"""When branches are open and people work: the rows of some days, read once and then asked per day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select

from portal.db import db
from portal.domain import availability
from portal.domain.availability import Closure, Hours, Interval
from portal.domain.stats import company_zone
from portal.models import Branch, BranchClosure, StaffAbsence, WorkingHours


def zone_of(branch: Branch) -> ZoneInfo:
    """The branch's time zone, else the company's."""
    return ZoneInfo(branch.timezone or company_zone())


@dataclass(frozen=True)
class Timetable:
    """Hours, closures and absences of some branches and people.

    Where nobody has entered any hours, they are unknown (None) and restrict nothing. A person without hours of their
    own works when the branch is open.
    """

    zones: Mapping[int, ZoneInfo]
    hours: list[WorkingHours]
    closures: list[BranchClosure]
    absences: list[StaffAbsence]

    def open(self, branch_id: int, day: date) -> list[Interval] | None:
        """When the branch is open on its local day, in UTC; None when no hours are known."""
        rows = self._rows(branch_id, None)
        closures = self._closures(branch_id, day)
        if not rows and not closures:
            return None
        return availability.opening(day, self.zones[branch_id], rows, closures)

    def works(self, staff_id: int, branch_id: int, day: date) -> list[Interval] | None:
        """When the person works there on that day, absences not yet taken off; None when no hours are known."""
        rows = self._rows(branch_id, staff_id)
        if not rows:
            return self.open(branch_id, day)
        return availability.working(day, self.zones[branch_id], rows, self._closures(branch_id, day))

    def away(self, staff_id: int, span: Interval) -> list[StaffAbsence]:
        """The person's absences that touch the span."""
        return [
            absence
            for absence in self.absences
            if absence.staff_id == staff_id and Interval(absence.starts_at, absence.ends_at).overlaps(span)
        ]

    def closure(self, branch_id: int, day: date) -> BranchClosure | None:
        """What makes the day a special one for the branch."""
        return next((row for row in self.closures if row.branch_id == branch_id and row.date == day), None)

    def _rows(self, branch_id: int, staff_id: int | None) -> list[Hours]:
        return [
            Hours(row.weekday, row.opens_at, row.closes_at, row.valid_from, row.valid_until)
            for row in self.hours
            if row.branch_id == branch_id and row.staff_id == staff_id
        ]

    def _closures(self, branch_id: int, day: date) -> list[Closure]:
        return [
            Closure(row.date, row.opens_at, row.closes_at)
            for row in self.closures
            if row.branch_id == branch_id and row.date == day
        ]


def hours_of(branch_ids: Iterable[int]) -> list[WorkingHours]:
    """The rows in force, of the branches and of everybody who works there."""
    return list(
        db.session.scalars(
            select(WorkingHours).where(WorkingHours.branch_id.in_(list(branch_ids)), WorkingHours.is_active)
        )
    )


def load(branch: Branch, staff_id: int | None, first: date, last: date) -> Timetable:
    """The timetable of one branch and at most one person, for local days ``first`` to ``last``."""
    zone = zone_of(branch)
    span = Interval(
        availability.day_bounds(first, zone).start - timedelta(days=1),
        availability.day_bounds(last, zone).end + timedelta(days=1),
    )
    hours, closures = _hours_and_closures(branch.id, first, last)
    absences = db.session.scalars(
        select(StaffAbsence).where(
            StaffAbsence.staff_id == staff_id, StaffAbsence.starts_at < span.end, StaffAbsence.ends_at > span.start
        )
    )
    return Timetable({branch.id: zone}, hours, closures, list(absences))


def _hours_and_closures(branch_id: int, first: date, last: date) -> tuple[list[WorkingHours], list[BranchClosure]]:
    """Both in one query: few rows each."""
    in_force = and_(WorkingHours.branch_id == Branch.id, WorkingHours.is_active)
    special = and_(BranchClosure.branch_id == Branch.id, BranchClosure.date.between(first, last))
    rows = db.session.execute(
        select(WorkingHours, BranchClosure)
        .select_from(Branch)
        .outerjoin(WorkingHours, in_force)
        .outerjoin(BranchClosure, special)
        .where(Branch.id == branch_id)
        .order_by(WorkingHours.id, BranchClosure.id)
    ).all()
    hours = dict.fromkeys(row for row, _ in rows if row is not None)
    closures = dict.fromkeys(closure for _, closure in rows if closure is not None)
    return list(hours), list(closures)
