"""What has happened with an appointment, from its audit records, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.db import db
from portal.models import Appointment, AuditLog, PortalUser, Staff


@dataclass(frozen=True)
class Step:
    """One change. ``by`` is the person who made it, '' for Cal.com and the system."""

    action: str
    at: datetime
    by: str
    moved_from: datetime | None = None
    moved_to: datetime | None = None
    staff_from: str = ""
    staff_to: str = ""
    reason: str = ""
    overlaps: int = 0


def steps(appointment: Appointment) -> list[Step]:
    """The latest first; two queries at most."""
    rows = db.session.execute(
        select(AuditLog, PortalUser.name)
        .outerjoin(PortalUser, PortalUser.id == AuditLog.user_id)
        .where(AuditLog.model_type == Appointment.__tablename__, AuditLog.model_id == appointment.id)
        .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
        .limit(50)
    ).all()
    names = _names({row.AuditLog for row in rows})
    return [_step(record, name or "", names) for record, name in rows]


def _names(records: set[AuditLog]) -> dict[int, str]:
    """The staff members whom an appointment has gone from and to."""
    ids = {
        values["staff_id"]
        for record in records
        if record.action == "appointment.moved"
        for values in (record.old_values or {}, record.new_values or {})
        if values.get("staff_id")
    }
    if not ids:
        return {}
    return {person.id: person.name for person in db.session.scalars(select(Staff).where(Staff.id.in_(ids)))}


def _step(record: AuditLog, name: str, names: dict[int, str]) -> Step:
    old, new = record.old_values or {}, record.new_values or {}
    return Step(
        action=record.action.partition(".")[2],
        at=record.created_at,
        by=name,
        moved_from=_moment(old.get("start_time")),
        moved_to=_moment(new.get("start_time")),
        staff_from=names.get(old.get("staff_id") or 0, ""),
        staff_to=names.get(new.get("staff_id") or 0, ""),
        reason=new.get("reason") or "",
        overlaps=len(new.get("overlaps") or []),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
