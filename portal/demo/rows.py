"""Rows to be: collected with ids dealt out beforehand, written table by table in one go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import func, insert, select, update

from portal.db import Model, db

CHUNK = 500


class Rows:
    """Rows by model. An id is known as soon as a row is added, so that rows can point at each other."""

    def __init__(self, first_id: Callable[[type[Model]], int]) -> None:
        self._first_id = first_id
        self._next: dict[type[Model], int] = {}
        self.by_model: defaultdict[type[Model], list[dict[str, Any]]] = defaultdict(list)
        self._by_id: dict[tuple[type[Model], int], dict[str, Any]] = {}
        self._later: defaultdict[type[Model], list[dict[str, Any]]] = defaultdict(list)

    def add(self, model: type[Model], **values: Any) -> int:
        """Add a row by the names of the model's attributes; returns its id."""
        if model not in self._next:
            self._next[model] = self._first_id(model)
        row_id = self._next[model]
        self._next[model] += 1
        row = {"id": row_id, **values}
        self.by_model[model].append(row)
        self._by_id[model, row_id] = row
        return row_id

    def amend(self, model: type[Model], row_id: int, **values: Any) -> None:
        """Set further columns of a row that is not written yet."""
        self._by_id[model, row_id].update(values)

    def add_plain(self, model: type[Model], **values: Any) -> None:
        """Add a row whose key is not a number of its own."""
        self.by_model[model].append(values)

    def set_later(self, model: type[Model], row_id: int, **values: Any) -> None:
        """Set columns once all rows are there, where two tables point at each other."""
        self._later[model].append({"id": row_id, **values})

    @property
    def count(self) -> int:
        return sum(len(rows) for rows in (*self.by_model.values(), *self._later.values()))

    def write(self) -> Iterator[int]:
        """Insert everything, parents first; yields the number of rows written after each chunk."""
        order = [mapper for table in db.metadata.sorted_tables for mapper in _mappers(table)]
        for model in order:
            for chunk in _chunks(self.by_model.get(model, [])):
                db.session.execute(insert(model), chunk)
                yield len(chunk)
        for model, rows in self._later.items():
            for chunk in _chunks(rows):
                db.session.execute(update(model), chunk)
                yield len(chunk)


def after_the_last(model: type[Model]) -> int:
    """The first id that is free. Needs ``all_tenants``."""
    last: int | None = db.session.scalar(select(func.max(model.id)))  # type: ignore[attr-defined]
    return (last or 0) + 1


def _mappers(table: Any) -> list[type[Model]]:
    return [mapper.class_ for mapper in Model.registry.mappers if mapper.local_table is table]


def _chunks(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows of a chunk have the same columns, because one statement names them all."""
    by_columns: defaultdict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_columns[frozenset(row)].append(row)
    for alike in by_columns.values():
        for start in range(0, len(alike), CHUNK):
            yield alike[start : start + CHUNK]
