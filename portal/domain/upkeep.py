"""Our own post, thrown away once nobody can need it: deliveries from outside, finished jobs, sent mail.

All of it may hold what callers said. Needs ``all_tenants``; each function deletes at most ``CHUNK`` rows and says how
many, so that nobody waits for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, delete, func, or_, select, text

from portal.db import db, rows_changed
from portal.models import Company, DaySheetPrint, EmailOutbox, OutboxJob, WebhookEvent

CHUNK = 2000
# A delivery's row makes its repetition harmless: providers repeat for days. What nobody has settled waits longer.
DELIVERIES_STAY, UNSETTLED_STAY = timedelta(days=30), timedelta(days=90)
# Keys of jobs and mails say that something was done or told once.
JOBS_STAY = MAILS_STAY = timedelta(days=90)
# What callers said, sent by e-mail. A company may keep it for a day only, and the key counts for one form.
WORDS_STAY, WITH_WORDS = timedelta(days=4), "call.summary:%"
# Paper of two months ago is in the bin; its code is then as unknown as any.
PRINTS_STAY = timedelta(days=60)
SETTLED = ("done", "ignored")
# Not before providers have stopped repeating a delivery, however short a company keeps what was said.
SHORTEST = 4


def deliveries(now: datetime) -> int:
    row = WebhookEvent
    settled = and_(row.status.in_(SETTLED), row.created_at < now - DELIVERIES_STAY)
    other = and_(row.status.in_(("quarantined", "dead")), row.created_at < now - UNSETTLED_STAY)
    return _delete(row, row.created_at < now - DELIVERIES_STAY, or_(settled, other), order=row.created_at)


def deliveries_by_wish(now: datetime) -> int:
    """Of companies that keep transcripts for a shorter time than we keep deliveries."""
    row, company = WebhookEvent, Company
    days = func.coalesce(company.transcript_retention_days, company.metadata_retention_days)
    rows = db.session.execute(select(company.id, days).where(days < DELIVERIES_STAY.days)).all()
    theirs = [
        and_(row.company_id == company_id, row.created_at < now - timedelta(days=max(kept, SHORTEST)))
        for company_id, kept in rows
    ]
    return _delete(row, or_(*theirs), row.status.in_(SETTLED), order=row.id) if theirs else 0


def jobs(now: datetime) -> int:
    row = OutboxJob
    return _delete(row, row.status == "done", row.done_at < now - JOBS_STAY, order=row.id)


def mails(now: datetime) -> int:
    """Sent ones by when they were, given up ones by their last attempt; those with a caller's words much sooner."""
    row = EmailOutbox
    ended = case((row.status == "sent", row.sent_at), else_=row.updated_at)
    with_words = and_(row.dedupe_key.like(WITH_WORDS), ended < now - WORDS_STAY)
    return _delete(row, row.status.in_(("sent", "failed")), or_(ended < now - MAILS_STAY, with_words), order=row.id)


def day_sheet_prints(now: datetime) -> int:
    row = DaySheetPrint
    return _delete(row, row.created_at < now - PRINTS_STAY, order=row.id)


def _delete(row: Any, *conditions: Any, order: Any) -> int:
    ids = list(db.session.scalars(select(row.id).where(*conditions).order_by(order).limit(CHUNK)))
    return rows_changed(delete(row).where(row.id.in_(ids))) if ids else 0


def refresh_statistics() -> None:
    """What SQLite's planner goes by; MySQL and MariaDB keep theirs by themselves. Needs a transaction."""
    if db.engine.dialect.name == "sqlite":
        db.session.execute(text("PRAGMA optimize"))
