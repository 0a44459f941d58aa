"""How far a balance reaches: about how many calls, and until which day. Pure; the words are the page's.

What a call costs and what a weekday spends come from the company's own last days. Top-ups to come are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

WINDOWS = (14, 30)  # days; the longer one only where the shorter one knows too little
FEWEST_CALLS = 10
FEWEST_DAYS = 7  # each weekday once
HORIZON_DAYS = 366
ZERO = Decimal(0)


@dataclass(frozen=True)
class DaySpend:
    """What one local day cost: euros of all call charges, and how many calls they were for."""

    day: date
    amount: Decimal
    calls: int


@dataclass(frozen=True)
class Habit:
    """The numbers behind a reach, from ``days`` completed days.

    ``by_weekday``: mean euros of Monday to Sunday. ``dated`` tells whether every weekday was seen, so that a day can
    be named; ``known`` whether there were calls enough to say anything.
    """

    days: int
    calls: int
    spent: Decimal
    by_weekday: tuple[Decimal, ...]

    @property
    def known(self) -> bool:
        return self.calls >= FEWEST_CALLS and self.spent > 0

    @property
    def dated(self) -> bool:
        return self.known and self.days >= FEWEST_DAYS

    @property
    def average_cost(self) -> Decimal | None:
        """Euros a call, unrounded; None with too little data."""
        return self.spent / self.calls if self.known else None

    @property
    def calls_per_day(self) -> Decimal | None:
        """Calls a day, unrounded; None with too little data."""
        return Decimal(self.calls) / self.days if self.known else None

    def calls_for(self, amount: Decimal) -> int | None:
        """About how many calls ``amount`` euros pay, to the nearest; None with too little data."""
        if not self.known:
            return None
        return int((max(amount, ZERO) * self.calls / self.spent).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True)
class Reach:
    """``calls`` and ``until`` (the day that uses the balance up) are None with too little data.

    ``until`` is also None when the balance outlasts a year (``beyond_horizon``). ``curve``: expected balance at the
    end of each day from today to ``until``, never below zero, for drawing.
    """

    balance: Decimal
    habit: Habit
    calls: int | None
    until: date | None
    beyond_horizon: bool
    curve: tuple[tuple[date, Decimal], ...]

    @property
    def too_little_data(self) -> bool:
        return self.calls is None

    @property
    def used_up(self) -> bool:
        return self.balance <= 0

    def below(self, amount: Decimal) -> date | None:
        """The first day that is expected to end below ``amount`` euros (when auto top-up would act)."""
        return next((day for day, left in self.curve if left < amount), None)


def habit(rows: Iterable[DaySpend], today: date) -> Habit:
    """What the last completed days tell: 14 of them, or 30 where 14 hold too few calls.

    Days without a row count as days without a call, but not those before the first row: a new company is not
    judged by the time before it came.
    """
    past = [row for row in rows if row.day < today]
    first = min((row.day for row in past), default=today)
    for window in WINDOWS:
        found = _window(past, max(first, today - timedelta(days=window)), today)
        if found.known:
            break
    return found


def reach(balance: Decimal, known: Habit, today: date, spent_today: Decimal = ZERO) -> Reach:
    """How far ``balance`` reaches from ``today`` on; of today only what is usually still to come is counted."""
    if balance <= 0:
        return Reach(balance, known, 0, today, False, ())
    curve: list[tuple[date, Decimal]] = []
    left = balance
    for offset in range(HORIZON_DAYS if known.dated else 0):
        day = today + timedelta(days=offset)
        expected = known.by_weekday[day.weekday()] - (ZERO if offset else spent_today)
        left -= max(expected, ZERO)
        curve.append((day, max(left, ZERO)))
        if left <= 0:
            return Reach(balance, known, known.calls_for(balance), day, False, tuple(curve))
    return Reach(balance, known, known.calls_for(balance), None, known.dated, tuple(curve))


def _window(rows: Iterable[DaySpend], start: date, today: date) -> Habit:
    days = [start + timedelta(days=offset) for offset in range((today - start).days)]
    inside = [row for row in rows if start <= row.day < today]
    spent = [ZERO] * 7
    for row in inside:
        spent[row.day.weekday()] += row.amount
    seen = [sum(1 for day in days if day.weekday() == weekday) for weekday in range(7)]
    return Habit(
        days=len(days),
        calls=sum(row.calls for row in inside),
        spent=sum(spent, ZERO),
        by_weekday=tuple(total / count if count else ZERO for total, count in zip(spent, seen, strict=True)),
    )
