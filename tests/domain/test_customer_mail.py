"""Mails to customers: whom they go to, what they say, and that one state is told once."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select, update

from portal.clients.mail import Mail
from portal.db import db, transaction
from portal.domain import appointments, customer_mail, customer_mail_settings, erasure
from portal.domain.customer_mail_settings import KINDS, Wishes
from portal.domain.errors import DomainError
from portal.domain.slots import plan_of
from portal.jobs import mail as mail_job
from portal.jobs import worker
from portal.models import Appointment, AuditLog, Branch, Company, Customer, EmailOutbox, OutboxJob
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import mails_of, stored, within

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)  # a Monday
TEN = datetime(2027, 3, 9, 9, 0, tzinfo=UTC)  # ten o'clock in Berlin, a Tuesday
EVERYTHING = Wishes(confirmation=True, change=True, cancellation=True, reminder=True)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker and the outbox live at NOW."""
    for module in ("portal.domain.outbox", "portal.domain.mail", "portal.jobs.customer_mail", "portal.jobs.worker"):
        monkeypatch.setattr(f"{module}.utcnow", lambda: NOW)


@pytest.fixture
def firm(cast: Cast) -> Firm:
    wish(cast.salon, EVERYTHING)
    return cast.salon


def wish(firm: Firm, wishes: Wishes, now: datetime = NOW - timedelta(days=30)) -> None:
    within(firm, lambda: customer_mail_settings.save(wishes, now))


def make(firm: Firm, start: datetime = TEN, **values: Any) -> Appointment:
    return factories.make_appointment(firm, start, created_at=NOW - timedelta(days=1), **values)


def ask(firm: Firm, row: Appointment, kind: str = "confirmation") -> bool:
    return within(firm, lambda: customer_mail.tell(db.session.get_one(Appointment, row.id), kind, NOW))


def move(firm: Firm, row: Appointment, by: timedelta = HOUR, tells: bool = True, **values: Any) -> Appointment:
    """As the views do it: change and mail in one transaction."""

    def work() -> Appointment:
        before = plan_of(db.session.get_one(Appointment, row.id))
        plan = replace(before, start=before.start + by, end=before.end + by, **values)
        moved = appointments.change(row, plan)
        if tells:
            customer_mail.tell_change(moved, before, NOW)
        return moved

    return within(firm, work)


def cancel(firm: Firm, row: Appointment, tells: bool = True) -> None:
    def work() -> None:
        cancelled = appointments.cancel(row, "staff", "Frau Voss", NOW)
        if tells:
            customer_mail.tell(cancelled, "cancellation", NOW)

    within(firm, work)


def customer(firm: Firm, **values: Any) -> None:
    within(firm, lambda: db.session.execute(update(Customer).where(Customer.id == firm.customer.id).values(**values)))


def branch(firm: Firm, **values: Any) -> None:
    within(firm, lambda: db.session.execute(update(Branch).where(Branch.id == firm.main.id).values(**values)))


def written(firm: Firm) -> list[EmailOutbox]:
    """What stands in the mail outbox once the worker has had its turn."""
    worker.drain_outbox(NOW)
    return mails_of(firm)


class Server:
    def __init__(self) -> None:
        self.sent: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.sent.append(mail)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(mail_job, "mailer", lambda url, folder: made)
    return made


def event_of(mail: EmailOutbox) -> tuple[str, Any]:
    """The method and the VEVENT of the attachment."""
    (file,) = mail.attachments or []
    calendar = Calendar.from_ical(base64.b64decode(file["base64"]))
    (event,) = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


# ---- Only where it is wanted, and to whom -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_until_it_is_switched_on(cast: Cast, kind: str) -> None:
    firm = cast.salon
    row = make(firm, status="cancelled" if kind == "cancellation" else "confirmed")
    assert not ask(firm, row, kind)
    off: dict[str, Any] = {kind: False}
    wish(firm, replace(EVERYTHING, **off))
    assert not ask(firm, row, kind)
    assert written(firm) == []


@pytest.mark.parametrize(
    "values",
    [
        {"email": None},
        {"email": ""},
        {"email": "aylin"},
        {"email": "a@b.example, c@d.example"},
        {"email": "a@b.example\nBcc: c@d.example"},
        {"email": "a b@c.example"},
        {"email": "<a@b.example>"},
        {"email": "a@b"},
        {"email": "a@b..example"},
        {"is_active": False},
        {"is_blocked": True},
        {"erased_at": NOW},
    ],
)
def test_customers_who_cannot_or_should_not_be_written_to_get_nothing(firm: Firm, values: dict[str, Any]) -> None:
    customer(firm, **values)
    assert not ask(firm, make(firm))
    assert written(firm) == []


@pytest.mark.parametrize("status", ["completed", "no_show", "cancelled"])
def test_only_what_stands_is_confirmed(firm: Firm, status: str) -> None:
    assert not ask(firm, make(firm, status=status))


def test_only_what_is_cancelled_is_said_to_be(firm: Firm) -> None:
    assert not ask(firm, make(firm), "cancellation")


def test_a_past_appointment_is_not_told_of(firm: Firm) -> None:
    assert not ask(firm, make(firm, NOW - HOUR))
    assert not ask(firm, make(firm, NOW))


def test_what_changed_before_the_mail_was_written_is_looked_at_again(firm: Firm) -> None:
    ask(firm, make(firm))
    customer(firm, is_blocked=True)
    assert written(firm) == []


def test_a_company_that_was_deactivated_writes_to_nobody(firm: Firm) -> None:
    ask(firm, make(firm))
    within(firm, lambda: db.session.execute(update(Company).where(Company.id == firm.id).values(is_active=False)))
    assert written(firm) == []


def test_calcom_writes_to_its_own_bookers_unless_the_company_wants_both(firm: Firm) -> None:
    row = make(firm)
    factories.make_booking(firm, row)
    assert not ask(firm, row)
    assert not ask(firm, make(firm, TEN + HOUR, calcom_event_id="uid_2"))
    wish(firm, replace(EVERYTHING, with_calcom=True))
    assert ask(firm, row)
    assert not ask(firm, make(firm, TEN + 2 * HOUR, calcom_event_id="uid_3", status="scheduled"))  # a mere request


def test_the_other_companys_switches_and_mails_are_its_own(cast: Cast, firm: Firm) -> None:
    ask(firm, make(firm))
    assert not ask(cast.praxis, make(cast.praxis))
    assert len(written(firm)) == 1
    assert mails_of(cast.praxis) == []


# ---- What they say ----------------------------------------------------------------------------------------------


def test_a_confirmation_says_when_what_with_whom_and_where_and_brings_the_file(firm: Firm) -> None:
    branch(firm, address="Weg 1", postal_code="10115", city="Berlin", phone="030 1234567", email="mitte@salon.example")
    row = make(firm, internal_notes="zahlt nie", price=Decimal("58.00"), customer_notes="Allergie")
    ask(firm, row)
    (mail,) = written(firm)
    assert (mail.recipient, mail.reply_to) == ("aylin@demir.example", "mitte@salon.example")
    assert mail.sender_name == firm.company.name
    for body in (mail.text_body, mail.html_body or ""):
        assert "Aylin Demir" in body
        assert "Dienstag, 9. März 2027, 10:00–10:45" in body
        assert "MEZ" not in body
        assert firm.stylist.name in body
        assert firm.cut.name in body
        assert f"{firm.main.name}, Weg 1, 10115 Berlin" in body
        assert "030 1234567" in body
        for hidden in ("zahlt nie", "58", "Allergie", "http"):
            assert hidden not in body
    assert "Telefon: 030 1234567\n\nWenn Sie" in mail.text_body
    method, event = event_of(mail)
    assert (method, str(event["UID"]), int(event["SEQUENCE"])) == ("REQUEST", f"appointment-{row.id}@localhost", 0)
    assert event["DTSTART"].dt == TEN
    assert "zahlt nie" not in event.to_ical().decode()
    assert stored(firm, row).confirmation_sent_at == NOW


def test_the_price_stands_there_where_the_company_wants_it(firm: Firm) -> None:
    wish(firm, replace(EVERYTHING, with_price=True))
    ask(firm, make(firm, price=Decimal("58.00")))
    assert "58,00" in written(firm)[0].text_body


@pytest.mark.parametrize(
    ("customers", "companys", "words"),
    [("en", "de", "Tuesday, 9 March"), (None, "en", "Tuesday, 9 March"), ("fr", "de", "Dienstag"), (None, "de", "Di")],
)
def test_it_speaks_the_customers_language_else_the_companys(
    firm: Firm, customers: str | None, companys: str, words: str
) -> None:
    customer(firm, preferred_language=customers)
    within(firm, lambda: db.session.execute(update(Company).where(Company.id == firm.id).values(language=companys)))
    ask(firm, make(firm))
    assert words in written(firm)[0].text_body


def test_the_zone_is_named_when_it_is_not_the_companys_and_when_clocks_change(firm: Firm) -> None:
    ask(firm, make(firm, datetime(2027, 3, 28, 8, 0, tzinfo=UTC)))
    (changing,) = written(firm)
    branch(firm, timezone="Europe/London")
    ask(firm, make(firm, TEN))
    abroad = written(firm)[-1]
    assert "10:00–10:45\N{NO-BREAK SPACE}MESZ" in changing.text_body
    assert "09:00–09:45\N{NO-BREAK SPACE}GMT" in abroad.text_body


def test_a_name_that_was_only_said_on_the_phone_is_not_used(firm: Firm) -> None:
    customer(firm, name_confirmed=False)
    ask(firm, make(firm))
    assert "Aylin" not in written(firm)[0].text_body


def test_a_moved_appointment_says_where_it_was_and_raises_the_sequence(firm: Firm) -> None:
    move(firm, make(firm))
    (mail,) = written(firm)
    assert "11:00–11:45" in mail.text_body
    assert "9. März 2027, 10:00" in mail.text_body
    method, event = event_of(mail)
    assert (method, int(event["SEQUENCE"]), event["DTSTART"].dt) == ("REQUEST", 1, TEN + HOUR)


def test_a_cancelled_appointment_is_taken_out_of_the_customers_calendar(firm: Firm) -> None:
    row = make(firm)
    cancel(firm, row)
    (mail,) = written(firm)
    method, event = event_of(mail)
    assert (method, str(event["STATUS"]), int(event["SEQUENCE"])) == ("CANCEL", "CANCELLED", 1)
    assert str(event["UID"]) == f"appointment-{row.id}@localhost"
    assert "Frau Voss" not in mail.text_body


def test_hostile_names_stay_words(firm: Firm, server: Server) -> None:
    evil = 'X"<script>alert(1)</script>\r\nBcc: evil@evil.example\r\n\r\n'
    customer(firm, first_name=evil, last_name="{{ 7*7 }}")
    within(firm, lambda: db.session.execute(update(Company).where(Company.id == firm.id).values(name=f"Salon {evil}")))
    branch(firm, name=f"Mitte {evil}", email=f"a@b.example{evil}")
    ask(firm, make(firm, service_id=None, title=evil))
    (mail,) = written(firm)
    assert "<script>" not in (mail.html_body or "")
    assert "{{ 7*7 }}" in mail.text_body
    assert "\n" not in mail.subject
    assert mail.reply_to is None
    mail_job.send_due(NOW)
    message = read(server.sent[0])
    assert message.get_all("Bcc") is None
    assert message.get_all("To") == ["aylin@demir.example"]
    assert b"\nBCC" not in event_of(mail)[1].to_ical().upper()


def read(mail: Mail) -> Message:
    return message_from_bytes(bytes(mail.as_message()))


def test_the_mail_comes_in_the_companys_name_from_our_address_with_the_method_at_the_file(
    firm: Firm, server: Server
) -> None:
    wish(firm, replace(EVERYTHING, sender='Salon "Ü", Mitte', texts={"confirmation": "Bitte klingeln.\n<b>Hof</b>"}))
    ask(firm, make(firm))
    (stored_mail,) = written(firm)
    assert "\n\nBitte klingeln.\n<b>Hof</b>\n\nWenn Sie" in stored_mail.text_body
    assert "&lt;b&gt;Hof&lt;/b&gt;" in (stored_mail.html_body or "")
    mail_job.send_due(NOW)
    message = read(server.sent[0])
    assert "no-reply@" in str(message["From"]) or "@" in str(message["From"])
    (file,) = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert (file.get_param("method"), file.get_filename()) == ("REQUEST", "termin.ics")


# ---- Once -------------------------------------------------------------------------------------------------------


def test_one_state_is_told_once_however_often_it_is_asked_for(firm: Firm) -> None:
    row = make(firm)
    for _time in range(3):
        ask(firm, row)
        assert len(written(firm)) == 1
    move(firm, row)
    ask(firm, row, "change")
    ask(firm, row, "confirmation")
    assert [mail.subject[:8] for mail in written(firm)] == ["Ihr Term", "Geändert"]


def test_the_worker_may_do_a_job_twice(firm: Firm) -> None:
    ask(firm, make(firm))
    written(firm)
    with all_tenants("the test has the job done again"):
        transaction(
            lambda: db.session.execute(update(OutboxJob).values(status="pending", attempts=0, next_attempt_at=NOW))
        )
    assert len(written(firm)) == 1
    with tenant_scope(firm.id):
        told = list(db.session.scalars(select(AuditLog).where(AuditLog.action == "appointment.told")))
    assert [one.new_values for one in told] == [{"kind": "confirmation"}]


def test_two_moves_before_the_worker_comes_are_one_mail_with_where_it_was_first(firm: Firm) -> None:
    row = make(firm)
    move(firm, row)
    move(firm, row)
    (mail,) = written(firm)
    assert "12:00–12:45" in mail.text_body
    assert "9. März 2027, 10:00" in mail.text_body


def test_nothing_is_told_of_a_change_that_the_customer_does_not_see(firm: Firm) -> None:
    move(firm, make(firm), timedelta(0), internal_notes="neu", price=Decimal(1))
    assert written(firm) == []


def test_another_service_is_a_change(firm: Firm) -> None:
    row = move(firm, make(firm), timedelta(0), service_id=None)
    (mail,) = written(firm)
    assert stored(firm, row).ical_sequence == 1
    assert "was" not in mail.subject


def test_another_customer_gets_a_confirmation(firm: Firm) -> None:
    other = factories.make_customer(firm, email="peter@schaefer.example")
    row = make(firm)
    move(firm, row, timedelta(0), customer_id=other.id)
    (mail,) = written(firm)
    assert mail.recipient == "peter@schaefer.example"
    assert "Aylin" not in mail.text_body


def test_the_customer_before_is_told_if_they_had_heard_of_it(firm: Firm, server: Server) -> None:
    other = factories.make_customer(firm, email="peter@schaefer.example")
    row = make(firm)
    ask(firm, row)
    written(firm)
    mail_job.send_due(NOW)
    move(firm, row, HOUR, customer_id=other.id, service_id=None)
    written(firm)
    mail_job.send_due(NOW)
    aylin, peter = "aylin@demir.example", "peter@schaefer.example"
    assert [mail.recipient for mail in server.sent] == [aylin, aylin, peter]
    gone = mails_of(firm)[1]
    assert gone.subject == "Ihr Termin am Di., 09.03. um 10:00 ist abgesagt"
    assert "Peter" not in gone.text_body
    method, event = event_of(gone)
    assert (method, event["SEQUENCE"], event["DTSTART"].dt) == ("CANCEL", 1, TEN)
    move(firm, row, -HOUR, customer_id=firm.customer.id)  # given back: that is news again
    written(firm)
    mail_job.send_due(NOW)
    assert [mail.recipient for mail in server.sent[3:]] == [peter, aylin]


# ---- Looked at again just before it goes out --------------------------------------------------------------------


def test_a_mail_whose_appointment_was_cancelled_meanwhile_is_not_sent(firm: Firm, server: Server) -> None:
    row = make(firm)
    ask(firm, row)
    written(firm)
    cancel(firm, row, tells=False)
    mail_job.send_due(NOW)
    assert server.sent == []
    (mail,) = written(firm)
    assert (mail.status, mail.error) == ("failed", customer_mail.WITHDRAWN)


def test_a_mail_whose_appointment_was_moved_meanwhile_is_written_anew(firm: Firm, server: Server) -> None:
    row = make(firm)
    ask(firm, row)
    written(firm)
    move(firm, row, tells=False)
    mail_job.send_due(NOW)
    written(firm)
    mail_job.send_due(NOW)
    (mail,) = server.sent
    assert "11:00–11:45" in mail.text


def test_a_cancellation_that_was_taken_back_meanwhile_is_not_sent(firm: Firm, server: Server) -> None:
    row = make(firm)
    cancel(firm, row)
    written(firm)
    within(firm, lambda: appointments.set_status(row, "back", NOW))
    mail_job.send_due(NOW)
    assert server.sent == []


def test_whoever_was_told_of_a_cancellation_is_told_that_it_was_taken_back(firm: Firm) -> None:
    def back(row: Appointment) -> bool:
        return customer_mail.tell_restored(appointments.set_status(row, "back", NOW), NOW)

    told, untold = make(firm), make(firm, TEN + 3 * HOUR)
    cancel(firm, told)
    cancel(firm, untold, tells=False)
    written(firm)
    assert within(firm, lambda: back(told))
    assert not within(firm, lambda: back(untold))
    assert int(event_of(written(firm)[-1])[1]["SEQUENCE"]) == 2


@pytest.mark.parametrize("values", [{"erased_at": NOW}, {"is_blocked": True}, {"email": None}])
def test_a_mail_is_not_sent_to_somebody_who_should_not_get_it_any_more(
    firm: Firm, server: Server, values: dict[str, Any]
) -> None:
    ask(firm, make(firm))
    written(firm)
    customer(firm, **values)
    mail_job.send_due(NOW)
    assert server.sent == []


def test_a_mail_goes_to_the_address_that_was_put_right_meanwhile_and_to_no_other(firm: Firm, server: Server) -> None:
    ask(firm, make(firm))
    written(firm)
    customer(firm, email="richtig@example.org")
    mail_job.send_due(NOW)
    written(firm)
    mail_job.send_due(NOW)
    assert [mail.recipient for mail in server.sent] == ["richtig@example.org"]


def test_who_was_blocked_by_mistake_can_be_told_afterwards(firm: Firm, server: Server) -> None:
    row = make(firm)
    ask(firm, row)
    written(firm)
    customer(firm, is_blocked=True)
    mail_job.send_due(NOW)
    customer(firm, is_blocked=False)
    ask(firm, row)
    written(firm)
    mail_job.send_due(NOW)
    assert len(server.sent) == 1


def test_a_mail_that_waited_until_the_appointment_is_not_sent(firm: Firm, server: Server) -> None:
    ask(firm, make(firm))
    written(firm)
    mail_job.send_due(TEN)
    assert server.sent == []


def test_erasing_a_person_throws_away_the_mails_to_them(firm: Firm) -> None:
    ask(firm, make(firm))
    written(firm)
    within(firm, lambda: erasure.erase_customer(firm.customer.id, NOW))
    assert mails_of(firm) == []


# ---- Brakes -----------------------------------------------------------------------------------------------------


def test_a_company_cannot_send_without_end(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_mail, "MOST_A_DAY", 2)
    for n in range(4):
        ask(firm, make(firm, TEN + n * HOUR))
    assert len(written(firm)) == 2
    with all_tenants("the test looks at the jobs"):
        waiting = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == "customer_mail")).all()
        later = [job for job in waiting if job.status == "pending"]
    assert [job.next_attempt_at for job in later] == [NOW + HOUR] * 2
    with tenant_scope(firm.id):
        bells = db.session.scalars(select(AuditLog.action).where(AuditLog.action == "appointment.told")).all()
    assert len(bells) == 2


def test_what_waits_for_the_next_day_waits_for_each_customer(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    other = factories.make_customer(firm, email="peter@schaefer.example")
    row = make(firm)
    ask(firm, row)
    written(firm)
    monkeypatch.setattr(customer_mail, "MOST_A_DAY", 1)
    move(firm, row, HOUR, customer_id=other.id)  # the former customer's cancellation waits
    written(firm)
    cancel(firm, row)  # and so does the present one's
    written(firm)
    with all_tenants("the test looks at the jobs"):
        jobs = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == "customer_mail")).all()
        later = [job.payload for job in jobs if job.status == "pending"]
    assert {each["customer_id"] for each in later if each["kind"] == "cancellation"} == {firm.customer.id, other.id}


def test_one_customer_is_not_written_to_without_end(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_mail, "MOST_TO_ONE", 2)
    for n in range(4):
        ask(firm, make(firm, TEN + n * HOUR))
    assert len(written(firm)) == 2


# ---- Settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"hours": 0}, "hours"),
        ({"hours": 169}, "hours"),
        ({"sender": "x" * 61}, "sender"),
        ({"sender": "boss@bank.example"}, "sender"),
        ({"texts": {"reminder": "x" * 501}}, "text_reminder"),
    ],
)
def test_wrong_wishes_are_refused_beside_their_field(cast: Cast, values: dict[str, Any], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        wish(cast.salon, replace(Wishes(), **values))
    assert refused.value.field == field


def test_what_is_stored_is_read_as_it_was_meant_and_rubbish_as_nothing() -> None:
    assert customer_mail_settings.of(None) == Wishes()
    wrong = {"confirmation": "yes", "hours": "9", "texts": 3, "reply_to": "evil", "sender": None}
    rubbish: Any
    for rubbish in ("x", [], wrong):
        assert customer_mail_settings.of({"customer_mail": rubbish}) == Wishes()


def test_saving_keeps_the_other_settings_and_when_reminders_began(cast: Cast) -> None:
    firm = cast.salon
    paint = update(Company).where(Company.id == firm.id).values(settings={"brand_color": "#123456"})
    within(firm, lambda: db.session.execute(paint))
    wish(firm, EVERYTHING, NOW)
    wish(firm, replace(EVERYTHING, hours=48, sender=" Salon\n Bcc: x "), NOW + HOUR)
    with tenant_scope(firm.id):
        settings = db.session.get_one(Company, firm.id).settings or {}
        wishes = customer_mail_settings.current()
    assert settings["brand_color"] == "#123456"
    assert (wishes.hours, wishes.sender, wishes.reminders_since) == (48, "Salon Bcc: x", NOW)


def test_the_audit_knows_no_address(firm: Firm) -> None:
    ask(firm, make(firm))
    written(firm)
    with tenant_scope(firm.id):
        for record in db.session.scalars(select(AuditLog)):
            assert "demir.example" not in str((record.old_values, record.new_values))
