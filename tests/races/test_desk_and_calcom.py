"""The desk and Cal.com book one customer with one person at the same moment, and lock rows in different orders.

Cal.com's booking writes the customer first (a name that was not known), the desk the person: a deadlock now and then on
MariaDB. The whole unit runs again, and must then do what it would have done at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.domain import appointments, bookings
from portal.domain.slots import Plan
from portal.domain.told import Person, Told
from portal.models import Appointment, AuditLog, Booking, Customer
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.jobs.test_calcom import event
from tests.races.processes import Task, at_once

NOON = datetime(2037, 3, 9, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROCESSES, EACH = 6, 12


def at_the_desk(app: Flask, company_id: int, plans: list[Plan]) -> int:
    """Book by hand, one after the other; how often that was tried."""
    return sum(_tries(company_id, partial(appointments.book, plan, now=utcnow())) for plan in plans)


def at_calcom(app: Flask, company_id: int, told: list[Told]) -> int:
    """Take bookings over; how often that was tried."""
    return sum(_tries(company_id, partial(bookings.take_over, each, utcnow())) for each in told)


def _tries(company_id: int, deed: Callable[[], Any]) -> int:
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        with tenant_scope(company_id):
            deed()

    transaction(work)
    return tries


def task(firm: Firm, people: list[Customer], place: int) -> Task:
    """Every other process is Cal.com, which knows names and addresses of people of whom we have a number."""
    times = [NOON + (place * len(people) + number) * HOUR for number in range(len(people))]
    if place % 2:
        where = firm.main.id, firm.stylist.id
        plans = [Plan(where[0], who.id, where[1], at, at + HOUR) for who, at in zip(people, times, strict=True)]
        return at_the_desk, (firm.id, plans)
    told = []
    for number, who in enumerate(people):
        known = Person(None, f"Nora No{chr(97 + number)}", f"n{number}@x.example", who.phone_normalized)
        told.append(event(f"bk_{place}_{number}", times[number], attendee=known))
    return at_calcom, (firm.id, told)


def test_whoever_has_to_begin_again_does_everything_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm, made = cast.salon, PROCESSES * EACH
    people = [
        factories.make_customer(firm, "", "", phone_normalized=f"+493055588{number:02}", name_confirmed=False)
        for number in range(EACH)
    ]
    tasks = [task(firm, people, place) for place in range(PROCESSES)]
    tries = at_once(str(app.config["SQLALCHEMY_DATABASE_URI"]), tasks)
    assert sum(tries) >= made  # six more, for one, on MariaDB
    with tenant_scope(firm.id):
        count = {model: db.session.scalar(select(func.count(model.id))) for model in (Appointment, Booking, Customer)}
        assert count == {Appointment: made, Booking: made // 2, Customer: EACH + 1}
        of_people = select(Customer).where(Customer.id.in_([who.id for who in people])).order_by(Customer.id)
        found = [(who.full_name, who.email, who.total_appointments) for who in db.session.scalars(of_people)]
        assert found == [(f"Nora No{chr(97 + number)}", f"n{number}@x.example", PROCESSES) for number in range(EACH)]
        assert set(db.session.scalars(select(Appointment.staff_id))) == {firm.stylist.id}
        records = select(func.count(AuditLog.id)).where(AuditLog.action == "appointment.created")
        assert db.session.scalar(records) == made
