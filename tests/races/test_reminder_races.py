"""Several workers at the same mails to customers, and workers that are killed between any two steps: one mail each.

The first two fail without ``customer_mail``'s lock or, for reminders, with neither the claim in ``reminders.claim`` nor
the key that the mail is queued under.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.domain import appointments, customer_mail, customer_mail_settings
from portal.domain.availability import local_instant
from portal.domain.customer_mail_settings import Wishes
from portal.jobs import customer_mail as job
from portal.jobs import worker
from portal.models import Appointment, AuditLog, EmailOutbox
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within
from tests.races.kills import at_every_step
from tests.races.processes import at_once

WORKERS = 8
VISITS = 6
BERLIN = ZoneInfo("Europe/Berlin")


def noon(days: int) -> datetime:
    return local_instant((utcnow() + timedelta(days=days)).date(), datetime.min.time().replace(hour=12), BERLIN)


def url_of(app: Flask) -> str:
    return str(app.config["SQLALCHEMY_DATABASE_URI"])


def switch_on(firm: Firm) -> None:
    wishes = Wishes(confirmation=True, change=True, cancellation=True, reminder=True)
    within(firm, lambda: customer_mail_settings.save(wishes, utcnow() - timedelta(days=30)))


def make(firm: Firm, number: int, days: int = 5) -> Appointment:
    person = factories.make_customer(firm, f"Kunde {number}", email=f"kunde{number}@example.test")
    start = noon(days) + number * timedelta(minutes=1)
    return factories.make_appointment(
        firm, start, customer_id=person.id, staff_id=None, created_at=utcnow() - timedelta(days=9)
    )


def mails_of(firm: Firm) -> Counter[str]:
    """Address and group of what stands in the outbox → how many."""
    db.session.rollback()
    with tenant_scope(firm.id):
        rows = db.session.execute(select(EmailOutbox.recipient, EmailOutbox.dedupe_key)).all()
    return Counter(f"{to} {(key or '').split(':')[4]}" for to, key in rows)


def told(firm: Firm) -> int:
    with tenant_scope(firm.id):
        return db.session.scalars(select(func.count()).where(AuditLog.action == "appointment.told")).one()


# ---- What a process does --------------------------------------------------------------------------------------


def remind(app: Flask, now: datetime) -> None:
    job.remind(now)


def write(app: Flask, company_id: int, payload: dict[str, Any]) -> None:
    with tenant_scope(company_id):
        job.write(payload)


def cancel(app: Flask, company_id: int, appointment_id: int) -> None:
    def work() -> None:
        with tenant_scope(company_id):
            row = db.session.get_one(Appointment, appointment_id)
            customer_mail.tell(appointments.cancel(row, "staff", "X", utcnow()), "cancellation", utcnow())

    transaction(work)


# ---- Races ----------------------------------------------------------------------------------------------------


def test_of_many_workers_each_reminder_is_written_by_one(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    switch_on(cast.salon)
    for number in range(VISITS):
        make(cast.salon, number)
    now = noon(4) + timedelta(minutes=30)
    at_once(url_of(app), [(remind, (now,))] * WORKERS)
    assert mails_of(cast.salon) == {f"kunde{number}@example.test reminder": 1 for number in range(VISITS)}
    assert told(cast.salon) == VISITS


def test_of_many_workers_at_the_same_job_one_writes_the_mail(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    switch_on(cast.salon)
    tasks: list[Any] = []
    for number in range(2):
        row = make(cast.salon, number)
        payload = {"kind": "confirmation", "appointment_id": row.id, "customer_id": row.customer_id, "was": None}
        tasks += [(write, (cast.salon.id, payload))] * (WORKERS // 2)
    at_once(url_of(app), tasks)
    assert mails_of(cast.salon) == {f"kunde{number}@example.test stands": 1 for number in range(2)}
    assert told(cast.salon) == 2


def test_cancelled_by_several_at_once_it_is_told_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    switch_on(cast.salon)
    row = make(cast.salon, 1)
    now = noon(4) + timedelta(minutes=30)
    tasks: list[Any] = [(cancel, (cast.salon.id, row.id))] * 4 + [(remind, (now,))] * 2
    at_once(url_of(app), tasks)
    worker.drain_outbox(utcnow())
    found = mails_of(cast.salon)
    assert found.pop("kunde1@example.test cancelled") == 1
    assert found in ({}, {"kunde1@example.test reminder": 1})  # which is withdrawn before it goes out


# ---- kill -9 --------------------------------------------------------------------------------------------------


def life_of_a_reminder(app: Flask, number: int, firm: Firm) -> Callable[[], Any]:
    make(firm, number)
    return lambda: job.remind(noon(4) + timedelta(hours=1))


def life_of_a_cancellation(app: Flask, number: int, firm: Firm) -> Callable[[], Any]:
    row = make(firm, number)

    def fatal() -> None:
        cancel(app, firm.id, row.id)
        worker.drain_outbox(utcnow())

    return fatal


@pytest.mark.parametrize("life", [life_of_a_reminder, life_of_a_cancellation])
def test_a_worker_that_is_killed_leaves_no_mail_out_and_none_twice(
    real_app: tuple[Flask, Cast], life: Callable[..., Any]
) -> None:
    app, cast = real_app
    firm = cast.salon
    switch_on(firm)
    lives = at_every_step(app, life, firm)
    assert lives > 4
    # The next worker finds everything that is still to be done, also what a dead one had taken.
    job.remind(noon(4) + timedelta(hours=2))
    worker.drain_outbox(utcnow() + timedelta(hours=1))
    worker.drain_outbox(utcnow() + timedelta(hours=2))
    if life is life_of_a_reminder:
        assert mails_of(firm) == {f"kunde{number}@example.test reminder": 1 for number in range(lives)}
    else:
        cancelled = _cancelled(firm)
        assert mails_of(firm) == Counter(
            f"{to} {'cancelled' if is_cancelled else 'reminder'}" for to, is_cancelled in cancelled
        )
        assert any(is_cancelled for _to, is_cancelled in cancelled)


def _cancelled(firm: Firm) -> list[tuple[str, bool]]:
    """Of each life: whether the cancellation stands. What does not stand has its reminder."""
    db.session.rollback()
    with tenant_scope(firm.id):
        rows = db.session.scalars(select(Appointment).order_by(Appointment.id)).all()
        return [(f"kunde{number}@example.test", row.status == "cancelled") for number, row in enumerate(rows)]
