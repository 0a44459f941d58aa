"""The inbox: a delivery is stored under its unique key and committed before anything is done with it.

A duplicate answers 200 and does nothing. What fails stays visible and is tried again by the worker with back-off;
what needs a row that is not here yet is parked; what belongs to no company is quarantined. Whoever delivers is answered
within a second: what takes longer is finished behind the answer, by a thread, or by the worker if this process dies.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import Flask, Response, current_app, jsonify, make_response
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.db import db, transaction, utcnow
from portal.domain import heartbeat
from portal.models import WebhookEvent
from portal.tenancy import all_tenants, tenant_scope

log = structlog.get_logger()

MAX_ATTEMPTS = 12
OPEN = ("received", "failed", "parked")
SETTLED = ("done", "ignored")
# A delivery that is being handled is left alone by the worker for this long.
HANDLING = timedelta(minutes=2)
# Seconds until the answer, handled or not; None handles everything before it.
PATIENCE: float | None = 0.8
THREADS = 8  # for each provider


class Ignored(Exception):
    """Understood, but nothing of ours follows from it."""


class Parked(Exception):
    """What this event needs is not here yet; try again later."""


class Quarantined(Exception):
    """Signed rightly, but about a number or agent that is not this company's."""


@dataclass(frozen=True)
class Delivery:
    """One stored event. ``company_id`` is None for Stripe, whose handler finds the company by our own row."""

    id: int
    provider: str
    event_type: str | None
    company_id: int | None
    body: bytes
    received_at: datetime

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Handler:
    """How a provider's events are handled.

    ``handle`` runs in one transaction, inside the company's scope where the company is known.
    ``prepare`` runs before it and outside of any transaction: the place to read from the provider.
    """

    handle: Callable[[Delivery, Any], None]
    prepare: Callable[[Delivery], Any] = lambda delivery: None


HANDLERS: dict[str, Handler] = {}


def receive(
    provider: str, key: str, raw: bytes, *, event_type: str | None, company_id: int | None, headers: dict[str, str]
) -> Response:
    """Store and handle one verified delivery.

    200 once it is stored and handled, known, or handled no faster than the sender should wait; 500 when that failed.
    """
    event_id = record(provider, key, raw, event_type=event_type, company_id=company_id, headers=headers)
    if event_id is None:
        return make_response(jsonify(status="duplicate"))
    status = process(event_id) if PATIENCE is None else _process_within(event_id, provider, PATIENCE)
    return make_response(jsonify(status=status), 500 if status in {"failed", "dead"} else 200)


def _process_within(event_id: int, provider: str, seconds: float) -> str:
    """Its new status, or ``accepted`` while that is still to come."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    try:
        return threads(app, provider).submit(_process_in, app, event_id).result(seconds)
    except TimeoutError:
        return "accepted"


def threads(app: Flask, provider: str) -> ThreadPoolExecutor:
    """Those of this process, started when first needed: a server forks before that.

    Each provider has its own, so that one that is slow to be read holds up nobody else's events.
    """
    pools: dict[str, ThreadPoolExecutor] = app.extensions.setdefault("inbox", {})
    if provider not in pools:
        pools[provider] = ThreadPoolExecutor(THREADS, f"inbox-{provider}")
    return pools[provider]


def _process_in(app: Flask, event_id: int) -> str:
    with app.app_context():
        try:
            return process(event_id)
        except Exception as error:
            # Nobody may be waiting for it any more, so that it would be lost; the worker tries the event again.
            log.error("webhook could not be handled", event_id=event_id, exc_info=error)
            raise


def record(
    provider: str, key: str, raw: bytes, *, event_type: str | None, company_id: int | None, headers: dict[str, str]
) -> int | None:
    """Insert and commit; the row's id, or None when this delivery is already here."""

    def insert() -> int:
        now = utcnow()
        event = WebhookEvent(
            provider=provider,
            dedupe_key=key,
            event_type=event_type,
            company_id=company_id,
            body=raw,
            headers=headers,
            next_attempt_at=now + HANDLING,
        )
        db.session.add(event)
        db.session.flush()
        heartbeat.heard(provider, company_id, now)
        return event.id

    with all_tenants("the inbox stores what comes before it knows whose it is"):
        if _known(provider, key):
            return None
        try:
            return transaction(insert)
        except IntegrityError:
            # Two deliveries at once: the other one was first.
            if _known(provider, key):
                return None
            raise


def _known(provider: str, key: str) -> bool:
    found = db.session.scalar(
        select(WebhookEvent.id).where(WebhookEvent.provider == provider, WebhookEvent.dedupe_key == key)
    )
    return found is not None


def process(event_id: int) -> str:
    """Handle one stored event; its new status. Never raises for what the event itself brings about."""
    delivery = _load(event_id)
    handler = HANDLERS[delivery.provider]
    try:
        prepared = handler.prepare(delivery)
        return _settle(delivery, lambda: handler.handle(delivery, prepared))
    except Exception as error:  # noqa: BLE001  whatever it is stays visible on the event and is tried again
        return _record_failure(delivery, error)


def _load(event_id: int) -> Delivery:
    with all_tenants("the inbox holds every company's events"):
        event = db.session.get_one(WebhookEvent, event_id)
        return Delivery(event.id, event.provider, event.event_type, event.company_id, event.body, event.created_at)


def _settle(delivery: Delivery, handle: Callable[[], None]) -> str:
    """What the event brings about and the mark that it is done, in one transaction."""

    def work() -> str:
        if not _claim(delivery.id):
            return "done"
        if delivery.company_id is None:
            with all_tenants("a platform event finds its company by our own row"):
                handle()
        else:
            with tenant_scope(delivery.company_id):
                handle()
        _mark(delivery.id, "done", handled_at=utcnow(), error=None)
        return "done"

    return transaction(work)


def _claim(event_id: int) -> bool:
    """Lock the event's row; False when somebody else has finished it meanwhile."""
    with all_tenants("the inbox holds every company's events"):
        status = db.session.scalar(select(WebhookEvent.status).where(WebhookEvent.id == event_id).with_for_update())
    return status in (*OPEN, "quarantined", "dead")


def _record_failure(delivery: Delivery, error: Exception) -> str:
    if isinstance(error, Ignored):
        status, delay = "ignored", None
    elif isinstance(error, Quarantined):
        status, delay = "quarantined", None
    else:
        status, delay = ("parked" if isinstance(error, Parked) else "failed"), True
        if status == "failed":
            log.error("webhook failed", event_id=delivery.id, provider=delivery.provider, exc_info=error)
    return transaction(lambda: _mark_failed(delivery.id, status, bool(delay), f"{type(error).__name__}: {error}"))


def _mark_failed(event_id: int, status: str, again: bool, message: str) -> str:
    with all_tenants("the inbox holds every company's events"):
        event = db.session.get_one(WebhookEvent, event_id, with_for_update=True)
        if event.status in SETTLED:
            return event.status  # somebody else was faster
        event.attempts += 1
        if again and event.attempts >= MAX_ATTEMPTS:
            status, again = "dead", False
        event.status, event.error = status, message[:2000]
        event.next_attempt_at = utcnow() + backoff(event.attempts) if again else None
    return status


def backoff(attempts: int) -> timedelta:
    """20 s, 40 s, 80 s … up to 6 h after that many attempts."""
    return min(timedelta(seconds=10 * 2**attempts), timedelta(hours=6))


def _mark(event_id: int, status: str, **values: Any) -> None:
    with all_tenants("the inbox holds every company's events"):
        db.session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id == event_id)
            .values(status=status, next_attempt_at=None, **values)
        )


def due(now: datetime, limit: int = 100) -> list[int]:
    """Events that wait for another attempt, oldest first."""
    with all_tenants("the worker serves every company"):
        return list(
            db.session.scalars(
                select(WebhookEvent.id)
                .where(WebhookEvent.status.in_(OPEN), WebhookEvent.next_attempt_at <= now)
                .order_by(WebhookEvent.next_attempt_at)
                .limit(limit)
            )
        )


def waiting(limit: int = 10_000) -> list[int]:
    """All events that have not come to an end, due or not, oldest first."""
    with all_tenants("the command line acts for the platform"):
        return list(
            db.session.scalars(
                select(WebhookEvent.id)
                .where(WebhookEvent.status.in_((*OPEN, "dead")))
                .order_by(WebhookEvent.id)
                .limit(limit)
            )
        )
