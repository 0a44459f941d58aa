"""The calendar's views in a real browser: keys, the date picker, from a month to a day, lists that go on, and axe."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

OWNER = "owner@salon-morgenrot.example"
STAFF = "staff@salon-morgenrot.example"
DATE = re.compile(r"[?&]date=(\d{4}-\d\d-\d\d)")
VIEWS = ("day", "week", "month", "list")


def day_of(page: Page) -> str:
    found = DATE.search(page.url)
    return found[1] if found else ""


def shown(page: Page, view: str) -> None:
    expect(page.locator(f"#cal-{view}")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
@pytest.mark.parametrize("phone", [False, True], ids=["1280", "390"])
def test_every_view_is_clean_at_both_sizes(visitor: Any, phone: bool, script: bool) -> None:
    if not script:  # axe needs scripts: without them the pages have to be there, whole
        window = visitor(OWNER, phone=phone, script=False)
        for view in VIEWS:
            window.go(f"/calendar?view={view}&date=2026-11-10")
            shown(window.page, view)
            expect(window.page.locator("#sheet")).to_be_attached()
        return
    for email, scheme in ((OWNER, "light"), (STAFF, "dark")):
        window = visitor(email, phone=phone, scheme=scheme)
        for view in VIEWS:
            assert window.go(f"/calendar?view={view}").problems() == [], (email, view)


def test_the_calendar_is_turned_by_keys(visitor: Any) -> None:
    window = visitor(OWNER).go("/calendar?view=day&date=2026-11-10")
    page, keyboard = window.page, window.page.keyboard
    for key, view in (("w", "week"), ("m", "month"), ("l", "list"), ("d", "day")):
        keyboard.press(key)
        shown(page, view)
        expect(page).to_have_url(re.compile(f"view={view}&date=2026-11-10"))
    for key, day in (
        ("ArrowRight", "2026-11-11"),
        ("j", "2026-11-12"),
        ("k", "2026-11-11"),
        ("ArrowLeft", "2026-11-10"),
    ):
        keyboard.press(key)
        expect(page).to_have_url(re.compile(f"date={day}"))
        expect(page.locator("#cal-date")).to_have_value(day)
    keyboard.press("t")
    expect(page.locator("#cal-today")).to_have_attribute("aria-current", "date")
    keyboard.press("n")
    expect(page).to_have_url(re.compile(r"/appointments/new\?date="))
    assert window.complaints == []


def test_keys_rest_while_somebody_types_or_has_switched_them_off(visitor: Any) -> None:
    window = visitor(OWNER).go("/calendar?view=list&date=2026-11-10")
    page = window.page
    page.locator("#cal-q").fill("")
    page.locator("#cal-q").press_sequentially("wdtm")
    expect(page.locator("#cal-q")).to_have_value("wdtm")
    shown(page, "list")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#cal-keys")).to_be_visible()
    assert window.problems() == []
    page.keyboard.press("d")
    shown(page, "list")
    page.locator("#cal-keys-on").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#cal-keys")).to_be_hidden()
    page.keyboard.press("d")
    page.keyboard.press("?")
    expect(page.locator("#cal-keys")).to_be_hidden()
    shown(page, "list")
    page.locator(".cal-more").click()
    page.locator("#cal-more button").click()
    expect(page.locator("#cal-more")).to_be_hidden()
    expect(page.locator("#cal-keys-on")).not_to_be_checked()
    page.locator("#cal-keys-on").check()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    shown(page, "day")


def test_the_date_picker_goes_to_the_day_and_stays_in_step(visitor: Any) -> None:
    window = visitor(OWNER).go("/calendar?view=week&date=2026-11-10")
    page = window.page
    page.locator("#cal-date").fill("2026-11-03")
    expect(page).to_have_url(re.compile(r"view=week&date=2026-11-03"))
    expect(page.locator("h1")).to_contain_text("02.11.")
    page.locator("#cal-after").click()
    expect(page).to_have_url(re.compile(r"date=2026-11-10"))
    expect(page.locator("#cal-date")).to_have_value("2026-11-10")
    page.go_back()
    expect(page.locator("#cal-date")).to_have_value("2026-11-03")
    assert window.complaints == []


@pytest.mark.parametrize("phone", [False, True], ids=["1280", "390"])
def test_from_a_month_to_a_day(visitor: Any, phone: bool) -> None:
    window = visitor(OWNER, phone=phone).go("/calendar?view=month&date=2026-11-10")
    page = window.page
    heights = page.locator(".month .day").evaluate_all("all => [...new Set(all.map(each => each.offsetHeight))]")
    assert len(heights) == 1
    cell = page.locator(".month .top > a", has_text=re.compile(r"^12$"))
    box = cell.locator("xpath=ancestor::td").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["width"] >= 44
    page.mouse.click(box["x"] + box["width"] - 6, box["y"] + box["height"] - 6)
    expect(page).to_have_url(re.compile(r"view=day&date=2026-11-12"))
    expect(page.locator(".daylist" if phone else ".cal")).to_be_visible()


def test_an_appointment_of_a_month_opens_beside_it(visitor: Any) -> None:
    page = visitor(OWNER).go("/calendar?view=month&date=2026-11-10").page
    page.locator(".glances a").first.click()
    expect(page.locator("#panel h2")).to_be_visible()
    assert "view=month" in page.url
    loads: list[str] = []
    page.on("request", lambda request: loads.append(request.url) if "view=day" in request.url else None)
    page.locator("#panel [data-close]").click()
    expect(page.locator("#panel")).to_be_empty()
    expect(page.locator(".glances a").first).to_be_focused()
    page.locator(".glances a").first.press("Enter")  # by now the other page would have been asked for
    expect(page.locator("#panel h2")).to_be_visible()
    assert loads == []
    assert "view=month" in page.url


def test_a_list_goes_on_by_itself_and_back_by_a_click(visitor: Any) -> None:
    window = visitor(OWNER).go("/calendar?view=list&date=2026-11-10&branch=all&staff=")
    page, pages = window.page, window.page.locator(".agenda")
    expect(pages).to_have_count(1)
    page.locator("#later").scroll_into_view_if_needed()
    expect(pages).to_have_count(2)
    page.evaluate("scrollTo(0, 0)")
    page.locator("#earlier a").click()
    expect(pages).to_have_count(3)
    starts = page.locator(".agenda section > .hd h2").evaluate_all("all => all.map(each => each.id)")
    assert starts == sorted(starts)
    assert len(set(starts)) == len(starts)
    assert window.problems() == []


def test_a_list_narrows_while_somebody_types(visitor: Any) -> None:
    page = visitor(OWNER).go("/calendar?view=list&date=2026-10-01&branch=all&staff=").page
    name = page.locator(".agenda a.name").first.inner_text()
    page.locator("#cal-q").press_sequentially(name)
    expect(page).to_have_url(re.compile("q="))
    expect(page.locator("#cal-q")).to_be_focused()
    expect(page.locator("#cal-q")).to_have_value(name)
    expect(page.locator(".agenda a.name", has_not_text=name)).to_have_count(0)
