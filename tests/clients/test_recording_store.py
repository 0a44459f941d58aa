"""The store: whole files or none, for nobody else to read, and no way out of its folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from portal.clients.recording_store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "sounds")


def files(store: Store) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_a_file_gets_a_random_name_and_belongs_to_us_alone(store: Store) -> None:
    first, second = store.put(b"one", {"seconds": 1}), store.put(b"two")
    assert first != second
    kept = store.file(first)
    assert kept is not None
    assert kept.read_bytes() == b"one"
    assert kept.parent.parent == store.folder
    assert (store.details(first), store.details(second)) == ({"seconds": 1}, {})
    for path in store.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_is_not_finished_leaves_nothing(store: Store) -> None:
    def break_off() -> None:
        with store.incoming() as incoming:
            incoming.file.write(b"half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        break_off()
    assert files(store) == []


def test_while_it_is_written_it_is_nobodys(store: Store) -> None:
    with store.incoming() as incoming:
        incoming.file.write(b"half")
        assert list(store.shards()) == []


@pytest.mark.parametrize(
    "path", ["", "../secret_key", "ab/../../x", "/etc/passwd", "ab/xyz", "incoming/x.part", "ab\0/x"]
)
def test_no_path_leads_out_of_it(store: Store, path: str) -> None:
    outside = store.folder.parent / "secret_key"
    outside.write_text("secret")
    store.put(b"one")
    assert store.file(path) is None
    assert store.details(path) == {}
    store.remove(path)
    assert outside.exists()


def test_removing_takes_what_is_known_of_it_along(store: Store) -> None:
    path, other = store.put(b"one", {"seconds": 1}), store.put(b"two", {"seconds": 2})
    store.remove(path)
    store.remove(path)
    assert {file.name for file in files(store)} == {other[3:], f"{other[3:]}.json"}


def test_forgotten_drafts_are_dropped_after_a_while(store: Store) -> None:
    with store.incoming() as incoming:
        assert store.drop_drafts(older_than=3600) == 0
        os.utime(incoming.draft, (1, 1))
        assert store.drop_drafts(older_than=3600) == 1
