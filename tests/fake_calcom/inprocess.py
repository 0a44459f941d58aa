"""The portal's client talking to the simulator without a socket; the line may break before the question or after it."""

from __future__ import annotations

from typing import Any

import requests
from flask import Flask

from tests.fake_retell.inprocess import WsgiAdapter


class LineAdapter(WsgiAdapter):
    """``cut``: so many answers are lost after the simulator has done what was asked."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.cut = 0

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        answer = super().send(request, **options)
        if self.cut and request.method == "POST":
            self.cut -= 1
            raise requests.ReadTimeout("the answer never came")
        return answer


def session_for(app: Flask) -> requests.Session:
    """A session of the requests library in which every address is the app."""
    session, adapter = requests.Session(), LineAdapter(app)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session
