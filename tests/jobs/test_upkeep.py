"""Our own post is thrown away when nobody can need it, and not before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from portal.db import db, transaction, utcnow
from portal.domain import mail, outbox, upkeep
from portal.jobs import retention as job
from portal.models import Call, Company, EmailOutbox, OutboxJob, WebhookEvent
from portal.tenancy import all_tenants
from tests import factories
from tests.cast import Cast

NOW = utcnow()


def remaining(table: Any) -> list[Any]:
    db.session.rollback()
    with all_tenants("the test looks at what is left"):
        return list(db.session.scalars(select(table).order_by(table.id)))


def everywhere(work: Any) -> Any:
    def run() -> Any:
        with all_tenants("the test prepares"):
            return work()

    return transaction(run)


def test_settled_deliveries_go_after_a_month_and_unsettled_ones_after_three(cast: Cast) -> None:
    for status, days in (("done", 31), ("ignored", 31), ("done", 29), ("dead", 31), ("dead", 91), ("received", 200)):
        factories.make_event(cast.salon, status=status, created_at=NOW - timedelta(days=days))
    job.throw_away(NOW)
    left = [(row.status, (NOW - row.created_at).days) for row in remaining(WebhookEvent)]
    assert left == [("done", 29), ("dead", 31), ("received", 200)]


def test_who_keeps_transcripts_for_a_week_has_no_older_deliveries_with_them(cast: Cast) -> None:
    def wish() -> None:
        db.session.execute(update(Company).where(Company.id == cast.salon.id).values(transcript_retention_days=7))

    everywhere(wish)
    for firm in (cast.salon, cast.praxis):
        for days in (8, 6):
            factories.make_event(firm, status="done", created_at=NOW - timedelta(days=days))
    job.throw_away(NOW)
    left = [(row.company_id, (NOW - row.created_at).days) for row in remaining(WebhookEvent)]
    assert left == [(cast.salon.id, 6), (cast.praxis.id, 8), (cast.praxis.id, 6)]


def test_finished_jobs_and_sent_mail_go_after_a_quarter_and_waiting_ones_never(cast: Cast) -> None:
    def prepare() -> None:
        for key in ("old", "new", "waiting"):
            outbox.enqueue("test", {}, company_id=None, dedupe_key=key)
            mail.queue(f"{key}@example.org", "Betreff", "Text", company_id=None)
        db.session.flush()
        for days, key in ((91, "old"), (89, "new")):
            then = NOW - timedelta(days=days)
            db.session.execute(update(OutboxJob).where(OutboxJob.dedupe_key == key).values(status="done", done_at=then))
            to = EmailOutbox.recipient == f"{key}@example.org"
            db.session.execute(update(EmailOutbox).where(to).values(status="sent", sent_at=then))

    everywhere(prepare)
    job.throw_away(NOW)
    assert [row.dedupe_key for row in remaining(OutboxJob)] == ["new", "waiting"]
    assert [row.recipient for row in remaining(EmailOutbox)] == ["new@example.org", "waiting@example.org"]


def test_more_than_one_chunk_is_thrown_away(cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr(upkeep, "CHUNK", 2)
    for _number in range(5):
        factories.make_event(cast.salon, status="done", created_at=NOW - timedelta(days=40))
    job.throw_away(NOW)
    assert remaining(WebhookEvent) == []


def test_mail_with_the_words_of_a_call_does_not_outlive_its_sending_by_a_week(cast: Cast) -> None:
    """A company may keep what was said for a few days only: our copy of a mail about it is no way around that."""

    def prepare() -> None:
        for key, status, days in (
            ("call.summary:1:1:a:outside", "sent", 5),
            ("call.summary:1:1:b:outside", "failed", 5),
            ("call.summary:1:1:c:outside", "sent", 3),
            ("invoice:1", "sent", 5),
            ("invoice:2", "failed", 91),
        ):
            then = NOW - timedelta(days=days)
            mail.queue("a@example.org", "Betreff", "Text", company_id=cast.salon.id, dedupe_key=key)
            told = {"status": status, "sent_at": then if status == "sent" else None, "updated_at": then}
            db.session.execute(update(EmailOutbox).where(EmailOutbox.dedupe_key == key).values(**told))

    everywhere(prepare)
    job.throw_away(NOW)
    assert [row.dedupe_key for row in remaining(EmailOutbox)] == ["call.summary:1:1:c:outside", "invoice:1"]


def test_one_company_that_cannot_be_tidied_holds_up_nobody(cast: Cast) -> None:
    def spoil() -> None:
        broken = {"retention_done": {"transcript": "nonsense"}}
        values = {"transcript_retention_days": 7}
        db.session.execute(update(Company).where(Company.id == cast.salon.id).values(settings=broken, **values))
        db.session.execute(update(Company).where(Company.id == cast.praxis.id).values(**values))

    call = factories.make_call(cast.praxis, "Guten Tag", started_at=NOW - timedelta(days=8), summary="Frau Demir")
    everywhere(spoil)
    job.forget_calls(NOW)
    assert [row.summary for row in remaining(Call) if row.id == call.id] == [None]
