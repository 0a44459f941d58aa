"""The simulator's pages in a real browser: keyboard, accessibility, no complaint from the Content-Security-Policy."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from tests.fake_stripe import Simulator, create_fake_stripe
from tests.servers import CHROMIUM_ARGS, chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.skipif(chromium_path() is None, reason="no Chromium")]

LINES = {"Guthaben, netto": 10000, "Umsatzsteuer 19 %": 1900}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium_path(), "args": list(CHROMIUM_ARGS)}


@pytest.fixture
def running() -> Iterator[tuple[Simulator, str]]:
    sim = create_fake_stripe()
    server = make_server("127.0.0.1", 0, sim.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield sim, f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(sim: Simulator, base: str, mode: str = "payment") -> str:
    """The address of a fresh Session's page; afterwards it leads to the simulator's own /healthz."""
    client = sim.http_client().client
    headers = {"Authorization": "Bearer sk_test_x"}
    customer = client.post("/v1/customers", data={"name": "Salon Morgenrot"}, headers=headers).get_json()["id"]
    data = {"mode": mode, "customer": customer, "success_url": f"{base}/healthz?s={{CHECKOUT_SESSION_ID}}"}
    data |= {"cancel_url": f"{base}/healthz", "locale": "de"} | ({"currency": "eur"} if mode == "setup" else {})
    for i, (name, cents) in enumerate(LINES.items() if mode == "payment" else ()):
        price = f"line_items[{i}][price_data]"
        data |= {f"line_items[{i}][quantity]": "1", f"{price}[currency]": "eur", f"{price}[unit_amount]": str(cents)}
        data[f"{price}[product_data][name]"] = name
    session = client.post("/v1/checkout/sessions", data=data, headers=headers).get_json()
    return f"{base}/c/pay/{session['id']}"


def complaints(page: Page) -> list[Any]:
    """What axe finds, and whether anything is wider than the window."""
    found = [(one["id"], [node["html"] for node in one["nodes"]]) for one in Axe().run(page).response["violations"]]
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return [*found, *(["wider than the window"] if wide else [])]


def test_a_keyboard_is_enough_to_pay_by_debit(running: tuple[Simulator, str], page: Page) -> None:
    sim, base = running
    page.goto(opened(sim, base))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Abbrechen")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="SEPA-Lastschrift")).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_url("**/healthz?s=cs_test_*")
    assert [one["status"] for one in sim.all("payment_intent")] == ["processing"]


def test_the_way_back_is_a_link(running: tuple[Simulator, str], page: Page) -> None:
    sim, base = running
    page.goto(opened(sim, base))
    page.get_by_role("link", name="Abbrechen").click()
    page.wait_for_url("**/healthz")
    assert sim.all("checkout.session")[0]["status"] == "open"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_clean_under_axe_and_its_own_policy(
    running: tuple[Simulator, str], page: Page, scheme: Any, width: int
) -> None:
    sim, base = running
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    pay, setup, debit, gone = (opened(sim, base, mode) for mode in ("payment", "setup", "payment", "payment"))
    sim.pay(debit.rpartition("/")[2], "sepa_debit")
    sim.expire(gone.rpartition("/")[2])
    for address in (pay, setup, debit, gone, f"{base}/_sim/"):
        page.goto(address)
        assert complaints(page) == [], address
    page.goto(pay)
    page.get_by_role("button", name="Bank lehnt ab").click()
    expect(page.get_by_role("alert")).to_contain_text("Die Bank hat abgelehnt.")
    assert complaints(page) == []
    assert errors == []
