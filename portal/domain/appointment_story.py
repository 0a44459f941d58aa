"""What has happened with an appointment, from its audit records, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db
from portal.models import Appointment, AuditLog, Branch, PortalUser, Service, Staff

Names = Mapping[str, Mapping[int, str]]
# Columns whose rows have names, and the tables that these stand in.
NAMED: dict[str, type[Staff] | type[Branch] | type[Service]] = {
    "staff_id": Staff,
    "branch_id": Branch,
    "service_id": Service,
}


@dataclass(frozen=True)
class Change:
    """One thing that is different: ``label``, before and after. Both are '' where the audit keeps no contents."""

    label: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Step:
    """One change. ``by`` is the person who made it, '' for Cal.com and the system. ``ends_*`` only where the end moved
    without the start. ``told``: the kind of mail that the customer was sent."""

    action: str
    at: datetime
    by: str
    by_id: int | None = None
    moved_from: datetime | None = None
    moved_to: datetime | None = None
    ends_from: datetime | None = None
    ends_to: datetime | None = None
    price_from: Decimal | None = None
    price_to: Decimal | None = None
    changes: tuple[Change, ...] = ()
    reason: str = ""
    overlaps: int = 0
    told: str = ""


def steps(appointment: Appointment) -> list[Step]:
    """The latest first; four queries at most."""
    rows = db.session.execute(
        select(AuditLog, PortalUser.name)
        .outerjoin(PortalUser, PortalUser.id == AuditLog.user_id)
        .where(AuditLog.model_type == Appointment.__tablename__, AuditLog.model_id == appointment.id)
        .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
        .limit(50)
    ).all()
    names = _names([row.AuditLog for row in rows])
    return [_step(record, name or "", names) for record, name in rows]


def changes_of(steps: Iterable[Step]) -> list[Step]:
    """Those that changed the appointment: a mail to the customer does not."""
    return [step for step in steps if not step.told]


def _names(records: Iterable[AuditLog]) -> Names:
    """The people, branches and services that an appointment has gone from and to."""
    changed = [values for record in records if record.action in CHANGES for values in _both(record)]
    found: dict[str, dict[int, str]] = {}
    for column, model in NAMED.items():
        ids = {values[column] for values in changed if values.get(column)}
        rows: Any = db.session.scalars(select(model).where(model.id.in_(ids))) if ids else ()
        found[column] = {row.id: row.name for row in rows}
    return found


CHANGES = ("appointment.moved", "appointment.edited")


def _both(record: AuditLog) -> tuple[dict[str, Any], dict[str, Any]]:
    return record.old_values or {}, record.new_values or {}


def _step(record: AuditLog, name: str, names: Names) -> Step:
    old, new = _both(record)
    is_change = record.action in CHANGES
    return Step(
        action=record.action.partition(".")[2],
        at=record.created_at,
        by=name,
        by_id=record.user_id,
        moved_from=_moment(old.get("start_time")),
        moved_to=_moment(new.get("start_time")),
        ends_from=_moment(old.get("end_time")) if "start_time" not in old else None,
        ends_to=_moment(new.get("end_time")) if "start_time" not in old else None,
        price_from=_euros(old.get("price")) if is_change else None,
        price_to=_euros(new.get("price")) if is_change else None,
        changes=tuple(_changes(old, new, names)) if is_change else (),
        reason=new.get("reason") or "",
        overlaps=len(new.get("overlaps") or []),
        told=str(new.get("kind") or "") if record.action == "appointment.told" else "",
    )


def _changes(old: dict[str, Any], new: dict[str, Any], names: Names) -> Iterator[Change]:
    """What is different besides the time; of a note and a customer only that they are."""
    nobody = {"staff_id": _("nobody"), "service_id": _("none")}
    labels = {"staff_id": _("Booked with"), "branch_id": _("Branch"), "service_id": _("Service")}
    for column, label in labels.items():
        if column in old:
            before, after = (_name(names[column], values[column], nobody.get(column, "")) for values in (old, new))
            yield Change(label, before, after)
    silent = {"customer_id": _("Customer"), "customer_notes": _("Remark"), "internal_notes": _("Note")}
    yield from (Change(label) for column, label in silent.items() if column in (new.get("fields") or []))


def _name(names: Mapping[int, str], row_id: int | None, nobody: str) -> str:
    return nobody if row_id is None else names.get(row_id, "–")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _euros(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None
