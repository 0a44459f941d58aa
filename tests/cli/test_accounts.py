"""The platform's commands: they do what they say, and say why where they do not."""

from __future__ import annotations

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import access, identity
from portal.models import Branch, Company, Customer, PortalUser, PrepaidBalance, WebhookEvent
from portal.tenancy import all_tenants
from tests import factories
from tests.cast import Cast


def flask(app: Flask, *words: str) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=list(words))


def test_a_company_comes_with_its_branch_and_its_balance(app: Flask, cast: Cast) -> None:
    done = flask(app, "company", "create", "friseur-neu", "Friseur Neu", "--retell-key", "key", "--calcom-secret", "s")
    assert done.exit_code == 0, done.output
    with all_tenants("the test looks at a new company"):
        company = db.session.scalars(select(Company).where(Company.tenant_id == "friseur-neu")).one()
        assert (company.retell_api_key, company.calcom_webhook_secret) == ("key", "s")
        branch = db.session.scalars(select(Branch).where(Branch.company_id == company.id)).one()
        assert (branch.name, branch.is_primary) == ("Friseur Neu", True)
        assert db.session.scalars(select(PrepaidBalance).where(PrepaidBalance.company_id == company.id)).one()


@pytest.mark.parametrize(
    "words",
    [("salon", "Twice"), ("Not Allowed", "x"), ("x", "x"), ("neu-neu", "x", "--timezone", "Mars/Base")],
)
def test_a_company_that_cannot_be_is_refused(app: Flask, cast: Cast, words: tuple[str, ...]) -> None:
    done = flask(app, "company", "create", *words)
    assert done.exit_code != 0
    with all_tenants("the test counts companies"):
        assert len(db.session.scalars(select(Company)).all()) == 2


def test_a_new_login_can_sign_in_with_the_printed_password(app: Flask, cast: Cast) -> None:
    done = flask(app, "user", "create", "Neu@Salon.example", "Nina Neu", "--role", "manager", "--company", "salon")
    assert done.exit_code == 0, done.output
    password = done.output.split()[-1]
    with all_tenants("sign-in comes before the company"):
        token = transaction(lambda: access.sign_in("neu@salon.example", password, None, utcnow())).token
    assert token
    person = identity.load(token)
    assert person
    assert (person.role, person.company_id) == ("manager", cast.salon.id)


@pytest.mark.parametrize(
    "words",
    [
        ("owner@salon.example", "x", "--role", "owner", "--company", "salon"),
        ("nobody", "x", "--role", "owner", "--company", "salon"),
        ("a@b.example", "x", "--role", "owner"),
        ("a@b.example", "x", "--role", "operator", "--company", "salon"),
        ("a@b.example", "x", "--role", "owner", "--company", "nowhere"),
        ("a@b.example", "x", "--role", "owner", "--company", "salon", "--password", "short"),
    ],
)
def test_a_login_that_cannot_be_is_refused(app: Flask, cast: Cast, words: tuple[str, ...]) -> None:
    done = flask(app, "user", "create", *words)
    assert done.exit_code != 0
    with all_tenants("the test looks for a login"):
        assert db.session.scalar(select(PortalUser).where(PortalUser.email == "a@b.example")) is None


def test_erasing_asks_first_and_names_the_person_by_company_and_number(app: Flask, cast: Cast) -> None:
    number = str(cast.salon.customer.id)
    assert flask(app, "customer", "erase", "salon", number).exit_code != 0  # nobody said yes
    assert flask(app, "customer", "erase", "praxis", number, "--yes").exit_code != 0
    assert flask(app, "customer", "erase", "nowhere", number, "--yes").exit_code != 0
    assert flask(app, "customer", "erase", "salon", number, "--yes").exit_code == 0
    with all_tenants("the test looks at the person"):
        assert db.session.get_one(Customer, cast.salon.customer.id).erased_at


def test_rotating_writes_every_secret_anew_and_keeps_its_value(app: Flask, cast: Cast) -> None:
    done = flask(app, "secrets", "rotate")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("4 ")
    with all_tenants("the test reads a company"):
        company = db.session.get_one(Company, cast.salon.id)
        assert company.retell_api_key == "retell-salon"
        assert company.retell_api_key_sealed != cast.salon.company.retell_api_key_sealed


def test_retry_handles_what_has_failed_and_leaves_the_rest(app: Flask, cast: Cast) -> None:
    failed = factories.make_event(cast.salon, event_type="something_new")
    done_before = factories.make_event(cast.salon, status="done")
    done = flask(app, "inbox", "retry")
    assert done.exit_code == 0, done.output
    assert f"{failed.id}: ignored" in done.output
    assert f"{done_before.id}:" not in done.output
    with all_tenants("the test reads the inbox"):
        assert db.session.get_one(WebhookEvent, failed.id).status == "ignored"


def test_one_round_of_the_worker_is_quiet_where_nothing_waits(app: Flask, cast: Cast) -> None:
    assert flask(app, "worker", "--once").exit_code == 0
