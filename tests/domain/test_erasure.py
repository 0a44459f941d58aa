"""Erasing a person: nothing that names them stays, what money and statistics need does."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import erasure
from portal.domain.errors import DomainError
from portal.models import Appointment, Call, CallContent, Customer
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast


def test_everything_that_names_the_person_goes_and_the_figures_stay(cast: Cast) -> None:
    firm = cast.salon
    call = factories.make_call(firm, transcript="Hier ist Aylin Demir", summary="Frau Demir bucht")
    visit = factories.make_appointment(firm, internal_notes="Allergie", cancellation_reason="Krank")
    other = factories.make_call(firm, customer_id=None, summary="Jemand anderes")
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
