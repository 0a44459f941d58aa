"""Column types, secrets at rest, and transaction()."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from portal.db import (
    EncryptionError,
    Money,
    UTCDateTime,
    after_commit,
    configure_encryption,
    db,
    is_transient,
    is_unavailable,
    transaction,
    utcnow,
)
from portal.models import Appointment, Company, Customer, PrepaidBalance, Service
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.conftest import TEST_SETTINGS


@pytest.mark.parametrize("amount", ["0.01", "99999999.99", "-99999999.99", "0.10", "119.00"])
def test_money_comes_back_exactly_as_it_went_in(cast: Cast, amount: str) -> None:
    def write() -> None:
        with tenant_scope(cast.salon.id):
            db.session.get_one(Service, cast.salon.cut.id).price = Decimal(amount)

    transaction(write)
    with tenant_scope(cast.salon.id):
        stored = db.session.get_one(Service, cast.salon.cut.id).price
        assert (stored, type(stored)) == (Decimal(amount), Decimal)
        assert db.session.scalar(select(func.sum(Service.price))) == Decimal(amount)
        assert db.session.scalar(select(Service.id).where(Service.price == Decimal(amount))) == cast.salon.cut.id


def test_money_refuses_floats_and_fractions_of_a_cent(app: Flask) -> None:
    dialect = db.engine.dialect
    with pytest.raises(TypeError):
        Money().process_bind_param(1.1, dialect)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="decimals"):
        Money().process_bind_param(Decimal("1.001"), dialect)


def test_naive_times_are_refused_and_others_become_utc(app: Flask) -> None:
    dialect = db.engine.dialect
    with pytest.raises(TypeError):
        UTCDateTime().process_bind_param(datetime(2026, 1, 1), dialect)  # noqa: DTZ001
    berlin = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert UTCDateTime().process_bind_param(berlin, dialect) == datetime(2026, 7, 1, 10)  # noqa: DTZ001


def test_generated_columns_compute_themselves(cast: Cast) -> None:
    start = datetime(2026, 11, 24, 10, tzinfo=UTC)

    def write() -> int:
        with tenant_scope(cast.salon.id):
            row = Appointment(
                company_id=cast.salon.id,
                branch_id=cast.salon.main.id,
                customer_id=cast.salon.customer.id,
                start_time=start,
                end_time=start + timedelta(hours=25, minutes=5),
            )
            db.session.add(row)
            db.session.flush()
            return row.id

    row_id = transaction(write)
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Appointment, row_id).duration_minutes == 25 * 60 + 5
        assert db.session.get_one(Customer, cast.salon.customer.id).full_name == "Aylin Demir"
        balance = db.session.scalars(select(PrepaidBalance)).one()
        assert balance.available_balance == balance.current_balance - balance.reserved_balance
    with all_tenants("the test reads the views"):
        rows = db.session.execute(
            text("SELECT company_id, total_customers, prepaid_balance FROM company_statistics")
        ).all()
        assert len(rows) == 2
        assert db.session.execute(text("SELECT COUNT(*) FROM active_appointments")).scalar() in (0, 1)


def test_checks_hold_in_the_database_itself(cast: Cast) -> None:
    def write(**values: object) -> None:
        with tenant_scope(cast.salon.id):
            row = Appointment(
                company_id=cast.salon.id,
                branch_id=cast.salon.main.id,
                customer_id=cast.salon.customer.id,
                start_time=utcnow(),
                end_time=utcnow() - timedelta(hours=1),
            )
            db.session.add(row)

    with pytest.raises(DBAPIError):
        transaction(write)


def test_a_company_has_one_primary_branch_and_any_number_of_others(cast: Cast) -> None:
    from portal.models import Branch

    def add(primary: bool) -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(Branch(company_id=cast.salon.id, name="x", address="y", is_primary=primary))

    transaction(lambda: add(False))
    transaction(lambda: add(False))
    with pytest.raises(IntegrityError):
        transaction(lambda: add(True))


def test_secrets_are_sealed_bound_to_their_owner_and_rotate(cast: Cast) -> None:
    old = TEST_SETTINGS.encryption_keys
    new = Fernet.generate_key().decode()
    salon, praxis = cast.salon.company, cast.praxis.company
    assert salon.retell_api_key == "retell-salon"
    assert "retell-salon" not in (salon.retell_api_key_sealed or "")
    thief = Company(tenant_id="thief", name="x", retell_api_key_sealed=salon.retell_api_key_sealed)
    with pytest.raises(EncryptionError):
        assert thief.retell_api_key
    moved = Company(tenant_id="salon", name="x", calcom_api_key_sealed=salon.retell_api_key_sealed)
    with pytest.raises(EncryptionError):
        assert moved.calcom_api_key
    try:
        configure_encryption((new, *old))
        copy = Company(tenant_id="praxis", name="x", retell_api_key_sealed=praxis.retell_api_key_sealed)
        assert Company.__dict__["retell_api_key"].rotate(copy)
        configure_encryption((new,))
        assert copy.retell_api_key == "retell-praxis"
        with pytest.raises(EncryptionError):
            assert praxis.retell_api_key
    finally:
        configure_encryption(old)


def conflict(code: int) -> OperationalError:
    return OperationalError("UPDATE …", {}, Exception(code, "as told"))


@pytest.mark.parametrize("code", [1213, 1205, 1020, 1305, 1047, 1180, 2003, 2006, 2013])
def test_conflicts_and_lost_connections_run_the_whole_unit_again(cast: Cast, code: int) -> None:
    calls: list[int] = []
    told: list[int] = []

    def work() -> str:
        calls.append(1)
        after_commit(lambda: told.append(len(calls)))
        if len(calls) < 3:
            raise conflict(code)
        return "done"

    assert transaction(work) == "done"
    assert (len(calls), told) == (3, [3])


def test_what_cannot_succeed_is_not_tried_again(cast: Cast) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise conflict(1064)

    with pytest.raises(OperationalError):
        transaction(work)
    assert len(calls) == 1
    assert is_transient(conflict(1213))
    assert is_unavailable(conflict(2003))
    assert not is_unavailable(conflict(1064))


def test_a_failed_unit_leaves_nothing_behind(cast: Cast) -> None:
    def work() -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(Customer(company_id=cast.salon.id, phone="", last_name="Ghost"))
            db.session.flush()
        raise RuntimeError("as told")

    with pytest.raises(RuntimeError):
        transaction(work)
    with tenant_scope(cast.salon.id):
        assert db.session.scalar(select(Customer).where(Customer.last_name == "Ghost")) is None


def test_units_do_not_nest_and_nothing_is_written_outside_of_one(cast: Cast) -> None:
    with pytest.raises(RuntimeError, match="inside"):
        transaction(lambda: transaction(lambda: None))

    def stray() -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(Customer(company_id=cast.salon.id, phone=""))
            db.session.flush()

    with pytest.raises(RuntimeError, match="writes go through"):
        stray()
    db.session.rollback()


@pytest.mark.parametrize(
    "statement", ["UPDATE balance_transactions SET amount = 1", "DELETE FROM balance_transactions"]
)
def test_the_ledger_refuses_change_in_the_database_itself(cast: Cast, statement: str) -> None:
    from portal.models import BalanceTransaction

    def add() -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(
                BalanceTransaction(
                    company_id=cast.salon.id,
                    prepaid_balance_id=cast.salon.balance.id,
                    kind="credit",
                    amount=Decimal("1.00"),
                    balance_after=Decimal("1.00"),
                    reference="test:1",
                )
            )

    transaction(add)
    with pytest.raises(DBAPIError, match="append-only"):
        transaction(lambda: db.session.execute(text(statement)))
