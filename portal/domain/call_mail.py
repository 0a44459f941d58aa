"""The summary of a call by e-mail: to whom it may go, how often, and what stays on the call's timeline of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db
from portal.domain import audit, call_deeds, followup_work
from portal.domain.call_deeds import SENT, Person
from portal.domain.errors import DomainError
from portal.models import Call, CallActivity, PortalUser

MOST_AT_ONCE = 20
# Of one company within a day: all mails, and those to addresses outside it.
MOST_A_DAY, MOST_OUTSIDE = 100, 20
DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Recipient:
    """A colleague (``user_id``), or an address outside. ``language`` is de or en."""

    address: str
    name: str
    language: str
    user_id: int | None = None


def colleagues(call: Call) -> list[PortalUser]:
    """Who may see this call in the portal anyway."""
    return followup_work.people({call.branch_id})


def recipients(call: Call, user_ids: list[int], outside: str | None, language: str) -> list[Recipient]:
    """Each address once. Raises ``DomainError`` for nobody, too many, or somebody who may not see the call."""
    known = {user.id: user for user in colleagues(call)}
    if not set(user_ids) <= known.keys():
        raise DomainError(_("This person cannot see the call."), "people")
    chosen = [
        Recipient(user.email, user.name, user.language, user.id) for user in map(known.__getitem__, sorted(user_ids))
    ]
    if outside and outside not in {each.address for each in chosen}:
        chosen.append(Recipient(outside, "", language))
    if not chosen:
        raise DomainError(_("Please choose somebody, or enter an address."), "people")
    if len(chosen) > MOST_AT_ONCE:
        raise DomainError(_("Please choose at most %(most)s people.", most=MOST_AT_ONCE), "people")
    return chosen


def check_often(chosen: list[Recipient], now: datetime) -> None:
    """Raises ``DomainError`` where this would be too many mails for a day."""
    lines = db.session.scalars(
        select(CallActivity.activity_data).where(
            CallActivity.activity_type == SENT, CallActivity.occurred_at > now - DAY
        )
    )
    told = [data or {} for data in lines]
    sent = sum(int(data.get("count", 0)) for data in told)
    outside = sum(1 for data in told if data.get("outside"))
    if sent + len(chosen) > MOST_A_DAY:
        raise DomainError(_("Your company has sent very many summaries today. Please go on tomorrow."))
    if any(each.user_id is None for each in chosen) and outside >= MOST_OUTSIDE:
        raise DomainError(
            _("Your company has sent very many summaries to other addresses today. Please go on tomorrow."), "outside"
        )


def key_of(form_key: str, call_id: int, by: Person, to: Recipient) -> str:
    """Under which a mail stands in the outbox once, however often its form is sent."""
    return f"call.summary:{call_id}:{by.id}:{form_key}:{to.user_id or 'outside'}"


def tell(call: Call, chosen: list[Recipient], by: Person, now: datetime, *, transcript: bool) -> None:
    """On the timeline and in the audit: who got it, and whether with every word."""
    names = [each.name or each.address for each in chosen]
    outside = [each.address for each in chosen if each.user_id is None]
    call_deeds.tell(call, SENT, by, now, to=", ".join(names), count=len(chosen), outside=outside, transcript=transcript)
    ids = [each.user_id for each in chosen if each.user_id is not None]
    audit.record("call.summary_sent", call, new={"users": ids, "addresses": outside, "transcript": transcript})
