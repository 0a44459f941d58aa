"""Started, ended, analysed: in all six orders, each of them one to three times, any one missing: one call, one charge.

What stays missing is filled by the worker, which asks Retell; then nothing tells such a call from any other.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.clients.retell import RetellClient
from portal.db import db, transaction
from portal.jobs import retell as jobs
from portal.models import (
    BalanceReservation,
    BalanceTransaction,
    Call,
    CallActivity,
    CallCharge,
    CallContent,
    Company,
    Customer,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import retell
from portal.webhooks.signatures import sign_retell
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.fake_retell import FakeRetell, create_fake_retell, session_for
from tests.webhooks.retell_payloads import payload

NOW = datetime(2026, 11, 24, 9, 10, tzinfo=UTC)
KEY = "retell-salon"
LIFE = ("call_started", "call_ended", "call_analyzed")
TIMES = (1, 2, 3)

Events = tuple[str, ...]


def sequences(order: Events) -> Iterator[Events]:
    """Each event one to three times: repeated at once, and repeated after all the others."""
    for times in itertools.product(TIMES, repeat=len(order)):
        in_a_row = tuple(name for name, often in zip(order, times, strict=True) for _ in range(often))
        in_rounds = tuple(name for turn in TIMES for name, often in zip(order, times, strict=True) if often >= turn)
        yield from dict.fromkeys((in_a_row, in_rounds))


COMPLETE = list(itertools.permutations(LIFE))
PARTIAL = list(itertools.permutations(LIFE, 2))


@pytest.fixture
def client(client: PortalClient) -> PortalClient:
    client.csrf = False  # Retell is no browser
    return client


@pytest.fixture(autouse=True)
def _here_since_long_with_money(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retell, "utcnow", lambda: NOW)

    def write() -> None:
        with tenant_scope(cast.salon.id):
            db.session.get_one(Company, cast.salon.id).created_at = NOW - timedelta(days=365)
            db.session.scalars(select(PrepaidBalance)).one().current_balance = Decimal("1500.00")

    transaction(write)


@pytest.fixture
def sim(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRetell]:
    made = create_fake_retell(KEY)
    session = session_for(made.app)
    monkeypatch.setattr(
        jobs, "connect", lambda key, base: RetellClient(key, base, session=session, sleep=lambda _seconds: None)
    )
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, retell_api_base="https://retell.example")
    yield made
    app.extensions["settings"] = before


# What an earlier event says otherwise than a later one: it fills gaps, and never counts against the later one.
EARLIER: dict[str, dict[str, Any]] = {
    "call_started": {
        "telephony_identifier": {"twilio_call_sid": "CA_early"},
        "retell_llm_dynamic_variables": {"company_name": "?", "open_now": "closed"},
    },
    "call_ended": {"disconnection_reason": "inactivity", "recording_url": "https://recordings.example/early.wav"},
    "call_analyzed": {},
}


class Line:
    """Sends events of one call; the second one of a kind has other bytes, so that it passes the inbox again."""

    def __init__(self, client: PortalClient, call_id: str) -> None:
        self.client, self.call_id, self.sent = client, call_id, Counter[str]()

    def deliver(self, events: Events) -> None:
        for name in events:
            self.sent[name] += 1
            body = payload(name, call_id=self.call_id, **EARLIER[name])
            raw = json.dumps(body, indent=1 if self.sent[name] == 2 else None).encode()
            signature = sign_retell(raw, KEY, int(NOW.timestamp() * 1000))
            headers = {"X-Retell-Signature": signature}
            assert self.client.post("/webhooks/retell/salon", data=raw, headers=headers).status_code == 200


def picture(cast: Cast, call_id: str) -> dict[str, Any]:
    """Everything that a call has become, without its ids and what depends on when it was written."""
    db.session.rollback()
    with tenant_scope(cast.salon.id):
        call = db.session.scalars(select(Call).where(Call.call_id == call_id)).one()
        content = db.session.scalars(select(CallContent).where(CallContent.call_id == call.id)).one_or_none()
        left_out = {"id", "call_id", "retell_call_id", "created_at", "updated_at", "analyzed_at", "customer_id"}
        columns = {name: getattr(call, name) for name in Call.__table__.c.keys() if name not in left_out}  # noqa: SIM118
        charges = db.session.scalars(select(CallCharge).where(CallCharge.call_id == call.id)).all()
        movements = select(BalanceTransaction.amount).where(
            BalanceTransaction.call_charge_id.in_([charge.id for charge in charges])
        )
        customer = db.session.get(Customer, call.customer_id) if call.customer_id else None
        return columns | {
            "customer": customer and customer.full_name,
            "transcript": content and (content.transcript, content.turns, content.tool_calls),
            "analysed": call.analyzed_at is not None,
            "charges": [charge.amount_charged for charge in charges],
            "movements": db.session.scalars(movements).all(),
            "held": db.session.scalars(
                select(BalanceReservation.status).where(BalanceReservation.call_id == call.id)
            ).all(),
            "steps": set(db.session.scalars(select(CallActivity.activity_type).where(CallActivity.call_id == call.id))),
        }


def is_whole(made: dict[str, Any], *, started_first: bool) -> None:
    final = payload("call_analyzed")["call"]
    assert made["twilio_call_sid"] == final["telephony_identifier"]["twilio_call_sid"]
    assert made["recording_url"] == final["recording_url"]
    assert (made["status"], made["end_reason"], made["duration_seconds"]) == ("completed", "user_hangup", 157)
    assert made["summary"].startswith("Frau Vogt bucht")
    assert (made["sentiment"], made["intent"], made["customer"]) == ("positive", "book_appointment", "Nadine Vogt")
    assert made["dynamic_variables"] == {
        "company_name": "Salon Test",
        "open_now": "open",
        "customer_name": "Nadine Vogt",
    }
    assert len(made["transcript"][1]) == 6
    assert [tool["name"] for tool in made["transcript"][2]] == ["check_availability_cal", "book_appointment_cal"]
    is_charged_once(made)
    assert made["held"] == (["charged"] if started_first else [])
    assert made["analysed"]
    assert {"started", "ended", "analysed"} <= made["steps"]


def is_charged_once(made: dict[str, Any]) -> None:
    assert made["charges"] == [Decimal("1.10")]
    assert made["movements"] == [Decimal("-1.10")]


def the_sums_are_right(cast: Cast, calls: int) -> None:
    with tenant_scope(cast.salon.id):
        balance = db.session.scalars(select(PrepaidBalance).execution_options(populate_existing=True)).one()
        assert len(db.session.scalars(select(Call.id)).all()) == calls
        assert (balance.current_balance, balance.reserved_balance) == (1500 - calls * Decimal("1.10"), Decimal(0))


@pytest.mark.parametrize("order", COMPLETE, ids=" ".join)
def test_in_any_order_and_number_they_make_one_call_and_one_charge(
    client: PortalClient, cast: Cast, order: Events
) -> None:
    played = list(sequences(order))
    assert len(played) > len(TIMES) ** 3
    for number, events in enumerate(played):
        Line(client, f"call_{number}").deliver(events)
        is_whole(picture(cast, f"call_{number}"), started_first=order[0] == "call_started")
    the_sums_are_right(cast, len(played))


@pytest.mark.parametrize("order", PARTIAL, ids=" ".join)
def test_with_any_one_missing_it_is_charged_once_and_whole_when_retell_has_been_asked(
    client: PortalClient, cast: Cast, sim: FakeRetell, order: Events
) -> None:
    played = list(sequences(order))
    started = order[0] == "call_started"
    for number, events in enumerate(played):
        Line(client, f"call_{number}").deliver(events)
        sim.put(KEY, payload("call_analyzed", call_id=f"call_{number}")["call"])
        made = picture(cast, f"call_{number}")
        is_charged_once(made)
        assert made["analysed"] is ("call_analyzed" in order)
    jobs.catch_up(NOW + timedelta(minutes=10))
    for number in range(len(played)):
        is_whole(picture(cast, f"call_{number}"), started_first=started)
    the_sums_are_right(cast, len(played))
    # Asked for is only what lacked something: an analysis has all that a start and an end tell.
    assert set(sim.fetched().values()) <= {1}
    assert len(sim.fetched()) == (0 if "call_analyzed" in order else len(played))


@pytest.mark.parametrize("only", LIFE)
def test_with_two_missing_it_is_whole_as_well(client: PortalClient, cast: Cast, sim: FakeRetell, only: str) -> None:
    Line(client, "call_1").deliver((only,))
    sim.put(KEY, payload("call_analyzed", call_id="call_1")["call"])
    jobs.catch_up(NOW + timedelta(minutes=10))
    is_whole(picture(cast, "call_1"), started_first=only == "call_started")
    the_sums_are_right(cast, 1)


@pytest.mark.parametrize("order", COMPLETE, ids=" ".join)
@pytest.mark.parametrize("place", range(4))
def test_asking_in_between_changes_nothing_of_it(
    client: PortalClient, cast: Cast, sim: FakeRetell, order: Events, place: int
) -> None:
    line = Line(client, "call_1")
    line.deliver(order[:place])
    sim.put(KEY, payload("call_analyzed", call_id="call_1")["call"])
    jobs.catch_up(NOW + timedelta(minutes=10))
    line.deliver(order[place:])
    is_whole(picture(cast, "call_1"), started_first=place > 0 and order[0] == "call_started")
    the_sums_are_right(cast, 1)


# ---- Somebody else's number --------------------------------------------------------------------------------


FOREIGN = {
    "another company's number": {"to_number": "+49341765432"},
    "another company's agent": {"agent_id": "agent_praxis"},
    "both": {"to_number": "+49341765432", "agent_id": "agent_praxis"},
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN)
def test_another_companys_number_or_agent_is_seen_by_the_operator_alone(
    client: PortalClient, cast: Cast, fields: dict[str, Any]
) -> None:
    raw = json.dumps(payload("call_ended", **fields)).encode()
    signature = sign_retell(raw, KEY, int(NOW.timestamp() * 1000))
    answer = client.post("/webhooks/retell/salon", data=raw, headers={"X-Retell-Signature": signature})
    assert answer.json == {"status": "quarantined"}
    with all_tenants("the test looks"):
        event = db.session.scalars(select(WebhookEvent)).one()
        assert db.session.scalars(select(Call)).all() == []
        assert db.session.scalars(select(BalanceTransaction)).all() == []
    for firm in (cast.salon, cast.praxis):
        for person in firm.users.values():
            client.sign_in(person)
            assert client.get("/operator/inbox").status_code == 403
            assert client.get(f"/operator/inbox/{event.id}").status_code == 403
            if client.get("/calls").status_code == 200:
                assert "Vogt" not in client.get("/calls").text
    client.sign_in(cast.operator)
    shown = client.get(f"/operator/inbox/{event.id}")
    assert shown.status_code == 200
    assert "belongs to another company" in shown.text
    assert f"/operator/inbox/{event.id}" in client.get("/operator/inbox?status=quarantined").text
