"""Our own store of recordings: a folder of files with random names, readable by the portal alone.

A file appears under its name only when all of it is on the disk. Beside it may stand what is known of its sound.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}")
INCOMING = "incoming"
DETAILS = ".json"


class Incoming:
    """A file that is being written; :meth:`keep` gives it its name."""

    def __init__(self, store: Store, draft: Path, file: BinaryIO) -> None:
        self.store, self.draft, self.file = store, draft, file

    def keep(self, details: dict[str, Any] | None = None) -> str:
        """Put the file in its place, with what is known of its sound; returns its path within the store."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.store.take(self.draft, details)


class Store:
    """The folder. Paths are relative to it, as the database keeps them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A new file to write into; without :meth:`Incoming.keep` nothing is left of it."""
        draft = self._room(INCOMING) / f"{secrets.token_hex(16)}.part"
        with _created(draft) as file:
            try:
                yield Incoming(self, draft, file)
            finally:
                draft.unlink(missing_ok=True)

    def take(self, draft: Path, details: dict[str, Any] | None) -> str:
        name = secrets.token_hex(16)
        path = f"{name[:2]}/{name[2:]}"
        room = self._room(name[:2])
        if details is not None:
            with _created(room / f"{name[2:]}{DETAILS}") as beside:
                beside.write(json.dumps(details).encode())
        draft.replace(room / name[2:])
        _sync(room)
        return path

    def put(self, content: bytes, details: dict[str, Any] | None = None) -> str:
        """Keep what is already here as a whole."""
        with self.incoming() as incoming:
            incoming.file.write(content)
            return incoming.keep(details)

    def file(self, path: str) -> Path | None:
        """Where a recording lies; None when it is not there, or when this is no path of ours."""
        found = self.folder / path
        return found if NAME.fullmatch(path) and found.is_file() else None

    def details(self, path: str) -> dict[str, Any]:
        """What is known of its sound; {} where nothing is."""
        if not NAME.fullmatch(path):
            return {}
        try:
            found = json.loads((self.folder / f"{path}{DETAILS}").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self, path: str) -> None:
        """Delete one recording; one that is not there is fine."""
        if NAME.fullmatch(path):
            for name in (path, f"{path}{DETAILS}"):
                (self.folder / name).unlink(missing_ok=True)

    # ---- Sweeping ----

    def shards(self) -> Iterator[list[str]]:
        """The paths of all recordings, shard by shard."""
        for room in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            paths = {f"{room.name}/{entry.name.removesuffix(DETAILS)}" for entry in room.iterdir()}
            yield sorted(path for path in paths if NAME.fullmatch(path))

    def age(self, path: str) -> float:
        """Seconds since it was written; 0 for what is gone."""
        for name in (path, f"{path}{DETAILS}"):
            with suppress(OSError):
                return max(0.0, time.time() - (self.folder / name).stat().st_mtime)
        return 0.0

    def drop_drafts(self, older_than: float) -> int:
        """Delete files that nobody has finished for so many seconds; how many there were."""
        dropped = 0
        for draft in (self.folder / INCOMING).glob("*.part"):
            with suppress(OSError):
                if time.time() - draft.stat().st_mtime > older_than:
                    draft.unlink()
                    dropped += 1
        return dropped

    def _room(self, name: str) -> Path:
        room = self.folder / name
        room.mkdir(mode=0o700, parents=True, exist_ok=True)
        return room


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    """A new file that only we can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file


def _sync(folder: Path) -> None:
    """Make a new name in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
