"""What the page about automatic top-ups shows besides the rules: what is offered, what it means in money, the drawing.

Reads only. Amounts are net euros where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import select

from portal import formats
from portal.db import db
from portal.domain import auto_topup, auto_topup_history, limits, reach, stats
from portal.domain.amounts import HIGHEST_TOPUP, LOWEST_TOPUP
from portal.domain.auto_topup import Overview
from portal.domain.auto_topup_rules import FILL_UP, FIXED, MODES, Settings, Simulation, Verdict, covers
from portal.domain.vat import TaxKind, TaxSplit
from portal.models import AuditLog, Company
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
SWITCHED_OFF = "auto_topup.switched_off"
HABIT_DAYS = 30
DAYS = auto_topup_history.DAYS
LISTED = 8  # simulated top-ups named one by one
WORDS_UNDER_CHART = 4
ENOUGH_FOR, TOPS_UP_FOR, TOPUPS_A_MONTH = 3, 14, 3  # days, days, times
# Up to so many euros, suggestions are whole multiples of the second figure.
STEPS = ((Decimal(50), Decimal(5)), (Decimal(200), Decimal(10)), (Decimal(1000), Decimal(50)))
LARGEST_STEP = Decimal(100)
LEAST_THRESHOLD, LEAST_AMOUNT = Decimal(10), Decimal(20)
FOR_A_BEGINNING = Settings(FIXED, Decimal(20), Decimal(50), Decimal(50), Decimal(150))

Quote = Callable[[Decimal], TaxSplit]


# ---- The page ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """``offered``: what is saved, or what would suit (``suggested``). ``other``: for the way that is not chosen.

    ``off_because``: declined, card_gone or returned, where it did not switch off because somebody wished it; else ''.
    """

    at: Overview
    company: Company
    habit: reach.Habit
    today: date
    offered: Settings
    other: Decimal
    suggested: bool
    off_because: str

    @property
    def goes_on_at(self) -> datetime | None:
        """When a cap that holds a top-up back begins anew."""
        return _again(self.at.decision.verdict, self.today, self.company.timezone) if self.at.decision else None

    @property
    def state(self) -> str:
        """off; or on, and if something keeps it from running: bank (a person must pay), paused, capped."""
        if not self.at.on:
            return "off"
        if self.at.pause:
            return "bank" if self.at.pause.reason == "authentication" else "paused"
        return "capped" if self.at.decision and self.at.decision.verdict.capped else "on"

    @property
    def decline_code(self) -> str | None:
        """What the bank said of the top-up that led to the pause."""
        row = next((row for row in self.at.recent if self.at.pause and row.id == self.at.pause.topup_id), None)
        return row.failure_code if row else None

    @property
    def version(self) -> str:
        """Changes whenever the upper part of the page would look different."""
        at = self.at
        return f"{self.state}/{self.off_because}/{at.pause}/{at.in_flight and at.in_flight.id}/{at.situation}"

    def needs_consent(self, wish: Settings | None) -> bool:
        """Whether these settings take a new consent; all do that are to be switched on."""
        agreed = self.at.consent.settings if self.at.consent else None
        return not self.at.on or (wish is not None and not covers(agreed, wish))


def page(now: datetime) -> Page:
    """Everything on the page of the current company but the simulation."""
    at = auto_topup.overview(now)
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    today = stats.local_day(now, company.timezone)
    habit = habit_of(today)
    advice = suggestion(habit)
    offered = at.settings or advice
    why = "" if at.on or at.settings is None else _why_off()
    return Page(at, company, habit, today, offered, _other(offered, advice), at.settings is None, why)


def _why_off() -> str:
    """The last word about it in the audit log."""
    known = (AuditLog.action == SWITCHED_OFF, AuditLog.company_id == current_company_id())
    values = db.session.scalar(select(AuditLog.new_values).where(*known).order_by(AuditLog.created_at.desc()).limit(1))
    why = str((values or {}).get("why", ""))
    return "" if why in {"person", "consent"} else why


def habit_of(today: date) -> reach.Habit:
    days = stats.spend(today - timedelta(days=HABIT_DAYS), today)
    return reach.habit((reach.DaySpend(day, amount, calls) for day, (calls, amount) in days.items()), today)


def _again(verdict: Verdict, today: date, zone: str) -> datetime | None:
    if not verdict.capped:
        return None
    day = today + timedelta(days=1) if verdict is Verdict.DAILY_CAP else limits.after_month(today.replace(day=1))
    return stats.day_limits(day, zone)[0]


# ---- What would suit --------------------------------------------------------------------------------------


def suggestion(habit: reach.Habit) -> Settings:
    """Charged while three days are left, with what two weeks cost, and not oftener than three times a month."""
    if not habit.known:
        return FOR_A_BEGINNING
    a_day = habit.spent / habit.days
    threshold = min(max(rounded(a_day * ENOUGH_FOR), LEAST_THRESHOLD), HIGHEST_TOPUP)
    amount = min(max(rounded(a_day * TOPS_UP_FOR), LEAST_AMOUNT), HIGHEST_TOPUP)
    return Settings(FIXED, threshold, amount, amount, amount * TOPUPS_A_MONTH)


def rounded(amount: Decimal) -> Decimal:
    """Up to the next sum that people would think of themselves."""
    step = next((size for most, size in STEPS if amount <= most), LARGEST_STEP)
    return (amount / step).quantize(Decimal(1), ROUND_CEILING) * step


def _other(settings: Settings, advice: Settings) -> Decimal:
    """A level that a fixed amount would lead to, or the amount that leads to a level."""
    if settings.mode == FIXED:
        return min(settings.threshold + settings.amount, HIGHEST_TOPUP)
    return advice.amount


# ---- In money, with tax -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class InMoney:
    """What settings mean. ``each``: one top-up; where it fills up, the least that one comes to."""

    settings: Settings
    each: TaxSplit
    daily: TaxSplit
    monthly: TaxSplit
    calls: int | None

    @property
    def fills_up(self) -> bool:
        return self.settings.mode == FILL_UP


def in_money(settings: Settings, quote: Quote, habit: reach.Habit) -> InMoney:
    missing = max(settings.amount - settings.threshold, LOWEST_TOPUP)
    one = settings.amount if settings.mode == FIXED else missing
    return InMoney(
        settings,
        quote(one),
        quote(settings.daily_cap),
        quote(settings.monthly_cap),
        habit.calls_for(settings.threshold),
    )


# ---- Consent ----------------------------------------------------------------------------------------------


def consent_text(meant: InMoney, seller: str, product: str) -> str:
    """What somebody agrees to, with every figure net and as it is charged."""
    known = {"who": f"{seller} ({product})", "daily": both(meant.daily), "monthly": both(meant.monthly)}
    if meant.fills_up:
        return str(
            _(
                "I allow %(who)s to charge the saved card or account without asking again whenever the available "
                "balance falls below my threshold: as much as is missing to %(level)s, at most %(daily)s a day and "
                "%(monthly)s a month. This holds until I switch it off here.",
                level=_euros(meant.settings.amount),
                **known,
            )
        )
    return str(
        _(
            "I allow %(who)s to charge the saved card or account without asking again whenever the available balance "
            "falls below my threshold: %(amount)s each time, at most %(daily)s a day and %(monthly)s a month. This "
            "holds until I switch it off here.",
            amount=both(meant.each),
            **known,
        )
    )


def both(split: TaxSplit) -> str:
    """``50,00 € (59,50 € mit 19 % USt.)``"""
    return f"{_euros(split.net)} ({charged(split)})"


def charged(split: TaxSplit) -> str:
    """What the card is charged for a net amount, and why."""
    if split.kind is TaxKind.SMALL_BUSINESS:
        return str(_("%(amount)s charged, no VAT (§ 19 UStG)", amount=_euros(split.gross)))
    if split.kind is TaxKind.REVERSE_CHARGE:
        return str(_("%(amount)s charged, VAT is owed by you", amount=_euros(split.gross)))
    rate = formats.percent(split.rate, _language())
    return str(_("%(amount)s with %(rate)s VAT", amount=_euros(split.gross), rate=rate))


def figures_of(settings: Settings) -> str:
    """The figures of a consent, for a form to carry; :func:`figures_in` reads them."""
    return "/".join((settings.mode, *map(str, (settings.amount, settings.daily_cap, settings.monthly_cap))))


def figures_in(text: str) -> Settings | None:
    """None for what :func:`figures_of` never wrote."""
    mode, *figures = text.split("/")
    if mode not in MODES or len(figures) != 3:
        return None
    try:
        amount, daily, monthly = map(Decimal, figures)
    except ArithmeticError:
        return None
    known = Settings(mode, ZERO, amount, daily, monthly)
    return known if all(each.is_finite() for each in (amount, daily, monthly)) else None


# ---- The simulation, drawn --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """An automatic top-up in the curve: at ``x`` from ``before`` upwards by ``amount``."""

    x: float
    at: datetime
    before: Decimal
    amount: Decimal

    @property
    def low(self) -> float:
        return float(self.before)

    @property
    def high(self) -> float:
        return float(self.before + self.amount)


@dataclass(frozen=True)
class Trial:
    """What settings would have done. ``points`` are plain numbers for drawing: days and euros."""

    found: Simulation
    points: list[tuple[float, float]]
    marks: list[Mark]
    axis: list[date]
    total: TaxSplit

    @property
    def listed(self) -> list[Mark]:
        """The newest ones, oldest first."""
        return self.marks[-LISTED:]

    @property
    def earlier(self) -> list[Mark]:
        """Those that are only added up."""
        return self.marks[:-LISTED]

    @property
    def earlier_sum(self) -> Decimal:
        return sum((mark.amount for mark in self.earlier), ZERO)


def trial(meant: InMoney, quote: Quote, now: datetime, zone: str) -> Trial | None:
    """None where there is no history to try it on."""
    found = auto_topup_history.simulation(meant.settings, now, DAYS)
    if found is None or not found.curve:
        return None
    return _drawn(found, quote, ZoneInfo(zone))


def _drawn(found: Simulation, quote: Quote, zone: ZoneInfo) -> Trial:
    marks = [Mark(_place(one.at, zone), one.at, one.before, one.amount) for one in found.topups]
    points = [(float(day.toordinal() + 1), float(level)) for day, level in found.curve]
    points += [(_place(found.lowest_at, zone), float(found.lowest))]
    points += [point for mark in marks for point in ((mark.x, mark.low), (mark.x, mark.high))]
    return Trial(found, _in_order(points), marks, _axis(found), quote(found.total))


def _in_order(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """By time; sorting is stable, so that a top-up stays a step upwards. The same point twice is one."""
    ordered = sorted(points, key=lambda point: point[0])
    return ordered[:1] + [after for before, after in pairwise(ordered) if after != before]


def _place(at: datetime, zone: ZoneInfo) -> float:
    """Days, as a number that grows through the local day."""
    local = at.astimezone(zone)
    return local.toordinal() + (local.hour * 3600 + local.minute * 60 + local.second) / 86_400


def _axis(found: Simulation) -> list[date]:
    """Days named under the curve, evenly spread."""
    first, last = found.curve[0][0], found.curve[-1][0]
    parts = WORDS_UNDER_CHART - 1
    return sorted({first + (last - first) * part // parts for part in range(WORDS_UNDER_CHART)})


def _euros(amount: Decimal) -> str:
    return formats.money(amount, _language())


def _language() -> str:
    return str(get_locale().language)
