"""The rows of a company of the demo, and of the platform, before anything happens to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from portal.demo import PASSWORD
from portal.demo.firms import LONG_AGO, OPERATOR, RATE, ZONE, Away, Closed, Firm, Offer, Season, Span, Worker
from portal.demo.rows import Rows
from portal.domain.access import hash_password
from portal.models import (
    BillingRate,
    Branch,
    BranchClosure,
    CalcomEventType,
    Company,
    CompanyGoal,
    PhoneNumber,
    PortalUser,
    PortalUserBranch,
    PrepaidBalance,
    Service,
    Staff,
    StaffAbsence,
    StaffEventType,
    WorkingHours,
)


@dataclass(frozen=True)
class Ids:
    """Where the rows of a company have ended up, each list in the order of the :class:`Firm`."""

    company: int
    branches: list[int]
    numbers: list[int]
    staff: list[int]
    services: list[int]
    event_types: dict[tuple[int, int], int]
    users: list[int]
    balance: int
    rate: int


def add_company(rows: Rows, firm: Firm, since: datetime) -> Ids:
    """All rows that a company has before anything happens to it."""
    company = _company(rows, firm, since)
    made = {"company_id": company, "created_at": since, "updated_at": since}
    branches, numbers = _branches(rows, firm, made)
    staff = [_worker(rows, firm, worker, branches, made) for worker in firm.workers]
    services = [_service(rows, offer, made) for offer in firm.offers]
    ids = Ids(
        company,
        branches,
        numbers,
        staff,
        services,
        _event_types(rows, firm, branches, services, made),
        _users(rows, firm, branches, staff, made),
        rows.add(PrepaidBalance, **made),
        rows.add(BillingRate, rate_per_minute=RATE, valid_from=LONG_AGO, **made),
    )
    _who_does_what(rows, firm, ids, made)
    return ids


def add_operator(rows: Rows, since: datetime) -> int:
    """The platform's own login."""
    return rows.add(
        PortalUser,
        email=OPERATOR.email,
        name=OPERATOR.name,
        role="operator",
        password_hash=hash_password(PASSWORD),
        company_id=None,
        staff_id=None,
        created_at=since,
        updated_at=since,
    )


def _company(rows: Rows, firm: Firm, since: datetime) -> int:
    sealed = Company(tenant_id=firm.tenant_id)
    sealed.retell_api_key = f"demo-retell-{firm.tenant_id}"
    sealed.calcom_webhook_secret = f"demo-calcom-{firm.tenant_id}"
    return rows.add(
        Company,
        tenant_id=firm.tenant_id,
        name=firm.name,
        timezone=ZONE,
        retell_agent_id=firm.agent,
        retell_api_key_sealed=sealed.retell_api_key_sealed,
        calcom_webhook_secret_sealed=sealed.calcom_webhook_secret_sealed,
        created_at=since,
        updated_at=since,
        **firm.profile,
    )


def _branches(rows: Rows, firm: Firm, made: dict[str, Any]) -> tuple[list[int], list[int]]:
    branches, numbers = [], []
    for position, place in enumerate(firm.places):
        branch = rows.add(
            Branch,
            name=place.name,
            slug=place.slug,
            address=place.address,
            postal_code=place.postal_code,
            city=place.city,
            phone=place.number,
            email=f"{place.slug}@{firm.tenant_id}.example",
            timezone=ZONE,
            country="DE",
            region=place.region,
            is_primary=position == 0,
            **made,
        )
        branches.append(branch)
        _hours(rows, branch, None, place.week, made)
        numbers.append(
            rows.add(
                PhoneNumber,
                branch_id=branch,
                number=place.number,
                number_e164=place.number,
                is_primary=position == 0,
                retell_agent_id=firm.agent,
                retell_phone_id=f"pn_demo_{place.slug}",
                description=f"Filiale {place.name}",
                **made,
            )
        )
    return branches, numbers


def _hours(
    rows: Rows, branch: int, staff: int | None, week: dict[int, tuple[Span, ...]], made: dict[str, Any], **season: Any
) -> None:
    for weekday, spans in week.items():
        for opens_at, closes_at in spans:
            rows.add(
                WorkingHours,
                branch_id=branch,
                staff_id=staff,
                weekday=weekday,
                opens_at=opens_at,
                closes_at=closes_at,
                **made,
                **season,
            )


def _worker(rows: Rows, firm: Firm, worker: Worker, branches: list[int], made: dict[str, Any]) -> int:
    staff = rows.add(
        Staff,
        branch_id=branches[worker.place],
        first_name=worker.first_name,
        last_name=worker.last_name,
        display_name=worker.name,
        email=f"{worker.first_name}.{worker.last_name}@{firm.tenant_id}.example".lower(),
        title=worker.title,
        calcom_user_id=worker.calcom_user_id,
        color_code=worker.color,
        hired_date=worker.hired,
        **made,
    )
    _hours(rows, branches[worker.place], staff, worker.week, made)
    return staff


def _service(rows: Rows, offer: Offer, made: dict[str, Any]) -> int:
    return rows.add(
        Service,
        name=offer.name,
        category=offer.category,
        duration_minutes=offer.minutes,
        buffer_time_minutes=offer.buffer,
        price=offer.price,
        **made,
    )


def _event_types(
    rows: Rows, firm: Firm, branches: list[int], services: list[int], made: dict[str, Any]
) -> dict[tuple[int, int], int]:
    """Cal.com's event types by place and service."""
    found = {}
    for place, first in enumerate(firm.event_types):
        for position, offer in enumerate(firm.offers):
            found[place, position] = rows.add(
                CalcomEventType,
                branch_id=branches[place],
                service_id=services[position],
                calcom_event_type_id=first + position,
                name=offer.name,
                duration_minutes=offer.minutes,
                price=offer.price,
                buffer_after=offer.buffer,
                is_team_event=True,
                last_synced_at=made["created_at"],
                **made,
            )
    return found


def _users(rows: Rows, firm: Firm, branches: list[int], staff: list[int], made: dict[str, Any]) -> list[int]:
    password = hash_password(PASSWORD)
    users = []
    for login in firm.logins:
        user = rows.add(
            PortalUser,
            email=login.email,
            name=login.name,
            role=login.role,
            password_hash=password,
            staff_id=None if login.worker is None else staff[login.worker],
            **made,
        )
        users.append(user)
        for place in login.places:
            rows.add(PortalUserBranch, portal_user_id=user, branch_id=branches[place], **made)
    return users


def _who_does_what(rows: Rows, firm: Firm, ids: Ids, made: dict[str, Any]) -> None:
    for worker, staff in zip(firm.workers, ids.staff, strict=True):
        for position in worker.services:
            rows.add(
                StaffEventType,
                staff_id=staff,
                event_type_id=ids.event_types[worker.place, position],
                calcom_user_id=worker.calcom_user_id,
                is_primary=position == worker.services[0],
                **made,
            )
    for goal in firm.goals:
        start = made["created_at"].date().replace(day=1)
        rows.add(CompanyGoal, start_date=start, created_by=ids.users[0], **goal, **made)


def add_specials(rows: Rows, ids: Ids, away: list[Away], closed: list[Closed], zone: Any, made: datetime) -> None:
    stamp = {"company_id": ids.company, "created_at": made, "updated_at": made}
    for absence in away:
        rows.add(
            StaffAbsence,
            staff_id=ids.staff[absence.worker],
            starts_at=datetime.combine(absence.first, time(), zone),
            ends_at=datetime.combine(absence.last + timedelta(days=1), time(), zone),
            kind=absence.kind,
            note=absence.note,
            **stamp,
        )
    for closure in closed:
        for opens_at, closes_at in () if closure.public else closure.spans or ((None, None),):
            rows.add(
                BranchClosure,
                branch_id=ids.branches[closure.place],
                date=closure.day,
                opens_at=opens_at,
                closes_at=closes_at,
                reason=closure.reason,
                **stamp,
            )


def add_season(rows: Rows, ids: Ids, season: Season, made: datetime) -> None:
    """Opening hours that count for some weeks instead of the others."""
    stamp = {"company_id": ids.company, "created_at": made, "updated_at": made}
    dates = {"valid_from": season.first, "valid_until": season.last}
    _hours(rows, ids.branches[season.place], None, season.week, stamp, **dates)
