"""How long calls are kept: recordings, what was said, and who called. The worker carries it out.

Limits are days after the start of a call; None keeps for good. What is gone further back is never looked at again: a
company remembers up to which moment it has been tidied, so that a day's work stays a day's work whatever its history.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import and_, func, or_, select

from portal.db import db
from portal.domain import audit, forgetting, recordings
from portal.domain.errors import DomainError
from portal.models import Call, Company, Recording
from portal.tenancy import current_company_id

KINDS = ("recording", "transcript", "metadata")
LONGEST = 3650  # days
CHUNK = 500  # calls a transaction
# In companies.settings: kind → up to which start of a call everything has been tidied.
SETTING = "retention_done"
# Reports may come late; calls of the last so long before that moment are looked at again.
OVERLAP = timedelta(days=2)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MOST_COUNTED = 10_000


@dataclass(frozen=True)
class Retention:
    """Days for each kind, as set."""

    recording: int | None = None
    transcript: int | None = None
    metadata: int | None = None

    def days(self, kind: str) -> int | None:
        """As carried out: nothing outlives the call's own data."""
        known = [days for days in (getattr(self, kind), self.metadata) if days]
        return min(known) if known else None

    def ends(self, kind: str, started_at: datetime) -> datetime | None:
        """From when on this kind is deleted for a call that started then; None for never."""
        days = self.days(kind)
        return started_at + timedelta(days=days) if days else None


def of(company: Company) -> Retention:
    return Retention(
        company.recording_retention_days, company.transcript_retention_days, company.metadata_retention_days
    )


def current() -> Retention:
    """The current company's."""
    row = Company
    query = select(row.recording_retention_days, row.transcript_retention_days, row.metadata_retention_days)
    return Retention(*db.session.execute(query.where(row.id == current_company_id())).one())


# ---- Setting ----------------------------------------------------------------------------------------------


def check(wish: Retention) -> None:
    """Raises ``DomainError`` beside the field that is wrong."""
    for field in fields(wish):
        days = getattr(wish, field.name)
        if days is not None and not 1 <= days <= LONGEST:
            raise DomainError(_("Please enter days between 1 and %(most)s.", most=LONGEST), field.name)
    for name in ("recording", "transcript"):
        days = getattr(wish, name)
        if days and wish.metadata and days > wish.metadata:
            raise DomainError(_("This cannot be kept longer than the data of the call itself."), name)


def save(wish: Retention) -> None:
    """Set the current company's limits. Needs a transaction."""
    check(wish)
    company = _locked()
    old = of(company)
    if wish == old:
        return
    company.recording_retention_days = wish.recording
    company.transcript_retention_days = wish.transcript
    company.metadata_retention_days = wish.metadata
    audit.record("privacy.retention_changed", company, company_id=company.id, old=vars(old), new=vars(wish))


def affected(wish: Retention, now: datetime) -> dict[str, int]:
    """How many calls would lose something at once under these limits, by kind; counted up to ``MOST_COUNTED`` + 1."""
    done = _done(db.session.get_one(Company, current_company_id()))
    return {kind: _count(kind, done[kind], limit) for kind in KINDS if (limit := _limit(wish, kind, now)) is not None}


def _count(kind: str, done: datetime, limit: datetime) -> int:
    some = select(Call.id).where(Call.started_at >= done, Call.started_at < limit).limit(MOST_COUNTED + 1)
    if kind == "recording":
        some = some.join(Recording, and_(Recording.call_id == Call.id, Recording.status != "deleted"))
    return db.session.scalars(select(func.count()).select_from(some.subquery())).one()


def _limit(wish: Retention, kind: str, now: datetime) -> datetime | None:
    days = wish.days(kind)
    return now - timedelta(days=days) if days else None


# ---- Carrying out -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """The last call that was tidied."""

    started_at: datetime
    call_id: int


def begin(kind: str, now: datetime) -> tuple[Place, datetime] | None:
    """From which call on, and up to which start, there is something to do; None where there is not."""
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    limit = _limit(of(company), kind, now)
    if limit is None:
        return None
    return Place(_done(company)[kind] - OVERLAP, 0), limit


def tidy(kind: str, place: Place, limit: datetime, now: datetime) -> Place | None:
    """Delete from the next calls what their time is over for; None when all up to ``limit`` are done.

    Needs a transaction; can be stopped between any two.
    """
    later = or_(Call.started_at > place.started_at, Call.id > place.call_id)
    found = db.session.execute(
        select(Call.id, Call.started_at)
        .where(Call.started_at >= place.started_at, Call.started_at < limit, later)
        .order_by(Call.started_at, Call.id)
        .limit(CHUNK)
    ).all()
    _forget(kind, [call_id for call_id, _started in found], now)
    full = len(found) == CHUNK
    _remember(kind, found[-1].started_at if full else limit)
    return Place(found[-1].started_at, found[-1].id) if full else None


def _forget(kind: str, calls: list[int], now: datetime) -> None:
    if not calls:
        return
    if kind == "recording":
        recordings.delete_of_calls(calls, now, "retention")
    elif kind == "transcript":
        forgetting.words(calls)
    else:
        recordings.delete_of_calls(calls, now, "retention")
        forgetting.everything(calls)
        forgetting.unlink(calls)


def _remember(kind: str, moment: datetime) -> None:
    company = _locked()
    done: dict[str, Any] = dict((company.settings or {}).get(SETTING, {}))
    done[kind] = max(moment, _done(company)[kind]).isoformat()
    company.settings = {**(company.settings or {}), SETTING: done}
    db.session.flush()


def _done(company: Company) -> dict[str, datetime]:
    return done_of(company.settings)


def done_of(settings: dict[str, Any] | None) -> dict[str, datetime]:
    """By kind, up to which start of a call everything has been tidied, from ``companies.settings``."""
    known = (settings or {}).get(SETTING, {})
    return {kind: datetime.fromisoformat(known[kind]) if kind in known else BEGINNING for kind in KINDS}


def _locked() -> Company:
    return db.session.get_one(Company, current_company_id(), with_for_update=True, populate_existing=True)
