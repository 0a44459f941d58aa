"""Cal.com's webhook: the door, and events in any order, repeated, stale, early or unreadable."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.db import db
from portal.models import Appointment, Booking, Customer, PipelineHeartbeat, StaffAbsence, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox
from portal.webhooks.calcom import LARGEST
from portal.webhooks.signatures import sign_calcom
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads" / "calcom"
URL = "/webhooks/calcom/{}"
FIRST_TIME = datetime(2027, 3, 9, 9, 30, tzinfo=UTC)
SECOND_TIME = datetime(2027, 3, 10, 14, 0, tzinfo=UTC)


def event(name: str, **payload: Any) -> dict[str, Any]:
    """A stored payload, with some of its booking's fields changed."""
    body: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    body.get("payload", body).update(payload)
    return body


def post(client: PortalClient, firm: Firm, body: Any, **headers: str) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = {"X-Cal-Signature-256": sign_calcom(raw, f"calcom-{firm.company.tenant_id}")} | headers
    url = URL.format(firm.company.tenant_id)
    return client.post(url, data=raw, headers=signed, content_type="application/json")


def send(client: PortalClient, firm: Firm, *names: str) -> list[str]:
    """Post stored payloads; the status of each."""
    return [post(client, firm, event(name)).get_json()["status"] for name in names]


def appointments(firm: Firm) -> list[Appointment]:
    with tenant_scope(firm.id):
        found = list(db.session.scalars(select(Appointment).order_by(Appointment.id)))
        db.session.expunge_all()
    return found


def only_one(firm: Firm) -> Appointment:
    (row,) = appointments(firm)
    return row


def stored(firm: Firm) -> list[WebhookEvent]:
    with all_tenants("the test looks into the inbox"):
        return list(db.session.scalars(select(WebhookEvent).where(WebhookEvent.company_id == firm.id)))


def refusals(firm: Firm) -> int:
    with all_tenants("the test looks at the heartbeat"):
        count = select(PipelineHeartbeat.refused_requests).where(PipelineHeartbeat.company_id == firm.id)
        return db.session.scalar(count) or 0


def retry_parked(firm: Firm, age: timedelta = timedelta(0)) -> list[str]:
    """What the worker does, as if the events had lain there for ``age``."""
    statuses = []
    for row in [row for row in stored(firm) if row.status == "parked"]:
        with all_tenants("the test lets time pass"):
            factories.transaction(
                lambda row=row: setattr(db.session.get_one(WebhookEvent, row.id), "created_at", row.created_at - age)
            )
        statuses.append(inbox.process(row.id))
    return statuses


# ---- The door ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "0" * 64, "no-secret-provided", "nonsense"])
def test_a_request_that_is_not_signed_is_refused_and_only_counted(
    client: PortalClient, cast: Cast, signature: str
) -> None:
    answer = post(client, cast.salon, event("created"), **{"X-Cal-Signature-256": signature})
    assert answer.status_code == 401
    assert (stored(cast.salon), appointments(cast.salon), refusals(cast.salon)) == ([], [], 1)


def test_a_signature_of_another_company_is_refused(client: PortalClient, cast: Cast) -> None:
    raw = json.dumps(event("created")).encode()
    answer = post(client, cast.salon, raw, **{"X-Cal-Signature-256": sign_calcom(raw, "calcom-praxis")})
    assert answer.status_code == 401
    assert stored(cast.salon) == []


def test_a_company_without_a_secret_takes_nothing(client: PortalClient, cast: Cast) -> None:
    from portal.models import Company

    factories.transaction(lambda: setattr(db.session.get_one(Company, cast.salon.id), "calcom_webhook_secret", None))
    assert post(client, cast.salon, event("created")).status_code == 401


def test_an_unknown_address_is_refused_like_a_wrong_signature(client: PortalClient, cast: Cast) -> None:
    raw = json.dumps(event("created")).encode()
    headers = {"X-Cal-Signature-256": sign_calcom(raw, "calcom-salon")}
    answer = client.post(URL.format("nobody"), data=raw, headers=headers)
    assert (answer.status_code, answer.get_json()) == (401, {"error": 401})


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_signed_nonsense_is_400_and_counted(client: PortalClient, cast: Cast, raw: bytes) -> None:
    assert post(client, cast.salon, raw).status_code == 400
    assert (stored(cast.salon), refusals(cast.salon)) == ([], 1)


def test_a_body_that_is_too_large_is_413_and_counted(client: PortalClient, cast: Cast) -> None:
    assert post(client, cast.salon, b"x" * (LARGEST + 1)).status_code == 413
    assert (stored(cast.salon), refusals(cast.salon)) == ([], 1)


def test_the_stored_headers_hold_no_signature(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    assert set(stored(cast.salon)[0].headers or {}) <= {"Content-Type", "User-Agent", "X-Cal-Webhook-Version"}


def test_the_company_is_the_one_of_the_address(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    assert len(appointments(cast.salon)) == 1
    assert appointments(cast.praxis) == []


# ---- A booking --------------------------------------------------------------------------------------------------


def test_a_booking_becomes_a_confirmed_appointment(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "created") == ["done"]
    firm, row = cast.salon, only_one(cast.salon)
    assert (row.start_time, row.end_time) == (FIRST_TIME, FIRST_TIME + timedelta(minutes=45))
    assert (row.branch_id, row.service_id, row.staff_id) == (firm.main.id, firm.cut.id, firm.stylist.id)
    assert (row.status, row.source, row.price, row.calcom_booking_id) == ("confirmed", "web", firm.cut.price, 7001)
    assert row.customer_notes == "Bitte leise Musik"
    with tenant_scope(firm.id):
        customer = db.session.get_one(Customer, row.customer_id)
        assert (customer.full_name, customer.phone_normalized) == ("Greta Vogel", "+4915221345678")
        assert (customer.total_appointments, customer.name_confirmed) == (1, True)
        booking = db.session.scalars(select(Booking)).one()
        assert (booking.external_uid, booking.external_id, booking.status) == ("bk_first", "7001", "ACCEPTED")


def test_the_same_delivery_twice_does_nothing(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "created", "created") == ["done", "duplicate"]
    assert len(appointments(cast.salon)) == 1
    assert len(stored(cast.salon)) == 1


def test_the_same_booking_told_again_does_nothing(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    before = only_one(cast.salon)
    again = event("created") | {"createdAt": "2027-03-01T09:00:01.000Z"}
    assert post(client, cast.salon, again).get_json() == {"status": "done"}
    assert only_one(cast.salon).version == before.version


def test_a_request_is_scheduled_and_confirming_it_confirms(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "requested")
    assert only_one(cast.salon).status == "scheduled"
    send(client, cast.salon, "confirmed")
    assert only_one(cast.salon).status == "confirmed"


def test_a_rejected_request_is_cancelled_with_its_reason(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "requested", "rejected")
    row = only_one(cast.salon)
    assert (row.status, row.cancellation_reason, row.cancelled_by) == ("cancelled", "Sofia ist im Urlaub", "staff")


def test_a_cancellation_says_why_and_who(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "cancelled")
    row = only_one(cast.salon)
    assert (row.status, row.cancellation_reason, row.cancelled_by) == ("cancelled", "Ich bin verreist", "customer")
    assert (row.ical_sequence, row.cancelled_at is not None) == (1, True)


def test_a_reschedule_moves_the_same_appointment_and_adds_a_booking(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    before = only_one(cast.salon)
    send(client, cast.salon, "rescheduled")
    row = only_one(cast.salon)
    assert (row.id, row.start_time, row.status) == (before.id, SECOND_TIME, "confirmed")
    assert (row.version, row.ical_sequence, row.calcom_booking_id) == (before.version + 1, 1, 7002)
    assert bookings_of(cast.salon) == {"bk_first": ("RESCHEDULED", None), "bk_second": ("ACCEPTED", "bk_first")}


def bookings_of(firm: Firm) -> dict[str, tuple[str, str | None]]:
    with tenant_scope(firm.id):
        return {row.external_uid: (row.status, row.previous_uid) for row in db.session.scalars(select(Booking))}


def test_a_reschedule_that_needs_confirmation_is_scheduled(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    asked = event("rescheduled", status="PENDING") | {"triggerEvent": "BOOKING_REQUESTED"}
    post(client, cast.salon, asked)
    row = only_one(cast.salon)
    assert (row.start_time, row.status) == (SECOND_TIME, "scheduled")


def test_who_was_asked_to_choose_another_time_and_does_is_expected_again(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    post(client, cast.salon, event("cancelled", requestReschedule=True) | {"createdAt": "2027-03-01T12:00:00Z"})
    assert only_one(cast.salon).status == "cancelled"
    send(client, cast.salon, "rescheduled")
    row = only_one(cast.salon)
    assert (row.status, row.start_time, row.cancellation_reason) == ("confirmed", SECOND_TIME, None)


# ---- Order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(("created", "rescheduled", "rescheduled_again"))), ids="-".join)
def test_reschedules_in_any_order_end_at_the_last_time(
    client: PortalClient, cast: Cast, order: tuple[str, ...]
) -> None:
    send(client, cast.salon, *order)
    retry_parked(cast.salon)
    row = only_one(cast.salon)
    assert (row.start_time.day, row.status, row.calcom_booking_id) == (11, "confirmed", 7003)
    assert set(bookings_of(cast.salon)) == {"bk_first", "bk_second", "bk_third"}
    assert {status for status, _ in bookings_of(cast.salon).values()} == {"RESCHEDULED", "ACCEPTED"}
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Customer, row.customer_id).total_appointments == 1


@pytest.mark.parametrize("order", list(permutations(("requested", "confirmed", "cancelled"))), ids="-".join)
def test_a_cancellation_wins_in_any_order(client: PortalClient, cast: Cast, order: tuple[str, ...]) -> None:
    send(client, cast.salon, *order)
    assert only_one(cast.salon).status == "cancelled"


def test_a_cancellation_before_its_booking_waits_and_then_holds(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "cancelled") == ["parked"]
    assert appointments(cast.salon) == []
    assert send(client, cast.salon, "created") == ["done"]
    assert only_one(cast.salon).status == "cancelled"
    assert {row.status for row in stored(cast.salon)} == {"done"}


def test_a_cancellation_of_what_was_never_booked_is_let_go_after_hours(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "cancelled")
    assert retry_parked(cast.salon) == ["parked"]
    assert retry_parked(cast.salon, timedelta(hours=7)) == ["ignored"]
    assert appointments(cast.salon) == []


def test_a_reschedule_of_what_was_never_told_is_taken_over_after_a_minute(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "rescheduled") == ["parked"]
    assert retry_parked(cast.salon, timedelta(minutes=2)) == ["done"]
    assert only_one(cast.salon).start_time == SECOND_TIME


def test_the_booking_before_joins_when_it_comes_late(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "rescheduled")
    retry_parked(cast.salon, timedelta(minutes=2))
    send(client, cast.salon, "created")
    assert only_one(cast.salon).start_time == SECOND_TIME
    assert bookings_of(cast.salon)["bk_first"] == ("RESCHEDULED", None)


def test_two_appointments_that_turn_out_to_be_one_become_one(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "rescheduled_again")
    retry_parked(cast.salon, timedelta(minutes=2))
    assert [row.status for row in appointments(cast.salon)] == ["confirmed", "confirmed"]
    send(client, cast.salon, "rescheduled")
    assert [(row.status, row.start_time.day) for row in appointments(cast.salon)] == [
        ("cancelled", 9),
        ("confirmed", 11),
    ]


def test_a_cancellation_of_the_time_before_does_not_cancel_the_new_one(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "rescheduled")
    assert send(client, cast.salon, "cancelled") == ["ignored"]
    assert only_one(cast.salon).status == "confirmed"


def test_a_lower_sequence_is_old_whatever_its_time(client: PortalClient, cast: Cast) -> None:
    post(client, cast.salon, event("created", iCalSequence=3))
    late = event("created", iCalSequence=2, startTime="2027-03-09T11:00:00Z", endTime="2027-03-09T11:45:00Z")
    assert post(client, cast.salon, late | {"createdAt": "2027-03-01T10:00:00Z"}).get_json()["status"] == "ignored"
    assert only_one(cast.salon).start_time == FIRST_TIME


def test_what_people_changed_here_is_not_undone_by_a_repetition(client: PortalClient, cast: Cast) -> None:
    from portal.domain import appointments as rules

    send(client, cast.salon, "created")
    row, later = only_one(cast.salon), FIRST_TIME + timedelta(hours=2)
    factories.within(
        cast.salon,
        lambda: rules.change(row, rules.replace(rules.plan_of(row), start=later, end=later + timedelta(minutes=45))),
    )
    post(client, cast.salon, event("created") | {"createdAt": "2027-03-01T09:30:00.000Z"})
    assert only_one(cast.salon).start_time == later
    assert send(client, cast.salon, "meeting_ended") == ["ignored"]
    assert only_one(cast.salon).status == "confirmed"


# ---- What happens on the day ------------------------------------------------------------------------------------


def test_a_meeting_that_starts_changes_nothing_and_one_that_ends_completes(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    assert send(client, cast.salon, "meeting_started", "meeting_ended") == ["ignored", "done"]
    row = only_one(cast.salon)
    assert row.status == "completed"
    with tenant_scope(cast.salon.id):
        customer = db.session.get_one(Customer, row.customer_id)
        assert (customer.completed_appointments, customer.total_spent) == (1, cast.salon.cut.price)


def test_a_meeting_may_come_wrapped_as_in_newer_versions(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    flat = event("meeting_ended")
    wrapped = {"triggerEvent": flat.pop("triggerEvent"), "createdAt": "2027-03-09T10:15:01Z", "payload": flat}
    assert post(client, cast.salon, wrapped).get_json() == {"status": "done"}
    assert only_one(cast.salon).status == "completed"


def test_no_show_and_back(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "meeting_ended", "no_show")
    assert only_one(cast.salon).status == "no_show"
    send(client, cast.salon, "no_show_back")
    assert only_one(cast.salon).status == "completed"


def test_no_show_marks_in_the_wrong_order_end_at_the_newer_one(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "no_show_back", "no_show")
    assert only_one(cast.salon).status == "confirmed"


def test_the_end_of_a_meeting_does_not_complete_a_no_show(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created", "no_show")
    assert send(client, cast.salon, "meeting_ended") == ["done"]
    assert only_one(cast.salon).status == "no_show"


def test_an_early_no_show_waits_for_its_booking(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "no_show") == ["parked"]
    send(client, cast.salon, "created")
    assert only_one(cast.salon).status == "no_show"


# ---- Absences ---------------------------------------------------------------------------------------------------


def absences(firm: Firm) -> list[StaffAbsence]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(StaffAbsence)))


def test_an_absence_covers_whole_local_days(client: PortalClient, cast: Cast) -> None:
    assert send(client, cast.salon, "absence") == ["done"]
    (row,) = absences(cast.salon)
    assert (row.staff_id, row.kind, row.note) == (cast.salon.stylist.id, "vacation", "Nordsee")
    assert row.starts_at == datetime(2027, 3, 14, 23, tzinfo=UTC)
    assert row.ends_at == datetime(2027, 3, 17, 23, tzinfo=UTC)


def test_an_absence_written_in_utc_covers_the_same_days(client: PortalClient, cast: Cast) -> None:
    body = event("absence")
    entry = body["payload"]["oooEntry"]
    entry["start"], entry["end"] = "2027-03-15T00:00:00+00:00", "2027-03-17T23:59:59+00:00"
    post(client, cast.salon, body)
    (row,) = absences(cast.salon)
    assert (row.starts_at.day, row.starts_at.hour, row.ends_at.day, row.ends_at.hour) == (14, 23, 17, 23)


def test_a_changed_absence_changes_and_an_older_one_does_not(client: PortalClient, cast: Cast) -> None:
    longer = event("absence") | {"createdAt": "2027-03-01T09:00:00.000Z"}
    longer["payload"]["oooEntry"]["end"] = "2027-03-19T23:59:59+01:00"
    post(client, cast.salon, longer)
    assert send(client, cast.salon, "absence") == ["ignored"]
    (row,) = absences(cast.salon)
    assert row.ends_at == datetime(2027, 3, 19, 23, tzinfo=UTC)


def test_an_absence_of_somebody_unknown_waits(client: PortalClient, cast: Cast) -> None:
    body = event("absence")
    body["payload"]["oooEntry"]["user"] = {"id": 999, "email": "who@nowhere.example", "timeZone": "Europe/Berlin"}
    assert post(client, cast.salon, body).get_json() == {"status": "parked"}
    assert absences(cast.salon) == []


# ---- What cannot be told ----------------------------------------------------------------------------------------


def test_an_unknown_organizer_and_event_type_are_shown_without_a_person(client: PortalClient, cast: Cast) -> None:
    body = event("created", eventTypeId=1, organizer={"id": 77, "name": "Neu", "email": "neu@salon.example"})
    assert post(client, cast.salon, body).get_json() == {"status": "done"}
    row = only_one(cast.salon)
    assert (row.staff_id, row.service_id, row.branch_id) == (None, None, cast.salon.main.id)
    assert row.title == body["payload"]["title"]


def test_the_organizer_is_found_by_address_too(client: PortalClient, cast: Cast) -> None:
    post(client, cast.salon, event("created", organizer={"id": 12345, "email": "TIM@salon.example"}))
    assert only_one(cast.salon).staff_id == cast.salon.colleague.id


def test_another_organizer_of_the_same_booking_takes_it_over(client: PortalClient, cast: Cast) -> None:
    send(client, cast.salon, "created")
    body = event("created", organizer={"id": 502, "email": "tim@salon.example"})
    post(client, cast.salon, body | {"createdAt": "2027-03-01T10:00:00Z"})
    assert only_one(cast.salon).staff_id == cast.salon.colleague.id


def test_an_event_type_of_the_other_company_means_nothing_here(client: PortalClient, cast: Cast) -> None:
    post(client, cast.salon, event("created", eventTypeId=5201, organizer={"id": 601, "email": "sofia@praxis.example"}))
    row = only_one(cast.salon)
    assert (row.staff_id, row.service_id) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        False,
        [],
        "text",
        {},
        {"triggerEvent": 7},
        {"title": "a template of their own"},
        {"triggerEvent": "BOOKING_CREATED", "payload": "text"},
        {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": "x"}},
        {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": "x", "startTime": "soon", "endTime": "later"}},
        {"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "payload": {"bookingUid": "x", "attendees": None}},
        {"triggerEvent": "OOO_CREATED", "payload": {"oooEntry": None}},
    ],
    ids=str,
)
def test_a_template_that_cannot_be_read_is_parked(client: PortalClient, cast: Cast, body: Any) -> None:
    answer = post(client, cast.salon, body)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "parked"})
    assert appointments(cast.salon) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"attendees": [{"name": "Greta \ud83d", "email": "greta@example.org", "timeZone": "Europe/Berlin"}]},
        {"title": "Schnitt \ud83d", "additionalNotes": "\udc4d", "uid": "bk_\ud83d"},
        {"metadata": {"half": "\ud83d", "none": float("nan")}},
    ],
    ids=["name", "title", "elsewhere"],
)
def test_an_emoji_that_was_cut_in_half_loses_no_booking(client: PortalClient, cast: Cast, fields: Any) -> None:
    assert post(client, cast.salon, event("created", **fields)).get_json()["status"] == "done"
    assert only_one(cast.salon).status == "confirmed"


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "\u0663" * 5000, "12x", 2**31, -1, True, 1.5])
def test_what_is_no_number_names_nobody_and_loses_no_booking(client: PortalClient, cast: Cast, number: Any) -> None:
    answer = post(client, cast.salon, event("created", organizer={"id": number}, bookingId=number, eventTypeId=number))
    assert answer.get_json()["status"] == "done"
    assert only_one(cast.salon).staff_id is None


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "9999-12-31T20:00:00Z"])
def test_a_time_beyond_all_clocks_is_parked(client: PortalClient, cast: Cast, start: str) -> None:
    body = event("created", startTime=start, endTime=start.replace(":00:00", ":30:00"))
    assert post(client, cast.salon, body).get_json()["status"] == "parked"


@pytest.mark.parametrize("trigger", ["PING", "BOOKING_PAID", "FORM_SUBMITTED", "SOMETHING_NEW"])
def test_events_that_mean_nothing_here_are_kept_and_ignored(client: PortalClient, cast: Cast, trigger: str) -> None:
    answer = post(client, cast.salon, event("created") | {"triggerEvent": trigger})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ignored"})
    assert [row.event_type for row in stored(cast.salon)] == [trigger]


def test_an_end_before_the_start_is_parked(client: PortalClient, cast: Cast) -> None:
    answer = post(client, cast.salon, event("created", endTime="2027-03-09T09:00:00Z"))
    assert answer.get_json() == {"status": "parked"}


# ---- Overlaps and calls -----------------------------------------------------------------------------------------


def test_an_overlapping_booking_is_taken_over_all_the_same(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=FIRST_TIME + timedelta(minutes=15))
    assert send(client, cast.salon, "created") == ["done"]
    assert len(appointments(cast.salon)) == 2


def test_a_booking_knows_the_call_in_which_it_was_made(client: PortalClient, cast: Cast) -> None:
    from portal.models import Call

    call = factories.make_call(cast.salon, customer_id=None)
    post(client, cast.salon, event("created", metadata={"retell_call_id": call.call_id}))
    row = only_one(cast.salon)
    assert (row.call_id, row.source) == (call.id, "phone")
    with tenant_scope(cast.salon.id):
        call = db.session.get_one(Call, call.id)
        assert (call.appointment_id, call.appointment_created, call.customer_id) == (row.id, True, row.customer_id)


def test_a_call_of_the_other_company_is_not_tied(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.praxis)
    post(client, cast.salon, event("created", metadata={"retell_call_id": call.call_id}))
    assert only_one(cast.salon).call_id is None


def test_a_booking_that_is_quicker_than_its_call_is_tied_when_the_call_comes(client: PortalClient, cast: Cast) -> None:
    post(client, cast.salon, event("created", metadata={"retell_call_id": "call_still_to_come"}))
    assert only_one(cast.salon).source == "phone"
    call = factories.make_call(cast.salon, call_id="call_still_to_come", retell_call_id="call_still_to_come")
    post(
        client,
        cast.salon,
        event("created", metadata={"retell_call_id": call.call_id}) | {"createdAt": "2027-03-01T09:01:00Z"},
    )
    assert only_one(cast.salon).call_id == call.id
