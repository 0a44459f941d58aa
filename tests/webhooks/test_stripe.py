"""Stripe's webhooks through the front door: signed, repeated, reordered, forged, too early, not ours."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import payments
from portal.db import db, utcnow
from portal.domain import topup_steps, topups
from portal.models import BalanceTopup, PipelineHeartbeat, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.domain.test_topups import begin, current, fresh, is_right, ledger_of
from tests.factories import within
from tests.fake_stripe import Simulator, Webhook, sign
from tests.payments import SECRET, post_webhook


def deliver(client: PortalClient, sim: Simulator, **how: Any) -> list[int]:
    return sim.deliver(lambda body, headers: post_webhook(client, body, headers), **how)


def signed(event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event).encode()
    return body, {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}


def statuses() -> dict[str, int]:
    with all_tenants("the test looks at the inbox"):
        found = db.session.execute(select(WebhookEvent.status, func.count()).group_by(WebhookEvent.status))
        return dict(found.all())  # type: ignore[arg-type]


def refusals() -> int:
    with all_tenants("the test looks at the heartbeat"):
        return sum(db.session.scalars(select(PipelineHeartbeat.refused_requests)))


def events_like(sim: Simulator, type: str, **changes: Any) -> dict[str, Any]:
    """The last event of this type with something about its object changed."""
    event = json.loads(json.dumps(sim.events(type)[-1]))
    event["id"] = f"evt_{random.randrange(10**9)}"
    event["data"]["object"].update(changes)
    return dict(event)


# ---- What a payment brings --------------------------------------------------------------------------------


def test_a_paid_session_is_credited(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    assert set(deliver(client, sim)) == {200}
    assert fresh(cast.salon, topup.id).status == "completed"
    assert ledger_of(cast.salon) == [(f"topup:{topup.id}", Decimal("100.00"))]
    assert current(cast.praxis) == 0


@pytest.mark.parametrize("order", ["fifo", "reverse", "shuffle"])
def test_a_whole_story_ends_the_same_in_every_order(
    client: PortalClient, cast: Cast, sim: Simulator, order: str
) -> None:
    """A debit: ordered, arrived, partly refunded, disputed, won. Every message three times."""
    topup = begin(cast.salon)
    session = topup.stripe_session_id or ""
    sim.pay(session, "sepa_debit")
    sim.settle(session)
    refund = sim.refund(session, 1190)
    sim.finish_refund(refund["id"], "succeeded")
    assert set(deliver(client, sim, order=order, times=3)) == {200}
    topup = fresh(cast.salon, topup.id)
    assert (topup.status, topup.refunded_amount, current(cast.salon)) == (
        "completed",
        Decimal("11.90"),
        Decimal("90.00"),
    )
    assert len(ledger_of(cast.salon)) == 2
    assert is_right(cast.salon)


@pytest.mark.parametrize("seed", range(6))
def test_messages_that_arrive_between_the_deeds_end_the_same(
    client: PortalClient, cast: Cast, sim: Simulator, seed: int
) -> None:
    """Deeds and deliveries interleaved at random; some messages come much later, all of them come twice."""
    dice = random.Random(seed)
    topup = begin(cast.salon)
    session = topup.stripe_session_id or ""
    deeds = [
        lambda: sim.decline(session),
        lambda: sim.pay(session),
        lambda: sim.refund(session, 2380),
        lambda: sim.dispute(session, 1190),
        lambda: sim.close_dispute(sim.all("dispute")[0]["id"], "won"),
    ]
    kept: list[Webhook] = []
    for deed in deeds:
        deed()
        fresh_ones = [one for one in sim.webhooks() if one.event["id"] not in {k.event["id"] for k in kept}]
        for message in dice.sample(fresh_ones, len(fresh_ones)):
            kept.append(message)
            if dice.random() < 0.5:
                assert post_webhook(client, message.body, message.headers) == 200
    for message in dice.sample(kept * 2, len(kept) * 2):
        assert post_webhook(client, message.body, message.headers) == 200
    topup = fresh(cast.salon, topup.id)
    assert (topup.status, topup.refunded_amount, topup.parked_reason) == ("completed", Decimal("23.80"), None)
    assert current(cast.salon) == Decimal("80.00")
    assert is_right(cast.salon)


def test_a_refund_that_is_heard_of_first_credits_and_takes_back(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.refund(topup.stripe_session_id or "")
    (refunded,) = sim.events("charge.refunded")
    message = sim.webhook(refunded["id"])
    assert post_webhook(client, message.body, message.headers) == 200
    assert fresh(cast.salon, topup.id).status == "refunded"
    assert [reference.partition(":")[0] for reference, _ in ledger_of(cast.salon)] == ["topup", "refund"]
    assert current(cast.salon) == 0


def test_an_expired_session_fails_the_topup(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.expire(topup.stripe_session_id or "")
    deliver(client, sim)
    assert fresh(cast.salon, topup.id).failure_code == topups.EXPIRED


def test_a_message_that_lies_is_not_believed(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    """Rightly signed, but Stripe itself says otherwise when it is asked: nothing is credited."""
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim_event = events_like(sim, "checkout.session.completed")
    other = begin(cast.salon, key="other")
    sim_event["data"]["object"].update(id=other.stripe_session_id, metadata={})
    assert post_webhook(client, *signed(sim_event)) == 200
    assert fresh(cast.salon, other.id).status == "pending"
    assert current(cast.salon) == 0


# ---- The door ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [None, "", "t=1,v1=00", "v1=abc", "t=0,v1=" + "0" * 64, "nonsense"], ids=lambda value: str(value)[:12]
)
def test_a_wrong_signature_is_refused_and_only_counted(
    client: PortalClient, cast: Cast, sim: Simulator, header: str | None
) -> None:
    headers = {} if header is None else {"Stripe-Signature": header}
    before = refusals()
    assert post_webhook(client, b'{"id": "evt_1"}', headers) == 400
    assert (refusals(), statuses()) == (before + 1, {})


def test_an_old_signature_is_refused(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    old = sim.webhook(sim.events("checkout.session.completed")[0]["id"], now=utcnow().timestamp() - 301)
    assert post_webhook(client, old.body, old.headers) == 400
    assert current(cast.salon) == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"id": "evt_1"}', b'"text"', b"null"])
def test_what_is_signed_but_no_event_is_refused(client: PortalClient, cast: Cast, sim: Simulator, body: bytes) -> None:
    headers = {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}
    assert post_webhook(client, body, headers) == 400
    assert statuses() == {}


def test_a_body_that_is_too_large_is_refused(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    before = refusals()
    assert post_webhook(client, b"x" * (600 * 1024), {"Stripe-Signature": "t=1,v1=1"}) == 413
    assert (refusals(), statuses()) == (before + 1, {})


def test_without_a_stripe_key_nothing_is_accepted(app: Flask, client: PortalClient, cast: Cast) -> None:
    from dataclasses import replace

    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, stripe_secret_key="", stripe_webhook_secret="")
    try:
        assert post_webhook(client, *signed({"id": "evt_1"})) == 400
    finally:
        app.extensions["settings"] = before


# ---- What is not ours, or not yet -------------------------------------------------------------------------


def test_an_event_before_its_row_waits_and_is_handled_once_the_row_is_there(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")

    def swap(number: int, session: str | None) -> None:
        row = db.session.get_one(BalanceTopup, topup.id)
        row.form_key, row.stripe_session_id = str(number), session

    future = topup.id + 1000
    within(cast.salon, lambda: swap(1, None))
    event = events_like(sim, "checkout.session.completed", metadata={"topup_id": str(future), "tenant_id": "salon"})
    assert post_webhook(client, *signed(event)) == 200
    assert statuses() == {"parked": 1}
    row = fresh(cast.salon, topup.id)
    with sim.acting():
        sim.store.get("checkout.session", event["data"]["object"]["id"])["metadata"]["topup_id"] = str(future)

    def arrive() -> None:
        db.session.add(
            BalanceTopup(
                id=future,
                company_id=cast.salon.id,
                prepaid_balance_id=row.prepaid_balance_id,
                amount=row.amount,
                tax_rate=row.tax_rate,
                tax_amount=row.tax_amount,
                gross_amount=row.gross_amount,
                stripe_customer_id=row.stripe_customer_id,
            )
        )

    within(cast.salon, arrive)
    with all_tenants("the test plays the worker"):
        (parked,) = db.session.scalars(select(WebhookEvent.id).where(WebhookEvent.status == "parked"))
    assert inbox.process(parked) == "done"
    assert current(cast.salon) == Decimal("100.00")


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({}, "ignored"),
        ({"topup_id": "abc", "tenant_id": "salon"}, "ignored"),
        ({"topup_id": "999999", "tenant_id": "somewhere-else"}, "quarantined"),
        ({"topup_id": "999999", "tenant_id": "salon"}, "parked"),
    ],
)
def test_sessions_of_nobody_here_are_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator, metadata: dict[str, str], status: str
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    event = events_like(sim, "checkout.session.completed", id="cs_test_foreign", metadata=metadata)
    assert post_webhook(client, *signed(event)) == 200
    assert statuses() == {status: 1}
    assert current(cast.salon) == 0


def test_a_session_that_names_another_companys_row_is_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    metadata = {"topup_id": str(topup.id), "tenant_id": "praxis"}
    event = events_like(sim, "checkout.session.completed", id="cs_test_foreign", metadata=metadata)
    assert post_webhook(client, *signed(event)) == 200
    assert statuses() == {"quarantined": 1}
    assert current(cast.salon) == current(cast.praxis) == 0


def test_events_that_mean_nothing_here_are_ignored(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    begin(cast.salon)
    assert set(deliver(client, sim)) == {200}
    event = {**sim.events()[0], "id": "evt_setup", "type": "checkout.session.completed"}
    event["data"] = {"object": {"object": "checkout.session", "id": "cs_1", "mode": "setup", "metadata": {}}}
    assert post_webhook(client, *signed(event)) == 200
    live = {**event, "id": "evt_live", "livemode": True}
    assert post_webhook(client, *signed(live)) == 200
    assert set(statuses()) == {"ignored"}


def test_while_stripe_is_away_the_event_is_kept_and_tried_again(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    event = sim.webhook(sim.events("checkout.session.completed")[0]["id"])
    sim.fail_next(503, path="checkout/sessions")
    assert post_webhook(client, event.body, event.headers) == 500
    assert statuses() == {"failed": 1}
    with all_tenants("the test plays the worker"):
        (failed,) = db.session.scalars(select(WebhookEvent.id))
    assert inbox.process(failed) == "done"
    assert current(cast.salon) == Decimal("100.00")


def test_a_refund_before_the_payment_page_is_known_waits(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.refund(topup.stripe_session_id or "", 1190)
    within(cast.salon, lambda: topup_steps.put(topup.id, stripe_session_id=None))
    (refunded,) = sim.events("charge.refunded")
    message = sim.webhook(refunded["id"])
    assert post_webhook(client, message.body, message.headers) == 200
    assert statuses() == {"parked": 1}
    deliver(client, sim)
    with all_tenants("the test plays the worker"):
        parked = list(db.session.scalars(select(WebhookEvent.id).where(WebhookEvent.status == "parked")))
    for event_id in parked:
        assert inbox.process(event_id) == "done"
    assert current(cast.salon) == Decimal("90.00")


def test_the_return_page_and_the_webhook_use_the_same_function(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    with tenant_scope(cast.salon.id):
        payments.refresh(topup.id)
    deliver(client, sim, times=2)
    assert len(ledger_of(cast.salon)) == 1
