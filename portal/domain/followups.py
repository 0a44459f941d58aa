"""Calls that need a person: written by themselves, and closed by themselves once the caller has been helped.

:func:`sync` runs in the transaction that takes over a report, as often and in whatever order reports come: it looks at
the call as it stands, so that running it again changes nothing. What a person has closed stays closed. A promise is
judged by the worker after a grace period, because the booking may still be on its way, and again when bookings come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from sqlalchemy import ColumnElement, false, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.db import db
from portal.domain import (
    audit,
    followup_due,
    followup_rules,
    followup_words,
    ledger,
    notifications,
    outbox,
    phones,
    promises,
)
from portal.domain import followup_served as callers
from portal.domain.followup_rules import Need
from portal.domain.followup_served import OPEN, WITHDRAWN, Served
from portal.domain.promises import Booked, CallFacts, Promise
from portal.models import Appointment, Booking, Call, CallContent, CallFollowup, Company, Customer, Service
from portal.permissions import Permission
from portal.tenancy import current_company_id

JUDGE = "followup.judge"
# A booking may reach us this much later than the call in which it was made.
GRACE = timedelta(minutes=10)
# A cancellation says something about a promise for so long after the call; a time that is past for so long is moot.
FRESH = timedelta(days=1)
# Overdue complaints older than that are told to nobody any more.
TOLD_LATE = timedelta(days=1)
# By whom an appointment is cancelled from outside; anybody else is a person of the business who knows it.
OUTSIDE = {"staff", "calcom"}


# ---- From the call --------------------------------------------------------------------------------------------


def sync(call: Call, now: datetime) -> None:
    """Bring the follow-ups of a call, and those that it settles, up to date. The company's balance row is locked."""
    if call.status == "in_progress":
        return
    rows = _rows_of(call)
    wanted = {need.reason: need for need in followup_rules.needs(callers.read_state(call))}
    if wanted.keys() - rows.keys():
        _lock_customers(call)
    for need in wanted.values():
        _want(call, rows.get(need.reason), need, now)
    for reason, row in rows.items():
        if reason != "promise" and reason not in wanted and call.analyzed_at is not None:
            _withdraw(row, now)
    _ask_for_judgement(call, rows.get("promise"))
    if call.status == "completed":
        for row in _open_of(callers.same_caller(call), Call.id != call.id, Call.started_at < call.started_at):
            settle(row, now)


def _rows_of(call: Call) -> dict[str, CallFollowup]:
    query = select(CallFollowup).where(CallFollowup.call_id == call.id).with_for_update()
    return {row.reason: row for row in db.session.scalars(query.execution_options(populate_existing=True))}


def _lock_customers(call: Call) -> None:
    """A booking of theirs that is being written is waited for: it could not see what is written here."""
    ids = callers.customers_of(call)
    db.session.scalars(select(Customer.id).where(Customer.id.in_(ids)).order_by(Customer.id).with_for_update()).all()


def _want(call: Call, row: CallFollowup | None, need: Need, now: datetime) -> None:
    if row is None:
        _write(call, need, now)
    elif row.status in OPEN:
        if need.detail and need.detail != row.detail:
            row.detail = need.detail
    elif _closed_by(row) == WITHDRAWN:
        _open_again(row)
        settle(row, now)


def _write(call: Call, need: Need, now: datetime, promise: Promise | None = None) -> CallFollowup:
    """A new entry; who has been helped meanwhile needs nobody any more, so it may close at once."""
    came, facts = came_at(call), _promise_facts(promise) if promise else None
    clock = followup_due.clock(call.branch_id, came)
    wanted = followup_rules.wanted_at(call.custom_data, came, clock.zone)
    row = CallFollowup(
        company_id=call.company_id,
        call_id=call.id,
        customer_id=call.customer_id,
        reason=need.reason,
        detail=need.detail or None,
        priority="high" if need.urgent else "normal",
        status="open",
        due_at=clock.due(need.reason, came, wanted, promise.start if promise else None),
        facts=facts,
        attempts=0,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    settle(row, now)
    return row


def came_at(call: Call) -> datetime:
    """When the need came up: at the end of the call."""
    return call.ended_at or call.started_at


def _withdraw(row: CallFollowup, now: datetime) -> None:
    """A newer analysis sees no need, and nobody has begun with it."""
    if row.status == "open" and row.version == 1 and row.assigned_to is None:
        _close(row, {"how": WITHDRAWN, "at": now.isoformat()}, now)


def _open_again(row: CallFollowup) -> None:
    row.status, row.closed_at, row.closed_by, row.resolution = "open", None, None, None
    row.facts = {name: value for name, value in (row.facts or {}).items() if name != "closed"}
    row.version += 1


# ---- Closing by itself ----------------------------------------------------------------------------------------


def settle(row: CallFollowup, now: datetime) -> bool:
    """Close one open entry whose caller has been helped since it came up, or since a person opened it again."""
    if row.status not in OPEN:
        return False
    call = db.session.get_one(Call, row.call_id)
    reopened = followup_words.moment((row.facts or {}).get("reopened_at"))
    found = callers.served(call, max(filter(None, (call.started_at, reopened))))
    if found is None:
        return False
    _close(row, _closing(found), now)
    return True


def _closing(found: Served) -> dict[str, Any]:
    values = asdict(found) | {"at": found.at.isoformat(), "start": found.start.isoformat() if found.start else None}
    return {name: value for name, value in values.items() if value is not None}


def _close(row: CallFollowup, closed: dict[str, Any], now: datetime) -> None:
    row.facts = (row.facts or {}) | {"closed": closed}
    row.status = "dismissed" if closed["how"] == WITHDRAWN else "resolved"
    row.closed_at, row.closed_by, row.resolution = now, None, _in_words(closed)
    row.version += 1
    db.session.flush()
    audit.record("followup.closed_itself", row, new={"how": closed["how"], "reason": row.reason})


def _in_words(closed: dict[str, Any]) -> str:
    """In the company's language, for whoever reads the table; pages say it in their reader's."""
    company = db.session.get_one(Company, current_company_id())
    with force_locale(company.language):
        return followup_words.closing(closed, "en" if company.language == "en" else "de", ZoneInfo(company.timezone))


def _closed_by(row: CallFollowup) -> Any:
    return callers.closing_of(row.facts).get("how")


def _open_of(*conditions: ColumnElement[bool]) -> list[CallFollowup]:
    """Open entries of the calls that fit, locked in the order of their ids."""
    ids = db.session.scalars(
        select(CallFollowup.id)
        .join(Call, Call.id == CallFollowup.call_id)
        .where(CallFollowup.status.in_(OPEN), *conditions)
    ).all()
    return locked(ids)


def locked(ids: Iterable[int]) -> list[CallFollowup]:
    """The rows as they are now."""
    query = select(CallFollowup).where(CallFollowup.id.in_(set(ids))).order_by(CallFollowup.id).with_for_update()
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


# ---- From people ----------------------------------------------------------------------------------------------


def caller_changed(call: Call, before: int | None, now: datetime) -> None:
    """A person has said whose call it was, ``before`` being the customer until then.

    Whom it had only seemed to help waits again; whom it has really helped need not wait any more.
    """
    for row in _closed_by_call(call, before):
        _open_again(row)
        settle(row, now)
    for row in _open_of(callers.same_caller(call), Call.id != call.id, Call.started_at < call.started_at):
        settle(row, now)


def _closed_by_call(call: Call, before: int | None) -> list[CallFollowup]:
    """What has closed itself because of this call, or of the appointment that was booked in it."""
    whose = [Call.customer_id == before] if before is not None else []
    whose += [Call.phone_number == call.phone_number] if phones.is_somebodys(call.phone_number) else []
    rows = db.session.execute(
        select(CallFollowup.id, CallFollowup.facts)
        .join(Call, Call.id == CallFollowup.call_id)
        .where(CallFollowup.closed_at >= call.started_at, CallFollowup.closed_by.is_(None), or_(false(), *whose))
    )
    return locked([row_id for row_id, facts in rows if _is_by(call, callers.closing_of(facts))])


def _is_by(call: Call, closed: dict[str, object]) -> bool:
    by_appointment = call.appointment_id is not None and closed.get("appointment_id") == call.appointment_id
    return by_appointment or closed.get("call_id") == call.id


# ---- From appointments ----------------------------------------------------------------------------------------


def appointment_made(appointment: Appointment, now: datetime) -> None:
    """An appointment was entered, by whomever: who waits for a call may not need one any more."""
    calls = callers.of_customer(appointment.customer_id)
    if appointment.call_id is not None:
        calls = or_(calls, Call.id == appointment.call_id)
    for row in _open_of(calls):
        if row.reason == "promise":
            _judge_again(row, now)
        settle(row, now)


def appointment_changed(appointment: Appointment, now: datetime) -> None:
    """What a call had booked was moved or cancelled: its promise is judged again, if the call is fresh."""
    call = db.session.get(Call, appointment.call_id) if appointment.call_id is not None else None
    if call is not None and came_at(call) > now - FRESH and call.analyzed_at is not None:
        _enqueue(call, timedelta(0))


# ---- Promises -------------------------------------------------------------------------------------------------


def _ask_for_judgement(call: Call, row: CallFollowup | None) -> None:
    if call.analyzed_at is None or (row is not None and row.status not in OPEN):
        return
    if row is not None or promises.promised(facts_of(call)) is not None:
        _enqueue(call, GRACE)


def _enqueue(call: Call, after: timedelta) -> None:
    payload = {"call_id": call.id}
    outbox.enqueue(JUDGE, payload, company_id=call.company_id, dedupe_key=f"{JUDGE}:{call.id}", after=after)


def judge(call_id: int, now: datetime) -> None:
    """Compare what was promised in a call with the calendar, and write, change or close its entry."""
    ledger.lock()  # calls are taken over one after the other, and so is this
    call = db.session.scalar(select(Call).where(Call.id == call_id).execution_options(populate_existing=True))
    if call is None:
        return
    _lock_customers(call)
    row = _rows_of(call).get("promise")
    if row is not None:
        _judge_again(row, now)
        return
    promise = broken_promise(call)
    if promise is not None and promise.start > now - FRESH:
        made = _write(call, Need("promise", _detail(call), True), now, promise)
        if made.status in OPEN:
            _tell_promise(made, call)


def _judge_again(row: CallFollowup, now: datetime) -> None:
    if row.status not in OPEN:
        return
    call = db.session.get_one(Call, row.call_id)
    if call.custom_data is None and db.session.get(CallContent, call.id) is None:
        return  # what was promised has been deleted, and that does not keep it
    promise = broken_promise(call)
    if promise is None:
        _close(row, {"how": "kept", "at": now.isoformat()} | _kept_by(call, row), now)
    elif (facts := _promise_facts(promise)) != {"promise": followup_words.promised(row.facts)}:
        row.facts = (row.facts or {}) | facts


def broken_promise(call: Call) -> Promise | None:
    """What the call promised and no appointment keeps."""
    facts = facts_of(call)
    said = promises.promised(facts)
    if said is None:
        return None
    services = db.session.scalars(select(Service.name).where(Service.is_active)).all()
    return promises.check(facts, _bookings(call), services)


def facts_of(call: Call) -> CallFacts:
    """The call as the promise check sees it."""
    content = db.session.get(CallContent, call.id)
    zone = followup_due.zone_of(call.branch_id)
    turns = (content.turns or []) if content else []
    tool_calls = (content.tool_calls or []) if content else []
    return CallFacts(call.started_at, zone, call.intent, call.custom_data, turns, tool_calls)


def _bookings(call: Call) -> list[Booked]:
    """Appointments of the call and of its caller that can have to do with it."""
    in_call = callers.booked_in(call)
    whose = [Appointment.call_id == call.id, Appointment.customer_id.in_(callers.customers_of(call))]
    if in_call:
        whose.append(Appointment.id.in_(in_call))
    rows = db.session.scalars(
        select(Appointment)
        .where(or_(*whose), Appointment.start_time > call.started_at - FRESH)
        .options(joinedload(Appointment.service), selectinload(Appointment.bookings))
        .order_by(Appointment.id.desc())
        .limit(50)
        .execution_options(populate_existing=True)
    )
    return [_booked(row, row.call_id == call.id or row.id in in_call) for row in rows]


def _booked(row: Appointment, in_call: bool) -> Booked:
    by = (row.cancelled_by or "").casefold()
    return Booked(
        id=row.id,
        starts=(row.start_time, *_earlier(row.bookings)),
        made_at=row.created_at,
        service=row.service.name if row.service else None,
        in_call=in_call,
        called_off=row.status == "cancelled",
        knowingly=bool(by) and by not in OUTSIDE and "@" not in by,
    )


def _earlier(bookings: Iterable[Booking]) -> list[datetime]:
    """Where the provider had it: what was booked as promised and moved since has kept its promise."""
    return [booking.starts_at for booking in bookings if booking.starts_at is not None]


def _kept_by(call: Call, row: CallFollowup) -> dict[str, Any]:
    """Which appointment keeps the promise now, if it is there to be named."""
    start = followup_words.moment(followup_words.promised(row.facts).get("start"))
    found = next((each for each in _bookings(call) if start and not each.called_off and each.is_at([start])), None)
    return {"appointment_id": found.id, "start": found.starts[0].isoformat()} if found else {}


def _promise_facts(promise: Promise) -> dict[str, Any]:
    booked = promise.booked
    told = {
        "kind": promise.kind,
        "start": promise.start.astimezone(UTC).isoformat(),
        "service": promise.service,
        "staff": promise.staff,
        "appointment_id": booked.id if booked else None,
        "booked_start": booked.starts[0].isoformat() if booked else None,
        "booked_service": booked.service if booked else None,
    }
    return {"promise": {name: value for name, value in told.items() if value is not None}}


def _detail(call: Call) -> str:
    return (call.summary or "").strip()[: followup_rules.DETAIL]


# ---- Telling people -------------------------------------------------------------------------------------------
# A message says when and what kind, not what the caller said: it outlives what is forgotten of a call.


def _language() -> str:
    return "en" if get_locale().language == "en" else "de"


def _due_words(due: datetime, zone: ZoneInfo) -> str:
    return str(_("It has been due since %(when)s.", when=followup_words.day_and_time(due, _language(), zone)))


def _tell_promise(row: CallFollowup, call: Call) -> None:
    zone = followup_due.zone_of(call.branch_id)
    notifications.notify(
        Permission.VIEW_CALLS,
        "followup.promise",
        "call",
        _l("Promised on the phone, but not entered"),
        LazyString(lambda: followup_words.promise(row.facts, _language(), zone)),
        action_url=f"/calls/{call.id}",
        action=_l("Look at the call"),
        dedupe_key=f"followup.promise:{row.id}",
        priority="high",
        branch_id=call.branch_id or notifications.NO_BRANCH,
    )


def tell_overdue(now: datetime) -> int:
    """Complaints of the current company that are due and not closed, once each; how many there were."""
    query = (
        select(CallFollowup, Call.branch_id)
        .join(Call, Call.id == CallFollowup.call_id)
        .where(CallFollowup.status.in_(OPEN), CallFollowup.reason == "complaint")
        .where(CallFollowup.due_at.between(now - TOLD_LATE, now))
        .limit(100)
    )
    found = db.session.execute(query).all()
    for row, branch_id in found:
        notifications.notify(
            Permission.VIEW_CALLS,
            "followup.overdue",
            "call",
            _l("A complaint waits for an answer"),
            LazyString(partial(_due_words, row.due_at or row.created_at, followup_due.zone_of(branch_id))),
            action_url=f"/calls/{row.call_id}",
            action=_l("Look at the call"),
            dedupe_key=f"followup.overdue:{row.id}",
            priority="high",
            branch_id=branch_id or notifications.NO_BRANCH,
        )
    return len(found)
