"""Opening times, free slots and overlaps: interval arithmetic over values alone.

Working hours are local wall-clock times; every interval that leaves this file is in UTC. A local day has 23, 24 or 25
hours. Where clocks go back, a wall-clock time comes twice: opening means its first coming, closing its second. Where
they go forward, a time that does not exist means the instant of the change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

MIDNIGHT = time(0)
STEP = timedelta(minutes=15)
NOTHING = timedelta(0)


@dataclass(frozen=True, order=True)
class Interval:
    """A stretch of time from ``start`` up to, not including, ``end``; aware times, kept in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"naive interval {self.start} to {self.end}")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end <= self.start:
            raise ValueError(f"an interval cannot go from {self.start} to {self.end}")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        """Whether they share time; meeting end to start is no overlap."""
        return self.start < other.end and other.start < self.end

    def padded(self, before: timedelta = NOTHING, after: timedelta = NOTHING) -> Interval:
        """The same with buffers around it."""
        return Interval(self.start - before, self.end + after)


@dataclass(frozen=True)
class Hours:
    """One row of working hours: ISO weekday 1 to 7, local times, ``closes_at`` 00:00 is the end of the day."""

    weekday: int
    opens_at: time
    closes_at: time
    valid_from: date | None = None
    valid_until: date | None = None

    def covers(self, day: date) -> bool:
        """Whether the day lies in the row's season; ``valid_until`` is the last one."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )

    def applies(self, day: date) -> bool:
        """Whether the row is of this day's weekday and season."""
        return day.isoweekday() == self.weekday and self.covers(day)

    @property
    def season(self) -> tuple[date, int]:
        """What rows of one season share; the larger one goes before the smaller, any season before none."""
        return self.valid_from or date.min, -(self.valid_until or date.max).toordinal()


@dataclass(frozen=True)
class Closure:
    """A day on which a branch is closed, or open at other hours when both times are given (Christmas Eve, 9 to 13).

    Several rows with times leave a break; one row without them closes the day.
    """

    day: date
    opens_at: time | None = None
    closes_at: time | None = None


# ---- Local days -----------------------------------------------------------------------------------


def local_instant(day: date, at: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The UTC instant of a wall-clock time: its first coming, or its ``last``; in a gap the instant of the change."""
    wall = datetime.combine(day, at.replace(fold=1 if last else 0), tzinfo=zone)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(fold=0) == wall.replace(fold=0):
        return instant
    return _clock_change(instant, zone)


def is_twice(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall clock shows that moment's time once more, because it goes back."""
    local = moment.astimezone(zone)
    first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    return first != second


def day_bounds(day: date, zone: ZoneInfo) -> Interval:
    """The local day from midnight to midnight: 23, 24 or 25 hours."""
    return Interval(local_instant(day, MIDNIGHT, zone), local_instant(day + timedelta(days=1), MIDNIGHT, zone))


def hour_marks(day: date, zone: ZoneInfo) -> list[datetime]:
    """The instants at which a clock on the wall shows a new hour, or an hour again: 23, 24 or 25 on a local day."""
    bounds = day_bounds(day, zone)
    marks = [bounds.start]
    while (mark := _next_mark(marks[-1], zone)) < bounds.end:
        marks.append(mark)
    return marks


def _next_mark(mark: datetime, zone: ZoneInfo) -> datetime:
    """The next full hour on the wall, or the change of clocks before it. Some change by half an hour."""
    local = mark.astimezone(zone)
    full = mark + timedelta(hours=1) - timedelta(minutes=local.minute, seconds=local.second)
    if full.astimezone(zone).utcoffset() == local.utcoffset():
        return full
    return _clock_change(full, zone)


def _clock_change(near: datetime, zone: ZoneInfo) -> datetime:
    """The instant within a day of ``near`` at which the zone's offset changes."""
    first = int(near.timestamp()) - 86400
    offset = datetime.fromtimestamp(first, UTC).astimezone(zone).utcoffset()

    def changed(second: int) -> bool:
        return datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset() != offset

    seconds = range(first, first + 2 * 86400)
    return datetime.fromtimestamp(seconds[bisect_left(seconds, True, key=changed)], UTC)


# ---- Arithmetic -----------------------------------------------------------------------------------


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Sorted and joined: what overlaps or touches becomes one."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def subtract(intervals: Iterable[Interval], cuts: Iterable[Interval]) -> list[Interval]:
    """What is left of ``intervals`` outside all ``cuts``; sorted and joined."""
    left = merge(intervals)
    for cut in merge(cuts):
        left = [piece for interval in left for piece in _without(interval, cut)]
    return left


def intersect(some: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """The time that is in both; sorted and joined."""
    theirs = merge(others)
    return [Interval(max(a.start, b.start), min(a.end, b.end)) for a in merge(some) for b in theirs if a.overlaps(b)]


def _without(interval: Interval, cut: Interval) -> Iterator[Interval]:
    if not interval.overlaps(cut):
        yield interval
        return
    if interval.start < cut.start:
        yield Interval(interval.start, cut.start)
    if cut.end < interval.end:
        yield Interval(cut.end, interval.end)


# ---- Opening times and free slots --------------------------------------------------------------------


def opening(
    day: date,
    zone: ZoneInfo,
    hours: Iterable[Hours],
    closures: Iterable[Closure] = (),
    absences: Iterable[Interval] = (),
) -> list[Interval]:
    """When a branch is open on a local day, sorted, in UTC. Closures with times take the place of the day's hours.

    Several rows a day leave breaks between them. What is in ``absences`` is away; it may be longer than the day.
    """
    special = _special(day, zone, closures)
    return subtract(_regular(day, zone, hours) if special is None else special, absences)


def working(
    day: date,
    zone: ZoneInfo,
    hours: Iterable[Hours],
    closures: Iterable[Closure] = (),
    absences: Iterable[Interval] = (),
) -> list[Interval]:
    """When a person works on a local day: like ``opening``, but closures of the branch only take away.

    Nobody works at a special opening without hours of their own on that day.
    """
    special = _special(day, zone, closures)
    regular = _regular(day, zone, hours)
    return subtract(regular if special is None else intersect(regular, special), absences)


def free_slots(
    open_times: Iterable[Interval],
    busy: Iterable[Interval],
    duration: timedelta,
    *,
    step: timedelta = STEP,
    before: timedelta = NOTHING,
    after: timedelta = NOTHING,
    earliest: datetime | None = None,
) -> list[Interval]:
    """Possible appointments of ``duration``: every ``step`` from each opening on, inside it, clear of ``busy``.

    The buffers ``before`` and ``after`` must be clear of ``busy`` too, but may reach beyond the opening times. Give
    ``busy`` with the buffers of its own (``Interval.padded``). Nothing starts before ``earliest``.
    """
    if duration <= NOTHING or step <= NOTHING:
        raise ValueError("duration and step must be positive")
    taken = merge(busy)
    return [
        slot
        for span in merge(open_times)
        for slot in _grid(span, duration, step)
        if (earliest is None or slot.start >= earliest)
        and not any(slot.padded(before, after).overlaps(other) for other in taken)
    ]


def _grid(span: Interval, duration: timedelta, step: timedelta) -> Iterator[Interval]:
    start = span.start
    while start + duration <= span.end:
        yield Interval(start, start + duration)
        start += step


def in_force(day: date, hours: Iterable[Hours]) -> list[Hours]:
    """The rows that count on a day. A season takes the place of the hours without one, also where it has none that day.

    Of seasons that overlap, the one that began last counts.
    """
    rows = [row for row in hours if row.covers(day)]
    season = max((row.season for row in rows), default=None)
    return [row for row in rows if row.season == season and row.weekday == day.isoweekday()]


def _regular(day: date, zone: ZoneInfo, hours: Iterable[Hours]) -> list[Interval]:
    return _spans(day, zone, [(row.opens_at, row.closes_at) for row in in_force(day, hours)])


def _special(day: date, zone: ZoneInfo, closures: Iterable[Closure]) -> list[Interval] | None:
    """The other hours of a day; [] if it is closed, None if nothing is special about it."""
    rows = [closure for closure in closures if closure.day == day]
    times = [(row.opens_at, row.closes_at) for row in rows if row.opens_at and row.closes_at]
    if not rows:
        return None
    return _spans(day, zone, times) if len(times) == len(rows) else []


def _spans(day: date, zone: ZoneInfo, times: Iterable[tuple[time, time]]) -> list[Interval]:
    found = (_span(day, zone, opens_at, closes_at) for opens_at, closes_at in times)
    return merge(span for span in found if span is not None)


def _span(day: date, zone: ZoneInfo, opens_at: time, closes_at: time) -> Interval | None:
    """Local times as UTC; None when a change of clocks swallows them whole."""
    start = local_instant(day, opens_at, zone)
    if closes_at == MIDNIGHT:
        end = day_bounds(day, zone).end
    elif closes_at <= opens_at:
        raise ValueError(f"hours cannot go from {opens_at} to {closes_at}")
    else:
        end = local_instant(day, closes_at, zone, last=True)
    return Interval(start, end) if start < end else None


# ---- Drawing side by side ----------------------------------------------------------------------------


def lanes(intervals: Sequence[Interval]) -> list[tuple[int, int]]:
    """For each interval, in the given order, its lane i of n (from 1), so that overlapping ones stand side by side.

    n is the same throughout a group held together by overlaps, and no larger than the most that run at once.
    """
    order = sorted(range(len(intervals)), key=lambda i: (intervals[i].start, -intervals[i].duration, i))
    placed: list[tuple[int, int]] = [(1, 1)] * len(intervals)
    for group in _groups(intervals, order):
        ends: list[datetime] = []
        lane_of: dict[int, int] = {}
        for i in group:
            lane = next((k for k, end in enumerate(ends) if end <= intervals[i].start), len(ends))
            ends[lane : lane + 1] = [intervals[i].end]
            lane_of[i] = lane + 1
        for i, lane in lane_of.items():
            placed[i] = (lane, len(ends))
    return placed


def _groups(intervals: Sequence[Interval], order: Sequence[int]) -> Iterator[list[int]]:
    """Cut the sorted positions wherever everything before has ended."""
    group: list[int] = []
    end: datetime | None = None
    for i in order:
        if end is not None and intervals[i].start >= end:
            yield group
            group, end = [], None
        group.append(i)
        end = intervals[i].end if end is None else max(end, intervals[i].end)
    if group:
        yield group


def gaps(intervals: Iterable[Interval]) -> list[Interval]:
    """The stretches between intervals: the breaks of a day."""
    return [Interval(a.end, b.start) for a, b in pairwise(merge(intervals))]
