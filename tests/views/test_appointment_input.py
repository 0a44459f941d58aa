"""What people can get wrong at one appointment: each has a message beside its field that says what to do, in both
languages, and nothing has changed. Walk-ins, and who may do what.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import Appointment, AuditLog, Customer, PortalUser, Service, Staff, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within

BERLIN = ZoneInfo("Europe/Berlin")
DAY = utcnow().astimezone(BERLIN).date() + timedelta(days=7)
MESSAGE = re.compile(r'<p class="err" id="(\w+)-e">.*?<span>(.*?)</span></p>', re.DOTALL)
HUGE = "9" * 30


def at(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


def speak(firm: Firm, language: str) -> None:
    within(firm, lambda: db.session.get_one(PortalUser, firm.owner.id).__setattr__("language", language))


@pytest.fixture(params=["de", "en"])
def owner(client: PortalClient, cast: Cast, request: pytest.FixtureRequest) -> PortalClient:
    speak(cast.salon, request.param)
    return client.sign_in(cast.salon.owner)


def booking(firm: Firm, **data: Any) -> dict[str, Any]:
    usual = {"customer": firm.customer.id, "branch": firm.main.id, "service": firm.cut.id, "staff": firm.stylist.id}
    return usual | {"date": DAY.isoformat(), "time": "10:00"} | data


def state(firm: Firm) -> list[Any]:
    """Everything that must not have changed."""
    with tenant_scope(firm.id):
        rows = [(row.id, row.version, row.start_time) for row in db.session.scalars(select(Appointment))]
        counts = [db.session.scalar(select(func.count(model.id))) for model in (Customer, AuditLog)]
        db.session.expunge_all()
    return [rows, counts]


def messages(answer: TestResponse) -> dict[str, str]:
    assert answer.status_code == 422, answer.get_data(as_text=True)[:300]
    return dict(MESSAGE.findall(answer.get_data(as_text=True)))


def hours(firm: Firm) -> None:
    for weekday in range(1, 8):
        row = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": time(9), "closes_at": time(18)}
        factories.save(firm, WorkingHours(company_id=firm.id, **row))


CASES: dict[str, tuple[dict[str, Any], str, tuple[str, str]]] = {
    "end before start": ({"until": "09:00"}, "until", ("späteres Ende", "later end")),
    "end at the start": ({"until": "10:00"}, "until", ("späteres Ende", "later end")),
    "before opening": ({"time": "08:00"}, "time", ("09:00–18:00", "09:00–18:00")),
    "into the evening": ({"time": "17:30"}, "time", ("09:00–18:00", "09:00–18:00")),
    "in the past": ({"date": "2020-03-09"}, "date", ("schon vorbei", "already passed")),
    "skipped by the clocks": ({"date": "2037-03-29", "time": "02:30"}, "time", ("vorgestellt", "clocks skip")),
    "comes twice": ({"date": "2037-10-25", "time": "02:30"}, "coming", ("welche gemeint", "choose which")),
    "garbage day": ({"date": "gestern"}, "date", ("Datum", "date")),
    "year one": ({"date": "0001-01-01"}, "date", ("2000 und 2099", "2000 and 2099")),
    "year 9999": ({"date": "9999-12-31"}, "date", ("2000 und 2099", "2000 and 2099")),
    "garbage time": ({"time": "25:61"}, "time", ("", "")),
    "huge customer": ({"customer": HUGE}, "customer", ("wählen", "choose")),
    "negative customer": ({"customer": "-1"}, "customer", ("wählen", "choose")),
    "huge service": ({"service": HUGE}, "service", ("", "")),
    "huge staff": ({"staff": HUGE}, "staff", ("", "")),
    "huge branch": ({"branch": HUGE}, "branch", ("", "")),
    "no source of ours": ({"source": "pigeon"}, "source", ("", "")),
    "nobody": ({"customer": ""}, "customer", ("wählen", "choose")),
    "somebody new without a name": ({"customer": "new"}, "customer", ("Namen oder eine Nummer", "a name or a number")),
    "price": ({"price": "viel"}, "price", ("", "")),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_beside_its_field_and_changes_nothing(owner: PortalClient, cast: Cast, case: str) -> None:
    firm = cast.salon
    hours(firm)
    before = state(firm)
    data, field, words = CASES[case]
    answer = owner.post("/appointments/new", data=booking(firm, **data))
    found = messages(answer)
    assert list(found) == [field]
    assert any(word in found[field] for word in words), found
    assert state(firm) == before


@pytest.mark.parametrize("case", CASES)
def test_editing_is_as_strict(owner: PortalClient, cast: Cast, case: str) -> None:
    if case == "no source of ours":
        return  # where it came from is asked once
    firm = cast.salon
    hours(firm)
    row = factories.make_appointment(firm, start=at(12))
    before = state(firm)
    data, field, _words = CASES[case]
    answer = owner.post(f"/appointments/{row.id}/edit", data=booking(firm, version=1, **data))
    assert list(messages(answer)) == [field]
    assert state(firm) == before


def test_a_blocked_customer_is_not_booked_but_keeps_what_they_have(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(12))
    within(firm, lambda: db.session.execute(update(Customer).values(is_blocked=True)))
    found = messages(owner.post("/appointments/new", data=booking(firm)))
    assert "gesperrt" in found["customer"] or "blocked" in found["customer"]
    other = factories.make_appointment(firm, start=at(15), customer_id=factories.make_customer(firm).id)
    edited = booking(firm, version=1, time="15:00")
    assert list(messages(owner.post(f"/appointments/{other.id}/edit", data=edited))) == ["customer"]
    assert owner.post(f"/appointments/{row.id}/edit", data=booking(firm, version=1, time="12:00")).status_code == 303


def test_people_and_services_that_are_no_longer_there_are_refused(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(12), staff_id=firm.colleague.id, service_id=None)
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.stylist.id), "is_active", False))
    within(firm, lambda: setattr(db.session.get_one(Service, firm.cut.id), "is_active", False))
    before = state(firm)
    for url, data in (("new", {}), (f"{row.id}/edit", {"version": 1})):
        answer = owner.post(f"/appointments/{url}", data=booking(firm, until="11:00", **data))
        assert set(messages(answer)) == {"staff", "service"}, url
    assert state(firm) == before


@pytest.mark.parametrize("field", ["customer", "service", "staff", "branch"])
def test_the_other_company_s_rows_are_refused_like_missing_ones(owner: PortalClient, cast: Cast, field: str) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(12))
    before, theirs = state(firm), booking(cast.praxis)[field]
    for url in ("new", f"{row.id}/edit"):
        answers = [owner.post(f"/appointments/{url}", data=booking(firm, version=1, **{field: each})) for each in
                   (theirs, 987654321)]  # fmt: skip
        assert messages(answers[0]) == messages(answers[1])
        assert list(messages(answers[0])) == [field]
    assert state(firm) == before


def test_a_slot_that_somebody_has_taken_meanwhile_asks_and_changes_nothing(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(10), customer_id=factories.make_customer(firm).id)
    before = state(firm)
    answer = owner.post("/appointments/new", data=booking(firm))
    assert list(messages(answer)) == ["time"]
    assert "Peter Schäfer" in answer.text
    assert state(firm) == before


@pytest.mark.parametrize("what", ["customer", "branch", "service", "staff", "call", "date", "time", "source"])
@pytest.mark.parametrize("text", [HUGE, "9" * 5000, "-1", "x", "", "%00", "٣", "0001-01-01"])
def test_an_address_full_of_nonsense_is_an_empty_form(client: PortalClient, cast: Cast, what: str, text: str) -> None:
    client.sign_in(cast.salon.owner)
    assert client.get(f"/appointments/new?{what}={text}").status_code == 200
    assert client.htmx("GET", f"/appointments/slots?{what}={text}&service={cast.salon.cut.id}").status_code == 200
    assert client.htmx("GET", f"/appointments/customers?{what}={text}&q=a").status_code == 200


@pytest.mark.parametrize("suffix", ["", "/edit", "/news"])
def test_a_huge_id_is_nobody_s(client: PortalClient, cast: Cast, suffix: str) -> None:
    client.sign_in(cast.salon.owner)
    assert client.get(f"/appointments/{HUGE}{suffix}").status_code == 404


@pytest.mark.parametrize("version", [HUGE, "x", "-1", "٣"])
def test_a_version_that_is_none_compares_nothing_or_is_stale(client: PortalClient, cast: Cast, version: str) -> None:
    client.sign_in(cast.salon.owner)
    row = factories.make_appointment(cast.salon, start=at(12))
    for url, data in (("edit", booking(cast.salon)), ("move", {"date": DAY.isoformat(), "time": "12:00"}),
                      ("cancel", {"reason": ""}), ("status", {"action": "x"})):  # fmt: skip
        assert client.post(f"/appointments/{row.id}/{url}", data=data | {"version": version}).status_code in (
            303,
            409,
            422,
        )


# ---- Twice that night -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("coming", "hour"), [("1", 0), ("2", 1)])
def test_one_of_the_two_half_past_twos_can_be_chosen(client: PortalClient, cast: Cast, coming: str, hour: int) -> None:
    firm = cast.salon
    client.sign_in(firm.owner)
    night = {"date": "2037-10-25", "time": "02:30", "coming": coming}
    answer = client.post("/appointments/new", data=booking(firm, **night))
    assert answer.status_code == 303
    start = datetime(2037, 10, 25, hour, 30, tzinfo=UTC)
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Appointment)).one().start_time == start
    form = client.get(answer.headers["Location"] + "/edit").text
    assert re.search(rf'<input[^>]*checked[^>]*name="coming"[^>]*value="{coming}"', form)


# ---- Walking in -------------------------------------------------------------------------------------------------


def test_who_has_walked_in_is_here_now(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    data = booking(firm, source="walk_in", date="", time="")
    answer = client.post("/appointments/new", data=data)
    assert answer.status_code == 303
    with tenant_scope(firm.id):
        row = db.session.scalars(select(Appointment)).one()
        assert (row.source, row.status) == ("walk_in", "confirmed")
        assert row.arrived_at is not None
        assert timedelta(0) <= utcnow() - row.start_time < timedelta(minutes=6)
    assert "Ohne Anmeldung da" in client.get(answer.headers["Location"]).text


def test_a_walk_in_for_later_has_not_arrived(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    assert client.post("/appointments/new", data=booking(firm, source="walk_in")).status_code == 303
    with tenant_scope(firm.id):
        row = db.session.scalars(select(Appointment)).one()
        assert (row.arrived_at, row.start_time) == (None, at(10))


@pytest.mark.parametrize("source", ["phone", "web", "walk_in", "admin"])
def test_where_it_came_from_is_kept(client: PortalClient, cast: Cast, source: str) -> None:
    firm = cast.salon
    client.sign_in(firm.owner)
    assert client.post("/appointments/new", data=booking(firm, source=source)).status_code == 303
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Appointment)).one().source == source


# ---- Who may ----------------------------------------------------------------------------------------------------

READING = ("", "/edit", "/news")
WRITING = ("/status", "/cancel", "/move", "/edit")
DATA = {"action": "completed", "reason": "customer", "date": DAY.isoformat(), "time": "15:00", "version": "1"}


def test_strangers_and_bookkeepers_get_nowhere(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(12))
    before = state(firm)
    for status in (303, 403):
        for suffix in READING:
            assert client.get(f"/appointments/{row.id}{suffix}").status_code == status
        for suffix in WRITING:
            assert client.post(f"/appointments/{row.id}{suffix}", data=DATA).status_code == status
        for url in ("new", "slots", "customers?q=demir"):
            assert client.get(f"/appointments/{url}").status_code == status
        client.sign_in(firm.bookkeeper)
    assert state(firm) == before


@pytest.mark.parametrize("whose", ["branch", "company"])
def test_what_is_not_theirs_is_not_there(client: PortalClient, cast: Cast, whose: str) -> None:
    firm = cast.salon
    other = {"branch_id": firm.other.id, "staff_id": firm.colleague.id}
    row = factories.make_appointment(cast.praxis if whose == "company" else firm, start=at(12), **(
        other if whose == "branch" else {}))  # fmt: skip
    client.sign_in(firm.staff)
    for suffix in READING:
        assert client.get(f"/appointments/{row.id}{suffix}").status_code == 404
    for suffix in WRITING:
        assert client.post(f"/appointments/{row.id}{suffix}", data=DATA | {"at": "1900000000"}).status_code == 404
    with tenant_scope(cast.praxis.id if whose == "company" else firm.id):
        assert db.session.get_one(Appointment, row.id).version == 1


def test_staff_cannot_book_or_edit_into_another_branch(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(12))
    client.sign_in(firm.staff)
    before = state(firm)
    for field, theirs in (("branch", firm.other.id), ("staff", firm.colleague.id)):
        for url in ("new", f"{row.id}/edit"):
            data = booking(firm, version=1, **{field: theirs})
            assert list(messages(client.post(f"/appointments/{url}", data=data))) == [field]
    assert state(firm) == before
