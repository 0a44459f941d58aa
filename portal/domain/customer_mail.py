"""Mails to customers about their appointments: whom they may go to, when, and once.

What is to be told is asked for in the transaction of the change itself (:func:`tell`). The worker writes the mail from
how things stand then (:func:`take_up`), under a key of customer, appointment and ``ical_sequence``: however often it is
asked for, one state is told once. Just before a mail goes out it is looked at again (:func:`still_true`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.domain import audit, customer_mail_settings, notifications, outbox
from portal.domain import customer_mail_words as words
from portal.domain import mail as outgoing
from portal.domain.availability import Interval
from portal.domain.customer_mail_settings import Wishes
from portal.domain.customer_mail_words import Facts
from portal.domain.slots import OPEN, Plan
from portal.models import Appointment, Booking, Company, Customer, EmailOutbox
from portal.permissions import Permission
from portal.tenancy import current_company_id

TELL = "customer_mail"  # the outbox's kind of job
# Kinds that say the same thing, that the appointment stands as it does: one of them is enough.
GROUPS = {"confirmation": "stands", "change": "stands", "cancellation": "cancelled", "reminder": "reminder"}
SAMPLE = "sample"
DAY = timedelta(hours=24)
# Within a day: of one company, to one customer, samples of one company to its own people.
MOST_A_DAY, MOST_TO_ONE, MOST_SAMPLES = 1000, 10, 30
LATER = timedelta(hours=1)
WITHDRAWN = "withdrawn: the appointment has changed since"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


# ---- Whom, and whether at all -----------------------------------------------------------------------------------


def address_of(customer: Customer) -> str:
    """Where mail to this customer goes; '' where there is none."""
    return usable(customer.email)


def usable(text: str | None) -> str:
    """One address as mail servers write it; '' for everything that is not one address and nothing else."""
    email = (text or "").strip()
    name, _at, domain = email.rpartition("@")
    try:
        email = f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return ""
    return email if len(email) <= 254 and _ADDRESS.fullmatch(email) else ""


def why_not(row: Appointment, customer: Customer, kind: str, wishes: Wishes, now: datetime) -> str:
    """'' where such a mail may go out now, else the reason: off status past customer address calcom request."""
    if not wishes.sends(kind):
        return "off"
    if row.status not in (("cancelled",) if kind == "cancellation" else OPEN):
        return "status"
    return _out_of_reach(row, customer, wishes, now)


def _out_of_reach(row: Appointment, customer: Customer, wishes: Wishes, now: datetime) -> str:
    if row.start_time <= now:
        return "past"
    if customer.erased_at or customer.is_blocked or not customer.is_active:
        return "customer"
    if not address_of(customer):
        return "address"
    if is_calcoms(row):
        return "calcom" if not wishes.with_calcom else "request" if row.status == "scheduled" else ""
    return ""


def is_calcoms(row: Appointment) -> bool:
    """Whether a booking at Cal.com stands behind it."""
    if row.calcom_event_id is not None or row.calcom_booking_id is not None:
        return True
    theirs = select(Booking.id).where(Booking.appointment_id == row.id, Booking.provider == "calcom").limit(1)
    return db.session.scalar(theirs) is not None


# ---- Asking for a mail ------------------------------------------------------------------------------------------


def tell(row: Appointment, kind: str, now: datetime, *, was: datetime | None = None) -> bool:
    """Ask for a mail in the running transaction; False where none may go. ``was``: the start before it was moved."""
    customer = db.session.get_one(Customer, row.customer_id)
    if why_not(row, customer, kind, customer_mail_settings.current(), now):
        return False
    payload = {
        "kind": kind,
        "appointment_id": row.id,
        "customer_id": row.customer_id,
        "was": was.isoformat() if was else None,
    }
    key = f"{TELL}:{row.id}:{kind}:{row.version}"
    outbox.enqueue(TELL, payload, company_id=row.company_id, dedupe_key=key)
    return True


def tell_change(row: Appointment, before: Plan, now: datetime) -> bool:
    """The same after a change, if it is one that the customer sees. Another customer has a new appointment."""
    if row.customer_id != before.customer_id:
        _tell_former(row, before)
        return tell(row, "confirmation", now)
    seen = (row.start_time, row.end_time, row.staff_id, row.branch_id, row.service_id)
    if seen == (before.start, before.end, before.staff_id, before.branch_id, before.service_id):
        return False
    return tell(row, "change", now, was=before.start if before.start != row.start_time else None)


def _tell_former(row: Appointment, before: Plan) -> None:
    """Whose appointment it was is told that it does not take place, if they have been told that it does."""
    theirs = _between(_prefix(row.company_id, before.customer_id, row.id))
    if db.session.scalar(select(EmailOutbox.id).where(*theirs, EmailOutbox.status != "failed").limit(1)) is None:
        return
    payload = {
        "kind": "cancellation",
        "appointment_id": row.id,
        "customer_id": before.customer_id,
        "was": before.start.isoformat(),
        "until": before.end.isoformat(),
    }
    outbox.enqueue(TELL, payload, company_id=row.company_id, dedupe_key=f"{TELL}:{row.id}:former:{row.version}")


def tell_restored(row: Appointment, now: datetime) -> bool:
    """A cancellation is taken back: whoever was told of it is told that the appointment stands after all."""
    told = select(EmailOutbox.id).where(
        *_between(_prefix(row.company_id, row.customer_id, row.id) + GROUPS["cancellation"] + ":"),
        EmailOutbox.status != "failed",
    )
    if row.status not in OPEN or db.session.scalar(told.limit(1)) is None:
        return False
    return tell(row, _kind_now(row, customer_mail_settings.current()), now)


def offer(row: Appointment, customer: Customer, wishes: Wishes, now: datetime) -> str:
    """The kind of mail that the customer lacks, because it was not written or could not be delivered; else ''."""
    kind = _kind_now(row, wishes)
    if not why_not(row, customer, kind, wishes, now) and not _stands(_key(row, kind)):
        return kind
    if row.reminder_sent_at is None or why_not(row, customer, "reminder", wishes, now):
        return ""
    key = _key(row, "reminder")
    given_up = [mail for mail in mails(row) if (mail.dedupe_key or "").startswith(f"{key}~")]
    undelivered = any(mail.error != WITHDRAWN for mail in given_up) and not _stands(key)
    return "reminder" if undelivered else ""


def _stands(key: str) -> bool:
    """Whether a mail of that key has gone out or waits."""
    return db.session.scalar(select(EmailOutbox.id).where(EmailOutbox.dedupe_key == key)) is not None


def _kind_now(row: Appointment, wishes: Wishes) -> str:
    if row.status == "cancelled":
        return "cancellation"
    return "change" if row.ical_sequence and wishes.change else "confirmation"


# ---- Keys: what has been told -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """What a mail in the outbox is about, read from its key."""

    company_id: int
    customer_id: int
    appointment_id: int
    group: str
    sequence: str


def _prefix(*ids: int) -> str:
    """Company, customer, appointment: as many as are given. Ends with a colon."""
    return "visit:" + "".join(f"{each}:" for each in ids)


def _key(row: Appointment, kind: str, customer_id: int | None = None) -> str:
    return f"{_prefix(row.company_id, customer_id or row.customer_id, row.id)}{GROUPS[kind]}:{row.ical_sequence}"


def sample_key(company_id: int, token: str) -> str:
    return f"{_prefix(company_id, 0, 0)}{SAMPLE}:{token}"


def read_key(key: str | None) -> Key | None:
    """None for mails about something else."""
    parts = (key or "").split(":")
    if len(parts) != 6 or parts[0] != "visit":
        return None
    return Key(int(parts[1]), int(parts[2]), int(parts[3]), parts[4], parts[5])


def _between(prefix: str) -> tuple[ColumnElement[bool], ...]:
    """Keys that begin so, by the index: LIKE would not use it on SQLite. After a colon come figures and words."""
    return EmailOutbox.dedupe_key >= prefix, EmailOutbox.dedupe_key < prefix + "z"


def mails(row: Appointment) -> list[EmailOutbox]:
    """What was written to the customer about this appointment, the latest first."""
    theirs = _between(_prefix(row.company_id, row.customer_id, row.id))
    return list(db.session.scalars(select(EmailOutbox).where(*theirs).order_by(EmailOutbox.id.desc()).limit(20)))


def of_customer(company_id: int, customer_id: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions that hold for all mails to this customer."""
    return _between(_prefix(company_id, customer_id))


# ---- Brakes -----------------------------------------------------------------------------------------------------


def brake(customer_id: int, now: datetime) -> str:
    """'' while there is room, else whose limit of a day is reached: company or customer. Samples are customer 0."""
    company_id = current_company_id()
    if _count(_prefix(company_id), MOST_A_DAY, now) >= MOST_A_DAY:
        return "company"
    most = MOST_TO_ONE if customer_id else MOST_SAMPLES
    return "customer" if _count(_prefix(company_id, customer_id), most, now) >= most else ""


def _count(prefix: str, most: int, now: datetime) -> int:
    some = select(EmailOutbox.id).where(*_between(prefix), EmailOutbox.created_at > now - DAY).limit(most)
    return db.session.scalars(select(func.count()).select_from(some.subquery())).one()


def tell_of_brake(now: datetime) -> None:
    """The people who set this up learn, once a day, that the limit is reached."""
    notifications.notify(
        Permission.MANAGE_SETTINGS,
        "customer_mail.limit",
        "system",
        _l("Many mails to customers today"),
        _l(
            "Your company has sent %(most)s mails to customers within a day. The next ones go out later.",
            most=MOST_A_DAY,
        ),
        action_url="/settings/customer-mail",
        dedupe_key=f"customer_mail.limit:{now.date().isoformat()}",
    )


# ---- Writing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A mail that is to be written now."""

    kind: str
    row: Appointment
    address: str
    key: str
    facts: Facts


def take_up(
    kind: str, appointment_id: int, customer_id: int, now: datetime, was: str | None = None, until: str | None = None
) -> Case | None:
    """How things stand, with the row locked; None where there is nothing to tell any more. Needs a transaction.

    ``until``, the end that it had, comes with what is told to somebody whose appointment it is no more.
    """
    db.session.execute(select(Appointment.id).where(Appointment.id == appointment_id).with_for_update())
    row = load(appointment_id)
    company = db.session.get_one(Company, current_company_id())
    wishes = customer_mail_settings.of(company.settings)
    if row is None or not company.is_active:
        return None
    if row.customer_id != customer_id:
        span = Interval(datetime.fromisoformat(was), datetime.fromisoformat(until)) if was and until else None
        former = db.session.get(Customer, customer_id)
        return _former_case(row, former, span, wishes, now) if former and span else None
    if why_not(row, row.customer, kind, wishes, now):
        return None
    before = datetime.fromisoformat(was) if was else None
    facts = replace(words.facts_of(row, company, wishes, kind), was=before if before != row.start_time else None)
    return Case(kind, row, address_of(row.customer), _key(row, kind), facts)


def _former_case(row: Appointment, former: Customer, span: Interval, wishes: Wishes, now: datetime) -> Case | None:
    """Only when it was and where: the rest is another customer's by now."""
    if not wishes.cancellation or span.start <= now or _out_of_reach(row, former, wishes, now):
        return None
    company = db.session.get_one(Company, current_company_id())
    facts = replace(
        words.facts_of(row, company, wishes, "cancellation", former),
        status="cancelled",
        start=span.start,
        end=span.end,
        service="",
        person="",
        price=None,
    )
    key = _key(row, "cancellation", former.id)
    return Case("cancellation", row, address_of(former), key, facts)


def put_off(payload: dict[str, Any]) -> None:
    """Once more in an hour, because the company has reached its limit."""
    outbox.enqueue(
        TELL,
        payload,
        company_id=current_company_id(),
        dedupe_key=f"{TELL}:later:{payload['appointment_id']}:{payload['customer_id']}:{payload['kind']}",
        after=LATER,
    )


def written(case: Case, now: datetime) -> None:
    """The mail stands in the outbox."""
    if case.kind == "confirmation":
        stamp(case.row.id, confirmation_sent_at=now)
    audit.record("appointment.told", case.row, new={"kind": case.kind})


def stamp(appointment_id: int, **values: Any) -> None:
    """Note when something was sent. ``updated_at`` and ``version`` stay: nobody has changed the appointment."""
    db.session.execute(
        update(Appointment)
        .where(Appointment.id == appointment_id)
        .values(**values, updated_at=Appointment.updated_at)
        .execution_options(synchronize_session=False)
    )


def load(appointment_id: int) -> Appointment | None:
    """The appointment as it stands now, with what a mail tells of it."""
    return db.session.scalar(
        select(Appointment)
        .where(Appointment.id == appointment_id)
        .options(
            joinedload(Appointment.customer),
            joinedload(Appointment.branch),
            joinedload(Appointment.staff),
            joinedload(Appointment.service),
        )
        .execution_options(populate_existing=True)
    )


# ---- Just before it goes out ------------------------------------------------------------------------------------


def still_true(key: Key, to: str, now: datetime) -> bool:
    """Whether the mail says what is so, to where the customer is. If not, what should be told is asked for anew."""
    if key.group == SAMPLE:
        return True
    row = load(key.appointment_id)
    customer = db.session.get(Customer, key.customer_id)
    if row is None or customer is None or row.start_time <= now:
        return False
    address = address_of(customer)
    if customer.erased_at or customer.is_blocked or not address:
        return False
    is_cancelled, says_cancelled = row.status == "cancelled", key.group == GROUPS["cancellation"]
    if row.customer_id != customer.id:  # another one has it now
        return says_cancelled and address == to
    if is_cancelled != says_cancelled or row.status not in (*OPEN, "cancelled"):
        return False
    if (str(row.ical_sequence), address) == (key.sequence, to):
        return True
    _tell_anew(row, key, now)
    return False


def withdraw(mail: EmailOutbox) -> None:
    """Nobody gets it."""
    outgoing.withdrawn(mail.id, WITHDRAWN)
    give_up(mail)


def give_up(mail: EmailOutbox) -> None:
    """It has reached nobody: its key is free for a mail that says the same again, should that be so or be wanted."""
    outgoing.rename(mail.id, f"{mail.dedupe_key}~{mail.id}")


def _tell_anew(row: Appointment, key: Key, now: datetime) -> None:
    """It has changed between writing and sending: a reminder finds its time again, the rest is told as it is now."""
    if key.group == GROUPS["reminder"]:
        stamp(row.id, reminder_sent_at=None)
    else:
        tell(row, _kind_now(row, customer_mail_settings.current()), now)
