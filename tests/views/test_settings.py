"""Settings as a browser meets them: the hub, and how long calls are kept."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import forgetting, retention
from portal.domain.retention import Retention
from portal.models import AuditLog
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient

PAGE = "/settings/privacy"


def kept(firm: Firm) -> Retention:
    db.session.rollback()
    with tenant_scope(firm.id):
        return retention.current()


def sealed(page: str) -> str:
    """What the page asks to be agreed to; '' where it asks nothing."""
    found = re.search(r'name="confirmed"[^>]*value="([^"]*)"', page)
    return found[1] if found else ""


OF_MANAGERS = ["/settings/hours", "/settings/closures", "/settings/absences", "/calendar/feeds"]
OF_OWNERS = [
    *OF_MANAGERS[:3],
    "/settings/calcom",
    "/settings/privacy",
    "/balance/limits",
    "/notifications#preferences",
    "/settings/customer-mail",
    "/calendar/feeds",
    "/balance/billing-details",
]


def hub(page: str) -> list[str]:
    return re.findall(r'<a href="([^"]+)', page[page.index('class="card hub"') :].partition("</nav>")[0])


@pytest.mark.parametrize(("role", "places"), [("owner", OF_OWNERS), ("manager", OF_MANAGERS)])
def test_the_hub_leads_to_what_its_reader_may_open(
    client: PortalClient, cast: Cast, role: str, places: list[str]
) -> None:
    client.sign_in(cast.salon.users[role])
    links = hub(client.get("/settings").text)
    assert links == places
    assert {client.get(link).status_code for link in links} == {200}
    row = factories.make_appointment(cast.salon)
    factories.make_booking(cast.salon, row, sync_status="conflict")
    assert hub(client.get("/settings").text) == [*places[:3], "/appointments/out-of-step", *places[3:]]


@pytest.mark.parametrize("role", ["staff", "bookkeeper", "operator"])
def test_the_hub_is_not_for_everybody(client: PortalClient, cast: Cast, role: str) -> None:
    user = cast.operator if role == "operator" else cast.salon.users[role]
    assert client.sign_in(user).get("/settings").status_code == 403


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/settings/calcom", "/settings"),
        ("/settings/customer-mail", "/settings"),
        ("/appointments/out-of-step", "/calendar"),
    ],
)
def test_the_menu_says_where_a_page_stands(client: PortalClient, cast: Cast, path: str, place: str) -> None:
    page = client.sign_in(cast.salon.owner).get(path).text
    marked = set(re.findall(r'<a [^>]*href="([^"]+)"[^>]*aria-current="page"', page.partition("<main")[0]))
    assert marked == {place}


def test_limits_are_saved_for_this_company_alone_and_written_down(client: PortalClient, cast: Cast) -> None:
    answer = client.sign_in(cast.salon.owner).post(PAGE, data={"recording": "30", "transcript": "180", "metadata": ""})
    assert answer.status_code == 303
    assert (kept(cast.salon), kept(cast.praxis)) == (Retention(30, 180, None), Retention())
    with all_tenants("the test reads the audit log"):
        written = db.session.scalars(select(AuditLog).where(AuditLog.action == "privacy.retention_changed")).one()
    assert (written.user_id, written.new_values) == (
        cast.salon.owner.id,
        {"recording": 30, "transcript": 180, "metadata": None},
    )
    assert "30" in client.get("/settings").text


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"recording": "0"}, "recording"),
        ({"transcript": "-3"}, "transcript"),
        ({"metadata": "3651"}, "metadata"),
        ({"recording": "bald"}, "recording"),
        ({"recording": "1.5"}, "recording"),
        ({"recording": "90", "metadata": "30"}, "recording"),
        ({"transcript": "90", "metadata": "30"}, "transcript"),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    client: PortalClient, cast: Cast, data: dict[str, str], field: str
) -> None:
    answer = client.sign_in(cast.salon.owner).post(PAGE, data=data)
    assert answer.status_code == 422
    assert re.findall(r'id="(\w+)-e"', answer.text) == [field]
    assert kept(cast.salon) == Retention()


def test_what_would_go_at_once_has_to_be_agreed_to(client: PortalClient, cast: Cast) -> None:
    factories.make_call(cast.salon, "Guten Tag", started_at=utcnow() - timedelta(days=100))
    client.sign_in(cast.salon.owner)
    asked = client.post(PAGE, data={"transcript": "90"})
    assert (asked.status_code, kept(cast.salon)) == (200, Retention())
    assert sealed(asked.text) == "0-90-0"
    other = client.post(PAGE, data={"transcript": "30", "confirmed": sealed(asked.text)})
    assert (other.status_code, kept(cast.salon)) == (200, Retention())
    agreed = client.post(PAGE, data={"transcript": "90", "confirmed": sealed(asked.text)})
    assert (agreed.status_code, kept(cast.salon)) == (303, Retention(None, 90, None))


def test_pages_about_a_call_stand_when_its_words_are_gone(client: PortalClient, cast: Cast) -> None:
    """Also an open callback of it, which still has to be done."""
    firm = cast.salon
    call = factories.make_call(firm, "User: Bitte rufen Sie zurück", summary="Fragt nach dem Ohrring")
    factories.make_followup(firm, call=call, detail="Fragt nach dem Ohrring")
    factories.within(firm, lambda: forgetting.words([call.id]))
    client.sign_in(firm.owner)
    for address in (f"/calls/{call.id}", "/calls", "/calls/follow-ups", f"/customers/{firm.customer.id}", "/"):
        page = client.get(address)
        assert page.status_code == 200, address
        assert "Ohrring" not in page.text, address
        assert "rufen Sie zurück" not in page.text, address
