"""The statements of a charge as the ledger sends them, in a bare loop through PyMySQL: the database alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from typing import Any

import pymysql
from pymysql.cursors import DictCursor
from sqlalchemy import make_url

# Parameters that name the company, or rows of it that have the same number here.
COMPANYS_OWN = ("company_id", "id_1", "prepaid_balance", "billing_rate")
WARM_UP = 3  # charges of each process before the clock starts
SESSION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"


@dataclass(frozen=True)
class Recipe:
    """One recorded charge: its statements, and the numbers in them that belong to it alone."""

    statements: list[tuple[str, dict[str, Any]]]
    company: int
    call: int
    price: Decimal

    def for_call(self, company: int, call: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """The same statements for another call. What the ledger reads on the way is put in by the loop."""
        for statement, parameters in self.statements:
            yield statement, {name: self._other(name, value, company, call) for name, value in parameters.items()}

    def _other(self, name: str, value: Any, company: int, call: int) -> Any:
        if value == self.call:
            return call
        if value == self.company and name.startswith(COMPANYS_OWN):
            return company
        if isinstance(value, str):
            return value.replace(str(self.call), str(call)).replace(f":{self.company}:", f":{company}:")
        return value


def charge_all(recipe: Recipe, url: str, calls: list[tuple[int, int]], barrier: Barrier) -> tuple[float, float]:
    """Run the loop; when it began and ended."""
    address = make_url(url)
    connection = pymysql.connect(
        host=address.host or "", port=address.port or 3306, user=address.username, database=address.database,
        charset="utf8mb4", cursorclass=DictCursor,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute(SESSION)
        for position, (company, call) in enumerate(calls):
            if position == WARM_UP:
                barrier.wait()
                began = time.time()
            _charge(cursor, recipe, company, call)
            connection.commit()
        return began, time.time()


def _charge(cursor: DictCursor, recipe: Recipe, company: int, call: int) -> None:
    level, charge = Decimal(0), 0
    for statement, parameters in recipe.for_call(company, call):
        for name in ("current_balance", "balance_after"):
            if name in parameters:
                parameters[name] = level - recipe.price
        if "call_charge_id" in parameters:
            parameters["call_charge_id"] = charge
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
        if statement.startswith("SELECT prepaid_balances.id"):
            level = rows[0]["current_balance"]
        if statement.startswith("INSERT INTO call_charges"):
            charge = cursor.lastrowid
