"""What a page costs: its statements, the time in the server, its size; beside the bare SQL and an empty template."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, render_template_string
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select

from portal.db import db
from portal.models import Branch, Call, PortalUser
from portal.tenancy import tenant_scope

EMPTY = "/bench/empty"
RARE = "Quittengelee"  # said in one call


@dataclass(frozen=True)
class Page:
    """A page to measure. ``{branch}``, ``{call}``, ``{customer}`` and ``{day}`` are filled in for each company."""

    name: str
    path: str


PAGES = (
    Page("dashboard", "/"),
    Page("calendar, day", "/calendar?view=day&date={day}&branch={branch}"),
    Page("calendar, week", "/calendar?view=week&date={day}&branch={branch}"),
    Page("calendar, month", "/calendar?view=month&date={day}&branch={branch}"),
    Page("calendar, list", "/calendar?view=list&date={day}&branch={branch}"),
    Page("month, all", "/calendar?view=month&date={day}&branch=all"),
    Page("list, all", "/calendar?view=list&date={day}&branch=all"),
    Page("list, missed", "/calendar?view=list&date=2020-01-01&branch=all&status=no_show"),
    Page("list, a name", "/calendar?view=list&date={day}&branch=all&q=mull"),
    Page("calls", "/calls"),
    Page("calls, filtered", "/calls?sentiment=negative&booked=no&length=medium"),
    Page("calls, rare filter", "/calls?intent=emergency&range=365"),
    Page("calls, common word", "/calls?q=termin"),
    Page("calls, search", "/calls?q=samstags"),
    Page("calls, rare word", f"/calls?q={RARE}&range=365"),
    Page("calls, no hit", "/calls?q=quittenmus&range=365"),
    Page("follow-ups", "/calls/follow-ups"),
    Page("a call", "/calls/{call}"),
    Page("customers", "/customers"),
    Page("customers, search", "/customers?q=mull"),
    Page("a customer", "/customers/{customer}"),
    Page("balance", "/balance"),
    Page("ledger", "/balance/ledger"),
    Page("auto top-up", "/balance/auto-topup"),
    Page("statements", "/balance/statements"),
)


@dataclass
class Cost:
    """Measured over several runs. Times in milliseconds, size in bytes; ``status`` other than 200 is no measurement."""

    status: int
    statements: list[tuple[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sql_times: list[float] = field(default_factory=list)
    size: int = 0

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.times, n=20)[-1] if len(self.times) > 1 else self.times[0]

    @property
    def sql(self) -> float:
        return statistics.median(self.sql_times)


class Visitor:
    """A company's owner with a browser."""

    def __init__(self, app: Flask, company: int, now: datetime) -> None:
        self.client: FlaskClient = app.test_client()
        with app.app_context(), tenant_scope(company):
            self.engine = db.engine
            owner = db.session.scalars(select(PortalUser).where(PortalUser.role == "owner").limit(1)).one()
            call = db.session.scalars(
                select(Call).where(Call.status == "completed").order_by(Call.started_at.desc()).limit(1)
            ).one()
            branch = db.session.scalars(select(Branch.id).order_by(Branch.id).limit(1)).one()
            self.values: dict[str, object] = {"call": call.id, "customer": call.customer_id, "branch": branch}
            token = f"{owner.id}:{owner.session_version}"
        self.values["day"] = now.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()
        with self.client.session_transaction() as session:
            session["_user_id"], session["_fresh"] = token, True

    def slowest(self, cost: Cost) -> tuple[float, str]:
        """The statement of a page that takes longest, and its milliseconds."""
        return slowest(self.engine, cost.statements)

    def measure(self, page: Page, runs: int) -> Cost:
        """Warm up, count the statements once, then take the time of ``runs`` requests, and of their SQL alone."""
        path = page.path.format(**self.values)
        cost = Cost(self.client.get(path).status_code)
        if not cost.ok:
            return cost
        with recorded(self.engine, cost.statements):
            cost.size = len(self.client.get(path).data)
        for _ in range(3):
            self.client.get(path)
        cost.times = [_milliseconds(lambda: self.client.get(path)) for _ in range(runs)]
        cost.sql_times = replayed(self.engine, cost.statements, runs)
        return cost


def empty_page(app: Flask) -> None:
    """The least that a page can cost here: one request, one template with nothing in it."""
    app.add_url_rule(EMPTY, "bench_empty", lambda: render_template_string("<!doctype html><title>-</title>"))


def empty_cost(app: Flask, runs: int) -> float:
    """Median milliseconds of the empty page."""
    client = app.test_client()
    client.get(EMPTY)
    return statistics.median(_milliseconds(lambda: client.get(EMPTY)) for _ in range(runs))


@contextmanager
def recorded(engine: Engine, statements: list[tuple[str, Any]]) -> Iterator[None]:
    """Collect what goes to the database, as the driver gets it."""

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)


def replayed(engine: Engine, statements: list[tuple[str, Any]], runs: int) -> list[float]:
    """Milliseconds of the same reading statements on a bare cursor, rows fetched, ``runs`` times."""
    reading = [one for one in statements if one[0].lstrip().upper().startswith(("SELECT", "WITH", "("))]
    connection = engine.raw_connection()
    cursor = connection.cursor()

    def replay() -> None:
        for statement, parameters in reading:
            cursor.execute(statement, parameters)
            cursor.fetchall()

    replay()
    times = [_milliseconds(replay) for _ in range(runs)]
    connection.rollback()
    connection.close()
    return times


def slowest(engine: Engine, statements: list[tuple[str, Any]]) -> tuple[float, str]:
    """Milliseconds and text of the statement that takes longest on a bare cursor; (0, '') where nothing is read."""
    timed = [(min(replayed(engine, [one], 3)), one[0]) for one in statements]
    return max(timed, default=(0.0, ""))


def _milliseconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
