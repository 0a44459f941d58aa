"""What people do to calls, below the pages: who may get a summary, what was wanted booked, what a mood leads to."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import call_mail, call_mood, call_notes, call_people, call_wishes
from portal.domain.call_deeds import Person
from portal.domain.errors import DomainError
from portal.models import Call, CallActivity, CallFollowup
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

TODAY = date(2026, 11, 23)


def person(firm: Firm, **values: Any) -> Person:
    return Person(firm.manager.id, firm.manager.name, **values)


def test_a_summary_goes_to_nobody_who_may_not_see_the_call(cast: Cast) -> None:
    salon = cast.salon
    call = factories.make_call(salon, branch_id=salon.other.id)
    with tenant_scope(salon.id):
        for user in (salon.bookkeeper, salon.staff, cast.praxis.owner, cast.operator):
            with pytest.raises(DomainError):
                call_mail.recipients(call, [user.id], None, "de")
        [owner] = call_mail.recipients(call, [salon.owner.id], salon.owner.email, "en")
        assert (owner.address, owner.language, owner.user_id) == (salon.owner.email, "de", salon.owner.id)


def test_no_more_than_twenty_at_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_mail, "MOST_AT_ONCE", 1)
    call = factories.make_call(cast.salon)
    with tenant_scope(cast.salon.id), pytest.raises(DomainError, match="1"):
        call_mail.recipients(call, [cast.salon.owner.id, cast.salon.manager.id], None, "de")


@pytest.mark.parametrize(
    ("data", "wish"),
    [
        ({"service": "Damenhaarschnitt", "preferred_staff": "Tim Yilmaz"}, {"service", "staff"}),
        ({"appointment_date": "2026-11-27", "appointment_time": "14:30:00"}, {"date", "time"}),
        ({"appointment_date": "2026-11-22", "appointment_time": "14:30"}, set()),
        ({"appointment_date": "Freitag", "appointment_time": "nachmittags", "service": 7}, set()),
        ({"appointment_time": "14:30"}, set()),
        ({"service": "Zauberei", "preferred_staff": ["Tim"]}, set()),
        (None, set()),
    ],
)
def test_what_was_understood_fills_the_form_and_nothing_else_does(
    cast: Cast, data: dict[str, Any] | None, wish: set[str]
) -> None:
    call = factories.make_call(cast.salon, custom_data=data)
    with tenant_scope(cast.salon.id):
        found = call_wishes.of(call, TODAY)
    assert set(found) == wish
    if "time" in wish:
        assert (found["date"], found["time"]) == (date(2026, 11, 27), time(14, 30))


def open_reasons(firm: Firm, call: Call) -> list[str]:
    with tenant_scope(firm.id):
        query = select(CallFollowup.reason).where(CallFollowup.call_id == call.id, CallFollowup.closed_at.is_(None))
        return list(db.session.scalars(query))


def test_a_complaint_waits_for_a_person_as_long_as_its_mood_says_so(cast: Cast) -> None:
    salon, now = cast.salon, utcnow()
    call = factories.make_call(salon, intent="complaint", sentiment="neutral", summary="Rechnung", analyzed_at=now)
    for mood, expected in (("negative", ["complaint"]), ("neutral", []), ("negative", ["complaint"])):
        factories.within(salon, lambda mood=mood: call_mood.correct(call.id, mood, person(salon), now))  # type: ignore[misc]
        assert open_reasons(salon, call) == expected, mood


def test_the_mood_of_a_running_call_is_nobodys_to_correct(cast: Cast) -> None:
    call = factories.make_call(cast.salon, status="in_progress")
    with pytest.raises(DomainError):
        factories.within(cast.salon, lambda: call_mood.correct(call.id, "positive", person(cast.salon), utcnow()))


def test_nobody_acts_on_a_call_of_another_branch(cast: Cast) -> None:
    salon, now = cast.salon, utcnow()
    bound = person(salon, branch_ids=[salon.main.id])
    for branch in (salon.other.id, None):
        call = factories.make_call(salon, branch_id=branch)
        deeds = (
            lambda call=call: call_mood.correct(call.id, "positive", bound, now),
            lambda call=call: call_people.link(call.id, salon.customer.id, bound, now),
            lambda call=call: call_people.unlink(call.id, bound, now),
            lambda call=call: call_notes.add(call.id, "x", bound, now),
        )
        for deed in deeds:
            with pytest.raises(DomainError):
                factories.within(salon, deed)


def test_a_line_about_a_customer_keeps_no_name(cast: Cast) -> None:
    salon, now = cast.salon, utcnow()
    call = factories.make_call(salon, customer_id=None)
    factories.within(salon, lambda: call_people.link(call.id, salon.customer.id, person(salon), now))
    with tenant_scope(salon.id):
        [line] = db.session.scalars(select(CallActivity)).all()
    assert line.activity_data == {
        "by": "Mara Manager", "by_id": salon.manager.id, "before": None, "after": salon.customer.id
    }  # fmt: skip
