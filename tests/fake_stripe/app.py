"""The Flask app around a FakeStripe."""

import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from tests.fake_stripe import api, control, pages
from tests.fake_stripe.core import DEFAULT_SECRET, FakeStripe
from tests.fake_stripe.inprocess import InProcessClient


class Simulator(FakeStripe):
    """FakeStripe with its pages: `app` is the WSGI app, http_client() connects the real stripe library to it."""

    app: Flask

    def http_client(self) -> InProcessClient:
        return InProcessClient(self.app)


def create_fake_stripe(
    *,
    webhook_url: str | None = None,
    secret: str = DEFAULT_SECRET,
    state_file: Path | None = None,
    base_url: str | None = None,
    settle_after: float | None = None,
    now: Callable[[], float] = time.time,
) -> Simulator:
    """A simulator that does nothing by itself until start(). settle_after: seconds until a debit settles, or never."""
    sim = Simulator(
        webhook_url=webhook_url,
        secret=secret,
        state_file=state_file,
        base_url=base_url,
        settle_after=settle_after,
        now=now,
    )
    app = Flask("fake_stripe", root_path=str(Path(__file__).parent), static_url_path="/_static")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["fake_stripe"] = sim
    api.register(app, sim)
    pages.register(app, sim)
    control.register(app, sim)
    app.add_url_rule("/healthz", "healthz", lambda: "ok")
    sim.app = app
    return sim
