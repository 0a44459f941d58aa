"""Where a branch stands, so that its public holidays are known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal import db as types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("branches", sa.Column("country", sa.String(2), nullable=True))
    op.add_column("branches", sa.Column("region", sa.String(10), nullable=True))
    # Mails to customers come in the company's name, and answers go to the branch.
    op.add_column("email_outbox", sa.Column("sender_name", sa.String(100), nullable=True))
    op.add_column("email_outbox", sa.Column("reply_to", sa.String(255), nullable=True))
    # What was sent to Cal.com, and whether it is on its way there right now.
    for name in ("pushed_start", "push_until"):
        op.add_column("bookings", sa.Column(name, types.UTCDateTime(), nullable=True))
    # What is out of step with Cal.com, and the mails of a day, are looked for often; both are few among many.
    op.create_index(op.f("ix_bookings_company_id_sync_status"), "bookings", ["company_id", "sync_status"])
    op.create_index(op.f("ix_email_outbox_created_at"), "email_outbox", ["created_at"])
    # Hours may end at midnight, which is kept as 00:00.
    order_hours("closes_at > opens_at OR closes_at < '00:00:01'")


def downgrade() -> None:
    order_hours("closes_at > opens_at")
    op.drop_index(op.f("ix_email_outbox_created_at"), table_name="email_outbox")
    op.drop_index(op.f("ix_bookings_company_id_sync_status"), table_name="bookings")
    for name in ("push_until", "pushed_start"):
        op.drop_column("bookings", name)
    for name in ("reply_to", "sender_name"):
        op.drop_column("email_outbox", name)
    for name in ("region", "country"):
        op.drop_column("branches", name)


def order_hours(condition: str) -> None:
    """Which ends may follow which starts, in the tables that hold hours."""
    for table in ("working_hours", "branch_closures"):
        name = op.f(f"ck_{table}_order")
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_constraint(name, type_="check")
            batch_op.create_check_constraint(name, condition)
