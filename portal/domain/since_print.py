"""What is different since a day sheet was printed: only that, each appointment once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.domain import calendar, day_prints, sheet_drawing
from portal.domain.calendar import Wish
from portal.domain.day_prints import Found
from portal.domain.sheet import Entry, Sheet
from portal.models import Appointment, AuditLog, DaySheetPrint, PortalUser, Staff

KINDS = ("new", "cancelled", "back", "moved", "status", "edited")


@dataclass(frozen=True)
class Was:
    """An appointment as it stands on the paper."""

    start: datetime
    end: datetime
    staff_id: int | None
    staff: str
    status: str
    arrived: bool


@dataclass(frozen=True)
class Change:
    """One appointment that is not as on the paper. ``fields``: service, customer or note, where they are others.

    ``away``: it has left the sheet for another "day", "person" or "branch"; "hidden" is a branch that the reader may
    not see, of which nothing is told.
    """

    kind: str
    entry: Entry
    was: Was | None = None
    fields: tuple[str, ...] = ()
    away: str = ""
    at: datetime | None = None
    by: str = ""

    @property
    def moved_in_time(self) -> bool:
        return self.was is not None and (self.was.start, self.was.end) != (self.entry.start, self.entry.end)

    @property
    def only_length(self) -> bool:
        """It begins as on the paper, with the same person, and only its end is another one."""
        began = self.was is not None and self.was.start == self.entry.start
        return began and self.moved_in_time and not self.moved_to_person and not self.away

    @property
    def moved_to_person(self) -> bool:
        return self.was is not None and self.was.staff_id != self.entry.staff_id

    @property
    def new_status(self) -> bool:
        return self.was is not None and (self.was.status, self.was.arrived) != (self.entry.status, self.entry.arrived)


@dataclass(frozen=True)
class Group:
    """A person's changes, by time; '' for appointments without a person."""

    name: str
    changes: list[Change]


@dataclass(frozen=True)
class Newer:
    code: str
    at: datetime


@dataclass(frozen=True)
class Since:
    """The answer to a code. ``unchanged``: the people whose part of the sheet is still right."""

    code: str
    day: date
    at: datetime
    by: str
    branch_id: int
    branch: str
    zone: str
    is_today: bool
    staff_id: int | None
    staff: str
    groups: list[Group]
    unchanged: list[str]
    newer: Newer | None

    @property
    def count(self) -> int:
        return sum(len(group.changes) for group in self.groups)

    @property
    def version(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


# ---- Reading ----------------------------------------------------------------------------------------------------


def since(found: Found, visible: list[int] | None, now: datetime) -> Since:
    """Compare the print with what stands there now."""
    row = found.row
    then = {each["id"]: each for each in row.snapshot["rows"]}
    sheet = calendar.sheet(Wish(day=row.date, branch_id=row.branch_id, visible=visible), now)
    assert sheet is not None  # the branch is there
    staff_id = row.snapshot["staff"]
    here = {entry.id: entry for entry in day_prints.entries_of(sheet) if staff_id in (None, entry.staff_id)}
    lost, places = _left([id_ for id_ in then if id_ not in here], visible, now)
    names = _names(sheet, row, lost)
    changes = _told(_changes(then, here, lost, places, names, row), row)
    return Since(
        code=row.code,
        day=row.date,
        at=row.created_at,
        by=found.by,
        branch_id=row.branch_id,
        branch=found.branch.name,
        zone=sheet.zone,
        is_today=sheet.today == row.date,
        staff_id=staff_id,
        staff=names.get(staff_id, "") if staff_id else "",
        groups=_groups(changes, names),
        unchanged=_unchanged(then.values(), changes, names),
        newer=_newer(row),
    )


def _left(ids: Sequence[int], visible: list[int] | None, now: datetime) -> tuple[dict[int, Entry], dict[int, int]]:
    """Appointments that are no longer on the sheet, and their branches; 0 for one that the reader may not see."""
    if not ids:
        return {}, {}
    rows = db.session.scalars(
        select(Appointment)
        .options(joinedload(Appointment.customer), joinedload(Appointment.service), joinedload(Appointment.staff))
        .where(Appointment.id.in_(ids))
    ).all()
    entries = {row.id: sheet_drawing.entry_of(row, now, set(), row.staff.name if row.staff else "") for row in rows}
    return entries, {row.id: row.branch_id if visible is None or row.branch_id in visible else 0 for row in rows}


def _names(sheet: Sheet, row: DaySheetPrint, lost: dict[int, Entry]) -> dict[int, str]:
    """Everybody who is or was on the sheet."""
    names = {person.id: person.name for person in sheet.people}
    wanted = {each["staff"] for each in row.snapshot["rows"]} | {row.snapshot["staff"]}
    wanted |= {entry.staff_id for entry in lost.values()}
    if missing := {staff_id for staff_id in wanted if staff_id} - set(names):
        names |= {person.id: person.name for person in db.session.scalars(select(Staff).where(Staff.id.in_(missing)))}
    return names


def _newer(row: DaySheetPrint) -> Newer | None:
    later = day_prints.of_day(row.branch_id, row.date)
    newest = next((each for each in later if each.snapshot["staff"] == row.snapshot["staff"]), row)
    return Newer(newest.code, newest.created_at) if newest.id > row.id else None


# ---- Comparing --------------------------------------------------------------------------------------------------


def _changes(
    then: dict[int, dict[str, Any]],
    here: dict[int, Entry],
    lost: dict[int, Entry],
    places: dict[int, int],
    names: dict[int, str],
    row: DaySheetPrint,
) -> list[Change]:
    added = [Change("new", entry) for id_, entry in here.items() if id_ not in then and entry.status != "cancelled"]
    stayed = [compare(then[id_], entry, names, row.code) for id_, entry in here.items() if id_ in then]
    left = [
        compare(then[id_], entry, names, row.code, away=_away(entry, places[id_], row)) for id_, entry in lost.items()
    ]
    return [*added, *(change for change in (*stayed, *left) if change is not None)]


def _away(entry: Entry, branch_id: int, row: DaySheetPrint) -> str:
    if branch_id != row.branch_id:
        return "branch" if branch_id else "hidden"
    staff_id = row.snapshot["staff"]
    return "person" if staff_id and entry.staff_id != staff_id else "day"


def compare(then: dict[str, Any], entry: Entry, names: dict[int, str], code: str, away: str = "") -> Change | None:
    """How the appointment differs from what stands on the paper; None where it does not matter."""
    was = Was(
        start=datetime.fromisoformat(then["start"]),
        end=datetime.fromisoformat(then["end"]),
        staff_id=then["staff"],
        staff=names.get(then["staff"], ""),
        status=then["status"],
        arrived=then["arrived"],
    )
    fields = _fields(then, entry, code)
    if away == "hidden":  # when and with whom is another branch's affair
        entry, fields = replace(entry, start=was.start, end=was.end, staff_id=was.staff_id, staff=was.staff), ()
    kind = _kind(Change("", entry, was, fields, away))
    return Change(kind, entry, was, fields, away if kind == "moved" else "") if kind else None


def _fields(then: dict[str, Any], entry: Entry, code: str) -> tuple[str, ...]:
    now = {
        "service": entry.service_id,
        "customer": entry.customer_id,
        "note": day_prints.note_mark(entry.note, code),
    }
    return tuple(name for name, value in now.items() if then[name] != value)


def _kind(change: Change) -> str:
    """What to say first: that nobody comes, that somebody does after all, when, how it stands, what for."""
    assert change.was is not None
    cancelled = change.entry.status == "cancelled"
    if cancelled or change.was.status == "cancelled":
        return "" if cancelled == (change.was.status == "cancelled") else "cancelled" if cancelled else "back"
    if change.moved_in_time or change.moved_to_person or change.away in ("branch", "hidden"):
        return "moved"
    if change.new_status:
        return "status"
    return "edited" if change.fields else ""


# ---- Telling ----------------------------------------------------------------------------------------------------


def _told(changes: list[Change], row: DaySheetPrint) -> list[Change]:
    """With the moment of the latest step since then, and who took it."""
    if not changes:
        return []
    steps = db.session.execute(
        select(AuditLog.model_id, AuditLog.created_at, PortalUser.name)
        .outerjoin(PortalUser, PortalUser.id == AuditLog.user_id)
        .where(
            AuditLog.model_type == Appointment.__tablename__,
            AuditLog.model_id.in_([change.entry.id for change in changes]),
            AuditLog.created_at >= row.created_at,
        )
        .order_by(AuditLog.created_at, AuditLog.id)
    )
    last = {model_id: (at, name or "") for model_id, at, name in steps}
    known = ((change, *last.get(change.entry.id, (None, ""))) for change in changes)
    return [replace(change, at=at, by=by) for change, at, by in known]


def _groups(changes: Iterable[Change], names: dict[int, str]) -> list[Group]:
    """By the person on whose part of the paper to look; new ones by who does it."""
    people: dict[int | None, list[Change]] = {}
    for change in sorted(changes, key=_place):
        people.setdefault(_whose(change), []).append(change)
    groups = [Group(names.get(staff_id or 0, ""), theirs) for staff_id, theirs in people.items()]
    return sorted(groups, key=lambda group: (not group.name, group.name.casefold()))


def _whose(change: Change) -> int | None:
    return change.entry.staff_id if change.was is None or not change.away else change.was.staff_id


def _place(change: Change) -> tuple[datetime, int]:
    start = change.was.start if change.was is not None and (change.away or change.kind == "cancelled") else None
    return start or change.entry.start, change.entry.id


def _unchanged(then: Iterable[dict[str, Any]], changes: Sequence[Change], names: dict[int, str]) -> list[str]:
    touched = {_whose(change) for change in changes}
    touched |= {change.was.staff_id for change in changes if change.was is not None}
    return sorted({names[each["staff"]] for each in then if each["staff"] in names and each["staff"] not in touched})
