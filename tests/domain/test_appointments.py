"""Booking, changing, the state machine, and what customers' statistics and the audit make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import appointments, audit, booking_rules, free_times, slots
from portal.domain.appointments import Changed
from portal.domain.errors import Conflict, DomainError
from portal.domain.slots import Overbooking, Plan, SlotTaken
from portal.models import (
    Appointment,
    AuditLog,
    Branch,
    BranchClosure,
    Customer,
    OutboxJob,
    Service,
    Staff,
    StaffAbsence,
    WorkingHours,
)
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
TEN = datetime(2027, 3, 9, 9, 0, tzinfo=UTC)  # ten o'clock in Berlin, a Tuesday
PRICE = Decimal("58.00")


def plan(firm: Firm, start: datetime = TEN, minutes: int = 45, **values: Any) -> Plan:
    values = {"staff_id": firm.stylist.id, "service_id": firm.cut.id, "price": PRICE} | values
    return Plan(
        branch_id=values.pop("branch_id", firm.main.id),
        customer_id=values.pop("customer_id", firm.customer.id),
        start=start,
        end=start + timedelta(minutes=minutes),
        **values,
    )


def book(firm: Firm, start: datetime = TEN, minutes: int = 45, status: str = "confirmed", **values: Any) -> Appointment:
    wish = plan(firm, start, minutes, **values)
    return within(firm, lambda: appointments.book(wish, now=NOW, status=status))


def step(firm: Firm, row: Appointment, action: str, version: int | None = None) -> Appointment:
    return within(firm, lambda: appointments.set_status(row, action, NOW, version=version))


def customer_of(firm: Firm, customer_id: int | None = None) -> Customer:
    with tenant_scope(firm.id):
        return db.session.get_one(Customer, customer_id or firm.customer.id)


def records(firm: Firm) -> list[AuditLog]:
    with tenant_scope(firm.id):
        return list(
            db.session.scalars(select(AuditLog).where(AuditLog.model_type == "appointments").order_by(AuditLog.id))
        )


# ---- Overlaps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes_later", "length", "is_free"),
    [
        (0, 45, False),
        (-30, 30, True),
        (-30, 31, False),
        (44, 30, False),
        (45, 30, True),
        (10, 5, False),
        (-60, 180, False),
    ],
)
def test_a_time_is_taken_where_appointments_share_a_minute(
    cast: Cast, minutes_later: int, length: int, is_free: bool
) -> None:
    book(cast.salon)
    start = TEN + timedelta(minutes=minutes_later)
    if is_free:
        book(cast.salon, start, length)
    else:
        with pytest.raises(SlotTaken) as taken:
            book(cast.salon, start, length)
        assert [row.start_time for row in taken.value.taken] == [TEN]


def test_buffers_on_both_sides_count(cast: Cast) -> None:
    book(cast.salon, buffer_after=10)
    end = TEN + timedelta(minutes=45)
    with pytest.raises(SlotTaken):
        book(cast.salon, end + timedelta(minutes=5))
    with pytest.raises(SlotTaken):
        book(cast.salon, end + timedelta(minutes=15), buffer_before=10)
    book(cast.salon, end + timedelta(minutes=15), buffer_before=5)


@pytest.mark.parametrize(("status", "is_free"), [("cancelled", True), ("no_show", True), ("completed", False)])
def test_only_what_takes_time_blocks_it(cast: Cast, status: str, is_free: bool) -> None:
    factories.make_appointment(cast.salon, start=TEN, status=status)
    if is_free:
        book(cast.salon)
    else:
        with pytest.raises(SlotTaken):
            book(cast.salon)


def test_other_people_and_nobody_have_their_own_time(cast: Cast) -> None:
    book(cast.salon)
    book(cast.salon, staff_id=cast.salon.colleague.id)
    book(cast.salon, staff_id=None)
    book(cast.salon, staff_id=None)


def test_a_provider_s_booking_is_taken_over_although_it_overlaps(cast: Cast) -> None:
    book(cast.salon)
    row = within(cast.salon, lambda: appointments.book(plan(cast.salon), now=NOW, take_over=True))
    assert row.overbooked_by is None
    assert len(records(cast.salon)[-1].new_values["overlaps"]) == 1


def test_booking_over_it_takes_a_reason_and_is_recorded(cast: Cast) -> None:
    firm = cast.salon
    book(firm)

    def over(reason: str) -> Appointment:
        wish = Overbooking(firm.owner.id, reason)
        return within(firm, lambda: appointments.book(plan(firm), now=NOW, overbooking=wish))

    with pytest.raises(DomainError) as error:
        over("  ")
    assert error.value.field == "reason"
    assert over("Am Telefon zugesagt").overbooked_by == firm.owner.id
    assert records(firm)[-1].new_values["reason"] == "Am Telefon zugesagt"


def test_who_finds_the_time_free_has_booked_over_nobody(cast: Cast) -> None:
    wish = Overbooking(cast.salon.owner.id, "")
    row = within(cast.salon, lambda: appointments.book(plan(cast.salon), now=NOW, overbooking=wish))
    assert row.overbooked_by is None


def test_every_booking_writes_the_person_s_row_first(cast: Cast) -> None:
    book(cast.salon)
    book(cast.salon, TEN + timedelta(hours=2))
    with tenant_scope(cast.salon.id):
        assert db.session.get_one(Staff, cast.salon.stylist.id).calendar_version == 2


def test_the_other_company_s_people_and_appointments_are_out_of_reach(cast: Cast) -> None:
    with pytest.raises(DomainError) as error:
        book(cast.salon, staff_id=cast.praxis.stylist.id)
    assert error.value.field == "staff_id"
    foreign = factories.make_appointment(cast.praxis, start=TEN)
    with pytest.raises(Exception, match="No row was found"):
        step(cast.salon, foreign, "completed")


# ---- Changing ---------------------------------------------------------------------------------------------------


def test_moving_raises_version_and_sequence_and_tells_the_audit(cast: Cast) -> None:
    row = book(cast.salon)
    later = TEN + timedelta(hours=1)
    moved = within(cast.salon, lambda: appointments.change(row, plan(cast.salon, later)))
    assert (moved.start_time, moved.version, moved.ical_sequence) == (later, 2, 1)
    record = records(cast.salon)[-1]
    assert record.action == "appointment.moved"
    assert (record.old_values["start_time"], record.new_values["start_time"]) == (TEN.isoformat(), later.isoformat())


def test_a_note_raises_the_version_only_and_stays_out_of_the_audit(cast: Cast) -> None:
    row = book(cast.salon)
    changed = within(cast.salon, lambda: appointments.change(row, plan(cast.salon, internal_notes="Mag keinen Kaffee")))
    assert (changed.version, changed.ical_sequence) == (2, 0)
    record = records(cast.salon)[-1]
    assert (record.action, record.new_values) == ("appointment.edited", {"fields": ["internal_notes"]})


def test_nothing_new_changes_nothing(cast: Cast) -> None:
    row = book(cast.salon)
    assert within(cast.salon, lambda: appointments.change(row, plan(cast.salon))).version == 1
    assert len(records(cast.salon)) == 1


def test_moving_into_a_taken_time_is_refused_and_into_one_s_own_is_not(cast: Cast) -> None:
    row = book(cast.salon)
    book(cast.salon, TEN + timedelta(hours=1))
    within(cast.salon, lambda: appointments.change(row, plan(cast.salon, TEN + timedelta(minutes=10))))
    with pytest.raises(SlotTaken):
        within(cast.salon, lambda: appointments.change(row, plan(cast.salon, TEN + timedelta(minutes=30))))


def test_another_service_with_a_longer_pause_is_refused_where_the_pause_is_taken(cast: Cast) -> None:
    firm = cast.salon
    row, _next = book(firm), book(firm, TEN + timedelta(minutes=45))

    def long_pause() -> int:
        service = Service(company_id=firm.id, name="Farbe", duration_minutes=45, buffer_time_minutes=30)
        db.session.add(service)
        db.session.flush()
        return service.id

    service_id = within(firm, long_pause)

    def change(overbooking: Overbooking | None = None) -> Appointment:
        wish = replace(slots.plan_of(db.session.get_one(Appointment, row.id)), service_id=service_id)
        return appointments.change_by_hand(row, wish, now=NOW, overbooking=overbooking)

    with pytest.raises(SlotTaken):
        within(firm, change)
    changed = within(firm, lambda: change(Overbooking(firm.owner.id, "geht schon")))
    assert (changed.buffer_after, changed.overbooked_by) == (30, firm.owner.id)


def test_who_saw_an_older_version_changes_nothing(cast: Cast) -> None:
    row = book(cast.salon)
    step(cast.salon, row, "arrived")
    with pytest.raises(Changed):
        within(cast.salon, lambda: appointments.change(row, plan(cast.salon, internal_notes="x"), version=1))


def test_another_customer_brings_both_statistics_up_to_date(cast: Cast) -> None:
    other = factories.make_customer(cast.salon)
    row = book(cast.salon)
    within(cast.salon, lambda: appointments.change(row, plan(cast.salon, customer_id=other.id)))
    assert customer_of(cast.salon).total_appointments == 0
    assert customer_of(cast.salon, other.id).total_appointments == 1


# ---- What people may book ---------------------------------------------------------------------------------------


def by_hand(firm: Firm, wish: Plan, now: datetime = NOW) -> Appointment:
    return within(firm, lambda: appointments.book_by_hand(wish, now=now))


def refused(firm: Firm, wish: Plan, now: datetime = NOW) -> str | None:
    """The field that is wrong."""
    with pytest.raises(DomainError) as error:
        by_hand(firm, wish, now)
    return error.value.field


def test_the_service_brings_price_buffer_and_title(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: setattr(db.session.get_one(Service, firm.cut.id), "buffer_time_minutes", 10))
    row = by_hand(firm, plan(firm, price=None))
    assert (row.price, row.buffer_after, row.title, row.source) == (PRICE, 10, "Damenhaarschnitt", "admin")
    assert by_hand(firm, plan(firm, TEN + timedelta(hours=2), price=Decimal("50.00"))).price == Decimal("50.00")


def test_an_end_before_the_start_is_refused(cast: Cast) -> None:
    assert refused(cast.salon, plan(cast.salon, minutes=-10)) == "until"
    assert refused(cast.salon, plan(cast.salon, minutes=25 * 60)) == "until"


def test_the_past_is_refused_but_for_who_has_just_walked_in(cast: Cast) -> None:
    assert refused(cast.salon, plan(cast.salon), now=TEN + timedelta(days=1)) == "date"
    assert refused(cast.salon, plan(cast.salon), now=TEN + timedelta(minutes=30)) == "time"
    assert by_hand(cast.salon, plan(cast.salon), now=TEN + timedelta(minutes=10)).start_time == TEN


def test_rows_that_are_not_ours_or_not_in_use_are_refused_alike(cast: Cast) -> None:
    firm, other = cast.salon, cast.praxis
    assert refused(firm, plan(firm, branch_id=other.main.id)) == "branch_id"
    assert refused(firm, plan(firm, customer_id=other.customer.id)) == "customer_id"
    assert refused(firm, plan(firm, staff_id=other.stylist.id)) == "staff_id"
    assert refused(firm, plan(firm, service_id=other.cut.id)) == "service_id"
    assert refused(firm, plan(firm, customer_id=987654)) == "customer_id"
    within(firm, lambda: setattr(db.session.get_one(Staff, firm.colleague.id), "is_active", False))
    assert refused(firm, plan(firm, staff_id=firm.colleague.id)) == "staff_id"
    within(firm, lambda: setattr(db.session.get_one(Customer, firm.customer.id), "is_blocked", True))
    assert refused(firm, plan(firm)) == "customer_id"


def hours(firm: Firm, opens: time, closes: time, **values: Any) -> None:
    values = {"branch_id": firm.main.id, "weekday": 2} | values
    factories.save(firm, WorkingHours(company_id=firm.id, opens_at=opens, closes_at=closes, **values))


def test_without_hours_everything_may_be_booked_and_with_them_only_what_lies_within(cast: Cast) -> None:
    firm = cast.salon
    by_hand(firm, plan(firm, TEN - timedelta(hours=8)))
    hours(firm, time(9), time(18))
    by_hand(firm, plan(firm))
    assert refused(firm, plan(firm, TEN - timedelta(hours=2))) == "time"
    assert refused(firm, plan(firm, TEN + timedelta(hours=7, minutes=30))) == "time"
    assert refused(firm, plan(firm, TEN + timedelta(days=1))) == "time"


def test_breaks_and_days_off_of_the_person_count(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(18))
    hours(firm, time(9), time(10, 30), staff_id=firm.stylist.id)
    hours(firm, time(11), time(15), staff_id=firm.stylist.id)
    assert refused(firm, plan(firm)) == "time"
    by_hand(firm, plan(firm, TEN + timedelta(hours=1)))
    by_hand(firm, plan(firm, staff_id=firm.colleague.id))


def test_closed_days_and_absences_count(cast: Cast) -> None:
    firm = cast.salon
    factories.save(
        firm,
        StaffAbsence(company_id=firm.id, staff_id=firm.stylist.id, starts_at=TEN, ends_at=TEN + timedelta(hours=1)),
    )
    assert refused(firm, plan(firm)) == "staff_id"
    factories.save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=date(2027, 3, 9)))
    assert refused(firm, plan(firm, TEN + timedelta(hours=2))) == "time"


def test_a_past_appointment_keeps_its_time_and_takes_a_note(cast: Cast) -> None:
    firm = cast.salon
    row = book(firm)
    later = TEN + timedelta(days=2)
    wish = replace(slots.plan_of(row), internal_notes="Trinkgeld")
    changed = within(firm, lambda: appointments.change_by_hand(row, wish, now=later))
    assert changed.internal_notes == "Trinkgeld"
    with pytest.raises(DomainError):
        within(firm, lambda: appointments.move(row, TEN + timedelta(hours=1), TEN + timedelta(hours=2), now=later))


def test_free_times_are_those_that_could_be_booked(cast: Cast) -> None:
    firm = cast.salon
    hours(firm, time(9), time(12))
    book(firm)
    with tenant_scope(firm.id):
        branch, length = db.session.get_one(Branch, firm.main.id), timedelta(minutes=45)
        day = TEN.astimezone(BERLIN).date()
        found = free_times.search(branch, None, NOW, start=day, staff_id=firm.stylist.id, length=length, shown=1)
    assert [slot.start.astimezone(BERLIN).strftime("%H:%M") for slot in found.days[0].times] == [
        "09:00",
        "09:15",
        "10:45",
        "11:00",
        "11:15",
    ]


@pytest.mark.parametrize(
    ("day", "start", "until", "begin", "end"),
    [
        (date(2027, 3, 28), time(3), None, "01:00", "01:45"),
        (date(2027, 10, 31), time(2, 30), None, "00:30", "01:15"),
        (date(2027, 10, 31), time(1, 30), time(2, 30), "23:30", "01:30"),
        (date(2027, 10, 31), time(3), None, "02:00", "02:45"),
    ],
)
def test_local_times_on_the_nights_of_the_change(
    app: object, day: date, start: time, until: time | None, begin: str, end: str
) -> None:
    found = booking_rules.local_times(BERLIN, day, start, until, timedelta(minutes=45))
    assert tuple(f"{moment:%H:%M}" for moment in found) == (begin, end)


def test_a_time_that_the_clocks_skip_is_refused(app: object) -> None:
    with pytest.raises(DomainError) as error:
        booking_rules.local_times(BERLIN, date(2027, 3, 28), time(2, 30), None, timedelta(minutes=45))
    assert error.value.field == "time"


# ---- The state machine ------------------------------------------------------------------------------------------

STATES = ("scheduled", "confirmed", "arrived", "completed", "cancelled", "no_show")
REFUSED = "refused"
# from → action → to
TABLE = {
    "scheduled": {"confirm": "confirmed", "arrived": "arrived", "completed": "completed", "no_show": "no_show"},
    "confirmed": {
        "confirm": "confirmed",
        "arrived": "arrived",
        "completed": "completed",
        "no_show": "no_show",
        "back": "scheduled",
    },
    "arrived": {
        "confirm": "arrived",
        "arrived": "arrived",
        "completed": "completed",
        "no_show": "no_show",
        "back": "confirmed",
    },
    "completed": {"completed": "completed", "no_show": "no_show", "back": "confirmed"},
    "no_show": {"arrived": "arrived", "completed": "completed", "no_show": "no_show", "back": "confirmed"},
    "cancelled": {"back": "confirmed"},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", appointments.ACTIONS)
def test_every_step_from_every_state(cast: Cast, state: str, action: str) -> None:
    row = in_state(cast.salon, state)
    expected = TABLE[state].get(action, REFUSED)
    if expected == REFUSED:
        with pytest.raises(Conflict):
            step(cast.salon, row, action)
    else:
        assert state_of(step(cast.salon, row, action)) == expected


def in_state(firm: Firm, state: str) -> Appointment:
    row = book(firm, status="scheduled" if state == "scheduled" else "confirmed")
    if state == "cancelled":
        return within(firm, lambda: appointments.cancel(row, "Krank", "customer", NOW))
    return row if state in {"scheduled", "confirmed"} else step(firm, row, state)


def state_of(row: Appointment) -> str:
    return "arrived" if row.arrived_at and row.status == "confirmed" else row.status


@pytest.mark.parametrize("first", ["scheduled", "confirmed"])
@pytest.mark.parametrize("action", ["completed", "no_show", "arrived"])
def test_back_leads_to_where_it_came_from(cast: Cast, first: str, action: str) -> None:
    row = book(cast.salon, status=first)
    step(cast.salon, row, action)
    assert step(cast.salon, row, "back").status == first


def test_back_from_completed_remembers_the_arrival(cast: Cast) -> None:
    row = book(cast.salon)
    for action in ("arrived", "completed", "back"):
        row = step(cast.salon, row, action)
    assert (row.status, row.arrived_at) == ("confirmed", NOW)
    assert state_of(step(cast.salon, step(cast.salon, row, "no_show"), "back")) == "arrived"


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        (["completed", "no_show"], ["completed", "confirmed", "scheduled"]),
        (["no_show", "completed", "no_show"], ["completed", "no_show", "confirmed", "scheduled"]),
        (["arrived", "no_show"], ["arrived", "confirmed", "scheduled"]),
        (["no_show", "arrived"], ["no_show", "confirmed", "scheduled"]),
        (["completed", "back", "no_show"], ["confirmed", "scheduled"]),
    ],
)
def test_taking_back_again_and_again_leads_to_the_beginning(cast: Cast, steps: list[str], states: list[str]) -> None:
    row = book(cast.salon)
    for action in steps:
        step(cast.salon, row, action)
    assert [state_of(step(cast.salon, row, "back")) for _ in states] == states
    with pytest.raises(Changed):
        step(cast.salon, row, "back")


def test_what_is_so_already_stays_so_and_raises_nothing(cast: Cast) -> None:
    row = book(cast.salon)
    assert step(cast.salon, row, "completed", version=1).version == 2
    assert step(cast.salon, row, "completed", version=1).version == 2
    assert len(records(cast.salon)) == 2


def test_a_step_on_an_older_version_is_a_conflict(cast: Cast) -> None:
    row = book(cast.salon)
    step(cast.salon, row, "arrived", version=1)
    with pytest.raises(Changed):
        step(cast.salon, row, "no_show", version=1)


def test_an_unknown_action_is_refused(cast: Cast) -> None:
    with pytest.raises(DomainError):
        step(cast.salon, book(cast.salon), "explode")


def test_taking_a_cancellation_back_needs_the_time_to_be_free(cast: Cast) -> None:
    row = book(cast.salon)
    within(cast.salon, lambda: appointments.cancel(row, "Krank", "customer", NOW))
    other = book(cast.salon)
    with pytest.raises(SlotTaken):
        step(cast.salon, row, "back")
    within(cast.salon, lambda: appointments.cancel(other, "doch nicht", "staff", NOW))
    back = step(cast.salon, row, "back")
    assert (back.status, back.cancelled_at, back.cancellation_reason, back.ical_sequence) == (
        "confirmed",
        None,
        None,
        2,
    )


def test_cancelling_takes_a_reason_and_only_what_is_to_come(cast: Cast) -> None:
    firm, row = cast.salon, book(cast.salon)
    with pytest.raises(DomainError) as error:
        within(firm, lambda: appointments.cancel(row, " ", "staff", NOW))
    assert error.value.field == "reason"
    cancelled = within(firm, lambda: appointments.cancel(row, "Krank", "Mara Manager", NOW))
    assert (cancelled.cancelled_at, cancelled.cancelled_by, cancelled.ical_sequence) == (NOW, "Mara Manager", 1)
    done = step(firm, book(firm), "completed")
    with pytest.raises(Changed):
        within(firm, lambda: appointments.cancel(done, "zu spät", "staff", NOW))


def test_the_reason_of_a_cancellation_stays_out_of_the_audit(cast: Cast) -> None:
    row = book(cast.salon)
    within(cast.salon, lambda: appointments.cancel(row, "Migräne", "customer", NOW))
    assert "Migräne" not in str([record.new_values for record in records(cast.salon)])


def test_every_change_says_who_made_it(cast: Cast) -> None:
    with audit.acting(audit.Actor(cast.salon.owner.id, "127.0.0.1")):
        row = book(cast.salon)
        step(cast.salon, row, "arrived")
    assert [record.user_id for record in records(cast.salon)] == [cast.salon.owner.id] * 2
    assert [record.action for record in records(cast.salon)] == ["appointment.created", "appointment.arrived"]


# ---- Statistics -------------------------------------------------------------------------------------------------


def test_statistics_follow_every_step(cast: Cast) -> None:
    firm = cast.salon
    first, second = book(firm), book(firm, TEN + timedelta(days=7))
    third = book(firm, TEN + timedelta(days=14))
    step(firm, first, "completed")
    step(firm, second, "no_show")
    within(firm, lambda: appointments.cancel(third, "Krank", "customer", NOW))
    assert figures(firm) == (3, 1, 1, 1, PRICE, date(2027, 3, 9), date(2027, 3, 9))
    step(firm, second, "back")
    step(firm, first, "back")
    assert figures(firm) == (3, 0, 1, 0, Decimal("0.00"), date(2027, 3, 9), date(2027, 3, 16))


def figures(firm: Firm) -> tuple[Any, ...]:
    row = customer_of(firm)
    return (
        row.total_appointments,
        row.completed_appointments,
        row.cancelled_appointments,
        row.no_show_appointments,
        row.total_spent,
        row.first_appointment_date,
        row.last_appointment_date,
    )


def test_dates_are_those_of_the_company_s_clocks(cast: Cast) -> None:
    book(cast.salon, datetime(2027, 3, 9, 23, 30, tzinfo=UTC))
    assert customer_of(cast.salon).first_appointment_date == date(2027, 3, 10)


def test_a_price_that_changes_after_the_visit_changes_what_was_spent(cast: Cast) -> None:
    firm, row = cast.salon, book(cast.salon)
    step(firm, row, "completed")
    wish = replace(slots.plan_of(row), price=Decimal("61.50"))
    within(firm, lambda: appointments.change(row, wish))
    assert customer_of(firm).total_spent == Decimal("61.50")


# ---- Calls ------------------------------------------------------------------------------------------------------


def test_a_call_is_tied_both_ways_and_its_day_counted_anew(cast: Cast) -> None:
    firm = cast.salon
    call = factories.make_call(firm, customer_id=None)
    row = within(firm, lambda: appointments.book(plan(firm), now=NOW, call=call))
    assert (row.call_id, row.source) == (call.id, "phone")
    with tenant_scope(firm.id):
        call = db.session.merge(call)
        db.session.refresh(call)
        assert (call.appointment_id, call.appointment_created, call.customer_id) == (row.id, True, firm.customer.id)
        assert db.session.scalars(select(OutboxJob).where(OutboxJob.dedupe_key.like("stats:%"))).first() is not None
