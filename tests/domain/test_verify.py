"""`ledger verify` finds what is wrong, by name; each test here breaks one thing behind the ledger's back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from portal import payments, reconciliation
from portal.db import db, utcnow
from portal.domain import ledger, topup_steps, verify
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    Call,
    CallCharge,
    PrepaidBalance,
)
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.domain.test_topups import apply, begin
from tests.factories import make_call, make_topup, within
from tests.fake_stripe import Simulator


@pytest.fixture
def busy(cast: Cast) -> Firm:
    """A company with a top-up, two charges, a call that is running, and a credit."""
    firm = cast.salon
    topup = make_topup(firm, "50.00", status="completed", completed_at=utcnow())
    within(firm, lambda: ledger.credit(db.session.get_one(BalanceTopup, topup.id), utcnow()))
    calls = [make_call(firm, duration_seconds=seconds) for seconds in (157, 41)]
    charges = [within(firm, lambda c=call: ledger.charge(db.session.get_one(Call, c.id), utcnow())) for call in calls]
    within(firm, lambda: ledger.credit_call(charges[0].id, Decimal("0.10"), "Kulanz", "k", utcnow()))
    running = make_call(firm, status="in_progress", ended_at=None, duration_seconds=None)
    within(firm, lambda: ledger.hold(db.session.get_one(Call, running.id), utcnow()))
    return firm


def differences(firm: Firm) -> list[str]:
    with tenant_scope(firm.id):
        return [str(one) for one in verify.company()]


def change(firm: Firm, statement: Any) -> None:
    within(firm, lambda: db.session.execute(statement.execution_options(synchronize_session=False)))


def test_a_sound_company_has_no_differences(busy: Firm, cast: Cast) -> None:
    assert differences(busy) == []
    assert differences(cast.praxis) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (update(PrepaidBalance).values(current_balance=Decimal("999.00")), "current balance should be 48.71"),
        (update(PrepaidBalance).values(reserved_balance=Decimal("3.00")), "reserved balance should be 2.10"),
        (update(PrepaidBalance).values(total_topped_up=Decimal("1.00")), "total topped up should be 50.00"),
        (update(PrepaidBalance).values(total_spent=Decimal("1.00")), "total spent should be 1.29"),
        (update(CallCharge).values(duration_seconds=600), "amount should be 4.20"),
        (update(CallCharge).values(billable_seconds=1), "billable seconds should be"),
        (update(CallCharge).values(refunded_amount=Decimal("0.05")), "given back in the ledger should be 0.05"),
        (update(BalanceReservation).values(status="released"), "reserved balance should be 0.00, but is 2.10"),
        (update(BalanceTopup).values(status="failed"), "movements in the ledger should be [], but is [50.00]"),
        (update(BalanceTopup).values(refunded_amount=Decimal("11.90")), "returned in the ledger should be -10.00"),
    ],
)
def test_each_mistake_is_named(busy: Firm, statement: Any, words: str) -> None:
    change(busy, statement)
    found = differences(busy)
    assert any(words in line for line in found), found


def test_a_completed_topup_that_was_never_credited_is_named(busy: Firm) -> None:
    topup = make_topup(busy, "20.00", status="completed")
    assert differences(busy) == [
        f"top-up {topup.id} (completed): movements in the ledger should be [20.00], but is []",
    ]


def test_a_movement_that_breaks_the_running_balance_is_named(busy: Firm) -> None:
    def slip_in() -> None:
        db.session.add(
            BalanceTransaction(
                company_id=busy.id,
                prepaid_balance_id=busy.balance.id,
                kind="correction",
                amount=Decimal("5.00"),
                balance_after=Decimal("5.00"),
                reference="correction:by-hand",
            )
        )

    within(busy, slip_in)
    found = differences(busy)
    assert any("correction:by-hand): balance after should be 53.71, but is 5.00" in line for line in found), found
    assert any("current balance should be 53.71, but is 48.71" in line for line in found), found


def test_a_hold_that_outlives_its_charge_is_named(busy: Firm) -> None:
    def slip_in() -> None:
        charge = db.session.query(CallCharge).first()
        db.session.add(
            BalanceReservation(
                company_id=busy.id,
                prepaid_balance_id=busy.balance.id,
                call_id=charge.call_id,
                amount=Decimal("0.00"),
                expires_at=utcnow(),
            )
        )

    within(busy, slip_in)
    assert any(line.startswith("hold of call") for line in differences(busy))


# ---- Against Stripe ---------------------------------------------------------------------------------------


def against_stripe(firm: Firm) -> list[str]:
    gateway = payments.gateway()
    assert gateway is not None
    since = utcnow() - timedelta(days=1)
    theirs = list(gateway.list_payment_intents(since))
    with tenant_scope(firm.id):
        return [str(one) for one in verify.with_stripe(theirs, since)]


def test_what_stripe_has_and_we_have_is_the_same(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.refund(topup.stripe_session_id or "", 1190)
    apply(cast.salon, topup)
    begin(cast.praxis)
    assert against_stripe(cast.salon) == against_stripe(cast.praxis) == []


def test_a_payment_that_was_never_credited_is_named(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    (line,) = against_stripe(cast.salon)
    assert f"top-up {topup.id} should be completed, but is pending" in line
    assert against_stripe(cast.praxis) == []


def test_a_refund_that_we_never_heard_of_is_named(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    sim.refund(topup.stripe_session_id or "", 1190)
    (line,) = against_stripe(cast.salon)
    assert "amount refunded should be 11.90, but is 0.00" in line


def test_a_credit_without_a_payment_is_named(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    within(cast.salon, lambda: topup_steps.put(topup.id, stripe_payment_intent_id="pi_nowhere"))
    assert any("payment at Stripe should be succeeded, but is missing" in line for line in against_stripe(cast.salon))


def test_a_topup_from_before_the_days_that_are_compared_is_not_missing(cast: Cast, sim: Simulator) -> None:
    """Stripe is asked for a day more than our rows are, and a page may be paid some time after it was opened."""
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    before = utcnow() - timedelta(hours=12)
    within(cast.salon, lambda: topup_steps.put(topup.id, created_at=before - timedelta(hours=1)))
    gateway = payments.gateway()
    assert gateway is not None
    with tenant_scope(cast.salon.id):
        assert verify.with_stripe(list(gateway.list_payment_intents(before)), before) == []


def test_what_is_paid_or_given_back_during_a_run_is_no_difference(cast: Cast, sim: Simulator) -> None:
    theirs = reconciliation.payments_since()
    topup = begin(cast.salon)
    theirs = reconciliation.payments_since()
    sim.pay(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    assert reconciliation.check(cast.salon.id, theirs) == []
    theirs = reconciliation.payments_since()
    sim.refund(topup.stripe_session_id or "", 1190)
    apply(cast.salon, topup)
    assert reconciliation.check(cast.salon.id, theirs) == []
    sim.refund(topup.stripe_session_id or "", 1190)
    assert len(reconciliation.check(cast.salon.id, theirs)) == 1


# ---- The command ------------------------------------------------------------------------------------------


def test_the_command_says_that_everything_adds_up(app: Flask, busy: Firm, sim: Simulator) -> None:
    result = app.test_cli_runner().invoke(args=["ledger", "verify", "--no-stripe"])
    assert (result.exit_code, result.output.strip()) == (0, "Everything adds up (without Stripe).")


def test_the_command_names_differences_and_fails(app: Flask, busy: Firm, sim: Simulator) -> None:
    change(busy, update(PrepaidBalance).values(current_balance=Decimal("1.00")))
    result = app.test_cli_runner().invoke(args=["ledger", "verify", "--company", "salon", "--no-stripe"])
    assert result.exit_code == 1
    assert "salon: balance" in result.output
    assert "current balance should be 48.71, but is 1.00" in result.output


def test_the_command_compares_with_stripe(app: Flask, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    result = app.test_cli_runner().invoke(args=["ledger", "verify"])
    assert result.exit_code == 1
    assert f"top-up {topup.id} should be completed" in result.output
    apply(cast.salon, topup)
    assert app.test_cli_runner().invoke(args=["ledger", "verify"]).exit_code == 0


def test_an_unknown_company_is_an_error(app: Flask, cast: Cast) -> None:
    assert app.test_cli_runner().invoke(args=["ledger", "verify", "--company", "nobody"]).exit_code == 1


def test_rate_set_closes_the_old_rate(app: Flask, cast: Cast) -> None:
    run = app.test_cli_runner().invoke
    begins = (utcnow() + timedelta(days=3)).date().isoformat()
    made = run(args=["rate", "set", "salon", "0,39", "--increment", "60", "--fee", "0.05", "--from", begins])
    assert (made.exit_code, begins in made.output) == (0, True), made.output
    assert run(args=["rate", "set", "salon", "0.40", "--from", begins]).exit_code == 1
    for wrong in ("abc", "-1", "0.12345"):
        assert run(args=["rate", "set", "--", "salon", wrong]).exit_code == 2
    assert run(args=["rate", "set", "nobody", "0.40"]).exit_code == 1
