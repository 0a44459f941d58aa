"""Customers: who calls, who comes, and what the business knows of them.

A person is known by number within the company. One number may belong to several people (a family, an office): then the
name decides, and where it cannot, nobody is guessed. A name said on the phone stays unconfirmed until a booking or a
person of the business confirms it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.domain import audit, ledger, phones, said_names
from portal.domain.errors import DomainError
from portal.domain.search_names import search_name
from portal.models import Company, Customer, CustomerNote, CustomerPhone
from portal.tenancy import current_company_id

# A person may send the same form twice within this time; it makes one customer.
SAME_FORM = timedelta(minutes=10)
NOTE_LENGTH = 5000
WRITTEN = ("first_name", "last_name", "phone", "email", "date_of_birth", "preferred_language", "name_confirmed")
# Cal.com makes up an address for people who gave a number only.
NO_MAILBOX = ("@sms.cal.com",)


# ---- Who is it? -------------------------------------------------------------------------------------------


def find_by_phone(e164: str) -> list[Customer]:
    """Everybody of this company with that number, as the first or a further one; confirmed names first.

    Erased and merged customers are not among them.
    """
    further = list(db.session.scalars(select(CustomerPhone.customer_id).where(CustomerPhone.phone_normalized == e164)))
    own = Customer.phone_normalized == e164
    return _people(or_(own, Customer.id.in_(further)) if further else own)


def get(customer_id: int) -> Customer | None:
    """One customer of this company with the further numbers, in one query."""
    query = select(Customer).where(Customer.id == customer_id).options(joinedload(Customer.phones))
    return db.session.scalars(query.execution_options(populate_existing=True)).unique().first()


def find_by_email(email: str) -> list[Customer]:
    """Everybody of this company with that address; confirmed names first."""
    return _people(Customer.email == email)


def _people(condition: ColumnElement[bool]) -> list[Customer]:
    query = (
        select(Customer)
        .where(condition, Customer.is_active, Customer.erased_at.is_(None))
        .order_by(Customer.name_confirmed.desc(), Customer.id)
        # After waiting for the lock, rows already in memory must show what the other one wrote.
        .execution_options(populate_existing=True)
    )
    return list(db.session.scalars(query))


def identify_caller(
    e164: str | None, raw: str | None, name_said: str | None, email: str | None, now: datetime
) -> Customer | None:
    """Who is on the line; None for withheld numbers, and where several people share one and nothing tells them apart.

    A new number, and a new name on a known one, make a customer with an unconfirmed name. May run again when the name
    becomes known. Call it before other rows are written: it may lock the company's balance row.
    """
    if e164 is None:
        return None
    name, address = said_names.clean(name_said), usable_email(email)
    found = _on_the_line(find_by_phone(e164), name, address)
    if found.makes_somebody(name):
        _lock_new_customers(now)
        found = _on_the_line(find_by_phone(e164), name, address)
    if found.is_new:
        return _add(name, raw or e164, e164, address, now, confirmed=False, source="call")
    if found.customer is not None and name:
        _learn_name(found.customer, name)
    return found.customer


@dataclass(frozen=True)
class _Found:
    """A person, or nobody: then ``is_new`` says whether to make one or to leave it open."""

    customer: Customer | None = None
    is_new: bool = False

    def makes_somebody(self, name: str | None) -> bool:
        """Whether a customer is made, or one without a name gets this one: then the lock is needed."""
        return self.is_new or bool(name and self.customer and not self.customer.full_name)


def _on_the_line(household: list[Customer], name: str | None, email: str | None) -> _Found:
    if not household:
        return _Found(is_new=True)
    if name is None:
        return _Found(_by_email(household, email) or _only(household))
    named = [person for person in household if said_names.same_person(person.full_name, name)]
    if named:
        return _Found(_exactly(named, name) or _by_email(named, email) or _only(named))
    # Nobody of that name here yet: either the line without a name gets one, or it is a further person.
    nameless = [person for person in household if not person.full_name]
    return _Found(nameless[0]) if nameless else _Found(is_new=True)


def _only(people: list[Customer]) -> Customer | None:
    """The one person, or the only one whose name is confirmed."""
    confirmed = [person for person in people if person.name_confirmed]
    return people[0] if len(people) == 1 else confirmed[0] if len(confirmed) == 1 else None


def _exactly(people: list[Customer], name: str) -> Customer | None:
    wanted = search_name(None, name)
    same = [person for person in people if search_name(None, person.full_name) == wanted]
    return _only(same)


def _by_email(people: list[Customer], email: str | None) -> Customer | None:
    same = [person for person in people if email and person.email == email]
    return same[0] if len(same) == 1 else None


def _learn_name(customer: Customer, name: str) -> None:
    """A longer name replaces a shorter one that was only heard as well; confirmed names stay."""
    if not customer.full_name:
        customer.name_confirmed = False
    if not customer.name_confirmed and len(name.split()) > len((customer.full_name or "").split()):
        rename(customer, name)


def rename(customer: Customer, name: str | None) -> None:
    """Set both halves and the searched form from one name."""
    first, last = said_names.halves(name or "")
    set_name(customer, first, last)


def set_name(customer: Customer, first: str | None, last: str | None) -> None:
    """Flushes, because ``full_name`` is made by the database."""
    customer.first_name, customer.last_name = first or None, last or None
    customer.search_name = search_name(first, last)
    db.session.flush()
    db.session.refresh(customer, ["full_name"])


# ---- Bookings ---------------------------------------------------------------------------------------------


def upsert_attendee(name: str | None, phone: str | None, email: str | None, now: datetime) -> Customer:
    """The customer behind a booking, made if unknown. A booking confirms the name and adds what was missing.

    ``phone`` in any spelling. Found by number, then by address; among several people the name decides.
    """
    given = _Given(said_names.clean(name), phone or "", normalised(phone), usable_email(email))
    customer = _booked_by(given)
    if customer is None:
        _lock_new_customers(now)
        customer = _booked_by(given)
    if customer is None:
        confirmed = given.name is not None
        return _add(given.name, given.phone, given.e164, given.email, now, confirmed=confirmed, source="booking")
    _confirm(customer, given)
    return customer


def write_down(name: str | None, phone: str | None, email: str | None, now: datetime) -> Customer:
    """The same for what somebody at the desk has typed: that is a name, whatever words it is made of."""
    customer, typed = upsert_attendee(name, phone, email, now), " ".join((name or "").split())
    if typed and not customer.full_name:
        rename(customer, typed)
        customer.name_confirmed = True
        db.session.flush()
    return customer


@dataclass(frozen=True)
class _Given:
    name: str | None
    phone: str
    e164: str | None
    email: str | None


def _booked_by(given: _Given) -> Customer | None:
    for people in (
        find_by_phone(given.e164) if given.e164 else [],
        find_by_email(given.email) if given.email else [],
    ):
        found = _on_the_line(people, given.name, given.email)
        if found.customer is not None:
            return found.customer
        if people and not found.is_new:
            # Several people of one number, and the booking does not say which: the first is a guess that a person can
            # put right, while a booking without a customer could not be shown at all.
            return people[0]
    return None


def _confirm(customer: Customer, given: _Given) -> None:
    if given.name and not customer.name_confirmed:
        rename(customer, given.name)
        customer.name_confirmed = True
    if given.email and not customer.email:
        customer.email = given.email
    if given.e164:
        _add_number(customer, given.e164, given.phone)
    db.session.flush()


def _add_number(customer: Customer, e164: str, written: str) -> None:
    """The first number where there was none, else a further one."""
    if customer.phone_normalized is None:
        customer.phone, customer.phone_normalized = written[:50], e164
    elif customer.phone_normalized != e164 and customer not in find_by_phone(e164):
        db.session.add(
            CustomerPhone(
                company_id=customer.company_id, customer_id=customer.id, phone=written[:50], phone_normalized=e164
            )
        )


def usable_email(email: str | None) -> str | None:
    """The address in the one spelling that is stored, or None."""
    address = (email or "").strip().lower()
    if "@" not in address or " " in address or len(address) > 255 or address.endswith(NO_MAILBOX):
        return None
    return address


def normalised(phone: str | None) -> str | None:
    """E.164 of a number typed in any spelling, dialled in the company's country."""
    text = (phone or "").strip()
    if not text or text.startswith("+"):
        return phones.normalise(text)
    return phones.normalise(text, _company().country)


# ---- Making one -------------------------------------------------------------------------------------------


def _lock_new_customers(now: datetime) -> None:
    """Let one transaction at a time add customers to this company.

    No key can do it, because families share a number. The balance row is the one the ledger locks first as well, so
    both come in the same order; it is written, not only locked, because a lock does not cross the nodes of a cluster.
    """
    ledger.lock().updated_at = now
    db.session.flush()


def _add(
    name: str | None,
    phone: str,
    e164: str | None,
    email: str | None,
    now: datetime,
    *,
    confirmed: bool,
    source: str,
) -> Customer:
    first, last = said_names.halves(name or "")
    customer = Customer(
        company_id=current_company_id(),
        first_name=first,
        last_name=last,
        search_name=search_name(first, last),
        name_confirmed=confirmed,
        phone="" if phones.is_withheld(phone) else phone[:50],
        phone_normalized=e164,
        email=email,
        acquisition_source=source,
        acquisition_date=_local_day(now),
        created_at=now,
    )
    db.session.add(customer)
    db.session.flush()
    return customer


def _company() -> Company:
    return db.session.get_one(Company, current_company_id())


def _local_day(now: datetime) -> date:
    return now.astimezone(ZoneInfo(_company().timezone)).date()


# ---- What people of the business write down --------------------------------------------------------------


@dataclass(frozen=True)
class Details:
    """What the form says about a person. ``phone`` in any spelling, ``email`` checked by the form."""

    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    email: str | None = None
    date_of_birth: date | None = None
    preferred_language: str | None = None


class PossibleDuplicate(DomainError):
    """Somebody with this number or address is known already; ``people`` are who."""

    def __init__(self, people: list[Customer]) -> None:
        super().__init__(_("Somebody with this number or e-mail address is already known."))
        self.people = people


def create(details: Details, now: datetime, *, another: bool = False) -> Customer:
    """A customer entered by a person, with a confirmed name.

    Raises ``PossibleDuplicate`` unless it is said that this is ``another`` person. The same form sent twice makes one.
    """
    e164 = _checked(details)
    _lock_new_customers(now)
    if known := _just_entered(details, e164, now):
        return known
    if not another and (people := similar(e164, details.email)):
        raise PossibleDuplicate(people)
    name = " ".join(filter(None, (details.first_name, details.last_name)))
    customer = _add(None, details.phone or "", e164, None, now, confirmed=bool(name), source="portal")
    _write(customer, details, e164)
    audit.record("customer.created", customer)
    return customer


def update_details(customer: Customer, details: Details) -> None:
    """Save what a person has corrected; a name that they saved is confirmed. The audit names the fields only."""
    e164 = _checked(details)
    if changed := _write(customer, details, e164):
        audit.record("customer.changed", customer, new={"fields": changed})


def similar(e164: str | None, email: str | None, besides: int | None = None) -> list[Customer]:
    """Who else has this number or address."""
    found = {person.id: person for person in find_by_phone(e164)} if e164 else {}
    found |= {person.id: person for person in find_by_email(email)} if email else {}
    return [person for person in found.values() if person.id != besides]


def alike(customer: Customer, limit: int = 5) -> list[Customer]:
    """Others with the same first number or address: perhaps the same person, perhaps family. One query."""
    same = [Customer.phone_normalized == customer.phone_normalized] if customer.phone_normalized else []
    same += [Customer.email == customer.email] if customer.email else []
    if not same:
        return []
    others = select(Customer).where(Customer.id != customer.id, Customer.is_active, or_(*same))
    return list(db.session.scalars(others.order_by(Customer.id).limit(limit)))


def add_number(customer: Customer, phone: str) -> None:
    """A further number of this person. Raises ``DomainError`` when it is none; a known one changes nothing."""
    e164 = _complete(phone, "further_phone")
    _add_number(customer, e164, phone.strip())
    audit.record("customer.changed", customer, new={"fields": ["phones"]})
    db.session.flush()


def remove_number(number: CustomerPhone, customer: Customer) -> None:
    """Calls from it no longer name this person."""
    db.session.delete(number)
    audit.record("customer.changed", customer, new={"fields": ["phones"]})


def confirm_name(customer: Customer) -> None:
    """A person says that the name heard on the phone is right."""
    if customer.full_name and not customer.name_confirmed:
        customer.name_confirmed = True
        audit.record("customer.name_confirmed", customer)


def block(customer: Customer, reason: str) -> None:
    """The phone no longer takes calls from this person's number, if nobody else shares it (``inbound.py``)."""
    if not reason.strip():
        raise DomainError(_("Please say why, for your colleagues."), field="reason")
    customer.is_blocked, customer.blocked_reason = True, reason.strip()
    audit.record("customer.blocked", customer)


def unblock(customer: Customer) -> None:
    if customer.is_blocked:
        customer.is_blocked, customer.blocked_reason = False, None
        audit.record("customer.unblocked", customer)


def add_note(customer: Customer, author_id: int, body: str, now: datetime) -> CustomerNote:
    """Write a note; the same words by the same person within a few minutes are one note."""
    text = body.strip()
    if not text:
        raise DomainError(_("Please write something first."), field="body")
    if len(text) > NOTE_LENGTH:
        raise DomainError(_("Please stay below %(most)s characters.", most=NOTE_LENGTH), field="body")
    twice = db.session.scalar(
        select(CustomerNote).where(
            CustomerNote.customer_id == customer.id,
            CustomerNote.author_id == author_id,
            CustomerNote.body == text,
            CustomerNote.created_at > now - SAME_FORM,
        )
    )
    if twice is not None:
        return twice
    note = CustomerNote(
        company_id=customer.company_id, customer_id=customer.id, author_id=author_id, body=text, created_at=now
    )
    db.session.add(note)
    db.session.flush()
    return note


def _checked(details: Details) -> str | None:
    """E.164 of the number, None without one. Raises ``DomainError`` where nothing or no number is given."""
    if not any((details.first_name, details.last_name, details.phone, details.email)):
        raise DomainError(_("Please enter at least a name, a number or an e-mail address."), field="last_name")
    return _complete(details.phone, "phone") if details.phone else None


def _complete(phone: str, field: str) -> str:
    e164 = normalised(phone)
    if e164 is None:
        raise DomainError(_("This is no complete phone number. Example: 030 1234567"), field=field)
    return e164


def _just_entered(details: Details, e164: str | None, now: datetime) -> Customer | None:
    # Compared in Python: the two engines do not agree on which letters are equal.
    recent = db.session.scalars(
        select(Customer)
        .where(Customer.created_at > now - SAME_FORM, Customer.acquisition_source == "portal", Customer.is_active)
        .order_by(Customer.id.desc())
        .limit(50)
    )
    wanted = (details.first_name, details.last_name, e164, details.email, details.date_of_birth)
    for known in recent:
        if (known.first_name, known.last_name, known.phone_normalized, known.email, known.date_of_birth) == wanted:
            return known
    return None


def _write(customer: Customer, details: Details, e164: str | None) -> list[str]:
    """Names of the fields that have changed."""
    before = _values(customer)
    customer.phone, customer.phone_normalized = (details.phone or "")[:50], e164
    customer.email, customer.date_of_birth = details.email, details.date_of_birth
    customer.preferred_language = details.preferred_language
    if details.first_name or details.last_name:
        customer.name_confirmed = True
    set_name(customer, details.first_name, details.last_name)
    after = _values(customer)
    return [name for name in before if before[name] != after[name]]


def _values(customer: Customer) -> dict[str, object]:
    # A number in another spelling is the same number.
    values = {name: getattr(customer, name) for name in WRITTEN}
    return values | {"phone": customer.phone_normalized or customer.phone}
