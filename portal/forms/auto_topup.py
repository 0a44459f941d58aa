"""The form of the page about automatic top-ups."""

from __future__ import annotations

from decimal import Decimal

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from portal import filters
from portal.domain import auto_topup_page
from portal.domain.auto_topup_rules import FILL_UP, FIXED, MODES, Settings, covers
from portal.forms.limits import AmountField

NEEDED = InputRequired(_l("Please enter an amount such as 20.00."))
ZERO = Decimal(0)


class AutoTopupForm(FlaskForm):
    """When, how much, never more than what. What stands in the field of the other choice is of no account.

    ``seen``: the figures of the consent that stood beside the tick when the form was sent.
    """

    threshold = AmountField(_l("When less is available than"), [NEEDED, Length(max=40)])
    mode = StringField(_l("Then"))
    amount = AmountField(_l("Amount"), [Length(max=40)])
    level = AmountField(_l("Balance afterwards"), [Length(max=40)])
    daily_cap = AmountField(_l("a day"), [NEEDED, Length(max=40)])
    monthly_cap = AmountField(_l("a month"), [NEEDED, Length(max=40)])
    consent = BooleanField(_l("Consent"))
    seen = HiddenField(validators=[Length(max=100)])

    def validate_threshold(self, field: AmountField) -> None:
        _read(field)

    def validate_mode(self, field: StringField) -> None:
        if field.data not in MODES:
            raise ValidationError(_("Please choose one of these."))

    def validate_amount(self, field: AmountField) -> None:
        if self.mode.data == FIXED:
            _read(field)

    def validate_level(self, field: AmountField) -> None:
        if self.mode.data == FILL_UP:
            _read(field)

    def validate_daily_cap(self, field: AmountField) -> None:
        _read(field)

    def validate_monthly_cap(self, field: AmountField) -> None:
        _read(field)

    def wish(self) -> Settings:
        """Once validated."""
        chosen = self.level if self.mode.data == FILL_UP else self.amount
        return Settings(
            mode=self.mode.data or "",
            threshold=self.threshold.euros or ZERO,
            amount=chosen.euros or ZERO,
            daily_cap=self.daily_cap.euros or ZERO,
            monthly_cap=self.monthly_cap.euros or ZERO,
        )

    def show(self, settings: Settings, other: Decimal) -> None:
        """Fill the fields; ``other`` is offered in the field of the way that is not chosen."""
        fixed = settings.mode == FIXED
        self.mode.data = settings.mode
        self.threshold.data = filters.typed_amount(settings.threshold)
        self.amount.data = filters.typed_amount(settings.amount if fixed else other)
        self.level.data = filters.typed_amount(other if fixed else settings.amount)
        self.daily_cap.data = filters.typed_amount(settings.daily_cap)
        self.monthly_cap.data = filters.typed_amount(settings.monthly_cap)

    @property
    def fits(self) -> bool:
        """Whether the amounts are in order, whatever is said about the consent."""
        return not self.problem

    @property
    def problem(self) -> str:
        """The first thing that is wrong with the amounts, with the name of its field; '' without one."""
        wrong = next((field for field in self if field.errors and field.name != "consent"), None)
        return f"{wrong.label.text}: {wrong.errors[0]}" if wrong else ""

    def field_of(self, name: str | None) -> str | None:
        """The field that shows what the rules call ``name``."""
        return "level" if name == "amount" and self.mode.data == FILL_UP else name

    def has_seen(self, settings: Settings) -> bool:
        """Whether the figures beside the tick were these, or higher ones."""
        return not self.seen.data or covers(auto_topup_page.figures_in(self.seen.data), settings)


def _read(field: AmountField) -> None:
    field.read()
    if not field.euros:
        raise ValidationError(_("Please enter an amount above zero."))
