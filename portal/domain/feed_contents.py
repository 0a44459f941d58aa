"""What stands in a calendar feed: the appointments of a window around today, as their reader may see them.

The window keeps the cost of a fetch the same however long a company has been here. Programs ask every hour and mostly
nothing has changed, so that is found out with one look (:func:`state`) before anything is read or written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _
from icalendar import Event
from sqlalchemy import ColumnElement, Row, Select, func, select

from portal.db import db
from portal.domain import ical
from portal.domain.feeds import Extent
from portal.domain.slots import LONGEST
from portal.models import Appointment, Customer, Service, Staff

BACK, AHEAD = timedelta(days=30), timedelta(days=180)
REFRESH = timedelta(hours=1)
MOST_EVENTS = 5000  # the latest ones of a busier branch come into the feed as time goes on
FORMAT = "1"  # to be raised when the same appointments are written in another way


@dataclass(frozen=True)
class Contents:
    """A feed as it is to be written. ``names``: whether the reader may know who comes."""

    extent: Extent
    names: bool
    base_url: str
    now: datetime

    @property
    def first(self) -> datetime:
        """Where the window begins: at a midnight (UTC), so that it moves once a day."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) - BACK

    @property
    def last(self) -> datetime:
        return self.first + BACK + AHEAD


@dataclass(frozen=True)
class State:
    """How the feed stands: the same ``tag`` means the same file."""

    tag: str
    changed_at: datetime


def state(contents: Contents) -> State:
    """One look at everything that the file is made of."""
    count, ids, versions, *times = db.session.execute(
        _within(
            contents,
            func.count(Appointment.id),
            func.sum(Appointment.id),
            func.sum(Appointment.version),
            *(func.max(model.updated_at) for model in (Appointment, Customer, Service, Staff)),
        )
    ).one()
    times += [branch.updated_at for branch in contents.extent.branches.values()]
    extent = contents.extent
    whole = (
        *(FORMAT, str(get_locale()), contents.base_url, contents.names, contents.first),
        *(extent.name, extent.zone, sorted(extent.branches), extent.staff and extent.staff.id),
        *(int(count), int(ids or 0), int(versions or 0), times),
    )
    tag = hashlib.sha256(repr(whole).encode()).hexdigest()[:32]
    today = contents.first + BACK
    return State(tag, max(moment for moment in (*times, today) if moment is not None))


def write(contents: Contents) -> bytes:
    """The file."""
    query = _within(
        contents,
        *(Appointment.id, Appointment.ical_sequence, Appointment.status, Appointment.branch_id, Appointment.title),
        *(Appointment.start_time, Appointment.end_time, Appointment.updated_at),
        *(Customer.full_name, Customer.erased_at, Service.name.label("service")),
        *(Staff.display_name, Staff.first_name, Staff.last_name),
    )
    rows = db.session.execute(query.order_by(Appointment.start_time, Appointment.id).limit(MOST_EVENTS)).all()
    extent = contents.extent
    return ical.calendar(_events(rows, contents), name=extent.name, zone=extent.zone, refresh=REFRESH)


def _within(contents: Contents, *columns: Any) -> Select[Any]:
    """The columns of the feed's appointments; cancelled ones are among them, so that programs take them out."""
    extent = contents.extent
    mine: list[ColumnElement[bool]] = [Appointment.branch_id.in_(extent.branches)]
    if extent.staff:
        mine.append(Appointment.staff_id == extent.staff.id)
    return (
        select(*columns)
        .select_from(Appointment)
        .join(Customer, Customer.id == Appointment.customer_id)
        .outerjoin(Service, Service.id == Appointment.service_id)
        .outerjoin(Staff, Staff.id == Appointment.staff_id)
        .where(
            *mine,
            Appointment.start_time > contents.first - LONGEST,
            Appointment.start_time < contents.last,
            Appointment.end_time > contents.first,
        )
    )


def _events(rows: Any, contents: Contents) -> Iterator[Event]:
    host = ical.host_of(contents.base_url)
    places = {branch.id: ical.place(branch) for branch in contents.extent.branches.values()}
    words = _status_words()
    for row in rows:
        visit = ical.Visit(
            id=row.id,
            sequence=row.ical_sequence,
            status=row.status,
            start=row.start_time,
            end=row.end_time,
            changed_at=row.updated_at,
            summary=_summary(row, contents),
            location=places[row.branch_id],
            description=words[row.status],
            url=f"{contents.base_url}/appointments/{row.id}",
        )
        yield ical.event(visit, host)


def _summary(row: Row[Any], contents: Contents) -> str:
    """``Aylin Demir · Haircut``, with the staff member where the feed is everybody's; without the name if need be."""
    who = row.full_name if contents.names and row.erased_at is None else None
    # A title may be a provider's, with the customer's name in it.
    what = row.service or (row.title if contents.names else None)
    text = " · ".join(part for part in (who, what) if part) or str(_("Appointment"))
    if contents.extent.staff is None and row.first_name is not None:
        text = f"{row.display_name or f'{row.first_name} {row.last_name}'}: {text}"
    # Not every program shows the status of an event.
    return _("Cancelled: %(what)s", what=text) if row.status == "cancelled" else text


def _status_words() -> dict[str, str]:
    return {
        "scheduled": _("Scheduled"),
        "confirmed": _("Confirmed"),
        "completed": _("Completed"),
        "cancelled": _("Cancelled"),
        "no_show": _("No-show"),
    }
