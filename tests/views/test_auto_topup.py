"""The page about automatic top-ups as a browser meets it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import db, utcnow
from portal.domain import auto_topup, auto_topup_page, ledger, reach
from portal.domain.auto_topup import Overview
from portal.domain.auto_topup_rules import FILL_UP, FIXED, Settings
from portal.models import AuditLog, BalanceTopup, Call, Company, PrepaidBalance
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.conftest import PortalClient
from tests.factories import within
from tests.fake_stripe import Simulator
from tests.queries import Queries

PAGE = "/balance/auto-topup"
GOOD = {
    "threshold": "20,00",
    "mode": "fixed",
    "amount": "50",
    "level": "",
    "daily_cap": "100,00",
    "monthly_cap": "300",
}
ON = GOOD | {"consent": "y", "switch_on": "1"}
SET = Settings(FIXED, Decimal(20), Decimal(50), Decimal(100), Decimal(300))
FIELDS = ("threshold", "mode", "amount", "level", "daily_cap", "monthly_cap", "consent")


@pytest.fixture
def owner(client: PortalClient, cast: Cast, sim: Simulator) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def stands(firm: Firm) -> Overview:
    db.session.rollback()
    with tenant_scope(firm.id):
        return auto_topup.overview(utcnow())


def balance(firm: Firm, **values: Any) -> None:
    within(firm, lambda: db.session.execute(update(PrepaidBalance).values(**values)))


def credit(firm: Firm, amount: str, days_ago: int = 0) -> None:
    now = utcnow() - timedelta(days=days_ago, hours=2)
    within(firm, lambda: ledger.adjust(Decimal(amount), "test", f"credit-{amount}-{days_ago}", now))


def charge(call: Call, at: datetime) -> None:
    ledger.charge(db.session.merge(call), at)


def beside(page: str, field: str) -> str:
    """The message beside a field; '' without one."""
    found = re.search(rf'id="{field}-e".*?<span>(.*?)</span>', page, re.DOTALL)
    return found[1] if found else ""


def text_of(html: str) -> str:
    """What a person reads: without tags, with plain spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ")).strip()


def session_of(address: str) -> str:
    found = re.search(r"cs_\w+", address)
    assert found, address
    return found[0]


def save_card(owner: PortalClient, sim: Simulator, **changed: str) -> str:
    """All the way through Stripe; the address that leads back."""
    session = session_of(owner.post(PAGE, data=ON | changed).location)
    sim.pay(session)
    return f"{PAGE}/done?session={session}"


def automatic(firm: Firm, amount: str = "50.00", **values: Any) -> BalanceTopup:
    return factories.make_topup(firm, amount, is_auto_topup=True, **values)


# ---- Who --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("bookkeeper", 200), ("manager", 403), ("staff", 403)])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/simulate", f"{PAGE}/state"])
def test_who_may_see_the_balance_may_see_the_rules(
    client: PortalClient, cast: Cast, role: str, status: int, path: str
) -> None:
    client.sign_in(cast.salon.users[role])
    assert client.htmx("GET", path, query_string=GOOD).status_code == status


@pytest.mark.parametrize("role", ["bookkeeper", "manager", "staff"])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/off", f"{PAGE}/card", f"{PAGE}/card/remove"])
def test_only_owners_change_them(client: PortalClient, cast: Cast, role: str, path: str) -> None:
    balance(cast.salon, auto_topup_enabled=True, stripe_payment_method_id="pm_1")
    before = stands(cast.salon)
    assert client.sign_in(cast.salon.users[role]).post(path, data=ON).status_code == 403
    assert stands(cast.salon) == before


def test_only_owners_bring_a_card_back_from_stripe(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    back = save_card(client.sign_in(cast.salon.owner), sim)
    assert client.sign_in(cast.salon.bookkeeper).get(back).status_code == 403
    assert stands(cast.salon).card is None


def test_without_a_token_nothing_is_saved(owner: PortalClient, cast: Cast) -> None:
    owner.csrf = False
    assert owner.post(PAGE, data=ON).status_code == 400
    assert stands(cast.salon).settings is None


def test_the_bookkeeper_reads_and_gets_no_buttons(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.bookkeeper).get(PAGE).text.partition('<div class="page-body">')[2]
    assert "<button" not in page
    assert "/simulate" not in page
    assert 'name="consent"' not in page
    assert "Ändern kann sie nur, wer den Betrieb führt." in page
    assert page.count(" disabled>") == 2


def test_another_companys_settings_are_not_shown(owner: PortalClient, cast: Cast) -> None:
    balance(
        cast.praxis,
        auto_topup_threshold=Decimal(77),
        auto_topup_amount=Decimal(78),
        auto_topup_daily_cap=Decimal(79),
        auto_topup_monthly_cap=Decimal(781),
        payment_method_label="Visa ···· 7777",
        stripe_payment_method_id="pm_praxis",
    )
    page = owner.get(PAGE).text
    assert "77,00" not in page
    assert "7777" not in page


# ---- What is offered --------------------------------------------------------------------------------------


def test_a_new_company_gets_a_cautious_beginning_and_an_empty_trial(owner: PortalClient) -> None:
    page = owner.get(PAGE).text
    assert re.search(r'id="threshold"[^>]*value="20,00"', page)
    assert re.search(r'id="amount"[^>]*value="50,00"', page)
    assert "Noch keine Anrufe zum Ausprobieren" in page
    assert "Noch keine Karte gespeichert" in page
    assert "Aus</span>" in page


def habit(a_day: str) -> reach.Habit:
    return reach.Habit(days=10, calls=50, spent=Decimal(a_day) * 10, by_weekday=(Decimal(a_day),) * 7)


@pytest.mark.parametrize(
    ("a_day", "threshold", "amount"),
    [("0.10", 10, 20), ("4", 15, 60), ("12", 40, 170), ("45", 140, 650), ("150", 450, 2100), ("9000", 5000, 5000)],
)
def test_suggestions_follow_what_is_spent_in_round_sums(a_day: str, threshold: int, amount: int) -> None:
    found = auto_topup_page.suggestion(habit(a_day))
    assert found == Settings(FIXED, Decimal(threshold), Decimal(amount), Decimal(amount), Decimal(3 * amount))


def test_every_amount_stands_there_net_and_as_it_is_charged(owner: PortalClient) -> None:
    owner.post(PAGE, data=GOOD)
    page = text_of(owner.get(PAGE).text)
    assert "59,50 € mit 19 % USt., je Aufladung" in page
    assert "119,00 € mit 19 % USt." in page
    assert "357,00 € mit 19 % USt." in page


def test_abroad_with_a_vat_id_nothing_is_added(owner: PortalClient, cast: Cast) -> None:
    of_salon = update(Company).where(Company.id == cast.salon.id)
    within(cast.salon, lambda: db.session.execute(of_salon.values(country="AT", vat_id="ATU12345678")))
    page = text_of(owner.get(PAGE).text)
    assert "50,00 € werden abgebucht, die USt. schulden Sie selbst, je Aufladung" in page


# ---- Saving -----------------------------------------------------------------------------------------------


def test_saving_alone_switches_nothing_on(owner: PortalClient, cast: Cast) -> None:
    answer = owner.post(PAGE, data=GOOD)
    assert (answer.status_code, answer.location) == (303, PAGE)
    found = stands(cast.salon)
    assert (found.settings, found.on, found.consent) == (SET, False, None)
    assert stands(cast.praxis).settings is None


def test_a_level_is_taken_from_its_own_field(owner: PortalClient, cast: Cast) -> None:
    owner.post(PAGE, data=GOOD | {"mode": "fill_up", "level": "80", "amount": "abc"})
    assert stands(cast.salon).settings == Settings(FILL_UP, Decimal(20), Decimal(80), Decimal(100), Decimal(300))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"threshold": ""}, "threshold"),
        ({"threshold": "-5"}, "threshold"),
        ({"threshold": "0"}, "threshold"),
        ({"threshold": "abc"}, "threshold"),
        ({"threshold": "50,01"}, "threshold"),
        ({"threshold": "300,01"}, "threshold"),
        ({"threshold": "999999999"}, "threshold"),
        ({"amount": ""}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-50"}, "amount"),
        ({"amount": "9,99"}, "amount"),
        ({"amount": "5000,01", "daily_cap": "9000", "monthly_cap": "9000"}, "amount"),
        ({"amount": "50,555"}, "amount"),
        ({"amount": "1.234"}, "amount"),
        ({"mode": "fill_up", "level": ""}, "level"),
        ({"mode": "fill_up", "level": "20"}, "level"),
        ({"mode": "fill_up", "level": "19,99"}, "level"),
        ({"mode": "fill_up", "level": "viel"}, "level"),
        ({"daily_cap": "49,99"}, "daily_cap"),
        ({"daily_cap": "0"}, "daily_cap"),
        ({"daily_cap": ""}, "daily_cap"),
        ({"daily_cap": "1e3"}, "daily_cap"),
        ({"monthly_cap": "99,99"}, "monthly_cap"),
        ({"monthly_cap": "-1"}, "monthly_cap"),
        ({"monthly_cap": "100000,01"}, "monthly_cap"),
        ({"monthly_cap": "NaN"}, "monthly_cap"),
        ({"mode": "all"}, "mode"),
        ({"mode": ""}, "mode"),
    ],
)
def test_bad_input_comes_back_with_its_message_and_changes_nothing(
    owner: PortalClient, cast: Cast, changed: dict[str, str], field: str
) -> None:
    owner.post(PAGE, data=GOOD | {"threshold": "25"})
    before = stands(cast.salon)
    answer = owner.post(PAGE, data=ON | changed)
    assert answer.status_code == 422
    assert beside(answer.text, field)
    assert [name for name in FIELDS if name != field and beside(answer.text, name)] == []
    assert 'aria-invalid="true"' in answer.text or field == "mode"
    assert stands(cast.salon) == before
    typed = changed[field]
    assert field == "mode" or not typed or f'value="{typed}"' in answer.text


def test_a_message_speaks_the_language_of_the_reader(owner: PortalClient) -> None:
    bad = ON | {"daily_cap": "49"}
    german = beside(owner.post(PAGE, data=bad).text, "daily_cap")
    owner.post("/preferences/language", data={"language": "en"})
    english = beside(owner.post(PAGE, data=bad).text, "daily_cap")
    assert english == "The cap must allow at least one top-up."
    assert german
    assert german != english


def test_a_wrong_form_comes_back_as_a_part(owner: PortalClient) -> None:
    answer = owner.htmx("POST", PAGE, data=ON | {"amount": "x"})
    assert answer.status_code == 422
    assert "<html" not in answer.text
    assert answer.text.lstrip().startswith('<form id="auto-form"')


# ---- Consent ----------------------------------------------------------------------------------------------


def test_without_consent_nothing_is_switched_on_or_saved(owner: PortalClient, cast: Cast) -> None:
    answer = owner.post(PAGE, data=GOOD | {"switch_on": "1"})
    assert answer.status_code == 422
    assert beside(answer.text, "consent") == "Bitte willigen Sie zuerst ein; ohne das darf nichts abgebucht werden."
    assert stands(cast.salon).settings is None


def test_the_consent_names_both_parties_figures(owner: PortalClient) -> None:
    owner.post(PAGE, data=GOOD)
    page = text_of(owner.get(PAGE).text)
    assert "Ich erlaube Empfang Demo GmbH (Empfang)" in page
    assert "jedes Mal mit 50,00 € (59,50 € mit 19 % USt.)" in page
    assert "höchstens 100,00 € (119,00 € mit 19 % USt.) am Tag und 300,00 € (357,00 € mit 19 % USt.) im Monat" in page


@pytest.mark.parametrize(("seen", "status"), [
    ("fixed/50/100/300", 303),
    ("fixed/60/100/300", 303),
    ("", 303),  # sent by somebody who builds requests without a page
    ("fixed/49.99/100/300", 422),
    ("fixed/50/99/300", 422),
    ("fixed/50/100/299", 422),
    ("fill_up/50/100/300", 422),
    ("nonsense", 422),
    ("fixed/x/100/300", 422),
    ("fixed/NaN/100/300", 422),
    ("fixed/50/100", 422),
])  # fmt: skip
def test_a_tick_counts_for_the_figures_that_stood_beside_it(
    owner: PortalClient, cast: Cast, seen: str, status: int
) -> None:
    answer = owner.post(PAGE, data=ON | {"seen": seen})
    assert answer.status_code == status
    if status == 422:
        assert beside(answer.text, "consent")
        assert not re.search(r'name="consent"[^>]*checked', answer.text)
        assert "59,50" in answer.text
        assert stands(cast.salon).settings is None
        again = re.search(r'name="seen" value="([^"]+)"', answer.text)
        assert again
        assert owner.post(PAGE, data=ON | {"seen": again[1]}).status_code == 303


def test_without_a_card_it_leads_to_stripe_and_back_and_is_on(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    answer = owner.post(PAGE, data=ON)
    assert answer.status_code == 303
    session = session_of(answer.location)
    assert not stands(cast.salon).on
    sim.pay(session)
    assert owner.get(f"{PAGE}/done?session={session}").location == PAGE
    found = stands(cast.salon)
    assert found.on
    assert found.card == "Visa ···· 4242"
    assert found.consent
    assert found.consent.by_name == cast.salon.owner.name
    assert found.consent.settings == SET
    page = owner.get(PAGE).text
    assert "Die Karte ist gespeichert. Die Automatik ist an." in page
    assert "Visa ···· 4242" in page
    assert f"{cast.salon.owner.name}</p>" in page
    assert found.consent.text in text_of(page).replace(" €", "\u00a0€").replace(" %", "\u00a0%")
    assert not stands(cast.praxis).card


def test_htmx_is_told_to_go_to_stripe(owner: PortalClient) -> None:
    answer = owner.htmx("POST", PAGE, data=ON)
    assert answer.status_code == 204
    assert "/c/pay/" in answer.headers["HX-Redirect"]


def test_coming_back_twice_changes_nothing_more(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    back = save_card(owner, sim)
    owner.get(back)
    owner.post(f"{PAGE}/off")
    assert owner.get(back).status_code == 303
    assert not stands(cast.salon).on


def test_turning_back_at_stripe_keeps_the_settings_and_says_so(owner: PortalClient, cast: Cast) -> None:
    owner.post(PAGE, data=ON)
    assert owner.get(f"{PAGE}/done").location == PAGE
    page = owner.get(PAGE).text
    assert "Es wurde keine Karte gespeichert" in page
    found = stands(cast.salon)
    assert (found.on, found.card, found.settings) == (False, None, SET)


@pytest.mark.parametrize(("end", "says"), [("open", "keine Karte gespeichert"), ("expire", "nicht geklappt")])
def test_what_was_not_finished_at_stripe_is_said(
    owner: PortalClient, cast: Cast, sim: Simulator, end: str, says: str
) -> None:
    session = session_of(owner.post(PAGE, data=ON).location)
    if end == "expire":
        sim.expire(session)
    owner.get(f"{PAGE}/done?session={session}")
    assert says in owner.get(PAGE).text
    assert (stands(cast.salon).on, stands(cast.salon).settings) == (False, SET)


def test_another_companys_session_saves_no_card_here(
    owner: PortalClient, cast: Cast, sim: Simulator, app: Flask
) -> None:
    other: Any = app.test_client()
    back = save_card(other.sign_in(cast.praxis.owner), sim)
    owner.post(PAGE, data=GOOD)
    owner.get(back)
    assert "gehört zu etwas anderem" in owner.get(PAGE).text
    assert stands(cast.salon).card is None


def test_stripe_being_away_is_said_and_the_settings_stay(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    sim.fail_next(503, times=9)
    answer = owner.post(PAGE, data=ON)
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert "antwortet nicht" in owner.get(PAGE).text
    assert (stands(cast.salon).on, stands(cast.salon).settings) == (False, SET)


# ---- On ---------------------------------------------------------------------------------------------------


@pytest.fixture
def running(owner: PortalClient, sim: Simulator) -> PortalClient:
    """Switched on with a card; the messages of the way there are read."""
    owner.get(save_card(owner, sim))
    owner.get(PAGE)
    return owner


def test_lower_figures_need_no_new_consent(running: PortalClient, cast: Cast) -> None:
    page = running.get(PAGE).text
    assert not re.search(r'id="consent"', page)
    assert running.post(PAGE, data=GOOD | {"amount": "40", "threshold": "30"}).status_code == 303
    found = stands(cast.salon)
    assert found.settings
    assert (found.on, found.settings.amount, found.settings.threshold) == (True, Decimal(40), Decimal(30))


@pytest.mark.parametrize("changed", [
    {"amount": "50,01"}, {"daily_cap": "100,01"}, {"monthly_cap": "300,01"}, {"mode": "fill_up", "level": "45"},
])  # fmt: skip
def test_higher_figures_need_a_new_consent(running: PortalClient, cast: Cast, changed: dict[str, str]) -> None:
    before = stands(cast.salon)
    answer = running.post(PAGE, data=GOOD | changed)
    assert answer.status_code == 422
    assert beside(answer.text, "consent")
    assert re.search(r'type="checkbox" name="consent"', answer.text)
    assert stands(cast.salon) == before
    assert running.post(PAGE, data=GOOD | changed | {"consent": "y"}).status_code == 303
    found = stands(cast.salon)
    assert found.on
    assert before.consent
    assert found.consent
    assert found.consent.at > before.consent.at
    assert found.consent.settings == found.settings


def test_one_click_switches_off_and_keeps_the_rest(running: PortalClient, cast: Cast) -> None:
    assert 'form="off-form"' in running.get(PAGE).text
    answer = running.post(f"{PAGE}/off", data={"amount": "nonsense"})
    assert (answer.status_code, answer.location) == (303, PAGE)
    found = stands(cast.salon)
    assert (found.on, found.card, found.settings) == (False, "Visa ···· 4242", SET)
    page = running.get(PAGE).text
    assert "Die Automatik ist aus. Einstellungen und Karte bleiben erhalten." in page
    assert 'id="consent"' in page


def test_switching_on_again_takes_a_new_tick_but_no_new_card(running: PortalClient, cast: Cast) -> None:
    running.post(f"{PAGE}/off")
    assert running.post(PAGE, data=GOOD | {"switch_on": "1"}).status_code == 422
    assert not stands(cast.salon).on
    answer = running.post(PAGE, data=ON | {"amount": "60"})
    assert (answer.status_code, answer.location) == (303, PAGE)
    found = stands(cast.salon)
    assert found.on
    assert found.settings
    assert found.settings.amount == 60


# The tick beside the saved settings, with the figures that stand there.
AGREED = {"consent": "y", "seen": "fixed/50.00/100.00/300.00"}


def test_another_card_takes_a_tick_of_its_own(running: PortalClient, cast: Cast, sim: Simulator) -> None:
    refused = running.post(f"{PAGE}/card")
    assert refused.status_code == 422
    assert beside(refused.text, "card-consent")
    lower = running.post(f"{PAGE}/card", data={"consent": "y", "seen": "fixed/49.00/100.00/300.00"})
    assert (lower.status_code, bool(beside(lower.text, "card-consent"))) == (422, True)
    assert running.post(f"{PAGE}/card", data={"consent": "y"}).status_code == 422
    session = session_of(running.post(f"{PAGE}/card", data=AGREED).location)
    sim.pay(session, "sepa_debit")
    running.get(f"{PAGE}/done?session={session}")
    found = stands(cast.salon)
    assert found.on
    assert found.card == "SEPA ···· 3000"


def test_another_card_while_off_leaves_it_off(running: PortalClient, cast: Cast, sim: Simulator) -> None:
    running.post(f"{PAGE}/off")
    session = session_of(running.post(f"{PAGE}/card", data=AGREED).location)
    sim.pay(session, "sepa_debit")
    running.get(f"{PAGE}/done?session={session}")
    assert (stands(cast.salon).on, stands(cast.salon).card) == (False, "SEPA ···· 3000")


def test_removing_the_card_switches_off(running: PortalClient, cast: Cast) -> None:
    assert running.post(f"{PAGE}/card/remove").status_code == 303
    assert (stands(cast.salon).on, stands(cast.salon).card, stands(cast.salon).settings) == (False, None, SET)
    page = running.get(PAGE).text
    assert "Noch keine Karte gespeichert" in page


def test_without_a_stripe_key_it_cannot_be_switched_on(
    client: PortalClient, cast: Cast, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.payments.gateway", lambda: None)
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert re.search(r'name="switch_on" value="1" disabled', page)


# ---- How it stands ----------------------------------------------------------------------------------------


def test_a_pause_says_until_when_why_and_what_helps(running: PortalClient, cast: Cast) -> None:
    until = utcnow().replace(second=0, microsecond=0) + timedelta(hours=1)
    topup = automatic(cast.salon, status="failed", failure_code="insufficient_funds")
    balance(cast.salon, auto_topup_paused_until=until, auto_topup_declines=1)
    page = text_of(running.get(PAGE).text)
    assert "Pausiert" in page
    assert "Die letzte Aufladung wurde abgelehnt; Pause bis" in page
    assert "Das Konto ist nicht gedeckt." in page
    assert "Selbst aufladen" in page
    assert f'href="/balance/topups/{topup.id}"' in running.get(PAGE).text
    assert "Automatik: pausiert" in running.get("/balance").text


def test_a_bank_that_wants_a_person_gets_a_link_to_that_topup(running: PortalClient, cast: Cast) -> None:
    topup = automatic(cast.salon, status="failed", failure_code="authentication_required")
    balance(cast.salon, auto_topup_paused_until=datetime(9000, 1, 1, tzinfo=UTC))
    page = running.get(PAGE).text
    assert "Ihre Bank möchte, dass Sie persönlich freigeben" in page
    assert f'<a class="btn btn-primary" href="/balance/topups/{topup.id}">Freigeben und bezahlen</a>' in page
    assert "9000" not in page


@pytest.mark.parametrize(("days", "says"), [(0, "Die Obergrenze für heute ist erreicht"), (1, "für diesen Monat")])
def test_a_cap_that_is_reached_is_said_with_the_day_on_which_it_goes_on(
    running: PortalClient, cast: Cast, days: int, says: str
) -> None:
    midday = utcnow().replace(day=15, hour=12)  # of next month, so that yesterday is in the same one
    ahead = midday + timedelta(days=31) - utcnow()
    spent = "300.00" if days else "100.00"
    automatic(cast.salon, spent, status="completed", created_at=utcnow() + ahead - timedelta(days=days))
    with clock_ahead(ahead):
        page = text_of(running.get(PAGE).text)
    assert says in page
    assert "Weiter geht es ab" in page
    assert f"{spent.replace('.', ',')} € von" in page
    assert "Obergrenze erreicht" in page


def test_what_is_under_way_is_said(running: PortalClient, cast: Cast) -> None:
    topup = automatic(cast.salon, status="processing")
    page = running.get(PAGE).text
    assert "Eine Aufladung über 50,00\u00a0€ ist unterwegs." in page
    assert f'href="/balance/topups/{topup.id}"' in page


@pytest.mark.parametrize(("why", "says"), [
    ("declined", "Drei Aufladungen nacheinander wurden abgelehnt."),
    ("card_gone", "Stripe hat die gespeicherte Karte nicht mehr."),
    ("returned", "Geld aus einer Aufladung ging an Sie zurück"),
    ("person", ""),
])  # fmt: skip
def test_who_did_not_switch_off_is_told_why_it_is_off(running: PortalClient, cast: Cast, why: str, says: str) -> None:
    row = AuditLog(
        company_id=cast.salon.id,
        action=auto_topup_page.SWITCHED_OFF,
        model_type="PrepaidBalance",
        model_id=cast.salon.balance.id,
        new_values={"why": why},
        created_at=utcnow(),
    )
    factories.save(cast.salon, row)
    balance(cast.salon, auto_topup_enabled=False)
    page = running.get(PAGE).text
    assert ("Die Automatik ist ausgeschaltet" in page) == bool(says)
    assert says in page


def test_the_engine_writes_what_the_page_reads(running: PortalClient, cast: Cast) -> None:
    running.post(f"{PAGE}/off")
    with tenant_scope(cast.salon.id):
        rows = db.session.scalars(select(AuditLog).where(AuditLog.action == auto_topup_page.SWITCHED_OFF)).all()
    assert [row.new_values for row in rows] == [{"why": "person"}]


def test_the_state_answers_204_until_something_changes(running: PortalClient, cast: Cast) -> None:
    first = running.htmx("GET", f"{PAGE}/state")
    version = re.search(r"\?v=(\w+)", first.text)
    assert version
    assert running.htmx("GET", f"{PAGE}/state?v={version[1]}").status_code == 204
    balance(cast.salon, auto_topup_paused_until=utcnow() + timedelta(hours=1), auto_topup_declines=1)
    changed = running.htmx("GET", f"{PAGE}/state?v={version[1]}")
    assert changed.status_code == 200
    assert "Pause bis" in changed.text
    assert 'id="auto-pill" hx-swap-oob="true"' in changed.text


def test_automatic_topups_are_marked_wherever_topups_are_listed(running: PortalClient, cast: Cast) -> None:
    automatic(cast.salon, "61.00", status="failed", failure_code="card_declined")
    page = running.get("/balance").text
    row = page[page.index('id="h-topups"') :]
    assert "automatisch" in row[: row.index("61,00")]
    assert "61,00" in running.get(PAGE).text


# ---- How it would have been -------------------------------------------------------------------------------


def history(firm: Firm, calls: int = 20) -> None:
    """60 days ago 60 €, and since then a call of 4.20 € on each of so many days."""
    credit(firm, "60", 60)
    for day in range(calls + 10, 10, -1):
        call = factories.make_call(firm, started_at=utcnow() - timedelta(days=day), duration_seconds=600)
        at = utcnow() - timedelta(days=day) + timedelta(minutes=10)
        within(firm, partial(charge, call, at))


def test_it_shows_what_these_settings_would_have_done(owner: PortalClient, cast: Cast) -> None:
    history(cast.salon)  # 20 × 4.20 €
    answer = owner.htmx("GET", f"{PAGE}/simulate", query_string=GOOD)
    page = text_of(answer.text)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "Mit diesen Einstellungen: 1 Aufladung, höchstens 50,00 € im Monat, nie unter 18,00 €." in page
    assert "bei 18,00 € +50,00 €" in page
    assert "Nettosumme 50,00 €" in page
    assert "abgebucht 59,50 €" in page
    assert answer.text.count('class="c-auto"') == 1
    assert stands(cast.salon).settings is None


def test_it_follows_what_is_typed_together_with_the_words_below_the_fields(owner: PortalClient, cast: Cast) -> None:
    history(cast.salon)
    answer = owner.htmx(
        "GET", f"{PAGE}/simulate", query_string=GOOD | {"amount": "10", "threshold": "10", "consent": "y"}
    )
    page = text_of(answer.text)
    assert answer.text.count('class="c-auto"') == 4
    assert "11,90 € mit 19 % USt., je Aufladung" in page
    assert 'id="amount-h" hx-swap-oob="true"' in answer.text
    assert 'id="consent-block" hx-swap-oob="outerMorph"' in answer.text
    assert "jedes Mal mit 10,00 € (11,90 € mit 19 % USt.)" in page
    assert 'value="fixed/10.00/100.00/300.00"' in answer.text
    assert re.search(r'name="consent"[^>]*checked', answer.text)


def test_amounts_that_do_not_fit_yet_disturb_nobody_who_types(owner: PortalClient) -> None:
    answer = owner.htmx("GET", f"{PAGE}/simulate", query_string=GOOD | {"amount": "5"})
    assert answer.status_code == 200
    assert "sobald die Beträge zusammenpassen" in answer.text
    assert "Betrag: Bitte geben Sie einen Betrag von 10,00\u00a0€ bis 5.000,00\u00a0€" in answer.text
    assert "aria-invalid" not in answer.text
    assert "59,50" not in answer.text
    assert 'name="seen" value=""' in answer.text


def test_caps_that_would_have_held_something_back_are_said(owner: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50", 3)
    call = factories.make_call(cast.salon, started_at=utcnow() - timedelta(days=2), duration_seconds=12_000)
    within(cast.salon, lambda: ledger.charge(db.session.merge(call), utcnow() - timedelta(days=2)))
    page = text_of(
        owner.htmx("GET", f"{PAGE}/simulate", query_string=GOOD | {"daily_cap": "50", "monthly_cap": "50"}).text
    )
    assert "hätte eine Obergrenze eine Aufladung verhindert" in page


def test_many_topups_are_listed_in_part_and_the_rest_is_summed(owner: PortalClient, cast: Cast) -> None:
    history(cast.salon, calls=40)
    answer = owner.htmx("GET", f"{PAGE}/simulate", query_string=GOOD | {"amount": "10", "threshold": "10"})
    assert answer.text.count('class="c-auto"') == 12
    page = text_of(answer.text)
    assert "4 frühere +40,00 €" in page
    assert page.count(" bei ") == auto_topup_page.LISTED
    assert "Nettosumme 120,00 €" in page


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_javascript_a_button_shows_the_page_with_what_was_typed(
    owner: PortalClient, cast: Cast, method: str
) -> None:
    history(cast.salon)
    arguments = {"query_string": GOOD} if method == "GET" else {"data": GOOD}
    answer = owner.open(f"{PAGE}/simulate", method=method, **arguments)
    assert answer.status_code == 200
    assert "<html" in answer.text
    assert "nie unter 18,00" in answer.text
    assert re.search(r'id="amount"[^>]*value="50"', answer.text)
    assert stands(cast.salon).settings is None
    assert owner.open(f"{PAGE}/simulate", method=method, **{
        name: GOOD | {"amount": "5"} for name in arguments
    }).status_code == 422  # fmt: skip


def test_the_page_offers_that_button_only_where_there_is_no_javascript(owner: PortalClient, cast: Cast) -> None:
    history(cast.salon)
    page = owner.get(PAGE).text
    assert re.search(r'<noscript>\s*<button[^>]*formaction="/balance/auto-topup/simulate"', page)


def test_it_asks_the_database_the_same_however_much_there_is(running: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50", 5)
    running.get(PAGE)
    with Queries() as few:
        running.get(PAGE)
    history(cast.salon)
    for _ in range(3):
        automatic(cast.salon, "10.00", status="completed")
    with Queries() as many:
        running.get(PAGE)
    assert 0 < len(few) == len(many) <= 22


# ---- Where it is linked -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "current"), [(PAGE, "Automatik"), ("/balance/limits", "Grenzen")])
def test_both_pages_of_rules_lead_to_each_other(owner: PortalClient, page: str, current: str) -> None:
    tabs = re.search(r'<nav class="seg" aria-label="Regeln für das Guthaben">(.*?)</nav>', owner.get(page).text)
    assert tabs
    assert re.findall(r'href="([^"]+)"', tabs[1]) == [PAGE, "/balance/limits"]
    assert re.search(rf'aria-current="page">{current}<', tabs[1])


def test_the_menu_shows_that_the_page_belongs_to_the_balance(owner: PortalClient) -> None:
    assert re.search(r'href="/balance"[^>]*aria-current="page"', owner.get(PAGE).text)


def test_what_was_refused_is_paid_in_person_once_however_often_the_button_is_pressed(
    running: PortalClient, cast: Cast, sim: Simulator
) -> None:
    refused = automatic(cast.salon, status="failed", failure_code="authentication_required")
    page = running.get(f"/balance/topups/{refused.id}").text
    form = re.search(r'<form[^>]*action="/balance/topups".*?</form>', page, re.DOTALL)
    assert form
    data = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))
    first, second = (running.post("/balance/topups", data=data).location for _ in range(2))
    assert session_of(first) == session_of(second)
    assert f'href="{PAGE}"' in page
    sim.pay(session_of(first))
    assert "/balance/topups/" in running.post("/balance/topups", data=data).location
    with tenant_scope(cast.salon.id):
        made = db.session.scalars(select(BalanceTopup).where(BalanceTopup.is_auto_topup.is_(False))).all()
    assert [row.amount for row in made] == [Decimal(50)]


def test_the_balance_page_says_how_it_stands(owner: PortalClient, sim: Simulator) -> None:
    assert re.search(rf'href="{PAGE}".*?Automatik: aus</a>', owner.get("/balance").text)
    owner.get(save_card(owner, sim))
    assert re.search(rf'href="{PAGE}".*?Automatik: an</a>', owner.get("/balance").text)


def test_who_runs_short_is_told_of_it_as_long_as_it_is_off(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    credit(cast.salon, "3")
    hint = "Mit der Automatik passiert das nicht mehr:"
    assert hint in owner.get("/balance").text
    assert hint in owner.htmx("GET", "/balance/limits/warnings").text
    assert hint not in owner.sign_in(cast.salon.bookkeeper).get("/balance").text
    owner.sign_in(cast.salon.owner).get(save_card(owner, sim))
    assert hint not in owner.get("/balance").text
