"""The steps of a top-up that lie on both sides of a commit: our row, then Stripe, then what Stripe answered.

Pages, webhooks and the worker share them. Nothing here decides; ``domain/topups.py`` does.
"""

from __future__ import annotations

import hashlib

import structlog
from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select

from portal import settings
from portal.clients.stripe import CheckoutState, StripeGateway, StripeProblem, StripeRejected, StripeUnavailable
from portal.db import db, transaction, utcnow
from portal.domain import auto_topup_consent, topups
from portal.domain.auto_topup_consent import Saved
from portal.formats import percent
from portal.models import BalanceTopup, Company
from portal.tenancy import current_company_id

log = structlog.get_logger()


def gateway() -> StripeGateway | None:
    """This installation's Stripe account; None where no key is set."""
    kept: dict[str, StripeGateway] = current_app.extensions.setdefault("stripe", {})
    if "gateway" not in kept and settings().stripe_secret_key:
        own = settings()
        kept["gateway"] = StripeGateway(own.stripe_secret_key, own.stripe_api_base or None, own.stripe_webhook_secret)
    return kept.get("gateway")


def open_page(topup_id: int, language: str) -> str | None:
    """The address of Stripe's page for an open top-up, new or the one that it has; None where there is none to open.

    Whatever goes wrong is kept in the row, so that its own page can say what has happened and what comes next.
    """
    stripe = gateway()
    topup, company = rows(topup_id)
    if stripe is None or topup.status != "pending" or topup.is_auto_topup:
        return None
    try:
        if topup.stripe_session_id:
            page = topups.read(stripe, topup.stripe_session_id)
            bring(topup, page)
            return page.checkout.url
        customer_id = _customer(stripe, company)
        transaction(lambda: topups.note_customer(topup_id, customer_id))
        checkout = _new_page(stripe, topup, company, customer_id, language)
        transaction(lambda: topups.note_session(topup_id, checkout.session_id))
        return checkout.url
    except StripeUnavailable as problem:
        log.warning("stripe is away", topup_id=topup_id, error=problem.message)
        transaction(lambda: topups.note_unavailable(topup_id))
    except StripeRejected as problem:
        code, message = problem.code or "", f"{problem.code}: {problem.message}"
        log.error("stripe refused a payment page", topup_id=topup_id, error=problem.message, code=code)
        transaction(lambda: topups.fail(topup_id, topups.REJECTED, message, utcnow()))
    return None


def refresh(topup_id: int, *, with_returns: bool = False) -> topups.Told:
    """Ask Stripe how a top-up stands and bring our row there. Raises ``StripeProblem``.

    The row has a payment page's id, or it is an automatic one and has its payment's.
    """
    stripe = gateway()
    topup, _company = rows(topup_id)
    assert stripe is not None
    facts = _read(stripe, topup, with_returns=with_returns)
    bring(topup, facts)
    return facts


def _read(stripe: StripeGateway, topup: BalanceTopup, *, with_returns: bool) -> topups.Told:
    if topup.is_auto_topup:
        assert topup.stripe_payment_intent_id
        return topups.read_payment(stripe, topup.stripe_payment_intent_id, with_returns=with_returns)
    assert topup.stripe_session_id
    return topups.read(stripe, topup.stripe_session_id, with_returns=with_returns)


def bring(topup: BalanceTopup, facts: topups.Told) -> None:
    """Bring our row, as it was read before, to where Stripe says it is."""
    if topups.changes(topup, facts):
        transaction(lambda: topups.apply(topup.id, facts, utcnow()))


# ---- Saving a card ----------------------------------------------------------------------------------------


def open_setup_page(consent_id: int, language: str, back: str) -> str | None:
    """The address of Stripe's page for saving a card or mandate; None where Stripe is away or refuses.

    ``back``: the path to which Stripe sends people back, with ``?session=`` after success. The same consent and
    language open the same page.
    """
    stripe = gateway()
    own = company()
    if stripe is None:
        return None
    try:
        customer_id = _customer(stripe, own)
        transaction(lambda: topups.note_company_customer(customer_id))
        target = f"{settings().portal_base_url}{back}"
        page = stripe.create_setup_session(
            own.tenant_id,
            customer_id,
            reference=auto_topup_consent.reference(consent_id),
            success_url=f"{target}?session={{CHECKOUT_SESSION_ID}}",
            cancel_url=target,
            locale=language,
            idempotency_key=f"setup:{own.tenant_id}:{consent_id}:{language}",
        )
    except StripeProblem as problem:
        log.error("stripe opens no page for a card", consent_id=consent_id, error=problem.message, code=problem.code)
        return None
    return page.url


def finish_setup(session_id: str) -> Saved:
    """Take over what was saved on a page of the current company's; repeatable, and also what the webhook does."""
    stripe = gateway()
    db.session.rollback()
    if stripe is None:
        return Saved.UNAVAILABLE
    try:
        page = stripe.get_setup_session(session_id)
    except StripeRejected:
        return Saved.FOREIGN
    except StripeProblem as problem:
        log.warning("stripe is away", error=problem.message)
        return Saved.UNAVAILABLE
    return transaction(lambda: auto_topup_consent.confirm_setup(page, utcnow()))


def company() -> Company:
    """Read afresh, and without keeping a transaction open while Stripe is asked."""
    db.session.rollback()
    found = db.session.get_one(Company, current_company_id(), populate_existing=True)
    db.session.expunge_all()
    db.session.rollback()
    return found


# ---- Inside -----------------------------------------------------------------------------------------------


def rows(topup_id: int) -> tuple[BalanceTopup, Company]:
    """Read afresh, and without keeping a transaction open while Stripe is asked."""
    db.session.rollback()
    topup = db.session.scalars(
        select(BalanceTopup).where(BalanceTopup.id == topup_id).execution_options(populate_existing=True)
    ).one()
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    db.session.expunge_all()
    db.session.rollback()
    return topup, company


def _customer(stripe: StripeGateway, company: Company) -> str:
    name, email = company.invoice_name or company.name, company.invoice_email or company.email
    # Stripe refuses a key that comes with other values, so the values are part of it.
    values = hashlib.sha256(f"{name}\n{email}\n{company.stripe_customer_id}".encode()).hexdigest()[:20]
    return stripe.ensure_customer(
        company.tenant_id,
        name,
        email,
        customer_id=company.stripe_customer_id,
        idempotency_key=f"customer:{company.tenant_id}:{values}",
    )


def _new_page(
    stripe: StripeGateway, topup: BalanceTopup, company: Company, customer_id: str, language: str
) -> CheckoutState:
    back = f"{settings().portal_base_url}/balance/topups/{topup.id}"
    return stripe.create_topup_session(
        topup.id,
        company.tenant_id,
        customer_id,
        net=topup.amount,
        tax=topup.tax_amount,
        gross=topup.gross_amount,
        description=_("Balance for %(company)s", company=company.name),
        tax_description=_("VAT %(rate)s", rate=percent(topup.tax_rate / 100, language)),
        success_url=back,
        cancel_url=back,
        locale=language,
        idempotency_key=idempotency_key(topup, company.tenant_id),
        expires_at=topup.created_at + topups.PAGE_LASTS,
    )


def idempotency_key(topup: BalanceTopup, tenant_id: str) -> str:
    """Names our row, and no other installation's row of the same number on the same Stripe account."""
    return f"topup:{tenant_id}:{topup.id}:{int(topup.created_at.timestamp())}"
