"""Months of a ledger as tests of statements need them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from portal.db import db
from portal.domain import ledger
from portal.domain.statement import Month
from portal.models import BalanceTransaction, Call
from tests.cast import Firm
from tests.factories import make_call, within

ZONE = "Europe/Berlin"


def give(firm: Firm, euros: str, at: datetime) -> BalanceTransaction:
    """A credit, or a deduction where negative."""
    return within(firm, lambda: ledger.adjust(Decimal(euros), "Kulanz", f"{at.isoformat()}{euros}", at))


def talk(firm: Firm, at: datetime, seconds: int = 157, **values: Any) -> Call:
    """A call that was charged at this moment: 157 s are 1.10 €."""
    call = make_call(firm, duration_seconds=seconds, started_at=at - timedelta(minutes=10), **values)
    within(firm, lambda: ledger.charge(db.session.get_one(Call, call.id), at))
    return call


def noon(month: Month, day: int) -> datetime:
    return month.start + timedelta(days=day - 1, hours=12)
