"""What a provider's bookings mean for the calendar, in whatever order, and however often, they are told.

A booking's uid is its identity. A reschedule brings a new uid and names the old one: the same appointment moves, and a
new :class:`Booking` row joins it. Only what the provider itself has changed is taken over, so that what people of the
business did in the portal meanwhile stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.db import db, utcnow
from portal.domain import appointments, audit, customers, followups
from portal.domain.slots import OPEN, Plan, plan_of
from portal.models import (
    Appointment,
    Booking,
    Branch,
    CalcomEventType,
    Call,
    Service,
    Staff,
    StaffAbsence,
    StaffEventType,
)
from portal.tenancy import current_company_id

CALCOM = "calcom"
STATUS = {"ACCEPTED": "confirmed", "PENDING": "scheduled"}
ENDED = ("CANCELLED", "REJECTED")
REPLACED = "RESCHEDULED"
# The event before may still be on its way; after this time the later one is taken by itself.
PATIENCE = timedelta(minutes=1)
# A cancellation of what we have never heard of: after this time it is nothing to us.
MOOT_AFTER = timedelta(hours=6)


class Waiting(Exception):
    """The row that this is about is not here yet."""


class Moot(Exception):
    """Understood; nothing follows from it."""


@dataclass(frozen=True)
class Person:
    """Somebody as the provider knows them; every field may be missing."""

    id: int | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class Told:
    """A booking as the provider tells it. Times are aware; ``written_at`` is when the provider wrote the event."""

    uid: str
    status: str
    start: datetime
    end: datetime
    organizer: Person
    attendee: Person
    previous_uid: str | None = None
    booking_id: int | None = None
    event_type_id: int | None = None
    title: str | None = None
    notes: str | None = None
    sequence: int | None = None
    written_at: datetime | None = None
    call_id: str | None = None
    reason: str | None = None
    by: str | None = None
    raw: dict[str, Any] | None = None


@dataclass(frozen=True)
class Away:
    """An absence as the provider tells it."""

    uid: str
    person: Person
    start: datetime
    end: datetime
    kind: str
    note: str | None
    written_at: datetime


# ---- Bookings that stand ----------------------------------------------------------------------------------------


def take_over(told: Told, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """A booking was made, requested, confirmed or moved. ``waited``: how long this event has been lying here."""
    booking = find(told.uid)
    if booking is not None:
        return _again(booking, told, now)
    if successor := _successor(told.uid):
        return _as_history(successor, told, now)
    if told.previous_uid is None:
        return _new(told, now)
    previous = find(told.previous_uid)
    if previous is None:
        if waited < PATIENCE:
            raise Waiting(waiting_for(told.previous_uid))
        return _new(told, now)
    return _moved(previous, told, now)


def find(uid: str) -> Booking | None:
    """Cal.com's booking of that uid."""
    return db.session.scalar(select(Booking).where(Booking.provider == CALCOM, Booking.external_uid == uid))


def waiting_for(uid: str) -> str:
    """What an event says while it waits for that booking; the words by which it is found again."""
    return f"waits for booking {uid}"


def _successor(uid: str) -> Booking | None:
    return db.session.scalar(
        select(Booking).where(Booking.provider == CALCOM, Booking.previous_uid == uid).order_by(Booking.id).limit(1)
    )


def _new(told: Told, now: datetime) -> Appointment:
    source = "phone" if told.call_id else "web"
    plan, call = _plan(told, now), _call(told.call_id)
    appointment = appointments.book(plan, now=now, source=source, status=STATUS[told.status], call=call, take_over=True)
    _join(appointment, told)
    _tie(appointment, told)
    followups.appointment_made(appointment, now)
    return appointment


def _moved(previous: Booking, told: Told, now: datetime) -> Appointment:
    """A reschedule: the appointment of the booking before moves."""
    appointment = db.session.get_one(Appointment, previous.appointment_id)
    if appointment.status not in OPEN:
        # Cancelled so that the customer may choose another time, for one: it stands again once they have.
        appointments.set_status(appointment, "back", now, take_over=True)
    kept, staff_id, event_type = plan_of(appointment), _staff_id(told), _event_type(told.event_type_id)
    plan = replace(
        kept,
        branch_id=event_type.branch_id if event_type and event_type.branch_id else kept.branch_id,
        start=told.start,
        end=told.end,
        staff_id=staff_id or kept.staff_id,
        service_id=event_type.service_id if event_type and event_type.service_id else kept.service_id,
    )
    appointment = appointments.change(appointment, plan, take_over=True)
    if told.status == "PENDING" and appointment.status == "confirmed":
        appointments.set_status(appointment, "back", now)
    _confirm(appointment, told, now)
    previous.status = REPLACED
    _join(appointment, told)
    _tie(appointment, told)
    return appointment


def _again(booking: Booking, told: Told, now: datetime) -> Appointment:
    """The same booking once more: only what is newer and different counts."""
    appointment = db.session.get_one(Appointment, booking.appointment_id)
    if is_stale(booking, told) or booking.status in (*ENDED, REPLACED):
        raise Moot("older than what is known of the booking")
    plan = plan_of(appointment)
    if (told.start, told.end) != (booking.starts_at, booking.ends_at):
        plan = replace(plan, start=told.start, end=told.end)
    if (told.organizer.id, told.organizer.email) != _organizer_of(booking):
        plan = replace(plan, staff_id=_staff_id(told) or plan.staff_id)
    appointment = appointments.change(appointment, plan, take_over=True)
    if told.status != booking.status:
        _confirm(appointment, told, now)
    _write(booking, told)
    _tie(appointment, told)
    return appointment


def _confirm(appointment: Appointment, told: Told, now: datetime) -> None:
    if told.status == "ACCEPTED" and appointment.status == "scheduled":
        appointments.set_status(appointment, "confirm", now)


def _as_history(successor: Booking, told: Told, now: datetime) -> Appointment:
    """An event that comes after the reschedule which replaced it: it joins, and changes nothing.

    Should the bookings before it stand as an appointment of their own, that one is the same and goes.
    """
    appointment = db.session.get_one(Appointment, successor.appointment_id)
    booking = _join(appointment, told)
    booking.status = REPLACED
    previous = find(told.previous_uid) if told.previous_uid else None
    if previous is not None and previous.appointment_id != appointment.id:
        _merge(previous, appointment, now)
    return appointment


def _merge(previous: Booking, appointment: Appointment, now: datetime) -> None:
    double = db.session.get_one(Appointment, previous.appointment_id)
    if double.status in OPEN:
        appointments.cancel(double, "rescheduled", CALCOM, now)
    call = db.session.get(Call, double.call_id) if double.call_id is not None else None
    if call is not None:
        call.appointment_id = None
        appointments.link_call(appointment, call)
    for booking in db.session.scalars(select(Booking).where(Booking.appointment_id == double.id)):
        booking.appointment_id, booking.status = appointment.id, REPLACED
    db.session.flush()


def is_stale(booking: Booking, told: Told) -> bool:
    """Whether we know something newer. Cal.com raises the sequence when it cancels; else the writing time decides."""
    if told.sequence is not None and told.sequence < booking.sequence:
        return True
    if told.written_at is None or booking.event_created_at is None:
        return False
    return told.written_at < booking.event_created_at


# ---- Bookings that end ------------------------------------------------------------------------------------------


def call_off(told: Told, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """A booking was cancelled or rejected."""
    booking = _known(told.uid, waited)
    appointment = db.session.get_one(Appointment, booking.appointment_id)
    if booking.status in (*ENDED, REPLACED) or is_stale(booking, told):
        raise Moot("the booking has ended already, or something newer is known of it")
    _write(booking, told)
    if appointment.status not in OPEN:
        return appointment
    default = "rejected" if told.status == "REJECTED" else "calcom"
    return appointments.cancel(appointment, told.reason or default, _canceller(told), now)


def _canceller(told: Told) -> str:
    """Who it was: the customer, the staff member, or the address that Cal.com gives."""
    by = (told.by or "").casefold()
    if told.status == "REJECTED":
        return "staff"
    if by and by == (told.attendee.email or "").casefold():
        return "customer"
    if by and by == (told.organizer.email or "").casefold():
        return "staff"
    return told.by or "calcom"


def mark_no_show(
    uid: str, marks: dict[str, bool], written_at: datetime | None, now: datetime, waited: timedelta = timedelta(0)
) -> Appointment:
    """Somebody did not come, or did after all. ``marks``: e-mail address → no-show."""
    booking = _known(uid, waited)
    appointment = db.session.get_one(Appointment, booking.appointment_id)
    if booking.status == REPLACED:
        raise Moot("the booking has been rescheduled")
    if written_at and booking.event_created_at and written_at < booking.event_created_at:
        raise Moot("something newer is known of the booking")
    # Kept also where nothing changes, so that an older mark that comes later is known as such.
    booking.event_created_at = max(filter(None, (written_at, booking.event_created_at)), default=None)
    missed = marks.get((booking.attendee_email or "").casefold(), any(marks.values()))
    if missed and appointment.status != "cancelled":
        return appointments.set_status(appointment, "no_show", now)
    if not missed and appointment.status == "no_show":
        return appointments.set_status(appointment, "back", now, take_over=True)
    return appointment


def meeting_ended(uid: str, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """The booked time is over. Cal.com says so by the clock, so an appointment moved in the portal is left alone."""
    booking = _known(uid, waited)
    appointment = db.session.get_one(Appointment, booking.appointment_id)
    if booking.status in (*ENDED, REPLACED) or appointment.status not in OPEN:
        raise Moot("the appointment is not open")
    if appointment.start_time != booking.starts_at:
        raise Moot("the appointment has been moved in the portal")
    return appointments.set_status(appointment, "completed", now)


def _known(uid: str, waited: timedelta) -> Booking:
    booking = find(uid)
    if booking is not None and booking.appointment_id is not None:
        return booking
    if waited < MOOT_AFTER:
        raise Waiting(waiting_for(uid))
    raise Moot(f"booking {uid} was never heard of")


# ---- Absences ---------------------------------------------------------------------------------------------------


def take_over_absence(away: Away, waited: timedelta = timedelta(0)) -> StaffAbsence:
    """Somebody will be away. Cal.com tells a change under the same uid, and nothing when it is deleted."""
    staff_id = _staff_by(away.person, None)
    if staff_id is None:
        if waited < MOOT_AFTER:
            raise Waiting(f"waits for staff member {away.person.id}")
        raise Moot(f"nobody here is Cal.com's user {away.person.id}")
    external_id = f"{CALCOM}:{away.uid}"
    absence = db.session.scalar(select(StaffAbsence).where(StaffAbsence.external_id == external_id))
    if absence is None:
        absence = StaffAbsence(company_id=current_company_id(), external_id=external_id)
        db.session.add(absence)
    elif away.written_at <= absence.updated_at:
        raise Moot("something newer is known of the absence")
    absence.staff_id, absence.starts_at, absence.ends_at = staff_id, away.start, away.end
    absence.kind, absence.note = away.kind, away.note[:255] if away.note else None
    # The provider's clock: it tells an older event from a newer one.
    absence.updated_at = away.written_at
    db.session.flush()
    audit.record(
        "absence.taken_over",
        absence,
        new={"staff_id": staff_id, "starts_at": away.start.isoformat(), "ends_at": away.end.isoformat()},
    )
    return absence


# ---- What the provider's words mean here ------------------------------------------------------------------------


def _plan(told: Told, now: datetime) -> Plan:
    """Branch, service and price by the event type, staff by the organizer, customer by the attendee.

    What cannot be told is left open: an appointment without a person is shown as unassigned.
    """
    # First of all: it may lock the row that is locked before all others.
    attendee = told.attendee
    customer = customers.upsert_attendee(attendee.name, attendee.phone, attendee.email, now)
    event_type = _event_type(told.event_type_id)
    staff_id = _staff_id(told)
    service_id = event_type.service_id if event_type else None
    service = db.session.get(Service, service_id) if service_id else None
    return Plan(
        branch_id=_branch_id(event_type, staff_id),
        customer_id=customer.id,
        staff_id=staff_id,
        start=told.start,
        end=told.end,
        service_id=service_id,
        price=_price(event_type, service, staff_id),
        buffer_before=event_type.buffer_before if event_type else 0,
        buffer_after=(event_type and event_type.buffer_after) or (service.buffer_time_minutes if service else 0),
        title=(service.name if service else told.title or "")[:255] or None,
        customer_notes=told.notes or None,
    )


def _event_type(calcom_id: int | None) -> CalcomEventType | None:
    if calcom_id is None:
        return None
    return db.session.scalar(select(CalcomEventType).where(CalcomEventType.calcom_event_type_id == calcom_id))


def _staff_id(told: Told) -> int | None:
    return _staff_by(told.organizer, _event_type(told.event_type_id))


def _staff_by(person: Person, event_type: CalcomEventType | None) -> int | None:
    """By Cal.com's user id, also one that counts for the event type only, else by e-mail address."""
    if person.id is not None:
        known = select(Staff.id).where(Staff.calcom_user_id == person.id)
        found = db.session.scalar(known.order_by(Staff.is_active.desc(), Staff.id).limit(1))
        if found is None and event_type is not None:
            found = db.session.scalar(
                select(StaffEventType.staff_id).where(
                    StaffEventType.event_type_id == event_type.id, StaffEventType.calcom_user_id == person.id
                )
            )
        if found is not None:
            return found
    if not person.email:
        return None
    return db.session.scalar(select(Staff.id).where(func.lower(Staff.email) == person.email.lower()))


def _branch_id(event_type: CalcomEventType | None, staff_id: int | None) -> int:
    if event_type is not None and event_type.branch_id is not None:
        return event_type.branch_id
    person = db.session.get(Staff, staff_id) if staff_id is not None else None
    if person is not None and person.branch_id is not None:
        return person.branch_id
    first = db.session.scalar(
        select(Branch.id).order_by(Branch.is_primary.desc(), Branch.is_active.desc(), Branch.id).limit(1)
    )
    if first is None:
        raise Waiting("waits for a branch")
    return first


def _price(event_type: CalcomEventType | None, service: Service | None, staff_id: int | None) -> Any:
    if event_type is not None and staff_id is not None:
        own = db.session.scalar(
            select(StaffEventType.custom_price).where(
                StaffEventType.event_type_id == event_type.id, StaffEventType.staff_id == staff_id
            )
        )
        if own is not None:
            return own
    if event_type is not None and event_type.price is not None:
        return event_type.price
    return service.price if service else None


# ---- Rows -------------------------------------------------------------------------------------------------------


def _join(appointment: Appointment, told: Told) -> Booking:
    """A new booking row of the appointment."""
    event_type = _event_type(told.event_type_id)
    booking = Booking(
        company_id=current_company_id(),
        appointment_id=appointment.id,
        event_type_id=event_type.id if event_type else None,
        provider=CALCOM,
        external_uid=told.uid,
        previous_uid=told.previous_uid,
        sequence=0,
    )
    _write(booking, told)
    db.session.add(booking)
    _name_booking(appointment, told)
    db.session.flush()
    return booking


def _name_booking(appointment: Appointment, told: Told) -> None:
    """The booking that stands for the appointment now."""
    if appointment.calcom_event_id is None or told.previous_uid == appointment.calcom_event_id:
        appointment.calcom_event_id, appointment.calcom_booking_id = told.uid, told.booking_id


def _write(booking: Booking, told: Told) -> None:
    attendee = told.attendee
    booking.external_id = str(told.booking_id) if told.booking_id is not None else booking.external_id
    booking.status = told.status
    booking.starts_at, booking.ends_at = told.start, told.end
    booking.attendee_name = _cut(attendee.name, 255) or booking.attendee_name
    booking.attendee_email = _cut(attendee.email, 255) or booking.attendee_email
    booking.attendee_phone = _cut(attendee.phone, 50) or booking.attendee_phone
    booking.attendee_timezone = _cut(attendee.timezone, 50) or booking.attendee_timezone
    booking.sequence = max(booking.sequence, told.sequence or 0)
    booking.event_created_at = max(filter(None, (told.written_at, booking.event_created_at)), default=None)
    booking.last_synced_at = utcnow()
    booking.raw_payload = told.raw


def _cut(text: str | None, length: int) -> str | None:
    return text[:length] if text else None


def _organizer_of(booking: Booking) -> tuple[int | None, str | None]:
    """Id and address of the organizer as told last time, kept with the payload."""
    organizer = (booking.raw_payload or {}).get("organizer") or {}
    return organizer.get("id"), organizer.get("email")


# ---- The call in which it was booked ----------------------------------------------------------------------------


def _call(retell_id: str | None) -> Call | None:
    if not retell_id:
        return None
    # One after the other: an OR over both columns would use neither index.
    return db.session.scalar(select(Call).where(Call.call_id == retell_id)) or db.session.scalar(
        select(Call).where(Call.retell_call_id == retell_id)
    )


def _tie(appointment: Appointment, told: Told) -> None:
    """Tie it to its call. A booking that is quicker than its call is found by the call later."""
    call = _call(told.call_id)
    if call is not None and (appointment.call_id is None or call.appointment_id is None):
        appointments.link_call(appointment, call)
