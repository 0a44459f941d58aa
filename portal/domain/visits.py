"""A customer's visits in figures, as they stand in the customer's row."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from portal.db import db
from portal.domain import stats
from portal.domain.slots import BUSY
from portal.models import Appointment, Customer


def lock(*customer_ids: int) -> None:
    """Lock the rows that :func:`refresh` writes, before anything refers to them.

    An INSERT that refers to a customer shares its row; raising that to a write later would be a deadlock.
    """
    db.session.scalars(
        select(Customer.id).where(Customer.id.in_(set(customer_ids))).order_by(Customer.id).with_for_update()
    ).all()


def refresh(*customer_ids: int) -> None:
    """Count the appointments of these customers anew. The dates are those of the first and last that stand."""
    zone = ZoneInfo(stats.company_zone())
    for customer_id in sorted(set(customer_ids)):
        customer = db.session.get_one(Customer, customer_id)
        rows = {row.status: row for row in db.session.execute(_per_status(customer_id))}
        count = {status: row.number for status, row in rows.items()}
        standing = [rows[status] for status in BUSY if status in rows]
        customer.total_appointments = sum(count.values())
        customer.completed_appointments = count.get("completed", 0)
        customer.cancelled_appointments = count.get("cancelled", 0)
        customer.no_show_appointments = count.get("no_show", 0)
        customer.total_spent = (rows["completed"].spent if "completed" in rows else None) or Decimal("0.00")
        customer.first_appointment_date = _local_day(min((row.first for row in standing), default=None), zone)
        customer.last_appointment_date = _local_day(max((row.last for row in standing), default=None), zone)
    db.session.flush()


def _per_status(customer_id: int) -> Any:
    return (
        select(
            Appointment.status,
            func.count(Appointment.id).label("number"),
            func.min(Appointment.start_time).label("first"),
            func.max(Appointment.start_time).label("last"),
            func.sum(Appointment.price).label("spent"),
        )
        .where(Appointment.customer_id == customer_id)
        .group_by(Appointment.status)
    )


def _local_day(moment: datetime | None, zone: ZoneInfo) -> date | None:
    return moment.astimezone(zone).date() if moment else None
