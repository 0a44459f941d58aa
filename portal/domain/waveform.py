"""How loud a recording is from moment to moment, for the picture of it. Pure: a WAV file in, some numbers out."""

from __future__ import annotations

import itertools
import sys
import wave
from array import array
from dataclasses import dataclass
from typing import Any, BinaryIO

BARS = 120
LOOKED_AT = 1_000  # samples a bar; more would not change what is seen
TYPES = {2: "h", 4: "i"}  # bytes a sample → array type


@dataclass(frozen=True)
class Sound:
    """Length in seconds, and the loudness of each of ``BARS`` equal stretches, 0 to 100 of the loudest."""

    seconds: float
    peaks: list[int]

    def as_details(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "peaks": self.peaks}


def read(file: BinaryIO) -> Sound | None:
    """Listen to a WAV file; None for what is none, or is packed in a way that only players know."""
    size = file.seek(0, 2)
    file.seek(0)
    try:
        with wave.open(file, "rb") as sound:
            return _listen(sound, size)
    except (wave.Error, EOFError, ValueError, ZeroDivisionError, RuntimeError):  # the last for a chunk beyond the end
        return None


def _listen(sound: wave.Wave_read, size: int) -> Sound | None:
    width, channels = sound.getsampwidth(), sound.getnchannels()
    # Whoever writes while recording does not know the length yet, and claims the longest there is.
    frames = min(sound.getnframes(), size // (width * channels))
    if frames < BARS or width not in {1, *TYPES}:
        return None
    edges = [number * frames // BARS for number in range(BARS + 1)]
    loud = [_loudness(sound.readframes(end - start), width) for start, end in itertools.pairwise(edges)]
    top = max(loud) or 1.0
    return Sound(round(frames / sound.getframerate(), 2), [round(100 * value / top) for value in loud])


def _loudness(frames: bytes, width: int) -> float:
    """The mean distance from silence of some samples, evenly taken."""
    if width == 1:
        few = frames[:: max(1, len(frames) // LOOKED_AT)]
        return sum(abs(sample - 128) for sample in few) / max(1, len(few))
    values: array[int] = array(TYPES[width], frames[: len(frames) // width * width])
    if sys.byteorder == "big":
        values.byteswap()
    samples = values[:: max(1, len(values) // LOOKED_AT)]
    return sum(map(abs, samples)) / max(1, len(samples))
