"""The next free times: listed in the form of an appointment, taken with one click, and on a page without a script."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from portal.db import db
from portal.forms.appointments import AppointmentForm
from portal.models import Branch, WorkingHours
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import save, within
from tests.pages import Node, parse
from tests.views.test_appointments import all_of, text_of

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = date(2027, 10, 31)  # 3 o'clock becomes 2 again
DAY = timedelta(days=1)
NOW = datetime(2027, 10, 28, 6, 0, tzinfo=UTC)  # a Thursday, 8 o'clock


@pytest.fixture
def owner(client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> PortalClient:
    for module in ("portal.views.next_times", "portal.views.booking_desk", "portal.views.appointments"):
        monkeypatch.setattr(f"{module}.utcnow", lambda: NOW)
    return client.sign_in(cast.salon.owner)


def hours(firm: Firm, weekday: int, opens: time, closes: time) -> None:
    values = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": opens, "closes_at": closes}
    save(firm, WorkingHours(company_id=firm.id, **values))


def filled(firm: Firm, **values: object) -> dict[str, object]:
    start = {"customer": firm.customer.id, "branch": firm.main.id, "service": firm.cut.id, "date": "2027-10-28"}
    return start | {"time": "", "staff": ""} | values


def offers(page: Node) -> list[tuple[str, datetime]]:
    """What is to be read on the buttons, and the instant that they send."""
    found = [(button.text, int(button["value"].split("-")[0])) for button in page.select("button[name=take]")]
    return [(text, datetime.fromtimestamp(second, UTC)) for text, second in found]


def test_the_form_lists_the_next_times_with_anybody_and_who_it_would_be(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(10))
    page = parse(text_of(owner.get(f"/appointments/new?service={firm.cut.id}&branch={firm.main.id}&date=2027-10-30")))
    assert [text for text, _ in offers(page)] == ["09:00 Sofia Klein", "09:15 Sofia Klein"] * 5
    days = [group["aria-label"] for group in page.select("div[role=group]")]
    assert days[:2] == ["Freitag, 5. November", "Freitag, 12. November"]
    assert offers(page)[0][1] == datetime(2027, 11, 5, 9, tzinfo=BERLIN)


def test_a_click_fills_the_form_and_saves_nothing(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(10))
    start = datetime(2027, 10, 29, 9, 15, tzinfo=BERLIN)
    value = f"{int(start.timestamp())}-{firm.stylist.id}"
    page = parse(text_of(owner.post("/appointments/new", data=filled(firm, notes="Trinkgeld", take=value))))
    assert all_of(firm) == []
    assert page.one("#date")["value"] == "2027-10-29"
    assert page.one("textarea[name=notes]").text == "Trinkgeld"
    assert [radio["value"] for radio in page.select("input[name=slot]") if "checked" in radio] == ["09:15"]
    chosen = [option["value"] for option in page.select("select[name=staff] option") if "selected" in option]
    assert chosen == [str(firm.stylist.id)]


@pytest.mark.parametrize("value", ["x", "-", "99999999999999999-1", "1824796800-987654", "1824796800-", "٣-1"])
def test_what_is_no_time_of_anybody_fills_in_nothing_that_could_be_booked(
    owner: PortalClient, cast: Cast, value: str
) -> None:
    firm = cast.salon
    assert owner.post("/appointments/new", data=filled(firm, take=value)).status_code == 200
    assert all_of(firm) == []


def test_later_times_follow_without_a_gap(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(9, 45))
    seen: list[datetime] = []
    data = filled(firm, find="1")
    for _ in range(3):
        page = parse(text_of(owner.htmx("POST", "/appointments/new", data=data)))
        seen += [start for _, start in offers(page)]
        data = filled(firm, later=page.one("button[name=later]")["value"])
    assert seen == [datetime(2027, 10, 29, 9, tzinfo=BERLIN) + 7 * number * DAY for number in range(15)]


def test_enter_books_and_does_not_take_the_first_time(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(10))
    page = parse(text_of(owner.get(f"/appointments/new?service={firm.cut.id}")))
    buttons = [
        button for button in page.select("form#appt-form button") if button.element.getparent().tag != "noscript"
    ]
    assert "name" not in buttons[0]
    assert any("name" in button for button in buttons)


def test_the_doubled_hour_is_told_apart_and_booked_as_chosen(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 7, time(2), time(3))
    query = f"service={firm.cut.id}&staff={firm.stylist.id}&branch={firm.main.id}&date={AUTUMN.isoformat()}"
    text = text_of(owner.htmx("GET", f"/appointments/slots?{query}"))
    values = re.findall(r'name="slot" value="([^"]+)"', text)
    assert values == ["02:00/1", "02:15/1", "02:30/1", "02:45/1", "02:00/2", "02:15/2", "other"]
    assert "02:15\xa0MESZ" in text
    assert "02:15\xa0MEZ" in text
    data = filled(firm, date=AUTUMN.isoformat(), staff=firm.stylist.id, slot="02:15/2", source="admin")
    assert owner.post("/appointments/new", data=data).status_code == 303
    (row,) = all_of(firm)
    assert row.start_time == datetime(2027, 10, 31, 1, 15, tzinfo=UTC)


def test_the_page_has_links_that_open_the_form_filled_in(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 7, time(2), time(3))
    query = f"service={firm.cut.id}&branch={firm.main.id}&date={AUTUMN.isoformat()}&customer={firm.customer.id}"
    page = parse(text_of(owner.get(f"/appointments/slots?{query}")))
    links = [link for link in page.select("a.free") if "coming=2" in link["href"]]
    asked = {name: value for name, (value,) in parse_qs(urlsplit(links[-1]["href"]).query).items()}
    assert asked["customer"] == str(firm.customer.id)
    form = parse(text_of(owner.get(links[-1]["href"])))
    assert [radio["value"] for radio in form.select("input[name=slot]") if "checked" in radio] == ["02:15/2"]


def test_the_page_asks_for_a_service_first(owner: PortalClient, cast: Cast) -> None:
    text = text_of(owner.get("/appointments/slots"))
    assert "wählen Sie eine Leistung" in text
    assert 'class="free"' not in text


def test_times_below_the_notice_are_marked(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 4, time(9), time(10))  # today
    hours(firm, 5, time(9), time(10))
    page = parse(text_of(owner.get(f"/appointments/slots?service={firm.cut.id}&branch={firm.main.id}")))
    marked = ["online nicht buchbar" in link.text for link in page.select("a.free")]
    assert marked[:4] == [True, True, False, False]
    assert "Vorlaufzeit" in page.text


def test_staff_are_offered_nobody_and_nothing_of_other_branches(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 8):
        hours(firm, weekday, time(0), time(23, 59))

    def lend() -> None:
        row = {"branch_id": firm.main.id, "staff_id": firm.colleague.id, "opens_at": time(9), "closes_at": time(12)}
        db.session.add_all(WorkingHours(company_id=firm.id, weekday=weekday, **row) for weekday in range(1, 8))

    within(firm, lend)
    client.sign_in(firm.staff)
    page = parse(text_of(client.get(f"/appointments/slots?service={firm.cut.id}&branch={firm.other.id}")))
    assert page.one("#h-free").text == firm.main.name
    assert "Tim Yilmaz" not in page.text
    assert "Sofia Klein" in page.text
    staff = parse(text_of(client.get(f"/appointments/slots?service={firm.cut.id}&staff={firm.colleague.id}")))
    assert staff.select("a.free") == []


def test_another_company_s_service_and_people_offer_nothing(owner: PortalClient, cast: Cast) -> None:
    hours(cast.salon, 5, time(9), time(10))
    for query in (f"service={cast.praxis.cut.id}", f"service={cast.salon.cut.id}&staff={cast.praxis.stylist.id}"):
        assert parse(text_of(owner.get(f"/appointments/slots?{query}"))).select("a.free") == []


def test_the_appointment_that_is_edited_is_not_in_its_own_way(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(9, 45))
    start = datetime(2027, 10, 29, 9, tzinfo=BERLIN).astimezone(UTC)
    row = factories.make_appointment(firm, start=start)
    page = parse(text_of(owner.get(f"/appointments/{row.id}/edit")))
    assert [radio["value"] for radio in page.select("input[name=slot]")] == ["09:00", "other"]


def test_a_branch_in_another_zone_shows_its_own_clock(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    hours(firm, 5, time(9), time(9, 45))
    within(firm, lambda: setattr(db.session.get_one(Branch, firm.main.id), "timezone", "Europe/Istanbul"))
    page = parse(text_of(owner.get(f"/appointments/new?service={firm.cut.id}&branch={firm.main.id}&date=2027-10-29")))
    assert offers(page)[0] == ("09:00 Sofia Klein", datetime(2027, 10, 29, 6, tzinfo=UTC))


@pytest.mark.parametrize(("fold", "coming"), [(0, "1"), (1, "2")])
def test_who_walks_in_during_the_doubled_hour_is_booked_for_that_one(app: Flask, fold: int, coming: str) -> None:
    with app.test_request_context("/appointments/new", method="POST", data={"source": "walk_in"}):
        form = AppointmentForm(meta={"csrf": False})
        form.take_now(datetime(2027, 10, 31, 2, 33, fold=fold, tzinfo=BERLIN))
    assert (form.time.data, form.coming.data) == (time(2, 30), coming)
