"""The simulator itself: its wire format, its idempotency, its webhooks, its memory, its pages."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from werkzeug.test import Client, TestResponse

from tests.fake_stripe import Simulator, create_fake_stripe, store
from tests.fake_stripe.wire import ApiError, decode

AUTH = {"Authorization": "Bearer sk_test_x"}
DONE, BACK = "http://portal.invalid/done?s={CHECKOUT_SESSION_ID}", "http://portal.invalid/back"
ROOT = Path(__file__).parents[2]


class Clock:
    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return create_fake_stripe(now=clock)


def ask(sim: Simulator, method: str, path: str, data: Any = None, key: str = "") -> TestResponse:
    headers = AUTH | ({"Idempotency-Key": key} if key else {})
    return Client(sim.app).open(f"/v1{path}", method=method, data=data, headers=headers)


def opened(sim: Simulator, **more: str) -> str:
    """The id of a fresh Session over 119 €."""
    item = "line_items[0]"
    data = {
        "mode": "payment",
        "success_url": DONE,
        "cancel_url": BACK,
        f"{item}[quantity]": "1",
        f"{item}[price_data][currency]": "eur",
        f"{item}[price_data][unit_amount]": "11900",
        f"{item}[price_data][product_data][name]": "Guthaben",
    }
    answer = ask(sim, "POST", "/checkout/sessions", data | more)
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["id"])


# ---------- the wire ----------


def test_brackets_become_objects_and_lists() -> None:
    pairs = [("a[b][0][c]", "1"), ("a[b][1][c]", "2"), ("expand[]", "x"), ("expand[]", "y"), ("metadata[k]", "")]
    assert decode(pairs) == {"a": {"b": [{"c": "1"}, {"c": "2"}]}, "expand": ["x", "y"], "metadata": {"k": ""}}


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        ({"nonsense": "1"}, "parameter_unknown", "nonsense"),
        ({"payment_method_types[0]": "card"}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"mode": "gift"}, None, "mode"),
        ({"line_items[0][price]": "free"}, None, "line_items[0]"),
        ({"line_items[0][quantity]": "many"}, "parameter_invalid_integer", "line_items[0][quantity]"),
        ({"line_items[0][price_data][colour]": "red"}, "parameter_missing", "line_items[0][price_data][currency]"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"expires_at": "1"}, None, "expires_at"),
    ],
)
def test_a_session_with_wrong_parameters_is_refused_as_stripe_does(
    sim: Simulator, data: dict[str, str], code: str | None, param: str
) -> None:
    answer = ask(sim, "POST", "/checkout/sessions", {"success_url": DONE} | data)
    error = answer.get_json()["error"]
    assert answer.status_code in {400, 404}
    assert (error["type"], error.get("code"), error["param"]) == ("invalid_request_error", code, param)
    assert sim.all("checkout.session") == []


def test_without_a_test_key_nothing_is_answered(sim: Simulator) -> None:
    for key in ("", "Bearer sk_live_1", "Bearer pk_test_1"):
        assert Client(sim.app).get("/v1/events", headers={"Authorization": key}).status_code == 401


def test_an_unknown_address_is_404_in_stripes_words(sim: Simulator) -> None:
    answer = ask(sim, "GET", "/subscriptions")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["type"] == "invalid_request_error"


def test_lists_are_newest_first_and_turn_pages_both_ways(sim: Simulator, clock: Clock) -> None:
    ids = []
    for _ in range(5):
        clock.now += 60
        ids.append(opened(sim))
    newest = ids[::-1]
    first = ask(sim, "GET", "/checkout/sessions?limit=2").get_json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (newest[:2], True)
    rest = ask(sim, "GET", f"/checkout/sessions?limit=3&starting_after={newest[1]}").get_json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (newest[2:], False)
    before = ask(sim, "GET", f"/checkout/sessions?limit=1&ending_before={newest[2]}").get_json()
    assert ([one["id"] for one in before["data"]], before["has_more"]) == ([newest[1]], True)
    late = ask(sim, "GET", f"/checkout/sessions?created[gt]={int(clock.now) - 60}").get_json()
    assert [one["id"] for one in late["data"]] == newest[:1]


def test_what_cannot_be_expanded_is_named(sim: Simulator) -> None:
    answer = ask(sim, "GET", f"/checkout/sessions/{opened(sim)}?expand[]=nonsense")
    assert answer.get_json()["error"]["message"] == "This property cannot be expanded (nonsense)."


# ---------- idempotency ----------


def test_the_same_key_gets_the_same_answer(sim: Simulator) -> None:
    first = ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    second = ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"]
    assert len(sim.all("customer")) == 1


def test_the_same_key_with_other_parameters_is_an_error(sim: Simulator) -> None:
    ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    for path, data in (("/customers", {"name": "Praxis"}), ("/refunds", {"name": "Salon"})):
        answer = ask(sim, "POST", path, data, "k")
        assert (answer.status_code, answer.get_json()["error"]["type"]) == (400, "idempotency_error")


def test_a_refused_request_does_not_use_its_key_up(sim: Simulator) -> None:
    assert ask(sim, "POST", "/customers", {"nmae": "Salon"}, "k").status_code == 400
    assert ask(sim, "POST", "/customers", {"name": "Salon"}, "k").status_code == 200


def test_a_key_is_forgotten_after_a_day(sim: Simulator, clock: Clock) -> None:
    ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    clock.now += 24 * 3600 + 1
    assert ask(sim, "POST", "/customers", {"name": "Praxis"}, "k").status_code == 200


def test_a_key_whose_request_is_still_running_is_a_conflict(sim: Simulator) -> None:
    sim.fail_next(0, delay=0.5)  # a slow answer; `before` and 0 with a delay means: only slow
    slow = threading.Thread(target=ask, args=(sim, "POST", "/customers", {"name": "Salon"}, "k"))
    slow.start()
    while "k" not in sim.in_flight:
        time.sleep(0.005)
    answer = ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    slow.join()
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert len(sim.all("customer")) == 1


# ---------- webhooks without a network ----------


def arrived(sim: Simulator, **how: Any) -> list[str]:
    """Types of what the portal gets, in the order of arrival."""
    seen: list[str] = []

    def post(body: bytes, headers: dict[str, str]) -> int:
        seen.append(json.loads(body)["type"])
        return 200

    sim.deliver(post, **how)
    return seen


PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]


def test_events_arrive_in_order_backwards_and_twice(sim: Simulator) -> None:
    sim.pay(opened(sim))
    assert arrived(sim) == PAID
    assert arrived(sim) == []
    sim.pay(opened(sim))
    assert arrived(sim, order="reverse", times=2) == [one for one in PAID[::-1] for _ in range(2)]


def test_habits_double_and_reverse_what_is_queued(sim: Simulator) -> None:
    sim.change_webhooks(order="reverse", repeat=2)
    sim.pay(opened(sim))
    assert arrived(sim) == [one for one in PAID[::-1] for _ in range(2)]


def test_held_events_wait_for_their_release(sim: Simulator, clock: Clock) -> None:
    sim.change_webhooks(hold=True)
    sim.pay(opened(sim))
    assert sim.outbox.due(clock.now) == []
    assert sim.outbox.release("reverse", 3) == 12
    assert len(sim.outbox.due(clock.now)) == 12


def test_a_delay_holds_events_back_for_that_long(sim: Simulator, clock: Clock) -> None:
    sim.change_webhooks(delay=30)
    sim.pay(opened(sim))
    assert sim.outbox.due(clock.now + 29) == []
    assert len(sim.outbox.due(clock.now + 30)) == 4


def test_an_event_is_sent_again_with_growing_pauses_until_it_is_taken(sim: Simulator, clock: Clock) -> None:
    sim.expire(opened(sim))
    pauses = []
    for status in (500, 0, 302, 404):
        (delivery,) = sim.outbox.waiting()
        sim.outbox.send(delivery, answering(status))
        pauses.append(delivery["due"] - clock.now)
        clock.now = delivery["due"]
    assert pauses == [1, 2, 4, 8]
    sim.outbox.send(delivery, answering(200))
    assert (sim.outbox.waiting(), delivery["state"], delivery["attempts"]) == ([], "delivered", 5)


def answering(status: int) -> Callable[[bytes, dict[str, str]], int]:
    def post(body: bytes, headers: dict[str, str]) -> int:
        if not status:
            raise ConnectionRefusedError("away")
        return status

    return post


def test_nobody_is_called_for_longer_than_three_days(sim: Simulator, clock: Clock) -> None:
    sim.expire(opened(sim))
    (delivery,) = sim.outbox.waiting()
    while delivery["state"] == "waiting":
        sim.outbox.send(delivery, answering(500))
        clock.now = max(clock.now, delivery["due"])
    assert delivery["state"] == "failed"
    assert clock.now - delivery["first"] == pytest.approx(3 * 24 * 3600, rel=0.01)


def test_each_attempt_is_signed_with_its_own_time(sim: Simulator, clock: Clock) -> None:
    sim.expire(opened(sim))
    first = sim.webhooks()[0].headers["Stripe-Signature"]
    clock.now += 600
    again = sim.webhooks()[0]
    assert first != again.headers["Stripe-Signature"]
    stamp = f"t={int(clock.now)},"
    assert again.headers["Stripe-Signature"].startswith(stamp)
    assert stripe.WebhookSignature.verify_header(again.body, again.headers["Stripe-Signature"], "whsec_demo")


def test_an_event_says_which_request_caused_it(sim: Simulator) -> None:
    ask(sim, "POST", "/customers", {"name": "Salon"}, "k")
    (event,) = sim.events("customer.created")
    assert event["request"]["idempotency_key"] == "k"
    assert event["request"]["id"].startswith("req_")
    sim.expire(opened(sim))
    assert sim.events("checkout.session.expired")[0]["request"] == {"id": None, "idempotency_key": None}


# ---------- time ----------


def test_a_debit_settles_by_itself_when_that_is_wanted(clock: Clock) -> None:
    sim = create_fake_stripe(now=clock, settle_after=60)
    id = opened(sim)
    sim.pay(id, "sepa_debit")
    clock.now += 59
    sim.tick()
    assert sim.get(id)["payment_status"] == "unpaid"
    clock.now += 1
    sim.tick()
    assert sim.get(id)["payment_status"] == "paid"


def test_only_an_open_session_can_be_paid(sim: Simulator) -> None:
    id = opened(sim)
    sim.pay(id)
    for act in (sim.pay, sim.decline, sim.expire):
        with pytest.raises(ApiError):
            act(id)
    assert len(sim.all("charge")) == 1


def test_everything_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "deep" / "stripe.json"
    before = create_fake_stripe(state_file=file, now=clock)
    before.change_webhooks(hold=True)
    id = opened(before)
    before.pay(id)
    ask(before, "POST", "/customers", {"name": "Salon"}, "k")
    after = create_fake_stripe(state_file=file, now=clock)
    assert after.get(id) == before.get(id)
    assert after.events() == before.events()
    assert len(after.outbox.waiting()) == 5
    assert after.outbox.habits.hold is True
    replay = ask(after, "POST", "/customers", {"name": "Salon"}, "k")
    assert replay.headers["Idempotent-Replayed"] == "true"


def test_its_file_does_not_grow_for_ever(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EVENTS_KEPT", 3)
    sim = create_fake_stripe(state_file=tmp_path / "stripe.json", now=clock)
    for i in range(5):
        ask(sim, "POST", "/customers", {"name": "Salon"}, f"k{i}")
        arrived(sim)
    assert len(sim.events()) == len(sim.store.deliveries) == 3
    assert len(sim.all("customer")) == 5
    clock.now += 24 * 3600 + 1
    opened(sim)
    assert sim.store.side["answers"] == {}


def test_a_receiver_that_talks_nonsense_is_tried_again(sim: Simulator) -> None:
    def confused(body: bytes, headers: dict[str, str]) -> int:
        raise BadStatusLine("what?")

    sim.expire(opened(sim))
    assert sim.deliver(confused) == [0]
    assert sim.outbox.waiting()[0]["attempts"] == 1


# ---------- the Checkout page ----------


def visit(sim: Simulator, id: str, language: str = "") -> TestResponse:
    headers = {"Accept-Language": language} if language else {}
    return Client(sim.app).get(f"/c/pay/{id}", headers=headers)


def press(sim: Simulator, id: str, outcome: str, **more: str) -> TestResponse:
    return Client(sim.app).post(f"/c/pay/{id}", data={"outcome": outcome, **more})


@pytest.mark.parametrize(
    ("locale", "accepted", "language", "button"),
    [
        ("de", "en", "de", "119,00\u00a0€ bezahlen"),
        ("en", "de", "en", "Pay €119.00"),
        ("auto", "de-DE,de;q=0.9", "de", "119,00\u00a0€ bezahlen"),
        ("auto", "fr", "en", "Pay €119.00"),
    ],
)
def test_the_page_speaks_the_sessions_language(
    sim: Simulator, locale: str, accepted: str, language: str, button: str
) -> None:
    page = visit(sim, opened(sim, locale=locale), accepted).text
    assert f'<html lang="{language}">' in page
    assert button in page


def test_paying_leads_back_with_the_sessions_id(sim: Simulator) -> None:
    id = opened(sim)
    answer = press(sim, id, "pay", method="card")
    assert (answer.status_code, answer.location) == (303, f"http://portal.invalid/done?s={id}")
    assert sim.get(id)["payment_status"] == "paid"
    assert "Bezahlt" in visit(sim, id, "de").text


def test_a_refusal_is_said_on_the_page_which_stays_usable(sim: Simulator) -> None:
    id = opened(sim, locale="de")
    answer = press(sim, id, "decline")
    assert answer.status_code == 402
    assert 'role="alert"' in answer.text
    assert "Die Bank hat abgelehnt." in answer.text
    assert press(sim, id, "pay").status_code == 303


@pytest.mark.parametrize(("outcome", "word"), [("settle", "Bezahlt"), ("bounce", "Lastschrift zurückgekommen")])
def test_a_pending_debit_is_decided_on_its_page(sim: Simulator, outcome: str, word: str) -> None:
    id = opened(sim, locale="de")
    assert press(sim, id, "pay", method="sepa").status_code == 303
    assert "Lastschrift unterwegs" in visit(sim, id).text
    assert press(sim, id, outcome).location == f"/c/pay/{id}"
    assert word in visit(sim, id).text


def test_an_expired_session_shows_the_way_back_and_nothing_to_pay(sim: Simulator) -> None:
    id = opened(sim, locale="de")
    press(sim, id, "expire")
    page = visit(sim, id).text
    assert BACK in page
    assert 'value="pay"' not in page
    assert press(sim, id, "pay").status_code == 303
    assert sim.all("charge") == []


def test_a_page_has_no_script_no_inline_style_and_leads_only_home(sim: Simulator) -> None:
    id = opened(sim)
    for page in (visit(sim, id), press(sim, id, "decline"), Client(sim.app).get("/_sim/")):
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<script|\sstyle=|\son[a-z]+=", page.text)
    assert "form-action 'self' http://portal.invalid" in visit(sim, id).headers["Content-Security-Policy"]
    assert "X-Form-Goals" not in visit(sim, id).headers


def test_names_from_outside_are_text_not_markup(sim: Simulator) -> None:
    name = "<b>Salon</b>"
    made = ask(sim, "POST", "/customers", {"name": name}).get_json()["id"]
    page = visit(sim, opened(sim, customer=made)).text
    assert name not in page
    assert "&lt;b&gt;Salon&lt;/b&gt;" in page


def test_how_a_saved_card_behaves_later_can_be_chosen(sim: Simulator) -> None:
    made = ask(sim, "POST", "/customers", {"name": "Salon"}).get_json()["id"]
    data = {"mode": "setup", "currency": "eur", "customer": made, "success_url": DONE, "locale": "de"}
    id = ask(sim, "POST", "/checkout/sessions", data).get_json()["id"]
    page = visit(sim, id).text
    assert "Heute wird nichts abgebucht" in page
    press(sim, id, "pay", method="card", later="authentication_required")
    (method,) = sim.all("payment_method")
    assert sim.store.side["behaviour"][method["id"]] == "authentication_required"


def test_a_receipt_exists_for_what_was_paid_only(sim: Simulator) -> None:
    id = opened(sim)
    sim.decline(id)
    sim.pay(id)
    failed, paid = sim.all("charge")
    assert Client(sim.app).get(f"/receipts/{paid['id']}").status_code == 200
    assert paid["receipt_url"].endswith(f"/receipts/{paid['id']}")
    assert Client(sim.app).get(f"/receipts/{failed['id']}").status_code == 404


def test_unknown_sessions_are_not_found(sim: Simulator) -> None:
    assert visit(sim, "cs_test_unknown").status_code == 404
    assert press(sim, "cs_test_unknown", "pay").status_code == 404


# ---------- the control page and its switches ----------


def switch(sim: Simulator, path: str, **told: Any) -> TestResponse:
    return Client(sim.app).post(f"/_sim{path}", json=told)


def test_everything_can_be_switched_by_script(sim: Simulator) -> None:
    id = opened(sim)
    assert switch(sim, f"/sessions/{id}/pay", method="sepa_debit").get_json()["status"] == "complete"
    assert switch(sim, f"/payments/{sim.get(id)['payment_intent']}/settle").get_json()["status"] == "succeeded"
    (charge,) = sim.all("charge")
    refund = switch(sim, f"/payments/{charge['id']}/refund", amount=900).get_json()
    assert switch(sim, f"/refunds/{refund['id']}/finish", status="failed").get_json()["status"] == "failed"
    assert switch(sim, f"/payments/{charge['id']}/dispute").get_json()["status"] == "lost"
    assert switch(sim, "/webhooks", delay=5, repeat=2, url="http://portal.invalid/hook").get_json()["repeat"] == 2
    assert switch(sim, f"/events/{sim.events()[0]['id']}/resend", times=2).status_code == 200
    assert switch(sim, "/faults", status=503).get_json() == {"faults": 1}
    assert ask(sim, "GET", "/events").status_code == 503
    state = Client(sim.app).get("/_sim/state").get_json()
    assert (state["webhook_url"], state["objects"]["refund"]) == ("http://portal.invalid/hook", 1)
    assert switch(sim, "/reset").get_json() == {}
    assert sim.events() == []


def test_a_wrong_switch_says_so(sim: Simulator) -> None:
    id = opened(sim)
    assert switch(sim, f"/sessions/{id}/eat").status_code == 400
    assert switch(sim, f"/sessions/{id}/settle").status_code == 404
    assert switch(sim, "/payments/pi_none/refund").status_code == 404


def test_the_control_page_shows_what_is_going_on_and_its_buttons_lead_back_to_it(sim: Simulator) -> None:
    paid, pending = opened(sim), opened(sim)
    sim.pay(paid)
    sim.pay(pending, "sepa_debit")
    html = {"Accept": "text/html", "Accept-Language": "de"}
    client = Client(sim.app)
    page = client.get("/_sim/", headers=html).text
    assert page.count("/c/pay/") == 2
    assert "unterwegs" in page
    answer = client.post("/_sim/webhooks", data={"mood": "hold"}, headers=html)
    assert (answer.status_code, answer.location) == (303, "/_sim/")
    sim.settle(pending)
    assert "3 zurückgehalten." in client.get("/_sim/", headers=html).text
    client.post("/_sim/webhooks", data={"mood": "normal"}, headers=html)
    assert sim.outbox.habits.hold is False
    assert [one["state"] for one in sim.store.deliveries if one["state"] == "held"] == []


# ---------- as a server ----------


class Portal(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes, str]] = []
    refuse = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if type(self).refuse:
            type(self).refuse -= 1
            status = 500
        else:
            self.got.append((self.path, body, self.headers["Stripe-Signature"]))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def portal() -> Iterator[HTTPServer]:
    Portal.got, Portal.refuse = [], 1
    server = HTTPServer(("127.0.0.1", 0), Portal)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "tests.fake_stripe", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("Stripe simulator: http://127.0.0.1:"), line
    return process, line.split()[-1]


def ended(process: subprocess.Popen[str]) -> int:
    process.terminate()
    process.communicate()
    return process.returncode


@pytest.mark.slow
def test_as_a_server_it_takes_calls_sends_webhooks_and_remembers(portal: HTTPServer, tmp_path: Path) -> None:
    hook = f"http://127.0.0.1:{portal.server_port}/webhooks/stripe"
    arguments = ("--webhook-url", hook, "--secret", "whsec_server", "--state", str(tmp_path / "stripe.json"))
    process, address = started(*arguments)
    try:
        base: Any = {"api": address}
        client = stripe.StripeClient("sk_test_x", base_addresses=base)
        line = {"currency": "eur", "unit_amount": 5950, "product_data": {"name": "Guthaben"}}
        params: Any = {"mode": "payment", "success_url": DONE, "line_items": [{"quantity": 1, "price_data": line}]}
        session = client.v1.checkout.sessions.create(params)
        assert session.url == f"{address}/c/pay/{session.id}"
        urllib.request.urlopen(
            urllib.request.Request(f"{address}/_sim/sessions/{session.id}/pay", method="POST")
        ).close()
        wait_until(lambda: len(Portal.got) == 4)
    finally:
        assert ended(process) == 0
    for path, body, signature in Portal.got:
        assert path == "/webhooks/stripe"
        assert stripe.WebhookSignature.verify_header(body, signature, "whsec_server", 300)
    process, address = started(*arguments)
    try:
        again = stripe.StripeClient("sk_test_x", base_addresses={"api": address})
        assert again.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    finally:
        assert ended(process) == 0


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.02)
