"""Reading changes nothing: no GET, HEAD or OPTIONS of any address writes a row, but for what is decided below."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries
from tests.test_routes import TABLE, address, rows_of, rules

WRITE = re.compile(r"(?:INSERT(?: IGNORE| OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO) [`\"]?(\w+)")
# Endpoint → the tables to which reading it may write, and why.
NOTES: dict[str, set[str]] = {
    "call_exports.as_csv": {"audit_logs"},  # what leaves the house is written down
    "call_exports.as_pdf": {"audit_logs"},
    "day_prints.sheet": {"day_sheet_prints", "branches"},  # code and stamp, under the branch's lock
    "invoices.pdf": {"invoices"},  # drawn when it is asked for first
    "notifications.show": {"notifications"},  # read
    "operator_money.show": {"audit_logs"},  # the operator looks into a company
    "operator_topups.show": {"audit_logs"},
    "recordings.audio": {"recording_accesses"},  # a listening
    "recordings.download": {"recording_accesses"},
}


def written(asked: Queries) -> set[str]:
    return {found[1] for statement in asked if (found := WRITE.match(statement.lstrip()))}


@pytest.mark.parametrize("role", ["owner", "staff", "bookkeeper", "operator", "nobody"])
def test_who_only_reads_writes_nothing(client: PortalClient, app: Flask, cast: Cast, role: str) -> None:
    user = None if role == "nobody" else cast.operator if role == "operator" else cast.salon.users[role]
    ids = rows_of(cast.salon, user).ids
    noted: dict[str, set[str]] = {}
    for rule in rules(app):
        if user is not None:
            client.sign_in(user)
        url = address(app, rule, ids)
        for method in ("OPTIONS", "HEAD", "GET"):
            if method == "GET" and "GET" not in (rule.methods or ()):
                continue
            with Queries() as asked:
                assert client.open(url, method=method).status_code < 500
            if tables := written(asked):
                noted[f"{method} {rule.endpoint}"] = tables
    allowed = {f"{method} {endpoint}": tables for endpoint, tables in NOTES.items() for method in ("GET", "HEAD")}
    assert {name: tables for name, tables in noted.items() if tables - allowed.get(name, set())} == {}


def test_the_list_is_no_longer_than_it_has_to_be(app: Flask) -> None:
    assert set(NOTES) <= set(TABLE)
