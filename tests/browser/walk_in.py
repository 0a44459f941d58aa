"""Run inside a demo: gives the demo's stylist a visitor who comes in a few minutes, whatever the hour of the test."""

from datetime import timedelta

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.models import Appointment, Customer, PortalUser, Staff
from portal.tenancy import all_tenants
from wsgi import app


def add() -> int:
    with all_tenants("the test acts for the demo"):
        user = db.session.scalars(select(PortalUser).where(PortalUser.email == "staff@salon-morgenrot.example")).one()
        staff = db.session.get_one(Staff, user.staff_id)
        customer = db.session.scalars(select(Customer).where(Customer.company_id == user.company_id).limit(1)).one()
        start = utcnow() + timedelta(minutes=5)
        row = Appointment(
            company_id=user.company_id,
            branch_id=staff.branch_id,
            staff_id=staff.id,
            customer_id=customer.id,
            start_time=start,
            end_time=start + timedelta(minutes=30),
            status="confirmed",
            source="walk_in",
        )
        db.session.add(row)
        db.session.flush()
        return row.id


if __name__ == "__main__":
    with app.app_context():
        print(transaction(add))
