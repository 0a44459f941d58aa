"""Cal.com's API v2, seen from here: the only file that asks it. One company's key a client.

Bookings come back as :class:`Booking`, whatever else Cal.com says about them stays in ``raw``. Nothing is asked twice
here: what changes something may have worked although no answer came, so whoever asks again looks first.
The key goes into one header and nowhere else: into no message, no log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from portal.clients import keyed_http

CALCOM = "https://api.cal.com"
# Each part of the API has versions of its own; without the header an old one answers.
BOOKINGS, EVENT_TYPES = "2026-02-25", "2024-06-14"
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 4.0, 15.0
LARGEST = 2 * 1024 * 1024  # bytes of an answer
LONGEST_MESSAGE = 300
BUSY = {408, 425, 429}
GONE = {404, 410}
STATUS = {"accepted": "ACCEPTED", "pending": "PENDING", "cancelled": "CANCELLED", "rejected": "REJECTED"}
# How Cal.com says that somebody else has the time, or that nobody works then.
TAKEN = ("no_available_users", "already has booking", "not available", "booking_conflict", "already booked")


def may_ask(key: str | None, api_base: str, *, production: bool) -> bool:
    """Whether a company's key goes out: never a demo's key, and never by accident.

    Outside of production a database may hold anybody's keys, so only an address that was set on purpose is asked.
    """
    on_purpose = production or api_base.rstrip("/") not in ("", CALCOM)
    return keyed_http.opens_something(key) and on_purpose


class CalcomProblem(Exception):
    """Base of everything that asking Cal.com can raise. ``status`` is HTTP's, None without an answer."""

    def __init__(self, message: str, status: int | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after = retry_after


class CalcomUnavailable(CalcomProblem):
    """No answer, too many questions, 5xx, or nothing that can be read: ask again later. It may have been done."""


class CalcomRefused(CalcomProblem):
    """401, 403: this key opens nothing, or not this."""


class CalcomGone(CalcomProblem):
    """404, 410: there is no such thing under this key."""


class CalcomTaken(CalcomProblem):
    """The time is not free there."""


class CalcomRejected(CalcomProblem):
    """Cal.com will not do it; asking the same again changes nothing."""


@dataclass(frozen=True)
class Attendee:
    """Who has booked. ``absent`` is None where Cal.com does not say."""

    name: str | None
    email: str | None
    phone: str | None
    timezone: str | None
    absent: bool | None


@dataclass(frozen=True)
class Host:
    """Whose calendar it stands in."""

    id: int | None
    name: str | None
    email: str | None


@dataclass(frozen=True)
class Booking:
    """A booking as it stands at Cal.com. ``status`` in the words of its webhooks; times are aware, in UTC.

    A booking that was moved is over: ``next_uid`` is the one that took its place, ``previous_uid`` the one before.
    """

    uid: str
    status: str
    start: datetime
    end: datetime
    id: int | None
    event_type_id: int | None
    host: Host
    attendees: tuple[Attendee, ...]
    previous_uid: str | None
    next_uid: str | None
    reason: str | None
    cancelled_by: str | None

    @property
    def absent(self) -> bool | None:
        """Whether somebody is marked as not having come; None where Cal.com does not say."""
        marks = [attendee.absent for attendee in self.attendees if attendee.absent is not None]
        return any(marks) if marks else None


@dataclass(frozen=True)
class EventType:
    """What can be booked there. ``hosts``: the users who take it."""

    id: int
    title: str
    slug: str | None
    minutes: int
    needs_confirmation: bool
    buffer_before: int
    buffer_after: int
    hosts: tuple[Host, ...]


@dataclass(frozen=True)
class Me:
    """Whose key it is."""

    id: int | None
    name: str
    email: str | None


class CalcomClient:
    """Cal.com with one company's key. ``session`` is for tests, ``patience`` the seconds until an answer."""

    def __init__(
        self,
        key: str,
        api_base: str = "",
        *,
        session: requests.Session | None = None,
        patience: float = ANSWER_TIMEOUT,
    ) -> None:
        self._base = (api_base or CALCOM).rstrip("/")
        self._key, self._patience = key, patience
        self._session = keyed_http.session_for(self._base, key, session)

    def be_quick(self, patience: float) -> None:
        """Wait no longer than so many seconds: somebody sits before the page."""
        self._patience = min(self._patience, patience)

    # ---- Bookings ---------------------------------------------------------------------------------------------

    def booking(self, uid: str) -> Booking:
        """Raises `CalcomProblem`, `CalcomGone` where there is none."""
        return self._booking("GET", uid)

    def reschedule(self, uid: str, start: datetime, reason: str, *, force: bool = False) -> Booking:
        """Move to another time; the answer is a NEW booking. ``force`` moves it also where the host is not free."""
        body: dict[str, Any] = {"start": _written(start)}
        if reason:
            body["reschedulingReason"] = reason
        if force:
            body |= {"allowConflicts": True, "allowBookingOutOfBounds": True}
        return self._booking("POST", uid, "reschedule", body)

    def cancel(self, uid: str, reason: str) -> Booking:
        return self._booking("POST", uid, "cancel", {"cancellationReason": reason})

    def confirm(self, uid: str) -> Booking:
        return self._booking("POST", uid, "confirm", {})

    def decline(self, uid: str, reason: str) -> Booking:
        return self._booking("POST", uid, "decline", {"reason": reason})

    def mark_absent(self, uid: str, emails: list[str], absent: bool) -> Booking:
        """Mark the attendees as not having come, or take that back."""
        marks = [{"email": email, "absent": absent} for email in emails]
        return self._booking("POST", uid, "mark-absent", {"attendees": marks})

    def _booking(self, method: str, uid: str, deed: str = "", body: dict[str, Any] | None = None) -> Booking:
        if uid in (".", ".."):
            raise CalcomGone("no uid")  # a step in the path, and no part of it
        path = f"/v2/bookings/{quote(uid, safe='')}" + (f"/{deed}" if deed else "")
        return _as_booking(self._ask(method, path, BOOKINGS, body))

    # ---- The account ------------------------------------------------------------------------------------------

    def me(self) -> Me:
        found = self._ask("GET", "/v2/me", EVENT_TYPES)
        if not isinstance(found, dict):
            raise CalcomUnavailable("the answer names nobody", 200)
        email = _text(found, "email")
        return Me(_number(found, "id"), _text(found, "name") or _text(found, "username") or email or "", email)

    def event_types(self, team_id: str = "") -> list[EventType]:
        """Those of the key's owner, or of a team."""
        path = f"/v2/teams/{quote(team_id, safe='')}/event-types" if team_id else "/v2/event-types"
        found = self._ask("GET", path, EVENT_TYPES)
        if not isinstance(found, list):
            raise CalcomUnavailable("the answer is no list of event types", 200)
        return [kind for item in found if isinstance(item, dict) and (kind := _as_event_type(item))]

    # ---- One question -----------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, version: str, body: dict[str, Any] | None = None) -> Any:
        """The ``data`` of the answer."""
        try:
            answer = self._session.request(
                method,
                f"{self._base}{path}",
                json=body,
                headers={"cal-api-version": version},
                auth=keyed_http.Bearer(self._key),
                timeout=(CONNECT_TIMEOUT, self._patience),
                allow_redirects=False,  # the key is for this address alone
                stream=True,
            )
            said = keyed_http.json_object(_read(answer, self._patience))
        except requests.RequestException as problem:
            raise CalcomUnavailable(type(problem).__name__) from None  # its text may hold the whole request
        if not 200 <= answer.status_code < 300:
            raise self._problem(answer, said)
        if said is None or said.get("status") != "success" or "data" not in said:
            raise CalcomUnavailable("the answer is not one of Cal.com's", answer.status_code)
        return said["data"]

    def _problem(self, answer: requests.Response, said: dict[str, Any] | None) -> CalcomProblem:
        status, words = answer.status_code, _words(said).replace(self._key, "…")[:LONGEST_MESSAGE]
        words = words or f"HTTP {status}"
        if status in BUSY:
            return CalcomUnavailable(words, status, retry_after=keyed_http.retry_after(answer))
        if status == 409 or any(word in words.casefold() for word in TAKEN):
            return CalcomTaken(words, status)
        if status >= 500 or said is None or status < 400:
            # The last two are not Cal.com's way to say no: a wrong address, or something in between.
            return CalcomUnavailable(words, status, retry_after=keyed_http.retry_after(answer))
        if status in (401, 403):
            return CalcomRefused(words, status)
        return CalcomGone(words, status) if status in GONE else CalcomRejected(words, status)


# ---- Reading answers ------------------------------------------------------------------------------------------------


def _read(answer: requests.Response, patience: float) -> bytes:
    """The body, as long as it is of a sensible size and does not come in drops."""
    parts, size, end = [], 0, time.monotonic() + patience
    with answer:
        for part in answer.iter_content(64 * 1024):
            size += len(part)
            if size > LARGEST or time.monotonic() > end:
                raise CalcomUnavailable("the answer is too long", answer.status_code)
            parts.append(part)
    return b"".join(parts)


def _words(said: dict[str, Any] | None) -> str:
    """What Cal.com says is wrong: ``{"error": {"message": …}}``, or a message beside it."""
    error = (said or {}).get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    found = inner if isinstance(inner, str) else (said or {}).get("message")
    return found.strip() if isinstance(found, str) else ""


def _as_booking(data: Any) -> Booking:
    try:
        return Booking(
            uid=_needed(data, "uid"),
            status=STATUS[_needed(data, "status").lower()],
            start=_moment(_needed(data, "start")),
            end=_moment(_needed(data, "end")),
            id=_number(data, "id"),
            event_type_id=_number(data, "eventTypeId"),
            host=next(iter(_hosts(data.get("hosts"))), Host(None, None, None)),
            attendees=tuple(_attendee(item) for item in _dicts(data.get("attendees"))),
            previous_uid=_text(data, "rescheduledFromUid"),
            next_uid=_text(data, "rescheduledToUid"),
            reason=_text(data, "cancellationReason"),
            cancelled_by=_text(data, "cancelledByEmail"),
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        # A series, or seats: several bookings under one uid are none of ours.
        raise CalcomRejected("the answer is not one booking") from None


def _attendee(item: dict[str, Any]) -> Attendee:
    absent = item.get("absent")
    return Attendee(
        _text(item, "name"),
        _text(item, "email"),
        _text(item, "phoneNumber"),
        _text(item, "timeZone"),
        absent if isinstance(absent, bool) else None,
    )


def _as_event_type(item: dict[str, Any]) -> EventType | None:
    number, minutes = _number(item, "id"), _number(item, "lengthInMinutes")
    if number is None or not minutes:
        return None
    policy = item.get("confirmationPolicy")
    return EventType(
        id=number,
        title=_text(item, "title") or str(number),
        slug=_text(item, "slug"),
        minutes=minutes,
        needs_confirmation=isinstance(policy, dict) and not policy.get("disabled"),
        buffer_before=_number(item, "beforeEventBuffer") or 0,
        buffer_after=_number(item, "afterEventBuffer") or 0,
        hosts=tuple(_hosts(item.get("hosts") or item.get("users"))),
    )


def _hosts(found: Any) -> list[Host]:
    """Users as they stand in bookings and event types, and the hosts of a team, whose id is named otherwise."""
    users = ((item, "userId" if "userId" in item else "id") for item in _dicts(found))
    return [Host(_number(item, key), _text(item, "name"), _text(item, "email")) for item, key in users]


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _needed(data: Any, name: str) -> str:
    value = data[name]
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _number(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
