"""What must not move money, at the door that Stripe uses: wrong figures, somebody else's page, more back than was paid.

Every event here is signed rightly. Nothing answers with an error, because sending it again would change nothing: the
top-up or the event is set aside, and says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import topups
from portal.jobs import invoices as invoice_jobs
from portal.models import BalanceTopup, BalanceTransaction, Invoice, OutboxJob, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import begin, current, fresh, is_right, ledger_of
from tests.fake_stripe import Simulator, sign
from tests.payments import SECRET, post_webhook

COMPLETED = "checkout.session.completed"
Change = Callable[[dict[str, Any]], Any]


def deliver(client: PortalClient, sim: Simulator) -> None:
    """Everything that Stripe has to tell, each of it answered with 200."""
    assert set(sim.deliver(lambda body, headers: post_webhook(client, body, headers))) <= {200}


def at_stripe(sim: Simulator, kind: str, id: str, change: Change) -> None:
    """Make Stripe itself say something else from now on."""
    with sim.acting():
        change(sim.store.get(kind, id))


def nothing_moved() -> None:
    with all_tenants("the test looks at everybody"):
        assert db.session.scalars(select(BalanceTransaction.reference)).all() == []
        assert db.session.scalars(select(Invoice.number)).all() == []
        assert db.session.scalars(select(OutboxJob.id).where(OutboxJob.kind == "invoice_topup")).all() == []


def paid(client: PortalClient, firm: Firm, sim: Simulator) -> BalanceTopup:
    topup = begin(firm)
    sim.pay(topup.stripe_session_id or "")
    deliver(client, sim)
    return fresh(firm, topup.id)


# ---- A payment that is not the one that was asked for -----------------------------------------------------------

WRONG: dict[str, Change] = {
    "amount": lambda session: session.update(amount_total=1190),
    "currency": lambda session: session.update(currency="usd"),
    "customer": lambda session: session.update(customer="cus_of_somebody_else"),
    "company": lambda session: session["metadata"].update(tenant_id="praxis"),
    "top-up": lambda session: session["metadata"].update(topup_id="999999"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_payment_that_differs_from_our_row_is_parked_and_nothing_moves(
    client: PortalClient, cast: Cast, sim: Simulator, what: str
) -> None:
    topup = begin(cast.salon)
    session_id = topup.stripe_session_id or ""
    sim.pay(session_id)
    at_stripe(sim, "checkout.session", session_id, WRONG[what])
    deliver(client, sim)
    row = fresh(cast.salon, topup.id)
    assert (row.status, topups.outcome(row)) == ("pending", topups.Outcome.PARKED)
    assert f"{what}: " in (row.parked_reason or "")
    nothing_moved()


def test_an_event_that_names_another_companys_top_up_credits_nobody_but_the_one_who_paid(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    """The page is the salon's; what the event says beside that counts for nothing."""
    mine, theirs = begin(cast.salon), begin(cast.praxis)
    sim.pay(mine.stripe_session_id or "")
    event = json.loads(json.dumps(sim.events(COMPLETED)[-1]))
    event["data"]["object"]["metadata"] = {"topup_id": str(theirs.id), "tenant_id": "praxis"}
    event["data"]["object"]["amount_total"] = 999_900
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}
    assert post_webhook(client, body, headers) == 200
    assert (current(cast.salon), current(cast.praxis)) == (Decimal("100.00"), Decimal("0.00"))
    assert fresh(cast.praxis, theirs.id).status == "pending"


def test_a_refund_of_a_payment_that_is_none_of_ours_is_set_aside(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    """The same Stripe account collects for something else as well."""
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    intent = sim.get(topup.stripe_session_id or "")["payment_intent"]
    elsewhere = {"topup_id": "999999", "tenant_id": "somewhere-else"}
    at_stripe(sim, "payment_intent", intent, lambda found: found.update(metadata=elsewhere))
    at_stripe(sim, "checkout.session", topup.stripe_session_id or "", lambda found: found.update(metadata=elsewhere))
    with tenant_scope(cast.salon.id):
        row = db.session.get_one(BalanceTopup, topup.id)
        assert row.stripe_payment_intent_id is None
    sim.refund(topup.stripe_session_id or "")
    (refunded,) = sim.events("charge.refunded")
    message = sim.webhook(refunded["id"])
    assert post_webhook(client, message.body, message.headers) == 200
    with all_tenants("the test looks at the inbox"):
        assert db.session.scalars(select(WebhookEvent.status)).all() == ["quarantined"]
    nothing_moved()


# ---- More goes back than was paid -------------------------------------------------------------------------------


def test_a_refund_above_what_is_left_takes_what_was_credited_and_is_parked(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = paid(client, cast.salon, sim)
    refund = sim.refund(topup.stripe_session_id or "", 5950)
    at_stripe(sim, "refund", refund["id"], lambda found: found.update(amount=15000))
    deliver(client, sim)
    row = fresh(cast.salon, topup.id)
    assert (row.status, row.refunded_amount, current(cast.salon)) == ("refunded", Decimal("119.00"), Decimal("0.00"))
    assert "more goes back than was paid" in (row.parked_reason or "")
    assert is_right(cast.salon)


@pytest.mark.parametrize("heard", ["at once", "in the end"])
def test_a_won_dispute_over_all_of_a_partly_refunded_payment_leaves_the_refund(
    client: PortalClient, cast: Cast, sim: Simulator, heard: str
) -> None:
    """59.50 were given back, and the bank took all of 119.00 on top; what it brings back is what it took, no more."""
    topup = paid(client, cast.salon, sim)
    sim.refund(topup.stripe_session_id or "", 5950)
    if heard == "at once":
        deliver(client, sim)
    dispute = sim.dispute(topup.stripe_session_id or "", 11900)
    if heard == "at once":
        deliver(client, sim)
        row = fresh(cast.salon, topup.id)
        assert (row.refunded_amount, current(cast.salon)) == (Decimal("119.00"), Decimal("0.00"))
        assert row.parked_reason
    sim.close_dispute(dispute["id"], "won")
    deliver(client, sim)
    row = fresh(cast.salon, topup.id)
    assert (row.status, row.refunded_amount, row.parked_reason) == ("completed", Decimal("59.50"), None)
    assert current(cast.salon) == Decimal("50.00")
    assert is_right(cast.salon)


def test_a_lost_dispute_over_more_than_was_left_stays_the_operators_to_see(
    client: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = paid(client, cast.salon, sim)
    sim.refund(topup.stripe_session_id or "", 5950)
    dispute = sim.dispute(topup.stripe_session_id or "", 11900)
    deliver(client, sim)
    assert fresh(cast.salon, topup.id).parked_reason == f"dispute {dispute['id']} is open"
    sim.close_dispute(dispute["id"], "lost")
    deliver(client, sim)
    row = fresh(cast.salon, topup.id)
    assert (row.status, current(cast.salon)) == ("refunded", Decimal("0.00"))
    assert (row.parked_reason or "").endswith("more goes back than was paid")


# ---- A second Storno --------------------------------------------------------------------------------------------


def test_a_refund_that_is_told_again_makes_no_second_storno(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = paid(client, cast.salon, sim)
    sim.refund(topup.stripe_session_id or "")
    for _ in range(3):
        for event in sim.events("charge.refunded"):
            again = {**event, "id": f"{event['id']}_{_}"}
            body = json.dumps(again).encode()
            headers = {"Stripe-Signature": sign(body, SECRET, int(utcnow().timestamp()))}
            assert post_webhook(client, body, headers) == 200
        with tenant_scope(cast.salon.id):
            invoice_jobs.document_topup({"topup_id": topup.id, "reason": "refund"})
    with tenant_scope(cast.salon.id):
        documents = db.session.execute(select(Invoice.kind, Invoice.gross_amount).order_by(Invoice.id)).all()
    assert documents == [("invoice", Decimal("119.00")), ("storno", Decimal("-119.00"))]
    assert [amount for _reference, amount in ledger_of(cast.salon)] == [Decimal("100.00"), Decimal("-100.00")]
