"""The balance pages: what they say, to whom, and what they let people do."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from portal import formats, payments
from portal.db import db, utcnow
from portal.domain import balance, invoices, ledger, overview, stats, topup_steps, topups
from portal.domain import movements as ledger_lines
from portal.domain.statement import Month
from portal.models import BalanceTopup, BalanceTransaction, BillingRate, Call, Company, Customer, DailySpend
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import begin, current, fresh
from tests.factories import make_call, make_customer, within
from tests.fake_stripe import Simulator
from tests.queries import Queries

PAGES = ("/balance", "/balance/ledger")


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


@pytest.fixture
def bookkeeper(app: Flask, cast: Cast) -> PortalClient:
    made: Any = app.test_client()
    return made.sign_in(cast.salon.bookkeeper)  # type: ignore[no-any-return]


def charge(firm: Firm, seconds: int = 157, at: Any = None, **values: Any) -> Call:
    when = at or utcnow()
    call = make_call(firm, duration_seconds=seconds, started_at=when - timedelta(minutes=10), **values)
    within(firm, lambda: ledger.charge(db.session.get_one(Call, call.id), when))
    return call


def give(firm: Firm, euros: str, key: str = "start", at: Any = None) -> BalanceTransaction:
    return within(firm, lambda: ledger.adjust(Decimal(euros), "Startguthaben", key, at or utcnow()))


def movements(firm: Firm) -> list[BalanceTransaction]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(BalanceTransaction).order_by(BalanceTransaction.created_at)))


def text_of(html: str) -> str:
    """What a person reads: without tags, with plain spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ")).strip()


# ---- Who may ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/balance/now", "/balance/latest", "/balance/chip", "/balance/ledger.csv"])
def test_only_owners_and_bookkeepers_see_money(client: PortalClient, cast: Cast, path: str) -> None:
    for role, user in cast.salon.users.items():
        expected = 200 if role in {"owner", "bookkeeper"} else 403
        assert client.sign_in(user).get(path).status_code == expected, role


def test_the_bookkeeper_cannot_top_up(bookkeeper: PortalClient, cast: Cast, sim: Simulator) -> None:
    assert 'name="amount"' not in bookkeeper.get("/balance").text
    assert bookkeeper.post("/balance/topups", data={"amount": "50"}).status_code == 403
    topup = begin(cast.salon)
    assert bookkeeper.post(f"/balance/topups/{topup.id}/pay").status_code == 403
    assert bookkeeper.get(f"/balance/topups/{topup.id}").status_code == 200


def test_another_companys_rows_are_not_there(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.praxis)
    give(cast.praxis, "5.00")
    (row,) = movements(cast.praxis)
    for address in (f"/balance/topups/{topup.id}", f"/balance/ledger/{row.id}"):
        assert owner.get(address).status_code == 404
    assert owner.post(f"/balance/topups/{topup.id}/pay").status_code == 404
    assert "Startguthaben" not in owner.get("/balance/ledger").text


def test_the_bookkeeper_reads_the_ledger_without_callers(
    owner: PortalClient, bookkeeper: PortalClient, cast: Cast
) -> None:
    customer = make_customer(cast.salon, "Çağla", "Großmann", phone="+4930987654", phone_normalized="+4930987654")
    call = charge(cast.salon, customer_id=customer.id, phone_number="+4930987654")
    (row,) = movements(cast.salon)
    addresses = ("/balance", "/balance/ledger", f"/balance/ledger?explain={row.id}", "/balance/ledger.csv")
    for address in (*addresses, "/balance/latest"):
        seen = bookkeeper.get(address).text
        assert "Großmann" not in seen
        assert "987654" not in seen
        assert "/calls/" not in seen
        assert f"Anruf {call.id}" in seen.replace("Call ", "Anruf "), address
        assert "Çağla Großmann" in owner.get(address).text
    assert f'href="/calls/{call.id}"' in owner.get("/balance").text


def test_withheld_and_unknown_callers_have_a_name(owner: PortalClient, cast: Cast) -> None:
    charge(cast.salon, customer_id=None, phone_number=None)
    charge(cast.salon, customer_id=None, phone_number="+49231274870")
    seen = owner.get("/balance/ledger").text
    assert "Unterdrückte Nummer" in seen or "Withheld number" in seen
    assert "0231 274870" in seen


# ---- The page ---------------------------------------------------------------------------------------------


def test_the_page_says_what_is_available_and_how_far_it_reaches(owner: PortalClient, cast: Cast) -> None:
    now = utcnow()
    today = stats.local_day(now, "Europe/Berlin")

    def days() -> None:
        for back in range(1, 15):
            db.session.add(
                DailySpend(company_id=cast.salon.id, day=today - timedelta(days=back), calls=2, amount=Decimal("2.00"))
            )

    within(cast.salon, days)
    give(cast.salon, "20.00")
    seen = text_of(owner.get("/balance?lang=en").text)
    assert "20,00 €" in seen
    with tenant_scope(cast.salon.id):
        head = balance.now_part(utcnow(), named=True)
    assert (head.reach.calls, head.reach.until) == (20, today + timedelta(days=9))
    assert "÷ 1,00 € = 20,0" in seen
    assert head.spend_total == Decimal("28.00")


def test_a_running_call_is_reserved_and_seen(owner: PortalClient, bookkeeper: PortalClient, cast: Cast) -> None:
    give(cast.salon, "20.00")
    call = make_call(cast.salon, status="in_progress", ended_at=None, duration_seconds=None)
    within(cast.salon, lambda: ledger.hold(db.session.get_one(Call, call.id), utcnow()))
    seen = text_of(owner.get("/balance").text)
    assert "17,90 €" in seen
    assert "−2,10 €" in seen
    assert "Aylin Demir" in seen
    assert "Aylin Demir" not in text_of(bookkeeper.get("/balance").text)


def test_without_a_price_the_page_says_so(owner: PortalClient, cast: Cast) -> None:
    within(cast.salon, lambda: db.session.query(BillingRate).delete())
    assert "note-warn" in owner.get("/balance/now").text


def test_a_sum_that_is_wrong_is_not_hidden(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "20.00")
    assert "shield-check" in owner.get("/balance/latest").text

    def break_it() -> None:
        with_lock = ledger.lock()
        with_lock.current_balance += 1

    within(cast.salon, break_it)
    assert "shield-check" not in owner.get("/balance/latest").text


def test_days_before_today_are_summed_and_everything_else_stands_alone(owner: PortalClient, cast: Cast) -> None:
    now = utcnow()
    give(cast.salon, "50.00", at=now - timedelta(days=3))
    for _ in range(3):
        charge(cast.salon, at=now - timedelta(days=2))
    charge(cast.salon, at=now)
    with tenant_scope(cast.salon.id):
        seen = balance.overview(now + timedelta(seconds=1), named=True)
    assert len(seen.latest) == 1
    day, credit = seen.earlier
    assert isinstance(day, balance.CallsOfDay)
    assert (day.calls, day.amount, day.after) == (3, Decimal("-3.30"), Decimal("46.70"))
    assert isinstance(credit, ledger_lines.Line)
    assert (credit.kind, seen.older) == ("credit", None)
    assert owner.get("/balance").status_code == 200


def test_parts_answer_204_while_nothing_has_changed(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "20.00")
    for part in ("/balance/now", "/balance/latest", "/balance/chip"):
        first = owner.htmx("GET", part)
        again = re.search(rf'hx-get="({part}[^"]*)"', first.text)
        assert first.status_code == 200
        assert again is not None
        address = again[1].replace("&amp;", "&")
        assert owner.htmx("GET", address).status_code == 204, part
    charge(cast.salon)
    assert owner.htmx("GET", address).status_code == 200


def spend(firm: Firm, euros: str, calls: int = 2, days: int = 14) -> None:
    """Every one of the last days cost this much."""
    today = stats.local_day(utcnow(), "Europe/Berlin")

    def work() -> None:
        for back in range(1, days + 1):
            row = DailySpend(company_id=firm.id, day=today - timedelta(days=back), calls=calls, amount=Decimal(euros))
            db.session.add(row)

    within(firm, work)


def test_the_chip_says_how_long_the_balance_lasts(owner: PortalClient, cast: Cast) -> None:
    today = stats.local_day(utcnow(), "Europe/Berlin")
    give(cast.salon, "20.00")
    spend(cast.praxis, "1.00")
    assert "reicht bis" not in owner.get("/balance/chip").text  # nothing is known of this company
    spend(cast.salon, "5.00")
    zone = ZoneInfo("Europe/Berlin")
    for address in ("/balance/chip", "/balance"):
        day = formats.weekday(today + timedelta(days=3), "de", zone)
        assert f"reicht bis {day}<" in owner.get(address).text
    give(cast.salon, "80.00", "more")
    far = formats.short_day(today + timedelta(days=19), "de", zone)
    assert f"reicht bis {far}<" in owner.get("/balance/chip").text
    give(cast.salon, "-100.00", "all")
    used_up = owner.get("/balance/chip").text
    assert "reicht bis" not in used_up
    assert "chip-bad" in used_up


def test_the_chip_is_one_statement_however_much_there_is(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "20.00")
    few = count_statements(owner, "/balance/chip")
    spend(cast.salon, "5.00", days=30)
    assert count_statements(owner, "/balance/chip") == few
    with tenant_scope(cast.salon.id), Queries() as asked:
        shown = overview.balance_chip(stats.local_day(utcnow(), "Europe/Berlin"))
    assert shown is not None
    assert shown.until is not None
    assert len(asked) == 1


def test_a_long_company_name_can_be_read_in_full(owner: PortalClient, cast: Cast) -> None:
    long = "Gemeinschaftspraxis für Physiotherapie Dr. med. Müller-Lüdenscheidt & Partnerinnen mbB"
    within(cast.salon, lambda: db.session.execute(update(Company).values(name=long)))
    assert f'title="{long.replace("&", "&amp;")}"' in owner.get("/balance").text


def count_statements(client: PortalClient, address: str) -> int:
    seen: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.lstrip().upper().startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    connection = db.engine if not hasattr(db.engine, "engine") else db.engine.engine
    event.listen(connection, "before_cursor_execute", note)
    try:
        assert client.get(address).status_code == 200
    finally:
        event.remove(connection, "before_cursor_execute", note)
    return len(seen)


@pytest.mark.parametrize("page", ["/balance", "/balance/ledger"])
def test_a_page_asks_a_constant_number_of_questions(owner: PortalClient, cast: Cast, sim: Simulator, page: str) -> None:
    give(cast.salon, "90.00")
    running = make_call(cast.salon, status="in_progress", ended_at=None, duration_seconds=None)
    within(cast.salon, lambda: ledger.hold(db.session.get_one(Call, running.id), utcnow()))
    begin(cast.salon)
    charge(cast.salon)
    few = count_statements(owner, page)
    for number in range(12):
        charge(cast.salon, at=utcnow() - timedelta(days=number % 3))
        begin(cast.salon, key=str(number))
    many = count_statements(owner, f"{page}?explain={movements(cast.salon)[3].id}")
    assert 0 < few == many <= 14


# ---- Topping up -------------------------------------------------------------------------------------------


WRONG = ("abc", "-5", "1,234.56", "9999999", "9.99", "", "0", "12.345", "NaN", "1e3", "5000.01", "=1+1")


@pytest.mark.parametrize("amount", WRONG)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_wrong_amount_is_422_with_a_message_beside_the_field(
    owner: PortalClient, cast: Cast, sim: Simulator, amount: str, htmx: bool
) -> None:
    if htmx:
        answer = owner.htmx("POST", "/balance/topups", data={"amount": amount})
        assert "<html" not in answer.text
    else:
        answer = owner.post("/balance/topups", data={"amount": amount})
        assert "<html" in answer.text
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert 'id="amount-e"' in answer.text
    with tenant_scope(cast.salon.id):
        assert db.session.scalars(select(BalanceTopup)).all() == []
    assert sim.all("checkout.session") == []


@pytest.mark.parametrize(
    ("form", "cents"),
    [
        ({"amount": "100"}, 11900),
        ({"amount": "100,00"}, 11900),
        ({"amount": "1.234,56"}, 146913),
        ({"amount": "10.00 €"}, 1190),
        ({"amount": "5000"}, 595000),
        ({"preset": "250"}, 29750),
        ({"amount": "80", "preset": "250"}, 9520),
    ],
)
def test_a_right_amount_leads_to_stripe(
    owner: PortalClient, cast: Cast, sim: Simulator, form: dict[str, str], cents: int
) -> None:
    answer = owner.post("/balance/topups", data=form)
    (session,) = sim.all("checkout.session")
    assert answer.status_code == 303
    assert answer.location == session["url"]
    assert session["amount_total"] == cents


def test_htmx_is_told_to_leave_the_page(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    answer = owner.htmx("POST", "/balance/topups", data={"amount": "100"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, sim.all("checkout.session")[0]["url"])


def test_the_same_form_sent_twice_is_one_topup(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    form = dict(re.findall(r'name="(form_key)"[^>]*value="([^"]+)"', owner.get("/balance").text))
    answers = {owner.post("/balance/topups", data={"amount": "100", **form}).location for _ in range(3)}
    assert len(answers) == len(sim.all("checkout.session")) == 1


def test_a_topup_without_a_token_is_refused(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    owner.csrf = False
    assert owner.post("/balance/topups", data={"amount": "100"}).status_code == 400
    assert sim.all("checkout.session") == []


def test_without_a_stripe_key_the_card_says_so(app: Flask, owner: PortalClient, cast: Cast) -> None:
    before, kept = app.extensions["settings"], app.extensions.pop("stripe", None)
    app.extensions["settings"] = replace(before, stripe_secret_key="", stripe_webhook_secret="")
    try:
        assert 'name="amount"' not in owner.get("/balance").text
        answer = owner.post("/balance/topups", data={"amount": "100"})
        assert answer.status_code == 422
        assert "note-warn" in answer.text
    finally:
        app.extensions["settings"] = before
        app.extensions.pop("stripe", None)
        if kept:
            app.extensions["stripe"] = kept


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_stripe_is_away_the_person_is_told_and_can_try_again(
    owner: PortalClient, cast: Cast, sim: Simulator, when: Any
) -> None:
    sim.fail_next(500, when=when, path="checkout/sessions")
    answer = owner.post("/balance/topups", data={"amount": "100"})
    assert answer.status_code == 303
    page = owner.get(answer.location)
    assert page.status_code == 200
    again = re.search(r'action="(/balance/topups/\d+/pay)"', page.text)
    assert again is not None
    assert owner.post(again[1]).location == sim.all("checkout.session")[0]["url"]
    assert len(sim.all("checkout.session")) == 1
    assert current(cast.salon) == 0


def test_the_quote_shows_net_vat_and_gross_before_paying(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    part = text_of(owner.htmx("GET", "/balance/topups/quote?amount=50").text)
    assert re.search(r"50,00 €.*19 %.*9,50 €.*59,50 €", part)
    page = text_of(owner.get("/balance?amount=77,70").text)
    assert re.search(r"77,70 €.*14,76 €.*92,46 €", page)
    assert owner.htmx("GET", "/balance/topups/quote?amount=abc").status_code == 200


def test_choosing_an_amount_empties_the_field_and_typing_unticks_the_choice(
    owner: PortalClient, cast: Cast, sim: Simulator
) -> None:
    chosen = owner.htmx("GET", "/balance/topups/quote?amount=250&preset=250").text
    assert 'id="topup-amount" hx-swap-oob' in chosen
    assert 'id="topup-presets"' not in chosen
    typed = owner.htmx("GET", "/balance/topups/quote?amount=33").text
    assert 'id="topup-presets" hx-swap-oob' in typed
    assert " checked" not in typed


# ---- The return page --------------------------------------------------------------------------------------


def result(client: PortalClient, topup_id: int) -> str:
    answer = client.get(f"/balance/topups/{topup_id}")
    assert answer.status_code == 200
    return answer.text


def test_paying_and_coming_back_credits_without_any_webhook(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    page = result(owner, topup.id)
    assert "circle-check" in page
    assert current(cast.salon) == Decimal("100.00")
    result(owner, topup.id)
    assert len(movements(cast.salon)) == 1


def test_a_declined_card_is_said_with_its_reason_and_leads_back_to_the_open_page(
    owner: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.decline(topup.stripe_session_id or "", "expired_card")
    page = result(owner, topup.id)
    assert "alert-circle" in page
    assert "abgelaufen" in page or "expired" in page
    assert "every 5s" in page
    assert owner.post(f"/balance/topups/{topup.id}/pay").location == sim.get(topup.stripe_session_id or "")["url"]


def test_an_expired_page_offers_the_same_amount_again(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon, "33.00")
    sim.expire(topup.stripe_session_id or "")
    page = result(owner, topup.id)
    assert "amount=33.00" in page
    assert "every 5s" not in page
    assert 'value="33,00"' in owner.get("/balance?amount=33.00").text


def test_a_debit_of_a_friday_night_is_not_promised_for_a_saturday(
    owner: PortalClient, cast: Cast, sim: Simulator
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit")
    result(owner, topup.id)
    night = datetime(2037, 1, 16, 23, 30, tzinfo=UTC)  # in Berlin it is Saturday already
    within(cast.salon, lambda: setattr(db.session.get_one(BalanceTopup, topup.id), "created_at", night))
    page = result(owner, topup.id)
    assert ("23.01." in page, "24.01." in page) == (True, False)


def test_a_debit_polls_until_it_has_arrived_and_then_stops(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit")
    page = result(owner, topup.id)
    poll = re.search(r'hx-get="(/balance/topups/\d+\?v=[^"]+)"', page)
    assert "hourglass" in page
    assert poll is not None
    assert owner.htmx("GET", poll[1]).status_code == 204
    sim.settle(topup.stripe_session_id or "")
    with tenant_scope(cast.salon.id):
        payments.refresh(topup.id)  # as the webhook does
    part = owner.htmx("GET", poll[1])
    assert part.status_code == 200
    assert "every 5s" in part.text  # the worker has yet to make the invoice
    assert "balance-changed" in part.headers["HX-Trigger"]
    within(cast.salon, lambda: invoices.issue_for_topup(db.session.get_one(BalanceTopup, topup.id), utcnow()))
    part = owner.htmx("GET", poll[1])
    assert "RE-" in part.text
    assert "every 5s" not in part.text


def test_a_returned_debit_says_why(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit", later="bounces")
    sim.bounce(topup.stripe_session_id or "")
    page = result(owner, topup.id)
    assert "nicht gedeckt" in page or "not covered" in page
    assert fresh(cast.salon, topup.id).status == "failed"


def test_what_differs_is_shown_as_being_checked(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    within(cast.salon, lambda: topup_steps.put(topup.id, stripe_customer_id="cus_other"))
    result(owner, topup.id)
    assert topups.outcome(fresh(cast.salon, topup.id)) is topups.Outcome.PARKED
    assert current(cast.salon) == 0


def test_while_stripe_is_away_the_page_shows_what_is_known(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.fail_next(503)
    page = result(owner, topup.id)
    assert "note-warn" in page
    assert current(cast.salon) == 0
    assert "circle-check" in result(owner, topup.id)


def test_refunds_are_shown(owner: PortalClient, cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    sim.refund(topup.stripe_session_id or "", 1190)
    with tenant_scope(cast.salon.id):
        payments.refresh(topup.id, with_returns=True)
    assert "11,90" in result(owner, topup.id)
    assert f"/balance/topups/{topup.id}" in owner.get("/balance/ledger?kind=refund").text


# ---- The ledger -------------------------------------------------------------------------------------------


def test_pages_of_the_ledger_follow_each_other_without_gap_or_overlap(
    owner: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_lines, "PAGE", 4)
    for number in range(11):
        give(cast.salon, "1.00", f"k{number}")
    expected = [row.id for row in movements(cast.salon)][::-1]
    seen, address, pages = [], "/balance/ledger", []
    while address:
        html = owner.get(address).text
        pages.append([int(found) for found in re.findall(r'<tbody id="m(\d+)"', html)])
        seen += pages[-1]
        following = re.search(r'href="([^"]+)" rel="next"', html)
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == expected
    back = re.search(r'href="([^"]+)" rel="prev"', html)
    assert back is not None
    before = owner.get(back[1].replace("&amp;", "&")).text
    assert [int(found) for found in re.findall(r'<tbody id="m(\d+)"', before)] == pages[-2]


def test_filters_by_kind_and_days(owner: PortalClient, cast: Cast) -> None:
    now = utcnow()
    give(cast.salon, "50.00", at=now - timedelta(days=5))
    charge(cast.salon, at=now - timedelta(days=3))
    charge(cast.salon, at=now)
    first = stats.local_day(now - timedelta(days=5), "Europe/Berlin")

    def shown(query: str) -> int:
        return len(re.findall(r'<tbody id="m', owner.get(f"/balance/ledger?{query}").text))

    assert shown("") == 3
    assert shown("kind=charge") == 2
    assert shown("kind=credit") == 1
    assert shown(f"from={first}&to={first}") == 1
    assert shown(f"from={first + timedelta(days=1)}") == 2
    assert shown(f"kind=charge&to={first}") == 0


def test_days_the_wrong_way_round_are_told(owner: PortalClient, cast: Cast) -> None:
    answer = owner.get("/balance/ledger?from=2026-11-20&to=2026-11-01")
    assert answer.status_code == 422
    assert owner.get("/balance/ledger?from=nonsense&kind=nonsense&before=abc").status_code == 422


def test_a_charge_is_explained_line_by_line(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "48.00")
    charge(cast.salon, 157)
    row = movements(cast.salon)[-1]
    closed, opened = f"/balance/ledger/{row.id}?open=0", f"/balance/ledger/{row.id}"
    for html in (
        owner.htmx("GET", opened).text,
        owner.get(f"/balance?explain={row.id}").text,
        owner.get(f"/balance/ledger?explain={row.id}").text,
        owner.get(opened, follow_redirects=True).text,
    ):
        said = text_of(html)
        for part in ("157", "0,42 €", "1,099 €", "+0,001 €", "1,10 €", "48,00 €", "46,90 €"):
            assert part in said, part
    assert 'class="why"' not in owner.htmx("GET", closed).text


def test_line_and_call_explain_a_charge_with_all_that_went_into_it(owner: PortalClient, cast: Cast) -> None:
    """A tariff with steps and a fee, and one with a minimum: each step is said in both places."""
    give(cast.salon, "48.00")
    for firm_rate, seconds, parts in (
        (
            {"increment_seconds": 60, "setup_fee": Decimal("0.10")},
            61,
            ("61", "120", "60", "0,42 €", "+0,10 €", "0,94 €"),
        ),
        ({"increment_seconds": 1, "minimum_charge": Decimal("0.50")}, 7, ("7", "0,049 €", "0,50 €")),
    ):
        within(cast.salon, partial(db.session.execute, update(BillingRate).values(**firm_rate)))
        before = current(cast.salon)
        call = charge(cast.salon, seconds)
        row = movements(cast.salon)[-1]
        for address in (f"/balance/ledger?explain={row.id}", f"/calls/{call.id}"):
            said = text_of(owner.get(address).text)
            balances = (filters_money(before), filters_money(row.balance_after))
            for part in (*parts, *balances, "01.01.2025", "stimmt"):
                assert part in said, (address, part)


def filters_money(amount: Decimal) -> str:
    return formats.money(amount, "de").replace("\u00a0", " ")


def test_the_ledger_says_whether_it_adds_up(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "20.00")
    assert "shield-check" in owner.get("/balance/ledger").text

    def break_it() -> None:
        with_lock = ledger.lock()
        with_lock.current_balance += 1

    within(cast.salon, break_it)
    assert "shield-check" not in owner.get("/balance/ledger").text


def test_months_are_one_click_and_bring_their_statement(owner: PortalClient, cast: Cast) -> None:
    month = Month.of(utcnow(), "Europe/Berlin")
    charge(cast.salon, at=month.later(-1).start + timedelta(days=3))
    charge(cast.salon, at=utcnow())
    html = owner.get("/balance/ledger?kind=charge").text
    assert "/balance/statements/" + month.key not in html
    for chosen in (month, month.later(-1)):
        days = f"from={chosen.first}&to={chosen.last}"
        address = f"/balance/ledger?kind=charge&{days}"
        assert address.replace("&", "&amp;") in html
        shown = owner.get(address).text
        assert len(re.findall(r'<tbody id="m', shown)) == 1
        assert f"/balance/statements/{chosen.key}.pdf" in shown
        assert f"/balance/ledger.csv?kind=charge&amp;{days.replace('&', '&amp;')}" in shown
        part = owner.htmx("GET", address).text
        assert f"/balance/statements/{chosen.key}.pdf" in part  # the files follow the filter


def test_the_file_holds_every_movement_in_german_figures(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "1234.50")
    charge(cast.salon, 157)
    answer = owner.get("/balance/ledger.csv")
    raw = answer.get_data()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert answer.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";"))
    assert [row[3] for row in rows[1:]] == ["1234,50", "-1,10"]
    assert [row[4] for row in rows[1:]] == ["1234,50", "1233,40"]
    assert {len(row) for row in rows} == {6}


def test_the_file_is_written_piece_by_piece_and_completely(
    owner: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_lines, "CHUNK", 3)
    for number in range(10):
        give(cast.salon, "1.00", f"k{number}")
    give(cast.praxis, "7.77")
    text = owner.get("/balance/ledger.csv").get_data(as_text=True)
    assert text.count("credit:k") == 10
    assert "7,77" not in text


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+49 Hacker", "-2+3", "@SUM(A1)"])
def test_a_name_that_is_a_formula_stays_text(owner: PortalClient, cast: Cast, name: str) -> None:
    customer = make_customer(cast.salon, name, "X")
    charge(cast.salon, customer_id=customer.id)
    text = owner.get("/balance/ledger.csv").get_data(as_text=True)
    (row,) = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=";"))[1:]
    assert row[2].startswith("'")
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Customer, customer.id).first_name == name


def test_the_files_filters_are_the_pages(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "10.00")
    charge(cast.salon)
    text = owner.get("/balance/ledger.csv?kind=charge").get_data(as_text=True)
    assert text.count("\r\n") == 2
