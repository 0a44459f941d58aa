"""Setting what calls may cost, what happens then, and when people are told. Every change is in the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import select

from portal import formats
from portal.db import db
from portal.domain import amounts, audit, ledger, limits, phones
from portal.domain.errors import DomainError
from portal.domain.limits import Choice, Rules
from portal.models import Company, PhoneNumber, PrepaidBalance

ZERO = Decimal("0.00")
ACTIONS = ("forward", "message", "grace")
MOST_GRACE = Decimal(100)
MOST_THRESHOLDS = 5
HIGHEST_THRESHOLD = amounts.HIGHEST_TOPUP


@dataclass(frozen=True)
class Wish:
    """What somebody asks for. A field that belongs to a choice which is not taken changes nothing."""

    action: str
    forward_to: str = ""
    grace: Decimal | None = None
    daily: Decimal | None = None
    monthly: Decimal | None = None


def save(wish: Wish) -> Rules:
    """Set the choice and the limits, all or none. Raises ``DomainError`` beside its field."""
    company, balance = _locked()
    old = limits.rules_of(company, balance)
    _check_limits(wish.daily, wish.monthly)
    new = replace(old, choice=_choice(wish, old.choice, company), daily=wish.daily, monthly=wish.monthly)
    company.exhausted_action, company.forward_to = new.choice.action, new.choice.forward_to
    balance.grace_amount = new.choice.grace
    balance.daily_spending_limit, balance.monthly_spending_limit = new.daily, new.monthly
    return _saved(balance, old, new)


def add_threshold(amount: Decimal, now: datetime) -> Rules:
    """Tell people when the balance falls below this amount. Raises ``DomainError`` beside ``threshold``."""
    company, balance = _locked()
    old = limits.rules_of(company, balance)
    if not ZERO < amount <= HIGHEST_THRESHOLD:
        raise DomainError(_("Please enter an amount up to %(most)s.", most=_euros(HIGHEST_THRESHOLD)), "threshold")
    if amount in old.thresholds:
        raise DomainError(_("There is an alert at this amount already."), "threshold")
    if len(old.thresholds) >= MOST_THRESHOLDS:
        raise DomainError(_("At most %(count)s alerts are possible.", count=MOST_THRESHOLDS), "threshold")
    return _set_thresholds(company, balance, old, {*old.thresholds, amount}, now)


def drop_threshold(amount: Decimal, now: datetime) -> Rules:
    """The same without this one; nothing happens if it is not there."""
    company, balance = _locked()
    old = limits.rules_of(company, balance)
    return _set_thresholds(company, balance, old, {*old.thresholds} - {amount}, now)


def _locked() -> tuple[Company, PrepaidBalance]:
    """The balance first, as everywhere; then the company, whose settings other pages change as well."""
    balance = ledger.lock()
    company = db.session.scalars(
        select(Company)
        .where(Company.id == balance.company_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    return company, balance


def _set_thresholds(
    company: Company, balance: PrepaidBalance, old: Rules, wanted: Iterable[Decimal], now: datetime
) -> Rules:
    new = replace(old, thresholds=tuple(sorted(wanted, reverse=True)))
    highest, *further = new.thresholds or (ZERO,)
    balance.low_balance_alert_threshold = highest
    company.settings = (company.settings or {}) | {limits.SETTING: [str(amount) for amount in further]}
    # Whoever sets a threshold above the balance sees so on the page, and needs no message.
    below = balance.current_balance < highest
    balance.low_balance_alert_sent_at = (balance.low_balance_alert_sent_at or now) if below else None
    return _saved(balance, old, new)


def _saved(balance: PrepaidBalance, old: Rules, new: Rules) -> Rules:
    db.session.flush()
    before, after = _values(old), _values(new)
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        audit.record(
            "balance.limits_changed",
            balance,
            old={name: before[name] for name in changed},
            new={name: after[name] for name in changed},
        )
    return new


def _values(rules: Rules) -> dict[str, Any]:
    return {
        "exhausted_action": rules.choice.action,
        "forward_to": rules.choice.forward_to,
        "grace_amount": str(rules.choice.grace),
        "daily_spending_limit": None if rules.daily is None else str(rules.daily),
        "monthly_spending_limit": None if rules.monthly is None else str(rules.monthly),
        "balance_alerts": [str(threshold) for threshold in rules.thresholds],
    }


# ---- What is refused --------------------------------------------------------------------------------------


def _choice(wish: Wish, old: Choice, company: Company) -> Choice:
    if wish.action not in ACTIONS:
        raise DomainError(_("Please choose one of these."), "action")
    forward_to = _number(wish.forward_to, company) if wish.action == "forward" else old.forward_to
    grace = _grace(wish.grace) if wish.action == "grace" else old.grace
    return Choice(wish.action, forward_to, grace)


def _number(typed: str, company: Company) -> str:
    number = phones.normalise(typed, company.country)
    if number is None:
        raise DomainError(_("Please enter a phone number with its area code, such as 030 22334455."), "forward_to")
    if db.session.scalar(select(PhoneNumber.id).where(PhoneNumber.number_e164 == number, PhoneNumber.is_active)):
        raise DomainError(
            _("The receptionist answers this number itself, so calls would go round in circles."), "forward_to"
        )
    return number


def _grace(amount: Decimal | None) -> Decimal:
    if amount is None or amount <= ZERO:
        raise DomainError(_("Please enter how far the balance may go below zero."), "grace")
    if amount > MOST_GRACE:
        raise DomainError(_("Please enter an amount up to %(most)s.", most=_euros(MOST_GRACE)), "grace")
    return amount


def _check_limits(daily: Decimal | None, monthly: Decimal | None) -> None:
    for field, amount in (("daily", daily), ("monthly", monthly)):
        if amount is not None and amount <= ZERO:
            raise DomainError(_("Please enter an amount above zero, or nothing for no limit."), field)
    if daily is not None and monthly is not None and monthly < daily:
        raise DomainError(_("The limit of the month is below the limit of a day."), "monthly")


def _euros(amount: Decimal) -> str:
    return formats.money(amount, get_locale().language)
