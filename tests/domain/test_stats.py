"""Daily figures: a marked day is rebuilt as a whole, and a change during the rebuild makes a mark of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import stats
from portal.domain.stats import CallFigures
from portal.jobs import outbox_handlers, periodic_jobs
from portal.models import Call, CallCharge, DailyCallStats, DailySpend, OutboxJob
from portal.tenancy import tenant_scope
from tests.cast import Cast

TUESDAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)


@pytest.fixture
def salon(cast: Cast) -> Iterator[Any]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def write(row: Any) -> Any:
    def add() -> Any:
        db.session.add(row)
        db.session.flush()
        return row

    return transaction(add)


def call(firm: Any, number: int, started_at: datetime = NOON, **values: Any) -> Call:
    defaults = {"branch_id": firm.main.id, "status": "completed", "duration_seconds": 60}
    made: Call = write(
        Call(company_id=firm.id, call_id=f"{firm.id}-call-{number}", started_at=started_at, **(defaults | values))
    )
    return made


def charge(firm: Any, of: Call, amount: str, **values: Any) -> None:
    defaults = {"charged_at": of.started_at, "rate_per_minute": Decimal("0.42")}
    write(
        CallCharge(
            company_id=firm.id,
            prepaid_balance_id=firm.balance.id,
            call_id=of.id,
            duration_seconds=60,
            billable_seconds=60,
            amount_charged=Decimal(amount),
            **(defaults | values),
        )
    )


def rebuilt(day: date = TUESDAY) -> None:
    transaction(lambda: stats.rebuild(day))


def test_a_day_is_counted_by_branch(salon: Any) -> None:
    call(salon, 1, appointment_created=True, sentiment="positive")
    call(salon, 2, status="no_answer", duration_seconds=0)
    call(salon, 3, branch_id=None, sentiment="negative", duration_seconds=None)
    rebuilt()
    rows = {row.branch_key: row for row in db.session.scalars(select(DailyCallStats))}
    main = rows[salon.main.id]
    assert (main.calls, main.answered, main.booked, main.seconds, main.positive) == (2, 1, 1, 60, 1)
    assert (rows[0].calls, rows[0].negative, rows[0].seconds) == (1, 1, 0)


def test_a_rebuild_replaces_the_whole_day_and_can_run_twice(salon: Any) -> None:
    one = call(salon, 1)
    rebuilt()

    def move() -> None:
        db.session.get_one(Call, one.id).branch_id = salon.other.id

    transaction(move)
    rebuilt()
    rebuilt()
    assert [(row.branch_key, row.calls) for row in db.session.scalars(select(DailyCallStats))] == [(salon.other.id, 1)]


def test_an_emptied_day_has_no_rows(salon: Any) -> None:
    one = call(salon, 1)
    rebuilt()
    transaction(lambda: db.session.delete(db.session.get_one(Call, one.id)))
    rebuilt()
    assert db.session.scalars(select(DailyCallStats)).all() == []


def test_spend_is_net_of_refunds_and_without_waived_charges(salon: Any) -> None:
    charge(salon, call(salon, 1), "1.10", refunded_amount=Decimal("0.10"))
    charge(salon, call(salon, 2), "2.20")
    charge(salon, call(salon, 3), "9.90", status="waived")
    rebuilt()
    assert stats.spend(TUESDAY, TUESDAY) == {TUESDAY: (2, Decimal("3.20"))}


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 10, 25, 22, 59, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), date(2026, 10, 26)),
    ],
)
def test_a_call_belongs_to_its_local_day_also_where_clocks_change(salon: Any, moment: datetime, day: date) -> None:
    call(salon, 1, started_at=moment)
    rebuilt(day)
    rebuilt(day - timedelta(days=1))
    rebuilt(day + timedelta(days=1))
    assert [(row.day, row.calls) for row in db.session.scalars(select(DailyCallStats))] == [(day, 1)]


def test_a_change_day_has_23_or_25_hours() -> None:
    spring, autumn = (stats.day_limits(day, "Europe/Berlin") for day in (date(2026, 3, 29), date(2026, 10, 25)))
    hours = [(end.astimezone(UTC) - start.astimezone(UTC)) / timedelta(hours=1) for start, end in (spring, autumn)]
    assert hours == [23, 25]


def test_days_without_a_call_are_part_of_a_chart(salon: Any) -> None:
    call(salon, 1)
    rebuilt()
    shown = stats.days(TUESDAY - timedelta(days=2), TUESDAY)
    assert [(row.day, row.figures.calls) for row in shown] == [
        (date(2026, 11, 22), 0),
        (date(2026, 11, 23), 0),
        (TUESDAY, 1),
    ]


def test_people_of_one_branch_read_the_figures_of_their_branch(salon: Any) -> None:
    call(salon, 1)
    call(salon, 2, branch_id=salon.other.id)
    rebuilt()
    start, end = stats.day_limits(TUESDAY, "Europe/Berlin")
    assert stats.days(TUESDAY, TUESDAY, [salon.main.id])[0].figures.calls == 1
    assert stats.figures_between(start, end, [salon.main.id]) == CallFigures(calls=1, answered=1, seconds=60)
    assert stats.figures_between(start, end).calls == 2


def test_another_companys_figures_are_neither_read_nor_replaced(cast: Cast) -> None:
    for firm in (cast.salon, cast.praxis):
        with tenant_scope(firm.id):
            call(firm, 1)
            rebuilt()
    with tenant_scope(cast.salon.id):
        rebuilt()
        assert stats.days(TUESDAY, TUESDAY)[0].figures.calls == 1
    with tenant_scope(cast.praxis.id):
        assert len(db.session.scalars(select(DailyCallStats)).all()) == 1


def test_marking_a_day_twice_waits_for_one_rebuild(salon: Any) -> None:
    for _ in range(2):
        transaction(lambda: stats.mark_moment_dirty(salon.id, NOON, NOON + timedelta(hours=1), None))
    jobs = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == stats.REBUILD)).all()
    assert [job.payload["day"] for job in jobs] == ["2026-11-24"]


def test_a_change_while_the_rebuild_runs_makes_a_mark_of_its_own(salon: Any, monkeypatch: Any) -> None:
    transaction(lambda: stats.mark_dirty(salon.id, TUESDAY))
    real = stats.rebuild

    def late(day: date) -> None:
        real(day)
        stats.mark_dirty(salon.id, TUESDAY)

    monkeypatch.setattr(stats, "rebuild", late)
    job = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == stats.REBUILD)).one()
    outbox_handlers()[stats.REBUILD](job.payload)
    keys = db.session.scalars(select(OutboxJob.dedupe_key).where(OutboxJob.kind == stats.REBUILD)).all()
    assert sorted(keys, key=str) == [None, f"stats:{salon.id}:2026-11-24"]


def test_yesterday_is_rebuilt_by_the_clock_for_every_company(cast: Cast) -> None:
    for firm in (cast.salon, cast.praxis):
        with tenant_scope(firm.id):
            call(firm, 1, started_at=NOON - timedelta(days=1))
    _, run = periodic_jobs()["stats.yesterday"]
    run(NOON)
    for firm in (cast.salon, cast.praxis):
        with tenant_scope(firm.id):
            assert [row.calls for row in db.session.scalars(select(DailyCallStats))] == [1]
            assert db.session.scalars(select(DailySpend)).all() == []
