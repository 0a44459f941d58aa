"""The pages of working hours: typing, adding and removing spans, seasons, copying, and saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import hours
from portal.domain.hours import Plan, Whose
from portal.models import Branch, PortalUserBranch, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import Node, parse
from tests.queries import Queries

URL = "/settings/hours"
TEN = {"opens1": ["09:00", "13:00"], "closes1": ["12:30", "17:30"]}


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def saved(firm: Firm, staff_id: int | None = None) -> Plan:
    with tenant_scope(firm.id):
        return hours.plan_of(Whose(firm.main.id, staff_id))


def form(firm: Firm, staff_id: int | None = None, **values: Any) -> dict[str, Any]:
    about = {"branch": firm.main.id, "staff": staff_id or "", "season": "", "shown": saved(firm, staff_id).digest}
    return about | TEN | values


def put(firm: Firm, weekday: int = 1, staff_id: int | None = None, **values: Any) -> None:
    values = {"opens_at": time(9), "closes_at": time(17), "branch_id": firm.main.id} | values
    factories.save(firm, WorkingHours(company_id=firm.id, weekday=weekday, staff_id=staff_id, **values))


def typed(page: Node, name: str) -> list[str]:
    return [field["value"] for field in page.select(f"input[name={name}]")]


def next_monday(hour: int) -> datetime:
    berlin = ZoneInfo("Europe/Berlin")
    today = datetime.now(berlin).date()
    monday = today + timedelta(days=7 - today.weekday() + 7)
    return datetime.combine(monday, time(hour), tzinfo=berlin).astimezone(UTC)


def test_a_week_is_saved_and_shown_again(owner: PortalClient, cast: Cast) -> None:
    assert owner.post(URL, data=form(cast.salon)).status_code == 303
    page = parse(owner.get(f"{URL}?branch={cast.salon.main.id}").text)
    assert typed(page, "opens1") == ["09:00", "13:00"]
    assert typed(page, "closes1") == ["12:30", "17:30"]
    assert typed(page, "opens2") == []


@pytest.mark.parametrize("end", ["24:00", "00:00", "24"])
def test_a_branch_may_close_at_midnight(owner: PortalClient, cast: Cast, end: str) -> None:
    hours_until = form(cast.salon, opens1=["18:00"], closes1=[end])
    assert owner.post(URL, data=hours_until).status_code == 303
    assert saved(cast.salon).always.days[0] == ((time(18), time(0)),)
    assert typed(parse(owner.get(URL).text), "closes1") == ["00:00"]
    assert owner.post(URL, data=form(cast.salon, opens1=["24:00"], closes1=["12:00"])).status_code == 422


def test_spans_are_added_and_removed_without_saving(owner: PortalClient, cast: Cast) -> None:
    added = parse(owner.post(URL, data=form(cast.salon, do="add-1")).text)
    assert typed(added, "opens1") == ["09:00", "13:00", ""]
    dropped = parse(owner.post(URL, data=form(cast.salon, do="drop-1-0")).text)
    assert typed(dropped, "opens1") == ["13:00"]
    part = owner.htmx("POST", URL, data=form(cast.salon, do="add-7"))
    assert "<html" not in part.text
    assert saved(cast.salon) == Plan()
    assert dropped.one("input[name=shown]")["value"] == Plan().digest


def test_typing_goes_on_in_the_row_that_was_added_or_is_left(owner: PortalClient, cast: Cast) -> None:
    def focused(do: str) -> list[str]:
        return [each["id"] for each in parse(owner.post(URL, data=form(cast.salon, do=do)).text).select("[autofocus]")]

    assert [focused(do) for do in ("add-1", "add-7", "drop-1-0", "drop-1-1")] == [
        ["opens1-2"],
        ["opens7-0"],
        ["opens1-0"],
        ["opens1-0"],
    ]
    alone = form(cast.salon, do="drop-1-0", opens1=["09:00"], closes1=["12:30"])
    assert parse(owner.post(URL, data=alone).text).one("[autofocus]")["id"] == "add-1"
    assert parse(owner.get(URL).text).select("[autofocus]") == []


def test_monday_is_copied_to_other_days(owner: PortalClient, cast: Cast) -> None:
    page = parse(owner.post(URL, data=form(cast.salon, do="copy", source="1", target=["2", "5"])).text)
    assert [typed(page, f"opens{day}") for day in (2, 3, 5)] == [["09:00", "13:00"], [], ["09:00", "13:00"]]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"opens1": ["12:00"], "closes1": ["09:00"]}, "opens1-0"),
        ({"opens1": ["09:00", "11:00"], "closes1": ["12:00", "15:00"]}, "opens1-1"),
        ({"opens1": ["09:00"], "closes1": [""]}, "opens1-0"),
        ({"opens3": ["25:00"], "closes3": ["26:00"]}, "opens3-0"),
        ({"season": "new", "first": "2027-06-02", "last": "2027-06-01"}, "last"),
        ({"season": "new"}, "first"),
        ({"season": "new", "first": "soon"}, "first"),
    ],
)
def test_wrong_input_comes_back_beside_its_field_and_nothing_is_saved(
    owner: PortalClient, cast: Cast, values: dict[str, Any], field: str
) -> None:
    answer = owner.post(URL, data=form(cast.salon, **values))
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert saved(cast.salon) == Plan()


def test_a_season_is_entered_changed_and_deleted(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    owner.post(URL, data=form(firm))
    new = parse(owner.get(f"{URL}?season=new").text)
    assert typed(new, "opens1") == ["09:00", "13:00"]  # the hours of all year to start from
    owner.post(URL, data=form(firm, season="new", first="2027-06-01", last="2027-08-31"))
    key = "2027-06-01_2027-08-31"
    assert saved(firm).season(key)
    page = parse(owner.get(f"{URL}?season={key}").text)
    assert page.one("input[name=first]")["value"] == "2027-06-01"
    overlapping = owner.post(URL, data=form(firm, season="new", first="2027-08-31"))
    assert (overlapping.status_code, 'id="first-e"' in overlapping.text) == (422, True)
    owner.post(URL, data=form(firm, season=key, first="2027-05-01", last="2027-08-31"))
    assert [season.first for season in saved(firm).seasons] == [None, date(2027, 5, 1)]
    owner.post(URL, data=form(firm, season="2027-05-01_2027-08-31", do="delete"))
    assert [season.key for season in saved(firm).seasons] == [""]


def test_a_person_follows_the_branch_until_they_have_hours_of_their_own(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    put(firm)
    url = f"{URL}?staff={firm.stylist.id}"
    assert not parse(owner.get(url).text).select("input[name=shown]")
    own = parse(owner.get(f"{url}&own=1").text)
    assert typed(own, "opens1") == ["09:00"]
    owner.post(URL, data=form(firm, firm.stylist.id))
    assert saved(firm, firm.stylist.id).seasons
    owner.post(URL, data=form(firm, firm.stylist.id, do="branch"))
    assert saved(firm, firm.stylist.id) == Plan()


def test_another_persons_week_is_taken_over_as_a_draft(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    put(firm, staff_id=firm.stylist.id, opens_at=time(11))
    page = parse(owner.get(f"{URL}?copy={firm.main.id}-{firm.stylist.id}").text)
    assert typed(page, "opens1") == ["11:00"]
    assert saved(firm) == Plan()
    assert owner.get(f"{URL}?copy={cast.praxis.main.id}").status_code == 404
    assert owner.get(f"{URL}?copy={firm.main.id}-{cast.praxis.stylist.id}").status_code == 404


def test_appointments_that_would_fall_outside_are_named_before_anything_is_saved(
    owner: PortalClient, cast: Cast
) -> None:
    firm = cast.salon
    put(firm)
    row = factories.make_appointment(firm, start=next_monday(16))
    wish = form(firm, opens1=["09:00"], closes1=["15:00"])
    asked = owner.post(URL, data=wish)
    page = parse(asked.text)
    assert asked.status_code == 422
    assert f"/appointments/{row.id}" in asked.text
    assert saved(firm).always.days[0] == ((time(9), time(17)),)
    confirmed = page.one("input[name=confirmed]")["value"]
    other = owner.post(URL, data=wish | {"confirmed": confirmed, "closes1": ["14:00"]})
    assert other.status_code == 422  # agreed to something else
    assert owner.post(URL, data=wish | {"confirmed": confirmed}).status_code == 303
    assert saved(firm).always.days[0] == ((time(9), time(15)),)
    assert f"{URL}/outside" in owner.get(URL).text
    assert f"/appointments/{row.id}" in owner.get(f"{URL}/outside").text


def test_the_second_of_two_people_sees_what_the_first_has_saved(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    mine = form(firm)
    put(firm, opens_at=time(6, 15))
    answer = owner.post(URL, data=mine)
    assert answer.status_code == 409
    assert "06:15" in answer.text
    page = parse(answer.text)
    assert typed(page, "opens1") == ["09:00", "13:00"]
    assert saved(firm).always.days[0] == ((time(6, 15), time(17)),)
    assert owner.post(URL, data=mine | {"shown": page.one("input[name=shown]")["value"]}).status_code == 303
    assert saved(firm).always.days[0][0] == (time(9), time(12, 30))


def test_the_coming_week_shows_holidays_and_absences(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 8):
        put(firm, weekday)
    start = datetime.now(UTC) - timedelta(days=1)
    factories.make_absence(firm, starts_at=start, ends_at=start + timedelta(days=20), kind="vacation")
    assert "Urlaub" in owner.get(f"{URL}?staff={firm.stylist.id}&own=1").text
    assert "09:00–17:00" in owner.get(URL).text


def test_branch_bound_managers_reach_their_branches_only(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    link = {"portal_user_id": firm.manager.id, "branch_id": firm.other.id}
    factories.save(firm, PortalUserBranch(company_id=firm.id, **link))
    manager = client.sign_in(firm.manager)
    assert manager.get(f"{URL}?branch={firm.other.id}&staff={firm.colleague.id}").status_code == 200
    assert manager.get(f"{URL}?branch={firm.main.id}").status_code == 404
    assert manager.get(f"{URL}?branch={firm.other.id}&staff={firm.stylist.id}").status_code == 404
    assert manager.post(URL, data=form(firm)).status_code == 404
    assert saved(firm) == Plan()


@pytest.mark.parametrize("path", ["", "/outside"])
def test_what_is_not_theirs_is_not_there(owner: PortalClient, cast: Cast, path: str) -> None:
    firm = cast.praxis
    for query in (f"branch={firm.main.id}", f"staff={firm.stylist.id}", "branch=x", "staff=-1", "branch=987654"):
        assert owner.get(f"{URL}{path}?{query}").status_code == 404
    assert owner.post(URL, data=form(cast.salon) | {"branch": firm.main.id}).status_code == 404


def test_staff_may_not_change_hours(client: PortalClient, cast: Cast) -> None:
    staff = client.sign_in(cast.salon.staff)
    assert staff.get(URL).status_code == 403
    assert staff.post(URL, data=form(cast.salon)).status_code == 403


def test_the_hub_shows_each_what_they_may_open(client: PortalClient, cast: Cast) -> None:
    owners = client.sign_in(cast.salon.owner).get("/settings").text
    managers = client.sign_in(cast.salon.manager).get("/settings").text
    for url in (URL, "/settings/closures", "/settings/absences"):
        assert f'href="{url}"' in owners
        assert f'href="{url}"' in managers
    assert 'href="/settings/privacy"' in owners
    assert 'href="/settings/privacy"' not in managers


def test_more_people_and_appointments_cost_no_more_queries(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    put(firm)
    factories.make_appointment(firm, start=next_monday(9))
    owner.get(URL)

    def asked() -> int:
        with Queries() as asked:
            assert owner.get(URL).status_code == 200
        return len(asked)

    few = asked()
    for hour in range(9, 15):
        factories.make_appointment(firm, start=next_monday(hour))
        put(firm, 2, staff_id=firm.stylist.id, opens_at=time(hour), closes_at=time(hour, 30))
    assert asked() == few


def test_a_branch_without_a_zone_of_its_own_is_shown_in_the_companys(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    factories.within(firm, lambda: setattr(db.session.get_one(Branch, firm.main.id), "timezone", None))
    assert owner.get(URL).status_code == 200
    with tenant_scope(firm.id):
        assert db.session.scalar(select(Branch.timezone).where(Branch.id == firm.main.id)) is None
