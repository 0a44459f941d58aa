"""Who calls, who comes: one person a number, several people a number, and nobody guessed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.db import db, transaction
from portal.domain import audit, customers, said_names
from portal.domain.customers import Details
from portal.domain.errors import DomainError
from portal.models import AuditLog, Company, Customer, CustomerNote, CustomerPhone
from portal.tenancy import tenant_scope
from tests.cast import Cast

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LINE = "+4915233445566"


@pytest.fixture
def salon(cast: Cast) -> Iterator[Any]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def call(name: str | None = None, number: str | None = LINE, email: str | None = None) -> Customer | None:
    return transaction(lambda: customers.identify_caller(number, number, name, email, NOW))


def caller(name: str | None = None, number: str | None = LINE, email: str | None = None) -> Customer:
    found = call(name, number, email)
    assert found is not None
    return found


def attendee(name: str | None = None, phone: str | None = None, email: str | None = None) -> Customer:
    return transaction(lambda: customers.upsert_attendee(name, phone, email, NOW))


def how_many() -> int:
    return db.session.scalar(select(func.count()).select_from(Customer)) or 0


# ---- Callers ------------------------------------------------------------------------------------------


def test_a_new_number_becomes_a_customer_whose_name_is_unconfirmed(salon: Any) -> None:
    known = caller("Jörg Müller")
    assert (known.first_name, known.last_name, known.full_name) == ("Jörg", "Müller", "Jörg Müller")
    assert known.search_name == " jorg muller joerg mueller"
    assert (known.phone, known.phone_normalized, known.phone_rev) == (LINE, LINE, LINE[:0:-1])
    assert known.name_confirmed is False
    assert known.acquisition_date == date(2026, 11, 24)


def test_the_same_number_is_the_same_person_without_a_name(salon: Any) -> None:
    assert caller("Jörg Müller").id == caller().id


def test_a_withheld_number_is_nobody(salon: Any) -> None:
    before = how_many()
    assert call("Jörg Müller", None) is None
    assert how_many() == before


def test_a_line_without_a_name_gets_the_first_name_said_on_it(salon: Any) -> None:
    nameless = caller()
    assert nameless.full_name == ""
    named = caller("Aylin Demir")
    assert (named.id, named.full_name, named.name_confirmed) == (nameless.id, "Aylin Demir", False)


def test_a_longer_name_replaces_a_shorter_one_that_was_only_heard(salon: Any) -> None:
    short = caller("Müller")
    assert caller("Sabine Müller").full_name == "Sabine Müller"
    assert caller("Müller").full_name == "Sabine Müller"
    assert caller().id == short.id


def test_a_confirmed_name_is_not_changed_by_what_is_heard(salon: Any) -> None:
    booked = attendee("Sabine Müller", LINE)
    heard = caller("Sabine Marie Mueller")
    assert (heard.id, heard.full_name) == (booked.id, "Sabine Müller")


def test_another_name_on_the_same_line_is_another_person(salon: Any) -> None:
    mother, son = attendee("Sabine Müller", LINE), caller("Thomas Müller")
    assert mother.id != son.id
    assert son.name_confirmed is False
    assert caller("Thomas Müller").id == son.id


def test_a_misheard_last_name_is_still_the_same_person(salon: Any) -> None:
    booked = attendee("Anna Schmidt", LINE)
    assert caller("Anna Schmitt").id == booked.id


def test_in_a_household_the_name_decides(salon: Any) -> None:
    anna, ben = attendee("Anna Müller", LINE), attendee("Ben Müller", LINE)
    assert (caller("Ben Mueller").id, caller("Anna").id) == (ben.id, anna.id)


def test_in_a_household_nobody_is_guessed_without_a_name(salon: Any) -> None:
    attendee("Anna Müller", LINE)
    attendee("Ben Müller", LINE)
    before = how_many()
    assert call() is None
    assert call("Müller") is None
    assert how_many() == before


def test_in_a_household_the_only_confirmed_person_is_taken_without_a_name(salon: Any) -> None:
    confirmed = attendee("Anna Müller", LINE)
    caller("Thomas Kern")
    assert caller().id == confirmed.id


def test_in_a_household_the_address_decides_where_the_name_cannot(salon: Any) -> None:
    attendee("Anna Müller", LINE, "anna@mueller.example")
    ben = attendee("Ben Müller", LINE, "ben@mueller.example")
    assert caller(None, LINE, "Ben@Mueller.example").id == ben.id


@pytest.mark.parametrize("words", ["mir nicht", "unbekannt", "12345", "", "…", "ich weiß nicht so genau ja doch nein"])
def test_words_that_are_no_name_are_not_taken_for_one(salon: Any, words: str) -> None:
    assert caller(words).full_name == ""


def test_a_foreign_number_is_a_person_like_any_other(salon: Any) -> None:
    swiss = caller("Seher Muller", "+41446681800")
    assert (swiss.phone_normalized, caller(None, "+41446681800").id) == ("+41446681800", swiss.id)


def test_another_companys_customer_with_the_same_number_is_not_seen(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        ours = caller("Anna Müller")
    with tenant_scope(cast.praxis.id):
        theirs = caller("Anna Müller")
        assert customers.find_by_phone(LINE) == [theirs]
    assert ours.id != theirs.id


def test_a_further_number_identifies_too(salon: Any) -> None:
    person = attendee("Anna Müller", LINE, "anna@mueller.example")
    assert attendee("Anna Müller", "030 4412907", "anna@mueller.example").id == person.id
    assert caller(None, "+49304412907").id == person.id
    assert person.phone_normalized == LINE


def test_erased_and_merged_people_are_not_found(salon: Any) -> None:
    person = caller("Anna Müller")

    def leave() -> None:
        db.session.get_one(Customer, person.id).is_active = False

    transaction(leave)
    assert customers.find_by_phone(LINE) == []


# ---- Bookings -----------------------------------------------------------------------------------------


def test_a_booking_confirms_the_name_said_on_the_phone(salon: Any) -> None:
    heard = caller("Cagla Grossmann")
    booked = attendee("Çağla Großmann-Ünal", "0152 33445566", "C.Grossmann@Kanzlei.example")
    assert (booked.id, booked.full_name, booked.name_confirmed) == (heard.id, "Çağla Großmann-Ünal", True)
    assert booked.email == "c.grossmann@kanzlei.example"


def test_a_booking_by_e_mail_alone_makes_a_customer_without_a_number(salon: Any) -> None:
    booked = attendee("Petra Müller", None, "p.mueller@post.example")
    assert (booked.phone, booked.phone_normalized, booked.name_confirmed) == ("", None, True)
    assert attendee("Petra Müller", None, "P.Mueller@post.example").id == booked.id


def test_a_shared_address_is_not_one_person(salon: Any) -> None:
    one = attendee("Petra Müller", None, "familie@mueller.example")
    assert attendee("Klaus Müller", None, "familie@mueller.example").id != one.id


def test_a_number_joins_a_customer_known_by_address(salon: Any) -> None:
    known = attendee("Petra Müller", None, "p.mueller@post.example")
    booked = attendee("Petra Müller", "030 4412907", "p.mueller@post.example")
    assert (booked.id, booked.phone_normalized) == (known.id, "+49304412907")


def test_the_address_made_up_for_text_messages_is_none(salon: Any) -> None:
    assert attendee("Petra Müller", LINE, "+4915233445566@sms.cal.com").email is None


def test_a_booking_without_a_name_still_has_a_customer(salon: Any) -> None:
    unnamed = attendee(None, LINE)
    assert (unnamed.full_name, unnamed.name_confirmed) == ("", False)


def test_the_same_booking_twice_is_one_customer_with_one_number(salon: Any) -> None:
    first = attendee("Anna Müller", "0152/33445566", "anna@mueller.example")
    assert attendee("Anna Müller", "+49 152 33445566", "anna@mueller.example").id == first.id
    assert db.session.scalar(select(func.count()).select_from(CustomerPhone)) == 0


# ---- Two at once ----------------------------------------------------------------------------------------


def at_once(app: Flask, company_id: int, work: Callable[[int, int], Any], times: int = 6, rounds: int = 4) -> list[Any]:
    """Run ``work(process, round)`` in that many processes, each round started by a barrier; results of each round."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(times), context.Queue()

    def run(number: int) -> None:
        with app.app_context(), tenant_scope(company_id):
            db.engine.dispose(close=False)
            db.session.execute(select(Customer.id).limit(1))  # connected before the start
            for turn in range(rounds):
                barrier.wait(60)
                try:
                    results.put((turn, transaction(lambda turn=turn: work(number, turn))))  # type: ignore[misc]
                except Exception as error:  # noqa: BLE001  whatever it is, the test must see it
                    results.put((turn, repr(error)))

    processes = [context.Process(target=run, args=(number,)) for number in range(times)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in range(times * rounds)]
    for process in processes:
        process.join(60)
    return [{result for turn, result in found if turn == wanted} for wanted in range(rounds)]


def numbered(turn: int) -> str:
    return f"+491523344560{turn}"


def test_many_processes_identifying_a_new_number_make_one_customer(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app

    def identify(number: int, turn: int) -> int | None:
        found = customers.identify_caller(numbered(turn), None, "Anna Müller", None, NOW)
        return found.id if found else None

    for ids in at_once(app, cast.salon.id, identify):
        assert len(ids) == 1
        assert isinstance(ids.pop(), int)
    with tenant_scope(cast.salon.id):
        assert [len(customers.find_by_phone(numbered(turn))) for turn in range(4)] == [1, 1, 1, 1]


def test_a_call_and_a_booking_at_once_make_one_customer(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app

    def meet(number: int, turn: int) -> int | None:
        if number % 2:
            return customers.upsert_attendee("Anna Müller", numbered(turn), None, NOW).id
        found = customers.identify_caller(numbered(turn), None, "Anna", None, NOW)
        return found.id if found else None

    for ids in at_once(app, cast.salon.id, meet):
        assert len(ids) == 1
        assert isinstance(ids.pop(), int)
    with tenant_scope(cast.salon.id):
        assert {person.full_name for turn in range(4) for person in customers.find_by_phone(numbered(turn))} == {
            "Anna Müller"
        }


def test_a_company_whose_balance_is_not_opened_yet_still_gets_customers(app: Flask) -> None:
    def found() -> int:
        company = Company(tenant_id="new", name="Neu")
        db.session.add(company)
        db.session.flush()
        return company.id

    with tenant_scope(transaction(found)):
        assert caller("Anna Müller").full_name == "Anna Müller"


# ---- What people write down ----------------------------------------------------------------------------


def enter(now: datetime = NOW, another: bool = False, **values: Any) -> Customer:
    return transaction(lambda: customers.create(Details(**values), now, another=another))


def test_a_customer_entered_by_a_person_has_a_confirmed_name(salon: Any) -> None:
    made = enter(first_name="Jörg", last_name="Müller", phone="0231 / 27 48-70")
    assert (made.phone, made.phone_normalized, made.name_confirmed) == ("0231 / 27 48-70", "+49231274870", True)


def test_the_same_form_twice_makes_one_customer(salon: Any) -> None:
    values = {"last_name": "Müller", "phone": "0231 274870"}
    assert enter(**values).id == enter(NOW + timedelta(minutes=1), **values).id


def test_a_known_number_is_pointed_out_before_another_person_is_entered(salon: Any) -> None:
    known = enter(last_name="Müller", phone="0231 274870")
    with pytest.raises(customers.PossibleDuplicate) as refused:
        enter(first_name="Ben", last_name="Müller", phone="+49 231 274870")
    assert [person.id for person in refused.value.people] == [known.id]
    assert enter(another=True, first_name="Ben", last_name="Müller", phone="+49 231 274870").id != known.id


@pytest.mark.parametrize(
    ("values", "field"), [({}, "last_name"), ({"phone": "274870"}, "phone"), ({"phone": "Anna 123"}, "phone")]
)
def test_what_cannot_be_a_customer_is_refused_beside_its_field(salon: Any, values: dict[str, Any], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        enter(**values)
    assert refused.value.field == field


def test_the_audit_names_what_was_changed_but_not_the_data_itself(salon: Any) -> None:
    made = enter(last_name="Müller", phone="0231 274870")

    def change() -> None:
        row = db.session.get_one(Customer, made.id)
        customers.update_details(row, Details(last_name="Müller", phone="0231 274871"))

    with audit.acting(audit.Actor(salon.owner.id)):
        transaction(change)
    row = db.session.scalars(select(AuditLog).where(AuditLog.action == "customer.changed")).one()
    assert (row.model_id, row.user_id, row.new_values) == (made.id, salon.owner.id, {"fields": ["phone"]})


def test_a_number_in_another_spelling_is_no_change(salon: Any) -> None:
    made = enter(last_name="Müller", phone="0231 274870")
    transaction(
        lambda: customers.update_details(
            db.session.get_one(Customer, made.id), Details(last_name="Müller", phone="+49 (0)231 / 274870")
        )
    )
    assert not db.session.scalars(select(AuditLog).where(AuditLog.action == "customer.changed")).all()


def test_blocking_needs_a_reason(salon: Any) -> None:
    made = enter(last_name="Müller")
    with pytest.raises(DomainError, match=r".") as refused:
        transaction(lambda: customers.block(db.session.get_one(Customer, made.id), "  "))
    assert refused.value.field == "reason"
    transaction(lambda: customers.block(db.session.get_one(Customer, made.id), "kam dreimal nicht"))
    assert db.session.get_one(Customer, made.id).blocked_reason == "kam dreimal nicht"


def test_the_same_note_twice_is_one_note(salon: Any) -> None:
    made = enter(last_name="Müller")
    for _ in range(2):
        transaction(
            lambda: customers.add_note(db.session.get_one(Customer, made.id), salon.owner.id, " Farbe 7/43 ", NOW)
        )
    assert [note.body for note in db.session.scalars(select(CustomerNote))] == ["Farbe 7/43"]


# ---- Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Frau Müller", "Müller"),
        ("Herr Dr. Hans-Peter Lüdenscheidt", "Hans-Peter Lüdenscheidt"),
        ("Müller, Sabine", "Sabine Müller"),
        ("  Çağla   Großmann-Ünal ", "Çağla Großmann-Ünal"),
        ("O’Brien", "O’Brien"),
        ("Friedhelm Graf von Müller zu Hohenstein", "Friedhelm Graf von Müller zu Hohenstein"),
        ("Frau", None),
        ("Testanruf 123", None),
    ],
)
def test_a_name_is_cleaned_of_what_does_not_belong_to_it(said: str, name: str | None) -> None:
    assert said_names.clean(said) == name


def test_one_word_is_the_last_name() -> None:
    assert said_names.halves("Müller") == (None, "Müller")
    assert said_names.halves("Friedhelm Graf von Müller") == ("Friedhelm", "Graf von Müller")


@pytest.mark.parametrize(
    ("known", "said", "same"),
    [
        ("Sabine Müller", "Mueller", True),
        ("Sabine Müller", "Sabine Muller", True),
        ("Anna Meyer", "Anna Maier", True),
        ("Anna Müller", "Hanna Müller", False),
        ("Anna Müller", "Ben Müller", False),
        ("", "Ben Müller", False),
        ("Anna Müller", "Anna Wójcik", False),
    ],
)
def test_two_names_on_one_line_are_one_person_or_not(known: str, said: str, same: bool) -> None:
    assert said_names.same_person(known, said) is same
