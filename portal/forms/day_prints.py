"""The form for the code of a printed day sheet."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField


class CodeForm(FlaskForm):
    """Read from the address: entering a code changes nothing."""

    class Meta:
        csrf = False

    code = StringField(_l("Code on the sheet"))
