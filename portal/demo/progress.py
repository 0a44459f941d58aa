"""How a long run is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """How a long run is shown: a piece of work of so many steps begins, and steps are done."""

    def begin(self, label: str, steps: int) -> None: ...

    def step(self, count: int = 1) -> None: ...
