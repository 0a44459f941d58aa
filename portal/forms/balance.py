"""Forms of the balance pages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional, ValidationError

from portal import filters
from portal.domain import amounts, topups

KINDS = (
    SelectChoice("", _l("All movements")),
    SelectChoice("charge", _l("Calls")),
    SelectChoice("topup", _l("Top-ups")),
    SelectChoice("refund", _l("Refunds")),
    SelectChoice("chargeback", _l("Chargebacks")),
    SelectChoice("credit", _l("Credits")),
    SelectChoice("adjustment", _l("Adjustments")),
    SelectChoice("correction", _l("Corrections")),
)


class TopupForm(FlaskForm):
    """Euros to credit, net. A typed amount counts before a chosen one; ``euros`` holds the result once validated.

    ``form_key`` makes a form that is sent twice one top-up.
    """

    amount = StringField(_l("or an amount of your own"), [Length(max=40)])
    preset = StringField(validators=[Length(max=10)])
    form_key = HiddenField(validators=[Length(max=64)])
    euros: Decimal

    def validate_amount(self, field: StringField) -> None:
        """The message beside the field says what would be right."""
        try:
            typed = (field.data or "").strip()
            self.euros = amounts.check_range(amounts.parse(typed or self.preset.data or ""))
        except amounts.AmountError as error:
            raise ValidationError(amount_words(error)) from error

    def choose(self, amount: Decimal | None) -> None:
        """Show this amount: as one of the presets, or typed."""
        chosen = amount in topups.PRESETS
        self.preset.data = f"{amount:.0f}" if chosen else ""
        self.amount.data = "" if chosen else filters.typed_amount(amount)


def amount_words(error: amounts.AmountError) -> str:
    """What would be right instead."""
    if error.reason == "too_small":
        return str(_("The least is %(amount)s.", amount=filters.money(amounts.LOWEST_TOPUP)))
    if error.reason == "too_large":
        return str(_("The most is %(amount)s at once.", amount=filters.money(amounts.HIGHEST_TOPUP)))
    return str(error.message)


class LedgerForm(FlaskForm):
    """What the ledger shows. Sent by GET, so without a token; days are local and both included."""

    class Meta:
        csrf = False

    kind = SelectField(_l("Kind"), choices=KINDS, validators=[Optional()])
    since = DateField(_l("From"), [Optional()], name="from")
    until = DateField(_l("To"), [Optional()], name="to")

    def validate_until(self, field: DateField) -> None:
        first: date | None = self.since.data
        if first and field.data and field.data < first:
            raise ValidationError(_("The last day lies before the first."))

    def arguments(self) -> dict[str, Any]:
        """The filters as arguments of an address, without empty ones."""
        given = {"kind": self.kind.data or None, "from": self.since.data, "to": self.until.data}
        return {name: str(value) for name, value in given.items() if value}
