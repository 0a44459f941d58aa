"""The form of how long calls are kept."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, IntegerField
from wtforms.validators import NumberRange, Optional, StopValidation

from portal.domain.retention import LONGEST, Retention

WRONG = _l("Please enter days between 1 and %(most)s.", most=LONGEST)


class DaysField(IntegerField):
    """Whole days; empty is for good."""

    def __init__(self, label: Any, **kwargs: Any) -> None:
        super().__init__(label, [Optional(), _is_number, NumberRange(1, LONGEST, WRONG)], **kwargs)


def _is_number(form: FlaskForm, field: Field) -> None:
    if field.data is None:
        field.errors = []
        raise StopValidation(str(WRONG))


class RetentionForm(FlaskForm):
    """Days after a call. ``confirmed`` holds what has been agreed to when something goes at once."""

    recording = DaysField(_l("Recordings"))
    transcript = DaysField(_l("Conversations and summaries"))
    metadata = DaysField(_l("Who called, and notes"))
    confirmed = HiddenField()

    def wish(self) -> Retention:
        """Once validated."""
        return Retention(self.recording.data, self.transcript.data, self.metadata.data)

    def show(self, rules: Retention) -> None:
        self.recording.data, self.transcript.data = rules.recording, rules.transcript
        self.metadata.data = rules.metadata
