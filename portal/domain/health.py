"""Whether this installation is fit to serve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.db import db, utcnow
from portal.models import WebhookEvent
from portal.tenancy import all_tenants

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# An event older than this that nobody has handled means that the worker is not running.
INBOX_PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True)
class Readiness:
    ok: bool
    details: dict[str, object]


@cache
def newest_migration() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def readiness() -> Readiness:
    """Database, migrations and inbox; never raises."""
    try:
        version = db.session.scalar(text("SELECT version_num FROM alembic_version"))
        waiting_since = _oldest_waiting()
    except SQLAlchemyError as error:
        return Readiness(False, {"database": type(error).__name__})
    migrated = version == newest_migration()
    stale = waiting_since is not None and waiting_since < utcnow() - INBOX_PATIENCE
    return Readiness(migrated and not stale, {"database": "ok", "migrated": migrated, "inbox_stale": stale})


def _oldest_waiting() -> datetime | None:
    with all_tenants("readiness looks at the whole inbox"):
        return db.session.scalar(
            select(func.min(WebhookEvent.next_attempt_at)).where(WebhookEvent.status.in_(("received", "failed")))
        )
