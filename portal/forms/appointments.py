"""Forms of appointments: booking, editing, moving, cancelling. What may be booked is decided in the domain."""

from __future__ import annotations

from collections.abc import Iterable
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
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from portal.domain import amounts
from portal.domain.appointments import REASON_LENGTH
from portal.models import Branch, Service, Staff

NEW_CUSTOMER = "new"
DAY_FORMATS = ["%Y-%m-%d", "%d.%m.%Y"]
TIME_FORMATS = ["%H:%M", "%H:%M:%S"]
OTHER = "other"


def number_or_none(value: Any) -> int | None:
    """An id from a form; None for an empty choice. Anything else is no choice at all."""
    if value in (None, "", "None"):
        return None
    return int(value)


class WhenForm(FlaskForm):
    """Day and time, and what it takes to book over somebody else."""

    date = DateField(_l("Day"), [InputRequired(_l("Please choose a day."))], format=DAY_FORMATS)
    time = TimeField(_l("Start"), [InputRequired(_l("Please enter a time."))], format=TIME_FORMATS)
    force = BooleanField(_l("I know, and book it all the same"))
    reason = TextAreaField(_l("Reason"), [Optional(), Length(max=REASON_LENGTH)])
    version = HiddenField()

    @property
    def shown_version(self) -> int | None:
        """The version that the person saw; None where the form does not say."""
        return int(self.version.data) if str(self.version.data or "").isdecimal() else None


class MoveForm(WhenForm):
    staff = SelectField(_l("Booked with"), coerce=number_or_none)


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
    slot = StringField(_l("Free times"), [Length(max=5)])
    price = StringField(_l("Price"), [Length(max=20)])
    notes = TextAreaField(_l("Note"), [Length(max=5000)])
    call = HiddenField()

    def offer(self, branches: Iterable[Branch], staff: Iterable[Staff], services: Iterable[Service]) -> None:
        """What there is to choose from. Everything else is refused like an id that does not exist."""
        named = {branch.id: branch.name for branch in branches}
        self.branch.choices = list(named.items())
        self.service.choices = [("", _("Please choose")), *((each.id, _with_length(each)) for each in services)]
        self.staff.choices = [("", _("Still open")), *((person.id, person.name) for person in staff)]

    def take_slot(self) -> None:
        """A chosen free time counts as the typed one."""
        if self.slot.data and self.slot.data != OTHER:
            self.time.process(MultiDict({self.time.name: self.slot.data}))
            self.until.process(MultiDict({self.until.name: ""}))

    def validate_service(self, field: SelectField) -> None:
        if field.data is None and not self.until.data:
            raise ValidationError(_("Without a service the length is unknown. Please choose one, or enter an end."))

    def validate_customer(self, field: StringField) -> None:
        if field.data == NEW_CUSTOMER:
            if not (self.new_name.data or self.new_phone.data):
                raise ValidationError(_("Please enter at least a name or a number."))
        elif not (field.data or "").isdecimal():
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
    version = HiddenField()

    @property
    def why(self) -> str:
        """A key of the usual reasons, or free words; '' when nothing was said."""
        words = (self.words.data or "").strip()
        if self.reason.data in (None, "", OTHER):
            return words
        return str(self.reason.data)

    @property
    def shown_version(self) -> int | None:
        return int(self.version.data) if str(self.version.data or "").isdecimal() else None
