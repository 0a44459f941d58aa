"""Hostile text in everything around appointments: names of customers, staff, services, branches and event types, notes,
reasons, closed days, and the words that a company puts into its mails. All of it is only text, on every page of the
calendar, on paper, in calendar files and in mails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

import lxml.html
import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain.search_names import search_name
from portal.models import (
    Booking,
    Branch,
    CalcomEventType,
    Company,
    EmailOutbox,
    Service,
    Staff,
    WorkingHours,
)
from portal.tenancy import tenant_scope
from tests import factories, hostile, ics
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.views.test_hostile_text import HARMLESS, elements, shapes, trouble

WORDS = (
    hostile.SCRIPTS[8],
    hostile.HANDLERS[1],
    *hostile.ATTRIBUTES[:3],
    *hostile.ATTRIBUTES[6:9],
    hostile.ADDRESSES[0],
    hostile.ADDRESSES[4],
    hostile.ENCODED[0],
    hostile.ENCODED[6],
    hostile.ENCODED[8],
    *hostile.ODD[:3],
    *hostile.ODD[5:],
)
NOTES = 5_000  # letters that fit into the form's field
PLACES = (
    "/calendar?view=day&date={day}&branch={branch}&staff=",
    "/calendar?view=week&date={day}&branch={branch}&staff=",
    "/calendar?view=month&date={day}&branch={branch}&staff=",
    "/calendar?view=list&date={day}&branch={branch}&staff=&q=0305559999",
    "/calendar/print?date={day}&branch={branch}",
    "/calendar/changes/{code}",
    "/calendar/today?branch={branch}",
    "/calendar/feeds",
    "/settings/hours?branch={branch}&staff={staff}",
    "/settings/hours/outside?branch={branch}",
    "/settings/closures?branch={branch}",
    "/settings/absences",
    "/settings/absences/{absence}",
    "/settings/calcom",
    "/settings/customer-mail",
    "/settings/customer-mail/preview?kind=reminder",
    "/appointments/out-of-step",
    "/appointments/{one}",
    "/appointments/{gone}",
    "/appointments/{one}/edit",
    "/appointments/slots?branch={branch}&service={service}&staff={staff}",
    "/appointments/customers?q=0305559999",
)


@dataclass
class World:
    firm: Firm
    ids: dict[str, Any]
    token: str


def world(firm: Firm, words: str) -> World:
    """A company in which everything that somebody may fill says the same."""
    factories.within(firm, lambda: rename(firm, words))
    name = words[:100]
    customer = factories.make_customer(
        firm, name, name, search_name=search_name(name, name), phone_normalized="+49305559999", email="x@y.example"
    )
    now = utcnow().replace(second=0, microsecond=0)
    start = now + timedelta(hours=1)
    notes: dict[str, Any] = {
        "internal_notes": words[:NOTES],
        "customer_notes": words[:NOTES],
        "customer_id": customer.id,
    }
    code = factories.make_day_print(firm).code
    one = factories.make_appointment(firm, start, **notes)
    factories.make_appointment(firm, start, service_id=None, title=words[:255], **notes)
    ended: dict[str, Any] = {"cancelled_by": words[:100], "cancelled_at": now, "cancellation_reason": words[:250]}
    gone = factories.make_appointment(firm, start, status="cancelled", **notes, **ended)
    there = {
        "starts_at": start + timedelta(days=1),
        "ends_at": start + timedelta(days=1, hours=1),
        "status": "ACCEPTED",
    }
    facts = {"external_uid": f"bk_{one.id}", "provider": "calcom", "sync_status": "conflict", "sync_error": words[:500]}
    raw = {"organizer": {"id": 77, "name": words, "email": words}, "title": words, "type": words}
    factories.save(
        firm,
        Booking(
            company_id=firm.id, appointment_id=one.id, attendee_name=words[:255], raw_payload=raw, **facts, **there
        ),
    )
    factories.make_closure(firm, date=(now + timedelta(days=2)).date(), reason=words[:255])
    away = {"starts_at": now, "ends_at": now + timedelta(days=1), "note": words[:255]}
    _feed, token = factories.make_feed(firm, firm.owner)
    ids = {
        "day": start.date().isoformat(), "branch": firm.main.id, "staff": firm.stylist.id, "service": firm.cut.id,
        "code": code, "one": one.id, "gone": gone.id, "absence": factories.make_absence(firm, **away).id,
    }  # fmt: skip
    return World(firm, ids, token)


def rename(firm: Firm, words: str) -> None:
    db.session.get_one(Branch, firm.main.id).name = words[:255]
    db.session.get_one(Service, firm.cut.id).name = words[:255]
    db.session.get_one(CalcomEventType, firm.event_type.id).name = words[:255]
    person = db.session.get_one(Staff, firm.stylist.id)
    person.first_name = person.last_name = words[:100]
    person.display_name = words[:255]
    company = db.session.get_one(Company, firm.id)
    texts = {"reminder": words[:500], "confirmation": words[:500]}
    company.settings = {"customer_mail": {"confirmation": True, "reminder": True, "sender": words[:60], "texts": texts}}
    if not db.session.scalar(select(WorkingHours.id).limit(1)):
        for weekday in range(1, 8):
            span = {"weekday": weekday, "opens_at": time(3), "closes_at": time(3, 30)}
            db.session.add(WorkingHours(company_id=firm.id, branch_id=firm.main.id, **span))


@pytest.fixture
def salon(client: PortalClient, cast: Cast) -> Firm:
    client.sign_in(cast.salon.owner)
    return cast.salon


@pytest.fixture
def known(client: PortalClient, salon: Firm) -> dict[str, set[str]]:
    """The shapes of each place with harmless words, short and in two lines."""
    found = {place: set[str]() for place in PLACES}
    for words in (HARMLESS, ".", "Guten\nTag"):
        here = world(salon, words)
        for place in PLACES:
            found[place] |= shapes(client.get(place.format(**here.ids)).text)
    return found


def suspicious(html: str, *, mail: bool = False) -> list[str]:
    """What would run, load or lead somewhere; a mail carries its styles at its elements."""
    return [each for each in trouble(html) if not mail or " style=" not in each or "hack" in each]


def test_nothing_that_others_wrote_becomes_a_part_of_a_page(
    client: PortalClient, salon: Firm, known: dict[str, set[str]]
) -> None:
    for words in WORDS:
        here = world(salon, words)
        for place in PLACES:
            answer = client.get(place.format(**here.ids))
            assert answer.status_code == 200, (place, words)
            assert suspicious(answer.text, mail="preview" in place) == [], (place, words)
            assert shapes(answer.text) - known[place] == set(), (place, words)


def test_calendar_files_and_mails_keep_it_as_text(client: PortalClient, salon: Firm) -> None:
    plain: set[str] = set()
    usual = (HARMLESS, "Guten\nTag")
    for words in (*usual, *WORDS):
        here = world(salon, words)
        calendar = ics.read(client.get(f"/feeds/{here.token}.ics").get_data())
        assert calendar.children, words
        for event in calendar.children:
            assert "hack" in event.one("SUMMARY").text or words in usual
        assert client.post("/settings/customer-mail/sample", data={"kind": "reminder"}).status_code == 303
        mail = _latest(salon)
        plain |= shapes(mail.html_body or "") if words in usual else set()
        assert shapes(mail.html_body or "") - plain == set(), words
        assert suspicious(mail.html_body or "", mail=True) == [], words
        assert not set("\r\n") & set(mail.subject)


def _latest(firm: Firm) -> EmailOutbox:
    with tenant_scope(firm.id):
        return db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id.desc()).limit(1)).one()


def test_five_thousand_letters_of_a_note_break_no_page(client: PortalClient, salon: Firm) -> None:
    here = world(salon, hostile.LONG)
    for place in PLACES:
        answer = client.get(place.format(**here.ids))
        assert answer.status_code == 200, place
        assert suspicious(answer.text, mail="preview" in place) == [], place
    shown = lxml.html.document_fromstring(client.get(f"/appointments/{here.ids['one']}").text).text_content()
    assert hostile.LONG[:NOTES].strip() in shown
    paper = lxml.html.document_fromstring(client.get(PLACES[4].format(**here.ids)).text).text_content()
    assert len(paper) < 12_000


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 6, 9, 16, 17])
def test_a_name_of_another_direction_turns_nothing_around_it(client: PortalClient, salon: Firm, place: int) -> None:
    here = world(salon, "מרים כהן")
    document = client.get(PLACES[place].format(**here.ids)).text
    name = "מרים כהן מרים כהן"
    shown = [each for each in elements(document) if (each.text or "").strip() == name and each.tag != "title"]
    assert shown
    customers = [each for each in shown if each.tag == "bdi" or each.get("dir") == "auto"]
    assert customers
