"""What the platform's operator sees: every company's state, the inbox of webhooks, top-ups that wait for a decision.

Everything here crosses companies; :func:`oversight` is the one door. No conversation of a company is shown: payloads
are opened one at a time, recorded, and without what was said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import aliased, load_only

from portal.db import db, rows_changed
from portal.domain import audit, stats
from portal.domain.errors import DomainError
from portal.models import (
    BalanceTopup,
    BalanceTransaction,
    BillingRate,
    Branch,
    Company,
    DailyCallStats,
    PipelineHeartbeat,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import all_tenants

PAGE = 50
DAYS = 30
MOST_COUNTED = 10_000
ZONE = "Europe/Berlin"  # of the platform's own days
QUIET = timedelta(days=7)
ZERO = Decimal("0.00")
# Statuses that need somebody, or time.
STUCK = ("failed", "parked", "quarantined", "dead")
STATUSES = ("received", *STUCK, "done", "ignored")
# What was said, and where it can be heard, stays with the company.
SPOKEN = {
    "transcript",
    "transcript_object",
    "transcript_with_tool_calls",
    "scrubbed_transcript_with_tool_calls",
    "recording_url",
    "recording_multi_channel_url",
    "scrubbed_recording_url",
    "scrubbed_recording_multi_channel_url",
    "public_log_url",
    "call_summary",
    "summary",
    "custom_analysis_data",
    "collected_dynamic_variables",
    "retell_llm_dynamic_variables",
    "responses",
    "userFieldsResponses",
    "additionalNotes",
}
LONGEST_PAYLOAD = 100_000
LONGEST_SCRAP = 500


@contextmanager
def oversight() -> Iterator[None]:
    """Everything inside sees every company."""
    with all_tenants("the operator oversees every company"):
        yield


# ---- Companies --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompanyRow:
    """One company as it stands. Euros; ``calls`` of thirty days; ``stuck`` events that wait or have failed."""

    id: int
    tenant_id: str
    name: str
    is_active: bool
    available: Decimal | None
    threshold: Decimal | None
    rate: Decimal | None
    branches: int
    calls: int
    last_event_at: datetime | None
    refused: int
    stuck: int
    has_moved: bool

    def state(self, now: datetime) -> str:
        """One word for the pill, the worst thing first."""
        if not self.is_active:
            return "inactive"
        if self.refused:
            return "refused"
        if self.available is None or self.available <= 0:
            return "used_up" if self.has_moved or self.available else "unfunded"
        if self.stuck:
            return "stuck"
        if self.threshold is not None and self.available < self.threshold:
            return "low"
        if self.last_event_at is None:
            return "silent"
        return "quiet" if self.last_event_at < now - QUIET else "ok"


@dataclass(frozen=True)
class CompanyPage:
    rows: list[CompanyRow]
    next_after: str | None


def companies(query: str, after: str, now: datetime) -> CompanyPage:
    """Companies by name, fifty a page, in one statement. ``after``: the cursor of the page before."""
    last_id, _dash, last_name = after.partition("-")
    found = _company_query(now).order_by(Company.name, Company.id).limit(PAGE + 1)
    if text := _like(query):
        found = found.where(or_(*(column.like(text, escape="\\") for column in (Company.name, Company.tenant_id))))
    if last_id.isdigit() and last_name:
        behind = and_(Company.name == last_name, Company.id > int(last_id))
        found = found.where(or_(Company.name > last_name, behind))
    with oversight():
        rows = [_company_row(row) for row in db.session.execute(found)]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return CompanyPage(rows[:PAGE], f"{last.id}-{last.name}" if last else None)


def _company_row(found: Row[Any]) -> CompanyRow:
    row = CompanyRow(*tuple(found))
    # A sum is a DECIMAL on MySQL, and a truth a number.
    return replace(row, calls=int(row.calls), has_moved=bool(row.has_moved))


def _company_query(now: datetime) -> Select[*tuple[Any, ...]]:
    first = stats.local_day(now, ZONE) - timedelta(days=DAYS - 1)
    beat, event = PipelineHeartbeat, WebhookEvent
    in_force = and_(
        BillingRate.company_id == Company.id,
        BillingRate.valid_from <= now,
        or_(BillingRate.valid_until.is_(None), BillingRate.valid_until > now),
    )
    # Grouped once, from the few that are stuck: a company may have a million events.
    stuck = select(event.company_id, func.count(event.id).label("number")).where(event.status.in_(STUCK))
    stuck_of = stuck.group_by(event.company_id).subquery()
    refused_since = or_(beat.last_event_at.is_(None), beat.last_refused_at > beat.last_event_at)
    return (
        select(
            Company.id,
            Company.tenant_id,
            Company.name,
            Company.is_active,
            PrepaidBalance.available_balance,
            PrepaidBalance.low_balance_alert_threshold,
            BillingRate.rate_per_minute,
            _of_company(func.count(Branch.id), Branch, Branch.is_active.is_(True)),
            func.coalesce(_of_company(func.sum(DailyCallStats.calls), DailyCallStats, DailyCallStats.day >= first), 0),
            _of_company(func.max(beat.last_event_at), beat),
            _of_company(func.count(beat.id), beat, beat.last_refused_at.is_not(None), refused_since),
            func.coalesce(stuck_of.c.number, 0),
            exists().where(BalanceTransaction.company_id == Company.id),
        )
        .outerjoin(PrepaidBalance, PrepaidBalance.company_id == Company.id)
        .outerjoin(BillingRate, in_force)
        .outerjoin(stuck_of, stuck_of.c.company_id == Company.id)
    )


def _of_company(value: Any, model: Any, *conditions: ColumnElement[bool]) -> Any:
    """A figure of each company, as a subquery of its row."""
    return select(value).where(model.company_id == Company.id, *conditions).correlate(Company).scalar_subquery()


def _like(query: str) -> str:
    """A pattern for what was typed; '' without a letter or digit."""
    text = query.strip()[:100]
    if not any(char.isalnum() for char in text):
        return ""
    for char in "\\%_":
        text = text.replace(char, f"\\{char}")
    return f"%{text}%"


# ---- Figures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Of the whole platform. ``events`` of today are counted up to ten thousand; ``oldest`` waits the longest."""

    companies: int
    active: int
    events: int
    failed: int
    waiting: int
    quarantined: int
    oldest: datetime | None
    parked_topups: int


def figures(now: datetime) -> Figures:
    """In one statement."""
    event = WebhookEvent
    midnight, _next = stats.day_limits(stats.local_day(now, ZONE), ZONE)
    of_today = select(event.id).where(event.created_at >= midnight).limit(MOST_COUNTED).subquery()
    waiting = event.status.in_(("failed", "parked"))
    query = select(
        _number(Company.id),
        _number(Company.id, Company.is_active.is_(True)),
        select(func.count()).select_from(of_today).scalar_subquery(),
        _number(event.id, event.status.in_(("failed", "dead"))),
        _number(event.id, event.status == "parked"),
        _number(event.id, event.status == "quarantined"),
        select(func.min(event.created_at)).where(waiting).scalar_subquery(),
        _number(BalanceTopup.id, BalanceTopup.parked_reason.is_not(None)),
    )
    with oversight():
        return Figures(*db.session.execute(query).one())


def open_counts() -> dict[str, int]:
    """What waits for the operator, by the keys of the menu, in one statement."""
    query = select(
        _number(BalanceTopup.id, BalanceTopup.parked_reason.is_not(None)),
        _number(WebhookEvent.id, WebhookEvent.status.in_(STUCK)),
    )
    with oversight():
        parked, stuck = db.session.execute(query).one()
    return {"parked_topups": parked, "stuck_events": stuck}


def _number(column: Any, *conditions: ColumnElement[bool]) -> Any:
    return select(func.count(column)).where(*conditions).scalar_subquery()


@dataclass(frozen=True)
class ParkedTopup:
    """A top-up that is not credited until somebody has decided. Euros; ``gross`` is what Stripe should have taken."""

    id: int
    company_id: int
    company: str
    amount: Decimal
    gross: Decimal
    status: str
    reason: str | None
    created_at: datetime

    @property
    def credited(self) -> bool:
        """A dispute parks what has been credited."""
        return self.status in ("completed", "refunded")


def parked_topups(limit: int = PAGE) -> list[ParkedTopup]:
    """Newest first."""
    row = BalanceTopup
    query = (
        select(
            row.id, Company.id, Company.name, row.amount, row.gross_amount, row.status, row.parked_reason,
            row.created_at,
        )
        .join(Company, Company.id == row.company_id)
        .where(row.parked_reason.is_not(None))
        .order_by(row.created_at.desc(), row.id.desc())
        .limit(limit)
    )  # fmt: skip
    with oversight():
        return [ParkedTopup(*found) for found in db.session.execute(query)]


# ---- The inbox --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventRow:
    """One delivery without its body. ``company`` is None where it belongs to none."""

    event: WebhookEvent
    company: str | None

    @property
    def can_retry(self) -> bool:
        return self.event.status in ("received", *STUCK)

    @property
    def can_discard(self) -> bool:
        return self.event.status in STUCK


@dataclass(frozen=True)
class EventPage:
    rows: list[EventRow]
    older: str | None


def events(wish: str, company_id: int | None, after: str) -> EventPage:
    """Deliveries, newest first. ``wish``: a status, ``open`` for all that need somebody, or ``all``."""
    query = _event_query().order_by(WebhookEvent.created_at.desc(), WebhookEvent.id.desc()).limit(PAGE + 1)
    if wish != "all":
        query = query.where(WebhookEvent.status.in_([wish] if wish in STATUSES else STUCK))
    if company_id is not None:
        query = query.where(WebhookEvent.company_id == company_id)
    if (place := _place(after)) is not None:
        query = query.where(place)
    with oversight():
        rows = [EventRow(*found) for found in db.session.execute(query)]
    last = rows[PAGE - 1].event if len(rows) > PAGE else None
    return EventPage(rows[:PAGE], f"{last.created_at.isoformat()}~{last.id}" if last else None)


def event(event_id: int) -> EventRow | None:
    """One delivery without its body."""
    with oversight():
        found = db.session.execute(_event_query().where(WebhookEvent.id == event_id)).first()
        return None if found is None else EventRow(*found)


def _event_query() -> Select[*tuple[Any, ...]]:
    row, company = WebhookEvent, aliased(Company)
    shown = load_only(
        row.provider, row.event_type, row.company_id, row.status, row.attempts, row.next_attempt_at, row.error,
        row.created_at, row.handled_at, row.dedupe_key, row.headers, raiseload=True,
    )  # fmt: skip
    return select(row, company.name).outerjoin(company, company.id == row.company_id).options(shown)


def _place(after: str) -> ColumnElement[bool] | None:
    """The condition "older than this one"; None for what is no cursor."""
    moment, _tilde, last_id = after.partition("~")
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if then.tzinfo is None or not last_id.isdigit():
        return None
    row = WebhookEvent
    return and_(row.created_at <= then, or_(row.created_at < then, row.id < int(last_id)))


def open_payload(event_id: int) -> str:
    """What was sent, ready to be read and without what was said. Writes who has opened it. Needs a transaction."""
    with oversight():
        found = db.session.get_one(WebhookEvent, event_id)
        audit.record("inbox.payload_opened", found, new={"provider": found.provider, "event_type": found.event_type})
        return readable(found.body)


def readable(body: bytes) -> str:
    """JSON with its keys as sent; of what is no JSON the beginning."""
    try:
        data = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")[:LONGEST_SCRAP]
    return json.dumps(_without_words(data), ensure_ascii=False, indent=2)[:LONGEST_PAYLOAD]


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(item) if key in SPOKEN else _without_words(item) for key, item in value.items()}
    return [_without_words(item) for item in value] if isinstance(value, list) else value


def _hidden(value: Any) -> Any:
    """How much was there, so that a missing transcript can be told from a present one."""
    return f"[… {len(json.dumps(value, ensure_ascii=False))}]" if value else value


def note_retry(event_id: int) -> None:
    """Write who tries again. Raises ``DomainError`` where there is nothing to try."""
    with oversight():
        found = db.session.get_one(WebhookEvent, event_id)
        if found.status not in ("received", *STUCK):
            raise DomainError(_("This message has been settled already."))
        audit.record("inbox.retried", found, old={"status": found.status, "attempts": found.attempts})


def discard(event_id: int) -> bool:
    """Put a stuck delivery away for good; False when it has been settled meanwhile. Needs a transaction."""
    row = WebhookEvent
    with oversight():
        found = db.session.get_one(row, event_id)
        change = {"status": "ignored", "next_attempt_at": None}
        if not rows_changed(update(row).where(row.id == event_id, row.status.in_(STUCK)).values(**change)):
            return False
        audit.record("inbox.discarded", found, old={"status": found.status})
        return True
