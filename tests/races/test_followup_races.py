"""Several processes at the same follow-ups: people, the worker, calls and bookings that come in at the same moment.

The first three fail on MariaDB without the lock in ``followups.locked``, and on both engines without the version that
``followup_work._taken`` compares. The last two look at the outcome: the moment in which a booking that is not committed
yet could be missed is too short to be met every time.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import appointments, call_reports, calls, followup_work, followups
from portal.domain.followup_work import Overtaken, Shown, Worker
from portal.domain.slots import Plan
from portal.models import AuditLog, CallFollowup
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.races.processes import at_once

PROCESSES = 8
ROUNDS = 6
HOUR = timedelta(hours=1)
AYLIN = "+49305550100"


def url_of(app: Flask) -> str:
    return str(app.config["SQLALCHEMY_DATABASE_URI"])


def rows(firm: Firm) -> list[CallFollowup]:
    db.session.rollback()  # see what the processes have committed since the last look
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(CallFollowup).order_by(CallFollowup.id)))


def audited(firm: Firm) -> Counter[str]:
    with tenant_scope(firm.id):
        return Counter(db.session.scalars(select(AuditLog.action).where(AuditLog.action.like("followup.%"))))


# ---- What a process does --------------------------------------------------------------------------------------


def close(app: Flask, company_id: int, shown: Shown, user_id: int) -> str:
    return _deed(company_id, lambda: followup_work.resolve([shown], f"von {user_id}", Worker(user_id, "X"), utcnow()))


def assign(app: Flask, company_id: int, shown: Shown, user_id: int) -> str:
    worker = Worker(user_id, "X", manages=True)
    return _deed(company_id, lambda: followup_work.assign([shown], user_id, worker, utcnow()))


def miss(app: Flask, company_id: int, shown: Shown, user_id: int) -> str:
    return _deed(company_id, lambda: followup_work.not_reached([shown], "", Worker(user_id, "X"), utcnow()))


def _deed(company_id: int, deed: Any) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            deed()
        return "done"

    try:
        return transaction(work)
    except Overtaken:
        return "told"


def settle(app: Flask, company_id: int, followup_id: int) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            (row,) = followups.locked([followup_id])
            return "closed" if followups.settle(row, utcnow()) else "nothing"

    return transaction(work)


def reopen(app: Flask, company_id: int, shown: Shown, user_id: int) -> str:
    return _deed(company_id, lambda: followup_work.reopen(shown, Worker(user_id, "X"), utcnow()))


def ring(app: Flask, company_id: int, call_id: str, at: datetime, data: dict[str, Any]) -> str:
    ms = int(at.timestamp() * 1000)
    body = {
        "event": "call_analyzed",
        "call": {
            "call_id": call_id,
            "agent_id": "agent_salon",
            "direction": "inbound",
            "from_number": AYLIN,
            "to_number": "+49301234567",
            "start_timestamp": ms,
            "end_timestamp": ms + 90_000,
            "duration_ms": 90_000,
            "call_status": "ended",
            "disconnection_reason": "user_hangup",
            "transcript": "Agent: Das ist notiert.\nUser: Danke.",
            "call_analysis": {"call_successful": True, "user_sentiment": "Neutral", "custom_analysis_data": data},
        },
    }
    report = call_reports.read("call_analyzed", body)

    def work() -> str:
        with tenant_scope(company_id):
            calls.record(report, utcnow(), utcnow())
        return "recorded"

    return transaction(work)


def judge(app: Flask, company_id: int, call_id: int) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            followups.judge(call_id, utcnow())
        return "judged"

    return transaction(work)


def book(app: Flask, company_id: int, plan: Plan) -> str:
    def work() -> str:
        with tenant_scope(company_id):
            appointments.book(plan, now=utcnow(), source="web")
        return "booked"

    return transaction(work)


# ---- Races ----------------------------------------------------------------------------------------------------


def test_of_many_who_close_the_same_entry_one_does_and_the_others_are_told(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    users = [firm.owner.id, firm.manager.id]
    shown = Shown(factories.make_followup(firm).id, 1)
    tasks = [(close, (firm.id, shown, users[n % 2])) for n in range(PROCESSES)]
    assert Counter(at_once(url_of(app), tasks)) == {"done": 1, "told": PROCESSES - 1}
    (row,) = rows(firm)
    assert (row.version, row.resolution) == (2, f"von {row.closed_by}")
    assert audited(firm) == {"followup.resolved": 1}


def test_different_deeds_at_once_are_one_deed(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    for _round in range(ROUNDS):
        shown = Shown(factories.make_followup(firm).id, 1)
        deeds = (close, assign, miss, close, assign)
        found = at_once(url_of(app), [(deed, (firm.id, shown, firm.owner.id)) for deed in deeds])
        assert Counter(found) == {"done": 1, "told": len(deeds) - 1}
    assert {row.version for row in rows(firm)} == {2}


def test_closing_by_hand_and_by_itself_is_one_closing_and_reopening_wins_over_what_was_before(
    real_app: tuple[Flask, Cast],
) -> None:
    app, cast = real_app
    firm = cast.salon
    started = utcnow() - 3 * HOUR
    for number in range(ROUNDS):
        call = factories.make_call(firm, started_at=started - number * HOUR * 24)
        row = factories.make_followup(firm, call)
        factories.make_call(firm, started_at=utcnow() - HOUR, analyzed_at=utcnow())  # in which the caller was helped
        shown, owner = Shown(row.id, 1), firm.owner.id
        tasks: list[Any] = [(close, (firm.id, shown, owner))] + [(settle, (firm.id, row.id))] * 3
        found = Counter(at_once(url_of(app), tasks))
        assert found["done"] + found["closed"] == 1
        closed = next(each for each in rows(firm) if each.id == row.id)
        assert (closed.status, closed.version) == ("resolved", 2)
        assert (closed.closed_by is None) == (found["closed"] == 1)
        again: list[Any] = [(reopen, (firm.id, Shown(row.id, 2), owner))] * 2 + [(settle, (firm.id, row.id))] * 2
        assert "closed" not in at_once(url_of(app), again)
        opened = next(each for each in rows(firm) if each.id == row.id)
        assert (opened.status, opened.version) == ("open", 3)


def test_a_wish_and_the_call_that_answers_it_may_come_at_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm, at = cast.salon, datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    for number in range(ROUNDS):
        start = at + number * timedelta(days=1)
        wish = (f"wish_{number}", start, {"callback_requested": True})
        answer = (f"answer_{number}", start + HOUR, {})
        at_once(url_of(app), [(ring, (firm.id, *each)) for each in (wish, answer, wish, answer)])
    assert [row.status for row in rows(firm)] == ["resolved"] * ROUNDS


def test_a_judgement_and_the_booking_that_it_waits_for_may_come_at_once(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    for number in range(ROUNDS):
        start = (utcnow() + timedelta(days=3 + number)).replace(minute=0, second=0, microsecond=0)
        data = {"appointment_date": start.isoformat(), "appointment_time": "", "call_successful": True}
        call = factories.make_call(firm, intent="book_appointment", custom_data=data, analyzed_at=utcnow())
        plan = Plan(firm.main.id, firm.customer.id, None, start, start + HOUR)
        at_once(url_of(app), [(judge, (firm.id, call.id)), (book, (firm.id, plan)), (judge, (firm.id, call.id))])
    assert {row.status for row in rows(firm)} <= {"resolved"}
    assert len({row.call_id for row in rows(firm)}) == len(rows(firm))
