"""The day sheet on paper and the page behind its code: what they show to whom, and what they write."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import segno
from sqlalchemy import func, select, update

from portal.db import db, utcnow
from portal.models import Appointment, Branch, BranchClosure, DaySheetPrint
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import PASSWORD, Cast, Firm
from tests.conftest import PortalClient
from tests.factories import save, within
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
SHEET = "/calendar/print?date=2027-03-09"
MOST_QUERIES = 16  # the frame's included


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def page(client: PortalClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return answer.get_data(as_text=True)


def codes(text: str) -> list[str]:
    return re.findall(r'<strong class="num code">([^<]+)</strong>', text)


def prints(firm: Firm) -> int:
    db.session.rollback()
    with tenant_scope(firm.id):
        return db.session.scalar(select(func.count()).select_from(DaySheetPrint)) or 0


def put(firm: Firm, row: Appointment, **values: Any) -> None:
    within(firm, lambda: db.session.execute(update(Appointment).where(Appointment.id == row.id).values(**values)))


# ---- Paper ------------------------------------------------------------------------------------------------------


def test_a_sheet_says_who_comes_when_to_whom_for_what(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9, 30), customer_notes="bitte leise")
    text = page(owner, SHEET)
    for word in ("Dienstag, 9. März 2027", "Salon Test Mitte", "09:30–10:15", "Aylin Demir", "Damenhaarschnitt",
                 "45 Min.", "Sofia Klein", "bitte leise", "Bestätigt", "erster Besuch", "1 Termin"):  # fmt: skip
        assert word in text, word
    assert 'class="box"' in text
    assert "style=" not in text


def test_a_sheet_carries_its_stamp_its_code_and_a_picture_of_the_address(owner: PortalClient, cast: Cast) -> None:
    text = page(owner, SHEET)
    with tenant_scope(cast.salon.id):
        row = db.session.scalars(select(DaySheetPrint)).one()
    assert codes(text) == [f"{row.code[:4]}-{row.code[4:]}"]
    stamp = row.created_at.astimezone(BERLIN).strftime("%d.%m.%Y, %H:%M")
    assert f"Stand {stamp}" in text
    assert "gedruckt" in text
    assert "Katharina Owner" in text
    drawn = segno.make(f"http://localhost/calendar/changes/{row.code}", error="m", micro=False).svg_inline(border=2)
    line = re.search(r' d="[^"]+"', drawn)
    assert line
    assert line[0] in text
    assert "localhost/calendar/changes" in text


def test_loading_the_page_again_writes_nothing(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    first = page(owner, SHEET)
    with Queries() as asked:
        again = page(owner, SHEET)
    assert codes(first) == codes(again)
    assert prints(cast.salon) == 1
    assert [one for one in asked if one.startswith(("INSERT", "UPDATE"))] == []
    factories.make_appointment(cast.salon, start=at(11))
    assert codes(page(owner, SHEET)) != codes(first)
    assert prints(cast.salon) == 2


def test_statuses_are_words_and_what_is_over_has_no_box(owner: PortalClient, cast: Cast) -> None:
    for hour, status in enumerate(("scheduled", "confirmed", "completed", "cancelled", "no_show"), start=9):
        factories.make_appointment(cast.salon, start=at(hour), status=status)
    text = page(owner, SHEET)
    for word in ("Geplant", "Bestätigt", "Erledigt", "Storniert", "Nicht erschienen"):
        assert word in text
    assert text.count('class="box"') == 2
    assert text.count('<tr class="cut">') == 2


@pytest.mark.parametrize("many", [0, 1, 45])
def test_every_appointment_is_one_line(owner: PortalClient, cast: Cast, many: int) -> None:
    for number in range(many):
        factories.make_appointment(cast.salon, start=at(8) + timedelta(minutes=10 * number), minutes=10)
    text = page(owner, SHEET)
    assert text.count('<th scope="row">') == many
    assert ("Keine Termine an diesem Tag" in text) is (many == 0)
    assert f"{many} Termin" in text


def test_a_sheet_asks_little_of_the_database(owner: PortalClient, cast: Cast) -> None:
    for hour in range(8, 18):
        factories.make_appointment(cast.salon, start=at(hour))
    page(owner, SHEET)
    with Queries() as asked:
        page(owner, SHEET)
    assert len(asked) <= MOST_QUERIES


def test_one_persons_sheet_holds_only_theirs(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    other = factories.make_customer(firm, "Fremder", "Kunde")
    factories.make_appointment(firm, start=at(9))
    factories.make_appointment(firm, start=at(9), staff_id=firm.colleague.id, customer_id=other.id)
    text = page(owner, f"{SHEET}&staff={firm.stylist.id}")
    assert "Aylin Demir" in text
    assert "Fremder" not in text
    assert "· Sofia Klein ·" in text


def test_all_branches_are_a_sheet_each(owner: PortalClient, cast: Cast) -> None:
    text = page(owner, f"{SHEET}&branch=all")
    assert text.count('<article class="a4"') == len(set(codes(text))) == 2


def test_a_closed_day_says_why(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=TUESDAY, reason="Inventur"))
    assert "Geschlossen: Inventur" in page(owner, SHEET)


def test_a_public_holiday_says_its_name_and_its_appointments_stay(owner: PortalClient, cast: Cast) -> None:
    firm, where = cast.salon, Branch.id == cast.salon.main.id
    within(firm, lambda: db.session.execute(update(Branch).where(where).values(country="DE", region="BE")))
    factories.make_appointment(firm, start=at(9, day=date(2027, 10, 3)))
    text = page(owner, "/calendar/print?date=2027-10-03")
    assert "Geschlossen: Tag der Deutschen Einheit" in text
    assert "Aylin Demir" in text


def test_the_night_of_a_clock_change_names_the_zone(owner: PortalClient, cast: Cast) -> None:
    for hour in (0, 1):
        factories.make_appointment(cast.salon, start=datetime(2027, 10, 31, hour, 30, tzinfo=UTC), minutes=20)
    text = page(owner, "/calendar/print?date=2027-10-31").replace("\u00a0", " ")
    assert text.index("02:30–02:50 MESZ") < text.index("02:30–02:50 MEZ")


def test_long_and_hostile_texts_stay_texts(owner: PortalClient, cast: Cast) -> None:
    long = factories.make_customer(cast.salon, "<b>Maximiliane-Friederike-Charlotte", "Sonnleithner" * 6)
    factories.make_appointment(cast.salon, start=at(9), customer_id=long.id, customer_notes="<script>x</script>" * 90)
    text = page(owner, SHEET)
    assert "<b>Max" not in text
    assert "<script>x" not in text
    assert text.count("&lt;script") <= 14  # cut: a line must fit onto a page


def test_htmx_is_told_to_load_the_paper_as_a_page_of_its_own(owner: PortalClient, cast: Cast) -> None:
    for headers in ({"HX-Request": "true", "HX-Boosted": "true"}, {"HX-Request": "true"}):
        answer = owner.get(SHEET, headers=headers)
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, SHEET)
    assert prints(cast.salon) == 0


# ---- Who sees what ----------------------------------------------------------------------------------------------


def test_staff_see_their_branches_and_no_other(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    staff = client.sign_in(firm.staff)
    assert "Salon Test Mitte" in page(staff, SHEET)
    assert page(staff, f"{SHEET}&branch=all").count('<article class="a4"') == 1
    for query in (
        f"branch={firm.other.id}",
        f"branch={cast.praxis.main.id}",
        f"staff={cast.praxis.stylist.id}",
        "branch=x",
    ):
        page(staff, f"{SHEET}&{query}", 404)
    assert prints(firm) == 1


def test_who_may_not_know_customers_gets_initials_without_numbers(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9), customer_notes="Aylin kommt mit Hund")
    sheet = factories.make_day_print(firm, TUESDAY)
    put(firm, row, status="cancelled")
    factories.deny(firm, firm.staff, "view_customers")
    staff = client.sign_in(firm.staff)
    for url in (SHEET, f"/calendar/changes/{sheet.code}"):
        text = page(staff, url)
        assert "A. D." in text, url
        for word in ("Aylin", "Demir", "Hund", "tel:", firm.customer.phone_normalized or "?"):
            assert word not in text, (url, word)


def test_the_bookkeeper_sees_no_sheet_and_no_changes(client: PortalClient, cast: Cast) -> None:
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    for url in (SHEET, "/calendar/changes", f"/calendar/changes/{sheet.code}"):
        page(client.sign_in(cast.salon.bookkeeper), url, 403)


def test_a_phone_that_scans_a_sheet_lands_on_the_changes_after_its_login(client: PortalClient, cast: Cast) -> None:
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    door = client.get(f"/calendar/changes/{sheet.code}")
    assert door.status_code == 303
    signed_in = client.post(door.location, data={"email": cast.salon.staff.email, "password": PASSWORD})
    assert signed_in.location.endswith(f"/calendar/changes/{sheet.code}")
    assert "Seit" in page(client, signed_in.location)


# ---- What has changed since -------------------------------------------------------------------------------------


def test_only_what_has_changed_is_shown(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    still = factories.make_customer(firm, "Bleibt", "Stehen")
    factories.make_appointment(firm, start=at(8), customer_id=still.id)
    moved = factories.make_appointment(firm, start=at(9))
    sheet = factories.make_day_print(firm, TUESDAY)
    put(firm, moved, start_time=at(10), end_time=at(10, 45))
    new = factories.make_customer(firm, "Neue", "Kundin")
    factories.make_appointment(firm, start=at(15), customer_id=new.id)
    text = page(owner, f"/calendar/changes/{sheet.code.lower()}")
    for word in ("2 Änderungen seit", "Verschoben", "09:00–09:45", "10:00–10:45", "Neue Kundin", "Neu drucken"):
        assert word in text, word
    assert "Bleibt" not in text
    assert f"date=2027-03-09&amp;branch={firm.main.id}" in text


def test_what_only_takes_longer_has_not_moved(owner: PortalClient, cast: Cast) -> None:
    longer = factories.make_appointment(cast.salon, start=at(9))
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    put(cast.salon, longer, end_time=at(10, 15))
    text = page(owner, f"/calendar/changes/{sheet.code}")
    assert "09:00–10:15" in text
    assert "Geändert" in text
    assert "Verschoben" not in text


def test_nothing_has_changed_is_an_answer(owner: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    text = page(owner, f"/calendar/changes/{sheet.code}")
    assert f"Seit {utcnow().astimezone(BERLIN):%H:}" in text
    assert "hat sich nichts geändert" in text
    assert "Aylin" not in text


def test_the_page_keeps_itself_up_to_date(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    found = re.search(r'hx-get="([^"]+v=[^"]+)" hx-trigger="every 20s"', page(owner, f"/calendar/changes/{sheet.code}"))
    assert found
    assert owner.htmx("GET", found[1]).status_code == 204
    put(cast.salon, row, status="cancelled")
    part = owner.htmx("GET", found[1])
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "Storniert" in part.text


def test_changes_ask_little_of_the_database_however_many(owner: PortalClient, cast: Cast) -> None:
    rows = [factories.make_appointment(cast.salon, start=at(hour)) for hour in range(8, 18)]
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    for row in rows:
        put(cast.salon, row, status="cancelled", staff_id=cast.salon.colleague.id, start_time=at(7), end_time=at(8))
    with Queries() as asked:
        page(owner, f"/calendar/changes/{sheet.code}")
    assert len(asked) <= MOST_QUERIES + 4


@pytest.mark.parametrize(
    "spelling", [str.lower, lambda code: f" {code[:4]} {code[4:]} ", lambda code: f"{code[:4]}-{code[4:]}"]
)
def test_a_code_may_be_typed_as_one_likes(owner: PortalClient, cast: Cast, spelling: Any) -> None:
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    answer = owner.get("/calendar/changes", query_string={"code": spelling(sheet.code)})
    assert answer.status_code == 303
    assert answer.location.endswith(f"/calendar/changes/{sheet.code}")


def test_a_wrong_code_gets_its_message_beside_the_field(owner: PortalClient) -> None:
    assert "code-e" not in page(owner, "/calendar/changes")
    for url, status in (("/calendar/changes?code=XXXXXXXX", 422), ("/calendar/changes/XXXXXXXX", 404)):
        text = page(owner, url, status)
        assert 'id="code-e"' in text
        assert "Diesen Code kennen wir nicht" in text
        assert 'value="XXXXXXXX"' in text
    assert "Bitte geben Sie den Code ein" in page(owner, "/calendar/changes?code=%20-", 422)


def test_other_companies_and_branches_codes_are_as_unknown_as_any(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hidden = factories.make_day_print(firm, TUESDAY, branch_id=firm.other.id)
    foreign = factories.make_day_print(cast.praxis, TUESDAY)
    staff = client.sign_in(firm.staff)

    def said(code: str) -> str:
        text = page(staff, f"/calendar/changes/{code}", 404).replace(code, "")
        return re.sub(r'(csrf_token" value=|X-CSRFToken": )"[^"]*"|[?&]v=[\w.-]+', "", text)

    assert said(hidden.code) == said(foreign.code) == said("XXXXXXXX")
    assert page(client.sign_in(firm.owner), f"/calendar/changes/{hidden.code}")


def test_guessing_comes_to_an_end_and_looking_does_not(limited: tuple[PortalClient, Cast]) -> None:
    owner, cast = limited
    sheet = factories.make_day_print(cast.salon, TUESDAY)
    for _number in range(40):
        page(owner, f"/calendar/changes/{sheet.code}")
    answers = [owner.get(f"/calendar/changes/XXXXXX{number:02}").status_code for number in range(32)]
    assert (answers[0], answers[-1]) == (404, 429)
