"""Customers, their further numbers, notes about them, and who is related to whom."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Computed, Index, String, Text, UniqueConstraint, column, text
from sqlalchemy.orm import Mapped, mapped_column, validates

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
    has_many,
    tenant_refs,
    trimmed_concat,
)


class Customer(Id, TenantRow, Timestamps, Model):
    """A person who calls or comes.

    ``phone`` is what was given ('' when withheld); ``phone_normalized`` is E.164 or NULL and not unique, because
    families share a phone. ``phone_rev`` is its digits backwards, for searches by the end of a number.
    ``name_confirmed`` is false while the name was only said on the phone.
    """

    __tablename__ = "customers"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        Index("unique_customer_phone", "company_id", "phone_normalized"),
        Index("idx_customer_email", "company_id", "email"),
        Index("idx_customer_name", "company_id", "full_name"),
        Index(None, "company_id", "last_name", "first_name"),
        Index(None, "company_id", "phone_rev"),
        Index(None, "company_id", "search_name"),
        Index(None, "company_id", "created_at"),
        check("total", "total_appointments >= 0"),
        MYSQL_TABLE,
    )

    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    full_name: Mapped[str] = mapped_column(
        String(255), Computed(trimmed_concat("first_name", "last_name"), persisted=True), nullable=True
    )
    search_name: Mapped[str | None] = mapped_column(String(500))
    name_confirmed: Mapped[bool] = flag(True)
    phone: Mapped[str] = mapped_column(String(50), default="", server_default="")
    phone_normalized: Mapped[str | None] = mapped_column(String(50))
    phone_rev: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(255))
    date_of_birth: Mapped[date | None]
    gender: Mapped[str | None] = mapped_column(choice("gender", "male", "female", "other", "not_specified"))
    preferred_language: Mapped[str | None] = mapped_column(String(5))
    acquisition_source: Mapped[str | None] = mapped_column(String(100))
    acquisition_date: Mapped[date | None]
    first_appointment_date: Mapped[date | None]
    last_appointment_date: Mapped[date | None]
    total_appointments: Mapped[int] = counter()
    completed_appointments: Mapped[int] = counter()
    cancelled_appointments: Mapped[int] = counter()
    no_show_appointments: Mapped[int] = counter()
    total_spent: Mapped[Decimal] = mapped_column(Money(), default=Decimal(0), server_default=text("0"))
    is_active: Mapped[bool] = flag(True)
    is_blocked: Mapped[bool] = flag(False)
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    erased_at: Mapped[datetime | None]

    phones = has_many("Customer", "CustomerPhone.customer_id", order_by="CustomerPhone.id")
    notes = has_many("Customer", "CustomerNote.customer_id", order_by="CustomerNote.id.desc()")

    @validates("phone_normalized")
    def _reverse_phone(self, key: str, value: str | None) -> str | None:
        # Not a generated column: SQLite has no REVERSE().
        self.phone_rev = value.lstrip("+")[::-1] if value else None
        return value


class CustomerPhone(Id, TenantRow, Timestamps, Model):
    """A further number of a customer, in E.164."""

    __tablename__ = "customer_phones"
    __table_args__ = (
        UniqueConstraint("customer_id", "phone_normalized"),
        Index(None, "company_id", "phone_normalized"),
        *tenant_refs(ondelete="CASCADE", customer_id="customers"),
        MYSQL_TABLE,
    )

    customer_id: Mapped[int]
    phone: Mapped[str] = mapped_column(String(50))
    phone_normalized: Mapped[str] = mapped_column(String(50))
    label: Mapped[str | None] = mapped_column(String(100))


class CustomerNote(Id, TenantRow, Timestamps, Model):
    """What somebody of the business wrote about a customer."""

    __tablename__ = "customer_notes"
    __table_args__ = (
        *tenant_refs(ondelete="CASCADE", customer_id="customers"),
        *tenant_refs(author_id="portal_users"),
        MYSQL_TABLE,
    )

    customer_id: Mapped[int]
    author_id: Mapped[int | None]
    body: Mapped[str] = mapped_column(Text)

    author = belongs_to("CustomerNote.author_id", "PortalUser")


class CustomerRelationship(Id, TenantRow, Timestamps, Model):
    """Two customers who belong together or may be one; the smaller id comes first. Confidence is 0 to 100."""

    __tablename__ = "customer_relationships"
    __table_args__ = (
        UniqueConstraint("customer_id", "related_customer_id"),
        *tenant_refs(ondelete="CASCADE", customer_id="customers", related_customer_id="customers"),
        *tenant_refs(created_by="portal_users", confirmed_by="portal_users"),
        check("order", "customer_id < related_customer_id"),
        CheckConstraint(column("confidence_score", Exact(5, 2)).between(0, 100), name="confidence"),
        MYSQL_TABLE,
    )

    customer_id: Mapped[int]
    related_customer_id: Mapped[int]
    relationship_type: Mapped[str] = mapped_column(
        choice("relationship_type", "family", "same_person", "same_company", "phone_match", "possible_match")
    )
    confidence_score: Mapped[Decimal] = mapped_column(Exact(5, 2), default=Decimal(0), server_default=text("0"))
    matching_details: Mapped[dict[str, Any] | None]
    status: Mapped[str] = mapped_column(
        choice("status", "auto_detected", "user_confirmed", "user_rejected", "merged"),
        default="auto_detected",
        server_default="auto_detected",
    )
    created_by: Mapped[int | None]
    confirmed_by: Mapped[int | None]
    confirmed_at: Mapped[datetime | None]
