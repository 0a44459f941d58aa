"""What is to be done outside, or later, once the running transaction is committed. The worker does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.db import db, utcnow
from portal.models import OutboxJob


def enqueue(
    kind: str,
    payload: dict[str, Any],
    *,
    company_id: int | None,
    dedupe_key: str | None = None,
    after: timedelta = timedelta(0),
) -> None:
    """Write a job into the running transaction.

    With a ``dedupe_key`` a waiting job is left as it is, and one that is finished starts anew.
    """
    due = utcnow() + after
    known = _find(dedupe_key) if dedupe_key else None
    if known is None:
        db.session.add(
            OutboxJob(kind=kind, payload=payload, company_id=company_id, dedupe_key=dedupe_key, next_attempt_at=due)
        )
        db.session.flush()
    elif known.status != "pending":
        _restart(known, payload, due)


def _find(dedupe_key: str) -> OutboxJob | None:
    return db.session.scalar(select(OutboxJob).where(OutboxJob.dedupe_key == dedupe_key).with_for_update())


def _restart(job: OutboxJob, payload: dict[str, Any], due: datetime) -> None:
    job.payload, job.status, job.attempts, job.error, job.done_at = payload, "pending", 0, None, None
    job.next_attempt_at = due
