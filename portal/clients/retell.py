"""Retell, seen from here: the only file that asks it. One company's key a client.

Calls come back as Retell's own objects; ``domain/call_reports.py`` reads them. Nothing here changes anything at
Retell, so every question may be asked again. The key goes into one header and nowhere else: into no message, no log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

from portal.clients import keyed_http

RETELL = "https://api.retellai.com"
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 4.0, 20.0
PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
LONGEST_PAUSE = 5.0  # seconds; who is asked to wait longer comes again in the next round
PAGE = 200  # calls; Retell gives at most 1,000
REFUSED = {401, 402, 403}
BUSY = {408, 409, 429}
LONGEST_MESSAGE = 300

Call = dict[str, Any]


def may_ask(key: str | None, api_base: str, *, production: bool) -> bool:
    """The one rule for whether a company's key goes out: never a demo's key, and never by accident.

    Outside of production a database may hold anybody's keys, so Retell is asked only where ``RETELL_API_BASE`` says so.
    """
    return keyed_http.opens_something(key) and (production or bool(api_base))


class RetellProblem(Exception):
    """Base of everything that asking Retell can raise. ``status`` is HTTP's, None without an answer."""

    def __init__(self, message: str, status: int | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after = retry_after


class RetellUnavailable(RetellProblem):
    """No answer, 408, 409, 429, 5xx, or nothing that can be read: ask again later."""

    @property
    def silent(self) -> bool:
        """Nobody answered at all, so other companies need not ask now either."""
        return self.status is None


class RetellRefused(RetellProblem):
    """401, 402, 403: this key opens nothing (any more)."""


class RetellRejected(RetellProblem):
    """The question itself is wrong; asking again changes nothing."""


@dataclass(frozen=True)
class Page:
    """Calls without transcript and recording, the oldest first; ``cursor`` leads to the next page, None at the end."""

    calls: list[Call]
    cursor: str | None


class RetellClient:
    """Retell with one company's key. ``session`` and ``sleep`` are for tests."""

    def __init__(
        self,
        key: str,
        api_base: str = "",
        *,
        session: requests.Session | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._base = (api_base or RETELL).rstrip("/")
        self._key, self._sleep = key, sleep
        self._session = keyed_http.session_for(self._base, key, session)

    def get_call(self, call_id: str) -> Call | None:
        """Everything about one call; None where Retell knows no such call under this key. Raises `RetellProblem`."""
        try:
            found = self._ask("GET", f"/v2/get-call/{quote(call_id, safe='')}")
        except RetellRejected as problem:
            # Documented is 422 ("Cannot find requested asset under given api key"); others were seen to answer 404.
            if problem.status in {404, 422}:
                return None
            raise
        if found.get("call_id") != call_id:
            raise RetellUnavailable("the answer is about another call", 200)
        return found

    def list_calls(self, since: datetime, cursor: str | None = None, limit: int = PAGE) -> Page:
        """One page of the calls that started at ``since`` or later. Raises `RetellProblem`."""
        started = {"type": "number", "op": "ge", "value": int(since.timestamp() * 1000)}
        body: dict[str, Any] = {
            "filter_criteria": {"start_timestamp": started},
            "sort_order": "ascending",
            "limit": limit,
        }
        if cursor:
            body["pagination_key"] = cursor
        found = self._ask("POST", "/v3/list-calls", body)
        items, more = found.get("items"), found.get("pagination_key")
        if not isinstance(items, list):
            raise RetellUnavailable("the answer is no list of calls", 200)
        further = str(more) if found.get("has_more") and more and more != cursor else None
        return Page([item for item in items if isinstance(item, dict)], further)

    # ---- One question -------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask up to three times, waiting as long as Retell wishes or a little longer each time."""
        for pause in PAUSES:
            try:
                return self._once(method, path, body)
            except RetellUnavailable as problem:
                wait = pause if problem.retry_after is None else problem.retry_after
                if wait > LONGEST_PAUSE:
                    raise
                self._sleep(wait)
        return self._once(method, path, body)

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session.request(
                method,
                f"{self._base}{path}",
                json=body,
                auth=keyed_http.Bearer(self._key),
                timeout=(CONNECT_TIMEOUT, ANSWER_TIMEOUT),
                allow_redirects=False,  # the key is for this address alone
            )
        except requests.RequestException as problem:
            raise RetellUnavailable(type(problem).__name__) from None  # its text may hold the whole request
        found = keyed_http.json_object(answer.content)
        if answer.status_code != 200:
            raise self._problem(answer, found)
        if found is None:
            raise RetellUnavailable("the answer is no JSON object", 200)
        return found

    def _problem(self, answer: requests.Response, said: dict[str, Any] | None) -> RetellProblem:
        status = answer.status_code
        words = str((said or {}).get("message") or f"HTTP {status}").replace(self._key, "…")[:LONGEST_MESSAGE]
        if status in BUSY or status >= 500:
            return RetellUnavailable(words, status, retry_after=keyed_http.retry_after(answer))
        if status in REFUSED:
            return RetellRefused(words, status)
        if said is None or status < 400:
            # Not Retell's way to say no: a wrong address, or something in between.
            return RetellUnavailable(words, status)
        return RetellRejected(words, status)
