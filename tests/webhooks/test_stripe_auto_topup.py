"""Stripe's webhooks about automatic top-ups and saved cards: repeated, reordered, too early, of somebody else."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.db import db, utcnow
from portal.domain import auto_topup_consent, topup_steps, topups
from portal.domain.auto_topup_consent import Saved
from portal.jobs import auto_topup as job
from portal.jobs import topups as topup_jobs
from portal.models import BalanceTopup, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox
from tests.auto_topups import (
    automatic,
    balance_of,
    behave,
    finish_setup,
    intents,
    look,
    messages,
    open_setup,
    save,
    set_to,
    switch_on,
)
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.domain.test_topups import begin, current, is_right, ledger_of
from tests.factories import within
from tests.fake_stripe import Simulator, Webhook
from tests.payments import post_webhook
from tests.webhooks.test_stripe import deliver, events_like, signed, statuses

# ---- Payments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["fifo", "reverse", "shuffle"])
def test_a_whole_story_ends_the_same_in_every_order(
    client: PortalClient, cast: Cast, sim: Simulator, order: str
) -> None:
    """A debit: charged, arrived, partly refunded, the refund failed, disputed. Every message three times."""
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    intent = topup.stripe_payment_intent_id or ""
    sim.settle(intent)
    refund = sim.refund(intent, 1190)
    sim.finish_refund(refund["id"], "failed")
    assert set(deliver(client, sim, order=order, times=3)) == {200}
    assert (automatic(cast.salon)[0].status, current(cast.salon)) == ("completed", Decimal("55.00"))
    sim.dispute(intent)
    assert set(deliver(client, sim, order=order, times=3)) == {200}
    assert (automatic(cast.salon)[0].status, current(cast.salon)) == ("refunded", Decimal("5.00"))
    assert not balance_of(cast.salon).auto_topup_enabled
    assert is_right(cast.salon)


@pytest.mark.parametrize("seed", range(6))
def test_messages_between_the_deeds_end_the_same(client: PortalClient, cast: Cast, sim: Simulator, seed: int) -> None:
    """Deeds, our own answers and deliveries interleaved at random; some messages come much later, all of them twice."""
    dice = random.Random(seed)
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    deeds: list[Any] = [
        lambda: None,
        lambda: sim.settle(intents(sim)[0]["id"]),
        lambda: sim.refund(intents(sim)[0]["id"], 595),
        lambda: topup_jobs.ask_stripe(utcnow() + timedelta(minutes=5)),
    ]
    kept: list[Webhook] = []
    for deed in deeds:
        deed()
        new = [one for one in sim.webhooks() if one.event["id"] not in {k.event["id"] for k in kept}]
        for message in dice.sample(new, len(new)):
            kept.append(message)
            if dice.random() < 0.5:
                assert post_webhook(client, message.body, message.headers) == 200
    for message in dice.sample(kept * 2, len(kept) * 2):
        assert post_webhook(client, message.body, message.headers) == 200
    (topup,) = automatic(cast.salon)
    assert (topup.status, topup.refunded_amount, topup.parked_reason) == ("completed", Decimal("5.95"), None)
    assert (len(intents(sim)), current(cast.salon)) == (1, Decimal("50.00"))
    assert is_right(cast.salon)


def test_the_webhook_may_come_before_our_own_answer_is_kept(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    assert automatic(cast.salon)[0].stripe_payment_intent_id is None
    deliver(client, sim)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topup.stripe_payment_intent_id) == ("completed", intents(sim)[0]["id"])
    assert messages(cast.salon) == ["auto_topup.paid"]


def test_a_decline_that_is_told_twice_pauses_once(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, behaviour="do_not_honor")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    deliver(client, sim, times=3)
    assert balance_of(cast.salon).auto_topup_declines == 1
    assert messages(cast.salon) == ["auto_topup.declined"]


def test_a_decline_told_late_does_not_undo_what_came_after(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim, behaviour="do_not_honor")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    behave(sim, card, "ok")
    within(cast.salon, lambda: _unpause(cast))
    look(cast.salon)
    deliver(client, sim, order="reverse")
    assert [row.status for row in automatic(cast.salon)] == ["failed", "completed"]
    balance = balance_of(cast.salon)
    assert (balance.auto_topup_declines, balance.auto_topup_enabled) == (0, True)


def _unpause(cast: Cast) -> None:
    from portal.domain import ledger

    ledger.lock().auto_topup_paused_until = None


def test_a_cancelled_payment_is_a_decline(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    with sim.acting():
        intent = sim.store.get("payment_intent", intents(sim)[0]["id"])
        intent["status"] = "canceled"
        sim.payments.emit("payment_intent.canceled", intent)
    deliver(client, sim)
    assert (automatic(cast.salon)[0].status, balance_of(cast.salon).auto_topup_declines) == ("failed", 1)


def test_the_payment_of_a_page_is_told_by_its_page(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    message = sim.webhook(sim.events("payment_intent.succeeded")[0]["id"])
    assert post_webhook(client, message.body, message.headers) == 200
    assert (statuses(), current(cast.salon)) == ({"ignored": 1}, Decimal(0))


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({}, "ignored"),
        ({"topup_id": "999999", "tenant_id": "somewhere-else"}, "quarantined"),
        ({"topup_id": "999999", "tenant_id": "salon"}, "parked"),
    ],
)
def test_payments_of_nobody_here_are_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator, metadata: dict[str, str], status: str
) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    look(cast.salon)
    topup = automatic(cast.salon)[0]
    within(cast.salon, lambda: topup_steps.put(topup.id, stripe_payment_intent_id="pi_known"))
    with sim.acting():
        sim.store.get("payment_intent", intents(sim)[0]["id"])["metadata"] = metadata
    assert post_webhook(client, *signed(events_like(sim, "payment_intent.succeeded", metadata=metadata))) == 200
    assert statuses() == {status: 1}
    assert len(ledger_of(cast.salon)) == 2


def test_a_payment_that_names_another_companys_row_is_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    with sim.acting():
        sim.store.get("payment_intent", intents(sim)[0]["id"])["metadata"]["tenant_id"] = "praxis"
    assert post_webhook(client, *signed(events_like(sim, "payment_intent.succeeded"))) == 200
    assert statuses() == {"quarantined": 1}
    assert (current(cast.salon), current(cast.praxis)) == (Decimal("5.00"), Decimal(0))


def test_a_refund_heard_of_first_credits_and_takes_back(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    sim.refund(intents(sim)[0]["id"])
    message = sim.webhook(sim.events("charge.refunded")[0]["id"])
    assert post_webhook(client, message.body, message.headers) == 200
    assert (automatic(cast.salon)[0].status, current(cast.salon)) == ("refunded", Decimal("5.00"))


def test_a_late_refund_of_a_payment_in_another_installations_row_waits_or_goes(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    """While Stripe is away the event is kept, and the worker tries again."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    look(cast.salon)
    sim.fail_next(503, path="payment_intents")
    message = sim.webhook(sim.events("payment_intent.succeeded")[0]["id"])
    assert post_webhook(client, message.body, message.headers) == 500
    with all_tenants("the test plays the worker"):
        (failed,) = db.session.scalars(select(WebhookEvent.id))
    assert inbox.process(failed) == "done"
    assert current(cast.salon) == Decimal("55.00")


# ---- Cards ------------------------------------------------------------------------------------------------


def test_the_webhook_saves_the_card_of_somebody_who_never_comes_back(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    sim.pay(session_id)
    deliver(client, sim, times=2)
    balance = balance_of(cast.salon)
    assert (balance.auto_topup_enabled, balance.payment_method_label) == (True, "Visa ···· 4242")
    assert finish_setup(cast.salon, session_id) is Saved.SAVED
    assert balance_of(cast.praxis).stripe_payment_method_id is None


def test_a_saved_card_told_again_after_it_was_forgotten_stays_forgotten(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    switch_on(cast.salon, sim)
    within(cast.salon, auto_topup_consent.forget_card)
    deliver(client, sim, times=2)
    assert balance_of(cast.salon).stripe_payment_method_id is None


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({}, "ignored"),
        ({"reference": "consent:1", "tenant_id": "elsewhere"}, "quarantined"),
        ({"reference": "consent:999999", "tenant_id": "salon"}, "quarantined"),
        ({"reference": "consent:x", "tenant_id": "salon"}, "quarantined"),
    ],
)
def test_cards_of_nobody_here_are_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator, metadata: dict[str, str], status: str
) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    sim.pay(session_id)
    with sim.acting():
        sim.store.get("checkout.session", session_id)["metadata"] = metadata
    event = events_like(sim, "checkout.session.completed", metadata=metadata)
    assert post_webhook(client, *signed(event)) == 200
    assert statuses() == {status: 1}
    assert balance_of(cast.salon).stripe_payment_method_id is None


def test_another_companys_consent_is_not_believed(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    save(cast.praxis)
    session_id = open_setup(cast.salon)
    open_setup(cast.praxis)
    sim.pay(session_id)
    lie = {**sim.get(session_id)["metadata"], "tenant_id": "praxis"}
    with sim.acting():
        sim.store.get("checkout.session", session_id)["metadata"] = lie
    assert post_webhook(client, *signed(events_like(sim, "checkout.session.completed", metadata=lie))) == 200
    assert statuses() == {"quarantined": 1}
    assert balance_of(cast.praxis).stripe_payment_method_id is None


def test_a_card_that_goes_away_at_stripe_switches_off_with_a_message(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    card = switch_on(cast.salon, sim)
    with sim.acting() as theirs:
        theirs.detach(sim.store.get("payment_method", card))
    deliver(client, sim, times=2)
    balance = balance_of(cast.salon)
    assert (balance.auto_topup_enabled, balance.stripe_payment_method_id) == (False, None)
    assert messages(cast.salon) == ["auto_topup.card_gone"]


def test_a_card_that_we_forgot_ourselves_is_no_news(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    old = switch_on(cast.salon, sim)
    switch_on(cast.salon, sim)
    with tenant_scope(cast.salon.id):
        job.detach({"payment_method_id": old})
        job.detach({"payment_method_id": old})
    deliver(client, sim)
    assert balance_of(cast.salon).auto_topup_enabled
    assert messages(cast.salon) == []


def test_an_old_row_can_be_asked_for_by_its_payment(cast: Cast, sim: Simulator) -> None:
    """A debit whose webhook was lost: the worker asks an hour later."""
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    sim.settle(intents(sim)[0]["id"])
    row = BalanceTopup
    old = utcnow() - timedelta(hours=2)
    within(
        cast.salon,
        lambda: db.session.execute(update(row).where(row.company_id == cast.salon.id).values(updated_at=old)),
    )
    topup_jobs.ask_stripe(utcnow())
    assert topups.outcome(automatic(cast.salon)[0]) is topups.Outcome.PAID
