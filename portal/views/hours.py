"""Working hours: the week of a branch, or of a person at a branch."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n
from portal.db import db, transaction, utcnow
from portal.domain import hours, stranded, timetable
from portal.domain.availability import Interval, day_bounds, subtract
from portal.domain.errors import Conflict, DomainError
from portal.domain.hours import ALWAYS, Plan, Season, Whose, Wrong
from portal.domain.timetable import SpecialDay, Timetable
from portal.forms.appointments import row_id
from portal.forms.hours import HoursForm, TypedWeek, kind_label
from portal.forms.limits import put_beside
from portal.htmx import page_or_part, see_other, toast, whole_page
from portal.models import Appointment, Branch, Staff, StaffAbsence
from portal.permissions import Permission, requires, sees_branch, visible_branch_ids
from portal.views.addresses import id_of

bp = Blueprint("hours", __name__, url_prefix="/settings/hours")

NEW = "new"
NAMED = 5  # appointments that a note names; all are on a page of their own


# ---- Which branch and who ---------------------------------------------------------------------------------------


def branches() -> list[Branch]:
    """The branches whose hours the signed-in person may change, the main one first."""
    query = select(Branch).where(Branch.is_active).order_by(Branch.is_primary.desc(), Branch.name, Branch.id)
    visible = visible_branch_ids()
    if visible is not None:
        query = query.where(Branch.id.in_(visible))
    return list(db.session.scalars(query))


def choose(offered: list[Branch], wished: int | None) -> Branch:
    """The branch of the address, else the first; 404 for any other."""
    found = [branch for branch in offered if wished in (None, branch.id)]
    return found[0] if found else abort(404)


@dataclass
class Desk:
    """Whose hours are on the table, what is saved, and what is being typed. ``key`` None: a new season."""

    offered: list[Branch]
    branch: Branch
    here: list[Staff]
    elsewhere: list[Staff]
    person: Staff | None
    now: datetime
    plan: Plan
    key: str | None = ALWAYS
    form: HoursForm = field(default_factory=lambda: HoursForm(formdata=None))
    week: TypedWeek = field(default_factory=lambda: TypedWeek.show(Season().days))

    @property
    def whose(self) -> Whose:
        return Whose(self.branch.id, self.person.id if self.person else None)

    @property
    def today(self) -> date:
        return self.now.astimezone(timetable.zone_of(self.branch)).date()

    @property
    def follows(self) -> bool:
        """Whether the person works when the branch is open."""
        return self.person is not None and not self.plan.seasons

    def url(self, **values: Any) -> str:
        staff = self.person.id if self.person else None
        return url_for(".index", **({"branch": self.branch.id, "staff": staff} | values))


def _desk(values: Any) -> Desk:
    offered = branches()
    if not offered:
        abort(404)
    branch = choose(offered, id_of(values.get("branch")))
    here, elsewhere = hours.people_of(branch, visible_branch_ids())
    staff_id = id_of(values.get("staff"))
    person = next((each for each in [*here, *elsewhere] if each.id == staff_id), None)
    if staff_id is not None and person is None:
        abort(404)
    i18n.set_zone(timetable.zone_of(branch).key)
    whose = Whose(branch.id, staff_id)
    return Desk(offered, branch, here, elsewhere, person, utcnow(), hours.plan_of(whose))


# ---- Pages ------------------------------------------------------------------------------------------------------


@bp.get("")
@requires(Permission.MANAGE_HOURS)
def index() -> Response:
    desk = _desk(request.args)
    wished = request.args.get("season", ALWAYS)
    desk.key = None if wished == NEW else wished if desk.plan.season(wished) else ALWAYS
    season = desk.plan.season(desk.key or ALWAYS) or Season()
    desk.week = TypedWeek.show((_copied(desk) or season).days)
    desk.form.season.data, desk.form.shown.data = NEW if desk.key is None else desk.key, desk.plan.digest
    if desk.key:
        desk.form.first.data, desk.form.last.data = season.first, season.last
    return _page(desk)


def _copied(desk: Desk) -> Season | None:
    """The week of another person or branch, to start from: ``copy=3`` is a branch, ``3-5`` a person there."""
    if desk.follows and "own" in request.args:
        return hours.plan_of(Whose(desk.branch.id)).always
    branch_id, _sep, staff_id = request.args.get("copy", "").partition("-")
    if not branch_id:
        return None
    source = choose(desk.offered, id_of(branch_id))
    person = id_of(staff_id)
    if person is not None and person not in {each.id for each in [*desk.here, *desk.elsewhere]}:
        abort(404)
    plan = hours.plan_of(Whose(source.id, person))
    return plan.always if plan.seasons else hours.plan_of(Whose(source.id)).always


@bp.get("/outside")
@requires(Permission.MANAGE_HOURS)
def outside() -> Response:
    """The appointments to come that do not lie within the hours."""
    desk = _desk(request.args)
    rows = stranded.coming(desk.branch.id, desk.now, desk.whose.staff_id)
    found = stranded.outside(stranded.timetable_for(desk.branch, rows), rows)
    return whole_page("hours/outside.html", desk=desk, appointments=found)


# ---- Changing ---------------------------------------------------------------------------------------------------


@bp.post("")
@requires(Permission.MANAGE_HOURS)
def save() -> AnyResponse:
    desk = _desk(request.form)
    desk.form, desk.week = HoursForm(), TypedWeek.read(request.form)
    key = desk.form.season.data or ALWAYS
    desk.key = None if key == NEW else key
    what, _sep, where = request.form.get("do", "save").partition("-")
    if what in ("add", "drop", "copy"):
        _type(desk.week, what, where)
        return _page(desk)
    if what == "branch":
        return _change(desk, what, Plan(), lambda: hours.drop(desk.whose, None, _shown(desk), desk.now))
    if what == "delete" and desk.key:
        after = desk.plan.with_season(Season(), desk.key)
        return _change(desk, what, after, lambda: hours.drop(desk.whose, desk.key, _shown(desk), desk.now))
    return _save_week(desk)


def _type(week: TypedWeek, what: str, where: str) -> None:
    """What the buttons within the form do: nothing is saved."""
    day, _sep, place = where.partition("-")
    if what == "copy":
        source, targets = request.form.get("source", ""), request.form.getlist("target")
        week.copy(row_id(source) or 0, [row_id(each) or 0 for each in targets])
    elif typed := week.days.get(row_id(day) or 0):
        if what == "add":
            typed.more()
        elif (at := row_id(place)) is not None:
            typed.drop(at)


def _save_week(desk: Desk) -> AnyResponse:
    days = desk.week.parsed()
    if not desk.form.validate() or days is None:
        return _page(desk, 422)
    season = Season(days, desk.form.first.data, desk.form.last.data)
    try:
        after = hours.check(desk.plan, season, desk.key)
    except Wrong as wrong:
        return _refused(desk, wrong)
    return _change(desk, "save", after, lambda: hours.save(desk.whose, season, desk.key, _shown(desk), desk.now))


def _change(desk: Desk, what: str, after: Plan, work: Callable[[], Plan]) -> AnyResponse:
    """Do it, once the person knows which appointments it leaves outside."""
    lost = _newly_outside(desk, after) if desk.plan.digest == _shown(desk) else []
    if lost and desk.form.confirmed.data != after.digest:
        desk.form.confirmed.data = after.digest
        return _page(desk, 422, lost=lost, what=what)
    try:
        saved = transaction(work)
    except Wrong as wrong:
        return _refused(desk, wrong)
    except Conflict as conflict:
        return _changed_meanwhile(desk, conflict)
    toast(_("Saved."))
    key = next((season.key for season in saved.seasons if season not in desk.plan.seasons), ALWAYS)
    return see_other(desk.url(season=key or None))


def _shown(desk: Desk) -> str:
    return desk.form.shown.data or ""


def _refused(desk: Desk, wrong: Wrong) -> Response:
    desk.week.put(wrong.problems)
    for name in ("first", "last", "week"):
        if name in wrong.problems:
            put_beside(desk.form, name if name != "week" else None, wrong.problems[name])
    return _page(desk, 422)


def _changed_meanwhile(desk: Desk, conflict: DomainError) -> Response:
    """Both are shown: what was typed, and what is saved; saving again means it."""
    desk.plan = hours.plan_of(desk.whose)
    desk.form.shown.data = desk.plan.digest
    if desk.key and desk.plan.season(desk.key) is None:
        desk.key, desk.form.season.data = None, NEW
    saved = desk.plan.season(desk.key or ALWAYS) or Season()
    return _page(desk, 409, conflict=conflict.message, saved=saved)


def _newly_outside(desk: Desk, after: Plan) -> list[Appointment]:
    rows = stranded.coming(desk.branch.id, desk.now, desk.whose.staff_id)
    table = stranded.timetable_for(desk.branch, rows)
    known = {row.id for row in stranded.outside(table, rows)}
    return [row for row in stranded.outside(_with(table, desk.whose, after), rows) if row.id not in known]


def _with(table: Timetable, whose: Whose, plan: Plan) -> Timetable:
    """The timetable as it would be with this plan."""
    others = [row for row in table.hours if Whose(row.branch_id, row.staff_id) != whose]
    return replace(table, hours=[*others, *hours.rows_of(whose, plan)])


# ---- What the page shows ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ahead:
    """A day of the coming week. ``spans`` None: no hours are known."""

    day: date
    spans: list[Interval] | None
    special: SpecialDay | None
    away: str


def _ahead(desk: Desk) -> list[Ahead]:
    days = [desk.today + timedelta(days=offset) for offset in range(7)]
    table = timetable.load(desk.branch, desk.whose.staff_id, days[0], days[-1])
    if plan := _typed_plan(desk):
        table = _with(table, desk.whose, plan)
    return [_day_ahead(desk, table, day) for day in days]


def _typed_plan(desk: Desk) -> Plan | None:
    """The plan with what is being typed, as far as it is right."""
    days = deepcopy(desk.week).parsed()
    if days is None or (desk.key is None and desk.form.first.data is None and desk.form.last.data is None):
        return None
    try:
        return hours.check(desk.plan, Season(days, desk.form.first.data, desk.form.last.data), desk.key)
    except Wrong:
        return None


def _day_ahead(desk: Desk, table: Timetable, day: date) -> Ahead:
    special = table.closure(desk.branch.id, day)
    if desk.person is None:
        return Ahead(day, table.open(desk.branch.id, day), special, "")
    away = table.away(desk.person.id, day_bounds(day, table.zones[desk.branch.id]))
    spans = table.works(desk.person.id, desk.branch.id, day)
    left = subtract(spans, [Interval(row.starts_at, row.ends_at) for row in away]) if spans is not None else None
    return Ahead(day, left, special, _why_away(desk.person, away))


def _why_away(person: Staff, away: list[StaffAbsence]) -> str:
    """The kind is told to those who manage the person; who only lends them a branch hears that they are away."""
    if not away:
        return ""
    is_managed = person.branch_id is None or sees_branch(person.branch_id)
    return kind_label(away[0].kind) if is_managed else _("away")


def _sources(desk: Desk) -> list[tuple[str, str]]:
    """Whose week could be taken over."""
    others = [(str(each.id), each.name) for each in desk.offered if Whose(each.id) != desk.whose]
    staff = [row.staff_id for row in timetable.hours_of([desk.branch.id]) if row.staff_id != desk.whose.staff_id]
    people = [each for each in [*desk.here, *desk.elsewhere] if each.id in staff]
    return [*((f"{desk.branch.id}-{each.id}", each.name) for each in people), *others]


def _page(
    desk: Desk,
    status: int = 200,
    lost: list[Appointment] | None = None,
    what: str = "save",
    conflict: str = "",
    saved: Season | None = None,
) -> Response:
    rows = stranded.coming(desk.branch.id, desk.now, desk.whose.staff_id)
    return page_or_part(
        "hours/index.html",
        "hours/_hours.html",
        status,
        desk=desk,
        form=desk.form,
        ahead=_ahead(desk),
        outside=len(stranded.outside(stranded.timetable_for(desk.branch, rows), rows)),
        sources=_sources(desk),
        draft="copy" in request.args,
        entering=request.method == "POST" or "own" in request.args or "copy" in request.args,
        lost=lost or [],
        named=NAMED,
        what=what,
        conflict=conflict,
        saved=TypedWeek.show(saved.days) if saved else None,
    )
