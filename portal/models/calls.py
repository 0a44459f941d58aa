"""Calls, what was said in them, and what happened in them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, String, Text, UniqueConstraint, column
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import (
    MYSQL_TABLE,
    Exact,
    Id,
    LongText,
    Model,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    flag,
    has_many,
    tenant_refs,
)

STATUSES = ("in_progress", "completed", "failed", "no_answer", "busy")
SENTIMENTS = ("positive", "neutral", "negative")
FILTERED = ("status", "intent", "sentiment", "direction", "duration_seconds", "appointment_created", "branch_id")


class Call(Id, TenantRow, Timestamps, Model):
    """One call. ``call_id`` is the provider's id; ``phone_number`` the other party as E.164, NULL when withheld.

    The transcript lives in :class:`CallContent`, so that lists never read it.
    """

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        Index("idx_call_time", "company_id", "started_at"),
        Index("idx_call_analytics", "company_id", "started_at", "status", "appointment_created"),
        # Holds all that the list filters by, so that a rare filter reads no rows but those it shows.
        Index("idx_call_filters", "company_id", "started_at", "created_at", *FILTERED),
        Index("idx_call_phone", "company_id", "phone_number"),
        Index("idx_call_status", "status", "ended_at"),
        Index("idx_retell_call", "retell_call_id"),
        Index("idx_call_customer", "company_id", "customer_id", "started_at"),
        Index(None, "company_id", "branch_id", "started_at"),
        *tenant_refs(index=False, branch_id="branches", customer_id="customers"),
        *tenant_refs(phone_number_id="phone_numbers"),
        *tenant_refs(appointment_id="appointments", use_alter=True),
        check("duration", "duration_seconds >= 0"),
        CheckConstraint(column("confidence_score", Exact(3, 2)).between(0, 1), name="confidence"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    customer_id: Mapped[int | None]
    call_id: Mapped[str] = mapped_column(String(100), unique=True)
    retell_call_id: Mapped[str | None] = mapped_column(String(100))
    twilio_call_sid: Mapped[str | None] = mapped_column(String(100))
    agent_id: Mapped[str | None] = mapped_column(String(255))
    phone_number: Mapped[str | None] = mapped_column(String(50))
    from_number: Mapped[str | None] = mapped_column(String(50))
    to_number: Mapped[str | None] = mapped_column(String(50))
    phone_number_id: Mapped[int | None]
    direction: Mapped[str] = mapped_column(
        choice("direction", "inbound", "outbound"), default="inbound", server_default="inbound"
    )
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    duration_seconds: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(
        choice("status", *STATUSES), default="in_progress", server_default="in_progress"
    )
    end_reason: Mapped[str | None] = mapped_column(String(100))
    summary: Mapped[str | None] = mapped_column(Text)
    recording_url: Mapped[str | None] = mapped_column(Text)
    intent: Mapped[str | None] = mapped_column(String(100))
    sentiment: Mapped[str | None] = mapped_column(choice("sentiment", *SENTIMENTS))
    language_code: Mapped[str] = mapped_column(String(10), default="de", server_default="de")
    confidence_score: Mapped[Decimal | None] = mapped_column(Exact(3, 2))
    dynamic_variables: Mapped[dict[str, Any] | None]
    custom_data: Mapped[dict[str, Any] | None]
    analyzed_at: Mapped[datetime | None]
    appointment_created: Mapped[bool] = flag(False)
    appointment_id: Mapped[int | None]

    branch = belongs_to("Call.branch_id", "Branch")
    customer = belongs_to("Call.customer_id", "Customer")
    appointment = belongs_to("Call.appointment_id", "Appointment")
    content = relationship(
        "CallContent",
        primaryjoin="Call.id == foreign(CallContent.call_id)",
        viewonly=True,
        lazy="raise_on_sql",
        uselist=False,
    )
    charge = relationship(
        "CallCharge",
        primaryjoin="Call.id == foreign(CallCharge.call_id)",
        viewonly=True,
        lazy="raise_on_sql",
        uselist=False,
    )
    activities = has_many("Call", "CallActivity.call_id", order_by="CallActivity.occurred_at")
    notes = has_many("Call", "CallNote.call_id", order_by="CallNote.id.desc()")


class CallContent(TenantRow, Timestamps, Model):
    """What was said. ``turns`` and ``tool_calls`` are lists in the order of the call, times in seconds from its start.

    ``tenant_token`` stands first in the full-text index, so that a search costs what its own company holds.
    """

    __tablename__ = "call_contents"
    __table_args__ = (*tenant_refs(ondelete="CASCADE", call_id="calls"), MYSQL_TABLE)

    call_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant_token: Mapped[str] = mapped_column(String(30))
    transcript: Mapped[str | None] = mapped_column(LongText)
    turns: Mapped[list[Any] | None]
    tool_calls: Mapped[list[Any] | None]


class CallActivity(Id, TenantRow, Model):
    """Something that happened in or to a call, for its timeline."""

    __tablename__ = "call_activities"
    __table_args__ = (
        Index("idx_activity_type", "company_id", "activity_type", "timestamp"),
        *tenant_refs(ondelete="CASCADE", call_id="calls"),
        MYSQL_TABLE,
    )

    call_id: Mapped[int]
    activity_type: Mapped[str] = mapped_column(String(50))
    activity_data: Mapped[dict[str, Any] | None]
    occurred_at: Mapped[datetime] = mapped_column("timestamp")
    duration_seconds: Mapped[int | None] = mapped_column(Integer)
