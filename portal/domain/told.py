"""What a provider tells: a booking, a person, an absence, each as it was said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

CALCOM = "calcom"
# The provider's status of a booking that stands → ours of the appointment.
STATUS = {"ACCEPTED": "confirmed", "PENDING": "scheduled"}
ENDED = ("CANCELLED", "REJECTED")
# Ours of a booking whose place another one has taken.
REPLACED = "RESCHEDULED"
# Ours, kept with a booking's payload: its time is over.
IS_OVER = "portal_meeting_ended"


class Waiting(Exception):
    """The row that this is about is not here yet."""


class Moot(Exception):
    """Understood; nothing follows from it."""


@dataclass(frozen=True)
class Person:
    """Somebody as the provider knows them; every field may be missing."""

    id: int | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class Told:
    """A booking as the provider tells it. Times are aware; ``written_at`` is when the provider wrote the event."""

    uid: str
    status: str
    start: datetime
    end: datetime
    organizer: Person
    attendee: Person
    previous_uid: str | None = None
    booking_id: int | None = None
    event_type_id: int | None = None
    title: str | None = None
    notes: str | None = None
    sequence: int | None = None
    written_at: datetime | None = None
    call_id: str | None = None
    reason: str | None = None
    by: str | None = None
    raw: dict[str, Any] | None = None


@dataclass(frozen=True)
class Away:
    """An absence as the provider tells it."""

    uid: str
    person: Person
    start: datetime
    end: datetime
    kind: str
    note: str | None
    written_at: datetime
