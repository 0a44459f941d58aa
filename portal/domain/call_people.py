"""Who was on the phone, said by a person: an existing customer, a new one, or nobody we know.

The call remembers that a person has decided, so that no later report decides again. Its open callbacks go along, and so
does the appointment that was booked in it, unless that one belongs to somebody else already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select, update

from portal.db import db
from portal.domain import appointments, audit, call_deeds, call_words, customers, followups, ledger, said_names, visits
from portal.domain.call_deeds import LINKED, UNLINKED, Person
from portal.domain.customers import Details
from portal.domain.errors import DomainError
from portal.domain.slots import plan_of
from portal.models import Appointment, Call, CallActivity, CallFollowup, Customer


@dataclass(frozen=True)
class Linked:
    """What came of it. ``appointment``: '' (there is none), moved, or stays (it is somebody else's)."""

    customer: Customer
    appointment: str = ""


@dataclass(frozen=True)
class Decision:
    """Who said last who it was."""

    by: str
    at: datetime
    linked: bool


def candidates(call: Call) -> list[Customer]:
    """Everybody with the call's number, where nobody has said yet which of them it was."""
    if call.customer_id is not None or call.phone_number is None:
        return []
    return customers.find_by_phone(call.phone_number)


def decision(activities: list[CallActivity]) -> Decision | None:
    """The last decision on a call's timeline; None while the portal has decided by itself."""
    found = call_deeds.last(activities, LINKED, UNLINKED)
    if found is None:
        return None
    by = str((found.activity_data or {}).get("by") or "")
    return Decision(by, found.occurred_at, found.activity_type == LINKED)


def is_decided(call_id: int) -> bool:
    return call_deeds.were_done(call_id, LINKED, UNLINKED)


def heard(call: Call) -> Details:
    """What a new customer's form can be filled with: the name as heard, the number unless it was withheld."""
    name = call_words.name_said(call)
    first, last = said_names.halves(said_names.clean(name) or name)
    return Details(first, last, call.phone_number)


# ---- Deeds ----------------------------------------------------------------------------------------------------


def link(
    call_id: int, customer_id: int, by: Person, now: datetime, *, remember: bool = False, books: bool = False
) -> Linked:
    """It was this customer. ``remember``: their number as well; ``books``: may this person change appointments?

    Needs a transaction; raises ``DomainError`` where the customer is not (or no longer) one of the company's.
    """
    call = _locked(call_id, by)
    query = select(Customer).where(Customer.id == customer_id, Customer.is_active, Customer.erased_at.is_(None))
    customer = db.session.scalar(query)
    if customer is None:
        raise DomainError(_("This customer is no longer there. Please choose another one."), "customer")
    if remember:
        _remember(call, customer)
    return _link(call, customer, by, now, books)


def enter(call_id: int, details: Details, by: Person, now: datetime, *, another: bool, books: bool) -> Linked:
    """It was somebody new. Raises ``PossibleDuplicate`` unless it is said that this is ``another`` person."""
    call = _locked(call_id, by)
    customer = customers.create(details, now, another=another)
    return _link(call, customer, by, now, books)


def unlink(call_id: int, by: Person, now: datetime) -> None:
    """It was nobody that we know. An appointment keeps its customer: it cannot be without one."""
    call = _locked(call_id, by)
    if call.customer_id is None and is_decided(call.id):
        return
    before, call.customer_id = call.customer_id, None
    _follow(call)
    followups.caller_changed(call, before, now)
    call_deeds.tell(call, UNLINKED, by, now, before=before)
    audit.record("call.customer_unlinked", call, old={"customer_id": before}, new={"customer_id": None})


def _locked(call_id: int, by: Person) -> Call:
    ledger.lock()  # before every other row, as everywhere
    call = call_deeds.locked(call_id, by)
    if call is None:
        raise DomainError(_("This call is no longer there."))
    return call


def _link(call: Call, customer: Customer, by: Person, now: datetime, books: bool) -> Linked:
    before = call.customer_id
    if before == customer.id and is_decided(call.id):
        return Linked(customer)
    call.customer_id = customer.id
    appointment = _take_appointment(call, before, customer, books)
    for row in _follow(call):
        followups.settle(row, now)
    followups.caller_changed(call, before, now)
    call_deeds.tell(call, LINKED, by, now, before=before, after=customer.id)
    audit.record("call.customer_linked", call, old={"customer_id": before}, new={"customer_id": customer.id})
    return Linked(customer, appointment)


def _remember(call: Call, customer: Customer) -> None:
    """The number becomes one of theirs. A withheld one is nobody's."""
    if call.phone_number and customer not in customers.find_by_phone(call.phone_number):
        customers.add_number(customer, call.phone_number)


def _take_appointment(call: Call, before: int | None, customer: Customer, books: bool) -> str:
    """What was booked in this call for whom it was taken for so far goes to the right one."""
    if call.appointment_id is None:
        return ""
    row = db.session.scalar(select(Appointment).where(Appointment.id == call.appointment_id))
    if row is None or row.customer_id == customer.id or row.status == "cancelled":
        return ""
    if not books or row.call_id != call.id or row.customer_id != before:
        return "stays"
    visits.lock(row.customer_id, customer.id)
    appointments.change(row, replace(plan_of(row), customer_id=customer.id))
    return "moved"


def _follow(call: Call) -> list[CallFollowup]:
    """Callbacks belong to the call's customer; returns those that are still open."""
    theirs = CallFollowup.call_id == call.id
    db.session.execute(
        update(CallFollowup)
        .where(theirs)
        .values(customer_id=call.customer_id)
        .execution_options(synchronize_session=False)
    )
    db.session.flush()
    rows = db.session.scalars(select(CallFollowup).where(theirs).execution_options(populate_existing=True))
    return [row for row in rows if row.closed_at is None]


def named(ids: list[int]) -> list[Customer]:
    """These customers, in the order of their names."""
    query = select(Customer).where(Customer.id.in_(ids)).order_by(Customer.last_name, Customer.first_name, Customer.id)
    return list(db.session.scalars(query)) if ids else []
