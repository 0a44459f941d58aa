"""Who has which time: what is planned, and the guard against double bookings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from portal.db import db, rows_changed
from portal.domain.availability import Interval
from portal.domain.errors import Conflict, DomainError
from portal.models import Appointment, Staff

OPEN = ("scheduled", "confirmed")
# What takes a person's time. Who did not come, and what was cancelled, leaves the time free.
BUSY = (*OPEN, "completed")
# No appointment is longer, no buffer wider; bounds the look-up of overlaps.
LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """What is to stand in the calendar. Times are aware, kept in UTC; buffers are minutes, the price euros."""

    branch_id: int
    customer_id: int
    staff_id: int | None
    start: datetime
    end: datetime
    service_id: int | None = None
    price: Decimal | None = None
    buffer_before: int = 0
    buffer_after: int = 0
    title: str | None = None
    customer_notes: str | None = None
    internal_notes: str | None = None

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"naive times {self.start} to {self.end}")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def padded(self) -> Interval:
        return padded_span(self.start, self.end, self.buffer_before, self.buffer_after)


@dataclass(frozen=True)
class Overbooking:
    """A person books over other appointments, knowing it."""

    user_id: int
    reason: str


class SlotTaken(Conflict):
    """Somebody else has the time; ``taken`` are their appointments, customers loaded.

    ``unexplained``: it was to be booked over all the same, but without a reason.
    """

    def __init__(self, taken: list[Appointment], unexplained: bool = False) -> None:
        if unexplained:
            super().__init__(_("Please say why you book over it."), "reason")
        else:
            super().__init__(_("This time is already taken."), "time")
        self.taken = taken


def plan_of(appointment: Appointment) -> Plan:
    """The appointment as it stands, to be varied."""
    return Plan(
        branch_id=appointment.branch_id,
        customer_id=appointment.customer_id,
        staff_id=appointment.staff_id,
        start=appointment.start_time,
        end=appointment.end_time,
        service_id=appointment.service_id,
        price=appointment.price,
        buffer_before=appointment.buffer_before,
        buffer_after=appointment.buffer_after,
        title=appointment.title,
        customer_notes=appointment.customer_notes,
        internal_notes=appointment.internal_notes,
    )


def columns(plan: Plan) -> dict[str, Any]:
    """The plan as columns of the appointment."""
    return {
        "branch_id": plan.branch_id,
        "customer_id": plan.customer_id,
        "staff_id": plan.staff_id,
        "start_time": plan.start,
        "end_time": plan.end,
        "service_id": plan.service_id,
        "price": plan.price,
        "buffer_before": plan.buffer_before,
        "buffer_after": plan.buffer_after,
        "title": plan.title,
        "customer_notes": plan.customer_notes,
        "internal_notes": plan.internal_notes,
    }


def moves(appointment: Appointment, plan: Plan) -> bool:
    """Whether the plan takes other time, or somebody else's."""
    return (appointment.start_time, appointment.end_time, appointment.staff_id, appointment.branch_id) != (
        plan.start,
        plan.end,
        plan.staff_id,
        plan.branch_id,
    )


# ---- The guard --------------------------------------------------------------------------------------------------


def guard(
    plan: Plan,
    appointment: Appointment | None = None,
    *,
    overbooking: Overbooking | None = None,
    take_over: bool = False,
) -> list[Appointment]:
    """Claim the calendars, then look. Returns what is overlapped and may be; raises :class:`SlotTaken` otherwise."""
    claim_calendars(plan.staff_id, appointment.staff_id if appointment else None)
    taken = overlapping(plan, appointment.id if appointment else None)
    if taken and overbooking is None and not take_over:
        raise SlotTaken(taken)
    if taken and overbooking is not None and not overbooking.reason.strip():
        raise SlotTaken(taken, unexplained=True)
    return taken


def claim_calendars(*staff_ids: int | None) -> None:
    """Write the staff members' rows, in the order of their ids: who books the same person waits until we are done.

    A lock alone would not cross the nodes of a cluster; a written row does, as a conflict when it is committed.
    """
    for staff_id in sorted({staff_id for staff_id in staff_ids if staff_id is not None}):
        met = rows_changed(
            update(Staff)
            .where(Staff.id == staff_id)
            .values(calendar_version=Staff.calendar_version + 1, updated_at=Staff.updated_at)
        )
        if not met:
            raise DomainError(_("Please choose somebody from the list."), "staff_id")


def overlapping(plan: Plan, but: int | None = None) -> list[Appointment]:
    """The person's appointments that would share time with the plan, buffers on both sides counted; by start."""
    if plan.staff_id is None:
        return []
    mine = plan.padded
    near = db.session.scalars(
        select(Appointment)
        .options(joinedload(Appointment.customer))
        .where(
            Appointment.staff_id == plan.staff_id,
            Appointment.status.in_(BUSY),
            Appointment.start_time > mine.start - 2 * LONGEST,
            Appointment.start_time < mine.end + LONGEST,
        )
        .order_by(Appointment.start_time)
    )
    return [other for other in near if other.id != but and padded(other).overlaps(mine)]


def padded(appointment: Appointment) -> Interval:
    """The appointment with its buffers."""
    return padded_span(
        appointment.start_time, appointment.end_time, appointment.buffer_before, appointment.buffer_after
    )


def padded_span(start: datetime, end: datetime, before: int, after: int) -> Interval:
    """A stretch of time with buffers in minutes around it."""
    return Interval(start, end).padded(timedelta(minutes=before), timedelta(minutes=after))
