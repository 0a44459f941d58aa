"""The page that says whether every cent adds up, the job behind it, and the run of every night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.db import db, utcnow
from portal.domain import ledger, reconciliation
from portal.jobs import reconciliation as job
from portal.jobs import worker
from portal.models import AuditLog, OutboxJob, PrepaidBalance
from portal.tenancy import all_tenants
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import apply, begin
from tests.factories import within
from tests.fake_stripe import Simulator

PAGE = "/operator/reconciliation"


@pytest.fixture
def desk(client: PortalClient, cast: Cast) -> PortalClient:
    """The operator's browser."""
    return client.sign_in(cast.operator)


@pytest.fixture
def salon(cast: Cast) -> Firm:
    within(cast.salon, lambda: ledger.adjust(Decimal("50.00"), "Start", "start", utcnow()))
    return cast.salon


def jobs() -> int:
    with all_tenants("tests look at every company"):
        return db.session.scalar(select(func.count(OutboxJob.id)).where(OutboxJob.kind == reconciliation.KIND)) or 0


def work() -> None:
    """What the worker does with it."""
    worker.drain_slow(utcnow())


def last() -> reconciliation.Run:
    run = reconciliation.last_run()
    assert run is not None
    return run


def break_balance(firm: Firm) -> None:
    change = update(PrepaidBalance).values(current_balance=Decimal("50.01"))
    within(firm, lambda: db.session.execute(change.execution_options(synchronize_session=False)))


def test_before_the_first_run_the_page_says_so(desk: PortalClient) -> None:
    answer = desk.get(PAGE)
    assert answer.status_code == 200
    assert f'action="{PAGE}/check"' in answer.text


def test_a_check_is_asked_for_once_and_done_by_the_worker(desk: PortalClient, salon: Firm, cast: Cast) -> None:
    for _ in range(2):
        assert desk.post(f"{PAGE}/check").location == PAGE
    assert jobs() == 1
    assert last().running
    assert "every 3s" in desk.get(PAGE).text
    work()
    run = last()
    assert (run.running, run.differences, run.total, run.stripe) == (False, 0, 2, "without")
    assert [one.name for one in run.companies] == ["Salon Test", "Praxis Test"]
    assert [one.movements for one in run.companies] == [1, 0]
    text = desk.get(PAGE).text
    assert "every 3s" not in text
    assert "Salon Test" in text
    with all_tenants("tests look at every company"):
        entry = db.session.scalars(select(AuditLog).where(AuditLog.action == "reconciliation.asked")).one()
    assert entry.user_id == cast.operator.id
    desk.post(f"{PAGE}/check")
    assert jobs() == 2


def test_a_difference_is_named_on_the_page_and_counted_in_the_menu(desk: PortalClient, salon: Firm) -> None:
    break_balance(salon)
    desk.post(f"{PAGE}/check")
    work()
    text = desk.get(PAGE).text
    assert "50,00" in text
    assert "50,01" in text
    (found,) = last().companies[0].differences
    assert (found.area, found.expected, found.found) == ("balance", "50.00", "50.01")
    assert reconciliation.open_differences() == 1
    assert 'class="count" id="count-differences-side">1<' in desk.get("/operator").text


def test_progress_is_a_part_that_ends_by_itself(desk: PortalClient, salon: Firm) -> None:
    desk.post(f"{PAGE}/check")
    part = desk.htmx("GET", f"{PAGE}/run")
    assert (part.status_code, "<html" in part.text) == (200, False)
    assert desk.htmx("GET", f"{PAGE}/run?v={last().version}").status_code == 204
    key = last().key
    within(salon, lambda: reconciliation.note(key, utcnow(), total=2, companies=[]))
    assert 'value="0" max="2"' in desk.htmx("GET", f"{PAGE}/run").text
    worker.drain_slow(utcnow() + reconciliation.SILENCE * 2)  # whoever was at it has fallen silent
    assert "every 3s" not in desk.htmx("GET", f"{PAGE}/run").text


def test_stripe_is_compared_and_may_be_away(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    desk.post(f"{PAGE}/check")
    work()
    assert (last().stripe, last().differences) == ("compared", 1)
    assert last().companies[0].number_of("stripe") == 1
    apply(cast.salon, topup)
    sim.fail_next(500, times=1, path="payment_intents")
    desk.post(f"{PAGE}/check")
    work()
    assert (last().stripe, last().differences) == ("away", 0)
    assert desk.get(PAGE).status_code == 200


def test_a_run_that_was_stopped_begins_anew(desk: PortalClient, salon: Firm, monkeypatch: Any) -> None:
    desk.post(f"{PAGE}/check")

    def break_off(*_: Any) -> Any:
        raise RuntimeError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("portal.reconciliation.check", break_off)
        work()
    assert (last().running, last().error) == (True, "RuntimeError: stopped")
    assert desk.get(PAGE).status_code == 200
    worker.drain_slow(utcnow() + timedelta(days=1))
    assert (last().running, last().differences, len(last().companies)) == (False, 0, 2)


@pytest.mark.parametrize(
    ("hour", "number"),
    [(0, 0), (1, 0), (2, 1), (12, 1)],  # UTC in winter: three o'clock in Berlin is two
)
def test_every_night_has_one_run_from_three_oclock_on(app: Flask, salon: Firm, hour: int, number: int) -> None:
    for _ in range(2):
        job.every_night(datetime(2026, 11, 23, hour, 5, tzinfo=UTC))
    assert jobs() == number
    job.every_night(datetime(2026, 11, 24, 12, 5, tzinfo=UTC))
    assert jobs() == number + 1


@pytest.mark.parametrize("role", ["owner", "manager", "staff", "bookkeeper"])
def test_it_is_the_operators_alone(client: PortalClient, cast: Cast, role: str) -> None:
    client.sign_in(cast.salon.users[role])
    assert client.get(PAGE).status_code == client.post(f"{PAGE}/check").status_code == 403
    assert jobs() == 0
