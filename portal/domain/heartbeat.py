"""The pipeline's heartbeat: when a provider was last heard, what came late, what was refused."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.models import PipelineHeartbeat

PLATFORM = "platform"


def scope_of(company_id: int | None) -> str:
    return PLATFORM if company_id is None else f"company:{company_id}"


def heard(provider: str, company_id: int | None, now: datetime) -> None:
    """A rightly signed event has come in. Needs ``all_tenants`` and a transaction.

    What was refused is counted from here on: the light says how many since the last good one.
    """
    row = _ensure(provider, company_id)
    db.session.execute(
        update(PipelineHeartbeat).where(PipelineHeartbeat.id == row).values(last_event_at=now, refused_requests=0)
    )


def refused(provider: str, company_id: int | None, now: datetime) -> None:
    """A request was turned away: wrong signature, unreadable, too large. Only counted, never stored."""
    row = _ensure(provider, company_id)
    db.session.execute(
        update(PipelineHeartbeat)
        .where(PipelineHeartbeat.id == row)
        .values(refused_requests=PipelineHeartbeat.refused_requests + 1, last_refused_at=now)
    )


def _ensure(provider: str, company_id: int | None) -> int:
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
