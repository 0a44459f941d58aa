"""What Stripe answers, read into plain values: Decimal euros, aware times, nothing of the library's own types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay", "cartes_bancaires": "Cartes Bancaires"}


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
        return topup_id_in(self.metadata)


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
        return topup_id_in(self.metadata)


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


# ---------- answers ----------

Wire = dict[str, Any]


def object_id(value: Any) -> str | None:
    """The id of something that may be expanded or not."""
    return value.get("id") if isinstance(value, dict) else value


def expanded(value: Any) -> Wire:
    """An expanded object, or nothing."""
    return value if isinstance(value, dict) else {}


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def metadata_of(wire: Wire) -> dict[str, str]:
    return dict(wire.get("metadata") or {})


def topup_id_in(metadata: Mapping[str, str]) -> int | None:
    value = metadata.get("topup_id", "")
    return int(value) if value.isascii() and value.isdigit() else None


def label(method: Wire) -> str | None:
    """'Visa ···· 4242', 'SEPA ···· 3000', of a payment method or of a charge's payment_method_details."""
    kind = method.get("type")
    if not kind:
        return None
    part = expanded(method.get(kind))
    brand = part.get("brand") or ""
    name = "SEPA" if kind == "sepa_debit" else BRANDS.get(brand, (brand or kind).replace("_", " ").title())
    return f"{name} ···· {part['last4']}" if part.get("last4") else name


def read_checkout(wire: Wire) -> CheckoutState:
    total = wire.get("amount_total")
    intent = expanded(wire.get("payment_intent"))
    payment = read_payment(intent) if intent else None
    return CheckoutState(
        session_id=wire["id"],
        mode=wire["mode"],
        status=wire.get("status") or "open",
        payment_status=wire["payment_status"],
        amount_total=None if total is None else to_euros(total),
        currency=wire.get("currency"),
        customer_id=object_id(wire.get("customer")),
        client_reference_id=wire.get("client_reference_id"),
        metadata=metadata_of(wire),
        url=wire.get("url"),
        created=moment(wire["created"]),
        expires_at=moment(wire["expires_at"]),
        livemode=wire["livemode"],
        payment_intent_id=object_id(wire.get("payment_intent")),
        payment_intent_status=payment.status if payment else None,
        charge_id=payment.charge_id if payment else None,
        payment_method_id=payment.payment_method_id if payment else None,
        payment_method=payment.payment_method if payment else None,
        receipt_url=payment.receipt_url if payment else None,
        failure_code=payment.failure_code if payment else None,
        failure_message=payment.failure_message if payment else None,
    )


def read_payment(wire: Wire) -> PaymentState:
    charge = expanded(wire.get("latest_charge"))
    error = expanded(wire.get("last_payment_error"))
    method = wire.get("payment_method")
    return PaymentState(
        payment_intent_id=wire["id"],
        status=wire["status"],
        amount=to_euros(wire["amount"]),
        amount_received=to_euros(wire.get("amount_received") or 0),
        currency=wire["currency"],
        customer_id=object_id(wire.get("customer")),
        metadata=metadata_of(wire),
        created=moment(wire["created"]),
        livemode=wire["livemode"],
        payment_method_id=object_id(method),
        payment_method=label(expanded(method)) or label(expanded(charge.get("payment_method_details"))),
        charge_id=object_id(wire.get("latest_charge")),
        amount_refunded=to_euros(charge.get("amount_refunded") or 0),
        disputed=bool(charge.get("disputed")),
        receipt_url=charge.get("receipt_url"),
        failure_code=error.get("decline_code") or error.get("code"),
        failure_message=error.get("message"),
    )


def read_setup(wire: Wire) -> SetupState:
    intent = expanded(wire.get("setup_intent"))
    method = expanded(intent.get("payment_method"))
    error = expanded(intent.get("last_setup_error"))
    return SetupState(
        session_id=wire["id"],
        status=wire.get("status") or "open",
        setup_status=intent.get("status") or "requires_payment_method",
        setup_intent_id=object_id(wire.get("setup_intent")),
        customer_id=object_id(wire.get("customer")),
        client_reference_id=wire.get("client_reference_id"),
        metadata=metadata_of(wire),
        url=wire.get("url"),
        livemode=wire["livemode"],
        payment_method_id=object_id(intent.get("payment_method")),
        payment_method_kind=method.get("type"),
        payment_method=label(method),
        mandate_id=object_id(intent.get("mandate")),
        failure_code=error.get("decline_code") or error.get("code"),
        failure_message=error.get("message"),
    )


def read_charge(wire: Wire) -> ChargeState:
    return ChargeState(
        charge_id=wire["id"],
        payment_intent_id=object_id(wire.get("payment_intent")),
        status=wire["status"],
        paid=wire["paid"],
        amount=to_euros(wire["amount"]),
        amount_refunded=to_euros(wire["amount_refunded"]),
        refunded=wire["refunded"],
        disputed=wire["disputed"],
        currency=wire["currency"],
        customer_id=object_id(wire.get("customer")),
        metadata=metadata_of(wire),
        created=moment(wire["created"]),
        livemode=wire["livemode"],
        payment_method=label(expanded(wire.get("payment_method_details"))),
        receipt_url=wire.get("receipt_url"),
        failure_code=wire.get("failure_code"),
        failure_message=wire.get("failure_message"),
    )


def read_refund(wire: Wire) -> RefundState:
    return RefundState(
        refund_id=wire["id"],
        status=wire.get("status") or "pending",
        amount=to_euros(wire["amount"]),
        currency=wire["currency"],
        charge_id=object_id(wire.get("charge")),
        payment_intent_id=object_id(wire.get("payment_intent")),
        reason=wire.get("reason"),
        failure_reason=wire.get("failure_reason"),
        metadata=metadata_of(wire),
        created=moment(wire["created"]),
    )


def read_dispute(wire: Wire) -> DisputeState:
    due = expanded(wire.get("evidence_details")).get("due_by")
    return DisputeState(
        dispute_id=wire["id"],
        status=wire["status"],
        amount=to_euros(wire["amount"]),
        currency=wire["currency"],
        charge_id=object_id(wire.get("charge")),
        payment_intent_id=object_id(wire.get("payment_intent")),
        reason=wire["reason"],
        created=moment(wire["created"]),
        evidence_due_by=moment(due) if due else None,
        livemode=wire["livemode"],
    )


def read_envelope(wire: Wire) -> EventEnvelope:
    data = wire["data"]["object"]
    return EventEnvelope(
        id=wire["id"],
        type=wire["type"],
        created=moment(wire["created"]),
        livemode=wire["livemode"],
        object_id=data.get("id"),
        object_type=data.get("object", ""),
        data=data,
    )
