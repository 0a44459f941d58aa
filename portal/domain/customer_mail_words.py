"""What a mail to a customer says about an appointment, in words and as a file for the customer's calendar.

Only what the customer may know comes in here: never a note of the team, a price only where the company wants it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import select

from portal import formats
from portal.db import db
from portal.domain import ical, phones
from portal.domain.customer_mail_settings import Wishes, one_line
from portal.models import Appointment, Branch, Company, Customer, PhoneNumber, Service, Staff

LANGUAGES = ("de", "en")
SUBJECT_LENGTH, NAME_LENGTH = 200, 100


@dataclass(frozen=True)
class Facts:
    """An appointment as its customer may know it. Times are aware; ``zone`` is the branch's, an IANA name.

    ``name`` is '' while it was only said on the phone. ``was``: the start before it was moved.
    """

    visit_id: int
    sequence: int
    status: str
    start: datetime
    end: datetime
    changed_at: datetime
    name: str
    service: str
    person: str
    place: str
    phone: str
    company: str
    zone: str
    names_zone: bool
    language: str
    sender: str
    reply_to: str
    country: str = "DE"
    price: Decimal | None = None
    own: str = ""
    was: datetime | None = None


@dataclass(frozen=True)
class Letter:
    """The mail in the language in force. ``rows``: what and text; ``own``: the company's own words, by lines."""

    subject: str
    greeting: str
    lead: str
    rows: list[tuple[str, str]]
    own: list[str]
    advice: str
    file: str
    why: str


# ---- What is known ----------------------------------------------------------------------------------------------


def facts_of(row: Appointment, company: Company, wishes: Wishes, kind: str, customer: Customer | None = None) -> Facts:
    """Of an appointment with branch, customer, staff and service loaded; ``customer``: told instead of its own."""
    customer, branch = customer or row.customer, row.branch
    return Facts(
        visit_id=row.id,
        sequence=row.ical_sequence,
        status=row.status,
        start=row.start_time,
        end=row.end_time,
        changed_at=row.updated_at,
        name=one_line(customer.full_name or "")[:NAME_LENGTH] if customer.name_confirmed else "",
        service=one_line((row.service.name if row.service else row.title) or ""),
        person=one_line(row.staff.name) if row.staff else "",
        language=language_of(customer, company),
        price=row.price if wishes.with_price else None,
        own=wishes.texts.get(kind, ""),
        **_of_house(branch, company, wishes),
    )


def sample(kind: str, branch: Branch, company: Company, wishes: Wishes, now: datetime, language: str) -> Facts:
    """An invented appointment in two days, of nobody."""
    zone = ZoneInfo(branch.timezone or company.timezone)
    start = (now.astimezone(zone) + timedelta(days=2)).replace(hour=10, minute=0, second=0, microsecond=0)
    service = db.session.scalar(select(Service).where(Service.is_active).order_by(Service.id).limit(1))
    person = db.session.scalar(
        select(Staff).where(Staff.is_active, Staff.branch_id == branch.id).order_by(Staff.id).limit(1)
    )
    return Facts(
        visit_id=0,
        sequence=0 if kind in ("confirmation", "reminder") else 1,
        status="cancelled" if kind == "cancellation" else "confirmed",
        start=start,
        end=start + timedelta(minutes=service.duration_minutes if service else 30),
        changed_at=now,
        name=_("Erika Sample"),
        service=one_line(service.name) if service else "",
        person=one_line(person.name) if person else "",
        language=language,
        price=service.price if service and wishes.with_price else None,
        own=wishes.texts.get(kind, ""),
        was=start - timedelta(days=1, hours=-1) if kind == "change" else None,
        **_of_house(branch, company, wishes),
    )


def _of_house(branch: Branch, company: Company, wishes: Wishes) -> dict[str, Any]:
    zone = branch.timezone or company.timezone
    return {
        "place": one_line(ical.place(branch)),
        "phone": phone_of(branch, company),
        "company": one_line(company.name),
        "country": company.country,
        "zone": zone,
        "names_zone": zone != company.timezone,
        "sender": wishes.sender or one_line(company.name)[:NAME_LENGTH],
        "reply_to": answers_to(branch, company, wishes),
    }


def phone_of(branch: Branch, company: Company) -> str:
    """The number to call: the branch's, else the one that its receptionist answers, else the company's."""
    if branch.phone:
        return one_line(branch.phone)
    line = select(PhoneNumber.number_e164).where(PhoneNumber.branch_id == branch.id, PhoneNumber.is_active)
    ours = db.session.scalar(line.order_by(PhoneNumber.is_primary.desc(), PhoneNumber.id).limit(1))
    return ours or one_line(company.phone or "")


def answers_to(branch: Branch, company: Company, wishes: Wishes) -> str:
    """Where an answer to the mail goes; '' where nobody would read it."""
    wanted = {"branch": branch.email or company.email, "company": company.email}.get(wishes.reply_to)
    address = one_line(wanted or "")
    return address if address.count("@") == 1 and " " not in address and "," not in address else ""


def language_of(customer: Customer | None, company: Company) -> str:
    """The customer's, else the company's, else German."""
    for wish in (customer.preferred_language if customer else None, company.language):
        if (wish or "")[:2].lower() in LANGUAGES:
            return str(wish)[:2].lower()
    return LANGUAGES[0]


# ---- The mail ---------------------------------------------------------------------------------------------------


def letter(kind: str, facts: Facts) -> Letter:
    """Speak while the language of ``facts`` is in force."""
    return Letter(
        subject=one_line(_subject(kind, facts))[:SUBJECT_LENGTH],
        greeting=_("Hello %(name)s,", name=facts.name) if facts.name else _("Hello,"),
        lead=_lead(kind, facts),
        rows=_rows(facts),
        own=facts.own.splitlines(),
        advice=_advice(kind, facts),
        file=_("The attached file takes the appointment out of your calendar.")
        if kind == "cancellation"
        else _("The attached file puts the appointment into your calendar."),
        why=_("You get this mail because you had an appointment at %(company)s.", company=facts.company)
        if kind == "cancellation"
        else _("You get this mail because you have an appointment at %(company)s.", company=facts.company),
    )


def _subject(kind: str, facts: Facts) -> str:
    day = formats.weekday_day(facts.start, facts.language, ZoneInfo(facts.zone))
    time = _clock(facts.start, facts)
    if kind == "cancellation":
        return str(_("Your appointment on %(day)s at %(time)s is cancelled", day=day, time=time))
    if kind == "reminder":
        return str(_("Reminder: your appointment on %(day)s at %(time)s", day=day, time=time))
    if kind == "change":
        return str(_("Changed: your appointment on %(day)s at %(time)s", day=day, time=time))
    return str(_("Your appointment on %(day)s at %(time)s", day=day, time=time))


def _lead(kind: str, facts: Facts) -> str:
    company = facts.company
    if kind == "cancellation":
        return str(_("This appointment at %(company)s does not take place.", company=company))
    if kind == "reminder":
        return str(_("We look forward to seeing you at %(company)s soon.", company=company))
    if kind == "change" and facts.was:
        return str(_("Your appointment at %(company)s has been moved. It is now:", company=company))
    if kind == "change":
        return str(_("Your appointment at %(company)s has changed. This is how it stands now:", company=company))
    return str(_("Your appointment at %(company)s is booked.", company=company))


def _rows(facts: Facts) -> list[tuple[str, str]]:
    lines = [(_("When"), _when(facts)), (_("Before"), _moment(facts.was, facts) if facts.was else "")]
    price = formats.money(facts.price, facts.language) if facts.price is not None else ""
    lines += [(_("What"), facts.service), (_("With whom"), facts.person), (_("Price"), price)]
    lines += [(_("Where"), facts.place), (_("Phone"), _phone(facts))]
    return [(str(what), text) for what, text in lines if text]


def _advice(kind: str, facts: Facts) -> str:
    phone = _phone(facts).replace(" ", "\u00a0")  # in one piece at the end of a line
    if kind == "cancellation":
        if phone:
            return str(_("If you would like another appointment, please call us: %(phone)s", phone=phone))
        return str(_("If you would like another appointment, please get in touch with us."))
    if phone:
        return str(_("If you cannot come, please call us as early as you can: %(phone)s", phone=phone))
    return str(_("If you cannot come, please tell us as early as you can."))


def _when(facts: Facts) -> str:
    zone = ZoneInfo(facts.zone)
    named = True if facts.names_zone else None
    day = formats.long_day(facts.start, facts.language, zone, year=True)
    if formats.local_day(facts.start, zone) != formats.local_day(facts.end, zone):
        return f"{day}, {_clock(facts.start, facts)} – {_moment(facts.end, facts)}"
    return f"{day}, {formats.span(facts.start, facts.end, facts.language, zone, named=named)}"


def _moment(moment: datetime, facts: Facts) -> str:
    day = formats.long_day(moment, facts.language, ZoneInfo(facts.zone), year=True)
    return f"{day}, {_clock(moment, facts)}"


def _clock(moment: datetime, facts: Facts) -> str:
    """The branch's clock; the zone is named when clocks change that day, or when the company's differs."""
    return formats.clock(moment, facts.language, ZoneInfo(facts.zone), named=True if facts.names_zone else None)


def _phone(facts: Facts) -> str:
    return phones.display(facts.phone, facts.country) if facts.phone else ""


# ---- The file ---------------------------------------------------------------------------------------------------


def attachment(facts: Facts, letter: Letter, host: str, our_address: str, to: str, now: datetime) -> dict[str, Any]:
    """As the mail outbox keeps it. ``our_address`` invites where the company has no address of its own."""
    visit = ical.Visit(
        id=facts.visit_id,
        sequence=facts.sequence,
        status=facts.status,
        start=facts.start,
        end=facts.end,
        changed_at=facts.changed_at,
        summary=f"{facts.service}, {facts.company}" if facts.service else facts.company,
        location=facts.place,
        description=letter.advice,
    )
    file = ical.invitation(
        visit,
        host,
        organizer=ical.Person(facts.reply_to or our_address, facts.sender),
        attendee=ical.Person(to, facts.name),
        stamp=now,
    )
    return {
        "name": "termin.ics" if facts.language == "de" else "appointment.ics",
        "content_type": f"text/calendar; method={ical.method_of(visit)}; charset=utf-8",
        "base64": base64.b64encode(file).decode(),
    }
