"""The page about Cal.com: key and secret, who and what is meant, and appointments that stand differently."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal import calcom
from portal.clients.calcom import CalcomClient
from portal.db import db
from portal.domain import appointments, bookings
from portal.domain.slots import plan_of
from portal.domain.told import Person, Told
from portal.models import Appointment, AuditLog, Booking, CalcomEventType, Company, Service, Staff
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.fake_calcom import FakeCalcom, create_fake_calcom, session_for
from tests.pages import parse

KEY = "cal_live_0123456789"
NOW = datetime(2037, 3, 1, 9, 0, tzinfo=UTC)
START = datetime(2037, 3, 9, 9, 30, tzinfo=UTC)
LATER = START + timedelta(days=1)
LENGTH = timedelta(minutes=45)
GRETA = Person(name="Greta Vogel", email="greta.vogel@example.org", phone="+4915221345678")


@pytest.fixture
def sim(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> FakeCalcom:
    made = create_fake_calcom(KEY)
    session = session_for(made.app)
    monkeypatch.setattr(calcom, "connect", lambda key, base: CalcomClient(key, base, session=session))
    known = replace(app.extensions["settings"], calcom_api_base="https://calcom.example")
    monkeypatch.setitem(app.extensions, "settings", known)
    return made


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def company(firm: Firm) -> Company:
    db.session.rollback()
    with all_tenants("the test looks at the company"):
        return db.session.get_one(Company, firm.id, populate_existing=True)


def book(firm: Firm, uid: str = "bk_1", organizer: int = 501, kind: int = 4101, start: datetime = START) -> int:
    who = {"id": organizer, "name": "Nina Neu", "email": f"u{organizer}@else.example"}
    told = Told(
        uid=uid,
        status="ACCEPTED",
        start=start,
        end=start + LENGTH,
        organizer=Person(id=organizer, name=who["name"], email=who["email"]),  # type: ignore[arg-type]
        attendee=GRETA,
        event_type_id=kind,
        title="Bartpflege",
        written_at=NOW,
        raw={"organizer": who, "eventTypeId": kind, "eventTitle": "Bartpflege"},
    )
    return factories.within(firm, lambda: bookings.take_over(told, NOW).id)


def row(firm: Firm, appointment_id: int) -> Appointment:
    db.session.rollback()
    with tenant_scope(firm.id):
        return db.session.get_one(Appointment, appointment_id, populate_existing=True)


def move(firm: Firm, appointment_id: int, start: datetime = LATER) -> None:
    def work() -> None:
        found = db.session.get_one(Appointment, appointment_id)
        appointments.change(found, replace(plan_of(found), start=start, end=start + LENGTH))

    factories.within(firm, work)


# ---- Key and secret ---------------------------------------------------------------------------------------------


def test_a_key_is_stored_sealed_checked_at_once_and_never_shown_again(
    owner: PortalClient, cast: Cast, sim: FakeCalcom
) -> None:
    answer = owner.post("/settings/calcom/key", data={"key": f"  {KEY} "})
    assert answer.status_code == 303
    found = company(cast.salon)
    assert found.calcom_api_key == KEY
    assert KEY not in (found.calcom_api_key_sealed or "")
    page = owner.get("/settings/calcom").text
    assert KEY not in page
    assert "Sofia Klein" in page  # whose key it is, as Cal.com says
    with tenant_scope(cast.salon.id):
        written = [record for record in db.session.scalars(select(AuditLog)) if record.action.startswith("calcom.")]
    assert [record.action for record in written] == ["calcom.key_set"]
    assert KEY not in repr([(record.old_values, record.new_values) for record in written])


def test_a_wrong_key_is_kept_and_said_to_be_refused(owner: PortalClient, cast: Cast, sim: FakeCalcom) -> None:
    owner.post("/settings/calcom/key", data={"key": "cal_live_wrong"})
    assert company(cast.salon).calcom_api_key == "cal_live_wrong"
    assert "Cal.com lehnt den Schlüssel ab" in owner.get("/settings/calcom").text


@pytest.mark.parametrize("key", ["", "with space", "demo-key", "schlüssel-äöü", "x" * 300])
def test_what_cannot_be_a_key_is_refused_beside_its_field(
    owner: PortalClient, cast: Cast, sim: FakeCalcom, key: str
) -> None:
    answer = owner.post("/settings/calcom/key", data={"key": key})
    assert answer.status_code == 422
    assert 'id="key-e"' in answer.text
    assert company(cast.salon).calcom_api_key is None
    assert sim.asked == []


def test_removing_the_key_makes_the_portal_the_calendar(owner: PortalClient, cast: Cast, sim: FakeCalcom) -> None:
    owner.post("/settings/calcom/key", data={"key": KEY})
    appointment_id = book(cast.salon)
    assert owner.post("/settings/calcom/key/remove").status_code == 303
    assert company(cast.salon).calcom_api_key_sealed is None
    move(cast.salon, appointment_id)
    assert "Cal.com gesendet" not in owner.get(f"/appointments/{appointment_id}").text


def test_a_new_key_sends_what_was_waiting(owner: PortalClient, cast: Cast, sim: FakeCalcom) -> None:
    owner.post("/settings/calcom/key", data={"key": "cal_live_wrong"})
    appointment_id = book(cast.salon)
    move(cast.salon, appointment_id)
    answer = owner.post("/settings/calcom/key", data={"key": KEY}, follow_redirects=True)
    assert "1 Termin, der wartete" in answer.text


def test_cal_com_that_does_not_answer_is_said_and_breaks_nothing(
    owner: PortalClient, cast: Cast, sim: FakeCalcom
) -> None:
    owner.post("/settings/calcom/key", data={"key": KEY})
    sim.fail_next(500, times=3)
    assert owner.post("/settings/calcom/check").status_code == 303
    assert "antwortet gerade nicht" in owner.get("/settings/calcom").text
    assert owner.post("/settings/calcom/fetch", data={"team": ""}).status_code == 303


def test_a_secret_must_be_long_enough_and_is_never_shown(owner: PortalClient, cast: Cast, sim: FakeCalcom) -> None:
    assert owner.post("/settings/calcom/secret", data={"secret": "kurz"}).status_code == 422
    assert company(cast.salon).calcom_webhook_secret == "calcom-salon"
    assert owner.post("/settings/calcom/secret", data={"secret": "ein sehr langes Wort"}).status_code == 303
    assert company(cast.salon).calcom_webhook_secret == "ein sehr langes Wort"
    assert "ein sehr langes Wort" not in owner.get("/settings/calcom").text


def test_the_page_shows_the_address_to_enter_at_cal_com(owner: PortalClient, sim: FakeCalcom) -> None:
    assert "http://localhost/webhooks/calcom/salon" in owner.get("/settings/calcom").text


def test_without_production_and_without_an_address_nothing_is_asked(owner: PortalClient, cast: Cast) -> None:
    owner.post("/settings/calcom/key", data={"key": KEY})
    page = owner.get("/settings/calcom").text
    assert "nicht produktiv" in page
    assert "/settings/calcom/fetch" not in page


# ---- Who and what is meant --------------------------------------------------------------------------------------


def test_somebody_unknown_is_listed_with_a_count_and_assigning_fills_their_appointments(
    owner: PortalClient, cast: Cast
) -> None:
    firm = cast.salon
    first = book(firm, "bk_1", organizer=777)
    second = book(firm, "bk_2", organizer=777, start=LATER)
    other = book(firm, "bk_3", organizer=888, start=LATER)
    page = owner.get("/settings/calcom").text
    assert "Nina Neu" in page
    assert "2 Termine" in page
    answer = owner.post("/settings/calcom/staff", data={"staff": firm.colleague.id, "user": "777"})
    assert answer.status_code == 303
    assert [row(firm, each).staff_id for each in (first, second, other)] == [firm.colleague.id] * 2 + [None]
    assert book(firm, "bk_4", organizer=777, start=LATER + timedelta(days=1))
    assert row(firm, first).status == "confirmed"


def test_one_number_belongs_to_one_person(owner: PortalClient, cast: Cast) -> None:
    answer = owner.post("/settings/calcom/staff", data={"staff": cast.salon.colleague.id, "user": "501"})
    assert answer.status_code == 422
    assert "Sofia Klein hat diese Nummer" in answer.text


@pytest.mark.parametrize("user", ["-1", "abc", str(2**31)])
def test_a_number_that_is_none_is_refused(owner: PortalClient, cast: Cast, user: str) -> None:
    assert owner.post("/settings/calcom/staff", data={"staff": cast.salon.stylist.id, "user": user}).status_code == 422
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Staff, cast.salon.stylist.id).calcom_user_id == 501


def test_what_is_wrong_stands_in_its_row_with_what_was_typed(owner: PortalClient, cast: Cast) -> None:
    person = cast.salon.colleague
    answer = owner.post("/settings/calcom/staff", data={"staff": person.id, "user": "501x"})
    row = parse(answer.text).one(f"#person-{person.id}")
    field = row.one("input[name=user]")
    assert (field["value"], field["aria-invalid"], "autofocus" in field) == ("501x", "true", True)
    assert row.one("#" + field["aria-describedby"]).text
    assert "open" in row.one("details")
    assert len(parse(answer.text).select("#people details[open]")) == 1


def test_a_service_of_another_branch_is_refused_beside_the_choice(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    factories.save(
        firm, CalcomEventType(company_id=firm.id, calcom_event_type_id=4999, name="Bart", duration_minutes=30)
    )
    data = {"kind": "4999", "branch": firm.other.id, "service": firm.cut.id}
    factories.within(firm, lambda: setattr(db.session.get_one(Service, firm.cut.id), "branch_id", firm.main.id))
    row = parse(owner.post("/settings/calcom/event-types", data=data).text).one("#kind-4999")
    assert row.one("select[name=service]")["aria-describedby"] == "service-4999-e"
    assert [each["value"] for each in row.select("option[selected]")] == [str(firm.other.id), str(firm.cut.id)]
    data["branch"] = firm.main.id
    assert owner.post("/settings/calcom/event-types", data=data).location.endswith("/settings/calcom#kind-4999")


def test_another_companys_people_branches_and_services_cannot_be_chosen(owner: PortalClient, cast: Cast) -> None:
    theirs = cast.praxis
    assert owner.post("/settings/calcom/staff", data={"staff": theirs.stylist.id, "user": "9"}).status_code == 422
    for field, number in (("branch", theirs.main.id), ("service", theirs.cut.id)):
        data = {"kind": "4101", "branch": "", "service": ""} | {field: number}
        assert owner.post("/settings/calcom/event-types", data=data).status_code == 422
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(CalcomEventType, cast.salon.event_type.id).branch_id == cast.salon.main.id


def test_an_unknown_event_type_is_listed_and_assigning_fills_service_price_and_branch(
    owner: PortalClient, cast: Cast
) -> None:
    firm = cast.salon
    appointment_id = book(firm, kind=4999)
    assert row(firm, appointment_id).service_id is None
    assert "Bartpflege" in owner.get("/settings/calcom").text
    data = {"kind": "4999", "name": "Bartpflege", "minutes": "45", "branch": firm.other.id, "service": firm.cut.id}
    assert owner.post("/settings/calcom/event-types", data=data).status_code == 303
    found = row(firm, appointment_id)
    assert (found.service_id, found.branch_id, found.price) == (firm.cut.id, firm.other.id, firm.cut.price)
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Booking.event_type_id)).one() is not None


def test_a_service_that_a_person_has_set_stays(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    appointment_id = book(firm, kind=4999)
    beard = factories.save(firm, type(firm.cut)(company_id=firm.id, name="Bartpflege", duration_minutes=20))

    def by_hand() -> None:
        found = db.session.get_one(Appointment, appointment_id)
        appointments.change(found, replace(plan_of(found), service_id=beard.id))

    factories.within(firm, by_hand)
    owner.post("/settings/calcom/event-types", data={"kind": "4999", "branch": "", "service": firm.cut.id})
    assert row(firm, appointment_id).service_id == beard.id


def test_event_types_are_fetched_and_what_they_mean_stays(owner: PortalClient, cast: Cast, sim: FakeCalcom) -> None:
    owner.post("/settings/calcom/key", data={"key": KEY})
    sim.event_types = [
        {"id": 4101, "title": "Damenhaarschnitt lang", "slug": "dhl", "lengthInMinutes": 60, "users": []},
        {"id": 4200, "title": "Damenhaarschnitt", "lengthInMinutes": 30, "confirmationPolicy": {"type": "always"}},
        {"id": "nonsense"},
    ]
    assert owner.post("/settings/calcom/fetch", data={"team": "12"}).status_code == 303
    assert owner.post("/settings/calcom/fetch", data={"team": "12"}).status_code == 303
    assert ("GET", "/v2/teams/12/event-types", None) in sim.asked
    with tenant_scope(cast.salon.id):
        told = db.session.scalars(select(AuditLog).where(AuditLog.action == "calcom.team_set")).all()
        assert [(record.old_values, record.new_values) for record in told] == [
            ({"calcom_team_id": None}, {"calcom_team_id": "12"})
        ]
        found = {kind.calcom_event_type_id: kind for kind in db.session.scalars(select(CalcomEventType))}
    assert set(found) == {4101, 4200}
    assert (found[4101].name, found[4101].duration_minutes) == ("Damenhaarschnitt lang", 60)
    assert (found[4101].service_id, found[4101].branch_id) == (cast.salon.cut.id, cast.salon.main.id)
    assert (found[4200].service_id, found[4200].requires_confirmation) == (cast.salon.cut.id, True)


# ---- Appointments that stand differently ------------------------------------------------------------------------


@pytest.fixture
def apart(cast: Cast, sim: FakeCalcom) -> int:
    """An appointment that was moved here and, to another time, there."""
    firm = cast.salon

    def set_key() -> None:
        db.session.get_one(Company, firm.id).calcom_api_key = KEY

    factories.within(firm, set_key)
    appointment_id = book(firm)
    move(firm, appointment_id)
    told = Told(
        uid="bk_2",
        previous_uid="bk_1",
        status="ACCEPTED",
        start=START + timedelta(days=2),
        end=START + timedelta(days=2) + LENGTH,
        organizer=Person(id=501),
        attendee=GRETA,
        event_type_id=4101,
        raw={"organizer": {"id": 501}},
    )
    factories.within(firm, lambda: bookings.take_over(told, NOW))
    return appointment_id


def test_both_versions_are_shown_side_by_side(owner: PortalClient, apart: int) -> None:
    page = owner.get(f"/appointments/{apart}").text
    assert "Bei Cal.com steht er anders" in page
    assert "10.03." in page
    assert "11.03." in page
    assert page.count(f'action="/appointments/{apart}/sync"') == 2


def test_cal_coms_version_is_taken_with_one_click(owner: PortalClient, cast: Cast, apart: int) -> None:
    version = row(cast.salon, apart).version
    answer = owner.post(f"/appointments/{apart}/sync", data={"choice": "theirs", "version": version})
    assert answer.status_code == 303
    assert row(cast.salon, apart).start_time == START + timedelta(days=2)
    assert "Stimmt mit Cal.com überein" in owner.get(f"/appointments/{apart}").text


def test_ours_is_kept_with_one_click(owner: PortalClient, cast: Cast, apart: int) -> None:
    answer = owner.htmx("POST", f"/appointments/{apart}/sync", data={"choice": "ours"})
    assert answer.status_code == 200
    assert "Wird an Cal.com gesendet" in answer.text
    assert row(cast.salon, apart).start_time == LATER


def test_what_is_over_at_cal_com_is_said_to_stand_here_alone(owner: PortalClient, cast: Cast, apart: int) -> None:
    def call_off() -> None:
        for booking in db.session.scalars(select(Booking).where(Booking.status == "ACCEPTED")):
            booking.status = "CANCELLED"

    factories.within(cast.salon, call_off)
    answer = owner.htmx("POST", f"/appointments/{apart}/sync", data={"choice": "ours"})
    said = json.loads(answer.headers["HX-Trigger"])["toast"]["message"]
    assert said.startswith("Steht nur hier")
    assert "gesendet" not in answer.text


def test_who_has_seen_an_older_version_is_told(owner: PortalClient, cast: Cast, apart: int) -> None:
    answer = owner.post(f"/appointments/{apart}/sync", data={"choice": "theirs", "version": 1})
    assert answer.status_code == 409
    assert row(cast.salon, apart).start_time == LATER


@pytest.mark.parametrize("choice", ["", "nobody's", "OURS"])
def test_another_choice_is_refused(owner: PortalClient, apart: int, choice: str) -> None:
    assert owner.post(f"/appointments/{apart}/sync", data={"choice": choice}).status_code == 422


def test_choosing_twice_says_that_it_is_done(owner: PortalClient, apart: int) -> None:
    owner.post(f"/appointments/{apart}/sync", data={"choice": "theirs"})
    assert owner.post(f"/appointments/{apart}/sync", data={"choice": "theirs"}).status_code == 409


def test_the_list_shows_what_differs_to_who_sees_that_branch(client: PortalClient, cast: Cast, apart: int) -> None:
    link = f'href="/appointments/{apart}"'
    for user in (cast.salon.owner, cast.salon.manager, cast.salon.staff):
        assert link in client.sign_in(user).get("/appointments/out-of-step").text
    assert "/appointments/out-of-step" in client.sign_in(cast.salon.manager).get("/settings").text
    factories.within(
        cast.salon, lambda: setattr(db.session.get_one(Appointment, apart), "branch_id", cast.salon.other.id)
    )
    assert link not in client.sign_in(cast.salon.staff).get("/appointments/out-of-step").text
    assert client.post(f"/appointments/{apart}/sync", data={"choice": "ours"}).status_code == 404
    assert link not in client.sign_in(cast.praxis.owner).get("/appointments/out-of-step").text
    assert "1 Termin weicht" in client.sign_in(cast.salon.owner).get("/settings/calcom").text


def test_the_calendars_own_appointments_say_nothing_of_cal_com(
    owner: PortalClient, cast: Cast, sim: FakeCalcom
) -> None:
    own = factories.make_appointment(cast.salon)
    assert "Cal.com" not in owner.get(f"/appointments/{own.id}").text
