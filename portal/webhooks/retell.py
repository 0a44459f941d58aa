"""Retell: calls as they happen, and its question before a call connects.

A request that does not prove itself gets 401 whatever is wrong with it, an address that no company has included, after
the same work; nothing of it is kept but a count.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from portal.db import db, transaction, utcnow
from portal.domain import call_reports, calls, heartbeat, inbound
from portal.domain.transcripts import clean
from portal.models import Company
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox
from portal.webhooks.signatures import BadSignature, verify_retell

PROVIDER = "retell"
# Checked where there is no key, so that an address without one takes as long as any other.
NOBODYS_KEY = secrets.token_hex(32)
KEPT_HEADERS = ("User-Agent", "Content-Type", "X-Request-Id")

bp = Blueprint("retell", __name__)


@bp.post("/webhooks/retell/<tenant_id>")
def receive(tenant_id: str) -> Response:
    """Store and handle one event."""
    company, raw, payload = _verified(tenant_id)
    event = clean(payload.get("event"), 100) or None
    return inbox.receive(
        PROVIDER,
        _key(company.id, event, payload, raw),
        raw,
        event_type=event,
        company_id=company.id,
        headers={name: request.headers[name][:200] for name in KEPT_HEADERS if name in request.headers},
    )


@bp.post("/webhooks/retell/<tenant_id>/inbound")
def answer(tenant_id: str) -> Response:
    """Say what to do with a call that is about to connect; nothing is stored, so that the caller does not wait."""
    company, _raw, payload = _verified(tenant_id)
    asked = payload.get("call_inbound")
    with tenant_scope(company.id):
        told = inbound.answer(company, asked if isinstance(asked, dict) else {}, utcnow())
    return jsonify(call_inbound=told)


# ---- Who asks? ------------------------------------------------------------------------------------------------


def _verified(tenant_id: str) -> tuple[Company, bytes, dict[str, Any]]:
    """Company, raw body and payload of a request that proves itself; else 401, 413 or 400, and one more refusal."""
    company = db.session.scalar(select(Company).where(Company.tenant_id == tenant_id))
    try:
        raw = request.get_data(cache=False)
        _prove(raw, company)
        assert company is not None
        return company, raw, _object(raw)
    except (BadSignature, HTTPException) as error:
        _count_refusal(company.id if company else None)
        return abort(error.code or 400) if isinstance(error, HTTPException) else abort(401)


def _prove(raw: bytes, company: Company | None) -> None:
    key = company.retell_api_key if company else None
    verify_retell(raw, request.headers.get("X-Retell-Signature"), key or NOBODYS_KEY, int(utcnow().timestamp() * 1000))
    if not key:
        raise BadSignature("no_key")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        payload = _loads(raw)
    except (ValueError, RecursionError):
        payload = None
    return payload if isinstance(payload, dict) else abort(400)


def _loads(raw: bytes) -> Any:
    # NaN and Infinity are no JSON, and no database takes them.
    return json.loads(raw, parse_constant=lambda name: None)


def _count_refusal(company_id: int | None) -> None:
    def count() -> None:
        heartbeat.refused(PROVIDER, company_id, utcnow())

    with all_tenants("a refused request may name no company"):
        transaction(count)


def _key(company_id: int, event: str | None, payload: dict[str, Any], raw: bytes) -> str:
    """What makes a delivery the same as another one: call, event and body, within the company."""
    call = payload.get("call")
    call_id = clean(call.get("call_id"), 80) if isinstance(call, dict) else ""
    return f"{company_id}:{call_id}:{(event or '')[:25]}:{hashlib.sha256(raw).hexdigest()}"


# ---- What it means --------------------------------------------------------------------------------------------


def handle(delivery: inbox.Delivery, prepared: object) -> None:
    """One stored event, in its company's scope and one transaction."""
    if delivery.event_type not in call_reports.EVENTS:
        raise inbox.Ignored(f"nothing follows from {delivery.event_type}")
    country = db.session.get_one(Company, delivery.company_id).country
    try:
        report = call_reports.read(delivery.event_type, _loads(delivery.body), country)
        calls.record(report, delivery.received_at, utcnow())
    except (call_reports.UnreadableError, calls.NotOursError) as error:
        raise inbox.Quarantined(str(error)) from error


inbox.HANDLERS[PROVIDER] = inbox.Handler(handle)
