"""The past that settings are tried on: read one by one, or by the hour, with the same end."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from portal.db import db, utcnow
from portal.domain import auto_topup_history, ledger
from portal.domain.auto_topup_history import History
from portal.domain.auto_topup_rules import FIXED, Settings, Simulation
from portal.models import BalanceTopup
from portal.tenancy import tenant_scope
from tests.auto_topups import FIFTY
from tests.cast import Cast, Firm
from tests.factories import make_topup, within
from tests.queries import Queries

NOW = utcnow().replace(hour=14, minute=30, second=0, microsecond=0)
NEVER = Settings(FIXED, Decimal(0), Decimal(50), Decimal(100), Decimal(300))


def move(firm: Firm, euros: str, at: datetime) -> None:
    def work() -> None:
        ledger._post(ledger.lock(), "correction", Decimal(euros), f"test:{at.isoformat()}:{euros}", at)

    within(firm, work)


def top_up(firm: Firm, euros: str, at: datetime, *, automatic: bool) -> None:
    topup = make_topup(firm, euros, status="completed", is_auto_topup=automatic, completed_at=at)
    within(firm, lambda: ledger.credit(db.session.get_one(BalanceTopup, topup.id), at))


def history(firm: Firm) -> History:
    with tenant_scope(firm.id):
        found = auto_topup_history.history(NOW)
    assert found is not None
    return found


def simulation(firm: Firm, settings: Settings) -> Simulation:
    with tenant_scope(firm.id):
        found = auto_topup_history.simulation(settings, NOW)
    assert found is not None
    return found


def live(firm: Firm) -> None:
    """A hundred days: paid by hand before the window, then calls, one automatic top-up, one by hand. In order: the
    ledger takes nothing that is older than its last movement."""
    top_up(firm, "300.00", NOW - timedelta(days=100), automatic=False)
    for day in range(95, 0, -5):
        move(firm, "-12.10", NOW - timedelta(days=day, minutes=7))
        move(firm, "-0.90", NOW - timedelta(days=day))
        if day in (35, 25):
            top_up(firm, "40.00" if day == 35 else "25.00", NOW - timedelta(days=day - 2), automatic=day == 35)


def test_it_opens_with_what_was_there_and_leaves_automatic_ones_out(cast: Cast, app: Flask) -> None:
    live(cast.salon)
    past = history(cast.salon)
    assert (past.opening, past.by_hour, len(past.movements)) == (Decimal("287.00"), False, 38)
    assert (past.last - past.first).days == 90
    assert [one.amount for one in past.movements if one.is_topup_auto] == [Decimal("40.00")]
    assert simulation(cast.salon, NEVER).curve[-1][1] == Decimal("287.00") + 25 - 18 * 13


def test_by_the_hour_ends_every_day_the_same(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    live(cast.salon)
    settings = Settings(FIXED, Decimal(260), Decimal(50), Decimal(100), Decimal(300))
    one_by_one = simulation(cast.salon, settings)
    monkeypatch.setattr(auto_topup_history, "MOST_ROWS", 5)
    by_hour = simulation(cast.salon, settings)
    assert (one_by_one.by_hour, by_hour.by_hour) == (False, True)
    assert by_hour.curve == one_by_one.curve
    assert [one.amount for one in by_hour.topups] == [one.amount for one in one_by_one.topups]
    assert len(by_hour.topups) > 3


def test_however_many_movements_it_is_as_many_statements(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    live(cast.salon)
    monkeypatch.setattr(auto_topup_history, "MOST_ROWS", 5)
    with Queries() as statements:
        history(cast.salon)
    assert len(statements) <= 20


def test_a_young_company_begins_with_its_first_movement(cast: Cast) -> None:
    top_up(cast.salon, "30.00", NOW - timedelta(days=3), automatic=False)
    move(cast.salon, "-15.00", NOW - timedelta(days=2))
    found = simulation(cast.salon, FIFTY)
    assert [(one.before, one.amount) for one in found.topups] == [(Decimal("15.00"), Decimal(50))]
    assert len(found.curve) == 4


def test_where_nothing_has_moved_there_is_nothing_to_try(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert auto_topup_history.simulation(FIFTY, NOW) is None


def test_other_companies_movements_are_not_seen(cast: Cast) -> None:
    live(cast.praxis)
    top_up(cast.salon, "30.00", NOW - timedelta(days=100), automatic=False)
    assert history(cast.salon).movements == []
