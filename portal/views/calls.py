"""The list of calls and the page of one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select

from portal import i18n
from portal.db import db, utcnow
from portal.domain import call_lists, call_pages, call_words, transcripts
from portal.domain.call_lists import Cursor, Filters
from portal.domain.call_words import Outcome
from portal.filters import money
from portal.htmx import page_or_part, polled, wants_part, whole_page
from portal.models import Branch, Call
from portal.models.calls import SENTIMENTS, STATUSES
from portal.permissions import Permission, may, requires, visible_branch_ids

bp = Blueprint("calls", __name__)

RANGES = {"today": 1, "7": 7, "30": 30, "90": 90, "365": 365}
DEFAULT_RANGE = "90"
LONGEST_QUERY = 100
# Letters of a summary in the list; all of it stands on the call's own page.
SHORT_SUMMARY = 140
# How often a running call is rendered anew, for its clock, where nothing else has changed.
TICK = timedelta(seconds=3)
# The analysis comes half a minute after the call; this long the page waits for it by itself.
ANALYSIS_COMES = timedelta(minutes=10)


# ---- The list -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A call as a line of the list: ``said`` are parts of text with whether each was searched for."""

    call: Call
    outcome: Outcome
    said: list[tuple[str, bool]]
    seconds: int | None
    day: date


@bp.get("/calls")
@requires(Permission.VIEW_CALLS)
def index() -> Response:
    filters, now = _filters(), utcnow()
    after, since = Cursor.parse(request.args.get("before")), _since(now)
    found = call_lists.page(filters, since, after)
    rows = [_row(call, found.snippets.get(call.id), now) for call in found.calls]
    older = _address("calls.index", before=str(found.older), since=call_lists.micros(since)) if found.older else None
    context: dict[str, Any] = {"rows": rows, "older": older, "today": _today(now), "searched": bool(filters.query)}
    if after is not None and wants_part():
        return page_or_part("calls/index.html", "calls/_older.html", **context)
    context |= {"filters": filters, "chosen": _chosen(), "ranges": _ranges(), "first_page": after is None}
    context |= {"counted": None if filters.query or after else call_lists.count(filters)}
    context |= {"live": _live(filters, since, [], now) if after is None and not filters.query else None}
    if wants_part():
        return page_or_part("calls/index.html", "calls/_list.html", **context)
    return whole_page("calls/index.html", branches=_branches(), **context)


@bp.get("/calls/live")
@requires(Permission.VIEW_CALLS)
def live() -> Response:
    """Calls in progress and those that have come since the list was shown, as the top part of its table."""
    now = utcnow()
    part = _live(_filters(), _since(now), _seen(), now)
    return polled("calls/_live.html", part.pop("version"), today=_today(now), **part)


def _live(filters: Filters, since: datetime, seen: list[int], now: datetime) -> dict[str, Any]:
    """What ``_live.html`` shows: its rows, the version of what they say, and where the next version is found."""
    found = call_lists.live(filters, since, seen, now)
    rows = [_row(call, [(words, False)] if words else None, now) for call, words in found]
    running = any(row.outcome.key == "live" for row in rows)
    version = _version([(row.call.id, row.call.updated_at, row.said) for row in rows], now if running else None)
    stay = [call.id for call, _said in found if call.created_at <= since]
    address = _address("calls.live", since=call_lists.micros(since), seen=",".join(map(str, stay)) or None)
    return {"live_rows": rows, "version": version, "address": address}


def _row(call: Call, said: list[tuple[str, bool]] | None, now: datetime) -> Row:
    outcome = call_words.outcome(call, now)
    running = outcome.key == "live"
    # Never connected: there is no duration, not one of 0:00.
    seconds = call_words.seconds_running(call, now) if running else call.duration_seconds or None
    return Row(call, outcome, said or [(_short(call.summary or ""), False)], seconds, _local_day(call.started_at))


def _short(text: str) -> str:
    return text if len(text) <= SHORT_SUMMARY else text[:SHORT_SUMMARY].rpartition(" ")[0] + " …"


def _filters() -> Filters:
    """The filters in the address; what is no value of a filter is passed over."""
    args = request.args
    first, last = _days(args.get("from"), args.get("to"), args.get("range"))
    return Filters(
        zone=i18n.select_timezone(),
        first=first,
        last=last,
        branch=args.get("branch", type=int),
        direction=_one_of(args.get("direction"), ("inbound", "outbound")),
        status=_one_of(args.get("status"), STATUSES),
        sentiment=_one_of(args.get("sentiment"), SENTIMENTS),
        booked={"yes": True, "no": False}.get(args.get("booked", "")),
        query=args.get("q", "").strip()[:LONGEST_QUERY],
        branches=visible_branch_ids(),
        read=may(Permission.READ_TRANSCRIPTS),
        country=i18n.country(),
    )


def _days(first: str | None, last: str | None, wished: str | None) -> tuple[date | None, date | None]:
    """The two days that were entered, else the last so many days up to today."""
    start, end = _day(first), _day(last)
    if start or end:
        return start, end
    return _today(utcnow()) - timedelta(days=RANGES[_range(wished)] - 1), None


def _range(wished: str | None) -> str:
    return wished if wished in RANGES else DEFAULT_RANGE


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def _one_of(value: str | None, values: tuple[str, ...]) -> str | None:
    return value if value in values else None


def _chosen() -> dict[str, str]:
    """The filters as they stand in the address, for the form."""
    names = ("q", "range", "from", "to", "branch", "direction", "status", "sentiment", "booked")
    chosen = {name: request.args.get(name, "") for name in names}
    return chosen | {"range": _range(chosen["range"]), "q": chosen["q"][:LONGEST_QUERY]}


def _ranges() -> list[tuple[str, str]]:
    return [
        ("today", _("Today")),
        ("7", _("7 days")),
        ("30", _("30 days")),
        ("90", _("90 days")),
        ("365", _("12 months")),
    ]


def _address(endpoint: str, **values: Any) -> str:
    """An address with the filters of this one; a page within the list is not a filter."""
    kept: dict[str, Any] = {
        name: value for name, value in _chosen().items() if value and (name, value) != ("range", DEFAULT_RANGE)
    }
    return url_for(endpoint, **(kept | values))


def _since(now: datetime) -> datetime:
    """When the list was shown first: what has come since stands above it."""
    given = request.args.get("since", type=int)
    return min(call_lists.from_micros(given), now) if given and given > 0 else now


def _seen() -> list[int]:
    return [int(part) for part in request.args.get("seen", "").split(",")[:50] if part.isdecimal() and len(part) < 19]


def _branches() -> list[tuple[int, str]]:
    """The branches that the reader may choose from."""
    query = select(Branch.id, Branch.name).where(Branch.is_active).order_by(Branch.is_primary.desc(), Branch.name)
    visible = visible_branch_ids()
    return [(row.id, row.name) for row in db.session.execute(query) if visible is None or row.id in visible]


# ---- One call -------------------------------------------------------------------------------------------------


@bp.get("/calls/<int:call_id>")
@requires(Permission.VIEW_CALLS)
def show(call_id: int) -> Response:
    return whole_page("calls/show.html", **_call_page(call_id))


@bp.get("/calls/<int:call_id>/now")
@requires(Permission.VIEW_CALLS)
def now(call_id: int) -> Response:
    """The page's content, for its poll while the call is running or waits to be evaluated."""
    page = _call_page(call_id)
    return polled("calls/_call.html", page.pop("version"), **page)


def _call_page(call_id: int) -> dict[str, Any]:
    read, moment = may(Permission.READ_TRANSCRIPTS), utcnow()
    call = call_pages.load(call_id, visible_branch_ids(), read=read) or abort(404)
    i18n.set_zone(call.branch.timezone if call.branch else None)
    outcome = call_words.outcome(call, moment)
    running = outcome.key == "live"
    content = call.content if read else None
    said = transcripts.lines(*_spoken(content), i18n.language(), i18n.zone())
    changed = (call.updated_at, content.updated_at if content else None, call.customer_id, call.appointment_id)
    return {
        "call": call,
        "outcome": outcome,
        "seconds": call_words.seconds_running(call, moment) if running else call.duration_seconds or None,
        "running": running,
        "today": _today(moment),
        "polls": running or _is_awaited(call, moment),
        "version": _version(changed, moment if running else None),
        "lines": said,
        "may_read": read,
        "name_said": call_words.name_said(call),
        "facts": call_words.facts(call.custom_data, i18n.language(), i18n.zone()),
        "matter": call_words.intent(call.intent) if call.intent else "",
        "ended_because": call_words.end_reason(call.end_reason, call.direction),
        "next_appointment": _next_appointment(call, moment),
        **_money(call),
    }


def _spoken(content: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if content is None:
        return [], []
    return content.turns or transcripts.turns_of(content.transcript or ""), content.tool_calls or []


def _is_awaited(call: Call, moment: datetime) -> bool:
    """Whether the call has ended just now, so that its evaluation is still to come."""
    ended = call.ended_at or call.updated_at
    return call.analyzed_at is None and call.status != "in_progress" and ended > moment - ANALYSIS_COMES


def _next_appointment(call: Call, moment: datetime) -> Any:
    if call.customer is None or not may(Permission.VIEW_CALENDAR):
        return None
    return call_pages.next_appointment(call.customer, call.appointment_id, moment)


def _money(call: Call) -> dict[str, Any]:
    """What only those may see who may see the balance."""
    if not may(Permission.VIEW_BALANCE):
        return {"cost": None, "reserved": None, "events": call_pages.timeline(call)}
    cost = call_pages.cost(call)
    charged = money(cost.charge.amount_charged) if cost else ""
    reserved = None if cost else call_pages.reserved(call)
    return {"cost": cost, "reserved": reserved, "events": call_pages.timeline(call, charged)}


# ---- Both -----------------------------------------------------------------------------------------------------


def _version(state: object, ticking: datetime | None) -> str:
    """A short name for what is shown; changes with the clock while a call is running."""
    tick = int(ticking.timestamp() / TICK.total_seconds()) if ticking else 0
    told = f"{state!r}|{tick}|{i18n.language()}|{current_user.id}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _today(moment: datetime) -> date:
    return _local_day(moment)


def _local_day(moment: datetime) -> date:
    return moment.astimezone(i18n.zone()).date()
