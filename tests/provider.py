"""The provider's side of recordings: a web server on this machine that answers as a test tells it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.factories import WAV

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(content: bytes = WAV, kind: str = "audio/wav", status: int = 200, **headers: str) -> Answer:
    """A whole answer with its length; ``headers`` come with underscores for hyphens."""

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        told = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (told | {key.replace("_", "-"): value for key, value in headers.items()}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    return send


@dataclass
class Provider:
    """A running server. ``answers`` by path; ``asked`` are the paths asked for, with the host that was meant."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/a.wav") -> str:
        return f"http://{self.host}{path}"

    def stall(self, request: BaseHTTPRequestHandler) -> None:
        """Begin an answer and never finish it."""
        request.send_response(200)
        request.send_header("Content-Type", "audio/wav")
        request.end_headers()
        request.wfile.write(WAV[:500])
        request.wfile.flush()
        self.over.wait(30)


@contextmanager
def provider(tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.asked.append((self.path, self.headers.get("Host", "")))
            running.answers.get(self.path, answer(b"", "text/plain", 404))(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # who hangs up in the middle is part of the tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    running = Provider(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
