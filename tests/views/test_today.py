"""The counter's screen as a page: what strangers may read over the counter, taps, polling, midnight."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.db import db
from portal.models import Appointment
from portal.tenancy import tenant_scope
from portal.views import today as view
from tests import factories
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
MOST_QUERIES = 14


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


class Clock:
    now = at(8, 55)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(view, "utcnow", lambda: made.now)
    return made


@pytest.fixture
def staff(client: PortalClient, cast: Cast, clock: Clock) -> PortalClient:
    return client.sign_in(cast.salon.staff)


def page(client: PortalClient, url: str = "/calendar/today", status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return answer.get_data(as_text=True)


def poll(text: str) -> str:
    found = re.search(r'hx-get="([^"]+v=[^"]+)" hx-trigger="every 20s"', text)
    assert found
    return found[1].replace("&amp;", "&")


def arrived(cast: Cast, row: Appointment) -> datetime | None:
    db.session.rollback()
    with tenant_scope(cast.salon.id):
        return db.session.get_one(Appointment, row.id, populate_existing=True).arrived_at


def address(row: Appointment) -> str:
    return f"/calendar/today/{row.id}/arrived"


def tap(row: Appointment, action: str = "arrived", **more: object) -> dict[str, object]:
    return {"version": row.version, "action": action, **more}


# ---- What is shown ----------------------------------------------------------------------------------------------


def test_the_screen_says_who_comes_to_whom(staff: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    text = page(staff)
    for word in ("08:55", "Dienstag, 9. März", "Salon Test Mitte", "Sofia Klein", "Aylin Demir", "09:00",
                 "frei bis 09:00", "Ist da", "Aktualisiert"):  # fmt: skip
        assert word in text, word
    for word in ('id="menu"', 'class="side"', "bottomnav", "tel:", "style="):
        assert word not in text, word
    assert 'href="/calendar?view=day' in text


def test_the_discreet_screen_has_initials_alone(staff: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), customer_notes="Aylin kommt mit Hund")
    for answer in (
        page(staff, "/calendar/today?discreet=1"),
        staff.htmx("GET", poll(page(staff, "/calendar/today?discreet=1")).replace("v=", "v=x")).text,
        staff.htmx("POST", address(row), data=tap(row, discreet="1")).text,
    ):
        assert "A. D." in answer
        for word in ("Aylin", "Demir", "Damenhaarschnitt", "Hund"):
            assert word not in answer


def test_who_may_not_know_customers_has_no_way_to_their_names(staff: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    factories.deny(cast.salon, cast.salon.staff, "view_customers")
    for url in ("/calendar/today", "/calendar/today?discreet="):
        text = page(staff, url)
        assert "A. D." in text
        assert "Aylin" not in text
        assert "discreet=1" not in text


def test_staff_see_their_branches_and_no_other(staff: PortalClient, cast: Cast) -> None:
    for branch in (cast.salon.other.id, cast.praxis.main.id, "x"):
        page(staff, f"/calendar/today?branch={branch}", 404)
    assert "Salon Test Nord" not in page(staff)


def test_the_bookkeeper_sees_no_screen(client: PortalClient, cast: Cast) -> None:
    page(client.sign_in(cast.salon.bookkeeper), status=403)


def test_the_screen_asks_little_of_the_database(staff: PortalClient, cast: Cast) -> None:
    for hour in range(9, 18):
        factories.make_appointment(cast.salon, start=at(hour))
    with Queries() as asked:
        page(staff)
    assert len(asked) <= MOST_QUERIES


def test_htmx_is_told_to_load_the_screen_as_a_page_of_its_own(staff: PortalClient) -> None:
    answer = staff.get("/calendar/today", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"].rstrip("?")) == (204, "/calendar/today")


# ---- By itself --------------------------------------------------------------------------------------------------


def test_the_screen_changes_with_the_minute_and_with_what_happens(
    staff: PortalClient, cast: Cast, clock: Clock
) -> None:
    address = poll(page(staff))
    assert "date=" not in address
    clock.now += timedelta(seconds=30)
    assert staff.htmx("GET", address).status_code == 204
    factories.make_appointment(cast.salon, start=at(9))
    part = staff.htmx("GET", address)
    assert part.status_code == 200
    assert "Aylin Demir" in part.text
    assert "<html" not in part.text
    clock.now += timedelta(minutes=1)
    assert "08:56" in staff.htmx("GET", poll(part.text)).text


def test_the_new_day_comes_by_itself(staff: PortalClient, cast: Cast, clock: Clock) -> None:
    factories.make_appointment(cast.salon, start=at(9, day=TUESDAY + timedelta(days=1)))
    clock.now = at(23, 59)
    text = page(staff)
    assert "Aylin Demir" not in text
    clock.now = at(0, day=TUESDAY + timedelta(days=1))
    after = staff.htmx("GET", poll(text)).text
    assert "Mittwoch, 10. März" in after
    assert "Aylin Demir" in after


# ---- One tap ----------------------------------------------------------------------------------------------------


def test_one_tap_says_that_somebody_is_here_and_another_takes_it_back(staff: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    part = staff.htmx("POST", address(row), data=tap(row))
    assert part.status_code == 200
    assert part.text.startswith('<div class="stack" id="today"')
    assert "Noch nicht da" in part.text
    assert arrived(cast, row) == at(8, 55)
    row.version += 1
    assert staff.htmx("POST", address(row), data=tap(row, "back")).status_code == 200
    assert arrived(cast, row) is None


def test_the_button_stands_at_the_next_who_is_not_here_yet(staff: PortalClient, cast: Cast) -> None:
    rows = [factories.make_appointment(cast.salon, start=at(hour)) for hour in (9, 10, 11)]
    staff.htmx("POST", address(rows[0]), data=tap(rows[0]))
    text = page(staff)
    assert text.count('value="arrived"') == 1
    line = text.partition(f'id="t{rows[1].id}"')[2].partition("</li>")[0]
    assert 'value="arrived"' in line


def test_without_javascript_the_tap_leads_back_to_the_same_screen(staff: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    answer = staff.post(address(row), data=tap(row, discreet="1"))
    assert answer.status_code == 303
    assert answer.location.endswith(f"/calendar/today?branch={cast.salon.main.id}&discreet=1")


@pytest.mark.parametrize("action", ["completed", "no_show", "cancel", ""])
def test_the_counter_does_nothing_else(staff: PortalClient, cast: Cast, action: str) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    answer = staff.htmx("POST", address(row), data=tap(row, action))
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert arrived(cast, row) is None


@pytest.mark.parametrize("status", ["confirmed", "completed", "no_show", "cancelled"])
def test_the_counter_takes_nothing_back_but_an_arrival(staff: PortalClient, cast: Cast, status: str) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), status=status)
    assert staff.htmx("POST", address(row), data=tap(row, "back")).status_code == 409
    db.session.rollback()
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Appointment, row.id, populate_existing=True).status == status


def test_a_tap_on_what_has_changed_meanwhile_says_so_and_shows_how_it_stands(staff: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), version=3)
    row.version = 2
    for answer in (
        staff.htmx("POST", address(row), data=tap(row)),
        staff.post(address(row), data=tap(row)),
    ):
        assert answer.status_code == 409
        assert 'role="alert"' in answer.text
    assert arrived(cast, row) is None


def test_a_tap_on_another_branchs_or_companys_appointment_is_refused(staff: PortalClient, cast: Cast) -> None:
    theirs = factories.make_appointment(cast.salon, start=at(9), branch_id=cast.salon.other.id)
    for row in (theirs, factories.make_appointment(cast.praxis, start=at(9))):
        assert staff.post(address(row), data=tap(row)).status_code == 404
    assert arrived(cast, theirs) is None


def test_who_may_not_change_appointments_gets_no_button(client: PortalClient, cast: Cast, clock: Clock) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    factories.deny(cast.salon, cast.salon.staff, "edit_appointments")
    staff = client.sign_in(cast.salon.staff)
    assert "/arrived" not in page(staff)
    assert staff.post(address(row), data=tap(row)).status_code == 403
