"""One company's money as the operator sees it, and what the operator does to it. Inside that company's scope."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, select

from portal.db import db
from portal.domain import audit, balance, ledger, limits, movements, rates
from portal.domain.errors import DomainError
from portal.domain.movements import LedgerPage
from portal.models import BalanceTopup, BalanceTransaction, BillingRate, Call, CallCharge, Company
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
RATES = 20
TOPUPS = 10
EXAMPLE = 157  # seconds of the call that explains a rate


@dataclass(frozen=True)
class DatedRate:
    """A rate and where it stands: past, current or future."""

    row: BillingRate
    state: str


@dataclass(frozen=True)
class CompanyMoney:
    """Everything on a company's page."""

    company: Company
    standing: balance.Standing
    limits: limits.Standing
    rates: list[DatedRate]
    movements: LedgerPage
    topups: list[BalanceTopup]


@dataclass(frozen=True)
class Charged:
    """A call's charge and what of it can still be given back. Euros."""

    id: int
    call_id: int
    call_number: str
    started_at: datetime
    seconds: int
    amount: Decimal
    refunded: Decimal
    reason: str | None

    @property
    def left(self) -> Decimal:
        return self.amount - self.refunded


# ---- Showing ----------------------------------------------------------------------------------------------


def open_company(company: Company) -> None:
    """Write down that somebody has looked at this company's money. Needs a transaction."""
    audit.record("operator.company_opened", company, company_id=company.id)


def page(company: Company, place: movements.Place, now: datetime) -> CompanyMoney:
    return CompanyMoney(
        company=company,
        standing=balance.standing(now),
        limits=limits.standing(now),
        rates=dated_rates(now),
        movements=movements.ledger_page(movements.Filters(), place, named=False),
        topups=balance.recent_topups(TOPUPS),
    )


def dated_rates(now: datetime) -> list[DatedRate]:
    """Newest first: what is to come, what is in force, what was."""
    rows = db.session.scalars(select(BillingRate).order_by(BillingRate.valid_from.desc()).limit(RATES))
    return [DatedRate(row, _state(row, now)) for row in rows]


def _state(row: BillingRate, now: datetime) -> str:
    if row.valid_from > now:
        return "future"
    return "past" if row.valid_until is not None and row.valid_until <= now else "current"


def charged(call_id: int) -> Charged | None:
    """The charge of one of the current company's calls."""
    found = db.session.execute(_charged_query().where(Call.id == call_id)).first()
    return None if found is None else Charged(*found)


def find_call(text: str) -> int | None:
    """The call of this number: ours, or Retell's."""
    text = text.strip()[:255]
    if not text:
        return None
    match = Call.call_id == text
    if text.isascii() and text.isdigit() and len(text) < 19:
        match = (Call.id == int(text)) | match
    return db.session.scalar(select(Call.id).where(match).order_by(Call.id).limit(1))


def _charged_query() -> Select[*tuple[Any, ...]]:
    row = CallCharge
    return select(
        row.id, Call.id, Call.call_id, Call.started_at, row.duration_seconds, row.amount_charged,
        row.refunded_amount, row.refund_reason,
    ).join(Call, Call.id == row.call_id)  # fmt: skip


# ---- Doing ------------------------------------------------------------------------------------------------


def set_rate(new: rates.NewRate, now: datetime) -> BillingRate:
    """Like ``rates.set_rate``, but the same price twice in a row is a form that was sent twice."""
    known = rates.in_force(new.valid_from)
    if known is not None and _same(known, new):
        raise DomainError(_("Exactly this price is in force then already."), "rate")
    return rates.set_rate(new, now)


def _same(known: BillingRate, new: rates.NewRate) -> bool:
    return (known.rate_per_minute, known.increment_seconds, known.minimum_charge, known.setup_fee) == (
        new.rate_per_minute,
        new.increment_seconds,
        new.minimum_charge,
        new.setup_fee,
    )


def adjust(amount: Decimal, reason: str, form_key: str, now: datetime) -> BalanceTransaction:
    """Give (positive) or take (negative). The same form twice is one movement; a changed form is another wish."""
    return ledger.adjust(amount, reason, _key("adjust", amount, form_key), now)


def check_adjustment(amount: Decimal, available: Decimal) -> None:
    """Refuse on the first page what the ledger would refuse on the second."""
    if amount < 0 and available + amount < 0:
        raise ledger.NotEnoughError(_("The balance does not hold this much."), "amount")


def credit_call(call_id: int, amount: Decimal, reason: str, form_key: str, now: datetime) -> BalanceTransaction:
    """Give back a call's price or a part of it; the same form twice is one credit. Raises ``DomainError``."""
    ledger.lock()
    known = charged(call_id)
    if known is None:
        raise DomainError(_("This call has not been charged."), "amount")
    return ledger.credit_call(known.id, amount, reason, _key(f"call:{known.id}", amount, form_key), now)


def _key(what: str, amount: Decimal, form_key: str) -> str:
    # With the company, because references are unique across companies and keys come from browsers.
    return hashlib.sha256(f"{current_company_id()}:{what}:{amount}:{form_key}".encode()).hexdigest()[:32]
