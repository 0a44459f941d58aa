"""Stripe, seen from here: the only file that talks to it; stripe_answers.py reads what it says.

Decimal euros and plain values go in and out. Nothing here decides anything: it asks, translates the answer and names
what went wrong. Every call that moves money or makes something takes an idempotency key made of our own row's id, so
that asking again after a lost answer is harmless.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import requests
import stripe

from portal.clients import stripe_answers as answers
from portal.clients.stripe_answers import (
    ChargeState,
    CheckoutState,
    DisputeState,
    EventEnvelope,
    PaymentState,
    RefundState,
    SetupState,
    to_cents,
    to_euros,
)

if TYPE_CHECKING:
    from stripe.params import (
        ChargeRetrieveParams,
        CustomerCreateParams,
        EventListParams,
        PaymentIntentCreateParams,
        PaymentIntentListParams,
        PaymentIntentRetrieveParams,
        RefundCreateParams,
    )
    from stripe.params.checkout import SessionCreateParams, SessionRetrieveParams

CURRENCY = "eur"
# `payment_method_types` is gone since API version 2026-09-30.endive; this one filters and never redirects elsewhere
METHODS: list[Literal["card", "sepa_debit"] | str] = ["card", "sepa_debit"]
TOLERANCE = 300  # seconds between signing and arrival of a webhook
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 4.0, 25.0
RETRIES = 2
LIVE_PREFIXES = ("sk_live_", "rk_live_")

RefundReason = Literal["duplicate", "fraudulent", "requested_by_customer"]
T = TypeVar("T")

__all__ = [
    "ChargeState",
    "CheckoutState",
    "DisputeState",
    "EventEnvelope",
    "PaymentState",
    "RefundState",
    "SetupState",
    "SignatureError",
    "StripeDeclined",
    "StripeGateway",
    "StripeProblem",
    "StripeRejected",
    "StripeUnavailable",
    "to_cents",
    "to_euros",
]

stripe.enable_telemetry = False

# ---------- what can go wrong ----------


class StripeProblem(Exception):
    """Base of everything that a call to Stripe can raise."""

    def __init__(self, message: str, *, code: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id


class StripeUnavailable(StripeProblem):
    """No answer, or 409, 429, 5xx. Whether it was done is unknown: ask again later with the same idempotency key."""


class StripeDeclined(StripeProblem):
    """The bank said no. `code` is Stripe's (card_declined, expired_card, authentication_required …)."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        decline_code: str | None = None,
        payment_intent_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.decline_code = decline_code
        self.payment_intent_id = payment_intent_id

    @property
    def needs_authentication(self) -> bool:
        """The owner has to confirm in person: send a link, don't try again."""
        return "authentication_required" in {self.code, self.decline_code}


class StripeRejected(StripeProblem):
    """The request itself is wrong: key, parameter, state or a reused idempotency key. Asking again changes nothing."""

    @property
    def missing(self) -> bool:
        """Stripe has no such object (in this mode)."""
        return self.code == "resource_missing"


class SignatureError(Exception):
    """A webhook that isn't Stripe's, is too old, or cannot be read."""


# ---------- the gateway ----------


class StripeGateway:
    """One account of Stripe's. `api_base` is the simulator's address; together with a live key it is refused."""

    def __init__(
        self,
        secret_key: str,
        api_base: str | None = None,
        webhook_secret: str = "",
        http_client: stripe.HTTPClient | None = None,
        *,
        retries: int = RETRIES,
    ) -> None:
        if not secret_key:
            raise ValueError("no Stripe key")
        if api_base and secret_key.startswith(LIVE_PREFIXES):
            raise ValueError("a live Stripe key never goes to another address than Stripe's")
        self.livemode = secret_key.startswith(LIVE_PREFIXES)
        self._webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else None,
            http_client=http_client or _http_client(own_network=bool(api_base)),
            max_network_retries=retries,
        )

    # ---------- customers and saved methods ----------

    def ensure_customer(
        self,
        company_ref: str,
        name: str,
        email: str | None,
        *,
        customer_id: str | None = None,
        idempotency_key: str,
    ) -> str:
        """The id of the company's customer: the known one if Stripe still has it, else a new one.

        `company_ref` is the company's tenant_id. The key must change when name or e-mail do, or Stripe refuses it.
        """
        if customer_id and self._has_customer(customer_id):
            return customer_id
        params: CustomerCreateParams = {"name": name, "metadata": {"tenant_id": company_ref}}
        if email:
            params["email"] = email
        with _translated():
            made = self._client.v1.customers.create(params, {"idempotency_key": idempotency_key})
        return made.id

    def _has_customer(self, customer_id: str) -> bool:
        try:
            with _translated():
                found = self._client.v1.customers.retrieve(customer_id).to_dict()
        except StripeRejected as problem:
            if problem.missing:
                return False
            raise
        return not found.get("deleted")

    def detach_payment_method(self, payment_method_id: str) -> None:
        """Forgets a saved card or mandate. One that is gone already is fine."""
        try:
            with _translated():
                self._client.v1.payment_methods.detach(payment_method_id)
        except StripeRejected as problem:
            if not problem.missing and "not attached" not in problem.message:
                raise

    # ---------- paying in Checkout ----------

    def create_topup_session(
        self,
        topup_id: int,
        tenant_id: str,
        customer_id: str,
        *,
        net: Decimal,
        tax: Decimal,
        gross: Decimal,
        description: str,
        tax_description: str,
        success_url: str,
        cancel_url: str,
        locale: Literal["de", "en"] | str,
        idempotency_key: str,
        expires_at: datetime | None = None,
        save_payment_method: bool = False,
    ) -> CheckoutState:
        """A page on which `gross` is paid, net and VAT as two lines; no VAT, no second line.

        `expires_at`: 30 minutes to 24 hours from now (Stripe's rule). success_url may hold {CHECKOUT_SESSION_ID}.
        """
        if net + tax != gross or net <= 0 or tax < 0:
            raise ValueError(f"net {net} and tax {tax} do not make {gross}")
        ours = _our_row(topup_id, tenant_id)
        lines = [(description, net)] + ([(tax_description, tax)] if tax else [])
        params: SessionCreateParams = {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": str(topup_id),
            "metadata": ours,
            "payment_intent_data": {"metadata": ours, "description": description},
            "line_items": [_line(name, amount) for name, amount in lines],
            "allowed_payment_method_types": METHODS,
            "adaptive_pricing": {"enabled": False},  # always euros: compared with our row to the cent
            "success_url": success_url,
            "cancel_url": cancel_url,
            "locale": locale,
        }
        if expires_at:
            params["expires_at"] = int(expires_at.timestamp())
        if save_payment_method:
            params["payment_intent_data"]["setup_future_usage"] = "off_session"
        return self._create_session(params, idempotency_key, answers.read_checkout)

    def create_setup_session(
        self,
        tenant_id: str,
        customer_id: str,
        *,
        reference: str,
        success_url: str,
        cancel_url: str,
        locale: Literal["de", "en"] | str,
        idempotency_key: str,
    ) -> SetupState:
        """A page on which a card or mandate is saved for later charges. `reference` names our own row."""
        ours = {"tenant_id": tenant_id, "reference": reference}
        params: SessionCreateParams = {
            "mode": "setup",
            "currency": CURRENCY,
            "customer": customer_id,
            "client_reference_id": reference,
            "metadata": ours,
            "setup_intent_data": {"metadata": ours},
            "allowed_payment_method_types": METHODS,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "locale": locale,
            "expand": ["setup_intent.payment_method"],
        }
        return self._create_session(params, idempotency_key, answers.read_setup)

    def _create_session(self, params: "SessionCreateParams", key: str, read: Callable[[dict[str, Any]], T]) -> T:
        with _translated():
            made = self._client.v1.checkout.sessions.create(params, {"idempotency_key": key})
        return read(made.to_dict())

    def get_session(self, session_id: str) -> CheckoutState:
        """Read fresh from Stripe, with the payment and its latest charge."""
        return answers.read_checkout(
            self._session(session_id, "payment_intent.latest_charge", "payment_intent.payment_method")
        )

    def get_setup_session(self, session_id: str) -> SetupState:
        return answers.read_setup(self._session(session_id, "setup_intent.payment_method"))

    def _session(self, session_id: str, *expand: str) -> dict[str, Any]:
        params: SessionRetrieveParams = {"expand": list(expand)}
        with _translated():
            return self._client.v1.checkout.sessions.retrieve(session_id, params).to_dict()

    def expire_session(self, session_id: str) -> CheckoutState:
        """Closes an open page. StripeRejected when it is closed already."""
        with _translated():
            return answers.read_checkout(self._client.v1.checkout.sessions.expire(session_id).to_dict())

    # ---------- charging without the payer ----------

    def charge_off_session(
        self,
        topup_id: int,
        tenant_id: str,
        customer_id: str,
        payment_method_id: str,
        *,
        gross: Decimal,
        description: str,
        idempotency_key: str,
    ) -> PaymentState:
        """Charges a saved method now: `succeeded` (card) or `processing` (debit). StripeDeclined if the bank won't."""
        params: PaymentIntentCreateParams = {
            "amount": to_cents(gross),
            "currency": CURRENCY,
            "customer": customer_id,
            "payment_method": payment_method_id,
            "allowed_payment_method_types": METHODS,
            "confirm": True,
            "off_session": True,
            "description": description,
            "metadata": _our_row(topup_id, tenant_id),
            "expand": ["latest_charge", "payment_method"],
        }
        with _translated():
            made = self._client.v1.payment_intents.create(params, {"idempotency_key": idempotency_key})
        return answers.read_payment(made.to_dict())

    # ---------- money going back ----------

    def refund(
        self,
        payment_intent_id: str,
        amount: Decimal | None = None,
        *,
        idempotency_key: str,
        reason: RefundReason = "requested_by_customer",
        metadata: Mapping[str, str] | None = None,
    ) -> RefundState:
        """Gives back `amount` euros gross, or all that is left."""
        params: RefundCreateParams = {
            "payment_intent": payment_intent_id,
            "reason": reason,
            "metadata": dict(metadata or {}),
        }
        if amount is not None:
            params["amount"] = to_cents(amount)
        with _translated():
            return answers.read_refund(
                self._client.v1.refunds.create(params, {"idempotency_key": idempotency_key}).to_dict()
            )

    def get_refund(self, refund_id: str) -> RefundState:
        with _translated():
            return answers.read_refund(self._client.v1.refunds.retrieve(refund_id).to_dict())

    def list_refunds(self, payment_intent_id: str) -> list[RefundState]:
        """All refunds of one payment, also those that failed; oldest first."""
        with _translated():
            pages = self._client.v1.refunds.list({"payment_intent": payment_intent_id, "limit": 100})
            return [answers.read_refund(one.to_dict()) for one in pages.auto_paging_iter()][::-1]

    def get_dispute(self, dispute_id: str) -> DisputeState:
        with _translated():
            return answers.read_dispute(self._client.v1.disputes.retrieve(dispute_id).to_dict())

    def list_disputes(self, payment_intent_id: str) -> list[DisputeState]:
        """All disputes of one payment, oldest first."""
        with _translated():
            pages = self._client.v1.disputes.list({"payment_intent": payment_intent_id, "limit": 100})
            return [answers.read_dispute(one.to_dict()) for one in pages.auto_paging_iter()][::-1]

    # ---------- reading again ----------

    def get_payment_intent(self, payment_intent_id: str) -> PaymentState:
        params: PaymentIntentRetrieveParams = {"expand": ["latest_charge", "payment_method"]}
        with _translated():
            return answers.read_payment(self._client.v1.payment_intents.retrieve(payment_intent_id, params).to_dict())

    def get_charge(self, charge_id: str) -> ChargeState:
        params: ChargeRetrieveParams = {}
        with _translated():
            return answers.read_charge(self._client.v1.charges.retrieve(charge_id, params).to_dict())

    def list_sessions(self, since: datetime) -> Iterator[CheckoutState]:
        """Payment Sessions made at or after `since` (aware), newest first; the payment is not expanded."""
        with _translated():
            pages = self._client.v1.checkout.sessions.list({"created": {"gte": _stamp(since)}, "limit": 100})
            for one in pages.auto_paging_iter():
                if one.mode == "payment":
                    yield answers.read_checkout(one.to_dict())

    def list_payment_intents(self, since: datetime, customer_id: str | None = None) -> Iterator[PaymentState]:
        """Payments made at or after `since` (aware), newest first, with their charges; all, or one customer's."""
        params: PaymentIntentListParams = {
            "created": {"gte": _stamp(since)},
            "limit": 100,
            "expand": ["data.latest_charge"],
        }
        if customer_id is not None:
            params["customer"] = customer_id
        with _translated():
            pages = self._client.v1.payment_intents.list(params)
            for one in pages.auto_paging_iter():
                yield answers.read_payment(one.to_dict())

    def list_events(self, since: datetime, types: tuple[str, ...] = ()) -> Iterator[EventEnvelope]:
        """Events at or after `since` (Stripe keeps them for 30 days), newest first; at most 20 types."""
        params: EventListParams = {"created": {"gte": _stamp(since)}, "limit": 100}
        if types:
            params["types"] = list(types)
        with _translated():
            for one in self._client.v1.events.list(params).auto_paging_iter():
                yield answers.read_envelope(one.to_dict())

    # ---------- webhooks ----------

    def construct_event(self, raw_body: bytes, signature: str | None) -> EventEnvelope:
        """Checks `Stripe-Signature` over the raw body. SignatureError for a wrong, old or unreadable one."""
        if not self._webhook_secret:
            raise SignatureError("no webhook secret is set")
        try:
            event = self._client.construct_event(raw_body, signature, self._webhook_secret, TOLERANCE)
        except (stripe.SignatureVerificationError, ValueError, KeyError, AttributeError) as problem:
            # ValueError: not UTF-8, not JSON, or a thin event; the others: JSON that isn't an event
            raise SignatureError(str(problem)) from problem
        try:
            return answers.read_envelope(event.to_dict())
        except (KeyError, TypeError, AttributeError) as problem:
            raise SignatureError("signed, but no event") from problem


# ---------- requests ----------


def _http_client(*, own_network: bool) -> stripe.HTTPClient:
    session = requests.Session()
    session.trust_env = not own_network  # the simulator is on this machine: no proxy in between
    return stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, ANSWER_TIMEOUT), session=session)


def _our_row(topup_id: int, tenant_id: str) -> dict[str, str]:
    return {"topup_id": str(topup_id), "tenant_id": tenant_id}


def _line(name: str, amount: Decimal) -> Any:
    price = {"currency": CURRENCY, "unit_amount": to_cents(amount), "product_data": {"name": name}}
    return {"quantity": 1, "price_data": price}


def _stamp(when: datetime) -> int:
    if when.tzinfo is None:
        raise ValueError("a naive time")
    return int(when.timestamp())


@contextmanager
def _translated() -> Iterator[None]:
    """Stripe's exceptions as ours. Messages hold no secrets: Stripe itself masks keys."""
    try:
        yield
    except stripe.CardError as problem:
        raise _declined(problem) from problem
    except (stripe.APIConnectionError, stripe.RateLimitError) as problem:
        raise StripeUnavailable(_words(problem), code=problem.code, request_id=problem.request_id) from problem
    except stripe.StripeError as problem:
        status = problem.http_status or 0
        kind = StripeUnavailable if status == 409 or status >= 500 or status == 0 else StripeRejected
        raise kind(_words(problem), code=_code(problem), request_id=problem.request_id) from problem


def _words(problem: stripe.StripeError) -> str:
    return problem.user_message or type(problem).__name__


def _code(problem: stripe.StripeError) -> str | None:
    if isinstance(problem, stripe.IdempotencyError):
        return "idempotency_error"
    return problem.code


def _declined(problem: stripe.CardError) -> StripeDeclined:
    body = cast(dict[str, Any], problem.json_body or {})
    error = body.get("error", {})
    return StripeDeclined(
        _words(problem),
        code=problem.code,
        request_id=problem.request_id,
        decline_code=error.get("decline_code"),
        payment_intent_id=answers.object_id(error.get("payment_intent")),
    )
