"""Does every cent add up? Asked every night, and whenever an operator wants to know."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal import reconciliation
from portal.db import transaction
from portal.domain import reconciliation as runs


def reconcile(payload: dict[str, Any]) -> None:
    """One run; what it finds is kept in its own job."""
    reconciliation.run(str(payload["run"]))


def every_night(now: datetime) -> None:
    """Ask for this night's run, once it is due."""
    transaction(lambda: runs.ask_nightly(now))


OUTBOX = {runs.KIND: reconcile}
PERIODIC = {"reconciliation": (15 * 60, every_night)}
# It takes as long as the ledger is long: mails need not wait for it.
SLOW = {runs.KIND}
