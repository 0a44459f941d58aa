"""What people are told when the calendar and Cal.com do not agree and nothing more happens by itself."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext as _l

from portal.domain import notifications
from portal.models import Appointment, Booking
from portal.permissions import Permission


def conflict(appointment: Appointment, booking: Booking) -> None:
    """Both sides have changed the same appointment: somebody has to choose."""
    _tell(
        appointment,
        f"calcom-conflict:{booking.id}:{appointment.version}",
        _l("An appointment stands differently at Cal.com"),
        _l("It was changed here and there. Please choose which of the two holds."),
    )


def gave_up(appointment: Appointment, booking: Booking) -> None:
    """A change could not be brought to Cal.com, and is not tried any more."""
    _tell(
        appointment,
        f"calcom-error:{booking.id}:{appointment.version}",
        _l("A change has not reached Cal.com"),
        _l("The appointment stands differently there. The appointment says why, and can be sent again."),
    )


def key_refused(now: datetime) -> None:
    """The key opens nothing any more; told once a day."""
    notifications.notify(
        Permission.MANAGE_SETTINGS,
        "calcom_key",
        "system",
        _l("Cal.com refuses the key"),
        _l("Changes in the calendar do not reach Cal.com until a new key is set."),
        action_url="/settings/calcom",
        action=_l("Set a new key"),
        dedupe_key=f"calcom-key:{now:%Y-%m-%d}",
        priority="high",
    )


def _tell(appointment: Appointment, key: str, title: object, body: object) -> None:
    """Those who lead the people of that branch."""
    notifications.notify(
        Permission.MANAGE_TEAM,
        "calcom_sync",
        "appointment",
        title,
        body,
        action_url=f"/appointments/{appointment.id}",
        action=_l("Show the appointment"),
        dedupe_key=key,
        priority="high",
        branch_id=appointment.branch_id,
    )
