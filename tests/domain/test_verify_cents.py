"""One cent in the wrong place, at every place where money stands: `flask ledger verify` names each and fails.

What the database itself refuses to change (the ledger, documents) is planted as a wrong further row, as a mistake in
the code would write it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import db, utcnow
from portal.domain import invoices, ledger, topups
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    BillingRate,
    Call,
    CallCharge,
    Invoice,
    InvoiceLine,
    OutboxJob,
    PrepaidBalance,
)
from tests.cast import Cast, Firm
from tests.factories import make_call, make_topup, within

CENT = Decimal("0.01")


@dataclass
class Books:
    """A company with everything that money stands in, all of it right."""

    firm: Firm
    topup: BalanceTopup
    transfer: BalanceTopup
    charge: CallCharge
    running: Call


@pytest.fixture
def books(cast: Cast) -> Books:
    firm = cast.salon
    topup, transfer = (make_topup(firm, "50.00", status="completed", completed_at=utcnow()) for _ in range(2))
    for one in (topup, transfer):
        within(firm, partial(credit_and_document, one.id))
    within(firm, lambda: give_back(transfer.id))
    call, running = (make_call(firm, duration_seconds=157), make_call(firm, ended_at=None, duration_seconds=None))
    charge = within(firm, lambda: ledger.charge(db.session.get_one(Call, call.id), utcnow()))
    assert charge is not None
    within(firm, lambda: ledger.credit_call(charge.id, Decimal("0.10"), "Kulanz", "k", utcnow()))
    within(firm, lambda: ledger.hold(db.session.get_one(Call, running.id), utcnow()))
    within(firm, lambda: ledger.adjust(Decimal("-2.00"), "Irrtum", "a", utcnow()))
    return Books(firm, topup, transfer, charge, running)


def credit_and_document(topup_id: int) -> None:
    topup = db.session.get_one(BalanceTopup, topup_id)
    ledger.credit(topup, utcnow())
    invoices.issue_for_topup(topup, utcnow())


def give_back(topup_id: int) -> None:
    topup = topups.return_by_hand(topup_id, Decimal("11.90"), "refund:hand:1", utcnow())
    invoices.cancel_for_topup(topup, topup.refunded_amount, "refund", utcnow())
    db.session.execute(update_jobs())


def update_jobs() -> Any:
    """The documents are made, so no job is about to make them."""
    return update(OutboxJob).where(OutboxJob.kind == "invoice_topup").values(status="done")


# ---- Planting ---------------------------------------------------------------------------------------------


def off(model: Any, *columns: str, by: Decimal = CENT, row: str = "") -> Callable[[Books], None]:
    """Columns of one row that are a cent more than they should be."""

    def plant(books: Books) -> None:
        found = getattr(books, row).id if row else None
        where = [model.id == found] if row else []
        values = {name: getattr(model, name) + by for name in columns}
        statement = update(model).where(*where).values(**values).execution_options(synchronize_session=False)
        within(books.firm, lambda: db.session.execute(statement))

    return plant


def movement(kind: str, amount: str, after: str = "0", links: str = "") -> Callable[[Books], None]:
    """A further row of the ledger; ``after`` is how far its balance after is off. Balance and sums follow it."""

    def plant(books: Books) -> None:
        def work() -> None:
            balance = ledger.lock()
            balance.current_balance += Decimal(amount)
            if kind in ("topup", "refund", "chargeback"):
                balance.total_topped_up += Decimal(amount)
            row = BalanceTransaction(
                company_id=books.firm.id,
                prepaid_balance_id=balance.id,
                kind=kind,
                amount=Decimal(amount),
                balance_after=balance.current_balance + Decimal(after),
                reference=f"planted:{kind}",
                topup_id=books.topup.id if links == "topup" else None,
                call_charge_id=books.charge.id if links == "charge" else None,
                created_at=ledger._after_the_last(utcnow()),
            )
            db.session.add(row)

        within(books.firm, work)

    return plant


def wrong_charge(books: Books) -> None:
    """A call that is charged right, and stands in the ledger with a cent less."""

    def work() -> None:
        call, balance = db.session.merge(extra), ledger.lock()
        rate = db.session.scalars(select(BillingRate)).one()
        made = ledger._new_charge(balance, call, rate, utcnow())
        ledger._post(
            balance, "charge", -made.amount_charged + CENT, f"charge:{call.id}", utcnow(), call_charge_id=made.id
        )
        balance.total_spent += made.amount_charged

    extra = make_call(books.firm, duration_seconds=60)
    within(books.firm, work)


def wrong_credit(books: Books) -> None:
    """A top-up whose credit is a cent less than the row says."""

    def work() -> None:
        balance = ledger.lock()
        ledger._post(balance, "topup", Decimal("19.99"), f"topup:{extra.id}", utcnow(), topup_id=extra.id)
        balance.total_topped_up += Decimal("19.99")

    extra = make_topup(books.firm, "20.00", status="completed", completed_at=utcnow())
    within(books.firm, work)


def wrong_document(net: str, tax: str, gross: str, lines: str) -> Callable[[Books], None]:
    """The invoice of a further top-up over 20.00 + 3.80, with figures of its own."""

    def plant(books: Books) -> None:
        extra = make_topup(books.firm, "20.00", status="completed", completed_at=utcnow())
        within(books.firm, lambda: ledger.credit(db.session.get_one(BalanceTopup, extra.id), utcnow()))
        within(books.firm, lambda: write(extra.id))

    def write(topup_id: int) -> None:
        known = db.session.scalars(select(Invoice).where(Invoice.kind == "invoice").limit(1)).one()
        made = Invoice(
            company_id=known.company_id, topup_id=topup_id, kind="invoice", number="RE-PLANTED",
            issued_on=known.issued_on, supplied_on=known.supplied_on, seller=known.seller, customer=known.customer,
            tax_category="standard", tax_rate=known.tax_rate, net_amount=Decimal(net), tax_amount=Decimal(tax),
            gross_amount=Decimal(gross),
        )  # fmt: skip
        db.session.add(made)
        db.session.flush()
        line = InvoiceLine(
            company_id=known.company_id, invoice_id=made.id, position=1, description="-", unit_price=Decimal(lines),
            net_amount=Decimal(lines), tax_rate=known.tax_rate,
        )  # fmt: skip
        db.session.add(line)

    return plant


ERRORS: dict[str, tuple[Callable[[Books], None], str]] = {
    "balance": (off(PrepaidBalance, "current_balance"), "current balance should be 87.00, but is 87.01"),
    "reserved": (off(PrepaidBalance, "reserved_balance"), "reserved balance should be 2.10, but is 2.11"),
    "total spent": (off(PrepaidBalance, "total_spent"), "total spent should be 1.00, but is 1.01"),
    "total topped up": (off(PrepaidBalance, "total_topped_up"), "total topped up should be 90.00, but is 90.01"),
    "hold": (off(BalanceReservation, "amount"), "reserved balance should be 2.11, but is 2.10"),
    "balance after": (movement("credit", "5.00", after="0.01"), "(planted:credit): balance after should be 92.00"),
    "movement without its sum": (
        movement("charge", "-0.01"),
        "charge that it is for should be there",
    ),
    "ledger row of a charge": (wrong_charge, "movements in the ledger should be [-0.42], but is [-0.41]"),
    "ledger row of a top-up": (wrong_credit, "movements in the ledger should be [20.00], but is [19.99]"),
    "second ledger row of a top-up": (
        movement("topup", "0.01", links="topup"),
        "movements in the ledger should be [50.00], but is [50.00, 0.01]",
    ),
    "refund in the ledger": (
        movement("refund", "-0.01", links="topup"),
        "returned in the ledger should be 0.00, but is -0.01",
    ),
    "chargeback without its top-up": (movement("chargeback", "-0.01"), "a top-up for its movements should be there"),
    "credit of a call in the ledger": (
        movement("credit", "0.01", links="charge"),
        "given back in the ledger should be 0.10, but is 0.11",
    ),
    "charge": (off(CallCharge, "amount_charged", row="charge"), "amount should be 1.10, but is 1.11"),
    "charge given back": (
        off(CallCharge, "refunded_amount", row="charge"),
        "given back in the ledger should be 0.11, but is 0.10",
    ),
    "fee of a charge": (off(CallCharge, "setup_fee", row="charge"), "fee per call should be 0.00, but is 0.01"),
    "least price of a charge": (
        off(CallCharge, "minimum_charge", row="charge"),
        "least price should be 0.00, but is 0.01",
    ),
    "price of a charge": (
        off(CallCharge, "rate_per_minute", by=Decimal("0.0001"), row="charge"),
        "price a minute should be 0.4200, but is 0.4201",
    ),
    "top-up": (
        off(BalanceTopup, "amount", "gross_amount", row="topup"),
        "movements in the ledger should be [50.01], but is [50.00]",
    ),
    "VAT of a top-up": (
        off(BalanceTopup, "tax_amount", "gross_amount", row="topup"),
        "VAT should be 9.51, but is 9.50",
    ),
    "refunded of a top-up": (
        off(BalanceTopup, "refunded_amount", row="transfer"),
        "taken back by corrections should be -11.91, but is -11.90",
    ),
    "net of an invoice": (
        wrong_document("20.01", "3.79", "23.80", "20.01"),
        "RE-PLANTED: net amount should be 20.00, but is 20.01",
    ),
    "total of an invoice": (
        wrong_document("20.00", "3.81", "23.81", "20.00"),
        "RE-PLANTED: total should be 23.80, but is 23.81",
    ),
    "line of an invoice": (
        wrong_document("20.00", "3.80", "23.80", "19.99"),
        "RE-PLANTED: sum of its lines should be 20.00, but is 19.99",
    ),
}


def verified(app: Flask) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["ledger", "verify", "--no-stripe"])
    return result.exit_code, result.output


def test_the_books_are_right_before_anything_is_planted(app: Flask, books: Books) -> None:
    assert verified(app) == (0, "Everything adds up (without Stripe).\n")


@pytest.mark.parametrize("place", ERRORS)
def test_a_cent_in_the_wrong_place_is_named(app: Flask, books: Books, place: str) -> None:
    plant, words = ERRORS[place]
    plant(books)
    code, output = verified(app)
    assert (code, words in output) == (1, True), output
    assert all(line.startswith(("salon: ", "Error: ")) for line in output.strip().splitlines())


def test_there_are_at_least_twenty_places() -> None:
    assert len({words for _plant, words in ERRORS.values()}) == len(ERRORS) >= 20
