"""Who did what when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import MYSQL_TABLE, Created, Id, MaybeTenantRow, Model


class AuditLog(Id, MaybeTenantRow, Created, Model):
    """One action with the values before and after. No foreign key on the row it tells about: that row may go."""

    __tablename__ = "audit_logs"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        Index("idx_audit_model", "model_type", "model_id", "created_at"),
        Index("idx_audit_user", "user_id", "created_at"),
        Index("idx_audit_action", "action", "created_at"),
        Index("idx_audit_company", "company_id", "created_at"),
        MYSQL_TABLE,
    )

    user_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(100))
    model_type: Mapped[str | None] = mapped_column(String(100))
    model_id: Mapped[int | None]
    old_values: Mapped[dict[str, Any] | None]
    new_values: Mapped[dict[str, Any] | None]
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(100))
