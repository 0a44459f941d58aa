"""Automatic top-ups as the worker makes them: at once, by the clock, and again where an answer was lost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, select

from portal.db import db, transaction, utcnow
from portal.domain import auto_topup_consent, auto_topup_watch, ledger
from portal.jobs import auto_topup as job
from portal.jobs import topups as topup_jobs
from portal.jobs import worker
from portal.models import Call, OutboxJob
from portal.tenancy import all_tenants
from tests.auto_topups import FIFTY, automatic, balance_of, forward, intents, save, set_to, switch_on
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.domain.test_topups import current, is_right
from tests.factories import make_call, within
from tests.fake_stripe import Simulator

SOON = timedelta(minutes=3)


def work(later: timedelta = timedelta(0)) -> None:
    """What the worker does about money, at a later time."""
    with clock_ahead(later):
        for one in (topup_jobs.ask_stripe, job.sweep, worker.drain_outbox, worker.drain_slow):
            one(utcnow() + later)


def lose_jobs() -> None:
    def work() -> None:
        with all_tenants("the test loses the outbox"):
            db.session.execute(delete(OutboxJob))

    transaction(work)


def end_a_call(firm: Firm, seconds: int) -> None:
    call = make_call(firm, duration_seconds=seconds)
    within(firm, lambda: ledger.charge(db.session.get_one(Call, call.id), utcnow()))


def test_a_call_that_ends_below_the_threshold_leads_to_one_topup(cast: Cast, sim: Simulator) -> None:
    set_to(cast.salon, "20.50")
    switch_on(cast.salon, sim)
    end_a_call(cast.salon, 157)
    for _ in range(2):
        worker.drain_outbox(utcnow())
        worker.drain_slow(utcnow())
    assert (len(intents(sim)), current(cast.salon)) == (1, Decimal("69.40"))
    assert automatic(cast.praxis) == []
    assert is_right(cast.salon)


def test_a_lost_job_is_made_up_for_by_the_clock(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    save(cast.praxis)
    set_to(cast.salon, "5.00")
    set_to(cast.praxis, "5.00")
    lose_jobs()
    work()
    assert [row.status for row in automatic(cast.salon)] == ["completed"]
    assert automatic(cast.praxis) == []


def test_the_clock_asks_for_nobody_who_has_enough_or_is_paused(cast: Cast, sim: Simulator) -> None:
    set_to(cast.salon, "20.00")
    switch_on(cast.salon, sim)
    job.sweep(utcnow())
    set_to(cast.salon, "5.00")
    lose_jobs()
    forward(cast.salon, utcnow() + timedelta(hours=1))
    job.sweep(utcnow())
    with all_tenants("the test looks at the outbox"):
        assert db.session.scalars(select(OutboxJob).where(OutboxJob.kind == auto_topup_watch.KIND)).all() == []
    job.sweep(utcnow() + timedelta(hours=2))
    with all_tenants("the test looks at the outbox"):
        assert len(db.session.scalars(select(OutboxJob).where(OutboxJob.kind == auto_topup_watch.KIND)).all()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_stripe_is_away_the_same_row_is_tried_again(cast: Cast, sim: Simulator, when: Any) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0 if when == "after" else 503, when=when, times=1, path="payment_intents")
    work()
    assert [row.status for row in automatic(cast.salon)] == ["pending"]
    work(timedelta(seconds=60))  # too early to ask again
    assert [row.status for row in automatic(cast.salon)] == ["pending"]
    work(SOON)
    assert [row.status for row in automatic(cast.salon)] == ["completed"]
    assert (len(intents(sim)), current(cast.salon)) == (1, Decimal("55.00"))


def test_an_hour_later_a_declined_card_is_asked_again_and_in_the_end_never(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, behaviour="insufficient_funds")
    set_to(cast.salon, "5.00")
    tried = []
    for hours in (0, 0.5, 1.1, 2, 24, 25.2, 26, 100):
        work(timedelta(hours=hours))
        tried.append(len(intents(sim)))
    assert tried == [1, 1, 2, 2, 2, 3, 3, 3]
    assert not balance_of(cast.salon).auto_topup_enabled


def test_a_payment_page_that_never_opened_is_no_automatic_topup(cast: Cast, sim: Simulator) -> None:
    """Given up after an hour is what a person began; what we began ourselves is looked for."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(503, times=2, path="payment_intents")
    work()
    work(timedelta(hours=1, minutes=30))
    assert [row.status for row in automatic(cast.salon)] == ["pending"]
    work(timedelta(hours=2))
    assert [row.status for row in automatic(cast.salon)] == ["completed"]


def test_a_month_of_spending_never_takes_more_than_its_cap(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    for day in range(8):
        for _ in range(3):
            set_to(cast.salon, "1.00")
            work(timedelta(hours=day))
    charged = sum(row.amount for row in automatic(cast.salon) if row.status == "completed")
    assert charged <= FIFTY.monthly_cap
    assert charged >= FIFTY.daily_cap
    assert sum(one["amount"] for one in intents(sim)) == charged * 119


def test_a_forgotten_card_is_forgotten_at_stripe_too(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim)
    within(cast.salon, auto_topup_consent.forget_card)
    sim.fail_next(503, path="payment_methods")
    for later in (timedelta(0), timedelta(minutes=1)):
        work(later)
    assert sim.get(card)["customer"] is None
