"""What calls may cost, what the phone does when the money is used up, and when people are told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal

from babel.dates import get_timezone_location
from flask import Blueprint, Response, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from portal.db import transaction, utcnow
from portal.domain import alerts, amounts, limit_page, limit_rules
from portal.domain.errors import DomainError
from portal.domain.limits import Rules
from portal.forms.limits import LimitsForm, ThresholdForm, put_beside
from portal.htmx import polled, see_other, toast, whole_page
from portal.permissions import Permission, may, requires

bp = Blueprint("limits", __name__)

ZERO = Decimal("0.00")


@bp.get("/balance/limits")
@requires(Permission.VIEW_BALANCE)
def index() -> Response:
    return _page(None, ThresholdForm(formdata=None))


@bp.get("/balance/limits/warnings")
@requires(Permission.VIEW_BALANCE)
def warnings() -> Response:
    """What stands above the balance, kept up to date."""
    found = alerts.warnings(utcnow())
    return polled("limits/_warnings.html", hashlib.sha256(repr(found).encode()).hexdigest()[:12], warnings=found)


@bp.post("/balance/limits")
@requires(Permission.MANAGE_LIMITS)
def save() -> AnyResponse:
    form = LimitsForm()
    if form.validate_on_submit() and _done(form, lambda: limit_rules.save(form.wish())):
        toast(_("Saved. It applies to the very next call."))
        return see_other(url_for(".index"))
    return _page(form, ThresholdForm(formdata=None), 422)


@bp.post("/balance/limits/alerts")
@requires(Permission.MANAGE_LIMITS)
def add_alert() -> AnyResponse:
    now, form = utcnow(), ThresholdForm()
    if form.validate_on_submit() and _done(form, lambda: limit_rules.add_threshold(form.threshold.euros or ZERO, now)):
        return see_other(url_for(".index"))
    return _page(None, form, 422)


@bp.post("/balance/limits/alerts/drop")
@requires(Permission.MANAGE_LIMITS)
def drop_alert() -> AnyResponse:
    now, amount = utcnow(), _plain(request.form.get("amount", ""))
    if amount is not None:
        transaction(lambda: limit_rules.drop_threshold(amount, now))
    return see_other(url_for(".index"))


def _done(form: FlaskForm, change: Callable[[], Rules]) -> bool:
    try:
        transaction(change)
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return False
    return True


def _plain(text: str) -> Decimal | None:
    """The value of our own button."""
    try:
        return amounts.parse(text)
    except amounts.AmountError:
        return None


def _page(form: LimitsForm | None, threshold_form: ThresholdForm, status: int = 200) -> Response:
    seen = limit_page.page(utcnow())
    if form is None:
        form = LimitsForm(formdata=None)
        form.show(seen.standing.rules)
    return whole_page(
        "limits/index.html",
        status,
        form=form,
        threshold_form=threshold_form,
        seen=seen,
        urgent=alerts.urgent(seen.standing),
        city=get_timezone_location(seen.standing.zone, locale=get_locale(), return_city=True),
        editable=may(Permission.MANAGE_LIMITS),
        most_thresholds=limit_rules.MOST_THRESHOLDS,
    )
