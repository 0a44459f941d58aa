"""What a provider's booking means: branch, service, price, buffers, customer, and what people did meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import appointments, audit, bookings, erasure
from portal.domain.audit import Actor
from portal.domain.bookings import Away, Moot, Person, Told, Waiting
from portal.domain.slots import plan_of
from portal.models import (
    Appointment,
    AuditLog,
    Booking,
    CalcomEventType,
    Customer,
    Service,
    StaffAbsence,
    StaffEventType,
)
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
START = datetime(2027, 3, 9, 9, 30, tzinfo=UTC)
LENGTH = timedelta(minutes=45)
SOFIA = Person(id=501, name="Sofia Klein", email="sofia@salon.example")
GRETA = Person(name="Greta Vogel", email="greta@example.org", phone="+4915221345678")


def told(uid: str = "bk_1", status: str = "ACCEPTED", start: datetime = START, **values: Any) -> Told:
    values = {"organizer": SOFIA, "attendee": GRETA, "event_type_id": 4101, "written_at": NOW, "sequence": 0} | values
    organizer = values["organizer"]
    raw = {"organizer": {"id": organizer.id, "email": organizer.email}}
    return Told(uid=uid, status=status, start=start, end=start + LENGTH, raw=raw, **values)


def take(firm: Firm, event: Told, waited: timedelta = timedelta(0)) -> Appointment:
    return within(firm, lambda: bookings.take_over(event, NOW, waited))


def everything(firm: Firm, table: Any) -> list[Any]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(table).order_by(table.id)))


# ---- Branch, service, price, buffers ----------------------------------------------------------------------------


def test_the_event_type_says_branch_service_and_buffers(cast: Cast) -> None:
    firm = cast.salon

    def set_up() -> None:
        kind = db.session.get_one(CalcomEventType, firm.event_type.id)
        kind.branch_id, kind.buffer_before, kind.buffer_after = firm.other.id, 5, 15

    within(firm, set_up)
    row = take(firm, told())
    assert (row.branch_id, row.service_id, row.buffer_before, row.buffer_after) == (firm.other.id, firm.cut.id, 5, 15)


def test_without_a_buffer_of_its_own_the_service_s_counts(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: setattr(db.session.get_one(Service, firm.cut.id), "buffer_time_minutes", 10))
    assert take(firm, told()).buffer_after == 10


def test_the_price_is_the_person_s_then_the_event_type_s_then_the_service_s(cast: Cast) -> None:
    firm = cast.salon
    assert take(firm, told("bk_1")).price == firm.cut.price
    within(firm, lambda: setattr(db.session.get_one(CalcomEventType, firm.event_type.id), "price", Decimal("62.00")))
    assert take(firm, told("bk_2", start=START + timedelta(days=1))).price == Decimal("62.00")

    def own_price() -> None:
        link = db.session.scalars(select(StaffEventType).where(StaffEventType.staff_id == firm.stylist.id)).one()
        link.custom_price = Decimal("70.00")

    within(firm, own_price)
    assert take(firm, told("bk_3", start=START + timedelta(days=2))).price == Decimal("70.00")


def test_an_unknown_event_type_falls_back_to_the_person_s_branch(cast: Cast) -> None:
    firm = cast.salon
    tim = Person(id=502, email="tim@salon.example")
    row = take(firm, told(event_type_id=1, organizer=tim, title="Etwas Neues"))
    assert (row.staff_id, row.branch_id, row.title) == (firm.colleague.id, firm.other.id, "Etwas Neues")


def test_a_user_id_that_counts_for_one_event_type_only_is_known_too(cast: Cast) -> None:
    firm = cast.salon

    def set_up() -> None:
        link = db.session.scalars(select(StaffEventType).where(StaffEventType.staff_id == firm.stylist.id)).one()
        link.calcom_user_id = 9009

    within(firm, set_up)
    assert take(firm, told(organizer=Person(id=9009))).staff_id == firm.stylist.id


def test_without_any_hint_the_primary_branch_takes_it(cast: Cast) -> None:
    row = take(cast.salon, told(event_type_id=None, organizer=Person()))
    assert (row.branch_id, row.staff_id) == (cast.salon.main.id, None)


# ---- Customers --------------------------------------------------------------------------------------------------


def test_the_customer_is_found_by_number_then_by_address(cast: Cast) -> None:
    firm = cast.salon
    by_number = take(firm, told("bk_1", attendee=Person(name="Aylin Demir", phone="030 / 555 01 00")))
    by_address = take(
        firm,
        told("bk_2", start=START + timedelta(days=1), attendee=Person(name="Aylin Demir", email="Aylin@demir.example")),
    )
    assert by_number.customer_id == by_address.customer_id == firm.customer.id
    assert len(everything(firm, Customer)) == 1


def test_a_booking_confirms_a_name_that_was_only_said(cast: Cast) -> None:
    firm = cast.salon
    said = factories.make_customer(firm, "Greta", "Fogel", phone_normalized="+4915221345678", name_confirmed=False)
    row = take(firm, told())
    with tenant_scope(firm.id):
        customer = db.session.get_one(Customer, row.customer_id)
        assert customer.name_confirmed
        assert (customer.full_name, customer.total_appointments) == ("Greta Vogel", 1)
    assert said.id


def test_a_reschedule_keeps_the_customer_that_a_person_has_set(cast: Cast) -> None:
    firm = cast.salon
    row, other = take(firm, told()), factories.make_customer(firm)
    within(firm, lambda: appointments.change(row, replace(plan_of(row), customer_id=other.id)))
    moved = take(firm, told("bk_2", start=START + timedelta(days=1), previous_uid="bk_1"))
    assert moved.customer_id == other.id


# ---- What people did meanwhile ----------------------------------------------------------------------------------


def test_a_person_set_by_hand_stays_until_the_organizer_changes(cast: Cast) -> None:
    firm = cast.salon
    row = take(firm, told())
    within(firm, lambda: appointments.change(row, replace(plan_of(row), staff_id=firm.colleague.id)))
    assert take(firm, told(written_at=NOW + timedelta(hours=1))).staff_id == firm.colleague.id


def test_what_a_person_has_completed_is_not_cancelled_afterwards(cast: Cast) -> None:
    firm = cast.salon
    row = take(firm, told())
    with audit.acting(Actor(user_id=firm.owner.id)):
        within(firm, lambda: appointments.set_status(row, "completed", NOW))
    event = told(status="CANCELLED", sequence=1, written_at=NOW + timedelta(hours=1))
    assert within(firm, lambda: bookings.call_off(event, NOW)).status == "completed"
    assert [booking.status for booking in everything(firm, Booking)] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("by", "who"),
    [
        ("GRETA@example.org", "customer"),
        ("sofia@salon.example", "staff"),
        ("chef@salon.example", "chef@salon.example"),
        (None, "calcom"),
    ],
)
def test_it_is_kept_who_cancelled(cast: Cast, by: str | None, who: str) -> None:
    firm = cast.salon
    take(firm, told())
    event = told(status="CANCELLED", sequence=1, by=by, reason="Krank")
    row = within(firm, lambda: bookings.call_off(event, NOW))
    assert (row.cancelled_by, row.cancellation_reason) == (who, "Krank")


def test_what_a_provider_does_is_in_the_audit_without_a_person(cast: Cast) -> None:
    firm = cast.salon
    take(firm, told())
    take(firm, told("bk_2", start=START + timedelta(days=1), previous_uid="bk_1", written_at=NOW + timedelta(hours=1)))
    records = [row for row in everything(firm, AuditLog) if row.model_type == "appointments"]
    assert [(row.action, row.user_id) for row in records] == [
        ("appointment.created", None),
        ("appointment.moved", None),
    ]


def test_moving_a_booking_twice_keeps_one_appointment_and_three_bookings(cast: Cast) -> None:
    firm = cast.salon
    first = take(firm, told())
    take(firm, told("bk_2", start=START + timedelta(days=1), previous_uid="bk_1"))
    last = take(firm, told("bk_3", start=START + timedelta(days=2), previous_uid="bk_2"))
    assert (last.id, last.calcom_event_id, last.ical_sequence) == (first.id, "bk_3", 2)
    assert [booking.appointment_id for booking in everything(firm, Booking)] == [first.id] * 3


def test_a_reschedule_under_the_same_uid_moves_too(cast: Cast) -> None:
    take(cast.salon, told())
    later = START + timedelta(hours=3)
    row = take(cast.salon, told(start=later, previous_uid=None, written_at=NOW + timedelta(minutes=5)))
    assert row.start_time == later


def test_what_was_erased_of_a_customer_does_not_come_back_from_the_provider(cast: Cast) -> None:
    firm = cast.salon
    row = take(firm, told())
    within(firm, lambda: erasure.erase_customer(row.customer_id, NOW))
    event = told("bk_2", start=START + timedelta(days=1), previous_uid="bk_1", written_at=NOW + timedelta(hours=1))
    moved = take(firm, replace(event, raw=(event.raw or {}) | {"attendees": [{"name": "Greta Vogel"}]}))
    assert (moved.id, moved.start_time) == (row.id, event.start)
    for booking in everything(firm, Booking):
        assert (booking.attendee_name, booking.attendee_email, booking.attendee_phone) == (None, None, None)
        assert "Greta" not in str(booking.raw_payload)


# ---- Early and late ---------------------------------------------------------------------------------------------


def test_what_comes_too_early_waits_and_what_never_comes_is_let_go(cast: Cast) -> None:
    firm = cast.salon
    cases = [
        lambda waited: bookings.call_off(told(status="CANCELLED"), NOW, waited),
        lambda waited: bookings.mark_no_show("bk_1", {"greta@example.org": True}, NOW, NOW, waited),
        lambda waited: bookings.meeting_ended("bk_1", NOW, waited),
    ]
    for case in cases:
        with pytest.raises(Waiting, match="bk_1"):
            within(firm, lambda case=case: case(timedelta(hours=1)))
        with pytest.raises(Moot):
            within(firm, lambda case=case: case(timedelta(hours=7)))


def test_absences_follow_the_provider_s_clock(cast: Cast) -> None:
    firm = cast.salon
    away = Away("61", SOFIA, START, START + timedelta(days=1), "vacation", "Nordsee", NOW)
    within(firm, lambda: bookings.take_over_absence(away))
    shorter = replace(away, end=START + timedelta(hours=2), written_at=NOW + timedelta(minutes=1))
    within(firm, lambda: bookings.take_over_absence(shorter))
    with pytest.raises(Moot):
        within(firm, lambda: bookings.take_over_absence(away))
    (row,) = everything(firm, StaffAbsence)
    assert (row.ends_at, row.external_id) == (START + timedelta(hours=2), "calcom:61")
