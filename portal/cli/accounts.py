"""``flask company create`` and ``flask user create``."""

from __future__ import annotations

import secrets
from zoneinfo import available_timezones

import click
from flask.cli import AppGroup

from portal.db import transaction
from portal.domain import accounts
from portal.domain.errors import DomainError
from portal.models.users import ROLES
from portal.tenancy import all_tenants

company = AppGroup("company", help="Companies of this platform.")
user = AppGroup("user", help="People who sign in.")
COMMANDS = [company, user]


@company.command("create")
@click.argument("tenant_id")
@click.argument("name")
@click.option("--timezone", default="Europe/Berlin", show_default=True)
@click.option("--branch", default=None, help="Name of the first branch; the company's own name if left out.")
@click.option("--address", default="", help="Address of the first branch.")
@click.option("--retell-key", default=None, help="The key that signs Retell's webhooks.")
@click.option("--calcom-secret", default=None, help="The secret that signs Cal.com's webhooks.")
def create_company(tenant_id: str, name: str, timezone: str, branch: str | None, address: str, **secret: str) -> None:
    """Create a company with its first branch and an empty balance."""
    if timezone not in available_timezones():
        raise click.BadParameter(f"{timezone} is no time zone", param_hint="--timezone")
    new = accounts.NewCompany(tenant_id, name, timezone, branch or name, address, **secret)
    _run(lambda: accounts.create_company(new))
    click.echo(f"Company {tenant_id} is there. Next: flask user create, flask rate set.")


@user.command("create")
@click.argument("email")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--company", "tenant_id", default=None, help="tenant_id; left out for operators only.")
@click.option("--password", default=None, help="A password; one is made and printed if left out.")
@click.option("--language", type=click.Choice(["de", "en"]), default="de", show_default=True)
def create_user(email: str, name: str, role: str, tenant_id: str | None, password: str | None, language: str) -> None:
    """Create a login."""
    made = password or secrets.token_urlsafe(12)
    _run(lambda: accounts.create_user(accounts.NewUser(email, name, role, tenant_id, made, language)))
    click.echo(f"{email} can sign in." if password else f"{email} can sign in with the password {made}")


def _run(work: object) -> None:
    with all_tenants("the command line acts for the platform"):
        try:
            transaction(work)  # type: ignore[arg-type]
        except DomainError as error:
            raise click.ClickException(error.message) from error
