"""One appointment: shown, booked, edited, moved, cancelled, and the steps of its day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.orm import joinedload, selectinload

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import appointment_story, appointments, booking_rules, sheet_drawing, slots, timetable
from portal.domain.errors import Conflict, DomainError
from portal.domain.sheet import Line
from portal.domain.slots import Overbooking, SlotTaken
from portal.forms.appointments import CancelForm, MoveForm, WhenForm
from portal.htmx import page_or_part, see_other, toast, trigger, wants_part, whole_page
from portal.models import Appointment
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.tenancy import get_or_404
from portal.views import booking_desk
from portal.views.booking_desk import Desk

bp = Blueprint("appointments", __name__)

CHANGED = "calendar-changed"  # the sheet listens for it
# Fields of the domain → fields of the forms.
FIELDS = {"branch_id": "branch", "customer_id": "customer", "staff_id": "staff", "service_id": "service"}


# ---- Reading ----------------------------------------------------------------------------------------------------


@bp.get("/appointments/<int:appointment_id>")
@requires(Permission.VIEW_CALENDAR)
def show(appointment_id: int) -> Response:
    return _details(appointment_id)


def _details(appointment_id: int, status: int = 200, message: str = "", **forms: Any) -> Response:
    """The appointment as a page, or as the panel beside the calendar."""
    row = _load(appointment_id, joinedload(Appointment.call), selectinload(Appointment.bookings))
    taken = slots.overlapping(slots.plan_of(row), row.id) if row.status in slots.BUSY else []
    context: dict[str, Any] = {
        "appointment": row,
        "entry": sheet_drawing.entry_of(row, utcnow(), set(), row.staff.name if row.staff else ""),
        "steps": appointment_story.steps(row),
        "taken": taken,
        "is_provider": bool(row.bookings),
        "is_today": _is_today(row),
        "message": message,
        "address": _calendar_address(row),
    }
    if may(Permission.EDIT_APPOINTMENTS):
        context |= {"move_form": forms.get("move_form") or _move_form(row), "cancel_form": forms.get("cancel_form")}
        context["cancel_form"] = context["cancel_form"] or CancelForm(formdata=None)
        context["conflicts"] = forms.get("conflicts", [])
    return page_or_part("appointments/show.html", "appointments/_panel.html", status, **context)


def _load(appointment_id: int, *more: Any) -> Appointment:
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
    day = row.start_time.astimezone(i18n.zone()).date().isoformat()
    return url_for("calendar.index", view="day", date=day, branch=row.branch_id, staff="")


# ---- One tap ----------------------------------------------------------------------------------------------------


@bp.post("/appointments/<int:appointment_id>/status")
@requires(Permission.EDIT_APPOINTMENTS)
def status(appointment_id: int) -> Response:
    """One of the actions of the state machine; answers with the line or the panel that the button stood in."""
    row = _load(appointment_id)
    action, version = request.form.get("action", ""), request.form.get("version", type=int)
    try:
        transaction(lambda: appointments.set_status(row, action, utcnow(), version=version))
    except Conflict as conflict:
        return _after_tap(appointment_id, 409, conflict.message)
    except DomainError as error:
        return _after_tap(appointment_id, 422, error.message)
    return _after_tap(appointment_id)


def _after_tap(appointment_id: int, status: int = 200, message: str = "") -> Response:
    if not wants_part():
        return _details(appointment_id, status, message) if message else see_other(_back(appointment_id))
    if request.form.get("part") != "row":
        return trigger(_details(appointment_id, status, message), CHANGED)
    row = _load(appointment_id)
    entry = sheet_drawing.entry_of(row, utcnow(), set(), row.staff.name if row.staff else "")
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


# ---- Cancelling and moving --------------------------------------------------------------------------------------


@bp.post("/appointments/<int:appointment_id>/cancel")
@requires(Permission.EDIT_APPOINTMENTS)
def cancel(appointment_id: int) -> Response:
    row, form = _load(appointment_id), CancelForm()
    by = "customer" if form.why == "customer" else current_user.name
    try:
        if not form.validate():
            return _details(appointment_id, 422, cancel_form=form)
        transaction(lambda: appointments.cancel(row, form.why, by, utcnow(), version=form.shown_version))
    except Conflict as conflict:
        return _details(appointment_id, 409, conflict.message)
    except DomainError as error:
        _put(form, error, "reason")
        return _details(appointment_id, 422, cancel_form=form)
    return _done(appointment_id, _("The appointment has been cancelled."))


@bp.post("/appointments/<int:appointment_id>/move")
@requires(Permission.EDIT_APPOINTMENTS)
def move(appointment_id: int) -> Response:
    row = _load(appointment_id)
    form = _move_form(row)
    if not form.validate():
        return _details(appointment_id, 422, move_form=form)
    zone, length = timetable.zone_of(row.branch), row.end_time - row.start_time

    def work() -> Appointment:
        start, end = booking_rules.local_times(zone, form.date.data, form.time.data, None, length)
        return appointments.move(
            row,
            start,
            end,
            now=utcnow(),
            staff_id=form.staff.data,
            version=form.shown_version,
            overbooking=_overbooking(form),
        )

    try:
        transaction(work)
    except SlotTaken as taken:
        _put(form, taken, "time")
        return _details(appointment_id, 422, move_form=form, conflicts=taken.taken)
    except Conflict as conflict:
        return _details(appointment_id, 409, conflict.message)
    except DomainError as error:
        _put(form, error, "time")
        return _details(appointment_id, 422, move_form=form)
    return _done(appointment_id, _("The appointment has been moved."))


def _done(appointment_id: int, message: str) -> Response:
    toast(message)
    if wants_part():
        return trigger(_details(appointment_id), CHANGED)
    return see_other(url_for("appointments.show", appointment_id=appointment_id))


def _move_form(row: Appointment) -> MoveForm:
    zone = timetable.zone_of(row.branch)
    start = row.start_time.astimezone(zone)
    form = MoveForm(
        formdata=request.form if request.method == "POST" and request.endpoint == "appointments.move" else None,
        data={"date": start.date(), "time": start.time(), "staff": row.staff_id, "version": row.version},
    )
    people = booking_desk.bookable_staff(visible_branch_ids(), row.staff_id)
    form.staff.choices = [("", _("Still open")), *((person.id, person.name) for person in people)]
    return form


def _overbooking(form: WhenForm) -> Overbooking | None:
    return Overbooking(current_user.id, form.reason.data or "") if form.force.data else None


def _put(form: Any, error: DomainError, otherwise: str) -> None:
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
    if request.method != "POST" or "find" in request.form:
        return _form_page(desk)

    def work() -> Appointment:
        return appointments.book_by_hand(desk.plan(), now=utcnow(), call=desk.call, overbooking=_overbooking(desk.form))

    return _save(desk, work, _("The appointment has been booked."))


@bp.route("/appointments/<int:appointment_id>/edit", methods=["GET", "POST"])
@requires(Permission.EDIT_APPOINTMENTS)
def edit(appointment_id: int) -> Response:
    row = _load(appointment_id)
    desk = booking_desk.open_desk(row)
    if request.method != "POST" or "find" in request.form:
        return _form_page(desk)

    def work() -> Appointment:
        return appointments.change_by_hand(
            row,
            desk.plan(),
            now=utcnow(),
            version=desk.form.shown_version,
            overbooking=_overbooking(desk.form),
        )

    return _save(desk, work, _("The appointment has been saved."))


def _save(desk: Desk, work: Callable[[], Appointment], message: str) -> Response:
    form = desk.form
    form.take_slot()
    if not form.validate():
        return _form_page(desk, 422)
    try:
        saved_id = transaction(lambda: work().id)
    except SlotTaken as taken:
        _put(form, taken, "time")
        return _form_page(desk, 422, conflicts=taken.taken)
    except appointments.Changed as conflict:
        return _form_page(desk, 409, message=conflict.message)
    except DomainError as error:
        _put(form, error, "time")
        return _form_page(desk, 422)
    toast(message)
    return see_other(url_for("appointments.show", appointment_id=saved_id))


def _form_page(desk: Desk, status: int = 200, **more: Any) -> Response:
    if desk.row is not None and status != 200:
        desk.row = _load(desk.row.id)  # as it stands now, whatever the attempt has touched
    i18n.set_zone(desk.branch.timezone)
    context = {"desk": desk, "form": desk.form, "conflicts": [], "message": ""} | desk.choices() | more
    return page_or_part("appointments/form.html", "appointments/_form.html", status, **context)


@bp.get("/appointments/slots")
@requires(Permission.EDIT_APPOINTMENTS)
def free_times() -> Response:
    """A part of the form: the free times for what is chosen so far."""
    desk = booking_desk.open_desk(values=request.args)
    if not desk.branches:
        abort(404)
    i18n.set_zone(desk.branch.timezone)
    return make_response(render_template("appointments/_slots.html", form=desk.form, **desk.times()))


@bp.get("/appointments/customers")
@requires(Permission.EDIT_APPOINTMENTS)
def suggestions() -> Response:
    """A part of the form: customers whose name or number begins like that."""
    desk = booking_desk.open_desk(values=request.args)
    return make_response(render_template("appointments/_hits.html", form=desk.form, **desk.people()))
