"""Asks Stripe again where nobody called: top-ups that stay open."""

from __future__ import annotations

from datetime import datetime

import structlog

from portal import auto_payments, payments
from portal.clients.stripe import StripeProblem, StripeUnavailable
from portal.db import transaction
from portal.domain import topups
from portal.tenancy import all_tenants, tenant_scope

log = structlog.get_logger()


def ask_stripe(now: datetime) -> None:
    """Read the payment pages of open top-ups again; a webhook may have been lost."""
    with all_tenants("the worker serves every company"):
        waiting = topups.due(now)
    for found in waiting:
        with tenant_scope(found.company_id):
            if not _ask(found, now):
                return


def _ask(found: topups.Found, now: datetime) -> bool:
    """One top-up; False when Stripe is away, so that the rest can wait."""
    if found.automatic and found.intent_id is None:
        return auto_payments.charge(found.topup_id)
    if found.session_id is None and not found.automatic:
        if not transaction(lambda: topups.give_up(found.topup_id, now)):
            transaction(lambda: topups.looked_at(found.topup_id, now))
        return True
    if payments.gateway() is None:
        return False
    try:
        payments.refresh(found.topup_id, with_returns=True)
    except StripeUnavailable as problem:
        log.warning("stripe is away", error=problem.message)
        return False
    except StripeProblem as problem:
        log.error("a top-up cannot be read at Stripe", topup_id=found.topup_id, error=problem.message)
    transaction(lambda: topups.looked_at(found.topup_id, now))
    return True


PERIODIC = {"topups": (60, ask_stripe)}
