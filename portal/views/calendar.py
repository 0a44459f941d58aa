"""The calendar: a day by people, a week by days, and on a phone a list by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_login import current_user

from portal import i18n
from portal.db import utcnow
from portal.domain import calendar
from portal.domain.calendar import Wish
from portal.domain.sheet import Sheet
from portal.htmx import page_or_part, polled, wants_part, whole_page
from portal.permissions import Permission, requires, visible_branch_ids

bp = Blueprint("calendar", __name__)

ALL = "all"
YEARS = (2000, 2100)


@dataclass(frozen=True)
class Address:
    """The address of a sheet, to be varied: ``address.to(date=…)``."""

    view: str
    date: str
    branch: str
    staff: str

    def to(self, **changes: object) -> str:
        return url_for("calendar.index", **(vars(self) | changes))


@bp.get("/calendar")
@requires(Permission.VIEW_CALENDAR)
def index() -> Response:
    try:
        sheet = calendar.sheet(_wish(), utcnow())
    except calendar.NotThere:
        abort(404)
    if sheet is None:
        return whole_page("calendar/none.html")
    i18n.set_zone(sheet.zone)
    version, context = f"{sheet.version}-{i18n.language()}", _context(sheet)
    if "v" in request.args and wants_part():
        return polled("calendar/_sheet.html", version, **context)
    return page_or_part("calendar/index.html", "calendar/_part.html", version=version, **context)


def _context(sheet: Sheet) -> dict[str, Any]:
    step = timedelta(days=7 if sheet.view == "week" else 1)
    address = Address(
        view=sheet.view,
        date=sheet.day.isoformat(),
        branch=str(sheet.branch.id) if sheet.branch else ALL,
        staff=str(sheet.staff.id) if sheet.staff else "",
    )
    return {
        "sheet": sheet,
        "address": address,
        "before": sheet.day - step,
        "after": sheet.day + step,
        "is_mine": sheet.staff is not None and sheet.staff.id == current_user.staff_id,
    }


def _wish() -> Wish:
    args = request.args
    view, branch = args.get("view", ""), args.get("branch", "")
    return Wish(
        view=view if view in calendar.VIEWS else calendar.VIEWS[0],
        day=_day(args.get("date")),
        branch_id=_id(branch) if branch != ALL else None,
        every_branch=branch == ALL,
        staff_id=_id(args.get("staff", "")),
        visible=visible_branch_ids(),
        home_staff_id=current_user.staff_id,
        # Staff see their own day unless they ask for another.
        own_first=current_user.role == "staff" and "staff" not in args,
    )


def _id(text: str) -> int | None:
    """An id in an address; '' asks for nothing, and what is no id is nobody's."""
    if not text or text == ALL:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        abort(404)
    return int(text)


def _day(text: str | None) -> date | None:
    """The day of the address; today for anything that is none."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if YEARS[0] <= day.year <= YEARS[1] else None
