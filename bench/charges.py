"""``python -m bench charges``: how many calls a second are charged, by several processes at once.

Once all on one company, whose balance they queue for, once spread over many. On MariaDB beside it: the very statements
of a charge, recorded from the ledger, in a bare loop through PyMySQL. The private MariaDB writes its log without
waiting for the disk, so these are figures of the software, not of the disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import func, insert, select

from bench import bare
from bench.pages import recorded
from bench.places import ENGINES, application, database
from config import Settings
from portal import create_app
from portal.db import db, transaction, utcnow
from portal.demo.firms import LONG_AGO, RATE
from portal.demo.rows import Rows
from portal.domain import ledger, pricing
from portal.domain.pricing import Tariff
from portal.models import BalanceTransaction, BillingRate, Branch, Call, Company, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope

SECONDS = 157
# Ids of calls: far from all other numbers in the statements, so that they can be told apart there.
FIRST_CALL = 7_000_000
RICH = 1_000_000


@dataclass(frozen=True)
class Job:
    """What one process charges: pairs of company and call."""

    url: str
    calls: list[tuple[int, int]]


Charging = Callable[[Job, Barrier], tuple[float, float]]


def charge_all(job: Job, barrier: Barrier) -> tuple[float, float]:
    """Charge through the portal; when it began and ended."""
    app = create_app(Settings(portal_env="test", database_url=job.url))
    with app.app_context():
        for position, (company, call) in enumerate(job.calls):
            if position == bare.WARM_UP:
                barrier.wait()
                began = time.time()
            charge(company, call, utcnow())
        return began, time.time()


def charge(company: int, call_id: int, now: datetime) -> None:
    def work() -> None:
        call = db.session.get_one(Call, call_id)
        ledger.charge(call, now)

    with tenant_scope(company):
        transaction(work)


def in_processes(charging: Charging, url: str, calls: list[tuple[int, int]], processes: int) -> float:
    """Charges a second."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        barrier = manager.Barrier(processes)
        jobs = [Job(url, calls[number::processes]) for number in range(processes)]
        spans = pool.starmap(charging, [(job, barrier) for job in jobs])
    counted = len(calls) - processes * bare.WARM_UP
    return counted / (max(end for _, end in spans) - min(began for began, _ in spans))


# ---- What is charged ----------------------------------------------------------------------------------------------


class Supply:
    """Companies with money, and calls that nobody has charged yet."""

    def __init__(self, companies: int, now: datetime) -> None:
        self.now, self.next = now, FIRST_CALL
        with all_tenants("measuring takes many companies"):
            self.companies = transaction(lambda: self._companies(companies))

    def _companies(self, count: int) -> list[tuple[int, int]]:
        rows = Rows(lambda model: 1)
        made = []
        for number in range(count):
            company = rows.add(Company, tenant_id=f"bench-{number:04d}", name=f"Bench {number}")
            branch = rows.add(Branch, company_id=company, name="Bench", address="-")
            money = {"current_balance": RICH, "total_topped_up": RICH}
            rows.add(PrepaidBalance, company_id=company, **money)
            rows.add(BillingRate, company_id=company, rate_per_minute=RATE, valid_from=LONG_AGO)
            made.append((company, branch))
        for _ in rows.write():
            pass
        return made

    def calls(self, count: int, companies: int) -> list[tuple[int, int]]:
        """``count`` new calls, in turn of the first ``companies`` ones, as pairs of company and call."""
        made = [(*self.companies[number % companies], self.next + number) for number in range(count)]
        self.next += count
        rows = [self._call(*one) for one in made]
        with all_tenants("calls of many companies"):
            for first in range(0, count, 1000):
                transaction(lambda first=first: db.session.execute(insert(Call), rows[first : first + 1000]))  # type: ignore[misc]
        return [(company, call) for company, _, call in made]

    def _call(self, company: int, branch: int, call: int) -> dict[str, Any]:
        ended = self.now - timedelta(minutes=1)
        return {
            "id": call,
            "company_id": company,
            "branch_id": branch,
            "call_id": f"call_bench{call}",
            "started_at": ended - timedelta(seconds=SECONDS),
            "ended_at": ended,
            "duration_seconds": SECONDS,
            "status": "completed",
        }


def record(company: int, calls: list[tuple[int, int]]) -> bare.Recipe:
    """The statements of an ordinary charge: not of the first one of a day, which does a little more."""
    statements: list[tuple[str, Any]] = []
    for _, call in calls:
        statements.clear()
        with recorded(db.engine, statements):
            charge(company, call, utcnow())
    return bare.Recipe(statements, company, calls[-1][1], pricing.price(SECONDS, Tariff(RATE)).amount)


# ---- The measurement ----------------------------------------------------------------------------------------------


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench charges", description=__doc__)
    parser.add_argument("--db", choices=ENGINES, default="mariadb")
    parser.add_argument("--companies", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--charges", type=int, default=2000, help="in each measurement")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    wanted = arguments(given)
    with database(wanted.db) as url, application(url) as app:
        with app.app_context():
            supply = Supply(wanted.companies, utcnow())
            recipe = record(supply.companies[0][0], supply.calls(3, 1))
            # The first charge of a company's day marks the day for the daily figures; only the others are counted.
            for company, call in supply.calls(wanted.companies, wanted.companies):
                charge(company, call, utcnow())
        print(f"{wanted.db}, {wanted.processes} processes, {wanted.charges:,} charges each time, charges a second:\n")
        for label, companies in (("one company", 1), (f"{wanted.companies} companies", wanted.companies)):
            with app.app_context():
                count = wanted.charges + wanted.processes * bare.WARM_UP
                ours, theirs = (supply.calls(count, companies) for _ in range(2))
            speed = in_processes(charge_all, url, ours, wanted.processes)
            line = f"  {label:<16}{speed:>8.0f} by the portal"
            if wanted.db == "mariadb":
                loop = in_processes(partial(bare_loop, recipe), url, theirs, wanted.processes)
                line += f"{loop:>10.0f} by the bare loop of the same SQL{speed / loop:>8.0%}"
            print(line, flush=True)
        with app.app_context():
            return _wrong_balances()


def bare_loop(recipe: bare.Recipe, job: Job, barrier: Barrier) -> tuple[float, float]:
    return bare.charge_all(recipe, job.url, job.calls, barrier)


def _wrong_balances() -> int:
    """The number of companies whose ledger does not add up, which would make every speed worthless."""
    with all_tenants("every company's ledger is added up"):
        sums = select(BalanceTransaction.company_id, func.sum(BalanceTransaction.amount)).group_by(
            BalanceTransaction.company_id
        )
        spent = {company: RICH + amount for company, amount in db.session.execute(sums)}
        held = db.session.execute(select(PrepaidBalance.company_id, PrepaidBalance.current_balance)).all()
    wrong = [company for company, balance in held if spent.get(company, RICH) != balance]
    print(f"\n  ledgers that do not add up: {len(wrong)}")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
