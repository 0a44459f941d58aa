"""What the balance page shows: how it stands, how far it reaches, the latest movements. Reads only.

Days are the company's local days. Money is euros.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy import and_, func, null, or_, select

from portal.db import db
from portal.domain import movements, pricing, rates, reach, stats
from portal.domain.movements import Line
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    BillingRate,
    Call,
    Company,
    Customer,
    PrepaidBalance,
)
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
CHART_DAYS = 30
RECENT = 300  # movements that the balance page reads at once
TODAY_AT_MOST = 50
EARLIER_AT_MOST = 12
# Up to here the page adds the whole ledger up; beyond, it compares with the newest movement and leaves the rest to
# `ledger verify`.
ADDED_UP = 20_000
PAST_DAYS = 7
AHEAD_DAYS = 60


# ---- How it stands ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A call that is being spoken, and what is held for it."""

    call_id: int
    since: datetime
    held: Decimal
    name: str | None = None
    phone: str | None = None


@dataclass(frozen=True)
class Standing:
    """The balance as it is. ``sum_is_right``: the movements add up to it. ``automatic``: on, paused or off."""

    company: Company
    current: Decimal
    reserved: Decimal
    tariff: pricing.Tariff | None
    running_calls: int
    sum_is_right: bool
    automatic: str = "off"

    @property
    def available(self) -> Decimal:
        return self.current - self.reserved

    @property
    def zone(self) -> str:
        return self.company.timezone


@dataclass(frozen=True)
class SpendDay:
    day: date
    calls: int
    amount: Decimal


@dataclass(frozen=True)
class Now:
    """The head of the balance page: figures, reach, and the curve of ``past`` and coming days (day, euros)."""

    standing: Standing
    reach: reach.Reach
    running: list[Running]
    past: list[tuple[date, Decimal]]
    today: date
    spend: list[SpendDay] = field(default_factory=list)
    is_new: bool = False  # no money has ever come

    @property
    def spend_total(self) -> Decimal:
        return sum((day.amount for day in self.spend), ZERO)

    @property
    def ahead(self) -> list[tuple[date, Decimal]]:
        """From now on; empty where no day can be named."""
        if not self.reach.curve:
            return []
        coming = [(day + timedelta(days=1), left) for day, left in self.reach.curve[:AHEAD_DAYS]]
        return [(self.today, self.standing.available), *coming]

    @property
    def drawn_from(self) -> date:
        return self.past[0][0] if self.past else self.today

    @property
    def drawn_until(self) -> date:
        """The last day of the curve: the one that uses the balance up, where it is near enough to be drawn."""
        return self.ahead[-1][0] - timedelta(days=1) if self.ahead else self.today

    @property
    def version(self) -> str:
        """Changes whenever the head would look different."""
        last = self.past[-1][1] if self.past else ZERO
        return f"{self.standing.current}/{self.standing.reserved}/{self.standing.running_calls}/{self.today}/{last}"


@dataclass(frozen=True)
class CallsOfDay:
    """Charges of one local day with nothing else between them, newest first."""

    day: date
    lines: tuple[Line, ...]

    @property
    def calls(self) -> int:
        return len(self.lines)

    @property
    def amount(self) -> Decimal:
        return sum((line.amount for line in self.lines), ZERO)

    @property
    def after(self) -> Decimal:
        return self.lines[0].after

    @property
    def last_at(self) -> datetime:
        return self.lines[0].at

    @property
    def first_at(self) -> datetime:
        return self.lines[-1].at

    @property
    def id(self) -> int:
        """Of its oldest movement, where the next page begins."""
        return self.lines[-1].id


@dataclass(frozen=True)
class Overview:
    """Everything on the balance page."""

    now: Now
    latest: list[Line]
    earlier: list[Line | CallsOfDay]
    older: int | None
    topups: list[BalanceTopup]


def standing(now: datetime) -> Standing:
    """The current company's balance, rate in force and checked sum, in one statement."""
    company_id = current_company_id()
    in_force = and_(
        BillingRate.company_id == Company.id,
        BillingRate.valid_from <= now,
        or_(BillingRate.valid_until.is_(None), BillingRate.valid_until > now),
    )
    found = db.session.execute(
        select(Company, PrepaidBalance, BillingRate, *_sums())
        .outerjoin(PrepaidBalance, PrepaidBalance.company_id == Company.id)
        .outerjoin(BillingRate, in_force)
        .where(Company.id == company_id)
        .execution_options(populate_existing=True)
    ).one()
    company, balance, rate, held, rows, total, newest = found
    current = balance.current_balance if balance else ZERO
    return Standing(
        company=company,
        current=current,
        reserved=balance.reserved_balance if balance else ZERO,
        tariff=rates.tariff(rate) if rate else None,
        running_calls=held,
        sum_is_right=current == ((total if rows <= ADDED_UP else newest) or ZERO),
        automatic=_automatic(balance, now),
    )


def _automatic(balance: PrepaidBalance | None, now: datetime) -> str:
    """How automatic top-ups stand."""
    if balance is None or not balance.auto_topup_enabled:
        return "off"
    paused_until = balance.auto_topup_paused_until
    return "paused" if paused_until is not None and paused_until > now else "on"


def _sums() -> list[Any]:
    """Held calls, number of movements (at most one more than are added up), their sum, the newest balance after."""
    company_id = current_company_id()
    row, held = BalanceTransaction, BalanceReservation
    some = select(row.amount).where(row.company_id == company_id).limit(ADDED_UP + 1).subquery()
    newest = (
        select(row.balance_after)
        .where(row.company_id == company_id)
        .order_by(row.created_at.desc(), row.id.desc())
        .limit(1)
    )
    running = select(func.count(held.id)).where(held.company_id == company_id, held.status == "held")
    return [
        running.scalar_subquery(),
        select(func.count()).select_from(some).scalar_subquery(),
        select(func.sum(some.c.amount)).scalar_subquery(),
        newest.scalar_subquery(),
    ]


def overview(now: datetime, *, named: bool) -> Overview:
    """The balance page: its head, today's movements one by one, the days before in sums, the last top-ups."""
    head, lines = _now_and_lines(now, named=named)
    midnight, _next = stats.day_limits(head.today, head.standing.zone)
    latest = [line for line in lines if line.at >= midnight][:TODAY_AT_MOST]
    rest = lines[len(latest) :]
    earlier = _by_day(rest, head.standing.zone) if not rest or rest[0].at < midnight else []
    shown = earlier[:EARLIER_AT_MOST]
    if len(lines) == RECENT and len(shown) == len(earlier) > 1:
        shown = shown[:-1]  # the last day may be cut off in the middle
    last = shown[-1] if shown else (latest[-1] if latest else None)
    more = len(lines) == RECENT or (last is not None and last.id != lines[-1].id)
    return Overview(head, latest, shown, last.id if last and more else None, recent_topups())


def now_part(now: datetime, *, named: bool) -> Now:
    """The head alone, for its poll."""
    return _now_and_lines(now, named=named)[0]


def _now_and_lines(now: datetime, *, named: bool) -> tuple[Now, list[Line]]:
    stand = standing(now)
    today = stats.local_day(now, stand.zone)
    lines = movements.lines([], RECENT, named=named)
    days = _spend(lines, today, stand.zone)
    known = reach.habit((reach.DaySpend(day.day, day.amount, day.calls) for day in days[:-1] if day.calls), today)
    head = Now(
        standing=stand,
        reach=reach.reach(stand.available, known, today, days[-1].amount),
        running=_running(named) if stand.running_calls else [],
        past=_past(lines, stand, today),
        today=today,
        spend=days[-CHART_DAYS:],
        is_new=not lines,
    )
    return head, lines


def _spend(lines: list[Line], today: date, zone: str) -> list[SpendDay]:
    """The last 31 local days: complete ones from the daily figures, today from the movements themselves."""
    first = today - timedelta(days=CHART_DAYS)
    known = stats.spend(first, today)
    midnight, _next = stats.day_limits(today, zone)
    of_today = [line for line in lines if line.at >= midnight and line.is_charge]
    if len(lines) < RECENT or len(of_today) < len(lines):
        known[today] = (len(of_today), -sum((line.amount for line in of_today), ZERO))
    return [SpendDay(day, *known.get(day, (0, ZERO))) for day in stats.each_day(first, today)]


def _past(lines: list[Line], stand: Standing, today: date) -> list[tuple[date, Decimal]]:
    """The balance at the end of each of the last days, oldest first, and what is available now."""
    ends: dict[date, Decimal] = {}
    for line in lines:
        ends.setdefault(stats.local_day(line.at, stand.zone), line.after)
    known = sorted(day for day in ends if day < today)
    if not known:
        return []
    first = max(known[0], today - timedelta(days=PAST_DAYS))
    before = [day for day in known if day <= first]
    level = ends[before[-1]] if before else ends[known[0]]
    curve = []
    for day in stats.each_day(first, today - timedelta(days=1)):
        level = ends.get(day, level)
        curve.append((day, level))
    return [*curve, (today, stand.available)]


def _by_day(lines: list[Line], zone: str) -> list[Line | CallsOfDay]:
    """Charges of the same day become one row; everything else keeps its own."""

    def key(line: Line) -> tuple[str, int | date]:
        return ("day", stats.local_day(line.at, zone)) if line.is_charge else ("line", line.id)

    rows: list[Line | CallsOfDay] = []
    for (_kind, day), group in groupby(lines, key):
        members = tuple(group)
        rows.append(CallsOfDay(day, members) if isinstance(day, date) else members[0])
    return rows


def _running(named: bool) -> list[Running]:
    """Calls that money is held for, newest first."""
    person = (Customer.full_name, Call.phone_number) if named else (null(), null())
    query = (
        select(Call.id, Call.started_at, BalanceReservation.amount, *person)
        .select_from(BalanceReservation)
        .join(Call, Call.id == BalanceReservation.call_id)
        .outerjoin(Customer, Customer.id == Call.customer_id)
        .where(BalanceReservation.status == "held")
        .order_by(Call.started_at.desc())
        .limit(TODAY_AT_MOST)
    )
    return [Running(*found) for found in db.session.execute(query)]


def recent_topups(limit: int = 5) -> list[BalanceTopup]:
    """The last top-ups, newest first."""
    return list(
        db.session.scalars(
            select(BalanceTopup).order_by(BalanceTopup.created_at.desc(), BalanceTopup.id.desc()).limit(limit)
        )
    )
