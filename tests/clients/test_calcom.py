"""The client of Cal.com: what it sends, what it understands, and how it tells problems apart."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from portal.clients import calcom
from portal.clients.calcom import (
    CalcomClient,
    CalcomGone,
    CalcomProblem,
    CalcomRefused,
    CalcomRejected,
    CalcomTaken,
    CalcomUnavailable,
    may_ask,
)
from tests.fake_calcom import FakeCalcom, create_fake_calcom, session_for
from tests.fake_calcom.inprocess import LineAdapter

KEY = "cal_test_0123456789"
BASE = "https://calcom.example"
START = datetime(2027, 3, 9, 9, 30, tzinfo=UTC)
LATER = datetime(2027, 3, 10, 9, 30, tzinfo=UTC)


@pytest.fixture
def sim() -> FakeCalcom:
    made = create_fake_calcom(KEY)
    made.put("bk_1", START)
    return made


@pytest.fixture
def session(sim: FakeCalcom) -> requests.Session:
    return session_for(sim.app)


@pytest.fixture
def client(session: requests.Session) -> CalcomClient:
    return CalcomClient(KEY, BASE, session=session)


def line(session: requests.Session) -> LineAdapter:
    found = session.get_adapter(BASE)
    assert isinstance(found, LineAdapter)
    return found


# ---- What is asked and understood -------------------------------------------------------------------------------


def test_a_booking_is_read_with_who_has_it_and_who_comes(client: CalcomClient) -> None:
    found = client.booking("bk_1")
    assert (found.uid, found.status, found.start, found.event_type_id) == ("bk_1", "ACCEPTED", START, 4101)
    assert (found.host.id, found.host.name) == (501, "Sofia Klein")
    assert (found.attendees[0].email, found.attendees[0].phone) == ("greta.vogel@example.org", "+4915221345678")
    assert (found.absent, found.next_uid) == (False, None)


def test_every_question_carries_key_and_version(client: CalcomClient, session: requests.Session) -> None:
    client.booking("bk_1")
    client.event_types()
    sent = [request.headers for request in line(session).seen]
    assert [headers["Authorization"] for headers in sent] == [f"Bearer {KEY}"] * 2
    assert [headers["cal-api-version"] for headers in sent] == [calcom.BOOKINGS, calcom.EVENT_TYPES]


def test_a_reschedule_answers_with_the_new_booking(client: CalcomClient, sim: FakeCalcom) -> None:
    moved = client.reschedule("bk_1", LATER, "")
    assert (moved.previous_uid, moved.start) == ("bk_1", LATER)
    assert moved.uid != "bk_1"
    assert client.booking("bk_1").next_uid == moved.uid
    assert sim.asked[0][2] == {"start": "2027-03-10T09:30:00Z"}


def test_cancelling_confirming_declining_and_marking(client: CalcomClient, sim: FakeCalcom) -> None:
    assert client.cancel("bk_1", "Krank").status == "CANCELLED"
    sim.put("bk_2", START, status="pending")
    assert client.confirm("bk_2").status == "ACCEPTED"
    sim.put("bk_3", START, status="pending")
    assert client.decline("bk_3", "Urlaub").status == "REJECTED"
    assert client.mark_absent("bk_2", ["greta.vogel@example.org"], True).absent is True
    assert client.mark_absent("bk_2", ["greta.vogel@example.org"], False).absent is False


def test_a_uid_is_one_part_of_the_path_whatever_stands_in_it(client: CalcomClient, session: requests.Session) -> None:
    with pytest.raises(CalcomProblem):
        client.booking("../me?x=1#y")
    with pytest.raises(CalcomGone):
        client.cancel("..", "Krank")
    assert [request.url for request in line(session).seen] == [f"{BASE}/v2/bookings/..%2Fme%3Fx%3D1%23y"]


def test_whose_key_it_is_and_what_can_be_booked(client: CalcomClient, sim: FakeCalcom) -> None:
    assert client.me().name == "Sofia Klein"
    hosts = [{"userId": 502, "name": "Tim"}]
    sim.event_types = [{"id": 4101, "title": "Schnitt", "lengthInMinutes": 45, "hosts": hosts}, {"id": None}]
    (kind,) = client.event_types("12")
    assert (kind.id, kind.minutes, kind.hosts[0].id, kind.needs_confirmation) == (4101, 45, 502, False)


# ---- Problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "Invalid API Key", CalcomRefused),
        (403, "Forbidden", CalcomRefused),
        (404, "Booking was not found", CalcomGone),
        (410, "Gone", CalcomGone),
        (409, "Conflict", CalcomTaken),
        (400, "User either already has booking at this time or is not available", CalcomTaken),
        (500, "no_available_users_found_error", CalcomTaken),
        (400, "Can't cancel booking because it has been cancelled already.", CalcomRejected),
        (422, "start must be a date", CalcomRejected),
        (408, "Timeout", CalcomUnavailable),
        (429, "Too many", CalcomUnavailable),
        (500, "Internal", CalcomUnavailable),
        (503, "Maintenance", CalcomUnavailable),
    ],
)
def test_problems_are_told_apart(
    client: CalcomClient, sim: FakeCalcom, status: int, message: str, kind: type[CalcomProblem]
) -> None:
    sim.fail_next(status, message)
    with pytest.raises(CalcomProblem) as problem:
        client.booking("bk_1")
    assert (type(problem.value), problem.value.status, problem.value.message) == (kind, status, message)


def test_nothing_is_asked_twice_by_itself(client: CalcomClient, sim: FakeCalcom) -> None:
    sim.fail_next(500, times=5)
    with pytest.raises(CalcomUnavailable):
        client.cancel("bk_1", "Krank")
    assert len(sim.asked) == 1


def test_it_is_known_how_long_to_leave_cal_com_alone(client: CalcomClient, sim: FakeCalcom) -> None:
    sim.fail_next(429, Retry_After="17")
    with pytest.raises(CalcomUnavailable) as problem:
        client.booking("bk_1")
    assert problem.value.retry_after == 17


@pytest.mark.parametrize("broken", [requests.ConnectTimeout(), requests.ReadTimeout(), requests.ConnectionError("x")])
def test_a_line_that_breaks_may_have_done_it(
    client: CalcomClient, session: requests.Session, broken: requests.RequestException
) -> None:
    line(session).broken = [broken]
    with pytest.raises(CalcomUnavailable) as problem:
        client.cancel("bk_1", "Krank")
    assert problem.value.status is None


class Answer(requests.adapters.BaseAdapter):
    """Always these bytes."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__()
        self.body, self.status = body, status

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        from io import BytesIO

        answer = requests.Response()
        answer.status_code, answer.request, answer.raw = self.status, request, BytesIO(self.body)
        answer.headers["Location"] = "https://elsewhere.example/"
        return answer

    def close(self) -> None:
        pass


def answering(body: bytes, status: int = 200) -> CalcomClient:
    session = requests.Session()
    session.mount("https://", Answer(body, status))
    return CalcomClient(KEY, BASE, session=session)


BOOKING = {"uid": "b", "status": "accepted", "start": "2027-03-09T09:30:00Z", "end": "2027-03-09T10:15:00Z"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 200, CalcomUnavailable),
        (b"<html>", 200, CalcomUnavailable),
        (b"[]", 200, CalcomUnavailable),
        (b'{"status": "error"}', 200, CalcomUnavailable),
        (b'{"status": "success"}', 200, CalcomUnavailable),
        (b"[" * 50_000, 200, CalcomUnavailable),
        (b"<html>", 404, CalcomUnavailable),
        (b"", 302, CalcomUnavailable),
        (b'{"status": "success", "data": []}', 200, CalcomRejected),
        (b'{"status": "success", "data": null}', 200, CalcomRejected),
        (json.dumps({"status": "success", "data": BOOKING | {"status": "odd"}}).encode(), 200, CalcomRejected),
        (json.dumps({"status": "success", "data": BOOKING | {"start": "soon"}}).encode(), 200, CalcomRejected),
        (b" " * (calcom.LARGEST + 1), 200, CalcomUnavailable),
    ],
    ids=range(13),
)
def test_answers_that_are_none_are_problems_and_nothing_else(
    body: bytes, status: int, kind: type[CalcomProblem]
) -> None:
    with pytest.raises(CalcomProblem) as problem:
        answering(body, status).booking("b")
    assert type(problem.value) is kind


def test_a_booking_with_the_least_that_is_needed_is_read() -> None:
    odd = BOOKING | {"hosts": "none", "attendees": [7], "id": True, "eventTypeId": 2**40}
    found = answering(json.dumps({"status": "success", "data": odd}).encode()).booking("b")
    assert (found.id, found.event_type_id, found.host.id, found.attendees, found.absent) == (None, None, None, (), None)


# ---- The key ----------------------------------------------------------------------------------------------------


def test_the_key_stands_in_no_message_and_no_log(
    client: CalcomClient, sim: FakeCalcom, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sim.fail_next(400, f"the key {KEY} may not do this")
    line(session).broken = [requests.ConnectionError(f"Bearer {KEY}")]
    for _attempt in range(2):
        with pytest.raises(CalcomProblem) as problem:
            client.booking("bk_1")
        assert KEY not in f"{problem.value!r} {problem.value.message} {problem.value.__cause__!r}"
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("key", "base", "production", "may"),
    [
        (KEY, "https://api.cal.com", True, True),
        (KEY, "https://api.cal.com", False, False),
        (KEY, "https://api.cal.com/", False, False),
        (KEY, "http://127.0.0.1:9999", False, True),
        ("demo-calcom", "http://127.0.0.1:9999", False, False),
        ("demo-calcom", "https://api.cal.com", True, False),
        (None, "https://api.cal.com", True, False),
    ],
)
def test_a_key_goes_out_in_production_or_to_an_address_set_on_purpose(
    key: str | None, base: str, production: bool, may: bool
) -> None:
    assert may_ask(key, base, production=production) is may


@pytest.mark.parametrize("base", ["http://calcom.example", "ftp://calcom.example", "calcom.example"])
def test_a_key_never_travels_in_clear_text(base: str) -> None:
    with pytest.raises(ValueError, match="clear text"):
        CalcomClient(KEY, base)


@pytest.mark.parametrize("key", ["", "demo-calcom"])
def test_a_key_that_opens_nothing_makes_no_client(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        CalcomClient(key, BASE)
