"""The calendar's views as plain values, ready to be drawn: here the sheet of a day or a week, and what all have.

Positions are CSS classes of ``grid.css``: ``r12 s9 l1-2`` is row 12, nine rows long, first of two lanes. Times are UTC.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from portal.domain.availability import Interval
from portal.domain.sheet_axis import Tick
from portal.domain.slots import OPEN

MOST_COLUMNS = 120  # that grid.css knows
LANES = (2, 3, 4, 6, 8, 12)  # that grid.css knows
NARROW = 7  # columns that fit without scrolling
READABLE = 7.5  # rem of a lane, as in app.css
ROOM = 57.0  # rem that a sheet has in a window of 1280 pixels
WEEK_LANES = 3  # above, a week of seven days is too wide to be an overview


def lanes_drawn(lanes: int) -> int:
    """As many lanes as there are, or the next number that grid.css has; above the most, the last ones share."""
    return next((known for known in (1, *LANES) if known >= lanes), LANES[-1])


@dataclass(frozen=True)
class Named:
    """A branch or a person to choose from."""

    id: int
    name: str


@dataclass(frozen=True)
class Entry:
    """An appointment on a sheet. ``who`` is '' for customers without a name. Times are UTC."""

    id: int
    version: int
    status: str
    arrived: bool
    start: datetime
    end: datetime
    who: str
    phone: str | None
    what: str
    staff_id: int | None
    staff: str
    note: str | None
    visit: int
    by_phone: bool
    running: bool
    clash: bool
    gone: bool
    buffer_before: int
    buffer_after: int
    place: str = ""
    rows: int = 0
    lane: str = ""
    hue: str = ""  # the person's colour, a class
    before: bool = False  # began on an earlier day than the one that it is drawn on
    beyond: bool = False  # goes on after that day
    customer_id: int | None = None
    service_id: int | None = None

    @property
    def minutes(self) -> int:
        return int((self.end - self.start).total_seconds()) // 60

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True)
class Band:
    """A stretch of a column without appointments: off, break, absence, closed or buffer."""

    kind: str
    place: str
    start: datetime
    end: datetime
    label: str = ""


@dataclass(frozen=True)
class FreeTime:
    start: datetime
    place: str


@dataclass(frozen=True)
class Column:
    """A person on a day sheet, a day on a week sheet. ``staff_id`` None on a day sheet: without a person."""

    key: str
    name: str
    day: date
    staff_id: int | None
    entries: list[Entry]
    bands: list[Band]
    free: list[FreeTime]
    hours: list[Interval] | None
    away: str
    is_today: bool
    now_row: int | None
    branch: str = ""  # where there are several
    hue: str = ""
    lanes: int = 1  # appointments side by side, at most
    marks: str = ""  # the instants of the sheet's hours on this day, in seconds; "-" where the day has not got the hour

    @property
    def count(self) -> int:
        """Appointments that begin on its day, so that a sum over days counts each once."""
        return sum(entry.status != "cancelled" and not entry.before for entry in self.entries)

    @property
    def lanes_class(self) -> str:
        return f"lanes-{lanes_drawn(self.lanes)}" if self.lanes > 1 else ""


@dataclass(frozen=True)
class Line:
    """A line of a list by time: an appointment, free time, a break or an absence."""

    kind: str
    start: datetime
    end: datetime
    entry: Entry | None = None
    is_next: bool = False
    is_today: bool = False
    label: str = ""


@dataclass(frozen=True)
class Clash:
    staff: str
    start: datetime
    end: datetime
    names: tuple[str, str]
    later_id: int


@dataclass(frozen=True)
class View:
    """What every view has. ``branch`` and ``staff`` None: all of them. ``mixed_zones``: branches in several zones."""

    view: str
    day: date
    today: date
    days: list[date]
    zone: str
    mixed_zones: bool
    branch: Named | None
    staff: Named | None
    branches: list[Named]
    people: list[Named]

    @property
    def version(self) -> str:
        """Changes with whatever would be drawn differently."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Sheet(View):
    """A day by people or a week by days."""

    columns: list[Column]
    closed_days: list[date]
    ticks: tuple[Tick, ...]
    rows: int
    now: datetime | None
    now_row: int | None
    clashes: list[Clash]
    lines: list[Line]

    @property
    def entries(self) -> list[Entry]:
        return [entry for column in self.columns for entry in column.entries]

    @property
    def count(self) -> int:
        return sum(column.count for column in self.columns)

    @property
    def unconfirmed(self) -> int:
        return sum(entry.status == "scheduled" and not entry.before for entry in self.entries)

    @property
    def crowded(self) -> bool:
        """Whether there is more side by side than can be read: then it is better as lists."""
        lanes = max((column.lanes for column in self.columns), default=1)
        if self.view == "day":
            return len(self.columns) > MOST_COLUMNS or lanes > LANES[-1]
        return lanes > WEEK_LANES

    @property
    def width(self) -> str:
        """Whether it scrolls sideways: "wide" everywhere, "mid" in windows below 1280 pixels, "" never."""
        if len(self.columns) > NARROW:
            return "wide"
        needed = sum(lanes_drawn(column.lanes) * READABLE for column in self.columns)
        if needed > ROOM:
            return "wide"
        return "mid" if any(column.lanes > 1 for column in self.columns) else ""
