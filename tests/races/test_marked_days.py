"""Many webhooks at once mark the same day: one job waits, and none of them fails."""

from __future__ import annotations

from datetime import date

from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import stats
from portal.models import OutboxJob
from portal.tenancy import tenant_scope
from tests.cast import Cast
from tests.races.processes import at_once

FIRST = date(2026, 11, 1)
DAYS = 5


def mark(app: Flask, company_id: int) -> None:
    with tenant_scope(company_id):
        for day in stats.each_day(FIRST, FIRST.replace(day=DAYS)):
            transaction(lambda day=day: stats.mark_dirty(company_id, day))


def test_many_processes_marking_the_same_days_leave_one_job_a_day(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    at_once(app.config["SQLALCHEMY_DATABASE_URI"], [(mark, (cast.salon.id,))] * 6)
    with tenant_scope(cast.salon.id):
        days = db.session.scalars(select(OutboxJob.payload).where(OutboxJob.kind == stats.REBUILD)).all()
    assert sorted(payload["day"] for payload in days) == [f"2026-11-0{number}" for number in range(1, DAYS + 1)]
