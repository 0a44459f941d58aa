"""The only writer of balances. Every movement is one row of an append-only ledger with a reference of its own.

Each function locks the company's balance row first and does everything else after: so its movements come one after
the other, ``balance_after`` is exact, and two writers never wait for each other crosswise. What arrives twice finds
its own reference and changes nothing. Call these inside :func:`portal.db.transaction` and a company's scope.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.db import db, rows_changed
from portal.domain import alerts, audit, auto_topup_watch, pricing, rates, stats
from portal.domain.errors import DomainError
from portal.models import (
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    BillingRate,
    Call,
    CallCharge,
    PrepaidBalance,
)
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
# A call that has not ended by then is asked for at Retell, or given up.
HOLD_LASTS = timedelta(hours=3)
A_MOMENT = timedelta(microseconds=1)


class NoRateError(DomainError):
    """No rate is in force for the time of this call. Setting one makes the charge possible: try again later."""


class NotEnoughError(DomainError):
    """The balance does not hold what is to be taken from it."""


# ---- Calls ------------------------------------------------------------------------------------------------


def lock() -> PrepaidBalance:
    """The current company's balance, locked until the transaction ends and read afresh; opened if there is none."""
    found = _locked()
    if found is None:
        _open()
        found = _locked()
    assert found is not None
    return found


def hold(call: Call, now: datetime) -> BalanceReservation | None:
    """Reserve five minutes' worth for a running call, or what is available if that is less; once a call.

    None for a call that is over, and while no rate is set.
    """
    balance = lock()
    if (known := _reservation(call.id)) is not None:
        return known
    rate = rates.in_force(call.started_at)
    if call.ended_at is not None or rate is None or _charge_of(call.id) is not None:
        return None
    wanted = pricing.hold_amount(rates.tariff(rate))
    held = BalanceReservation(
        company_id=balance.company_id,
        prepaid_balance_id=balance.id,
        call_id=call.id,
        amount=min(wanted, max(available(balance), ZERO)),
        status="held",
        expires_at=now + HOLD_LASTS,
    )
    db.session.add(held)
    balance.reserved_balance += held.amount
    db.session.flush()
    auto_topup_watch.watch(balance, now)
    return held


def charge(call: Call, now: datetime) -> CallCharge | None:
    """Charge a call that has ended, at the rate of its start, and resolve its hold; once a call, whatever arrives.

    None for a call of 0 seconds, whose hold is released. Raises :class:`NoRateError`.
    """
    balance = lock()
    if (known := _charge_of(call.id)) is not None:
        _resolve(balance, call.id, "charged", now)
        return known
    if not call.duration_seconds:
        _resolve(balance, call.id, "released", now)
        return None
    rate = rates.in_force(call.started_at)
    if rate is None:
        raise NoRateError(_("No price is set for the time of this call."))
    made = _new_charge(balance, call, rate, now)
    _post(balance, "charge", -made.amount_charged, f"charge:{call.id}", now, call_charge_id=made.id)
    _resolve(balance, call.id, "charged", now)
    balance.total_spent += made.amount_charged
    balance.last_charge_at = now
    db.session.flush()
    auto_topup_watch.watch(balance, now)
    stats.mark_moment_dirty(balance.company_id, now)
    return made


def release(call: Call, now: datetime) -> bool:
    """Give back what is held for a call that costs nothing; False when nothing is held any more."""
    return _resolve(lock(), call.id, "released", now)


def credit_call(call_charge_id: int, amount: Decimal, reason: str, key: str, now: datetime) -> BalanceTransaction:
    """Give back a call's price or a part of it. The same ``key`` twice is one credit. Raises ``DomainError``."""
    balance = lock()
    reference = f"credit:{key}"
    if (known := _posted(reference)) is not None:
        return known
    charged = db.session.get_one(CallCharge, call_charge_id, populate_existing=True)
    if not ZERO < amount <= charged.amount_charged - charged.refunded_amount:
        raise DomainError(_("At most the price of the call can be given back."), "amount")
    charged.refunded_amount += amount
    charged.refund_reason = reason
    row = _post(balance, "credit", amount, reference, now, description=reason, call_charge_id=charged.id)
    balance.total_spent -= amount
    audit.record("balance.call_credited", row, new={"amount": str(amount), "reason": reason})
    stats.mark_moment_dirty(balance.company_id, charged.charged_at)
    return row


# ---- Money that comes in and goes back --------------------------------------------------------------------


def credit(topup: BalanceTopup, now: datetime) -> BalanceTransaction:
    """Put a paid top-up into the balance, net; once a top-up."""
    balance = lock()
    reference = f"topup:{topup.id}"
    if (known := _posted(reference)) is not None:
        return known
    row = _post(balance, "topup", topup.amount, reference, now, topup_id=topup.id, created_by=topup.initiated_by_id)
    balance.total_topped_up += topup.amount
    balance.last_topup_at = now
    db.session.flush()
    auto_topup_watch.watch(balance, now)
    return row


def reverse(
    topup: BalanceTopup, kind: str, amount: Decimal, reference: str, now: datetime, description: str | None = None
) -> bool:
    """A refund or chargeback of a top-up (negative), or its undoing (positive); False when it is in the ledger.

    ``kind``: refund or chargeback; ``amount``: net. The money is gone at Stripe, so this may take the balance below
    zero.
    """
    balance = lock()
    if _posted(reference) is not None:
        return False
    _post(balance, kind, amount, reference, now, description=description, topup_id=topup.id)
    balance.total_topped_up += amount
    db.session.flush()
    auto_topup_watch.watch(balance, now)
    return True


def adjust(amount: Decimal, reason: str, key: str, now: datetime) -> BalanceTransaction:
    """What the operator gives (positive) or takes (negative), with a reason. The same ``key`` twice is one movement.

    Taking more than is available raises :class:`NotEnoughError`. Who it was stands in the audit log: an operator
    belongs to no company.
    """
    balance = lock()
    kind = "credit" if amount > 0 else "adjustment"
    reference = f"{kind}:{key}"
    if (known := _posted(reference)) is not None:
        return known
    if not amount or pricing.cents(amount) != amount:
        raise DomainError(_("Please enter an amount in whole cents, other than zero."), "amount")
    if not reason.strip():
        raise DomainError(_("Please give a reason."), "reason")
    if amount < 0 and available(balance) + amount < 0:
        raise NotEnoughError(_("The balance does not hold this much."), "amount")
    row = _post(balance, kind, amount, reference, now, description=reason.strip()[:255])
    audit.record("balance.adjusted", row, new={"amount": str(amount), "reason": reason})
    auto_topup_watch.watch(balance, now)
    return row


# ---- Holds whose call never ended -------------------------------------------------------------------------


def overdue_holds(now: datetime, limit: int = 100) -> list[tuple[int, int]]:
    """(company id, call id) of holds past their time, oldest first. Needs ``all_tenants``."""
    rows = db.session.execute(
        select(BalanceReservation.company_id, BalanceReservation.call_id)
        .where(BalanceReservation.status == "held", BalanceReservation.expires_at <= now)
        .order_by(BalanceReservation.expires_at)
        .limit(limit)
    )
    return [(company_id, call_id) for company_id, call_id in rows]


def extend(call: Call, until: datetime) -> bool:
    """Keep the hold of a call that is still going on; False when nothing is held any more."""
    lock()
    held = (BalanceReservation.call_id == call.id) & (BalanceReservation.status == "held")
    return rows_changed(update(BalanceReservation).where(held).values(expires_at=until)) == 1


def settle_overdue(call: Call, now: datetime) -> CallCharge | None:
    """Charge the call if it has ended meanwhile, else give its hold back."""
    if call.ended_at is not None:
        return charge(call, now)
    release(call, now)
    return None


# ---- Inside -----------------------------------------------------------------------------------------------


def available(balance: PrepaidBalance) -> Decimal:
    """Euros free to use. Computed here: the generated column is only read again after the transaction."""
    return balance.current_balance - balance.reserved_balance


def _locked() -> PrepaidBalance | None:
    # populate_existing: a balance loaded before the lock would keep the value that it had then.
    return db.session.scalar(
        select(PrepaidBalance)
        .where(PrepaidBalance.company_id == current_company_id())
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _open() -> None:
    try:
        with db.session.begin_nested():
            db.session.add(PrepaidBalance(company_id=current_company_id()))
    except IntegrityError:
        pass  # another process was first


def _post(
    balance: PrepaidBalance,
    kind: str,
    amount: Decimal,
    reference: str,
    now: datetime,
    *,
    description: str | None = None,
    topup_id: int | None = None,
    call_charge_id: int | None = None,
    created_by: int | None = None,
) -> BalanceTransaction:
    """Write one movement and move the balance by it. The balance is locked."""
    before = balance.current_balance
    balance.current_balance = before + amount
    row = BalanceTransaction(
        company_id=balance.company_id,
        prepaid_balance_id=balance.id,
        kind=kind,
        amount=amount,
        balance_after=balance.current_balance,
        reference=reference,
        description=description,
        topup_id=topup_id,
        call_charge_id=call_charge_id,
        created_by=created_by,
        created_at=_after_the_last(now),
    )
    db.session.add(row)
    if balance.current_balance > 0:
        balance.zero_balance_reached_at = None
    elif before > 0:
        balance.zero_balance_reached_at = now
    db.session.flush()
    alerts.watch(balance, row, now)
    return row


def _after_the_last(now: datetime) -> datetime:
    """Movements are ordered by their time, so no two share one. Ids are no order: a cluster's nodes hand out ranges."""
    last = db.session.scalar(
        select(BalanceTransaction.created_at).order_by(BalanceTransaction.created_at.desc()).limit(1)
    )
    return now if last is None or last < now else last + A_MOMENT


def _new_charge(balance: PrepaidBalance, call: Call, rate: BillingRate, now: datetime) -> CallCharge:
    price = pricing.price(call.duration_seconds or 0, rates.tariff(rate))
    made = CallCharge(
        company_id=balance.company_id,
        prepaid_balance_id=balance.id,
        call_id=call.id,
        billing_rate_id=rate.id,
        duration_seconds=price.seconds,
        billable_seconds=price.billable_seconds,
        increment_seconds=price.increment_seconds,
        rate_per_minute=price.rate_per_minute,
        setup_fee=price.setup_fee,
        minimum_charge=price.minimum_charge,
        amount_charged=price.amount,
        charged_at=now,
    )
    db.session.add(made)
    db.session.flush()
    return made


def _resolve(balance: PrepaidBalance, call_id: int, status: str, now: datetime) -> bool:
    """End the hold of a call, once."""
    held = _reservation(call_id)
    if held is None:
        return False
    ended = rows_changed(
        update(BalanceReservation)
        .where(BalanceReservation.id == held.id, BalanceReservation.status == "held")
        .values(status=status, resolved_at=now)
    )
    if ended != 1:
        return False
    balance.reserved_balance -= held.amount
    db.session.flush()
    return True


def _reservation(call_id: int) -> BalanceReservation | None:
    return db.session.scalar(
        select(BalanceReservation)
        .where(BalanceReservation.call_id == call_id)
        .execution_options(populate_existing=True)
    )


def _charge_of(call_id: int) -> CallCharge | None:
    return db.session.scalar(select(CallCharge).where(CallCharge.call_id == call_id))


def _posted(reference: str) -> BalanceTransaction | None:
    return db.session.scalar(select(BalanceTransaction).where(BalanceTransaction.reference == reference))
