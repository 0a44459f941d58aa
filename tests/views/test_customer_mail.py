"""Mails to customers as a browser meets them: the settings, what forms ask, and what the appointment says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from portal.clients.mail import MailError
from portal.db import db, utcnow
from portal.domain import customer_mail, customer_mail_page, customer_mail_settings
from portal.domain import mail as outgoing
from portal.domain.customer_mail_settings import KINDS, Wishes
from portal.jobs import customer_mail as letters
from portal.jobs import mail as mail_job
from portal.jobs import worker
from portal.models import Appointment, Company, Customer, EmailOutbox
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import mails_of, stored, within
from tests.pages import parse

PAGE = "/settings/customer-mail"
EVERYTHING = Wishes(confirmation=True, change=True, cancellation=True, reminder=True)
ADDRESS = "aylin@demir.example"
HIDDEN = "a•••@d•••.example"
FILLED: dict[str, Any] = {
    "confirmation": "y",
    "reminder": "y",
    "hours": "48",
    "sender": "Ihr Salon",
    "reply_to": "company",
    "text_reminder": "Bitte klingeln.",
}


@pytest.fixture
def firm(cast: Cast) -> Firm:
    within(cast.salon, lambda: customer_mail_settings.save(EVERYTHING, utcnow() - timedelta(days=30)))
    return cast.salon


@pytest.fixture
def desk(client: PortalClient, firm: Firm) -> PortalClient:
    return client.sign_in(firm.manager)


def wishes(firm: Firm) -> Wishes:
    db.session.rollback()
    with tenant_scope(firm.id):
        return customer_mail_settings.current()


def mails(firm: Firm) -> list[EmailOutbox]:
    worker.drain_outbox(utcnow())
    return mails_of(firm)


def noon(days: int = 3) -> datetime:
    """At the salon, on a weekday to come: twelve o'clock UTC is day there in summer and winter."""
    day = utcnow() + timedelta(days=days)
    return day.replace(hour=12, minute=0, second=0, microsecond=0)


def make(firm: Firm, **values: Any) -> Appointment:
    start, made_at = values.pop("start", noon()), utcnow() - timedelta(days=9)
    return factories.make_appointment(firm, start, created_at=made_at, **values)


def moved(row: Appointment, **values: str) -> dict[str, str]:
    """What the form of moving sends: an hour later."""
    start = (row.start_time + timedelta(hours=1)).astimezone(ZoneInfo("Europe/Berlin"))
    known = {"date": start.date().isoformat(), "time": f"{start:%H:%M}", "staff": str(row.staff_id or "")}
    return known | {"version": str(row.version)} | values


# ---- Settings ---------------------------------------------------------------------------------------------------


def test_everything_is_off_at_first_and_saved_for_this_company_alone(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    page = client.get(PAGE).text
    assert not re.search(r'<input checked[^>]*name="(confirmation|change|cancellation|reminder|with_calcom)"', page)
    assert "Cal.com" in page
    assert client.post(PAGE, data=FILLED).status_code == 303
    saved = wishes(cast.salon)
    assert (saved.kinds, saved.hours, saved.sender) == (["confirmation", "reminder"], 48, "Ihr Salon")
    assert (saved.reply_to, saved.with_calcom, saved.texts) == ("company", False, {"reminder": "Bitte klingeln."})
    assert wishes(cast.praxis) == Wishes()
    assert "Bestätigung, Erinnerung" in client.get("/settings").text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("hours", text) for text in ("0", "169", "x", "")),
        *(("sender", text) for text in ("a@b.example", "x" * 61)),
        ("text_reminder", "x" * 501),
        ("reply_to", "evil"),
    ],
)
def test_wrong_input_comes_back_beside_its_field_and_changes_nothing(
    client: PortalClient, cast: Cast, field: str, value: str
) -> None:
    answer = client.sign_in(cast.salon.owner).post(PAGE, data=FILLED | {field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert wishes(cast.salon) == Wishes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_can_be_looked_at_and_does_nothing_but_be_seen(client: PortalClient, firm: Firm, kind: str) -> None:
    answer = client.sign_in(firm.owner).get(f"{PAGE}/preview?kind={kind}")
    assert answer.status_code == 200
    assert firm.company.name in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert mails(firm) == []


def test_a_preview_of_nothing_is_not_found(client: PortalClient, firm: Firm) -> None:
    client.sign_in(firm.owner)
    assert client.get(f"{PAGE}/preview?kind=invoice").status_code == 404
    assert client.post(f"{PAGE}/sample", data={"kind": "invoice"}).status_code == 404


def test_a_sample_goes_to_the_person_who_asks_and_to_nobody_else(
    client: PortalClient, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_mail, "MOST_SAMPLES", 2)
    client.sign_in(firm.owner)
    for _time in range(3):
        assert client.post(f"{PAGE}/sample", data={"kind": "reminder"}).status_code == 303
    assert [mail.recipient for mail in mails(firm)] == [firm.owner.email] * 2
    with tenant_scope(firm.id):
        key = customer_mail.read_key(mails(firm)[0].dedupe_key)
        assert key is not None
        assert customer_mail.still_true(key, firm.owner.email, utcnow())


def test_a_sample_leaves_alone_what_is_being_typed_beside_it(client: PortalClient, firm: Firm) -> None:
    client.sign_in(firm.owner)
    answer = client.htmx("POST", f"{PAGE}/sample", data={"kind": "reminder"})
    assert (answer.status_code, answer.text, "HX-Redirect" in answer.headers) == (200, "", False)
    assert firm.owner.email in answer.headers["HX-Trigger"]


def test_a_mail_about_a_cancellation_speaks_of_an_appointment_that_was(client: PortalClient, firm: Firm) -> None:
    client.sign_in(firm.owner)
    text = {kind: client.get(f"{PAGE}/preview?kind={kind}").text for kind in ("cancellation", "reminder")}
    assert "hatten." in text["cancellation"]
    assert "haben." in text["reminder"]


# ---- Asked at the forms -----------------------------------------------------------------------------------------


def test_forms_ask_only_where_the_switch_is_on_and_the_customer_has_an_address(
    client: PortalClient, cast: Cast
) -> None:
    firm = cast.salon
    row = make(firm)
    client.sign_in(firm.manager)
    assert 'name="tell"' not in client.get(f"/appointments/{row.id}").text
    assert 'name="tell"' not in client.get("/appointments/new").text
    within(firm, lambda: customer_mail_settings.save(Wishes(cancellation=True), utcnow()))
    assert client.get(f"/appointments/{row.id}").text.count('name="tell"') == 1
    within(firm, lambda: customer_mail_settings.save(EVERYTHING, utcnow()))
    page = client.get(f"/appointments/{row.id}").text
    assert page.count('name="tell"') == 2
    assert ADDRESS in page
    assert 'name="tell"' in client.get("/appointments/new").text
    assert 'name="tell"' in client.get(f"/appointments/{row.id}/edit").text
    within(firm, lambda: db.session.execute(update(Customer).where(Customer.id == firm.customer.id).values(email=None)))
    assert 'name="tell"' not in client.get(f"/appointments/{row.id}").text


def test_moving_tells_only_with_the_tick(desk: PortalClient, firm: Firm) -> None:
    row, other = make(firm), make(firm, start=noon(4))
    assert desk.post(f"/appointments/{row.id}/move", data=moved(row)).status_code == 303
    assert mails(firm) == []
    assert desk.post(f"/appointments/{other.id}/move", data=moved(other, tell="y")).status_code == 303
    (mail,) = mails(firm)
    assert (mail.recipient, mail.subject[:8]) == (ADDRESS, "Geändert")


def test_the_question_about_a_taken_time_asks_too(desk: PortalClient, firm: Firm) -> None:
    row, url = make(firm), f"/appointments/{make(firm, start=noon(4)).id}/move"
    drop = {"at": str(int(row.start_time.timestamp())), "part": "drop", "version": "1"}
    page = parse(desk.htmx("POST", url, data=drop).text)
    assert "checked" in page.one("input[name=tell]")
    data = {field["name"]: field["value"] for field in page.select("form input")} | {"reason": "Zugesagt"}
    untold = parse(desk.htmx("POST", url, data={**data, "reason": "", "tell": ""}).text)
    assert "checked" not in untold.one("input[name=tell]")
    assert desk.htmx("POST", url, data=data).status_code == 200
    (mail,) = mails(firm)
    assert mail.subject.startswith("Geändert")


def test_cancelling_tells_with_the_tick_and_a_repetition_tells_nothing_more(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    data = {"reason": "staff", "tell": "y", "version": "1"}
    for _time in range(2):
        assert desk.post(f"/appointments/{row.id}/cancel", data=data).status_code == 303
    assert [mail.subject.endswith("abgesagt") for mail in mails(firm)] == [True]


def test_booking_confirms_with_the_tick_also_a_new_customer(desk: PortalClient, firm: Firm) -> None:
    start = noon(5)
    data = {
        "customer": "new",
        "new_name": "Petra Neu",
        "new_email": "petra@neu.example",
        "branch": str(firm.main.id),
        "service": str(firm.cut.id),
        "staff": str(firm.stylist.id),
        "date": start.date().isoformat(),
        "time": "13:30",
        "source": "admin",
    }
    assert desk.post("/appointments/new", data=data | {"tell": "y"}).status_code == 303
    assert desk.post("/appointments/new", data=data | {"time": "16:30"}).status_code == 303
    (mail,) = mails(firm)
    assert mail.recipient == "petra@neu.example"
    assert "Petra Neu" in mail.text_body


def test_editing_tells_of_what_the_customer_sees_and_not_of_a_note(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    form = desk.get(f"/appointments/{row.id}/edit").text
    time = re.search(r'name="time"[^>]*value="([^"]+)"', form)
    assert time is not None
    data = moved(row, customer=str(firm.customer.id), branch=str(firm.main.id), service=str(firm.cut.id), tell="y")
    desk.post(f"/appointments/{row.id}/edit", data=data | {"time": time[1], "notes": "neu"})
    assert mails(firm) == []
    data |= {"version": str(stored(firm, row).version)}
    desk.post(f"/appointments/{row.id}/edit", data=data)
    assert len(mails(firm)) == 1


def test_taking_a_told_cancellation_back_tells_the_customer(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    desk.post(f"/appointments/{row.id}/cancel", data={"reason": "staff", "tell": "y", "version": "1"})
    mails(firm)
    desk.post(f"/appointments/{row.id}/status", data={"action": "back"})
    assert len(mails(firm)) == 2


# ---- What the appointment says ----------------------------------------------------------------------------------


def test_the_appointment_says_what_was_sent_and_when_the_reminder_comes(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    page = desk.get(f"/appointments/{row.id}").text
    assert "Erinnerung wird gesendet" in page
    assert desk.post(f"/appointments/{row.id}/tell").status_code == 303
    (mail,) = mails(firm)
    assert "ist unterwegs an" in desk.get(f"/appointments/{row.id}").text
    mail_job.send_due(utcnow())
    page = desk.get(f"/appointments/{row.id}").text
    assert f"Bestätigung gesendet an {ADDRESS}" in page
    assert "Per E-Mail informiert: Bestätigung" in page
    assert f"/appointments/{row.id}/tell" not in page
    desk.post(f"/appointments/{row.id}/tell")
    assert [one.id for one in mails(firm)] == [mail.id]


def give_up(firm: Firm) -> None:
    """The mail server refuses every mail until we give up."""
    within(firm, lambda: db.session.execute(update(EmailOutbox).values(attempts=outgoing.MAX_ATTEMPTS - 1)))
    mail_job.send_due(utcnow())


class Refuses:
    def send(self, mail: Any) -> None:
        raise MailError("away")


def test_a_mail_that_could_not_be_delivered_can_be_sent_again(
    desk: PortalClient, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(firm)
    desk.post(f"/appointments/{row.id}/tell")
    assert len(mails(firm)) == 1
    with monkeypatch.context() as away:
        away.setattr(mail_job, "mailer", lambda url, folder: Refuses())
        give_up(firm)
    page = desk.get(f"/appointments/{row.id}").text
    assert "Bestätigung konnte nicht an aylin@demir.example zugestellt werden" in page
    assert f'action="/appointments/{row.id}/tell"' in page
    desk.post(f"/appointments/{row.id}/tell")
    mails(firm)
    mail_job.send_due(utcnow())
    assert [mail.status for mail in mails(firm)] == ["failed", "sent"]
    assert f'action="/appointments/{row.id}/tell"' not in desk.get(f"/appointments/{row.id}").text


def test_so_can_a_reminder_whose_appointment_has_been_confirmed(
    desk: PortalClient, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(firm)
    desk.post(f"/appointments/{row.id}/tell")
    assert len(mails(firm)) == 1
    mail_job.send_due(utcnow())
    letters.remind(noon(2))
    with monkeypatch.context() as away:
        away.setattr(mail_job, "mailer", lambda url, folder: Refuses())
        give_up(firm)
    assert "Die Erinnerung konnte nicht zugestellt werden." in desk.get(f"/appointments/{row.id}").text
    letters.remind(noon(2) + timedelta(minutes=2))  # by itself it is not tried for ever
    assert len(mails(firm)) == 2
    for _again in range(2):
        desk.post(f"/appointments/{row.id}/tell")
        mails(firm)
        mail_job.send_due(utcnow())
    assert [(mail.status, mail.subject[:10]) for mail in mails(firm)][1:] == [
        ("failed", "Erinnerung"),
        ("sent", "Erinnerung"),
    ]


def test_after_a_drop_that_told_nobody_the_appointment_offers_it(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    answer = desk.htmx("POST", f"/appointments/{row.id}/move", data=moved(row, part="drop"))
    assert answer.status_code == 204
    assert mails(firm) == []
    assert f'action="/appointments/{row.id}/tell"' in desk.get(f"/appointments/{row.id}").text
    part = desk.htmx("POST", f"/appointments/{row.id}/tell")
    assert "<html" not in part.text
    assert [mail.subject[:8] for mail in mails(firm)] == ["Geändert"]


def test_who_may_not_see_customers_sees_no_address(client: PortalClient, firm: Firm) -> None:
    row = make(firm)
    factories.deny(firm, firm.manager, "view_customers")
    client.sign_in(firm.manager)
    client.post(f"/appointments/{row.id}/tell")
    mails(firm)
    mail_job.send_due(utcnow())
    page = client.get(f"/appointments/{row.id}").text
    assert ADDRESS not in page
    assert HIDDEN in page


def test_other_branches_appointments_are_not_told_of(client: PortalClient, firm: Firm) -> None:
    row = make(firm, branch_id=firm.other.id, staff_id=None)
    assert client.sign_in(firm.staff).post(f"/appointments/{row.id}/tell").status_code == 404
    assert mails(firm) == []


def test_the_polled_panel_notices_that_a_mail_went_out(desk: PortalClient, firm: Firm) -> None:
    row = make(firm)
    panel = desk.htmx("GET", f"/appointments/{row.id}").text
    address = re.search(r'hx-get="(/appointments/\d+\?v=[^"]+)"', panel)
    assert address is not None
    url = address[1].replace("&amp;", "&")
    assert desk.htmx("GET", url).status_code == 204
    desk.post(f"/appointments/{row.id}/tell")
    mails(firm)
    answer = desk.htmx("GET", url)
    assert answer.status_code == 200
    assert "hat diesen Termin" not in answer.text  # nobody has changed anything


@pytest.mark.parametrize(("values", "says"), [({"calcom_event_id": "uid"}, "über Cal.com gebucht"), ({}, "gesendet")])
def test_the_appointment_says_why_no_reminder_comes(
    desk: PortalClient, firm: Firm, values: dict[str, Any], says: str
) -> None:
    assert says in desk.get(f"/appointments/{make(firm, **values).id}").text


@pytest.mark.parametrize(
    ("address", "shown"),
    [(ADDRESS, HIDDEN), ("", ""), ("x@y.example", "x•••@y•••.example"), ("x@a.b.example", "x•••@a•••.example")],
)
def test_a_hidden_address_can_be_recognised_and_not_read(address: str, shown: str) -> None:
    assert customer_mail_page.hidden(address) == shown


def test_settings_outlive_the_switches_of_others(client: PortalClient, firm: Firm) -> None:
    client.sign_in(firm.owner).post("/settings/privacy", data={"recording": "30", "transcript": "", "metadata": ""})
    with tenant_scope(firm.id):
        assert db.session.get_one(Company, firm.id).settings
    assert wishes(firm).kinds == list(KINDS)
    assert datetime(2020, 1, 1, tzinfo=UTC) < (wishes(firm).reminders_since or utcnow())
