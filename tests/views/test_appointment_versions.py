"""Two people who edit one appointment: the second sees both versions, chooses line by line, and loses nothing."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.test import TestResponse

from portal import formats
from portal.db import db, utcnow
from portal.models import Appointment, Customer
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse

BERLIN = ZoneInfo("Europe/Berlin")
DAY = utcnow().astimezone(BERLIN).date() + timedelta(days=7)


def at(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


@pytest.fixture
def row(cast: Cast) -> Appointment:
    return factories.make_appointment(cast.salon, start=at(9), price=Decimal("58.00"), internal_notes="Stammgast")


def now_of(firm: Firm, row: Appointment) -> Appointment:
    with tenant_scope(firm.id):
        found = db.session.get_one(Appointment, row.id)
        db.session.expunge_all()
    return found


def opened(client: PortalClient, row: Appointment) -> dict[str, str]:
    """The form as somebody opens it: what a browser would send back."""
    form = parse(client.get(f"/appointments/{row.id}/edit").text).one("#appt-form")
    sent = {each["name"]: each["value"] for each in form.select("input") if "name" in each and "value" in each}
    checked = {each["name"]: each["value"] for each in form.select("input[type=radio]") if "checked" in each}
    chosen = {each["name"]: each.select("option[selected]") for each in form.select("select")}
    notes = form.one("textarea[name=notes]").text
    selected = {name: options[0]["value"] for name, options in chosen.items() if options}
    del sent["csrf_token"]  # the client sends one of its own
    return sent | {"slot": ""} | checked | selected | {"notes": notes}


def send(client: PortalClient, row: Appointment, form: dict[str, str], **data: Any) -> TestResponse:
    return client.post(f"/appointments/{row.id}/edit", data=form | data)


def carried(answer: TestResponse) -> dict[str, str]:
    """What the comparison would send, as it comes."""
    form = parse(answer.text).one("#appt-form")
    hidden = {each["name"]: each["value"] for each in form.select("input[type=hidden]")}
    picks = {each["name"]: each["value"] for each in form.select("input[type=radio]") if "checked" in each}
    del hidden["csrf_token"]
    return hidden | picks


def lines(answer: TestResponse) -> dict[str, tuple[str, str]]:
    rows = parse(answer.text).select("table.cmp tbody tr")
    cells = [[cell.text for cell in each.select(".note-text")] for each in rows]
    return {each.one("th").text: (texts[0], texts[1]) for each, texts in zip(rows, cells, strict=True)}


def somebody_moves(client: PortalClient, cast: Cast, row: Appointment, **data: Any) -> None:
    client.sign_in(cast.salon.manager)
    assert send(client, row, opened(client, row), **({"time": "15:00"} | data)).status_code == 303
    client.sign_in(cast.salon.owner)


def test_the_second_one_sees_both_versions_and_nothing_is_saved(
    owner: PortalClient, cast: Cast, row: Appointment
) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row, price="60,00")
    answer = send(owner, row, mine, notes="Nimmt den Hintereingang", price="70,00")
    assert answer.status_code == 409
    assert lines(answer) == {
        "Zeit": (f"{when('15:00')}", f"{when('09:00')}"),
        "Preis": ("60,00 €", "70,00 €"),
        "Notiz": ("Stammgast", "Nimmt den Hintereingang"),
    }
    assert "Mara Manager" in answer.text
    found = now_of(cast.salon, row)
    assert (found.start_time, found.internal_notes, found.price) == (at(15), "Stammgast", Decimal("60.00"))


def when(clock: str) -> str:
    return f"{formats.weekday_day(DAY, 'de', BERLIN)}, {clock}".replace("\xa0", " ")


def test_what_only_one_has_changed_is_chosen_beforehand(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, notes="Nimmt den Hintereingang")
    picks = {name: value for name, value in carried(answer).items() if name.startswith("pick_")}
    assert picks == {"pick_when": "theirs", "pick_notes": "mine"}
    assert send(owner, row, carried(answer), resolve="picked").status_code == 303
    found = now_of(cast.salon, row)
    assert (found.start_time, found.internal_notes) == (at(15), "Nimmt den Hintereingang")


@pytest.mark.parametrize(
    ("choice", "start", "note"),
    [
        ({"pick_when": "mine", "pick_notes": "theirs", "resolve": "picked"}, 11, "Stammgast"),
        ({"pick_when": "theirs", "pick_notes": "theirs", "resolve": "picked"}, 15, "Stammgast"),
        ({"resolve": "mine"}, 11, "Meins"),
    ],
)
def test_one_can_choose_line_by_line_or_all_of_one_s_own(
    owner: PortalClient, cast: Cast, row: Appointment, choice: dict[str, str], start: int, note: str
) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, time="11:00", notes="Meins")
    assert send(owner, row, carried(answer), **choice).status_code == 303
    found = now_of(cast.salon, row)
    assert (found.start_time, found.internal_notes) == (at(start), note)


def test_one_can_go_back_to_the_form_with_the_choice(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, notes="Meins")
    back = send(owner, row, carried(answer), resolve="form")
    assert back.status_code == 200
    form = parse(back.text).one("#appt-form")
    assert form.one("[name=time]")["value"] == "15:00"
    assert form.one("textarea[name=notes]").text == "Meins"
    assert form.one("[name=version]")["value"] == "2"
    assert now_of(cast.salon, row).internal_notes == "Stammgast"


def test_a_third_change_is_told_again(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, notes="Meins")
    somebody_moves(owner, cast, row, time="16:00")
    again = send(owner, row, carried(answer), resolve="picked")
    assert again.status_code == 409
    assert lines(again) == {"Notiz": ("Stammgast", "Meins")}  # their time is theirs, whichever it is by now
    assert "16:00" in parse(again.text).one("ol.line").text
    assert now_of(cast.salon, row).internal_notes == "Stammgast"


def test_a_choice_that_cannot_be_comes_back_in_the_form(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    factories.make_appointment(cast.salon, start=at(11), customer_id=factories.make_customer(cast.salon).id)
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, time="11:00", notes="Meins")
    taken = send(owner, row, carried(answer), resolve="mine")
    assert taken.status_code == 422
    assert "Peter Schäfer" in taken.text
    assert "Meins" in taken.text


def test_a_new_customer_that_was_typed_is_not_lost(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    typed = {"customer": "new", "new_name": "Greta Vogel", "new_phone": "0152 21345678"}
    answer = send(owner, row, mine, **typed)
    name, new = next(texts for label, texts in lines(answer).items() if label.startswith("Kund"))
    assert (name, new) == ("Aylin Demir", "Neuer Kunde: Greta Vogel 0152 21345678")
    assert send(owner, row, carried(answer), resolve="picked").status_code == 303
    with tenant_scope(cast.salon.id):
        found = db.session.get_one(Customer, now_of(cast.salon, row).customer_id)
        assert found.full_name == "Greta Vogel"


@pytest.mark.parametrize("was", ["", "{", "[1]", '{"time": 7}', '"x"'])
def test_a_form_that_does_not_know_how_it_stood_prefers_what_was_typed(
    owner: PortalClient, cast: Cast, row: Appointment, was: str
) -> None:
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    answer = send(owner, row, mine, was=was, notes="Meins")
    assert answer.status_code == 409
    assert carried(answer)["pick_notes"] == "mine"


def test_the_form_hears_of_a_change_while_somebody_types(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    form = parse(owner.get(f"/appointments/{row.id}/edit").text)
    url = form.one("#appt-news")["hx-get"]
    assert owner.htmx("GET", url).status_code == 204
    mine = opened(owner, row)
    somebody_moves(owner, cast, row)
    told = owner.htmx("GET", url)
    assert re.search(r"Mara Manager hat diesen Termin um \d\d:\d\d(\sMES?Z)? geändert\.", told.text)
    assert owner.htmx("GET", parse(told.text).one("#appt-news")["hx-get"]).status_code == 204
    compared = send(owner, row, mine, notes="", compare="1", price="viel")
    assert compared.status_code == 200
    assert lines(compared)["Preis"] == ("58,00 €", "viel")
    assert now_of(cast.salon, row).version == 2


def test_news_are_for_those_who_may_edit_it(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    theirs = factories.make_appointment(firm, branch_id=firm.other.id, staff_id=firm.colleague.id)
    foreign = factories.make_appointment(cast.praxis)
    client.sign_in(firm.staff)
    for each in (theirs, foreign):
        assert client.htmx("GET", f"/appointments/{each.id}/news?v=1").status_code == 404
    client.sign_in(firm.bookkeeper)
    assert client.htmx("GET", f"/appointments/{theirs.id}/news?v=1").status_code == 403


# ---- The history ------------------------------------------------------------------------------------------------


def test_the_history_says_what_was_before_and_after(owner: PortalClient, cast: Cast, row: Appointment) -> None:
    firm = cast.salon
    factories.make_appointment(firm, start=at(11), staff_id=firm.colleague.id, branch_id=firm.other.id)
    values = opened(owner, row) | {"price": "61,50", "notes": "Neu", "until": "10:30"}
    assert send(owner, row, values).status_code == 303
    changed = {"staff": str(firm.colleague.id), "time": "11:00", "until": "", "version": "2"}
    over = {"force": "y", "reason": "Am Telefon zugesagt"}
    assert send(owner, row, values, **changed, **over).status_code == 303
    said = parse(owner.get(f"/appointments/{row.id}").text).one("ol.line").text
    for words in (
        "Preis: 58,00 € → 61,50 €",
        "Bis: 09:45 → 10:30",
        "Bei: Sofia Klein → Tim Yilmaz",
        "Notiz",
        "09:00 →",
        "über einen anderen Termin hinweg",
        "Katharina Owner",
        "„Am Telefon zugesagt“",
    ):
        assert words in said, (words, said)
    assert "Neu" not in said


@pytest.mark.parametrize("may_know", [True, False])
def test_both_versions_name_customers_only_to_who_may_know_them(
    client: PortalClient, cast: Cast, row: Appointment, may_know: bool
) -> None:
    firm, other = cast.salon, factories.make_customer(cast.salon, "Wilhelmine", "Geheimrat")
    if not may_know:
        factories.deny(firm, firm.manager, "view_customers")
    form = opened(client.sign_in(firm.manager), row)
    answer = send(client, row, form, customer=other.id, version=0)
    assert answer.status_code == 409
    for name, initials in (("Aylin Demir", "A. D."), ("Wilhelmine Geheimrat", "W. G.")):
        assert (name in answer.text) == may_know
        assert (initials in answer.text) != may_know
