"""Numbers under a real race: processes with connections of their own, all drawing from one sequence."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.db import db, transaction
from portal.domain import invoices
from portal.models import BalanceTopup, Invoice, OutboxJob
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.factories import make_topup

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PROCESSES, EACH = 12, 10
FAILS_EVERY = 4


class Undone(Exception):
    """The transaction around the invoice fails after all."""


def issue(company_id: int, topup_id: int, undo: bool) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            made = invoices.issue_for_topup(db.session.get_one(BalanceTopup, topup_id), NOW)
            assert made is not None
            if undo:
                raise Undone
            return made.number

    return transaction(work)


def run(app: Flask, barrier: Barrier, company_id: int, topup_ids: list[int], answers: Any) -> None:
    """One process: its invoices one after the other, every fourth of them rolled back once."""
    with app.app_context():
        barrier.wait(60)
        for place, topup_id in enumerate(topup_ids):
            if place % FAILS_EVERY == 1:
                with pytest.raises(Undone):
                    issue(company_id, topup_id, undo=True)
            answers.put((topup_id, issue(company_id, topup_id, undo=False)))


def race(app: Flask, shares: list[tuple[int, list[int]]]) -> list[tuple[int, str]]:
    """Run every share in a process of its own, started together; (top-up, number) of all of them."""
    db.session.remove()
    db.engine.dispose()  # a connection must not be shared with a child
    fork = multiprocessing.get_context("fork")
    barrier, answers = fork.Barrier(len(shares)), fork.Queue()
    children = [fork.Process(target=run, args=(app, barrier, *share, answers)) for share in shares]
    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _company_id, topup_ids in shares for _topup_id in topup_ids]
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * len(children)
    return found


def paid(cast: Cast, place: int) -> tuple[int, list[int]]:
    firm = (cast.salon, cast.praxis)[place % 2]
    topups = [make_topup(firm, status="completed", completed_at=NOW) for _number in range(EACH)]
    return firm.id, [topup.id for topup in topups]


def count(what: Callable[[], Any]) -> Any:
    with all_tenants("the test looks at every company"):
        return what()


@pytest.mark.slow
def test_twelve_processes_draw_numbers_without_a_gap_and_without_a_double(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    found = race(app, [paid(cast, place) for place in range(PROCESSES)])
    total = PROCESSES * EACH
    assert sorted(number for _topup_id, number in found) == [f"RE-2026-{number:04}" for number in range(1, total + 1)]
    assert count(lambda: db.session.scalar(select(func.count(Invoice.id)))) == total
    assert count(lambda: db.session.scalar(select(func.count(OutboxJob.id)))) == total


@pytest.mark.slow
def test_the_same_top_ups_in_six_processes_get_one_invoice_each(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    share = paid(cast, 0)
    found = race(app, [share] * 6)
    numbers = Counter(found)
    assert set(numbers.values()) == {6}
    assert sorted(number for _topup_id, number in numbers) == [f"RE-2026-{number:04}" for number in range(1, EACH + 1)]
