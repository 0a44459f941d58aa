"""``flask ledger verify``."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from sqlalchemy import select

from portal import reconciliation
from portal.clients.stripe import PaymentState, StripeProblem
from portal.db import db
from portal.models import Company

ledger = AppGroup("ledger", help="The companies' prepaid money.")
COMMANDS = [ledger]


@ledger.command("verify")
@click.option("--company", "tenant_id", default=None, help="tenant_id; all companies if left out.")
@click.option(
    "--days", default=reconciliation.STRIPE_DAYS, show_default=True, help="How far back to compare with Stripe."
)
@click.option("--no-stripe", is_flag=True, help="Leave Stripe alone, even where a key is set.")
def verify_ledger(tenant_id: str | None, days: int, no_stripe: bool) -> None:
    """Recompute every balance, hold, charge, top-up and invoice; name each difference and end with 1 if any."""
    theirs = None if no_stripe else _payments_since(days)
    found = 0
    for company in _companies(tenant_id):
        differences = reconciliation.check(company.id, theirs, days)
        for one in differences:
            click.echo(f"{company.tenant_id}: {one}")
        found += len(differences)
    _conclude(found, theirs is not None)


def _conclude(found: int, with_stripe: bool) -> None:
    beside = "with Stripe" if with_stripe else "without Stripe"
    if found:
        raise click.ClickException(f"{found} differences ({beside})")
    click.echo(f"Everything adds up ({beside}).")


def _companies(tenant_id: str | None) -> list[Company]:
    query = select(Company).order_by(Company.id)
    found = list(db.session.scalars(query if tenant_id is None else query.where(Company.tenant_id == tenant_id)))
    if tenant_id and not found:
        raise click.ClickException(f"there is no company {tenant_id}")
    return found


def _payments_since(days: int) -> list[PaymentState] | None:
    """All of Stripe's payments of the last days; None without a key or without any top-up to compare."""
    try:
        return reconciliation.payments_since(days)
    except StripeProblem as error:
        raise click.ClickException(f"Stripe cannot be asked: {error.message}; try --no-stripe") from error
