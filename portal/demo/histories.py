"""The histories of the large companies: calls, appointments, charges and their sums, made in plain loops.

Every figure adds up here too: balances, daily figures, customers' statistics. Whole numbers and text go to
:mod:`portal.demo.bulk` in chunks. Calls come between 7 and 19 o'clock UTC, so that the local day is the day in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from portal.demo import phrases
from portal.demo.bulk import Loader, Row, target
from portal.demo.dialogues import Filling, fill, retell_entries
from portal.demo.firms import RATE
from portal.demo.people import ORIGINS
from portal.demo.rows import after_the_last
from portal.domain import pricing, transcripts
from portal.domain.pricing import Tariff
from portal.domain.search_names import search_name
from portal.domain.slots import BUSY
from portal.models import (
    Appointment,
    BalanceTopup,
    BalanceTransaction,
    Call,
    CallCharge,
    Customer,
    DailyCallStats,
    DailySpend,
)

CHUNK = 20_000
AHEAD = 30  # days
OPENS, SECONDS_A_DAY = 7 * 3600, 12 * 3600 - 900  # UTC
LONGEST = 600  # seconds; the last call has ended and is charged by now
SLOT, SLOTS = 20 * 60, 30  # seconds of an appointment, and how many fit into a day
SERVICE_PRICE = 4200  # cents
TOPUP, LOW = 50_000, 2_500  # cents
SPEAKERS = 240  # variants of what is said
_RATE = int(RATE.scaleb(4))

CALLS = target(
    "calls",
    "id company_id branch_id customer_id call_id retell_call_id agent_id phone_number from_number to_number "
    "phone_number_id direction started_at ended_at duration_seconds status end_reason summary intent sentiment "
    "language_code analyzed_at appointment_created appointment_id created_at updated_at",
)
CONTENTS = target("call_contents", "call_id company_id tenant_token transcript turns tool_calls created_at updated_at")
CHARGES = target(
    "call_charges",
    "id company_id prepaid_balance_id call_id billing_rate_id duration_seconds billable_seconds rate_per_minute "
    "amount_charged charged_at created_at updated_at",
    cents="amount_charged",
    rate_per_minute=4,
)
LEDGER = target(
    "balance_transactions",
    "id company_id prepaid_balance_id kind amount balance_after reference topup_id call_charge_id created_at",
    cents="amount balance_after",
)
TOPUPS = target(
    "balance_topups",
    "id company_id prepaid_balance_id amount tax_rate tax_amount gross_amount payment_method status completed_at "
    "created_at updated_at",
    cents="amount tax_rate tax_amount gross_amount",
)
APPOINTMENTS = target(
    "appointments",
    "id company_id branch_id customer_id staff_id service_id title start_time end_time status source call_id "
    "cancelled_at cancelled_by price created_at updated_at",
    cents="price",
)
CUSTOMERS = target(
    "customers",
    "id company_id first_name last_name search_name name_confirmed phone phone_normalized phone_rev "
    "acquisition_source first_appointment_date last_appointment_date total_appointments completed_appointments "
    "cancelled_appointments no_show_appointments total_spent created_at updated_at",
    cents="total_spent",
)
CALL_STATS = target(
    "daily_call_stats",
    "id company_id day branch_key calls answered booked seconds positive neutral negative created_at updated_at",
)
SPEND = target("daily_spend", "id company_id day calls amount created_at updated_at", cents="amount")
TARGETS = (CALLS, CONTENTS, CHARGES, LEDGER, TOPUPS, APPOINTMENTS, CUSTOMERS, CALL_STATS, SPEND)


@dataclass(frozen=True)
class Plan:
    """How large one company is. ``days`` back; calls and appointments are as many.

    Branches and staff are as many as it takes, unless they are given.
    """

    number: int
    calls: int
    days: int
    given_branches: int = 0
    given_staff: int = 0

    @property
    def tenant_id(self) -> str:
        return f"large-{self.number:03d}"

    @property
    def staff(self) -> int:
        """As many as it takes for everybody to have a full, not an endless day."""
        return self.given_staff or max(2, -(-self.calls // ((self.days + AHEAD) * (SLOTS - 4))))

    @property
    def branches(self) -> int:
        return self.given_branches or max(1, min(60, self.staff // 3))

    @property
    def customers(self) -> int:
        return max(5, self.calls // 10)


@dataclass
class Frame:
    """The rows of one company that everything else points at."""

    plan: Plan
    company: int
    balance: int
    rate: int
    service: int
    branches: list[int] = field(default_factory=list)
    numbers: list[tuple[int, str]] = field(default_factory=list)
    staff: list[tuple[int, int]] = field(default_factory=list)


class Ids:
    """The next id of each large table."""

    def __init__(self) -> None:
        models = (Call, CallCharge, BalanceTransaction, BalanceTopup, Appointment, Customer, DailyCallStats, DailySpend)
        self.next = {model.__tablename__: after_the_last(model) for model in models}

    def take(self, table: str, count: int) -> int:
        """The first of ``count`` ids."""
        first = self.next[table]
        self.next[table] += count
        return first


# ---- What is said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    """One variant of a short call: columns of ``call_contents`` and of ``calls``."""

    transcript: str
    turns: str
    summary: str
    intent: str
    sentiment: str | None


@cache
def _variants() -> tuple[_Said, ...]:
    rng = Random("large")
    return tuple(_variant(("hours", "price")[number % 2], rng) for number in range(SPEAKERS))


def _variant(kind: str, rng: Random) -> _Said:
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    dialogue = fill(phrases.compose(kind, "salon", None, rng), Filling("Kette", at))
    entries, _ = retell_entries(dialogue.turns[1:], rng, "large")
    read = transcripts.read({"transcript_with_tool_calls": entries})
    assert read is not None
    turns = json.dumps([{**turn, "words": []} for turn in read.turns], ensure_ascii=False)
    return _Said(read.text, turns, dialogue.summary, dialogue.intent, dialogue.sentiment)


@cache
def _names() -> list[tuple[str, str, str]]:
    """First name, last name and the searched form, in no order."""
    _, women, men, last_names = ORIGINS["german"]
    pairs = [(first, last) for first in women + men for last in last_names]
    Random("names").shuffle(pairs)
    return [(first, last, search_name(first, last)) for first, last in pairs]


# ---- The history of one company -----------------------------------------------------------------------------------


class History:
    """Makes the rows of one company, calls in the order of time, and hands them over in chunks."""

    def __init__(self, frame: Frame, ids: Ids, loader: Loader, now: datetime) -> None:
        self.frame, self.plan, self.ids, self.loader = frame, frame.plan, ids, loader
        today = now.astimezone(UTC).date()
        self.first_day = today - timedelta(days=self.plan.days)
        open_today = (now - datetime.combine(today, time(), UTC)).seconds - OPENS - LONGEST
        self.open_seconds = self.plan.days * SECONDS_A_DAY + min(max(open_today, 0), SECONDS_A_DAY - 1)
        self.now = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}.000000"
        days = self.plan.days + AHEAD + 1
        self.day_names = [(self.first_day + timedelta(days=day)).isoformat() for day in range(days + 1)]
        self.prices = [int(pricing.price(seconds, Tariff(RATE)).amount * 100) for seconds in range(241)]
        plan = self.plan
        self.call_id = ids.take("calls", plan.calls)
        self.appointment_id = ids.take("appointments", plan.calls)
        self.customer_id = ids.take("customers", plan.customers)
        self.visits = _Visits(plan.customers)
        # day × branch → calls, answered, booked, seconds, positive, neutral, negative
        self.figures: dict[tuple[int, int], list[int]] = {}
        self.spent: dict[int, list[int]] = {}
        self.level = self.topped_up = self.charged = 0
        self.last_charge = 0

    def load(self, step: Callable[[int], None]) -> None:
        for first in range(0, self.plan.calls, CHUNK):
            last = min(first + CHUNK, self.plan.calls)
            self._load_appointments(first, last)
            self._load_calls(first, last)
            step(last - first)
        self._load_customers()
        self._load_figures()

    # ---- Times ----

    def _moment(self, second: int) -> str:
        """Seconds since the first day's midnight as the databases write it."""
        day, rest = divmod(second, 86400)
        return f"{self.day_names[day]} {_CLOCK[rest]}"

    def _second_of_call(self, i: int) -> int:
        """Calls are spread evenly over all opening hours, up to now."""
        day, rest = divmod(i * self.open_seconds // self.plan.calls, SECONDS_A_DAY)
        return day * 86400 + OPENS + rest

    # ---- Appointments ----

    def _slot(self, i: int) -> tuple[int, int]:
        """Second and staff position of an appointment: no two of one person at the same time."""
        days, calls = self.plan.days + AHEAD, self.plan.calls
        day = i * days // calls
        first_of_day = -(-day * calls // days)
        turn, staff = divmod(i - first_of_day, self.plan.staff)
        return day * 86400 + OPENS + turn * SLOT, staff

    def _is_booked(self, i: int) -> bool:
        """Every third call makes its appointment, if that lies far enough ahead."""
        return i % 3 == 0 and self._answered(i) and self._slot(i)[0] - self._second_of_call(i) > 86400

    def _answered(self, i: int) -> bool:
        return i % 17 != 5

    def _customer(self, i: int) -> int:
        return i * 7919 % self.plan.customers

    def _load_appointments(self, first: int, last: int) -> None:
        company, service = self.frame.company, self.frame.service
        rows: list[Row] = []
        for i in range(first, last):
            second, position = self._slot(i)
            start, end = self._moment(second), self._moment(second + SLOT)
            staff, branch = self.frame.staff[position]
            status = self._status(i, end)
            booked = self._is_booked(i)
            created = self._moment(self._second_of_call(i) + 60 if booked else max(0, second - 7 * 86400))
            created = min(created, self.now)
            customer = self._customer(i)
            self.visits.add(customer, status, start[:10])
            cancelled = (min(start, self.now), "customer") if status == "cancelled" else (None, None)
            rows.append((
                self.appointment_id + i, company, branch, self.customer_id + customer, staff, service, "Beratung",
                start, end, status, "phone" if booked else "web", self.call_id + i if booked else None, *cancelled,
                SERVICE_PRICE, created, created,
            ))  # fmt: skip
        self.loader.load(APPOINTMENTS, rows)

    def _status(self, i: int, end: str) -> str:
        if i % 13 == 7:
            return "cancelled"
        if end > self.now:
            return "confirmed"
        return "no_show" if i % 19 == 3 else "completed"

    # ---- Calls, what was said, what they cost ----

    def _load_calls(self, first: int, last: int) -> None:
        calls: list[Row] = []
        contents: list[Row] = []
        charges: list[Row] = []
        ledger: list[Row] = []
        topups: list[Row] = []
        for i in range(first, last):
            seconds = 20 + i * 37 % 200 if self._answered(i) else 0
            began = self._second_of_call(i)
            calls.append(self._call(i, began, seconds))
            if seconds:
                contents.append(self._content(i, began + seconds))
                self._charge(i, began + seconds, seconds, charges, ledger, topups)
        for into, rows in (
            (CALLS, calls),
            (CONTENTS, contents),
            (TOPUPS, topups),
            (CHARGES, charges),
            (LEDGER, ledger),
        ):
            self.loader.load(into, rows)

    def _call(self, i: int, began: int, seconds: int) -> Row:
        frame = self.frame
        position = i % self.plan.branches
        phone_id, ours = frame.numbers[position]
        booked, answered = self._is_booked(i), seconds > 0
        said = _variants()[i % SPEAKERS]
        customer = self._customer(i)
        theirs = self._phone(customer)
        start, end = self._moment(began), self._moment(began + seconds)
        self._count(began // 86400, position, answered, booked, seconds, said.sentiment)
        inbound = ("inbound", theirs, ours) if answered else ("outbound", ours, theirs)
        ending = (
            "completed",
            "user_hangup",
            said.summary,
            "book_appointment" if booked else said.intent,
            said.sentiment,
        )
        outcome = ending if answered else ("no_answer", "dial_no_answer", None, None, None)
        call_id = f"call_large{self.call_id + i:012d}"
        return (
            self.call_id + i, frame.company, frame.branches[position], self.customer_id + customer, call_id, call_id,
            f"agent_{self.plan.tenant_id}", theirs, *inbound[1:], phone_id, inbound[0], start, end, seconds, *outcome,
            "de", end, int(booked), self.appointment_id + i if booked else None, start, end,
        )  # fmt: skip

    def _content(self, i: int, ended: int) -> Row:
        said, at = _variants()[i % SPEAKERS], self._moment(ended)
        token = transcripts.tenant_token(self.frame.company)
        return (self.call_id + i, self.frame.company, token, said.transcript, said.turns, "[]", at, at)

    def _charge(
        self, i: int, ended: int, seconds: int, charges: list[Row], ledger: list[Row], topups: list[Row]
    ) -> None:
        frame, cents = self.frame, self.prices[seconds]
        if self.level - cents < LOW:
            self._top_up(ended, ledger, topups)
        self.last_charge = max(ended + 2, self.last_charge + 1)
        self.level -= cents
        self.charged += cents
        charge, at = self.ids.take("call_charges", 1), self._moment(self.last_charge)
        day = self.spent.setdefault(self.last_charge // 86400, [0, 0])
        day[0] += 1
        day[1] += cents
        call = self.call_id + i
        charges.append(
            (charge, frame.company, frame.balance, call, frame.rate, seconds, seconds, _RATE, cents, at, at, at)
        )
        movement = self.ids.take("balance_transactions", 1)
        ledger.append(
            (movement, frame.company, frame.balance, "charge", -cents, self.level, f"charge:{call}", None, charge, at)
        )

    def _top_up(self, second: int, ledger: list[Row], topups: list[Row]) -> None:
        """Credit that nobody paid for: no invoice is due, and Stripe knows nothing of it."""
        frame = self.frame
        self.last_charge = max(second, self.last_charge + 1)
        self.level += TOPUP
        self.topped_up += TOPUP
        topup, movement = self.ids.take("balance_topups", 1), self.ids.take("balance_transactions", 1)
        at = self._moment(self.last_charge)
        whole = (TOPUP, 0, 0, TOPUP, "admin_credit", "completed", at, at, at)
        topups.append((topup, frame.company, frame.balance, *whole))
        reference = f"topup:{topup}"
        ledger.append((movement, frame.company, frame.balance, "topup", TOPUP, self.level, reference, topup, None, at))

    # ---- Sums ----

    def _count(
        self, day: int, position: int, answered: bool, booked: bool, seconds: int, sentiment: str | None
    ) -> None:
        figures = self.figures.setdefault((day, position), [0] * 7)
        figures[0] += 1
        if answered:
            figures[1] += 1
            figures[2] += booked
            figures[3] += seconds
            if sentiment:
                figures[_MOODS[sentiment]] += 1

    def _phone(self, customer: int) -> str:
        return f"+4915{self.plan.number % 1000:03d}0{customer:06d}"

    def _load_customers(self) -> None:
        names, since = _names(), f"{self.day_names[0]} 06:00:00.000000"
        for first in range(0, self.plan.customers, CHUNK):
            rows: list[Row] = []
            for customer in range(first, min(first + CHUNK, self.plan.customers)):
                first_name, last_name, searched = names[customer * 31 % len(names)]
                phone = self._phone(customer)
                rows.append((
                    self.customer_id + customer, self.frame.company, first_name, last_name, searched, 1, phone, phone,
                    phone[:0:-1], "call", *self.visits.of(customer), since, since,
                ))  # fmt: skip
            self.loader.load(CUSTOMERS, rows)

    def _load_figures(self) -> None:
        company, now = self.frame.company, self.now
        first = self.ids.take("daily_call_stats", len(self.figures))
        self.loader.load(
            CALL_STATS,
            [
                (first + n, company, self.day_names[day], self.frame.branches[position], *figures, now, now)
                for n, ((day, position), figures) in enumerate(self.figures.items())
            ],
        )
        first = self.ids.take("daily_spend", len(self.spent))
        self.loader.load(
            SPEND,
            [
                (first + n, company, self.day_names[day], count, cents, now, now)
                for n, (day, (count, cents)) in enumerate(self.spent.items())
            ],
        )

    def account(self) -> dict[str, Any]:
        """The columns of the balance after the last movement."""
        midnight = datetime.combine(self.first_day, time(), UTC)
        return {
            "id": self.frame.balance,
            "current_balance": Decimal(self.level).scaleb(-2),
            "total_topped_up": Decimal(self.topped_up).scaleb(-2),
            "total_spent": Decimal(self.charged).scaleb(-2),
            "last_charge_at": midnight + timedelta(seconds=self.last_charge),
        }


class _Visits:
    """Customers' statistics while the appointments go by, in the order of time."""

    def __init__(self, customers: int) -> None:
        self.counts = {status: [0] * customers for status in ("completed", "cancelled", "no_show", "confirmed")}
        self.first: list[str | None] = [None] * customers
        self.last: list[str | None] = [None] * customers

    def add(self, customer: int, status: str, day: str) -> None:
        self.counts[status][customer] += 1
        if status in BUSY:
            self.first[customer] = self.first[customer] or day
            self.last[customer] = day

    def of(self, customer: int) -> tuple[Any, ...]:
        """First and last day, all, completed, cancelled, no-shows, and cents spent."""
        completed, cancelled, no_show, confirmed = (counts[customer] for counts in self.counts.values())
        total = completed + cancelled + no_show + confirmed
        return (
            self.first[customer],
            self.last[customer],
            total,
            completed,
            cancelled,
            no_show,
            completed * SERVICE_PRICE,
        )


_CLOCK = [f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000000" for second in range(86400)]
_MOODS = {"positive": 4, "neutral": 5, "negative": 6}
