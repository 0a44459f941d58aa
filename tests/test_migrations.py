"""Models and migrations agree, twice over: by comparison and by a snapshot of the catalogue; and down and up again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Connection, text

from portal import create_app
from portal.db import db
from portal.models import objects
from tests.conftest import TEST_SETTINGS, Databases, make_app


@pytest.fixture
def migrated(databases: Databases) -> Iterator[Flask]:
    app = make_app(databases.create())
    with app.app_context():
        yield app
        db.engine.dispose()


@pytest.fixture
def created(databases: Databases) -> Iterator[Flask]:
    """What the models alone would make; nothing but this test ever does so."""
    from dataclasses import replace

    app = create_app(replace(TEST_SETTINGS, database_url=databases.create()))
    with app.app_context():
        db.create_all()
        yield app
        db.engine.dispose()


def include(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    if kind == "table" and name:
        return name != "alembic_version" and not name.startswith(objects.FTS_TABLES)
    return not (kind == "index" and name and name.startswith("ft_"))


def test_comparing_finds_no_difference(migrated: Flask) -> None:
    with db.engine.connect() as connection:
        # Server defaults are spelled differently when read back; the snapshot below holds those.
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": include})
        found = compare_metadata(context, db.metadata)
    # SQLite knows no type for exact decimals and JSON; the snapshot below compares what is really there.
    assert [entry for entry in found if not _is_type_noise(entry)] == []


def _is_type_noise(entry: Any) -> bool:
    changes = entry if isinstance(entry, list) else [entry]
    return db.engine.dialect.name == "sqlite" and all(change[0] == "modify_type" for change in changes)


def test_the_catalogue_is_the_same_as_the_models_would_make(migrated: Flask, created: Flask) -> None:
    with migrated.app_context(), db.engine.connect() as connection:
        by_migrations = catalogue(connection)
    with created.app_context(), db.engine.connect() as connection:
        by_models = catalogue(connection)
    assert set(by_migrations) == set(by_models)
    for name, definition in by_models.items():
        assert by_migrations[name] == definition, name


def test_down_and_up_again_leaves_nothing_and_everything(migrated: Flask) -> None:
    with db.engine.connect() as connection:
        before = catalogue(connection)
    db.engine.dispose()
    downgrade(revision="base")
    with db.engine.connect() as connection:
        assert catalogue(connection) == {}
    db.engine.dispose()
    upgrade()
    with db.engine.connect() as connection:
        assert catalogue(connection) == before


def catalogue(connection: Connection) -> dict[str, Any]:
    """Name → definition of every table, view, index and trigger, as the database itself tells it."""
    if connection.dialect.name == "sqlite":
        return _sqlite_catalogue(connection)
    return _mysql_catalogue(connection)


def _sqlite_catalogue(connection: Connection) -> dict[str, Any]:
    rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    skip = ("alembic_version", "sqlite_")
    return {f"{kind} {name}": _normal(sql) for kind, name, sql in rows if not name.startswith(skip)}


def _mysql_catalogue(connection: Connection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in connection.execute(text("SHOW FULL TABLES")).all():
        if name == "alembic_version":
            continue
        definition = connection.execute(text(f"SHOW CREATE TABLE `{name}`")).all()[0][1]
        found[f"{kind} {name}"] = _normal(_without_schema(connection, definition))
    for row in connection.execute(text("SHOW TRIGGERS")).all():
        found[f"trigger {row[0]}"] = (row[1], row[2], _normal(row[3]), row[4])
    return found


def _without_schema(connection: Connection, definition: str) -> str:
    schema = connection.execute(text("SELECT DATABASE()")).scalar()
    return definition.replace(f"`{schema}`.", "").replace("AUTO_INCREMENT=", "")


def _normal(sql: str) -> tuple[str, ...]:
    """The definition's lines without white space and in order: constraints may stand in any order."""
    # Alembic sets a default on SQLite in brackets, SQLAlchemy does not.
    sql = re.sub(r"DEFAULT \((\w+)\)", r"DEFAULT \1", sql.replace('"', "")).replace(", ", ",\n")
    lines = (re.sub(r"\s+", " ", line).strip().rstrip(",") for line in sql.splitlines())
    return tuple(sorted(line for line in lines if line))
