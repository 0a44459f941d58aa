"""The demo's follow-ups: what calls left to do, what people have made of it, and until when the rest is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.db import db
from portal.demo.firms import CLERK, MANAGER
from portal.demo.records import Story
from portal.demo.rings import Duty, Ring
from portal.domain import availability, followup_rules, followups, promises
from portal.domain.availability import Hours, Interval
from portal.domain.followup_rules import Terms
from portal.domain.followup_served import OPEN, served
from portal.domain.promises import CallFacts
from portal.models import Call, CallFollowup

# After so much opening time it has been dealt with; what somebody has to decide stays longer.
WORKED_OFF = timedelta(hours=7)
STAYS = {"promise": timedelta(hours=26), "complaint": timedelta(hours=9), "transfer_failed": timedelta(hours=9)}
URGENT = timedelta(hours=1)
RECENT = timedelta(days=2)
TRIED = timedelta(minutes=40)  # before now somebody rang in vain
DONE = (
    "Zurückgerufen, geklärt.",
    "Erreicht, alles besprochen.",
    "Rückruf erledigt, Termin vereinbart.",
    "Per E-Mail beantwortet.",
)
RANG_AGAIN = "Hat selbst wieder angerufen."
SETTLED = {
    "complaint": ("Entschuldigt und Nachbesserung angeboten.", "Gutschein über 15 € geschickt."),
    "promise": ("Termin nachgetragen und bestätigt.",),
    "transfer_failed": ("Selbst zurückgerufen.",),
}  # fmt: skip


@dataclass(frozen=True)
class Duties:
    """Makes the values of follow-ups; ``users`` are the ids of the firm's logins."""

    story: Story
    users: Sequence[int]

    def values(self, ring: Ring, duty: Duty) -> dict[str, Any]:
        """Everything but who it is about, and when the row was made."""
        due = self._due(ring, duty)
        values: dict[str, Any] = {
            "reason": duty.reason,
            "detail": duty.detail,
            "priority": "high" if duty.urgent else "normal",
        }
        values |= {"status": "open", "assigned_to": None, "due_at": due, "attempts": 0, "version": 1}
        values |= {"closed_at": None, "closed_by": None, "resolution": None, "facts": self._promise(ring, duty)}
        stays = STAYS.get(duty.reason, URGENT if duty.urgent else WORKED_OFF)
        if self._after(ring, ring.ended, stays) < self.story.now:
            return values | self._dealt_with(ring, duty, values["facts"])
        if due < self.story.now and duty.reason not in ("complaint", "transfer_failed"):
            again = self._after(ring, self.story.now - TRIED, Terms().of(duty.reason))
            values |= {
                "status": "in_progress",
                "assigned_to": self._user(MANAGER, ring),
                "attempts": 1,
                "due_at": again,
            }
        return values

    def _dealt_with(self, ring: Ring, duty: Duty, facts: dict[str, Any] | None) -> dict[str, Any]:
        rng = self.story.rng
        worked = timedelta(hours=rng.uniform(0.3, 7))
        closed = min(self._after(ring, ring.ended, worked), self.story.now - timedelta(minutes=9))
        often = 0.5 if self.story.now - closed < RECENT else 0.2
        by_itself = duty.reason == "callback" and rng.random() < often
        how = "called_again" if by_itself else "reached"
        return {
            "status": "resolved" if by_itself or rng.random() < 0.94 else "dismissed",
            "assigned_to": None if by_itself else self._user(MANAGER, ring),
            "closed_at": closed,
            "closed_by": None if by_itself else self._user(rng.choice((MANAGER, CLERK)), ring),
            "resolution": RANG_AGAIN if by_itself else rng.choice(SETTLED.get(duty.reason, DONE)),
            "facts": (facts or {}) | {"closed": {"how": how, "at": closed.isoformat()}},
        }

    def _user(self, login: int, ring: Ring) -> int:
        return self.users[self.story.firm.in_charge(login, ring.place)]

    # ---- Until when ----

    def _due(self, ring: Ring, duty: Duty) -> datetime:
        return self._after(ring, ring.ended, Terms().of(duty.reason))

    def _after(self, ring: Ring, moment: datetime, wait: timedelta) -> datetime:
        return followup_rules.after_open_time(moment, wait, self._openings(ring.place, moment))

    def _openings(self, place: int, moment: datetime) -> Iterator[Interval]:
        """When the place is open from that day on."""
        calendar = self.story.calendar
        hours = [
            Hours(weekday, *span) for weekday, spans in self.story.firm.places[place].week.items() for span in spans
        ]
        closures = calendar.closures(place)
        first = moment.astimezone(calendar.zone).date()
        for days in range(followup_rules.HORIZON):
            yield from availability.opening(first + timedelta(days=days), calendar.zone, hours, closures)

    # ---- What was promised ----

    def _promise(self, ring: Ring, duty: Duty) -> dict[str, Any] | None:
        if duty.reason != "promise" or ring.dialogue is None or ring.transcript is None:
            return None
        heard, dialogue = ring.transcript, ring.dialogue
        data = {"call_successful": dialogue.successful, **dialogue.custom}
        zone = self.story.calendar.zone
        said = promises.promised(CallFacts(ring.at, zone, dialogue.intent, data, heard.turns, heard.tool_calls))
        if said is None:
            return None
        told: dict[str, Any] = {"kind": "none", "start": said.moments[0].astimezone(UTC).isoformat()}
        told |= {"service": said.service or "", "staff": said.staff or ""}
        return {"promise": told}


def settle(now: datetime) -> None:
    """Close what closes itself, as the portal would have done when it happened. Needs the company's scope."""
    for row in db.session.scalars(select(CallFollowup).where(CallFollowup.status.in_(OPEN)).order_by(CallFollowup.id)):
        found = served(db.session.get_one(Call, row.call_id), row.created_at)
        if found is not None and found.at <= now:
            followups.settle(row, found.at)
    db.session.flush()
