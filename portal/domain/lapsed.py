"""What a report may not bring back: reports come late, are repeated, and are fetched anew from the provider.

A call's row, its time, its length and its price are always taken over. Everything else only as long as the company
keeps it, and nothing of a person who has been erased.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.db import db
from portal.domain import forgetting, retention
from portal.domain.call_reports import CallReport
from portal.models import Call, Company, Customer
from portal.tenancy import current_company_id


@dataclass(frozen=True)
class Lapsed:
    """Which parts of a call are kept no longer. ``people``: neither who it was nor what follows from it."""

    recording: bool = False
    words: bool = False
    people: bool = False

    def without(self, report: CallReport) -> CallReport:
        """The report as far as it may still be taken over."""
        missing: dict[str, Any] = {}
        if self.recording:
            missing["recording_url"] = None
        if self.words:
            missing |= dict.fromkeys(forgetting.SAID)
            report = replace(report, transcript=None, name_said=None, email_said=None)
        if self.people:
            missing |= dict.fromkeys(forgetting.WHO)
            report = replace(report, other_e164=None, other_raw="", transfer=None)
        return replace(report, values=report.values | missing) if missing else report


def of(call: Call | None, started_at: datetime | None, now: datetime) -> Lapsed:
    """For a report of this call, None for a new one that began then. The balance row is locked by the caller."""
    if call is not None and _is_erased(call.customer_id):
        return Lapsed(True, True, True)
    return since(call.started_at if call is not None else started_at, now)


def since(started_at: datetime | None, now: datetime) -> Lapsed:
    """By the company's limits alone, for a call that began then. A recording is not taken in without its words."""
    if started_at is None:
        return Lapsed()
    limits = retention.of(db.session.get_one(Company, current_company_id()))
    over = {kind: (end := limits.ends(kind, started_at)) is not None and end <= now for kind in retention.KINDS}
    return Lapsed(over["recording"] or over["transcript"], over["transcript"], over["metadata"])


def _is_erased(customer_id: int | None) -> bool:
    """As it stands now: an erasure takes the same lock, and this look must not be of the time before it."""
    if customer_id is None:
        return False
    return db.session.scalar(select(Customer.erased_at).where(Customer.id == customer_id).with_for_update()) is not None
