"""The runs of "does every cent add up?": asking for one, noting how far it is and what it found, reading the last.

A run is a job of the outbox; what it found stays in the job's payload, so that the last results can be shown without
computing anything. Everything here crosses companies, like the operator's other pages.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from portal.db import db, rows_changed
from portal.domain import audit, outbox, stats
from portal.domain.operator import ZONE
from portal.domain.verify import Difference
from portal.models import BalanceTransaction, Company, OutboxJob, PrepaidBalance
from portal.tenancy import all_tenants

KIND = "reconcile"
AREAS = ("balance", "holds", "charges", "topups", "invoices", "stripe")
NIGHT = 3  # o'clock, local to the platform: the run of the night begins then
MOST_KEPT = 200  # differences of one company
# A worker that has said nothing for this long has been stopped; another one takes the job over.
SILENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Found:
    """One difference, in the words of ``verify``; values as text."""

    area: str
    about: str
    what: str
    expected: str
    found: str


@dataclass(frozen=True)
class Checked:
    """One company's result. ``balance`` euros as text, None where there is none; ``number`` of all differences."""

    id: int
    name: str
    movements: int
    balance: str | None
    seconds: float
    number: int
    differences: list[Found] = field(default_factory=list)

    def number_of(self, area: str) -> int:
        return sum(one.area == area for one in self.differences)

    @property
    def euros(self) -> Decimal | None:
        return None if self.balance is None else Decimal(self.balance)


@dataclass(frozen=True)
class Run:
    """A run and how far it is. ``stripe``: compared, without (no key), or away (it did not answer)."""

    key: str
    asked_at: datetime
    running: bool
    total: int
    companies: list[Checked]
    seconds: float
    stripe: str
    ended_at: datetime | None
    error: str | None

    @property
    def differences(self) -> int:
        return sum(one.number for one in self.companies)

    @property
    def movements(self) -> int:
        return sum(one.movements for one in self.companies)

    @property
    def version(self) -> str:
        return f"{self.key}-{len(self.companies)}-{self.total}-{int(self.running)}-{int(self.error is not None)}"


def found(differences: list[Difference]) -> list[Found]:
    """What is kept of them."""
    return [Found(one.area, one.about, one.what, *one.values) for one in differences[:MOST_KEPT]]


# ---- Running ----------------------------------------------------------------------------------------------


def ask(now: datetime) -> str:
    """Ask for a run; the key of the one that is running already, or of the new one."""
    with all_tenants("the operator reconciles every company"):
        running = db.session.scalar(_open_jobs())
        if running is not None:
            return str(running.dedupe_key)
        key = _enqueue(f"{KIND}:asked:{secrets.token_hex(8)}")
        audit.record("reconciliation.asked", new={"run": key})
        return key


def ask_nightly(now: datetime) -> None:
    """Ask for the run of this night, once; nothing before three o'clock."""
    if now.astimezone(ZoneInfo(ZONE)).hour < NIGHT:
        return
    key = f"{KIND}:{stats.local_day(now, ZONE).isoformat()}"
    with all_tenants("the nightly run is for every company"):
        if db.session.scalar(select(OutboxJob.id).where(OutboxJob.dedupe_key == key)) is None:
            _enqueue(key)


def _enqueue(key: str) -> str:
    outbox.enqueue(KIND, {"run": key}, company_id=None, dedupe_key=key)
    return key


def _open_jobs() -> Any:
    return select(OutboxJob).where(OutboxJob.status == "pending", OutboxJob.kind == KIND).order_by(OutboxJob.id)


def note(key: str, now: datetime, **progress: Any) -> None:
    """Keep how far a run is, and that somebody is at it."""
    with all_tenants("a run is for every company"):
        job = db.session.scalar(select(OutboxJob).where(OutboxJob.dedupe_key == key).with_for_update())
        if job is None:
            return
        values = {"payload": {**job.payload, **progress}}
        rows_changed(update(OutboxJob).where(OutboxJob.id == job.id).values(**values))
        waits = (OutboxJob.id == job.id, OutboxJob.status == "pending")
        rows_changed(update(OutboxJob).where(*waits).values(next_attempt_at=now + SILENCE))


def as_values(checked: Checked) -> dict[str, Any]:
    return asdict(checked)


def figures_of(company_id: int) -> tuple[int, Decimal | None]:
    """Movements and balance of the current company."""
    movements = db.session.scalar(select(func.count(BalanceTransaction.id))) or 0
    balance = db.session.scalar(select(PrepaidBalance.current_balance).where(PrepaidBalance.company_id == company_id))
    return movements, balance


# ---- Showing ----------------------------------------------------------------------------------------------


def last_run() -> Run | None:
    """The newest run that has ended or is under way; None before the first."""
    with all_tenants("the operator reconciles every company"):
        job = db.session.scalar(select(OutboxJob).where(OutboxJob.id == _newest()))
        return None if job is None else _run(job)


def _newest(status: str | None = None) -> Any:
    """The id of the newest run, by its key: the outbox may hold millions of other jobs, and only the key is indexed."""
    job = aliased(OutboxJob)
    wanted = () if status is None else (job.status == status,)
    return select(func.max(job.id)).where(job.dedupe_key.startswith(f"{KIND}:"), *wanted).scalar_subquery()


def _run(job: OutboxJob) -> Run:
    kept = job.payload
    companies = [
        Checked(**{**one, "differences": [Found(**each) for each in one["differences"]]})
        for one in kept.get("companies", [])
    ]
    return Run(
        key=str(job.dedupe_key),
        asked_at=job.created_at,
        running=job.status == "pending",
        total=int(kept.get("total", 0)),
        companies=companies,
        seconds=float(kept.get("seconds", 0)),
        stripe=str(kept.get("stripe", "")),
        ended_at=job.done_at,
        error=job.error,
    )


def open_differences() -> int:
    """How many differences the last run has found."""
    ended = select(OutboxJob.payload).where(OutboxJob.id == _newest("done"))
    with all_tenants("the operator reconciles every company"):
        payload = db.session.scalar(ended)
    return int(payload.get("differences", 0)) if payload else 0


def company_ids() -> list[int]:
    with all_tenants("a run is for every company"):
        return list(db.session.scalars(select(Company.id).order_by(Company.id)))
