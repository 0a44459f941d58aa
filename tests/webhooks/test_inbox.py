"""The inbox itself: whoever delivers is answered soon, and one bad event holds up nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from portal.db import db, transaction, utcnow
from portal.jobs import worker
from portal.models import Call, WebhookEvent
from portal.tenancy import all_tenants
from portal.webhooks import inbox
from portal.webhooks.signatures import sign_retell
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.webhooks.retell_payloads import ms, payload

PATIENCE = 60  # seconds until a test that hangs fails


def send(client: PortalClient, body: dict[str, Any]) -> TestResponse:
    """As Retell does for the salon."""
    client.csrf = False
    raw = json.dumps(body).encode()
    headers = {"X-Retell-Signature": sign_retell(raw, "retell-salon", ms(utcnow()))}
    return client.post("/webhooks/retell/salon", data=raw, content_type="application/json", headers=headers)


class Slow:
    """A handler that is stopped in the middle until it is let go, as by a database that does not answer."""

    def __init__(self, handler: inbox.Handler) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.real = handler

    def handle(self, delivery: inbox.Delivery, prepared: Any) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        self.real.handle(delivery, prepared)


@pytest.fixture
def slow(real_app: tuple[Flask, Cast], monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    app, _cast = real_app
    stopped = Slow(inbox.HANDLERS["retell"])
    monkeypatch.setitem(inbox.HANDLERS, "retell", inbox.Handler(stopped.handle, stopped.real.prepare))
    monkeypatch.setattr(inbox, "PATIENCE", 0.05)
    yield stopped
    stopped.go_on.set()
    inbox.threads(app, "retell").shutdown()


def event() -> WebhookEvent:
    db.session.rollback()
    with all_tenants("the test looks into the inbox"):
        return db.session.scalars(select(WebhookEvent).execution_options(populate_existing=True)).one()


def test_the_answer_does_not_wait_for_slow_handling_which_is_finished_all_the_same(
    real_app: tuple[Flask, Cast], slow: Slow
) -> None:
    app, _cast = real_app
    client: Any = app.test_client()
    answer = send(client, payload("call_ended"))
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    assert slow.begun.wait(PATIENCE)
    assert event().status == "received"
    slow.go_on.set()
    inbox.threads(app, "retell").shutdown()  # waits for its threads
    assert event().status == "done"


def test_a_repetition_meanwhile_is_known_and_the_worker_leaves_the_event_alone(
    real_app: tuple[Flask, Cast], slow: Slow
) -> None:
    app, cast = real_app
    client: Any = app.test_client()
    body = payload("call_ended")
    send(client, body)
    assert slow.begun.wait(PATIENCE)
    assert send(client, body).get_json() == {"status": "duplicate"}
    assert worker.drain_inbox(utcnow()) == 0
    slow.go_on.set()
    inbox.threads(app, "retell").shutdown()
    db.session.rollback()
    with all_tenants("the test counts calls"):
        assert len(db.session.scalars(select(Call).where(Call.company_id == cast.salon.id)).all()) == 1


def test_what_was_accepted_by_a_process_that_died_is_handled_by_the_worker(client: PortalClient, cast: Cast) -> None:
    with all_tenants("the test stores an event as a process does that dies right after"):
        made = inbox.record("retell", "died", b"{}", event_type="call_ended", company_id=cast.salon.id, headers={})
    assert made is not None
    assert worker.drain_inbox(utcnow()) == 0
    assert worker.drain_inbox(utcnow() + inbox.HANDLING + timedelta(seconds=1)) == 1
    assert event().status != "received"


@pytest.mark.parametrize("settled", ["done", "ignored"])
def test_whoever_fails_late_does_not_open_again_what_is_settled(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch, settled: str
) -> None:
    """A thread still waits for the provider when the worker has handled the event, or the operator put it away."""
    with all_tenants("the test stores an event"):
        made = inbox.record("retell", "late", b"{}", event_type="call_ended", company_id=cast.salon.id, headers={})
    assert made is not None

    def prepare(delivery: inbox.Delivery) -> None:
        transaction(lambda: inbox._mark(delivery.id, settled))
        raise RuntimeError("as told")

    monkeypatch.setitem(inbox.HANDLERS, "retell", inbox.Handler(inbox.HANDLERS["retell"].handle, prepare))
    assert inbox.process(made) == settled
    assert (event().status, event().attempts, event().next_attempt_at) == (settled, 0, None)


def test_what_a_database_refuses_is_noted_without_what_was_said(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator reads these messages, and logs keep them: neither may hold a company's conversations."""

    def handle(delivery: inbox.Delivery, prepared: Any) -> None:
        db.session.execute(
            text("INSERT INTO companies (no_such_column) VALUES (:words)"), {"words": "Ich habe Zahnschmerzen"}
        )

    monkeypatch.setitem(inbox.HANDLERS, "retell", inbox.Handler(handle, inbox.HANDLERS["retell"].prepare))
    send(client, payload("call_ended", call_id="call_bad"))
    assert "OperationalError" in (event().error or "")
    assert "Zahnschmerzen" not in (event().error or "")


def test_an_event_that_always_fails_waits_longer_each_time_is_given_up_and_holds_up_nothing(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = inbox.HANDLERS["retell"], []

    def handle(delivery: inbox.Delivery, prepared: Any) -> None:
        if delivery.payload["call"]["call_id"] == "call_bad":
            tries.append(delivery.id)
            raise RuntimeError("as told")
        real.handle(delivery, prepared)

    monkeypatch.setitem(inbox.HANDLERS, "retell", inbox.Handler(handle, real.prepare))
    assert send(client, payload("call_ended", call_id="call_bad")).status_code == 500
    waits, now = [], utcnow()
    for _round in range(inbox.MAX_ATTEMPTS + 3):
        row = event()
        if row.next_attempt_at is None:
            break
        waits.append(row.next_attempt_at - now)
        now = row.next_attempt_at + timedelta(seconds=1)
        worker.drain_inbox(now)
    assert len(tries) == inbox.MAX_ATTEMPTS
    assert (event().status, event().error) == ("dead", "RuntimeError: as told")
    assert [inbox.backoff(number) for number in (1, 2, 3)] == [timedelta(seconds=20 * 2**power) for power in range(3)]
    assert send(client, payload("call_ended", call_id="call_good")).get_json() == {"status": "done"}
