"""The day sheet on paper, and the page behind its code: what has changed since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import segno
from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup

from portal import i18n, settings
from portal.db import transaction, utcnow
from portal.domain import calendar, day_prints, discreet, since_print
from portal.domain.calendar import Wish
from portal.domain.day_prints import Paper
from portal.domain.since_print import Since
from portal.extensions import limiter, person_or_address
from portal.forms.day_prints import CodeForm
from portal.htmx import load_whole, page_or_part, polled, see_other, wants_part, whole_page
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views.addresses import ALL, day_of, id_of

bp = Blueprint("day_prints", __name__)

WRONG = (404, 422)


def _was_wrong(response: Response) -> bool:
    """Only wrong codes count: a page that asks for news every 20 seconds is no guessing."""
    return response.status_code in WRONG


# ---- Paper ------------------------------------------------------------------------------------------------------


@bp.get("/calendar/print")
@requires(Permission.VIEW_CALENDAR)
@limiter.limit("60/minute", key_func=person_or_address)
def sheet() -> Response:
    """A sheet with its stamp for each branch asked for. The same state keeps its code, see docs/decisions.md."""
    if elsewhere := load_whole(request.full_path):
        return elsewhere
    try:
        papers = [paper for wish in _wishes() if (paper := _stamped(wish))]
    except calendar.NotThere:
        abort(404)
    if not papers:
        return whole_page("calendar/none.html")
    return make_response(render_template("prints/sheet.html", **_sheet_context(papers)))


def _wishes() -> list[Wish]:
    """One for each sheet: ``branch=all`` are all that the reader sees."""
    args, branch, visible = request.args, request.args.get("branch", ""), visible_branch_ids()
    wish = Wish(
        day=day_of(args.get("date")),
        branch_id=id_of(branch),
        staff_id=id_of(args.get("staff")),
        visible=visible,
        home_staff_id=current_user.staff_id,
    )
    if branch != ALL:
        return [wish]
    return [replace(wish, branch_id=branch_id) for branch_id in day_prints.branches(visible)]


def _stamped(wish: Wish) -> Paper | None:
    """None where there is no such sheet: no branch yet, or a branch of many that the person has no part in."""
    now = utcnow()
    paper = day_prints.look(wish, now)
    if paper is None or (request.args.get("branch") == ALL and wish.staff_id and paper.sheet.staff is None):
        return None
    if paper.code:
        return paper
    return transaction(lambda: day_prints.stamp(paper, wish, now, current_user.id))


def _sheet_context(papers: list[Paper]) -> dict[str, Any]:
    first = papers[0].sheet
    assert first.branch is not None
    return {
        "sheets": [
            {"paper": paper, "entries": _as_seen(paper), "qr": _qr(paper.code), "code": day_prints.shown(paper.code)}
            for paper in papers
        ],
        "now": utcnow(),
        "by": current_user.name,
        "company": current_user.company.name,
        "address": settings().portal_base_url.partition("://")[2],
        "day": first.day,
        "branch_id": first.branch.id if len(papers) == 1 else ALL,
        "staff_id": first.staff.id if first.staff and len(papers) == 1 else "",
        "people": first.people,
    }


def _as_seen(paper: Paper) -> list[Any]:
    """What the reader may know of the customers."""
    names = may(Permission.VIEW_CUSTOMERS)
    return [entry if names else discreet.veiled(entry) for entry in paper.entries]


def _qr(code: str) -> Markup:
    """The address of the changes as a picture, drawn with attributes alone: the page allows no styles."""
    url = settings().portal_base_url + url_for("day_prints.changes", code=code)
    drawn = segno.make(url, error="m", micro=False).svg_inline(omitsize=True, border=2, svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704  made here, from an address of ours


# ---- What has changed since -------------------------------------------------------------------------------------


@bp.get("/calendar/changes")
@requires(Permission.VIEW_CALENDAR)
@limiter.limit("30/minute", key_func=person_or_address, deduct_when=_was_wrong)
def ask() -> Response:
    """The form; with ``?code=`` on to that sheet."""
    if "code" not in request.args:
        return _form("", 200)
    code = day_prints.typed(request.args["code"])
    if code and day_prints.find(code, visible_branch_ids()):
        return see_other(url_for("day_prints.changes", code=code))
    return _form(request.args["code"], 422)


@bp.get("/calendar/changes/<code>")
@requires(Permission.VIEW_CALENDAR)
@limiter.limit("30/minute", key_func=person_or_address, deduct_when=_was_wrong)
def changes(code: str) -> Response:
    found = day_prints.find(code, visible_branch_ids())
    if found is None:
        return _form(code, 404)
    since = since_print.since(found, visible_branch_ids(), utcnow())
    i18n.set_zone(since.zone)
    today = i18n.local_day(utcnow())  # a print of another day says which
    version, context = f"{since.version}-{today}-{i18n.language()}", _changes_context(since)
    if "v" in request.args and wants_part():
        return polled("prints/_changes.html", version, **context)
    return page_or_part("prints/changes.html", "prints/_changes.html", version=version, **context)


def _changes_context(since: Since) -> dict[str, Any]:
    day: dict[str, Any] = {"date": since.day.isoformat(), "branch": since.branch_id, "staff": since.staff_id or ""}
    return {
        "since": since,
        "names": may(Permission.VIEW_CUSTOMERS),
        "code": day_prints.shown(since.code),
        "print_url": url_for("day_prints.sheet", **day),
        "day_url": url_for("calendar.index", view="day", **day),
        "newer": day_prints.shown(since.newer.code) if since.newer else "",
    }


def _form(text: str, status: int) -> Response:
    """The form for a code. Unknown, another company's, another branch's: one and the same answer."""
    form = CodeForm(formdata=None, data={"code": text[:40]})
    if status != 200:
        form.code.errors = [
            _("We do not know this code. Please check it: eight letters and digits, as on the top of the sheet.")
            if day_prints.typed(text)
            else _("Please enter the code that stands on the sheet.")
        ]
    return whole_page("prints/ask.html", status, form=form)
