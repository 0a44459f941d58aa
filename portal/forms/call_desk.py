"""Forms on the page of one call."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, HiddenField, SelectMultipleField, StringField, TelField
from wtforms.validators import Length, Optional, ValidationError

from portal.domain.customers import Details
from portal.models import PortalUser

KEY_LENGTH = 64


def _squeezed(text: str | None) -> str | None:
    """Without stray spaces; None instead of ''."""
    return " ".join((text or "").split()) or None


def _an_address(form: FlaskForm, field: EmailField) -> None:
    try:
        found = validate_email(field.data, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValidationError(_("This is no e-mail address. Example: name@example.com")) from None
    field.data = found.normalized.lower()


class CallerForm(FlaskForm):
    """Somebody new, filled in with what was heard. ``another`` says that it is none of those with this number."""

    first_name = StringField(_l("First name"), [Length(max=100)], filters=[_squeezed])
    last_name = StringField(_l("Last name"), [Length(max=100)], filters=[_squeezed])
    phone = TelField(_l("Phone"), [Length(max=50)], filters=[_squeezed])
    email = EmailField(_l("E-mail"), [Optional(), Length(max=255), _an_address], filters=[_squeezed])
    another = BooleanField(_l("This is another person"))

    def details(self) -> Details:
        return Details(self.first_name.data, self.last_name.data, self.phone.data, self.email.data)


class MailForm(FlaskForm):
    """To whom the summary goes. ``key`` makes of a form sent twice one mail."""

    people = SelectMultipleField(_l("Colleagues"), coerce=int)
    outside = EmailField(_l("Another address"), [Optional(), Length(max=255), _an_address], filters=[_squeezed])
    transcript = BooleanField(_l("With everything that was said"))
    key = HiddenField(validators=[Length(max=KEY_LENGTH)])

    def offer(self, users: list[PortalUser]) -> None:
        """Whom there is to choose from. Anybody else is refused."""
        self.people.choices = {user.id: user.name for user in users}
