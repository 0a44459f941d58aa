"""Many processes want the same time of the same person: the database lets exactly one have it.

Each test fails on MariaDB when ``claim_calendars`` writes nothing, and on both engines without the look-up after it.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import appointments
from portal.domain.slots import Overbooking, Plan, SlotTaken, padded
from portal.models import Appointment, Customer, Staff
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.factories import within
from tests.races.processes import at_once

PROCESSES = 20
FEWER = 10
NOON = datetime(2027, 3, 9, 12, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LENGTH = timedelta(minutes=45)


def plan(firm: Firm, start: datetime = NOON, staff_id: int | None = None, buffer_after: int = 0) -> Plan:
    return Plan(
        branch_id=firm.main.id,
        customer_id=firm.customer.id,
        staff_id=staff_id or firm.stylist.id,
        start=start,
        end=start + LENGTH,
        buffer_after=buffer_after,
    )


def url_of(app: Flask) -> str:
    return str(app.config["SQLALCHEMY_DATABASE_URI"])


def standing(firm: Firm) -> list[Appointment]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(Appointment).order_by(Appointment.start_time)))


# ---- What a process does ----------------------------------------------------------------------------------------


def book(app: Flask, company_id: int, wish: Plan, over: Overbooking | None = None) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            appointments.book(wish, now=utcnow(), overbooking=over)
        return "booked"

    try:
        return transaction(work)
    except SlotTaken:
        return "taken"


def move(app: Flask, company_id: int, appointment_id: int, wish: Plan) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            appointments.change(db.session.get_one(Appointment, appointment_id), wish)
        return "moved"

    try:
        return transaction(work)
    except SlotTaken:
        return "taken"


def tap(app: Flask, company_id: int, appointment_id: int, action: str) -> int:
    def work() -> int:
        with tenant_scope(company_id):
            row = db.session.get_one(Appointment, appointment_id)
            return appointments.set_status(row, action, utcnow(), version=1).version

    return transaction(work)


# ---- The races --------------------------------------------------------------------------------------------------


def test_of_twenty_who_book_the_same_time_one_gets_it(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    outcomes = at_once(url_of(app), [(book, (firm.id, plan(firm)))] * PROCESSES)
    assert Counter(outcomes) == {"booked": 1, "taken": PROCESSES - 1}
    assert len(standing(firm)) == 1
    with tenant_scope(firm.id):
        assert db.session.get_one(Customer, firm.customer.id).total_appointments == 1
        assert db.session.get_one(Staff, firm.stylist.id).calendar_version == 1


def test_half_overlaps_and_buffers_are_no_way_around(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    # Every quarter of an hour from 12:00 to 13:00, with ten minutes to tidy up after each.
    wishes = [plan(firm, NOON + QUARTER * (number % 5), buffer_after=10) for number in range(FEWER)]
    outcomes = at_once(url_of(app), [(book, (firm.id, wish)) for wish in wishes])
    rows = standing(firm)
    assert Counter(outcomes) == {"booked": len(rows), "taken": FEWER - len(rows)}
    assert 1 <= len(rows) <= 2
    assert not any(padded(one).overlaps(padded(other)) for one in rows for other in rows if one.id < other.id)


def test_moving_into_a_time_is_guarded_like_booking_it(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    starts = [NOON + timedelta(days=1, hours=number) for number in range(FEWER)]
    mine = within(firm, lambda: [appointments.book(plan(firm, start), now=utcnow()).id for start in starts])
    outcomes = at_once(url_of(app), [(move, (firm.id, appointment_id, plan(firm))) for appointment_id in mine])
    assert Counter(outcomes) == {"moved": 1, "taken": FEWER - 1}
    assert sum(row.start_time == NOON for row in standing(firm)) == 1


def test_nobody_waits_in_vain_for_different_people_and_statistics_stay_right(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    over = Overbooking(firm.owner.id, "Am Telefon zugesagt")
    people = [plan(firm), plan(firm, staff_id=firm.colleague.id)]
    tasks = [(book, (firm.id, people[number % 2], over)) for number in range(6)]
    assert at_once(url_of(app), tasks) == ["booked"] * 6
    rows = standing(firm)
    # The first with each person has found the time free.
    assert Counter(row.overbooked_by for row in rows) == {firm.owner.id: 4, None: 2}
    with tenant_scope(firm.id):
        assert db.session.get_one(Customer, firm.customer.id).total_appointments == 6


def test_one_tap_in_many_places_counts_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    appointment_id = within(firm, lambda: appointments.book(plan(firm), now=utcnow()).id)
    assert at_once(url_of(app), [(tap, (firm.id, appointment_id, "no_show"))] * 4) == [2] * 4
    (row,) = standing(firm)
    assert (row.status, row.version) == ("no_show", 2)
