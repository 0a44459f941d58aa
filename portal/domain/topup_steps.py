"""One step of a top-up at a time: each is one conditional UPDATE, so that it happens once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from portal.db import db, rows_changed
from portal.domain import outbox
from portal.models import BalanceTopup, Company
from portal.tenancy import current_company_id

OPEN = ("pending", "processing")
CREDITED = ("completed", "refunded")


def fresh(topup_id: int) -> BalanceTopup:
    """Read again what others may have changed."""
    return db.session.scalars(
        select(BalanceTopup).where(BalanceTopup.id == topup_id).execution_options(populate_existing=True)
    ).one()


def move(topup_id: int, status: str, allowed: tuple[str, ...], **values: Any) -> bool:
    """One step of the state machine; False when somebody else has taken it or it is not allowed from here."""
    step = update(BalanceTopup).where(BalanceTopup.id == topup_id, BalanceTopup.status.in_(allowed))
    return rows_changed(step.values(status=status, **values)) == 1


def put(topup_id: int, *conditions: Any, **values: Any) -> bool:
    """Note something without a step."""
    return bool(rows_changed(update(BalanceTopup).where(BalanceTopup.id == topup_id, *conditions).values(**values)))


def ask_for_documents(topup: BalanceTopup, reason: str = "refund") -> None:
    """Invoice, Storno and corrections follow the money at once, but an invoice that fails must not hold up a credit."""
    payload = {"topup_id": topup.id, "reason": reason}
    outbox.enqueue("invoice_topup", payload, company_id=topup.company_id, dedupe_key=f"invoice_topup:{topup.id}")


def tenant_id() -> str:
    """The current company's name at Stripe."""
    return db.session.scalars(select(Company.tenant_id).where(Company.id == current_company_id())).one()
