"""A company that tops up automatically, and what tests look at."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal import auto_payments, payments
from portal.db import db, utcnow
from portal.domain import auto_topup, auto_topup_consent, ledger
from portal.domain.auto_topup_consent import Saved
from portal.domain.auto_topup_rules import FIXED, Settings
from portal.models import BalanceTopup, Notification, PrepaidBalance
from portal.tenancy import tenant_scope
from tests.cast import Firm
from tests.factories import within
from tests.fake_stripe import Simulator

FIFTY = Settings(FIXED, Decimal(20), Decimal(50), Decimal(100), Decimal(300))
TEXT = "Ich erlaube das Aufladen ohne Nachfrage."


def save(firm: Firm, settings: Settings = FIFTY) -> None:
    within(firm, lambda: auto_topup.save(settings, utcnow()))


def open_setup(firm: Firm) -> str:
    """The id of a page at Stripe on which the owner, who has agreed, may save a card."""
    consent_id = within(firm, lambda: auto_topup_consent.start(firm.owner.id, TEXT))
    with tenant_scope(firm.id):
        url = payments.open_setup_page(consent_id, "de", "/balance/auto-topup/card")
    assert url is not None
    return url.rpartition("/")[2]


def finish_setup(firm: Firm, session_id: str) -> Saved:
    with tenant_scope(firm.id):
        return payments.finish_setup(session_id)


def switch_on(
    firm: Firm, sim: Simulator, settings: Settings = FIFTY, *, method: Any = "card", behaviour: str = "ok"
) -> str:
    """Settings saved, consent given, card saved, on. The card's id; ``behaviour``: how it answers when charged."""
    save(firm, settings)
    session_id = open_setup(firm)
    sim.pay(session_id, method, later=behaviour)
    assert finish_setup(firm, session_id) is Saved.SAVED
    balance = balance_of(firm)
    assert balance.auto_topup_enabled
    assert balance.stripe_payment_method_id is not None
    return balance.stripe_payment_method_id


def behave(sim: Simulator, card: str, behaviour: str) -> None:
    """How a saved card answers from now on."""
    with sim.acting():
        sim.store.side["behaviour"][card] = behaviour


def look(firm: Firm) -> bool:
    """What the worker does for a company."""
    with tenant_scope(firm.id):
        return auto_payments.top_up_if_due()


def charge_again(firm: Firm, topup_id: int) -> bool:
    with tenant_scope(firm.id):
        return auto_payments.charge(topup_id)


def adjust(firm: Firm, euros: str, key: str) -> None:
    within(firm, lambda: ledger.adjust(Decimal(euros), "Test", key, utcnow()))


def set_to(firm: Firm, euros: str) -> None:
    """Bring the balance to this amount, below zero included: as calls would."""

    def work() -> None:
        balance = ledger.lock()
        change = Decimal(euros) - balance.current_balance
        if change:
            ledger._post(balance, "correction", change, f"test:{utcnow().isoformat()}", utcnow())

    within(firm, work)


def balance_of(firm: Firm) -> PrepaidBalance:
    with tenant_scope(firm.id):
        return db.session.scalars(select(PrepaidBalance).execution_options(populate_existing=True)).one()


def automatic(firm: Firm) -> list[BalanceTopup]:
    with tenant_scope(firm.id):
        rows = select(BalanceTopup).where(BalanceTopup.is_auto_topup.is_(True)).order_by(BalanceTopup.id)
        return list(db.session.scalars(rows.execution_options(populate_existing=True)))


def intents(sim: Simulator) -> list[dict[str, Any]]:
    return sim.all("payment_intent")


def messages(firm: Firm, *, to: int | None = None) -> list[str]:
    """The types of what stands in the owner's bell, oldest first."""
    with tenant_scope(firm.id):
        row = Notification
        found = select(row.type).where(row.portal_user_id == (to or firm.owner.id)).order_by(row.id)
        return [type for type in db.session.scalars(found) if type.startswith("auto_topup.")]


def forward(firm: Firm, moment: datetime | None) -> None:
    """As if a pause had lasted until then."""

    def work() -> None:
        ledger.lock().auto_topup_paused_until = moment

    within(firm, work)
