"""The doors: signing in and out, and the way back in for those who forgot their password."""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import urlsplit

from flask import Blueprint, render_template, request, session, url_for
from flask.blueprints import BlueprintSetupState
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user, login_required, login_user, logout_user
from werkzeug.wrappers import Response

from portal import mailer, settings
from portal.db import transaction, utcnow
from portal.demo import LOGINS
from portal.domain import access, identity
from portal.domain.errors import DomainError
from portal.extensions import limiter, login
from portal.forms.access import ChangePasswordForm, ForgotForm, LoginForm, NewPasswordForm
from portal.htmx import page_around, see_other, toast, whole_page
from portal.permissions import Permission, may
from portal.tenancy import all_tenants

bp = Blueprint("access", __name__)


@bp.record_once
def _on_register(state: BlueprintSetupState) -> None:
    login.unauthorized_handler(_to_login)


def _to_login() -> Response:
    """Strangers go to the login page as a whole, also when HTMX asked for a part; then back to the page they saw."""
    asked = request.full_path.rstrip("?") if request.method == "GET" else None
    return see_other(url_for("access.login", next=page_around(asked)))


@bp.route("/login", methods=["GET", "POST"], endpoint="login")
@limiter.limit("60/minute", methods=["POST"])
def login_page() -> Response | tuple[str, int] | str:
    if current_user.is_authenticated:
        return see_other(home())
    form = LoginForm()
    if not form.validate_on_submit():
        return _login_page(form, 422 if form.is_submitted() else 200)
    with all_tenants("the company is not known before the person is"):
        attempt = transaction(
            lambda: access.sign_in(form.email.data or "", form.password.data or "", request.remote_addr, utcnow())
        )
    person = identity.load(attempt.token) if attempt.token and not _is_demo_login(form.email.data or "") else None
    if person is None:
        form.password.errors = [
            _("This combination is not right, or the account is locked for a while. Please check or try again later.")
        ]
        return _login_page(form, 422)
    session.clear()
    login_user(person)
    session.permanent = True
    return see_other(own_path(request.args.get("next")) or home())


def _is_demo_login(email: str) -> bool:
    """The demo's people have a password that everybody knows: in production they stay outside, should they be there."""
    known = {login for people in LOGINS.values() for login, _role in people}
    return settings().production and email.strip().lower() in known


def _login_page(form: LoginForm, status: int) -> tuple[str, int]:
    return render_template("access/login.html", form=form, demo_logins=not settings().production), status


@bp.post("/logout")
def logout() -> Response:
    logout_user()
    session.clear()
    return see_other(url_for("access.login"))


@bp.route("/password/forgot", methods=["GET", "POST"])
@limiter.limit("10/minute", methods=["POST"])
def password_forgot() -> Response | tuple[str, int] | str:
    """Always the same answer, whether somebody has this address or not."""
    form = ForgotForm()
    if not form.validate_on_submit():
        return render_template("access/password_forgot.html", form=form), 422 if form.is_submitted() else 200
    with all_tenants("the company is not known before the person is"):
        transaction(lambda: _send_reset(form.email.data or ""))
    return render_template("access/password_forgot.html", form=form, sent=True)


def _send_reset(email: str) -> None:
    if found := access.request_reset(email, utcnow()):
        user, token = found
        url = f"{settings().portal_base_url}{url_for('access.password_reset', token=token)}"
        mailer.send(
            "password_reset",
            user.email,
            _l("A new password for your account"),
            language=user.language,
            company_id=user.company_id,
            name=user.name,
            url=url,
        )


@bp.route("/password/reset/<token>", methods=["GET", "POST"])
@limiter.limit("20/minute")
def password_reset(token: str) -> Response | tuple[str, int]:
    form = NewPasswordForm()
    with all_tenants("the company is not known before the person is"):
        if access.valid_reset(token, utcnow()) is None:
            return render_template("access/password_reset.html", form=form, invalid=True), 404
        if not form.validate_on_submit():
            return render_template("access/password_reset.html", form=form), 422 if form.is_submitted() else 200
        try:
            transaction(lambda: access.redeem_reset(token, form.password.data or "", utcnow()))
        except DomainError as error:
            form.password.errors = [error.message]
            return render_template("access/password_reset.html", form=form), 422
    toast(_("Your new password is set. Please log in with it."))
    return see_other(url_for("access.login"))


@bp.route("/password/change", methods=["GET", "POST"])
@login_required
def password_change() -> Response:
    form = ChangePasswordForm()
    if not form.validate_on_submit():
        return whole_page("access/password_change.html", 422 if form.is_submitted() else 200, form=form)
    current, new = form.current.data or "", form.password.data or ""
    try:
        with ExitStack() as scope:
            if current_user.company_id is None:
                scope.enter_context(all_tenants("operators belong to no company"))
            token = transaction(lambda: access.change_password(current_user.id, current, new))
    except DomainError as error:
        form[error.field or "password"].errors = [error.message]
        return whole_page("access/password_change.html", 422, form=form)
    session["_user_id"] = token
    toast(_("Your password is changed. Other devices have been signed out."))
    return see_other(home())


def home() -> str:
    """The first page of the signed-in person's role."""
    if may(Permission.OPERATE):
        return url_for("operator.index")
    return url_for("dashboard.index") if may(Permission.VIEW_DASHBOARD) else url_for("balance.index")


def own_path(target: str | None) -> str | None:
    """``next`` when it is a path of ours; an address elsewhere would be an open redirect."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\\" in target:
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target
