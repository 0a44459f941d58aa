"""The two figures that stand in every page's frame: the balance chip and the pipeline light."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import and_, select

from portal.db import db, utcnow
from portal.domain import heartbeat, reach
from portal.models import DailySpend, PipelineHeartbeat, PrepaidBalance
from portal.tenancy import current_company_id


@dataclass(frozen=True)
class BalanceChip:
    """Euros available now, and the day that is expected to use them up; None where no day can be named."""

    available: Decimal
    until: date | None = None
    today: date | None = None

    @property
    def soon(self) -> bool:
        """Whether the day of the week alone names the day."""
        return bool(self.until and self.today and self.until < self.today + timedelta(days=7))

    @property
    def version(self) -> str:
        """Changes when the chip would say something else."""
        return f"{self.available}/{self.until}/{self.today}"


@dataclass(frozen=True)
class Pipeline:
    """When the last call event came in, how many deliveries have been turned away since, what was caught up lately."""

    last_call_at: datetime | None
    refused: int
    late: int = 0
    late_at: datetime | None = None

    @property
    def ok(self) -> bool:
        return not self.refused

    @property
    def version(self) -> str:
        """Changes when the light would say something else."""
        return f"{self.last_call_at.timestamp() if self.last_call_at else 0:.0f}-{self.refused}-{self.late}"


def balance_chip(today: date) -> BalanceChip | None:
    """The current company's chip; None where no balance has been opened.

    It stands on every page: one statement, which reads the daily figures of a month and never the ledger.
    """
    first = today - timedelta(days=max(reach.WINDOWS))
    recent = and_(DailySpend.company_id == PrepaidBalance.company_id, DailySpend.day.between(first, today))
    query = (
        select(PrepaidBalance.available_balance, DailySpend.day, DailySpend.amount, DailySpend.calls)
        .outerjoin(DailySpend, recent)
        .where(PrepaidBalance.company_id == current_company_id())
    )
    found = db.session.execute(query).all()
    if not found or found[0].available_balance is None:
        return None
    days = [reach.DaySpend(row.day, row.amount, row.calls) for row in found if row.calls]
    spent_today = sum((each.amount for each in days if each.day == today), Decimal(0))
    available = found[0].available_balance
    return BalanceChip(available, _until(available, reach.habit(days, today), today, spent_today), today)


def _until(available: Decimal, known: reach.Habit, today: date, spent_today: Decimal) -> date | None:
    """Nobody needs to be told a day for a balance that is used up."""
    return reach.reach(available, known, today, spent_today).until if available > 0 else None


def pipeline() -> Pipeline:
    """The light from the heartbeat of Retell, which brings the calls."""
    beat = db.session.scalar(
        select(PipelineHeartbeat).where(
            PipelineHeartbeat.scope == f"company:{current_company_id()}", PipelineHeartbeat.provider == "retell"
        )
    )
    if beat is None:
        return Pipeline(None, 0)
    last, refused = beat.last_event_at, beat.last_refused_at
    since = refused is not None and (last is None or refused > last)
    caught_up = beat.last_late_at is not None and beat.last_late_at > utcnow() - heartbeat.TOGETHER
    late = (beat.late_events, beat.last_late_at) if caught_up else (0, None)
    return Pipeline(last, max(beat.refused_requests, 1) if since else 0, *late)
