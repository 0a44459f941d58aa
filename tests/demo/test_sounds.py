"""The demo's recordings: tones that follow the words, kept and handed over like real ones."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.clients.recording_store import Store
from portal.clients.recordings import kind_of
from portal.db import db, utcnow
from portal.demo.handover import handing_over
from portal.demo.run import Place, environment
from portal.demo.sounds import Spoken, keep, sound
from portal.domain import recording_pages, recordings, waveform
from portal.models import Recording, RecordingAccess
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast
from tests.servers import free_port

TURNS: list[dict[str, Any]] = [
    {"who": "agent", "text": "Guten Tag", "at": 1.0, "end": 3.0, "words": [["Guten", 1.0, 1.9], ["Tag", 2.0, 3.0]]},
    {"who": "user", "text": "Ja", "at": 6.0, "end": 9.0, "words": []},
]
ENTRIES = [
    {"role": "agent", "content": "Guten Tag", "words": [{"word": "Guten", "start": 0.1, "end": 0.5}]},
    {"role": "user", "content": "Ja", "words": [{"word": "Ja", "start": 1.0, "end": 1.4}]},
]


def test_it_is_loud_where_somebody_speaks_and_silent_between() -> None:
    content = sound(TURNS, 12)
    assert kind_of(content[:16]) == "audio/wav"
    heard = waveform.read(io.BytesIO(content))
    assert heard is not None
    assert heard.seconds == 12
    per_second = waveform.BARS // 12
    loud = [max(heard.peaks[second * per_second : (second + 1) * per_second]) > 5 for second in range(12)]
    assert loud == [False, True, True, False, False, False, True, True, True, False, False, False]


def test_words_beyond_the_end_are_cut_off() -> None:
    assert len(sound(TURNS, 2.5)) == 44 + 20_000


def test_the_same_words_sound_the_same() -> None:
    assert sound(TURNS, 12) == sound(TURNS, 12)


def test_recordings_of_the_demo_are_kept_like_real_ones_and_say_what_they_are(app: Flask, cast: Cast) -> None:
    salon, now = cast.salon, utcnow()
    calls = [factories.make_call(salon) for _ in range(2)]
    spoken = [Spoken(call.id, call.call_id, TURNS, 12, now - timedelta(hours=1)) for call in calls[:1]]
    spoken.append(Spoken(calls[1].id, "x", TURNS, 12, now, objected=True))
    factories.within(salon, lambda: keep(salon.id, spoken, (salon.owner.id,), now))
    with tenant_scope(salon.id):
        stored, objected = db.session.scalars(select(Recording).order_by(Recording.id)).all()
        shown = recording_pages.player(calls[0], TURNS)
        heard = db.session.scalars(select(RecordingAccess)).one()
    assert shown is not None
    assert (shown.state, shown.demo, shown.seconds, len(shown.bars)) == ("stored", True, 12, waveform.BARS)
    assert {bar.who for bar in shown.bars} == {"ai", "cu"}
    assert (objected.status, objected.error, objected.path) == ("deleted", "objected", None)
    assert (heard.recording_id, heard.portal_user_id) == (stored.id, salon.owner.id)


@contextmanager
def handed_over(*hosts: str) -> Iterator[Any]:
    with handing_over("call_1", ENTRIES, 3.0, hosts) as recording:
        yield recording


def test_the_call_hands_its_sound_over_where_the_portal_may_fetch_it(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    with handed_over("192.0.2.1:80", host) as recording:
        url = recording.told["recording_url"]
        assert url == f"http://{host}/demo-tone/call_1.wav"
        assert not recording.fetched_within(0)
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert kind_of(answer.read()[:16]) == "audio/wav"
        assert recording.fetched_within(5)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{host}/secret_key", timeout=5)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_without_such_a_place_the_call_has_no_recording() -> None:
    with handed_over() as recording:
        assert recording.told == {}
        assert not recording.fetched_within(0)
    host = f"127.0.0.1:{free_port()}"
    with handed_over(host) as first, handed_over(host) as second:  # two calls at once: one place
        assert first.told
        assert second.told == {}


def test_each_copy_of_the_demo_has_its_own_folder_and_place(tmp_path: Path) -> None:
    place = Place("127.0.0.1", 8000, tmp_path)
    first, second = (environment(place, {"DATABASE_URL": f"sqlite:////tmp/{name}.sqlite"}) for name in "ab")
    assert first["RECORDINGS_DIR"].startswith(str(tmp_path))
    assert first["RECORDINGS_DIR"] != second["RECORDINGS_DIR"]
    assert first["RECORDING_HOSTS"].startswith("127.0.0.1:")
    assert environment(place, {"RECORDINGS_DIR": "/kept"})["RECORDINGS_DIR"] == "/kept"


def test_a_store_that_is_not_set_is_a_mistake_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recordings, "_store", None)
    with pytest.raises(AssertionError):
        recordings.store()
    recordings.configure(Store(tmp_path))
    assert recordings.store().folder == tmp_path
