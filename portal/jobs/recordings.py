"""Fetches recordings into our own store as soon as a call is over, and keeps the store tidy.

Downloads have a lane of their own (see ``worker.drain_slow``): a slow one holds up no mail and no charge.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import structlog

from portal import settings
from portal.clients import recordings as provider
from portal.clients.recordings import Fetched
from portal.clients.retell import RetellProblem
from portal.db import db, transaction, utcnow
from portal.domain import recordings, waveform
from portal.domain.recordings import Wanted
from portal.domain.transcripts import clean
from portal.jobs import retell
from portal.tenancy import all_tenants

T = TypeVar("T")
log = structlog.get_logger()
PROBLEMS: dict[type[provider.FetchError], str] = {
    provider.RefusedError: "refused",
    provider.TooLargeError: "too_large",
    provider.NotAudioError: "not_audio",
    provider.GoneError: "gone",
    provider.AwayError: "away",
}
# A file is somebody's by then, or nobody's.
ORPHANED, UNFINISHED = 24 * 3600.0, 3600.0  # seconds
# A sweep that would take more than this share of the files has got the wrong folder or the wrong database.
MOST_SWEPT, FEW = 0.5, 20


def fetch(payload: dict[str, Any]) -> None:
    """Fetch one recording. What goes wrong on the other side is noted and tried again here, not by the outbox."""
    wanted = recordings.wanted(int(payload["recording_id"]))
    db.session.rollback()  # nothing is held open while we wait for somebody else
    if wanted is None:
        return
    try:
        path, fetched = _download(wanted)
    except provider.FetchError as error:
        log.warning("recording not fetched", recording_id=wanted.id, problem=type(error).__name__, error=str(error))
        _missed(wanted, PROBLEMS[type(error)])
    else:
        _keep(wanted, path, fetched)


def _download(wanted: Wanted) -> tuple[str, Fetched]:
    """Into the store, whole or not at all; returns the path there."""
    with recordings.store().incoming() as incoming:
        fetched = provider.fetch(wanted.url, incoming.file, trusted=settings().recording_hosts)
        incoming.file.flush()
        with incoming.draft.open("rb") as file:
            sound = waveform.read(file) if fetched.content_type == "audio/wav" else None
        return incoming.keep(sound.as_details() if sound else None), fetched


def _keep(wanted: Wanted, path: str, fetched: Fetched) -> None:
    now = utcnow()
    kept = transaction(lambda: recordings.keep(wanted.id, wanted.url, path, fetched.content_type, fetched.size, now))
    if not kept:  # deleted meanwhile, or fetched by somebody else
        recordings.store().remove(path)


def _missed(wanted: Wanted, problem: str) -> None:
    fresh = _ask_anew(wanted) if problem == "gone" else None
    if fresh is None or not transaction(lambda: recordings.renew(wanted.id, fresh)):
        transaction(lambda: recordings.missed(wanted.id, problem))


def _ask_anew(wanted: Wanted) -> str | None:
    """A fresh link from the provider, where the company has a key that may be used."""
    account = retell.account()
    if account is None:
        return None
    try:
        call = account.client.get_call(wanted.call_id)
    except RetellProblem as problem:
        log.warning("no fresh link to a recording", recording_id=wanted.id, error=problem.message)
        return None
    address = clean((call or {}).get("recording_url"), 2000).strip()
    return address if address.startswith(("https://", "http://")) else None


# ---- Tidying --------------------------------------------------------------------------------------------------


def tidy(now: datetime) -> None:
    """Delete files that belong to nobody: half ones, and those whose row was deleted or never committed."""
    given_up = _in_transaction(lambda: recordings.give_up(now))
    store = recordings.store()
    drafts = store.drop_drafts(UNFINISHED)
    orphans, files = _orphans()
    if len(orphans) > max(FEW, MOST_SWEPT * files):
        log.error("the folder of recordings is not this database's", files=files, unknown=len(orphans))
        return
    for path in orphans:
        store.remove(path)
    log.info("recordings tidied", given_up=given_up, drafts=drafts, orphans=len(orphans))


def _orphans() -> tuple[list[str], int]:
    """Files that no recording names although they are old enough, and how many files there are."""
    store, orphans, files = recordings.store(), [], 0
    with all_tenants("the store holds every company's files"):
        known = recordings.known_paths()
    db.session.rollback()
    for paths in store.shards():
        files += len(paths)
        orphans += [path for path in paths if path not in known and store.age(path) > ORPHANED]
    return orphans, files


def _in_transaction(work: Callable[[], T]) -> T:
    def within() -> T:
        with all_tenants("the worker serves every company"):
            return work()

    return transaction(within)


OUTBOX = {recordings.FETCH: fetch}
SLOW = {recordings.FETCH}
PERIODIC = {"recordings.tidy": (24 * 3600, tidy)}
