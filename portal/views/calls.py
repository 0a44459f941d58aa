"""The list of calls and the page of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import select

from portal import i18n
from portal.db import db, utcnow
from portal.domain import call_lists, call_words, followup_queue
from portal.domain.call_lists import Cursor, Filters
from portal.domain.call_words import Outcome
from portal.htmx import page_or_part, polled, wants_part, whole_page
from portal.models import Branch, Call
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views import call_filters, call_page

bp = Blueprint("calls", __name__)

# Letters of a summary in the list; all of it stands on the call's own page.
SHORT_SUMMARY = 140


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
    filters, now = call_filters.chosen(), utcnow()
    after, since = Cursor.parse(request.args.get("before")), _since(now)
    found = call_lists.page(filters, since, after)
    flags = followup_queue.flags([call.id for call in found.calls], now)
    rows = [_row(call, found.snippets.get(call.id), now, flags.get(call.id)) for call in found.calls]
    context: dict[str, Any] = {"rows": rows, "older": _older(found.older, since), "today": i18n.local_day(now)}
    if after is not None and wants_part():
        return page_or_part("calls/index.html", "calls/_older.html", **context)
    context |= {"chosen": call_filters.typed(), "narrowed": call_filters.narrowed(), "export": _export(bool(rows))}
    context |= {"searched": bool(filters.query), "first_page": after is None}
    context |= {"counted": None if filters.query or after else call_lists.count(filters)}
    context |= {"live": _live(filters, since, [], now) if after is None and not filters.query else None}
    if wants_part():
        return page_or_part("calls/index.html", "calls/_list.html", **context)
    choices = {"ranges": call_filters.ranges(), "intents": call_words.intents(), "branches": _branches()}
    return whole_page("calls/index.html", **choices, **context)


def _older(cursor: Cursor | None, since: datetime) -> str | None:
    """The address of the next page."""
    since_then = call_lists.micros(since)
    return call_filters.address("calls.index", before=str(cursor), since=since_then) if cursor else None


@bp.get("/calls/live")
@requires(Permission.VIEW_CALLS)
def live() -> Response:
    """Calls in progress and those that have come since the list was shown, as the top part of its table."""
    now = utcnow()
    part = _live(call_filters.chosen(), _since(now), _seen(), now)
    return polled("calls/_live.html", part.pop("version"), today=i18n.local_day(now), **part)


def _live(filters: Filters, since: datetime, seen: list[int], now: datetime) -> dict[str, Any]:
    """What ``_live.html`` shows: its rows, the version of what they say, and where the next version is found."""
    found = call_lists.live(filters, since, seen, now)
    flags = followup_queue.flags([call.id for call, _said in found], now)
    rows = [_row(call, [(words, False)] if words else None, now, flags.get(call.id)) for call, words in found]
    running = any(row.outcome.key == "live" for row in rows)
    told = [(row.call.id, row.call.updated_at, row.said, row.outcome.key) for row in rows]
    version = call_page.version((told, i18n.local_day(now)), now if running else None)
    stay = [call.id for call, _said in found if call.created_at <= since]
    address = call_filters.address("calls.live", since=call_lists.micros(since), seen=",".join(map(str, stay)) or None)
    return {"live_rows": rows, "version": version, "address": address}


def _export(any_rows: bool) -> str | None:
    return call_filters.address("call_exports.as_csv") if any_rows and may(Permission.EXPORT_CALLS) else None


def _row(call: Call, said: list[tuple[str, bool]] | None, now: datetime, flag: Outcome | None = None) -> Row:
    outcome = followup_queue.shown(call_words.outcome(call, now), flag)
    running = outcome.key == "live"
    # Never connected: there is no duration, not one of 0:00.
    seconds = call_words.seconds_running(call, now) if running else call.duration_seconds or None
    return Row(call, outcome, said or [(_short(call.summary or ""), False)], seconds, i18n.local_day(call.started_at))


def _short(text: str) -> str:
    return text if len(text) <= SHORT_SUMMARY else text[:SHORT_SUMMARY].rpartition(" ")[0] + " …"


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
    return whole_page("calls/show.html", **call_page.of(call_id))


@bp.get("/calls/<int:call_id>/now")
@requires(Permission.VIEW_CALLS)
def now(call_id: int) -> Response:
    """The page's content, for its poll while the call is running or waits to be evaluated."""
    page = call_page.of(call_id)
    return polled("calls/_call.html", page.pop("version"), **page)
