"""Taking a recording along."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from portal.domain import recording_pages


class DownloadForm(FlaskForm):
    """Why somebody takes a recording along; other reasons are told in words."""

    reason = RadioField(_l("Reason"), validators=[InputRequired(_l("Please choose a reason."))])
    words = StringField(_l("In your words"), validators=[Length(max=recording_pages.REASON_LENGTH)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reason.choices = recording_pages.reasons()

    def validate_words(self, field: Any) -> None:
        if self.reason.data == recording_pages.OTHER and not (field.data or "").strip():
            raise ValidationError(_("Please say what you need it for."))

    @property
    def told(self) -> str:
        """The reason as it is written down."""
        return recording_pages.reason_to_keep(self.reason.data, self.words.data or "")
