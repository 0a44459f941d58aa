"""A mood put right by a person. What they say stays, whatever the provider's analysis says later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _

from portal.domain import audit, call_deeds, followups, ledger, stats
from portal.domain.call_deeds import MOOD, Person
from portal.domain.errors import DomainError
from portal.models import Call, CallActivity
from portal.models.calls import SENTIMENTS

NONE = "none"


@dataclass(frozen=True)
class Correction:
    """Who put the mood right, when, and what it was before; ``before`` is '' for none."""

    by: str
    at: datetime
    before: str


def correct(call_id: int, wish: str, by: Person, now: datetime) -> None:
    """Set the mood, or none with ``none``. Needs a transaction; raises ``DomainError``.

    What depends on it follows: the figures of its day, and a callback for the complaint of somebody upset.
    """
    if wish not in (*SENTIMENTS, NONE):
        raise DomainError(_("Please choose one of the moods."), "mood")
    ledger.lock()  # before every other row, as everywhere
    call = call_deeds.locked(call_id, by)
    if call is None:
        raise DomainError(_("This call is no longer there."))
    if call.status == "in_progress":
        raise DomainError(_("The mood can be corrected when the call is over."), "mood")
    before, mood = call.sentiment, None if wish == NONE else wish
    if before == mood and call_deeds.were_done(call.id, MOOD):
        return
    call.sentiment = mood
    call_deeds.tell(call, MOOD, by, now, before=before, after=mood)
    audit.record("call.mood_corrected", call, old={"sentiment": before}, new={"sentiment": mood})
    stats.mark_moment_dirty(call.company_id, call.started_at)
    followups.sync(call, now)


def correction(activities: list[CallActivity]) -> Correction | None:
    """The last correction on a call's timeline."""
    found = call_deeds.last(activities, MOOD)
    if found is None:
        return None
    data = found.activity_data or {}
    return Correction(str(data.get("by") or ""), found.occurred_at, str(data.get("before") or ""))


def can_correct(call: Call) -> bool:
    """Whether there is anything to judge: somebody has spoken, and the call is over."""
    return call.status != "in_progress" and bool(call.duration_seconds)
