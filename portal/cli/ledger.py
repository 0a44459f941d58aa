"""``flask ledger verify``."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from portal import payments
from portal.clients.stripe import PaymentState, StripeProblem
from portal.db import db, transaction, utcnow
from portal.domain import ledger as money
from portal.domain import verify
from portal.models import BalanceTopup, Company
from portal.tenancy import all_tenants, tenant_scope

ledger = AppGroup("ledger", help="The companies' prepaid money.")
COMMANDS = [ledger]

STRIPE_DAYS = 90


@ledger.command("verify")
@click.option("--company", "tenant_id", default=None, help="tenant_id; all companies if left out.")
@click.option("--days", default=STRIPE_DAYS, show_default=True, help="How far back to compare with Stripe.")
@click.option("--no-stripe", is_flag=True, help="Leave Stripe alone, even where a key is set.")
def verify_ledger(tenant_id: str | None, days: int, no_stripe: bool) -> None:
    """Recompute every balance, hold, charge and top-up; name each difference and end with 1 if there is any."""
    since = utcnow() - timedelta(days=days)
    theirs = None if no_stripe else _payments_since(days)
    found = 0
    for company in _companies(tenant_id):
        with tenant_scope(company.id):
            differences = verify.company()
            if differences:
                # A movement in between looks like a mistake; with the balance locked, nothing moves.
                differences = transaction(_with_the_balance_locked)
            if theirs is not None:
                differences += verify.with_stripe(theirs, since)
        for one in differences:
            click.echo(f"{company.tenant_id}: {one}")
        found += len(differences)
    _conclude(found, theirs is not None)


def _conclude(found: int, with_stripe: bool) -> None:
    beside = "with Stripe" if with_stripe else "without Stripe"
    if found:
        raise click.ClickException(f"{found} differences ({beside})")
    click.echo(f"Everything adds up ({beside}).")


def _with_the_balance_locked() -> list[verify.Difference]:
    money.lock()
    return verify.company()


def _companies(tenant_id: str | None) -> list[Company]:
    query = select(Company).order_by(Company.id)
    found = list(db.session.scalars(query if tenant_id is None else query.where(Company.tenant_id == tenant_id)))
    if tenant_id and not found:
        raise click.ClickException(f"there is no company {tenant_id}")
    return found


def _payments_since(days: int) -> list[PaymentState] | None:
    """All of Stripe's payments of the last days; None without a key or without any top-up to compare."""
    stripe = payments.gateway()
    with all_tenants("verify looks at every company's top-ups"):
        topups = db.session.scalar(select(func.count(BalanceTopup.id)).where(BalanceTopup.payment_method == "stripe"))
    if stripe is None or not topups:
        return None
    try:
        # A day more than our rows: a payment is never older than its row, but clocks differ.
        return list(stripe.list_payment_intents(utcnow() - timedelta(days=days + 1)))
    except StripeProblem as error:
        raise click.ClickException(f"Stripe cannot be asked: {error.message}; try --no-stripe") from error
