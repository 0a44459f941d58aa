"""Forms of the page about Cal.com. Key and secret are typed and never shown again."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.domain.calcom_settings import KEY_LENGTH, SECRET_LENGTH, Meaning
from portal.forms.appointments import row_id

NUMBER = _l("Please enter the number that it has at Cal.com.")
MOST = 2**31 - 1


def _chosen(value: Any) -> int | None:
    return row_id(str(value or ""))


class KeyForm(FlaskForm):
    key = PasswordField(_l("API key"), [InputRequired(_l("Please enter the key.")), Length(max=KEY_LENGTH)])


class SecretForm(FlaskForm):
    secret = PasswordField(_l("Secret"), [InputRequired(_l("Please enter the secret.")), Length(max=SECRET_LENGTH)])


class TeamForm(FlaskForm):
    team = StringField(_l("Team number"), [Optional(), Length(max=20)])


class EventTypeForm(FlaskForm):
    """What an event type means here. ``name`` and ``minutes`` come along for one that is new."""

    kind = IntegerField(_l("Event type"), [InputRequired(NUMBER), NumberRange(1, MOST, NUMBER)])
    name = HiddenField()
    minutes = HiddenField()
    branch = SelectField(_l("Branch"), [Optional()], coerce=_chosen)
    service = SelectField(_l("Service"), [Optional()], coerce=_chosen)

    def offer(self, branches: dict[Any, str], services: dict[Any, str]) -> None:
        self.branch.choices = branches
        self.service.choices = services

    def meaning(self) -> Meaning:
        """Once validated."""
        minutes = _chosen(self.minutes.data) or 30
        return Meaning(self.kind.data or 0, self.name.data or "", minutes, self.branch.data, self.service.data)


class PersonForm(FlaskForm):
    """Who a user of Cal.com is here; an empty number clears it."""

    staff = SelectField(_l("Staff"), [InputRequired(_l("Please choose somebody from the list."))], coerce=_chosen)
    user = IntegerField(_l("Number at Cal.com"), [Optional(), NumberRange(1, MOST, NUMBER)])
