"""Fetches the sound of a call from where the provider keeps it for a few minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from portal.clients import public_http
from portal.clients.public_http import Answer, AwayError, FetchError, GoneError, RefusedError

__all__ = [
    "AwayError", "Fetched", "FetchError", "GoneError", "NotAudioError", "RefusedError", "TooLargeError", "fetch",
    "kind_of", "LARGEST", "SLOWEST",
]  # fmt: skip

LARGEST = 100_000_000  # bytes: an hour and a half of two voices as a WAV of 8 kHz, two days as MP3
SLOWEST = 60.0  # seconds for all of it
ACCEPT = "audio/*"
HEAD = 16  # bytes that tell what a file is
# Stores that were not told a type send one of these.
UNTOLD = {"application/octet-stream", "binary/octet-stream"}


class TooLargeError(FetchError):
    """More than we take."""


class NotAudioError(FetchError):
    """Something else than sound, by its type or by its first bytes."""


@dataclass(frozen=True)
class Fetched:
    """What has come: a type of our own list, and its size in bytes."""

    content_type: str
    size: int


def fetch(
    url: str,
    into: BinaryIO,
    *,
    trusted: tuple[str, ...] = (),
    largest: int = LARGEST,
    seconds: float = SLOWEST,
) -> Fetched:
    """Download one recording. Raises :class:`FetchError`; what ``into`` holds then is worth nothing."""
    with public_http.opened(url, accept=ACCEPT, trusted=trusted, seconds=seconds) as answer:
        if answer.length is not None and answer.length > largest:
            raise TooLargeError(f"{answer.length} bytes")
        head, size = _head(answer), 0
        content_type = _checked_type(answer.content_type, head)
        for piece in _joined(head, answer.body):
            size += len(piece)
            if size > largest:
                raise TooLargeError(f"more than {largest} bytes")
            into.write(piece)
    return Fetched(content_type, size)


def _head(answer: Answer) -> bytes:
    head = b""
    for piece in answer.body:
        head += piece
        if len(head) >= HEAD:
            break
    return head


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _checked_type(told: str, head: bytes) -> str:
    """The type by the first bytes; what was told must at least not be something else."""
    found = kind_of(head)
    if not (told.startswith("audio/") or told in UNTOLD) or found is None:
        raise NotAudioError(f"{told}, beginning with {head[:8]!r}")
    return found


def kind_of(head: bytes) -> str | None:
    """The audio format of a file by its first 16 bytes; None for everything else."""
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    known = {b"OggS": "audio/ogg", b"fLaC": "audio/flac", b"\x1aE\xdf\xa3": "audio/webm"}
    return known.get(head[:4])
