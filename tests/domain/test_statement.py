"""Statements: months that follow each other to the cent, and what stands in one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import statement
from portal.domain.movements import Line
from portal.domain.statement import Group, Month, MonthFigures, MonthList, Statement
from portal.models import BalanceTransaction
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_topup, save, within
from tests.queries import Queries
from tests.statements import ZONE, give, noon, talk

NOVEMBER = Month(date(2026, 11, 1), ZONE)
OCTOBER, SEPTEMBER, AUGUST = (NOVEMBER.later(-back) for back in (1, 2, 3))
NOW = noon(NOVEMBER, 20)


def listed(firm: Firm, before: Month | None = None) -> MonthList:
    with tenant_scope(firm.id):
        return statement.months(NOW, ZONE, before)


def of(firm: Firm, month: Month, now: datetime = NOW, *, named: bool = True) -> Statement:
    with tenant_scope(firm.id):
        return statement.of(month, now, named=named)


def three_months(firm: Firm) -> None:
    """50 in August, nothing in September, three calls and 20 more in October, one call in November."""
    give(firm, "50.00", noon(AUGUST, 5))
    talk(firm, noon(OCTOBER, 3))
    talk(firm, noon(OCTOBER, 3) + timedelta(hours=1))
    give(firm, "20.00", noon(OCTOBER, 10))
    talk(firm, noon(OCTOBER, 31))
    talk(firm, noon(NOVEMBER, 2))


# ---- Months -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first"), [("2026-11", date(2026, 11, 1)), ("2024-02", date(2024, 2, 1)), ("2199-12", date(2199, 12, 1))]
)
def test_a_month_is_read_from_its_key(text: str, first: date) -> None:
    month = Month.parse(text, ZONE)
    assert month == Month(first, ZONE)
    assert month is not None
    assert month.key == text


NO_MONTHS = ("", "2026", "2026-13", "2026-00", "2026-1", "26-11", "1999-12", "9999-12", "x", "2026-11-01")


@pytest.mark.parametrize("text", NO_MONTHS)
def test_anything_else_is_no_month(text: str) -> None:
    assert Month.parse(text, ZONE) is None


def test_months_know_their_neighbours_and_their_ends() -> None:
    january = Month(date(2026, 1, 1), ZONE)
    assert [january.later(step).key for step in (-13, -1, 0, 1, 12)] == [
        "2024-12", "2025-12", "2026-01", "2026-02", "2027-01",
    ]  # fmt: skip
    assert Month(date(2024, 2, 1), ZONE).last == date(2024, 2, 29)
    march = Month(date(2026, 3, 1), ZONE)
    length = march.end.astimezone(UTC) - march.start.astimezone(UTC)
    assert length == timedelta(days=31) - timedelta(hours=1)  # the night of the changed clocks


def test_a_month_is_a_local_one() -> None:
    assert Month.of(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), ZONE) == NOVEMBER
    assert Month.of(datetime(2026, 10, 31, 22, 30, tzinfo=UTC), ZONE) == OCTOBER


# ---- The list ---------------------------------------------------------------------------------------------


def test_each_month_goes_on_where_the_one_before_it_ended(cast: Cast) -> None:
    three_months(cast.salon)
    rows = listed(cast.salon).rows

    def figures(row: MonthFigures) -> tuple[str, ...]:
        return tuple(map(str, (row.opening, row.incoming, row.outgoing, row.closing)))

    assert [row.month.key for row in rows] == ["2026-11", "2026-10", "2026-09", "2026-08"]
    assert [figures(row) for row in rows] == [
        ("66.70", "0.00", "-1.10", "65.60"),
        ("50.00", "20.00", "-3.30", "66.70"),
        ("50.00", "0.00", "0.00", "50.00"),
        ("0.00", "50.00", "0.00", "50.00"),
    ]
    assert [row.moved for row in rows] == [True, True, False, True]
    assert [row.running for row in rows] == [True, False, False, False]


def test_a_company_without_movements_has_no_months(cast: Cast) -> None:
    give(cast.praxis, "7.00", noon(OCTOBER, 1))
    assert listed(cast.salon) == MonthList([], None, None)


def test_a_month_whose_movements_cancel_out_has_moved(cast: Cast) -> None:
    give(cast.salon, "10.00", noon(OCTOBER, 1))
    give(cast.salon, "-10.00", noon(OCTOBER, 2))
    month = listed(cast.salon).rows[-1]
    assert (month.moved, month.incoming, month.outgoing) == (True, Decimal("10.00"), Decimal("-10.00"))


def test_the_list_turns_its_pages_by_years(cast: Cast) -> None:
    give(cast.salon, "10.00", noon(NOVEMBER.later(-30), 1))
    keys, before, pages = [], None, 0
    while pages < 9:
        shown = listed(cast.salon, before)
        keys += [row.month.key for row in shown.rows]
        pages += 1
        if shown.older is None:
            break
        before = Month.parse(shown.older, ZONE)
    assert keys == [NOVEMBER.later(-back).key for back in range(31)]
    assert pages == 3
    assert shown.newer == NOVEMBER.later(-11).key
    newer = listed(cast.salon, Month.parse(shown.newer or "", ZONE))
    assert newer.rows[0].month == NOVEMBER.later(-12)
    assert listed(cast.salon, Month.parse(newer.newer or "", ZONE)).rows[0].month == NOVEMBER
    assert listed(cast.salon, Month(date(2001, 1, 1), ZONE)).rows == []


def test_the_list_asks_as_much_for_many_movements_as_for_few(cast: Cast) -> None:
    three_months(cast.salon)
    with Queries() as few:
        listed(cast.salon)
    for day in range(3, 15):
        talk(cast.salon, noon(NOVEMBER, day))
    with Queries() as many:
        listed(cast.salon)
    assert 0 < len(few) == len(many) <= 4


# ---- One month --------------------------------------------------------------------------------------------


def test_a_statement_lists_the_movements_of_its_month_and_adds_up(cast: Cast) -> None:
    three_months(cast.salon)
    give(cast.praxis, "99.00", noon(OCTOBER, 5))
    october = of(cast.salon, OCTOBER)
    assert (october.opening, october.moved, october.closing) == (Decimal("50.00"), Decimal("16.70"), Decimal("66.70"))
    assert [(each.kind, each.count, str(each.amount)) for each in october.sums] == [
        ("charge", 3, "-3.30"),
        ("credit", 1, "20.00"),
    ]
    assert [str(entry.after) for entry in october.entries] == ["48.90", "47.80", "67.80", "66.70"]
    assert all(isinstance(entry.what, Line) for entry in october.entries)
    assert (october.calls, october.seconds, october.grouped, october.running) == (3, 471, False, False)
    assert october.adds_up


def test_movements_at_midnight_belong_to_the_month_that_begins(cast: Cast) -> None:
    give(cast.salon, "1.00", OCTOBER.end - timedelta(microseconds=1))
    give(cast.salon, "2.00", OCTOBER.end)
    assert of(cast.salon, OCTOBER).closing == Decimal("1.00")
    assert (of(cast.salon, NOVEMBER).opening, of(cast.salon, NOVEMBER).closing) == (Decimal("1.00"), Decimal("3.00"))


def test_a_month_without_movement_carries_its_balance_on(cast: Cast) -> None:
    three_months(cast.salon)
    september = of(cast.salon, SEPTEMBER)
    assert (september.opening, september.closing, september.entries) == (Decimal("50.00"), Decimal("50.00"), [])
    assert september.adds_up
    assert of(cast.salon, NOVEMBER).running


def test_many_calls_become_a_line_a_day(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "CALLS_AT_MOST", 2)
    three_months(cast.salon)
    october = of(cast.salon, OCTOBER)
    assert october.grouped
    assert [entry.what for entry in october.entries if isinstance(entry.what, Group)] == [
        Group(date(2026, 10, 3), "charge", 2, Decimal("-2.20"), 314),
        Group(date(2026, 10, 31), "charge", 1, Decimal("-1.10"), 157),
    ]
    assert [entry.day.day for entry in october.entries] == [3, 10, 31]
    assert [str(entry.after) for entry in october.entries] == ["47.80", "67.80", "66.70"]
    assert (october.calls, october.seconds, october.adds_up) == (3, 471, True)


def test_the_days_of_the_groups_are_local_ones(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the last Sunday of October the clocks are changed; its day has 25 hours."""
    monkeypatch.setattr(statement, "CALLS_AT_MOST", 0)
    for moment in ("2026-10-24T21:59", "2026-10-24T22:00", "2026-10-25T22:59", "2026-10-25T23:00"):
        talk(cast.salon, datetime.fromisoformat(f"{moment}:00+00:00"))
    groups = [entry.what for entry in of(cast.salon, OCTOBER).entries]
    assert [(each.day.day, each.count) for each in groups if isinstance(each, Group)] == [(24, 1), (25, 2), (26, 1)]


def test_even_a_flood_of_corrections_stays_readable(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "OTHERS_AT_MOST", 3)
    for hour in range(5):
        give(cast.salon, "2.00", noon(OCTOBER, 7) + timedelta(hours=hour))
    talk(cast.salon, noon(OCTOBER, 7))
    october = of(cast.salon, OCTOBER)
    assert [(type(entry.what).__name__, str(entry.after)) for entry in october.entries] == [
        ("Line", "-1.10"),
        ("Group", "8.90"),
    ]
    assert october.adds_up


def test_a_top_up_names_its_invoice(cast: Cast) -> None:
    topup = make_topup(cast.salon, status="completed", invoice_number="RE-2026-0815")
    row = give(cast.salon, "5.00", noon(OCTOBER, 2))
    save(
        cast.salon,
        BalanceTransaction(
            company_id=cast.salon.id,
            prepaid_balance_id=cast.salon.balance.id,
            kind="topup",
            amount=Decimal("100.00"),
            balance_after=Decimal("105.00"),
            reference=f"topup:{topup.id}",
            topup_id=topup.id,
            created_at=row.created_at + timedelta(hours=1),
        ),
    )
    (last,) = of(cast.salon, OCTOBER).entries[1:]
    assert isinstance(last.what, Line)
    assert last.what.invoice_number == "RE-2026-0815"


def test_what_does_not_add_up_is_seen(cast: Cast) -> None:
    give(cast.salon, "5.00", noon(OCTOBER, 2))

    def wrong() -> None:
        db.session.add(
            BalanceTransaction(
                company_id=cast.salon.id,
                prepaid_balance_id=cast.salon.balance.id,
                kind="credit",
                amount=Decimal("1.00"),
                balance_after=Decimal("7.00"),
                reference="credit:wrong",
                created_at=noon(OCTOBER, 3),
            )
        )

    assert of(cast.salon, OCTOBER).adds_up
    within(cast.salon, wrong)
    assert not of(cast.salon, OCTOBER).adds_up


def test_callers_are_named_only_to_who_may_know_them(cast: Cast) -> None:
    talk(cast.salon, noon(OCTOBER, 2))

    def callers(*, named: bool) -> list[tuple[str | None, str | None]]:
        entries = of(cast.salon, OCTOBER, named=named).entries
        return [(e.what.call.name, e.what.call.phone) for e in entries if isinstance(e.what, Line) and e.what.call]

    assert callers(named=True) == [("Aylin Demir", "+49305550100")]
    assert callers(named=False) == [(None, None)]


def test_a_statement_asks_as_much_for_many_movements_as_for_few(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "CALLS_AT_MOST", 2)
    three_months(cast.salon)
    with Queries() as few:
        of(cast.salon, OCTOBER)
    for day in range(3, 15):
        talk(cast.salon, noon(NOVEMBER, day))
    with Queries() as many:
        of(cast.salon, NOVEMBER)
    assert len(few) == len(many) == 5
    with tenant_scope(cast.salon.id):
        assert db.session.scalar(select(BalanceTransaction.id).limit(1)) is not None
