"""The calendar: what stands on a day or a week, read in a handful of queries however much it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import and_, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.db import db
from portal.domain import availability, sheet_drawing, timetable
from portal.domain.availability import Interval
from portal.domain.sheet import Sheet
from portal.domain.slots import LONGEST
from portal.domain.timetable import Timetable
from portal.models import Appointment, Branch, BranchClosure, Customer, Staff, StaffAbsence

VIEWS = ("day", "week")


class NotThere(LookupError):
    """A branch or person that this company has not, or that the reader may not see."""


@dataclass(frozen=True)
class Wish:
    """What is to be shown. None: today, the reader's branch, everybody. ``visible``: the reader's branches or all."""

    view: str = "day"
    day: date | None = None
    branch_id: int | None = None
    every_branch: bool = False
    staff_id: int | None = None
    visible: list[int] | None = None
    home_staff_id: int | None = None
    own_first: bool = False  # without staff_id: the reader's own column


# ---- Reading ----------------------------------------------------------------------------------------------------


def sheet(wish: Wish, now: datetime) -> Sheet | None:
    """The sheet; None for a company without a branch. Raises :class:`NotThere`."""
    about = wish.day or now.date()
    branches, closures = _branches(wish.visible, about)
    if not branches:
        return None
    chosen = _choose_branches(wish, branches)
    zone = timetable.zone_of(chosen[0])
    today = now.astimezone(zone).date()
    day = wish.day or today
    days = _days(wish.view, day)
    span = Interval(availability.day_bounds(days[0], zone).start, availability.day_bounds(days[-1], zone).end)
    everybody, absences = _staff(span)
    hours = Timetable(
        {branch.id: timetable.zone_of(branch) for branch in chosen},
        timetable.hours_of(branch.id for branch in chosen),
        closures,
        absences,
    )
    found = _appointments(span, [branch.id for branch in chosen])
    people = _people(everybody, chosen, hours, found)
    person = _choose_person(wish, everybody, people)
    return sheet_drawing.draw(
        sheet_drawing.Material(
            view=wish.view,
            day=day,
            days=days,
            zone=zone,
            now=now,
            hours=hours,
            branches=chosen,
            people=people,
            person=person,
            appointments=found,
        ),
        choices=[branch for branch in branches if branch.is_active or branch in chosen],
        one_branch=not wish.every_branch,
    )


def _branches(visible: list[int] | None, about: date) -> tuple[list[Branch], list[BranchClosure]]:
    """The reader's branches, and what is special about their days around that one."""
    near = and_(
        BranchClosure.branch_id == Branch.id,
        BranchClosure.date.between(about - timedelta(days=8), about + timedelta(days=8)),
    )
    query = select(Branch, BranchClosure).outerjoin(BranchClosure, near).order_by(Branch.id, BranchClosure.id)
    if visible is not None:
        query = query.where(Branch.id.in_(visible))
    rows = db.session.execute(query).all()
    return list(dict.fromkeys(branch for branch, _ in rows)), [closure for _, closure in rows if closure is not None]


def _staff(span: Interval) -> tuple[list[Staff], list[StaffAbsence]]:
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


def _choose_branches(wish: Wish, branches: list[Branch]) -> list[Branch]:
    if wish.branch_id is not None:
        chosen = [branch for branch in branches if branch.id == wish.branch_id]
        if not chosen:
            raise NotThere("branch")
        return chosen
    if wish.every_branch:
        return [branch for branch in branches if branch.is_active] or branches[:1]
    home = _home_branch_id(wish.home_staff_id)
    best = sorted(branches, key=lambda branch: (branch.id != home, not branch.is_primary, not branch.is_active))
    return best[:1]


def _home_branch_id(staff_id: int | None) -> int | None:
    return db.session.scalar(select(Staff.branch_id).where(Staff.id == staff_id)) if staff_id is not None else None


def _people(everybody: list[Staff], branches: list[Branch], hours: Timetable, found: list[Appointment]) -> list[Staff]:
    """Who belongs on the sheet: who works at the branches, and whoever has an appointment there all the same."""
    ids = {branch.id for branch in branches}
    working = {row.staff_id for row in hours.hours}
    booked = {appointment.staff_id for appointment in found if appointment.status != "cancelled"}
    return [
        person
        for person in everybody
        if person.id in booked or (person.is_active and (person.branch_id in {None, *ids} or person.id in working))
    ]


def _choose_person(wish: Wish, everybody: list[Staff], people: list[Staff]) -> Staff | None:
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
