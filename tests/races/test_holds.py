"""A hold ends once: by the call's end, by its own expiry, or by being let go, in every order and at the same moment.

The tests fail when ``_resolve`` does not ask whether the hold is still held.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import ledger, verify
from portal.models import BalanceReservation, Call, CallCharge, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.factories import within
from tests.races.processes import at_once
from tests.races.test_ledger_races import afterwards, balance_of, count, give, make_calls, url_of

EXPIRED = ledger.HOLD_LASTS + timedelta(minutes=1)
SECONDS, PRICE = 157, Decimal("1.10")
ENDED, LOST = 24, 16  # calls whose end arrives, and calls that are never heard of again
ENDERS, WORKERS = 8, 4


# ---- What may happen to a call that is held for ---------------------------------------------------------------


def end(app: Flask, company_id: int, call_ids: list[int], seconds: int = SECONDS) -> None:
    """The calls are over: what is reported is kept, and charged in the same transaction."""

    def work(call_id: int) -> None:
        ledger.lock()
        call = db.session.get_one(Call, call_id, populate_existing=True)
        call.status, call.duration_seconds = "completed", seconds
        call.ended_at = call.started_at + timedelta(seconds=seconds)
        db.session.flush()
        ledger.charge(call, utcnow())

    with tenant_scope(company_id):
        for call_id in call_ids:
            transaction(lambda i=call_id: work(i))


def expire(app: Flask, company_id: int, call_ids: list[int], seconds: int = SECONDS) -> None:
    """The worker comes by when the time of every hold is over, and nobody knows more than we do."""
    late = utcnow() + EXPIRED

    def work(call_id: int) -> None:
        ledger.lock()
        ledger.settle_overdue(db.session.get_one(Call, call_id, populate_existing=True), late)

    with all_tenants("the test plays the worker"):
        overdue = ledger.overdue_holds(late)
    for owner, call_id in overdue:
        with tenant_scope(owner):
            transaction(lambda i=call_id: work(i))


def let_go(app: Flask, company_id: int, call_ids: list[int], seconds: int = SECONDS) -> None:
    with tenant_scope(company_id):
        for call_id in call_ids:
            transaction(lambda i=call_id: ledger.release(db.session.get_one(Call, i), utcnow()))


def hold(firm: Firm, call_ids: list[int]) -> None:
    for call_id in call_ids:
        within(firm, lambda i=call_id: ledger.hold(db.session.get_one(Call, i), utcnow()))  # type: ignore[misc]


# ---- One after the other ----------------------------------------------------------------------------------------

Resolved = tuple[str, datetime | None]


def state(firm: Firm) -> tuple[Decimal, Decimal, Resolved]:
    with tenant_scope(firm.id):
        balance = db.session.execute(select(PrepaidBalance.current_balance, PrepaidBalance.reserved_balance)).one()
        held = db.session.execute(select(BalanceReservation.status, BalanceReservation.resolved_at)).one()
        assert [str(one) for one in verify.company()] == []
    return balance.current_balance, balance.reserved_balance, (held.status, held.resolved_at)


ORDERS = list(permutations(["end", "end again", "expiry", "release"]))
ACTS: dict[str, Callable[..., None]] = {"end": end, "end again": end, "expiry": expire, "release": let_go}


@pytest.mark.parametrize("seconds", [SECONDS, 0])
@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_a_hold_ends_once_in_every_order(app: Flask, cast: Cast, order: tuple[str, ...], seconds: int) -> None:
    firm = cast.salon
    give(firm, "100.00")
    calls = make_calls(firm, [None])
    hold(firm, calls)
    assert state(firm) == (Decimal("100.00"), Decimal("2.10"), ("held", None))
    ACTS[order[0]](app, firm.id, calls, seconds)
    first = state(firm)
    assert first[1] == 0
    assert first[2][0] == ("charged" if order[0].startswith("end") and seconds else "released")
    for name in order[1:]:
        ACTS[name](app, firm.id, calls, seconds)
        assert state(firm)[1:] == first[1:]
    assert state(firm)[0] == Decimal("100.00") - (PRICE if seconds else 0)
    with tenant_scope(firm.id):
        assert len(db.session.scalars(select(CallCharge)).all()) == (1 if seconds else 0)


# ---- At the same moment -----------------------------------------------------------------------------------------


def test_ends_and_expiries_at_the_same_moment_resolve_each_hold_once(real_app: tuple[Flask, Cast]) -> None:
    """Every end comes eight times, and four workers find every hold expired."""
    app, cast = real_app
    firm = cast.salon
    give(firm, "200.00")
    calls = make_calls(firm, [None] * (ENDED + LOST))
    hold(firm, calls)
    ended = calls[:ENDED]
    orders = [ended[place * 3 :] + ended[: place * 3] for place in range(ENDERS)]
    tasks: list[Any] = [(end, (firm.id, order)) for order in orders] + [(expire, (firm.id, calls))] * WORKERS
    at_once(url_of(app), tasks)
    with afterwards(firm):
        found = db.session.execute(select(BalanceReservation.call_id, BalanceReservation.status)).all()
        resolved = {one.call_id: one.status for one in found}
        assert {resolved[call_id] for call_id in calls[ENDED:]} == {"released"}
        assert {resolved[call_id] for call_id in ended} <= {"charged", "released"}
        assert count(firm, CallCharge) == ENDED
        balance = balance_of(firm)
        assert (balance.current_balance, balance.reserved_balance) == (Decimal("200.00") - ENDED * PRICE, 0)
