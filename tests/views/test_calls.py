"""The pages of calls: the list with its filters and its live part, one call, and who sees what of both."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.db import db, utcnow
from portal.domain import call_lists, call_reports, calls, ledger
from portal.models import Call, CallContent, Customer, PortalUser, PortalUserPermission, PrepaidBalance
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import Node, parse
from tests.queries import Queries
from tests.webhooks.retell_payloads import ms, payload

# Of a call's own page two are its notes and until when it is kept, and one, without a customer, whose number it is.
MOST_QUERIES = 16


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Firm:
    client.sign_in(speaking(cast.salon, cast.salon.owner))
    return cast.salon


def speaking(firm: Firm, user: PortalUser, language: str = "en") -> PortalUser:
    def write() -> None:
        db.session.get_one(PortalUser, user.id).language = language

    factories.within(firm, write)
    return user


def reported(firm: Firm, *events: str, minutes_ago: int = 30, **call: Any) -> Call:
    """A call as Retell would have reported it, some time ago; the last event counts."""
    start = utcnow() - timedelta(minutes=minutes_ago)

    def record(event: str) -> Call:
        body = payload(event)
        times = {"start_timestamp": ms(start)}
        if "end_timestamp" in body["call"]:
            times["end_timestamp"] = ms(start) + body["call"]["duration_ms"]
        body["call"] |= times | call
        report = call_reports.read(event if event in call_reports.EVENTS else body["event"], body)
        return calls.record(report, utcnow(), utcnow())

    for event in events or ("call_started", "call_ended", "call_analyzed"):
        made = factories.within(firm, lambda event=event: record(event))  # type: ignore[misc]
    return made


def top_up(firm: Firm, amount: str = "150.00") -> None:
    def put() -> None:
        db.session.get_one(PrepaidBalance, firm.balance.id).current_balance = Decimal(amount)

    factories.within(firm, put)


def page(client: PortalClient, address: str) -> Node:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return parse(answer.text)


def listed(client: PortalClient, address: str = "/calls") -> list[int]:
    return [int(link["href"].rsplit("/", 1)[1]) for link in page(client, address).select("tr a.name")]


# ---- The list -------------------------------------------------------------------------------------------------


def test_a_call_is_a_line_with_who_what_outcome_mood_length_and_cost(client: PortalClient, salon: Firm) -> None:
    top_up(salon)
    call = reported(salon)
    row = page(client, "/calls").one(f"#call-{call.id}").text
    for said in ("Nadine Vogt", "Frau Vogt bucht einen Haarschnitt", "Wanted an appointment", "Happy", "2:37", "€1.10"):
        assert said in row
    assert "name as heard" in row


def test_the_list_begins_with_the_newest_and_links_each_call(client: PortalClient, salon: Firm) -> None:
    older, newer = (factories.make_call(salon, started_at=utcnow() - timedelta(hours=h)) for h in (5, 2))
    assert listed(client) == [newer.id, older.id]


def test_by_default_the_list_goes_back_ninety_days(client: PortalClient, salon: Firm) -> None:
    old = factories.make_call(salon, started_at=utcnow() - timedelta(days=120))
    new = factories.make_call(salon, started_at=utcnow() - timedelta(days=80))
    assert listed(client) == [new.id]
    assert listed(client, "/calls?range=365") == [new.id, old.id]
    assert listed(client, "/calls?range=nonsense&status=nonsense&branch=x&booked=perhaps&from=2026-99-99") == [new.id]
    day = (utcnow() - timedelta(days=120)).date().isoformat()
    assert listed(client, f"/calls?from={day}&to={day}") in ([old.id], [])


def test_filters_stand_in_the_address_and_in_the_form(client: PortalClient, salon: Firm) -> None:
    factories.make_call(salon, sentiment="positive")
    angry = factories.make_call(salon, sentiment="negative", branch_id=salon.other.id, appointment_created=True)
    address = f"/calls?sentiment=negative&branch={salon.other.id}&booked=yes&range=7"
    assert listed(client, address) == [angry.id]
    chosen = {tag["value"] for tag in page(client, address).select("form.filters option[selected]")}
    assert chosen == {"negative", str(salon.other.id), "yes", "7"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/calls?branch=", 200),
        ("/calls/live?branch=", 200),
        ("/calls/export.csv?branch=", 200),
        ("/calls/", 404),
    ],
)
def test_an_id_that_no_database_can_hold_is_nobodys(client: PortalClient, salon: Firm, path: str, status: int) -> None:
    response = client.get(path + "9" * 30)
    assert response.text
    assert response.status_code == status


@pytest.mark.parametrize(
    "query", ["(" * 100, "a\\b*+?[", "\x00abc", "ae" * 50, "äss öss üss aess oess uess", "]{2}|x", "\ufeffa"]
)
def test_no_search_stumbles_over_what_was_typed(client: PortalClient, salon: Firm, query: str) -> None:
    factories.make_call(salon, "Agent: (guten) Tag a\\b\nUser: ]{2}|x")
    assert client.get("/calls", query_string={"q": query}).status_code == 200


def test_htmx_gets_the_list_alone(client: PortalClient, salon: Firm) -> None:
    reported(salon)
    part = client.htmx("GET", "/calls?range=7").text
    assert part.strip().startswith('<div id="calls"')
    assert "<html" not in part
    assert "<form" not in part


def test_the_line_below_says_how_many_and_how_many_booked(client: PortalClient, salon: Firm) -> None:
    for booked in (True, False, False, False):
        factories.make_call(salon, appointment_created=booked)
    assert page(client, "/calls").one("#calls [role=status]").text == "4 calls · 25% with an appointment"
    assert page(client, "/calls?booked=no").one("#calls [role=status]").text == "3 calls"


def test_more_than_a_thousand_are_not_counted(
    client: PortalClient, salon: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.views.calls.call_lists.MOST_COUNTED", 1)
    factories.make_call(salon)
    factories.make_call(salon)
    shown = page(client, "/calls").one("#calls p").text
    assert "More than 1,000 calls" in shown


def test_older_calls_come_by_a_plain_link_and_as_a_part(
    client: PortalClient, salon: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_lists, "PAGE", 2)
    made = [factories.make_call(salon, started_at=utcnow() - timedelta(hours=h)) for h in range(1, 6)]
    first = page(client, "/calls?sentiment=")
    assert [tag["id"] for tag in first.select("tbody tr[id^=call-]:not(#calls-older)")] == [
        f"call-{call.id}" for call in made[:2]
    ]
    older = first.one("#calls-older")
    assert older["hx-trigger"] == "revealed"
    link = older.one("a")
    assert link["href"] == older["hx-get"]
    assert listed(client, link["href"]) == [call.id for call in made[2:4]]
    part = parse(client.htmx("GET", older["hx-get"]).text)
    assert [tag["id"] for tag in part.select("tr")] == [f"call-{made[2].id}", f"call-{made[3].id}", "calls-older"]
    last = part.one("#calls-older")
    end = parse(client.htmx("GET", last["hx-get"]).text)
    assert [tag["id"] for tag in end.select("tr")] == [f"call-{made[4].id}"]


def test_a_search_marks_what_it_found_and_keeps_the_filters(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)
    found = page(client, "/calls?q=rechnung&range=7")
    assert [mark.text for mark in found.select(f"#call-{call.id} mark")] == ["Rechnung"]
    assert "1 call with “rechnung”" in found.one("#calls [role=status]").text
    assert found.select_one("#calls-live") is None
    assert "No call with “quittung”" in client.get("/calls?q=quittung").text


@pytest.mark.parametrize("query", ["0152 55512345", "+49 152 555 12 345", "vogt", "Nadine Vogt", "55512345"])
def test_names_and_numbers_are_found_in_any_spelling(client: PortalClient, salon: Firm, query: str) -> None:
    call = reported(salon)
    factories.make_call(salon)
    answer = client.get("/calls", query_string={"q": query})
    assert [int(found) for found in re.findall(r'href="/calls/(\d+)"', answer.text)] == [call.id]


def test_odd_calls_look_right(client: PortalClient, salon: Firm) -> None:
    hidden = reported(salon, "withheld_ended")
    unanswered = reported(salon, "outbound_ended")
    abroad = factories.make_call(salon, customer_id=None, phone_number="+4315880400")
    long = factories.make_call(salon, duration_seconds=7212)
    blink = factories.make_call(salon, duration_seconds=1)
    broken = factories.make_call(salon, status="failed", end_reason="error_asr")
    found = page(client, "/calls")

    def row(call: Call) -> str:
        return found.one(f"#call-{call.id}").text

    assert "Withheld number" in row(hidden)
    assert "Hung up" in row(hidden)
    assert "Outgoing" in row(unanswered)
    assert "Not reached" in row(unanswered)
    assert "0:00" not in row(unanswered).split()  # the time of day may be 10:00
    assert "+43 1 5880400" in row(abroad)
    assert "2:00:12" in row(long)
    assert "0:01" in row(blink).split()
    assert "Failed" in row(broken)


def test_the_page_without_calls_says_what_comes(client: PortalClient, salon: Firm) -> None:
    found = page(client, "/calls")
    assert "the call appears here by itself" in found.text
    assert found.select_one("#calls-live") is not None
    assert "No calls with these filters" in client.get("/calls?status=busy").text


# ---- Live -----------------------------------------------------------------------------------------------------


def live_part(client: PortalClient) -> tuple[Node, str]:
    found = page(client, "/calls")
    part = found.one("#calls-live")
    return found, part["hx-get"]


def test_a_call_in_progress_stands_on_top_with_its_time_and_last_words(client: PortalClient, salon: Firm) -> None:
    factories.make_call(salon)
    call = reported(salon, "call_started", "transcript_updated", minutes_ago=2)
    found, _address = live_part(client)
    first = found.one("tbody tr")
    assert first["id"] == f"call-{call.id}"
    assert "live" in first["class"]
    assert re.search(r"On the phone now 2:0\d running", first.text)
    assert "Freitag ginge um vierzehn Uhr" in first.text


def test_the_live_part_stays_silent_until_something_happens(client: PortalClient, salon: Firm) -> None:
    factories.make_call(salon)
    _found, address = live_part(client)
    assert client.htmx("GET", address).status_code == 204
    call = reported(salon, "call_started", minutes_ago=0)
    answer = client.htmx("GET", address)
    assert answer.status_code == 200
    part = parse(answer.text)
    assert [tag["id"] for tag in part.select("tr")] == [f"call-{call.id}"]
    tbody = part.one("tbody#calls-live")
    reported(salon, "call_ended", minutes_ago=0)
    over = client.htmx("GET", tbody["hx-get"]).text
    assert "Wanted" in over or "Talked" in over
    assert "On the phone now" not in over


def test_a_call_that_ends_while_the_page_is_open_stays_where_it_is(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "call_started", minutes_ago=1)
    _found, address = live_part(client)
    assert f"seen={call.id}" in address
    reported(salon, "call_ended", minutes_ago=1)
    assert f'id="call-{call.id}"' in client.htmx("GET", address).text


def test_the_live_part_keeps_to_the_filters(client: PortalClient, salon: Firm) -> None:
    reported(salon, "call_started", minutes_ago=1)
    found = page(client, f"/calls?branch={salon.other.id}&direction=inbound")
    assert found.select("tr.live") == []


@pytest.mark.parametrize(
    "address", ["/calls/live", "/calls/live?since=x&seen=a,b,-1,9999999999999999999999", "/calls?since=-5"]
)
def test_what_is_no_version_and_no_moment_is_passed_over(client: PortalClient, salon: Firm, address: str) -> None:
    assert client.get(address).status_code == 200


# ---- One call -------------------------------------------------------------------------------------------------


def test_a_calls_page_shows_all_that_is_known_of_it(client: PortalClient, salon: Firm) -> None:
    top_up(salon)
    call = reported(salon)
    shown = page(client, f"/calls/{call.id}").one("main").text
    for said in (
        "Nadine Vogt",
        "Incoming",
        "0152 55512345",
        "2:37 min",
        "Salon Test Mitte",
        "Frau Vogt bucht einen Haarschnitt am Freitag um 14 Uhr",
        "Receptionist (AI) Salon Test, guten Morgen.",
        "Free times checked: Fri 27 Nov, 14:00, 16:15",
        "Appointment booked: Fri 27 Nov, 14:00, Nadine Vogt",
        "Service Damenhaarschnitt",
        "Day wanted 27 Nov 2026",
        "Callback wanted No",
        "Happy",
        "The caller hung up",
        "Name as heard on the phone, not confirmed",
    ):
        assert said.replace(" ", "") in shown.replace("\xa0", " ").replace(" ", ""), said


def test_the_cost_is_explained_line_by_line_and_computed_again(client: PortalClient, salon: Firm) -> None:
    top_up(salon)
    call = reported(salon)
    card = page(client, f"/calls/{call.id}").one("section[aria-labelledby=h-cost]")
    shown = card.text.replace("\xa0", " ")
    for said in (
        "Duration of the call 157 s",
        "Charged (to the second) 157 s",
        "Price since 1 Jan 2025 €0.42/min",
        "157 ÷ 60 × €0.42 €1.099",
        "Rounded to the cent +€0.001",
        "Charged €1.10",
        "Balance after it €148.90",
        "the sum is right",
    ):
        assert said in shown


def test_a_call_whose_charge_was_changed_by_hand_says_so(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)

    def wrong() -> None:
        charge = ledger.charge(db.session.get_one(Call, call.id), utcnow())
        assert charge is not None
        charge.amount_charged = Decimal("9.99")

    factories.within(salon, wrong)
    assert "Computed again it comes to €1.10" in client.get(f"/calls/{call.id}").text


def test_a_running_call_shows_what_is_reserved_and_grows_by_itself(client: PortalClient, salon: Firm) -> None:
    top_up(salon)
    call = reported(salon, "call_started", minutes_ago=1)
    found = page(client, f"/calls/{call.id}")
    part = found.one("#call-now")
    assert part["hx-trigger"] == "every 3s"
    assert "€2.10 are reserved" in part.text
    reported(salon, "transcript_updated", minutes_ago=1)
    answer = client.htmx("GET", part["hx-get"])
    assert "Freitag ginge um vierzehn Uhr" in answer.text
    reported(salon, minutes_ago=1, recording_url=None)
    over = parse(client.htmx("GET", part["hx-get"]).text).one("#call-now")
    assert over is not None
    assert "hx-get" not in over
    assert "Frau Vogt bucht" in over.text


def test_a_call_that_has_just_ended_waits_for_its_evaluation(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "call_ended", minutes_ago=1)
    part = page(client, f"/calls/{call.id}").one("#call-now")
    assert "is being evaluated" in part.text
    assert client.htmx("GET", part["hx-get"]).status_code == 204
    late = reported(salon, "call_ended", minutes_ago=600, call_id="call_of_this_morning", recording_url=None)
    assert 'hx-get="/calls/' not in client.get(f"/calls/{late.id}").text


def test_the_appointment_and_the_customers_next_one_have_their_cards(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    made = factories.make_appointment(salon, call_id=call.id)
    following = factories.make_appointment(salon, utcnow() + timedelta(days=9))

    def tie() -> None:
        row = db.session.get_one(Call, call.id)
        row.appointment_id, row.appointment_created = made.id, True

    factories.within(salon, tie)
    found = page(client, f"/calls/{call.id}")
    assert [link["href"] for link in found.select("section[aria-labelledby=h-appt] a")] == [f"/appointments/{made.id}"]
    assert "Damenhaarschnitt · Sofia Klein" in found.one("section[aria-labelledby=h-appt]").text
    links = [link["href"] for link in found.select("section[aria-labelledby=h-cust] a")]
    expected = [f"/customers/{salon.customer.id}", f"/appointments/{following.id}", f"/calls/{call.id}/customer"]
    assert links == expected


@pytest.mark.parametrize(("days_before", "told"), [(3, False), (0, True)])
def test_an_appointment_that_was_there_before_was_not_booked_in_the_call(
    client: PortalClient, salon: Firm, days_before: int, told: bool
) -> None:
    call = factories.make_call(salon)
    made = factories.make_appointment(salon, created_at=utcnow() - timedelta(days=days_before))
    factories.within(salon, lambda: setattr(db.session.get_one(Call, call.id), "appointment_id", made.id))
    events = page(client, f"/calls/{call.id}").select("section[aria-labelledby=h-line] li")
    assert any("Appointment booked" in each.text for each in events) is told


def test_a_withheld_number_keeps_its_name_whatever_was_said(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, from_number="anonymous")
    found = page(client, f"/calls/{call.id}")
    assert found.one("h1").text == "Withheld number"
    assert "Name said Nadine Vogt (not confirmed)" in found.one("section[aria-labelledby=h-cust]").text
    assert found.select_one('a[href^="tel:"]') is None


def test_in_the_conversation_nobody_is_called_a_withheld_number(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, from_number="anonymous")
    speakers = {each.text for each in page(client, f"/calls/{call.id}").select(".turns .who")}
    assert speakers == {"Receptionist (AI)", "Caller"}


def test_a_call_that_we_made_is_made_again_and_not_called_back(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, direction="outbound")
    assert page(client, f"/calls/{call.id}").one("a[href^='tel:']").text == "Call again"


def test_what_is_the_matter_is_not_said_twice(client: PortalClient, salon: Firm) -> None:
    said = {"reason": "Asked for a price", "service": "Damenhaarschnitt"}
    call = factories.make_call(salon, intent="price_question", custom_data=said)
    text = page(client, f"/calls/{call.id}").one("section[aria-labelledby=h-data]").text
    assert text == "Understood Matter Asked for a price Service Damenhaarschnitt"


EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)> \" ' & {{ 7*7 }}"


def test_nothing_that_was_said_or_sent_is_markup(client: PortalClient, salon: Firm) -> None:
    body = payload("call_analyzed")
    turns = [
        {"role": "user", "content": EVIL, "words": []},
        {"role": "tool_call_invocation", "tool_call_id": "1", "name": EVIL, "arguments": f'{{"{EVIL[:8]}": "<b>"}}'},
    ]
    analysis = body["call"]["call_analysis"] | {
        "call_summary": EVIL,
        "custom_analysis_data": {"intent": EVIL, EVIL: EVIL, "customer_name": EVIL},
    }
    call = reported(
        salon,
        "call_analyzed",
        transcript=f"User: {EVIL} Rechnung",
        transcript_with_tool_calls=turns,
        call_analysis=analysis,
        from_number="sip:<b>anna</b>@example",
        disconnection_reason=EVIL,
    )
    for address in (f"/calls/{call.id}", "/calls", "/calls?q=Rechnung", f"/calls/{call.id}/now"):
        shown = client.get(address).text
        assert "<script>alert" not in shown, address
        assert "<img src=x" not in shown, address
        assert "<b>" not in shown, address
        assert "49" not in re.findall(r"&amp; (.{0,9})", shown), address
    assert "&lt;script&gt;" in client.get("/calls", query_string={"q": EVIL}).text


def test_a_very_long_call_is_shown_quickly(client: PortalClient, salon: Firm) -> None:
    said = "schnippeldischnapp " * 4
    turns = [
        {"role": "agent" if n % 2 else "user", "content": said, "words": [{"word": "a", "start": n, "end": n + 1}]}
        for n in range(3000)
    ]
    call = reported(salon, "call_analyzed", transcript=None, transcript_object=None, transcript_with_tool_calls=turns)
    client.get("/calls")
    began = time.perf_counter()
    answer = client.get(f"/calls/{call.id}")
    took = time.perf_counter() - began
    assert answer.text.count('class="turn ') == 3000
    assert len(answer.text) > 200_000
    assert took < 3, took


# ---- Who sees what --------------------------------------------------------------------------------------------


def test_staff_see_their_branchs_calls_and_no_transcript_and_no_money(client: PortalClient, cast: Cast) -> None:
    salon = cast.salon
    top_up(salon)
    mine = reported(salon)
    elsewhere = factories.make_call(salon, branch_id=salon.other.id)
    nowhere = factories.make_call(salon, branch_id=None)
    client.sign_in(speaking(salon, salon.staff))
    assert listed(client) == [mine.id]
    for hidden in (elsewhere, nowhere):
        assert client.get(f"/calls/{hidden.id}").status_code == 404
        assert client.get(f"/calls/{hidden.id}/now").status_code == 404
    shown = page(client, f"/calls/{mine.id}").one("main").text
    assert "Frau Vogt bucht einen Haarschnitt" in shown
    assert "guten Morgen" not in shown
    assert "is shown to branch managers and owners" in shown
    assert "€" not in shown
    assert "charged" not in shown
    assert "€" not in page(client, "/calls").one("main").text
    assert f"call-{mine.id}" not in client.get("/calls?q=Viertel").text
    assert f"call-{mine.id}" in client.get("/calls?q=Vogt").text


def test_a_manager_reads_but_sees_no_money(client: PortalClient, cast: Cast) -> None:
    top_up(cast.salon)
    call = reported(cast.salon)
    client.sign_in(speaking(cast.salon, cast.salon.manager))
    shown = page(client, f"/calls/{call.id}").one("main").text
    assert "guten Morgen" in shown
    assert "€" not in shown


def test_a_person_who_was_given_the_right_reads(client: PortalClient, cast: Cast) -> None:
    call = reported(cast.salon)
    factories.save(
        cast.salon,
        PortalUserPermission(
            company_id=cast.salon.id, portal_user_id=cast.salon.staff.id, permission="read_transcripts", granted=True
        ),
    )
    client.sign_in(cast.salon.staff)
    assert "guten Morgen" in client.get(f"/calls/{call.id}").text


@pytest.mark.parametrize("who", ["bookkeeper", "operator"])
def test_calls_are_none_of_the_bookkeepers_or_operators_business(client: PortalClient, cast: Cast, who: str) -> None:
    call = factories.make_call(cast.salon)
    client.sign_in(cast.operator if who == "operator" else cast.salon.bookkeeper)
    for address in ("/calls", "/calls/live", f"/calls/{call.id}", f"/calls/{call.id}/now"):
        assert client.get(address).status_code == 403


def test_another_companys_call_is_as_absent_as_a_missing_one(client: PortalClient, cast: Cast, salon: Firm) -> None:
    theirs = factories.make_call(cast.praxis)
    for address in (f"/calls/{theirs.id}", "/calls/987654321", f"/calls/{theirs.id}/now"):
        assert client.get(address).status_code == 404
    assert client.get("/calls/x").status_code == 404
    assert f"/calls/{theirs.id}" not in client.htmx("GET", f"/calls/live?seen={theirs.id}").text


# ---- How much it costs ----------------------------------------------------------------------------------------


def test_pages_ask_the_database_little(client: PortalClient, salon: Firm) -> None:
    top_up(salon)
    for number in range(8):
        person = factories.make_customer(salon, f"Person {number}", "Vogt")
        factories.make_call(salon, customer_id=person.id)
    call = reported(salon)
    running = reported(salon, "call_started", "transcript_updated", call_id="call_live", minutes_ago=1)
    factories.make_appointment(salon, customer_id=call.customer_id or salon.customer.id)
    for address in (
        "/calls",
        "/calls?q=Rechnung&range=30",
        "/calls?q=0152&branch=1",
        f"/calls/{call.id}",
        f"/calls/{running.id}",
        "/calls/live",
        f"/calls/{running.id}/now",
    ):
        with Queries() as asked:
            assert client.get(address).status_code == 200
        assert len(asked) <= MOST_QUERIES, (address, len(asked))
        if address == "/calls":
            assert not [statement for statement in asked if "call_contents.turns" in statement]


def test_erased_people_are_numbers_again(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)

    def erase() -> None:
        customer = db.session.get_one(Customer, salon.customer.id)
        customer.first_name = customer.last_name = customer.search_name = None

    factories.within(salon, erase)
    shown = page(client, f"/calls/{call.id}")
    assert shown.one("h1").text == "030 5550100"


def test_german_is_the_first_language(client: PortalClient, cast: Cast) -> None:
    call = reported(cast.salon)
    client.sign_in(cast.salon.owner)
    shown = client.get(f"/calls/{call.id}").text
    assert "Freie Zeiten geprüft: Fr.,\xa027.11., 14:00" in shown
    assert '<html lang="de"' in shown
    with tenant_scope(cast.salon.id):
        assert db.session.get(CallContent, call.id) is not None


def test_an_evaluation_that_never_came_is_said_to_be_missing_until_it_comes(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "call_started", "call_ended", minutes_ago=30)
    shown = page(client, f"/calls/{call.id}").text
    assert "Evaluation missing" in shown
    assert "missing so far" in shown
    reported(salon, "call_analyzed", minutes_ago=30)
    shown = page(client, f"/calls/{call.id}").text
    assert "missing" not in shown.casefold()
    assert "Frau Vogt bucht" in shown


def test_words_that_never_came_are_not_said_to_have_been_silence(client: PortalClient, salon: Firm) -> None:
    wordless = {"transcript": None, "transcript_object": None, "transcript_with_tool_calls": None}
    call = reported(salon, "call_ended", minutes_ago=30, **wordless)
    shown = page(client, f"/calls/{call.id}").text
    assert "What was said has not arrived yet" in shown
    assert "Nothing was said" not in shown


def test_who_was_never_reached_misses_no_evaluation(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "outbound_ended", minutes_ago=30)
    assert "missing" not in page(client, f"/calls/{call.id}").text.casefold()


def test_a_call_of_a_minute_ago_is_being_evaluated_and_misses_nothing(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "call_ended", minutes_ago=4)
    shown = page(client, f"/calls/{call.id}").text
    assert "being evaluated" in shown
    assert "missing" not in shown.casefold()
