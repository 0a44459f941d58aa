"""Top-ups through Stripe, and the invoices made for them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Created,
    Exact,
    Id,
    Model,
    Money,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    flag,
    has_many,
    tenant_refs,
)

STATUSES = ("pending", "processing", "completed", "failed", "refunded")
PDF = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


class BalanceTopup(Id, TenantRow, Timestamps, Model):
    """One payment into the balance. ``amount`` is the net credit; Stripe collects ``gross_amount``. Euros."""

    __tablename__ = "balance_topups"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("stripe_payment_intent_id"),
        Index("idx_topup_status", "company_id", "status", "created_at"),
        Index("idx_topup_time", "company_id", "created_at"),
        Index("idx_stripe_session", "stripe_session_id", unique=True),
        Index(None, "status", "created_at"),
        *tenant_refs(prepaid_balance_id="prepaid_balances", initiated_by_id="portal_users"),
        check("amount", "amount > 0"),
        check("gross", "gross_amount = amount + tax_amount"),
        check("refunded", "refunded_amount >= 0 AND refunded_amount <= gross_amount"),
        MYSQL_TABLE,
    )

    prepaid_balance_id: Mapped[int]
    transaction_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    amount: Mapped[Decimal] = mapped_column(Money())
    tax_rate: Mapped[Decimal] = mapped_column(Exact(5, 2))
    tax_amount: Mapped[Decimal] = mapped_column(Money())
    gross_amount: Mapped[Decimal] = mapped_column(Money())
    refunded_amount: Mapped[Decimal] = mapped_column(Money(), default=Decimal("0.00"), server_default=text("0"))
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    payment_method: Mapped[str] = mapped_column(
        choice("payment_method", "stripe", "bank_transfer", "admin_credit", "promotional"), default="stripe"
    )
    payment_label: Mapped[str | None] = mapped_column(String(100))
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255))
    stripe_session_id: Mapped[str | None] = mapped_column(String(255))
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(choice("status", *STATUSES), default="pending", server_default="pending")
    failure_code: Mapped[str | None] = mapped_column(String(100))
    failure_message: Mapped[str | None] = mapped_column(Text)
    # Why an operator must look: Stripe's figures differ from this row, or a dispute runs.
    parked_reason: Mapped[str | None] = mapped_column(String(255))
    invoice_number: Mapped[str | None] = mapped_column(String(50))
    invoice_url: Mapped[str | None] = mapped_column(Text)
    receipt_url: Mapped[str | None] = mapped_column(Text)
    initiated_by: Mapped[str | None] = mapped_column(String(100))
    initiated_by_id: Mapped[int | None]
    # The form's own key: the same form sent twice finds the same top-up.
    form_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    is_auto_topup: Mapped[bool] = flag(False)
    notes: Mapped[str | None] = mapped_column(Text)
    topup_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    completed_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class Invoice(Id, TenantRow, Created, Model):
    """An immutable document: invoice, Storno or correction. Issuer and customer are snapshots."""

    __tablename__ = "invoices"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("number"),
        UniqueConstraint("kind", "topup_id"),
        Index(None, "company_id", "issued_on"),
        *tenant_refs(topup_id="balance_topups", corrects_id="invoices"),
        check("gross", "gross_amount = net_amount + tax_amount"),
        MYSQL_TABLE,
    )

    topup_id: Mapped[int | None]
    kind: Mapped[str] = mapped_column(choice("kind", "invoice", "storno", "correction"))
    corrects_id: Mapped[int | None]
    number: Mapped[str] = mapped_column(String(50))
    issued_on: Mapped[date]
    supplied_on: Mapped[date]
    seller: Mapped[dict[str, Any]]
    customer: Mapped[dict[str, Any]]
    language: Mapped[str] = mapped_column(String(5), default="de", server_default="de")
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    tax_category: Mapped[str] = mapped_column(choice("tax_category", "standard", "small_business", "reverse_charge"))
    tax_rate: Mapped[Decimal] = mapped_column(Exact(5, 2))
    net_amount: Mapped[Decimal] = mapped_column(Money())
    tax_amount: Mapped[Decimal] = mapped_column(Money())
    gross_amount: Mapped[Decimal] = mapped_column(Money())
    reason: Mapped[str | None] = mapped_column(Text)
    pdf: Mapped[bytes | None] = mapped_column(PDF, deferred=True)
    pdf_sha256: Mapped[str | None] = mapped_column(String(64))

    lines = has_many("Invoice", "InvoiceLine.invoice_id", order_by="InvoiceLine.position")
    topup = belongs_to("Invoice.topup_id", "BalanceTopup")


class InvoiceLine(Id, TenantRow, Created, Model):
    """One line of an invoice. Quantities with two decimals, amounts in euros."""

    __tablename__ = "invoice_lines"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("invoice_id", "position"),
        *tenant_refs(invoice_id="invoices"),
        MYSQL_TABLE,
    )

    invoice_id: Mapped[int]
    position: Mapped[int] = mapped_column(Integer)
    description: Mapped[str] = mapped_column(String(255))
    quantity: Mapped[Decimal] = mapped_column(Exact(10, 2), default=Decimal("1.00"))
    unit_price: Mapped[Decimal] = mapped_column(Money())
    net_amount: Mapped[Decimal] = mapped_column(Money())
    tax_rate: Mapped[Decimal] = mapped_column(Exact(5, 2))


class InvoiceSequence(Id, Timestamps, Model):
    """The last number used per issuer and year; its row is locked while the next one is drawn."""

    __tablename__ = "invoice_sequences"
    __table_args__ = (UniqueConstraint("issuer", "year"), MYSQL_TABLE)

    issuer: Mapped[str] = mapped_column(String(100))
    year: Mapped[int] = mapped_column(Integer)
    last_number: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
