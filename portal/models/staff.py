"""Staff, the services they offer, and the Cal.com event types behind both."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Exact,
    Id,
    Model,
    Money,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    counter,
    flag,
    tenant_refs,
)


class Staff(Id, TenantRow, Timestamps, Model):
    """A person whose calendar is booked. ``calendar_version`` is written before any booking is checked."""

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("company_id", "email", name="unique_staff_email"),
        Index("idx_staff_branch", "branch_id", "is_active"),
        Index(None, "company_id", "calcom_user_id"),
        *tenant_refs(branch_id="branches"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    display_name: Mapped[str | None] = mapped_column(String(255))
    employee_id: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(255))
    phone: Mapped[str | None] = mapped_column(String(50))
    title: Mapped[str | None] = mapped_column(String(100))
    specialties: Mapped[list[Any] | None]
    bio: Mapped[str | None] = mapped_column(Text)
    calcom_user_id: Mapped[int | None] = mapped_column(Integer)
    google_calendar_id: Mapped[str | None] = mapped_column(String(255))
    is_available: Mapped[bool] = flag(True)
    available_days: Mapped[list[Any] | None]
    color_code: Mapped[str | None] = mapped_column(String(7))
    notification_preferences: Mapped[dict[str, Any] | None]
    is_active: Mapped[bool] = flag(True)
    hired_date: Mapped[date | None]
    terminated_date: Mapped[date | None]
    calendar_version: Mapped[int] = counter()

    branch = belongs_to("Staff.branch_id", "Branch")

    @property
    def name(self) -> str:
        return self.display_name or f"{self.first_name} {self.last_name}"


class Service(Id, TenantRow, Timestamps, Model):
    """Something that can be booked. No branch means offered at every branch. Durations are minutes."""

    __tablename__ = "services"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        Index("idx_service_category", "company_id", "category", "is_active"),
        Index("idx_service_slug", "company_id", "slug"),
        *tenant_refs(branch_id="branches"),
        check("duration", "duration_minutes > 0"),
        check("buffer", "buffer_time_minutes >= 0"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str | None] = mapped_column(String(100))
    category: Mapped[str | None] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    duration_minutes: Mapped[int] = mapped_column(Integer, default=30, server_default=text("30"))
    buffer_time_minutes: Mapped[int] = counter()
    price: Mapped[Decimal | None] = mapped_column(Money())
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    tax_rate: Mapped[Decimal] = mapped_column(Exact(5, 2), default=Decimal("19.00"))
    is_active: Mapped[bool] = flag(True)
    available_online: Mapped[bool] = flag(True)
    max_advance_days: Mapped[int] = mapped_column(Integer, default=90, server_default=text("90"))
    min_advance_hours: Mapped[int] = mapped_column(Integer, default=24, server_default=text("24"))
    requires_deposit: Mapped[bool] = flag(False)
    deposit_amount: Mapped[Decimal | None] = mapped_column(Money())

    branch = belongs_to("Service.branch_id", "Branch")


class CalcomEventType(Id, TenantRow, Timestamps, Model):
    """A Cal.com event type: which branch and service a booking of it means."""

    __tablename__ = "calcom_event_types"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("company_id", "calcom_event_type_id"),
        *tenant_refs(branch_id="branches", service_id="services"),
        check("duration", "duration_minutes > 0"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    service_id: Mapped[int | None]
    calcom_event_type_id: Mapped[int] = mapped_column(Integer)
    calcom_team_id: Mapped[int | None] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str | None] = mapped_column(String(100))
    duration_minutes: Mapped[int] = mapped_column(Integer)
    price: Mapped[Decimal | None] = mapped_column(Money())
    buffer_before: Mapped[int] = counter()
    buffer_after: Mapped[int] = counter()
    minimum_notice_minutes: Mapped[int | None] = mapped_column(Integer)
    booking_window_days: Mapped[int | None] = mapped_column(Integer)
    slot_interval: Mapped[int | None] = mapped_column(Integer)
    requires_confirmation: Mapped[bool] = flag(False)
    is_team_event: Mapped[bool] = flag(False)
    is_active: Mapped[bool] = flag(True)
    sync_status: Mapped[str] = mapped_column(
        choice("sync_status", "synced", "pending", "error"), default="synced", server_default="synced"
    )
    sync_error: Mapped[str | None] = mapped_column(Text)
    last_synced_at: Mapped[datetime | None]
    event_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata")

    service = belongs_to("CalcomEventType.service_id", "Service")


class StaffEventType(Id, TenantRow, Timestamps, Model):
    """Which staff member takes which event type, and on what terms."""

    __tablename__ = "staff_event_types"
    __table_args__ = (
        UniqueConstraint("staff_id", "event_type_id"),
        *tenant_refs(ondelete="CASCADE", staff_id="staff", event_type_id="calcom_event_types"),
        MYSQL_TABLE,
    )

    staff_id: Mapped[int]
    event_type_id: Mapped[int]
    calcom_user_id: Mapped[int | None] = mapped_column(Integer)
    is_primary: Mapped[bool] = flag(False)
    custom_duration_minutes: Mapped[int | None] = mapped_column(Integer)
    custom_price: Mapped[Decimal | None] = mapped_column(Money())
    max_bookings_per_day: Mapped[int | None] = mapped_column(Integer)
    priority: Mapped[int] = counter()
    is_active: Mapped[bool] = flag(True)
