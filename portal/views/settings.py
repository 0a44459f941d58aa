"""Where everything that can be set is found."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.domain import retention
from portal.domain.retention import Retention
from portal.htmx import whole_page
from portal.permissions import Permission, requires

bp = Blueprint("settings", __name__)


@dataclass(frozen=True)
class Place:
    """A page of settings; ``hint`` says how it stands."""

    url: str
    icon: str
    label: str
    hint: str


@bp.get("/settings")
@requires(Permission.MANAGE_SETTINGS)
def index() -> Response:
    return whole_page("settings/index.html", places=_places(retention.current()))


def _places(kept: Retention) -> list[Place]:
    return [
        Place(url_for("privacy.index"), "shield-check", _("Privacy"), _kept(kept)),
        Place(url_for("limits.index"), "wallet", _("Limits and alerts"), _("What the phone may spend")),
        Place(
            url_for("notifications.index", _anchor="preferences"),
            "bell",
            _("Notifications"),
            _("What reaches you how"),
        ),
        Place(
            url_for("invoices.billing_details"), "file-invoice", _("Invoice address"), _("Name and address on invoices")
        ),
    ]


def _kept(kept: Retention) -> str:
    recording, transcript = kept.days("recording"), kept.days("transcript")
    words = [_("recordings %(time)s", time=_days(recording))] if recording else []
    words += [_("texts %(time)s", time=_days(transcript))] if transcript else []
    return ", ".join(words) or _("Everything is kept")


def _days(days: int) -> str:
    return str(ngettext("%(num)s day", "%(num)s days", days))
