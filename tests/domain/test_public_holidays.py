"""Public holidays of a branch's region: who observes what, in whose words, and who has to heed them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask_babel import force_locale
from hypothesis import given
from hypothesis import strategies as st

from portal.db import db
from portal.domain import (
    booking_rules,
    calendar,
    closures,
    followup_due,
    free_times,
    inbound,
    public_holidays,
    timetable,
)
from portal.domain.calendar import Wish
from portal.domain.errors import DomainError
from portal.domain.public_holidays import WHOLE, Place
from portal.domain.slots import Plan
from portal.models import Branch, BranchClosure, Company, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.queries import Queries

BERLIN, SAXONY, ENGLAND, TURKEY = Place("DE", "BE"), Place("DE", "SN"), Place("GB", "ENG"), Place("TR", WHOLE)
WOMENS_DAY = date(2027, 3, 8)  # a Monday; a holiday in Berlin alone
NOON = datetime(2027, 3, 8, 11, tzinfo=UTC)
LONG_BEFORE = NOON - timedelta(days=7)


@pytest.fixture
def salon(cast: Cast) -> Firm:
    """Its main branch is in Berlin and open every weekday from 9 to 18."""
    observe(cast.salon, "DE", "BE")
    for weekday in range(1, 6):
        hours: dict[str, Any] = {"branch_id": cast.salon.main.id, "weekday": weekday}
        hours |= {"opens_at": time(9), "closes_at": time(18)}
        factories.save(cast.salon, WorkingHours(company_id=cast.salon.id, **hours))
    return cast.salon


def observe(firm: Firm, country: str | None, region: str | None, **values: Any) -> None:
    def work() -> None:
        branch = db.session.get_one(Branch, firm.main.id)
        branch.country, branch.region = country, region
        for name, value in values.items():
            setattr(branch, name, value)

    factories.within(firm, work)


def plan(firm: Firm, start: datetime = NOON) -> Plan:
    return Plan(firm.main.id, firm.customer.id, firm.stylist.id, start, start + timedelta(minutes=45))


# ---- The days ---------------------------------------------------------------------------------------------------


def test_each_state_and_country_has_its_own_days_in_the_readers_words() -> None:
    assert public_holidays.name(BERLIN, WOMENS_DAY, "de") == "Frauentag"
    assert public_holidays.name(BERLIN, WOMENS_DAY, "en") == "Women's Day"
    assert public_holidays.name(SAXONY, WOMENS_DAY, "de") is None
    assert public_holidays.name(SAXONY, date(2027, 11, 17), "de") == "Buß- und Bettag"
    assert public_holidays.name(ENGLAND, date(2027, 8, 30), "en") == "Late Summer Bank Holiday"
    assert public_holidays.name(TURKEY, date(2027, 10, 29), "en") == "Republic Day"
    assert public_holidays.name(None, WOMENS_DAY, "de") is None


def test_where_the_readers_language_is_not_spoken_the_days_keep_their_own_names() -> None:
    assert public_holidays.name(TURKEY, date(2027, 10, 29), "de") == "Cumhuriyet Bayramı"


def test_a_place_that_is_not_known_has_no_holidays() -> None:
    for place in (Place("DE", "XX"), Place("XX", WHOLE), Place("", "BE"), Place("GB", "BE")):
        assert not public_holidays.known(place)
        assert public_holidays.of_year(place, 2027, "de") == {}


def test_regions_have_names_and_fit_the_column() -> None:
    assert public_holidays.regions("DE")["NW"] == "Nordrhein-Westfalen"
    assert public_holidays.regions("TR") == {}
    assert all(len(code) <= 10 for country in ("DE", "CH", "GB", "US") for code in public_holidays.regions(country))


@given(st.sampled_from([BERLIN, SAXONY, ENGLAND, TURKEY]), st.integers(2020, 2035), st.sampled_from(["de", "en"]))
def test_a_year_holds_only_its_own_days_in_order_and_the_same_in_every_language(
    place: Place, year: int, language: str
) -> None:
    days = list(public_holidays.of_year(place, year, language))
    assert days == sorted(days)
    assert {day.year for day in days} == {year}
    assert days == list(public_holidays.of_year(place, year, "en"))


# ---- Who heeds them ---------------------------------------------------------------------------------------------


def test_a_holiday_closes_the_branch_and_a_neighbouring_day_does_not(salon: Firm) -> None:
    with tenant_scope(salon.id):
        branch = db.session.get_one(Branch, salon.main.id)
        table = timetable.load(branch, salon.stylist.id, WOMENS_DAY, WOMENS_DAY + timedelta(days=1))
    assert table.open(salon.main.id, WOMENS_DAY) == []
    assert table.works(salon.stylist.id, salon.main.id, WOMENS_DAY) == []
    assert len(table.open(salon.main.id, WOMENS_DAY + timedelta(days=1)) or []) == 1
    with force_locale("de"):
        special = table.closure(salon.main.id, WOMENS_DAY)
    assert special == timetable.SpecialDay(WOMENS_DAY, "Frauentag", public=True)


def test_it_may_be_open_all_the_same(salon: Firm) -> None:
    wish = closures.Wish(WOMENS_DAY, WOMENS_DAY, ((time(10), time(14)),))
    factories.within(salon, lambda: closures.save(salon.main.id, wish, None, LONG_BEFORE, LONG_BEFORE.date()))
    with tenant_scope(salon.id):
        branch = db.session.get_one(Branch, salon.main.id)
        table = timetable.load(branch, None, WOMENS_DAY, WOMENS_DAY)
        (span,) = table.open(salon.main.id, WOMENS_DAY) or []
        booking_rules.check(plan(salon), LONG_BEFORE)
    assert (span.start.hour, span.end.hour) == (9, 13)


def test_nobody_can_be_booked_on_it_and_no_time_is_free(salon: Firm) -> None:
    with tenant_scope(salon.id):
        with pytest.raises(DomainError) as refused:
            booking_rules.check(plan(salon), LONG_BEFORE)
        assert refused.value.field == "time"
        booking_rules.check(plan(salon, NOON + timedelta(days=1)), LONG_BEFORE)
        branch, asked = db.session.get_one(Branch, salon.main.id), {"start": WOMENS_DAY, "staff_id": salon.stylist.id}
        found = free_times.search(branch, None, LONG_BEFORE, length=timedelta(minutes=45), shown=1, **asked)
    assert [day.day for day in found.days] == [WOMENS_DAY + timedelta(days=1)]


def test_the_sheet_draws_it_by_its_name(salon: Firm) -> None:
    with tenant_scope(salon.id), force_locale("de"):
        found = calendar.sheet(Wish(day=WOMENS_DAY, branch_id=salon.main.id), NOON)
    assert found is not None
    assert {(band.kind, band.label) for column in found.columns for band in column.bands} == {("closed", "Frauentag")}


def test_the_phone_says_that_it_is_closed(salon: Firm) -> None:
    def says(now: datetime) -> str:
        with tenant_scope(salon.id):
            company = db.session.get_one(Company, salon.id)
            told = inbound.answer(company, {"to_number": salon.phone.number_e164, "from_number": "+4930111"}, now)
            return str(told["dynamic_variables"]["open_now"])

    assert (says(NOON), says(NOON + timedelta(days=1))) == ("closed", "open")


def test_a_follow_up_is_not_due_on_it(salon: Firm) -> None:
    friday = datetime(2027, 3, 5, 16, 30, tzinfo=UTC)  # half past five, half an hour before it closes
    with tenant_scope(salon.id):
        due = followup_due.clock(salon.main.id, friday).due("callback", friday)
        morning = followup_due.clock(salon.main.id, friday).next_morning(friday)
    assert due.date() == date(2027, 3, 9)
    assert morning == datetime(2027, 3, 9, 8, tzinfo=UTC)


def test_without_a_region_no_holiday_counts(salon: Firm) -> None:
    observe(salon, "DE", None)
    with tenant_scope(salon.id):
        booking_rules.check(plan(salon), LONG_BEFORE)


def test_without_a_country_the_companys_counts(salon: Firm) -> None:
    observe(salon, None, "BE")
    with tenant_scope(salon.id), pytest.raises(DomainError):
        booking_rules.check(plan(salon), LONG_BEFORE)


def test_berlin_london_and_istanbul_in_one_company_keep_their_own_days_and_clocks(salon: Firm) -> None:
    firm = salon
    places = {"london": ("Europe/London", "GB", "ENG"), "istanbul": ("Europe/Istanbul", "TR", WHOLE)}
    ids = {"berlin": firm.main.id}
    for city, (zone, country, region) in places.items():
        values = {"name": city, "address": "1", "timezone": zone, "country": country, "region": region}
        branch = factories.save(firm, Branch(company_id=firm.id, **values))
        ids[city] = branch.id
        for weekday in range(1, 8):
            hours = {"branch_id": branch.id, "weekday": weekday, "opens_at": time(9), "closes_at": time(18)}
            factories.save(firm, WorkingHours(company_id=firm.id, **hours))

    def closed(day: date) -> set[str]:
        with tenant_scope(firm.id):
            branches = [db.session.get_one(Branch, each) for each in ids.values()]
            table = timetable.of(branches, [], [])
            return {city for city, each in ids.items() if table.open(each, day) == []}

    assert closed(WOMENS_DAY) == {"berlin"}
    assert closed(date(2027, 8, 30)) == {"london", "istanbul"}  # bank holiday and Victory Day
    assert closed(date(2027, 10, 29)) == {"istanbul"}
    assert closed(date(2027, 1, 1)) == {"berlin", "london", "istanbul"}
    with tenant_scope(firm.id):
        branches = [db.session.get_one(Branch, each) for each in ids.values()]
        table = timetable.of(branches, [], [])
    tuesday = date(2027, 7, 6)
    opens = {city: (table.open(each, tuesday) or [])[0].start.hour for city, each in ids.items()}
    assert opens == {"berlin": 7, "london": 8, "istanbul": 6}


def test_they_cost_no_query(salon: Firm) -> None:
    def asked() -> int:
        with tenant_scope(salon.id), Queries() as asked:
            calendar.sheet(Wish(day=WOMENS_DAY, branch_id=salon.main.id), NOON)
            branch = db.session.get_one(Branch, salon.main.id)
            timetable.load(branch, salon.stylist.id, WOMENS_DAY, WOMENS_DAY)
            return len(asked)

    with_holidays = asked()
    observe(salon, None, None)
    assert asked() == with_holidays


def test_what_is_entered_for_a_holiday_keeps_its_name_where_no_reason_is_given(salon: Firm) -> None:
    factories.save(salon, BranchClosure(company_id=salon.id, branch_id=salon.main.id, date=WOMENS_DAY))
    with tenant_scope(salon.id), force_locale("de"):
        table = timetable.load(db.session.get_one(Branch, salon.main.id), None, WOMENS_DAY, WOMENS_DAY)
        special = table.closure(salon.main.id, WOMENS_DAY)
    assert special is not None
    assert (special.reason, special.public) == ("Frauentag", False)
    assert replace(table, places={}).open(salon.main.id, WOMENS_DAY) == []


def test_a_holiday_in_another_zone_is_the_branchs_own_local_day(salon: Firm) -> None:
    observe(salon, "TR", WHOLE, timezone="Europe/Istanbul")
    istanbul = ZoneInfo("Europe/Istanbul")
    with tenant_scope(salon.id):
        for hour in (9, 17):
            start = datetime(2027, 10, 29, hour, tzinfo=istanbul)
            with pytest.raises(DomainError):
                booking_rules.check(plan(salon, start), LONG_BEFORE)
        booking_rules.check(plan(salon, datetime(2027, 10, 28, 17, tzinfo=istanbul)), LONG_BEFORE)
