"""The ledger against a model of it: whatever happens in whatever order, every figure is what plain sums make of it.

Both live through the same: calls, top-ups, refunds, disputes, credits, limits, the passing of time; and they are asked
after every single step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from portal.clients.stripe import CheckoutState, DisputeState, RefundState
from portal.db import db
from portal.domain import ledger, limits, topups, vat, verify
from portal.domain.topups import Facts
from portal.models import BalanceTopup, BillingRate, Call, CallCharge, Company, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.domain.ledger_model import (
    BERLIN,
    CENT,
    HOLD_LASTS,
    START,
    ZERO,
    Model,
    OneCall,
    OneTopup,
    Prices,
    Rules,
    round_half_up,
)
from tests.factories import within

NUMBER = "+493012345"
Steps = list[tuple[Any, ...]]  # a step's name, and what it takes


# ---- The portal -------------------------------------------------------------------------------------------------


class Portal:
    """The real thing, on the same clock as the model. Returns and keeps ids only."""

    def __init__(self, firm: Firm, model: Model) -> None:
        self.firm, self.model, self.numbers = firm, model, count(1)
        self.calls: list[int] = []
        self.topups: list[int] = []
        self.refunds: list[list[RefundState]] = []
        self.disputes: list[list[DisputeState]] = []
        self._set(BillingRate, rate_per_minute=model.prices.per_minute, increment_seconds=model.prices.step,
                  minimum_charge=model.prices.minimum, setup_fee=model.prices.fee)  # fmt: skip

    def _set(self, table: Any, **values: Any) -> None:
        within(self.firm, lambda: db.session.execute(update(table).values(**values)))

    def on_call(self, place: int, act: Callable[[Call], Any]) -> Any:
        return within(self.firm, lambda: act(db.session.get_one(Call, self.calls[place], populate_existing=True)))

    def start_call(self) -> None:
        now = self.model.now

        def work() -> int:
            number = f"model_{next(self.numbers)}"
            call = Call(company_id=self.firm.id, call_id=number, started_at=now, status="in_progress")
            db.session.add(call)
            db.session.flush()
            ledger.hold(call, now)
            return call.id

        self.calls.append(within(self.firm, work))

    def end_call(self, place: int, seconds: int) -> None:
        def work(call: Call) -> None:
            call.status, call.duration_seconds, call.ended_at = "completed", seconds, self.model.now
            ledger.charge(call, self.model.now)

        self.on_call(place, work)

    def sweep(self) -> None:
        with all_tenants("the test plays the worker"):
            overdue = ledger.overdue_holds(self.model.now)
        for _company_id, call_id in overdue:
            self.on_call(self.calls.index(call_id), lambda call: ledger.settle_overdue(call, self.model.now))

    def top_up(self, net: Decimal) -> None:
        split, number = vat.split(net, vat.TaxKind.STANDARD), next(self.numbers)

        def work() -> int:
            made = topups.start(split, f"model-{number}", self.firm.owner.id, "Katharina")
            made.stripe_session_id, made.stripe_customer_id = f"cs_model_{number}", "cus_model"
            return made.id

        self.topups.append(within(self.firm, work))
        self.refunds.append([])
        self.disputes.append([])
        self.hear(len(self.topups) - 1)

    def hear(self, place: int) -> None:
        """What Stripe says now of one top-up."""
        topup_id = self.topups[place]

        def work() -> None:
            row = db.session.get_one(BalanceTopup, topup_id)
            facts = Facts(paid(row, "salon"), self.model.now, tuple(self.refunds[place]), tuple(self.disputes[place]))
            topups.apply(topup_id, facts, self.model.now)

        within(self.firm, work)

    def figures(self) -> dict[str, Any]:
        with tenant_scope(self.firm.id):
            row = db.session.scalars(select(PrepaidBalance).execution_options(populate_existing=True)).one()
            asked = limits.may_connect(self.model.now)
            return {
                "current": row.current_balance,
                "reserved": row.reserved_balance,
                "available": row.available_balance,
                "topped up": row.total_topped_up,
                "spent": row.total_spent,
                "zero since": row.zero_balance_reached_at,
                "may connect": (asked.state, asked.action, asked.budget and asked.budget.period),
            }


def paid(row: BalanceTopup, tenant_id: str) -> CheckoutState:
    return CheckoutState(
        session_id=row.stripe_session_id or "", mode="payment", status="complete", payment_status="paid",
        amount_total=row.gross_amount, currency="eur", customer_id=row.stripe_customer_id, client_reference_id=None,
        metadata={"topup_id": str(row.id), "tenant_id": tenant_id}, url=None, created=START, expires_at=START,
        livemode=False, payment_intent_id=f"pi_model_{row.id}", payment_intent_status="succeeded",
    )  # fmt: skip


# ---- Steps: each does the same to both --------------------------------------------------------------------------


class World:
    def __init__(self, firm: Firm, prices: Prices) -> None:
        self.model = Model(prices)
        self.portal = Portal(firm, self.model)

    def call(self) -> None:
        held = min(self.model.prices.of(300), max(self.model.available, ZERO))
        self.model.calls.append(OneCall(held, self.model.now + HOLD_LASTS))
        self.portal.start_call()

    def end(self, pick: int, seconds: int) -> None:
        """An end that comes again says the same as before."""
        if not (calls := self.model.calls):
            return
        place = pick % len(calls)
        one = calls[place]
        if one.over:
            self.portal.on_call(place, lambda call: ledger.charge(call, self.model.now))
            return
        one.over, one.held = True, None
        if seconds:
            one.price, one.charged_at = self.model.prices.of(seconds), self.model.now
            self.model.move(-one.price)
        self.portal.end_call(place, seconds)

    def talk(self, seconds: int) -> None:
        """A call from its start to its end."""
        self.call()
        self.clock(timedelta(seconds=seconds))
        self.end(len(self.model.calls) - 1, seconds)

    def release(self, pick: int) -> None:
        if calls := self.model.calls:
            place = pick % len(calls)
            was_held, calls[place].held = calls[place].held is not None, None
            assert self.portal.on_call(place, lambda call: ledger.release(call, self.model.now)) is was_held

    def sweep(self) -> None:
        for one in self.model.calls:
            if one.held_until <= self.model.now:
                one.held = None
        self.portal.sweep()

    def topup(self, euros: Decimal) -> None:
        gross = euros + round_half_up(euros * Decimal("0.19"))
        self.model.topups.append(OneTopup(euros, gross))
        self.model.move(euros)
        self.portal.top_up(euros)

    def _part(self, pick: int, percent: int, *, of_all: bool = False) -> tuple[int, Decimal] | None:
        """One of the top-ups, and so many percent of what is left of it, or of all of it, gross."""
        if not self.model.topups:
            return None
        place = pick % len(self.model.topups)
        one = self.model.topups[place]
        part = round_half_up((one.gross if of_all else one.gross - one.gone) * percent / 100)
        return (place, part) if part > 0 else None

    def _take(self, place: int, gross: Decimal) -> None:
        one = self.model.topups[place]
        before = one.net_gone
        one.gone += gross
        self.model.move(before - one.net_gone)
        self.portal.hear(place)

    def refund(self, pick: int, percent: int) -> None:
        if found := self._part(pick, percent):
            place, gross = found
            number = f"re_model_{next(self.portal.numbers):06}"
            self.portal.refunds[place].append(
                RefundState(number, "succeeded", gross, "eur", None, None, None, None, {}, self.model.now)
            )
            self._take(place, gross)

    def refund_fails(self, pick: int) -> None:
        """The bank could not pay it out: the money is with us again."""
        refunds = self.portal.refunds
        if places := [place for place, known in enumerate(refunds) if known and not known[-1].came_to_nothing]:
            place = places[pick % len(places)]
            refunds[place][-1] = replace(refunds[place][-1], status="failed")
            self._take(place, -refunds[place][-1].amount)

    def dispute(self, pick: int, percent: int) -> None:
        """The bank does not ask what has been refunded; of one payment there is one dispute at a time."""
        found = self._part(pick, percent, of_all=True)
        if found and all(one.closed for one in self.portal.disputes[found[0]]):
            place, gross = found
            number = f"dp_model_{next(self.portal.numbers):06}"
            self.portal.disputes[place].append(
                DisputeState(number, "needs_response", gross, "eur", None, None, "", self.model.now, None, False)
            )
            self._take(place, gross)

    def close(self, pick: int, status: str) -> None:
        disputes = self.portal.disputes
        if places := [place for place, known in enumerate(disputes) if known and not known[-1].closed]:
            place = places[pick % len(places)]
            one = disputes[place][-1] = replace(disputes[place][-1], status=status)
            self._take(place, -one.amount if status == "won" else ZERO)

    def give_back(self, pick: int, percent: int) -> None:
        """A part of what is left of a call's price. More than that is refused."""
        charged = [place for place, one in enumerate(self.model.calls) if one.price]
        if not charged:
            return
        place = charged[pick % len(charged)]
        one = self.model.calls[place]
        assert one.price is not None
        amount = round_half_up(one.price * percent / 100)
        if self._refused(lambda: self._credit(place, amount)) is (ZERO < amount <= one.price - one.given_back):
            raise AssertionError(f"{amount} of {one.price - one.given_back} was judged wrongly")
        if ZERO < amount <= one.price - one.given_back:
            one.given_back += amount
            self.model.move(amount)

    def _credit(self, place: int, amount: Decimal) -> None:
        key = str(next(self.portal.numbers))

        def work(call: Call) -> None:
            charge = db.session.scalars(select(CallCharge.id).where(CallCharge.call_id == call.id)).one()
            ledger.credit_call(charge, amount, "Abgebrochen", key, self.model.now)

        self.portal.on_call(place, work)

    def adjust(self, euros: Decimal) -> None:
        """What is held, or not there, cannot be taken."""
        fine = bool(euros) and (euros > 0 or self.model.available + euros >= 0)
        key = str(next(self.portal.numbers))
        refused = self._refused(
            lambda: within(self.portal.firm, lambda: ledger.adjust(euros, "Kulanz", key, self.model.now))
        )
        assert refused is not fine
        if fine:
            self.model.move(euros)

    def drain(self, cents: int) -> None:
        """Take all that is available, a cent more, or a cent less."""
        self.adjust(-(self.model.available + cents * CENT))

    def _refused(self, act: Callable[[], Any]) -> bool:
        try:
            act()
        except ledger.DomainError:
            return True
        return False

    def rules(self, rules: Rules) -> None:
        self.model.rules = rules
        self.portal._set(
            PrepaidBalance,
            daily_spending_limit=rules.daily,
            monthly_spending_limit=rules.monthly,
            grace_amount=rules.grace,
        )
        with_id = update(Company).where(Company.id == self.portal.firm.id)
        values = {"exhausted_action": rules.action, "forward_to": rules.number}
        within(self.portal.firm, lambda: db.session.execute(with_id.values(**values)))

    def clock(self, by: timedelta) -> None:
        self.model.now += by

    def midnight(self) -> None:
        """The first moment of the next day in Berlin."""
        tomorrow = self.model.now.astimezone(BERLIN).date() + timedelta(days=1)
        self.model.now = datetime.combine(tomorrow, datetime.min.time(), BERLIN).astimezone(UTC)

    def again(self) -> None:
        """Everything that ever arrived arrives once more."""
        for place in range(len(self.model.topups)):
            self.portal.hear(place)
        for place, one in enumerate(self.model.calls):
            act = ledger.charge if one.over else ledger.hold
            self.portal.on_call(place, lambda call, act=act: act(call, self.model.now))  # type: ignore[misc]


# ---- What hypothesis draws --------------------------------------------------------------------------------------


def euros(lowest: int, highest: int) -> st.SearchStrategy[Decimal]:
    """From and to so many cents."""
    return st.integers(lowest, highest).map(lambda cents: Decimal(cents) / 100)


PICK, PERCENT = st.integers(0, 3), st.integers(1, 100)
PRICES = st.builds(
    Prices,
    st.sampled_from([Decimal("0.4200"), Decimal("0.0833"), Decimal("1.9999")]),
    st.sampled_from([1, 6, 60]),
    st.sampled_from([ZERO, Decimal("0.35")]),
    st.sampled_from([ZERO, Decimal("0.09")]),
)
ORDINARY = Prices(Decimal("0.4200"), 1, ZERO, ZERO)
LIMIT = st.none() | euros(1, 1500)
RULES = st.builds(
    Rules,
    LIMIT,
    LIMIT,
    euros(0, 500),
    st.sampled_from(["message", "forward", "grace"]),
    st.sampled_from([None, NUMBER]),
)
CLOCK = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=7), HOLD_LASTS, timedelta(hours=25), timedelta(days=5)]
)
# What happens often stands here more than once.
STEP = st.one_of(
    *[st.tuples(st.just("talk"), st.integers(0, 900))] * 3,
    st.tuples(st.just("call")),
    st.tuples(st.just("end"), PICK, st.integers(0, 900)),
    st.tuples(st.just("release"), PICK),
    st.tuples(st.just("topup"), euros(1000, 3000)),
    *[st.tuples(st.just("refund"), PICK, PERCENT)] * 2,
    *[st.tuples(st.just("dispute"), PICK, PERCENT | st.just(100))] * 2,
    *[st.tuples(st.just("close"), PICK, st.sampled_from(["won", "lost"]))] * 2,
    st.tuples(st.just("refund_fails"), PICK),
    st.tuples(st.just("give_back"), PICK, PERCENT),
    st.tuples(st.just("adjust"), euros(-2000, 500)),
    st.tuples(st.just("drain"), st.integers(-1, 1)),
    *[st.tuples(st.just("rules"), RULES)] * 2,
    st.tuples(st.just("clock"), CLOCK),
    st.tuples(st.sampled_from(["midnight", "sweep", "again"])),
)


# Rare in what is drawn, and each of them was, or could be, a mistake.
WON_OVER_ALL: Steps = [("refund", 0, 50), ("dispute", 0, 100), ("close", 0, "won"), ("again",)]
LOST_OVER_ALL: Steps = [("refund", 0, 50), ("dispute", 0, 100), ("refund_fails", 0), ("close", 0, "lost")]
GRACE_IS_NO_LIMIT: Steps = [("rules", Rules(daily=Decimal("1.00"), grace=Decimal(5), action="grace")), ("talk", 300)]
YESTERDAY_GIVEN_BACK: Steps = [
    ("rules", Rules(daily=Decimal("0.30"))),
    ("talk", 300),
    ("midnight",),
    ("talk", 60),
    ("give_back", 0, 100),
]


@settings(max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(prices=ORDINARY, steps=WON_OVER_ALL)
@example(prices=ORDINARY, steps=LOST_OVER_ALL)
@example(prices=ORDINARY, steps=GRACE_IS_NO_LIMIT)
@example(prices=ORDINARY, steps=YESTERDAY_GIVEN_BACK)
@given(prices=PRICES, steps=st.lists(STEP, min_size=12, max_size=28))
def test_after_every_step_the_figures_are_the_models(app: Flask, cast: Cast, prices: Prices, steps: Steps) -> None:
    connection: Any = db.engine
    assert isinstance(connection, Connection)
    everything = connection.begin_nested()  # one example must not see the one before
    try:
        world = World(cast.salon, prices)
        world.topup(Decimal("25.00"))
        for name, *values in steps:
            getattr(world, name)(*values)
            assert world.portal.figures() == world.model.figures(), name
        with tenant_scope(cast.salon.id):
            assert [str(one) for one in verify.company()] == []
    finally:
        db.session.remove()
        everything.rollback()
