"""Money of a top-up that goes back: refunds, disputes, and those that come to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select

from portal.db import db
from portal.domain import audit, auto_topup_outcome, ledger, parked, topup_news, vat
from portal.domain.topup_facts import Told
from portal.domain.topup_steps import CREDITED, ask_for_documents, fresh, move
from portal.models import BalanceTopup, BalanceTransaction

ZERO = Decimal("0.00")
BEYOND = "returned_beyond"  # key of the row's metadata: gross euros that went back on top of all that was paid
TOO_MUCH = "more goes back than was paid"


@dataclass(frozen=True)
class _Return:
    """One refund or dispute. ``undone``: it came to nothing, so the money is with us again."""

    kind: str
    id: str
    gross: Decimal
    created: datetime
    undone: bool


def return_money(topup: BalanceTopup, facts: Told, now: datetime) -> None:
    """Write what is not written yet: one row for money that goes, one for money that comes back.

    What came to nothing before we heard of it gets both rows, so that the ledger is the same in every order of events.
    """
    before = topup.refunded_amount
    for one in sorted(_returns(facts), key=lambda item: (item.created, item.id)):
        was = topup.refunded_amount
        _take(topup, one.gross, one.kind, f"{one.kind}:{one.id}", now)
        if one.undone:
            _take(topup, -one.gross, one.kind, f"{one.kind}:{one.id}:undone", now)
        topup_news.gone_back(topup, one.kind, one.id, topup.refunded_amount - was)
    if facts.refunds or facts.disputes:
        reason = "chargeback" if any(one.takes_money for one in facts.disputes) else "refund"
        ask_for_documents(topup, reason)
        _finish_returns(topup, facts)
    if topup.refunded_amount > before:
        auto_topup_outcome.gone_back(topup)


def return_by_hand(topup_id: int, gross: Decimal, reference: str, now: datetime) -> BalanceTopup:
    """Book what was given back of a top-up that Stripe knows nothing of, in gross euros: at most what is left."""
    ledger.lock()
    topup = fresh(topup_id)
    was = topup.refunded_amount
    _take(topup, gross, "refund", reference, now)
    topup_news.gone_back(topup, "refund", reference, topup.refunded_amount - was)
    move(topup.id, "refunded" if topup.refunded_amount == topup.gross_amount else "completed", CREDITED)
    ask_for_documents(topup)
    auto_topup_outcome.gone_back(topup)
    return fresh(topup_id)


def taken_by_bank(topup_id: int) -> bool:
    """Whether a chargeback holds money of this top-up."""
    kept = select(func.sum(BalanceTransaction.amount)).where(
        BalanceTransaction.topup_id == topup_id, BalanceTransaction.kind == "chargeback"
    )
    return (db.session.scalar(kept) or ZERO) < ZERO


def _returns(facts: Told) -> list[_Return]:
    refunds = [_Return("refund", one.refund_id, one.amount, one.created, one.came_to_nothing) for one in facts.refunds]
    disputes = [
        _Return("chargeback", one.dispute_id, one.amount, one.created, not one.takes_money)
        for one in facts.disputes
        if not one.status.startswith("warning_")
    ]
    return refunds + disputes


def _take(topup: BalanceTopup, gross: Decimal, kind: str, reference: str, now: datetime) -> None:
    """Move the net share of ``gross`` euros out of the balance (or back in), so that all parts add up to the whole.

    A refund and a dispute over everything are more than was paid: the balance loses what it was credited and no more.
    What lies beyond is noted, because what comes back later makes up for that first.
    """
    whole = vat.TaxSplit(vat.TaxKind.STANDARD, topup.tax_rate / 100, topup.amount, topup.tax_amount, topup.gross_amount)
    total = topup.refunded_amount + _beyond(topup) + gross
    after = min(max(total, ZERO), topup.gross_amount)
    net = vat.part_of(whole, topup.refunded_amount).net - vat.part_of(whole, after).net
    if ledger.reverse(topup, kind, net, reference, now):
        audit.record(f"topup.{kind}", topup, new={"gross": str(gross), "net": str(net), "reference": reference})
        if total != after:
            parked.park(topup, f"{reference}: {TOO_MUCH}")
        topup.refunded_amount = after
        if total - after != _beyond(topup):
            topup.topup_metadata = {**(topup.topup_metadata or {}), BEYOND: str(total - after)}
        db.session.flush()


def _beyond(topup: BalanceTopup) -> Decimal:
    return Decimal((topup.topup_metadata or {}).get(BEYOND, ZERO))


def _finish_returns(topup: BalanceTopup, facts: Told) -> None:
    """All of it gone is refunded; a running dispute is the operator's to answer, and so is what lies beyond."""
    whole = topup.refunded_amount == topup.gross_amount
    move(topup.id, "refunded" if whole else "completed", CREDITED)
    if not _is_newest(topup, facts.read_at):
        return
    running = [one.dispute_id for one in facts.disputes if not one.closed]
    standing = [one for one in _returns(facts) if not one.undone]
    known = topup.parked_reason or ""
    if running:
        parked.park(topup, f"dispute {running[0]} is open")
    elif known.startswith("dispute ") and _beyond(topup) and standing:
        newest = max(standing, key=lambda one: (one.created, one.id))
        parked.park(topup, f"{newest.kind}:{newest.id}: {TOO_MUCH}")
    elif known.startswith("dispute ") or (known.endswith(TOO_MUCH) and not _beyond(topup)):
        topup.parked_reason = None
        db.session.flush()


def _is_newest(topup: BalanceTopup, read_at: datetime) -> bool:
    """Whether nobody has looked at Stripe's refunds and disputes later; two handlers may overtake each other."""
    known = dict(topup.topup_metadata or {})
    if known.get("returns_read_at", "") > read_at.isoformat():
        return False
    topup.topup_metadata = {**known, "returns_read_at": read_at.isoformat()}
    db.session.flush()
    return True
