"""Everything that stands on the page of one call, gathered for its templates."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from flask import abort
from flask_login import current_user

from portal import i18n
from portal.db import utcnow
from portal.domain import (
    call_kept,
    call_mood,
    call_notes,
    call_pages,
    call_people,
    call_words,
    followup_queue,
    moods,
    transcripts,
)
from portal.domain.transcripts import Line
from portal.filters import money
from portal.models import Call
from portal.permissions import Permission, may, visible_branch_ids
from portal.views import followups, recordings

# How often a running call is rendered anew, for its clock, where nothing else has changed.
TICK = timedelta(seconds=3)
# The analysis comes half a minute after the call; this long the page waits for it by itself.
ANALYSIS_COMES = timedelta(minutes=10)


def of(call_id: int) -> dict[str, Any]:
    read, moment = may(Permission.READ_TRANSCRIPTS), utcnow()
    call = call_pages.load(call_id, visible_branch_ids(), read=read) or abort(404)
    i18n.set_zone(call.branch.timezone if call.branch else None)
    outcome = call_words.outcome(call, moment)
    running = outcome.key == "live"
    content = call.content if read else None
    said = transcripts.lines(*call_pages.spoken(content), i18n.language(), i18n.zone())
    sound = recordings.context(call, call_pages.spoken(content)[0])
    todo, kept = followups.call_card(call_id), call_kept.of(call)
    desk, matter = _desk(call, said), call_words.intent(call.intent) if call.intent else ""
    understood = call_words.facts(call.custom_data, i18n.language(), i18n.zone())
    changed = (call.updated_at, content.updated_at if content else None, call.customer_id, call.appointment_id)
    shown = (*changed, recordings.state(sound), followups.state(todo), _desk_state(desk))
    return {
        "call": call,
        "outcome": followup_queue.shown(outcome, followup_queue.flags([call.id], moment).get(call.id)),
        "seconds": call_words.seconds_running(call, moment) if running else call.duration_seconds or None,
        "running": running,
        "today": i18n.local_day(moment),
        "polls": running or _is_awaited(call, moment),
        "waits": recordings.is_awaited(sound, moment),
        "missing": _is_missing(call, moment) and not kept.words_gone,
        "version": version(shown, moment if running else None),
        "lines": said,
        "may_read": read,
        "name_said": call_words.name_said(call),
        "facts": [(label, value) for label, value in understood if value != matter],
        "matter": matter,
        "ended_because": call_words.end_reason(call.end_reason, call.direction),
        "next_appointment": _next_appointment(call, moment),
        "kept": kept,
        "refused": "",
        **_money(call),
        **sound,
        **todo,
        **desk,
    }


def _is_awaited(call: Call, moment: datetime) -> bool:
    """Whether the call has ended just now, so that its evaluation is still to come."""
    ended = call.ended_at or call.updated_at
    return call.analyzed_at is None and call.status != "in_progress" and ended > moment - ANALYSIS_COMES


def _is_missing(call: Call, moment: datetime) -> bool:
    """Whether somebody has spoken and the evaluation should have been here long ago."""
    talked = call.status == "completed" and bool(call.duration_seconds)
    return talked and call.analyzed_at is None and not call.summary and not _is_awaited(call, moment)


def _next_appointment(call: Call, moment: datetime) -> Any:
    if call.customer is None or not may(Permission.VIEW_CALENDAR):
        return None
    return call_pages.next_appointment(call.customer, call.appointment_id, moment)


def _money(call: Call) -> dict[str, Any]:
    """What only those may see who may see the balance."""
    if not may(Permission.VIEW_BALANCE):
        return {"cost": None, "reserved": None, "events": call_pages.timeline(call)}
    cost = call_pages.cost(call)
    charged = money(cost.charge.amount_charged) if cost else ""
    reserved = None if cost else call_pages.reserved(call)
    return {"cost": cost, "reserved": reserved, "events": call_pages.timeline(call, charged)}


# ---- What people have done to it --------------------------------------------------------------------------------


def _desk(call: Call, lines: list[Line]) -> dict[str, Any]:
    """``lines``: what was said, [] for who may not read it."""
    reads, decision = may(Permission.READ_TRANSCRIPTS), call_people.decision(call.activities)
    return {
        "evidence": moods.evidence(lines, call.sentiment) if reads else [],
        "correction": call_mood.correction(call.activities),
        "can_correct": reads and call_mood.can_correct(call),
        "people": call_people.candidates(call) if decision is None and may(Permission.EDIT_CUSTOMERS) else [],
        "decision": decision,
        **notes(call.id),
    }


def _desk_state(desk: dict[str, Any]) -> object:
    """What of it makes the page another one."""
    written = [(note.id, note.updated_at) for note in desk["notes"]]
    return desk["correction"], desk["decision"], written, [each.id for each in desk["people"]]


def notes(call_id: int, **problem: Any) -> dict[str, Any]:
    """``draft``: words that were not accepted, ``note_problem`` why, ``note_wrong`` of which note; 0 is a new one."""
    found = call_notes.of(call_id)
    edited = {note.id for note in found if call_notes.was_edited(note)}
    return {"notes": found, "edited": edited, "draft": "", "note_problem": "", "note_wrong": None} | problem


# ---- Both -----------------------------------------------------------------------------------------------------


def version(state: object, ticking: datetime | None) -> str:
    """A short name for what is shown; changes with the clock while a call is running."""
    tick = int(ticking.timestamp() / TICK.total_seconds()) if ticking else 0
    told = f"{state!r}|{tick}|{i18n.language()}|{current_user.id}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]
