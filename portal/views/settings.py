"""Where everything that can be set is found."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.domain import booking_sync, customer_mail_settings, retention
from portal.domain.retention import Retention
from portal.htmx import whole_page
from portal.permissions import Permission, may, requires, visible_branch_ids

bp = Blueprint("settings", __name__)


@dataclass(frozen=True)
class Place:
    """A page of settings; ``hint`` says how it stands, ``permission`` who may open it."""

    url: str
    icon: str
    label: str
    hint: str
    permission: Permission = Permission.MANAGE_SETTINGS


@bp.get("/settings")
@requires(Permission.MANAGE_HOURS)
def index() -> Response:
    places = [place for place in _places(retention.current()) if may(place.permission)]
    return whole_page("settings/index.html", places=places)


def _places(kept: Retention) -> list[Place]:
    return [
        *_when_open(),
        *_apart(),
        Place(url_for("calcom.index"), "webhook", "Cal.com", _("Bookings from there, changes to there")),
        Place(url_for("privacy.index"), "shield-check", _("Privacy"), _kept(kept)),
        Place(url_for("limits.index"), "wallet", _("Limits and alerts"), _("What the phone may spend")),
        Place(
            url_for("notifications.index", _anchor="preferences"),
            "bell",
            _("Notifications"),
            _("What reaches you how"),
        ),
        Place(url_for("customer_mail.index"), "mail", _("Mails to customers"), _mails()),
        Place(
            url_for("feeds.index"),
            "calendar-plus",
            _("Subscribe to the calendar"),
            _("Appointments on your phone, and who reads which"),
            Permission.VIEW_CALENDAR,
        ),
        Place(
            url_for("invoices.billing_details"), "file-invoice", _("Invoice address"), _("Name and address on invoices")
        ),
    ]


def _when_open() -> list[Place]:
    who = Permission.MANAGE_HOURS
    return [
        Place(url_for("hours.index"), "clock", _("Working hours"), _("When you are open, and who works when"), who),
        Place(url_for("closures.index"), "calendar-off", _("Closed days"), _("Public and company holidays"), who),
        Place(url_for("absences.index"), "beach", _("Absences"), _("Vacation, sick leave, training"), who),
    ]


def _mails() -> str:
    words = {
        "confirmation": _("Confirmation"),
        "change": _("Change"),
        "cancellation": _("Cancellation"),
        "reminder": _("Reminder"),
    }
    return ", ".join(words[kind] for kind in customer_mail_settings.current().kinds) or _("None are sent")


def _apart() -> list[Place]:
    """Only while there is something to look at."""
    if not booking_sync.out_of_step(visible_branch_ids(), 1):
        return []
    words, url = _("Appointments to look at"), url_for("calcom.out_of_step")
    return [Place(url, "arrows-exchange", _("Differs from Cal.com"), words, Permission.MANAGE_HOURS)]


def _kept(kept: Retention) -> str:
    recording, transcript = kept.days("recording"), kept.days("transcript")
    words = [_("recordings %(time)s", time=_days(recording))] if recording else []
    words += [_("texts %(time)s", time=_days(transcript))] if transcript else []
    return ", ".join(words) or _("Everything is kept")


def _days(days: int) -> str:
    return str(ngettext("%(num)s day", "%(num)s days", days))
