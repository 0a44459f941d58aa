"""Days and times as people and language models write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.demo.dialogues import spoken_date, spoken_time
from portal.domain import spoken_times

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ("16:00", ["16:00"]),
        ("10:30:00", ["10:30"]),
        ("3:30", ["15:30", "03:30"]),
        ("16.30 Uhr", ["16:30"]),
        ("16 Uhr 30", ["16:30"]),
        ("zehn Uhr dreißig", ["10:30", "22:30"]),
        ("halb vier", ["15:30", "03:30"]),
        ("fünf vor halb vier", ["15:25", "03:25"]),
        ("fünf nach halb vier", ["15:35", "03:35"]),
        ("Viertel nach drei", ["15:15", "03:15"]),
        ("viertel vor vier", ["15:45", "03:45"]),
        ("viertel vier", ["15:15", "03:15"]),
        ("dreiviertel vier", ["15:45", "03:45"]),
        ("zehn nach drei", ["15:10", "03:10"]),
        ("nachmittags um vier Uhr", ["16:00"]),
        ("acht Uhr abends", ["20:00"]),
        ("8 Uhr morgens", ["08:00"]),
        ("vier", ["16:00", "04:00"]),
        ("16", ["16:00"]),
        ("4 pm", ["16:00"]),
        ("12 pm", ["12:00"]),
        ("ten thirty a.m.", ["10:30"]),
        ("half past three", ["15:30", "03:30"]),
        ("quarter to four", ["15:45", "03:45"]),
        ("three o'clock", ["15:00", "03:00"]),
        ("seven oh five", ["07:05", "19:05"]),
        ("heute bis 16 Uhr", ["16:00"]),
        ("", []),
        ("irgendwann", []),
        ("24.11.", []),
        ("Mittwoch", []),
        ("25:70", []),
    ],
)
def test_a_time_means_what_it_can_mean_with_the_likeliest_first(said: str, times: list[str]) -> None:
    assert [f"{at:%H:%M}" for at in spoken_times.read_times(said)] == times


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("heute", MONDAY),
        ("heute Morgen", MONDAY),
        ("morgen", MONDAY + timedelta(days=1)),
        ("morgen früh", MONDAY + timedelta(days=1)),
        ("übermorgen", MONDAY + timedelta(days=2)),
        ("tomorrow", MONDAY + timedelta(days=1)),
        ("Mittwoch", date(2026, 11, 25)),
        ("Mittwoch Morgen", date(2026, 11, 25)),
        ("am Montag", date(2026, 11, 30)),
        ("nächste Woche Dienstag", date(2026, 12, 1)),
        ("Wednesday", date(2026, 11, 25)),
        ("Mittwoch, den fünfundzwanzigsten November", date(2026, 11, 25)),
        ("25. November", date(2026, 11, 25)),
        ("25.11.", date(2026, 11, 25)),
        ("25.11.26", date(2026, 11, 25)),
        ("25.11.2026", date(2026, 11, 25)),
        ("3.1.", date(2027, 1, 3)),
        ("the twenty-fifth of November", date(2026, 11, 25)),
        ("November 25th", date(2026, 11, 25)),
        ("2026-11-25", date(2026, 11, 25)),
        ("30.02.2026", None),
        ("bald", None),
        ("", None),
    ],
)
def test_a_day_is_the_next_one_of_its_name(said: str, day: date | None) -> None:
    assert spoken_times.read_day(said, MONDAY) == day


@pytest.mark.parametrize(
    ("said", "today", "day"),
    [
        ("1. Januar", date(2026, 12, 31), date(2027, 1, 1)),
        ("31.12.", date(2027, 1, 1), date(2026, 12, 31)),  # yesterday is still meant as yesterday
        ("30.12.", date(2027, 1, 1), date(2027, 12, 30)),
        ("29. Februar", date(2027, 12, 30), date(2028, 2, 29)),
        ("29.2.", date(2028, 2, 29), date(2028, 2, 29)),
        ("29.2.", date(2026, 2, 3), None),
        ("29.2.28", date(2026, 2, 3), date(2028, 2, 29)),
    ],
)
def test_a_day_without_its_year_is_found_across_new_year(said: str, today: date, day: date | None) -> None:
    assert spoken_times.read_day(said, today) == day


@given(st.dates(date(2026, 1, 1), date(2030, 12, 31)), st.sampled_from(["de", "en"]))
def test_every_day_that_the_receptionist_says_is_understood(day: date, language: str) -> None:
    assert spoken_times.read_day(spoken_date(day, language), day - timedelta(days=3)) == day


@given(st.times(time(7, 0), time(20, 0)))
def test_every_time_that_the_receptionist_says_is_understood(at: time) -> None:
    at = at.replace(second=0, microsecond=0)
    assert at in spoken_times.read_times(spoken_time(at))


@given(st.text(max_size=60))
def test_no_text_makes_it_stumble(text: str) -> None:
    spoken_times.instants(text, text, BERLIN, NOON)


@pytest.mark.parametrize(
    ("day", "at", "instants"),
    [
        ("2026-11-25", "16:00", ["2026-11-25T15:00"]),
        ("2026-11-25T16:00:00+01:00", None, ["2026-11-25T15:00"]),
        ("2026-11-25T16:00:00", None, ["2026-11-25T15:00"]),
        ("2026-11-25 16:00:30", None, ["2026-11-25T15:00"]),
        ("2026-11-25T10:00:00-05:00", None, ["2026-11-25T15:00"]),
        # A Z behind a local time: either may be meant.
        ("2026-11-25T16:00:00Z", None, ["2026-11-25T16:00", "2026-11-25T15:00"]),
        ("2026-11-25T15:00:00.000Z", None, ["2026-11-25T15:00", "2026-11-25T14:00"]),
        # In summer the zone is another one.
        ("2027-07-07", "16:00", ["2027-07-07T14:00"]),
        # The clocks go back: the time comes twice. They go forward: it does not come, and means the one after it.
        ("2026-10-25", "02:30", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        (1795618800, None, ["2026-11-25T15:00"]),
        (1795618800000, None, ["2026-11-25T15:00"]),
        (None, "morgen um zehn Uhr", ["2026-11-24T09:00", "2026-11-24T21:00"]),
        ("Mittwoch um halb vier", None, ["2026-11-25T14:30", "2026-11-25T02:30"]),
        (None, None, []),
        (True, {}, []),
        ("Mittwoch", "", []),
    ],
)
def test_a_day_and_a_time_are_instants(day: Any, at: Any, instants: list[str]) -> None:
    found = spoken_times.instants(day, at, BERLIN, NOON)
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in found] == instants


@pytest.mark.parametrize(
    ("day", "at"),
    [
        ("0001-01-01", "00:00"),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:00-05:00", None),
        ("1900-01-01", "neun Uhr"),
    ],
)
def test_a_date_that_stands_for_none_is_none(day: Any, at: Any) -> None:
    assert spoken_times.instants(day, at, BERLIN, NOON) == []


@pytest.mark.parametrize("piece", ["a-", "halb a nach ", "zehn "])
def test_a_very_long_text_is_read_in_no_time(piece: str) -> None:
    begun = perf_counter()
    spoken_times.instants(piece * 20_000, piece * 20_000, BERLIN, NOON)
    assert perf_counter() - begun < 5
