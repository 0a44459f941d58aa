"""Moving: a box dropped elsewhere on the sheet, the question where the time is taken, two people, and what is live."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import Appointment, AuditLog, Staff, StaffAbsence, WorkingHours
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse

BERLIN = ZoneInfo("Europe/Berlin")
DAY = utcnow().astimezone(BERLIN).date() + timedelta(days=7)
CLOCKS_BACK = date(2037, 10, 25)
FIRST, SECOND = datetime(2037, 10, 25, 0, 30, tzinfo=UTC), datetime(2037, 10, 25, 1, 30, tzinfo=UTC)  # both 02:30


def at(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def drop(client: PortalClient, row: Appointment, moment: datetime | str, **data: Any) -> TestResponse:
    moment = str(int(moment.timestamp())) if isinstance(moment, datetime) else moment
    return client.htmx("POST", f"/appointments/{row.id}/move", data={"at": moment, "part": "drop", "version": 1} | data)


def now_of(firm: Firm, row: Appointment) -> Appointment:
    with tenant_scope(firm.id):
        found = db.session.get_one(Appointment, row.id)
        db.session.expunge_all()
    return found


def said(answer: TestResponse) -> str:
    return str(json.loads(answer.headers["HX-Trigger"])["toast"]["message"])


# ---- Dropping ---------------------------------------------------------------------------------------------------


def test_a_box_dropped_on_another_time_moves_there_and_the_sheet_is_told(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), minutes=40)
    answer = drop(owner, row, at(11, 15))
    assert (answer.status_code, answer.data) == (204, b"")
    assert "calendar-changed" in json.loads(answer.headers["HX-Trigger"])
    assert said(answer) == "Der Termin ist verschoben."
    found = now_of(cast.salon, row)
    assert (found.start_time, found.end_time, found.staff_id) == (at(11, 15), at(11, 55), cast.salon.stylist.id)


def test_what_is_put_where_it_stands_is_not_said_to_have_moved(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    assert said(drop(owner, row, at(9))) == "Der Termin steht schon dort."
    data = {"date": DAY.isoformat(), "time": "09:00", "staff": row.staff_id, "version": 1}
    page = owner.post(f"/appointments/{row.id}/move", data=data, follow_redirects=True).text
    assert "Der Termin steht schon dort." in page
    assert "Der Termin ist verschoben." not in page
    assert now_of(cast.salon, row).version == 1


def test_a_box_dropped_in_another_column_goes_to_that_person_or_to_nobody(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    names = {"first_name": "Ida", "last_name": "Holm"}
    person = factories.save(firm, Staff(company_id=firm.id, branch_id=firm.main.id, **names))
    assert drop(owner, row, at(9), staff=person.id).status_code == 204
    assert now_of(firm, row).staff_id == person.id
    assert drop(owner, row, at(9), staff="", version=2).status_code == 204
    assert now_of(firm, row).staff_id is None


def test_a_longer_box_is_a_longer_appointment(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    assert drop(owner, row, at(9), minutes=75).status_code == 204
    found = now_of(cast.salon, row)
    assert (found.start_time, found.end_time) == (at(9), at(10, 15))


def open_from_nine_to_six(firm: Firm) -> None:
    for weekday in range(1, 8):
        hours = {"branch_id": firm.main.id, "weekday": weekday, "opens_at": time(9), "closes_at": time(18)}
        factories.save(firm, WorkingHours(company_id=firm.id, **hours))


@pytest.mark.parametrize(
    ("moment", "data", "words"),
    [
        (at(8), {}, "Möglich an dem Tag: 09:00–18:00."),
        (at(17, 30), {}, "Möglich an dem Tag: 09:00–18:00."),
        (at(12), {}, "Sofia Klein ist zu dieser Zeit abwesend."),
        (utcnow() - timedelta(days=2), {}, "Diese Zeit ist schon vorbei."),
        (at(10), {"minutes": 3 * 24 * 60}, "nicht länger als einen Tag"),
        (at(10), {"staff": 987654}, "Nicht verschoben."),
        ("garbage", {}, "Bitte wählen Sie einen Tag."),
        ("9" * 40, {}, "Bitte wählen Sie einen Tag."),
        ("-99999999999", {}, "Nicht verschoben."),
    ],
)
def test_what_is_refused_stays_where_it_was_and_says_why(
    owner: PortalClient, cast: Cast, moment: datetime | str, data: dict[str, Any], words: str
) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    open_from_nine_to_six(firm)
    away = {"staff_id": firm.stylist.id, "starts_at": at(12), "ends_at": at(14)}
    factories.save(firm, StaffAbsence(company_id=firm.id, **away))
    answer = drop(owner, row, moment, **data)
    assert answer.status_code == 422
    assert (answer.data, answer.headers["HX-Reswap"]) == (b"", "none")
    assert said(answer).startswith("Nicht verschoben.")
    assert words in said(answer)
    found = now_of(firm, row)
    assert (found.start_time, found.version) == (at(9), 1)


def test_a_taken_time_is_a_question_and_the_answer_to_it_takes_a_reason(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    row, other = factories.make_appointment(firm, start=at(9)), factories.make_customer(firm)
    factories.make_appointment(firm, start=at(11), customer_id=other.id)
    answer = drop(owner, row, at(11, 30))
    assert answer.status_code == 422
    page = parse(answer.text)
    assert "Trotzdem verschieben?" in page.text
    assert "11:00–11:45 Peter Schäfer" in page.text
    assert "Es ist noch nichts verschoben" in page.text
    assert now_of(firm, row).version == 1
    data = {field["name"]: field["value"] for field in page.select("form input")}
    url = f"/appointments/{row.id}/move"
    again = owner.htmx("POST", url, data=data | {"reason": " "})
    assert again.status_code == 422
    assert "Bitte schreiben Sie, warum" in again.text
    done = owner.htmx("POST", url, data=data | {"reason": "Zugesagt"})
    assert done.status_code == 200
    assert "11:30–12:15" in done.text
    assert "„Zugesagt“" in done.text
    assert "Bewusst doppelt belegt" in done.text
    found = now_of(firm, row)
    assert (found.start_time, found.overbooked_by) == (at(11, 30), firm.owner.id)
    with tenant_scope(firm.id):
        latest = db.session.query(AuditLog).order_by(AuditLog.id.desc()).first()
        assert latest is not None
        assert latest.new_values is not None
        assert latest.new_values["reason"] == "Zugesagt"


def test_the_box_over_another_says_so_on_the_sheet(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    factories.make_appointment(firm, start=at(11), customer_id=factories.make_customer(firm).id)
    drop(owner, row, at(11), force="y", reason="Zugesagt")
    text = owner.get(f"/calendar?view=day&date={DAY.isoformat()}&branch={firm.main.id}").text
    assert text.count("appt a-confirmed clash") + text.count(" clash") >= 2
    assert "Überschneidung" in text


def test_the_instants_of_a_doubled_hour_are_told_apart(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    assert drop(owner, row, SECOND).status_code == 204
    assert now_of(cast.salon, row).start_time == SECOND
    assert drop(owner, row, FIRST, version=2).status_code == 204
    assert now_of(cast.salon, row).start_time == FIRST


def test_the_sheet_says_which_row_is_which_instant(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    for moment in (FIRST, SECOND, datetime(2037, 3, 29, 0, 30, tzinfo=UTC)):
        factories.make_appointment(firm, start=moment, minutes=60)
    for day, hours in (("2037-10-25", 17), ("2037-03-29", 16)):
        page = parse(owner.get(f"/calendar?view=day&date={day}&branch={firm.main.id}").text)
        lane = next(lane for lane in page.select(".lane[data-staff]") if lane["data-staff"])
        marks = [int(mark) for mark in lane["data-marks"].split()]
        assert [later - one for one, later in pairwise(marks)] == [3600] * (hours - 1)
        assert len(marks) == hours
    week = parse(owner.get(f"/calendar?view=week&date=2037-10-25&branch={firm.main.id}").text)
    kinds = [lane["data-marks"].count("-") for lane in week.select(".lane") if "data-marks" in lane]
    assert set(kinds) == {0, 1}


def test_only_what_is_open_and_only_by_those_who_may_can_be_dragged(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    rows = {status: factories.make_appointment(firm, start=at(9 + index), status=status) for index, status in
            enumerate(("scheduled", "confirmed", "completed", "no_show", "cancelled"))}  # fmt: skip
    url = f"/calendar?view=day&date={DAY.isoformat()}&branch={firm.main.id}"
    text = client.sign_in(firm.staff).get(url).text
    dragged = {status for status, row in rows.items() if f'data-drag="{row.id}"' in text}
    assert dragged == {"scheduled", "confirmed"}
    factories.deny(firm, firm.staff, "edit_appointments")
    text = client.get(url).text
    assert "data-drag" not in text
    assert "data-marks" not in text
    assert drop(client, rows["confirmed"], at(15)).status_code == 403


@pytest.mark.parametrize("status", ["completed", "no_show", "cancelled"])
def test_what_is_over_keeps_its_time(owner: PortalClient, cast: Cast, status: str) -> None:
    row = factories.make_appointment(cast.salon, start=at(9), status=status)
    assert drop(owner, row, at(11)).status_code == 422
    assert now_of(cast.salon, row).start_time == at(9)


def test_nobody_drops_into_the_column_of_a_branch_that_is_not_theirs(client: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    client.sign_in(firm.staff)
    assert drop(client, row, at(9), staff=firm.colleague.id).status_code == 422
    theirs = factories.make_appointment(firm, start=at(9), branch_id=firm.other.id, staff_id=firm.colleague.id)
    assert drop(client, theirs, at(11)).status_code == 404
    assert [now_of(firm, each).version for each in (row, theirs)] == [1, 1]


def test_a_box_is_not_dropped_on_somebody_of_another_branch(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    away = firm.colleague  # of the other branch
    answer = drop(owner, row, at(11), staff=away.id)
    assert answer.status_code == 422
    assert f"arbeitet nicht in {firm.main.name}" in said(answer)
    assert now_of(firm, row).version == 1
    hours = {"branch_id": firm.main.id, "staff_id": away.id, "weekday": DAY.isoweekday()}
    factories.save(firm, WorkingHours(company_id=firm.id, opens_at=time(9), closes_at=time(18), **hours))
    assert drop(owner, row, at(11), staff=away.id).status_code == 204


# ---- The form, on the nights of the change ----------------------------------------------------------------------


def by_form(client: PortalClient, row: Appointment, **data: Any) -> TestResponse:
    data = {"version": 1, "staff": row.staff_id} | data
    return client.htmx("POST", f"/appointments/{row.id}/move", data=data)


def test_a_time_that_comes_twice_asks_which_one(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    when = {"date": "2037-10-25", "time": "02:30"}
    answer = by_form(owner, row, **when)
    assert answer.status_code == 422
    assert "zweimal" in answer.text
    assert "nach der Umstellung" in answer.text
    assert now_of(cast.salon, row).version == 1
    assert by_form(owner, row, **when, coming="2").status_code == 200
    assert now_of(cast.salon, row).start_time == SECOND


def test_a_time_that_the_clocks_skip_is_refused_beside_its_field(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    answer = by_form(owner, row, date="2037-03-29", time="02:30")
    assert answer.status_code == 422
    assert "Die Uhren werden vorgestellt" in parse(answer.text).one("#time-e").text
    assert now_of(cast.salon, row).version == 1


def test_moving_to_nobody_yet_is_kept(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    assert by_form(owner, row, date=DAY.isoformat(), time="09:00", staff="").status_code == 200
    assert now_of(cast.salon, row).staff_id is None


# ---- Two people -------------------------------------------------------------------------------------------------


def moved_by_the_manager(cast: Cast, client: PortalClient, row: Appointment) -> None:
    client.sign_in(cast.salon.manager)
    assert by_form(client, row, date=DAY.isoformat(), time="15:00").status_code == 200
    client.sign_in(cast.salon.owner)


def lines(answer: TestResponse) -> dict[str, tuple[str, str]]:
    """What the two versions say, by line."""
    rows = [[cell.text for cell in line.select("td")] for line in parse(answer.text).select("table tbody tr")]
    heads = [head.text for head in parse(answer.text).select("table tbody th")]
    return {head: (cells[0], cells[1]) for head, cells in zip(heads, rows, strict=True)}


def test_the_second_one_to_move_sees_both_and_can_still_do_it(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    moved_by_the_manager(cast, owner, row)
    answer = by_form(owner, row, date=DAY.isoformat(), time="11:00")
    assert answer.status_code == 409
    now, mine = lines(answer)["Zeit"]
    assert "15:00–15:45" in now
    assert mine.endswith("11:00")
    form = next(each for each in parse(answer.text).select("form") if each["action"].endswith("/move"))
    data = {field["name"]: field["value"] for field in form.select("input") if "value" in field}
    assert (data["version"], data["time"]) == ("2", "11:00")
    assert owner.htmx("POST", form["action"], data=data | {"staff": row.staff_id}).status_code == 200
    assert now_of(cast.salon, row).start_time == at(11)


def test_a_drop_on_an_older_state_opens_both_versions_and_changes_nothing(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    moved_by_the_manager(cast, owner, row)
    answer = drop(owner, row, at(11))
    assert answer.status_code == 409
    assert "15:00–15:45" in lines(answer)["Zeit"][0]
    assert "calendar-changed" in answer.headers["HX-Trigger"]
    assert now_of(cast.salon, row).start_time == at(15)


def test_the_second_one_to_cancel_sees_both_and_keeps_the_reason(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    moved_by_the_manager(cast, owner, row)
    data = {"reason": "other", "words": "Wasserrohrbruch", "version": 1}
    answer = owner.htmx("POST", f"/appointments/{row.id}/cancel", data=data)
    assert answer.status_code == 409
    assert lines(answer)["Status"] == ("Bestätigt", "Storniert, Wasserrohrbruch")
    form = next(each for each in parse(answer.text).select("form") if each["action"].endswith("/cancel"))
    assert form.one("[name=words]")["value"] == "Wasserrohrbruch"
    assert form.one("[name=version]")["value"] == "2"
    assert "checked" in form.one("[value=other]")
    assert now_of(cast.salon, row).status == "confirmed"


def test_the_second_one_to_tap_sees_both(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    moved_by_the_manager(cast, owner, row)
    data = {"action": "no_show", "version": 1}
    answer = owner.htmx("POST", f"/appointments/{row.id}/status", data=data)
    assert answer.status_code == 409
    assert lines(answer) == {"Status": ("Bestätigt", "Nicht erschienen")}
    assert "Sie wollten: Nicht erschienen." in owner.htmx(
        "POST", f"/appointments/{row.id}/status", data=data | {"part": "row"}
    ).get_data(as_text=True)


# ---- Live -------------------------------------------------------------------------------------------------------


def poll_of(page: str) -> str:
    found = parse(page).one("[hx-trigger^=every]")
    return found["hx-get"]


def test_the_panel_asks_for_news_and_is_told_only_when_there_is_some(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    url = poll_of(owner.htmx("GET", f"/appointments/{row.id}").text)
    assert url.startswith(f"/appointments/{row.id}?v=")
    assert url.endswith("in=panel")
    assert owner.htmx("GET", url).status_code == 204
    moved_by_the_manager(cast, owner, row)
    answer = owner.htmx("GET", url)
    assert answer.status_code == 200
    assert answer.text.strip().startswith(f'<div class="stack" id="appt-{row.id}"')
    assert "15:00–15:45" in answer.text
    assert "Mara Manager hat diesen Termin um" in answer.text
    assert owner.htmx("GET", poll_of(answer.text)).status_code == 204


def test_what_one_has_done_oneself_is_no_news(owner: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=at(9))
    url = poll_of(owner.htmx("GET", f"/appointments/{row.id}").text)
    by_form(owner, row, date=DAY.isoformat(), time="15:00")
    answer = owner.htmx("GET", url)
    assert answer.status_code == 200
    assert "hat diesen Termin um" not in answer.text


def test_an_overlap_that_somebody_makes_shows_too(owner: PortalClient, cast: Cast) -> None:
    firm, row = cast.salon, factories.make_appointment(cast.salon, start=at(9))
    url = poll_of(owner.htmx("GET", f"/appointments/{row.id}").text)
    factories.make_appointment(firm, start=at(9, 30), customer_id=factories.make_customer(firm).id)
    assert "Peter Schäfer" in owner.htmx("GET", url).text
