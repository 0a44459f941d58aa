"""Erasing a person: what names them goes, what the law wants kept (money, the fact of a visit) stays without a name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update

from portal.db import db
from portal.domain import audit
from portal.domain.errors import DomainError
from portal.models import (
    Appointment,
    Booking,
    Call,
    CallActivity,
    CallContent,
    CallNote,
    Customer,
    CustomerNote,
    CustomerPhone,
    CustomerRelationship,
)

PERSONAL = (
    "first_name",
    "last_name",
    "search_name",
    "phone_normalized",
    "email",
    "date_of_birth",
    "gender",
    "preferred_language",
    "acquisition_source",
    "blocked_reason",
)


def erase_customer(customer_id: int, now: datetime) -> None:
    """Anonymise one customer of the current company. Raises ``DomainError``; a second time changes nothing."""
    customer = db.session.scalar(select(Customer).where(Customer.id == customer_id).with_for_update())
    if customer is None:
        raise DomainError(f"there is no customer {customer_id}")
    if customer.erased_at is not None:
        return
    for name in PERSONAL:
        setattr(customer, name, None)
    customer.phone, customer.is_active, customer.erased_at = "", False, now
    _forget_what_was_written(customer_id)
    _forget_what_was_said(customer_id)
    audit.record("customer.erased", customer)


def _forget_what_was_written(customer_id: int) -> None:
    db.session.execute(delete(CustomerNote).where(CustomerNote.customer_id == customer_id))
    db.session.execute(delete(CustomerPhone).where(CustomerPhone.customer_id == customer_id))
    for side in (CustomerRelationship.customer_id, CustomerRelationship.related_customer_id):
        db.session.execute(delete(CustomerRelationship).where(side == customer_id))
    theirs = select(Appointment.id).where(Appointment.customer_id == customer_id)
    db.session.execute(
        update(Booking)
        .where(Booking.appointment_id.in_(theirs))
        .values(attendee_name=None, attendee_email=None, attendee_phone=None, raw_payload=None)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        update(Appointment)
        .where(Appointment.customer_id == customer_id)
        .values(title=None, description=None, internal_notes=None, customer_notes=None, cancellation_reason=None)
    )


def _forget_what_was_said(customer_id: int) -> None:
    theirs = select(Call.id).where(Call.customer_id == customer_id)
    for table in (CallContent, CallActivity, CallNote):
        db.session.execute(delete(table).where(table.call_id.in_(theirs)).execution_options(synchronize_session=False))
    db.session.execute(
        update(Call)
        .where(Call.customer_id == customer_id)
        .values(
            phone_number=None,
            from_number=None,
            to_number=None,
            summary=None,
            recording_url=None,
            dynamic_variables=None,
            custom_data=None,
        )
    )
