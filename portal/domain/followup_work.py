"""What people do with follow-ups: take them, try, note, close, open again.

A card shows all open entries of one caller, so every deed is done to the entries as they were shown: who acts on what
somebody else has changed meanwhile is told, and nothing is done. A call that came in meanwhile stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal import formats
from portal.db import db
from portal.domain import audit, followup_due, followup_rules, followup_words, followups, notifications
from portal.domain.errors import Conflict, DomainError
from portal.domain.followup_served import OPEN
from portal.models import Call, CallFollowup, CallNote, PortalUser
from portal.permissions import Permission, permissions_of
from portal.tenancy import current_company_id

TEXT = 2000  # characters of a note
# Who was not reached is tried again after the time of the kind, and not before this has passed.
AGAIN = timedelta(minutes=30)


@dataclass(frozen=True)
class Shown:
    """An entry as its reader saw it."""

    id: int
    version: int

    @classmethod
    def parse(cls, written: str) -> Shown | None:
        """``91.3``; None for what is none."""
        number, _dot, version = written.partition(".")
        if number.isdecimal() and version.isdecimal() and len(number) < 19 and len(version) < 10:
            return cls(int(number), int(version))
        return None


@dataclass(frozen=True)
class Worker:
    """Who acts: their id, name, the branches they are bound to, and whether they may give work to others."""

    id: int
    name: str
    branch_ids: Sequence[int] | None = None
    manages: bool = False


class Overtaken(Conflict):
    """Somebody else was first, or it has closed itself."""


def _taken(shown: Sequence[Shown], worker: Worker) -> list[CallFollowup]:
    """The entries, locked; raises :class:`Overtaken` unless all are open and as they were shown."""
    rows = followups.locked(_visible([each.id for each in shown], worker))
    versions = {each.id: each.version for each in shown}
    for row in rows:
        if row.status not in OPEN or row.version != versions[row.id]:
            raise Overtaken(_what_happened(row))
    if not rows:
        raise Overtaken(_("This is no longer there."))
    return rows


def _visible(ids: Iterable[int], worker: Worker) -> list[int]:
    query = select(CallFollowup.id).join(Call, Call.id == CallFollowup.call_id).where(CallFollowup.id.in_(set(ids)))
    if worker.branch_ids is not None:
        query = query.where(Call.branch_id.in_(worker.branch_ids))
    return list(db.session.scalars(query))


def _what_happened(row: CallFollowup) -> str:
    if row.status in OPEN:
        return str(_("Somebody has changed this meanwhile. This is how it stands now."))
    name = db.session.scalar(select(PortalUser.name).where(PortalUser.id == row.closed_by)) if row.closed_by else None
    if name:
        return str(_("%(name)s has closed this meanwhile.", name=name))
    return str(_("This has closed itself meanwhile."))


def _changed(row: CallFollowup, deed: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    row.version += 1
    db.session.flush()
    audit.record(f"followup.{deed}", row, old=old, new=new)


# ---- Closing --------------------------------------------------------------------------------------------------


def called_back(shown: Sequence[Shown], outcome: str, worker: Worker, now: datetime) -> None:
    """The caller was reached; ``outcome`` says what came of it."""
    _close(shown, "resolved", "reached", outcome, worker, now)


def resolve(shown: Sequence[Shown], outcome: str, worker: Worker, now: datetime) -> None:
    """Done, in whatever way."""
    _close(shown, "resolved", "done", outcome, worker, now)


def dismiss(shown: Sequence[Shown], outcome: str, worker: Worker, now: datetime) -> None:
    """Nothing needs to be done."""
    _close(shown, "dismissed", "dismissed", outcome, worker, now)


def _close(shown: Sequence[Shown], status: str, how: str, outcome: str, worker: Worker, now: datetime) -> None:
    text = _text(outcome)
    for row in _taken(shown, worker):
        before = row.status
        row.status, row.closed_at, row.closed_by, row.resolution = status, now, worker.id, text or None
        row.facts = (row.facts or {}) | {"closed": {"how": how, "at": now.isoformat()}}
        _changed(row, status, {"status": before}, {"status": status, "how": how})


def _text(written: str) -> str:
    text = written.strip()
    if len(text) > TEXT:
        raise DomainError(_("Please keep the note below %(most)s characters.", most=TEXT), "note")
    return text


# ---- Working on it --------------------------------------------------------------------------------------------


def not_reached(shown: Sequence[Shown], note: str, worker: Worker, now: datetime) -> datetime:
    """Nobody answered: tried again later, in opening time. Returns when the first of them is due again."""
    rows, text = _taken(shown, worker), _text(note)
    for row in rows:
        clock, before = _clock(row, now), row.due_at
        wait = max(clock.terms.of(row.reason), AGAIN)
        row.due_at = followup_rules.after_open_time(now, wait, clock.openings(now))
        row.attempts, row.status = row.attempts + 1, "in_progress"
        _changed(row, "not_reached", _due(before), _due(row.due_at) | {"attempts": row.attempts})
    if text:
        _write_note(rows, text, worker)
    return min(row.due_at for row in rows if row.due_at)


def postpone(shown: Sequence[Shown], worker: Worker, now: datetime) -> datetime:
    """To the next morning on which the branch opens. Returns when that is."""
    rows = _taken(shown, worker)
    for row in rows:
        before, row.due_at = row.due_at, _clock(row, now).next_morning(now)
        _changed(row, "postponed", _due(before), _due(row.due_at))
    return min(row.due_at for row in rows if row.due_at)


def _clock(row: CallFollowup, now: datetime) -> followup_due.Clock:
    return followup_due.clock(db.session.get_one(Call, row.call_id).branch_id, now)


def _due(moment: datetime | None) -> dict[str, Any]:
    return {"due_at": moment.isoformat() if moment else None}


def note(shown: Sequence[Shown], text: str, worker: Worker) -> None:
    """Write down something for the others; nobody is in anybody's way. Raises ``DomainError`` for an empty one."""
    written = _text(text)
    if not written:
        raise DomainError(_("Please write a note first."), "note")
    rows = followups.locked(_visible([each.id for each in shown], worker))
    if not rows:
        raise Overtaken(_("This is no longer there."))
    _write_note(rows, written, worker)


def _write_note(rows: list[CallFollowup], text: str, worker: Worker) -> None:
    newest = max(row.call_id for row in rows)
    db.session.add(CallNote(company_id=current_company_id(), call_id=newest, author_id=worker.id, body=text))
    db.session.flush()


def assign(shown: Sequence[Shown], user_id: int | None, worker: Worker, now: datetime) -> None:
    """Give it to somebody, or to nobody. Without the right to, only to oneself, or what is one's own back."""
    rows = _taken(shown, worker)
    branch_ids = _branches_of(rows)
    if user_id is not None and all(person.id != user_id for person in people(branch_ids)):
        raise DomainError(_("This person cannot see the call."), "assignee")
    for row in rows:
        if not worker.manages and not ({user_id, row.assigned_to} <= {worker.id, None}):
            raise DomainError(
                _("You can take this over yourself; an owner or a manager gives it to others."), "assignee"
            )
        if row.assigned_to != user_id:
            before, row.assigned_to = row.assigned_to, user_id
            row.status = "in_progress" if user_id is not None or row.attempts else "open"
            _changed(row, "assigned", {"assigned_to": before}, {"assigned_to": user_id})
    if user_id is not None and user_id != worker.id:
        _tell(rows, user_id, worker, now)


def _branches_of(rows: list[CallFollowup]) -> set[int | None]:
    return set(db.session.scalars(select(Call.branch_id).where(Call.id.in_([row.call_id for row in rows]))))


def _tell(rows: list[CallFollowup], user_id: int, worker: Worker, now: datetime) -> None:
    row = rows[0]
    notifications.notify(
        [user_id],
        "followup.assigned",
        "call",
        _l("%(name)s has given you a callback", name=worker.name),
        LazyString(lambda: followup_words.reason(row.reason).label),
        action_url="/calls/follow-ups?who=me",
        action=_l("To my callbacks"),
        dedupe_key=f"followup.assigned:{row.id}:{row.version}",
    )


def people(branch_ids: set[int | None]) -> list[PortalUser]:
    """Everybody active who may see calls, of all these branches."""
    users = db.session.scalars(
        select(PortalUser)
        .where(PortalUser.company_id == current_company_id(), PortalUser.is_active)
        .options(selectinload(PortalUser.permission_links), selectinload(PortalUser.branch_links))
        .order_by(PortalUser.name, PortalUser.id)
    ).all()
    return [user for user in users if _may_see_calls(user) and _sees(user, branch_ids)]


def _may_see_calls(user: PortalUser) -> bool:
    exceptions = {link.permission: link.granted for link in user.permission_links}
    return Permission.VIEW_CALLS in permissions_of(user.role, exceptions)


def _sees(user: PortalUser, branch_ids: set[int | None]) -> bool:
    bound_to = {link.branch_id for link in user.branch_links}
    return not bound_to or branch_ids <= bound_to


# ---- Once more ------------------------------------------------------------------------------------------------


def reopen(shown: Shown, worker: Worker, now: datetime) -> CallFollowup:
    """Take up again what was closed, by whomever. Only what happens from now on can close it by itself."""
    rows = followups.locked(_visible([shown.id], worker))
    if not rows:
        raise Overtaken(_("This is no longer there."))
    row = rows[0]
    if row.status in OPEN:
        return row
    if row.version != shown.version:
        raise Overtaken(_("Somebody has changed this meanwhile. This is how it stands now."))
    before, kept = row.status, {name: value for name, value in (row.facts or {}).items() if name != "closed"}
    row.status, row.closed_at, row.closed_by, row.resolution = "open", None, None, None
    row.facts = kept | {"reopened_at": now.isoformat()}
    row.due_at = _clock(row, now).due(row.reason, now)
    _changed(row, "reopened", {"status": before}, {"status": "open"})
    return row


def due_words(moment: datetime, zone: Any, now: datetime) -> str:
    """``16:00``, or with its day when that is another one."""
    language = "en" if get_locale().language == "en" else "de"
    clock = formats.clock(moment, language, zone)
    if formats.local_day(moment, zone) == formats.local_day(now, zone):
        return clock
    return f"{formats.weekday_day(moment, language, zone)}, {clock}"
