"""The pages of customers: found in every spelling, entered once, and seen only by who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.domain.search_names import search_name
from portal.models import Appointment, Call, Customer, CustomerNote, CustomerPhone
from portal.tenancy import tenant_scope
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.queries import Queries

MOST_QUERIES = 13


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Iterator[Any]:
    client.sign_in(cast.salon.owner)
    with tenant_scope(cast.salon.id):
        yield cast.salon


def write(*rows: Any) -> None:
    transaction(lambda: db.session.add_all(rows))


def person(firm: Any, first: str | None, last: str | None, **values: Any) -> Customer:
    made = Customer(
        company_id=firm.id, first_name=first, last_name=last, **({"search_name": search_name(first, last)} | values)
    )
    write(made)
    return made


def history(firm: Any, customer: Customer, number: int, branch: Any = None) -> None:
    start = utcnow() - timedelta(days=number)
    place = (branch or firm.main).id
    write(
        Call(
            company_id=firm.id, customer_id=customer.id, branch_id=place, call_id=f"v-{customer.id}-{number}",
            started_at=start, status="completed", duration_seconds=60, summary=f"Zusammenfassung {number}",
        ),
        Appointment(
            company_id=firm.id, customer_id=customer.id, branch_id=place, staff_id=firm.stylist.id,
            service_id=firm.cut.id, start_time=start, end_time=start + timedelta(minutes=30),
        ),
        CustomerNote(company_id=firm.id, customer_id=customer.id, author_id=firm.owner.id, body=f"Notiz {number}"),
    )  # fmt: skip


# ---- The list ---------------------------------------------------------------------------------------------


def test_the_list_links_every_customer(client: PortalClient, salon: Any) -> None:
    page = client.get("/customers")
    assert page.status_code == 200
    assert f'href="/customers/{salon.customer.id}"' in page.text


@pytest.mark.parametrize("query", ["mueller", "Müller", "muller"])
def test_a_search_finds_every_spelling_and_marks_it(client: PortalClient, salon: Any, query: str) -> None:
    person(salon, "Jürgen", "Müller")
    person(salon, "Moritz", "Mueller")
    found = client.get("/customers", query_string={"q": query}).text
    assert "<mark>Müller</mark>" in found
    assert "<mark>Mueller</mark>" in found
    assert "Aylin" not in found


def test_htmx_gets_the_list_alone(client: PortalClient, salon: Any) -> None:
    part = client.htmx("GET", "/customers?q=demir")
    assert "<html" not in part.text
    assert 'id="list"' in part.text


def test_a_search_without_a_hit_says_what_helps(client: PortalClient, salon: Any) -> None:
    page = client.get("/customers?q=xyzxyz").text
    assert "xyzxyz" in page
    assert 'href="/customers"' in page


def test_what_is_typed_is_shown_as_text(client: PortalClient, salon: Any) -> None:
    assert "<script>alert" not in client.get("/customers?q=<script>alert(1)</script>").text


def test_a_company_without_customers_is_told_what_comes(client: PortalClient, salon: Any) -> None:
    transaction(lambda: db.session.delete(db.session.get_one(Customer, salon.customer.id)))
    assert "/customers/new" in client.get("/customers").text


def test_the_list_asks_as_often_for_one_customer_as_for_many(client: PortalClient, salon: Any) -> None:
    with Queries() as few:
        client.get("/customers")
    for number in range(8):
        history(salon, person(salon, "Anna", f"Klein{number}"), number)
    with Queries() as many:
        client.get("/customers")
    assert len(few) == len(many) <= MOST_QUERIES


# ---- One person -------------------------------------------------------------------------------------------


def test_a_person_is_shown_with_history_and_notes(client: PortalClient, salon: Any) -> None:
    history(salon, salon.customer, 3)
    page = client.get(f"/customers/{salon.customer.id}").text
    for words in ("Aylin Demir", "Zusammenfassung 3", "Damenhaarschnitt", "Notiz 3", "030 5550100"):
        assert words in page


def test_a_person_asks_as_often_with_a_long_history_as_without(client: PortalClient, salon: Any) -> None:
    with Queries() as few:
        client.get(f"/customers/{salon.customer.id}")
    for number in range(12):
        history(salon, salon.customer, number)
    with Queries() as many:
        client.get(f"/customers/{salon.customer.id}")
    assert len(few) == len(many) <= MOST_QUERIES


def test_an_older_part_of_the_history_is_a_page_of_its_own(client: PortalClient, salon: Any) -> None:
    for number in range(1, 13):
        history(salon, salon.customer, number)
    page = client.get(f"/customers/{salon.customer.id}").text
    assert "Zusammenfassung 12" not in page
    after = page.split("after=")[1].split('"')[0]
    assert "Zusammenfassung 12" in client.get(f"/customers/{salon.customer.id}?after={after}").text
    assert client.get(f"/customers/{salon.customer.id}?after=nonsense").status_code == 200


def test_calls_or_appointments_alone_can_be_chosen(client: PortalClient, salon: Any) -> None:
    history(salon, salon.customer, 3)
    calls = client.htmx("GET", f"/customers/{salon.customer.id}?k=calls").text
    assert "Zusammenfassung 3" in calls
    assert "Damenhaarschnitt" not in calls


def test_people_of_one_branch_see_that_branchs_history_only(client: PortalClient, cast: Cast, salon: Any) -> None:
    history(salon, salon.customer, 3, salon.other)
    client.sign_in(salon.staff)
    page = client.get(f"/customers/{salon.customer.id}").text
    assert "Zusammenfassung 3" not in page
    assert "Damenhaarschnitt" not in page
    assert "Notiz 3" in page


def test_another_companys_customer_is_not_there(client: PortalClient, cast: Cast, salon: Any) -> None:
    foreign, missing = cast.praxis.customer.id, 999_999
    for path in ("", "/edit"):
        assert client.get(f"/customers/{foreign}{path}").status_code == 404
        assert client.get(f"/customers/{missing}{path}").status_code == 404
    for path in ("/notes", "/block", "/unblock", "/confirm-name", "/phones", "/edit"):
        assert client.post(f"/customers/{foreign}{path}", data={"body": "x", "reason": "x"}).status_code == 404


def test_the_bookkeeper_sees_no_customers(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.bookkeeper)
    for path in ("", "/new", f"/{cast.salon.customer.id}", "/similar"):
        assert client.get(f"/customers{path}").status_code == 403


def test_an_erased_person_has_no_name_and_nothing_to_change(client: PortalClient, salon: Any) -> None:
    gone = person(salon, None, None, is_active=False, erased_at=utcnow())
    page = client.get(f"/customers/{gone.id}")
    assert page.status_code == 200
    assert f"/customers/{gone.id}/edit" not in page.text
    assert client.get(f"/customers/{gone.id}/edit").status_code == 404


# ---- Entering ---------------------------------------------------------------------------------------------


def test_a_customer_can_be_entered(client: PortalClient, salon: Any) -> None:
    answer = client.post(
        "/customers/new",
        data={
            "first_name": " Çağla ",
            "last_name": "Großmann-Ünal",
            "phone": "0152/33 44 55 66",
            "email": "C.G@Kanzlei.example",
            "date_of_birth": "1990-05-14",
        },
    )
    assert answer.status_code == 303
    made = db.session.scalars(select(Customer).where(Customer.phone_normalized == "+4915233445566")).one()
    assert (made.full_name, made.email, made.name_confirmed) == ("Çağla Großmann-Ünal", "c.g@kanzlei.example", True)
    assert answer.location.endswith(f"/customers/{made.id}")


def test_the_same_form_twice_is_one_customer(client: PortalClient, salon: Any) -> None:
    data = {"last_name": "Müller", "phone": "0231 274870"}
    first, second = (client.post("/customers/new", data=data) for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "last_name"),
        ({"last_name": "Müller", "phone": "274870"}, "phone"),
        ({"last_name": "Müller", "phone": "kein Anschluss"}, "phone"),
        ({"last_name": "Müller", "email": "müller"}, "email"),
        ({"last_name": "Müller", "date_of_birth": "2999-01-01"}, "date_of_birth"),
        ({"last_name": "M" * 101}, "last_name"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    client: PortalClient, salon: Any, data: dict[str, str], field: str
) -> None:
    answer = client.post("/customers/new", data=data)
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert db.session.scalar(select(func.count()).select_from(Customer)) == 1


def test_a_known_number_is_a_hint_that_can_be_overruled(client: PortalClient, salon: Any) -> None:
    data = {"first_name": "Mert", "last_name": "Demir", "phone": "030 5550100"}
    refused = client.post("/customers/new", data=data)
    assert refused.status_code == 422
    assert f'href="/customers/{salon.customer.id}"' in refused.text
    assert client.post("/customers/new", data={**data, "another": "y"}).status_code == 303


def test_the_hint_comes_while_typing(client: PortalClient, salon: Any) -> None:
    part = client.htmx("GET", "/customers/similar?phone=030%205550100&email=")
    assert f'href="/customers/{salon.customer.id}"' in part.text
    own = client.htmx("GET", f"/customers/similar?phone=030%205550100&besides={salon.customer.id}")
    assert "href" not in own.text


def test_details_can_be_corrected_and_the_search_finds_the_new_name(client: PortalClient, salon: Any) -> None:
    form = client.get(f"/customers/{salon.customer.id}/edit").text
    assert 'value="Aylin"' in form
    assert 'value="030 5550100"' in form
    data = {"first_name": "Aylin", "last_name": "Öztürk", "phone": "030 5550100"}
    assert client.post(f"/customers/{salon.customer.id}/edit", data=data).status_code == 303
    assert "Öztürk" in client.get("/customers?q=oeztuerk").text


def test_a_wrong_correction_comes_back_and_changes_nothing(client: PortalClient, salon: Any) -> None:
    answer = client.post(f"/customers/{salon.customer.id}/edit", data={"last_name": "X", "phone": "12"})
    assert answer.status_code == 422
    assert 'id="phone-e"' in answer.text
    assert db.session.get_one(Customer, salon.customer.id).last_name == "Demir"


def test_a_further_number_can_be_added_and_removed(client: PortalClient, salon: Any) -> None:
    path = f"/customers/{salon.customer.id}/phones"
    assert client.post(path, data={"further_phone": "030"}).status_code == 422
    assert client.post(path, data={"further_phone": "030 4412907"}).status_code == 303
    number = db.session.scalars(select(CustomerPhone)).one()
    assert "030 4412907" in client.get(f"/customers/{salon.customer.id}").text
    assert client.post(f"{path}/{number.id}/remove").status_code == 303
    assert db.session.scalars(select(CustomerPhone)).all() == []


# ---- Notes, blocking, names heard -------------------------------------------------------------------------


def test_a_note_is_added_in_place_or_as_a_plain_form(client: PortalClient, salon: Any) -> None:
    path = f"/customers/{salon.customer.id}/notes"
    part = client.htmx("POST", path, data={"body": "Farbe 7/43"})
    assert part.status_code == 200
    assert "Farbe 7/43" in part.text
    assert "<html" not in part.text
    assert client.post(path, data={"body": "Kein Ammoniak"}).status_code == 303
    assert len(db.session.scalars(select(CustomerNote)).all()) == 2


def test_an_empty_note_comes_back_with_its_message(client: PortalClient, salon: Any) -> None:
    path = f"/customers/{salon.customer.id}/notes"
    for answer in (client.htmx("POST", path, data={"body": "  "}), client.post(path, data={"body": "x" * 5001})):
        assert answer.status_code == 422
        assert 'id="body-e"' in answer.text


def test_a_person_is_blocked_with_a_reason_and_unblocked(client: PortalClient, salon: Any) -> None:
    path = f"/customers/{salon.customer.id}"
    assert client.post(f"{path}/block", data={"reason": ""}).status_code == 422
    assert client.post(f"{path}/block", data={"reason": "kam dreimal nicht"}).status_code == 303
    assert "kam dreimal nicht" in client.get(path).text
    assert "Aylin" in client.get("/customers?show=blocked").text
    assert client.post(f"{path}/unblock").status_code == 303
    assert not db.session.get_one(Customer, salon.customer.id).is_blocked


def test_a_name_that_was_heard_can_be_confirmed(client: PortalClient, salon: Any) -> None:
    heard = person(salon, "Marek", "Kowalski", name_confirmed=False)
    assert f"/customers/{heard.id}/confirm-name" in client.get(f"/customers/{heard.id}").text
    client.post(f"/customers/{heard.id}/confirm-name")
    assert db.session.get_one(Customer, heard.id, populate_existing=True).name_confirmed


def test_a_change_needs_the_token(client: PortalClient, salon: Any) -> None:
    client.csrf = False
    assert client.post(f"/customers/{salon.customer.id}/block", data={"reason": "x"}).status_code == 400
