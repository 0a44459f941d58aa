"""Error pages: friendly, without a query, and 503 with a hint to come back when the database is away."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from tests.cast import Cast
from tests.conftest import PortalClient


def away(*_: object) -> None:
    raise OperationalError("SELECT …", {}, Exception(2003, "cannot connect"))


def test_a_missing_page_is_a_page(client: PortalClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "<html" in answer.text


def test_a_database_that_is_away_answers_503_and_asks_to_come_back(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.sign_in(cast.salon.owner)
    monkeypatch.setattr("portal.extensions.login._user_callback", away)
    answer = client.get("/customers")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_webhook_gets_503_too_so_that_its_sender_tries_again(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.db import db

    monkeypatch.setattr(db.session, "execute", away)
    monkeypatch.setattr(db.session, "scalar", away)
    answer = client.post("/webhooks/retell/salon", data=b"{}", headers={"X-Retell-Signature": "v=1,d=x"})
    assert answer.status_code == 503


def test_what_nobody_expected_is_a_500_with_its_request_id(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    client.sign_in(cast.salon.owner)
    monkeypatch.setattr("portal.domain.overview.pipeline", lambda: 1 / 0)
    answer = client.get("/customers", headers={"X-Request-ID": "abcdef123456"})
    assert answer.status_code == 500
    assert "abcdef123456" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_a_request_id_of_nonsense_is_not_taken_over(client: PortalClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "<script>"}).headers["X-Request-ID"] != "<script>"


def test_health_readiness_and_metrics(client: PortalClient, cast: Cast) -> None:
    assert client.get("/healthz").text == "ok\n"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json) == (
        200,
        {"ready": True, "database": "ok", "migrated": True, "inbox_stale": False},
    )
    assert client.get("/metrics").status_code == 404


def test_too_large_a_form_is_413(client: PortalClient) -> None:
    answer = client.post("/login", data=b"x" * (5 * 1024 * 1024), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
