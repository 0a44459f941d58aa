"""Brings changes of appointments to Cal.com, and notes what it answers.

Cal.com is asked outside of any transaction; what it answers is written in one of its own. Each push looks first: what
is done already is not done again, and what was changed there meanwhile is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from portal import calcom
from portal.clients.calcom import (
    Booking,
    CalcomClient,
    CalcomGone,
    CalcomProblem,
    CalcomRefused,
    CalcomRejected,
    CalcomTaken,
    CalcomUnavailable,
)
from portal.db import transaction, utcnow
from portal.domain import booking_push, booking_sync
from portal.domain.booking_sync import Heard, Problem, Step
from portal.domain.told import Person, Told

log = structlog.get_logger()

# A move, its confirmation and a mark are three; more would go round in circles.
MOST_STEPS = 5
# So often may a booking have been moved since it was last heard of.
MOST_MOVES = 10
PROBLEMS: dict[type[CalcomProblem], str] = {
    CalcomUnavailable: "away",
    CalcomRefused: "refused",
    CalcomGone: "gone",
    CalcomTaken: "taken",
    CalcomRejected: "rejected",
}


def push(payload: dict[str, Any]) -> None:
    """Bring one appointment to Cal.com. What goes wrong there is noted and tried again here, not by the outbox."""
    client = calcom.client()
    if client is None:
        return
    appointment_id, force = int(payload["appointment_id"]), bool(payload.get("force"))
    uid = transaction(lambda: booking_sync.begin(appointment_id, utcnow(), force=force))
    if uid is None:
        return
    try:
        _bring(client, appointment_id, uid, force)
    except CalcomProblem as problem:
        kind = PROBLEMS.get(type(problem), "rejected")
        log.warning("Cal.com did not take a change", appointment_id=appointment_id, problem=kind, http=problem.status)
        noted = Problem(kind, problem.message, problem.retry_after)
        transaction(lambda: booking_sync.failed(appointment_id, noted, utcnow(), force=force))


def _bring(client: CalcomClient, appointment_id: int, uid: str, force: bool) -> None:
    step = _learn(appointment_id, _find(client, uid), asked=True)
    for _ in range(MOST_STEPS):
        if step is None:
            return
        step = _take(client, appointment_id, step, force)
    raise CalcomRejected("it does not come to an end")


def _take(client: CalcomClient, appointment_id: int, step: Step, force: bool) -> Step | None:
    """Do it. What Cal.com refuses may be done or overtaken already: then it is as if we had looked just now."""
    try:
        answer = DEEDS[step.deed](client, step, force)
    except CalcomRejected:
        further = _learn(appointment_id, _find(client, step.uid), asked=True)
        if further == step:
            raise
        return further
    return _learn(appointment_id, [answer], asked=False)


def _find(client: CalcomClient, uid: str) -> list[Booking]:
    """The booking, and those that have taken its place since."""
    found = [client.booking(uid)]
    while (further := found[-1].next_uid) and len(found) <= MOST_MOVES:
        found.append(client.booking(further))
    return found


def _learn(appointment_id: int, found: list[Booking], *, asked: bool) -> Step | None:
    heard = [_heard(booking) for booking in found]
    return transaction(partial(_learn_now, appointment_id, heard, asked))


def _learn_now(appointment_id: int, heard: list[Heard], asked: bool) -> Step | None:
    return booking_sync.learn(appointment_id, heard, utcnow(), asked=asked)


def _heard(booking: Booking) -> Heard:
    first = booking.attendees[0] if booking.attendees else None
    attendee = Person(name=first.name, email=first.email, phone=first.phone, timezone=first.timezone) if first else None
    told = Told(
        uid=booking.uid,
        status=booking.status,
        start=booking.start,
        end=booking.end,
        organizer=Person(id=booking.host.id, name=booking.host.name, email=booking.host.email),
        attendee=attendee or Person(),
        previous_uid=booking.previous_uid,
        booking_id=booking.id,
        event_type_id=booking.event_type_id,
        reason=booking.reason,
        by=booking.cancelled_by,
    )
    return Heard(told, booking.absent, booking.next_uid)


DEEDS: dict[str, Callable[[CalcomClient, Step, bool], Booking]] = {
    "move": lambda client, step, force: client.reschedule(step.uid, step.start, "", force=force),
    "cancel": lambda client, step, force: client.cancel(step.uid, step.reason),
    "decline": lambda client, step, force: client.decline(step.uid, step.reason),
    "confirm": lambda client, step, force: client.confirm(step.uid),
    "absent": lambda client, step, force: client.mark_absent(step.uid, list(step.emails), True),
    "present": lambda client, step, force: client.mark_absent(step.uid, list(step.emails), False),
}

OUTBOX = {booking_push.PUSH: push}
SLOW = {booking_push.PUSH}
