"""``flask worker``, ``flask inbox retry`` and ``flask secrets rotate``."""

from __future__ import annotations

import signal
from collections.abc import Callable

import click
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import select

from portal.db import EncryptedText, db, transaction, utcnow
from portal.jobs import worker
from portal.models import Company, PortalUser
from portal.tenancy import all_tenants
from portal.webhooks import inbox as webhook_inbox

log = structlog.get_logger()
ROUNDS: dict[str, tuple[int, Callable[[], object]]] = {
    "outbox": (2, lambda: worker.drain_outbox(utcnow())),
    "inbox": (5, lambda: worker.drain_inbox(utcnow())),
    "periodic": (5, lambda: worker.run_periodic(utcnow())),
    # Three side by side, so that one server that hardly answers holds up nobody else's recording.
    **{f"slow-{lane}": (2, lambda: worker.drain_slow(utcnow())) for lane in (1, 2, 3)},
}


@click.command("worker")
@click.option("--once", is_flag=True, help="One round of everything that is due, then stop.")
@with_appcontext
def work(once: bool) -> None:
    """Do what waits in the inbox, the outbox and the calendar of periodic jobs."""
    if once:
        worker.run_once()
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(len(ROUNDS))}, timezone="UTC")
    for name, (seconds, round_) in ROUNDS.items():
        scheduler.add_job(_in_app(app, name, round_), "interval", seconds=seconds, max_instances=1, coalesce=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: scheduler.shutdown(wait=False))
    log.info("worker started", holder=worker.HOLDER)
    scheduler.start()


def _in_app(app: Flask, name: str, round_: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with app.app_context():
            try:
                round_()
            except Exception as error:  # the database may be away for a while; the next round tries again
                log.exception("round failed", round=name, exc_info=error)

    return run


inbox = AppGroup("inbox", help="The webhook inbox.")


@inbox.command("retry")
@click.argument("event_ids", type=int, nargs=-1)
def retry(event_ids: tuple[int, ...]) -> None:
    """Handle events again: those named, or all that wait for another attempt."""
    waiting = list(event_ids) or webhook_inbox.waiting()
    for event_id in waiting:
        click.echo(f"{event_id}: {webhook_inbox.process(event_id)}")
    click.echo(f"{len(waiting)} looked at")


secrets = AppGroup("secrets", help="Secrets at rest.")


@secrets.command("rotate")
def rotate() -> None:
    """Write every stored secret anew with the first of ENCRYPTION_KEYS."""
    with all_tenants("the command line acts for the platform"):
        click.echo(f"{transaction(_rotate)} secrets written anew")


def _rotate() -> int:
    rows = [*db.session.scalars(select(Company)), *db.session.scalars(select(PortalUser))]
    return sum(
        secret.rotate(row) for row in rows for secret in vars(type(row)).values() if isinstance(secret, EncryptedText)
    )


COMMANDS = [work, inbox, secrets]
