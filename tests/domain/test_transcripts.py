"""What was said: read from Retell's shapes, told in words, whatever strange things come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import Babel, force_locale
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import transcripts
from portal.domain.transcripts import describe, lines, read
from tests.webhooks.retell_payloads import payload

BERLIN = ZoneInfo("Europe/Berlin")
# Hypothesis runs a test many times with one fixture; an application that only translates is enough.
TALKING = Flask(__name__)
Babel(TALKING)


@pytest.fixture
def english(app: Flask) -> Iterator[None]:
    with force_locale("en"):
        yield


def invoked(name: str, arguments: Any, result: Any = None, **more: Any) -> dict[str, Any]:
    """One tool call and its answer, read as from a webhook."""
    entries = [
        {
            "role": "tool_call_invocation",
            "tool_call_id": "t1",
            "name": name,
            "arguments": json.dumps(arguments),
            **more,
        },
        {"role": "tool_call_result", "tool_call_id": "t1", "content": json.dumps(result)},
    ]
    found = read({"transcript_with_tool_calls": entries[: 1 if result is None else 2]})
    assert found is not None
    return found.tool_calls[0]


def words(call: dict[str, Any]) -> str:
    return describe(call, "en", BERLIN)[1].replace("\u00a0", " ")


# ---- Reading --------------------------------------------------------------------------------------------------


def test_turns_keep_their_words_with_times_and_tools_their_place() -> None:
    found = read(payload("call_analyzed")["call"])
    assert found is not None
    assert [turn["who"] for turn in found.turns] == ["agent", "user"] * 3
    first = found.turns[0]
    assert first["text"].startswith("Salon Test, guten Morgen.")
    assert first["words"][0] == ["Salon", 0.5, 0.87]
    assert (first["at"], first["end"]) == (0.5, first["words"][-1][2])
    assert [(call["name"], call["after"]) for call in found.tool_calls] == [
        ("check_availability_cal", 2),
        ("book_appointment_cal", 4),
    ]
    assert found.tool_calls[1]["arguments"]["name"] == "Nadine Vogt"
    assert found.tool_calls[1]["result"]["status"] == "booked"
    assert found.tool_calls[1]["ok"] is True
    assert found.text.startswith("Agent: Salon Test")


def test_nothing_said_about_a_transcript_is_none_but_an_empty_call_is_not_read_either() -> None:
    assert read({}) is None
    assert read({"transcript": "", "transcript_object": [], "transcript_with_tool_calls": []}) is None


def test_text_alone_becomes_turns_without_times() -> None:
    found = read({"transcript": "Agent: Guten Tag.\nUser: Agent: sagten Sie?\nJa, genau.\nAgent: Gern.\n"})
    assert found is not None
    assert [(turn["who"], turn["text"], turn["at"]) for turn in found.turns] == [
        ("agent", "Guten Tag.", None),
        ("user", "Agent: sagten Sie?\nJa, genau.", None),
        ("agent", "Gern.", None),
    ]


def test_turns_alone_become_text() -> None:
    entries = [
        {"role": "agent", "content": "Guten Tag."},
        {"role": "user", "content": "Hallo."},
        {"role": "transfer_target", "content": "Werkstatt?"},
    ]
    found = read({"transcript_object": entries})
    assert found is not None
    assert found.text == "Agent: Guten Tag.\nUser: Hallo.\nTransfer Target: Werkstatt?"


def test_of_two_versions_the_one_that_reaches_further_is_the_newer() -> None:
    early, late = read(payload("transcript_updated")["call"]), read(payload("call_ended")["call"])
    assert early is not None
    assert late is not None
    assert early.reach < late.reach


STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "words", "name", "arguments", "word", "start", "end", "tool_call_id"])
            | st.text(max_size=5),
            inside
            | st.sampled_from(
                ["agent", "user", "tool_call_invocation", "tool_call_result", "dtmf", "sms", "transfer_target"]
            ),
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(STRANGE, STRANGE, STRANGE)
def test_nothing_that_is_sent_breaks_the_reading(with_tools: Any, turns: Any, text: Any) -> None:
    found = read({"transcript_with_tool_calls": with_tools, "transcript_object": turns, "transcript": text})
    if found is not None:
        json.dumps([found.turns, found.tool_calls], allow_nan=False).encode()
        found.text.encode()
        assert found.reach >= (0.0, 0)


def test_what_no_database_stores_is_left_out() -> None:
    found = read({"transcript_object": [{"role": "user", "content": "a\x00b\ud800c"}]})
    assert found is not None
    assert found.turns[0]["text"] == "abc"


def test_bookings_are_known_by_the_uids_that_the_tools_were_told() -> None:
    found = read(payload("call_ended")["call"])
    assert found is not None
    assert transcripts.booking_uids(found.tool_calls) == ["bk_Vogt27Nov"]
    failed = invoked("book_appointment_cal", {}, {"status": "error", "uid": "bk_none"})
    assert transcripts.booking_uids([failed]) == []


def test_a_tool_with_a_name_of_its_own_is_known_by_its_kind(english: None) -> None:
    call = invoked(
        "Termin eintragen", {"start": "2026-11-27T13:00:00Z"}, {"status": "booked"}, type="book_appointment_cal"
    )
    assert words(call) == "Appointment booked: Fri 27 Nov, 14:00"


# ---- In words -------------------------------------------------------------------------------------------------

SLOTS = ["2026-11-27T13:00:00Z", "2026-11-27T15:15:00Z"]
SAID: list[tuple[str, dict[str, Any], Any, str]] = [
    ("check_availability_cal", {}, {"slots": SLOTS}, "Free times checked: Fri 27 Nov, 14:00, 16:15"),
    (
        "check_availability_cal",
        {},
        {"slots": ["2026-11-27T10:00:00"], "time_zone": "Europe/Berlin", "more_slots": 2},
        "Free times checked: Fri 27 Nov, 10:00 and 2 more",
    ),
    (
        "check_availability_cal",
        {},
        {"slots": {"2026-11-27": [{"time": SLOTS[0]}], "2026-11-28": [{"start": "2026-11-28T08:00:00Z"}]}},
        "Free times checked: Fri 27 Nov, 14:00; Sat 28 Nov, 09:00",
    ),
    ("check_availability_cal", {"date": "2026-11-27"}, {"slots": []}, "Free times checked: nothing free on Fri 27 Nov"),
    ("check_availability_cal", {}, {"slots": []}, "Free times checked: none"),
    ("check_availability_cal", {}, {"error": "timeout"}, "Free times could not be checked"),
    (
        "book_appointment_cal",
        {"start": SLOTS[0], "name": "Nadine Vogt"},
        {"status": "booked"},
        "Appointment booked: Fri 27 Nov, 14:00, Nadine Vogt",
    ),
    (
        "book_appointment_cal",
        {"start": SLOTS[0]},
        {"status": "error", "message": "no_available_users_found_error"},
        "Booking did not work: the time was just taken",
    ),
    ("cancel_booking", {"start": SLOTS[0]}, {"status": "cancelled"}, "Appointment cancelled: Fri 27 Nov, 14:00"),
    ("reschedule_booking", {"new_start": SLOTS[1]}, {"status": "rescheduled"}, "Appointment moved: Fri 27 Nov, 16:15"),
    ("reschedule_booking", {}, {"status": "failed"}, "Moving the appointment did not work"),
    ("transfer_call", {"reason": "Beschwerde"}, {"status": "transferred"}, "Call transferred: Beschwerde"),
    ("transfer_call", {"number": "+4930555777"}, {"status": "no_answer"}, "Transfer did not work: 030 555777"),
    ("end_call", {"reason": "conversation_finished"}, {"status": "ended"}, "The receptionist ended the call"),
    ("send_sms", {"message": "Bis Freitag!"}, {"success": True}, "Text message sent: Bis Freitag!"),
    ("check_insurance", {"number": "A123", "valid": 3}, {"ok": True}, "Check insurance: number: A123, valid: 3"),
    ("check_insurance", {}, "Error: down", "Check insurance did not work"),
    ("", {}, None, "Action"),
]


@pytest.mark.parametrize(("name", "arguments", "result", "sentence"), SAID)
def test_tool_calls_are_told_in_words(
    english: None, name: str, arguments: dict[str, Any], result: Any, sentence: str
) -> None:
    assert words(invoked(name, arguments, result)) == sentence


def test_keys_and_text_messages_are_told_as_well(english: None) -> None:
    found = read({"transcript_with_tool_calls": [{"role": "dtmf", "digit": "3"}, {"role": "sms", "content": "Stau!"}]})
    assert found is not None
    assert [words(call) for call in found.tool_calls] == ["Key pressed: 3", "Text message received: Stau!"]


def test_times_stand_in_the_branchs_zone(english: None) -> None:
    call = invoked("book_appointment_cal", {"start": "2026-11-27T13:00:00Z"}, {"status": "booked"})
    assert "13:00" in describe(call, "en", ZoneInfo("Europe/London"))[1]


@given(STRANGE, STRANGE, st.sampled_from([*transcripts.TOOLS, "anything"]))
def test_no_arguments_and_no_result_break_the_sentence(arguments: Any, result: Any, name: str) -> None:
    call = {"name": name, "arguments": arguments, "result": result, "ok": None}
    with TALKING.test_request_context(), force_locale("en"):
        assert describe(call, "en", BERLIN)[1]


def test_lines_come_in_the_order_of_the_call(english: None) -> None:
    found = read(payload("call_ended")["call"])
    assert found is not None
    shown = lines(found.turns, found.tool_calls, "en", BERLIN)
    assert [line.who for line in shown] == ["agent", "user", "tool", "agent", "user", "tool", "agent", "user"]
    assert shown[0].second == 0
    assert shown[2].text.startswith("Free times checked")
    assert not any(line.same_speaker for line in shown)


def test_two_turns_in_a_row_are_one_speakers(english: None) -> None:
    turns = transcripts.turns_of("Agent: Guten Tag.\nAgent: Sind Sie noch da?")
    assert [line.same_speaker for line in lines(turns, [], "en", BERLIN)] == [False, True]


def test_a_long_call_is_told_quickly(english: None) -> None:
    turns = [
        {"who": "agent" if n % 2 else "user", "text": "schnipp " * 25, "at": n * 5.0, "end": n * 5 + 4.0, "words": []}
        for n in range(4000)
    ]
    calls = [invoked("end_call", {}) | {"after": n} for n in range(0, 4000, 10)]
    assert len(lines(turns, calls, "en", BERLIN)) == 4400
