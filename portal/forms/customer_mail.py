"""The form of what customers are told by e-mail."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, IntegerField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, NumberRange, StopValidation

from portal.domain.customer_mail_settings import (
    FEWEST_HOURS,
    KINDS,
    MOST_HOURS,
    SENDER_LENGTH,
    TEXT_LENGTH,
    Wishes,
)

WRONG_HOURS = _l("Please enter hours between %(least)s and %(most)s.", least=FEWEST_HOURS, most=MOST_HOURS)


def _is_number(form: FlaskForm, field: Field) -> None:
    if field.data is None:
        field.errors = []
        raise StopValidation(str(WRONG_HOURS))


def _own_words() -> TextAreaField:
    too_long = _l("Please enter at most %(most)s letters.", most=TEXT_LENGTH)
    return TextAreaField(_l("A few words of your own"), [Length(max=TEXT_LENGTH, message=too_long)])


class CustomerMailForm(FlaskForm):
    """Four switches, the hours of the reminder, who sends, and own words."""

    confirmation = BooleanField(_l("Confirm new appointments"))
    change = BooleanField(_l("Tell of changes"))
    cancellation = BooleanField(_l("Tell of cancellations"))
    reminder = BooleanField(_l("Remind of the appointment"))
    hours = IntegerField(
        _l("Hours before the appointment"), [_is_number, NumberRange(FEWEST_HOURS, MOST_HOURS, WRONG_HOURS)]
    )
    with_calcom = BooleanField(_l("Also for appointments booked through Cal.com"))
    with_price = BooleanField(_l("Name the price"))
    sender = StringField(_l("Name of the sender"), [Length(max=SENDER_LENGTH)])
    reply_to = RadioField(
        _l("Answers go to"),
        choices=[
            SelectChoice("branch", _l("the branch’s address, else the company’s")),
            SelectChoice("company", _l("the company’s address")),
            SelectChoice("none", _l("nobody: the mail asks to call")),
        ],
        default="branch",
    )
    text_confirmation = _own_words()
    text_change = _own_words()
    text_cancellation = _own_words()
    text_reminder = _own_words()

    def wish(self) -> Wishes:
        """Once validated."""
        return Wishes(
            confirmation=self.confirmation.data,
            change=self.change.data,
            cancellation=self.cancellation.data,
            reminder=self.reminder.data,
            hours=self.hours.data or 0,
            with_calcom=self.with_calcom.data,
            with_price=self.with_price.data,
            sender=self.sender.data or "",
            reply_to=self.reply_to.data,
            texts={kind: self[f"text_{kind}"].data or "" for kind in KINDS},
        )

    def show(self, wishes: Wishes) -> None:
        for name in (*KINDS, "hours", "with_calcom", "with_price", "sender", "reply_to"):
            self[name].data = getattr(wishes, name)
        for kind in KINDS:
            self[f"text_{kind}"].data = wishes.texts.get(kind, "")
