"""When reminders are due: hours before, by day, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import reminder_times

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("Europe/London"), ZoneInfo("Europe/Istanbul"), ZoneInfo("America/New_York")]


def local(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2027-03-09T10:00", 24, "2027-03-08T10:00"),
        ("2027-03-09T08:00", 24, "2027-03-08T08:00"),
        ("2027-03-09T19:59", 24, "2027-03-08T19:59"),
        ("2027-03-09T20:00", 24, "2027-03-08T20:00"),
        ("2027-03-09T21:30", 24, "2027-03-08T20:00"),  # in the evening: at eight
        ("2027-03-09T07:00", 24, "2027-03-08T08:00"),  # in the morning: at eight, 23 hours are left
        ("2027-03-09T10:00", 3, "2027-03-09T08:00"),
        ("2027-03-09T09:59", 3, "2027-03-08T20:00"),  # less than two hours would be left: the evening before
        ("2027-03-09T08:30", 1, "2027-03-08T20:00"),
        ("2027-03-09T10:00", 168, "2027-03-02T10:00"),
        # The clocks are put forward on 28 March and back on 31 October.
        ("2027-03-28T10:00", 24, "2027-03-27T09:00"),
        ("2027-03-29T07:30", 24, "2027-03-28T08:00"),
        ("2027-10-31T10:00", 24, "2027-10-30T11:00"),
        ("2027-10-31T09:00", 8, "2027-10-30T20:00"),
    ],
)
def test_a_reminder_is_due_by_day(start: str, hours: int, due: str) -> None:
    assert reminder_times.due(local(start), hours, BERLIN) == local(due).astimezone(UTC)


@given(
    st.integers(0, 365 * 24 * 60),
    st.integers(1, 168),
    st.sampled_from(ZONES),
)
def test_it_never_falls_into_the_night_nor_after_the_appointment(minute: int, hours: int, zone: ZoneInfo) -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    due = reminder_times.due(start, hours, zone)
    clock = due.astimezone(zone).time()
    assert time(8) <= clock <= time(20)
    assert due < start
    wished = start - timedelta(hours=hours)
    assert wished - reminder_times.EARLIEST <= due <= wished + timedelta(hours=9)
    if due > wished:
        assert start - due >= reminder_times.NEEDED


@pytest.mark.parametrize(
    ("now", "is_time"),
    [
        ("2027-03-08T09:59", False),
        ("2027-03-08T10:00", True),
        ("2027-03-08T20:59", True),
        ("2027-03-08T21:00", False),  # the worker was away: not at night
        ("2027-03-09T03:00", False),
        ("2027-03-09T08:00", True),  # but in the morning, better late than never
        ("2027-03-09T09:30", True),
        ("2027-03-09T09:31", False),  # half an hour before nobody needs it
        ("2027-03-09T10:00", False),
    ],
)
def test_a_late_worker_catches_up_by_day_and_not_at_the_last_moment(now: str, is_time: bool) -> None:
    start, due = local("2027-03-09T10:00"), local("2027-03-08T10:00")
    assert reminder_times.is_time(start, due, local(now), BERLIN) is is_time
