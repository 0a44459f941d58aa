"""Absences: who is away when. Managers enter them, everybody sees their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import absences
from portal.domain.absences import Line, Reader, Wish
from portal.domain.errors import Conflict, DomainError
from portal.forms.appointments import row_id
from portal.forms.hours import AbsenceDeletionForm, AbsenceForm, end_of, kind_label, time_of
from portal.forms.limits import put_beside
from portal.htmx import page_or_part, see_other, toast, whole_page
from portal.models import StaffAbsence
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views.addresses import id_of

bp = Blueprint("absences", __name__, url_prefix="/settings/absences")


def reader() -> Reader:
    """The signed-in person as the absences know them."""
    return Reader(may(Permission.MANAGE_HOURS), visible_branch_ids(), current_user.staff_id)


@bp.get("")
@requires(Permission.VIEW_CALENDAR)
def index() -> Response:
    asked, staff_id = reader(), id_of(request.args.get("staff"))
    people = absences.people(asked)
    if staff_id is not None and staff_id not in {person.id for person in people}:
        abort(404)
    is_past = request.args.get("show") == "past"
    found = absences.page(asked, utcnow(), staff_id, is_past, request.args.get("after"))
    shown: dict[str, Any] = {"staff": staff_id, "show": "past" if is_past else None}
    return page_or_part(
        "hours/absences.html",
        "hours/_absences.html",
        page=found,
        people=people,
        staff_id=staff_id,
        is_past=is_past,
        manages=asked.manages,
        kind_label=kind_label,
        older=url_for(".index", **shown, after=found.after) if found.after else None,
    )


@bp.get("/new")
@requires(Permission.MANAGE_HOURS)
def new() -> Response:
    form = AbsenceForm(formdata=None)
    staff_id = id_of(request.args.get("staff"))
    form.staff.data, form.kind.data = str(staff_id or ""), "vacation"
    return _form(form)


@bp.post("/new")
@requires(Permission.MANAGE_HOURS)
def add() -> AnyResponse:
    form, asked = AbsenceForm(), reader()
    form.offer(absences.people(asked))
    return _saved(form, None, lambda wish: absences.add(asked, wish))


@bp.get("/<int:absence_id>")
@requires(Permission.VIEW_CALENDAR)
def show(absence_id: int) -> Response:
    line = _line(absence_id)
    if not may(Permission.MANAGE_HOURS) or line.is_foreign:
        return _facts(line)
    form = AbsenceForm(formdata=None)
    _fill(form, line)
    return _form(form, line)


@bp.post("/<int:absence_id>")
@requires(Permission.MANAGE_HOURS)
def edit(absence_id: int) -> AnyResponse:
    form, asked, line = AbsenceForm(), reader(), _line(absence_id)
    form.offer(absences.people(asked))
    return _saved(form, line, lambda wish: absences.change(asked, absence_id, wish, form.shown.data or ""))


@bp.post("/<int:absence_id>/delete")
@requires(Permission.MANAGE_HOURS)
def delete(absence_id: int) -> AnyResponse:
    line, form = _line(absence_id), AbsenceDeletionForm()
    try:
        transaction(lambda: absences.delete(absence_id, form.shown.data or "", bool(form.knowingly.data)))
    except DomainError as error:
        if not line.is_foreign:
            toast(error.message, "warn")
            return see_other(url_for(".show", absence_id=absence_id))
        put_beside(form, error.field, error.message)
        return _facts(_line(absence_id), 422, form)
    toast(_("Deleted."))
    return see_other(url_for(".index"))


# ---- Pieces -----------------------------------------------------------------------------------------------------


def _line(absence_id: int) -> Line:
    line = absences.find(reader(), absence_id)
    if line is None:
        abort(404)
    i18n.set_zone(line.zone.key)
    return line


def _fill(form: AbsenceForm, line: Line) -> None:
    row, times = line.row, line.times
    form.staff.data, form.kind.data, form.note.data = str(row.staff_id), row.kind, row.note
    form.first.data, form.last.data = line.first, line.last
    if times is not None:
        form.start.data, form.until.data = (f"{moment:%H:%M}" for moment in times)
    form.shown.data = absences.digest(row)


def _saved(form: AbsenceForm, line: Line | None, work: Callable[[Wish], StaffAbsence]) -> AnyResponse:
    wish = _wish(form)
    if wish is None:
        return _form(form, line, 422)
    try:
        row = transaction(lambda: work(wish))
    except DomainError as error:
        if isinstance(error, Conflict) and line is not None:
            return _changed_meanwhile(form, line.row.id, error)
        put_beside(form, error.field, error.message)
        return _form(form, line, 422)
    found = absences.find(reader(), row.id)
    toast(_("Saved."))
    # Where appointments fall into it, the page of the absence names them.
    named = found is not None and found.appointments
    return see_other(url_for(".show", absence_id=row.id) if named else url_for(".index"))


def _wish(form: AbsenceForm) -> Wish | None:
    """What is typed; None if something of it is wrong."""
    right = form.validate()
    times: list[Any] = []
    for typed, read in ((form.start, time_of), (form.until, end_of)):
        at = read(typed.data) if (typed.data or "").strip() else None
        if at is None and (typed.data or "").strip():
            put_beside(form, typed.name, _("Please enter a time such as 9:30."))
            right = False
        times.append(at)
    if not right or form.first.data is None:
        return None
    staff_id = row_id(form.staff.data) or 0
    note = (form.note.data or "").strip() or None
    last = form.last.data or form.first.data
    return Wish(staff_id, form.first.data, last, times[0], times[1], form.kind.data, note)


def _changed_meanwhile(form: AbsenceForm, absence_id: int, error: Conflict) -> AnyResponse:
    """What was typed stays, and what is saved now stands above it; saving again means it."""
    line = absences.find(reader(), absence_id)
    if line is None:
        toast(error.message, "warn")
        return see_other(url_for(".index"))
    form.shown.data = absences.digest(line.row)
    return _form(form, line, 409, error.message)


def _form(form: AbsenceForm, line: Line | None = None, status: int = 200, conflict: str = "") -> Response:
    form.offer(absences.people(reader()))
    return whole_page(
        "hours/absence.html",
        status,
        form=form,
        line=line,
        deletion=_deletion(line),
        appointments=absences.appointments_in(line.row) if line else [],
        conflict=conflict,
        kind_label=kind_label,
    )


def _facts(line: Line, status: int = 200, deletion: AbsenceDeletionForm | None = None) -> Response:
    """What is not changed here: Cal.com's, and one's own."""
    return whole_page(
        "hours/absence.html",
        status,
        form=None,
        line=line,
        deletion=deletion or _deletion(line),
        appointments=absences.appointments_in(line.row),
        conflict="",
        kind_label=kind_label,
    )


def _deletion(line: Line | None) -> AbsenceDeletionForm:
    form = AbsenceDeletionForm(formdata=None)
    form.shown.data = absences.digest(line.row) if line else ""
    return form
