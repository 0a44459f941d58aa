"""Is every cent where it should be? Recomputes the current company's money from its own rows and names what differs.

Nothing is repaired here: a difference is a mistake to be understood first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
    BillingRate,
    CallCharge,
    Company,
    Invoice,
    InvoiceLine,
    OutboxJob,
    PrepaidBalance,
)
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Difference:
    """What should be there (``expected``) and what is (``found``). ``about`` names the row: ``charge 4711``.

    ``area``: balance, holds, charges, topups, invoices or stripe.
    """

    about: str
    what: str
    expected: object
    found: object
    area: str = ""

    def __str__(self) -> str:
        expected, found = self.values
        return f"{self.about}: {self.what} should be {expected}, but is {found}"

    @property
    def values(self) -> tuple[str, str]:
        """Expected and found as text."""
        return _plain(self.expected), _plain(self.found)


def _plain(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def company() -> list[Difference]:
    """All differences within the current company's own rows."""
    balance = db.session.scalar(select(PrepaidBalance).execution_options(populate_existing=True))
    if balance is None:
        return []
    areas = {
        "balance": (*_balance(balance), *_running_balance(balance)),
        "holds": (*_held(balance), *_holds()),
        "charges": _charges(),
        "topups": _topups(),
        "invoices": _invoices(),
    }
    return [replace(one, area=area) for area, found in areas.items() for one in found]


def with_stripe(payments: Iterable[PaymentState], since: datetime) -> list[Difference]:
    """Where the current company's top-ups since then and Stripe's payments do not tell the same story."""
    tenant_id = db.session.scalars(select(Company.tenant_id).where(Company.id == current_company_id())).one()
    theirs = {one.payment_intent_id: one for one in payments if one.metadata.get("tenant_id") == tenant_id}
    ours = db.session.scalars(
        select(BalanceTopup).where(BalanceTopup.payment_method == "stripe", BalanceTopup.created_at >= since)
    ).all()
    by_id = {row.id: row for row in ours}
    by_id |= _older({one.topup_id for one in theirs.values() if one.topup_id is not None} - by_id.keys())
    return [replace(one, area="stripe") for one in (*_at_stripe(ours, theirs), *_not_here(by_id, theirs))]


def _older(topup_ids: set[int]) -> dict[int, BalanceTopup]:
    """Top-ups begun before the days that are compared, and paid within them."""
    known = sorted(topup_ids)
    chunks = [known[place : place + ROWS_AT_ONCE] for place in range(0, len(known), ROWS_AT_ONCE)]
    rows = [row for ids in chunks for row in db.session.scalars(select(BalanceTopup).where(BalanceTopup.id.in_(ids)))]
    return {row.id: row for row in rows}


# ---- The balance ------------------------------------------------------------------------------------------


def _balance(balance: PrepaidBalance) -> Iterator[Difference]:
    by_kind = _sum_by_kind()
    charged, given_back = db.session.execute(
        select(func.sum(CallCharge.amount_charged), func.sum(CallCharge.refunded_amount))
    ).one()
    expected = {
        "current balance": (sum(by_kind.values(), ZERO), balance.current_balance),
        "available balance": (balance.current_balance - balance.reserved_balance, balance.available_balance),
        "total topped up": (
            sum((by_kind[kind] for kind in ("topup", "refund", "chargeback")), ZERO),
            balance.total_topped_up,
        ),
        "total spent": ((charged or ZERO) - (given_back or ZERO), balance.total_spent),
    }
    yield from _compared(f"balance {balance.id}", expected)


def _compared(about: str, expected: dict[str, tuple[Any, Any]]) -> Iterator[Difference]:
    """What is (right, found) and not the same."""
    for what, (right, found) in expected.items():
        if right != found:
            yield Difference(about, what, right, found)


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


# ---- Holds ------------------------------------------------------------------------------------------------


def _held(balance: PrepaidBalance) -> Iterator[Difference]:
    held = db.session.scalar(select(func.sum(BalanceReservation.amount)).where(BalanceReservation.status == "held"))
    yield from _compared(f"balance {balance.id}", {"reserved balance": (held or ZERO, balance.reserved_balance)})


def _holds() -> Iterator[Difference]:
    """No hold outlives its charge, and none is charged without one."""
    charge, held = CallCharge, BalanceReservation
    unresolved = select(held.call_id).join(charge, charge.call_id == held.call_id).where(held.status == "held")
    for call_id in db.session.scalars(unresolved):
        yield Difference(f"hold of call {call_id}", "status", "charged", "held")
    without = select(held.call_id).outerjoin(charge, charge.call_id == held.call_id)
    for call_id in db.session.scalars(without.where(held.status == "charged", charge.id.is_(None))):
        yield Difference(f"hold of call {call_id}", "charge that it became", "there", "missing")


# ---- Charges ----------------------------------------------------------------------------------------------


def _charges() -> Iterator[Difference]:
    """Each charge is what its tariff and its own numbers make, and stands once in the ledger."""
    charge, row, rate = CallCharge, BalanceTransaction, BillingRate
    found = _stream(
        select(
            charge.id, charge.call_id, charge.duration_seconds, charge.billable_seconds, charge.increment_seconds,
            charge.rate_per_minute, charge.minimum_charge, charge.setup_fee, charge.amount_charged,
            charge.refunded_amount, row.kind, row.amount, rate.id.label("rate_id"),
            rate.rate_per_minute.label("per_minute"), rate.increment_seconds.label("step"),
            rate.minimum_charge.label("least"), rate.setup_fee.label("fee"),
        )
        .outerjoin(row, row.call_charge_id == charge.id)
        .outerjoin(rate, rate.id == charge.billing_rate_id)
        .order_by(charge.id)
    )  # fmt: skip
    for _id, rows in groupby(found, lambda one: one.id):
        yield from _charge(list(rows))
    for movement_id in db.session.scalars(select(row.id).where(row.kind == "charge", row.call_charge_id.is_(None))):
        yield Difference(f"movement {movement_id}", "charge that it is for", "there", None)


def _charge(rows: list[Any]) -> Iterator[Difference]:
    """One charge with its movements beside it."""
    row = rows[0]
    about = f"charge {row.id} (call {row.call_id})"
    tariff = pricing.Tariff(row.rate_per_minute, row.increment_seconds, row.minimum_charge, row.setup_fee)
    price = pricing.price(row.duration_seconds, tariff)
    expected = {
        "amount": (price.amount, row.amount_charged),
        "billable seconds": (price.billable_seconds, row.billable_seconds),
    }
    if row.rate_id is not None:
        expected |= {
            "price a minute": (row.per_minute, row.rate_per_minute),
            "billing step": (row.step, row.increment_seconds),
            "least price": (row.least, row.minimum_charge),
            "fee per call": (row.fee, row.setup_fee),
        }
    yield from _compared(about, expected)
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
        if expected and (row.refunded_amount == row.gross_amount) != (row.status == "refunded"):
            right = "refunded" if row.status == "completed" else "completed"
            yield Difference(f"top-up {row.id}", "status", right, row.status)
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


# ---- Documents --------------------------------------------------------------------------------------------


def _invoices() -> Iterator[Difference]:
    """Each document is the sum of its lines; an invoice says what was paid, its corrections what went back.

    What is still to be made is not missing: the worker does it.
    """
    document, topup = Invoice, BalanceTopup
    sums = dict(
        _pairs(select(InvoiceLine.invoice_id, func.sum(InvoiceLine.net_amount)).group_by(InvoiceLine.invoice_id))
    )
    back = dict(_pairs(select(document.corrects_id, func.sum(document.gross_amount)).group_by(document.corrects_id)))
    query = select(
        document.id, document.number, document.kind, document.net_amount, document.tax_amount, document.gross_amount,
        topup.id.label("topup_id"), topup.amount, topup.tax_amount.label("tax"), topup.gross_amount.label("gross"),
        topup.refunded_amount,
    ).outerjoin(topup, topup.id == document.topup_id)  # fmt: skip
    waiting = _documents_to_make()
    for row in db.session.execute(query.order_by(document.id)).all():
        about = f"invoice {row.number}"
        expected = {"sum of its lines": (row.net_amount, sums.get(row.id, ZERO))}
        if row.kind == "invoice" and row.topup_id is not None:
            expected |= {
                "net amount": (row.amount, row.net_amount),
                "VAT": (row.tax, row.tax_amount),
                "total": (row.gross, row.gross_amount),
            }
            if row.topup_id not in waiting:
                expected["taken back by corrections"] = (-row.refunded_amount, back.get(row.id) or ZERO)
        yield from _compared(about, expected)


def _pairs(query: Any) -> list[tuple[Any, Any]]:
    return [(key, value) for key, value in db.session.execute(query)]


def _documents_to_make() -> set[int]:
    """Top-ups whose documents a job is about to make, or has failed to: that is told elsewhere."""
    job = OutboxJob
    open_jobs = select(job.payload).where(job.status.in_(("pending", "failed", "dead")), job.kind == "invoice_topup")
    return {int(payload["topup_id"]) for payload in db.session.scalars(open_jobs)}


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
    """Paid at Stripe, still there, and not credited here."""
    for payment in theirs.values():
        if payment.status != "succeeded" or payment.topup_id is None:
            continue
        if payment.amount_refunded >= payment.amount_received:
            continue  # it has gone back, as an operator decides about a payment that nobody ordered so
        row = ours.get(payment.topup_id)
        if row is None or row.status not in {"completed", "refunded"}:
            status = row.status if row else "missing"
            yield Difference(f"payment {payment.payment_intent_id}", f"top-up {payment.topup_id}", "completed", status)
