"""What is to be done outside, or later, once the running transaction is committed. The worker does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

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

    With a ``dedupe_key`` a waiting job is left as it is; one that is finished, failed before or running now starts
    anew, because what it is doing may have missed what is enqueued here.
    """
    due = utcnow() + after
    job = OutboxJob(kind=kind, payload=payload, company_id=company_id, dedupe_key=dedupe_key, next_attempt_at=due)
    known = _find(dedupe_key) if dedupe_key else None
    if known is None and not _insert(job):
        known = _find(dedupe_key or "")
    if known is not None and (known.status != "pending" or known.attempts):
        _restart(known, payload, due)


def hasten(dedupe_key: str, payload: dict[str, Any], after: timedelta) -> None:
    """A job that waits waits no longer than that. Asked for at once, or sooner than it was, it gets this payload."""
    due, job = utcnow() + after, _find(dedupe_key)
    if job is None or job.status != "pending" or not job.next_attempt_at:
        return
    if not after or job.next_attempt_at > due:
        job.payload, job.next_attempt_at = payload, min(job.next_attempt_at, due)


def _insert(job: OutboxJob) -> bool:
    """False when another transaction has written a job of the same key meanwhile."""
    if job.dedupe_key is None:
        db.session.add(job)
        db.session.flush()
        return True
    try:
        with db.session.begin_nested():
            db.session.add(job)
    except IntegrityError:
        return False
    return True


def _find(dedupe_key: str) -> OutboxJob | None:
    return db.session.scalar(
        select(OutboxJob)
        .where(OutboxJob.dedupe_key == dedupe_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _restart(job: OutboxJob, payload: dict[str, Any], due: datetime) -> None:
    job.payload, job.status, job.attempts, job.error, job.done_at = payload, "pending", 0, None, None
    job.next_attempt_at = due
