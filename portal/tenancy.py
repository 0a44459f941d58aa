"""The tenant door: every statement on a tenant table sees one company, or is refused.

ORM statements get the company's criterion added; Core statements must name the company themselves; with no company
set both raise. What is written must belong to the company, and composite foreign keys hold the rest in the database.
``text()`` and Core INSERT pass by here: the keys in the database hold those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from flask import abort
from sqlalchemy import Select, Table, event, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, ColumnClause
from sqlalchemy.sql.expression import Alias, ClauseElement
from sqlalchemy.sql.schema import Column
from sqlalchemy.sql.selectable import SelectBase

from portal.db import Model, TenantRow, db

M = TypeVar("M", bound=Model)

EVERYONE = "*"  # inside all_tenants()
_scope: ContextVar[int | str | None] = ContextVar("tenant", default=None)


class TenantError(RuntimeError):
    """A statement would have crossed, or ignored, the border between companies."""


@contextmanager
def tenant_scope(company_id: int) -> Iterator[None]:
    """Everything inside sees and writes this company's rows only."""
    yield from _within(company_id)


@contextmanager
def all_tenants(why: str) -> Iterator[None]:
    """Everything inside sees every company. ``why`` is for the reader; a test counts the places."""
    assert why
    yield from _within(EVERYONE)


def _within(scope: int | str) -> Iterator[None]:
    before = _scope.get()
    token = _scope.set(scope)
    # A row loaded in one scope must not come back from the identity map in another.
    if scope != before and not db.session.new:
        db.session.expunge_all()
    try:
        yield
        if scope != before:
            db.session.flush()
    finally:
        _scope.reset(token)
        if scope != before:
            db.session.expunge_all()


def current_company_id() -> int:
    """The company of this scope; raises where there is none or where all are visible."""
    scope = _scope.get()
    if not isinstance(scope, int):
        raise TenantError("no company is set here")
    return scope


def get_or_404(model: type[M], row_id: int, *options: Any) -> M:
    """This company's row, or the same 404 for a foreign id as for a missing one."""
    statement: Select[Any] = select(model).where(model.id == row_id).options(*options)  # type: ignore[attr-defined]
    row: M | None = db.session.scalar(statement)
    if row is None:
        abort(404)
    return row


def is_tenant_table(table: Table) -> bool:
    return "company_id" in table.c


@event.listens_for(Session, "do_orm_execute")
def _guard(state: ORMExecuteState) -> None:
    scope = _scope.get()
    if scope == EVERYONE or state.is_insert:
        return
    tables = _Tables(state.statement)
    if not isinstance(scope, int):
        if tables.all:
            raise TenantError(f"no company is set, but the statement touches {', '.join(sorted(tables.all))}")
        return
    if (plain := tables.plain) and (unnamed := plain - _named(state.statement, scope)):
        raise TenantError(f"a Core statement on {min(unnamed)} must name the company it is for")
    state.statement = state.statement.options(_criterion(scope))


class _Tables:
    """The tenant tables in a statement: ``all`` of them, and ``plain``, those that carry no mapper (Core).

    A column of a plain table beside the mapped table in the same SELECT is how the ORM itself writes primary keys
    and joins; it reads from the mapped one.
    """

    def __init__(self, statement: Any) -> None:
        self.all: set[str] = set()
        self._levels: list[tuple[set[str], set[str]]] = []
        self._seen: set[tuple[int, int]] = set()
        self._enter(statement)

    @property
    def plain(self) -> set[str]:
        return {name for mapped, plain in self._levels for name in plain - mapped}

    def _enter(self, statement: Any) -> None:
        self._levels.append((set(), set()))
        self._children(statement, len(self._levels) - 1)

    def _children(self, element: Any, level: int) -> None:
        for child in element.get_children():
            self._visit(child, level)

    def _visit(self, element: Any, level: int) -> None:
        if (id(element), level) in self._seen:
            return
        self._seen.add((id(element), level))
        if isinstance(element, SelectBase | UpdateBase):
            self._enter(element)
        elif not self._note(element, level, _is_mapped(element)):
            self._children(element, level)

    def _note(self, element: Any, level: int, mapped: bool) -> bool:
        """Note the table that an element reads from; False when it has to be looked into."""
        if isinstance(element, ColumnClause) and element.table is not None:
            # A column does not traverse to its table; a subquery named only by its columns would stay unseen.
            if not self._note(element.table, level, mapped):
                self._visit(element.table, level)
            return True
        table = element.element if isinstance(element, Alias) else element
        if not isinstance(table, Table):
            return False
        if is_tenant_table(table):
            self.all.add(table.name)
            self._levels[level][0 if mapped else 1].add(table.name)
        return True


def _is_mapped(element: Any) -> bool:
    return "parententity" in element._annotations


def _named(statement: Any, company_id: int) -> set[str]:
    """Tables whose ``company_id`` is compared with this very company somewhere in the statement."""
    elements: Iterable[Any] = visitors.iterate(statement)
    return {element.left.table.name for element in elements if _compares_company(element, company_id)}


def _compares_company(element: ClauseElement, company_id: int) -> bool:
    return (
        isinstance(element, BinaryExpression)
        and element.operator is operators.eq
        and isinstance(element.left, Column)
        and element.left.name == "company_id"
        and isinstance(element.right, BindParameter)
        and element.right.value == company_id
    )


def _criterion(company_id: int) -> Any:
    return with_loader_criteria(TenantRow, lambda row: row.company_id == company_id, include_aliases=True)


@event.listens_for(Session, "before_flush")
def _refuse_foreign_rows(session: Session, context: UOWTransaction, instances: Any) -> None:
    scope = _scope.get()
    for row in {*session.new, *session.dirty, *session.deleted}:
        if not hasattr(row, "company_id") or scope == EVERYONE:
            continue
        if not isinstance(scope, int):
            raise TenantError(f"no company is set, but {row!r} is to be written")
        if row.company_id != scope:
            raise TenantError(f"{row!r} belongs to company {row.company_id}, not to {scope}")
