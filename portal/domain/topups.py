"""Top-ups: from the form to the ledger, as Stripe tells it and in whatever order it does.

pending → processing (a debit on its way) → completed → refunded, or failed. Every step is one conditional UPDATE, taken
with the balance locked, towards what Stripe says when it is asked again. Webhooks, the return page and the worker all
come through :func:`apply`, so the end is the same however often and in which order they come.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from portal.db import db
from portal.domain import audit, auto_topup_outcome, ledger, parked, topup_news, vat
from portal.domain.topup_facts import EXPIRED, Collected, Facts, State, Told, read, read_payment
from portal.domain.topup_returns import return_by_hand, return_money, taken_by_bank
from portal.domain.topup_search import Found, due, find, find_named, may_come
from portal.domain.topup_steps import CREDITED, OPEN, ask_for_documents, fresh, move, put, tenant_id
from portal.models import BalanceTopup, Company
from portal.tenancy import current_company_id

__all__ = [
    "CREDITED",
    "EXPIRED",
    "OPEN",
    "Collected",
    "Facts",
    "Found",
    "Outcome",
    "Told",
    "apply",
    "changes",
    "due",
    "fail",
    "find",
    "find_named",
    "may_come",
    "outcome",
    "quote",
    "read",
    "read_payment",
    "return_by_hand",
    "start",
    "taken_by_bank",
]

PRESETS = (Decimal(50), Decimal(100), Decimal(250), Decimal(500))

# Stripe closes the page then; 30 minutes is the least that it takes, counted from its own clock.
PAGE_LASTS = timedelta(minutes=35)
# A top-up whose payment page never opened.
GIVE_UP = timedelta(hours=1)

# Our status and Stripe's state that say the same.
UNCHANGED = {("processing", State.PROCESSING), ("failed", State.FAILED)}

UNAVAILABLE = "stripe_unavailable"
REJECTED = "stripe_rejected"
NEVER_OPENED = "never_opened"

EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())


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
    COLLECTING = "collecting"  # an automatic one is under way
    REFUSED = "refused"  # an automatic one came to nothing

    @property
    def waiting(self) -> bool:
        """Whether it can still change by itself within moments or days."""
        return self in {Outcome.PROCESSING, Outcome.OPEN, Outcome.DECLINED, Outcome.COLLECTING}


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
        topup_metadata=tax_note(split, db.session.get_one(Company, current_company_id())),
        initiated_by=user_name[:100],
        initiated_by_id=user_id,
    )
    db.session.add(made)
    db.session.flush()
    audit.record("topup.started", made, new={"amount": str(split.net), "gross": str(split.gross)})
    return made


def tax_note(split: vat.TaxSplit, company: Company) -> dict[str, Any]:
    """Why there is tax or none, for the invoice; what the company says of itself may be another thing by then."""
    noted: dict[str, Any] = {"tax_kind": str(split.kind)}
    return noted | {"vat_id": company.vat_id} if split.kind is vat.TaxKind.REVERSE_CHARGE else noted


def _form_key(form_key: str, net: Decimal) -> str:
    # With the company, because keys come from browsers; with the amount, because a changed form is another wish.
    return hashlib.sha256(f"{current_company_id()}:{net}:{form_key}".encode()).hexdigest()


def note_customer(topup_id: int, customer_id: str) -> None:
    """Remember whom Stripe will charge, for this top-up and for the next ones."""
    note_company_customer(customer_id)
    put(topup_id, stripe_customer_id=customer_id)


def note_company_customer(customer_id: str) -> None:
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    company.stripe_customer_id = customer_id
    db.session.flush()


def note_session(topup_id: int, session_id: str) -> None:
    """Remember the payment page. A second page for the same top-up never replaces the first."""
    put(
        topup_id,
        BalanceTopup.stripe_session_id.is_(None),
        stripe_session_id=session_id,
        failure_code=None,
        failure_message=None,
    )


def note_unavailable(topup_id: int) -> None:
    """Stripe did not answer: the row waits for another try, which uses the same idempotency key."""
    waiting = (BalanceTopup.status == "pending", BalanceTopup.stripe_session_id.is_(None))
    put(topup_id, *waiting, failure_code=UNAVAILABLE, failure_message=None)


def fail(topup_id: int, code: str, message: str | None, now: datetime) -> bool:
    """No payment will come of it; False when it is not open any more."""
    ledger.lock()
    was_on_its_way = fresh(topup_id).status == "processing"
    values = {"failure_code": code[:100], "failure_message": message, "failed_at": now}
    if not move(topup_id, "failed", OPEN, **values):
        return False
    topup = fresh(topup_id)
    audit.record("topup.failed", topup, new={"code": code})
    auto_topup_outcome.failed(topup, now)
    if was_on_its_way:
        topup_news.debit_returned(topup)
    return True


# ---- What Stripe says -------------------------------------------------------------------------------------


def changes(topup: BalanceTopup, facts: Told) -> bool:
    """Whether :func:`apply` would do anything; so that looking again and again costs no lock."""
    if facts.seen.state is State.OPEN:
        return facts.seen.failure_code != topup.failure_code
    if (topup.status, facts.seen.state) in UNCHANGED:
        return False
    return topup.status not in CREDITED or bool(facts.refunds or facts.disputes)


def apply(topup_id: int, facts: Told, now: datetime) -> BalanceTopup:
    """Bring a top-up to where Stripe says it is. The only way in which one is credited."""
    ledger.lock()
    topup = fresh(topup_id)
    _note(topup, facts, now)
    if facts.seen.state in (State.PAID, State.PROCESSING):
        _settle(topup, facts, now)
    elif facts.seen.state is State.FAILED and _is_about(topup, facts):
        fail(topup.id, facts.seen.failure_code or "debit_returned", facts.seen.failure_message, now)
    if fresh(topup_id).status in CREDITED:
        return_money(topup, facts, now)
    return fresh(topup_id)


def _note(topup: BalanceTopup, facts: Told, now: datetime) -> None:
    """What is worth keeping of the answer whatever else follows. The webhook may come before our own answer is kept."""
    seen = facts.seen
    if seen.names(topup.id, tenant_id()):
        _note_names(topup, facts)
    if not _is_about(topup, facts):
        return
    if seen.intent_id and topup.stripe_payment_intent_id is None:
        topup.stripe_payment_intent_id = seen.intent_id
    topup.payment_label = seen.label or topup.payment_label
    topup.receipt_url = seen.receipt_url or topup.receipt_url
    if topup.status == "pending" and seen.state is State.OPEN:
        topup.failure_code, topup.failure_message = seen.failure_code, seen.failure_message
    topup.updated_at = now
    db.session.flush()


def _note_names(topup: BalanceTopup, facts: Told) -> None:
    """The page, or of an automatic top-up the payment, where none is known yet."""
    seen = facts.seen
    if topup.stripe_session_id is None and not topup.is_auto_topup:
        topup.stripe_session_id = seen.session_id
    if topup.stripe_payment_intent_id is None and topup.is_auto_topup and seen.session_id is None:
        topup.stripe_payment_intent_id = seen.intent_id


def _is_about(topup: BalanceTopup, facts: Told) -> bool:
    """Whether this is the page, or the payment without a page, that we know of."""
    seen = facts.seen
    if seen.session_id is not None:
        return topup.stripe_session_id == seen.session_id
    return topup.is_auto_topup and topup.stripe_payment_intent_id == seen.intent_id


def _settle(topup: BalanceTopup, facts: Told, now: datetime) -> None:
    """Credit what is paid, wait for what is on its way; park what differs."""
    if topup.status in CREDITED:
        return
    theirs = parked.of(facts)
    problem = parked.difference(topup, tenant_id(), theirs) or _other_payment(topup, facts)
    if problem is not None:
        parked.park_payment(topup, problem, theirs)
    elif facts.seen.state is State.PAID:
        _complete(topup, now)
    else:
        move(topup.id, "processing", ("pending",), parked_reason=None, failure_code=None, failure_message=None)


def _other_payment(topup: BalanceTopup, facts: Told) -> str | None:
    if _is_about(topup, facts):
        return None
    return f"payment: {facts.seen.intent_id} instead of {topup.stripe_payment_intent_id}"


def _complete(topup: BalanceTopup, now: datetime) -> None:
    # Also from failed: money that has arrived is credited, whatever was thought of it before.
    values: dict[str, Any] = {"failure_code": None, "failure_message": None, "failed_at": None, "parked_reason": None}
    if move(topup.id, "completed", (*OPEN, "failed"), completed_at=now, **values):
        ledger.credit(topup, now)
        ask_for_documents(topup)
        audit.record("topup.completed", topup, new={"amount": str(topup.amount), "gross": str(topup.gross_amount)})
        auto_topup_outcome.paid(topup)
        topup_news.credited(topup)


# ---- Looking again ----------------------------------------------------------------------------------------


def looked_at(topup_id: int, now: datetime) -> None:
    """Put the next look off, also when there was nothing to see."""
    put(topup_id, updated_at=now)


def give_up(topup_id: int, now: datetime) -> bool:
    """Fail a top-up whose payment page never opened, once nobody can be about to open it."""
    topup = fresh(topup_id)
    if topup.is_auto_topup or topup.stripe_session_id is not None or topup.created_at > now - GIVE_UP:
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
    if topup.is_auto_topup:
        return Outcome.COLLECTING if topup.status == "pending" else Outcome.REFUSED
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
