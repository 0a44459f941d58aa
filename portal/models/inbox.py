"""What arrives from outside and what waits to go there: the webhook inbox and the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import MYSQL_TABLE, Created, Id, MaybeTenantRow, Model, Timestamps, choice, counter, flag, utcnow

PROVIDERS = ("retell", "calcom", "stripe")
RawBody = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


class WebhookEvent(Id, MaybeTenantRow, Created, Model):
    """One delivery, stored under a unique key before anything is done with it.

    parked: waits for a row that it needs; quarantined: belongs to no company; dead: failed too often.
    """

    __tablename__ = "webhook_events"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("provider", "dedupe_key"),
        Index(None, "status", "next_attempt_at"),
        Index(None, "company_id", "provider", "created_at"),
        Index(None, "created_at"),
        MYSQL_TABLE,
    )

    provider: Mapped[str] = mapped_column(choice("provider", *PROVIDERS))
    dedupe_key: Mapped[str] = mapped_column(String(191))
    event_type: Mapped[str | None] = mapped_column(String(100))
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes] = mapped_column(RawBody)
    signature_ok: Mapped[bool] = flag(True)
    status: Mapped[str] = mapped_column(
        choice("status", "received", "done", "ignored", "parked", "failed", "quarantined", "dead"),
        default="received",
        server_default="received",
    )
    attempts: Mapped[int] = counter()
    next_attempt_at: Mapped[datetime | None] = mapped_column(default=utcnow)
    error: Mapped[str | None] = mapped_column(Text)
    handled_at: Mapped[datetime | None]


class OutboxJob(Id, MaybeTenantRow, Timestamps, Model):
    """Something to do outside once the transaction that wrote it is committed."""

    __tablename__ = "outbox_jobs"
    __table_args__ = (
        UniqueConstraint("dedupe_key"),
        Index(None, "status", "next_attempt_at"),
        MYSQL_TABLE,
    )

    kind: Mapped[str] = mapped_column(String(50))
    payload: Mapped[dict[str, Any]]
    dedupe_key: Mapped[str | None] = mapped_column(String(191))
    status: Mapped[str] = mapped_column(
        choice("status", "pending", "done", "failed", "dead"), default="pending", server_default="pending"
    )
    attempts: Mapped[int] = counter()
    next_attempt_at: Mapped[datetime | None] = mapped_column(default=utcnow)
    error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None]


class PipelineHeartbeat(Id, MaybeTenantRow, Timestamps, Model):
    """When a provider was last heard for a company, how much was late or refused. ``scope`` makes the row unique."""

    __tablename__ = "pipeline_heartbeats"
    __table_args__ = (UniqueConstraint("scope", "provider"), MYSQL_TABLE)

    # "company:<id>", or "platform" for what names no company: NULLs would not be unique.
    scope: Mapped[str] = mapped_column(String(50))
    provider: Mapped[str] = mapped_column(String(20))
    last_event_at: Mapped[datetime | None]
    last_late_at: Mapped[datetime | None]
    late_events: Mapped[int] = counter()
    refused_requests: Mapped[int] = counter()
    last_refused_at: Mapped[datetime | None]
    # From when on the provider is asked next what it has; only where it is asked at all.
    list_from: Mapped[datetime | None]


class WorkerLease(Id, Timestamps, Model):
    """Who runs a periodic job right now; a row instead of GET_LOCK, which Galera does not have."""

    __tablename__ = "worker_leases"
    __table_args__ = (UniqueConstraint("job"), MYSQL_TABLE)

    job: Mapped[str] = mapped_column(String(100))
    holder: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime]
    last_run_at: Mapped[datetime | None]
