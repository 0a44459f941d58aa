"""``flask demo seed --large``: many companies, one of them with very many calls, appointments and movements.

Their people and places are ordinary rows; what happened to them comes from :mod:`portal.demo.histories`.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select, update

from portal.db import db, transaction
from portal.demo import PASSWORD
from portal.demo.bulk import open_for
from portal.demo.firms import LONG_AGO, RATE, ZONE
from portal.demo.histories import SLOT, TARGETS, Frame, History, Ids, Plan
from portal.demo.progress import Progress
from portal.demo.rows import Rows, after_the_last
from portal.domain.access import hash_password
from portal.models import (
    BillingRate,
    Branch,
    Company,
    PhoneNumber,
    PortalUser,
    PrepaidBalance,
    Service,
    Staff,
    WorkingHours,
)
from portal.tenancy import all_tenants

LOADING, COMPLETE = "loading", "complete"
DAYS_OF_LARGEST, DAYS_OF_OTHERS = 1095, 365
SHARE_OF_OTHERS = 1000  # the largest company has as many times their calls


class Unfinished(RuntimeError):
    """An earlier run was interrupted, and its rows may be left in the database."""


# ---- The run ----------------------------------------------------------------------------------------------------


def seed(now: datetime, progress: Progress, companies: int = 200, calls: int = 1_000_000) -> list[str]:
    """Write the companies; returns what was written, [] when they are there already.

    Raises :class:`Unfinished` after an interrupted run.
    """
    with all_tenants("many companies are written at once"):
        if (state := _state()) is not None:
            if state == LOADING:
                raise Unfinished("An earlier run was interrupted. Please begin with an empty database.")
            return []
        largest = write(_plans(companies, calls), now, progress)[0]
    owner = f"owner@{largest.plan.tenant_id}.example"
    return [f"{companies} companies, the largest with {calls:,} calls: {owner}, password {PASSWORD}"]


def write(plans: list[Plan], now: datetime, progress: Progress) -> list[Frame]:
    """Write these companies with all their history. Needs ``all_tenants``."""
    frames = transaction(lambda: _frames(plans, now))
    accounts = _load(frames, now, progress)
    transaction(lambda: _close(frames[0].company, accounts))
    return frames


def _plans(companies: int, calls: int) -> list[Plan]:
    others = max(10, calls // SHARE_OF_OTHERS)
    largest = Plan(1, calls, DAYS_OF_LARGEST)
    return [largest, *(Plan(number, others, DAYS_OF_OTHERS) for number in range(2, companies + 1))]


def _state() -> str | None:
    first = db.session.scalar(select(Company).where(Company.tenant_id == "large-001"))
    return None if first is None else str((first.settings or {}).get("demo"))


def _load(frames: list[Frame], now: datetime, progress: Progress) -> list[dict[str, Any]]:
    """Load every history; returns the columns of the balances as they stand at the end."""
    ids, accounts = Ids(), []
    with open_for(TARGETS, progress) as loader:
        progress.begin("Calls and all that is theirs", sum(frame.plan.calls for frame in frames))
        for frame in frames:
            history = History(frame, ids, loader, now)
            history.load(progress.step)
            accounts.append(history.account())
    return accounts


def _close(company_id: int, accounts: list[dict[str, Any]]) -> None:
    db.session.execute(update(PrepaidBalance), accounts)
    db.session.get_one(Company, company_id).settings = {"demo": COMPLETE}


# ---- What a company consists of -----------------------------------------------------------------------------------


def _frames(plans: list[Plan], now: datetime) -> list[Frame]:
    rows, password = Rows(after_the_last), hash_password(PASSWORD)
    frames = [_frame(rows, plan, now, password) for plan in plans]
    for _ in rows.write():
        pass
    return frames


def _frame(rows: Rows, plan: Plan, now: datetime, password: str) -> Frame:
    since = now - timedelta(days=plan.days + 1)
    state = {"demo": LOADING} if plan.number == 1 else None
    company = rows.add(
        Company,
        tenant_id=plan.tenant_id,
        name=f"Kette {plan.number:03d} GmbH",
        timezone=ZONE,
        city="Berlin",
        settings=state,
        created_at=since,
        updated_at=since,
    )
    made = {"company_id": company, "created_at": since, "updated_at": since}
    frame = Frame(
        plan,
        company,
        rows.add(PrepaidBalance, **made),
        rows.add(BillingRate, rate_per_minute=RATE, valid_from=LONG_AGO, **made),
        rows.add(Service, name="Beratung", duration_minutes=SLOT // 60, **made),
    )
    rows.add(
        PortalUser,
        email=f"owner@{plan.tenant_id}.example",
        name=f"Inhaber {plan.number:03d}",
        role="owner",
        password_hash=password,
        **made,
    )
    _places(rows, frame, made)
    return frame


def _places(rows: Rows, frame: Frame, made: dict[str, Any]) -> None:
    plan = frame.plan
    for position in range(plan.branches):
        branch = rows.add(
            Branch, name=f"Filiale {position + 1}", address="Weg 1", timezone=ZONE, is_primary=position == 0, **made
        )
        number = f"+4932{plan.number:04d}{position:04d}"
        phone = rows.add(
            PhoneNumber,
            branch_id=branch,
            number=number,
            number_e164=number,
            is_primary=position == 0,
            retell_agent_id=f"agent_{plan.tenant_id}",
            **made,
        )
        frame.branches.append(branch)
        frame.numbers.append((phone, number))
        for weekday in range(1, 8):
            hours = {"opens_at": time(7), "closes_at": time(20)}
            rows.add(WorkingHours, branch_id=branch, staff_id=None, weekday=weekday, **hours, **made)
    for position in range(plan.staff):
        branch = frame.branches[position % plan.branches]
        name = {"first_name": "Kraft", "last_name": f"{position + 1:03d}", "display_name": f"Kraft {position + 1:03d}"}
        frame.staff.append((rows.add(Staff, branch_id=branch, **name, **made), branch))
