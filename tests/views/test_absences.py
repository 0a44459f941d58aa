"""The pages of absences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.db import utcnow
from portal.domain import absences
from portal.domain.absences import Line, Reader
from portal.models import PortalUserBranch
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse

URL = "/settings/absences"


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def lines(firm: Firm) -> list[Line]:
    with tenant_scope(firm.id):
        return absences.page(Reader(True, None, None), utcnow(), None, False, None).lines


def form(firm: Firm, **values: Any) -> dict[str, Any]:
    day = (utcnow() + timedelta(days=40)).date().isoformat()
    return {"staff": firm.stylist.id, "kind": "vacation", "first": day, "note": "Ostsee"} | values


def test_an_absence_is_entered_changed_and_deleted(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    assert owner.post(f"{URL}/new", data=form(firm)).location == URL
    assert "Ostsee" in owner.get(URL).text
    (line,) = lines(firm)
    page = parse(owner.get(f"{URL}/{line.row.id}").text)
    shown = page.one("input[name=shown]")["value"]
    changed = owner.post(f"{URL}/{line.row.id}", data=form(firm, kind="training", shown=shown))
    assert changed.status_code == 303
    assert "Fortbildung" in owner.get(URL).text
    stale = owner.post(f"{URL}/{line.row.id}", data=form(firm, note="Nordsee", shown=shown))
    assert (stale.status_code, "Fortbildung" in stale.text) == (409, True)
    shown = parse(stale.text).one("input[name=shown]")["value"]
    assert owner.post(f"{URL}/{line.row.id}/delete", data={"shown": shown}).status_code == 303
    assert lines(firm) == []
    assert owner.get(f"{URL}/{line.row.id}").status_code == 404


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"staff": ""}, "staff"),
        ({"staff": "987654"}, "staff"),
        ({"kind": "party"}, "kind"),
        ({"first": ""}, "first"),
        ({"first": "0001-01-01"}, "first"),
        ({"last": "9999-12-31"}, "last"),
        ({"last": "2020-01-01"}, "last"),
        ({"start": "9"}, "until"),
        ({"start": "x", "until": "10"}, "start"),
        ({"start": "12:00", "until": "10:00"}, "until"),
        ({"note": "x" * 300}, "note"),
    ],
)
def test_wrong_input_comes_back_beside_its_field(
    owner: PortalClient, cast: Cast, values: dict[str, Any], field: str
) -> None:
    answer = owner.post(f"{URL}/new", data=form(cast.salon, **values))
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert lines(cast.salon) == []


def test_all_that_is_missing_is_said_at_once(owner: PortalClient, cast: Cast) -> None:
    answer = owner.post(f"{URL}/new", data=form(cast.salon, staff="", first=""))
    assert answer.status_code == 422
    assert 'id="staff-e"' in answer.text
    assert 'id="first-e"' in answer.text


def test_appointments_that_fall_into_it_are_counted_and_linked(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    day = utcnow() + timedelta(days=40)
    row = factories.make_appointment(firm, start=day.replace(hour=10, minute=0, second=0, microsecond=0))
    answer = owner.post(f"{URL}/new", data=form(firm))
    (line,) = lines(firm)
    assert answer.location == f"{URL}/{line.row.id}"
    assert f'href="/appointments/{row.id}"' in owner.get(answer.location).text
    assert "1 Termin" in owner.get(URL).text


def test_calcoms_are_shown_as_such_and_deleted_only_knowingly(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_absence(firm, external_id="calcom:7")
    url = f"{URL}/{row.id}"
    assert "von Cal.com" in owner.get(URL).text
    page = parse(owner.get(url).text)
    assert not page.select("select[name=kind]")
    shown = page.one("input[name=shown]")["value"]
    assert owner.post(url, data=form(firm, shown=shown)).status_code == 422
    refused = owner.post(f"{url}/delete", data={"shown": shown})
    assert (refused.status_code, 'id="knowingly-e"' in refused.text) == (422, True)
    assert owner.post(f"{url}/delete", data={"shown": shown, "knowingly": "y"}).status_code == 303
    assert lines(firm) == []


def test_staff_see_their_own_and_change_nothing(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    own = factories.make_absence(firm, kind="vacation", note="Ostsee")
    others = factories.make_absence(firm, staff_id=firm.colleague.id, kind="sick", note="Grippe")
    staff = client.sign_in(firm.staff)
    page = staff.get(URL).text
    assert "Ostsee" in page
    assert "Grippe" not in page
    assert "Tim Yilmaz" not in page
    shown = parse(staff.get(f"{URL}/{own.id}").text)
    assert not shown.select("textarea")
    assert staff.get(f"{URL}/{others.id}").status_code == 404
    assert staff.get(f"{URL}?staff={firm.colleague.id}").status_code == 404
    for path in (f"/{own.id}", f"/{own.id}/delete", "/new"):
        assert staff.post(f"{URL}{path}", data=form(firm)).status_code == 403
    assert len(lines(firm)) == 2


def test_staff_find_their_own_absences_from_the_calendar(client: PortalClient, cast: Cast) -> None:
    menu = "#cal-more a[href=/settings/absences]"
    assert parse(client.sign_in(cast.salon.staff).get("/calendar").text).select(menu)
    assert not parse(client.sign_in(cast.salon.manager).get("/calendar").text).select(menu)


def test_branch_bound_managers_manage_their_own_people(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    link = {"portal_user_id": firm.manager.id, "branch_id": firm.other.id}
    factories.save(firm, PortalUserBranch(company_id=firm.id, **link))
    theirs = factories.make_absence(firm, note="Ostsee")
    manager = client.sign_in(firm.manager)
    assert manager.get(f"{URL}/{theirs.id}").status_code == 404
    assert "Ostsee" not in manager.get(URL).text
    assert manager.post(f"{URL}/{theirs.id}/delete").status_code == 404
    assert manager.post(f"{URL}/new", data=form(firm)).status_code == 422
    assert manager.post(f"{URL}/new", data=form(firm, staff=firm.colleague.id)).status_code == 303


def test_what_is_over_has_a_page_of_its_own_and_pages_go_on(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    start = datetime(2026, 1, 5, tzinfo=UTC)
    for day in range(absences.PAGE + 1):
        at = start + timedelta(days=7 * day % 140)
        factories.make_absence(firm, starts_at=at, ends_at=at + timedelta(days=1), note=f"n{day:02d}")
    assert "Niemand ist abwesend" in owner.get(URL).text
    page = parse(owner.get(f"{URL}?show=past").text)
    (older,) = page.select("a[rel=next]")
    assert "n00" in owner.get(older["href"]).text or "n20" in owner.get(older["href"]).text


def test_a_person_is_chosen(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    factories.make_absence(firm, note="Ostsee")
    factories.make_absence(firm, staff_id=firm.colleague.id, note="Alpen")
    page = owner.get(f"{URL}?staff={firm.colleague.id}").text
    assert "Alpen" in page
    assert "Ostsee" not in page
    assert owner.get(f"{URL}?staff={cast.praxis.stylist.id}").status_code == 404
