"""The demo's two companies and the platform: what the contract names, and what makes it whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dateutil.easter import easter

from portal.demo import PASSWORD
from portal.demo.rows import Rows
from portal.domain.access import hash_password
from portal.models import (
    BillingRate,
    Branch,
    BranchClosure,
    CalcomEventType,
    Company,
    CompanyGoal,
    PhoneNumber,
    PortalUser,
    PortalUserBranch,
    PrepaidBalance,
    Service,
    Staff,
    StaffAbsence,
    StaffEventType,
    WorkingHours,
)

RATE = Decimal("0.4200")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ZONE = "Europe/Berlin"
Span = tuple[time, time]


def _spans(*texts: str) -> tuple[Span, ...]:
    """``"9-13"`` and ``"13:30-17"`` as times."""
    return tuple((_at(start), _at(end)) for start, end in (text.split("-") for text in texts))


def _at(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute or 0))


@dataclass(frozen=True)
class Place:
    """A branch. ``week``: opening hours by ISO weekday; ``area``: the code of its landlines."""

    name: str
    slug: str
    address: str
    postal_code: str
    city: str
    number: str
    area: str
    week: dict[int, tuple[Span, ...]]
    share: int


@dataclass(frozen=True)
class Worker:
    """A person with a calendar. ``place`` counts the branches, ``services`` the company's services."""

    first_name: str
    last_name: str
    title: str
    place: int
    calcom_user_id: int
    services: tuple[int, ...]
    week: dict[int, tuple[Span, ...]]
    color: str
    prefix: str = ""
    hired: date = date(2021, 4, 1)

    @property
    def name(self) -> str:
        return f"{self.prefix} {self.first_name} {self.last_name}".strip()


@dataclass(frozen=True)
class Offer:
    """A service. Minutes and euros; ``for_whom`` is a gender where that is the custom."""

    name: str
    minutes: int
    price: Decimal | None
    category: str
    buffer: int = 0
    for_whom: str | None = None
    weight: int = 10


@dataclass(frozen=True)
class Login:
    email: str
    name: str
    role: str
    worker: int | None = None
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Firm:
    """A company as it is told in the demo.

    ``event_types``: Cal.com's number of the first service at each place, the others follow. ``balance``: euros that are
    available when the demo starts. ``calls`` a day by ISO weekday. ``busy``: the share of quarter hours in which a
    visit begins, long ago, in the days around today, and weeks ahead.
    """

    tenant_id: str
    name: str
    business: str
    agent: str
    profile: dict[str, Any]
    places: tuple[Place, ...]
    workers: tuple[Worker, ...]
    offers: tuple[Offer, ...]
    logins: tuple[Login, ...]
    event_types: tuple[int, ...]
    balance: Decimal
    last_topup: Decimal
    customers: int
    calls: dict[int, int]
    busy: tuple[float, float, float]
    goals: tuple[dict[str, Any], ...] = ()


EARLY = _spans("9-12:30", "13-17:30")
LATE = _spans("10:30-14", "14:30-19")
SHORT = _spans("9-12", "12:30-15")
SATURDAY = _spans("9-12:30", "13-16")


def _days(*plan: tuple[str, tuple[Span, ...]]) -> dict[int, tuple[Span, ...]]:
    """``("1-5", EARLY)``: ISO weekdays and their hours."""
    week: dict[int, tuple[Span, ...]] = {}
    for days, spans in plan:
        first, _, last = days.partition("-")
        week |= dict.fromkeys(range(int(first), int(last or first) + 1), spans)
    return week


SALON_WEEK = _days(("1-5", _spans("9-19")), ("6", _spans("9-16")))
PRACTICE_DAY, PRACTICE_SHORT = _spans("8-12", "14-18"), _spans("8-13")
PRACTICE_WEEK = _days(("1-2", PRACTICE_DAY), ("3", PRACTICE_SHORT), ("4", PRACTICE_DAY), ("5", PRACTICE_SHORT))

SALON = Firm(
    tenant_id="salon-morgenrot",
    name="Salon Morgenrot",
    business="salon",
    agent="agent_4c1f0b7d2a9e",
    profile={
        "email": "post@salon-morgenrot.example",
        "phone": "+493022334455",
        "website": "https://salon-morgenrot.example",
        "address": "Torstraße 112",
        "postal_code": "10119",
        "city": "Berlin",
        "invoice_name": "Salon Morgenrot GmbH",
        "invoice_address": "Torstraße 112\n10119 Berlin",
        "invoice_email": "buchhaltung@salon-morgenrot.example",
        "exhausted_action": "message",
        "forward_to": "+491710445566",
        "recording_retention_days": 90,
    },
    places=(
        Place("Berlin-Mitte", "berlin-mitte", "Torstraße 112", "10119", "Berlin", "+493022334455", "30", SALON_WEEK, 6),
        Place(
            "Potsdam", "potsdam", "Brandenburger Straße 41", "14467", "Potsdam", "+493315556677", "331", SALON_WEEK, 2
        ),
        Place("Hamburg", "hamburg", "Eppendorfer Weg 88", "20259", "Hamburg", "+494066778899", "40", SALON_WEEK, 2),
    ),
    workers=(
        Worker("Sofia", "Klein", "Friseurmeisterin", 0, 501, (0, 2, 3, 4, 5), _days(("1-5", EARLY)), "#b4513b"),
        Worker("Tim", "Yilmaz", "Barbier", 0, 502, (1, 4, 6), _days(("2-5", LATE), ("6", SATURDAY)), "#2f6f8f"),
        Worker(
            "Deniz",
            "Arslan",
            "Colorist",
            0,
            503,
            (0, 1, 2, 3, 4),
            _days(("1-2", LATE), ("4-5", LATE), ("6", SATURDAY)),
            "#7a5ea8",
        ),
        Worker("Jana", "Petersen", "Friseurin", 0, 504, (0, 2, 3, 4), _days(("1-3", EARLY), ("5", EARLY)), "#4c7d4a"),
        Worker(
            "Marlene",
            "Vogt",
            "Stylistin",
            0,
            505,
            (0, 3, 5),
            _days(("3-5", SHORT), ("6", SATURDAY)),
            "#a8762a",
        ),
        Worker("Svenja", "Albrecht", "Friseurmeisterin", 1, 506, (0, 2, 3, 4, 5), _days(("1-5", EARLY)), "#b4513b"),
        Worker("Robert", "Lang", "Friseur", 1, 507, (0, 1, 4, 6), _days(("2-5", LATE), ("6", SATURDAY)), "#2f6f8f"),
        Worker("Hauke", "Brodersen", "Barbier", 2, 508, (1, 4, 6), _days(("1-5", LATE)), "#2f6f8f"),
        Worker(
            "Merle",
            "Johannsen",
            "Friseurin",
            2,
            509,
            (0, 2, 3, 4, 5),
            _days(("2-5", EARLY), ("6", SATURDAY)),
            "#4c7d4a",
        ),
    ),
    offers=(
        Offer("Damenhaarschnitt", 45, Decimal("58.00"), "Schnitt", 0, "female", 26),
        Offer("Herrenhaarschnitt", 30, Decimal("34.00"), "Schnitt", 0, "male", 26),
        Offer("Farbberatung", 30, Decimal("15.00"), "Farbe", 0, "female", 6),
        Offer("Strähnchen", 120, Decimal("120.00"), "Farbe", 15, "female", 9),
        Offer("Kinderhaarschnitt", 30, Decimal("24.00"), "Schnitt", 0, None, 7),
        Offer("Hochsteckfrisur", 60, Decimal("75.00"), "Styling", 15, "female", 4),
        Offer("Bartpflege", 30, Decimal("22.00"), "Bart", 0, "male", 9),
    ),
    logins=(
        Login("owner@salon-morgenrot.example", "Katharina Morgen", "owner"),
        Login("manager@salon-morgenrot.example", "Mehmet Aksoy", "manager", None, (0, 1)),
        Login("staff@salon-morgenrot.example", "Sofia Klein", "staff", 0, (0,)),
        Login("buchhaltung@salon-morgenrot.example", "Bettina Rehberg", "bookkeeper"),
    ),
    event_types=(4101, 4201, 4301),
    balance=Decimal("150.00"),
    last_topup=Decimal("250.00"),
    customers=178,
    calls={1: 11, 2: 11, 3: 11, 4: 11, 5: 12, 6: 7, 7: 2},
    busy=(0.055, 0.32, 0.14),
    goals=(
        {"name": "Termine im Monat", "metric": "appointments_booked", "period": "month", "target_value": Decimal(320)},
        {"name": "Neue Kunden im Monat", "metric": "new_customers", "period": "month", "target_value": Decimal(25)},
        {
            "name": "Nicht erschienen unter 5 %",
            "metric": "no_show_rate",
            "period": "month",
            "target_value": Decimal(5),
            "direction": "at_most",
        },
        {
            "name": "Angenommene Anrufe je Woche",
            "metric": "calls_answered",
            "period": "week",
            "target_value": Decimal(60),
        },
    ),
)

PRACTICE = Firm(
    tenant_id="praxis-lindner",
    name="Praxis Lindner",
    business="practice",
    agent="agent_9e2a7c4d1b0f",
    profile={
        "email": "post@praxis-lindner.example",
        "phone": "+4934155667788",
        "address": "Karl-Heine-Straße 30",
        "postal_code": "04229",
        "city": "Leipzig",
        "invoice_name": "Praxis Dr. Lindner und Kollegen",
        "invoice_address": "Karl-Heine-Straße 30\n04229 Leipzig",
        "invoice_email": "post@praxis-lindner.example",
        "exhausted_action": "forward",
        "forward_to": "+4934155667700",
        "recording_retention_days": 30,
    },
    places=(
        Place(
            "Leipzig", "leipzig", "Karl-Heine-Straße 30", "04229", "Leipzig", "+4934155667788", "341", PRACTICE_WEEK, 7
        ),
        Place(
            "Halle",
            "halle",
            "Große Ulrichstraße 15",
            "06108",
            "Halle (Saale)",
            "+4934544556677",
            "345",
            PRACTICE_WEEK,
            3,
        ),
    ),
    workers=(
        Worker(
            "Anke", "Lindner", "Fachärztin für Allgemeinmedizin", 0, 601, (0, 1, 4), PRACTICE_WEEK, "#2f6f8f", "Dr."
        ),
        Worker(
            "Paul", "Brandt", "Facharzt für Innere Medizin", 0, 602, (0, 1, 2, 3, 4), PRACTICE_WEEK, "#7a5ea8", "Dr."
        ),
        Worker("Ines", "Kowalski", "Medizinische Fachangestellte", 0, 603, (2, 3), PRACTICE_WEEK, "#4c7d4a"),
        Worker(
            "Miriam", "Hoyer", "Fachärztin für Allgemeinmedizin", 1, 604, (0, 1, 4), PRACTICE_WEEK, "#b4513b", "Dr."
        ),
        Worker("Jens", "Rudolph", "Medizinischer Fachangestellter", 1, 605, (2, 3), PRACTICE_WEEK, "#a8762a"),
    ),
    offers=(
        Offer("Kontrolle", 15, None, "Sprechstunde", 0, None, 30),
        Offer("Erstgespräch", 30, None, "Sprechstunde", 0, None, 8),
        Offer("Impfung", 10, None, "Vorsorge", 5, None, 16),
        Offer("Blutabnahme", 10, None, "Labor", 5, None, 18),
        Offer("Check-up 35", 45, None, "Vorsorge", 0, None, 8),
    ),
    logins=(
        Login("owner@praxis-lindner.example", "Dr. Anke Lindner", "owner", 0),
        Login("manager@praxis-lindner.example", "Petra Wollschläger", "manager"),
        Login("staff@praxis-lindner.example", "Ines Kowalski", "staff", 2, (0,)),
    ),
    event_types=(5201, 5301),
    balance=Decimal("83.20"),
    last_topup=Decimal("100.00"),
    customers=140,
    calls={1: 8, 2: 7, 3: 5, 4: 7, 5: 5, 6: 1, 7: 1},
    busy=(0.05, 0.28, 0.12),
    goals=(
        {
            "name": "Ausfallquote",
            "metric": "no_show_rate",
            "period": "quarter",
            "target_value": Decimal(4),
            "direction": "at_most",
        },
        {"name": "Termine je Woche", "metric": "appointments_booked", "period": "week", "target_value": Decimal(60)},
    ),
)

FIRMS = (SALON, PRACTICE)
OPERATOR = Login("operator@empfang.example", "Olivia Brand", "operator")


@dataclass(frozen=True)
class Ids:
    """Where the rows of a company have ended up, each list in the order of the :class:`Firm`."""

    company: int
    branches: list[int]
    numbers: list[int]
    staff: list[int]
    services: list[int]
    event_types: dict[tuple[int, int], int]
    users: list[int]
    balance: int
    rate: int


def add_company(rows: Rows, firm: Firm, since: datetime) -> Ids:
    """All rows that a company has before anything happens to it."""
    company = _company(rows, firm, since)
    made = {"company_id": company, "created_at": since, "updated_at": since}
    branches, numbers = _branches(rows, firm, made)
    staff = [_worker(rows, firm, worker, branches, made) for worker in firm.workers]
    services = [_service(rows, offer, made) for offer in firm.offers]
    ids = Ids(
        company,
        branches,
        numbers,
        staff,
        services,
        _event_types(rows, firm, branches, services, made),
        _users(rows, firm, branches, staff, made),
        rows.add(PrepaidBalance, **made),
        rows.add(BillingRate, rate_per_minute=RATE, valid_from=LONG_AGO, **made),
    )
    _who_does_what(rows, firm, ids, made)
    return ids


def add_operator(rows: Rows, since: datetime) -> int:
    """The platform's own login."""
    return rows.add(
        PortalUser,
        email=OPERATOR.email,
        name=OPERATOR.name,
        role="operator",
        password_hash=hash_password(PASSWORD),
        company_id=None,
        staff_id=None,
        created_at=since,
        updated_at=since,
    )


def _company(rows: Rows, firm: Firm, since: datetime) -> int:
    sealed = Company(tenant_id=firm.tenant_id)
    sealed.retell_api_key = f"demo-retell-{firm.tenant_id}"
    sealed.calcom_webhook_secret = f"demo-calcom-{firm.tenant_id}"
    return rows.add(
        Company,
        tenant_id=firm.tenant_id,
        name=firm.name,
        timezone=ZONE,
        retell_agent_id=firm.agent,
        retell_api_key_sealed=sealed.retell_api_key_sealed,
        calcom_webhook_secret_sealed=sealed.calcom_webhook_secret_sealed,
        created_at=since,
        updated_at=since,
        **firm.profile,
    )


def _branches(rows: Rows, firm: Firm, made: dict[str, Any]) -> tuple[list[int], list[int]]:
    branches, numbers = [], []
    for position, place in enumerate(firm.places):
        branch = rows.add(
            Branch,
            name=place.name,
            slug=place.slug,
            address=place.address,
            postal_code=place.postal_code,
            city=place.city,
            phone=place.number,
            email=f"{place.slug}@{firm.tenant_id}.example",
            timezone=ZONE,
            is_primary=position == 0,
            **made,
        )
        branches.append(branch)
        _hours(rows, branch, None, place.week, made)
        numbers.append(
            rows.add(
                PhoneNumber,
                branch_id=branch,
                number=place.number,
                number_e164=place.number,
                is_primary=position == 0,
                retell_agent_id=firm.agent,
                retell_phone_id=f"pn_demo_{place.slug}",
                description=f"Filiale {place.name}",
                **made,
            )
        )
    return branches, numbers


def _hours(rows: Rows, branch: int, staff: int | None, week: dict[int, tuple[Span, ...]], made: dict[str, Any]) -> None:
    for weekday, spans in week.items():
        for opens_at, closes_at in spans:
            rows.add(
                WorkingHours,
                branch_id=branch,
                staff_id=staff,
                weekday=weekday,
                opens_at=opens_at,
                closes_at=closes_at,
                **made,
            )


def _worker(rows: Rows, firm: Firm, worker: Worker, branches: list[int], made: dict[str, Any]) -> int:
    staff = rows.add(
        Staff,
        branch_id=branches[worker.place],
        first_name=worker.first_name,
        last_name=worker.last_name,
        display_name=worker.name,
        email=f"{worker.first_name}.{worker.last_name}@{firm.tenant_id}.example".lower(),
        title=worker.title,
        calcom_user_id=worker.calcom_user_id,
        color_code=worker.color,
        hired_date=worker.hired,
        **made,
    )
    _hours(rows, branches[worker.place], staff, worker.week, made)
    return staff


def _service(rows: Rows, offer: Offer, made: dict[str, Any]) -> int:
    return rows.add(
        Service,
        name=offer.name,
        category=offer.category,
        duration_minutes=offer.minutes,
        buffer_time_minutes=offer.buffer,
        price=offer.price,
        **made,
    )


def _event_types(
    rows: Rows, firm: Firm, branches: list[int], services: list[int], made: dict[str, Any]
) -> dict[tuple[int, int], int]:
    """Cal.com's event types by place and service."""
    found = {}
    for place, first in enumerate(firm.event_types):
        for position, offer in enumerate(firm.offers):
            found[place, position] = rows.add(
                CalcomEventType,
                branch_id=branches[place],
                service_id=services[position],
                calcom_event_type_id=first + position,
                name=offer.name,
                duration_minutes=offer.minutes,
                price=offer.price,
                buffer_after=offer.buffer,
                is_team_event=True,
                last_synced_at=made["created_at"],
                **made,
            )
    return found


def _users(rows: Rows, firm: Firm, branches: list[int], staff: list[int], made: dict[str, Any]) -> list[int]:
    password = hash_password(PASSWORD)
    users = []
    for login in firm.logins:
        user = rows.add(
            PortalUser,
            email=login.email,
            name=login.name,
            role=login.role,
            password_hash=password,
            staff_id=None if login.worker is None else staff[login.worker],
            **made,
        )
        users.append(user)
        for place in login.places:
            rows.add(PortalUserBranch, portal_user_id=user, branch_id=branches[place], **made)
    return users


def _who_does_what(rows: Rows, firm: Firm, ids: Ids, made: dict[str, Any]) -> None:
    for worker, staff in zip(firm.workers, ids.staff, strict=True):
        for position in worker.services:
            rows.add(
                StaffEventType,
                staff_id=staff,
                event_type_id=ids.event_types[worker.place, position],
                calcom_user_id=worker.calcom_user_id,
                is_primary=position == worker.services[0],
                **made,
            )
    for goal in firm.goals:
        start = made["created_at"].date().replace(day=1)
        rows.add(CompanyGoal, start_date=start, created_by=ids.users[0], **goal, **made)


# ---- Days that are different ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Away:
    """A worker's absence on whole local days, the last one included."""

    worker: int
    first: date
    last: date
    kind: str
    note: str


@dataclass(frozen=True)
class Closed:
    """A branch's day off."""

    place: int
    day: date
    reason: str


def specials(firm: Firm, today: date) -> tuple[list[Away], list[Closed]]:
    """A vacation behind us, one ahead, a sick day, and a day on which the second branch is closed."""
    monday = today - timedelta(days=today.weekday())
    away = [
        Away(1, monday - timedelta(days=42), monday - timedelta(days=30), "vacation", "Urlaub"),
        Away(0, monday + timedelta(days=14), monday + timedelta(days=19), "vacation", "Urlaub"),
        Away(len(firm.workers) - 1, monday - timedelta(days=12), monday - timedelta(days=11), "sick", "krank"),
        Away(2, monday + timedelta(days=9), monday + timedelta(days=9), "training", "Fortbildung"),
    ]
    closed = [
        *(Closed(place, day, name) for day, name in holidays(today) for place in range(len(firm.places))),
        Closed(1, monday + timedelta(days=10), "Inventur" if firm.business == "salon" else "Praxisausflug"),
        Closed(1, monday - timedelta(days=25), "Wasserrohrbruch"),
    ]
    return away, closed


def holidays(today: date) -> list[tuple[date, str]]:
    """The holidays of all of Germany within the demo's days."""
    found = [day for year in (today.year - 1, today.year, today.year + 1) for day in _holidays_of(year)]
    first, last = today - timedelta(days=120), today + timedelta(days=60)
    return [(day, name) for day, name in found if first <= day <= last]


def _holidays_of(year: int) -> list[tuple[date, str]]:
    sunday = easter(year)
    after_easter = ((-2, "Karfreitag"), (1, "Ostermontag"), (39, "Christi Himmelfahrt"), (50, "Pfingstmontag"))
    return [
        (date(year, 1, 1), "Neujahr"),
        *((sunday + timedelta(days=days), name) for days, name in after_easter),
        (date(year, 5, 1), "Tag der Arbeit"),
        (date(year, 10, 3), "Tag der Deutschen Einheit"),
        (date(year, 12, 25), "1. Weihnachtstag"),
        (date(year, 12, 26), "2. Weihnachtstag"),
    ]


def add_specials(rows: Rows, ids: Ids, away: list[Away], closed: list[Closed], zone: Any, made: datetime) -> None:
    stamp = {"company_id": ids.company, "created_at": made, "updated_at": made}
    for absence in away:
        rows.add(
            StaffAbsence,
            staff_id=ids.staff[absence.worker],
            starts_at=datetime.combine(absence.first, time(), zone),
            ends_at=datetime.combine(absence.last + timedelta(days=1), time(), zone),
            kind=absence.kind,
            note=absence.note,
            **stamp,
        )
    for closure in closed:
        rows.add(BranchClosure, branch_id=ids.branches[closure.place], date=closure.day, reason=closure.reason, **stamp)
