"""What follows when an automatic top-up ends: a pause after a decline, a message to those who look after the balance.

Called within the one function that moves top-ups (``topups.apply``, ``topups.fail``), after its conditional UPDATE, so
that each end has its consequences once, however often Stripe tells of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.domain import audit, ledger, notifications
from portal.domain import auto_topup_words as words
from portal.domain.topup_facts import NEEDS_PERSON
from portal.models import BalanceTopup, PrepaidBalance
from portal.permissions import Permission

SWITCHED_OFF = "auto_topup.switched_off"
PAGE, SETTINGS = "/balance/auto-topup", _l("Automatic top-up")
# Declined once, twice; the third time it is switched off.
PAUSES = (timedelta(hours=1), timedelta(hours=24))
# The bank asks for the person: no date ends this pause, but a top-up paid in person, or switching on again.
UNTIL_IN_PERSON = datetime(9000, 1, 1, tzinfo=UTC)

REJECTED = "stripe_rejected"
NOT_SENT = "not_sent"  # switched off, or too late, before Stripe was asked: nobody was declined
CARD_GONE = "payment_method_missing"
REJECTED_PAUSE = timedelta(hours=1)


def paid(topup: BalanceTopup) -> None:
    """Money has arrived. One of ours ends all pauses; one paid in person ends the pause that waited for it."""
    balance = ledger.lock()
    if topup.is_auto_topup:
        resume(balance)
        _tell(
            topup, "paid", words.paid(topup.amount), words.paid_by(topup.payment_label, topup.gross_amount), mail=False
        )
    elif balance.auto_topup_paused_until == UNTIL_IN_PERSON and topup.payment_method == "stripe":
        resume(balance)


def failed(topup: BalanceTopup, now: datetime) -> None:
    """No money will come of it. Whoever has switched off meanwhile has decided already."""
    if not topup.is_auto_topup or topup.failure_code == NOT_SENT:
        return
    balance = ledger.lock()
    if not balance.auto_topup_enabled:
        return
    if topup.failure_code == CARD_GONE:
        forget(balance)
        switch_off(balance, "card_gone")
        _tell(topup, "card_gone", words.off_title(), words.card_gone(), priority="high")
    elif topup.failure_code == REJECTED:
        _rejected(balance, now)
    elif topup.failure_code == NEEDS_PERSON:
        _wait_for_person(balance, topup)
    else:
        _declined(balance, topup, now)


def gone_back(topup: BalanceTopup) -> None:
    """Who has just got money back does not want it taken again by itself."""
    balance = ledger.lock()
    if balance.auto_topup_enabled:
        switch_off(balance, "returned")
        _tell(topup, "returned", words.off_title(), words.gone_back(), priority="high")


def card_gone(balance: PrepaidBalance) -> None:
    """Stripe does not have the saved card any more."""
    forget(balance)
    if balance.auto_topup_enabled:
        switch_off(balance, "card_gone")
        _notify("card_gone", words.off_title(), words.card_gone(), priority="high")


def resume(balance: PrepaidBalance) -> None:
    balance.auto_topup_declines, balance.auto_topup_paused_until = 0, None


def switch_off(balance: PrepaidBalance, why: str) -> None:
    """Off, whatever was. ``why``: person, declined, card_gone, returned, or consent (to less than is set)."""
    balance.auto_topup_enabled = False
    resume(balance)
    audit.record(SWITCHED_OFF, balance, new={"why": why})


def forget(balance: PrepaidBalance) -> None:
    """No card; who consented to it stays on record."""
    balance.stripe_payment_method_id, balance.payment_method_label = None, None


def _declined(balance: PrepaidBalance, topup: BalanceTopup, now: datetime) -> None:
    declines = balance.auto_topup_declines + 1
    if declines > len(PAUSES):
        switch_off(balance, "declined")
        _tell(topup, "off", words.off_title(), words.declined_off(), priority="high")
        return
    pause = PAUSES[declines - 1]
    balance.auto_topup_declines, balance.auto_topup_paused_until = declines, now + pause
    audit.record("auto_topup.paused", balance, new={"declines": declines, "until": (now + pause).isoformat()})
    _tell(topup, "declined", words.declined_title(), words.declined(topup.amount, pause), priority="high")


def _rejected(balance: PrepaidBalance, now: datetime) -> None:
    """The operator's mistake or Stripe's: nobody was declined, it may be mended within the hour; told once a day."""
    balance.auto_topup_paused_until = now + REJECTED_PAUSE
    key = f"auto_topup:rejected:{now:%Y-%m-%d}"
    _notify("rejected", words.rejected_title(), words.rejected(), key=key, priority="high")


def _wait_for_person(balance: PrepaidBalance, topup: BalanceTopup) -> None:
    balance.auto_topup_paused_until = UNTIL_IN_PERSON
    audit.record("auto_topup.paused", balance, new={"until": "paid in person"})
    _tell(
        topup,
        "in_person",
        words.in_person_title(),
        words.in_person(topup.amount),
        priority="high",
        url=f"/balance/topups/{topup.id}",
        action=_l("Pay in person"),
    )


def _tell(topup: BalanceTopup, what: str, title: LazyString, body: LazyString, **how: Any) -> None:
    details = [(_l("Credit"), _euros(topup.amount)), (_l("Amount with VAT"), _euros(topup.gross_amount))]
    _notify(what, title, body, key=f"auto_topup:{what}:{topup.id}", details=details, **how)


def _euros(amount: Decimal) -> LazyString:
    return LazyString(lambda: words.euros(amount))


def _notify(
    what: str,
    title: LazyString,
    body: LazyString,
    *,
    key: str | None = None,
    details: Any = (),
    priority: str = "normal",
    mail: bool = True,
    url: str = PAGE,
    action: Any = SETTINGS,
) -> None:
    notifications.notify(
        Permission.VIEW_BALANCE,
        f"auto_topup.{what}",
        "billing",
        title,
        body,
        action_url=url,
        action=action,
        details=details,
        dedupe_key=key,
        priority=priority,
        mail=mail,
    )
