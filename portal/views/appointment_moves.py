"""Moving an appointment: by its form, or by dropping its box elsewhere on the sheet.

A drop is answered in its own way: nothing but a word where it went well or was refused (the box goes back), and a
question in the panel where somebody else has the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Response, make_response, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import appointments, customer_mail, customer_mail_page, slots, timetable
from portal.domain.errors import Conflict, DomainError
from portal.domain.slots import SlotTaken
from portal.forms.appointments import MoveForm
from portal.htmx import nothing_but, trigger, wants_part
from portal.models import Appointment, Staff, WorkingHours
from portal.permissions import Permission, may, requires
from portal.views import appointment_versions, booking_desk
from portal.views import appointments as pages


@pages.bp.post("/appointments/<int:appointment_id>/move")
@requires(Permission.EDIT_APPOINTMENTS)
def move(appointment_id: int) -> Response:
    row = pages.load(appointment_id)
    form = booking_desk.move_form(row)
    if not form.validate():
        return _refused(appointment_id, form)
    length = form.length or row.end_time - row.start_time
    try:
        if _is_drop():
            _stay_in_branch(row, form.staff.data)
        start, end = booking_desk.times_of(form, timetable.zone_of(row.branch), length, row.start_time)
        moved = transaction(lambda: _move(row, start, end, form))
    except SlotTaken as taken:
        pages.put(form, taken, "time")
        return _asked(appointment_id, form, taken.taken)
    except Conflict as conflict:
        return _overtaken(appointment_id, form, conflict.message)
    except DomainError as error:
        pages.put(form, error, "time")
        return _refused(appointment_id, form)
    return _told(appointment_id, moved)


def _stay_in_branch(row: Appointment, staff_id: int | None) -> None:
    """A box keeps its branch, so it is not for the column of somebody who works at another one."""
    person = db.session.get(Staff, staff_id) if staff_id not in (None, row.staff_id) else None
    if person is None or person.branch_id in (None, row.branch_id):
        return
    here = select(WorkingHours.id).where(WorkingHours.branch_id == row.branch_id, WorkingHours.staff_id == person.id)
    if db.session.scalar(here.where(WorkingHours.is_active).limit(1)) is None:
        words = {"name": person.name, "branch": row.branch.name}
        raise DomainError(
            _("%(name)s does not work at %(branch)s. To change the branch, edit the appointment.", **words), "staff_id"
        )


def _move(row: Appointment, start: datetime, end: datetime, form: MoveForm) -> bool:
    """Whether it stands differently now."""
    now, before = utcnow(), slots.plan_of(row)
    moved = appointments.move(
        row,
        start,
        end,
        now=now,
        staff_id=form.staff.data,
        version=form.shown_version,
        overbooking=pages.overbooking(form),
    )
    # Nothing is asked when a box is dropped: what is easily done by mistake tells nobody. The appointment offers it.
    if form.tell.data:
        customer_mail.tell_change(moved, before, now)
    return slots.plan_of(moved) != before


# ---- Answers ----------------------------------------------------------------------------------------------------


def _is_drop() -> bool:
    return wants_part() and request.form.get("part") == "drop"


def _told(appointment_id: int, moved: bool) -> Response:
    message = _("The appointment has been moved.") if moved else _("The appointment stands there already.")
    if not _is_drop():
        return pages.done(appointment_id, message)
    url = url_for("appointments.show", appointment_id=appointment_id)
    said = {"message": message, "kind": "ok", "url": url, "label": _("Take a look")}
    return trigger(Response(status=204), pages.CHANGED, toast=said)


def _refused(appointment_id: int, form: MoveForm) -> Response:
    if not _is_drop():
        return pages.details(appointment_id, 422, move_form=form)
    reasons = [str(message) for messages in form.errors.values() for message in messages]
    return nothing_but(" ".join([_("Not moved."), *reasons]))


def _overtaken(appointment_id: int, form: MoveForm, message: str) -> Response:
    """Somebody was faster: how it stands now, and what was wanted."""
    wished = appointment_versions.wished_move(pages.load(appointment_id), form)
    answer = pages.details(appointment_id, 409, message, move_form=form, wished=wished)
    return trigger(answer, pages.CHANGED)


def _asked(appointment_id: int, form: MoveForm, taken: Sequence[Appointment]) -> Response:
    if not (wants_part() and request.form.get("part") in ("drop", "question")):
        return pages.details(appointment_id, 422, move_form=form, conflicts=taken)
    row = pages.load(appointment_id)
    form.tell.data = form.tell.data or _is_drop()  # who answers does it on purpose, so the usual tick stands there
    context = {
        "appointment": row,
        "form": form,
        "conflicts": taken,
        "wished": appointment_versions.wished_move(row, form),
        "mail": customer_mail_page.outlook_of_form(row, utcnow(), names=may(Permission.VIEW_CUSTOMERS)),
    }
    return make_response(render_template("appointments/_question.html", **context), 422)
