"""Has a caller been helped since? What came after a call: further calls, appointments, a call back.

Two calls are of the same caller when they are of the same customer, or of the same number with nobody else's name on
it: a family shares a phone. A withheld number is nobody's, and so is a name that an exchange sends: two never match.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import aliased

from portal.db import db
from portal.domain import followup_rules, phones, transcripts
from portal.domain.followup_rules import CallState
from portal.models import Appointment, Booking, Call, CallActivity, CallContent, CallFollowup, Customer, CustomerPhone

OPEN = ("open", "in_progress")
# Of a caller who never stops calling, so many calls are looked at.
MOST = 30
TRANSFERS = ("transfer_bridged", "transfer_cancelled")
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Served:
    """What settled it: called_again, booked, called_back. ``start`` is the appointment's, ``seconds`` the talk's."""

    how: str
    at: datetime
    call_id: int | None = None
    appointment_id: int | None = None
    start: datetime | None = None
    source: str | None = None
    seconds: int | None = None


def state_of(call: Call, content: CallContent | None, transfers: Iterable[str] = ()) -> CallState:
    """A call as the rules see it."""
    return CallState(
        direction=call.direction,
        status=call.status,
        end_reason=call.end_reason,
        seconds=call.duration_seconds,
        intent=call.intent,
        sentiment=call.sentiment,
        analysed=call.analyzed_at is not None,
        booked=call.appointment_created,
        data=call.custom_data,
        tool_calls=tuple(content.tool_calls or ()) if content else (),
        transfers=tuple(transfers),
        summary=call.summary,
    )


def read_state(call: Call) -> CallState:
    """The same with what was said and done in it."""
    steps = select(CallActivity.activity_type).where(
        CallActivity.call_id == call.id, CallActivity.activity_type.in_(TRANSFERS)
    )
    return state_of(call, db.session.get(CallContent, call.id), db.session.scalars(steps.order_by(CallActivity.id)))


# ---- The same caller ------------------------------------------------------------------------------------------


def same_caller(call: Call) -> ColumnElement[bool]:
    """Calls of whoever made this one, this one included where it has a number or a customer."""
    conditions: list[ColumnElement[bool]] = []
    if call.customer_id is not None:
        conditions.append(Call.customer_id == call.customer_id)
    if phones.is_somebodys(call.phone_number):
        nobody_else = or_(Call.customer_id.is_(None), Call.customer_id == call.customer_id)
        by_number = Call.phone_number == call.phone_number
        conditions.append(by_number if call.customer_id is None else and_(by_number, nobody_else))
    return or_(*conditions) if conditions else false()


def callers_numbers(customer_id: int) -> list[str]:
    """Every number of a customer."""
    own = select(Customer.phone_normalized).where(Customer.id == customer_id, Customer.phone_normalized.is_not(None))
    further = select(CustomerPhone.phone_normalized).where(CustomerPhone.customer_id == customer_id)
    return [number for query in (own, further) for number in db.session.scalars(query) if number]


def of_customer(customer_id: int) -> ColumnElement[bool]:
    """Calls of this customer, and those from their numbers that nobody has been found for."""
    numbers = callers_numbers(customer_id)
    nameless = and_(Call.phone_number.in_(numbers), Call.customer_id.is_(None))
    return or_(Call.customer_id == customer_id, nameless) if numbers else Call.customer_id == customer_id


def customers_of(call: Call) -> list[int]:
    """The caller, or whoever has the number where nobody was recognised."""
    if call.customer_id is not None:
        return [call.customer_id]
    if not phones.is_somebodys(call.phone_number):
        return []
    own = select(Customer.id).where(Customer.phone_normalized == call.phone_number)
    further = select(CustomerPhone.customer_id).where(CustomerPhone.phone_normalized == call.phone_number)
    return sorted({*db.session.scalars(own), *db.session.scalars(further)})


# ---- What came after ------------------------------------------------------------------------------------------


def served(call: Call, since: datetime) -> Served | None:
    """The first thing after ``since`` that helped the caller; None while nothing has."""
    found = [each for each in (_by_appointment(call, since), _by_call(call, since)) if each is not None]
    return min(found, key=lambda each: each.at, default=None)


def _by_call(call: Call, since: datetime) -> Served | None:
    """A later call in which the caller was helped, or reached."""
    after = max(since, call.started_at)
    query = (
        select(Call)
        .where(same_caller(call), Call.id != call.id, Call.started_at > after, Call.status == "completed")
        .order_by(Call.started_at, Call.id)
        .limit(MOST)
        .execution_options(populate_existing=True)
    )
    later = list(db.session.scalars(query))
    in_need = _in_need([each.id for each in later])
    return next((made for each in later if each.id not in in_need and (made := _outcome(each))), None)


def _in_need(call_ids: list[int]) -> set[int]:
    """Those of the calls that need, or needed, a person themselves."""
    if not call_ids:
        return set()
    rows = db.session.execute(
        select(CallFollowup.call_id, CallFollowup.facts).where(CallFollowup.call_id.in_(call_ids))
    )
    return {call_id for call_id, facts in rows if closing_of(facts).get("how") != WITHDRAWN}


def closing_of(facts: dict[str, object] | None) -> dict[str, object]:
    """What a follow-up closed itself by; {} while it has not."""
    closed = (facts or {}).get("closed")
    return closed if isinstance(closed, dict) else {}


def _outcome(call: Call) -> Served | None:
    state = read_state(call)
    at = call.ended_at or call.started_at + timedelta(seconds=call.duration_seconds or 0)
    if followup_rules.reaches(state) and not followup_rules.needs(state):
        return Served("called_back", at, call.id, seconds=call.duration_seconds)
    if not followup_rules.serves(state):
        return None
    start = None
    if call.appointment_id is not None:
        start = db.session.scalar(select(Appointment.start_time).where(Appointment.id == call.appointment_id))
    return Served("called_again", at, call.id, call.appointment_id, start, seconds=call.duration_seconds)


def _by_appointment(call: Call, since: datetime) -> Served | None:
    """An appointment that was made after the call, in whatever way; what was booked in the call itself is none."""
    customers = customers_of(call)
    if not customers:
        return None
    after = max(since, call.ended_at or call.started_at)
    booking = aliased(Booking)
    by_provider = select(booking.id).where(booking.appointment_id == Appointment.id).exists()
    elsewhere = or_(Appointment.call_id.is_(None), Appointment.call_id != call.id, ~by_provider)
    row = db.session.scalar(
        select(Appointment)
        .where(Appointment.customer_id.in_(customers), Appointment.created_at > after)
        .where(Appointment.status != "cancelled", elsewhere, Appointment.id.not_in(booked_in(call)))
        .order_by(Appointment.created_at, Appointment.id)
        .limit(1)
    )
    if row is None:
        return None
    return Served("booked", row.created_at, row.call_id, row.id, row.start_time, row.source)


def booked_in(call: Call) -> list[int]:
    """Appointments whose bookings the receptionist was told of in the call, tied to it yet or not."""
    content = db.session.get(CallContent, call.id)
    uids = transcripts.booking_uids((content.tool_calls if content else None) or [])
    if not uids:
        return []
    rows = db.session.scalars(select(Booking.appointment_id).where(Booking.external_uid.in_(uids)))
    return [row for row in rows if row is not None]
