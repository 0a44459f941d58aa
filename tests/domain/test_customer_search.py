"""The list of customers: every spelling finds them, pages neither repeat nor lose anybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.db import db, transaction, utcnow
from portal.domain import customer_history, customer_search
from portal.domain.customer_search import Wish
from portal.domain.search_names import search_name
from portal.models import Appointment, Call, Customer, CustomerNote, CustomerPhone
from portal.tenancy import tenant_scope
from tests.cast import Cast

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def salon(cast: Cast) -> Iterator[Any]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def write(*rows: Any) -> None:
    def add() -> None:
        db.session.add_all(rows)

    transaction(add)


def customer(firm: Any, first: str | None, last: str | None, **values: Any) -> Customer:
    defaults = {"created_at": NOW - timedelta(days=100), "search_name": search_name(first, last)}
    made = Customer(company_id=firm.id, first_name=first, last_name=last, **(defaults | values))
    write(made)
    return made


def names(**wish: Any) -> list[str]:
    page = customer_search.search(Wish(**wish), NOW, "DE")
    return [row.customer.full_name for row in page.rows]


@pytest.mark.parametrize("query", ["Müller", "mueller", "MULLER", "jür mül", "Mueller Jurgen", "juergen"])
def test_a_name_is_found_in_every_spelling(salon: Any, query: str) -> None:
    customer(salon, "Jürgen", "Müller")
    customer(salon, "Juergen", "Mueller")
    customer(salon, "Anna", "Klein")
    assert sorted(names(query=query)) == ["Juergen Mueller", "Jürgen Müller"]


@pytest.mark.parametrize(
    "query", ["+49 152 33445566", "0152/334455-66", "0049152 33445566", "445566", "(0152) 33445566"]
)
def test_a_number_is_found_in_every_spelling_and_by_its_end(salon: Any, query: str) -> None:
    customer(salon, "Anna", "Klein", phone="0152", phone_normalized="+4915233445566")
    assert names(query=query) == ["Anna Klein"]


def test_a_further_number_finds_its_customer_too(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    write(CustomerPhone(company_id=salon.id, customer_id=anna.id, phone="x", phone_normalized="+49304412907"))
    assert names(query="4412907") == ["Anna Klein"]


def test_an_address_is_found_from_its_beginning(salon: Any) -> None:
    customer(salon, "Petra", "Müller", email="p_mueller@post.example")
    customer(salon, "Paul", "Other", email="pxmueller@post.example")
    assert names(query="P_Mueller@") == ["Petra Müller"]


@pytest.mark.parametrize("query", ["%", "_", "…", "'", "\\", "foo(", "@@"])
def test_a_query_of_signs_finds_nobody_and_breaks_nothing(salon: Any, query: str) -> None:
    assert names(query=query) == []


def test_the_newest_come_first_and_erased_people_not_at_all(salon: Any) -> None:
    customer(salon, None, "Alt", created_at=NOW - timedelta(days=9))
    customer(salon, None, "Neu", created_at=utcnow() + timedelta(days=1))  # the cast is as old as this run
    customer(salon, None, "Weg", is_active=False, created_at=utcnow() + timedelta(days=2))
    assert names()[0] == "Neu"
    assert "Weg" not in names()


def test_filters_show_the_new_the_unconfirmed_and_the_blocked(salon: Any) -> None:
    customer(salon, None, "Neu", created_at=NOW - timedelta(days=2))
    customer(salon, None, "Unklar", name_confirmed=False)
    customer(salon, None, "Gesperrt", is_blocked=True)
    assert "Neu" in names(only="new")
    assert not {"Unklar", "Gesperrt"} & set(names(only="new"))
    assert names(only="unconfirmed") == ["Unklar"]
    assert names(only="blocked") == ["Gesperrt"]


@pytest.mark.parametrize("order", customer_search.ORDERS)
def test_pages_neither_repeat_nor_lose_anybody(salon: Any, order: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(customer_search, "PAGE", 3)
    for number in range(4):
        customer(salon, "Anna", "Gleich")
        customer(salon, f"Ben{number}", None)
        customer(salon, None, f"Zoë{number}")
        customer(salon, None, None, phone_normalized=f"+4915200000{number}00")
    seen: list[int] = []
    after = ""
    while True:
        page = customer_search.search(Wish(order=order, after=after), NOW, "DE")
        seen += [row.customer.id for row in page.rows]
        assert (page.total is None) is bool(after)
        if page.older is None:
            break
        after = page.older
    assert len(seen) == len(set(seen)) == 17


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "WyJuYW1lIiwxLCJhIl0", "WyJuZXdlc3QiLDEsMl0"])
def test_a_cursor_that_is_none_of_ours_is_the_first_page(salon: Any, cursor: str) -> None:
    customer(salon, None, "Da")
    assert "Da" in names(after=cursor)


def test_counting_stops_at_the_cap(salon: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(customer_search, "MOST", 2)
    for _ in range(3):
        customer(salon, "Anna", "Klein")
    page = customer_search.search(Wish(query="klein"), NOW, "DE")
    assert (page.total, page.more) == (2, True)


def test_another_companys_customers_are_not_found(cast: Cast) -> None:
    with tenant_scope(cast.praxis.id):
        customer(cast.praxis, "Nur", "Praxis", phone_normalized="+4915233445566")
    with tenant_scope(cast.salon.id):
        assert names(query="Praxis") == names(query="33445566") == []


def test_what_was_found_is_marked_in_the_name() -> None:
    assert customer_search.segments("Anneliese Müller-Lüdenscheidt", "mueller") == [
        ("Anneliese", False),
        (" ", False),
        ("Müller", True),
        ("-", False),
        ("Lüdenscheidt", False),
    ]


# ---- One customer over time -------------------------------------------------------------------------------


def appointment(firm: Any, person: Customer, start: datetime, **values: Any) -> Appointment:
    defaults = {"branch_id": firm.main.id, "staff_id": firm.stylist.id, "service_id": firm.cut.id}
    made = Appointment(
        company_id=firm.id,
        customer_id=person.id,
        start_time=start,
        end_time=start + timedelta(minutes=45),
        **(defaults | values),
    )
    write(made)
    return made


def call(firm: Any, person: Customer, number: int, start: datetime, **values: Any) -> Call:
    defaults = {"branch_id": firm.main.id, "status": "completed"}
    made = Call(
        company_id=firm.id, customer_id=person.id, call_id=f"h-{number}", started_at=start, **(defaults | values)
    )
    write(made)
    return made


def test_the_timeline_mixes_calls_appointments_and_notes_newest_first(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    call(salon, anna, 1, NOW - timedelta(days=3))
    appointment(salon, anna, NOW - timedelta(days=1))
    write(
        CustomerNote(
            company_id=salon.id,
            customer_id=anna.id,
            author_id=salon.owner.id,
            body="Farbe",
            created_at=NOW - timedelta(days=2),
        )
    )
    entries = customer_history.timeline(anna)
    assert [entry.kind for entry in entries] == ["appointment", "note", "call"]
    assert (entries[0].appointment and entries[0].appointment.staff.display_name) == "Sofia Klein"
    assert [entry.kind for entry in customer_history.timeline(anna, 2)] == ["appointment", "note"]
    assert [e.kind for e in customer_history.timeline(anna, kinds=["call"])] == ["call"]
    assert [e.kind for e in customer_history.timeline(anna, after=entries[1].cursor)] == ["call"]


def test_the_pages_of_a_timeline_lose_nothing_of_one_moment(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    for number in range(3):
        call(salon, anna, number, NOW)
        appointment(salon, anna, NOW)
        write(CustomerNote(company_id=salon.id, customer_id=anna.id, body=str(number), created_at=NOW))
    seen: list[tuple[str, int]] = []
    after = None
    while page := customer_history.timeline(anna, 2, after=after):
        seen += [(entry.kind, entry.id) for entry in page]
        after = customer_history.Cursor.parse(str(page[-1].cursor))
    assert len(seen) == len(set(seen)) == 9


def test_people_of_one_branch_see_that_branchs_part_of_a_customer(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    appointment(salon, anna, NOW - timedelta(days=1), status="completed", price=Decimal("58.00"))
    appointment(salon, anna, NOW + timedelta(days=1), branch_id=salon.other.id)
    call(salon, anna, 1, NOW, branch_id=salon.other.id)
    mine = [salon.main.id]
    assert [entry.kind for entry in customer_history.timeline(anna, branch_ids=mine)] == ["appointment"]
    assert customer_history.next_appointment(anna, NOW, mine) is None
    assert customer_history.figures(anna, mine).calls == 0
    assert customer_history.figures(anna).calls == 1


def test_figures_count_what_happened_and_what_it_brought(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    for day, status in ((9, "completed"), (8, "completed"), (7, "no_show"), (6, "cancelled"), (-1, "confirmed")):
        appointment(salon, anna, NOW - timedelta(days=day), status=status, price=Decimal("58.00"))
    call(salon, anna, 1, NOW, appointment_created=True)
    call(salon, anna, 2, NOW)
    found = customer_history.figures(anna)
    assert (found.completed, found.spent, found.average) == (2, Decimal("116.00"), Decimal("58.00"))
    assert (found.last_visit, found.last_no_show) == (NOW - timedelta(days=8), NOW - timedelta(days=7))
    assert (found.cancelled, found.no_shows, found.calls, found.booked_calls) == (1, 1, 2, 1)


def test_a_customer_without_a_history_has_figures_of_zero(salon: Any) -> None:
    assert customer_history.figures(customer(salon, "Anna", "Klein")) == customer_history.Figures()


def test_the_next_appointment_is_the_one_that_is_not_over(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    running = appointment(salon, anna, NOW - timedelta(minutes=10))
    appointment(salon, anna, NOW + timedelta(days=1))
    appointment(salon, anna, NOW - timedelta(minutes=20), status="cancelled")
    found = customer_history.next_appointment(anna, NOW)
    assert found is not None
    assert found.id == running.id


def test_the_list_shows_visits_and_the_next_appointment(salon: Any) -> None:
    anna = customer(salon, "Anna", "Klein")
    appointment(salon, anna, NOW - timedelta(days=1), status="completed", price=Decimal("58.00"))
    appointment(salon, anna, NOW + timedelta(days=1))
    (row,) = customer_search.search(Wish(query="Klein"), NOW, "DE").rows
    assert (row.visits.completed, row.visits.spent) == (1, Decimal("58.00"))
    assert (row.visits.last, row.visits.next) == (NOW - timedelta(days=1), NOW + timedelta(days=1))
