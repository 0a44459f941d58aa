"""The follow-up queue in a real browser: two people at work, notes half typed, and callers who help themselves."""

from __future__ import annotations

import re
import sys
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.ring import NAMES

SALON = "salon-morgenrot.example"
QUEUE = "/calls/follow-ups"
# The queue looks every twenty seconds; a test need not wait for it.
LOOK_NOW = "window.htmx.trigger(document.getElementById('queue'), 'every', {}, false)"


def somebody_rings(demo: Any, what: str, caller: int = 0) -> None:
    made = demo.inside(sys.executable, "-m", "tests.browser.ring", what, str(caller))
    said = made.communicate()[0]
    assert made.returncode == 0, said


def card(page: Page, caller: int = 0) -> Locator:
    return page.locator("article.card", has_text=NAMES[caller])


def test_a_callback_is_given_away_noted_tried_and_closes_itself_when_the_caller_rings_again(
    visitor: Any, demo: Any
) -> None:
    window = visitor(f"owner@{SALON}").go(QUEUE)
    page, badge = window.page, window.page.locator("#count-follow_ups-side")
    before = int(badge.inner_text().split()[0])
    somebody_rings(demo, "wish")
    page.evaluate(LOOK_NOW)
    expect(card(page)).to_be_visible()
    expect(badge).to_contain_text(str(before + 1))
    assert window.problems() == []

    card(page).locator("select[name=assignee]").select_option(label="Mehmet Aksoy")
    expect(page.locator("#toasts")).to_contain_text("Gespeichert")
    other = visitor(f"manager@{SALON}").go(f"{QUEUE}?who=me")
    expect(card(other.page)).to_be_visible()

    card(page).locator("summary").click()
    card(page).locator("textarea").fill("Mailbox, morgen noch einmal")
    card(page).locator("button[value=note]").click()
    expect(card(page)).to_contain_text("Mailbox, morgen noch einmal")
    expect(card(page).locator("textarea")).to_have_value("")

    # What is half typed, unfolded and in focus stays so, while the other one works on the same card.
    card(page).locator("textarea").fill("halb getippt")
    card(other.page).locator("button[value=missed]").click()
    expect(card(other.page)).to_contain_text("1-mal nicht erreicht")
    page.evaluate(LOOK_NOW)
    expect(card(page)).to_contain_text("1-mal nicht erreicht")
    expect(card(page).locator("textarea")).to_have_value("halb getippt")
    expect(card(page).locator("textarea")).to_be_focused()

    somebody_rings(demo, "again")
    page.evaluate(LOOK_NOW)
    expect(card(page)).to_have_count(0)
    expect(badge).to_contain_text(str(before))
    closed = page.locator("section", has=page.locator("#h-self"))
    expect(closed).to_contain_text(NAMES[0])
    expect(closed).to_contain_text("hat wieder angerufen")

    # Not right? It is opened again, and the second of two who close it is told.
    closed.locator("li", has_text=NAMES[0]).locator("button").click()
    expect(card(page)).to_be_visible()
    other.page.evaluate(LOOK_NOW)
    expect(card(other.page)).to_be_visible()
    card(page).locator("button[value=called]").click()
    expect(card(page)).to_have_count(0)
    card(other.page).locator("button[value=called]").click()
    expect(other.page.locator(".note-warn")).to_contain_text("hat das inzwischen erledigt")
    assert [word for word in window.complaints + other.complaints if "409" not in word] == []


def test_a_promise_is_entered_from_the_queue(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}").go("/")
    page = window.page
    expect(page.locator(".note-warn", has_text="Zugesagt, aber nicht eingetragen")).to_be_visible()
    window.go(QUEUE)
    promise = page.locator("article.card", has_text="Zugesagt, kein Termin")
    promise.locator("a", has_text="Termin eintragen").click()
    expect(page.locator("input[name=time]")).not_to_have_value("")
    assert page.locator("select[name=service]").input_value()
    assert page.locator("select[name=staff]").input_value()
    page.locator("main form button.btn-primary").last.click()
    page.wait_for_url(re.compile(r"/appointments/\d+$"))
    window.go(QUEUE)
    expect(page.locator("#queue")).to_be_visible()
    expect(promise).to_have_count(0)
    expect(page.locator("section", has=page.locator("#h-self"))).to_contain_text("der Termin steht")


def test_the_queue_works_without_javascript_and_on_a_phone(visitor: Any, demo: Any) -> None:
    somebody_rings(demo, "wish", 1)
    plain = visitor(f"manager@{SALON}", script=False).go(QUEUE)
    card(plain.page, 1).locator("summary").click()
    card(plain.page, 1).locator("textarea").fill("Erreicht, geklärt")
    card(plain.page, 1).locator("button[value=called]").click()
    expect(card(plain.page, 1)).to_have_count(0)
    phone = visitor(f"owner@{SALON}", phone=True, scheme="dark")
    for path in (QUEUE, f"{QUEUE}/closed", f"{QUEUE}/terms"):
        assert phone.go(path).problems() == [], path
