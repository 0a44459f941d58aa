"""Where a time stands on a calendar sheet: rows of five minutes, made of the hours that the sheet shows.

The hours are those of the wall clock, each with its ``fold``: where clocks go back the doubled hour stands there twice,
where they go forward the missing one is left out. So a day may have 23 or 25 of them, and a week with such a day shows
the second coming for all its days.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from portal.domain import availability
from portal.domain.availability import Interval

ROWS_PER_HOUR = 12
EARLIEST, LATEST = 8, 18
SECOND = timedelta(seconds=1)

Hour = tuple[int, int]  # of the wall clock, and its fold


@dataclass(frozen=True)
class Tick:
    """An hour at the edge of the sheet: its row, the instant, and whether the zone must be named to tell it apart."""

    row: int
    at: datetime
    doubled: bool


@dataclass(frozen=True)
class Axis:
    """The hours of a sheet, in order."""

    zone: ZoneInfo
    hours: tuple[Hour, ...]
    ticks: tuple[Tick, ...]

    @property
    def rows(self) -> int:
        return len(self.hours) * ROWS_PER_HOUR

    def shows(self, moment: datetime) -> bool:
        """Whether the moment's hour is on the sheet."""
        local = moment.astimezone(self.zone)
        return (local.hour, local.fold) in self.hours

    def marks(self, day: date) -> str:
        """The hours of the sheet as instants of that day: seconds, ``-`` for an hour that the day has not got."""
        local = {mark: mark.astimezone(self.zone) for mark in availability.hour_marks(day, self.zone)}
        known = {(at.hour, at.fold): int(mark.timestamp()) for mark, at in local.items()}
        return " ".join(str(known.get(hour, "-")) for hour in self.hours)

    def row(self, moment: datetime) -> int:
        """The row in which the moment lies; before and after the sheet its first and its end."""
        local = moment.astimezone(self.zone)
        hour = (local.hour, local.fold)
        place = bisect_left(self.hours, hour)
        if place == len(self.hours) or self.hours[place] != hour:
            return place * ROWS_PER_HOUR
        return place * ROWS_PER_HOUR + local.minute // 5

    def span(self, interval: Interval, day: date) -> tuple[int, int] | None:
        """First row and number of rows of the part that lies on that day; None where nothing of it is on the sheet."""
        bounds = availability.day_bounds(day, self.zone)
        start, end = max(interval.start, bounds.start), min(interval.end, bounds.end)
        if start >= end:
            return None
        first, last = self.row(start), self._last(end)
        return (first, last - first + 1) if first <= last else None

    def _last(self, end: datetime) -> int:
        """The last row before the end; -1 where the sheet has not begun by then."""
        row = self.row(end - SECOND)
        return row if self.shows(end - SECOND) else row - 1


def axis(days: Sequence[date], zone: ZoneInfo, content: Iterable[tuple[date, Interval]]) -> Axis:
    """From 8 to 18 o'clock, widened to whole hours by what the days hold."""
    first, last = EARLIEST, LATEST - 1
    for day, interval in content:
        bounds = availability.day_bounds(day, zone)
        start, end = max(interval.start, bounds.start), min(interval.end, bounds.end)
        if start < end:
            first = min(first, start.astimezone(zone).hour)
            last = max(last, (end - SECOND).astimezone(zone).hour)
    marks = [mark for day in days for mark in availability.hour_marks(day, zone)]
    ticks = _ticks([mark for mark in marks if first <= mark.astimezone(zone).hour <= last], zone)
    return Axis(zone, tuple(ticks), tuple(_numbered(ticks, zone)))


def _ticks(marks: Iterable[datetime], zone: ZoneInfo) -> dict[Hour, datetime]:
    """Each hour once, with the instant of it that the labels are made from, in order."""
    found: dict[Hour, datetime] = {}
    for mark in marks:
        local = mark.astimezone(zone)
        key = (local.hour, local.fold)
        if key not in found or availability.is_twice(mark, zone):
            found[key] = mark
    return dict(sorted(found.items()))


def _numbered(ticks: dict[Hour, datetime], zone: ZoneInfo) -> Iterable[Tick]:
    for place, (hour, mark) in enumerate(ticks.items()):
        yield Tick(place * ROWS_PER_HOUR, mark, (hour[0], 1 - hour[1]) in ticks)
