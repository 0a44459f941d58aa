"""Retell's fields become ours: the mapping, and what is no value of a field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import call_reports
from portal.domain.call_reports import Stage, UnreadableError, read
from portal.models.calls import STATUSES
from tests.webhooks.retell_payloads import payload

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def report(name: str = "call_analyzed", **call: Any) -> call_reports.CallReport:
    body = payload(name, **call)
    return read(body["event"], body)


def test_everything_that_the_portal_shows_is_taken_over() -> None:
    found = report()
    assert found.stage is Stage.ANALYSED
    assert (found.call_id, found.agent_id) == ("call_5b0e7d2c94a1f36880c3", "agent_salon")
    assert (found.our_number, found.other_e164) == ("+49301234567", "+4915255512345")
    assert found.name_said == "Nadine Vogt"
    values = found.values
    assert values["retell_call_id"] == "call_5b0e7d2c94a1f36880c3"
    assert values["twilio_call_sid"] == "CA77e1c05b9d"
    assert (values["from_number"], values["to_number"]) == ("+4915255512345", "+49301234567")
    assert (values["phone_number"], values["direction"]) == ("+4915255512345", "inbound")
    assert values["started_at"] == START
    assert values["ended_at"] == datetime(2026, 11, 24, 9, 2, 36, 200000, tzinfo=UTC)
    assert values["duration_seconds"] == 157
    assert (values["status"], values["end_reason"]) == ("completed", "user_hangup")
    assert values["recording_url"] == "https://recordings.example/call_5b0e7d2c94a1f36880c3.wav"
    assert (values["sentiment"], values["intent"]) == ("positive", "book_appointment")
    assert values["custom_data"]["service"] == "Damenhaarschnitt"
    assert values["custom_data"]["call_successful"] is True
    assert values["dynamic_variables"]["customer_name"] == "Nadine Vogt"
    assert "call_cost" not in str(values)


def test_a_call_that_has_only_begun_says_nothing_of_its_end() -> None:
    found = report("call_started", end_timestamp=1, duration_ms=5000, disconnection_reason="user_hangup")
    assert found.stage is Stage.STARTED
    assert found.values["status"] == "in_progress"
    assert [found.values[name] for name in ("ended_at", "duration_seconds", "end_reason")] == [None, None, None]


def test_the_other_side_of_an_outbound_call_is_the_number_dialled() -> None:
    found = report("outbound_ended")
    assert (found.our_number, found.values["phone_number"]) == ("+49301234567", "+4915255512345")
    assert (found.values["direction"], found.values["status"]) == ("outbound", "no_answer")
    assert found.values["duration_seconds"] == 0


REASONS = {
    "dial_busy": "busy",
    "dial_no_answer": "no_answer",
    "user_declined": "no_answer",
    "dial_failed": "failed",
    "invalid_destination": "failed",
    "error_asr": "failed",
    "error_unknown": "failed",
    "telephony_provider_unavailable": "failed",
    "user_hangup": "completed",
    "agent_hangup": "completed",
    "call_transfer": "completed",
    "voicemail_reached": "completed",
    "inactivity": "completed",
    "max_duration_reached": "completed",
    "something_new": "completed",
}


@pytest.mark.parametrize(("reason", "status"), REASONS.items())
def test_the_reason_of_the_end_gives_the_status(reason: str, status: str) -> None:
    found = report(disconnection_reason=reason)
    assert (found.values["status"], found.values["end_reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("call_status", "status"), [("error", "failed"), ("not_connected", "failed"), ("ended", "completed")]
)
def test_without_a_known_reason_the_calls_own_status_counts(call_status: str, status: str) -> None:
    found = report(disconnection_reason="concurrency_limit_reached", call_status=call_status)
    assert found.values["status"] == status


@pytest.mark.parametrize(
    "number", ["anonymous", "", "Restricted", "unknown", "+266696687", "sip:anonymous@anonymous.invalid"]
)
def test_a_withheld_number_is_no_number(number: str) -> None:
    found = report(from_number=number)
    assert (found.values["phone_number"], found.values["from_number"], found.other_e164) == (None, None, None)


def test_numbers_become_e164_and_what_is_none_stays_as_it_was() -> None:
    assert report(from_number="0152 555 12345").values["phone_number"] == "+4915255512345"
    odd = report(from_number="sip:anna@example.org")
    assert (odd.values["phone_number"], odd.other_e164) == ("sip:anna@example.org", None)


@pytest.mark.parametrize(
    ("said", "sentiment"),
    [("Positive", "positive"), ("Neutral", "neutral"), ("Negative", "negative"), ("Unknown", None), ("Furious", None)],
)
def test_moods_are_written_small_and_unknown_is_none(said: str, sentiment: str | None) -> None:
    body = payload("call_analyzed")
    body["call"]["call_analysis"]["user_sentiment"] = said
    assert read("call_analyzed", body).values["sentiment"] == sentiment


DURATIONS: list[tuple[dict[str, Any], int | None]] = [
    ({"duration_ms": 1}, 1),
    ({"duration_ms": 1000}, 1),
    ({"duration_ms": 1000.4}, 1),
    ({"duration_ms": 0}, 0),
    ({"duration_ms": -5}, 157),
    ({"duration_ms": "12"}, 157),
    ({"duration_ms": None}, 157),
    ({"duration_ms": True}, 157),
    ({"duration_ms": None, "end_timestamp": None}, None),
    ({"duration_ms": 10**15, "end_timestamp": None}, None),
    ({"duration_ms": 7_200_000}, 7200),
]


@pytest.mark.parametrize(("fields", "seconds"), DURATIONS)
def test_seconds_are_rounded_up_and_nonsense_is_passed_over(fields: dict[str, Any], seconds: int | None) -> None:
    assert report(**fields).values["duration_seconds"] == seconds


def test_the_name_we_told_the_agent_is_not_one_that_the_caller_said() -> None:
    found = report(
        "call_ended", collected_dynamic_variables=None, retell_llm_dynamic_variables={"caller_name": "Aylin Demir"}
    )
    assert found.name_said is None


def test_a_recording_at_no_address_of_the_web_is_not_kept() -> None:
    assert report(recording_url="file:///etc/passwd").values["recording_url"] is None


@pytest.mark.parametrize(
    "body", [{}, {"call": None}, {"call": []}, {"call": {}}, {"call": {"call_id": ""}}, {"call": {"call_id": 7}}]
)
def test_a_report_without_a_call_cannot_be_read(body: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        read("call_ended", body)


def test_a_transfer_says_where_to() -> None:
    found = report("transfer_started")
    assert found.stage is Stage.TALKING
    assert found.transfer == call_reports.Transfer("transfer_started", "+4930555777", None)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "agent_id", "direction", "from_number", "to_number", "start_timestamp", "end_timestamp", "duration_ms",
    "call_status", "disconnection_reason", "telephony_identifier", "call_analysis", "retell_llm_dynamic_variables",
    "recording_url", "collected_dynamic_variables", "transfer_destination", "transfer_end_timestamp",
]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUE),
    st.fixed_dictionaries({}, optional={"call_summary": VALUE, "user_sentiment": VALUE, "custom_analysis_data": VALUE}),
    st.sampled_from(call_reports.EVENTS),
)
def test_no_value_of_a_field_breaks_the_reading(fields: dict[str, Any], analysis: dict[str, Any], event: str) -> None:
    call = {"call_id": "call_x", "call_analysis": analysis, **fields}
    found = read(event, {"call": call})
    values = found.values
    assert values["status"] in STATUSES
    assert values["direction"] in {"inbound", "outbound"}
    assert values["duration_seconds"] is None or values["duration_seconds"] >= 0
    for name, most in (
        ("end_reason", 100),
        ("intent", 100),
        ("phone_number", 50),
        ("agent_id", 255),
        ("language_code", 10),
    ):
        assert len(values[name] or "") <= most
        (values[name] or "").encode()
