"""Appointments: booking without double bookings, and the way from scheduled to completed.

Every change writes its audit record, raises ``version``, and brings the customer's statistics up to date. What moves in
the calendar or leaves it raises ``ical_sequence`` as well. Names and notes stay out of the audit: it outlives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import audit, booking_push, booking_rules, followups, stats, visits
from portal.domain.errors import Conflict, DomainError
from portal.domain.slots import BUSY, OPEN, Overbooking, Plan, columns, guard, moves, plan_of
from portal.models import Appointment, AuditLog, Call, Service
from portal.tenancy import current_company_id

ACTIONS = ("confirm", "arrived", "completed", "no_show", "back")
# action → (the statuses it may start from, the status it leads to)
STEPS = {
    "confirm": (("scheduled",), "confirmed"),
    "arrived": ((*OPEN, "no_show"), "confirmed"),
    "completed": ((*OPEN, "no_show"), "completed"),
    "no_show": ((*OPEN, "completed"), "no_show"),
}
# What the audit calls them.
DEEDS = {"confirm": "confirmed", "back": "restored"}
STEP_RECORDS = tuple(f"appointment.{DEEDS.get(name, name)}" for name in (*STEPS, "cancelled"))
REASON_LENGTH = 500
SAME: Any = object()  # the person stays who it was: None is nobody


class Changed(Conflict):
    """The appointment is not as it was shown."""


# ---- Booking ----------------------------------------------------------------------------------------------------


def book(
    plan: Plan,
    *,
    now: datetime,
    source: str = "admin",
    status: str = "confirmed",
    call: Call | None = None,
    overbooking: Overbooking | None = None,
    take_over: bool = False,
) -> Appointment:
    """Write an appointment. Raises ``SlotTaken`` where it would be a double booking.

    ``overbooking`` books all the same and says who wanted it. ``take_over`` is for what a provider has booked already:
    it exists, overlapping or not. Opening hours and the past are not looked at: see ``booking_rules``.
    """
    over = guard(plan, overbooking=overbooking, take_over=take_over)
    visits.lock(plan.customer_id)
    appointment = Appointment(
        company_id=current_company_id(),
        status=status,
        source="phone" if call else source,
        call_id=call.id if call else None,
        created_at=now,
        overbooked_by=overbooking.user_id if overbooking and over else None,
        **columns(plan),
    )
    db.session.add(appointment)
    db.session.flush()
    new = _shown(appointment) | {"source": appointment.source} | _why(over, overbooking)
    audit.record("appointment.created", appointment, new=new)
    if call is not None:
        link_call(appointment, call)
    visits.refresh(plan.customer_id)
    if not take_over:  # a provider's booking is not joined to it yet
        followups.appointment_made(appointment, now)
    return appointment


def book_by_hand(
    plan: Plan,
    *,
    now: datetime,
    source: str = "admin",
    call: Call | None = None,
    overbooking: Overbooking | None = None,
) -> Appointment:
    """Book for a person at the desk: everything is checked first. Raises ``DomainError`` with its ``field``."""
    plan = with_service(plan)
    booking_rules.check(plan, now)
    return book(plan, now=now, source=source, call=call, overbooking=overbooking)


def change(
    appointment: Appointment,
    plan: Plan,
    *,
    version: int | None = None,
    overbooking: Overbooking | None = None,
    take_over: bool = False,
) -> Appointment:
    """Make the appointment as planned: another time, person, service, price or note.

    Raises :class:`Changed` where ``version`` is not the present one, ``SlotTaken`` as in :func:`book`. Rules for
    people are applied by :func:`change_by_hand`.
    """
    row = _locked(appointment, version)
    moving = moves(row, plan)
    over: list[Appointment] = []
    claims = moving or _takes_more(row, plan)
    if claims and row.status in BUSY:
        over = guard(plan, row, overbooking=overbooking, take_over=take_over)
    visits.lock(row.customer_id, plan.customer_id)
    before, customer_before = _shown(row), row.customer_id
    fields = _assign(row, columns(plan))
    if not fields:
        return row
    if moving or not {"service_id", "customer_id"}.isdisjoint(fields):
        row.ical_sequence += 1  # what stands in the customer's own calendar is different
    if not {"start_time", "customer_id"}.isdisjoint(fields):
        row.reminder_sent_at = None  # another time, or somebody who has not been reminded
    if claims:
        row.overbooked_by = overbooking.user_id if overbooking and over else None
    after = {"fields": fields} | _why(over, overbooking)
    _changed(row, "appointment.moved" if moving else "appointment.edited", before, after)
    visits.refresh(customer_before, row.customer_id)
    if moving:
        followups.appointment_changed(row, utcnow())
    return row


def _takes_more(row: Appointment, plan: Plan) -> bool:
    """Whether it would reach further with its buffers: another service may need a longer pause after it."""
    before, after = plan_of(row).padded, plan.padded
    return after.start < before.start or after.end > before.end


def change_by_hand(
    appointment: Appointment,
    plan: Plan,
    *,
    now: datetime,
    version: int | None = None,
    overbooking: Overbooking | None = None,
) -> Appointment:
    """Change for a person at the desk. A past appointment keeps its time but may get another note or price."""
    if appointment.status == "cancelled":
        raise DomainError(_("A cancelled appointment cannot be changed. Take the cancellation back first."))
    if plan.service_id != appointment.service_id:
        plan = with_service(plan)
    if moves(appointment, plan) and appointment.status not in OPEN:
        raise DomainError(_("This appointment is over and keeps its time. Take the last step back first."), "time")
    before = plan_of(appointment)
    if moves(appointment, plan) or (plan.service_id, plan.customer_id) != (before.service_id, before.customer_id):
        booking_rules.check(plan, now, appointment)
    return change(appointment, plan, version=version, overbooking=overbooking)


def move(
    appointment: Appointment,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    staff_id: int | None = SAME,
    version: int | None = None,
    overbooking: Overbooking | None = None,
) -> Appointment:
    """Move by hand to another time and, if ``staff_id`` is given, to another person or (None) to nobody yet."""
    staff_id = appointment.staff_id if staff_id is SAME else staff_id
    plan = replace(plan_of(appointment), start=start, end=end, staff_id=staff_id)
    return change_by_hand(appointment, plan, now=now, version=version, overbooking=overbooking)


def with_service(plan: Plan) -> Plan:
    """The service's price, where none is given, and its buffer."""
    service = db.session.get(Service, plan.service_id) if plan.service_id else None
    if service is None:
        return plan
    return replace(
        plan,
        price=service.price if plan.price is None else plan.price,
        buffer_after=service.buffer_time_minutes,
        title=plan.title or service.name,
    )


# ---- The state machine ------------------------------------------------------------------------------------------


def set_status(
    appointment: Appointment, action: str, now: datetime, *, version: int | None = None, take_over: bool = False
) -> Appointment:
    """Do one of :data:`ACTIONS`. What is so already stays so; what may not be raises ``Conflict``.

    ``version`` is the one that the person saw; None does not compare. ``back`` undoes the last step.
    """
    if action not in ACTIONS:
        raise DomainError(_("This cannot be done with an appointment."))
    row = _locked(appointment, None)
    if _is_done(row, action):
        return row
    _check_version(row, version)
    status, arrived_at = _before(row) if action == "back" else _after(row, action, now)
    if status in BUSY and row.status not in BUSY:
        guard(plan_of(row), row, take_over=take_over)
    before = _shown(row)
    visits.lock(row.customer_id)
    if (row.status == "cancelled") != (status == "cancelled"):
        row.ical_sequence += 1
        row.cancelled_at = row.cancelled_by = row.cancellation_reason = None
    row.status, row.arrived_at = status, arrived_at
    stands_again = before["status"] == "cancelled"
    _changed(row, f"appointment.{DEEDS.get(action, action)}", before)
    visits.refresh(row.customer_id)
    if stands_again:
        followups.appointment_made(row, now)
    return row


def _is_done(row: Appointment, action: str) -> bool:
    if action == "arrived":
        return row.arrived_at is not None and row.status in OPEN
    return action != "back" and row.status == STEPS[action][1]


def _after(row: Appointment, action: str, now: datetime) -> tuple[str, datetime | None]:
    allowed, status = STEPS[action]
    if row.status not in allowed:
        raise Changed(_("This is no longer possible: the appointment has changed."))
    if action == "arrived":
        return status, now
    return status, None if action == "no_show" else row.arrived_at


def _before(row: Appointment) -> tuple[str, datetime | None]:
    """Status and arrival before the last step, which the audit remembers."""
    if row.status == "scheduled" and row.arrived_at is None:
        raise Changed(_("There is nothing to take back."))
    if row.status == "confirmed" and row.arrived_at is None:
        return "scheduled", None
    for step in _standing_steps(row):
        old, new = step.old_values or {}, step.new_values or {}
        if row.status == "confirmed" and new.get("arrived_at"):
            return old.get("status", "confirmed"), None
        if new.get("status") == row.status and row.status not in OPEN:
            arrived_at = _time(old["arrived_at"]) if "arrived_at" in old else row.arrived_at
            return old.get("status", "confirmed"), arrived_at
    return "confirmed", None


def _standing_steps(row: Appointment) -> Iterator[AuditLog]:
    """The steps that were not taken back, the latest first: taking back twice goes two steps back, not to and fro."""
    undone = 0
    for record in history(row):
        if record.action == "appointment.restored":
            if (record.new_values or {}).get("status") == "scheduled":
                return  # the beginning: nothing before it stands
            undone += 1
        elif record.action in STEP_RECORDS:
            if undone == 0:
                yield record
            undone = max(undone - 1, 0)


def history(appointment: Appointment) -> list[AuditLog]:
    """What was done with it, the latest first."""
    return list(
        db.session.scalars(
            select(AuditLog)
            .where(AuditLog.model_type == Appointment.__tablename__, AuditLog.model_id == appointment.id)
            .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
            .limit(50)
        )
    )


def cancel(appointment: Appointment, reason: str, by: str, now: datetime, *, version: int | None = None) -> Appointment:
    """Cancel with a reason; ``by`` is a name, or ``customer`` or ``staff``. Only what is still to come can be."""
    row = _locked(appointment, None)
    if row.status == "cancelled":
        return row
    _check_version(row, version)
    if row.status not in OPEN:
        raise Changed(_("This appointment is over and cannot be cancelled."))
    if not reason.strip():
        raise DomainError(_("Please give a reason."), "reason")
    visits.lock(row.customer_id)
    before = _shown(row)
    row.status, row.cancelled_at, row.arrived_at = "cancelled", now, None
    row.cancellation_reason, row.cancelled_by = reason.strip()[:REASON_LENGTH], by[:100]
    row.ical_sequence += 1
    _changed(row, "appointment.cancelled", before)
    visits.refresh(row.customer_id)
    followups.appointment_changed(row, now)
    return row


def _locked(appointment: Appointment, version: int | None) -> Appointment:
    """The row as it is now, locked."""
    row = db.session.scalars(
        select(Appointment)
        .where(Appointment.id == appointment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    _check_version(row, version)
    return row


def _check_version(row: Appointment, version: int | None) -> None:
    if version is not None and row.version != version:
        raise Changed(_("Somebody has changed this appointment in the meantime. This is how it stands now."))


def _assign(row: Appointment, values: dict[str, Any]) -> list[str]:
    """Set what differs; the names of the columns that did."""
    names = [name for name, value in values.items() if getattr(row, name) != value]
    for name in names:
        setattr(row, name, values[name])
    return names


def _changed(row: Appointment, action: str, before: dict[str, Any], more: dict[str, Any] | None = None) -> None:
    """Raise the version and write down what is different now."""
    row.version += 1
    db.session.flush()
    after = _shown(row)
    old = {name: value for name, value in before.items() if after[name] != value}
    audit.record(action, row, old=old, new={name: after[name] for name in old} | (more or {}))
    booking_push.appointment_changed(row, before)


def _shown(row: Appointment) -> dict[str, Any]:
    """What the audit keeps of an appointment: nothing that tells about the customer."""
    return {
        "status": row.status,
        "start_time": row.start_time.isoformat(),
        "end_time": row.end_time.isoformat(),
        "staff_id": row.staff_id,
        "branch_id": row.branch_id,
        "service_id": row.service_id,
        "price": None if row.price is None else str(row.price),
        "arrived_at": row.arrived_at.isoformat() if row.arrived_at else None,
    }


def _why(over: Sequence[Appointment], overbooking: Overbooking | None) -> dict[str, Any]:
    if not over:
        return {}
    reason = overbooking.reason.strip()[:REASON_LENGTH] if overbooking else None
    return {"overlaps": [other.id for other in over], "reason": reason}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# ---- The call behind it -----------------------------------------------------------------------------------------


def link_call(appointment: Appointment, call: Call) -> None:
    """Tie an appointment to the call in which it was made. The first call keeps it; later ones only point at it."""
    call = db.session.get_one(Call, call.id)
    if appointment.call_id is None:
        appointment.call_id, appointment.source = call.id, "phone"
        appointment.version += 1
        audit.record("appointment.linked", appointment, new={"call_id": call.id})
    if call.appointment_id is None:
        call.appointment_id = appointment.id
    call.appointment_created = call.appointment_created or appointment.call_id == call.id
    if call.customer_id is None:
        call.customer_id = appointment.customer_id
    db.session.flush()
    stats.mark_moment_dirty(call.company_id, call.started_at)
