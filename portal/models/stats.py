"""Goals, and the daily figures from which charts are drawn."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    Exact,
    Id,
    Model,
    Money,
    TenantRow,
    Timestamps,
    check,
    choice,
    counter,
    flag,
    tenant_refs,
)

METRICS = (
    "calls_answered",
    "appointments_booked",
    "appointments_completed",
    "conversion_rate",
    "new_customers",
    "no_show_rate",
    "revenue",
)


class CompanyGoal(Id, TenantRow, Timestamps, Model):
    """A figure to reach, or not to exceed, in a period."""

    __tablename__ = "company_goals"
    __table_args__ = (
        Index(None, "company_id", "is_active"),
        *tenant_refs(ondelete="CASCADE", branch_id="branches"),
        *tenant_refs(created_by="portal_users"),
        check("order", "end_date >= start_date"),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(255))
    metric: Mapped[str] = mapped_column(choice("metric", *METRICS))
    period: Mapped[str] = mapped_column(choice("period", "week", "month", "quarter", "year", "custom"))
    target_value: Mapped[Decimal] = mapped_column(Exact(12, 2))
    direction: Mapped[str] = mapped_column(
        choice("direction", "at_least", "at_most"), default="at_least", server_default="at_least"
    )
    start_date: Mapped[date]
    end_date: Mapped[date | None]
    is_active: Mapped[bool] = flag(True)
    created_by: Mapped[int | None]


class DailyCallStats(Id, TenantRow, Timestamps, Model):
    """Calls of one local day and branch (0 = no branch), rebuilt as a whole whenever one of them changes."""

    __tablename__ = "daily_call_stats"
    __table_args__ = (UniqueConstraint("company_id", "day", "branch_key"), MYSQL_TABLE)

    day: Mapped[date]
    # 0 instead of NULL, because NULLs are not unique; no foreign key for the same reason.
    branch_key: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    calls: Mapped[int] = counter()
    answered: Mapped[int] = counter()
    booked: Mapped[int] = counter()
    seconds: Mapped[int] = counter()
    positive: Mapped[int] = counter()
    neutral: Mapped[int] = counter()
    negative: Mapped[int] = counter()


class DailySpend(Id, TenantRow, Timestamps, Model):
    """What calls cost on one local day, net of refunds, in euros."""

    __tablename__ = "daily_spend"
    __table_args__ = (UniqueConstraint("company_id", "day"), MYSQL_TABLE)

    day: Mapped[date]
    calls: Mapped[int] = counter()
    amount: Mapped[Decimal] = mapped_column(Money(), default=Decimal("0.00"), server_default=text("0"))
