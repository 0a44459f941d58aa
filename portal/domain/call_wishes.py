"""What a caller wanted booked, as the form of a new appointment can be filled with it."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from portal.domain import call_words, followup_queue
from portal.models import Call


def of(call: Call, today: date) -> dict[str, Any]:
    """Values of the form's fields by their names; only what was understood, and no day that has passed."""
    data = call.custom_data or {}
    service, staff = _text(data.get("service")), _text(data.get("preferred_staff"))
    ids = followup_queue.ids_by_name([(service, staff)])
    day = _day(data.get("appointment_date"))
    known: dict[str, Any] = {
        "service": ids.get(("service", service or "")),
        "staff": ids.get(("staff", staff or "")),
        "date": day if day and day >= today else None,
        "time": _time(data.get("appointment_time")) if day and day >= today else None,
    }
    if call.customer_id is None:
        known |= {"customer": "new", "new_name": call_words.name_said(call) or None, "new_phone": call.phone_number}
    return {name: value for name, value in known.items() if value is not None}


def _text(value: Any) -> str | None:
    return value.strip()[:200] or None if isinstance(value, str) else None


def _day(value: Any) -> date | None:
    try:
        return datetime.fromisoformat(value).date() if isinstance(value, str) else None
    except ValueError:
        return None


def _time(value: Any) -> time | None:
    try:
        return time.fromisoformat(value[:5]) if isinstance(value, str) else None
    except ValueError:
        return None
