"""Cal.com and the calendar after anything that may happen on both sides and between them: in the end they agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import booking_push, booking_sync, bookings
from portal.domain.booking_push import There, Wish, contradicts, next_step
from portal.domain.errors import DomainError
from portal.domain.told import Moot, Person, Told, Waiting
from tests import factories
from tests.cast import Cast
from tests.fake_calcom import FakeCalcom
from tests.fake_calcom.app import ApiError, _cancel, _confirm, _decline, _reschedule
from tests.jobs.test_calcom import GRETA, NOW, START, Desk, booked, sim

__all__ = ["sim"]  # the fixture

TIMES = [START + timedelta(days=day) for day in range(4)]
STATUSES = ("ACCEPTED", "PENDING", "CANCELLED", "REJECTED")

# ---- The rules, from values alone -------------------------------------------------------------------------------

times = st.sampled_from(TIMES)
wishes = st.builds(Wish, times, st.booleans(), st.booleans(), st.booleans(), st.booleans())
found = st.builds(There, times, st.sampled_from(STATUSES), st.none() | st.booleans())


def done(there: There, step: str, wish: Wish) -> There:
    """What Cal.com has after the step."""
    changes: dict[str, dict[str, Any]] = {
        "move": {"start": wish.start},
        "cancel": {"status": "CANCELLED"},
        "decline": {"status": "REJECTED"},
        "confirm": {"status": "ACCEPTED"},
        "absent": {"absent": True},
        "present": {"absent": False},
    }
    return replace(there, **changes[step])


@given(wishes, found)
def test_a_few_steps_bring_there_what_is_wanted_here(wish: Wish, there: There) -> None:
    for _ in range(4):
        step = next_step(wish, there, NOW)
        if step in (None, "impossible"):
            break
        there = done(there, step, wish)
    assert step == ("impossible" if there.ended and wish.stands and not wish.over else None)
    if not there.ended:
        assert wish.stands
        assert there.start == wish.start
        assert there.status == "ACCEPTED" or not wish.confirmed
        assert there.absent in (None, wish.absent)


@given(wishes, found)
def test_a_past_time_is_never_sent(wish: Wish, there: There) -> None:
    assert next_step(wish, there, TIMES[-1]) != "move"


@given(wishes, found, found, st.none() | times)
def test_without_a_change_on_both_sides_there_is_no_contradiction(
    wish: Wish, known: There, told: There, sent: datetime | None
) -> None:
    same_here = replace(wish, start=known.start, stands=True)
    assert not contradicts(same_here, known, told, sent)
    assert not contradicts(wish, known, known, sent)
    if not told.ended:
        assert not contradicts(wish, known, told, told.start)  # the echo of what we sent
        assert not contradicts(wish, known, replace(told, start=wish.start), sent)  # both went to the same time


# ---- Both sides at once -----------------------------------------------------------------------------------------


@dataclass
class World:
    """The portal, Cal.com, and the events that are under way between them."""

    desk: Desk
    random: Random
    mail: list[Told] = field(default_factory=list)
    clock: int = 0

    def tell(self, deed: str, booking: dict[str, Any]) -> None:
        """Cal.com sends an event; it arrives some time."""
        self.clock += 1
        status = {"accepted": "ACCEPTED", "pending": "PENDING", "rejected": "REJECTED"}.get(booking["status"])
        host = booking["hosts"][0]
        told = Told(
            uid=booking["uid"],
            previous_uid=booking.get("rescheduledFromUid"),
            status=status or "CANCELLED",
            start=datetime.fromisoformat(booking["start"]),
            end=datetime.fromisoformat(booking["end"]),
            organizer=Person(id=host["id"], name=host["name"], email=host["email"]),
            attendee=GRETA,
            event_type_id=4101,
            booking_id=booking["id"],
            written_at=NOW + timedelta(seconds=self.clock),
            raw={"organizer": {"id": host["id"], "email": host["email"]}},
        )
        if deed != "mark-absent":
            self.mail += [told] * self.random.choice((1, 1, 2))

    def someone_there(self) -> None:
        """Customer or host change the booking at Cal.com."""
        standing = self.desk.sim.standing()
        if not standing:
            return
        deed, run = self.random.choice(
            [("reschedule", _reschedule), ("cancel", _cancel), ("confirm", _confirm), ("decline", _decline)]
        )
        start = self.random.choice(TIMES).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"start": start} if deed == "reschedule" else {}
        try:
            booking = run(self.desk.sim, standing[0], body)
        except ApiError:
            return
        self.tell(deed, booking)

    def someone_here(self) -> None:
        """A person of the business changes the appointment."""
        desk, start = self.desk, self.random.choice(TIMES)
        deed = self.random.choice(("move", "move", "cancel", "back", "confirm", "no_show"))
        try:
            if deed == "move":
                desk.move(start)
            elif deed == "cancel":
                desk.cancel()
            else:
                desk.status(deed)
        except DomainError:
            return

    def deliver(self) -> None:
        """One of the events arrives, whichever."""
        if not self.mail:
            return
        told = self.mail.pop(self.random.randrange(len(self.mail)))
        take = bookings.call_off if told.status in ("CANCELLED", "REJECTED") else bookings.take_over
        try:
            factories.within(self.desk.firm, lambda: take(told, NOW))
        except Waiting:
            self.mail.append(told)
        except Moot:
            pass

    def work(self) -> None:
        """The worker's turn, on a line that may fail."""
        fault = self.random.choice(("", "", "cut", "500", "429"))
        if fault == "cut":
            self.desk.line.cut = 1
        elif fault:
            self.desk.sim.fail_next(int(fault), after=self.random.randint(0, 2))
        self.desk.work(timedelta(days=self.random.choice((0, 1))))

    def come_to_rest(self) -> None:
        """Everything arrives, everything is sent, and a person chooses where it is needed."""
        self.desk.line.cut = 0
        self.desk.sim.faults.clear()
        for _ in range(20):
            while self.mail and self._some_arrive():
                pass
            self.desk.work(timedelta(days=2))
            state = self.desk.booking().sync_status
            if state in (booking_push.CONFLICT, booking_push.ERROR):
                choice = self.random.choice(("ours", "theirs"))
                self.desk.do(lambda row, choice=choice: booking_sync.choose(row, choice, NOW))
            elif not self.mail and state == booking_push.SYNCED:
                return
        raise AssertionError(f"no rest: {self.desk.booking().sync_status}, {len(self.mail)} events under way")

    def _some_arrive(self) -> bool:
        before = len(self.mail)
        for _ in range(before * 3):
            self.deliver()
        return len(self.mail) < before


@pytest.mark.parametrize("seed", range(80))
def test_both_sides_agree_in_the_end_whatever_happens(sim: FakeCalcom, cast: Cast, seed: int) -> None:
    random = Random(seed)
    world = World(booked(sim, cast.salon, random.choice(("ACCEPTED", "PENDING"))), random)
    sim.on_deed = world.tell
    for _ in range(random.randint(2, 12)):
        random.choice((world.someone_there, world.someone_here, world.deliver, world.work))()
    world.come_to_rest()
    (row,), standing = world.desk.rows(), sim.standing()
    assert len(standing) <= 1
    if row.status == "cancelled":
        assert standing == []
    elif standing:
        assert standing[0]["start"] == row.start_time.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert standing[0]["uid"] == row.calcom_event_id
        assert standing[0]["status"] == "accepted" or row.status == "scheduled"
    else:
        assert world.desk.booking().status in ("CANCELLED", "REJECTED")
