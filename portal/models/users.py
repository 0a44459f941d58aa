"""People who sign in, what they may see, and the doors they come in by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import (
    MYSQL_TABLE,
    EncryptedText,
    Id,
    MaybeTenantRow,
    Model,
    TenantRow,
    Timestamps,
    belongs_to,
    check,
    choice,
    counter,
    flag,
    has_many,
    tenant_refs,
)

ROLES = ("owner", "manager", "staff", "bookkeeper", "operator")


class PortalUser(Id, MaybeTenantRow, Timestamps, Model):
    """A person with a login. Only operators have no company.

    ``session_version`` is part of every session: raising it signs the person out everywhere.
    """

    __tablename__ = "portal_users"
    __company_delete__ = "RESTRICT"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        UniqueConstraint("email"),
        *tenant_refs(staff_id="staff", invited_by="portal_users"),
        check("operator", "(role = 'operator') = (company_id IS NULL)"),
        MYSQL_TABLE,
    )

    staff_id: Mapped[int | None]
    email: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    phone: Mapped[str | None] = mapped_column(String(50))
    role: Mapped[str] = mapped_column(choice("role", *ROLES))
    is_active: Mapped[bool] = flag(True)
    totp_secret_sealed: Mapped[str | None] = mapped_column("totp_secret", String(500))
    totp_secret = EncryptedText("totp_secret_sealed", owner="company_id")
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_counter: Mapped[int | None] = mapped_column(Integer)
    recovery_codes: Mapped[list[Any] | None]
    failed_logins: Mapped[int] = counter()
    locked_until: Mapped[datetime | None]
    session_version: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    last_login_at: Mapped[datetime | None]
    last_login_ip: Mapped[str | None] = mapped_column(String(45))
    language: Mapped[str] = mapped_column(String(5), default="de", server_default="de")
    timezone: Mapped[str | None] = mapped_column(String(50))
    invited_by: Mapped[int | None]

    staff = belongs_to("PortalUser.staff_id", "Staff")
    branch_links = has_many("PortalUser", "PortalUserBranch.portal_user_id")
    permission_links = has_many("PortalUser", "PortalUserPermission.portal_user_id")
    preferences = has_many("PortalUser", "UserPreference.portal_user_id")


class PortalUserBranch(Id, TenantRow, Timestamps, Model):
    """Which branches a person sees; no row means all."""

    __tablename__ = "portal_user_branches"
    __table_args__ = (
        UniqueConstraint("portal_user_id", "branch_id"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users", branch_id="branches"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    branch_id: Mapped[int]


class PortalUserPermission(Id, TenantRow, Timestamps, Model):
    """A permission granted or denied to one person on top of the role."""

    __tablename__ = "portal_user_permissions"
    __table_args__ = (
        UniqueConstraint("portal_user_id", "permission"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    permission: Mapped[str] = mapped_column(String(50))
    granted: Mapped[bool] = flag(True)


class UserPreference(Id, MaybeTenantRow, Timestamps, Model):
    """One setting of one person, such as the theme."""

    __tablename__ = "user_preferences"
    __table_args__ = (
        UniqueConstraint("portal_user_id", "preference_key"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    preference_key: Mapped[str] = mapped_column(String(100))
    preference_value: Mapped[Any] = mapped_column(JSON(none_as_null=False))


class Invitation(Id, TenantRow, Timestamps, Model):
    """An invitation that has been sent. Only the hash of its token is kept; it works once."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index(None, "company_id", "email"),
        *tenant_refs(invited_by="portal_users"),
        MYSQL_TABLE,
    )

    email: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(choice("role", "owner", "manager", "staff", "bookkeeper"))
    branch_ids: Mapped[list[Any] | None]
    token_hash: Mapped[str] = mapped_column(String(64))
    invited_by: Mapped[int | None]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]


class PasswordReset(Id, MaybeTenantRow, Timestamps, Model):
    """A way back in for one person. Only the hash of its token is kept; it works once."""

    __tablename__ = "password_resets"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        *tenant_refs(ondelete="CASCADE", portal_user_id="portal_users"),
        MYSQL_TABLE,
    )

    portal_user_id: Mapped[int]
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
