"""What people do with follow-ups, and how the second of two is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, transaction
from portal.domain import followup_due, followup_work
from portal.domain.errors import DomainError
from portal.domain.followup_work import Overtaken, Shown, Worker
from portal.models import AuditLog, CallFollowup, CallNote, Company, Notification
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.domain.test_followups import open_hours

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday, ten o'clock in Berlin
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def make(salon: Firm, **values: Any) -> Shown:
    return Shown(factories.make_followup(salon, **values).id, 1)


def worker(salon: Firm, role: str = "owner") -> Worker:
    user = salon.users[role]
    return Worker(user.id, user.name, [salon.main.id] if role == "staff" else None, manages=role != "staff")


def row(shown: Shown) -> CallFollowup:
    return db.session.get_one(CallFollowup, shown.id, populate_existing=True)


def deeds() -> list[str]:
    query = select(AuditLog.action).where(AuditLog.action.like("followup.%")).order_by(AuditLog.id)
    return list(db.session.scalars(query))


# ---- Closing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "status", "how"),
    [
        (followup_work.called_back, "resolved", "reached"),
        (followup_work.resolve, "resolved", "done"),
        (followup_work.dismiss, "dismissed", "dismissed"),
    ],
)
def test_closing_says_who_when_and_what_came_of_it(
    salon: Firm, deed: Callable[..., None], status: str, how: str
) -> None:
    shown = make(salon)
    transaction(lambda: deed([shown], "  Geklärt. ", worker(salon), NOW))
    made = row(shown)
    assert (made.status, made.closed_by, made.closed_at, made.resolution) == (status, salon.owner.id, NOW, "Geklärt.")
    assert (made.facts or {})["closed"]["how"] == how
    assert deeds() == [f"followup.{status}"]


def test_a_card_closes_all_that_it_showed_and_nothing_that_came_meanwhile(salon: Firm) -> None:
    first, second, meanwhile = (make(salon) for _ in range(3))
    transaction(lambda: followup_work.resolve([first, second], "", worker(salon), NOW))
    assert [row(each).status for each in (first, second, meanwhile)] == ["resolved", "resolved", "open"]


@pytest.mark.parametrize("deed", ["resolve", "called_back", "dismiss", "not_reached"])
def test_the_second_of_two_is_told_and_nothing_is_done(salon: Firm, deed: str) -> None:
    shown, other = make(salon), make(salon)
    transaction(lambda: followup_work.resolve([shown], "Meins", worker(salon, "manager"), NOW))
    with pytest.raises(Overtaken) as told:
        transaction(lambda: getattr(followup_work, deed)([shown, other], "Deins", worker(salon), NOW))
    assert told.value.message == "Mara Manager hat das inzwischen erledigt."
    assert (row(shown).resolution, row(other).status) == ("Meins", "open")


def test_what_is_closed_is_not_closed_again_even_by_who_knows_its_version(salon: Firm) -> None:
    shown = make(salon, status="resolved", closed_at=NOW, closed_by=salon.manager.id)
    with pytest.raises(Overtaken):
        transaction(lambda: followup_work.dismiss([shown], "", worker(salon), NOW))
    assert (row(shown).status, row(shown).closed_by) == ("resolved", salon.manager.id)


def test_who_acts_on_what_somebody_has_changed_is_told(salon: Firm) -> None:
    shown = make(salon)
    transaction(lambda: followup_work.assign([shown], salon.staff.id, worker(salon), NOW))
    with pytest.raises(Overtaken):
        transaction(lambda: followup_work.resolve([shown], "", worker(salon, "manager"), NOW))
    assert row(shown).status == "in_progress"


def test_a_note_is_in_nobodys_way(salon: Firm) -> None:
    shown = make(salon)
    transaction(lambda: followup_work.assign([shown], salon.staff.id, worker(salon), NOW))
    transaction(lambda: followup_work.note([shown], " War besetzt. ", worker(salon)))
    (note,) = db.session.scalars(select(CallNote)).all()
    assert (note.body, note.author_id, note.call_id) == ("War besetzt.", salon.owner.id, row(shown).call_id)


@pytest.mark.parametrize(("text", "field"), [("  ", "note"), ("x" * 2001, "note")])
def test_an_empty_note_and_an_endless_one_are_refused(salon: Firm, text: str, field: str) -> None:
    shown = make(salon)
    with pytest.raises(DomainError) as refused:
        transaction(lambda: followup_work.note([shown], text, worker(salon)))
    assert refused.value.field == field
    assert db.session.scalars(select(CallNote)).all() == []


def test_people_of_another_branch_and_of_another_company_find_nothing(salon: Firm, cast: Cast) -> None:
    theirs = make(salon, call=factories.make_call(salon, branch_id=salon.other.id))
    foreign = Shown(factories.make_followup(cast.praxis).id, 1)
    for shown in (theirs, foreign, Shown(10**9, 1)):
        with pytest.raises(Overtaken):
            transaction(lambda shown=shown: followup_work.resolve([shown], "", worker(salon, "staff"), NOW))
    assert row(theirs).status == "open"


# ---- Trying ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "now", "due"),
    [
        # Complaints are due after 15 minutes, but nobody is rung up again within half an hour.
        ("complaint", NOW, NOW + 30 * MINUTE),
        ("callback", NOW, NOW + 4 * HOUR),
        ("promise", NOW, NOW + 2 * HOUR),
        # 17:30: half an hour today, the rest tomorrow from nine on.
        ("promise", NOW + 7.5 * HOUR, datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
    ],
)
def test_who_was_not_reached_is_tried_again_in_opening_time(
    salon: Firm, reason: str, now: datetime, due: datetime
) -> None:
    open_hours(salon)
    shown = make(salon, reason=reason, due_at=NOW - HOUR)
    assert transaction(lambda: followup_work.not_reached([shown], "Mailbox", worker(salon), now)) == due
    made = row(shown)
    assert (made.due_at, made.attempts, made.status) == (due, 1, "in_progress")
    transaction(lambda: followup_work.not_reached([Shown(made.id, made.version)], "", worker(salon), now))
    assert row(shown).attempts == 2
    assert [note.body for note in db.session.scalars(select(CallNote))] == ["Mailbox"]
    assert deeds() == ["followup.not_reached"] * 2


def test_tomorrow_is_the_next_morning_on_which_the_branch_opens(salon: Firm) -> None:
    open_hours(salon)
    shown, friday = make(salon), datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    found = transaction(lambda: followup_work.postpone([shown], worker(salon), friday))
    assert found == row(shown).due_at == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    other = make(salon, call=factories.make_call(salon, branch_id=salon.other.id))  # whose hours nobody has entered
    assert transaction(lambda: followup_work.postpone([other], worker(salon), friday)) == friday + timedelta(days=1)


# ---- Whose ----------------------------------------------------------------------------------------------------


def test_giving_it_to_somebody_tells_them(salon: Firm) -> None:
    shown = make(salon)
    transaction(lambda: followup_work.assign([shown], salon.staff.id, worker(salon), NOW))
    assert (row(shown).assigned_to, row(shown).status) == (salon.staff.id, "in_progress")
    (told,) = db.session.scalars(select(Notification)).all()
    assert (told.portal_user_id, told.type) == (salon.staff.id, "followup.assigned")
    assert (told.title, told.body) == ("Katharina Owner hat Ihnen einen Rückruf gegeben", "Rückruf gewünscht")
    transaction(lambda: followup_work.assign([Shown(shown.id, 2)], None, worker(salon), NOW))
    assert (row(shown).assigned_to, row(shown).status) == (None, "open")


def test_taking_it_oneself_tells_nobody(salon: Firm) -> None:
    shown = make(salon)
    transaction(lambda: followup_work.assign([shown], salon.staff.id, worker(salon, "staff"), NOW))
    assert row(shown).assigned_to == salon.staff.id
    assert db.session.scalars(select(Notification)).all() == []


def test_staff_take_and_give_back_their_own_and_nothing_else(salon: Firm) -> None:
    mine, hers = make(salon, assigned_to=salon.staff.id), make(salon, assigned_to=salon.manager.id)
    staff = worker(salon, "staff")
    for shown, to in ((mine, salon.manager.id), (hers, None), (hers, salon.staff.id)):
        with pytest.raises(DomainError):
            transaction(lambda shown=shown, to=to: followup_work.assign([shown], to, staff, NOW))
    transaction(lambda: followup_work.assign([mine], None, staff, NOW))
    assert (row(mine).assigned_to, row(hers).assigned_to) == (None, salon.manager.id)


@pytest.mark.parametrize("who", ["bookkeeper", "of another branch", "of another company"])
def test_only_who_sees_the_call_can_get_it(salon: Firm, cast: Cast, who: str) -> None:
    shown = make(salon, call=factories.make_call(salon, branch_id=salon.other.id))
    people = {"bookkeeper": salon.bookkeeper, "of another branch": salon.staff, "of another company": cast.praxis.owner}
    with pytest.raises(DomainError):
        transaction(lambda: followup_work.assign([shown], people[who].id, worker(salon), NOW))
    assert row(shown).assigned_to is None


# ---- Again ----------------------------------------------------------------------------------------------------


def test_reopening_twice_is_once_and_a_changed_one_is_told(salon: Firm) -> None:
    open_hours(salon)
    closed = {"status": "resolved", "closed_at": NOW, "closed_by": salon.owner.id, "resolution": "War nichts"}
    shown = make(salon, **closed)
    with pytest.raises(Overtaken):
        transaction(lambda: followup_work.reopen(Shown(shown.id, 7), worker(salon), NOW))
    transaction(lambda: followup_work.reopen(shown, worker(salon), NOW))
    transaction(lambda: followup_work.reopen(shown, worker(salon), NOW))
    made = row(shown)
    assert (made.status, made.closed_by, made.resolution, made.version) == ("open", None, None, 2)
    assert made.due_at == NOW + 4 * HOUR


@pytest.mark.parametrize("written", ["", "7", "x.1", "7.", ".1", "7.x", "-7.1", "9" * 30 + ".1", "7.1.2", "²."])
def test_what_is_no_token_is_none(written: str) -> None:
    assert Shown.parse(written) is None
    assert Shown.parse("91.3") == Shown(91, 3)


# ---- Terms ----------------------------------------------------------------------------------------------------


def test_terms_are_kept_beside_what_others_keep_there_and_audited_once(salon: Firm) -> None:
    def keep() -> None:
        db.session.get_one(Company, salon.id).settings = {"balance_alerts": ["5.00"]}

    transaction(keep)
    wanted = {"complaint": 30, "promise": 120, "callback": 240}
    transaction(lambda: followup_due.save_terms(wanted))
    transaction(lambda: followup_due.save_terms(wanted))
    assert followup_due.terms().complaint == 30 * MINUTE
    assert (db.session.get_one(Company, salon.id).settings or {})["balance_alerts"] == ["5.00"]
    (audit,) = db.session.scalars(select(AuditLog).where(AuditLog.action == "followups.terms_changed")).all()
    assert (audit.old_values, audit.new_values) == ({"complaint": 15}, {"complaint": 30})


@pytest.mark.parametrize("minutes", [0, 4, 7201, -1])
def test_terms_out_of_bounds_are_refused_beside_their_field(salon: Firm, minutes: int) -> None:
    with pytest.raises(DomainError) as refused:
        transaction(lambda: followup_due.save_terms({"complaint": 15, "promise": minutes, "callback": 240}))
    assert refused.value.field == "promise"
