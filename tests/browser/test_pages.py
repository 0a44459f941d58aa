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
    found = page.locator(f"main a[href^='{pattern}']")
    for index in range(found.count()):
        address = found.nth(index).get_attribute("href") or ""
        if address.removeprefix(pattern).split("?")[0].isdigit():
            return address
    return None


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")], ids=["1280-light", "390-dark"])
@pytest.mark.parametrize("email", PEOPLE)
def test_every_page_of_each_role_is_clean(visitor: Any, email: str, scheme: str, phone: bool) -> None:
    window = visitor(email, phone=phone, scheme=scheme)
    problems = {}
    for path in PEOPLE[email]:
        problems[path] = window.go(path).problems()
        for pattern in ("/calls/", "/customers/", "/appointments/", "/balance/topups/"):
            if (row := first(window.page, pattern)) and row not in problems:
                problems[row] = window.go(row).problems()
                window.go(path)
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
        addresses = {link.get_attribute("href") for link in window.page.locator("nav a[href^='/']").all()}
        for address in addresses:
            answer = window.page.request.get(window.demo.url + str(address))
            assert answer.status == 200, (email, address)


def test_every_link_and_form_on_the_main_pages_leads_somewhere(visitor: Any) -> None:
    for email, paths in PEOPLE.items():
        window = visitor(email)
        for path in paths:
            window.go(path)
            links = {link.get_attribute("href") for link in window.page.locator("a[href^='/']").all()}
            for address in sorted(str(link) for link in links):
                answer = window.page.request.head(window.demo.url + address.split("#")[0])
                assert answer.status < 400, (email, path, address)


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
