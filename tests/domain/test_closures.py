"""Closed days: stretches of days that are entered alike, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import select

from portal.db import db
from portal.domain import closures
from portal.domain.closures import Stretch, Wish
from portal.domain.errors import DomainError
from portal.domain.hours import ChangedMeanwhile
from portal.domain.public_holidays import WHOLE, Place
from portal.models import AuditLog, Branch, BranchClosure
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
TODAY = NOW.date()
CHRISTMAS = Wish(date(2027, 12, 24), date(2028, 1, 1), reason="Betriebsferien")
MORNING = (time(9), time(13))


def enter(firm: Firm, wish: Wish, instead_of: int | None = None) -> list[Stretch]:
    factories.within(firm, lambda: closures.save(firm.main.id, wish, instead_of, NOW, TODAY))
    return entered(firm)


def entered(firm: Firm) -> list[Stretch]:
    with tenant_scope(firm.id):
        return closures.stretches(firm.main.id, TODAY)


def refused(firm: Firm, wish: Wish) -> str | None:
    before = entered(firm)
    with pytest.raises(DomainError) as error:
        enter(firm, wish)
    assert entered(firm) == before
    return error.value.field


def actions(firm: Firm) -> list[str]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(AuditLog.action).order_by(AuditLog.id)))


def test_company_holidays_are_one_stretch_of_nine_days(cast: Cast) -> None:
    (stretch,) = enter(cast.salon, CHRISTMAS)
    assert (stretch.first, stretch.last, stretch.length) == (CHRISTMAS.first, CHRISTMAS.last, 9)
    assert (stretch.reason, stretch.spans) == ("Betriebsferien", ())
    with tenant_scope(cast.salon.id):
        assert len(db.session.scalars(select(BranchClosure)).all()) == 9


def test_days_with_other_hours_may_have_a_break(cast: Cast) -> None:
    spans = ((time(14), time(16)), MORNING)
    (stretch,) = enter(cast.salon, Wish(date(2027, 12, 24), date(2027, 12, 24), spans, "Heiligabend"))
    assert stretch.spans == (MORNING, (time(14), time(16)))
    assert actions(cast.salon) == ["closure.added"]


def test_a_day_with_other_hours_may_end_at_midnight(cast: Cast) -> None:
    wish = Wish(TODAY, TODAY, ((time(18), time(0)),))
    assert [stretch.spans for stretch in enter(cast.salon, wish)] == [wish.spans]
    over = Wish(date(2027, 3, 2), date(2027, 3, 2), ((time(18), time(0)), (time(23), time(23, 30))))
    assert refused(cast.salon, over) == "span-1"


def test_neighbouring_days_that_differ_are_stretches_of_their_own(cast: Cast) -> None:
    enter(cast.salon, Wish(date(2027, 12, 24), date(2027, 12, 24), (MORNING,)))
    enter(cast.salon, Wish(date(2027, 12, 25), date(2027, 12, 26)))
    found = enter(cast.salon, Wish(date(2027, 12, 28), date(2027, 12, 28)))
    assert [stretch.length for stretch in found] == [1, 2, 1]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish(date(2027, 5, 2), date(2027, 5, 1)), "last"),
        (Wish(date(2027, 2, 1), date(2027, 2, 2)), "first"),
        (Wish(date(2027, 5, 2), date(2028, 6, 1)), "last"),
        (Wish(date(2031, 5, 2), date(2031, 5, 2)), "last"),
        (Wish(date(2027, 5, 2), date(2027, 5, 2), ((time(12), time(9)),)), "span-0"),
        (Wish(date(2027, 5, 2), date(2027, 5, 2), (MORNING, (time(12), time(15)))), "span-1"),
        (Wish(date(2027, 12, 31), date(2027, 12, 31)), "first"),
    ],
)
def test_what_cannot_be_entered_changes_nothing(cast: Cast, wish: Wish, field: str) -> None:
    enter(cast.salon, CHRISTMAS)
    assert refused(cast.salon, wish) == field


def test_an_entry_can_be_changed_over_its_own_days(cast: Cast) -> None:
    (old,) = enter(cast.salon, CHRISTMAS)
    shorter = Wish(date(2027, 12, 27), date(2027, 12, 30), reason="Inventur")
    (new,) = enter(cast.salon, shorter, old.id)
    assert (new.first, new.last, new.reason) == (shorter.first, shorter.last, "Inventur")
    assert actions(cast.salon) == ["closure.added", "closure.changed"]


def test_what_somebody_else_has_deleted_cannot_be_changed(cast: Cast) -> None:
    (old,) = enter(cast.salon, CHRISTMAS)
    factories.within(cast.salon, lambda: closures.remove(cast.salon.main.id, old.id, NOW))
    assert entered(cast.salon) == []
    with pytest.raises(ChangedMeanwhile):
        enter(cast.salon, CHRISTMAS, old.id)
    with pytest.raises(ChangedMeanwhile):
        factories.within(cast.salon, lambda: closures.remove(cast.salon.main.id, old.id, NOW))


def test_a_row_of_another_branch_is_not_touched(cast: Cast) -> None:
    other = factories.make_closure(cast.salon, branch_id=cast.salon.other.id, date=CHRISTMAS.first)
    with pytest.raises(ChangedMeanwhile):
        factories.within(cast.salon, lambda: closures.remove(cast.salon.main.id, other.id, NOW))
    enter(cast.salon, CHRISTMAS)
    with tenant_scope(cast.salon.id):
        assert len(closures.stretches(cast.salon.other.id, TODAY)) == 1


def test_what_is_over_stands_apart_the_latest_first(cast: Cast) -> None:
    for days in (3, 40, 1):
        factories.make_closure(cast.salon, date=TODAY - timedelta(days=days))
    factories.make_closure(cast.salon, date=TODAY, reason="Inventur")
    with tenant_scope(cast.salon.id):
        found = closures.past(cast.salon.main.id, TODAY)
    assert [(TODAY - stretch.first).days for stretch in found] == [1, 3, 40]
    assert len(entered(cast.salon)) == 1


@pytest.mark.parametrize(
    ("today", "over", "shown"),
    [
        (date(2027, 12, 31), False, True),
        (date(2028, 1, 1), False, True),  # its last day
        (date(2028, 1, 2), True, True),
        (date(2029, 1, 1), True, False),
    ],
)
def test_what_lasts_over_new_year_stays_one_stretch(cast: Cast, today: date, over: bool, shown: bool) -> None:
    whole = enter(cast.salon, CHRISTMAS)
    with tenant_scope(cast.salon.id):
        assert closures.past(cast.salon.main.id, today) == (whole if over else [])
        assert closures.since_new_year(cast.salon.main.id, today) == (whole if shown else [])


def test_the_last_day_that_may_be_entered_is_shown(cast: Cast) -> None:
    last = TODAY + closures.AHEAD * closures.DAY
    whole = enter(cast.salon, Wish(last, last))
    with tenant_scope(cast.salon.id):
        assert closures.since_new_year(cast.salon.main.id, TODAY) == whole


def test_the_list_of_a_year_shows_what_is_entered_instead(cast: Cast) -> None:
    found = enter(cast.salon, CHRISTMAS)
    days = closures.holidays_of(Place("DE", "BE"), 2027, "de", found)
    assert len(days) == 10
    assert [holiday.day.day for holiday in days if holiday.entered] == [25, 26]


def test_the_region_is_kept_checked_and_audited(cast: Cast) -> None:
    firm = cast.salon

    def observe(country: str | None, region: str | None) -> None:
        factories.within(firm, lambda: closures.observe(firm.main.id, country, region, NOW))

    observe("DE", "BE")
    observe("DE", "BE")
    for country, region in (("DE", "XX"), ("XX", WHOLE), (None, "BE")):
        with pytest.raises(DomainError) as error:
            observe(country, region)
        assert error.value.field == "region"
    observe("TR", WHOLE)
    observe(None, "")
    with tenant_scope(firm.id):
        branch = db.session.get_one(Branch, firm.main.id)
        rows = list(db.session.scalars(select(AuditLog).order_by(AuditLog.id)))
    assert (branch.country, branch.region) == (None, None)
    assert [row.action for row in rows] == ["branch.holidays_changed"] * 3
    assert rows[1].old_values == {"country": "DE", "region": "BE"}
