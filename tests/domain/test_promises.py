"""The promise check: what was promised on the phone against what stands in the calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.demo import dialogues, phrases
from portal.demo.dialogues import Dialogue, Filling
from portal.domain import promises, transcripts
from portal.domain.promises import Booked, CallFacts

BERLIN = ZoneInfo("Europe/Berlin")
SAID = datetime(2026, 11, 23, 9, 56, tzinfo=UTC)
WEDNESDAY = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)  # 16:00 in Berlin
FIELDS = {"appointment_date": "Mittwoch", "appointment_time": "16 Uhr", "service": "Herrenhaarschnitt"}
SERVICES = ("Herrenhaarschnitt", "Bartpflege")


def agent(text: str) -> dict[str, Any]:
    return {"who": "agent", "text": text, "at": None, "end": None, "words": []}


def tool(name: str, ok: bool | None, result: Any = None, after: int = 0, **arguments: Any) -> dict[str, Any]:
    return {"id": "t", "name": name, "arguments": arguments, "result": result, "ok": ok, "at": None, "after": after}


def facts(**changes: Any) -> CallFacts:
    """A call in which the receptionist says that Wednesday at four is noted, and books nothing."""
    usual = CallFacts(SAID, BERLIN, "book_appointment", FIELDS, [agent("Mittwoch, 16 Uhr ist notiert.")], [])
    return replace(usual, **changes)


def booked(at: datetime = WEDNESDAY, **changes: Any) -> Booked:
    usual = Booked(1, (at,), SAID + timedelta(minutes=1), "Herrenhaarschnitt", in_call=True)
    return replace(usual, **changes)


BOOKED_TOOL = tool("book_appointment_cal", True, {"status": "booked"}, start="2026-11-25T16:00:00")
FAILED_TOOL = tool("book_appointment_cal", False, {"status": "error"}, start="2026-11-25T16:00:00")


# ---- Kept or not ----------------------------------------------------------------------------------------------


def test_a_promise_without_any_appointment_is_broken() -> None:
    found = promises.check(facts(), [], SERVICES)
    assert found is not None
    assert (found.kind, found.start, found.service) == ("none", WEDNESDAY, "Herrenhaarschnitt")


@pytest.mark.parametrize("minutes", [-9, -1, 0, 5, 9])
def test_an_appointment_at_that_time_keeps_it(minutes: int) -> None:
    assert promises.check(facts(), [booked(WEDNESDAY + timedelta(minutes=minutes))], SERVICES) is None


@pytest.mark.parametrize(
    ("bookings", "kind"),
    [
        ([booked(WEDNESDAY + timedelta(hours=1))], "other_time"),
        ([booked(WEDNESDAY - timedelta(days=7))], "other_time"),
        ([booked(service="Bartpflege")], "other_service"),
        ([booked(called_off=True)], "cancelled"),
        ([booked(called_off=True), booked(WEDNESDAY + timedelta(hours=1))], "other_time"),
        # An appointment that has nothing to do with the call does not keep it, nor is it the other time.
        ([booked(WEDNESDAY + timedelta(days=3), in_call=False)], "none"),
        # What somebody has called off knowingly is nobody's mistake.
        ([booked(called_off=True, knowingly=True)], None),
        # It was booked as promised, and has been moved since.
        ([booked(starts=(WEDNESDAY + timedelta(days=1), WEDNESDAY))], None),
        # A name that the business does not know says nothing about the service.
        ([booked(service="Haarschnitt (kurz)")], None),
        ([booked(service=None)], None),
        ([booked(service="Bartpflege"), booked(in_call=False)], None),
    ],
)
def test_what_stands_instead(bookings: list[Booked], kind: str | None) -> None:
    found = promises.check(facts(), bookings, SERVICES)
    assert (found.kind if found else None) == kind


def test_an_appointment_of_long_ago_at_that_time_keeps_it_too() -> None:
    earlier = booked(made_at=SAID - timedelta(days=20), in_call=False)
    assert promises.check(facts(), [earlier], SERVICES) is None


def test_the_appointment_that_was_to_be_moved_is_the_other_time() -> None:
    before = booked(WEDNESDAY + timedelta(days=2), made_at=SAID - timedelta(days=9), in_call=False)
    found = promises.check(facts(intent="reschedule_appointment"), [before], SERVICES)
    assert found is not None
    assert (found.kind, found.booked) == ("other_time", before)


# ---- Promised or not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "time_zone"),
    [
        ("2026-11-25T16:00:00", None),
        ("2026-11-25T16:00:00+01:00", None),
        ("2026-11-25T15:00:00Z", None),
        ("2026-11-25T16:00:00Z", None),
        ("2026-11-25T10:00:00", "America/New_York"),
        (1795618800, None),
    ],
)
def test_the_time_of_a_tool_is_understood_however_it_is_written(start: Any, time_zone: str | None) -> None:
    named = {"time_zone": time_zone} if time_zone else {}
    done = tool("book_appointment", True, {"status": "booked"}, start=start, **named)
    assert promises.check(facts(tool_calls=[done], data={}), [booked()], SERVICES) is None
    assert promises.check(facts(tool_calls=[done], data={}), [], SERVICES) is not None


@pytest.mark.parametrize("said", ["halb vier", "15:30", "15.30 Uhr", "dreiviertel … halb vier", "half past three"])
def test_half_past_three_is_in_the_afternoon_or_at_night(said: str) -> None:
    call = facts(data=FIELDS | {"appointment_time": said})
    assert promises.check(call, [booked(WEDNESDAY - timedelta(minutes=30))], SERVICES) is None


@pytest.mark.parametrize(
    "last_word",
    [
        "Dann sehen wir uns am Mittwoch um 16 Uhr.",
        "So, dann kommen Sie bitte am Mittwoch um sechzehn Uhr.",
        "Ist eingetragen.",
        "Freitag ist leider nichts frei, aber Mittwoch, 16 Uhr ist gebucht.",
        "You're all set, see you on Wednesday at four pm.",
    ],
)
def test_what_is_stated_as_agreed_is_promised_although_the_booking_failed(last_word: str) -> None:
    call = facts(turns=[agent("Einen Moment."), agent(last_word)], tool_calls=[FAILED_TOOL | {"after": 1}])
    assert promises.promised(call) is not None


@pytest.mark.parametrize(
    "last_word",
    [
        "Das hat leider nicht geklappt, jemand ruft Sie zurück.",
        "Ich habe Ihren Wunsch notiert. Das Team meldet sich bei Ihnen.",
        "Ich konnte den Termin nicht eintragen.",
        "Ich habe Sie auf die Warteliste geschrieben, das ist notiert, aber leider noch kein Termin.",
        "Unfortunately I couldn't book that.",
    ],
)
def test_what_was_refused_or_left_to_a_callback_is_not_promised(last_word: str) -> None:
    call = facts(turns=[agent("Mittwoch ist notiert."), agent(last_word)], tool_calls=[FAILED_TOOL | {"after": 1}])
    assert promises.promised(call) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": [agent("Mittwoch um 16 Uhr wäre frei. Passt Ihnen das?")]},
        {"turns": [agent("Soll ich Mittwoch, 16 Uhr eintragen? Ist das dann notiert?")]},
        {"intent": "cancel_appointment"},
        {"intent": "opening_hours"},
        {"intent": None},
        {"turns": [], "data": FIELDS},
        {"turns": [], "data": FIELDS | {"call_successful": False}},
        {"turns": [], "data": FIELDS | {"call_successful": True, "callback_requested": True}},
        {"turns": [], "data": {"call_successful": True, "appointment_date": "Mittwoch"}},
        {"turns": [agent("Ist notiert.")], "data": {}},
        {"tool_calls": [tool("cancel_booking", True, {"status": "cancelled"}, start="2026-11-25T16:00:00")]},
        {"tool_calls": [BOOKED_TOOL, tool("cancel_booking", True, {"status": "cancelled"})]},
    ],
)
def test_an_offer_a_question_and_another_matter_are_no_promise(changes: dict[str, Any]) -> None:
    assert promises.promised(facts(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": [], "data": FIELDS | {"call_successful": True}},
        {"turns": [], "tool_calls": [BOOKED_TOOL], "intent": "complaint", "data": {}},
        {"turns": [agent("Mittwoch, 16 Uhr ist notiert.")], "data": {}},
        {"tool_calls": [FAILED_TOOL, BOOKED_TOOL]},
        {"tool_calls": [tool("book_appointment_cal", None, None, start="2026-11-25T16:00:00")]},
    ],
)
def test_the_analysis_a_tool_or_the_words_are_enough(changes: dict[str, Any]) -> None:
    said = promises.promised(facts(**changes))
    assert said is not None
    assert said.moments[0] == WEDNESDAY


@pytest.mark.parametrize("junk", [None, 7, "x", [], {"start": {}}, {"start": "gestern"}])
def test_tools_that_tell_nothing_do_no_harm(junk: Any) -> None:
    odd = {"id": "", "name": "book_appointment", "arguments": junk, "result": junk, "ok": True, "at": None, "after": 0}
    assert promises.promised(facts(tool_calls=[odd], data={})) is None
    assert promises.promised(facts(tool_calls=[odd], data={"appointment_date": junk}, turns=[])) is None


# ---- On whole conversations -----------------------------------------------------------------------------------

AT = datetime(2026, 11, 27, 15, 30, tzinfo=BERLIN)
TIMED = {"appointment", "reschedule", "promise_without_booking"}


def spoken() -> list[Dialogue]:
    """Every written conversation of the demo, and some of each kind that is composed."""
    rng, made = Random(3), list(dialogues.load())
    for kind in phrases.KINDS:
        made += [phrases.compose(kind, "salon", rng.choice(("Damenhaarschnitt", "Bartpflege")), rng) for _ in range(12)]
    return made


def heard(dialogue: Dialogue) -> CallFacts:
    filling = Filling("Salon", AT, "Anna", "Muster", staff="Tim Yilmaz", service=dialogue.service or "Schnitt")
    filled = dialogues.fill(dialogue, filling)
    entries, _seconds = dialogues.retell_entries(filled.turns, Random(1), "k")
    said = transcripts.read({"transcript_with_tool_calls": entries})
    assert said is not None
    data = {"call_successful": filled.successful, **filled.custom}
    return CallFacts(SAID, BERLIN, filled.intent, data, said.turns, said.tool_calls)


@pytest.mark.parametrize("dialogue", spoken(), ids=lambda one: one.id)
def test_in_whole_conversations_exactly_the_agreed_times_are_found(dialogue: Dialogue) -> None:
    call = heard(dialogue)
    said = promises.promised(call)
    assert (said is not None) == (dialogue.expects in TIMED)
    if said is not None:
        assert AT in said.moments
        assert promises.check(call, []) is not None
        assert promises.check(call, [booked(AT.astimezone(UTC), service=dialogue.service)]) is None


@pytest.mark.parametrize(
    "words",
    [
        "Mittwoch um 14 Uhr ist leider belegt, aber ich habe Ihnen Mittwoch um 16 Uhr eingetragen.",
        "Um 10 Uhr ist leider nichts frei. Mittwoch, 16 Uhr ist notiert.",
        "Am Mittwoch haben wir ab 9 Uhr geöffnet. Um 16 Uhr sind Sie eingetragen.",
        "Mittwoch, 16 Uhr ist notiert. Bitte sagen Sie bis Dienstag um 12 Uhr Bescheid, falls etwas dazwischenkommt.",
    ],
)
def test_of_several_times_in_one_breath_the_agreed_one_counts(words: str) -> None:
    said = promises.promised(facts(data=None, turns=[agent(words)]))
    assert said is not None
    assert said.moments[0] == WEDNESDAY


def test_a_very_long_turn_is_judged_in_no_time() -> None:
    begun = perf_counter()
    for piece in ("ruft ", "trage sie "):
        promises.promised(facts(data=None, turns=[agent(piece * 20_000)]))
    assert perf_counter() - begun < 5
