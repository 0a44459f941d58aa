"""What a provider's bookings mean for the calendar, in whatever order, and however often, they are told.

A booking's uid is its identity. A reschedule brings a new uid and names the old one: the same appointment moves, and a
new :class:`Booking` row joins it. Only what the provider itself has changed is taken over, so that what people of the
business did in the portal meanwhile stays. What was changed here and has not reached the provider yet is not
overwritten: where both sides differ then, a person chooses (see ``booking_sync``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.db import db
from portal.domain import appointments, audit, booking_alerts, booking_push, followups
from portal.domain.booking_push import There, told_by_calcom
from portal.domain.booking_rows import (
    call_of,
    event_type_of,
    join,
    organizer_of,
    plan_for,
    staff_by,
    staff_of,
    tie,
    write,
)
from portal.domain.slots import OPEN, Plan, plan_of
from portal.domain.told import CALCOM, ENDED, IS_OVER, REPLACED, STATUS, Away, Moot, Person, Told, Waiting
from portal.models import Appointment, Booking, Call, StaffAbsence
from portal.tenancy import current_company_id

__all__ = ["CALCOM", "ENDED", "REPLACED", "STATUS", "Away", "Moot", "Person", "Told", "Waiting"]

# The event before may still be on its way; after this time the later one is taken by itself.
PATIENCE = timedelta(minutes=1)
# A cancellation of what we have never heard of: after this time it is nothing to us.
MOOT_AFTER = timedelta(hours=6)


# ---- Bookings that stand ----------------------------------------------------------------------------------------


@told_by_calcom()
def take_over(told: Told, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """A booking was made, requested, confirmed or moved. ``waited``: how long this event has been lying here."""
    booking = find(told.uid)
    if booking is not None:
        return _again(booking, told, now)
    if successor := _successor(told.uid):
        return _as_history(successor, told, now)
    if told.previous_uid is None:
        return _new(told, now)
    previous = find(told.previous_uid)
    if previous is None:
        if waited < PATIENCE:
            raise Waiting(waiting_for(told.previous_uid))
        return _new(told, now)
    return _moved(previous, told, now)


def find(uid: str) -> Booking | None:
    """Cal.com's booking of that uid."""
    return db.session.scalar(select(Booking).where(Booking.provider == CALCOM, Booking.external_uid == uid))


def waiting_for(uid: str) -> str:
    """What an event says while it waits for that booking; the words by which it is found again."""
    return f"waits for booking {uid}"


def _successor(uid: str) -> Booking | None:
    return db.session.scalar(
        select(Booking).where(Booking.provider == CALCOM, Booking.previous_uid == uid).order_by(Booking.id).limit(1)
    )


def locked(booking: Booking) -> Appointment:
    """The appointment of the booking, both as they are now: a push and an event about it come one after the other."""
    appointment = db.session.get_one(Appointment, booking.appointment_id, with_for_update=True, populate_existing=True)
    db.session.refresh(booking)
    return appointment


def _new(told: Told, now: datetime) -> Appointment:
    source = "phone" if told.call_id else "web"
    plan, call = plan_for(told, now), call_of(told.call_id)
    appointment = appointments.book(plan, now=now, source=source, status=STATUS[told.status], call=call, take_over=True)
    join(appointment, told)
    tie(appointment, told)
    followups.appointment_made(appointment, now)
    return appointment


def _moved(previous: Booking, told: Told, now: datetime) -> Appointment:
    """A reschedule: the appointment of the booking before moves."""
    appointment = locked(previous)
    if (known := find(told.uid)) is not None:
        return _again(known, told, now)  # the answer to our own push was quicker
    if previous.sync_status == booking_push.SYNCED:
        _follow_move(appointment, previous, told, now)
        join(appointment, told)
    else:
        _meanwhile(appointment, previous, told, now)
    tie(appointment, told)
    return appointment


def _follow_move(appointment: Appointment, previous: Booking, told: Told, now: datetime) -> None:
    if appointment.status not in OPEN:
        # Cancelled so that the customer may choose another time, for one: it stands again once they have.
        appointments.set_status(appointment, "back", now, take_over=True)
    appointments.change(appointment, _followed(appointment, previous, told), take_over=True)
    if told.status == "PENDING" and appointment.status == "confirmed":
        appointments.set_status(appointment, "back", now)
    _confirm(appointment, told, now)
    previous.status = REPLACED


def _followed(appointment: Appointment, known: Booking, told: Told) -> Plan:
    """The appointment with what Cal.com has changed since it was last heard; the rest stays as it is here."""
    plan, event_type = plan_of(appointment), event_type_of(told.event_type_id)
    if (told.start, told.end) != (known.starts_at, known.ends_at):
        length = plan.end - plan.start
        changed_here = length != known.ends_at - known.starts_at
        plan = replace(plan, start=told.start, end=told.start + length if changed_here else told.end)
    if plan.staff_id is None or (told.organizer.id, told.organizer.email) != organizer_of(known):
        plan = replace(plan, staff_id=staff_of(told) or plan.staff_id)
    if event_type is not None and event_type.id != known.event_type_id:
        plan = replace(
            plan,
            branch_id=event_type.branch_id or plan.branch_id,
            service_id=event_type.service_id or plan.service_id,
        )
    return plan


def _again(booking: Booking, told: Told, now: datetime) -> Appointment:
    """The same booking once more: only what is newer and different counts."""
    appointment = locked(booking)
    if is_stale(booking, told) or booking.status in (*ENDED, REPLACED):
        raise Moot("older than what is known of the booking")
    if booking.status == "ACCEPTED":
        told = replace(told, status="ACCEPTED")  # what is confirmed does not become a mere request again
    if booking.sync_status != booking_push.SYNCED:
        _meanwhile(appointment, booking, told, now)
    else:
        appointments.change(appointment, _followed(appointment, booking, told), take_over=True)
        if told.status != booking.status:
            _confirm(appointment, told, now)
        write(booking, told)
    tie(appointment, told)
    return appointment


def _confirm(appointment: Appointment, told: Told, now: datetime) -> None:
    if told.status == "ACCEPTED" and appointment.status == "scheduled":
        appointments.set_status(appointment, "confirm", now)


def _meanwhile(appointment: Appointment, known: Booking, told: Told, now: datetime) -> None:
    """Cal.com tells of a booking while a change that was made here is still on its way there.

    ``known`` is the booking as it was heard last; with another uid it is the one before.
    """
    wish, before, sent = booking_push.wish_of(appointment), booking_push.there(known), known.pushed_start
    heard, undecided = There(told.start, told.status), known.sync_status == booking_push.CONFLICT
    clash = booking_push.contradicts(wish, before, heard, sent)
    moved_here, is_echo = wish.start != before.start, told.start in (sent, wish.start)
    if not (clash or undecided or moved_here or is_echo) and wish.stands:
        appointments.change(appointment, _followed(appointment, known, told), take_over=True)
    if not clash and wish.stands and appointment.status == "scheduled" and told.status != known.status:
        _confirm(appointment, told, now)
    settle(appointment, heir(appointment, known, told), clash or undecided, now)


def heir(appointment: Appointment, known: Booking, told: Told) -> Booking:
    """The row of what was told: the known one written anew, or a new one that takes its place and its state."""
    if known.external_uid == told.uid:
        write(known, told)
        return known
    known.status = REPLACED
    booking = join(appointment, replace(told, previous_uid=told.previous_uid or known.external_uid))
    booking.sync_status, booking.sync_attempts, booking.sync_error = (
        known.sync_status,
        known.sync_attempts,
        known.sync_error,
    )
    booking.pushed_start, booking.push_until = known.pushed_start, known.push_until
    booking_push.in_step(known)
    return booking


def settle(appointment: Appointment, booking: Booking, clash: bool, now: datetime) -> None:
    """How the two stand after news from Cal.com: agreed, still to be pushed, or to be chosen by a person."""
    step = booking_push.next_step(booking_push.wish_of(appointment), booking_push.there(booking), now)
    if step is None:
        booking_push.in_step(booking)
    elif clash or step == "impossible":
        if booking.sync_status != booking_push.CONFLICT:
            booking.sync_status, booking.sync_error = booking_push.CONFLICT, None
            booking_alerts.conflict(appointment, booking)
        db.session.flush()


def _as_history(successor: Booking, told: Told, now: datetime) -> Appointment:
    """An event that comes after the reschedule which replaced it: it joins, and changes nothing.

    Should the bookings before it stand as an appointment of their own, that one is the same and goes.
    """
    appointment = db.session.get_one(Appointment, successor.appointment_id)
    booking = join(appointment, told)
    booking.status = REPLACED
    previous = find(told.previous_uid) if told.previous_uid else None
    if previous is not None and previous.appointment_id != appointment.id:
        _merge(previous, appointment, now)
    return appointment


def _merge(previous: Booking, appointment: Appointment, now: datetime) -> None:
    """The earlier appointment ends; customer and notes, which people may have put right there, live on."""
    double = db.session.get_one(Appointment, previous.appointment_id)
    for row in sorted((double, appointment), key=lambda row: row.id):
        db.session.refresh(row, with_for_update=True)  # what is changed meanwhile is not written back
    earlier, plan = plan_of(double), plan_of(appointment)
    if double.status in OPEN:
        appointments.cancel(double, "rescheduled", CALCOM, now)
    plan = replace(
        plan,
        customer_id=earlier.customer_id,
        internal_notes=earlier.internal_notes or plan.internal_notes,
        customer_notes=earlier.customer_notes or plan.customer_notes,
    )
    appointments.change(appointment, plan, take_over=True)
    call = db.session.get(Call, double.call_id) if double.call_id is not None else None
    if call is not None:
        call.appointment_id = None
        appointments.link_call(appointment, call)
    for booking in db.session.scalars(select(Booking).where(Booking.appointment_id == double.id)):
        booking.appointment_id, booking.status = appointment.id, REPLACED
        booking_push.in_step(booking)
    db.session.flush()


def is_stale(booking: Booking, told: Told) -> bool:
    """Whether we know something newer. Cal.com raises the sequence when it cancels; else the writing time decides."""
    if told.sequence is not None and told.sequence < booking.sequence:
        return True
    if told.written_at is None or booking.event_created_at is None:
        return False
    return told.written_at < booking.event_created_at


# ---- Bookings that end ------------------------------------------------------------------------------------------


@told_by_calcom()
def call_off(told: Told, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """A booking was cancelled or rejected."""
    booking = _known(told.uid, waited)
    appointment = locked(booking)
    if booking.status in (*ENDED, REPLACED):
        # An end is final for its uid, so that it holds whatever else was heard before.
        raise Moot("the booking has ended already")
    _not_over_after_all(appointment, told, now)
    wish, before = booking_push.wish_of(appointment), booking_push.there(booking)
    unpushed = booking.sync_status != booking_push.SYNCED
    heard, sent = There(told.start, told.status), booking.pushed_start
    clash = unpushed and booking_push.contradicts(wish, before, heard, sent, unsent=True)
    write(booking, told)
    if not clash and appointment.status in OPEN:
        default = "rejected" if told.status == "REJECTED" else "calcom"
        appointments.cancel(appointment, told.reason or default, _canceller(told), now)
    if unpushed:
        settle(appointment, booking, clash, now)
    return appointment


def _not_over_after_all(appointment: Appointment, told: Told, now: datetime) -> None:
    """Cal.com tells by the clock that a visit is over, whoever came: one that had been cancelled before was none."""
    if appointment.status not in ("completed", "no_show") or told.written_at is None or told.written_at > told.end:
        return
    last = next((step for step in appointments.history(appointment) if (step.new_values or {}).get("status")), None)
    if last is not None and last.user_id is None and last.action != "appointment.created":
        while appointment.status not in OPEN:
            appointments.set_status(appointment, "back", now, take_over=True)


def _canceller(told: Told) -> str:
    """Who it was: the customer, the staff member, or the address that Cal.com gives."""
    by = (told.by or "").casefold()
    if told.status == "REJECTED":
        return "staff"
    if by and by == (told.attendee.email or "").casefold():
        return "customer"
    if by and by == (told.organizer.email or "").casefold():
        return "staff"
    return told.by or "calcom"


@told_by_calcom()
def mark_no_show(
    uid: str, marks: dict[str, bool], written_at: datetime | None, now: datetime, waited: timedelta = timedelta(0)
) -> Appointment:
    """Somebody did not come, or did after all. ``marks``: e-mail address → no-show."""
    booking = _known(uid, waited)
    appointment = locked(booking)
    if booking.status == REPLACED:
        raise Moot("the booking has been rescheduled")
    if written_at and booking.event_created_at and written_at < booking.event_created_at:
        raise Moot("something newer is known of the booking")
    # Kept also where nothing changes, so that an older mark that comes later is known as such.
    booking.event_created_at = max(filter(None, (written_at, booking.event_created_at)), default=None)
    missed = marks.get((booking.attendee_email or "").casefold(), any(marks.values()))
    if missed and appointment.status != "cancelled":
        return appointments.set_status(appointment, "no_show", now)
    if not missed and appointment.status == "no_show":
        appointments.set_status(appointment, "back", now, take_over=True)
        if appointment.status in OPEN and (booking.raw_payload or {}).get(IS_OVER):
            appointments.set_status(appointment, "completed", now)
    return appointment


@told_by_calcom()
def meeting_ended(uid: str, now: datetime, waited: timedelta = timedelta(0)) -> Appointment:
    """The booked time is over. Cal.com says so by the clock, so an appointment moved in the portal is left alone."""
    booking = _known(uid, waited)
    appointment = locked(booking)
    if appointment.status == "no_show" and not (booking.raw_payload or {}).get(IS_OVER):
        # Should they have come after all, it was a visit.
        booking.raw_payload = (booking.raw_payload or {}) | {IS_OVER: True}
        return appointment
    if booking.status in (*ENDED, REPLACED) or appointment.status not in OPEN:
        raise Moot("the appointment is not open")
    if appointment.start_time != booking.starts_at:
        raise Moot("the appointment has been moved in the portal")
    return appointments.set_status(appointment, "completed", now)


def _known(uid: str, waited: timedelta) -> Booking:
    booking = find(uid)
    if booking is not None and booking.appointment_id is not None:
        return booking
    if waited < MOOT_AFTER:
        raise Waiting(waiting_for(uid))
    raise Moot(f"booking {uid} was never heard of")


# ---- Absences ---------------------------------------------------------------------------------------------------


def take_over_absence(away: Away, waited: timedelta = timedelta(0)) -> StaffAbsence:
    """Somebody will be away. Cal.com tells a change under the same uid, and nothing when it is deleted."""
    staff_id = staff_by(away.person, None)
    if staff_id is None:
        if waited < MOOT_AFTER:
            raise Waiting(f"waits for staff member {away.person.id}")
        raise Moot(f"nobody here is Cal.com's user {away.person.id}")
    absence = _absence_of(away)
    absence.staff_id, absence.starts_at, absence.ends_at = staff_id, away.start, away.end
    absence.kind, absence.note = away.kind, away.note[:255] if away.note else None
    # The provider's clock: it tells an older event from a newer one.
    absence.updated_at = away.written_at
    db.session.flush()
    audit.record(
        "absence.taken_over",
        absence,
        new={"staff_id": staff_id, "starts_at": away.start.isoformat(), "ends_at": away.end.isoformat()},
    )
    return absence


def _absence_of(away: Away) -> StaffAbsence:
    """Its row, or a new one."""
    external_id = f"{CALCOM}:{away.uid}"
    absence = db.session.scalar(select(StaffAbsence).where(StaffAbsence.external_id == external_id))
    if absence is None:
        absence = StaffAbsence(company_id=current_company_id(), external_id=external_id)
        db.session.add(absence)
    elif away.written_at <= absence.updated_at:
        raise Moot("something newer is known of the absence")
    return absence
