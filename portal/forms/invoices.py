"""Forms of the invoice pages."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Email, Length, Optional, Regexp, ValidationError

from portal.domain import billing_details
from portal.domain.billing_details import Details

POSTAL_CODE = r"(?=.*[0-9])[A-Za-z0-9]+([ -][A-Za-z0-9]+)?$"
MOST_EXTRA_LINES = 2  # more do not fit into an envelope's window


def tidy(text: str | None) -> str:
    """Without spaces at the ends of lines, double ones and empty lines."""
    lines = (" ".join(line.split()) for line in (text or "").splitlines())
    return "\n".join(line for line in lines if line)


class BillingDetailsForm(FlaskForm):
    """The invoice address; the fields are those of :class:`Details`."""

    name = StringField(_l("Name or company"), [DataRequired(_l("Please enter a name.")), Length(max=255)])
    street = StringField(
        _l("Street and number"), [DataRequired(_l("Please enter a street and a number.")), Length(max=120)]
    )
    extra = TextAreaField(_l("Addition to the address"), [Length(max=240)])
    postal_code = StringField(
        _l("Postal code"),
        [
            DataRequired(_l("Please enter a postal code.")),
            Length(max=12),
            Regexp(POSTAL_CODE, message=_l("This is no postal code.")),
        ],
    )
    city = StringField(_l("Town"), [DataRequired(_l("Please enter a town.")), Length(max=100)])
    country = SelectField(_l("Country"))
    email = EmailField(
        _l("E-mail for invoices"),
        [Optional(), Length(max=255), Email(_l("Please enter a valid e-mail address."))],
    )
    vat_id = StringField(_l("VAT id"), [Length(max=30)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.country.choices = _countries()

    class Meta(FlaskForm.Meta):
        def bind_field(self, form: Any, unbound_field: Any, options: dict[str, Any]) -> Any:
            """Every typed field is tidied before it is looked at."""
            if issubclass(unbound_field.field_class, StringField):
                options.setdefault("filters", []).append(tidy)
            return unbound_field.bind(form=form, **options)

    def validate_extra(self, field: TextAreaField) -> None:
        if len((field.data or "").splitlines()) > MOST_EXTRA_LINES:
            raise ValidationError(_l("Please use two lines at most."))

    def details(self) -> Details:
        """What was typed; the rules about it are the domain's."""
        return Details(**{field.name: str(self[field.name].data or "") for field in fields(Details)})


def _countries() -> dict[str, str]:
    """Where a customer may sit, by name; Germany first."""
    names = get_locale().territories
    others = sorted(billing_details.EU - {"DE"} | billing_details.NEIGHBOURS, key=lambda code: str(names[code]))
    return {code: names[code] for code in ("DE", *others)}
