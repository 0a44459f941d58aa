"""What the people of the business did in the demo: worked off calls, wrote notes, left traces, were told things."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.demo.days import Visit
from portal.demo.duties import Duties
from portal.demo.firms import CLERK, MANAGER
from portal.demo.records import Recorder
from portal.demo.rings import Duty, Ring
from portal.domain import call_deeds
from portal.domain.heartbeat import scope_of
from portal.models import (
    Appointment,
    AuditLog,
    BalanceTopup,
    BillingRate,
    Call,
    CallActivity,
    CallFollowup,
    CallNote,
    Company,
    Customer,
    CustomerNote,
    CustomerPhone,
    CustomerRelationship,
    Notification,
    PipelineHeartbeat,
    PortalUser,
)

AUDITED = timedelta(days=21)
NOTES = {
    "salon": (
        "Allergisch gegen Ammoniak, nur ammoniakfreie Farben.", "Kommt gern zehn Minuten früher.",
        "Mag keine Musik beim Waschen.", "Farbe: 7/44 mit 6 %, 25 Minuten.", "Bringt oft ihre Tochter mit.",
        "Rollstuhl, bitte Platz 2 freihalten.", "Zahlt immer bar.", "Möchte nur zu Sofia.", "Empfindliche Kopfhaut.",
        "Trinkt Espresso, ohne Zucker.", "Bitte per SMS erinnern.", "Spricht wenig Deutsch, gut Englisch.",
    ),
    "practice": (
        "Hört schlecht, bitte deutlich sprechen.", "Bevorzugt frühe Termine.", "Angehörige dürfen Auskunft bekommen.",
        "Marcumar-Patient, Werte alle vier Wochen.", "Bitte immer an die Versichertenkarte erinnern.",
        "Kommt mit dem Bus, Termine nicht vor 9 Uhr.", "Impfausweis liegt als Kopie vor.",
    ),
}  # fmt: skip
CALL_NOTES = (
    "Hat sich für die schnelle Auskunft bedankt.",
    "Ruft meistens in der Mittagspause an.",
    "Bitte beim nächsten Mal darauf ansprechen.",
)
# About the newest calls, the manager's first; the colleague at the counter answers it.
FRESH_NOTES = ("Kommt in Begleitung, bitte vermerken.", "Ist vermerkt.")
REACTED = timedelta(minutes=25)  # after a call
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OFFICE_IP = "203.0.113.17"


@dataclass(frozen=True)
class Trace:
    """One line of the audit log to be."""

    at: datetime
    user: int | None
    action: str
    model: type[Any]
    row: int
    old: dict[str, Any]
    new: dict[str, Any]


class Office:
    """Adds to a company's rows what its people did; everything that it points at is recorded already."""

    def __init__(self, recorder: Recorder) -> None:
        self.made, self.rows, self.story, self.ids = recorder, recorder.rows, recorder.story, recorder.ids
        self.rng, self.now = self.story.rng, self.story.now
        self.owner, self.manager, self.clerk = self.ids.users[:3]
        self.duties = Duties(self.story, self.ids.users)
        self.traces: list[Trace] = []

    def work(self) -> None:
        for number, ring in enumerate(self.story.rings):
            for duty in ring.duties:
                self._followup(number, ring, duty)
        self._notes()
        self._at_the_desk()
        self._relations()
        self._one_is_blocked()
        self._audit()
        self._notifications()
        self._heartbeats()

    def _stamp(self, created: datetime, updated: datetime | None = None) -> dict[str, Any]:
        return {"company_id": self.ids.company, "created_at": created, "updated_at": updated or created}

    def _user(self, login: int, place: int) -> int:
        """The id of that login, or of the owner's where it does not see the place."""
        return self.ids.users[self.story.firm.in_charge(login, place)]

    # ---- Calls that need somebody ----

    def _followup(self, number: int, ring: Ring, duty: Duty) -> None:
        values = self.duties.values(ring, duty)
        self.rows.add(
            CallFollowup,
            call_id=self.made.calls[number],
            customer_id=None if ring.person is None else self.made.customers[ring.person],
            **values,
            **self._stamp(ring.ended, values["closed_at"]),
        )

    # ---- What they wrote ----

    def _notes(self) -> None:
        named = [number for number, person in enumerate(self.story.people) if person.last_name and person.known]
        for body in NOTES[self.story.firm.business] * 2:
            at = self.now - timedelta(days=self.rng.uniform(1, 85))
            author = self.rng.choice((self.owner, self.manager, self.clerk))
            customer = self.made.customers[self.rng.choice(named)]
            self.rows.add(CustomerNote, customer_id=customer, author_id=author, body=body, **self._stamp(at))
        spoken = [number for number, ring in enumerate(self.story.rings) if ring.dialogue is not None]
        for number in self.rng.sample(spoken, min(18, len(spoken))):
            at = min(self.story.rings[number].ended + timedelta(hours=self.rng.uniform(0.2, 9)), self.now)
            body = self.rng.choice(CALL_NOTES)
            call, author = self.made.calls[number], self._user(MANAGER, self.story.rings[number].place)
            self.rows.add(CallNote, call_id=call, author_id=author, body=body, **self._stamp(at))
        for number in self.rng.sample(named, 8):
            person = self.story.people[number]
            phone = f"+49{self.story.firm.places[person.home].area}{self.rng.randint(2_000_000, 8_999_999)}"
            self.rows.add(
                CustomerPhone,
                customer_id=self.made.customers[number],
                phone=phone,
                phone_normalized=phone,
                label=self.rng.choice(("Arbeit", "Festnetz", "Mutter")),
                **self._stamp(self.now - timedelta(days=60)),
            )

    # ---- What they did on the pages of calls ----

    def _at_the_desk(self) -> None:
        """A mood put right, a summary sent, notes to each other: each at the newest call of its kind."""
        talks = [each for each in reversed(list(enumerate(self.story.rings))) if self._is_talk(each[1])]
        for number, ring in [(number, ring) for number, ring in talks if ring.booked][:1]:
            self._notes_on(number, ring)
        for number, ring in [(number, ring) for number, ring in talks if _mood(ring) == "neutral"][:1]:
            told: dict[str, Any] = {"before": "negative", "after": "neutral"}
            trace = {"sentiment": "negative"}, {"sentiment": "neutral"}
            self._deed(number, ring, call_deeds.MOOD, "call.mood_corrected", told, *trace)
        for number, ring in [(number, ring) for number, ring in talks if _is_complaint(ring)][:1]:
            told = {"to": self.story.firm.logins[0].name, "count": 1, "outside": [], "transcript": False}
            new = {"users": [self.owner], "addresses": [], "transcript": False}
            self._deed(number, ring, call_deeds.SENT, "call.summary_sent", told, {}, new)

    def _notes_on(self, number: int, ring: Ring) -> None:
        for turn, (body, login) in enumerate(zip(FRESH_NOTES, (MANAGER, CLERK), strict=True), 1):
            call, at = self.made.calls[number], ring.ended + REACTED * turn
            author = self._user(login, ring.place)
            self.rows.add(CallNote, call_id=call, author_id=author, body=body, **self._stamp(at))

    def _is_talk(self, ring: Ring) -> bool:
        """An incoming talk that is long enough ago for all this."""
        return ring.dialogue is not None and ring.direction == "inbound" and ring.ended < self.now - 3 * REACTED

    def _deed(
        self,
        number: int,
        ring: Ring,
        kind: str,
        action: str,
        told: dict[str, Any],
        old: dict[str, Any],
        new: dict[str, Any],
    ) -> None:
        """By who leads the place, on the call's timeline and in the audit log."""
        call, at = self.made.calls[number], ring.ended + REACTED
        login = self.story.firm.in_charge(MANAGER, ring.place)
        user = self.ids.users[login]
        self.rows.add(
            CallActivity,
            company_id=self.ids.company,
            call_id=call,
            activity_type=kind,
            activity_data={"by": self.story.firm.logins[login].name, "by_id": user} | told,
            occurred_at=at,
        )
        self.traces.append(Trace(at, user, action, Call, call, old, new))

    def _relations(self) -> None:
        """Families on one line, some confirmed by a person."""
        families: dict[int, list[int]] = {}
        for number, person in enumerate(self.story.people):
            if person.family is not None:
                families.setdefault(person.family, []).append(self.made.customers[number])
        for family, members in families.items():
            confirmed = family % 2 == 0
            at = self.now - timedelta(days=40 + family)
            for other in members[1:]:
                self.rows.add(
                    CustomerRelationship,
                    customer_id=members[0],
                    related_customer_id=other,
                    relationship_type="family",
                    confidence_score=100 if confirmed else 85,
                    matching_details={"phone": True, "last_name": True},
                    status="user_confirmed" if confirmed else "auto_detected",
                    confirmed_by=self.manager if confirmed else None,
                    confirmed_at=at if confirmed else None,
                    **self._stamp(at),
                )

    def _one_is_blocked(self) -> None:
        """Who never comes: four no-shows in a row would be told by the notes."""
        calls = {ring.person for ring in self.story.rings}
        coming = {visit.person for visit in self.story.calendar.visits if visit.start > self.now}
        quiet = [
            number
            for number, person in enumerate(self.story.people)
            if person.known and person.last_name and person.family is None and number not in calls | coming
        ]
        if quiet:
            reason = "Mehrfach nicht erschienen und am Telefon ausfallend geworden."
            self.rows.amend(Customer, self.made.customers[quiet[-1]], is_blocked=True, blocked_reason=reason)

    # ---- Traces ----

    def _audit(self) -> None:
        since = self.now - AUDITED
        traces = [trace for visit in self.story.calendar.visits for trace in self._traces(visit) if trace.at >= since]
        for trace in sorted(traces + self.traces + self._beginnings(), key=lambda one: one.at):
            self.rows.add(
                AuditLog,
                company_id=self.ids.company,
                user_id=trace.user,
                action=trace.action,
                model_type=trace.model.__tablename__,
                model_id=trace.row,
                old_values=trace.old or None,
                new_values=trace.new,
                ip_address=OFFICE_IP if trace.user else None,
                user_agent=BROWSER if trace.user else None,
                created_at=trace.at,
            )

    def _beginnings(self) -> list[Trace]:
        """How the company came here, and what it has paid."""
        opened, firm = self.story.account.opened_at, self.story.firm
        made = [
            Trace(opened, None, "company.created", Company, self.ids.company, {}, {"name": firm.name}),
            Trace(opened, None, "rate.set", BillingRate, self.ids.rate, {}, {"rate_per_minute": "0.4200"}),
        ]
        for user, login in zip(self.ids.users, firm.logins, strict=True):
            new = {"email": login.email, "role": login.role}
            made.append(Trace(opened, None, "user.created", PortalUser, user, {}, new))
        for topup, at in self.story.topups:
            made.append(
                Trace(at, None, "topup.completed", BalanceTopup, topup, {}, {"payment_method": "bank_transfer"})
            )
        return made

    def _traces(self, visit: Visit) -> list[Trace]:
        """The steps of one appointment, as the portal itself would have written them down."""
        row, before = self.made.appointments[id(visit)], {"status": "confirmed"}
        place = self.story.firm.workers[visit.worker].place
        lead, desk = self._user(MANAGER, place), self._user(CLERK, place)
        at_desk = visit.source in {"admin", "walk_in"}
        shown = {**before, "start_time": visit.start.isoformat(), "source": visit.source}
        steps: list[tuple[datetime, int | None, str, dict[str, Any], dict[str, Any]]] = []
        steps.append((visit.created_at, lead if at_desk else None, "created", {}, shown))
        if visit.cancelled_at is not None:
            by_staff = desk if visit.cancelled_by == "staff" else None
            steps.append((visit.cancelled_at, by_staff, "cancelled", before, {"status": "cancelled"}))
        if visit.status in {"completed", "no_show"}:
            at = min(visit.end + timedelta(minutes=3), self.now)
            steps.append((at, desk, visit.status, before, {"status": visit.status}))
        return [
            Trace(at, user, f"appointment.{action}", Appointment, row, old, new) for at, user, action, old, new in steps
        ]

    def _notifications(self) -> None:
        titles = {"complaint": "Beschwerde am Telefon", "promise": "Termin zugesagt, aber nicht gebucht"}
        since = self.now - timedelta(days=10)
        for number, ring in enumerate(self.story.rings):
            for duty in ring.duties:
                if duty.reason in titles and ring.ended > since:
                    url = f"/calls/{self.made.calls[number]}"
                    for user in sorted({self.owner, self._user(MANAGER, ring.place)}):
                        self._notify(user, "call.followup", "call", titles[duty.reason], duty.detail, url, ring.ended)
        for topup, at in self.story.topups:
            url = f"/balance/topups/{topup}"
            self._notify(self.owner, "topup.completed", "billing", "Aufladung gutgeschrieben", None, url, at)

    def _notify(
        self, user: int, kind: str, category: str, title: str, body: str | None, url: str, at: datetime
    ) -> None:
        old = self.now - at > timedelta(days=2)
        self.rows.add(
            Notification,
            portal_user_id=user,
            type=kind,
            category=category,
            title=title,
            body=body,
            action_url=url,
            dedupe_key=f"demo:{kind}:{url}",
            read_at=at + timedelta(hours=5) if old else None,
            **self._stamp(at),
        )

    def _heartbeats(self) -> None:
        """Every sender was heard when its last event came."""
        last_call = max(ring.ended for ring in self.story.rings) + timedelta(seconds=15)
        last_booking = max(visit.created_at for visit in self.story.calendar.visits if visit.source in {"phone", "web"})
        for provider, at in (("retell", last_call), ("calcom", last_booking)):
            self.rows.add(
                PipelineHeartbeat,
                scope=scope_of(self.ids.company),
                provider=provider,
                last_event_at=min(at, self.now),
                **self._stamp(self.story.account.opened_at, at),
            )


def _is_complaint(ring: Ring) -> bool:
    return any(duty.reason == "complaint" for duty in ring.duties)


def _mood(ring: Ring) -> str | None:
    return ring.dialogue.sentiment if ring.dialogue else None
