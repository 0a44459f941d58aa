"""Several real processes that do the same thing at the same moment, each with an application of its own.

They come from a fork server that has imported the portal once, so twenty of them start within a second. A
:class:`Crew` stays for many rounds.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, Self

from flask import Flask
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
Task = tuple[Work, tuple[Any, ...]]


def at_once(url: str, tasks: Sequence[Task], **settings: Any) -> list[Any]:
    """Run every (function, arguments) in a process of its own, all from the same moment on; their results.

    The functions must be importable. A process that fails hands its exception over, which is raised here.
    """
    with Crew(url, len(tasks), **settings) as crew:
        return crew.at_once(tasks)


class Crew:
    """Processes that start once and then do one round of tasks after the other; they end with the block."""

    def __init__(self, url: str, size: int, **settings: Any) -> None:
        self.barrier, self.results = context.Barrier(size), context.Queue()
        pipes = [context.Pipe(duplex=False) for _ in range(size)]
        self.orders = [sender for _, sender in pipes]
        self.processes = [
            context.Process(target=_process, args=(url, settings, self.barrier, self.results, place, receiver))
            for place, (receiver, _) in enumerate(pipes)
        ]

    def __enter__(self) -> Self:
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for order in self.orders:
            order.send(None)
        for process in self.processes:
            process.join(PATIENCE)

    def at_once(self, tasks: Sequence[Task]) -> list[Any]:
        """One round: every task in a process of its own, all from the same moment on; their results in order."""
        spare = len(self.processes) - len(tasks)
        for order, task in zip(self.orders, [*tasks, *[(_rest, ())] * spare], strict=True):
            order.send(task)
        found = dict(self.results.get(timeout=PATIENCE) for _ in self.processes)
        if failures := [one for one in found.values() if isinstance(one, Failure)]:
            raise AssertionError(f"{len(failures)} of {len(found)} processes failed, first with {failures[0].words}")
        return [found[place] for place in range(len(tasks))]


class Failure:
    """What went wrong in a process, in words; an exception itself may not travel."""

    def __init__(self, error: BaseException) -> None:
        self.words = f"{type(error).__name__}: {error}"


def _rest(app: Flask) -> None:
    """What a process does that this round has no task for."""


def _process(
    url: str, settings: dict[str, Any], barrier: Barrier, results: Any, place: int, orders: Connection
) -> None:
    try:
        app = create_app(replace(TEST_SETTINGS, database_url=url, **settings))
        app.test_client_class = PortalClient
        with app.app_context():
            db.engine.connect().close()
            while task := orders.recv():
                results.put((place, _round(app, barrier, *task)))
            db.session.remove()
            db.engine.dispose()
    except BaseException as error:
        barrier.abort()
        results.put((place, Failure(error)))
        raise


def _round(app: Flask, barrier: Barrier, work: Work, arguments: tuple[Any, ...]) -> Any:
    try:
        barrier.wait(PATIENCE)
        return work(app, *arguments)
    except Exception as error:  # noqa: BLE001 - raised again in the test
        barrier.abort()
        return Failure(error)
    finally:
        db.session.remove()
