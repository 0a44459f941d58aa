"""Two companies with the same people in every test, so that nothing is ever seen with one company alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TypeVar

from portal.db import db, writing
from portal.domain.access import hash_password
from portal.domain.search_names import search_name
from portal.models import (
    BillingRate,
    Branch,
    CalcomEventType,
    Company,
    Customer,
    PhoneNumber,
    PortalUser,
    PortalUserBranch,
    PrepaidBalance,
    Service,
    Staff,
    StaffEventType,
)
from portal.tenancy import all_tenants

Row = TypeVar("Row")
PASSWORD = "correct horse battery"
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class Firm:
    """One company. Rows are detached: read them, write through the database."""

    company: Company
    main: Branch
    other: Branch
    owner: PortalUser
    manager: PortalUser
    staff: PortalUser  # bound to the main branch, and is ``stylist``
    bookkeeper: PortalUser
    stylist: Staff
    colleague: Staff
    cut: Service
    event_type: CalcomEventType
    customer: Customer
    balance: PrepaidBalance
    rate: BillingRate
    phone: PhoneNumber

    @property
    def id(self) -> int:
        return self.company.id

    @property
    def users(self) -> dict[str, PortalUser]:
        return {"owner": self.owner, "manager": self.manager, "staff": self.staff, "bookkeeper": self.bookkeeper}


@dataclass
class Cast:
    salon: Firm
    praxis: Firm
    operator: PortalUser


@cache
def password_hash() -> str:
    return hash_password(PASSWORD)


def build_cast() -> Cast:
    """Write and commit both companies; returns detached rows."""
    with writing(), all_tenants("the tests' cast is two companies"):
        salon = _firm("salon", "Salon Test", "+49301234567", "agent_salon", 4101, 501)
        praxis = _firm("praxis", "Praxis Test", "+49341765432", "agent_praxis", 5201, 601)
        operator = _user(None, "operator@platform.example", "Olga Operator", "operator")
        db.session.commit()
    return Cast(salon, praxis, operator)


def _add(row: Row) -> Row:
    db.session.add(row)
    db.session.flush()
    return row


def _firm(key: str, name: str, number: str, agent: str, event_type_id: int, calcom_user_id: int) -> Firm:
    company = _add(Company(tenant_id=key, name=name, retell_agent_id=agent, city="Berlin", email=f"post@{key}.example"))
    company.retell_api_key = f"retell-{key}"
    company.calcom_webhook_secret = f"calcom-{key}"
    c = company.id
    main = _add(Branch(company_id=c, name=f"{name} Mitte", address="Weg 1", is_primary=True, timezone="Europe/Berlin"))
    other = _add(Branch(company_id=c, name=f"{name} Nord", address="Weg 2", timezone="Europe/Berlin"))
    stylist = _add(_person(c, main.id, "Sofia", "Klein", f"sofia@{key}.example", calcom_user_id))
    colleague = _add(_person(c, other.id, "Tim", "Yilmaz", f"tim@{key}.example", calcom_user_id + 1))
    cut = _add(Service(company_id=c, name="Damenhaarschnitt", duration_minutes=45, price=Decimal("58.00")))
    event_type = _add(
        CalcomEventType(
            company_id=c,
            branch_id=main.id,
            service_id=cut.id,
            calcom_event_type_id=event_type_id,
            name="Damenhaarschnitt",
            duration_minutes=45,
        )
    )
    _add(StaffEventType(company_id=c, staff_id=stylist.id, event_type_id=event_type.id, calcom_user_id=calcom_user_id))
    balance = _add(PrepaidBalance(company_id=c))
    firm = Firm(
        company=company,
        main=main,
        other=other,
        owner=_user(c, f"owner@{key}.example", "Katharina Owner", "owner"),
        manager=_user(c, f"manager@{key}.example", "Mara Manager", "manager"),
        staff=_user(c, f"staff@{key}.example", "Sofia Klein", "staff", staff_id=stylist.id),
        bookkeeper=_user(c, f"books@{key}.example", "Bruno Books", "bookkeeper"),
        stylist=stylist,
        colleague=colleague,
        cut=cut,
        event_type=event_type,
        customer=_add(_customer(c)),
        balance=balance,
        rate=_add(BillingRate(company_id=c, rate_per_minute=Decimal("0.42"), valid_from=LONG_AGO)),
        phone=_add(
            PhoneNumber(
                company_id=c,
                branch_id=main.id,
                number=number,
                number_e164=number,
                is_primary=True,
                retell_agent_id=agent,
            )
        ),
    )
    _add(PortalUserBranch(company_id=c, portal_user_id=firm.staff.id, branch_id=main.id))
    return firm


def _person(company_id: int, branch_id: int, first: str, last: str, email: str, calcom_user_id: int) -> Staff:
    return Staff(
        company_id=company_id,
        branch_id=branch_id,
        first_name=first,
        last_name=last,
        display_name=f"{first} {last}",
        email=email,
        calcom_user_id=calcom_user_id,
    )


def _customer(company_id: int) -> Customer:
    return Customer(
        company_id=company_id,
        first_name="Aylin",
        last_name="Demir",
        search_name=search_name("Aylin", "Demir"),
        phone="030 5550100",
        phone_normalized="+49305550100",
        email="aylin@demir.example",
    )


def _user(company_id: int | None, email: str, name: str, role: str, staff_id: int | None = None) -> PortalUser:
    return _add(
        PortalUser(
            company_id=company_id,
            email=email,
            name=name,
            role=role,
            staff_id=staff_id,
            password_hash=password_hash(),
            language="de",
        )
    )
