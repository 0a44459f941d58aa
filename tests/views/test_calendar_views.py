"""Month and list as pages: what they show to whom, their addresses, parts and polls, and what they ask the database."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.db import db
from portal.models import BranchClosure, PortalUser
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
DAY = "/calendar?view=day&date=2027-03-09"
MONTH = "/calendar?view=month&date=2027-03-09"
LIST = "/calendar?view=list&date=2027-03-09"
AUTUMN = "2027-10-31"
MOST_QUERIES = 13


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


def page(client: PortalClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, url
    return answer.get_data(as_text=True).replace("\u00a0", " ").replace("&amp;", "&")


def part(client: PortalClient, url: str, status: int = 200) -> str:
    answer = client.htmx("GET", url)
    assert answer.status_code == status, url
    return answer.get_data(as_text=True).replace("\u00a0", " ").replace("&amp;", "&")


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def english(firm: Firm) -> None:
    within(firm, lambda: setattr(db.session.get_one(PortalUser, firm.owner.id), "language", "en"))


# ---- The bar ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["day", "week", "month", "list"])
def test_every_view_leads_to_the_others_and_to_what_else_there_is(owner: PortalClient, cast: Cast, view: str) -> None:
    main = cast.salon.main.id
    text = page(owner, f"/calendar?view={view}&date=2027-03-09&branch={main}")
    for other in ("day", "week", "month", "list"):
        assert f'href="/calendar?view={other}&date=2027-03-09&branch={main}&staff="' in text
    assert re.search(rf'id="cal-{view}"[^>]* aria-current="page"', text)
    for link in (
        f"/calendar/print?date=2027-03-09&branch={main}",
        f"/calendar/today?branch={main}",
        "/calendar/feeds",
        "/calendar/changes",
        f"/settings/hours?branch={main}",
    ):
        assert f'href="{link}"' in text, link
    assert "style=" not in text


@pytest.mark.parametrize("view", ["day", "week", "month", "list"])
def test_every_view_speaks_english_as_well(owner: PortalClient, cast: Cast, view: str) -> None:
    english(cast.salon)
    factories.make_appointment(cast.salon, start=at(9), status="scheduled")
    text = page(owner, f"/calendar?view={view}&date=2027-03-09")
    main = text.partition("<main")[2].partition("</main>")[0]
    for word in (">Month<", "Keys of the calendar", "Working hours", "Screen for the counter", "1 not confirmed yet"):
        assert word in main
    for word in ("Termin", "Monat", "Woche", "Filiale"):
        assert word not in main


@pytest.mark.parametrize("view", ["day", "week", "month", "list"])
def test_what_a_key_does_is_a_link_and_is_said(owner: PortalClient, view: str) -> None:
    text = page(owner, f"/calendar?view={view}&date=2027-03-09")
    for keys in ("t", "d", "w", "m", "l", "n", "p", "ArrowLeft k", "ArrowRight j"):
        assert re.search(rf'<a [^>]*data-keys="{keys}"', text), keys
    assert "js/calendar" in text
    assert "<kbd>?</kbd>" in text


def test_staff_do_not_see_what_is_for_managers(client: PortalClient, cast: Cast) -> None:
    text = page(client.sign_in(cast.salon.staff), DAY)
    assert "/settings/hours" not in text
    assert "/calendar/feeds" in text
    assert "/settings/hours" in page(client.sign_in(cast.salon.manager), DAY)


@pytest.mark.parametrize(
    ("view", "day", "before", "after"),
    [
        ("day", "2027-03-01", "2027-02-28", "2027-03-02"),
        ("week", "2027-03-09", "2027-03-02", "2027-03-16"),
        ("month", "2027-03-31", "2027-02-28", "2027-04-30"),
        ("month", "2027-12-15", "2027-11-15", "2028-01-15"),
        ("list", "2027-03-09", "2027-02-23", "2027-03-23"),
        ("day", "2000-01-01", "2000-01-01", "2000-01-02"),
        ("month", "2100-12-31", "2100-11-30", "2100-12-31"),
        ("week", "2100-12-31", "2100-12-24", "2100-12-31"),
    ],
)
def test_previous_and_next(owner: PortalClient, view: str, day: str, before: str, after: str) -> None:
    text = page(owner, f"/calendar?view={view}&date={day}")
    for name, there in (("before", before), ("after", after)):
        assert re.search(rf'id="cal-{name}" href="/calendar\?view={view}&date={there}&', text), name


def test_the_zone_is_named_to_who_lives_in_another(owner: PortalClient, cast: Cast) -> None:
    assert "Zeiten von" not in page(owner, DAY)
    within(cast.salon, lambda: setattr(db.session.get_one(PortalUser, cast.salon.owner.id), "timezone", "Asia/Tokyo"))
    for url in (DAY, MONTH, LIST):
        assert "Zeiten von Europe/Berlin" in page(owner, url)


# ---- The month --------------------------------------------------------------------------------------------------


def test_a_month_shows_counts_and_leads_to_days_and_weeks(owner: PortalClient, cast: Cast) -> None:
    rows = [factories.make_appointment(cast.salon, start=at(hour), status="scheduled") for hour in range(9, 14)]
    text = page(owner, MONTH)
    assert "März 2027" in text
    assert 'aria-label="Dienstag, 9. März, 5 Termine"' in text
    assert "+2 weitere" in text
    assert "5 noch unbestätigt" in text
    assert [f'href="/appointments/{row.id}"' in text for row in rows] == [True, True, True, False, False]
    assert "/calendar?view=day&date=2027-03-09&branch=all&staff=" in text
    assert re.search(r'view=week&date=2027-03-08&[^"]*" aria-label="KW 10"', text)


def test_a_busy_day_stays_one_cell(owner: PortalClient, cast: Cast) -> None:
    for minute in range(200):
        factories.make_appointment(cast.salon, start=at(8) + timedelta(minutes=3 * minute), minutes=3)
    text = page(owner, MONTH)
    assert len(re.findall(r'href="/appointments/\d+"', text)) == 3
    assert "+197 weitere" in text


def test_closed_days_and_changes_of_the_clock_are_said(owner: PortalClient, cast: Cast) -> None:
    closed = {"branch_id": cast.salon.main.id, "date": TUESDAY, "reason": "<i>Inventur</i>"}
    factories.save(cast.salon, BranchClosure(company_id=cast.salon.id, **closed))
    text = page(owner, f"{MONTH}&branch={cast.salon.main.id}")
    assert "&lt;i&gt;Inventur" in text
    assert "<i>Inventur" not in text
    assert "MEZ → MESZ" in text
    assert "MESZ → MEZ" in page(owner, f"/calendar?view=month&date={AUTUMN}")


def test_a_month_is_polled_with_204(owner: PortalClient, cast: Cast) -> None:
    version = re.search(r"v=([0-9a-f]{16}-de)", page(owner, MONTH))
    assert version is not None
    part(owner, f"{MONTH}&v={version[1]}", 204)
    factories.make_appointment(cast.salon, start=at(9))
    changed = part(owner, f"{MONTH}&v={version[1]}").strip()
    assert changed.startswith('<div id="sheet"')
    assert "Aylin Demir" in changed


# ---- The list ---------------------------------------------------------------------------------------------------


def fill(firm: Firm, number: int) -> None:
    for index in range(number):
        customer = factories.make_customer(firm, f"Gast{index:03d}")
        factories.make_appointment(firm, start=at(8) + timedelta(minutes=30 * index), customer_id=customer.id)


def guests(text: str) -> list[str]:
    return re.findall(r">(Gast\d+) ", text)


def link(text: str, id_: str) -> str:
    found = re.search(rf'id="{id_}".*?href="([^"]+)"', text, re.DOTALL)
    assert found is not None, id_
    return found[1]


def test_the_list_goes_on_as_pages_and_as_parts(owner: PortalClient, cast: Cast) -> None:
    fill(cast.salon, 120)
    everybody = [f"Gast{index:03d}" for index in range(120)]
    text = page(owner, LIST)
    assert guests(text) == everybody[:50]
    onwards = link(text, "later")
    assert guests(page(owner, onwards)) == everybody[50:100]
    more = part(owner, onwards)
    assert "<html" not in more
    assert 'id="calendar"' not in more
    assert 'id="earlier"' not in more
    assert guests(more) == everybody[50:100]
    last = part(owner, link(more, "later"))
    assert guests(last) == everybody[100:]
    assert 'id="later"' not in last


def test_the_list_goes_back_as_pages_and_as_parts(owner: PortalClient, cast: Cast) -> None:
    fill(cast.salon, 70)
    text = page(owner, "/calendar?view=list&date=2027-03-10")
    shown = guests(text)
    back = part(owner, link(text, "earlier"))
    assert 'id="later"' not in back
    everybody = guests(back) + shown
    assert everybody == [f"Gast{index:03d}" for index in range(70)]
    assert "Frühere Termine gibt es nicht" in back
    whole = page(owner, link(text, "earlier"))
    assert guests(whole) == guests(back)
    assert guests(page(owner, link(whole, "later"))) == shown


def test_an_empty_list_says_so(owner: PortalClient) -> None:
    assert "Hier sind keine Termine" in page(owner, LIST)
    assert "Termine ab Samstag, 9. Juni 2035" in page(owner, "/calendar?view=list&date=2035-06-09")
    assert "Kein Termin mit „&lt;b&gt;“" in page(owner, f"{LIST}&q=<b>")
    assert "Frühere Termine gibt es nicht" in page(owner, f"{LIST}&to=1000-1")


def test_a_page_of_the_list_is_polled_between_its_ends(owner: PortalClient, cast: Cast) -> None:
    fill(cast.salon, 60)
    text = page(owner, LIST)
    poll = re.search(r'hx-get="([^"]+v=[0-9a-f]{16}-de)" hx-trigger="every 20s', text)
    assert poll is not None
    part(owner, poll[1], 204)
    late = factories.make_appointment(cast.salon, start=at(8, 10))
    anew = part(owner, poll[1])
    assert anew.strip().startswith('<div class="stack agenda"')
    assert f"/appointments/{late.id}" in anew
    assert guests(anew) == guests(text)


def test_status_and_words_stay_in_the_address(owner: PortalClient, cast: Cast) -> None:
    fill(cast.salon, 60)
    factories.make_appointment(cast.salon, start=at(9), status="cancelled")
    text = page(owner, f"{LIST}&q=gast&status=open")
    assert "q=gast" in link(text, "later")
    assert "status=open" in link(text, "later")
    assert "Aylin Demir" not in text
    assert 'name="status" value="open"' in text
    assert "q=gast" not in link(text, "cal-month")
    assert "Aylin Demir" in page(owner, f"{LIST}&status=cancelled")
    assert "Aylin Demir" in page(owner, f"{LIST}&status=nonsense")


@pytest.mark.parametrize("wish", ["from=x", "to=-1", "from=1-1&to=0-0", "from=" + "9" * 17 + "-1", "status=x&q=%25%27"])
def test_nonsense_in_the_address_breaks_nothing(owner: PortalClient, cast: Cast, wish: str) -> None:
    fill(cast.salon, 2)
    page(owner, f"{LIST}&{wish}")
    part(owner, f"{LIST}&{wish}")


def test_the_doubled_hour_is_told_apart_in_the_list(owner: PortalClient, cast: Cast) -> None:
    for hour in (0, 1):
        factories.make_appointment(cast.salon, start=datetime(2027, 10, 31, hour, 30, tzinfo=UTC), minutes=30)
    text = page(owner, f"/calendar?view=list&date={AUTUMN}")
    assert text.index("02:30 MESZ") < text.index("02:30 MEZ")


# ---- Who sees what ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [DAY, MONTH, LIST, "/calendar?view=week&date=2027-03-09"])
def test_foreign_and_hidden_ids_are_404_in_every_view(client: PortalClient, cast: Cast, url: str) -> None:
    firm, other = cast.salon, cast.praxis
    client.sign_in(firm.owner)
    for wish in (f"branch={other.main.id}", f"staff={other.stylist.id}", "branch=987654321"):
        page(client, f"{url}&{wish}", 404)
    client.sign_in(firm.staff)
    for wish in (f"branch={firm.other.id}", f"staff={firm.colleague.id}"):
        page(client, f"{url}&{wish}", 404)


@pytest.mark.parametrize("url", [MONTH, LIST])
def test_who_is_bound_to_a_branch_sees_no_other_s_people(client: PortalClient, cast: Cast, url: str) -> None:
    firm = cast.salon
    other = factories.make_customer(firm)
    theirs = {"branch_id": firm.other.id, "staff_id": firm.colleague.id, "customer_id": other.id}
    factories.make_appointment(firm, start=at(9), **theirs)
    assert "Peter Schäfer" in page(client.sign_in(firm.owner), url)
    client.sign_in(firm.staff)
    for wish in ("", "&branch=all&staff=", "&q=peter&branch=all&staff="):
        assert "Peter Schäfer" not in page(client, url + wish)


@pytest.mark.parametrize("url", [MONTH, LIST])
def test_staff_begin_with_their_own(client: PortalClient, cast: Cast, url: str) -> None:
    firm = cast.salon
    other = factories.make_customer(firm)
    factories.make_appointment(firm, start=at(9))
    factories.make_appointment(firm, start=at(9), staff_id=None, customer_id=other.id)
    client.sign_in(firm.staff)
    assert "Peter Schäfer" not in page(client, url)
    assert "Peter Schäfer" in page(client, f"{url}&staff=")


@pytest.mark.parametrize("url", [MONTH, LIST])
def test_the_bookkeeper_sees_none_of_it(client: PortalClient, cast: Cast, url: str) -> None:
    page(client.sign_in(cast.salon.bookkeeper), url, 403)


# ---- Queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["", "&branch=all", "&q=gast"])
@pytest.mark.parametrize("url", [MONTH, LIST])
def test_month_and_list_ask_the_same_few_questions_however_full(
    owner: PortalClient, cast: Cast, url: str, wish: str
) -> None:
    page(owner, url + wish)
    with Queries() as empty:
        page(owner, url + wish)
    fill(cast.salon, 60)
    with Queries() as full:
        page(owner, url + wish)
    assert len(full) == len(empty)
    assert len(full) <= MOST_QUERIES, full
