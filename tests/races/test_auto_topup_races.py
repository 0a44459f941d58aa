"""Automatic top-ups under many hands: calls, workers, webhooks and people, as real processes at the same moment.

Two guards hold a second charge back, the balance's lock and the unique key of the row; each of them alone is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from portal import auto_payments
from portal.clients.stripe import StripeGateway
from portal.db import db, transaction, utcnow
from portal.domain import auto_topup, ledger, verify
from portal.domain.auto_topup_rules import FIXED, Settings
from portal.jobs import worker
from portal.models import BalanceTopup, PrepaidBalance
from portal.tenancy import tenant_scope
from tests.auto_topups import automatic, balance_of, set_to, switch_on
from tests.cast import Cast, Firm
from tests.fake_stripe import Simulator
from tests.payments import SECRET
from tests.races.processes import at_once
from tests.races.test_killed import killed
from tests.races.test_ledger_races import afterwards, charge_calls, deliver, make_calls, stripe_on_a_port, url_of

SPENDERS, WORKERS, CALLS = 12, 4, 500
PRICE = Decimal("1.10")  # 157 s at 0.42
FIVE_HUNDRED = Settings(FIXED, Decimal(100), Decimal(500), Decimal(1000), Decimal(1000))
NO_CAPS = Settings(FIXED, Decimal(20), Decimal(50), Decimal(90_000), Decimal(90_000))
CAPPED = Settings(FIXED, Decimal(20), Decimal(50), Decimal(300), Decimal(300))


# ---- What a process does ----------------------------------------------------------------------------------


def work_rounds(app: Flask, rounds: int) -> int:
    """The worker, again and again; what another one is doing just then may fail here and is tried again."""
    return sum(worker.drain_outbox(utcnow()) + worker.drain_slow(utcnow()) for _ in range(rounds))


def look_rounds(app: Flask, company_id: int, rounds: int) -> int:
    for _ in range(rounds):
        with tenant_scope(company_id):
            auto_payments.top_up_if_due()
    return rounds


def spend_and_look(app: Flask, company_id: int, place: int, rounds: int) -> int:
    """Take what is there, and let the worker look: the balance is always low."""
    for number in range(rounds):
        with tenant_scope(company_id):
            transaction(lambda n=number: spend(f"{place}-{n}"))
            auto_payments.top_up_if_due()
    return rounds


def spend(key: str) -> None:
    rest = ledger.available(ledger.lock()) - 1
    if rest > 0:
        ledger.adjust(-rest, "Spent", key, utcnow())


def switch_off_and_on(app: Flask, company_id: int, rounds: int) -> int:
    for _ in range(rounds):
        with tenant_scope(company_id):
            transaction(auto_topup.switch_off)
            transaction(lambda: auto_topup.switch_on(utcnow()))
    return rounds


def top_up(app: Flask, number: int, company_id: int) -> Callable[[], Any]:
    """One life: the balance is low, and the worker tops it up. What the last one left is finished first."""
    with tenant_scope(company_id):
        finish_what_was_left()
        transaction(lambda: spend(f"life-{number}"))
    return lambda: look_rounds(app, company_id, 1)


def finish_what_was_left() -> None:
    row = BalanceTopup
    for topup_id in db.session.scalars(
        select(row.id).where(row.is_auto_topup.is_(True), row.status == "pending")
    ).all():
        auto_payments.charge(topup_id)


# ---- The stage --------------------------------------------------------------------------------------------


@contextmanager
def stage(app: Flask, firm: Firm, settings: Settings, **how: Any) -> Iterator[tuple[Simulator, str]]:
    """A company that tops up automatically, with Stripe on a port."""
    with stripe_on_a_port() as (sim, address):
        app.extensions["stripe"] = {"gateway": StripeGateway("sk_test_tests", address, SECRET)}
        switch_on(firm, sim, settings, **how)
        yield sim, address


def is_charged_once_each(firm: Firm, sim: Simulator) -> list[BalanceTopup]:
    """Every row has one payment at Stripe, and every payment one row; our rows, oldest first."""
    db.session.rollback()
    rows = automatic(firm)
    paid = Counter(one["metadata"]["topup_id"] for one in sim.all("payment_intent") if one["status"] == "succeeded")
    assert paid == Counter(str(row.id) for row in rows if row.status == "completed")
    assert max(paid.values(), default=0) <= 1
    return rows


# ---- The races --------------------------------------------------------------------------------------------


def test_five_hundred_calls_that_end_in_a_burst_bring_one_topup(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "560.00")
    calls = make_calls(cast.salon, [157] * CALLS)
    with stage(app, cast.salon, FIVE_HUNDRED) as (sim, address):
        tasks: list[Any] = [(charge_calls, (cast.salon.id, calls[place::SPENDERS])) for place in range(SPENDERS)]
        tasks += [(work_rounds, (25,))] * WORKERS + [(look_rounds, (cast.salon.id, 25))] * WORKERS
        at_once(url_of(app), tasks, stripe_api_base=address)
        look_rounds(app, cast.salon.id, 2)
        (topup,) = is_charged_once_each(cast.salon, sim)
        assert len(sim.all("payment_intent")) == 1
    with afterwards(cast.salon):
        assert topup.status == "completed"
        assert balance_of(cast.salon).current_balance == Decimal("560.00") + 500 - CALLS * PRICE


def test_of_thirty_that_look_at_the_same_moment_one_charges(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, NO_CAPS, method="sepa_debit") as (sim, address):
        at_once(url_of(app), [(look_rounds, (cast.salon.id, 1))] * 30, stripe_api_base=address)
        assert len(is_charged_once_each(cast.salon, sim)) == 1
        assert len(sim.all("payment_intent")) == 1


def test_many_rounds_never_take_more_than_the_month_allows(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, CAPPED) as (sim, address):
        tasks = [(spend_and_look, (cast.salon.id, place, 8)) for place in range(10)]
        at_once(url_of(app), tasks, stripe_api_base=address)
        # On a slow machine many a round finds a top-up in flight: what they have left of the cap is spent here.
        spend_and_look(app, cast.salon.id, 10, 8)
        rows = is_charged_once_each(cast.salon, sim)
        assert sum(row.amount for row in rows) == Decimal(300)
        assert sum(one["amount"] for one in sim.all("payment_intent")) == 300 * 119
    with afterwards(cast.salon):
        assert {row.status for row in rows} == {"completed"}


def test_one_message_thirty_times_and_our_own_answer_are_one_credit(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, NO_CAPS, method="sepa_debit") as (sim, address):
        look_rounds(app, cast.salon.id, 1)
        (row,) = automatic(cast.salon)
        sim.settle(row.stripe_payment_intent_id or "")
        bodies = [sim.webhook(one["id"]).body for one in sim.events() if one["type"].startswith("payment_intent.")]
        tasks: list[Any] = [(deliver, (body,)) for body in bodies for _ in range(10)]
        tasks += [(look_rounds, (cast.salon.id, 3))] * WORKERS
        at_once(url_of(app), tasks, stripe_api_base=address)
        is_charged_once_each(cast.salon, sim)
    with afterwards(cast.salon):
        assert balance_of(cast.salon).current_balance == Decimal("55.00")


def test_somebody_who_switches_off_and_on_meanwhile_is_not_charged_twice(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, CAPPED) as (sim, address):
        tasks: list[Any] = [(spend_and_look, (cast.salon.id, place, 6)) for place in range(6)]
        tasks += [(switch_off_and_on, (cast.salon.id, 20))] * 2
        at_once(url_of(app), tasks, stripe_api_base=address)
        with tenant_scope(cast.salon.id):
            finish_what_was_left()
        rows = is_charged_once_each(cast.salon, sim)
        assert sum(row.amount for row in rows if row.status == "completed") <= Decimal(300)
    with afterwards(cast.salon):
        assert balance_of(cast.salon).auto_topup_enabled


def test_killed_between_any_two_steps_nobody_is_charged_twice(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, NO_CAPS) as (sim, address):
        lives = killed(app, top_up, cast.salon.id, stripe_api_base=address)
        assert lives > 10
        with tenant_scope(cast.salon.id):
            finish_what_was_left()
        rows = is_charged_once_each(cast.salon, sim)
        assert {row.status for row in rows} == {"completed"}
        assert len(rows) > lives / 2
    with afterwards(cast.salon):
        assert verify.company() == []


def test_without_a_card_on_the_row_nobody_is_charged(real_app: tuple[Flask, Cast]) -> None:
    """Somebody forgets the card between the decision and the charge: the row comes to nothing."""
    app, cast = real_app
    set_to(cast.salon, "5.00")
    with stage(app, cast.salon, NO_CAPS) as (sim, _address):
        sim.fail_next(503, path="payment_intents", times=3)
        look_rounds(app, cast.salon.id, 1)
        row = PrepaidBalance
        with tenant_scope(cast.salon.id):
            change = update(row).where(row.company_id == cast.salon.id).values(stripe_payment_method_id="pm_other")
            transaction(lambda: db.session.execute(change))
            finish_what_was_left()
        assert sim.all("payment_intent") == []
        assert [one.status for one in is_charged_once_each(cast.salon, sim)] == ["failed"]
