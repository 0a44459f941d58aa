"""Calendar feeds: secret addresses under which a person's calendar program reads appointments.

An address opens without a login, so what it shows is decided at every fetch: by the role, branches and staff record
that its owner has at that moment. Only the hash of its token is kept; the address is known to whoever was shown it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, func, or_, select, update

from portal.db import db, rows_changed
from portal.domain import audit, hours, identity
from portal.domain.access import token_hash
from portal.domain.errors import DomainError
from portal.domain.identity import Identity
from portal.models import Branch, CalendarFeed, PortalUser, Staff
from portal.permissions import Permission
from portal.tenancy import all_tenants

MOST = 20  # addresses a person may have: one a device and calendar, not one a click
TOKEN_BYTES = 32
USED_EVERY = timedelta(minutes=10)  # how exactly the last use is known


# ---- Whose feed it is, and what it may show ---------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A feed, and its owner as they are now."""

    id: int
    company_id: int
    scope: str
    staff_id: int | None
    branch_id: int | None
    last_used_at: datetime | None
    reader: Identity


@dataclass(frozen=True)
class Extent:
    """Whose appointments at which branches. ``staff`` None: everybody's."""

    name: str
    branches: dict[int, Branch]
    staff: Staff | None
    zone: str


def find(token: str) -> Found | None:
    """The feed behind a token; None for a wrong one, and where its owner may no longer see any calendar."""
    digest = token_hash(token)
    with all_tenants("a calendar program names nobody: the address alone says whose feed it is"):
        row = db.session.execute(
            select(CalendarFeed, PortalUser.session_version)
            .join(PortalUser, PortalUser.id == CalendarFeed.portal_user_id)
            .where(CalendarFeed.token_hash == digest, CalendarFeed.is_active)
        ).first()
    if row is None or not hmac.compare_digest(row[0].token_hash, digest):
        return None
    feed, session_version = row
    reader = identity.load(f"{feed.portal_user_id}:{session_version}")
    if reader is None or Permission.VIEW_CALENDAR not in reader.permissions:
        return None
    columns = (feed.id, feed.company_id, feed.scope, feed.staff_id, feed.branch_id, feed.last_used_at)
    return Found(*columns, reader=reader)


def extent(found: Found) -> Extent | None:
    """What the feed covers now; None where its owner may no longer see that person or branch."""
    reader = found.reader
    branches = _branches(reader)
    if found.scope == "branch":
        return _branch_extent(found, [branch for branch in branches if branch.is_active])
    staff_id = reader.staff_id if found.scope == "user" else found.staff_id
    staff = next(iter(_people(reader, staff_id)), None) if staff_id is not None else None
    if staff is None or not branches:
        return None
    name = _("My appointments") if found.scope == "user" else _("Appointments of %(name)s", name=staff.name)
    return Extent(name, _by_id(branches), staff, _company_zone(reader))


def _branch_extent(found: Found, branches: list[Branch]) -> Extent | None:
    if found.branch_id is None:
        zone = _company_zone(found.reader)
        return Extent(_("All branches"), _by_id(branches), None, zone) if branches else None
    branch = next((branch for branch in branches if branch.id == found.branch_id), None)
    if branch is None:
        return None
    return Extent(branch.name, {branch.id: branch}, None, branch.timezone or _company_zone(found.reader))


def note_use(feed_id: int, now: datetime) -> bool:
    """Write down that the feed was read, at most every ten minutes; whether it was written."""
    due = or_(CalendarFeed.last_used_at.is_(None), CalendarFeed.last_used_at < now - USED_EVERY)
    # updated_at is about the feed's own facts, not about who reads it.
    values = {"last_used_at": now, "updated_at": CalendarFeed.updated_at}
    return rows_changed(update(CalendarFeed).where(CalendarFeed.id == feed_id, due).values(values)) > 0


def use_is_due(found: Found, now: datetime) -> bool:
    return found.last_used_at is None or found.last_used_at < now - USED_EVERY


def _branches(reader: Identity) -> list[Branch]:
    query = select(Branch).order_by(Branch.id)
    if reader.branch_ids:
        query = query.where(Branch.id.in_(reader.branch_ids))
    return list(db.session.scalars(query))


def _people(reader: Identity, staff_id: int | None = None) -> list[Staff]:
    """Who works where the reader may look, and the reader; only that one person where ``staff_id`` is given."""
    query = select(Staff).where(Staff.is_active).order_by(Staff.first_name, Staff.last_name, Staff.id)
    if staff_id is not None:
        query = query.where(Staff.id == staff_id)
    if reader.branch_ids:
        query = query.where(hours.works_at(reader.branch_ids) | (Staff.id == reader.staff_id))
    return list(db.session.scalars(query))


def _by_id(branches: Iterable[Branch]) -> dict[int, Branch]:
    return {branch.id: branch for branch in branches}


def _company_zone(reader: Identity) -> str:
    return reader.company.timezone if reader.company else "UTC"


# ---- Making, renewing, ending -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What a person can subscribe to. ``key`` stands in the form: ``me``, ``staff-7``, ``branch-3``, ``branch-all``."""

    key: str
    label: str
    scope: str
    staff_id: int | None = None
    branch_id: int | None = None


@dataclass(frozen=True)
class Line:
    """A feed in the list. ``works``: whether its owner may still see what it is about, as far as is known."""

    id: int
    scope: str
    label: str
    owner: str
    mine: bool
    works: bool
    created_at: datetime
    last_used_at: datetime | None


def choices(reader: Identity) -> list[Choice]:
    """What the reader may see now: the own appointments first, then branches, then people."""
    people = _people(reader)
    branches = [branch for branch in _branches(reader) if branch.is_active]
    mine = [Choice("me", _("My appointments"), "user") for person in people if person.id == reader.staff_id]
    whole = [Choice("branch-all", _("All branches"), "branch")] if len(branches) > 1 else []
    return [
        *mine,
        *whole,
        *(Choice(f"branch-{branch.id}", branch.name, "branch", branch_id=branch.id) for branch in branches),
        *(
            Choice(f"staff-{person.id}", person.name, "staff", staff_id=person.id)
            for person in people
            if person.id != reader.staff_id
        ),
    ]


def create(reader: Identity, key: str, now: datetime) -> tuple[CalendarFeed, str]:
    """A feed and its token, which is never to be had again. Raises ``DomainError`` beside ``what``."""
    choice = next((choice for choice in choices(reader) if choice.key == key), None)
    if choice is None:
        raise DomainError(_("Please choose one of these."), "what")
    _refuse_too_many(reader)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    feed = CalendarFeed(
        company_id=reader.company_id,
        portal_user_id=reader.id,
        scope=choice.scope,
        staff_id=choice.staff_id,
        branch_id=choice.branch_id,
        token_hash=token_hash(token),
        created_at=now,
    )
    db.session.add(feed)
    db.session.flush()
    audit.record("calendar_feed.created", feed, new=_facts(feed))
    return feed, token


def _refuse_too_many(reader: Identity) -> None:
    count = db.session.scalar(select(func.count(CalendarFeed.id)).where(CalendarFeed.portal_user_id == reader.id))
    if (count or 0) >= MOST:
        raise DomainError(_("You have %(count)s addresses. Please delete one that is not used.", count=MOST), "what")


def renew(reader: Identity, feed_id: int) -> str | None:
    """A new token; the old address opens nothing from now on. None where it is not the reader's own feed."""
    feed = _locked(CalendarFeed.id == feed_id, CalendarFeed.portal_user_id == reader.id)
    if feed is None:
        return None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    feed.token_hash, feed.last_used_at, feed.is_active = token_hash(token), None, True
    db.session.flush()
    audit.record("calendar_feed.renewed", feed, new=_facts(feed))
    return token


def end(reader: Identity, feed_id: int) -> bool:
    """Delete an own feed; an owner ends anybody's. False where there is none."""
    mine = [] if sees_all(reader) else [CalendarFeed.portal_user_id == reader.id]
    feed = _locked(CalendarFeed.id == feed_id, *mine)
    if feed is None:
        return False
    audit.record("calendar_feed.deleted", feed, old=_facts(feed))
    db.session.delete(feed)
    return True


def sees_all(reader: Identity) -> bool:
    """Whoever sets the company up sees every address that is out, so that those of people who leave can be ended."""
    return Permission.MANAGE_SETTINGS in reader.permissions


def listed(reader: Identity) -> list[Line]:
    """The reader's feeds, newest first; for an owner everybody else's after them."""
    query = (
        select(CalendarFeed, PortalUser, Staff, Branch)
        .join(PortalUser, PortalUser.id == CalendarFeed.portal_user_id)
        .outerjoin(Staff, Staff.id == CalendarFeed.staff_id)
        .outerjoin(Branch, Branch.id == CalendarFeed.branch_id)
        .order_by(PortalUser.id != reader.id, PortalUser.name, PortalUser.id, CalendarFeed.id.desc())
    )
    if not sees_all(reader):
        query = query.where(CalendarFeed.portal_user_id == reader.id)
    allowed = {(choice.scope, choice.staff_id, choice.branch_id) for choice in choices(reader)}
    return [_line(*row, reader, allowed) for row in db.session.execute(query).all()]


def _line(
    feed: CalendarFeed,
    owner: PortalUser,
    staff: Staff | None,
    branch: Branch | None,
    reader: Identity,
    allowed: set[tuple[str, int | None, int | None]],
) -> Line:
    mine = owner.id == reader.id
    return Line(
        id=feed.id,
        scope=feed.scope,
        label=_label(feed, owner, staff, branch, mine),
        owner=owner.name,
        mine=mine,
        works=(feed.scope, feed.staff_id, feed.branch_id) in allowed if mine else owner.is_active,
        created_at=feed.created_at,
        last_used_at=feed.last_used_at,
    )


def _label(feed: CalendarFeed, owner: PortalUser, staff: Staff | None, branch: Branch | None, mine: bool) -> str:
    if feed.scope == "branch":
        return branch.name if branch else str(_("All branches"))
    if feed.scope == "staff" and staff:
        return str(_("Appointments of %(name)s", name=staff.name))
    return str(_("My appointments") if mine else _("Appointments of %(name)s", name=owner.name))


def _locked(*conditions: ColumnElement[bool]) -> CalendarFeed | None:
    feed: CalendarFeed | None = db.session.scalar(select(CalendarFeed).where(*conditions).with_for_update())
    return feed


def _facts(feed: CalendarFeed) -> dict[str, object]:
    """What the audit keeps of a feed: never its token, nor the hash."""
    return {
        "scope": feed.scope,
        "user_id": feed.portal_user_id,
        "staff_id": feed.staff_id,
        "branch_id": feed.branch_id,
    }
