"""Movements and outcomes of the balance in words. Pure but for the language."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _

from portal.domain import phones
from portal.domain.movements import Line
from portal.domain.topups import Outcome


@dataclass(frozen=True)
class Pill:
    """A state: ``kind`` is '' on ok warn bad."""

    kind: str
    icon: str
    label: str


def kind(name: str) -> str:
    """The kind of a movement."""
    words: dict[str, str] = {
        "charge": _("Call"),
        "topup": _("Top-up"),
        "refund": _("Refund"),
        "chargeback": _("Chargeback"),
        "credit": _("Credit"),
        "adjustment": _("Adjustment"),
        "correction": _("Correction"),
    }
    return words[name]


def kinds(name: str) -> str:
    """The same of many movements."""
    words: dict[str, str] = {
        "charge": _("Calls"),
        "topup": _("Top-ups"),
        "refund": _("Refunds"),
        "chargeback": _("Chargebacks"),
        "credit": _("Credits"),
        "adjustment": _("Adjustments"),
        "correction": _("Corrections"),
    }
    return words[name]


def icon(line: Line) -> str:
    """The icon of a movement."""
    if line.automatic:
        return "repeat"
    known = {"charge": "phone-incoming", "topup": "credit-card", "refund": "arrow-forward-up", "credit": "gift"}
    return known.get(line.kind, "arrows-exchange")


def text(line: Line, country: str = phones.DEFAULT_COUNTRY, *, named: bool) -> str:
    """What a movement is. Callers are named only to who may see calls."""
    if line.kind == "charge":
        return caller(line, country) if named else _call_number(line)
    if line.kind == "topup":
        return _topup(line)
    if line.topup_id is not None:
        return str(_("%(kind)s of top-up no. %(number)s", kind=_returned(line), number=line.topup_id))
    return f"{kind(line.kind)}: {line.description}" if line.description else kind(line.kind)


def caller(line: Line, country: str = phones.DEFAULT_COUNTRY) -> str:
    """Who called: name, else number, else that it was withheld."""
    if line.call is None:
        return kind(line.kind)
    return line.call.name or phones.display(line.call.phone, country) or str(_("Withheld number"))


def _call_number(line: Line) -> str:
    return str(_("Call %(number)s", number=line.call.id)) if line.call else kind(line.kind)


def _topup(line: Line) -> str:
    lead = _("Topped up automatically") if line.automatic else _("Topped up")
    return f"{lead}, {line.topup_label}" if line.topup_label else lead


def _returned(line: Line) -> str:
    if line.amount > 0:
        return str(_("Refund undone") if line.kind == "refund" else _("Chargeback undone"))
    return kind(line.kind)


def state(outcome: Outcome) -> Pill:
    """How a top-up stands."""
    return {
        Outcome.PAID: Pill("ok", "check", _("Credited")),
        Outcome.PROCESSING: Pill("warn", "hourglass", _("On its way")),
        Outcome.OPEN: Pill("", "circle-dashed", _("Not paid yet")),
        Outcome.DECLINED: Pill("bad", "alert-circle", _("Declined")),
        Outcome.NOT_STARTED: Pill("", "x", _("Not begun")),
        Outcome.EXPIRED: Pill("", "clock", _("Expired")),
        Outcome.FAILED: Pill("bad", "alert-circle", _("Returned")),
        Outcome.PARKED: Pill("warn", "search", _("Being checked")),
        Outcome.REFUNDED: Pill("", "arrow-forward-up", _("Refunded")),
        Outcome.PARTLY_REFUNDED: Pill("", "arrow-forward-up", _("Partly refunded")),
        Outcome.COLLECTING: Pill("warn", "hourglass", _("On its way")),
        Outcome.REFUSED: Pill("bad", "alert-circle", _("Not charged")),
    }[outcome]


def decline_reason(code: str | None) -> str:
    """Why the bank said no, as far as it says so; '' when it does not."""
    words: dict[str, str] = {
        "insufficient_funds": _("The account is not covered."),
        "card_velocity_exceeded": _("The card's limit has been reached."),
        "withdrawal_count_limit_exceeded": _("The card's limit has been reached."),
        "expired_card": _("The card has expired."),
        "lost_card": _("The card is blocked."),
        "stolen_card": _("The card is blocked."),
        "pickup_card": _("The card is blocked."),
        "incorrect_cvc": _("The card's check digits are wrong."),
        "incorrect_number": _("The card's number is wrong."),
        "authentication_required": _("The bank asks you to confirm the payment in person."),
        "processing_error": _("The bank could not process the payment just now."),
        "debit_not_authorized": _("The debit was objected to."),
        "account_closed": _("The account has been closed."),
    }
    return words.get(code or "", "")
