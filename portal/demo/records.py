"""From the demo's story to rows: customers, appointments, bookings, calls, charges and the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from portal.demo.account import TARIFF, Account, Movement
from portal.demo.companies import Ids
from portal.demo.days import Calendar, Visit
from portal.demo.firms import Firm
from portal.demo.people import Person
from portal.demo.rings import Ring
from portal.demo.rows import Rows
from portal.demo.sounds import Spoken
from portal.domain import transcripts
from portal.domain.bookings import ENDED, REPLACED
from portal.domain.search_names import search_name
from portal.domain.slots import BUSY
from portal.models import (
    Appointment,
    BalanceReservation,
    BalanceTopup,
    BalanceTransaction,
    Booking,
    Call,
    CallActivity,
    CallCharge,
    CallContent,
    Customer,
    PrepaidBalance,
)

ZERO = Decimal("0.00")
TAX = Decimal("0.19")
HOLD_LASTS = timedelta(hours=3)
BOOKED_AT_CALCOM = {"phone", "web"}
CARRIED_OVER = "Übertrag aus dem bisherigen Vertrag"
KULANZ = "Kulanz: das Gespräch brach ab"


@dataclass
class Story:
    """Everything that has happened at a company. ``topups`` (ids and times) and ``spoken`` (calls that get a recording)
    are known once they are recorded.
    """

    firm: Firm
    ids: Ids
    people: list[Person]
    calendar: Calendar
    rings: list[Ring]
    account: Account
    rng: Random
    now: datetime
    topups: list[tuple[int, datetime]] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)


class Recorder:
    """Writes a :class:`Story` down; remembers which row became of what."""

    def __init__(self, rows: Rows, story: Story) -> None:
        self.rows, self.story, self.ids = rows, story, story.ids
        self.customers: list[int] = []
        self.appointments: dict[int, int] = {}
        self.calls: list[int] = []

    def record(self) -> None:
        self._customers()
        self._calls()
        self._appointments()
        self._ledger()

    def _stamp(self, created: datetime, updated: datetime | None = None) -> dict[str, Any]:
        return {"company_id": self.ids.company, "created_at": created, "updated_at": updated or created}

    # ---- Customers ----

    def _customers(self) -> None:
        story = self.story
        visits: defaultdict[int, list[Visit]] = defaultdict(list)
        for visit in story.calendar.visits:
            visits[visit.person].append(visit)
        first_ring: dict[int, datetime] = {}
        for ring in story.rings:
            if ring.person is not None:
                first_ring.setdefault(ring.person, ring.ended)
        for number, person in enumerate(story.people):
            self.customers.append(self._customer(person, visits[number], first_ring.get(number)))

    def _customer(self, person: Person, visits: list[Visit], rang: datetime | None) -> int:
        since, source = self._known_since(person, visits, rang)
        return self.rows.add(
            Customer,
            first_name=person.first_name or None,
            last_name=person.last_name or None,
            search_name=search_name(person.first_name, person.last_name),
            name_confirmed=bool(person.known or visits),
            phone=person.phone or "",
            phone_normalized=person.phone,
            phone_rev=person.phone.lstrip("+")[::-1] if person.phone else None,
            email=person.email,
            date_of_birth=person.born,
            gender=person.gender if person.last_name else None,
            preferred_language=person.language if person.language != "de" else None,
            acquisition_source=source,
            acquisition_date=since.astimezone(self.story.calendar.zone).date(),
            **self._statistics(visits),
            **self._stamp(since),
        )

    def _known_since(self, person: Person, visits: list[Visit], rang: datetime | None) -> tuple[datetime, str]:
        """Long ago for old customers; new ones since their first call or booking."""
        booked = min((visit.created_at for visit in visits), default=None)
        if person.known or (booked is None and rang is None):
            return self.story.now - timedelta(days=self.story.rng.randint(115, 900), hours=3), "portal"
        if rang is not None and (booked is None or rang <= booked + timedelta(minutes=1)):
            return min(filter(None, (rang, booked))), "call"
        assert booked is not None
        return booked, "booking"

    def _statistics(self, visits: list[Visit]) -> dict[str, Any]:
        """As :func:`portal.domain.visits.refresh` would count them."""
        by_status: defaultdict[str, list[Visit]] = defaultdict(list)
        for visit in visits:
            by_status[visit.status].append(visit)
        days = [
            visit.start.astimezone(self.story.calendar.zone).date() for status in BUSY for visit in by_status[status]
        ]
        return {
            "total_appointments": len(visits),
            "completed_appointments": len(by_status["completed"]),
            "cancelled_appointments": len(by_status["cancelled"]),
            "no_show_appointments": len(by_status["no_show"]),
            "total_spent": sum((self._price(visit) or ZERO for visit in by_status["completed"]), ZERO),
            "first_appointment_date": min(days, default=None),
            "last_appointment_date": max(days, default=None),
        }

    def _price(self, visit: Visit) -> Decimal | None:
        return self.story.firm.offers[visit.service].price

    # ---- Calls ----

    def _calls(self) -> None:
        for ring in self.story.rings:
            call = self._call(ring)
            self.calls.append(call)
            self._said(ring, call)
            self._timeline(ring, call)

    def _call(self, ring: Ring) -> int:
        ours = self.story.firm.places[ring.place].number
        inbound = ring.direction == "inbound"
        call_id = f"call_{self.story.rng.getrandbits(96):024x}"
        analysed = _analysed(ring)
        return self.rows.add(
            Call,
            branch_id=self.ids.branches[ring.place],
            customer_id=None if ring.person is None else self.customers[ring.person],
            call_id=call_id,
            retell_call_id=call_id,
            twilio_call_sid=f"CA{self.story.rng.getrandbits(64):016x}",
            agent_id=self.story.firm.agent,
            phone_number=ring.number,
            from_number=ring.number if inbound else ours,
            to_number=ours if inbound else ring.number,
            phone_number_id=self.ids.numbers[ring.place],
            direction=ring.direction,
            started_at=ring.at,
            ended_at=ring.ended,
            duration_seconds=ring.seconds,
            status=ring.status,
            end_reason=ring.end_reason,
            dynamic_variables={"company_name": self.story.firm.name},
            analyzed_at=analysed,
            appointment_created=ring.booked,
            **_analysis(ring),
            **self._stamp(ring.at, analysed),
        )

    def _said(self, ring: Ring, call: int) -> None:
        if ring.transcript is not None:
            self.rows.add_plain(
                CallContent,
                call_id=call,
                tenant_token=transcripts.tenant_token(self.ids.company),
                transcript=ring.transcript.text,
                turns=ring.transcript.turns,
                tool_calls=ring.transcript.tool_calls,
                **self._stamp(ring.ended, _analysed(ring)),
            )

    def _timeline(self, ring: Ring, call: int) -> None:
        steps: list[tuple[str, datetime, dict[str, Any] | None]] = [("started", ring.at, None)]
        if ring.person is not None:
            steps.append(("recognised", min(ring.at + timedelta(seconds=1), ring.ended), None))
        if ring.end_reason == "call_transfer":
            steps.append(("transfer_started", ring.ended, {"to": self.story.firm.profile["forward_to"]}))
        steps += [("ended", ring.ended, {"reason": ring.end_reason}), ("analysed", _analysed(ring), None)]
        for kind, at, data in steps:
            self.rows.add(
                CallActivity,
                company_id=self.ids.company,
                call_id=call,
                activity_type=kind,
                activity_data=data,
                occurred_at=at,
            )

    # ---- Appointments ----

    def _appointments(self) -> None:
        by_visit = {id(ring.visit): number for number, ring in enumerate(self.story.rings) if ring.booked}
        for visit in sorted(self.story.calendar.visits, key=lambda one: one.created_at):
            number = by_visit.get(id(visit))
            self.appointments[id(visit)] = self._appointment(visit, None if number is None else self.calls[number])
            self._bookings(visit, None if number is None else self.story.rings[number])
        for number, ring in enumerate(self.story.rings):
            if ring.visit is not None:
                self.rows.set_later(Call, self.calls[number], appointment_id=self.appointments[id(ring.visit)])

    def _appointment(self, visit: Visit, call: int | None) -> int:
        firm, ids = self.story.firm, self.ids
        place = firm.workers[visit.worker].place
        changes = (visit.moved_at, visit.cancelled_at, visit.arrived_at)
        return self.rows.add(
            Appointment,
            branch_id=ids.branches[place],
            customer_id=self.customers[visit.person],
            staff_id=ids.staff[visit.worker],
            service_id=ids.services[visit.service],
            title=firm.offers[visit.service].name,
            start_time=visit.start,
            end_time=visit.end,
            buffer_after=visit.buffer // timedelta(minutes=1),
            status=visit.status,
            arrived_at=visit.arrived_at,
            confirmation_sent_at=visit.created_at if visit.source in BOOKED_AT_CALCOM else None,
            source=visit.source,
            call_id=call,
            cancelled_at=visit.cancelled_at,
            cancelled_by=visit.cancelled_by,
            cancellation_reason=visit.reason,
            customer_notes=visit.notes,
            price=self._price(visit),
            ical_sequence=sum(moment is not None for moment in changes[:2]),
            version=1 + sum(moment is not None for moment in changes),
            **self._stamp(visit.created_at, max(filter(None, (visit.created_at, *changes)))),
        )

    def _bookings(self, visit: Visit, ring: Ring | None) -> None:
        """What Cal.com knows of it: one booking, and another one for having been moved."""
        if visit.source not in BOOKED_AT_CALCOM:
            return
        uid = (ring.uid if ring else None) or f"demo{self.story.rng.getrandbits(64):016x}"
        length, state = visit.end - visit.start, _booking_status(visit)
        if visit.moved_at is None or visit.moved_from is None:
            self._booking(visit, uid, None, visit.start, visit.end, state, visit.created_at)
            return
        self._booking(visit, uid, None, visit.moved_from, visit.moved_from + length, REPLACED, visit.created_at)
        self._booking(visit, f"{uid}-2", uid, visit.start, visit.end, state, visit.moved_at)

    def _booking(
        self,
        visit: Visit,
        uid: str,
        previous: str | None,
        start: datetime,
        end: datetime,
        status: str,
        written: datetime,
    ) -> None:
        person, worker = self.story.people[visit.person], self.story.firm.workers[visit.worker]
        written = max(written, visit.cancelled_at or written)
        booking = self.rows.add(
            Booking,
            appointment_id=self.appointments[id(visit)],
            event_type_id=self.ids.event_types[worker.place, visit.service],
            provider="calcom",
            external_uid=uid,
            previous_uid=previous,
            status=status,
            starts_at=start,
            ends_at=end,
            attendee_name=person.name,
            attendee_email=person.email,
            attendee_phone=person.phone,
            attendee_timezone=str(self.story.calendar.zone),
            sequence=1 if status in ENDED else 0,
            event_created_at=written,
            last_synced_at=written,
            raw_payload={"organizer": {"id": worker.calcom_user_id, "name": worker.name}},
            **self._stamp(written),
        )
        calcom = {"calcom_event_id": uid, "calcom_booking_id": 880_000 + booking}
        self.rows.amend(Appointment, self.appointments[id(visit)], **calcom)

    # ---- Money ----

    def _ledger(self) -> None:
        charges: dict[int, int] = {}
        movements = list(self.story.account.movements())
        for movement in movements:
            references = self._behind(movement, charges)
            self.rows.add(
                BalanceTransaction,
                company_id=self.ids.company,
                prepaid_balance_id=self.ids.balance,
                kind=movement.kind,
                amount=movement.amount,
                balance_after=movement.after,
                created_at=movement.at,
                **references,
            )
        self._balance(movements)

    def _behind(self, movement: Movement, charges: dict[int, int]) -> dict[str, Any]:
        """What a movement belongs to, with the row for it: a charge, a top-up, or a word."""
        if movement.kind == "topup":
            topup = self._topup(movement)
            return {"reference": f"topup:{topup}", "topup_id": topup, "created_by": self.ids.users[0]}
        if movement.ring is None:
            return {"reference": f"credit:demo-{self.story.firm.tenant_id}", "description": CARRIED_OVER}
        if movement.kind == "credit":
            charge = charges[movement.ring]
            return {"reference": f"credit:demo-call-{charge}", "description": KULANZ, "call_charge_id": charge}
        charges[movement.ring] = charge = self._charge(movement)
        return {"reference": f"charge:{self.calls[movement.ring]}", "call_charge_id": charge}

    def _charge(self, movement: Movement) -> int:
        assert movement.ring is not None
        assert movement.price is not None
        price, call = movement.price, self.calls[movement.ring]
        self._hold(movement, call)
        given_back = self.story.account.given_back == movement.ring
        return self.rows.add(
            CallCharge,
            prepaid_balance_id=self.ids.balance,
            call_id=call,
            billing_rate_id=self.ids.rate,
            duration_seconds=price.seconds,
            billable_seconds=price.billable_seconds,
            increment_seconds=price.increment_seconds,
            rate_per_minute=TARIFF.rate_per_minute,
            setup_fee=price.setup_fee,
            minimum_charge=price.minimum_charge,
            amount_charged=price.amount,
            refunded_amount=price.amount if given_back else ZERO,
            refund_reason=KULANZ if given_back else None,
            charged_at=movement.at,
            **self._stamp(movement.at),
        )

    def _hold(self, movement: Movement, call: int) -> None:
        assert movement.ring is not None
        started = self.story.rings[movement.ring].at
        self.rows.add(
            BalanceReservation,
            prepaid_balance_id=self.ids.balance,
            call_id=call,
            amount=movement.held,
            status="charged",
            expires_at=started + HOLD_LASTS,
            resolved_at=movement.at,
            **self._stamp(started, movement.at),
        )

    def _topup(self, movement: Movement) -> int:
        # Paid by bank transfer: the demo's Stripe simulator knows nothing of payments from before its own time.
        tax = (movement.amount * TAX).quantize(Decimal("0.01"))
        topup = self.rows.add(
            BalanceTopup,
            prepaid_balance_id=self.ids.balance,
            amount=movement.amount,
            tax_rate=TAX * 100,
            tax_amount=tax,
            gross_amount=movement.amount + tax,
            payment_method="bank_transfer",
            payment_label="Überweisung",
            status="completed",
            initiated_by=self.story.firm.logins[0].name,
            initiated_by_id=self.ids.users[0],
            completed_at=movement.at,
            **self._stamp(movement.at),
        )
        self.story.topups.append((topup, movement.at))
        return topup

    def _balance(self, movements: list[Movement]) -> None:
        spent = -_total(movements, "charge") - _total(movements[1:], "credit")
        self.rows.amend(
            PrepaidBalance,
            self.ids.balance,
            current_balance=movements[-1].after,
            total_topped_up=_total(movements, "topup"),
            total_spent=spent,
            last_topup_at=max((one.at for one in movements if one.kind == "topup"), default=None),
            last_charge_at=max((one.at for one in movements if one.kind == "charge"), default=None),
            **self._automatic(),
        )

    def _automatic(self) -> dict[str, Decimal]:
        """Prepared, and off: nobody has agreed to anything yet."""
        if self.story.firm.automatic is None:
            return {}
        names = ("threshold", "amount", "daily_cap", "monthly_cap")
        return {f"auto_topup_{name}": Decimal(n) for name, n in zip(names, self.story.firm.automatic, strict=True)}


def _total(movements: Iterable[Movement], kind: str) -> Decimal:
    return sum((one.amount for one in movements if one.kind == kind), ZERO)


def _analysed(ring: Ring) -> datetime:
    return ring.ended + timedelta(seconds=14)


def _booking_status(visit: Visit) -> str:
    if visit.status == "cancelled":
        return ENDED[0]
    return "PENDING" if visit.status == "scheduled" else "ACCEPTED"


def _analysis(ring: Ring) -> dict[str, Any]:
    """What the analysis says, as it would have been taken over from Retell."""
    dialogue = ring.dialogue
    if dialogue is None:
        told: dict[str, Any] = {"call_successful": False}
        return {"summary": None, "intent": None, "sentiment": None, "language_code": "de", "custom_data": told}
    mailbox = {"in_voicemail": True} if ring.end_reason == "voicemail_reached" else {}
    return {
        "summary": dialogue.summary,
        "intent": dialogue.intent,
        "sentiment": dialogue.sentiment,
        "language_code": dialogue.language,
        "custom_data": {
            "call_successful": dialogue.successful,
            **mailbox,
            "intent": dialogue.intent,
            **dialogue.custom,
        },
    }
