"""Whatever callers say, providers send and people write is text: strings × places, held against a harmless page.

A page is parsed, and must have no tag, no attribute and no address that the same page with harmless words has not.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lxml.html
import pytest
from lxml.etree import _Element
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain.search_names import search_name
from portal.domain.transcripts import tenant_token
from portal.models import Call, CallActivity, CallContent, Customer, EmailOutbox
from portal.tenancy import all_tenants
from tests import factories, hostile
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.views.test_calls import speaking

# Where words of others may stand inside a tag. Everywhere else they have no business.
MAY_HOLD_WORDS = {"value", "aria-label", "title", "placeholder"}
HARMLESS = "Guten Tag, hier spricht Frau Vogt."
TEXT = 16_000  # letters that surely fit into a TEXT column; what was said has more room
QUICKLY = 4.0  # seconds for the longest; a machine that does nothing else needs a tenth


@dataclass
class World:
    """A call in which everything that somebody else may fill says the same."""

    firm: Firm
    call: Call
    customer: Customer
    words: str


def world(firm: Firm, words: str) -> World:
    now, short = utcnow(), words[:TEXT]
    person = factories.make_customer(
        firm, words[:100], words[:100], search_name=search_name(words[:100], words[:100]), email="x@y.example",
        blocked_reason=words[:2000], is_blocked=True, name_confirmed=False, phone_normalized="+49301112223",
    )  # fmt: skip
    data = {"customer_name": words, "service": words, words[:100]: words, "note": [words, {words[:60]: words}]}
    call = factories.make_call(
        firm, customer_id=person.id, summary=short, intent=words[:100], end_reason=words[:100], custom_data=data,
        dynamic_variables={"customer_name": words}, sentiment="negative", phone_number="+49301112223",
        analyzed_at=now,
    )  # fmt: skip
    turns = [
        {"who": who, "text": f"{words} frech! Suchwort", "at": at, "end": at + 1, "words": []}
        for at, who in enumerate(("agent", "user", "person", "user"))
    ]
    tool = {"id": "1", "name": words[:100], "arguments": {words[:50]: words}, "result": words, "ok": False, "at": 2.5}
    content = CallContent(
        company_id=firm.id, call_id=call.id, tenant_token=tenant_token(firm.id), transcript=f"User: {words} Suchwort",
        turns=turns, tool_calls=[tool | {"after": 2}],
    )  # fmt: skip
    factories.save(firm, content)
    factories.make_note(firm, call, firm.manager, words[:2000])
    factories.make_followup(firm, call, detail=short)
    other = factories.make_call(firm, customer_id=person.id, summary=short)
    factories.make_followup(
        firm, other, detail=short, status="resolved", resolution=short, closed_at=now, closed_by=firm.owner.id
    )
    transfer = {"to": words[:100]}
    step = CallActivity(
        company_id=firm.id, call_id=call.id, activity_type="transfer_started", occurred_at=now, activity_data=transfer
    )
    odd = CallActivity(company_id=firm.id, call_id=call.id, activity_type=words[:50], occurred_at=now)
    for row in (step, odd):
        factories.save(firm, row)
    return World(firm, call, person, words)


# Name → address of the place.
PLACES: dict[str, Callable[[World], str]] = {
    "list": lambda here: "/calls",
    "search": lambda here: "/calls?q=Suchwort",
    "call": lambda here: f"/calls/{here.call.id}",
    "call now": lambda here: f"/calls/{here.call.id}/now",
    "who it was": lambda here: f"/calls/{here.call.id}/customer?q=0301112223",
    "mail form": lambda here: f"/calls/{here.call.id}/mail",
    "new appointment": lambda here: f"/appointments/new?call={here.call.id}&q=0301112223",
    "queue": lambda here: "/calls/follow-ups",
    "closed": lambda here: "/calls/follow-ups/closed",
    "dashboard": lambda here: "/",
    "customers": lambda here: "/customers?q=0301112223",
    "customer": lambda here: f"/customers/{here.customer.id}",
}


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Firm:
    client.sign_in(speaking(cast.salon, cast.salon.manager))
    return cast.salon


def elements(html: str) -> Iterator[_Element]:
    document = lxml.html.document_fromstring(html)
    return (each for each in document.iter() if isinstance(each.tag, str))


def shapes(html: str) -> set[str]:
    """Every tag, and every attribute of a tag."""
    found = set()
    for each in elements(html):
        found.add(str(each.tag))
        found |= {f"{each.tag} {name}" for name in each.attrib}
    return found


def trouble(html: str) -> list[str]:
    """What would run, load or lead somewhere."""
    found = []
    for each in elements(html):
        for name, value in each.attrib.items():
            runs = str(name).startswith("on") or "hx-on" in str(name) or str(name) in {"style", "srcdoc"}
            theirs = "hack" in str(value) or "javascript:" in str(value).casefold()
            if runs or (theirs and name not in MAY_HOLD_WORDS):
                found.append(f"<{each.tag} {name}={value!r}>")
        if each.tag in {"script", "style", "iframe", "object", "embed", "base"} and "hack" in (each.text or ""):
            found.append(f"<{each.tag}>{each.text}")
    return found


@pytest.fixture
def known(client: PortalClient, salon: Firm) -> dict[str, set[str]]:
    """The shapes of each place with harmless words, and with harmless words that are not shown at all."""
    known = {name: set[str]() for name in PLACES}
    for words in (HARMLESS, ".", "Suchwort\nSuchwort"):
        here = world(salon, words)
        for name, address in PLACES.items():
            known[name] |= shapes(client.get(address(here)).text)
    return known


# A few at a time: each share has to look at every place with harmless words first.
SHARES = [hostile.STRINGS[start::4] for start in range(4)]


@pytest.mark.parametrize("strings", SHARES, ids=range(4))
def test_nothing_that_others_wrote_becomes_a_part_of_a_page(
    client: PortalClient, salon: Firm, known: dict[str, set[str]], strings: tuple[str, ...]
) -> None:
    for words in strings:
        here = world(salon, words)
        for name, address in PLACES.items():
            answer = client.get(address(here))
            assert answer.status_code == 200, (name, words)
            assert trouble(answer.text) == [], (name, words)
            assert shapes(answer.text) - known[name] == set(), (name, words)


@pytest.mark.parametrize("words", ["<b>fett</b> & \"gut\" 'so'", "מרים כהן", "👩🏽‍💻 {{ 7*7 }}"])
def test_it_is_shown_as_it_was_written(client: PortalClient, salon: Firm, words: str) -> None:
    here = world(salon, words)
    document = lxml.html.document_fromstring(client.get(PLACES["call"](here)).text)
    summary = document.xpath("//section[@aria-labelledby='h-sum']//p[@dir='auto']")[0]
    assert summary.text_content() == words
    assert words in document.xpath("//li[contains(@class, 'turn')]//p[@dir='auto']")[0].text_content()
    assert document.xpath("//section[@id='call-notes']//p[@dir='auto']")[0].text_content() == words
    assert document.xpath("//h1/bdi")


@pytest.mark.parametrize("place", ["list", "queue", "customers", "customer"])
def test_a_name_of_another_direction_turns_nothing_around_it(client: PortalClient, salon: Firm, place: str) -> None:
    here = world(salon, "מרים כהן")
    document = lxml.html.document_fromstring(client.get(PLACES[place](here)).text)
    names = [each for each in document.iter() if isinstance(each.tag, str) and (each.text or "").startswith("מרים כהן")]
    shown = [each for each in names if each.tag not in {"title", "textarea"}]
    assert shown
    for each in shown:
        around = [each, *each.iterancestors()]
        assert any(tag.tag == "bdi" or tag.get("dir") == "auto" for tag in around), lxml.html.tostring(each)


def test_a_file_for_a_spreadsheet_keeps_text_and_runs_nothing(client: PortalClient, salon: Firm) -> None:
    for words in hostile.STRINGS:
        factories.make_call(salon, summary=words)
    text = client.get("/calls/export.csv").get_data().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert {len(row) for row in rows} == {len(rows[0])}
    place = rows[0].index("Summary")
    assert sorted(row[place].lstrip("'") for row in rows[1:]) == sorted(each.lstrip("'") for each in hostile.STRINGS)
    assert [cell for row in rows for cell in row if cell[:1] in "=+-@\t\r" and cell] == []


@pytest.mark.parametrize("words", [hostile.SCRIPTS[0], hostile.ADDRESSES[4], *hostile.ODD])
def test_the_paper_takes_every_letter_and_no_program(client: PortalClient, salon: Firm, words: str) -> None:
    here = world(salon, words)
    answer = client.get(f"/calls/{here.call.id}.pdf")
    assert answer.status_code == 200
    assert answer.get_data().startswith(b"%PDF")
    for forbidden in (b"/JavaScript", b"/JS", b"/URI", b"/Launch"):
        assert forbidden not in answer.get_data()


@pytest.mark.parametrize("strings", SHARES, ids=range(4))
def test_a_mail_is_text_as_well(client: PortalClient, salon: Firm, strings: tuple[str, ...]) -> None:
    def sent(words: str) -> EmailOutbox:
        here = world(salon, words)
        data = {"key": f"k{here.call.id}", "people": [salon.owner.id], "transcript": "y"}
        assert client.post(f"/calls/{here.call.id}/mail", data=data).status_code == 303
        with all_tenants("the test reads what waits to be sent"):
            return db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id.desc())).first()  # type: ignore[return-value]

    plain = shapes(sent(HARMLESS).html_body or "")
    for words in strings:
        mail = sent(words)
        assert shapes(mail.html_body or "") == plain, words
        assert [each for each in trouble(mail.html_body or "") if " style=" not in each or "hack" in each] == [], words
        assert words.strip() in mail.text_body.replace("\r\n", "\n") or "\r" in words
        assert "\n" not in mail.subject
        assert "\r" not in mail.subject


def test_two_hundred_thousand_letters_are_shown_quickly(client: PortalClient, salon: Firm) -> None:
    here = world(salon, hostile.LONG)
    client.get("/calls")
    for name, address in PLACES.items():
        began = time.perf_counter()
        answer = client.get(address(here))
        took = time.perf_counter() - began
        assert answer.status_code == 200, name
        assert trouble(answer.text) == [], name
        assert took < QUICKLY, (name, took)
    # Lists show the beginning; all of it stands on the call's own page.
    for name in ("list", "queue", "closed", "dashboard", "customer"):
        assert len(client.get(PLACES[name](here)).text) < 120_000, name
    began = time.perf_counter()
    assert client.get(f"/calls/{here.call.id}.pdf").status_code == 200
    assert client.get("/calls/export.csv").status_code == 200
    data: dict[str, Any] = {"key": "long", "people": [salon.owner.id], "transcript": "y"}
    assert client.post(f"/calls/{here.call.id}/mail", data=data).status_code == 303
    assert time.perf_counter() - began < 5 * QUICKLY
