"""The sound of calls: fetched at once into our own store, kept for as long as the company says, every listening noted.

A recording is ``pending`` until the worker has it, then ``stored``; ``failed`` says in ``error`` what went wrong, and
``deleted`` what it was deleted for. These words are keys; :mod:`portal.domain.recording_pages` has them for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from portal.clients.recording_store import Store
from portal.db import after_commit, db
from portal.domain import audit, outbox
from portal.models import Call, Recording, RecordingAccess
from portal.tenancy import current_company_id

FETCH = "recording.fetch"
# After these many seconds it is tried again. The provider's link may be dead after ten minutes; then it is asked anew.
AGAIN = (5, 15, 30, 60, 120, 300, 900, 3600)
# Trying again would change nothing.
FINAL = {"refused", "too_large", "not_audio"}
OBJECTED = "objected"
# One listening is one entry, however often a player asks for further pieces.
LISTENING = timedelta(minutes=30)
# Nothing is fetched for so long: whoever was to do it has given up.
GIVEN_UP = timedelta(days=1)
NO = {"no", "false", "0", "nein", "denied", "declined", "refused", "objected", "abgelehnt", "widersprochen"}

_store: Store | None = None


def configure(files: Store) -> None:
    """Set where the files are kept from now on."""
    global _store
    _store = files


def store() -> Store:
    assert _store is not None, "recordings.configure() was not called"
    return _store


@dataclass(frozen=True)
class Wanted:
    """A recording that is to be fetched. ``call_id`` is the provider's."""

    id: int
    call_id: str
    url: str


# ---- What a report brings -------------------------------------------------------------------------------------


def take_over(call: Call, now: datetime) -> None:
    """See to the recording that a report of this call names. The call's row is locked by the caller."""
    recording = of_call(call.id)
    if objected(call):
        _forget(call, recording, now)
    elif recording is not None and recording.status == "deleted":
        call.recording_url = None  # what was deleted does not come back with a late report
    elif call.recording_url and recording is None:
        recording = Recording(company_id=call.company_id, call_id=call.id, source_url=call.recording_url)
        db.session.add(recording)
        db.session.flush()
        _ask_for(recording)
    elif call.recording_url and recording is not None and call.recording_url != recording.source_url:
        _try_another(recording, call.recording_url)


def of_call(call_id: int) -> Recording | None:
    return db.session.scalar(select(Recording).where(Recording.call_id == call_id))


def objected(call: Call) -> bool:
    """Whether the caller did not want to be recorded, as the analysis or the agent's variables tell."""
    for source in (call.custom_data, call.dynamic_variables):
        said = (source or {}).get("recording_consent")
        if said is not None:
            return said is False or str(said).strip().casefold() in NO
    return False


def _forget(call: Call, recording: Recording | None, now: datetime) -> None:
    if recording is not None and recording.status != "deleted":
        delete(recording, now, OBJECTED)
    elif recording is None and call.recording_url:
        told = {"status": "deleted", "error": OBJECTED, "deleted_at": now}
        db.session.add(Recording(company_id=call.company_id, call_id=call.id, **told))
    call.recording_url = None


def _try_another(recording: Recording, url: str) -> None:
    """Another address than the one we had: worth another row of attempts, unless we have the sound already."""
    if recording.status in {"pending", "failed"}:
        recording.source_url, recording.status, recording.attempts, recording.error = url, "pending", 0, None
        _ask_for(recording)


def _ask_for(recording: Recording, seconds: int = 0) -> None:
    outbox.enqueue(
        FETCH,
        {"recording_id": recording.id},
        company_id=recording.company_id,
        dedupe_key=f"{FETCH}:{recording.id}",
        after=timedelta(seconds=seconds),
    )


# ---- Fetching -------------------------------------------------------------------------------------------------


def wanted(recording_id: int) -> Wanted | None:
    """What is to be fetched; None where that is done, deleted or given up."""
    row = db.session.execute(
        select(Recording.id, Call.call_id, Recording.source_url)
        .join(Call, Call.id == Recording.call_id)
        .where(Recording.id == recording_id, Recording.status == "pending", Recording.source_url.is_not(None))
    ).one_or_none()
    return Wanted(row[0], row[1], row[2] or "") if row else None


def keep(recording_id: int, url: str, path: str, content_type: str, size: int, now: datetime) -> bool:
    """Note that the file of this address is in our store; False when it is not wanted any more."""
    recording = _locked(recording_id)
    if recording is None or recording.status != "pending" or recording.source_url != url:
        return False
    recording.status, recording.path, recording.stored_at = "stored", path, now
    recording.content_type, recording.size, recording.error = content_type, size, None
    return True


def missed(recording_id: int, problem: str) -> str | None:
    """Note an attempt that brought nothing; returns the status it has now. It is tried again while that helps."""
    recording = _locked(recording_id)
    if recording is None or recording.status != "pending":
        return None
    recording.attempts += 1
    recording.error = problem
    if problem in FINAL or recording.attempts > len(AGAIN):
        recording.status = "failed"
    else:
        _ask_for(recording, AGAIN[recording.attempts - 1])
    return recording.status


def renew(recording_id: int, url: str) -> bool:
    """Go on with a fresh address of the same recording; False when it is the one that we had."""
    recording = _locked(recording_id)
    if recording is None or recording.status != "pending" or recording.source_url == url:
        return False
    recording.source_url = url
    recording.attempts += 1
    if recording.attempts > len(AGAIN):
        return False
    db.session.execute(update(Call).where(Call.id == recording.call_id).values(recording_url=url))
    _ask_for(recording)
    return True


def give_up(now: datetime) -> int:
    """Those that wait although nobody will come for them any more have failed; how many there were."""
    late = select(Recording).where(Recording.status == "pending", Recording.updated_at < now - GIVEN_UP)
    found = db.session.scalars(late.with_for_update()).all()
    for recording in found:
        recording.status, recording.error = "failed", recording.error or "away"
    return len(found)


def _locked(recording_id: int) -> Recording | None:
    return db.session.scalar(
        select(Recording)
        .where(Recording.id == recording_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


# ---- Deleting -------------------------------------------------------------------------------------------------


def delete(recording: Recording, now: datetime, reason: str = "") -> None:
    """Delete the sound and all that leads to it; who had listened stays on record. A second time changes nothing.

    The file goes once the transaction is committed; should that fail, the next sweep finds it.
    """
    if recording.status == "deleted":
        return
    path = recording.path
    recording.status, recording.deleted_at, recording.error = "deleted", now, reason or None
    recording.path = recording.source_url = recording.content_type = recording.size = None
    db.session.execute(update(Call).where(Call.id == recording.call_id).values(recording_url=None))
    audit.record("recording.deleted", recording, new={"call_id": recording.call_id, "reason": reason or None})
    if path is not None:
        after_commit(lambda: store().remove(path))


def delete_of_calls(calls: Sequence[int], now: datetime, reason: str) -> None:
    """Delete the recordings of these calls."""
    kept = select(Recording).where(Recording.call_id.in_(calls), Recording.status != "deleted")
    for recording in db.session.scalars(kept):
        delete(recording, now, reason)


def known_paths() -> set[str]:
    """The files that belong to a recording. All at once: without an index a look at one is a look at all."""
    query = select(Recording.path).where(Recording.path.is_not(None)).execution_options(yield_per=10_000)
    return {path for path in db.session.scalars(query) if path}


# ---- Who has heard it -----------------------------------------------------------------------------------------


def readable(call_id: int, branch_ids: list[int] | None) -> tuple[Call, Recording | None] | None:
    """A call and its recording; None where the reader is bound to other branches."""
    query = select(Call, Recording).outerjoin(Recording, Recording.call_id == Call.id).where(Call.id == call_id)
    query = query.options(joinedload(Call.branch), joinedload(Call.customer))
    if branch_ids is not None:
        query = query.where(Call.branch_id.in_(branch_ids))
    row = db.session.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def is_noted(recording_id: int, now: datetime) -> bool:
    """Whether this person's listening is on record already."""
    query = select(RecordingAccess.id).where(
        RecordingAccess.recording_id == recording_id,
        RecordingAccess.portal_user_id == audit.actor().user_id,
        RecordingAccess.kind == "listen",
        RecordingAccess.created_at > now - LISTENING,
    )
    return db.session.scalar(query.limit(1)) is not None


def note_listening(recording_id: int, now: datetime) -> None:
    """Write down that somebody listens, once; two requests at the same moment are one listening."""
    if _locked(recording_id) is not None and not is_noted(recording_id, now):
        _note(recording_id, "listen", None, now)


def note_download(recording_id: int, reason: str, now: datetime) -> None:
    _note(recording_id, "download", reason, now)


def _note(recording_id: int, kind: str, reason: str | None, now: datetime) -> None:
    who = audit.actor()
    db.session.add(
        RecordingAccess(
            company_id=current_company_id(),
            recording_id=recording_id,
            portal_user_id=who.user_id,
            kind=kind,
            reason=reason,
            ip_address=who.ip_address,
            created_at=now,
        )
    )
