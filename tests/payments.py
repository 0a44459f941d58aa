"""The portal with Stripe's simulator behind it, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from portal.clients.stripe import StripeGateway
from tests.conftest import TEST_SETTINGS, PortalClient
from tests.fake_stripe import Simulator, create_fake_stripe

SECRET = TEST_SETTINGS.stripe_webhook_secret


@contextmanager
def simulated_stripe(app: Flask) -> Iterator[Simulator]:
    """Every gateway of ``app`` talks to this simulator; no socket is opened."""
    sim = create_fake_stripe(secret=SECRET)
    gateway = StripeGateway(
        TEST_SETTINGS.stripe_secret_key, "http://stripe.invalid", SECRET, sim.http_client(), retries=0
    )
    before = app.extensions.get("stripe")
    app.extensions["stripe"] = {"gateway": gateway}
    try:
        yield sim
    finally:
        app.extensions.pop("stripe")
        if before is not None:
            app.extensions["stripe"] = before


def post_webhook(client: PortalClient, body: bytes, headers: dict[str, str]) -> int:
    """As Stripe sends it: without a session and without a CSRF token."""
    fresh = client.application.test_client()
    return int(fresh.open("/webhooks/stripe", method="POST", data=body, headers=headers).status_code)
