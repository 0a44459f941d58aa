"""Keeping calls only as long as the company says, on every database, in steps that may be stopped anywhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import call_reports, calls, retention
from portal.domain.retention import Retention
from portal.jobs import retention as job
from portal.models import Call, CallCharge, CallContent, CallFollowup, CallNote, Company, Recording
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within
from tests.webhooks.retell_payloads import ms, payload


def keep(firm: Firm, **days: int) -> None:
    within(firm, lambda: retention.save(Retention(**days)))


def ago(days: int) -> datetime:
    return utcnow() - timedelta(days=days)


def old_call(firm: Firm, days: int, **values: Any) -> Call:
    return factories.make_call(firm, "Guten Tag, hier ist Demir", started_at=ago(days), summary="Frau Demir", **values)


def said(firm: Firm) -> set[int]:
    """Calls whose words are still here."""
    db.session.rollback()
    with tenant_scope(firm.id):
        return set(db.session.scalars(select(CallContent.call_id)))


def again(firm: Firm, call: Call) -> Call:
    db.session.rollback()
    with tenant_scope(firm.id):
        return db.session.get_one(Call, call.id, populate_existing=True)


def test_words_go_when_their_time_is_over_and_the_call_stays(cast: Cast) -> None:
    firm = cast.salon
    old, young = old_call(firm, 40), old_call(firm, 20)
    keep(firm, transcript=30)
    job.forget_calls(utcnow())
    assert said(firm) == {young.id}
    left = again(firm, old)
    assert (left.summary, left.duration_seconds, left.customer_id) == (None, 60, firm.customer.id)
    assert again(firm, young).summary == "Frau Demir"


def test_nothing_goes_where_no_limit_is_set_and_never_from_another_company(cast: Cast) -> None:
    mine, theirs = old_call(cast.salon, 4000), old_call(cast.praxis, 4000)
    job.forget_calls(utcnow())
    assert said(cast.salon) == {mine.id}
    keep(cast.salon, metadata=10)
    job.forget_calls(utcnow())
    assert (said(cast.salon), said(cast.praxis)) == (set(), {theirs.id})


def test_of_an_anonymous_call_only_time_length_and_price_remain(cast: Cast) -> None:
    firm = cast.salon
    call = old_call(firm, 400, from_number="+491711234567")
    factories.save(firm, CallNote(company_id=firm.id, call_id=call.id, body="ruft gern an"))
    factories.save(
        firm, Recording(company_id=firm.id, call_id=call.id, status="failed", source_url="https://x.example")
    )
    keep(firm, metadata=365)
    job.forget_calls(utcnow())
    left = again(firm, call)
    assert (left.phone_number, left.from_number, left.customer_id, left.summary) == (None, None, None, None)
    assert left.duration_seconds == 60
    with tenant_scope(firm.id):
        assert db.session.scalar(select(CallNote)) is None
        kept = db.session.scalars(select(Recording)).one()
        assert (kept.status, kept.source_url) == ("deleted", None)


def test_only_recordings_go_where_only_they_have_a_limit(cast: Cast) -> None:
    firm = cast.salon
    call = old_call(firm, 40)
    factories.save(firm, Recording(company_id=firm.id, call_id=call.id, status="failed"))
    keep(firm, recording=30)
    job.forget_calls(utcnow())
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Recording.status)).one() == "deleted"
    assert said(firm) == {call.id}


def test_a_day_later_only_that_day_is_looked_at(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    firm, now = cast.salon, utcnow()
    for days in (100, 90, 29):
        old_call(firm, days)
    keep(firm, transcript=30)
    job.forget_calls(now)
    looked_at: list[int] = []
    forget = retention._forget

    def watched(kind: str, calls: list[int], at: datetime) -> None:
        looked_at.extend(calls)
        forget(kind, calls, at)

    monkeypatch.setattr(retention, "_forget", watched)
    job.forget_calls(now + timedelta(days=2))
    assert len(looked_at) == 1
    assert said(firm) == set()


def test_it_goes_on_where_it_was_stopped(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where more calls began at the same moment than are done at once."""
    firm, moment = cast.salon, ago(50)
    monkeypatch.setattr(retention, "CHUNK", 2)
    for _number in range(5):
        factories.make_call(firm, "Hallo", started_at=moment)
    keep(firm, transcript=30)
    with tenant_scope(firm.id):
        begun = retention.begin("transcript", utcnow())
        assert begun is not None
        transaction(lambda: retention.tidy("transcript", *begun, utcnow()))
    assert len(said(firm)) == 3
    job.forget_calls(utcnow())
    assert said(firm) == set()


def test_a_shorter_limit_applies_to_what_was_kept_so_far(cast: Cast) -> None:
    firm = cast.salon
    old_call(firm, 40), old_call(firm, 20)
    keep(firm, transcript=30)
    job.forget_calls(utcnow())
    keep(firm, transcript=10)
    job.forget_calls(utcnow())
    assert said(firm) == set()


def test_nothing_outlives_the_data_of_the_call_itself(cast: Cast) -> None:
    rules, start = Retention(recording=None, transcript=20, metadata=30), utcnow()
    assert [rules.days(kind) for kind in retention.KINDS] == [30, 20, 30]
    assert rules.ends("transcript", start) == start + timedelta(days=20)
    assert Retention().ends("recording", start) is None


def test_it_says_beforehand_how_much_would_go(cast: Cast) -> None:
    firm = cast.salon
    call = old_call(firm, 40)
    factories.save(firm, Recording(company_id=firm.id, call_id=call.id, status="failed"))
    old_call(firm, 41)
    with tenant_scope(firm.id):
        assert retention.affected(Retention(recording=30, transcript=30), utcnow()) == {"recording": 1, "transcript": 2}
        assert retention.affected(Retention(), utcnow()) == {}
    keep(firm, transcript=30)
    job.forget_calls(utcnow())
    with tenant_scope(firm.id):
        assert retention.affected(Retention(transcript=30), utcnow()) == {"transcript": 0}
        assert db.session.get_one(Company, firm.id).settings


# ---- What is gone stays gone ------------------------------------------------------------------------------------


def hear(firm: Firm, call: Call, **told: Any) -> None:
    """The provider's analysis of this call, arriving now."""
    begun = {"start_timestamp": ms(call.started_at), "end_timestamp": ms(call.started_at + timedelta(seconds=90))}
    body = payload("call_analyzed", call_id=call.call_id, **begun, **told)
    report = call_reports.read(body["event"], body)
    within(firm, lambda: calls.record(report, utcnow(), utcnow()))


def test_a_late_report_brings_no_words_back(cast: Cast) -> None:
    firm = cast.salon
    call = old_call(firm, 40)
    keep(firm, transcript=30)
    job.forget_calls(utcnow())
    hear(firm, call)
    left = again(firm, call)
    assert (left.summary, left.custom_data, left.dynamic_variables) == (None, None, None)
    assert said(firm) == set()
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Recording)).all() == []
        assert db.session.scalars(select(CallFollowup.detail)).all() in ([], [None])


def test_a_call_that_arrives_when_its_time_is_over_is_money_and_a_moment(cast: Cast) -> None:
    firm = cast.salon
    keep(firm, metadata=30)
    missed = Call(call_id="call_late", started_at=ago(40))
    hear(firm, missed)
    db.session.rollback()
    with tenant_scope(firm.id):
        left = db.session.scalars(select(Call).where(Call.call_id == "call_late")).one()
        assert (left.phone_number, left.from_number, left.to_number, left.customer_id) == (None, None, None, None)
        assert (left.summary, left.custom_data, left.recording_url) == (None, None, None)
        assert left.duration_seconds
        assert db.session.scalar(select(CallCharge.id).where(CallCharge.call_id == left.id))
        assert db.session.scalars(select(CallContent)).all() == []
        assert db.session.scalars(select(Recording)).all() == []
        assert db.session.scalars(select(CallFollowup)).all() == []


def test_a_recording_that_comes_too_late_is_not_fetched_while_the_words_are(cast: Cast) -> None:
    firm = cast.salon
    keep(firm, recording=30)
    hear(firm, Call(call_id="call_late", started_at=ago(40)))
    db.session.rollback()
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Recording)).all() == []
        assert db.session.scalars(select(Call.recording_url)).all() == [None]
        assert db.session.scalars(select(CallContent.transcript)).one()
