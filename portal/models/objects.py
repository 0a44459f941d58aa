"""What a table cannot say about itself: views, triggers and full-text indexes, as SQL text per dialect.

``migrations/env.py`` takes views and triggers away before a SQLite table is rebuilt and puts them back from here.
"""

from __future__ import annotations

from sqlalchemy import Connection, event, text

from portal.db import db

ACTIVE_APPOINTMENTS = """
CREATE VIEW active_appointments AS
SELECT a.id, a.company_id, a.branch_id, a.customer_id, a.staff_id, a.service_id, a.appointment_code, a.title,
       a.description, a.start_time, a.end_time, a.duration_minutes, a.buffer_before, a.buffer_after, a.status,
       a.arrived_at, a.confirmation_sent_at, a.reminder_sent_at, a.source, a.call_id, a.calcom_booking_id,
       a.calcom_event_id, a.google_event_id, a.cancelled_at, a.cancelled_by, a.cancellation_reason,
       a.internal_notes, a.customer_notes, a.price, a.version, a.created_at, a.updated_at,
       c.full_name AS customer_name, s.display_name AS staff_name, srv.name AS service_name, b.name AS branch_name
FROM appointments a
    LEFT JOIN customers c ON a.customer_id = c.id
    LEFT JOIN staff s ON a.staff_id = s.id
    LEFT JOIN services srv ON a.service_id = srv.id
    LEFT JOIN branches b ON a.branch_id = b.id
WHERE a.status IN ('scheduled', 'confirmed') AND a.start_time >= {now}
"""

# Scalar subqueries: the join of customers, appointments and calls as given would never end.
COMPANY_STATISTICS = """
CREATE VIEW company_statistics AS
SELECT c.id AS company_id,
       (SELECT COUNT(*) FROM customers cu WHERE cu.company_id = c.id) AS total_customers,
       (SELECT COUNT(*) FROM appointments a WHERE a.company_id = c.id) AS total_appointments,
       (SELECT COUNT(*) FROM calls ca WHERE ca.company_id = c.id) AS total_calls,
       (SELECT pb.current_balance FROM prepaid_balances pb WHERE pb.company_id = c.id) AS prepaid_balance
FROM companies c
"""

# Rows that are history: a mistake is corrected by a further row.
APPEND_ONLY = ("balance_transactions", "audit_logs", "recording_accesses")
# Documents stay as issued; only the file made from them may be added, once.
IMMUTABLE = ("invoice_lines",)
INVOICE_AS_ISSUED = (
    "id", "company_id", "topup_id", "kind", "corrects_id", "number", "issued_on", "supplied_on", "seller", "customer",
    "language", "currency", "tax_category", "tax_rate", "net_amount", "tax_amount", "gross_amount", "reason",
    "created_at",
)  # fmt: skip

NOW = {"sqlite": "datetime('now')", "mysql": "UTC_TIMESTAMP()"}


def _dialect(connection: Connection) -> str:
    return "sqlite" if connection.dialect.name == "sqlite" else "mysql"


def views(dialect: str) -> dict[str, str]:
    """View name → CREATE statement."""
    return {
        "active_appointments": ACTIVE_APPOINTMENTS.format(now=NOW[dialect]),
        "company_statistics": COMPANY_STATISTICS,
    }


def triggers(dialect: str) -> dict[str, str]:
    """Trigger name → CREATE statement."""
    made = {}
    for table in APPEND_ONLY + IMMUTABLE:
        for action in ("UPDATE", "DELETE"):
            name = f"{table}_no_{action.lower()}"
            made[name] = _refusal(dialect, name, table, action)
    made |= _invoice_triggers(dialect)
    if dialect == "sqlite":
        made |= _fts_triggers("call_contents", "call_contents_fts", "call_id", ("transcript",))
        made |= _fts_triggers("customers", "customers_fts", "id", ("first_name", "last_name"))
    return made


def _refusal(dialect: str, name: str, table: str, action: str, when: str = "") -> str:
    message = f"{table} is append-only"
    if dialect == "sqlite":
        condition = f" WHEN {when}" if when else ""
        return (
            f"CREATE TRIGGER {name} BEFORE {action} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    signal = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{message}'"
    body = f"BEGIN IF {when} THEN {signal}; END IF; END" if when else signal
    return f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW {body}"


def _invoice_triggers(dialect: str) -> dict[str, str]:
    differs = "NEW.{0} IS NOT OLD.{0}" if dialect == "sqlite" else "NOT (NEW.{0} <=> OLD.{0})"
    changed = " OR ".join(["OLD.pdf IS NOT NULL", *(differs.format(column) for column in INVOICE_AS_ISSUED)])
    return {
        "invoices_no_update": _refusal(dialect, "invoices_no_update", "invoices", "UPDATE", changed),
        "invoices_no_delete": _refusal(dialect, "invoices_no_delete", "invoices", "DELETE"),
    }


def _fts_triggers(table: str, index: str, key: str, columns: tuple[str, ...]) -> dict[str, str]:
    # Unconditional: an external-content index whose triggers skip rows answers wrongly.
    names = ", ".join(columns)
    new, old = (", ".join(f"{row}.{name}" for name in (key, *columns)) for row in ("new", "old"))
    insert = f"INSERT INTO {index}(rowid, {names}) VALUES ({new});"
    delete = f"INSERT INTO {index}({index}, rowid, {names}) VALUES ('delete', {old});"
    return {
        f"{index}_insert": f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {insert} END",
        f"{index}_delete": f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {delete} END",
        f"{index}_update": f"CREATE TRIGGER {index}_update AFTER UPDATE ON {table} BEGIN {delete} {insert} END",
    }


def full_text(dialect: str) -> list[str]:
    """Statements that make the full-text indexes. On SQLite they are tables beside the table."""
    if dialect == "sqlite":
        return [
            _fts_table("call_contents_fts", "transcript", "call_contents", "call_id"),
            _fts_table("customers_fts", "first_name, last_name", "customers", "id"),
        ]
    return [
        "CREATE FULLTEXT INDEX ft_call_transcript ON call_contents (tenant_token, transcript)",
        "CREATE FULLTEXT INDEX ft_customer_name ON customers (first_name, last_name)",
    ]


def _fts_table(name: str, columns: str, table: str, key: str) -> str:
    options = f"content='{table}', content_rowid='{key}', tokenize='unicode61 remove_diacritics 2'"
    return f"CREATE VIRTUAL TABLE {name} USING fts5({columns}, {options})"


FTS_TABLES = ("call_contents_fts", "customers_fts")


def create_views_and_triggers(connection: Connection) -> None:
    dialect = _dialect(connection)
    for statement in [*views(dialect).values(), *triggers(dialect).values()]:
        connection.execute(text(statement.replace(":", r"\:")))


def drop_views_and_triggers(connection: Connection) -> None:
    dialect = _dialect(connection)
    for name in triggers(dialect):
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
    for name in views(dialect):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def create_full_text(connection: Connection) -> None:
    for statement in full_text(_dialect(connection)):
        connection.execute(text(statement))


def drop_full_text(connection: Connection) -> None:
    if _dialect(connection) == "sqlite":
        for name in FTS_TABLES:
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    else:
        connection.execute(text("DROP INDEX ft_call_transcript ON call_contents"))
        connection.execute(text("DROP INDEX ft_customer_name ON customers"))


@event.listens_for(db.metadata, "after_create")
def _after_create(target: object, connection: Connection, **_: object) -> None:
    create_full_text(connection)
    create_views_and_triggers(connection)
