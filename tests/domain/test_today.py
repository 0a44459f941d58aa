"""The counter’s screen: who is next, who is here, until when somebody is free; nothing that strangers may not read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from portal.db import db
from portal.domain import calendar, today
from portal.domain.calendar import Wish
from portal.domain.today import Lane, Screen
from portal.models import BranchClosure, Staff, StaffAbsence, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import save, within

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


def screen(firm: Firm, now: datetime, veil: bool = False) -> Screen:
    with tenant_scope(firm.id):
        sheet = calendar.sheet(Wish(branch_id=firm.main.id), now)
        assert sheet is not None
        return today.screen(sheet, now, veil=veil)


def lane(firm: Firm, now: datetime) -> Lane:
    return next(each for each in screen(firm, now).lanes if each.name == "Sofia Klein")


def works(firm: Firm, *spans: tuple[int, int]) -> None:
    for opens, closes in spans:
        hours: dict[str, Any] = {"opens_at": time(opens), "closes_at": time(closes), "weekday": 2}
        save(firm, WorkingHours(company_id=firm.id, branch_id=firm.main.id, staff_id=firm.stylist.id, **hours))


def away(firm: Firm, start: datetime, end: datetime) -> None:
    absence = {"staff_id": firm.stylist.id, "kind": "vacation"}
    save(firm, StaffAbsence(company_id=firm.id, starts_at=start, ends_at=end, **absence))


@pytest.mark.parametrize(
    ("now", "kind", "until"),
    [
        (at(8), "from", at(9)),
        (at(9), "busy", at(9, 45)),
        (at(9, 45), "free", at(12)),
        (at(12, 30), "break", at(13)),
        (at(13), "free", at(14)),
        (at(14, 44), "busy", at(14, 45)),
        (at(14, 45), "free", at(17)),
        (at(17), "done", None),
    ],
)
def test_what_somebody_does_follows_the_hours_and_the_appointments(
    cast: Cast, now: datetime, kind: str, until: datetime | None
) -> None:
    works(cast.salon, (9, 12), (13, 17))
    for hour in (9, 14):
        factories.make_appointment(cast.salon, start=at(hour))
    state = lane(cast.salon, now).state
    assert (state.kind, state.until) == (kind, until)


def test_without_known_hours_only_appointments_count(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9), buffer_before=10)
    firm = cast.salon
    states = [lane(firm, now).state for now in (at(8), at(8, 55), at(9), at(9, 45))]
    assert [(state.kind, state.until) for state in states] == [
        ("free", at(8, 50)), ("free", at(8, 55)), ("busy", at(9, 45)), ("free", None),
    ]  # fmt: skip


def test_an_absence_counts_while_it_lasts_and_ends_what_is_free_before(cast: Cast) -> None:
    firm = cast.salon
    works(firm, (9, 17))
    away(firm, at(11), at(13))
    states = [lane(firm, now).state for now in (at(10), at(11), at(13))]
    assert [(state.kind, state.until) for state in states] == [("free", at(11)), ("away", at(13)), ("free", at(17))]


def test_whoever_is_away_all_day_stands_below(cast: Cast) -> None:
    firm = cast.salon
    works(firm, (9, 17))
    away(firm, at(0), at(0, day=TUESDAY + timedelta(days=1)))
    shown = screen(firm, at(10))
    assert [each.name for each in shown.idle] == ["Sofia Klein"]
    assert shown.idle[0].state.reason == "vacation"
    assert shown.shown == []


@pytest.mark.parametrize("status", ["completed", "cancelled", "no_show"])
def test_what_is_over_keeps_nobody_busy(cast: Cast, status: str) -> None:
    works(cast.salon, (9, 17))
    factories.make_appointment(cast.salon, start=at(9), status=status)
    seen = lane(cast.salon, at(9, 10))
    assert (seen.state.kind, seen.running, seen.coming) == ("free", [], [])


def test_who_runs_who_comes_and_how_many_more(cast: Cast) -> None:
    rows = [factories.make_appointment(cast.salon, start=at(9) + timedelta(minutes=50 * n)) for n in range(8)]
    seen = lane(cast.salon, at(9, 10))
    assert [entry.id for entry in seen.running] == [rows[0].id]
    assert [entry.id for entry in seen.coming] == [row.id for row in rows[1:6]]
    assert seen.more == 2


def test_who_is_here_is_counted(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9), arrived_at=at(8, 50))
    factories.make_appointment(cast.salon, start=at(11))
    assert screen(cast.salon, at(8, 55)).here == 1


def test_appointments_without_a_person_have_a_place(cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), staff_id=None)
    lanes = screen(cast.salon, at(8)).shown
    assert [(each.name, [entry.id for entry in each.coming]) for each in lanes if not each.name] == [("", [row.id])]


def test_a_closed_day_says_why(cast: Cast) -> None:
    firm = cast.salon
    assert screen(firm, at(10)).closed is None
    save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=TUESDAY, reason="Inventur"))
    assert screen(firm, at(10)).closed == "Inventur"


def test_the_new_day_comes_by_itself(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9, day=TUESDAY + timedelta(days=1)))
    before, after = screen(cast.salon, at(23, 59)), screen(cast.salon, at(0, day=TUESDAY + timedelta(days=1)))
    assert (before.day, after.day) == (TUESDAY, TUESDAY + timedelta(days=1))
    assert sum(len(each.coming) for each in before.lanes) == 0
    assert sum(len(each.coming) for each in after.lanes) == 1


def test_the_version_changes_with_the_minute_and_with_nothing_less(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9))
    seconds = [screen(cast.salon, at(8) + timedelta(seconds=n)).version for n in (0, 20, 59)]
    assert len(set(seconds)) == 1
    assert screen(cast.salon, at(8, 1)).version != seconds[0]


def test_nothing_on_the_screen_leads_to_a_customer(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9), customer_notes="bitte leise")
    told = repr(screen(cast.salon, at(8)))
    assert "Aylin Demir" in told
    for word in ("leise", cast.salon.customer.phone_normalized or "?"):
        assert word not in told


def test_a_veil_leaves_initials_and_times(cast: Cast) -> None:
    for hour, now in ((9, None), (11, at(8))):
        factories.make_appointment(cast.salon, start=at(hour), arrived_at=now)
    told = repr(screen(cast.salon, at(9, 10), veil=True))
    assert "A. D." in told
    for word in ("Aylin", "Demir", "Damenhaarschnitt"):
        assert word not in told


def test_people_of_other_branches_are_not_shown(cast: Cast) -> None:
    names = {each.name for each in screen(cast.salon, at(9)).lanes}
    assert names == {"Sofia Klein"}
    firm, table = cast.salon, Staff
    within(firm, lambda: db.session.execute(update(table).where(table.id == firm.colleague.id).values(branch_id=None)))
    assert {each.name for each in screen(firm, at(9)).lanes} == {"Sofia Klein", "Tim Yilmaz"}
