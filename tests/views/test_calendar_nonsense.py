"""Nonsense in every parameter and every field of the calendar's addresses: an answer that makes sense, no crash."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle
from typing import Any
from urllib.parse import parse_qsl

import pytest
from werkzeug.datastructures import MultiDict

from portal.db import db, utcnow
from portal.models import Branch
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient

NONSENSE = (
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "null",
    "٣",
    "²",
    "\x00",
    "\r\nX-Injected: 1",
    "' OR 1=1 --",
    "../../etc/passwd",
    "//evil.example",
    "0000",
    "0001-01-01",
    "9999-12-31",
    "9999-99-99",
    "2027-02-30",
    "24:60",
    "99:99/2",
    "9" * 12,
    "9" * 18,
    "9" * 19,
    "9" * 40,
    "9" * 5000,
    "x" * 10_000,
    "0001-01-01T00:00:00+23:59_1",
    "9999-12-31T23:59:59-23:59_1",
    "2027-01-01T00:00:00+00:00_" + "9" * 30,
    "99999999999999999-999999999999999999",
    "٣٣-٣٣",
    "1-2-3",
    "\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
)
ASKED = (200, 204, 303, 404, 422)
SENT = (200, 204, 303, 404, 409, 422)
KINDS: tuple[dict[str, str], ...] = ({}, {"HX-Request": "true", "HX-Request-Type": "partial"})

# Address → its parameters, with a value that is right.
PAGES: dict[str, dict[str, str]] = {
    "/calendar?view=day": {"date": "2027-03-28", "branch": "{branch}", "staff": "{staff}", "v": "1"},
    "/calendar?view=week": {"date": "2027-10-31", "branch": "all", "staff": "{staff}", "v": "1"},
    "/calendar?view=month": {"date": "2027-10-31", "branch": "{branch}", "staff": "{staff}", "v": "1"},
    "/calendar?view=list": {
        "date": "2027-10-31", "branch": "{branch}", "staff": "{staff}", "status": "open", "q": "Demir",
        "from": "1790000000000000-1", "to": "1800000000000000-1", "v": "1",
    },
    "/calendar": {"view": "day"},
    "/calendar/print": {"date": "2027-03-28", "branch": "{branch}", "staff": "{staff}"},
    "/calendar/changes": {"code": "{code}"},
    "/calendar/changes/{code}": {"v": "1"},
    "/calendar/today": {"branch": "{branch}", "discreet": "1", "v": "1"},
    "/settings/hours": {
        "branch": "{branch}", "staff": "{staff}", "season": "new", "copy": "{branch}-{staff}", "own": "1",
    },
    "/settings/hours/outside": {"branch": "{branch}", "staff": "{staff}"},
    "/settings/closures": {"branch": "{branch}", "edit": "{closure}", "open": "2027-10-03"},
    "/settings/absences": {"staff": "{staff}", "show": "past", "after": "2027-01-01T00:00:00+00:00_1"},
    "/settings/absences/new": {"staff": "{staff}"},
    "/settings/customer-mail/preview": {"kind": "reminder"},
    "/appointments/{appointment}": {"v": "1", "seen": "1", "in": "panel"},
    "/appointments/{appointment}/news": {"v": "1"},
    "/appointments/new": {
        "branch": "{branch}", "staff": "{staff}", "service": "{service}", "customer": "{customer}", "call": "{call}",
        "date": "2027-10-31", "time": "02:30", "coming": "2", "source": "walk_in", "later": "2027-10-31",
    },
    "/appointments/slots": {
        "branch": "{branch}", "staff": "{staff}", "service": "{service}", "customer": "{customer}", "call": "{call}",
        "date": "2027-10-31", "time": "02:30", "until": "03:30", "slot": "02:30/2", "coming": "2",
        "later": "2027-10-31",
    },
    "/appointments/customers": {"q": "Demir", "customer": "{customer}"},
}  # fmt: skip

# Address → its fields, with a value that is right.
FORMS: dict[str, dict[str, str]] = {
    "/calendar/today/{appointment}/arrived": {
        "action": "arrived", "version": "{version}", "branch": "{branch}", "discreet": "1",
    },
    "/calendar/feeds": {"what": "branch-{branch}"},
    "/settings/hours": {
        "branch": "{branch}", "staff": "{staff}", "season": "always", "shown": "", "confirmed": "",
        "first": "2027-06-01",
        "last": "2027-06-30", "opens1": "9:00", "closes1": "17:00", "do": "save",
    },
    "/settings/hours#copy": {"branch": "{branch}", "do": "copy", "source": "1", "target": "2"},
    "/settings/hours#drop": {"branch": "{branch}", "do": "drop-1-0", "opens1": "9", "closes1": "10"},
    "/settings/closures": {
        "branch": "{branch}", "instead_of": "{closure}", "first": "2027-06-01", "last": "2027-06-03", "kind": "open",
        "reason": "Fest", "opens": "9:00", "closes": "12:00", "confirmed": "", "do": "save",
    },
    "/settings/closures/region": {"branch": "{branch}", "country": "DE", "region": "BE"},
    "/settings/absences/new": {
        "staff": "{staff}", "kind": "sick", "first": "2027-06-01", "last": "2027-06-02", "start": "9:00",
        "until": "10:00", "note": "x",
    },
    "/settings/absences/{absence}": {
        "staff": "{staff}", "kind": "sick", "first": "2027-06-01", "last": "2027-06-02", "shown": "",
    },
    "/settings/absences/{absence}/delete": {"shown": "", "knowingly": "y"},
    "/settings/customer-mail": {
        "confirmation": "y", "hours": "24", "reply_to": "branch", "sender": "Salon", "text_confirmation": "Hallo",
    },
    "/settings/customer-mail/sample": {"kind": "reminder"},
    "/settings/calcom/key": {"key": "demo-x"},
    "/settings/calcom/secret": {"secret": "s" * 20},
    "/settings/calcom/event-types": {
        "kind": "4101", "name": "x", "minutes": "30", "branch": "{branch}", "service": "{service}",
    },
    "/settings/calcom/staff": {"staff": "{staff}", "user": "77"},
    "/settings/calcom/fetch": {"team": "1"},
    "/appointments/{appointment}/sync": {"choice": "ours", "version": "{version}"},
    "/appointments/{appointment}/status": {
        "action": "back", "version": "{version}", "part": "row", "next": "/calendar?view=day",
    },
    "/appointments/{appointment}/move": {
        "date": "2027-10-31", "time": "02:30", "coming": "2", "staff": "{staff}", "version": "{version}",
        "minutes": "30",
        "force": "y", "reason": "x", "part": "drop", "at": "1825000000",
    },
    "/appointments/{appointment}/cancel": {"reason": "other", "words": "", "version": "0", "tell": "y"},
    "/appointments/new": {
        "branch": "{branch}", "staff": "{staff}", "service": "{service}", "customer": "new", "new_name": "Eva",
        "new_phone": "030 5550777", "new_email": "eva@x.example", "date": "2027-10-31", "time": "02:30", "coming": "",
        "until": "", "slot": "", "price": "x", "notes": "x", "source": "walk_in", "call": "{call}", "version": "1",
        "take": "x", "later": "2027-10-31", "q": "Demir",
    },
    "/appointments/{appointment}/edit": {
        "branch": "{branch}", "staff": "{staff}", "service": "{service}", "customer": "{customer}",
        "date": "2027-10-31",
        "time": "02:30", "coming": "2", "until": "04:00", "price": "1", "notes": "x", "version": "0", "was": "{",
        "resolve": "form", "pick_when": "theirs", "slot": "02:30/2",
    },
    "/appointments/{appointment}/edit#compare": {"compare": "1", "date": "x", "time": "x", "version": "0", "was": "[]"},
}  # fmt: skip


@pytest.fixture
def ids(cast: Cast, client: PortalClient) -> dict[str, Any]:
    """Rows of the salon, whose branch observes public holidays; the owner is signed in."""
    firm = cast.salon
    factories.within(firm, lambda: _observe(firm))
    appointment = factories.make_appointment(firm)
    factories.make_appointment(firm, utcnow() + timedelta(hours=1))
    client.sign_in(firm.owner)
    return {
        "branch": firm.main.id,
        "staff": firm.stylist.id,
        "service": firm.cut.id,
        "customer": firm.customer.id,
        "call": factories.make_call(firm).id,
        "code": factories.make_day_print(firm).code,
        "closure": factories.make_closure(firm).id,
        "absence": factories.make_absence(firm).id,
        "appointment": appointment.id,
        "version": appointment.version,
    }


def _observe(firm: Firm) -> None:
    branch = db.session.get_one(Branch, firm.main.id)
    branch.country, branch.region = "DE", "BE"


def variants(right: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One value after the other spoilt, left out, or sent twice; the others as they should be."""
    yield right
    yield {}
    for name in right:
        yield {key: value for key, value in right.items() if key != name}
        yield {**right, name: [right[name], "x"]}
        for nonsense in NONSENSE:
            yield {**right, name: nonsense}


def filled(values: dict[str, str], ids: dict[str, Any]) -> dict[str, str]:
    return {name: value.format(**ids) if value != "{" else value for name, value in values.items()}


@pytest.mark.parametrize("url", PAGES)
def test_nonsense_in_an_address_gets_an_answer(client: PortalClient, ids: dict[str, Any], url: str) -> None:
    path, _sep, query = url.partition("?")
    stays, kinds = parse_qsl(query), cycle(KINDS)
    for values in variants(filled(PAGES[url], ids)):
        answer = client.get(
            path.format(**ids), query_string=MultiDict(stays + list(_pairs(values))), headers=next(kinds)
        )
        assert answer.status_code in ASKED, (url, values, answer.status_code)
        assert "X-Injected" not in answer.headers
        assert "evil.example" not in (answer.location or ""), values


def _pairs(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return iter(MultiDict(values).items(multi=True))


@pytest.mark.parametrize("url", FORMS)
def test_nonsense_in_a_form_gets_an_answer(client: PortalClient, ids: dict[str, Any], url: str) -> None:
    path, kinds = url.format(**ids).partition("#")[0], cycle(KINDS)
    for values in variants(filled(FORMS[url], ids)):
        answer = client.post(path, data=MultiDict(values), headers=next(kinds))
        assert answer.status_code in SENT, (url, values, answer.status_code)
        assert "X-Injected" not in answer.headers
        assert "evil.example" not in (answer.location or ""), values
