"""The demo's call: every webhook of it is taken by the real portal, and ends in a call with a booking and a charge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import time
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import make_server

from portal.db import db, utcnow
from portal.demo import call as demo_call
from portal.models import (
    Appointment,
    Branch,
    Call,
    CallActivity,
    CallCharge,
    Company,
    Customer,
    PhoneNumber,
    PrepaidBalance,
    WebhookEvent,
    WorkingHours,
)
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm


@pytest.fixture
def salon(real_app: tuple[Flask, Cast]) -> Firm:
    """The demo's salon where commits are real, because a server of its own reads them."""
    return as_the_demo(real_app[1].salon)


@pytest.fixture
def quiet_salon(cast: Cast) -> Firm:
    """The same where nothing is sent anywhere."""
    return as_the_demo(cast.salon)


def as_the_demo(firm: Firm) -> Firm:
    """The cast's salon under the demo's names, which are a contract."""

    def rename() -> None:
        company = db.session.get_one(Company, firm.id)
        company.tenant_id, company.name = demo_call.TENANT, "Salon Morgenrot"
        company.retell_agent_id = demo_call.AGENT
        company.retell_api_key, company.calcom_webhook_secret = demo_call.RETELL_KEY, demo_call.CALCOM_SECRET
        number = db.session.get_one(PhoneNumber, firm.phone.id)
        number.number = number.number_e164 = demo_call.BERLIN_NUMBER
        number.retell_agent_id = demo_call.AGENT
        db.session.get_one(Branch, firm.main.id).name = "Berlin-Mitte"
        db.session.get_one(PrepaidBalance, firm.balance.id).current_balance = Decimal("150.00")
        hours = {"branch_id": firm.main.id, "opens_at": time(9), "closes_at": time(18)}
        db.session.add_all(WorkingHours(company_id=firm.id, weekday=weekday, **hours) for weekday in range(1, 7))

    factories.within(firm, rename)
    return firm


@pytest.fixture
def address(real_app: tuple[Flask, Cast]) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, real_app[0], threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_the_call_is_played_through_the_real_webhooks(real_app: tuple[Flask, Cast], salon: Firm, address: str) -> None:
    told: list[str] = []
    waits: list[float] = []
    script = demo_call.prepare(utcnow(), Random(7))
    player = demo_call.Player(address, 2.0, told.append, waits.append)
    player.play(script, Random(7))
    db.session.rollback()
    with tenant_scope(salon.id):
        call = db.session.scalars(select(Call).where(Call.call_id == script.call_id)).one()
        assert (call.status, call.sentiment, call.intent) == ("completed", "positive", "book_appointment")
        assert call.branch_id == salon.main.id
        appointment = db.session.get_one(Appointment, call.appointment_id)
        assert (appointment.start_time, appointment.staff_id) == (script.chosen.start, salon.stylist.id)
        assert appointment.call_id == call.id
        customer = db.session.get_one(Customer, call.customer_id)
        assert (customer.full_name, customer.name_confirmed) == (script.caller, True)
        charge = db.session.scalars(select(CallCharge).where(CallCharge.call_id == call.id)).one()
        assert charge.amount_charged > 0
        assert charge.duration_seconds == call.duration_seconds
        kinds = set(db.session.scalars(select(CallActivity.activity_type)))
        assert {"started", "ended", "analysed"} <= kinds
        events = db.session.scalars(select(WebhookEvent.status).where(WebhookEvent.company_id == salon.id)).all()
        assert set(events) == {"done"}
    assert 60 < sum(waits) * 2 < 240  # seconds that the conversation takes
    assert any("Cal.com tells of the booking" in line for line in told)
    assert any(script.caller in line for line in told)
    assert demo_call.call_row_id(script.call_id) == call.id


def test_the_next_call_takes_another_time(quiet_salon: Firm) -> None:
    first = demo_call.prepare(utcnow(), Random(1)).chosen
    factories.make_appointment(quiet_salon, first.start, 45)
    second = demo_call.prepare(utcnow(), Random(1)).chosen
    assert not first.overlaps(second)


def test_what_is_said_names_the_times_that_are_booked(quiet_salon: Firm) -> None:
    script = demo_call.prepare(utcnow(), Random(3))
    turns = demo_call.conversation(script)
    booked = next(turn for turn in turns if turn[0] == "tool" and turn[1] == "book_appointment_cal")
    assert booked[2]["start"].startswith(
        f"{script.chosen.start.astimezone(demo_call.ZoneInfo(demo_call.ZONE)):%Y-%m-%dT%H:%M}"
    )
    assert all(turn[1] for turn in turns)


def run(app: Flask, *arguments: str) -> Result:
    result: Any = app.test_cli_runner().invoke(args=["demo", "call", *arguments])
    found: Result = result
    return found


def test_the_command_says_where_to_look(real_app: tuple[Flask, Cast], salon: Firm, address: str) -> None:
    result = run(real_app[0], "--url", f"{address}/", "--speed", "1000")
    assert result.exit_code == 0, result.output
    db.session.rollback()
    assert f"Open {address}/calls as owner@salon-morgenrot.example" in result.output
    with tenant_scope(salon.id):
        call_id = db.session.scalars(select(Call.id)).one()
    assert f"The call: {address}/calls/{call_id}" in result.output


def test_without_a_demo_the_command_says_what_to_do(
    app: Flask, quiet_salon: Firm, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path))
    monkeypatch.delenv("PORTAL_DEMO_URL", raising=False)
    missing = run(app)
    assert missing.exit_code == 1
    assert "start it with make run" in missing.output
    nobody = run(app, "--url", "http://127.0.0.1:9", "--speed", "1000")
    assert nobody.exit_code == 1
    assert "Nothing answers" in nobody.output


def test_the_address_is_found_in_the_note_of_the_running_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "demo.json").write_text('{"url": "http://127.0.0.1:8123", "pid": 1}')
    monkeypatch.setenv("DEMO_INSTANCE", str(tmp_path))
    assert demo_call.running_at() == "http://127.0.0.1:8123"


def test_a_database_without_the_demo_is_no_place_for_the_call(cast: Cast) -> None:
    with pytest.raises(demo_call.CallError, match="demo seed"):
        demo_call.prepare(utcnow(), Random(1))
