"""Tariffs: none overlap, none leave a gap, and what has been in force stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portal.db import db, utcnow
from portal.domain import rates
from portal.domain.errors import DomainError
from portal.models import BillingRate
from portal.tenancy import tenant_scope
from tests.cast import LONG_AGO, Cast, Firm
from tests.factories import within


def set_rate(firm: Firm, per_minute: str, since: datetime, **values: object) -> BillingRate:
    new = rates.NewRate(Decimal(per_minute), since, **values)  # type: ignore[arg-type]
    return within(firm, lambda: rates.set_rate(new, utcnow()))


def all_rates(firm: Firm) -> list[tuple[Decimal, datetime, datetime | None]]:
    with tenant_scope(firm.id):
        rows = db.session.query(BillingRate).order_by(BillingRate.valid_from).all()
        return [(row.rate_per_minute, row.valid_from, row.valid_until) for row in rows]


def test_a_new_rate_ends_the_one_before_it_in_the_same_moment(cast: Cast) -> None:
    begins = utcnow() + timedelta(days=1)
    set_rate(cast.salon, "0.39", begins, increment_seconds=60, minimum_charge=Decimal("0.10"))
    assert all_rates(cast.salon) == [
        (Decimal("0.4200"), LONG_AGO, begins),
        (Decimal("0.3900"), begins, None),
    ]


def test_the_rate_in_force_changes_at_its_first_moment(cast: Cast) -> None:
    begins = utcnow() + timedelta(days=1)
    set_rate(cast.salon, "0.39", begins)
    with tenant_scope(cast.salon.id):
        before, at = rates.in_force(begins - timedelta(microseconds=1)), rates.in_force(begins)
        assert before is not None
        assert at is not None
        assert (before.rate_per_minute, at.rate_per_minute) == (Decimal("0.42"), Decimal("0.39"))


def test_a_rate_can_be_set_before_one_that_is_to_come(cast: Cast) -> None:
    soon, later = utcnow() + timedelta(days=1), utcnow() + timedelta(days=9)
    set_rate(cast.salon, "0.50", later)
    set_rate(cast.salon, "0.45", soon)
    assert [(since, until) for _, since, until in all_rates(cast.salon)] == [
        (LONG_AGO, soon),
        (soon, later),
        (later, None),
    ]


def test_two_rates_cannot_begin_in_the_same_moment(cast: Cast) -> None:
    begins = utcnow() + timedelta(days=1)
    set_rate(cast.salon, "0.39", begins)
    with pytest.raises(DomainError):
        set_rate(cast.salon, "0.38", begins)


def test_what_has_been_in_force_stays(cast: Cast) -> None:
    with pytest.raises(DomainError) as refusal:
        set_rate(cast.salon, "0.10", utcnow() - timedelta(days=3))
    assert refusal.value.field == "valid_from"
    assert len(all_rates(cast.salon)) == 1


def test_a_gap_can_be_filled_backwards(cast: Cast) -> None:
    set_rate(cast.salon, "0.30", LONG_AGO - timedelta(days=30))
    assert [until for _, _, until in all_rates(cast.salon)] == [LONG_AGO, None]


def test_a_company_sees_only_its_own_rates(cast: Cast) -> None:
    set_rate(cast.praxis, "0.99", utcnow() + timedelta(days=1))
    assert len(all_rates(cast.salon)) == 1
    with tenant_scope(cast.salon.id):
        assert rates.in_force(datetime(2030, 1, 1, tzinfo=UTC)).rate_per_minute == Decimal("0.42")  # type: ignore[union-attr]


def test_there_may_be_no_rate_at_all(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        assert rates.in_force(LONG_AGO - timedelta(seconds=1)) is None
