"""Appointments, the provider bookings behind them, and what hangs on the calendar."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Computed, Index, Integer, String, Text, UniqueConstraint, column, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Created,
    Id,
    MinutesBetween,
    Model,
    Money,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    counter,
    flag,
    has_many,
    tenant_refs,
)

STATUSES = ("scheduled", "confirmed", "completed", "cancelled", "no_show")
SOURCES = ("phone", "web", "admin", "api", "walk_in")


class Appointment(Id, TenantRow, Timestamps, Model):
    """One visit. "Arrived" is ``arrived_at``; the five statuses stay as given. Buffers are minutes.

    ``version`` goes up with every change (optimistic lock); ``call_id`` is the truth about which call made it.
    """

    __tablename__ = "appointments"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        Index("idx_appointment_search", "company_id", "branch_id", "start_time", "status"),
        Index("idx_appointment_start", "company_id", "start_time"),
        Index("idx_appointment_status", "company_id", "status", "start_time"),
        Index("idx_appointment_customer", "customer_id", "start_time"),
        Index("idx_appointment_staff", "staff_id", "start_time"),
        Index("idx_calcom_booking", "calcom_booking_id"),
        *tenant_refs(index=False, branch_id="branches"),
        *tenant_refs(customer_id="customers", staff_id="staff", service_id="services"),
        *tenant_refs(call_id="calls", overbooked_by="portal_users"),
        check("order", "end_time > start_time"),
        check("buffers", "buffer_before >= 0 AND buffer_after >= 0"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int]
    customer_id: Mapped[int]
    staff_id: Mapped[int | None]
    service_id: Mapped[int | None]
    appointment_code: Mapped[str | None] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    duration_minutes: Mapped[int] = mapped_column(
        Integer, Computed(MinutesBetween(column("start_time"), column("end_time")), persisted=True), nullable=True
    )
    buffer_before: Mapped[int] = counter()
    buffer_after: Mapped[int] = counter()
    status: Mapped[str] = mapped_column(choice("status", *STATUSES), default="scheduled", server_default="scheduled")
    arrived_at: Mapped[datetime | None]
    confirmation_sent_at: Mapped[datetime | None]
    reminder_sent_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(choice("source", *SOURCES), default="phone", server_default="phone")
    call_id: Mapped[int | None]
    calcom_booking_id: Mapped[int | None] = mapped_column(Integer)
    calcom_event_id: Mapped[str | None] = mapped_column(String(255))
    google_event_id: Mapped[str | None] = mapped_column(String(255))
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None] = mapped_column(String(100))
    cancellation_reason: Mapped[str | None] = mapped_column(Text)
    internal_notes: Mapped[str | None] = mapped_column(Text)
    customer_notes: Mapped[str | None] = mapped_column(Text)
    price: Mapped[Decimal | None] = mapped_column(Money())
    overbooked_by: Mapped[int | None]
    ical_sequence: Mapped[int] = counter()
    version: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))

    branch = belongs_to("Appointment.branch_id", "Branch")
    customer = belongs_to("Appointment.customer_id", "Customer")
    staff = belongs_to("Appointment.staff_id", "Staff")
    service = belongs_to("Appointment.service_id", "Service")
    call = belongs_to("Appointment.call_id", "Call")
    bookings = has_many("Appointment", "Booking.appointment_id", order_by="Booking.id")


class Booking(Id, TenantRow, Timestamps, Model):
    """A booking at a provider. A reschedule brings a new one, whose ``previous_uid`` names the old."""

    __tablename__ = "bookings"
    __table_args__ = (
        UniqueConstraint("company_id", "provider", "external_uid"),
        Index(None, "company_id", "sync_status"),
        *tenant_refs(appointment_id="appointments", event_type_id="calcom_event_types"),
        check("order", "ends_at > starts_at"),
        MYSQL_TABLE,
    )

    appointment_id: Mapped[int | None]
    event_type_id: Mapped[int | None]
    provider: Mapped[str] = mapped_column(choice("provider", "calcom", "google", "manual"))
    external_uid: Mapped[str] = mapped_column(String(255))
    external_id: Mapped[str | None] = mapped_column(String(255))
    previous_uid: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(50))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    attendee_name: Mapped[str | None] = mapped_column(String(255))
    attendee_email: Mapped[str | None] = mapped_column(String(255))
    attendee_phone: Mapped[str | None] = mapped_column(String(50))
    attendee_timezone: Mapped[str | None] = mapped_column(String(50))
    sequence: Mapped[int] = counter()
    # When the provider wrote the event that this row last took over: older events change nothing.
    event_created_at: Mapped[datetime | None]
    sync_status: Mapped[str] = mapped_column(
        choice("sync_status", "synced", "pending_push", "conflict", "error"), default="synced", server_default="synced"
    )
    sync_attempts: Mapped[int] = counter()
    sync_error: Mapped[str | None] = mapped_column(Text)
    # The start that we have asked the provider for, and until when a push of ours may be on its way.
    pushed_start: Mapped[datetime | None]
    push_until: Mapped[datetime | None]
    last_synced_at: Mapped[datetime | None]
    raw_payload: Mapped[dict[str, Any] | None]


class DaySheetPrint(Id, TenantRow, Created, Model):
    """What stood on a printed day sheet, so that its code can show what has changed since.

    The snapshot names nobody: ids, times and statuses, see ``portal.domain.day_prints``.
    """

    __tablename__ = "day_sheet_prints"
    __table_args__ = (
        UniqueConstraint("company_id", "code"),
        Index(None, "company_id", "branch_id", "date"),
        *tenant_refs(ondelete="CASCADE", index=False, branch_id="branches"),
        *tenant_refs(printed_by="portal_users"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int]
    date: Mapped[dt.date]
    code: Mapped[str] = mapped_column(String(12))
    printed_by: Mapped[int | None]
    snapshot: Mapped[dict[str, Any]]


class CalendarFeed(Id, TenantRow, Timestamps, Model):
    """A secret calendar address. Only the hash of its token is kept."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users", staff_id="staff", branch_id="branches"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    scope: Mapped[str] = mapped_column(choice("scope", "user", "staff", "branch"))
    staff_id: Mapped[int | None]
    branch_id: Mapped[int | None]
    token_hash: Mapped[str] = mapped_column(String(64))
    is_active: Mapped[bool] = flag(True)
    last_used_at: Mapped[datetime | None]
