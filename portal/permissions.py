"""What people may do: one enum, one table of roles, one decorator."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import abort
from flask_login import current_user, login_required

P = ParamSpec("P")
R = TypeVar("R")


class Permission(StrEnum):
    VIEW_DASHBOARD = "view_dashboard"
    VIEW_CALENDAR = "view_calendar"
    EDIT_APPOINTMENTS = "edit_appointments"
    VIEW_CALLS = "view_calls"
    READ_TRANSCRIPTS = "read_transcripts"
    LISTEN_RECORDINGS = "listen_recordings"
    EXPORT_CALLS = "export_calls"
    MANAGE_FOLLOWUPS = "manage_followups"
    VIEW_CUSTOMERS = "view_customers"
    EDIT_CUSTOMERS = "edit_customers"
    EXPORT_CUSTOMERS = "export_customers"
    VIEW_BALANCE = "view_balance"
    TOP_UP = "top_up"
    MANAGE_LIMITS = "manage_limits"
    VIEW_AUDIT = "view_audit"
    MANAGE_HOURS = "manage_hours"
    MANAGE_TEAM = "manage_team"
    MANAGE_SETTINGS = "manage_settings"
    OPERATE = "operate"


_STAFF = {
    Permission.VIEW_DASHBOARD,
    Permission.VIEW_CALENDAR,
    Permission.EDIT_APPOINTMENTS,
    Permission.VIEW_CALLS,
    Permission.VIEW_CUSTOMERS,
    Permission.EDIT_CUSTOMERS,
}
_MANAGER = _STAFF | {
    Permission.READ_TRANSCRIPTS,
    Permission.LISTEN_RECORDINGS,
    Permission.EXPORT_CALLS,
    Permission.MANAGE_FOLLOWUPS,
    Permission.EXPORT_CUSTOMERS,
    Permission.MANAGE_HOURS,
    Permission.MANAGE_TEAM,
}
_OWNER = _MANAGER | {
    Permission.VIEW_BALANCE,
    Permission.TOP_UP,
    Permission.MANAGE_LIMITS,
    Permission.VIEW_AUDIT,
    Permission.MANAGE_SETTINGS,
}

ROLES: dict[str, frozenset[Permission]] = {
    "owner": frozenset(_OWNER),
    "manager": frozenset(_MANAGER),
    "staff": frozenset(_STAFF),
    "bookkeeper": frozenset({Permission.VIEW_BALANCE}),
    "operator": frozenset({Permission.OPERATE}),
}


def permissions_of(role: str, exceptions: dict[str, bool]) -> frozenset[Permission]:
    """A role's permissions with one person's grants (True) and denials (False) on top.

    ``OPERATE`` belongs to the platform and cannot be granted to a company's people.
    """
    granted = {Permission(name) for name, given in exceptions.items() if given} - {Permission.OPERATE}
    denied = {Permission(name) for name, given in exceptions.items() if not given}
    return frozenset((ROLES[role] | granted) - denied)


def may(permission: Permission | str) -> bool:
    """Whether the signed-in person has this permission; False for strangers."""
    return bool(current_user.is_authenticated) and Permission(permission) in current_user.permissions


def requires(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, Any]]:
    """Guard a view: strangers are sent to the login page, people without the permission get 403."""

    def decorate(view: Callable[P, R]) -> Callable[P, Any]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not may(permission):
                abort(403)
            return view(*args, **kwargs)

        guarded.requires = permission  # type: ignore[attr-defined]
        protected: Callable[P, Any] = login_required(guarded)
        return protected

    return decorate


def visible_branch_ids() -> list[int] | None:
    """The branches the signed-in person is bound to; None means all of the company's."""
    branch_ids: list[int] = current_user.branch_ids
    return branch_ids or None


def sees_branch(branch_id: int) -> bool:
    """Whether what stands at this branch is the signed-in person's business."""
    visible = visible_branch_ids()
    return visible is None or branch_id in visible


def may_name_callers() -> bool:
    """Whether money pages may say who called: to people who see all calls and customers, never to the bookkeeper."""
    return may(Permission.VIEW_CALLS) and may(Permission.VIEW_CUSTOMERS) and visible_branch_ids() is None
