"""What asking a service with a company's key has in common: where the key may go, and how an answer is read."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

# The demo's keys are public: they prove the demo's own webhooks and open nothing anywhere.
DEMO_PREFIX = "demo-"
A_DAY = 86400.0
OWN_MACHINE = {"127.0.0.1", "localhost", "::1"}


def opens_something(key: str | None) -> bool:
    return bool(key) and not (key or "").startswith(DEMO_PREFIX)


def is_safe_address(address: str) -> bool:
    """Whether a key may travel there: encrypted, or without leaving this machine."""
    parts = urlsplit(address)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in OWN_MACHINE)
    )


def session_for(address: str, key: str, session: requests.Session | None = None) -> requests.Session:
    """A session that may carry the key there. Raises ``ValueError`` where it must not."""
    if not opens_something(key):
        raise ValueError("no key that could be used")
    if not is_safe_address(address):
        raise ValueError("a key never travels in clear text")
    session = session or requests.Session()
    if urlsplit(address).hostname in OWN_MACHINE:
        session.trust_env = False  # no proxy between this machine and itself
    return session


class Bearer(AuthBase):
    """As `auth`, or a .netrc of this machine would take its place."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer or a webhook, as databases take it; None where it is none."""
    try:
        # NaN and Infinity are no JSON, half of a letter (an emoji that was cut) is no text: no database takes them.
        found = json.loads(raw, parse_constant=lambda name: None)
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def retry_after(answer: requests.Response) -> float | None:
    """``Retry-After`` in seconds, at most a day; None where it is a date or nonsense."""
    try:
        seconds = float(answer.headers.get("Retry-After") or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), A_DAY) if math.isfinite(seconds) else None
