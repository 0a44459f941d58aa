"""Fifty processes want the same time of the same person, twenty times over, in every way that there is to get it.

They start once and stay for all rounds; each round is a day of its own. Whoever is refused must have met somebody: what
stands in the end is as much as can stand. The last tests take the guard away and see the double booking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import appointments, bookings, slots
from portal.domain.bookings import Person, Told
from portal.domain.slots import BUSY, Plan, SlotTaken, padded
from portal.models import Appointment, AuditLog, Customer
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm, build_cast
from tests.conftest import Databases, make_app
from tests.factories import within
from tests.races.processes import Crew, Task, Work
from tests.races.test_double_booking import book, move, url_of

PROCESSES, ROUNDS = 50, 20
NOON = datetime(2027, 3, 9, 12, 0, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
GOT_IT = {"booked", "moved", "restored"}


@dataclass
class Arena:
    """A company with fifty customers, and the processes that book for them."""

    firm: Firm
    customers: list[int]
    crew: Crew

    def wish(self, number: int, start: datetime, minutes: int = 45, before: int = 0, after: int = 0) -> Plan:
        return Plan(
            branch_id=self.firm.main.id,
            customer_id=self.customers[number],
            staff_id=self.firm.stylist.id,
            start=start,
            end=start + minutes * MINUTE,
            service_id=self.firm.cut.id if minutes == 45 else None,
            buffer_before=before,
            buffer_after=after,
        )

    def around(self, noon: datetime, *statuses: str) -> list[Appointment]:
        """The person's appointments of that round."""
        with tenant_scope(self.firm.id):
            found = db.session.scalars(
                select(Appointment)
                .where(
                    Appointment.staff_id == self.firm.stylist.id,
                    Appointment.start_time.between(noon - DAY / 4, noon + DAY / 4),
                    Appointment.status.in_(statuses or BUSY),
                )
                .order_by(Appointment.id)
            ).all()
            db.session.expunge_all()
            db.session.rollback()  # the next look sees the next round
            return list(found)


@pytest.fixture(scope="module")
def arena(databases: Databases) -> Iterator[Arena]:
    app = make_app(databases.create())
    with app.app_context():
        db.session.session_factory.configure(join_transaction_mode="conditional_savepoint")
        cast: Cast = build_cast()
        firm = cast.salon
        with Crew(url_of(app), PROCESSES) as crew:
            yield Arena(firm, within(firm, lambda: _customers(firm)), crew)
        db.session.remove()
        db.engine.dispose()


def _customers(firm: Firm) -> list[int]:
    rows = [Customer(company_id=firm.id, first_name="Kunde", last_name=f"Nr. {n}", phone="") for n in range(PROCESSES)]
    db.session.add_all(rows)
    db.session.flush()
    return [row.id for row in rows]


def rounds(first_day: int) -> Iterator[tuple[datetime, Random]]:
    """Noon of every round, a day each, and its own luck, which is the same at every run."""
    for number in range(ROUNDS):
        yield NOON + DAY * (first_day + number), Random(first_day + number)


# ---- What a process does ----------------------------------------------------------------------------------------


def restore(app: Flask, company_id: int, appointment_id: int, action: str) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            appointments.set_status(db.session.get_one(Appointment, appointment_id), action, utcnow(), version=1)
        return "restored"

    try:
        return transaction(work)
    except SlotTaken:
        return "taken"


def hear(app: Flask, company_id: int, told: Told) -> int:
    """Cal.com says that a customer has booked or moved; the appointment's id."""

    def work() -> int:
        with tenant_scope(company_id):
            return bookings.take_over(told, utcnow()).id

    return transaction(work)


def without_the_write(app: Flask, work: Work, *arguments: Any) -> Any:
    """The same without the write of the person's row, which makes others wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "claim_calendars", lambda *staff_ids: None)
        return work(app, *arguments)


def without_the_look(app: Flask, work: Work, *arguments: Any) -> Any:
    """The same without the look for overlaps after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "overlapping", lambda plan, but=None: [])
        return work(app, *arguments)


# ---- What must come of it ---------------------------------------------------------------------------------------


def is_as_much_as_can_be(rows: Sequence[Appointment], wishes: Sequence[Plan], outcomes: Sequence[str]) -> None:
    """Nobody overlaps; who got it stands there; and who was refused had somebody in the way."""
    assert not any(padded(one).overlaps(padded(other)) for one in rows for other in rows if one.id < other.id)
    assert sum(outcome in GOT_IT for outcome in outcomes) == len(rows)
    for wish, outcome in zip(wishes, outcomes, strict=True):
        assert outcome in GOT_IT or any(padded(row).overlaps(wish.padded) for row in rows)


def test_of_fifty_who_book_the_same_time_one_gets_it(arena: Arena) -> None:
    for noon, _ in rounds(0):
        wishes = [arena.wish(number, noon) for number in range(PROCESSES)]
        outcomes = arena.crew.at_once([(book, (arena.firm.id, wish)) for wish in wishes])
        assert Counter(outcomes) == {"booked": 1, "taken": PROCESSES - 1}
        assert len(arena.around(noon)) == 1


def test_half_overlaps_and_buffers_of_other_services_are_no_way_around(arena: Arena) -> None:
    """All wishes meet all others: some by a few minutes, those before and after noon by their buffers alone."""
    for noon, luck in rounds(100):
        wishes = [_around_noon(arena, number, noon, luck) for number in range(PROCESSES)]
        assert all(one.padded.overlaps(other.padded) for one in wishes for other in wishes)
        outcomes = arena.crew.at_once([(book, (arena.firm.id, wish)) for wish in wishes])
        assert Counter(outcomes) == {"booked": 1, "taken": PROCESSES - 1}
        is_as_much_as_can_be(arena.around(noon), wishes, outcomes)


def _around_noon(arena: Arena, number: int, noon: datetime, luck: Random) -> Plan:
    minutes = luck.choice((15, 30, 45, 90))
    if number % 3 == 0:
        return arena.wish(number, noon - minutes * MINUTE, minutes, after=luck.choice((5, 15)))
    if number % 3 == 1:
        return arena.wish(number, noon, minutes, before=luck.choice((5, 15)))
    return arena.wish(number, noon - luck.randrange(5, minutes, 5) * MINUTE, minutes)


def test_a_busy_afternoon_fills_up_without_an_overlap_and_without_a_refusal_for_nothing(arena: Arena) -> None:
    for noon, luck in rounds(200):
        wishes = [
            arena.wish(number, noon + luck.randrange(60) * 5 * MINUTE, luck.choice((15, 30, 45)), luck.choice((0, 10)))
            for number in range(PROCESSES)
        ]
        outcomes = arena.crew.at_once([(book, (arena.firm.id, wish)) for wish in wishes])
        is_as_much_as_can_be(arena.around(noon), wishes, outcomes)


def test_moves_and_what_stands_again_are_guarded_like_bookings(arena: Arena) -> None:
    for noon, luck in rounds(300):
        tasks: list[Task] = _mixed(arena, noon)
        luck.shuffle(tasks)
        outcomes = arena.crew.at_once(tasks)
        assert Counter(outcome in GOT_IT for outcome in outcomes) == {True: 1, False: PROCESSES - 1}
        assert len(arena.around(noon)) == 1


def _mixed(arena: Arena, noon: datetime) -> list[Task]:
    """20 bookings, 15 moves into that time, 10 cancellations and 5 no-shows of that time that are taken back."""
    firm = arena.firm
    elsewhere = [noon + DAY * (1000 + 30 * place) for place in range(15)]  # nobody is in the way there
    here = [noon + luck * MINUTE for luck in (0, 15, 30)] * 5

    def rows() -> list[int]:
        movable = [_row(arena, number, start, "confirmed") for number, start in enumerate(elsewhere)]
        cancelled = [_row(arena, 15 + number, start, "cancelled") for number, start in enumerate(here[:10])]
        missed = [_row(arena, 25 + number, start, "no_show") for number, start in enumerate(here[10:])]
        db.session.add_all([*movable, *cancelled, *missed])
        db.session.flush()
        return [row.id for row in (*movable, *cancelled, *missed)]

    ids = within(firm, rows)
    there = noon + 20 * MINUTE
    return [
        *((move, (firm.id, row_id, arena.wish(number, there))) for number, row_id in enumerate(ids[:15])),
        *((restore, (firm.id, row_id, "back")) for row_id in ids[15:25]),
        *((restore, (firm.id, row_id, "arrived")) for row_id in ids[25:]),
        *((book, (firm.id, arena.wish(number, noon + 10 * MINUTE))) for number in range(30, PROCESSES)),
    ]


def _row(arena: Arena, number: int, start: datetime, status: str) -> Appointment:
    wish = arena.wish(number, start)
    return Appointment(company_id=arena.firm.id, status=status, created_at=utcnow(), **slots.columns(wish))


def test_what_customers_book_at_cal_com_stands_and_nobody_at_the_desk_books_over_it(arena: Arena) -> None:
    """Cal.com's booking exists already; who came before it is named in its record, and after it comes nobody."""
    for number, (noon, luck) in enumerate(rounds(400)):
        event = _told(arena, noon, moved=number % 2 == 1)
        wishes = [arena.wish(n, noon + luck.choice((-30, 0, 30)) * MINUTE) for n in range(1, PROCESSES)]
        tasks: list[Task] = [(hear, (arena.firm.id, event)), *((book, (arena.firm.id, wish)) for wish in wishes)]
        theirs, *outcomes = arena.crew.at_once(tasks)
        rows = arena.around(noon)
        desk = [row for row in rows if row.id != theirs]
        assert len(rows) - len(desk) == 1
        assert sum(outcome == "booked" for outcome in outcomes) == len(desk)
        assert not any(padded(one).overlaps(padded(other)) for one in desk for other in desk if one.id < other.id)
        (own,) = [row for row in rows if row.id == theirs]
        assert _overlaps_told(arena, theirs) == [row.id for row in desk if padded(row).overlaps(padded(own))]


def _told(arena: Arena, noon: datetime, moved: bool) -> Told:
    """A booking of that time; ``moved`` from two hours later, where it stands already."""
    firm = arena.firm
    event = Told(
        uid=f"race-{noon:%Y%m%d}",
        status="ACCEPTED",
        start=noon,
        end=noon + 45 * MINUTE,
        organizer=Person(id=firm.stylist.calcom_user_id),
        attendee=Person(name="Greta Sommer", email="greta@sommer.example"),
        event_type_id=firm.event_type.calcom_event_type_id,
    )
    if not moved:
        return event
    before = replace(event, uid=f"{event.uid}-old", start=noon + DAY * 40, end=noon + DAY * 40 + 45 * MINUTE)
    within(firm, lambda: bookings.take_over(before, utcnow()))
    return replace(event, previous_uid=before.uid)


def _overlaps_told(arena: Arena, appointment_id: int) -> list[int]:
    """Whom the latest record of an appointment says that it overlaps."""
    with tenant_scope(arena.firm.id):
        record = db.session.scalars(
            select(AuditLog)
            .where(AuditLog.model_type == "appointments", AuditLog.model_id == appointment_id)
            .order_by(AuditLog.id.desc())
            .limit(1)
        ).one()
        overlaps = sorted((record.new_values or {}).get("overlaps", []))
        db.session.rollback()
        return overlaps


# ---- Without the guard ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_the_write_of_the_person_s_row_somebody_is_booked_twice(arena: Arena, engine_name: str) -> None:
    if engine_name == "sqlite":
        pytest.skip("SQLite lets one process write at a time, guard or not")
    assert any(_booked(arena, noon, without_the_write) > 1 for noon, _ in rounds(500))


@pytest.mark.slow
def test_without_the_look_for_overlaps_everybody_is_booked(arena: Arena) -> None:
    assert _booked(arena, NOON + 600 * DAY, without_the_look) == PROCESSES


def _booked(arena: Arena, noon: datetime, how: Work) -> int:
    tasks: list[Task] = [(how, (book, arena.firm.id, arena.wish(number, noon))) for number in range(PROCESSES)]
    return Counter(arena.crew.at_once(tasks))["booked"]
