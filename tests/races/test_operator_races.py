"""Several operators at the same money at the same moment: real processes, the real database, one Stripe.

The first two fail when the balance's lock is taken away (``FOR UPDATE`` on MariaDB, ``BEGIN IMMEDIATE`` on SQLite). A
refund is held by Stripe as well, which gives nothing back twice.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal import payments
from portal.db import db, utcnow
from portal.domain import ledger
from portal.models import BalanceTopup, Call, CallCharge, PortalUser
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.factories import make_call, within
from tests.races.processes import at_once
from tests.races.test_ledger_races import afterwards, balance_of, give, paid_topup, stripe_on_a_port, url_of

OPERATORS = 8


def send(app: Flask, user_id: int, address: str, data: dict[str, str]) -> int:
    """One operator's browser sends one form."""
    with all_tenants("the test signs the operator in"):
        operator = db.session.get_one(PortalUser, user_id)
    client: Any = app.test_client()
    return int(client.sign_in(operator).post(address, data=data).status_code)


def forms(amount: str, keys: list[str]) -> list[dict[str, str]]:
    return [{"amount": amount, "reason": "Kulanz", "form_key": key} for key in keys]


def test_eight_operators_give_the_same_call_back_and_one_does(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    give(cast.salon, "10.00")
    call = make_call(cast.salon, duration_seconds=157)
    within(cast.salon, lambda: ledger.charge(db.session.get_one(Call, call.id), utcnow()))
    page = f"/operator/companies/{cast.salon.id}/calls/{call.id}/credit"
    sent = forms("1,10", [f"key-{number}" for number in range(OPERATORS)])
    answers = at_once(url_of(app), [(send, (cast.operator.id, page, form)) for form in sent])
    assert Counter(answers) == {303: 1, 422: OPERATORS - 1}
    with afterwards(cast.salon):
        assert db.session.scalars(select(CallCharge.refunded_amount)).one() == Decimal("1.10")
        assert balance_of(cast.salon).current_balance == Decimal("10.00")


def test_one_form_sent_eight_times_at_once_is_one_movement(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    page = f"/operator/companies/{cast.salon.id}/adjust"
    form = {"direction": "credit", "amount": "5", "reason": "Kulanz", "form_key": "double", "step": "book"}
    answers = at_once(url_of(app), [(send, (cast.operator.id, page, form))] * OPERATORS)
    assert Counter(answers) == {303: OPERATORS}
    with afterwards(cast.salon):
        assert balance_of(cast.salon).current_balance == Decimal("5.00")


def test_operators_refund_one_payment_at_once_and_no_more_than_it_goes_back(real_app: tuple[Flask, Cast]) -> None:
    """Half of them send one form, as a double click does; the others want a refund of their own."""
    app, cast = real_app
    with stripe_on_a_port() as (sim, address):
        topup_id = paid_topup(app, cast.salon, sim, address)
        with tenant_scope(cast.salon.id):
            payments.refresh(topup_id)
        page = f"/operator/companies/{cast.salon.id}/topups/{topup_id}/refund"
        sent = forms("119", ["same"] * 4 + ["a", "b", "c", "d"])
        tasks = [(send, (cast.operator.id, page, form)) for form in sent]
        answers = at_once(url_of(app), tasks, stripe_api_base=address)
        assert set(answers) <= {303, 422}
        assert [one["amount"] for one in sim.all("refund")] == [11900]
    with afterwards(cast.salon):
        assert db.session.scalars(select(BalanceTopup.status)).one() == "refunded"
        assert balance_of(cast.salon).current_balance == Decimal("0.00")
