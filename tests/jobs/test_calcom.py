"""Changes made here reach Cal.com: once, in the end, and without undoing what was changed there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import calcom
from portal.clients.calcom import CalcomClient
from portal.db import db, utcnow
from portal.domain import appointments, booking_push, booking_sync, bookings
from portal.domain.slots import plan_of
from portal.domain.told import Person, Told
from portal.jobs import calcom as jobs
from portal.jobs import worker
from portal.models import Appointment, Booking, Company, Notification, OutboxJob
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.fake_calcom import FakeCalcom, create_fake_calcom, session_for
from tests.fake_calcom.inprocess import LineAdapter

KEY = "cal_test_salon"
NOW = datetime(2037, 3, 1, 9, 0, tzinfo=UTC)
START = datetime(2037, 3, 9, 9, 30, tzinfo=UTC)
LATER = START + timedelta(days=1)
LATEST = START + timedelta(days=2)
GRETA = Person(name="Greta Vogel", email="greta.vogel@example.org", phone="+4915221345678")
SOFIA = Person(id=501, name="Sofia Klein", email="sofia@salon.example")


@dataclass
class Desk:
    """The salon with a key, one booking that came from Cal.com, and the simulator behind it."""

    firm: Firm
    sim: FakeCalcom
    line: LineAdapter
    id: int

    def row(self) -> Appointment:
        db.session.rollback()
        with tenant_scope(self.firm.id):
            found = db.session.get_one(Appointment, self.id, populate_existing=True)
            db.session.expunge(found)
        return found

    def rows(self) -> list[Appointment]:
        db.session.rollback()
        with tenant_scope(self.firm.id):
            return list(db.session.scalars(select(Appointment).order_by(Appointment.id)))

    def booking(self) -> Booking:
        db.session.rollback()
        with tenant_scope(self.firm.id):
            found = booking_push.standing(self.id)
            assert found is not None
            db.session.expunge(found)
        return found

    def do(self, work: Any) -> Any:
        return factories.within(self.firm, lambda: work(db.session.get_one(Appointment, self.id)))

    def move(self, start: datetime) -> None:
        self.do(lambda row: appointments.change(row, replace(plan_of(row), start=start, end=start + LENGTH)))

    def status(self, action: str) -> None:
        self.do(lambda row: appointments.set_status(row, action, NOW))

    def cancel(self, reason: str = "customer") -> None:
        self.do(lambda row: appointments.cancel(row, reason, "Katharina Owner", NOW))

    def hear(self, uid: str, start: datetime, **values: Any) -> None:
        told = event(uid, start, **values)
        take = bookings.call_off if told.status in ("CANCELLED", "REJECTED") else bookings.take_over
        factories.within(self.firm, lambda: take(told, NOW))

    def work(self, ahead: timedelta = timedelta(0)) -> None:
        worker.drain_slow(utcnow() + ahead)

    def jobs(self) -> list[OutboxJob]:
        db.session.rollback()
        with all_tenants("the test looks at the outbox"):
            return list(db.session.scalars(select(OutboxJob).where(OutboxJob.kind == booking_push.PUSH)))

    def told(self) -> list[str]:
        """The paths of the owner's notifications about this."""
        db.session.rollback()
        with tenant_scope(self.firm.id):
            found = select(Notification).where(Notification.portal_user_id == self.firm.owner.id)
            return [row.type for row in db.session.scalars(found)]

    def state(self) -> tuple[str, str, datetime]:
        return self.booking().sync_status, self.row().status, self.row().start_time


LENGTH = timedelta(minutes=45)


def event(uid: str, start: datetime, status: str = "ACCEPTED", **values: Any) -> Told:
    given: dict[str, Any] = {"organizer": SOFIA, "attendee": GRETA, "event_type_id": 4101, "written_at": NOW}
    raw = {"organizer": {"id": SOFIA.id, "email": SOFIA.email, "name": SOFIA.name}}
    return Told(uid=uid, status=status, start=start, end=start + LENGTH, raw=raw, **(given | values))


@pytest.fixture
def sim(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> FakeCalcom:
    """Cal.com with the salon's key, and the portal told where it is."""
    made = create_fake_calcom(KEY)
    session = session_for(made.app)
    made.portal = app
    made.app.extensions["line"] = session.get_adapter("https://x")
    monkeypatch.setattr(calcom, "connect", lambda key, base: CalcomClient(key, base, session=session))
    known = replace(app.extensions["settings"], calcom_api_base="https://calcom.example")
    monkeypatch.setitem(app.extensions, "settings", known)
    set_key(cast.salon, KEY)
    return made


def set_key(firm: Firm, key: str | None) -> None:
    def work() -> None:
        db.session.get_one(Company, firm.id).calcom_api_key = key

    factories.within(firm, work)


@pytest.fixture
def desk(sim: FakeCalcom, cast: Cast) -> Desk:
    return booked(sim, cast.salon)


def booked(sim: FakeCalcom, firm: Firm, status: str = "ACCEPTED") -> Desk:
    sim.put("bk_1", START, status=status.lower())
    row = factories.within(firm, lambda: bookings.take_over(event("bk_1", START, status), NOW))
    return Desk(firm, sim, sim.app.extensions["line"], row.id)


# ---- What is sent -----------------------------------------------------------------------------------------------


def test_a_move_is_sent_and_the_new_booking_joins_the_same_appointment(desk: Desk) -> None:
    desk.move(LATER)
    assert desk.state() == ("pending_push", "confirmed", LATER)
    desk.work()
    assert desk.sim.deeds() == ["reschedule"]
    (there,) = desk.sim.standing()
    assert (there["start"], desk.booking().external_uid) == ("2037-03-10T09:30:00Z", there["uid"])
    assert desk.state() == ("synced", "confirmed", LATER)
    assert (desk.row().calcom_event_id, len(desk.rows())) == (there["uid"], 1)
    assert desk.row().calcom_booking_id == there["id"]


def test_a_cancellation_is_sent_with_its_reason(desk: Desk) -> None:
    desk.cancel("Wir haben Inventur")
    desk.work()
    assert desk.sim.bookings["bk_1"]["cancellationReason"] == "Wir haben Inventur"
    assert desk.state()[:2] == ("synced", "cancelled")


def test_a_request_is_confirmed_there(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.status("confirm")
    desk.work()
    assert (sim.deeds(), sim.bookings["bk_1"]["status"]) == (["confirm"], "accepted")
    assert (desk.booking().status, desk.booking().sync_status) == ("ACCEPTED", "synced")


def test_a_request_that_is_cancelled_here_is_declined_there(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.cancel("staff")
    desk.work()
    assert (sim.deeds(), sim.bookings["bk_1"]["status"]) == (["decline"], "rejected")
    assert desk.state()[:2] == ("synced", "cancelled")


def test_a_no_show_is_marked_and_taken_back(desk: Desk) -> None:
    desk.status("no_show")
    desk.work()
    assert desk.sim.bookings["bk_1"]["attendees"][0]["absent"] is True
    desk.status("back")
    desk.work()
    assert desk.sim.bookings["bk_1"]["attendees"][0]["absent"] is False
    assert desk.sim.deeds() == ["mark-absent", "mark-absent"]


def test_a_request_that_is_moved_and_confirmed_takes_both_steps(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.status("confirm")
    desk.move(LATER)
    desk.work()
    assert sim.deeds() == ["reschedule", "confirm"]
    assert [there["status"] for there in sim.standing()] == ["accepted"]
    assert desk.state() == ("synced", "confirmed", LATER)


def test_only_the_present_state_is_sent(desk: Desk) -> None:
    desk.move(LATER)
    desk.move(LATEST)
    desk.cancel()
    assert len(desk.jobs()) == 1
    desk.work()
    assert desk.sim.deeds() == ["cancel"]


def test_a_change_that_is_taken_back_in_time_sends_nothing(desk: Desk) -> None:
    desk.move(LATER)
    desk.move(START)
    desk.work()
    assert (desk.sim.deeds(), desk.state()) == ([], ("synced", "confirmed", START))


@pytest.mark.parametrize("action", ["arrived", "completed"])
def test_what_concerns_nobody_there_is_not_sent(desk: Desk, action: str) -> None:
    desk.status(action)
    assert desk.jobs() == []


def test_without_a_key_nothing_is_queued(desk: Desk) -> None:
    set_key(desk.firm, None)
    desk.move(LATER)
    assert (desk.jobs(), desk.booking().sync_status) == ([], "synced")


def test_an_appointment_that_cal_com_does_not_know_is_not_sent(desk: Desk) -> None:
    own = factories.make_appointment(desk.firm, start=LATEST)
    factories.within(desk.firm, lambda: appointments.cancel(own, "customer", "customer", NOW))
    assert desk.jobs() == []


# ---- No ping-pong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "start", "values"),
    [
        ("bk_2", LATER, {"previous_uid": "bk_1"}),
        ("bk_1", LATER, {"written_at": NOW + timedelta(hours=1)}),
        ("bk_1", START, {"status": "CANCELLED", "sequence": 1}),
    ],
    ids=["rescheduled", "changed", "cancelled"],
)
def test_what_comes_from_cal_com_is_never_sent_back(desk: Desk, uid: str, start: datetime, values: Any) -> None:
    desk.hear(uid, start, **values)
    assert (desk.jobs(), desk.booking().sync_status) == ([], "synced")


def test_no_show_and_meeting_end_from_cal_com_are_not_sent_back(desk: Desk) -> None:
    marks = {"greta.vogel@example.org": True}
    factories.within(desk.firm, lambda: bookings.meeting_ended("bk_1", NOW))
    factories.within(desk.firm, lambda: bookings.mark_no_show("bk_1", marks, NOW, NOW))
    assert (desk.row().status, desk.jobs()) == ("no_show", [])


def test_the_echo_of_our_own_move_joins_whether_it_comes_before_our_answer_or_after(desk: Desk) -> None:
    def echo(deed: str, done: dict[str, Any]) -> None:
        desk.hear(done["uid"], LATER, previous_uid="bk_1")

    desk.sim.on_deed = echo  # the webhook is quicker than the answer
    desk.move(LATER)
    desk.work()
    uid = desk.booking().external_uid
    desk.hear(uid, LATER, previous_uid="bk_1", written_at=NOW + timedelta(seconds=1))  # and once more, later
    assert desk.state() == ("synced", "confirmed", LATER)
    assert (len(desk.rows()), desk.row().calcom_event_id) == (1, uid)
    with tenant_scope(desk.firm.id):
        statuses = {row.external_uid: row.status for row in db.session.scalars(select(Booking))}
    assert statuses == {"bk_1": "RESCHEDULED", uid: "ACCEPTED"}
    desk.work()
    assert desk.sim.deeds() == ["reschedule"]


def test_the_echo_of_a_move_that_has_been_overtaken_here_is_no_conflict(desk: Desk) -> None:
    def echo(deed: str, done: dict[str, Any]) -> None:
        desk.sim.on_deed = None
        desk.move(LATEST)
        desk.hear(done["uid"], LATER, previous_uid="bk_1")

    desk.sim.on_deed = echo
    desk.move(LATER)
    desk.work()
    desk.work()
    assert desk.sim.deeds() == ["reschedule", "reschedule"]
    assert [there["start"] for there in desk.sim.standing()] == ["2037-03-11T09:30:00Z"]
    assert (desk.state(), desk.told()) == (("synced", "confirmed", LATEST), [])


def test_the_echo_of_our_own_cancellation_changes_nothing(desk: Desk) -> None:
    desk.cancel("Wir haben Inventur")
    desk.work()
    before = desk.row().version
    with pytest.raises(bookings.Moot):
        desk.hear("bk_1", START, status="CANCELLED", sequence=1, reason="Wir haben Inventur")
    assert desk.row().version == before


# ---- When it does not work --------------------------------------------------------------------------------------


def test_a_cancellation_that_was_taken_back_under_way_is_not_brought_back_by_its_echo(desk: Desk) -> None:
    def meanwhile(deed: str, booking: dict[str, Any]) -> None:
        desk.status("back")
        desk.hear("bk_1", START, status="CANCELLED")

    desk.cancel()
    desk.sim.on_deed = meanwhile
    desk.work()
    assert desk.state() == (booking_push.CONFLICT, "confirmed", START)


def test_a_cancellation_whose_answer_was_lost_and_that_was_taken_back_is_for_a_person_to_decide(desk: Desk) -> None:
    desk.cancel()
    desk.line.cut = 1
    desk.work()
    desk.status("back")
    desk.work()
    assert desk.state() == (booking_push.CONFLICT, "confirmed", START)


def test_an_answer_that_was_lost_is_not_done_twice(desk: Desk) -> None:
    desk.line.cut = 1
    desk.move(LATER)
    desk.work()
    assert (desk.booking().sync_status, desk.booking().sync_attempts) == ("pending_push", 1)
    desk.work(timedelta(minutes=1))
    assert desk.sim.deeds() == ["reschedule"]
    assert desk.state() == ("synced", "confirmed", LATER)
    assert desk.booking().external_uid == desk.sim.standing()[0]["uid"]


def test_an_answer_that_was_lost_does_not_hold_up_what_came_after(desk: Desk) -> None:
    desk.line.cut = 1
    desk.move(LATER)
    desk.work()
    desk.move(LATEST)
    desk.work()
    assert [there["start"] for there in desk.sim.standing()] == ["2037-03-11T09:30:00Z"]
    assert (desk.state(), desk.told()) == (("synced", "confirmed", LATEST), [])


@pytest.mark.parametrize("deed", ["cancel", "no_show"])
def test_other_lost_answers_are_found_done_as_well(desk: Desk, deed: str) -> None:
    desk.line.cut = 1
    if deed == "cancel":
        desk.cancel()
    else:
        desk.status("no_show")
    desk.work()
    desk.work(timedelta(minutes=1))
    assert (len(desk.sim.deeds()), desk.booking().sync_status) == (1, "synced")


def test_a_server_that_fails_is_asked_again_later_and_later_and_then_given_up(desk: Desk) -> None:
    desk.sim.fail_next(500, times=50)
    desk.move(LATER)
    for attempt in range(booking_sync.MOST_ATTEMPTS - 1):
        desk.work(timedelta(hours=4) * attempt)
        assert desk.booking().sync_status == "pending_push"
        assert desk.told() == []
    desk.work(timedelta(days=3))
    assert (desk.booking().sync_status, desk.booking().sync_error) == ("error", "away: Not now.")
    assert desk.told() == ["calcom_sync"]
    assert booking_sync.pause(1) < booking_sync.pause(2) < booking_sync.pause(5)
    desk.work(timedelta(days=9))
    assert len(desk.sim.asked) == booking_sync.MOST_ATTEMPTS


def test_too_many_questions_wait_as_long_as_cal_com_wants(desk: Desk) -> None:
    desk.sim.fail_next(429, Retry_After="600")
    desk.move(LATER)
    desk.work()
    desk.work(timedelta(minutes=9))
    assert desk.sim.deeds() == []
    desk.work(timedelta(minutes=11))
    assert desk.state() == ("synced", "confirmed", LATER)


@pytest.mark.parametrize("nonsense", ["nan", "inf", "1e300", "-5", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_nonsense_about_when_to_come_again_stops_nothing(desk: Desk, nonsense: str) -> None:
    desk.sim.fail_next(429, "Too many requests.", Retry_After=nonsense)
    desk.move(LATER)
    desk.work()
    assert (desk.booking().sync_status, desk.booking().sync_attempts) == (booking_push.PENDING, 1)
    desk.work(timedelta(hours=3))
    assert desk.state() == (booking_push.SYNCED, "confirmed", LATER)


def test_a_new_change_does_not_wait_for_the_pause_of_the_one_before(desk: Desk) -> None:
    desk.sim.fail_next(429, Retry_After="3600")
    desk.move(LATER)
    desk.work()
    desk.move(LATEST)
    desk.work()
    assert desk.state() == ("synced", "confirmed", LATEST)


def test_a_key_that_is_refused_is_told_to_the_owner_at_once(desk: Desk) -> None:
    desk.sim.keys.clear()
    desk.move(LATER)
    desk.work()
    assert (desk.booking().sync_status, desk.booking().sync_error) == ("error", "refused: Invalid API Key")
    assert desk.told() == ["calcom_key", "calcom_sync"]
    desk.sim.keys.add(KEY)
    assert factories.within(desk.firm, booking_sync.push_all_waiting) == 1
    desk.work()
    assert desk.state() == ("synced", "confirmed", LATER)


def test_a_booking_that_is_gone_needs_no_cancelling_but_cannot_be_moved(desk: Desk) -> None:
    desk.sim.bookings.clear()
    desk.move(LATER)
    desk.work()
    assert desk.booking().sync_status == "error"
    desk.cancel()
    desk.work()
    assert desk.state()[:2] == ("synced", "cancelled")


def test_what_is_cancelled_there_between_the_look_and_the_deed_is_found_done(desk: Desk) -> None:
    asked = desk.sim.asked

    def overtaken() -> None:
        if len(asked) == 2:
            desk.sim.bookings["bk_1"]["status"] = "cancelled"

    desk.sim.app.before_request_funcs.setdefault(None, []).append(overtaken)
    desk.cancel()
    desk.work()
    assert (desk.sim.deeds(), desk.state()[:2]) == (["cancel"], ("synced", "cancelled"))


def test_two_pushes_of_one_appointment_do_not_meet(desk: Desk) -> None:
    def meanwhile(deed: str, done: dict[str, Any]) -> None:
        desk.sim.on_deed = None
        with tenant_scope(desk.firm.id):
            jobs.push({"appointment_id": desk.id})

    desk.sim.on_deed = meanwhile
    desk.move(LATER)
    desk.work()
    assert desk.sim.deeds() == ["reschedule"]
    assert len([path for method, path, _body in desk.sim.asked if method == "GET"]) == 1


def test_a_demo_key_and_a_key_on_a_developers_machine_never_go_out(
    desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(desk.firm, "demo-calcom")
    desk.move(LATER)
    desk.work()
    set_key(desk.firm, KEY)
    usual = replace(app.extensions["settings"], calcom_api_base="https://api.cal.com")
    monkeypatch.setitem(app.extensions, "settings", usual)
    desk.move(LATEST)
    desk.work()
    assert desk.sim.asked == []
