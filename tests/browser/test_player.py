"""The player of recordings in a real browser: it plays, and the conversation and the sound follow each other."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

SALON = "salon-morgenrot.example"


def open_recorded(window: Any, hash_: str = "") -> Page:
    """The page of the newest call that has a recording."""
    page: Page = window.go("/calls").page
    links = page.locator("main a[href^='/calls/']").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    for address in dict.fromkeys(link for link in links if re.fullmatch(r"/calls/\d+", link)):
        answer = page.request.head(f"{window.demo.url}{address}/recording")
        if answer.status == 200:
            page.goto(f"{window.demo.url}{address}{hash_}")
            return page
    raise AssertionError("no call has a recording")


def sound(page: Page, what: str) -> Any:
    return page.locator("[data-player] audio").evaluate(f"audio => audio.{what}")


def wait(page: Page, condition: str) -> None:
    """Until the sound is so. Asked by the page itself: its policy lets nobody hand it text to run again and again."""
    page.locator("[data-player] audio").evaluate(
        f"""audio => new Promise((done, late) => {{
            const look = () => {condition} ? done() : setTimeout(look, 20);
            setTimeout(() => late(new Error("never so")), 20000);
            look();
        }})"""
    )


def test_sound_and_conversation_follow_each_other(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}")
    page = open_recorded(window)
    button = page.get_by_role("button", name="Aufnahme abspielen")
    expect(button).to_be_visible()
    expect(page.locator("[data-clock]")).to_have_text("0:00")
    assert not sound(page, "controls")
    button.click()
    wait(page, "audio.currentTime > 0.2 && !audio.paused")
    expect(page.get_by_role("button", name="Aufnahme anhalten")).to_be_visible()
    third = page.locator(".turn[data-at]").nth(2)
    at = float(third.get_attribute("data-at") or 0)
    third.locator("> a").click()
    wait(page, f"audio.currentTime >= {at} && audio.currentTime < {at + 8}")
    expect(third).to_have_class(re.compile(r"\bon\b"))
    expect(third).to_have_attribute("aria-current", "true")
    expect(page.locator(".turn.on")).to_have_count(1)
    expect(third).to_be_in_viewport()
    page.locator("[data-speed]").select_option("2")
    assert sound(page, "playbackRate") == 2
    wait(page, f"audio.currentTime > {at} + 0.5")
    page.get_by_role("button", name="Aufnahme anhalten").click()
    wait(page, "audio.paused")
    assert page.locator("rect.done").count() > 0
    assert window.complaints == []


def test_the_position_can_be_set_and_is_told(visitor: Any) -> None:
    page = open_recorded(visitor(f"manager@{SALON}"))
    slider = page.get_by_role("slider", name="Stelle in der Aufnahme")
    slider.fill("12")
    assert sound(page, "currentTime") == 12
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^0:12 von \d+:\d\d$"))
    page.get_by_role("button", name="10 Sekunden zurück").click()
    expect(page.locator("[data-clock]")).to_have_text("0:02")
    page.get_by_role("button", name="10 Sekunden zurück").click()
    expect(page.locator("[data-clock]")).to_have_text("0:00")


def test_it_is_played_by_keys(visitor: Any) -> None:
    page = open_recorded(visitor(f"owner@{SALON}"))
    turn = page.locator(".turn[data-at] > a").first
    page.keyboard.press("ArrowRight")  # nothing has the focus, and nobody is listening yet
    assert sound(page, "currentTime") == 0
    turn.focus()
    page.keyboard.press("ArrowRight")
    assert sound(page, "currentTime") == 10
    page.keyboard.press("ArrowLeft")
    assert sound(page, "currentTime") == 0
    page.keyboard.press(">")
    page.keyboard.press(">")
    assert sound(page, "playbackRate") == 1.5
    page.keyboard.press("<")
    assert sound(page, "playbackRate") == 1.2
    page.get_by_role("slider").focus()
    page.keyboard.press(" ")
    wait(page, "!audio.paused")
    page.locator("main").focus()
    page.keyboard.press(" ")  # now also from anywhere
    wait(page, "audio.paused")
    page.locator("header input[name=q], main").first.focus()
    page.locator("[data-speed]").focus()
    page.keyboard.press(" ")  # opens the list of speeds, as lists do
    assert sound(page, "paused")


def test_an_address_can_say_where_to_begin(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}")
    page = open_recorded(window, "#t=15")
    expect(page.locator("[data-clock]")).to_have_text("0:15")
    now = page.locator(".turn.on")
    expect(now).to_be_in_viewport()
    assert float(now.get_attribute("data-at") or 99) <= 15
    assert sound(page, "paused")  # nobody is made to listen
    anchor = page.locator(".turn[data-at]").nth(3)
    page.evaluate("id => { location.hash = id; }", anchor.get_attribute("id"))
    expect(anchor).to_have_class(re.compile(r"\bon\b"))


def test_the_poll_of_the_page_does_not_stop_it(visitor: Any) -> None:
    page = open_recorded(visitor(f"owner@{SALON}"))
    page.locator(".turn[data-at] > a").nth(1).click()
    wait(page, "audio.currentTime > 0.2 && !audio.paused")
    page.evaluate("document.querySelector('[data-player] audio').witness = true")
    page.evaluate("htmx.ajax('GET', location.pathname + '/now?v=old', {target: '#call-now', swap: 'outerMorph'})")
    before = sound(page, "currentTime")
    wait(page, f"audio.witness && !audio.paused && audio.currentTime > {before}")
    expect(page.get_by_role("button", name="Aufnahme anhalten")).to_be_visible()
    expect(page.locator(".turn.on")).to_have_count(1)
    expect(page.get_by_text("Zeit antippen")).to_be_visible()


def test_it_is_there_after_coming_from_the_list_without_a_reload(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}")
    address = open_recorded(window).url.removeprefix(window.demo.url)
    page = window.go("/calls").page
    page.evaluate("window.witness = true")
    page.locator(f"main a[href='{address}']").first.click()
    page.get_by_role("button", name="Aufnahme abspielen").click()
    wait(page, "audio.currentTime > 0.2 && !audio.paused && !audio.controls")
    assert page.evaluate("window.witness") is True


def test_without_javascript_the_browsers_own_player_is_there(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}", script=False)
    page = open_recorded(window)
    expect(page.locator("[data-player] audio")).to_be_visible()
    assert page.locator("[data-player] audio").get_attribute("controls") is not None
    for mine in ("[data-play]", "[data-seek]", "[data-speed]"):
        expect(page.locator(mine)).to_be_hidden()
    answer = page.request.get(f"{page.url}/recording", headers={"Range": "bytes=0-99"})
    assert (answer.status, len(answer.body())) == (206, 100)


def test_listening_is_on_record_and_a_download_has_its_reason(visitor: Any) -> None:
    window = visitor(f"owner@{SALON}", language="en")
    page = open_recorded(window)
    heard = page.locator("section[aria-labelledby=h-heard]")
    page.locator("[data-play]").click()
    wait(page, "audio.currentTime > 0.2")
    page.reload()
    expect(heard).to_contain_text("Katharina")
    heard.locator("a[href$='/download']").click()
    page.locator("form[action$='/download'] button.btn-primary").click()
    expect(page.locator(".err").first).to_be_visible()
    page.locator("input[value=quality]").check()
    with page.expect_download() as taken:
        page.locator("form[action$='/download'] button.btn-primary").click()
    assert re.fullmatch(r"call-\d{4}-\d\d-\d\d-\d{4}\.wav", taken.value.suggested_filename)


@pytest.mark.parametrize(("phone", "scheme"), [(False, "light"), (True, "dark")], ids=["1280-light", "390-dark"])
def test_it_is_clean_while_it_plays(visitor: Any, phone: bool, scheme: str) -> None:
    window = visitor(f"owner@{SALON}", phone=phone, scheme=scheme)
    page = open_recorded(window)
    page.locator(".turn[data-at] > a").nth(1).click()
    expect(page.locator(".turn.on")).to_have_count(1)
    assert window.problems() == []
    assert window.go(f"{page.url.removeprefix(window.demo.url).split('#')[0]}/recording/download").problems() == []
