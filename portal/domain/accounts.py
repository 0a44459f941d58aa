"""Companies and logins as the platform creates them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select

from portal.db import db
from portal.domain import access, audit
from portal.domain.errors import DomainError
from portal.models import Branch, Company, PortalUser, PrepaidBalance

SECRETS = {
    "retell": "retell_api_key",
    "calcom": "calcom_api_key",
    "calcom-webhook": "calcom_webhook_secret",
}
LONGEST_SECRET = 500
TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]")


@dataclass(frozen=True)
class NewCompany:
    tenant_id: str
    name: str
    timezone: str
    branch: str
    address: str
    retell_key: str | None = None
    calcom_secret: str | None = None


@dataclass(frozen=True)
class NewUser:
    email: str
    name: str
    role: str
    tenant_id: str | None
    password: str
    language: str = "de"


def create_company(new: NewCompany) -> Company:
    """A company, its primary branch and its empty balance. Needs ``all_tenants``; raises ``DomainError``."""
    if not TENANT_ID.fullmatch(new.tenant_id):
        raise DomainError("tenant_id: 3 to 50 of a-z, 0-9 and -, not at an end")
    if find_company(new.tenant_id):
        raise DomainError(f"a company {new.tenant_id} exists already")
    company = Company(tenant_id=new.tenant_id, name=new.name, timezone=new.timezone)
    company.retell_api_key, company.calcom_webhook_secret = new.retell_key, new.calcom_secret
    db.session.add(company)
    db.session.flush()
    db.session.add(
        Branch(company_id=company.id, name=new.branch, address=new.address, timezone=new.timezone, is_primary=True)
    )
    db.session.add(PrepaidBalance(company_id=company.id))
    audit.record("company.created", company, company_id=company.id, new={"name": new.name})
    return company


def create_user(new: NewUser) -> PortalUser:
    """A login with a password. Needs ``all_tenants``; raises ``DomainError``."""
    email = _valid_email(new.email)
    if db.session.scalar(select(PortalUser.id).where(PortalUser.email == email)):
        raise DomainError(f"{email} has a login already")
    if (new.role == "operator") != (new.tenant_id is None):
        raise DomainError("operators have no company, everybody else has one")
    company = find_company(new.tenant_id) if new.tenant_id else None
    if new.tenant_id and company is None:
        raise DomainError(f"there is no company {new.tenant_id}")
    access.check_strength(new.password, email)
    user = PortalUser(
        company_id=company.id if company else None,
        email=email,
        name=new.name,
        role=new.role,
        password_hash=access.hash_password(new.password),
        language=new.language,
    )
    db.session.add(user)
    db.session.flush()
    audit.record("user.created", user, new={"email": email, "role": new.role})
    return user


def set_secret(tenant_id: str, which: str, value: str | None) -> None:
    """Keep one of ``SECRETS``, sealed; None takes it away. Needs ``all_tenants``; raises ``DomainError``."""
    company = find_company(tenant_id)
    if company is None:
        raise DomainError(f"there is no company {tenant_id}")
    if value is not None and not (0 < len(value) <= LONGEST_SECRET and value.isascii() and value.isprintable()):
        raise DomainError("a key is one line of letters, digits and signs")
    if value is not None and " " in value:
        raise DomainError("a key has no spaces")
    setattr(company, SECRETS[which], value)
    db.session.flush()
    action = "company.key_set" if value else "company.key_removed"
    audit.record(action, company, company_id=company.id, new={"key": which})


def find_company(tenant_id: str) -> Company | None:
    return db.session.scalar(select(Company).where(Company.tenant_id == tenant_id))


def _valid_email(text: str) -> str:
    try:
        # Reserved names such as .example are fine for demos; whether mail arrives is not asked here.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise DomainError(f"{text}: {error}") from error
