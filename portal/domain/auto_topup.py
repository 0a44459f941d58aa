"""Automatic top-ups: what a company has set, whether one is due, and the row that is written before Stripe is asked.

Every change is made with the company's balance locked. So of many that notice a low balance at the same moment one
writes the row, and the others find it in flight. Who was asked for a card, and what a person agreed to, is
``auto_topup_consent.py``; what follows when a top-up ends, ``auto_topup_outcome.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import case, func, select

from portal.db import db
from portal.domain import audit, auto_topup_watch, ledger, stats, topups
from portal.domain import auto_topup_consent as consents
from portal.domain import auto_topup_outcome as outcome
from portal.domain.auto_topup_rules import Decision, Settings, Situation, Verdict, check, decide
from portal.domain.errors import DomainError
from portal.domain.vat import TaxSplit
from portal.models import BalanceTopup, Company, PrepaidBalance
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
# A page that somebody opened and left may still be paid for so long; then it no longer holds anything back.
PAGE_COUNTS = timedelta(hours=1)
# Stripe forgets an idempotency key after a day; well before that, a row that was never answered is only looked up.
MAY_SEND = timedelta(hours=20)
RECENT = 10
CARD, DESCRIPTION = "payment_method_id", "description"  # keys of the row's metadata


@dataclass(frozen=True)
class Seller:
    """What the platform's operator is to the tax."""

    small_business: bool
    country: str


# ---- What is set ------------------------------------------------------------------------------------------


def settings_of(balance: PrepaidBalance) -> Settings | None:
    """What is saved; None as long as nothing is."""
    return consents.settings_of(balance)


def save(settings: Settings, now: datetime) -> None:
    """Keep these settings. Raises ``DomainError``; its field is ``consent`` where more is set than was agreed to.

    What is off may be set to anything: it takes a new consent to switch it on then.
    """
    check(settings)
    balance = ledger.lock()
    if balance.auto_topup_enabled:
        consents.demand(settings)
    _put(balance, settings)
    auto_topup_watch.watch(balance, now)


def agree_again(user_id: int, text: str, settings: Settings, now: datetime) -> None:
    """Keep these settings for the saved card with a new consent, which may go beyond the one before."""
    check(settings)
    balance = ledger.lock()
    if balance.stripe_payment_method_id is None:
        raise DomainError(_("Please save a card or a bank account first."), "consent")
    _put(balance, settings)
    consents.renew(balance, user_id, text)
    auto_topup_watch.watch(balance, now)


def _put(balance: PrepaidBalance, settings: Settings) -> None:
    before = settings_of(balance)
    if settings == before:
        return
    balance.auto_topup_mode = settings.mode
    balance.auto_topup_threshold, balance.auto_topup_amount = settings.threshold, settings.amount
    balance.auto_topup_daily_cap, balance.auto_topup_monthly_cap = settings.daily_cap, settings.monthly_cap
    db.session.flush()
    old = consents.as_values(before) if before else None
    audit.record("auto_topup.settings_saved", balance, old=old, new=consents.as_values(settings))


def switch_on(now: datetime) -> None:
    """Charge the saved card from now on; also ends a pause. Raises ``DomainError``."""
    balance = ledger.lock()
    settings = settings_of(balance)
    if settings is None:
        raise DomainError(_("Please set the threshold and the amounts first."))
    check(settings)
    if balance.stripe_payment_method_id is None or balance.auto_topup_consent_at is None:
        raise DomainError(_("Please save a card or a bank account first."), "consent")
    consents.demand(settings)
    consents.switch_on(balance)
    auto_topup_watch.watch(balance, now)


def switch_off() -> None:
    """Nothing new is charged. What is on its way comes to its end; settings and card stay."""
    balance = ledger.lock()
    if balance.auto_topup_enabled:
        outcome.switch_off(balance, "person")


# ---- How it stands ----------------------------------------------------------------------------------------


def situation(balance: PrepaidBalance, now: datetime) -> Situation:
    """All that the decision needs; two statements."""
    zone = stats.company_zone()
    today = stats.local_day(now, zone)
    day, month = (stats.day_limits(first, zone)[0] for first in (today, today.replace(day=1)))
    spent_today, spent_month, pending, in_flight = db.session.execute(_figures(day, month, now)).one()
    return Situation(
        available=ledger.available(balance),
        pending=pending or ZERO,
        spent_today=spent_today or ZERO,
        spent_month=spent_month or ZERO,
        in_flight=bool(in_flight),
        paused=is_paused(balance, now),
    )


def is_paused(balance: PrepaidBalance, now: datetime) -> bool:
    until = balance.auto_topup_paused_until
    return until is not None and until > now


def _figures(day: datetime, month: datetime, now: datetime) -> Any:
    """Refunded ones count: they have been charged. Of those that failed nothing was taken."""
    row, own = BalanceTopup, BalanceTopup.company_id == current_company_id()
    taken = (own, row.is_auto_topup.is_(True), row.status != "failed")
    is_open = row.status.in_(topups.OPEN)
    may_come = row.parked_reason.is_(None) & ((row.status == "processing") | (row.created_at > now - PAGE_COUNTS))
    counts = case((row.is_auto_topup.is_(True) | may_come, row.amount), else_=ZERO)
    return select(
        select(func.sum(row.amount)).where(*taken, row.created_at >= day).scalar_subquery(),
        select(func.sum(row.amount)).where(*taken, row.created_at >= month).scalar_subquery(),
        select(func.sum(counts)).where(own, is_open).scalar_subquery(),
        select(func.count(row.id)).where(own, is_open, row.is_auto_topup.is_(True)).scalar_subquery(),
    )


# ---- Charging ---------------------------------------------------------------------------------------------


def claim(now: datetime, seller: Seller, description: str) -> BalanceTopup | None:
    """Decide with the balance locked; the row of a top-up that is due now, to be charged once it is committed.

    ``description`` is what Stripe shows the payer.
    """
    balance, company = _rows()
    settings = settings_of(balance)
    if settings is None or not may_charge(balance, company):
        return None
    at = situation(balance, now)
    decision = decide(settings, at)
    if decision.verdict is not Verdict.TOP_UP:
        return None
    made = _write(balance, company, _quote(decision, company, seller), description, now)
    figures = {name: str(value) for name, value in vars(at).items()}
    audit.record(
        "auto_topup.started", made, new={"amount": str(made.amount), "gross": str(made.gross_amount), **figures}
    )
    return made


def may_charge(balance: PrepaidBalance, company: Company) -> bool:
    """On, with a saved card, with somebody's consent, for a company that is served."""
    return bool(
        balance.auto_topup_enabled
        and company.is_active
        and company.stripe_customer_id
        and balance.stripe_payment_method_id
        and balance.auto_topup_consent_at
    )


def _rows() -> tuple[PrepaidBalance, Company]:
    balance = ledger.lock()
    return balance, db.session.get_one(Company, current_company_id(), populate_existing=True)


def _quote(decision: Decision, company: Company, seller: Seller) -> TaxSplit:
    return topups.quote(decision.amount, company, small_business=seller.small_business, seller_country=seller.country)


def _write(balance: PrepaidBalance, company: Company, split: TaxSplit, description: str, now: datetime) -> BalanceTopup:
    """All that Stripe is told is kept here: asking again with the same key must say the same."""
    made = BalanceTopup(
        company_id=company.id,
        prepaid_balance_id=balance.id,
        amount=split.net,
        tax_rate=split.rate * 100,
        tax_amount=split.tax,
        gross_amount=split.gross,
        payment_method="stripe",
        payment_label=balance.payment_method_label,
        stripe_customer_id=company.stripe_customer_id,
        status="pending",
        is_auto_topup=True,
        form_key=_next_key(),
        topup_metadata=topups.tax_note(split, company)
        | {
            CARD: balance.stripe_payment_method_id,
            DESCRIPTION: description,
        },
        created_at=now,
        updated_at=now,
    )
    db.session.add(made)
    db.session.flush()
    return made


def _next_key() -> str:
    """The second guard besides the lock: whoever has not seen the newest automatic top-up writes its key again."""
    company_id = current_company_id()
    count = db.session.scalar(
        select(func.count(BalanceTopup.id)).where(
            BalanceTopup.company_id == company_id, BalanceTopup.is_auto_topup.is_(True)
        )
    )
    return f"auto:{company_id}:{(count or 0) + 1}"


def may_send(topup: BalanceTopup, now: datetime) -> bool:
    """Whether Stripe may be asked to charge this row, for the first time or again; else it may only be looked up.

    Whoever has switched off, set less, paid in person or taken another card meanwhile does not want it any more. Nor is
    it sent on another day than it was decided on: caps count that day.
    """
    balance, company = _rows()
    settings = settings_of(balance)
    if settings is None or card_of(topup) != balance.stripe_payment_method_id or not may_charge(balance, company):
        return False
    zone = stats.company_zone()
    same_day = stats.local_day(topup.created_at, zone) == stats.local_day(now, zone)
    return same_day and topup.created_at > now - MAY_SEND and _is_still_due(topup, settings, situation(balance, now))


def _is_still_due(topup: BalanceTopup, settings: Settings, at: Situation) -> bool:
    """Whether it would be decided again, at least as high, were it not there. ``at`` counts it."""
    without = replace(
        at,
        pending=at.pending - topup.amount,
        spent_today=at.spent_today - topup.amount,
        spent_month=at.spent_month - topup.amount,
        in_flight=False,
    )
    return decide(settings, without).amount >= topup.amount


def card_of(topup: BalanceTopup) -> str:
    return str((topup.topup_metadata or {})[CARD])


def description_of(topup: BalanceTopup) -> str:
    return str((topup.topup_metadata or {})[DESCRIPTION])


def low(now: datetime) -> list[int]:
    """Companies whose balance is below the threshold of their automatic top-up. Needs ``all_tenants``."""
    row = PrepaidBalance
    paused = row.auto_topup_paused_until
    return list(
        db.session.scalars(
            select(row.company_id)
            .where(row.auto_topup_enabled.is_(True), row.available_balance < row.auto_topup_threshold)
            .where(paused.is_(None) | (paused <= now))
            .order_by(row.company_id)
        )
    )


# ---- For its page -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pause:
    """Why nothing is charged for now. ``reason``: declined, rejected or authentication.

    ``until``: None until a top-up is paid in person, or it is switched on again.
    """

    reason: str
    until: datetime | None
    declines: int
    topup_id: int | None


@dataclass(frozen=True)
class Overview:
    """Everything about a company's automatic top-up. ``decision``: what it would do now, were it on."""

    settings: Settings | None
    on: bool
    card: str | None
    consent: consents.Consent | None
    pause: Pause | None
    situation: Situation
    decision: Decision | None
    in_flight: BalanceTopup | None
    recent: list[BalanceTopup]


def overview(now: datetime) -> Overview:
    """For the page; reads only."""
    balance = db.session.scalar(select(PrepaidBalance).execution_options(populate_existing=True))
    if balance is None:
        return Overview(None, False, None, None, None, _nothing(), None, None, [])
    settings, at, recent = settings_of(balance), situation(balance, now), _recent()
    return Overview(
        settings=settings,
        on=balance.auto_topup_enabled,
        card=(balance.payment_method_label or _("Saved payment method")) if balance.stripe_payment_method_id else None,
        consent=consents.current(balance),
        pause=_pause(balance, recent, now),
        situation=at,
        decision=decide(settings, at) if settings else None,
        in_flight=next((row for row in recent if row.status in topups.OPEN), None),
        recent=recent,
    )


def _nothing() -> Situation:
    return Situation(ZERO, ZERO, ZERO, ZERO, in_flight=False)


def _recent() -> list[BalanceTopup]:
    row = BalanceTopup
    newest = select(row).where(row.company_id == current_company_id(), row.is_auto_topup.is_(True))
    found = newest.order_by(row.created_at.desc(), row.id.desc()).limit(RECENT)
    return list(db.session.scalars(found.execution_options(populate_existing=True)))


def _pause(balance: PrepaidBalance, recent: list[BalanceTopup], now: datetime) -> Pause | None:
    if not is_paused(balance, now):
        return None
    until = balance.auto_topup_paused_until
    failed = next((row.id for row in recent if row.status == "failed"), None)
    if until == outcome.UNTIL_IN_PERSON:
        return Pause("authentication", None, balance.auto_topup_declines, failed)
    reason = "declined" if balance.auto_topup_declines else "rejected"
    return Pause(reason, until, balance.auto_topup_declines, failed)
