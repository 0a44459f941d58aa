"""The worker fetches recordings: whole, in time, from nowhere inside, and nothing is left of what did not work."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import jobs
from portal.clients import recordings as provider_client
from portal.db import db, transaction, utcnow
from portal.domain import outbox, recordings
from portal.jobs import recordings as recording_jobs
from portal.jobs import retell, worker
from portal.models import OutboxJob, Recording
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.provider import Provider, answer, provider


@pytest.fixture
def server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with provider() as running:
        trusting = replace(app.extensions["settings"], recording_hosts=(running.host,))
        monkeypatch.setitem(app.extensions, "settings", trusting)
        yield running


@pytest.fixture
def salon(cast: Cast) -> Firm:
    return cast.salon


def told(firm: Firm, url: str) -> Recording:
    """A recording that a report has just told of."""

    def work() -> Recording:
        call = db.session.merge(made)
        call.recording_url = url
        recordings.take_over(call, utcnow())
        db.session.flush()
        found = recordings.of_call(call.id)
        assert found is not None
        return found

    made = factories.make_call(firm)
    return factories.within(firm, work)


def run(days: int = 0) -> None:
    worker.drain_slow(utcnow() + timedelta(days=days))


def now(firm: Firm, recording: Recording) -> Recording:
    db.session.rollback()
    with tenant_scope(firm.id):
        return db.session.get_one(Recording, recording.id, populate_existing=True)


def job(recording: Recording) -> OutboxJob:
    with all_tenants("the test reads the outbox"):
        return db.session.scalars(
            select(OutboxJob).where(OutboxJob.dedupe_key == f"{recordings.FETCH}:{recording.id}")
        ).one()


def kept_files() -> set[str]:
    return {path for shard in recordings.store().shards() for path in shard}


def drafts() -> list[Path]:
    return list((recordings.store().folder / "incoming").glob("*"))


def test_a_recording_is_fetched_into_our_own_store(server: Provider, salon: Firm) -> None:
    server.answers["/a.wav"] = answer()
    recording = told(salon, server.url())
    run()
    stored = now(salon, recording)
    assert (stored.status, stored.content_type, stored.size) == ("stored", "audio/wav", len(factories.WAV))
    assert stored.stored_at is not None
    file = recordings.store().file(stored.path or "")
    assert file is not None
    assert file.read_bytes() == factories.WAV
    assert file.stat().st_mode & 0o777 == 0o600
    details = recordings.store().details(stored.path or "")
    assert details["seconds"] == 1.5
    assert max(details["peaks"]) == 100
    assert (job(recording).status, drafts()) == ("done", [])


def test_it_is_fetched_once_however_often_the_worker_looks(server: Provider, salon: Firm) -> None:
    server.answers["/a.wav"] = answer()
    recording = told(salon, server.url())
    run()
    run()
    with tenant_scope(salon.id):
        recording_jobs.fetch({"recording_id": recording.id})
    assert len(server.asked) == 1


@pytest.mark.parametrize(("made", "problem"), [
    (answer(b"<html>", "text/html"), "not_audio"), (answer(Content_Length="100000001"), "too_large"),
])  # fmt: skip
def test_what_is_no_recording_has_failed_at_once(server: Provider, salon: Firm, made: Any, problem: str) -> None:
    server.answers["/a.wav"] = made
    before, recording = kept_files(), told(salon, server.url())
    run()
    failed = now(salon, recording)
    assert (failed.status, failed.error, job(recording).status) == ("failed", problem, "done")
    assert (kept_files(), drafts()) == (before, [])


@pytest.mark.parametrize("url", [
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/a.wav", "http://[::1]/", "https://user:x@a.example.com/",
])  # fmt: skip
def test_an_address_of_the_inside_is_never_asked(server: Provider, salon: Firm, url: str) -> None:
    recording = told(salon, url)
    run()
    failed = now(salon, recording)
    assert (failed.status, failed.error) == ("failed", "refused")
    assert server.asked == []


def test_a_recording_that_comes_late_is_fetched_when_it_is_there(server: Provider, salon: Firm) -> None:
    recording = told(salon, server.url())
    run()
    waiting = now(salon, recording)
    assert (waiting.status, waiting.error, waiting.attempts) == ("pending", "gone", 1)
    run()
    assert len(server.asked) == 1  # not before its time
    server.answers["/a.wav"] = answer()
    run(days=1)
    assert now(salon, recording).status == "stored"


def test_a_provider_that_stays_away_is_given_up_in_words(server: Provider, salon: Firm) -> None:
    server.answers["/a.wav"] = answer(b"", status=500)
    recording = told(salon, server.url())
    for _attempt in range(len(recordings.AGAIN) + 3):
        run(days=1)
    failed = now(salon, recording)
    assert (failed.status, failed.error) == ("failed", "away")
    assert len(server.asked) == len(recordings.AGAIN) + 1
    assert job(recording).status == "done"


def test_half_a_file_is_fetched_again(server: Provider, salon: Firm) -> None:
    server.answers["/a.wav"] = answer(Content_Length="999999")
    recording = told(salon, server.url())
    run()
    assert (now(salon, recording).status, drafts()) == ("pending", [])


def test_what_is_deleted_while_it_is_fetched_leaves_no_file(server: Provider, salon: Firm) -> None:
    recording = told(salon, server.url())
    before = kept_files()

    server.answers["/a.wav"] = answer()
    fetch = provider_client.fetch

    def and_delete(*args: Any, **kwargs: Any) -> Any:
        found = fetch(*args, **kwargs)
        transaction(lambda: recordings.delete(db.session.get_one(Recording, recording.id), utcnow()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider_client, "fetch", and_delete)
        run()
    assert now(salon, recording).status == "deleted"
    assert kept_files() == before


class Asked:
    """Retell, who is asked for one call."""

    def __init__(self, url: str | None) -> None:
        self.url, self.calls = url, []  # type: ignore[var-annotated]

    def get_call(self, call_id: str) -> dict[str, Any] | None:
        self.calls.append(call_id)
        return None if self.url is None else {"call_id": call_id, "recording_url": self.url}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_expired_link_is_asked_for_anew_where_there_is_a_key(
    server: Provider, salon: Firm, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    server.answers |= {"/a.wav": answer(b"", status=status), "/fresh.wav": answer()}
    asked = Asked(server.url("/fresh.wav"))
    monkeypatch.setattr(retell, "account", lambda: retell.Account(asked, "DE"))  # type: ignore[arg-type]
    recording = told(salon, server.url())
    run()
    run()
    assert now(salon, recording).status == "stored"
    assert len(asked.calls) == 1
    assert [path for path, _host in server.asked] == ["/a.wav", "/fresh.wav"]


@pytest.mark.parametrize("answered", [None, "same", "nonsense"])
def test_a_provider_without_a_fresh_link_is_asked_again_later(
    server: Provider, salon: Firm, monkeypatch: pytest.MonkeyPatch, answered: str | None
) -> None:
    asked = Asked({None: None, "same": server.url(), "nonsense": "javascript:alert(1)"}[answered])
    monkeypatch.setattr(retell, "account", lambda: retell.Account(asked, "DE"))  # type: ignore[arg-type]
    recording = told(salon, server.url())
    run()
    assert (now(salon, recording).status, now(salon, recording).error) == ("pending", "gone")


def test_an_answer_that_leads_inside_is_refused_like_any_other(
    server: Provider, salon: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked("http://10.0.0.1/a.wav")
    monkeypatch.setattr(retell, "account", lambda: retell.Account(asked, "DE"))  # type: ignore[arg-type]
    recording = told(salon, server.url())
    run()
    run()
    assert now(salon, recording).error == "refused"


# ---- The lane -------------------------------------------------------------------------------------------------


def test_downloads_hold_up_no_other_job(server: Provider, salon: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(
        jobs, "outbox_handlers", lambda: {"test": lambda _: done.append("test"), recordings.FETCH: recording_jobs.fetch}
    )
    recording = told(salon, server.url())

    def other() -> None:
        with all_tenants("the test writes a job"):
            outbox.enqueue("test", {}, company_id=None)

    transaction(other)
    worker.drain_outbox(utcnow() + timedelta(seconds=1))
    assert (done, server.asked) == (["test"], [])
    worker.drain_slow(utcnow())
    assert len(server.asked) == 1
    assert now(salon, recording).attempts == 1


def test_several_are_fetched_beside_each_other(real_app: tuple[Flask, Cast], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hardly answers leaves the other lanes alone."""
    app, cast = real_app
    with provider() as server:
        monkeypatch.setitem(
            app.extensions, "settings", replace(app.extensions["settings"], recording_hosts=(server.host,))
        )
        server.answers |= {"/slow.wav": server.stall, "/a.wav": answer()}
        slow, quick = told(cast.salon, server.url("/slow.wav")), told(cast.praxis, server.url())

        def lane() -> None:
            with app.app_context():
                worker.drain_slow(utcnow(), limit=1)

        held = threading.Thread(target=lane)
        held.start()
        while not server.asked and held.is_alive():
            held.join(0.01)
        assert [path for path, _host in server.asked] == ["/slow.wav"]
        other = threading.Thread(target=lane)
        other.start()
        other.join(20)
        assert now(cast.praxis, quick).status == "stored"
        assert now(cast.salon, slow).status == "pending"
        server.over.set()
        held.join(20)


# ---- Tidying --------------------------------------------------------------------------------------------------


def old(path: str) -> str:
    for name in (path, f"{path}.json"):
        if (recordings.store().folder / name).exists():
            os.utime(recordings.store().folder / name, (1, 1))
    return path


@pytest.fixture
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recordings.Store:
    made = recordings.Store(tmp_path)
    monkeypatch.setattr(recordings, "_store", made)
    return made


def test_files_of_nobody_go_and_all_others_stay(salon: Firm, cast: Cast, empty_store: recordings.Store) -> None:
    ours = old(factories.make_recording(salon, factories.make_call(salon)).path or "")
    theirs = old(factories.make_recording(cast.praxis, factories.make_call(cast.praxis)).path or "")
    orphan, fresh = old(empty_store.put(b"orphan", {"seconds": 1})), empty_store.put(b"being committed")
    recording_jobs.tidy(utcnow())
    assert kept_files() == {ours, theirs, fresh}
    assert not (empty_store.folder / f"{orphan}.json").exists()


def test_a_folder_of_strangers_is_left_alone(salon: Firm, empty_store: recordings.Store) -> None:
    """Another database's folder, or this one's with another database: nobody's files are swept wholesale."""
    factories.make_recording(salon, factories.make_call(salon))
    strangers = {old(empty_store.put(b"x")) for _ in range(recording_jobs.FEW + 5)}
    recording_jobs.tidy(utcnow())
    assert strangers <= kept_files()
