"""What stands in an address: ids and days."""

from __future__ import annotations

from datetime import date

from flask import abort

from portal.forms.appointments import row_id

ALL = "all"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)


def id_of(text: str | None) -> int | None:
    """An id; '' and ``all`` ask for nobody in particular, and what is no id is nobody's: 404."""
    if not text or text == ALL:
        return None
    found = row_id(text)
    return found if found is not None else abort(404)


def day_of(text: str | None) -> date | None:
    """A day of the calendar's years; None for anything that is none."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
