"""When a branch is open and when a person works: hours, closures, absences."""

from __future__ import annotations

import datetime as dt
from datetime import datetime, time

from sqlalchemy import Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import MYSQL_TABLE, Id, Model, TenantRow, Timestamps, check, choice, flag, tenant_refs

# 00:00 as an end is the end of the day. SQLite keeps times as text with microseconds: "=" would not find it.
IN_ORDER = "closes_at > opens_at OR closes_at < '00:00:01'"


class WorkingHours(Id, TenantRow, Timestamps, Model):
    """Local times of one ISO weekday (1 = Monday). No staff member: the branch's opening hours.

    Several rows a day leave a break between them. ``valid_from`` and ``valid_until`` make a season.
    """

    __tablename__ = "working_hours"
    __table_args__ = (
        Index(None, "company_id", "branch_id", "staff_id", "weekday"),
        *tenant_refs(ondelete="CASCADE", index=False, branch_id="branches"),
        *tenant_refs(ondelete="CASCADE", staff_id="staff"),
        check("weekday", "weekday BETWEEN 1 AND 7"),
        check("order", IN_ORDER),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int]
    staff_id: Mapped[int | None]
    weekday: Mapped[int] = mapped_column(SmallInteger)
    opens_at: Mapped[time]
    closes_at: Mapped[time]
    valid_from: Mapped[dt.date | None]
    valid_until: Mapped[dt.date | None]
    is_active: Mapped[bool] = flag(True)


class BranchClosure(Id, TenantRow, Timestamps, Model):
    """A local day on which a branch is closed, or open at other hours when both times are given."""

    __tablename__ = "branch_closures"
    __table_args__ = (
        Index(None, "company_id", "branch_id", "date"),
        *tenant_refs(ondelete="CASCADE", index=False, branch_id="branches"),
        check("order", IN_ORDER),
        MYSQL_TABLE,
    )

    branch_id: Mapped[int]
    date: Mapped[dt.date]
    opens_at: Mapped[time | None]
    closes_at: Mapped[time | None]
    reason: Mapped[str | None] = mapped_column(String(255))


class StaffAbsence(Id, TenantRow, Timestamps, Model):
    """A span in which a person is away. ``external_id`` names it at Cal.com."""

    __tablename__ = "staff_absences"
    __table_args__ = (
        Index(None, "company_id", "staff_id", "starts_at"),
        Index(None, "company_id", "external_id", unique=True),
        *tenant_refs(ondelete="CASCADE", index=False, staff_id="staff"),
        check("order", "ends_at > starts_at"),
        MYSQL_TABLE,
    )

    staff_id: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(
        choice("kind", "vacation", "sick", "training", "other"), default="other", server_default="other"
    )
    note: Mapped[str | None] = mapped_column(String(255))
    external_id: Mapped[str | None] = mapped_column(String(255))
