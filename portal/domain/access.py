"""Signing in: passwords, the lock after repeated failures, and the end of sessions."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext as _
from sqlalchemy import select, update

from portal.db import db
from portal.domain import audit
from portal.domain.errors import DomainError
from portal.models import PasswordReset, PortalUser

FREE_FAILURES = 5
LOCK = timedelta(minutes=15)
MIN_PASSWORD = 10
RESET_VALID = timedelta(hours=1)

_hasher = PasswordHasher()
# Checked for unknown addresses, so that they take as long as known ones.
_NOBODY = _hasher.hash("nobody has this password")


@dataclass(frozen=True)
class Attempt:
    """The outcome of a sign-in: the session's token, or None for every kind of refusal."""

    token: str | None


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password fits; takes the same time where there is nobody to compare with."""
    try:
        return _hasher.verify(password_hash or _NOBODY, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def sign_in(email: str, password: str, ip: str | None, now: datetime) -> Attempt:
    """Check a password and count failures on the locked row. Needs ``all_tenants``.

    A locked account refuses the right password too, with the same answer as for a wrong one.
    """
    user = db.session.scalar(select(PortalUser).where(PortalUser.email == email.strip().lower()).with_for_update())
    fits = verify(user.password_hash if user else None, password)
    if user is None or not user.is_active or is_locked(user, now):
        return Attempt(None)
    if not fits:
        _count_failure(user, now)
        return Attempt(None)
    user.failed_logins, user.locked_until = 0, None
    user.last_login_at, user.last_login_ip = now, ip
    if user.password_hash and _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    return Attempt(f"{user.id}:{user.session_version}")


def is_locked(user: PortalUser, now: datetime) -> bool:
    return user.locked_until is not None and user.locked_until > now


def _count_failure(user: PortalUser, now: datetime) -> None:
    user.failed_logins += 1
    if user.failed_logins >= FREE_FAILURES:
        user.locked_until, user.failed_logins = now + LOCK, 0


def set_password(user: PortalUser, password: str) -> None:
    """Set a new password and end every session of this person. Raises ``DomainError`` on a weak one."""
    check_strength(password, user.email)
    user.password_hash = hash_password(password)
    user.session_version += 1
    user.failed_logins, user.locked_until = 0, None


def check_strength(password: str, email: str) -> None:
    """At least ten characters and not the address itself. Raises ``DomainError`` beside ``password``."""
    if len(password) < MIN_PASSWORD:
        raise DomainError(_("At least %(count)s characters, please.", count=MIN_PASSWORD), field="password")
    if password.lower() in {email, email.partition("@")[0]}:
        raise DomainError(_("The password must not be your e-mail address."), field="password")


def request_reset(email: str, now: datetime) -> tuple[PortalUser, str] | None:
    """A token for a new password, for the person with this address; None for strangers. Needs ``all_tenants``.

    Only the token's hash is stored. Earlier tokens of the same person stop working.
    """
    user = db.session.scalar(select(PortalUser).where(PortalUser.email == email.strip().lower()))
    if user is None or not user.is_active:
        return None
    db.session.execute(
        update(PasswordReset)
        .where(PasswordReset.portal_user_id == user.id, PasswordReset.used_at.is_(None))
        .values(used_at=now)
    )
    token = secrets.token_urlsafe(32)
    db.session.add(
        PasswordReset(
            company_id=user.company_id,
            portal_user_id=user.id,
            token_hash=token_hash(token),
            expires_at=now + RESET_VALID,
        )
    )
    db.session.flush()
    return user, token


def valid_reset(token: str, now: datetime) -> PasswordReset | None:
    """The open reset behind a token, locked; None when it is used, too old or wrong. Needs ``all_tenants``."""
    reset = db.session.scalar(
        select(PasswordReset).where(PasswordReset.token_hash == token_hash(token)).with_for_update()
    )
    return reset if reset and reset.used_at is None and reset.expires_at > now else None


def redeem_reset(token: str, password: str, now: datetime) -> None:
    """Set the new password and use the token up. Raises ``DomainError``. Needs ``all_tenants``."""
    reset = valid_reset(token, now)
    if reset is None:
        raise DomainError(_("This link no longer works."))
    user = db.session.get_one(PortalUser, reset.portal_user_id)
    set_password(user, password)
    reset.used_at = now
    audit.record("user.password_reset", user)


def change_password(user_id: int, current: str, new: str) -> str:
    """Replace the password; the new session's token. Raises ``DomainError`` beside its field."""
    user = db.session.scalars(select(PortalUser).where(PortalUser.id == user_id).with_for_update()).one()
    if not verify(user.password_hash, current):
        raise DomainError(_("This is not your present password."), field="current")
    set_password(user, new)
    audit.record("user.password_changed", user)
    return f"{user.id}:{user.session_version}"


def token_hash(token: str) -> str:
    """What is stored of a secret link; the link itself is known to its reader alone."""
    return hashlib.sha256(token.encode()).hexdigest()
