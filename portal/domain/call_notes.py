"""Notes about a call: who wrote what when. Each may change and delete their own."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.domain import audit, call_deeds
from portal.domain.call_deeds import Person
from portal.domain.customers import SAME_FORM
from portal.domain.errors import DomainError
from portal.domain.followup_work import TEXT
from portal.domain.transcripts import clean
from portal.models import CallNote

SHOWN = 100
# A row is written in one go, its two times within this.
AT_ONCE = timedelta(seconds=1)


class NotYoursError(Exception):
    """Somebody else has written it."""


def of(call_id: int) -> list[CallNote]:
    """The notes of a call with their authors, the newest first."""
    query = select(CallNote).where(CallNote.call_id == call_id).options(joinedload(CallNote.author))
    return list(db.session.scalars(query.order_by(CallNote.id.desc()).limit(SHOWN)))


def was_edited(note: CallNote) -> bool:
    return note.updated_at - note.created_at > AT_ONCE


def add(call_id: int, body: str, by: Person, now: datetime) -> CallNote:
    """Write a note; the same form sent twice makes one. Needs a transaction; raises ``DomainError``."""
    text = _checked(body)
    call = call_deeds.locked(call_id, by)  # so that of two equal forms the second sees the first
    if call is None:
        raise DomainError(_("This call is no longer there."))
    if (known := _just_written(call_id, text, by, now)) is not None:
        return known
    note = CallNote(
        company_id=call.company_id, call_id=call.id, author_id=by.id, body=text, created_at=now, updated_at=now
    )
    db.session.add(note)
    db.session.flush()
    return note


def _just_written(call_id: int, text: str, by: Person, now: datetime) -> CallNote | None:
    query = select(CallNote).where(
        CallNote.call_id == call_id, CallNote.author_id == by.id, CallNote.created_at > now - SAME_FORM
    )
    # Compared in Python: the two engines do not agree on which letters are equal.
    return next((note for note in db.session.scalars(query) if note.body == text), None)


def edit(call_id: int, note_id: int, body: str, by: Person, now: datetime) -> None:
    """Raises ``DomainError`` for no text, :class:`NotYoursError` for a colleague's note."""
    text, note = _checked(body), _own(call_id, note_id, by)
    if note.body != text:
        note.body, note.updated_at = text, now
        audit.record("call_note.changed", note, new={"call_id": call_id})


def delete(call_id: int, note_id: int, by: Person) -> None:
    """Raises :class:`NotYoursError` for a colleague's note."""
    note = _own(call_id, note_id, by)
    audit.record("call_note.deleted", note, old={"call_id": call_id})
    db.session.delete(note)


def find(call_id: int, note_id: int) -> CallNote | None:
    return db.session.scalar(select(CallNote).where(CallNote.id == note_id, CallNote.call_id == call_id))


def _own(call_id: int, note_id: int, by: Person) -> CallNote:
    note = find(call_id, note_id)
    if note is None:
        raise DomainError(_("This note is no longer there."))
    if note.author_id != by.id:
        raise NotYoursError
    return note


def _checked(body: str) -> str:
    text = clean(body.strip())
    if not text:
        raise DomainError(_("Please write something first."), "body")
    if len(text) > TEXT:
        raise DomainError(_("Please keep the note below %(most)s characters.", most=TEXT), "body")
    return text
