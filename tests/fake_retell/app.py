"""The simulator: calls by key, two endpoints, and faults on order."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request
from retell.types import call_list_params as params

Call = dict[str, Any]
NOT_LISTED = ("transcript", "transcript_object", "transcript_with_tool_calls", "recording_url")
MISSING = "Cannot find requested asset under given api key."
ORDERS = {"ascending", "descending"}
MOST = 1000


class ApiError(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass
class FakeRetell:
    """What Retell holds. ``asked`` keeps each question as (method, path); ``app`` is the WSGI app."""

    calls: dict[str, dict[str, Call]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: list[ApiError] = field(default_factory=list)
    app: Flask = field(default_factory=lambda: Flask("fake_retell"))

    def open(self, key: str) -> None:
        """A workspace with this key."""
        self.calls.setdefault(key, {})

    def put(self, key: str, call: Call) -> None:
        """A call as it stands at Retell now, in place of what it was."""
        self.calls.setdefault(key, {})[call["call_id"]] = copy.deepcopy(call)

    def fail_next(self, status: int, message: str = "Not now.", times: int = 1, **headers: str) -> None:
        """The next so many questions get this answer. Headers: ``Retry_After="3"``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults += [ApiError(status, message, named) for _ in range(times)]

    def fetched(self) -> Counter[str]:
        """How often each call was asked for by its id."""
        return Counter(path.rpartition("/")[2] for method, path in self.asked if method == "GET")


def create_fake_retell(*keys: str) -> FakeRetell:
    sim = FakeRetell()
    for key in keys:
        sim.open(key)
    sim.app.add_url_rule("/v2/get-call/<call_id>", "get", lambda call_id: _get(sim, call_id))
    sim.app.add_url_rule("/v3/list-calls", "list", lambda: _list(sim), methods=["POST"])
    sim.app.before_request(lambda: _note(sim))
    sim.app.register_error_handler(ApiError, _say_no)
    return sim


def _note(sim: FakeRetell) -> None:
    sim.asked.append((request.method, request.path))
    if sim.faults:
        raise sim.faults.pop(0)


def _say_no(error: ApiError) -> Response:
    answer = jsonify(status="error", message=error.message)
    answer.status_code = error.status
    answer.headers.update(error.headers)
    return answer


def _workspace(sim: FakeRetell) -> dict[str, Call]:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or key not in sim.calls:
        raise ApiError(401, "API key is missing or invalid.")
    return sim.calls[key]


def _get(sim: FakeRetell, call_id: str) -> Response:
    call = _workspace(sim).get(call_id)
    if call is None:
        raise ApiError(422, MISSING)
    return jsonify(call)


def _list(sim: FakeRetell) -> Response:
    workspace, body = _workspace(sim), request.get_json()
    _check(body)
    found = [call for call in workspace.values() if _matches(call, body.get("filter_criteria", {}))]
    found.sort(key=lambda call: call["start_timestamp"], reverse=body.get("sort_order") != "ascending")
    first = int(body["pagination_key"].removeprefix("after-")) if "pagination_key" in body else 0
    last = first + body.get("limit", 50)
    items = [{name: value for name, value in call.items() if name not in NOT_LISTED} for call in found[first:last]]
    page: dict[str, Any] = {"has_more": last < len(found), "items": items}
    if page["has_more"]:
        page["pagination_key"] = f"after-{last}"
    return jsonify(page)


def _check(body: Any) -> None:
    """What the library's own types do not know, Retell would not understand either."""
    known, filters = params.CallListParams.__annotations__, params.FilterCriteria.__annotations__
    if not isinstance(body, dict) or set(body) - set(known) or set(body.get("filter_criteria", {})) - set(filters):
        raise ApiError(400, "Invalid request format, please check API reference.")
    wrong = body.get("sort_order", "ascending") not in ORDERS or not 0 < body.get("limit", 50) <= MOST
    if wrong:
        raise ApiError(400, "Invalid request format, please check API reference.")


def _matches(call: Call, criteria: dict[str, Any]) -> bool:
    """The one filter that the portal uses; a call that has never begun has no start to be found by."""
    for name, wanted in criteria.items():
        if name != "start_timestamp" or (wanted["type"], wanted["op"]) != ("number", "ge"):
            raise ApiError(400, f"the simulator does not know this filter: {name}")
        if call.get("start_timestamp") is None or call["start_timestamp"] < wanted["value"]:
            return False
    return True
