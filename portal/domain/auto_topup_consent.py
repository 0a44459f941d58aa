"""Which card may be charged without asking, and who agreed to that: when, to which words, up to which figures.

A consent is written as a row of the audit log before anybody is sent to Stripe; the page there names it. Only a consent
newer than the one in force takes effect, so that a page that is looked at again brings no forgotten card back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from portal.clients.stripe import SetupState
from portal.db import db
from portal.domain import audit, auto_topup_watch, ledger, outbox
from portal.domain import auto_topup_outcome as outcome
from portal.domain.auto_topup_rules import Settings, check, covers
from portal.domain.errors import DomainError
from portal.models import AuditLog, Company, PortalUser, PrepaidBalance
from portal.tenancy import current_company_id

GIVEN = "auto_topup.consent_given"
DETACH = "auto_topup.detach"
PREFIX = "consent:"


@dataclass(frozen=True)
class Consent:
    """The one in force. ``settings``: the figures that were agreed to; None where the record of them is gone."""

    at: datetime
    by_name: str
    text: str
    settings: Settings | None


class Saved(StrEnum):
    """What became of a page on which a card was to be saved."""

    SAVED = "saved"
    OPEN = "open"  # nobody has finished it
    FAILED = "failed"  # it has closed without a card
    OLD = "old"  # another card, or none, has been chosen since
    FOREIGN = "foreign"  # none of this company's
    UNAVAILABLE = "unavailable"  # Stripe does not answer


# ---- Figures ----------------------------------------------------------------------------------------------


def settings_of(balance: PrepaidBalance) -> Settings | None:
    """What is saved; None as long as anything is missing."""
    threshold, amount = balance.auto_topup_threshold, balance.auto_topup_amount
    daily, monthly = balance.auto_topup_daily_cap, balance.auto_topup_monthly_cap
    if threshold is None or amount is None or daily is None or monthly is None:
        return None
    return Settings(balance.auto_topup_mode, threshold, amount, daily, monthly)


def as_values(settings: Settings) -> dict[str, str]:
    """For the audit log; :func:`from_values` reads it."""
    return {name: str(value) for name, value in vars(settings).items()}


def from_values(values: dict[str, str] | None) -> Settings | None:
    if not values:
        return None
    amounts = {name: Decimal(value) for name, value in values.items() if name != "mode"}
    return Settings(mode=values["mode"], **amounts)


# ---- Agreeing ---------------------------------------------------------------------------------------------


def start(user_id: int, text: str, *, switch_on: bool = True) -> int:
    """Record that somebody agrees to the saved settings; the id for the page on which the card is saved.

    Raises ``DomainError`` while nothing is set.
    """
    balance = ledger.lock()
    settings = settings_of(balance)
    if settings is None:
        raise DomainError(_("Please set the threshold and the amounts first."))
    check(settings)
    return _record(balance, user_id, text, settings, switch_on=switch_on).id


def renew(balance: PrepaidBalance, user_id: int, text: str) -> None:
    """A new consent for the card that is saved. The balance is locked."""
    settings = settings_of(balance)
    assert settings is not None
    _take_effect(balance, _record(balance, user_id, text, settings, switch_on=False))


def demand(settings: Settings) -> None:
    """Raises ``DomainError`` for field ``consent`` where these settings go beyond what was agreed to."""
    agreed = current(ledger.lock())
    if agreed is None or not covers(agreed.settings, settings):
        raise DomainError(_("This goes beyond what was agreed to. Please agree to the new figures."), "consent")


def current(balance: PrepaidBalance) -> Consent | None:
    """The consent in force, with the person's name as it is today."""
    at = balance.auto_topup_consent_at
    if at is None:
        return None
    name = db.session.scalar(select(PortalUser.name).where(PortalUser.id == balance.auto_topup_consent_by))
    given = db.session.scalar(select(AuditLog.new_values).where(*_ours(), AuditLog.created_at == at))
    return Consent(at, name or "", balance.auto_topup_consent_text or "", from_values((given or {}).get("settings")))


def _record(balance: PrepaidBalance, user_id: int, text: str, settings: Settings, *, switch_on: bool) -> AuditLog:
    new = {"by": user_id, "text": text, "settings": as_values(settings), "switch_on": switch_on}
    written = audit.record(GIVEN, balance, new=new)
    db.session.flush()
    return written


def _take_effect(balance: PrepaidBalance, given: AuditLog) -> None:
    values: dict[str, Any] = given.new_values or {}
    balance.auto_topup_consent_at = given.created_at
    balance.auto_topup_consent_by, balance.auto_topup_consent_text = values["by"], values["text"]
    db.session.flush()


def _ours() -> tuple[Any, ...]:
    return _company_rows(GIVEN)


def _company_rows(action: str) -> tuple[Any, ...]:
    return AuditLog.company_id == current_company_id(), AuditLog.action == action


# ---- The card ---------------------------------------------------------------------------------------------


def reference(consent_id: int) -> str:
    """What a page at Stripe keeps for us."""
    return f"{PREFIX}{consent_id}"


def is_ours(metadata: Any) -> bool:
    """Whether a page at Stripe was opened by :func:`start`'s consent, of whichever company."""
    return str(metadata.get("reference", "")).startswith(PREFIX)


def confirm_setup(page: SetupState, now: datetime) -> Saved:
    """Take over the card that was saved on a page of this company's; repeatable, in any order."""
    balance = ledger.lock()
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    given = _named(page.metadata.get("reference", ""))
    if given is None or (page.metadata.get("tenant_id"), page.customer_id) != (
        company.tenant_id,
        company.stripe_customer_id,
    ):
        return Saved.FOREIGN
    if page.setup_status != "succeeded" or page.payment_method_id is None:
        return Saved.FAILED if page.status == "expired" else Saved.OPEN
    in_force = balance.auto_topup_consent_at
    if in_force is not None and given.created_at <= in_force:
        return Saved.SAVED if balance.stripe_payment_method_id == page.payment_method_id else Saved.OLD
    _take_card(balance, given, page)
    auto_topup_watch.watch(balance, now)
    return Saved.SAVED


def _named(name: str) -> AuditLog | None:
    number = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    return db.session.scalar(select(AuditLog).where(*_ours(), AuditLog.id == int(number)))


def _take_card(balance: PrepaidBalance, given: AuditLog, page: SetupState) -> None:
    values: dict[str, Any] = given.new_values or {}
    before = balance.stripe_payment_method_id
    balance.stripe_payment_method_id = page.payment_method_id
    balance.payment_method_label = (page.payment_method or "")[:100] or None
    _take_effect(balance, given)
    new = {"label": balance.payment_method_label, "consent": given.id, "by": values["by"]}
    audit.record("auto_topup.card_saved", balance, new=new)
    if before not in (None, page.payment_method_id):
        _detach(balance, str(before))
    settings = settings_of(balance)
    if settings is None or not covers(from_values(values["settings"]), settings):
        _stop_beyond_consent(balance)
    elif values["switch_on"] and not _switched_off_since(given):
        switch_on(balance)


def _stop_beyond_consent(balance: PrepaidBalance) -> None:
    """What runs by a consent to more, which this one has replaced, runs no longer."""
    if balance.auto_topup_enabled:
        outcome.switch_off(balance, "consent")


def _switched_off_since(given: AuditLog) -> bool:
    """Whether somebody has decided otherwise while the page was open, or has got money back."""
    later = (*_company_rows(outcome.SWITCHED_OFF), AuditLog.created_at > given.created_at)
    written = db.session.scalars(select(AuditLog.new_values).where(*later))
    return any((values or {}).get("why") in {"person", "returned"} for values in written)


def switch_on(balance: PrepaidBalance) -> None:
    """The balance is locked, and everything that it takes is there. Ends a pause."""
    outcome.resume(balance)
    if not balance.auto_topup_enabled:
        balance.auto_topup_enabled = True
        audit.record("auto_topup.switched_on", balance)
    db.session.flush()


def forget_card() -> None:
    """Switch off, and forget the card here and, by the outbox, at Stripe."""
    balance = ledger.lock()
    known, label = balance.stripe_payment_method_id, balance.payment_method_label
    if balance.auto_topup_enabled:
        outcome.switch_off(balance, "person")
    if known is not None:
        outcome.forget(balance)
        audit.record("auto_topup.card_forgotten", balance, old={"label": label})
        _detach(balance, known)


def card_detached(payment_method_id: str) -> None:
    """Stripe says that a card is gone; that of another time changes nothing."""
    balance = ledger.lock()
    if balance.stripe_payment_method_id == payment_method_id:
        audit.record("auto_topup.card_gone", balance, old={"label": balance.payment_method_label})
        outcome.card_gone(balance)


def company_with_card(payment_method_id: str) -> int | None:
    """Whose card it is. Needs ``all_tenants``."""
    row = PrepaidBalance
    return db.session.scalar(select(row.company_id).where(row.stripe_payment_method_id == payment_method_id))


def company_named(tenant_id: str) -> int | None:
    """The company of a name that Stripe keeps for us. Needs ``all_tenants``."""
    return db.session.scalar(select(Company.id).where(Company.tenant_id == tenant_id))


def _detach(balance: PrepaidBalance, payment_method_id: str) -> None:
    payload = {"payment_method_id": payment_method_id}
    outbox.enqueue(DETACH, payload, company_id=balance.company_id, dedupe_key=f"{DETACH}:{payment_method_id}")
