"""Erasing a person: what names them goes, what the law wants kept (money, the fact of a visit) stays without a name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update

from portal.db import db
from portal.domain import audit, customer_mail, customers, forgetting, ledger, recordings
from portal.domain.errors import DomainError
from portal.domain.followup_served import callers_numbers
from portal.models import (
    Appointment,
    Booking,
    Call,
    Customer,
    CustomerNote,
    CustomerPhone,
    CustomerRelationship,
    EmailOutbox,
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
    ledger.lock()  # before every other row, as everywhere: no report of a call is taken over meanwhile
    customer = db.session.scalar(select(Customer).where(Customer.id == customer_id).with_for_update())
    if customer is None:
        raise DomainError(f"there is no customer {customer_id}")
    if customer.erased_at is not None:
        return
    calls = _calls(customer_id)  # while their numbers are known
    for name in PERSONAL:
        setattr(customer, name, None)
    customer.phone, customer.is_active, customer.erased_at = "", False, now
    _forget_what_was_written(customer_id)
    db.session.execute(delete(EmailOutbox).where(*customer_mail.of_customer(customer.company_id, customer_id)))
    recordings.delete_of_calls(calls, now, "erased")
    forgetting.everything(calls)
    forgetting.link(calls, customer_id)
    audit.record("customer.erased", customer)


def _calls(customer_id: int) -> list[int]:
    """Theirs, and those of nobody in particular from numbers that nobody else has."""
    numbers = callers_numbers(customer_id)
    own = [each for each in numbers if all(person.id == customer_id for person in customers.find_by_phone(each))]
    nameless = and_(Call.customer_id.is_(None), Call.phone_number.in_(own))
    return list(db.session.scalars(select(Call.id).where(or_(Call.customer_id == customer_id, nameless))))


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
