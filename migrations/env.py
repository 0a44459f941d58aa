"""Runs the migrations, the only way either engine gets its tables.

SQLite rebuilds a table to change it. That would cascade through foreign keys, lose the triggers and trip over the
views, so on SQLite the keys rest, views and triggers are taken away and put back, and the keys are checked at the end.
"""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, inspect

from portal.db import db
from portal.models import objects


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Full-text indexes and FTS5's own tables are made from ``objects.py``, not from the models."""
    if kind == "table" and name is not None:
        return not name.startswith(objects.FTS_TABLES)
    return not (kind == "index" and name is not None and name.startswith("ft_"))


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    if kind == "type" and type(item).__module__ == "portal.db":
        autogen.imports.add("from portal import db as types")
        return f"types.{item!r}"
    return False


def run() -> None:
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            include_object=include_object,
            render_item=render_item,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        if connection.dialect.name == "sqlite":
            run_on_sqlite(connection)
        else:
            with context.begin_transaction():
                context.run_migrations()


def run_on_sqlite(connection: Connection) -> None:
    # Never given back to the pool: nobody else must work with the keys at rest.
    connection.detach()
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.execute("PRAGMA foreign_keys=OFF")  # type: ignore[attr-defined]
    with connection.begin():
        objects.drop_views_and_triggers(connection)
        context.run_migrations()
        if "appointments" in inspect(connection).get_table_names():
            objects.drop_views_and_triggers(connection)
            objects.create_views_and_triggers(connection)
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"foreign keys broken by a migration: {broken[:10]}")


run()
