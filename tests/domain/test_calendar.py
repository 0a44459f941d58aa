"""Sheets of a day and a week: positions, hours, overlaps, lists, and the nights on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.db import db
from portal.domain import appointments, calendar, sheet_axis, sheet_colors
from portal.domain.availability import Interval
from portal.domain.calendar import NotThere, Wish
from portal.domain.sheet import Band, Column, Entry, Sheet
from portal.models import Branch, BranchClosure, Staff, StaffAbsence, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import save, within

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2027, 3, 9)
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)


def at(hour: int, minute: int = 0, day: date = TUESDAY, fold: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, fold=fold), tzinfo=BERLIN).astimezone(UTC)


def sheet(firm: Firm, now: datetime | None = None, **wish: Any) -> Sheet:
    with tenant_scope(firm.id):
        found = calendar.sheet(Wish(**({"day": TUESDAY} | wish)), now or at(7))
    assert found is not None
    return found


def hours(firm: Firm, opens: time, closes: time, weekday: int = 2, **values: Any) -> None:
    values = {"branch_id": firm.main.id} | values
    save(firm, WorkingHours(company_id=firm.id, weekday=weekday, opens_at=opens, closes_at=closes, **values))


def column_of(found: Sheet, firm: Firm) -> Column:
    return next(column for column in found.columns if column.staff_id == firm.stylist.id)


def entries(found: Sheet) -> list[Entry]:
    return sorted(found.entries, key=lambda entry: entry.id)


def bands(column: Column, kind: str) -> list[Band]:
    return [band for band in column.bands if band.kind == kind]


# ---- Positions --------------------------------------------------------------------------------------------------


def test_a_sheet_goes_from_eight_to_six_and_rows_are_five_minutes(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9, 30))
    found = sheet(cast.salon)
    assert (found.rows, [tick.row for tick in found.ticks]) == (120, list(range(0, 120, 12)))
    assert entries(found)[0].place == "r18 s9"


@pytest.mark.parametrize(
    ("start", "minutes", "rows", "place"),
    [
        (at(6, 10), 20, 144, "r2 s4"),
        (at(19, 50), 40, 156, "r142 s8"),
        (at(8), 5, 120, "r0 s3"),
        (at(17, 57), 3, 120, "r117 s3"),
    ],
)
def test_what_lies_outside_widens_the_sheet(cast: Cast, start: datetime, minutes: int, rows: int, place: str) -> None:
    factories.make_appointment(cast.salon, start=start, minutes=minutes)
    found = sheet(cast.salon)
    assert (found.rows, entries(found)[0].place) == (rows, place)


def test_opening_hours_widen_the_sheet(cast: Cast) -> None:
    hours(cast.salon, time(7), time(20, 30))
    assert sheet(cast.salon).rows == 14 * 12


def test_overlapping_appointments_stand_side_by_side_and_are_marked(cast: Cast) -> None:
    for minute in (0, 15, 30):
        factories.make_appointment(cast.salon, start=at(10, minute), minutes=30)
    factories.make_appointment(cast.salon, start=at(12))
    found = sheet(cast.salon)
    assert [entry.lane for entry in entries(found)] == ["l1-2", "l2-2", "l1-2", ""]
    assert [entry.clash for entry in entries(found)] == [True, True, True, False]
    assert [clash.staff for clash in found.clashes] == ["Sofia Klein"] * 2
    assert (found.clashes[0].start, found.clashes[0].end) == (at(10, 15), at(10, 30))


def test_any_number_of_overlaps_finds_a_lane_of_the_style_sheet(cast: Cast) -> None:
    for _ in range(5):
        factories.make_appointment(cast.salon, start=at(10))
    assert {entry.lane for entry in entries(sheet(cast.salon))} == {f"l{lane}-6" for lane in range(1, 6)}
    for _ in range(15):
        factories.make_appointment(cast.salon, start=at(10))
    assert {entry.lane for entry in entries(sheet(cast.salon))} == {f"l{lane}-12" for lane in range(1, 13)}


@pytest.mark.parametrize(
    ("together", "lanes", "width", "crowded"),
    [(1, "", "", False), (2, "lanes-2", "mid", False), (5, "lanes-6", "mid", False), (7, "lanes-8", "wide", False),
     (12, "lanes-12", "wide", False), (13, "lanes-12", "wide", True)],
)  # fmt: skip
def test_a_column_gets_room_for_what_stands_side_by_side(
    cast: Cast, together: int, lanes: str, width: str, crowded: bool
) -> None:
    for _ in range(together):
        factories.make_appointment(cast.salon, start=at(10))
    factories.make_appointment(cast.salon, start=at(12))
    found = sheet(cast.salon)
    assert ([column.lanes_class for column in found.columns], found.width) == ([lanes], width)
    assert found.crowded is crowded  # what no lane is left for would lie under another: then it is a list


def test_five_minutes_are_drawn_as_fifteen_and_cover_nobody(cast: Cast) -> None:
    for minute in (0, 5, 10):
        factories.make_appointment(cast.salon, start=at(10, minute), minutes=5)
    factories.make_appointment(cast.salon, start=at(17, 45), minutes=12)
    factories.make_appointment(cast.salon, start=at(17, 57), minutes=3)
    found = sheet(cast.salon)
    assert [entry.place for entry in entries(found)] == [
        "r24 s3 l1-3", "r25 s3 l2-3", "r26 s3 l3-3", "r117 s3 l1-2", "r117 s3 l2-2",
    ]  # fmt: skip
    assert found.clashes == []


def test_eight_hours_are_one_long_box(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(9), minutes=480)
    assert entries(sheet(cast.salon))[0].place == "r12 s96"


def test_everybody_has_a_colour_of_the_style_sheet(cast: Cast) -> None:
    assert sheet_colors.hue(1, None) != sheet_colors.hue(2, None)
    assert {sheet_colors.hue(each, None) for each in range(24)} == {f"hue-{each}" for each in range(24)}
    assert sheet_colors.hue(1, "#ff0000") == sheet_colors.hue(2, "#FE0101") == "hue-0"
    assert sheet_colors.hue(1, "#00ff00") == "hue-8"
    assert sheet_colors.hue(1, "#888888") == "hue-grey"
    for nonsense in ("", "red", "#ff000", "#ff00000", "#gg0000", 'x" onload='):
        assert sheet_colors.hue(1, nonsense) == sheet_colors.hue(1, None)
    factories.make_appointment(cast.salon, start=at(10))
    found = sheet(cast.salon)
    assert entries(found)[0].hue == found.columns[0].hue != ""


def test_cancelled_and_missed_appointments_clash_with_nobody(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(10))
    factories.make_appointment(cast.salon, start=at(10), status="cancelled")
    factories.make_appointment(cast.salon, start=at(10), status="no_show")
    found = sheet(cast.salon)
    assert (found.clashes, found.count, len(found.entries)) == ([], 2, 3)


def test_buffers_are_drawn_and_counted(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(10), minutes=30, buffer_after=10)
    factories.make_appointment(cast.salon, start=at(10, 35), minutes=30)
    found = sheet(cast.salon)
    assert [band.place for band in bands(column_of(found, cast.salon), "buffer")] == ["r30 s2"]
    assert len(found.clashes) == 1


# ---- Hours ------------------------------------------------------------------------------------------------------


def test_hours_breaks_and_absences_of_a_person(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(12, 30), staff_id=firm.stylist.id)
    hours(firm, time(13), time(17), staff_id=firm.stylist.id)
    absence = {"staff_id": firm.stylist.id, "starts_at": at(15), "ends_at": at(16), "kind": "training"}
    save(firm, StaffAbsence(company_id=firm.id, **absence))
    column = column_of(sheet(firm), firm)
    assert [band.place for band in bands(column, "off")] == ["r0 s12", "r108 s12"]
    assert [band.place for band in bands(column, "break")] == ["r54 s6"]
    assert [(band.place, band.label) for band in bands(column, "absence")] == [("r84 s12", "training")]
    assert [f"{slot.start.astimezone(BERLIN):%H:%M}" for slot in column.free][-3:] == ["14:30", "16:00", "16:30"]
    assert column.away == ""


def test_a_day_off_a_closed_day_and_unknown_hours_differ(cast: Cast) -> None:
    firm = cast.salon
    assert column_of(sheet(firm), firm).hours is None
    hours(firm, time(9), time(18), weekday=3)
    column = column_of(sheet(firm), firm)
    assert (column.hours, [band.kind for band in column.bands]) == ([], ["off"])
    save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=TUESDAY, reason="Betriebsausflug"))
    column = column_of(sheet(firm), firm)
    assert [(band.kind, band.label, band.place) for band in column.bands] == [("closed", "Betriebsausflug", "r0 s120")]


def test_who_is_away_all_day_is_said_to_be(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(18))
    absence = {
        "staff_id": firm.stylist.id,
        "starts_at": at(0),
        "ends_at": at(0) + timedelta(days=2),
        "kind": "vacation",
    }
    save(firm, StaffAbsence(company_id=firm.id, **absence))
    column = column_of(sheet(firm), firm)
    assert (column.away, column.free) == ("vacation", [])


def test_free_times_lie_in_the_future(cast: Cast) -> None:
    hours(cast.salon, time(9), time(12))
    column = column_of(sheet(cast.salon, now=at(10, 10)), cast.salon)
    assert [slot.start for slot in column.free] == [at(10, 30), at(11), at(11, 30)]


def test_the_now_line_stands_on_today_only(cast: Cast) -> None:
    found = sheet(cast.salon, now=at(10, 23))
    assert (found.now_row, found.now) == (28, at(10, 20))
    assert sheet(cast.salon, now=at(10, 23) + timedelta(days=1)).now_row is None
    assert sheet(cast.salon, now=at(21)).now_row is None


# ---- Whose sheet ------------------------------------------------------------------------------------------------


def test_columns_are_the_branch_s_people_and_whoever_is_booked_there(cast: Cast) -> None:
    firm = cast.salon
    assert [column.name for column in sheet(firm).columns] == ["Sofia Klein"]
    factories.make_appointment(firm, start=at(10), staff_id=firm.colleague.id)
    factories.make_appointment(firm, start=at(11), staff_id=None)
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.colleague.id), "is_active", False))
    found = sheet(firm)
    assert [(column.name, column.staff_id) for column in found.columns] == [
        ("Sofia Klein", firm.stylist.id),
        ("Tim Yilmaz", firm.colleague.id),
        ("", None),
    ]


def test_the_filter_shows_one_person_and_one_branch(cast: Cast) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(10))
    factories.make_appointment(firm, start=at(11), staff_id=None)
    factories.make_appointment(firm, start=at(12), branch_id=firm.other.id, staff_id=firm.colleague.id)
    assert len(sheet(firm, staff_id=firm.stylist.id).entries) == 1
    assert [column.name for column in sheet(firm, branch_id=firm.other.id).columns] == ["Tim Yilmaz"]
    everywhere = sheet(firm, every_branch=True)
    assert (len(everywhere.entries), everywhere.branch) == (3, None)


def test_a_person_of_another_branch_is_no_filter_for_this_one(cast: Cast) -> None:
    found = sheet(cast.salon, branch_id=cast.salon.main.id, staff_id=cast.salon.colleague.id)
    assert (found.staff, len(found.columns)) == (None, 1)


@pytest.mark.parametrize("wish", [{"branch_id": 987654}, {"staff_id": 987654}])
def test_what_is_not_there_is_not_there(cast: Cast, wish: dict[str, int]) -> None:
    with pytest.raises(NotThere):
        sheet(cast.salon, **wish)


def test_the_other_company_s_rows_are_not_there(cast: Cast) -> None:
    factories.make_appointment(cast.praxis, start=at(10))
    assert sheet(cast.salon).entries == []
    for wish in ({"branch_id": cast.praxis.main.id}, {"staff_id": cast.praxis.stylist.id}):
        with pytest.raises(NotThere):
            sheet(cast.salon, **wish)


def test_who_is_bound_to_a_branch_sees_no_other(cast: Cast) -> None:
    firm = cast.salon
    bound = {"visible": [firm.main.id]}
    assert [branch.id for branch in sheet(firm, **bound).branches] == [firm.main.id]
    for wish in ({"branch_id": firm.other.id}, {"staff_id": firm.colleague.id}):
        with pytest.raises(NotThere):
            sheet(firm, **bound, **wish)


def test_the_reader_s_own_branch_and_column_come_first(cast: Cast) -> None:
    firm = cast.salon
    found = sheet(firm, home_staff_id=firm.colleague.id, own_first=True)
    assert (found.branch.name, found.staff.name) == (firm.other.name, "Tim Yilmaz")  # type: ignore[union-attr]
    assert sheet(firm).branch.id == firm.main.id  # type: ignore[union-attr]


def test_a_company_without_a_branch_has_no_sheet(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert calendar.sheet(Wish(visible=[987654]), at(7)) is None


# ---- The list by time -------------------------------------------------------------------------------------------


def test_my_day_tells_what_comes_next_and_what_is_free(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(12), staff_id=firm.stylist.id)
    hours(firm, time(13), time(14), staff_id=firm.stylist.id)
    factories.make_appointment(firm, start=at(9), status="completed")
    factories.make_appointment(firm, start=at(10, 30))
    factories.make_appointment(firm, start=at(11, 20), minutes=40)
    found = sheet(firm, staff_id=firm.stylist.id, now=at(10, 20))
    assert [(line.kind, f"{line.start.astimezone(BERLIN):%H:%M}", line.is_next) for line in found.lines] == [
        ("entry", "09:00", False),
        ("free", "09:45", False),
        ("entry", "10:30", True),
        ("entry", "11:20", False),
        ("break", "12:00", False),
        ("free", "13:00", False),
    ]


def test_on_other_days_nothing_is_next(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(10))
    found = sheet(cast.salon, now=at(9) - timedelta(days=1))
    assert [(line.is_next, line.is_today) for line in found.lines] == [(False, False)]


# ---- Several branches, many people --------------------------------------------------------------------------------


def test_an_owner_s_sheet_shows_all_branches_where_they_are_few(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = cast.salon
    found = sheet(firm, all_by_default=True)
    assert found.branch is None
    assert [(column.name, column.branch) for column in found.columns] == [
        ("Sofia Klein", firm.main.name),
        ("Tim Yilmaz", firm.other.name),
    ]
    one = sheet(firm, all_by_default=True, branch_id=firm.main.id)
    assert [(column.name, column.branch) for column in one.columns] == [("Sofia Klein", "")]
    monkeypatch.setattr(calendar, "FEW_BRANCHES", 1)
    assert sheet(firm, all_by_default=True).branch is not None


def test_branches_in_several_zones_are_said_to_be(cast: Cast) -> None:
    firm = cast.salon
    assert not sheet(firm, every_branch=True).mixed_zones
    within(firm, lambda: setattr(db.session.get_one(Branch, firm.other.id), "timezone", "Europe/Istanbul"))
    assert sheet(firm, every_branch=True).mixed_zones
    assert (sheet(firm, every_branch=True).zone, sheet(firm).mixed_zones) == ("Europe/Berlin", False)


@pytest.mark.parametrize(("people", "crowded", "free"), [(3, False, True), (44, False, False), (124, True, False)])
def test_very_many_people_have_a_column_each_or_a_list(cast: Cast, people: int, crowded: bool, free: bool) -> None:
    firm = cast.salon
    hours(firm, time(9), time(18))
    for number in range(people):
        name = {"first_name": f"Person {number}", "last_name": "Lang" * 20}
        save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, **name))
    found = sheet(firm)
    assert (len(found.columns), found.crowded) == (people + 1, crowded)
    assert any(column.free for column in found.columns) is free


# ---- The week ---------------------------------------------------------------------------------------------------


def test_a_week_has_a_column_a_day_and_leaves_out_a_closed_weekend(cast: Cast) -> None:
    firm = cast.salon
    for weekday in range(1, 7):
        hours(firm, time(9), time(18), weekday=weekday)
    found = sheet(firm, view="week")
    assert [column.day.isoweekday() for column in found.columns] == [1, 2, 3, 4, 5, 6]
    assert found.closed_days == [date(2027, 3, 14)]
    factories.make_appointment(firm, start=at(10, day=date(2027, 3, 14)))
    assert len(sheet(firm, view="week").columns) == 7


def test_what_goes_across_midnight_goes_on_the_next_day_and_counts_once(cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(23, 30), minutes=60)
    found = sheet(cast.salon, view="week")
    drawn = [(column.day, entry.before, entry.beyond) for column in found.columns for entry in column.entries]
    assert drawn == [(TUESDAY, False, True), (TUESDAY + timedelta(days=1), True, False)]
    assert [entry.place for entry in entries(found)] == [f"r{23 * 12 + 6} s6", "r0 s6"]
    assert found.count == 1
    after = sheet(cast.salon, day=TUESDAY + timedelta(days=1))
    assert [(entry.id, entry.before) for entry in after.entries] == [(row.id, True)]


def test_a_week_that_is_too_full_to_be_drawn_says_so(cast: Cast) -> None:
    for _ in range(4):
        factories.make_appointment(cast.salon, start=at(10))
    assert sheet(cast.salon, view="week").crowded
    assert not sheet(cast.salon).crowded


# ---- Clocks -----------------------------------------------------------------------------------------------------


def labels(found: Sheet) -> list[str]:
    return [f"{tick.at.astimezone(BERLIN):%H:%M}{'!' if tick.doubled else ''}" for tick in found.ticks]


def test_in_the_night_of_spring_an_hour_is_missing(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(1, 30, SPRING), minutes=60)
    found = sheet(cast.salon, day=SPRING)
    assert labels(found)[:4] == ["01:00", "03:00", "04:00", "05:00"]
    assert entries(found)[0].place == "r6 s12"
    factories.make_appointment(cast.salon, start=at(0, 15, SPRING), minutes=15)
    factories.make_appointment(cast.salon, start=at(23, 15, SPRING), minutes=45)
    assert sheet(cast.salon, day=SPRING).rows == 23 * 12


def test_in_the_night_of_autumn_an_hour_comes_twice(cast: Cast) -> None:
    first = factories.make_appointment(cast.salon, start=at(2, 30, AUTUMN), minutes=30)
    second = factories.make_appointment(cast.salon, start=at(2, 30, AUTUMN, fold=1), minutes=30)
    assert second.start_time - first.start_time == timedelta(hours=1)
    found = sheet(cast.salon, day=AUTUMN)
    assert labels(found)[:3] == ["02:00!", "02:00!", "03:00"]
    assert [entry.place for entry in entries(found)] == ["r6 s6", "r18 s6"]
    assert found.clashes == []
    factories.make_appointment(cast.salon, start=at(0, 0, AUTUMN), minutes=15)
    factories.make_appointment(cast.salon, start=at(23, 30, AUTUMN), minutes=30)
    found = sheet(cast.salon, day=AUTUMN)
    assert (found.rows, entries(found)[-1].place) == (25 * 12, "r294 s6")


def test_an_appointment_across_the_change_is_as_long_as_it_lasts(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(1, 30, AUTUMN), minutes=120)
    assert entries(sheet(cast.salon, day=AUTUMN))[0].place == "r6 s24"


def test_a_week_with_a_doubled_hour_tells_it_apart(cast: Cast) -> None:
    saturday = AUTUMN - timedelta(days=1)
    factories.make_appointment(cast.salon, start=at(2, 30, saturday), minutes=60)
    factories.make_appointment(cast.salon, start=at(2, 30, AUTUMN, fold=1), minutes=30)
    found = sheet(cast.salon, day=AUTUMN, view="week")
    assert labels(found)[:3] == ["02:00!", "02:00!", "03:00"]
    assert [entry.place for entry in entries(found)] == ["r6 s24", "r18 s6"]


def test_days_without_a_change_are_not_told_apart(cast: Cast) -> None:
    assert not any(tick.doubled for tick in sheet(cast.salon).ticks)


def test_the_day_is_the_branch_s(cast: Cast) -> None:
    within(cast.salon, lambda: setattr(db.session.get_one(Branch, cast.salon.main.id), "timezone", "America/New_York"))
    factories.make_appointment(cast.salon, start=datetime(2027, 3, 10, 2, 0, tzinfo=UTC))
    found = sheet(cast.salon)
    assert (found.zone, len(found.entries)) == ("America/New_York", 1)


def test_what_lasts_over_midnight_stands_on_both_days(cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=at(23, 30), minutes=60)
    assert entries(sheet(cast.salon))[0].place == "r186 s6"
    assert entries(sheet(cast.salon, day=TUESDAY + timedelta(days=1)))[0].place == "r0 s6"


@pytest.mark.parametrize(("hour", "row"), [(7, 0), (8, 0), (9, 12), (18, 120), (22, 120)])
def test_moments_beside_the_sheet_count_as_its_edges(hour: int, row: int) -> None:
    axis = sheet_axis.axis([TUESDAY], BERLIN, [])
    assert axis.row(at(hour)) == row
    assert axis.span(Interval(at(5), at(6)), TUESDAY) is None


# ---- Versions ---------------------------------------------------------------------------------------------------


def test_the_version_changes_with_what_is_seen(cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(10))
    before = sheet(cast.salon, now=at(9, 1)).version
    assert sheet(cast.salon, now=at(9, 3)).version == before
    assert sheet(cast.salon, now=at(9, 6)).version != before
    within(cast.salon, lambda: appointments.set_status(row, "arrived", at(9, 1)))
    assert sheet(cast.salon, now=at(9, 1)).version != before
