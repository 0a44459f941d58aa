"""``kill -9`` between any two steps: a child process ends itself at its n-th step, and there is one for every n.

Steps are every row that is written, the moments before and after each commit, and the moments before and after each
call to Stripe. What a child leaves behind is what a power cut would leave.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import stripe
from flask import Flask
from sqlalchemy import event

from portal.db import db

WRITES = ("INSERT", "UPDATE", "DELETE")
MOST = 200  # a life with more steps than this does not end

# Prepares a life and returns the part of it during which the child dies. ``number`` tells lives apart.
Life = Callable[..., Callable[[], Any]]


class Steps:
    """Counts what happens; the fatal one does not return."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.taken = fatal, 0

    def step(self) -> None:
        self.taken += 1
        if self.taken == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what the database and Stripe are asked for inside."""
        real = stripe.RequestsClient.request

        def asked(*arguments: Any, **named: Any) -> Any:
            self.step()
            answer = real(*arguments, **named)
            self.step()
            return answer

        event.listen(db.engine, "before_cursor_execute", self._statement)
        event.listen(db.engine, "commit", lambda connection: self.step())
        event.listen(db.session, "after_commit", lambda session: self.step())
        stripe.RequestsClient.request = asked  # type: ignore[method-assign,assignment]
        yield

    def _statement(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(WRITES):
            self.step()


def at_every_step(app: Flask, life: Life, *arguments: Any) -> int:
    """How many lives there were: number 0 is whole, each further one ends a step later, the last one is whole again.

    The first is this process's own: what it has imported and compiled, the children need not.
    """
    life(app, 0, *arguments)()
    for number in count(1):
        assert number < MOST
        _let_go(app)
        child = os.fork()
        if child == 0:
            _live(app, number, life, arguments)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            assert status == 0, f"the life that was to end at step {number} failed"
            return number + 1
    raise AssertionError("nobody comes here")


def _let_go(app: Flask) -> None:
    """A child must not share a connection, neither to the database nor to Stripe."""
    db.session.remove()
    db.engine.dispose()
    app.extensions.pop("stripe", None)


def _live(app: Flask, number: int, life: Life, arguments: tuple[Any, ...]) -> None:
    """The child's whole life; never returns."""
    try:
        fatal_part = life(app, number, *arguments)
        with Steps(number).counted():
            fatal_part()
    except BaseException:  # noqa: BLE001  a child must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
