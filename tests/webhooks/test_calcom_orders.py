"""Everything that Cal.com may tell about one booking, in any order, each once to three times: one appointment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import appointments
from portal.domain.slots import plan_of
from portal.models import Appointment, Booking, WebhookEvent
from portal.tenancy import all_tenants, tenant_scope
from portal.webhooks import inbox
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.webhooks.test_calcom import event, only_one, post, stored

FIRST = datetime(2027, 3, 9, 9, 30, tzinfo=UTC)
SECOND = datetime(2027, 3, 10, 14, 0, tzinfo=UTC)
THIRD = datetime(2027, 3, 11, 8, 0, tzinfo=UTC)
# The events after the reschedule are about its booking.
MOVED = {"uid": "bk_second", "bookingId": 7002}
LATE = {"startTime": "2027-03-10T14:00:00.000Z", "endTime": "2027-03-10T14:45:00.000Z"}
CANCELLED_AFTER = event("cancelled", **MOVED, startTime="2027-03-10T14:00:00Z", endTime="2027-03-10T14:45:00Z") | {
    "createdAt": "2027-03-03T10:00:00.000Z"
}
EVENTS: dict[str, dict[str, Any]] = {
    name: event(name)
    for name in ("requested", "confirmed", "rejected", "created", "cancelled", "rescheduled", "rescheduled_again")
} | {
    "ended": event("meeting_ended"),
    "started": event("meeting_started"),
    "no_show": event("no_show"),
    "no_show_back": event("no_show_back"),
    "cancelled_second": CANCELLED_AFTER,
    "ended_second": event("meeting_ended", **LATE, uid="bk_second", id=7002),
    "no_show_second": event("no_show", bookingUid="bk_second", bookingId=7002)
    | {"createdAt": "2027-03-10T15:00:00.000Z"},
}
# What was told, as it happened → how the appointment stands in the end.
STORIES: list[tuple[tuple[str, ...], str, datetime]] = [
    (("created", "rescheduled", "rescheduled_again"), "confirmed", THIRD),
    (("created", "cancelled", "ended"), "cancelled", FIRST),
    (("created", "started", "ended", "no_show"), "no_show", FIRST),
    (("created", "ended", "no_show", "no_show_back"), "completed", FIRST),
    (("requested", "rejected", "ended"), "cancelled", FIRST),
    (("requested", "confirmed", "cancelled", "no_show"), "cancelled", FIRST),
    (("requested", "confirmed", "ended", "no_show", "no_show_back"), "completed", FIRST),
    (("created", "rescheduled", "ended_second", "no_show_second"), "no_show", SECOND),
    (("created", "rescheduled", "cancelled_second", "ended_second"), "cancelled", SECOND),
    (("created", "cancelled", "rescheduled", "rescheduled_again"), "confirmed", THIRD),
    (("created", "rescheduled", "rescheduled_again", "ended", "no_show_second"), "confirmed", THIRD),
]
MOST = 24


def orders(names: tuple[str, ...], seed: int) -> list[tuple[str, ...]]:
    """All of them, or as many as there is time for, always the same."""
    found = list(permutations(names))
    return found if len(found) <= MOST else Random(seed).sample(found, MOST)


def repeated(order: tuple[str, ...], random: Random) -> list[dict[str, Any]]:
    """Each event once to three times in a row or later, every delivery with bytes of its own."""
    deliveries = [(name, number) for name in order for number in range(random.randint(1, 3))]
    first = [delivery for delivery in deliveries if delivery[1] == 0]
    for delivery in [delivery for delivery in deliveries if delivery[1]]:
        earliest = first.index((delivery[0], delivery[1] - 1)) + 1
        first.insert(random.randint(earliest, len(first)), delivery)
    return [EVENTS[name] | {"delivery": number} for name, number in first]


def settle(firm: Firm) -> None:
    """What the worker does with what waits, until nothing changes any more."""
    for _round in range(4):
        for row in [row for row in stored(firm) if row.status == "parked"]:
            inbox.process(row.id)


def told(client: PortalClient, firm: Firm, bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        assert post(client, firm, body).status_code == 200
    settle(firm)


CASES = [
    pytest.param(order, status, start, id=f"{number}:{'-'.join(order)}")
    for number, (names, status, start) in enumerate(STORIES)
    for order in orders(names, number)
]


@pytest.mark.parametrize(("order", "status", "start"), CASES)
def test_one_appointment_in_the_right_state(
    client: PortalClient, cast: Cast, order: tuple[str, ...], status: str, start: datetime
) -> None:
    firm = cast.salon
    told(client, firm, repeated(order, Random("-".join(order))))
    row = only_one(firm)
    assert (row.status, row.start_time, row.staff_id) == (status, start, firm.stylist.id)
    assert (row.branch_id, row.service_id, row.end_time - row.start_time) == (
        firm.main.id,
        firm.cut.id,
        timedelta(minutes=45),
    )
    with tenant_scope(firm.id):
        found = list(db.session.scalars(select(Booking).order_by(Booking.id)))
    assert {booking.appointment_id for booking in found} == {row.id}
    standing = [booking for booking in found if booking.status != "RESCHEDULED"]
    assert [(booking.external_uid, booking.sync_status) for booking in standing] == [(row.calcom_event_id, "synced")]
    assert [event.status for event in stored(firm) if event.status in ("failed", "dead", "parked")] == []


# ---- What is not known, not readable or not new -----------------------------------------------------------------


def test_a_lower_sequence_changes_nothing_in_any_order(client: PortalClient, cast: Cast) -> None:
    newer = event("created", iCalSequence=2, startTime="2027-03-09T11:00:00Z", endTime="2027-03-09T11:45:00Z")
    older = event("created", iCalSequence=1)
    told(client, cast.salon, [newer | {"createdAt": "2027-03-01T09:30:00Z"}, older])
    assert only_one(cast.salon).start_time == datetime(2027, 3, 9, 11, tzinfo=UTC)


def test_a_custom_template_and_an_unknown_trigger_stand_in_nobodys_way(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    own_words = {"triggerEvent": "BOOKING_CREATED", "payload": {"title": "Termin", "when": "morgen"}}
    assert post(client, firm, own_words).get_json() == {"status": "parked"}
    assert post(client, firm, event("created") | {"triggerEvent": "SOMETHING_NEW"}).get_json() == {"status": "ignored"}
    told(client, firm, [EVENTS["created"], EVENTS["rescheduled"]])
    assert only_one(firm).start_time == SECOND


def test_an_appointment_of_somebody_unknown_is_kept_through_its_whole_life(client: PortalClient, cast: Cast) -> None:
    unknown = {"organizer": {"id": 77, "name": "Neu", "email": "neu@salon.example"}, "eventTypeId": 4999}
    bodies = [event("created", **unknown), event("rescheduled", **unknown), CANCELLED_AFTER]
    told(client, cast.salon, bodies[:2])
    row = only_one(cast.salon)
    assert (row.staff_id, row.service_id, row.start_time, row.status) == (None, None, SECOND, "confirmed")
    told(client, cast.salon, bodies[2:])
    assert only_one(cast.salon).status == "cancelled"


# ---- What people have changed in the portal stays ---------------------------------------------------------------


def changed_here(firm: Firm, **values: Any) -> Appointment:
    row = only_one(firm)
    return factories.within(firm, lambda: appointments.change(row, replace(plan_of(row), **values)))


def test_a_reschedule_keeps_what_people_changed_here(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    other = factories.make_customer(firm, "Lena", "Vogel")
    told(client, firm, [EVENTS["created"]])
    changed_here(
        firm,
        customer_id=other.id,
        staff_id=firm.colleague.id,
        branch_id=firm.other.id,
        service_id=None,
        internal_notes="Farbe vom letzten Mal",
        end=FIRST + timedelta(minutes=90),
    )
    told(client, firm, [EVENTS["rescheduled"]])
    row = only_one(firm)
    assert (row.customer_id, row.staff_id, row.branch_id) == (other.id, firm.colleague.id, firm.other.id)
    assert (row.service_id, row.internal_notes) == (None, "Farbe vom letzten Mal")
    assert (row.start_time, row.end_time) == (SECOND, SECOND + timedelta(minutes=90))


def test_a_reschedule_to_somebody_else_goes_to_them(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    told(client, firm, [EVENTS["created"]])
    told(client, firm, [event("rescheduled", organizer={"id": 502, "email": "tim@salon.example"})])
    assert only_one(firm).staff_id == firm.colleague.id


def test_two_that_turn_out_to_be_one_keep_the_customer_that_was_put_right(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    other = factories.make_customer(firm, "Lena", "Vogel")
    told(client, firm, [EVENTS["created"]])
    changed_here(firm, customer_id=other.id, internal_notes="Farbe vom letzten Mal")
    post(client, firm, EVENTS["rescheduled_again"])
    with all_tenants("the test lets time pass"):
        for row in stored(firm):
            if row.status == "parked":
                factories.transaction(
                    lambda row=row: setattr(
                        db.session.get_one(WebhookEvent, row.id), "created_at", row.created_at - timedelta(minutes=2)
                    )
                )
    settle(firm)
    told(client, firm, [EVENTS["rescheduled"]])
    with tenant_scope(firm.id):
        rows = list(db.session.scalars(select(Appointment).where(Appointment.status != "cancelled")))
    assert [(row.start_time, row.customer_id, row.internal_notes) for row in rows] == [
        (THIRD, other.id, "Farbe vom letzten Mal")
    ]
