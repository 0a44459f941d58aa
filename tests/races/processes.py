"""Several real processes that do the same thing at the same moment, each with an application of its own.

They come from a fork server that has imported the portal once, so twenty of them start within a second.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy.orm import configure_mappers

from portal import create_app
from portal.db import db
from tests.conftest import TEST_SETTINGS, PortalClient

PATIENCE = 180  # seconds until a process that hangs fails the test

# Everything imported and set up once, before the processes part ways: a second application takes no time.
create_app(replace(TEST_SETTINGS, database_url="sqlite:///:memory:"))
configure_mappers()

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__])

Work = Callable[..., Any]


def at_once(url: str, tasks: Sequence[tuple[Work, tuple[Any, ...]]], **settings: Any) -> list[Any]:
    """Run every (function, arguments) in a process of its own, all from the same moment on; their results.

    The functions must be importable. A process that fails hands its exception over, which is raised here.
    """
    barrier, results = context.Barrier(len(tasks)), context.Queue()
    started = [
        context.Process(target=_process, args=(url, settings, barrier, results, place, work, arguments))
        for place, (work, arguments) in enumerate(tasks)
    ]
    for process in started:
        process.start()
    found = dict(results.get(timeout=PATIENCE) for _ in started)
    for process in started:
        process.join(PATIENCE)
    if failures := [one for one in found.values() if isinstance(one, Failure)]:
        raise AssertionError(f"{len(failures)} of {len(started)} processes failed, first with {failures[0].words}")
    return [found[place] for place in range(len(started))]


class Failure:
    """What went wrong in a process, in words; an exception itself may not travel."""

    def __init__(self, error: BaseException) -> None:
        self.words = f"{type(error).__name__}: {error}"


def _process(
    url: str, settings: dict[str, Any], barrier: Barrier, results: Any, place: int, work: Work, arguments: Any
) -> None:
    made: Any = None
    try:
        app = create_app(replace(TEST_SETTINGS, database_url=url, **settings))
        app.test_client_class = PortalClient
        with app.app_context():
            db.engine.connect().close()
            barrier.wait(PATIENCE)
            made = work(app, *arguments)
            db.session.remove()
            db.engine.dispose()
    finally:
        if (error := sys.exception()) is not None:
            barrier.abort()
            made = Failure(error)
        results.put((place, made))
