"""Who is signed in: a snapshot of a person, read once a request."""

from __future__ import annotations

from dataclasses import dataclass

from flask_login import UserMixin
from sqlalchemy import Boolean, String, and_, null, select, type_coerce

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
        found = db.session.execute(
            select(PortalUser, Company, UserPreference.preference_value)
            .outerjoin(Company, Company.id == PortalUser.company_id)
            .outerjoin(
                UserPreference,
                and_(UserPreference.portal_user_id == PortalUser.id, UserPreference.preference_key == "theme"),
            )
            .where(PortalUser.id == int(user_id))
        ).first()
        if found is None:
            return None
        user, company, theme = found
        if not user.is_active or user.session_version != int(version) or (company and not company.is_active):
            return None
        return _snapshot(user, company, theme)


def _snapshot(user: PortalUser, company: Company | None, theme: str | None) -> Identity:
    branch_ids, exceptions = _branches_and_exceptions(user.id)
    return Identity(
        id=user.id,
        session_version=user.session_version,
        email=user.email,
        name=user.name,
        role=user.role,
        staff_id=user.staff_id,
        language=user.language,
        timezone=user.timezone,
        theme=theme or "auto",
        company=_card(company) if company else None,
        branch_ids=branch_ids,
        permissions=permissions_of(user.role, exceptions),
    )


def _branches_and_exceptions(user_id: int) -> tuple[list[int], dict[str, bool]]:
    """Both in one statement: every page of every person asks it."""
    branches = select(
        PortalUserBranch.branch_id,
        type_coerce(null(), String).label("permission"),
        type_coerce(null(), Boolean).label("granted"),
    ).where(PortalUserBranch.portal_user_id == user_id)
    exceptions = select(null().label("branch_id"), PortalUserPermission.permission, PortalUserPermission.granted).where(
        PortalUserPermission.portal_user_id == user_id
    )
    rows = db.session.execute(branches.union_all(exceptions)).all()
    return (
        [branch_id for branch_id, _, _ in rows if branch_id is not None],
        {permission: bool(granted) for branch_id, permission, granted in rows if branch_id is None},
    )


def _card(company: Company) -> CompanyCard:
    return CompanyCard(company.id, company.tenant_id, company.name, company.timezone, company.country)
