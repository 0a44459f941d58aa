"""The operator's page of a top-up: refunds through Stripe, parked payments and what is decided about them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.clients.stripe import StripeGateway, StripeUnavailable
from portal.db import db, utcnow
from portal.domain import ledger, operator, refunds, topups, verify
from portal.jobs import invoices as documents
from portal.models import AuditLog, BalanceTopup, Invoice
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import apply, begin, current, fresh, ledger_of
from tests.domain.test_verify import against_stripe
from tests.factories import make_topup, within
from tests.fake_stripe import Simulator
from tests.payments import post_webhook

WHY = "Doppelt bezahlt"


@pytest.fixture
def desk(client: PortalClient, cast: Cast) -> PortalClient:
    """The operator's browser."""
    return client.sign_in(cast.operator)


@pytest.fixture
def paid(cast: Cast, sim: Simulator) -> BalanceTopup:
    """100 € net, 119 € paid and credited."""
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    return apply(cast.salon, topup)


def url(firm: Firm, topup: BalanceTopup, path: str = "") -> str:
    return f"/operator/companies/{firm.id}/topups/{topup.id}{path}"


def form(amount: str = "119,00", key: str = "f1", **values: str) -> dict[str, str]:
    return {"amount": amount, "reason": WHY, "form_key": key} | values


def deliver_everything(client: PortalClient, sim: Simulator) -> None:
    """Every event that Stripe has made so far, as its webhook sends it."""
    assert set(sim.deliver(lambda body, headers: post_webhook(client, body, headers))) <= {200}


def refunds_at(sim: Simulator) -> list[int]:
    return [one["amount"] for one in sim.all("refund")]


def adds_up(firm: Firm) -> bool:
    with tenant_scope(firm.id):
        return verify.company() == []


def audited(action: str) -> list[AuditLog]:
    with all_tenants("tests look at every company"):
        return list(db.session.scalars(select(AuditLog).where(AuditLog.action == action)))


# ---- Refunds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("webhook", ["never", "before", "after"])
def test_a_refund_goes_through_stripe_and_reaches_the_ledger_once(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup, webhook: str, monkeypatch: Any
) -> None:
    if webhook == "before":
        # The page's own reading is lost: only the webhook tells.
        monkeypatch.setattr("portal.refunds._book", lambda _topup_id: None)
    answer = desk.post(url(cast.salon, paid, "/refund"), data=form("11,90"))
    assert (answer.status_code, answer.location) == (303, url(cast.salon, paid))
    if webhook != "never":
        deliver_everything(desk, sim)
        deliver_everything(desk, sim)
    assert refunds_at(sim) == [1190]
    assert current(cast.salon) == Decimal("90.00")
    assert [amount for _reference, amount in ledger_of(cast.salon)] == [Decimal("100.00"), Decimal("-10.00")]
    assert adds_up(cast.salon)
    assert against_stripe(cast.salon) == []
    (entry,) = audited("topup.refund_made")
    assert (entry.company_id, entry.user_id) == (cast.salon.id, cast.operator.id)


def test_the_same_refund_twice_is_one_and_parts_add_up_to_the_whole(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    page = url(cast.salon, paid, "/refund")
    for _ in range(3):
        assert desk.post(page, data=form("33,33")).status_code == 303
    assert refunds_at(sim) == [3333]
    over = desk.post(page, data=form("85,68", "f2"))
    assert (over.status_code, 'id="amount-e"' in over.text) == (422, True)
    assert desk.post(page, data=form("85,67", "f3")).status_code == 303
    assert refunds_at(sim) == [3333, 8567]
    assert (current(cast.salon), fresh(cast.salon, paid.id).status) == (Decimal("0.00"), "refunded")
    assert desk.post(page, data=form("0,01", "f4")).status_code == 422
    assert adds_up(cast.salon)
    with tenant_scope(cast.salon.id):
        documents.document_topup({"topup_id": paid.id})
        totals = list(db.session.scalars(select(Invoice.gross_amount).order_by(Invoice.id)))
    assert totals == [Decimal("119.00"), Decimal("-119.00")]
    assert adds_up(cast.salon)


def test_a_form_sent_again_with_another_amount_refunds_nothing_more(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    page = url(cast.salon, paid, "/refund")
    desk.post(page, data=form("10"))
    answer = desk.post(page, data=form("20"))
    assert (answer.status_code, 'id="amount-e"' in answer.text) == (422, True)
    assert refunds_at(sim) == [1000]


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount", ""), ("amount", "0"), ("amount", "x"), ("amount", "119,01"), ("reason", " ")],
)
def test_a_wrong_refund_asks_stripe_for_nothing(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup, field: str, value: str
) -> None:
    answer = desk.post(url(cast.salon, paid, "/refund"), data=form() | {field: value})
    assert (answer.status_code, f'id="{field}-e"' in answer.text) == (422, True)
    assert refunds_at(sim) == []
    assert current(cast.salon) == Decimal("100.00")


def test_a_refund_that_takes_the_balance_below_zero_must_be_meant(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    within(cast.salon, lambda: ledger.adjust(Decimal("-60.00"), "verbraucht", "spent", utcnow()))
    page = url(cast.salon, paid, "/refund")
    warned = desk.post(page, data=form())
    assert (warned.status_code, 'id="below_zero-e"' in warned.text) == (422, True)
    assert "60,00" in warned.text
    assert refunds_at(sim) == []
    assert desk.post(page, data=form("47,60", "f2")).status_code == 303  # 40 net are there
    assert desk.post(page, data=form("71,40", "f3", below_zero="y")).status_code == 303
    assert current(cast.salon) == Decimal("-60.00")
    assert adds_up(cast.salon)


@pytest.mark.parametrize("when", ["before", "after"])
def test_stripe_away_loses_nothing_and_trying_again_refunds_once(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup, when: Any
) -> None:
    sim.fail_next(500, when=when, times=1, path="refunds")
    page = url(cast.salon, paid, "/refund")
    assert desk.post(page, data=form("11,90")).status_code == 303
    assert current(cast.salon) == Decimal("100.00")
    assert "11,90" in desk.get(url(cast.salon, paid)).text
    other = desk.post(page, data=form("20", "f2"))
    assert other.status_code == 422  # the first one must be finished
    for _ in range(2):
        assert desk.post(url(cast.salon, paid, "/refund/again")).status_code == 303
    assert desk.post(page, data=form("11,90")).status_code == 303
    assert refunds_at(sim) == [1190]
    assert current(cast.salon) == Decimal("90.00")
    assert adds_up(cast.salon)


def test_what_stripe_refuses_is_said_and_forgotten(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    sim.refund(paid.stripe_session_id or "", 11000)  # at Stripe's own page, and we have not heard of it
    page = url(cast.salon, paid, "/refund")
    answer = desk.post(page, data=form("119"))
    assert (answer.status_code, 'id="amount-e"' in answer.text) == (422, True)
    assert refunds_at(sim) == [11000]
    assert desk.post(page, data=form("9", "f2")).status_code == 303
    assert fresh(cast.salon, paid.id).status == "refunded"
    assert current(cast.salon) == Decimal("0.00")


def test_a_refund_that_fails_later_brings_the_money_back(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    desk.post(url(cast.salon, paid, "/refund"), data=form("11,90"))
    sim.finish_refund(sim.all("refund")[0]["id"], "failed")
    deliver_everything(desk, sim)
    assert current(cast.salon) == Decimal("100.00")
    assert adds_up(cast.salon)


@pytest.mark.parametrize("method", ["bank_transfer", "admin_credit"])
def test_a_topup_without_stripe_is_only_booked(desk: PortalClient, cast: Cast, sim: Simulator, method: str) -> None:
    topup = make_topup(cast.salon, "50.00", status="completed", payment_method=method, completed_at=utcnow())
    within(cast.salon, lambda: ledger.credit(db.session.get_one(BalanceTopup, topup.id), utcnow()))
    page = url(cast.salon, topup, "/refund")
    assert desk.get(page).status_code == 200
    for _ in range(2):
        assert desk.post(page, data=form("11,90")).status_code == 303
    assert current(cast.salon) == Decimal("40.00")
    assert desk.post(page, data=form("47,61", "f2")).status_code == 422
    assert desk.post(page, data=form("47,60", "f3")).status_code == 303
    assert (current(cast.salon), fresh(cast.salon, topup.id).status) == (Decimal("0.00"), "refunded")
    assert sim.all("refund") == []
    assert adds_up(cast.salon)


def test_a_topup_that_was_never_credited_cannot_be_refunded(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    answer = desk.post(url(cast.salon, topup, "/refund"), data=form())
    assert (answer.status_code, 'id="amount-e"' in answer.text) == (422, True)
    assert current(cast.salon) == Decimal("0.00")


# ---- Parked payments --------------------------------------------------------------------------------------


def parked(cast: Cast, sim: Simulator, **changed: Any) -> BalanceTopup:
    """A payment that Stripe took otherwise than ordered."""
    topup = begin(cast.salon)
    session = sim.store.get("checkout.session", topup.stripe_session_id or "")
    session.update(changed)
    sim.pay(topup.stripe_session_id or "")
    return apply(cast.salon, topup)


def decide(deed: str, seen: str = "59.50", **values: str) -> dict[str, str]:
    return {"deed": deed, "reason": WHY, "seen": seen, "form_key": "d1"} | values


def open_parked() -> list[int]:
    return [one.id for one in operator.parked_topups()]


@pytest.mark.parametrize(
    "changed",
    [
        {"amount_total": 5950},
        {"metadata": {"topup_id": "1", "tenant_id": "praxis"}},
        {"currency": "usd"},
        {"customer": None},
    ],
)
def test_what_differs_moves_nothing_and_stands_with_the_operator(
    desk: PortalClient, cast: Cast, sim: Simulator, changed: dict[str, Any]
) -> None:
    topup = begin(cast.salon)
    sim.store.get("checkout.session", topup.stripe_session_id or "").update(changed)
    sim.pay(topup.stripe_session_id or "")
    deliver_everything(desk, sim)
    assert (current(cast.salon), current(cast.praxis)) == (Decimal("0.00"), Decimal("0.00"))
    assert open_parked() == [topup.id]
    for page in ("/operator", "/operator/reconciliation"):
        assert f'href="{url(cast.salon, topup)}"' in desk.get(page).text
    text = desk.get(url(cast.salon, topup)).text
    assert 'class="differs"' in text
    assert ('value="credit"' in text) == ("amount_total" in changed)


def test_both_sides_stand_side_by_side_and_opening_is_written_down(
    desk: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = parked(cast, sim, amount_total=5950)
    text = desk.get(url(cast.salon, topup)).text
    assert "119,00" in text
    assert "59,50" in text
    (entry,) = audited("operator.topup_opened")
    assert (entry.company_id, entry.model_id, entry.user_id) == (cast.salon.id, topup.id, cast.operator.id)


def test_what_was_really_paid_can_be_credited_and_invoiced(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, amount_total=5950)
    for _ in range(2):
        desk.post(url(cast.salon, topup, "/decide"), data=decide("credit"))
    row = fresh(cast.salon, topup.id)
    assert (row.status, row.parked_reason, row.notes) == ("completed", None, WHY)
    assert (row.amount, row.tax_amount, row.gross_amount) == (Decimal("50.00"), Decimal("9.50"), Decimal("59.50"))
    assert current(cast.salon) == Decimal("50.00")
    with tenant_scope(cast.salon.id):
        documents.document_topup({"topup_id": topup.id})
        assert db.session.scalars(select(Invoice.gross_amount)).all() == [Decimal("59.50")]
    deliver_everything(desk, sim)
    assert (current(cast.salon), open_parked()) == (Decimal("50.00"), [])
    assert adds_up(cast.salon)
    (entry,) = audited("topup.corrected")
    assert (entry.user_id, entry.old_values["gross"], entry.new_values["gross"]) == (  # type: ignore[index]
        cast.operator.id,
        "119.00",
        "59.50",
    )


@pytest.mark.parametrize(
    ("values", "field"), [({"reason": " "}, "reason"), ({"seen": "119.00"}, "reason"), ({"deed": "x"}, "")]
)
def test_a_wrong_decision_moves_nothing(
    desk: PortalClient, cast: Cast, sim: Simulator, values: dict[str, str], field: str
) -> None:
    topup = parked(cast, sim, amount_total=5950)
    answer = desk.post(url(cast.salon, topup, "/decide"), data=decide("credit") | values)
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text or not field
    assert (current(cast.salon), open_parked()) == (Decimal("0.00"), [topup.id])


def test_only_a_wrong_amount_can_be_credited(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, amount_total=5950, currency="usd")
    assert desk.post(url(cast.salon, topup, "/decide"), data=decide("credit")).status_code == 422
    assert (current(cast.salon), open_parked()) == (Decimal("0.00"), [topup.id])


def test_a_parked_payment_goes_back_whole_and_stays_settled(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, metadata={"topup_id": "1", "tenant_id": "praxis"})
    for _ in range(2):
        desk.post(url(cast.salon, topup, "/decide"), data=decide("refund"))
    assert refunds_at(sim) == [11900]
    row = fresh(cast.salon, topup.id)
    assert (row.status, row.failure_code, row.parked_reason) == ("failed", "given_back", None)
    for _ in range(2):
        deliver_everything(desk, sim)
    desk.post(url(cast.salon, topup, "/look"))
    assert (open_parked(), current(cast.salon), refunds_at(sim)) == ([], Decimal("0.00"), [11900])
    assert adds_up(cast.salon)
    assert against_stripe(cast.salon) == []
    assert len(audited("topup.settled")) == 1
    text = desk.sign_in(cast.salon.owner).get(f"/balance/topups/{topup.id}").text
    assert "Ihre Zahlung geht zurück" in text or "Your payment goes back" in text


def test_a_refund_of_a_parked_payment_that_fails_parks_it_again(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, amount_total=5950)
    desk.post(url(cast.salon, topup, "/decide"), data=decide("refund"))
    assert open_parked() == []
    sim.finish_refund(sim.all("refund")[0]["id"], "failed")
    deliver_everything(desk, sim)
    assert (open_parked(), current(cast.salon)) == ([topup.id], Decimal("0.00"))
    desk.post(url(cast.salon, topup, "/decide"), data=decide("refund", form_key="d2"))
    assert (open_parked(), len(refunds_at(sim))) == ([], 2)


def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe makes the next refund, but its answer does not arrive."""
    real = StripeGateway.refund

    def lost(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(StripeGateway, "refund", real)
        real(*arguments, **named)
        raise StripeUnavailable("the answer got lost")

    monkeypatch.setattr(StripeGateway, "refund", lost)


def test_stripe_away_while_deciding_loses_nothing(
    desk: PortalClient, cast: Cast, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    topup = parked(cast, sim, amount_total=5950)
    sim.fail_next(500, times=2, path="checkout/sessions")
    assert desk.post(url(cast.salon, topup, "/decide"), data=decide("credit")).status_code == 422
    lose_the_answer(monkeypatch)
    desk.post(url(cast.salon, topup, "/decide"), data=decide("refund"))
    assert open_parked() == [topup.id]
    desk.post(url(cast.salon, topup, "/refund/again"))
    assert (open_parked(), len(refunds_at(sim)), current(cast.salon)) == ([], 1, Decimal("0.00"))


def test_a_lost_answer_is_found_again_even_after_stripe_has_forgotten_the_key(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(monkeypatch)
    desk.post(url(cast.salon, paid, "/refund"), data=form("11,90"))
    assert current(cast.salon) == Decimal("100.00")
    sim.store.side["answers"].clear()
    desk.post(url(cast.salon, paid, "/refund/again"))
    assert (refunds_at(sim), current(cast.salon)) == ([1190], Decimal("90.00"))


def test_looking_again_credits_what_agrees_by_now(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, amount_total=5950)
    desk.post(url(cast.salon, topup, "/look"))
    assert open_parked() == [topup.id]
    sim.store.get("checkout.session", topup.stripe_session_id or "")["amount_total"] = 11900
    desk.post(url(cast.salon, topup, "/look"))
    assert (open_parked(), current(cast.salon)) == ([], Decimal("100.00"))
    assert adds_up(cast.salon)


def test_stripe_away_leaves_our_own_side_on_the_page(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = parked(cast, sim, amount_total=5950)
    sim.fail_next(500, times=1, path="checkout/sessions")
    assert "119,00" in desk.get(url(cast.salon, topup)).text
    sim.fail_next(500, times=1, path="checkout/sessions")
    assert desk.post(url(cast.salon, topup, "/look")).status_code == 303
    assert open_parked() == [topup.id]


def test_money_is_never_put_away_but_a_running_dispute_is_the_banks(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    other = begin(cast.salon, key="2")
    sim.store.get("checkout.session", other.stripe_session_id or "")["amount_total"] = 5950
    sim.pay(other.stripe_session_id or "")
    apply(cast.salon, other)
    assert desk.post(url(cast.salon, other, "/decide"), data=decide("close")).status_code == 422
    dispute = sim.dispute(paid.stripe_session_id or "")
    deliver_everything(desk, sim)
    text = desk.get(url(cast.salon, paid)).text
    assert dispute["id"] in text
    assert desk.post(url(cast.salon, paid, "/decide"), data=decide("close")).status_code == 422
    assert set(open_parked()) == {other.id, paid.id}
    sim.close_dispute(dispute["id"], "won")
    desk.post(url(cast.salon, paid, "/look"))
    assert open_parked() == [other.id]
    assert current(cast.salon) == Decimal("100.00")


def test_a_payment_that_went_back_at_stripe_itself_can_be_put_away(
    desk: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = parked(cast, sim, amount_total=5950)
    sim.refund(topup.stripe_session_id or "", 5950)
    assert desk.post(url(cast.salon, topup, "/decide"), data=decide("close")).status_code == 303
    assert open_parked() == []
    assert topups.outcome(fresh(cast.salon, topup.id)) is topups.Outcome.FAILED


def test_a_parked_debit_that_came_back_can_be_put_away(desk: PortalClient, cast: Cast, sim: Simulator) -> None:
    """No money hangs on it: there is nothing to credit and nothing to give back."""
    topup = begin(cast.salon)
    session_id = topup.stripe_session_id or ""
    sim.store.get("checkout.session", session_id)["amount_total"] = 5950
    sim.pay(session_id, "sepa_debit")
    apply(cast.salon, topup)
    assert desk.post(url(cast.salon, topup, "/decide"), data=decide("close")).status_code == 422
    sim.bounce(session_id)
    apply(cast.salon, topup)
    assert open_parked() == [topup.id]
    assert desk.post(url(cast.salon, topup, "/decide"), data=decide("close")).status_code == 303
    row = fresh(cast.salon, topup.id)
    assert (open_parked(), row.status, row.failure_code != "given_back") == ([], "failed", True)
    assert current(cast.salon) == Decimal("0.00")


def test_a_refund_that_may_have_been_made_stays_noted_while_stripe_cannot_be_read(
    desk: PortalClient, cast: Cast, sim: Simulator, paid: BalanceTopup
) -> None:
    """Its answer was lost, and then the key was changed: forgotten, it would be asked for a second time."""
    sim.fail_next(0, when="after", path="refunds")
    desk.post(url(cast.salon, paid, "/refund"), data=form("11,90"))
    sim.fail_next(401, times=1, path="refunds")
    desk.post(url(cast.salon, paid, "/refund/again"))
    assert refunds.waiting(fresh(cast.salon, paid.id)) is not None
    assert desk.post(url(cast.salon, paid, "/refund"), data=form("11,90", "f2")).status_code == 422
    desk.post(url(cast.salon, paid, "/refund/again"))
    assert (refunds.waiting(fresh(cast.salon, paid.id)), refunds_at(sim)) == (None, [1190])
