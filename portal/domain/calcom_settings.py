"""The company's side of Cal.com: key and secret, which event type means which service, and who is who.

What webhooks have told of people and event types that nobody here knows is kept with the bookings; once they are
assigned, the appointments that were left open are filled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.clients.keyed_http import DEMO_PREFIX
from portal.db import EncryptionError, db
from portal.domain import appointments, audit, booking_sync
from portal.domain.booking_push import told_by_calcom
from portal.domain.errors import DomainError
from portal.domain.slots import OPEN, plan_of
from portal.domain.told import CALCOM, REPLACED
from portal.models import Appointment, Booking, Branch, CalcomEventType, Company, Service, Staff
from portal.tenancy import current_company_id

SETTING = "calcom"  # in companies.settings
KEY_LENGTH, SECRET_LENGTH, SHORTEST_SECRET = 255, 255, 12
# Of bookings that name somebody unknown so many are looked at, the newest first.
LOOKED_AT = 500
LONGEST_EVENT = 24 * 60


# ---- Key and secret ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """How it went when Cal.com was last asked. ``problem``: '' when it answered, ``who`` then is the key's owner."""

    at: str
    who: str = ""
    problem: str = ""
    words: str = ""

    @property
    def when(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Account:
    """What is set; never the key or the secret themselves. ``readable``: the stored key can be decrypted."""

    tenant_id: str
    has_key: bool
    has_secret: bool
    readable: bool
    team_id: str
    check: Check | None


def account() -> Account:
    company = _company()
    stored = (company.settings or {}).get(SETTING)
    check = Check(**stored["check"]) if isinstance(stored, dict) and stored.get("check") else None
    return Account(
        company.tenant_id,
        company.calcom_api_key_sealed is not None,
        company.calcom_webhook_secret_sealed is not None,
        _readable(company),
        company.calcom_team_id or "",
        check,
    )


def _readable(company: Company) -> bool:
    try:
        return company.calcom_api_key_sealed is None or bool(company.calcom_api_key)
    except EncryptionError:
        return False


def set_key(key: str) -> int:
    """Replace the key. Everything that could not be sent is sent again; how many appointments those are."""
    key = key.strip()
    if not key or len(key) > KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise DomainError(_("This does not look like a key. It begins with cal_ and has no spaces."), "key")
    if key.startswith(DEMO_PREFIX):
        raise DomainError(_("Keys of the demo open nothing at Cal.com."), "key")
    company = _company(lock=True)
    had_one = company.calcom_api_key_sealed is not None
    company.calcom_api_key = key
    _remember(company, None)
    audit.record("calcom.key_replaced" if had_one else "calcom.key_set", company, company_id=company.id)
    return booking_sync.push_all_waiting()


def remove_key() -> None:
    """From now on the portal is the calendar; webhooks are still taken."""
    company = _company(lock=True)
    if company.calcom_api_key_sealed is None:
        return
    company.calcom_api_key = None
    _remember(company, None)
    audit.record("calcom.key_removed", company, company_id=company.id)


def set_secret(secret: str) -> None:
    """The secret that signs Cal.com's webhooks."""
    secret = secret.strip()
    if len(secret) < SHORTEST_SECRET or len(secret) > SECRET_LENGTH:
        raise DomainError(
            _("Please take a secret of at least %(number)s characters.", number=SHORTEST_SECRET), "secret"
        )
    company = _company(lock=True)
    company.calcom_webhook_secret = secret
    audit.record("calcom.secret_set", company, company_id=company.id)


def set_team(team_id: str) -> None:
    """The team whose event types are fetched besides the owner's; '' for none."""
    team_id = team_id.strip()
    if team_id and not (team_id.isdecimal() and len(team_id) < 10):
        raise DomainError(_("The number of a team consists of digits only."), "team")
    company = _company(lock=True)
    before, company.calcom_team_id = company.calcom_team_id, team_id or None
    if company.calcom_team_id != before:
        told = {"calcom_team_id": before}, {"calcom_team_id": company.calcom_team_id}
        audit.record("calcom.team_set", company, old=told[0], new=told[1], company_id=company.id)


def note_check(now: datetime, who: str = "", problem: str = "", words: str = "") -> None:
    """How it went when Cal.com was asked."""
    _remember(_company(lock=True), Check(now.isoformat(), who[:255], problem, words[:300]))


def _remember(company: Company, check: Check | None) -> None:
    company.settings = (company.settings or {}) | {SETTING: {"check": asdict(check) if check else None}}
    db.session.flush()


def _company(*, lock: bool = False) -> Company:
    return db.session.get_one(Company, current_company_id(), with_for_update=lock or None, populate_existing=True)


# ---- Who and what is meant --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unknown:
    """Somebody or something that bookings name and nobody here knows; ``count`` appointments wait for it."""

    id: int
    name: str
    count: int
    minutes: int = 0


def people() -> list[Staff]:
    """Everybody who can be assigned, by name."""
    query = select(Staff).where(Staff.is_active).order_by(Staff.last_name, Staff.first_name, Staff.id)
    return list(db.session.scalars(query))


def event_types() -> list[CalcomEventType]:
    """The known event types with branch and service, by name."""
    query = select(CalcomEventType).options(joinedload(CalcomEventType.service))
    return list(db.session.scalars(query.order_by(CalcomEventType.name, CalcomEventType.id)))


def branches() -> list[Branch]:
    return list(db.session.scalars(select(Branch).where(Branch.is_active).order_by(Branch.id)))


def services() -> list[Service]:
    query = select(Service).where(Service.is_active).order_by(Service.name, Service.id)
    return list(db.session.scalars(query))


def unknown_people() -> list[Unknown]:
    """Cal.com's users who have appointments here that are nobody's, the busiest first."""
    known = set(db.session.scalars(select(Staff.calcom_user_id).where(Staff.calcom_user_id.is_not(None))))
    counts: Counter[int] = Counter()
    names: dict[int, str] = {}
    for booking in _open_bookings(Appointment.staff_id.is_(None)):
        organizer = _organizer(booking)
        number = organizer.get("id")
        if isinstance(number, int) and not isinstance(number, bool) and number not in known:
            counts[number] += 1
            names.setdefault(number, str(organizer.get("name") or organizer.get("email") or number))
    return [Unknown(number, names[number], count) for number, count in counts.most_common()]


def unknown_event_types() -> list[Unknown]:
    """Event types that were booked and mean nothing here yet, the most booked first."""
    counts: Counter[int] = Counter()
    seen: dict[int, Booking] = {}
    for booking in _open_bookings(Booking.event_type_id.is_(None)):
        number = (booking.raw_payload or {}).get("eventTypeId")
        if isinstance(number, int) and not isinstance(number, bool):
            counts[number] += 1
            seen.setdefault(number, booking)
    known = set(db.session.scalars(select(CalcomEventType.calcom_event_type_id)))
    return [
        Unknown(number, _title(seen[number]), count, _minutes(seen[number]))
        for number, count in counts.most_common()
        if number not in known
    ]


def _open_bookings(*conditions: Any) -> Iterable[Booking]:
    """Standing bookings of appointments that are still to come or open."""
    query = (
        select(Booking)
        .join(Appointment, Appointment.id == Booking.appointment_id)
        .where(Booking.provider == CALCOM, Booking.status != REPLACED, Appointment.status.in_(OPEN), *conditions)
        .order_by(Booking.id.desc())
        .limit(LOOKED_AT)
    )
    return db.session.scalars(query)


def _organizer(booking: Booking) -> dict[str, Any]:
    found = (booking.raw_payload or {}).get("organizer")
    return found if isinstance(found, dict) else {}


def _title(booking: Booking) -> str:
    raw = booking.raw_payload or {}
    return str(raw.get("eventTitle") or raw.get("type") or raw.get("title") or raw.get("eventTypeId"))[:255]


def _minutes(booking: Booking) -> int:
    return int((booking.ends_at - booking.starts_at).total_seconds() // 60)


# ---- Assigning --------------------------------------------------------------------------------------------------


def assign_person(staff_id: int | None, calcom_user_id: int | None) -> int:
    """Say who a user of Cal.com is here; None clears it. How many open appointments went to them."""
    person = db.session.get(Staff, staff_id) if staff_id is not None else None
    if person is None or not person.is_active:
        raise DomainError(_("Please choose somebody from the list."), "staff")
    if calcom_user_id is not None:
        other = db.session.scalar(
            select(Staff).where(Staff.calcom_user_id == calcom_user_id, Staff.id != person.id, Staff.is_active)
        )
        if other is not None:
            raise DomainError(_("%(name)s has this number at Cal.com already.", name=other.name), "user")
    before, person.calcom_user_id = person.calcom_user_id, calcom_user_id
    if before == calcom_user_id:
        return 0
    db.session.flush()
    audit.record(
        "calcom.person_assigned", person, old={"calcom_user_id": before}, new={"calcom_user_id": calcom_user_id}
    )
    return _fill_people(person) if calcom_user_id is not None else 0


def _fill_people(person: Staff) -> int:
    filled = 0
    for booking in _open_bookings(Appointment.staff_id.is_(None)):
        if _organizer(booking).get("id") == person.calcom_user_id:
            row = _locked(booking)
            filled += _change(row, staff_id=person.id) if row.staff_id is None else 0
    return filled


@dataclass(frozen=True)
class Meaning:
    """What an event type means here. Without a branch the person's counts; without a service none is known."""

    calcom_id: int
    name: str
    minutes: int
    branch_id: int | None
    service_id: int | None


def assign_event_type(meaning: Meaning) -> int:
    """Say what an event type means; how many open appointments got their service and branch by it."""
    branch = db.session.get(Branch, meaning.branch_id) if meaning.branch_id else None
    service = db.session.get(Service, meaning.service_id) if meaning.service_id else None
    if meaning.branch_id and branch is None:
        raise DomainError(_("Please choose a branch from the list."), "branch")
    if meaning.service_id and service is None:
        raise DomainError(_("Please choose a service from the list."), "service")
    if branch is not None and service is not None and service.branch_id not in (None, branch.id):
        raise DomainError(_("This branch does not offer that service."), "service")
    row = _event_type(meaning)
    before = {"branch_id": row.branch_id, "service_id": row.service_id}
    row.branch_id, row.service_id = meaning.branch_id, meaning.service_id
    db.session.flush()
    after = {"branch_id": row.branch_id, "service_id": row.service_id}
    audit.record("calcom.event_type_assigned", row, old=before, new=after)
    return _fill_services(row, service)


def _event_type(meaning: Meaning) -> CalcomEventType:
    found = CalcomEventType.calcom_event_type_id == meaning.calcom_id
    row = db.session.scalar(select(CalcomEventType).where(found))
    if row is None:
        row = CalcomEventType(
            company_id=current_company_id(),
            calcom_event_type_id=meaning.calcom_id,
            name=meaning.name[:255] or str(meaning.calcom_id),
            duration_minutes=min(max(meaning.minutes, 1), LONGEST_EVENT),
        )
        db.session.add(row)
        db.session.flush()
    return row


def _fill_services(kind: CalcomEventType, service: Service | None) -> int:
    """Appointments without a service get this one, with branch, price and buffers; what is set stays."""
    filled = 0
    unknown = (Booking.event_type_id.is_(None)) | (Booking.event_type_id == kind.id)
    for booking in _open_bookings(unknown):
        if booking.event_type_id is None:
            if (booking.raw_payload or {}).get("eventTypeId") != kind.calcom_event_type_id:
                continue
            booking.event_type_id = kind.id
        if service is not None:
            filled += _serve(booking, kind, service)
    db.session.flush()
    return filled


def _serve(booking: Booking, kind: CalcomEventType, service: Service) -> int:
    row = _locked(booking)
    if row.service_id is not None:
        return 0
    price = kind.price if kind.price is not None else service.price
    return _change(
        row,
        service_id=service.id,
        branch_id=kind.branch_id or row.branch_id,
        price=price if row.price is None else row.price,
        buffer_before=row.buffer_before or kind.buffer_before,
        buffer_after=row.buffer_after or kind.buffer_after or service.buffer_time_minutes,
    )


def _locked(booking: Booking) -> Appointment:
    """Its appointment as it stands now: what people change meanwhile is not written back."""
    return db.session.get_one(Appointment, booking.appointment_id, with_for_update=True, populate_existing=True)


def _change(row: Appointment, **fields: Any) -> int:
    before = row.version
    with told_by_calcom():
        appointments.change(row, replace(plan_of(row), **fields), take_over=True)
    return int(row.version != before)


# ---- Event types as Cal.com lists them --------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """An event type as Cal.com has it. Buffers are minutes."""

    id: int
    title: str
    slug: str | None
    minutes: int
    needs_confirmation: bool
    buffer_before: int
    buffer_after: int


def take_event_types(listed: Iterable[Listed], now: datetime) -> int:
    """Write what Cal.com lists; what it means here stays as it was assigned. How many are new."""
    known = {row.calcom_event_type_id: row for row in db.session.scalars(select(CalcomEventType))}
    new = 0
    for one in listed:
        row = known.get(one.id)
        if row is None:
            new += 1
            row = known[one.id] = _event_type(Meaning(one.id, one.title, one.minutes, None, None))
            row.service_id = _service_named(one.title)
        row.name, row.slug = one.title[:255], (one.slug or "")[:100] or None
        row.duration_minutes = min(max(one.minutes, 1), LONGEST_EVENT)
        row.requires_confirmation = one.needs_confirmation
        row.buffer_before, row.buffer_after = one.buffer_before, one.buffer_after
        row.sync_status, row.sync_error, row.last_synced_at = "synced", None, now
    db.session.flush()
    return new


def _service_named(title: str) -> int | None:
    """The one service of exactly that name: what is likely meant, to be put right on the page."""
    found = list(db.session.scalars(select(Service.id).where(Service.name == title, Service.is_active).limit(2)))
    return found[0] if len(found) == 1 else None
