"""The record of who did what: one row an action, in the same transaction as the action."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from portal.db import db
from portal.models import AuditLog


@dataclass(frozen=True)
class Actor:
    """Who acts: a signed-in person, or nobody for webhooks, the worker and the command line."""

    user_id: int | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


_actor: ContextVar[Actor] = ContextVar("actor", default=Actor())  # noqa: B039  frozen


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Everything recorded inside is this actor's doing."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor:
    return _actor.get()


def record(
    action: str,
    row: Any = None,
    *,
    company_id: int | None = None,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
) -> AuditLog:
    """Write one row. ``action`` reads ``feature.deed`` (``appointment.completed``); values must be JSON-ready.

    Secrets, transcripts and whole payloads never go in here.
    """
    who = _actor.get()
    written = AuditLog(
        company_id=company_id if row is None or company_id is not None else getattr(row, "company_id", None),
        user_id=who.user_id,
        action=action,
        model_type=None if row is None else row.__tablename__,
        model_id=None if row is None else row.id,
        old_values=old,
        new_values=new,
        ip_address=who.ip_address,
        user_agent=who.user_agent,
        request_id=who.request_id,
    )
    db.session.add(written)
    return written
