"""When people are away: what is entered here, and what Cal.com has told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import joinedload

from portal.db import db, rows_changed
from portal.domain import audit, availability
from portal.domain.errors import Conflict, DomainError
from portal.domain.hours import ChangedMeanwhile
from portal.domain.slots import LONGEST as LONGEST_APPOINTMENT
from portal.domain.slots import OPEN
from portal.domain.stats import company_zone
from portal.models import Appointment, Branch, Staff, StaffAbsence
from portal.tenancy import current_company_id

KINDS = ("vacation", "sick", "training", "other")
LONGEST = timedelta(days=3 * 366)
MOST_SHOWN = 50  # appointments of one absence
PAGE = 25
NOTE_LENGTH = 255
YEARS, MOST_DIGITS = range(1970, 3000), 19
MIDNIGHT = time(0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Reader:
    """Who looks: ``manages`` the people of the branches ``visible`` (None: all), else sees their own absences."""

    manages: bool
    visible: list[int] | None
    staff_id: int | None

    def staff(self) -> ColumnElement[bool]:
        """Whose absences they see."""
        if not self.manages:
            return Staff.id == (self.staff_id or 0)
        if self.visible is None:
            return Staff.id.is_not(None)
        return or_(Staff.branch_id.in_(self.visible), Staff.branch_id.is_(None))


@dataclass(frozen=True)
class Line:
    """An absence with its person; local days and times in the zone of the person's branch."""

    row: StaffAbsence
    person: Staff
    zone: ZoneInfo
    appointments: int = 0

    @property
    def first(self) -> date:
        return self.row.starts_at.astimezone(self.zone).date()

    @property
    def last(self) -> date:
        return (self.row.ends_at - timedelta(microseconds=1)).astimezone(self.zone).date()

    @property
    def times(self) -> tuple[time, time] | None:
        """From when until when, local; None for whole days."""
        start, end = (moment.astimezone(self.zone).time() for moment in (self.row.starts_at, self.row.ends_at))
        return None if (start, end) == (MIDNIGHT, MIDNIGHT) else (start, end)

    @property
    def is_foreign(self) -> bool:
        return self.row.external_id is not None


@dataclass(frozen=True)
class Page:
    """Some lines; ``after`` is where the next page begins."""

    lines: list[Line]
    after: str | None


@dataclass(frozen=True)
class Wish:
    """An absence as it is entered. Without ``start`` and ``until`` whole local days, the last one included.

    ``until`` 00:00 is the end of the last day.
    """

    staff_id: int
    first: date
    last: date
    start: time | None
    until: time | None
    kind: str
    note: str | None


# ---- Reading ----------------------------------------------------------------------------------------------------


def page(reader: Reader, now: datetime, staff_id: int | None, is_past: bool, after: str | None) -> Page:
    """One page, what comes next first, or what is over, the latest first."""
    query = _query(reader).where(StaffAbsence.ends_at <= now if is_past else StaffAbsence.ends_at > now)
    if staff_id is not None:
        query = query.where(StaffAbsence.staff_id == staff_id)
    if mark := _mark(after):
        at, last_id = mark
        same = and_(StaffAbsence.starts_at == at, StaffAbsence.id < last_id if is_past else StaffAbsence.id > last_id)
        further = StaffAbsence.starts_at < at if is_past else StaffAbsence.starts_at > at
        query = query.where(or_(further, same))
    found = db.session.execute(query.order_by(*_order(is_past)).limit(PAGE + 1)).all()
    lines = _lines(found[:PAGE])
    last = found[PAGE - 1][0] if len(found) > PAGE else None
    return Page(lines, f"{last.starts_at.isoformat()}_{last.id}" if last is not None else None)


def find(reader: Reader, absence_id: int) -> Line | None:
    """One absence that the reader may see."""
    found = db.session.execute(_query(reader).where(StaffAbsence.id == absence_id)).all()
    return next(iter(_lines(found)), None)


def people(reader: Reader) -> list[Staff]:
    """Whose absences the reader sees."""
    query = select(Staff).where(reader.staff(), Staff.is_active)
    return list(db.session.scalars(query.order_by(Staff.first_name, Staff.last_name, Staff.id)))


def appointments_in(row: StaffAbsence) -> list[Appointment]:
    """Open appointments that the absence touches, at most :data:`MOST_SHOWN`; by start."""
    loaded = (joinedload(Appointment.customer), joinedload(Appointment.staff), joinedload(Appointment.service))
    return list(
        db.session.scalars(
            select(Appointment)
            .join(StaffAbsence, _touches([row]))
            .where(StaffAbsence.id == row.id)
            .options(*loaded)
            .order_by(Appointment.start_time, Appointment.id)
            .limit(MOST_SHOWN)
        )
    )


def digest(row: StaffAbsence) -> str:
    """Changes with whatever a person can change."""
    values = (row.staff_id, row.starts_at.astimezone(UTC), row.ends_at.astimezone(UTC), row.kind, row.note)
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _query(reader: Reader) -> Any:
    return (
        select(StaffAbsence, Staff, Branch.timezone)
        .join(Staff, Staff.id == StaffAbsence.staff_id)
        .outerjoin(Branch, Branch.id == Staff.branch_id)
        .where(reader.staff())
    )


def _order(is_past: bool) -> list[Any]:
    columns = (StaffAbsence.starts_at, StaffAbsence.id)
    return [column.desc() if is_past else column.asc() for column in columns]


def _mark(after: str | None) -> tuple[datetime, int] | None:
    """Where a page begins; the first one for what is no mark."""
    at, _sep, number = (after or "").partition("_")
    try:
        moment = datetime.fromisoformat(at)
        # Also what no database could hold is no mark.
        known = moment.tzinfo is not None and moment.year in YEARS and len(number) < MOST_DIGITS
        return (moment, int(number)) if known else None
    except ValueError:
        return None


def _lines(found: Sequence[Any]) -> list[Line]:
    counts = _counts([row for row, _person, _zone in found])
    default = company_zone() if any(zone is None for _row, _person, zone in found) else ""
    return [Line(row, person, ZoneInfo(zone or default), counts.get(row.id, 0)) for row, person, zone in found]


def _counts(rows: list[StaffAbsence]) -> dict[int, int]:
    if not rows:
        return {}
    query = select(StaffAbsence.id, func.count(Appointment.id)).join(Appointment, _touches(rows))
    ids = [row.id for row in rows]
    found = db.session.execute(query.where(StaffAbsence.id.in_(ids)).group_by(StaffAbsence.id))
    return {row[0]: row[1] for row in found}


def _touches(rows: list[StaffAbsence]) -> ColumnElement[bool]:
    """Which appointments lie in an absence; ``rows`` bound what has to be looked through."""
    return and_(
        Appointment.staff_id == StaffAbsence.staff_id,
        Appointment.status.in_(OPEN),
        Appointment.start_time > min(row.starts_at for row in rows) - LONGEST_APPOINTMENT,
        Appointment.start_time < StaffAbsence.ends_at,
        Appointment.end_time > StaffAbsence.starts_at,
    )


# ---- Changing ---------------------------------------------------------------------------------------------------


def zone_of(person: Staff) -> ZoneInfo:
    """The zone of the person's branch, else the company's."""
    zone = db.session.scalar(select(Branch.timezone).where(Branch.id == person.branch_id)) if person.branch_id else None
    return ZoneInfo(zone or company_zone())


def span_of(wish: Wish, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end in UTC; raises ``DomainError`` beside the field that is wrong."""
    if wish.last < wish.first:
        raise DomainError(_("The last day lies before the first."), "last")
    if (wish.start is None) != (wish.until is None):
        raise DomainError(_("Please enter both times, or none for whole days."), "start" if wish.until else "until")
    if wish.start is None or wish.until is None:
        start = availability.local_instant(wish.first, MIDNIGHT, zone)
        end = availability.local_instant(wish.last + DAY, MIDNIGHT, zone)
    else:
        start = availability.local_instant(wish.first, wish.start, zone)
        to_midnight = wish.until == MIDNIGHT  # the one that ends the day
        end = availability.local_instant(wish.last + to_midnight * DAY, wish.until, zone, last=not to_midnight)
    if end <= start:
        raise DomainError(_("The end lies before the start."), "until")
    if end - start > LONGEST:
        raise DomainError(_("Please enter three years at most."), "last")
    return start, end


def add(reader: Reader, wish: Wish) -> StaffAbsence:
    """Enter an absence of somebody whom the reader manages."""
    row = StaffAbsence(company_id=current_company_id())
    _fill(reader, row, wish)
    db.session.add(row)
    db.session.flush()
    audit.record("absence.added", row, new=_values(row))
    return row


def change(reader: Reader, absence_id: int, wish: Wish, shown: str) -> StaffAbsence:
    """Change what was shown as ``shown``; what Cal.com has told is changed there."""
    row = _claim(absence_id, shown)
    if row.external_id is not None:
        raise DomainError(_("This absence comes from Cal.com. Please change it there."))
    old, noted = _values(row), row.note
    _fill(reader, row, wish)
    db.session.flush()
    new = _values(row) | ({"note": "changed"} if row.note != noted else {})
    if old != new:
        audit.record("absence.changed", row, old=old, new=new)
    return row


def delete(absence_id: int, shown: str, knowingly: bool) -> None:
    """Delete it; what Cal.com has told only by somebody who knows that it stays there."""
    row = _claim(absence_id, shown)
    if row.external_id is not None and not knowingly:
        raise DomainError(_("Please tick that you know what that means."), "knowingly")
    audit.record("absence.deleted", row, old=_values(row))
    db.session.delete(row)
    db.session.flush()


def _claim(absence_id: int, shown: str) -> StaffAbsence:
    # Written first, so that two people who save at once meet.
    same = StaffAbsence.updated_at
    if not rows_changed(update(StaffAbsence).where(StaffAbsence.id == absence_id).values(updated_at=same)):
        raise Conflict(_("Somebody else has deleted this meanwhile."))
    row = db.session.get_one(StaffAbsence, absence_id, populate_existing=True)
    if digest(row) != shown:
        raise ChangedMeanwhile
    return row


def _fill(reader: Reader, row: StaffAbsence, wish: Wish) -> None:
    person = db.session.scalar(select(Staff).where(Staff.id == wish.staff_id, reader.staff()))
    if person is None or not reader.manages:
        raise DomainError(_("Please choose somebody from the list."), "staff")
    row.staff_id = person.id
    row.starts_at, row.ends_at = span_of(wish, zone_of(person))
    row.kind, row.note = wish.kind, wish.note


def _values(row: StaffAbsence) -> dict[str, Any]:
    """For the audit trail; without the note, which may speak of somebody's health."""
    told = {"staff_id": row.staff_id, "kind": row.kind}
    return told | {"starts_at": row.starts_at.isoformat(), "ends_at": row.ends_at.isoformat()}
