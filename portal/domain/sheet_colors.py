"""A colour for every person on a sheet, as a class of ``grid.css``: ``hue-0`` to ``hue-23``, or ``hue-grey``.

Our content security policy forbids inline styles, and free colours would not be legible in both themes; so a colour
that was chosen becomes the nearest of 24 hues, whose lightness the style sheet sets. Who has none gets one by their
number: steps that lead through all of them, far apart for people who follow each other.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable

from portal.models import Staff

HUES = 24
STEP = 7  # has no divisor in common with HUES
GREY = "hue-grey"
LEAST = 0.15  # saturation below which a colour has no hue
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def hues(people: Iterable[Staff]) -> dict[int, str]:
    """The class of each person, by id."""
    return {person.id: hue(person.id, person.color_code) for person in people}


def hue(staff_id: int, color_code: str | None) -> str:
    """The class of one person. ``color_code``: ``#c2410c`` or None; what is no colour counts as none."""
    found = _HEX.fullmatch(color_code or "")
    if not found:
        return f"hue-{staff_id * STEP % HUES}"
    red, green, blue = (int(part, 16) / 255 for part in found.groups())
    turn, _lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    return GREY if saturation < LEAST else f"hue-{round(turn * HUES) % HUES}"
