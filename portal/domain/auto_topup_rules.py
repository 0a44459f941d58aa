"""When the balance tops itself up, and with how much: the one decision, pure, for the engine and for the simulator.

All amounts are euros, net credit. What the caps leave is charged if it is at least the lowest top-up; less is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NoReturn
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal.domain.amounts import HIGHEST_TOPUP, LOWEST_TOPUP
from portal.domain.auto_topup_words import euros
from portal.domain.errors import DomainError

ZERO, CENT = Decimal("0.00"), Decimal("0.01")
FIXED, FILL_UP = "fixed", "fill_up"
MODES = (FIXED, FILL_UP)
HIGHEST_CAP = Decimal(100_000)


# ---- The decision -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """What a company has chosen. ``amount``: what is charged (fixed), or the level to fill up to (fill_up)."""

    mode: str
    threshold: Decimal
    amount: Decimal
    daily_cap: Decimal
    monthly_cap: Decimal


@dataclass(frozen=True)
class Situation:
    """How a balance stands. ``pending``: open top-ups of every kind that may still come.

    ``spent_today``, ``spent_month``: automatic top-ups of the local day and month, completed or open. ``in_flight``:
    an automatic one is open.
    """

    available: Decimal
    pending: Decimal
    spent_today: Decimal
    spent_month: Decimal
    in_flight: bool
    paused: bool = False


class Verdict(StrEnum):
    """What to do, or why nothing is done."""

    TOP_UP = "top_up"
    ENOUGH = "enough"
    IN_FLIGHT = "in_flight"
    PAUSED = "paused"
    DAILY_CAP = "daily_cap"
    MONTHLY_CAP = "monthly_cap"

    @property
    def capped(self) -> bool:
        return self in {Verdict.DAILY_CAP, Verdict.MONTHLY_CAP}


@dataclass(frozen=True)
class Decision:
    """``amount`` is 0 unless the verdict is to top up."""

    verdict: Verdict
    amount: Decimal = ZERO


def decide(settings: Settings, situation: Situation) -> Decision:
    """Whether to charge now, and how much."""
    expected = situation.available + situation.pending
    if situation.available >= settings.threshold:
        return Decision(Verdict.ENOUGH)
    if situation.in_flight:
        return Decision(Verdict.IN_FLIGHT)
    if expected >= settings.threshold:
        return Decision(Verdict.ENOUGH)
    if situation.paused:
        return Decision(Verdict.PAUSED)
    day, month = settings.daily_cap - situation.spent_today, settings.monthly_cap - situation.spent_month
    if month < LOWEST_TOPUP:
        return Decision(Verdict.MONTHLY_CAP)
    if day < LOWEST_TOPUP:
        return Decision(Verdict.DAILY_CAP)
    return Decision(Verdict.TOP_UP, min(_wanted(settings, expected), day, month))


def _wanted(settings: Settings, expected: Decimal) -> Decimal:
    if settings.mode == FIXED:
        return settings.amount
    return min(max(settings.amount - expected, LOWEST_TOPUP), HIGHEST_TOPUP)


def covers(agreed: Settings | None, wanted: Settings) -> bool:
    """Whether who agreed to the one has agreed to the other: the same way, and nothing is charged that is higher."""
    return (
        agreed is not None
        and agreed.mode == wanted.mode
        and wanted.amount <= agreed.amount
        and wanted.daily_cap <= agreed.daily_cap
        and wanted.monthly_cap <= agreed.monthly_cap
    )


# ---- What may be set --------------------------------------------------------------------------------------


def check(settings: Settings) -> None:
    """Raises ``DomainError`` with the field and words for the person who set it."""
    if settings.mode not in MODES:
        _refuse("mode", _("Please choose how to top up."))
    for name in ("threshold", "amount", "daily_cap", "monthly_cap"):
        _check_cents(name, getattr(settings, name))
    _check_amount(settings)
    _check_caps(settings)
    _check_threshold(settings)


def _check_cents(name: str, amount: Decimal) -> None:
    if not amount.is_finite() or amount != amount.quantize(CENT):
        _refuse(name, _("Please enter an amount in whole cents."))
    if amount > HIGHEST_CAP:
        _refuse(name, _("This amount is too large."))


def _check_amount(settings: Settings) -> None:
    if not LOWEST_TOPUP <= settings.amount <= HIGHEST_TOPUP:
        words = {"lowest": euros(LOWEST_TOPUP), "highest": euros(HIGHEST_TOPUP)}
        _refuse("amount", _("Please enter an amount from %(lowest)s to %(highest)s.", **words))
    if settings.mode == FILL_UP and settings.amount <= settings.threshold:
        _refuse("amount", _("The level to fill up to must be above the threshold."))


def _check_caps(settings: Settings) -> None:
    least = settings.amount if settings.mode == FIXED else LOWEST_TOPUP
    for name, cap in (("daily_cap", settings.daily_cap), ("monthly_cap", settings.monthly_cap)):
        if cap < least:
            _refuse(name, _cap_too_low(settings))
    if settings.monthly_cap < settings.daily_cap:
        _refuse("monthly_cap", _("The cap for a month cannot be below the one for a day."))


def _cap_too_low(settings: Settings) -> str:
    if settings.mode == FIXED:
        return str(_("The cap must allow at least one top-up."))
    return str(_("The cap must be at least %(lowest)s, the smallest top-up.", lowest=euros(LOWEST_TOPUP)))


def _check_threshold(settings: Settings) -> None:
    if settings.threshold < ZERO:
        _refuse("threshold", _("The threshold cannot be below zero."))
    if settings.mode == FIXED and settings.threshold > settings.amount:
        words = _("The threshold is above the amount, so that one top-up would not lift the balance over it.")
        _refuse("threshold", words)
    if settings.threshold > settings.monthly_cap:
        _refuse("threshold", _("The threshold is above what may be topped up in a whole month."))


def _refuse(name: str, message: str) -> NoReturn:
    raise DomainError(message, name)


# ---- What it would have done ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Movement:
    """A movement of the past, or the sum of an hour. ``is_topup_auto``: a real automatic top-up, left out here."""

    at: datetime
    amount: Decimal
    is_topup_auto: bool = False


@dataclass(frozen=True)
class Simulated:
    """One automatic top-up that would have been; ``before``: the balance that brought it about."""

    at: datetime
    before: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Simulation:
    """``curve``: the balance at the end of each local day. ``capped``: how often a cap held a top-up back.

    ``by_hour``: movements were added up by the hour, so a low within an hour may be missing.
    """

    topups: tuple[Simulated, ...]
    lowest: Decimal
    lowest_at: datetime
    most_in_a_month: Decimal
    total: Decimal
    curve: tuple[tuple[date, Decimal], ...]
    capped: int
    by_hour: bool = False


def simulate(
    settings: Settings, opening: Decimal, movements: Iterable[Movement], zone: str, first: date, last: date
) -> Simulation:
    """Play the local days from ``first`` to ``last`` again, ``opening`` being the balance when they began.

    A top-up credits at once. Each day begins with a look of its own, because caps count days and months.
    """
    run = _Run(settings, ZoneInfo(zone), opening, datetime.combine(first, time(), ZoneInfo(zone)))
    past = iter(sorted((one for one in movements if not one.is_topup_auto), key=lambda one: one.at))
    coming = next(past, None)
    for day, start, end in _days(first, last, ZoneInfo(zone)):
        run.begin_day(day, start)
        while coming is not None and coming.at < end:
            if coming.at >= start:
                run.move(coming)
            coming = next(past, None)
        run.curve.append((day, run.balance))
    return run.result()


def _days(first: date, last: date, zone: ZoneInfo) -> Iterator[tuple[date, datetime, datetime]]:
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        yield day, _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


@dataclass
class _Run:
    """The balance while days are played again."""

    settings: Settings
    zone: ZoneInfo
    balance: Decimal
    lowest_at: datetime
    lowest: Decimal = ZERO
    today: date = date.min
    by_day: dict[date, Decimal] = field(default_factory=dict)
    by_month: dict[tuple[int, int], Decimal] = field(default_factory=dict)
    made: list[Simulated] = field(default_factory=list)
    curve: list[tuple[date, Decimal]] = field(default_factory=list)
    capped: int = 0
    held_back: bool = False

    def __post_init__(self) -> None:
        self.lowest = self.balance

    def begin_day(self, day: date, start: datetime) -> None:
        self.today = day
        self.look(start)

    def move(self, one: Movement) -> None:
        self.balance += one.amount
        if self.balance < self.lowest:
            self.lowest, self.lowest_at = self.balance, one.at
        self.look(one.at)

    def look(self, at: datetime) -> None:
        """Top up until it is enough or a cap says no; a fixed amount may be too small for one movement."""
        while (decision := self.decision()).verdict is Verdict.TOP_UP:
            self.top_up(at, decision.amount)
        self.capped += decision.verdict.capped and not self.held_back
        self.held_back = decision.verdict.capped

    def decision(self) -> Decision:
        day, month = self.by_day.get(self.today, ZERO), self.by_month.get(self.month, ZERO)
        return decide(self.settings, Situation(self.balance, ZERO, day, month, in_flight=False))

    @property
    def month(self) -> tuple[int, int]:
        return self.today.year, self.today.month

    def top_up(self, at: datetime, amount: Decimal) -> None:
        self.made.append(Simulated(at, self.balance, amount))
        self.balance += amount
        self.by_day[self.today] = self.by_day.get(self.today, ZERO) + amount
        self.by_month[self.month] = self.by_month.get(self.month, ZERO) + amount

    def result(self) -> Simulation:
        return Simulation(
            topups=tuple(self.made),
            lowest=self.lowest,
            lowest_at=self.lowest_at,
            most_in_a_month=max(self.by_month.values(), default=ZERO),
            total=sum((one.amount for one in self.made), ZERO),
            curve=tuple(self.curve),
            capped=self.capped,
        )
