"""Where the next listing of a provider begins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal import db as types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pipeline_heartbeats", sa.Column("list_from", types.UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("pipeline_heartbeats", "list_from")
