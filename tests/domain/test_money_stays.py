"""Money that has moved stays moved: the database itself refuses every way there is to rewrite it, on both engines.

That nobody with the application's own rights can empty a table or take a trigger away is in ``tests/test_schema.py``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from portal.db import db, utcnow
from portal.domain import invoices, ledger
from portal.models import BalanceTopup, Call
from tests.cast import Cast, Firm
from tests.factories import make_call, make_topup, within

GUARDED = ("balance_transactions", "invoices", "invoice_lines")
# What somebody would want to be different afterwards.
WANTED = {
    "balance_transactions": "amount",
    "invoices": "net_amount",
    "invoice_lines": "net_amount",
}


@pytest.fixture
def firm(app: Flask, cast: Cast) -> Firm:
    """A company with a movement of each origin and a document."""
    made = make_topup(cast.salon, status="completed", completed_at=utcnow())
    call = make_call(cast.salon, duration_seconds=157)

    def work() -> None:
        topup = db.session.get_one(BalanceTopup, made.id)
        ledger.credit(topup, utcnow())
        ledger.charge(db.session.get_one(Call, call.id), utcnow())
        assert invoices.issue_for_topup(topup, utcnow()) is not None

    within(cast.salon, work)
    return cast.salon


def all_of(table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.session.execute(text(f"SELECT * FROM {table} ORDER BY id"))]


def columns_of(table: str) -> list[str]:
    return [column["name"] for column in inspect(db.session.connection()).get_columns(table)]


def refused(statement: str) -> None:
    """The database says no, by its trigger, and everything is as it was."""
    before = {table: all_of(table) for table in GUARDED}
    assert all(before.values())
    with pytest.raises(DBAPIError, match="append-only"), db.session.begin_nested():
        db.session.execute(text(statement))
    assert {table: all_of(table) for table in GUARDED} == before


def copy_with(table: str, keep: str, change: str) -> tuple[str, str]:
    """Column names, and the SELECT of a row that keeps one unique value and differs in ``change``."""
    names = columns_of(table)
    other = {change: f"{change} + 1", "gross_amount": "gross_amount + 1"}
    if keep != "id":
        other["id"] = "id + 1000"
    elif table == "balance_transactions":
        other["reference"] = "REPLACE(reference, ':', '-')"
    return ", ".join(names), ", ".join(other.get(name, name) for name in names)


@pytest.mark.parametrize("table", GUARDED)
def test_no_column_can_be_changed_and_no_row_deleted(firm: Firm, table: str) -> None:
    refused(f"UPDATE {table} SET {WANTED[table]} = {WANTED[table]} + 1")
    refused(f"DELETE FROM {table}")
    refused(f"DELETE FROM {table} WHERE id > 0")
    before = all_of(table)
    # The file of a document and its hash are added once, to one that has none.
    for name in set(columns_of(table)) - {"pdf", "pdf_sha256"}:
        for value in (f"{name} + 1", "'en'", "'2000-01-01'", "NULL"):
            with suppress(DBAPIError), db.session.begin_nested():
                db.session.execute(text(f"UPDATE {table} SET {name} = {value}"))
            assert all_of(table) == before, (name, value)


@pytest.mark.parametrize("keep", ["id", "unique"])
@pytest.mark.parametrize("table", GUARDED)
def test_a_row_cannot_be_replaced_by_another_of_its_key(firm: Firm, table: str, keep: str) -> None:
    """REPLACE deletes what stands in its way; SQLite runs triggers for that only where it is told to."""
    names, values = copy_with(table, keep, WANTED[table])
    refused(f"REPLACE INTO {table} ({names}) SELECT {values} FROM {table}")


@pytest.mark.parametrize("table", GUARDED)
def test_an_insert_cannot_turn_into_a_change(firm: Firm, engine_name: str, table: str) -> None:
    names, _values = copy_with(table, "id", WANTED[table])
    change = f"{WANTED[table]} = 0"
    if engine_name == "sqlite":
        refused(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} WHERE 1 ON CONFLICT DO UPDATE SET {change}")
    else:
        change = f"{table}.{WANTED[table]} = 0"
        refused(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} ON DUPLICATE KEY UPDATE {change}")


@pytest.mark.parametrize("table", GUARDED)
def test_nothing_above_them_takes_them_along(firm: Firm, table: str) -> None:
    """Triggers do not see what a foreign key deletes or changes on MySQL and MariaDB, so none may do that."""
    keys = inspect(db.session.connection()).get_foreign_keys(table)
    assert keys
    for key in keys:
        for action in ("ondelete", "onupdate"):
            assert key["options"].get(action, "RESTRICT").upper() in {"RESTRICT", "NO ACTION"}, key


@pytest.mark.parametrize("above", ["companies", "prepaid_balances", "balance_topups", "call_charges"])
def test_what_a_movement_belongs_to_cannot_go_away(firm: Firm, above: str) -> None:
    before = all_of("balance_transactions")
    for statement in (f"DELETE FROM {above}", f"UPDATE {above} SET id = id + 1000"):
        with pytest.raises(DBAPIError), db.session.begin_nested():
            db.session.execute(text(statement))
    assert all_of("balance_transactions") == before
