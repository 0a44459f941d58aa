"""When the balance tops itself up: the decision, what may be set, and what it would have done in the past."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.amounts import HIGHEST_TOPUP, LOWEST_TOPUP
from portal.domain.auto_topup_rules import (
    FILL_UP,
    FIXED,
    Decision,
    Movement,
    Settings,
    Situation,
    Verdict,
    check,
    covers,
    decide,
    simulate,
)
from portal.domain.errors import DomainError

BERLIN = "Europe/Berlin"
FIFTY = Settings(FIXED, Decimal(20), Decimal(50), Decimal(100), Decimal(300))
UP_TO_80 = Settings(FILL_UP, Decimal(20), Decimal(80), Decimal(100), Decimal(300))
LOW = Situation(Decimal("19.99"), Decimal(0), Decimal(0), Decimal(0), in_flight=False)


def at(*, in_flight: bool = False, paused: bool = False, **euros: str | int) -> Situation:
    amounts = {name: Decimal(value) for name, value in euros.items()}
    return replace(LOW, in_flight=in_flight, paused=paused, **amounts)


# ---- The decision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "situation", "expected"),
    [
        (FIFTY, at(), Decision(Verdict.TOP_UP, Decimal(50))),
        (FIFTY, at(available=20), Decision(Verdict.ENOUGH)),
        (FIFTY, at(available=-500), Decision(Verdict.TOP_UP, Decimal(50))),
        (FIFTY, at(in_flight=True, pending=50), Decision(Verdict.IN_FLIGHT)),
        (FIFTY, at(available=25, in_flight=True), Decision(Verdict.ENOUGH)),
        (FIFTY, at(pending=1), Decision(Verdict.ENOUGH)),
        (FIFTY, at(available=0, pending=10), Decision(Verdict.TOP_UP, Decimal(50))),
        (FIFTY, at(paused=True), Decision(Verdict.PAUSED)),
        (FIFTY, at(available=20, paused=True), Decision(Verdict.ENOUGH)),
        (FIFTY, at(spent_today=100, spent_month=100), Decision(Verdict.DAILY_CAP)),
        (FIFTY, at(spent_today=91, spent_month=91), Decision(Verdict.DAILY_CAP)),
        (FIFTY, at(spent_today=90, spent_month=90), Decision(Verdict.TOP_UP, Decimal(10))),
        (FIFTY, at(spent_today=70, spent_month=70), Decision(Verdict.TOP_UP, Decimal(30))),
        (FIFTY, at(spent_month=300), Decision(Verdict.MONTHLY_CAP)),
        (FIFTY, at(spent_today=100, spent_month=295), Decision(Verdict.MONTHLY_CAP)),
        (FIFTY, at(spent_month=270), Decision(Verdict.TOP_UP, Decimal(30))),
        (UP_TO_80, at(available=15), Decision(Verdict.TOP_UP, Decimal(65))),
        (UP_TO_80, at(available=5, pending=10), Decision(Verdict.TOP_UP, Decimal(65))),
        (UP_TO_80, at(available=-40), Decision(Verdict.TOP_UP, Decimal(100))),
        (replace(UP_TO_80, amount=Decimal(21)), at(available=19), Decision(Verdict.TOP_UP, Decimal(10))),
    ],
)
def test_it_decides(settings: Settings, situation: Situation, expected: Decision) -> None:
    assert decide(settings, situation) == expected


cents = st.integers(0, 60_000).map(lambda value: Decimal(value) / 100)


@st.composite
def valid_settings(draw: st.DrawFn) -> Settings:
    mode = draw(st.sampled_from([FIXED, FILL_UP]))
    amount = draw(st.integers(1000, 60_000).map(lambda value: Decimal(value) / 100))
    daily = (amount if mode == FIXED else LOWEST_TOPUP) + draw(cents)
    monthly = daily + draw(cents)
    highest = min(monthly, amount - Decimal("0.01")) if mode == FILL_UP else amount
    threshold = min(draw(cents), highest)
    return Settings(mode, threshold, amount, daily, monthly)


@given(valid_settings(), st.decimals(-500, 500, places=2), cents, st.booleans(), st.booleans())
def test_what_is_charged_is_a_topup_that_is_allowed(
    settings: Settings, available: Decimal, pending: Decimal, in_flight: bool, paused: bool
) -> None:
    check(settings)
    decision = decide(settings, Situation(available, pending, Decimal(0), Decimal(0), in_flight, paused))
    if decision.verdict is Verdict.TOP_UP:
        assert not in_flight
        assert not paused
        assert available + pending < settings.threshold
        assert LOWEST_TOPUP <= decision.amount <= min(HIGHEST_TOPUP, settings.daily_cap)
        assert decision.amount == decision.amount.quantize(Decimal("0.01"))
    else:
        assert decision.amount == 0


@given(
    valid_settings(), st.lists(st.tuples(st.integers(0, 60 * 24 * 70), st.decimals(-400, 100, places=2)), max_size=60)
)
def test_no_caps_are_ever_exceeded_whatever_happens(settings: Settings, events: list[tuple[int, Decimal]]) -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    movements = [Movement(start + timedelta(minutes=minute), amount) for minute, amount in events]
    found = simulate(settings, Decimal(0), movements, BERLIN, date(2026, 3, 1), date(2026, 5, 10))
    days: dict[Any, Decimal] = defaultdict(Decimal)
    months: dict[Any, Decimal] = defaultdict(Decimal)
    for one in found.topups:
        local = one.at.astimezone(ZoneInfo(BERLIN))
        days[local.date()] += one.amount
        months[local.year, local.month] += one.amount
        assert one.before < settings.threshold
    assert all(spent <= settings.daily_cap for spent in days.values())
    assert all(spent <= settings.monthly_cap for spent in months.values())
    assert found.most_in_a_month == max(months.values(), default=0)
    assert found.curve[-1][1] == sum((one.amount for one in movements), Decimal(0)) + found.total


# ---- What may be set --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (replace(FIFTY, mode="sometimes"), "mode"),
        (replace(FIFTY, amount=Decimal("9.99")), "amount"),
        (replace(FIFTY, amount=Decimal("5000.01"), daily_cap=Decimal(6000), monthly_cap=Decimal(6000)), "amount"),
        (replace(FIFTY, amount=Decimal("50.001")), "amount"),
        (replace(FIFTY, threshold=Decimal("NaN")), "threshold"),
        (replace(FIFTY, threshold=Decimal("-0.01")), "threshold"),
        (replace(FIFTY, threshold=Decimal("50.01")), "threshold"),
        (replace(FIFTY, threshold=Decimal("300.01")), "threshold"),
        (replace(FIFTY, daily_cap=Decimal("49.99")), "daily_cap"),
        (replace(FIFTY, monthly_cap=Decimal("99.99")), "monthly_cap"),
        (replace(FIFTY, monthly_cap=Decimal(1_000_000)), "monthly_cap"),
        (replace(UP_TO_80, amount=Decimal(20)), "amount"),
        (replace(UP_TO_80, daily_cap=Decimal("9.99")), "daily_cap"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(app: Flask, settings: Settings, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        check(settings)
    assert refused.value.field == field
    assert refused.value.message


@pytest.mark.parametrize("settings", [FIFTY, UP_TO_80, replace(FIFTY, threshold=Decimal(0)),
                                      replace(UP_TO_80, daily_cap=Decimal(10))])  # fmt: skip
def test_what_makes_sense_passes(settings: Settings) -> None:
    check(settings)


@pytest.mark.parametrize("more", [{"mode": FILL_UP}, {"amount": Decimal(51)}, {"daily_cap": Decimal(101)},
                                  {"monthly_cap": Decimal(301)}])  # fmt: skip
def test_more_than_was_agreed_to_is_not_covered(more: dict[str, Any]) -> None:
    assert covers(FIFTY, replace(FIFTY, threshold=Decimal(30), amount=Decimal(40)))
    assert not covers(FIFTY, replace(FIFTY, **more))
    assert not covers(None, FIFTY)


# ---- What it would have done ------------------------------------------------------------------------------


def berlin(day: int, hour: int = 12, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZoneInfo(BERLIN))


def run(settings: Settings, opening: str, *movements: Movement, last: date = date(2026, 10, 3)) -> Any:
    return simulate(settings, Decimal(opening), movements, BERLIN, date(2026, 10, 1), last)


def test_the_past_is_played_again_with_the_same_decision() -> None:
    found = run(FIFTY, "30.00", Movement(berlin(1), Decimal("-15.00")), Movement(berlin(3), Decimal("-60.00")))
    assert [(one.at, one.before, one.amount) for one in found.topups] == [
        (berlin(1), Decimal("15.00"), Decimal(50)),
        (berlin(3), Decimal("5.00"), Decimal(50)),
    ]
    assert [level for _day, level in found.curve] == [Decimal("65.00"), Decimal("65.00"), Decimal("55.00")]
    assert (found.lowest, found.lowest_at) == (Decimal("5.00"), berlin(3))
    assert (found.total, found.most_in_a_month, found.capped) == (Decimal(100), Decimal(100), 0)


def test_real_automatic_topups_are_left_out_and_those_by_hand_stay() -> None:
    by_hand = Movement(berlin(1, 9), Decimal(100))
    automatic = Movement(berlin(2, 9), Decimal(500), is_topup_auto=True)
    found = run(FIFTY, "30.00", by_hand, automatic, Movement(berlin(3), Decimal("-70.00")))
    assert found.topups == ()
    assert found.curve[-1][1] == Decimal("60.00")


def test_a_fixed_amount_is_charged_until_it_is_enough_and_no_further_than_the_cap() -> None:
    found = run(FIFTY, "30.00", Movement(berlin(1), Decimal("-200.00")), last=date(2026, 10, 1))
    assert [one.amount for one in found.topups] == [Decimal(50), Decimal(50)]
    assert (found.curve[-1][1], found.capped) == (Decimal("-70.00"), 1)


def test_a_new_day_opens_the_daily_cap_at_local_midnight() -> None:
    found = run(FIFTY, "30.00", Movement(berlin(1), Decimal("-200.00")), last=date(2026, 10, 2))
    assert [(one.at, one.amount) for one in found.topups[2:]] == [
        (berlin(2, 0), Decimal(50)),
        (berlin(2, 0), Decimal(50)),
    ]
    assert (found.curve[-1][1], found.capped) == (Decimal("30.00"), 1)


def test_a_month_is_a_local_month_and_a_clock_change_is_a_day_of_25_hours() -> None:
    last_minute = datetime(2026, 10, 31, 22, 59, tzinfo=UTC)  # 23:59 in Berlin
    moves = [Movement(last_minute, Decimal(-100)), Movement(last_minute + timedelta(minutes=2), Decimal(-100))]
    found = simulate(
        replace(FIFTY, daily_cap=Decimal(300)), Decimal(30), moves, BERLIN, date(2026, 10, 24), date(2026, 11, 1)
    )
    assert (found.total, found.most_in_a_month) == (Decimal(200), Decimal(100))
    assert len(found.curve) == 9


def test_a_month_of_a_thousand_movements_is_quick_and_ends_with_every_day() -> None:
    moves = [Movement(berlin(1, 0) + timedelta(minutes=40 * n), Decimal("-1.10")) for n in range(1000)]
    found = run(UP_TO_80, "0.00", *moves, last=date(2026, 10, 31))
    assert len(found.curve) == 31
    assert found.capped > 0
    assert found.most_in_a_month == Decimal(300)
