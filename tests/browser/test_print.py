"""The day sheet through Chromium onto paper and read back, the page behind its code, and the counter's screen."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from tests.browser.conftest import Demo
from tests.browser.full_days import number

OWNER, STAFF = "owner@salon-morgenrot.example", "staff@salon-morgenrot.example"
A4 = (595, 842)  # points
MOST_PAGES = {0: 1, 1: 1, 45: 4, 200: 15}


@pytest.fixture(scope="module")
def days(demo: Demo) -> dict[str, str]:
    """How many appointments → the day that has so many."""
    added = demo.inside(sys.executable, "-m", "tests.browser.full_days")
    told, _ = added.communicate(timeout=120)
    found = re.search(r"^made (\{.*\})$", told, re.MULTILINE)
    assert found, told
    return dict(json.loads(found[1]))


def on_paper(window: Any) -> PdfReader:
    """What Ctrl-P makes, at the page's own size."""
    return PdfReader(io.BytesIO(window.page.pdf(prefer_css_page_size=True)))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("many", [0, 1, 45, 200])
def test_a_sheet_is_whole_on_paper(visitor: Any, days: dict[str, str], many: int) -> None:
    window = visitor(OWNER).go(f"/calendar/print?date={days[str(many)]}")
    code = window.page.locator(".code").inner_text()
    assert re.fullmatch(r"[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}", code)
    assert window.problems() == []
    pdf = on_paper(window)
    pages = [words(page.extract_text()) for page in pdf.pages]
    assert len(pages) <= MOST_PAGES[many]
    assert {(round(page.mediabox.width), round(page.mediabox.height)) for page in pdf.pages} == {A4}
    assert "Stand " in pages[0]
    assert "Drucken" not in " ".join(pages)  # the bar of the screen stays there
    for place, text in enumerate(pages, start=1):
        assert code in text, place
        assert f"{place} / {len(pages)}" in text
        if many:
            assert "Uhrzeit Kunde Leistung Mitarbeiter Notiz Status Da" in text, place
            assert f"Blatt {code}" in text
    on_pages = [[page for page, text in enumerate(pages) if number(many, place) in text] for place in range(many)]
    assert [found for found in on_pages if len(found) != 1] == []
    assert on_pages == sorted(on_pages)
    for place, (page,) in enumerate(on_pages):  # a line's name and number are not parted
        assert f"0231 27{place:04}" in pages[page]
    assert ("Keine Termine an diesem Tag" in pages[0]) is (many == 0)
    assert "Ende des Blattes" in pages[-1]


def test_a_phone_can_read_the_sheet_and_its_changes(visitor: Any, days: dict[str, str]) -> None:
    window = visitor(STAFF, phone=True, scheme="dark").go(f"/calendar/print?date={days['45']}")
    expect(window.page.locator("tbody tr")).to_have_count(45)
    assert window.problems() == []
    code = window.page.locator(".code").inner_text()
    window.go("/calendar/changes")
    assert window.problems() == []
    window.page.locator("input[name=code]").fill(code.lower().replace("-", " "))
    window.page.locator("form[action='/calendar/changes'] button").click()
    expect(window.page.locator("#since h1")).to_contain_text("hat sich nichts geändert")
    assert window.problems() == []


def test_a_wrong_code_says_so_beside_the_field(visitor: Any) -> None:
    window = visitor(OWNER, phone=True).go("/calendar/changes")
    window.page.locator("input[name=code]").fill("xxxx-xxxx")
    window.page.locator("form[action='/calendar/changes'] button").click()
    expect(window.page.locator("#code-e")).to_be_visible()
    assert window.problems() == []


def test_the_button_prints_and_the_way_from_the_calendar_brings_the_papers_own_look(
    visitor: Any, days: dict[str, str]
) -> None:
    window = visitor(OWNER).go(f"/calendar?date={days['1']}")
    window.page.evaluate(
        """(address) => {
            const link = Object.assign(document.createElement("a"), { href: address, id: "way", textContent: "way" });
            document.querySelector("main").prepend(link);
            window.htmx.process(link);
        }""",
        f"/calendar/print?date={days['1']}",
    )
    window.page.locator("#way").click()
    expect(window.page.locator(".a4")).to_be_visible()
    assert (
        window.page.locator(".a4").evaluate("(sheet) => getComputedStyle(sheet).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    window.page.evaluate("window.print = () => { document.title = 'printed'; }")
    window.page.locator("[data-print]").click()
    expect(window.page).to_have_title("printed")


@pytest.mark.parametrize("size", [(1280, 800), (810, 1080), (390, 844)])
def test_the_counter_fits_every_tablet(visitor: Any, size: tuple[int, int]) -> None:
    window = visitor(STAFF)
    window.page.set_viewport_size({"width": size[0], "height": size[1]})
    for address in ("/calendar/today", "/calendar/today?discreet=1"):
        window.go(address)
        expect(window.page.locator(".clock-now")).to_be_visible()
        assert window.problems() == []


def test_the_counter_says_when_it_has_lost_the_portal_and_when_it_is_back(visitor: Any) -> None:
    window = visitor(STAFF).go("/calendar/today")
    ask = "window.htmx.trigger(document.getElementById('today'), 'every', {}, false)"
    expect(window.page.locator("[data-lost]")).to_be_hidden()
    window.context.set_offline(True)
    window.page.evaluate(ask)
    expect(window.page.locator("[data-lost]")).to_be_visible()
    window.context.set_offline(False)
    window.page.evaluate(ask)
    expect(window.page.locator("[data-lost]")).to_be_hidden()


def test_one_tap_at_the_counter_says_who_is_here(visitor: Any, demo: Demo) -> None:
    demo.inside(sys.executable, "-m", "tests.browser.walk_in").communicate(timeout=60)
    window = visitor(STAFF).go("/calendar/today")
    line = window.page.locator("li", has=window.page.locator("button[value=arrived]")).first
    place = line.get_attribute("id")
    line.locator("button[value=arrived]").click()
    expect(window.page.locator(f"#{place} button[value=back]")).to_be_visible()
    assert window.problems() == []
