"""The prepaid balance: its rates, its append-only ledger, holds for running calls, and charges."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Computed, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Created,
    Id,
    Model,
    Money,
    Rate,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    counter,
    flag,
    tenant_refs,
)

ZERO = Decimal("0.00")
KINDS = ("topup", "charge", "refund", "chargeback", "credit", "adjustment", "correction")


def amount(default: Decimal | None = ZERO) -> Mapped[Decimal]:
    """A NOT NULL amount in euros that starts at zero."""
    return mapped_column(Money(), default=default, server_default=text("0"))


class PrepaidBalance(Id, TenantRow, Timestamps, Model):
    """What a company has paid ahead. ``current`` is the ledger's sum, ``reserved`` the sum of held reservations.

    Only ``domain/ledger.py`` writes the amounts, with the row locked. All amounts are euros.
    """

    __tablename__ = "prepaid_balances"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("company_id", name="unique_company_balance"),
        Index("idx_low_balance", "available_balance", "low_balance_alert_sent_at"),
        check("reserved", "reserved_balance >= 0"),
        MYSQL_TABLE,
    )

    current_balance: Mapped[Decimal] = amount()
    reserved_balance: Mapped[Decimal] = amount()
    available_balance: Mapped[Decimal] = mapped_column(
        Money(), Computed("current_balance - reserved_balance", persisted=True), nullable=True
    )
    auto_topup_enabled: Mapped[bool] = flag(False)
    auto_topup_mode: Mapped[str] = mapped_column(
        choice("auto_topup_mode", "fixed", "fill_up"), default="fixed", server_default="fixed"
    )
    auto_topup_threshold: Mapped[Decimal | None] = mapped_column(Money())
    auto_topup_amount: Mapped[Decimal | None] = mapped_column(Money())
    auto_topup_daily_cap: Mapped[Decimal | None] = mapped_column(Money())
    auto_topup_monthly_cap: Mapped[Decimal | None] = mapped_column(Money())
    auto_topup_paused_until: Mapped[datetime | None]
    auto_topup_declines: Mapped[int] = counter()
    auto_topup_consent_at: Mapped[datetime | None]
    auto_topup_consent_by: Mapped[int | None]
    auto_topup_consent_text: Mapped[str | None] = mapped_column(Text)
    stripe_payment_method_id: Mapped[str | None] = mapped_column(String(255))
    payment_method_label: Mapped[str | None] = mapped_column(String(100))
    daily_spending_limit: Mapped[Decimal | None] = mapped_column(Money())
    monthly_spending_limit: Mapped[Decimal | None] = mapped_column(Money())
    grace_amount: Mapped[Decimal] = amount()
    total_topped_up: Mapped[Decimal] = amount()
    total_spent: Mapped[Decimal] = amount()
    last_topup_at: Mapped[datetime | None]
    last_charge_at: Mapped[datetime | None]
    low_balance_alert_threshold: Mapped[Decimal] = mapped_column(Money(), default=Decimal("10.00"))
    low_balance_alert_sent_at: Mapped[datetime | None]
    zero_balance_reached_at: Mapped[datetime | None]


class BillingRate(Id, TenantRow, Timestamps, Model):
    """A tariff from a moment on. Seconds for the increment; minimum and fee in euros a call."""

    __tablename__ = "billing_rates"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("company_id", "valid_from"),
        check("increment", "increment_seconds > 0"),
        check("order", "valid_until > valid_from"),
        check("rate", "rate_per_minute >= 0 AND minimum_charge >= 0 AND setup_fee >= 0"),
        MYSQL_TABLE,
    )

    rate_per_minute: Mapped[Decimal] = mapped_column(Rate())
    increment_seconds: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    minimum_charge: Mapped[Decimal] = amount()
    setup_fee: Mapped[Decimal] = amount()
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]


class BalanceTransaction(Id, TenantRow, Created, Model):
    """One movement of money. Never changed, never deleted; triggers refuse it in the database itself."""

    __tablename__ = "balance_transactions"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("reference"),
        Index("idx_ledger_time", "company_id", "created_at"),
        Index("idx_ledger_kind", "company_id", "kind", "created_at"),
        *tenant_refs(
            prepaid_balance_id="prepaid_balances",
            topup_id="balance_topups",
            call_charge_id="call_charges",
            created_by="portal_users",
        ),
        MYSQL_TABLE,
    )

    prepaid_balance_id: Mapped[int]
    kind: Mapped[str] = mapped_column(choice("kind", *KINDS))
    amount: Mapped[Decimal] = mapped_column(Money())
    balance_after: Mapped[Decimal] = mapped_column(Money())
    reference: Mapped[str] = mapped_column(String(191))
    description: Mapped[str | None] = mapped_column(String(255))
    topup_id: Mapped[int | None]
    call_charge_id: Mapped[int | None]
    created_by: Mapped[int | None]

    charge = belongs_to("BalanceTransaction.call_charge_id", "CallCharge")
    topup = belongs_to("BalanceTransaction.topup_id", "BalanceTopup")


class BalanceReservation(Id, TenantRow, Timestamps, Model):
    """Money held for one running call; resolves exactly once."""

    __tablename__ = "balance_reservations"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("call_id"),
        Index(None, "company_id", "status"),
        Index(None, "status", "expires_at"),
        *tenant_refs(prepaid_balance_id="prepaid_balances"),
        *tenant_refs(call_id="calls"),
        check("amount", "amount >= 0"),
        MYSQL_TABLE,
    )

    prepaid_balance_id: Mapped[int]
    call_id: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Money())
    status: Mapped[str] = mapped_column(
        choice("status", "held", "charged", "released"), default="held", server_default="held"
    )
    expires_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


class CallCharge(Id, TenantRow, Timestamps, Model):
    """What one call cost, with everything needed to compute it again. Seconds and euros."""

    __tablename__ = "call_charges"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("call_id"),
        Index(None, "company_id", "charged_at"),
        *tenant_refs(prepaid_balance_id="prepaid_balances", call_id="calls", billing_rate_id="billing_rates"),
        check("amount", "amount_charged >= 0 AND refunded_amount >= 0 AND refunded_amount <= amount_charged"),
        MYSQL_TABLE,
    )

    prepaid_balance_id: Mapped[int]
    call_id: Mapped[int]
    billing_rate_id: Mapped[int | None]
    duration_seconds: Mapped[int] = mapped_column(Integer)
    billable_seconds: Mapped[int] = mapped_column(Integer)
    increment_seconds: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    rate_per_minute: Mapped[Decimal] = mapped_column(Rate())
    setup_fee: Mapped[Decimal] = amount()
    minimum_charge: Mapped[Decimal] = amount()
    amount_charged: Mapped[Decimal] = mapped_column(Money())
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    status: Mapped[str] = mapped_column(
        choice("status", "charged", "waived"), default="charged", server_default="charged"
    )
    refunded_amount: Mapped[Decimal] = amount()
    refund_reason: Mapped[str | None] = mapped_column(Text)
    charged_at: Mapped[datetime]

    call = belongs_to("CallCharge.call_id", "Call")
    rate = belongs_to("CallCharge.billing_rate_id", "BillingRate")
