"""Tells people that money runs out, as the ledger noted it; and looks after everybody once in a while."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import alerts
from portal.models import Company, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope

EVERY = 600  # seconds


def tell(payload: dict[str, Any]) -> None:
    """One message, to everybody who may see the balance."""
    transaction(lambda: alerts.tell(payload, utcnow()))


def sweep(now: datetime) -> None:
    """Every company, one transaction each."""
    with all_tenants("the worker serves every company"):
        companies = db.session.scalars(
            select(Company.id).join(PrepaidBalance, PrepaidBalance.company_id == Company.id).where(Company.is_active)
        ).all()
    for company_id in companies:
        with tenant_scope(company_id):
            transaction(partial(alerts.sweep, now))


OUTBOX = {alerts.KIND: tell}
PERIODIC = {"balance.alerts": (EVERY, sweep)}
