"""Statements: what moved the balance in a local month. Reads only; money is euros.

A month ends with its last movement that is committed when it is asked for: movements of a company come one after the
other (``ledger``), so everything up to that one can be seen, and figures read later in the same answer still fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from portal.db import db
from portal.domain import movements, stats
from portal.domain.movements import Line
from portal.models import BalanceTransaction, CallCharge
from portal.models.balance import KINDS
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
CHARGES = ("charge",)
OTHERS = tuple(kind for kind in KINDS if kind not in CHARGES)
YEARS = range(2000, 2200)  # of what may be asked for
MONTHS = 12  # months of one page of the list
# Up to so many movements stand on the paper one by one, calls and all others apart; more are summed up day by day.
CALLS_AT_MOST = 100
OTHERS_AT_MOST = 300


# ---- Months -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in a zone. ``first`` is its first day."""

    first: date
    zone: str

    @classmethod
    def of(cls, moment: datetime, zone: str) -> Month:
        return cls(stats.local_day(moment, zone).replace(day=1), zone)

    @classmethod
    def parse(cls, text: str, zone: str) -> Month | None:
        """``2026-11``; None for anything else."""
        try:
            month = cls(date.fromisoformat(f"{text}-01"), zone)
            return month if month.key == text and month.first.year in YEARS else None
        except ValueError:
            return None

    @property
    def key(self) -> str:
        return f"{self.first.year:04}-{self.first.month:02}"

    @property
    def last(self) -> date:
        return self.later(1).first - timedelta(days=1)

    @property
    def start(self) -> datetime:
        return stats.day_limits(self.first, self.zone)[0]

    @property
    def end(self) -> datetime:
        """The first moment of the next one."""
        return stats.day_limits(self.last, self.zone)[1]

    def later(self, months: int) -> Month:
        """So many months on; back where negative."""
        year, month = divmod(self.first.year * 12 + self.first.month - 1 + months, 12)
        return Month(date(year, month + 1, 1), self.zone)

    def days(self) -> list[date]:
        return stats.each_day(self.first, self.last)


@dataclass(frozen=True)
class MonthFigures:
    """One month of the list: ``opening`` + ``incoming`` + ``outgoing`` (negative) = ``closing``."""

    month: Month
    opening: Decimal
    incoming: Decimal
    closing: Decimal
    moved: bool
    running: bool

    @property
    def outgoing(self) -> Decimal:
        return self.closing - self.opening - self.incoming


@dataclass(frozen=True)
class MonthList:
    """Months, newest first; keys of the months before which the pages beside it begin, None at an end."""

    rows: list[MonthFigures]
    newer: str | None
    older: str | None


@dataclass(frozen=True)
class _Mark:
    """The last movement before a moment."""

    id: int
    at: datetime
    after: Decimal


def first_month(zone: str) -> Month | None:
    """The month of the company's first movement."""
    row = BalanceTransaction
    oldest = select(row.created_at).where(row.company_id == current_company_id()).order_by(row.created_at).limit(1)
    moment = db.session.scalar(oldest)
    return Month.of(moment, zone) if moment else None


def months(now: datetime, zone: str, before: Month | None = None) -> MonthList:
    """The months from the company's first movement on, a year at a time. Three statements, however many movements."""
    newest, oldest = Month.of(now, zone), first_month(zone)
    if oldest is None:
        return MonthList([], None, None)
    top = min(before.later(-1), newest) if before else newest
    bottom = max(top.later(1 - MONTHS), oldest)
    shown = [top.later(-back) for back in range(MONTHS) if bottom <= top.later(-back)]
    return MonthList(
        _figures(shown, newest),
        newer=min(top.later(MONTHS + 1), newest.later(1)).key if top < newest else None,
        older=bottom.key if shown and oldest < bottom else None,
    )


def _figures(shown: list[Month], newest: Month) -> list[MonthFigures]:
    """``shown``: months that follow each other, newest first."""
    if not shown:
        return []
    marks = _marks([*(month.end for month in shown), shown[-1].start])
    incoming = _incoming(shown, marks[0])
    return [
        MonthFigures(
            month,
            opening=before.after if before else ZERO,
            incoming=incoming.get(place, ZERO),
            closing=end.after if end else ZERO,
            moved=end != before,
            running=month == newest,
        )
        for place, (month, end, before) in enumerate(zip(shown, marks, marks[1:], strict=False))
    ]


def _marks(moments: list[datetime]) -> list[_Mark | None]:
    """The last movement before each moment: a step down the index for each, in one statement."""
    row, company_id = BalanceTransaction, current_company_id()
    ids = [
        select(row.id)
        .where(row.company_id == company_id, row.created_at < moment)
        .order_by(row.created_at.desc(), row.id.desc())
        .limit(1)
        .scalar_subquery()
        for moment in moments
    ]
    found = db.session.execute(select(*ids)).one()
    known = select(row.id, row.created_at, row.balance_after).where(row.id.in_({each for each in found if each}))
    marks = {each.id: _Mark(*each) for each in db.session.execute(known)}
    return [marks.get(each) for each in found]


def _incoming(shown: list[Month], last: _Mark | None) -> dict[int, Decimal]:
    """What came in, by place in ``shown``. Charges never do, and all other kinds together are few."""
    if last is None:
        return {}
    row = BalanceTransaction
    place = _bucket([(month.end, index) for index, month in enumerate(shown)][::-1])
    query = (
        select(place, func.sum(row.amount))
        .where(row.kind.in_(OTHERS), row.amount > 0, row.created_at >= shown[-1].start, row.created_at <= last.at)
        .group_by("bucket")
    )
    return {found[0]: found[1] for found in db.session.execute(query)}


def _bucket(ends: list[tuple[datetime, int]]) -> ColumnElement[int]:
    """The number beside the first of these ends, in rising order, that a movement lies before."""
    return case(*((BalanceTransaction.created_at < end, number) for end, number in ends)).label("bucket")


# ---- One month --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sum:
    """All movements of one kind."""

    kind: str
    count: int
    amount: Decimal


@dataclass(frozen=True)
class Group:
    """Movements of one kind on one local day. ``seconds`` of the calls."""

    day: date
    kind: str
    count: int
    amount: Decimal
    seconds: int = 0


@dataclass(frozen=True)
class Entry:
    """One line of the paper, a movement or a group of them; ``after``: the balance down to this line."""

    day: date
    what: Line | Group
    after: Decimal

    @property
    def amount(self) -> Decimal:
        return self.what.amount


@dataclass(frozen=True)
class Statement:
    """A month of the ledger. ``seconds`` of all its calls; ``running``: it is not over yet."""

    month: Month
    opening: Decimal
    closing: Decimal
    sums: list[Sum]
    entries: list[Entry]
    seconds: int
    running: bool

    @property
    def moved(self) -> Decimal:
        return sum((each.amount for each in self.sums), ZERO)

    @property
    def calls(self) -> int:
        return sum(each.count for each in self.sums if each.kind in CHARGES)

    @property
    def grouped(self) -> bool:
        """Whether calls are summed up day by day."""
        return self.calls > CALLS_AT_MOST

    @property
    def adds_up(self) -> bool:
        """What was added up line by line leads to the balance that the ledger noted with its last movement."""
        listed = self.entries[-1].after if self.entries else self.opening
        return self.opening + self.moved == self.closing == listed


def of(month: Month, now: datetime, *, named: bool) -> Statement:
    """The statement of a month. ``named``: with the callers' names and numbers."""
    before, end = _marks([month.start, month.end])
    opening, closing = (mark.after if mark else ZERO for mark in (before, end))
    running = month.end > now
    if end is None or end == before:
        return Statement(month, opening, closing, [], [], 0, running)
    row = BalanceTransaction
    within = [row.company_id == current_company_id(), row.created_at >= month.start, row.created_at <= end.at]
    sums = _sums(within)
    summed = _summed(sums)
    groups = _groups(within, summed, month) if summed else []
    lines = _lines(within, [kind for kind in KINDS if kind not in summed], named)
    seconds = sum(each.seconds for each in groups) + sum(line.call.seconds for line in lines if line.call)
    return Statement(month, opening, closing, sums, _entries(lines, groups, opening, month.zone), seconds, running)


def opening(month: Month) -> Decimal:
    """The balance with which a month begins."""
    (before,) = _marks([month.start])
    return before.after if before else ZERO


def _sums(within: list[ColumnElement[bool]]) -> list[Sum]:
    row = BalanceTransaction
    query = select(row.kind, func.count(), func.sum(row.amount)).where(*within).group_by(row.kind)
    found = {kind: Sum(kind, count, amount) for kind, count, amount in db.session.execute(query)}
    return [found[kind] for kind in KINDS if kind in found]


def _summed(sums: list[Sum]) -> tuple[str, ...]:
    """The kinds of which there are too many to be listed."""
    calls = sum(each.count for each in sums if each.kind in CHARGES)
    others = sum(each.count for each in sums if each.kind in OTHERS)
    return (CHARGES if calls > CALLS_AT_MOST else ()) + (OTHERS if others > OTHERS_AT_MOST else ())


def _lines(within: list[ColumnElement[bool]], kinds: Iterable[str], named: bool) -> list[Line]:
    conditions = [*within, BalanceTransaction.kind.in_(list(kinds))]
    return movements.lines(conditions, CALLS_AT_MOST + OTHERS_AT_MOST, named=named, ascending=True)


def _groups(within: list[ColumnElement[bool]], kinds: tuple[str, ...], month: Month) -> list[Group]:
    """One row a day and kind, made by the database: at most some two hundred, however many movements."""
    row = BalanceTransaction
    day = _bucket([(stats.day_limits(each, month.zone)[1], each.day) for each in month.days()])
    query = (
        select(day, row.kind, func.count(), func.sum(row.amount), func.sum(CallCharge.duration_seconds))
        .outerjoin(CallCharge, CallCharge.id == row.call_charge_id)
        .where(*within, row.kind.in_(kinds))
        .group_by("bucket", row.kind)
    )
    return [_group(found, month) for found in db.session.execute(query)]


def _group(found: Any, month: Month) -> Group:
    number, kind, count, amount, seconds = found
    return Group(month.first.replace(day=number), kind, count, amount, int(seconds or 0) if kind in CHARGES else 0)


def _entries(lines: list[Line], groups: list[Group], opening: Decimal, zone: str) -> list[Entry]:
    """Day by day: the movements in their order, then what is summed up. The balance runs down the lines."""
    ordered: list[tuple[date, int, Line | Group]] = sorted(
        [
            *((stats.local_day(line.at, zone), -1, line) for line in lines),
            *((group.day, KINDS.index(group.kind), group) for group in groups),
        ],
        key=lambda each: each[:2],
    )
    balances = accumulate((what.amount for _day, _rank, what in ordered), initial=opening)
    next(balances)
    return [Entry(day, what, after) for (day, _rank, what), after in zip(ordered, balances, strict=True)]
