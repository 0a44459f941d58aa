"""Rebuilds the daily figures of marked days, and once more those of yesterday, in case a mark was lost."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import stats
from portal.models import Company
from portal.tenancy import all_tenants, current_company_id, tenant_scope


def rebuild_marked(payload: dict[str, Any]) -> None:
    """One marked day. Two transactions: the mark is gone before the day is read."""
    day = date.fromisoformat(payload["day"])
    company_id = current_company_id()
    transaction(lambda: stats.release_mark(company_id, day))
    transaction(lambda: stats.rebuild(day))


def rebuild_yesterday(now: datetime) -> None:
    """The last complete local day of every company, one transaction each."""
    with all_tenants("the worker serves every company"):
        companies = db.session.execute(select(Company.id, Company.timezone).where(Company.is_active)).all()
    for company_id, zone in companies:
        with tenant_scope(company_id):
            transaction(partial(stats.rebuild, stats.local_day(now, zone) - timedelta(days=1)))


OUTBOX = {stats.REBUILD: rebuild_marked}
PERIODIC = {"stats.yesterday": (6 * 3600, rebuild_yesterday)}
