"""What the demo's recordings sound like: a soft tone for every word that was said, lower for the receptionist.

Nothing here is a voice, and the pages say so: the address of such a recording holds ``/demo-tone/``.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from portal.db import db
from portal.domain import recordings, waveform
from portal.domain.recording_pages import DEMO_TONE
from portal.models import Recording, RecordingAccess

RATE = 8000  # samples a second, one byte each
SILENCE = b"\x80"
# Hertz; a word takes one after the other.
PITCHES = {"agent": (196.0, 220.0, 233.1, 174.6), "user": (329.6, 293.7, 349.2, 311.1)}
OTHER = (261.6, 277.2, 246.9, 233.1)
STEP, LONGEST = 480, 10  # samples; a word is one to ten steps long
HEARD_AFTER = timedelta(minutes=9)


@dataclass(frozen=True)
class Spoken:
    """A call that gets a recording: its row, the provider's id, what was said, its length, and its end."""

    call: int
    call_id: str
    turns: list[dict[str, Any]]
    seconds: int
    ended: datetime
    objected: bool = False


def sound(turns: list[dict[str, Any]], seconds: float) -> bytes:
    """A WAV file of 8 kHz that is as long as the call."""
    frames = bytearray(SILENCE * int(seconds * RATE))
    for turn in turns:
        for number, (start, end) in enumerate(_words(turn)):
            tone = _tone(turn["who"], number % 4, min(LONGEST, max(1, int((end - start) * RATE) // STEP)))
            at = int(start * RATE)
            frames[at : at + len(tone)] = tone[: max(0, len(frames) - at)]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, RATE, len(frames), "NONE", "not compressed"))
        out.writeframes(bytes(frames))
    return file.getvalue()


def _words(turn: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """When each word begins and ends; without times of words, three a second for as long as the turn goes."""
    if turn["words"]:
        yield from ((start, end) for _word, start, end in turn["words"])
    elif turn["at"] is not None:
        end = turn["end"] or turn["at"] + 2
        yield from (
            (turn["at"] + third / 3, turn["at"] + third / 3 + 0.25) for third in range(int((end - turn["at"]) * 3))
        )


@cache
def _tone(who: str, number: int, steps: int) -> bytes:
    pitch, length = PITCHES.get(who, OTHER)[number], steps * STEP
    loud, swing = 30 + 8 * number, 2 * math.pi * pitch / RATE
    return bytes(
        round(128 + loud * math.sin(math.pi * i / length) * math.sin(swing * i)) for i in range(length)
    )  # swells and fades, or it would click


# ---- Into the demo --------------------------------------------------------------------------------------------


def keep(company_id: int, spoken: list[Spoken], listeners: tuple[int, ...], now: datetime) -> None:
    """Write the recordings of some calls, and that people have listened to a few of them."""
    for number, call in enumerate(spoken):
        row = _objected(company_id, call) if call.objected else _stored(company_id, call)
        db.session.add(row)
        db.session.flush()
        heard = call.ended + HEARD_AFTER
        if number % 3 == 0 and not call.objected and heard < now:
            listener = listeners[number // 3 % len(listeners)]
            who = {"company_id": company_id, "recording_id": row.id, "portal_user_id": listener}
            db.session.add(RecordingAccess(**who, kind="listen", created_at=heard))
    db.session.flush()


def _stored(company_id: int, call: Spoken) -> Recording:
    content = sound(call.turns, call.seconds)
    heard = waveform.read(io.BytesIO(content))
    path = recordings.store().put(content, heard.as_details() if heard else None)
    return Recording(
        company_id=company_id,
        call_id=call.call,
        status="stored",
        source_url=f"https://recordings.invalid{DEMO_TONE}{call.call_id}.wav",
        path=path,
        content_type="audio/wav",
        size=len(content),
        stored_at=call.ended + timedelta(seconds=20),
        created_at=call.ended,
    )


def _objected(company_id: int, call: Spoken) -> Recording:
    return Recording(
        company_id=company_id,
        call_id=call.call,
        status="deleted",
        error=recordings.OBJECTED,
        deleted_at=call.ended,
        created_at=call.ended,
    )
