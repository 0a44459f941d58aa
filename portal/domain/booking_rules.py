"""What people may book: opening hours, working hours, absences, and rows that are theirs and in use."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal.db import db
from portal.domain import availability, timetable
from portal.domain.availability import Interval
from portal.domain.errors import DomainError
from portal.domain.slots import LONGEST, Plan, moves
from portal.models import Appointment, Branch, Customer, Service, Staff

# Somebody enters who has just walked in.
GRACE = timedelta(minutes=15)


def local_times(
    zone: ZoneInfo, day: date, start: time, until: time | None, length: timedelta, *, second: bool = False
) -> tuple[datetime, datetime]:
    """Start and end of what is typed as local times; without ``until`` the end follows from the length.

    Where clocks go back a doubled time means its first coming as a start, unless ``second``, and its second as an end.
    A time that they skip is refused.
    """
    begin = availability.local_instant(day, start, zone, last=second)
    if begin.astimezone(zone).time() != start:
        raise DomainError(_("The clocks skip this time on that day. Please enter an earlier or a later one."), "time")
    if until is None:
        return begin, begin + length
    return begin, availability.local_instant(day, until, zone, last=True)


def comes_twice(zone: ZoneInfo, day: date, start: time) -> bool:
    """Whether the clocks show this time twice on that day, because they go back."""
    first, last = (availability.local_instant(day, start, zone, last=last) for last in (False, True))
    return first != last


def check(plan: Plan, now: datetime, appointment: Appointment | None = None) -> None:
    """Whether a person may book this. Raises ``DomainError`` beside the field that is wrong.

    Foreign and missing rows are the same. ``appointment`` is the one to be changed: what it has already, it may keep.
    """
    branch = _check_rows(plan, appointment)
    if plan.end <= plan.start:
        raise DomainError(_("The end lies before the start. Please enter a later end."), "until")
    if plan.end - plan.start > LONGEST:
        raise DomainError(_("An appointment cannot be longer than a day. Please enter an earlier end."), "until")
    zone = timetable.zone_of(branch)
    if plan.start < now - GRACE and (appointment is None or plan.start != appointment.start_time):
        today = plan.start.astimezone(zone).date() == now.astimezone(zone).date()
        raise DomainError(_("This time has already passed. Please choose a later one."), "time" if today else "date")
    if appointment is None or moves(appointment, plan):
        _check_hours(plan, branch, zone)


def _check_rows(plan: Plan, appointment: Appointment | None) -> Branch:
    branch = db.session.get(Branch, plan.branch_id)
    if branch is None or not branch.is_active:
        raise DomainError(_("Please choose a branch from the list."), "branch_id")
    customer = db.session.get(Customer, plan.customer_id)
    if customer is None or not customer.is_active:
        raise DomainError(_("Please choose a customer."), "customer_id")
    kept = appointment is not None
    if customer.is_blocked and not (kept and appointment.customer_id == customer.id):  # type: ignore[union-attr]
        raise DomainError(_("This customer is blocked. Please lift the block first, or choose another."), "customer_id")
    if not (kept and appointment.staff_id == plan.staff_id):  # type: ignore[union-attr]
        _check_staff(plan.staff_id)
    if not (kept and appointment.service_id == plan.service_id):  # type: ignore[union-attr]
        _check_service(plan)
    return branch


def _check_staff(staff_id: int | None) -> None:
    person = db.session.get(Staff, staff_id) if staff_id is not None else None
    if staff_id is not None and person is None:
        raise DomainError(_("Please choose somebody from the list."), "staff_id")
    if person is not None and not (person.is_active and person.is_available):
        message = _("%(name)s is not taking appointments. Please choose somebody else.", name=person.name)
        raise DomainError(message, "staff_id")


def _check_service(plan: Plan) -> None:
    service = db.session.get(Service, plan.service_id) if plan.service_id is not None else None
    if plan.service_id is not None and (service is None or not service.is_active):
        raise DomainError(_("Please choose a service from the list."), "service_id")
    if service is not None and service.branch_id not in (None, plan.branch_id):
        raise DomainError(_("This branch does not offer that service. Please choose another."), "service_id")


def _check_hours(plan: Plan, branch: Branch, zone: ZoneInfo) -> None:
    span = Interval(plan.start, plan.end)
    first, last = (moment.astimezone(zone).date() for moment in (plan.start, plan.end - timedelta(seconds=1)))
    hours = timetable.load(branch, plan.staff_id, first, last)
    if plan.staff_id is not None and hours.away(plan.staff_id, span):
        name = _name_of(plan.staff_id)
        message = _("%(name)s is away at that time. Please choose another day, or somebody else.", name=name)
        raise DomainError(message, "staff_id")
    opened = [hours.open(branch.id, day) for day in _days(first, last)]
    if not _covered(span, opened):
        raise DomainError(_("The branch is closed at that time.") + _instead(opened, zone), "time")
    if plan.staff_id is not None:
        worked = [hours.works(plan.staff_id, branch.id, day) for day in _days(first, last)]
        if not _covered(span, worked):
            message = _("%(name)s does not work at that time.", name=_name_of(plan.staff_id))
            raise DomainError(message + _instead(worked, zone), "time")


def _instead(per_day: list[list[Interval] | None], zone: ZoneInfo) -> str:
    """When it would be possible on the first of the days."""
    spans = [tuple(f"{at.astimezone(zone):%H:%M}" for at in (part.start, part.end)) for part in per_day[0] or []]
    if not spans:
        return " " + str(_("Please choose another day."))
    times = ", ".join("–".join(span) for span in spans)
    return " " + str(_("Possible on that day: %(times)s.", times=times))


def _covered(span: Interval, per_day: list[list[Interval] | None]) -> bool:
    """Whether the span lies within the hours; hours that nobody has entered restrict nothing."""
    if any(hours is None for hours in per_day):
        return True
    return not availability.subtract([span], [part for hours in per_day for part in hours or []])


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _name_of(staff_id: int) -> str:
    return db.session.get_one(Staff, staff_id).name
