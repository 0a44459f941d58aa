"""Customers where strangers may look on, and for readers who may not know them: initials, and no way to reach them."""

from __future__ import annotations

from dataclasses import replace

from portal.domain.calendar_list import Agenda
from portal.domain.calendar_month import Day, Glance, Month
from portal.domain.sheet import Clash, Column, Entry, Line, Sheet


def initials(name: str | None) -> str:
    """``A. D.`` for Aylin Demir: first and last word; '' for nobody."""
    words = [word for word in (name or "").split() if any(letter.isalnum() for letter in word)]
    letters = [next(letter for letter in word if letter.isalnum()).upper() for word in words]
    return " ".join(f"{letter}." for letter in (letters[:1] + letters[1:][-1:]))


def veiled(entry: Entry, *, service: bool = True) -> Entry:
    """The entry without number and note, and with initials for a name; ``service=False``: not what for, either."""
    who, what = initials(entry.who), entry.what if service else ""
    return replace(entry, who=who, phone=None, note=None, what=what, customer_id=None)


# ---- Whole views ------------------------------------------------------------------------------------------------


def view(shown: Sheet | Month | Agenda) -> Sheet | Month | Agenda:
    """A view of the calendar for a reader who may not know customers."""
    if isinstance(shown, Agenda):
        return replace(shown, groups=[replace(each, entries=list(map(veiled, each.entries))) for each in shown.groups])
    if isinstance(shown, Month):
        return replace(shown, weeks=[replace(each, days=list(map(_day, each.days))) for each in shown.weeks])
    return replace(
        shown,
        columns=list(map(_column, shown.columns)),
        clashes=list(map(_clash, shown.clashes)),
        lines=list(map(_line, shown.lines)),
    )


def _column(column: Column) -> Column:
    return replace(column, entries=list(map(veiled, column.entries)))


def _clash(clash: Clash) -> Clash:
    one, other = clash.names
    return replace(clash, names=(initials(one), initials(other)))


def _line(line: Line) -> Line:
    return replace(line, entry=veiled(line.entry) if line.entry else None)


def _day(day: Day) -> Day:
    return replace(day, first=list(map(_glance, day.first)))


def _glance(glance: Glance) -> Glance:
    return replace(glance, who=initials(glance.who), phone=None)
