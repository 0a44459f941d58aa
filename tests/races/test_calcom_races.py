"""Pushes to Cal.com, the webhooks about them, and the desk, in processes of their own: in the end both sides agree.

The simulator lives in the test's process and tells of a move by a thread, while it answers the process that asked.
Fails where ``booking_sync._both`` or ``bookings.locked`` do not lock the appointment, on MariaDB.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import make_server

from portal.db import db, transaction, utcnow
from portal.domain import appointments, booking_push, bookings
from portal.domain.slots import plan_of
from portal.domain.told import REPLACED, Moot, Told
from portal.jobs import calcom as jobs
from portal.jobs import worker
from portal.models import Appointment, Booking
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.fake_calcom import FakeCalcom, create_fake_calcom
from tests.jobs.test_calcom import KEY, LENGTH, NOW, START, event, set_key
from tests.races.processes import Crew, Task

ROUNDS = 6
SLOT = timedelta(hours=4)  # between the appointments of two rounds
LATER, LATEST = timedelta(hours=1), timedelta(hours=2)


@pytest.fixture
def calcom() -> Iterator[tuple[FakeCalcom, str]]:
    """The simulator behind a socket, and its address."""
    sim = create_fake_calcom(KEY)
    server = make_server("127.0.0.1", 0, sim.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield sim, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


# ---- What a process does --------------------------------------------------------------------------------------------


def push(app: Flask, company_id: int, appointment_id: int) -> None:
    with tenant_scope(company_id):
        jobs.push({"appointment_id": appointment_id})


def move(app: Flask, company_id: int, appointment_id: int, start: datetime) -> None:
    def work() -> None:
        with tenant_scope(company_id):
            row = db.session.get_one(Appointment, appointment_id)
            appointments.change(row, replace(plan_of(row), start=start, end=start + LENGTH))

    transaction(work)


# ---- What Cal.com tells ---------------------------------------------------------------------------------------------


class Teller:
    """Delivers an event about each move while the answer is under way, as Cal.com does."""

    def __init__(self, app: Flask, firm: Firm) -> None:
        self.app, self.firm, self.threads = app, firm, list[threading.Thread]()

    def __call__(self, deed: str, booking: dict[str, Any]) -> None:
        if deed == "reschedule":
            start, before = datetime.fromisoformat(booking["start"]), booking["rescheduledFromUid"]
            told = event(booking["uid"], start, previous_uid=before, written_at=utcnow())
            self.threads.append(threading.Thread(target=self.hear, args=(told,)))
            self.threads[-1].start()

    def hear(self, told: Told) -> None:
        def work() -> None:
            with tenant_scope(self.firm.id):
                bookings.take_over(told, NOW)

        with self.app.app_context(), suppress(Moot):  # the answer was quicker, and has been overtaken since
            transaction(work)

    def wait(self) -> None:
        while self.threads:
            self.threads.pop().join()


# ---- The race -------------------------------------------------------------------------------------------------------


def test_pushes_webhooks_and_the_desk_at_once_end_in_step(
    real_app: tuple[Flask, Cast], calcom: tuple[FakeCalcom, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, cast = real_app
    sim, address = calcom
    sim.portal, sim.on_deed = app, Teller(app, cast.salon)
    set_key(cast.salon, KEY)
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], calcom_api_base=address))
    with Crew(str(app.config["SQLALCHEMY_DATABASE_URI"]), 3, calcom_api_base=address) as crew:
        for number in range(ROUNDS):
            one_round(app, crew, cast.salon, sim, number)


def one_round(app: Flask, crew: Crew, firm: Firm, sim: FakeCalcom, number: int) -> None:
    uid, start = f"bk_{number}", START + number * SLOT
    sim.put(uid, start)
    row_id = factories.within(firm, lambda: bookings.take_over(event(uid, start), NOW)).id
    move(app, firm.id, row_id, start + LATER)
    pushes: list[Task] = [(push, (firm.id, row_id))] * 2
    crew.at_once([*pushes, (move, (firm.id, row_id, start + LATEST))])
    assert isinstance(sim.on_deed, Teller)
    for hours in (1, 2, 3):
        sim.on_deed.wait()
        worker.drain_slow(utcnow() + timedelta(hours=hours))
    assert in_the_end(firm, row_id) == (start + LATEST, booking_push.SYNCED, start + LATEST)
    there = [booking for booking in sim.standing() if booking["uid"].startswith(uid)]
    assert [datetime.fromisoformat(booking["start"]) for booking in there] == [start + LATEST]


def in_the_end(firm: Firm, row_id: int) -> tuple[datetime, str, datetime]:
    """Where it stands here, how in step it is, and where it is believed to stand there."""
    db.session.rollback()
    with tenant_scope(firm.id):
        row = db.session.get_one(Appointment, row_id)
        query = select(Booking).where(Booking.appointment_id == row_id, Booking.status != REPLACED)
        standing = db.session.scalars(query).one()
        return row.start_time, standing.sync_status, standing.starts_at
