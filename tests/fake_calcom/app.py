"""The simulator: bookings by key, what may be done with them, and faults on order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from flask import Flask, Response, jsonify, request

Json = dict[str, Any]
VERSIONS = {"bookings": "2026-02-25", "event-types": "2024-06-14", "teams": "2024-06-14"}
FIELDS = {
    "reschedule": {"start", "reschedulingReason", "rescheduledBy", "allowConflicts", "allowBookingOutOfBounds"},
    "cancel": {"cancellationReason"},
    "confirm": set(),
    "decline": {"reason"},
    "mark-absent": {"attendees", "host"},
}
BUSY_WORDS = "User either already has booking at this time or is not available"


class ApiError(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass
class FakeCalcom:
    """What Cal.com holds. ``asked`` keeps each question as (method, path, body); ``taken`` are starts nobody gets."""

    keys: set[str] = field(default_factory=set)
    bookings: dict[str, Json] = field(default_factory=dict)
    event_types: list[Json] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    faults: list[ApiError | None] = field(default_factory=list)
    on_deed: Callable[[str, Json], None] | None = None  # after something was done, before it is answered
    portal: Flask | None = None  # whose context that needs
    app: Flask = field(default_factory=lambda: Flask("fake_calcom"))
    numbers: Any = field(default_factory=lambda: count(1))

    def put(self, uid: str, start: datetime, minutes: int = 45, status: str = "accepted", **fields: Any) -> Json:
        """A booking as it stands at Cal.com now."""
        booking: Json = {
            "id": 7000 + next(self.numbers),
            "uid": uid,
            "title": "Damenhaarschnitt zwischen Sofia Klein und Greta Vogel",
            "description": "",
            "hosts": [_user(501, "Sofia Klein", "sofia@salon.example")],
            "status": status,
            "start": _iso(start),
            "end": _iso(start + timedelta(minutes=minutes)),
            "duration": minutes,
            "eventTypeId": 4101,
            "eventType": {"id": 4101, "slug": "damenhaarschnitt"},
            "location": "inPerson",
            "absentHost": False,
            "createdAt": "2027-03-01T09:00:00.000Z",
            "updatedAt": "2027-03-01T09:00:00.000Z",
            "metadata": {},
            "attendees": [
                {
                    "name": "Greta Vogel",
                    "email": "greta.vogel@example.org",
                    "timeZone": "Europe/Berlin",
                    "phoneNumber": "+4915221345678",
                    "language": "de",
                    "absent": False,
                }
            ],
            "guests": [],
            "bookingFieldsResponses": {},
        } | fields
        self.bookings[uid] = booking
        return booking

    def fail_next(self, status: int, message: str = "Not now.", times: int = 1, after: int = 0, **headers: str) -> None:
        """The next questions get this answer, once ``after`` others went well. Headers: ``Retry_After="3"``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults += [None] * after + [ApiError(status, message, named) for _ in range(times)]

    def deeds(self) -> list[str]:
        """What was asked to be done, in order: ``reschedule``, ``cancel`` …"""
        return [path.rpartition("/")[2] for method, path, _body in self.asked if method == "POST"]

    def standing(self) -> list[Json]:
        """The bookings that are not over."""
        return [booking for booking in self.bookings.values() if booking["status"] in ("accepted", "pending")]


def create_fake_calcom(*keys: str) -> FakeCalcom:
    sim = FakeCalcom(keys=set(keys))
    app = sim.app
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a mistake of a test is no answer of Cal.com's
    app.add_url_rule("/v2/me", "me", lambda: _data(_user(501, "Sofia Klein", "sofia@salon.example")))
    app.add_url_rule("/v2/event-types", "event_types", lambda: _data(sim.event_types))
    app.add_url_rule("/v2/teams/<team>/event-types", "team", lambda team: _data(sim.event_types))
    app.add_url_rule("/v2/bookings/<uid>", "booking", lambda uid: _data(_known(sim, uid)))
    for deed, run in DEEDS.items():
        app.add_url_rule(f"/v2/bookings/<uid>/{deed}", deed, _doing(sim, deed, run), methods=["POST"])
    app.before_request(lambda: _check(sim))
    app.register_error_handler(ApiError, _say_no)
    return sim


def _check(sim: FakeCalcom) -> None:
    body = request.get_json(silent=True)
    sim.asked.append((request.method, request.path, body))
    fault = sim.faults.pop(0) if sim.faults else None
    if fault is not None:
        raise fault
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or key not in sim.keys:
        raise ApiError(401, "Invalid API Key")
    part = request.path.split("/")[2]
    if part in VERSIONS and request.headers.get("cal-api-version") != VERSIONS[part]:
        raise ApiError(404, f"Cannot {request.method} {request.path}")


def _doing(sim: FakeCalcom, deed: str, run: Callable[[FakeCalcom, Json, Json], Json]) -> Callable[[str], Response]:
    def view(uid: str) -> Response:
        body = request.get_json(silent=True) or {}
        if set(body) - FIELDS[deed]:
            raise ApiError(400, f"property {sorted(set(body) - FIELDS[deed])} should not exist")
        done = run(sim, _known(sim, uid), body)
        if sim.on_deed is not None and sim.portal is not None:
            with sim.portal.app_context():
                sim.on_deed(deed, copy.deepcopy(done))
        return _data(done)

    return view


def _known(sim: FakeCalcom, uid: str) -> Json:
    if uid not in sim.bookings:
        raise ApiError(404, f"Booking with uid={uid} was not found in the database")
    return sim.bookings[uid]


def _reschedule(sim: FakeCalcom, old: Json, body: Json) -> Json:
    if old["status"] not in ("accepted", "pending"):
        further = old.get("rescheduledToUid")
        why = f"It was rescheduled to booking with uid={further}" if further else "It is over"
        raise ApiError(400, f"Can't reschedule booking with uid={old['uid']} because it has been cancelled. {why}")
    if body["start"] in sim.taken and not body.get("allowConflicts"):
        raise ApiError(400, BUSY_WORDS)
    start = datetime.fromisoformat(body["start"])
    new = sim.put(f"{old['uid']}-m{next(sim.numbers)}", start, old["duration"], old["status"])
    new |= {name: copy.deepcopy(old[name]) for name in ("hosts", "attendees", "eventTypeId")}
    new |= {"rescheduledFromUid": old["uid"], "reschedulingReason": body.get("reschedulingReason")}
    old |= {"status": "cancelled", "rescheduledToUid": new["uid"]}
    return new


def _cancel(sim: FakeCalcom, booking: Json, body: Json) -> Json:
    if booking["status"] == "cancelled":
        raise ApiError(400, f"Can't cancel booking with uid={booking['uid']} because it has been cancelled already.")
    booking |= {"status": "cancelled", "cancellationReason": body.get("cancellationReason")}
    return booking


def _confirm(sim: FakeCalcom, booking: Json, body: Json) -> Json:
    if booking["status"] != "pending":
        raise ApiError(400, "Booking already confirmed" if booking["status"] == "accepted" else "Booking is over")
    booking["status"] = "accepted"
    return booking


def _decline(sim: FakeCalcom, booking: Json, body: Json) -> Json:
    if booking["status"] != "pending":
        raise ApiError(400, "Booking is not pending")
    booking |= {"status": "rejected", "rejectionReason": body.get("reason")}
    return booking


def _absent(sim: FakeCalcom, booking: Json, body: Json) -> Json:
    marks = {mark["email"]: mark["absent"] for mark in body["attendees"]}
    for attendee in booking["attendees"]:
        attendee["absent"] = marks.get(attendee["email"], attendee["absent"])
    return booking


DEEDS = {
    "reschedule": _reschedule,
    "cancel": _cancel,
    "confirm": _confirm,
    "decline": _decline,
    "mark-absent": _absent,
}


def _data(data: Any) -> Response:
    return jsonify(status="success", data=data)


def _say_no(error: ApiError) -> Response:
    code = {400: "BadRequestException", 404: "NotFoundException", 401: "UnauthorizedException"}.get(
        error.status, "ERROR"
    )
    answer = jsonify(
        status="error", timestamp="2027-03-01T09:00:00.000Z", error={"code": code, "message": error.message}
    )
    answer.status_code = error.status
    answer.headers.update(error.headers)
    return answer


def _user(number: int, name: str, email: str) -> Json:
    return {
        "id": number,
        "name": name,
        "email": email,
        "username": name.split()[0].lower(),
        "timeZone": "Europe/Berlin",
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
