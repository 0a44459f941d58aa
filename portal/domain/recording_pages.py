"""What stands on a call's page about its recording: the player or why there is none, and who has listened."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, select

from portal.db import db
from portal.domain import recordings, retention
from portal.domain.waveform import BARS
from portal.models import Call, Company, PortalUser, Recording, RecordingAccess

SHOWN = 10
REASON_LENGTH = 200
OTHER = "other"
# The demo's sounds are tones that follow who speaks; their address says so.
DEMO_TONE = "/demo-tone/"
ANNOUNCES = re.compile(
    r"\b(aufgezeichnet|\w*aufzeichn\w*|mitgeschnitten|mitschnitt\w*|record(ed|ing))\b"
    r"|\b(gespräch|anruf|telefonat)\b.{0,60}\b(aufgenommen|aufnehmen)\b"
    r"|\b(zeichne[nt]?|nehme[nt]?) (das|dieses|den|diesen|ihr(en)?) (gespräch|anruf|telefonat)\b.{0,60}\bauf\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Bar:
    """One stroke of the picture, in a box of 1000 × 100; ``who`` is ai or cu, ``at`` seconds."""

    who: str
    at: float
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Player:
    """``state`` is that of the recording; ``why`` says in words why there is nothing to play."""

    recording: Recording
    state: str
    why: str
    seconds: int = 0
    bars: list[Bar] = field(default_factory=list)
    demo: bool = False
    deleted_from: datetime | None = None

    @property
    def awaited(self) -> bool:
        return self.state == "pending"


@dataclass(frozen=True)
class Access:
    """One line of who has listened."""

    name: str
    kind: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Heard:
    """The newest accesses, and how many there are in all."""

    accesses: list[Access]
    total: int


def player(call: Call, turns: list[Any] | None) -> Player | None:
    """The recording of a call as its page shows it; None where there was never one. ``turns`` colour the picture."""
    kept = (
        Company.recording_retention_days,
        Company.transcript_retention_days,
        Company.metadata_retention_days,
    )
    query = select(Recording, *kept).join(Company, Company.id == Recording.company_id)
    row = db.session.execute(query.where(Recording.call_id == call.id)).one_or_none()
    if row is None:
        return None
    recording: Recording = row[0]
    if recording.status != "stored" or recording.path is None:
        return Player(recording, recording.status, why_not(recording))
    if recordings.store().file(recording.path) is None:
        return Player(recording, "failed", lost())
    details = recordings.store().details(recording.path)
    seconds = _seconds(details) or call.duration_seconds or 0
    bars = _bars(details.get("peaks"), seconds, turns or [])
    goes = retention.Retention(*row[1:]).ends("recording", call.started_at)
    return Player(recording, "stored", "", int(seconds), bars, DEMO_TONE in (recording.source_url or ""), goes)


def why_not(recording: Recording) -> str:
    """Why a recording cannot be heard, in words."""
    if recording.status == "pending":
        return str(_("The recording is being fetched."))
    known: dict[str, str] = {
        "gone": _("The recording could not be fetched: the provider's link has expired."),
        "away": _("The recording could not be fetched: the provider did not hand it over."),
        "refused": _("The recording was not fetched: its address is not one that we go to."),
        "too_large": _("The recording was not fetched: it is larger than 100 MB."),
        "not_audio": _("The recording was not fetched: what is there is no sound."),
    }
    if recording.status == "failed":
        return known.get(recording.error or "", known["away"])
    if recording.error == recordings.OBJECTED:
        return str(_("The caller did not want to be recorded, so the recording was not kept."))
    return str(_("The recording has been deleted."))


def lost() -> str:
    """Stored by the books, but the file is not there."""
    return str(_("The recording is missing in our store."))


def never() -> str:
    """A call of which no recording was ever told."""
    return str(_("There is no recording of this call."))


# ---- Taking it along ------------------------------------------------------------------------------------------


def reasons() -> dict[str, str]:
    """What somebody may need a file for, by the word that is kept."""
    return {
        "customer": _("The customer has asked for it"),
        "dispute": _("Evidence in a dispute"),
        "quality": _("Training and quality"),
        OTHER: _("Another reason"),
    }


def reason_to_keep(reason: str, words: str) -> str:
    """``dispute`` or ``dispute: Rechnung vom 2.10.``"""
    return f"{reason}: {words.strip()}"[:255] if words.strip() else reason


def reason_in_words(kept: str | None) -> str:
    """The same for people, in their language."""
    reason, _colon, words = (kept or "").partition(": ")
    if reason == OTHER:
        return words
    label = reasons().get(reason, reason)
    return f"{label}: {words}" if words else label


# ---- Who has heard it -----------------------------------------------------------------------------------------


def heard(recording: Recording) -> Heard:
    """Who has listened to it or taken it along, the newest first."""
    rows = db.session.execute(
        select(PortalUser.name, RecordingAccess.kind, RecordingAccess.reason, RecordingAccess.created_at)
        .select_from(RecordingAccess)
        .outerjoin(PortalUser, PortalUser.id == RecordingAccess.portal_user_id)
        .where(_of(recording))
        .order_by(RecordingAccess.created_at.desc(), RecordingAccess.id.desc())
        .limit(SHOWN + 1)
    ).all()
    total = len(rows)
    if total > SHOWN:
        total = db.session.scalar(select(func.count(RecordingAccess.id)).where(_of(recording))) or total
    accesses = [Access(name or _("Somebody"), kind, reason_in_words(kept), at) for name, kind, kept, at in rows[:SHOWN]]
    return Heard(accesses, total)


def _of(recording: Recording) -> Any:
    return RecordingAccess.recording_id == recording.id


def announcement(turns: list[Any] | None) -> float | None:
    """The second at which the receptionist says that the call is recorded; None where it does not."""
    for turn in turns or []:
        if turn["who"] == "agent" and turn["at"] is not None and announces(turn["text"]):
            return float(turn["at"])
    return None


def announces(text: str) -> bool:
    """Whether somebody speaks of the recording."""
    return ANNOUNCES.search(text) is not None


# ---- The picture ----------------------------------------------------------------------------------------------


def _seconds(details: dict[str, Any]) -> float:
    seconds = details.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def _bars(peaks: Any, seconds: float, turns: list[Any]) -> list[Bar]:
    """Strokes as high as it is loud, coloured by who speaks; [] for a sound that we could not look into."""
    if not isinstance(peaks, list) or len(peaks) != BARS or not seconds:
        return []
    starts = sorted((turn["at"], "ai" if turn["who"] == "agent" else "cu") for turn in turns if turn["at"] is not None)
    bars, who = [], "ai"
    for number, peak in enumerate(peaks):
        at = number * seconds / BARS
        while starts and starts[0][0] <= at:
            who = starts.pop(0)[1]
        height = max(5.0, min(100, peak) * 0.92)
        bars.append(Bar(who, round(at, 1), round(number * 1000 / BARS + 1.4, 1), round(50 - height / 2, 1), height))
    return bars
