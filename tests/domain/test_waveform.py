"""The picture of a sound: as high as it is loud, from every kind of WAV, and none from anything else."""

from __future__ import annotations

import io
import math
import struct
import wave

import pytest

from portal.domain import waveform


def wav(width: int = 2, channels: int = 1, rate: int = 8000, seconds: float = 4, loud_from: float = 2) -> bytes:
    """Silence, and from ``loud_from`` on a tone."""
    file, frames = io.BytesIO(), []
    for i in range(int(seconds * rate)):
        value = math.sin(i / 3) * 0.8 if i >= loud_from * rate else 0.0
        packed = {
            1: lambda v: struct.pack("B", round(128 + v * 127)),
            2: lambda v: struct.pack("<h", round(v * 32767)),
            3: lambda v: struct.pack("<i", round(v * 8388607))[:3],
            4: lambda v: struct.pack("<i", round(v * 2147483647)),
        }[width](value)
        frames.append(packed * channels)
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate, len(frames), "NONE", ""))
        out.writeframes(b"".join(frames))
    return file.getvalue()


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_silence_is_low_and_sound_is_high(width: int, channels: int) -> None:
    sound = waveform.read(io.BytesIO(wav(width, channels)))
    assert sound is not None
    assert sound.seconds == 4
    assert len(sound.peaks) == waveform.BARS
    half = waveform.BARS // 2
    assert max(sound.peaks[: half - 1]) <= 1
    assert min(sound.peaks[half + 1 :]) > 80
    assert max(sound.peaks) == 100


def test_silence_all_through_is_a_flat_line() -> None:
    sound = waveform.read(io.BytesIO(wav(loud_from=99)))
    assert sound is not None
    assert set(sound.peaks) == {0}


def test_a_length_that_nobody_knew_while_recording_is_taken_from_the_file() -> None:
    content = bytearray(wav())
    content[40:44] = struct.pack("<I", 0xFFFFFFF0)
    sound = waveform.read(io.BytesIO(bytes(content)))
    assert sound is not None
    assert sound.seconds == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize("content", [
    b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3\4" + bytes(500), wav()[:60], wav(3), wav(seconds=0.01, loud_from=0),
    wav()[:20] + b"\x07\0" + wav()[22:], wav()[:22] + b"\0\0" + wav()[24:], wav()[:24] + bytes(4) + wav()[28:],
])  # fmt: skip
def test_what_cannot_be_looked_into_has_no_picture(content: bytes) -> None:
    assert waveform.read(io.BytesIO(content)) is None


def test_whatever_is_broken_in_the_head_is_no_error() -> None:
    """Somebody else's file: a chunk whose length leads beyond its end has raised what nobody waits for."""
    for place in range(44):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            content = bytearray(wav(seconds=0.5))
            content[place] = value
            waveform.read(io.BytesIO(bytes(content)))
    content = bytearray(wav(seconds=0.5))
    content[15:20] = b"\xff \x10\x00\x80"
    assert waveform.read(io.BytesIO(bytes(content))) is None
