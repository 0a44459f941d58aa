"""Reminders: sent once, when they are due, to whom they still concern."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert, select, text, update

from portal.db import db, utcnow
from portal.domain import appointments, availability, customer_mail, customer_mail_settings, reminders
from portal.domain.customer_mail_settings import Wishes
from portal.domain.slots import plan_of
from portal.jobs import customer_mail as job
from portal.jobs import mail as mail_job
from portal.jobs import periodic_jobs
from portal.models import Appointment, AuditLog, Customer, Notification
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import mails_of as mails
from tests.factories import stored, within
from tests.queries import Queries

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ON = Wishes(reminder=True)


def at(day: date, hour: int) -> datetime:
    return availability.local_instant(day, time(hour), BERLIN)


# Audit records carry the real clock, so everything lies ahead of it. No clocks are changed between Monday and Friday.
MONDAY = (utcnow() + 7 * DAY).date() + timedelta(days=7 - (utcnow() + 7 * DAY).date().weekday())
START = at(MONDAY + DAY, 14)  # Tuesday, 14:00
DUE = at(MONDAY, 14)


@pytest.fixture
def firm(cast: Cast) -> Firm:
    switch_on(cast.salon)
    return cast.salon


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Mails that have gone out."""
    sent: list[Any] = []

    class Server:
        def send(self, mail: Any) -> None:
            sent.append(mail)

    monkeypatch.setattr(mail_job, "mailer", lambda url, folder: Server())
    return sent


def switch_on(firm: Firm, wishes: Wishes = ON, now: datetime | None = None) -> None:
    within(firm, lambda: customer_mail_settings.save(wishes, now or utcnow() - 30 * DAY))


def make(firm: Firm, start: datetime = START, **values: Any) -> Appointment:
    return factories.make_appointment(firm, start, **({"created_at": utcnow() - 9 * DAY} | values))


def move(firm: Firm, row: Appointment, by: timedelta, **values: Any) -> None:
    def work() -> None:
        plan = plan_of(db.session.get_one(Appointment, row.id))
        appointments.change(row, replace(plan, start=plan.start + by, end=plan.end + by, **values))

    within(firm, work)


def happened(firm: Firm, row: Appointment, action: str, when: datetime, old: Any = None, new: Any = None) -> None:
    """What the audit would know of it."""
    record = AuditLog(
        company_id=firm.id,
        action=action,
        model_type="appointments",
        model_id=row.id,
        old_values=old,
        new_values=new,
        created_at=when,
    )
    factories.save(firm, record)


def test_the_worker_knows_the_job() -> None:
    assert periodic_jobs()["customer_mail.reminders"][1] is job.remind


def test_a_reminder_comes_when_it_is_due_and_once(firm: Firm) -> None:
    row = make(firm)
    job.remind(DUE - timedelta(minutes=1))
    assert mails(firm) == []
    for late in range(4):
        job.remind(DUE + late * timedelta(minutes=2))
    (mail,) = mails(firm)
    assert mail.recipient == "aylin@demir.example"
    assert mail.subject.startswith("Erinnerung")
    assert stored(firm, row).reminder_sent_at == DUE
    assert stored(firm, row).version == row.version


def test_nobody_is_reminded_where_it_is_off_or_the_other_company_wants_it(cast: Cast, firm: Firm) -> None:
    make(cast.praxis)
    job.remind(DUE)
    assert mails(cast.praxis) == []
    switch_on(firm, Wishes(confirmation=True))
    make(firm)
    job.remind(DUE)
    assert mails(firm) == []


@pytest.mark.parametrize(
    "values",
    [{"email": None}, {"email": "x"}, {"is_active": False}, {"is_blocked": True}, {"erased_at": utcnow()}],
)
def test_customers_who_cannot_or_should_not_be_written_to_are_not(firm: Firm, values: dict[str, Any]) -> None:
    within(firm, lambda: db.session.execute(update(Customer).where(Customer.id == firm.customer.id).values(**values)))
    row = make(firm)
    job.remind(DUE)
    assert mails(firm) == []
    assert stored(firm, row).reminder_sent_at is None


@pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
def test_only_what_stands_is_reminded_of(firm: Firm, status: str) -> None:
    make(firm, status=status)
    job.remind(DUE)
    assert mails(firm) == []


def test_calcoms_appointments_only_where_the_company_wants_it(firm: Firm) -> None:
    row = make(firm)
    factories.make_booking(firm, row)
    make(firm, START + HOUR, calcom_event_id="uid")
    job.remind(DUE + HOUR)
    assert mails(firm) == []
    switch_on(firm, replace(ON, with_calcom=True))
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 2


def test_switching_it_on_reminds_nobody_whose_time_has_passed(cast: Cast) -> None:
    firm = cast.salon
    make(firm)
    make(firm, START + 2 * DAY)
    switch_on(firm, now=DUE + HOUR)
    job.remind(DUE + HOUR)
    assert mails(firm) == []
    job.remind(DUE + 2 * DAY)
    assert len(mails(firm)) == 1
    switch_on(firm, replace(ON, hours=25), now=DUE + 2 * DAY)  # another setting begins nothing anew
    with tenant_scope(firm.id):
        assert customer_mail_settings.current().reminders_since == DUE + HOUR


def test_who_books_after_the_reminders_time_is_not_reminded(firm: Firm) -> None:
    make(firm, created_at=DUE + HOUR)
    job.remind(DUE + 2 * HOUR)
    assert mails(firm) == []


def test_more_hours_take_the_reminder_from_nobody_who_has_booked_in_between(firm: Firm) -> None:
    make(firm, created_at=DUE - 6 * HOUR)
    switch_on(firm, Wishes(reminder=True, hours=48))
    job.remind(DUE - HOUR)
    assert mails(firm) == []
    job.remind(DUE)
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 1


def raise_hours(firm: Firm, *hours: int, now: datetime) -> None:
    for each in hours:
        switch_on(firm, Wishes(reminder=True, hours=each), now=now)


def test_what_is_to_be_reminded_of_later_costs_nothing_until_then(cast: Cast) -> None:
    """A week ahead is chosen: who books three days before waits for the reminder of the last day."""
    switch_on(cast.salon, Wishes(reminder=True, hours=168))
    asked = []
    for _ in range(2):
        make(cast.salon, START + len(asked) * HOUR, created_at=START - 3 * DAY)
        with Queries() as queries:
            job.remind(START - 2 * DAY)
        asked.append([query for query in queries if "audit" in query])
    assert asked == [[], []]
    assert mails(cast.salon) == []
    job.remind(START - DAY)
    assert len(mails(cast.salon)) == 1


def test_who_was_to_be_reminded_later_still_is_once_more_hours_are_chosen(firm: Firm) -> None:
    raise_hours(firm, 12, now=DUE - DAY)
    make(firm, created_at=DUE + 2 * HOUR)  # 22 hours before: its reminder is to come at two in the night, so at eight
    raise_hours(firm, 24, now=DUE + 3 * HOUR)
    late = make(firm, START + 2 * HOUR, created_at=DUE + 4 * HOUR)  # booked under the new hours, after their time
    job.remind(DUE + 4 * HOUR)
    assert mails(firm) == []
    for hours in (18, 19, 20):
        job.remind(DUE + hours * HOUR)
    assert len(mails(firm)) == 1
    assert stored(firm, late).reminder_sent_at is None


def test_hours_that_go_up_and_down_remind_by_the_last_word(firm: Firm) -> None:
    raise_hours(firm, 12, now=DUE - DAY)
    make(firm, created_at=DUE + 2 * HOUR)
    raise_hours(firm, 24, 4, now=DUE + 3 * HOUR)
    job.remind(DUE + 19 * HOUR)
    assert mails(firm) == []
    job.remind(DUE + 20 * HOUR)
    assert len(mails(firm)) == 1


def test_hours_that_were_raised_are_forgotten_when_nothing_hangs_on_them_any_more(firm: Firm) -> None:
    raise_hours(firm, 12, 24, 48, now=DUE)
    with tenant_scope(firm.id):
        assert [each.hours for each in customer_mail_settings.current().former] == [12, 24]
    raise_hours(firm, 72, now=DUE + customer_mail_settings.REMEMBERED)
    with tenant_scope(firm.id):
        assert [each.hours for each in customer_mail_settings.current().former] == [48]
    switch_on(firm, Wishes(confirmation=True), now=DUE + 60 * DAY)
    with tenant_scope(firm.id):
        assert customer_mail_settings.current().former == ()


def give_away(firm: Firm, row: Appointment, when: datetime) -> None:
    """Another customer takes the appointment at that moment."""
    other = factories.make_customer(firm, "Ida", "Neu", email="ida@neu.example")
    move(firm, row, timedelta(0), customer_id=other.id)
    with tenant_scope(firm.id):
        written = select(AuditLog).where(AuditLog.model_id == row.id).order_by(AuditLog.id.desc()).limit(1)
        record = db.session.scalars(written).one()
        happened(firm, row, record.action, when, record.old_values, record.new_values)  # once more, at that time


def test_who_takes_over_an_appointment_is_reminded_too(firm: Firm) -> None:
    switch_on(firm, Wishes(reminder=True, hours=72))
    row = make(firm, START + 2 * DAY)
    job.remind(DUE)
    assert [mail.recipient for mail in mails(firm)] == ["aylin@demir.example"]
    give_away(firm, row, DUE + HOUR)
    job.remind(DUE + 2 * HOUR)  # has agreed to it just now
    assert len(mails(firm)) == 1
    for late in (0, 1):
        job.remind(DUE + 2 * DAY + late * HOUR)
    assert [mail.recipient for mail in mails(firm)] == ["aylin@demir.example", "ida@neu.example"]


def test_who_takes_over_an_appointment_after_its_reminder_is_not_reminded_of_what_was_agreed_just_now(
    firm: Firm,
) -> None:
    row = make(firm)
    job.remind(DUE)
    give_away(firm, row, DUE + HOUR)
    job.remind(DUE + 2 * HOUR)
    job.remind(DUE + 20 * HOUR)
    assert len(mails(firm)) == 1


def test_a_moved_appointment_is_reminded_of_at_its_new_time_once(firm: Firm) -> None:
    row = make(firm)
    job.remind(DUE)
    move(firm, row, DAY)
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 1
    job.remind(DUE + DAY)
    job.remind(DUE + DAY + HOUR)
    assert len(mails(firm)) == 2
    assert "Mittwoch" in mails(firm)[1].text_body


@pytest.mark.parametrize(
    ("action", "old", "new", "count"),
    [
        ("appointment.moved", {"start_time": "x"}, {"start_time": "y"}, 0),
        ("appointment.moved", {"staff_id": 1}, {"staff_id": 2}, 1),
        ("appointment.edited", {"price": "1"}, {"price": "2"}, 1),
        ("appointment.restored", {"status": "cancelled"}, {"status": "confirmed"}, 0),
        ("appointment.restored", {"status": "no_show"}, {"status": "confirmed"}, 1),
    ],
)
def test_what_was_agreed_on_after_the_reminders_time_is_not_reminded_of(
    firm: Firm, action: str, old: Any, new: Any, count: int
) -> None:
    row = make(firm)
    happened(firm, row, action, DUE + HOUR, old, new)
    job.remind(DUE + 2 * HOUR)
    assert len(mails(firm)) == count


def test_another_person_at_the_same_time_brings_no_second_reminder(firm: Firm) -> None:
    row = make(firm)
    job.remind(DUE)
    move(firm, row, timedelta(0), staff_id=firm.colleague.id)
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 1


def test_a_worker_that_looked_before_another_one_wrote_does_not_write_again(firm: Firm) -> None:
    """The key of its mail would be a new one: what holds is that the appointment is claimed once."""
    row = make(firm)
    with tenant_scope(firm.id):
        (seen,) = reminders.waiting(ON, DUE)
    job.remind(DUE)
    move(firm, row, timedelta(0), staff_id=firm.colleague.id)
    assert within(firm, lambda: job.remind_one(seen, DUE)) is False
    assert len(mails(firm)) == 1


def test_the_same_state_is_reminded_of_once_even_if_it_was_not_known_to_be(firm: Firm) -> None:
    """What holds is the key of the mail."""
    row = make(firm)
    job.remind(DUE)
    within(
        firm,
        lambda: db.session.execute(update(Appointment).where(Appointment.id == row.id).values(reminder_sent_at=None)),
    )
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 1


# ---- Between writing and sending --------------------------------------------------------------------------------


def test_a_reminder_of_what_was_cancelled_meanwhile_is_not_sent(firm: Firm, server: list[Any]) -> None:
    row = make(firm)
    job.remind(DUE)
    within(firm, lambda: appointments.cancel(row, "customer", "customer", DUE))
    mail_job.send_due(DUE)
    assert server == []


def test_a_reminder_of_what_was_moved_meanwhile_is_sent_for_the_new_time_once(firm: Firm, server: list[Any]) -> None:
    row = make(firm)
    job.remind(DUE)
    move(firm, row, DAY)
    mail_job.send_due(DUE)
    assert server == []
    for now in (DUE + HOUR, DUE + DAY, DUE + DAY + HOUR):
        job.remind(now)
        mail_job.send_due(now)
    (mail,) = server
    assert "Mittwoch" in mail.text


def test_a_reminder_of_what_got_another_person_meanwhile_names_the_new_one(firm: Firm, server: list[Any]) -> None:
    row = make(firm)
    job.remind(DUE)
    move(firm, row, timedelta(0), staff_id=firm.colleague.id)
    mail_job.send_due(DUE)
    for now in (DUE + HOUR, DUE + 2 * HOUR):
        job.remind(now)
        mail_job.send_due(now)
    (mail,) = server
    assert firm.colleague.name in mail.text


# ---- Many, and too many -----------------------------------------------------------------------------------------


def test_more_than_one_chunk_is_worked_off(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "CHUNK", 2)
    monkeypatch.setattr(customer_mail, "MOST_TO_ONE", 100)
    for minute in range(5):
        make(firm, START + timedelta(minutes=minute // 2))  # some begin at the same moment
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 5


def test_one_that_fails_holds_up_no_other(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = make(firm), make(firm, START + HOUR)
    post = job.post

    def fails(case: Any, now: datetime) -> bool:
        if case.row.id == bad.id:
            raise RuntimeError("template")
        return post(case, now)

    monkeypatch.setattr(job, "post", fails)
    job.remind(DUE + HOUR)
    assert len(mails(firm)) == 1
    assert stored(firm, bad).reminder_sent_at is None
    assert stored(firm, good).reminder_sent_at is not None


def test_beyond_the_days_limit_reminders_wait_and_the_owner_is_told_once(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.domain.mail.utcnow", lambda: DUE)
    monkeypatch.setattr(customer_mail, "MOST_A_DAY", 2)
    rows = [make(firm, START - n * timedelta(minutes=1)) for n in range(4)]
    job.remind(DUE)
    job.remind(DUE + timedelta(minutes=2))
    assert len(mails(firm)) == 2
    assert sum(stored(firm, row).reminder_sent_at is None for row in rows) == 2
    with tenant_scope(firm.id):
        told = db.session.scalars(select(Notification).where(Notification.type == "customer_mail.limit")).all()
        assert [one.portal_user_id for one in told] == [firm.owner.id]


def test_the_look_for_due_reminders_goes_by_the_index_of_the_start(firm: Firm, engine_name: str) -> None:
    """Not by the one of Cal.com's ids, in which all others share one NULL."""
    asked: list[tuple[str, Any]] = []

    def ask(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    if engine_name == "sqlite":
        booked_at_calcom(firm)
    with tenant_scope(firm.id):
        connection = db.session.connection()
        event.listen(connection, "before_cursor_execute", ask)
        reminders.waiting(ON, DUE)
        event.remove(connection, "before_cursor_execute", ask)
        statement, parameters = next(each for each in asked if "reminder_sent_at IS NULL" in each[0])
        how = "EXPLAIN QUERY PLAN" if engine_name == "sqlite" else "EXPLAIN"
        plan = str(connection.exec_driver_sql(f"{how} {statement}", parameters).all())
    assert "idx_appointment_st" in plan
    assert "idx_calcom_booking" not in plan


def booked_at_calcom(firm: Firm) -> None:
    """So many that their index looks good to SQLite's planner, which knows averages only."""
    values = {
        "company_id": firm.id,
        "branch_id": firm.main.id,
        "customer_id": firm.customer.id,
        "status": "confirmed",
        "source": "phone",
    }
    starts = enumerate(START - 300 * DAY + n * 6 * HOUR for n in range(1300))
    rows = [values | {"start_time": at, "end_time": at + HOUR, "calcom_booking_id": n or None} for n, at in starts]
    within(firm, lambda: db.session.execute(insert(Appointment), rows))
    within(firm, lambda: db.session.execute(text("ANALYZE")))
