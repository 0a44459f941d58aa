"""The calendar's pages: what they show to whom, parts and polling, and how much they ask the database."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.db import db, utcnow
from portal.models import PortalUser, Staff, StaffAbsence, WorkingHours
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
DAY = "/calendar?view=day&date=2027-03-09"
MOST_QUERIES = 12


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


def page(client: PortalClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return answer.get_data(as_text=True)


def part(client: PortalClient, url: str) -> str:
    return client.htmx("GET", url).get_data(as_text=True)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


# ---- What is shown ----------------------------------------------------------------------------------------------


def test_a_day_shows_who_comes_when_with_whom(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9, 30), source="phone")
    text = page(owner, DAY)
    assert "Dienstag, 9. März" in text
    assert "Aylin Demir" in text
    assert "Damenhaarschnitt" in text
    assert f'href="/appointments/{row.id}"' in text
    assert 'class="appt a-confirmed r18 s9 hue-' in text
    assert '<h2 id="s1">Sofia Klein</h2>' in text
    assert "style=" not in text


def test_statuses_have_shapes_and_words(owner: PortalClient, cast: Cast) -> None:
    for hour, status in enumerate(("scheduled", "confirmed", "completed", "cancelled", "no_show"), start=9):
        factories.make_appointment(cast.salon, start=at(hour), status=status)
    text = page(owner, DAY)
    for status, word in (("scheduled", "Geplant"), ("cancelled", "Storniert"), ("no_show", "Nicht erschienen")):
        assert f"a-{status}" in text
        assert word in text


def test_an_overlap_is_said_in_words(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(15), minutes=45)
    factories.make_appointment(cast.salon, start=at(15, 30), minutes=30)
    text = page(owner, DAY)
    assert "15:30–15:45:" in text
    assert text.count(" clash ") == 2


def test_hours_breaks_absences_and_unassigned_appointments_are_drawn(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for opens, closes in ((9, 12), (13, 17)):
        hours = {"branch_id": firm.main.id, "staff_id": firm.stylist.id, "weekday": 2}
        factories.save(firm, WorkingHours(company_id=firm.id, opens_at=time(opens), closes_at=time(closes), **hours))
    absence = {"staff_id": firm.stylist.id, "starts_at": at(15), "ends_at": at(16), "kind": "vacation"}
    factories.save(firm, StaffAbsence(company_id=firm.id, **absence))
    factories.make_appointment(firm, start=at(10), staff_id=None)
    text = page(owner, DAY)
    assert '<li class="off r0 s12"' in text
    assert '<li class="off-named r48 s12"><span>Pause' in text
    assert '<li class="off-named r84 s12"><span>Urlaub' in text
    assert "Nicht zugeteilt" in text


def test_the_night_of_the_change_names_its_zones(owner: PortalClient, cast: Cast) -> None:
    for hour in (0, 1):
        factories.make_appointment(cast.salon, start=datetime(2027, 10, 31, hour, 30, tzinfo=UTC), minutes=30)
    text = page(owner, "/calendar?date=2027-10-31")
    assert "02:00&nbsp;MESZ" in text.replace("\u00a0", "&nbsp;")
    assert "02:00&nbsp;MEZ" in text.replace("\u00a0", "&nbsp;")
    assert "MESZ → MEZ" in text


def test_an_empty_day_says_so(owner: PortalClient) -> None:
    assert "Keine Termine an diesem Tag" in page(owner, DAY)


def test_a_week_stands_day_by_day(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(10))
    factories.make_appointment(cast.salon, start=at(10, day=TUESDAY + timedelta(days=2)))
    text = page(owner, "/calendar?view=week&date=2027-03-09")
    assert "KW 10" in text
    assert 'id="d2027-03-08"' in text
    assert text.count('class="appt ') == 2


def test_a_column_says_how_many_stand_side_by_side(owner: PortalClient, cast: Cast) -> None:
    for _ in range(3):
        factories.make_appointment(cast.salon, start=at(10))
    text = page(owner, DAY)
    assert 'class="lane lanes-3 rows-' in text
    assert "cal-mid" in text


def test_a_full_week_offers_its_days_and_an_empty_one_does_not(owner: PortalClient, cast: Cast) -> None:
    week = "/calendar?view=week&date=2027-03-09"
    assert 'href="#md2027-03-09"' not in page(owner, week)
    for hour in range(8, 19):
        factories.make_appointment(cast.salon, start=at(hour))
    text = page(owner, week)
    assert 'href="#md2027-03-09"' in text
    assert 'id="md2027-03-09"' in text


def test_a_long_day_leads_on_to_who_comes_next(
    owner: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.views.calendar.utcnow", lambda: at(13, 15))
    rows = [factories.make_appointment(cast.salon, start=at(hour)) for hour in range(8, 16)]
    text = page(owner, DAY)
    assert [row.id for row in rows if f'href="#row-{row.id}"' in text] == [rows[5].id]
    monkeypatch.setattr("portal.views.calendar.utcnow", lambda: at(8, 15))
    assert 'href="#row-' not in page(owner, DAY)


def test_texts_are_escaped(owner: PortalClient, cast: Cast) -> None:
    customer = factories.make_customer(cast.salon, "<b>Bold</b>", "Tables'); --")
    factories.make_appointment(cast.salon, start=at(9), customer_id=customer.id, customer_notes="<script>x</script>")
    text = page(owner, DAY)
    assert "<b>Bold" not in text
    assert "<script>x" not in text


# ---- The address ------------------------------------------------------------------------------------------------


def test_before_and_after_keep_branch_and_person(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    text = page(owner, f"{DAY}&branch={firm.main.id}&staff={firm.stylist.id}").replace("&amp;", "&")
    for day in ("2027-03-08", "2027-03-10"):
        assert f"/calendar?view=day&date={day}&branch={firm.main.id}&staff={firm.stylist.id}" in text


@pytest.mark.parametrize("asked", ["", "nonsense", "2027-13-01", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_is_today(owner: PortalClient, asked: str) -> None:
    today = utcnow().astimezone(BERLIN).date()
    assert f'value="{today.isoformat()}"' in page(owner, f"/calendar?date={asked}")


@pytest.mark.parametrize("view", ["", "x", "Month", "day,week"])
def test_a_view_that_is_none_is_the_day(owner: PortalClient, view: str) -> None:
    text = page(owner, f"/calendar?view={view}&date=2027-03-09")
    assert "Dienstag, 9. März" in text
    assert "view=day" in text


@pytest.mark.parametrize("wish", ["branch=987654321", "staff=987654321", "branch=x", "staff=-1", "branch=" + "9" * 40])
def test_foreign_and_missing_ids_are_404(owner: PortalClient, wish: str) -> None:
    page(owner, f"/calendar?{wish}", 404)


def test_the_other_company_s_branch_and_person_look_like_missing_ones(owner: PortalClient, cast: Cast) -> None:
    missing = page(owner, "/calendar?branch=987654321", 404)
    foreign = page(owner, f"/calendar?branch={cast.praxis.main.id}", 404)
    # The page repeats its own address and the number of the request.
    told = re.compile(rf"[0-9a-f]{{32}}|branch=(987654321|{cast.praxis.main.id})|ImNz[\w.-]+|csrf[^>]+>")
    assert told.sub("", missing) == told.sub("", foreign)
    page(owner, f"/calendar?staff={cast.praxis.stylist.id}", 404)


def test_all_branches_at_once(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    factories.make_appointment(cast.salon, start=at(9), branch_id=cast.salon.other.id, staff_id=cast.salon.colleague.id)
    text = page(owner, f"{DAY}&branch=all")
    assert text.count('class="appt ') == 2
    assert "Alle Filialen" in text


# ---- Who sees what ----------------------------------------------------------------------------------------------


def test_staff_see_their_own_day_and_may_ask_for_all(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.colleague.id), "branch_id", firm.main.id))
    today = utcnow().astimezone(BERLIN).date()
    factories.make_appointment(firm, start=at(9, day=today))
    other = factories.make_customer(firm)
    factories.make_appointment(firm, start=at(9, day=today), staff_id=firm.colleague.id, customer_id=other.id)
    mine = page(client, "/calendar")
    assert "Mein Tag" in mine
    assert "Aylin Demir" in mine
    assert "Peter Schäfer" not in mine
    assert "Peter Schäfer" in page(client, "/calendar?staff=")


def test_staff_see_their_branches_only(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    client.sign_in(firm.staff)
    page(client, f"/calendar?branch={firm.other.id}", 404)
    page(client, f"/calendar?staff={firm.colleague.id}", 404)
    text = page(client, "/calendar?branch=all&staff=")
    assert firm.other.name not in text


def test_a_bound_person_whose_own_column_is_elsewhere_still_has_a_calendar(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: setattr(db.session.get_one(PortalUser, firm.staff.id), "staff_id", firm.colleague.id))
    assert "Sofia Klein" in page(client.sign_in(firm.staff), "/calendar")


def test_bookkeepers_and_strangers_see_no_calendar(client: PortalClient, cast: Cast) -> None:
    assert client.get("/calendar").status_code == 303
    assert client.sign_in(cast.salon.bookkeeper).get("/calendar").status_code == 403


def test_the_calendar_is_not_kept_by_browsers(owner: PortalClient) -> None:
    answer = owner.get("/calendar")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]


# ---- Parts and polling ------------------------------------------------------------------------------------------


def version_in(text: str) -> str:
    found = re.search(r"v=([0-9a-f]{16}-de)", text)
    assert found is not None
    return found.group(1)


def test_a_part_is_what_the_page_includes(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    answer = part(owner, DAY)
    assert "<html" not in answer
    assert answer.strip().startswith("<title>Kalender Di., 09.03.".replace(" 09", "\u00a009"))
    assert '<div id="calendar">' in answer
    assert version_in(answer) == version_in(page(owner, DAY))


def test_polling_answers_204_until_something_changes(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    version = version_in(page(owner, DAY))
    assert owner.htmx("GET", f"{DAY}&v={version}").status_code == 204
    owner.post(f"/appointments/{row.id}/status", data={"action": "arrived"})
    changed = owner.htmx("GET", f"{DAY}&v={version}")
    assert changed.status_code == 200
    assert changed.get_data(as_text=True).strip().startswith('<div id="sheet"')


def test_without_htmx_an_address_with_a_version_is_the_page(owner: PortalClient) -> None:
    assert "<html" in page(owner, f"{DAY}&v=old")


# ---- Queries ----------------------------------------------------------------------------------------------------


def fill(firm: Firm, number: int) -> None:
    for index in range(number):
        customer = factories.make_customer(firm, f"Gast{index}")
        factories.make_appointment(firm, start=at(8) + timedelta(minutes=10 * index), customer_id=customer.id)


@pytest.mark.parametrize("url", [DAY, "/calendar?view=week&date=2027-03-09", f"{DAY}&branch=all"])
def test_a_sheet_asks_the_same_few_questions_however_full_it_is(owner: PortalClient, cast: Cast, url: str) -> None:
    page(owner, url)
    with Queries() as empty:
        page(owner, url)
    fill(cast.salon, 45)
    with Queries() as full:
        page(owner, url)
    assert len(full) == len(empty)
    assert len(full) <= MOST_QUERIES, full


def test_staff_ask_as_few(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.staff)
    fill(cast.salon, 10)
    with Queries() as asked:
        page(client, DAY)
    assert len(asked) <= MOST_QUERIES, asked
