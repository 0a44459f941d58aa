"""What a call costs."""

from dataclasses import FrozenInstanceError
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random

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


# rate a minute, step, least, fee a call, seconds → seconds charged, euros
TABLE = [
    ("0.4200", 1, "0", "0", 0, 0, "0.00"),
    ("0.4200", 1, "0", "0", 1, 1, "0.01"),  # 0.007
    ("0.4200", 1, "0", "0", 60, 60, "0.42"),
    ("0.4200", 1, "0", "0", 157, 157, "1.10"),  # 1.099
    ("0.4200", 6, "0", "0", 157, 162, "1.13"),  # 1.134
    ("0.4200", 60, "0", "0", 157, 180, "1.26"),
    ("0.4200", 60, "0", "0", 60, 60, "0.42"),
    ("0.4200", 60, "0", "0", 61, 120, "0.84"),
    ("0.4200", 1, "0.50", "0", 7, 7, "0.50"),
    ("0.4200", 1, "0.50", "0", 71, 71, "0.50"),  # 0.497 is still less
    ("0.4200", 1, "0.50", "0", 72, 72, "0.50"),  # 0.504
    ("0.4200", 1, "0.50", "0", 73, 73, "0.51"),
    ("0.4200", 1, "0", "0.15", 157, 157, "1.25"),
    ("0.4200", 1, "0.50", "0.15", 5, 5, "0.50"),  # the fee counts towards the least
    ("0.4200", 60, "1.00", "0.15", 61, 120, "1.00"),
    ("0.4200", 60, "0.90", "0.15", 61, 120, "0.99"),
    ("0.4200", 60, "1.00", "0.15", 0, 0, "0.00"),  # nothing was said: neither fee nor least
    ("0.0999", 1, "0", "0", 60, 60, "0.10"),
    ("0.0100", 1, "0", "0", 30, 30, "0.01"),  # half a cent goes up
    ("0.0100", 1, "0", "0", 29, 29, "0.00"),
    ("0.0000", 1, "0", "0.05", 600, 600, "0.05"),
    ("9.9999", 60, "0", "0", 14_400, 14_400, "2399.98"),  # 2399.976
]


@pytest.mark.parametrize(("rate", "step", "least", "fee", "seconds", "counted", "amount"), TABLE)
def test_rates_steps_leasts_and_fees_as_a_table(rate, step, least, fee, seconds, counted, amount):
    shown = price(seconds, Tariff(Decimal(rate), step, Decimal(least), Decimal(fee)))
    assert (shown.billable_seconds, str(shown.amount)) == (counted, amount)


def test_a_hundred_thousand_calls_follow_from_their_lines():
    """Seconds in whole steps, usage and fee or the least, one rounding; and never a fraction of a cent."""
    dice = Random(20261123)
    total = Decimal(0)
    for _round in range(100_000):
        seconds, step = dice.randint(0, 7200), dice.choice((1, 6, 10, 30, 60))
        fee, least = (Decimal(dice.choice((0, 0, 5, 10))) / 100 for _ in range(2))
        shown = price(seconds, Tariff(Decimal(dice.randint(0, 20_000)) / 10_000, step, least, fee))
        assert shown.billable_seconds % step == 0 <= shown.billable_seconds - seconds < step
        assert shown.unrounded == max(shown.usage + shown.setup_fee, shown.minimum_charge)
        assert shown.unrounded + shown.rounding == shown.amount
        assert -Decimal("0.005") < shown.rounding <= Decimal("0.005")
        total += shown.amount
    assert total == total.quantize(Decimal("0.01"))


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
