"""The demo's telephone: who rang when, what was said, and which visits came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from portal.demo import phrases
from portal.demo.days import BACK, Calendar, Visit
from portal.demo.dialogues import MORNING, OWN_CALLER, Dialogue, Filling, Turn, fill, load, retell_entries
from portal.demo.firms import Firm
from portal.demo.people import Person, Town
from portal.domain import transcripts
from portal.domain.transcripts import Transcript

# Out of a hundred calls of an ordinary day.
KINDS = {"book": 36, "move": 9, "cancel": 8, "hours": 10, "price": 6, "callback": 8, "hang_up": 8, "outbound": 15}
# Hour of day → how busy the telephone is.
HOURS = {7: 2, 8: 7, 9: 12, 10: 12, 11: 11, 12: 7, 13: 7, 14: 9, 15: 10, 16: 10, 17: 9, 18: 7, 19: 4, 20: 3, 21: 1}
# These stand among the newest calls, for what they leave to do.
RECENT = (
    "salon-zugesagt-straehnchen", "salon-warteliste", "salon-beschwerde-dritter-anruf", "salon-beschwerde-gruenstich",
    "salon-absage-magen-darm", "salon-switches-to-english", "salon-verschieben-moin", "salon-preis-warum-frauen-mehr",
    "praxis-zugesagt-wird-bestaetigt", "praxis-beschwerde-ueberweisung", "praxis-laborwerte",
    "praxis-notfall-blutzucker", "praxis-verschieben-fernfahrer",
)  # fmt: skip
ABROAD = {"salon-straehnchen-aus-wien": "43", "praxis-new-in-leipzig": "44"}
NOT_REACHED = (("dial_no_answer", "no_answer"), ("dial_busy", "busy"), ("dial_failed", "failed"))
MAILBOXES = (
    "Hier ist die Mailbox. Bitte sprechen Sie nach dem Ton.",
    "Der Teilnehmer ist zurzeit nicht erreichbar. Bitte hinterlassen Sie eine Nachricht.",
)
MESSAGE = (
    "Guten Tag, {name}, hier ist die digitale Assistentin von {company}. Wir wollten Sie an Ihren Termin erinnern. "
    "Wenn etwas dazwischenkommt, rufen Sie uns bitte an. Auf Wiederhören."
)


@dataclass
class Ring:
    """One call to be. ``at`` is when it began; ``number`` the other party's, None when withheld."""

    at: datetime
    place: int
    direction: str = "inbound"
    person: int | None = None
    number: str | None = None
    seconds: int = 0
    status: str = "completed"
    end_reason: str = "user_hangup"
    dialogue: Dialogue | None = None
    transcript: Transcript | None = None
    visit: Visit | None = None
    booked: bool = False
    uid: str | None = None
    duties: list[Duty] = field(default_factory=list)

    @property
    def ended(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Duty:
    """What a call leaves to do, by the reasons of a follow-up."""

    reason: str
    detail: str
    urgent: bool = False


@dataclass
class Telephone:
    """All calls of a company, in the order in which they came."""

    firm: Firm
    town: Town
    people: list[Person]
    calendar: Calendar
    rng: Random
    now: datetime
    rings: list[Ring] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.zone = self.calendar.zone
        self._kinds: dict[str, Callable[[Ring], None]] = {
            "book": self._book,
            "move": self._move,
            "cancel": self._cancel,
            "hours": self._hours,
            "price": self._price,
            "callback": self._callback,
            "hang_up": self._hang_up,
            "outbound": self._outbound,
        }

    # ---- The plan ----

    def ring_through(self) -> None:
        """Every call of ninety days, with its consequences."""
        moments = self._moments()
        played = self._schedule(moments)
        for position, moment in enumerate(moments):
            ring = Ring(moment, self.rng.choices(range(len(self.firm.places)), [p.share for p in self.firm.places])[0])
            if position in played:
                self._play(ring, *played[position])
            else:
                self._kinds[self._kind()](ring)
            ring.number = self._number(ring)
            self.rings.append(ring)
        self._end_a_moment_ago()

    def _moments(self) -> list[datetime]:
        found = []
        for day, offset in self.calendar.days():
            if -BACK <= offset <= 0:
                usual = self.firm.calls[day.isoweekday()]
                count = max(1, usual + self.rng.randint(-2, 2))  # the figures of each day have something to show
                found += [self._moment(day) for _ in range(count)]
        latest = self.now - timedelta(minutes=12)
        return [*sorted(moment for moment in found if moment < latest), self.now - timedelta(minutes=5)]

    def _moment(self, day: date) -> datetime:
        hour = self.rng.choices(list(HOURS), list(HOURS.values()))[0]
        at = time(hour, self.rng.randint(0, 59), self.rng.randint(0, 59), self.rng.randint(0, 999) * 1000)
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def _end_a_moment_ago(self) -> None:
        """The last call ended a few minutes ago, however long it was."""
        last = self.rings[-1]
        length = timedelta(seconds=last.seconds)
        last.at -= length
        if (visit := last.visit) is not None:
            visit.created_at -= length if last.booked else timedelta(0)
            visit.moved_at = visit.moved_at and visit.moved_at - length
            visit.cancelled_at = visit.cancelled_at and visit.cancelled_at - length

    def _schedule(self, moments: list[datetime]) -> dict[int, tuple[Dialogue, bool]]:
        """Position of a call → the dialogue played in it, and whether its own caller rings.

        Each is played once in the last weeks by its caller, and most were heard before from somebody else. The very
        last call is an ordinary one.
        """
        mine = [one for one in load() if one.business == self.firm.business]
        self.rng.shuffle(mine)
        recent = [(one, True) for one in mine if one.id in RECENT]
        others = [(one, True) for one in mine if one.id not in RECENT]
        again = [(one, False) for one in mine if one.id not in OWN_CALLER and one.expects != "promise_without_booking"]
        end = len(moments) - 1
        plan: dict[int, tuple[Dialogue, bool]] = {}
        self._spread(plan, recent, end - int(2.2 * len(recent)), end)
        self._spread(plan, others, end - 7 * len(others), end)
        self._spread(plan, again, 0, end - 7 * len(others))
        return plan

    def _spread(
        self, plan: dict[int, tuple[Dialogue, bool]], dialogues: list[tuple[Dialogue, bool]], first: int, last: int
    ) -> None:
        free = [position for position in range(max(first, 0), last) if position not in plan]
        chosen = sorted(self.rng.sample(free, min(len(free), len(dialogues))))
        plan.update(zip(chosen, dialogues, strict=False))

    def _kind(self) -> str:
        return self.rng.choices(list(KINDS), list(KINDS.values()))[0]

    # ---- Composed calls ----

    def _book(self, ring: Ring) -> None:
        visit = self._visit_to_come(ring, lambda one: not one.touched)
        if visit is None:
            return self._hours(ring)
        ring.person = visit.person
        self._speak(ring, self._composed("book", visit), visit)
        self._booked_by(ring, visit)
        return None

    def _booked_by(self, ring: Ring, visit: Visit) -> None:
        visit.source, visit.called, visit.created_at = "phone", True, ring.ended - timedelta(seconds=9)
        ring.visit, ring.booked = visit, True
        for turn in ring.dialogue.turns if ring.dialogue else ():
            if turn[0] == "tool" and turn[1] == "book_appointment_cal":
                visit.notes = turn[2].get("notes")

    def _move(self, ring: Ring) -> None:
        visit = self._visit_to_come(ring, lambda one: not one.touched and one.created_at < ring.at - timedelta(days=1))
        if visit is None:
            return self._hours(ring)
        ring.person = visit.person
        self._speak(ring, self._composed("move", visit), visit)
        self._moved_by(ring, visit)
        return None

    def _moved_by(self, ring: Ring, visit: Visit) -> None:
        visit.moved_at = ring.ended - timedelta(seconds=9)
        visit.moved_from = self._earlier(visit, ring.at)
        visit.source = "web" if visit.source in {"admin", "walk_in"} else visit.source
        visit.created_at = min(visit.created_at, ring.at - timedelta(hours=5))
        ring.visit = visit

    def _earlier(self, visit: Visit, after: datetime) -> datetime:
        """Where it stood before: another working day after the call, at the same hour."""
        for days in (-2, -3, 2, 3, 5, 7):
            moment = visit.start + timedelta(days=days)
            if moment > after and self.calendar.worked(visit.worker, moment.astimezone(self.zone).date()):
                return moment
        return visit.start + timedelta(days=7)

    def _cancel(self, ring: Ring) -> None:
        visit = self._visit_to_come(ring, lambda one: not one.touched and one.created_at < ring.at - timedelta(days=1))
        if visit is None:
            return self._hours(ring)
        ring.person = visit.person
        self._speak(ring, self._composed("cancel", visit), visit)
        self._cancelled_by(ring, visit)
        return None

    def _cancelled_by(self, ring: Ring, visit: Visit) -> None:
        visit.cancelled_at, visit.cancelled_by = ring.ended - timedelta(seconds=9), "customer"
        visit.source = "web" if visit.source in {"admin", "walk_in"} else visit.source
        visit.reason = (ring.dialogue.custom.get("reason") if ring.dialogue else None) or "telefonisch abgesagt"
        ring.visit = visit

    def _hours(self, ring: Ring) -> None:
        self._somebody(ring)
        self._speak(ring, phrases.compose("hours", self.firm.business, None, self.rng))

    def _price(self, ring: Ring) -> None:
        if self.firm.business != "salon":
            return self._hours(ring)
        self._somebody(ring)
        self._speak(ring, phrases.compose("price", self.firm.business, None, self.rng))
        return None

    def _callback(self, ring: Ring) -> None:
        ring.person = self._known(ring.place) if self.rng.random() < 0.75 else self._new(ring.place)
        self._speak(ring, phrases.compose("callback", self.firm.business, None, self.rng))
        self._leave_duties(ring)

    def _hang_up(self, ring: Ring) -> None:
        """Within seconds, in the middle of the greeting."""
        greeting = phrases.GREETINGS[self.firm.business][0].replace("{company}", self.firm.name)
        words = greeting.split()[: self.rng.randint(3, 9)]
        if self.rng.random() < 0.5:
            ring.number = self.town.number(ring.place) if self.rng.random() < 0.5 else None
        else:
            ring.person = self._known(ring.place)
        ring.dialogue = None
        self._time(ring, [("agent", " ".join(words))], limit=9)

    def _outbound(self, ring: Ring) -> None:
        """The receptionist rings somebody up who has an appointment; mostly nobody answers."""
        visit = self._visit_to_come(ring, lambda one: one.created_at < ring.at and one.cancelled_at is None, days=3)
        if visit is None or not 9 <= ring.at.astimezone(self.zone).hour < 19:
            return self._hours(ring)
        ring.direction, ring.person = "outbound", visit.person
        ring.place = self.firm.workers[visit.worker].place
        if self.rng.random() < 0.35:
            ring.end_reason = "voicemail_reached"
            mailbox = self._mailbox(ring)
            ring.dialogue = mailbox
            return self._time(ring, mailbox.turns)
        ring.end_reason, ring.status = self.rng.choices(NOT_REACHED, (60, 28, 12))[0]
        return None

    def _mailbox(self, ring: Ring) -> Dialogue:
        person = self._person(ring)
        name = f"{'Herr' if person.gender == 'male' else 'Frau'} {person.last_name}".strip()
        turns: list[Turn] = [
            ("user", self.rng.choice(MAILBOXES)),
            ("agent", MESSAGE.format(name=name, company=self.firm.name)),
        ]
        return Dialogue(
            "mailbox", self.firm.business, "voicemail", "de", None, None, False, "voicemail_reached", None, None,
            f"Ausgehender Anruf: {name} sollte an den Termin erinnert werden. Es meldete sich die Mailbox.",
            {"customer_name": person.name, "voicemail_left": True}, "none", turns,
        )  # fmt: skip

    def _composed(self, kind: str, visit: Visit) -> Dialogue:
        return phrases.compose(kind, self.firm.business, self.firm.offers[visit.service].name, self.rng)

    # ---- Dialogues of the file ----

    def _play(self, ring: Ring, dialogue: Dialogue, own: bool) -> None:
        """One of the written conversations, at the place of its staff, by its own caller or by somebody like them."""
        worker = self._worker_of(dialogue)
        if worker is not None:
            ring.place = self.firm.workers[worker].place
        if dialogue.disconnection_reason == "voicemail_reached":
            ring.direction = "outbound"
        ring.person = self._caller(ring, dialogue, own)
        if dialogue.expects in {"appointment", "cancel", "reschedule"}:
            self._play_about_visit(ring, dialogue, worker)
        else:
            self._speak(ring, dialogue)
        self._leave_duties(ring)

    def _play_about_visit(self, ring: Ring, dialogue: Dialogue, worker: int | None) -> None:
        service = next((n for n, offer in enumerate(self.firm.offers) if offer.name == dialogue.service), None)
        visit = None
        if worker is not None and service is not None:
            visit = self._visit_for(ring, dialogue, worker, service)
        if visit is None:
            return self._hours(ring)
        if dialogue.expects != "appointment":
            visit.created_at = min(visit.created_at, ring.at - timedelta(days=3))
        self._speak(ring, dialogue, visit)
        after = {"appointment": self._booked_by, "cancel": self._cancelled_by, "reschedule": self._moved_by}
        after[dialogue.expects](ring, visit)
        return None

    def _visit_for(self, ring: Ring, dialogue: Dialogue, worker: int, service: int) -> Visit | None:
        """A free time of the right person; the caller's own."""
        earliest, latest = ring.at + timedelta(hours=14), ring.at + timedelta(days=13)
        morning = dialogue.id in MORNING
        start = self.calendar.free_time(worker, service, earliest, latest, morning=morning)
        if start is None:
            return None
        return self.calendar.put(worker, service, start, ring.person)

    def _worker_of(self, dialogue: Dialogue) -> int | None:
        return next((n for n, one in enumerate(self.firm.workers) if one.name == dialogue.staff), None)

    def _caller(self, ring: Ring, dialogue: Dialogue, own: bool) -> int | None:
        """Who rings; whoever gives no name does so from anywhere."""
        caller = dialogue.caller
        if caller is None:
            self._somebody(ring)
            return ring.person
        if own:
            person = self.town.caller(caller, ring.place, dialogue.language, ABROAD.get(dialogue.id))
            self.people.append(person)
            return len(self.people) - 1
        return self._known(ring.place, caller.gender) if caller.known else self._new(ring.place, caller.gender)

    def _leave_duties(self, ring: Ring) -> None:
        """What somebody has to do after a written conversation."""
        dialogue = ring.dialogue
        if dialogue is None or dialogue.expects not in {"followup", "promise_without_booking"}:
            return
        custom = dialogue.custom
        kind, urgent = "callback", bool(custom.get("urgent"))
        reason = str(custom.get("reason") or dialogue.summary)
        if dialogue.intent == "complaint":
            kind, urgent = "complaint", True
        if dialogue.expects == "promise_without_booking":
            kind, urgent, reason = "promise", True, f"{custom['appointment_date']}, {custom['appointment_time']} Uhr"
        ring.duties.append(Duty(kind, reason, urgent))
        if any(turn[:2] == ("tool", "transfer_call") and turn[3]["status"] == "failed" for turn in dialogue.turns):
            ring.duties.append(Duty("transfer_failed", reason, urgent=True))

    # ---- Who ----

    def _person(self, ring: Ring) -> Person:
        assert ring.person is not None
        return self.people[ring.person]

    def _known(self, place: int, gender: str | None = None) -> int:
        """A customer of long standing, who has a name."""
        found = [
            number
            for number, one in enumerate(self.people)
            if one.known and one.home == place and one.last_name and gender in {None, one.gender}
        ]
        return self.rng.choice(found)

    def _new(self, place: int, gender: str | None = None) -> int:
        person = self.town.person(gender=gender, known=False)
        self.people.append(replace(person, home=place, email=None, born=None, phone=self.town.number(place)))
        return len(self.people) - 1

    def _somebody(self, ring: Ring) -> None:
        """A customer, a stranger, somebody from abroad, or a number withheld."""
        draw = self.rng.random()
        if draw < 0.58:
            ring.person = self._known(ring.place)
        elif draw < 0.8:
            number = self.town.foreign() if draw > 0.77 else self.town.number(ring.place)
            gender = self.rng.choice(("female", "male"))
            self.people.append(Person("", "", gender, number, None, None, ring.place, known=False))
            ring.person = len(self.people) - 1

    def _visit_to_come(self, ring: Ring, fits: Callable[[Visit], bool], days: int = 16) -> Visit | None:
        """A visit of the next days, in the ring's place, that the call can be about."""
        earliest, latest = ring.at + timedelta(hours=4), ring.at + timedelta(days=days)
        workers = self.firm.workers
        found = [
            one
            for one in self.calendar.visits
            if earliest < one.start < latest
            and one.cancelled_at is None
            and workers[one.worker].place == ring.place
            and fits(one)
        ]
        return self.rng.choice(found) if found else None

    # ---- What is said ----

    def _speak(self, ring: Ring, dialogue: Dialogue, visit: Visit | None = None) -> None:
        """Fill the dialogue and let it last as long as it takes to say."""
        ring.dialogue = fill(dialogue, self._filling(ring, dialogue, visit))
        ring.end_reason = dialogue.disconnection_reason
        ring.status = "failed" if dialogue.disconnection_reason.startswith("error_") else "completed"
        self._time(ring, ring.dialogue.turns)

    def _filling(self, ring: Ring, dialogue: Dialogue, visit: Visit | None) -> Filling:
        person = self.people[ring.person] if ring.person is not None else None
        worker = visit.worker if visit else self._worker_of(dialogue)
        service = self.firm.offers[visit.service].name if visit else dialogue.service
        return Filling(
            company=self.firm.name,
            at=visit.start.astimezone(self.zone) if visit else self._some_time(ring, dialogue, worker),
            first_name=person.first_name if person else "",
            last_name=person.last_name if person else "",
            gender=person.gender if person else "female",
            staff=self.firm.workers[worker].name if worker is not None else "",
            service=service or "",
        )

    def _some_time(self, ring: Ring, dialogue: Dialogue, worker: int | None) -> datetime:
        """A time that is only spoken of: free, within working hours, in the coming days."""
        if "{date" not in f"{dialogue.turns}{dialogue.custom}":
            return ring.at.astimezone(self.zone)
        chosen = 0 if worker is None else worker
        services = self.firm.workers[chosen].services
        service = next((n for n in services if self.firm.offers[n].name == dialogue.service), services[0])
        earliest, latest = ring.at + timedelta(days=3), ring.at + timedelta(days=11)
        start = self.calendar.free_time(chosen, service, earliest, latest)
        if start and dialogue.expects == "promise_without_booking":
            self.calendar.keep_free(chosen, service, start)
        return start.astimezone(self.zone) if start else datetime.combine(earliest.date(), time(10), self.zone)

    def _time(self, ring: Ring, turns: list[Turn], limit: int | None = None) -> None:
        key = f"{self.rng.getrandbits(24):06x}"
        ring.uid = f"demo{self.rng.getrandbits(64):016x}"
        entries, seconds = retell_entries(turns, self.rng, key, ring.uid)
        ring.seconds = max(2, min(limit or 3600, -(-int(seconds * 1000) // 1000)))
        ring.transcript = transcripts.read({"transcript_with_tool_calls": entries})

    def _number(self, ring: Ring) -> str | None:
        return self.people[ring.person].phone if ring.person is not None else ring.number
