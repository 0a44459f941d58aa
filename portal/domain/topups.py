"""Top-ups: from the form to the ledger, as Stripe tells it and in whatever order it does.

pending → processing (a debit on its way) → completed → refunded, or failed. Every step is one conditional UPDATE, taken
with the balance locked, towards what Stripe says when it is asked again. Webhooks, the return page and the worker all
come through :func:`apply`, so the end is the same however often and in which order they come.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, or_, select, update

from portal.clients.stripe import CheckoutState, DisputeState, RefundState, StripeGateway
from portal.db import db, rows_changed, utcnow
from portal.domain import audit, ledger, outbox, vat
from portal.models import BalanceTopup, Company
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
OPEN = ("pending", "processing")
CREDITED = ("completed", "refunded")
PRESETS = (Decimal(50), Decimal(100), Decimal(250), Decimal(500))

# Stripe closes the page then; 30 minutes is the least that it takes, counted from its own clock.
PAGE_LASTS = timedelta(minutes=35)
# Who was sent to Stripe and never came back is asked for after this long, a debit less often: it takes days.
ASK_AGAIN = {"pending": timedelta(minutes=2), "processing": timedelta(hours=1)}
# A top-up whose payment page never opened.
GIVE_UP = timedelta(hours=1)

UNAVAILABLE = "stripe_unavailable"
REJECTED = "stripe_rejected"
EXPIRED = "expired"
NEVER_OPENED = "never_opened"
NO_MONEY = {UNAVAILABLE, REJECTED, EXPIRED, NEVER_OPENED}

EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())


@dataclass(frozen=True)
class Facts:
    """What Stripe says about one top-up, read just now. Refunds and disputes only where they were asked for."""

    checkout: CheckoutState
    read_at: datetime
    refunds: tuple[RefundState, ...] = ()
    disputes: tuple[DisputeState, ...] = ()

    @property
    def paid(self) -> bool:
        return self.checkout.status == "complete" and self.checkout.payment_status == "paid"

    @property
    def failed(self) -> bool:
        """The page has expired, or a debit came back."""
        if self.checkout.status == "expired":
            return True
        return self.checkout.status == "complete" and self.checkout.payment_intent_status in {
            "requires_payment_method",
            "canceled",
        }

    @property
    def processing(self) -> bool:
        return self.checkout.status == "complete" and not self.paid and not self.failed


class Outcome(StrEnum):
    """How a top-up stands, in one word for the page."""

    PAID = "paid"
    PROCESSING = "processing"  # a debit on its way
    OPEN = "open"  # the payment page waits
    DECLINED = "declined"  # the bank said no; the page is still open for another card
    NOT_STARTED = "not_started"  # Stripe did not answer; nothing has begun
    EXPIRED = "expired"
    FAILED = "failed"  # a debit came back
    PARKED = "parked"  # Stripe's figures differ from ours
    REFUNDED = "refunded"
    PARTLY_REFUNDED = "partly_refunded"

    @property
    def waiting(self) -> bool:
        """Whether it can still change by itself within moments or days."""
        return self in {Outcome.PROCESSING, Outcome.OPEN, Outcome.DECLINED}


@dataclass(frozen=True)
class Found:
    """One of our top-ups, named by something of Stripe's."""

    topup_id: int
    company_id: int
    session_id: str | None


# ---- Starting ---------------------------------------------------------------------------------------------


def quote(net: Decimal, company: Company, *, small_business: bool, seller_country: str) -> vat.TaxSplit:
    """What is credited, the tax on it, and what is paid."""
    abroad = company.country != seller_country and company.country in EU
    reverse = abroad and bool(company.vat_id)
    return vat.split(net, vat.tax_kind(small_business=small_business, reverse_charge=reverse))


def start(split: vat.TaxSplit, form_key: str, user_id: int, user_name: str) -> BalanceTopup:
    """A top-up that waits for its payment page. The same form with the same amount finds the one that it made."""
    balance = ledger.lock()
    key = _form_key(form_key, split.net)
    if (known := db.session.scalar(select(BalanceTopup).where(BalanceTopup.form_key == key))) is not None:
        return known
    made = BalanceTopup(
        company_id=current_company_id(),
        prepaid_balance_id=balance.id,
        amount=split.net,
        tax_rate=split.rate * 100,
        tax_amount=split.tax,
        gross_amount=split.gross,
        payment_method="stripe",
        status="pending",
        form_key=key,
        topup_metadata={"tax_kind": str(split.kind)},
        initiated_by=user_name[:100],
        initiated_by_id=user_id,
    )
    db.session.add(made)
    db.session.flush()
    audit.record("topup.started", made, new={"amount": str(split.net), "gross": str(split.gross)})
    return made


def _form_key(form_key: str, net: Decimal) -> str:
    # With the company, because keys come from browsers; with the amount, because a changed form is another wish.
    return hashlib.sha256(f"{current_company_id()}:{net}:{form_key}".encode()).hexdigest()


def note_customer(topup_id: int, customer_id: str) -> None:
    """Remember whom Stripe will charge, for this top-up and for the next ones."""
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    company.stripe_customer_id = customer_id
    db.session.flush()
    _set(topup_id, stripe_customer_id=customer_id)


def note_session(topup_id: int, session_id: str) -> None:
    """Remember the payment page. A second page for the same top-up never replaces the first."""
    _set(
        topup_id,
        BalanceTopup.stripe_session_id.is_(None),
        stripe_session_id=session_id,
        failure_code=None,
        failure_message=None,
    )


def note_unavailable(topup_id: int) -> None:
    """Stripe did not answer: the row waits for another try, which uses the same idempotency key."""
    waiting = (BalanceTopup.status == "pending", BalanceTopup.stripe_session_id.is_(None))
    _set(topup_id, *waiting, failure_code=UNAVAILABLE, failure_message=None)


def fail(topup_id: int, code: str, message: str | None, now: datetime) -> bool:
    """No payment will come of it; False when it is not open any more."""
    values = {"failure_code": code[:100], "failure_message": message, "failed_at": now}
    if not _move(topup_id, "failed", OPEN, **values):
        return False
    audit.record("topup.failed", _fresh(topup_id), new={"code": code})
    return True


# ---- What Stripe says -------------------------------------------------------------------------------------


def read(gateway: StripeGateway, session_id: str, *, with_returns: bool = False) -> Facts:
    """Ask Stripe about a payment page and its payment; outside of any transaction."""
    read_at = utcnow()
    checkout = gateway.get_session(session_id)
    if not with_returns or checkout.payment_intent_id is None:
        return Facts(checkout, read_at)
    intent = checkout.payment_intent_id
    return Facts(checkout, read_at, tuple(gateway.list_refunds(intent)), tuple(gateway.list_disputes(intent)))


def changes(topup: BalanceTopup, facts: Facts) -> bool:
    """Whether :func:`apply` would do anything; so that looking again and again costs no lock."""
    if facts.checkout.status == "open":
        return facts.checkout.failure_code != topup.failure_code
    if (topup.status == "processing" and facts.processing) or (topup.status == "failed" and facts.failed):
        return False
    return topup.status not in CREDITED or bool(facts.refunds or facts.disputes)


def apply(topup_id: int, facts: Facts, now: datetime) -> BalanceTopup:
    """Bring a top-up to where Stripe says it is. The only way in which one is credited."""
    ledger.lock()
    topup = _fresh(topup_id)
    _note(topup, facts.checkout, now)
    if facts.paid or facts.processing:
        _settle(topup, facts, now)
    elif facts.failed and topup.stripe_session_id == facts.checkout.session_id:
        _fail_as(topup.id, facts.checkout, now)
    if _fresh(topup_id).status in CREDITED:
        _return_money(topup, facts, now)
    return _fresh(topup_id)


def difference(topup: BalanceTopup, tenant_id: str, checkout: CheckoutState) -> str | None:
    """Where Stripe's figures are not those of our row; None where they agree."""
    expected = {
        "amount": (topup.gross_amount, checkout.amount_total),
        "currency": (topup.currency.lower(), checkout.currency),
        "customer": (topup.stripe_customer_id, checkout.customer_id),
        "company": (tenant_id, checkout.metadata.get("tenant_id")),
        "top-up": (str(topup.id), checkout.metadata.get("topup_id")),
        "session": (topup.stripe_session_id, checkout.session_id),
    }
    wrong = [f"{name}: {theirs} instead of {ours}" for name, (ours, theirs) in expected.items() if ours != theirs]
    return "; ".join(wrong)[:255] or None


def _note(topup: BalanceTopup, checkout: CheckoutState, now: datetime) -> None:
    """What is worth keeping of the answer whatever else follows. The webhook may come before the page's id is kept."""
    if topup.stripe_session_id is None and _names(checkout, topup):
        topup.stripe_session_id = checkout.session_id
    if topup.stripe_session_id != checkout.session_id:
        return
    if checkout.payment_intent_id and topup.stripe_payment_intent_id is None:
        topup.stripe_payment_intent_id = checkout.payment_intent_id
    topup.payment_label = checkout.payment_method or topup.payment_label
    topup.receipt_url = checkout.receipt_url or topup.receipt_url
    if topup.status == "pending" and checkout.status == "open":
        topup.failure_code, topup.failure_message = checkout.failure_code, checkout.failure_message
    topup.updated_at = now
    db.session.flush()


def _names(checkout: CheckoutState, topup: BalanceTopup) -> bool:
    return checkout.topup_id == topup.id and checkout.metadata.get("tenant_id") == _tenant_id()


def _settle(topup: BalanceTopup, facts: Facts, now: datetime) -> None:
    """Credit what is paid, wait for what is on its way; park what differs."""
    if topup.status in CREDITED:
        return
    problem = difference(topup, _tenant_id(), facts.checkout)
    if problem is not None:
        _park(topup, problem)
    elif facts.paid:
        _complete(topup, now)
    else:
        _move(topup.id, "processing", ("pending",), parked_reason=None, failure_code=None, failure_message=None)


def _complete(topup: BalanceTopup, now: datetime) -> None:
    # Also from failed: money that has arrived is credited, whatever was thought of it before.
    values: dict[str, Any] = {"failure_code": None, "failure_message": None, "failed_at": None, "parked_reason": None}
    if _move(topup.id, "completed", (*OPEN, "failed"), completed_at=now, **values):
        ledger.credit(topup, now)
        _ask_for_documents(topup)
        audit.record("topup.completed", topup, new={"amount": str(topup.amount), "gross": str(topup.gross_amount)})


def _ask_for_documents(topup: BalanceTopup, reason: str = "refund") -> None:
    """Invoice, Storno and corrections follow the money at once, but an invoice that fails must not hold up a credit."""
    payload = {"topup_id": topup.id, "reason": reason}
    outbox.enqueue("invoice_topup", payload, company_id=topup.company_id, dedupe_key=f"invoice_topup:{topup.id}")


def _fail_as(topup_id: int, checkout: CheckoutState, now: datetime) -> None:
    if checkout.status == "expired":
        fail(topup_id, EXPIRED, None, now)
    else:
        fail(topup_id, checkout.failure_code or "debit_returned", checkout.failure_message, now)


def _park(topup: BalanceTopup, problem: str) -> None:
    if topup.parked_reason != problem:
        topup.parked_reason = problem
        audit.record("topup.parked", topup, new={"reason": problem})
        db.session.flush()


# ---- Money that goes back ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Return:
    """One refund or dispute. ``undone``: it came to nothing, so the money is with us again."""

    kind: str
    id: str
    gross: Decimal
    created: datetime
    undone: bool


def _return_money(topup: BalanceTopup, facts: Facts, now: datetime) -> None:
    """Write what is not written yet: one row for money that goes, one for money that comes back.

    What came to nothing before we heard of it gets both rows, so that the ledger is the same in every order of events.
    """
    for one in sorted(_returns(facts), key=lambda item: (item.created, item.id)):
        _take(topup, one.gross, one.kind, f"{one.kind}:{one.id}", now)
        if one.undone:
            _take(topup, -one.gross, one.kind, f"{one.kind}:{one.id}:undone", now)
    if facts.refunds or facts.disputes:
        reason = "chargeback" if any(one.takes_money for one in facts.disputes) else "refund"
        _ask_for_documents(topup, reason)
        _finish_returns(topup, facts)


def _returns(facts: Facts) -> list[_Return]:
    refunds = [_Return("refund", one.refund_id, one.amount, one.created, one.came_to_nothing) for one in facts.refunds]
    disputes = [
        _Return("chargeback", one.dispute_id, one.amount, one.created, not one.takes_money)
        for one in facts.disputes
        if not one.status.startswith("warning_")
    ]
    return refunds + disputes


def _take(topup: BalanceTopup, gross: Decimal, kind: str, reference: str, now: datetime) -> None:
    """Move the net share of ``gross`` euros out of the balance (or back in), so that all parts add up to the whole."""
    whole = vat.TaxSplit(vat.TaxKind.STANDARD, topup.tax_rate / 100, topup.amount, topup.tax_amount, topup.gross_amount)
    after = min(max(topup.refunded_amount + gross, ZERO), topup.gross_amount)
    net = vat.part_of(whole, topup.refunded_amount).net - vat.part_of(whole, after).net
    if ledger.reverse(topup, kind, net, reference, now):
        audit.record(f"topup.{kind}", topup, new={"gross": str(gross), "net": str(net), "reference": reference})
        if topup.refunded_amount + gross != after:
            _park(topup, f"{reference}: more goes back than was paid")
        topup.refunded_amount = after
        db.session.flush()


def _finish_returns(topup: BalanceTopup, facts: Facts) -> None:
    """All of it gone is refunded; a running dispute is the operator's to answer."""
    whole = topup.refunded_amount == topup.gross_amount
    _move(topup.id, "refunded" if whole else "completed", CREDITED)
    if not _is_newest(topup, facts.read_at):
        return
    running = [one.dispute_id for one in facts.disputes if not one.closed]
    known = topup.parked_reason or ""
    if running:
        _park(topup, f"dispute {running[0]} is open")
    elif known.startswith("dispute "):
        topup.parked_reason = None
        db.session.flush()


def _is_newest(topup: BalanceTopup, read_at: datetime) -> bool:
    """Whether nobody has looked at Stripe's refunds and disputes later; two handlers may overtake each other."""
    known = dict(topup.topup_metadata or {})
    if known.get("returns_read_at", "") > read_at.isoformat():
        return False
    topup.topup_metadata = {**known, "returns_read_at": read_at.isoformat()}
    db.session.flush()
    return True


# ---- Finding ----------------------------------------------------------------------------------------------


def find(*, session_id: str | None = None, intent_id: str | None = None) -> Found | None:
    """The top-up of a payment page or of a payment. Needs ``all_tenants``."""
    column = BalanceTopup.stripe_session_id if session_id else BalanceTopup.stripe_payment_intent_id
    return _found(select(BalanceTopup).where(column == (session_id or intent_id)))


def find_named(topup_id: int, tenant_id: str) -> Found | None:
    """The top-up that Stripe's metadata name, if it is that company's. Needs ``all_tenants``."""
    return _found(
        select(BalanceTopup)
        .join(Company, Company.id == BalanceTopup.company_id)
        .where(BalanceTopup.id == topup_id, Company.tenant_id == tenant_id)
    )


def may_come(topup_id: int, tenant_id: str) -> bool:
    """Whether a top-up that is not here may still come: its company is, and nobody else's has that number.

    A Stripe account may serve several installations. Needs ``all_tenants``.
    """
    served = db.session.scalar(select(Company.id).where(Company.tenant_id == tenant_id)) is not None
    taken = db.session.scalar(select(BalanceTopup.id).where(BalanceTopup.id == topup_id)) is not None
    return served and not taken


def _found(query: Any) -> Found | None:
    row = db.session.scalar(query)
    return None if row is None else Found(row.id, row.company_id, row.stripe_session_id)


def due(now: datetime, limit: int = 50) -> list[Found]:
    """Open top-ups that nobody has asked Stripe about for a while. Needs ``all_tenants``."""
    stale = or_(
        *(
            and_(BalanceTopup.status == status, BalanceTopup.updated_at <= now - patience)
            for status, patience in ASK_AGAIN.items()
        )
    )
    rows = db.session.scalars(
        select(BalanceTopup)
        .where(stale, BalanceTopup.payment_method == "stripe")
        .order_by(BalanceTopup.updated_at)
        .limit(limit)
    )
    return [Found(row.id, row.company_id, row.stripe_session_id) for row in rows]


def looked_at(topup_id: int, now: datetime) -> None:
    """Put the next look off, also when there was nothing to see."""
    _set(topup_id, updated_at=now)


def give_up(topup_id: int, now: datetime) -> bool:
    """Fail a top-up whose payment page never opened, once nobody can be about to open it."""
    topup = _fresh(topup_id)
    if topup.stripe_session_id is not None or topup.created_at > now - GIVE_UP:
        return False
    return fail(topup_id, NEVER_OPENED, None, now)


# ---- Showing ----------------------------------------------------------------------------------------------


def outcome(topup: BalanceTopup) -> Outcome:
    """How it stands."""
    if topup.status in CREDITED:
        return _returned(topup)
    if topup.parked_reason:
        return Outcome.PARKED
    if topup.status == "processing":
        return Outcome.PROCESSING
    if topup.status == "pending":
        return _not_paid_yet(topup)
    return Outcome.NOT_STARTED if topup.failure_code in {REJECTED, NEVER_OPENED} else _failed(topup)


def _returned(topup: BalanceTopup) -> Outcome:
    if topup.status == "refunded":
        return Outcome.REFUNDED
    return Outcome.PARTLY_REFUNDED if topup.refunded_amount else Outcome.PAID


def _not_paid_yet(topup: BalanceTopup) -> Outcome:
    if topup.stripe_session_id is None:
        return Outcome.NOT_STARTED
    return Outcome.DECLINED if topup.failure_code else Outcome.OPEN


def _failed(topup: BalanceTopup) -> Outcome:
    return Outcome.FAILED if topup.stripe_payment_intent_id and topup.failure_code != EXPIRED else Outcome.EXPIRED


# ---- Inside -----------------------------------------------------------------------------------------------


def _fresh(topup_id: int) -> BalanceTopup:
    return db.session.scalars(
        select(BalanceTopup).where(BalanceTopup.id == topup_id).execution_options(populate_existing=True)
    ).one()


def _move(topup_id: int, status: str, allowed: tuple[str, ...], **values: Any) -> bool:
    """One step of the state machine; False when somebody else has taken it or it is not allowed from here."""
    step = update(BalanceTopup).where(BalanceTopup.id == topup_id, BalanceTopup.status.in_(allowed))
    return rows_changed(step.values(status=status, **values)) == 1


def _set(topup_id: int, *conditions: Any, **values: Any) -> None:
    rows_changed(update(BalanceTopup).where(BalanceTopup.id == topup_id, *conditions).values(**values))


def _tenant_id() -> str:
    return db.session.scalars(select(Company.tenant_id).where(Company.id == current_company_id())).one()
