"""The first page: today's figures, what needs a look, and parts that answer 204 while nothing changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from portal.db import db, transaction, utcnow
from portal.domain import dashboard, ledger, stats
from portal.models import (
    Appointment,
    Call,
    Customer,
    DailyCallStats,
    DailySpend,
    PipelineHeartbeat,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries

MOST_QUERIES = 13
ZONE = "Europe/Berlin"
NOW = datetime(2026, 11, 24, 9, 20, tzinfo=UTC)  # a Tuesday, 10:20 in Berlin
TUESDAY = date(2026, 11, 24)


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Iterator[Any]:
    client.sign_in(cast.salon.owner)
    with tenant_scope(cast.salon.id):
        yield cast.salon


def write(*rows: Any) -> None:
    transaction(lambda: db.session.add_all(rows))


def call(firm: Any, number: int, at: datetime, **values: Any) -> Call:
    defaults = {"branch_id": firm.main.id, "status": "completed", "duration_seconds": 60, "phone_number": "+49301"}
    made = Call(company_id=firm.id, call_id=f"d-{firm.id}-{number}", started_at=at, **(defaults | values))
    write(made)
    return made


def appointment(firm: Any, start: datetime, **values: Any) -> Appointment:
    defaults = {"branch_id": firm.main.id, "customer_id": firm.customer.id, "staff_id": firm.stylist.id}
    made = Appointment(
        company_id=firm.id, start_time=start, end_time=start + timedelta(minutes=30), **(defaults | values)
    )
    write(made)
    return made


def balance(firm: Any, current: str, **values: Any) -> None:
    def change() -> None:
        row = db.session.get_one(PrepaidBalance, firm.balance.id)
        row.current_balance = Decimal(current)
        for name, value in values.items():
            setattr(row, name, value)

    transaction(change)


# ---- Figures ----------------------------------------------------------------------------------------------


def test_today_is_counted_and_compared_with_the_same_time_a_week_before(salon: Any) -> None:
    for number, hours in enumerate((1, 2, 9)):
        call(salon, number, NOW - timedelta(hours=hours), appointment_created=number == 0)
    call(salon, 10, NOW - timedelta(days=7, hours=1))
    call(salon, 11, NOW - timedelta(days=7) + timedelta(minutes=1))
    call(salon, 12, NOW - timedelta(hours=11))
    seen = dashboard.today(NOW, ZONE)
    assert (seen.day, seen.calls.calls, seen.calls.booked) == (TUESDAY, 3, 1)
    assert (seen.week_ago, seen.difference) == (1, 2)


def test_the_same_time_is_the_same_on_the_clock_across_a_change_of_clocks(salon: Any) -> None:
    monday_after = datetime(2026, 10, 26, 9, 20, tzinfo=UTC)  # 10:20, winter time
    call(salon, 1, datetime(2026, 10, 19, 8, 19, tzinfo=UTC))  # 10:19, summer time
    call(salon, 2, datetime(2026, 10, 19, 8, 21, tzinfo=UTC))  # 10:21
    assert dashboard.today(monday_after, ZONE).week_ago == 1


def test_appointments_and_new_customers_are_counted(salon: Any) -> None:
    appointment(salon, NOW + timedelta(hours=1), source="phone")
    appointment(salon, NOW + timedelta(hours=2), source="web")
    appointment(salon, NOW + timedelta(hours=3), status="cancelled")
    appointment(salon, NOW + timedelta(days=1))
    write(
        Customer(company_id=salon.id, last_name="Heute", created_at=NOW - timedelta(hours=1)),
        Customer(company_id=salon.id, last_name="Gestern", created_at=NOW - timedelta(days=1)),
        Customer(company_id=salon.id, last_name="Sonntag", created_at=NOW - timedelta(days=2)),
    )
    transaction(
        lambda: setattr(db.session.get_one(Customer, salon.customer.id), "created_at", NOW - timedelta(days=90))
    )
    seen = dashboard.today(NOW, ZONE)
    assert (seen.appointments, seen.by_phone, seen.new_customers, seen.new_this_week) == (2, 1, 1, 2)


def test_people_of_one_branch_see_the_figures_of_their_branch(salon: Any) -> None:
    here, there = salon.main.id, salon.other.id
    call(salon, 1, NOW - timedelta(hours=1))
    call(salon, 2, NOW - timedelta(hours=1), branch_id=there)
    appointment(salon, NOW + timedelta(hours=1), branch_id=there)
    write(Customer(company_id=salon.id, last_name="Neu", created_at=NOW - timedelta(hours=1)))
    seen = dashboard.today(NOW, ZONE, [here])
    assert (seen.calls.calls, seen.appointments, seen.new_customers) == (1, 0, 0)
    assert len(dashboard.latest_calls(NOW, [here])) == 1
    assert dashboard.next_appointments(NOW, [here]) == []
    assert dashboard.today(NOW, ZONE, [there]).appointments == 1


def test_another_companys_figures_stay_there(cast: Cast) -> None:
    with tenant_scope(cast.praxis.id):
        call(cast.praxis, 1, NOW - timedelta(hours=1))
        appointment(cast.praxis, NOW + timedelta(hours=1))
    with all_tenants("an event of the other company"):
        write(WebhookEvent(provider="retell", dedupe_key="p", body=b"{}", status="failed", company_id=cast.praxis.id))
    with tenant_scope(cast.salon.id):
        seen = dashboard.today(NOW, ZONE)
        assert (seen.calls.calls, seen.appointments, seen.stuck) == (0, 0, 0)
        assert dashboard.latest_calls(NOW) == dashboard.next_appointments(NOW) == []


def test_the_chart_takes_past_days_from_the_rollups_and_today_from_the_calls(salon: Any) -> None:
    write(DailyCallStats(company_id=salon.id, day=TUESDAY - timedelta(days=1), branch_key=salon.main.id, calls=9))
    write(DailyCallStats(company_id=salon.id, day=TUESDAY, branch_key=salon.main.id, calls=99))
    call(salon, 1, NOW - timedelta(hours=1))
    days = dashboard.chart(dashboard.today(NOW, ZONE))
    assert len(days) == 30
    assert [(row.day, row.figures.calls) for row in days[-2:]] == [(TUESDAY - timedelta(days=1), 9), (TUESDAY, 1)]


def test_the_balance_reaches_as_far_as_the_last_days_suggest(salon: Any) -> None:
    balance(salon, "20.00", low_balance_alert_threshold=Decimal("10.00"))
    for back in range(1, 15):
        write(DailySpend(company_id=salon.id, day=TUESDAY - timedelta(days=back), calls=4, amount=Decimal("4.00")))
    money = dashboard.money(NOW, ZONE)
    assert money is not None
    assert (money.reach.calls, money.reach.until) == (20, TUESDAY + timedelta(days=4))
    assert (money.low, money.used_up) == (False, False)


def test_a_running_call_grows_and_a_forgotten_one_does_not(salon: Any) -> None:
    call(salon, 1, NOW - timedelta(seconds=112), status="in_progress", duration_seconds=None)
    call(salon, 2, NOW - timedelta(days=2), status="in_progress", duration_seconds=None)
    running, forgotten = dashboard.latest_calls(NOW)
    assert (running.outcome.key, running.seconds) == ("live", 112)
    assert (forgotten.outcome.key == "live", forgotten.seconds) == (False, None)


# ---- The page ---------------------------------------------------------------------------------------------


def busy(firm: Any) -> None:
    now = utcnow()
    for number in range(8):
        call(firm, number, now - timedelta(minutes=number), customer_id=firm.customer.id, summary=f"Anliegen {number}")
        appointment(firm, now + timedelta(hours=number + 1), service_id=firm.cut.id)
    transaction(lambda: stats.rebuild(stats.local_day(now, ZONE)))


def test_the_page_shows_who_called_and_who_comes(client: PortalClient, salon: Any) -> None:
    busy(salon)
    page = client.get("/")
    assert page.status_code == 200
    for words in ("Aylin Demir", "Anliegen 0", "Damenhaarschnitt", 'href="/balance"'):
        assert words in page.text


def test_a_call_that_never_connected_has_no_duration_there(client: PortalClient, salon: Any) -> None:
    call(salon, 1, NOW, status="no_answer", direction="outbound", duration_seconds=0)
    [line] = dashboard.latest_calls(NOW)
    assert line.seconds is None
    assert "Ausgehend" in client.get("/").text


def test_the_page_asks_as_often_when_busy_as_on_the_first_day(client: PortalClient, salon: Any) -> None:
    with Queries() as empty:
        assert client.get("/").status_code == 200
    busy(salon)
    with Queries() as many:
        client.get("/")
    assert len(many) <= MOST_QUERIES
    assert len(empty) <= MOST_QUERIES


def test_a_new_company_is_told_the_first_steps(client: PortalClient, salon: Any) -> None:
    page = client.get("/").text
    assert 'id="h-steps"' in page
    assert "030 1234567" in page
    busy(salon)
    assert 'id="h-steps"' not in client.get("/").text


@pytest.mark.parametrize("part", ["today", "calls", "balance"])
def test_a_part_answers_204_until_something_changes(client: PortalClient, salon: Any, part: str) -> None:
    first = client.htmx("GET", f"/dashboard/{part}")
    assert first.status_code == 200
    assert "<html" not in first.text
    version = first.text.split("?v=")[1].split('"')[0]
    assert client.htmx("GET", f"/dashboard/{part}?v={version}").status_code == 204
    call(salon, 1, utcnow() - timedelta(minutes=1))
    balance(salon, "1.23")
    assert client.htmx("GET", f"/dashboard/{part}?v={version}").status_code == 200


def test_a_running_call_keeps_the_list_moving(client: PortalClient, salon: Any, monkeypatch: Any) -> None:
    call(salon, 1, NOW - timedelta(seconds=10), status="in_progress", duration_seconds=None)
    monkeypatch.setattr("portal.views.dashboard.utcnow", lambda: NOW)
    first = client.htmx("GET", "/dashboard/calls").text
    assert 'hx-trigger="every 4s"' in first
    assert ">0:10<" in first
    version = first.split("?v=")[1].split('"')[0]
    monkeypatch.setattr("portal.views.dashboard.utcnow", lambda: NOW + timedelta(seconds=5))
    later = client.htmx("GET", f"/dashboard/calls?v={version}")
    assert ">0:15<" in later.text


def test_a_low_and_a_used_up_balance_are_said_at_the_top(client: PortalClient, salon: Any) -> None:
    balance(salon, "5.00")
    assert "note-warn" in client.htmx("GET", "/dashboard/today").text
    balance(salon, "-1.00")
    assert "note-bad" in client.htmx("GET", "/dashboard/today").text


SPENT = re.compile("aufgebraucht|verbraucht", re.IGNORECASE)


def test_who_never_had_a_balance_has_not_used_it_up(client: PortalClient, salon: Any) -> None:
    for part in ("/dashboard/today", "/dashboard/balance", "/balance/now"):
        text = client.htmx("GET", part).text
        assert "Noch kein Guthaben" in text
        assert not SPENT.search(text)
    for euros in ("5.00", "-5.00"):
        transaction(partial(ledger.adjust, Decimal(euros), "Korrektur", euros, NOW))
    for part in ("/dashboard/today", "/dashboard/balance", "/balance/now"):
        assert SPENT.search(client.htmx("GET", part).text)


def warnings_in(page: str) -> int:
    """Notes above the figures; the page's models of messages are none."""
    return page.partition('id="today"')[2].partition('class="card kpis"')[0].count("note-warn")


def test_refused_and_stuck_messages_are_said_to_the_owner_only(client: PortalClient, salon: Any) -> None:
    balance(salon, "100.00")
    write(
        WebhookEvent(company_id=salon.id, provider="retell", dedupe_key="f", body=b"{}", status="parked"),
        PipelineHeartbeat(
            company_id=salon.id, scope=f"company:{salon.id}", provider="retell", refused_requests=3,
            last_refused_at=utcnow(), last_event_at=utcnow() - timedelta(hours=1),
        ),
    )  # fmt: skip
    for page in (client.get("/"), client.htmx("GET", "/dashboard/today")):
        assert warnings_in(page.text) == 2
    client.sign_in(salon.manager)
    assert warnings_in(client.get("/").text) == 0


def test_who_may_not_see_the_balance_does_not(client: PortalClient, salon: Any) -> None:
    balance(salon, "5.00")
    client.sign_in(salon.manager)
    page = client.get("/").text
    assert "balance-card" not in page
    assert warnings_in(page) == 0
    assert client.get("/dashboard/balance").status_code == 403


def test_staff_of_one_branch_see_its_name_and_its_calls(client: PortalClient, salon: Any) -> None:
    call(salon, 1, utcnow() - timedelta(minutes=2), branch_id=salon.other.id, summary="anderswo")
    call(salon, 2, utcnow() - timedelta(minutes=3), summary="hier bei uns")
    client.sign_in(salon.staff)
    with Queries() as asked:
        page = client.get("/").text
    assert "Salon Test Mitte" in page
    assert "hier bei uns" in page
    assert "anderswo" not in page
    assert len(asked) <= MOST_QUERIES


def test_the_bookkeeper_has_another_first_page(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.bookkeeper)
    for path in ("/", "/dashboard/today", "/dashboard/calls"):
        assert client.get(path).status_code == 403
