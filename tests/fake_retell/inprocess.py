"""The portal's client talking to the simulator without a socket."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from requests.adapters import BaseAdapter
from werkzeug.test import Client


class WsgiAdapter(BaseAdapter):
    """For a requests.Session: calls the app instead of the network. ``broken``: raise this instead, so many times."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.client = Client(app)
        self.broken: list[requests.RequestException] = []
        self.seen: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.seen.append(request)
        if self.broken:
            raise self.broken.pop(0)
        parts = urlsplit(request.url or "")
        made = self.client.open(
            str(parts.path),
            method=request.method or "GET",
            base_url=f"{parts.scheme!s}://{parts.netloc!s}",
            query_string=str(parts.query),
            headers=dict(request.headers),
            data=request.body,
        )
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = made.status_code, request.url or "", request
        answer.headers.update(made.headers)
        answer.raw = BytesIO(made.get_data())
        return answer

    def close(self) -> None:
        self.client.delete_cookie("session")


def session_for(app: Flask) -> requests.Session:
    """A session of the requests library in which every address is the app."""
    session, adapter = requests.Session(), WsgiAdapter(app)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session
