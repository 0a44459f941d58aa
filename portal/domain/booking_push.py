"""Keeping Cal.com in step with the calendar: what it should have, and what has to be done for that.

Whatever changes an appointment is compared with what Cal.com is known to have, and where it differs a push is queued.
The push sends the present state, not each change. What comes from Cal.com itself is never pushed back.

A booking row is what Cal.com has, as far as it was heard; the appointment is what is wanted here. ``sync_status`` of
the standing booking says how the two stand: ``synced``, ``pending_push`` (a push waits), ``error`` (given up until
somebody tries again) or ``conflict`` (both sides have changed; a person chooses).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import outbox
from portal.domain.told import CALCOM, ENDED, REPLACED
from portal.models import Appointment, Booking, Company
from portal.tenancy import current_company_id

PUSH = "calcom.push"
SYNCED, PENDING, CONFLICT, ERROR = "synced", "pending_push", "conflict", "error"
OUT_OF_STEP = (PENDING, CONFLICT, ERROR)

_listening: ContextVar[bool] = ContextVar("listening_to_calcom", default=False)


@contextmanager
def told_by_calcom() -> Iterator[None]:
    """What changes inside comes from Cal.com and is not sent back to it."""
    token = _listening.set(True)
    try:
        yield
    finally:
        _listening.reset(token)


# ---- What should be there, and what is --------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What Cal.com should have. ``over``: the visit has taken place or was missed, so its booking may be over too."""

    start: datetime
    stands: bool
    confirmed: bool = False
    absent: bool = False
    over: bool = False


@dataclass(frozen=True)
class There:
    """What Cal.com has. ``absent`` is None where that is not known."""

    start: datetime
    status: str
    absent: bool | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def wish_of(appointment: Appointment) -> Wish:
    status = appointment.status
    return Wish(
        start=appointment.start_time,
        stands=status != "cancelled",
        confirmed=status in ("confirmed", "completed", "no_show"),
        absent=status == "no_show",
        over=status in ("completed", "no_show"),
    )


def there(booking: Booking) -> There:
    """As it was heard last."""
    return There(booking.starts_at, booking.status)


def next_step(wish: Wish, found: There, now: datetime) -> str | None:
    """``move``, ``cancel``, ``decline``, ``confirm``, ``absent``, ``present``; ``impossible``; None when all is done.

    A past time is not sent: Cal.com takes none, and nobody can be booked over any more.
    """
    if found.ended:
        return "impossible" if wish.stands and not wish.over else None
    if not wish.stands:
        return "decline" if found.status == "PENDING" else "cancel"
    if wish.start != found.start and wish.start > now:
        return "move"
    if wish.confirmed and found.status == "PENDING":
        return "confirm"
    if found.absent is not None and found.absent != wish.absent:
        return "absent" if wish.absent else "present"
    return None


def contradicts(wish: Wish, known: There, told: There, sent: datetime | None, *, unsent: bool = False) -> bool:
    """Whether what Cal.com has now goes against what was changed here and not pushed yet.

    ``known`` is what it had before, ``sent`` the time that our own push has asked for: its echo contradicts nothing.
    A mere confirmation there contradicts nothing either, nor does an end of what was only confirmed here. ``unsent``: a
    change waits. Where nothing is different then, it was taken back, and an end may be what we had sent before that.
    """
    moved_here = wish.start != known.start
    if told.ended:
        taken_back = unsent and not (wish.confirmed and known.status == "PENDING")
        return wish.stands and not wish.over and not known.ended and (moved_here or taken_back)
    moved_there = told.start not in (known.start, sent, wish.start)
    return moved_there and (moved_here or not wish.stands)


# ---- Queueing ---------------------------------------------------------------------------------------------------


def appointment_changed(appointment: Appointment, before: dict[str, Any]) -> None:
    """Called after every change of an appointment; ``before`` is how it was, in the words of its audit record."""
    if _listening.get() or appointment.calcom_event_id is None:
        return
    same = (appointment.status, appointment.start_time.isoformat()) == (before["status"], before["start_time"])
    if same or not connected():
        return
    booking = standing(appointment.id)
    if booking is not None:
        _changed(appointment, booking, before["status"])


def _changed(appointment: Appointment, booking: Booking, status_before: str) -> None:
    wish, found = wish_of(appointment), there(booking)
    if booking.sync_status == CONFLICT:
        if next_step(wish, found, utcnow()) is None:
            in_step(booking)
        return
    step = next_step(wish, found, utcnow())
    marked = wish.absent or status_before == "no_show"
    if step == "impossible" or (step is None and not marked and booking.sync_status == SYNCED):
        return  # it is over at Cal.com and cannot stand again there, or nothing of it concerns Cal.com
    queue(booking)


def queue(booking: Booking, *, force: bool = False) -> None:
    """Push the appointment of this booking soon, from the first attempt on. ``force`` books over what stands there."""
    booking.sync_status, booking.sync_attempts, booking.sync_error = PENDING, 0, None
    db.session.flush()
    enqueue(booking.appointment_id or 0, timedelta(0), force=force)


def enqueue(appointment_id: int, after: timedelta, *, force: bool = False) -> None:
    """One job an appointment: it sends what is wanted when it runs."""
    payload = {"appointment_id": appointment_id, "force": force}
    key = f"{PUSH}:{appointment_id}"
    outbox.enqueue(PUSH, payload, company_id=current_company_id(), dedupe_key=key, after=after)
    outbox.hasten(key, payload, after)


def in_step(booking: Booking) -> None:
    """Both sides agree."""
    booking.sync_status, booking.sync_attempts, booking.sync_error = SYNCED, 0, None
    booking.pushed_start = booking.push_until = None
    db.session.flush()


def standing(appointment_id: int) -> Booking | None:
    """The booking that stands for the appointment at Cal.com, also when it was cancelled; not one that was moved."""
    return db.session.scalar(
        select(Booking)
        .where(
            Booking.appointment_id == appointment_id,
            Booking.provider == CALCOM,
            Booking.status != REPLACED,
        )
        .order_by(Booking.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def connected() -> bool:
    """Whether the company has a key. Without one the portal is the calendar."""
    key = select(Company.calcom_api_key_sealed).where(Company.id == current_company_id())
    return db.session.scalar(key) is not None
