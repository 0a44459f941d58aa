"""The page of a call in a real browser: calls of every kind, searching and copying what was said, and hostile words."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import hostile
from tests.browser.conftest import Demo

OWNER = "owner@salon-morgenrot.example"


@pytest.fixture(scope="module")
def odd(demo: Demo) -> dict[str, int]:
    """Ids of calls of every kind, by what is odd about them."""
    added = demo.inside(sys.executable, "-m", "tests.browser.odd_calls")
    told, _ = added.communicate(timeout=120)
    found = re.search(r"^made (\{.*\})$", told, re.MULTILINE)
    assert found, told
    return dict(json.loads(found[1]))


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")])
def test_calls_of_every_kind_look_right(visitor: Any, odd: dict[str, int], phone: bool, scheme: str) -> None:
    window = visitor(OWNER, phone=phone, scheme=scheme)
    for name, call_id in odd.items():
        if name in {"long", "hostile"}:
            continue
        window.go(f"/calls/{call_id}")
        expect(window.page.locator("main h1")).to_be_visible()
        assert window.problems() == [], name
        assert "0:00 " not in window.page.locator("main .page-header").inner_text(), name


@pytest.mark.parametrize("place", ["customer", "mail", "../../calls/{id}/customer?q=ma"])
def test_the_pages_beside_it_look_right(visitor: Any, odd: dict[str, int], place: str) -> None:
    for phone in (False, True):
        window = visitor(OWNER, phone=phone)
        window.go(f"/calls/{odd['upset']}/{place}".replace("{id}", str(odd["upset"])))
        assert window.problems() == []


def says(count: Locator, words: str) -> bool:
    """Waits inside the page: ``expect`` describes the whole page at every look and starves one of 2,000 turns."""
    return bool(
        count.evaluate(
            """(count, words) => new Promise((done) => {
                const look = (left) => count.textContent === words || !left
                    ? done(count.textContent === words) : setTimeout(() => look(left - 1), 20);
                look(500);
            })""",
            words,
        )
    )


def found(page: Page) -> str:
    """The turn that is marked, once it is in sight."""
    return str(
        page.locator(".turn.found").evaluate(
            """(turn) => { const { top, bottom } = turn.getBoundingClientRect();
                return top >= 0 && bottom <= innerHeight ? turn.textContent : "out of sight"; }"""
        )
    )


def test_two_thousand_sentences_are_searched_at_once(visitor: Any, odd: dict[str, int]) -> None:
    page: Page = visitor(OWNER).go(f"/calls/{odd['long']}").page
    assert page.locator(".turn").count() == 2000
    box, count = page.locator("#talk-q"), page.locator("[data-talk-count]")
    box.fill("nummer 1234")
    assert says(count, "1 von 1")
    assert "Satz Nummer 1234" in found(page)
    box.fill("TÖNUNG")
    assert says(count, "1 von 2000")
    page.get_by_role("button", name="Nächste Stelle").click()
    assert says(count, "2 von 2000")
    page.get_by_role("button", name="Vorige Stelle").click()
    page.get_by_role("button", name="Vorige Stelle").click()
    assert says(count, "2000 von 2000")
    assert "Nummer 1999" in found(page)
    assert page.evaluate("CSS.highlights.get('found').size") == 2000
    box.press("Enter")
    assert says(count, "1 von 2000")
    box.fill("gibtesnicht")
    assert says(count, "nicht gefunden")
    assert page.locator(".turn.found").count() == 0
    assert page.get_by_role("button", name="Nächste Stelle").is_disabled()
    box.press("Escape")
    assert says(count, "")


def test_the_address_of_a_turn_marks_it(visitor: Any, odd: dict[str, int]) -> None:
    page: Page = visitor(OWNER).go(f"/calls/{odd['long']}#t4500-1501").page
    turn = page.locator("#t4500-1501")
    assert turn.evaluate(
        "turn => { const at = turn.getBoundingClientRect(); return at.top > 0 && at.bottom < innerHeight; }"
    )
    assert turn.evaluate("turn => turn.matches(':target') && getComputedStyle(turn).boxShadow !== 'none'")


def test_the_conversation_can_be_copied(visitor: Any, odd: dict[str, int]) -> None:
    window = visitor(OWNER)
    window.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=window.demo.url)
    page: Page = window.go(f"/calls/{odd['upset']}").page
    page.get_by_role("button", name="Kopieren").click()
    expect(page.locator("#toasts")).to_contain_text("kopiert")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.splitlines() == [
        "0:00 Empfang (KI): Salon Morgenrot, guten Tag.",
        "0:03 030 55501234: Das ist leider eine Frechheit, ich warte seit Tagen.",
    ]


def test_without_a_script_nothing_is_offered_that_needs_one(visitor: Any, odd: dict[str, int]) -> None:
    page: Page = visitor(OWNER, script=False).go(f"/calls/{odd['upset']}").page
    expect(page.locator("#talk-tools")).to_be_hidden()
    page.locator("#new-note").fill("Ohne Skript")
    page.get_by_role("button", name="Notiz speichern").click()
    expect(page.locator("#call-notes")).to_contain_text("Ohne Skript")
    page.locator("#mood-right summary").click()
    page.locator("#mood-right").get_by_role("button", name="Neutral").click()
    expect(page.locator("section[aria-labelledby=h-mood]")).to_contain_text("Berichtigt von")


def test_a_note_is_written_changed_and_deleted_in_its_place(visitor: Any, odd: dict[str, int]) -> None:
    window = visitor(OWNER)
    page: Page = window.go(f"/calls/{odd['foreign']}").page
    notes = page.locator("#call-notes")
    page.locator("#new-note").fill("Ruft am Montag an")
    page.get_by_role("button", name="Notiz speichern").click()
    expect(notes.locator("blockquote")).to_contain_text("Ruft am Montag an")
    expect(page.locator("#new-note")).to_have_value("")
    notes.locator("summary").click()
    notes.locator("details textarea").fill("Ruft am Dienstag an")
    notes.locator("details").get_by_role("button", name="Speichern").click()
    expect(notes.locator("blockquote")).to_contain_text("Dienstag")
    notes.locator("summary").click()
    notes.get_by_role("button", name="Löschen").click()
    expect(notes.locator("blockquote")).to_have_count(0)
    assert window.complaints == []


def test_whoever_presses_twice_sends_once_and_the_focus_stays_where_it_was(visitor: Any, odd: dict[str, int]) -> None:
    window = visitor(OWNER)
    page: Page = window.go(f"/calls/{odd['foreign']}/mail").page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.locator("input[name=people]").first.check()
    page.get_by_role("button", name="Senden").dblclick()
    expect(page.locator("#toasts")).to_contain_text("Die Zusammenfassung geht an")
    assert len(sent) == 1
    page.locator("#new-note").fill("Einmal")
    page.get_by_role("button", name="Notiz speichern").click()
    expect(page.locator("#call-notes blockquote")).to_contain_text("Einmal")
    expect(page.locator("#h-notes")).to_be_focused()
    assert window.complaints == []


def test_accents_can_be_left_out_in_the_search(visitor: Any, odd: dict[str, int]) -> None:
    window = visitor(OWNER)
    page: Page = window.go("/calls?q=Strahnchen").page
    page.locator("tr[id^=call-] a.name").first.click()
    page.locator("#talk-q").fill("strahnchen")
    expect(page.locator("[data-talk-count]")).to_contain_text("1 von")


def test_hostile_words_run_nothing(visitor: Any, odd: dict[str, int]) -> None:
    window = visitor(OWNER)
    page: Page = window.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(f"dialog {dialog.message}"))
    page.add_init_script("window.hacked = []; window.hack = (what) => window.hacked.push(what);")
    call_id = odd["hostile"]
    places = (
        f"/calls/{call_id}",
        "/calls",
        "/calls?q=hack",
        f"/calls/{call_id}/customer?q=hack",
        f"/calls/{call_id}/mail",
    )
    for place in (*places, "/calls/follow-ups", "/customers?q=script", "/"):
        window.go(place)
        page.mouse.move(640, 450)
        assert page.evaluate("window.hacked") == [], place
        assert window.complaints == [], place
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"), place
    assert [url for url in asked if not url.startswith(window.demo.url) or "/hack" in url] == []
    window.go(f"/calls/{call_id}")
    expect(page.locator(".turn p", has_text=hostile.HANDLERS[0]).first).to_be_visible()
    page.locator("#talk-q").fill("<img src=x onerror=hack(1)>")
    expect(page.locator("[data-talk-count]")).to_contain_text("1 von")
    assert page.evaluate("window.hacked") == []
