"""Retell's client against the simulator, the simulator against Retell's own library, and where a key may go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import httpx
import pytest
import requests
import retell
from retell.types import PhoneCallResponse
from werkzeug.serving import make_server

from config import Settings, SettingsError
from portal.clients.keyed_http import is_safe_address
from portal.clients.retell import (
    LONGEST_PAUSE,
    PAUSES,
    RetellClient,
    RetellRefused,
    RetellRejected,
    RetellUnavailable,
    may_ask,
)
from tests.fake_retell import FakeRetell, create_fake_retell, session_for
from tests.fake_retell.inprocess import WsgiAdapter
from tests.webhooks.retell_payloads import ms, payload

KEY = "key_of_the_salon"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def sim() -> FakeRetell:
    return create_fake_retell(KEY)


class Bench:
    """A client with its session and the pauses that it made."""

    def __init__(self, sim: FakeRetell, key: str = KEY) -> None:
        self.slept: list[float] = []
        self.session = session_for(sim.app)
        self.client = RetellClient(key, session=self.session, sleep=self.slept.append)

    @property
    def adapter(self) -> WsgiAdapter:
        adapter = self.session.get_adapter("https://x")
        assert isinstance(adapter, WsgiAdapter)
        return adapter


@pytest.fixture
def bench(sim: FakeRetell) -> Bench:
    return Bench(sim)


def call_of(name: str = "call_analyzed", **fields: Any) -> dict[str, Any]:
    call: dict[str, Any] = payload(name, **fields)["call"]
    return call


# ---- Where a key may go -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "base", "production", "may"),
    [
        ("key_real", "", True, True),
        ("key_real", "https://eu.retell.example", True, True),
        ("key_real", "", False, False),
        ("key_real", "http://127.0.0.1:9", False, True),
        ("demo-retell-salon-morgenrot", "", False, False),
        ("demo-retell-salon-morgenrot", "http://127.0.0.1:9", False, False),
        ("demo-retell-salon-morgenrot", "", True, False),
        ("", "http://127.0.0.1:9", True, False),
        (None, "", True, False),
    ],
)
def test_a_key_goes_out_in_production_or_where_the_address_is_said_and_a_demos_key_never(
    key: str | None, base: str, production: bool, may: bool
) -> None:
    assert may_ask(key, base, production=production) is may


@pytest.mark.parametrize("key", ["", "demo-retell-praxis-lindner"])
def test_a_client_is_not_even_made_with_such_a_key(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        RetellClient(key)


@pytest.mark.parametrize("base", ["http://retell.example", "ftp://127.0.0.1", "127.0.0.1:80", "https://"])
def test_a_key_never_travels_in_clear_text(base: str) -> None:
    assert not is_safe_address(base)
    with pytest.raises(ValueError, match="clear text"):
        RetellClient(KEY, base)


def test_the_settings_refuse_an_address_in_clear_text() -> None:
    with pytest.raises(SettingsError, match="RETELL_API_BASE"):
        Settings(retell_api_base="http://retell.example").check()
    Settings(retell_api_base="http://127.0.0.1:8123").check()
    assert Settings.from_env({}).retell_api_base == ""


# ---- Asking -----------------------------------------------------------------------------------------------


def test_a_call_is_fetched_with_the_key_as_its_bearer(bench: Bench, sim: FakeRetell) -> None:
    call = call_of()
    sim.put(KEY, call)
    assert bench.client.get_call(call["call_id"]) == call
    (request,) = bench.adapter.seen
    assert request.url == f"https://api.retellai.com/v2/get-call/{call['call_id']}"
    assert request.headers["Authorization"] == f"Bearer {KEY}"


def test_an_id_stays_within_its_place_in_the_address(bench: Bench) -> None:
    with pytest.raises(RetellUnavailable):  # the simulator takes a slash for a slash, and has nothing there
        bench.client.get_call("../v2/list?x=1#")
    request = bench.adapter.seen[0]
    assert str(request.url).endswith("/v2/get-call/..%2Fv2%2Flist%3Fx%3D1%23")


@pytest.mark.parametrize("status", [404, 422])
def test_a_call_that_retell_does_not_know_is_none(bench: Bench, sim: FakeRetell, status: int) -> None:
    sim.fail_next(status, "Cannot find requested asset under given api key.")
    assert bench.client.get_call("call_of_nobody") is None
    assert bench.slept == []


def test_a_page_of_something_else_does_not_mean_that_the_call_is_unknown(sim: FakeRetell) -> None:
    @sim.app.errorhandler(404)
    def page(_error: Exception) -> tuple[str, int]:
        return "<h1>Not here</h1>", 404

    sim.app.url_map._rules_by_endpoint.clear()
    client = RetellClient(KEY, "https://wrong.example/api", session=session_for(sim.app), sleep=lambda _: None)
    with pytest.raises(RetellUnavailable):
        client.get_call("call_1")


def test_an_answer_about_another_call_is_not_taken(bench: Bench, sim: FakeRetell) -> None:
    sim.calls[KEY]["call_1"] = call_of(call_id="call_2")
    with pytest.raises(RetellUnavailable, match="another call"):
        bench.client.get_call("call_1")


def test_calls_are_listed_from_a_moment_on_the_oldest_first_page_by_page(bench: Bench, sim: FakeRetell) -> None:
    for number in range(5):
        begun = ms(START + timedelta(minutes=number))
        sim.put(KEY, call_of(call_id=f"call_{number}", start_timestamp=begun))
    first = bench.client.list_calls(START + timedelta(minutes=1), limit=3)
    assert [call["call_id"] for call in first.calls] == ["call_1", "call_2", "call_3"]
    assert first.cursor
    rest = bench.client.list_calls(START + timedelta(minutes=1), first.cursor, limit=3)
    assert ([call["call_id"] for call in rest.calls], rest.cursor) == (["call_4"], None)
    assert "transcript" not in first.calls[0]


@pytest.mark.parametrize(
    ("status", "problem", "asked"),
    [
        (401, RetellRefused, 1),
        (402, RetellRefused, 1),
        (403, RetellRefused, 1),
        (400, RetellRejected, 1),
        (302, RetellUnavailable, 3),
        (408, RetellUnavailable, 3),
        (429, RetellUnavailable, 3),
        (500, RetellUnavailable, 3),
        (503, RetellUnavailable, 3),
    ],
)
def test_what_goes_wrong_has_a_name_and_only_what_may_pass_is_asked_again(
    bench: Bench, sim: FakeRetell, status: int, problem: type[Exception], asked: int
) -> None:
    sim.fail_next(status, "In Retell's words.", times=5)
    with pytest.raises(problem, match="In Retell's words") as caught:
        bench.client.list_calls(START)
    assert len(sim.asked) == asked
    assert bench.slept == list(PAUSES[: asked - 1])
    assert caught.value.status == status  # type: ignore[attr-defined]


def test_a_fault_that_passes_is_not_noticed(bench: Bench, sim: FakeRetell) -> None:
    sim.put(KEY, call_of())
    sim.fail_next(500)
    bench.adapter.broken.append(requests.ConnectTimeout())
    assert bench.client.get_call(call_of()["call_id"])
    assert len(bench.slept) == 2


def test_retell_says_how_long_to_wait_but_not_for_ever(bench: Bench, sim: FakeRetell) -> None:
    sim.fail_next(429, Retry_After="3")
    bench.client.list_calls(START)
    assert bench.slept == [3.0]
    sim.fail_next(429, Retry_After=str(LONGEST_PAUSE + 1))
    with pytest.raises(RetellUnavailable):
        bench.client.list_calls(START)
    assert bench.slept == [3.0]
    sim.fail_next(429, Retry_After="Tue, 24 Nov 2026 09:00:00 GMT")
    bench.client.list_calls(START)
    assert bench.slept == [3.0, PAUSES[0]]


def test_nobody_answering_is_told_from_a_fault_of_retells(bench: Bench, sim: FakeRetell) -> None:
    bench.adapter.broken += [requests.ConnectionError("no route", request=None)] * 3
    with pytest.raises(RetellUnavailable) as silent:
        bench.client.list_calls(START)
    sim.fail_next(503, times=3)
    with pytest.raises(RetellUnavailable) as faulty:
        bench.client.list_calls(START)
    assert (silent.value.silent, faulty.value.silent) == (True, False)


@pytest.mark.parametrize("body", ["", "[]", "{", '{"items": 7}', '{"has_more": true}', "null", "<html>"])
def test_an_answer_that_cannot_be_read_is_a_fault_of_theirs(bench: Bench, sim: FakeRetell, body: str) -> None:
    sim.app.view_functions["list"] = lambda: body
    with pytest.raises(RetellUnavailable):
        bench.client.list_calls(START)


def test_the_key_is_in_no_message_and_no_log(sim: FakeRetell, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench = Bench(sim)
    sim.fail_next(401, f"{KEY} is no key of ours")
    with pytest.raises(RetellRefused) as refused:
        bench.client.list_calls(START)
    bench.adapter.broken += [requests.ConnectionError(f"Bearer {KEY}")] * 3
    with pytest.raises(RetellUnavailable) as lost:
        bench.client.list_calls(START)
    for problem in (refused.value, lost.value):
        assert KEY not in str(problem)
        assert KEY not in repr(problem)
        assert problem.__cause__ is None
    assert KEY not in caplog.text
    assert KEY not in repr(bench.client)


@pytest.fixture
def address(sim: FakeRetell) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, sim.app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


def test_a_netrc_of_the_machine_does_not_take_the_keys_place(
    bench: Bench, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.retellai.com login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    bench.client.list_calls(START)
    assert bench.adapter.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_over_a_real_socket_a_proxy_of_the_machine_changes_nothing(
    sim: FakeRetell, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    sim.put(KEY, call_of())
    client = RetellClient(KEY, address)
    assert client.get_call(call_of()["call_id"]) == call_of()
    assert len(client.list_calls(START - timedelta(days=1)).calls) == 1


# ---- The simulator is right -------------------------------------------------------------------------------


def test_retells_own_library_finds_what_the_simulator_holds(sim: FakeRetell) -> None:
    for name in ("call_started", "call_ended", "call_analyzed", "outbound_ended", "withheld_ended"):
        sim.put(KEY, call_of(name, call_id=name))
    transport = httpx.WSGITransport(app=sim.app)
    theirs = retell.Retell(api_key=KEY, http_client=httpx.Client(transport=transport), max_retries=0)
    listed = theirs.call.list(limit=2, sort_order="ascending")
    assert (len(listed.items), listed.has_more) == (2, True)
    further = theirs.call.list(limit=50, sort_order="ascending", pagination_key=listed.pagination_key or "")
    assert len(further.items) == 3
    for name in sim.calls[KEY]:
        assert isinstance(theirs.call.retrieve(name), PhoneCallResponse)
    with pytest.raises(retell.UnprocessableEntityError):
        theirs.call.retrieve("call_of_nobody")
    with pytest.raises(retell.AuthenticationError):
        theirs.with_options(api_key="key_of_nobody").call.list()


def test_the_simulator_refuses_what_retell_would_not_understand(sim: FakeRetell) -> None:
    client = session_for(sim.app)
    bodies: list[dict[str, Any]] = [{"filter": {}}, {"filter_criteria": {"after": 1}}, {"sort_order": "asc"}]
    for body in [*bodies, {"limit": 1001}]:
        address, headers = "https://x/v3/list-calls", {"Authorization": f"Bearer {KEY}"}
        assert client.post(address, json=body, headers=headers).status_code == 400
