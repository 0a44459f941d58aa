"""Asks again where nobody called: top-ups that stay open, and holds of calls that never ended."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog

from portal import payments
from portal.clients.stripe import StripeProblem, StripeUnavailable
from portal.db import db, transaction
from portal.domain import ledger, topups
from portal.models import Call
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
    if found.session_id is None:
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


def settle_holds(now: datetime) -> None:
    """Charge or release holds past their time."""
    with all_tenants("the worker serves every company"):
        overdue = ledger.overdue_holds(now)
    for company_id, call_id in overdue:
        with tenant_scope(company_id):
            transaction(partial(_settle_hold, call_id, now))


def _settle_hold(call_id: int, now: datetime) -> None:
    ledger.lock()
    try:
        ledger.settle_overdue(db.session.get_one(Call, call_id, populate_existing=True), now)
    except ledger.NoRateError as error:
        log.warning("a call waits for a rate", call_id=call_id, error=error.message)


PERIODIC = {"topups": (60, ask_stripe), "holds": (300, settle_holds)}
