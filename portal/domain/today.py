"""The screen on the counter: who is next with whom, who is here, and until when somebody is free."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from portal.domain import availability, discreet
from portal.domain.sheet import Column, Entry, Named, Sheet

MOST = 5  # coming appointments of a person that are shown


@dataclass(frozen=True)
class State:
    """What a person does now: busy, free, from, break, away, off or done. ``until`` None: for the rest of the day."""

    kind: str
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Lane:
    """One person. ``running``: who should be there now; ``coming``: the next ones; ``more``: how many after those."""

    key: str
    name: str
    state: State
    running: list[Entry]
    coming: list[Entry]
    more: int

    @property
    def is_idle(self) -> bool:
        """Neither at work now nor with anything to come."""
        return not self.running and not self.coming and self.state.kind in ("away", "off", "done")


@dataclass(frozen=True)
class Screen:
    """``now`` is the minute, so that the screen is drawn anew with every one."""

    day: date
    now: datetime
    zone: str
    branch: Named
    branches: list[Named]
    lanes: list[Lane]
    closed: str | None
    ends: datetime  # of the day

    @property
    def shown(self) -> list[Lane]:
        return [lane for lane in self.lanes if not lane.is_idle]

    @property
    def idle(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.is_idle and lane.name]

    @property
    def here(self) -> int:
        return sum(entry.arrived for lane in self.lanes for entry in (*lane.running, *lane.coming))

    @property
    def version(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def screen(sheet: Sheet, now: datetime, *, veil: bool = False) -> Screen:
    """The screen of a day sheet of one branch. ``veil``: initials, and not what for."""
    assert sheet.branch is not None
    lanes = [_lane(column, now) for column in sheet.columns]
    if veil:
        lanes = [_veiled(lane) for lane in lanes]
    return Screen(
        day=sheet.day,
        now=now.replace(second=0, microsecond=0),
        zone=sheet.zone,
        branch=sheet.branch,
        branches=sheet.branches,
        lanes=lanes,
        closed=closed(sheet.columns),
        ends=availability.day_bounds(sheet.day, ZoneInfo(sheet.zone)).end,
    )


def _lane(column: Column, now: datetime) -> Lane:
    open_ones = sorted((entry for entry in column.entries if entry.is_open), key=lambda entry: (entry.start, entry.id))
    running = [entry for entry in open_ones if entry.start <= now < entry.end]
    coming = [entry for entry in open_ones if entry.start > now]
    return Lane(
        key=column.key,
        name=column.name,
        state=state(column, now),
        running=[_still(entry) for entry in running],
        coming=[_still(entry) for entry in coming[:MOST]],
        more=max(len(coming) - MOST, 0),
    )


def _still(entry: Entry) -> Entry:
    """Without what belongs to the drawing of a sheet: the screen is the same wherever the box stood."""
    return replace(entry, place="", rows=0, lane="", note=None, phone=None)


def _veiled(lane: Lane) -> Lane:
    running = [discreet.veiled(entry, service=False) for entry in lane.running]
    return replace(lane, running=running, coming=[discreet.veiled(entry, service=False) for entry in lane.coming])


# ---- What a person does now -------------------------------------------------------------------------------------


def state(column: Column, now: datetime) -> State:
    """In the order of what counts: an appointment, an absence, the hours, the next appointment.

    Who is done before the time is free: a completed appointment keeps nobody busy.
    """
    busy = [entry for entry in column.entries if entry.is_open and entry.start <= now < entry.end]
    if busy:
        return State("busy", max(entry.end for entry in busy))
    if column.away:
        return State("away", reason=column.away)
    absent = next((band for band in column.bands if band.kind == "absence" and band.start <= now < band.end), None)
    if absent is not None:
        return State("away", absent.end, absent.label)
    return _by_hours(column, now)


def _by_hours(column: Column, now: datetime) -> State:
    hours = column.hours
    if hours is None:
        return State("free", _next_taken(column, now))
    if not hours:
        return State("off")
    if now < hours[0].start:
        return State("from", hours[0].start)
    if now >= hours[-1].end:
        return State("done")
    span = next((span for span in hours if span.start <= now < span.end), None)
    if span is None:
        return State("break", next(span.start for span in hours if span.start > now))
    return State("free", min(filter(None, (_next_taken(column, now), span.end))))


def _next_taken(column: Column, now: datetime) -> datetime | None:
    """When the next appointment, with what it needs before it, or the next absence begins."""
    coming = [entry for entry in column.entries if entry.is_open and entry.start > now]
    starts = [max(entry.start - timedelta(minutes=entry.buffer_before), now) for entry in coming]
    starts += [band.start for band in column.bands if band.kind == "absence" and band.start > now]
    return min(starts, default=None)


def closed(columns: Iterable[Column]) -> str | None:
    """Why the branch is closed on the day of a sheet ('' without a reason); None when it is open, or nobody knows."""
    bands = [band for column in columns for band in column.bands if band.kind == "closed"]
    everybody = all(column.hours == [] for column in columns if column.staff_id is not None)
    return bands[0].label if bands and everybody else None
