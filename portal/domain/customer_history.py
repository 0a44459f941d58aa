"""One customer over time: calls, appointments and notes, newest first, and what they add up to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.models import Appointment, Call, Customer, CustomerNote

KINDS = ("call", "appointment", "note")
COMING = ("scheduled", "confirmed")
NOTES = 50
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One line of the timeline; exactly one of the three rows is set."""

    at: datetime
    call: Call | None = None
    appointment: Appointment | None = None
    note: CustomerNote | None = None

    @property
    def kind(self) -> str:
        return "call" if self.call else "appointment" if self.appointment else "note"

    @property
    def id(self) -> int:
        row = self.call or self.appointment or self.note
        assert row is not None
        return row.id

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.at, self.kind, self.id)


@dataclass(frozen=True)
class Figures:
    """A customer in figures; euros of completed appointments."""

    completed: int = 0
    spent: Decimal = Decimal("0.00")
    last_visit: datetime | None = None
    cancelled: int = 0
    no_shows: int = 0
    last_no_show: datetime | None = None
    calls: int = 0
    booked_calls: int = 0

    @property
    def average(self) -> Decimal | None:
        """Euros a visit, rounded to the cent by the page."""
        return self.spent / self.completed if self.completed else None


@dataclass(frozen=True)
class Cursor:
    """The last line of a page: lines of one moment come in the order of their kinds, then by id."""

    at: datetime
    kind: str
    id: int

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.kind}-{self.id}"

    @classmethod
    def parse(cls, written: str | None) -> Cursor | None:
        """None for what is no cursor."""
        found = re.fullmatch(rf"(\d{{1,17}})-({'|'.join(KINDS)})-(\d{{1,18}})", written or "")
        return cls(EPOCH + timedelta(microseconds=int(found[1])), found[2], int(found[3])) if found else None

    def behind(self, kind: str, at: Any, row_id: Any) -> ColumnElement[bool]:
        """The condition for rows of that kind that come after this line."""
        if kind == self.kind:
            return and_(at <= self.at, or_(at < self.at, row_id < self.id))
        earlier: ColumnElement[bool] = at < self.at
        return earlier if KINDS.index(kind) < KINDS.index(self.kind) else or_(earlier, at == self.at)


def timeline(
    customer: Customer,
    limit: int = 20,
    *,
    kinds: Sequence[str] = KINDS,
    branch_ids: Sequence[int] | None = None,
    after: Cursor | None = None,
) -> list[Entry]:
    """At most ``limit`` lines, newest first, behind the last line of the page before; one query a kind.

    ``branch_ids``: calls and appointments of other branches are left out, and calls that reached no branch.
    """
    readers = {"call": _calls, "appointment": _appointments, "note": _notes}
    found = [entry for kind in kinds for entry in readers[kind](customer.id, limit, branch_ids, after)]
    return sorted(found, key=lambda entry: (entry.at, -KINDS.index(entry.kind), entry.id), reverse=True)[:limit]


def notes(customer: Customer) -> list[CustomerNote]:
    """What colleagues wrote, newest first, with their authors."""
    return [entry.note for entry in _notes(customer.id, NOTES, None, None) if entry.note]


def _calls(customer_id: int, limit: int, branches: Sequence[int] | None, after: Cursor | None) -> list[Entry]:
    query = select(Call).where(Call.customer_id == customer_id)
    if after is not None:
        query = query.where(after.behind("call", Call.started_at, Call.id))
    if branches is not None:
        query = query.where(Call.branch_id.in_(branches))
    query = query.order_by(Call.started_at.desc(), Call.id.desc()).limit(limit)
    return [Entry(call.started_at, call=call) for call in db.session.scalars(query)]


def _appointments(customer_id: int, limit: int, branches: Sequence[int] | None, after: Cursor | None) -> list[Entry]:
    query = _with_people().where(Appointment.customer_id == customer_id)
    if after is not None:
        query = query.where(after.behind("appointment", Appointment.start_time, Appointment.id))
    if branches is not None:
        query = query.where(Appointment.branch_id.in_(branches))
    query = query.order_by(Appointment.start_time.desc(), Appointment.id.desc()).limit(limit)
    return [Entry(row.start_time, appointment=row) for row in db.session.scalars(query)]


def _notes(customer_id: int, limit: int, branches: Sequence[int] | None, after: Cursor | None) -> list[Entry]:
    query = select(CustomerNote).where(CustomerNote.customer_id == customer_id).options(joinedload(CustomerNote.author))
    if after is not None:
        query = query.where(after.behind("note", CustomerNote.created_at, CustomerNote.id))
    query = query.order_by(CustomerNote.created_at.desc(), CustomerNote.id.desc()).limit(limit)
    return [Entry(row.created_at, note=row) for row in db.session.scalars(query)]


def next_appointment(customer: Customer, now: datetime, branch_ids: Sequence[int] | None = None) -> Appointment | None:
    """The next one that is not over, with staff, service and branch."""
    query = _with_people().where(
        Appointment.customer_id == customer.id, Appointment.end_time > now, Appointment.status.in_(COMING)
    )
    if branch_ids is not None:
        query = query.where(Appointment.branch_id.in_(branch_ids))
    return db.session.scalars(query.order_by(Appointment.start_time, Appointment.id).limit(1)).first()


def _with_people() -> Select[Appointment]:
    return select(Appointment).options(
        joinedload(Appointment.staff), joinedload(Appointment.service), joinedload(Appointment.branch)
    )


def figures(customer: Customer, branch_ids: Sequence[int] | None = None) -> Figures:
    """Appointments and calls added up, in one round trip."""
    completed, no_show = Appointment.status == "completed", Appointment.status == "no_show"
    visits = select(
        _how_many(completed).label("completed"),
        func.sum(case((completed, Appointment.price))).label("spent"),
        func.max(case((completed, Appointment.start_time))).label("last_visit"),
        _how_many(Appointment.status == "cancelled").label("cancelled"),
        _how_many(no_show).label("no_shows"),
        func.max(case((no_show, Appointment.start_time))).label("last_no_show"),
    ).where(Appointment.customer_id == customer.id)
    calls = select(
        func.count(Call.id).label("calls"), _how_many(Call.appointment_created.is_(True)).label("booked_calls")
    ).where(Call.customer_id == customer.id)
    if branch_ids is not None:
        visits = visits.where(Appointment.branch_id.in_(branch_ids))
        calls = calls.where(Call.branch_id.in_(branch_ids))
    both, told = visits.subquery(), calls.subquery()
    found = db.session.execute(select(both, told).select_from(both.join(told, true()))).mappings().one()
    counts = {name: int(found[name]) for name in ("completed", "cancelled", "no_shows", "calls", "booked_calls")}
    return Figures(
        spent=found["spent"] or Decimal("0.00"),
        last_visit=found["last_visit"],
        last_no_show=found["last_no_show"],
        **counts,
    )


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
