"""The working hours of a branch, or of a person at a branch: weeks, seasons, and how they are changed.

Nothing here says what hours mean for a day; that is ``timetable`` and ``availability``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Delete, Select, delete, or_, select, update

from portal.db import db, rows_changed
from portal.domain import audit
from portal.domain.availability import MIDNIGHT
from portal.domain.errors import Conflict, DomainError
from portal.models import Branch, Staff, WorkingHours
from portal.tenancy import current_company_id

Span = tuple[time, time]
Days = tuple[tuple[Span, ...], ...]

WEEKDAYS = range(1, 8)
MOST_SPANS = 6  # a day
MOST_SEASONS = 12
YEARS = (2000, 2100)
EMPTY: Days = ((),) * 7
ALWAYS = ""  # the key of the week that counts outside of all seasons


@dataclass(frozen=True)
class Whose:
    """A branch, or a person at it."""

    branch_id: int
    staff_id: int | None = None


@dataclass(frozen=True)
class Season:
    """A week, Monday first, and from when until when it counts; without dates where no other season does."""

    days: Days = EMPTY
    first: date | None = None
    last: date | None = None

    @property
    def key(self) -> str:
        """Names the season within a plan and in addresses; :data:`ALWAYS` for the one without dates."""
        if self.first is None and self.last is None:
            return ALWAYS
        return f"{self.first or ''}_{self.last or ''}"

    @property
    def is_empty(self) -> bool:
        return not any(self.days)

    def overlaps(self, other: Season) -> bool:
        """Whether there is a day in both."""
        ours, theirs = self._reach(), other._reach()
        return ours[0] <= theirs[1] and theirs[0] <= ours[1]

    def sorted(self) -> Season:
        return replace(self, days=tuple(tuple(sorted(spans)) for spans in self.days))

    def _reach(self) -> tuple[date, date]:
        return self.first or date.min, self.last or date.max


@dataclass(frozen=True)
class Plan:
    """All that is entered for somebody: the week without dates first, seasons in their order."""

    seasons: tuple[Season, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with whatever is entered."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def always(self) -> Season:
        return self.season(ALWAYS) or Season()

    def season(self, key: str) -> Season | None:
        return next((season for season in self.seasons if season.key == key), None)

    def with_season(self, season: Season, instead_of: str) -> Plan:
        """The plan with this season in place of the one with that key; an empty week leaves it out."""
        kept = [other for other in self.seasons if other.key != instead_of]
        return _plan([*kept, season] if not season.is_empty else kept)


class Wrong(DomainError):
    """What cannot be saved; ``problems`` by field: ``first``, ``last``, ``week``, or ``3-0`` for weekday and span."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(next(iter(problems.values())), next(iter(problems)))
        self.problems = problems


class ChangedMeanwhile(Conflict):
    """Somebody else has saved since the form was shown."""

    def __init__(self) -> None:
        super().__init__(_("Somebody else has changed this meanwhile. Please look at what is saved now."))


# ---- Reading ----------------------------------------------------------------------------------------------------


def plan_of(whose: Whose) -> Plan:
    """What is saved and in force."""
    return plan_from(db.session.scalars(_rows(whose)))


def plan_from(rows: Iterable[WorkingHours]) -> Plan:
    """Rows of one branch or person as a plan."""
    weeks: dict[tuple[date | None, date | None], list[list[Span]]] = {}
    for row in rows:
        week = weeks.setdefault((row.valid_from, row.valid_until), [[] for _day in WEEKDAYS])
        week[row.weekday - 1].append((row.opens_at, row.closes_at))
    return _plan(
        Season(tuple(tuple(sorted(spans)) for spans in week), first, last) for (first, last), week in weeks.items()
    )


def rows_of(whose: Whose, plan: Plan) -> list[WorkingHours]:
    """The plan as rows that are not saved."""
    return [row for season in plan.seasons for row in _rows_of(whose, season)]


def people_of(branch: Branch, visible: list[int] | None) -> tuple[list[Staff], list[Staff]]:
    """Who works at the branch, and who else could; of the people that the reader may see."""
    here = works_at([branch.id])
    query = select(Staff, here).where(Staff.is_active).order_by(Staff.first_name, Staff.last_name, Staff.id)
    if visible is not None:
        query = query.where(or_(here, Staff.branch_id.in_(visible)))
    found = db.session.execute(query).all()
    return [person for person, works in found if works], [person for person, works in found if not works]


def works_at(branch_ids: Collection[int]) -> ColumnElement[bool]:
    """Whether a member of staff belongs to one of these branches or to none in particular, or has hours at one."""
    has_hours = select(WorkingHours.staff_id).where(
        WorkingHours.branch_id.in_(branch_ids), WorkingHours.is_active, WorkingHours.staff_id.is_not(None)
    )
    return or_(Staff.branch_id.is_(None), Staff.branch_id.in_(branch_ids), Staff.id.in_(has_hours))


def _rows(whose: Whose) -> Select[WorkingHours]:
    return select(WorkingHours).where(*_of(whose))


def _of(whose: Whose) -> tuple[ColumnElement[bool], ...]:
    person = WorkingHours.staff_id.is_(None) if whose.staff_id is None else WorkingHours.staff_id == whose.staff_id
    return WorkingHours.branch_id == whose.branch_id, person, WorkingHours.is_active.is_(True)


def _plan(seasons: Iterable[Season]) -> Plan:
    return Plan(tuple(sorted(seasons, key=lambda each: (each.key != ALWAYS, each._reach()))))


def _rows_of(whose: Whose, season: Season) -> Iterator[WorkingHours]:
    for weekday, spans in zip(WEEKDAYS, season.days, strict=True):
        for opens_at, closes_at in spans:
            yield WorkingHours(
                company_id=current_company_id(),
                branch_id=whose.branch_id,
                staff_id=whose.staff_id,
                weekday=weekday,
                opens_at=opens_at,
                closes_at=closes_at,
                valid_from=season.first,
                valid_until=season.last,
            )


# ---- What is wrong ----------------------------------------------------------------------------------------------


def check(plan: Plan, season: Season, instead_of: str | None) -> Plan:
    """The plan as it would be; raises :class:`Wrong`. ``instead_of`` None: a season is added."""
    others = [other for other in plan.seasons if other.key not in (ALWAYS, instead_of)]
    season = replace(season, first=None, last=None) if instead_of == ALWAYS else season
    problems = dict(_wrong_spans(season))
    if instead_of != ALWAYS:
        problems |= _wrong_dates(season, others)
        if season.is_empty:
            problems["week"] = _("Please enter hours for at least one day.")
        if instead_of is None and len(plan.seasons) >= MOST_SEASONS:
            problems["week"] = _("There are too many seasons. Please delete one that is over.")
    if problems:
        raise Wrong(problems)
    return plan.with_season(season.sorted(), ALWAYS if instead_of == ALWAYS else instead_of or season.key)


def _wrong_spans(season: Season) -> Iterator[tuple[str, str]]:
    for weekday, spans in zip(WEEKDAYS, season.days, strict=True):
        for place, message in wrong_spans(spans):
            yield f"{weekday}-{place}", message


def wrong_spans(spans: tuple[Span, ...]) -> Iterator[tuple[int, str]]:
    """What is wrong with the hours of one day, by the place of the span as it was typed. 00:00 ends the day."""
    order = sorted(range(len(spans)), key=lambda place: spans[place])
    ends = [time.max if closes == MIDNIGHT else closes for _opens, closes in spans]
    backwards = {place for place in order if ends[place] <= spans[place][0]}
    for place in sorted(backwards):
        yield place, _("The end lies before the start.")
    end = time.min
    for place in (place for place in order if place not in backwards):
        if spans[place][0] < end:
            yield place, _("This overlaps with other hours of the day.")
        end = max(end, ends[place])
    if len(spans) > MOST_SPANS:
        yield MOST_SPANS, _("These are too many hours for one day.")


def _wrong_dates(season: Season, others: list[Season]) -> dict[str, str]:
    if season.first is None and season.last is None:
        return {"first": _("Please say from when or until when these hours count.")}
    if any(day is not None and not YEARS[0] <= day.year <= YEARS[1] for day in (season.first, season.last)):
        return {"first": _("Please choose a day of this century.")}
    if season.first and season.last and season.last < season.first:
        return {"last": _("The season ends before it begins.")}
    if any(season.overlaps(other) for other in others):
        return {"first": _("These days already belong to another season.")}
    return {}


# ---- Changing ---------------------------------------------------------------------------------------------------


def save(whose: Whose, season: Season, instead_of: str | None, shown: str, now: datetime) -> Plan:
    """Put a season in place of another one (None: beside them); returns what counts now.

    ``shown`` is the digest of the plan that the person saw. Raises :class:`Wrong` and :class:`ChangedMeanwhile`.
    """
    before = _claim(whose, shown, now)
    if instead_of is not None and instead_of != ALWAYS and before.season(instead_of) is None:
        raise ChangedMeanwhile
    after = check(before, season, instead_of)
    if whose.staff_id is not None and not after.seasons:
        raise Wrong({"week": _("Please enter hours for at least one day, or choose the hours of the branch.")})
    _write(whose, before, after)
    return after


def drop(whose: Whose, key: str | None, shown: str, now: datetime) -> Plan:
    """Delete one season; None: everything, so that a person works when the branch is open."""
    before = _claim(whose, shown, now)
    after = Plan() if key is None else before.with_season(Season(), key)
    _write(whose, before, after)
    return after


def touch(branch_id: int, now: datetime) -> None:
    """Write the branch's row first: whoever else changes its hours or closures waits, also on another node."""
    if not rows_changed(update(Branch).where(Branch.id == branch_id).values(updated_at=now)):
        raise DomainError(_("Please choose a branch from the list."))


def _claim(whose: Whose, shown: str, now: datetime) -> Plan:
    touch(whose.branch_id, now)
    before = plan_from(db.session.scalars(_rows(whose).execution_options(populate_existing=True)))
    if before.digest != shown:
        raise ChangedMeanwhile
    return before


def _write(whose: Whose, before: Plan, after: Plan) -> None:
    """Only the seasons that differ."""
    for season in before.seasons:
        if season not in after.seasons:
            rows_changed(_deletion(whose, season))
    for season in after.seasons:
        if season not in before.seasons:
            db.session.add_all(_rows_of(whose, season))
    db.session.flush()
    if before != after:
        old, new = _differing(before, after), _differing(after, before)
        audit.record("hours.changed", _owner(whose), old=_at(whose) | old, new=_at(whose) | new)


def _deletion(whose: Whose, season: Season) -> Delete:
    return delete(WorkingHours).where(
        *_of(whose),
        WorkingHours.valid_from.is_(None) if season.first is None else WorkingHours.valid_from == season.first,
        WorkingHours.valid_until.is_(None) if season.last is None else WorkingHours.valid_until == season.last,
    )


def _owner(whose: Whose) -> Branch | Staff:
    if whose.staff_id is None:
        return db.session.get_one(Branch, whose.branch_id)
    return db.session.get_one(Staff, whose.staff_id)


# ---- For the audit trail ----------------------------------------------------------------------------------------


def _differing(plan: Plan, other: Plan) -> dict[str, Any]:
    return {season.key or "always": _words(season) for season in plan.seasons if season not in other.seasons}


def _words(season: Season) -> dict[str, str]:
    return {str(weekday): words(spans) for weekday, spans in zip(WEEKDAYS, season.days, strict=True) if spans}


def words(spans: Iterable[Span]) -> str:
    """``09:00-12:30, 13:00-17:30``"""
    return ", ".join(f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in spans)


def _at(whose: Whose) -> dict[str, Any]:
    return {"branch_id": whose.branch_id} if whose.staff_id is not None else {}
