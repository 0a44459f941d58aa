"""``kill -9`` between any two steps of a top-up and of a call: nothing is missing then, and nothing is there twice.

A child process does the real thing and ends itself at its first step, the next one at its second, and so on until one
comes to the end. What happens then is what happens in life: the worker runs once, Stripe and Retell send again.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import payments
from portal.clients.stripe import StripeGateway
from portal.db import db, transaction, utcnow
from portal.domain import invoice_documents, stats, topups, vat
from portal.jobs import mail, worker
from portal.jobs.topups import ask_stripe
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    Call,
    CallCharge,
    DailySpend,
    EmailOutbox,
    Invoice,
    InvoiceSequence,
    OutboxJob,
    PortalUser,
    WebhookEvent,
)
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks.signatures import sign_retell
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.payments import SECRET
from tests.races.kills import at_every_step
from tests.races.processes import at_once
from tests.races.test_ledger_races import (
    afterwards,
    balance_of,
    deliver,
    give,
    paid_page,
    references,
    send_form,
    stripe_on_a_port,
    url_of,
)
from tests.races.work import run_worker
from tests.webhooks.retell_payloads import ms, payload

# A hundred euros net, as the form sends them.
NET = Decimal("100.00")
LIFE_OF_A_CALL = ("call_started", "call_ended", "call_analyzed")
PRICE = Decimal("1.10")  # 157 s at 0.42
DRAWN = b"%PDF-1.7"
# Later than every claim, lease and waiting time that a killed worker leaves behind.
LATER = timedelta(hours=2)


def killed(app: Flask, life: Callable[..., Any], *arguments: Any, **settings: Any) -> int:
    """How many lives there were, numbered from 0; all but the first and the last one were cut off."""
    (lives,) = at_once(url_of(app), [(at_every_step, (life, *arguments))], **settings)
    db.session.rollback()
    return int(lives)


# ---- What a child does ------------------------------------------------------------------------------------------


def fill_in_the_form(app: Flask, number: int, user_id: int) -> Callable[[], Any]:
    return lambda: send_form(app, user_id, f"killed-{number}")


def hear_of_a_payment(app: Flask, number: int, company_id: int, address: str, page_first: bool) -> Callable[[], Any]:
    """By the webhook, and as the page does it to which Stripe sends people back."""
    topup_id, session_id = open_page(company_id, number + 1000 * page_first)
    press(f"{address}/_sim/sessions/{session_id}/pay")
    body = event_of(address, session_id)
    ways = [lambda: deliver(app, body), lambda: ask_again(company_id, topup_id)]
    return lambda: [way() for way in ways[:: -1 if page_first else 1]]


def make_documents(app: Flask, number: int, company_id: int, folder: str) -> Callable[[], Any]:
    """The worker's part: the invoice, its file, its mail. Drawing the file takes long and writes nothing."""
    app.instance_path = folder
    invoice_documents.render = lambda invoice, now: DRAWN  # type: ignore[assignment]
    put_off_what_others_left()
    credit_a_topup(company_id, number)
    return lambda: [
        worker.drain_outbox(utcnow()),
        worker.drain_outbox(utcnow()),
        mail.send_due(utcnow()),
    ]


def live_through_a_call(app: Flask, number: int) -> Callable[[], Any]:
    return lambda: [send_retell(app, body) for body in bodies_of_call(number)]


# ---- What that takes --------------------------------------------------------------------------------------------


def open_page(company_id: int, number: int) -> tuple[int, str]:
    split = vat.split(NET, vat.TaxKind.STANDARD)
    with tenant_scope(company_id):
        topup_id = transaction(lambda: topups.start(split, f"killed-{number}", owner_of(company_id), "Katharina").id)
        payments.open_page(topup_id, "de")
        session_id = db.session.scalars(select(BalanceTopup.stripe_session_id).where(BalanceTopup.id == topup_id)).one()
    return topup_id, session_id or ""


def owner_of(company_id: int) -> int:
    return db.session.scalars(
        select(PortalUser.id).where(PortalUser.company_id == company_id, PortalUser.role == "owner")
    ).one()


def ask_again(company_id: int, topup_id: int) -> None:
    with tenant_scope(company_id):
        payments.refresh(topup_id)


def press(address: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(address, data=b"", method="POST")) as answer:
        answer.read()


def event_of(address: str, session_id: str) -> bytes:
    """What Stripe sends about a paid page."""
    with urllib.request.urlopen(f"{address}/_sim/events?type=checkout.session.completed") as answer:
        events = json.load(answer)
    return json.dumps(next(one for one in events if one["data"]["object"]["id"] == session_id)).encode()


def credit_a_topup(company_id: int, number: int) -> None:
    split = vat.split(NET, vat.TaxKind.STANDARD)

    def work() -> None:
        topup = topups.start(split, f"killed-{number}", owner_of(company_id), "Katharina")
        topup.stripe_session_id, topup.stripe_customer_id = f"cs_killed_{number}", "cus_killed"
        db.session.flush()
        topups.apply(topup.id, paid_page(topup, "salon"), utcnow())

    with tenant_scope(company_id):
        transaction(work)


def put_off_what_others_left() -> None:
    """Each child works for itself; the worker at the end finds what the killed ones have left."""

    def work() -> None:
        for model in (OutboxJob, EmailOutbox):
            waiting = db.session.scalars(select(model).where(model.status == "pending"))
            for row in waiting:
                row.next_attempt_at = utcnow() + LATER / 2

    with all_tenants("the test holds back what waits"):
        transaction(work)


def bodies_of_call(number: int) -> list[bytes]:
    """Started when the local day began, so that every child, and whoever sends again, tells of the same call."""
    started = stats.day_limits(stats.local_day(utcnow(), "Europe/Berlin"), "Europe/Berlin")[0]
    times: dict[str, Any] = {"start_timestamp": ms(started)}
    ended = {"end_timestamp": ms(started + timedelta(milliseconds=156_200))}
    return [
        json.dumps(
            payload(name, call_id=f"call_killed_{number}", **times, **({} if name == "call_started" else ended))
        ).encode()
        for name in LIFE_OF_A_CALL
    ]


def send_retell(app: Flask, body: bytes) -> None:
    signature = sign_retell(body, "retell-salon", int(utcnow().timestamp() * 1000))
    client: Any = app.test_client()
    client.csrf = False
    answer = client.post("/webhooks/retell/salon", data=body, headers={"X-Retell-Signature": signature})
    assert answer.status_code == 200, answer.data


def send_stripe(app: Flask, address: str) -> None:
    """Once more, everything that Stripe has to tell about payments."""
    with urllib.request.urlopen(f"{address}/_sim/events?type=checkout.session.completed") as answer:
        events = json.load(answer)
    for event in events:
        assert deliver(app, json.dumps(event).encode()) == 200


# ---- What is left -----------------------------------------------------------------------------------------------


def topups_of(firm: Firm) -> list[BalanceTopup]:
    return list(db.session.scalars(select(BalanceTopup).where(BalanceTopup.company_id == firm.id)))


def assert_each_is_credited_once(firm: Firm, times: int) -> None:
    with afterwards(firm):
        rows = topups_of(firm)
        assert [(row.status, row.parked_reason) for row in rows] == [("completed", None)] * times
        assert Counter(references(firm)) == Counter(f"topup:{row.id}" for row in rows)
        assert balance_of(firm).current_balance == times * NET


def assert_each_is_invoiced_once(firm: Firm, times: int) -> None:
    with tenant_scope(firm.id):
        documents = db.session.scalars(select(Invoice).order_by(Invoice.id)).all()
        assert Counter(one.topup_id for one in documents) == Counter(row.id for row in topups_of(firm))
        numbers = sorted(int(one.number.rpartition("-")[2]) for one in documents)
        mails = db.session.execute(select(EmailOutbox.dedupe_key, EmailOutbox.status)).all()
    assert numbers == list(range(1, times + 1))
    assert db.session.scalars(select(InvoiceSequence.last_number)).all() == [times]
    assert Counter(mails) == Counter((f"invoice:{one.id}:0", "sent") for one in documents)


# ---- The tests --------------------------------------------------------------------------------------------------


def test_a_form_that_is_cut_off_anywhere_makes_one_page_when_it_is_sent_again(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    with stripe_on_a_port() as (sim, address):
        app.extensions["stripe"] = {"gateway": StripeGateway("sk_test_tests", address, SECRET)}
        lives = killed(app, fill_in_the_form, cast.salon.owner.id, stripe_api_base=address)
        assert lives >= 12
        pages = [open_page(cast.salon.id, number)[1] for number in range(lives)]
        assert sorted(one["id"] for one in sim.all("checkout.session")) == sorted(pages)
        assert len(sim.all("customer")) == 1
        for session_id in pages:
            sim.pay(session_id)
        send_stripe(app, address)
    assert_each_is_credited_once(cast.salon, lives)


def test_a_payment_that_is_cut_off_anywhere_is_credited_once(real_app: tuple[Flask, Cast]) -> None:
    """First by the worker alone, as if Stripe had given up; what it sends again changes nothing after that."""
    app, cast = real_app
    firm = cast.salon
    with stripe_on_a_port() as (_sim, address):
        app.extensions["stripe"] = {"gateway": StripeGateway("sk_test_tests", address, SECRET)}
        lives = 0
        for page_first in (False, True):
            lives += killed(app, hear_of_a_payment, firm.id, address, page_first, stripe_api_base=address)
        assert lives >= 30
        with all_tenants("the test looks at the inbox"):
            assert db.session.scalar(select(WebhookEvent.id).where(WebhookEvent.status == "received").limit(1))
        credit_by_the_worker()
        assert_each_is_credited_once(firm, lives)
        send_stripe(app, address)
        credit_by_the_worker()
    assert_each_is_credited_once(firm, lives)


def credit_by_the_worker() -> None:
    """Without the documents, which are made in a test of their own."""
    db.session.rollback()
    with clock_ahead(LATER):
        now = utcnow() + LATER
        worker.drain_inbox(now)
        ask_stripe(now)
    db.session.remove()


def test_a_worker_that_is_cut_off_anywhere_makes_one_invoice_and_one_mail(
    real_app: tuple[Flask, Cast], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app, cast = real_app
    monkeypatch.setattr(app, "instance_path", str(tmp_path))
    monkeypatch.setattr(invoice_documents, "render", lambda invoice, now: DRAWN)
    lives = killed(app, make_documents, cast.salon.id, str(tmp_path))
    assert lives >= 25
    assert_each_is_credited_once(cast.salon, lives)
    run_worker(LATER)
    assert_each_is_credited_once(cast.salon, lives)
    assert_each_is_invoiced_once(cast.salon, lives)
    # A mail that was sent but not noted as sent goes out again, under the same name.
    assert len(list((tmp_path / "mail").iterdir())) == lives


def test_a_call_that_is_cut_off_anywhere_is_charged_once(real_app: tuple[Flask, Cast]) -> None:
    """Retell sends again what was not answered, of one half before the worker runs and of the other half after it."""
    app, cast = real_app
    firm = cast.salon
    give(firm, "500.00")
    lives = killed(app, live_through_a_call)
    assert lives >= 30
    for half in (0, 1):
        for number in range(half, lives, 2):
            for body in bodies_of_call(number):
                send_retell(app, body)
        run_worker((1 + half) * LATER)
    with afterwards(firm):
        calls = db.session.scalars(select(Call)).all()
        assert len(calls) == lives
        assert {(call.status, call.duration_seconds, call.sentiment) for call in calls} == {
            ("completed", 157, "positive")
        }
        charges = db.session.execute(select(CallCharge.call_id, CallCharge.amount_charged)).all()
        assert Counter(charges) == Counter((call.id, PRICE) for call in calls)
        assert set(db.session.scalars(select(BalanceReservation.status))) <= {"charged"}
        assert Counter(references(firm)) == Counter(["credit:race", *(f"charge:{call.id}" for call in calls)])
        assert balance_of(firm).current_balance == Decimal("500.00") - len(calls) * PRICE
        assert sum(db.session.scalars(select(DailySpend.amount))) == len(calls) * PRICE
