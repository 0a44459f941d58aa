"""Reminders of appointments: which are due, and who of several workers writes each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, or_, select, update

from portal.db import db, rows_changed
from portal.domain import customer_mail, reminder_times
from portal.domain.customer_mail import Case
from portal.domain.customer_mail_settings import Wishes
from portal.domain.slots import OPEN
from portal.domain.stats import company_zone
from portal.models import Appointment, AuditLog, Booking, Branch, Customer
from portal.tenancy import current_company_id

CHUNK = 200  # appointments a look


@dataclass(frozen=True)
class Waiting:
    """An appointment whose customer has not been reminded. ``zone`` is its branch's, ``email`` as it was typed."""

    id: int
    start: datetime
    customer_id: int
    email: str
    made_at: datetime
    zone: ZoneInfo


class Braked(Exception):
    """The company has sent as many mails today as it may; nothing was written."""


# ---- When -------------------------------------------------------------------------------------------------------


def owed_at(
    appointment_id: int, start: datetime, made_at: datetime, zone: ZoneInfo, wishes: Wishes, by: datetime | None = None
) -> datetime | None:
    """When the reminder is due; None where none is owed, or none until ``by``.

    Not of what was agreed on, or switched on, after the reminder's time: those customers know it from just now. What
    was agreed on while it was to come later is owed it then.
    """
    since = wishes.reminders_since
    times = [(due, due) for due in reminder_times.dues(start, wishes.hours, zone)]
    times += [(reminder_times.due(start, former.hours, zone), former.until) for former in wishes.former]
    times = [(due, until) for due, until in times if since is not None and due > max(since, made_at)]
    times = [(due, until) for due, until in times if by is None or due <= by]
    if not times:
        return None  # without asking the history
    agreed_at = _agreed_at(appointment_id) or made_at
    return min((due for due, until in times if agreed_at < due and agreed_at <= until), default=None)


def _agreed_at(appointment_id: int) -> datetime | None:
    """When it last got another time or customer, or a cancellation was taken back; None for none of these."""
    records = db.session.execute(
        select(AuditLog.created_at, AuditLog.action, AuditLog.old_values, AuditLog.new_values)
        .where(
            AuditLog.model_type == Appointment.__tablename__,
            AuditLog.model_id == appointment_id,
            AuditLog.action.in_(("appointment.moved", "appointment.edited", "appointment.restored")),
        )
        .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
        .limit(50)
    )
    for at, action, old, new in records:
        if "start_time" in (new or {}) or "customer_id" in (new or {}).get("fields", ()):
            return at  # type: ignore[no-any-return]
        if action == "appointment.restored" and (old or {}).get("status") == "cancelled":
            return at  # type: ignore[no-any-return]
    return None


# ---- Which ------------------------------------------------------------------------------------------------------


def waiting(wishes: Wishes, now: datetime, after: Waiting | None = None) -> list[Waiting]:
    """The next appointments of the current company that may have to be reminded of, by start; a chunk of them."""
    first, last = now + reminder_times.LAST_MOMENT, now + timedelta(hours=wishes.hours) + reminder_times.EARLIEST
    row = Appointment
    query = (
        select(row.id, row.start_time, row.customer_id, Customer.email, row.created_at, Branch.timezone)
        .join(Branch, Branch.id == row.branch_id)
        .join(Customer, Customer.id == row.customer_id)
        .where(
            row.company_id == current_company_id(),
            row.start_time >= first,
            row.start_time <= last,
            row.status.in_(OPEN),
            row.reminder_sent_at.is_(None),
            func.coalesce(Customer.email, "") != "",  # not by the index of addresses either, see below
            Customer.erased_at.is_(None),
            Customer.is_active,
            ~Customer.is_blocked,
        )
        .order_by(row.start_time, row.id)
        .limit(CHUNK)
    )
    if not wishes.with_calcom:
        # COALESCE keeps SQLite from taking the index of Cal.com's ids, in which all others share one NULL.
        query = query.where(row.calcom_event_id.is_(None), func.coalesce(row.calcom_booking_id, 0) == 0)
        query = query.where(~exists().where(Booking.appointment_id == row.id, Booking.provider == "calcom"))
    if after is not None:
        query = query.where(row.start_time >= after.start, or_(row.start_time > after.start, row.id > after.id))
    usual = company_zone()
    return [
        Waiting(id, start, customer_id, email or "", made_at, ZoneInfo(zone or usual))
        for id, start, customer_id, email, made_at, zone in db.session.execute(query)
    ]


def is_due(one: Waiting, wishes: Wishes, now: datetime) -> bool:
    first = reminder_times.due(one.start, wishes.hours, one.zone)
    if not reminder_times.is_time(one.start, first, now, one.zone) or not customer_mail.usable(one.email):
        return False
    return owed_at(one.id, one.start, one.made_at, one.zone, wishes, by=now) is not None


# ---- Who --------------------------------------------------------------------------------------------------------


def claim(one: Waiting, now: datetime) -> Case | None:
    """The mail to be written, claimed for us; None when another worker was first, or it is no longer so.

    Needs a transaction. Raises :class:`Braked`.
    """
    if customer_mail.brake(one.customer_id, now) == "company":
        raise Braked
    claimed = rows_changed(
        update(Appointment)
        .where(
            Appointment.id == one.id,
            Appointment.reminder_sent_at.is_(None),
            Appointment.start_time == one.start,
            Appointment.status.in_(OPEN),
        )
        .values(reminder_sent_at=now, updated_at=Appointment.updated_at)
    )
    case = customer_mail.take_up("reminder", one.id, one.customer_id, now) if claimed else None
    if claimed and case is None:
        customer_mail.stamp(one.id, reminder_sent_at=None)
    return case
