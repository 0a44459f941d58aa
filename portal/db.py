"""Engine set-up for both databases, column types, and the one way to write: :func:`transaction`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    column,
    event,
    func,
    literal_column,
    text,
    types,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import CursorResult, Engine
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declared_attr, mapped_column, registry, relationship
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

T = TypeVar("T")

CENT = Decimal("0.01")
MYSQL_TABLE = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def utcnow() -> datetime:
    """The present as an aware UTC time; the only clock the portal reads."""
    return datetime.now(UTC)


# ---- Column types ------------------------------------------------------------------------------


class Exact(TypeDecorator[Decimal]):
    """A decimal that is exact everywhere: DECIMAL on MySQL and MariaDB, a scaled integer on SQLite, never a float."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Integer())
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = self._exact(value)
        return int(exact.scaleb(self.scale)) if dialect.name == "sqlite" else exact

    def process_literal_param(self, value: Decimal | int | None, dialect: Dialect) -> str:
        return str(self.process_bind_param(value, dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        number = Decimal(value)
        return number.scaleb(-self.scale) if dialect.name == "sqlite" else number

    def _exact(self, value: Decimal | int) -> Decimal:
        if isinstance(value, float):
            raise TypeError("a float is no exact amount; use Decimal")
        number = Decimal(value)
        exact = number.quantize(Decimal(1).scaleb(-self.scale))
        if exact != number:
            raise ValueError(f"{number} has more than {self.scale} decimals")
        return exact


class Money(Exact):
    """Euros as ``Decimal`` with two places. Added and summed in SQL, never multiplied or averaged there."""

    cache_ok = True

    def __init__(self, precision: int = 10, scale: int = 2) -> None:
        super().__init__(precision, scale)


class Rate(Exact):
    """Euros a minute as ``Decimal`` with four places (0.4200)."""

    cache_ok = True

    def __init__(self, precision: int = 10, scale: int = 4) -> None:
        super().__init__(precision, scale)


class UTCDateTime(TypeDecorator[datetime]):
    """DATETIME holding UTC; aware in Python, naive values are refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(DateTime())
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError(f"naive time {value}: times are aware inside the portal")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
JSON = types.JSON(none_as_null=True)
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class EncryptionError(RuntimeError):
    """A secret cannot be read: unknown key, or a ciphertext moved from another row or column."""


_fernet: MultiFernet | None = None


def configure_encryption(keys: tuple[str, ...]) -> None:
    """Set the Fernet keys; the first one writes, all of them read."""
    global _fernet
    _fernet = MultiFernet([Fernet(key) for key in keys])


class EncryptedText:
    """A secret at rest: a descriptor over a TEXT column, bound to its owner and column.

    The owner and the column are part of what is encrypted, so that a ciphertext copied to another company
    or column is refused. ``owner`` names the attribute that identifies the owner and never changes.
    """

    def __init__(self, column: str, owner: str) -> None:
        self.column, self.owner = column, owner

    def _context(self, row: Any) -> str:
        return f"{row.__tablename__}.{self.column}:{getattr(row, self.owner)}"

    def __get__(self, row: Any, owner: type | None = None) -> Any:
        if row is None:
            return self
        token = getattr(row, self.column)
        if token is None:
            return None
        return self._open(token, self._context(row))

    def _open(self, token: str, context: str) -> str:
        assert _fernet is not None, "configure_encryption() was not called"
        try:
            bound, _, value = _fernet.decrypt(token.encode()).decode().partition("\0")
        except InvalidToken as error:
            raise EncryptionError(f"{context}: no key reads this secret") from error
        if bound != context:
            raise EncryptionError(f"{context}: this secret belongs to {bound}")
        return value

    def __set__(self, row: Any, value: str | None) -> None:
        assert _fernet is not None, "configure_encryption() was not called"
        if value:
            value = _fernet.encrypt(f"{self._context(row)}\0{value}".encode()).decode()
        setattr(row, self.column, value or None)

    def rotate(self, row: Any) -> bool:
        """Write the secret anew with the first key; True if there was one."""
        if (value := self.__get__(row)) is None:
            return False
        self.__set__(row, value)
        return True


# ---- Expressions that differ between the engines -------------------------------------------------


class MinutesBetween(FunctionElement[int]):
    """Whole minutes from one DATETIME column to another, for generated columns."""

    type = Integer()
    inherit_cache = True


@compiles(MinutesBetween, "sqlite")
def _minutes_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(strftime('%s', {end}) - strftime('%s', {start})) / 60"


@compiles(MinutesBetween)
def _minutes_mysql(element: Any, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"timestampdiff(MINUTE, {start}, {end})"


def trimmed_concat(first: str, second: str) -> ColumnElement[str]:
    """Two text columns with a space between them, trimmed; ``||`` on SQLite, ``concat()`` on MySQL and MariaDB."""
    left, right = (func.coalesce(column(name, String), literal_column("''", String)) for name in (first, second))
    return func.trim(left + literal_column("' '", String) + right)


# ---- The model base --------------------------------------------------------------------------------


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={int: BigId, bool: Boolean, datetime: UTCDateTime, dict[str, Any]: JSON, list[Any]: JSON},
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class Id:
    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-100)


class Created:
    """``created_at`` alone, for tables that are only ever appended to."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow, sort_order=900)


class Timestamps:
    """``created_at`` and ``updated_at``, set by the application so that both engines agree to the microsecond."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow, sort_order=900)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow, sort_order=901)


class TenantRow:
    """A row that belongs to one company. The tenant door filters on this mixin."""

    __company_delete__ = "CASCADE"

    @declared_attr
    def company_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("companies.id", ondelete=cls.__company_delete__), sort_order=-90)


class MaybeTenantRow(TenantRow):
    """A row that may belong to no company (the platform's own people, events of unknown origin)."""

    @declared_attr
    def company_id(cls) -> Mapped[int | None]:  # type: ignore[override]
        return mapped_column(ForeignKey("companies.id", ondelete=cls.__company_delete__), sort_order=-90)


def flag(default: bool) -> Mapped[bool]:
    """A NOT NULL boolean with the same default in Python and in the database."""
    return mapped_column(default=default, server_default=text("1" if default else "0"))


def counter() -> Mapped[int]:
    """A NOT NULL integer that starts at 0."""
    return mapped_column(Integer, default=0, server_default=text("0"))


def choice(name: str, *values: str) -> Enum:
    """ENUM on MySQL and MariaDB, VARCHAR with a CHECK on SQLite."""
    return Enum(*values, name=name, create_constraint=True, validate_strings=True)


def tenant_refs(
    *, ondelete: str = "RESTRICT", index: bool = True, use_alter: bool = False, **targets: str
) -> Iterator[SchemaItem]:
    """Composite foreign keys ``(company_id, x_id) → parent(company_id, id)``, each with its index.

    They make it impossible, in the database itself, for a row to point at another company's row.
    """
    for child, parent in targets.items():
        yield ForeignKeyConstraint(
            ["company_id", child], [f"{parent}.company_id", f"{parent}.id"], ondelete=ondelete, use_alter=use_alter
        )
        if index:
            yield Index(None, "company_id", child)


def belongs_to(column: str, target: str) -> Any:
    """A read-only relation along one foreign key, ``belongs_to("Call.customer_id", "Customer")``.

    It is never loaded by accident: a query that needs it says so with ``joinedload`` or ``selectinload``.
    """
    return relationship(
        target, primaryjoin=f"foreign({column}) == {target}.id", viewonly=True, lazy="raise_on_sql", uselist=False
    )


def has_many(owner: str, column: str, order_by: str | None = None) -> Any:
    """The other side of :func:`belongs_to`: ``has_many("Call", "CallNote.call_id")``."""
    return relationship(
        column.split(".")[0],
        primaryjoin=f"{owner}.id == foreign({column})",
        viewonly=True,
        lazy="raise_on_sql",
        order_by=order_by or False,
        uselist=True,
    )


def check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


# ---- Engines -----------------------------------------------------------------------------------------

_writing: ContextVar[bool] = ContextVar("writing", default=False)

# A deadlock, a lock time-out, a row changed since the snapshot: the connection lives, the unit runs again.
# 1305: a deadlock inside begin_nested() has ended the whole transaction, so its savepoint is gone as well.
RETRY = {1213, 1205, 1020, 1305}
# The node or the connection is gone: SQLAlchemy does not know the first two as disconnects.
RECONNECT = {1047, 1180, 2003, 2006, 2013}
ATTEMPTS = 6


def engine_options(url: str) -> dict[str, Any]:
    """Options for ``create_engine`` by dialect (see docs/decisions.md, two engines)."""
    # Errors are logged and shown to the operator: what was written, words of callers too, is no part of them.
    private = {"hide_parameters": True}
    if url.startswith("sqlite"):
        # isolation_level=None: the driver begins nothing by itself, _begin() below says how.
        return private | {"connect_args": {"isolation_level": None, "timeout": 15}}
    return private | {
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "connect_args": {"charset": "utf8mb4", "connect_timeout": 5, "read_timeout": 60, "write_timeout": 60},
    }


@event.listens_for(Engine, "connect")
def _on_connect(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    if type(connection).__module__.startswith("sqlite3"):
        for pragma in (
            "foreign_keys=ON",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=15000",
            "recursive_triggers=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
    else:
        cursor.execute(
            "SET time_zone = '+00:00', innodb_lock_wait_timeout = 10, "
            "sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
            "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
        )
    cursor.close()


@event.listens_for(Engine, "begin")
def _begin(connection: Any) -> None:
    # A write takes SQLite's lock at once: a read transaction that turns into a write fails with SQLITE_BUSY.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")


@event.listens_for(Engine, "handle_error")
def _mark_disconnects(context: Any) -> None:
    if _error_code(context.original_exception) in RECONNECT:
        context.is_disconnect = True


def _error_code(error: BaseException | None) -> int | None:
    code = error.args[0] if error is not None and error.args else None
    return code if isinstance(code, int) else None


def is_transient(error: BaseException) -> bool:
    """Whether running the whole unit again can succeed."""
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError):
        return False
    if getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return True
    return _error_code(error.orig) in RETRY | RECONNECT


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is away, so that the caller should come again later."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or is_transient(error))


def rows_changed(statement: UpdateBase) -> int:
    """Execute an UPDATE or DELETE and say how many rows it met: how a race is settled (somebody was first: 0)."""
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


# ---- Writing -----------------------------------------------------------------------------------------


def transaction(work: Callable[[], T]) -> T:
    """Run ``work`` in one transaction, commit, and return its result.

    The whole unit runs again, with jitter, on deadlocks, lock time-outs and lost connections, so ``work`` must
    not act on the outside world; what waits for the commit goes through :func:`after_commit`. A read transaction
    that is open ends first and the objects it loaded are refreshed. Units do not nest.
    """
    with writing():
        for attempt in range(1, ATTEMPTS + 1):
            db.session.rollback()
            db.session.info["after_commit"] = []
            try:
                result = work()
                db.session.commit()
                break
            except BaseException as error:
                db.session.rollback()
                if attempt == ATTEMPTS or not is_transient(error):
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
        callbacks = db.session.info.pop("after_commit")
    for callback in callbacks:
        callback()
    return result


@contextmanager
def writing() -> Iterator[None]:
    """Allow writes in this block. Only :func:`transaction`, bulk loading and the tests' set-up need it by hand."""
    if _writing.get():
        raise RuntimeError("transaction() inside transaction(): commit once, at the edge")
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)


def after_commit(callback: Callable[[], None]) -> None:
    """Call ``callback`` once the running :func:`transaction` has been committed."""
    db.session.info["after_commit"].append(callback)


@event.listens_for(Session, "before_flush")
def _refuse_stray_writes(session: Session, context: Any, instances: Any) -> None:
    if not _writing.get() and (session.new or session.deleted or any(map(session.is_modified, session.dirty))):
        raise RuntimeError("writes go through transaction()")
