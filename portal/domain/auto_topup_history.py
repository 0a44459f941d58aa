"""The past of a balance, for trying settings on it. Bounded however many movements there are.

Few movements are read one by one. Of many, the ledger's own running balance is looked up once an hour, which takes as
long for a million movements as for ten thousand; what moved within an hour is then one movement.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, text
from sqlalchemy.orm import aliased
from sqlalchemy.sql.expression import TextualSelect

from portal.db import Money, UTCDateTime, db
from portal.domain import stats
from portal.domain.auto_topup_rules import Movement, Settings, Simulation, simulate
from portal.models import BalanceTopup, BalanceTransaction
from portal.tenancy import current_company_id

DAYS = 90
MOST_ROWS = 5000  # read one by one
LOOKUPS = 168  # hours in one statement
HOUR = timedelta(hours=1)
ZERO = Decimal("0.00")
_LOOK = (
    "(SELECT balance_after FROM balance_transactions WHERE company_id = :company AND created_at = "
    "(SELECT MAX(created_at) FROM balance_transactions WHERE company_id = :company AND created_at < :m{number}) "
    "LIMIT 1) AS l{number}"
)


@dataclass(frozen=True)
class History:
    """Local days from ``first`` to ``last``. ``opening``: the balance when they began. ``by_hour``: added up."""

    opening: Decimal
    movements: list[Movement]
    zone: str
    first: date
    last: date
    by_hour: bool


def simulation(settings: Settings, now: datetime, days: int = DAYS) -> Simulation | None:
    """What these settings would have done in the last days; None where nothing has moved yet."""
    past = history(now, days)
    if past is None:
        return None
    found = simulate(settings, past.opening, past.movements, past.zone, past.first, past.last)
    return replace(found, by_hour=past.by_hour)


def history(now: datetime, days: int = DAYS) -> History | None:
    """The current company's, today included."""
    zone = stats.company_zone()
    today = stats.local_day(now, zone)
    first = today - timedelta(days=days)
    start = stats.day_limits(first, zone)[0]
    opening = db.session.scalar(select(_balance_before(start)))
    if opening is None:
        return _since_it_began(now, zone, today)
    return _read(opening, start, now, zone, first, today)


def _since_it_began(now: datetime, zone: str, today: date) -> History | None:
    """A young company: from its first movement on, as if the balance had been so since that morning."""
    row = BalanceTransaction
    at = db.session.scalar(select(func.min(row.created_at)).where(_own(row)))
    if at is None or at > now:
        return None
    opening = db.session.scalars(select(row.balance_after).where(_own(row), row.created_at == at).limit(1)).one()
    return _read(opening, at + timedelta(microseconds=1), now, zone, stats.local_day(at, zone), today)


def _read(opening: Decimal, start: datetime, now: datetime, zone: str, first: date, today: date) -> History:
    rows = _one_by_one(start)
    by_hour = rows is None
    return History(opening, _hours(opening, start, now) if rows is None else rows, zone, first, today, by_hour)


# ---- One by one -------------------------------------------------------------------------------------------


def _one_by_one(start: datetime) -> list[Movement] | None:
    """None where there are too many."""
    row = BalanceTransaction
    many = select(row.id).where(_own(row), row.created_at >= start).offset(MOST_ROWS).limit(1)
    if db.session.scalar(many) is not None:
        return None
    return [Movement(*found) for found in db.session.execute(_movements(start).limit(MOST_ROWS))]


def _movements(start: datetime) -> Any:
    """(time, euros, of an automatic top-up?): its credit, and what went back of it."""
    row, topup = BalanceTransaction, BalanceTopup
    automatic = func.coalesce(topup.is_auto_topup, False)
    return (
        select(row.created_at, row.amount, automatic)
        .outerjoin(topup, (topup.id == row.topup_id) & (topup.company_id == row.company_id))
        .where(_own(row), row.created_at >= start)
        .order_by(row.created_at)
    )


# ---- By the hour ------------------------------------------------------------------------------------------


def _hours(opening: Decimal, start: datetime, now: datetime) -> list[Movement]:
    """What the balance changed by in each hour, without automatic top-ups."""
    marks = _marks(start, now)
    levels = [opening, *_levels(opening, marks[1:])]
    automatic = _automatic(start)
    return [
        Movement(begin, after - before - automatic[_hour(begin)])
        for (begin, _end), (before, after) in zip(pairwise(marks), pairwise(levels), strict=True)
        if after != before or automatic[_hour(begin)]
    ]


def _marks(start: datetime, now: datetime) -> list[datetime]:
    """The start, every full hour after it, and the one after now."""
    marks, mark = [start], _hour(start) + HOUR
    while marks[-1] <= now:
        marks.append(mark)
        mark += HOUR
    return marks


def _levels(opening: Decimal, marks: list[datetime]) -> list[Decimal]:
    """The balance at each of these moments; each is a look into an index, many of them to a statement."""
    found: list[Decimal | None] = []
    for place in range(0, len(marks), LOOKUPS):
        some = {f"m{number}": mark for number, mark in enumerate(marks[place : place + LOOKUPS])}
        found += db.session.execute(_looking(len(some)), {"company": current_company_id(), **some}).one()
    return [opening if level is None else level for level in found]


@lru_cache
def _looking(count: int) -> TextualSelect:
    """As text: built of objects, thousands of lookups take seconds before the database hears of them.

    By way of the newest time: ORDER BY with LIMIT 1 alone makes MariaDB walk through everything before.
    """
    numbers = range(count)
    looks = ", ".join(_LOOK.format(number=number) for number in numbers)
    moments = [bindparam(f"m{number}", type_=UTCDateTime()) for number in numbers]
    return text(f"SELECT {looks}").bindparams(*moments).columns(**{f"l{number}": Money() for number in numbers})


def _automatic(start: datetime) -> defaultdict[datetime, Decimal]:
    """What automatic top-ups moved, by the hour; there are few of them."""
    row, topup = BalanceTransaction, BalanceTopup
    rows = db.session.execute(
        select(row.created_at, row.amount)
        .join(topup, (topup.id == row.topup_id) & (topup.company_id == row.company_id))
        .where(_own(row), row.created_at >= start, topup.is_auto_topup.is_(True))
        .where(row.kind.in_(("topup", "refund", "chargeback")))
        .limit(MOST_ROWS)
    )
    sums: defaultdict[datetime, Decimal] = defaultdict(lambda: ZERO)
    for at, amount in rows:
        sums[_hour(at)] += amount
    return sums


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _balance_before(moment: datetime) -> Any:
    """The same look, once."""
    row, mark = BalanceTransaction, aliased(BalanceTransaction)
    newest = select(func.max(mark.created_at)).where(_own(mark), mark.created_at < moment).scalar_subquery()
    return select(row.balance_after).where(_own(row), row.created_at == newest).limit(1).scalar_subquery()


def _own(row: Any) -> ColumnElement[bool]:
    return row.company_id == current_company_id()  # type: ignore[no-any-return]
