"""Erasing a person: nothing that names them stays, what money and statistics need does."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import call_reports, calls, erasure
from portal.domain.errors import DomainError
from portal.models import Appointment, Call, CallContent, CallFollowup, Customer
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast
from tests.webhooks.retell_payloads import ms, payload


def test_everything_that_names_the_person_goes_and_the_figures_stay(cast: Cast) -> None:
    firm = cast.salon
    call = factories.make_call(firm, transcript="Hier ist Aylin Demir", summary="Frau Demir bucht")
    visit = factories.make_appointment(firm, internal_notes="Allergie", cancellation_reason="Krank")
    other = factories.make_call(firm, customer_id=None, phone_number="+4915299887766", summary="Jemand anderes")
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    with tenant_scope(firm.id):
        person = db.session.get_one(Customer, firm.customer.id)
        assert (person.full_name, person.phone, person.phone_normalized, person.phone_rev) == ("", "", None, None)
        assert (person.email, person.is_active) == (None, False)
        assert person.erased_at
        assert db.session.scalar(select(CallContent).where(CallContent.call_id == call.id)) is None
        kept = db.session.get_one(Call, call.id)
        assert (kept.summary, kept.phone_number, kept.duration_seconds) == (None, None, 60)
        seen = db.session.get_one(Appointment, visit.id)
        assert (seen.internal_notes, seen.cancellation_reason, seen.status) == (None, None, "confirmed")
        assert db.session.get_one(Call, other.id).summary == "Jemand anderes"


def test_a_second_time_changes_nothing_and_a_foreign_person_is_unknown(cast: Cast) -> None:
    firm = cast.salon
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    with tenant_scope(firm.id):
        first = db.session.get_one(Customer, firm.customer.id).erased_at
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    with tenant_scope(firm.id):
        assert db.session.get_one(Customer, firm.customer.id).erased_at == first
    with pytest.raises(DomainError):
        factories.within(firm, lambda: erasure.erase_customer(cast.praxis.customer.id, utcnow()))


def test_a_report_that_comes_after_the_erasure_brings_nothing_back(cast: Cast) -> None:
    """The provider repeats for days, and an operator may have a delivery handled again."""
    firm = cast.salon
    call = factories.make_call(firm, transcript="Hier ist Aylin Demir", summary="Frau Demir bucht")
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    body = payload("call_analyzed", call_id=call.call_id, start_timestamp=ms(call.started_at))
    report = call_reports.read(body["event"], body)
    factories.within(firm, lambda: calls.record(report, utcnow(), utcnow()))
    db.session.rollback()
    with tenant_scope(firm.id):
        kept = db.session.scalars(select(Call).where(Call.id == call.id)).one()
        assert (kept.phone_number, kept.from_number, kept.summary, kept.custom_data) == (None, None, None, None)
        assert (kept.recording_url, kept.customer_id) == (None, firm.customer.id)
        assert db.session.scalars(select(CallContent)).all() == []
        assert db.session.scalars(select(CallFollowup)).all() == []
        assert db.session.scalars(select(Customer.id).where(Customer.erased_at.is_(None))).all() == []


def test_calls_from_their_number_go_too_where_nobody_else_has_it(cast: Cast) -> None:
    """Who hung up before anybody knew them has left a number all the same."""
    firm = cast.salon
    number = firm.customer.phone_normalized
    nameless = factories.make_call(firm, "Hier ist Aylin", customer_id=None, from_number=number, summary="Frau Demir")
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    db.session.rollback()
    with tenant_scope(firm.id):
        kept = db.session.scalars(select(Call).where(Call.id == nameless.id)).one()
        assert (kept.phone_number, kept.from_number, kept.summary) == (None, None, None)
        assert db.session.scalars(select(CallContent)).all() == []


def test_a_number_that_another_customer_has_as_well_stays_with_their_calls(cast: Cast) -> None:
    firm = cast.salon
    number = firm.customer.phone_normalized
    factories.make_customer(firm, phone=number, phone_normalized=number)
    nameless = factories.make_call(firm, customer_id=None, summary="Jemand der Familie")
    factories.within(firm, lambda: erasure.erase_customer(firm.customer.id, utcnow()))
    db.session.rollback()
    with tenant_scope(firm.id):
        kept = db.session.scalars(select(Call).where(Call.id == nameless.id)).one()
        assert (kept.phone_number, kept.summary) == (number, "Jemand der Familie")
