"""Forms of the doors."""

from __future__ import annotations

from collections.abc import Iterator

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, Field, PasswordField
from wtforms.validators import EqualTo, InputRequired, Length


class LoginForm(FlaskForm):
    email = EmailField(_l("E-mail"), [InputRequired(_l("Please enter your e-mail address.")), Length(max=255)])
    password = PasswordField(_l("Password"), [InputRequired(_l("Please enter your password.")), Length(max=200)])


class ForgotForm(FlaskForm):
    email = EmailField(_l("E-mail"), [InputRequired(_l("Please enter your e-mail address.")), Length(max=255)])


class NewPasswordForm(FlaskForm):
    """A new password, typed twice."""

    password = PasswordField(
        _l("New password"),
        [InputRequired(_l("Please enter a password.")), Length(max=200)],
        description=_l("At least 10 characters."),
    )
    again = PasswordField(
        _l("New password again"), [EqualTo("password", _l("The two passwords differ.")), Length(max=200)]
    )


class ChangePasswordForm(NewPasswordForm):
    field_order = ("current", "password", "again")
    current = PasswordField(
        _l("Present password"), [InputRequired(_l("Please enter your present password.")), Length(max=200)]
    )

    def __iter__(self) -> Iterator[Field]:
        names = [*self.field_order, *(name for name in self._fields if name not in self.field_order)]
        return iter([self._fields[name] for name in names])
