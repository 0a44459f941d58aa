"""What people do to a call leaves a line on its timeline; such a line says what no later report may change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.db import db
from portal.models import Call, CallActivity

MOOD = "mood_corrected"
LINKED = "customer_linked"
UNLINKED = "customer_unlinked"
SENT = "summary_sent"
NAME_LENGTH = 100


@dataclass(frozen=True)
class Person:
    """Who acts, and the branches that they are bound to."""

    id: int
    name: str
    branch_ids: list[int] | None = None


def locked(call_id: int, by: Person) -> Call | None:
    """The call as it stands now, locked; None where this person may not see it."""
    query = select(Call).where(Call.id == call_id)
    if by.branch_ids is not None:
        query = query.where(Call.branch_id.in_(by.branch_ids))
    return db.session.scalar(query.with_for_update().execution_options(populate_existing=True))


def tell(call: Call, kind: str, by: Person, now: datetime, **data: Any) -> None:
    """Write the line. Customers are named by their id only: whoever is erased must not stay here by name."""
    told = {"by": by.name[:NAME_LENGTH], "by_id": by.id} | data
    db.session.add(
        CallActivity(
            company_id=call.company_id, call_id=call.id, activity_type=kind, activity_data=told, occurred_at=now
        )
    )
    db.session.flush()


def were_done(call_id: int, *kinds: str) -> bool:
    """Whether a person has done one of these to the call."""
    query = select(CallActivity.id).where(CallActivity.call_id == call_id, CallActivity.activity_type.in_(kinds))
    return db.session.scalar(query.limit(1)) is not None


def last(activities: Iterable[CallActivity], *kinds: str) -> CallActivity | None:
    """The latest of these lines."""
    found = [each for each in activities if each.activity_type in kinds]
    return max(found, key=lambda each: (each.occurred_at, each.id)) if found else None
