"""Money under many hands: real processes on the real database, all at the same moment.

Each test fails when the locks are taken away: the balance's FOR UPDATE on MariaDB, BEGIN IMMEDIATE on SQLite. A top-up
is held three times over, by that lock, by the UPDATE of its own row and by its reference in the ledger.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

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
    PortalUser,
    PrepaidBalance,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_topup, within
from tests.fake_stripe import Simulator, create_fake_stripe, sign
from tests.payments import SECRET, post_webhook
from tests.races.processes import at_once

PROCESSES, EACH = 16, 25
PRICE = Decimal("1.10")  # 157 s at 0.42


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


def deliver(app: Flask, body: bytes) -> int:
    headers = {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}
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


def make_calls(firm: Firm, count: int, **values: Any) -> list[int]:
    def work() -> list[int]:
        calls = [
            Call(company_id=firm.id, call_id=f"race_{number}", started_at=utcnow() - timedelta(minutes=5), **values)
            for number in range(count)
        ]
        db.session.add_all(calls)
        db.session.flush()
        return [call.id for call in calls]

    return within(firm, work)


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


def test_sixteen_processes_charge_one_balance_and_every_call_once(real_app: tuple[Flask, Cast]) -> None:
    """100 calls, each charged by four processes at the same time."""
    app, cast = real_app
    give(cast.salon, "500.00")
    calls = make_calls(cast.salon, 100, status="completed", duration_seconds=157, ended_at=utcnow())
    shares = [calls[place % 4 * EACH : (place % 4 + 1) * EACH] for place in range(PROCESSES)]
    done = at_once(url_of(app), [(charge_calls, (cast.salon.id, share)) for share in shares])
    assert sum(done) == PROCESSES * EACH
    with afterwards(cast.salon):
        assert count(cast.salon, CallCharge) == 100
        assert balance_of(cast.salon).current_balance == Decimal("500.00") - 100 * PRICE


def test_a_hundred_holds_on_fifty_euros_reserve_exactly_fifty(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    give(cast.salon, "50.00")
    now = utcnow()
    new = rates.NewRate(Decimal("0.20"), now)  # five minutes are 1.00
    within(cast.salon, lambda: rates.set_rate(new, now))
    calls = make_calls(cast.salon, 100, status="in_progress")

    def begin_now() -> None:
        for call in db.session.scalars(select(Call)):
            call.started_at = utcnow()

    within(cast.salon, begin_now)
    shares = [calls[start::PROCESSES] for start in range(PROCESSES)]
    held = at_once(url_of(app), [(hold_calls, (cast.salon.id, share)) for share in shares])
    amounts = Counter(amount for share in held for amount in share)
    assert amounts == {Decimal("1.00"): 50, Decimal("0.00"): 50}
    with afterwards(cast.salon):
        assert count(cast.salon, BalanceReservation) == 100
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


def test_one_event_twenty_times_and_the_return_page_make_one_credit(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    with stripe_on_a_port() as (sim, address):
        topup_id = paid_topup(app, cast.salon, sim, address)
        body = sim.webhook(sim.events("checkout.session.completed")[0]["id"]).body
        tasks: list[Any] = [(deliver, (body,))] * 20 + [(come_back, (cast.salon.owner.id, topup_id))] * 4
        assert set(at_once(url_of(app), tasks, stripe_api_base=address)) == {200}
    with afterwards(cast.salon):
        assert references(cast.salon) == [f"topup:{topup_id}"]
        assert balance_of(cast.salon).current_balance == Decimal("100.00")


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
