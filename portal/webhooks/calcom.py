"""Cal.com: bookings and absences, signed with the company's own secret.

Payloads of version 2021-10-20. A delivery has no id and its signature no time: the hash of the body tells repetitions,
``createdAt`` and ``iCalSequence`` tell old from new. Custom templates may send anything: what cannot be read is parked.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, request
from sqlalchemy import select
from werkzeug.exceptions import RequestEntityTooLarge

from portal.clients.keyed_http import json_object
from portal.db import after_commit, db, transaction, utcnow
from portal.domain import bookings, heartbeat
from portal.domain.availability import day_bounds
from portal.domain.bookings import Away, Person, Told
from portal.models import Company, WebhookEvent
from portal.tenancy import all_tenants, current_company_id
from portal.webhooks import inbox, signatures
from portal.webhooks.inbox import Delivery, Handler, Ignored, Parked

# Checked where there is no company, so that an address without one answers like any other.
NOBODYS_SECRET = secrets.token_hex(32)

bp = Blueprint("calcom_webhook", __name__)

PROVIDER = "calcom"
LARGEST = 1024 * 1024
NOTES = 5000
LONGEST_NUMBER = 20  # digits; thousands are more than Python turns into a number
YEARS = range(1970, 2200)  # others are out of reach of the clocks
SIGNATURE = "X-Cal-Signature-256"
KEPT_HEADERS = ("Content-Type", "User-Agent", "X-Cal-Webhook-Version")
# Where a booker's number may stand besides the attendee.
PHONE_ANSWERS = ("attendeePhoneNumber", "smsReminderNumber", "phone")
STANDING = {"ACCEPTED": "ACCEPTED", "PENDING": "PENDING"}
ABSENCES = {"vacation": "vacation", "travel": "other", "sick": "sick", "training": "training"}
WHOLE_DAYS = (time(0, 0, 0), time(23, 59, 59))
# How many parked events one booking may wake up.
WOKEN = 20


class Unreadable(Exception):
    """A field that is needed is missing or has another shape."""


# ---- The door ---------------------------------------------------------------------------------------------------


@bp.post("/webhooks/calcom/<tenant_id>")
def receive(tenant_id: str) -> Response:
    """Verify over the raw bytes, record once, handle. Refusals are counted and not stored."""
    company = db.session.scalar(select(Company).where(Company.tenant_id == tenant_id))
    company_id = company.id if company else None
    raw = _body(company_id)
    secret = company.calcom_webhook_secret if company else NOBODYS_SECRET
    try:
        signatures.verify_calcom(raw, request.headers.get(SIGNATURE), secret)
    except signatures.BadSignature:
        _refuse(company_id, 401)
    if company is None:
        _refuse(None, 401)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        _refuse(company.id, 400)
    trigger = body.get("triggerEvent") if isinstance(body, dict) else None
    return inbox.receive(
        PROVIDER,
        f"{company.id}:{hashlib.sha256(raw).hexdigest()}",
        raw,
        event_type=trigger[:100] if isinstance(trigger, str) else None,
        company_id=company.id,
        headers={name: request.headers[name][:200] for name in KEPT_HEADERS if name in request.headers},
    )


def _body(company_id: int | None) -> bytes:
    request.max_content_length = LARGEST
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        _refuse(company_id, 413)


def _refuse(company_id: int | None, status: int) -> NoReturn:
    with all_tenants("a refused request is only counted"):
        transaction(lambda: heartbeat.refused(PROVIDER, company_id, utcnow()))
    abort(status)


# ---- What came in -----------------------------------------------------------------------------------------------


def handle(delivery: Delivery, prepared: Any) -> None:
    """Do what the event means; raises what the inbox understands."""
    body = json_object(delivery.body) or {}  # read anew: as databases take it
    trigger = body.get("triggerEvent")
    if not isinstance(trigger, str):
        raise Parked("not in Cal.com's shape: no triggerEvent")
    if trigger not in MEANINGS:
        raise Ignored(f"{trigger} means nothing to the calendar")
    now = utcnow()
    try:
        MEANINGS[trigger](Event(trigger, body), now, now - delivery.received_at)
    except Unreadable as error:
        raise Parked(f"not in Cal.com's shape: {error}") from error
    except bookings.Waiting as error:
        raise Parked(str(error)) from error
    except bookings.Moot as error:
        raise Ignored(str(error)) from error


class Event:
    """An event's fields, read with care. Meetings come flat; in newer versions they too have a payload."""

    def __init__(self, trigger: str, body: dict[str, Any]) -> None:
        self.trigger = trigger
        payload = body.get("payload", body)
        if not isinstance(payload, dict):
            raise Unreadable("payload")
        self.payload = payload
        self.written_at = moment(body["createdAt"]) if body.get("createdAt") and payload is not body else None

    def text(self, *path: str) -> str | None:
        """The text there, trimmed; None for empty and for anything else."""
        value: Any = self.payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value.strip() or None if isinstance(value, str) else None

    def number(self, *path: str) -> int | None:
        value: Any = self.payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return whole_number(value)

    def needed(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise Unreadable(name)
        return value


def whole_number(value: Any) -> int | None:
    """An id as a number or in digits; None for anything else, and for what no id column holds."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= LONGEST_NUMBER:
        value = int(value)
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if usable else None


def moment(text: Any) -> datetime:
    """An ISO time with its offset, as UTC; :class:`Unreadable` otherwise."""
    try:
        value = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"time {text!r:.40}") from error
    if value.year not in YEARS:
        raise Unreadable(f"time {text!r:.40}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# ---- Bookings ---------------------------------------------------------------------------------------------------


def told(event: Event, status: str) -> Told:
    """The booking of an event. Raises :class:`Unreadable`."""
    uid = event.needed("uid")[:255]
    start, end = moment(event.needed("startTime")), moment(event.needed("endTime"))
    if end <= start or end - start > timedelta(days=1):
        raise Unreadable("times")
    previous = (event.text("rescheduleUid") or "")[:255]
    return Told(
        uid=uid,
        previous_uid=previous if previous and previous != uid else None,
        booking_id=event.number("bookingId"),
        event_type_id=event.number("eventTypeId"),
        status=status,
        start=start,
        end=end,
        organizer=_organizer(event),
        attendee=_attendee(event),
        title=event.text("title"),
        notes=(event.text("additionalNotes") or event.text("responses", "notes", "value") or "")[:NOTES] or None,
        sequence=event.number("iCalSequence"),
        written_at=event.written_at,
        call_id=event.text("metadata", "retell_call_id"),
        reason=event.text("cancellationReason") or event.text("rejectionReason"),
        by=event.text("cancelledBy"),
        raw=event.payload,
    )


def _organizer(event: Event) -> Person:
    return Person(
        id=event.number("organizer", "id"),
        name=event.text("organizer", "name"),
        email=event.text("organizer", "email"),
        timezone=event.text("organizer", "timeZone"),
    )


def _attendee(event: Event) -> Person:
    """The booker: the first attendee, completed by the answers to the booking's questions."""
    attendees = event.payload.get("attendees")
    first = attendees[0] if isinstance(attendees, list) and attendees and isinstance(attendees[0], dict) else {}
    who = Event(event.trigger, {"payload": first})
    answers = (event.text("responses", name, "value") for name in PHONE_ANSWERS)
    phone = who.text("phoneNumber") or next(filter(None, answers), None) or event.text("smsReminderNumber")
    return Person(
        name=who.text("name") or event.text("responses", "name", "value"),
        email=who.text("email") or event.text("responses", "email", "value"),
        phone=phone,
        timezone=who.text("timeZone"),
    )


def _stands(default: str, event: Event, now: datetime, waited: timedelta) -> None:
    booking = told(event, STANDING.get(event.text("status") or "", default))
    bookings.take_over(booking, now, waited)
    _wake(booking.uid)


def _ends(status: str, event: Event, now: datetime, waited: timedelta) -> None:
    bookings.call_off(told(event, status), now, waited)


def _no_show(event: Event, now: datetime, waited: timedelta) -> None:
    attendees = event.payload.get("attendees")
    marks = {
        str(attendee.get("email", "")).casefold(): attendee["noShow"] is True
        for attendee in (attendees if isinstance(attendees, list) else [])
        if isinstance(attendee, dict) and isinstance(attendee.get("noShow"), bool)
    }
    if not marks:
        raise Unreadable("attendees")
    bookings.mark_no_show(event.needed("bookingUid"), marks, event.written_at, now, waited)


def _started(event: Event, now: datetime, waited: timedelta) -> None:
    # Sent by the clock at the booked time: it does not say that anybody has come.
    raise bookings.Moot("a meeting that starts changes nothing")


def _ended(event: Event, now: datetime, waited: timedelta) -> None:
    bookings.meeting_ended(event.needed("uid"), now, waited)


def _wake(uid: str) -> None:
    """What came before this booking and waits for it is handled as soon as it is committed."""
    waiting = db.session.scalars(
        select(WebhookEvent.id)
        .where(
            WebhookEvent.company_id == current_company_id(),
            WebhookEvent.provider == PROVIDER,
            WebhookEvent.status == "parked",
            WebhookEvent.error == f"{Parked.__name__}: {bookings.waiting_for(uid)}",
        )
        .order_by(WebhookEvent.id)
        .limit(WOKEN)
    )
    for event_id in waiting.all():
        after_commit(partial(_process, event_id))


def _process(event_id: int) -> None:
    inbox.process(event_id)


# ---- Absences ---------------------------------------------------------------------------------------------------


def _absence(event: Event, now: datetime, waited: timedelta) -> None:
    entry = Event(event.trigger, {"payload": event.payload.get("oooEntry")})
    uid = entry.text("uuid") or (str(number) if (number := entry.number("id")) is not None else None)
    if uid is None:
        raise Unreadable("uuid")
    start, end = _span(entry)
    bookings.take_over_absence(
        Away(
            uid=uid[:200],
            person=Person(id=entry.number("user", "id"), email=entry.text("user", "email")),
            start=start,
            end=end,
            kind=_kind(entry.text("reason", "reason") or ""),
            note=entry.text("notes"),
            written_at=event.written_at or now,
        ),
        waited,
    )


def _span(entry: Event) -> tuple[datetime, datetime]:
    """Cal.com's absences are whole days of the person, written with an offset that is not always theirs."""
    first, last = (_written(entry.needed(name)) for name in ("start", "end"))
    if (first.time(), last.time().replace(microsecond=0)) == WHOLE_DAYS:
        zone = _zone(entry.text("user", "timeZone"))
        start, end = day_bounds(first.date(), zone).start, day_bounds(last.date(), zone).end
    else:
        start, end = first.astimezone(UTC), last.astimezone(UTC)
    if end <= start:
        raise Unreadable("times")
    return start, end


def _written(text: str) -> datetime:
    moment(text)
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "Europe/Berlin")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("Europe/Berlin")


def _kind(reason: str) -> str:
    return next((kind for word, kind in ABSENCES.items() if word in reason.lower()), "other")


Meaning = Callable[[Event, datetime, timedelta], None]

MEANINGS: dict[str, Meaning] = {
    "BOOKING_CREATED": partial(_stands, "ACCEPTED"),
    "BOOKING_RESCHEDULED": partial(_stands, "ACCEPTED"),
    "BOOKING_REQUESTED": partial(_stands, "PENDING"),
    "BOOKING_CANCELLED": partial(_ends, "CANCELLED"),
    "BOOKING_REJECTED": partial(_ends, "REJECTED"),
    "BOOKING_NO_SHOW_UPDATED": _no_show,
    "MEETING_STARTED": _started,
    "MEETING_ENDED": _ended,
    "OOO_CREATED": _absence,
}

inbox.HANDLERS[PROVIDER] = Handler(handle)
