"""Bodies in Retell's shape: the files of ``payloads/retell`` with the times, numbers and ids that a test wants."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "payloads" / "retell"


@cache
def _read(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return body


def payload(name: str, **call: Any) -> dict[str, Any]:
    """The body of a file, with fields of its ``call`` replaced; None takes a field away."""
    body = deepcopy(_read(name))
    for field, value in call.items():
        if value is None:
            body["call"].pop(field, None)
        else:
            body["call"][field] = value
    return body


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
