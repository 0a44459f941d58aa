"""Tariffs of a company: which one is in force when, and how a new one takes over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from flask_babel import gettext as _
from sqlalchemy import or_, select

from portal.db import db
from portal.domain import audit
from portal.domain.errors import DomainError
from portal.domain.pricing import Tariff
from portal.models import BillingRate, PrepaidBalance
from portal.tenancy import current_company_id

MOST_PER_MINUTE = Decimal("99.9999")


@dataclass(frozen=True)
class NewRate:
    """Euros a minute, seconds of one billing step, euros a call; in force from ``valid_from`` on."""

    rate_per_minute: Decimal
    valid_from: datetime
    increment_seconds: int = 1
    minimum_charge: Decimal = Decimal("0.00")
    setup_fee: Decimal = Decimal("0.00")


def in_force(at: datetime) -> BillingRate | None:
    """The current company's rate at this moment."""
    return db.session.scalar(
        select(BillingRate)
        .where(BillingRate.valid_from <= at, or_(BillingRate.valid_until.is_(None), BillingRate.valid_until > at))
        .order_by(BillingRate.valid_from.desc())
        .limit(1)
    )


def tariff(rate: BillingRate) -> Tariff:
    """The same as plain values, for ``pricing``."""
    return Tariff(
        rate.rate_per_minute, rate.increment_seconds, rate.minimum_charge, rate.setup_fee, valid_from=rate.valid_from
    )


def set_rate(new: NewRate, now: datetime) -> BillingRate:
    """Let a rate begin; the one before it ends in the same moment, so that none overlap and no gap opens.

    Only a gap can be filled backwards: what has been in force already stays as it was. Raises ``DomainError``.
    """
    # The balance's row is the company's one lock for money: two rates set at once come one after the other.
    db.session.execute(select(PrepaidBalance.id).with_for_update())
    _check(new, now)
    before, after = in_force(new.valid_from), _next_after(new.valid_from)
    if before is not None:
        if before.valid_from == new.valid_from:
            raise DomainError(_("A rate begins at this very moment already."), "valid_from")
        before.valid_until = new.valid_from
        db.session.flush()
    rate = BillingRate(
        company_id=current_company_id(),
        rate_per_minute=new.rate_per_minute,
        increment_seconds=new.increment_seconds,
        minimum_charge=new.minimum_charge,
        setup_fee=new.setup_fee,
        valid_from=new.valid_from,
        valid_until=after.valid_from if after else None,
    )
    db.session.add(rate)
    db.session.flush()
    audit.record("rate.set", rate, old=_as_values(before), new=_as_values(rate))
    return rate


def _check(new: NewRate, now: datetime) -> None:
    tariff_of_new = Tariff(new.rate_per_minute, new.increment_seconds, new.minimum_charge, new.setup_fee)
    if tariff_of_new.rate_per_minute > MOST_PER_MINUTE:
        raise DomainError(_("This rate is too high."), "rate")
    if new.valid_from < now and in_force(new.valid_from) is not None:
        raise DomainError(_("Another rate was in force then. A new one can begin now at the earliest."), "valid_from")


def _next_after(moment: datetime) -> BillingRate | None:
    return db.session.scalar(
        select(BillingRate).where(BillingRate.valid_from > moment).order_by(BillingRate.valid_from).limit(1)
    )


def _as_values(rate: BillingRate | None) -> dict[str, str | int | None] | None:
    if rate is None:
        return None
    return {
        "rate_per_minute": str(rate.rate_per_minute),
        "increment_seconds": rate.increment_seconds,
        "minimum_charge": str(rate.minimum_charge),
        "setup_fee": str(rate.setup_fee),
        "valid_from": rate.valid_from.isoformat(),
        "valid_until": rate.valid_until.isoformat() if rate.valid_until else None,
    }
