"""Checking companies, as ``flask ledger verify`` and the operator's page do it: our own rows first, then Stripe's."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import func, select

from portal import payments
from portal.clients.stripe import PaymentState, StripeProblem
from portal.db import db, transaction, utcnow
from portal.domain import ledger, reconciliation, verify
from portal.domain.reconciliation import Checked
from portal.models import BalanceTopup, Company
from portal.tenancy import all_tenants, tenant_scope

STRIPE_DAYS = 90


def check(company_id: int, theirs: list[PaymentState] | None, days: int = STRIPE_DAYS) -> list[verify.Difference]:
    """All differences of one company. ``theirs``: Stripe's payments of the last ``days``, None to leave them out."""
    with tenant_scope(company_id):
        differences = verify.company()
        if differences:
            # A movement in between looks like a mistake; with the balance locked, nothing moves.
            differences = transaction(_with_the_balance_locked)
        if theirs is not None:
            differences += _with_stripe(theirs, days)
        return differences


def _with_stripe(theirs: list[PaymentState], days: int) -> list[verify.Difference]:
    """What stays different when Stripe is read once more: something may have been paid since it was read."""
    since = utcnow() - timedelta(days=days)
    found = verify.with_stripe(theirs, since)
    if not found:
        return []
    db.session.rollback()
    try:
        newer = payments_since(days)
    except StripeProblem:
        newer = None
    if newer is None:
        return found
    db.session.expunge_all()
    return verify.with_stripe(newer, since)


def _with_the_balance_locked() -> list[verify.Difference]:
    ledger.lock()
    return verify.company()


def payments_since(days: int = STRIPE_DAYS) -> list[PaymentState] | None:
    """Stripe's payments of the last days; None without a key or any top-up to compare. Raises ``StripeProblem``."""
    stripe = payments.gateway()
    with all_tenants("verify looks at every company's top-ups"):
        topups = db.session.scalar(select(func.count(BalanceTopup.id)).where(BalanceTopup.payment_method == "stripe"))
    if stripe is None or not topups:
        return None
    # A day more than our rows: a payment is never older than its row, but clocks differ.
    return list(stripe.list_payment_intents(utcnow() - timedelta(days=days + 1)))


def run(key: str) -> None:
    """One run over all companies, noted company by company; it may begin anew at any time."""
    began, company_ids = time.monotonic(), reconciliation.company_ids()
    _note(key, total=len(company_ids), companies=[], seconds=0, stripe="")
    try:
        theirs = payments_since()
        stripe = "without" if theirs is None else "compared"
    except StripeProblem:
        theirs, stripe = None, "away"
    done: list[dict[str, object]] = []
    differences = 0
    for company_id in company_ids:
        checked = _checked(company_id, theirs)
        done.append(reconciliation.as_values(checked))
        differences += checked.number
        seconds = round(time.monotonic() - began, 2)
        _note(key, companies=list(done), seconds=seconds, stripe=stripe, differences=differences)


def _note(key: str, **progress: object) -> None:
    transaction(lambda: reconciliation.note(key, utcnow(), **progress))


def _checked(company_id: int, theirs: list[PaymentState] | None) -> Checked:
    began = time.monotonic()
    differences = check(company_id, theirs)
    with tenant_scope(company_id):
        name = db.session.scalars(select(Company.name).where(Company.id == company_id)).one()
        movements, balance = reconciliation.figures_of(company_id)
    return Checked(
        id=company_id,
        name=name,
        movements=movements,
        balance=None if balance is None else str(balance),
        seconds=round(time.monotonic() - began, 2),
        number=len(differences),
        differences=reconciliation.found(differences),
    )
