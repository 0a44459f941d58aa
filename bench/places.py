"""A private database to measure in, and the application on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from config import Settings
from portal import create_app
from portal.db import db
from tests.servers import MariaDB

ENGINES = ("sqlite", "mariadb")


@contextmanager
def database(engine: str) -> Iterator[str]:
    """The address of an empty database, gone afterwards."""
    with ExitStack() as stack:
        if engine == "mariadb":
            yield stack.enter_context(MariaDB()).create("bench")
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            yield f"sqlite:///{Path(folder) / 'bench.sqlite'}"


@contextmanager
def application(url: str) -> Iterator[Flask]:
    """The portal on this database, migrated; without the brakes on signing in.

    Outside of its context, because requests made inside one would share what belongs to one request.
    """
    app = create_app(Settings(portal_env="test", database_url=url))
    with app.app_context():
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


class Lines:
    """Progress as a line for each piece of work."""

    def begin(self, label: str, steps: int) -> None:
        print(f"  {label} ({steps:,})", flush=True)

    def step(self, count: int = 1) -> None:
        pass
