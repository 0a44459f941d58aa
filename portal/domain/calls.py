"""Calls as they are reported: one row a call, whatever arrives how often and in which order.

A report fills what is missing; what was known is replaced only by a report of a call that has come as far or further.
Money moves in the same transaction: a hold when the call is first heard of while it runs, the charge when it is over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.domain import (
    appointments,
    bookings,
    call_deeds,
    customers,
    followups,
    lapsed,
    ledger,
    outbox,
    recordings,
    stats,
    transcripts,
)
from portal.domain.call_reports import CallReport, Stage
from portal.domain.transcripts import Transcript
from portal.models import (
    Appointment,
    Booking,
    Call,
    CallActivity,
    CallContent,
    Company,
    Customer,
    PhoneNumber,
    WebhookEvent,
)
from portal.tenancy import all_tenants, current_company_id

# Columns whose two versions are united key by key instead of one replacing the other.
UNITED = ("dynamic_variables", "custom_data")
# A booking made in a call comes within this time of it.
MARGIN = timedelta(minutes=10)
CHARGE_LATER = "call.charge"
KNOWN_CUSTOMER = {"recognised", "customer_new"}

Step = tuple[str, datetime, dict[str, Any] | None]


class NotOursError(Exception):
    """The call is about a number, an agent or a call of another company, or of nobody we know."""


@dataclass(frozen=True)
class _Side:
    """Our end of a call: the number that was dialled or dialled from, where it is one that we know."""

    phone_number_id: int | None = None
    branch_id: int | None = None


def record(report: CallReport, received_at: datetime, now: datetime) -> Call:
    """Take over one report; returns the call. Needs the company's scope and a transaction.

    Raises :class:`NotOursError` when the call belongs to nobody or to somebody else.
    """
    side = _our_side(report)
    ledger.lock()  # before every other row, as everywhere
    known = _find(report.call_id)
    gone = lapsed.of(known, report.values["started_at"], now)
    report = gone.without(report)
    call, is_new = (known, False) if known is not None else _made_call(report, side, received_at, now)
    started_before, first_analysis = call.started_at, report.stage is Stage.ANALYSED and call.analyzed_at is None
    newer = is_new or _is_newer(call, report, received_at)
    if not is_new:
        _merge(call, report, newer)
    if report.transcript is not None:
        _keep_transcript(call, report.transcript, newer)
    if report.stage is Stage.ANALYSED and newer:
        call.analyzed_at = received_at
    db.session.flush()
    if is_new or report.stage >= Stage.ENDED:
        _identify(call, report, now, first_analysis)
        if not gone.people:
            _tie_booking(call, now)
        _settle(call, is_new, now)
        stats.mark_moment_dirty(call.company_id, call.started_at, started_before)
    _tell(call, report, received_at, now)
    recordings.take_over(call, now)
    db.session.flush()
    if not gone.words:  # what they ask for cannot be told any more
        followups.sync(call, now)
    return call


# ---- Whose call is it? --------------------------------------------------------------------------------------


def is_ours(report: CallReport) -> bool:
    """Whether :func:`record` would take this call."""
    try:
        _our_side(report)
    except NotOursError:
        return False
    return True


def _our_side(report: CallReport) -> _Side:
    """Our number decides, then the agent; one that is another company's is refused even beside one that is ours."""
    company_id = current_company_id()
    number, agents = _registered(report)
    if number is not None and number.company_id != company_id:
        raise NotOursError(f"{report.our_number} belongs to another company")
    if agents and company_id not in agents:
        raise NotOursError(f"agent {report.agent_id} belongs to another company")
    if number is not None:
        return _Side(number.id, number.branch_id)
    if company_id not in agents:
        raise NotOursError(f"neither {report.our_number} nor agent {report.agent_id} is known")
    return _Side()


def _registered(report: CallReport) -> tuple[PhoneNumber | None, set[int]]:
    """The registered number, and the companies that have registered this agent."""
    number, agent = report.our_number, report.agent_id
    with all_tenants("a number or an agent may be another company's, which must be seen to be refused"):
        rows = db.session.scalars(
            select(PhoneNumber).where(or_(PhoneNumber.number_e164 == number, PhoneNumber.retell_agent_id == agent))
        ).all()
        owners = set(db.session.scalars(select(Company.id).where(Company.retell_agent_id == agent))) if agent else set()
        dialled = next((row for row in rows if row.number_e164 == number), None)
        return dialled, owners | {row.company_id for row in rows if agent and row.retell_agent_id == agent}


# ---- The row -------------------------------------------------------------------------------------------------


def _made_call(report: CallReport, side: _Side, received_at: datetime, now: datetime) -> tuple[Call, bool]:
    """The call's row, locked, and whether it was made just now; of two that come at once, one makes it."""
    try:
        with db.session.begin_nested():
            call = _new_call(report, side, received_at, now)
            db.session.add(call)
        return call, True
    except IntegrityError:
        # The other delivery was first and has committed meanwhile.
        if (known := _find(report.call_id)) is not None:
            return known, False
        raise NotOursError(f"call {report.call_id} belongs to another company") from None


def _find(call_id: str) -> Call | None:
    return db.session.scalar(
        select(Call).where(Call.call_id == call_id).with_for_update().execution_options(populate_existing=True)
    )


def _new_call(report: CallReport, side: _Side, received_at: datetime, now: datetime) -> Call:
    told = {name: value for name, value in report.values.items() if value is not None}
    return Call(
        company_id=current_company_id(),
        call_id=report.call_id,
        branch_id=side.branch_id,
        phone_number_id=side.phone_number_id,
        created_at=now,  # the same clock as a customer whom this call makes; see _how_known
        **{"started_at": received_at, **told},
    )


def _stage_of(call: Call) -> Stage:
    if call.analyzed_at is not None:
        return Stage.ANALYSED
    return Stage.STARTED if call.status == "in_progress" else Stage.ENDED


def _is_newer(call: Call, report: CallReport, received_at: datetime) -> bool:
    """Whether a report may replace what is known; of two analyses, the one that came in later."""
    if report.stage is Stage.ANALYSED and call.analyzed_at is not None:
        return received_at >= call.analyzed_at
    return report.stage >= _stage_of(call)


def _merge(call: Call, report: CallReport, newer: bool) -> None:
    """Unite what is known with what a further report says."""
    for name, value in report.values.items():
        known = getattr(call, name)
        if value is None or name == "status" or (name == "sentiment" and _mood_stands(call, value)):
            continue
        if name in UNITED and known:
            setattr(call, name, {**known, **value} if newer else {**value, **known})
        elif known is None or newer:
            setattr(call, name, value)
    if report.stage >= Stage.ENDED and (newer or call.status == "in_progress"):
        call.status = report.values["status"]


def _mood_stands(call: Call, reported: str) -> bool:
    """Whether a person has put another mood right, so that no analysis changes it any more."""
    return call.sentiment != reported and call_deeds.were_done(call.id, call_deeds.MOOD)


def _keep_transcript(call: Call, heard: Transcript, newer: bool) -> None:
    """Store a version of the transcript, unless what is here comes from later or reaches further."""
    content = db.session.get(CallContent, call.id, populate_existing=True)
    if content is None:
        content = CallContent(
            call_id=call.id, company_id=call.company_id, tenant_token=transcripts.tenant_token(call.company_id)
        )
        db.session.add(content)
    elif not newer or (call.status == "in_progress" and heard.reach < _known(content).reach):
        return
    elif (heard.text, heard.turns) == (content.transcript, content.turns) and not heard.tool_calls:
        return  # the same words, and what was done between them is not told this time
    content.transcript, content.turns, content.tool_calls = heard.text, heard.turns, heard.tool_calls


def _known(content: CallContent) -> Transcript:
    return Transcript(content.transcript or "", content.turns or [], content.tool_calls or [])


# ---- Who called, and what for ---------------------------------------------------------------------------------


def _identify(call: Call, report: CallReport, now: datetime, first_analysis: bool) -> None:
    """Link the customer: a known one at once, a new one when the call is over and somebody has spoken.

    After the first analysis nothing changes any more, and what a person has decided never.
    """
    if report.other_e164 is None or (call.customer_id is not None and not first_analysis):
        return
    if call.customer_id is not None and call.appointment_id is not None:
        return  # whoever booked has given a name
    if call_deeds.were_done(call.id, call_deeds.LINKED, call_deeds.UNLINKED):
        return  # a person has said who it was, or that it was nobody
    if report.stage < Stage.ENDED or not _has_spoken(call, report):
        customer = _only_known(report.other_e164)
    else:
        customer = customers.identify_caller(
            report.other_e164, report.other_raw, report.name_said, report.email_said, now
        )
    if customer is not None:
        call.customer_id = customer.id


def _has_spoken(call: Call, report: CallReport) -> bool:
    """Who hangs up without a word, or is never reached, does not become a customer."""
    if report.name_said:
        return True
    if not call.duration_seconds:
        return False
    if report.transcript is not None:
        return transcripts.caller_spoke(report.transcript.turns)
    content = db.session.get(CallContent, call.id)
    return content is not None and transcripts.caller_spoke(content.turns or [])


def _only_known(e164: str) -> Customer | None:
    """The one customer of that number, or the only one whose name is confirmed."""
    people = customers.find_by_phone(e164)
    confirmed = [person for person in people if person.name_confirmed]
    return people[0] if len(people) == 1 else confirmed[0] if len(confirmed) == 1 else None


def _tie_booking(call: Call, now: datetime) -> None:
    """Tie what was booked in this call, where the booking has come before the call itself."""
    if call.appointment_id is not None:
        return
    content = db.session.get(CallContent, call.id)
    uids = _announced(call, now) or transcripts.booking_uids((content.tool_calls if content else None) or [])
    if uids and (appointment := _booked(uids)) is not None:
        appointments.link_call(appointment, call)


def _booked(uids: list[str]) -> Appointment | None:
    return db.session.scalar(
        select(Appointment)
        .join(Booking, Booking.appointment_id == Appointment.id)
        .where(Booking.provider == bookings.CALCOM, Booking.external_uid.in_(uids), Appointment.call_id.is_(None))
        .order_by(Appointment.id)
        .limit(1)
    )


def _announced(call: Call, now: datetime) -> list[str]:
    """Uids of bookings that name this call, from what Cal.com sent while it was running."""
    around = WebhookEvent.created_at.between(call.started_at - MARGIN, now + MARGIN)
    bodies = db.session.scalars(
        select(WebhookEvent.body)
        .where(WebhookEvent.company_id == call.company_id, WebhookEvent.provider == bookings.CALCOM, around)
        .where(func.instr(WebhookEvent.body, call.call_id.encode()) > 0)
        .order_by(WebhookEvent.created_at)
        .limit(10)
    )
    return [uid for body in bodies if (uid := _booked_for(json.loads(body), call.call_id))]


def _booked_for(body: Any, call_id: str) -> str | None:
    """The uid of a booking that names the call as its own."""
    payload = body.get("payload") if isinstance(body, dict) else None
    metadata = payload.get("metadata") if isinstance(payload, dict) else None
    if not isinstance(metadata, dict) or metadata.get("retell_call_id") != call_id:
        return None
    return str(payload.get("uid") or "") or None  # type: ignore[union-attr]


# ---- Money and the timeline -----------------------------------------------------------------------------------


def _settle(call: Call, is_new: bool, now: datetime) -> None:
    """Hold once while the call runs; charge (or let go, at 0 s) once it is over and its length is known."""
    if call.status == "in_progress":
        if is_new:
            ledger.hold(call, now)
    elif call.duration_seconds is not None:
        try:
            ledger.charge(call, now)
        except ledger.NoRateError:
            # The call stays; the worker charges it once somebody has set a price.
            outbox.enqueue(
                CHARGE_LATER, {"call_id": call.id}, company_id=call.company_id, dedupe_key=f"{CHARGE_LATER}:{call.id}"
            )


def _tell(call: Call, report: CallReport, received_at: datetime, now: datetime) -> None:
    """Add to the timeline what it does not tell yet."""
    told = _told(call.id)
    recognised = max(call.started_at, min(now, call.ended_at or now))
    steps: list[Step] = [("started", call.started_at, None)]
    if call.customer_id is not None and not told & KNOWN_CUSTOMER:
        steps.append((_how_known(call), recognised, None))
    if call.status != "in_progress":
        steps.append(("ended", call.ended_at or received_at, {"reason": call.end_reason}))
    if call.analyzed_at is not None:
        steps.append(("analysed", call.analyzed_at, None))
    _add_steps(call, [step for step in steps if step[0] not in told])
    if report.transfer is not None:
        at = report.transfer.at or received_at
        _add_steps(call, [(report.transfer.step, at, {"to": report.transfer.to})])


def _how_known(call: Call) -> str:
    """Whether the customer was known before the call, or has become one by it."""
    customer = db.session.get_one(Customer, call.customer_id)
    return "recognised" if customer.created_at < call.created_at else "customer_new"


def _told(call_id: int) -> set[str]:
    return set(db.session.scalars(select(CallActivity.activity_type).where(CallActivity.call_id == call_id)))


def _add_steps(call: Call, steps: list[Step]) -> None:
    for kind, at, data in steps:
        db.session.add(
            CallActivity(
                company_id=call.company_id, call_id=call.id, activity_type=kind, occurred_at=at, activity_data=data
            )
        )
