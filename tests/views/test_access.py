"""The doors as a browser meets them."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import EmailOutbox
from portal.tenancy import all_tenants
from tests.cast import PASSWORD, Cast
from tests.conftest import PortalClient


def log_in(client: PortalClient, email: str, password: str = PASSWORD, **query: str) -> object:
    return client.post("/login", data={"email": email, "password": password}, query_string=query)


def mails() -> list[EmailOutbox]:
    with all_tenants("the test reads the outbox"):
        return list(db.session.scalars(select(EmailOutbox)))


@pytest.mark.parametrize(
    ("role", "first_page"), [("owner", "/"), ("manager", "/"), ("staff", "/"), ("bookkeeper", "/balance")]
)
def test_each_role_arrives_at_its_first_page(client: PortalClient, cast: Cast, role: str, first_page: str) -> None:
    answer = log_in(client, cast.salon.users[role].email)
    assert (answer.status_code, answer.location) == (303, first_page)
    assert client.get(first_page).status_code == 200


def test_operators_arrive_at_the_companies(client: PortalClient, cast: Cast) -> None:
    assert log_in(client, cast.operator.email).location == "/operator"


def test_a_refusal_says_the_same_for_known_and_unknown_addresses(client: PortalClient, cast: Cast) -> None:
    known = log_in(client, cast.salon.owner.email, "wrong")
    unknown = log_in(client, "nobody@salon.example", "wrong")
    assert known.status_code == unknown.status_code == 422
    strip = re.compile(r'value="[^"]*"')
    assert strip.sub("", known.text) == strip.sub("", unknown.text)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "javascript:x"]
)
def test_next_leads_only_to_our_own_pages(client: PortalClient, cast: Cast, target: str) -> None:
    assert log_in(client, cast.salon.owner.email, next=target).location == "/"


def test_next_leads_back_to_the_page_that_was_asked_for(client: PortalClient, cast: Cast) -> None:
    answer = client.get("/customers?q=Demir")
    assert answer.status_code == 303
    assert "/login?next=" in answer.location
    assert log_in(client, cast.salon.owner.email, next="/customers?q=Demir").location == "/customers?q=Demir"


def test_a_part_asked_for_by_a_stranger_sends_the_whole_browser_to_the_login(client: PortalClient, cast: Cast) -> None:
    answer = client.htmx("GET", "/balance/chip")
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"].startswith("/login")
    assert answer.text == ""


@pytest.mark.parametrize(
    ("shown", "back"),
    [
        ("http://portal.example/calendar/today?branch=7", "/calendar/today?branch=7"),
        ("http://portal.example//elsewhere.example/", "/"),
        ("", "/"),
    ],
)
def test_a_part_of_a_stranger_leads_back_to_the_page_it_was_on(
    client: PortalClient, cast: Cast, shown: str, back: str
) -> None:
    answer = client.htmx("GET", "/calendar/today?v=1", headers={"HX-Current-URL": shown})
    query = parse_qs(urlsplit(answer.headers["HX-Redirect"]).query)
    assert log_in(client, cast.salon.owner.email, next=query.get("next", [""])[0]).location == back


def test_logging_in_without_a_csrf_token_is_refused(client: PortalClient, cast: Cast) -> None:
    client.csrf = False
    assert log_in(client, cast.salon.owner.email).status_code == 400


def test_logging_out_ends_the_session(client: PortalClient, cast: Cast) -> None:
    log_in(client, cast.salon.owner.email)
    assert client.post("/logout").status_code == 303
    assert client.get("/").status_code == 303


def test_the_whole_way_back_in(client: PortalClient, cast: Cast) -> None:
    assert client.post("/password/forgot", data={"email": cast.salon.owner.email}).status_code == 200
    (mail,) = mails()
    assert mail.recipient == cast.salon.owner.email
    path = re.search(r"http://localhost(/password/reset/\S+)", mail.text_body)
    assert path
    assert client.get(path[1]).status_code == 200
    differing = client.post(path[1], data={"password": "a much better one", "again": "another"})
    assert differing.status_code == 422
    done = client.post(path[1], data={"password": "a much better one", "again": "a much better one"})
    assert (done.status_code, done.location) == (303, "/login")
    assert client.get(path[1]).status_code == 404
    assert log_in(client, cast.salon.owner.email, "a much better one").status_code == 303


def test_an_unknown_address_gets_the_same_page_and_no_mail(client: PortalClient, cast: Cast) -> None:
    known = client.post("/password/forgot", data={"email": cast.salon.owner.email})
    unknown = client.post("/password/forgot", data={"email": "nobody@salon.example"})
    assert known.text == unknown.text
    assert len(mails()) == 1


def test_changing_the_password_keeps_this_browser_signed_in_and_no_other(client: PortalClient, cast: Cast) -> None:
    other = client.application.test_client()
    log_in(client, cast.salon.owner.email)
    log_in(other, cast.salon.owner.email)
    wrong = client.post(
        "/password/change", data={"current": "x", "password": "a much better one", "again": "a much better one"}
    )
    assert wrong.status_code == 422
    data = {"current": PASSWORD, "password": "a much better one", "again": "a much better one"}
    assert client.post("/password/change", data=data).status_code == 303
    assert client.get("/customers").status_code == 200
    assert other.get("/customers").status_code == 303


def test_pages_of_signed_in_people_are_not_kept_anywhere(client: PortalClient, cast: Cast) -> None:
    answer = client.sign_in(cast.salon.owner).get("/customers")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-" not in policy
    assert policy.startswith("default-src 'self'")


def test_the_demos_people_stay_outside_in_production(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.views.access.LOGINS", {"Salon": ((cast.salon.owner.email, "owner"),)})
    assert log_in(client, cast.salon.owner.email).status_code == 303
    client.post("/logout")
    production = replace(client.application.extensions["settings"], portal_env="production")
    monkeypatch.setitem(client.application.extensions, "settings", production)
    assert log_in(client, cast.salon.owner.email).status_code == 422
    assert log_in(client, cast.salon.manager.email).status_code == 303
