"""Forms of the follow-up queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField
from wtforms.validators import InputRequired, NumberRange

from portal.domain.followup_rules import LONGEST, Terms

MINUTE, HOUR = 1, 60


class TermsForm(FlaskForm):
    """After how much opening time each kind is due: a number and its unit."""

    complaint = IntegerField(_l("Complaint"), [InputRequired(_l("Please enter a number.")), NumberRange(1, LONGEST)])
    complaint_unit = SelectField(_l("Unit"), coerce=int)
    promise = IntegerField(
        _l("Promised, no appointment"), [InputRequired(_l("Please enter a number.")), NumberRange(1, LONGEST)]
    )
    promise_unit = SelectField(_l("Unit"), coerce=int)
    callback = IntegerField(_l("Callback"), [InputRequired(_l("Please enter a number.")), NumberRange(1, LONGEST)])
    callback_unit = SelectField(_l("Unit"), coerce=int)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in (self.complaint_unit, self.promise_unit, self.callback_unit):
            field.choices = {MINUTE: _("minutes"), HOUR: _("hours")}

    def show(self, terms: Terms) -> None:
        """Fill the fields with what is set, in whole hours where it is that."""
        for name, wait in vars(terms).items():
            minutes = wait // timedelta(minutes=1)
            unit = HOUR if minutes % HOUR == 0 else MINUTE
            self[name].data, self[f"{name}_unit"].data = minutes // unit, unit

    def minutes(self) -> dict[str, int]:
        """Once validated."""
        return {name: self[name].data * self[f"{name}_unit"].data for name in vars(Terms())}
