"""Mail waits in the outbox: a row in the same transaction as what it tells about, sent by the worker."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from portal.db import db, rows_changed, utcnow
from portal.models import EmailOutbox

MAX_ATTEMPTS = 8
CLAIM = timedelta(minutes=5)


def queue(
    recipient: str,
    subject: str,
    text: str,
    html: str | None = None,
    *,
    company_id: int | None,
    dedupe_key: str | None = None,
    attachments: list[dict[str, Any]] | None = None,
    sender_name: str | None = None,
    reply_to: str | None = None,
) -> bool:
    """Put a mail into the outbox; False when one with this key is there already.

    Attachments are ``{"name", "content_type", "base64"}``. ``sender_name`` stands beside our own address. Needs a
    transaction.
    """
    if dedupe_key and db.session.scalar(select(EmailOutbox.id).where(EmailOutbox.dedupe_key == dedupe_key)):
        return False
    now = utcnow()
    db.session.add(
        EmailOutbox(
            company_id=company_id,
            recipient=recipient,
            sender_name=sender_name,
            reply_to=reply_to,
            subject=subject,
            text_body=text,
            html_body=html,
            dedupe_key=dedupe_key,
            attachments=attachments,
            created_at=now,
            next_attempt_at=now,
        )
    )
    db.session.flush()
    return True


def due(now: datetime, limit: int = 100) -> list[int]:
    """Mails to be sent now. Needs ``all_tenants``."""
    return list(
        db.session.scalars(
            select(EmailOutbox.id)
            .where(EmailOutbox.status == "pending", EmailOutbox.next_attempt_at <= now)
            .order_by(EmailOutbox.next_attempt_at)
            .limit(limit)
        )
    )


def claim(mail_id: int, now: datetime) -> EmailOutbox | None:
    """Put a mail off for everybody else; None when another worker was first. Needs ``all_tenants``."""
    claimed = rows_changed(
        update(EmailOutbox)
        .where(EmailOutbox.id == mail_id, EmailOutbox.status == "pending", EmailOutbox.next_attempt_at <= now)
        .values(next_attempt_at=now + CLAIM, attempts=EmailOutbox.attempts + 1)
    )
    if not claimed:
        return None
    return db.session.get_one(EmailOutbox, mail_id, populate_existing=True)


def sent(mail_id: int, now: datetime) -> None:
    _set(mail_id, status="sent", sent_at=now, next_attempt_at=None, error=None)


def failed(mail_id: int, attempts: int, error: str, now: datetime) -> bool:
    """Try again later, and give up after eight attempts. Whether it was the last one."""
    dead = attempts >= MAX_ATTEMPTS
    again = None if dead else now + timedelta(seconds=30 * 2**attempts)
    _set(mail_id, status="failed" if dead else "pending", next_attempt_at=again, error=error[:2000])
    return dead


def withdrawn(mail_id: int, why: str) -> None:
    """What it says is no longer so: it is not sent."""
    _set(mail_id, status="failed", next_attempt_at=None, error=why)


def rename(mail_id: int, dedupe_key: str) -> None:
    """Its key is free for another one."""
    _set(mail_id, dedupe_key=dedupe_key)


def _set(mail_id: int, **values: Any) -> None:
    db.session.execute(update(EmailOutbox).where(EmailOutbox.id == mail_id).values(**values))
