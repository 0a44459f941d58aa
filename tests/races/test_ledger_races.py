"""Money under many hands: real processes on the real database, all at the same moment.

Each test fails when the locks are taken away: the balance's FOR UPDATE on MariaDB, BEGIN IMMEDIATE on SQLite. A top-up
is held three times over, by that lock, by the UPDATE of its own row and by its reference in the ledger.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.serving import make_server

from portal import payments
from portal.clients.stripe import CheckoutState, StripeGateway
from portal.db import db, transaction, utcnow
from portal.domain import ledger, rates, topups, vat, verify
from portal.domain.topups import Facts
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    Call,
    CallCharge,
    EmailOutbox,
    Invoice,
    PortalUser,
    PrepaidBalance,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.factories import make_topup, within
from tests.fake_stripe import Simulator, create_fake_stripe, sign
from tests.payments import SECRET, post_webhook
from tests.races.processes import at_once
from tests.races.work import run_worker

PROCESSES, EACH = 32, 50
REPEATED = PROCESSES * EACH // 10  # calls that a second process charges as well
DELIVERIES, PAGES = 50, 4


# ---- What a process does ----------------------------------------------------------------------------------


def charge_calls(app: Flask, company_id: int, call_ids: list[int]) -> int:
    for call_id in call_ids:
        with tenant_scope(company_id):
            transaction(lambda i=call_id: ledger.charge(db.session.get_one(Call, i), utcnow()))
    return len(call_ids)


def hold_calls(app: Flask, company_id: int, call_ids: list[int]) -> list[Decimal]:
    held = []
    for call_id in call_ids:
        with tenant_scope(company_id):
            made = transaction(lambda i=call_id: ledger.hold(db.session.get_one(Call, i), utcnow()))
            held.append(made.amount)
    return held


def deliver(app: Flask, body: bytes, later: timedelta = timedelta(0)) -> int:
    """Stripe signs each delivery anew; its library looks at the real clock, the portal at its own."""
    headers = {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}
    with clock_ahead(later):
        return post_webhook(app.test_client(), body, headers)  # type: ignore[arg-type]


def come_back(app: Flask, user_id: int, topup_id: int) -> int:
    """The owner's browser, sent back from Stripe."""
    with all_tenants("the test signs the owner in"):
        owner = db.session.get_one(PortalUser, user_id)
    client: Any = app.test_client()
    return int(client.sign_in(owner).get(f"/balance/topups/{topup_id}").status_code)


def send_form(app: Flask, user_id: int, form_key: str) -> str:
    with all_tenants("the test signs the owner in"):
        owner = db.session.get_one(PortalUser, user_id)
    client: Any = app.test_client()
    return str(client.sign_in(owner).post("/balance/topups", data={"amount": "100", "form_key": form_key}).location)


# ---- Charges and holds ------------------------------------------------------------------------------------


def make_calls(firm: Firm, lengths: Sequence[int | None]) -> list[int]:
    """Their ids. ``lengths`` in seconds; None for a call that runs."""

    def work() -> list[int]:
        calls = [_call(firm, number, seconds) for number, seconds in enumerate(lengths)]
        db.session.add_all(calls)
        db.session.flush()
        return [call.id for call in calls]

    return within(firm, work)


def _call(firm: Firm, number: int, seconds: int | None) -> Call:
    call = Call(company_id=firm.id, call_id=f"race_{number}", started_at=utcnow(), status="in_progress")
    if seconds is not None:
        call.status, call.duration_seconds = "completed", seconds
        call.started_at = utcnow() - timedelta(seconds=seconds)
        call.ended_at = utcnow()
    return call


def price(seconds: int) -> Decimal:
    """By the second at 0.42 a minute, reckoned here once more."""
    return (seconds * Decimal("0.42") / 60).quantize(Decimal("0.01"), ROUND_HALF_UP)


def give(firm: Firm, euros: str) -> None:
    within(firm, lambda: ledger.adjust(Decimal(euros), "Start", "race", utcnow()))


def balance_of(firm: Firm) -> PrepaidBalance:
    return db.session.scalars(select(PrepaidBalance).where(PrepaidBalance.company_id == firm.id)).one()


def count(firm: Firm, model: Any) -> int:
    return db.session.scalars(select(func.count(model.id)).where(model.company_id == firm.id)).one()


def references(firm: Firm) -> list[str]:
    row = BalanceTransaction
    return list(db.session.scalars(select(row.reference).where(row.company_id == firm.id)))


@contextmanager
def afterwards(firm: Firm) -> Iterator[None]:
    """Read what the others have committed, and find every sum right."""
    db.session.rollback()
    with tenant_scope(firm.id):
        yield
        assert [str(one) for one in verify.company()] == []


def url_of(app: Flask) -> str:
    return str(app.config["SQLALCHEMY_DATABASE_URI"])


def test_thirty_two_processes_charge_one_balance_and_every_call_once(real_app: tuple[Flask, Cast]) -> None:
    """50 charges each, of calls of any length; every tenth is of a call that is charged somewhere else as well."""
    app, cast = real_app
    dice = random.Random(17)
    lengths = [dice.randint(1, 900) for _ in range(PROCESSES * EACH - REPEATED)]
    give(cast.salon, "5000.00")
    calls = make_calls(cast.salon, lengths)
    work = calls + dice.sample(calls, REPEATED)
    dice.shuffle(work)
    shares = [work[place::PROCESSES] for place in range(PROCESSES)]
    done = at_once(url_of(app), [(charge_calls, (cast.salon.id, share)) for share in shares])
    assert done == [EACH] * PROCESSES
    prices = {call_id: price(seconds) for call_id, seconds in zip(calls, lengths, strict=True)}
    with afterwards(cast.salon):
        charged = db.session.execute(select(CallCharge.call_id, CallCharge.amount_charged)).all()
        assert Counter(charged) == Counter(prices.items())
        assert Counter(references(cast.salon)) == Counter(["credit:race", *(f"charge:{call_id}" for call_id in calls)])
        left = Decimal("5000.00") - sum(prices.values())
        assert db.session.scalar(select(func.sum(BalanceTransaction.amount))) == left
        assert balance_of(cast.salon).current_balance == left


def test_of_two_hundred_holds_on_a_hundred_euros_a_hundred_succeed(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    give(cast.salon, "100.00")
    now = utcnow()
    new = rates.NewRate(Decimal("0.20"), now)  # five minutes are 1.00
    within(cast.salon, lambda: rates.set_rate(new, now))
    calls = make_calls(cast.salon, [None] * 200)
    shares = [calls[start::PROCESSES] for start in range(PROCESSES)]
    held = at_once(url_of(app), [(hold_calls, (cast.salon.id, share)) for share in shares])
    amounts = Counter(amount for share in held for amount in share)
    assert amounts == {Decimal("1.00"): 100, Decimal("0.00"): 100}
    with afterwards(cast.salon):
        assert count(cast.salon, BalanceReservation) == 200
        assert balance_of(cast.salon).available_balance == 0


# ---- Top-ups ----------------------------------------------------------------------------------------------


@contextmanager
def stripe_on_a_port() -> Iterator[tuple[Simulator, str]]:
    """The simulator for several processes: on the loopback address instead of in process."""
    sim = create_fake_stripe(secret=SECRET)
    server = make_server("127.0.0.1", 0, sim.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sim, f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


def paid_topup(app: Flask, firm: Firm, sim: Simulator, address: str) -> int:
    app.extensions["stripe"] = {"gateway": StripeGateway("sk_test_tests", address, SECRET)}
    split = vat.split(Decimal(100), vat.TaxKind.STANDARD)
    topup_id = within(firm, lambda: topups.start(split, "form", firm.owner.id, "Katharina").id)
    with tenant_scope(firm.id):
        payments.open_page(topup_id, "de")
        session_id = db.session.scalars(select(BalanceTopup.stripe_session_id)).one()
    sim.pay(session_id or "")
    return topup_id


def test_one_event_fifty_times_and_once_more_a_day_later_is_one_credit_one_invoice_and_one_mail(
    real_app: tuple[Flask, Cast], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app, cast = real_app
    monkeypatch.setattr(app, "instance_path", str(tmp_path))
    with stripe_on_a_port() as (sim, address):
        topup_id = paid_topup(app, cast.salon, sim, address)
        body = sim.webhook(sim.events("checkout.session.completed")[0]["id"]).body
        tasks: list[Any] = [(deliver, (body,))] * DELIVERIES + [(come_back, (cast.salon.owner.id, topup_id))] * PAGES
        assert set(at_once(url_of(app), tasks, stripe_api_base=address)) == {200}
        run_worker(timedelta(0))
        tasks = [(deliver, (body, timedelta(days=1)))] * PAGES + [(deliver, (copy_of(body), timedelta(days=1)))] * PAGES
        assert set(at_once(url_of(app), tasks, stripe_api_base=address)) == {200}
        run_worker(timedelta(days=1))
    with afterwards(cast.salon):
        assert references(cast.salon) == [f"topup:{topup_id}"]
        assert balance_of(cast.salon).current_balance == Decimal("100.00")
        (invoice,) = db.session.scalars(select(Invoice)).all()
        assert (invoice.topup_id, invoice.number) == (topup_id, f"RE-{invoice.issued_on.year}-0001")
        mails = db.session.execute(select(EmailOutbox.recipient, EmailOutbox.status)).all()
    assert mails == [(cast.salon.owner.email, "sent")]
    assert len(list((tmp_path / "mail").iterdir())) == 1


def copy_of(body: bytes) -> bytes:
    """The same news under another id: no unique key of an event helps here."""
    event = json.loads(body)
    return json.dumps({**event, "id": f"{event['id']}_again"}).encode()


def apply_all(app: Flask, company_id: int, paid: list[tuple[int, Facts]]) -> list[str]:
    states = []
    for topup_id, facts in paid:
        with tenant_scope(company_id):
            states.append(transaction(lambda i=topup_id, f=facts: topups.apply(i, f, utcnow()).status))
    return states


def paid_page(topup: BalanceTopup, tenant_id: str) -> Facts:
    """What Stripe says about a page that has been paid."""
    now = utcnow()
    checkout = CheckoutState(
        session_id=topup.stripe_session_id or "",
        mode="payment",
        status="complete",
        payment_status="paid",
        amount_total=topup.gross_amount,
        currency="eur",
        customer_id=topup.stripe_customer_id,
        client_reference_id=str(topup.id),
        metadata={"topup_id": str(topup.id), "tenant_id": tenant_id},
        url=None,
        created=now,
        expires_at=now,
        livemode=False,
        payment_intent_id=f"pi_race_{topup.id}",
        payment_intent_status="succeeded",
    )
    return Facts(checkout, now)


def test_twelve_handlers_of_each_of_twenty_payments_make_one_credit_each(real_app: tuple[Flask, Cast]) -> None:
    """Here no unique event id helps: every process comes as far as the top-up itself. Three at a time have the same
    order, so that both the same top-up and different ones are credited at the same moment."""
    app, cast = real_app
    rows = [
        make_topup(cast.salon, "10.00", stripe_session_id=f"cs_race_{number}", stripe_customer_id="cus_race")
        for number in range(20)
    ]
    paid = [(row.id, paid_page(row, "salon")) for row in rows]
    orders = [paid[place % 4 * 5 :] + paid[: place % 4 * 5] for place in range(12)]
    states = at_once(url_of(app), [(apply_all, (cast.salon.id, order)) for order in orders])
    assert {state for each in states for state in each} == {"completed"}
    with afterwards(cast.salon):
        assert sorted(references(cast.salon)) == sorted(f"topup:{row.id}" for row in rows)
        assert balance_of(cast.salon).current_balance == Decimal("200.00")


def test_one_form_sent_ten_times_at_once_is_one_topup(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    with stripe_on_a_port() as (sim, address):
        tasks = [(send_form, (cast.salon.owner.id, "double-click"))] * 10
        targets = set(at_once(url_of(app), tasks, stripe_api_base=address))
        assert len(sim.all("checkout.session")) == 1
    assert len(targets) == 1
    assert targets.pop().startswith(f"{address}/c/pay/cs_test_")
    with afterwards(cast.salon):
        assert count(cast.salon, BalanceTopup) == 1
