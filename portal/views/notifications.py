"""What a person has been told, and what reaches them in which way."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import notifications
from portal.domain.notifications import CATEGORIES, CHANNELS
from portal.htmx import polled, see_other, toast, whole_page
from portal.models import Notification
from portal.permissions import may

bp = Blueprint("notifications", __name__, url_prefix="/notifications")


ICONS = {
    "appointment": "calendar-event",
    "call": "phone",
    "billing": "wallet",
    "team": "user-check",
    "system": "webhook",
}


@bp.app_template_global("notification_icon")
def icon(row: Notification) -> str:
    """What is urgent looks urgent; everything else like what it is about."""
    return "alert-triangle" if row.priority == "high" else ICONS[row.category]


@bp.before_request
@login_required
def _only_people_of_a_company() -> None:
    """Operators belong to none, and are told elsewhere."""
    if current_user.is_authenticated and current_user.company_id is None:  # OPTIONS asks nobody to sign in
        abort(403)


@bp.get("")
def index() -> Response:
    now, before, after = utcnow(), request.args.get("before", type=int), request.args.get("after", type=int)
    return whole_page(
        "notifications/index.html",
        page=notifications.page(current_user.id, now, before=before, after=after),
        rows=_matrix(notifications.choices(current_user.id)),
        email=current_user.email,
    )


@bp.get("/<int:notification_id>")
def show(notification_id: int) -> AnyResponse:
    """To what it is about; it counts as read from then on."""
    user_id = current_user.id
    path = transaction(lambda: notifications.open_one(user_id, notification_id, utcnow()))
    if path is None:
        abort(404)
    return see_other(path or url_for(".index"))


@bp.get("/bell")
def bell() -> Response:
    """The bell in the frame of every page."""
    shown = notifications.bell(current_user.id, utcnow(), i18n.local_day(utcnow()))
    return polled("layouts/_bell.html", shown.version, bell=shown)


@bp.post("/read")
def read() -> AnyResponse:
    user_id = current_user.id
    transaction(lambda: notifications.mark_all_read(user_id, utcnow()))
    return see_other(url_for(".index"))


@bp.post("/preferences")
def preferences() -> AnyResponse:
    """A box that is not ticked is not sent: every category that the page shows is set."""
    wanted = {
        category: [channel for channel in CHANNELS if f"{category}-{channel}" in request.form]
        for category in _my_categories()
    }
    user_id, company_id = current_user.id, current_user.company_id
    transaction(lambda: notifications.choose(user_id, company_id, wanted))
    toast(_("Saved."))
    return see_other(url_for(".index"))


def _my_categories() -> list[str]:
    """Those that this person can be told about at all."""
    return [category for category, (permission, _by_mail) in CATEGORIES.items() if may(permission)]


def _matrix(chosen: dict[str, frozenset[str]]) -> list[dict[str, Any]]:
    labels = {
        "appointment": (_("Appointments"), _("Clashes, cancellations, open confirmations")),
        "call": (_("Calls"), _("Complaints, promises without an appointment, callbacks")),
        "billing": (_("Balance"), _("Running low, limits, top-ups and invoices")),
        "team": (_("Team"), _("Invitations and changed rights")),
        "system": (_("Connections"), _("Services that do not answer, things to set up")),
    }
    return [
        {"category": category, "label": labels[category][0], "hint": labels[category][1], "wants": chosen[category]}
        for category in _my_categories()
    ]
