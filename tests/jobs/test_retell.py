"""The worker asks Retell: what never arrived is fetched, and a hold past its time is settled by what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from portal.clients.retell import RetellClient
from portal.db import db, transaction, utcnow
from portal.domain import call_reports, calls, ledger, overview, reconcile
from portal.jobs import retell as jobs
from portal.models import BalanceReservation, BalanceTransaction, BillingRate, Call, Company, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.fake_retell import FakeRetell, create_fake_retell, session_for
from tests.fake_retell.inprocess import WsgiAdapter
from tests.webhooks.retell_payloads import ms, payload

KEYS = {"salon": "retell-salon", "praxis": "retell-praxis"}
SIDE = {"praxis": {"to_number": "+49341765432", "agent_id": "agent_praxis"}, "salon": {}}
LATE = ledger.HOLD_LASTS + timedelta(minutes=1)


@pytest.fixture
def now() -> datetime:
    return utcnow()


@pytest.fixture
def retell(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRetell]:
    """Retell with a workspace for each company of the cast, and the portal told where it is."""
    sim = create_fake_retell(*KEYS.values())
    session = session_for(sim.app)

    def connect(key: str, base: str) -> RetellClient:
        return RetellClient(key, base, session=session, sleep=lambda _seconds: None)

    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, retell_api_base="https://retell.example")
    monkeypatch.setattr(jobs, "connect", connect)
    sim.app.extensions["adapter"] = session.get_adapter("https://x")
    _long_ago(cast)
    yield sim
    app.extensions["settings"] = before


def adapter_of(sim: FakeRetell) -> WsgiAdapter:
    found = sim.app.extensions["adapter"]
    assert isinstance(found, WsgiAdapter)
    return found


def _long_ago(cast: Cast) -> None:
    """The companies have been here for a while, with money."""

    def write() -> None:
        for firm in (cast.salon, cast.praxis):
            with tenant_scope(firm.id):
                db.session.get_one(Company, firm.id).created_at = utcnow() - timedelta(days=365)
                db.session.scalars(select(PrepaidBalance)).one().current_balance = Decimal("150.00")

    transaction(write)


def told(name: str, begun: datetime, firm: str = "salon", **fields: Any) -> dict[str, Any]:
    """An event of a call that began then."""
    body = payload(name, **(SIDE[firm] | {"start_timestamp": ms(begun)} | fields))
    if "end_timestamp" in body["call"]:
        body["call"]["end_timestamp"] = ms(begun) + body["call"]["duration_ms"]
    if name == "call_started":
        body["call"]["call_status"] = "ongoing"
    return body


def at_retell(sim: FakeRetell, name: str, begun: datetime, firm: str = "salon", **fields: Any) -> str:
    call = told(name, begun, firm, **fields)["call"]
    sim.put(KEYS[firm], call)
    call_id: str = call["call_id"]
    return call_id


def heard(firm: Firm, body: dict[str, Any], at: datetime) -> Call:
    def record() -> Call:
        with tenant_scope(firm.id):
            return calls.record(call_reports.read(body["event"], body), at, at)

    return transaction(record)


def rows(firm: Firm, what: Any) -> list[Any]:
    db.session.rollback()
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(what)).all())


def held(firm: Firm) -> list[str]:
    return rows(firm, BalanceReservation.status)


def moved(firm: Firm) -> list[Decimal]:
    return rows(firm, BalanceTransaction.amount)


def set_key(firm: Firm, key: str | None) -> None:
    def write() -> None:
        db.session.get_one(Company, firm.id).retell_api_key = key

    transaction(write)


# ---- What never arrived -----------------------------------------------------------------------------------


def test_calls_that_never_arrived_are_fetched_charged_and_told(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    at_retell(retell, "call_analyzed", now - timedelta(hours=2))
    jobs.catch_up(now)
    (call,) = rows(cast.salon, Call)
    assert (call.status, call.duration_seconds, call.analyzed_at) == ("completed", 157, now)
    assert moved(cast.salon) == [Decimal("-1.10")]
    with tenant_scope(cast.salon.id):
        light = overview.pipeline()
    assert (light.late, light.ok) == (1, True)


def test_a_further_round_asks_for_nothing_that_is_here(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    call_id = at_retell(retell, "call_analyzed", now - timedelta(hours=2))
    for minutes in (0, 5, 10):
        jobs.catch_up(now + timedelta(minutes=minutes))
    assert retell.fetched() == {call_id: 1}
    assert moved(cast.salon) == [Decimal("-1.10")]


@pytest.mark.parametrize("arrived", [("call_started",), ("call_ended",), ("call_started", "call_ended")], ids=str)
def test_what_a_call_lacks_is_filled_when_retell_has_it(
    retell: FakeRetell, cast: Cast, now: datetime, arrived: tuple[str, ...]
) -> None:
    begun = now - timedelta(hours=1)
    for name in arrived:
        heard(cast.salon, told(name, begun), begun)
    at_retell(retell, "call_ended", begun)
    jobs.catch_up(now)
    at_retell(retell, "call_analyzed", begun)
    jobs.catch_up(now + timedelta(minutes=5))
    (call,) = rows(cast.salon, Call)
    assert call.status == "completed"
    assert call.summary.startswith("Frau Vogt bucht")
    assert moved(cast.salon) == [Decimal("-1.10")]
    assert set(held(cast.salon)) <= {"charged"}


def test_a_webhook_that_comes_after_all_changes_nothing(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    begun = now - timedelta(hours=1)
    at_retell(retell, "call_analyzed", begun)
    jobs.catch_up(now)
    for name in ("call_analyzed", "call_started", "call_ended"):
        heard(cast.salon, told(name, begun), now + timedelta(minutes=1))
    assert len(rows(cast.salon, Call)) == 1
    assert moved(cast.salon) == [Decimal("-1.10")]
    assert held(cast.salon) == []


def test_a_running_call_that_nobody_told_of_is_held_for(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    at_retell(retell, "call_started", now - timedelta(minutes=6))
    jobs.catch_up(now)
    assert [call.status for call in rows(cast.salon, Call)] == ["in_progress"]
    assert held(cast.salon) == ["held"]


def test_more_than_one_round_holds_is_done_in_the_next_ones(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_CALLS", 3)
    for number in range(8):
        at_retell(retell, "call_ended", now - timedelta(hours=20 - number), call_id=f"call_{number}")
    numbers = []
    for minutes in range(3):
        jobs.catch_up(now + timedelta(minutes=minutes))
        numbers.append(len(rows(cast.salon, Call)))
    assert numbers == [3, 6, 8]
    assert set(retell.fetched().values()) == {1}


def test_a_listing_of_many_pages_goes_on_where_it_stopped(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_PAGES", 2)
    listing = RetellClient.list_calls
    monkeypatch.setattr(
        RetellClient, "list_calls", lambda self, since, cursor=None: listing(self, since, cursor, limit=2)
    )
    for number in range(9):
        at_retell(retell, "call_ended", now - timedelta(hours=60 - number), call_id=f"call_{number}")
    for minutes in range(4):
        jobs.catch_up(now + timedelta(minutes=minutes))
    assert len(rows(cast.salon, Call)) == 9


def test_pages_on_which_nothing_is_missing_are_left_behind_too(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        at_retell(retell, "call_ended", now - timedelta(hours=60 - number), call_id=f"call_{number}")
    jobs.catch_up(now)
    at_retell(retell, "call_ended", now - timedelta(hours=2), call_id="call_that_is_missing")
    transaction(lambda: _list_from(cast, now - timedelta(hours=61)))
    monkeypatch.setattr(jobs, "MOST_PAGES", 2)
    listing = RetellClient.list_calls
    monkeypatch.setattr(
        RetellClient, "list_calls", lambda self, since, cursor=None: listing(self, since, cursor, limit=2)
    )
    for minutes in range(4):
        jobs.catch_up(now + timedelta(minutes=minutes))
    assert "call_that_is_missing" in {call.call_id for call in rows(cast.salon, Call)}


def _list_from(cast: Cast, place: datetime) -> None:
    with tenant_scope(cast.salon.id):
        reconcile.keep_place(place)


def test_a_companys_failure_holds_up_nobody_else(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    set_key(cast.salon, "key_that_was_revoked")
    at_retell(retell, "call_ended", now - timedelta(hours=1), "praxis")
    jobs.catch_up(now)
    assert len(rows(cast.praxis, Call)) == 1


def test_a_call_that_cannot_be_taken_over_holds_up_no_other(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        at_retell(retell, "call_ended", now - timedelta(hours=3 - number), call_id=f"call_{number}")
    record = calls.record

    def stumble(report: call_reports.CallReport, *times: datetime) -> Call:
        if report.call_id == "call_1":
            raise RuntimeError("something of ours is wrong")
        return record(report, *times)

    monkeypatch.setattr(calls, "record", stumble)
    jobs.catch_up(now)
    assert {call.call_id for call in rows(cast.salon, Call)} == {"call_0", "call_2"}


def test_when_retell_is_away_the_place_is_kept_and_all_is_caught_up_later(
    retell: FakeRetell, cast: Cast, now: datetime
) -> None:
    jobs.catch_up(now)
    at_retell(retell, "call_ended", now + timedelta(minutes=1))
    two_days_later = now + timedelta(days=2)
    retell.fail_next(503, times=12)
    jobs.catch_up(two_days_later)
    assert rows(cast.salon, Call) == []
    retell.faults.clear()
    jobs.catch_up(two_days_later)
    assert len(rows(cast.salon, Call)) == 1


def test_when_nobody_answers_the_round_ends(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SILENT", 1)
    adapter_of(retell).broken += [requests.ConnectionError()] * 100
    jobs.catch_up(now)
    assert len(adapter_of(retell).seen) == 3  # one company, three attempts


def test_calls_of_other_numbers_in_the_same_workspace_are_left_alone(
    retell: FakeRetell, cast: Cast, now: datetime
) -> None:
    """Two companies may share one account at Retell: the key sees both, the portal takes its own."""
    retell.put(KEYS["salon"], told("call_ended", now - timedelta(hours=1), "praxis")["call"])
    jobs.catch_up(now)
    assert rows(cast.salon, Call) == rows(cast.praxis, Call) == []
    assert retell.fetched() == {}


def test_an_answer_with_another_companys_number_is_not_taken_over(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_retell(retell, "call_ended", now - timedelta(hours=1))
    stolen = told("call_ended", now - timedelta(hours=1), "praxis")["call"]
    monkeypatch.setattr(RetellClient, "get_call", lambda self, call_id: stolen)
    jobs.catch_up(now)
    assert rows(cast.salon, Call) == rows(cast.praxis, Call) == []


# ---- Whose key goes out -----------------------------------------------------------------------------------


def nothing_asked(retell: FakeRetell, now: datetime) -> bool:
    jobs.catch_up(now)
    jobs.settle_holds(now + LATE)
    return adapter_of(retell).seen == []


def test_a_demos_key_never_goes_out(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    for firm in (cast.salon, cast.praxis):
        set_key(firm, f"demo-retell-{firm.company.tenant_id}")
    heard(cast.salon, told("call_started", now), now)
    assert nothing_asked(retell, now)
    assert held(cast.salon) == ["released"]


def test_no_key_goes_out_where_no_address_was_said(app: Flask, retell: FakeRetell, cast: Cast, now: datetime) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], retell_api_base="")
    heard(cast.salon, told("call_started", now), now)
    assert nothing_asked(retell, now)
    assert held(cast.salon) == ["released"]


def test_in_production_it_goes_to_retell(app: Flask, retell: FakeRetell, cast: Cast, now: datetime) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], retell_api_base="", portal_env="production")
    jobs.catch_up(now)
    hosts = {str(request.url).split("/")[2] for request in adapter_of(retell).seen}
    assert hosts == {"api.retellai.com"}


def test_each_company_is_asked_about_with_its_own_key(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    jobs.catch_up(now)
    sent = {request.headers["Authorization"] for request in adapter_of(retell).seen}
    assert sent == {f"Bearer {key}" for key in KEYS.values()}


def test_a_key_that_cannot_be_read_stops_nobody_else(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    def spoil() -> None:
        db.session.get_one(Company, cast.salon.id).retell_api_key_sealed = cast.praxis.company.retell_api_key_sealed

    transaction(spoil)
    at_retell(retell, "call_ended", now - timedelta(hours=1), "praxis")
    jobs.catch_up(now)
    assert len(rows(cast.praxis, Call)) == 1


# ---- Holds past their time --------------------------------------------------------------------------------


def overdue(cast: Cast, now: datetime) -> None:
    """A call that began then and whose end nobody reported."""
    heard(cast.salon, told("call_started", now), now)
    assert held(cast.salon) == ["held"]


def expires(cast: Cast) -> datetime:
    (found,) = rows(cast.salon, BalanceReservation.expires_at)
    assert isinstance(found, datetime)
    return found


def test_a_call_that_has_ended_at_retell_is_brought_up_to_date_and_charged(
    retell: FakeRetell, cast: Cast, now: datetime
) -> None:
    overdue(cast, now)
    at_retell(retell, "call_analyzed", now)
    jobs.settle_holds(now + LATE)
    (call,) = rows(cast.salon, Call)
    assert (call.status, call.duration_seconds) == ("completed", 157)
    assert call.summary
    assert (held(cast.salon), moved(cast.salon)) == (["charged"], [Decimal("-1.10")])
    jobs.settle_holds(now + LATE * 2)
    assert moved(cast.salon) == [Decimal("-1.10")]


def test_a_call_that_is_still_going_on_keeps_its_hold(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    overdue(cast, now)
    at_retell(retell, "call_started", now)
    jobs.settle_holds(now + LATE)
    assert held(cast.salon) == ["held"]
    assert expires(cast) == now + LATE + ledger.HOLD_LASTS
    at_retell(retell, "call_ended", now)
    jobs.settle_holds(now + LATE * 2)
    assert (held(cast.salon), moved(cast.salon)) == (["charged"], [Decimal("-1.10")])


def test_a_call_that_retell_does_not_know_gives_its_hold_back(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    overdue(cast, now)
    jobs.settle_holds(now + LATE)
    assert (held(cast.salon), moved(cast.salon)) == (["released"], [])
    assert len(retell.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_while_retell_is_away_the_hold_waits(retell: FakeRetell, cast: Cast, now: datetime, status: int) -> None:
    overdue(cast, now)
    at_retell(retell, "call_ended", now)
    retell.fail_next(status, times=3)
    jobs.settle_holds(now + LATE)
    assert held(cast.salon) == ["held"]
    assert expires(cast) == now + LATE + jobs.ASK_AGAIN
    jobs.settle_holds(now + LATE + jobs.ASK_AGAIN)
    assert (held(cast.salon), moved(cast.salon)) == (["charged"], [Decimal("-1.10")])


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_opens_nothing_is_as_good_as_none(
    retell: FakeRetell, cast: Cast, now: datetime, status: int
) -> None:
    overdue(cast, now)
    at_retell(retell, "call_ended", now)
    retell.fail_next(status)
    jobs.settle_holds(now + LATE)
    assert held(cast.salon) == ["released"]


def test_without_a_key_it_is_decided_by_what_is_known_here(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    overdue(cast, now)
    set_key(cast.salon, None)
    jobs.settle_holds(now + LATE)
    assert held(cast.salon) == ["released"]
    assert retell.asked == []


def test_a_call_that_has_ended_here_is_charged_without_asking(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    overdue(cast, now)
    price: list[Any] = []

    def without_a_price(back: datetime | None = None) -> None:
        with tenant_scope(cast.salon.id):
            rate = db.session.scalars(select(BillingRate)).one()
            price.append(rate.valid_from)
            rate.valid_from = back or now + timedelta(days=1)

    transaction(without_a_price)
    heard(cast.salon, told("call_ended", now), now)
    jobs.settle_holds(now + LATE)
    assert held(cast.salon) == ["held"]  # it waits for a price
    transaction(lambda: without_a_price(price[0]))
    jobs.settle_holds(now + LATE)
    assert (held(cast.salon), moved(cast.salon)) == (["charged"], [Decimal("-1.10")])
    assert retell.asked == []


def test_a_hold_that_cannot_be_settled_holds_up_no_other(
    retell: FakeRetell, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        heard(cast.salon, told("call_started", now, call_id=f"call_{number}"), now)
    at_retell(retell, "call_ended", now, call_id="call_2")
    real = RetellClient.get_call

    def stumble(self: RetellClient, call_id: str) -> Any:
        if call_id == "call_1":
            raise RuntimeError("something of ours is wrong")
        return real(self, call_id)

    monkeypatch.setattr(RetellClient, "get_call", stumble)
    jobs.settle_holds(now + LATE)
    assert sorted(held(cast.salon)) == ["charged", "held"]


def test_a_call_whose_number_has_gone_gives_its_hold_back(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    overdue(cast, now)
    at_retell(retell, "call_ended", now, to_number="+49341765432", agent_id="agent_praxis")
    jobs.settle_holds(now + LATE)
    assert (held(cast.salon), moved(cast.salon), moved(cast.praxis)) == (["released"], [], [])


def test_the_worker_knows_both_jobs() -> None:
    from portal.jobs import periodic_jobs

    known = periodic_jobs()
    assert known["holds"][1] is jobs.settle_holds
    assert known["retell.calls"][1] is jobs.catch_up


def test_the_place_is_kept_where_the_light_is(retell: FakeRetell, cast: Cast, now: datetime) -> None:
    jobs.catch_up(now)
    with tenant_scope(cast.salon.id):
        assert reconcile.list_from(now) == now - reconcile.OVERLAP
        assert overview.pipeline() == overview.Pipeline(None, 0)
    with all_tenants("the test looks at the other one"):
        assert db.session.get_one(Company, cast.praxis.id)
