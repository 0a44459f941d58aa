"""The filters of the list of calls, as they stand in its address."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _

from portal import i18n
from portal.db import utcnow
from portal.domain.call_lists import LENGTHS, Filters
from portal.models.calls import SENTIMENTS, STATUSES
from portal.permissions import Permission, may, visible_branch_ids

RANGES = {"today": 1, "7": 7, "30": 30, "90": 90, "365": 365}
DEFAULT_RANGE = "90"
LONGEST_QUERY = 100
ANSWERS = ("booked", "waits", "recorded")
MORE = ("intent", "length", *ANSWERS, "direction", "status", "from", "to")
NAMES = ("q", "range", "branch", "sentiment", *MORE)


def chosen() -> Filters:
    """The filters in the address; what is no value of a filter is passed over."""
    args = request.args
    first, last = _days(args.get("from"), args.get("to"), args.get("range"))
    return Filters(
        zone=i18n.select_timezone(),
        first=first,
        last=last,
        branch=_id(args.get("branch", "")),
        direction=_one_of(args.get("direction"), ("inbound", "outbound")),
        status=_one_of(args.get("status"), STATUSES),
        sentiment=_one_of(args.get("sentiment"), SENTIMENTS),
        intent=args.get("intent", "")[:100] or None,
        length=_one_of(args.get("length"), tuple(LENGTHS)),
        booked=_yes_or_no("booked"),
        waits=_yes_or_no("waits"),
        recorded=_yes_or_no("recorded"),
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
    return i18n.local_day(utcnow()) - timedelta(days=RANGES[_range(wished)] - 1), None


def _range(wished: str | None) -> str:
    return wished if wished in RANGES else DEFAULT_RANGE


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def _id(text: str) -> int | None:
    """A number that a database can hold."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _one_of(value: str | None, values: tuple[str, ...]) -> str | None:
    return value if value in values else None


def _yes_or_no(name: str) -> bool | None:
    return {"yes": True, "no": False}.get(request.args.get(name, ""))


def typed() -> dict[str, str]:
    """The filters as they stand in the address, for the form."""
    given = {name: request.args.get(name, "") for name in NAMES}
    return given | {"range": _range(given["range"]), "q": given["q"][:LONGEST_QUERY]}


def narrowed() -> bool:
    """Whether one of the filters is used that stand folded away."""
    return any(request.args.get(name) for name in MORE)


def ranges() -> list[tuple[str, str]]:
    return [
        ("today", _("Today")),
        ("7", _("7 days")),
        ("30", _("30 days")),
        ("90", _("90 days")),
        ("365", _("12 months")),
    ]


def address(endpoint: str, **values: Any) -> str:
    """An address with the filters of this one; a page within the list is not a filter."""
    kept: dict[str, Any] = {
        name: value for name, value in typed().items() if value and (name, value) != ("range", DEFAULT_RANGE)
    }
    return url_for(endpoint, **(kept | values))
