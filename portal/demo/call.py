"""One AI call, played against a running demo: the very webhooks that Retell and Cal.com would send, at speaking pace.

Retell's events are made as the conversation goes on: the question before the call, its start, the growing transcript,
its end and its evaluation. In between, Cal.com tells of the booking. Everything is signed with the demo's own keys.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.db import db, utcnow
from portal.demo.dialogues import WEEKDAYS, Turn, retell_entries, spoken_date, spoken_time
from portal.demo.handover import handing_over
from portal.demo.run import Place
from portal.domain import free_times
from portal.domain.availability import Interval
from portal.models import Branch, CalcomEventType, Call, Company, PhoneNumber, Staff
from portal.tenancy import tenant_scope
from portal.webhooks.signatures import sign_calcom, sign_retell

TENANT = "salon-morgenrot"
RETELL_KEY, CALCOM_SECRET = f"demo-retell-{TENANT}", f"demo-calcom-{TENANT}"
BERLIN_NUMBER, AGENT = "+493022334455", "agent_4c1f0b7d2a9e"
EVENT_TYPE, STYLIST = 4101, 501  # Damenhaarschnitt with Sofia Klein
ANALYSIS_TAKES = 5  # seconds
TIMEOUT = 20  # seconds
ZONE = "Europe/Berlin"
# Names of our own; the numbers are from the block that is kept free for stories.
CALLERS = ("Leonie Aumann", "Friederike Tolksdorf", "Yasemin Korkmaz", "Marlene Ostendorf", "Paulina Wieczorek")
NUMBERS = "+4917139200{:02d}"

GREETING = (
    "Salon Morgenrot in Berlin-Mitte, guten Tag! Sie sprechen mit der digitalen Assistentin. Das Gespräch wird "
    "aufgezeichnet, ist das in Ordnung?"
)
WISH = (
    "Am Wochenende ist bei uns Taufe, und meine Spitzen sehen aus wie ein alter Besen. Haben Sie in den nächsten Tagen "
    "noch was frei?"
)


class CallError(RuntimeError):
    """The call cannot be played; the message says why and what helps."""


@dataclass(frozen=True)
class Slots:
    """What the salon has free: the day's first offer and a second one, and who would do it."""

    offers: list[Interval]
    stylist: str
    email: str
    minutes: int


@dataclass
class Script:
    """Everything that is known before the phone rings."""

    caller: str
    number: str
    free: Slots
    call_id: str = field(default_factory=lambda: f"call_{secrets.token_hex(12)}")
    uid: str = field(default_factory=lambda: f"bk_{secrets.token_hex(6)}")

    @property
    def chosen(self) -> Interval:
        return self.free.offers[0]

    @property
    def last_name(self) -> str:
        return self.caller.split()[-1]


def running_at() -> str | None:
    """Where the copy of the demo that started last says it runs; None where none does."""
    try:
        note = json.loads(Place.from_env(os.environ).note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(note["url"])


# ---- What is said ---------------------------------------------------------------------------------------------


def conversation(script: Script) -> list[Turn]:
    """The dialogue, with the day and times that are really free."""
    zone = ZoneInfo(ZONE)
    local = [offer.start.astimezone(zone) for offer in script.free.offers]
    day, first, last = spoken_date(local[0].date()), spoken_time(local[0].time()), spoken_time(local[-1].time())
    offered = f"{day} um {first}" + (f" oder um {last}" if len(local) > 1 else "") + " frei"
    slot_times = [moment.isoformat() for moment in local]
    ask = {"event_type_id": EVENT_TYPE, "staff": script.free.stylist, "date": local[0].date().isoformat()}
    book = {"event_type_id": EVENT_TYPE, "start": slot_times[0], "time_zone": ZONE, "name": script.caller}
    return [
        ("agent", GREETING),
        ("user", f"Ja, kein Problem. {script.caller} hier. {WISH}"),
        ("agent", "Da sehe ich gern nach. Einmal Damenhaarschnitt also. Möchten Sie zu jemand Bestimmtem?"),
        ("user", f"Eine Freundin schwärmt von {script.free.stylist}. Wenn es bei ihr ginge, wäre das toll."),
        ("tool", "check_availability_cal", ask, {"time_zone": ZONE, "slots": slot_times}),
        ("agent", f"Bei {script.free.stylist} wäre {offered}."),
        ("user", f"Um {first}, das schaffe ich, da ist die Kleine in der Kita."),
        ("agent", "Sehr gern. Dürfen wir Sie unter dieser Nummer erreichen, falls sich etwas ändert?"),
        ("user", "Ja, die stimmt."),
        ("tool", "book_appointment_cal", book, {"status": "booked"}),
        ("agent", f"Das ist eingetragen: {day}, {first}, Damenhaarschnitt bei {script.free.stylist}."),
        ("user", "Prima. Wie lange dauert das, und kann ich bei Ihnen mit Karte zahlen?"),
        ("agent", f"Etwa {script.free.minutes} Minuten. Und ja, mit Karte oder bar, wie es Ihnen lieber ist."),
        ("user", "Wunderbar, dann bis dahin. Danke Ihnen!"),
        ("agent", f"Danke für Ihren Anruf, Frau {script.last_name}. Auf Wiederhören!"),
    ]


def analysis(script: Script) -> dict[str, Any]:
    """What Retell's evaluation would find."""
    at = script.chosen.start.astimezone(ZoneInfo(ZONE))
    when = f"{WEEKDAYS['de'][at.weekday()]}, {at:%d.%m., %H:%M} Uhr"
    return {
        "call_summary": f"Frau {script.last_name} bucht für {when} einen Damenhaarschnitt bei {script.free.stylist}. "
        "Sie fragt nach Kartenzahlung.",
        "in_voicemail": False,
        "user_sentiment": "Positive",
        "call_successful": True,
        "custom_analysis_data": {
            "customer_name": script.caller,
            "intent": "book_appointment",
            "service": "Damenhaarschnitt",
            "preferred_staff": script.free.stylist,
            "appointment_date": at.date().isoformat(),
            "appointment_time": f"{at:%H:%M}",
            "new_customer": True,
            "note": "möchte mit Karte zahlen",
        },
    }


# ---- What is free ---------------------------------------------------------------------------------------------


def prepare(now: datetime, rng: Random) -> Script:
    """Choose caller and time by what the demo's own calendar says. Raises :class:`CallError`."""
    company = db.session.scalar(select(Company).where(Company.tenant_id == TENANT))
    if company is None:
        raise CallError("Salon Morgenrot is not in this database: put the demo's data in with flask demo seed")
    with tenant_scope(company.id):
        free = _free(now)
    return Script(rng.choice(CALLERS), NUMBERS.format(rng.randrange(100)), free)


def _free(now: datetime) -> Slots:
    """Two times on the first day from tomorrow on that has one."""
    staff = db.session.scalar(select(Staff).where(Staff.calcom_user_id == STYLIST))
    kind = db.session.scalar(select(CalcomEventType).where(CalcomEventType.calcom_event_type_id == EVENT_TYPE))
    at_branch = select(Branch).join(PhoneNumber, PhoneNumber.branch_id == Branch.id)
    branch = db.session.scalar(at_branch.where(PhoneNumber.number_e164 == BERLIN_NUMBER))
    if staff is None or kind is None or branch is None:
        raise CallError("The demo's stylist, event type or number is gone; a fresh demo has them")
    tomorrow = now.astimezone(ZoneInfo(ZONE)).date() + timedelta(days=1)
    length = timedelta(minutes=kind.duration_minutes)
    days = free_times.search(branch, None, now, start=tomorrow, staff_id=staff.id, length=length, shown=1).days
    if not days:
        raise CallError(f"{staff.name} has nothing free for weeks")
    found = [Interval(time.start, time.end) for time in days[0].times]
    offers = [found[len(found) // 3], *found[len(found) // 3 + 3 :][-1:]]
    return Slots(offers, staff.name, staff.email or "", kind.duration_minutes)


# ---- Playing it -----------------------------------------------------------------------------------------------


@dataclass
class Player:
    """Sends the events of one call to the portal at ``url``; ``say`` is told what happens."""

    url: str
    speed: float
    say: Callable[[str], None]
    wait: Callable[[float], None] = time.sleep
    hosts: tuple[str, ...] = ()  # where the portal's worker may fetch a recording from
    patience: float = 20.0  # seconds that it is given for that

    def play(self, script: Script, rng: Random) -> None:
        """The whole call, from the question before it to its evaluation. Raises :class:`CallError`."""
        entries, seconds = retell_entries(conversation(script), rng, script.call_id[-6:], script.uid)
        self._before(script)
        started = utcnow()
        self.say(f"{_clock()}  {script.caller} rings at {BERLIN_NUMBER}")
        self._retell("call_started", _call(script, started))
        heard = 0.0
        for number, entry in enumerate(entries, 1):
            heard = self._until(entry, heard)
            self._tell(entry)
            if entry.get("name") == "book_appointment_cal":
                self._book(script)
            self._retell("transcript_updated", _call(script, started) | _said(entries[:number]))
        self._pause(max(0.0, seconds - heard))
        over = _over(script, started, seconds, entries)
        with handing_over(script.call_id, entries, seconds, self.hosts) as recording:
            self._retell("call_ended", over | recording.told)
            self.say(f"{_clock()}  The call is over after {seconds:.0f} s and charged; its evaluation follows")
            self._pause(ANALYSIS_TAKES)
            self._retell("call_analyzed", over | recording.told | {"call_analysis": analysis(script)})
            self.say(f"{_clock()}  The evaluation is in")
            if recording.fetched_within(self.patience):
                self.say(f"{_clock()}  The recording (tones, no voices) is in the portal's own store")

    def _before(self, script: Script) -> None:
        asked = {"agent_id": AGENT, "agent_version": 1, "from_number": script.number, "to_number": BERLIN_NUMBER}
        answer = self._post(
            f"/webhooks/retell/{TENANT}/inbound", {"event": "call_inbound", "call_inbound": asked}, _signed_by_retell
        )
        told = answer.get("call_inbound", {})
        variables = told.get("dynamic_variables", {})
        self.say(
            f"{_clock()}  May the call connect? {told.get('override_agent_id', 'no')};"
            f" balance {variables.get('balance_state')}, {variables.get('branch')} is {variables.get('open_now')}"
        )

    def _until(self, entry: dict[str, Any], heard: float) -> float:
        """Wait until this entry has been spoken or done; returns how far the call is then."""
        words = entry.get("words") or []
        at = float(words[-1]["end"] if words else entry.get("time_sec", heard))
        self._pause(max(0.0, at - heard))
        return max(at, heard)

    def _tell(self, entry: dict[str, Any]) -> None:
        if entry["role"] in {"agent", "user"}:
            self.say(f"{_clock()}  {'Receptionist' if entry['role'] == 'agent' else 'Caller':<13}{entry['content']}")

    def _book(self, script: Script) -> None:
        self._post(f"/webhooks/calcom/{TENANT}", _booking(script), _signed_by_calcom)
        at = script.chosen.start.astimezone(ZoneInfo(ZONE))
        self.say(f"{_clock()}  Cal.com tells of the booking: {at:%d.%m.%Y %H:%M}, {script.free.stylist}")

    def _retell(self, event: str, call: dict[str, Any]) -> None:
        self._post(f"/webhooks/retell/{TENANT}", {"event": event, "call": call}, _signed_by_retell)

    def _pause(self, seconds: float) -> None:
        self.wait(seconds / self.speed)

    def _post(self, path: str, body: dict[str, Any], sign: Callable[[bytes], dict[str, str]]) -> dict[str, Any]:
        raw = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **sign(raw)}
        request = urllib.request.Request(self.url + path, raw, headers, method="POST")  # noqa: S310 - our own demo
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise CallError(f"{path} answered {error.code}: {error.read(300).decode(errors='replace')}") from error
        except OSError as error:
            raise CallError(f"Nothing answers at {self.url} ({error}): start the demo with make run") from error


def _signed_by_retell(raw: bytes) -> dict[str, str]:
    return {"X-Retell-Signature": sign_retell(raw, RETELL_KEY, int(utcnow().timestamp() * 1000))}


def _signed_by_calcom(raw: bytes) -> dict[str, str]:
    return {"X-Cal-Signature-256": sign_calcom(raw, CALCOM_SECRET), "X-Cal-Webhook-Version": "2021-10-20"}


def _clock() -> str:
    return f"{utcnow().astimezone(ZoneInfo(ZONE)):%H:%M:%S}"


def call_row_id(call_id: str) -> int | None:
    """The portal's own id of the call, for its address; None where it runs on another database."""
    db.session.rollback()  # or we would look at the database as it was before the call
    company_id = db.session.scalar(select(Company.id).where(Company.tenant_id == TENANT))
    if company_id is None:
        return None
    with tenant_scope(company_id):
        return db.session.scalar(select(Call.id).where(Call.call_id == call_id))


# ---- In the vendors' shapes -----------------------------------------------------------------------------------


def _call(script: Script, started: datetime) -> dict[str, Any]:
    return {
        "call_type": "phone_call",
        "call_id": script.call_id,
        "agent_id": AGENT,
        "agent_version": 1,
        "agent_name": "Empfang",
        "direction": "inbound",
        "from_number": script.number,
        "to_number": BERLIN_NUMBER,
        "start_timestamp": _ms(started),
        "metadata": {},
        "retell_llm_dynamic_variables": {"company_name": "Salon Morgenrot", "branch": "Berlin-Mitte"},
        "telephony_identifier": {"twilio_call_sid": f"CA{script.call_id[-24:]}"},
        "opt_in_signed_url": True,
        "data_storage_setting": "everything",
        "call_status": "ongoing",
    }


def _said(entries: list[dict[str, Any]]) -> dict[str, Any]:
    spoken = [entry for entry in entries if entry["role"] in {"agent", "user"}]
    return {
        "transcript": "".join(f"{entry['role'].capitalize()}: {entry['content']}\n" for entry in spoken),
        "transcript_object": spoken,
        "transcript_with_tool_calls": entries,
    }


def _over(script: Script, started: datetime, seconds: float, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_call(script, started),
        **_said(entries),
        "call_status": "ended",
        "end_timestamp": _ms(started + timedelta(seconds=seconds)),
        "duration_ms": int(seconds * 1000),
        "disconnection_reason": "agent_hangup",
        "collected_dynamic_variables": {"customer_name": script.caller},
    }


def _booking(script: Script) -> dict[str, Any]:
    first_name, last_name = script.caller.split()
    email = f"{first_name}.{last_name}@example.org".lower()
    attendee = {"name": script.caller, "email": email, "phoneNumber": script.number, "timeZone": ZONE}
    answers = {"name": script.caller, "email": email, "attendeePhoneNumber": script.number}
    return {
        "triggerEvent": "BOOKING_CREATED",
        "createdAt": utcnow().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "payload": {
            "type": "damenhaarschnitt",
            "title": f"Damenhaarschnitt zwischen {script.free.stylist} und {script.caller}",
            "eventTitle": "Damenhaarschnitt",
            "startTime": _iso(script.chosen.start),
            "endTime": _iso(script.chosen.end),
            "length": script.free.minutes,
            "eventTypeId": EVENT_TYPE,
            "organizer": {
                "id": STYLIST,
                "name": script.free.stylist,
                "email": script.free.email,
                "timeZone": ZONE,
                "language": {"locale": "de"},
            },
            "attendees": [attendee | {"firstName": first_name, "lastName": last_name, "language": {"locale": "de"}}],
            "responses": {name: {"label": name, "value": value, "isHidden": False} for name, value in answers.items()},
            "additionalNotes": "",
            "location": "inPerson",
            "iCalUID": f"{script.uid}@cal.example",
            "iCalSequence": 0,
            "requiresConfirmation": False,
            "uid": script.uid,
            "bookingId": secrets.randbelow(900_000) + 100_000,
            "metadata": {"retell_call_id": script.call_id},
            "status": "ACCEPTED",
        },
    }


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
