"""Top-ups against the Stripe simulator: whatever Stripe says, in whatever order and however often, ends the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select, update

from portal import payments
from portal.db import db, utcnow
from portal.domain import invoices, topup_steps, topups, vat, verify
from portal.domain.topups import Facts, Outcome
from portal.models import BalanceTopup, BalanceTransaction, Company, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_topup, within
from tests.fake_stripe import Simulator

STANDARD = vat.TaxKind.STANDARD


def begin(firm: Firm, euros: str = "100.00", key: str = "form-1") -> BalanceTopup:
    """A top-up with its payment page open."""
    split = vat.split(Decimal(euros), STANDARD)
    topup_id = within(firm, lambda: topups.start(split, key, firm.owner.id, "Katharina").id)
    with tenant_scope(firm.id):
        payments.open_page(topup_id, "de")
    return fresh(firm, topup_id)


def fresh(firm: Firm, topup_id: int) -> BalanceTopup:
    with tenant_scope(firm.id):
        return db.session.scalars(
            select(BalanceTopup).where(BalanceTopup.id == topup_id).execution_options(populate_existing=True)
        ).one()


def facts_of(firm: Firm, topup: BalanceTopup) -> Facts:
    gateway = payments.gateway()
    assert gateway is not None
    return topups.read(gateway, topup.stripe_session_id or "", with_returns=True)


def apply(firm: Firm, topup: BalanceTopup, facts: Facts | None = None) -> BalanceTopup:
    read = facts or facts_of(firm, topup)
    within(firm, lambda: topups.apply(topup.id, read, utcnow()))
    return fresh(firm, topup.id)


def current(firm: Firm) -> Decimal:
    with tenant_scope(firm.id):
        return db.session.scalars(select(PrepaidBalance.current_balance)).one()


def ledger_of(firm: Firm) -> list[tuple[str, Decimal]]:
    with tenant_scope(firm.id):
        rows = db.session.execute(
            select(BalanceTransaction.reference, BalanceTransaction.amount).order_by(BalanceTransaction.created_at)
        )
        return [(reference, amount) for reference, amount in rows]


def is_right(firm: Firm) -> bool:
    with tenant_scope(firm.id):
        return verify.company() == []


# ---- Starting ---------------------------------------------------------------------------------------------


def test_the_page_at_stripe_asks_for_net_and_vat_and_names_our_row(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon, "100.00")
    session = sim.get(topup.stripe_session_id or "")
    assert (session["amount_total"], session["currency"]) == (11900, "eur")
    assert session["client_reference_id"] == str(topup.id)
    assert session["metadata"] == {"topup_id": str(topup.id), "tenant_id": "salon"}
    assert session["success_url"] == f"http://localhost/balance/topups/{topup.id}"
    assert topup.stripe_customer_id == session["customer"]
    assert (topup.status, topup.gross_amount, topup.tax_rate) == ("pending", Decimal("119.00"), Decimal("19.00"))


def test_the_same_form_sent_twice_is_one_topup(cast: Cast, sim: Simulator) -> None:
    first, second = begin(cast.salon), begin(cast.salon)
    assert (first.id, first.stripe_session_id) == (second.id, second.stripe_session_id)
    assert len(sim.all("checkout.session")) == 1


def test_a_changed_form_or_another_companys_form_is_another_topup(cast: Cast, sim: Simulator) -> None:
    ids = {begin(cast.salon).id, begin(cast.salon, "50.00").id, begin(cast.praxis).id, begin(cast.salon, key="2").id}
    assert len(ids) == 4


def test_the_company_keeps_its_customer_at_stripe(cast: Cast, sim: Simulator) -> None:
    customers = {begin(cast.salon, key=str(number)).stripe_customer_id for number in range(3)}
    assert len(customers) == 1
    with all_tenants("the test looks at the company"):
        assert db.session.get_one(Company, cast.salon.id).stripe_customer_id in customers


@pytest.mark.parametrize("when", ["before", "after"])
def test_stripe_away_costs_nothing_and_a_second_try_finds_the_same_page(cast: Cast, sim: Simulator, when: Any) -> None:
    sim.fail_next(500, when=when, times=1, path="checkout/sessions")
    topup = begin(cast.salon)
    assert (topup.status, topup.stripe_session_id) == ("pending", None)
    assert topup.failure_code == topups.UNAVAILABLE
    assert topups.outcome(topup) is Outcome.NOT_STARTED
    with tenant_scope(cast.salon.id):
        assert payments.open_page(topup.id, "de") is not None
    again = fresh(cast.salon, topup.id)
    assert (again.failure_code, len(sim.all("checkout.session"))) == (None, 1)
    assert current(cast.salon) == 0


def test_what_stripe_refuses_fails_and_says_so(cast: Cast, sim: Simulator) -> None:
    sim.fail_next(400, path="checkout/sessions")
    topup = begin(cast.salon)
    assert (topup.status, topup.failure_code) == ("failed", topups.REJECTED)
    assert topups.outcome(topup) is Outcome.NOT_STARTED


@pytest.mark.parametrize(
    ("country", "vat_id", "small", "tax"),
    [
        ("DE", None, False, "19.00"),
        ("DE", "DE123456788", False, "19.00"),
        ("AT", "ATU12345675", False, "0.00"),
        ("AT", None, False, "19.00"),
        ("CH", "CHE123456788", False, "19.00"),
        ("DE", None, True, "0.00"),
    ],
)
def test_the_tax_follows_the_seller_and_the_company(country: str, vat_id: str | None, small: bool, tax: str) -> None:
    company = Company(country=country, vat_id=vat_id)
    split = topups.quote(Decimal(100), company, small_business=small, seller_country="DE")
    assert (split.net, split.tax) == (Decimal("100.00"), Decimal(tax))


def test_the_vat_id_that_the_tax_was_decided_on_stays_with_the_topup(cast: Cast, sim: Simulator) -> None:
    """A debit takes days, and the invoice is made when it has arrived: without the id it would be a wrong one."""

    def move(**values: Any) -> None:
        within(
            cast.salon, lambda: db.session.execute(update(Company).where(Company.id == cast.salon.id).values(values))
        )

    move(country="AT", vat_id="ATU57194903")
    split = vat.split(Decimal(100), vat.TaxKind.REVERSE_CHARGE)
    topup_id = within(cast.salon, lambda: topups.start(split, "key", cast.salon.owner.id, "Katharina").id)
    move(vat_id=None)
    made = within(cast.salon, lambda: invoices.issue_for_topup(db.session.get_one(BalanceTopup, topup_id), utcnow()))
    assert made is not None
    assert (made.tax_category, made.customer["vat_id"]) == ("reverse_charge", "ATU57194903")


# ---- Paying -----------------------------------------------------------------------------------------------


def test_a_paid_card_is_credited_net_and_once(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    for _ in range(3):
        topup = apply(cast.salon, topup)
    assert topups.outcome(topup) is Outcome.PAID
    assert (topup.payment_label, topup.failure_code) == ("Visa ···· 4242", None)
    assert ledger_of(cast.salon) == [(f"topup:{topup.id}", Decimal("100.00"))]
    assert is_right(cast.salon)


def test_a_declined_card_leaves_the_page_open_for_another(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.decline(topup.stripe_session_id or "", "insufficient_funds")
    topup = apply(cast.salon, topup)
    assert (topup.status, topup.failure_code) == ("pending", "insufficient_funds")
    assert topups.outcome(topup) is Outcome.DECLINED
    sim.pay(topup.stripe_session_id or "")
    topup = apply(cast.salon, topup)
    assert (topup.status, topup.failure_code, current(cast.salon)) == ("completed", None, Decimal("100.00"))


def test_an_expired_page_fails(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.expire(topup.stripe_session_id or "")
    topup = apply(cast.salon, topup)
    assert (topup.status, topups.outcome(topup), current(cast.salon)) == ("failed", Outcome.EXPIRED, Decimal(0))


def test_a_page_that_expires_after_a_decline_is_expired(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.decline(topup.stripe_session_id or "")
    sim.expire(topup.stripe_session_id or "")
    assert topups.outcome(apply(cast.salon, topup)) is Outcome.EXPIRED


def test_a_debit_is_credited_when_it_arrives_and_not_before(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit")
    topup = apply(cast.salon, topup)
    assert (topups.outcome(topup), current(cast.salon)) == (Outcome.PROCESSING, Decimal(0))
    sim.settle(topup.stripe_session_id or "")
    topup = apply(cast.salon, topup)
    assert (topups.outcome(topup), current(cast.salon)) == (Outcome.PAID, Decimal("100.00"))


def test_a_debit_that_bounces_fails(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit", later="bounces")
    apply(cast.salon, topup)
    sim.bounce(topup.stripe_session_id or "")
    topup = apply(cast.salon, topup)
    assert (topups.outcome(topup), topup.failure_code) == (Outcome.FAILED, "insufficient_funds")
    assert current(cast.salon) == 0


def test_money_that_arrives_after_all_is_credited(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    within(cast.salon, lambda: topups.fail(topup.id, topups.EXPIRED, None, utcnow()))
    sim.pay(topup.stripe_session_id or "")
    assert (apply(cast.salon, topup).status, current(cast.salon)) == ("completed", Decimal("100.00"))


def test_old_news_changes_nothing(cast: Cast, sim: Simulator) -> None:
    """A handler that read Stripe before the payment, and is overtaken by the one that read it after."""
    topup = begin(cast.salon)
    still_open = facts_of(cast.salon, topup)
    sim.pay(topup.stripe_session_id or "", "sepa_debit")
    processing = facts_of(cast.salon, topup)
    sim.settle(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    for facts in (still_open, processing):
        apply(cast.salon, topup, facts)
    topup = fresh(cast.salon, topup.id)
    assert (topup.status, len(ledger_of(cast.salon))) == ("completed", 1)


def test_the_webhook_may_come_before_the_pages_id_is_kept(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    facts = facts_of(cast.salon, topup)
    within(cast.salon, lambda: topup_steps.put(topup.id, stripe_session_id=None))
    topup = apply(cast.salon, topup, facts)
    assert (topup.stripe_session_id, topup.status) == (facts.checkout.session_id, "completed")


# ---- Figures that differ ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("amount", {"amount_total": Decimal("11.90")}),
        ("currency", {"currency": "usd"}),
        ("customer", {"customer_id": "cus_somebody_else"}),
        ("company", {"metadata": {"topup_id": "0", "tenant_id": "praxis"}}),
    ],
)
def test_what_differs_is_parked_and_not_credited(cast: Cast, sim: Simulator, what: str, wrong: dict[str, Any]) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    facts = facts_of(cast.salon, topup)
    topup = apply(cast.salon, topup, replace(facts, checkout=replace(facts.checkout, **wrong)))
    assert (topup.status, current(cast.salon)) == ("pending", Decimal(0))
    assert topups.outcome(topup) is Outcome.PARKED
    assert what in (topup.parked_reason or "")
    topup = apply(cast.salon, topup, facts)
    assert (topup.status, topup.parked_reason, current(cast.salon)) == ("completed", None, Decimal("100.00"))


def test_another_page_for_the_same_row_is_parked(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    facts = facts_of(cast.salon, topup)
    topup = apply(cast.salon, topup, replace(facts, checkout=replace(facts.checkout, session_id="cs_test_other")))
    assert (topups.outcome(topup), current(cast.salon)) == (Outcome.PARKED, Decimal(0))


def test_another_page_that_expires_does_not_fail_the_row(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    facts = facts_of(cast.salon, topup)
    other = replace(facts.checkout, session_id="cs_test_other", status="expired")
    assert apply(cast.salon, topup, replace(facts, checkout=other)).status == "pending"


# ---- Money that goes back ---------------------------------------------------------------------------------


def paid(firm: Firm, sim: Simulator, euros: str = "100.00") -> BalanceTopup:
    topup = begin(firm, euros)
    sim.pay(topup.stripe_session_id or "")
    return apply(firm, topup)


def test_a_full_refund_takes_back_exactly_the_net_amount(cast: Cast, sim: Simulator) -> None:
    topup = paid(cast.salon, sim)
    sim.refund(topup.stripe_session_id or "")
    for _ in range(2):
        topup = apply(cast.salon, topup)
    assert (topup.status, topup.refunded_amount) == ("refunded", Decimal("119.00"))
    assert current(cast.salon) == 0
    assert len(ledger_of(cast.salon)) == 2
    assert is_right(cast.salon)


def test_partial_refunds_add_up_to_the_cent(cast: Cast, sim: Simulator) -> None:
    topup = paid(cast.salon, sim, "10.01")  # gross 11.91
    for cents in (397, 397, 397):
        sim.refund(topup.stripe_session_id or "", cents)
        topup = apply(cast.salon, topup)
    assert (topup.status, current(cast.salon)) == ("refunded", Decimal(0))
    assert is_right(cast.salon)


def test_a_refund_that_fails_comes_back(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit")
    sim.settle(topup.stripe_session_id or "")
    refund = sim.refund(topup.stripe_session_id or "", 5950)
    topup = apply(cast.salon, topup)
    assert (topups.outcome(topup), current(cast.salon)) == (Outcome.PARTLY_REFUNDED, Decimal("50.00"))
    sim.finish_refund(refund["id"], "failed")
    topup = apply(cast.salon, topup)
    assert (topups.outcome(topup), current(cast.salon)) == (Outcome.PAID, Decimal("100.00"))
    assert is_right(cast.salon)


def test_a_dispute_takes_the_money_and_winning_it_brings_it_back(cast: Cast, sim: Simulator) -> None:
    topup = paid(cast.salon, sim)
    dispute = sim.dispute(topup.stripe_session_id or "")
    topup = apply(cast.salon, topup)
    assert (topup.status, current(cast.salon)) == ("refunded", Decimal(0))
    assert dispute["id"] in (topup.parked_reason or "")
    sim.close_dispute(dispute["id"], "won")
    topup = apply(cast.salon, topup)
    assert (topup.status, topup.parked_reason, current(cast.salon)) == ("completed", None, Decimal("100.00"))
    assert is_right(cast.salon)


def test_a_lost_dispute_over_a_part_stays_lost(cast: Cast, sim: Simulator) -> None:
    topup = paid(cast.salon, sim)
    dispute = sim.dispute(topup.stripe_session_id or "", 5950)
    sim.close_dispute(dispute["id"], "lost")
    topup = apply(cast.salon, topup)
    assert (topup.status, topup.parked_reason, current(cast.salon)) == ("completed", None, Decimal("50.00"))


def test_money_taken_back_may_take_the_balance_below_zero(cast: Cast, sim: Simulator) -> None:
    from portal.domain import ledger

    topup = paid(cast.salon, sim)
    within(cast.salon, lambda: ledger.adjust(Decimal("-60.00"), "verbraucht", "spent", utcnow()))
    sim.refund(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    assert current(cast.salon) == Decimal("-60.00")


ORDERS = list(permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_every_order_of_what_was_read_ends_the_same(cast: Cast, sim: Simulator, order: tuple[int, ...]) -> None:
    """Four moments of one payment, read as they were and handled in any order, each of them twice."""
    topup = begin(cast.salon)
    session = topup.stripe_session_id or ""
    moments = [facts_of(cast.salon, topup)]
    sim.pay(session)
    sim.refund(session, 1000)
    moments.append(facts_of(cast.salon, topup))
    dispute = sim.dispute(session, 5000)
    moments.append(facts_of(cast.salon, topup))
    sim.close_dispute(dispute["id"], "won")
    moments.append(facts_of(cast.salon, topup))
    for place in (*order, *order):
        apply(cast.salon, topup, moments[place])
    topup = fresh(cast.salon, topup.id)
    assert (topup.status, topup.refunded_amount, topup.parked_reason) == ("completed", Decimal("10.00"), None)
    assert current(cast.salon) == Decimal("91.60")
    assert len(ledger_of(cast.salon)) == 4
    assert is_right(cast.salon)


# ---- The worker -------------------------------------------------------------------------------------------


def test_the_worker_asks_again_where_the_webhook_was_lost(cast: Cast, sim: Simulator) -> None:
    from portal.jobs.topups import ask_stripe

    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    ask_stripe(utcnow())
    assert fresh(cast.salon, topup.id).status == "pending"
    ask_stripe(utcnow() + timedelta(minutes=3))
    assert fresh(cast.salon, topup.id).status == "completed"
    assert current(cast.salon) == Decimal("100.00")


def test_the_worker_waits_while_stripe_is_away(cast: Cast, sim: Simulator) -> None:
    from portal.jobs.topups import ask_stripe

    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.fail_next(503, times=1)
    ask_stripe(utcnow() + timedelta(minutes=3))
    assert fresh(cast.salon, topup.id).status == "pending"
    ask_stripe(utcnow() + timedelta(minutes=3))
    assert fresh(cast.salon, topup.id).status == "completed"


def test_a_topup_whose_page_never_opened_is_given_up_after_an_hour(cast: Cast, sim: Simulator) -> None:
    from portal.jobs.topups import ask_stripe

    topup = make_topup(cast.salon)
    ask_stripe(utcnow() + timedelta(minutes=30))
    assert fresh(cast.salon, topup.id).status == "pending"
    ask_stripe(utcnow() + timedelta(minutes=61))
    assert fresh(cast.salon, topup.id).failure_code == topups.NEVER_OPENED
