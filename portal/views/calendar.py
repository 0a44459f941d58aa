"""The calendar: a day by people, a week by days, a month at a glance, and a list; on a phone lists by time."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_login import current_user

from portal import i18n
from portal.db import utcnow
from portal.domain import calendar, calendar_list, calendar_month, discreet
from portal.domain.calendar import Wish
from portal.domain.calendar_list import Agenda, Filters, Place, Stretch
from portal.domain.calendar_month import Month
from portal.domain.sheet import Sheet, View
from portal.htmx import page_or_part, polled, wants_part, whole_page
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views.addresses import ALL, FIRST_DAY, LAST_DAY, day_of, id_of

bp = Blueprint("calendar", __name__)

LONGEST_QUERY = 100
STEPS = {"day": 1, "week": 7, "list": calendar_list.DAYS_COUNTED}
PARTS = {"month": "calendar/_month.html", "list": "calendar/_stretch.html"}


@dataclass(frozen=True)
class Address:
    """The address of a view, to be varied: ``address.to(date=…)``."""

    view: str
    date: str
    branch: str
    staff: str
    status: str = ""
    q: str = ""

    def to(self, **changes: object) -> str:
        values = vars(self) | changes
        only_of_lists = () if values["view"] == "list" else ("status", "q")
        kept = {name: value for name, value in values.items() if name not in only_of_lists}
        return url_for("calendar.index", **{name: kept[name] for name in kept if kept[name] or name == "staff"})


@bp.get("/calendar")
@requires(Permission.VIEW_CALENDAR)
def index() -> Response:
    try:
        shown = _read(utcnow())
    except calendar.NotThere:
        abort(404)
    if shown is None:
        return whole_page("calendar/none.html")
    if not may(Permission.VIEW_CUSTOMERS):
        shown = discreet.view(shown)
    i18n.set_zone(shown.zone)
    version, context = f"{shown.version}-{i18n.language()}", _context(shown)
    if "v" in request.args and wants_part():
        return polled(PARTS.get(shown.view, "calendar/_sheet.html"), version, **context)
    part = "calendar/_more.html" if shown.view == "list" and _asks_for_more() else "calendar/_part.html"
    return page_or_part("calendar/index.html", part, version=version, **context)


def _read(now: datetime) -> Sheet | Month | Agenda | None:
    wish = _wish()
    if wish.view == "month":
        return calendar_month.month(wish, now)
    if wish.view == "list":
        return calendar_list.agenda(wish, _filters(), _stretch(), now)
    return calendar.sheet(wish, now)


def _context(shown: Sheet | Month | Agenda) -> dict[str, Any]:
    address = Address(
        view=shown.view,
        date=shown.day.isoformat(),
        branch=str(shown.branch.id) if shown.branch else ALL,
        staff=str(shown.staff.id) if shown.staff else "",
        status=shown.status if isinstance(shown, Agenda) else "",
        q=shown.query if isinstance(shown, Agenda) else "",
    )
    return {
        "sheet": shown,
        "address": address,
        "before": _turned(shown, -1),
        "after": _turned(shown, 1),
        "first_day": FIRST_DAY,
        "last_day": LAST_DAY,
        "backwards": isinstance(shown, Agenda) and _stretch().backwards,
        "says_zone": shown.mixed_zones or current_user.timezone not in {None, "", shown.zone},
        "is_mine": shown.staff is not None and shown.staff.id == current_user.staff_id,
    }


def _turned(shown: View, pages: int) -> date:
    """The day of the address one page on or back; the first and the last day have none behind them."""
    if shown.view == "month":
        there = _other_month(shown.day, pages)
    else:
        there = shown.day + timedelta(days=pages * STEPS[shown.view])
    return min(max(there, FIRST_DAY), LAST_DAY)


def _other_month(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(min(year, MAXYEAR), month + 1, min(day.day, monthrange(year, month + 1)[1]))


# ---- The address ------------------------------------------------------------------------------------------------


def _wish() -> Wish:
    args = request.args
    view, branch = args.get("view", ""), args.get("branch", "")
    return Wish(
        view=view if view in calendar.VIEWS else calendar.VIEWS[0],
        day=day_of(args.get("date")),
        branch_id=id_of(branch),
        every_branch=branch == ALL,
        all_by_default=current_user.role == "owner",
        staff_id=id_of(args.get("staff")),
        visible=visible_branch_ids(),
        home_staff_id=current_user.staff_id,
        # Staff see their own day unless they ask for another.
        own_first=current_user.role == "staff" and "staff" not in args,
    )


def _filters() -> Filters:
    status = request.args.get("status", "")
    # Whoever may not know customers must not find out by searching whose an appointment is.
    query = request.args.get("q", "") if may(Permission.VIEW_CUSTOMERS) else ""
    return Filters(
        status=status if status in calendar_list.FILTERS else "",
        query=query.strip()[:LONGEST_QUERY],
        country=i18n.country(),
    )


def _stretch() -> Stretch:
    """The page of the list. A part that is shown anew keeps its ends, so it may have grown."""
    low, high = Place.parse(request.args.get("from")), Place.parse(request.args.get("to"))
    is_anew = "v" in request.args and wants_part()
    return Stretch(low, high, calendar_list.MOST_SHOWN if is_anew else calendar_list.PAGE)


def _asks_for_more() -> bool:
    """Whether the list is to go on where it ends, instead of being shown from another day."""
    return "from" in request.args or "to" in request.args
