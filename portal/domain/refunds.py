"""Refunds of top-ups that an operator asks for: first noted in our own row, then asked for at Stripe, then booked.

The note is committed before Stripe is asked, and stays until Stripe has answered: an answer that got lost is asked for
again with the same key, and nobody can ask for a second refund meanwhile. What a refund does to the balance follows
from Stripe's own list of refunds (``topups.apply``); nothing is booked here but refunds of what Stripe never had.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _

from portal.db import db
from portal.domain import audit, ledger, parked, pricing, topups, vat
from portal.domain.errors import Conflict, DomainError
from portal.domain.topup_steps import fresh
from portal.formats import money
from portal.models import BalanceTopup

ZERO = Decimal("0.00")
NOTED = "refunds"  # key of the row's metadata


@dataclass(frozen=True)
class Asked:
    """A refund that somebody has asked for. Gross euros. ``refund_id``: Stripe's answer, None while there is none.

    ``again``: it was asked for before, so Stripe may have it already. ``uncredited``: of a parked payment, whole.
    """

    key: str
    payment_id: str
    gross: Decimal
    reason: str
    refund_id: str | None
    uncredited: bool
    again: bool

    @property
    def waits(self) -> bool:
        return self.refund_id is None


@dataclass(frozen=True)
class Effect:
    """What a refund of ``gross`` euros takes out of the balance: ``net``, and what is available before and after."""

    gross: Decimal
    net: Decimal
    before: Decimal

    @property
    def after(self) -> Decimal:
        return self.before - self.net

    @property
    def below_zero(self) -> bool:
        return self.after < 0


def left(topup: BalanceTopup) -> Decimal:
    """Gross euros that can still be given back."""
    return topup.gross_amount - topup.refunded_amount if topup.status in topups.CREDITED else ZERO


def effect(topup: BalanceTopup, gross: Decimal, available: Decimal) -> Effect:
    """What giving back ``gross`` euros, at most what is left, does to the balance."""
    whole = vat.TaxSplit(vat.TaxKind.STANDARD, topup.tax_rate / 100, topup.amount, topup.tax_amount, topup.gross_amount)
    gone, going = vat.part_of(whole, topup.refunded_amount), vat.part_of(whole, topup.refunded_amount + gross)
    return Effect(gross, going.net - gone.net, available)


def waiting(topup: BalanceTopup) -> Asked | None:
    """The refund that Stripe has not answered yet."""
    return next((one for one in _noted(topup) if one.waits), None)


# ---- Asking -----------------------------------------------------------------------------------------------


def ask(topup_id: int, gross: Decimal, reason: str, form_key: str, *, below_zero: bool) -> Asked:
    """Note a refund of a credited top-up. The same form twice is one refund. Raises ``DomainError``."""
    balance, topup = ledger.lock(), fresh(topup_id)
    key = _key(topup, form_key)
    if (known := _known(topup, key, gross)) is not None:
        return known
    _check_amount(topup, gross)
    if not topup.stripe_payment_intent_id:
        raise DomainError(_("Stripe has no payment for this top-up."), "amount")
    _check_balance(effect(topup, gross, ledger.available(balance)), below_zero)
    return _note(topup, Asked(key, topup.stripe_payment_intent_id, gross, reason, None, False, False))


def ask_uncredited(topup_id: int, theirs: parked.Theirs, reason: str, form_key: str) -> Asked:
    """Note that a parked payment goes back whole. Raises ``DomainError``."""
    ledger.lock()
    topup = fresh(topup_id)
    key = _key(topup, form_key)
    if (known := _known(topup, key, None)) is not None:
        return known
    if topup.status in topups.CREDITED or not topup.parked_reason:
        raise Conflict(_("This has been settled already."))
    if theirs.payment_id is None or theirs.left <= 0:
        raise DomainError(_("Stripe has received nothing that could be given back."))
    return _note(topup, Asked(key, theirs.payment_id, theirs.left, reason, None, True, False))


def by_hand(
    topup_id: int, gross: Decimal, reason: str, form_key: str, now: datetime, *, below_zero: bool
) -> BalanceTopup:
    """Book what went back of a top-up that was never paid through Stripe. The same form twice is one refund."""
    balance, topup = ledger.lock(), fresh(topup_id)
    key = _key(topup, form_key)
    if _known(topup, key, gross) is not None:
        return topup
    if topup.payment_method == "stripe":
        raise DomainError(_("This top-up was paid through Stripe and goes back through Stripe."), "amount")
    _check_amount(topup, gross)
    _check_balance(effect(topup, gross, ledger.available(balance)), below_zero)
    _note(topup, Asked(key, "", gross, reason, f"hand:{key[:20]}", False, False))
    return topups.return_by_hand(topup_id, gross, f"refund:hand:{key[:20]}", now)


def _check_amount(topup: BalanceTopup, gross: Decimal) -> None:
    if topup.status not in topups.CREDITED:
        raise DomainError(_("This top-up has not been credited, so nothing can be given back of it."), "amount")
    if gross <= 0 or pricing.cents(gross) != gross:
        raise DomainError(_("Please enter an amount above zero."), "amount")
    if gross > left(topup):
        raise DomainError(_("Of this top-up only %(amount)s are left.", amount=_euros(left(topup))), "amount")


def _check_balance(does: Effect, agreed: bool) -> None:
    if does.below_zero and not agreed:
        words = _("The balance would then be %(amount)s. Please tick that this is meant.", amount=_euros(does.after))
        raise DomainError(words, "below_zero")


def _euros(amount: Decimal) -> str:
    return money(amount, get_locale().language)


# ---- Answered ---------------------------------------------------------------------------------------------


def answered(topup_id: int, key: str, refund_id: str, now: datetime) -> None:
    """Stripe has it. A parked payment that went back whole is settled by that."""
    ledger.lock()
    topup = fresh(topup_id)
    asked = next((one for one in _noted(topup) if one.key == key), None)
    if asked is None or not asked.waits:
        return
    _keep(topup, key, {**_values(asked), "refund": refund_id})
    audit.record("topup.refund_made", topup, new={"gross": str(asked.gross), "refund": refund_id})
    if asked.uncredited:
        parked.close_given_back(topup_id, refund_id, asked.reason, now)


def refused(topup_id: int, key: str, message: str) -> None:
    """Stripe will not do it: the note goes, another refund may be asked for."""
    ledger.lock()
    topup = fresh(topup_id)
    _keep(topup, key, None)
    audit.record("topup.refund_refused", topup, new={"message": message[:255]})


def _note(topup: BalanceTopup, asked: Asked) -> Asked:
    _keep(topup, asked.key, _values(asked))
    audit.record("topup.refund_asked", topup, new={"gross": str(asked.gross), "reason": asked.reason})
    return asked


def _known(topup: BalanceTopup, key: str, gross: Decimal | None) -> Asked | None:
    """The refund of this very form; raises where another one is on its way."""
    known = next((one for one in _noted(topup) if one.key == key), None)
    if known is not None and gross not in (None, known.gross):
        raise DomainError(_("This form has been sent before with another amount. Please open it afresh."), "amount")
    if known is None and waiting(topup) is not None:
        raise Conflict(_("Another refund of this top-up has not been answered yet. Please finish that one first."))
    return known


def _noted(topup: BalanceTopup) -> list[Asked]:
    known: dict[str, dict[str, Any]] = (topup.topup_metadata or {}).get(NOTED) or {}
    return [
        Asked(
            key=key,
            payment_id=one["payment"],
            gross=Decimal(one["gross"]),
            reason=one["reason"],
            refund_id=one["refund"],
            uncredited=one["uncredited"],
            again=True,
        )
        for key, one in known.items()
    ]


def _values(asked: Asked) -> dict[str, Any]:
    return {
        "payment": asked.payment_id,
        "gross": str(asked.gross),
        "reason": asked.reason,
        "refund": asked.refund_id,
        "uncredited": asked.uncredited,
    }


def _keep(topup: BalanceTopup, key: str, values: dict[str, Any] | None) -> None:
    known = dict(topup.topup_metadata or {})
    noted = {**(known.get(NOTED) or {}), key: values}
    topup.topup_metadata = known | {NOTED: {name: one for name, one in noted.items() if one is not None}}
    db.session.flush()


def _key(topup: BalanceTopup, form_key: str) -> str:
    # With our row, because keys come from browsers.
    return hashlib.sha256(f"{topup.company_id}:{topup.id}:{form_key}".encode()).hexdigest()[:32]
