"""Days on which a branch is closed or open at other hours, and whose public holidays it observes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import delete, select

from portal import formats
from portal.db import db, rows_changed
from portal.domain import audit, public_holidays
from portal.domain.errors import DomainError
from portal.domain.hours import ChangedMeanwhile, Span, touch, words, wrong_spans
from portal.domain.public_holidays import Place
from portal.models import Branch, BranchClosure
from portal.tenancy import current_company_id

LONGEST = 366  # days that are entered at once
AHEAD = 1100  # days from today up to which days are entered
DAY = timedelta(days=1)
MOST = 3000  # rows that a page reads
SHOWN_PAST = 30


@dataclass(frozen=True)
class Wish:
    """Local days, the last one included; without ``spans`` the branch is closed on them."""

    first: date
    last: date
    spans: tuple[Span, ...] = ()
    reason: str | None = None

    @property
    def days(self) -> list[date]:
        return [self.first + offset * DAY for offset in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class Stretch:
    """Days in a row that are entered alike; ``id`` is the first of their rows."""

    id: int
    first: date
    last: date
    spans: tuple[Span, ...]
    reason: str | None

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def digest(self) -> str:
        """Changes with whatever is entered; the id alone does not tell, SQLite gives those of deleted rows again."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def values(self) -> dict[str, Any]:
        """For the audit trail."""
        told = {"first": self.first.isoformat(), "last": self.last.isoformat(), "reason": self.reason}
        return told | {"open": words(self.spans) or None}


@dataclass(frozen=True)
class Holiday:
    """A public holiday; ``entered`` is what somebody has entered for the day, and counts instead."""

    day: date
    name: str
    entered: Stretch | None


# ---- Reading ----------------------------------------------------------------------------------------------------


def stretches(branch_id: int, first: date, last: date | None = None) -> list[Stretch]:
    """What is entered for the branch, by day; stretches that reach over the edge are cut off there."""
    return list(_joined(_entered(branch_id, first, last or first + AHEAD * DAY)))


def since_new_year(branch_id: int, today: date) -> list[Stretch]:
    """What lasts into this year or comes later; each as a whole, though it may have begun in the year before."""
    new_year = date(today.year, 1, 1)
    found = stretches(branch_id, new_year - LONGEST * DAY, today + AHEAD * DAY)
    return [stretch for stretch in found if stretch.last >= new_year]


def past(branch_id: int, today: date) -> list[Stretch]:
    """What is over, the latest first, of the last two years."""
    found = stretches(branch_id, today - 2 * LONGEST * DAY, today)  # with today, or what still lasts would seem over
    return [stretch for stretch in reversed(found) if stretch.last < today][:SHOWN_PAST]


def holidays_of(place: Place, year: int, language: str, entered: Sequence[Stretch]) -> list[Holiday]:
    """The public holidays of a year, with what is entered for them."""
    named = public_holidays.of_year(place, year, language)
    return [Holiday(day, name, _on(day, entered)) for day, name in named.items()]


def find(branch_id: int, closure_id: int) -> Stretch | None:
    """The whole stretch that a row belongs to; None where the branch has no such row (any more)."""
    row = db.session.get(BranchClosure, closure_id, populate_existing=True)
    if row is None or row.branch_id != branch_id:
        return None
    return _on(row.date, stretches(branch_id, row.date - LONGEST * DAY, row.date + LONGEST * DAY))


def rows_of(branch_id: int, wish: Wish) -> list[BranchClosure]:
    """The wish as rows that are not saved."""
    times: list[tuple[Any, Any]] = sorted(wish.spans) or [(None, None)]
    return [
        BranchClosure(
            company_id=current_company_id(),
            branch_id=branch_id,
            date=day,
            opens_at=opens_at,
            closes_at=closes_at,
            reason=wish.reason,
        )
        for day in wish.days
        for opens_at, closes_at in times
    ]


def _entered(branch_id: int, first: date, last: date) -> list[BranchClosure]:
    return list(
        db.session.scalars(
            select(BranchClosure)
            .where(BranchClosure.branch_id == branch_id, BranchClosure.date.between(first, last))
            .order_by(BranchClosure.date, BranchClosure.id)
            .limit(MOST)
            .execution_options(populate_existing=True)
        )
    )


def _joined(rows: Iterable[BranchClosure]) -> Iterator[Stretch]:
    current: Stretch | None = None
    for each in _by_day(rows):
        if current and (current.last + DAY, current.spans, current.reason) == (each.first, each.spans, each.reason):
            current = Stretch(current.id, current.first, each.last, current.spans, current.reason)
            continue
        if current:
            yield current
        current = each
    if current:
        yield current


def _by_day(rows: Iterable[BranchClosure]) -> list[Stretch]:
    days: dict[date, list[BranchClosure]] = {}
    for row in rows:
        days.setdefault(row.date, []).append(row)
    return [Stretch(found[0].id, day, day, _spans(found), found[0].reason) for day, found in days.items()]


def _spans(rows: list[BranchClosure]) -> tuple[Span, ...]:
    """The other hours of a day; one row without times closes it, whatever the others say."""
    times = [(row.opens_at, row.closes_at) for row in rows if row.opens_at and row.closes_at]
    return tuple(sorted(times)) if len(times) == len(rows) else ()


def _on(day: date, entered: Sequence[Stretch]) -> Stretch | None:
    return next((stretch for stretch in entered if stretch.first <= day <= stretch.last), None)


# ---- Changing ---------------------------------------------------------------------------------------------------


def check(wish: Wish, today: date) -> None:
    """Whether this may be entered, whatever is there; raises ``DomainError`` beside its field."""
    if wish.last < wish.first:
        raise DomainError(_("The last day lies before the first."), "last")
    if wish.last < today:
        raise DomainError(_("These days are over."), "first")
    if (wish.last - wish.first).days >= LONGEST:
        raise DomainError(_("Please enter a year at most at once."), "last")
    if wish.last > today + AHEAD * DAY:
        raise DomainError(_("Please enter days of the coming three years."), "last")
    for place, message in wrong_spans(wish.spans):
        raise DomainError(message, f"span-{place}")


def save(
    branch_id: int, wish: Wish, instead_of: int | None, now: datetime, today: date, shown: str | None = None
) -> None:
    """Enter the days, in place of the stretch with that id; raises ``DomainError`` where something else is entered.

    ``shown`` is the digest of what is replaced as the person saw it; None does not compare. Raises
    :class:`ChangedMeanwhile`.
    """
    check(wish, today)
    touch(branch_id, now)
    old = _remove(branch_id, instead_of, shown) if instead_of is not None else None
    if taken := stretches(branch_id, wish.first, wish.last):
        raise DomainError(_taken(taken[0]), "first")
    rows = rows_of(branch_id, wish)
    db.session.add_all(rows)
    db.session.flush()
    new = Stretch(rows[0].id, wish.first, wish.last, tuple(sorted(wish.spans)), wish.reason)
    action = "closure.changed" if old else "closure.added"
    audit.record(action, db.session.get_one(Branch, branch_id), old=old.values() if old else None, new=new.values())


def remove(branch_id: int, closure_id: int, now: datetime, shown: str | None = None) -> Stretch:
    """Delete the whole stretch that begins with this row; ``shown`` as for :func:`save`."""
    touch(branch_id, now)
    old = _remove(branch_id, closure_id, shown)
    audit.record("closure.deleted", db.session.get_one(Branch, branch_id), old=old.values())
    return old


def _remove(branch_id: int, closure_id: int, shown: str | None) -> Stretch:
    found = find(branch_id, closure_id)
    if found is None or shown not in (None, found.digest):
        raise ChangedMeanwhile
    days = BranchClosure.date.between(found.first, found.last)
    rows_changed(delete(BranchClosure).where(BranchClosure.branch_id == branch_id, days))
    db.session.expire_all()
    return found


def _taken(stretch: Stretch) -> str:
    day = formats.day(stretch.first, str(get_locale().language), ZoneInfo("UTC"))
    if stretch.reason:
        return str(_("Something is entered for %(day)s already: %(reason)s", day=day, reason=stretch.reason))
    return str(_("Something is entered for %(day)s already.", day=day))


def observe(branch_id: int, country: str | None, region: str | None, now: datetime) -> None:
    """Whose public holidays close the branch; without a region none do. Raises ``DomainError`` beside its field."""
    if region and (not country or not public_holidays.known(Place(country, region))):
        raise DomainError(_("Please choose from the list."), "region")
    touch(branch_id, now)
    branch = db.session.get_one(Branch, branch_id, populate_existing=True)
    old, new = (branch.country, branch.region), (country or None, region or None)
    if old == new:
        return
    branch.country, branch.region = new
    db.session.flush()
    names = ("country", "region")
    before, after = (dict(zip(names, values, strict=True)) for values in (old, new))
    audit.record("branch.holidays_changed", branch, old=before, new=after)
