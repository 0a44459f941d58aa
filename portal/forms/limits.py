"""Forms of the page about limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from portal import filters
from portal.domain import amounts
from portal.domain.limit_rules import Wish
from portal.domain.limits import Rules


class AmountField(StringField):
    """Euros as people type them. ``euros`` is None for an empty field; the text stays as it was typed."""

    euros: Decimal | None = None

    def read(self) -> None:
        """Raises ``ValidationError`` with what would be right."""
        text = (self.data or "").strip()
        try:
            self.euros = amounts.parse(text) if text else None
        except amounts.AmountError as error:
            raise ValidationError(str(error.message)) from error


class LimitsForm(FlaskForm):
    """What the phone does when the money is used up, and what calls may cost. Limits left empty are none."""

    action = StringField(
        _l("What should the phone do when the balance is used up?"), [InputRequired(_l("Please choose one of these."))]
    )
    forward_to = StringField(_l("Number"), [Length(max=50)])
    grace = AmountField(_l("At most below zero, in euros"), [Length(max=40)])
    daily = AmountField(_l("a day"), [Length(max=40)])
    monthly = AmountField(_l("a month"), [Length(max=40)])

    def validate_grace(self, field: AmountField) -> None:
        """What stands in a field of another choice is of no account."""
        if self.action.data == "grace":
            field.read()

    def validate_daily(self, field: AmountField) -> None:
        field.read()

    def validate_monthly(self, field: AmountField) -> None:
        field.read()

    def wish(self) -> Wish:
        """Once validated."""
        return Wish(
            action=self.action.data,
            forward_to=self.forward_to.data or "",
            grace=self.grace.euros,
            daily=self.daily.euros,
            monthly=self.monthly.euros,
        )

    def show(self, rules: Rules) -> None:
        """Fill the fields with what is set."""
        choice = rules.choice
        self.action.data = choice.action
        self.forward_to.data = filters.phone(choice.forward_to) if choice.forward_to else ""
        self.grace.data = filters.typed_amount(choice.grace) if choice.grace else ""
        self.daily.data = filters.typed_amount(rules.daily)
        self.monthly.data = filters.typed_amount(rules.monthly)


class ThresholdForm(FlaskForm):
    """One more amount below which people are told."""

    threshold = AmountField(
        _l("Another alert below"), [InputRequired(_l("Please enter an amount such as 20.00.")), Length(max=40)]
    )

    def validate_threshold(self, field: AmountField) -> None:
        field.read()


def put_beside(form: FlaskForm, name: str | None, message: str) -> None:
    """Show a refusal of the rules beside its field, or above the form where it has none."""
    target: Any = form[name] if name else None
    if isinstance(target, Field):
        target.errors = [*target.errors, message]
    else:
        form.form_errors.append(message)
