"""The tenant door. Every test here fails when the guard in ``portal/tenancy.py`` is taken out."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased, joinedload, lazyload
from werkzeug.exceptions import NotFound

from portal.db import db, transaction, utcnow
from portal.models import Branch, Call, Company, Customer, CustomerNote, Staff
from portal.tenancy import TenantError, all_tenants, get_or_404, tenant_scope
from tests.cast import Cast


def test_a_statement_without_a_company_is_refused(cast: Cast) -> None:
    for statement in (
        select(Customer),
        select(Customer.id),
        select(func.count()).select_from(Customer),
        select(select(Customer.id).subquery().c.id),
        select(exists().where(Customer.id == 1)),
        select(Company).join(Company.branches),
        update(Customer).values(first_name="x"),
        delete(CustomerNote),
        select(Customer.__table__),
        select(aliased(Customer).id),
    ):
        with pytest.raises(TenantError):
            db.session.execute(statement)


def test_every_kind_of_select_sees_one_company(cast: Cast) -> None:
    other = aliased(Customer)
    with tenant_scope(cast.salon.id):
        assert {row.company_id for row in db.session.scalars(select(Customer))} == {cast.salon.id}
        assert db.session.scalar(select(func.count()).select_from(Customer)) == 1
        assert db.session.scalar(select(func.count(Customer.id))) == 1
        assert db.session.scalar(select(func.count()).select_from(select(Customer.id).subquery())) == 1
        assert db.session.scalar(select(func.count()).select_from(other)) == 1
        assert not db.session.scalar(select(exists().where(Customer.id == cast.praxis.customer.id)))
        assert db.session.scalar(select(exists().where(Customer.id == cast.salon.customer.id)))
        assert db.session.get(Customer, cast.praxis.customer.id) is None
        foreign = select(Branch.id).where(Branch.id.in_(select(Branch.id).where(Branch.name.like("Praxis%"))))
        assert db.session.scalars(foreign).all() == []
        union = select(Customer.id).union_all(select(Staff.id))
        assert len(db.session.execute(union).all()) == 3


def test_relations_load_only_rows_of_the_company(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        companies = db.session.scalars(select(Company).options(joinedload(Company.branches))).unique().all()
        assert {b.company_id for c in companies for b in c.branches} == {cast.salon.id}
        lazy = db.session.scalars(select(Company).options(lazyload(Company.branches))).unique().all()
        db.session.expunge_all()
        lazy = db.session.scalars(select(Company).options(lazyload(Company.branches))).all()
        assert {b.company_id for c in lazy for b in c.branches} == {cast.salon.id}


def test_bulk_update_and_delete_stop_at_the_border(cast: Cast) -> None:
    def change() -> tuple[int, int]:
        with tenant_scope(cast.salon.id):
            changed = db.session.execute(update(Staff).values(title="x")).rowcount
            db.session.execute(update(Customer).where(Customer.id == cast.praxis.customer.id).values(first_name="x"))
            db.session.execute(delete(Customer).where(Customer.id == cast.praxis.customer.id))
        return changed, 0

    assert transaction(change) == (2, 0)
    with all_tenants("the test looks at both companies"):
        assert db.session.get_one(Customer, cast.praxis.customer.id).first_name == "Aylin"
        assert {s.title for s in db.session.scalars(select(Staff).where(Staff.company_id == cast.praxis.id))} == {None}


def test_core_statements_must_name_their_company(cast: Cast) -> None:
    customers = Customer.__table__
    with tenant_scope(cast.salon.id):
        for statement in (
            select(customers.c.id),
            select(func.count()).select_from(customers),
            select(customers.c.id).where(customers.c.company_id == cast.praxis.id),
            update(customers).values(first_name="x"),
        ):
            with pytest.raises(TenantError):
                db.session.execute(statement)
        named = select(customers.c.id).where(customers.c.company_id == cast.salon.id)
        assert db.session.scalars(named).all() == [cast.salon.customer.id]


def test_rows_of_another_company_cannot_be_written(cast: Cast) -> None:
    def write(company_id: int, scope: int) -> None:
        with tenant_scope(scope):
            db.session.add(Customer(company_id=company_id, phone=""))
            db.session.flush()

    with pytest.raises(TenantError):
        transaction(lambda: write(cast.praxis.id, cast.salon.id))
    transaction(lambda: write(cast.salon.id, cast.salon.id))


def test_a_row_cannot_point_at_another_companys_row(cast: Cast) -> None:
    def point() -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(
                Call(company_id=cast.salon.id, call_id="c1", started_at=utcnow(), customer_id=cast.praxis.customer.id)
            )

    with pytest.raises(DBAPIError):
        transaction(point)

    def insert_note() -> None:
        with tenant_scope(cast.salon.id):
            db.session.execute(
                insert(CustomerNote),
                [{"company_id": cast.salon.id, "customer_id": cast.praxis.customer.id, "body": "x"}],
            )

    with pytest.raises(DBAPIError):
        transaction(insert_note)


def test_an_object_does_not_come_back_under_another_company(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert db.session.get(Customer, cast.salon.customer.id)
    with tenant_scope(cast.praxis.id):
        assert db.session.get(Customer, cast.salon.customer.id) is None
    with all_tenants("the test looks at both companies"):
        assert db.session.get(Customer, cast.salon.customer.id)
        with tenant_scope(cast.praxis.id):
            assert db.session.get(Customer, cast.salon.customer.id) is None


def test_a_foreign_id_and_a_missing_id_are_the_same_404(app: Flask, cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert get_or_404(Customer, cast.salon.customer.id).id == cast.salon.customer.id
        for row_id in (cast.praxis.customer.id, 999_999_999):
            with pytest.raises(NotFound):
                get_or_404(Customer, row_id)
