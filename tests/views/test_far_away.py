"""Every address of the calendar that takes an id, with one of another branch and one of another company.

Nothing of it is there, for the manager and the staff of one branch, and for the owner of the other company.
"""

from __future__ import annotations

from typing import Any

import pytest

from portal.db import utcnow
from portal.models import PortalUserBranch
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.queries import Queries
from tests.test_reading import written

# Method, address, and what is sent. Ids are those of somewhere else, but for ``here`` and ``me``.
ADDRESSES: tuple[tuple[str, str, dict[str, str]], ...] = (
    *(("GET", f"/calendar?view={view}&branch={{branch}}", {}) for view in ("day", "week", "month", "list")),
    *(("GET", f"/calendar?view={view}&staff={{staff}}", {}) for view in ("day", "week", "month", "list")),
    ("GET", "/calendar/print?branch={branch}", {}),
    ("GET", "/calendar/print?branch={here}&staff={staff}", {}),
    ("GET", "/calendar/print?branch=all&staff={staff}", {}),
    ("GET", "/calendar/changes/{code}", {}),
    ("GET", "/calendar/today?branch={branch}", {}),
    ("POST", "/calendar/today/{row}/arrived", {"version": "1"}),
    ("POST", "/calendar/feeds/{feed}/renew", {}),
    ("POST", "/calendar/feeds/{feed}/delete", {}),
    ("GET", "/appointments/{row}", {}),
    ("GET", "/appointments/{row}/edit", {}),
    ("GET", "/appointments/{row}/news", {}),
    ("POST", "/appointments/{row}/edit", {"version": "1", "time": "10:00"}),
    ("POST", "/appointments/{row}/edit", {"version": "1", "compare": "1"}),
    ("POST", "/appointments/{row}/move", {"version": "1", "part": "drop", "at": "2137000000"}),
    ("POST", "/appointments/{row}/move", {"version": "1", "date": "2037-09-21", "time": "10:00"}),
    ("POST", "/appointments/{row}/cancel", {"version": "1", "reason": "customer"}),
    *(("POST", "/appointments/{row}/status", {"version": "1", "action": step}) for step in ("arrived", "back")),
    *(("POST", "/appointments/{row}/sync", {"version": "1", "choice": side}) for side in ("ours", "theirs", "again")),
    ("POST", "/appointments/{row}/tell", {}),
    ("GET", "/settings/hours?branch={branch}", {}),
    ("GET", "/settings/hours?branch={here}&staff={staff}", {}),
    ("GET", "/settings/hours?branch={here}&copy={branch}", {}),
    ("GET", "/settings/hours?branch={here}&copy={here}-{staff}", {}),
    ("GET", "/settings/hours/outside?branch={branch}", {}),
    ("POST", "/settings/hours?branch={branch}", {"branch": "{branch}"}),
    ("POST", "/settings/hours?branch={here}", {"branch": "{branch}"}),
    ("POST", "/settings/hours?branch={here}", {"branch": "{here}", "staff": "{staff}"}),
    ("GET", "/settings/closures?branch={branch}", {}),
    ("GET", "/settings/closures?branch={here}&edit={closure}", {}),
    ("POST", "/settings/closures?branch={branch}", {"branch": "{branch}", "date": "2037-09-21", "reason": "x"}),
    ("POST", "/settings/closures/{closure}/delete", {}),
    ("GET", "/settings/absences?staff={staff}", {}),
    ("GET", "/settings/absences/{absence}", {}),
    ("POST", "/settings/absences/{absence}", {"staff": "{me}", "first": "2037-09-21", "kind": "sick"}),
    ("POST", "/settings/absences/{absence}/delete", {"knowingly": "y"}),
)
# What is asked for with words that fit nobody is a form with its mistake beside the field.
FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/settings/absences/new", {"staff": "{staff}", "first": "2037-09-21", "last": "2037-09-22", "kind": "vacation"}),
    ("/calendar/feeds", {"what": "branch-{branch}"}),
    ("/calendar/feeds", {"what": "staff-{staff}"}),
)
ONLY_MANAGERS = ("/settings/hours", "/settings/closures")


def rows(firm: Firm, branch_id: int, staff_id: int) -> dict[str, Any]:
    """One of each kind at that branch."""
    row = factories.make_appointment(firm, branch_id=branch_id, staff_id=staff_id, status="confirmed")
    factories.make_booking(firm, row, sync_status="conflict")
    return {
        "branch": branch_id,
        "staff": staff_id,
        "row": row.id,
        "feed": factories.make_feed(firm, firm.owner)[0].id,
        "code": factories.make_day_print(firm, day=utcnow().date(), branch_id=branch_id).code,
        "closure": factories.make_closure(firm, branch_id=branch_id).id,
        "absence": factories.make_absence(firm, staff_id=staff_id).id,
    }


@pytest.fixture(params=["branch", "company"])
def far(request: pytest.FixtureRequest, cast: Cast) -> dict[str, Any]:
    """Ids of another branch, or of another company; the manager of the salon leads its first branch alone."""
    salon, praxis = cast.salon, cast.praxis
    bound = {"portal_user_id": salon.manager.id, "branch_id": salon.main.id}
    factories.save(salon, PortalUserBranch(company_id=salon.id, **bound))
    is_branch = request.param == "branch"
    firm, at, who = (salon, salon.other, salon.colleague) if is_branch else (praxis, praxis.main, praxis.stylist)
    return rows(firm, at.id, who.id) | {"here": salon.main.id, "me": salon.stylist.id}


def act(client: PortalClient, far: dict[str, Any], method: str, url: str, data: dict[str, str]) -> tuple[int, set[str]]:
    """The answer's status, and the tables that were written."""
    sent = {name: value.format(**far) for name, value in data.items()}
    with Queries() as asked:
        answer = client.htmx(method, url.format(**far), data=sent) if data.get("part") else client.open(
            url.format(**far), method=method, data=sent
        )  # fmt: skip
    return answer.status_code, written(asked)


@pytest.mark.parametrize("role", ["manager", "staff"])
def test_nothing_elsewhere_is_there(client: PortalClient, cast: Cast, far: dict[str, Any], role: str) -> None:
    client.sign_in(cast.salon.users[role])
    wrong = {}
    for method, url, data in ADDRESSES:
        managers = url.startswith(ONLY_MANAGERS) or (method == "POST" and url.startswith("/settings/absences"))
        expected = (403, set[str]()) if role == "staff" and managers else (404, set[str]())
        if (found := act(client, far, method, url, data)) != expected:
            wrong[method, url, str(data)] = found
    assert wrong == {}


def test_the_owner_of_a_company_finds_nothing_of_another_one(client: PortalClient, cast: Cast) -> None:
    ids = rows(cast.praxis, cast.praxis.main.id, cast.praxis.stylist.id)
    ids |= {"here": cast.salon.main.id, "me": cast.salon.stylist.id}
    client.sign_in(cast.salon.owner)
    found = {(method, url): act(client, ids, method, url, data) for method, url, data in ADDRESSES}
    assert {name: each for name, each in found.items() if each != (404, set())} == {}


@pytest.mark.parametrize("role", ["owner", "manager", "staff"])
@pytest.mark.parametrize(("url", "data"), FORMS)
def test_a_form_that_names_what_is_elsewhere_comes_back(
    client: PortalClient, cast: Cast, far: dict[str, Any], role: str, url: str, data: dict[str, str]
) -> None:
    client.sign_in(cast.salon.users[role])
    status, tables = act(client, far, "POST", url, data)
    if role == "owner" and far["branch"] == cast.salon.other.id:
        assert status < 400  # all branches are the owner's own
        return
    assert status == (403 if role == "staff" and url == "/settings/absences/new" else 422)
    assert tables == set()


def test_what_is_here_is_there(client: PortalClient, cast: Cast) -> None:
    """So that the tests above ask at the right addresses."""
    salon = cast.salon
    ids = rows(salon, salon.main.id, salon.stylist.id) | {"here": salon.main.id, "me": salon.stylist.id}
    client.sign_in(salon.owner)
    found = {url: act(client, ids, method, url, data)[0] for method, url, data in ADDRESSES}
    assert {url: status for url, status in found.items() if status in (403, 404, 405)} == {}
