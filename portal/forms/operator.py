"""Forms of the operator's money pages. Amounts are euros as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    IntegerField,
    RadioField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, ValidationError

from portal.domain.rates import NewRate
from portal.forms.appointments import DAY_FORMATS, TIME_FORMATS
from portal.forms.limits import AmountField

ZERO = Decimal("0.00")
KEY_LENGTH = 64
_RATE = re.compile(r"(?:€\s*)?(\d{1,2})(?:[.,](\d{1,4}))?(?:\s*€)?")


def reason_field() -> StringField:
    return StringField(_l("Reason"), [DataRequired(_l("Please give a reason.")), Length(max=255)])


class RateForm(FlaskForm):
    """A price from a moment on. ``moment`` is that moment once validated; local to the company."""

    rate = StringField(_l("Price a minute"), [InputRequired(_l("Please enter a price such as 0.42.")), Length(max=20)])
    increment = IntegerField(
        _l("Billing step, in seconds"),
        [
            InputRequired(_l("Please enter a number of seconds.")),
            NumberRange(1, 3600, _l("Between 1 and 3,600 seconds.")),
        ],
    )
    minimum = AmountField(_l("Least price of a call"), [Length(max=40)])
    fee = AmountField(_l("Fee per call"), [Length(max=40)])
    begins = RadioField(
        _l("In force"),
        [InputRequired(_l("Please choose one of these."))],
        choices=[SelectChoice("now", _l("from now on")), SelectChoice("later", _l("from a day and time on"))],
    )
    valid_from = DateField(_l("Day"), format=DAY_FORMATS, validators=[])
    valid_time = TimeField(_l("Time"), format=TIME_FORMATS, validators=[])
    per_minute: Decimal
    moment: datetime

    def __init__(self, zone: str, now: datetime) -> None:
        super().__init__()
        self._zone, self._now = ZoneInfo(zone), now

    def validate_rate(self, field: StringField) -> None:
        match = _RATE.fullmatch((field.data or "").strip())
        if match is None:
            raise ValidationError(_("Please enter a price such as 0.42, with at most four decimal places."))
        self.per_minute = Decimal(f"{match[1]}.{match[2] or '0'}").quantize(Decimal("0.0001"))

    def validate_minimum(self, field: AmountField) -> None:
        field.read()

    def validate_fee(self, field: AmountField) -> None:
        field.read()

    def validate_valid_from(self, field: DateField) -> None:
        """Day and time together, read on the company's clock."""
        self.moment = self._now
        if self.begins.data != "later":
            field.errors = []
            return
        if field.data is None:
            field.errors = []  # instead of what the field itself says about an empty text
            raise ValidationError(_("Please choose a day."))
        if self.valid_time.data is None:
            return  # its own message stands beside it
        local = datetime.combine(field.data, self.valid_time.data, self._zone)
        self.moment = local.astimezone(UTC)
        if self.moment.astimezone(self._zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            raise ValidationError(_("On this day the clocks change, and this time does not exist."))

    def validate_valid_time(self, field: TimeField) -> None:
        """From now on, what stands in the hidden field is nobody's mistake: browsers send it empty."""
        if self.begins.data != "later":
            field.errors = []
        elif field.data is None:
            field.errors = []
            raise ValidationError(_("Please enter a time."))

    def wish(self) -> NewRate:
        """Once validated."""
        return NewRate(
            self.per_minute,
            self.moment,
            self.increment.data or 1,
            self.minimum.euros or ZERO,
            self.fee.euros or ZERO,
        )


class AmountForm(FlaskForm):
    """An amount above zero, a reason, and a key that makes a form that is sent twice one movement."""

    amount = AmountField(_l("Amount"), [InputRequired(_l("Please enter an amount such as 20.00.")), Length(max=40)])
    reason = reason_field()
    form_key = HiddenField(validators=[InputRequired(), Length(max=KEY_LENGTH)])

    def validate_amount(self, field: AmountField) -> None:
        field.read()
        if not field.euros:
            raise ValidationError(_("Please enter an amount above zero."))

    @property
    def euros(self) -> Decimal:
        """Once validated."""
        return self.amount.euros or ZERO


class AdjustForm(AmountForm):
    """What the operator gives or takes. ``step``: check shows what it would do, book does it."""

    direction = RadioField(
        _l("What"),
        [InputRequired(_l("Please choose one of these."))],
        choices=[SelectChoice("credit", _l("Give a credit")), SelectChoice("debit", _l("Take off"))],
    )
    step = StringField(validators=[Length(max=10)])

    @property
    def signed(self) -> Decimal:
        return -self.euros if self.direction.data == "debit" else self.euros


class RefundForm(AmountForm):
    """Money of a top-up that goes back; ``below_zero``: also where the balance no longer holds it."""

    below_zero = BooleanField(_l("I know, and mean it"))


class DecisionForm(FlaskForm):
    """What is decided about a parked top-up, and why. ``seen``: the paid amount that the decision is about."""

    reason = TextAreaField(_l("Reason"), [DataRequired(_l("Please give a reason.")), Length(max=500)])
    deed = StringField(validators=[Length(max=20)])
    seen = HiddenField(validators=[Length(max=20)])
    form_key = HiddenField(validators=[InputRequired(), Length(max=KEY_LENGTH)])


class CallForm(FlaskForm):
    """Finding a call by its number. Sent by GET, so without a token."""

    class Meta:
        csrf = False

    call = StringField(_l("Number of the call"), [InputRequired(_l("Please enter a number.")), Length(max=255)])
