"""Judges promises once bookings have had their time to come, and tells people of complaints that are overdue."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import followups
from portal.domain.followup_served import OPEN
from portal.models import CallFollowup
from portal.tenancy import all_tenants, tenant_scope

EVERY = 60  # seconds


def judge(payload: dict[str, Any]) -> None:
    """One call's promise."""
    transaction(lambda: followups.judge(int(payload["call_id"]), utcnow()))


def tell_overdue(now: datetime) -> None:
    """Every company that has something overdue, one transaction each."""
    with all_tenants("the worker serves every company"):
        companies = db.session.scalars(
            select(CallFollowup.company_id)
            .where(CallFollowup.status.in_(OPEN), CallFollowup.reason == "complaint")
            .where(CallFollowup.due_at.between(now - followups.TOLD_LATE, now))
            .distinct()
        ).all()
    for company_id in companies:
        with tenant_scope(company_id):
            transaction(partial(followups.tell_overdue, now))


OUTBOX = {followups.JUDGE: judge}
PERIODIC = {"followups.overdue": (EVERY, tell_overdue)}
