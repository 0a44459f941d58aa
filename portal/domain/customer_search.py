"""The list of customers: search by name, number or address, filters, pages by keyset."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from portal.db import db
from portal.domain import phones, search_names
from portal.models import Appointment, Customer, CustomerPhone

PAGE = 50
MOST = 1000  # counted exactly up to here
NEW = timedelta(days=30)
FILTERS = ("", "new", "unconfirmed", "blocked")
ORDERS = ("newest", "name")
COMING = ("scheduled", "confirmed")
_LIKE = re.compile(r"([\\%_])")
_WORDS = re.compile(r"([^\W_]+)")


@dataclass(frozen=True)
class Wish:
    """What the list is asked for. ``after`` is the cursor of the page before."""

    query: str = ""
    only: str = ""
    order: str = "newest"
    after: str = ""


@dataclass(frozen=True)
class Visits:
    """A customer's appointments in figures: euros of completed ones, the last of those and the next to come."""

    completed: int = 0
    spent: Decimal = Decimal("0.00")
    last: datetime | None = None
    next: datetime | None = None


@dataclass(frozen=True)
class Row:
    customer: Customer
    visits: Visits


@dataclass(frozen=True)
class Page:
    """``total`` is None on pages behind the first; ``more`` says there are more than that."""

    rows: list[Row]
    total: int | None
    more: bool
    older: str | None


def search(wish: Wish, now: datetime, country: str, branch_ids: Sequence[int] | None = None) -> Page:
    """One page of customers. Figures count the given branches only; the customers are the whole company's."""
    at_start = not wish.after
    ids = list(db.session.scalars(_ids(wish, now, country).limit(MOST + 1 if at_start else PAGE + 1)))
    shown = ids[:PAGE]
    customers = {row.id: row for row in db.session.scalars(select(Customer).where(Customer.id.in_(shown)))}
    visits = visits_of(shown, now, branch_ids)
    rows = [Row(customers[each], visits.get(each, Visits())) for each in shown if each in customers]
    return Page(
        rows=rows,
        total=min(len(ids), MOST) if at_start else None,
        more=len(ids) > MOST,
        older=_cursor(rows[-1].customer, wish.order) if rows and len(ids) > PAGE else None,
    )


def suggestions(query: str, country: str, limit: int = 8) -> list[Customer]:
    """The first matches while somebody types; [] for an empty query. Blocked people are among them, marked."""
    if not query.strip():
        return []
    matches = select(Customer).where(Customer.is_active, *matching(query, country))
    return list(db.session.scalars(matches.order_by(Customer.created_at.desc(), Customer.id.desc()).limit(limit)))


# ---- Which ones -------------------------------------------------------------------------------------------


def _ids(wish: Wish, now: datetime, country: str) -> Select[int]:
    query = select(Customer.id).where(Customer.is_active, *matching(wish.query, country), *_only(wish.only, now))
    if (place := _place(wish)) is not None:
        query = query.where(place)
    if wish.order == "name":
        return query.order_by(Customer.last_name, Customer.first_name, Customer.id)
    return query.order_by(Customer.created_at.desc(), Customer.id.desc())


def _only(only: str, now: datetime) -> list[ColumnElement[bool]]:
    conditions: dict[str, list[ColumnElement[bool]]] = {
        "new": [Customer.created_at > now - NEW],
        "unconfirmed": [Customer.name_confirmed.is_(False)],
        "blocked": [Customer.is_blocked.is_(True)],
    }
    return conditions.get(only, [])


def matching(query: str, country: str) -> list[ColumnElement[bool]]:
    """Conditions on customers that all must hold; one that never holds for a query without a letter or digit."""
    text = query.strip()
    if not text:
        return []
    if "@" in text:
        return [Customer.email.like(f"{_plain(text.lower())}%", escape="\\")]
    if digits := phones.digits_for_search(text, country):
        return [_numbered(digits)]
    words = search_names.like_patterns(text)
    return [Customer.search_name.like(word) for word in words] or [Customer.id < 0]


def _numbered(digits: str) -> ColumnElement[bool]:
    """Numbers that end so. Further numbers are looked up first: as a subquery they would cost the index."""
    ends = Customer.phone_rev.like(f"{digits[::-1]}%")
    query = select(CustomerPhone.customer_id).where(CustomerPhone.phone_normalized.like(f"%{digits}")).limit(MOST)
    further = list(db.session.scalars(query))
    return or_(ends, Customer.id.in_(further)) if further else ends


def _plain(text: str) -> str:
    return _LIKE.sub(r"\\\1", text)


# ---- Pages ------------------------------------------------------------------------------------------------


def _cursor(customer: Customer, order: str) -> str:
    place: list[Any] = [order, customer.id]
    place += [customer.last_name, customer.first_name] if order == "name" else [customer.created_at.isoformat()]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _place(wish: Wish) -> ColumnElement[bool] | None:
    """The condition "behind this customer"; None at the start and for a cursor that is none of ours."""
    try:
        order, last_id, *place = json.loads(base64.urlsafe_b64decode(wish.after + "=" * (-len(wish.after) % 4)))
        if order != wish.order or not isinstance(last_id, int):
            return None
        return _behind_name(last_id, *place) if order == "name" else _behind_time(last_id, *place)
    except (ValueError, TypeError, binascii.Error):
        return None


def _behind_time(last_id: int, moment: str) -> ColumnElement[bool]:
    then = datetime.fromisoformat(moment)
    return and_(
        Customer.created_at <= then,
        or_(Customer.created_at < then, and_(Customer.created_at == then, Customer.id < last_id)),
    )


def _behind_name(last_id: int, last: str | None, first: str | None) -> ColumnElement[bool]:
    behind_last, same_last = _behind(Customer.last_name, last)
    behind_first, same_first = _behind(Customer.first_name, first)
    return or_(behind_last, and_(same_last, or_(behind_first, and_(same_first, Customer.id > last_id))))


def _behind(column: Any, value: str | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Greater than and equal to; NULL sorts before everything on both engines."""
    if value is None:
        return column.is_not(None), column.is_(None)
    return column > value, column == value


# ---- What stands beside them ------------------------------------------------------------------------------


def visits_of(customer_ids: Sequence[int], now: datetime, branch_ids: Sequence[int] | None = None) -> dict[int, Visits]:
    """Figures of these customers, in one query."""
    done = Appointment.status == "completed"
    coming = and_(Appointment.status.in_(COMING), Appointment.start_time >= now)
    query = (
        select(
            Appointment.customer_id,
            func.sum(case((done, 1), else_=0)),
            func.sum(case((done, Appointment.price))),
            func.max(case((done, Appointment.start_time))),
            func.min(case((coming, Appointment.start_time))),
        )
        .where(Appointment.customer_id.in_(customer_ids))
        .group_by(Appointment.customer_id)
    )
    if branch_ids is not None:
        query = query.where(Appointment.branch_id.in_(branch_ids))
    return {
        customer_id: Visits(int(completed or 0), spent or Decimal("0.00"), last, following)
        for customer_id, completed, spent, last, following in db.session.execute(query)
    }


def segments(name: str, query: str) -> list[tuple[str, bool]]:
    """The name in pieces, each with whether the search has found it: ``Jürgen Müller`` for ``mueller``."""
    wanted = search_names.query_words(query)
    return [(piece, bool(wanted) and _is_hit(piece, wanted)) for piece in _WORDS.split(name) if piece]


def _is_hit(piece: str, wanted: list[str]) -> bool:
    stored = search_names.search_name(None, piece)
    return any(f" {word}" in stored for word in wanted)
