"""Every order of a payment's events, with the way back to the page at every place among them, ends the same.

A debit: ordered, arrived, partly given back, and then called back by the bank. Each event is delivered as soon as it
can be in this order, and what Stripe says when it is asked is what is true at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import verify
from portal.jobs import worker
from portal.models import BalanceTopup, BalanceTransaction, Invoice, OutboxJob, PrepaidBalance, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import begin
from tests.fake_stripe import Simulator
from tests.payments import post_webhook

COMPLETED, SUCCEEDED, REFUNDED, DISPUTED = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "charge.refunded",
    "charge.dispute.created",
)
EVENTS = (COMPLETED, SUCCEEDED, REFUNDED, DISPUTED)
PLACES = range(len(EVENTS) + 1)
GIVEN_BACK, CALLED_BACK = Decimal("11.90"), Decimal("59.50")  # gross, of 119.00
ORDERS = list(permutations(EVENTS))


class Story:
    """What happens at Stripe, one deed after the other, each as late as the events told of allow."""

    def __init__(self, sim: Simulator, session_id: str) -> None:
        self.sim, self.happened = sim, 0
        self.deeds: list[Callable[[], Any]] = [
            lambda: sim.pay(session_id, "sepa_debit"),
            lambda: sim.settle(session_id),
            lambda: sim.refund(session_id, int(GIVEN_BACK * 100)),
            lambda: sim.dispute(session_id, int(CALLED_BACK * 100)),
        ]

    def message(self, event: str) -> tuple[bytes, dict[str, str]]:
        while self.happened <= EVENTS.index(event):
            self.deeds[self.happened]()
            self.happened += 1
        told = self.sim.webhook(self.sim.events(event)[-1]["id"])
        return told.body, told.headers


def end_of(firm: Firm, topup_id: int) -> dict[str, Any]:
    """Everything that is left of a payment; ids of Stripe's are drawn anew each time, their kinds are not."""
    with tenant_scope(firm.id):
        topup = db.session.get_one(BalanceTopup, topup_id, populate_existing=True)
        balance = db.session.scalars(select(PrepaidBalance).execution_options(populate_existing=True)).one()
        rows = db.session.execute(select(BalanceTransaction.reference, BalanceTransaction.amount)).all()
        invoices = db.session.execute(select(Invoice.kind, Invoice.net_amount, Invoice.gross_amount)).all()
        assert [str(one) for one in verify.company()] == []
    return {
        "topup": (topup.status, topup.refunded_amount, topup.failure_code, topup.parked_reason),
        "balance": (balance.current_balance, balance.total_topped_up, balance.reserved_balance),
        "ledger": {(reference.rpartition(":")[0] or reference, amount) for reference, amount in rows},
        "movements": len(rows),
        "invoices": sorted(tuple(one) for one in invoices),
    }


EXPECTED = {
    "topup": ("completed", GIVEN_BACK + CALLED_BACK, None, None),
    "balance": (Decimal("40.00"), Decimal("40.00"), Decimal("0.00")),
    "ledger": {("topup", Decimal("100.00")), ("refund", Decimal("-10.00")), ("chargeback", Decimal("-50.00"))},
    "movements": 3,
    "invoices": [
        ("correction", Decimal("-60.00"), Decimal("-71.40")),
        ("invoice", Decimal("100.00"), Decimal("119.00")),
    ],
}


def write_documents() -> None:
    """The worker's step that follows the money; the files are not needed here."""
    with all_tenants("the test plays the worker"):
        jobs = db.session.scalars(select(OutboxJob.id).where(OutboxJob.kind == "invoice_topup")).all()
    for job_id in jobs:
        claimed = transaction(partial(worker._claim, job_id, utcnow()))
        assert claimed is not None
        worker._do(claimed)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(str(EVENTS.index(one)) for one in order))
@pytest.mark.parametrize("back_at", PLACES)
def test_every_order_with_the_page_at_every_place_ends_the_same(
    client: PortalClient, cast: Cast, sim: Simulator, order: tuple[str, ...], back_at: int
) -> None:
    topup = begin(cast.salon)
    story = Story(sim, topup.stripe_session_id or "")
    client.sign_in(cast.salon.owner)
    for place in PLACES:
        if place == back_at:
            assert client.get(f"/balance/topups/{topup.id}").status_code == 200
        if place < len(order):
            assert post_webhook(client, *story.message(order[place])) == 200
    write_documents()
    assert end_of(cast.salon, topup.id) == EXPECTED
    with all_tenants("the test looks at the inbox"):
        assert set(db.session.scalars(select(WebhookEvent.status))) == {"done"}
