"""The printed day sheet: its code, and what stood on it.

A print is a row for each state of a day that was printed: the same state keeps its code, so that a page that is loaded
again writes nothing. The snapshot names nobody. Who an id is gets looked up whenever the code is entered, so a person
who has been erased is gone from here as well.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from portal.db import db
from portal.domain import calendar, today
from portal.domain.calendar import Wish
from portal.domain.sheet import Entry, Sheet
from portal.models import Branch, DaySheetPrint, PortalUser
from portal.tenancy import current_company_id

# Nothing that can be taken for something else: no 0 and O, no 1 and I.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 8
HALF = LENGTH // 2
NEWEST = 40  # prints of a day that are looked through for the same state


# ---- Codes ------------------------------------------------------------------------------------------------------


def new_code() -> str:
    """40 bits, from the reader's own company only: nothing to be guessed."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """``7QF3-K2XM``, as it stands on paper."""
    return f"{code[:HALF]}-{code[HALF:]}"


def typed(text: str) -> str:
    """The code in whatever somebody has typed or pasted: lower case, spaces, hyphens, the whole address."""
    last = re.split(r"[/=]", text.strip().rstrip("/"))[-1]
    return re.sub(r"[^0-9A-Z]", "", last.upper())[: 2 * LENGTH]


# ---- What stands on a sheet -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paper:
    """A day of one branch, or of one person there, ready for paper. ``code`` '' until it has been printed."""

    sheet: Sheet
    entries: list[Entry]
    code: str = ""
    at: datetime | None = None

    @property
    def count(self) -> int:
        return sum(entry.status != "cancelled" for entry in self.entries)

    @property
    def closed(self) -> str | None:
        """Why the branch is closed ('' without a reason); None when it is open."""
        return today.closed(self.sheet.columns)


def entries_of(sheet: Sheet) -> list[Entry]:
    """By time, each once."""
    return [line.entry for line in sheet.lines if line.entry is not None]


def snapshot(entries: Sequence[Entry], staff_id: int | None, code: str) -> dict[str, Any]:
    """What of a sheet has to be known to tell later what is different. ``staff_id``: whose sheet, None for all."""
    return {"staff": staff_id, "rows": [_row(entry, code) for entry in entries]}


def _row(entry: Entry, code: str) -> dict[str, Any]:
    return {
        "id": entry.id,
        "start": entry.start.isoformat(),
        "end": entry.end.isoformat(),
        "staff": entry.staff_id,
        "status": entry.status,
        "arrived": entry.arrived,
        "service": entry.service_id,
        "customer": entry.customer_id,
        "note": note_mark(entry.note, code),
    }


def note_mark(note: str | None, code: str) -> str:
    """Tells whether a note is another one, and nothing about what it says: few bits, different on every sheet."""
    return sha256(f"{code}\n{note}".encode()).hexdigest()[:6] if note else ""


def branches(visible: list[int] | None) -> list[int]:
    """The branches that get a sheet each when all are asked for: the open ones of the reader."""
    query = select(Branch.id).where(Branch.is_active).order_by(Branch.id)
    return list(db.session.scalars(query if visible is None else query.where(Branch.id.in_(visible))))


# ---- Printing ---------------------------------------------------------------------------------------------------


def look(wish: Wish, now: datetime) -> Paper | None:
    """The sheet, with the code that this very state has been printed under; None for a company without a branch.

    Raises :class:`calendar.NotThere`.
    """
    sheet = calendar.sheet(replace(wish, view="day"), now)
    if sheet is None or sheet.branch is None:
        return None
    paper = Paper(sheet, entries_of(sheet))
    known = _same_state(paper)
    return replace(paper, code=known.code, at=known.created_at) if known else paper


def stamp(paper: Paper, wish: Wish, now: datetime, user_id: int | None) -> Paper:
    """The sheet as it stands now, with a code. Needs a transaction; two at once get the same code."""
    assert paper.sheet.branch is not None
    branch_id, staff = paper.sheet.branch.id, paper.sheet.staff
    db.session.execute(select(Branch.id).where(Branch.id == branch_id).with_for_update())
    fixed = replace(wish, branch_id=branch_id, every_branch=False, day=paper.sheet.day)
    fresh = look(replace(fixed, staff_id=staff.id if staff else None, own_first=False), now) or paper
    return fresh if fresh.code else _printed(fresh, now, user_id)


def _printed(paper: Paper, now: datetime, user_id: int | None) -> Paper:
    assert paper.sheet.branch is not None
    code = _free_code()
    db.session.add(
        DaySheetPrint(
            company_id=current_company_id(),
            branch_id=paper.sheet.branch.id,
            date=paper.sheet.day,
            code=code,
            printed_by=user_id,
            snapshot=snapshot(paper.entries, _staff_id(paper), code),
            created_at=now,
        )
    )
    db.session.flush()
    return replace(paper, code=code, at=now)


def _free_code() -> str:
    while True:
        code = new_code()
        if db.session.scalar(select(DaySheetPrint.id).where(DaySheetPrint.code == code)) is None:
            return code


def _staff_id(paper: Paper) -> int | None:
    return paper.sheet.staff.id if paper.sheet.staff else None


def _same_state(paper: Paper) -> DaySheetPrint | None:
    """The latest print of this sheet, if nothing on it is different by now."""
    assert paper.sheet.branch is not None
    staff_id = _staff_id(paper)
    for row in of_day(paper.sheet.branch.id, paper.sheet.day):
        if row.snapshot["staff"] == staff_id:
            return row if row.snapshot == snapshot(paper.entries, staff_id, row.code) else None
    return None


def of_day(branch_id: int, day: Any) -> list[DaySheetPrint]:
    """The day's prints, the latest first."""
    return list(
        db.session.scalars(
            select(DaySheetPrint)
            .where(DaySheetPrint.branch_id == branch_id, DaySheetPrint.date == day)
            .order_by(DaySheetPrint.id.desc())
            .limit(NEWEST)
        )
    )


# ---- Finding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A print, the name of who made it ('' for nobody known), and the branch."""

    row: DaySheetPrint
    by: str
    branch: Branch


def find(code: str, visible: list[int] | None) -> Found | None:
    """The print of a code; None for unknown ones, and for those of a branch that the reader may not see."""
    query = (
        select(DaySheetPrint, Branch, PortalUser.name)
        .join(Branch, Branch.id == DaySheetPrint.branch_id)
        .outerjoin(PortalUser, PortalUser.id == DaySheetPrint.printed_by)
        .where(DaySheetPrint.code == typed(code))
    )
    if visible is not None:
        query = query.where(DaySheetPrint.branch_id.in_(visible))
    found = db.session.execute(query).first()
    return Found(found[0], found[2] or "", found[1]) if found else None
