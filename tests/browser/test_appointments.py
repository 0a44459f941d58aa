"""Appointments under a real pointer: boxes that are dragged, and two people at one appointment."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo

OWNER, MANAGER = "owner@salon-morgenrot.example", "manager@salon-morgenrot.example"
_weeks = count(9)
ROW = 7  # pixels of five minutes: --row in app.css


@pytest.fixture
def day(demo: Demo) -> dict[str, Any]:
    """A day of its own with three boxes: Zora at ten, Stefan at half past eleven, Frieda (completed) at two."""
    told, _ = demo.inside(sys.executable, "-m", "tests.browser.desk_day", str(next(_weeks))).communicate(timeout=120)
    found = re.search(r"^made (\{.*\})$", told, re.MULTILINE)
    assert found, told
    return dict(json.loads(found[1]))


@pytest.fixture
def sheet(visitor: Any, day: dict[str, Any]) -> Iterator[Callable[..., Page]]:
    windows: list[Any] = []

    def open_sheet(view: str = "day", email: str = OWNER) -> Page:
        window = visitor(email)
        windows.append(window)
        window.go(f"/calendar?view={view}&date={day['day']}&branch={day['branch']}&staff=")
        page: Page = window.page
        expect(page.locator("#sheet .cal")).to_be_visible()
        return page

    yield open_sheet
    assert [complaint for window in windows for complaint in window.complaints] == []


def box(page: Page, who: str) -> Locator:
    return page.locator(".lane .appt:not(.ghost)", has_text=who.split()[0])


def lane(page: Page, key: str) -> Locator:
    return page.locator(f".lane[aria-labelledby='{key}']")


def grab(page: Page, who: str) -> tuple[float, float]:
    """Press the button on a box; returns where."""
    box(page, who).scroll_into_view_if_needed()
    place = box(page, who).locator("a").bounding_box()
    assert place
    x, y = place["x"] + 20, place["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    return x, y


def drag(page: Page, who: str, rows: int = 0, to: Locator | None = None) -> None:
    x, y = grab(page, who)
    other = to.bounding_box() if to is not None else None
    page.mouse.move(other["x"] + 30 if other else x, y + rows * ROW, steps=8)
    expect(page.locator(".ghost")).to_be_visible()
    page.mouse.up()


def test_a_box_goes_to_another_time_and_to_another_person(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet()
    first, second = (f"s{person}" for person in day["people"])
    drag(page, "Zora Zieh", rows=9)
    expect(box(page, "Zora")).to_contain_text("10:45")
    expect(page.locator("#toasts")).to_contain_text("Der Termin ist verschoben.")
    expect(page.locator(".ghost")).to_have_count(0)
    assert lane(page, first).locator(".appt", has_text="Zora").count() == 1
    drag(page, "Zora Zieh", to=lane(page, second))
    expect(lane(page, second).locator(".appt:not(.ghost)", has_text="Zora")).to_contain_text("10:45")
    expect(lane(page, first).locator(".appt", has_text="Zora")).to_have_count(0)
    page.reload()
    expect(lane(page, second).locator(".appt", has_text="Zora")).to_contain_text("10:45")


def test_the_lower_edge_makes_it_longer(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet()
    box(page, "Zora").scroll_into_view_if_needed()
    place = box(page, "Zora").bounding_box()
    assert place
    x, y = place["x"] + 40, place["y"] + place["height"] - 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 6 * ROW, steps=6)
    expect(page.locator(".ghost")).to_contain_text("10:00–11:15")
    page.mouse.up()
    expect(box(page, "Zora")).to_contain_text("10:00–11:15")


def test_in_the_week_a_box_goes_to_another_day(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet("week")
    home = page.locator(".lane", has=page.locator(f".appt[data-drag='{day['Zora Zieh']}']"))
    key = home.get_attribute("aria-labelledby") or ""
    after = home.locator("xpath=following-sibling::ol[1]")
    drag(page, "Zora Zieh", rows=3, to=after)
    expect(after.locator(".appt", has_text="Zora")).to_contain_text("10:15")
    expect(lane(page, key).locator(".appt", has_text="Zora")).to_have_count(0)


def test_a_taken_time_asks_and_takes_a_reason(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet()
    drag(page, "Zora Zieh", rows=18)
    panel = page.locator("#panel")
    expect(panel).to_contain_text("Trotzdem verschieben?")
    expect(panel).to_contain_text("Stefan Steht")
    expect(box(page, "Zora")).to_contain_text("10:00")
    expect(page.locator(".ghost, .lifted")).to_have_count(0)
    panel.get_by_role("button", name="Trotzdem verschieben").click()
    expect(panel).to_contain_text("Bitte schreiben Sie, warum")
    panel.locator("textarea").fill("Zugesagt")
    panel.get_by_role("button", name="Trotzdem verschieben").click()
    expect(panel).to_contain_text("Bewusst doppelt belegt")
    expect(box(page, "Zora")).to_contain_text("11:30")
    expect(page.locator("#sheet .note-warn").first).to_contain_text("Zora Zieh")
    widths = page.locator(".lane .appt.clash").evaluate_all("all => all.map(each => each.offsetWidth)")
    assert min(widths) >= 110, "side by side, and still to be read"


def test_what_is_refused_goes_back_and_says_why(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet()
    ticks = page.locator(".lane.times > li").count()
    drag(page, "Zora Zieh", rows=12 * ticks)
    expect(page.locator("#toasts")).to_contain_text("Nicht verschoben.")
    expect(page.locator(".ghost, .lifted")).to_have_count(0)
    expect(box(page, "Zora")).to_contain_text("10:00")


def test_escape_a_click_and_a_finished_box_move_nothing_and_a_poll_waits(sheet: Any, day: dict[str, Any]) -> None:
    page = sheet()
    moves: list[str] = []
    page.on("request", lambda request: moves.append(request.url) if request.url.endswith("/move") else None)
    x, y = grab(page, "Zora Zieh")
    page.mouse.move(x, y + 9 * ROW, steps=5)
    expect(page.locator(".ghost")).to_contain_text("10:45")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('calendar-changed'))")  # as the clock would
    expect(page.locator(".ghost")).to_contain_text("10:45")
    page.keyboard.press("Escape")
    expect(page.locator(".ghost, .lifted")).to_have_count(0)
    page.mouse.up()
    expect(page.locator("#panel")).to_be_empty()
    finished = box(page, "Frieda").bounding_box()
    assert finished
    page.mouse.move(finished["x"] + 20, finished["y"] + 10)
    page.mouse.down()
    page.mouse.move(finished["x"] + 20, finished["y"] + 80, steps=4)
    expect(page.locator(".ghost")).to_have_count(0)
    page.mouse.up()
    page.keyboard.press("Escape")
    box(page, "Zora").locator("a").click()
    expect(page.locator("#panel")).to_contain_text("Zora Zieh")
    assert moves == []


def test_a_resting_finger_lifts_a_box_and_a_swipe_does_not(visitor: Any, day: dict[str, Any]) -> None:
    window = visitor(OWNER)
    window.go(f"/calendar?view=day&date={day['day']}&branch={day['branch']}&staff=")
    page: Page = window.page
    box(page, "Zora").scroll_into_view_if_needed()
    touch = """(box, [type, down]) => {
        const { x, y } = box.getBoundingClientRect(), finger = { pointerType: "touch", pointerId: 7, isPrimary: true };
        box.dispatchEvent(new PointerEvent(type, { bubbles: true, ...finger, clientX: x + 20, clientY: y + 9 + down }));
    }"""
    target = box(page, "Zora").locator("a")
    target.evaluate(touch, ["pointerdown", 0])
    target.evaluate(touch, ["pointermove", 30])
    expect(page.locator(".ghost")).to_have_count(0)
    target.evaluate(touch, ["pointerup", 30])
    target.evaluate(touch, ["pointerdown", 0])
    expect(page.locator(".ghost")).to_be_visible()
    target.evaluate(touch, ["pointermove", 9 * ROW])
    expect(page.locator(".ghost")).to_contain_text("10:45")
    target.evaluate(touch, ["pointerup", 9 * ROW])
    expect(box(page, "Zora")).to_contain_text("10:45")
    assert window.complaints == []


def test_two_people_edit_one_appointment(visitor: Any, day: dict[str, Any]) -> None:
    address = f"/appointments/{day['Zora Zieh']}/edit"
    one, two = visitor(OWNER), visitor(MANAGER)
    one.go(address)
    two.go(address)
    one.page.locator("#notes").fill("Nimmt den Hintereingang")
    two.page.locator("#slots label", has=two.page.locator("[value=other]")).click()
    two.page.locator("#time").fill("10:30")
    two.page.get_by_role("button", name="Speichern").click()
    # "main" alone would not do: the form itself offers 10:30 among its free times.
    expect(two.page.locator("main dl")).to_contain_text("10:30")
    one.page.evaluate("window.htmx.trigger(document.getElementById('appt-news'), 'every', {}, false)")
    news = one.page.locator("#appt-news")
    expect(news).to_contain_text("hat diesen Termin um")
    expect(one.page.locator("#notes")).to_have_value("Nimmt den Hintereingang")
    assert one.problems() == []
    one.page.get_by_role("button", name="Speichern").click()
    both = one.page.locator("table.cmp")
    expect(both).to_contain_text("10:30")
    expect(both).to_contain_text("10:00")
    expect(both).to_contain_text("Nimmt den Hintereingang")
    assert one.problems() == []
    one.page.get_by_role("button", name="Diese Auswahl speichern").click()
    expect(one.page.locator("main dl")).to_contain_text("Nimmt den Hintereingang")
    expect(one.page.locator("main dl")).to_contain_text("10:30")


def test_the_panel_follows_what_others_do_and_keeps_what_is_typed(
    visitor: Any, sheet: Any, day: dict[str, Any]
) -> None:
    page = sheet()
    box(page, "Zora").locator("a").click()
    panel = page.locator("#panel")
    panel.locator("details[id^=cancel] summary").click()
    panel.locator("[name=words]").fill("Hat sich den Fuß ver")
    other = visitor(MANAGER)
    other.go(f"/appointments/{day['Zora Zieh']}")
    other.page.locator("summary", has_text="Verschieben").click()
    other.page.locator("details[open] [name=time]").fill("10:30")
    other.page.locator("details[open] button").click()
    expect(other.page.locator("main dl")).to_contain_text("10:30")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('calendar-changed'))")
    expect(panel).to_contain_text("10:30")
    expect(panel).to_contain_text("hat diesen Termin um")
    expect(panel.locator("[name=words]")).to_have_value("Hat sich den Fuß ver")
    panel.locator("[value=other]").check()
    panel.locator("details[id^=cancel] button").click()
    expect(panel).to_contain_text("So wollten Sie es")
    expect(panel.locator("[name=words]")).to_have_value("Hat sich den Fuß ver")
    panel.locator("details[id^=cancel] button").click()
    expect(panel.locator("details[id^=cancel]")).to_have_count(0)  # the word alone stands in the question already
    expect(panel).to_contain_text("Storniert")
    expect(panel.locator("h2").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(box(page, "Zora").locator("a")).to_be_focused()
