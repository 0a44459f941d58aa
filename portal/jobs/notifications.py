"""Writes the e-mail of a notification, for people who want it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from portal import mailer, settings
from portal.db import db, transaction
from portal.domain import notifications
from portal.models import Company, PortalUser


def write(payload: dict[str, Any]) -> None:
    """Put one mail into the mail outbox; nothing for people who have left meanwhile."""
    transaction(lambda: _write(payload))


def _write(payload: dict[str, Any]) -> None:
    found = db.session.execute(
        select(PortalUser, Company.name)
        .join(Company, Company.id == PortalUser.company_id)
        .where(PortalUser.id == payload["user_id"], PortalUser.is_active)
    ).first()
    if found is None:
        return
    user, company_name = found
    base = settings().portal_base_url
    mailer.send(
        "notification",
        user.email,
        payload["title"],
        language=user.language,
        company_id=user.company_id,
        company_name=company_name,
        dedupe_key=payload["key"],
        name=user.name,
        body=payload["body"],
        details=payload["details"],
        action=payload["action"],
        url=f"{base}{payload['url']}" if payload["url"] else None,
        preferences_url=f"{base}/notifications#preferences",
    )


OUTBOX = {notifications.MAIL: write}
