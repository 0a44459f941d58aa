"""The calendar: what stands on a day or a week, read in a handful of queries however much it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.db import db
from portal.domain import availability, sheet_drawing, timetable
from portal.domain.availability import Interval
from portal.domain.sheet import Named, Sheet
from portal.domain.slots import LONGEST
from portal.domain.timetable import Timetable
from portal.models import Appointment, Branch, BranchClosure, Customer, Staff, StaffAbsence

VIEWS = ("day", "week", "month", "list")
FEW_BRANCHES = 4  # so many are shown at once to who has not chosen one


class NotThere(LookupError):
    """A branch or person that this company has not, or that the reader may not see."""


@dataclass(frozen=True)
class Wish:
    """What is to be shown. None: today, the reader's branch, everybody. ``visible``: the reader's branches or all."""

    view: str = "day"
    day: date | None = None
    branch_id: int | None = None
    every_branch: bool = False
    all_by_default: bool = False  # without branch_id: all branches, where they are few
    staff_id: int | None = None
    visible: list[int] | None = None
    home_staff_id: int | None = None
    own_first: bool = False  # without staff_id: the reader's own column


@dataclass(frozen=True)
class Scope:
    """Where a view looks: the branches that it shows, those to choose from, and the zone of its times."""

    chosen: list[Branch]
    every: bool
    choices: list[Branch]
    closures: list[BranchClosure]
    zone: ZoneInfo
    day: date
    today: date
    whole: bool  # nothing of the company's is left out

    @property
    def ids(self) -> list[int]:
        return [branch.id for branch in self.chosen]

    @property
    def mixed_zones(self) -> bool:
        return len({timetable.zone_of(branch) for branch in self.chosen}) > 1

    @property
    def branch(self) -> Named | None:
        return None if self.every else Named(self.chosen[0].id, self.chosen[0].name)

    def shown(self, person: Staff | None) -> list[ColumnElement[bool]]:
        """Which appointments. Where nothing is left out they are not asked for their branch: another index serves."""
        return self.counted(person)[1:] if self.whole else self.counted(person)

    def counted(self, person: Staff | None) -> list[ColumnElement[bool]]:
        """The same by branch, always: that index holds all that is counted. Of one branch it is in order as well."""
        one = Appointment.branch_id == self.ids[0] if len(self.ids) == 1 else Appointment.branch_id.in_(self.ids)
        return [one] if person is None else [one, Appointment.staff_id == person.id]

    def common(self, days: list[date], person: Staff | None, people: Iterable[Staff]) -> dict[str, Any]:
        """What every view has, see ``sheet.View``, but for its name."""
        return {
            "day": self.day,
            "today": self.today,
            "days": days,
            "zone": self.zone.key,
            "mixed_zones": self.mixed_zones,
            "branch": self.branch,
            "staff": Named(person.id, person.name) if person else None,
            "branches": [Named(branch.id, branch.name) for branch in self.choices],
            "people": [Named(each.id, each.name) for each in people],
        }

    def span(self, days: Sequence[date]) -> Interval:
        """From the first day's beginning to the last one's end."""
        return Interval(
            availability.day_bounds(days[0], self.zone).start, availability.day_bounds(days[-1], self.zone).end
        )


# ---- Reading ----------------------------------------------------------------------------------------------------


def sheet(wish: Wish, now: datetime) -> Sheet | None:
    """The sheet of a day or a week; None for a company without a branch. Raises :class:`NotThere`."""
    scope = scope_of(wish, now)
    if scope is None:
        return None
    days = _days(wish.view, scope.day)
    span = scope.span(days)
    everybody, absences = staff_of(span)
    hours = timetable.of(scope.chosen, scope.closures, absences)
    found = _appointments(span, scope.ids)
    booked = {appointment.staff_id for appointment in found if appointment.status != "cancelled"}
    people = people_of(everybody, scope, hours, booked)
    person = choose_person(wish, everybody, people)
    return sheet_drawing.draw(
        sheet_drawing.Material(
            view=wish.view,
            day=scope.day,
            days=days,
            zone=scope.zone,
            now=now,
            hours=hours,
            branches=scope.chosen,
            people=people,
            person=person,
            appointments=found,
        ),
        choices=scope.choices,
        one_branch=not scope.every,
    )


def scope_of(wish: Wish, now: datetime, around: int = 8) -> Scope | None:
    """What the wish means, with what is special ``around`` so many days; None for a company without a branch.

    Raises :class:`NotThere`.
    """
    branches, closures = _branches(wish.visible, wish.day or now.date(), timedelta(days=around))
    if not branches:
        return None
    chosen, every = _choose_branches(wish, branches)
    zone = timetable.zone_of(chosen[0])
    today = now.astimezone(zone).date()
    choices = [branch for branch in branches if branch.is_active or branch in chosen]
    whole = every and wish.visible is None and len(chosen) == len(branches)
    return Scope(chosen, every, choices, closures, zone, wish.day or today, today, whole)


def _branches(visible: list[int] | None, about: date, around: timedelta) -> tuple[list[Branch], list[BranchClosure]]:
    """The reader's branches, and what is special about their days around that one."""
    near = and_(BranchClosure.branch_id == Branch.id, BranchClosure.date.between(about - around, about + around))
    query = select(Branch, BranchClosure).outerjoin(BranchClosure, near).order_by(Branch.id, BranchClosure.id)
    if visible is not None:
        query = query.where(Branch.id.in_(visible))
    rows = db.session.execute(query).all()
    return list(dict.fromkeys(branch for branch, _ in rows)), [closure for _, closure in rows if closure is not None]


def staff_of(span: Interval) -> tuple[list[Staff], list[StaffAbsence]]:
    """Everybody of the company by name, and who is away in that time."""
    touching = and_(
        StaffAbsence.staff_id == Staff.id, StaffAbsence.starts_at < span.end, StaffAbsence.ends_at > span.start
    )
    rows = db.session.execute(
        select(Staff, StaffAbsence)
        .outerjoin(StaffAbsence, touching)
        .order_by(Staff.first_name, Staff.last_name, Staff.id, StaffAbsence.starts_at)
    ).all()
    return list(dict.fromkeys(person for person, _ in rows)), [absence for _, absence in rows if absence is not None]


def _appointments(span: Interval, branch_ids: Sequence[int]) -> list[Appointment]:
    return list(
        db.session.scalars(
            select(Appointment)
            .join(Customer, Customer.id == Appointment.customer_id)
            .options(contains_eager(Appointment.customer), joinedload(Appointment.service))
            .where(
                Appointment.branch_id.in_(branch_ids),
                Appointment.start_time > span.start - LONGEST,
                Appointment.start_time < span.end,
                Appointment.end_time > span.start,
            )
            .order_by(Appointment.start_time, Appointment.id)
        )
    )


def _choose_branches(wish: Wish, branches: list[Branch]) -> tuple[list[Branch], bool]:
    """The branches to show, and whether they are all of them."""
    if wish.branch_id is not None:
        chosen = [branch for branch in branches if branch.id == wish.branch_id]
        if not chosen:
            raise NotThere("branch")
        return chosen, False
    active = [branch for branch in branches if branch.is_active]
    if wish.every_branch or (wish.all_by_default and 1 < len(active) <= FEW_BRANCHES):
        # The primary one's zone is that of the times.
        return sorted(active, key=lambda branch: not branch.is_primary) or branches[:1], True
    home = _home_branch_id(wish.home_staff_id)
    best = sorted(branches, key=lambda branch: (branch.id != home, not branch.is_primary, not branch.is_active))
    return best[:1], False


def _home_branch_id(staff_id: int | None) -> int | None:
    return db.session.scalar(select(Staff.branch_id).where(Staff.id == staff_id)) if staff_id is not None else None


def people_of(everybody: list[Staff], scope: Scope, hours: Timetable, booked: Collection[int | None]) -> list[Staff]:
    """Who belongs to the branches, one branch after the other: who works there, and whoever is booked there."""
    order = {branch_id: place for place, branch_id in enumerate(scope.ids)}
    working = {row.staff_id for row in hours.hours}
    people = [
        person
        for person in everybody
        if person.id in booked or (person.is_active and (person.branch_id in {None, *order} or person.id in working))
    ]
    return sorted(people, key=lambda person: order.get(person.branch_id or 0, len(order)))


def choose_person(wish: Wish, everybody: list[Staff], people: list[Staff]) -> Staff | None:
    """The person asked for; None where they have nothing to do with this branch, so that the filters do not fight."""
    if wish.staff_id is None:
        own = [person for person in people if wish.own_first and person.id == wish.home_staff_id]
        return own[0] if own else None
    person = next((person for person in everybody if person.id == wish.staff_id), None)
    hidden = wish.visible is not None and person is not None and person.branch_id not in {None, *wish.visible}
    if person is None or (hidden and person not in people):
        raise NotThere("staff")
    return person if person in people else None


def _days(view: str, day: date) -> list[date]:
    if view == "day":
        return [day]
    monday = day - timedelta(days=day.isoweekday() - 1)
    return [monday + timedelta(days=offset) for offset in range(7)]
