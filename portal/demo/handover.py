"""The provider's side of a recording: for some seconds after the demo's call, its sound lies on this machine.

The portal goes there because ``RECORDING_HOSTS`` names the address; without that setting the call has no recording.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from portal.demo.sounds import sound
from portal.domain import transcripts
from portal.domain.recording_pages import DEMO_TONE


@dataclass
class Recording:
    """What Retell's events tell of the recording, and whether somebody has come for it."""

    told: dict[str, Any] = field(default_factory=dict)
    fetched: threading.Event = field(default_factory=threading.Event)

    def fetched_within(self, seconds: float) -> bool:
        return bool(self.told) and self.fetched.wait(seconds)


@contextmanager
def handing_over(
    call_id: str, entries: list[dict[str, Any]], seconds: float, hosts: tuple[str, ...]
) -> Iterator[Recording]:
    """Serve the sound of a call for as long as the block lasts; nothing where no address may be used or is free."""
    read, recording = transcripts.read({"transcript_with_tool_calls": entries}), Recording()
    path = f"{DEMO_TONE}{call_id}.wav"
    server = _server(hosts, path, sound(read.turns if read else [], seconds), recording)
    if server is None:
        yield recording
        return
    recording.told = {"recording_url": f"http://127.0.0.1:{server.server_port}{path}"}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(hosts: tuple[str, ...], path: str, content: bytes, recording: Recording) -> ThreadingHTTPServer | None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == path
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "audio/wav")
            self.send_header("Content-Length", str(len(content) if known else 0))
            self.end_headers()
            if known:
                self.wfile.write(content)
                recording.fetched.set()

        def log_message(self, *_: Any) -> None:
            pass  # the command tells the story itself

    ports = [int(port) for host, _, port in (entry.rpartition(":") for entry in hosts) if host == "127.0.0.1"]
    for port in ports:
        try:
            return ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError:
            continue  # another demo call is handing over its own
    return None
