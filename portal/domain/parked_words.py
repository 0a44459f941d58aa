"""What differs between us and Stripe, and between a row and its sum, in words. Pure but for the language."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _

from portal.domain.balance_words import Pill
from portal.domain.reconciliation import Found
from portal.domain.topup_facts import State
from portal.formats import money

_DISPUTE = re.compile(r"dispute (\S+) is open")
_MORE = re.compile(r"(\S+): more goes back than was paid")
_FIELD = re.compile(r"(amount|currency|customer|company|top-up|session|payment): (\S+) instead of (\S+)")
_ABOUT = re.compile(r"(balance|movement|charge|hold of call|top-up|payment|invoice) (.*)", re.DOTALL)


def field(name: str) -> str:
    """A thing that our row and Stripe's payment both say."""
    words: dict[str, str] = {
        "amount": _("Amount"),
        "currency": _("Currency"),
        "customer": _("Customer"),
        "company": _("Company"),
        "top-up": _("Top-up"),
        "session": _("Payment page"),
        "payment": _("Payment"),
    }
    return words[name]


def reason(text: str | None) -> str:
    """Why a top-up is parked, as a sentence; what has no words of ours stays as it is."""
    known = text or ""
    if (dispute := _DISPUTE.fullmatch(known)) is not None:
        return str(_("The payer’s bank disputes the payment (%(id)s).", id=dispute[1]))
    if (more := _MORE.fullmatch(known)) is not None:
        return str(_("More has gone back than was paid (%(id)s).", id=more[1]))
    parts = [_FIELD.fullmatch(part) for part in known.split("; ")]
    if known and all(parts):
        return " ".join(_differs(match[1], match[2], match[3]) for match in parts if match)
    return known


def _differs(name: str, theirs: str, ours: str) -> str:
    if name == "amount":
        theirs, ours = _euros(theirs), _euros(ours)
    return str(_("%(what)s: Stripe says %(theirs)s, we say %(ours)s.", what=field(name), theirs=theirs, ours=ours))


def payment_state(state: State) -> Pill:
    """How a payment stands at Stripe."""
    return {
        State.PAID: Pill("ok", "check", _("Paid")),
        State.PROCESSING: Pill("warn", "hourglass", _("On its way")),
        State.OPEN: Pill("", "circle-dashed", _("Not paid yet")),
        State.FAILED: Pill("bad", "alert-circle", _("Failed")),
    }[state]


def area(name: str) -> str:
    """A part of the check."""
    words: dict[str, str] = {
        "balance": _("Balance = sum"),
        "holds": _("Reservations"),
        "charges": _("Charges"),
        "topups": _("Top-ups"),
        "invoices": _("Invoices"),
        "stripe": _("Stripe"),
    }
    return words[name]


def sentence(one: Found) -> str:
    """One difference: ``Abrechnung 12 (call 4): der Betrag müsste 1,10 € sein, ist aber 1,11 €``."""
    values: dict[str, Any] = {"about": _about(one.about), "what": _what(one.what)}
    values |= {"expected": _value(one.expected), "found": _value(one.found)}
    return str(_("%(about)s: %(what)s should be %(expected)s, but is %(found)s.", **values))


def _about(text: str) -> str:
    words: dict[str, str] = {
        "balance": _("Balance"),
        "movement": _("Movement"),
        "charge": _("Charge"),
        "hold of call": _("Reservation of call"),
        "top-up": _("Top-up"),
        "payment": _("Payment"),
        "invoice": _("Invoice"),
    }
    match = _ABOUT.fullmatch(text)
    return f"{words[match[1]]} {match[2]}" if match else text


def _what(text: str) -> str:
    words: dict[str, str] = {
        "current balance": _("the balance"),
        "reserved balance": _("the reserved amount"),
        "available balance": _("the available amount"),
        "total topped up": _("the sum of top-ups"),
        "total spent": _("the sum spent"),
        "balance after": _("the balance after it"),
        "amount": _("the amount"),
        "billable seconds": _("the billed seconds"),
        "price a minute": _("the price a minute"),
        "billing step": _("the billing step"),
        "least price": _("the least price"),
        "fee per call": _("the fee per call"),
        "movements in the ledger": _("what stands in the ledger"),
        "given back in the ledger": _("what the ledger gave back"),
        "returned in the ledger": _("what the ledger took back"),
        "status": _("the state"),
        "sum of its lines": _("the sum of its lines"),
        "net amount": _("the net amount"),
        "VAT": _("the VAT"),
        "total": _("the total"),
        "taken back by corrections": _("what corrections take back"),
        "payment at Stripe": _("the payment at Stripe"),
        "amount received at Stripe": _("what Stripe has received"),
        "amount refunded": _("what has been refunded"),
        "charge that it is for": _("the charge that it is for"),
        "charge that it became": _("the charge that it became"),
        "a top-up for its movements": _("the top-up of its movements"),
    }
    if (topup := re.fullmatch(r"top-up (\d+)", text)) is not None:
        return str(_("top-up no. %(number)s", number=topup[1]))
    return words.get(text, text)


def _state(text: str) -> str:
    words: dict[str, str] = {
        "completed": _("credited"),
        "refunded": _("refunded"),
        "failed": _("failed"),
        "pending": _("not paid yet"),
        "processing": _("on its way"),
        "succeeded": _("paid"),
        "missing": _("missing"),
        "there": _("there"),
        "None": _("missing"),
        "held": _("held"),
        "charged": _("charged"),
    }
    return words.get(text, text)


def _value(text: str) -> str:
    """Amounts as amounts; lists of them too; everything else as it is."""
    if text.startswith("[") and text.endswith("]"):
        return ", ".join(_value(part) for part in text[1:-1].split(", ") if part) or _("nothing")
    return _euros(text) if re.fullmatch(r"-?\d+\.\d\d", text) else _state(text)


def _euros(text: str) -> str:
    try:
        return money(Decimal(text), get_locale().language)
    except InvalidOperation:
        return text
