"""Every page in a real browser: accessible, never wider than the window, and nothing to complain about."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

SALON = "salon-morgenrot.example"
PEOPLE = {
    f"owner@{SALON}": [
        "/",
        "/calendar?view=day",
        "/calendar?view=week",
        "/calendar?view=month",
        "/calendar?view=list",
        "/calls",
        "/customers",
        "/balance",
        "/balance/ledger",
        "/balance/auto-topup",
        "/balance/limits",
    ],
    f"manager@{SALON}": ["/", "/calendar", "/calls", "/customers"],
    f"staff@{SALON}": ["/", "/calendar", "/calls", "/customers"],
    f"buchhaltung@{SALON}": ["/balance", "/balance/ledger", "/balance/auto-topup"],
    "operator@empfang.example": ["/operator"],
    "owner@praxis-lindner.example": ["/", "/calls"],
}
FORMS = ["/customers/new", "/appointments/new", "/password/change"]


def first(page: Page, pattern: str) -> str | None:
    """The address of the first link of a list."""
    found = addresses(page, f"main a[href^='{pattern}']")
    return next((each for each in found if each.removeprefix(pattern).split("?")[0].isdigit()), None)


def addresses(page: Page, selector: str) -> list[str]:
    """Where these links lead, in one question to the browser."""
    found: list[str] = page.locator(selector).evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return found


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")], ids=["1280-light", "390-dark"])
@pytest.mark.parametrize("email", PEOPLE)
def test_every_page_of_each_role_is_clean(visitor: Any, email: str, scheme: str, phone: bool) -> None:
    window = visitor(email, phone=phone, scheme=scheme)
    problems = {}
    for path in PEOPLE[email]:
        problems[path] = window.go(path).problems()
        rows = [
            first(window.page, pattern) for pattern in ("/calls/", "/customers/", "/appointments/", "/balance/topups/")
        ]
        for row in rows:
            if row and row not in problems:
                problems[row] = window.go(row).problems()
    assert {path: found for path, found in problems.items() if found} == {}


@pytest.mark.parametrize("phone", [False, True], ids=["1280", "390"])
def test_forms_and_the_door_are_clean(visitor: Any, phone: bool) -> None:
    window = visitor(phone=phone)
    assert window.go("/login").problems() == []
    assert window.go("/password/forgot").problems() == []
    window.sign_in(f"owner@{SALON}")
    for path in FORMS:
        assert window.go(path).problems() == [], path


def test_every_link_of_the_navigation_leads_somewhere(visitor: Any) -> None:
    for email in PEOPLE:
        window = visitor(email)
        for address in set(addresses(window.page, "nav a[href^='/']")):
            answer = window.page.request.get(window.demo.url + address)
            assert answer.status == 200, (email, address)


def test_every_link_and_form_on_the_main_pages_leads_somewhere(visitor: Any) -> None:
    for email, paths in PEOPLE.items():
        window, tried = visitor(email), set[str]()
        for path in paths:
            window.go(path)
            found = {address.split("#")[0] for address in addresses(window.page, "a[href^='/']")}
            for address in sorted(found - tried):  # the menu is the same on every page
                answer = window.page.request.head(window.demo.url + address)
                assert answer.status < 400, (email, path, address)
            tried |= found


def test_english_speaks_english_and_german_german(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}").go("/customers")
    spoken, choose = window.page.locator("html"), "form[action='/preferences/language'] button[value='{}']"
    expect(spoken).to_have_attribute("lang", "de")
    try:
        window.page.locator(choose.format("en")).first.evaluate("b => b.click()")
        # Not wait_for_function: it evaluates its text in the page, which the page's own policy refuses.
        expect(spoken).to_have_attribute("lang", "en")
        assert window.problems() == []
    finally:
        window.page.locator(choose.format("de")).first.evaluate("b => b.click()")
        expect(spoken).to_have_attribute("lang", "de")
