"""Deletes what has been kept long enough: of calls as each company has set it, of our own post after fixed times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import retention, upkeep
from portal.models import Company
from portal.tenancy import all_tenants, current_company_id, tenant_scope

log = structlog.get_logger()


def forget_calls(now: datetime) -> None:
    """Every company that has set a limit, a transaction for each few hundred calls."""
    row = Company
    limits = (row.recording_retention_days, row.transcript_retention_days, row.metadata_retention_days)
    with all_tenants("the worker serves every company"):
        companies = db.session.execute(select(row.id, *limits)).all()
    for company_id, *days in companies:
        if any(days):
            with tenant_scope(company_id):
                _forget_all(now)


def _forget_all(now: datetime) -> None:
    """One company's. Its failure is logged and holds up nobody else."""
    for kind in retention.KINDS:
        try:
            _forget(kind, now)
        except Exception as error:
            db.session.rollback()
            log.error("calls could not be deleted in time", company_id=current_company_id(), kind=kind, exc_info=error)


def _forget(kind: str, now: datetime) -> None:
    begun = retention.begin(kind, now)
    if begun is None:
        return
    place, limit = begun
    going: retention.Place | None = place
    while going is not None:
        going = transaction(partial(retention.tidy, kind, going, limit, now))


def throw_away(now: datetime) -> None:
    """Old deliveries, finished jobs, sent mail and prints of the day sheet."""
    for some in (upkeep.deliveries, upkeep.deliveries_by_wish, upkeep.jobs, upkeep.mails, upkeep.day_sheet_prints):
        _until_none_is_left(partial(some, now))
    transaction(upkeep.refresh_statistics)


def _until_none_is_left(some: Callable[[], int]) -> None:
    with all_tenants("the post of every company grows old"):
        while transaction(some) == upkeep.CHUNK:
            pass


PERIODIC = {"retention": (6 * 3600, forget_calls), "upkeep": (6 * 3600, throw_away)}
