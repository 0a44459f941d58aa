"""Forms about one customer."""

from __future__ import annotations

from datetime import UTC, datetime

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, EmailField, SelectField, StringField, TelField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional, ValidationError

from portal import i18n
from portal.domain.customers import NOTE_LENGTH, Details

LANGUAGES = (
    ("", _l("Not known")),
    ("de", "Deutsch"),
    ("en", "English"),
    ("tr", "Türkçe"),
    ("pl", "Polski"),
    ("ru", "Русский"),
    ("uk", "Українська"),
    ("ar", "العربية"),
)
REASON_LENGTH = 500
LONGEST_LIFE = 130  # years


def _squeezed(text: str | None) -> str | None:
    """Without stray spaces; None instead of ''."""
    return " ".join((text or "").split()) or None


def _an_address(form: FlaskForm, field: EmailField) -> None:
    try:
        # Whether mail arrives is not asked; reserved names such as .example are fine.
        found = validate_email(field.data, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValidationError(_("This is no e-mail address. Example: name@example.com")) from None
    field.data = found.normalized.lower()


def _a_birthday(form: FlaskForm, field: DateField) -> None:
    today = i18n.local_day(datetime.now(UTC))
    if field.data > today or field.data.year < today.year - LONGEST_LIFE:
        raise ValidationError(_("This cannot be a birthday."))


class CustomerForm(FlaskForm):
    """A person's details. ``another`` says that this is not the one whom the portal knows already."""

    first_name = StringField(_l("First name"), [Length(max=100)], filters=[_squeezed])
    last_name = StringField(_l("Last name"), [Length(max=100)], filters=[_squeezed])
    phone = TelField(_l("Phone"), [Length(max=50)], filters=[_squeezed])
    email = EmailField(_l("E-mail"), [Optional(), Length(max=255), _an_address], filters=[_squeezed])
    date_of_birth = DateField(_l("Birthday"), [Optional(), _a_birthday])
    preferred_language = SelectField(
        _l("Language"),
        [Optional()],
        choices=[SelectChoice(*choice) for choice in LANGUAGES],
        filters=[_squeezed],
        default="",
    )
    another = BooleanField(_l("This is another person"))

    def details(self) -> Details:
        return Details(
            self.first_name.data,
            self.last_name.data,
            self.phone.data,
            self.email.data,
            self.date_of_birth.data,
            self.preferred_language.data,
        )


class NumberForm(FlaskForm):
    further_phone = TelField(_l("Further number"), [Length(max=50)], filters=[_squeezed])


class NoteForm(FlaskForm):
    body = TextAreaField(_l("New note"), [Length(max=NOTE_LENGTH)])


class BlockForm(FlaskForm):
    reason = StringField(_l("Why?"), [Length(max=REASON_LENGTH)])
