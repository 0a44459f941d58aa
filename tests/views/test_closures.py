"""The page of closed days and public holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import closures, public_holidays
from portal.domain.closures import Stretch
from portal.domain.public_holidays import Place
from portal.models import Branch, BranchClosure, PortalUserBranch, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.clock import clock_ahead
from tests.conftest import PortalClient
from tests.pages import parse

URL = "/settings/closures"
TODAY = datetime.now(ZoneInfo("Europe/Berlin")).date()
SOON = TODAY + timedelta(days=14)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def entered(firm: Firm) -> list[Stretch]:
    with tenant_scope(firm.id):
        return closures.stretches(firm.main.id, TODAY - timedelta(days=400))


def ids_of(firm: Firm) -> list[int]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(BranchClosure.id).order_by(BranchClosure.date)))


def form(firm: Firm, **values: Any) -> dict[str, Any]:
    return {"branch": firm.main.id, "first": SOON.isoformat(), "kind": "closed", "reason": "Ausflug"} | values


def opened(client: PortalClient, stretch: Stretch) -> dict[str, Any]:
    """What the form that changes an entry carries along."""
    page = parse(client.get(f"{URL}?edit={stretch.id}").text)
    return {name: page.one(f"#entry input[name={name}]")["value"] for name in ("instead_of", "shown")}


def observe(firm: Firm, country: str, region: str) -> None:
    def work() -> None:
        branch = db.session.get_one(Branch, firm.main.id)
        branch.country, branch.region = country, region

    factories.within(firm, work)


def test_a_range_of_days_is_entered_shown_changed_and_deleted(owner: PortalClient, cast: Cast) -> None:
    firm, last = cast.salon, SOON + timedelta(days=8)
    assert owner.post(URL, data=form(firm, last=last.isoformat())).status_code == 303
    (stretch,) = entered(firm)
    assert (stretch.length, stretch.reason) == (9, "Ausflug")
    assert "Ausflug · 9 Tage" in owner.get(URL).text
    page = parse(owner.get(f"{URL}?edit={stretch.id}").text)
    assert page.one("input[name=first]")["value"] == SOON.isoformat()
    owner.post(URL, data=form(firm, **opened(owner, stretch), reason="Inventur"))
    (stretch,) = entered(firm)
    assert (stretch.length, stretch.reason) == (1, "Inventur")
    assert owner.post(f"{URL}/{stretch.id}/delete").status_code == 303
    assert entered(firm) == []


def test_other_hours_with_a_break(owner: PortalClient, cast: Cast) -> None:
    spans = {"kind": "open", "opens": ["09:00", "14:00"], "closes": ["12:00", "16:00"]}
    added = parse(owner.post(URL, data=form(cast.salon, do="add", **spans)).text)
    assert len(added.select("input[name=opens]")) == 3
    assert added.one("[autofocus]")["id"] == "opens-2"
    assert parse(owner.get(URL).text).select("[autofocus]") == []
    owner.post(URL, data=form(cast.salon, **spans))
    (stretch,) = entered(cast.salon)
    assert stretch.spans == ((time(9), time(12)), (time(14), time(16)))
    assert "geöffnet 09:00–12:00, 14:00–16:00" in owner.get(URL).text


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"first": ""}, "first"),
        ({"first": "2020-01-01"}, "first"),
        ({"last": TODAY.isoformat()}, "last"),
        ({"kind": "open"}, "kind"),
        ({"kind": "open", "opens": ["12:00"], "closes": ["09:00"]}, "opens-0"),
        ({"kind": "open", "opens": ["12"], "closes": ["x"]}, "opens-0"),
        ({"reason": "x" * 300}, "reason"),
    ],
)
def test_wrong_input_comes_back_beside_its_field(
    owner: PortalClient, cast: Cast, values: dict[str, Any], field: str
) -> None:
    answer = owner.post(URL, data=form(cast.salon, **values))
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert entered(cast.salon) == []


def test_a_day_that_is_taken_names_what_is_there(owner: PortalClient, cast: Cast) -> None:
    owner.post(URL, data=form(cast.salon))
    answer = owner.post(URL, data=form(cast.salon, reason="Inventur"))
    assert answer.status_code == 422
    assert "Ausflug" in answer.text
    assert len(entered(cast.salon)) == 1


def test_an_entry_that_somebody_else_has_changed_meanwhile_is_not_lost(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    owner.post(URL, data=form(firm))
    (stretch,) = entered(firm)
    stale = opened(owner, stretch)
    owner.post(URL, data=form(firm, **stale, reason="Inventur"))
    late = form(firm, **stale, first=(SOON + timedelta(days=1)).isoformat(), reason="Umbau")
    answer = owner.post(URL, data=late)
    page = parse(answer.text)
    assert (answer.status_code, "Inventur" in answer.text) == (409, True)
    assert (page.one("input[name=reason]")["value"], page.one("input[name=instead_of]")["value"]) == ("Umbau", "")
    owner.post(f"{URL}/{entered(firm)[0].id}/delete", data={"shown": stale["shown"]})
    assert owner.post(URL, data=late | {"instead_of": ""}).status_code == 303
    assert [stretch.reason for stretch in entered(firm)] == ["Inventur", "Umbau"]


def test_company_holidays_over_new_year_are_deleted_as_a_whole(owner: PortalClient, cast: Cast) -> None:
    days = [date(2036, 12, 29) + timedelta(days=offset) for offset in range(7)]
    for day in days:
        factories.make_closure(cast.salon, date=day, reason="Betriebsferien")
    with clock_ahead(datetime(2037, 1, 2, 9, tzinfo=UTC) - utcnow()):
        page = parse(owner.get(URL).text)
        delete = page.one("form[action^=/settings/closures/][method=post] input[name=shown]")
        assert "Betriebsferien · 7 Tage" in page.one("#closures").text
        action = page.one(f"form[action^=/settings/closures/{ids_of(cast.salon)[0]}/]")["action"]
        owner.post(action, data={"shown": delete["value"]})
    assert ids_of(cast.salon) == []


def test_appointments_on_the_day_are_named_first(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 8):
        hours = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": time(1), "closes_at": time(23)}
        factories.save(firm, WorkingHours(company_id=firm.id, **hours))
    row = factories.make_appointment(firm, start=datetime.combine(SOON, time(10), tzinfo=UTC))
    asked = owner.post(URL, data=form(firm))
    assert asked.status_code == 422
    assert f"/appointments/{row.id}" in asked.text
    assert entered(firm) == []
    confirmed = parse(asked.text).one("input[name=confirmed]")["value"]
    assert owner.post(URL, data=form(firm, confirmed=confirmed)).status_code == 303
    assert len(entered(firm)) == 1


def test_the_region_brings_the_holidays_of_this_and_the_next_year(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    assert "Frauentag" not in owner.get(URL).text
    region = {"branch": firm.main.id, "country": "DE", "region": "BE"}
    assert owner.post(f"{URL}/region", data=region).status_code == 303
    page = owner.get(URL).text
    assert page.count("Frauentag") >= 2
    assert "Augsburg" in page  # the library's regions are on offer
    bad = owner.post(f"{URL}/region", data=region | {"region": "XX"})
    assert (bad.status_code, 'id="region-e"' in bad.text) == (422, True)
    owner.post(f"{URL}/region", data=region | {"region": ""})
    assert "Frauentag" not in owner.get(URL).text


def test_managers_see_the_region_that_the_owner_has_chosen(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    manager = client.sign_in(firm.manager)
    assert "keine Region gewählt" in manager.get(URL).text
    observe(firm, "DE", "BE")
    page = manager.get(URL).text
    assert "Deutschland, Berlin" in page
    assert not parse(page).select("#region-form")
    wish = {"branch": firm.main.id, "country": "DE", "region": "HE"}
    assert manager.post(f"{URL}/region", data=wish).status_code == 403


def test_another_countrys_regions_are_shown_before_anything_is_saved(owner: PortalClient, cast: Cast) -> None:
    wish = {"branch": cast.salon.main.id, "country": "GB", "region": "BE", "show": "1"}
    answer = owner.post(f"{URL}/region", data=wish)
    assert answer.status_code == 200
    assert "Scotland" in answer.text
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Branch, cast.salon.main.id).country is None


def test_a_holiday_is_opened_all_the_same(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    observe(firm, "DE", "BE")
    named = public_holidays.of_year(Place("DE", "BE"), TODAY.year + 1, "de")
    day: date = next(iter(named))
    page = parse(owner.get(f"{URL}?open={day.isoformat()}").text)
    assert page.one("input[name=reason]")["value"] == named[day]
    spans = {"kind": "open", "opens": ["10:00"], "closes": ["14:00"]}
    owner.post(URL, data=form(firm, first=day.isoformat(), reason=named[day], **spans))
    assert "geöffnet 10:00–14:00" in owner.get(URL).text


def test_what_is_not_theirs_is_not_there(owner: PortalClient, cast: Cast) -> None:
    theirs = factories.make_closure(cast.praxis)
    assert owner.get(f"{URL}?edit={theirs.id}").status_code == 404
    assert owner.get(f"{URL}?branch={cast.praxis.main.id}").status_code == 404
    assert owner.post(f"{URL}/{theirs.id}/delete").status_code == 404
    assert owner.post(URL, data=form(cast.praxis)).status_code == 404
    assert owner.post(f"{URL}/region", data={"branch": cast.praxis.main.id}).status_code == 404


def test_branch_bound_managers_reach_their_branches_only(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    link = {"portal_user_id": firm.manager.id, "branch_id": firm.other.id}
    factories.save(firm, PortalUserBranch(company_id=firm.id, **link))
    theirs = factories.make_closure(firm)
    manager = client.sign_in(firm.manager)
    assert manager.get(f"{URL}?branch={firm.other.id}").status_code == 200
    assert manager.post(f"{URL}/{theirs.id}/delete").status_code == 404
    assert manager.post(URL, data=form(firm)).status_code == 404
    assert len(entered(firm)) == 1


def test_staff_may_not_close_a_branch(client: PortalClient, cast: Cast) -> None:
    staff = client.sign_in(cast.salon.staff)
    assert staff.get(URL).status_code == 403
    assert staff.post(URL, data=form(cast.salon)).status_code == 403
    assert entered(cast.salon) == []
