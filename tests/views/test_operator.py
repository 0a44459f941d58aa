"""The operator's pages: every company's state, and an inbox whose contents are opened one at a time."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import heartbeat, ledger, operator, stats
from portal.models import (
    AuditLog,
    BalanceTopup,
    Company,
    DailyCallStats,
    PipelineHeartbeat,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import all_tenants
from portal.webhooks import inbox
from tests import factories
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries

MOST_QUERIES = 12


@pytest.fixture
def desk(client: PortalClient, cast: Cast) -> PortalClient:
    """The operator's browser."""
    return client.sign_in(cast.operator)


def write(*rows: Any) -> None:
    def add() -> None:
        with all_tenants("tests write for every company"):
            db.session.add_all(rows)

    transaction(add)


def event(number: int, status: str = "failed", **values: Any) -> WebhookEvent:
    defaults = {"provider": "retell", "event_type": "call_ended", "body": b"{}", "error": f"Grund {number}"}
    made = WebhookEvent(dedupe_key=f"e{number}", status=status, **(defaults | values))
    write(made)
    return made


def status_of(made: WebhookEvent) -> str:
    with all_tenants("tests look at every company"):
        return db.session.scalars(select(WebhookEvent.status).where(WebhookEvent.id == made.id)).one()


def audited(action: str) -> list[AuditLog]:
    with all_tenants("tests look at every company"):
        return list(db.session.scalars(select(AuditLog).where(AuditLog.action == action)))


# ---- Who may ----------------------------------------------------------------------------------------------


def test_the_people_of_a_company_do_not_get_in(client: PortalClient, cast: Cast) -> None:
    made = event(1)
    for user in cast.salon.users.values():
        client.sign_in(user)
        for path in ("/operator", "/operator/inbox", f"/operator/inbox/{made.id}"):
            assert client.get(path).status_code == 403
        for deed in ("retry", "discard", "payload"):
            assert client.post(f"/operator/inbox/{made.id}/{deed}").status_code == 403
    assert status_of(made) == "failed"


def test_strangers_are_sent_to_the_door(client: PortalClient) -> None:
    assert "/login" in client.get("/operator").location


# ---- Companies --------------------------------------------------------------------------------------------


def test_companies_stand_with_balance_calls_and_last_message(desk: PortalClient, cast: Cast) -> None:
    def change() -> None:
        with all_tenants("a balance of the other company"):
            db.session.get_one(PrepaidBalance, cast.salon.balance.id).current_balance = Decimal("44.58")

    transaction(change)
    day = stats.local_day(utcnow(), "Europe/Berlin")
    write(
        DailyCallStats(company_id=cast.salon.id, day=day, branch_key=1, calls=300),
        DailyCallStats(company_id=cast.salon.id, day=day - timedelta(days=29), branch_key=0, calls=32),
        DailyCallStats(company_id=cast.salon.id, day=day - timedelta(days=30), branch_key=0, calls=1000),
        PipelineHeartbeat(
            company_id=cast.salon.id,
            scope=heartbeat.scope_of(cast.salon.id),
            provider="retell",
            last_event_at=utcnow(),
        ),
    )
    salon, praxis = sorted(operator.companies("", "", utcnow()).rows, key=lambda row: row.id)
    assert (salon.name, salon.available, salon.calls, salon.branches) == ("Salon Test", Decimal("44.58"), 332, 2)
    assert (salon.rate, salon.state(utcnow())) == (Decimal("0.4200"), "ok")
    assert (praxis.calls, praxis.last_event_at) == (0, None)
    page = desk.get("/operator").text
    for words in ("Salon Test", "Praxis Test", "332"):
        assert words in page


def row(**values: Any) -> operator.CompanyRow:
    good = {
        "id": 1, "tenant_id": "x", "name": "X", "is_active": True, "available": Decimal(50), "threshold": Decimal(10),
        "rate": None, "branches": 1, "calls": 1, "last_event_at": utcnow(), "refused": 0, "stuck": 0,
        "has_moved": True,
    }  # fmt: skip
    return operator.CompanyRow(**(good | values))


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "ok"),
        ({"is_active": False, "refused": 1}, "inactive"),
        ({"refused": 1, "available": Decimal(0)}, "refused"),
        ({"available": Decimal(0)}, "used_up"),
        ({"available": None}, "used_up"),
        ({"available": Decimal(0), "has_moved": False}, "unfunded"),
        ({"available": None, "has_moved": False}, "unfunded"),
        ({"available": Decimal(-1), "has_moved": False}, "used_up"),
        ({"stuck": 2, "available": Decimal(5)}, "stuck"),
        ({"available": Decimal(5)}, "low"),
        ({"last_event_at": None}, "silent"),
        ({"last_event_at": utcnow() - timedelta(days=8)}, "quiet"),
    ],
)
def test_a_company_is_in_one_state_the_worst_first(values: dict[str, Any], state: str) -> None:
    assert row(**values).state(utcnow()) == state


def test_every_state_has_its_word(app: Any) -> None:
    macros = app.jinja_env.get_template("operator/_macros.html")
    with app.test_request_context():
        module = macros.make_module({"may": lambda _permission: True})
        words = {
            str(module.company_pill(state, row(stuck=2)))
            for state in ("ok", "inactive", "refused", "used_up", "unfunded", "stuck", "low", "silent", "quiet")
        }
        assert len(words) == 9
        assert len({str(module.event_pill(status)) for status in operator.STATUSES}) == len(operator.STATUSES)


def test_who_never_had_money_has_used_up_none(desk: PortalClient, cast: Cast) -> None:
    """Until the first movement, whatever it was."""

    def praxis() -> str:
        row = next(row for row in operator.companies("Praxis", "", utcnow()).rows if row.id == cast.praxis.id)
        return row.state(utcnow())

    assert praxis() == "unfunded"
    assert "Noch kein Guthaben" in desk.get("/operator?q=Praxis").text
    call = factories.make_call(cast.praxis)
    factories.within(cast.praxis, lambda: ledger.charge(db.session.merge(call), call.started_at))
    assert praxis() == "used_up"


@pytest.mark.parametrize("query", ["Praxis", "praxis", "prax"])
def test_a_company_is_found_by_name_or_address(desk: PortalClient, cast: Cast, query: str) -> None:
    part = desk.htmx("GET", f"/operator?q={query}").text
    assert "Praxis Test" in part
    assert "Salon Test" not in part
    assert "<html" not in part


def test_signs_in_a_search_are_just_signs(desk: PortalClient, cast: Cast) -> None:
    assert operator.companies("%", "", utcnow()).rows == operator.companies("", "", utcnow()).rows
    assert operator.companies("s_lon", "", utcnow()).rows == []


def test_pages_of_companies_lose_nobody(cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr(operator, "PAGE", 2)
    for number in range(5):
        write(Company(tenant_id=f"more-{number}", name="Gleicher Name" if number % 2 else f"Name-{number}"))
    seen: list[int] = []
    after: str | None = ""
    while after is not None:
        page = operator.companies("", after, utcnow())
        seen += [each.id for each in page.rows]
        after = page.next_after
    assert len(seen) == len(set(seen)) == 7


def test_the_page_asks_as_often_for_two_companies_as_for_many(desk: PortalClient, cast: Cast) -> None:
    with Queries() as few:
        desk.get("/operator")
    for number in range(9):
        company = Company(tenant_id=f"more-{number}", name=f"Firma {number}")
        write(company)
        event(number, company_id=company.id)
    with Queries() as many:
        desk.get("/operator")
    assert len(few) == len(many) <= MOST_QUERIES


def test_a_parked_top_up_is_shown_with_its_reason(desk: PortalClient, cast: Cast) -> None:
    write(
        BalanceTopup(
            company_id=cast.praxis.id, prepaid_balance_id=cast.praxis.balance.id, amount=Decimal("100.00"),
            tax_rate=Decimal("19.00"), tax_amount=Decimal("19.00"), gross_amount=Decimal("119.00"),
            parked_reason="Stripe meldet 59,50",
        )
    )  # fmt: skip
    page = desk.get("/operator").text
    assert "Stripe meldet 59,50" in page
    assert "note-bad" in page.partition('class="card kpis"')[0]


# ---- The inbox --------------------------------------------------------------------------------------------


def test_the_inbox_shows_what_needs_somebody(desk: PortalClient, cast: Cast) -> None:
    for number, status in enumerate(operator.STATUSES):
        event(number, status, company_id=cast.salon.id if number % 2 else None)
    page = desk.get("/operator/inbox").text
    shown = {status for number, status in enumerate(operator.STATUSES) if f"Grund {number}<" in page}
    assert shown == set(operator.STUCK)
    assert "Grund 5" in desk.get("/operator/inbox?s=all").text
    only = desk.get("/operator/inbox?s=parked").text
    assert "Grund 2" in only
    assert "Grund 1<" not in only


def test_the_inbox_can_be_narrowed_to_a_company(desk: PortalClient, cast: Cast) -> None:
    event(1, company_id=cast.salon.id)
    event(2, company_id=cast.praxis.id)
    page = desk.get(f"/operator/inbox?s=all&company={cast.praxis.id}").text
    assert "Grund 2" in page
    assert "Grund 1" not in page


def test_the_pages_of_the_inbox_lose_nothing(cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr(operator, "PAGE", 2)
    now = utcnow()
    for number in range(5):
        event(number, created_at=now - timedelta(seconds=number // 2))
    seen: list[int] = []
    after: str | None = ""
    while after is not None:
        page = operator.events("open", None, after)
        seen += [each.event.id for each in page.rows]
        after = page.older
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("after", ["x", "2026-01-01T00:00:00~1", "2026-01-01T00:00:00+00:00~x", "~"])
def test_a_cursor_that_is_none_is_the_first_page(desk: PortalClient, after: str) -> None:
    event(1)
    assert "Grund 1" in desk.get("/operator/inbox", query_string={"after": after}).text


def test_the_inbox_asks_as_often_for_many_and_never_reads_bodies(desk: PortalClient, cast: Cast) -> None:
    with Queries() as few:
        desk.get("/operator/inbox")
    for number in range(9):
        event(number, company_id=cast.salon.id)
    with Queries() as many:
        desk.get("/operator/inbox")
    assert len(few) == len(many) <= MOST_QUERIES
    assert not [statement for statement in many if "webhook_events.body" in statement]


SENT = {
    "event": "call_analyzed",
    "call": {
        "call_id": "call_1",
        "transcript": "Agent: Guten Tag",
        "recording_url": "https://x.example/1.wav",
        "transcript_object": [{"content": "Guten Tag"}],
        "call_analysis": {"call_summary": "möchte einen Termin", "user_sentiment": "Positive"},
    },
}


def test_a_message_is_shown_without_what_was_sent_until_somebody_asks(desk: PortalClient, cast: Cast) -> None:
    made = event(1, company_id=cast.salon.id, body=json.dumps(SENT).encode())
    page = desk.get(f"/operator/inbox/{made.id}").text
    assert "Grund 1" in page
    assert "call_1" not in page
    assert audited("inbox.payload_opened") == []


def test_opening_what_was_sent_is_written_down_and_leaves_the_conversation_out(desk: PortalClient, cast: Cast) -> None:
    made = event(1, company_id=cast.salon.id, body=json.dumps(SENT).encode())
    part = desk.htmx("POST", f"/operator/inbox/{made.id}/payload").text
    assert "call_1" in part
    assert "Positive" in part
    for said in ("Guten Tag", "x.example", "Termin"):
        assert said not in part
    (entry,) = audited("inbox.payload_opened")
    assert (entry.company_id, entry.model_id, entry.user_id) == (cast.salon.id, made.id, cast.operator.id)
    assert "call_1" in desk.post(f"/operator/inbox/{made.id}/payload").text


def test_what_is_no_json_is_shown_in_part(app: Any) -> None:
    assert operator.readable(b"\xff<html>" + b"x" * 1000).startswith("\ufffd<html>")
    assert len(operator.readable(b"x" * 1000)) == operator.LONGEST_SCRAP


@pytest.mark.parametrize("status", ["failed", "parked", "quarantined", "dead"])
def test_a_message_can_be_tried_again(desk: PortalClient, cast: Cast, monkeypatch: Any, status: str) -> None:
    made = event(1, status, company_id=cast.salon.id)
    handled: list[int] = []
    handler = inbox.Handler(lambda delivery, _prepared: handled.append(delivery.id))
    monkeypatch.setitem(inbox.HANDLERS, "retell", handler)
    answer = desk.post(f"/operator/inbox/{made.id}/retry")
    assert (answer.status_code, answer.location) == (303, f"/operator/inbox/{made.id}")
    assert handled == [made.id]
    assert status_of(made) == "done"
    (entry,) = audited("inbox.retried")
    assert (entry.company_id, entry.old_values) == (cast.salon.id, {"status": status, "attempts": 0})


def test_a_message_that_fails_again_stays_with_its_reason(desk: PortalClient, cast: Cast, monkeypatch: Any) -> None:
    made = event(1, company_id=cast.salon.id)

    def fail(_delivery: Any, _prepared: Any) -> None:
        raise ValueError("immer noch nicht")

    monkeypatch.setitem(inbox.HANDLERS, "retell", inbox.Handler(fail))
    desk.post(f"/operator/inbox/{made.id}/retry")
    assert status_of(made) == "failed"
    assert "immer noch nicht" in desk.get(f"/operator/inbox/{made.id}").text


@pytest.mark.parametrize("status", ["done", "ignored"])
def test_a_settled_message_is_neither_tried_nor_put_away(desk: PortalClient, status: str) -> None:
    made = event(1, status)
    assert desk.post(f"/operator/inbox/{made.id}/retry").status_code == 303
    assert desk.post(f"/operator/inbox/{made.id}/discard").status_code == 303
    assert status_of(made) == status
    assert audited("inbox.retried") == audited("inbox.discarded") == []


def test_a_stuck_message_can_be_put_away(desk: PortalClient) -> None:
    made = event(1, "quarantined")
    assert desk.post(f"/operator/inbox/{made.id}/discard").location == "/operator/inbox"
    assert status_of(made) == "ignored"
    assert len(audited("inbox.discarded")) == 1


def test_a_message_that_does_not_exist_is_not_there(desk: PortalClient) -> None:
    assert desk.get("/operator/inbox/999999").status_code == 404
    for deed in ("retry", "discard", "payload"):
        assert desk.post(f"/operator/inbox/999999/{deed}").status_code == 404
