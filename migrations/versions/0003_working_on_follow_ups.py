"""What the work on follow-ups needs: attempts, an optimistic lock, and what their words are made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "call_followups"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column(TABLE, sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column(TABLE, sa.Column("facts", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_call_followups_company_id_closed_at"), TABLE, ["company_id", "closed_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_call_followups_company_id_closed_at"), table_name=TABLE)
    for name in ("facts", "version", "attempts"):
        op.drop_column(TABLE, name)
