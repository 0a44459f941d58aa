"""``python -m bench``: the main pages with a small and with a large company in one database.

``python -m bench charges``: how many calls a second are charged (``bench/charges.py``).
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime, timedelta

from sqlalchemy import select

from bench import charges
from bench.pages import PAGES, RARE, Cost, Page, Visitor, empty_cost, empty_page
from bench.places import ENGINES, Lines, application, database
from portal.db import db, transaction, utcnow
from portal.demo import large
from portal.demo.histories import AHEAD, Plan
from portal.models import Call, CallContent
from portal.tenancy import all_tenants, tenant_scope

# Both companies have as many appointments a day in each branch, so that a page of one branch shows as much.
DAYS_OF_SMALL, DAYS_OF_LARGE = 90, 1095
STAFF_A_BRANCH = 2
SLOW = 5  # milliseconds of one statement, from which it is shown
SHOWN = 600  # characters of it
COLUMNS = ("page", "queries", "median ms", "p95 ms", "kB", "large/small", "SQL ms", "x floor")
WIDTHS = (-19, 9, 19, 17, 15, 13, 15, 9)  # negative: to the left


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--db", choices=ENGINES, default="sqlite")
    parser.add_argument("--calls-small", type=int, default=1_000)
    parser.add_argument("--calls-large", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=40, help="requests per page and company")
    parser.add_argument("--pages", default="", help="names, or parts of them, separated by commas")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    if given[:1] == ["charges"]:
        return charges.main(given[1:])
    wanted = arguments(given)
    now = utcnow()
    with database(wanted.db) as url, application(url) as app:
        empty_page(app)
        with app.app_context():
            companies = _fill(wanted.calls_small, wanted.calls_large, now)
        empty = empty_cost(app, wanted.runs)
        small, large_one = (Visitor(app, company, now) for company in companies)
        print(f"\n{wanted.db}: {wanted.calls_small:,} and {wanted.calls_large:,} calls, {wanted.runs} runs each")
        print(f"Floor: the same SQL on a bare cursor, plus an empty template ({empty:.1f} ms).\n\n{_row(*COLUMNS)}")
        chosen = [page for page in PAGES if _is_wanted(page, wanted.pages)]
        failed = [page.name for page in chosen if not _compare(page, small, large_one, wanted.runs, empty)]
    return 1 if failed else 0


def _is_wanted(page: Page, names: str) -> bool:
    return not names or any(name.strip() in page.name for name in names.split(","))


def _fill(calls_small: int, calls_large: int, now: datetime) -> tuple[int, int]:
    started = time.monotonic()
    with all_tenants("measuring takes two companies"):
        frames = large.write([_plan(1, calls_small, calls_small), _plan(2, calls_large, calls_small)], now, Lines())
    for frame in frames:
        _plant(frame.company, now)
    print(f"  filled in {time.monotonic() - started:.0f} s")
    return frames[0].company, frames[1].company


def _plant(company_id: int, now: datetime) -> None:
    """A word that occurs in one call of each company, some time ago."""

    def write() -> None:
        said = select(CallContent).join(Call, Call.id == CallContent.call_id)
        before = said.where(Call.started_at < now - timedelta(days=60)).order_by(Call.started_at.desc())
        content = db.session.scalars(before.limit(1)).one()
        content.transcript = f"{content.transcript}\nUser: {RARE}."

    with tenant_scope(company_id):
        transaction(write)


def _plan(number: int, calls: int, calls_small: int) -> Plan:
    """More calls are a longer history, and more branches as busy as the small company's only one."""
    days = DAYS_OF_SMALL if calls <= calls_small else DAYS_OF_LARGE
    usual = max(1, calls_small // (DAYS_OF_SMALL + AHEAD))
    branches = max(1, round(calls / (days + AHEAD) / usual))
    return Plan(number, calls, days, branches, branches * STAFF_A_BRANCH)


def _compare(page: Page, small: Visitor, large_one: Visitor, runs: int, empty: float) -> bool:
    """Print one line; False when the page does not answer with 200."""
    costs = small.measure(page, runs), large_one.measure(page, runs)
    if not all(cost.ok for cost in costs):
        print(f"{page.name:<19}answers {' and '.join(str(cost.status) for cost in costs)}")
        return False
    print(_line(page, *costs, empty))
    took, statement = large_one.slowest(costs[1])
    if took > SLOW:
        print(f"{'':<19}{took:.0f} ms of it: … {_without_columns(statement)[:SHOWN]}")
    return True


def _without_columns(statement: str) -> str:
    text = " ".join(statement.split())
    return text[max(text.find(" FROM "), 0) :].strip()


def _line(page: Page, small: Cost, large_one: Cost, empty: float) -> str:
    return _row(
        page.name,
        f"{len(small.statements)} / {len(large_one.statements)}",
        _pair(small.median, large_one.median),
        _pair(small.p95, large_one.p95),
        _pair(small.size / 1000, large_one.size / 1000),
        f"{large_one.median / small.median:.2f}",
        _pair(small.sql, large_one.sql),
        f"{large_one.median / (large_one.sql + empty):.1f}",
    )


def _row(*cells: str) -> str:
    pairs = zip(cells, WIDTHS, strict=True)
    return "".join(f"{cell:>{width}}" if width > 0 else f"{cell:<{-width}}" for cell, width in pairs)


def _pair(small: float, large_one: float) -> str:
    return f"{small:.1f} / {large_one:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
