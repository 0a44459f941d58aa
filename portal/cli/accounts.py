"""``flask company create`` and ``set-key``, ``flask user create``, ``flask phone add``."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import TypeVar
from zoneinfo import available_timezones

import click
from flask.cli import AppGroup

from portal import settings
from portal.clients.keyed_http import DEMO_PREFIX
from portal.db import transaction
from portal.domain import accounts, numbers
from portal.domain.errors import DomainError
from portal.models.users import ROLES
from portal.tenancy import all_tenants

T = TypeVar("T")
company = AppGroup("company", help="Companies of this platform.")
user = AppGroup("user", help="People who sign in.")
phone = AppGroup("phone", help="Numbers that callers dial.")
COMMANDS = [company, user, phone]


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


@company.command("set-key")
@click.argument("tenant_id")
@click.argument("which", type=click.Choice(sorted(accounts.SECRETS)))
@click.option("--remove", is_flag=True, help="Take it away instead.")
def set_key(tenant_id: str, which: str, remove: bool) -> None:
    """Set a company's key or webhook secret. It is read from standard input, or asked for where somebody types."""
    value = None if remove else _typed_secret()
    if value and value.startswith(DEMO_PREFIX) and settings().production:
        raise click.ClickException("a demo's key is known to everybody")
    _run(lambda: accounts.set_secret(tenant_id, which, value))
    click.echo(f"{tenant_id}: {which} is {'removed' if remove else 'set'}.")


def _typed_secret() -> str:
    """Never an argument: those stay in the shell's history and in the list of processes."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True)).strip()
    return sys.stdin.read().strip()


@phone.command("add")
@click.argument("tenant_id")
@click.argument("number")
@click.option(
    "--branch", default=None, help="Name of the branch that the number belongs to; the company's line if left out."
)
@click.option("--agent", default=None, help="Retell's agent that answers this number.")
@click.option("--type", "kind", type=click.Choice(numbers.TYPES), default="direct", show_default=True)
def add_phone(tenant_id: str, number: str, branch: str | None, agent: str | None, kind: str) -> None:
    """Register a number, and the agent that answers it; one that is registered already is brought up to date."""
    added = _run(lambda: numbers.register(numbers.NewNumber(tenant_id, number, branch, agent, kind)))
    click.echo(f"{added} rings at {tenant_id}.")


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


def _run(work: Callable[[], T]) -> T:
    with all_tenants("the command line acts for the platform"):
        try:
            return transaction(work)
        except DomainError as error:
            raise click.ClickException(error.message) from error
