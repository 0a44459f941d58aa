"""Keys that are typed and not told, and numbers and agents that belong to one company."""

from __future__ import annotations

import sys
from dataclasses import replace

import click
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from portal.cli import accounts as commands
from portal.db import db
from portal.models import AuditLog, Company, PhoneNumber
from portal.tenancy import all_tenants
from tests.cast import Cast


def flask(app: Flask, *words: str, typed: str | None = None) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=list(words), input=typed)


def company(cast: Cast) -> Company:
    db.session.rollback()
    with all_tenants("the test looks"):
        return db.session.get_one(Company, cast.salon.id)


def numbers_of(cast: Cast) -> dict[str, PhoneNumber]:
    db.session.rollback()
    with all_tenants("the test looks"):
        rows = db.session.scalars(select(PhoneNumber).where(PhoneNumber.company_id == cast.salon.id))
        return {row.number_e164: row for row in rows}


# ---- Keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "column"),
    [("retell", "retell_api_key"), ("calcom", "calcom_api_key"), ("calcom-webhook", "calcom_webhook_secret")],
)
def test_a_key_is_read_from_standard_input_sealed_and_never_printed(
    app: Flask, cast: Cast, which: str, column: str
) -> None:
    done = flask(app, "company", "set-key", "salon", which, typed="key_new_4711\n")
    assert done.exit_code == 0, done.output
    assert "key_new_4711" not in done.output
    found = company(cast)
    assert getattr(found, column) == "key_new_4711"
    assert "key_new_4711" not in getattr(found, f"{column}_sealed")
    with all_tenants("the test looks"):
        entry = db.session.scalars(select(AuditLog).where(AuditLog.action == "company.key_set")).one()
    assert "key_new_4711" not in str(vars(entry))
    assert entry.company_id == cast.salon.id


def test_somebody_at_a_terminal_is_asked_without_an_echo(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def prompt(_text: str, *, hide_input: bool) -> str:
        asked.append(hide_input)
        return " key_typed "

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    assert commands._typed_secret() == "key_typed"
    assert asked == [True]


def test_a_key_can_be_taken_away(app: Flask, cast: Cast) -> None:
    assert flask(app, "company", "set-key", "salon", "retell", "--remove").exit_code == 0
    assert company(cast).retell_api_key is None


@pytest.mark.parametrize("typed", ["", "\n", "two words", "two\nlines", "schlüssel", "x" * 501, "tab\there"])
def test_what_is_no_key_is_refused_and_the_old_one_stays(app: Flask, cast: Cast, typed: str) -> None:
    assert flask(app, "company", "set-key", "salon", "retell", typed=typed).exit_code != 0
    assert company(cast).retell_api_key == "retell-salon"


def test_a_key_of_nothing_or_nobody_is_refused(app: Flask, cast: Cast) -> None:
    assert flask(app, "company", "set-key", "nowhere", "retell", typed="key").exit_code != 0
    assert flask(app, "company", "set-key", "salon", "stripe", typed="key").exit_code != 0
    assert flask(app, "company", "set-key", "salon", "retell", "key_as_an_argument", typed="key").exit_code != 0


def test_production_takes_no_key_of_the_demos(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "settings", lambda: replace(app.extensions["settings"], portal_env="production"))
    done = flask(app, "company", "set-key", "salon", "retell", typed="demo-retell-salon")
    assert done.exit_code != 0
    assert "known to everybody" in done.output
    assert company(cast).retell_api_key == "retell-salon"


# ---- Numbers ----------------------------------------------------------------------------------------------


def test_a_number_is_registered_as_e164_with_its_branch_and_agent(app: Flask, cast: Cast) -> None:
    done = flask(app, "phone", "add", "salon", "030 / 22 33 44-55", "--branch", "salon test nord", "--agent", "agent_x")
    assert done.exit_code == 0, done.output
    assert "+493022334455" in done.output
    row = numbers_of(cast)["+493022334455"]
    assert (row.branch_id, row.retell_agent_id, row.is_active, row.is_primary) == (
        cast.salon.other.id,
        "agent_x",
        True,
        False,
    )


def test_adding_a_number_again_brings_it_up_to_date_and_keeps_its_agent(app: Flask, cast: Cast) -> None:
    for options in (["--agent", "agent_x"], ["--branch", "Salon Test Mitte", "--type", "mobile"]):
        assert flask(app, "phone", "add", "salon", "+4930999888", *options).exit_code == 0
    row = numbers_of(cast)["+4930999888"]
    assert (row.branch_id, row.retell_agent_id, row.type) == (cast.salon.main.id, "agent_x", "mobile")
    assert len(numbers_of(cast)) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("salon", "+49341765432"), "+49341765432 belongs to another company"),
        (("salon", "0341 765432"), "+49341765432 belongs to another company"),
        (("salon", "+4930999888", "--agent", "agent_praxis"), "agent_praxis belongs to another company"),
        (("salon", "+4930999888", "--branch", "Praxis Test Mitte"), "there is no branch"),
        (("salon", "274870"), "no phone number"),
        (("salon", "anonymous"), "no phone number"),
        (("nowhere", "+4930999888"), "there is no company"),
        (("salon", "+4930999888", "--agent", " agent"), "one word"),
    ],
)
def test_what_belongs_to_somebody_else_or_is_no_number_is_refused(
    app: Flask, cast: Cast, words: tuple[str, ...], why: str
) -> None:
    done = flask(app, "phone", "add", *words)
    assert done.exit_code != 0
    assert why in done.output
    assert list(numbers_of(cast)) == [cast.salon.phone.number_e164]


def test_an_agent_entered_at_another_companys_number_is_theirs_too(app: Flask, cast: Cast) -> None:
    assert flask(app, "phone", "add", "praxis", "+4934199", "--agent", "agent_evening").exit_code == 0
    assert flask(app, "phone", "add", "salon", "+4930999888", "--agent", "agent_evening").exit_code != 0
