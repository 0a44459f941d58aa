"""The first page: how things stand today, and the parts of it that stay up to date."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from flask_babel import gettext as _
from flask_login import current_user

from portal import i18n, shell
from portal.db import utcnow
from portal.domain import dashboard, followup_queue, overview
from portal.domain.dashboard import Line, Money
from portal.htmx import polled, whole_page
from portal.i18n import DEFAULT_ZONE
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views import followups

bp = Blueprint("dashboard", __name__)

# How often a running call is rendered anew, for its clock, where nothing else has changed.
TICK = timedelta(seconds=4)
NOON, EVENING = 11, 18  # from these hours on another greeting fits


@bp.get("/")
@requires(Permission.VIEW_DASHBOARD)
def index() -> Response:
    now, branches, money = utcnow(), visible_branch_ids(), _money(utcnow())
    seen = dashboard.today(now, _zone(), branches)
    lines = dashboard.latest_calls(now, branches) if may(Permission.VIEW_CALLS) else []
    chart = dashboard.chart(seen, branches)
    return whole_page(
        "dashboard/index.html",
        now=now,
        zone=_zone(),
        greeting=_greeting(now),
        branch_names=dashboard.branch_names(branches) if branches else [],
        seen=seen,
        lines=lines,
        live=_is_live(lines),
        appointments=dashboard.next_appointments(now, branches) if may(Permission.VIEW_CALENDAR) else [],
        chart=chart,
        money=money,
        warnings=money.warnings if money else [],
        **_followups(now),
        steps=None if lines or any(day.figures.calls for day in chart) else dashboard.first_steps(),
        version="",
    )


@bp.get("/dashboard/today")
@requires(Permission.VIEW_DASHBOARD)
def today() -> Response:
    """The figures of the day and what needs a look."""
    seen = dashboard.today(utcnow(), _zone(), visible_branch_ids())
    money = _money(utcnow())
    warnings = money.warnings if money else []
    light = overview.pipeline() if may(Permission.VIEW_CALLS) else None
    todo = _followups(utcnow())
    version = _short((seen, warnings, light and light.version, todo["waiting"], [p.row.id for p in todo["promises"]]))
    return polled("dashboard/_today.html", version, seen=seen, warnings=warnings, light=light, zone=_zone(), **todo)


@bp.get("/dashboard/calls")
@requires(Permission.VIEW_CALLS)
def calls() -> Response:
    """The latest calls; the clock of a running one goes on."""
    now = utcnow()
    lines = dashboard.latest_calls(now, visible_branch_ids())
    return polled("dashboard/_calls.html", _version_of(lines, now), lines=lines, live=_is_live(lines), now=now)


@bp.get("/dashboard/balance")
@requires(Permission.VIEW_BALANCE)
def balance() -> Response:
    money = _money(utcnow())
    return polled("dashboard/_balance.html", money.version if money else "-", money=money)


def _followups(now: datetime) -> dict[str, Any]:
    """Who waits for a call, and the promises that nothing keeps; nothing for those who may not see calls."""
    if not may(Permission.VIEW_CALLS):
        return {"waiting": None, "promises": []}
    waiting = shell.waiting()
    rows = followup_queue.broken_promises(followups.reader()) if waiting.people else []
    return {"waiting": waiting, "promises": followups.promised(rows, now)}


def _money(now: datetime) -> Money | None:
    return dashboard.money(now, _zone()) if may(Permission.VIEW_BALANCE) else None


def _zone() -> str:
    """Figures are those of the company's days, whatever zone the reader is in."""
    return current_user.company.timezone if current_user.company else DEFAULT_ZONE


def _greeting(now: datetime) -> str:
    hour, name = now.astimezone(ZoneInfo(_zone())).hour, current_user.name
    if hour < NOON:
        return str(_("Good morning, %(name)s", name=name))
    return str(_("Good day, %(name)s", name=name) if hour < EVENING else _("Good evening, %(name)s", name=name))


def _is_live(lines: list[Line]) -> bool:
    return any(line.outcome.key == "live" for line in lines)


def _version_of(lines: list[Line], now: datetime) -> str:
    tick = int(now.timestamp() / TICK.total_seconds()) if _is_live(lines) else None
    today = i18n.local_day(now)  # a call of another day says which
    return _short(([(line.call.id, line.call.updated_at, line.outcome.key) for line in lines], tick, today))


def _short(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
