"""What people are told: in the bell, and by e-mail where they want it. Everybody chooses for themselves.

``notify`` is called inside :func:`portal.db.transaction`. The words may be lazy and are spoken in each reader's own
language. An e-mail is written by the worker, from the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import force_locale
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased, selectinload

from portal.db import db, rows_changed, utcnow
from portal.domain import outbox
from portal.models import Notification, PortalUser, UserPreference
from portal.permissions import Permission, permissions_of
from portal.tenancy import current_company_id

MAIL = "notification.mail"
PREFERENCE = "notifications"
CHANNELS = ("bell", "mail")
# As the branch of what came in on the company's own line: who is bound to branches does not see it.
NO_BRANCH = 0
# Category → who can be told about it, and whether an e-mail comes as long as nobody has said anything.
CATEGORIES: dict[str, tuple[Permission, bool]] = {
    "appointment": (Permission.VIEW_CALENDAR, False),
    "call": (Permission.VIEW_CALLS, False),
    "billing": (Permission.VIEW_BALANCE, True),
    "team": (Permission.MANAGE_TEAM, True),
    "system": (Permission.MANAGE_SETTINGS, True),
}
PAGE = 30
NEWEST = 5
MOST_COUNTED = 100
TITLE = 255

Text = Any  # a str, or a lazy one


# ---- Telling ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Notice:
    """One message before it is put into anybody's language."""

    type: str
    category: str
    title: Text
    body: Text
    action_url: str | None
    action: Text
    details: Sequence[tuple[Text, Text]]
    dedupe_key: str | None
    priority: str
    expires_at: datetime | None
    mail: bool

    def words(self, language: str) -> dict[str, Any]:
        with force_locale(language):
            return {
                "title": str(self.title)[:TITLE],
                "body": str(self.body),
                "action": str(self.action),
                "details": [[str(what), str(text)] for what, text in self.details],
            }


def notify(
    to: Permission | Iterable[int],
    type: str,
    category: str,
    title: Text,
    body: Text = "",
    *,
    action_url: str | None = None,
    action: Text = "",
    details: Sequence[tuple[Text, Text]] = (),
    dedupe_key: str | None = None,
    priority: str = "normal",
    branch_id: int | None = None,
    expires_at: datetime | None = None,
    mail: bool = True,
) -> int:
    """Tell people of the current company; how many have been told something new.

    ``to``: a permission, meaning everybody active who has it, or ids of people. ``branch_id`` leaves out who does not
    see that branch, ``NO_BRANCH`` everybody who is bound to one. ``details`` (what, text) and the words of the button,
    ``action``, stand in the e-mail only. The same ``dedupe_key`` reaches a person once. Without ``mail`` it stands in
    the bell only. Raises ``ValueError`` for an ``action_url`` that is no path of ours.
    """
    if action_url is not None and not is_own_path(action_url):
        raise ValueError(f"not a path of ours: {action_url!r}")
    notice = _Notice(
        type, category, title, body, action_url, action, tuple(details), dedupe_key, priority, expires_at, mail
    )
    return sum(_tell(user, notice) for user in _readers(to, branch_id))


def is_own_path(url: str) -> bool:
    """``/calls/4711``; not ``//elsewhere``, nor what browsers read as that."""
    return url.startswith("/") and not url.startswith("//") and "\\" not in url and url.isprintable()


def _tell(user: PortalUser, notice: _Notice) -> bool:
    """False when this person has been told already, or wants to be told nothing of the kind."""
    wants, words = _chosen(_preference_of(user))[notice.category], notice.words(user.language)
    if "bell" in wants and not _insert(_row(user, notice, words)):
        return False
    if "mail" in wants and notice.mail:
        key = f"notification:{user.id}:{notice.dedupe_key}" if notice.dedupe_key else None
        payload = {"user_id": user.id, "category": notice.category, "url": notice.action_url, "key": key, **words}
        outbox.enqueue(MAIL, payload, company_id=user.company_id, dedupe_key=key)
    return bool(wants)


def _row(user: PortalUser, notice: _Notice, words: dict[str, Any]) -> Notification:
    return Notification(
        company_id=user.company_id,
        portal_user_id=user.id,
        type=notice.type,
        category=notice.category,
        priority=notice.priority,
        title=words["title"],
        body=words["body"] or None,
        action_url=notice.action_url,
        dedupe_key=notice.dedupe_key,
        expires_at=notice.expires_at,
    )


def _insert(row: Notification) -> bool:
    """False when this person has been told already."""
    if row.dedupe_key is None:
        db.session.add(row)
        db.session.flush()
        return True
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError:
        return False
    return True


def _readers(to: Permission | Iterable[int], branch_id: int | None) -> list[PortalUser]:
    query = select(PortalUser).where(PortalUser.company_id == current_company_id(), PortalUser.is_active)
    if not isinstance(to, Permission):
        query = query.where(PortalUser.id.in_(list(to)))
    people = db.session.scalars(
        query.options(
            selectinload(PortalUser.permission_links),
            selectinload(PortalUser.branch_links),
            selectinload(PortalUser.preferences),
        )
        .order_by(PortalUser.id)
        .execution_options(populate_existing=True)
    ).all()
    return [user for user in people if (not isinstance(to, Permission) or _has(user, to)) and _sees(user, branch_id)]


def _has(user: PortalUser, permission: Permission) -> bool:
    return permission in permissions_of(user.role, {link.permission: link.granted for link in user.permission_links})


def _sees(user: PortalUser, branch_id: int | None) -> bool:
    bound_to = {link.branch_id for link in user.branch_links}
    return branch_id is None or not bound_to or branch_id in bound_to


# ---- Everybody's own choice -------------------------------------------------------------------------------


def choices(user_id: int) -> dict[str, frozenset[str]]:
    """Category → channels (bell, mail) by which this person is told."""
    stored = db.session.scalar(
        select(UserPreference.preference_value).where(
            UserPreference.portal_user_id == user_id, UserPreference.preference_key == PREFERENCE
        )
    )
    return _chosen(stored)


def choose(user_id: int, company_id: int, wanted: Mapping[str, Iterable[str]]) -> None:
    """Remember a person's choice; categories that are not named keep theirs."""
    known = {category: sorted(channels) for category, channels in choices(user_id).items()}
    value = known | {category: sorted(set(channels) & set(CHANNELS)) for category, channels in wanted.items()}
    if _changed(user_id, value):
        return
    row = UserPreference(
        company_id=company_id, portal_user_id=user_id, preference_key=PREFERENCE, preference_value=value
    )
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError:
        _changed(user_id, value)  # a second click was first


def _changed(user_id: int, value: dict[str, list[str]]) -> bool:
    return bool(
        rows_changed(
            update(UserPreference)
            .where(UserPreference.portal_user_id == user_id, UserPreference.preference_key == PREFERENCE)
            .values(preference_value=value, updated_at=utcnow())
        )
    )


def _preference_of(user: PortalUser) -> Any:
    return next((row.preference_value for row in user.preferences if row.preference_key == PREFERENCE), None)


def _chosen(stored: Any) -> dict[str, frozenset[str]]:
    stored = stored if isinstance(stored, dict) else {}
    return {
        category: frozenset(stored.get(category, CHANNELS if by_mail else ("bell",)))
        for category, (_permission, by_mail) in CATEGORIES.items()
    }


# ---- Reading ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bell:
    """What the top bar shows. ``unread`` stops at a hundred; ``today`` is the reader's: other days are named."""

    unread: int
    latest: list[Notification]
    today: date | None = None

    @property
    def version(self) -> str:
        """Changes when the bell would look different."""
        newest = self.latest[0].id if self.latest else 0
        return f"{self.unread}-{newest}-{sum(1 for row in self.latest if row.read_at)}-{self.today}"


@dataclass(frozen=True)
class Page:
    """Notifications, newest first; ``older`` and ``newer`` are ids for the pages beside it, None at an end."""

    rows: list[Notification]
    newer: int | None
    older: int | None


def bell(user_id: int, now: datetime, today: date | None = None) -> Bell:
    """The unread ones counted, and the newest five; one statement."""
    unread = select(Notification.id).where(*_of(user_id, now), Notification.read_at.is_(None)).limit(MOST_COUNTED)
    count = select(func.count()).select_from(unread.subquery()).scalar_subquery()
    found = db.session.execute(_newest_first(select(Notification, count).where(*_of(user_id, now))).limit(NEWEST)).all()
    return Bell(found[0][1] if found else 0, [row for row, _count in found], today)


def unread_count(user_id: int, now: datetime) -> int:
    """At most a hundred."""
    return bell(user_id, now).unread


def page(user_id: int, now: datetime, *, before: int | None = None, after: int | None = None) -> Page:
    """One page by keyset: below the notification ``before``, or above ``after``."""
    query = select(Notification).where(*_of(user_id, now))
    if after is not None:
        query = query.where(_beside(after, newer=True)).order_by(Notification.created_at, Notification.id)
        found = list(db.session.scalars(query.limit(PAGE + 1)))
        rows = found[:PAGE][::-1]
        return Page(rows, rows[0].id if len(found) > PAGE else None, rows[-1].id if rows else None)
    if before is not None:
        query = query.where(_beside(before, newer=False))
    found = list(db.session.scalars(_newest_first(query).limit(PAGE + 1)))
    rows = found[:PAGE]
    newer = rows[0].id if before is not None and rows else None
    return Page(rows, newer, rows[-1].id if len(found) > PAGE else None)


def open_one(user_id: int, notification_id: int, now: datetime) -> str | None:
    """Mark one as read; its path, '' where it has none, None where this person has no such notification."""
    row = db.session.scalar(select(Notification).where(Notification.id == notification_id, *_of(user_id, now)))
    if row is None:
        return None
    _mark(now, Notification.id == row.id)
    return row.action_url if row.action_url and is_own_path(row.action_url) else ""


def mark_all_read(user_id: int, now: datetime) -> int:
    """How many were unread."""
    return _mark(now, Notification.portal_user_id == user_id)


def _mark(now: datetime, condition: ColumnElement[bool]) -> int:
    return rows_changed(update(Notification).where(condition, Notification.read_at.is_(None)).values(read_at=now))


def _of(user_id: int, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Notification.portal_user_id == user_id,
        or_(Notification.expires_at.is_(None), Notification.expires_at > now),
    )


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(Notification.created_at.desc(), Notification.id.desc())


def _beside(notification_id: int, *, newer: bool) -> ColumnElement[bool]:
    row, mark = Notification, aliased(Notification)
    moment = select(mark.created_at).where(mark.id == notification_id).scalar_subquery()
    if newer:
        return or_(row.created_at > moment, and_(row.created_at == moment, row.id > notification_id))
    return or_(row.created_at < moment, and_(row.created_at == moment, row.id < notification_id))
