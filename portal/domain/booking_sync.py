"""A push to Cal.com from beginning to end, and what a person decides where the two sides do not agree.

The worker asks Cal.com outside of any transaction: :func:`begin` says which booking, :func:`learn` writes what Cal.com
has and names the next thing to do, :func:`failed` what went wrong. A push always looks first, so that it may run any
number of times: what an answer that was lost has done already is found and not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.db import db
from portal.domain import appointments, audit, booking_alerts, booking_push, bookings
from portal.domain.booking_push import CONFLICT, ERROR, OUT_OF_STEP, PENDING, SYNCED, There, Wish
from portal.domain.booking_rows import organizer_of, staff_by
from portal.domain.errors import Conflict, DomainError
from portal.domain.slots import OPEN, plan_of
from portal.domain.told import ENDED, REPLACED, Person, Told
from portal.models import Appointment, Booking, Staff

# Longer than every question of one push together.
AT_MOST = timedelta(minutes=3)
MOST_ATTEMPTS = 10
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=20), timedelta(hours=2)
CHOICES = ("ours", "theirs", "again")
REASON_LENGTH = 250
LISTED = 100


# ---- The push, step by step -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """A booking as it stands at Cal.com, with what only the answer to a question tells."""

    told: Told
    absent: bool | None = None
    next_uid: str | None = None


@dataclass(frozen=True)
class Step:
    """What is to be done next with the booking ``uid``: see ``booking_push.next_step``."""

    deed: str
    uid: str
    start: datetime
    reason: str
    emails: tuple[str, ...] = ()


def begin(appointment_id: int, now: datetime, *, force: bool = False) -> str | None:
    """The uid to look at; None where nothing is to be pushed, or not yet: another push is on its way."""
    found = _both(appointment_id)
    if found is None:
        return None
    _appointment, booking = found
    if booking.sync_status in (CONFLICT, ERROR):
        return None
    if booking.push_until is not None and booking.push_until > now:
        booking_push.enqueue(appointment_id, booking.push_until - now, force=force)
        return None
    booking.push_until = now + AT_MOST
    return booking.external_uid


def learn(appointment_id: int, heard: Sequence[Heard], now: datetime, *, asked: bool) -> Step | None:
    """Write what Cal.com has, oldest first, and say what to do next; None when there is no more to do.

    ``asked``: it is what was found there, and not the answer to something done just now, so somebody else may have
    changed it.
    """
    found = _both(appointment_id)
    if found is None:
        return None
    appointment, booking = found
    wish, known, sent = booking_push.wish_of(appointment), booking_push.there(booking), booking.pushed_start
    last, unsent = heard[-1], booking.sync_status != SYNCED
    now_there = There(last.told.start, last.told.status)
    clash = asked and booking_push.contradicts(wish, known, now_there, sent, unsent=unsent)
    with booking_push.told_by_calcom():
        if asked and not clash:
            _adopt(appointment, booking, last.told, sent, now)
            wish = booking_push.wish_of(appointment)
        booking = _written(appointment, booking, heard)
    if clash:
        bookings.settle(appointment, booking, True, now)
        booking.push_until = None
        return None
    return _next(appointment, booking, wish, last, now)


def _next(appointment: Appointment, booking: Booking, wish: Wish, last: Heard, now: datetime) -> Step | None:
    deed = booking_push.next_step(wish, There(last.told.start, last.told.status, last.absent), now)
    if deed is None:
        booking_push.in_step(booking)
        return None
    if deed == "impossible":
        bookings.settle(appointment, booking, True, now)
        booking.push_until = None
        return None
    if deed == "move":
        booking.pushed_start = wish.start
    booking.sync_status = PENDING
    db.session.flush()
    emails = (booking.attendee_email,) if booking.attendee_email else ()
    return Step(deed, booking.external_uid, wish.start, _reason(appointment), emails)


def _adopt(appointment: Appointment, booking: Booking, told: Told, sent: datetime | None, now: datetime) -> None:
    """What only Cal.com has changed, and no event has told yet, is taken over."""
    moved_there = told.start not in (booking.starts_at, sent, appointment.start_time)
    if told.status in ENDED:
        if appointment.status in OPEN and booking.status not in ENDED:
            appointments.cancel(appointment, told.reason or "calcom", told.by or "calcom", now)
    elif moved_there:
        length = appointment.end_time - appointment.start_time
        plan = replace(plan_of(appointment), start=told.start, end=told.start + length)
        appointments.change(appointment, plan, take_over=True)


def _written(appointment: Appointment, booking: Booking, heard: Sequence[Heard]) -> Booking:
    """The rows of all that was heard; the last one stands."""
    for one in heard:
        known = bookings.find(one.told.uid)
        if known is not None and known.id != booking.id and known.appointment_id == appointment.id:
            if known.status == REPLACED:
                continue
            booking = known
        kept = booking.sync_status, booking.pushed_start, booking.push_until, booking.sync_attempts
        booking = bookings.heir(appointment, booking, replace(one.told, raw=_raw(booking, one.told)))
        booking.sync_status, booking.pushed_start, booking.push_until, booking.sync_attempts = kept
    db.session.flush()
    return booking


def _raw(booking: Booking, told: Told) -> dict[str, object]:
    """What an event would have told of the people."""
    who = told.organizer
    organizer = {"id": who.id, "name": who.name, "email": who.email}
    return (booking.raw_payload or {}) | ({"organizer": organizer} if who.id or who.email else {})


def _reason(appointment: Appointment) -> str:
    """What the customer reads in Cal.com's mail: only where a person has written it."""
    reason = appointment.cancellation_reason or ""
    words = {
        "customer": _("The customer has cancelled"),
        "staff": _("The staff member is not available"),
        "double": _("Booked twice"),
        "rescheduled": _("Moved to another appointment"),
    }
    return str(words.get(reason, reason)[:REASON_LENGTH] or _("Cancelled"))


# ---- What goes wrong --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """``kind``: ``away`` is tried again, later and later; ``taken`` a person decides; all else is given up.

    ``words`` are Cal.com's, ``retry_after`` the seconds that it wants to be left alone.
    """

    kind: str
    words: str
    retry_after: float | None = None


def failed(appointment_id: int, problem: Problem, now: datetime, *, force: bool = False) -> None:
    """The push has come to nothing for now."""
    found = _both(appointment_id)
    if found is None:
        return
    appointment, booking = found
    booking.push_until, booking.sync_error = None, f"{problem.kind}: {problem.words}"
    if problem.kind == "gone" and not booking_push.wish_of(appointment).stands:
        booking.status = "CANCELLED"  # what is not there need not be cancelled
        booking_push.in_step(booking)
    elif problem.kind == "taken":
        booking.sync_status = CONFLICT
        booking_alerts.conflict(appointment, booking)
    elif problem.kind == "away" and booking.sync_attempts + 1 < MOST_ATTEMPTS:
        booking.sync_status, booking.sync_attempts = PENDING, booking.sync_attempts + 1
        wait = max(pause(booking.sync_attempts), timedelta(seconds=problem.retry_after or 0))
        booking_push.enqueue(appointment_id, min(wait, LONGEST_PAUSE), force=force)
    else:
        booking.sync_status = ERROR
        if problem.kind == "refused":
            booking_alerts.key_refused(now)
        booking_alerts.gave_up(appointment, booking)
    db.session.flush()


def pause(attempts: int) -> timedelta:
    """20 s, 40 s, 80 s … after that many attempts."""
    return min(FIRST_PAUSE * (1 << attempts - 1), LONGEST_PAUSE)


# ---- What a person decides --------------------------------------------------------------------------------------


def choose(appointment: Appointment, choice: str, now: datetime, *, version: int | None = None) -> str:
    """``ours`` is sent to Cal.com, ``theirs`` is taken over, ``again`` tries once more.

    Returns what was done: ``sent``, ``taken``, or ``alone`` where it is over at Cal.com and ours stands only here.
    Raises ``DomainError`` for what cannot be chosen, ``Conflict`` when it stands differently than it was shown.
    """
    found = _both(appointment.id)
    if choice not in CHOICES or found is None:
        raise DomainError(_("This cannot be done with an appointment."))
    row, booking = found
    if version is not None and row.version != version:
        raise Conflict(_("Somebody has changed this appointment in the meantime. This is how it stands now."))
    if booking.sync_status not in OUT_OF_STEP:
        raise Conflict(_("The appointment is in step with Cal.com already."))
    done = _do(row, booking, choice, now)
    audit.record("appointment.sync_chosen", row, new={"choice": choice})
    return done


def _do(row: Appointment, booking: Booking, choice: str, now: datetime) -> str:
    if choice == "theirs":
        with booking_push.told_by_calcom():
            _take_theirs(row, booking, now)
        return "taken"
    if choice == "ours" and booking.status in ENDED and row.status != "cancelled":
        booking_push.in_step(booking)  # it cannot stand again there
        return "alone"
    booking_push.queue(booking, force=choice == "ours")
    return "sent"


def _take_theirs(row: Appointment, booking: Booking, now: datetime) -> None:
    if booking.status in ENDED:
        if row.status in OPEN:
            appointments.cancel(row, "calcom", "calcom", now)
        booking_push.in_step(booking)
        return
    while row.status not in OPEN:
        appointments.set_status(row, "back", now, take_over=True)
    person_id, email = organizer_of(booking)
    staff_id = staff_by(Person(id=person_id, email=email), None)
    plan = replace(plan_of(row), start=booking.starts_at, end=booking.ends_at, staff_id=staff_id or row.staff_id)
    appointments.change(row, plan, take_over=True)
    if booking.status == "PENDING" and row.status == "confirmed":
        appointments.set_status(row, "back", now)
    elif booking.status == "ACCEPTED" and row.status == "scheduled":
        appointments.set_status(row, "confirm", now)
    booking_push.in_step(booking)


def push_all_waiting() -> int:
    """A new key: everything that could not be sent is sent now. How many appointments."""
    query = select(Booking).where(Booking.sync_status.in_((PENDING, ERROR)), Booking.status != REPLACED)
    waiting = list(db.session.scalars(query.order_by(Booking.id)))
    for booking in waiting:
        booking_push.queue(booking)
    return len(waiting)


def _both(appointment_id: int) -> tuple[Appointment, Booking] | None:
    """The appointment, locked, and its standing booking; None where there is none."""
    row = db.session.get(Appointment, appointment_id, with_for_update=True, populate_existing=True)
    booking = booking_push.standing(appointment_id) if row is not None else None
    return (row, booking) if row is not None and booking is not None else None


# ---- What a person is shown -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the two versions. ``status`` in our words; ``who`` is a name, '' where it is open."""

    start: datetime
    end: datetime
    status: str
    who: str


@dataclass(frozen=True)
class Standing:
    """How an appointment and its booking at Cal.com stand to each other.

    ``state``: ``synced``, ``waiting``, ``error``, ``conflict``, or ``alone`` (over at Cal.com, standing here).
    ``problem`` is the kind of what went wrong, ``words`` Cal.com's own; '' for none.
    """

    state: str
    problem: str
    words: str


@dataclass(frozen=True)
class Sync(Standing):
    """The same with both versions. ``since``: when Cal.com was last heard of it; ``attempts`` of the present push."""

    ours: Side
    theirs: Side
    since: datetime | None
    attempts: int


STATES = {PENDING: "waiting", CONFLICT: "conflict", ERROR: "error"}
THEIR_STATUS = {"ACCEPTED": "confirmed", "PENDING": "scheduled", "CANCELLED": "cancelled", "REJECTED": "cancelled"}


def sync_of(appointment: Appointment) -> Sync | None:
    """None where Cal.com has nothing to do with it, or the company has no key and nothing is open."""
    if appointment.calcom_event_id is None:
        return None
    booking = booking_push.standing(appointment.id)
    if booking is None or (booking.sync_status != CONFLICT and not booking_push.connected()):
        return None
    return _sync(appointment, booking)


def _standing(appointment: Appointment, booking: Booking) -> Standing:
    alone = booking.status in ENDED and appointment.status in OPEN
    state = STATES.get(booking.sync_status) or ("alone" if alone else "synced")
    problem, _colon, words = (booking.sync_error or "").partition(": ")
    return Standing(state, problem, words)


def _sync(appointment: Appointment, booking: Booking) -> Sync:
    ours = Side(
        appointment.start_time,
        appointment.end_time,
        appointment.status,
        appointment.staff.name if appointment.staff else "",
    )
    theirs = Side(booking.starts_at, booking.ends_at, THEIR_STATUS.get(booking.status, "scheduled"), _host(booking))
    known = vars(_standing(appointment, booking))
    return Sync(**known, ours=ours, theirs=theirs, since=booking.last_synced_at, attempts=booking.sync_attempts)


def _host(booking: Booking) -> str:
    """Our name of who has it there, else theirs."""
    organizer = (booking.raw_payload or {}).get("organizer")
    named = organizer if isinstance(organizer, dict) else {}
    person_id, email = organizer_of(booking)
    known = staff_by(Person(id=person_id, email=email), None)
    person = db.session.get(Staff, known) if known is not None else None
    return person.name if person else str(named.get("name") or email or "")


def how_many_apart() -> int:
    """How many appointments of the company do not stand as they do at Cal.com."""
    apart = select(func.count()).where(Booking.sync_status.in_(OUT_OF_STEP), Booking.status != REPLACED)
    return db.session.scalars(apart.select_from(Booking)).one()


def out_of_step(branch_ids: list[int] | None, limit: int = LISTED) -> list[tuple[Appointment, Standing]]:
    """Appointments that do not stand as they do at Cal.com, those that need a person first, then by time."""
    query = (
        select(Booking, Appointment)
        .join(Appointment, Appointment.id == Booking.appointment_id)
        .join(Appointment.branch)
        .options(contains_eager(Appointment.branch), joinedload(Appointment.customer), joinedload(Appointment.staff))
        .where(Booking.sync_status.in_(OUT_OF_STEP), Booking.status != REPLACED)
        .order_by(Booking.sync_status == PENDING, Appointment.start_time, Appointment.id)
        .limit(limit)
    )
    if branch_ids is not None:
        query = query.where(Appointment.branch_id.in_(branch_ids))
    rows = db.session.execute(query).unique()
    return [(appointment, _standing(appointment, booking)) for booking, appointment in rows]
