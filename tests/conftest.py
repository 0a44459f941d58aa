"""Fixtures: one migrated database a worker, a fixed cast in it, and every test in a transaction that is rolled back."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Connection, Engine, event
from werkzeug.test import TestResponse

from config import Settings
from portal import create_app
from portal import db as portal_db
from portal.clients.recording_store import Store
from portal.db import db
from portal.domain import recordings
from portal.extensions import limiter
from portal.webhooks import inbox
from tests.cast import Cast, build_cast
from tests.fake_stripe import Simulator
from tests.servers import MariaDB

RECORDINGS = TemporaryDirectory(prefix="empfang-recordings-")  # gone with this process
TEST_SETTINGS = Settings(
    portal_env="test",
    secret_key="test-secret-key",
    stripe_secret_key="sk_test_tests",
    stripe_webhook_secret="whsec_tests",
    portal_base_url="http://localhost",
    recordings_dir=RECORDINGS.name,
)

# Tests see what a delivery brings about as soon as it is answered; tests/webhooks/test_inbox.py sees the other way.
inbox.PATIENCE = None

# Property tests judge values, not speed: a busy machine must not fail them.
settings.register_profile("values", deadline=None)
settings.load_profile("values")

# What is imported stays until the end: to look through all of it for rubbish, again and again, is a fifth of the time.
gc.set_threshold(50_000, 20, 50)

# Who asks for none of these sees no database, and would find on MariaDB what it has found on SQLite.
ENGINE_FIXTURES = {"databases", "engine_name"}
_left_out = 0  # tests deselected in each process
_on_its_own = False  # whether the test that runs now has asked for no database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=("sqlite", "mariadb"), default="sqlite", help="the database to test on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ENGINE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ENGINE_FIXTURES)):
            item.add_marker(pytest.mark.any_engine)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    global _on_its_own
    _on_its_own = item.get_closest_marker("any_engine") is not None
    try:
        return (yield)
    finally:
        _on_its_own = False


@event.listens_for(Engine, "engine_connect")
def _keep_the_promise(_connection: Connection) -> None:
    """A test that is left out on the second engine must not need one after all."""
    assert not _on_its_own, "this test uses a database without asking for one: give it a fixture that has one"


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items and hasattr(items[0].config, "workeroutput"):
        output = items[0].config.workeroutput
        output["left_out"] = output.get("left_out", 0) + len(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process deselects the same; that it did is told once, as pytest itself does without processes."""
    global _left_out
    _left_out = max(_left_out, getattr(node, "workeroutput", {}).get("left_out", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left_out:
        terminalreporter.write_line(f"{_left_out} deselected")


class Databases:
    """Empty databases on demand, on the engine under test."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine, self.folder, self.count = engine, folder, 0
        self.server = MariaDB().start() if engine == "mariadb" else None

    def create(self) -> str:
        self.count += 1
        name = f"t{os.getpid()}_{self.count}"
        return self.server.create(name) if self.server else f"sqlite:///{self.folder / name}.sqlite"

    def stop(self) -> None:
        if self.server:
            self.server.stop()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made = Databases(request.config.getoption("--db"), tmp_path_factory.mktemp("db"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def engine_name(request: pytest.FixtureRequest) -> str:
    name: str = request.config.getoption("--db")
    return name


def make_app(url: str, **changes: Any) -> Flask:
    """A migrated application on the database at ``url``."""
    from flask_migrate import upgrade

    app = create_app(replace(TEST_SETTINGS, database_url=url, **changes))
    app.test_client_class = PortalClient
    with app.app_context():
        upgrade()
    return app


@pytest.fixture(scope="session")
def _app_and_cast(databases: Databases) -> Iterator[tuple[Flask, Cast]]:
    app = make_app(databases.create())
    with app.app_context():
        cast = build_cast()
    yield app, cast
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(_app_and_cast: tuple[Flask, Cast]) -> Iterator[Flask]:
    """The application; what a test writes is rolled back after it."""
    app, _ = _app_and_cast
    recordings.configure(Store(Path(app.extensions["settings"].recordings_dir)))  # other applications have their own
    with app.app_context():
        with portal_db.writing():
            connection = db.engine.connect()
            outer = connection.begin()
        engine = db.engine
        db._app_engines[app] = {None: connection}  # type: ignore[dict-item]
        db.session.session_factory.configure(join_transaction_mode="create_savepoint")
        db.session.remove()
        yield app
        db.session.remove()
        outer.rollback()
        connection.close()
        db._app_engines[app] = {None: engine}


@pytest.fixture
def cast(_app_and_cast: tuple[Flask, Cast], app: Flask) -> Cast:
    return _app_and_cast[1]


@pytest.fixture
def client(app: Flask) -> PortalClient:
    made = app.test_client()
    assert isinstance(made, PortalClient)
    return made


@pytest.fixture
def sim(app: Flask) -> Iterator[Simulator]:
    """Stripe, simulated behind the application."""
    from tests.payments import simulated_stripe

    with simulated_stripe(app) as made:
        yield made


@pytest.fixture
def real_app(databases: Databases) -> Iterator[tuple[Flask, Cast]]:
    """An application on a database of its own whose commits are real, for tests with several processes."""
    app = make_app(databases.create())
    with app.app_context():
        db.session.session_factory.configure(join_transaction_mode="conditional_savepoint")
        cast = build_cast()
        db.session.remove()
        yield app, cast
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def limited(databases: Databases) -> Iterator[tuple[PortalClient, Cast]]:
    """A browser before a portal that counts, as no other test's does; the salon's owner sits at it."""
    app = make_app(databases.create(), portal_env="development")
    with app.app_context():
        cast = build_cast()
        client = app.test_client()
        assert isinstance(client, PortalClient)
        yield client.sign_in(cast.salon.owner), cast
        limiter.reset()
        limiter.enabled = False
        db.session.remove()
        db.engine.dispose()


class PortalClient(FlaskClient):
    """A browser without HTML: signs people in, sends the CSRF token with every unsafe request."""

    csrf = True

    def sign_in(self, user: Any) -> PortalClient:
        """Be this person from now on."""
        with self.session_transaction() as session:
            session["_user_id"] = f"{user.id}:{user.session_version}"
            session["_fresh"] = True
        return self

    def htmx(self, method: str, url: str, **kwargs: Any) -> TestResponse:
        """The same request as HTMX sends it for a part."""
        headers = {"HX-Request": "true", "HX-Request-Type": "partial"} | kwargs.pop("headers", {})
        return self.open(url, method=method, headers=headers, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.csrf and str(kwargs.get("method", "GET")).upper() not in {"GET", "HEAD"}:
            kwargs["headers"] = {**dict(kwargs.get("headers") or {}), "X-CSRFToken": self._token()}
        # Each request in a context of its own, as in life: no `g`, no person and no session row is left over from the
        # test or the request before. What the test has read ends first, or its rollback would undo the request.
        db.session.rollback()
        with self.application.app_context():
            return super().open(*args, **kwargs)

    def _token(self) -> str:
        with self.session_transaction() as session:
            session["csrf_token"] = "tests"
        return URLSafeTimedSerializer(self.application.secret_key or "", salt="wtf-csrf-token").dumps("tests")
