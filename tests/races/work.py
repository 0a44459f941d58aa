"""The worker, in the test's own process."""

from __future__ import annotations

from datetime import timedelta

from portal.db import db
from portal.jobs import worker
from tests.clock import clock_ahead

A_MINUTE = timedelta(minutes=1)  # every job by the clock that matters here is due again then
ROUNDS = 3  # an invoice makes a file, the file makes a mail, and the mail is sent


def run_worker(later: timedelta) -> None:
    """Rounds of everything that is due by then, as many as one thing needs that leads to another."""
    db.session.rollback()
    for number in range(ROUNDS):
        with clock_ahead(later + number * A_MINUTE):
            worker.run_once()
    db.session.remove()
