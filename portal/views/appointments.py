"""One appointment: shown, booked, edited, moved, cancelled, and the steps of its day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.datastructures import MultiDict

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import (
    appointment_story,
    appointments,
    booking_sync,
    customer_mail,
    customer_mail_page,
    discreet,
    sheet_drawing,
    slots,
    timetable,
)
from portal.domain.appointment_story import Step
from portal.domain.errors import Conflict, DomainError
from portal.domain.sheet import Entry, Line
from portal.domain.slots import Overbooking, SlotTaken
from portal.forms.appointments import CancelForm, WhenForm
from portal.htmx import page_or_part, polled, see_other, swapped_whole, toast, trigger, wants_part, whole_page
from portal.models import Appointment
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.tenancy import get_or_404
from portal.views import appointment_versions, booking_desk, next_times
from portal.views.appointment_versions import Wished
from portal.views.booking_desk import Desk

bp = Blueprint("appointments", __name__)

CHANGED = "calendar-changed"  # the sheet listens for it
# Fields of the domain → fields of the forms.
FIELDS = {"branch_id": "branch", "customer_id": "customer", "staff_id": "staff", "service_id": "service"}


# ---- Reading ----------------------------------------------------------------------------------------------------


@bp.get("/appointments/<int:appointment_id>")
@requires(Permission.VIEW_CALENDAR)
def show(appointment_id: int) -> Response:
    if "v" not in request.args or not wants_part():
        return details(appointment_id)
    context = _context(appointment_id)
    changed = context["appointment"].version != request.args.get("seen", type=int)
    context |= {"in_panel": request.args.get("in") == "panel", "news": _latest_of_others(context) if changed else None}
    return polled("appointments/_details.html", context.pop("version"), **context)


def details(appointment_id: int, status: int = 200, message: str = "", **more: Any) -> Response:
    """The appointment as a page, or as the panel beside the calendar. ``more``: forms that came back, and the like."""
    context = _context(appointment_id) | {"message": message} | more
    if status == 409:  # what has been typed may be sent again, now that one has seen how it stands
        for name in ("move_form", "cancel_form"):
            context[name].version.data = str(context["appointment"].version)
    return page_or_part("appointments/show.html", "appointments/_panel.html", status, **context)


def _context(appointment_id: int) -> dict[str, Any]:
    """Everything that is shown of an appointment; ``version`` changes with whatever would be shown differently."""
    row = load(appointment_id, joinedload(Appointment.call), selectinload(Appointment.bookings))
    taken = slots.overlapping(slots.plan_of(row), row.id) if row.status in slots.BUSY else []
    context: dict[str, Any] = {
        "appointment": row,
        "entry": _entry(row),
        "steps": appointment_story.steps(row),
        "taken": taken,
        "is_provider": bool(row.bookings),
        "is_today": _is_today(row),
        "message": "",
        "news": None,
        "sync": booking_sync.sync_of(row),
        "wished": [],
        "conflicts": [],
        "address": _calendar_address(row),
        "mail": customer_mail_page.outlook(row, utcnow(), names=may(Permission.VIEW_CUSTOMERS)),
    }
    if may(Permission.EDIT_APPOINTMENTS):
        context |= {"move_form": booking_desk.move_form(row), "cancel_form": CancelForm(formdata=None)}
    return context | {"version": _version(context)}


def _entry(row: Appointment) -> Entry:
    """The appointment as it is drawn, with what the reader may know of the customer."""
    entry = sheet_drawing.entry_of(row, utcnow(), set(), row.staff.name if row.staff else "")
    return entry if may(Permission.VIEW_CUSTOMERS) else discreet.veiled(entry)


def _version(context: dict[str, Any]) -> str:
    row: Appointment = context["appointment"]
    others = [(other.id, other.version) for other in context["taken"]]
    bookings = [(booking.id, booking.sync_status, booking.updated_at) for booking in row.bookings]
    known = (
        row.version,
        context["sync"],
        context["mail"],
        context["entry"],
        context["steps"],
        others,
        bookings,
        context["is_today"],
        i18n.language(),
    )
    return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def _latest_of_others(context: dict[str, Any]) -> Step | None:
    """What somebody else has just done with it."""
    latest = next(iter(appointment_story.changes_of(context["steps"])), None)
    return latest if latest is not None and latest.by_id != current_user.id else None


def load(appointment_id: int, *more: Any) -> Appointment:
    """An appointment of the reader's branches with who, what and where; 404 otherwise."""
    row = get_or_404(
        Appointment,
        appointment_id,
        joinedload(Appointment.branch),
        joinedload(Appointment.customer),
        joinedload(Appointment.staff),
        joinedload(Appointment.service),
        *more,
    )
    visible = visible_branch_ids()
    if visible is not None and row.branch_id not in visible:
        abort(404)
    i18n.set_zone(row.branch.timezone)
    return row


def _calendar_address(row: Appointment) -> str:
    day = i18n.local_day(row.start_time).isoformat()
    return url_for("calendar.index", view="day", date=day, branch=row.branch_id, staff="")


# ---- One tap ----------------------------------------------------------------------------------------------------


@bp.post("/appointments/<int:appointment_id>/status")
@requires(Permission.EDIT_APPOINTMENTS)
def status(appointment_id: int) -> Response:
    """One of the actions of the state machine; answers with the line or the panel that the button stood in."""
    row = load(appointment_id)
    action, version = request.form.get("action", ""), request.form.get("version", type=int)
    try:
        transaction(lambda: _set_status(row, action, version))
    except Conflict as conflict:
        wished = appointment_versions.wished_status(load(appointment_id), action)
        return _after_tap(appointment_id, 409, conflict.message, wished)
    except DomainError as error:
        return _after_tap(appointment_id, 422, error.message)
    return _after_tap(appointment_id)


def _set_status(row: Appointment, action: str, version: int | None) -> None:
    now = utcnow()
    changed = appointments.set_status(row, action, now, version=version)
    if action == "back":
        customer_mail.tell_restored(changed, now)


def _after_tap(appointment_id: int, status: int = 200, message: str = "", wished: Sequence[Wished] = ()) -> Response:
    if not wants_part() and not message:
        return see_other(_back(appointment_id))
    if not wants_part() or request.form.get("part") != "row":
        return trigger(details(appointment_id, status, message, wished=wished), CHANGED)
    message = " ".join([message, *(_("You wanted: %(what)s.", what=each.mine) for each in wished)])
    row = load(appointment_id)
    entry = _entry(row)
    line = Line("entry", entry.start, entry.end, entry, is_next=entry.is_open, is_today=_is_today(row))
    with_staff = request.form.get("with_staff") == "1"
    part = render_template("calendar/_row.html", line=line, message=message, with_staff=with_staff)
    return trigger(make_response(part, status), CHANGED)


def _is_today(row: Appointment) -> bool:
    zone = i18n.zone()
    return row.start_time.astimezone(zone).date() == utcnow().astimezone(zone).date()


def _back(appointment_id: int) -> str:
    """The calendar that a plain form came from, else the appointment."""
    target = request.form.get("next", "")
    if target.startswith("/calendar?") and "\\" not in target:
        return target
    return url_for("appointments.show", appointment_id=appointment_id)


# ---- Cancelling; moving is in appointment_moves.py ------------------------------------------------------------------


@bp.post("/appointments/<int:appointment_id>/cancel")
@requires(Permission.EDIT_APPOINTMENTS)
def cancel(appointment_id: int) -> Response:
    row, form = load(appointment_id), CancelForm()
    by = "customer" if form.why == "customer" else current_user.name
    try:
        if not form.validate():
            return details(appointment_id, 422, cancel_form=form)
        transaction(lambda: _cancel(row, form, by))
    except Conflict as conflict:
        wished = appointment_versions.wished_cancellation(load(appointment_id), form.why)
        return details(appointment_id, 409, conflict.message, cancel_form=form, wished=wished)
    except DomainError as error:
        put(form, error, "reason")
        return details(appointment_id, 422, cancel_form=form)
    return done(appointment_id, _("The appointment has been cancelled."))


def _cancel(row: Appointment, form: CancelForm, by: str) -> None:
    now = utcnow()
    cancelled = appointments.cancel(row, form.why, by, now, version=form.shown_version)
    if form.tell.data:
        customer_mail.tell(cancelled, "cancellation", now)


def done(appointment_id: int, message: str) -> Response:
    toast(message)
    if wants_part():
        return trigger(details(appointment_id), CHANGED)
    return see_other(url_for("appointments.show", appointment_id=appointment_id))


def overbooking(form: WhenForm) -> Overbooking | None:
    return Overbooking(current_user.id, form.reason.data or "") if form.force.data else None


def put(form: Any, error: DomainError, otherwise: str) -> None:
    """The message beside the field that it is about."""
    name = FIELDS.get(error.field or "", error.field or otherwise)
    field = form[name] if name in form else form[otherwise]
    field.errors = [*field.errors, error.message]


# ---- Booking and editing ----------------------------------------------------------------------------------------


@bp.route("/appointments/new", methods=["GET", "POST"])
@requires(Permission.EDIT_APPOINTMENTS)
def new() -> Response:
    desk = booking_desk.open_desk()
    if not desk.branches:
        return whole_page("calendar/none.html")
    if request.method != "POST" or next_times.take(desk) or "find" in request.form:
        return _form_page(desk)

    def work() -> Appointment:
        now = utcnow()
        booked = desk.book(now, overbooking(desk.form))
        if desk.form.tell.data:
            customer_mail.tell(booked, "confirmation", now)
        return booked

    return _save(desk, work, _("The appointment has been booked."))


@bp.route("/appointments/<int:appointment_id>/edit", methods=["GET", "POST"])
@requires(Permission.EDIT_APPOINTMENTS)
def edit(appointment_id: int) -> Response:
    row = load(appointment_id)
    desk = booking_desk.open_desk(row, posted=_posted(row))
    if request.method != "POST":
        desk.form.was.data = appointment_versions.remember(row)
        return _form_page(desk)
    if "compare" in request.form:
        desk.form.take_slot()
        return _both(desk)
    if next_times.take(desk) or "find" in request.form or request.form.get("resolve") == "form":
        return _form_page(desk)

    return _save(desk, lambda: _change(row, desk), _("The appointment has been saved."))


def _change(row: Appointment, desk: Desk) -> Appointment:
    now, form, before = utcnow(), desk.form, slots.plan_of(row)
    changed = appointments.change_by_hand(
        row, desk.plan(), now=now, version=form.shown_version, overbooking=overbooking(form)
    )
    if form.tell.data:
        customer_mail.tell_change(changed, before, now)
    return changed


def _posted(row: Appointment) -> MultiDict[str, str] | None:
    return appointment_versions.resolved(request.form, row) if request.method == "POST" else None


@bp.get("/appointments/<int:appointment_id>/news")
@requires(Permission.EDIT_APPOINTMENTS)
def news(appointment_id: int) -> Response:
    """A part of the form: whether somebody has changed the appointment while it is being edited."""
    row = load(appointment_id)
    latest = next(iter(appointment_story.changes_of(appointment_story.steps(row))), None)
    return polled("appointments/_news.html", str(row.version), row=row, latest=latest, is_news=True)


def _both(desk: Desk, status: int = 200) -> Response:
    """How the appointment stands now beside what was typed, to choose from line by line."""
    row = load(desk.row.id) if desk.row else abort(404)
    i18n.set_zone(desk.branch.timezone)
    since = max(row.version - (desk.form.shown_version or row.version), 0)
    context = {
        "desk": desk,
        "row": row,
        "differences": appointment_versions.differences(desk, row),
        "carried": appointment_versions.typed(desk)
        | {"q": desk.form.q.data or "", "tell": "y" if desk.form.tell.data else ""},
        "was": appointment_versions.remember(row),
        "steps": appointment_story.changes_of(appointment_story.steps(row))[:since],
        "is_provider": False,
    }
    return swapped_whole(page_or_part("appointments/form.html", "appointments/_both.html", status, **context))


def _save(desk: Desk, work: Callable[[], Appointment], message: str) -> Response:
    form = desk.form
    form.take_slot()
    form.take_now(utcnow().astimezone(timetable.zone_of(desk.branch)))
    if not form.validate():
        return _form_page(desk, 422)
    try:
        saved_id = transaction(lambda: work().id)
    except SlotTaken as taken:
        put(form, taken, "time")
        return _form_page(desk, 422, conflicts=taken.taken)
    except appointments.Changed:
        return _both(desk, 409)
    except DomainError as error:
        put(form, error, "time")
        return _form_page(desk, 422)
    toast(message)
    return see_other(url_for("appointments.show", appointment_id=saved_id))


def _form_page(desk: Desk, status: int = 200, **more: Any) -> Response:
    if desk.row is not None and status != 200:
        desk.row = load(desk.row.id)  # as it stands now, whatever the attempt has touched
    i18n.set_zone(desk.branch.timezone)
    context = {"desk": desk, "form": desk.form, "conflicts": [], "message": ""} | desk.choices() | more
    names = may(Permission.VIEW_CUSTOMERS)
    context["mail"] = customer_mail_page.outlook_of_form(desk.row, utcnow(), names=names)
    return page_or_part("appointments/form.html", "appointments/_form.html", status, **context)


@bp.get("/appointments/slots")
@requires(Permission.EDIT_APPOINTMENTS)
def free_times() -> Response:
    """The free times for what is chosen so far: a part of the form, or a page with links to it."""
    desk = booking_desk.open_desk(values=request.args)
    if not desk.branches:
        abort(404)
    i18n.set_zone(desk.branch.timezone)
    context = {"desk": desk, "form": desk.form, "branches": desk.branches} | desk.times()
    return page_or_part("appointments/free.html", "appointments/_slots.html", **context)


@bp.get("/appointments/customers")
@requires(Permission.EDIT_APPOINTMENTS)
def suggestions() -> Response:
    """A part of the form: customers whose name or number begins like that."""
    desk = booking_desk.open_desk(values=request.args)
    return make_response(render_template("appointments/_hits.html", form=desk.form, **desk.people()))
