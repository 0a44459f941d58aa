"""What was changed here and at Cal.com meanwhile: taken together where that goes, else for a person to decide."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.db import db, transaction
from portal.domain import booking_push, booking_sync, bookings
from portal.models import Appointment, Booking, OutboxJob
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast
from tests.fake_calcom import FakeCalcom
from tests.jobs.test_calcom import LATER, LATEST, NOW, START, Desk, booked, desk, sim

__all__ = ["desk", "sim"]  # the fixtures


# ---- Both sides have changed ------------------------------------------------------------------------------------


def test_a_move_there_against_a_move_here_is_for_a_person_to_decide(desk: Desk) -> None:
    desk.move(LATER)
    desk.hear("bk_2", LATEST, previous_uid="bk_1")
    assert desk.state() == ("conflict", "confirmed", LATER)
    assert (desk.booking().starts_at, desk.told()) == (LATEST, ["calcom_sync"])
    desk.sim.put("bk_2", LATEST)
    desk.work()
    assert desk.sim.deeds() == []


def test_a_move_there_that_no_event_has_told_is_found_by_looking(desk: Desk) -> None:
    desk.sim.bookings["bk_1"] |= {"status": "cancelled", "rescheduledToUid": "bk_2"}
    desk.sim.put("bk_2", LATEST, rescheduledFromUid="bk_1")
    desk.move(LATER)
    desk.work()
    assert (desk.state(), desk.sim.deeds()) == (("conflict", "confirmed", LATER), [])
    assert (desk.booking().external_uid, desk.booking().starts_at) == ("bk_2", LATEST)
    desk.hear("bk_2", LATEST, previous_uid="bk_1")
    assert (desk.state()[0], len(desk.rows()), desk.told()) == ("conflict", 1, ["calcom_sync"])


def test_what_only_cal_com_has_changed_is_taken_over_when_a_push_finds_it(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.status("confirm")
    sim.bookings["bk_1"] |= {"status": "cancelled", "rescheduledToUid": "bk_2"}
    sim.put("bk_2", LATER, status="pending", rescheduledFromUid="bk_1")
    desk.work()
    assert (sim.deeds(), desk.state()) == (["confirm"], ("synced", "confirmed", LATER))


def test_an_event_that_waited_for_the_answer_to_our_push_finds_its_booking(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.move(LATER)
    desk.work()
    uid, known = desk.booking().external_uid, bookings.find
    seen: list[str] = []

    def not_yet(wanted: str) -> Booking | None:
        seen.append(wanted)
        return None if seen == [uid] else known(wanted)  # the first look was before our answer was committed

    monkeypatch.setattr(bookings, "find", not_yet)
    monkeypatch.setattr(bookings, "_successor", lambda uid: None)
    desk.hear(uid, LATER, previous_uid="bk_1")
    assert (desk.state(), len(desk.rows())) == (("synced", "confirmed", LATER), 1)


def test_the_same_move_on_both_sides_agrees(desk: Desk) -> None:
    desk.move(LATER)
    desk.hear("bk_2", LATER, previous_uid="bk_1")
    desk.sim.bookings["bk_1"] |= {"status": "cancelled", "rescheduledToUid": "bk_2"}
    desk.sim.put("bk_2", LATER, rescheduledFromUid="bk_1")
    desk.work()
    assert (desk.state(), desk.sim.deeds()) == (("synced", "confirmed", LATER), [])


def test_a_cancellation_there_against_a_move_here_is_for_a_person_to_decide(desk: Desk) -> None:
    desk.move(LATER)
    desk.sim.bookings["bk_1"]["status"] = "cancelled"
    desk.hear("bk_1", START, status="CANCELLED", sequence=1, by="greta.vogel@example.org")
    assert desk.state() == ("conflict", "confirmed", LATER)
    desk.do(lambda row: booking_sync.choose(row, "theirs", NOW))
    assert desk.state()[:2] == ("synced", "cancelled")
    desk.work()
    assert desk.sim.deeds() == []


def test_an_appointment_that_is_over_there_can_stand_here_alone(desk: Desk) -> None:
    desk.move(LATER)
    desk.hear("bk_1", START, status="CANCELLED", sequence=1)
    desk.do(lambda row: booking_sync.choose(row, "ours", NOW))
    assert desk.state() == ("synced", "confirmed", LATER)
    with tenant_scope(desk.firm.id):
        row = db.session.get_one(Appointment, desk.id, options=[joinedload(Appointment.staff)])
        found = booking_sync.sync_of(row)
    assert found is not None
    assert found.state == "alone"


def test_ours_is_meant_also_while_an_earlier_push_still_waits(desk: Desk) -> None:
    desk.move(LATER)
    desk.hear("bk_2", LATEST, previous_uid="bk_1")
    desk.sim.bookings["bk_1"] |= {"status": "cancelled", "rescheduledToUid": "bk_2"}
    desk.sim.put("bk_2", LATEST, rescheduledFromUid="bk_1")
    desk.do(lambda row: booking_sync.choose(row, "ours", NOW))
    with all_tenants("the test looks at the job"):
        (job,) = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == booking_push.PUSH))
    assert (job.status, job.payload["force"]) == ("pending", True)
    desk.work()
    assert (desk.state(), desk.sim.deeds()) == (("synced", "confirmed", LATER), ["reschedule"])


def test_a_cancellation_on_both_sides_agrees(desk: Desk) -> None:
    desk.cancel()
    desk.sim.bookings["bk_1"]["status"] = "cancelled"
    desk.hear("bk_1", START, status="CANCELLED", sequence=1)
    desk.work()
    assert (desk.state()[:2], desk.sim.deeds(), desk.told()) == (("synced", "cancelled"), [], [])


def test_a_move_there_against_a_cancellation_here_is_for_a_person_to_decide(desk: Desk) -> None:
    desk.cancel()
    desk.hear("bk_2", LATER, previous_uid="bk_1")
    assert desk.state()[:2] == ("conflict", "cancelled")
    desk.do(lambda row: booking_sync.choose(row, "theirs", NOW))
    assert desk.state() == ("synced", "confirmed", LATER)


def test_a_confirmation_there_does_not_stop_a_move_from_here(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.move(LATER)
    sim.bookings["bk_1"]["status"] = "accepted"
    desk.hear("bk_1", START, written_at=NOW + timedelta(minutes=1))
    desk.work()
    assert (sim.deeds(), desk.state()) == (["reschedule"], ("synced", "confirmed", LATER))


def test_a_move_there_and_a_confirmation_here_go_together(sim: FakeCalcom, cast: Cast) -> None:
    desk = booked(sim, cast.salon, "PENDING")
    desk.status("confirm")
    sim.bookings["bk_1"] |= {"status": "cancelled", "rescheduledToUid": "bk_2"}
    sim.put("bk_2", LATER, status="pending", rescheduledFromUid="bk_1")
    desk.hear("bk_2", LATER, status="PENDING", previous_uid="bk_1")
    assert desk.state() == ("pending_push", "confirmed", LATER)
    desk.work()
    assert (sim.deeds(), desk.state()) == (["confirm"], ("synced", "confirmed", LATER))


def test_a_time_that_is_taken_there_is_for_a_person_to_decide(desk: Desk) -> None:
    desk.sim.taken.add("2037-03-10T09:30:00Z")
    desk.move(LATER)
    desk.work()
    assert desk.state() == ("conflict", "confirmed", LATER)
    assert desk.booking().sync_error == "taken: User either already has booking at this time or is not available"
    assert desk.told() == ["calcom_sync"]
    desk.do(lambda row: booking_sync.choose(row, "ours", NOW))
    desk.work()
    assert desk.state() == ("synced", "confirmed", LATER)
    assert desk.sim.asked[-1][2]["allowConflicts"] is True


def test_taking_cal_coms_time_moves_the_appointment_back(desk: Desk) -> None:
    desk.sim.taken.add("2037-03-10T09:30:00Z")
    desk.move(LATER)
    desk.work()
    desk.do(lambda row: booking_sync.choose(row, "theirs", NOW))
    assert desk.state() == ("synced", "confirmed", START)
    desk.work()
    assert desk.sim.deeds() == ["reschedule"]


def test_taking_cal_coms_version_leads_back_through_every_step(desk: Desk) -> None:
    desk.status("completed")
    desk.status("no_show")
    desk.sim.fail_next(400, "No.", times=2)
    desk.work()
    desk.do(lambda row: booking_sync.choose(row, "theirs", NOW))
    assert desk.state() == (booking_push.SYNCED, "confirmed", START)


def test_an_insisted_move_stays_insisted_when_the_first_attempt_fails(desk: Desk) -> None:
    desk.sim.taken.add("2037-03-10T09:30:00Z")
    desk.move(LATER)
    desk.work()
    desk.sim.fail_next(503)
    desk.do(lambda row: booking_sync.choose(row, "ours", NOW))
    desk.work()
    desk.work(timedelta(minutes=1))
    assert desk.state() == ("synced", "confirmed", LATER)


def test_a_conflict_ends_by_itself_when_the_two_agree_again(desk: Desk) -> None:
    desk.move(LATER)
    desk.hear("bk_2", LATEST, previous_uid="bk_1")
    desk.move(LATEST)
    assert desk.state() == ("synced", "confirmed", LATEST)


def test_trying_again_starts_from_the_first_attempt(desk: Desk) -> None:
    desk.sim.fail_next(400, "responses - {notes}error_required_field")
    desk.move(LATER)
    desk.work()
    assert desk.booking().sync_status == "error"
    desk.do(lambda row: booking_sync.choose(row, "again", NOW))
    desk.work()
    assert (desk.state(), desk.booking().sync_error) == (("synced", "confirmed", LATER), None)


def test_the_other_companys_bookings_stay_theirs(desk: Desk, cast: Cast) -> None:
    with tenant_scope(cast.praxis.id):
        assert booking_push.standing(desk.id) is None
        assert transaction(lambda: booking_sync.begin(desk.id, NOW)) is None
