"""Calls as they are reported: who it was, what was booked, what is kept, what the timeline tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import call_reports, calls
from portal.jobs import calls as call_jobs
from portal.models import (
    Appointment,
    BillingRate,
    Booking,
    Call,
    CallActivity,
    CallCharge,
    CallContent,
    Customer,
    OutboxJob,
    PrepaidBalance,
    WebhookEvent,
)
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.webhooks.retell_payloads import payload

NOW = datetime(2026, 11, 24, 9, 10, tzinfo=UTC)
CALL_ID = "call_5b0e7d2c94a1f36880c3"
AYLIN = "+49305550100"  # the cast's customer


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def record(name: str, at: datetime = NOW, analysis: dict[str, Any] | None = None, **call: Any) -> Call:
    body = payload(name, **call)
    if analysis is not None:
        body["call"]["call_analysis"] |= analysis
    report = call_reports.read(body["event"], body)
    return transaction(lambda: calls.record(report, at, at))


def content_of(call: Call) -> CallContent:
    return db.session.scalars(
        select(CallContent).where(CallContent.call_id == call.id).execution_options(populate_existing=True)
    ).one()


# ---- Whose number ---------------------------------------------------------------------------------------------


def test_the_number_dialled_names_the_branch(salon: Firm) -> None:
    call = record("call_ended")
    assert (call.branch_id, call.phone_number_id) == (salon.main.id, salon.phone.id)


# ---- What is known is kept --------------------------------------------------------------------------------------


def test_a_late_start_fills_gaps_and_overwrites_nothing(salon: Firm) -> None:
    record("call_analyzed", telephony_identifier=None, retell_llm_dynamic_variables=None)
    call = record("call_started", agent_id="agent_salon", retell_llm_dynamic_variables={"customer_name": "?", "a": "1"})
    assert call.status == "completed"
    assert call.twilio_call_sid == "CA77e1c05b9d"
    assert call.dynamic_variables == {"customer_name": "Nadine Vogt", "a": "1"}


def test_of_two_analyses_the_one_that_came_later_counts(salon: Firm) -> None:
    late, early = {"call_summary": "Die spätere."}, {"call_summary": "Die frühere."}
    record("call_analyzed", NOW + timedelta(minutes=5), analysis=late)
    call = record("call_analyzed", NOW, analysis=early)
    assert call.summary == "Die spätere."
    assert call.analyzed_at == NOW + timedelta(minutes=5)


def test_nothing_in_an_analysis_empties_what_was_known(salon: Firm) -> None:
    record("call_analyzed")
    call = record("call_analyzed", NOW + timedelta(minutes=1), call_analysis={"call_summary": ""}, recording_url=None)
    assert call.summary is not None
    assert call.recording_url is not None
    assert call.intent == "book_appointment"


def test_a_call_without_a_start_begins_when_it_is_heard_of(salon: Firm) -> None:
    assert record("call_ended", start_timestamp=None).started_at == NOW
    assert record("call_analyzed").started_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


# ---- What was said ----------------------------------------------------------------------------------------------


def test_the_transcript_grows_while_the_call_runs_and_never_shrinks(salon: Firm) -> None:
    call = record("call_started")
    longer = payload("transcript_updated")["call"]
    shorter = {"transcript_object": longer["transcript_object"][:1], "transcript_with_tool_calls": None}
    record("transcript_updated", **shorter, transcript=None)
    assert len(content_of(call).turns or []) == 1
    record("transcript_updated")
    assert len(content_of(call).turns or []) == 3
    record("transcript_updated", **shorter, transcript=None)
    assert len(content_of(call).turns or []) == 3
    record("call_ended")
    assert len(content_of(call).turns or []) == 6
    record("transcript_updated")
    assert len(content_of(call).turns or []) == 6


def test_a_later_event_without_the_tools_does_not_take_them_away(salon: Firm) -> None:
    call = record("call_ended")
    record("call_analyzed", transcript_with_tool_calls=None)
    assert len(content_of(call).tool_calls or []) == 2


def test_a_call_without_a_transcript_keeps_what_was_heard_live(salon: Firm) -> None:
    call = record("transcript_updated")
    record("call_ended", transcript=None, transcript_object=None, transcript_with_tool_calls=None)
    assert "Nadine Vogt" in (content_of(call).transcript or "")


def test_the_search_index_knows_the_company(salon: Firm) -> None:
    token = content_of(record("call_ended")).tenant_token
    assert token.isalnum()
    assert str(salon.id) in token


# ---- Who it was ---------------------------------------------------------------------------------------------------


def test_a_known_caller_is_known_from_the_first_moment(salon: Firm) -> None:
    assert record("call_started", from_number=AYLIN).customer_id == salon.customer.id


def test_a_new_caller_becomes_a_customer_with_an_unconfirmed_name(salon: Firm) -> None:
    assert record("call_started").customer_id is None
    call = record("call_ended")
    customer = db.session.get_one(Customer, call.customer_id)
    assert (customer.full_name, customer.name_confirmed) == ("Nadine Vogt", False)
    assert customer.phone_normalized == "+4915255512345"


def test_who_hangs_up_without_a_word_becomes_no_customer(salon: Firm) -> None:
    said = [{"role": "agent", "content": "Guten Tag.", "words": []}]
    call = record(
        "call_ended",
        transcript="Agent: Guten Tag.",
        transcript_object=said,
        transcript_with_tool_calls=None,
        collected_dynamic_variables=None,
    )
    assert call.customer_id is None


def test_a_withheld_number_belongs_to_nobody_whatever_name_is_said(salon: Firm) -> None:
    call = record("call_analyzed", from_number="anonymous")
    assert (call.phone_number, call.customer_id) == (None, None)


def test_nobody_is_guessed_among_several_people_until_a_name_is_said(salon: Firm) -> None:
    def family() -> list[int]:
        people = [
            Customer(company_id=salon.id, first_name=first, last_name="Vogt", search_name=f" {first.lower()} vogt",
                     phone="", phone_normalized="+4915255512345")
            for first in ("Nadine", "Peter")
        ]  # fmt: skip
        db.session.add_all(people)
        db.session.flush()
        return [person.id for person in people]

    nadine, _peter = transaction(family)
    assert record("call_started").customer_id is None
    assert record("call_ended", collected_dynamic_variables=None).customer_id is None
    assert record("call_analyzed").customer_id == nadine


def test_a_customer_linked_by_hand_stays_after_the_analysis(salon: Firm) -> None:
    call = record("call_analyzed")

    def link() -> None:
        db.session.get_one(Call, call.id).customer_id = salon.customer.id

    transaction(link)
    assert record("call_analyzed", NOW + timedelta(minutes=9)).customer_id == salon.customer.id


# ---- What was booked ----------------------------------------------------------------------------------------------


def booked(salon: Firm, uid: str = "bk_Vogt27Nov", call_id: str | None = None, customer_id: int | None = None) -> int:
    """An appointment behind a booking of Cal.com; with ``call_id`` Cal.com has named the call."""

    def write() -> int:
        start = datetime(2026, 11, 27, 13, 0, tzinfo=UTC)
        times = {"start_time": start, "end_time": start + timedelta(minutes=45)}
        appointment = Appointment(
            company_id=salon.id, branch_id=salon.main.id, customer_id=customer_id or salon.customer.id, **times
        )
        db.session.add(appointment)
        db.session.flush()
        db.session.add(
            Booking(
                company_id=salon.id,
                appointment_id=appointment.id,
                provider="calcom",
                external_uid=uid,
                status="ACCEPTED",
                starts_at=start,
                ends_at=start + timedelta(minutes=45),
            )
        )
        body = {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": uid, "metadata": {"retell_call_id": call_id}}}
        raw = json.dumps(body).encode()
        db.session.add(WebhookEvent(company_id=salon.id, provider="calcom", dedupe_key=uid, body=raw, created_at=NOW))
        db.session.flush()
        return appointment.id

    return transaction(write)


@pytest.mark.parametrize("events", [["call_started"], ["call_ended"], ["call_started", "call_ended", "call_analyzed"]])
def test_a_booking_that_came_before_its_call_is_tied_when_the_call_comes(salon: Firm, events: list[str]) -> None:
    appointment_id = booked(salon, "bk_other", CALL_ID)
    for event in events:
        call = record(event)
    assert (call.appointment_id, call.appointment_created) == (appointment_id, True)
    assert db.session.get_one(Appointment, appointment_id).call_id == call.id


def test_a_booking_that_came_during_the_call_is_tied_when_it_ends(salon: Firm) -> None:
    record("call_started")
    appointment_id = booked(salon, "bk_other", CALL_ID)
    assert record("call_ended").appointment_id == appointment_id


def test_a_booking_that_names_no_call_is_tied_by_the_uid_that_the_agent_was_told(salon: Firm) -> None:
    appointment_id = booked(salon)
    assert record("call_ended").appointment_id == appointment_id


def test_a_booking_of_another_call_is_left_alone(salon: Firm) -> None:
    booked(salon, "bk_other", "call_of_somebody_else")
    call = record("call_analyzed")
    assert (call.appointment_id, call.appointment_created) == (None, False)


def test_whoever_booked_stays_the_calls_customer(salon: Firm) -> None:
    booked(salon, "bk_other", CALL_ID, salon.customer.id)
    record("call_started")
    assert record("call_analyzed").customer_id == salon.customer.id


# ---- Money --------------------------------------------------------------------------------------------------------


def test_a_call_without_a_price_is_kept_and_charged_once_there_is_one(salon: Firm) -> None:
    def without_rate() -> None:
        db.session.get_one(BillingRate, salon.rate.id).valid_from = NOW + timedelta(days=1)

    transaction(without_rate)
    call = record("call_ended")
    assert db.session.scalars(select(CallCharge)).all() == []
    job = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == calls.CHARGE_LATER)).one()

    def with_rate() -> None:
        db.session.get_one(BillingRate, salon.rate.id).valid_from = NOW - timedelta(days=1)

    transaction(with_rate)
    for _again in range(2):
        call_jobs.charge(job.payload)
    charge = db.session.scalars(select(CallCharge)).one()
    assert (charge.call_id, charge.amount_charged) == (call.id, Decimal("1.10"))


def test_an_end_without_a_length_waits_for_it(salon: Firm) -> None:
    record("call_started")
    call = record("call_ended", duration_ms=None, end_timestamp=None)
    assert call.status == "completed"
    assert db.session.scalars(select(CallCharge)).all() == []
    record("call_analyzed")
    assert db.session.scalars(select(CallCharge.duration_seconds)).all() == [157]
    assert db.session.scalars(select(PrepaidBalance.reserved_balance)).one() == 0


# ---- The timeline -------------------------------------------------------------------------------------------------


def steps(call: Call) -> list[str]:
    rows = db.session.scalars(select(CallActivity).where(CallActivity.call_id == call.id))
    return [row.activity_type for row in sorted(rows, key=lambda row: (row.occurred_at, row.id))]


def test_the_timeline_tells_each_step_once_and_every_transfer(salon: Firm) -> None:
    aylin = db.session.get_one(Customer, salon.customer.id)
    transaction(lambda: setattr(aylin, "created_at", NOW - timedelta(days=1)))
    call = record("call_started", from_number=AYLIN)
    transfer = payload("transfer_started")
    for event in ("transfer_started", "transfer_cancelled", "transfer_started", "transfer_bridged"):
        report = call_reports.read(event, transfer | {"event": event})
        transaction(lambda report=report: calls.record(report, NOW, NOW))  # type: ignore[misc]
    record("call_ended", from_number=AYLIN, disconnection_reason="call_transfer")
    record("call_ended", from_number=AYLIN, disconnection_reason="call_transfer", agent_version=8)
    found = steps(call)
    assert found.count("transfer_started") == 2
    assert [found.count(step) for step in ("started", "recognised", "ended", "transfer_bridged")] == [1, 1, 1, 1]


def test_the_day_of_the_call_is_marked_for_its_figures(salon: Firm) -> None:
    record("call_ended")
    keys = db.session.scalars(select(OutboxJob.dedupe_key).where(OutboxJob.kind == "stats.rebuild")).all()
    assert f"stats:{salon.id}:2026-11-24" in keys
