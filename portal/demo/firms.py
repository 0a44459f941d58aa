"""The demo's two companies as they are told: places, people, services, prices, and the days that are different."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from portal.domain import public_holidays

RATE = Decimal("0.4200")
LONG_AGO = datetime(2019, 12, 31, 23, tzinfo=UTC)  # midnight in Berlin
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
    """A branch. ``week``: opening hours by ISO weekday; ``area``: the code of its landlines; ``region``: its state."""

    name: str
    slug: str
    address: str
    postal_code: str
    city: str
    number: str
    area: str
    week: dict[int, tuple[Span, ...]]
    share: int
    region: str


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


# The first logins of every firm, in this order.
OWNER, MANAGER, CLERK = range(3)


@dataclass(frozen=True)
class Login:
    """Who signs in. ``worker`` counts the firm's; ``places`` those it is bound to, none means all."""

    email: str
    name: str
    role: str
    worker: int | None = None
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Firm:
    """A company as it is told in the demo.

    ``event_types``: Cal.com's number of the first service at each place, the others follow. ``balance``: euros that are
    available when the demo starts. ``automatic``: what the owner has prepared for automatic top-ups, which are off:
    threshold, amount, caps for a day and a month. ``calls`` a day by ISO weekday. ``busy``: the share of quarter hours
    in which a visit begins, long ago, in the days around today, and weeks ahead.
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
    automatic: tuple[int, int, int, int] | None = None

    def in_charge(self, login: int, place: int) -> int:
        """That login, or the owner's where it does not see the place."""
        places = self.logins[login].places
        return login if not places or place in places else OWNER


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
        Place(
            "Berlin-Mitte",
            "berlin-mitte",
            "Torstraße 112",
            "10119",
            "Berlin",
            "+493022334455",
            "30",
            SALON_WEEK,
            6,
            "BE",
        ),
        Place(
            "Potsdam",
            "potsdam",
            "Brandenburger Straße 41",
            "14467",
            "Potsdam",
            "+493315556677",
            "331",
            SALON_WEEK,
            2,
            "BB",
        ),
        Place(
            "Hamburg", "hamburg", "Eppendorfer Weg 88", "20259", "Hamburg", "+494066778899", "40", SALON_WEEK, 2, "HH"
        ),
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
    automatic=(30, 50, 100, 300),
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
            "Leipzig",
            "leipzig",
            "Karl-Heine-Straße 30",
            "04229",
            "Leipzig",
            "+4934155667788",
            "341",
            PRACTICE_WEEK,
            7,
            "SN",
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
            "ST",
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
    """A branch's day off, or a day with other hours; ``public`` holidays follow from the region and are not entered."""

    place: int
    day: date
    reason: str
    spans: tuple[Span, ...] = ()
    public: bool = False


@dataclass(frozen=True)
class Season:
    """Opening hours of a branch for some weeks."""

    place: int
    first: date
    last: date
    week: dict[int, tuple[Span, ...]]


def specials(firm: Firm, today: date) -> tuple[list[Away], list[Closed]]:
    """Vacations, sick days and training, the branches' public holidays, and days on which they are closed."""
    monday = today - timedelta(days=today.weekday())
    away = [
        Away(1, monday - timedelta(days=42), monday - timedelta(days=30), "vacation", "Familienurlaub"),
        Away(0, monday + timedelta(days=14), monday + timedelta(days=19), "vacation", "Resturlaub"),
        Away(len(firm.workers) - 1, monday - timedelta(days=12), monday - timedelta(days=11), "sick", "mit Attest"),
        Away(2, monday + timedelta(days=9), monday + timedelta(days=9), "training", "Seminar, ganztägig"),
    ]
    closed = [
        *(row for place in range(len(firm.places)) for row in _holidays(firm.places[place], place, today)),
        Closed(0, monday + timedelta(days=17), "Betriebsversammlung", _spans("9-13")),
        Closed(1, monday + timedelta(days=10), "Inventur" if firm.business == "salon" else "Praxisausflug"),
        Closed(1, monday - timedelta(days=25), "Wasserrohrbruch"),
        *(Closed(1, monday + timedelta(days=days), "Betriebsferien") for days in range(35, 41)),
    ]
    return away, closed


def season(firm: Firm, today: date) -> Season:
    """The first branch is open longer for some weeks, three weeks from now on."""
    monday = today - timedelta(days=today.weekday())
    week: dict[int, tuple[Span, ...]] = {}
    for day, spans in firm.places[0].week.items():
        week[day] = ((spans[0][0], time(20) if day < 6 else time(18)),)
    return Season(0, monday + timedelta(days=21), monday + timedelta(days=47), week)


def _holidays(branch: Place, place: int, today: date) -> list[Closed]:
    """The public holidays of the branch's state within the demo's days."""
    first, last = today - timedelta(days=120), today + timedelta(days=60)
    state = public_holidays.Place("DE", branch.region)
    named = [pair for year in range(first.year, last.year + 1) for pair in _of_year(state, year)]
    return [Closed(place, day, name, public=True) for day, name in named if first <= day <= last]


def _of_year(state: public_holidays.Place, year: int) -> list[tuple[date, str]]:
    return list(public_holidays.of_year(state, year, "de").items())
