"""The movements of the ledger for people to read: page by page, explained, exported. Reads only; money is euros."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, null, or_, select
from sqlalchemy.orm import aliased

from portal.db import db
from portal.domain import pricing
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    BillingRate,
    Call,
    CallCharge,
    Customer,
)
from portal.models.balance import KINDS

PAGE = 50
CHUNK = 500


@dataclass(frozen=True)
class CalledLine:
    """The call behind a charge. Name and number only for who may see calls."""

    id: int
    seconds: int
    name: str | None = None
    phone: str | None = None


@dataclass(frozen=True)
class Explanation:
    """A charge computed again from its own row. ``agrees``: the result is what was charged."""

    price: pricing.Price
    tariff_since: datetime | None
    charged: Decimal
    held: Decimal | None
    released_at: datetime | None

    @property
    def agrees(self) -> bool:
        return self.price.amount == self.charged


@dataclass(frozen=True)
class Line:
    """One movement: ``amount`` signed, ``after`` the balance that it led to."""

    id: int
    kind: str
    at: datetime
    amount: Decimal
    after: Decimal
    reference: str
    description: str | None = None
    call: CalledLine | None = None
    explanation: Explanation | None = None
    topup_id: int | None = None
    topup_label: str | None = None
    invoice_number: str | None = None
    automatic: bool = False

    @property
    def before(self) -> Decimal:
        return self.after - self.amount

    @property
    def is_charge(self) -> bool:
        return self.kind == "charge"


@dataclass(frozen=True)
class Filters:
    """What the ledger shows. ``start`` is included, ``end`` is not; both aware."""

    kind: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        row = BalanceTransaction
        made = [row.kind == self.kind] if self.kind in KINDS else []
        if self.start:
            made.append(row.created_at >= self.start)
        if self.end:
            made.append(row.created_at < self.end)
        return made


@dataclass(frozen=True)
class LedgerPage:
    """Movements, newest first; ids for the pages beside it, None at an end."""

    lines: list[Line]
    newer: int | None
    older: int | None


@dataclass(frozen=True)
class Place:
    """Where a page of the ledger begins, by a movement's id: below it, above it, or with it; else at the newest."""

    before: int | None = None
    after: int | None = None
    at: int | None = None


def ledger_page(filters: Filters, place: Place, *, named: bool) -> LedgerPage:
    """One page by keyset. ``named``: with the callers' names and numbers."""
    conditions, before, after = filters.conditions(), place.before, place.after
    if after is not None:
        found = lines([*conditions, _newer_than(after)], PAGE + 1, named=named, ascending=True)
        more, shown = len(found) > PAGE, found[:PAGE][::-1]
        return LedgerPage(shown, shown[0].id if shown and more else None, shown[-1].id if shown else None)
    if before is not None:
        conditions.append(_older_than(before))
    elif place.at is not None:
        conditions.append(or_(_older_than(place.at), BalanceTransaction.id == place.at))
    found = lines(conditions, PAGE + 1, named=named)
    more, shown = len(found) > PAGE, found[:PAGE]
    newest = before is None and place.at is None
    return LedgerPage(shown, None if newest or not shown else shown[0].id, shown[-1].id if more else None)


def line(movement_id: int, *, named: bool) -> Line | None:
    """One movement of the current company."""
    return next(iter(lines([BalanceTransaction.id == movement_id], 1, named=named)), None)


def chunk(filters: Filters, last: int | None, *, named: bool) -> list[Line]:
    """For exports: the next movements after ``last``, oldest first; none at the end."""
    conditions = filters.conditions() + ([] if last is None else [_newer_than(last)])
    return lines(conditions, CHUNK, named=named, ascending=True)


def _older_than(movement_id: int) -> ColumnElement[bool]:
    row, moment = BalanceTransaction, _moment_of(movement_id)
    return and_(row.created_at <= moment, or_(row.created_at < moment, row.id < movement_id))


def _newer_than(movement_id: int) -> ColumnElement[bool]:
    row, moment = BalanceTransaction, _moment_of(movement_id)
    return and_(row.created_at >= moment, or_(row.created_at > moment, row.id > movement_id))


def _moment_of(movement_id: int) -> Any:
    mark = aliased(BalanceTransaction)
    return select(mark.created_at).where(mark.id == movement_id).scalar_subquery()


def lines(conditions: Iterable[ColumnElement[bool]], limit: int, *, named: bool, ascending: bool = False) -> list[Line]:
    """Ids first, over the index alone; then everything that a line may show, in one statement."""
    row = BalanceTransaction
    order = (row.created_at.asc(), row.id.asc()) if ascending else (row.created_at.desc(), row.id.desc())
    ids = select(row.id).where(*conditions).order_by(*order).limit(limit).subquery()
    query = _columns(named).join(ids, ids.c.id == row.id).order_by(*order)
    return [_line(found) for found in db.session.execute(query)]


def _columns(named: bool) -> Select[*tuple[Any, ...]]:
    row, charge, held = BalanceTransaction, CallCharge, BalanceReservation
    person = (Customer.full_name, Call.phone_number) if named else (null(), null())
    query: Select[*tuple[Any, ...]] = (
        select(
            row.id, row.kind, row.created_at, row.amount, row.balance_after, row.reference, row.description,
            row.topup_id, BalanceTopup.payment_label, BalanceTopup.invoice_number, BalanceTopup.is_auto_topup,
            charge.call_id, charge.duration_seconds, charge.increment_seconds, charge.rate_per_minute,
            charge.setup_fee, charge.minimum_charge, charge.amount_charged, BillingRate.valid_from,
            held.amount.label("held"), held.resolved_at,
            person[0].label("name"), person[1].label("phone"),
        )
        .select_from(row)
        .outerjoin(BalanceTopup, BalanceTopup.id == row.topup_id)
        .outerjoin(charge, charge.id == row.call_charge_id)
        .outerjoin(BillingRate, BillingRate.id == charge.billing_rate_id)
        .outerjoin(held, held.call_id == charge.call_id)
    )  # fmt: skip
    if not named:
        return query
    return query.outerjoin(Call, Call.id == charge.call_id).outerjoin(Customer, Customer.id == Call.customer_id)


def _line(found: Row[Any]) -> Line:
    called = found.call_id is not None
    return Line(
        id=found.id,
        kind=found.kind,
        at=found.created_at,
        amount=found.amount,
        after=found.balance_after,
        reference=found.reference,
        description=found.description,
        call=CalledLine(found.call_id, found.duration_seconds, found.name, found.phone) if called else None,
        explanation=_explanation(found) if called and found.kind == "charge" else None,
        topup_id=found.topup_id,
        topup_label=found.payment_label,
        invoice_number=found.invoice_number,
        automatic=bool(found.is_auto_topup),
    )


def _explanation(found: Row[Any]) -> Explanation:
    tariff = pricing.Tariff(found.rate_per_minute, found.increment_seconds, found.minimum_charge, found.setup_fee)
    price = pricing.price(found.duration_seconds, tariff)
    return Explanation(price, found.valid_from, found.amount_charged, found.held, found.resolved_at)
