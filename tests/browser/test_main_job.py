"""The main job from end to end, seen by the people it is for."""

from __future__ import annotations

import re
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
    other = visitor("owner@praxis-lindner.example").go("/calls")
    playing = window.demo.command("demo", "call", "--speed", "6")
    try:
        # No reload anywhere here: the pages hear of it by themselves.
        expect(window.page.locator(".live").first).to_be_visible(timeout=60_000)
        listed = visitor(f"owner@{SALON}").go("/calls")
        expect(listed.page.locator(".live").first).to_be_visible(timeout=60_000)
        assert playing.wait(180) == 0, playing.stdout and playing.stdout.read()
    finally:
        playing.kill()
    expect(listed.page.locator(".live")).to_have_count(0, timeout=60_000)
    call = first_call(listed)
    window.go(call)
    expect(window.page.locator(".turn").first).to_be_visible()
    price = abs(euros(window.page.locator("#cost, [data-cost]").first.inner_text()))
    window.go("/")
    assert balance(window.page) == before - price
    assert other.page.request.get(other.demo.url + call).status == 404


def first_call(window: Any) -> str:
    window.go("/calls")
    for link in window.page.locator("main a[href^='/calls/']").all():
        address = link.get_attribute("href") or ""
        if re.fullmatch(r"/calls/\d+", address):
            return address
    raise AssertionError("no call in the list")


def start_topup(window: Any, amount: str) -> None:
    window.go("/balance")
    window.page.locator("input[name=amount][type=text], input[name=amount][inputmode]").last.fill(amount)
    window.page.locator("form[action='/balance/topups'] button.btn-primary").click()
    window.page.wait_for_url(re.compile(r"/c/pay/"))


def outcome(window: Any, button: str) -> str:
    window.page.locator(button).click()
    window.page.wait_for_url(re.compile(r"/balance/topups/\d+"))
    text: str = window.page.locator("main").inner_text()
    return text


@pytest.mark.parametrize("bad", ["abc", "-5", "1,234.56", "9999999", "9,99", ""])
def test_a_wrong_amount_is_told_beside_its_field_and_charges_nothing(visitor: Any, bad: str) -> None:
    window = visitor(f"owner@{SALON}").go("/balance")
    before = balance(window.page)
    window.page.locator("input[name=amount]").last.fill(bad)
    window.page.locator("form[action='/balance/topups'] button.btn-primary").click()
    expect(window.page.locator(".err").first).to_be_visible()
    assert "/c/pay/" not in window.page.url
    assert balance(window.page) == before


def test_staff_mark_who_has_come_with_one_tap_on_a_phone(visitor: Any) -> None:
    window = visitor(f"staff@{SALON}", phone=True).go("/calendar")
    button = window.page.locator("button[value=arrived]").first
    expect(button).to_be_visible()
    address = window.page.url
    button.click()
    expect(window.page.locator("button[value=back]").first).to_be_visible()
    assert window.page.url == address
    assert window.complaints == []
