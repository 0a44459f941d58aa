"""Prints of the day sheet: codes, what is kept of a sheet, and what is told about it later."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from portal.db import db, transaction
from portal.domain import appointments, day_prints, discreet, erasure, since_print
from portal.domain.calendar import NotThere, Wish
from portal.domain.day_prints import ALPHABET, LENGTH
from portal.domain.since_print import Change, Since
from portal.jobs import retention as upkeep_job
from portal.models import DaySheetPrint, Service, Staff
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


PRINTED = at(7, 42)


def printed(firm: Firm, now: datetime = PRINTED, **wish: Any) -> DaySheetPrint:
    return factories.make_day_print(firm, TUESDAY, now=now, **wish)


def since(firm: Firm, row: DaySheetPrint, visible: list[int] | None = None) -> Since:
    with tenant_scope(firm.id):
        found = day_prints.find(row.code, visible)
        assert found is not None
        return since_print.since(found, visible, at(10))


def changes(firm: Firm, row: DaySheetPrint, visible: list[int] | None = None) -> list[Change]:
    return [change for group in since(firm, row, visible).groups for change in group.changes]


def put(firm: Firm, row: Any, **values: Any) -> None:
    """Change columns as if somebody had."""
    table = type(row)
    within(firm, lambda: db.session.execute(update(table).where(table.id == row.id).values(**values)))


# ---- Codes ------------------------------------------------------------------------------------------------------


def test_codes_are_eight_signs_that_nobody_mistakes() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    assert not set("01IO") & set(ALPHABET)
    codes = {day_prints.new_code() for _ in range(500)}
    assert len(codes) == 500
    assert {len(code) for code in codes} == {LENGTH}


@pytest.mark.parametrize(
    "text",
    ["7QF3K2XM", "7qf3k2xm", " 7QF3-K2XM ", "7qf3 k2xm", "7-q-f-3 k2xm", "https://x.example/calendar/changes/7QF3K2XM",
     "https://x.example/calendar/changes/7QF3K2XM/", "x.example/calendar/changes?code=7qf3-k2xm", "7QF3\u2013K2XM"],
)  # fmt: skip
def test_a_code_is_understood_however_it_is_typed(text: str) -> None:
    assert day_prints.typed(text) == "7QF3K2XM"


@given(st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH))
def test_what_is_shown_can_be_typed(code: str) -> None:
    assert day_prints.typed(day_prints.shown(code)) == code


@given(st.text())
def test_anything_can_be_typed(text: str) -> None:
    assert len(day_prints.typed(text)) <= 2 * LENGTH


# ---- Printing ---------------------------------------------------------------------------------------------------


def test_the_same_state_keeps_its_code_and_another_gets_its_own(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9))
    first, again = printed(firm), printed(firm, at(9))
    assert (again.id, again.created_at) == (first.id, PRINTED)
    put(firm, row, start_time=at(9, 15))
    assert printed(firm).code != first.code


def test_what_nobody_sees_on_paper_makes_no_new_sheet(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9))
    first = printed(firm)
    put(firm, row, version=7, internal_notes="Allergie", price=3)
    assert printed(firm).code == first.code


def test_a_days_people_and_branches_have_sheets_of_their_own(cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(9))
    sheets = [
        printed(firm),
        printed(firm, staff_id=firm.stylist.id),
        printed(firm, branch_id=firm.other.id),
        factories.make_day_print(firm, TUESDAY + timedelta(days=1)),
    ]
    assert len({row.code for row in sheets}) == 4
    assert [len(row.snapshot["rows"]) for row in sheets] == [1, 1, 0, 0]
    assert printed(firm).code == sheets[0].code


def test_a_snapshot_names_nobody(cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(9), customer_notes="bitte leise", title="Aylin D.")
    kept = json.dumps(printed(firm).snapshot)
    for word in ("Aylin", "Demir", "leise", "Sofia", "Damenhaarschnitt", firm.customer.phone_normalized or "?"):
        assert word not in kept
    assert set(printed(firm).snapshot["rows"][0]) == {
        "id", "start", "end", "staff", "status", "arrived", "service", "customer", "note",
    }  # fmt: skip


def test_a_code_that_is_taken_is_not_given_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["AAAAAAAA", "AAAAAAAA", "BBBBBBBB"])
    monkeypatch.setattr(day_prints, "new_code", lambda: next(codes))
    assert [printed(cast.salon).code, printed(cast.salon, branch_id=cast.salon.other.id).code] == [
        "AAAAAAAA",
        "BBBBBBBB",
    ]


def test_a_branch_that_the_reader_may_not_see_has_no_sheet(cast: Cast) -> None:
    firm = cast.salon
    with tenant_scope(firm.id), pytest.raises(NotThere):
        day_prints.look(Wish(day=TUESDAY, branch_id=firm.other.id, visible=[firm.main.id]), PRINTED)


def test_prints_go_after_sixty_days(cast: Cast) -> None:
    for firm in (cast.salon, cast.praxis):
        for days, branch in ((61, firm.main), (59, firm.other)):
            printed(firm, at(12) - timedelta(days=days), branch_id=branch.id)
    upkeep_job.throw_away(at(12))
    db.session.rollback()
    with all_tenants("the test looks at what is left"):
        assert set(db.session.scalars(select(DaySheetPrint.branch_id))) == {cast.salon.other.id, cast.praxis.other.id}


# ---- Finding ----------------------------------------------------------------------------------------------------


def test_a_code_is_known_in_its_company_and_to_those_who_see_the_branch(cast: Cast) -> None:
    row = printed(cast.salon, branch_id=cast.salon.other.id)
    with tenant_scope(cast.salon.id):
        assert day_prints.find(row.code.lower(), None) is not None
        assert day_prints.find(row.code, [cast.salon.main.id]) is None
        assert day_prints.find(row.code[:-1], None) is None
        assert day_prints.find("", None) is None
    with tenant_scope(cast.praxis.id):
        assert day_prints.find(row.code, None) is None


# ---- What has changed -------------------------------------------------------------------------------------------


def test_an_untouched_day_has_no_changes(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9), customer_notes="bitte leise")
    answer = since(cast.salon, printed(cast.salon))
    assert (answer.count, answer.groups, answer.unchanged) == (0, [], ["Sofia Klein"])
    assert (answer.at, answer.by, answer.branch) == (PRINTED, "Katharina Owner", cast.salon.main.name)


def colleague(firm: Firm) -> dict[str, Any]:
    return {"staff_id": firm.colleague.id}


STEPS: list[tuple[str, dict[str, Any], dict[str, Any] | Callable[[Firm], dict[str, Any]], str]] = [
    ("later", {}, {"start_time": at(10), "end_time": at(10, 45)}, "moved"),
    ("longer", {}, {"end_time": at(11)}, "moved"),
    ("to a colleague", {}, colleague, "moved"),
    ("to nobody", {}, {"staff_id": None}, "moved"),
    ("cancelled", {}, {"status": "cancelled"}, "cancelled"),
    ("cancelled and moved", {}, {"status": "cancelled", "start_time": at(8)}, "cancelled"),
    ("back on", {"status": "cancelled"}, {"status": "confirmed"}, "back"),
    ("back on elsewhen", {"status": "cancelled"}, {"status": "scheduled", "start_time": at(8, 30)}, "back"),
    ("still cancelled", {"status": "cancelled"}, {"start_time": at(8)}, ""),
    ("confirmed", {"status": "scheduled"}, {"status": "confirmed"}, "status"),
    ("arrived", {}, {"arrived_at": at(8, 50)}, "status"),
    ("completed", {"arrived_at": at(8, 50)}, {"status": "completed"}, "status"),
    ("no-show", {}, {"status": "no_show"}, "status"),
    ("not a no-show", {"status": "no_show"}, {"status": "confirmed"}, "status"),
    ("moved and confirmed", {"status": "scheduled"}, {"status": "confirmed", "start_time": at(8)}, "moved"),
    ("another note", {"customer_notes": "leise"}, {"customer_notes": "laut"}, "edited"),
    ("no note", {"customer_notes": "leise"}, {"customer_notes": None}, "edited"),
    ("no service", {}, {"service_id": None}, "edited"),
    ("the call was linked", {}, {"version": 9}, ""),
    ("an internal note", {}, {"internal_notes": "x"}, ""),
]


@pytest.mark.parametrize(("before", "step", "kind"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])
def test_each_step_is_told_as_what_it_means_for_the_paper(cast: Cast, before: Any, step: Any, kind: str) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9), **before)
    factories.make_appointment(firm, start=at(15))
    sheet = printed(firm)
    put(firm, row, **(step(firm) if callable(step) else step))
    assert [(change.kind, change.entry.id) for change in changes(firm, sheet)] == ([(kind, row.id)] if kind else [])


def test_what_comes_and_goes_again_is_never_told(cast: Cast) -> None:
    firm, sheet = cast.salon, printed(cast.salon)
    row = factories.make_appointment(firm, start=at(9))
    assert [change.kind for change in changes(firm, sheet)] == ["new"]
    put(firm, row, status="cancelled")
    assert changes(firm, sheet) == []


def test_a_move_to_another_day_leaves_the_sheet(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9))
    sheet, tomorrow = printed(firm), timedelta(days=1)
    put(firm, row, start_time=at(9) + tomorrow, end_time=at(10) + tomorrow)
    change = changes(firm, sheet)[0]
    assert (change.kind, change.away, change.moved_in_time) == ("moved", "day", True)
    assert change.was
    assert change.was.start == at(9)


def test_a_persons_sheet_tells_who_came_from_and_went_to_others(cast: Cast) -> None:
    firm = cast.salon
    put(firm, firm.colleague, branch_id=firm.main.id)
    goes = factories.make_appointment(firm, start=at(9))
    comes = factories.make_appointment(firm, start=at(11), staff_id=firm.colleague.id)
    factories.make_appointment(firm, start=at(13), staff_id=firm.colleague.id)
    sheet = printed(firm, staff_id=firm.stylist.id)
    put(firm, goes, staff_id=firm.colleague.id)
    put(firm, comes, staff_id=firm.stylist.id)
    told = {change.entry.id: (change.kind, change.away) for change in changes(firm, sheet)}
    assert told == {goes.id: ("moved", "person"), comes.id: ("new", "")}


def test_an_appointment_that_went_to_an_invisible_branch_tells_nothing_about_it(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9))
    sheet = printed(firm)
    put(firm, row, branch_id=firm.other.id, start_time=at(16), end_time=at(17), staff_id=firm.colleague.id)
    seen = changes(firm, sheet)[0]
    assert (seen.away, seen.entry.start, seen.entry.staff) == ("branch", at(16), "Tim Yilmaz")
    veiled = changes(firm, sheet, visible=[firm.main.id])[0]
    assert (veiled.kind, veiled.away) == ("moved", "hidden")
    assert "Tim" not in repr(veiled)
    assert repr(at(16)) not in repr(veiled)


def test_a_cancelled_appointment_of_somebody_who_is_not_there_otherwise_is_told(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9), staff_id=firm.colleague.id)  # of the other branch
    sheet = printed(firm)
    put(firm, row, status="cancelled")
    assert [change.kind for change in changes(firm, sheet)] == ["cancelled"]


def test_the_latest_step_and_its_author_stand_beside_the_change(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9), status="scheduled")
    sheet = printed(firm, at(7) - timedelta(days=400))  # the audit log writes the time of the test
    within(firm, lambda: appointments.set_status(db.session.merge(row), "confirm", at(8)))
    change = changes(firm, sheet)[0]
    assert change.at is not None
    assert change.by == ""


def test_changes_stand_by_person_and_time(cast: Cast) -> None:
    firm = cast.salon
    put(firm, firm.colleague, branch_id=firm.main.id)
    sheet = printed(firm)
    rows = [factories.make_appointment(firm, start=at(hour)) for hour in (15, 9)]
    free = factories.make_appointment(firm, start=at(12), staff_id=None)
    tims = factories.make_appointment(firm, start=at(8), staff_id=firm.colleague.id)
    groups = [(each.name, [change.entry.id for change in each.changes]) for each in since(firm, sheet).groups]
    assert groups == [("Sofia Klein", [rows[1].id, rows[0].id]), ("Tim Yilmaz", [tims.id]), ("", [free.id])]


def test_an_older_sheet_points_at_the_newest(cast: Cast) -> None:
    first = printed(cast.salon)
    factories.make_appointment(cast.salon, start=at(9))
    second = printed(cast.salon, at(8))
    printed(cast.salon, at(8), staff_id=cast.salon.stylist.id)
    newer = since(cast.salon, first).newer
    assert newer is not None
    assert (newer.code, newer.at) == (second.code, at(8))
    assert since(cast.salon, second).newer is None


def test_somebody_who_was_erased_is_gone_from_the_sheet_as_well(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9), customer_notes="bitte leise")
    sheet = printed(firm)
    put(firm, row, status="cancelled")
    within(firm, lambda: erasure.erase_customer(firm.customer.id, at(9)))
    told = repr(since(firm, sheet))
    assert "Aylin" not in told
    assert "leise" not in told
    assert [change.kind for change in changes(firm, sheet)] == ["cancelled"]


def test_services_and_people_who_are_gone_do_not_break_an_old_code(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_appointment(firm, start=at(9))
    sheet = printed(firm)
    for table, key in ((Staff, firm.stylist.id), (Service, firm.cut.id)):
        within(firm, lambda t=table, k=key: db.session.execute(update(t).where(t.id == k).values(is_active=False)))
    put(firm, row, status="cancelled")
    answer = since(firm, sheet)
    assert [group.name for group in answer.groups] == ["Sofia Klein"]


@given(st.data())
def test_a_note_leaves_no_trace_of_its_words(data: Any) -> None:
    note, code = data.draw(st.text(min_size=1)), data.draw(st.text(ALPHABET, min_size=8, max_size=8))
    mark = day_prints.note_mark(note, code)
    assert len(mark) == 6
    assert set(mark) <= set("0123456789abcdef")
    assert day_prints.note_mark(None, code) == day_prints.note_mark("", code) == ""


@pytest.mark.parametrize(
    ("name", "short"),
    [("Aylin Demir", "A. D."), ("Friederike von Sonnleithner-Abendroth", "F. S."), ("Aylin", "A."), ("", ""),
     ("  çağla  ünal ", "Ç. Ü."), ("(Frau) Voss", "F. V."), ("--- ...", "")],
)  # fmt: skip
def test_initials_are_of_the_first_and_the_last_word(name: str, short: str) -> None:
    assert discreet.initials(name) == short


def test_two_readers_of_one_branch_share_its_sheet(cast: Cast) -> None:
    """Staff who are bound to a branch get the code that the owner got: the same state is the same sheet."""
    firm = cast.salon
    factories.make_appointment(firm, start=at(9))
    sheet = printed(firm)
    wish = Wish(day=TUESDAY, branch_id=firm.main.id, visible=[firm.main.id])
    with tenant_scope(firm.id):
        paper = day_prints.look(wish, at(8))
        assert paper is not None
        assert (paper.code, paper.at, paper.count) == (sheet.code, PRINTED, 1)


def test_a_stamp_takes_what_stands_there_at_that_moment(cast: Cast) -> None:
    """Somebody else may have booked between looking and stamping: paper and snapshot are of one moment."""
    firm, wish = cast.salon, Wish(day=TUESDAY, branch_id=cast.salon.main.id)
    with tenant_scope(firm.id):
        seen = day_prints.look(wish, PRINTED)
        assert seen is not None
    late = factories.make_appointment(firm, start=at(9))
    with tenant_scope(firm.id):
        stamped = transaction(lambda: day_prints.stamp(seen, wish, PRINTED, None))
        row = db.session.scalars(select(DaySheetPrint)).one()
        assert [entry.id for entry in stamped.entries] == [each["id"] for each in row.snapshot["rows"]] == [late.id]
