"""Run inside a demo: days of the main branch with 0, 1, 45 and 200 appointments; prints ``many → day`` as JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.db import db, transaction
from portal.models import Appointment, Branch, Customer, PortalUser, Service, Staff
from portal.tenancy import all_tenants
from wsgi import app

DAYS = {0: date(2031, 6, 9), 1: date(2031, 6, 10), 45: date(2031, 6, 11), 200: date(2031, 6, 12)}
STATUSES = ("scheduled", "confirmed", "completed", "cancelled", "no_show", "confirmed", "confirmed")
LONG = "Freifrau von und zu Sonnleithner-Abendroth-Großmann"
NOTE = "Verträgt kein Ammoniak, kommt mit Kinderwagen und braucht den Platz am Fenster."


def number(many: int, place: int) -> str:
    """A name that stands on no other line."""
    return f"N{many:03}x{place:03}"


def fill(many: int, day: date) -> None:
    user = db.session.scalars(select(PortalUser).where(PortalUser.email == "owner@salon-morgenrot.example")).one()
    ours = user.company_id
    branch = db.session.scalars(select(Branch).where(Branch.company_id == ours, Branch.is_primary)).one()
    people = db.session.scalars(select(Staff).where(Staff.company_id == ours, Staff.branch_id == branch.id)).all()
    services = db.session.scalars(select(Service).where(Service.company_id == ours).order_by(Service.id)).all()
    opens = datetime.combine(day, time(8), tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    for place in range(many):
        name = number(many, place)
        customer = Customer(
            company_id=ours, first_name=name, last_name=LONG if place % 9 == 0 else "Lüdenscheidt", phone="",
            phone_normalized=f"+4923127{place:04}", search_name=name.lower(),
        )  # fmt: skip
        db.session.add(customer)
        db.session.flush()
        start = opens + timedelta(minutes=3 * place)
        db.session.add(
            Appointment(
                company_id=ours, branch_id=branch.id, customer_id=customer.id,
                staff_id=people[place % len(people)].id if place % 17 else None,
                service_id=services[place % len(services)].id,
                start_time=start, end_time=start + timedelta(minutes=20), status=STATUSES[place % len(STATUSES)],
                customer_notes=NOTE * (1 + 9 * (place % 14 == 0)) if place % 7 == 0 else None,
            )
        )  # fmt: skip
    db.session.flush()


def everything() -> None:
    with all_tenants("the test fills days of the demo"):
        for many, day in DAYS.items():
            fill(many, day)


if __name__ == "__main__":
    with app.app_context():
        transaction(everything)
        print("made", json.dumps({many: day.isoformat() for many, day in DAYS.items()}))
