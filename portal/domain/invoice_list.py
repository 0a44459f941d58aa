"""The list of a company's invoices: page by page, by year, with sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased

from portal.db import db
from portal.models import Invoice

ZERO = Decimal("0.00")
PAGE = 50


@dataclass(frozen=True)
class Row:
    """One line of the list; ``corrects`` is the number of the document that this one changes."""

    id: int
    number: str
    kind: str
    issued_on: date
    net: Decimal
    tax: Decimal
    gross: Decimal
    corrects: str | None


@dataclass(frozen=True)
class Totals:
    """Sums of a year (or of all), euros."""

    count: int
    net: Decimal
    tax: Decimal
    gross: Decimal


def page(year: int | None, after: tuple[date, int] | None = None, size: int = PAGE) -> tuple[list[Row], bool]:
    """Documents, newest first, beyond the key ``after`` (day, id); and whether there are older ones."""
    wanted = _of_year(year)
    if after is not None:
        day, last_id = after
        wanted += [Invoice.issued_on <= day, or_(Invoice.issued_on < day, Invoice.id < last_id)]
    rows = _rows(wanted, size + 1)
    return rows[:size], len(rows) > size


def of_topup(topup_id: int) -> list[Row]:
    """The invoice of a top-up and what has changed it since, newest first."""
    own = aliased(Invoice)
    corrected = select(own.id).where(own.topup_id == topup_id)
    return _rows([or_(Invoice.topup_id == topup_id, Invoice.corrects_id.in_(corrected))], PAGE)


def _rows(wanted: list[Any], size: int) -> list[Row]:
    original = aliased(Invoice)
    rows = db.session.execute(
        select(
            Invoice.id,
            Invoice.number,
            Invoice.kind,
            Invoice.issued_on,
            Invoice.net_amount,
            Invoice.tax_amount,
            Invoice.gross_amount,
            original.number,
        )
        .outerjoin(original, original.id == Invoice.corrects_id)
        .where(*wanted)
        .order_by(Invoice.issued_on.desc(), Invoice.id.desc())
        .limit(size)
    )
    return [Row(*row) for row in rows]


def years() -> list[int]:
    """The years that have documents, newest first."""
    first, last = db.session.execute(select(func.min(Invoice.issued_on), func.max(Invoice.issued_on))).one()
    return list(range(last.year, first.year - 1, -1)) if first else []


def totals(year: int | None) -> Totals:
    """What the documents come to; Storno and corrections count against."""
    columns = (Invoice.net_amount, Invoice.tax_amount, Invoice.gross_amount)
    count, *sums = db.session.execute(
        select(func.count(Invoice.id), *(func.sum(column) for column in columns)).where(*_of_year(year))
    ).one()
    return Totals(count, *(amount or ZERO for amount in sums))


def _of_year(year: int | None) -> list[Any]:
    return [] if year is None else [Invoice.issued_on.between(date(year, 1, 1), date(year, 12, 31))]
