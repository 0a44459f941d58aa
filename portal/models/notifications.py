"""What people are told: in the bell and by e-mail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Id,
    LongText,
    MaybeTenantRow,
    Model,
    Timestamps,
    check,
    choice,
    counter,
    tenant_refs,
)


class Notification(Id, MaybeTenantRow, Timestamps, Model):
    """One message to one person. ``action_url`` is always an own path."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("portal_user_id", "dedupe_key"),
        Index(None, "portal_user_id", "read_at", "created_at"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users"),
        check("own_path", "action_url LIKE '/%' AND action_url NOT LIKE '//%'"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    type: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(choice("category", "appointment", "call", "billing", "team", "system"))
    priority: Mapped[str] = mapped_column(
        choice("priority", "low", "normal", "high"), default="normal", server_default="normal"
    )
    title: Mapped[str] = mapped_column(String(255))
    body: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any] | None]
    action_url: Mapped[str | None] = mapped_column(String(255))
    dedupe_key: Mapped[str | None] = mapped_column(String(191))
    read_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class EmailOutbox(Id, MaybeTenantRow, Timestamps, Model):
    """A mail to be sent, written in the same transaction as what it tells about.

    ``sender_name`` stands beside our own address; answers go to ``reply_to``. Both are for mails to customers.
    """

    __tablename__ = "email_outbox"
    __table_args__ = (
        UniqueConstraint("dedupe_key"),
        Index(None, "status", "next_attempt_at"),
        Index(None, "created_at"),
        MYSQL_TABLE,
    )

    recipient: Mapped[str] = mapped_column(String(255))
    sender_name: Mapped[str | None] = mapped_column(String(100))
    reply_to: Mapped[str | None] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    text_body: Mapped[str] = mapped_column(LongText)
    html_body: Mapped[str | None] = mapped_column(LongText)
    attachments: Mapped[list[Any] | None]
    dedupe_key: Mapped[str | None] = mapped_column(String(191))
    status: Mapped[str] = mapped_column(
        choice("status", "pending", "sent", "failed"), default="pending", server_default="pending"
    )
    attempts: Mapped[int] = counter()
    next_attempt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
