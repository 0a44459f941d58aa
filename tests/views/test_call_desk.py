"""What people do on the page of a call: its mood, who it was, notes, the summary by mail, and what stays afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal import formats
from portal.db import db, utcnow
from portal.domain import call_mail, retention
from portal.domain.retention import Retention
from portal.models import (
    Appointment,
    AuditLog,
    Call,
    CallActivity,
    CallFollowup,
    CallNote,
    Company,
    Customer,
    CustomerPhone,
    EmailOutbox,
    OutboxJob,
)
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.pages import parse
from tests.queries import Queries
from tests.views.test_calls import page, reported, speaking

ANGRY = [
    {"role": "agent", "content": "Salon Test, guten Tag.", "words": [{"word": "S", "start": 0.5, "end": 2}]},
    {"role": "user", "content": "Das ist eine Frechheit.", "words": [{"word": "D", "start": 7.2, "end": 9}]},
    {"role": "user", "content": "Trotzdem danke.", "words": [{"word": "T", "start": 12, "end": 13}]},
]


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Firm:
    client.sign_in(speaking(cast.salon, cast.salon.manager))
    return cast.salon


def row_of(firm: Firm, model: Any, row_id: int) -> Any:
    with tenant_scope(firm.id):
        return db.session.get_one(model, row_id, populate_existing=True)


def rows_of(firm: Firm, model: Any, **values: Any) -> list[Any]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(model).filter_by(**values).order_by(model.id)))


def deeds(firm: Firm, call: Call) -> list[str]:
    return [
        row.activity_type for row in rows_of(firm, CallActivity, call_id=call.id) if "by" in (row.activity_data or {})
    ]


def audited(firm: Firm, action: str) -> list[AuditLog]:
    return rows_of(firm, AuditLog, action=action)


def angry(firm: Firm, sentiment: str = "Negative", **call: Any) -> Call:
    analysis = {"call_summary": "War verärgert.", "user_sentiment": sentiment, "custom_analysis_data": {}}
    words: dict[str, Any] = {"transcript": None, "transcript_object": ANGRY, "transcript_with_tool_calls": None}
    return reported(firm, "call_analyzed", **words, call_analysis=analysis, **call)


# ---- The mood -------------------------------------------------------------------------------------------------


def test_the_mood_shows_the_sentences_that_it_rests_on(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    found = page(client, f"/calls/{call.id}")
    card = found.one("section[aria-labelledby=h-mood]")
    assert "unfriendly" in card.text
    assert "Das ist eine Frechheit." in card.text
    link = card.one("blockquote a")
    assert link["href"] == "#t7-2"
    assert "Frechheit" in found.one("#t7-2").text
    neutral = angry(salon, "Neutral", call_id="call_neutral")
    shown = page(client, f"/calls/{neutral.id}").one("section[aria-labelledby=h-mood]").text
    assert "unfriendly" in shown
    assert "friendly : Trotzdem danke." in shown or "friendly: Trotzdem danke." in shown


def test_who_may_not_read_sees_no_sentence_and_no_button(client: PortalClient, cast: Cast) -> None:
    call = angry(cast.salon)
    client.sign_in(speaking(cast.salon, cast.salon.staff))
    found = page(client, f"/calls/{call.id}")
    assert found.select_one("section[aria-labelledby=h-mood]") is None
    assert "Frechheit" not in found.text
    assert client.post(f"/calls/{call.id}/mood", data={"mood": "positive"}).status_code == 403


def test_a_corrected_mood_stays_whatever_is_analysed_later(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    answer = client.post(f"/calls/{call.id}/mood", data={"mood": "positive"})
    assert answer.status_code == 303
    assert row_of(salon, Call, call.id).sentiment == "positive"
    angry(salon)  # the same analysis once more
    angry(salon, "Neutral")
    assert row_of(salon, Call, call.id).sentiment == "positive"
    shown = page(client, f"/calls/{call.id}")
    assert "Corrected by Mara Manager on" in shown.one("section[aria-labelledby=h-mood]").text
    assert "Before: Upset" in shown.text
    assert "Mood corrected to “Happy” by Mara Manager" in shown.one("section[aria-labelledby=h-line]").text
    [written] = audited(salon, "call.mood_corrected")
    assert (written.old_values, written.new_values) == ({"sentiment": "negative"}, {"sentiment": "positive"})
    assert written.user_id == salon.manager.id


def test_no_mood_stays_none_and_the_same_again_says_nothing_twice(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    for _time in range(2):
        assert client.post(f"/calls/{call.id}/mood", data={"mood": "none"}).status_code == 303
    angry(salon)
    assert row_of(salon, Call, call.id).sentiment is None
    assert deeds(salon, call) == ["mood_corrected"]


def test_a_mood_confirmed_is_a_mood_that_stays(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    client.post(f"/calls/{call.id}/mood", data={"mood": "negative"})
    angry(salon, "Positive")
    assert row_of(salon, Call, call.id).sentiment == "negative"


def test_without_a_correction_a_later_analysis_replaces_the_mood(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    angry(salon, "Positive")
    assert row_of(salon, Call, call.id).sentiment == "positive"


def test_a_corrected_mood_counts_in_the_figures_of_its_day(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, sentiment="negative", started_at=utcnow() - timedelta(days=3))
    with all_tenants("the test looks into the outbox"):
        before = db.session.scalars(select(OutboxJob.id).where(OutboxJob.dedupe_key.like("stats:%"))).all()
    client.post(f"/calls/{call.id}/mood", data={"mood": "neutral"})
    with all_tenants("the test looks into the outbox"):
        after = db.session.scalars(select(OutboxJob.id).where(OutboxJob.dedupe_key.like("stats:%"))).all()
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("mood", ["", "furious", "negative\x00"])
def test_what_is_no_mood_is_refused_with_a_word(client: PortalClient, salon: Firm, mood: str) -> None:
    call = factories.make_call(salon)
    answer = client.post(f"/calls/{call.id}/mood", data={"mood": mood})
    assert answer.status_code == 422
    assert "Please choose one of the moods" in parse(answer.text).one("[role=alert]").text


def test_a_mood_put_right_in_its_place_renews_all_that_depends_on_it(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    answer = client.htmx("POST", f"/calls/{call.id}/mood", data={"mood": "positive"})
    assert answer.status_code == 200
    part = parse(answer.text)
    assert part.select_one("html, .topbar") is None
    assert "Happy" in part.one("section[aria-labelledby=h-sum]").text
    assert "It stays like this" in answer.headers["HX-Trigger"]
    refused = client.htmx("POST", f"/calls/{call.id}/mood", data={"mood": "furious"})
    assert refused.status_code == 422
    assert "Please choose one of the moods" in parse(refused.text).one("#call-now [role=alert]").text


# ---- Who it was -----------------------------------------------------------------------------------------------


def test_a_number_of_several_people_asks_who_it_was(client: PortalClient, salon: Firm) -> None:
    family = [factories.make_customer(salon, name, "Vogt", phone_normalized="+4930777") for name in ("Anna", "Bert")]
    call = factories.make_call(salon, customer_id=None, phone_number="+4930777")
    card = page(client, f"/calls/{call.id}").one("section[aria-labelledby=h-cust]")
    assert card.one("h2").text == "Who was it?"
    buttons = {button["value"]: button.text for button in card.select("button[name=customer]")}
    assert buttons == {str(family[0].id): "Anna Vogt", str(family[1].id): "Bert Vogt"}
    assert client.post(f"/calls/{call.id}/customer", data={"customer": family[1].id}).status_code == 303
    assert row_of(salon, Call, call.id).customer_id == family[1].id
    shown = page(client, f"/calls/{call.id}")
    assert shown.one("h1").text == "Bert Vogt"
    assert "Assigned by Mara Manager on" in shown.text
    assert rows_of(salon, CustomerPhone) == []


def test_further_numbers_count_as_well(client: PortalClient, salon: Firm) -> None:
    factories.make_customer(salon, "Anna", "Vogt", phone_normalized="+4930777")
    other = factories.make_customer(salon, "Carl", "Vogt", phone_normalized="+4930778")
    number = CustomerPhone(company_id=salon.id, customer_id=other.id, phone="030 777", phone_normalized="+4930777")
    factories.save(salon, number)
    call = factories.make_call(salon, customer_id=None, phone_number="+4930777")
    assert len(page(client, f"/calls/{call.id}").select("button[name=customer]")) == 2


def test_a_person_said_who_it_was_so_no_report_says_otherwise(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "call_started", "call_ended")
    assert client.post(f"/calls/{call.id}/customer", data={"customer": salon.customer.id}).status_code == 303
    reported(salon, "call_analyzed")  # says a name, and is the first analysis
    assert row_of(salon, Call, call.id).customer_id == salon.customer.id


def test_a_person_said_it_was_nobody_so_no_report_names_one(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)
    assert row_of(salon, Call, call.id).customer_id is not None
    assert client.post(f"/calls/{call.id}/customer/none").status_code == 303
    reported(salon, "call_analyzed")
    assert row_of(salon, Call, call.id).customer_id is None
    assert deeds(salon, call) == ["customer_unlinked"]
    assert "Customer taken off by Mara Manager" in page(client, f"/calls/{call.id}").text


def test_the_search_finds_by_name_and_number_and_shows_a_button_each(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, customer_id=None)
    found = page(client, f"/calls/{call.id}/customer?q=demir")
    assert [button["value"] for button in found.select("#hits button")] == [str(salon.customer.id)]
    part = client.htmx("GET", f"/calls/{call.id}/customer?q=030+5550100").text
    assert part.strip().startswith('<div id="hits"')
    assert f'value="{salon.customer.id}"' in part
    assert "Nobody of that name" in client.htmx("GET", f"/calls/{call.id}/customer?q=xyzzy").text


def test_the_number_becomes_the_customers_where_that_is_wished(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, customer_id=None, phone_number="+4930888111")
    data = {"customer": salon.customer.id, "remember": "1"}
    client.post(f"/calls/{call.id}/customer", data=data)
    [number] = rows_of(salon, CustomerPhone)
    assert (number.customer_id, number.phone_normalized) == (salon.customer.id, "+4930888111")


def test_a_withheld_number_can_be_assigned_and_is_stored_nowhere(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, from_number="anonymous")
    shown = page(client, f"/calls/{call.id}/customer")
    assert shown.select_one("[name=remember]") is None
    assert shown.one("#phone")["value"] == ""
    assert shown.one("#last_name")["value"] == "Vogt"
    client.post(f"/calls/{call.id}/customer", data={"customer": salon.customer.id, "remember": "1"})
    assert row_of(salon, Call, call.id).customer_id == salon.customer.id
    assert rows_of(salon, CustomerPhone) == []
    assert row_of(salon, Customer, salon.customer.id).phone_normalized == "+49305550100"


def test_a_new_customer_is_entered_from_the_call(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, from_number="anonymous")
    data = {"first_name": "Nadine", "last_name": "Vogt", "phone": "030 4455667"}
    assert client.post(f"/calls/{call.id}/customer/new", data=data).status_code == 303
    made = row_of(salon, Customer, row_of(salon, Call, call.id).customer_id)
    assert (made.full_name, made.phone_normalized, made.name_confirmed) == ("Nadine Vogt", "+49304455667", True)


def test_a_known_number_makes_another_customer_only_on_second_thought(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, customer_id=None)
    address, data = f"/calls/{call.id}/customer/new", {"last_name": "Neu", "phone": "030 5550100"}
    answer = client.post(address, data=data)
    assert answer.status_code == 422
    assert "Aylin Demir" in answer.text
    assert row_of(salon, Call, call.id).customer_id is None
    assert client.post(address, data=data | {"another": "y"}).status_code == 303
    assert row_of(salon, Call, call.id).customer_id not in (None, salon.customer.id)


def test_wrong_entries_come_back_beside_their_field(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, customer_id=None)
    answer = client.post(f"/calls/{call.id}/customer/new", data={"last_name": "Neu", "email": "nein"})
    assert answer.status_code == 422
    assert "no e-mail address" in parse(answer.text).one("#email-e").text
    answer = client.post(f"/calls/{call.id}/customer/new", data={"last_name": "Neu", "phone": "12"})
    assert answer.status_code == 422
    assert "no complete phone number" in parse(answer.text).one("#phone-e").text


@pytest.mark.parametrize("chosen", ["theirs", "987654321", "", "x", "9" * 40, "erased", "merged"])
def test_nobody_but_a_customer_of_the_company_can_be_chosen(
    client: PortalClient, cast: Cast, salon: Firm, chosen: str
) -> None:
    erased = factories.make_customer(salon, "Weg", "Weg", erased_at=utcnow(), is_active=False)
    merged = factories.make_customer(salon, "Alt", "Alt", is_active=False)
    known = {"theirs": str(cast.praxis.customer.id), "erased": str(erased.id), "merged": str(merged.id)}
    call = factories.make_call(salon, customer_id=None)
    answer = client.post(f"/calls/{call.id}/customer", data={"customer": known.get(chosen, chosen)})
    assert answer.status_code == 422
    assert "no longer there" in answer.text
    assert row_of(salon, Call, call.id).customer_id is None


def tied(firm: Firm, call: Call, **values: Any) -> Appointment:
    made = factories.make_appointment(firm, call_id=call.id, **values)

    def tie() -> None:
        row = db.session.get_one(Call, call.id)
        row.appointment_id, row.appointment_created = made.id, True

    factories.within(firm, tie)
    return made


def test_callbacks_and_the_appointment_of_the_call_go_along(client: PortalClient, salon: Firm) -> None:
    right = factories.make_customer(salon)
    call = factories.make_call(salon)
    followup, made = factories.make_followup(salon, call), tied(salon, call)
    client.post(f"/calls/{call.id}/customer", data={"customer": right.id})
    assert row_of(salon, CallFollowup, followup.id).customer_id == right.id
    assert row_of(salon, Appointment, made.id).customer_id == right.id
    assert row_of(salon, Customer, right.id).total_appointments == 1
    assert "its appointment now belong to Peter Schäfer" in client.get(f"/calls/{call.id}").text


def test_an_appointment_of_somebody_else_stays_and_that_is_said(client: PortalClient, salon: Firm) -> None:
    right, third = factories.make_customer(salon), factories.make_customer(salon, "Dritte", "Person")
    call = factories.make_call(salon)
    made = tied(salon, call, customer_id=third.id)
    client.post(f"/calls/{call.id}/customer", data={"customer": right.id})
    assert row_of(salon, Appointment, made.id).customer_id == third.id
    assert "The appointment stays as it is" in client.get(f"/calls/{call.id}").text


def test_nobody_takes_an_appointment_along_who_may_not_change_one(client: PortalClient, salon: Firm) -> None:
    factories.deny(salon, salon.manager, "edit_appointments")
    right, call = factories.make_customer(salon), factories.make_call(salon)
    made = tied(salon, call)
    client.post(f"/calls/{call.id}/customer", data={"customer": right.id})
    assert row_of(salon, Call, call.id).customer_id == right.id
    assert row_of(salon, Appointment, made.id).customer_id == salon.customer.id


def test_without_the_right_to_edit_customers_nothing_is_offered(client: PortalClient, salon: Firm) -> None:
    factories.deny(salon, salon.manager, "edit_customers")
    call = factories.make_call(salon, customer_id=None)
    assert f"/calls/{call.id}/customer" not in client.get(f"/calls/{call.id}").text
    for address in ("customer", "customer/new", "customer/none"):
        assert client.post(f"/calls/{call.id}/{address}").status_code == 403


@pytest.mark.parametrize("address", ["customer", "customer/new", "customer/none", "notes", "mood", "mail"])
def test_a_call_of_another_branch_is_not_there(client: PortalClient, cast: Cast, address: str) -> None:
    salon = cast.salon
    for name in ("read_transcripts", "export_calls"):
        factories.grant(salon, salon.staff, name)
    call = factories.make_call(salon, branch_id=salon.other.id)
    client.sign_in(salon.staff)
    assert client.post(f"/calls/{call.id}/{address}", data={"body": "x", "mood": "none"}).status_code == 404
    assert rows_of(salon, CallActivity, call_id=call.id) == []


# ---- Notes ----------------------------------------------------------------------------------------------------


def test_notes_say_who_and_when_and_can_be_changed_and_deleted(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    answer = client.htmx("POST", f"/calls/{call.id}/notes", data={"body": "Kommt am Freitag.\n<b>Bar</b>"})
    assert answer.status_code == 200
    assert "Note saved." in answer.headers["HX-Trigger"]
    part = parse(answer.text).one("#call-notes")
    assert "Kommt am Freitag. <b>Bar</b>" in part.text
    assert "Mara Manager, " in part.text
    [note] = rows_of(salon, CallNote, call_id=call.id)
    changed = client.htmx("POST", f"/calls/{call.id}/notes/{note.id}", data={"body": "Kommt am Samstag."})
    assert "Kommt am Samstag." in changed.text
    assert row_of(salon, CallNote, note.id).body == "Kommt am Samstag."
    client.post(f"/calls/{call.id}/notes/{note.id}/delete")
    assert rows_of(salon, CallNote, call_id=call.id) == []
    assert len(audited(salon, "call_note.deleted")) == 1


def test_a_changed_note_says_so(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    note = factories.make_note(salon, call, salon.manager)

    def age() -> None:
        row = db.session.get_one(CallNote, note.id)
        row.created_at = row.updated_at = utcnow() - timedelta(hours=3)

    factories.within(salon, age)
    assert "changed" not in page(client, f"/calls/{call.id}").one("#call-notes").text
    client.post(f"/calls/{call.id}/notes/{note.id}", data={"body": "Anders."})
    assert "changed" in page(client, f"/calls/{call.id}").one("#call-notes").text


def test_a_colleagues_note_can_be_read_and_nothing_else(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    note = factories.make_note(salon, call, salon.owner, "Von der Chefin")
    part = page(client, f"/calls/{call.id}").one("#call-notes")
    assert "Von der Chefin" in part.text
    assert part.select(f"#edit-{note.id}") == []
    for address in (f"notes/{note.id}", f"notes/{note.id}/delete"):
        assert client.post(f"/calls/{call.id}/{address}", data={"body": "x"}).status_code == 403
    assert row_of(salon, CallNote, note.id).body == "Von der Chefin"


def test_a_note_of_another_call_is_not_there(client: PortalClient, salon: Firm) -> None:
    call, other = factories.make_call(salon), factories.make_call(salon)
    note = factories.make_note(salon, other, salon.manager)
    assert client.post(f"/calls/{call.id}/notes/{note.id}/delete").status_code == 404


def test_the_same_note_sent_twice_is_one(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    for _time in range(2):
        client.post(f"/calls/{call.id}/notes", data={"body": "Doppelt"})
    assert len(rows_of(salon, CallNote, call_id=call.id)) == 1


@pytest.mark.parametrize(("body", "why"), [("  ", "write something"), ("x" * 2001, "below 2000 characters")])
@pytest.mark.parametrize("part", [True, False])
def test_a_note_that_is_none_comes_back_with_its_words(
    client: PortalClient, salon: Firm, body: str, why: str, part: bool
) -> None:
    call = factories.make_call(salon)
    address = f"/calls/{call.id}/notes"
    answer = client.htmx("POST", address, data={"body": body}) if part else client.post(address, data={"body": body})
    assert answer.status_code == 422
    assert why in parse(answer.text).one("#new-note-e").text
    assert ("<html" in answer.text) is not part
    assert body.strip() in answer.text


# ---- The summary by mail --------------------------------------------------------------------------------------


def mails() -> list[EmailOutbox]:
    with all_tenants("the test reads what waits to be sent"):
        return list(db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id)))


def send(client: PortalClient, call: Call, key: str = "k1", **data: Any) -> Any:
    return client.post(f"/calls/{call.id}/mail", data={"key": key} | data)


def test_the_summary_goes_to_whom_was_chosen_each_in_their_language(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)
    data: dict[str, Any] = {"people": [salon.owner.id, salon.manager.id], "outside": "Steuer@Kanzlei.Example"}
    assert send(client, call, **data).status_code == 303
    by_address = {mail.recipient: mail for mail in mails()}
    assert set(by_address) == {salon.owner.email, salon.manager.email, "steuer@kanzlei.example"}
    german, english = by_address[salon.owner.email], by_address[salon.manager.email]
    assert "Zusammenfassung" in german.text_body
    assert "summary of a call" in english.text_body
    for mail in by_address.values():
        assert "Frau Vogt bucht einen Haarschnitt" in mail.text_body
        assert "Frau Vogt bucht einen Haarschnitt" in (mail.html_body or "")
        assert "guten Morgen" not in mail.text_body + (mail.html_body or "")
    assert f"/calls/{call.id}" in german.text_body
    assert f"/calls/{call.id}" not in by_address["steuer@kanzlei.example"].text_body
    line = page(client, f"/calls/{call.id}").one("section[aria-labelledby=h-line]").text
    assert "Summary sent to Katharina Owner, Mara Manager, steuer@kanzlei.example by Mara Manager" in line
    [written] = audited(salon, "call.summary_sent")
    assert written.new_values == {
        "users": [salon.owner.id, salon.manager.id],
        "addresses": ["steuer@kanzlei.example"],
        "transcript": False,
    }


def test_every_word_goes_along_for_who_may_read_and_ticks_it(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)
    send(client, call, people=[salon.owner.id], transcript="y")
    [mail] = mails()
    assert "guten Morgen" in mail.text_body
    assert "guten Morgen" in (mail.html_body or "")
    assert "Summary and conversation sent to" in page(client, f"/calls/{call.id}").text


def test_who_may_not_read_sends_no_word_whatever_the_form_says(client: PortalClient, salon: Firm) -> None:
    factories.deny(salon, salon.manager, "read_transcripts")
    call = reported(salon)
    assert "transcript" not in client.get(f"/calls/{call.id}/mail").text.casefold()
    send(client, call, people=[salon.owner.id], transcript="y")
    [mail] = mails()
    assert "guten Morgen" not in mail.text_body + (mail.html_body or "")


def test_a_form_sent_twice_is_one_mail(client: PortalClient, salon: Firm) -> None:
    call = reported(salon)
    key = page(client, f"/calls/{call.id}/mail").one("#key")["value"]
    for _time in range(2):
        assert send(client, call, key, people=[salon.owner.id]).status_code == 303
    assert len(mails()) == 1
    assert deeds(salon, call) == ["summary_sent"]
    send(client, call, "another form", people=[salon.owner.id])
    assert len(mails()) == 2


def test_nobody_outside_the_company_can_be_ticked(client: PortalClient, cast: Cast, salon: Firm) -> None:
    call = reported(salon)
    for user in (cast.praxis.owner, salon.bookkeeper, cast.operator):
        assert send(client, call, people=[user.id]).status_code == 422
    offered = {box["value"] for box in page(client, f"/calls/{call.id}/mail").select("[name=people]")}
    assert offered == {str(user.id) for user in (salon.owner, salon.manager, salon.staff)}
    assert mails() == []


@pytest.mark.parametrize(
    ("data", "field"),
    [({}, "people"), ({"outside": "nein"}, "outside"), ({"outside": "a@b.de\nBcc: c@d.de"}, "outside")],
)
def test_wrong_addressees_come_back_beside_their_field(
    client: PortalClient, salon: Firm, data: dict[str, str], field: str
) -> None:
    call = reported(salon)
    answer = send(client, call, **data)
    assert answer.status_code == 422
    assert parse(answer.text).select_one(f"#{field}-e") is not None
    assert mails() == []


def test_a_day_has_an_end(client: PortalClient, salon: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_mail, "MOST_OUTSIDE", 1)
    monkeypatch.setattr(call_mail, "MOST_A_DAY", 3)
    call = reported(salon)
    assert send(client, call, "a", outside="a@b.example").status_code == 303
    answer = send(client, call, "b", outside="a@b.example")
    assert answer.status_code == 422
    assert "to other addresses today" in parse(answer.text).one("#outside-e").text
    assert send(client, call, "c", people=[salon.owner.id, salon.manager.id]).status_code == 303
    assert send(client, call, "d", people=[salon.owner.id]).status_code == 422
    assert len(mails()) == 3


def test_a_call_without_a_word_can_be_sent_as_well(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, "outbound_ended")
    assert send(client, call, people=[salon.owner.id]).status_code == 303
    assert len(mails()) == 1


# ---- What else stands there -----------------------------------------------------------------------------------


def test_an_appointment_can_be_made_from_the_call_with_its_data_filled_in(client: PortalClient, salon: Firm) -> None:
    call = reported(salon, from_number="anonymous")
    day = (utcnow() + timedelta(days=5)).date().isoformat()

    def want() -> None:
        row = db.session.get_one(Call, call.id)
        row.appointment_created = False
        wish = {"service": "Damenhaarschnitt", "preferred_staff": "Sofia Klein"}
        row.custom_data = {"customer_name": "Nadine Vogt", "appointment_date": day, "appointment_time": "14:30"} | wish

    factories.within(salon, want)
    link = page(client, f"/calls/{call.id}").one("section[aria-labelledby=h-noappt] a")
    form = page(client, link["href"])
    assert form.one("#new_name")["value"] == "Nadine Vogt"
    assert form.one("#date")["value"] == day
    assert form.one("#service option[selected]").text.startswith("Damenhaarschnitt")
    assert form.one("#staff option[selected]").text == "Sofia Klein"
    assert form.one("#call")["value"] == str(call.id)


def test_a_known_caller_stands_in_the_form_of_the_appointment(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    form = page(client, f"/appointments/new?call={call.id}")
    assert form.one("[name=customer][checked]")["value"] == str(salon.customer.id)


def test_the_paper_is_for_who_may_export(client: PortalClient, cast: Cast, salon: Firm) -> None:
    call = factories.make_call(salon)
    assert page(client, f"/calls/{call.id}").select_one(f'a[href="/calls/{call.id}.pdf"]') is not None
    client.sign_in(salon.staff)
    shown = page(client, f"/calls/{call.id}")
    assert shown.select_one(f'a[href="/calls/{call.id}.pdf"]') is None
    assert shown.select_one(f'a[href="/calls/{call.id}/mail"]') is None


def limit(firm: Firm, wish: Retention, done: dict[str, str] | None = None) -> None:
    def work() -> None:
        company = db.session.get_one(Company, firm.id)
        company.recording_retention_days, company.transcript_retention_days = wish.recording, wish.transcript
        company.metadata_retention_days = wish.metadata
        company.settings = {**(company.settings or {}), retention.SETTING: done or {}}

    factories.within(firm, work)


def test_the_page_says_when_it_will_be_deleted(client: PortalClient, cast: Cast, salon: Firm) -> None:
    call = factories.make_call(salon, transcript="User: Hallo")
    assert "will be deleted" not in client.get(f"/calls/{call.id}").text
    limit(salon, Retention(transcript=30, metadata=300))
    shown = page(client, f"/calls/{call.id}").text
    for days in (30, 300):
        day = formats.day(call.started_at + timedelta(days=days), "en", ZoneInfo("Europe/Berlin"))
        assert f"will be deleted on {day}".replace("\xa0", " ") in shown
    assert shown.count("will be deleted on") == 2
    assert "/settings/privacy" not in client.get(f"/calls/{call.id}").text
    client.sign_in(speaking(salon, salon.owner))
    assert page(client, f"/calls/{call.id}").select_one('a[href="/settings/privacy"]') is not None


def test_after_the_deletion_the_page_says_so(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(
        salon, transcript="User: Hallo", summary="Kurz", started_at=utcnow() - timedelta(days=40)
    )
    limit(salon, Retention(transcript=30))
    now = utcnow()
    place, until = factories.within(salon, lambda: retention.begin("transcript", now)) or (None, None)
    assert place is not None
    assert until is not None
    factories.within(salon, lambda: retention.tidy("transcript", place, until, now))
    shown = page(client, f"/calls/{call.id}").one("main").text
    assert "What was said has been deleted, as your company has set." in shown
    assert "Nothing was said" not in shown
    assert "missing" not in shown
    limit(salon, Retention(transcript=30, metadata=35), {"transcript": now.isoformat(), "metadata": now.isoformat()})

    def wipe() -> None:
        from portal.domain import forgetting

        forgetting.everything([call.id])
        forgetting.unlink([call.id])

    factories.within(salon, wipe)
    shown = page(client, f"/calls/{call.id}").one("main").text
    assert "Who called and what was said has been deleted, as your company has set." in shown
    assert "was withheld" not in shown


def test_the_page_asks_no_more_for_many_notes_and_deeds(client: PortalClient, salon: Firm) -> None:
    call = angry(salon)
    client.get(f"/calls/{call.id}")
    with Queries() as few:
        client.get(f"/calls/{call.id}")
    for number in range(12):
        factories.make_note(salon, call, salon.owner if number % 2 else salon.manager, f"Notiz {number}")
    for mood in ("positive", "negative", "none"):
        client.post(f"/calls/{call.id}/mood", data={"mood": mood})
    client.get(f"/calls/{call.id}")
    with Queries() as many:
        client.get(f"/calls/{call.id}")
    assert len(many) <= len(few) + 1
