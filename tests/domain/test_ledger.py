"""The ledger: holds, charges, credits, and what must never happen to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from portal.db import db, utcnow
from portal.domain import ledger, rates, verify
from portal.models import (
    AuditLog,
    BalanceReservation,
    BalanceTransaction,
    Call,
    CallCharge,
    OutboxJob,
    PrepaidBalance,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_call, make_topup, within

NOW = utcnow()


def give(firm: Firm, euros: str, key: str = "start") -> BalanceTransaction:
    return within(firm, lambda: ledger.adjust(Decimal(euros), "Startguthaben", key, utcnow()))


def balance_of(firm: Firm) -> PrepaidBalance:
    with tenant_scope(firm.id):
        return db.session.scalars(select(PrepaidBalance).execution_options(populate_existing=True)).one()


def rows_of(firm: Firm, model: Any) -> list[Any]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(model).order_by(model.id).execution_options(populate_existing=True)))


def with_call(firm: Firm, call: Call, act: Callable[..., Any]) -> Any:
    """Run a function of the ledger on a call as it is in the database."""
    return within(firm, lambda: act(db.session.get_one(Call, call.id, populate_existing=True), utcnow()))


def running_call(firm: Firm) -> Call:
    return make_call(firm, status="in_progress", ended_at=None, duration_seconds=None, started_at=utcnow())


def end(firm: Firm, call: Call, seconds: int) -> None:
    def work() -> None:
        row = db.session.get_one(Call, call.id)
        row.status, row.duration_seconds = "completed", seconds
        row.ended_at = row.started_at + timedelta(seconds=seconds)

    within(firm, work)


def is_right(firm: Firm) -> bool:
    with tenant_scope(firm.id):
        return verify.company() == []


# ---- Holds ------------------------------------------------------------------------------------------------


def test_a_running_call_holds_five_minutes_worth(cast: Cast) -> None:
    give(cast.salon, "100.00")
    held = with_call(cast.salon, running_call(cast.salon), ledger.hold)
    balance = balance_of(cast.salon)
    assert held.amount == Decimal("2.10")
    assert (balance.current_balance, balance.reserved_balance) == (Decimal("100.00"), Decimal("2.10"))
    assert balance.available_balance == Decimal("97.90")


def test_a_call_holds_what_is_available_if_that_is_less(cast: Cast) -> None:
    give(cast.salon, "2.60")
    first, second, third = (running_call(cast.salon) for _ in range(3))
    held = [with_call(cast.salon, call, ledger.hold).amount for call in (first, second, third)]
    assert held == [Decimal("2.10"), Decimal("0.50"), Decimal("0.00")]
    assert balance_of(cast.salon).available_balance == 0


def test_a_call_is_held_once(cast: Cast) -> None:
    give(cast.salon, "10.00")
    call = running_call(cast.salon)
    first = with_call(cast.salon, call, ledger.hold)
    second = with_call(cast.salon, call, ledger.hold)
    assert first.id == second.id
    assert balance_of(cast.salon).reserved_balance == Decimal("2.10")


def test_a_call_that_has_ended_holds_nothing(cast: Cast) -> None:
    give(cast.salon, "10.00")
    assert with_call(cast.salon, make_call(cast.salon), ledger.hold) is None
    assert rows_of(cast.salon, BalanceReservation) == []


def test_without_a_rate_nothing_is_held(cast: Cast) -> None:
    call = running_call(cast.salon)
    row = cast.salon.rate

    def before_any_rate() -> object:
        found = db.session.get_one(Call, call.id)
        found.started_at = row.valid_from - timedelta(days=1)
        return ledger.hold(found, utcnow())

    assert within(cast.salon, before_any_rate) is None


# ---- Charges ----------------------------------------------------------------------------------------------


def test_a_call_is_charged_by_the_second_and_its_hold_is_resolved(cast: Cast) -> None:
    give(cast.salon, "100.00")
    call = running_call(cast.salon)
    with_call(cast.salon, call, ledger.hold)
    end(cast.salon, call, 157)
    charged = with_call(cast.salon, call, ledger.charge)
    balance, (hold,) = balance_of(cast.salon), rows_of(cast.salon, BalanceReservation)
    assert charged.amount_charged == Decimal("1.10")
    assert (charged.billable_seconds, charged.rate_per_minute) == (157, Decimal("0.4200"))
    assert (balance.current_balance, balance.reserved_balance) == (Decimal("98.90"), Decimal("0.00"))
    assert (balance.total_spent, balance.last_charge_at) == (Decimal("1.10"), charged.charged_at)
    assert hold.status == "charged"
    assert hold.resolved_at is not None
    assert is_right(cast.salon)


def test_a_call_is_charged_once_however_often_its_end_arrives(cast: Cast) -> None:
    give(cast.salon, "100.00")
    call = make_call(cast.salon, duration_seconds=157)
    charges = [with_call(cast.salon, call, ledger.charge) for _ in range(3)]
    assert len({one.id for one in charges}) == 1
    assert balance_of(cast.salon).current_balance == Decimal("98.90")
    assert [row.reference for row in rows_of(cast.salon, BalanceTransaction)] == ["credit:start", f"charge:{call.id}"]


def test_a_start_that_arrives_after_the_end_holds_nothing(cast: Cast) -> None:
    give(cast.salon, "100.00")
    call = make_call(cast.salon, duration_seconds=60)
    with_call(cast.salon, call, ledger.charge)
    assert with_call(cast.salon, call, ledger.hold) is None
    assert balance_of(cast.salon).reserved_balance == 0


def test_a_call_of_no_seconds_costs_nothing_and_frees_its_hold(cast: Cast) -> None:
    give(cast.salon, "10.00")
    call = running_call(cast.salon)
    with_call(cast.salon, call, ledger.hold)
    end(cast.salon, call, 0)
    assert with_call(cast.salon, call, ledger.charge) is None
    (hold,) = rows_of(cast.salon, BalanceReservation)
    assert hold.status == "released"
    assert balance_of(cast.salon).available_balance == Decimal("10.00")
    assert rows_of(cast.salon, CallCharge) == []


def test_a_hold_is_released_once(cast: Cast) -> None:
    give(cast.salon, "10.00")
    call = running_call(cast.salon)
    with_call(cast.salon, call, ledger.hold)
    assert with_call(cast.salon, call, ledger.release) is True
    assert with_call(cast.salon, call, ledger.release) is False
    assert balance_of(cast.salon).reserved_balance == 0


def test_the_rate_of_the_calls_start_applies_and_stays_in_the_charge(cast: Cast) -> None:
    call = make_call(cast.salon, duration_seconds=60)
    now = utcnow()
    within(cast.salon, lambda: rates.set_rate(rates.NewRate(Decimal("9.99"), now), now))
    charged = with_call(cast.salon, call, ledger.charge)
    assert (charged.rate_per_minute, charged.amount_charged) == (Decimal("0.4200"), Decimal("0.42"))
    assert charged.billing_rate_id == cast.salon.rate.id


def test_without_a_rate_a_charge_says_so_and_changes_nothing(cast: Cast) -> None:
    started = cast.salon.rate.valid_from - timedelta(days=1)
    call = make_call(cast.salon, started_at=started)
    with pytest.raises(ledger.NoRateError):
        with_call(cast.salon, call, ledger.charge)
    assert rows_of(cast.salon, CallCharge) == []
    within(cast.salon, lambda: rates.set_rate(rates.NewRate(Decimal("0.30"), started - timedelta(days=1)), utcnow()))
    assert with_call(cast.salon, call, ledger.charge).amount_charged == Decimal("0.30")


def test_a_running_call_may_take_the_balance_below_zero_and_that_is_marked(cast: Cast) -> None:
    give(cast.salon, "0.50")
    call = make_call(cast.salon, duration_seconds=120)
    with_call(cast.salon, call, ledger.charge)
    balance = balance_of(cast.salon)
    assert balance.current_balance == Decimal("-0.34")
    assert balance.zero_balance_reached_at is not None
    give(cast.salon, "5.00", "again")
    assert balance_of(cast.salon).zero_balance_reached_at is None


def test_a_charge_marks_its_day_for_the_daily_figures(cast: Cast) -> None:
    call = make_call(cast.salon, duration_seconds=60)
    with_call(cast.salon, call, ledger.charge)
    with all_tenants("the test looks at the outbox"):
        kinds = set(db.session.scalars(select(OutboxJob.kind).where(OutboxJob.company_id == cast.salon.id)))
    assert "stats.rebuild" in kinds


def test_charges_of_one_company_leave_the_other_alone(cast: Cast) -> None:
    give(cast.praxis, "7.00")
    with_call(cast.salon, make_call(cast.salon, duration_seconds=600), ledger.charge)
    assert balance_of(cast.praxis).current_balance == Decimal("7.00")
    assert len(rows_of(cast.praxis, BalanceTransaction)) == 1


# ---- Credits and debits -----------------------------------------------------------------------------------


def test_a_topup_is_credited_net_and_once(cast: Cast) -> None:
    topup = make_topup(cast.salon, "100.00")
    for _ in range(2):
        within(cast.salon, lambda: ledger.credit(db.session.merge(topup, load=True), utcnow()))
    balance = balance_of(cast.salon)
    assert (balance.current_balance, balance.total_topped_up) == (Decimal("100.00"), Decimal("100.00"))
    (row,) = rows_of(cast.salon, BalanceTransaction)
    assert (row.reference, row.kind, row.created_by) == (f"topup:{topup.id}", "topup", cast.salon.owner.id)


def test_the_operator_gives_with_a_reason_once_a_key(cast: Cast) -> None:
    first, second = give(cast.salon, "12.34"), give(cast.salon, "12.34")
    assert first.id == second.id
    assert (first.kind, first.description) == ("credit", "Startguthaben")
    with all_tenants("the test reads the audit log"):
        deeds = list(db.session.scalars(select(AuditLog.action).where(AuditLog.company_id == cast.salon.id)))
    assert deeds.count("balance.adjusted") == 1


@pytest.mark.parametrize(("euros", "reason"), [("-10.01", "zu viel"), ("0.00", "nichts"), ("5.00", "  ")])
def test_what_makes_no_sense_is_refused(cast: Cast, euros: str, reason: str) -> None:
    give(cast.salon, "10.00")
    with pytest.raises(ledger.DomainError):
        within(cast.salon, lambda: ledger.adjust(Decimal(euros), reason, "other", utcnow()))
    assert balance_of(cast.salon).current_balance == Decimal("10.00")


def test_what_is_held_cannot_be_taken(cast: Cast) -> None:
    give(cast.salon, "10.00")
    with_call(cast.salon, running_call(cast.salon), ledger.hold)
    with pytest.raises(ledger.NotEnoughError):
        within(cast.salon, lambda: ledger.adjust(Decimal("-8.00"), "Korrektur", "debit", utcnow()))
    taken = within(cast.salon, lambda: ledger.adjust(Decimal("-7.90"), "Korrektur", "debit", utcnow()))
    assert (taken.kind, taken.balance_after) == ("adjustment", Decimal("2.10"))


def test_a_calls_price_can_be_given_back_in_parts_but_not_more_than_once(cast: Cast) -> None:
    give(cast.salon, "10.00")
    charged = with_call(cast.salon, make_call(cast.salon, duration_seconds=157), ledger.charge)

    def back(euros: str, key: str) -> BalanceTransaction:
        return within(cast.salon, lambda: ledger.credit_call(charged.id, Decimal(euros), "Abgebrochen", key, utcnow()))

    back("0.60", "a")
    back("0.60", "a")
    with pytest.raises(ledger.DomainError):
        back("0.51", "b")
    back("0.50", "b")
    balance = balance_of(cast.salon)
    assert (balance.current_balance, balance.total_spent) == (Decimal("10.00"), Decimal("0.00"))
    assert is_right(cast.salon)


def test_a_company_without_a_balance_gets_one(cast: Cast) -> None:
    def without() -> None:
        db.session.execute(delete(PrepaidBalance))

    within(cast.salon, without)
    give(cast.salon, "3.00")
    assert balance_of(cast.salon).current_balance == Decimal("3.00")


# ---- The ledger itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [update(BalanceTransaction).values(amount=Decimal(1)), delete(BalanceTransaction)])
def test_movements_can_be_neither_changed_nor_deleted(cast: Cast, change: Any) -> None:
    give(cast.salon, "10.00")
    with pytest.raises(DBAPIError, match="append-only"):
        within(cast.salon, lambda: db.session.execute(change))


def test_movements_of_the_same_moment_keep_their_order(cast: Cast) -> None:
    for number in range(5):
        within(cast.salon, lambda n=number: ledger.adjust(Decimal("1.00"), "x", f"k{n}", NOW))
    rows = rows_of(cast.salon, BalanceTransaction)
    times = [row.created_at for row in rows]
    assert times == sorted(set(times))
    assert [row.balance_after for row in sorted(rows, key=lambda row: row.created_at)] == [1, 2, 3, 4, 5]


def test_a_balance_read_before_the_lock_is_read_again(cast: Cast) -> None:
    """What made a product show 100 where 99 was the truth: an object that kept its value from before the lock."""
    give(cast.salon, "10.00")

    def stale() -> Decimal:
        old = db.session.scalars(select(PrepaidBalance)).one()
        table = PrepaidBalance.__table__
        db.session.connection().execute(
            table.update().where(table.c.company_id == cast.salon.id).values(current_balance=Decimal("4.00"))
        )
        assert old.current_balance == Decimal("10.00")
        return ledger.lock().current_balance

    assert within(cast.salon, stale) == Decimal("4.00")


def test_overdue_holds_are_found_and_given_back(cast: Cast) -> None:
    give(cast.salon, "10.00")
    lost, ended = running_call(cast.salon), running_call(cast.salon)
    for call in (lost, ended):
        with_call(cast.salon, call, ledger.hold)
    end(cast.salon, ended, 60)
    late = utcnow() + ledger.HOLD_LASTS + timedelta(minutes=1)
    with all_tenants("the test plays the worker"):
        assert ledger.overdue_holds(utcnow()) == []
        overdue = ledger.overdue_holds(late)
    assert {call_id for _, call_id in overdue} == {lost.id, ended.id}
    for call in (lost, ended):
        with_call(cast.salon, call, ledger.settle_overdue)
    assert [row.status for row in rows_of(cast.salon, BalanceReservation)] == ["released", "charged"]
    assert balance_of(cast.salon).available_balance == Decimal("9.58")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["hold", "charge", "release"]), st.integers(0, 3), st.integers(0, 400)), max_size=12
    )
)
def test_whatever_arrives_in_whatever_order_the_sums_are_right(cast: Cast, steps: list[tuple[str, int, int]]) -> None:
    before = len(rows_of(cast.salon, BalanceTransaction))
    give(cast.salon, "1.00", f"start-{before}")
    calls = [running_call(cast.salon) for _ in range(4)]
    ended: set[int] = set()
    for name, place, seconds in steps:
        if name == "charge" and place not in ended:
            end(cast.salon, calls[place], seconds)
            ended.add(place)
        with_call(cast.salon, calls[place], getattr(ledger, name))
    assert is_right(cast.salon)
