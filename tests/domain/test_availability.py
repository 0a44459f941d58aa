"""Opening times, free slots and lanes, on ordinary days and on the nights when clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.availability import (
    Closure,
    Hours,
    Interval,
    day_bounds,
    free_slots,
    gaps,
    hour_marks,
    intersect,
    lanes,
    local_instant,
    merge,
    opening,
    subtract,
    working,
)

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = date(2026, 11, 24)
SPRING = date(2027, 3, 28)  # a Sunday of 23 hours: 2 o'clock becomes 3
AUTUMN = date(2027, 10, 31)  # a Sunday of 25 hours: 3 o'clock becomes 2 again
START = datetime(2026, 11, 24, tzinfo=UTC)


def at(hour, minute=0, day=24):
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def span(first, last):
    """Minutes after START."""
    return Interval(START + timedelta(minutes=first), START + timedelta(minutes=last))


def minutes(intervals):
    """The minutes that intervals cover: the model that the arithmetic is held against."""
    return {
        minute
        for one in intervals
        for minute in range(
            int((one.start - START).total_seconds() // 60), int((one.end - START).total_seconds() // 60)
        )
    }


def local(intervals, zone=BERLIN):
    return [f"{one.start.astimezone(zone):%H:%M}-{one.end.astimezone(zone):%H:%M}" for one in intervals]


spans = st.tuples(st.integers(0, 200), st.integers(1, 60)).map(lambda pair: span(pair[0], pair[0] + pair[1]))
several = st.lists(spans, max_size=12)
WEEK = [Hours(weekday, time(9), time(12)) for weekday in range(1, 8)] + [
    Hours(weekday, time(13), time(18)) for weekday in range(1, 6)
]


# ---- Intervals -----------------------------------------------------------------------------------------


def test_an_interval_is_kept_in_utc():
    one = Interval(datetime(2026, 11, 24, 10, tzinfo=BERLIN), datetime(2026, 11, 24, 11, tzinfo=BERLIN))
    assert (one.start, one.start.tzinfo, one.duration) == (at(9), UTC, timedelta(hours=1))


def test_naive_empty_and_backward_intervals_are_refused():
    with pytest.raises(ValueError, match="naive"):
        Interval(datetime(2026, 11, 24, 9), at(10))  # noqa: DTZ001
    with pytest.raises(ValueError, match="cannot go"):
        Interval(at(9), at(9))
    with pytest.raises(ValueError, match="cannot go"):
        Interval(at(10), at(9))


def test_meeting_is_not_overlapping_until_a_buffer_stands_between():
    first, second = Interval(at(9), at(10)), Interval(at(10), at(11))
    assert not first.overlaps(second)
    assert first.padded(after=timedelta(minutes=5)).overlaps(second)


@given(several)
def test_merging_keeps_the_time_sorted_and_apart(some):
    merged = merge(some)
    assert minutes(merged) == minutes(some)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(several, several)
def test_subtracting_takes_away_exactly_the_cuts(some, cuts):
    assert minutes(subtract(some, cuts)) == minutes(some) - minutes(cuts)


@given(several, several)
def test_intersecting_keeps_exactly_what_is_in_both(some, others):
    assert minutes(intersect(some, others)) == minutes(some) & minutes(others)


@given(several)
def test_gaps_are_what_is_missing_in_between(some):
    covered = minutes(some)
    hull = set(range(min(covered), max(covered))) if covered else set()
    assert minutes(gaps(some)) == hull - covered


# ---- Local days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "hours"), [(TUESDAY, 24), (SPRING, 23), (AUTUMN, 25)])
def test_a_local_day_has_23_24_or_25_hours(day, hours):
    bounds = day_bounds(day, BERLIN)
    assert bounds.duration == timedelta(hours=hours)
    assert len(hour_marks(day, BERLIN)) == hours
    assert bounds.end == day_bounds(day + timedelta(days=1), BERLIN).start


def test_the_scale_of_the_autumn_night_shows_two_oclock_twice():
    assert [f"{mark.astimezone(BERLIN):%H %Z}" for mark in hour_marks(AUTUMN, BERLIN)][1:5] == [
        "01 CEST", "02 CEST", "02 CET", "03 CET",
    ]  # fmt: skip


def test_the_scale_of_the_spring_night_leaves_two_oclock_out():
    assert [f"{mark.astimezone(BERLIN):%H %Z}" for mark in hour_marks(SPRING, BERLIN)][:4] == [
        "00 CET", "01 CET", "03 CEST", "04 CEST",
    ]  # fmt: skip


def test_a_time_that_does_not_exist_is_the_instant_of_the_change():
    change = datetime(2027, 3, 28, 1, tzinfo=UTC)
    for missing in (time(2), time(2, 1), time(2, 30), time(2, 59)):
        assert local_instant(SPRING, missing, BERLIN) == local_instant(SPRING, missing, BERLIN, last=True) == change


def test_a_time_that_comes_twice_has_a_first_and_a_last_coming():
    assert local_instant(AUTUMN, time(2, 30), BERLIN) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert local_instant(AUTUMN, time(2, 30), BERLIN, last=True) == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


def test_a_midnight_that_does_not_exist_is_no_obstacle():
    cairo = ZoneInfo("Africa/Cairo")  # clocks go from 24:00 to 01:00
    assert day_bounds(date(2026, 4, 24), cairo).duration == timedelta(hours=23)


@given(
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.times(),
    st.sampled_from(["Europe/Berlin", "Europe/London", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_every_wall_clock_time_lies_in_its_own_day(day, at_time, name):
    zone = ZoneInfo(name)
    bounds = day_bounds(day, zone)
    first, last = local_instant(day, at_time, zone), local_instant(day, at_time, zone, last=True)
    assert bounds.start <= first <= last < bounds.end


# ---- Opening times -------------------------------------------------------------------------------------


def test_two_rows_leave_a_break():
    assert local(opening(TUESDAY, BERLIN, WEEK)) == ["09:00-12:00", "13:00-18:00"]
    assert opening(TUESDAY, BERLIN, WEEK)[0].start == at(8)


def test_a_day_without_rows_is_closed():
    assert opening(TUESDAY, BERLIN, [Hours(1, time(9), time(18))]) == []


def test_rows_count_from_their_first_to_their_last_day():
    row = Hours(2, time(9), time(18), valid_from=TUESDAY, valid_until=TUESDAY)
    week = timedelta(days=7)
    assert [bool(opening(day, BERLIN, [row])) for day in (TUESDAY - week, TUESDAY, TUESDAY + week)] == [
        False,
        True,
        False,
    ]


def test_hours_until_midnight_end_with_the_day():
    assert opening(TUESDAY, BERLIN, [Hours(2, time(20), time(0))])[0].end == day_bounds(TUESDAY, BERLIN).end
    assert opening(TUESDAY, BERLIN, [Hours(2, time(0), time(0))]) == [day_bounds(TUESDAY, BERLIN)]


def test_hours_that_go_backwards_are_refused():
    with pytest.raises(ValueError, match="cannot go"):
        opening(TUESDAY, BERLIN, [Hours(2, time(18), time(9))])


@pytest.mark.parametrize(
    ("closures", "branch", "person"),
    [
        ([Closure(TUESDAY)], [], []),
        ([Closure(TUESDAY, time(10), time(14))], ["10:00-14:00"], ["10:00-12:00", "13:00-14:00"]),
        ([Closure(TUESDAY, time(6), time(22))], ["06:00-22:00"], ["09:00-12:00", "13:00-18:00"]),
        ([Closure(TUESDAY, time(0), time(9))], ["00:00-09:00"], []),
        (
            [Closure(TUESDAY, time(8), time(10)), Closure(TUESDAY, time(15), time(16))],
            ["08:00-10:00", "15:00-16:00"],
            ["09:00-10:00", "15:00-16:00"],
        ),
        ([Closure(TUESDAY), Closure(TUESDAY, time(10), time(14))], [], []),
        ([Closure(TUESDAY, opens_at=time(15))], [], []),
        ([Closure(date(2026, 11, 25))], ["09:00-12:00", "13:00-18:00"], ["09:00-12:00", "13:00-18:00"]),
    ],
)
def test_a_closure_changes_the_branchs_day_and_only_shortens_a_persons(closures, branch, person):
    assert local(opening(TUESDAY, BERLIN, WEEK, closures)) == branch
    assert local(working(TUESDAY, BERLIN, WEEK, closures)) == person


def test_a_special_sunday_opens_the_branch_but_calls_nobody_in():
    sunday = date(2026, 11, 29)
    weekdays = [row for row in WEEK if row.weekday < 7]
    special = [Closure(sunday, time(13), time(0))]
    assert local(opening(sunday, BERLIN, weekdays, special)) == ["13:00-00:00"]
    assert working(sunday, BERLIN, weekdays, special) == []


def test_absences_take_away_what_they_cover_however_long_they_are():
    holiday = Interval(at(0, day=20), at(9, 30))
    assert local(opening(TUESDAY, BERLIN, WEEK, absences=[holiday])) == ["10:30-12:00", "13:00-18:00"]
    assert local(working(TUESDAY, BERLIN, WEEK, absences=[holiday])) == ["10:30-12:00", "13:00-18:00"]
    assert opening(TUESDAY, BERLIN, WEEK, absences=[Interval(at(0, day=20), at(0, day=28))]) == []


def test_nine_oclock_is_nine_oclock_on_both_sides_of_a_change():
    sundays = [Hours(7, time(9), time(12))]
    assert opening(SPRING, BERLIN, sundays)[0].start == datetime(2027, 3, 28, 7, tzinfo=UTC)
    assert opening(SPRING - timedelta(days=7), BERLIN, sundays)[0].start == datetime(2027, 3, 21, 8, tzinfo=UTC)
    assert opening(AUTUMN, BERLIN, sundays)[0].start == datetime(2027, 10, 31, 8, tzinfo=UTC)
    assert opening(AUTUMN - timedelta(days=7), BERLIN, sundays)[0].start == datetime(2027, 10, 24, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "row", "hours"),
    [
        (SPRING, Hours(7, time(0), time(6)), 5.0),
        (AUTUMN, Hours(7, time(0), time(6)), 7.0),
        (SPRING, Hours(7, time(1), time(2, 30)), 1.0),
        (SPRING, Hours(7, time(2, 30), time(4)), 1.0),
        (AUTUMN, Hours(7, time(2), time(3)), 2.0),
        (AUTUMN, Hours(7, time(2, 30), time(4)), 2.5),
        (AUTUMN, Hours(7, time(1), time(2, 30)), 2.5),
    ],
)
def test_who_works_through_a_change_works_its_real_hours(day, row, hours):
    assert sum((one.duration for one in opening(day, BERLIN, [row])), timedelta()) == timedelta(hours=hours)


def test_hours_inside_the_missing_hour_do_not_exist():
    assert opening(SPRING, BERLIN, [Hours(7, time(2), time(2, 45))]) == []


@given(st.sampled_from([TUESDAY, SPRING, AUTUMN]), st.integers(0, 95), st.integers(1, 96))
def test_it_is_open_when_the_clock_on_the_wall_says_so(day, first, length):
    last = min(first + length, 96)
    opens, closes = ((START + timedelta(minutes=15 * n)).time() for n in (first, last))
    found = opening(day, BERLIN, [Hours(day.isoweekday(), opens, closes)])
    inside = set(range(first, last))
    moment = day_bounds(day, BERLIN).start
    while moment < day_bounds(day, BERLIN).end:
        wall = moment.astimezone(BERLIN)
        quarter = wall.hour * 4 + wall.minute // 15
        is_open = any(one.start <= moment < one.end for one in found)
        # Between a first and a second coming it simply stays open, although the wall says earlier or later again.
        if day != AUTUMN or wall.hour != 2:
            assert is_open == (quarter in inside)
        elif quarter in inside:
            assert is_open
        moment += timedelta(minutes=15)


# ---- Free slots ----------------------------------------------------------------------------------------


def test_free_slots_stand_on_the_grid_of_the_opening():
    slots = free_slots([Interval(at(8), at(10))], [Interval(at(8, 40), at(9, 5))], timedelta(minutes=30))
    assert [f"{slot.start:%H:%M}" for slot in slots] == ["08:00", "09:15", "09:30"]


def test_buffers_keep_their_distance_to_others_but_not_to_the_opening():
    open_times, busy = [Interval(at(8), at(10))], [Interval(at(9), at(9, 15))]
    slots = free_slots(
        open_times, busy, timedelta(minutes=30), before=timedelta(minutes=15), after=timedelta(minutes=15)
    )
    assert [f"{slot.start:%H:%M}" for slot in slots] == ["08:00", "08:15", "09:30"]


def test_nothing_starts_before_the_earliest():
    slots = free_slots([Interval(at(8), at(9))], [], timedelta(minutes=15), earliest=at(8, 31))
    assert [f"{slot.start:%H:%M}" for slot in slots] == ["08:45"]


def test_a_slot_never_bridges_a_break():
    assert free_slots([span(0, 30), span(40, 70)], [], timedelta(minutes=31)) == []


def test_slots_of_the_autumn_night_come_twice_and_in_spring_not_at_all():
    night = [Hours(7, time(2), time(3))]
    assert len(free_slots(opening(AUTUMN, BERLIN, night), [], timedelta(minutes=30), step=timedelta(minutes=30))) == 4
    assert free_slots(opening(SPRING, BERLIN, night), [], timedelta(minutes=30)) == []


@pytest.mark.parametrize(("duration", "step"), [(0, 15), (-5, 15), (15, 0)])
def test_slots_without_length_or_step_are_refused(duration, step):
    with pytest.raises(ValueError, match="positive"):
        free_slots([], [], timedelta(minutes=duration), step=timedelta(minutes=step))


@given(several, several, st.integers(1, 40), st.sampled_from([5, 15]), st.integers(0, 10), st.integers(0, 10))
def test_free_slots_are_all_there_and_all_free(open_times, busy, length, step, before, after):
    slots = free_slots(
        open_times,
        busy,
        timedelta(minutes=length),
        step=timedelta(minutes=step),
        before=timedelta(minutes=before),
        after=timedelta(minutes=after),
    )
    free, taken = minutes(open_times), minutes(busy)
    expected = [
        span(start, start + length)
        for one in merge(open_times)
        for start in sorted(minutes([one]))
        if (start - min(minutes([one]))) % step == 0
        and set(range(start, start + length)) <= free
        and not set(range(start - before, start + length + after)) & taken
    ]
    assert slots == expected


# ---- Lanes ---------------------------------------------------------------------------------------------


def test_a_lone_appointment_takes_the_whole_width():
    assert lanes([span(0, 30), span(30, 60), span(90, 120)]) == [(1, 1)] * 3
    assert lanes([]) == []


def test_overlapping_appointments_stand_side_by_side_in_the_given_order():
    assert lanes([span(20, 50), span(0, 30), span(40, 60), span(100, 110)]) == [(2, 2), (1, 2), (1, 2), (1, 1)]


def test_a_long_one_keeps_its_lane_beside_several_short_ones():
    assert lanes([span(0, 120), span(0, 30), span(30, 60), span(60, 90)]) == [(1, 2), (2, 2), (2, 2), (2, 2)]


@given(several)
def test_lanes_never_collide_and_are_as_few_as_possible(some):
    placed = lanes(some)
    assert all(1 <= lane <= of for lane, of in placed)
    for i, one in enumerate(some):
        for j in range(i):
            if one.overlaps(some[j]):
                assert placed[i][0] != placed[j][0]
                assert placed[i][1] == placed[j][1]
    for group in merge_by_overlap(some):
        busiest = max(sum(some[k].start <= some[i].start < some[k].end for k in group) for i in group)
        assert {placed[i][1] for i in group} == {busiest}


def merge_by_overlap(some):
    """Positions joined by overlaps, found without sorting."""
    groups = [{i} for i in range(len(some))]
    for i in range(len(some)):
        for j in range(i):
            if some[i].overlaps(some[j]):
                mine, other = (next(group for group in groups if k in group) for k in (i, j))
                if mine is not other:
                    groups.remove(other)
                    mine |= other
    return groups
