"""Retell's door: who may come in, what is kept, and that every order of events ends in the same call."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from flask import Flask
from pymysql.err import OperationalError as ServerGone
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from portal.db import db, transaction
from portal.models import (
    BalanceReservation,
    BalanceTransaction,
    Call,
    CallActivity,
    CallCharge,
    CallContent,
    Company,
    Customer,
    PhoneNumber,
    PipelineHeartbeat,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox, retell
from portal.webhooks.signatures import sign_retell
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.webhooks.retell_payloads import payload

NOW = datetime(2026, 11, 24, 9, 10, tzinfo=UTC)
KEY = "retell-salon"
LIFE = ("call_started", "call_ended", "call_analyzed")


@pytest.fixture
def client(client: PortalClient) -> PortalClient:
    client.csrf = False  # Retell is no browser
    return client


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retell, "utcnow", lambda: NOW)


def send(
    client: PortalClient,
    body: dict[str, Any] | bytes,
    *,
    address: str = "/webhooks/retell/salon",
    key: str = KEY,
    at: datetime = NOW,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    signed = {"X-Retell-Signature": sign_retell(raw, key, int(at.timestamp() * 1000))}
    return client.post(
        address, data=raw, content_type="application/json", headers=signed if headers is None else headers
    )


def count(model: Any) -> int:
    with all_tenants("the test counts"):
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def the_call(company_id: int) -> Call:
    with tenant_scope(company_id):
        return db.session.scalars(select(Call)).one()


def refusals(scope: str) -> int:
    with all_tenants("the test looks"):
        found = db.session.scalar(select(PipelineHeartbeat.refused_requests).where(PipelineHeartbeat.scope == scope))
        return found or 0


# ---- Who may come in ------------------------------------------------------------------------------------------

NOT_PROVEN: dict[str, dict[str, Any]] = {
    "without a signature": {"headers": {}},
    "with a signature of no form": {"headers": {"X-Retell-Signature": "v=1,d=2"}},
    "with a wrong key": {"key": "retell-somebody"},
    "with another company's key": {"key": "retell-praxis"},
    "six minutes old": {"at": NOW - timedelta(minutes=6)},
    "six minutes ahead": {"at": NOW + timedelta(minutes=6)},
    "at an address that no company has": {"address": "/webhooks/retell/nobody"},
}


@pytest.mark.parametrize("how", NOT_PROVEN.values(), ids=NOT_PROVEN)
def test_what_does_not_prove_itself_is_refused_alike_and_only_counted(
    client: PortalClient, cast: Cast, how: dict[str, Any]
) -> None:
    answer = send(client, payload("call_started"), **how)
    reference = send(client, payload("call_started"), headers={})
    assert answer.status_code == 401
    assert answer.data == reference.data
    assert set(answer.headers.keys()) == set(reference.headers.keys())
    assert (count(WebhookEvent), count(Call)) == (0, 0)
    scope = "platform" if "nobody" in how.get("address", "") else f"company:{cast.salon.id}"
    assert refusals(scope) == (1 if scope == "platform" else 2)


def test_a_changed_body_is_refused(client: PortalClient, cast: Cast) -> None:
    raw = json.dumps(payload("call_started")).encode()
    signature = sign_retell(raw, KEY, int(NOW.timestamp() * 1000))
    answer = client.post(
        "/webhooks/retell/salon", data=raw.replace(b"+49", b"+43"), headers={"X-Retell-Signature": signature}
    )
    assert answer.status_code == 401


def test_an_unknown_address_costs_the_same_check(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []
    real = retell.verify_retell
    monkeypatch.setattr(retell, "verify_retell", lambda raw, *rest: (checked.append(len(raw)), real(raw, *rest))[1])
    for address in ("/webhooks/retell/nobody", "/webhooks/retell/salon"):
        send(client, payload("call_started"), address=address, key="wrong")
    assert len(checked) == 2
    assert checked[0] == checked[1]


def test_a_company_without_a_key_refuses_everything(client: PortalClient, cast: Cast) -> None:
    def forget() -> None:
        db.session.get_one(Company, cast.salon.id).retell_api_key = None

    transaction(forget)
    for key in (KEY, "", retell.NOBODYS_KEY):
        assert send(client, payload("call_started"), key=key).status_code == 401
    assert count(WebhookEvent) == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"call"', b"\xff\xfe", b"[" * 20000], ids=repr)
def test_what_is_no_object_is_refused(client: PortalClient, cast: Cast, raw: bytes) -> None:
    assert send(client, raw).status_code == 400
    assert count(WebhookEvent) == 0
    assert refusals(f"company:{cast.salon.id}") == 1


def test_more_than_four_megabytes_are_refused(client: PortalClient, cast: Cast) -> None:
    assert send(client, b'{"event":"x","fill":"' + b"a" * (4 * 1024 * 1024) + b'"}').status_code == 413
    assert count(WebhookEvent) == 0
    assert refusals(f"company:{cast.salon.id}") == 1


def test_nearly_four_megabytes_are_taken(client: PortalClient, cast: Cast) -> None:
    spoken = "User: " + "schnipp " * 480_000
    assert send(client, payload("call_ended", transcript=spoken)).status_code == 200
    assert the_call(cast.salon.id).duration_seconds == 157


def test_the_address_takes_posts_only(client: PortalClient, cast: Cast) -> None:
    assert client.get("/webhooks/retell/salon").status_code == 405


# ---- What is kept ---------------------------------------------------------------------------------------------


def test_an_event_is_kept_once_with_what_came_and_without_the_signature(client: PortalClient, cast: Cast) -> None:
    body = payload("call_started")
    first = send(client, body)
    again = send(client, body, at=NOW + timedelta(seconds=20))
    assert (first.status_code, first.json) == (200, {"status": "done"})
    assert (again.status_code, again.json) == (200, {"status": "duplicate"})
    with all_tenants("the test looks"):
        event = db.session.scalars(select(WebhookEvent)).one()
    assert event.company_id == cast.salon.id
    assert event.event_type == "call_started"
    assert event.body == json.dumps(body, ensure_ascii=False).encode()
    assert "Signature" not in json.dumps(event.headers)
    assert body["call"]["call_id"] in event.dedupe_key


def test_the_same_body_at_two_companies_is_two_deliveries(client: PortalClient, cast: Cast) -> None:
    body = payload("call_started")
    other = send(client, body, address="/webhooks/retell/praxis", key="retell-praxis")
    assert other.json == {"status": "quarantined"}
    assert send(client, body).json == {"status": "done"}
    assert the_call(cast.salon.id).status == "in_progress"


@pytest.mark.parametrize("event", ["chat_started", "call_blessed", "call_started ", "", None, 7, "x" * 300, "\ud800"])
def test_an_unknown_event_is_kept_and_ignored(client: PortalClient, cast: Cast, event: Any) -> None:
    body = payload("call_started") | {"event": event}
    raw = json.dumps(body).encode()
    answer = send(client, raw)
    assert (answer.status_code, answer.json) == (200, {"status": "ignored"})
    assert (count(WebhookEvent), count(Call)) == (1, 0)


FOREIGN: dict[str, dict[str, Any]] = {
    "another company's number": {"to_number": "+49341765432"},
    "another company's number, dialled from": {"direction": "outbound", "from_number": "+49341765432"},
    "another company's agent": {"agent_id": "agent_praxis"},
    "neither number nor agent known": {"to_number": "+4940999888", "agent_id": "agent_nobody"},
    "no number and an unknown agent": {"to_number": None, "agent_id": "agent_nobody"},
    "nothing at all": {"to_number": None, "agent_id": None},
    "no call": {"call_id": None},
    "a call without a name": {"call_id": "  "},
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_this_companys_is_quarantined(client: PortalClient, cast: Cast, fields: dict[str, Any]) -> None:
    answer = send(client, payload("call_ended", **fields, metadata={"company_id": cast.salon.id}))
    assert (answer.status_code, answer.json) == (200, {"status": "quarantined"})
    assert count(Call) == 0
    with all_tenants("the test looks"):
        event = db.session.scalars(select(WebhookEvent)).one()
    assert event.status == "quarantined"
    assert event.error


def test_the_bodys_company_is_never_believed(client: PortalClient, cast: Cast) -> None:
    body = payload("call_started", metadata={"company_id": cast.praxis.id, "tenant_id": "praxis"})
    send(client, body | {"company_id": cast.praxis.id})
    assert the_call(cast.salon.id).company_id == cast.salon.id


def test_an_unknown_number_is_this_companys_by_its_agent(client: PortalClient, cast: Cast) -> None:
    send(client, payload("call_ended", to_number="+4940999888"))
    call = the_call(cast.salon.id)
    assert (call.to_number, call.phone_number_id, call.branch_id) == ("+4940999888", None, None)


def test_an_agent_entered_at_the_number_counts_too(client: PortalClient, cast: Cast) -> None:
    def enter() -> None:
        with tenant_scope(cast.salon.id):
            number = PhoneNumber(company_id=cast.salon.id, number="030 77", number_e164="+493077", branch_id=None)
            number.retell_agent_id = "agent_evening"
            db.session.add(number)

    transaction(enter)
    assert send(client, payload("call_ended", to_number=None, agent_id="agent_evening")).json == {"status": "done"}


def test_a_call_id_of_another_company_changes_nothing_there(client: PortalClient, cast: Cast) -> None:
    send(client, payload("call_started"))
    stolen = payload("call_ended", to_number="+49341765432", agent_id="agent_praxis")
    answer = send(client, stolen, address="/webhooks/retell/praxis", key="retell-praxis")
    assert answer.json == {"status": "quarantined"}
    assert the_call(cast.salon.id).status == "in_progress"
    assert count(Call) == 1


def test_what_was_quarantined_is_taken_once_its_number_is_entered(client: PortalClient, cast: Cast) -> None:
    send(client, payload("call_ended", to_number="+4940999888", agent_id="agent_new"))

    def enter() -> int:
        with tenant_scope(cast.salon.id):
            db.session.add(PhoneNumber(company_id=cast.salon.id, number="040 999888", number_e164="+4940999888"))
        with all_tenants("the test looks"):
            return db.session.scalars(select(WebhookEvent.id)).one()

    assert inbox.process(transaction(enter)) == "done"
    assert the_call(cast.salon.id).duration_seconds == 157


# ---- When the database is away --------------------------------------------------------------------------------


def test_retell_is_asked_to_come_again_when_the_database_is_away(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, ServerGone(2003, "Can't connect"))

    monkeypatch.setattr(inbox, "record", away)
    answer = send(client, payload("call_started"))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_an_event_that_fails_is_kept_and_answered_with_an_error(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("something of ours is wrong")

    with monkeypatch.context() as patch:
        patch.setattr(retell.calls, "record", broken)
        assert send(client, payload("call_ended")).status_code == 500
    with all_tenants("the test looks"):
        event = db.session.scalars(select(WebhookEvent)).one()
    assert (event.status, event.attempts) == ("failed", 1)
    assert inbox.process(event.id) == "done"
    assert the_call(cast.salon.id).status == "completed"


# ---- One call, whatever comes when ------------------------------------------------------------------------------


def money(company_id: int, amount: str = "150.00") -> None:
    """Something to charge from."""

    def put() -> None:
        with tenant_scope(company_id):
            balance = db.session.scalars(select(PrepaidBalance)).one()
            balance.current_balance = Decimal(amount)

    transaction(put)


def picture(company_id: int) -> dict[str, Any]:
    """Everything that a call has become, without what depends on when it was written."""
    with tenant_scope(company_id):
        call = db.session.scalars(select(Call).execution_options(populate_existing=True)).one()
        content = db.session.scalars(select(CallContent).execution_options(populate_existing=True)).one_or_none()
        columns = {
            name: getattr(call, name)
            for name in Call.__table__.c.keys()  # noqa: SIM118  no mapping
            if name not in {"id", "created_at", "updated_at", "analyzed_at", "customer_id"}
        }
        customer = db.session.get(Customer, call.customer_id) if call.customer_id else None
        return columns | {
            "customer": customer and customer.full_name,
            "transcript": content and (content.transcript, content.turns, content.tool_calls),
            "analysed": call.analyzed_at is not None,
            "charges": db.session.scalars(select(CallCharge.amount_charged)).all(),
            "movements": db.session.scalars(select(BalanceTransaction.amount)).all(),
            "held": db.session.scalars(select(BalanceReservation.status)).all(),
            "balance": db.session.execute(
                select(PrepaidBalance.current_balance, PrepaidBalance.reserved_balance)
            ).one(),
            "steps": sorted(db.session.scalars(select(CallActivity.activity_type))),
        }


ORDERS = [
    *itertools.permutations(LIFE),
    *itertools.permutations((*LIFE, "transcript_updated")),
    *((*order, *order) for order in itertools.permutations(LIFE)),
]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_every_order_and_repetition_ends_in_the_same_call(
    client: PortalClient, cast: Cast, order: tuple[str, ...]
) -> None:
    money(cast.salon.id)
    for name in order:
        assert send(client, payload(name)).status_code == 200
    made = picture(cast.salon.id)
    assert made["status"] == "completed"
    assert made["end_reason"] == "user_hangup"
    assert made["duration_seconds"] == 157
    assert made["summary"].startswith("Frau Vogt bucht")
    assert made["sentiment"] == "positive"
    assert made["intent"] == "book_appointment"
    assert made["customer"] == "Nadine Vogt"
    assert made["dynamic_variables"] == {
        "company_name": "Salon Test",
        "open_now": "open",
        "customer_name": "Nadine Vogt",
    }
    assert len(made["transcript"][1]) == 6
    assert [tool["name"] for tool in made["transcript"][2]] == ["check_availability_cal", "book_appointment_cal"]
    assert made["charges"] == [Decimal("1.10")]
    assert made["movements"] == [Decimal("-1.10")]
    assert made["balance"] == (Decimal("148.90"), Decimal("0.00"))
    assert set(made["held"]) <= {"charged"}
    assert len(made["held"]) == (1 if order[0] in {"call_started", "transcript_updated"} else 0)
    assert made["steps"] == ["analysed", "customer_new", "ended", "started"]


@pytest.mark.parametrize("missing", LIFE)
def test_any_one_of_the_events_may_be_missing(client: PortalClient, cast: Cast, missing: str) -> None:
    money(cast.salon.id)
    for name in LIFE:
        if name != missing:
            assert send(client, payload(name)).status_code == 200
    made = picture(cast.salon.id)
    assert made["status"] == "completed"
    assert made["charges"] == [Decimal("1.10")]
    assert made["balance"].reserved_balance == 0
    assert made["analysed"] is (missing != "call_analyzed")
    assert (made["summary"] is None) is (missing == "call_analyzed")


def test_a_started_call_holds_five_minutes_and_is_charged_when_it_ends(client: PortalClient, cast: Cast) -> None:
    money(cast.salon.id)
    send(client, payload("call_started"))
    running = picture(cast.salon.id)
    assert running["balance"] == (Decimal("150.00"), Decimal("2.10"))
    assert (running["charges"], running["held"]) == ([], ["held"])
    send(client, payload("call_ended"))
    assert picture(cast.salon.id)["balance"] == (Decimal("148.90"), Decimal("0.00"))


def test_a_call_nobody_answered_costs_nothing_and_gives_back_what_was_held(client: PortalClient, cast: Cast) -> None:
    money(cast.salon.id)
    unanswered = payload("outbound_ended")
    send(client, payload("call_started", call_id=unanswered["call"]["call_id"], direction="outbound",
                         from_number="+49301234567", to_number="+4915255512345"))  # fmt: skip
    send(client, unanswered)
    made = picture(cast.salon.id)
    assert (made["status"], made["duration_seconds"], made["phone_number"]) == ("no_answer", 0, "+4915255512345")
    assert (made["charges"], made["held"], made["balance"].reserved_balance) == ([], ["released"], 0)


def test_events_of_two_companies_stay_apart(client: PortalClient, cast: Cast) -> None:
    send(client, payload("call_ended"))
    other = payload("call_ended", call_id="call_of_praxis", to_number="+49341765432", agent_id="agent_praxis")
    send(client, other, address="/webhooks/retell/praxis", key="retell-praxis")
    assert the_call(cast.salon.id).call_id != the_call(cast.praxis.id).call_id
    with tenant_scope(cast.praxis.id):
        assert db.session.scalars(select(Customer.full_name).where(Customer.full_name == "Nadine Vogt")).all() == [
            "Nadine Vogt"
        ]


# ---- Before a call connects ---------------------------------------------------------------------------------------


def test_the_question_before_a_call_is_answered_to_retell_alone(client: PortalClient, cast: Cast) -> None:
    address = "/webhooks/retell/salon/inbound"
    answer = send(client, payload("call_inbound"), address=address)
    assert answer.status_code == 200
    assert answer.json is not None
    told = answer.json["call_inbound"]
    assert told["override_agent_id"] == "agent_salon"
    assert all(isinstance(value, str) for value in told["dynamic_variables"].values())
    assert send(client, payload("call_inbound"), address=address, key="retell-praxis").status_code == 401
    assert send(client, payload("call_inbound"), address="/webhooks/retell/nobody/inbound").status_code == 401
    assert send(client, b"nothing", address=address).status_code == 400
    assert count(WebhookEvent) == 0


# ---- At the same moment -------------------------------------------------------------------------------------------


def deliver(app: Flask, barrier: Any, answers: Any, bodies: list[dict[str, Any]]) -> None:
    """One process that sends its events when all others do."""
    with app.app_context():
        db.engine.dispose(close=False)
        client = app.test_client()
        barrier.wait(timeout=60)
        for body in bodies:
            raw = json.dumps(body).encode()
            signature = sign_retell(raw, KEY, int(NOW.timestamp() * 1000))
            answer = client.post("/webhooks/retell/salon", data=raw, headers={"X-Retell-Signature": signature})
            answers.put((body["event"], answer.status_code))


@pytest.mark.slow
def test_deliveries_of_one_call_by_several_processes_make_one_call(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    money(cast.salon.id)
    db.session.remove()
    bodies = [payload(name, call_id=f"call_{number}") for number in range(6) for name in (*LIFE, "transcript_updated")]
    orders = [bodies, bodies[::-1], bodies[1:] + bodies[:1], bodies]
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(len(orders)), context.Queue()
    processes = [context.Process(target=partial(deliver, app, barrier, answers, order)) for order in orders]
    for process in processes:
        process.start()
    got = [answers.get(timeout=120) for order in orders for _ in order]
    for process in processes:
        process.join(timeout=60)
    assert {status for _event, status in got} == {200}
    with tenant_scope(cast.salon.id):
        calls = db.session.scalars(select(Call)).all()
        assert sorted(call.call_id for call in calls) == sorted({body["call"]["call_id"] for body in bodies})
        assert {(call.status, call.duration_seconds, call.sentiment) for call in calls} == {
            ("completed", 157, "positive")
        }
        assert len({call.customer_id for call in calls}) == 1
        assert db.session.scalars(select(BalanceTransaction.amount)).all() == [Decimal("-1.10")] * 6
        balance = db.session.scalars(select(PrepaidBalance)).one()
        assert (balance.current_balance, balance.reserved_balance) == (Decimal("143.40"), Decimal("0.00"))
        held = db.session.scalars(select(BalanceReservation.status)).all()
        assert set(held) <= {"charged"}
