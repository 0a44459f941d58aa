"""Which call needs a person and why, whether a call has helped, and until when things are due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.domain import availability, followup_rules
from portal.domain.availability import Closure, Hours, Interval
from portal.domain.followup_rules import CallState, Terms

BERLIN = ZoneInfo("Europe/Berlin")
CALLBACK = {"callback_requested": True, "reason": "Rechnung"}
FAILED = ({"name": "transfer_call", "ok": False},)
WORKED = ({"name": "transfer_call", "ok": True},)


def state(**values: Any) -> CallState:
    return CallState(**{"end_reason": "user_hangup", "seconds": 90, "sentiment": "neutral"} | values)


# ---- Why ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reasons"),
    [
        (state(), []),
        (state(data=CALLBACK), ["callback"]),
        (state(data={"callback_requested": "yes"}), ["callback"]),
        (state(data={"callback_requested": "nein"}), []),
        (state(data={"callback_requested": False}, intent="callback_request"), []),
        (state(intent="callback_request"), ["callback"]),
        (state(end_reason="user_requested_callback"), ["callback"]),
        (state(data=CALLBACK, booked=True), ["callback"]),
        (state(data=CALLBACK, intent="wrong_number"), []),
        (state(data=CALLBACK, intent="sales_call"), []),
        (state(data=CALLBACK, end_reason="voicemail_reached"), []),
        (state(data=CALLBACK | {"in_voicemail": True}), []),
        (state(data=CALLBACK, status="in_progress"), []),
        (state(data=CALLBACK, status="failed"), ["callback"]),
        (state(data={"urgent": True}), ["callback"]),
        (state(data={"urgent": True}, booked=True), []),
        (state(data={"urgent": True}, end_reason="call_transfer"), []),
        (state(intent="complaint", sentiment="negative"), ["complaint"]),
        (state(data={"complaint": True}, sentiment="negative"), ["complaint"]),
        (state(intent="complaint", sentiment="negative", data=CALLBACK), ["complaint"]),
        (state(intent="complaint", sentiment="neutral"), []),
        (state(intent="complaint", sentiment=None, data=CALLBACK), ["callback"]),
        (state(intent="complaint", sentiment="negative", end_reason="call_transfer"), []),
        (state(intent="complaint", sentiment="negative", end_reason="call_transfer", data=CALLBACK), ["complaint"]),
        (state(tool_calls=FAILED), ["transfer_failed"]),
        (state(tool_calls=FAILED + WORKED), []),
        (state(tool_calls=WORKED), []),
        (state(tool_calls=FAILED, end_reason="call_transfer"), []),
        (state(transfers=("transfer_cancelled",)), ["transfer_failed"]),
        (state(transfers=("transfer_cancelled", "transfer_bridged")), []),
        (state(tool_calls=FAILED, intent="complaint", sentiment="negative"), ["complaint", "transfer_failed"]),
        (state(sentiment="negative"), ["hung_up"]),
        (state(sentiment="negative", data={"call_successful": True}), []),
        (state(sentiment="negative", booked=True), []),
        (state(sentiment="negative", end_reason="agent_hangup"), []),
        (state(sentiment="negative", direction="outbound"), []),
        (state(sentiment="negative", data=CALLBACK), ["callback"]),
        (state(status="no_answer", direction="outbound", data=CALLBACK), []),
    ],
)
def test_why_a_call_needs_a_person(call: CallState, reasons: list[str]) -> None:
    assert [need.reason for need in followup_rules.needs(call)] == reasons


def test_what_it_is_about_is_the_reason_given_else_the_summary() -> None:
    assert followup_rules.needs(state(data=CALLBACK))[0].detail == "Rechnung"
    assert followup_rules.needs(state(intent="callback_request", summary=" Will die Chefin. "))[0].detail == (
        "Will die Chefin."
    )
    assert followup_rules.needs(state(data={"callback_requested": True, "reason": ["odd", "\x00"]}))[0].detail == ""


@pytest.mark.parametrize(
    ("call", "helped"),
    [
        (state(), True),
        (state(booked=True, seconds=8), True),
        (state(seconds=14), False),
        (state(seconds=None), False),
        (state(analysed=False), False),
        (state(status="failed"), False),
        (state(direction="outbound"), False),
        (state(data={"call_successful": False}), False),
        (state(data=CALLBACK), False),
        (state(intent="wrong_number"), False),
        (state(end_reason="error_asr"), False),
        (state(end_reason="inactivity"), False),
        (state(end_reason="voicemail_reached"), False),
        (state(intent="complaint", sentiment="negative"), False),
        (state(sentiment="negative"), False),
    ],
)
def test_whether_a_call_has_helped_its_caller(call: CallState, helped: bool) -> None:
    assert followup_rules.serves(call) is helped


@pytest.mark.parametrize(
    ("call", "reached"),
    [
        (state(direction="outbound", seconds=60), True),
        (state(direction="outbound", seconds=60, analysed=False), True),
        (state(direction="outbound", seconds=19), False),
        (state(direction="outbound", seconds=60, end_reason="voicemail_reached"), False),
        (state(direction="outbound", seconds=60, data={"in_voicemail": True}), False),
        (state(direction="outbound", seconds=60, status="no_answer"), False),
        (state(direction="inbound", seconds=60), False),
    ],
)
def test_whether_an_outbound_call_has_reached_the_person(call: CallState, reached: bool) -> None:
    assert followup_rules.reaches(call) is reached


# ---- Until when -----------------------------------------------------------------------------------------------

# Monday to Friday 9–13 and 14–18, in Berlin; closed on Thursday the 26th, in winter and in summer time.
WEEK = [Hours(day, time(start), time(end)) for day in range(1, 6) for start, end in ((9, 13), (14, 18))]
CLOSED = [Closure(date(2026, 11, 26))]


def openings(first: date) -> Iterator[Interval]:
    for days in range(60):
        yield from availability.opening(first + timedelta(days=days), BERLIN, WEEK, CLOSED)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("came", "minutes", "due"),
    [
        ("2026-11-23T10:00", 15, "2026-11-23T10:15"),
        # Over the break, over the night, over a closed day and a weekend.
        ("2026-11-23T12:50", 15, "2026-11-23T14:05"),
        ("2026-11-23T13:30", 15, "2026-11-23T14:15"),
        ("2026-11-23T17:50", 15, "2026-11-24T09:05"),
        ("2026-11-23T20:30", 120, "2026-11-24T11:00"),
        ("2026-11-23T03:00", 15, "2026-11-23T09:15"),
        ("2026-11-25T17:00", 120, "2026-11-27T10:00"),
        ("2026-11-27T17:00", 240, "2026-11-30T12:00"),
        ("2026-11-28T12:00", 15, "2026-11-30T09:15"),
        # Exactly at the end of an opening is still inside it.
        ("2026-11-23T17:45", 15, "2026-11-23T18:00"),
        # The clocks change over the weekend: nine o'clock stays nine o'clock.
        ("2026-10-23T17:30", 60, "2026-10-26T09:30"),
        ("2027-03-26T17:30", 60, "2027-03-29T09:30"),
    ],
)
def test_only_opening_time_counts(came: str, minutes: int, due: str) -> None:
    start = local(came)
    found = followup_rules.after_open_time(start, timedelta(minutes=minutes), openings(start.date()))
    assert found == local(due)


def test_without_hours_every_hour_counts_and_so_where_it_never_opens_again() -> None:
    start, hour = local("2026-11-28T23:00"), timedelta(hours=1)
    assert followup_rules.after_open_time(start, hour, None) == start + hour
    assert followup_rules.after_open_time(start, hour, []) == start + hour


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"callback_time": "16:00"}, "2026-11-23T16:00"),
        ({"callback_time": "heute bis 16 Uhr"}, "2026-11-23T16:00"),
        ({"callback_until": "halb vier"}, "2026-11-23T15:30"),
        ({"callback_date": "morgen", "callback_time": "10 Uhr"}, "2026-11-24T10:00"),
        ({"callback_at": "2026-11-25T11:00:00"}, "2026-11-25T11:00"),
        ({"callback_time": "morgen um zehn"}, "2026-11-24T10:00"),
        # In the morning it is past by then, so the evening is meant.
        ({"callback_time": "neun Uhr"}, "2026-11-23T21:00"),
        ({"callback_time": "08:00"}, None),
        ({"callback_time": "bald"}, None),
        ({"callback_date": "morgen"}, None),
        ({}, None),
    ],
)
def test_a_callback_is_due_as_it_was_promised(told: dict[str, Any], at: str | None) -> None:
    said = local("2026-11-23T10:11").astimezone(UTC)
    assert followup_rules.wanted_at(told, said, BERLIN) == (local(at) if at else None)


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        (None, 15),
        ({}, 15),
        ({"followups": {"complaint": 30}}, 30),
        ({"followups": {"complaint": "30"}}, 15),
        ({"followups": {"complaint": True}}, 15),
        ({"followups": {"complaint": 0}}, 15),
        ({"followups": {"complaint": 10**9}}, 15),
        ({"followups": ["odd"]}, 15),
        ({"followups": {"nonsense": 7}}, 15),
    ],
)
def test_terms_that_make_no_sense_are_as_usual(stored: dict[str, Any] | None, complaint: int) -> None:
    terms = followup_rules.terms_of(stored)
    assert terms == Terms(complaint=timedelta(minutes=complaint))
    assert terms.of("hung_up") == terms.of("transfer_failed") == terms.callback
