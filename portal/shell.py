"""What stands around every page: the signed-in person's company, the navigation, the chip and the light."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from flask import Flask, g, has_request_context, request
from flask_babel import gettext as _
from flask_login import current_user

from portal import i18n, navigation, settings
from portal.db import utcnow
from portal.domain import audit, followup_queue, identity, notifications, operator, overview, reconciliation, stats
from portal.extensions import login
from portal.permissions import Permission, may, sees_branch, visible_branch_ids
from portal.tenancy import tenant_scope

MOST_COUNTED = 99


@dataclass(frozen=True)
class Shell:
    """The data of ``base.html``. Without a company (operators, error pages) chip and light are absent."""

    company_name: str
    tenant_id: str | None
    user_name: str
    user_email: str
    role_label: str
    theme: str
    nav: list[navigation.Section]
    balance_chip: overview.BalanceChip | None = None
    pipeline: overview.Pipeline | None = None
    search_url: str | None = None
    bell: notifications.Bell | None = None


def init_app(app: Flask) -> None:
    login.init_app(app)
    login.user_loader(identity.load)
    app.before_request(_enter_company)
    app.teardown_request(_leave_company)
    app.context_processor(_context)


def _enter_company() -> None:
    g.scopes = ExitStack()
    if request.endpoint == "static" or not current_user.is_authenticated:
        return
    g.scopes.enter_context(audit.acting(_actor()))
    if current_user.company:
        g.company = current_user.company  # its zone and country shape what the page says (i18n.py)
        g.scopes.enter_context(tenant_scope(current_user.company_id))


def _actor() -> audit.Actor:
    agent = request.user_agent.string[:500] or None
    return audit.Actor(current_user.id, request.remote_addr, agent, g.get("request_id"))


def _leave_company(error: BaseException | None) -> None:
    if scopes := g.pop("scopes", None):
        scopes.close()


def _context() -> dict[str, Any]:
    return {"may": may, "sees_branch": sees_branch, "product_name": settings().product_name, "shell": frame()}


def frame() -> Shell:
    """The frame without anything that asks the database; good enough for parts and error pages."""
    if not has_request_context() or not current_user.is_authenticated:  # the worker's mails have neither
        return Shell(settings().product_name, None, "", "", "", "auto", [])
    company = current_user.company
    return Shell(
        company_name=company.name if company else settings().product_name,
        tenant_id=company.tenant_id if company else None,
        user_name=current_user.name,
        user_email=current_user.email,
        role_label=role_label(current_user.role),
        theme=current_user.theme,
        nav=navigation.navigation(),
    )


def full_frame() -> Shell:
    """The frame of a whole page, with the balance chip, the pipeline light and the bell."""
    shell = frame()
    if shell.tenant_id is None:
        return replace(shell, nav=navigation.navigation(_operators_counts())) if may(Permission.OPERATE) else shell
    chip = overview.balance_chip(local_today()) if may(Permission.VIEW_BALANCE) else None
    light = overview.pipeline() if may(Permission.VIEW_CALLS) else None
    nav = navigation.navigation(menu_counts()) if may(Permission.VIEW_CALLS) else shell.nav
    bell = notifications.bell(current_user.id, utcnow(), i18n.local_day(utcnow()))
    return replace(shell, nav=nav, balance_chip=chip, pipeline=light, bell=bell)


def menu_counts() -> dict[str, int]:
    """What waits for the signed-in person; a menu has room for two figures."""
    return {"follow_ups": min(waiting().people, MOST_COUNTED)}


def waiting() -> followup_queue.Waiting:
    """Who waits for a call from the signed-in person's branches; asked once a page."""
    if "waiting" not in g:
        reader = followup_queue.Reader(current_user.id, visible_branch_ids())
        g.waiting = followup_queue.waiting(reader, utcnow())
    found: followup_queue.Waiting = g.waiting
    return found


def local_today() -> date:
    """Today in the company's own zone."""
    return stats.local_day(utcnow(), current_user.company.timezone)


def _operators_counts() -> dict[str, int]:
    return {**operator.open_counts(), "differences": reconciliation.open_differences()}


def role_label(role: str) -> str:
    """The role's name as people say it."""
    labels: dict[str, str] = {
        "owner": _("Owner"),
        "manager": _("Branch manager"),
        "staff": _("Staff"),
        "bookkeeper": _("Bookkeeper"),
        "operator": _("Operator"),
    }
    return labels[role]
