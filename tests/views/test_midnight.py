"""A page that stays open overnight: what is asked for again and again is drawn anew at the reader's midnight."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from portal.db import utcnow
from portal.domain import heartbeat
from portal.models import DaySheetPrint, Notification, PipelineHeartbeat
from tests import factories
from tests.cast import Cast
from tests.clock import clock_ahead
from tests.conftest import PortalClient

EVENING = datetime(2037, 1, 14, 22, 50, tzinfo=UTC)  # 23:50 in Berlin; the day of UTC goes on for an hour
MINUTE = timedelta(minutes=1)
CODE = "7QF3K2XM"
POLLED = {
    "/": "/dashboard/calls",
    "/calls": "/calls/live",
    "/calls/follow-ups": "/calls/follow-ups/now",
    f"/calendar/changes/{CODE}": f"/calendar/changes/{CODE}",
    "/customers": "/notifications/bell",
    "/settings": "/pipeline",
}


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    """The salon's, on whose pages something of the evening stands."""
    firm, at = cast.salon, EVENING - 5 * MINUTE
    factories.make_call(firm, started_at=at)
    day = {"branch_id": firm.main.id, "date": (at + timedelta(days=5)).date(), "created_at": at}
    factories.save(firm, DaySheetPrint(company_id=firm.id, code=CODE, snapshot={"staff": None, "rows": []}, **day))
    told = {"type": "call", "category": "call", "title": "Ein Anruf", "created_at": at}
    factories.save(firm, Notification(company_id=firm.id, portal_user_id=firm.owner.id, **told))
    beat = {"scope": heartbeat.scope_of(firm.id), "provider": "retell", "last_event_at": at}
    factories.save(firm, PipelineHeartbeat(company_id=firm.id, **beat))
    return client.sign_in(firm.owner)


def asked(client: PortalClient, around: str, part: str) -> str:
    """The address of a part with the version that is shown."""
    found = re.search(rf'hx-get="({re.escape(part)}[^"]*)"', client.get(around).text)
    assert found
    first = client.htmx("GET", found[1].replace("&amp;", "&"))
    again = re.search(rf'hx-get="({re.escape(part)}[^"]*[?;]v=[^"]+)"', first.text) if first.text else found
    assert again
    return again[1].replace("&amp;", "&")


@pytest.mark.parametrize(("around", "part"), POLLED.items())
def test_a_part_rests_until_the_readers_midnight_and_is_drawn_anew_then(
    owner: PortalClient, around: str, part: str
) -> None:
    before = EVENING - utcnow()
    with clock_ahead(before):
        address = asked(owner, around, part)
    with clock_ahead(before + 2 * MINUTE):
        assert owner.htmx("GET", address).status_code == 204
    with clock_ahead(before + 20 * MINUTE):
        assert owner.htmx("GET", address).status_code == 200


@pytest.mark.parametrize("address", ["/calls/export.csv", "/balance/ledger.csv"])
def test_a_file_of_shortly_after_midnight_carries_the_day_that_has_begun(owner: PortalClient, address: str) -> None:
    with clock_ahead(EVENING - utcnow()):
        before = owner.get(address).headers["Content-Disposition"]
    with clock_ahead(EVENING + 20 * MINUTE - utcnow()):
        after = owner.get(address).headers["Content-Disposition"]
    assert ("2037-01-14" in before, "2037-01-15" in after) == (True, True)


def test_a_birthday_may_be_the_readers_today_and_not_the_readers_tomorrow(
    owner: PortalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"last_name": "Neugeboren", "date_of_birth": "2037-01-15", "preferred_language": "de"}
    for moment, status in ((EVENING, 422), (EVENING + 20 * MINUTE, 303)):  # one day in UTC, two in Berlin
        monkeypatch.setattr("portal.forms.customers.datetime", Mock(now=Mock(return_value=moment)))
        assert owner.post("/customers/new", data=data).status_code == status
