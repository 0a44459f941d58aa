"""The operator's money pages: one company's prices, credits, debits and call prices given back."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import ledger, verify
from portal.models import AuditLog, BalanceTransaction, BillingRate, Call, CallCharge, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import make_call, make_topup, within
from tests.queries import Queries

MOST_QUERIES = 20
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def desk(client: PortalClient, cast: Cast) -> PortalClient:
    """The operator's browser."""
    return client.sign_in(cast.operator)


@pytest.fixture
def salon(cast: Cast) -> Firm:
    """A company with 50 € and a call of 1,10 €."""
    within(cast.salon, lambda: ledger.adjust(Decimal("50.00"), "Start", "start", utcnow()))
    return cast.salon


def charged_call(firm: Firm, seconds: int = 157) -> Call:
    call = make_call(firm, duration_seconds=seconds)
    within(firm, lambda: ledger.charge(db.session.get_one(Call, call.id), utcnow()))
    return call


def url(firm: Firm, path: str = "") -> str:
    return f"/operator/companies/{firm.id}{path}"


def movements(firm: Firm) -> list[tuple[str, Decimal]]:
    with tenant_scope(firm.id):
        row = BalanceTransaction
        found = db.session.execute(select(row.kind, row.amount).order_by(row.created_at))
        return [(kind, amount) for kind, amount in found]


def balance(firm: Firm) -> Decimal:
    with tenant_scope(firm.id):
        return db.session.scalars(select(PrepaidBalance.current_balance)).one()


def rates_of(firm: Firm) -> list[BillingRate]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(BillingRate).order_by(BillingRate.valid_from)))


def audited(action: str) -> list[AuditLog]:
    with all_tenants("tests look at every company"):
        return list(db.session.scalars(select(AuditLog).where(AuditLog.action == action)))


def adds_up(firm: Firm) -> bool:
    with tenant_scope(firm.id):
        return verify.company() == []


def beside(text: str, field: str) -> str:
    """The message beside a field; '' where there is none."""
    found = re.search(rf'id="{field}-e">.*?<span>(.*?)</span>', text, re.DOTALL)
    return found[1] if found else ""


# ---- The page ---------------------------------------------------------------------------------------------


def test_a_companys_money_is_on_one_page_and_whoever_opens_it_is_written_down(
    desk: PortalClient, salon: Firm, cast: Cast
) -> None:
    call = charged_call(salon)
    topup = make_topup(salon)
    text = desk.get(url(salon)).text
    assert "Salon Test" in text
    assert "48,90" in text  # 50 less the call
    assert f'href="{url(salon, f"/calls/{call.id}/credit")}"' in text
    assert f'href="{url(salon, f"/topups/{topup.id}")}"' in text
    assert salon.customer.full_name not in text
    (entry,) = audited("operator.company_opened")
    assert (entry.company_id, entry.user_id, entry.model_id) == (salon.id, cast.operator.id, salon.id)


def test_a_company_that_does_not_exist_is_not_there(desk: PortalClient) -> None:
    for path in ("", "/rate", "/rate/quote", "/adjust", "/calls", "/calls/1/credit", "/topups/1", "/topups/1/refund"):
        assert desk.get(f"/operator/companies/987654{path}").status_code == 404, path


def test_rows_of_another_company_are_not_there(desk: PortalClient, salon: Firm, cast: Cast) -> None:
    call, topup = make_call(cast.praxis), make_topup(cast.praxis)
    for path in (f"/calls/{call.id}/credit", f"/topups/{topup.id}", f"/topups/{topup.id}/refund"):
        assert desk.get(url(salon, path)).status_code == 404, path
        assert desk.get(url(cast.praxis, path)).status_code == 200, path
    for path in ("look", "decide", "refund", "refund/again"):
        assert desk.post(url(salon, f"/topups/{topup.id}/{path}")).status_code == 404, path
    assert desk.post(url(salon, f"/calls/{call.id}/credit")).status_code == 404


@pytest.mark.parametrize("role", ["owner", "manager", "bookkeeper"])
def test_a_companys_own_people_see_none_of_it(client: PortalClient, salon: Firm, role: str) -> None:
    client.sign_in(salon.users[role])
    for path in ("", "/rate", "/adjust"):
        assert client.get(url(salon, path)).status_code == 403
    assert client.post(url(salon, "/adjust"), data=credit("5", step="book")).status_code == 403
    assert movements(salon) == [("credit", Decimal("50.00"))]


def test_the_page_asks_as_often_for_many_movements(desk: PortalClient, salon: Firm) -> None:
    charged_call(salon)
    with Queries() as few:
        desk.get(url(salon))
    for number in range(6):
        charged_call(salon, 60 + number)
    with Queries() as many:
        desk.get(url(salon))
    assert len(few) == len(many) <= MOST_QUERIES


# ---- Prices -----------------------------------------------------------------------------------------------

# As a browser sends it: the day and the time of "later" come along, empty.
NEW_RATE = {
    "rate": "0,39",
    "increment": "60",
    "minimum": "",
    "fee": "0,05",
    "begins": "now",
    "valid_from": "",
    "valid_time": "",
}


def test_a_price_from_now_on_ends_the_one_before(desk: PortalClient, salon: Firm) -> None:
    answer = desk.post(url(salon, "/rate"), data=NEW_RATE)
    assert (answer.status_code, answer.location) == (303, url(salon, "#rates"))
    old, new = rates_of(salon)
    assert old.valid_until == new.valid_from
    assert (new.rate_per_minute, new.increment_seconds, new.setup_fee) == (Decimal("0.3900"), 60, Decimal("0.05"))
    (entry,) = audited("rate.set")
    assert entry.company_id == salon.id


def test_a_price_can_begin_on_a_day_to_come_on_the_companys_own_clock(desk: PortalClient, salon: Firm) -> None:
    day = (utcnow() + timedelta(days=20)).astimezone(BERLIN).date()
    wish = NEW_RATE | {"begins": "later", "valid_from": day.isoformat(), "valid_time": "00:00"}
    assert desk.post(url(salon, "/rate"), data=wish).status_code == 303
    new = rates_of(salon)[-1]
    assert new.valid_from.astimezone(BERLIN).replace(tzinfo=None).isoformat() == f"{day.isoformat()}T00:00:00"
    page = desk.get(url(salon)).text
    assert "Kommt noch" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", ""),
        ("rate", "abc"),
        ("rate", "-1"),
        ("rate", "0,12345"),
        ("rate", "100"),
        ("increment", "0"),
        ("increment", "x"),
        ("minimum", "-1"),
        ("fee", "1,234"),
        ("begins", ""),
        ("valid_from", ""),
        ("valid_from", "2025-06-01"),
        ("valid_time", ""),
    ],
)
def test_a_wrong_price_comes_back_with_a_message_beside_its_field(
    desk: PortalClient, salon: Firm, field: str, value: str
) -> None:
    later = {"begins": "later", "valid_from": "2031-01-01", "valid_time": "08:00"}
    answer = desk.post(url(salon, "/rate"), data=NEW_RATE | later | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert len(rates_of(salon)) == 1


def test_a_time_that_the_clocks_leave_out_is_refused(desk: PortalClient, salon: Firm) -> None:
    wish = NEW_RATE | {"begins": "later", "valid_from": "2031-03-30", "valid_time": "02:30"}
    answer = desk.post(url(salon, "/rate"), data=wish)
    assert (answer.status_code, bool(beside(answer.text, "valid_from"))) == (422, True)


def test_the_same_price_sent_twice_is_one_price(desk: PortalClient, salon: Firm) -> None:
    assert desk.post(url(salon, "/rate"), data=NEW_RATE).status_code == 303
    again = desk.post(url(salon, "/rate"), data=NEW_RATE)
    assert (again.status_code, bool(beside(again.text, "rate"))) == (422, True)
    assert len(rates_of(salon)) == 2


def test_typing_a_price_shows_what_a_call_would_cost(desk: PortalClient, salon: Firm) -> None:
    part = desk.htmx("GET", url(salon, "/rate/quote?rate=0,42&increment=1"))
    assert "1,10" in part.text
    assert "<html" not in part.text
    assert "1,26" in desk.get(url(salon, "/rate/quote?rate=0,42&increment=60")).text
    nothing = desk.htmx("GET", url(salon, "/rate/quote?rate=abc"))
    assert nothing.status_code == 200
    assert "€" not in nothing.text


# ---- Credits and debits -----------------------------------------------------------------------------------


def credit(amount: str = "20,00", **values: str) -> dict[str, str]:
    return {"direction": "credit", "amount": amount, "reason": "Kulanz", "form_key": "k" * 32, "step": "check"} | values


def test_a_credit_is_shown_before_and_after_and_then_booked(desk: PortalClient, salon: Firm, cast: Cast) -> None:
    shown = desk.post(url(salon, "/adjust"), data=credit())
    assert shown.status_code == 200
    assert "50,00" in shown.text
    assert "70,00" in shown.text
    assert balance(salon) == Decimal("50.00")
    assert desk.post(url(salon, "/adjust"), data=credit(step="book")).location == url(salon)
    assert balance(salon) == Decimal("70.00")
    (_start, entry) = audited("balance.adjusted")
    assert (entry.company_id, entry.user_id) == (salon.id, cast.operator.id)
    assert entry.new_values == {"amount": "20.00", "reason": "Kulanz"}
    assert adds_up(salon)


def test_the_same_form_twice_is_one_movement_and_a_changed_one_another(desk: PortalClient, salon: Firm) -> None:
    for _ in range(3):
        desk.post(url(salon, "/adjust"), data=credit(step="book"))
    assert movements(salon)[1:] == [("credit", Decimal("20.00"))]
    desk.post(url(salon, "/adjust"), data=credit("21", step="book"))
    assert balance(salon) == Decimal("91.00")


def test_the_same_key_in_two_companies_is_two_movements(desk: PortalClient, salon: Firm, cast: Cast) -> None:
    for firm in (salon, cast.praxis):
        assert desk.post(url(firm, "/adjust"), data=credit(step="book")).status_code == 303
    assert (balance(salon), balance(cast.praxis)) == (Decimal("70.00"), Decimal("20.00"))


def test_a_debit_takes_off_at_most_what_is_available(desk: PortalClient, salon: Firm) -> None:
    for step in ("check", "book"):
        answer = desk.post(url(salon, "/adjust"), data=credit("50,01", direction="debit", step=step))
        assert (answer.status_code, bool(beside(answer.text, "amount"))) == (422, True)
    assert balance(salon) == Decimal("50.00")
    assert desk.post(url(salon, "/adjust"), data=credit("50", direction="debit", step="book")).status_code == 303
    assert balance(salon) == Decimal("0.00")


def test_what_is_reserved_for_a_running_call_cannot_be_taken_off(desk: PortalClient, salon: Firm) -> None:
    running = make_call(salon, status="in_progress", ended_at=None, duration_seconds=None)
    within(salon, lambda: ledger.hold(db.session.get_one(Call, running.id), utcnow()))
    wish = credit("50", direction="debit", step="book")
    assert desk.post(url(salon, "/adjust"), data=wish).status_code == 422
    assert balance(salon) == Decimal("50.00")


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount", ""), ("amount", "0"), ("amount", "-5"), ("amount", "1,234"), ("reason", " "), ("direction", "x")],
)
@pytest.mark.parametrize("step", ["check", "book"])
def test_a_wrong_adjustment_moves_nothing(desk: PortalClient, salon: Firm, field: str, value: str, step: str) -> None:
    answer = desk.post(url(salon, "/adjust"), data=credit(step=step) | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert balance(salon) == Decimal("50.00")


def test_without_a_key_nothing_is_booked(desk: PortalClient, salon: Firm) -> None:
    assert desk.post(url(salon, "/adjust"), data=credit(step="book", form_key="")).status_code == 422
    assert balance(salon) == Decimal("50.00")


# ---- A call's price back ----------------------------------------------------------------------------------


def back(amount: str, key: str = "r1") -> dict[str, str]:
    return {"amount": amount, "reason": "falsch verbunden", "form_key": key}


def test_a_calls_price_goes_back_in_parts_and_never_more_than_it_cost(desk: PortalClient, salon: Firm) -> None:
    call = charged_call(salon)
    page = url(salon, f"/calls/{call.id}/credit")
    assert "1,10" in desk.get(page).text
    assert desk.post(page, data=back("0,60")).status_code == 303
    assert desk.post(page, data=back("0,60")).status_code == 303  # the same form
    over = desk.post(page, data=back("0,51", "r2"))
    assert (over.status_code, bool(beside(over.text, "amount"))) == (422, True)
    assert balance(salon) == Decimal("49.50")
    assert desk.post(page, data=back("0,50", "r3")).status_code == 303
    assert balance(salon) == Decimal("50.00")
    assert desk.post(page, data=back("0,01", "r4")).status_code == 422
    assert len(audited("balance.call_credited")) == 2
    assert adds_up(salon)
    with tenant_scope(salon.id):
        charge = db.session.scalars(select(CallCharge).where(CallCharge.call_id == call.id)).one()
    assert (charge.refunded_amount, charge.refund_reason) == (Decimal("1.10"), "falsch verbunden")


def test_a_call_that_was_not_charged_has_nothing_to_give_back(desk: PortalClient, salon: Firm) -> None:
    call = make_call(salon)
    page = url(salon, f"/calls/{call.id}/credit")
    assert desk.get(page).status_code == 200
    assert desk.post(page, data=back("1")).status_code == 422
    assert balance(salon) == Decimal("50.00")


@pytest.mark.parametrize(("field", "value"), [("amount", ""), ("amount", "x"), ("reason", "")])
def test_a_wrong_refund_of_a_call_moves_nothing(desk: PortalClient, salon: Firm, field: str, value: str) -> None:
    call = charged_call(salon)
    answer = desk.post(url(salon, f"/calls/{call.id}/credit"), data=back("1") | {field: value})
    assert (answer.status_code, f'id="{field}-e"' in answer.text) == (422, True)
    assert balance(salon) == Decimal("48.90")


def test_a_call_is_found_by_our_number_and_by_retells(desk: PortalClient, salon: Firm, cast: Cast) -> None:
    call, foreign = charged_call(salon), make_call(cast.praxis)
    for number in (str(call.id), call.call_id):
        assert desk.get(url(salon, f"/calls?call={number}")).location == url(salon, f"/calls/{call.id}/credit")
    for number in (str(foreign.id), foreign.call_id, "nirgends", "9" * 30):
        answer: Any = desk.get(url(salon, f"/calls?call={number}"))
        assert (answer.status_code, bool(beside(answer.text, "call"))) == (422, True)
    assert desk.get(url(salon, "/calls?call=")).status_code == 422
