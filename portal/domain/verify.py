"""Is every cent where it should be? Recomputes the current company's money from its own rows and names what differs.

Nothing is repaired here: a difference is a mistake to be understood first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy import func, select

from portal.clients.stripe import PaymentState
from portal.db import db
from portal.domain import pricing, vat
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    CallCharge,
    Company,
    PrepaidBalance,
)
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Difference:
    """What should be there (``expected``) and what is (``found``). ``about`` names the row: ``charge 4711``."""

    about: str
    what: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.about}: {self.what} should be {_plain(self.expected)}, but is {_plain(self.found)}"


def _plain(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def company() -> list[Difference]:
    """All differences within the current company's own rows."""
    balance = db.session.scalar(select(PrepaidBalance).execution_options(populate_existing=True))
    if balance is None:
        return []
    return [*_balance(balance), *_running_balance(balance), *_charges(), *_topups()]


def with_stripe(payments: Iterable[PaymentState], since: datetime) -> list[Difference]:
    """Where the current company's top-ups since then and Stripe's payments do not tell the same story."""
    tenant_id = db.session.scalars(select(Company.tenant_id).where(Company.id == current_company_id())).one()
    theirs = {one.payment_intent_id: one for one in payments if one.metadata.get("tenant_id") == tenant_id}
    ours = db.session.scalars(
        select(BalanceTopup).where(BalanceTopup.payment_method == "stripe", BalanceTopup.created_at >= since)
    ).all()
    by_id = {row.id: row for row in ours}
    return [*_at_stripe(ours, theirs), *_not_here(by_id, theirs)]


# ---- The balance ------------------------------------------------------------------------------------------


def _balance(balance: PrepaidBalance) -> Iterator[Difference]:
    by_kind = _sum_by_kind()
    held = db.session.scalar(select(func.sum(BalanceReservation.amount)).where(BalanceReservation.status == "held"))
    charged, given_back = db.session.execute(
        select(func.sum(CallCharge.amount_charged), func.sum(CallCharge.refunded_amount))
    ).one()
    expected = {
        "current balance": (sum(by_kind.values(), ZERO), balance.current_balance),
        "reserved balance": (held or ZERO, balance.reserved_balance),
        "available balance": (balance.current_balance - balance.reserved_balance, balance.available_balance),
        "total topped up": (
            sum((by_kind[kind] for kind in ("topup", "refund", "chargeback")), ZERO),
            balance.total_topped_up,
        ),
        "total spent": ((charged or ZERO) - (given_back or ZERO), balance.total_spent),
    }
    for what, (right, found) in expected.items():
        if right != found:
            yield Difference(f"balance {balance.id}", what, right, found)


def _sum_by_kind() -> defaultdict[str, Decimal]:
    row = BalanceTransaction
    sums = db.session.execute(select(row.kind, func.sum(row.amount).label("total")).group_by(row.kind))
    return defaultdict(lambda: ZERO, {one.kind: one.total for one in sums})


def _running_balance(balance: PrepaidBalance) -> Iterator[Difference]:
    """Each movement's balance after is the one before it plus its amount."""
    row, level = BalanceTransaction, ZERO
    for movement_id, reference, amount, after in _stream(
        select(row.id, row.reference, row.amount, row.balance_after).order_by(row.created_at, row.id)
    ):
        if after != level + amount:
            yield Difference(f"movement {movement_id} ({reference})", "balance after", level + amount, after)
        level = after


def _stream(query: Any) -> Iterator[Any]:
    return iter(db.session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)))


# ---- Charges ----------------------------------------------------------------------------------------------


def _charges() -> Iterator[Difference]:
    """Each charge is what its own numbers make, and stands once in the ledger; no hold outlives its charge."""
    charge, row, held = CallCharge, BalanceTransaction, BalanceReservation
    found = _stream(
        select(
            charge.id, charge.call_id, charge.duration_seconds, charge.billable_seconds, charge.increment_seconds,
            charge.rate_per_minute, charge.minimum_charge, charge.setup_fee, charge.amount_charged,
            charge.refunded_amount, row.kind, row.amount,
        )
        .outerjoin(row, row.call_charge_id == charge.id)
        .order_by(charge.id)
    )  # fmt: skip
    for _id, rows in groupby(found, lambda one: one.id):
        yield from _charge(list(rows))
    for movement_id in db.session.scalars(select(row.id).where(row.kind == "charge", row.call_charge_id.is_(None))):
        yield Difference(f"movement {movement_id}", "charge that it is for", "there", None)
    unresolved = select(held.call_id).join(charge, charge.call_id == held.call_id).where(held.status == "held")
    for call_id in db.session.scalars(unresolved):
        yield Difference(f"hold of call {call_id}", "status", "charged", "held")


def _charge(rows: list[Any]) -> Iterator[Difference]:
    """One charge with its movements beside it."""
    row = rows[0]
    about = f"charge {row.id} (call {row.call_id})"
    tariff = pricing.Tariff(row.rate_per_minute, row.increment_seconds, row.minimum_charge, row.setup_fee)
    price = pricing.price(row.duration_seconds, tariff)
    if price.amount != row.amount_charged:
        yield Difference(about, "amount", price.amount, row.amount_charged)
    if price.billable_seconds != row.billable_seconds:
        yield Difference(about, "billable seconds", price.billable_seconds, row.billable_seconds)
    charged = [one.amount for one in rows if one.kind == "charge"]
    if charged != [-row.amount_charged]:
        yield Difference(about, "movements in the ledger", [-row.amount_charged], charged)
    back = sum((one.amount for one in rows if one.kind not in {"charge", None}), ZERO)
    if back != row.refunded_amount:
        yield Difference(about, "given back in the ledger", row.refunded_amount, back)


# ---- Top-ups ----------------------------------------------------------------------------------------------


def _topups() -> Iterator[Difference]:
    """Credited once if completed, not at all otherwise; what went back is the net share of what Stripe gave back."""
    movements = _movements_of_topups()
    for row in db.session.scalars(select(BalanceTopup).order_by(BalanceTopup.id)):
        credited, returned = movements.pop(row.id, ([], ZERO))
        expected = [row.amount] if row.status in {"completed", "refunded"} else []
        if credited != expected:
            yield Difference(f"top-up {row.id} ({row.status})", "movements in the ledger", expected, credited)
        if returned != -_net_returned(row):
            yield Difference(f"top-up {row.id}", "returned in the ledger", -_net_returned(row), returned)
    for topup_id in movements:
        yield Difference(f"top-up {topup_id}", "a top-up for its movements", "there", "missing")


def _movements_of_topups() -> dict[int | None, tuple[list[Decimal], Decimal]]:
    row = BalanceTransaction
    found: dict[int | None, tuple[list[Decimal], Decimal]] = {}
    query = select(row.topup_id, row.kind, row.amount).where(
        (row.topup_id.is_not(None)) | row.kind.in_(("topup", "refund", "chargeback"))
    )
    for topup_id, kind, amount in _stream(query):
        credited, returned = found.get(topup_id, ([], ZERO))
        if kind == "topup":
            found[topup_id] = ([*credited, amount], returned)
        else:
            found[topup_id] = (credited, returned + amount)
    return found


def _net_returned(row: BalanceTopup) -> Decimal:
    whole = vat.TaxSplit(vat.TaxKind.STANDARD, row.tax_rate / 100, row.amount, row.tax_amount, row.gross_amount)
    return vat.part_of(whole, row.refunded_amount).net


# ---- Stripe -----------------------------------------------------------------------------------------------


def _at_stripe(ours: Iterable[BalanceTopup], theirs: dict[str, PaymentState]) -> Iterator[Difference]:
    for row in ours:
        if row.status not in {"completed", "refunded"}:
            continue
        about = f"top-up {row.id} ({row.stripe_payment_intent_id})"
        payment = theirs.get(row.stripe_payment_intent_id or "")
        if payment is None or payment.status != "succeeded":
            yield Difference(about, "payment at Stripe", "succeeded", payment.status if payment else "missing")
            continue
        if payment.amount_received != row.gross_amount:
            yield Difference(about, "amount received at Stripe", row.gross_amount, payment.amount_received)
        if not payment.disputed and payment.amount_refunded != row.refunded_amount:
            yield Difference(about, "amount refunded", payment.amount_refunded, row.refunded_amount)


def _not_here(ours: dict[int, BalanceTopup], theirs: dict[str, PaymentState]) -> Iterator[Difference]:
    """Paid at Stripe and not credited here."""
    for payment in theirs.values():
        if payment.status != "succeeded" or payment.topup_id is None:
            continue
        row = ours.get(payment.topup_id)
        if row is None or row.status not in {"completed", "refunded"}:
            status = row.status if row else "missing"
            yield Difference(f"payment {payment.payment_intent_id}", f"top-up {payment.topup_id}", "completed", status)
