"""What a call costs, from values alone. Money is Decimal euros, time is whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
HOLD_MINUTES = 5


@dataclass(frozen=True)
class Tariff:
    """Prices in force from ``valid_from`` on: euros a minute, seconds of one billing step, euros a call."""

    rate_per_minute: Decimal
    increment_seconds: int = 1
    minimum_charge: Decimal = Decimal("0.00")
    setup_fee: Decimal = Decimal("0.00")
    valid_from: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("rate_per_minute", "minimum_charge", "setup_fee"):
            value = getattr(self, name)
            if not isinstance(value, Decimal):
                raise TypeError(f"{name} must be a Decimal, not {type(value).__name__}")
            if not value.is_finite() or value < 0:
                raise ValueError(f"{name} must not be negative: {value}")
        if self.increment_seconds < 1:
            raise ValueError(f"increment_seconds must be at least 1: {self.increment_seconds}")


@dataclass(frozen=True)
class Price:
    """A price with every number on the way to it.

    ``usage`` = billable_seconds ÷ 60 × rate_per_minute; ``unrounded`` = usage + setup_fee, or the minimum charge
    where that is more; ``amount`` = unrounded + rounding, in whole cents.
    """

    seconds: int
    increment_seconds: int
    billable_seconds: int
    rate_per_minute: Decimal
    usage: Decimal
    setup_fee: Decimal
    minimum_charge: Decimal
    minimum_applied: bool
    unrounded: Decimal
    rounding: Decimal
    amount: Decimal


def cents(value: Decimal) -> Decimal:
    """Euros rounded to whole cents, half up (away from zero)."""
    return value.quantize(CENT, ROUND_HALF_UP)


def seconds_from_ms(ms: int) -> int:
    """Whole seconds of a duration in milliseconds, rounded up."""
    if ms < 0:
        raise ValueError(f"a call cannot last {ms} ms")
    return -(-ms // 1000)


def billable(seconds: int, increment: int) -> int:
    """Seconds rounded up to whole increments."""
    if seconds < 0:
        raise ValueError(f"a call cannot last {seconds} s")
    if increment < 1:
        raise ValueError(f"an increment cannot be {increment} s")
    return -(-seconds // increment) * increment


def price(seconds: int, tariff: Tariff) -> Price:
    """The price of a call of ``seconds``. A call of 0 s costs nothing, without set-up fee and minimum."""
    counted = billable(seconds, tariff.increment_seconds)
    usage = tariff.rate_per_minute * counted / 60
    setup_fee = tariff.setup_fee if seconds else Decimal("0.00")
    minimum = tariff.minimum_charge if seconds else Decimal("0.00")
    unrounded = max(usage + setup_fee, minimum)
    amount = cents(unrounded)
    return Price(
        seconds=seconds,
        increment_seconds=tariff.increment_seconds,
        billable_seconds=counted,
        rate_per_minute=tariff.rate_per_minute,
        usage=usage,
        setup_fee=setup_fee,
        minimum_charge=minimum,
        minimum_applied=minimum > usage + setup_fee,
        unrounded=unrounded,
        rounding=amount - unrounded,
        amount=amount,
    )


def hold_amount(tariff: Tariff, minutes: int = HOLD_MINUTES) -> Decimal:
    """Euros to reserve while a call runs: what ``minutes`` of it would cost."""
    return price(minutes * 60, tariff).amount
