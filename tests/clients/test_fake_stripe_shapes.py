"""The simulator's answers against the stripe package's own annotations: an upgrade that changes them fails here."""

from typing import Any

import pytest
import stripe
from stripe._error_object import ErrorObject

from tests.fake_stripe import Simulator, create_fake_stripe
from tests.fake_stripe.shapes import problems

LINE = {"price_data": {"currency": "eur", "unit_amount": 11900, "product_data": {"name": "Guthaben"}}, "quantity": 1}
URLS = {"success_url": "http://portal.invalid/done", "cancel_url": "http://portal.invalid/back"}


def connected(sim: Simulator) -> stripe.StripeClient:
    base = {"api": "http://stripe.invalid"}
    return stripe.StripeClient("sk_test_x", base_addresses=base, http_client=sim.http_client(), max_network_retries=0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lived() -> Simulator:
    """A simulator in which everything has happened once."""
    sim = create_fake_stripe()
    client = connected(sim)
    customer = client.v1.customers.create(
        {"name": "Salon", "email": "a@salon.example", "metadata": {"tenant_id": "s"}}
    ).id

    def session(**more: Any) -> str:
        return client.v1.checkout.sessions.create({"customer": customer, **URLS, **more}).id  # type: ignore[arg-type]

    payment: dict[str, Any] = {"mode": "payment", "line_items": [LINE], "locale": "de"}
    sim.pay(session(**payment, allowed_payment_method_types=["card", "sepa_debit"]))
    sim.pay(session(**payment, payment_intent_data={"setup_future_usage": "off_session"}))
    sim.settle(debit := sim.pay(session(**payment), "sepa_debit")["payment_intent"])
    sim.bounce(sim.pay(session(**payment), "sepa_debit")["payment_intent"])
    sim.pay(session(**payment), "sepa_debit")
    sim.decline(session(**payment, saved_payment_method_options={"payment_method_save": "enabled"}))
    sim.expire(session(**payment))
    for kind in ("card", "sepa_debit"):
        sim.pay(session(mode="setup", currency="eur"), kind)
    sim.decline(session(mode="setup", currency="eur"))
    first, second = [one["id"] for one in sim.all("payment_intent")][:2]
    sim.finish_refund(sim.refund(first, 1900)["id"], "failed")
    sim.refund(first)
    sim.finish_refund(sim.refund(debit, 100)["id"], "succeeded")
    sim.close_dispute(sim.dispute(second)["id"], "won")
    sim.dispute(debit)
    client.v1.payment_methods.detach(sim.save_method(customer)["id"])
    return sim


KINDS = (
    "checkout.session",
    "payment_intent",
    "charge",
    "refund",
    "dispute",
    "setup_intent",
    "payment_method",
    "customer",
    "event",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_has_the_fields_and_kinds_that_the_package_names(lived: Simulator, kind: str) -> None:
    made = lived.all(kind)
    assert made
    assert [bad for one in made for bad in problems(one)] == []


def test_the_object_inside_every_event_is_right_too(lived: Simulator) -> None:
    assert [bad for one in lived.events() for bad in problems(one["data"]["object"], None, one["type"])] == []


def test_every_event_was_seen_that_the_portal_listens_to(lived: Simulator) -> None:
    heard = {
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.closed",
        "setup_intent.succeeded",
        "setup_intent.setup_failed",
        "payment_method.attached",
        "payment_method.detached",
    }
    assert heard <= {one["type"] for one in lived.events()}


def test_expanded_parts_have_their_own_shape(lived: Simulator) -> None:
    client = connected(lived)
    paid = next(one for one in lived.all("checkout.session") if one["payment_status"] == "paid")
    wanted = ["line_items", "customer", "payment_intent.latest_charge.refunds", "payment_intent.payment_method"]
    session = client.v1.checkout.sessions.retrieve(paid["id"], {"expand": wanted}).to_dict()
    assert session["payment_intent"]["latest_charge"]["refunds"]["data"]
    assert session["line_items"]["data"][0]["amount_total"] == 11900
    assert problems(session) == []


def test_a_refused_payment_answers_with_an_error_object_of_the_package(lived: Simulator) -> None:
    client = connected(lived)
    customer = lived.all("customer")[0]["id"]
    method = lived.save_method(customer, behaviour="insufficient_funds")["id"]
    with pytest.raises(stripe.CardError) as refusal:
        client.v1.payment_intents.create(
            {
                "amount": 5000,
                "currency": "eur",
                "customer": customer,
                "payment_method": method,
                "confirm": True,
                "off_session": True,
                "allowed_payment_method_types": ["card"],
            }
        )
    body = refusal.value.json_body
    assert isinstance(body, dict)
    assert problems(body["error"], ErrorObject) == []
    assert body["error"]["decline_code"] == "insufficient_funds"
    assert body["error"]["payment_intent"]["status"] == "requires_payment_method"


def test_the_checker_sees_what_is_missing_invented_or_of_the_wrong_kind(lived: Simulator) -> None:
    good = lived.all("refund")[0]
    bad = {key: value for key, value in good.items() if key != "amount"} | {"amount_eur": "1", "created": "yesterday"}
    assert problems(bad) == [
        "Refund.amount_eur: unknown to the package",
        "Refund.amount: missing",
        "Refund.created: 'yesterday' is no <class 'int'>",
    ]
    assert problems(good | {"reason": "bored"})[0].startswith("Refund.reason: 'bored' is none of")
