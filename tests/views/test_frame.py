"""What the frame of every page asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.db import db, transaction, utcnow
from portal.domain import heartbeat, identity, overview
from portal.models import Company, PipelineHeartbeat, PortalUser, PortalUserPermission, UserPreference
from portal.permissions import Permission
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries

RETELL = "retell"


def beat(cast: Cast, **values: Any) -> None:
    row = PipelineHeartbeat(
        company_id=cast.salon.id, scope=heartbeat.scope_of(cast.salon.id), provider=RETELL, **values
    )

    def add() -> None:
        with tenant_scope(cast.salon.id):
            db.session.add(row)

    transaction(add)


# ---- Colour -----------------------------------------------------------------------------------------------


def colour(cast: Cast, value: object) -> None:
    transaction(lambda: setattr(db.session.get_one(Company, cast.salon.id), "settings", {"brand_color": value}))


def test_a_company_wears_its_colour(client: PortalClient, cast: Cast) -> None:
    colour(cast, "#aa3355")
    answer = client.get("/brand/salon.css")
    assert (answer.mimetype, answer.text) == ("text/css", ":root { --brand: #aa3355; }\n")
    assert client.get("/brand/salon.css", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("value", [None, "", "red", "#fff", 7, "#aa3355; } body { display: none", ["#aa3355"]])
def test_what_is_no_colour_is_none(client: PortalClient, cast: Cast, value: object) -> None:
    colour(cast, value)
    assert client.get("/brand/salon.css").text == ""


def test_a_company_that_does_not_exist_looks_like_one_without_a_colour(client: PortalClient, cast: Cast) -> None:
    known, unknown = client.get("/brand/praxis.css"), client.get("/brand/nobody.css")
    assert (unknown.status_code, unknown.data) == (known.status_code, known.data) == (200, b"")


def test_the_colour_may_stay_in_the_browser_but_in_no_shared_cache(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    assert client.get("/brand/salon.css").headers["Cache-Control"] == "private, max-age=300"
    assert client.get("/customers").headers["Cache-Control"] == "no-store"


# ---- The light --------------------------------------------------------------------------------------------


def test_a_company_without_a_call_is_told_so(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    assert client.get("/pipeline?lang=en").status_code == 200
    with tenant_scope(cast.salon.id):
        assert overview.pipeline() == overview.Pipeline(None, 0)


def test_the_light_says_when_the_last_call_came_and_rests_until_the_next(client: PortalClient, cast: Cast) -> None:
    beat(cast, last_event_at=utcnow() - timedelta(minutes=3))
    client.sign_in(cast.salon.owner)
    first = client.htmx("GET", "/pipeline")
    assert "light-warn" not in first.text
    version = first.text.split("?v=")[1].split('"')[0]
    assert client.htmx("GET", f"/pipeline?v={version}").status_code == 204


def test_the_light_counts_what_was_refused_since_the_last_good_one(client: PortalClient, cast: Cast) -> None:
    beat(cast, last_event_at=utcnow() - timedelta(hours=1))
    with all_tenants("webhooks are refused before their company matters"):
        for _ in range(3):
            transaction(lambda: heartbeat.refused(RETELL, cast.salon.id, utcnow()))
    client.sign_in(cast.salon.owner)
    assert "light-warn" in client.htmx("GET", "/pipeline").text
    with tenant_scope(cast.salon.id):
        assert overview.pipeline().refused == 3
    with all_tenants("a good one"):
        transaction(lambda: heartbeat.heard(RETELL, cast.salon.id, utcnow()))
    assert "light-warn" not in client.htmx("GET", "/pipeline").text
    with all_tenants("and one more that is refused"):
        transaction(lambda: heartbeat.refused(RETELL, cast.salon.id, utcnow()))
    with tenant_scope(cast.salon.id):
        assert overview.pipeline().refused == 1


def test_the_light_says_what_was_late_and_has_been_caught_up(client: PortalClient, cast: Cast) -> None:
    beat(cast, last_event_at=utcnow() - timedelta(hours=1))
    client.sign_in(cast.salon.owner)
    first = client.htmx("GET", "/pipeline?lang=en")
    version = first.text.split("?v=")[1].split('"')[0]
    assert "late" not in first.text
    with all_tenants("the worker serves every company"):
        transaction(lambda: heartbeat.caught_up(RETELL, cast.salon.id, 3, utcnow()))
    answer = client.htmx("GET", f"/pipeline?v={version}")
    assert answer.status_code == 200
    assert "3 verspätete Anrufe nachgeholt" in answer.text
    assert "light-warn" not in answer.text
    client.sign_in(cast.praxis.owner)
    assert "nachgeholt" not in client.htmx("GET", "/pipeline").text


def test_the_bookkeeper_has_no_light(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.bookkeeper)
    assert client.get("/pipeline").status_code == 403


# ---- Choices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_a_language_is_kept_with_the_person(client: PortalClient, cast: Cast, who: str) -> None:
    user = cast.operator if who == "operator" else cast.salon.owner
    client.sign_in(user)
    answer = client.post("/preferences/language", data={"language": "en", "next": "/customers?q=x"})
    assert (answer.status_code, answer.location) == (303, "/customers?q=x")
    with all_tenants("operators have no company"):
        assert db.session.get_one(PortalUser, user.id).language == "en"


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_a_theme_is_kept_and_can_be_changed(client: PortalClient, cast: Cast, who: str) -> None:
    user = cast.operator if who == "operator" else cast.salon.owner
    client.sign_in(user)
    for theme in ("dark", "dark", "light", "neon"):
        assert client.post("/preferences/theme", data={"theme": theme}).status_code == 303
    with all_tenants("operators have no company"):
        rows = db.session.query(UserPreference).filter_by(portal_user_id=user.id).all()
    assert [(row.preference_key, row.preference_value) for row in rows] == [("theme", "light")]
    found = identity.load(f"{user.id}:{user.session_version}")
    assert found is not None
    assert found.theme == "light"


def test_a_stranger_keeps_the_language_in_the_session(client: PortalClient) -> None:
    assert client.post("/preferences/language", data={"language": "en", "next": "/login"}).location == "/login"
    assert '<html lang="en"' in client.get("/login").text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_way_back_never_leads_elsewhere(client: PortalClient, cast: Cast, target: str) -> None:
    client.sign_in(cast.salon.owner)
    assert client.post("/preferences/theme", data={"theme": "dark", "next": target}).location == "/"


def test_choices_need_the_token(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner).csrf = False
    assert client.post("/preferences/theme", data={"theme": "dark"}).status_code == 400


# ---- Small files ------------------------------------------------------------------------------------------


def test_search_engines_are_asked_to_stay_away(client: PortalClient) -> None:
    assert client.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_the_old_name_of_the_icon_leads_to_it(client: PortalClient) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")


# ---- Who is signed in -------------------------------------------------------------------------------------


def test_a_person_is_read_in_two_statements_with_branches_and_exceptions(cast: Cast) -> None:
    user = cast.salon.staff

    def make_exceptions() -> None:
        with tenant_scope(cast.salon.id):
            for permission, granted in ((Permission.EXPORT_CALLS, True), (Permission.VIEW_CALENDAR, False)):
                db.session.add(
                    PortalUserPermission(
                        company_id=cast.salon.id, portal_user_id=user.id, permission=permission, granted=granted
                    )
                )

    transaction(make_exceptions)
    with Queries() as asked:
        found = identity.load(f"{user.id}:{user.session_version}")
    assert found is not None
    assert found.branch_ids == [cast.salon.main.id]
    assert Permission.EXPORT_CALLS in found.permissions
    assert Permission.VIEW_CALENDAR not in found.permissions
    assert (found.theme, found.company and found.company.tenant_id) == ("auto", "salon")
    assert len(asked) == 2
