"""Downloads of recordings: sound is taken, in whole and in bounds; everything else is not."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from portal.clients.recordings import (
    AwayError,
    Fetched,
    FetchError,
    GoneError,
    NotAudioError,
    TooLargeError,
    fetch,
    kind_of,
)
from tests.factories import WAV
from tests.provider import Provider, answer, provider


@pytest.fixture
def server() -> Iterator[Provider]:
    with provider() as running:
        yield running


def take(server: Provider, path: str = "/a.wav", largest: int = 1_000_000, seconds: float = 5) -> tuple[Fetched, bytes]:
    into = io.BytesIO()
    found = fetch(server.url(path), into, trusted=(server.host,), largest=largest, seconds=seconds)
    return found, into.getvalue()


@pytest.mark.parametrize(
    "told", ["audio/wav", "audio/x-wav", "audio/mpeg", "application/octet-stream", "audio/wav; x=1"]
)
def test_sound_is_taken_and_its_type_is_what_it_really_is(server: Provider, told: str) -> None:
    server.answers["/a.wav"] = answer(kind=told)
    assert take(server) == (Fetched("audio/wav", len(WAV)), WAV)


def test_sound_of_unknown_length_is_taken_too(server: Provider) -> None:
    def streamed(request: object) -> None:
        request.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n" + WAV)  # type: ignore[attr-defined]

    server.answers["/a.wav"] = streamed
    assert take(server)[1] == WAV


@pytest.mark.parametrize(("content", "told"), [
    (WAV, "text/html"), (WAV, "image/png"), (b"<html><body>Sign in</body></html>", "audio/wav"), (b"", "audio/wav"),
    (b"\x89PNG\r\n\x1a\n" + bytes(20), "audio/mpeg"), (b"RIFF\0\0\0\0AVI LIST", "audio/wav"),
    (b"MZ" + bytes(30), "audio/wav"),
    (b'{"error": "expired"}', "application/octet-stream"),
])  # fmt: skip
def test_what_is_no_sound_is_not_taken(server: Provider, content: bytes, told: str) -> None:
    server.answers["/a.wav"] = answer(content, told)
    with pytest.raises(NotAudioError):
        take(server)


def test_what_says_that_it_is_too_large_is_not_even_begun(server: Provider) -> None:
    server.answers["/a.wav"] = answer(Content_Length="100000001")
    into = io.BytesIO()
    with pytest.raises(TooLargeError):
        fetch(server.url(), into, trusted=(server.host,))
    assert into.getvalue() == b""


def test_what_turns_out_too_large_is_dropped(server: Provider) -> None:
    def endless(request: object) -> None:
        request.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n" + WAV * 50)  # type: ignore[attr-defined]

    server.answers["/a.wav"] = endless
    with pytest.raises(TooLargeError):
        take(server, largest=100_000)


@pytest.mark.parametrize(("made", "error"), [
    (answer(b"", status=403), GoneError), (answer(b"", status=503), AwayError),
    (answer(Content_Length="99999"), AwayError),
])  # fmt: skip
def test_failures_are_told_apart(server: Provider, made: object, error: type[FetchError]) -> None:
    server.answers["/a.wav"] = made  # type: ignore[assignment]
    with pytest.raises(error):
        take(server)


def test_a_slow_server_is_given_up(server: Provider) -> None:
    server.answers["/a.wav"] = server.stall
    with pytest.raises(AwayError):
        take(server, seconds=0.2)


@pytest.mark.parametrize(("head", "kind"), [
    (b"RIFF\x24\x08\0\0WAVEfmt ", "audio/wav"), (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
    (b"ID3\x04" + bytes(12), "audio/mpeg"), (b"\xff\xfb\x90\x64" + bytes(12), "audio/mpeg"),
    (b"\xff\xf3\x44\xc4" + bytes(12), "audio/mpeg"), (b"OggS\0\x02" + bytes(10), "audio/ogg"),
    (b"fLaC" + bytes(12), "audio/flac"), (b"\0\0\0\x20ftypM4A " + bytes(4), "audio/mp4"),
    (b"\x1aE\xdf\xa3" + bytes(12), "audio/webm"), (b"\xff\xfe" + bytes(14), None), (b"\xff\xd8\xff\xe0", None),
    (b"", None), (b"\xff", None), (b"RIFF", None), (b"%PDF-1.7", None),
])  # fmt: skip
def test_formats_are_known_by_their_first_bytes(head: bytes, kind: str | None) -> None:
    assert kind_of(head) == kind
