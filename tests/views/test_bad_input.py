"""Everything of the calendar's bad input at every door: booking, editing, moving by form and by dropping a box.

Each says beside the field what to do (a box, which has none, says it in passing), and nothing has changed.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import Appointment, OutboxJob, Service, Staff
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse
from tests.views.test_appointment_input import DAY, at, booking, hours, messages, state

DOORS = ("new", "edit", "move", "drop")
FORMS = ("new", "edit")
GONE = date(2020, 3, 9)
THREE_DAYS = 3 * 24 * 60
# What is wrong → the field that says so, for forms and for moving; then words of the message.
CASES: dict[str, tuple[str, str, str]] = {
    "end before start": ("until", "time", "späteres Ende"),
    "outside hours": ("time", "time", "09:00–18:00"),
    "in the past": ("date", "date", "schon vorbei"),
    "deactivated staff": ("staff", "staff", ""),
    "staff of another company": ("staff", "staff", ""),
    "service of another company": ("service", "", ""),
    "branch of another company": ("branch", "", ""),
    "customer of another company": ("customer", "", "wählen"),
    "three days": ("until", "time", "nicht länger als einen Tag"),
    "taken meanwhile": ("time", "time", "vergeben"),
}
PAIRS = [(case, door) for case, (_form, moving, _words) in CASES.items() for door in DOORS if moving or door in FORMS]


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


@pytest.fixture
def row(cast: Cast) -> Appointment:
    """An appointment at noon, on a day that is open from nine to six."""
    hours(cast.salon)
    return factories.make_appointment(cast.salon, start=at(12))


def wrong(cast: Cast, case: str) -> dict[str, Any]:
    """What is sent in place of what would be right, in the words of the forms; ``minutes`` is a length."""
    firm, other = cast.salon, cast.praxis
    if case == "deactivated staff":
        names = {"first_name": "Ida", "last_name": "Holm", "is_active": False}
        return {"staff": factories.save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, **names)).id}
    if case == "three days":
        long = Service(company_id=firm.id, name="Kur", duration_minutes=THREE_DAYS)
        return {"service": factories.save(firm, long).id, "minutes": THREE_DAYS}
    if case == "taken meanwhile":
        factories.make_appointment(firm, start=at(10), customer_id=factories.make_customer(firm).id)
    sent: dict[str, dict[str, Any]] = {
        "end before start": {"until": "09:00", "minutes": -60},
        "outside hours": {"time": "08:00"},
        "in the past": {"date": GONE.isoformat()},
        "staff of another company": {"staff": other.stylist.id},
        "service of another company": {"service": other.cut.id},
        "branch of another company": {"branch": other.main.id},
        "customer of another company": {"customer": other.customer.id},
        "taken meanwhile": {},
    }
    return sent[case]


def send(client: PortalClient, firm: Firm, row: Appointment, door: str, **data: Any) -> TestResponse:
    """Ten o'clock of that day with the stylist, but for ``data``."""
    if door in FORMS:
        url = "/appointments/new" if door == "new" else f"/appointments/{row.id}/edit"
        return client.post(url, data=booking(firm, **({"version": row.version} | data)))
    usual: dict[str, Any] = {
        "date": DAY.isoformat(),
        "time": "10:00",
        "staff": firm.stylist.id,
        "version": row.version,
    } | data
    if door == "drop":
        day, hour = date.fromisoformat(usual.pop("date")), int(usual.pop("time")[:2])
        usual |= {"at": int(at(hour, day=day).timestamp()), "part": "drop"}
        return client.htmx("POST", f"/appointments/{row.id}/move", data=usual)
    return client.post(f"/appointments/{row.id}/move", data=usual)


def known(firm: Firm) -> list[Any]:
    """Appointments whole, customers, audit and jobs: none of it may be different."""
    with tenant_scope(firm.id):
        columns = select(*Appointment.__table__.columns).order_by(Appointment.id)
        rows = [tuple(found) for found in db.session.execute(columns.where(Appointment.company_id == firm.id))]
        jobs = select(OutboxJob.id).where(OutboxJob.company_id == firm.id)
        return [rows, list(db.session.scalars(jobs)), state(firm)]


@pytest.mark.parametrize(("case", "door"), PAIRS)
def test_what_is_wrong_is_said_where_it_is_and_nothing_has_changed(
    owner: PortalClient, cast: Cast, row: Appointment, case: str, door: str
) -> None:
    data, (form_field, moving_field, words) = wrong(cast, case), CASES[case]
    before = [known(firm) for firm in (cast.salon, cast.praxis)]
    answer = send(owner, cast.salon, row, door, **data)
    assert answer.status_code == 422, answer.get_data(as_text=True)[:300]
    if door == "drop" and case == "taken meanwhile":
        assert "Es ist noch nichts verschoben." in answer.text  # a question in the panel
        assert "10:00–10:45" in answer.text
        said = words
    elif door == "drop":
        said = str(json.loads(answer.headers["HX-Trigger"])["toast"]["message"])
        assert said.startswith("Nicht verschoben. ")
    else:
        found = messages(answer)
        assert list(found) == [form_field if door in FORMS else moving_field]
        said = " ".join(found.values())
    assert words in said
    assert [known(firm) for firm in (cast.salon, cast.praxis)] == before


@pytest.mark.parametrize("door", DOORS)
def test_the_same_without_a_mistake_is_done(owner: PortalClient, cast: Cast, row: Appointment, door: str) -> None:
    """So that the tests above are about the mistake."""
    answer = send(owner, cast.salon, row, door)
    assert answer.status_code == (204 if door == "drop" else 303)
    with tenant_scope(cast.salon.id):
        starts = list(db.session.scalars(select(Appointment.start_time).order_by(Appointment.start_time)))
    assert starts == ([at(10), at(12)] if door == "new" else [at(10)])


@pytest.mark.parametrize("version", [{"version": 0}, {"version": 7}, {"version": ""}, {"version": "x"}, {}])
@pytest.mark.parametrize("door", ["edit", "move", "drop", "cancel"])
def test_who_does_not_know_how_it_stands_sees_it_and_changes_nothing(
    owner: PortalClient, cast: Cast, row: Appointment, door: str, version: dict[str, Any]
) -> None:
    """Also a form that does not say which version it was filled in for."""
    before = known(cast.salon)
    url = f"/appointments/{row.id}/{'move' if door == 'drop' else door}"
    data = booking(cast.salon, reason="customer") | version
    if door == "drop":
        data |= {"part": "drop", "at": int(at(10).timestamp())}
    answer = owner.htmx("POST", url, data=data)
    assert answer.status_code == 409
    assert known(cast.salon) == before
    assert 'name="version"' in answer.text  # and may be sent once more


FOREIGN = ("staff", "service", "branch", "customer")


@pytest.mark.parametrize("name", FOREIGN)
def test_free_times_are_not_told_of_another_companys_rows(
    owner: PortalClient, cast: Cast, row: Appointment, name: str
) -> None:
    """A list of times is asked for with every choice; what can't be chosen is no choice, like what does not exist."""
    before = [known(firm) for firm in (cast.salon, cast.praxis)]
    asked = {**booking(cast.salon), "customer": cast.salon.customer.id}
    texts = []
    for value in (booking(cast.praxis)[name], 987_654_321):
        answer = owner.htmx("GET", "/appointments/slots", query_string=asked | {name: value})
        assert answer.status_code == 200
        assert "Praxis" not in answer.text
        texts.append(answer.text.replace(f"={value}", "="))
    assert texts[0] == texts[1]
    assert [known(firm) for firm in (cast.salon, cast.praxis)] == before


@pytest.mark.parametrize("at_", ["9" * 5000, "9" * 30, "9" * 11, "9999999999", "-1", "0", "٣", ""])
@pytest.mark.parametrize("door", FORMS)
def test_a_time_that_is_none_is_not_taken(
    owner: PortalClient, cast: Cast, row: Appointment, door: str, at_: str
) -> None:
    answer = send(owner, cast.salon, row, door, take=f"{at_}-{cast.salon.stylist.id}")
    assert answer.status_code == 200
    day = parse(answer.text).one("input[name=date]")["value"]
    assert day == ("1970-01-01" if at_ == "0" else DAY.isoformat())  # what had been typed stays


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "9" * 19])
@pytest.mark.parametrize("name", ["customer", "version", "minutes"])
def test_numbers_without_end_are_none(
    owner: PortalClient, cast: Cast, row: Appointment, name: str, number: str
) -> None:
    before = known(cast.salon)
    for door in DOORS:
        if (name, door) in {("customer", "move"), ("customer", "drop"), ("version", "new")} or (
            name == "minutes" and door in FORMS
        ):
            continue
        assert send(owner, cast.salon, row, door, **{name: number}).status_code in (409, 422)
    assert known(cast.salon) == before


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30, "9" * 19, "x", ""])
@pytest.mark.parametrize(
    "when",
    ["2030-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2030-01-01", "x"],
)
def test_a_page_of_absences_that_begins_nowhere_is_the_first(
    owner: PortalClient, cast: Cast, number: str, when: str
) -> None:
    factories.make_absence(cast.salon)
    first = parse(owner.get("/settings/absences").text).one("main").text
    answer = owner.get("/settings/absences", query_string={"after": f"{when}_{number}"})
    assert answer.status_code == 200
    assert parse(answer.text).one("main").text == first


@pytest.mark.parametrize("door", FORMS)
def test_a_free_time_that_was_clicked_books_nothing_whatever_it_says(
    owner: PortalClient, cast: Cast, row: Appointment, door: str
) -> None:
    before = [known(firm) for firm in (cast.salon, cast.praxis)]
    moments = [at(10), at(8), utcnow() - timedelta(days=2), at(12)]
    for moment in moments:
        for person in (cast.salon.stylist.id, cast.praxis.stylist.id, 987_654_321, "x"):
            taken = f"{int(moment.timestamp())}-{person}"
            assert send(owner, cast.salon, row, door, take=taken).status_code == 200
    assert [known(firm) for firm in (cast.salon, cast.praxis)] == before
