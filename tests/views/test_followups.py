"""The pages of the follow-up queue, as a browser and as HTMX ask for them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.models import Appointment, BranchClosure, Call, CallFollowup, CallNote, Company
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse
from tests.queries import Queries

HOUR = timedelta(hours=1)
PAGE = "/calls/follow-ups"


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def wait(firm: Firm, hours: float = 1, call: Call | None = None, **values: Any) -> CallFollowup:
    return factories.make_followup(firm, call, **{"due_at": utcnow() + hours * HOUR} | values)


def fresh(firm: Firm, row: CallFollowup) -> CallFollowup:
    with tenant_scope(firm.id):
        return db.session.get_one(CallFollowup, row.id, populate_existing=True)


def promised(firm: Firm, **values: Any) -> CallFollowup:
    start = datetime(2037, 3, 10, 15, 0, tzinfo=UTC)
    told = {"kind": "none", "start": start.isoformat(), "service": "Damenhaarschnitt", "staff": "Sofia Klein"}
    return wait(firm, reason="promise", detail="16 Uhr", facts={"promise": told | values}, priority="high")


# ---- The queue ------------------------------------------------------------------------------------------------


def test_an_empty_queue_says_what_will_stand_there(owner: PortalClient) -> None:
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "Niemand wartet" in page.text
    assert 'aria-current="page"' in page.text


def test_nothing_is_said_of_closing_where_no_hours_are_known(owner: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    assert "nicht mehr geöffnet" not in owner.get(PAGE).text
    for day in (utcnow().date() + timedelta(days=offset) for offset in (-1, 0, 1)):
        factories.save(firm, BranchClosure(company_id=firm.id, branch_id=firm.main.id, date=day))
    assert "heute nicht mehr geöffnet" in owner.get(PAGE).text


def test_overdue_today_and_later_are_told_apart(owner: PortalClient, cast: Cast) -> None:
    calls = [factories.make_call(cast.salon, customer_id=None, phone_number=f"+4915{n}1112223") for n in range(3)]
    late = wait(cast.salon, -1, calls[0], reason="complaint", detail="Wartezeit")
    later = wait(cast.salon, 72, calls[1])
    page = owner.get(PAGE).text
    assert page.index("Überfällig") < page.index(f'id="followup-{late.id}"') < page.index(f'id="followup-{later.id}"')
    assert page.index("Später") < page.index(f'id="followup-{later.id}"')
    assert "2 Menschen warten, 1 schon zu lange" in page
    assert "Beschwerde" in page
    assert "seit 1 Std." in page


def test_the_menu_counts_people_not_entries(owner: PortalClient, cast: Cast) -> None:
    for _number in range(3):
        wait(cast.salon)
    page = owner.get("/customers").text
    assert re.search(r'class="count" id="count-follow_ups-side">1<span class="visually-hidden"> offener Rückruf', page)


def test_the_menu_learns_at_once_what_a_part_has_changed(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    assert "hx-swap-oob" not in owner.get(PAGE).text
    part = owner.htmx("POST", f"{PAGE}/{row.id}", data={"result": "called", "note": "Geklärt"}).text
    for place in ("side", "bottom"):
        assert f'<span class="count" hidden id="count-follow_ups-{place}" hx-swap-oob="true">0' in part


def test_the_filters_are_in_the_address(owner: PortalClient, cast: Cast) -> None:
    mine = wait(
        cast.salon,
        1,
        factories.make_call(cast.salon, customer_id=None, phone_number="+4915111"),
        assigned_to=cast.salon.owner.id,
    )
    free = wait(cast.salon)
    for query, there, not_there in (("?who=me", mine, free), ("?who=none", free, mine)):
        page = owner.get(PAGE + query).text
        assert f'id="followup-{there.id}"' in page
        assert f'id="followup-{not_there.id}"' not in page
        assert f'action="{PAGE}/{there.id}{query}"' in page
    assert owner.get(f"{PAGE}?who=nonsense").status_code == 200


def test_the_poll_is_quiet_until_something_changes(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    address = re.search(r'hx-get="(/calls/follow-ups/now\?v=\w+)"', owner.get(PAGE).text)
    assert address
    assert owner.htmx("GET", address[1]).status_code == 204
    owner.post(f"{PAGE}/{row.id}", data={"result": "note", "note": "War besetzt"})
    part = owner.htmx("GET", address[1])
    assert part.status_code == 200
    assert "War besetzt" in part.text
    assert "<html" not in part.text


def test_staff_find_only_their_branch(client: PortalClient, cast: Cast) -> None:
    there = wait(cast.salon, 1, factories.make_call(cast.salon, branch_id=cast.salon.other.id))
    here = wait(cast.salon, 1, factories.make_call(cast.salon, customer_id=None, phone_number="+49151"))
    staff = client.sign_in(cast.salon.staff)
    page = staff.get(PAGE).text
    assert f'id="followup-{here.id}"' in page
    assert f'id="followup-{there.id}"' not in page
    for action in ("", "/assign", "/reopen"):
        assert staff.post(f"{PAGE}/{there.id}{action}", data={"result": "done"}).status_code == 404
    assert fresh(cast.salon, there).status == "open"


def test_staff_can_give_it_to_themselves_only(client: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    staff = client.sign_in(cast.salon.staff)
    options = re.findall(r'<option value="(\d*)"', staff.get(PAGE).text)
    assert options == ["", str(cast.salon.staff.id)]
    answer = staff.post(f"{PAGE}/{row.id}/assign", data={"assignee": cast.salon.manager.id})
    assert answer.status_code == 422
    assert "An andere geben es" in answer.text
    assert "/terms" not in staff.get(PAGE).text


def test_a_page_of_many_costs_no_more_than_one_of_two(owner: PortalClient, cast: Cast) -> None:
    def fill(number: int) -> None:
        for n in range(number):
            number_of = f"+4915{n:07}"
            wait(cast.salon, 1, factories.make_call(cast.salon, customer_id=None, phone_number=number_of))

    fill(2)
    owner.get(PAGE)
    with Queries() as few:
        owner.get(PAGE)
    fill(12)
    with Queries() as many:
        assert owner.get(PAGE).status_code == 200
    assert len(many) == len(few)
    assert len(many) <= 25


# ---- What people do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "status"),
    [("called", "resolved"), ("done", "resolved"), ("dismiss", "dismissed"), ("missed", "in_progress")],
)
def test_every_button_works_without_javascript(owner: PortalClient, cast: Cast, result: str, status: str) -> None:
    row = wait(cast.salon)
    answer = owner.post(
        f"{PAGE}/{row.id}?who=none", data={"result": result, "note": "Alles gut", "entry": f"{row.id}.1"}
    )
    assert (answer.status_code, answer.location) == (303, f"{PAGE}?who=none")
    assert fresh(cast.salon, row).status == status


def test_with_htmx_the_whole_queue_comes_back(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    part = owner.htmx("POST", f"{PAGE}/{row.id}", data={"result": "called", "note": "Geklärt"})
    assert part.status_code == 200
    assert part.text.lstrip().startswith('<div id="queue"')
    assert f'id="followup-{row.id}"' not in part.text
    assert "Erledigt." in part.headers["HX-Trigger"].encode().decode("unicode_escape")
    assert fresh(cast.salon, row).resolution == "Geklärt"


def test_the_second_of_two_is_told(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    seen = {"entry": f"{row.id}.1", "result": "done"}
    assert owner.post(f"{PAGE}/{row.id}", data=seen).status_code == 303
    owner.sign_in(cast.salon.manager)
    for answer in (owner.post(f"{PAGE}/{row.id}", data=seen), owner.htmx("POST", f"{PAGE}/{row.id}", data=seen)):
        assert answer.status_code == 409
        assert "Katharina Owner hat das inzwischen erledigt." in answer.text
    assert fresh(cast.salon, row).closed_by == cast.salon.owner.id


def test_an_empty_note_is_told_beside_its_field(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    answer = owner.htmx("POST", f"{PAGE}/{row.id}", data={"result": "note", "note": " "})
    assert answer.status_code == 422
    assert f'id="n{row.id}-e"' in answer.text
    more = parse(answer.text).one(f"#more-{row.id}-l")
    assert "open" in more  # else the button that was pressed would be out of sight
    assert more.one("[name=result][value=note]")


def test_an_unknown_result_is_refused(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    assert owner.post(f"{PAGE}/{row.id}", data={"result": "delete"}).status_code == 400
    assert fresh(cast.salon, row).status == "open"


def test_giving_it_away_and_back(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    owner.htmx("POST", f"{PAGE}/{row.id}/assign", data={"assignee": cast.salon.manager.id, "entry": f"{row.id}.1"})
    assert fresh(cast.salon, row).assigned_to == cast.salon.manager.id
    assert f'<option value="{cast.salon.manager.id}" selected>' in owner.get(PAGE).text
    owner.post(f"{PAGE}/{row.id}/assign", data={"assignee": "", "entry": f"{row.id}.2"})
    assert fresh(cast.salon, row).assigned_to is None


def test_what_closed_itself_is_listed_in_the_readers_language_and_opened_again(owner: PortalClient, cast: Cast) -> None:
    closed = {"how": "called_again", "at": utcnow().isoformat()}
    row = wait(cast.salon, status="resolved", closed_at=utcnow(), resolution="…", facts={"closed": closed})
    for address in (PAGE, f"{PAGE}/closed"):
        assert "hat wieder angerufen, ist geklärt" in owner.get(address).text
    answer = owner.post(f"{PAGE}/{row.id}/reopen", data={"version": "1"})
    assert answer.status_code == 303
    assert fresh(cast.salon, row).status == "open"


def test_odd_facts_do_no_harm(owner: PortalClient, cast: Cast) -> None:
    odd: list[Any] = [{}, {"closed": 7}, {"closed": {"how": "x"}}, {"promise": []}, {"promise": {"start": "gestern"}}]
    for facts in odd:
        call = factories.make_call(cast.salon, customer_id=None, phone_number=None)
        wait(cast.salon, 1, call, facts=facts, reason="promise")
        wait(cast.salon, 1, call, facts=facts, status="resolved", closed_at=utcnow())
    assert owner.get(PAGE).status_code == 200
    assert owner.get(f"{PAGE}/closed").status_code == 200


# ---- Promises -------------------------------------------------------------------------------------------------


def test_a_broken_promise_leads_to_the_form_filled_in_and_closes_when_it_is_booked(
    owner: PortalClient, cast: Cast
) -> None:
    firm = cast.salon
    call = factories.make_call(
        firm,
        intent="book_appointment",
        custom_data={"appointment_date": "2037-03-10", "appointment_time": "16:00", "call_successful": True},
    )
    told = {"kind": "none", "start": "2037-03-10T15:00:00+00:00", "service": "Damenhaarschnitt", "staff": "Sofia Klein"}
    row = wait(firm, 1, call, reason="promise", facts={"promise": told})
    page = owner.get(PAGE).text
    assert "zugesagt, eingetragen ist nichts" in page
    address = re.search(r'href="(/appointments/new\?[^"]+)"', page)
    assert address
    form = owner.get(address[1].replace("&amp;", "&")).text
    assert 'value="2037-03-10"' in form
    assert 'value="16:00"' in form
    assert f'<option selected value="{firm.cut.id}">' in form
    assert f'<option selected value="{firm.stylist.id}">' in form
    filled = {
        "branch": firm.main.id,
        "customer": firm.customer.id,
        "service": firm.cut.id,
        "staff": firm.stylist.id,
        "date": "2037-03-10",
        "time": "16:00",
        "call": call.id,
    }
    assert owner.post("/appointments/new", data=filled).status_code == 303
    with tenant_scope(firm.id):
        assert db.session.scalars(select(Appointment.call_id)).all() == [call.id]
    closed = fresh(firm, row)
    assert (closed.status, closed.closed_by) == ("resolved", None)
    assert "der Termin steht" in (closed.resolution or "")


@pytest.mark.parametrize(
    ("taken", "staff", "words"),
    [
        (False, "Sofia Klein", "Die Zeit ist noch frei"),
        (True, "Sofia Klein", "Die Zeit ist nicht mehr frei"),
        (False, "Niemand", ""),
    ],
)
def test_the_page_says_whether_the_time_is_still_free(
    owner: PortalClient, cast: Cast, taken: bool, staff: str, words: str
) -> None:
    promised(cast.salon, staff=staff)
    if taken:
        factories.make_appointment(
            cast.salon, datetime(2037, 3, 10, 15, 15, tzinfo=UTC), customer_id=factories.make_customer(cast.salon).id
        )
    page = owner.get(PAGE).text
    assert words in page
    assert ("Die Zeit ist" in page) == bool(words)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "zugesagt, eingetragen ist nichts"),
        ({"kind": "other_time", "booked_start": "2037-03-10T16:00:00+00:00"}, "eingetragen ist Di., 10.03., 17:00"),
        (
            {"kind": "other_service", "booked_start": "2037-03-10T15:00:00+00:00", "booked_service": "Bartpflege"},
            "Bartpflege",
        ),
        ({"kind": "cancelled"}, "die Buchung wurde wieder storniert"),
    ],
)
def test_the_page_says_what_stands_instead(owner: PortalClient, cast: Cast, told: dict[str, Any], words: str) -> None:
    row = promised(cast.salon, **told)
    for address in (PAGE, f"/calls/{row.call_id}", "/", "/dashboard/today"):
        assert words in owner.get(address).text.replace("\u00a0", " "), address


def test_a_promise_is_flagged_in_the_lists(owner: PortalClient, cast: Cast) -> None:
    promised(cast.salon)
    for address in ("/calls", "/"):
        assert "Zugesagt, kein Termin" in owner.get(address).text


def test_a_callback_that_is_settled_no_longer_calls_for_anybody(owner: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon, custom_data={"callback_requested": True})
    row = wait(cast.salon, 1, call, reason="callback")

    def pills() -> list[str]:
        in_list = parse(owner.get("/calls").text).one(f"#call-{call.id} .pill")
        on_page = parse(owner.get(f"/calls/{call.id}").text).one("section[aria-labelledby=h-sum] .pill")
        return [each["class"] for each in (in_list, on_page)]

    assert pills() == ["pill pill-warn"] * 2
    owner.post(f"{PAGE}/{row.id}", data={"result": "called"})
    assert pills() == ["pill"] * 2


def test_the_first_page_counts_open_callbacks(owner: PortalClient, cast: Cast) -> None:
    wait(cast.salon, -1)
    page = owner.get("/").text
    assert "Offene Rückrufe" in page
    assert "1 ist überfällig" in page
    assert "Rückruf überfällig" in page


def test_the_bookkeeper_sees_nothing_of_it(client: PortalClient, cast: Cast) -> None:
    promised(cast.salon)
    books = client.sign_in(cast.salon.bookkeeper)
    assert "follow-ups" not in books.get("/balance").text
    assert books.get(PAGE).status_code == 403


# ---- Beside the call ------------------------------------------------------------------------------------------


def test_the_card_beside_a_call_works_with_and_without_javascript(owner: PortalClient, cast: Cast) -> None:
    row = wait(cast.salon)
    page = owner.get(f"/calls/{row.call_id}").text
    assert 'id="followup-card"' in page
    assert "Rechnung" in page
    part = owner.htmx("POST", f"{PAGE}/{row.id}", data={"result": "missed", "note": "Mailbox", "page": "call"})
    assert part.text.lstrip().startswith('<section class="card" id="followup-card"')
    assert "1-mal nicht erreicht" in part.text
    answer = owner.post(f"{PAGE}/{row.id}", data={"result": "done", "note": "Geklärt", "page": "call"})
    assert answer.location == f"/calls/{row.call_id}"
    after = owner.get(answer.location).text
    assert "Geklärt" in after
    assert "Wieder öffnen" in after
    late = owner.htmx("POST", f"{PAGE}/{row.id}", data={"result": "done", "page": "call", "entry": f"{row.id}.1"})
    assert late.status_code == 409
    assert "Katharina Owner hat das inzwischen erledigt." in late.text


def test_a_call_that_needs_nobody_has_no_card(owner: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon)
    assert "followup-card" not in owner.get(f"/calls/{call.id}").text


# ---- Terms ----------------------------------------------------------------------------------------------------


def test_terms_are_changed_and_shown(owner: PortalClient, cast: Cast) -> None:
    form = owner.get(f"{PAGE}/terms").text
    assert 'value="15"' in form
    wanted = {"complaint": "30", "complaint_unit": "1", "promise": "1", "promise_unit": "60"}
    wanted |= {"callback": "8", "callback_unit": "60"}
    assert owner.post(f"{PAGE}/terms", data=wanted).status_code == 303
    page = owner.get(PAGE).text
    assert "30 Minuten" in page
    assert "wie zugesagt, sonst 8 Stunden" in page
    with tenant_scope(cast.salon.id):
        settings = db.session.scalars(select(Company.settings).where(Company.id == cast.salon.id)).one()
    assert (settings or {})["followups"] == {"complaint": 30, "promise": 60, "callback": 480}


@pytest.mark.parametrize(
    ("field", "value"),
    [("complaint", ""), ("complaint", "x"), ("promise", "0"), ("callback", "9999"), ("callback_unit", "7")],
)
def test_wrong_terms_come_back_with_a_message(owner: PortalClient, cast: Cast, field: str, value: str) -> None:
    wanted = {"complaint": "30", "complaint_unit": "1", "promise": "1", "promise_unit": "60"}
    wanted |= {"callback": "8", "callback_unit": "60"}
    answer = owner.post(f"{PAGE}/terms", data=wanted | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text


def test_terms_are_for_owners_and_managers(client: PortalClient, cast: Cast) -> None:
    assert client.sign_in(cast.salon.manager).get(f"{PAGE}/terms").status_code == 200
    assert client.sign_in(cast.salon.staff).get(f"{PAGE}/terms").status_code == 403


def test_notes_are_of_this_company(owner: PortalClient, cast: Cast) -> None:
    theirs = wait(cast.praxis)
    assert owner.post(f"{PAGE}/{theirs.id}", data={"result": "note", "note": "x"}).status_code == 404
    # Nor by naming it beside one of ours.
    ours = wait(cast.salon)
    data = {"result": "done", "entry": [f"{ours.id}.1", f"{theirs.id}.1"]}
    assert owner.post(f"{PAGE}/{ours.id}", data=data).status_code == 303
    assert fresh(cast.praxis, theirs).status == "open"
    with tenant_scope(cast.praxis.id):
        assert db.session.scalars(select(CallNote)).all() == []
