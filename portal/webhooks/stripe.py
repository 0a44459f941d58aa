"""What Stripe sends: which of our top-ups an event means. How the top-up stands is read from Stripe itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import RequestEntityTooLarge

from portal import payments
from portal.clients.stripe import SetupState, SignatureError, StripeGateway, StripeRejected
from portal.db import db, transaction, utcnow
from portal.domain import auto_topup_consent, heartbeat, topups
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox

bp = Blueprint("stripe_webhook", __name__)

MOST_BYTES = 512 * 1024
SESSION_EVENTS = {
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
}
# Of payments without a page; those that have one are told of by their page.
PAYMENT_EVENTS = {
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
}
RETURN_EVENTS = {
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}


@dataclass(frozen=True)
class Payment:
    """A top-up of ours and what Stripe says about it now."""

    topup: topups.Found
    facts: topups.Told


@dataclass(frozen=True)
class SavedCard:
    """A page on which a card was to be saved, and the company that it names."""

    company_id: int
    page: SetupState


@dataclass(frozen=True)
class GoneCard:
    """A saved card that Stripe has given up."""

    company_id: int
    payment_method_id: str


Prepared = Payment | SavedCard | GoneCard


@bp.post("/webhooks/stripe")
def receive() -> Response:
    request.max_content_length = MOST_BYTES
    stripe = payments.gateway()
    try:
        raw = request.get_data()
        if stripe is None:
            raise SignatureError("no Stripe key is set")
        event = stripe.construct_event(raw, request.headers.get("Stripe-Signature"))
    except RequestEntityTooLarge:
        _refuse(413)
    except SignatureError:
        _refuse(400)
    headers = {"User-Agent": request.headers.get("User-Agent", "")[:200]}
    return inbox.receive("stripe", event.id, raw, event_type=event.type, company_id=None, headers=headers)


def _refuse(status: int) -> NoReturn:
    """Turned away before anything is stored; only counted."""
    with all_tenants("nobody has proved to be Stripe, so there is no company"):
        transaction(lambda: heartbeat.refused("stripe", None, utcnow()))
    abort(status)


def prepare(delivery: inbox.Delivery) -> Prepared:
    """Find what it is about and read it afresh; outside of any transaction."""
    stripe = payments.gateway()
    if stripe is None:
        raise RuntimeError("no Stripe key is set")
    event = delivery.payload
    _check_mode(event, stripe)
    kind, subject = event["type"], event["data"]["object"]
    if kind in SESSION_EVENTS:
        return _saved_card(stripe, subject) if subject.get("mode") == "setup" else _paid_page(stripe, subject)
    if kind in PAYMENT_EVENTS:
        return _collected(stripe, subject)
    if kind in RETURN_EVENTS:
        return _returned(stripe, subject.get("payment_intent"))
    if kind == "payment_method.detached":
        return _gone_card(subject["id"])
    raise inbox.Ignored(kind)


def handle(delivery: inbox.Delivery, prepared: Prepared) -> None:
    """Bring the top-up to where Stripe says it is, or take over what it says of a card."""
    if isinstance(prepared, Payment):
        with tenant_scope(prepared.topup.company_id):
            topups.apply(prepared.topup.topup_id, prepared.facts, utcnow())
    elif isinstance(prepared, SavedCard):
        with tenant_scope(prepared.company_id):
            saved = auto_topup_consent.confirm_setup(prepared.page, utcnow())
        if saved is auto_topup_consent.Saved.FOREIGN:
            raise inbox.Quarantined(f"page {prepared.page.session_id} is not this company's")
    else:
        with tenant_scope(prepared.company_id):
            auto_topup_consent.card_detached(prepared.payment_method_id)


# ---- Payments ---------------------------------------------------------------------------------------------


def _paid_page(stripe: StripeGateway, session: Mapping[str, Any]) -> Payment:
    found = _of_session(session)
    return Payment(found, topups.read(stripe, session["id"]))


def _collected(stripe: StripeGateway, intent: Mapping[str, Any]) -> Payment:
    found = _of_payment(stripe, intent["id"])
    if not found.automatic:
        raise inbox.Ignored("its payment page tells the same")
    return Payment(found, topups.read_payment(stripe, intent["id"]))


def _returned(stripe: StripeGateway, intent_id: str | None) -> Payment:
    found = _of_payment(stripe, intent_id)
    if found.automatic and intent_id is not None:
        return Payment(found, topups.read_payment(stripe, intent_id, with_returns=True))
    if found.session_id is None:
        raise inbox.Parked(f"the payment page of top-up {found.topup_id} is not known yet")
    return Payment(found, topups.read(stripe, found.session_id, with_returns=True))


# ---- Cards ------------------------------------------------------------------------------------------------


def _saved_card(stripe: StripeGateway, session: Mapping[str, Any]) -> SavedCard:
    metadata = session.get("metadata") or {}
    if not auto_topup_consent.is_ours(metadata):
        raise inbox.Ignored("a card that was saved for something else")
    tenant_id = metadata.get("tenant_id", "")
    with all_tenants("Stripe's events name no company; what it keeps for us does"):
        company_id = auto_topup_consent.company_named(tenant_id)
    db.session.rollback()
    if company_id is None:
        raise inbox.Quarantined(f"{tenant_id[:50]!r} is none of this installation's companies")
    return SavedCard(company_id, stripe.get_setup_session(session["id"]))


def _gone_card(payment_method_id: str) -> GoneCard:
    with all_tenants("Stripe's events name no company; our own row does"):
        company_id = auto_topup_consent.company_with_card(payment_method_id)
    db.session.rollback()
    if company_id is None:
        raise inbox.Ignored("no card of ours")
    return GoneCard(company_id, payment_method_id)


# ---- Whose it is ------------------------------------------------------------------------------------------


def _check_mode(event: Mapping[str, Any], stripe: StripeGateway) -> None:
    if bool(event.get("livemode")) != stripe.livemode:
        raise inbox.Ignored("a test event for a live account, or the other way round")


def _of_session(session: Mapping[str, Any]) -> topups.Found:
    if session.get("mode") != "payment":
        raise inbox.Ignored(f"a page in mode {session.get('mode')}")
    return _look_up(session_id=session["id"], metadata=session.get("metadata") or {})


def _of_payment(stripe: StripeGateway, intent_id: str | None) -> topups.Found:
    if intent_id is None:
        raise inbox.Ignored("a payment without an intent is none of ours")
    with all_tenants("Stripe's events name no company; our own row does"):
        found = topups.find(intent_id=intent_id)
    db.session.rollback()
    if found is not None:
        return found
    try:
        metadata = stripe.get_payment_intent(intent_id).metadata
    except StripeRejected as problem:
        if problem.missing:
            raise inbox.Ignored(f"Stripe knows no payment {intent_id}") from problem
        raise
    return _look_up(session_id=None, metadata=metadata)


def _look_up(*, session_id: str | None, metadata: Mapping[str, str]) -> topups.Found:
    """By the page's id, else by the row that the metadata name; that row must be the named company's."""
    topup_id, tenant_id = metadata.get("topup_id", ""), metadata.get("tenant_id", "")
    with all_tenants("Stripe's events name no company; our own row does"):
        found = topups.find(session_id=session_id) if session_id else None
        named = int(topup_id) if topup_id.isascii() and topup_id.isdigit() and len(topup_id) < 19 else None
        if found is None and named is not None:
            found = topups.find_named(named, tenant_id)
        expected = found is None and named is not None and topups.may_come(named, tenant_id)
    db.session.rollback()
    if found is not None:
        return found
    if named is None:
        raise inbox.Ignored("no top-up of ours")
    if expected:
        raise inbox.Parked(f"top-up {named} of {tenant_id} is not here yet")
    raise inbox.Quarantined(f"top-up {named} of {tenant_id[:50]!r} is not one of this installation's")


inbox.HANDLERS["stripe"] = inbox.Handler(handle, prepare)
