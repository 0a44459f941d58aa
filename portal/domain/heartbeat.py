"""The pipeline's heartbeat: when a provider was last heard, what came late, what was refused."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.models import PipelineHeartbeat

PLATFORM = "platform"
# What is caught up within this time of each other is told together.
TOGETHER = timedelta(hours=24)


def scope_of(company_id: int | None) -> str:
    return PLATFORM if company_id is None else f"company:{company_id}"


def heard(provider: str, company_id: int | None, now: datetime) -> None:
    """A rightly signed event has come in. Needs ``all_tenants`` and a transaction.

    What was refused is counted from here on: the light says how many since the last good one.
    """
    row = ensure(provider, company_id)
    db.session.execute(
        update(PipelineHeartbeat).where(PipelineHeartbeat.id == row).values(last_event_at=now, refused_requests=0)
    )


def refused(provider: str, company_id: int | None, now: datetime) -> None:
    """A request was turned away: wrong signature, unreadable, too large. Only counted, never stored."""
    row = ensure(provider, company_id)
    db.session.execute(
        update(PipelineHeartbeat)
        .where(PipelineHeartbeat.id == row)
        .values(refused_requests=PipelineHeartbeat.refused_requests + 1, last_refused_at=now)
    )


def caught_up(provider: str, company_id: int, calls: int, now: datetime) -> None:
    """So many calls were late and have been fetched; needs a transaction."""
    row = db.session.get_one(PipelineHeartbeat, ensure(provider, company_id), with_for_update=True)
    together = row.last_late_at is not None and row.last_late_at > now - TOGETHER
    row.late_events, row.last_late_at = (row.late_events if together else 0) + calls, now
    db.session.flush()


def ensure(provider: str, company_id: int | None) -> int:
    """The id of the one row of this provider and company, made if there is none."""
    scope = scope_of(company_id)
    find = select(PipelineHeartbeat.id).where(PipelineHeartbeat.scope == scope, PipelineHeartbeat.provider == provider)
    if (found := db.session.scalar(find)) is not None:
        return found
    try:
        with db.session.begin_nested():
            db.session.add(PipelineHeartbeat(scope=scope, provider=provider, company_id=company_id))
    except IntegrityError:
        pass  # another process was first
    return db.session.scalars(find).one()
