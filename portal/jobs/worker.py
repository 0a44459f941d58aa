"""The worker's rounds: events that wait in the inbox, jobs in the outbox, and what runs by the clock.

Two workers do no harm: a job is claimed by one conditional UPDATE, a periodic job by its lease row.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError

from portal import jobs
from portal.db import db, rows_changed, transaction, utcnow
from portal.models import OutboxJob, WorkerLease
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox

log = structlog.get_logger()

MAX_ATTEMPTS = 10
# A job whose worker was killed comes back after this long.
CLAIM = timedelta(minutes=5)
LEASE = timedelta(minutes=10)
HOLDER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Claimed:
    """A job of the outbox that is ours for now."""

    id: int
    kind: str
    payload: dict[str, Any]
    company_id: int | None
    attempts: int


def run_once() -> None:
    """One round of everything that is due now."""
    drain_inbox(utcnow())
    run_periodic(utcnow())
    drain_outbox(utcnow())
    drain_slow(utcnow())


def drain_inbox(now: datetime) -> int:
    """Try the due events again; how many were looked at."""
    due = inbox.due(now)
    for event_id in due:
        _guarded("inbox", partial(inbox.process, event_id))
    return len(due)


def drain_outbox(now: datetime, limit: int = 100) -> int:
    """Do the due jobs but the slow ones; how many were done or failed."""
    return _drain(now, limit, OutboxJob.kind.not_in(jobs.slow_kinds()))


def drain_slow(now: datetime, limit: int = 10) -> int:
    """The same for jobs that wait long for somebody else. Several threads may do this at once."""
    return _drain(now, limit, OutboxJob.kind.in_(jobs.slow_kinds()))


def _drain(now: datetime, limit: int, kinds: ColumnElement[bool]) -> int:
    done = 0
    for job_id in _due(now, limit, kinds):
        job = transaction(partial(_claim, job_id, now))
        if job is not None:
            _do(job)
            done += 1
    return done


def run_periodic(now: datetime) -> None:
    """Run every job by the clock whose time has come and that no other worker holds."""
    for name, (seconds, run) in jobs.periodic_jobs().items():
        if transaction(partial(_lease, name, now, timedelta(seconds=seconds))):
            _guarded(name, partial(run, now))
            transaction(partial(_release, name))


def _guarded(name: str, run: Callable[[], object]) -> None:
    try:
        run()
    except Exception as error:
        db.session.rollback()
        log.error("job failed", job=name, exc_info=error)


def _due(now: datetime, limit: int, kinds: ColumnElement[bool]) -> list[int]:
    with all_tenants("the worker serves every company"):
        return list(
            db.session.scalars(
                select(OutboxJob.id)
                .where(OutboxJob.status == "pending", OutboxJob.next_attempt_at <= now, kinds)
                .order_by(OutboxJob.next_attempt_at)
                .limit(limit)
            )
        )


def _claim(job_id: int, now: datetime) -> Claimed | None:
    """Put the job off for everybody else; None when another worker was first."""
    with all_tenants("the worker serves every company"):
        claimed = rows_changed(
            update(OutboxJob)
            .where(OutboxJob.id == job_id, OutboxJob.status == "pending", OutboxJob.next_attempt_at <= now)
            .values(next_attempt_at=now + CLAIM, attempts=OutboxJob.attempts + 1)
        )
        if not claimed:
            return None
        job = db.session.get_one(OutboxJob, job_id, populate_existing=True)
        return Claimed(job.id, job.kind, job.payload, job.company_id, job.attempts)


def _do(job: Claimed) -> None:
    try:
        handler = jobs.outbox_handlers()[job.kind]
        if job.company_id is None:
            handler(job.payload)
        else:
            with tenant_scope(job.company_id):
                handler(job.payload)
    except Exception as error:
        db.session.rollback()
        log.error("outbox job failed", job_id=job.id, kind=job.kind, exc_info=error)
        message = f"{type(error).__name__}: {error}"[:2000]
        transaction(lambda: _put_off(job, message))
    else:
        transaction(lambda: _finish(job))


def _finish(job: Claimed) -> None:
    """Mark it done, unless it has been enqueued again meanwhile, which sets its attempts back."""
    with all_tenants("the worker serves every company"):
        rows_changed(
            update(OutboxJob)
            .where(OutboxJob.id == job.id, OutboxJob.attempts == job.attempts)
            .values(status="done", done_at=utcnow(), next_attempt_at=None, error=None)
        )


def _put_off(job: Claimed, message: str) -> None:
    dead = job.attempts >= MAX_ATTEMPTS
    again = None if dead else utcnow() + inbox.backoff(job.attempts)
    _set(job.id, status="dead" if dead else "pending", next_attempt_at=again, error=message)


def _set(job_id: int, **values: Any) -> None:
    with all_tenants("the worker serves every company"):
        db.session.execute(update(OutboxJob).where(OutboxJob.id == job_id).values(**values))


def _lease(name: str, now: datetime, every: timedelta) -> bool:
    """Take the job's lease when it is due and free; False otherwise."""
    lease = db.session.scalar(select(WorkerLease).where(WorkerLease.job == name).with_for_update())
    if lease is None:
        return _first_lease(name, now)
    if lease.expires_at > now or (lease.last_run_at and lease.last_run_at + every > now):
        return False
    lease.holder, lease.expires_at, lease.last_run_at = HOLDER, now + LEASE, now
    return True


def _first_lease(name: str, now: datetime) -> bool:
    try:
        with db.session.begin_nested():
            db.session.add(WorkerLease(job=name, holder=HOLDER, expires_at=now + LEASE, last_run_at=now))
    except IntegrityError:
        return False  # another worker was first
    return True


def _release(name: str) -> None:
    db.session.execute(
        update(WorkerLease).where(WorkerLease.job == name, WorkerLease.holder == HOLDER).values(expires_at=utcnow())
    )
