"""The form of the page about calendar feeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SelectField
from wtforms.validators import ValidationError

from portal.domain.feeds import Choice


class FeedForm(FlaskForm):
    """What is to be subscribed to; the choices are those of the signed-in person."""

    what = SelectField(_l("What should be in it?"), validate_choice=False)

    def __init__(self, choices: Sequence[Choice], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keys = {choice.key for choice in choices}
        self.what.choices = _grouped(choices)

    def validate_what(self, field: SelectField) -> None:
        if field.data not in self._keys:
            raise ValidationError(_("Please choose one of these."))


def _grouped(choices: Sequence[Choice]) -> dict[str, dict[str, str]]:
    """Options under their headings, empty headings left out."""
    headings = {"user": _("Own"), "branch": _("Branches"), "staff": _("Staff members")}
    groups = {
        heading: {choice.key: choice.label for choice in choices if choice.scope == scope}
        for scope, heading in headings.items()
    }
    return {heading: options for heading, options in groups.items() if options}
