"""Two people at one appointment: how it stands now beside what somebody else has typed, to choose from line by line.

The form carries how the appointment stood when it was opened (``was``), which says who has changed what. It only
decides what is chosen beforehand, so nothing is lost if a browser sends nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from portal import filters
from portal.db import db
from portal.domain import amounts
from portal.domain.discreet import initials
from portal.domain.slots import OPEN
from portal.forms.appointments import NEW_CUSTOMER, MoveForm, row_id
from portal.models import Appointment, Customer
from portal.permissions import Permission, may
from portal.views import booking_desk
from portal.views.booking_desk import Desk

Values = dict[str, str]
# What is chosen together → the fields that it is made of.
LINES = {
    "customer": ("customer", "new_name", "new_phone", "new_email"),
    "service": ("service",),
    "staff": ("staff",),
    "branch": ("branch",),
    "when": ("date", "time", "coming"),
    "until": ("until",),
    "price": ("price",),
    "notes": ("notes",),
}
FIELDS = tuple(name for names in LINES.values() for name in names)


@dataclass(frozen=True)
class Difference:
    """One line of the comparison, in words. ``takes_mine``: what is chosen beforehand."""

    name: str
    label: str
    theirs: str
    mine: str
    takes_mine: bool


@dataclass(frozen=True)
class Wished:
    """What somebody wanted of an appointment that had changed meanwhile: a line, how it stands now, what was wanted."""

    label: str
    now: str
    mine: str


def wished_status(row: Appointment, action: str) -> list[Wished]:
    """A tap on an older state. ``row`` with its people, as it stands now."""
    deeds = {
        "confirm": _("Confirmed"),
        "arrived": _("Arrived"),
        "completed": _("Completed"),
        "no_show": _("No-show"),
        "back": _("Take back"),
    }
    return [Wished(_("Status"), _status(row), deeds.get(action, action))]


def wished_cancellation(row: Appointment, reason: str) -> list[Wished]:
    reasons = {
        "customer": _("The customer has cancelled"),
        "staff": _("The staff member is not available"),
        "double": _("Booked twice"),
    }
    wanted = ", ".join(filter(None, (_("Cancelled"), reasons.get(reason, reason))))
    return [Wished(_("When"), _time_of(row), _time_of(row)), Wished(_("Status"), _status(row), wanted)]


def wished_move(row: Appointment, form: MoveForm) -> list[Wished]:
    staff = form.staff.choices.get(form.staff.data, _("Still open"))
    wanted = f"{filters.weekday_day(form.date.data)}, {form.time.data:%H:%M}"
    found = [
        Wished(_("When"), _time_of(row), wanted),
        Wished(_("Booked with"), row.staff.name if row.staff else _("Still open"), staff),
    ]
    return found if row.status in OPEN else [*found, Wished(_("Status"), _status(row), "")]


def _time_of(row: Appointment) -> str:
    return ", ".join((filters.weekday_day(row.start_time), filters.clock_span(row.start_time, row.end_time)))


def _status(row: Appointment) -> str:
    if row.arrived_at and row.status in OPEN:
        return str(_("Arrived"))
    known: dict[str, str] = {
        "scheduled": _("Scheduled"),
        "confirmed": _("Confirmed"),
        "completed": _("Completed"),
        "cancelled": _("Cancelled"),
        "no_show": _("No-show"),
    }
    return known[row.status]


# ---- Editing ----------------------------------------------------------------------------------------------------


def remember(row: Appointment) -> str:
    """How the appointment stands, for the form to carry along."""
    return json.dumps(_theirs(row))


def resolved(posted: MultiDict[str, str], row: Appointment) -> MultiDict[str, str]:
    """What was sent, with the lines of the present version that were chosen in its place."""
    if posted.get("resolve") not in ("picked", "form"):
        return posted
    theirs, merged = _theirs(row), posted.to_dict()
    for line, names in LINES.items():
        if posted.get(f"pick_{line}") == "theirs":
            merged |= {name: theirs[name] for name in names}
    return MultiDict(merged)


def differences(desk: Desk, row: Appointment) -> list[Difference]:
    """Where the form says something else than the appointment as it stands now."""
    theirs, mine, was = _theirs(row), typed(desk), _was(desk)
    names = _names(theirs["customer"], mine["customer"])
    return [
        Difference(
            name=line,
            label=_label(line, desk),
            theirs=_words(line, theirs, desk, names),
            mine=_words(line, mine, desk, names),
            takes_mine=was is None or not _same(line, mine, was),
        )
        for line in LINES
        if not _same(line, mine, theirs)
    ]


def typed(desk: Desk) -> Values:
    """What stands in the form, also where it cannot be read."""
    return {name: _text(desk.form[name].data, _raw(desk.form[name])) for name in FIELDS}


def _theirs(row: Appointment) -> Values:
    values = booking_desk.given(row)
    return {name: _text(values.get(name)) for name in FIELDS}


def _was(desk: Desk) -> Values | None:
    """How the appointment stood when the form was opened; None where the form does not say."""
    try:
        known = json.loads(desk.form.was.data or "")
    except ValueError:
        return None
    return {name: str(known.get(name, "")) for name in FIELDS} if isinstance(known, dict) else None


def _raw(field: Any) -> str:
    return str(next(iter(field.raw_data or ()), ""))


def _text(value: Any, otherwise: str = "") -> str:
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, date):
        return value.isoformat()
    return otherwise if value is None else str(value).replace("\r\n", "\n").strip()


def _same(line: str, some: Values, others: Values) -> bool:
    return list(_compared(line, some)) == list(_compared(line, others))


def _compared(line: str, values: Values) -> Iterator[str]:
    for name in LINES[line]:
        yield _euros(values[name]) if name == "price" else values[name]


def _euros(text: str) -> str:
    try:
        return str(amounts.parse(text)) if text else ""
    except amounts.AmountError:
        return text


# ---- In words ---------------------------------------------------------------------------------------------------


def _label(line: str, desk: Desk) -> str:
    return _("When") if line == "when" else str(desk.form[line].label.text)


def _words(line: str, values: Values, desk: Desk, names: Mapping[str, str]) -> str:
    value = values.get(line, "")
    if line == "customer":
        new = " ".join(filter(None, (values["new_name"], values["new_phone"], values["new_email"])))
        return _("New customer: %(who)s", who=new) if value == NEW_CUSTOMER else names.get(value, "–")
    if line == "when":
        return _when(values, desk)
    if line == "price":
        return _price(value)
    if line == "until":
        return value or _("as the service says")
    if line == "notes":
        return value or "–"
    return next((label for key, label in desk.form[line].choices.items() if str(key) == value), "–")


def _when(values: Values, desk: Desk) -> str:
    try:
        day = filters.weekday_day(date.fromisoformat(values["date"]))
    except ValueError:
        day = values["date"]
    coming = next((str(choice.label) for choice in desk.form.coming.choices if choice.value == values["coming"]), "")
    return ", ".join(filter(None, (day, values["time"], coming)))


def _price(text: str) -> str:
    try:
        return filters.money(amounts.parse(text)) if text else _("as the service says")
    except amounts.AmountError:
        return text


def _names(*customers: str) -> dict[str, str]:
    """The names of these customers, by the ids that stand in the form; initials for who may not know them."""
    found = {text: db.session.get(Customer, row_id(text)) for text in customers if row_id(text) is not None}
    known = {text: row.full_name or "" for text, row in found.items() if row is not None}
    seen = known if may(Permission.VIEW_CUSTOMERS) else {text: initials(name) for text, name in known.items()}
    return {text: name or _("Unknown customer") for text, name in seen.items()}
