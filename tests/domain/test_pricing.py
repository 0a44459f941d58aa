"""What a call costs."""

from dataclasses import FrozenInstanceError
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.pricing import Price, Tariff, billable, hold_amount, price, seconds_from_ms

BY_THE_SECOND = Tariff(Decimal("0.4200"))

calls = st.integers(0, 4 * 3600)
tariffs = st.builds(
    Tariff,
    rate_per_minute=st.decimals("0", "9.9999", places=4),
    increment_seconds=st.sampled_from([1, 6, 10, 30, 60]),
    minimum_charge=st.decimals("0", "2.00", places=2),
    setup_fee=st.decimals("0", "1.00", places=2),
)


def test_157_seconds_at_42_cents_cost_1_10():
    assert price(157, BY_THE_SECOND).amount == Decimal("1.10")


def test_a_price_explains_itself_line_by_line():
    assert price(157, BY_THE_SECOND) == Price(
        seconds=157,
        increment_seconds=1,
        billable_seconds=157,
        rate_per_minute=Decimal("0.4200"),
        usage=Decimal("1.099"),
        setup_fee=Decimal("0.00"),
        minimum_charge=Decimal("0.00"),
        minimum_applied=False,
        unrounded=Decimal("1.099"),
        rounding=Decimal("0.001"),
        amount=Decimal("1.10"),
    )


@pytest.mark.parametrize(
    ("seconds", "increment", "expected"),
    [(0, 60, 0), (1, 1, 1), (1, 6, 6), (6, 6, 6), (7, 6, 12), (60, 60, 60), (61, 60, 120), (157, 6, 162)],
)
def test_seconds_are_billed_in_whole_increments(seconds, increment, expected):
    assert billable(seconds, increment) == expected


@pytest.mark.parametrize(("ms", "expected"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (156_200, 157)])
def test_milliseconds_are_rounded_up_to_seconds(ms, expected):
    assert seconds_from_ms(ms) == expected


def test_a_call_of_no_seconds_costs_nothing_whatever_the_tariff():
    tariff = Tariff(Decimal("0.42"), 60, minimum_charge=Decimal("0.50"), setup_fee=Decimal("0.10"))
    nothing = price(0, tariff)
    assert nothing.amount == nothing.unrounded == nothing.rounding == 0
    assert not nothing.minimum_applied


def test_half_a_cent_is_rounded_up():
    assert price(30, Tariff(Decimal("0.01"))).amount == Decimal("0.01")
    assert price(90, Tariff(Decimal("0.03"))).amount == Decimal("0.05")


def test_the_minimum_applies_only_below_itself():
    tariff = Tariff(Decimal("0.42"), minimum_charge=Decimal("0.42"))
    assert (price(5, tariff).amount, price(5, tariff).minimum_applied) == (Decimal("0.42"), True)
    assert (price(60, tariff).amount, price(60, tariff).minimum_applied) == (Decimal("0.42"), False)


def test_the_setup_fee_is_added_before_the_one_rounding():
    assert price(1, Tariff(Decimal("0.2400"), setup_fee=Decimal("0.10"))).unrounded == Decimal("0.104")
    assert price(1, Tariff(Decimal("0.2400"), setup_fee=Decimal("0.10"))).amount == Decimal("0.10")


def test_a_running_call_holds_five_minutes():
    assert hold_amount(BY_THE_SECOND) == Decimal("2.10")
    assert hold_amount(BY_THE_SECOND, minutes=1) == Decimal("0.42")


@pytest.mark.parametrize("nonsense", [-1, -1000])
def test_negative_durations_are_refused(nonsense):
    with pytest.raises(ValueError, match="cannot last"):
        price(nonsense, BY_THE_SECOND)
    with pytest.raises(ValueError, match="cannot last"):
        seconds_from_ms(nonsense)


def test_floats_negative_prices_and_empty_increments_are_no_tariff():
    with pytest.raises(TypeError):
        Tariff(0.42)
    with pytest.raises(ValueError, match="rate_per_minute"):
        Tariff(Decimal("-0.42"))
    with pytest.raises(ValueError, match="setup_fee"):
        Tariff(Decimal("0.42"), setup_fee=Decimal("NaN"))
    with pytest.raises(ValueError, match="increment"):
        Tariff(Decimal("0.42"), 0)
    with pytest.raises(ValueError, match="increment"):
        billable(5, 0)


def test_a_tariff_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        BY_THE_SECOND.rate_per_minute = Decimal(1)


@given(calls, tariffs)
def test_the_amount_is_the_exact_fraction_rounded_once(seconds, tariff):
    counted = -(-seconds // tariff.increment_seconds) * tariff.increment_seconds
    exact = Fraction(tariff.rate_per_minute) * counted / 60 + Fraction(tariff.setup_fee)
    exact = max(exact, Fraction(tariff.minimum_charge)) if seconds else Fraction(0)
    cents = int(exact * 100 + Fraction(1, 2))
    assert price(seconds, tariff).amount == Decimal(cents) / 100


@given(calls, tariffs)
def test_the_lines_of_the_explanation_add_up(seconds, tariff):
    shown = price(seconds, tariff)
    assert shown.unrounded + shown.rounding == shown.amount
    assert abs(shown.rounding) <= Decimal("0.005")
    assert shown.unrounded == max(shown.usage + shown.setup_fee, shown.minimum_charge)
    assert shown.amount == shown.amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


@given(calls, calls, tariffs)
def test_a_longer_call_never_costs_less(one, other, tariff):
    shorter, longer = sorted((one, other))
    assert price(shorter, tariff).amount <= price(longer, tariff).amount
