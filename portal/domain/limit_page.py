"""What the page about limits shows besides the rules: how it stands, what a day costs, how exact a limit is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from portal.db import db
from portal.domain import limits, pricing, reach, stats
from portal.domain.limits import Budget, Decision, Standing
from portal.domain.pricing import Tariff
from portal.models import BalanceReservation, Call

ZERO = Decimal("0.00")
LATEST_CALLS = 1000
HABIT_DAYS = 30
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Overshoot:
    """By how much running calls can exceed a limit: ``at_once`` of them, each as long as the longest one so far.

    ``measured``: from how many calls; 0 where there were none yet, and five minutes are assumed. Euros, or None while
    no rate is set.
    """

    at_once: int
    running: int
    longest_seconds: int
    measured: int
    amount: Decimal | None


@dataclass(frozen=True)
class Outlook:
    """What a day costs and the month may come to (None with too little data), and the dearest day of this month."""

    usual_day: Decimal | None
    dearest: tuple[date, Decimal] | None
    month: Decimal | None
    habit: reach.Habit


@dataclass(frozen=True)
class Page:
    standing: Standing
    decision: Decision
    overshoot: Overshoot
    outlook: Outlook


def page(now: datetime) -> Page:
    """Everything on the page of the current company."""
    at = limits.standing(now, always=True)
    return Page(at, limits.decide(at), _overshoot(at.tariff), _outlook(at))


def _overshoot(tariff: Tariff | None) -> Overshoot:
    """Running calls end when they like; what they can cost is judged by the last calls of this company."""
    spans = _latest()
    running = db.session.scalars(
        select(func.count(BalanceReservation.id)).where(BalanceReservation.status == "held")
    ).one()
    at_once = max(peak(spans), running, 1)
    longest = max((int((end - start).total_seconds()) for start, end in spans), default=pricing.HOLD_MINUTES * 60)
    amount = at_once * pricing.price(longest, tariff).amount if tariff else None
    return Overshoot(at_once, running, longest, len(spans), amount)


def _latest() -> list[Span]:
    """The newest calls that were spoken; ids first, over the index alone."""
    ids = select(Call.id).order_by(Call.started_at.desc(), Call.id.desc()).limit(LATEST_CALLS).subquery()
    found = db.session.execute(select(Call.started_at, Call.duration_seconds).join(ids, ids.c.id == Call.id))
    return [(start, start + timedelta(seconds=seconds)) for start, seconds in found if seconds]


def peak(spans: Iterable[Span]) -> int:
    """The most spans that overlap at one moment; one that begins as another one ends does not."""
    steps = sorted(step for start, end in spans for step in ((start, 1), (end, -1)))
    most = level = 0
    for _moment, step in steps:
        level += step
        most = max(most, level)
    return most


def _outlook(at: Standing) -> Outlook:
    day, month = at.budgets
    yesterday = day.first - timedelta(days=1)
    known = stats.spend(min(month.first, day.first - timedelta(days=HABIT_DAYS)), yesterday)
    habit = reach.habit((reach.DaySpend(on, amount, calls) for on, (calls, amount) in known.items()), day.first)
    this_month = [(on, amount) for on, (_calls, amount) in known.items() if on >= month.first]
    dearest = max([*this_month, (day.first, day.spent)], key=lambda found: found[1])
    return Outlook(
        usual_day=pricing.cents(habit.spent / habit.days) if habit.known else None,
        dearest=dearest if dearest[1] > ZERO else None,
        month=forecast(habit, day, month) if habit.dated else None,
        habit=habit,
    )


def forecast(habit: reach.Habit, day: Budget, month: Budget) -> Decimal:
    """Spent so far, what today usually still costs, and the usual weekdays until the month ends."""
    last = limits.after_month(month.first) - timedelta(days=1)
    coming = sum((habit.by_weekday[each.weekday()] for each in stats.each_day(day.first, last)[1:]), ZERO)
    today = max(habit.by_weekday[day.first.weekday()] - day.spent, ZERO)
    return pricing.cents(month.spent + today + coming)
