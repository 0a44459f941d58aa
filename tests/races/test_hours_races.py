"""Several people save the hours of one branch, or close the same day, at the same moment: one of them is first.

Both fail on MariaDB without the branch's row that ``hours.touch`` writes first, and on both engines without the digest
that ``hours._claim`` compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time

from flask import Flask

from portal.db import db, transaction
from portal.domain import closures, hours
from portal.domain.closures import Wish
from portal.domain.errors import DomainError
from portal.domain.hours import ALWAYS, Season, Whose
from portal.tenancy import tenant_scope
from tests.cast import Cast
from tests.races.processes import at_once

PROCESSES = 6
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
DAY = date(2027, 12, 24)


def save(app: Flask, company_id: int, branch_id: int, shown: str, hour: int) -> str:
    week = Season((((time(hour), time(hour, 30)),),) * 7)
    return _deed(company_id, lambda: hours.save(Whose(branch_id), week, ALWAYS, shown, NOW))


def close(app: Flask, company_id: int, branch_id: int, reason: str) -> str:
    wish = Wish(DAY, DAY, reason=reason)
    return _deed(company_id, lambda: closures.save(branch_id, wish, None, NOW, NOW.date()))


def _deed(company_id: int, deed: Callable[[], object]) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            deed()
        return "saved"

    try:
        return transaction(work)
    except DomainError:
        return "told"


def test_one_week_is_saved_and_everybody_else_is_told(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm, url = cast.salon, str(app.config["SQLALCHEMY_DATABASE_URI"])
    for _round in range(3):
        db.session.rollback()
        with tenant_scope(firm.id):
            shown = hours.plan_of(Whose(firm.main.id)).digest
        first = 1 + 7 * _round
        tasks = [(save, (firm.id, firm.main.id, shown, first + number)) for number in range(PROCESSES)]
        assert Counter(at_once(url, tasks)) == {"saved": 1, "told": PROCESSES - 1}
        db.session.rollback()
        with tenant_scope(firm.id):
            plan = hours.plan_of(Whose(firm.main.id))
        assert [len(spans) for spans in plan.always.days] == [1] * 7


def test_a_day_is_closed_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm, url = cast.salon, str(app.config["SQLALCHEMY_DATABASE_URI"])
    tasks = [(close, (firm.id, firm.main.id, f"Grund {number}")) for number in range(PROCESSES)]
    assert Counter(at_once(url, tasks)) == {"saved": 1, "told": PROCESSES - 1}
    db.session.rollback()
    with tenant_scope(firm.id):
        assert len(closures.stretches(firm.main.id, DAY)) == 1
