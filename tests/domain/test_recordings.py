"""Recordings by the rules: what a report begins, what an attempt changes, what is deleted, who is written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal.db import db, transaction, utcnow
from portal.domain import audit, call_reports, calls, erasure, recording_pages, recordings
from portal.models import AuditLog, Call, OutboxJob, Recording, RecordingAccess
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.webhooks.retell_payloads import ms, payload

URL = "https://recordings.example/call_5b0e7d2c94a1f36880c3.wav"


@pytest.fixture
def salon(cast: Cast) -> Firm:
    return cast.salon


def report(firm: Firm, event: str = "call_ended", **call: Any) -> Call:
    start = utcnow() - timedelta(minutes=30)
    body = payload(event, start_timestamp=ms(start), end_timestamp=ms(start) + 60_000, **call)
    read = call_reports.read(event, body)
    return factories.within(firm, lambda: calls.record(read, utcnow(), utcnow()))


def of(firm: Firm, call: Call) -> Recording | None:
    db.session.rollback()
    with tenant_scope(firm.id):
        return recordings.of_call(call.id)


def only(firm: Firm, call: Call) -> Recording:
    found = of(firm, call)
    assert found is not None
    return found


def reread(firm: Firm, recording: Recording) -> Recording:
    with tenant_scope(firm.id):
        return db.session.get_one(Recording, recording.id, populate_existing=True)


def jobs(recording: Recording) -> list[OutboxJob]:
    with all_tenants("the test reads the outbox"):
        query = select(OutboxJob).where(OutboxJob.kind == recordings.FETCH)
        return [job for job in db.session.scalars(query) if job.payload == {"recording_id": recording.id}]


def with_consent(value: object) -> dict[str, Any]:
    analysis = {"call_summary": "x", "custom_analysis_data": {"recording_consent": value}}
    return {"call_analysis": analysis}


# ---- What a report begins -------------------------------------------------------------------------------------


def test_a_report_that_names_a_recording_asks_for_it_at_once(salon: Firm) -> None:
    recording = only(salon, report(salon))
    assert (recording.status, recording.source_url, recording.attempts) == ("pending", URL, 0)
    job = jobs(recording)[0]
    assert job.company_id == salon.id
    assert job.next_attempt_at is not None
    assert job.next_attempt_at <= utcnow()


def test_a_report_without_one_asks_for_nothing(salon: Firm) -> None:
    assert of(salon, report(salon, recording_url=None)) is None


def test_the_same_recording_told_again_is_one(salon: Firm) -> None:
    recording = only(salon, report(salon))
    report(salon)
    call = report(salon, "call_analyzed")
    assert only(salon, call).id == recording.id
    assert len(jobs(recording)) == 1


@pytest.mark.parametrize(("status", "asks"), [("pending", True), ("failed", True), ("stored", False)])
def test_another_address_is_worth_another_attempt_unless_we_have_the_sound(
    salon: Firm, status: str, asks: bool
) -> None:
    recording = only(salon, report(salon))
    change(salon, recording, status=status, attempts=4, error="gone" if status == "failed" else None)
    call = report(salon, "call_analyzed", recording_url="https://recordings.example/other.wav")
    again = only(salon, call)
    assert (again.source_url == "https://recordings.example/other.wav") is asks
    assert (again.status, again.attempts) == (("pending", 0) if asks else ("stored", 4))


def test_what_failed_for_good_stays_so_when_the_same_is_told_again(salon: Firm) -> None:
    recording = only(salon, report(salon))
    change(salon, recording, status="failed", error="refused")
    assert only(salon, report(salon, "call_analyzed")).status == "failed"


def change(firm: Firm, recording: Recording, **values: Any) -> None:
    def work() -> None:
        row = db.session.get_one(Recording, recording.id)
        for name, value in values.items():
            setattr(row, name, value)

    factories.within(firm, work)


# ---- Consent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "objected"), [
    (False, True), ("no", True), ("Nein", True), ("denied", True), ("false", True),
    (True, False), ("yes", False), ("ja", False), (None, False), ("unknown", False),
])  # fmt: skip
def test_who_does_not_want_to_be_recorded_is_not(salon: Firm, said: object, objected: bool) -> None:
    call = report(salon, "call_analyzed", **with_consent(said))
    recording = only(salon, call)
    assert (recording.status == "deleted") is objected
    assert bool(jobs(recording)) is not objected
    if objected:
        assert (recording.error, recording.source_url, call.recording_url) == ("objected", None, None)


def test_the_agents_own_variables_may_tell_it_too(salon: Firm) -> None:
    call = report(salon, collected_dynamic_variables={"recording_consent": "no"})
    assert only(salon, call).status == "deleted"


def test_an_objection_that_is_told_late_takes_the_file_away_again(salon: Firm) -> None:
    call = report(salon)
    path = recordings.store().put(factories.WAV)
    change(salon, only(salon, call), status="stored", path=path)
    report(salon, "call_analyzed", **with_consent(False))
    recording = only(salon, call)
    assert (recording.status, recording.path, recording.error) == ("deleted", None, "objected")
    assert recordings.store().file(path) is None


# ---- Attempts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", sorted(recordings.FINAL))
def test_what_cannot_get_better_is_not_tried_again(salon: Firm, problem: str) -> None:
    recording = only(salon, report(salon))
    finish(recording)
    assert factories.within(salon, lambda: recordings.missed(recording.id, problem)) == "failed"
    assert jobs(recording)[0].status == "done"


def finish(recording: Recording) -> None:
    """As the worker does when an attempt is over."""

    def work() -> None:
        with all_tenants("the test acts for the worker"):
            db.session.execute(
                update(OutboxJob)
                .where(OutboxJob.dedupe_key == f"{recordings.FETCH}:{recording.id}")
                .values(status="done", attempts=1)
            )

    transaction(work)


@pytest.mark.parametrize("problem", ["gone", "away"])
def test_what_may_get_better_is_tried_again_less_and_less_often_and_then_given_up(salon: Firm, problem: str) -> None:
    recording = only(salon, report(salon))
    waits = []
    for _attempt in recordings.AGAIN:
        finish(recording)
        assert factories.within(salon, lambda: recordings.missed(recording.id, problem)) == "pending"
        due = jobs(recording)[0].next_attempt_at
        assert due is not None
        waits.append((due - utcnow()).total_seconds())
    assert waits == pytest.approx(list(recordings.AGAIN), abs=2)
    assert sum(recordings.AGAIN[:6]) < 600  # several attempts while the provider's link still lives
    finish(recording)
    assert factories.within(salon, lambda: recordings.missed(recording.id, problem)) == "failed"
    assert jobs(recording)[0].status == "done"
    assert reread(salon, recording).error == problem


def test_a_file_of_an_address_that_is_not_wanted_any_more_is_not_kept(salon: Firm) -> None:
    recording = only(salon, report(salon))
    kept = (recording.id, "https://recordings.example/old.wav", "aa/b", "audio/wav", 1, utcnow())
    assert factories.within(salon, lambda: recordings.keep(*kept)) is False
    factories.within(salon, lambda: recordings.delete(db.session.get_one(Recording, recording.id), utcnow()))
    assert (
        factories.within(salon, lambda: recordings.keep(recording.id, URL, "aa/b", "audio/wav", 1, utcnow())) is False
    )


def test_a_fresh_address_is_tried_at_once_and_the_same_one_is_none(salon: Firm) -> None:
    call = report(salon)
    recording = only(salon, call)
    finish(recording)
    assert factories.within(salon, lambda: recordings.renew(recording.id, URL)) is False
    assert factories.within(salon, lambda: recordings.renew(recording.id, f"{URL}?fresh")) is True
    assert only(salon, call).source_url == f"{URL}?fresh"
    assert jobs(recording)[0].status == "pending"


def test_what_nobody_will_fetch_any_more_is_said_to_have_failed(salon: Firm) -> None:
    recording, fresh = only(salon, report(salon)), only(salon, report(salon, call_id="call_fresh"))
    change(salon, recording, updated_at=utcnow() - timedelta(days=2))
    assert factories.within(salon, lambda: recordings.give_up(utcnow())) == 1
    assert (reread(salon, recording).status, reread(salon, fresh).status) == ("failed", "pending")


# ---- Deleting -------------------------------------------------------------------------------------------------


def test_deleting_takes_the_file_and_every_way_to_it_and_keeps_who_had_listened(salon: Firm) -> None:
    call = factories.make_call(salon, recording_url=URL)
    recording = factories.make_recording(salon, call, source_url=URL)
    path = recording.path or ""
    factories.within(salon, lambda: recordings.note_listening(recording.id, utcnow()))

    def delete() -> None:
        recordings.delete(db.session.get_one(Recording, recording.id), utcnow(), "retention")

    for _time in range(2):
        factories.within(salon, delete)
    gone = only(salon, call)
    assert (gone.status, gone.path, gone.source_url, gone.size) == ("deleted", None, None, None)
    assert gone.deleted_at is not None
    assert recordings.store().file(path) is None
    with tenant_scope(salon.id):
        assert db.session.get_one(Call, call.id, populate_existing=True).recording_url is None
        assert db.session.scalar(select(func.count(RecordingAccess.id))) == 1
        deeds = db.session.scalars(select(AuditLog.action).where(AuditLog.action == "recording.deleted")).all()
        assert len(deeds) == 1


def test_a_file_stays_when_the_deletion_is_not_committed(salon: Firm) -> None:
    recording = factories.make_recording(salon, factories.make_call(salon))

    def delete_and_fail() -> None:
        recordings.delete(db.session.get_one(Recording, recording.id), utcnow())
        raise RuntimeError("not committed")

    with pytest.raises(RuntimeError):
        factories.within(salon, delete_and_fail)
    assert recordings.store().file(recording.path or "") is not None


def test_what_was_deleted_does_not_come_back_with_a_late_report(salon: Firm) -> None:
    recording = only(salon, report(salon))
    finish(recording)
    factories.within(salon, lambda: recordings.delete(db.session.get_one(Recording, recording.id), utcnow()))
    call = report(salon, "call_analyzed", recording_url="https://recordings.example/again.wav")
    assert only(salon, call).status == "deleted"
    assert call.recording_url is None
    assert jobs(recording)[0].status == "done"


def test_erasing_a_person_erases_their_voice(salon: Firm) -> None:
    call = factories.make_call(salon)
    other = factories.make_call(salon, customer_id=factories.make_customer(salon).id)
    path = factories.make_recording(salon, call).path or ""
    kept = factories.make_recording(salon, other).path or ""
    factories.within(salon, lambda: erasure.erase_customer(salon.customer.id, utcnow()))
    assert recordings.store().file(path) is None
    assert recordings.store().file(kept) is not None


# ---- Who has heard it -----------------------------------------------------------------------------------------


def test_a_listening_is_written_down_once_per_person_and_half_hour(salon: Firm) -> None:
    recording, now = factories.make_recording(salon, factories.make_call(salon)), utcnow()
    for user in (salon.owner, salon.manager):
        with audit.acting(audit.Actor(user.id, "203.0.113.9")):
            for minutes in (0, 1, 29, 31, 60, 62):
                moment = now + timedelta(minutes=minutes)
                factories.within(salon, lambda moment=moment: recordings.note_listening(recording.id, moment))  # type: ignore[misc]
    with tenant_scope(salon.id):
        rows = db.session.scalars(select(RecordingAccess).order_by(RecordingAccess.id)).all()
    assert [(row.portal_user_id, row.ip_address) for row in rows] == [
        *[(salon.owner.id, "203.0.113.9")] * 3, *[(salon.manager.id, "203.0.113.9")] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize(("kept", "words"), [
    ("dispute", "Beleg in einem Streitfall"), ("dispute: Rechnung", "Beleg in einem Streitfall: Rechnung"),
    ("other: für den Anwalt: bald", "für den Anwalt: bald"), (None, ""), ("aus alter Zeit", "aus alter Zeit"),
])  # fmt: skip
def test_reasons_are_kept_as_words_that_every_language_reads(app: object, kept: str | None, words: str) -> None:
    assert recording_pages.reason_in_words(kept) == words


@pytest.mark.parametrize(("text", "announces"), [
    ("Das Gespräch wird aufgezeichnet, ist das in Ordnung?", True), ("Darf das Gespräch aufgezeichnet werden?", True),
    ("Dieser Anruf wird zur Qualitätssicherung aufgenommen.", True), ("This call is being recorded.", True),
    ("Mit der Aufzeichnung einverstanden?", True), ("Ich habe Ihre Bestellung aufgenommen.", False),
    ("Wir zeichnen das Gespräch auf, passt das für Sie?", True), ("Darf ich das Gespräch aufnehmen?", True),
    ("Ich nehme den Termin für Sie auf.", False), ("Zeichnen Sie das bitte auf.", False),
    ("Guten Tag, was kann ich für Sie tun?", False), ("I have that on record.", False),
])  # fmt: skip
def test_the_turn_that_speaks_of_the_recording_is_found(text: str, announces: bool) -> None:
    turns = [{"who": "user", "at": 0.5, "text": "aufgezeichnet"}, {"who": "agent", "at": 2.5, "text": text}]
    assert recording_pages.announcement(turns) == (2.5 if announces else None)
