"""Companies (the tenants), their branches and phone numbers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Computed, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    EncryptedText,
    Exact,
    Id,
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


class Company(Id, Timestamps, Model):
    """The tenant. ``tenant_id`` is the opaque name in webhook addresses; it never changes."""

    __tablename__ = "companies"
    __table_args__ = (Index("idx_active_companies", "is_active", "trial_ends_at"), MYSQL_TABLE)

    tenant_id: Mapped[str] = mapped_column(String(50), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    phone: Mapped[str | None] = mapped_column(String(50))
    website: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(String(100))
    postal_code: Mapped[str | None] = mapped_column(String(20))
    country: Mapped[str] = mapped_column(String(2), default="DE", server_default="DE")

    retell_api_key_sealed: Mapped[str | None] = mapped_column("retell_api_key", Text)
    retell_agent_id: Mapped[str | None] = mapped_column(String(255))
    calcom_api_key_sealed: Mapped[str | None] = mapped_column("calcom_api_key", Text)
    calcom_webhook_secret_sealed: Mapped[str | None] = mapped_column("calcom_webhook_secret", Text)
    calcom_team_id: Mapped[str | None] = mapped_column(String(255))
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    retell_api_key = EncryptedText("retell_api_key_sealed", owner="tenant_id")
    calcom_api_key = EncryptedText("calcom_api_key_sealed", owner="tenant_id")
    calcom_webhook_secret = EncryptedText("calcom_webhook_secret_sealed", owner="tenant_id")

    settings: Mapped[dict[str, Any] | None]
    timezone: Mapped[str] = mapped_column(String(50), default="Europe/Berlin", server_default="Europe/Berlin")
    language: Mapped[str] = mapped_column(String(5), default="de", server_default="de")
    is_active: Mapped[bool] = flag(True)
    trial_ends_at: Mapped[datetime | None]

    # What the phone does when the money is used up; "refuse" is not offered.
    exhausted_action: Mapped[str] = mapped_column(
        choice("exhausted_action", "forward", "message", "grace"), default="message", server_default="message"
    )
    forward_to: Mapped[str | None] = mapped_column(String(50))
    invoice_name: Mapped[str | None] = mapped_column(String(255))
    invoice_address: Mapped[str | None] = mapped_column(Text)
    invoice_email: Mapped[str | None] = mapped_column(String(255))
    vat_id: Mapped[str | None] = mapped_column(String(20))
    recording_retention_days: Mapped[int | None] = mapped_column(Integer)
    transcript_retention_days: Mapped[int | None] = mapped_column(Integer)
    metadata_retention_days: Mapped[int | None] = mapped_column(Integer)

    branches = has_many("Company", "Branch.company_id", order_by="Branch.id")


class Branch(Id, TenantRow, Timestamps, Model):
    """A location. At most one is primary, held by a unique key on ``primary_marker`` (1 or NULL)."""

    __tablename__ = "branches"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("company_id", "primary_marker", name="unique_primary_branch"),
        Index("idx_company_branches", "company_id", "is_active"),
        Index("idx_branch_slug", "company_id", "slug"),
        MYSQL_TABLE,
    )

    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str | None] = mapped_column(String(100))
    branch_code: Mapped[str | None] = mapped_column(String(50))
    address: Mapped[str] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(String(100))
    postal_code: Mapped[str | None] = mapped_column(String(20))
    latitude: Mapped[Decimal | None] = mapped_column(Exact(10, 8))
    longitude: Mapped[Decimal | None] = mapped_column(Exact(11, 8))
    phone: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(255))
    calcom_event_type_id: Mapped[int | None] = mapped_column(Integer)
    calcom_location_id: Mapped[int | None] = mapped_column(Integer)
    timezone: Mapped[str | None] = mapped_column(String(50))
    # Whose public holidays close it: NULL is the company's country, and no region observes none by itself.
    country: Mapped[str | None] = mapped_column(String(2))
    region: Mapped[str | None] = mapped_column(String(10))
    is_primary: Mapped[bool] = flag(False)
    primary_marker: Mapped[int | None] = mapped_column(
        Integer, Computed("CASE WHEN is_primary THEN 1 END", persisted=True)
    )
    is_active: Mapped[bool] = flag(True)


class PhoneNumber(Id, TenantRow, Timestamps, Model):
    """A number that callers dial. ``number_e164`` is unique everywhere, so a call names exactly one company."""

    __tablename__ = "phone_numbers"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("number_e164"),
        Index(None, "retell_agent_id"),
        *tenant_refs(branch_id="branches"),
        check("e164", "number_e164 LIKE '+%'"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    number: Mapped[str] = mapped_column(String(50))
    number_e164: Mapped[str] = mapped_column(String(20))
    type: Mapped[str] = mapped_column(
        choice("type", "direct", "hotline", "mobile", "test"), default="direct", server_default="direct"
    )
    is_primary: Mapped[bool] = flag(False)
    is_active: Mapped[bool] = flag(True)
    retell_phone_id: Mapped[str | None] = mapped_column(String(255))
    retell_agent_id: Mapped[str | None] = mapped_column(String(255))
    retell_agent_version: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(String(255))
    deactivated_at: Mapped[datetime | None]

    branch = belongs_to("PhoneNumber.branch_id", "Branch")
