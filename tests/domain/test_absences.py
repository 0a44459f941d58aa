"""Absences: whole days and hours, whose are seen by whom, and what comes from Cal.com."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal.db import db
from portal.domain import absences
from portal.domain.absences import Line, Reader, Wish
from portal.domain.errors import Conflict, DomainError
from portal.models import AuditLog, Staff, StaffAbsence
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
BERLIN, ISTANBUL = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Istanbul")
ALL = Reader(manages=True, visible=None, staff_id=None)
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)


def vacation(firm: Firm, **values: object) -> Wish:
    wish = Wish(firm.stylist.id, date(2027, 3, 22), date(2027, 3, 28), None, None, "vacation", "Ostsee")
    return replace(wish, **values)  # type: ignore[arg-type]


def add(firm: Firm, wish: Wish, reader: Reader = ALL) -> StaffAbsence:
    return factories.within(firm, lambda: absences.add(reader, wish))


def listed(firm: Firm, reader: Reader = ALL, **wish: object) -> list[Line]:
    wish = {"staff_id": None, "is_past": False, "after": None} | wish
    with tenant_scope(firm.id):
        return absences.page(reader, NOW, **wish).lines  # type: ignore[arg-type]


def test_whole_days_go_from_midnight_to_midnight_where_the_person_works(cast: Cast) -> None:
    add(cast.salon, vacation(cast.salon))
    (line,) = listed(cast.salon)
    assert line.row.starts_at == datetime(2027, 3, 21, 23, tzinfo=UTC)
    assert line.row.ends_at == datetime(2027, 3, 28, 22, tzinfo=UTC)  # the clocks have changed
    assert (line.first, line.last, line.times) == (date(2027, 3, 22), date(2027, 3, 28), None)


def test_hours_of_a_day(cast: Cast) -> None:
    day = date(2027, 3, 22)
    add(cast.salon, vacation(cast.salon, last=day, start=time(14), until=time(16, 30), kind="training"))
    (line,) = listed(cast.salon)
    assert line.times == (time(14), time(16, 30))
    assert line.row.ends_at == datetime(2027, 3, 22, 15, 30, tzinfo=UTC)


def test_until_midnight_is_the_end_of_the_last_day_and_comes_back_so(cast: Cast) -> None:
    day = date(2027, 3, 22)
    add(cast.salon, vacation(cast.salon, last=day, start=time(14), until=time(0)))
    (line,) = listed(cast.salon)
    assert (line.first, line.last, line.times) == (day, day, (time(14), time(0)))
    assert line.row.ends_at == datetime(2027, 3, 22, 23, tzinfo=UTC)


@given(
    st.sampled_from([BERLIN, ISTANBUL, ZoneInfo("America/New_York")]),
    st.one_of(st.sampled_from([SPRING, AUTUMN]), st.dates(date(2027, 1, 1), date(2027, 12, 31))),
    st.integers(0, 30),
    st.one_of(st.none(), st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1])),
)
def test_days_come_back_as_they_were_entered(
    zone: ZoneInfo, first: date, length: int, times: tuple[time, time] | None
) -> None:
    start, until = times or (None, None)
    wish = Wish(1, first, first + timedelta(days=length), start, until, "other", None)
    try:
        starts_at, ends_at = absences.span_of(wish, zone)
    except DomainError:  # the end before the start, or both in the hour that clocks skip
        assert length == 0
        return
    line = Line(StaffAbsence(starts_at=starts_at, ends_at=ends_at), Staff(), zone)
    if times is None:
        assert (line.first, line.last, line.times) == (first, wish.last, None)
    assert starts_at < ends_at
    assert line.first == first


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"last": date(2027, 3, 21)}, "last"),
        ({"start": time(9)}, "until"),
        ({"until": time(9)}, "start"),
        ({"last": date(2027, 3, 22), "start": time(12), "until": time(9)}, "until"),
        ({"last": date(2031, 3, 22)}, "last"),
        ({"staff_id": 987_654}, "staff"),
    ],
)
def test_what_is_wrong_is_refused_beside_its_field(cast: Cast, values: dict[str, object], field: str) -> None:
    with pytest.raises(DomainError) as error:
        add(cast.salon, vacation(cast.salon, **values))
    assert error.value.field == field
    assert listed(cast.salon) == []


def test_another_companys_person_is_nobody(cast: Cast) -> None:
    with pytest.raises(DomainError):
        add(cast.salon, vacation(cast.salon, staff_id=cast.praxis.stylist.id))


def test_everybody_sees_what_their_role_allows(cast: Cast) -> None:
    firm = cast.salon
    own = add(firm, vacation(firm))
    others = add(firm, vacation(firm, staff_id=firm.colleague.id, kind="sick", note="Grippe"))
    staff = Reader(manages=False, visible=[firm.main.id], staff_id=firm.stylist.id)
    manager = Reader(manages=True, visible=[firm.other.id], staff_id=None)
    nobody = Reader(manages=False, visible=None, staff_id=None)
    assert {line.row.id for line in listed(firm)} == {own.id, others.id}
    assert [line.row.id for line in listed(firm, staff)] == [own.id]
    assert [line.row.id for line in listed(firm, manager)] == [others.id]
    assert listed(firm, nobody) == []
    with tenant_scope(firm.id):
        assert absences.find(staff, others.id) is None
        assert absences.find(manager, own.id) is None
    for reader in (manager, staff):
        with pytest.raises(DomainError):
            add(firm, vacation(firm), reader)


def test_pages_follow_each_other_without_gaps_also_at_the_same_time(cast: Cast) -> None:
    firm = cast.salon
    ids = [add(firm, vacation(firm)).id for _each in range(absences.PAGE + 3)]
    for is_past, moment in ((False, NOW), (True, NOW + timedelta(days=365))):
        with tenant_scope(firm.id):
            first = absences.page(ALL, moment, None, is_past, None)
            second = absences.page(ALL, moment, None, is_past, first.after)
        assert sorted(line.row.id for line in [*first.lines, *second.lines]) == ids
        assert (len(second.lines), second.after) == (3, None)
    with tenant_scope(firm.id):
        assert len(absences.page(ALL, NOW, None, False, "no mark").lines) == absences.PAGE


def test_appointments_in_it_are_counted_and_listed(cast: Cast) -> None:
    firm = cast.salon
    row = add(firm, vacation(firm))
    monday = datetime(2027, 3, 22, tzinfo=UTC)
    inside = factories.make_appointment(firm, start=monday + timedelta(hours=9))
    reaching_in = factories.make_appointment(firm, start=monday - timedelta(hours=1, minutes=30))
    factories.make_appointment(firm, start=monday - timedelta(hours=3))
    factories.make_appointment(firm, start=monday + timedelta(hours=9), status="cancelled")
    factories.make_appointment(firm, start=monday + timedelta(hours=9), staff_id=firm.colleague.id)
    (line,) = listed(firm)
    assert line.appointments == 2
    with tenant_scope(firm.id):
        assert [each.id for each in absences.appointments_in(row)] == [reaching_in.id, inside.id]


def test_who_changes_second_is_told(cast: Cast) -> None:
    firm = cast.salon
    row = add(firm, vacation(firm))
    shown = absences.digest(row)

    def change(**values: object) -> StaffAbsence:
        return factories.within(firm, lambda: absences.change(ALL, row.id, vacation(firm, **values), shown))

    change(note="Nordsee")
    with pytest.raises(Conflict):
        change(kind="sick")
    with pytest.raises(Conflict):
        factories.within(firm, lambda: absences.delete(row.id, shown, knowingly=False))
    (line,) = listed(firm)
    assert (line.row.kind, line.row.note) == ("vacation", "Nordsee")


def test_what_comes_from_calcom_is_changed_there_and_deleted_only_knowingly(cast: Cast) -> None:
    firm = cast.salon
    row = factories.make_absence(firm, starts_at=NOW, ends_at=NOW + timedelta(days=1), external_id="calcom:1")
    shown = absences.digest(row)
    with pytest.raises(DomainError):
        factories.within(firm, lambda: absences.change(ALL, row.id, vacation(firm), shown))
    with pytest.raises(DomainError) as error:
        factories.within(firm, lambda: absences.delete(row.id, shown, knowingly=False))
    assert error.value.field == "knowingly"
    assert len(listed(firm)) == 1
    factories.within(firm, lambda: absences.delete(row.id, shown, knowingly=True))
    assert listed(firm) == []


def test_everything_is_audited_and_notes_stay_out_of_it(cast: Cast) -> None:
    firm = cast.salon
    row = add(firm, vacation(firm, kind="sick", note="Grippe"))
    shown = absences.digest(row)
    changed = vacation(firm, kind="sick", note="Bandscheibe")
    row = factories.within(firm, lambda: absences.change(ALL, row.id, changed, shown))
    factories.within(firm, lambda: absences.delete(row.id, absences.digest(row), knowingly=False))
    with tenant_scope(firm.id):
        rows = list(db.session.scalars(select(AuditLog).order_by(AuditLog.id)))
    assert [each.action for each in rows] == ["absence.added", "absence.changed", "absence.deleted"]
    assert (rows[1].new_values or {})["note"] == "changed"
    assert not any("Grippe" in str(each.new_values) or "Bandscheibe" in str(each.old_values) for each in rows)
