"""What runs by the clock or waits in the outbox. Each function can run twice and may be stopped at any line.

A module of this package offers ``OUTBOX`` (kind → function of the job) and ``PERIODIC`` (name → seconds between two
runs and a function of the time); the worker finds them by themselves. Kinds in ``SLOW`` wait for somebody else, for up
to a minute, and are done beside all others.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any

Outbox = dict[str, Callable[[dict[str, Any]], None]]
Periodic = dict[str, tuple[int, Callable[[datetime], None]]]


def outbox_handlers() -> Outbox:
    return {kind: run for module in _modules() for kind, run in getattr(module, "OUTBOX", {}).items()}


def slow_kinds() -> frozenset[str]:
    return frozenset(kind for module in _modules() for kind in getattr(module, "SLOW", ()))


def periodic_jobs() -> Periodic:
    return {name: job for module in _modules() for name, job in getattr(module, "PERIODIC", {}).items()}


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        yield import_module(f"{__name__}.{found.name}")
