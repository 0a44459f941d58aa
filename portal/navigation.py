"""The menu: which page stands where, and who sees it. Data and one function; it asks no database.

What ``templates/base.html`` and its parts expect from a page's context (written by ``portal/shell.py``)::

    product_name            "Empfang"
    language                "de" or "en"
    shell.company_name      of the signed-in person; operators have none and get the product's name
    shell.tenant_id         opaque name of the company for /brand/<tenant_id>.css, None for operators
    shell.user_name         '' for strangers; error pages then stand without a menu
    shell.user_email        shown in the person's menu
    shell.role_label        the role in words
    shell.theme             "light", "dark" or "auto" (follow the device)
    shell.nav               list of Section, from navigation()
    shell.balance_chip      None, or .available (Decimal euros) and, if known, .until (a day)
    shell.pipeline          None, or .ok, .last_call_at (aware, UTC, or None) and, if known, .text instead of it
    shell.bell              None, or .unread (a number) and .latest (the newest five notifications)
    shell.search_url        address of the search over everything; no search box without one
    shell.banner            if set, a line on every page: .text and, for the way out, .url (POST) and .label

Parts that are polled are files of their own and take their data by name, so that their view is one line:
``polled("layouts/_chip.html", version, chip=…)`` at /balance/chip (every 20 s and on ``balance-changed``) and
``polled("layouts/_pipeline.html", version, light=…)`` at /pipeline (every 60 s). Forms of the frame post to
/preferences/language (``language``, ``next``), /preferences/theme (``theme``, ``next``) and /logout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, request, url_for
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal.permissions import Permission, may

NO_COUNTS: Mapping[str, int] = {}


@dataclass(frozen=True)
class Item:
    """One line of the menu, ready to be shown. ``key``: what is counted, '' for nothing; ``count_label``, in words."""

    label: str
    url: str
    icon: str
    current: bool
    key: str = ""
    count: int = 0
    count_label: str = ""


@dataclass(frozen=True)
class Section:
    """Lines under a heading; the first section has none."""

    label: str
    items: list[Item]


@dataclass(frozen=True)
class Page:
    """A page of the menu. ``also`` are blueprints whose pages belong to it, ``count`` a key of the counts."""

    endpoint: str
    label: Any
    icon: str
    permission: Permission
    also: tuple[str, ...] = ()
    count: str = ""

    @property
    def blueprint(self) -> str:
        return self.endpoint.partition(".")[0]


MONEY_PAGES = ("auto_topup", "invoices", "statements", "limits")
SETTINGS_PAGES = ("privacy", "hours", "closures", "absences", "calcom", "customer_mail")
STANDS_UNDER = {"calcom.out_of_step": "calendar"}  # pages that stand elsewhere in the menu than their blueprint
MENU: tuple[tuple[Any, tuple[Page, ...]], ...] = (
    (
        "",
        (
            Page(
                "operator.index",
                _l("Companies"),
                "building-store",
                Permission.OPERATE,
                also=("operator_money", "operator_topups"),
                count="parked_topups",
            ),
            Page("operator_inbox.events", _l("Inbox"), "webhook", Permission.OPERATE, count="stuck_events"),
            Page("reconciliation.index", _l("Reconciliation"), "shield-check", Permission.OPERATE, count="differences"),
            Page("dashboard.index", _l("Dashboard"), "home", Permission.VIEW_DASHBOARD),
            Page(
                "calendar.index",
                _l("Calendar"),
                "calendar",
                Permission.VIEW_CALENDAR,
                also=("appointments", "day_prints", "feeds"),
            ),
            Page("calls.index", _l("Calls"), "phone", Permission.VIEW_CALLS, also=("followups",), count="follow_ups"),
            Page("customers.index", _l("Customers"), "users", Permission.VIEW_CUSTOMERS),
        ),
    ),
    (
        _l("Evaluation"),
        (
            Page("analytics.index", _l("Analytics"), "chart-bar", Permission.VIEW_DASHBOARD),
            Page("goals.index", _l("Goals"), "target", Permission.VIEW_DASHBOARD),
        ),
    ),
    (
        _l("Business"),
        (
            Page("balance.index", _l("Balance"), "wallet", Permission.VIEW_BALANCE, also=MONEY_PAGES),
            Page("team.index", _l("Team"), "user-check", Permission.MANAGE_TEAM),
            Page("settings.index", _l("Settings"), "settings", Permission.MANAGE_HOURS, also=SETTINGS_PAGES),
            Page("audit.index", _l("Audit log"), "history", Permission.VIEW_AUDIT),
        ),
    ),
)

COUNTED: dict[str, Callable[[int], str]] = {
    "follow_ups": lambda number: str(ngettext("open callback", "open callbacks", number)),
    "parked_topups": lambda number: str(ngettext("top-up to decide about", "top-ups to decide about", number)),
    "stuck_events": lambda number: str(ngettext("unsettled message", "unsettled messages", number)),
    "differences": lambda number: str(ngettext("difference", "differences", number)),
}


def navigation(counts: Mapping[str, int] = NO_COUNTS) -> list[Section]:
    """The menu of the signed-in person: pages that exist and that the role may open, empty sections left out.

    ``counts``: what waits on a page, by the keys of :data:`COUNTED`.
    """
    sections = (Section(str(label), [_item(page, counts) for page in pages if _open(page)]) for label, pages in MENU)
    return [section for section in sections if section.items]


def _open(page: Page) -> bool:
    return page.endpoint in current_app.view_functions and may(page.permission)


def _item(page: Page, counts: Mapping[str, int]) -> Item:
    number = counts.get(page.count, 0)
    return Item(
        label=str(page.label),
        url=url_for(page.endpoint),
        icon=page.icon,
        current=STANDS_UNDER.get(request.endpoint or "", request.blueprint) in {page.blueprint, *page.also},
        key=page.count,
        count=number,
        count_label=COUNTED[page.count](number) if number else "",
    )
