"""Closed days of a branch, days with other hours, and its public holidays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import closures, public_holidays, stranded, timetable
from portal.domain.closures import Holiday, Stretch, Wish
from portal.domain.errors import Conflict, DomainError
from portal.domain.hours import words
from portal.domain.public_holidays import WHOLE, Place
from portal.forms.appointments import row_id
from portal.forms.hours import ClosureForm, RegionForm, TypedSpans
from portal.forms.limits import put_beside
from portal.htmx import page_or_part, see_other, toast
from portal.models import Appointment, Branch, BranchClosure
from portal.permissions import Permission, requires
from portal.tenancy import get_or_404
from portal.views.addresses import day_of, id_of
from portal.views.hours import NAMED, branches, choose

bp = Blueprint("closures", __name__, url_prefix="/settings/closures")


@dataclass
class Desk:
    """A branch, what is being entered for it, and which country's regions are on offer."""

    offered: list[Branch]
    branch: Branch
    now: datetime
    form: ClosureForm = field(default_factory=lambda: ClosureForm(formdata=None))
    region_form: RegionForm = field(default_factory=lambda: RegionForm(formdata=None))
    spans: TypedSpans = field(default_factory=lambda: TypedSpans(""))

    @property
    def today(self) -> date:
        return self.now.astimezone(timetable.zone_of(self.branch)).date()

    @property
    def place(self) -> Place | None:
        return timetable.places_of([self.branch])[self.branch.id]

    @property
    def url(self) -> str:
        return url_for(".index", branch=self.branch.id)


def _desk(values: Any) -> Desk:
    offered = branches()
    if not offered:
        abort(404)
    branch = choose(offered, id_of(values.get("branch")))
    i18n.set_zone(timetable.zone_of(branch).key)
    return Desk(offered, branch, utcnow())


# ---- Pages ------------------------------------------------------------------------------------------------------


@bp.get("")
@requires(Permission.MANAGE_HOURS)
def index() -> Response:
    desk = _desk(request.args)
    _start_with(desk, id_of(request.args.get("edit")), day_of(request.args.get("open")))
    return _page(desk)


def _start_with(desk: Desk, edited: int | None, opened: date | None) -> None:
    """An empty form, the entry to be changed, or a holiday on which it is to be open all the same."""
    form = desk.form
    if edited is not None:
        found = closures.find(desk.branch.id, edited) or abort(404)
        form.instead_of.data, form.shown.data, form.reason.data = str(found.id), found.digest, found.reason
        form.first.data, form.last.data = found.first, found.last if found.length > 1 else None
        form.kind.data = "open" if found.spans else "closed"
        desk.spans = TypedSpans.show("", found.spans)
    elif opened is not None:
        name = public_holidays.name(desk.place, opened, i18n.language())
        form.first.data, form.kind.data, form.reason.data = opened, "open", name
        desk.spans.more()
    if not desk.spans.spans:
        desk.spans.add()


def _closure(closure_id: int) -> BranchClosure:
    """The row of a branch that the person may change; 404 for any other."""
    row = get_or_404(BranchClosure, closure_id)
    if row.branch_id not in {each.id for each in branches()}:
        abort(404)
    return row


# ---- Changing ---------------------------------------------------------------------------------------------------


@bp.post("")
@requires(Permission.MANAGE_HOURS)
def save() -> AnyResponse:
    desk = _desk(request.form)
    desk.form, desk.spans = ClosureForm(), TypedSpans.read("", request.form)
    desk.form.offer()
    what, _sep, where = request.form.get("do", "save").partition("-")
    if what == "add":
        desk.spans.more()
        return _page(desk)
    if what == "drop" and (place := row_id(where)) is not None:
        desk.spans.drop(place)
        return _page(desk)
    wish = _wish(desk)
    return _page(desk, 422) if wish is None else _enter(desk, wish)


def _wish(desk: Desk) -> Wish | None:
    """What is to be entered; None if something of it is wrong."""
    form = desk.form
    spans: tuple[Any, ...] | None = ()
    if form.kind.data == "open":
        spans = desk.spans.parsed()
    if not form.validate() or spans is None or form.first.data is None:
        return None
    if form.kind.data == "open" and not spans:
        put_beside(form, "kind", _("Please enter from when until when."))
        desk.spans.add()
        return None
    last, reason = form.last.data or form.first.data, (form.reason.data or "").strip() or None
    wish = Wish(form.first.data, last, spans, reason)
    try:
        closures.check(wish, desk.today)
    except DomainError as error:
        _put(desk, error)
        return None
    return wish


def _enter(desk: Desk, wish: Wish) -> AnyResponse:
    instead_of = id_of(desk.form.instead_of.data)
    lost = _newly_outside(desk, wish, instead_of)
    seal = f"{wish.first}_{wish.last}_{words(wish.spans)}"
    if lost and desk.form.confirmed.data != seal:
        desk.form.confirmed.data = seal
        return _page(desk, 422, lost=lost)
    shown = desk.form.shown.data or ""
    try:
        transaction(lambda: closures.save(desk.branch.id, wish, instead_of, desk.now, desk.today, shown))
    except Conflict as conflict:
        desk.form.instead_of.data = ""  # what was to be changed is gone: saving again enters it anew
        _put(desk, conflict)
        return _page(desk, 409)
    except DomainError as error:
        _put(desk, error)
        return _page(desk, 422)
    toast(_("Saved."))
    return see_other(desk.url)


def _put(desk: Desk, error: DomainError) -> None:
    name, _sep, place = (error.field or "").partition("-")
    if name == "span" and place.isdecimal():
        desk.spans.put(int(place), error.message)
    else:
        put_beside(desk.form, name or None, error.message)


def _newly_outside(desk: Desk, wish: Wish, instead_of: int | None) -> list[Appointment]:
    rows = stranded.coming(desk.branch.id, desk.now)
    table = stranded.timetable_for(desk.branch, rows)
    known = {row.id for row in stranded.outside(table, rows)}
    replaced: set[date] = set(wish.days)
    old = closures.find(desk.branch.id, instead_of) if instead_of is not None else None
    if old is not None:
        replaced |= set(Wish(old.first, old.last).days)
    kept = [row for row in table.closures if row.date not in replaced]
    then = replace(table, closures=[*kept, *closures.rows_of(desk.branch.id, wish)])
    return [row for row in stranded.outside(then, rows) if row.id not in known]


@bp.post("/<int:closure_id>/delete")
@requires(Permission.MANAGE_HOURS)
def delete(closure_id: int) -> AnyResponse:
    row = _closure(closure_id)
    branch_id = row.branch_id
    now, shown = utcnow(), request.form.get("shown")
    try:
        transaction(lambda: closures.remove(branch_id, closure_id, now, shown))
    except DomainError as error:
        toast(error.message, "warn")
    else:
        toast(_("Deleted."))
    return see_other(url_for(".index", branch=branch_id))


@bp.post("/region")
@requires(Permission.MANAGE_SETTINGS)
def region() -> AnyResponse:
    """Whose public holidays count here. Without JavaScript the regions of another country are asked for first."""
    desk = _desk(request.form)
    desk.region_form = RegionForm()
    desk.form.kind.data = "closed"
    desk.spans.add()
    country, wished = desk.region_form.country.data or "", desk.region_form.region.data or ""
    if "show" in request.form:
        desk.region_form.region.data = ""
        return _page(desk)
    try:
        transaction(lambda: closures.observe(desk.branch.id, country if wished else None, wished, desk.now))
    except DomainError as error:
        put_beside(desk.region_form, error.field, error.message)
        return _page(desk, 422)
    toast(_("Saved."))
    return see_other(desk.url)


# ---- What the page shows ----------------------------------------------------------------------------------------


def _countries() -> dict[str, str]:
    names = get_locale().territories
    found = ((code, names.get(code, code)) for code in public_holidays.countries())
    return dict(sorted(found, key=lambda pair: pair[1]))


def _offer_regions(desk: Desk) -> None:
    form, branch = desk.region_form, desk.branch
    if not form.is_submitted():
        form.country.data = branch.country or current_user.company.country
        form.region.data = branch.region or ""
    country = form.country.data if form.country.data in public_holidays.countries() else ""
    known = public_holidays.regions(country) if country else {}
    form.country.choices = _countries()
    whole = {WHOLE: _("only what the whole country observes") if known else _("the whole country")}
    form.region.choices = {"": _("none, we decide ourselves")} | (whole if country else {}) | dict(known)


def _place_words(place: Place | None) -> str:
    """``Deutschland, Berlin``; '' where no public holidays are observed."""
    if place is None:
        return ""
    country = get_locale().territories.get(place.country, place.country)
    return ", ".join(filter(None, (country, public_holidays.regions(place.country).get(place.region))))


def _years(desk: Desk, entered: list[Stretch]) -> list[tuple[int, list[Holiday]]]:
    """The holidays of this year and the next one."""
    if desk.place is None:
        return []
    years = (desk.today.year, desk.today.year + 1)
    return [(year, closures.holidays_of(desk.place, year, i18n.language(), entered)) for year in years]


def _page(desk: Desk, status: int = 200, lost: list[Appointment] | None = None) -> Response:
    desk.form.offer()
    _offer_regions(desk)
    entered = closures.since_new_year(desk.branch.id, desk.today)
    rows = stranded.coming(desk.branch.id, desk.now)
    return page_or_part(
        "hours/closures.html",
        "hours/_closures.html",
        status,
        desk=desk,
        form=desk.form,
        entered=[stretch for stretch in entered if stretch.last >= desk.today],
        past=closures.past(desk.branch.id, desk.today),
        years=_years(desk, entered),
        place=_place_words(desk.place),
        outside=len(stranded.outside(stranded.timetable_for(desk.branch, rows), rows)),
        lost=lost or [],
        named=NAMED,
    )
