"""The calendar's pages ask the same of the database for one row and for five hundred; limits are one person's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from typing import Any

import pytest

from portal.db import db, utcnow
from portal.models import (
    Appointment,
    Booking,
    BranchClosure,
    CalcomEventType,
    Staff,
    StaffAbsence,
    WorkingHours,
)
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.queries import Queries

MANY = 500


def _closures(firm: Firm, start: int, count: int) -> Iterator[Any]:
    """Every other day, so that each is an entry of its own."""
    today = utcnow().date()
    for number in range(start, start + count):
        day = today + timedelta(days=2 * number + 1)
        yield BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=day, reason=f"Grund {number}")


def _absences(firm: Firm, start: int, count: int) -> Iterator[Any]:
    for number in range(start, start + count):
        at = utcnow() + timedelta(days=number)
        span = {"starts_at": at, "ends_at": at + timedelta(hours=3)}
        yield StaffAbsence(company_id=firm.id, staff_id=firm.stylist.id, kind="vacation", **span)


def _people(firm: Firm, start: int, count: int) -> Iterator[Any]:
    for number in range(start, start + count):
        yield Staff(company_id=firm.id, branch_id=firm.main.id, first_name=f"Nr. {number}", last_name="Muster")


def _hours(firm: Firm, start: int, count: int) -> Iterator[Any]:
    for number in range(start, start + count):
        span = {"opens_at": time(9), "closes_at": time(18), "weekday": number % 7 + 1}
        yield WorkingHours(company_id=firm.id, branch_id=firm.main.id, **span)


def _event_types(firm: Firm, start: int, count: int) -> Iterator[Any]:
    for number in range(start, start + count):
        known = {"calcom_event_type_id": 70_000 + number, "name": f"Art {number}", "duration_minutes": 30}
        yield CalcomEventType(company_id=firm.id, branch_id=firm.main.id, service_id=firm.cut.id, **known)


def _apart(firm: Firm, start: int, count: int) -> Iterator[Any]:
    for number in range(start, start + count):
        at = utcnow() + timedelta(days=2, hours=number)
        span = {"start_time": at, "end_time": at + timedelta(minutes=30)}
        known = {"branch_id": firm.main.id, "customer_id": firm.customer.id, "staff_id": firm.stylist.id}
        row = Appointment(company_id=firm.id, status="confirmed", service_id=firm.cut.id, **known, **span)
        db.session.add(row)
        db.session.flush()
        there = {"starts_at": at + timedelta(hours=1), "ends_at": at + timedelta(hours=2), "status": "ACCEPTED"}
        facts = {"provider": "calcom", "external_uid": f"bk_{number}", "sync_status": "conflict"}
        host = {"organizer": {"id": 7000 + number, "email": f"host-{number}@example.org"}}
        yield Booking(company_id=firm.id, appointment_id=row.id, raw_payload=host, **facts, **there)


PAGES: dict[str, Callable[[Firm, int, int], Iterator[Any]]] = {
    "/settings/closures": _closures,
    "/settings/absences": _absences,
    "/settings/absences/new": _people,
    "/settings/hours": _people,
    "/settings/hours/outside": _apart,
    "/settings/calcom": _event_types,
    "/appointments/out-of-step": _apart,
    "/calendar?view=week": _absences,
    "/calendar?view=month": _absences,
    "/calendar/today": _people,
    "/appointments/new": _people,
    "/appointments/slots?service={service}&branch={branch}": _absences,
}


@pytest.mark.parametrize("url", PAGES)
def test_a_page_asks_the_same_of_the_database_for_one_row_and_for_five_hundred(
    client: PortalClient, cast: Cast, url: str
) -> None:
    firm, rows = cast.salon, PAGES[url]
    client.sign_in(firm.owner)
    factories.within(firm, lambda: db.session.add_all(list(_hours(firm, 0, 1))))

    def asked(start: int, count: int) -> int:
        factories.within(firm, lambda: db.session.add_all(list(rows(firm, start, count))))
        with Queries() as asked:
            assert client.get(url.format(service=firm.cut.id, branch=firm.main.id)).status_code == 200
        return len(asked)

    assert asked(0, 1) == asked(1, MANY)


# ---- Limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "wrong"), [("/calendar/changes/AAAA2222", 404), ("/calendar/changes?code=x", 422)])
def test_one_person_s_wrong_codes_lock_out_nobody_else_at_the_same_address(
    limited: tuple[PortalClient, Cast], url: str, wrong: int
) -> None:
    client, cast = limited
    answers = [client.get(url).status_code for _ in range(31)]
    assert (answers[0], answers[-1]) == (wrong, 429)
    client.sign_in(cast.salon.staff)
    assert client.get(url).status_code == wrong
    assert client.get("/calendar/changes").status_code == 200


def test_many_calendars_may_be_asked_for_from_one_address(limited: tuple[PortalClient, Cast]) -> None:
    client, cast = limited
    _feed, one = factories.make_feed(cast.salon, cast.salon.owner)
    _feed, other = factories.make_feed(cast.praxis, cast.praxis.owner)
    answers = [client.get(f"/feeds/{one}.ics").status_code for _ in range(61)]
    assert (answers[0], answers[-1]) == (200, 429)
    assert client.get(f"/feeds/{other}.ics").status_code == 200
