"""Tops balances up by themselves: at once where the ledger has noticed one, and once a minute wherever one is low.

A row that Stripe has not answered is no job of its own: the round in ``jobs/topups.py`` asks for it again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal import auto_payments, payments
from portal.db import db, transaction
from portal.domain import auto_topup, auto_topup_consent, auto_topup_watch
from portal.tenancy import all_tenants, tenant_scope

EVERY = 60  # seconds


def look(payload: dict[str, Any]) -> None:
    """One company's balance, which was found low. The round below comes by again if Stripe is away."""
    auto_payments.top_up_if_due()


def sweep(now: datetime) -> None:
    """Every company whose balance is low: a job may have been lost, a pause or a cap may have ended."""
    with all_tenants("the worker serves every company"):
        low = auto_topup.low(now)
    for company_id in low:
        with tenant_scope(company_id):
            transaction(auto_topup_watch.look_soon)


def detach(payload: dict[str, Any]) -> None:
    """Forget a card at Stripe; one that is gone already is fine."""
    stripe = payments.gateway()
    db.session.rollback()
    if stripe is not None:
        stripe.detach_payment_method(payload["payment_method_id"])


OUTBOX = {auto_topup_watch.KIND: look, auto_topup_consent.DETACH: detach}
SLOW = (auto_topup_watch.KIND, auto_topup_consent.DETACH)
PERIODIC = {"auto_topup": (EVERY, sweep)}
