"""When branches are open and people work: the rows of some days, read once and then asked per day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from sqlalchemy import and_, select

from portal.db import db
from portal.domain import availability, public_holidays
from portal.domain.availability import Closure, Hours, Interval
from portal.domain.public_holidays import Place
from portal.domain.stats import company_zone
from portal.models import Branch, BranchClosure, Company, StaffAbsence, WorkingHours
from portal.tenancy import current_company_id

WORDS = "de"  # of holidays, where nobody reads


def zone_of(branch: Branch) -> ZoneInfo:
    """The branch's time zone, else the company's."""
    return ZoneInfo(branch.timezone or company_zone())


def places_of(branches: Iterable[Branch]) -> dict[int, Place | None]:
    """Whose public holidays each branch observes; None for those that have chosen none."""
    found: dict[int, Place | None] = {}
    company_country: str | None = None
    for branch in branches:
        if branch.region and not branch.country and company_country is None:
            company_country = _company_country()
        found[branch.id] = Place(branch.country or company_country or "", branch.region) if branch.region else None
    return found


def _company_country() -> str:
    return db.session.scalars(select(Company.country).where(Company.id == current_company_id())).one()


@dataclass(frozen=True)
class SpecialDay:
    """Why a day is not like others: what somebody has entered, or a public holiday."""

    date: date
    reason: str | None
    public: bool = False


@dataclass(frozen=True)
class Timetable:
    """Hours, closures and absences of some branches and people.

    Where nobody has entered any hours, they are unknown (None) and restrict nothing. A person without hours of their
    own works when the branch is open. A public holiday of ``places`` closes a branch, unless a closure says otherwise.
    """

    zones: Mapping[int, ZoneInfo]
    hours: list[WorkingHours]
    closures: list[BranchClosure]
    absences: list[StaffAbsence]
    places: Mapping[int, Place | None]

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

    def closure(self, branch_id: int, day: date) -> SpecialDay | None:
        """What makes the day a special one for the branch; a holiday's name is in the reader's language."""
        if rows := self._special.get((branch_id, day)):
            return SpecialDay(day, rows[0].reason or self.holiday(branch_id, day))
        holiday = self.holiday(branch_id, day)
        return SpecialDay(day, holiday, public=True) if holiday else None

    def holiday(self, branch_id: int, day: date) -> str | None:
        """The name of the public holiday in the reader's language, whatever has been entered for the day."""
        locale = get_locale()
        return public_holidays.name(self.places.get(branch_id), day, locale.language if locale else WORDS)

    @cached_property
    def _weeks(self) -> dict[tuple[int, int | None], list[Hours]]:
        weeks: dict[tuple[int, int | None], list[Hours]] = {}
        for row in self.hours:
            weeks.setdefault((row.branch_id, row.staff_id), []).append(hours_from(row))
        return weeks

    @cached_property
    def _special(self) -> dict[tuple[int, date], list[BranchClosure]]:
        special: dict[tuple[int, date], list[BranchClosure]] = {}
        for row in self.closures:
            special.setdefault((row.branch_id, row.date), []).append(row)
        return special

    def _rows(self, branch_id: int, staff_id: int | None) -> list[Hours]:
        return self._weeks.get((branch_id, staff_id), [])

    def _closures(self, branch_id: int, day: date) -> list[Closure]:
        if rows := self._special.get((branch_id, day)):
            return [Closure(row.date, row.opens_at, row.closes_at) for row in rows]
        return [Closure(day)] if public_holidays.name(self.places.get(branch_id), day, WORDS) else []


def hours_from(row: WorkingHours) -> Hours:
    """The row as a value."""
    return Hours(row.weekday, row.opens_at, row.closes_at, row.valid_from, row.valid_until)


def of(
    branches: Iterable[Branch],
    closures: list[BranchClosure],
    absences: list[StaffAbsence],
    hours: list[WorkingHours] | None = None,
) -> Timetable:
    """The timetable of these branches; their hours are read unless given."""
    chosen = list(branches)
    if hours is None:
        hours = hours_of(branch.id for branch in chosen)
    return Timetable({each.id: zone_of(each) for each in chosen}, hours, closures, absences, places_of(chosen))


def hours_of(branch_ids: Iterable[int]) -> list[WorkingHours]:
    """The rows in force, of the branches and of everybody who works there."""
    return list(
        db.session.scalars(
            select(WorkingHours).where(WorkingHours.branch_id.in_(list(branch_ids)), WorkingHours.is_active)
        )
    )


def load(branch: Branch, staff_id: int | None, first: date, last: date) -> Timetable:
    """The timetable of one branch and at most one person, for local days ``first`` to ``last``."""
    hours, closures = _hours_and_closures(branch.id, first, last)
    absences = absences_of(staff_id, first, last, zone_of(branch)) if staff_id is not None else []
    return of([branch], closures, absences, hours)


def absences_of(staff_id: int, first: date, last: date, zone: ZoneInfo) -> list[StaffAbsence]:
    """The person's absences around these days."""
    start = availability.day_bounds(first, zone).start - timedelta(days=1)
    end = availability.day_bounds(last, zone).end + timedelta(days=1)
    return list(
        db.session.scalars(
            select(StaffAbsence).where(
                StaffAbsence.staff_id == staff_id, StaffAbsence.starts_at < end, StaffAbsence.ends_at > start
            )
        )
    )


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
