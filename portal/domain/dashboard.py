"""What the first page says: today in figures, the balance, what comes next, who called last, what needs a look.

Read in few statements, however large the company. Days are the company's local days; ``branch_ids`` binds a person to
branches. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.db import db
from portal.domain import alerts, followup_queue, limits, reach, stats
from portal.domain.alerts import BalanceWarning
from portal.domain.call_words import Outcome, is_live, outcome, seconds_running
from portal.domain.limits import Standing
from portal.domain.slots import OPEN
from portal.domain.stats import CallFigures, DayFigures
from portal.models import (
    Appointment,
    Branch,
    Call,
    Company,
    Customer,
    PhoneNumber,
    PortalUser,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import current_company_id

CHART_DAYS = 30
HABIT_DAYS = 30  # what the reach is computed from
LATEST_CALLS = 6
NEXT_APPOINTMENTS = 4
# Events that somebody has to look at, or that wait for what is missing.
STUCK = ("failed", "parked", "quarantined", "dead")
ZERO = Decimal("0.00")


@dataclass(frozen=True)
class Today:
    """Figures of the day up to now. ``week_ago``: calls up to this time of the same weekday a week before."""

    day: date
    calls: CallFigures
    week_ago: int
    appointments: int
    by_phone: int
    new_customers: int
    new_this_week: int
    stuck: int
    stuck_since: datetime | None

    @property
    def difference(self) -> int:
        """Calls more (or fewer, negative) than a week before."""
        return self.calls.calls - self.week_ago


@dataclass(frozen=True)
class Line:
    """A call of the list; ``seconds`` grow while somebody is speaking."""

    call: Call
    outcome: Outcome
    seconds: int | None


@dataclass(frozen=True)
class Money:
    """The balance in euros, how far it reaches, and what to know about it before everything else."""

    standing: Standing
    reach: reach.Reach
    warnings: list[BalanceWarning]
    today: date

    @property
    def current(self) -> Decimal:
        return self.standing.current

    @property
    def available(self) -> Decimal:
        return self.standing.available

    @property
    def threshold(self) -> Decimal:
        """The highest one; 0 for none."""
        return max(self.standing.rules.thresholds, default=ZERO)

    @property
    def used_up(self) -> bool:
        return self.available <= 0

    @property
    def low(self) -> bool:
        return not self.used_up and self.standing.is_low

    @property
    def version(self) -> str:
        return f"{self.current}/{self.available}/{self.threshold}/{self.today}/{self.reach.until}"


@dataclass(frozen=True)
class FirstSteps:
    """What a company still has to do before calls can come."""

    number: str | None
    receptionist: bool
    calendar: bool
    money: bool
    colleagues: bool


# ---- Today ------------------------------------------------------------------------------------------------


def today(now: datetime, zone: str, branch_ids: Sequence[int] | None = None) -> Today:
    """Everything that is counted for today, in one statement."""
    day = stats.local_day(now, zone)
    start, end = stats.day_limits(day, zone)
    monday, _next = stats.day_limits(day - timedelta(days=day.weekday()), zone)
    # The same time on the clock, also where it has been put forward or back in between.
    then = now.astimezone(ZoneInfo(zone)) - timedelta(days=7)
    week_ago, _next = stats.day_limits(day - timedelta(days=7), zone)
    calls = stats.figures_query(start, end, branch_ids).subquery("calls_today")
    stuck = (WebhookEvent.company_id == current_company_id(), WebhookEvent.status.in_(STUCK))
    found = db.session.execute(
        select(
            *calls.c,
            _count(Call.id, *_between(Call.started_at, week_ago, then), *_branches(Call, branch_ids)),
            _count(Appointment.id, *_planned(start, end, branch_ids)),
            _count(Appointment.id, *_planned(start, end, branch_ids), Appointment.source == "phone"),
            _count(Customer.id, *_new_since(start, branch_ids)),
            _count(Customer.id, *_new_since(monday, branch_ids)),
            _count(WebhookEvent.id, *stuck),
            select(func.min(WebhookEvent.created_at)).where(*stuck).scalar_subquery(),
        ).select_from(calls)
    ).one()
    figures, rest = found[: len(stats.FIGURES)], found[len(stats.FIGURES) :]
    return Today(day, CallFigures(*map(int, figures)), *rest)


def _count(column: Any, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count(column)).where(*conditions).scalar_subquery()


def _between(column: Any, start: datetime, end: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return column >= start, column < end


def _branches(model: type[Call] | type[Appointment], branch_ids: Sequence[int] | None) -> list[ColumnElement[bool]]:
    return [] if branch_ids is None else [model.branch_id.in_(branch_ids)]


def _planned(start: datetime, end: datetime, branch_ids: Sequence[int] | None) -> list[ColumnElement[bool]]:
    in_time = _between(Appointment.start_time, start, end)
    return [*in_time, Appointment.status != "cancelled", *_branches(Appointment, branch_ids)]


def _new_since(start: datetime, branch_ids: Sequence[int] | None) -> list[ColumnElement[bool]]:
    """New customers; for people of a branch those who have called or booked there."""
    conditions: list[ColumnElement[bool]] = [Customer.created_at >= start, Customer.is_active.is_(True)]
    if branch_ids is None:
        return conditions
    # From the few new customers to their calls, never the other way round.
    called = select(Call.id).where(Call.customer_id == Customer.id, Call.branch_id.in_(branch_ids)).exists()
    booked = select(Appointment.id).where(Appointment.customer_id == Customer.id, Appointment.branch_id.in_(branch_ids))
    return [*conditions, or_(called, booked.exists())]


def chart(seen: Today, branch_ids: Sequence[int] | None = None) -> list[DayFigures]:
    """The last thirty days; past ones from the rollups, today as just counted."""
    first, yesterday = seen.day - timedelta(days=CHART_DAYS - 1), seen.day - timedelta(days=1)
    return [*stats.days(first, yesterday, branch_ids), DayFigures(seen.day, seen.calls)]


# ---- Lists ------------------------------------------------------------------------------------------------


def latest_calls(now: datetime, branch_ids: Sequence[int] | None = None) -> list[Line]:
    """The newest calls with their customers."""
    query = select(Call).options(joinedload(Call.customer)).where(*_branches(Call, branch_ids))
    calls = db.session.scalars(query.order_by(Call.started_at.desc(), Call.id.desc()).limit(LATEST_CALLS)).all()
    flags = followup_queue.flags([call.id for call in calls], now)
    return [Line(call, _outcome(call, flags, now), _seconds(call, now)) for call in calls]


def _outcome(call: Call, flags: dict[int, Outcome], now: datetime) -> Outcome:
    return followup_queue.shown(outcome(call, now), flags.get(call.id))


def _seconds(call: Call, now: datetime) -> int | None:
    """Never connected: there is no duration, not one of 0:00."""
    return seconds_running(call, now) if is_live(call, now) else call.duration_seconds or None


def next_appointments(now: datetime, branch_ids: Sequence[int] | None = None) -> list[Appointment]:
    """Who comes next, with everything that a line shows."""
    query = (
        select(Appointment)
        .join(Customer, and_(Customer.id == Appointment.customer_id))
        .options(
            contains_eager(Appointment.customer),
            joinedload(Appointment.staff),
            joinedload(Appointment.service),
            joinedload(Appointment.branch),
        )
        .where(Appointment.start_time >= now, Appointment.status.in_(OPEN), *_branches(Appointment, branch_ids))
    )
    return list(db.session.scalars(query.order_by(Appointment.start_time, Appointment.id).limit(NEXT_APPOINTMENTS)))


def branch_names(branch_ids: Sequence[int]) -> list[str]:
    return list(db.session.scalars(select(Branch.name).where(Branch.id.in_(branch_ids)).order_by(Branch.name)))


# ---- Money ------------------------------------------------------------------------------------------------


def money(now: datetime, zone: str) -> Money | None:
    """The balance and its reach, by the same rule as the balance page; None where no balance has been opened."""
    at = limits.standing(now, zone=zone)
    if not at.opened:
        return None
    day, _month = at.budgets
    past = stats.spend(day.first - timedelta(days=HABIT_DAYS), day.first - timedelta(days=1))
    days = (reach.DaySpend(each, amount, calls) for each, (calls, amount) in past.items() if calls)
    far = reach.reach(at.available, reach.habit(days, day.first), day.first, day.spent)
    return Money(at, far, alerts.warnings_of(at, far, now), day.first)


# ---- The beginning ----------------------------------------------------------------------------------------


def first_steps() -> FirstSteps:
    """What is set up already, in one statement."""
    company_id = current_company_id()
    number = (
        select(PhoneNumber.number_e164)
        .where(PhoneNumber.is_active)
        .order_by(PhoneNumber.is_primary.desc(), PhoneNumber.id)
        .limit(1)
        .scalar_subquery()
    )
    people = _count(PortalUser.id, PortalUser.company_id == company_id, PortalUser.is_active.is_(True))
    balance = select(PrepaidBalance.current_balance).where(PrepaidBalance.company_id == company_id).scalar_subquery()
    found = db.session.execute(
        select(number, people, balance, Company.retell_api_key_sealed, Company.calcom_webhook_secret_sealed).where(
            Company.id == company_id
        )
    ).one()
    first_number, how_many, current, retell, calcom = found
    return FirstSteps(
        number=first_number,
        receptionist=bool(retell),
        calendar=bool(calcom),
        money=(current or ZERO) > 0,
        colleagues=how_many > 1,
    )
