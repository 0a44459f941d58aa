"""The worker: back-off, leases, and two at once doing no harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal import jobs
from portal.db import db, transaction, utcnow
from portal.domain import outbox
from portal.jobs import worker
from portal.models import OutboxJob
from portal.tenancy import all_tenants, current_company_id
from tests.cast import Cast


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Jobs of the kind "test" land here; a payload with "fail" raises."""
    seen: list[dict[str, Any]] = []

    def handle(payload: dict[str, Any]) -> None:
        seen.append(payload | ({"company": current_company_id()} if payload.get("scoped") else {}))
        if payload.get("fail"):
            raise RuntimeError("as told")

    monkeypatch.setattr(jobs, "outbox_handlers", lambda: {"test": handle})
    return seen


def enqueue(company_id: int | None = None, key: str | None = None, **payload: Any) -> None:
    def work() -> None:
        with all_tenants("the test writes a job"):
            outbox.enqueue("test", payload, company_id=company_id, dedupe_key=key)

    transaction(work)


def stored() -> list[OutboxJob]:
    with all_tenants("the test reads the outbox"):
        return list(db.session.scalars(select(OutboxJob).where(OutboxJob.kind == "test").order_by(OutboxJob.id)))


def test_a_job_is_done_once_inside_its_company(cast: Cast, handled: list[dict[str, Any]]) -> None:
    enqueue(cast.salon.id, scoped=True)
    worker.drain_outbox(utcnow())
    worker.drain_outbox(utcnow() + timedelta(days=1))
    assert handled == [{"scoped": True, "company": cast.salon.id}]
    assert [job.status for job in stored()] == ["done"]


def test_a_failing_job_waits_longer_each_time_and_holds_up_nothing(cast: Cast, handled: list[dict[str, Any]]) -> None:
    enqueue(fail=True)
    enqueue(after=1)
    worker.drain_outbox(utcnow())
    assert [job.status for job in stored()] == ["pending", "done"]
    waiting = stored()[0]
    assert waiting.error == "RuntimeError: as told"
    assert waiting.next_attempt_at
    assert waiting.next_attempt_at > utcnow() + timedelta(seconds=10)
    worker.drain_outbox(utcnow())
    assert len(handled) == 2


def test_a_job_that_always_fails_is_given_up_and_stays_visible(cast: Cast, handled: list[dict[str, Any]]) -> None:
    enqueue(fail=True)
    for day in range(worker.MAX_ATTEMPTS + 3):
        worker.drain_outbox(utcnow() + timedelta(days=day))
    assert len(handled) == worker.MAX_ATTEMPTS
    assert [(job.status, job.next_attempt_at) for job in stored()] == [("dead", None)]


def test_a_claimed_job_is_nobody_elses(cast: Cast, handled: list[dict[str, Any]]) -> None:
    enqueue()
    (job,) = stored()
    now = utcnow()
    assert transaction(lambda: worker._claim(job.id, now)) is not None
    assert transaction(lambda: worker._claim(job.id, now)) is None
    # Its worker was killed: the job comes back.
    assert transaction(lambda: worker._claim(job.id, now + worker.CLAIM)) is not None


def test_the_same_key_waits_once_and_starts_anew_when_done(cast: Cast, handled: list[dict[str, Any]]) -> None:
    enqueue(key="k", n=1)
    enqueue(key="k", n=2)
    worker.drain_outbox(utcnow())
    assert handled == [{"n": 1}]
    enqueue(key="k", n=3)
    worker.drain_outbox(utcnow())
    assert handled == [{"n": 1}, {"n": 3}]


def test_what_is_enqueued_while_its_job_runs_is_done_afterwards(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def handle(payload: dict[str, Any]) -> None:
        seen.append(payload["n"])
        if payload["n"] == 1:
            enqueue(key="k", n=2)

    monkeypatch.setattr(jobs, "outbox_handlers", lambda: {"test": handle})
    enqueue(key="k", n=1)
    worker.drain_outbox(utcnow())
    worker.drain_outbox(utcnow() + timedelta(seconds=1))
    worker.drain_outbox(utcnow() + timedelta(days=1))
    assert seen == [1, 2]


def test_a_periodic_job_runs_when_due_and_for_one_worker_only(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    monkeypatch.setattr(jobs, "periodic_jobs", lambda: {"tick": (60, runs.append)})
    now = utcnow()
    for seconds in (0, 1, 59, 61, 62):
        worker.run_periodic(now + timedelta(seconds=seconds))
    assert len(runs) == 2
    assert transaction(lambda: worker._lease("tick", now + timedelta(hours=1), timedelta(seconds=60)))
    assert not transaction(lambda: worker._lease("tick", now + timedelta(hours=1), timedelta(seconds=60)))


def test_a_periodic_job_that_fails_does_not_stop_the_next(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def fail(now: object) -> None:
        raise RuntimeError("as told")

    monkeypatch.setattr(jobs, "periodic_jobs", lambda: {"bad": (1, fail), "good": (1, runs.append)})
    worker.run_periodic(utcnow())
    assert len(runs) == 1


def test_every_handler_and_periodic_job_is_found() -> None:
    assert "mail" in jobs.periodic_jobs()
    assert all(callable(handler) for handler in jobs.outbox_handlers().values())
