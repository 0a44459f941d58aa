"""Several people print the same day at the same moment: nobody fails, and one state has one code."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import select

from portal.db import db
from portal.models import DaySheetPrint
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast
from tests.races.processes import at_once

PATH = "/calendar/print?date=2027-03-09"


def print_it(app: Flask, user_id: int, version: int, branch_id: int) -> int:
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = f"{user_id}:{version}", True
    return client.get(f"{PATH}&branch={branch_id}").status_code


def test_many_prints_at_once_are_one_sheet_for_each_branch(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    factories.make_appointment(firm, start=datetime(2027, 3, 9, 9, tzinfo=UTC))
    who = (firm.owner.id, firm.owner.session_version)
    tasks = [(print_it, (*who, branch.id)) for branch in (firm.main, firm.other) for _ in range(4)]
    assert at_once(app.config["SQLALCHEMY_DATABASE_URI"], tasks) == [200] * 8
    with tenant_scope(firm.id):
        rows = db.session.scalars(select(DaySheetPrint).order_by(DaySheetPrint.branch_id)).all()
    assert [row.branch_id for row in rows] == [firm.main.id, firm.other.id]
    assert len({row.code for row in rows}) == 2
