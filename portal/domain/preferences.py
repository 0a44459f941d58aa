"""What a person has chosen for themselves: language and appearance."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from portal.db import db, rows_changed, utcnow
from portal.models import PortalUser, UserPreference

LANGUAGES = ("de", "en")
THEMES = ("light", "dark", "auto")


def set_language(user_id: int, language: str) -> None:
    """Ignores languages that the portal does not speak. Needs ``all_tenants``: operators have no company."""
    if language in LANGUAGES:
        rows_changed(update(PortalUser).where(PortalUser.id == user_id).values(language=language))


def set_theme(user_id: int, company_id: int | None, theme: str) -> None:
    """Ignores themes that do not exist. Needs ``all_tenants``."""
    if theme not in THEMES or _changed(user_id, "theme", theme):
        return
    row = UserPreference(company_id=company_id, portal_user_id=user_id, preference_key="theme", preference_value=theme)
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError:
        _changed(user_id, "theme", theme)  # a second click was first


def _changed(user_id: int, key: str, value: str) -> bool:
    mine = (UserPreference.portal_user_id == user_id, UserPreference.preference_key == key)
    return bool(rows_changed(update(UserPreference).where(*mine).values(preference_value=value, updated_at=utcnow())))
