"""What a call may cost, and what the phone does when the money is used up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select, update

from portal.db import db, transaction
from portal.domain import ledger, limit_page, limit_rules, limits, pricing, reach
from portal.domain.errors import DomainError
from portal.domain.limit_rules import Wish
from portal.domain.limits import Budget, Choice, Rules, Standing
from portal.models import AuditLog, BillingRate, CallCharge, Company, DailySpend, PrepaidBalance
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
RATE = pricing.Tariff(Decimal("0.42"))
FORWARD = Choice("forward", "+493022334455", Decimal(0))
MESSAGE = Choice("message", None, Decimal(0))
GRACE = Choice("grace", None, Decimal(10))


def euros(text: str) -> Decimal:
    return Decimal(text)


def budget(period: str = "day", spent: str = "0", limit: str | None = None) -> Budget:
    return Budget(period, date(2026, 11, 18), NOON, euros(spent), None if limit is None else euros(limit))


def at(available: str = "50", *budgets: Budget, choice: Choice = MESSAGE, active: bool = True) -> Standing:
    rules = Rules(choice, thresholds=(euros("10"),))
    return Standing(active, "Europe/Berlin", "DE", euros(available), euros(available), RATE, rules, budgets)


# ---- The decision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("available", "choice", "state", "action", "connects"),
    [
        ("50.00", MESSAGE, "ok", "message", True),
        ("10.00", MESSAGE, "ok", "message", True),
        ("9.99", MESSAGE, "low", "message", True),
        ("0.42", MESSAGE, "low", "message", True),
        ("0.41", MESSAGE, "exhausted", "message", False),
        ("0.41", FORWARD, "exhausted", "forward", False),
        ("0.00", FORWARD, "exhausted", "forward", False),
        ("-3.00", FORWARD, "exhausted", "forward", False),
        ("0.41", GRACE, "exhausted", "grace", True),
        ("-9.99", GRACE, "exhausted", "grace", True),
        ("-10.00", GRACE, "exhausted", "message", False),
        ("-10.01", GRACE, "exhausted", "message", False),
        ("-10.00", Choice("grace", "+493022334455", Decimal(10)), "exhausted", "forward", False),
        ("0.00", Choice("forward", None, Decimal(0)), "exhausted", "message", False),
        ("0.00", Choice("forward", "", Decimal(0)), "exhausted", "message", False),
        ("0.00", Choice("message", "+493022334455", Decimal(0)), "exhausted", "message", False),
    ],
)
def test_the_balance_decides_and_the_company_has_chosen(
    available: str, choice: Choice, state: str, action: str, connects: bool
) -> None:
    found = limits.decide(at(available, choice=choice))
    assert (found.state, found.action, found.connects) == (state, action, connects)
    assert found.forward_to == ("+493022334455" if action == "forward" else "")


@pytest.mark.parametrize(
    ("day", "month", "reached"),
    [
        (("24.99", "25.00"), ("399.99", "400.00"), None),
        (("25.00", "25.00"), ("26.00", "400.00"), "day"),
        (("25.30", "25.00"), ("26.00", "400.00"), "day"),
        (("1.00", "25.00"), ("400.00", "400.00"), "month"),
        (("25.00", "25.00"), ("400.00", "400.00"), "month"),
        (("99.00", None), ("99.00", None), None),
    ],
)
def test_a_limit_that_is_used_up_keeps_calls_from_connecting(
    day: tuple[str, str | None], month: tuple[str, str | None], reached: str | None
) -> None:
    found = limits.decide(at("50", budget("day", *day), budget("month", *month), choice=FORWARD))
    assert found.connects is (reached is None)
    assert found.state == ("limit_reached" if reached else "ok")
    assert (found.budget.period if found.budget else None) == reached


def test_a_limit_is_firm_whatever_the_grace_amount() -> None:
    found = limits.decide(at("50", budget("day", "25.00", "25.00"), choice=GRACE))
    assert (found.state, found.action, found.connects) == ("limit_reached", "message", False)


def test_a_company_that_is_switched_off_takes_no_calls_even_with_money() -> None:
    found = limits.decide(at("50", choice=GRACE, active=False))
    assert (found.state, found.action, found.connects) == ("exhausted", "message", False)


def test_refusing_is_never_an_outcome() -> None:
    for choice in (FORWARD, MESSAGE, GRACE, Choice("forward", None)):
        for available in ("50", "0", "-100"):
            assert limits.decide(at(available, choice=choice)).action in {"forward", "message", "grace"}


def test_without_a_rate_any_money_is_enough() -> None:
    rules = Rules(MESSAGE)
    assert limits.decide(Standing(True, "UTC", "DE", euros("0.01"), euros("0.01"), None, rules)).state == "ok"
    assert limits.decide(Standing(True, "UTC", "DE", euros("0"), euros("0"), None, rules)).state == "exhausted"


# ---- The same from the database ---------------------------------------------------------------------------


def set_rules(firm: Firm, **values: object) -> None:
    company = {name: values.pop(name) for name in ("exhausted_action", "forward_to", "timezone") if name in values}

    def work() -> None:
        if company:
            db.session.execute(update(Company).where(Company.id == firm.id).values(**company))
        if values:
            db.session.execute(update(PrepaidBalance).values(**values))

    within(firm, work)


def credit(firm: Firm, amount: str, now: datetime = NOON) -> None:
    within(firm, lambda: ledger.adjust(euros(amount), "test", f"{firm.id}-{now.isoformat()}-{amount}", now))


def charge(firm: Firm, now: datetime, seconds: int = 60) -> CallCharge:
    """A call that ends now: 0.42 € a minute."""
    call = factories.make_call(
        firm, started_at=now - timedelta(seconds=seconds), duration_seconds=seconds, ended_at=now
    )
    made = within(firm, lambda: ledger.charge(call, now))
    assert made is not None
    return made


def give_back(firm: Firm, charged: CallCharge, amount: str, now: datetime) -> None:
    within(firm, lambda: ledger.credit_call(charged.id, euros(amount), "broke off", f"back-{charged.id}", now))


def hold(firm: Firm) -> None:
    """A call that runs from noon on."""
    call = factories.make_call(firm, started_at=NOON, ended_at=None, duration_seconds=None, status="in_progress")
    within(firm, lambda: ledger.hold(call, NOON))


def add_threshold(firm: Firm, amount: str) -> None:
    within(firm, lambda: limit_rules.add_threshold(euros(amount), NOON))


def asked(firm: Firm, now: datetime = NOON) -> limits.Decision:
    with tenant_scope(firm.id):
        return limits.may_connect(now)


def count_queries(work: Callable[[], T]) -> int:
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(seen)


def test_it_is_asked_with_at_most_three_queries(cast: Cast) -> None:
    set_rules(cast.salon, daily_spending_limit=euros("5"), monthly_spending_limit=euros("50"))
    credit(cast.salon, "20")
    assert count_queries(lambda: asked(cast.salon)) <= 3


def test_money_that_is_held_for_running_calls_is_not_there_for_the_next(cast: Cast) -> None:
    credit(cast.salon, "2.40")
    assert asked(cast.salon).state == "low"
    hold(cast.salon)
    assert asked(cast.salon).state == "exhausted"


def test_each_company_has_its_own_balance_and_choice(cast: Cast) -> None:
    set_rules(cast.salon, exhausted_action="forward", forward_to="+493099887766")
    credit(cast.praxis, "20")
    assert asked(cast.salon).forward_to == "+493099887766"
    assert asked(cast.praxis).state == "ok"


def test_the_rate_of_the_moment_says_what_a_minute_costs(cast: Cast) -> None:
    credit(cast.salon, "0.50")
    assert asked(cast.salon).state == "low"
    rate = BillingRate(company_id=cast.salon.id, rate_per_minute=Decimal("0.60"), valid_from=NOON)

    def work() -> None:
        db.session.execute(update(BillingRate).values(valid_until=NOON))
        db.session.add(rate)

    within(cast.salon, work)
    assert asked(cast.salon, NOON - timedelta(seconds=1)).state == "low"
    assert asked(cast.salon, NOON).state == "exhausted"


def test_a_limit_counts_what_calls_cost_and_nothing_else(cast: Cast) -> None:
    set_rules(cast.salon, daily_spending_limit=euros("0.84"))
    credit(cast.salon, "50", NOON)
    charge(cast.salon, NOON + timedelta(minutes=1))
    within(cast.salon, lambda: ledger.adjust(euros("-5"), "a correction", "k", NOON + timedelta(minutes=2)))
    assert asked(cast.salon, NOON + timedelta(minutes=3)).state == "ok"
    last = charge(cast.salon, NOON + timedelta(minutes=4))
    assert asked(cast.salon, NOON + timedelta(minutes=5)).state == "limit_reached"
    give_back(cast.salon, last, "0.10", NOON + timedelta(minutes=6))
    assert asked(cast.salon, NOON + timedelta(minutes=7)).state == "ok"


# ---- Local days and months --------------------------------------------------------------------------------


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("last_of_the_day", "first_of_the_next", "hours"),
    [
        (berlin(2026, 11, 18, 23, 59, 59), berlin(2026, 11, 19, 0, 0), 24),
        (berlin(2026, 3, 29, 23, 59, 59), berlin(2026, 3, 30, 0, 0), 23),
        (berlin(2026, 10, 25, 23, 59, 59), berlin(2026, 10, 26, 0, 0), 25),
        (berlin(2026, 12, 31, 23, 59, 59), berlin(2027, 1, 1, 0, 0), 24),
    ],
)
def test_the_day_is_the_companys_own_also_when_clocks_change(
    cast: Cast, last_of_the_day: datetime, first_of_the_next: datetime, hours: int
) -> None:
    set_rules(cast.salon, daily_spending_limit=euros("0.42"))
    first = first_of_the_next.astimezone(UTC) - timedelta(hours=hours)
    credit(cast.salon, "50", first - timedelta(hours=1))
    charge(cast.salon, first - timedelta(seconds=1))  # the day before
    assert asked(cast.salon, first).state == "ok"
    charge(cast.salon, first)
    assert asked(cast.salon, last_of_the_day.astimezone(UTC)).state == "limit_reached"
    found = asked(cast.salon, last_of_the_day.astimezone(UTC)).budget
    assert found is not None
    assert (found.first, found.end) == (last_of_the_day.date(), first_of_the_next)
    assert asked(cast.salon, first_of_the_next.astimezone(UTC)).state == "ok"


@pytest.mark.parametrize(
    ("zone", "charged", "still", "over"),
    [
        ("Europe/Berlin", berlin(2026, 12, 1, 0, 0), berlin(2026, 12, 31, 23, 59), berlin(2027, 1, 1, 0, 0)),
        ("Europe/Berlin", berlin(2026, 3, 1, 0, 0), berlin(2026, 3, 31, 23, 59), berlin(2026, 4, 1, 0, 0)),
        ("Europe/Berlin", berlin(2028, 2, 1, 0, 0), berlin(2028, 2, 29, 23, 59), berlin(2028, 3, 1, 0, 0)),
        (
            "America/New_York",
            datetime(2026, 12, 1, 5, 0, tzinfo=UTC),
            datetime(2027, 1, 1, 4, 59, tzinfo=UTC),
            datetime(2027, 1, 1, 5, 0, tzinfo=UTC),
        ),
    ],
)
def test_the_month_is_the_companys_own_across_new_year_and_change_nights(
    cast: Cast, zone: str, charged: datetime, still: datetime, over: datetime
) -> None:
    set_rules(cast.salon, monthly_spending_limit=euros("0.42"), timezone=zone)
    charged = charged.astimezone(UTC)
    credit(cast.salon, "50", charged - timedelta(hours=1))
    charge(cast.salon, charged - timedelta(seconds=1))  # still the month before
    assert asked(cast.salon, charged).state == "ok"
    charge(cast.salon, charged)
    assert asked(cast.salon, still.astimezone(UTC)).state == "limit_reached"
    found = asked(cast.salon, still.astimezone(UTC)).budget
    assert found is not None
    assert (found.period, found.end) == ("month", over)
    assert asked(cast.salon, over.astimezone(UTC)).state == "ok"


def test_what_was_spent_is_the_sum_of_the_charges_whatever_else_moved(cast: Cast) -> None:
    """The short way over the ledger against the long way over every charge."""
    firm, starts = cast.salon, [NOON, NOON + timedelta(hours=2), NOON + timedelta(hours=4)]
    credit(firm, "50", NOON - timedelta(hours=1))
    charges = [charge(firm, NOON + timedelta(minutes=20 * step), seconds=60 + 7 * step) for step in range(18)]
    credit(firm, "12.34", NOON + timedelta(hours=3))
    for step in (1, 9, 16):  # given back after the last start, for calls before and after it
        give_back(firm, charges[step], "0.11", NOON + timedelta(hours=7))
    with tenant_scope(firm.id):
        rows = db.session.scalars(select(CallCharge).execution_options(populate_existing=True)).all()
        expected = [
            sum((row.amount_charged - row.refunded_amount for row in rows if row.charged_at >= start), Decimal(0))
            for start in starts
        ]
        assert limits.spent_since(*starts) == expected
    assert expected[0] > expected[1] > expected[2] > 0


def test_what_another_company_spends_is_not_counted(cast: Cast) -> None:
    for firm, seconds in ((cast.salon, 60), (cast.praxis, 120)):
        credit(firm, "50", NOON - timedelta(hours=1))
        charge(firm, NOON - timedelta(minutes=1), seconds)
        charge(firm, NOON, seconds)
    for firm, spent in ((cast.salon, "0.42"), (cast.praxis, "0.84")):
        with tenant_scope(firm.id):
            assert limits.spent_since(NOON) == [euros(spent)]


def test_a_company_without_any_movement_has_spent_nothing(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert limits.spent_since(NOON) == [Decimal(0)]


# ---- Setting the rules ------------------------------------------------------------------------------------


def save(firm: Firm, **values: object) -> Rules:
    wish = Wish(**({"action": "message"} | values))  # type: ignore[arg-type]
    return within(firm, lambda: limit_rules.save(wish))


def read_rules(firm: Firm) -> Rules:
    db.session.rollback()
    with tenant_scope(firm.id):
        return limits.standing(NOON).rules


def audited(firm: Firm) -> list[AuditLog]:
    with tenant_scope(firm.id):
        query = select(AuditLog).where(AuditLog.action == "balance.limits_changed").order_by(AuditLog.id)
        return list(db.session.scalars(query))


def test_what_is_saved_applies_and_is_in_the_audit_log(cast: Cast) -> None:
    save(cast.salon, action="forward", forward_to="030 / 99 88 77 66", daily=euros("25"), monthly=euros("400"))
    rules = read_rules(cast.salon)
    assert rules.choice == Choice("forward", "+493099887766", Decimal("0.00"))
    assert (rules.daily, rules.monthly) == (euros("25.00"), euros("400.00"))
    (row,) = audited(cast.salon)
    assert row.old_values == {
        "exhausted_action": "message",
        "forward_to": None,
        "daily_spending_limit": None,
        "monthly_spending_limit": None,
    }
    assert row.new_values is not None
    assert row.new_values["forward_to"] == "+493099887766"
    assert row.new_values["daily_spending_limit"] == "25"
    assert read_rules(cast.praxis).daily is None


def test_saving_the_same_again_leaves_no_trace(cast: Cast) -> None:
    save(cast.salon)
    assert audited(cast.salon) == []


def test_fields_of_a_choice_that_is_not_taken_change_nothing(cast: Cast) -> None:
    save(cast.salon, action="forward", forward_to="030 99887766")
    save(cast.salon, action="grace", grace=euros("10"), forward_to="nonsense")
    save(cast.salon, action="message", grace=euros("99999"), forward_to="")
    assert read_rules(cast.salon).choice == Choice("message", "+493099887766", euros("10.00"))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"daily": euros("-1")}, "daily"),
        ({"daily": euros("0")}, "daily"),
        ({"monthly": euros("-0.01")}, "monthly"),
        ({"daily": euros("25"), "monthly": euros("24.99")}, "monthly"),
        ({"action": "grace"}, "grace"),
        ({"action": "grace", "grace": euros("0")}, "grace"),
        ({"action": "grace", "grace": euros("100.01")}, "grace"),
        ({"action": "forward"}, "forward_to"),
        ({"action": "forward", "forward_to": "call me"}, "forward_to"),
        ({"action": "forward", "forward_to": "274870"}, "forward_to"),
        ({"action": "forward", "forward_to": "anonymous"}, "forward_to"),
        ({"action": "refuse"}, "action"),
        ({"action": ""}, "action"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field_and_nothing_changes(
    cast: Cast, values: dict[str, object], field: str
) -> None:
    save(cast.salon, action="grace", grace=euros("5"), daily=euros("9"), monthly=euros("99"))
    before = read_rules(cast.salon)
    with pytest.raises(DomainError) as refused:
        save(cast.salon, **values)
    assert refused.value.field == field
    assert refused.value.message
    assert read_rules(cast.salon) == before
    assert len(audited(cast.salon)) == 1


def test_calls_are_not_forwarded_to_a_number_that_the_receptionist_answers(cast: Cast) -> None:
    with pytest.raises(DomainError) as refused:
        save(cast.salon, action="forward", forward_to="030 1234567")
    assert refused.value.field == "forward_to"


def test_a_limit_of_the_month_may_equal_that_of_the_day(cast: Cast) -> None:
    assert save(cast.salon, daily=euros("25"), monthly=euros("25")).monthly == euros("25")


def test_thresholds_are_kept_highest_first_and_the_highest_is_the_balances_own(cast: Cast) -> None:
    for amount in ("5", "30", "20"):
        add_threshold(cast.salon, amount)
    assert read_rules(cast.salon).thresholds == (euros("30"), euros("20"), euros("10"), euros("5"))
    with tenant_scope(cast.salon.id):
        assert db.session.scalars(select(PrepaidBalance.low_balance_alert_threshold)).one() == euros("30")
    within(cast.salon, lambda: limit_rules.drop_threshold(euros("30.00"), NOON))
    assert read_rules(cast.salon).thresholds == (euros("20"), euros("10"), euros("5"))
    assert [row.new_values for row in audited(cast.salon)][-1] == {"balance_alerts": ["20", "10.00", "5"]}


def test_the_last_threshold_can_go_as_well(cast: Cast) -> None:
    within(cast.salon, lambda: limit_rules.drop_threshold(euros("10"), NOON))
    assert read_rules(cast.salon).thresholds == ()


@pytest.mark.parametrize("amount", ["-1", "0", "5000.01", "10"])
def test_a_threshold_is_an_amount_that_is_not_there_yet(cast: Cast, amount: str) -> None:
    with pytest.raises(DomainError) as refused:
        add_threshold(cast.salon, amount)
    assert refused.value.field == "threshold"
    assert read_rules(cast.salon).thresholds == (euros("10"),)


def test_thresholds_are_few(cast: Cast) -> None:
    for amount in range(1, limit_rules.MOST_THRESHOLDS):
        add_threshold(cast.salon, str(amount))
    with pytest.raises(DomainError):
        add_threshold(cast.salon, "9")


def test_other_settings_of_the_company_stay(cast: Cast) -> None:
    within(
        cast.salon,
        lambda: db.session.execute(
            update(Company).where(Company.id == cast.salon.id).values(settings={"brand_color": "#aa0000"})
        ),
    )
    add_threshold(cast.salon, "30")
    with tenant_scope(cast.salon.id):
        settings = db.session.scalars(select(Company.settings).where(Company.id == cast.salon.id)).one()
    assert settings == {"brand_color": "#aa0000", "balance_alerts": ["10.00"]}


# ---- What the page says -----------------------------------------------------------------------------------


def span(start: int, end: int) -> tuple[datetime, datetime]:
    return NOON + timedelta(minutes=start), NOON + timedelta(minutes=end)


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], 0),
        ([span(0, 5)], 1),
        ([span(0, 5), span(5, 9)], 1),
        ([span(0, 5), span(4, 9)], 2),
        ([span(0, 60), span(1, 2), span(3, 4), span(3, 5)], 3),
    ],
)
def test_the_most_calls_at_once(spans: list[tuple[datetime, datetime]], most: int) -> None:
    assert limit_page.peak(spans) == most


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=20))
def test_the_most_calls_at_once_is_what_counting_each_minute_finds(lengths: list[tuple[int, int]]) -> None:
    spans = [span(start, start + length) for start, length in lengths]
    counted = [sum(1 for first, last in lengths if first <= minute < first + last) for minute in range(71)]
    assert limit_page.peak(spans) == max(counted, default=0)


def page(firm: Firm, now: datetime = NOON) -> limit_page.Page:
    with tenant_scope(firm.id):
        return limit_page.page(now)


def test_before_the_first_call_one_call_of_five_minutes_is_assumed(cast: Cast) -> None:
    found = page(cast.salon).overshoot
    assert (found.at_once, found.longest_seconds, found.measured, found.amount) == (1, 300, 0, euros("2.10"))


def test_the_overshoot_is_as_many_calls_as_ever_ran_at_once_each_as_long_as_the_longest(cast: Cast) -> None:
    for minute in (0, 2, 4):
        factories.make_call(cast.salon, started_at=NOON - timedelta(minutes=50 - minute), duration_seconds=300)
    factories.make_call(cast.salon, started_at=NOON - timedelta(minutes=20), duration_seconds=600)
    factories.make_call(cast.praxis, started_at=NOON - timedelta(minutes=20), duration_seconds=3600)
    found = page(cast.salon).overshoot
    assert (found.at_once, found.longest_seconds, found.amount) == (3, 600, euros("12.60"))


def test_calls_that_run_now_count_as_well(cast: Cast) -> None:
    credit(cast.salon, "50")
    for _ in range(2):
        hold(cast.salon)
    found = page(cast.salon).overshoot
    assert (found.at_once, found.running) == (2, 2)


def test_the_dearest_day_and_the_forecast_come_from_the_daily_figures(cast: Cast) -> None:
    def days() -> None:
        for back in range(1, 29):
            day = NOON.date() - timedelta(days=back)
            amount = euros("20") if back == 3 else euros("10")
            db.session.add(DailySpend(company_id=cast.salon.id, day=day, calls=10, amount=amount))

    within(cast.salon, days)
    found = page(cast.salon).outlook
    assert found.dearest == (date(2026, 11, 15), euros("20"))
    assert found.usual_day is not None
    assert found.month is not None
    assert found.month > 0


def test_the_forecast_adds_the_rest_of_today_and_the_days_to_come() -> None:
    habit = reach.Habit(14, 140, Decimal(140), tuple([Decimal(10)] * 7))
    day = Budget("day", date(2026, 11, 18), NOON, euros("4"), None)
    month = Budget("month", date(2026, 11, 1), NOON, euros("174"), None)
    assert limit_page.forecast(habit, day, month) == euros("300.00")
    expensive = Budget("day", date(2026, 11, 18), NOON, euros("14"), None)
    assert limit_page.forecast(habit, expensive, month) == euros("294.00")


def test_a_decision_waits_for_no_lock(cast: Cast) -> None:
    """Asked inside the transaction that holds the balance, it still reads."""
    credit(cast.salon, "20")

    def work() -> str:
        with tenant_scope(cast.salon.id):
            ledger.lock()
            return limits.may_connect(NOON).state

    assert transaction(work) == "ok"
