"""A balance as people understand it: what happened is added up, in one thread, from the rules of the prices page.

It knows nothing of rows, locks and references, and imports nothing of the portal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

ZERO, CENT, BERLIN = Decimal("0.00"), Decimal("0.01"), ZoneInfo("Europe/Berlin")
# An evening before the clocks go back, six days before a month ends.
START = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
HOLD_LASTS = timedelta(hours=3)
ALERT_BELOW = Decimal("10.00")  # what a new balance has


def round_half_up(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Prices:
    per_minute: Decimal
    step: int
    minimum: Decimal
    fee: Decimal

    def of(self, seconds: int) -> Decimal:
        if not seconds:
            return ZERO
        counted = (seconds + self.step - 1) // self.step * self.step
        return round_half_up(max(counted * self.per_minute / 60 + self.fee, self.minimum))


@dataclass
class OneCall:
    """``held``: euros, None once resolved; ``price``: None until charged."""

    held: Decimal | None
    held_until: datetime
    over: bool = False
    price: Decimal | None = None
    charged_at: datetime = START
    given_back: Decimal = ZERO


@dataclass
class OneTopup:
    """``gone``: gross euros that are not with us any more; a dispute on top of a refund can be more than was paid."""

    net: Decimal
    gross: Decimal
    gone: Decimal = ZERO

    @property
    def net_gone(self) -> Decimal:
        return round_half_up(self.net * min(self.gone, self.gross) / self.gross)


@dataclass
class Rules:
    """None: no limit."""

    daily: Decimal | None = None
    monthly: Decimal | None = None
    grace: Decimal = ZERO
    action: str = "message"
    number: str | None = None


@dataclass
class Model:
    prices: Prices
    now: datetime = START
    current: Decimal = ZERO
    zero_since: datetime | None = None
    given: Decimal = ZERO
    calls: list[OneCall] = field(default_factory=list)
    topups: list[OneTopup] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)

    def move(self, amount: Decimal) -> None:
        before, self.current = self.current, self.current + amount
        if self.current > 0:
            self.zero_since = None
        elif before > 0:
            self.zero_since = self.now

    @property
    def reserved(self) -> Decimal:
        return sum((call.held for call in self.calls if call.held is not None), ZERO)

    @property
    def available(self) -> Decimal:
        return self.current - self.reserved

    @property
    def topped_up(self) -> Decimal:
        return sum((one.net - one.net_gone for one in self.topups), ZERO)

    def spent(self, since: datetime) -> Decimal:
        charged = [call for call in self.calls if call.price is not None and call.charged_at >= since]
        return sum((call.price - call.given_back for call in charged if call.price is not None), ZERO)

    def period_used_up(self) -> str | None:
        today = self.now.astimezone(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        for period, start, limit in (
            ("month", today.replace(day=1), self.rules.monthly),
            ("day", today, self.rules.daily),
        ):
            if limit is not None and self.spent(start.astimezone(UTC)) >= limit:
                return period
        return None

    def may_connect(self) -> tuple[str, str, str | None]:
        """State, what the phone does when the money is used up, and the period whose limit is reached."""
        period, available = self.period_used_up(), self.available
        pays = available > 0 and available >= self.prices.of(60)
        state = "limit_reached" if period else "exhausted" if not pays else "low" if available < ALERT_BELOW else "ok"
        action = "forward" if self.rules.action != "message" and self.rules.number else "message"
        if self.rules.action == "grace" and period is None and -available < self.rules.grace:
            action = "grace"
        return state, action, period

    def figures(self) -> dict[str, Any]:
        return {
            "current": self.current,
            "reserved": self.reserved,
            "available": self.available,
            "topped up": self.topped_up,
            "spent": self.spent(START),
            "zero since": self.zero_since,
            "may connect": self.may_connect(),
        }
