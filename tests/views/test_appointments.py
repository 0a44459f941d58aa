"""One appointment: its page and panel, the taps of a day, cancelling, moving, booking and editing."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import Appointment, Customer, Service, Staff, StaffAbsence, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = utcnow().astimezone(BERLIN).date()
SOON = TODAY + timedelta(days=3)  # ahead even of a run that goes over midnight
MOST_QUERIES = 13


def at(hour: int, minute: int = 0, day: date = SOON) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def text_of(answer: TestResponse, status: int = 200) -> str:
    assert answer.status_code == status, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def now_of(firm: Firm, row: Appointment) -> Appointment:
    with tenant_scope(firm.id):
        found = db.session.get_one(Appointment, row.id)
        db.session.expunge_all()
    return found


def all_of(firm: Firm) -> list[Appointment]:
    with tenant_scope(firm.id):
        found = list(db.session.scalars(select(Appointment).order_by(Appointment.id)))
        db.session.expunge_all()
    return found


def tap(client: PortalClient, row: Appointment, action: str, **data: Any) -> TestResponse:
    return client.htmx("POST", f"/appointments/{row.id}/status", data={"action": action} | data)


# ---- The page and the panel -------------------------------------------------------------------------------------


def test_the_page_says_who_what_when_and_with_whom(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    call = factories.make_call(firm)
    row = factories.make_appointment(
        firm,
        start=at(9, 30),
        price=Decimal("58.00"),
        call_id=call.id,
        source="phone",
        customer_notes="Bitte leise",
        internal_notes="Stammgast",
    )
    text = text_of(owner.get(f"/appointments/{row.id}"))
    for words in (
        "Aylin Demir",
        "030 5550100",
        "Damenhaarschnitt",
        "58,00",
        "09:30–10:15",
        "Sofia Klein",
        firm.main.name,
    ):
        assert words in text.replace("\u00a0", " "), words
    assert "Bitte leise" in text
    assert "Stammgast" in text
    assert f'href="/calls/{call.id}"' in text
    assert f'href="/customers/{firm.customer.id}"' in text


def test_htmx_gets_the_panel_alone(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    text = text_of(owner.htmx("GET", f"/appointments/{row.id}"))
    assert text.strip().startswith('<div class="hd"><h2')
    assert 'hx-target="#panel"' in text
    assert "<html" not in text


def test_the_history_tells_what_was_done_and_by_whom(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    tap(owner, row, "arrived")
    move = {"date": SOON.isoformat(), "time": "11:00", "staff": cast.salon.stylist.id}
    move["version"] = now_of(cast.salon, row).version
    owner.post(f"/appointments/{row.id}/move", data=move)
    text = text_of(owner.get(f"/appointments/{row.id}"))
    assert "Angekommen · Katharina Owner" in text
    assert re.search(r"Verschoben: <span class=\"was num\">[^<]+09:00</span> → <span class=\"num\">[^<]+11:00", text)


@pytest.mark.parametrize("suffix", ["", "/edit"])
def test_foreign_and_missing_appointments_look_alike(owner: PortalClient, cast: Cast, suffix: str) -> None:
    foreign = factories.make_appointment(cast.praxis)
    answers = [owner.htmx("GET", f"/appointments/{row_id}{suffix}") for row_id in (foreign.id, 987654321)]
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("deed", ["status", "cancel", "move", "edit"])
def test_foreign_appointments_cannot_be_touched(owner: PortalClient, cast: Cast, deed: str) -> None:
    foreign = factories.make_appointment(cast.praxis)
    data = {"action": "completed", "reason": "customer", "date": SOON.isoformat(), "time": "09:00"}
    assert owner.post(f"/appointments/{foreign.id}/{deed}", data=data).status_code == 404
    assert now_of(cast.praxis, foreign).version == 1


def test_staff_touch_their_branches_appointments_only(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    mine = factories.make_appointment(firm)
    other = factories.make_appointment(firm, branch_id=firm.other.id, staff_id=firm.colleague.id)
    assert client.get(f"/appointments/{mine.id}").status_code == 200
    assert client.get(f"/appointments/{other.id}").status_code == 404
    assert tap(client, other, "completed").status_code == 404
    assert now_of(firm, other).status == "confirmed"


def test_who_may_only_look_gets_no_buttons_and_no_way_in(client: PortalClient, cast: Cast) -> None:
    from portal.models import PortalUserPermission

    firm = cast.salon
    denied = {"portal_user_id": firm.staff.id, "permission": "edit_appointments", "granted": False}
    factories.save(firm, PortalUserPermission(company_id=firm.id, **denied))
    client.sign_in(firm.staff)
    row = factories.make_appointment(firm)
    assert "<form" not in text_of(client.htmx("GET", f"/appointments/{row.id}"))
    assert tap(client, row, "completed").status_code == 403
    assert client.get("/appointments/new").status_code == 403


def test_the_pages_ask_few_questions(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, call_id=factories.make_call(firm).id)
    owner.get(f"/appointments/{row.id}")
    for action in ("arrived", "completed", "back"):
        tap(owner, row, action)
    new = f"/appointments/new?staff={firm.stylist.id}&service={firm.cut.id}&customer={firm.customer.id}"
    for url in (f"/appointments/{row.id}", f"/appointments/{row.id}/edit", new):
        with Queries() as asked:
            assert owner.get(url).status_code == 200
        assert len(asked) <= MOST_QUERIES, asked


# ---- One tap ----------------------------------------------------------------------------------------------------


def test_a_tap_in_the_list_answers_with_its_line(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9, day=TODAY))
    answer = tap(owner, row, "arrived", version=1, part="row")
    text = text_of(answer)
    assert text.strip().startswith(f'<li id="row-{row.id}"')
    assert "Ist da" in text
    assert "calendar-changed" in answer.headers["HX-Trigger"]
    assert now_of(cast.salon, row).arrived_at is not None


def test_a_tap_in_the_panel_answers_with_the_panel(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    text = text_of(tap(owner, row, "completed", version=1, part="panel"))
    assert text.strip().startswith('<div class="hd">')
    assert "Erledigt" in text
    assert 'value="back"' in text


def test_a_tap_works_as_a_plain_form(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    url = f"/appointments/{row.id}"
    answer = owner.post(f"{url}/status", data={"action": "no_show", "version": "1"})
    assert (answer.status_code, answer.headers["Location"]) == (303, url)
    back = "/calendar?view=day&date=2027-03-09"
    answer = owner.post(f"{url}/status", data={"action": "back", "next": back})
    assert answer.headers["Location"] == back
    answer = owner.post(f"{url}/status", data={"action": "confirm", "next": "//evil.example/calendar?"})
    assert answer.headers["Location"] == url


@pytest.mark.parametrize("part", ["row", "panel"])
def test_who_tapped_on_an_older_state_is_shown_the_present_one(owner: PortalClient, cast: Cast, part: str) -> None:
    row = factories.make_appointment(cast.salon, start=at(9, day=TODAY))
    tap(owner, row, "arrived", version=1)
    text = text_of(tap(owner, row, "no_show", version=1, part=part), 409)
    assert "Jemand hat diesen Termin inzwischen geändert" in text
    assert 'name="version" value="2"' in text
    assert now_of(cast.salon, row).status == "confirmed"


def test_a_second_tap_of_the_same_kind_is_no_conflict(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    for _ in range(2):
        text_of(tap(owner, row, "completed", version=1))
    assert now_of(cast.salon, row).version == 2


def test_a_plain_form_on_an_older_state_shows_the_page(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    tap(owner, row, "completed")
    answer = owner.post(f"/appointments/{row.id}/status", data={"action": "arrived", "version": "1"})
    assert "<html" in text_of(answer, 409)


def test_an_unknown_action_is_422(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    text_of(tap(owner, row, "explode"), 422)


def test_without_a_token_nothing_happens(client: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    client.sign_in(cast.salon.owner).csrf = False
    assert client.post(f"/appointments/{row.id}/status", data={"action": "completed"}).status_code == 400
    assert now_of(cast.salon, row).status == "confirmed"


# ---- Cancelling and moving --------------------------------------------------------------------------------------


def test_cancelling_keeps_the_reason_and_who_it_was(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon)
    answer = owner.htmx("POST", f"/appointments/{row.id}/cancel", data={"reason": "staff", "version": "1"})
    assert "Mitarbeiter fällt aus" in text_of(answer)
    assert "calendar-changed" in answer.headers["HX-Trigger"]
    found = now_of(cast.salon, row)
    assert (found.status, found.cancellation_reason, found.cancelled_by) == ("cancelled", "staff", "Katharina Owner")


@pytest.mark.parametrize(
    ("data", "reason", "by"),
    [
        ({"reason": "customer"}, "customer", "customer"),
        ({"reason": "other", "words": "Wasserrohrbruch"}, "Wasserrohrbruch", "Katharina Owner"),
        ({"reason": "Auto kaputt"}, "Auto kaputt", "Katharina Owner"),
    ],
)
def test_a_reason_may_be_a_usual_one_or_free_words(
    owner: PortalClient, cast: Cast, data: dict[str, str], reason: str, by: str
) -> None:
    row = factories.make_appointment(cast.salon)
    assert owner.post(f"/appointments/{row.id}/cancel", data=data | {"version": "1"}).status_code == 303
    found = now_of(cast.salon, row)
    assert (found.cancellation_reason, found.cancelled_by) == (reason, by)


@pytest.mark.parametrize("data", [{}, {"reason": "other", "words": " "}])
def test_cancelling_without_a_reason_is_422(owner: PortalClient, cast: Cast, data: dict[str, str]) -> None:
    row = factories.make_appointment(cast.salon)
    text = text_of(owner.htmx("POST", f"/appointments/{row.id}/cancel", data=data | {"version": "1"}), 422)
    assert "Bitte geben Sie einen Grund an." in text
    assert 'aria-describedby="reason-e" aria-invalid="true"' in text  # so the field gets the focus
    assert now_of(cast.salon, row).status == "confirmed"


def test_what_is_over_cannot_be_cancelled(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, status="completed")
    text_of(owner.htmx("POST", f"/appointments/{row.id}/cancel", data={"reason": "customer"}), 409)


def moving(firm: Firm, clock: str = "11:00", **data: Any) -> dict[str, Any]:
    return {"date": SOON.isoformat(), "time": clock, "staff": firm.stylist.id, "version": 1} | data


def test_moving_keeps_the_length(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), minutes=40)
    answer = owner.htmx("POST", f"/appointments/{row.id}/move", data=moving(cast.salon, version=1))
    assert "11:00–11:40" in text_of(answer)
    assert now_of(cast.salon, row).start_time == at(11)


def test_moving_into_a_taken_time_warns_and_takes_a_tick_and_a_reason(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row, other = factories.make_appointment(firm, start=at(9)), factories.make_customer(firm)
    factories.make_appointment(firm, start=at(11), customer_id=other.id)
    url = f"/appointments/{row.id}/move"
    text = text_of(owner.htmx("POST", url, data=moving(firm)), 422)
    assert "Peter Schäfer" in text
    assert "Trotzdem verschieben" in text
    text = text_of(owner.htmx("POST", url, data=moving(firm, force="y", reason=" ")), 422)
    assert "Bitte schreiben Sie, warum" in text
    text_of(owner.htmx("POST", url, data=moving(firm, force="y", reason="Zugesagt")))
    assert now_of(firm, row).overbooked_by == firm.owner.id


def test_moving_an_older_version_shows_the_present_one(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    tap(owner, row, "arrived")
    text_of(owner.htmx("POST", f"/appointments/{row.id}/move", data=moving(cast.salon, version=1)), 409)
    assert now_of(cast.salon, row).start_time == at(9)


@pytest.mark.parametrize(
    "data", [{"time": "99:99"}, {"date": "2027-02-30"}, {"date": ""}, {"staff": "987654"}, {"staff": "x"}]
)
def test_moving_to_nonsense_is_422(owner: PortalClient, cast: Cast, data: dict[str, str]) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    text_of(owner.htmx("POST", f"/appointments/{row.id}/move", data=moving(cast.salon) | data), 422)


# ---- Booking ----------------------------------------------------------------------------------------------------


def booking(firm: Firm, **data: Any) -> dict[str, Any]:
    return {
        "customer": firm.customer.id,
        "branch": firm.main.id,
        "service": firm.cut.id,
        "staff": firm.stylist.id,
        "date": SOON.isoformat(),
        "time": "10:00",
    } | data


def book(client: PortalClient, firm: Firm, **data: Any) -> TestResponse:
    return client.post("/appointments/new", data=booking(firm, **data))


def errors(answer: TestResponse) -> dict[str, str]:
    """Field → message, from the form that came back."""
    found = re.findall(r'<p class="err" id="(\w+)-e">.*?<span>(.*?)</span></p>', text_of(answer, 422), re.DOTALL)
    return dict(found)


def test_booking_takes_length_and_price_from_the_service(owner: PortalClient, cast: Cast) -> None:
    answer = book(owner, cast.salon, notes="Nur das Team")
    (row,) = all_of(cast.salon)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/appointments/{row.id}")
    assert (row.start_time, row.end_time) == (at(10), at(10, 45))
    assert (row.price, row.status, row.source, row.internal_notes) == (
        Decimal("58.00"),
        "confirmed",
        "admin",
        "Nur das Team",
    )


def test_the_form_comes_filled_from_where_one_clicked(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    asked = f"branch={firm.other.id}&staff={firm.stylist.id}&service={firm.cut.id}&date=2027-03-09&time=11:30"
    text = text_of(owner.get(f"/appointments/new?{asked}"))
    for words in ('value="2027-03-09"', 'value="11:30"', f'<option selected value="{firm.stylist.id}">Sofia Klein'):
        assert words in text, words


def test_somebody_new_is_written_on_the_spot(owner: PortalClient, cast: Cast) -> None:
    answer = book(owner, cast.salon, customer="new", new_name="Greta Vogel", new_phone="0152 21345678")
    assert answer.status_code == 303
    (row,) = all_of(cast.salon)
    with tenant_scope(cast.salon.id):
        customer = db.session.get_one(Customer, row.customer_id)
        assert (customer.full_name, customer.phone_normalized) == ("Greta Vogel", "+4915221345678")
        assert customer.total_appointments == 1


def test_a_typed_name_is_a_name_whatever_speech_recognition_would_say(owner: PortalClient, cast: Cast) -> None:
    for hour, typed in ((9, "My Linh Nguyen"), (10, "Laufkunde 7")):
        assert book(owner, cast.salon, customer="new", new_name=typed, time=f"{hour}:00").status_code == 303
    with tenant_scope(cast.salon.id):
        named = db.session.scalars(select(Customer.full_name).where(Customer.name_confirmed)).all()
        assert {"My Linh Nguyen", "Laufkunde 7"} <= set(named)


def test_nobody_is_written_when_the_booking_fails(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(10))
    assert book(owner, cast.salon, customer="new", new_name="Greta Vogel").status_code == 422
    with tenant_scope(cast.salon.id):
        assert db.session.scalar(select(func.count(Customer.id))) == 1


def test_customers_are_suggested_by_name_and_number(owner: PortalClient, cast: Cast) -> None:
    factories.make_customer(cast.salon, "Jörg", "Müller", phone_normalized="+49231274870")
    factories.make_customer(cast.praxis, "Anna", "Müller")
    for query in ("mueller", "0231 / 27 48 70"):
        text = text_of(owner.htmx("GET", f"/appointments/customers?q={query}"))
        assert "Jörg" in text, query
        assert "Anna" not in text
    assert "<mark>Müller</mark>" in text_of(owner.htmx("GET", "/appointments/customers?q=muller"))
    assert "noch niemanden" in text_of(owner.htmx("GET", "/appointments/customers?q=xyz"))


def test_the_search_works_without_a_script(owner: PortalClient, cast: Cast) -> None:
    text = text_of(owner.post("/appointments/new", data={"q": "demir", "find": "1"}))
    assert f'value="{cast.salon.customer.id}"' in text
    assert all_of(cast.salon) == []


def test_free_times_are_offered(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    day = SOON + timedelta(days=-SOON.isoweekday() + 8)  # next Monday
    hours = {"branch_id": firm.main.id, "weekday": 1, "opens_at": time(9), "closes_at": time(11)}
    factories.save(firm, WorkingHours(company_id=firm.id, **hours))
    factories.make_appointment(firm, start=at(9, 30, day))
    query = f"service={firm.cut.id}&staff={firm.stylist.id}&branch={firm.main.id}&date={day.isoformat()}"
    text = text_of(owner.htmx("GET", f"/appointments/slots?{query}"))
    assert re.findall(r'name="slot" value="([^"]+)"', text) == ["10:15", "other"]
    answer = book(owner, firm, date=day.isoformat(), time="", slot="10:15")
    assert answer.status_code == 303
    assert all_of(firm)[-1].start_time == at(10, 15, day)
    assert list(errors(book(owner, firm, slot="x"))) == ["time"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"until": "09:00"}, "until"),
        ({"date": (TODAY - timedelta(days=1)).isoformat()}, "date"),
        ({"date": "2027-02-30"}, "date"),
        ({"date": ""}, "date"),
        ({"time": ""}, "time"),
        ({"time": "25:00"}, "time"),
        ({"service": ""}, "service"),
        ({"service": "987654"}, "service"),
        ({"staff": "987654"}, "staff"),
        ({"branch": "987654"}, "branch"),
        ({"customer": ""}, "customer"),
        ({"customer": "987654"}, "customer"),
        ({"customer": "new"}, "customer"),
        ({"price": "viel"}, "price"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    owner: PortalClient, cast: Cast, data: dict[str, str], field: str
) -> None:
    found = errors(book(owner, cast.salon, **data))
    assert list(found) == [field]
    assert all_of(cast.salon) == []


@pytest.mark.parametrize("field", ["service", "staff", "branch", "customer"])
def test_the_other_company_s_ids_are_refused_like_missing_ones(owner: PortalClient, cast: Cast, field: str) -> None:
    theirs = booking(cast.praxis)[field]
    missing = errors(book(owner, cast.salon, **{field: 987654}))
    assert errors(book(owner, cast.salon, **{field: theirs})) == missing


def test_people_and_services_that_are_not_in_use_cannot_be_booked(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.stylist.id), "is_active", False))
    assert list(errors(book(owner, firm))) == ["staff"]
    within(firm, lambda: setattr(db.session.get_one(Service, firm.cut.id), "is_active", False))
    assert list(errors(book(owner, firm, staff=""))) == ["service"]


def test_outside_the_hours_and_while_away_nothing_can_be_booked(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 8):
        hours = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": time(9), "closes_at": time(18)}
        factories.save(firm, WorkingHours(company_id=firm.id, **hours))
    assert list(errors(book(owner, firm, time="08:00"))) == ["time"]
    assert list(errors(book(owner, firm, time="17:30"))) == ["time"]
    absence = {"staff_id": firm.stylist.id, "starts_at": at(12), "ends_at": at(14)}
    factories.save(firm, StaffAbsence(company_id=firm.id, **absence))
    assert list(errors(book(owner, firm, time="12:30"))) == ["staff"]
    assert book(owner, firm, time="10:00").status_code == 303


def test_a_taken_time_is_warned_of_and_can_be_booked_over_knowingly(owner: PortalClient, cast: Cast) -> None:
    firm, other = cast.salon, factories.make_customer(cast.salon)
    factories.make_appointment(firm, start=at(10, 30), customer_id=other.id)
    text = text_of(book(owner, firm), 422)
    assert "Peter Schäfer" in text
    assert "Trotzdem eintragen" in text
    assert list(errors(book(owner, firm, force="y"))) == ["reason"]
    assert book(owner, firm, force="y", reason="Am Telefon zugesagt").status_code == 303
    assert [row.overbooked_by for row in all_of(firm)] == [None, firm.owner.id]


def test_the_same_form_sent_twice_books_once(owner: PortalClient, cast: Cast) -> None:
    assert book(owner, cast.salon).status_code == 303
    assert book(owner, cast.salon).status_code == 422
    assert len(all_of(cast.salon)) == 1


def test_an_invalid_form_comes_back_as_a_part_with_what_was_typed(owner: PortalClient, cast: Cast) -> None:
    answer = owner.htmx("POST", "/appointments/new", data=booking(cast.salon, time="", notes="Getippt"))
    text = text_of(answer, 422)
    assert text.strip().startswith("<form")
    assert "Getippt" in text
    assert 'aria-invalid="true"' in text


def test_a_booking_from_a_call_is_tied_to_it(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    call = factories.make_call(firm, summary="Möchte einen Termin am Dienstag.")
    text = text_of(owner.get(f"/appointments/new?call={call.id}"))
    assert "Möchte einen Termin am Dienstag." in text
    assert re.search(rf'name="customer" value="{firm.customer.id}" checked', text)
    assert book(owner, firm, call=call.id).status_code == 303
    (row,) = all_of(firm)
    assert (row.call_id, row.source) == (call.id, "phone")


def test_a_foreign_call_is_not_tied(owner: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.praxis)
    assert book(owner, cast.salon, call=call.id).status_code == 303
    assert all_of(cast.salon)[0].call_id is None


def test_staff_book_at_their_branches_only(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    assert list(errors(book(client, firm, branch=firm.other.id))) == ["branch"]
    assert list(errors(book(client, firm, staff=firm.colleague.id))) == ["staff"]
    assert book(client, firm).status_code == 303


# ---- Editing ----------------------------------------------------------------------------------------------------


def edit(client: PortalClient, firm: Firm, row: Appointment, **data: Any) -> TestResponse:
    """Sends the form as it is opened now, unless another ``version`` is given."""
    known = {"version": now_of(firm, row).version}
    return client.post(f"/appointments/{row.id}/edit", data=booking(firm, **(known | data)))


def test_the_form_shows_the_appointment_and_saves_what_changed(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9, 30), price=Decimal("58.00"), customer_notes="Bitte leise")
    text = text_of(owner.get(f"/appointments/{row.id}/edit"))
    for words in (f'value="{SOON.isoformat()}"', 'value="09:30"', 'value="58,00"', "Aylin"):
        assert words in text, words
    assert edit(owner, firm, row, time="09:30", price="61,50", notes="Neu", version=1).status_code == 303
    found = now_of(firm, row)
    assert (found.price, found.internal_notes, found.customer_notes) == (Decimal("61.50"), "Neu", "Bitte leise")
    assert (found.start_time, found.ical_sequence, found.version) == (at(9, 30), 0, 2)


def test_another_service_brings_its_own_price_and_length(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    colour = factories.save(
        firm,
        Service(company_id=firm.id, name="Farbe", duration_minutes=90, price=Decimal(120), buffer_time_minutes=10),
    )
    row = factories.make_appointment(firm, start=at(9), price=Decimal("58.00"), title="Damenhaarschnitt")
    assert edit(owner, firm, row, time="09:00", service=colour.id, price="58,00").status_code == 303
    found = now_of(firm, row)
    assert (found.price, found.end_time, found.buffer_after, found.title) == (
        Decimal("120.00"),
        at(10, 30),
        10,
        "Farbe",
    )


def test_editing_an_older_version_is_a_conflict(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    tap(owner, row, "arrived")
    text = text_of(edit(owner, firm, row, version=1), 409)
    assert "Jemand hat diesen Termin geändert, während Sie daran gearbeitet haben" in text
    assert now_of(firm, row).start_time == at(9)


def test_a_past_appointment_takes_a_note(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    day = TODAY - timedelta(days=3)
    row = factories.make_appointment(firm, start=at(9, day=day))
    data = {"date": day.isoformat(), "time": "09:00", "notes": "War zufrieden"}
    assert edit(owner, firm, row, **data).status_code == 303
    assert now_of(firm, row).internal_notes == "War zufrieden"
    assert list(errors(edit(owner, firm, row, **data | {"time": "10:00"}))) == ["date"]


def test_the_second_coming_of_a_doubled_hour_survives_the_form(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=datetime(2037, 10, 25, 1, 30, tzinfo=UTC))
    data = {"date": "2037-10-25", "time": "02:30", "notes": "Nachtschicht"}
    assert edit(owner, firm, row, **data).status_code == 303
    found = now_of(firm, row)
    assert (found.start_time, found.end_time) == (row.start_time, row.start_time + timedelta(minutes=45))


def test_a_person_who_left_keeps_what_they_have(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.stylist.id), "is_active", False))
    assert edit(owner, firm, row, time="09:00", notes="x").status_code == 303
    assert now_of(firm, row).staff_id == firm.stylist.id


def test_a_cancelled_appointment_is_not_edited(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, status="cancelled")
    text_of(edit(owner, cast.salon, row), 422)


def test_the_form_tells_nothing_of_a_call_that_its_reader_may_not_see(client: PortalClient, cast: Cast) -> None:
    """Calls on the company's own line are not those of a branch; and some may see no calls at all."""
    salon = cast.salon
    theirs = factories.make_call(salon, branch_id=None, summary="Geheimes Anliegen")
    ours = factories.make_call(salon, summary="Eigenes Anliegen")
    client.sign_in(salon.staff)
    assert "Eigenes Anliegen" in client.get(f"/appointments/new?call={ours.id}").text
    assert "Geheimes Anliegen" not in client.get(f"/appointments/new?call={theirs.id}").text
    factories.deny(salon, salon.staff, "view_calls")
    assert "Eigenes Anliegen" not in client.get(f"/appointments/new?call={ours.id}").text
