"""Automatic top-ups against the Stripe simulator: who may switch them on, when one is due, and how each ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from portal import payments
from portal.clients.stripe import PaymentState
from portal.db import db, utcnow
from portal.domain import auto_topup, auto_topup_consent, auto_topup_watch, ledger, topup_steps, topups, vat
from portal.domain.auto_topup_consent import Saved
from portal.domain.auto_topup_outcome import CARD_GONE, NOT_SENT, UNTIL_IN_PERSON
from portal.domain.auto_topup_rules import FILL_UP, Settings, Verdict
from portal.domain.errors import DomainError
from portal.domain.topups import Collected, Outcome
from portal.models import AuditLog, BalanceTopup, Call, Company, OutboxJob, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests.auto_topups import (
    FIFTY,
    TEXT,
    automatic,
    balance_of,
    behave,
    charge_again,
    finish_setup,
    forward,
    intents,
    look,
    messages,
    open_setup,
    save,
    set_to,
    switch_on,
)
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.domain.test_topups import apply, begin, current, is_right, ledger_of
from tests.factories import make_call, make_topup, within
from tests.fake_stripe import Simulator


def overview(firm: Firm) -> auto_topup.Overview:
    with tenant_scope(firm.id):
        return auto_topup.overview(utcnow())


def refused(firm: Firm, work: Any) -> str | None:
    with pytest.raises(DomainError) as problem:
        within(firm, work)
    return problem.value.field


def jobs(kind: str) -> list[OutboxJob]:
    with all_tenants("the test looks at the outbox"):
        return list(db.session.scalars(select(OutboxJob).where(OutboxJob.kind == kind)))


def change_company(firm: Firm, **values: Any) -> None:
    within(firm, lambda: db.session.execute(update(Company).where(Company.id == firm.id).values(**values)))


# ---- Switching on and off ---------------------------------------------------------------------------------


def test_it_is_off_until_a_card_is_saved_and_the_consent_is_kept(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    set_to(cast.salon, "5.00")
    assert (overview(cast.salon).on, look(cast.salon), automatic(cast.salon)) == (False, True, [])
    card = switch_on(cast.salon, sim)
    seen, balance = overview(cast.salon), balance_of(cast.salon)
    assert (seen.on, seen.card, seen.settings) == (True, "Visa ···· 4242", FIFTY)
    assert seen.consent is not None
    assert (seen.consent.by_name, seen.consent.text, seen.consent.settings) == (cast.salon.owner.name, TEXT, FIFTY)
    assert balance.auto_topup_consent_by == cast.salon.owner.id
    assert sim.get(card)["customer"] == sim.all("customer")[0]["id"]


def test_a_page_that_is_closed_or_open_saves_nothing(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    assert finish_setup(cast.salon, session_id) is Saved.OPEN
    sim.expire(session_id)
    assert finish_setup(cast.salon, session_id) is Saved.FAILED
    assert overview(cast.salon).card is None


def test_another_companys_page_is_foreign(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    sim.pay(session_id)
    assert finish_setup(cast.praxis, session_id) is Saved.FOREIGN
    assert finish_setup(cast.praxis, "cs_test_nowhere") is Saved.FOREIGN
    assert overview(cast.praxis).card is None


def test_while_stripe_is_away_the_page_says_so(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    sim.pay(session_id)
    sim.fail_next(503, path="checkout/sessions")
    assert finish_setup(cast.salon, session_id) is Saved.UNAVAILABLE
    assert finish_setup(cast.salon, session_id) is Saved.SAVED


def test_a_forgotten_card_does_not_come_back_by_looking_at_its_page_again(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    sim.pay(session_id)
    assert finish_setup(cast.salon, session_id) is Saved.SAVED
    within(cast.salon, auto_topup_consent.forget_card)
    assert finish_setup(cast.salon, session_id) is Saved.OLD
    seen = overview(cast.salon)
    assert (seen.on, seen.card) == (False, None)
    assert len(jobs(auto_topup_consent.DETACH)) == 1


def test_of_two_pages_the_newer_consent_counts_whichever_comes_first(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    first, second = open_setup(cast.salon), open_setup(cast.salon)
    sim.pay(first)
    sim.pay(second, "sepa_debit")
    assert finish_setup(cast.salon, second) is Saved.SAVED
    assert finish_setup(cast.salon, first) is Saved.OLD
    assert overview(cast.salon).card == "SEPA ···· 3000"


def test_a_new_card_sends_the_old_one_away(cast: Cast, sim: Simulator) -> None:
    old = switch_on(cast.salon, sim)
    new = switch_on(cast.salon, sim)
    (job,) = jobs(auto_topup_consent.DETACH)
    assert old != new
    assert job.payload == {"payment_method_id": old}


def test_switching_off_is_one_step_and_keeps_settings_and_card(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    within(cast.salon, auto_topup.switch_off)
    set_to(cast.salon, "5.00")
    assert look(cast.salon)
    seen = overview(cast.salon)
    assert (seen.on, seen.card, seen.settings, seen.recent) == (False, "Visa ···· 4242", FIFTY, [])
    within(cast.salon, lambda: auto_topup.switch_on(utcnow()))
    assert overview(cast.salon).on


def test_nothing_can_be_switched_on_without_settings_and_card(cast: Cast, sim: Simulator) -> None:
    refused(cast.salon, lambda: auto_topup_consent.start(cast.salon.owner.id, TEXT))
    refused(cast.salon, lambda: auto_topup.switch_on(utcnow()))
    save(cast.salon)
    assert refused(cast.salon, lambda: auto_topup.switch_on(utcnow())) == "consent"


def test_more_than_was_agreed_to_needs_a_new_consent(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    more, less = replace(FIFTY, monthly_cap=Decimal(400)), replace(FIFTY, amount=Decimal(30))
    assert refused(cast.salon, lambda: auto_topup.save(more, utcnow())) == "consent"
    save(cast.salon, less)
    assert overview(cast.salon).settings == less
    within(cast.salon, lambda: auto_topup.agree_again(cast.salon.owner.id, "more", more, utcnow()))
    seen = overview(cast.salon)
    assert seen.consent is not None
    assert (seen.settings, seen.consent.text, seen.consent.settings) == (more, "more", more)


def test_raised_while_off_it_cannot_be_switched_on_without_a_new_consent(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    within(cast.salon, auto_topup.switch_off)
    save(cast.salon, replace(FIFTY, amount=Decimal(90)))
    assert refused(cast.salon, lambda: auto_topup.switch_on(utcnow())) == "consent"


def test_figures_that_are_raised_while_stripes_page_is_open_do_not_switch_on(cast: Cast, sim: Simulator) -> None:
    save(cast.salon)
    session_id = open_setup(cast.salon)
    save(cast.salon, replace(FIFTY, amount=Decimal(90)))
    sim.pay(session_id)
    assert finish_setup(cast.salon, session_id) is Saved.SAVED
    seen = overview(cast.salon)
    assert (seen.card, seen.on) == ("Visa ···· 4242", False)


def test_a_page_finished_after_switching_off_saves_the_card_and_leaves_it_off(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    session_id = open_setup(cast.salon)
    sim.pay(session_id, "sepa_debit")
    within(cast.salon, auto_topup.switch_off)
    assert finish_setup(cast.salon, session_id) is Saved.SAVED
    assert (overview(cast.salon).card, overview(cast.salon).on) == ("SEPA ···· 3000", False)


def test_a_new_consent_to_less_than_is_set_meanwhile_switches_off(cast: Cast, sim: Simulator) -> None:
    """It was agreed to 50; set to 20 another card was begun; set to 50 again, which the first consent covers."""
    switch_on(cast.salon, sim)
    save(cast.salon, replace(FIFTY, amount=Decimal(20)))
    session_id = open_setup(cast.salon)
    save(cast.salon, FIFTY)
    sim.pay(session_id, "sepa_debit")
    assert finish_setup(cast.salon, session_id) is Saved.SAVED
    set_to(cast.salon, "5.00")
    look(cast.salon)
    assert (automatic(cast.salon), overview(cast.salon).on) == ([], False)


def test_everything_is_on_record(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    within(cast.salon, auto_topup_consent.forget_card)
    with tenant_scope(cast.salon.id):
        known = [row.action for row in db.session.scalars(select(AuditLog).order_by(AuditLog.id))]
    assert [action for action in known if action.startswith("auto_topup.")] == [
        "auto_topup.settings_saved",
        "auto_topup.consent_given",
        "auto_topup.card_saved",
        "auto_topup.switched_on",
        "auto_topup.switched_off",
        "auto_topup.card_forgotten",
    ]


# ---- When one is due --------------------------------------------------------------------------------------


def test_a_low_balance_is_topped_up_with_tax_and_credited_once(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim)
    set_to(cast.salon, "19.99")
    assert look(cast.salon)
    assert look(cast.salon)
    (topup,), (intent,) = automatic(cast.salon), intents(sim)
    assert (intent["amount"], intent["payment_method"], intent["metadata"]["topup_id"]) == (5950, card, str(topup.id))
    assert (topup.status, topup.amount, topup.gross_amount) == ("completed", Decimal("50.00"), Decimal("59.50"))
    assert (topup.payment_label, topup.stripe_session_id) == ("Visa ···· 4242", None)
    assert current(cast.salon) == Decimal("69.99")
    assert topups.outcome(topup) is Outcome.PAID
    assert is_right(cast.salon)


def test_it_is_told_in_the_bell_without_a_mail(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "10.00")
    look(cast.salon)
    assert messages(cast.salon) == ["auto_topup.paid"]
    assert jobs("notification.mail") == []


def test_the_balance_that_fills_up_counts_what_is_on_its_way(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, Settings(FILL_UP, Decimal(50), Decimal(100), Decimal(200), Decimal(500)))
    set_to(cast.salon, "10.00")
    begin(cast.salon, "30.00")
    look(cast.salon)
    assert [row.amount for row in automatic(cast.salon)] == [Decimal("60.00")]


def test_a_page_that_somebody_left_open_holds_nothing_back_for_long(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "10.00")
    page = begin(cast.salon, "30.00")
    look(cast.salon)
    assert automatic(cast.salon) == []
    within(cast.salon, lambda: _age(page.id, timedelta(hours=1, minutes=1)))
    look(cast.salon)
    assert len(automatic(cast.salon)) == 1


def _age(topup_id: int, by: timedelta) -> None:
    row = db.session.get_one(BalanceTopup, topup_id, populate_existing=True)
    row.created_at -= by
    row.updated_at -= by


def test_what_is_held_for_calls_counts_as_gone(cast: Cast, sim: Simulator) -> None:
    set_to(cast.salon, "21.00")
    switch_on(cast.salon, sim)
    call = make_call(cast.salon, status="in_progress", ended_at=None, duration_seconds=None)
    assert jobs(auto_topup_watch.KIND) == []
    within(cast.salon, lambda: ledger.hold(db.session.get_one(Call, call.id), utcnow()))
    assert len(jobs(auto_topup_watch.KIND)) == 1
    look(cast.salon)
    assert len(automatic(cast.salon)) == 1


def test_many_movements_below_the_threshold_ask_for_one_look(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    within(cast.salon, lambda: ledger.adjust(Decimal(15), "x", "a", utcnow()))
    for number in range(3):
        key = f"b{number}"
        within(cast.salon, lambda k=key: ledger.adjust(Decimal(-1), "x", k, utcnow()))
    assert len(jobs(auto_topup_watch.KIND)) == 1


@pytest.mark.parametrize("missing", ["inactive", "card", "consent", "customer", "settings", "off"])
def test_where_anything_is_missing_nothing_is_charged(cast: Cast, sim: Simulator, missing: str) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    if missing in {"inactive", "customer"}:
        gone: dict[str, Any] = {"is_active": False} if missing == "inactive" else {"stripe_customer_id": None}
        change_company(cast.salon, **gone)
    else:
        columns: dict[str, dict[str, Any]] = {
            "card": {"stripe_payment_method_id": None},
            "consent": {"auto_topup_consent_at": None},
            "settings": {"auto_topup_daily_cap": None},
            "off": {"auto_topup_enabled": False},
        }
        values = columns[missing]
        row = PrepaidBalance
        within(
            cast.salon, lambda: db.session.execute(update(row).where(row.company_id == cast.salon.id).values(**values))
        )
    assert look(cast.salon)
    assert (automatic(cast.salon), intents(sim)) == ([], [])


def test_the_daily_cap_holds(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    for _ in range(4):
        set_to(cast.salon, "0.00")
        look(cast.salon)
    assert [row.amount for row in automatic(cast.salon)] == [Decimal(50), Decimal(50)]
    decision = overview(cast.salon).decision
    assert decision is not None
    assert decision.verdict is Verdict.DAILY_CAP


def test_a_refunded_one_still_counts_and_one_that_failed_does_not(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim)
    set_to(cast.salon, "0.00")
    look(cast.salon)
    behave(sim, card, "insufficient_funds")
    set_to(cast.salon, "0.00")
    look(cast.salon)
    seen = overview(cast.salon).situation
    assert (seen.spent_today, seen.spent_month) == (Decimal(50), Decimal(50))
    sim.refund(intents(sim)[0]["id"])
    within(cast.salon, lambda: topups.apply(automatic(cast.salon)[0].id, facts_of(intents(sim)[0]["id"]), utcnow()))
    assert overview(cast.salon).situation.spent_today == Decimal(50)


def facts_of(intent_id: str) -> Collected:
    gateway = payments.gateway()
    assert gateway is not None
    return topups.read_payment(gateway, intent_id, with_returns=True)


# ---- How it ends ------------------------------------------------------------------------------------------


def test_declined_it_pauses_an_hour_then_a_day_then_it_is_off(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, behaviour="insufficient_funds")
    set_to(cast.salon, "5.00")
    pauses = []
    for _ in range(3):
        look(cast.salon)
        look(cast.salon)  # paused: nothing happens
        until = balance_of(cast.salon).auto_topup_paused_until
        pauses.append(None if until is None else round((until - utcnow()) / timedelta(hours=1)))
        forward(cast.salon, utcnow() if until else None)
    assert pauses == [1, 24, None]
    assert not overview(cast.salon).on
    assert [row.status for row in automatic(cast.salon)] == ["failed"] * 3
    assert messages(cast.salon) == ["auto_topup.declined", "auto_topup.declined", "auto_topup.off"]
    assert len(jobs("notification.mail")) == 3 * len({"owner", "bookkeeper"})
    look(cast.salon)
    assert len(automatic(cast.salon)) == 3
    assert current(cast.salon) == Decimal("5.00")


def test_a_success_forgets_the_declines(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim, behaviour="do_not_honor")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    pause = overview(cast.salon).pause
    assert pause is not None
    assert (pause.reason, pause.declines, pause.topup_id) == ("declined", 1, automatic(cast.salon)[0].id)
    behave(sim, card, "ok")
    forward(cast.salon, utcnow())
    look(cast.salon)
    balance = balance_of(cast.salon)
    assert (balance.auto_topup_declines, balance.auto_topup_paused_until) == (0, None)


def test_a_bank_that_asks_for_the_person_is_not_asked_again(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, behaviour="authentication_required")
    set_to(cast.salon, "5.00")
    for _ in range(3):
        look(cast.salon)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topup.failure_code, len(intents(sim))) == ("failed", "authentication_required", 1)
    assert topups.outcome(topup) is Outcome.REFUSED
    assert messages(cast.salon) == ["auto_topup.in_person"]
    pause = overview(cast.salon).pause
    assert pause is not None
    assert (pause.reason, pause.until, pause.topup_id) == ("authentication", None, topup.id)


def test_paid_in_person_it_goes_on(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim, behaviour="authentication_required")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    assert balance_of(cast.salon).auto_topup_paused_until == UNTIL_IN_PERSON
    by_hand = begin(cast.salon, "50.00")
    sim.pay(by_hand.stripe_session_id or "")
    apply(cast.salon, by_hand)
    assert overview(cast.salon).pause is None
    behave(sim, card, "ok")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    assert automatic(cast.salon)[-1].status == "completed"


def test_a_debit_is_on_its_way_and_nothing_else_is_charged_meanwhile(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    set_to(cast.salon, "-300.00")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topups.outcome(topup)) == ("processing", Outcome.PROCESSING)
    sim.settle(topup.stripe_payment_intent_id or "")
    within(cast.salon, lambda: topups.apply(topup.id, facts_of(topup.stripe_payment_intent_id or ""), utcnow()))
    assert current(cast.salon) == Decimal("-250.00")
    assert is_right(cast.salon)


def test_a_debit_that_comes_back_is_a_decline(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    sim.bounce(topup.stripe_payment_intent_id or "")
    for _ in range(2):
        within(cast.salon, lambda: topups.apply(topup.id, facts_of(topup.stripe_payment_intent_id or ""), utcnow()))
    assert (automatic(cast.salon)[0].status, balance_of(cast.salon).auto_topup_declines) == ("failed", 1)
    assert messages(cast.salon) == ["auto_topup.declined"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_key(cast: Cast, sim: Simulator, when: Any) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0 if when == "after" else 500, when=when, path="payment_intents")
    assert not look(cast.salon)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topups.outcome(topup), topup.failure_code) == (
        "pending",
        Outcome.COLLECTING,
        topups.UNAVAILABLE,
    )
    look(cast.salon)
    assert len(automatic(cast.salon)) == 1
    assert charge_again(cast.salon, topup.id)
    assert charge_again(cast.salon, topup.id)
    assert (automatic(cast.salon)[0].status, len(intents(sim)), current(cast.salon)) == (
        "completed",
        1,
        Decimal("55.00"),
    )


@pytest.mark.parametrize("arrived", [True, False])
def test_switched_off_while_stripe_is_away_nothing_is_sent_any_more(cast: Cast, sim: Simulator, arrived: bool) -> None:
    """If Stripe has it, it is credited; if not, nobody is charged after switching off."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0 if arrived else 500, when="after" if arrived else "before", path="payment_intents")
    look(cast.salon)
    within(cast.salon, auto_topup.switch_off)
    (topup,) = automatic(cast.salon)
    assert charge_again(cast.salon, topup.id)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topup.failure_code) == (("completed", None) if arrived else ("failed", NOT_SENT))
    assert len(intents(sim)) == arrived
    assert not overview(cast.salon).on


def wait_for_stripe(firm: Firm, sim: Simulator, settings: Settings = FIFTY) -> int:
    """An automatic top-up that is decided, and that Stripe has not been told of."""
    switch_on(firm, sim, settings)
    set_to(firm, "5.00")
    sim.fail_next(500, path="payment_intents")
    assert not look(firm)
    return automatic(firm)[0].id


def test_lowered_while_stripe_is_away_the_old_amount_is_not_charged(cast: Cast, sim: Simulator) -> None:
    topup_id = wait_for_stripe(cast.salon, sim)
    save(cast.salon, replace(FIFTY, amount=Decimal(20), daily_cap=Decimal(20), monthly_cap=Decimal(20)))
    assert charge_again(cast.salon, topup_id)
    look(cast.salon)
    assert [(row.amount, row.status) for row in automatic(cast.salon)] == [
        (Decimal(50), "failed"),
        (Decimal(20), "completed"),
    ]


def test_paid_by_hand_while_stripe_is_away_nothing_more_is_charged(cast: Cast, sim: Simulator) -> None:
    topup_id = wait_for_stripe(cast.salon, sim)
    set_to(cast.salon, "500.00")
    assert charge_again(cast.salon, topup_id)
    assert (automatic(cast.salon)[0].failure_code, intents(sim)) == (NOT_SENT, [])
    assert messages(cast.salon) == []


@pytest.mark.parametrize("arrived", [True, False])
def test_what_a_day_has_decided_is_not_charged_on_another(cast: Cast, sim: Simulator, arrived: bool) -> None:
    """Caps count the day of the decision, so nothing may be charged under the cap of a day that is over."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0 if arrived else 500, when="after" if arrived else "before", path="payment_intents")
    look(cast.salon)
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime.combine(utcnow().astimezone(zone).date(), time(), zone)
    within(
        cast.salon,
        lambda: db.session.execute(
            update(BalanceTopup)
            .where(BalanceTopup.id == automatic(cast.salon)[0].id)
            .values(created_at=midnight - timedelta(seconds=1))
        ),
    )
    with clock_ahead(midnight + timedelta(minutes=1) - utcnow()):
        assert charge_again(cast.salon, automatic(cast.salon)[0].id)
    assert (automatic(cast.salon)[0].status, len(intents(sim))) == (("completed", 1) if arrived else ("failed", 0))


@pytest.mark.parametrize("arrived", [True, False])
def test_asked_again_in_other_words_the_first_payment_is_looked_for(cast: Cast, sim: Simulator, arrived: bool) -> None:
    """A new version of ours may ask otherwise under the same key: Stripe refuses that, but may have the payment."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    if not arrived:
        with sim.acting():
            sim.store.get("payment_intent", intents(sim)[0]["id"])["metadata"] = {}
    noted = {**(topup.topup_metadata or {}), auto_topup.DESCRIPTION: "in other words"}
    within(cast.salon, lambda: topup_steps.put(topup.id, topup_metadata=noted))
    assert charge_again(cast.salon, topup.id)
    (topup,) = automatic(cast.salon)
    assert (topup.status, topup.failure_code) == (("completed", None) if arrived else ("failed", NOT_SENT))
    assert balance_of(cast.salon).auto_topup_paused_until is None


def test_after_a_day_stripe_is_only_looked_up_because_it_forgets_keys(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    with sim.acting():
        sim.store.side["answers"].clear()
    within(cast.salon, lambda: _age(topup.id, timedelta(hours=21)))
    with sim.acting():
        sim.store.tables["payment_intent"][intents(sim)[0]["id"]]["created"] -= 21 * 3600
    assert charge_again(cast.salon, topup.id)
    assert (automatic(cast.salon)[0].status, len(intents(sim))) == ("completed", 1)


def test_a_card_that_stripe_does_not_have_any_more_switches_off(cast: Cast, sim: Simulator) -> None:
    card = switch_on(cast.salon, sim)
    with sim.acting() as payments_there:
        payments_there.detach(sim.store.get("payment_method", card))
    set_to(cast.salon, "5.00")
    look(cast.salon)
    assert automatic(cast.salon)[0].failure_code == CARD_GONE
    seen = overview(cast.salon)
    assert (seen.on, seen.card) == (False, None)
    assert messages(cast.salon) == ["auto_topup.card_gone"]


def test_a_request_that_stripe_refuses_waits_an_hour_and_declines_nobody(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(401, path="payment_intents")
    look(cast.salon)
    pause = overview(cast.salon).pause
    assert pause is not None
    assert (pause.reason, pause.declines, overview(cast.salon).on) == ("rejected", 0, True)


def test_while_stripe_refuses_people_are_told_once_a_day_and_not_by_the_hour(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    morning = datetime.combine(utcnow().date() + timedelta(days=1), time(9), UTC)
    for hours in (0, 2, 4, 24):
        sim.fail_next(401, path="payment_intents")
        with clock_ahead(morning + timedelta(hours=hours) - utcnow()):
            look(cast.salon)
    assert [row.status for row in automatic(cast.salon)] == ["failed"] * 4
    assert messages(cast.salon) == ["auto_topup.rejected"] * 2


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("amount", {"amount_received": Decimal("5.95")}),
        ("currency", {"currency": "usd"}),
        ("customer", {"customer_id": "cus_somebody_else"}),
        ("company", {"metadata": {"topup_id": "0", "tenant_id": "praxis"}}),
        ("payment", {"payment_intent_id": "pi_another"}),
    ],
)
def test_what_differs_is_parked_and_nothing_more_is_charged(
    cast: Cast, sim: Simulator, what: str, wrong: dict[str, Any]
) -> None:
    switch_on(cast.salon, sim, method="sepa_debit")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    sim.settle(topup.stripe_payment_intent_id or "")
    facts = facts_of(topup.stripe_payment_intent_id or "")
    lie: PaymentState = replace(facts.payment, **wrong)
    within(cast.salon, lambda: topups.apply(topup.id, replace(facts, payment=lie), utcnow()))
    (topup,) = automatic(cast.salon)
    assert what in (topup.parked_reason or "")
    assert current(cast.salon) == Decimal("5.00")
    look(cast.salon)
    assert len(automatic(cast.salon)) == 1
    within(cast.salon, lambda: topups.apply(topup.id, facts, utcnow()))
    assert current(cast.salon) == Decimal("55.00")


def test_a_parked_one_waits_for_the_operator_and_not_for_midnight(cast: Cast, sim: Simulator) -> None:
    """Its payment is there, under other names; given up as never sent, it would be charged a second time."""
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(0, when="after", path="payment_intents")
    look(cast.salon)
    with sim.acting():
        sim.store.get("payment_intent", intents(sim)[0]["id"])["metadata"] = {}
    (topup,) = automatic(cast.salon)
    lie = facts_of(intents(sim)[0]["id"])
    within(cast.salon, lambda: topups.apply(topup.id, lie, utcnow()))
    assert automatic(cast.salon)[0].parked_reason
    with clock_ahead(timedelta(days=1)):
        assert charge_again(cast.salon, topup.id)
        look(cast.salon)
    assert ([row.status for row in automatic(cast.salon)], len(intents(sim))) == (["pending"], 1)


# ---- Money that goes back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["refund", "dispute"])
def test_whoever_gets_money_back_is_not_charged_again_by_itself(cast: Cast, sim: Simulator, way: str) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    look(cast.salon)
    (topup,) = automatic(cast.salon)
    intent_id = topup.stripe_payment_intent_id or ""
    sim.refund(intent_id) if way == "refund" else sim.dispute(intent_id)
    for _ in range(2):
        within(cast.salon, lambda: topups.apply(topup.id, facts_of(intent_id), utcnow()))
    look(cast.salon)
    assert (current(cast.salon), len(intents(sim)), overview(cast.salon).on) == (Decimal("5.00"), 1, False)
    assert messages(cast.salon) == ["auto_topup.paid", "auto_topup.returned"]
    assert [reference.partition(":")[0] for reference, _ in ledger_of(cast.salon)[-2:]] == [
        "topup",
        "refund" if way == "refund" else "chargeback",
    ]
    assert is_right(cast.salon)


def test_a_bank_transfer_that_goes_back_is_not_collected_from_the_card(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    topup = make_topup(cast.salon, "100.00", status="completed", payment_method="bank_transfer", completed_at=utcnow())
    within(cast.salon, lambda: ledger.credit(db.session.get_one(BalanceTopup, topup.id), utcnow()))
    within(cast.salon, lambda: topups.return_by_hand(topup.id, topup.gross_amount, "refund:hand:1", utcnow()))
    look(cast.salon)
    assert (intents(sim), overview(cast.salon).on) == ([], False)
    assert messages(cast.salon) == ["auto_topup.returned"]


def test_a_small_business_charges_no_tax(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    seller = auto_topup.Seller(small_business=True, country="DE")
    within(cast.salon, lambda: auto_topup.claim(utcnow(), seller, "x"))
    (topup,) = automatic(cast.salon)
    assert (topup.gross_amount, (topup.topup_metadata or {})["tax_kind"]) == (
        Decimal(50),
        str(vat.TaxKind.SMALL_BUSINESS),
    )


def test_the_vat_id_that_the_tax_was_decided_on_is_kept(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    change_company(cast.salon, country="AT", vat_id="ATU57194903")
    set_to(cast.salon, "5.00")
    look(cast.salon)
    noted = automatic(cast.salon)[0].topup_metadata or {}
    assert (noted["tax_kind"], noted["vat_id"]) == (str(vat.TaxKind.REVERSE_CHARGE), "ATU57194903")


def test_nobody_pays_an_automatic_topup_on_a_page(cast: Cast, sim: Simulator) -> None:
    switch_on(cast.salon, sim)
    set_to(cast.salon, "5.00")
    sim.fail_next(500, path="payment_intents")
    look(cast.salon)
    with tenant_scope(cast.salon.id):
        assert payments.open_page(automatic(cast.salon)[0].id, "de") is None
    assert not any(one["mode"] == "payment" for one in sim.all("checkout.session"))
