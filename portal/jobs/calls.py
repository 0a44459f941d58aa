"""Calls that could not be charged when they ended, because no price was set for their time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.db import db, transaction, utcnow
from portal.domain import calls, ledger
from portal.models import Call


def charge(payload: dict[str, Any]) -> None:
    """Charge one call. Raises ``NoRateError`` while there is still no price, so that it is tried again."""
    transaction(lambda: _charge(int(payload["call_id"]), utcnow()))


def _charge(call_id: int, now: datetime) -> None:
    ledger.lock()
    ledger.charge(db.session.get_one(Call, call_id), now)


OUTBOX = {calls.CHARGE_LATER: charge}
