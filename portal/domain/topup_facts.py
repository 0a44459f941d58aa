"""What Stripe says about one top-up: paid by a person on Stripe's page, or collected while nobody was there.

Both are :data:`Told`, and say the same things in the same words: ``seen``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from portal.clients.stripe import CheckoutState, DisputeState, PaymentState, RefundState, StripeGateway
from portal.db import utcnow

EXPIRED = "expired"
NEEDS_PERSON = "authentication_required"
_GIVEN_UP = {"requires_payment_method", "canceled"}
# A payment without a page has nobody who could go on, so these are ends, too.
_WAITS_FOR_NOBODY = _GIVEN_UP | {"requires_action", "requires_confirmation"}


class State(StrEnum):
    """Where the money is."""

    OPEN = "open"  # the page waits for somebody to pay
    PROCESSING = "processing"  # a debit on its way
    PAID = "paid"
    FAILED = "failed"  # the page has expired, a debit came back, or the bank said no and nobody is there


@dataclass(frozen=True)
class Seen:
    """One payment. ``amount``: euros gross. ``session_id``: its page; None for a payment that has none."""

    state: State
    amount: Decimal | None
    currency: str | None
    customer_id: str | None
    metadata: Mapping[str, str]
    session_id: str | None
    intent_id: str | None
    label: str | None
    receipt_url: str | None
    failure_code: str | None
    failure_message: str | None

    def names(self, topup_id: int, tenant_id: str) -> bool:
        """Whether Stripe's own copy of our names is this row's."""
        return self.metadata.get("topup_id") == str(topup_id) and self.metadata.get("tenant_id") == tenant_id


@dataclass(frozen=True)
class Facts:
    """A payment page, read just now. Refunds and disputes only where they were asked for."""

    checkout: CheckoutState
    read_at: datetime
    refunds: tuple[RefundState, ...] = ()
    disputes: tuple[DisputeState, ...] = ()

    @property
    def seen(self) -> Seen:
        page = self.checkout
        expired = page.status == "expired"
        return Seen(
            state=_state_of_page(page),
            amount=page.amount_total,
            currency=page.currency,
            customer_id=page.customer_id,
            metadata=page.metadata,
            session_id=page.session_id,
            intent_id=page.payment_intent_id,
            label=page.payment_method,
            receipt_url=page.receipt_url,
            failure_code=EXPIRED if expired else page.failure_code,
            failure_message=None if expired else page.failure_message,
        )


@dataclass(frozen=True)
class Collected:
    """A payment without a page, read just now. Refunds and disputes only where they were asked for."""

    payment: PaymentState
    read_at: datetime
    refunds: tuple[RefundState, ...] = ()
    disputes: tuple[DisputeState, ...] = ()

    @property
    def seen(self) -> Seen:
        payment = self.payment
        paid, asks = payment.status == "succeeded", payment.status == "requires_action"
        return Seen(
            state=_state_of_payment(payment),
            amount=payment.amount_received if paid else payment.amount,
            currency=payment.currency,
            customer_id=payment.customer_id,
            metadata=payment.metadata,
            session_id=None,
            intent_id=payment.payment_intent_id,
            label=payment.payment_method,
            receipt_url=payment.receipt_url,
            failure_code=NEEDS_PERSON if asks else payment.failure_code,
            failure_message=payment.failure_message,
        )


Told = Facts | Collected


def _state_of_page(page: CheckoutState) -> State:
    if page.status == "expired":
        return State.FAILED
    if page.status != "complete":
        return State.OPEN
    if page.payment_status == "paid":
        return State.PAID
    return State.FAILED if page.payment_intent_status in _GIVEN_UP else State.PROCESSING


def _state_of_payment(payment: PaymentState) -> State:
    if payment.status == "succeeded":
        return State.PAID
    return State.FAILED if payment.status in _WAITS_FOR_NOBODY else State.PROCESSING


# ---- Asking -----------------------------------------------------------------------------------------------


def read(gateway: StripeGateway, session_id: str, *, with_returns: bool = False) -> Facts:
    """Ask Stripe about a payment page and its payment; outside of any transaction."""
    read_at = utcnow()
    checkout = gateway.get_session(session_id)
    if not with_returns or checkout.payment_intent_id is None:
        return Facts(checkout, read_at)
    return Facts(checkout, read_at, *_returns(gateway, checkout.payment_intent_id))


def read_payment(gateway: StripeGateway, intent_id: str, *, with_returns: bool = False) -> Collected:
    """The same for a payment that has no page."""
    read_at = utcnow()
    payment = gateway.get_payment_intent(intent_id)
    return Collected(payment, read_at, *(_returns(gateway, intent_id) if with_returns else ()))


def _returns(gateway: StripeGateway, intent_id: str) -> tuple[tuple[RefundState, ...], tuple[DisputeState, ...]]:
    return tuple(gateway.list_refunds(intent_id)), tuple(gateway.list_disputes(intent_id))
