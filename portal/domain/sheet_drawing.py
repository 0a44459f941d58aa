"""From rows to a sheet: columns, positions, overlaps, free time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

from portal.domain import availability, sheet_axis, sheet_colors
from portal.domain.availability import Interval
from portal.domain.sheet import Band, Clash, Column, Entry, FreeTime, Line, Named, Sheet, lanes_drawn
from portal.domain.sheet_axis import Axis
from portal.domain.slots import BUSY, OPEN, padded
from portal.domain.timetable import Timetable
from portal.models import Appointment, Branch, Staff

SHORTEST = 3  # rows: below that nothing can be read or hit
FREE_STEP = timedelta(minutes=30)
GAP = timedelta(minutes=10)  # shorter free times are not worth a line
WIDE = 20  # columns: above, free times would be thousands of links
WEEKEND = 6
FIVE_MINUTES = timedelta(minutes=5)
SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Material:
    """What a sheet is drawn from. ``person`` None: everybody."""

    view: str
    day: date
    days: list[date]
    zone: ZoneInfo
    now: datetime
    hours: Timetable
    branches: list[Branch]
    people: list[Staff]
    person: Staff | None
    appointments: list[Appointment]

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    @property
    def names(self) -> dict[int, str]:
        return {staff.id: staff.name for staff in self.people}

    @property
    def hues(self) -> dict[int, str]:
        return sheet_colors.hues(self.people)

    def home(self, staff: Staff | None) -> int:
        """The branch whose hours count for a column."""
        ids = [branch.id for branch in self.branches]
        return staff.branch_id if staff is not None and staff.branch_id in ids else ids[0]

    def works(self, staff: Staff | None, day: date) -> list[Interval] | None:
        """When there is somebody: the person, or at all."""
        branch_id = self.home(staff)
        return self.hours.open(branch_id, day) if staff is None else self.hours.works(staff.id, branch_id, day)


@dataclass(frozen=True)
class _Head:
    """A column before it is filled."""

    key: str
    day: date
    staff: Staff | None
    rows: list[Appointment]


def draw(material: Material, choices: list[Branch], *, one_branch: bool) -> Sheet:
    """The sheet. ``choices``: the branches that the reader may choose from."""
    person = material.person
    shown = [row for row in material.appointments if person is None or row.staff_id == person.id]
    days, closed = _open_days(material, shown)
    axis = sheet_axis.axis(days, material.zone, _content(material, days, shown))
    clashes = list(_clashes(shown, material.people))
    clashing = {appointment_id for _, ids in clashes for appointment_id in ids}
    heads = list(_by_people(material, shown) if material.view == "day" else _by_days(material, days, shown))
    wide, names, hues = len(heads) > WIDE, material.names, material.hues
    columns = [_Painter(material, axis, head, clashing, names, hues, wide=wide).column() for head in heads]
    now_row = axis.row(material.now) if material.today in days and axis.shows(material.now) else None
    return Sheet(
        view=material.view,
        day=material.day,
        today=material.today,
        days=material.days,
        zone=material.zone.key,
        mixed_zones=len({zone.key for zone in material.hours.zones.values()}) > 1,
        branch=Named(material.branches[0].id, material.branches[0].name) if one_branch else None,
        staff=Named(person.id, person.name) if person else None,
        branches=[Named(branch.id, branch.name) for branch in choices],
        people=[Named(each.id, each.name) for each in material.people],
        columns=columns,
        closed_days=closed,
        ticks=axis.ticks,
        rows=axis.rows,
        now=_five_minutes(material.now) if now_row is not None else None,
        now_row=now_row,
        clashes=[clash for clash, _ in clashes],
        lines=list(_lines(material, columns)) if material.view == "day" else [],
    )


def _five_minutes(now: datetime) -> datetime:
    # The line moves with the rows; a label that changed every minute would redraw the sheet as often.
    return now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0)


def _open_days(material: Material, shown: list[Appointment]) -> tuple[list[date], list[date]]:
    """The days that get a column, and the closed ones of a weekend that nobody has an appointment on."""
    if material.view == "day":
        return material.days, []
    used = {row.start_time.astimezone(material.zone).date() for row in shown}
    closed = [
        day
        for day in material.days
        if day.isoweekday() >= WEEKEND
        and day not in used
        and all(material.hours.open(branch.id, day) == [] for branch in material.branches)
    ]
    return [day for day in material.days if day not in closed], closed


def _content(material: Material, days: list[date], shown: list[Appointment]) -> Iterator[tuple[date, Interval]]:
    """What widens the sheet: opening hours, working hours and appointments."""
    for day in days:
        for branch in material.branches:
            yield from ((day, span) for span in material.hours.open(branch.id, day) or [])
        if material.person is not None:
            yield from ((day, span) for span in material.works(material.person, day) or [])
        yield from ((day, Interval(row.start_time, row.end_time)) for row in shown)


def _by_people(material: Material, shown: list[Appointment]) -> Iterator[_Head]:
    day = material.days[0]
    for staff in [material.person] if material.person else material.people:
        yield _Head(f"s{staff.id}", day, staff, [row for row in shown if row.staff_id == staff.id])
    if unassigned := [row for row in shown if row.staff_id is None]:
        yield _Head("s0", day, None, unassigned)


def _by_days(material: Material, days: list[date], shown: list[Appointment]) -> Iterator[_Head]:
    for day in days:
        bounds = availability.day_bounds(day, material.zone)
        rows = [row for row in shown if Interval(row.start_time, row.end_time).overlaps(bounds)]
        yield _Head(f"d{day.isoformat()}", day, material.person, rows)


# ---- A column ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Painter:
    material: Material
    axis: Axis
    head: _Head
    clashing: set[int]
    names: Mapping[int, str]
    hues: Mapping[int, str]
    wide: bool

    def column(self) -> Column:
        material, head = self.material, self.head
        hours = material.works(head.staff, head.day)
        away = self._away()
        lanes, entries = self._entries()
        is_today = head.day == material.today
        return Column(
            key=head.key,
            name=head.staff.name if head.staff and material.view == "day" else "",
            day=head.day,
            staff_id=head.staff.id if head.staff else None,
            entries=entries,
            bands=[*self._hours_bands(hours), *away, *self._buffers(entries)],
            free=list(self._free(hours, away)),
            hours=hours,
            away=away[0].label if away and not availability.subtract(hours or [], _intervals(away)) else "",
            is_today=is_today,
            now_row=self.axis.row(material.now) if is_today and self.axis.shows(material.now) else None,
            branch=self._branch_name(),
            hue=self.hues.get(head.staff.id, "") if head.staff else "",
            marks=self.axis.marks(head.day),
            lanes=lanes,
        )

    def _branch_name(self) -> str:
        """Where a column's person works, on a day sheet of several branches."""
        material, staff = self.material, self.head.staff
        if material.view != "day" or staff is None or len(material.branches) == 1:
            return ""
        return next((branch.name for branch in material.branches if branch.id == staff.branch_id), "")

    def _entries(self) -> tuple[int, list[Entry]]:
        """The most that stand side by side, and all of them."""
        rows = self.head.rows
        spans = [self._rows_of(row) for row in rows]
        # By what is drawn: five minutes are drawn as fifteen, and must not cover their neighbour.
        lanes = availability.lanes([_as_time(*span) for span in spans])
        entries = [self._entry(*each) for each in zip(rows, spans, lanes, strict=True)]
        return max((side_by_side for _, side_by_side in lanes), default=1), entries

    def _rows_of(self, row: Appointment) -> tuple[int, int]:
        """First row and number of rows, on the sheet and high enough to be read."""
        first, length = self.axis.span(Interval(row.start_time, row.end_time), self.head.day) or (0, SHORTEST)
        length = max(length, SHORTEST)
        return min(first, self.axis.rows - length), length

    def _entry(self, row: Appointment, span: tuple[int, int], lane: tuple[int, int]) -> Entry:
        (first, length), lane_class = span, _lane(*lane)
        bounds = availability.day_bounds(self.head.day, self.axis.zone)
        staff_id = row.staff_id or 0
        return replace(
            entry_of(row, self.material.now, self.clashing, self.names.get(staff_id, ""), self.hues.get(staff_id, "")),
            place=f"r{first} s{length}{lane_class and f' {lane_class}'}",
            rows=length,
            lane=lane_class,
            before=row.start_time < bounds.start,
            beyond=row.end_time > bounds.end,
        )

    def _band(self, kind: str, span: Interval, label: str = "", lane: str = "") -> Iterator[Band]:
        if place := self.axis.span(span, self.head.day):
            lane_class = f" {lane}" if lane else ""
            yield Band(kind, f"r{place[0]} s{place[1]}{lane_class}", span.start, span.end, label)

    def _hours_bands(self, hours: list[Interval] | None) -> Iterator[Band]:
        """What lies outside the hours; [] hours are a day off, None are unknown."""
        if hours is None:
            return
        day = availability.day_bounds(self.head.day, self.axis.zone)
        if not hours:
            closure = self.material.hours.closure(self.material.home(self.head.staff), self.head.day)
            yield Band("closed" if closure else "off", f"r0 s{self.axis.rows}", day.start, day.end, _reason(closure))
            return
        for outside in availability.subtract([day], [Interval(hours[0].start, hours[-1].end)]):
            yield from self._band("off", outside)
        for gap in availability.gaps(hours):
            yield from self._band("break", gap)

    def _away(self) -> list[Band]:
        if self.head.staff is None:
            return []
        bounds = availability.day_bounds(self.head.day, self.axis.zone)
        rows = self.material.hours.away(self.head.staff.id, bounds)
        return [band for row in rows for band in self._band("absence", Interval(row.starts_at, row.ends_at), row.kind)]

    def _buffers(self, entries: Iterable[Entry]) -> Iterator[Band]:
        for entry in entries:
            if entry.buffer_before and entry.status in BUSY:
                before = Interval(entry.start - timedelta(minutes=entry.buffer_before), entry.start)
                yield from self._band("buffer", before, lane=entry.lane)
            if entry.buffer_after and entry.status in BUSY:
                after = Interval(entry.end, entry.end + timedelta(minutes=entry.buffer_after))
                yield from self._band("buffer", after, lane=entry.lane)

    def _free(self, hours: list[Interval] | None, away: list[Band]) -> Iterator[FreeTime]:
        """Half hours that can be booked with one click."""
        if not hours or self.head.staff is None or self.wide:
            return
        taken = [padded(row) for row in self.head.rows if row.status in BUSY]
        spans = availability.subtract(hours, _intervals(away))
        for slot in availability.free_slots(spans, taken, FREE_STEP, step=FREE_STEP, earliest=self.material.now):
            if place := self.axis.span(slot, self.head.day):
                yield FreeTime(slot.start, f"r{place[0]} s{place[1]}")


def entry_of(row: Appointment, now: datetime, clashing: set[int], staff: str, hue: str = "") -> Entry:
    """An appointment as a line or a box shows it; its customer and service must be loaded."""
    customer = row.customer
    return Entry(
        id=row.id,
        version=row.version,
        status=row.status,
        arrived=row.arrived_at is not None,
        start=row.start_time,
        end=row.end_time,
        who=customer.full_name or "",
        phone=customer.phone_normalized,
        what=row.service.name if row.service else row.title or "",
        staff_id=row.staff_id,
        staff=staff,
        note=row.customer_notes,
        visit=customer.completed_appointments + (row.status in OPEN),
        by_phone=row.source == "phone",
        running=row.status in OPEN and row.start_time <= now < row.end_time,
        clash=row.id in clashing,
        gone=row.status not in OPEN or row.end_time <= now,
        buffer_before=row.buffer_before,
        buffer_after=row.buffer_after,
        hue=hue,
        customer_id=row.customer_id,
        service_id=row.service_id,
    )


def _as_time(first: int, length: int) -> Interval:
    """Rows as a stretch of time, for the arithmetic of lanes."""
    return Interval(SOME_DAY + first * FIVE_MINUTES, SOME_DAY + (first + length) * FIVE_MINUTES)


def _lane(lane: int, lanes: int) -> str:
    """The class of a lane; where there are more than a sheet can hold, the last ones share."""
    if lanes == 1:
        return ""
    most = lanes_drawn(lanes)
    return f"l{min(lane, most)}-{most}"


def _reason(closure: object) -> str:
    return getattr(closure, "reason", None) or ""


def _intervals(bands: Iterable[Band]) -> list[Interval]:
    return [Interval(band.start, band.end) for band in bands]


# ---- Overlaps and lists -----------------------------------------------------------------------------------------


def _clashes(shown: Sequence[Appointment], people: Sequence[Staff]) -> Iterator[tuple[Clash, tuple[int, int]]]:
    """What shares a person's time, buffers counted: the same that the guard would refuse."""
    for staff in people:
        theirs = [row for row in shown if row.staff_id == staff.id and row.status in BUSY]
        for one, other in combinations(theirs, 2):
            common = availability.intersect([padded(one)], [padded(other)])
            if common:
                names = (one.customer.full_name or "", other.customer.full_name or "")
                yield Clash(staff.name, common[0].start, common[0].end, names, other.id), (one.id, other.id)


def _lines(material: Material, columns: Sequence[Column]) -> Iterator[Line]:
    """The day by time; with its free times and breaks where it is one person's."""
    lines = [Line("entry", entry.start, entry.end, entry) for column in columns for entry in column.entries]
    if material.person is not None and columns:
        lines += _gaps(columns[0])
    lines.sort(key=lambda line: (line.start, line.kind != "entry", line.end))
    coming = next((line for line in lines if _is_coming(line, material)), None)
    for line in lines:
        yield replace(line, is_next=line is coming, is_today=material.day == material.today)


def _is_coming(line: Line, material: Material) -> bool:
    if line.entry is None or material.day != material.today:
        return False
    return line.entry.is_open and line.entry.end > material.now


def _gaps(column: Column) -> Iterator[Line]:
    hours = column.hours or []
    absences = [band for band in column.bands if band.kind == "absence"]
    busy = [Interval(entry.start, entry.end) for entry in column.entries if entry.status in BUSY]
    buffers = _intervals(band for band in column.bands if band.kind == "buffer")
    for free in availability.subtract(hours, [*busy, *buffers, *_intervals(absences)]):
        if free.duration >= GAP:
            yield Line("free", free.start, free.end)
    for gap in availability.gaps(hours):
        yield Line("break", gap.start, gap.end)
    for absence in absences:
        yield Line("absence", absence.start, absence.end, label=absence.label)
