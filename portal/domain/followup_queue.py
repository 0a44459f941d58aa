"""The queue as its readers see it: who waits, grouped by caller; what closed itself; who hung up and left nothing.

Pages are bounded however long the queue is. A caller stands where their most urgent call is; the others of their calls
come along, and are not shown again further down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import aliased, contains_eager, joinedload

from portal.db import db
from portal.domain import followup_rules, followup_words, phones
from portal.domain.call_lists import from_micros, micros
from portal.domain.call_words import Outcome
from portal.domain.followup_served import OPEN, state_of
from portal.models import Call, CallFollowup, CallNote, Service, Staff

CARDS = 25
MOST_ROWS = 200
# Counting stops here; the menu says 99+ long before.
MOST_COUNTED = 500
CLOSED_SHOWN = 5
CLOSED_PAGE = 50
HUNG_UP_SHOWN = 6
HUNG_UP_LOOKED_AT = 80
ALL, MINE, NOBODYS = "all", "me", "none"
Key = tuple[str, Any]


@dataclass(frozen=True)
class Reader:
    """Who looks at the queue, and which branches they see (None: all)."""

    user_id: int
    branch_ids: Sequence[int] | None = None


@dataclass(frozen=True)
class Group:
    """Everything open of one caller, the most urgent entry first; customer and branch of the calls are loaded."""

    entries: list[CallFollowup]

    @property
    def lead(self) -> CallFollowup:
        return self.entries[0]

    @property
    def call(self) -> Call:
        """The newest call: it knows best who it is."""
        found: Call = max((entry.call for entry in self.entries), key=lambda call: (call.started_at, call.id))
        return found

    @property
    def calls(self) -> list[tuple[Call, CallFollowup]]:
        """Each call once with its most urgent entry, the newest first."""
        by_call = {entry.call_id: entry for entry in reversed(self.entries)}
        pairs = [(entry.call, entry) for entry in by_call.values()]
        return sorted(pairs, key=lambda pair: (pair[0].started_at, pair[0].id), reverse=True)

    @property
    def due_at(self) -> datetime:
        return self.lead.due_at or self.lead.created_at

    @property
    def reasons(self) -> list[Outcome]:
        """Why, each reason once."""
        return [followup_words.reason(name) for name in dict.fromkeys(entry.reason for entry in self.entries)]

    @property
    def promise(self) -> CallFollowup | None:
        return next((entry for entry in self.entries if entry.reason == "promise"), None)

    @property
    def attempts(self) -> int:
        return max(entry.attempts for entry in self.entries)

    @property
    def assigned_to(self) -> int | None:
        return next((entry.assigned_to for entry in self.entries if entry.assigned_to is not None), None)

    def is_late(self, now: datetime) -> bool:
        return self.due_at < now


@dataclass(frozen=True)
class Waiting:
    """People who wait, counted up to a point; ``late`` of them for too long."""

    people: int = 0
    late: int = 0
    mine: int = 0
    nobodys: int = 0
    more: bool = False


@dataclass(frozen=True)
class Page:
    """One page of cards; ``after`` is where the next begins."""

    groups: list[Group]
    after: str | None


@dataclass(frozen=True)
class HungUp:
    """Somebody who hung up and left nothing to do; ``times`` within the days that were looked at."""

    call: Call
    times: int


# ---- Who waits ------------------------------------------------------------------------------------------------


def waiting(reader: Reader, now: datetime) -> Waiting:
    """How many people wait, in one statement of a few narrow columns."""
    columns: Any = select(
        CallFollowup.call_id, Call.customer_id, Call.phone_number, CallFollowup.due_at, CallFollowup.assigned_to
    )
    query = _open(columns.select_from(CallFollowup).join(Call, Call.id == CallFollowup.call_id), reader)
    query = query.order_by(CallFollowup.due_at, CallFollowup.id)
    rows = db.session.execute(query.limit(MOST_COUNTED + 1)).all()
    keys = _keys([(row.call_id, row.customer_id, row.phone_number) for row in rows[:MOST_COUNTED]])
    people: dict[Key, list[Any]] = {}
    for key, row in zip(keys, rows, strict=False):
        people.setdefault(key, []).append(row)
    return Waiting(
        people=len(people),
        late=sum(1 for own in people.values() if own[0].due_at is not None and own[0].due_at < now),
        mine=sum(1 for own in people.values() if any(row.assigned_to == reader.user_id for row in own)),
        nobodys=sum(1 for own in people.values() if all(row.assigned_to is None for row in own)),
        more=len(rows) > MOST_COUNTED,
    )


def _open(query: Select[Any], reader: Reader) -> Select[Any]:
    query = query.where(CallFollowup.status.in_(OPEN))
    return query if reader.branch_ids is None else query.where(Call.branch_id.in_(reader.branch_ids))


def _keys(callers: Iterable[tuple[int, int | None, str | None]]) -> list[Key]:
    """Who each call (id, customer, number) is of. A number goes with the one customer who has called from it here."""
    callers = [(call_id, who, number if phones.is_somebodys(number) else None) for call_id, who, number in callers]
    owners: dict[str, set[int]] = {}
    for _call_id, customer_id, number in callers:
        if customer_id is not None and number:
            owners.setdefault(number, set()).add(customer_id)
    return [_key(caller, owners) for caller in callers]


def _key(caller: tuple[int, int | None, str | None], owners: dict[str, set[int]]) -> Key:
    call_id, customer_id, number = caller
    if customer_id is None and number and len(owners.get(number, ())) == 1:
        customer_id = next(iter(owners[number]))
    if customer_id is not None:
        return ("customer", customer_id)
    return ("number", number) if number else ("call", call_id)


def grouped(rows: Iterable[CallFollowup]) -> list[Group]:
    """Rows in the order of their urgency as cards in the same order."""
    rows = list(rows)
    keys = _keys([(row.call_id, row.call.customer_id, row.call.phone_number) for row in rows])
    found: dict[Key, list[CallFollowup]] = {}
    for key, row in zip(keys, rows, strict=True):
        found.setdefault(key, []).append(row)
    return [Group(entries) for entries in found.values()]


def page(reader: Reader, who: str = ALL, after: str | None = None) -> Page:
    """One page of cards, the most urgent first. ``who``: of everybody, mine, or nobody's."""
    mark = _parse(after)
    query = _whose(_rows(reader), reader, who)
    if mark is not None:
        query = query.where(_beyond(mark))
    rows = list(db.session.scalars(query.limit(MOST_ROWS)))
    if not rows:
        return Page([], None)
    groups = [group for group in grouped(_with_others(rows, reader)) if _begins_here(group, rows, mark, reader, who)]
    shown = groups[:CARDS]
    is_all = len(groups) <= CARDS and len(rows) < MOST_ROWS
    # Where every caller of the rows stands further up, the next page begins after the rows.
    last = shown[-1].lead if len(groups) > CARDS else rows[-1]
    return Page(shown, None if is_all else _mark(last))


def _rows(reader: Reader) -> Select[Any]:
    query = select(CallFollowup).join(CallFollowup.call).options(*_loaded())
    return _open(query, reader).order_by(CallFollowup.due_at, CallFollowup.id)


def _loaded() -> tuple[Any, ...]:
    call = contains_eager(CallFollowup.call)
    return (
        call.joinedload(Call.customer),
        call.joinedload(Call.branch),
        joinedload(CallFollowup.assignee),
        joinedload(CallFollowup.closer),
    )


def _whose(query: Select[Any], reader: Reader, who: str) -> Select[Any]:
    if who == MINE:
        return query.where(CallFollowup.assigned_to == reader.user_id)
    return query.where(CallFollowup.assigned_to.is_(None)) if who == NOBODYS else query


def _with_others(rows: list[CallFollowup], reader: Reader) -> list[CallFollowup]:
    """The rows with everything else that is open of the same callers, in one order."""
    customers = {row.call.customer_id for row in rows} - {None}
    numbers = {row.call.phone_number for row in rows if phones.is_somebodys(row.call.phone_number)}
    conditions: list[ColumnElement[bool]] = [CallFollowup.id.in_([row.id for row in rows])]
    if customers:
        conditions.append(Call.customer_id.in_(customers))
    if numbers:
        conditions.append(Call.phone_number.in_(numbers))
    return list(db.session.scalars(_rows(reader).where(or_(*conditions)).limit(2 * MOST_ROWS)))


def _begins_here(
    group: Group, rows: list[CallFollowup], mark: tuple[datetime, int] | None, reader: Reader, who: str
) -> bool:
    """Whether the card belongs on this page, and not further up, where an earlier entry has brought it already."""
    shown = {row.id for row in rows}
    asked = [entry for entry in group.entries if _is_whose(entry, reader, who)]
    if not any(entry.id in shown for entry in asked):
        return False
    return mark is None or all((entry.due_at or entry.created_at, entry.id) > mark for entry in asked)


def _is_whose(entry: CallFollowup, reader: Reader, who: str) -> bool:
    """The filter of :func:`_whose`, for a row that is here already."""
    if who == MINE:
        return entry.assigned_to == reader.user_id
    return entry.assigned_to is None if who == NOBODYS else True


def _mark(row: CallFollowup) -> str:
    return f"{micros(row.due_at or row.created_at)}-{row.id}"


def _parse(written: str | None) -> tuple[datetime, int] | None:
    found = re.fullmatch(r"(\d{1,17})-(\d{1,18})", written or "")
    return (from_micros(int(found[1])), int(found[2])) if found else None


def _beyond(mark: tuple[datetime, int]) -> ColumnElement[bool]:
    at, row_id = mark
    return or_(CallFollowup.due_at > at, and_(CallFollowup.due_at == at, CallFollowup.id > row_id))


# ---- One call's, and flags beside calls -----------------------------------------------------------------------


def of_call(call_id: int) -> list[CallFollowup]:
    """All entries of one call, open ones first."""
    query = select(CallFollowup).join(CallFollowup.call).options(*_loaded()).where(CallFollowup.call_id == call_id)
    return sorted(db.session.scalars(query), key=lambda row: (row.status not in OPEN, row.due_at or row.created_at))


def notes(call_ids: Sequence[int]) -> dict[int, list[CallNote]]:
    """What people wrote about these calls, the newest first."""
    found: dict[int, list[CallNote]] = {}
    if call_ids:
        query = select(CallNote).options(joinedload(CallNote.author)).where(CallNote.call_id.in_(call_ids))
        for note in db.session.scalars(query.order_by(CallNote.id.desc()).limit(MOST_ROWS)):
            found.setdefault(note.call_id, []).append(note)
    return found


def one(followup_id: int, reader: Reader) -> CallFollowup | None:
    """One entry that the reader may see."""
    query = select(CallFollowup).join(CallFollowup.call).options(*_loaded()).where(CallFollowup.id == followup_id)
    if reader.branch_ids is not None:
        query = query.where(Call.branch_id.in_(reader.branch_ids))
    found: CallFollowup | None = db.session.scalar(query.execution_options(populate_existing=True))
    return found


def flags(call_ids: Sequence[int], now: datetime) -> dict[int, Outcome]:
    """What stands beside calls in a list: the most urgent thing that is open."""
    if not call_ids:
        return {}
    rows = db.session.execute(
        select(CallFollowup.call_id, CallFollowup.reason, CallFollowup.due_at).where(
            CallFollowup.call_id.in_(call_ids), CallFollowup.status.in_(OPEN)
        )
    ).all()
    order = ("promise", "complaint", "transfer_failed", "callback", "hung_up")
    found: dict[int, Outcome] = {}
    for row in sorted(rows, key=lambda row: order.index(row.reason)):
        is_late = row.reason != "promise" and row.due_at is not None and row.due_at < now
        found.setdefault(row.call_id, followup_words.late() if is_late else followup_words.reason(row.reason))
    return found


def shown(outcome: Outcome, flag: Outcome | None) -> Outcome:
    """What stands beside a call: what is left to do, unless something better came of it.

    Among other calls a callback that somebody waits for has a colour, and loses it when nobody does any more.
    """
    if flag is not None and (outcome.key != "booked" or flag.kind):
        return replace(flag, kind="warn") if flag.key == "callback" else flag
    return replace(outcome, kind="") if outcome.key == "callback" else outcome


def broken_promises(reader: Reader, limit: int = 3) -> list[CallFollowup]:
    """Open promises, the most urgent first."""
    return list(db.session.scalars(_rows(reader).where(CallFollowup.reason == "promise").limit(limit)))


def ids_by_name(names: Iterable[tuple[str | None, str | None]]) -> dict[tuple[str, str], int]:
    """``("service", name)`` and ``("staff", name)`` → id, for what the receptionist named."""
    services, staff = ({pair[place] for pair in names if pair[place]} for place in (0, 1))
    found: dict[tuple[str, str], int] = {}
    if services:
        query = select(Service.id, Service.name).where(Service.name.in_(services), Service.is_active)
        found |= {("service", row.name): row.id for row in db.session.execute(query)}
    if staff:
        people = db.session.scalars(select(Staff).where(Staff.is_active))
        found |= {("staff", person.name): person.id for person in people if person.name in staff}
    return found


# ---- Closed ---------------------------------------------------------------------------------------------------


def closed_themselves(reader: Reader, since: datetime) -> list[CallFollowup]:
    """What has closed itself since then, the latest first: a few to be shown, and one more where there are more."""
    query = _closed(reader).where(
        CallFollowup.closed_by.is_(None), CallFollowup.status == "resolved", CallFollowup.closed_at >= since
    )
    return list(db.session.scalars(query.limit(MOST_ROWS)))


def closed_page(reader: Reader, before: str | None) -> tuple[list[CallFollowup], str | None]:
    """Everything closed, the latest first, and where the page after this one begins."""
    query, mark = _closed(reader), _parse(before)
    if mark is not None:
        at, row_id = mark
        beyond = and_(CallFollowup.closed_at == at, CallFollowup.id < row_id)
        query = query.where(or_(CallFollowup.closed_at < at, beyond))
    rows = list(db.session.scalars(query.limit(CLOSED_PAGE + 1)))
    last = rows[CLOSED_PAGE - 1] if len(rows) > CLOSED_PAGE else None
    return rows[:CLOSED_PAGE], f"{micros(last.closed_at)}-{last.id}" if last and last.closed_at else None


def _closed(reader: Reader) -> Select[Any]:
    query = select(CallFollowup).join(CallFollowup.call).options(*_loaded())
    query = query.where(CallFollowup.closed_at.is_not(None), CallFollowup.status.not_in(OPEN))
    if reader.branch_ids is not None:
        query = query.where(Call.branch_id.in_(reader.branch_ids))
    return query.order_by(CallFollowup.closed_at.desc(), CallFollowup.id.desc())


# ---- Hung up, no need -----------------------------------------------------------------------------------------


def hung_up(reader: Reader, since: datetime) -> list[HungUp]:
    """Who hung up since then without having been helped, and needs nobody; the latest first, each caller once."""
    followup = aliased(CallFollowup)
    known = select(followup.id).where(followup.call_id == Call.id).exists()
    query = (
        select(Call)
        .options(joinedload(Call.customer), joinedload(Call.branch))
        .where(Call.started_at >= since, Call.direction == "inbound", Call.end_reason == "user_hangup")
        .where(Call.appointment_created.is_(False), ~known)
    )
    if reader.branch_ids is not None:
        query = query.where(Call.branch_id.in_(reader.branch_ids))
    found = db.session.scalars(query.order_by(Call.started_at.desc(), Call.id.desc()).limit(HUNG_UP_LOOKED_AT))
    calls = [call for call in found if _left_nothing(call)]
    return _not_helped(calls)[:HUNG_UP_SHOWN]


def _left_nothing(call: Call) -> bool:
    state = state_of(call, None)
    return state.says("call_successful") is not True and call.intent not in followup_rules.NOBODYS


def _by_caller(calls: list[Call]) -> list[HungUp]:
    keys = _keys([(call.id, call.customer_id, call.phone_number) for call in calls])
    newest: dict[Key, list[Call]] = {}
    for key, call in zip(keys, calls, strict=True):
        newest.setdefault(key, []).append(call)
    return [HungUp(own[0], len(own)) for own in newest.values()]


def _later(calls: list[Call]) -> list[Call]:
    """Calls from the same numbers after the first of these in which somebody was helped."""
    numbers = {call.phone_number for call in calls if phones.is_somebodys(call.phone_number)}
    if not numbers:
        return []
    first = min(call.started_at for call in calls)
    query = select(Call).where(Call.phone_number.in_(numbers), Call.started_at > first, Call.status == "completed")
    return [call for call in db.session.scalars(query.limit(MOST_ROWS)) if followup_rules.serves(state_of(call, None))]


def _not_helped(calls: list[Call]) -> list[HungUp]:
    later = _later(calls)
    return [each for each in _by_caller(calls) if not _came_back(each.call, later)]


def _came_back(call: Call, later: list[Call]) -> bool:
    return any(each.phone_number == call.phone_number and each.started_at > call.started_at for each in later)
