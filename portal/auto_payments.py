"""Charging a saved card while nobody is there: our row is committed, Stripe is asked, its answer is committed.

A row has one key at Stripe for as long as it lives, so that asking again after a lost answer, or after a crash at any
line, finds the same payment. Nothing here decides; ``domain/auto_topup.py`` and ``domain/topups.py`` do.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask_babel import force_locale
from flask_babel import gettext as _

from portal import payments, settings
from portal.clients.stripe import (
    PaymentState,
    StripeDeclined,
    StripeGateway,
    StripeProblem,
    StripeRejected,
    StripeUnavailable,
)
from portal.db import db, transaction, utcnow
from portal.domain import auto_topup, auto_topup_outcome, topups
from portal.domain.auto_topup import Seller
from portal.models import BalanceTopup, Company

log = structlog.get_logger()

# Stripe's clock and ours may differ when a payment is looked for by its time.
CLOCKS_DIFFER = timedelta(minutes=10)
# Words by which Stripe refuses a card that is no longer this customer's.
NOT_ATTACHED = ("not attached", "does not belong", "belongs to a customer", "cannot be used again")


def top_up_if_due() -> bool:
    """Decide for the current company, and charge if a top-up is due; False when Stripe is away."""
    if payments.gateway() is None:
        return False
    own, company = settings().seller, payments.company()
    with force_locale(company.language):
        description = _("Balance for %(company)s, topped up automatically", company=company.name)
    seller = Seller(own.small_business, own.country)

    def work() -> int | None:
        made = auto_topup.claim(utcnow(), seller, description)
        return made.id if made is not None else None

    topup_id = transaction(work)
    return topup_id is None or charge(topup_id)


def charge(topup_id: int) -> bool:
    """Collect an automatic top-up that waits, or find out what became of it; False when Stripe is away. Repeatable."""
    stripe = payments.gateway()
    if stripe is None:
        return False
    topup, company = payments.rows(topup_id)
    if not _waits(topup):
        return True
    may_send = transaction(lambda: _begin(topup_id))
    try:
        payment = _collect(stripe, topup, company) if may_send else _look_for(stripe, topup, company)
    except StripeUnavailable as problem:
        log.warning("stripe is away", topup_id=topup_id, error=problem.message)
        transaction(lambda: topups.note_unavailable(topup_id))
        return False
    except StripeProblem as problem:
        code = _code(problem)
        log.error("stripe charges no card", topup_id=topup_id, error=problem.message, code=problem.code)
        message = f"{problem.code}: {problem.message}"
        transaction(lambda: topups.fail(topup_id, code, message, utcnow()))
        return True
    if payment is None:
        transaction(lambda: topups.fail(topup_id, auto_topup_outcome.NOT_SENT, None, utcnow()))
    else:
        payments.bring(topup, topups.Collected(payment, utcnow()))
    return True


def _waits(topup: BalanceTopup) -> bool:
    """Whether it has still to be sent, as far as we know; one that is parked is the operator's to decide about."""
    if topup.parked_reason is not None:
        transaction(lambda: topups.looked_at(topup.id, utcnow()))
        return False
    return topup.status == "pending" and topup.stripe_payment_intent_id is None


def _begin(topup_id: int) -> bool:
    """Whether Stripe may be asked to charge; also keeps the worker from asking at the same time."""
    now = utcnow()
    may_send = auto_topup.may_send(db.session.get_one(BalanceTopup, topup_id, populate_existing=True), now)
    topups.looked_at(topup_id, now)
    return may_send


def _collect(stripe: StripeGateway, topup: BalanceTopup, company: Company) -> PaymentState | None:
    """The payment, paid, on its way or declined; None where Stripe knows our key but made no payment of it."""
    try:
        return stripe.charge_off_session(
            topup.id,
            company.tenant_id,
            topup.stripe_customer_id or "",
            auto_topup.card_of(topup),
            gross=topup.gross_amount,
            description=auto_topup.description_of(topup),
            idempotency_key=payments.idempotency_key(topup, company.tenant_id),
        )
    except StripeDeclined as problem:
        if problem.payment_intent_id is None:
            raise
        return stripe.get_payment_intent(problem.payment_intent_id)
    except StripeRejected as problem:
        # Asked before in other words, by another version of ours: that payment may have been made.
        if problem.code != "idempotency_error":
            raise
        return _look_for(stripe, topup, company)


def _look_for(stripe: StripeGateway, topup: BalanceTopup, company: Company) -> PaymentState | None:
    """The payment of a row that may no longer be sent, but may have been."""
    since = topup.created_at - CLOCKS_DIFFER
    for payment in stripe.list_payment_intents(since, topup.stripe_customer_id):
        if payment.topup_id == topup.id and payment.metadata.get("tenant_id") == company.tenant_id:
            return stripe.get_payment_intent(payment.payment_intent_id)
    return None


def _code(problem: StripeProblem) -> str:
    """Whether it is the card that is gone, the bank that says no, or we who asked wrongly."""
    if isinstance(problem, StripeDeclined):
        return problem.decline_code or problem.code or "card_declined"
    gone = isinstance(problem, StripeRejected) and problem.missing
    if gone or any(words in problem.message for words in NOT_ATTACHED):
        return auto_topup_outcome.CARD_GONE
    return auto_topup_outcome.REJECTED
