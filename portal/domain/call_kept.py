"""Until when a call is kept, and what of it is gone already, in dates for its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.db import db
from portal.domain import retention
from portal.models import Call, Company
from portal.tenancy import current_company_id


@dataclass(frozen=True)
class Kept:
    """Moments of deletion, None for never. ``*_gone``: it has been carried out, as far as this call goes."""

    words_until: datetime | None = None
    data_until: datetime | None = None
    words_gone: bool = False
    data_gone: bool = False

    @property
    def same_day(self) -> bool:
        """Whether everything goes at once, so that one line says it."""
        return self.words_until == self.data_until


def of(call: Call) -> Kept:
    """For one call of the current company; the recording's day stands with the recording."""
    row = Company
    columns = (
        row.recording_retention_days, row.transcript_retention_days, row.metadata_retention_days, row.settings
    )  # fmt: skip
    found = db.session.execute(select(*columns).where(row.id == current_company_id())).one()
    limits, done = retention.Retention(*found[:3]), retention.done_of(found[3])
    data_gone = call.started_at < done["metadata"] and call.from_number is None and call.to_number is None
    words_gone = data_gone or (call.started_at < done["transcript"] and call.summary is None)
    return Kept(
        limits.ends("transcript", call.started_at),
        limits.ends("metadata", call.started_at),
        words_gone,
        data_gone,
    )
