"""Indexes that hold what the list of calls filters by, and what people are looked for by."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ["company_id", "started_at", "created_at", "status", "intent", "sentiment", "direction"]
COLUMNS += ["duration_seconds", "appointment_created", "branch_id"]


def upgrade() -> None:
    op.create_index("idx_call_filters", "calls", COLUMNS)
    op.create_index(op.f("ix_customers_company_id_search_name"), "customers", ["company_id", "search_name"])


def downgrade() -> None:
    op.drop_index(op.f("ix_customers_company_id_search_name"), table_name="customers")
    op.drop_index("idx_call_filters", table_name="calls")
