"""What a provider's words mean here: whose booking it is, where, for what; and the rows that keep what was told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from portal.db import db, utcnow
from portal.domain import appointments, customers
from portal.domain.slots import Plan
from portal.domain.told import CALCOM, IS_OVER, Person, Told, Waiting
from portal.models import Appointment, Booking, Branch, CalcomEventType, Call, Customer, Service, Staff, StaffEventType
from portal.tenancy import current_company_id

# What of a payload says nothing about the customer.
OF_NOBODY = ("organizer", "eventTypeId")

# ---- What the provider's words mean here ------------------------------------------------------------------------


def plan_for(told: Told, now: datetime) -> Plan:
    """Branch, service and price by the event type, staff by the organizer, customer by the attendee.

    What cannot be told is left open: an appointment without a person is shown as unassigned.
    """
    # First of all: it may lock the row that is locked before all others.
    attendee = told.attendee
    customer = customers.upsert_attendee(attendee.name, attendee.phone, attendee.email, now)
    event_type = event_type_of(told.event_type_id)
    staff_id = staff_of(told)
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


def event_type_of(calcom_id: int | None) -> CalcomEventType | None:
    if calcom_id is None:
        return None
    return db.session.scalar(select(CalcomEventType).where(CalcomEventType.calcom_event_type_id == calcom_id))


def staff_of(told: Told) -> int | None:
    return staff_by(told.organizer, event_type_of(told.event_type_id))


def staff_by(person: Person, event_type: CalcomEventType | None) -> int | None:
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


def _price(event_type: CalcomEventType | None, service: Service | None, staff_id: int | None) -> Decimal | None:
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


def join(appointment: Appointment, told: Told) -> Booking:
    """A new booking row of the appointment."""
    booking = Booking(
        company_id=current_company_id(),
        appointment_id=appointment.id,
        provider=CALCOM,
        external_uid=told.uid,
        previous_uid=told.previous_uid,
        sequence=0,
    )
    write(booking, told)
    db.session.add(booking)
    _name_booking(appointment, told)
    db.session.flush()
    return booking


def _name_booking(appointment: Appointment, told: Told) -> None:
    """The booking that stands for the appointment now."""
    if appointment.calcom_event_id is None or told.previous_uid == appointment.calcom_event_id:
        appointment.calcom_event_id, appointment.calcom_booking_id = told.uid, told.booking_id


def write(booking: Booking, told: Told) -> None:
    if _is_erased(booking):
        known = {name: told.raw[name] for name in OF_NOBODY if name in told.raw} if told.raw else None
        told = replace(told, attendee=Person(), raw=known)
    attendee, event_type = told.attendee, event_type_of(told.event_type_id)
    booking.event_type_id = event_type.id if event_type else booking.event_type_id
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
    booking.raw_payload = _kept(booking.raw_payload, told.raw)


def _is_erased(booking: Booking) -> bool:
    """Whether its customer has been erased: what Cal.com still knows of them does not come back."""
    customer = select(Customer.erased_at).join(Appointment, Appointment.customer_id == Customer.id)
    return db.session.scalar(customer.where(Appointment.id == booking.appointment_id)) is not None


def _kept(before: dict[str, Any] | None, raw: dict[str, Any] | None) -> dict[str, Any] | None:
    """The payload as it is told now, with our own mark on the one before."""
    if raw is None or not (before or {}).get(IS_OVER):
        return before if raw is None else raw
    return raw | {IS_OVER: True}


def _cut(text: str | None, length: int) -> str | None:
    return text[:length] if text else None


def organizer_of(booking: Booking) -> tuple[int | None, str | None]:
    """Id and address of the organizer as told last time, kept with the payload."""
    organizer = (booking.raw_payload or {}).get("organizer") or {}
    return organizer.get("id"), organizer.get("email")


# ---- The call in which it was booked ----------------------------------------------------------------------------


def call_of(retell_id: str | None) -> Call | None:
    if not retell_id:
        return None
    # One after the other: an OR over both columns would use neither index.
    return db.session.scalar(select(Call).where(Call.call_id == retell_id)) or db.session.scalar(
        select(Call).where(Call.retell_call_id == retell_id)
    )


def tie(appointment: Appointment, told: Told) -> None:
    """Tie it to its call. A booking that is quicker than its call is found by the call later."""
    call = call_of(told.call_id)
    if call is not None and (appointment.call_id is None or call.appointment_id is None):
        appointments.link_call(appointment, call)
