"""When a customer is reminded of an appointment: so many hours before it, and never at night. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.domain.availability import local_instant

# Between these local times reminders become due.
MORNING, EVENING = time(8), time(20)
# A worker that was away may catch up until then; later than that nobody wants to be disturbed.
NIGHT = time(21)
# What falls before the morning waits for it, unless less than this would be left; then it comes the evening before.
NEEDED = timedelta(hours=2)
# Closer to the appointment than this nobody is reminded any more.
LAST_MOMENT = timedelta(minutes=30)
# Who books later than the hours that a company has chosen is reminded so many hours before, if that is still to come.
A_DAY = 24
# By how much a reminder may come earlier than its hours say: from just before the morning to the evening before.
EARLIEST = timedelta(hours=13)


def due(start: datetime, hours: int, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of the reminder for an appointment that begins at ``start``."""
    start = start.astimezone(UTC)  # or an hour of the clocks would be counted
    moment = start - timedelta(hours=hours)
    local = moment.astimezone(zone)
    if local.time() >= EVENING:
        return local_instant(local.date(), EVENING, zone)
    if local.time() >= MORNING:
        return moment
    morning = local_instant(local.date(), MORNING, zone)
    if start - morning >= NEEDED:
        return morning
    return local_instant(local.date() - timedelta(days=1), EVENING, zone)


def dues(start: datetime, hours: int, zone: ZoneInfo) -> list[datetime]:
    """When the reminder is due, and when for whoever has booked after that; earliest first."""
    return [due(start, each, zone) for each in sorted({hours, min(hours, A_DAY)}, reverse=True)]


def is_time(start: datetime, due_at: datetime, now: datetime, zone: ZoneInfo) -> bool:
    """Whether to remind now: due, not at night, and still of use."""
    by_day = MORNING <= now.astimezone(zone).time() < NIGHT
    return by_day and due_at <= now <= start - LAST_MOMENT
