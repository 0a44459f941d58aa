"""What the calendar may not tell: names to who may not know customers, other branches, why somebody is away.

Every page, part, print and file of the calendar is read as those people, and once as somebody who may know it all.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.test import TestResponse

from portal.db import utcnow
from portal.models import Booking, Branch, Customer, PortalUserBranch, Staff, WorkingHours
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient

BERLIN = ZoneInfo("Europe/Berlin")
DAY = utcnow().astimezone(BERLIN).date() + timedelta(days=3)
SECRETS = ("Geheimrat", "Wilhelmine", "5559999", "555 9999", "geheim@rat.example")
NOTE = "Notiz ueber Geheimrat"
WHY = ("Bandscheibe", "sick", "krank")

# Every address of the calendar that shows appointments or people.
PAGES = (
    "/calendar?view=day&date={day}&branch={branch}&staff=",
    "/calendar?view=day&date={day}&branch={branch}&staff={staff}",
    "/calendar?view=day&date={day}&branch=all&staff=",
    "/calendar?view=week&date={day}&branch={branch}&staff=",
    "/calendar?view=month&date={day}&branch={branch}&staff=",
    "/calendar?view=list&date={day}&branch={branch}&staff=",
    "/calendar/print?date={day}&branch={branch}",
    "/calendar/changes/{code}",
    "/calendar/changes",
    "/calendar/today?branch={branch}",
    "/calendar/feeds",
    "/settings/hours?branch={branch}",
    "/settings/hours?branch={branch}&staff={staff}",
    "/settings/hours/outside?branch={branch}",
    "/settings/closures?branch={branch}",
    "/settings/absences",
    "/settings/absences?show=past",
    "/settings/absences/new",
    "/settings/absences/{absence}",
    "/appointments/out-of-step",
    "/appointments/{first}",
    "/appointments/{second}",
    "/appointments/{gone}",
    "/appointments/{second}/news",
    "/appointments/new?customer={customer}&branch={branch}&staff={staff}&date={day}",
    "/appointments/slots?branch={branch}&staff={staff}&service={service}&date={day}",
    "/appointments/customers?q=Geheimrat",
)
# Those that name customers to whoever may know them.
NAMING = {PAGES[place] for place in (0, 1, 2, 3, 4, 5, 6, 7, 13, 18, 19, 20, 21, 22, 24, 26)}


def at(hour: int, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=BERLIN).astimezone(UTC)


def secret_customer(firm: Firm) -> Customer:
    facts = {"phone": "030 5559999", "phone_normalized": "+49305559999", "email": "geheim@rat.example"}
    return factories.make_customer(firm, "Wilhelmine", "Geheimrat", **facts)


@pytest.fixture
def ids(cast: Cast) -> dict[str, Any]:
    """A secret customer's appointments: two at once, one cancelled by their address, one that Cal.com knows better."""
    firm = cast.salon
    customer = secret_customer(firm)
    facts: dict[str, Any] = {"customer_id": customer.id, "internal_notes": NOTE, "customer_notes": NOTE}
    factories.make_appointment(firm, at(8), **facts)
    code = factories.make_day_print(firm, day=DAY).code
    first, second = (factories.make_appointment(firm, at(10), **facts) for _ in range(2))
    gone: dict[str, Any] = {
        "cancelled_by": "geheim@rat.example",
        "cancelled_at": utcnow(),
        "cancellation_reason": "customer",
    }
    booking = {"provider": "calcom", "external_uid": "bk_secret", "status": "ACCEPTED", "sync_status": "conflict"}
    there = {"starts_at": at(12), "ends_at": at(13), "attendee_name": "Wilhelmine Geheimrat"}
    factories.save(firm, Booking(company_id=firm.id, appointment_id=first.id, **booking, **there))
    for weekday in range(1, 8):
        _closed_at_ten(firm, weekday)
    return {
        "day": DAY.isoformat(),
        "branch": firm.main.id,
        "staff": firm.stylist.id,
        "service": firm.cut.id,
        "customer": customer.id,
        "code": code,
        "first": first.id,
        "second": second.id,
        "gone": factories.make_appointment(firm, at(15), status="cancelled", **facts, **gone).id,
        "absence": factories.make_absence(firm, starts_at=at(9), ends_at=at(11)).id,
    }


def _closed_at_ten(firm: Firm, weekday: int) -> None:
    """So that the appointments lie outside of the hours."""
    hours = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": time(11), "closes_at": time(12)}
    factories.save(firm, WorkingHours(company_id=firm.id, **hours))


def told(answer: TestResponse, words: tuple[str, ...]) -> list[str]:
    text = answer.get_data(as_text=True)
    return [word for word in words if word.casefold() in text.casefold()]


# ---- Customers' names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", PAGES)
def test_who_may_not_know_customers_reads_no_name_number_or_address(
    client: PortalClient, cast: Cast, ids: dict[str, Any], url: str
) -> None:
    client.sign_in(cast.salon.manager)
    assert bool(told(client.get(url.format(**ids)), SECRETS)) == (url in NAMING)  # so there is something to hide
    factories.deny(cast.salon, cast.salon.manager, "view_customers")
    for answer in (client.get(url.format(**ids)), client.htmx("GET", url.format(**ids))):
        assert answer.status_code in (200, 204)
        assert told(answer, SECRETS) in ([], ["Geheimrat"] if NOTE in answer.text else []), url
        assert NOTE not in answer.text or url.startswith("/appointments/{")  # the team's note, where one works with it


def test_nobody_is_found_by_name_who_may_not_be_known(client: PortalClient, cast: Cast, ids: dict[str, Any]) -> None:
    url = f"/calendar?view=list&date={DAY}&branch={ids['branch']}&staff=&q="
    client.sign_in(cast.salon.manager)
    assert "Termine hier" in client.get(url + "Niemand").text or "Kein Termin" in client.get(url + "Niemand").text
    factories.deny(cast.salon, cast.salon.manager, "view_customers")
    found = [client.get(url + words).text for words in ("Geheimrat", "Niemand")]
    assert [text.count(f'/appointments/{ids["first"]}"') for text in found] == [2, 2]
    assert 'name="q"' not in found[0]


ACTS: dict[str, dict[str, Any]] = {
    "/appointments/{second}/status": {"action": "arrived", "part": "row", "version": 1},
    "/appointments/{second}/status#late": {"action": "arrived", "part": "row", "version": 0},
    "/appointments/{second}/status#panel": {"action": "confirm", "version": 0},
    "/appointments/{second}/cancel": {"reason": "customer", "version": 0},
    "/appointments/{second}/move": {"part": "drop", "at": int(at(10).timestamp()) + 600, "version": 1},
    "/appointments/{second}/move#form": {"date": DAY.isoformat(), "time": "10:10", "staff": "{staff}", "version": 1},
    "/appointments/{second}/edit": {
        "branch": "{branch}", "service": "{service}", "staff": "{staff}", "date": DAY.isoformat(), "time": "12:10",
        "version": 0, "customer": "new", "new_name": "Eva",
    },
    "/appointments/{first}/sync": {"choice": "none", "version": 1},
    "/appointments/new": {
        "customer": "{customer}", "branch": "{branch}", "service": "{service}", "staff": "{staff}",
        "date": DAY.isoformat(), "time": "10:15", "q": "Geheimrat",
    },
}  # fmt: skip


@pytest.mark.parametrize("url", ACTS)
def test_answers_to_what_they_do_tell_no_name_either(
    client: PortalClient, cast: Cast, ids: dict[str, Any], url: str
) -> None:
    factories.deny(cast.salon, cast.salon.manager, "view_customers")
    data = {name: str(value).format(**ids) for name, value in ACTS[url].items()}
    answer = client.sign_in(cast.salon.manager).htmx("POST", url.format(**ids).partition("#")[0], data=data)
    text = answer.get_data(as_text=True).replace(NOTE, "")
    assert answer.status_code in (200, 204, 409, 422)
    assert [secret for secret in SECRETS if secret in text] == []


def test_notes_are_for_those_who_work_with_them(client: PortalClient, cast: Cast, ids: dict[str, Any]) -> None:
    for permission in ("view_customers", "edit_appointments"):
        assert NOTE in client.sign_in(cast.salon.manager).get(f"/appointments/{ids['first']}").text
        factories.deny(cast.salon, cast.salon.manager, permission)
    assert NOTE not in client.sign_in(cast.salon.manager).get(f"/appointments/{ids['first']}").text


def test_a_feed_follows_the_right_to_know_customers(client: PortalClient, cast: Cast, ids: dict[str, Any]) -> None:
    _feed, token = factories.make_feed(cast.salon, cast.salon.manager)
    assert "Geheimrat" in client.get(f"/feeds/{token}.ics").text
    factories.deny(cast.salon, cast.salon.manager, "view_customers")
    assert told(client.get(f"/feeds/{token}.ics"), SECRETS) == []


# ---- Those who only look on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [url for url in PAGES if url.startswith(("/calendar", "/appointments/{"))])
def test_who_may_only_look_is_offered_nothing_to_change(
    client: PortalClient, cast: Cast, ids: dict[str, Any], url: str
) -> None:
    factories.deny(cast.salon, cast.salon.staff, "edit_appointments")
    answer = client.sign_in(cast.salon.staff).get(url.format(**ids))
    if "/news" in url:
        assert answer.status_code == 403
        return
    assert answer.status_code == 200
    for offer in ("data-drag", "data-marks", "/appointments/new", "/edit", "/move", "/cancel", "/status", "/arrived"):
        assert offer not in answer.text, offer


# ---- Branches ---------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(cast: Cast, ids: dict[str, Any]) -> dict[str, Any]:
    """The manager leads two of three branches; in the third the same stylist has the secret customer at ten."""
    firm = cast.salon
    third = factories.save(
        firm, Branch(company_id=firm.id, name="Verborgen", address="Weg 9", timezone="Europe/Berlin")
    )
    for branch in (firm.main, firm.other):
        bound = PortalUserBranch(company_id=firm.id, portal_user_id=firm.manager.id, branch_id=branch.id)
        factories.save(firm, bound)
    hidden = factories.make_customer(firm, "Versteckt", "Anderswo")
    row = factories.make_appointment(firm, at(10), 120, branch_id=third.id, customer_id=hidden.id)
    stranger = {"branch_id": third.id, "first_name": "Fremde", "last_name": "Kollegin"}
    person = factories.save(firm, Staff(company_id=firm.id, **stranger))
    facts = {"external_uid": "bk_far", "status": "ACCEPTED", "sync_status": "conflict", "provider": "calcom"}
    there = {"starts_at": at(12), "ends_at": at(13)}
    factories.save(firm, Booking(company_id=firm.id, appointment_id=row.id, **facts, **there))
    return ids | {
        "hidden": row.id,
        "third": third.id,
        "stranger": person.id,
        "far_absence": factories.make_absence(firm, staff_id=person.id, kind="sick").id,
        "far_closure": factories.make_closure(firm, branch_id=third.id).id,
        "far_code": factories.make_day_print(firm, day=DAY, branch_id=third.id).code,
    }


@pytest.mark.parametrize("url", PAGES)
@pytest.mark.parametrize("role", ["manager", "staff"])
def test_nobody_reads_of_people_at_branches_that_are_not_theirs(
    client: PortalClient, cast: Cast, elsewhere: dict[str, Any], role: str, url: str
) -> None:
    answer = client.sign_in(cast.salon.users[role]).get(url.format(**elsewhere))
    assert answer.status_code in ((200,) if role == "manager" else (200, 403))
    assert told(answer, ("Versteckt", "Anderswo", "Verborgen", "Fremde")) == []
    assert f'/appointments/{elsewhere["hidden"]}"' not in answer.text


def test_a_time_taken_at_another_branch_is_said_to_be_taken_and_no_more(
    client: PortalClient, cast: Cast, elsewhere: dict[str, Any]
) -> None:
    client.sign_in(cast.salon.manager)
    page = client.get(f"/appointments/{elsewhere['first']}").text
    assert "in einer anderen Filiale" in page
    typed = {"date": DAY.isoformat(), "time": "11:10", "staff": elsewhere["staff"]}
    for data in ({"part": "drop", "at": int(at(11).timestamp()) + 600}, typed):
        answer = client.htmx("POST", f"/appointments/{elsewhere['first']}/move", data=data | {"version": 1})
        assert answer.status_code == 422
        assert "in einer anderen Filiale" in answer.text
        assert told(answer, ("Versteckt", "Anderswo", "Verborgen")) == []


FAR = (
    ("GET", "/calendar?view=day&branch={third}"),
    ("GET", "/calendar?view=list&branch={third}"),
    ("GET", "/calendar?view=month&staff={stranger}"),
    ("GET", "/calendar/print?branch={third}"),
    ("GET", "/calendar/print?branch={branch}&staff={stranger}"),
    ("GET", "/calendar/changes/{far_code}"),
    ("GET", "/calendar/today?branch={third}"),
    ("GET", "/settings/hours?branch={third}"),
    ("GET", "/settings/hours?branch={branch}&staff={stranger}"),
    ("GET", "/settings/hours?branch={branch}&copy={third}"),
    ("GET", "/settings/hours?branch={branch}&copy={branch}-{stranger}"),
    ("GET", "/settings/hours/outside?branch={third}"),
    ("POST", "/settings/hours?branch={branch}"),
    ("GET", "/settings/closures?branch={third}"),
    ("GET", "/settings/closures?branch={branch}&edit={far_closure}"),
    ("POST", "/settings/closures/{far_closure}/delete"),
    ("GET", "/settings/absences?staff={stranger}"),
    ("GET", "/settings/absences/{far_absence}"),
    ("POST", "/settings/absences/{far_absence}"),
    ("POST", "/settings/absences/{far_absence}/delete"),
    ("POST", "/calendar/today/{hidden}/arrived"),
    *((method, "/appointments/{hidden}") for method in ("GET",)),
    *((("GET", "/appointments/{hidden}/" + part)) for part in ("edit", "news")),
    *((("POST", "/appointments/{hidden}/" + part)) for part in ("edit", "move", "cancel", "status", "sync", "tell")),
)


@pytest.mark.parametrize(("method", "url"), FAR, ids=[f"{method} {url}" for method, url in FAR])
def test_what_is_at_another_branch_is_not_there(
    client: PortalClient, cast: Cast, elsewhere: dict[str, Any], method: str, url: str
) -> None:
    client.sign_in(cast.salon.manager)
    data = {"branch": elsewhere["third"]} if method == "POST" else {}
    answer = client.open(url.format(**elsewhere), method=method, data=data)
    assert answer.status_code == 404
    assert told(answer, ("Versteckt", "Anderswo", "Verborgen", "Fremde")) == []


@pytest.mark.parametrize("key", ["branch-{third}", "staff-{stranger}"])
def test_nothing_of_another_branch_can_be_subscribed_to(
    client: PortalClient, cast: Cast, elsewhere: dict[str, Any], key: str
) -> None:
    answer = client.sign_in(cast.salon.manager).post("/calendar/feeds", data={"what": key.format(**elsewhere)})
    assert answer.status_code == 422


# ---- Why somebody is away ---------------------------------------------------------------------------------------


@pytest.fixture
def ill(cast: Cast, ids: dict[str, Any]) -> dict[str, Any]:
    """A colleague of the same branch who is ill on that day and today; the reader is not them."""
    firm = cast.salon
    person = {"branch_id": firm.main.id, "first_name": "Rita", "last_name": "Rueck"}
    colleague = factories.save(firm, Staff(company_id=firm.id, **person))
    span = {"starts_at": utcnow() - timedelta(days=1), "ends_at": utcnow() + timedelta(days=9)}
    absence = factories.make_absence(firm, staff_id=colleague.id, kind="sick", note="Bandscheibe", **span)
    row = factories.make_appointment(firm, at(16), staff_id=colleague.id)
    return ids | {"staff": colleague.id, "absence": absence.id, "second": row.id}


@pytest.mark.parametrize("url", PAGES)
def test_colleagues_are_not_told_why_somebody_is_away(
    client: PortalClient, cast: Cast, ill: dict[str, Any], url: str
) -> None:
    answer = client.sign_in(cast.salon.staff).get(url.format(**ill))
    assert answer.status_code in ((404,) if "{absence}" in url else (200, 403))
    is_list = url.startswith("/settings/absences")  # it says what it is for, and names the reader alone
    assert told(answer, ("Rueck", *WHY[:2]) if is_list else WHY) == []


def test_a_booking_into_an_absence_says_away_and_not_why(client: PortalClient, cast: Cast, ill: dict[str, Any]) -> None:
    data = {"customer": ill["customer"], "branch": ill["branch"], "service": ill["service"], "staff": ill["staff"]}
    when = {"date": DAY.isoformat(), "time": "11:00"}
    answer = client.sign_in(cast.salon.staff).post("/appointments/new", data=data | when)
    assert answer.status_code == 422
    assert "Rueck" in answer.text
    assert told(answer, WHY) == []
    _feed, token = factories.make_feed(cast.salon, cast.salon.staff, "staff", staff_id=ill["staff"])
    assert told(client.get(f"/feeds/{token}.ics"), WHY) == []


def test_who_only_lends_a_branch_to_somebody_is_not_told_why_they_are_away(
    client: PortalClient, cast: Cast, elsewhere: dict[str, Any]
) -> None:
    """The stranger works at the manager's branch now and then, and belongs to another one."""
    firm = cast.salon
    hours = {"branch_id": firm.main.id, "staff_id": elsewhere["stranger"], "weekday": 1}
    factories.save(firm, WorkingHours(company_id=firm.id, opens_at=time(9), closes_at=time(12), **hours))
    span = {"starts_at": utcnow() - timedelta(days=1), "ends_at": utcnow() + timedelta(days=9)}
    factories.make_absence(firm, staff_id=elsewhere["stranger"], kind="sick", note="Bandscheibe", **span)
    url = f"/settings/hours?branch={firm.main.id}&staff={elsewhere['stranger']}"
    assert told(client.sign_in(firm.manager).get(url), WHY) == []
    assert told(client.sign_in(firm.owner).get(url), WHY) == ["krank"]
