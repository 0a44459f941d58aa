"""The screen of today for a tablet on the counter. It needs no hand: it asks for news, and goes over midnight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import appointments, calendar, today
from portal.domain.calendar import Wish
from portal.domain.errors import DomainError
from portal.domain.slots import OPEN
from portal.domain.today import Screen
from portal.htmx import load_whole, polled, see_other, wants_part, whole_page
from portal.models import Appointment
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.tenancy import get_or_404
from portal.views.addresses import id_of

bp = Blueprint("today", __name__)

TAPS = ("arrived", "back")


@dataclass(frozen=True)
class Address:
    """Where this screen is: the branch, and whether names are veiled."""

    branch: int
    discreet: bool

    def to(self, **changes: object) -> str:
        values: dict[str, Any] = {"branch": self.branch, "discreet": 1 if self.discreet else None} | changes
        return url_for("today.index", **values)


@bp.get("/calendar/today")
@requires(Permission.VIEW_CALENDAR)
def index() -> Response:
    screen = _screen(request.args)
    if screen is None:
        return whole_page("calendar/none.html")
    if "v" in request.args and wants_part():
        return polled("today/_screen.html", _version(screen), **_context(screen, request.args))
    if elsewhere := load_whole(request.full_path):
        return elsewhere
    return _page("today/index.html", screen, request.args)


@bp.post("/calendar/today/<int:appointment_id>/arrived")
@requires(Permission.EDIT_APPOINTMENTS)
def tap(appointment_id: int) -> Response:
    """One tap: somebody is here, or after all not yet."""
    row = get_or_404(Appointment, appointment_id)
    visible = visible_branch_ids()
    if visible is not None and row.branch_id not in visible:
        abort(404)
    action, version = request.form.get("action", ""), request.form.get("version", type=int)
    status, message = 200, ""
    try:
        transaction(lambda: _take(row, action, version))
    except DomainError as error:
        status, message = 409, error.message
    return _after_tap(row.branch_id, status, message)


def _take(row: Appointment, action: str, version: int | None) -> None:
    """The counter takes back an arrival and nothing else: a cancellation, say, may have been told the customer."""
    is_here = row.arrived_at is not None and row.status in OPEN
    if action not in TAPS or (action == "back" and not is_here):
        raise DomainError(_("This cannot be done with an appointment."))
    appointments.set_status(row, action, utcnow(), version=version)


def _after_tap(branch_id: int, status: int, message: str) -> Response:
    form = {"branch": str(branch_id), "discreet": request.form.get("discreet", "")}
    if not message and not wants_part():
        return see_other(Address(branch_id, _veils(form)).to())
    screen = _screen(form)
    if screen is None:
        abort(404)
    return _page("today/_screen.html" if wants_part() else "today/index.html", screen, form, status, message)


def _page(template: str, screen: Screen, args: Any, status: int = 200, message: str = "") -> Response:
    context = _context(screen, args) | {"version": _version(screen), "message": message}
    return make_response(render_template(template, **context), status)


def _screen(args: Any) -> Screen | None:
    now = utcnow()
    wish = Wish(
        branch_id=id_of(args.get("branch")),
        visible=visible_branch_ids(),
        home_staff_id=current_user.staff_id,
    )
    try:
        sheet = calendar.sheet(wish, now)
    except calendar.NotThere:
        abort(404)
    if sheet is None or sheet.branch is None:
        return None
    i18n.set_zone(sheet.zone)
    return today.screen(sheet, now, veil=_veils(args))


def _veils(args: Any) -> bool:
    """By wish, because customers see the counter; and always for those who may not know customers."""
    return bool(args.get("discreet")) or not may(Permission.VIEW_CUSTOMERS)


def _version(screen: Screen) -> str:
    return f"{screen.version}-{i18n.language()}"


def _context(screen: Screen, args: Any) -> dict[str, Any]:
    return {
        "screen": screen,
        "veiled": _veils(args),
        "address": Address(screen.branch.id, bool(args.get("discreet"))),
        "may_name": may(Permission.VIEW_CUSTOMERS),
        "message": "",
    }
