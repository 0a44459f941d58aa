"""docs/schema.md says where everything of the given design is now; its tables are held against the real database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL, Inspector, create_engine, inspect, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from portal import create_app
from portal.db import db, utcnow
from portal.domain import erasure, invoices, ledger
from portal.jobs import worker
from portal.models import (
    AuditLog,
    BalanceTopup,
    BalanceTransaction,
    Branch,
    CallActivity,
    Invoice,
    PrepaidBalance,
    objects,
)
from portal.tenancy import tenant_scope
from portal.webhooks.signatures import sign_retell
from tests.cast import PASSWORD, Cast, Firm, build_cast
from tests.conftest import TEST_SETTINGS, Databases, PortalClient, make_app
from tests.factories import make_appointment, make_customer, make_topup, save, within
from tests.webhooks import retell_payloads

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "schema.md"
GRANTS = ROOT / "docs" / "grants.sql"
MADE_BY_TOOLS = {"alembic_version"}
Row = list[str]
TOMORROW = utcnow().replace(microsecond=0) + timedelta(days=1)


# ---------- reading the document ----------


@cache
def section(title: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/schema.md has no heading {title!r}"
    return found[1]


def rows(title: str) -> list[Row]:
    """The cells of the table under a heading, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    assert lines, f"docs/schema.md has no table under {title!r}"
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def name(cell: str) -> str:
    (only,) = names(cell)
    return only


def ids(title: str) -> list[Any]:
    return [pytest.param(row, id=" ".join(names(row[0])) or row[0]) for row in rows(title)]


GIVEN = {name(row[0]) for row in rows("The eleven given tables")}


# ---------- reading the database ----------


@pytest.fixture
def database(app: Flask) -> Inspector:
    return inspect(db.session.connection())


def columns(database: Inspector, table: str) -> dict[str, Any]:
    return {column["name"]: column for column in database.get_columns(table)}


def indexes(database: Inspector, table: str) -> dict[str, tuple[list[str], bool]]:
    """Name → columns, and whether it is unique. SQLite lists unique constraints apart."""
    found = {index["name"]: (index["column_names"], bool(index["unique"])) for index in database.get_indexes(table)}
    unique = {key["name"]: (key["column_names"], True) for key in database.get_unique_constraints(table)}
    return found | unique  # type: ignore[return-value]


def on_delete(key: Any) -> str:
    return str(key["options"].get("ondelete") or "RESTRICT").upper()


# ---------- tables and columns ----------


def test_every_table_is_on_the_page_and_every_table_of_the_page_exists(database: Inspector) -> None:
    told = GIVEN | {name(row[0]) for row in rows("The tables that the diagram names without SQL")}
    told |= {name(row[0]) for row in rows("Further tables")}
    real = {table for table in database.get_table_names() if not table.startswith(objects.FTS_TABLES)}
    assert told == real - MADE_BY_TOOLS


def test_eleven_tables_were_given_and_eleven_more_were_named() -> None:
    assert len(GIVEN) == 11
    assert len(rows("The tables that the diagram names without SQL")) == 11


@pytest.mark.parametrize("row", ids("The eleven given tables"))
def test_a_given_table_has_its_columns_and_only_those_added_that_the_page_names(database: Inspector, row: Row) -> None:
    given, added = names(row[1]), names(row[2])
    assert not set(given) & set(added)
    assert set(columns(database, name(row[0]))) == {*given, *added}


@pytest.mark.parametrize("row", ids("The tables that the diagram names without SQL"))
def test_a_table_without_sql_has_the_columns_that_the_page_lists(database: Inspector, row: Row) -> None:
    assert set(columns(database, name(row[0]))) == set(names(row[1]))


@pytest.mark.parametrize("row", [*ids("The tables that the diagram names without SQL"), *ids("Further tables")])
def test_a_table_is_made_in_the_file_that_the_page_names(row: Row) -> None:
    source = (ROOT / name(row[2])).read_text(encoding="utf-8")
    assert f'__tablename__ = "{name(row[0])}"' in source


@pytest.mark.parametrize("row", ids("Columns that changed"))
def test_a_changed_column_is_where_the_page_says_with_that_type(
    database: Inspector, row: Row, engine_name: str
) -> None:
    table, column = name(row[2]).split(".")
    assert column in columns(database, table)
    if name(row[0]) != name(row[2]):
        old_table, old_column = name(row[0]).split(".")
        assert old_column not in columns(database, old_table)
    if engine_name == "mariadb":
        assert mysql_type(table, column) == name(row[3])


def mysql_type(table: str, column: str) -> str:
    found = db.session.execute(
        text(
            "SELECT column_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column"
        ),
        {"table": table, "column": column},
    )
    return str(found.scalar_one())


def test_no_column_follows_the_session_zone_or_ends_in_2038(app: Flask, engine_name: str) -> None:
    if engine_name == "sqlite":
        pytest.skip("SQLite has no TIMESTAMP")
    query = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND data_type = :kind"
    assert db.session.execute(text(query), {"kind": "timestamp"}).scalar_one() == 0
    assert db.session.execute(text(query), {"kind": "datetime"}).scalar_one() > 100


def test_no_amount_is_a_float(database: Inspector) -> None:
    kinds = {
        f"{table}.{column}": str(found["type"]).upper()
        for table in database.get_table_names()
        for column, found in columns(database, table).items()
    }
    assert [where for where, kind in kinds.items() if kind.startswith(("FLOAT", "REAL", "DOUBLE"))] == []


# ---------- generated columns ----------


def test_the_page_lists_every_generated_column(database: Inspector) -> None:
    real = {
        f"{table}.{column}"
        for table in database.get_table_names()
        for column, found in columns(database, table).items()
        if found.get("computed")
    }
    by_the_application = {"customers.phone_normalized"}
    assert real == {name(row[0]) for row in rows("Generated columns")} - by_the_application


@pytest.mark.parametrize(
    ("first", "last", "full"),
    [("Aylin", "Demir", "Aylin Demir"), ("Aylin", None, "Aylin"), (None, "Demir", "Demir"), (None, None, "")],
)
def test_a_full_name_is_put_together_and_trimmed(
    app: Flask, cast: Cast, first: str | None, last: str | None, full: str
) -> None:
    made = make_customer(cast.salon, first, last, search_name=None)  # type: ignore[arg-type]
    assert value_of("customers", "full_name", made.id) == full


def test_a_number_is_kept_with_its_digits_backwards(app: Flask, cast: Cast) -> None:
    made = make_customer(cast.salon, phone="0231 274870", phone_normalized="+49231274870")
    assert value_of("customers", "phone_rev", made.id) == "07847213294"


def test_a_withheld_number_is_empty_and_several_people_may_share_one(app: Flask, cast: Cast) -> None:
    made = [make_customer(cast.salon) for _ in range(2)]
    assert {value_of("customers", "phone", one.id) for one in made} == {""}
    assert {value_of("customers", "phone_normalized", one.id) for one in made} == {None}
    for _ in range(2):
        make_customer(cast.salon, phone="1", phone_normalized="+49301")


def test_the_length_of_an_appointment_is_counted_in_minutes(app: Flask, cast: Cast) -> None:
    made = make_appointment(cast.salon, TOMORROW, minutes=95)
    assert value_of("appointments", "duration_minutes", made.id) == 95


def test_what_is_available_is_the_balance_less_what_is_held(app: Flask, cast: Cast) -> None:
    firm = cast.salon
    amounts = {"current_balance": Decimal("120.50"), "reserved_balance": Decimal("2.10")}
    with tenant_scope(firm.id):
        db.session.execute(update(PrepaidBalance).values(amounts))
        db.session.expire_all()
        assert db.session.get_one(PrepaidBalance, firm.balance.id).available_balance == Decimal("118.40")


def test_a_company_has_one_primary_branch_and_any_number_of_others(app: Flask, cast: Cast) -> None:
    firm = cast.salon
    for _ in range(2):
        save(firm, Branch(company_id=firm.id, name="Further", address="Weg 3"))
    with pytest.raises(DBAPIError):
        save(firm, Branch(company_id=firm.id, name="Second first", address="Weg 4", is_primary=True))
    assert value_of("branches", "primary_marker", firm.main.id) == 1
    assert value_of("branches", "primary_marker", firm.other.id) is None


# ---------- indexes ----------


def test_no_given_index_is_told_twice() -> None:
    told = [name(row[0]) for row in [*rows("Indexes"), *rows("Full-text indexes")]]
    assert len(told) == len(set(told)) == 38 + 2


@pytest.mark.parametrize("row", ids("Indexes"))
def test_a_given_index_is_where_the_page_says(database: Inspector, row: Row) -> None:
    table = name(row[0]).partition(".")[0]
    real = indexes(database, table)
    if row[2] == "left out":
        covering, _ = real[name(row[3])]
        shorter = min(len(covering), len(names(row[1])))
        assert covering[:shorter] == names(row[1])[:shorter], "one must begin with the other"
        assert name(row[0]).partition(".")[2] not in real
    else:
        assert real[name(row[2])] == (names(row[3]), row[4] == "yes")


def test_the_page_lists_all_other_indexes_of_the_given_tables(database: Inspector) -> None:
    told = {name(row[2]) for row in rows("Indexes") if row[2] != "left out"}
    further = {(name(row[0]), name(row[1])): (names(row[2]), row[3] == "yes") for row in further_indexes()}
    for table in sorted(GIVEN):
        for index, shape in indexes(database, table).items():
            if index not in told and not index.startswith("ft_") and not belongs_to_a_key(database, table, shape[0]):
                assert further.pop((table, index)) == shape
    assert further == {}, "on the page, but not in the database"


def further_indexes() -> list[Row]:
    return rows("Further indexes on the given tables")


def belongs_to_a_key(database: Inspector, table: str, on: list[str]) -> bool:
    """The index of a foreign key, or the unique pair that foreign keys point at."""
    keys = [key["constrained_columns"] for key in database.get_foreign_keys(table)]
    return on in [*keys, ["company_id", "id"]]


@pytest.mark.parametrize("row", ids("Full-text indexes"))
def test_a_full_text_index_exists(database: Inspector, row: Row, engine_name: str) -> None:
    if engine_name == "sqlite":
        assert set(columns(database, name(row[4]))) >= set(names(row[1]))
    else:
        table, index = name(row[2]).split(".")
        assert indexes(database, table)[index][0] == names(row[3])
        assert f"FULLTEXT KEY `{index}`" in db.session.execute(text(f"SHOW CREATE TABLE {table}")).one()[1]


# ---------- foreign keys ----------


@pytest.mark.parametrize("row", ids("Foreign keys"))
def test_a_given_foreign_key_is_held(database: Inspector, row: Row) -> None:
    table, column = name(row[0]).split(".")
    assert column in names(row[3])
    keys = {tuple(key["constrained_columns"]): key for key in database.get_foreign_keys(table)}
    key = keys[tuple(names(row[3]))]
    assert (key["referred_table"], on_delete(key)) == (name(row[1]), row[4])
    assert key["referred_columns"] == ["company_id", "id"][-len(names(row[3])) :]


def test_the_page_names_every_table_that_outlives_its_company(database: Inspector) -> None:
    sentence = section("Foreign keys").partition("Tables that keep a company from being deleted:")[2]
    real = {
        table
        for table in database.get_table_names()
        for key in database.get_foreign_keys(table)
        if key["referred_table"] == "companies" and on_delete(key) == "RESTRICT"
    }
    assert set(names(sentence)) == real


def test_a_row_cannot_point_at_another_companys_row(app: Flask, cast: Cast) -> None:
    with pytest.raises(DBAPIError):
        make_appointment(cast.salon, customer_id=cast.praxis.customer.id)


def test_no_foreign_key_sets_null(database: Inspector) -> None:
    rules = {on_delete(key) for table in database.get_table_names() for key in database.get_foreign_keys(table)}
    assert rules == {"RESTRICT", "CASCADE"}


# ---------- views ----------


def test_the_page_lists_every_view(database: Inspector) -> None:
    assert set(database.get_view_names()) == {name(row[0]) for row in rows("Views")}


@pytest.mark.parametrize("row", ids("Views"))
def test_a_view_has_exactly_the_promised_columns(app: Flask, row: Row) -> None:
    found = db.session.execute(text(f"SELECT * FROM {name(row[0])} WHERE 1 = 0"))
    assert list(found.keys()) == names(row[1])


def test_active_appointments_are_those_to_come_with_their_names(app: Flask, cast: Cast) -> None:
    firm = cast.salon
    make_appointment(firm, TOMORROW - timedelta(days=2))
    make_appointment(firm, status="cancelled")
    coming = make_appointment(firm)
    query = text("SELECT id, customer_name, staff_name, service_name, branch_name FROM active_appointments")
    assert db.session.execute(query).all() == [
        (coming.id, "Aylin Demir", "Sofia Klein", "Damenhaarschnitt", firm.main.name)
    ]


def test_company_statistics_count_each_thing_once(app: Flask, cast: Cast) -> None:
    firm = cast.salon
    for _ in range(3):
        make_appointment(firm)
    query = text(
        "SELECT total_customers, total_appointments, total_calls FROM company_statistics WHERE company_id = :id"
    )
    assert db.session.execute(query, {"id": firm.id}).one() == (1, 3, 0)


# ---------- what the database refuses ----------


@pytest.mark.parametrize("row", ids("What the database refuses"))
def test_the_page_names_the_tables_whose_rows_stay(row: Row) -> None:
    guarded = {*objects.APPEND_ONLY, *objects.IMMUTABLE, "invoices"}
    assert {name(line[0]) for line in rows("What the database refuses")} == guarded
    wanted = {f"{name(row[0])}_no_update", f"{name(row[0])}_no_delete"}
    assert wanted <= set(objects.triggers("sqlite"))
    assert wanted <= set(objects.triggers("mysql"))


@pytest.mark.parametrize("statement", ["UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs"])
def test_a_row_of_the_record_cannot_be_touched_even_by_hand(app: Flask, cast: Cast, statement: str) -> None:
    save(cast.salon, AuditLog(company_id=cast.salon.id, action="test.done"))
    with pytest.raises(DBAPIError, match="append-only"), db.session.begin_nested():
        db.session.execute(text(statement))


def test_an_invoice_takes_its_pdf_once_and_nothing_else(app: Flask, cast: Cast) -> None:
    made = save(cast.salon, an_invoice(cast.salon)).id
    pdf = text("UPDATE invoices SET pdf = :pdf WHERE id = :id")
    db.session.execute(pdf, {"pdf": b"%PDF-1", "id": made})
    for statement, values in (
        (pdf, {"pdf": b"%PDF-2", "id": made}),
        (text("UPDATE invoices SET gross_amount = 1, net_amount = 1, tax_amount = 0 WHERE id = :id"), {"id": made}),
        (text("DELETE FROM invoices WHERE id = :id"), {"id": made}),
    ):
        with pytest.raises(DBAPIError), db.session.begin_nested():
            db.session.execute(statement, values)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("appointments", "status", "'arrived'"),
        ("appointments", "source", "'fax'"),
        ("appointments", "end_time", "start_time"),
        ("customers", "gender", "'unknown'"),
        ("prepaid_balances", "reserved_balance", "-1"),
    ],
)
def test_a_value_that_is_none_is_refused_on_both_engines(
    app: Flask, cast: Cast, table: str, column: str, value: str
) -> None:
    make_appointment(cast.salon)
    with pytest.raises(DBAPIError), db.session.begin_nested():
        db.session.execute(text(f"UPDATE {table} SET {column} = {value}"))


def test_the_activity_of_a_call_keeps_its_given_column_name() -> None:
    assert CallActivity.__table__.c.timestamp is CallActivity.__mapper__.columns["occurred_at"]


def an_invoice(firm: Firm) -> Invoice:
    today = utcnow().date()
    return Invoice(
        company_id=firm.id,
        kind="invoice",
        number="TEST-1",
        issued_on=today,
        supplied_on=today,
        seller={"name": "Seller"},
        customer={"name": "Customer"},
        tax_category="standard",
        tax_rate=Decimal("19.00"),
        net_amount=Decimal("100.00"),
        tax_amount=Decimal("19.00"),
        gross_amount=Decimal("119.00"),
    )


def value_of(table: str, column: str, row_id: int) -> Any:
    return db.session.execute(text(f"SELECT {column} FROM {table} WHERE id = :id"), {"id": row_id}).scalar_one()


# ---------- docs/grants.sql: the application's own user ----------


def grants() -> dict[str, str]:
    """Table or view → rights, as the script grants them."""
    script = GRANTS.read_text(encoding="utf-8")
    return {table: rights for rights, table in re.findall(r"^GRANT (.+) ON (\w+) TO ", script, re.MULTILINE)}


def test_the_script_names_every_table_and_view(database: Inspector) -> None:
    tables = {table for table in database.get_table_names() if not table.startswith(objects.FTS_TABLES)}
    assert set(grants()) == tables | set(database.get_view_names())


def test_the_script_leaves_history_alone() -> None:
    rights = grants()
    for table in (*objects.APPEND_ONLY, *objects.IMMUTABLE):
        assert rights[table] == "SELECT, INSERT"
    assert rights["invoices"] == "SELECT, INSERT, UPDATE (pdf, pdf_sha256)"


@pytest.fixture
def narrow(databases: Databases) -> Iterator[tuple[Flask, Cast]]:
    """The portal as the script's user, on a database that an administrator has migrated."""
    if databases.server is None:
        pytest.skip("SQLite has no users")
    url = make_url(databases.create())
    with make_app(url.render_as_string(hide_password=False)).app_context():
        cast = build_cast()
        db.session.remove()
        db.engine.dispose()
    run_script(url)
    own = url.set(username="empfang", password="secret", host="localhost", port=None)
    own = own.update_query_dict({"unix_socket": f"{databases.server.folder}/s"})
    app = create_app(replace(TEST_SETTINGS, database_url=own.render_as_string(hide_password=False)))
    app.test_client_class = PortalClient
    with app.app_context():
        db.session.session_factory.configure(join_transaction_mode="conditional_savepoint")
        yield app, cast
        db.session.remove()
        db.engine.dispose()


def run_script(url: URL) -> None:
    with create_engine(url).begin() as administrator:
        administrator.exec_driver_sql("DROP USER IF EXISTS 'empfang'@'localhost'")
        administrator.exec_driver_sql("CREATE USER 'empfang'@'localhost' IDENTIFIED BY 'secret'")
        script = re.sub(r"^--.*", "", GRANTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for statement in filter(None, map(str.strip, script.split(";"))):
            administrator.exec_driver_sql(statement)


@pytest.fixture
def narrow_client(narrow: tuple[Flask, Cast]) -> PortalClient:
    client = narrow[0].test_client()
    assert isinstance(client, PortalClient)
    client.csrf = False
    return client


def test_a_call_is_charged_with_the_rights_of_the_script(
    narrow: tuple[Flask, Cast], narrow_client: PortalClient
) -> None:
    firm = narrow[1].salon
    for event in ("call_started", "call_ended", "call_analyzed"):
        body = retell_payloads.payload(event, to_number=firm.phone.number_e164, agent_id=firm.phone.retell_agent_id)
        raw = json.dumps(body).encode()
        signature = sign_retell(raw, "retell-salon", int(utcnow().timestamp() * 1000))
        answer = narrow_client.post("/webhooks/retell/salon", data=raw, headers={"X-Retell-Signature": signature})
        assert (answer.status_code, answer.json) == (200, {"status": "done"})
    with tenant_scope(firm.id):
        movement = db.session.scalars(select(BalanceTransaction)).one()
        assert (movement.kind, movement.amount < 0) == ("charge", True)
        assert db.session.scalars(select(PrepaidBalance.current_balance)).one() == movement.amount


def test_people_sign_in_and_the_worker_works_with_the_rights_of_the_script(
    narrow: tuple[Flask, Cast], narrow_client: PortalClient
) -> None:
    email = narrow[1].salon.owner.email
    assert narrow_client.post("/password/forgot", data={"email": email}).status_code == 400  # no CSRF token
    narrow_client.csrf = True
    assert narrow_client.post("/login", data={"email": email, "password": PASSWORD}).status_code == 303
    assert narrow_client.get("/readyz").json["ready"] is True  # type: ignore[index]
    with capture_logs() as said:
        worker.run_once()
    assert [entry for entry in said if entry["log_level"] == "error"] == []


def test_money_and_people_come_and_go_with_the_rights_of_the_script(narrow: tuple[Flask, Cast]) -> None:
    firm, now = narrow[1].salon, utcnow()
    topup = make_topup(firm, status="completed", completed_at=now)
    within(firm, lambda: ledger.credit(topup, now))
    made = within(firm, lambda: invoices.issue_for_topup(db.session.get_one(BalanceTopup, topup.id), now))
    assert made is not None
    worker.run_once()  # draws the file and adds it
    assert value_of("invoices", "pdf_sha256", made.id)
    within(firm, lambda: erasure.erase_customer(firm.customer.id, now))
    assert value_of("customers", "erased_at", firm.customer.id)


def test_history_is_out_of_reach_with_the_rights_of_the_script(narrow: tuple[Flask, Cast]) -> None:
    for statement in (
        "UPDATE balance_transactions SET amount = 0",
        "DELETE FROM balance_transactions",
        "UPDATE audit_logs SET action = 'x'",
        "DELETE FROM recording_accesses",
        "UPDATE invoices SET gross_amount = 0",
        "DELETE FROM invoices",
        "DELETE FROM companies",
        "DELETE FROM call_charges",
        "DROP TRIGGER balance_transactions_no_update",
        "TRUNCATE TABLE balance_transactions",
        "ALTER TABLE audit_logs ADD COLUMN x INT",
    ):
        with pytest.raises(OperationalError, match="denied"):
            db.session.execute(text(statement))
        db.session.rollback()
