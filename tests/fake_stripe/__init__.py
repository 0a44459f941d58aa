"""A Stripe that runs without Stripe: its API, its Checkout page, its signed webhooks. For tests and for the demo.

    sim = create_fake_stripe()
    gateway = StripeGateway("sk_test_demo", "http://stripe.invalid", "whsec_demo", sim.http_client())

As a server: python -m tests.fake_stripe --port 0 --webhook-url http://127.0.0.1:8000/webhooks/stripe
"""

from tests.fake_stripe.app import Simulator, create_fake_stripe
from tests.fake_stripe.core import DEFAULT_SECRET, FakeStripe
from tests.fake_stripe.inprocess import InProcessClient
from tests.fake_stripe.webhooks import Webhook, sign

__all__ = ["DEFAULT_SECRET", "FakeStripe", "InProcessClient", "Simulator", "Webhook", "create_fake_stripe", "sign"]
