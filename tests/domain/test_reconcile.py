"""Which calls are asked for at Retell, and what taking over its answer does and does not change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import call_reports, calls, erasure, forgetting, heartbeat, overview, reconcile, retention
from portal.models import BalanceTransaction, Call, CallContent, Company, PrepaidBalance
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.webhooks.retell_payloads import payload

ENDED = datetime(2026, 11, 24, 9, 2, 36, tzinfo=UTC)
NOW = ENDED + timedelta(minutes=10)
CALL_ID = "call_5b0e7d2c94a1f36880c3"


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def heard(name: str, at: datetime = ENDED, **fields: Any) -> Call:
    """What a webhook brought."""
    body = payload(name, **fields)
    return transaction(lambda: calls.record(call_reports.read(body["event"], body), at, at))


def listed(name: str = "call_analyzed", **fields: Any) -> dict[str, Any]:
    """A call as a listing shows it."""
    call: dict[str, Any] = payload(name, **fields)["call"]
    for spoken in ("transcript", "transcript_object", "transcript_with_tool_calls", "recording_url"):
        call.pop(spoken, None)
    return call


def ongoing(**fields: Any) -> dict[str, Any]:
    return listed("call_started", **{"call_status": "ongoing", **fields})


def asked_for(*shown: dict[str, Any], now: datetime = NOW) -> list[str]:
    return [gap.call_id for gap in reconcile.gaps(list(shown), "DE", now)]


def take_over(name: str = "call_analyzed", at: datetime = NOW, **fields: Any) -> Call | None:
    found = payload(name, **fields)["call"]
    return transaction(lambda: reconcile.take_over(found, "DE", at, at))


# ---- What is missing --------------------------------------------------------------------------------------


def test_a_call_that_nobody_told_of_is_asked_for(salon: Firm) -> None:
    assert asked_for(listed()) == [CALL_ID]


def test_a_call_that_is_all_here_is_not(salon: Firm) -> None:
    heard("call_analyzed")
    assert asked_for(listed()) == []


def test_a_call_without_its_end_is(salon: Firm) -> None:
    heard("call_started")
    assert asked_for(listed("call_ended")) == [CALL_ID]


def test_a_call_without_its_analysis_is_once_there_is_one(salon: Firm) -> None:
    heard("call_ended")
    assert asked_for(listed("call_ended")) == []
    assert asked_for(listed(call_analysis={})) == []
    assert asked_for(listed()) == [CALL_ID]


WORDLESS: dict[str, Any] = {"transcript": None, "transcript_object": None, "transcript_with_tool_calls": None}


def test_a_call_without_its_words_is_unless_retell_keeps_none(salon: Firm) -> None:
    heard("call_analyzed", **WORDLESS)
    assert asked_for(listed()) == [CALL_ID]
    assert asked_for(listed(data_storage_setting="basic_attributes_only")) == []


def test_a_call_of_no_words_is_asked_for_once_and_not_for_ever(salon: Firm) -> None:
    heard("call_analyzed", **WORDLESS)
    take_over(**WORDLESS)
    assert asked_for(listed()) == []
    take_over()
    assert "Nadine Vogt" in (db.session.scalars(select(CallContent.transcript)).one() or "")


@pytest.mark.parametrize(("seconds", "wanted"), [(299, []), (301, [CALL_ID])])
def test_events_get_five_minutes_before_anything_is_called_missing(
    salon: Firm, seconds: int, wanted: list[str]
) -> None:
    assert asked_for(listed(end_timestamp=_ms(ENDED)), now=ENDED + timedelta(seconds=seconds)) == wanted


def test_a_running_call_is_asked_for_only_if_it_is_not_here(salon: Firm) -> None:
    assert asked_for(ongoing()) == [CALL_ID]
    heard("call_started")
    assert asked_for(ongoing()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"to_number": "+49341765432"},
        {"agent_id": "agent_praxis"},
        {"to_number": "+4940999888", "agent_id": "agent_nobody"},
        {"call_id": None},
        {"call_id": " "},
        {"start_timestamp": None},
        {"start_timestamp": "yesterday"},
        {"call_status": "registered"},
        {"call_status": None},
    ],
    ids=str,
)
def test_what_is_not_this_companys_or_has_not_begun_is_passed_over(salon: Firm, fields: dict[str, Any]) -> None:
    assert asked_for(listed(**fields)) == []


def test_of_an_erased_person_nothing_comes_back(salon: Firm) -> None:
    call = heard("call_ended")
    transaction(lambda: erasure.erase_customer(call.customer_id or 0, NOW))
    assert asked_for(listed()) == []


def test_words_that_were_deleted_in_time_are_not_asked_for_again(salon: Firm) -> None:
    call = heard("call_analyzed")
    transaction(lambda: retention.save(retention.Retention(transcript=1)))
    transaction(lambda: forgetting.words([call.id]))
    assert asked_for(listed(), now=NOW) == [CALL_ID]  # not over yet: they are only missing
    assert asked_for(listed(), now=NOW + timedelta(days=1)) == []


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# ---- Taking it over ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "analysis", "event"),
    [
        ("ended", {"call_summary": "x"}, "call_analyzed"),
        ("ended", {}, "call_ended"),
        ("ended", None, "call_ended"),
        ("error", None, "call_ended"),
        ("not_connected", None, "call_ended"),
        ("ongoing", None, "call_started"),
        ("registered", None, None),
        (None, None, None),
        ("something_new", None, None),
    ],
)
def test_a_call_is_read_as_the_event_that_would_have_come(status: Any, analysis: Any, event: str | None) -> None:
    assert reconcile.event_of({"call_status": status, "call_analysis": analysis}) == event


def test_what_is_taken_over_is_charged_once_however_often(salon: Firm) -> None:
    _put_money()
    for _ in range(3):
        take_over()
    assert db.session.scalars(select(BalanceTransaction.amount)).all() == [Decimal("-1.10")]
    assert db.session.scalars(select(Call)).one().summary


def test_an_answer_from_before_the_newest_event_only_fills_gaps(salon: Firm) -> None:
    later = {"call_summary": "Die spätere.", "user_sentiment": "Negative"}
    heard("call_analyzed", NOW + timedelta(minutes=1), call_analysis=later, telephony_identifier=None)
    call = take_over(at=NOW)
    assert call is not None
    assert (call.summary, call.sentiment) == ("Die spätere.", "negative")
    assert call.twilio_call_sid == "CA77e1c05b9d"


def test_an_answer_that_shows_less_takes_nothing_away(salon: Firm) -> None:
    before = heard("call_analyzed")
    kept = (before.status, before.summary, before.duration_seconds, before.analyzed_at)
    for name, status in (("call_ended", "ended"), ("call_started", "ongoing")):
        take_over(name, call_status=status)
    call = db.session.scalars(select(Call).execution_options(populate_existing=True)).one()
    assert (call.status, call.summary, call.duration_seconds, call.analyzed_at) == kept


def test_another_companys_call_is_refused(salon: Firm) -> None:
    with pytest.raises(calls.NotOursError):
        take_over(to_number="+49341765432")


def _put_money() -> None:
    def put() -> None:
        db.session.scalars(select(PrepaidBalance)).one().current_balance = Decimal("150.00")

    transaction(put)


# ---- Where to look, and what the light says ---------------------------------------------------------------


def test_a_companys_first_listing_goes_back_three_days_but_never_to_before_it_was_here(salon: Firm) -> None:
    created = db.session.get_one(Company, salon.id).created_at
    assert reconcile.list_from(created + timedelta(hours=1)) == created
    assert reconcile.list_from(created + timedelta(days=90)) == created + timedelta(days=87)
    assert reconcile.looked_through(created + timedelta(hours=1)) == created
    assert reconcile.looked_through(created + timedelta(days=9)) == created + timedelta(days=8)


def test_the_place_is_kept_for_each_company(cast: Cast, salon: Firm) -> None:
    transaction(lambda: reconcile.keep_place(NOW))
    assert reconcile.list_from(NOW + timedelta(days=9)) == NOW
    with tenant_scope(cast.praxis.id):
        assert reconcile.list_from(NOW) != NOW


def test_the_light_tells_for_a_day_what_was_late_and_that_nothing_is_missing(
    salon: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 1):
        transaction(lambda number=number: heartbeat.caught_up("retell", salon.id, number, NOW))  # type: ignore[misc]
    for hours, late in ((1, 3), (23, 3), (25, 0)):
        monkeypatch.setattr(overview, "utcnow", lambda hours=hours: NOW + timedelta(hours=hours))
        light = overview.pipeline()
        assert (light.late, light.ok) == (late, True)
    transaction(lambda: heartbeat.caught_up("retell", salon.id, 5, NOW + timedelta(hours=25)))
    assert overview.pipeline().late == 5
