"""The gateway against the simulator, through the real stripe library, in this process."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
import stripe
from hypothesis import given
from hypothesis import strategies as st

from portal.clients import stripe as gateway_module
from portal.clients.stripe import (
    CheckoutState,
    SignatureError,
    StripeDeclined,
    StripeGateway,
    StripeRejected,
    StripeUnavailable,
    to_cents,
    to_euros,
)
from tests.fake_stripe import InProcessClient, Simulator, create_fake_stripe, sign

BASE = "http://stripe.invalid"
SECRET = "whsec_tests"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    return create_fake_stripe(secret=SECRET, now=clock)


@pytest.fixture
def wire(sim: Simulator) -> InProcessClient:
    return sim.http_client()


@pytest.fixture
def gateway(wire: InProcessClient) -> StripeGateway:
    return StripeGateway("sk_test_tests", BASE, SECRET, wire)


@pytest.fixture
def customer(gateway: StripeGateway) -> str:
    return gateway.ensure_customer(
        "salon-morgenrot", "Salon Morgenrot", "a@salon.example", idempotency_key="customer:1"
    )


def topup(gateway: StripeGateway, customer: str, id: int = 17, **changes: Any) -> CheckoutState:
    wanted: dict[str, Any] = {
        "net": Decimal("100.00"),
        "tax": Decimal("19.00"),
        "gross": Decimal("119.00"),
        "description": "Guthaben, netto",
        "tax_description": "Umsatzsteuer 19 %",
        "success_url": f"http://portal.invalid/balance/topups/{id}?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": "http://portal.invalid/balance",
        "locale": "de",
        "idempotency_key": f"topup:{id}",
    }
    return gateway.create_topup_session(id, "salon-morgenrot", customer, **(wanted | changes))


def setup(gateway: StripeGateway, customer: str) -> str:
    return gateway.create_setup_session(
        "salon-morgenrot",
        customer,
        reference="consent:3",
        success_url="http://portal.invalid/balance/auto-topup",
        cancel_url="http://portal.invalid/balance",
        locale="de",
        idempotency_key="setup:3",
    ).session_id


def charge(gateway: StripeGateway, customer: str, method: str, key: str = "auto:9") -> gateway_module.PaymentState:
    return gateway.charge_off_session(
        9, "salon-morgenrot", customer, method, gross=Decimal("59.50"), description="Aufladung 9", idempotency_key=key
    )


# ---------- euros and cents ----------


@pytest.mark.parametrize(
    ("euros", "cents"), [("119.00", 11900), ("0.01", 1), ("5950", 595000), ("-1.10", -110), ("0", 0)]
)
def test_euros_become_cents_and_come_back(euros: str, cents: int) -> None:
    assert to_cents(Decimal(euros)) == cents
    assert to_euros(cents) == Decimal(euros)
    assert to_euros(cents).as_tuple().exponent == -2


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_no_cent_is_lost_on_the_way_there_and_back(cents: int) -> None:
    assert to_cents(to_euros(cents)) == cents


@pytest.mark.parametrize("bad", [Decimal("0.001"), Decimal("NaN"), Decimal("Infinity"), 1.1, "1.10", 110])
def test_what_is_no_whole_number_of_cents_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"decimal places|not an amount"):
        to_cents(bad)


@pytest.mark.parametrize("bad", [1.0, "100", True, None])
def test_what_is_no_integer_is_no_amount_of_cents(bad: Any) -> None:
    with pytest.raises(ValueError, match="not cents"):
        to_euros(bad)


# ---------- keys and addresses ----------


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_a_live_key_is_never_sent_to_another_address(key: str) -> None:
    with pytest.raises(ValueError, match="live"):
        StripeGateway(key, BASE, SECRET)
    assert StripeGateway(key, None, SECRET).livemode


def test_without_a_key_there_is_no_gateway() -> None:
    with pytest.raises(ValueError, match="no Stripe key"):
        StripeGateway("", BASE, SECRET)


def test_nothing_is_told_about_our_machine() -> None:
    assert stripe.enable_telemetry is False


def test_a_call_waits_for_seconds_not_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def record(self: Any, method: str, url: str, **more: Any) -> Any:
        seen.append((more["timeout"], self.trust_env))
        raise requests.exceptions.ConnectTimeout("away")

    monkeypatch.setattr(requests.Session, "request", record)
    with pytest.raises(StripeUnavailable):
        StripeGateway("sk_test_x", "http://127.0.0.1:9", SECRET, retries=0).get_session("cs_test_1")
    assert seen == [((4.0, 25.0), False)]


# ---------- customers ----------


def test_the_customer_carries_the_companys_reference(sim: Simulator, customer: str) -> None:
    made = sim.get(customer)
    assert (made["name"], made["email"]) == ("Salon Morgenrot", "a@salon.example")
    assert made["metadata"] == {"tenant_id": "salon-morgenrot"}


def test_asking_twice_makes_one_customer(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    again = gateway.ensure_customer(
        "salon-morgenrot", "Salon Morgenrot", "a@salon.example", idempotency_key="customer:1"
    )
    assert again == customer
    assert gateway.ensure_customer("x", "x", None, customer_id=customer, idempotency_key="customer:2") == customer
    assert len(sim.all("customer")) == 1


def test_a_customer_deleted_at_stripe_is_made_anew(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    sim.store.get("customer", customer)["deleted"] = True
    made = gateway.ensure_customer(
        "salon-morgenrot", "Salon", None, customer_id=customer, idempotency_key="customer:1:2"
    )
    assert made != customer
    gone = gateway.ensure_customer("s", "Salon", None, customer_id="cus_unknown", idempotency_key="customer:1:3")
    assert gone not in {made, customer}


# ---------- paying in Checkout ----------


def test_checkout_shows_net_and_tax_and_charges_their_sum(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    state = topup(gateway, customer)
    lines = sim.store.lines(state.session_id)["data"]
    assert [(one["description"], one["amount_total"]) for one in lines] == [
        ("Guthaben, netto", 10000),
        ("Umsatzsteuer 19 %", 1900),
    ]
    assert (state.amount_total, state.currency, state.customer_id) == (Decimal("119.00"), "eur", customer)
    assert (state.status, state.payment_status, state.payment_intent_id) == ("open", "unpaid", None)
    assert state.url == f"{BASE}/c/pay/{state.session_id}"
    assert sim.get(state.session_id)["payment_method_types"] == ["card", "sepa_debit"]


def test_our_row_is_named_on_the_session_and_on_the_payment(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    state = topup(gateway, customer)
    sim.pay(state.session_id)
    state = gateway.get_session(state.session_id)
    payment = gateway.get_payment_intent(str(state.payment_intent_id))
    assert state.client_reference_id == "17"
    assert dict(state.metadata) == dict(payment.metadata) == {"topup_id": "17", "tenant_id": "salon-morgenrot"}
    assert (state.topup_id, payment.topup_id) == (17, 17)


def test_without_tax_there_is_one_line(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    state = topup(gateway, customer, tax=Decimal("0.00"), gross=Decimal("100.00"))
    assert len(sim.store.lines(state.session_id)["data"]) == 1
    assert state.amount_total == Decimal("100.00")


def test_figures_that_do_not_add_up_never_leave_the_house(wire: InProcessClient, gateway: StripeGateway) -> None:
    with pytest.raises(ValueError, match="do not make"):
        topup(gateway, "cus_x", gross=Decimal("119.01"))
    assert wire.calls == []


def test_a_paid_session_says_by_what_and_where_the_receipt_is(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    id = topup(gateway, customer).session_id
    sim.pay(id)
    state = gateway.get_session(id)
    assert (state.status, state.payment_status, state.payment_intent_status) == ("complete", "paid", "succeeded")
    assert state.payment_method == "Visa ···· 4242"
    assert state.receipt_url
    assert state.receipt_url.endswith(str(state.charge_id))
    assert state.url is None


def test_a_declined_attempt_leaves_the_session_open_with_the_reason(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    id = topup(gateway, customer).session_id
    sim.decline(id, "insufficient_funds")
    state = gateway.get_session(id)
    assert (state.status, state.payment_status) == ("open", "unpaid")
    assert (state.failure_code, state.failure_message) == ("insufficient_funds", "Your card has insufficient funds.")
    sim.pay(id)
    assert gateway.get_session(id).failure_code is None


@pytest.mark.parametrize(
    ("end", "status", "payment_status"),
    [("settle", "succeeded", "paid"), ("bounce", "requires_payment_method", "unpaid")],
)
def test_a_debit_is_pending_until_it_settles_or_bounces(
    sim: Simulator, gateway: StripeGateway, customer: str, end: str, status: str, payment_status: str
) -> None:
    id = topup(gateway, customer).session_id
    sim.pay(id, "sepa_debit")
    state = gateway.get_session(id)
    assert (state.status, state.payment_status, state.payment_intent_status) == ("complete", "unpaid", "processing")
    assert state.payment_method == "SEPA ···· 3000"
    getattr(sim, end)(id)
    state = gateway.get_session(id)
    assert (state.payment_intent_status, state.payment_status) == (status, payment_status)
    assert state.failure_code == (None if end == "settle" else "insufficient_funds")


def test_a_session_can_be_expired_once(gateway: StripeGateway, customer: str) -> None:
    id = topup(gateway, customer).session_id
    assert gateway.expire_session(id).status == "expired"
    with pytest.raises(StripeRejected):
        gateway.expire_session(id)


def test_an_open_session_expires_by_itself(clock: Clock, gateway: StripeGateway, customer: str) -> None:
    soon = datetime.fromtimestamp(NOW, UTC) + timedelta(minutes=31)
    id = topup(gateway, customer, expires_at=soon).session_id
    assert gateway.get_session(id).expires_at == soon
    clock.now += 32 * 60
    assert gateway.get_session(id).status == "expired"


# ---------- saving and charging without the payer ----------


@pytest.mark.parametrize(("kind", "label"), [("card", "Visa ···· 4242"), ("sepa_debit", "SEPA ···· 3000")])
def test_a_saved_method_belongs_to_the_customer(
    sim: Simulator, gateway: StripeGateway, customer: str, kind: Any, label: str
) -> None:
    id = setup(gateway, customer)
    assert gateway.get_setup_session(id).setup_status == "requires_payment_method"
    sim.pay(id, kind)
    state = gateway.get_setup_session(id)
    assert (state.status, state.setup_status, state.payment_method_kind) == ("complete", "succeeded", kind)
    assert (state.payment_method, state.client_reference_id) == (label, "consent:3")
    assert (state.mandate_id is not None) == (kind == "sepa_debit")
    assert sim.get(str(state.payment_method_id))["customer"] == customer


def test_a_refused_card_is_not_saved(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    id = setup(gateway, customer)
    sim.decline(id, "expired_card")
    state = gateway.get_setup_session(id)
    assert (state.status, state.payment_method_id, state.failure_code) == ("open", None, "expired_card")


def test_a_good_card_pays_at_once_and_a_debit_later(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    card = charge(gateway, customer, sim.save_method(customer)["id"], "auto:1")
    assert (card.status, card.amount_received, card.topup_id) == ("succeeded", Decimal("59.50"), 9)
    debit = charge(gateway, customer, sim.save_method(customer, "sepa_debit")["id"], "auto:2")
    assert (debit.status, debit.amount_received, debit.payment_method) == (
        "processing",
        Decimal("0.00"),
        "SEPA ···· 3000",
    )


def test_a_declined_card_says_why_and_names_the_attempt(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    method = sim.save_method(customer, behaviour="insufficient_funds")["id"]
    with pytest.raises(StripeDeclined) as refusal:
        charge(gateway, customer, method)
    assert (refusal.value.code, refusal.value.decline_code) == ("card_declined", "insufficient_funds")
    assert refusal.value.message == "Your card has insufficient funds."
    assert not refusal.value.needs_authentication
    attempt = gateway.get_payment_intent(str(refusal.value.payment_intent_id))
    assert (attempt.status, attempt.topup_id, attempt.failure_code) == (
        "requires_payment_method",
        9,
        "insufficient_funds",
    )


def test_a_bank_that_wants_a_confirmation_is_told_apart(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    method = sim.save_method(customer, behaviour="authentication_required")["id"]
    with pytest.raises(StripeDeclined) as refusal:
        charge(gateway, customer, method)
    assert refusal.value.needs_authentication


def test_a_decline_asked_again_with_the_same_key_is_the_same_decline(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    method = sim.save_method(customer, behaviour="generic_decline")["id"]
    attempts = []
    for _ in range(2):
        with pytest.raises(StripeDeclined) as refusal:
            charge(gateway, customer, method)
        attempts.append(refusal.value.payment_intent_id)
    assert attempts[0] == attempts[1]
    assert len(sim.all("charge")) == 1


def test_a_card_of_another_customer_cannot_be_charged(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    other = gateway.ensure_customer("praxis-lindner", "Praxis", None, idempotency_key="customer:2")
    with pytest.raises(StripeRejected):
        charge(gateway, customer, sim.save_method(other)["id"])
    assert sim.all("charge") == []


def test_a_forgotten_method_is_gone_and_forgetting_twice_is_fine(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    method = sim.save_method(customer)["id"]
    gateway.detach_payment_method(method)
    gateway.detach_payment_method(method)
    gateway.detach_payment_method("pm_never")
    with pytest.raises(StripeRejected):
        charge(gateway, customer, method)


# ---------- money going back ----------


@pytest.fixture
def paid(sim: Simulator, gateway: StripeGateway, customer: str) -> str:
    id = topup(gateway, customer).session_id
    sim.pay(id)
    return str(gateway.get_session(id).payment_intent_id)


def test_refunds_may_be_partial_and_add_up(gateway: StripeGateway, paid: str) -> None:
    first = gateway.refund(paid, Decimal("19.00"), idempotency_key="refund:1", metadata={"topup_id": "17"})
    assert (first.status, first.amount, first.payment_intent_id) == ("succeeded", Decimal("19.00"), paid)
    assert dict(first.metadata) == {"topup_id": "17"}
    rest = gateway.refund(paid, idempotency_key="refund:2")
    assert rest.amount == Decimal("100.00")
    state = gateway.get_charge(str(rest.charge_id))
    assert (state.refunded, state.amount_refunded) == (True, Decimal("119.00"))
    assert [one.refund_id for one in gateway.list_refunds(paid)] == [first.refund_id, rest.refund_id]
    assert gateway.get_refund(first.refund_id) == first


def test_more_than_was_paid_is_not_given_back(gateway: StripeGateway, paid: str) -> None:
    with pytest.raises(StripeRejected):
        gateway.refund(paid, Decimal("119.01"), idempotency_key="refund:1")
    gateway.refund(paid, idempotency_key="refund:2")
    with pytest.raises(StripeRejected) as refusal:
        gateway.refund(paid, Decimal("0.01"), idempotency_key="refund:3")
    assert refusal.value.code == "charge_already_refunded"


def test_a_refund_that_fails_leaves_the_money_with_us(sim: Simulator, gateway: StripeGateway, paid: str) -> None:
    made = gateway.refund(paid, Decimal("19.00"), idempotency_key="refund:1")
    sim.finish_refund(made.refund_id, "failed")
    again = gateway.get_refund(made.refund_id)
    assert (again.came_to_nothing, again.failure_reason) == (True, "declined")
    assert gateway.get_payment_intent(paid).amount_refunded == Decimal("0.00")


@pytest.mark.parametrize(("end", "takes"), [("won", False), ("lost", True)])
def test_a_dispute_takes_money_until_it_is_won(
    sim: Simulator, gateway: StripeGateway, paid: str, end: Any, takes: bool
) -> None:
    id = sim.dispute(paid, reason="product_not_received")["id"]
    state = gateway.get_dispute(id)
    assert (state.status, state.amount, state.takes_money, state.closed) == (
        "needs_response",
        Decimal("119.00"),
        True,
        False,
    )
    assert state.evidence_due_by
    sim.close_dispute(id, end)
    state = gateway.get_dispute(id)
    assert (state.closed, state.takes_money) == (True, takes)
    assert [one.dispute_id for one in gateway.list_disputes(paid)] == [id]
    assert gateway.get_payment_intent(paid).disputed


def test_a_disputed_debit_is_lost_at_once(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    id = topup(gateway, customer).session_id
    sim.pay(id, "sepa_debit")
    sim.settle(id)
    state = gateway.get_dispute(sim.dispute(id)["id"])
    assert (state.status, state.reason, state.evidence_due_by) == ("lost", "debit_not_authorized", None)


# ---------- reading everything again ----------


def test_lists_go_through_all_pages_and_stop_at_the_time_asked_for(
    clock: Clock, wire: InProcessClient, sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    old = topup(gateway, customer, 1).session_id
    clock.now += 3600
    since = datetime.fromtimestamp(clock.now, UTC)
    for id in range(2, 107):
        topup(gateway, customer, id)
    setup(gateway, customer)
    wire.calls.clear()
    found = [one.topup_id for one in gateway.list_sessions(since)]
    assert found == list(range(106, 1, -1))
    assert len(wire.calls) == 2
    assert old not in {one.session_id for one in gateway.list_sessions(since)}


def test_payments_and_events_can_be_listed(sim: Simulator, gateway: StripeGateway, paid: str) -> None:
    since = datetime.fromtimestamp(NOW, UTC)
    assert [(one.payment_intent_id, one.payment_method) for one in gateway.list_payment_intents(since)] == [
        (paid, "Visa ···· 4242")
    ]
    wanted = ("payment_intent.succeeded", "checkout.session.completed")
    events = list(gateway.list_events(since, wanted))
    assert [one.type for one in events] == ["checkout.session.completed", "payment_intent.succeeded"]
    assert list(gateway.list_events(since + timedelta(seconds=1))) == []


def test_a_naive_time_is_refused(gateway: StripeGateway) -> None:
    with pytest.raises(ValueError, match="naive"):
        list(gateway.list_sessions(datetime(2026, 11, 22)))  # noqa: DTZ001  # that is the point


# ---------- things going wrong ----------


@pytest.mark.parametrize("status", [0, 409, 429, 500, 503])
def test_trouble_at_stripe_is_no_refusal(sim: Simulator, gateway: StripeGateway, customer: str, status: int) -> None:
    sim.fail_next(status, times=3)
    with pytest.raises(StripeUnavailable):
        gateway.get_session("cs_test_1")


def test_short_trouble_is_not_noticed(sim: Simulator, gateway: StripeGateway, customer: str) -> None:
    sim.fail_next(503, times=2)
    assert topup(gateway, customer).status == "open"


@pytest.mark.parametrize("status", [0, 500])
def test_an_answer_that_gets_lost_does_not_open_a_second_session(
    sim: Simulator, gateway: StripeGateway, customer: str, status: int
) -> None:
    sim.fail_next(status, when="after", times=3, path="/checkout")
    with pytest.raises(StripeUnavailable):
        topup(gateway, customer)
    assert len(sim.all("checkout.session")) == 1
    state = topup(gateway, customer)
    assert [one["id"] for one in sim.all("checkout.session")] == [state.session_id]


def test_a_charge_whose_answer_got_lost_is_not_made_twice(
    sim: Simulator, gateway: StripeGateway, customer: str
) -> None:
    method = sim.save_method(customer)["id"]
    sim.fail_next(0, when="after", times=3)
    with pytest.raises(StripeUnavailable):
        charge(gateway, customer, method)
    assert charge(gateway, customer, method).status == "succeeded"
    assert len(sim.all("charge")) == 1


def test_a_key_used_for_something_else_is_refused(gateway: StripeGateway, customer: str) -> None:
    topup(gateway, customer)
    with pytest.raises(StripeRejected) as refusal:
        topup(gateway, customer, net=Decimal("50.00"), tax=Decimal("9.50"), gross=Decimal("59.50"))
    assert refusal.value.code == "idempotency_error"


def test_an_unknown_object_is_missing_and_a_wrong_key_rejected(sim: Simulator, gateway: StripeGateway) -> None:
    with pytest.raises(StripeRejected) as refusal:
        gateway.get_session("cs_test_unknown")
    assert refusal.value.missing
    stranger = StripeGateway("pk_wrong", BASE, SECRET, sim.http_client())
    with pytest.raises(StripeRejected) as refusal:
        stranger.get_session("cs_test_unknown")
    assert not refusal.value.missing


# ---------- webhooks ----------


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> str:
    return sign(body, secret, int(datetime.now(UTC).timestamp() if at is None else at))


def event_body(**changes: Any) -> bytes:
    data = {"object": {"id": "cs_test_1", "object": "checkout.session", "metadata": {"name": "Grüße"}}}
    event = {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "created": 1763805600}
    return json.dumps(event | {"livemode": False, "data": data} | changes, ensure_ascii=False).encode()


def test_a_signed_event_is_opened(gateway: StripeGateway) -> None:
    body = event_body()
    event = gateway.construct_event(body, signed(body))
    assert (event.id, event.type, event.livemode) == ("evt_1", "checkout.session.completed", False)
    assert (event.object_id, event.object_type) == ("cs_test_1", "checkout.session")
    assert event.created == datetime.fromtimestamp(1763805600, UTC)
    assert event.data["metadata"]["name"] == "Grüße"


def test_what_the_simulator_sends_is_accepted(sim: Simulator, gateway: StripeGateway, paid: str) -> None:
    now = datetime.now(UTC).timestamp()
    for event in sim.events():
        message = sim.webhook(event["id"], now)
        assert gateway.construct_event(message.body, message.headers["Stripe-Signature"]).id == event["id"]


def test_our_signature_is_the_librarys() -> None:
    body = event_body()
    made = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, 1763805600)
    assert sign(body, SECRET, 1763805600).startswith(made)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "t=1763805600",
        "t=now,v1=00",
        "t=1763805600,v0=00",
    ],
)
def test_a_header_that_is_none_is_refused(gateway: StripeGateway, header: str | None) -> None:
    with pytest.raises(SignatureError):
        gateway.construct_event(event_body(), header)


def test_another_secret_another_body_or_an_old_time_is_refused(gateway: StripeGateway) -> None:
    body = event_body()
    now = datetime.now(UTC).timestamp()
    for header in (signed(body, secret="whsec_other"), signed(body + b" "), signed(body, now - 310)):
        with pytest.raises(SignatureError):
            gateway.construct_event(body, header)
    assert gateway.construct_event(body, signed(body, now - 290)).id == "evt_1"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"not json", b"[]", b"{}", b'{"object": "v2.core.event"}', b"null"])
def test_a_signed_body_that_is_no_event_is_refused(gateway: StripeGateway, body: bytes) -> None:
    with pytest.raises(SignatureError):
        gateway.construct_event(body, signed(body))


def test_without_a_secret_nothing_is_accepted(wire: InProcessClient) -> None:
    body = event_body()
    with pytest.raises(SignatureError):
        StripeGateway("sk_test_x", BASE, "", wire).construct_event(body, signed(body, secret=""))
