"""Notices that a balance has fallen below the threshold of its automatic top-up. The worker decides and charges."""

from __future__ import annotations

from datetime import datetime

from portal.domain import outbox
from portal.models import PrepaidBalance
from portal.tenancy import current_company_id

KIND = "auto_topup.look"


def watch(balance: PrepaidBalance, now: datetime) -> None:
    """Called by the ledger after each movement and hold, with the balance locked: looks at this row only."""
    if is_wanted(balance, now):
        look_soon()


def look_soon() -> None:
    """Let the worker decide for the current company; asked for many times, it looks once."""
    company_id = current_company_id()
    outbox.enqueue(KIND, {}, company_id=company_id, dedupe_key=f"{KIND}:{company_id}")


def is_wanted(balance: PrepaidBalance, now: datetime) -> bool:
    """Whether it is worth a closer look. The generated column is only read again after the transaction."""
    threshold, paused = balance.auto_topup_threshold, balance.auto_topup_paused_until
    if not balance.auto_topup_enabled or threshold is None or (paused is not None and paused > now):
        return False
    return balance.current_balance - balance.reserved_balance < threshold
