"""The demo's calendar: who comes when to whom, within working hours and without overlaps but for one on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from portal.demo.firms import Away, Closed, Firm, Offer, Worker
from portal.demo.people import Person
from portal.domain import availability
from portal.domain.availability import Closure, Hours, Interval
from portal.domain.slots import OPEN

BACK, AHEAD = 90, 30  # days
QUARTER = timedelta(minutes=15)
REGULARS_GAP = 9  # days between two visits of a person, where there are people enough
REASONS = ("krank", "beruflich verhindert", "Urlaub", "Termin vergessen", "Kind krank", "auf Wunsch verlegt")


@dataclass(eq=False)
class Visit:
    """An appointment to be. Numbers count the firm's workers, offers and the town's people."""

    worker: int
    service: int
    start: datetime
    end: datetime
    buffer: timedelta
    person: int
    created_at: datetime
    source: str = "web"
    status: str = "confirmed"
    arrived_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    reason: str | None = None
    moved_at: datetime | None = None
    moved_from: datetime | None = None
    called: bool = False
    notes: str | None = None

    @property
    def padded(self) -> Interval:
        return Interval(self.start, self.end + self.buffer)

    @property
    def touched(self) -> bool:
        """Whether a call has booked, moved or cancelled it, so that no other call may."""
        return self.called or self.cancelled_at is not None or self.moved_at is not None


@dataclass
class Calendar:
    """All visits of a company from ninety days ago to thirty days ahead."""

    firm: Firm
    people: list[Person]
    rng: Random
    now: datetime
    zone: ZoneInfo
    away: list[Away]
    closed: list[Closed]
    visits: list[Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.today = self.now.astimezone(self.zone).date()
        self._taken: defaultdict[tuple[int, date], list[Interval]] = defaultdict(list)
        self._days_of: defaultdict[int, list[date]] = defaultdict(list)
        self._pools: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for number, person in enumerate(self.people):
            self._pools[person.home, person.gender].append(number)

    # ---- Working times ----

    def worked(self, worker: int, day: date) -> list[Interval]:
        """When a person works on a local day, in UTC."""
        person = self.firm.workers[worker]
        if any(row.worker == worker and row.first <= day <= row.last for row in self.away):
            return []
        closures = self.closures(person.place)
        return availability.working(day, self.zone, _hours(person), closures)

    def closures(self, place: int) -> list[Closure]:
        """A branch's days that are not like others."""
        rows = [row for row in self.closed if row.place == place]
        return [Closure(row.day, *span) for row in rows for span in row.spans or ((),)]

    def days(self) -> Iterator[tuple[date, int]]:
        """Every local day, with its distance from today."""
        for offset in range(-BACK, AHEAD + 1):
            yield self.today + timedelta(days=offset), offset

    # ---- Filling ----

    def fill(self) -> None:
        """Put visits into everybody's days: few long ago, many around today, fewer ahead."""
        for day, offset in self.days():
            for worker in range(len(self.firm.workers)):
                for span in self.worked(worker, day):
                    self._fill_span(worker, span, self._share(offset), first=abs(offset) <= 1)

    def _share(self, offset: int) -> float:
        long_ago, now, ahead = self.firm.busy
        if offset < -14:
            return long_ago
        if offset < -2:
            return (long_ago + now) / 2
        return now if offset < 6 else ahead if offset < 14 else ahead / 2

    def _fill_span(self, worker: int, span: Interval, share: float, *, first: bool) -> None:
        start = span.start
        while start + QUARTER <= span.end:
            fitting = self._fitting(worker, span.end - start)
            if not fitting or not (first or self.rng.random() < share):
                start += QUARTER
                continue
            first = False
            service = self.rng.choices(fitting, [self.firm.offers[one].weight for one in fitting])[0]
            visit = self.put(worker, service, start)
            start += _whole_quarters(visit.padded.duration)

    def _fitting(self, worker: int, left: timedelta) -> list[int]:
        offers = self.firm.offers
        return [one for one in self.firm.workers[worker].services if timedelta(minutes=offers[one].minutes) <= left]

    def put(self, worker: int, service: int, start: datetime, person: int | None = None) -> Visit:
        """A visit at that time, which must be free."""
        offer = self.firm.offers[service]
        day = start.astimezone(self.zone).date()
        if person is None:
            person = self._somebody(self.firm.workers[worker], offer, day)
        visit = Visit(
            worker,
            service,
            start,
            start + timedelta(minutes=offer.minutes),
            timedelta(minutes=offer.buffer),
            person,
            self._made_at(start),
            self.rng.choices(("web", "admin", "walk_in"), (55, 40, 5 if start < self.now else 0))[0],
        )
        if visit.source == "walk_in":
            visit.created_at = start
        self.visits.append(visit)
        self._taken[worker, day].append(visit.padded)
        self._days_of[person].append(day)
        return visit

    def _made_at(self, start: datetime) -> datetime:
        lead = timedelta(hours=self.rng.uniform(20, 24 * 18))
        return min(start - lead, self.now - timedelta(hours=self.rng.uniform(1, 24 * 12)))

    def _somebody(self, worker: Worker, offer: Offer, day: date) -> int:
        genders = (offer.for_whom,) if offer.for_whom and self.rng.random() < 0.96 else ("female", "male")
        pool = [number for gender in genders for number in self._pools[worker.place, gender]]
        pool = pool or list(range(len(self.people)))
        best = pool[0]
        for gap in (REGULARS_GAP, 3, 0):
            for _ in range(25):
                best = self.rng.choice(pool)
                if all(abs((other - day).days) > gap for other in self._days_of[best]):
                    return best
        return best

    def free_time(
        self, worker: int, service: int, earliest: datetime, latest: datetime, *, morning: bool = False
    ) -> datetime | None:
        """When the person could still do this, at a random free time of a random day between the two."""
        offer = self.firm.offers[service]
        length = timedelta(minutes=offer.minutes + offer.buffer)
        first = earliest.astimezone(self.zone).date()
        days = [first + timedelta(days=n) for n in range((latest - earliest).days + 1)]
        self.rng.shuffle(days)
        for day in days:
            starts = [
                slot.start
                for slot in availability.free_slots(
                    self.worked(worker, day), self._taken[worker, day], length, step=QUARTER
                )
                if earliest <= slot.start <= latest and (not morning or slot.start.astimezone(self.zone).hour < 11)
            ]
            if starts:
                return self.rng.choice(starts)
        return None

    def keep_free(self, worker: int, service: int, start: datetime) -> None:
        """Nobody else gets this time: it was promised, although it was never booked."""
        offer = self.firm.offers[service]
        span = Interval(start, start + timedelta(minutes=offer.minutes + offer.buffer))
        self._taken[worker, start.astimezone(self.zone).date()].append(span)

    # ---- What became of them ----

    def settle(self) -> None:
        """Statuses as they would stand now."""
        for visit in self.visits:
            if visit.cancelled_at is None and not visit.touched and self.rng.random() < 0.055:
                self._cancel_by_itself(visit)
            if visit.cancelled_at is not None:
                visit.status = "cancelled"
            elif visit.end <= self.now - timedelta(minutes=10):
                self._is_over(visit)
            elif visit.start <= self.now:
                self._is_here(visit)
            else:
                visit.status = "confirmed" if visit.called or self.rng.random() < 0.8 else "scheduled"

    def _cancel_by_itself(self, visit: Visit) -> None:
        if visit.source == "walk_in" or visit.created_at >= min(visit.start, self.now):
            return
        end = min(visit.start, self.now)
        visit.cancelled_at = visit.created_at + (end - visit.created_at) * self.rng.uniform(0.3, 0.97)
        visit.cancelled_by = self.rng.choice(("customer", "customer", "staff"))
        visit.reason = self.rng.choice(REASONS)

    def _is_over(self, visit: Visit) -> None:
        missed = visit.source != "walk_in" and self.rng.random() < 0.055
        visit.status = "no_show" if missed else "completed"
        if not missed:
            visit.arrived_at = visit.start + timedelta(minutes=self.rng.randint(-9, 6))

    def _is_here(self, visit: Visit) -> None:
        visit.status = "confirmed"
        if self.now - visit.start > timedelta(minutes=12) or self.rng.random() < 0.6:
            visit.arrived_at = min(visit.start + timedelta(minutes=self.rng.randint(-9, 4)), self.now)

    def clash(self) -> None:
        """Two people for one chair in the coming days: booked at Cal.com while the salon had it already."""
        soon = [
            visit
            for visit in self.visits
            if timedelta(hours=12) < visit.start - self.now < timedelta(days=5)
            and visit.status in OPEN
            and visit.worker == 0
            and visit.end - visit.start >= 2 * QUARTER
        ]
        if not soon:
            return
        first = min(soon, key=lambda visit: visit.start)
        second = self.put(0, first.service, first.start)
        second.source, second.called, second.status = "web", True, "confirmed"
        second.created_at = self.now - timedelta(hours=2, minutes=20)


def _hours(worker: Worker) -> list[Hours]:
    return [Hours(weekday, *span) for weekday, spans in worker.week.items() for span in spans]


def _whole_quarters(length: timedelta) -> timedelta:
    return -(-length // QUARTER) * QUARTER
