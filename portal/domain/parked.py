"""Top-ups of which Stripe tells another story than our row: what differs, and what an operator has decided about it.

A parked top-up is not credited. It leaves by one of three ways, each with a reason: Stripe's payment is given back and
nothing is credited; our row takes the amount that was really paid and is credited by the usual door; or, where no money
hangs on it, it is put away. What has been decided stays decided, however often Stripe tells the same story again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from portal.clients.stripe import DisputeState, RefundState
from portal.db import db
from portal.domain import audit, ledger, pricing
from portal.domain.errors import Conflict, DomainError
from portal.domain.topup_facts import State, Told
from portal.domain.topup_steps import CREDITED, fresh
from portal.models import BalanceTopup

ZERO = Decimal("0.00")
GIVEN_BACK = "given_back"  # failure code: paid, not as ordered, and given back
# Keys of the row's metadata: which page or payment it was parked for, what was decided, what our row said before.
SESSION, PAYMENT, SETTLED, CORRECTED = "parked_session", "parked_payment", "settled", "corrected"


@dataclass(frozen=True)
class Theirs:
    """A payment as Stripe has it. ``amount`` euros gross; ``refunded``: of it, what has gone back."""

    session_id: str | None
    payment_id: str | None
    state: State
    amount: Decimal | None
    currency: str | None
    customer_id: str | None
    tenant_id: str | None
    topup_id: str | None
    refunds: tuple[RefundState, ...] = ()
    disputes: tuple[DisputeState, ...] = ()

    @property
    def paid(self) -> bool:
        """The money has arrived."""
        return self.state is State.PAID

    @property
    def refunded(self) -> Decimal:
        return sum((one.amount for one in self.refunds if not one.came_to_nothing), ZERO)

    @property
    def left(self) -> Decimal:
        """What could be given back."""
        return (self.amount or ZERO) - self.refunded if self.paid else ZERO

    @property
    def dispute(self) -> DisputeState | None:
        """The one that is still running."""
        return next((one for one in self.disputes if not one.closed), None)


def of(facts: Told) -> Theirs:
    """What was read at Stripe just now: a payment page, or a payment that has none."""
    seen, refunds, disputes = facts.seen, facts.refunds, facts.disputes
    names = seen.metadata
    return Theirs(
        session_id=seen.session_id,
        payment_id=seen.intent_id,
        state=seen.state,
        amount=seen.amount,
        currency=seen.currency,
        customer_id=seen.customer_id,
        tenant_id=names.get("tenant_id"),
        topup_id=names.get("topup_id"),
        refunds=refunds,
        disputes=disputes,
    )


# ---- What differs -----------------------------------------------------------------------------------------


def differences(topup: BalanceTopup, tenant_id: str, theirs: Theirs) -> dict[str, tuple[Any, Any]]:
    """What both sides say → (ours, theirs), where it is not the same."""
    pairs = {
        "amount": (topup.gross_amount, theirs.amount),
        "currency": (topup.currency.lower(), theirs.currency),
        "customer": (topup.stripe_customer_id, theirs.customer_id),
        "company": (tenant_id, theirs.tenant_id),
        "top-up": (str(topup.id), theirs.topup_id),
    }
    if theirs.session_id is not None:
        pairs["session"] = (topup.stripe_session_id, theirs.session_id)
    elif topup.stripe_payment_intent_id is not None:
        pairs["payment"] = (topup.stripe_payment_intent_id, theirs.payment_id)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def difference(topup: BalanceTopup, tenant_id: str, theirs: Theirs) -> str | None:
    """Where Stripe's figures are not those of our row, in one line; None where they agree."""
    wrong = differences(topup, tenant_id, theirs)
    return "; ".join(f"{name}: {theirs} instead of {ours}" for name, (ours, theirs) in wrong.items())[:255] or None


def park(topup: BalanceTopup, problem: str) -> None:
    """Nothing is credited until an operator has looked."""
    if topup.parked_reason != problem:
        topup.parked_reason = problem
        audit.record("topup.parked", topup, new={"reason": problem})
        db.session.flush()


def park_payment(topup: BalanceTopup, problem: str, theirs: Theirs) -> None:
    """Park it for what Stripe says about this payment, unless that has been decided already."""
    if _is_settled(topup, problem, theirs.refunds):
        return
    # What it is about: it may be another page, or another payment, than the one that our row knows of.
    _remember(topup, SESSION, theirs.session_id)
    _remember(topup, PAYMENT, theirs.payment_id)
    park(topup, problem)


def subject(topup: BalanceTopup) -> tuple[str | None, str | None]:
    """(page, payment) to look at: what it was parked for, else its own."""
    noted = topup.topup_metadata or {}
    if topup.parked_reason and (noted.get(SESSION) or noted.get(PAYMENT)):
        return noted.get(SESSION), noted.get(PAYMENT)
    return topup.stripe_session_id, topup.stripe_payment_intent_id


def _is_settled(topup: BalanceTopup, problem: str, refunds: Iterable[RefundState]) -> bool:
    """Decided, and not undone since: a refund can fail days later, and then the money is with us again."""
    known: dict[str, Any] = (topup.topup_metadata or {}).get(SETTLED) or {}
    undone = {one.refund_id for one in refunds if one.came_to_nothing}
    return known.get("problem") == problem and known.get("refund") not in undone


def _remember(topup: BalanceTopup, key: str, value: Any) -> None:
    # A new dict: a change inside of the old one would not be seen.
    topup.topup_metadata = {**(topup.topup_metadata or {}), key: value}
    db.session.flush()


# ---- What is decided --------------------------------------------------------------------------------------


def may_correct(topup: BalanceTopup, tenant_id: str, theirs: Theirs) -> bool:
    """Whether what was really paid can be credited: paid by the right customer for this very row, only not as much."""
    open_still = topup.status not in CREDITED and bool(topup.parked_reason)
    return (
        open_still and theirs.paid and bool(theirs.amount) and set(differences(topup, tenant_id, theirs)) == {"amount"}
    )


def correct(topup_id: int, tenant_id: str, theirs: Theirs, reason: str) -> BalanceTopup:
    """Let our row say what was really paid, tax included at its own rate; credit and invoice then follow from the row.

    Raises ``DomainError`` where more than the amount differs. The caller credits it with ``topups.apply``.
    """
    topup = _locked(topup_id)
    if not may_correct(topup, tenant_id, theirs) or theirs.amount is None:
        raise DomainError(_("Only a payment that differs in nothing but its amount can be credited."))
    before = {"amount": str(topup.amount), "tax": str(topup.tax_amount), "gross": str(topup.gross_amount)}
    net = pricing.cents(theirs.amount / (1 + topup.tax_rate / 100))
    topup.amount, topup.tax_amount, topup.gross_amount = net, theirs.amount - net, theirs.amount
    topup.notes = reason
    _remember(topup, CORRECTED, before)
    after = {"amount": str(net), "tax": str(topup.tax_amount), "gross": str(topup.gross_amount), "reason": reason}
    audit.record("topup.corrected", topup, old=before, new=after)
    return topup


def close_given_back(topup_id: int, refund_id: str | None, reason: str, now: datetime) -> bool:
    """End a parked top-up whose payment has gone back whole: nothing is credited. False when it is closed already."""
    topup = _locked(topup_id)
    if topup.status in CREDITED or not topup.parked_reason:
        return False
    _settle(topup, refund_id, reason)
    topup.status, topup.failure_code, topup.failed_at = "failed", GIVEN_BACK, now
    db.session.flush()
    return True


def put_away(topup_id: int, theirs: Theirs, reason: str, now: datetime) -> None:
    """End it where no money hangs on it any more. Raises ``DomainError`` while some does."""
    topup = _locked(topup_id)
    if not topup.parked_reason:
        raise Conflict(_("This has been settled already."))
    if theirs.dispute is not None:
        raise DomainError(_("The dispute is still running; it is settled by the bank."))
    if topup.status in CREDITED or (topup.status == "failed" and theirs.state is State.FAILED):
        _settle(topup, None, reason)
    elif theirs.left > 0 or not theirs.paid:
        raise DomainError(_("Money hangs on this payment. Credit it or give it back."))
    else:
        close_given_back(topup_id, None, reason, now)


def _settle(topup: BalanceTopup, refund_id: str | None, reason: str) -> None:
    problem = topup.parked_reason
    _remember(topup, SETTLED, {"problem": problem, "refund": refund_id})
    topup.parked_reason = None
    topup.notes = reason
    db.session.flush()
    audit.record("topup.settled", topup, old={"reason": problem}, new={"reason": reason, "refund": refund_id})


def _locked(topup_id: int) -> BalanceTopup:
    ledger.lock()
    return fresh(topup_id)
