"""Follow-ups write themselves from calls, close themselves once the caller is helped, and judge promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import db, transaction
from portal.domain import appointments, bookings, call_reports, calls, followup_work, followups, forgetting
from portal.domain.bookings import Person, Told
from portal.domain.followup_work import Shown, Worker
from portal.domain.slots import Plan
from portal.jobs import followups as job
from portal.models import (
    Appointment,
    AuditLog,
    Call,
    CallFollowup,
    Company,
    Customer,
    Notification,
    OutboxJob,
    WorkingHours,
)
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday, ten o'clock in Berlin
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WEDNESDAY = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)  # four o'clock in Berlin
AYLIN = "+49305550100"  # the cast's customer
STRANGER = "+4915299887766"
CALLBACK = {"callback_requested": True, "reason": "Rechnung"}
COMPLAINT = {"intent": "complaint", "reason": "Wartezeit"}
PROMISE = {
    "intent": "book_appointment",
    "service": "Damenhaarschnitt",
    "appointment_date": "2026-11-25",
    "appointment_time": "16:00",
}
NOTED = "Agent: Mittwoch, 16 Uhr ist notiert.\nUser: Danke."
BOTH = ["call_ended", "call_analyzed"]


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def report(call_id: str, event: str, at: datetime, number: str | None, data: dict[str, Any], **call: Any) -> Any:
    inbound = call.get("direction", "inbound") == "inbound"
    body: dict[str, Any] = {
        "call_id": call_id,
        "agent_id": "agent_salon",
        "direction": "inbound",
        "from_number" if inbound else "to_number": number or "anonymous",
        "to_number" if inbound else "from_number": "+49301234567",
        "start_timestamp": int(at.timestamp() * 1000),
        "end_timestamp": int((at + 90 * timedelta(seconds=1)).timestamp() * 1000),
        "duration_ms": 90_000,
        "call_status": "ended",
        "disconnection_reason": "user_hangup",
    } | call
    if event == "call_analyzed":
        mood, done = data.pop("mood", "Neutral"), data.pop("successful", True)
        body["call_analysis"] = {
            "call_summary": data.pop("summary", "Ein Gespräch."),
            "user_sentiment": mood,
            "call_successful": done,
            "custom_analysis_data": data,
        }
    return call_reports.read(event, {"event": event, "call": body})


def ring(
    call_id: str,
    at: datetime = NOW,
    number: str | None = AYLIN,
    events: list[str] | None = None,
    heard: datetime | None = None,
    call: dict[str, Any] | None = None,
    **data: Any,
) -> Call:
    """One call as the provider reports it; ``heard`` is when its analysis comes in."""
    for event in events or BOTH:
        told = report(call_id, event, at, number, dict(data), **(call or {}))
        when = heard or at + 2 * MINUTE
        made = transaction(lambda told=told, when=when: calls.record(told, when, when))
    return made


def entries(**wanted: Any) -> list[CallFollowup]:
    query = select(CallFollowup).filter_by(**wanted).order_by(CallFollowup.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def entry(**wanted: Any) -> CallFollowup:
    (only,) = entries(**wanted)
    return only


def book(firm: Firm, now: datetime, start: datetime = WEDNESDAY, customer_id: int | None = None, **how: Any) -> int:
    plan = Plan(firm.main.id, customer_id or firm.customer.id, None, start, start + 45 * MINUTE, firm.cut.id)
    return transaction(lambda: appointments.book(plan, now=now, **{"source": "admin"} | how).id)


def judge(call_id: int, now: datetime = NOW + 15 * MINUTE) -> None:
    transaction(lambda: followups.judge(call_id, now))


def open_hours(firm: Firm) -> None:
    """Monday to Friday, nine to eighteen."""

    def write() -> None:
        for weekday in range(1, 6):
            db.session.add(
                WorkingHours(
                    company_id=firm.id, branch_id=firm.main.id, weekday=weekday, opens_at=time(9), closes_at=time(18)
                )
            )

    transaction(write)


# ---- Writing themselves ---------------------------------------------------------------------------------------


def test_a_wish_for_a_callback_makes_one_entry_with_what_it_is_about(salon: Firm) -> None:
    call = ring("c1", **CALLBACK)
    made = entry()
    assert (made.call_id, made.customer_id, made.reason, made.detail) == (
        call.id,
        salon.customer.id,
        "callback",
        "Rechnung",
    )
    assert (made.status, made.priority, made.due_at) == ("open", "normal", NOW + timedelta(seconds=90) + 4 * HOUR)


def test_nothing_is_written_before_the_analysis_and_nothing_for_a_call_that_needs_nobody(salon: Firm) -> None:
    ring("c1", events=["call_ended"], **CALLBACK)
    ring("c2")
    assert entries() == []


def test_repeated_reports_change_nothing(salon: Firm) -> None:
    ring("c1", events=BOTH * 3, **CALLBACK)
    assert entry().version == 1


@pytest.mark.parametrize("order", list(permutations(["call_started", "call_ended", "call_analyzed"])))
def test_reports_in_any_order_make_the_same_entry(salon: Firm, order: tuple[str, ...]) -> None:
    ring("c1", events=list(order), **COMPLAINT, mood="Negative")
    assert (entry().reason, entry().status, entry().priority) == ("complaint", "open", "high")


def test_one_call_can_need_somebody_for_two_reasons(salon: Firm) -> None:
    result = {"role": "tool_call_result", "tool_call_id": "t", "content": json.dumps({"status": "failed"})}
    spoken = [
        {"role": "user", "content": "Ich will die Chefin."},
        {"role": "tool_call_invocation", "tool_call_id": "t", "name": "transfer_call", "arguments": "{}"},
        result,
    ]
    ring("c1", **COMPLAINT, mood="Negative", call={"transcript_with_tool_calls": spoken})
    assert {row.reason for row in entries()} == {"complaint", "transfer_failed"}


def test_a_transfer_that_nobody_took_is_known_from_its_event(salon: Firm) -> None:
    ring("c1", events=["call_started", "transfer_started", "transfer_cancelled", "call_ended"])
    assert entry().reason == "transfer_failed"


def test_a_newer_analysis_without_a_need_withdraws_what_nobody_has_begun(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    ring("c1", events=["call_analyzed"], heard=NOW + 5 * MINUTE, callback_requested=False)
    assert (entry().status, entry().closed_by) == ("dismissed", None)
    # And one that sees it again opens it again.
    ring("c1", events=["call_analyzed"], heard=NOW + 6 * MINUTE, **CALLBACK)
    assert (entry().status, entry().resolution) == ("open", None)


def test_an_older_analysis_reopens_and_changes_nothing(salon: Firm) -> None:
    ring("c1", events=["call_analyzed"], heard=NOW + 5 * MINUTE, callback_requested=False)
    ring("c1", events=["call_analyzed"], heard=NOW + 2 * MINUTE, **CALLBACK)
    assert entries() == []


def test_what_a_person_has_closed_stays_closed_whatever_is_reported(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    worker = Worker(salon.owner.id, salon.owner.name)
    transaction(lambda: followup_work.resolve([Shown(entry().id, 1)], "Geklärt", worker, NOW))
    ring("c1", events=BOTH * 2, heard=NOW + HOUR, **CALLBACK)
    assert (entry().status, entry().closed_by, entry().resolution) == ("resolved", salon.owner.id, "Geklärt")


def test_what_somebody_has_begun_is_not_withdrawn(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    worker = Worker(salon.owner.id, salon.owner.name, manages=True)
    transaction(lambda: followup_work.assign([Shown(entry().id, 1)], salon.owner.id, worker, NOW))
    ring("c1", events=["call_analyzed"], heard=NOW + HOUR, callback_requested=False)
    assert entry().status == "in_progress"


# ---- Until when -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "data", "due"),
    [
        ("2026-11-23T10:00", COMPLAINT | {"mood": "Negative"}, "2026-11-23T10:16:30"),
        ("2026-11-23T17:50", COMPLAINT | {"mood": "Negative"}, "2026-11-24T09:06:30"),
        ("2026-11-27T19:00", COMPLAINT | {"mood": "Negative"}, "2026-11-30T09:15"),
        ("2026-11-23T16:00", CALLBACK, "2026-11-24T11:01:30"),
        ("2026-11-23T10:00", CALLBACK | {"callback_time": "16 Uhr"}, "2026-11-23T16:00"),
    ],
)
def test_it_is_due_after_so_much_opening_time_or_as_promised(
    salon: Firm, at: str, data: dict[str, Any], due: str
) -> None:
    open_hours(salon)
    berlin = salon.main.timezone
    started = datetime.fromisoformat(f"{at}").replace(tzinfo=_zone(berlin)).astimezone(UTC)
    ring("c1", started, **data)
    assert entry().due_at == datetime.fromisoformat(due).replace(tzinfo=_zone(berlin))


def _zone(name: str | None) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name or "Europe/Berlin")


def test_the_companys_own_terms_apply(salon: Firm) -> None:
    settings = {"followups": {"callback": 30}}
    transaction(lambda: db.session.execute(update(Company).where(Company.id == salon.id).values(settings=settings)))
    ring("c1", **CALLBACK)
    assert entry().due_at == NOW + timedelta(seconds=90) + 30 * MINUTE


# ---- Closing themselves: calls --------------------------------------------------------------------------------


def test_a_caller_who_rings_again_and_is_helped_needs_nobody_any_more(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    later = ring("c2", NOW + HOUR)
    assert (entry().status, entry().closed_by) == ("resolved", None)
    assert entry().resolution == "hat wieder angerufen, ist geklärt"
    assert (entry().facts or {})["closed"]["call_id"] == later.id
    with tenant_scope(salon.id):
        audit = db.session.scalars(select(AuditLog).where(AuditLog.action == "followup.closed_itself")).one()
    assert audit.model_id == entry().id


def test_before_its_analysis_a_second_call_closes_nothing(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    ring("c2", NOW + HOUR, events=["call_started", "call_ended"])
    assert entry().status == "open"


@pytest.mark.parametrize(
    "data",
    [
        CALLBACK,
        COMPLAINT | {"mood": "Negative"},
        {"successful": False},
        {"intent": "wrong_number"},
        {"mood": "Negative", "successful": False},
        {"call": {"duration_ms": 9000}},
        {"call": {"disconnection_reason": "error_asr"}},
        {"number": None},
        {"number": STRANGER},
    ],
)
def test_a_second_call_that_helped_nobody_or_is_anothers_closes_nothing(salon: Firm, data: dict[str, Any]) -> None:
    ring("c1", **CALLBACK)
    first = entry().id
    ring("c2", NOW + HOUR, **data)
    assert entry(id=first).status == "open"


def test_two_withheld_numbers_are_never_the_same_caller(salon: Firm) -> None:
    ring("c1", number=None, **CALLBACK)
    ring("c2", NOW + HOUR, number=None)
    assert entry().status == "open"


@pytest.mark.parametrize("name", ["anonymous@anonymous.invalid", "Anonymous Caller", "sip:zentrale@pbx.example", "201"])
def test_two_callers_behind_the_same_name_of_a_line_are_not_the_same_caller(salon: Firm, name: str) -> None:
    """What is no telephone number is nobody's: an exchange sends one name for everybody."""
    ring("c1", number=name, **CALLBACK)
    ring("c2", NOW + HOUR, number=name)
    assert entry().status == "open"


def test_an_earlier_call_closes_nothing(salon: Firm) -> None:
    ring("c1", NOW, **CALLBACK)
    ring("c0", NOW - HOUR, heard=NOW + HOUR)
    assert entry().status == "open"


def test_a_late_analysis_of_a_caller_who_was_helped_meanwhile_closes_at_once(salon: Firm) -> None:
    ring("c2", NOW + HOUR)
    ring("c1", NOW, heard=NOW + 2 * HOUR, **CALLBACK)
    assert (entry().status, entry().closed_by) == ("resolved", None)
    assert db.session.scalars(select(Notification)).all() == []


def test_somebody_else_of_the_family_on_the_same_phone_closes_nothing(salon: Firm) -> None:
    sister = factories.make_customer(salon, "Leyla", "Demir", phone=AYLIN, phone_normalized=AYLIN)
    ring("c1", customer_name="Aylin Demir", **CALLBACK)
    second = ring("c2", NOW + HOUR, customer_name="Leyla Demir")
    assert second.customer_id == sister.id
    assert entry().status == "open"


def test_a_number_without_a_customer_is_known_again_by_the_number(salon: Firm) -> None:
    ring("c1", number=STRANGER, **CALLBACK)
    assert entry().customer_id is None
    ring("c2", NOW + HOUR, number=STRANGER)
    assert entry().status == "resolved"


def out(seconds: int, **call: Any) -> dict[str, Any]:
    return {"direction": "outbound", "duration_ms": seconds * 1000} | call


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (out(218), "resolved"),
        (out(12), "open"),
        (out(60, disconnection_reason="voicemail_reached"), "open"),
        (out(0, disconnection_reason="dial_no_answer", call_status="not_connected"), "open"),
    ],
)
def test_who_was_reached_by_a_call_back_is_done(salon: Firm, call: dict[str, Any], status: str) -> None:
    ring("c1", **CALLBACK)
    ring("c2", NOW + HOUR, call=call, events=["call_ended"])
    assert entry().status == status
    if status == "resolved":
        assert entry().resolution == "zurückgerufen, 3:38 gesprochen"


# ---- Closing themselves: appointments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [("web", "hat online gebucht: Mi., 25.11., 16:00"), ("admin", "hat einen Termin: Mi., 25.11., 16:00")],
)
def test_an_appointment_made_since_closes_it(salon: Firm, source: str, words: str) -> None:
    ring("c1", **CALLBACK)
    book(salon, NOW + HOUR, source=source)
    assert entry().status == "resolved"
    assert (entry().resolution or "").replace("\u00a0", " ") == words


def test_an_appointment_of_before_or_of_somebody_else_closes_nothing(salon: Firm) -> None:
    book(salon, NOW - HOUR)
    ring("c1", **CALLBACK)
    book(salon, NOW + HOUR, WEDNESDAY + HOUR, factories.make_customer(salon).id)
    assert entry().status == "open"


def test_what_was_booked_in_the_call_itself_does_not_answer_its_question(salon: Firm) -> None:
    ring("c1", events=["call_ended"])
    transaction(lambda: bookings.take_over(told(call_id="c1"), NOW + MINUTE))
    call = ring("c1", events=["call_analyzed"], **CALLBACK)
    assert call.appointment_created
    assert entry().status == "open"
    # Nor does it when the booking comes late.
    ring("c3", NOW + HOUR, STRANGER, **CALLBACK)
    late = told("bk_2", WEDNESDAY + HOUR, call_id="c3", attendee=Person(name="Neu Hier", phone=STRANGER))
    transaction(lambda: bookings.take_over(late, NOW + 2 * HOUR))
    assert [row.status for row in entries()] == ["open", "open"]


def told(uid: str = "bk_1", start: datetime = WEDNESDAY, **values: Any) -> Told:
    sofia = Person(id=501, name="Sofia Klein", email="sofia@salon.example")
    guest = Person(name="Aylin Demir", phone=AYLIN)
    usual: dict[str, Any] = {"organizer": sofia, "attendee": guest, "event_type_id": 4101, "raw": {}}
    usual |= {"written_at": NOW, "sequence": 0} | values
    return Told(uid=uid, status="ACCEPTED", start=start, end=start + 45 * MINUTE, **usual)


def test_an_appointment_that_a_person_enters_from_the_call_answers_it(salon: Firm) -> None:
    call = ring("c1", **CALLBACK)
    plan = Plan(salon.main.id, salon.customer.id, None, WEDNESDAY, WEDNESDAY + 45 * MINUTE, salon.cut.id)
    transaction(lambda: appointments.book(plan, now=NOW + HOUR, call=db.session.get_one(Call, call.id)))
    assert entry().status == "resolved"


def test_a_cancelled_appointment_counts_for_nothing_and_counts_once_it_stands_again(salon: Firm) -> None:
    made = book(salon, NOW + HOUR)
    transaction(lambda: appointments.cancel(db.session.get_one(Appointment, made), "krank", "customer", NOW + HOUR))
    ring("c1", heard=NOW + 2 * HOUR, **CALLBACK)
    assert entry().status == "open"
    transaction(lambda: appointments.set_status(db.session.get_one(Appointment, made), "back", NOW + 3 * HOUR))
    assert entry().status == "resolved"


def test_a_booking_finds_the_caller_whom_nobody_had_recognised(salon: Firm) -> None:
    ring("c1", number=STRANGER, **CALLBACK)
    guest = factories.make_customer(salon, "Neu", "Hier", phone=STRANGER, phone_normalized=STRANGER)
    book(salon, NOW + HOUR, customer_id=guest.id)
    assert entry().status == "resolved"


# ---- Opened again ---------------------------------------------------------------------------------------------


def belongs_to(call: Call, customer_id: int | None) -> None:
    """What a person says on the page of the call."""

    def say() -> None:
        row, before = db.session.get_one(Call, call.id), call.customer_id
        row.customer_id = customer_id
        db.session.flush()
        followups.caller_changed(row, before, NOW + 2 * HOUR)

    transaction(say)


def test_whom_somebody_elses_call_had_seemed_to_help_waits_again(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    second = ring("c2", NOW + HOUR)
    assert entry().status == "resolved"
    belongs_to(second, factories.make_customer(salon).id)
    assert (entry().status, entry().closed_at, entry().resolution) == ("open", None, None)


def test_who_was_helped_otherwise_too_goes_on_needing_nobody(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    second = ring("c2", NOW + HOUR)
    third = ring("c3", NOW + 90 * MINUTE)
    belongs_to(second, factories.make_customer(salon).id)
    assert (entry().status, (entry().facts or {})["closed"]["call_id"]) == ("resolved", third.id)


def test_whose_call_it_turns_out_to_be_need_not_wait_any_more(salon: Firm) -> None:
    other = factories.make_customer(salon, phone=STRANGER, phone_normalized=STRANGER)
    ring("c1", number=STRANGER, **CALLBACK)
    second = ring("c2", NOW + HOUR)
    assert entry().status == "open"
    belongs_to(second, other.id)
    assert entry().status == "resolved"


def test_what_was_opened_again_is_closed_only_by_what_comes_after(salon: Firm) -> None:
    ring("c1", **CALLBACK)
    ring("c2", NOW + HOUR)
    row = entry()
    worker = Worker(salon.staff.id, salon.staff.name)
    transaction(lambda: followup_work.reopen(Shown(row.id, row.version), worker, NOW + 2 * HOUR))
    assert (entry().status, entry().closed_at, entry().resolution) == ("open", None, None)
    assert entry().due_at == NOW + 6 * HOUR
    ring("c2", NOW + HOUR, events=BOTH * 2, heard=NOW + 3 * HOUR)
    ring("c1", NOW, events=BOTH, heard=NOW + 3 * HOUR, **CALLBACK)
    assert entry().status == "open"
    ring("c3", NOW + 4 * HOUR)
    assert entry().status == "resolved"


# ---- Promises -------------------------------------------------------------------------------------------------


def promise(number: str | None = AYLIN, at: datetime = NOW, call_id: str = "p1") -> Call:
    return ring(call_id, at, number, call={"transcript": NOTED}, **PROMISE)


def jobs() -> list[OutboxJob]:
    return list(db.session.scalars(select(OutboxJob).where(OutboxJob.kind == followups.JUDGE)))


def test_a_promise_is_judged_after_the_grace_period_and_only_then(salon: Firm) -> None:
    call = promise().id
    assert entries() == []
    (waiting,) = jobs()
    assert waiting.payload == {"call_id": call}
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at - datetime.now(UTC) > followups.GRACE - MINUTE
    ring("c2")  # in which nothing was promised
    assert len(jobs()) == 1
    judge(call)
    made = entry()
    assert (made.reason, made.priority, made.status) == ("promise", "high", "open")
    assert (made.facts or {})["promise"] == {
        "kind": "none", "start": WEDNESDAY.isoformat(), "service": "Damenhaarschnitt",
    }  # fmt: skip
    assert made.due_at == NOW + timedelta(seconds=90) + 2 * HOUR


def test_the_promise_is_told_once_to_those_who_see_the_branch(salon: Firm) -> None:
    call = promise().id
    judge(call)
    judge(call)
    rows = db.session.scalars(select(Notification)).all()
    assert {row.portal_user_id for row in rows} == {salon.owner.id, salon.manager.id, salon.staff.id}
    assert {row.action_url for row in rows} == {f"/calls/{call}"}
    words = "Der Empfang hat Mi., 25.11., 16:00 zugesagt, eingetragen ist nichts."
    assert {(row.body or "").replace("\u00a0", " ") for row in rows} == {words}
    assert len(rows) == 3


def off_the_companys_line(call: Call) -> int:
    """The call came in on a number of no branch."""
    transaction(lambda: db.session.execute(update(Call).where(Call.id == call.id).values(branch_id=None)))
    return call.id


def test_a_promise_on_the_companys_line_is_not_told_to_who_is_bound_to_a_branch(salon: Firm) -> None:
    judge(off_the_companys_line(promise()))
    told = {row.portal_user_id for row in db.session.scalars(select(Notification))}
    assert told == {salon.owner.id, salon.manager.id}


def test_a_promise_whose_words_are_gone_is_not_taken_for_kept(salon: Firm) -> None:
    call = promise()
    judge(call.id)
    transaction(lambda: forgetting.words([call.id]))
    judge(call.id)
    assert entry().status == "open"


def test_a_booking_within_the_grace_period_keeps_the_promise(salon: Firm) -> None:
    call = promise().id
    transaction(lambda: bookings.take_over(told(call_id="p1"), NOW + 8 * MINUTE))
    judge(call)
    assert entries() == []


def test_a_booking_that_comes_later_still_closes_it(salon: Firm) -> None:
    call = promise().id
    judge(call)
    transaction(lambda: bookings.take_over(told(call_id="p1"), NOW + HOUR))
    assert (entry().status, entry().closed_by) == ("resolved", None)
    assert (entry().resolution or "").replace("\u00a0", " ") == "der Termin steht: Mi., 25.11., 16:00"


def test_a_booking_by_another_number_is_known_by_its_uid(salon: Firm) -> None:
    answer = {
        "role": "tool_call_result",
        "tool_call_id": "t",
        "content": json.dumps({"status": "booked", "uid": "bk_9"}),
    }
    asked = {"role": "tool_call_invocation", "tool_call_id": "t", "name": "book_appointment_cal"}
    asked["arguments"] = json.dumps({"start": "2026-11-25T16:00:00", "time_zone": "Europe/Berlin"})
    call = ring(
        "p1", call={"transcript_with_tool_calls": [{"role": "user", "content": "Ja"}, asked, answer]}, **PROMISE
    )
    transaction(lambda: bookings.take_over(told("bk_9", attendee=Person(name="Tochter", phone=STRANGER)), NOW + MINUTE))
    judge(call.id)
    assert entries() == []


def test_another_time_is_told_as_such_until_the_right_one_stands(salon: Firm) -> None:
    call = promise().id
    transaction(lambda: bookings.take_over(told(call_id="p1", start=WEDNESDAY + HOUR), NOW + MINUTE))
    judge(call)
    told_facts = (entry().facts or {})["promise"]
    assert (told_facts["kind"], told_facts["booked_start"]) == ("other_time", (WEDNESDAY + HOUR).isoformat())
    moved = replace(told("bk_2", call_id="p1"), previous_uid="bk_1")
    transaction(lambda: bookings.take_over(moved, NOW + HOUR))
    judge(call, NOW + HOUR)
    assert entry().status == "resolved"


@pytest.mark.parametrize(
    ("by", "kind"), [("staff", "cancelled"), ("calcom", "cancelled"), ("customer", None), ("Mara", None)]
)
def test_a_booking_called_off_from_outside_breaks_the_promise(salon: Firm, by: str, kind: str | None) -> None:
    call = promise().id
    made = transaction(lambda: bookings.take_over(told(call_id="p1"), NOW + MINUTE).id)
    judge(call)
    assert entries() == []
    transaction(lambda: appointments.cancel(db.session.get_one(Appointment, made), "krank", by, NOW + HOUR))
    assert [row.status for row in jobs()] == ["pending"]
    judge(call, NOW + HOUR)
    assert [(row.facts or {})["promise"]["kind"] for row in entries()] == ([kind] if kind else [])


def test_another_time_that_a_person_enters_from_the_call_is_as_good(salon: Firm) -> None:
    call = promise().id
    judge(call)
    plan = Plan(salon.main.id, salon.customer.id, None, WEDNESDAY + HOUR, WEDNESDAY + 2 * HOUR, salon.cut.id)
    transaction(lambda: appointments.book(plan, now=NOW + HOUR, call=db.session.get_one(Call, call)))
    assert (entry().status, entry().closed_by) == ("resolved", None)


def test_a_time_that_is_long_past_is_no_use_to_anybody(salon: Firm) -> None:
    call = promise().id
    judge(call, WEDNESDAY + 25 * HOUR)
    assert entries() == []


def test_a_caller_who_was_helped_before_the_judgement_needs_nobody(salon: Firm) -> None:
    call = promise().id
    ring("c2", NOW + 5 * MINUTE)
    judge(call)
    assert entry().status == "resolved"
    assert db.session.scalars(select(Notification)).all() == []


def test_the_appointment_counts_that_the_caller_had_anyway(salon: Firm) -> None:
    book(salon, NOW - 9 * HOUR)
    call = promise().id
    judge(call)
    assert entries() == []


def test_a_later_call_with_a_broken_promise_has_not_helped(salon: Firm) -> None:
    judge(promise(at=NOW + HOUR).id, NOW + 2 * HOUR)
    ring("c1", NOW, heard=NOW + 3 * HOUR, **CALLBACK)
    assert {row.reason: row.status for row in entries()} == {"promise": "open", "callback": "open"}


def test_judging_what_a_person_has_closed_changes_nothing(salon: Firm) -> None:
    call = promise().id
    judge(call)
    worker = Worker(salon.owner.id, salon.owner.name)
    transaction(lambda: followup_work.dismiss([Shown(entry().id, 1)], "", worker, NOW))
    judge(call)
    assert (entry().status, entry().version) == ("dismissed", 2)


def test_the_worker_judges(app: Flask, salon: Firm) -> None:
    at = datetime.now(UTC) - HOUR
    day = (at + timedelta(days=3)).date().isoformat()
    call = ring("p1", at, call={"transcript": NOTED}, **PROMISE | {"appointment_date": day}).id
    job.judge({"call_id": call})
    assert (entry().call_id, entry().reason) == (call, "promise")
    job.judge({"call_id": call + 1})  # one that is gone meanwhile
    assert entry().version == 1


# ---- Overdue --------------------------------------------------------------------------------------------------


def test_overdue_complaints_are_told_once(app: Flask, cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        ring("c1", **COMPLAINT, mood="Negative")
        ring("c2", number=STRANGER, **CALLBACK)
    job.tell_overdue(NOW + 10 * MINUTE)
    job.tell_overdue(NOW + HOUR)
    job.tell_overdue(NOW + HOUR)
    with tenant_scope(cast.salon.id):
        rows = db.session.scalars(select(Notification)).all()
        assert {row.portal_user_id for row in rows} == {cast.salon.owner.id, cast.salon.manager.id, cast.salon.staff.id}
        assert {row.type for row in rows} == {"followup.overdue"}
        assert {(row.body or "").replace("\u00a0", " ") for row in rows} == {"Fällig seit Mo., 23.11., 10:16."}
    with tenant_scope(cast.praxis.id):
        assert db.session.scalars(select(Notification)).all() == []


def test_a_complaint_on_the_companys_line_is_not_told_to_who_is_bound_to_a_branch(app: Flask, cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        off_the_companys_line(ring("c1", **COMPLAINT, mood="Negative"))
    job.tell_overdue(NOW + HOUR)
    with tenant_scope(cast.salon.id):
        told = {row.portal_user_id for row in db.session.scalars(select(Notification))}
        assert told == {cast.salon.owner.id, cast.salon.manager.id}


def test_another_company_with_the_same_caller_is_not_touched(cast: Cast) -> None:
    with tenant_scope(cast.praxis.id):
        theirs = factories.make_followup(cast.praxis).id
    with tenant_scope(cast.salon.id):
        ring("c1", **CALLBACK)
        ring("c2", NOW + HOUR)
    with tenant_scope(cast.praxis.id):
        assert entry(id=theirs).status == "open"


def test_every_customer_of_the_cast_has_the_same_number_in_both_companies(cast: Cast) -> None:
    """Or the test above would prove nothing."""
    with tenant_scope(cast.praxis.id):
        assert db.session.scalars(select(Customer.phone_normalized)).all() == [AYLIN]
