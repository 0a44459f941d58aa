"""The large set of data, made small: it adds up, the indexes come back, and a second run leaves it alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.db import db, writing
from portal.demo import bulk, histories, large
from portal.domain import stats, verify, visits
from portal.domain.slots import BUSY
from portal.models import (
    Appointment,
    Call,
    CallContent,
    Company,
    Customer,
    DailyCallStats,
    DailySpend,
    PortalUser,
    PrepaidBalance,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.conftest import Databases, make_app

COMPANIES, CALLS = 3, 900
NOW = datetime(2026, 11, 24, 10, 20, tzinfo=UTC)
TABLES = [one.table for one in histories.TARGETS]


class Silent:
    """Progress that nobody looks at."""

    def begin(self, label: str, steps: int) -> None:
        self.done, self.steps = 0, steps

    def step(self, count: int = 1) -> None:
        self.done += count


def structure() -> list[Any]:
    """Indexes, keys and triggers of the loaded tables, as the database tells them."""
    if db.engine.dialect.name == "sqlite":
        marks = ", ".join(f"'{name}'" for name in TABLES)
        query = f"SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ({marks}) ORDER BY type, name"
        return [tuple(row) for row in db.session.execute(text(query))]
    return [_without_counter(db.session.execute(text(f"SHOW CREATE TABLE {name}")).one()[1]) for name in TABLES]


def _without_counter(statement: str) -> list[str]:
    return sorted(line.rstrip(",") for line in re.sub(r" AUTO_INCREMENT=\d+", "", statement).splitlines())


@pytest.fixture(scope="module")
def loaded(databases: Databases) -> Iterator[Flask]:
    app = make_app(databases.create())
    with app.app_context():
        before = structure()
        progress = Silent()
        written = large.seed(NOW, progress, COMPANIES, CALLS)
        assert written == ["3 companies, the largest with 900 calls: owner@large-001.example, password empfang-demo"]
        assert progress.done == progress.steps
        assert structure() == before
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(params=["large-001", "large-003"])
def company(request: pytest.FixtureRequest, loaded: Flask) -> Iterator[int]:
    with all_tenants("the test looks for the company"):
        company_id = db.session.scalars(select(Company.id).where(Company.tenant_id == request.param)).one()
    with tenant_scope(company_id):
        yield company_id
        db.session.rollback()


def count(model: Any) -> int:
    return db.session.scalar(select(func.count(model.company_id))) or 0


def test_there_are_as_many_as_asked_for(loaded: Flask) -> None:
    with all_tenants("the whole set"):
        assert count(PortalUser) == db.session.scalar(select(func.count(Company.id))) == COMPANIES
        largest = db.session.scalars(select(Company.id).where(Company.tenant_id == "large-001")).one()
    with tenant_scope(largest):
        assert count(Call) == count(Appointment) == CALLS
        assert count(Customer) == CALLS // 10


def test_every_cent_is_where_it_should_be(company: int) -> None:
    assert verify.company() == []
    assert db.session.scalars(select(PrepaidBalance.total_spent)).one() > 0


def test_daily_figures_are_those_of_the_calls(company: int) -> None:
    days = list(db.session.scalars(select(DailyCallStats.day).distinct()))
    for day in Random(2).sample(days, 5):
        kept = _figures(day)
        with writing():
            stats.rebuild(day)
        assert _figures(day) == kept
        db.session.rollback()
    answered, spent = stats.days(min(days), max(days)), stats.spend(min(days), max(days))
    assert sum(one.figures.answered for one in answered) == count(CallContent)
    assert sum(calls for calls, _ in spent.values()) == count(CallContent)


def _figures(day: Any) -> list[Any]:
    calls = select(DailyCallStats).where(DailyCallStats.day == day).order_by(DailyCallStats.branch_key)
    found = [(row.branch_key, *(getattr(row, name) for name in stats.FIGURES)) for row in db.session.scalars(calls)]
    spent = db.session.execute(select(DailySpend.calls, DailySpend.amount).where(DailySpend.day == day)).all()
    return [found, [tuple(row) for row in spent]]


def test_customers_statistics_are_those_of_their_appointments(company: int) -> None:
    columns = ("total_appointments", "completed_appointments", "no_show_appointments", "total_spent",
               "first_appointment_date", "last_appointment_date")  # fmt: skip
    people = list(db.session.scalars(select(Customer).order_by(Customer.id).limit(30)))
    before = {person.id: [getattr(person, name) for name in columns] for person in people}
    with writing():
        visits.refresh(*before)
    assert {person.id: [getattr(person, name) for name in columns] for person in people} == before


def test_nobody_has_two_appointments_at_once(company: int) -> None:
    by_person: defaultdict[int | None, list[Appointment]] = defaultdict(list)
    for row in db.session.scalars(
        select(Appointment).where(Appointment.status.in_(BUSY)).order_by(Appointment.start_time)
    ):
        by_person[row.staff_id].append(row)
    for rows in by_person.values():
        assert all(before.end_time <= after.start_time for before, after in pairwise(rows))


def test_call_and_appointment_point_at_each_other(company: int) -> None:
    made = select(Call.id, Call.appointment_id).where(Call.appointment_created)
    tied = select(Appointment.call_id, Appointment.id).where(Appointment.call_id.is_not(None))
    assert set(db.session.execute(made).all()) == set(db.session.execute(tied).all())
    late = (
        select(Call.id).join(Appointment, Appointment.call_id == Call.id).where(Appointment.start_time < Call.ended_at)
    )
    assert db.session.scalars(late).all() == []


def test_nothing_points_outside(company: int) -> None:
    outside = (
        select(func.count(Call.id)).outerjoin(Customer, Customer.id == Call.customer_id).where(Customer.id.is_(None)),
        select(func.count(CallContent.call_id))
        .outerjoin(Call, Call.id == CallContent.call_id)
        .where(Call.id.is_(None)),
    )
    assert [db.session.scalar(query) for query in outside] == [0, 0]
    if db.engine.dialect.name == "sqlite":
        assert db.session.execute(text("PRAGMA foreign_key_check")).all() == []


def test_full_text_finds_what_was_loaded(company: int) -> None:
    query = {
        "sqlite": "SELECT count(*) FROM call_contents_fts WHERE call_contents_fts MATCH 'samstags'",
        "mysql": "SELECT count(*) FROM call_contents "
        "WHERE MATCH (tenant_token, transcript) AGAINST ('+samstags' IN BOOLEAN MODE)",
    }[db.engine.dialect.name]
    assert (db.session.scalar(text(query)) or 0) > 10


def test_a_second_run_changes_nothing(loaded: Flask) -> None:
    assert large.seed(NOW, Silent(), COMPANIES, CALLS) == []


def test_an_interrupted_run_keeps_the_indexes_and_is_not_mistaken_for_a_whole_one(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(databases.create())

    def torn(*_: object) -> None:
        raise KeyboardInterrupt

    with app.app_context():
        before = structure()
        monkeypatch.setattr(histories.History, "_load_figures", torn)
        with pytest.raises(KeyboardInterrupt):
            large.seed(NOW, Silent(), 2, 200)
        assert structure() == before
        with pytest.raises(large.Unfinished):
            large.seed(NOW, Silent(), 2, 200)
        db.session.remove()
        db.engine.dispose()


def test_it_loads_by_insert_where_files_are_forbidden(
    databases: Databases, engine_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine_name != "mariadb":
        pytest.skip("SQLite reads no files")
    forbidden = bulk._MySQL.__init__

    def without_files(self: Any, *arguments: Any) -> None:
        forbidden(self, *arguments)
        self.from_files = False

    monkeypatch.setattr(bulk._MySQL, "__init__", without_files)
    app = make_app(databases.create())
    with app.app_context():
        large.seed(NOW, Silent(), 2, 200)
        with all_tenants("the test looks for the company"):
            company_id = db.session.scalars(select(Company.id).where(Company.tenant_id == "large-001")).one()
        with tenant_scope(company_id):
            assert verify.company() == []
        db.session.remove()
        db.engine.dispose()
