"""``flask customer erase``."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from portal.db import transaction, utcnow
from portal.domain import accounts, erasure
from portal.domain.errors import DomainError
from portal.tenancy import all_tenants, tenant_scope

customer = AppGroup("customer", help="Customers of a company.")
COMMANDS = [customer]


@customer.command("erase")
@click.argument("tenant_id")
@click.argument("customer_id", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(tenant_id: str, customer_id: int, yes: bool) -> None:
    """Erase a person (GDPR): what names them goes, figures and invoices stay."""
    with all_tenants("the command line acts for the platform"):
        company = accounts.find_company(tenant_id)
        company_id = company.id if company else None
    if company_id is None:
        raise click.ClickException(f"there is no company {tenant_id}")
    if not yes:
        click.confirm(f"Erase customer {customer_id} of {tenant_id} for good?", abort=True)
    with tenant_scope(company_id):
        try:
            transaction(lambda: erasure.erase_customer(customer_id, utcnow()))
        except DomainError as error:
            raise click.ClickException(error.message) from error
    click.echo(f"Customer {customer_id} is erased.")
