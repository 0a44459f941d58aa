"""Loading millions of rows: without secondary indexes, keys and triggers, which come back once all rows are there.

SQLite does it in one transaction: all or nothing. MySQL and MariaDB read each chunk from a file (``LOAD DATA LOCAL``,
or ordinary INSERTs where the server forbids that). Their ALTER TABLE commits, so an interrupted load leaves rows
behind, but never a table without its indexes. A chunk is larger than a transaction may be on a Galera cluster (2,000
rows): this is for a single server.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine

from portal.db import db, engine_options
from portal.demo.progress import Progress

Row = tuple[Any, ...]
TAB = "\t"
# Full-text index of SQLite → the table whose triggers feed it.
FULL_TEXT = {"call_contents_fts": "call_contents", "customers_fts": "customers"}
_DROPPED = re.compile(r"^(?:FULLTEXT )?KEY (`\w+`)|^CONSTRAINT (`\w+`) FOREIGN KEY")


@dataclass(frozen=True)
class Target:
    """A table and the columns that are given. Times come as ISO text in UTC, truth as 0 and 1.

    Exact amounts come as whole numbers: ``scales`` says how many of their digits stand behind the point.
    """

    table: str
    columns: tuple[str, ...]
    scales: dict[str, int] = field(default_factory=dict)


def target(table: str, columns: str, cents: str = "", **scales: int) -> Target:
    """Column names in one string; those in ``cents`` have two digits behind the point."""
    return Target(table, tuple(columns.split()), dict.fromkeys(cents.split(), 2) | scales)


class Loader(Protocol):
    """What both engines share: ``load`` rows into a table, while ``open_for`` keeps its indexes away."""

    def load(self, into: Target, rows: Sequence[Row]) -> None: ...


@contextmanager
def open_for(targets: Iterable[Target], progress: Progress) -> Iterator[Loader]:
    """A loader for these tables. When it closes, the indexes are built, which takes as long as the rows."""
    names = [one.table for one in targets]
    db.session.remove()
    make = _sqlite if db.engine.dialect.name == "sqlite" else _mysql
    with make(names, progress) as loader:
        yield loader


# ---- SQLite -----------------------------------------------------------------------------------------------------


class _SQLite(Loader):
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def load(self, into: Target, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" * len(into.columns))
        self.cursor.executemany(f"INSERT INTO {into.table} ({', '.join(into.columns)}) VALUES ({marks})", rows)  # noqa: S608


@contextmanager
def _sqlite(names: list[str], progress: Progress) -> Iterator[Loader]:
    connection = db.engine.raw_connection()
    cursor = connection.cursor()
    try:
        for pragma in ("foreign_keys=OFF", "synchronous=OFF", "cache_size=-200000", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("BEGIN IMMEDIATE")
        taken_away = _take_away(cursor, names)
        yield _SQLite(cursor)
        _put_back(cursor, names, taken_away, progress)
        cursor.execute("COMMIT")
    except BaseException:
        if connection.dbapi_connection is not None and connection.dbapi_connection.in_transaction:
            cursor.execute("ROLLBACK")
        raise
    finally:
        # With its pragmas the connection is fit for nothing else.
        cursor.close()
        connection.invalidate()


def _take_away(cursor: Any, names: list[str]) -> list[str]:
    """Drop indexes and triggers of these tables; returns the statements that make them."""
    marks = ", ".join("?" * len(names))
    found = cursor.execute(
        f"SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ({marks}) "  # noqa: S608
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, name",
        names,
    ).fetchall()
    for kind, name, _ in found:
        cursor.execute(f"DROP {kind.upper()} {name}")
    return [sql for _, _, sql in found]


def _put_back(cursor: Any, names: list[str], statements: list[str], progress: Progress) -> None:
    full_text = [index for index, table in FULL_TEXT.items() if table in names]
    rebuilding = [f"INSERT INTO {index}({index}) VALUES ('rebuild')" for index in full_text]  # noqa: S608
    progress.begin("Indexes", len(rebuilding) + len(statements))
    for statement in rebuilding + statements:
        cursor.execute(statement)
        progress.step()
    # The planner has to know that one company is not like another.
    cursor.execute("PRAGMA analysis_limit = 1000")
    cursor.execute("ANALYZE")


# ---- MySQL and MariaDB ----------------------------------------------------------------------------------------


class _MySQL(Loader):
    """Sends one chunk while the next one is being made."""

    def __init__(self, cursor: Any, folder: Path) -> None:
        self.cursor, self.folder, self.count = cursor, folder, 0
        self.sender, self.sending = ThreadPoolExecutor(1), Future[None]()
        self.sending.set_result(None)
        cursor.execute("SELECT @@local_infile")
        self.from_files = bool(cursor.fetchone()[0])

    def load(self, into: Target, rows: Sequence[Row]) -> None:
        if self.from_files:
            path = self._write_file(into, rows)
            self.sending.result()
            self.sending = self.sender.submit(self._load_file, into, path)
        else:
            self._insert(into, rows)

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Also when interrupted: the connection is needed for the indexes.
        self.sender.shutdown()
        if kind is None:
            self.sending.result()

    def _write_file(self, into: Target, rows: Sequence[Row]) -> Path:
        self.count += 1
        path = self.folder / f"{into.table}-{self.count}.tsv"
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(f"{TAB.join(map(_as_field, row))}\n" for row in rows)
        return path

    def _load_file(self, into: Target, path: Path) -> None:
        names = ", ".join(f"@{name}" if name in into.scales else name for name in into.columns)
        amounts = ", ".join(f"{name} = @{name} / {10**scale}" for name, scale in into.scales.items())
        self.cursor.execute(
            f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {into.table} CHARACTER SET utf8mb4 ({names})"
            + (f" SET {amounts}" if amounts else "")
        )
        path.unlink()

    def _insert(self, into: Target, rows: Sequence[Row]) -> None:
        scales = [into.scales.get(name) for name in into.columns]
        marks = ", ".join(["%s"] * len(into.columns))
        exact = [tuple(map(_as_decimal, row, scales)) for row in rows]
        self.cursor.executemany(f"INSERT INTO {into.table} ({', '.join(into.columns)}) VALUES ({marks})", exact)  # noqa: S608


def _as_decimal(value: Any, scale: int | None) -> Any:
    return value if scale is None or value is None else Decimal(value).scaleb(-scale)


def _as_field(value: Any) -> str:
    if value is None:
        return "\\N"
    if not isinstance(value, str):
        return str(value)
    if value.isprintable() and "\\" not in value:
        return value
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


@contextmanager
def _mysql(names: list[str], progress: Progress) -> Iterator[Loader]:
    engine = _engine_for_files()
    connection = engine.raw_connection()
    cursor = connection.cursor()
    try:
        cursor.execute("SET SESSION unique_checks = 0, foreign_key_checks = 0, autocommit = 1")
        with (
            tempfile.TemporaryDirectory() as folder,
            _without_keys(cursor, names, progress),
            _MySQL(cursor, Path(folder)) as loader,
        ):
            yield loader
        cursor.execute(f"ANALYZE TABLE {', '.join(names)}")
    finally:
        cursor.close()
        connection.close()
        engine.dispose()


def _engine_for_files() -> Engine:
    options = engine_options(str(db.engine.url))
    # Building an index takes longer than a page may wait for an answer.
    options["connect_args"] |= {"local_infile": True, "read_timeout": 3600, "write_timeout": 3600}
    return create_engine(db.engine.url, **options)


@contextmanager
def _without_keys(cursor: Any, names: list[str], progress: Progress) -> Iterator[None]:
    """Drop secondary keys, full text and foreign keys; build them again whatever happens."""
    keys = {name: _keys_of(cursor, name) for name in names}
    try:
        for name, definitions in keys.items():
            if drops := ", ".join(map(_drop, definitions)):
                cursor.execute(f"ALTER TABLE {name} {drops}")
        yield
    finally:
        steps = [(name, step) for name, definitions in keys.items() for step in _in_steps(definitions)]
        progress.begin("Indexes", len(steps))
        for name, step in steps:
            cursor.execute(f"ALTER TABLE {name} {', '.join(f'ADD {definition}' for definition in step)}")
            progress.step()


def _keys_of(cursor: Any, name: str) -> list[str]:
    """The lines of CREATE TABLE that say KEY, FULLTEXT KEY, or CONSTRAINT … FOREIGN KEY."""
    cursor.execute(f"SHOW CREATE TABLE {name}")
    lines = (line.strip().rstrip(",") for line in cursor.fetchone()[1].splitlines())
    return [line for line in lines if _DROPPED.match(line)]


def _drop(definition: str) -> str:
    found = _DROPPED.match(definition)
    assert found is not None
    key, foreign = found.groups()
    return f"DROP KEY {key}" if key else f"DROP FOREIGN KEY {foreign}"


def _in_steps(definitions: list[str]) -> list[list[str]]:
    """All plain keys in one go, then each full text, which InnoDB builds one at a time, then the foreign keys."""
    plain = [line for line in definitions if line.startswith("KEY")]
    full_text = [[line] for line in definitions if line.startswith("FULLTEXT")]
    foreign = [line for line in definitions if line.startswith("CONSTRAINT")]
    return [step for step in (plain, *full_text, foreign) if step]
