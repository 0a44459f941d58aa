"""How far a balance reaches."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.reach import DaySpend, habit, reach

TODAY = date(2026, 11, 24)  # a Tuesday
D = Decimal


def days_back(count, amount="10.00", calls=10):
    return [DaySpend(TODAY - timedelta(days=n), D(amount), calls) for n in range(1, count + 1)]


def test_the_example_of_the_balance_page():
    rows = [DaySpend(TODAY - timedelta(days=n), D("11.06"), 11 if n % 2 else 10) for n in range(1, 15)]
    known = habit(rows, TODAY)
    assert (known.days, known.calls, known.spent) == (14, 147, D("154.84"))
    found = reach(D("44.58"), known, TODAY, spent_today=D("7.35"))
    assert found.calls == 42  # 44.58 ÷ 1.0533 = 42.3
    assert found.until == date(2026, 11, 28)


def test_the_numbers_behind_it_can_be_shown():
    known = habit(days_back(14), TODAY)
    assert (known.average_cost, known.calls_per_day) == (D(1), D(10))
    assert known.calls_for(D("20.49")) == 20
    assert known.calls_for(D("20.50")) == 21
    assert known.calls_for(D("-3")) == 0


def test_todays_half_is_not_taken_for_a_day():
    rows = [*days_back(14), DaySpend(TODAY, D("500.00"), 1)]
    assert habit(rows, TODAY) == habit(days_back(14), TODAY)


def test_of_today_only_what_is_still_to_come_is_counted():
    known = habit(days_back(14), TODAY)
    assert reach(D("9.00"), known, TODAY).until == TODAY
    assert reach(D("9.00"), known, TODAY, spent_today=D("4.00")).until == TODAY + timedelta(days=1)
    assert reach(D("9.00"), known, TODAY, spent_today=D("40.00")).until == TODAY + timedelta(days=1)


def test_closed_weekdays_are_passed_over():
    rows = [row for row in days_back(14) if row.day.isoweekday() <= 5]
    known = habit(rows, TODAY)
    assert known.by_weekday == (D(10), D(10), D(10), D(10), D(10), D(0), D(0))
    # Tue 10, Wed 10, Thu 10, Fri 10; the fifth ten is Monday's
    assert reach(D("40.01"), known, TODAY).until == date(2026, 11, 30)
    assert reach(D("40.00"), known, TODAY).until == date(2026, 11, 27)


def test_the_curve_ends_at_zero_on_the_day_it_names():
    found = reach(D("25.00"), habit(days_back(14), TODAY), TODAY)
    assert found.curve == (
        (TODAY, D(15)),
        (TODAY + timedelta(days=1), D(5)),
        (TODAY + timedelta(days=2), D(0)),
    )
    assert found.below(D("20.00")) == TODAY
    assert found.below(D("10.00")) == TODAY + timedelta(days=1)
    assert found.below(D("0.00")) is None


def test_few_calls_in_two_weeks_make_it_look_at_thirty_days():
    rows = [DaySpend(TODAY - timedelta(days=n), D("1.00"), 1) for n in range(2, 31, 2)]
    known = habit(rows, TODAY)
    assert (known.days, known.calls) == (30, 15)


def test_fewer_than_ten_calls_are_too_little_data():
    found = reach(D("50.00"), habit(days_back(9, "1.00", 1), TODAY), TODAY)
    assert found.too_little_data
    assert (found.calls, found.until, found.curve, found.beyond_horizon) == (None, None, (), False)


def test_a_company_without_any_call_has_too_little_data():
    known = habit([], TODAY)
    assert (known.days, known.average_cost, known.calls_per_day, known.calls_for(D(10))) == (0, None, None, None)
    assert reach(D("50.00"), known, TODAY).too_little_data


def test_free_calls_are_too_little_data():
    assert reach(D("50.00"), habit(days_back(14, "0.00", 10), TODAY), TODAY).too_little_data


def test_a_company_of_three_days_knows_calls_but_names_no_day():
    found = reach(D("50.00"), habit(days_back(3), TODAY), TODAY)
    assert (found.calls, found.until) == (50, None)
    assert not found.too_little_data


def test_the_time_before_a_company_came_does_not_count():
    assert habit(days_back(8), TODAY).calls_per_day == 10


def test_a_balance_that_outlasts_a_year_names_no_day():
    found = reach(D("9000.00"), habit(days_back(14), TODAY), TODAY)
    assert found.until is None
    assert found.beyond_horizon


def test_an_empty_balance_is_used_up_today_whatever_is_known():
    for known in (habit([], TODAY), habit(days_back(14), TODAY)):
        for balance in (D("0.00"), D("-1.10")):
            found = reach(balance, known, TODAY)
            assert (found.used_up, found.calls, found.until) == (True, 0, TODAY)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3000), st.integers(0, 20)), max_size=40),
    st.integers(1, 100_000),
    st.integers(0, 100_000),
)
def test_more_money_never_reaches_less_far(raw, some, more):
    rows = [DaySpend(TODAY - timedelta(days=n), D(cents) / 100, calls) for n, cents, calls in raw]
    known = habit(rows, TODAY)
    small, large = (reach(D(cents) / 100, known, TODAY) for cents in (some, some + more))
    if small.calls is not None:
        assert small.calls <= large.calls
    if large.until is not None:
        assert TODAY <= small.until <= large.until
    assert all(left >= 0 for _, left in small.curve)
