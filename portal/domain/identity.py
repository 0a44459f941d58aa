"""Who is signed in: a snapshot of a person, read once a request."""

from __future__ import annotations

from dataclasses import dataclass

from flask_login import UserMixin
from sqlalchemy import select

from portal.db import db
from portal.models import Company, PortalUser, PortalUserBranch, PortalUserPermission, UserPreference
from portal.permissions import Permission, permissions_of
from portal.tenancy import all_tenants


@dataclass(frozen=True)
class CompanyCard:
    """What every page needs to know of the company."""

    id: int
    tenant_id: str
    name: str
    timezone: str
    country: str


@dataclass(frozen=True)
class Identity(UserMixin):
    """The signed-in person. Not a row: nothing can be changed through it."""

    id: int
    session_version: int
    email: str
    name: str
    role: str
    staff_id: int | None
    language: str
    timezone: str | None
    theme: str
    company: CompanyCard | None
    branch_ids: list[int]
    permissions: frozenset[Permission]

    @property
    def company_id(self) -> int | None:
        return self.company.id if self.company else None

    def get_id(self) -> str:
        return f"{self.id}:{self.session_version}"


def load(token: str) -> Identity | None:
    """The person behind a session, or None when the session has ended.

    A session ends when the person or the company is deactivated, and when the password changes.
    """
    user_id, _, version = token.partition(":")
    if not (user_id.isdigit() and version.isdigit()):
        return None
    with all_tenants("a session names its person before the company is known"):
        user = db.session.get(PortalUser, int(user_id))
        if user is None or not user.is_active or user.session_version != int(version):
            return None
        return snapshot(user)


def snapshot(user: PortalUser) -> Identity | None:
    """A person's identity; None when their company is deactivated. Needs ``all_tenants``."""
    company = db.session.get(Company, user.company_id) if user.company_id else None
    if company is not None and not company.is_active:
        return None
    branches = db.session.scalars(select(PortalUserBranch.branch_id).where(PortalUserBranch.portal_user_id == user.id))
    exceptions = db.session.execute(
        select(PortalUserPermission.permission, PortalUserPermission.granted).where(
            PortalUserPermission.portal_user_id == user.id
        )
    )
    return Identity(
        id=user.id,
        session_version=user.session_version,
        email=user.email,
        name=user.name,
        role=user.role,
        staff_id=user.staff_id,
        language=user.language,
        timezone=user.timezone,
        theme=preference(user.id, "theme", "auto"),
        company=_card(company) if company else None,
        branch_ids=list(branches),
        permissions=permissions_of(user.role, {row.permission: row.granted for row in exceptions}),
    )


def _card(company: Company) -> CompanyCard:
    return CompanyCard(company.id, company.tenant_id, company.name, company.timezone, company.country)


def preference(user_id: int, key: str, default: str) -> str:
    """One stored preference of a person."""
    found = db.session.scalar(
        select(UserPreference.preference_value).where(
            UserPreference.portal_user_id == user_id, UserPreference.preference_key == key
        )
    )
    return default if found is None else str(found)
