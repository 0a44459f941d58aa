"""What people are told about top-ups that a person paid: arrived, returned by the bank, gone back.

Called within the functions that move top-ups, after their conditional UPDATE. Automatic top-ups tell of their own ends
in ``auto_topup_outcome``; money that goes back is told of for both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.domain import auto_topup_words as words
from portal.domain import notifications
from portal.models import BalanceTopup
from portal.permissions import Permission


def credited(topup: BalanceTopup) -> None:
    """In the bell only: the invoice goes out by e-mail."""
    if not topup.is_auto_topup and topup.payment_method == "stripe":
        title = LazyString(lambda: _("%(amount)s credited", amount=words.euros(topup.amount)))
        _tell(topup, "completed", title, words.paid_by(topup.payment_label, topup.gross_amount), mail=False)


def debit_returned(topup: BalanceTopup) -> None:
    """Days after it was ordered: whoever counted on it has to know."""
    if topup.is_auto_topup:
        return
    gross = topup.gross_amount
    body = LazyString(
        lambda: _(
            "The bank has not carried out the debit of %(gross)s, so nothing was credited. Please try once more, by "
            "card or from another account.",
            gross=words.euros(gross),
        )
    )
    _tell(topup, "returned", _l("A direct debit was returned"), body, priority="high")


def gone_back(topup: BalanceTopup, kind: str, reference: str, gross: Decimal) -> None:
    """``kind``: refund or chargeback; ``gross``: euros gone, or come again if negative. Refunds bring a document."""
    if not gross:
        return
    name = f"{kind}:{reference}{':undone' if gross < 0 else ''}"
    if gross < 0:
        title = LazyString(lambda: _("%(amount)s are with us again", amount=words.euros(-gross)))
        _tell(topup, f"{kind}_undone", title, _again(topup), key=name, mail=False)
    elif kind == "chargeback":
        title = LazyString(lambda: _("The bank has taken %(amount)s back", amount=words.euros(gross)))
        _tell(topup, kind, title, _charged_back(topup), key=name, priority="high")
    else:
        title = LazyString(lambda: _("%(amount)s refunded", amount=words.euros(gross)))
        _tell(topup, kind, title, _refunded(topup), key=name, mail=False)


def _refunded(topup: BalanceTopup) -> LazyString:
    return _l(
        "Of top-up no. %(number)s. The money goes back the way it was paid; the balance is lower by the net amount.",
        number=topup.id,
    )


def _charged_back(topup: BalanceTopup) -> LazyString:
    return _l(
        "The payment of top-up no. %(number)s was charged back, so the balance is lower by the net amount. Was that "
        "not meant? Then please ask your bank.",
        number=topup.id,
    )


def _again(topup: BalanceTopup) -> LazyString:
    return _l("What had gone back of top-up no. %(number)s is in the balance again.", number=topup.id)


def _tell(topup: BalanceTopup, what: str, title: LazyString, body: LazyString, *, key: str = "", **how: Any) -> None:
    notifications.notify(
        Permission.VIEW_BALANCE,
        f"topup.{what}",
        "billing",
        title,
        body,
        action_url=f"/balance/topups/{topup.id}",
        action=_l("To the top-up"),
        dedupe_key=f"topup:{topup.id}:{key or what}",
        **how,
    )
