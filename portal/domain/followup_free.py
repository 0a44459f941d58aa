"""Whether a promised time could still be entered: the person works then, and nobody else has it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from portal.db import db
from portal.domain import booking_rules, followup_words, slots
from portal.domain.errors import DomainError
from portal.domain.slots import Plan
from portal.models import CallFollowup, Service


def still_free(row: CallFollowup, ids: Mapping[tuple[str, str], int], now: datetime) -> bool | None:
    """None where it cannot be told: no such person or service, no customer, no branch.

    ``ids``: of the people and services that were named, from ``followup_queue.ids_by_name``.
    """
    told, call = followup_words.promised(row.facts), row.call
    start = followup_words.moment(told.get("start"))
    staff_id = ids.get(("staff", str(told.get("staff") or "")))
    service_id = ids.get(("service", str(told.get("service") or "")))
    if None in (start, staff_id, service_id, call.customer_id, call.branch_id) or start is None:
        return None
    service = db.session.get_one(Service, service_id)
    end = start + timedelta(minutes=service.duration_minutes)
    buffer = service.buffer_time_minutes
    plan = Plan(call.branch_id, call.customer_id, staff_id, start, end, service_id, buffer_after=buffer)
    try:
        booking_rules.check(plan, now)
    except DomainError:
        return False
    return not slots.overlapping(plan)
