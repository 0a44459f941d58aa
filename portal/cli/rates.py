"""``flask rate set``."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup

from portal.db import transaction, utcnow
from portal.domain import accounts, rates
from portal.domain.errors import DomainError
from portal.models import BillingRate, Company
from portal.tenancy import tenant_scope

rate = AppGroup("rate", help="What companies pay for a call.")
COMMANDS = [rate]


class Euros(click.ParamType[Decimal]):
    """An amount such as 0.42 or 0,42; not negative, with at most so many decimals."""

    name = "euros"

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(str(value).replace(",", "."))
            exact = number.quantize(Decimal(1).scaleb(-self.decimals))
        except InvalidOperation:
            self.fail(f"{value} is no amount", param, ctx)
        if exact != number or number < 0:
            self.fail(f"{value} must not be negative or have more than {self.decimals} decimals", param, ctx)
        return exact


RATE, AMOUNT = Euros(4), Euros(2)


@rate.command("set")
@click.argument("tenant_id")
@click.argument("per_minute", metavar="RATE", type=RATE)
@click.option("--increment", default=1, show_default=True, type=click.IntRange(1, 3600), help="Billing step, seconds.")
@click.option("--minimum", default="0", type=AMOUNT, help="The least that a call costs, euros.")
@click.option("--fee", default="0", type=AMOUNT, help="Added to every call, euros.")
@click.option("--from", "since", default=None, help="2026-12-01 or 2026-12-01T00:00, company time; now if left out.")
def set_rate(
    tenant_id: str, per_minute: Decimal, increment: int, minimum: Decimal, fee: Decimal, since: str | None
) -> None:
    """Set a company's RATE in euros a minute. The rate before it ends where this one begins."""
    company = accounts.find_company(tenant_id)
    if company is None:
        raise click.ClickException(f"there is no company {tenant_id}")
    now = utcnow()
    new = rates.NewRate(per_minute, _moment(since, company) if since else now, increment, minimum, fee)
    made = _set(company.id, new, now)
    begins = made.valid_from.astimezone(ZoneInfo(company.timezone))
    click.echo(f"{tenant_id}: {made.rate_per_minute} € a minute from {begins:%Y-%m-%d %H:%M %Z} on")


def _moment(text: str, company: Company) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text} is no date", param_hint="--from") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(company.timezone))).astimezone(UTC)


def _set(company_id: int, new: rates.NewRate, now: datetime) -> BillingRate:
    with tenant_scope(company_id):
        try:
            return transaction(lambda: rates.set_rate(new, now))
        except DomainError as error:
            raise click.ClickException(error.message) from error
