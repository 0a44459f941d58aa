"""The queue as its readers see it: grouped by caller, bounded, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from portal.db import db, transaction, utcnow
from portal.domain import call_words, followup_queue
from portal.domain.followup_queue import Group, Reader
from portal.models import Call, CallFollowup
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.queries import Queries

HOUR = timedelta(hours=1)
NUMBER = "+4915299887766"


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def reader(salon: Firm, role: str = "owner") -> Reader:
    return Reader(salon.users[role].id, [salon.main.id] if role == "staff" else None)


def wait(salon: Firm, hours: float, call: dict[str, Any] | None = None, **values: Any) -> int:
    """An entry that is due in so many hours."""
    made = factories.make_call(salon, **call) if call is not None else None
    return factories.make_followup(salon, made, due_at=utcnow() + hours * HOUR, **values).id


def nobody(number: str | None = NUMBER) -> dict[str, Any]:
    return {"customer_id": None, "phone_number": number}


def ids(groups: list[Group]) -> list[list[int]]:
    return [[entry.id for entry in group.entries] for group in groups]


# ---- Grouping -------------------------------------------------------------------------------------------------


def test_a_caller_who_calls_three_times_is_one_group_at_the_most_urgent_place(salon: Firm) -> None:
    later, other = wait(salon, 3), wait(salon, 2, nobody())
    urgent, late = wait(salon, 1), wait(salon, 9)
    assert ids(followup_queue.page(reader(salon)).groups) == [[urgent, later, late], [other]]
    assert followup_queue.waiting(reader(salon), utcnow()).people == 2


def test_a_number_goes_with_its_customer_but_not_where_two_share_it(salon: Firm) -> None:
    named, nameless = wait(salon, 1), wait(salon, 2, nobody(salon.customer.phone_normalized))
    assert ids(followup_queue.page(reader(salon)).groups) == [[named, nameless]]
    sister = factories.make_customer(salon, "Leyla", "Demir")
    hers = wait(salon, 3, {"customer_id": sister.id, "phone_number": salon.customer.phone_normalized})
    assert ids(followup_queue.page(reader(salon)).groups) == [[named], [nameless], [hers]]


def test_withheld_numbers_are_people_of_their_own(salon: Firm) -> None:
    first, second = wait(salon, 1, nobody(None)), wait(salon, 2, nobody(None))
    assert ids(followup_queue.page(reader(salon)).groups) == [[first], [second]]
    assert followup_queue.waiting(reader(salon), utcnow()).people == 2


def test_a_group_knows_its_newest_call_and_each_call_once(salon: Firm) -> None:
    old = factories.make_call(salon, started_at=utcnow() - 5 * HOUR)
    for reason in ("complaint", "transfer_failed"):
        factories.make_followup(salon, old, reason=reason, due_at=utcnow() - HOUR)
    new = factories.make_call(salon)
    factories.make_followup(salon, new, due_at=utcnow() + HOUR, attempts=2, assigned_to=salon.owner.id)
    (group,) = followup_queue.page(reader(salon)).groups
    assert [call.id for call, _entry in group.calls] == [new.id, old.id]
    assert (group.call.id, group.attempts, group.assigned_to) == (new.id, 2, salon.owner.id)
    assert [reason.key for reason in group.reasons] == ["complaint", "transfer_failed", "callback"]
    assert group.is_late(utcnow())
    assert group.promise is None


# ---- Who sees what --------------------------------------------------------------------------------------------


def test_filters_and_counts(salon: Firm) -> None:
    mine = wait(salon, -1, nobody("+491"), assigned_to=salon.owner.id)
    hers = wait(salon, 1, nobody("+492"), assigned_to=salon.manager.id)
    free = wait(salon, 2, nobody("+493"))
    assert ids(followup_queue.page(reader(salon)).groups) == [[mine], [hers], [free]]
    assert ids(followup_queue.page(reader(salon), "me").groups) == [[mine]]
    assert ids(followup_queue.page(reader(salon), "none").groups) == [[free]]
    seen = followup_queue.waiting(reader(salon), utcnow())
    assert (seen.people, seen.late, seen.mine, seen.nobodys, seen.more) == (3, 1, 1, 1, False)


def test_mine_shows_the_callers_other_calls_too(salon: Firm) -> None:
    others, mine = wait(salon, -5), wait(salon, 1, assigned_to=salon.owner.id)
    assert ids(followup_queue.page(reader(salon), "me").groups) == [[others, mine]]


def test_staff_see_their_branches_only(salon: Firm) -> None:
    here = wait(salon, 1, nobody("+491"))
    wait(salon, 2, {"branch_id": salon.other.id, **nobody("+492")})
    wait(salon, 3, {"branch_id": None, **nobody("+493")})
    assert ids(followup_queue.page(reader(salon, "staff")).groups) == [[here]]
    assert followup_queue.waiting(reader(salon, "staff"), utcnow()).people == 1
    assert followup_queue.waiting(reader(salon), utcnow()).people == 3
    assert followup_queue.one(here, reader(salon, "staff")) is not None


def test_closed_ones_and_those_of_another_company_are_not_in_it(salon: Firm, cast: Cast) -> None:
    wait(salon, 1, status="resolved", closed_at=utcnow())
    theirs = factories.make_followup(cast.praxis).id
    assert followup_queue.page(reader(salon)).groups == []
    assert followup_queue.waiting(reader(salon), utcnow()) == followup_queue.Waiting()
    assert followup_queue.one(theirs, reader(salon)) is None


# ---- However long it is ---------------------------------------------------------------------------------------


def fill(salon: Firm, number: int, callers: int) -> None:
    """So many entries of so many callers, due one minute after the other."""
    at, started = utcnow() + HOUR, utcnow() - HOUR

    def write() -> None:
        made = {"company_id": salon.id, "created_at": started, "updated_at": started}
        calls = [
            made
            | {"call_id": f"many_{n}", "branch_id": salon.main.id, "started_at": started, "status": "completed"}
            | {"direction": "inbound", "phone_number": f"+4915{n % callers:09}", "language_code": "de"}
            for n in range(number)
        ]
        db.session.execute(insert(Call), calls)
        found = db.session.query(Call.id, Call.call_id).filter(Call.call_id.like("many_%")).all()
        places = {row.call_id: row.id for row in found}
        rows = [
            made
            | {"call_id": places[f"many_{n}"], "reason": "callback", "status": "open", "priority": "normal"}
            | {"due_at": at + n * timedelta(minutes=1), "attempts": 0, "version": 1}
            for n in range(number)
        ]
        db.session.execute(insert(CallFollowup), rows)

    transaction(write)


def walk(salon: Firm, who: str = "all") -> list[Group]:
    """Every page, one after the other."""
    groups: list[Group] = []
    after: str | None = None
    for _page in range(200):
        found = followup_queue.page(reader(salon), who, after)
        groups += found.groups
        after = found.after
        if after is None:
            return groups
    raise AssertionError("the pages never end")


@pytest.mark.parametrize(("number", "callers"), [(0, 1), (60, 60), (130, 40), (450, 450), (450, 7)])
def test_page_after_page_every_caller_comes_exactly_once(salon: Firm, number: int, callers: int) -> None:
    if number:
        fill(salon, number, callers)
    groups = walk(salon)
    numbers = [group.call.phone_number for group in groups]
    assert len(numbers) == len(set(numbers)) == min(number, callers)
    dues = [group.due_at for group in groups]
    assert dues == sorted(dues)
    assert len(walk(salon, "none")) == len(groups)


def test_ten_thousand_entries_cost_no_more_statements_than_thirty(salon: Firm) -> None:
    fill(salon, 10_000, 10_000)
    db.session.rollback()
    with Queries() as asked:
        found = followup_queue.page(reader(salon))
        counted = followup_queue.waiting(reader(salon), utcnow())
    assert len(asked) == 3
    assert len(found.groups) == followup_queue.CARDS
    assert (counted.people, counted.more) == (followup_queue.MOST_COUNTED, True)
    assert len(followup_queue.page(reader(salon), "all", found.after).groups) == followup_queue.CARDS


@pytest.mark.parametrize("after", ["", "x", "1-", "99999999999999999999-1", "0-0"])
def test_an_odd_place_to_begin_is_the_beginning(salon: Firm, after: str) -> None:
    made = wait(salon, 1)
    assert ids(followup_queue.page(reader(salon), "all", after).groups) == [[made]]


# ---- Beside calls ---------------------------------------------------------------------------------------------


def test_calls_in_lists_carry_the_most_urgent_flag(salon: Firm) -> None:
    plain, late, promise, done = (factories.make_call(salon) for _ in range(4))
    factories.make_followup(salon, plain)
    factories.make_followup(salon, late, due_at=utcnow() - HOUR)
    factories.make_followup(salon, promise, reason="promise", due_at=utcnow() - HOUR)
    factories.make_followup(salon, promise, due_at=utcnow() - HOUR)
    factories.make_followup(salon, done, status="resolved", closed_at=utcnow())
    flags = followup_queue.flags([plain.id, late.id, promise.id, done.id], utcnow())
    assert {call: flag.key for call, flag in flags.items()} == {
        plain.id: "callback",
        late.id: "late",
        promise.id: "promise",
    }
    assert followup_queue.flags([], utcnow()) == {}


def test_a_booking_is_not_hidden_by_a_mere_wish_to_be_called(salon: Firm) -> None:
    booked = call_words.outcome(factories.make_call(salon, appointment_created=True), utcnow())
    call = factories.make_call(salon)
    factories.make_followup(salon, call)
    wish = followup_queue.flags([call.id], utcnow())[call.id]
    assert followup_queue.shown(booked, wish) is booked
    assert followup_queue.shown(booked, None) is booked
    assert followup_queue.shown(call_words.outcome(call, utcnow()), wish) == replace(wish, kind="warn")


# ---- The right column -----------------------------------------------------------------------------------------


def hang_up(salon: Firm, at: datetime, **values: Any) -> Call:
    usual = {"end_reason": "user_hangup", "custom_data": {"call_successful": False}, "duration_seconds": 12}
    return factories.make_call(salon, started_at=at, **usual | nobody() | values)


def test_who_hung_up_and_left_nothing_stands_there_once(salon: Firm) -> None:
    at = utcnow() - 3 * HOUR
    hang_up(salon, at)
    last = hang_up(salon, at + HOUR)
    withheld = hang_up(salon, at, phone_number=None)
    found = followup_queue.hung_up(reader(salon), at - HOUR)
    assert [(each.call.id, each.times) for each in found] == [(last.id, 2), (withheld.id, 1)]
    assert followup_queue.hung_up(reader(salon), utcnow()) == []


@pytest.mark.parametrize(
    "values",
    [
        {"custom_data": {"call_successful": True}},
        {"intent": "wrong_number"},
        {"end_reason": "agent_hangup"},
        {"direction": "outbound"},
        {"appointment_created": True},
    ],
)
def test_who_was_helped_or_meant_nothing_does_not(salon: Firm, values: dict[str, Any]) -> None:
    hang_up(salon, utcnow() - HOUR, **values)
    assert followup_queue.hung_up(reader(salon), utcnow() - 3 * HOUR) == []


def test_who_came_back_and_was_helped_does_not_either(salon: Firm) -> None:
    hang_up(salon, utcnow() - 3 * HOUR)
    factories.make_call(salon, started_at=utcnow() - HOUR, analyzed_at=utcnow(), **nobody())
    assert followup_queue.hung_up(reader(salon), utcnow() - 9 * HOUR) == []


def test_what_needs_a_person_is_not_there_as_well(salon: Firm) -> None:
    factories.make_followup(salon, hang_up(salon, utcnow() - HOUR), reason="hung_up")
    assert followup_queue.hung_up(reader(salon), utcnow() - 3 * HOUR) == []


def test_what_closed_itself_is_told_apart_from_what_people_closed(salon: Firm) -> None:
    itself = wait(salon, 1, status="resolved", closed_at=utcnow() - HOUR)
    by_hand = wait(salon, 1, status="resolved", closed_at=utcnow(), closed_by=salon.owner.id)
    wait(salon, 1, status="dismissed", closed_at=utcnow() - 9 * HOUR)
    found = followup_queue.closed_themselves(reader(salon), utcnow() - 2 * HOUR)
    assert [row.id for row in found] == [itself]
    rows, before = followup_queue.closed_page(reader(salon), None)
    assert [row.id for row in rows][:2] == [by_hand, itself]
    assert (len(rows), before) == (3, None)


def test_closed_ones_come_page_by_page(salon: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followup_queue, "CLOSED_PAGE", 2)
    at = utcnow() - HOUR
    made = [wait(salon, 1, nobody(f"+49{n}"), status="resolved", closed_at=at) for n in range(5)]
    seen: list[int] = []
    before: str | None = None
    for _page in range(3):
        rows, before = followup_queue.closed_page(reader(salon), before)
        seen += [row.id for row in rows]
    assert (seen, before) == (made[::-1], None)


def test_names_of_services_and_people_lead_to_the_form(salon: Firm) -> None:
    names = [("Damenhaarschnitt", "Sofia Klein"), ("Unbekannt", None)]
    assert followup_queue.ids_by_name(names) == {
        ("service", "Damenhaarschnitt"): salon.cut.id,
        ("staff", "Sofia Klein"): salon.stylist.id,
    }
    assert followup_queue.ids_by_name([]) == {}
