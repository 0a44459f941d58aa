"""The company's way to Cal.com: which key may go out, and what is asked for the page of its settings."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from portal import settings
from portal.clients.calcom import CalcomClient, EventType, Me, may_ask
from portal.db import EncryptionError, db
from portal.models import Company
from portal.tenancy import current_company_id

log = structlog.get_logger()

# Seconds that a person waits for the page.
PATIENCE = 8.0
connect: Callable[[str, str], CalcomClient] = CalcomClient


def client() -> CalcomClient | None:
    """The current company's; None where its key may not go out. Leaves no transaction open."""
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    own = settings()
    try:
        key = company.calcom_api_key
    except EncryptionError as error:
        log.error("the key for Cal.com cannot be read", company_id=company.id, error=str(error))
        key = None
    db.session.rollback()
    if key is None or not may_ask(key, own.calcom_api_base, production=own.production):
        return None
    return connect(key, own.calcom_api_base)


def may_reach() -> bool:
    """Whether this installation asks Cal.com at all: outside of production only at an address set on purpose."""
    own = settings()
    return may_ask("any", own.calcom_api_base, production=own.production)


def whose(found: CalcomClient) -> Me:
    """Whose key it is. Raises ``CalcomProblem``."""
    found.be_quick(PATIENCE)
    return found.me()


def event_types(found: CalcomClient, team_id: str) -> list[EventType]:
    """The owner's and, with a team, the team's. Raises ``CalcomProblem``."""
    found.be_quick(PATIENCE)
    own = found.event_types()
    return own + (found.event_types(team_id) if team_id else [])
