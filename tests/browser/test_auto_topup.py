"""Automatic top-ups all the way: agree, save a card at Stripe, on; a declined card, a bank that asks; off again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

OWNER = "owner@salon-morgenrot.example"
PAGE = "/balance/auto-topup"


@pytest.fixture
def owner(visitor: Any) -> Any:
    """On the page, with everything switched off and no card saved."""
    window = visitor(OWNER).go(PAGE)
    if window.page.locator("button[form=forget-form]").count():
        window.page.locator("button[form=forget-form]").click()
        expect(window.page.locator("button[form=forget-form]")).to_have_count(0)
    return window


def fill(page: Page, **fields: str) -> None:
    if mode := fields.pop("mode", "fixed" if "amount" in fields else ""):
        page.locator(f"[name=mode][value={mode}]").check()
    for name, value in fields.items():
        page.locator(f"#{name}").fill(value)


def at_stripe(page: Page, method: str = "card", later: str = "ok") -> None:
    page.wait_for_url(re.compile(r"/c/pay/"))
    page.locator(f"input[name=method][value={method}]").check()
    if later != "ok":
        page.locator("select[name=later]").select_option(later)
    page.locator("button[value=pay]").click()
    page.wait_for_url(re.compile(PAGE))


def pill(page: Page) -> Any:
    return page.locator("#auto-pill")


def switch_on(window: Any, later: str = "ok", **fields: str) -> None:
    """The way of a person: type, read what it means, agree, save the card."""
    page = window.page
    fill(page, **fields)
    figures = "/".join(f"{fields[name]}.00" for name in ("level", "daily_cap", "monthly_cap"))
    expect(page.locator("#consent-block [name=seen]")).to_have_value(f"fill_up/{figures}")
    page.locator("#consent").check()
    page.locator("button[name=switch_on]").click()
    at_stripe(page, later=later)
    expect(pill(page)).to_have_text("An")


def below_the_threshold(page: Page, least: int) -> dict[str, str]:
    """Settings under which so many euros are due at once, whatever other tests have left on the balance."""
    spent = page.locator("#spent-daily_cap + .num").inner_text()
    cap = int(spent.split(",")[0].replace(".", "")) + least
    return {"threshold": "3000", "mode": "fill_up", "level": "4000", "daily_cap": str(cap), "monthly_cap": "5000"}


def balance(page: Page) -> int:
    found = re.search(r"([\d.]+),\d\d", page.locator("#balance-chip").inner_text())
    assert found
    return int(found[1].replace(".", ""))


def test_from_consent_to_credit_and_no_further_than_the_cap(owner: Any) -> None:
    page = owner.page
    before = balance(page)
    switch_on(owner, **below_the_threshold(page, 100))
    expect(page.locator("#consent-block")).to_contain_text("Katharina")
    # As much as the cap of the day leaves, and then no more; nothing here is reloaded by hand.
    expect(page.locator("#auto-state")).to_contain_text("Die Obergrenze für heute ist erreicht", timeout=60_000)
    expect(pill(page)).to_have_text("Obergrenze erreicht")
    owner.go(PAGE)
    assert balance(page) == before + 100
    assert page.locator("#h-recent").count() == 1
    assert owner.problems() == []
    page.locator("button[form=off-form]").click()
    expect(pill(page)).to_have_text("Aus")
    expect(page.locator("#auto-state")).not_to_contain_text("Obergrenze")
    expect(page.locator("main")).to_contain_text("Visa ···· 4242")
    assert owner.complaints == []


@pytest.mark.parametrize(("later", "word", "says", "reason"), [
    ("insufficient_funds", "Pausiert", "Die letzte Aufladung wurde abgelehnt; Pause bis", "nicht gedeckt"),
    ("authentication_required", "Bank fragt nach", "Ihre Bank möchte, dass Sie persönlich", "selbst bestätigen"),
])  # fmt: skip
def test_a_charge_that_fails_is_told_with_the_next_step(
    owner: Any, later: str, word: str, says: str, reason: str
) -> None:
    page = owner.page
    before = balance(page)
    switch_on(owner, later=later, **below_the_threshold(page, 50))
    expect(page.locator("#auto-state")).to_contain_text(says, timeout=60_000)
    expect(pill(page)).to_have_text(word)
    assert owner.problems() == []
    page.locator("#auto-state a[href*='/balance/topups/']").click()
    expect(page.locator("#topup-result")).to_contain_text(reason)
    expect(page.locator("#topup-result form button")).to_have_text("50,00 € selbst bezahlen")
    page.locator(f"#topup-result a[href='{PAGE}']").click()
    page.locator("button[form=off-form]").click()
    expect(pill(page)).to_have_text("Aus")
    assert balance(page) == before
    assert owner.complaints == []


def test_turning_back_at_stripe_keeps_what_was_typed(owner: Any) -> None:
    page = owner.page
    fill(page, threshold="33", amount="50", daily_cap="100", monthly_cap="400")
    expect(page.locator("#consent-block .form-check-label")).to_contain_text("476,00")
    page.locator("#consent").check()
    page.locator("button[name=switch_on]").click()
    page.wait_for_url(re.compile(r"/c/pay/"))
    page.locator("a[href*='/balance/auto-topup']").first.click()
    page.wait_for_url(re.compile(PAGE))
    expect(page.locator("body")).to_contain_text("Es wurde keine Karte gespeichert")
    expect(pill(page)).to_have_text("Aus")
    assert page.locator("#threshold").input_value() == "33,00"


def test_typing_shows_at_once_what_would_have_been(owner: Any) -> None:
    page = owner.page
    fill(page, threshold="30", amount="80", daily_cap="100", monthly_cap="300")
    expect(page.locator("#amount-h")).to_contain_text("95,20")
    expect(page.locator("#sim .key-line")).to_contain_text("30,00")
    assert page.evaluate("document.activeElement.id") == "monthly_cap"
    page.locator("#consent").check()
    fill(page, amount="70")
    expect(page.locator("#consent-block .form-check-label")).to_contain_text("83,30")
    assert page.locator("#consent").is_checked()
    fill(page, amount="7")
    expect(page.locator("#sim")).to_contain_text("sobald die Beträge zusammenpassen")
    expect(page.locator("#consent")).not_to_have_attribute("type", "checkbox")
    page.locator("input[value=fill_up]").check()
    expect(page.locator("#level")).to_be_visible()
    expect(page.locator("#amount")).to_be_hidden()
    fill(page, level="90")
    expect(page.locator("#level-h")).to_contain_text("60,00")
    assert owner.problems() == []


def test_the_keyboard_is_enough_and_enter_switches_nothing_on(owner: Any) -> None:
    page = owner.page
    fill(page, threshold="30", amount="50", daily_cap="100", monthly_cap="300")
    page.locator("#amount").press("Enter")
    expect(page.locator("body")).to_contain_text("Gespeichert")
    expect(pill(page)).to_have_text("Aus")
    page.locator("#threshold").focus()
    reached = []
    for _ in range(12):
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    assert reached[:6] == ["threshold", "mode", "amount", "daily_cap", "monthly_cap", "consent"]
    assert "switch_on" in reached


def test_it_works_without_javascript(visitor: Any) -> None:
    window = visitor(OWNER, script=False).go(PAGE)
    page = window.page
    fill(page, threshold="30", amount="60", daily_cap="100", monthly_cap="300")
    page.locator("button[formaction]").click()
    expect(page.locator("#amount-h")).to_contain_text("71,40")
    fill(page, amount="9")
    page.locator("#auto-form button:not([name]):not([form]):not([formaction])").click()
    expect(page.locator("#amount-e")).to_be_visible()
    fill(page, amount="50")
    page.locator("#auto-form button:not([name]):not([form]):not([formaction])").click()
    expect(page.locator("#amount")).to_have_value("50,00")


@pytest.mark.parametrize(("scheme", "language"), [("dark", "de"), ("light", "en")])
def test_it_is_clean_on_a_phone(visitor: Any, scheme: str, language: str) -> None:
    for email in (OWNER, "owner@praxis-lindner.example"):
        window = visitor(email, phone=True, scheme=scheme, language=language)
        assert window.go(PAGE).problems() == []
        assert window.go("/balance/limits").problems() == []
    reader = visitor("buchhaltung@salon-morgenrot.example", phone=True, scheme=scheme).go(PAGE)
    assert reader.problems() == []
    assert reader.page.locator("#auto-form button").count() == 0
