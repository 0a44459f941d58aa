"""What a call came to, in words: one outcome a call, and what was understood without a trace of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import force_locale

from portal.db import utcnow
from portal.domain import call_words
from portal.models import Call

NOW = utcnow()
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def _english(app: Flask) -> Iterator[None]:
    with force_locale("en"):
        yield


def call(**values: Any) -> Call:
    return Call(**({"status": "completed", "duration_seconds": 60, "started_at": NOW - timedelta(minutes=9)} | values))


OUTCOMES: list[tuple[dict[str, Any], str]] = [
    ({"status": "in_progress"}, "live"),
    ({"status": "in_progress", "started_at": NOW - timedelta(hours=4)}, "unreported"),
    ({"appointment_created": True, "status": "failed"}, "booked"),
    ({"end_reason": "call_transfer", "custom_data": {"callback_requested": True}}, "transferred"),
    ({"status": "failed", "custom_data": {"callback_requested": True}}, "callback"),
    ({"status": "failed"}, "failed"),
    ({"status": "busy"}, "busy"),
    ({"status": "no_answer"}, "no_answer"),
    ({"intent": "cancel_appointment"}, "cancelled"),
    ({"intent": "cancel_appointment", "custom_data": {"call_successful": False}}, "talked"),
    ({"intent": "reschedule_appointment"}, "moved"),
    ({"end_reason": "voicemail_reached"}, "voicemail"),
    ({"custom_data": {"in_voicemail": True}}, "voicemail"),
    ({"duration_seconds": 3}, "hung_up"),
    ({"duration_seconds": 3, "intent": "wrong_number"}, "talked"),
    ({}, "talked"),
]


@pytest.mark.parametrize(("values", "key"), OUTCOMES)
def test_every_call_has_one_outcome(values: dict[str, Any], key: str) -> None:
    found = call_words.outcome(call(**values), NOW)
    assert found.key == key
    assert found.label
    assert found.kind in {"", "on", "ok", "warn", "bad"}


def facts(data: Any) -> dict[str, str]:
    return {label: value.replace("\xa0", " ") for label, value in call_words.facts(data, "en", BERLIN)}


def test_what_was_understood_is_told_in_labels_and_words() -> None:
    assert facts(
        {
            "customer_name": "Nadine Vogt",
            "intent": "book_appointment",
            "service": "Damenhaarschnitt",
            "appointment_date": "2026-11-27",
            "wished_at": "2026-11-27T13:00:00Z",
            "callback_requested": True,
            "records_request": False,
            "callback_number": "+49305550100",
            "guests": 3,
            "extras": ["Kaffee", "Wasser"],
            "address": {"city": "Berlin", "zip": None},
            "empty": "",
            "nothing": None,
        }
    ) == {
        "Service": "Damenhaarschnitt",
        "Day wanted": "27 Nov 2026",
        "Wished at": "27 Nov 2026, 14:00",
        "Callback wanted": "Yes",
        "Records request": "No",
        "Call back at": "030 5550100",
        "Guests": "3",
        "Extras": "Kaffee, Wasser",
        "Address": "City: Berlin",
    }
    assert facts(None) == {}


@pytest.mark.parametrize(
    ("reason", "direction", "words"),
    [
        ("user_hangup", "inbound", "The caller hung up"),
        ("user_hangup", "outbound", "The person called hung up"),
        ("error_llm_websocket_open", "inbound", "A technical fault: Llm websocket open"),
        ("something_new", "inbound", "Something new"),
        (None, "inbound", ""),
    ],
)
def test_the_end_has_its_reason_in_words(reason: str | None, direction: str, words: str) -> None:
    assert call_words.end_reason(reason, direction) == words


def test_an_intent_of_ones_own_is_shown_as_it_is_called() -> None:
    assert call_words.intent("ask_for_gift_card") == "Ask for gift card"


def test_the_clock_of_a_running_call_never_runs_backwards() -> None:
    assert call_words.seconds_running(call(started_at=NOW + timedelta(seconds=5)), NOW) == 0
    assert call_words.seconds_running(call(started_at=NOW - timedelta(seconds=75)), NOW) == 75
