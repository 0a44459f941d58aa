"""The next free times behind the form of an appointment: listed, paged through, and taken over into its fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import request, url_for
from werkzeug.datastructures import MultiDict

from portal.db import utcnow
from portal.domain import booking_rules, free_times, timetable
from portal.domain.free_times import Found, FreeTime
from portal.forms.appointments import row_id
from portal.views.addresses import day_of

if TYPE_CHECKING:
    from portal.views.booking_desk import Desk

LAST = int(datetime(2099, 12, 31, tzinfo=UTC).timestamp())  # what the form's day can be
A_DAY = 4  # choices; all times of a day are shown once a person is chosen


@dataclass(frozen=True)
class Choice:
    """A free time. ``value`` is what a form sends, ``href`` opens a form; ``outside``: only the desk may book it."""

    start: datetime
    who: str
    value: str
    href: str
    outside: bool


@dataclass(frozen=True)
class NextTimes:
    """A few times of each day. ``on_day``: all of the chosen person on the chosen day, as values of the form.

    ``later`` and ``more`` are where the list goes on, as a day and as an address; ``since`` is where it was to begin.
    """

    on_day: list[tuple[str, datetime]]
    days: list[tuple[date, list[Choice]]]
    later: date | None
    more: str
    since: date | None
    with_names: bool

    @property
    def outside(self) -> bool:
        return any(choice.outside for _, choices in self.days for choice in choices)


def of(desk: Desk) -> NextTimes | None:
    """What comes next for the service, the branch and, if chosen, the person; None without service and person."""
    form, zone = desk.form, timetable.zone_of(desk.branch)
    if desk.service is None and form.staff.data is None:
        return None
    since = day_of(request.values.get("later"))
    chosen = form.date.data if form.staff.data and not since else None
    found = _search(desk, since)
    on_day = [time.start for day in found.days if day.day == chosen for time in day.times]
    return NextTimes(
        on_day=[(slot_value(start, zone), start) for start in on_day],
        days=[
            (day.day, [_choice(time, found, desk) for time in _spread(day.times)])
            for day in found.days
            if day.day != chosen
        ],
        later=found.later,
        more=_address("appointments.free_times", desk, staff=form.staff.data, later=found.later),
        since=since,
        with_names=form.staff.data is None,
    )


def _search(desk: Desk, since: date | None) -> Found:
    form = desk.form
    return free_times.search(
        desk.branch,
        desk.service,
        utcnow(),
        start=since or form.date.data,
        staff_id=form.staff.data,
        among={value: name for value, name in form.staff.choices.items() if value},
        length=desk.length,
        but=desk.row.id if desk.row else None,
    )


def slot_value(start: datetime, zone: ZoneInfo) -> str:
    """``10:15``; ``02:30/2`` for the second coming of a doubled time."""
    local = start.astimezone(zone)
    clock = local.time().replace(fold=0, tzinfo=None)
    return (
        f"{clock:%H:%M}/{local.fold + 1}" if booking_rules.comes_twice(zone, local.date(), clock) else f"{clock:%H:%M}"
    )


def take(desk: Desk) -> bool:
    """Put a time that was clicked into the fields. Whether a list was used at all: then nothing is to be saved yet."""
    text, _, staff_id = request.form.get("take", "").partition("-")
    at = row_id(text)
    if at is not None and at <= LAST:
        zone = timetable.zone_of(desk.branch)
        start = datetime.fromtimestamp(at, UTC)
        slot = slot_value(start, zone)
        fields = {"date": start.astimezone(zone).date().isoformat(), "staff": staff_id, "slot": slot}
        for name, text in fields.items():
            desk.form[name].process(MultiDict({desk.form[name].name: text}))
        desk.form.take_slot()
    return "take" in request.form or "later" in request.form


def _choice(time: FreeTime, found: Found, desk: Desk) -> Choice:
    staff_id, zone = time.staff_ids[0], timetable.zone_of(desk.branch)
    clock, _, coming = slot_value(time.start, zone).partition("/")
    day = time.start.astimezone(zone).date().isoformat()
    return Choice(
        start=time.start,
        who=found.names[staff_id],
        value=f"{int(time.start.timestamp())}-{staff_id}",
        href=_address("appointments.new", desk, staff=staff_id, date=day, time=clock, coming=coming or None),
        outside=found.limits is not None and not found.limits.hold(time.start),
    )


def _spread(times: list[FreeTime]) -> list[FreeTime]:
    """A few of them over the whole day, the first and the last among them."""
    if len(times) <= A_DAY:
        return times
    return [times[place * (len(times) - 1) // (A_DAY - 1)] for place in range(A_DAY)]


def _address(endpoint: str, desk: Desk, **values: Any) -> str:
    asked: dict[str, Any] = {name: request.args.get(name) or None for name in ("customer", "call")}
    return url_for(endpoint, branch=desk.branch.id, service=desk.form.service.data, **asked, **values)
