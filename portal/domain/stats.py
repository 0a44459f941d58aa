"""Daily figures: calls per local day and branch, spend per local day; rebuilt as a whole, read by charts.

A change marks its day; the worker rebuilds marked days. Past days are read from the rollups, today from the calls
themselves. A day is a day in the company's time zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, case, delete, func, select, update

from portal.db import db
from portal.domain import outbox
from portal.models import Call, CallCharge, Company, DailyCallStats, DailySpend, OutboxJob
from portal.tenancy import current_company_id

REBUILD = "stats.rebuild"
# Calls come in bursts, and one rebuild serves them all.
DEBOUNCE = timedelta(seconds=20)
NO_BRANCH = 0
ZERO = Decimal("0.00")


@dataclass(frozen=True)
class CallFigures:
    """Calls of one day. ``answered`` were spoken, ``booked`` ended in an appointment."""

    calls: int = 0
    answered: int = 0
    booked: int = 0
    seconds: int = 0
    positive: int = 0
    neutral: int = 0
    negative: int = 0

    def __add__(self, other: CallFigures) -> CallFigures:
        return CallFigures(*(getattr(self, name) + getattr(other, name) for name in FIGURES))


FIGURES = tuple(field.name for field in fields(CallFigures))


@dataclass(frozen=True)
class DayFigures:
    """One local day of a chart."""

    day: date
    figures: CallFigures


# ---- Days -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def day_limits(day: date, zone: str) -> tuple[datetime, datetime]:
    """The first moment of a local day and of the next one; 23 or 25 hours apart where clocks change."""
    start, end = (datetime.combine(each, time(), ZoneInfo(zone)) for each in (day, day + timedelta(days=1)))
    return start, end


def local_day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def company_zone() -> str:
    """The name of the current company's time zone."""
    return db.session.scalars(select(Company.timezone).where(Company.id == current_company_id())).one()


# ---- Marking and rebuilding ----------------------------------------------------------------------------


def mark_dirty(company_id: int, day: date) -> None:
    """Let the worker rebuild this local day once the running transaction is committed."""
    outbox.enqueue(
        REBUILD,
        {"company_id": company_id, "day": day.isoformat()},
        company_id=company_id,
        dedupe_key=_key(company_id, day),
        after=DEBOUNCE,
    )


def mark_moment_dirty(company_id: int, *moments: datetime | None) -> None:
    """The same for the local days in which calls started or charges were made."""
    zone = db.session.scalars(select(Company.timezone).where(Company.id == company_id)).one()
    for day in sorted({local_day(moment, zone) for moment in moments if moment is not None}):
        mark_dirty(company_id, day)


def release_mark(company_id: int, day: date) -> None:
    """Take the mark off before the rebuild reads: what changes from now on makes a mark of its own.

    The job keeps its row but not its key. A change that has found the key and is not committed yet holds the row, so
    this waits for it.
    """
    db.session.execute(
        update(OutboxJob)
        .where(OutboxJob.dedupe_key == _key(company_id, day), OutboxJob.company_id == company_id)
        .values(dedupe_key=None)
    )


def _key(company_id: int, day: date) -> str:
    return f"stats:{company_id}:{day.isoformat()}"


def rebuild(day: date) -> None:
    """Compute one local day of the current company anew. Can run any number of times."""
    start, end = day_limits(day, company_zone())
    company_id = current_company_id()
    db.session.execute(delete(DailyCallStats).where(DailyCallStats.day == day))
    for branch_id, figures in _by_branch(start, end).items():
        row = DailyCallStats(company_id=company_id, day=day, branch_key=branch_id or NO_BRANCH)
        for name in FIGURES:
            setattr(row, name, getattr(figures, name))
        db.session.add(row)
    db.session.execute(delete(DailySpend).where(DailySpend.day == day))
    calls, amount = _spent(start, end)
    if calls:
        db.session.add(DailySpend(company_id=company_id, day=day, calls=calls, amount=amount))
    db.session.flush()


def _by_branch(start: datetime, end: datetime) -> dict[int | None, CallFigures]:
    query = (
        select(Call.branch_id, *_sums()).where(Call.started_at >= start, Call.started_at < end).group_by(Call.branch_id)
    )
    return {branch_id: CallFigures(*map(int, sums)) for branch_id, *sums in db.session.execute(query)}


def _sums() -> list[ColumnElement[int]]:
    """The columns of :class:`CallFigures`, in its order."""
    return [
        func.count(Call.id),
        _how_many(Call.status.in_(("completed", "in_progress"))),
        _how_many(Call.appointment_created.is_(True)),
        func.coalesce(func.sum(Call.duration_seconds), 0),
        *(_how_many(Call.sentiment == mood) for mood in ("positive", "neutral", "negative")),
    ]


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _spent(start: datetime, end: datetime) -> tuple[int, Decimal]:
    query = select(
        func.count(CallCharge.id), func.sum(CallCharge.amount_charged), func.sum(CallCharge.refunded_amount)
    ).where(CallCharge.charged_at >= start, CallCharge.charged_at < end, CallCharge.status == "charged")
    count, charged, refunded = db.session.execute(query).one()
    return count, (charged or ZERO) - (refunded or ZERO)


# ---- Reading ----------------------------------------------------------------------------------------------


def figures_between(start: datetime, end: datetime, branch_ids: Iterable[int] | None = None) -> CallFigures:
    """Straight from the calls; for today and other short spans."""
    return CallFigures(*map(int, db.session.execute(figures_query(start, end, branch_ids)).one()))


def figures_query(start: datetime, end: datetime, branch_ids: Iterable[int] | None = None) -> Select[*tuple[Any, ...]]:
    """One row with the columns of :class:`CallFigures`, for statements that ask for more than that."""
    columns = [column.label(name) for name, column in zip(FIGURES, _sums(), strict=True)]
    return select(*columns).where(Call.started_at >= start, Call.started_at < end, *_in_branches(branch_ids))


def days(first: date, last: date, branch_ids: Iterable[int] | None = None) -> list[DayFigures]:
    """Every day from ``first`` to ``last`` from the rollups, days without a call included."""
    query = (
        select(DailyCallStats.day, *(func.sum(getattr(DailyCallStats, name)) for name in FIGURES))
        .where(DailyCallStats.day >= first, DailyCallStats.day <= last)
        .group_by(DailyCallStats.day)
    )
    if branch_ids is not None:
        query = query.where(DailyCallStats.branch_key.in_(list(branch_ids)))
    found = {day: CallFigures(*map(int, sums)) for day, *sums in db.session.execute(query)}
    return [DayFigures(day, found.get(day, CallFigures())) for day in each_day(first, last)]


def spend(first: date, last: date) -> dict[date, tuple[int, Decimal]]:
    """Charged calls and euros of each day that had any."""
    query = select(DailySpend.day, DailySpend.calls, DailySpend.amount).where(
        DailySpend.day >= first, DailySpend.day <= last
    )
    return {day: (calls, amount) for day, calls, amount in db.session.execute(query)}


def each_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _in_branches(branch_ids: Iterable[int] | None) -> list[ColumnElement[bool]]:
    return [] if branch_ids is None else [Call.branch_id.in_(list(branch_ids))]
