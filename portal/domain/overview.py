"""The two figures that stand in every page's frame: the balance chip and the pipeline light."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from portal.db import db
from portal.models import PipelineHeartbeat, PrepaidBalance
from portal.tenancy import current_company_id


@dataclass(frozen=True)
class BalanceChip:
    """Euros available now."""

    available: Decimal


@dataclass(frozen=True)
class Pipeline:
    """When the last call event came in, and how many deliveries have been turned away since."""

    last_call_at: datetime | None
    refused: int

    @property
    def ok(self) -> bool:
        return not self.refused

    @property
    def version(self) -> str:
        """Changes when the light would say something else."""
        return f"{self.last_call_at.timestamp() if self.last_call_at else 0:.0f}-{self.refused}"


def balance_chip() -> BalanceChip | None:
    """The current company's chip; None where no balance has been opened."""
    available = db.session.scalar(select(PrepaidBalance.available_balance))
    return None if available is None else BalanceChip(available)


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
    return Pipeline(last, max(beat.refused_requests, 1) if since else 0)
