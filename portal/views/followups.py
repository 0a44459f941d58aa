"""The queue of calls that need a person, and what people do with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n, shell
from portal.db import transaction, utcnow
from portal.domain import followup_due, followup_free, followup_queue, followup_words, followup_work, stats
from portal.domain.errors import Conflict, DomainError
from portal.domain.followup_queue import ALL, MINE, NOBODYS, Group, Reader
from portal.domain.followup_work import Shown, Worker
from portal.forms.followups import TermsForm
from portal.htmx import page_or_part, polled, see_other, toast, wants_part, whole_page
from portal.models import CallFollowup, CallNote
from portal.navigation import COUNTED
from portal.permissions import Permission, may, requires, visible_branch_ids

bp = Blueprint("followups", __name__, url_prefix="/calls/follow-ups")

WHO = (ALL, MINE, NOBODYS)
MOST_ENTRIES = 50
SHOWN_NOTES = 3
MOST_LOOKED_UP = 5  # promised times that are looked up in the calendar


# ---- The queue ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """One caller as the page shows them. ``entries`` are the tokens of what is shown; ``book`` leads to the form.

    ``promised`` is the id of its broken promise, or 0; ``free`` says whether that could still be entered, None where it
    is not known.
    """

    group: Group
    entries: list[str]
    is_late: bool
    promise: str
    book: str
    promised: int
    zone: str
    free: bool | None = None
    people: Sequence[tuple[int, str]] = ()
    notes: Sequence[CallNote] = ()


@bp.get("")
@requires(Permission.VIEW_CALLS)
def index() -> Response:
    return _queue()


@bp.get("/now")
@requires(Permission.VIEW_CALLS)
def now() -> Response:
    """The queue for its own poll."""
    page = _page(utcnow())
    return polled("followups/_queue.html", page.pop("version"), badge=_badge(), **page)


def _queue(status: int = 200, message: str = "", problem: tuple[int, str] | None = None) -> Response:
    page = _page(utcnow()) | {"message": message, "problem": problem, "badge": _badge() if wants_part() else None}
    return page_or_part("followups/index.html", "followups/_queue.html", status, **page)


def _badge() -> tuple[int, str]:
    """What the menu counts, for parts: it stands outside of them."""
    number = shell.menu_counts()["follow_ups"]
    return number, COUNTED["follow_ups"](number)


def reader() -> Reader:
    """The signed-in person as the queue knows them."""
    return Reader(current_user.id, visible_branch_ids())


def _page(moment: datetime) -> dict[str, Any]:
    who, after, own = _who(), request.args.get("after"), reader()
    i18n.set_zone(current_user.company.timezone)
    found = followup_queue.page(own, who, after)
    cards = cards_of(found.groups, moment)
    midnight, tomorrow = stats.day_limits(i18n.local_day(moment), i18n.select_timezone())
    yesterday = midnight - (tomorrow - midnight)
    closed = followup_queue.closed_themselves(own, yesterday)
    clock = followup_due.clock(own.branch_ids[0] if own.branch_ids else None, moment)
    shown = {
        "sections": _sections(cards, moment, tomorrow),
        "waiting": shell.waiting(),
        "who": who,
        "after": after,
        "older": url_for(".index", who=who if who != ALL else None, after=found.after) if found.after else None,
        "hung_up": followup_queue.hung_up(own, yesterday),
        "closed": [(row, closing_words(row, moment)) for row in closed[: followup_queue.CLOSED_SHOWN]],
        "closed_count": len(closed),
        "terms": clock.terms,
        "open_until": clock.open_until(moment),
        "is_closed": clock.is_closed(moment),
        "moment": moment,
        "message": "",
        "problem": None,
    }
    version = _version(shown, cards, moment)
    address = url_for(".now", who=who if who != ALL else None, after=after, v=version)
    return shown | {"version": version, "address": address}


def _who() -> str:
    wished = request.args.get("who", ALL)
    return wished if wished in WHO else ALL


def _sections(cards: list[Card], moment: datetime, tomorrow: datetime) -> list[tuple[str, str, list[Card]]]:
    """Overdue, today, later; what is empty is left out."""
    named = [("late", _("Overdue")), ("today", _("Today")), ("later", _("Later"))]
    by_name: dict[str, list[Card]] = {name: [] for name, _label in named}
    for card in cards:
        name = "late" if card.is_late else "today" if card.group.due_at < tomorrow else "later"
        by_name[name].append(card)
    return [(name, label, by_name[name]) for name, label in named if by_name[name]]


def cards_of(groups: list[Group], moment: datetime) -> list[Card]:
    """Groups with everything that their cards say."""
    if not groups:
        return []
    everybody = followup_work.people(set())
    bound = {user.id: {link.branch_id for link in user.branch_links} for user in everybody}
    promises = [group.promise for group in groups if group.promise is not None]
    ids = followup_queue.ids_by_name([_named(row) for row in promises])
    free = _still_free(promises, ids, moment)
    notes = followup_queue.notes([entry.call_id for group in groups for entry in group.entries])
    cards = []
    for group in groups:
        branches = {entry.call.branch_id for entry in group.entries}
        people = [(user.id, user.name) for user in everybody if not bound[user.id] or branches <= bound[user.id]]
        calls = dict.fromkeys(entry.call_id for entry in group.entries)
        own = [note for call_id in calls for note in notes.get(call_id, ())]
        card = _card(group, ids, moment)
        cards.append(
            replace(card, people=_offered(people, group), notes=own[:SHOWN_NOTES], free=free.get(card.promised))
        )
    return cards


def _still_free(rows: list[CallFollowup], ids: dict[tuple[str, str], int], moment: datetime) -> dict[int, bool | None]:
    """Of the most urgent promises, whether they could still be entered; for who may enter them."""
    if not may(Permission.EDIT_APPOINTMENTS):
        return {}
    return {row.id: followup_free.still_free(row, ids, moment) for row in rows[:MOST_LOOKED_UP]}


def _offered(people: list[tuple[int, str]], group: Group) -> list[tuple[int, str]]:
    """Whom the reader may give it to: everybody who sees it, or themselves; and who has it."""
    if may(Permission.MANAGE_FOLLOWUPS):
        return people
    return [(user_id, name) for user_id, name in people if user_id in (current_user.id, group.assigned_to)]


def _named(row: CallFollowup | None) -> tuple[str | None, str | None]:
    told = followup_words.promised(row.facts) if row is not None else {}
    return told.get("service"), told.get("staff")


def _card(group: Group, ids: dict[tuple[str, str], int], moment: datetime) -> Card:
    row, branch = group.promise, group.lead.call.branch
    zone = branch.timezone if branch and branch.timezone else i18n.select_timezone()
    return Card(
        group=group,
        entries=[f"{entry.id}.{entry.version}" for entry in group.entries],
        is_late=group.is_late(moment),
        promise=promise_words(row, moment) if row is not None else "",
        book=booking_address(row, ids) if row is not None else "",
        promised=row.id if row is not None else 0,
        zone=zone,
    )


def promise_words(row: CallFollowup, moment: datetime) -> str:
    return followup_words.promise(row.facts, i18n.language(), i18n.zone(), moment)


@dataclass(frozen=True)
class Broken:
    """A promise that nothing keeps, as a warning says it; ``book`` leads to the form, '' for who may not book."""

    row: CallFollowup
    words: str
    book: str


def promised(rows: list[CallFollowup], moment: datetime) -> list[Broken]:
    """Warnings of the most urgent broken promises."""
    ids = followup_queue.ids_by_name([_named(row) for row in rows])
    return [Broken(row, promise_words(row, moment), booking_address(row, ids)) for row in rows]


def closing_words(row: CallFollowup, moment: datetime) -> str:
    """How it was closed: by itself in the reader's language, by a person in theirs."""
    closed = (row.facts or {}).get("closed")
    if row.closed_by is None and isinstance(closed, dict):
        return followup_words.closing(closed, i18n.language(), i18n.zone(), moment) or row.resolution or ""
    return row.resolution or ""


def booking_address(row: CallFollowup, ids: dict[tuple[str, str], int] | None = None) -> str:
    """The form of a new appointment, filled with what was promised and tied to the call."""
    if not may(Permission.EDIT_APPOINTMENTS):
        return ""
    told, call = followup_words.promised(row.facts), row.call
    found = ids if ids is not None else followup_queue.ids_by_name([_named(row)])
    start = followup_words.moment(told.get("start"))
    local = start.astimezone(followup_due.zone_of(call.branch_id)) if start else None
    return url_for(
        "appointments.new",
        call=call.id,
        customer=call.customer_id,
        branch=call.branch_id,
        service=found.get(("service", told.get("service") or "")),
        staff=found.get(("staff", told.get("staff") or "")),
        date=local.date().isoformat() if local else None,
        time=f"{local:%H:%M}" if local else None,
    )


def _version(shown: dict[str, Any], cards: list[Card], moment: datetime) -> str:
    """Changes with what is shown, and every minute while a card says for how long it has been due."""
    rows = [(card.entries, card.is_late, card.free, [note.id for note in card.notes]) for card in cards]
    closed = [(row.id, row.version) for row, _words in shown["closed"]]
    hung_up = [(each.call.id, each.times) for each in shown["hung_up"]]
    minute = int(moment.timestamp() // 60) if any(card.is_late for card in cards) else 0
    today = i18n.local_day(moment)
    told = (rows, closed, hung_up, shown["waiting"], shown["terms"], minute, i18n.language(), today)
    return hashlib.sha256(repr((told, current_user.id)).encode()).hexdigest()[:16]


@bp.get("/closed")
@requires(Permission.VIEW_CALLS)
def closed() -> Response:
    """Everything that is closed, by whomever, the latest first."""
    moment = utcnow()
    i18n.set_zone(current_user.company.timezone)
    rows, before = followup_queue.closed_page(reader(), request.args.get("before"))
    lines = [(row, followup_words.reason(row.reason), closing_words(row, moment)) for row in rows]
    older = url_for(".closed", before=before) if before else None
    return whole_page("followups/closed.html", lines=lines, older=older, first_page="before" not in request.args)


# ---- What people do -------------------------------------------------------------------------------------------


@bp.post("/<int:followup_id>")
@requires(Permission.VIEW_CALLS)
def act(followup_id: int) -> AnyResponse:
    """One of the buttons of a card; ``result`` says which, ``entry`` what was shown."""
    row, shown, text = _load(followup_id), _shown(followup_id), request.form.get("note", "")
    result, worker, moment = request.form.get("result", ""), _worker(), utcnow()
    deeds: dict[str, Callable[[], datetime | None]] = {
        "called": lambda: followup_work.called_back(shown, text, worker, moment),
        "done": lambda: followup_work.resolve(shown, text, worker, moment),
        "dismiss": lambda: followup_work.dismiss(shown, text, worker, moment),
        "missed": lambda: followup_work.not_reached(shown, text, worker, moment),
        "tomorrow": lambda: followup_work.postpone(shown, worker, moment),
        "note": lambda: followup_work.note(shown, text, worker),
    }
    if result not in deeds:
        abort(400)
    return _do(row, deeds[result], lambda due: _said(result, due, moment))


@bp.post("/<int:followup_id>/assign")
@requires(Permission.VIEW_CALLS)
def assign(followup_id: int) -> AnyResponse:
    row, shown, worker, moment = _load(followup_id), _shown(followup_id), _worker(), utcnow()
    wished = request.form.get("assignee", "")
    user_id = int(wished) if wished.isdecimal() and len(wished) < 19 else None
    return _do(row, lambda: followup_work.assign(shown, user_id, worker, moment), lambda _due: _("Saved."))


@bp.post("/<int:followup_id>/reopen")
@requires(Permission.VIEW_CALLS)
def reopen(followup_id: int) -> AnyResponse:
    """Not right that it was closed: it waits again."""
    row, worker, moment = _load(followup_id), _worker(), utcnow()
    version = request.form.get("version", "")
    shown = Shown(followup_id, int(version) if version.isdecimal() and len(version) < 10 else row.version)

    def work() -> None:
        followup_work.reopen(shown, worker, moment)

    return _do(row, work, lambda _due: _("It waits again."))


def _load(followup_id: int) -> CallFollowup:
    return followup_queue.one(followup_id, reader()) or abort(404)


def _shown(followup_id: int) -> list[Shown]:
    """What the card showed; a form that says nothing means the entry as it stands."""
    written = request.form.getlist("entry")[:MOST_ENTRIES]
    shown = [each for each in map(Shown.parse, written) if each is not None]
    return shown or [Shown(followup_id, _load(followup_id).version)]


def _worker() -> Worker:
    return Worker(current_user.id, current_user.name, visible_branch_ids(), may(Permission.MANAGE_FOLLOWUPS))


def _do(row: CallFollowup, work: Callable[[], Any], said: Callable[[Any], str]) -> AnyResponse:
    """Do it and show how things stand; who was too late, or wrote too much, is told."""
    followup_id, call_id = row.id, row.call_id
    try:
        result = transaction(work)
    except Conflict as conflict:
        return _answer(followup_id, call_id, 409, conflict.message)
    except DomainError as error:
        return _answer(followup_id, call_id, 422, error.message)
    toast(said(result))
    return _answer(followup_id, call_id)


def _answer(followup_id: int, call_id: int, status: int = 200, message: str = "") -> AnyResponse:
    """The part, or the page, in which the form stood."""
    on_call = request.form.get("page") == "call"
    if not wants_part() and not message:
        return see_other(url_for("calls.show", call_id=call_id) if on_call else _back())
    if on_call and wants_part():
        return page_or_part("calls/show.html", "followups/_on_call.html", status, **call_card(call_id, message))
    problem = (followup_id, message) if status == 422 else None
    return _queue(status, message if status == 409 else "", problem)


def _back() -> str:
    """The view of the queue that a plain form came from."""
    who = request.args.get("who", "")
    return url_for(".index", who=who if who in (MINE, NOBODYS) else None)


def _said(result: str, due: datetime | None, moment: datetime) -> str:
    if due is not None:
        return str(_("Due again: %(when)s", when=followup_work.due_words(due, i18n.zone(), moment)))
    return str(_("Note saved.") if result == "note" else _("Closed."))


# ---- On the page of a call ------------------------------------------------------------------------------------


def call_card(call_id: int, message: str = "") -> dict[str, Any]:
    """What the card beside a call shows: what is open of this call, what was, and what others wrote."""
    moment, rows = utcnow(), followup_queue.of_call(call_id)
    if rows and rows[0].call.branch:
        i18n.set_zone(rows[0].call.branch.timezone)  # as the page of the call does
    waiting = [row for row in rows if row.closed_at is None]
    groups = [Group(waiting)] if waiting else []
    return {
        "followup": next(iter(cards_of(groups, moment)), None),
        "closed_followups": [(row, closing_words(row, moment)) for row in rows if row.closed_at is not None],
        "followup_message": message,
        "moment": moment,
    }


def state(todo: dict[str, Any]) -> object:
    """What :func:`call_card` shows, for the version of the page that it stands on."""
    card = todo["followup"]
    shown = (card.entries, card.is_late, [note.id for note in card.notes]) if card else None
    return shown, [(row.id, row.version) for row, _words in todo["closed_followups"]]


# ---- When things are due --------------------------------------------------------------------------------------


@bp.route("/terms", methods=["GET", "POST"])
@requires(Permission.MANAGE_FOLLOWUPS)
def terms() -> AnyResponse:
    form = TermsForm()
    if request.method == "GET":
        form.show(followup_due.terms())
        return whole_page("followups/terms.html", form=form)
    if form.validate():
        try:
            transaction(lambda: followup_due.save_terms(form.minutes()))
        except DomainError as error:
            form[error.field or "complaint"].errors = [error.message]
        else:
            toast(_("Saved. It applies to what comes from now on."))
            return see_other(url_for(".index"))
    return whole_page("followups/terms.html", 422, form=form)
