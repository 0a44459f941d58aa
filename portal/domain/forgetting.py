"""Taking out of calls what people said and who they were; what was paid and that there was a call stays.

The only functions that delete what belongs to a call, used when its time is over and when a person is erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, update

from portal.db import db
from portal.models import Call, CallActivity, CallContent, CallFollowup, CallNote

# A list, and no query: MySQL changes no table that it is choosing from.
Ids = Sequence[int]

SAID: dict[str, Any] = {"summary": None, "dynamic_variables": None, "custom_data": None}
WHO: dict[str, Any] = {"phone_number": None, "from_number": None, "to_number": None, "recording_url": None}


def words(calls: Ids) -> None:
    """Everything that was said, in full and in short, and what was understood of it."""
    _delete(CallContent, calls)
    _update(CallFollowup, CallFollowup.call_id, calls, detail=None, resolution=None, facts=None)
    _update(Call, Call.id, calls, **SAID)


def everything(calls: Ids) -> None:
    """What was said, what was noted, who it was. The row, its time, its length and its price stay."""
    for table in (CallContent, CallActivity, CallNote, CallFollowup):
        _delete(table, calls)
    _update(Call, Call.id, calls, **SAID, **WHO)


def unlink(calls: Ids) -> None:
    """Part calls from the customer and the appointment that they led to."""
    _update(Call, Call.id, calls, customer_id=None, appointment_id=None)


def link(calls: Ids, customer_id: int) -> None:
    """Tie calls to the person who is erased, so that no late report of them brings anything back."""
    _update(Call, Call.id, calls, customer_id=customer_id)


def _delete(table: Any, calls: Ids) -> None:
    db.session.execute(delete(table).where(table.call_id.in_(calls)).execution_options(synchronize_session=False))


def _update(table: Any, column: Any, calls: Ids, **values: Any) -> None:
    statement = update(table).where(column.in_(calls)).values(**values)
    db.session.execute(statement.execution_options(synchronize_session=False))
