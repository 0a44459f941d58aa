"""Forms of appointments: booking, editing, moving, cancelling. What may be booked is decided in the domain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    HiddenField,
    RadioField,
    SelectField,
    StringField,
    TelField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from portal.domain import amounts
from portal.domain.appointments import REASON_LENGTH
from portal.models import Branch, Service, Staff

NEW_CUSTOMER = "new"
DAY_FORMATS = ["%Y-%m-%d", "%d.%m.%Y"]
TIME_FORMATS = ["%H:%M", "%H:%M:%S"]
OTHER = "other"
WALK_IN = "walk_in"
MOST_MINUTES = 7 * 24 * 60  # more than any rule allows, and within reach of the clocks
YEARS = range(2000, 2100)
HIGHEST_ID = 2**63  # no database has more; SQLite's driver fails on them


def number_or_none(value: Any) -> int | None:
    """An id from a form; None for an empty choice. Anything else is no choice at all."""
    if value in (None, "", "None"):
        return None
    return int(value)


def row_id(text: str | None) -> int | None:
    """An id as it stands in an address or a form; None for what can be none."""
    text = text or ""
    is_number = text.isascii() and text.isdecimal() and len(text) < 20
    return int(text) if is_number and int(text) < HIGHEST_ID else None


def shown(version: HiddenField) -> int:
    """The version that the person saw. A form that does not say counts as overtaken: 0 is no version."""
    return row_id(str(next(iter(version.raw_data or ()), ""))) or 0


class DayField(DateField):
    """A day of the calendar's years; others would be out of reach of the clocks."""

    data: date | None

    def process_formdata(self, valuelist: list[Any]) -> None:
        super().process_formdata(valuelist)
        if self.data is not None and self.data.year not in YEARS:
            self.data = None
            raise ValueError(_("Please choose a day between 2000 and 2099."))


class WhenForm(FlaskForm):
    """Day and time, and what it takes to book over somebody else."""

    date = DayField(_l("Day"), [InputRequired(_l("Please choose a day."))], format=DAY_FORMATS)
    time = TimeField(_l("Start"), [InputRequired(_l("Please enter a time."))], format=TIME_FORMATS)
    coming = RadioField(
        _l("Which of the two?"),
        choices=[
            SelectChoice("1", _l("before the clocks go back")),
            SelectChoice("2", _l("after the clocks have gone back")),
        ],
        validate_choice=False,
    )
    force = BooleanField(_l("I know, and book it all the same"))
    reason = TextAreaField(_l("Reason"), [Optional(), Length(max=REASON_LENGTH)])
    tell = BooleanField(_l("Tell the customer by e-mail"), default=True)
    version = HiddenField()

    @property
    def shown_version(self) -> int:
        return shown(self.version)


class MoveForm(WhenForm):
    """Another time, another person; ``minutes`` is another length."""

    staff = SelectField(_l("Booked with"), coerce=number_or_none)
    minutes = HiddenField()

    @property
    def length(self) -> timedelta | None:
        """How long it is to be; None keeps the length."""
        minutes = row_id(self.minutes.data)
        return timedelta(minutes=min(minutes, MOST_MINUTES)) if minutes else None

    def validate_time(self, field: TimeField) -> None:
        if self.minutes.data and self.length is None:
            raise ValidationError(_("The end lies before the start. Please enter a later end."))


class AppointmentForm(WhenForm):
    """A new appointment, or one to be edited. ``customer`` is an id, or ``new`` for the three fields below it."""

    q = StringField(_l("Name or number"), [Length(max=100)])
    customer = StringField(_l("Customer"), [Length(max=20)])
    new_name = StringField(_l("Name"), [Optional(), Length(max=200)])
    new_phone = TelField(_l("Phone"), [Optional(), Length(max=50)])
    new_email = EmailField(_l("E-mail"), [Optional(), Length(max=255)])
    branch = SelectField(_l("Branch"), coerce=number_or_none)
    service = SelectField(_l("Service"), coerce=number_or_none)
    staff = SelectField(_l("Booked with"), coerce=number_or_none)
    until = TimeField(_l("End"), [Optional()], format=TIME_FORMATS)
    slot = StringField(_l("Free times"), [Length(max=7)])
    price = StringField(_l("Price"), [Length(max=20)])
    notes = TextAreaField(_l("Note"), [Length(max=5000)])
    call = HiddenField()
    source = RadioField(
        _l("How was it booked?"),
        choices=[
            SelectChoice("admin", _l("At the desk")),
            SelectChoice("phone", _l("By phone")),
            SelectChoice("walk_in", _l("Walked in")),
            SelectChoice("web", _l("Online")),
        ],
        default="admin",
    )
    was = HiddenField()  # how the appointment stood when the form was opened: see views/appointment_versions.py

    def offer(self, branches: Iterable[Branch], staff: Iterable[Staff], services: Iterable[Service]) -> None:
        """What there is to choose from. Everything else is refused like an id that does not exist."""
        self.branch.choices = {branch.id: branch.name for branch in branches}
        self.service.choices = {"": _("Please choose")} | {each.id: _with_length(each) for each in services}
        self.staff.choices = {"": _("Still open")} | {person.id: person.name for person in staff}

    def take_slot(self) -> None:
        """A chosen free time counts as the typed one."""
        if self.slot.data and self.slot.data != OTHER:
            clock, _sep, coming = self.slot.data.partition("/")
            self.time.process(MultiDict({self.time.name: clock}))
            self.coming.process(MultiDict({self.coming.name: coming}))
            self.until.process(MultiDict({self.until.name: ""}))

    def take_now(self, now: datetime) -> None:
        """Who has just walked in is booked for now (a local time), unless a time is typed."""
        if self.source.data == WALK_IN and not any(self.time.raw_data or ()):
            start = now.replace(minute=now.minute - now.minute % 5)
            self.date.process(MultiDict({self.date.name: start.date().isoformat()}))
            self.time.process(MultiDict({self.time.name: f"{start:%H:%M}"}))
            if start.replace(fold=0).utcoffset() != start.replace(fold=1).utcoffset():
                self.coming.process(MultiDict({self.coming.name: str(start.fold + 1)}))

    def validate_service(self, field: SelectField) -> None:
        if field.data is None and not self.until.data:
            raise ValidationError(_("Without a service the length is unknown. Please choose one, or enter an end."))

    def validate_customer(self, field: StringField) -> None:
        if field.data == NEW_CUSTOMER:
            if not (self.new_name.data or self.new_phone.data):
                raise ValidationError(_("Please enter at least a name or a number."))
        elif row_id(field.data) is None:
            raise ValidationError(_("Please choose a customer."))

    def validate_new_email(self, field: EmailField) -> None:
        if field.data and "@" not in field.data:
            raise ValidationError(_("Please enter a complete e-mail address."))

    def validate_price(self, field: StringField) -> None:
        if field.data:
            try:
                amounts.parse(field.data)
            except amounts.AmountError as error:
                raise ValidationError(error.message) from error


def _with_length(service: Service) -> str:
    return str(_("%(service)s, %(minutes)s min.", service=service.name, minutes=service.duration_minutes))


class CancelForm(FlaskForm):
    """Why an appointment is cancelled: one of the usual reasons, or words of one's own."""

    reason = RadioField(_l("Reason"), validate_choice=False)
    words = StringField(_l("In your own words"), [Length(max=REASON_LENGTH)])
    tell = BooleanField(_l("Tell the customer by e-mail"), default=True)
    version = HiddenField()

    @property
    def why(self) -> str:
        """A key of the usual reasons, or free words; '' when nothing was said."""
        words = (self.words.data or "").strip()
        if self.reason.data in (None, "", OTHER):
            return words
        return str(self.reason.data)

    @property
    def shown_version(self) -> int:
        return shown(self.version)
