"""Stripe, seen from here: the only file that talks to it. Decimal euros and plain values in and out.

Nothing here decides anything: it asks, translates the answer and names what went wrong. Every call that moves money or
makes something takes an idempotency key made of our own row's id, so that asking again after a lost answer is harmless.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import requests
import stripe

if TYPE_CHECKING:
    from stripe.params import (
        ChargeRetrieveParams,
        CustomerCreateParams,
        EventListParams,
        PaymentIntentCreateParams,
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
BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay", "cartes_bancaires": "Cartes Bancaires"}

RefundReason = Literal["duplicate", "fraudulent", "requested_by_customer"]
T = TypeVar("T")

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


# ---------- what comes back ----------


@dataclass(frozen=True, slots=True)
class PaymentState:
    """A payment intent with its latest charge. status: succeeded, processing, requires_payment_method, canceled …"""

    payment_intent_id: str
    status: str
    amount: Decimal
    amount_received: Decimal
    currency: str
    customer_id: str | None
    metadata: Mapping[str, str]
    created: datetime
    livemode: bool
    payment_method_id: str | None = None
    payment_method: str | None = None
    charge_id: str | None = None
    amount_refunded: Decimal = Decimal("0.00")
    disputed: bool = False
    receipt_url: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def topup_id(self) -> int | None:
        return _topup_id(self.metadata)


@dataclass(frozen=True, slots=True)
class CheckoutState:
    """A Checkout Session. status: open, complete, expired; payment_status: paid, unpaid, no_payment_required.

    payment_intent_id is empty until somebody tried to pay; the fields after it only where the intent was expanded.
    """

    session_id: str
    mode: str
    status: str
    payment_status: str
    amount_total: Decimal | None
    currency: str | None
    customer_id: str | None
    client_reference_id: str | None
    metadata: Mapping[str, str]
    url: str | None
    created: datetime
    expires_at: datetime
    livemode: bool
    payment_intent_id: str | None = None
    payment_intent_status: str | None = None
    charge_id: str | None = None
    payment_method_id: str | None = None
    payment_method: str | None = None
    receipt_url: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def topup_id(self) -> int | None:
        return _topup_id(self.metadata)


@dataclass(frozen=True, slots=True)
class SetupState:
    """A Checkout Session in setup mode with its setup intent. setup_status: succeeded once the method is saved."""

    session_id: str
    status: str
    setup_status: str
    setup_intent_id: str | None
    customer_id: str | None
    client_reference_id: str | None
    metadata: Mapping[str, str]
    url: str | None
    livemode: bool
    payment_method_id: str | None = None
    payment_method_kind: str | None = None
    payment_method: str | None = None
    mandate_id: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None


@dataclass(frozen=True, slots=True)
class ChargeState:
    """One attempt to collect. status: succeeded, pending, failed."""

    charge_id: str
    payment_intent_id: str | None
    status: str
    paid: bool
    amount: Decimal
    amount_refunded: Decimal
    refunded: bool
    disputed: bool
    currency: str
    customer_id: str | None
    metadata: Mapping[str, str]
    created: datetime
    livemode: bool
    payment_method: str | None = None
    receipt_url: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None


@dataclass(frozen=True, slots=True)
class RefundState:
    """status: pending, requires_action, succeeded, failed, canceled. Only the last two leave the money with us."""

    refund_id: str
    status: str
    amount: Decimal
    currency: str
    charge_id: str | None
    payment_intent_id: str | None
    reason: str | None
    failure_reason: str | None
    metadata: Mapping[str, str]
    created: datetime

    @property
    def came_to_nothing(self) -> bool:
        return self.status in {"failed", "canceled"}


@dataclass(frozen=True, slots=True)
class DisputeState:
    """A payer's bank taking money back. status: needs_response, under_review, won, lost, warning_* (no money moves)."""

    dispute_id: str
    status: str
    amount: Decimal
    currency: str
    charge_id: str | None
    payment_intent_id: str | None
    reason: str
    created: datetime
    evidence_due_by: datetime | None
    livemode: bool

    @property
    def takes_money(self) -> bool:
        """An inquiry (warning_*) moves nothing yet, a dispute prevented or won has given it back."""
        return not self.status.startswith("warning_") and self.status not in {"won", "prevented"}

    @property
    def closed(self) -> bool:
        return self.status in {"won", "lost", "warning_closed", "prevented"}


@dataclass(frozen=True, slots=True)
class EventEnvelope:
    """A webhook's event, its signature checked. `data` is the object as it was then: read it again before crediting."""

    id: str
    type: str
    created: datetime
    livemode: bool
    object_id: str | None
    object_type: str
    data: Mapping[str, Any]


# ---------- euros and cents: the only place ----------


def to_cents(euros: Decimal) -> int:
    """Decimal("119.00") → 11900. ValueError for anything that isn't a whole number of cents."""
    if not isinstance(euros, Decimal) or not euros.is_finite():
        raise ValueError(f"not an amount: {euros!r}")
    cents = euros.scaleb(2)
    if cents != cents.to_integral_value():
        raise ValueError(f"more than two decimal places: {euros}")
    return int(cents)


def to_euros(cents: int) -> Decimal:
    """11900 → Decimal("119.00")."""
    if isinstance(cents, bool) or not isinstance(cents, int):
        raise ValueError(f"not cents: {cents!r}")
    return Decimal(cents).scaleb(-2)


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
        return self._create_session(params, idempotency_key, _checkout)

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
        return self._create_session(params, idempotency_key, _setup)

    def _create_session(self, params: "SessionCreateParams", key: str, read: Callable[[dict[str, Any]], T]) -> T:
        with _translated():
            made = self._client.v1.checkout.sessions.create(params, {"idempotency_key": key})
        return read(made.to_dict())

    def get_session(self, session_id: str) -> CheckoutState:
        """Read fresh from Stripe, with the payment and its latest charge."""
        return _checkout(self._session(session_id, "payment_intent.latest_charge", "payment_intent.payment_method"))

    def get_setup_session(self, session_id: str) -> SetupState:
        return _setup(self._session(session_id, "setup_intent.payment_method"))

    def _session(self, session_id: str, *expand: str) -> dict[str, Any]:
        params: SessionRetrieveParams = {"expand": list(expand)}
        with _translated():
            return self._client.v1.checkout.sessions.retrieve(session_id, params).to_dict()

    def expire_session(self, session_id: str) -> CheckoutState:
        """Closes an open page. StripeRejected when it is closed already."""
        with _translated():
            return _checkout(self._client.v1.checkout.sessions.expire(session_id).to_dict())

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
        return _payment(made.to_dict())

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
            return _refund(self._client.v1.refunds.create(params, {"idempotency_key": idempotency_key}).to_dict())

    def get_refund(self, refund_id: str) -> RefundState:
        with _translated():
            return _refund(self._client.v1.refunds.retrieve(refund_id).to_dict())

    def list_refunds(self, payment_intent_id: str) -> list[RefundState]:
        """All refunds of one payment, also those that failed; oldest first."""
        with _translated():
            pages = self._client.v1.refunds.list({"payment_intent": payment_intent_id, "limit": 100})
            return [_refund(one.to_dict()) for one in pages.auto_paging_iter()][::-1]

    def get_dispute(self, dispute_id: str) -> DisputeState:
        with _translated():
            return _dispute(self._client.v1.disputes.retrieve(dispute_id).to_dict())

    def list_disputes(self, payment_intent_id: str) -> list[DisputeState]:
        """All disputes of one payment, oldest first."""
        with _translated():
            pages = self._client.v1.disputes.list({"payment_intent": payment_intent_id, "limit": 100})
            return [_dispute(one.to_dict()) for one in pages.auto_paging_iter()][::-1]

    # ---------- reading again ----------

    def get_payment_intent(self, payment_intent_id: str) -> PaymentState:
        params: PaymentIntentRetrieveParams = {"expand": ["latest_charge", "payment_method"]}
        with _translated():
            return _payment(self._client.v1.payment_intents.retrieve(payment_intent_id, params).to_dict())

    def get_charge(self, charge_id: str) -> ChargeState:
        params: ChargeRetrieveParams = {}
        with _translated():
            return _charge(self._client.v1.charges.retrieve(charge_id, params).to_dict())

    def list_sessions(self, since: datetime) -> Iterator[CheckoutState]:
        """Payment Sessions made at or after `since` (aware), newest first; the payment is not expanded."""
        with _translated():
            pages = self._client.v1.checkout.sessions.list({"created": {"gte": _stamp(since)}, "limit": 100})
            for one in pages.auto_paging_iter():
                if one.mode == "payment":
                    yield _checkout(one.to_dict())

    def list_payment_intents(self, since: datetime) -> Iterator[PaymentState]:
        """Payments made at or after `since` (aware), newest first, with their charges."""
        with _translated():
            pages = self._client.v1.payment_intents.list(
                {"created": {"gte": _stamp(since)}, "limit": 100, "expand": ["data.latest_charge"]}
            )
            for one in pages.auto_paging_iter():
                yield _payment(one.to_dict())

    def list_events(self, since: datetime, types: tuple[str, ...] = ()) -> Iterator[EventEnvelope]:
        """Events at or after `since` (Stripe keeps them for 30 days), newest first; at most 20 types."""
        params: EventListParams = {"created": {"gte": _stamp(since)}, "limit": 100}
        if types:
            params["types"] = list(types)
        with _translated():
            for one in self._client.v1.events.list(params).auto_paging_iter():
                yield _envelope(one.to_dict())

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
            return _envelope(event.to_dict())
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
        payment_intent_id=_id(error.get("payment_intent")),
    )


# ---------- answers ----------

Wire = dict[str, Any]


def _id(value: Any) -> str | None:
    """The id of something that may be expanded or not."""
    return value.get("id") if isinstance(value, dict) else value


def _part(value: Any) -> Wire:
    """An expanded object, or nothing."""
    return value if isinstance(value, dict) else {}


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _metadata(wire: Wire) -> dict[str, str]:
    return dict(wire.get("metadata") or {})


def _topup_id(metadata: Mapping[str, str]) -> int | None:
    value = metadata.get("topup_id", "")
    return int(value) if value.isascii() and value.isdigit() else None


def _label(method: Wire) -> str | None:
    """'Visa ···· 4242', 'SEPA ···· 3000', of a payment method or of a charge's payment_method_details."""
    kind = method.get("type")
    if not kind:
        return None
    part = _part(method.get(kind))
    brand = part.get("brand") or ""
    name = "SEPA" if kind == "sepa_debit" else BRANDS.get(brand, (brand or kind).replace("_", " ").title())
    return f"{name} ···· {part['last4']}" if part.get("last4") else name


def _checkout(wire: Wire) -> CheckoutState:
    total = wire.get("amount_total")
    intent = _part(wire.get("payment_intent"))
    payment = _payment(intent) if intent else None
    return CheckoutState(
        session_id=wire["id"],
        mode=wire["mode"],
        status=wire.get("status") or "open",
        payment_status=wire["payment_status"],
        amount_total=None if total is None else to_euros(total),
        currency=wire.get("currency"),
        customer_id=_id(wire.get("customer")),
        client_reference_id=wire.get("client_reference_id"),
        metadata=_metadata(wire),
        url=wire.get("url"),
        created=_time(wire["created"]),
        expires_at=_time(wire["expires_at"]),
        livemode=wire["livemode"],
        payment_intent_id=_id(wire.get("payment_intent")),
        payment_intent_status=payment.status if payment else None,
        charge_id=payment.charge_id if payment else None,
        payment_method_id=payment.payment_method_id if payment else None,
        payment_method=payment.payment_method if payment else None,
        receipt_url=payment.receipt_url if payment else None,
        failure_code=payment.failure_code if payment else None,
        failure_message=payment.failure_message if payment else None,
    )


def _payment(wire: Wire) -> PaymentState:
    charge = _part(wire.get("latest_charge"))
    error = _part(wire.get("last_payment_error"))
    method = wire.get("payment_method")
    return PaymentState(
        payment_intent_id=wire["id"],
        status=wire["status"],
        amount=to_euros(wire["amount"]),
        amount_received=to_euros(wire.get("amount_received") or 0),
        currency=wire["currency"],
        customer_id=_id(wire.get("customer")),
        metadata=_metadata(wire),
        created=_time(wire["created"]),
        livemode=wire["livemode"],
        payment_method_id=_id(method),
        payment_method=_label(_part(method)) or _label(_part(charge.get("payment_method_details"))),
        charge_id=_id(wire.get("latest_charge")),
        amount_refunded=to_euros(charge.get("amount_refunded") or 0),
        disputed=bool(charge.get("disputed")),
        receipt_url=charge.get("receipt_url"),
        failure_code=error.get("decline_code") or error.get("code"),
        failure_message=error.get("message"),
    )


def _setup(wire: Wire) -> SetupState:
    intent = _part(wire.get("setup_intent"))
    method = _part(intent.get("payment_method"))
    error = _part(intent.get("last_setup_error"))
    return SetupState(
        session_id=wire["id"],
        status=wire.get("status") or "open",
        setup_status=intent.get("status") or "requires_payment_method",
        setup_intent_id=_id(wire.get("setup_intent")),
        customer_id=_id(wire.get("customer")),
        client_reference_id=wire.get("client_reference_id"),
        metadata=_metadata(wire),
        url=wire.get("url"),
        livemode=wire["livemode"],
        payment_method_id=_id(intent.get("payment_method")),
        payment_method_kind=method.get("type"),
        payment_method=_label(method),
        mandate_id=_id(intent.get("mandate")),
        failure_code=error.get("decline_code") or error.get("code"),
        failure_message=error.get("message"),
    )


def _charge(wire: Wire) -> ChargeState:
    return ChargeState(
        charge_id=wire["id"],
        payment_intent_id=_id(wire.get("payment_intent")),
        status=wire["status"],
        paid=wire["paid"],
        amount=to_euros(wire["amount"]),
        amount_refunded=to_euros(wire["amount_refunded"]),
        refunded=wire["refunded"],
        disputed=wire["disputed"],
        currency=wire["currency"],
        customer_id=_id(wire.get("customer")),
        metadata=_metadata(wire),
        created=_time(wire["created"]),
        livemode=wire["livemode"],
        payment_method=_label(_part(wire.get("payment_method_details"))),
        receipt_url=wire.get("receipt_url"),
        failure_code=wire.get("failure_code"),
        failure_message=wire.get("failure_message"),
    )


def _refund(wire: Wire) -> RefundState:
    return RefundState(
        refund_id=wire["id"],
        status=wire.get("status") or "pending",
        amount=to_euros(wire["amount"]),
        currency=wire["currency"],
        charge_id=_id(wire.get("charge")),
        payment_intent_id=_id(wire.get("payment_intent")),
        reason=wire.get("reason"),
        failure_reason=wire.get("failure_reason"),
        metadata=_metadata(wire),
        created=_time(wire["created"]),
    )


def _dispute(wire: Wire) -> DisputeState:
    due = _part(wire.get("evidence_details")).get("due_by")
    return DisputeState(
        dispute_id=wire["id"],
        status=wire["status"],
        amount=to_euros(wire["amount"]),
        currency=wire["currency"],
        charge_id=_id(wire.get("charge")),
        payment_intent_id=_id(wire.get("payment_intent")),
        reason=wire["reason"],
        created=_time(wire["created"]),
        evidence_due_by=_time(due) if due else None,
        livemode=wire["livemode"],
    )


def _envelope(wire: Wire) -> EventEnvelope:
    data = wire["data"]["object"]
    return EventEnvelope(
        id=wire["id"],
        type=wire["type"],
        created=_time(wire["created"]),
        livemode=wire["livemode"],
        object_id=data.get("id"),
        object_type=data.get("object", ""),
        data=data,
    )
