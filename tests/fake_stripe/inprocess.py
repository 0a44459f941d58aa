"""The real stripe library talking to the simulator without a socket."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe
from flask import Flask
from requests.structures import CaseInsensitiveDict
from werkzeug.test import Client

from tests.fake_stripe.api import AnswerLostError


class InProcessClient(stripe.HTTPClient):
    """For stripe.StripeClient: calls the Flask app instead of the network. `calls` keeps what was asked."""

    name = "in-process"

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.client = Client(app)
        self.calls: list[tuple[str, str]] = []

    def request(  # type: ignore[override]  # the library's own clients leave `_usage` out, too
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        self.calls.append((method.upper(), parts.path))
        try:
            answer = self.client.open(
                parts.path,
                method=method.upper(),
                base_url=f"{parts.scheme}://{parts.netloc}",
                query_string=parts.query,
                headers=dict(headers or {}),
                data=post_data,
            )
        except AnswerLostError as lost:
            raise _broken(lost) from lost
        return answer.get_data(as_text=True), answer.status_code, CaseInsensitiveDict(answer.headers)

    def _sleep_time_seconds(self, num_retries: int) -> float:
        return 0.0  # tests don't wait between retries

    def close(self) -> None:
        self.client.delete_cookie("session")


def _broken(lost: Exception) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(str(lost), should_retry=True)  # type: ignore[no-untyped-call]
