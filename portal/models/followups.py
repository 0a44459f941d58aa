"""What a call leaves to do: follow-ups, notes, recordings and who heard them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import MYSQL_TABLE, Created, Id, Model, TenantRow, Timestamps, belongs_to, choice, counter, tenant_refs

REASONS = ("callback", "complaint", "transfer_failed", "hung_up", "promise")


class CallFollowup(Id, TenantRow, Timestamps, Model):
    """A call that needs a person. ``closed_by`` is NULL when it closed itself; ``resolution`` says why.

    ``version`` goes up with every change, ``attempts`` counts calls that nobody answered. ``facts`` keeps what the
    words are made of: the time that was promised, what it was closed by, when it was taken up again.
    """

    __tablename__ = "call_followups"
    __table_args__ = (
        UniqueConstraint("call_id", "reason"),
        Index(None, "company_id", "status", "due_at"),
        Index(None, "company_id", "closed_at"),
        *tenant_refs(ondelete="CASCADE", call_id="calls"),
        *tenant_refs(customer_id="customers", assigned_to="portal_users", closed_by="portal_users"),
        MYSQL_TABLE,
    )

    call_id: Mapped[int]
    customer_id: Mapped[int | None]
    reason: Mapped[str] = mapped_column(choice("reason", *REASONS))
    detail: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(
        choice("status", "open", "in_progress", "resolved", "dismissed"), default="open", server_default="open"
    )
    priority: Mapped[str] = mapped_column(
        choice("priority", "normal", "high"), default="normal", server_default="normal"
    )
    assigned_to: Mapped[int | None]
    due_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(Text)
    closed_by: Mapped[int | None]
    closed_at: Mapped[datetime | None]
    attempts: Mapped[int] = counter()
    version: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    facts: Mapped[dict[str, Any] | None]

    call = belongs_to("CallFollowup.call_id", "Call")
    assignee = belongs_to("CallFollowup.assigned_to", "PortalUser")
    closer = belongs_to("CallFollowup.closed_by", "PortalUser")


class CallNote(Id, TenantRow, Timestamps, Model):
    """What somebody of the business wrote about a call."""

    __tablename__ = "call_notes"
    __table_args__ = (
        *tenant_refs(ondelete="CASCADE", call_id="calls"),
        *tenant_refs(author_id="portal_users"),
        MYSQL_TABLE,
    )

    call_id: Mapped[int]
    author_id: Mapped[int | None]
    body: Mapped[str] = mapped_column(Text)

    author = belongs_to("CallNote.author_id", "PortalUser")


class Recording(Id, TenantRow, Timestamps, Model):
    """The sound of a call in our own store. Sizes in bytes; ``path`` is relative to the store."""

    __tablename__ = "recordings"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("call_id"),
        *tenant_refs(ondelete="CASCADE", call_id="calls"),
        MYSQL_TABLE,
    )

    call_id: Mapped[int]
    status: Mapped[str] = mapped_column(
        choice("status", "pending", "stored", "failed", "deleted"), default="pending", server_default="pending"
    )
    source_url: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(String(255))
    content_type: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int | None] = mapped_column(Integer)
    attempts: Mapped[int] = counter()
    error: Mapped[str | None] = mapped_column(Text)
    stored_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class RecordingAccess(Id, TenantRow, Created, Model):
    """Who listened to or exported which recording, and why."""

    __tablename__ = "recording_accesses"
    __company_delete__ = "RESTRICT"
    __table_args__ = (*tenant_refs(recording_id="recordings", portal_user_id="portal_users"), MYSQL_TABLE)

    recording_id: Mapped[int]
    portal_user_id: Mapped[int | None]
    kind: Mapped[str] = mapped_column(choice("kind", "listen", "download"))
    reason: Mapped[str | None] = mapped_column(String(255))
    ip_address: Mapped[str | None] = mapped_column(String(45))
