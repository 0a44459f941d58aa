"""/v1: the part of Stripe's API that a prepaid balance needs. Parameters are checked against stripe.params.*."""

import hashlib
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import stripe
from flask import Flask, Response, json, request
from stripe import params as p
from stripe.params import checkout as pc

from tests.fake_stripe.core import DEFAULT_BASE, FakeStripe, Fault
from tests.fake_stripe.store import random_id
from tests.fake_stripe.wire import JSON, ApiError, checked, decode, invalid

Handler = Callable[..., JSON]
ENDPOINTS: list[tuple[str, str, type | None, Handler]] = []
DAY = 24 * 3600
TEST_METHODS = {  # the ids that Stripe's own documentation offers for tests
    "pm_card_visa": ("card", "ok"),
    "pm_card_chargeCustomerFail": ("card", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("card", "expired_card"),
    "pm_card_authenticationRequired": ("card", "authentication_required"),
    "pm_sepaDebit_de": ("sepa_debit", "ok"),
}


class AnswerLostError(ConnectionError):
    """The connection broke before the answer was there."""


def endpoint(method: str, rule: str, params: type | None = None) -> Callable[[Handler], Handler]:
    def keep(handler: Handler) -> Handler:
        ENDPOINTS.append((method, f"/v1{rule}", params, handler))
        return handler

    return keep


def register(app: Flask, sim: FakeStripe) -> None:
    for method, rule, params, handler in ENDPOINTS:
        app.add_url_rule(rule, f"v1.{handler.__name__}", _view(sim, params, handler), methods=[method])
    app.add_url_rule("/v1/<path:rest>", "v1.unknown", _unknown, methods=["GET", "POST", "DELETE"])


def _unknown(rest: str) -> Response:
    message = f"Unrecognized request URL ({request.method}: /v1/{rest})."
    return answer(404, ApiError(404, message).body)


def answer(status: int, body: JSON, **headers: str) -> Response:
    made = Response(json.dumps(body, indent=2, ensure_ascii=False), status, content_type="application/json")
    made.headers.update({"Request-Id": random_id("req_", 14), "Stripe-Version": stripe.api_version, **headers})
    return made


# ---------- around every call: key, faults, idempotency ----------


def _view(sim: FakeStripe, params: type | None, handler: Handler) -> Callable[..., Response]:
    def view(**ids: str) -> Response:
        try:
            return _guarded(sim, params, handler, ids)
        except ApiError as error:
            return answer(error.status, error.body)

    return view


def _guarded(sim: FakeStripe, params: type | None, handler: Handler, ids: dict[str, str]) -> Response:
    _authenticate()
    fault = sim.take_fault(request.path)
    if fault and fault.when == "before" and not fault.delay:
        return _wrong(fault)
    key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
    claimed = _claim(sim, key)
    try:
        if fault and fault.delay:
            time.sleep(fault.delay)  # outside the lock: a second call with the same key meets a 409
        if fault and fault.when == "before" and fault.status >= 400:
            return _wrong(fault)
        made = claimed or _run(sim, params, handler, ids, key)
    finally:
        if not claimed:
            sim.in_flight.discard(key)
    return _wrong(fault) if fault and fault.when == "after" else made


def _authenticate() -> None:
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not key:
        raise ApiError(401, "You did not provide an API key.")
    if not key.startswith(("sk_test_", "rk_test_")):
        shown = f"{key[:8]}****{key[-4:]}"
        raise ApiError(401, f"Invalid API Key provided: {shown}. The simulation takes test keys only.")


def _wrong(fault: Fault) -> Response:
    if fault.status == 0:
        socket = request.environ.get("werkzeug.socket")
        if socket is not None:
            socket.close()
        raise AnswerLostError("the simulated connection broke")
    if fault.status == 429:
        return answer(429, ApiError(429, "Too many requests.", type="invalid_request_error", code="rate_limit").body)
    return answer(fault.status, ApiError(fault.status, "An unknown error occurred.", type="api_error").body)


def _fingerprint() -> str:
    told = sorted(request.form.items(multi=True))
    return hashlib.sha256(json.dumps([request.method, request.path, told]).encode()).hexdigest()


def _claim(sim: FakeStripe, key: str) -> Response | None:
    """The answer given before to this key; ApiError when the key was used for something else or is in use right now."""
    if not key:
        return None
    if len(key) > 255:
        raise invalid("Idempotency-Key must be at most 255 characters long.")
    with sim.lock:
        known = sim.store.side["answers"].get(key)
        if known and known["at"] < sim.store.now() - DAY:
            known = None
        if known and known["print"] != _fingerprint():
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise ApiError(400, message, type="idempotency_error")
        if known:
            headers = {"Idempotent-Replayed": "true", "Original-Request": known["request"], "Idempotency-Key": key}
            return answer(known["status"], known["body"], **headers)
        if key in sim.in_flight:
            message = f"There is currently another in-progress request using this Idempotent Key ({key})."
            raise ApiError(409, message, type="idempotency_error", code="idempotency_key_in_use")
        sim.in_flight.add(key)
    return None


def _run(sim: FakeStripe, params: type | None, handler: Handler, ids: dict[str, str], key: str) -> Response:
    data = decode((request.args if request.method == "GET" else request.form).items(multi=True))
    wanted = checked(params, data)
    sim.tick()
    with sim.acting():
        asked = sim.request = {"id": sim.request_id(), "idempotency_key": key or None}
        try:
            status, body = 200, _expanded(sim, handler(sim, wanted, **ids), wanted)
        except ApiError as error:
            if error.status != 402:  # a refused request leaves nothing behind, a refused payment does
                sim.undo()
                raise
            status, body = 402, deepcopy(error.body)
        finally:
            sim.request = {"id": None, "idempotency_key": None}
        if key:
            kept = {
                "print": _fingerprint(),
                "status": status,
                "body": body,
                "request": asked["id"],
                "at": sim.store.now(),
            }
            sim.store.side["answers"][key] = kept
    return answer(status, body, **({"Idempotency-Key": key} if key else {}))


def _expanded(sim: FakeStripe, body: JSON, wanted: JSON) -> JSON:
    return sim.store.expanded(body, wanted.get("expand", []))


# ---------- customers ----------


@endpoint("POST", "/customers", p.CustomerCreateParams)
def create_customer(sim: FakeStripe, wanted: JSON) -> JSON:
    customer = sim.store.new("customer", invoice_prefix=random_id("", 8).upper())
    _change_customer(customer, wanted)
    sim._emit("customer.created", customer)
    return customer


@endpoint("GET", "/customers/<id>", p.CustomerRetrieveParams)
def get_customer(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    customer = sim.store.get("customer", id)
    return {"id": id, "object": "customer", "deleted": True} if customer.get("deleted") else customer


@endpoint("POST", "/customers/<id>", p.CustomerUpdateParams)
def update_customer(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    customer = sim.store.get("customer", id)
    before = {key: customer[key] for key in wanted if key in customer}
    _change_customer(customer, wanted)
    sim._emit("customer.updated", customer, previous=before)
    return customer


@endpoint("DELETE", "/customers/<id>")
def delete_customer(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    customer = sim.store.get("customer", id)
    customer["deleted"] = True
    sim._emit("customer.deleted", customer)
    return {"id": id, "object": "customer", "deleted": True}


@endpoint("GET", "/customers", p.CustomerListParams)
def list_customers(sim: FakeStripe, wanted: JSON) -> JSON:
    return sim.store.page("customer", "/v1/customers", wanted, email=wanted.get("email"))


def _change_customer(customer: JSON, wanted: JSON) -> None:
    for key in ("name", "email", "phone", "description", "address", "preferred_locales", "tax_exempt"):
        if key in wanted:
            customer[key] = wanted[key] or None
    customer["metadata"] = merged(customer["metadata"], wanted.get("metadata"))
    customer["invoice_settings"] = {**customer["invoice_settings"], **wanted.get("invoice_settings", {})}


def merged(old: JSON, new: Any) -> JSON:
    """Metadata: given keys replace, an empty value takes its key away."""
    return {key: value for key, value in {**old, **(new or {})}.items() if value != ""}


# ---------- payment methods ----------


@endpoint("GET", "/payment_methods/<id>", p.PaymentMethodRetrieveParams)
def get_payment_method(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("payment_method", id)


@endpoint("POST", "/payment_methods/<id>/attach", p.PaymentMethodAttachParams)
def attach_payment_method(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    if id in TEST_METHODS:
        kind, behaviour = TEST_METHODS[id]
        return sim.payments.new_method(kind, wanted["customer"], behaviour)  # type: ignore[arg-type]
    return sim.payments.attach(sim.store.get("payment_method", id), wanted["customer"])


@endpoint("POST", "/payment_methods/<id>/detach", p.PaymentMethodDetachParams)
def detach_payment_method(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.payments.detach(sim.store.get("payment_method", id))


@endpoint("GET", "/payment_methods", p.PaymentMethodListParams)
def list_payment_methods(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {"customer": wanted.get("customer"), "type": wanted.get("type")}
    return sim.store.page("payment_method", "/v1/payment_methods", wanted, **found)


@endpoint("GET", "/customers/<id>/payment_methods", p.CustomerPaymentMethodListParams)
def list_customer_methods(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    sim.store.get("customer", id)
    url = f"/v1/customers/{id}/payment_methods"
    return sim.store.page("payment_method", url, wanted, customer=id, type=wanted.get("type"))


# ---------- checkout sessions ----------


@endpoint("POST", "/checkout/sessions", pc.SessionCreateParams)
def create_session(sim: FakeStripe, wanted: JSON) -> JSON:
    mode = wanted.get("mode", "payment")
    if mode not in {"payment", "setup"}:
        raise invalid("The simulation knows the modes payment and setup.", param="mode")
    if not wanted.get("success_url"):
        raise invalid("Missing required param: success_url.", param="success_url", code="parameter_missing")
    if customer := wanted.get("customer"):
        sim.store.get("customer", customer, "customer")
    if "payment_method_options" in wanted or "discounts" in wanted:
        raise invalid("The simulation does not play this parameter.", param="payment_method_options")
    session = _new_session(sim, wanted, mode)
    _fill_payment(sim, session, wanted) if mode == "payment" else _fill_setup(sim, session, wanted)
    return session


def _new_session(sim: FakeStripe, wanted: JSON, mode: str) -> JSON:
    now = int(sim.store.now())
    expires_at = wanted.get("expires_at", now + DAY)
    if not now + 1800 - 60 <= expires_at <= now + DAY + 60:
        raise invalid(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", param="expires_at"
        )
    taken = ("cancel_url", "client_reference_id", "customer", "customer_email", "locale", "success_url", "submit_type")
    session = sim.store.new("checkout.session", **{key: wanted.get(key) for key in taken}, mode=mode)
    allowed = wanted.get("allowed_payment_method_types")
    session.update(
        allowed_payment_method_types=allowed,
        payment_method_types=[one for one in (allowed or ["card", "sepa_debit"]) if one in {"card", "sepa_debit"}],
        metadata=merged({}, wanted.get("metadata")),
        expires_at=expires_at,
        url=f"{base(sim)}/c/pay/{session['id']}",
    )
    if not session["payment_method_types"]:
        raise invalid("No valid payment method types for this Checkout Session.", param="allowed_payment_method_types")
    return session


def base(sim: FakeStripe) -> str:
    return sim.base_url or request.host_url.rstrip("/") or DEFAULT_BASE


def _fill_payment(sim: FakeStripe, session: JSON, wanted: JSON) -> None:
    if not wanted.get("line_items"):
        raise invalid("Missing required param: line_items.", param="line_items", code="parameter_missing")
    items = [_line(sim, i, one) for i, one in enumerate(wanted["line_items"])]
    currencies = {one["currency"] for one in items}
    if len(currencies) > 1:
        raise invalid("All prices on a Checkout Session must have the same currency.", param="line_items")
    total = sum(one["amount_total"] for one in items)
    if total < 50:
        message = "The Checkout Session's total amount due must add up to at least €0.50 EUR"
        raise invalid(message, code="amount_too_small", param="line_items")
    session.update(amount_subtotal=total, amount_total=total, currency=currencies.pop(), discounts=[])
    session.update(
        payment_method_collection="if_required", customer_creation=None if session["customer"] else "if_required"
    )
    if options := wanted.get("saved_payment_method_options"):
        save = {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None}
        session["saved_payment_method_options"] = {**save, **options}
    sim.store.side["lines"][session["id"]] = items
    sim.store.side["intent_data"][session["id"]] = wanted.get("payment_intent_data", {})


def _line(sim: FakeStripe, i: int, wanted: JSON) -> JSON:
    price = wanted.get("price_data")
    if not price or "unit_amount" not in price or "product_data" not in price:
        raise invalid(
            "The simulation takes line items with price_data, unit_amount and product_data.", f"line_items[{i}]"
        )
    quantity = wanted.get("quantity", 1)
    amount = price["unit_amount"] * quantity
    if amount < 0:
        raise invalid("Invalid non-negative integer", f"line_items[{i}][price_data][unit_amount]")
    item = sim.store.new(
        "item", description=price["product_data"]["name"], quantity=quantity, currency=price["currency"]
    )
    item.update(amount_subtotal=amount, amount_total=amount)
    return sim.store.tables["item"].pop(str(item["id"]))


def _fill_setup(sim: FakeStripe, session: JSON, wanted: JSON) -> None:
    if not wanted.get("currency") and not wanted.get("allowed_payment_method_types"):
        raise invalid("Missing required param: currency.", param="currency", code="parameter_missing")
    data = wanted.get("setup_intent_data", {})
    setup = sim.store.new(
        "setup_intent",
        customer=session["customer"],
        description=data.get("description"),
        metadata=merged({}, data.get("metadata")),
        payment_method_types=session["payment_method_types"],
    )
    setup["client_secret"] = random_id(f"{setup['id']}_secret_")
    session.update(setup_intent=setup["id"], currency=wanted.get("currency"), payment_status="no_payment_required")
    session.update(payment_method_collection="always", total_details=None)
    sim._emit("setup_intent.created", setup)


@endpoint("GET", "/checkout/sessions/<id>", pc.SessionRetrieveParams)
def get_session(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("checkout.session", id)


@endpoint("POST", "/checkout/sessions/<id>/expire", pc.SessionExpireParams)
def expire_session(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.payments.expire(id)


@endpoint("GET", "/checkout/sessions/<id>/line_items", pc.SessionListLineItemsParams)
def list_lines(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    sim.store.get("checkout.session", id)
    return sim.store.lines(id)


@endpoint("GET", "/checkout/sessions", pc.SessionListParams)
def list_sessions(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {key: wanted.get(key) for key in ("customer", "payment_intent", "status")}
    return sim.store.page("checkout.session", "/v1/checkout/sessions", wanted, **found)


# ---------- payment intents, setup intents, charges ----------


@endpoint("POST", "/payment_intents", p.PaymentIntentCreateParams)
def create_intent(sim: FakeStripe, wanted: JSON) -> JSON:
    if wanted["amount"] < 50:
        raise invalid("Amount must be at least €0.50 EUR", param="amount", code="amount_too_small")
    method = _usable_method(sim, wanted)
    if wanted.get("off_session") and not wanted.get("confirm"):
        raise invalid("You can only set `off_session` when `confirm` is true.", param="off_session")
    if wanted.get("confirm"):
        _may_be_confirmed(wanted)
    taken = ("customer", "currency", "description", "receipt_email", "amount", "setup_future_usage")
    intent = sim.payments.new_intent(
        **{key: wanted.get(key) for key in taken},
        payment_method=method,
        metadata=merged({}, wanted.get("metadata")),
        payment_method_types=wanted.get("allowed_payment_method_types") or ["card", "sepa_debit"],
        status="requires_confirmation" if method else "requires_payment_method",
    )
    if "allowed_payment_method_types" in wanted:
        intent["allowed_payment_method_types"] = wanted["allowed_payment_method_types"]
    if wanted.get("confirm"):
        return sim.payments.confirm(intent, off_session=bool(wanted.get("off_session")))
    return intent


def _usable_method(sim: FakeStripe, wanted: JSON) -> str | None:
    id: str | None = wanted.get("payment_method")
    if id is None:
        return None
    method = sim.store.get("payment_method", id, "payment_method")
    if method["customer"] and method["customer"] != wanted.get("customer"):
        message = (
            "The provided PaymentMethod cannot be attached: it belongs to a customer that is not this PaymentIntent's."
        )
        raise invalid(message, param="payment_method")
    if method["type"] not in (wanted.get("allowed_payment_method_types") or [method["type"]]):
        raise invalid(f"The PaymentMethod's type ({method['type']}) is not allowed here.", param="payment_method")
    if wanted.get("off_session") and not method["customer"]:
        raise invalid(
            "The PaymentMethod is not attached to a customer and cannot be used again.", param="payment_method"
        )
    return id


def _may_be_confirmed(wanted: JSON) -> None:
    """Without a return address nothing may be offered that redirects: the allowed types must say so."""
    never = wanted.get("automatic_payment_methods", {}).get("allow_redirects") == "never"
    if not (wanted.get("return_url") or never or wanted.get("allowed_payment_method_types")):
        message = (
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these might redirect your customer off of your page, you must provide a `return_url`."
        )
        raise invalid(message, param="return_url")


@endpoint("POST", "/payment_intents/<id>/confirm", p.PaymentIntentConfirmParams)
def confirm_intent(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    intent = sim.store.get("payment_intent", id)
    intent["payment_method"] = wanted.get("payment_method") or intent["payment_method"]
    return sim.payments.confirm(intent, off_session=bool(wanted.get("off_session")))


@endpoint("POST", "/payment_intents/<id>/cancel", p.PaymentIntentCancelParams)
def cancel_intent(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.payments.cancel(sim.store.get("payment_intent", id), wanted.get("cancellation_reason"))


@endpoint("GET", "/payment_intents/<id>", p.PaymentIntentRetrieveParams)
def get_intent(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("payment_intent", id, "intent")


@endpoint("GET", "/payment_intents", p.PaymentIntentListParams)
def list_intents(sim: FakeStripe, wanted: JSON) -> JSON:
    return sim.store.page("payment_intent", "/v1/payment_intents", wanted, customer=wanted.get("customer"))


@endpoint("GET", "/setup_intents/<id>", p.SetupIntentRetrieveParams)
def get_setup(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("setup_intent", id, "intent")


@endpoint("GET", "/setup_intents", p.SetupIntentListParams)
def list_setups(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {key: wanted.get(key) for key in ("customer", "payment_method")}
    return sim.store.page("setup_intent", "/v1/setup_intents", wanted, **found)


@endpoint("POST", "/setup_intents/<id>/cancel", p.SetupIntentCancelParams)
def cancel_setup(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    setup = sim.store.get("setup_intent", id)
    if setup["status"] in {"succeeded", "canceled"}:
        raise invalid(f"You cannot cancel this SetupIntent because it has a status of {setup['status']}.")
    setup.update(status="canceled", cancellation_reason=wanted.get("cancellation_reason"))
    sim._emit("setup_intent.canceled", setup)
    return setup


@endpoint("GET", "/charges/<id>", p.ChargeRetrieveParams)
def get_charge(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("charge", id)


@endpoint("GET", "/charges", p.ChargeListParams)
def list_charges(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {key: wanted.get(key) for key in ("customer", "payment_intent")}
    return sim.store.page("charge", "/v1/charges", wanted, **found)


# ---------- refunds, disputes, events ----------


@endpoint("POST", "/refunds", p.RefundCreateParams)
def create_refund(sim: FakeStripe, wanted: JSON) -> JSON:
    id = wanted.get("payment_intent") or wanted.get("charge")
    if not id:
        raise invalid("One of the following params should be provided: payment_intent or charge.")
    metadata = merged({}, wanted.get("metadata"))
    return sim.payments.refund(id, wanted.get("amount"), wanted.get("reason"), metadata=metadata)


@endpoint("GET", "/refunds/<id>", p.RefundRetrieveParams)
def get_refund(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("refund", id)


@endpoint("GET", "/refunds", p.RefundListParams)
def list_refunds(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {key: wanted.get(key) for key in ("charge", "payment_intent")}
    return sim.store.page("refund", "/v1/refunds", wanted, **found)


@endpoint("GET", "/disputes/<id>", p.DisputeRetrieveParams)
def get_dispute(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("dispute", id)


@endpoint("POST", "/disputes/<id>/close", p.DisputeCloseParams)
def close_dispute(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.payments.close_dispute(id, "lost")


@endpoint("GET", "/disputes", p.DisputeListParams)
def list_disputes(sim: FakeStripe, wanted: JSON) -> JSON:
    found = {key: wanted.get(key) for key in ("charge", "payment_intent")}
    return sim.store.page("dispute", "/v1/disputes", wanted, **found)


@endpoint("GET", "/events/<id>", p.EventRetrieveParams)
def get_event(sim: FakeStripe, wanted: JSON, id: str) -> JSON:
    return sim.store.get("event", id)


@endpoint("GET", "/events", p.EventListParams)
def list_events(sim: FakeStripe, wanted: JSON) -> JSON:
    types = set(wanted.get("types", [])) | ({wanted["type"]} if "type" in wanted else set())
    return sim.store.page("event", "/v1/events", wanted, lambda one: not types or one["type"] in types)
