"""Run inside a demo: a free day of two people with appointments to move, printed as JSON. The argument: weeks ahead."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.domain import availability, timetable
from portal.domain.availability import Interval
from portal.models import Appointment, Branch, Company, Customer, Service, Staff
from portal.tenancy import all_tenants, tenant_scope
from wsgi import app

# Who → clock, minutes, status; all with the first person.
BOXES = {
    "Zora Zieh": ("10:00", 45, "confirmed"),
    "Stefan Steht": ("11:30", 45, "confirmed"),
    "Frieda Fertig": ("14:00", 45, "completed"),
}


def _hour(day: date, clock: str, zone: Any) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=zone).astimezone(UTC)


def _is_free(branch: Branch, staff: Staff, day: date, since: str) -> bool:
    """Whether the person works from then to half past twelve, on that day and the day after, and has nobody yet."""
    zone, hours = timetable.zone_of(branch), timetable.load(branch, staff.id, day, day + timedelta(days=1))
    for each in (day, day + timedelta(days=1)):
        wanted = Interval(_hour(each, since, zone), _hour(each, "12:30", zone))
        works = hours.works(staff.id, branch.id, each)
        if works is None or availability.subtract([wanted], works) or hours.away(staff.id, wanted):
            return False
    start = Appointment.start_time
    span = (_hour(day, "00:00", zone), _hour(day + timedelta(days=2), "00:00", zone))
    taken = select(func.count(Appointment.id)).where(Appointment.staff_id == staff.id, start.between(*span))
    return not db.session.scalar(taken)


def _place(weeks: int) -> tuple[Branch, list[Staff], date]:
    """A branch, two of its people and the first such Tuesday."""
    tuesday = utcnow().date() + timedelta(days=8 - utcnow().isoweekday() + 1 + 7 * weeks)
    for day in (tuesday + timedelta(days=offset) for offset in (0, 1, 2)):
        for branch in db.session.scalars(select(Branch).where(Branch.is_active).order_by(Branch.id)):
            people = list(db.session.scalars(select(Staff).where(Staff.branch_id == branch.id, Staff.is_active)))
            early = [person for person in people if _is_free(branch, person, day, "10:00")]
            others = [person for person in people if person not in early[:1] and _is_free(branch, person, day, "10:30")]
            if early and others:
                return branch, [early[0], others[0]], day
    raise LookupError("no two people are free on one day")


def make(weeks: int) -> dict[str, Any]:
    with all_tenants("the test acts for the demo"):
        company = db.session.scalars(select(Company).where(Company.tenant_id == "salon-morgenrot")).one()
    with tenant_scope(company.id):
        branch, people, day = _place(weeks)
        service = db.session.scalars(select(Service).where(Service.is_active).order_by(Service.id)).first()
        made = {who: _box(company, branch, people[0], service, who, day) for who in BOXES}
        names = [person.name for person in people]
        return {
            "branch": branch.id,
            "day": day.isoformat(),
            "people": [each.id for each in people],
            "names": names,
        } | made


def _box(company: Company, branch: Branch, staff: Staff, service: Service | None, who: str, day: date) -> int:
    (first, last), (clock, minutes, status) = who.split(), BOXES[who]
    customer = Customer(company_id=company.id, first_name=first, last_name=last, search_name=who.lower(), phone="")
    db.session.add(customer)
    db.session.flush()
    start = _hour(day, clock, timetable.zone_of(branch))
    row = Appointment(
        company_id=company.id,
        branch_id=branch.id,
        customer_id=customer.id,
        staff_id=staff.id,
        service_id=service.id if service else None,
        start_time=start,
        end_time=start + timedelta(minutes=minutes),
        status=status,
        source="admin",
    )
    db.session.add(row)
    db.session.flush()
    return row.id


if __name__ == "__main__":
    with app.app_context():
        print("made", json.dumps(transaction(lambda: make(int(sys.argv[1])))))
