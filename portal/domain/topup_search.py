"""Which top-up is meant: by its payment page, its payment, or the names that Stripe keeps for us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select

from portal.db import db
from portal.models import BalanceTopup, Company

# Who was sent to Stripe and never came back is asked for after this long, a debit less often: it takes days.
ASK_AGAIN = {"pending": timedelta(minutes=2), "processing": timedelta(hours=1)}


@dataclass(frozen=True)
class Found:
    """One of our top-ups, named by something of Stripe's."""

    topup_id: int
    company_id: int
    session_id: str | None
    intent_id: str | None = None
    automatic: bool = False


def find(*, session_id: str | None = None, intent_id: str | None = None) -> Found | None:
    """The top-up of a payment page or of a payment. Needs ``all_tenants``."""
    column = BalanceTopup.stripe_session_id if session_id else BalanceTopup.stripe_payment_intent_id
    return _found(select(BalanceTopup).where(column == (session_id or intent_id)))


def find_named(topup_id: int, tenant_id: str) -> Found | None:
    """The top-up that Stripe's metadata name, if it is that company's. Needs ``all_tenants``."""
    return _found(
        select(BalanceTopup)
        .join(Company, Company.id == BalanceTopup.company_id)
        .where(BalanceTopup.id == topup_id, Company.tenant_id == tenant_id)
    )


def may_come(topup_id: int, tenant_id: str) -> bool:
    """Whether a top-up that is not here may still come: its company is, and nobody else's has that number.

    A Stripe account may serve several installations. Needs ``all_tenants``.
    """
    served = db.session.scalar(select(Company.id).where(Company.tenant_id == tenant_id)) is not None
    taken = db.session.scalar(select(BalanceTopup.id).where(BalanceTopup.id == topup_id)) is not None
    return served and not taken


def _found(query: Any) -> Found | None:
    row = db.session.scalar(query)
    return None if row is None else _named(row)


def due(now: datetime, limit: int = 50) -> list[Found]:
    """Open top-ups that nobody has asked Stripe about for a while. Needs ``all_tenants``."""
    stale = or_(
        *(
            and_(BalanceTopup.status == status, BalanceTopup.updated_at <= now - patience)
            for status, patience in ASK_AGAIN.items()
        )
    )
    rows = db.session.scalars(
        select(BalanceTopup)
        .where(stale, BalanceTopup.payment_method == "stripe")
        .order_by(BalanceTopup.updated_at)
        .limit(limit)
    )
    return [_named(row) for row in rows]


def _named(row: BalanceTopup) -> Found:
    return Found(row.id, row.company_id, row.stripe_session_id, row.stripe_payment_intent_id, row.is_auto_topup)
