"""The main job from end to end, seen by the people it is for."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

SALON = "salon-morgenrot.example"


def euros(text: str) -> Decimal:
    """The first amount in a text, as a number."""
    found = re.search(r"[−-]?[\d.]+,\d\d", text)
    assert found, text
    return Decimal(found[0].replace("−", "-").replace(".", "").replace(",", "."))


def balance(page: Page) -> Decimal:
    return euros(page.locator("#balance-chip").inner_text())


def test_an_ai_call_is_seen_live_and_leaves_transcript_booking_customer_and_charge(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}")
    before = balance(window.page)
    listed = visitor(f"owner@{SALON}").go("/calls")
    known, running = set(calls_of(listed)), listed.page.locator("tr.live").count()  # other tests' calls may be running
    other = visitor("owner@praxis-lindner.example").go("/calls")
    playing = window.demo.flask("demo", "call", "--speed", "6")
    try:
        # No reload anywhere here: the pages hear of it by themselves.
        expect(window.page.locator(".live").first).to_be_visible(timeout=60_000)
        expect(listed.page.locator("tr.live")).to_have_count(running + 1, timeout=60_000)
        (call,) = set(calls_of(listed)) - known
        assert playing.wait(180) == 0, playing.stdout and playing.stdout.read()
    finally:
        playing.kill()
    row = listed.page.locator("tr.live", has=listed.page.locator(f"a[href='{call}']"))
    expect(row).to_have_count(0, timeout=60_000)
    window.go(call)
    expect(window.page.locator(".turn").first).to_be_visible()
    price = abs(euros(window.page.locator("dl.sum dd.total").first.inner_text()))
    window.go("/")
    assert balance(window.page) == before - price
    assert other.page.request.get(other.demo.url + call).status == 404


def calls_of(window: Any) -> list[str]:
    """The addresses of the calls that a list shows."""
    links = window.page.locator("main a[href^='/calls/']").all()
    found = [link.get_attribute("href") or "" for link in links]
    return [address for address in found if re.fullmatch(r"/calls/\d+", address)]


def open_payment_page(window: Any, amount: str) -> None:
    window.go("/balance")
    window.page.locator("form[action='/balance/topups'] input[name=amount]").last.fill(amount)
    window.page.locator("form[action='/balance/topups'] button.btn-primary").click()
    window.page.wait_for_url(re.compile(r"/c/pay/"))


def latest_topup(window: Any) -> str:
    """The page of the newest top-up, as the portal tells it."""
    window.go("/balance").page.locator("main a[href^='/balance/topups/']").first.click()
    window.page.wait_for_url(re.compile(r"/balance/topups/\d+"))
    text: str = window.page.locator("main").inner_text()
    return text


def test_a_paid_topup_is_on_the_balance_and_in_the_ledger(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}")
    before = balance(window.page)
    open_payment_page(window, "60")
    window.page.locator("button[value=pay]").click()
    window.page.wait_for_url(re.compile(r"/balance/topups/\d+"))
    expect(window.page.locator("main")).to_contain_text("71,40")
    window.go("/balance")
    assert balance(window.page) == before + 60
    expect(window.page.locator("main")).to_contain_text("+60,00")


@pytest.mark.parametrize(("method", "button", "says"), [
    ("card", "decline", "abgelehnt"), ("card", "expire", "abgelaufen"), ("sepa", "pay", "Lastschrift"),
])  # fmt: skip
def test_what_is_not_paid_yet_or_never_is_shown_as_what_it_is(
    visitor: Any, method: str, button: str, says: str
) -> None:
    window = visitor(f"owner@{SALON}")
    before = balance(window.page)
    open_payment_page(window, "70")
    window.page.locator(f"input[value={method}]").check()
    window.page.locator(f"button[value={button}]").click()
    window.page.wait_for_load_state()
    assert says in latest_topup(window)
    assert balance(window.page) == before


@pytest.mark.parametrize("bad", ["abc", "-5", "1,234.56", "9999999", "9,99"])
def test_a_wrong_amount_is_told_beside_its_field_and_charges_nothing(visitor: Any, bad: str) -> None:
    window = visitor(f"owner@{SALON}").go("/balance")
    before = balance(window.page)
    window.page.locator("input[name=amount]").last.fill(bad)
    window.page.locator("form[action='/balance/topups'] button.btn-primary").click()
    expect(window.page.locator(".err").first).to_be_visible()
    assert "/c/pay/" not in window.page.url
    assert balance(window.page) == before


def test_staff_mark_who_has_come_with_one_tap_on_a_phone(visitor: Any, demo: Any) -> None:
    added = demo.inside(sys.executable, "-m", "tests.browser.walk_in")
    number = (added.communicate()[0] or "").strip().splitlines()[-1]
    window = visitor(f"staff@{SALON}", phone=True).go("/calendar")
    page = window.page
    if page.locator("button[value=arrived]").count() == 0:
        window.go(f"/appointments/{number}")
    address = page.url
    page.locator("button[value=arrived]").first.click()
    expect(page.locator("button[value=back]").first).to_be_visible()
    assert page.url == address
    assert window.complaints == []
