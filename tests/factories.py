"""Rows that tests need besides the cast. Each writes and commits in its company's scope and returns a detached row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.demo.sounds import sound
from portal.domain import recordings
from portal.domain.access import token_hash
from portal.domain.transcripts import tenant_token
from portal.models import (
    Appointment,
    BalanceTopup,
    Booking,
    BranchClosure,
    CalendarFeed,
    Call,
    CallContent,
    CallFollowup,
    CallNote,
    Customer,
    DaySheetPrint,
    EmailOutbox,
    Invoice,
    Notification,
    PortalUser,
    PortalUserPermission,
    Recording,
    StaffAbsence,
    WebhookEvent,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Firm

Row = TypeVar("Row")
_numbers = count(1)
WAV = sound([{"who": "agent", "at": 0.0, "end": 1.0, "words": []}], 1.5)


def within(firm: Firm, work: Callable[[], Row]) -> Row:
    """Run one transaction in a company's scope."""

    def scoped() -> Row:
        with tenant_scope(firm.id):
            return work()

    return transaction(scoped)


def save(firm: Firm, row: Row) -> Row:
    def work() -> Row:
        db.session.add(row)
        db.session.flush()
        return row

    return within(firm, work)


def make_customer(firm: Firm, first: str = "Peter", last: str = "Schäfer", **values: Any) -> Customer:
    from portal.domain.search_names import search_name

    values = {"phone": "", "search_name": search_name(first, last)} | values
    return save(firm, Customer(company_id=firm.id, first_name=first, last_name=last, **values))


def make_call(firm: Firm, transcript: str | None = None, **values: Any) -> Call:
    """A finished call of a minute, an hour ago, at the main branch."""
    started: datetime = values.pop("started_at", utcnow() - timedelta(hours=1))
    number = f"call_{firm.company.tenant_id}_{next(_numbers)}"
    values = {
        "call_id": number,
        "retell_call_id": number,
        "branch_id": firm.main.id,
        "customer_id": firm.customer.id,
        "phone_number": firm.customer.phone_normalized,
        "phone_number_id": firm.phone.id,
        "ended_at": started + timedelta(seconds=60),
        "duration_seconds": 60,
        "status": "completed",
    } | values
    call = save(firm, Call(company_id=firm.id, started_at=started, **values))
    if transcript is not None:
        token = tenant_token(firm.id)
        save(firm, CallContent(company_id=firm.id, call_id=call.id, tenant_token=token, transcript=transcript))
    return call


def make_recording(firm: Firm, call: Call, content: bytes = WAV, **values: Any) -> Recording:
    """A recording that lies in the store; with a ``status`` of its own one that does not."""
    values = {"status": "stored", "content_type": "audio/wav", "size": len(content), "stored_at": utcnow()} | values
    if values["status"] == "stored" and "path" not in values:
        values["path"] = recordings.store().put(content)
    return save(firm, Recording(company_id=firm.id, call_id=call.id, **values))


def make_absence(firm: Firm, **values: Any) -> StaffAbsence:
    """The stylist is away for a day, from a month hence on."""
    start = utcnow() + timedelta(days=30)
    values = {"staff_id": firm.stylist.id, "starts_at": start, "ends_at": start + timedelta(days=1)} | values
    return save(firm, StaffAbsence(company_id=firm.id, **values))


def make_closure(firm: Firm, **values: Any) -> BranchClosure:
    """The main branch is closed on a day a month hence."""
    values = {"branch_id": firm.main.id, "date": (utcnow() + timedelta(days=30)).date()} | values
    return save(firm, BranchClosure(company_id=firm.id, **values))


def make_followup(firm: Firm, call: Call | None = None, **values: Any) -> CallFollowup:
    """An open callback, due in an hour."""
    call = call or make_call(firm)
    values = {
        "reason": "callback",
        "detail": "Rechnung",
        "customer_id": call.customer_id,
        "due_at": utcnow() + timedelta(hours=1),
    } | values
    return save(firm, CallFollowup(company_id=firm.id, call_id=call.id, **values))


def make_note(firm: Firm, call: Call, author: PortalUser, body: str = "Bitte zurückrufen.") -> CallNote:
    """What somebody wrote about a call."""
    return save(firm, CallNote(company_id=firm.id, call_id=call.id, author_id=author.id, body=body))


def grant(firm: Firm, user: PortalUser, permission: str, granted: bool = True) -> PortalUserPermission:
    """An exception of one person from their role."""
    return save(
        firm,
        PortalUserPermission(company_id=firm.id, portal_user_id=user.id, permission=permission, granted=granted),
    )


def deny(firm: Firm, user: PortalUser, permission: str) -> PortalUserPermission:
    return grant(firm, user, permission, granted=False)


def make_appointment(firm: Firm, start: datetime | None = None, minutes: int = 45, **values: Any) -> Appointment:
    """A confirmed appointment tomorrow with the stylist of the main branch."""
    start = start or utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    values = {
        "branch_id": firm.main.id,
        "customer_id": firm.customer.id,
        "staff_id": firm.stylist.id,
        "service_id": firm.cut.id,
        "status": "confirmed",
    } | values
    return save(
        firm, Appointment(company_id=firm.id, start_time=start, end_time=start + timedelta(minutes=minutes), **values)
    )


def make_booking(firm: Firm, appointment: Appointment, **values: Any) -> Booking:
    """What Cal.com has of an appointment: the same."""
    defaults = {"provider": "calcom", "external_uid": f"uid_{next(_numbers)}", "status": "ACCEPTED"}
    times = {"starts_at": appointment.start_time, "ends_at": appointment.end_time}
    return save(firm, Booking(company_id=firm.id, appointment_id=appointment.id, **(defaults | times | values)))


def stored(firm: Firm, row: Row) -> Row:
    """The row as the database has it now."""
    db.session.rollback()
    with tenant_scope(firm.id):
        found: Row = db.session.get_one(type(row), row.id)  # type: ignore[attr-defined]
        db.session.expunge_all()
        return found


def mails_of(firm: Firm) -> list[EmailOutbox]:
    """A company's mails, as the database has them now, the oldest first."""
    db.session.rollback()
    with tenant_scope(firm.id):
        rows = list(db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id)))
        db.session.expunge_all()
        return rows


def make_feed(firm: Firm, user: PortalUser, scope: str = "branch", **values: Any) -> tuple[CalendarFeed, str]:
    """A person's calendar feed, of the main branch unless told, and its token."""
    token = f"feed-token-{next(_numbers)}"
    values = ({"branch_id": firm.main.id} if scope == "branch" else {}) | values
    facts = {"portal_user_id": user.id, "scope": scope, "token_hash": token_hash(token)} | values
    return save(firm, CalendarFeed(company_id=firm.id, **facts)), token


def make_day_print(firm: Firm, day: date | None = None, **wish: Any) -> DaySheetPrint:
    """The day sheet of the main branch, printed by the owner just now; of today unless told."""
    from portal.domain import calendar, day_prints

    now = wish.pop("now", utcnow())
    asked = calendar.Wish(**({"day": day or now.date(), "branch_id": firm.main.id} | wish))

    def work() -> DaySheetPrint:
        paper = day_prints.look(asked, now)
        assert paper is not None
        code = day_prints.stamp(paper, asked, now, firm.owner.id).code
        return db.session.scalars(select(DaySheetPrint).where(DaySheetPrint.code == code)).one()

    return within(firm, work)


def make_topup(firm: Firm, amount: str = "100.00", **values: Any) -> BalanceTopup:
    """A pending top-up with 19 % VAT."""
    net = Decimal(amount)
    tax = (net * 19 / 100).quantize(Decimal("0.01"))
    values = {
        "amount": net,
        "tax_rate": Decimal("19.00"),
        "tax_amount": tax,
        "gross_amount": net + tax,
        "payment_method": "stripe",
        "initiated_by_id": firm.owner.id,
    } | values
    return save(firm, BalanceTopup(company_id=firm.id, prepaid_balance_id=firm.balance.id, **values))


def make_invoice(firm: Firm, amount: str = "100.00", **values: Any) -> Invoice:
    """The invoice of a top-up that was paid just now, without its PDF."""
    from portal.domain import invoices

    now = utcnow()
    topup = make_topup(firm, amount, **{"status": "completed", "completed_at": now} | values)
    made = within(firm, lambda: invoices.issue_for_topup(db.session.merge(topup), now))
    assert made is not None
    return made


def make_event(firm: Firm | None = None, **values: Any) -> WebhookEvent:
    """A stored webhook event that failed."""
    values = {
        "provider": "retell",
        "dedupe_key": f"event-{next(_numbers)}",
        "event_type": "call_ended",
        "body": b"{}",
        "status": "failed",
        "error": "KeyError: 'call'",
    } | values

    def work() -> WebhookEvent:
        with all_tenants("the test writes an event"):
            row = WebhookEvent(company_id=firm.id if firm else None, **values)
            db.session.add(row)
            db.session.flush()
            return row

    return transaction(work)


def make_notification(user: PortalUser) -> Notification:
    """An unread message to one person."""

    def work() -> Notification:
        with all_tenants("the test writes a notification"):
            row = Notification(
                company_id=user.company_id,
                portal_user_id=user.id,
                type="test",
                category="system",
                title="Hallo",
                action_url="/notifications",
            )
            db.session.add(row)
            db.session.flush()
            return row

    return transaction(work)
