"""Lists of calls: filters, pages by keyset, calls in progress, and the search over names, numbers and what was said.

Ids come first, from an index, newest first; the rows are joined to them. A list never reads what was said, but for the
calls that somebody is speaking in and for what a search has found in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, exists, func, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from portal.db import db
from portal.domain import call_search, phones, transcripts
from portal.domain.call_search import MOST_HITS, spellings, words
from portal.domain.call_words import RUNS_AT_MOST
from portal.domain.search_names import like_patterns
from portal.domain.stats import day_limits
from portal.models import Call, CallContent, CallFollowup, Customer, Recording
from portal.tenancy import current_company_id

PAGE = 50
MOST_COUNTED = 1000
# Up to here every transcript is looked through; above, only an index can do it in time.
SMALL = 20_000
# Of a larger company, so many of the newest.
LOOKED_THROUGH = 2000
LIVE_WORDS = 160
# Seconds from which on a call is of this length, and at which it is no longer.
LENGTHS = {"short": (0, 30), "medium": (30, 180), "long": (180, None)}
OPEN = ("open", "in_progress")


@dataclass(frozen=True)
class Filters:
    """Which calls to show. Days are local to ``zone``; None does not restrict. ``length``: a key of ``LENGTHS``.

    ``waits``: somebody still has to act on it. ``branches`` binds a person to branches; ``read`` says whether they may
    read what was said.
    """

    zone: str
    first: date | None = None
    last: date | None = None
    branch: int | None = None
    direction: str | None = None
    status: str | None = None
    sentiment: str | None = None
    intent: str | None = None
    length: str | None = None
    booked: bool | None = None
    waits: bool | None = None
    recorded: bool | None = None
    query: str = ""
    branches: Sequence[int] | None = None
    read: bool = False
    country: str = phones.DEFAULT_COUNTRY


@dataclass(frozen=True)
class Cursor:
    """The last call of a page: the next one begins after it. Written ``<microseconds since 1970>-<id>``."""

    started_at: datetime
    id: int

    def __str__(self) -> str:
        return f"{micros(self.started_at)}-{self.id}"

    @classmethod
    def parse(cls, written: str | None) -> Cursor | None:
        """None for what is no cursor."""
        found = re.fullmatch(r"(\d{1,17})-(\d{1,18})", written or "")
        return cls(from_micros(int(found[1])), int(found[2])) if found else None


@dataclass(frozen=True)
class Page:
    """Calls with customer, branch and charge loaded; ``older`` is where the next page begins."""

    calls: list[Call]
    older: Cursor | None
    snippets: dict[int, list[tuple[str, bool]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Count:
    """How many calls, of them booked; ``more`` when counting stopped at ``MOST_COUNTED``."""

    calls: int
    booked: int

    @property
    def more(self) -> bool:
        return self.calls > MOST_COUNTED


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=min(value, 10**16))


# ---- Pages ----------------------------------------------------------------------------------------------------


def page(filters: Filters, since: datetime, after: Cursor | None = None) -> Page:
    """One page, newest first, of calls that were here at ``since`` and were not being spoken then.

    What is new after that, or was running, stands in :func:`live`, so that no call is shown twice.
    """
    ids = _ids(filters, since, after)
    calls = _fetch_or_search(ids, filters, PAGE + 1)
    shown = calls[:PAGE]
    older = Cursor(shown[-1].started_at, shown[-1].id) if len(calls) > PAGE else None
    snippets = call_search.snippets(filters.query, [call.id for call in shown]) if filters.read else {}
    return Page(shown, older, snippets)


def _ids(filters: Filters, since: datetime, after: Cursor | None) -> Select[Any]:
    return _after(select(Call.id).where(*_conditions(filters), Call.created_at <= since, ~_running(since)), after)


def _after(query: Select[Any], after: Cursor | None) -> Select[Any]:
    if after is None:
        return query
    # One range on the index; the second half only parts calls of the same moment.
    return query.where(Call.started_at <= after.started_at, or_(Call.started_at < after.started_at, Call.id < after.id))


def _fetch(ids: Select[Any], most: int) -> list[Call]:
    """The newest of these calls."""
    newest = _newest(ids, most)
    query = _with_relations(select(Call).join(newest, newest.c.id == Call.id))
    return list(db.session.scalars(query.order_by(Call.started_at.desc(), Call.id.desc())))


def _newest(ids: Select[Any], limit: int) -> Subquery:
    return ids.order_by(Call.started_at.desc(), Call.id.desc()).limit(limit).subquery()


def live(filters: Filters, since: datetime, seen: Sequence[int], now: datetime) -> list[tuple[Call, str]]:
    """Calls in progress, and what has happened since a page was shown, newest first; each with its last words.

    ``seen``: calls that were running when the page was shown, which stay here when they end.
    """
    query = (
        _with_relations(select(Call, CallContent.transcript))
        .outerjoin(CallContent, and_(CallContent.call_id == Call.id, Call.status == "in_progress"))
        .where(*_conditions(filters), Call.started_at > now - timedelta(days=2))
        .where(or_(_running(now), Call.created_at > since, Call.id.in_(seen)))
        .order_by(Call.started_at.desc(), Call.id.desc())
        .limit(PAGE)
    )
    return [(call, _last_words(said) if filters.read else "") for call, said in db.session.execute(query)]


def count(filters: Filters) -> Count:
    """How many calls the filters let through, counted up to a thousand."""
    some = select(Call.appointment_created).where(*_conditions(filters)).limit(MOST_COUNTED + 1).subquery()
    booked = func.coalesce(func.sum(case((some.c.appointment_created.is_(True), 1), else_=0)), 0)
    return Count(*map(int, db.session.execute(select(func.count(), booked).select_from(some)).one()))


def chunk(filters: Filters, until: datetime, after: Cursor | None, size: int = 500) -> list[Call]:
    """For exports: the next calls that had begun at ``until``, newest first; none at the end."""
    ids = _after(select(Call.id).where(*_conditions(filters), Call.started_at <= until), after)
    return _fetch_or_search(ids, filters, size)


def _fetch_or_search(ids: Select[Any], filters: Filters, most: int) -> list[Call]:
    return _search(ids, filters, most) if filters.query.strip() else _fetch(ids, most)


def _with_relations(query: Any) -> Any:
    return query.options(joinedload(Call.customer), joinedload(Call.branch), joinedload(Call.charge))


def _running(now: datetime) -> ColumnElement[bool]:
    return and_(Call.status == "in_progress", Call.started_at > now - RUNS_AT_MOST)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    exact = {
        Call.branch_id: filters.branch,
        Call.direction: filters.direction,
        Call.status: filters.status,
        Call.sentiment: filters.sentiment,
        Call.intent: filters.intent,
        Call.appointment_created: filters.booked,
    }
    found: list[ColumnElement[bool]] = [attribute == value for attribute, value in exact.items() if value is not None]
    found += [*_of_length(filters.length), *_with(_waiting(), filters.waits), *_with(_recorded(), filters.recorded)]
    if filters.first is not None:
        found.append(Call.started_at >= day_limits(filters.first, filters.zone)[0])
    if filters.last is not None:
        found.append(Call.started_at < day_limits(filters.last, filters.zone)[1])
    if filters.branches is not None:
        # A call without a branch came in on the company's line; it is not theirs.
        found.append(Call.branch_id.in_(filters.branches))
    return found


def _of_length(length: str | None) -> list[ColumnElement[bool]]:
    if length is None:
        return []
    least, below = LENGTHS[length]
    found = [Call.duration_seconds >= least]
    return found if below is None else [*found, Call.duration_seconds < below]


def _with(condition: ColumnElement[bool], wish: bool | None) -> list[ColumnElement[bool]]:
    return [] if wish is None else [condition if wish else ~condition]


def _waiting() -> ColumnElement[bool]:
    row = CallFollowup
    return exists().where(row.company_id == current_company_id(), row.call_id == Call.id, row.status.in_(OPEN))


def _recorded() -> ColumnElement[bool]:
    row = Recording
    return exists().where(row.company_id == current_company_id(), row.call_id == Call.id, row.status == "stored")


def _last_words(said: str | None) -> str:
    """The last line of what has been said so far, without who says it."""
    lines = (said or "").rstrip().splitlines()
    spoken = transcripts.SPOKEN_LINE.sub("", lines[-1]).strip() if lines else ""
    return spoken if len(spoken) <= LIVE_WORDS else "… " + spoken[-LIVE_WORDS:].partition(" ")[2]


# ---- Search ---------------------------------------------------------------------------------------------------


def _search(ids: Select[Any], filters: Filters, most: int) -> list[Call]:
    """The newest hits, at most so many. Nothing to look for finds nothing.

    What is said often is found among the newest calls of a large company, and only the rest needs its index: an index
    would hand over every call with a common word before the newest are known.
    """
    if not words(filters.query):
        return []
    if not _is_large():
        return _fetch(_looked_through(ids, filters), most)
    newest = _newest(ids, LOOKED_THROUGH)
    calls = _fetch(_looked_through(select(Call.id).join(newest, newest.c.id == Call.id), filters), most)
    if len(calls) == most:
        return calls
    found = _found_by_index(filters)
    return _fetch(ids.join(found, found.c.id == Call.id), most)


def _looked_through(ids: Select[Any], filters: Filters) -> Select[Any]:
    hits = [_named(filters), *_numbered(filters), _told(filters, Call.summary)]
    if filters.read:
        ids = ids.outerjoin(CallContent, CallContent.call_id == Call.id)
        hits += [_told(filters, CallContent.transcript), *_indexed_words(filters)]
    return ids.where(or_(*hits))


def _is_large() -> bool:
    some = select(CallContent.call_id).limit(SMALL + 1).subquery()
    return (db.session.scalar(select(func.count()).select_from(some)) or 0) > SMALL


def _named(filters: Filters) -> ColumnElement[bool]:
    patterns = like_patterns(filters.query)
    if not patterns:
        return Call.id.is_(None)
    return Call.customer_id.in_(select(Customer.id).where(*(Customer.search_name.like(each) for each in patterns)))


def _numbered(filters: Filters) -> list[ColumnElement[bool]]:
    digits = phones.digits_for_search(filters.query, filters.country)
    return [Call.phone_number.like(f"%{digits}%")] if digits else []


def _told(filters: Filters, where: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    """Every word occurs in that text, in one of its spellings."""
    return and_(
        *(or_(*(where.contains(way, autoescape=True) for way in spellings(word))) for word in words(filters.query))
    )


def _indexed_words(filters: Filters) -> list[ColumnElement[bool]]:
    """On SQLite, LIKE knows no accents: its index does, for beginnings of words."""
    found = call_search.by_index(filters.query) if call_search.is_sqlite() else None
    return [] if found is None else [Call.id.in_(select(found.c.id))]


def _found_by_index(filters: Filters) -> Subquery:
    """Ids from every index, the newest hits of each, for companies with more calls than can be looked through."""
    people = select(Customer.id).where(*(Customer.search_name.like(each) for each in like_patterns(filters.query)))
    sources: list[Subquery] = []
    if like_patterns(filters.query):
        some = people.limit(MOST_HITS).subquery("people")
        named = select(Call.id).join(some, some.c.id == Call.customer_id).order_by(Call.id.desc()).limit(MOST_HITS)
        sources.append(named.subquery("named"))
    # A whole number is looked up; only a part of one has to be looked for.
    whole = phones.normalise(filters.query, filters.country)
    if condition := [Call.phone_number == whole] if whole else _numbered(filters):
        by_number = select(Call.id).where(*condition).order_by(Call.id.desc()).limit(MOST_HITS)
        sources.append(by_number.subquery("numbered"))
    spoken = call_search.by_index(filters.query) if filters.read else None
    if spoken is not None:
        sources.append(spoken)
    if not sources:
        sources.append(select(Call.id).where(Call.id.is_(None)).subquery())
    return union(*(select(source.c.id) for source in sources)).subquery("found")
