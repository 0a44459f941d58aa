"""The demo's data: what the contract names, and that all of it is consistent at whatever hour it is put in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.db import configure_encryption, db, utcnow, writing
from portal.demo import LOGINS, PASSWORD
from portal.demo.days import BACK, Visit
from portal.demo.dialogues import load, spoken_date, spoken_time, written_date
from portal.demo.firms import FIRMS, Firm
from portal.demo.records import Story
from portal.demo.rows import Rows
from portal.demo.seed import tell
from portal.domain import (
    access,
    auto_topup_page,
    auto_topup_rules,
    call_deeds,
    phones,
    stats,
    transcripts,
    verify,
    visits,
)
from portal.domain.slots import BUSY
from portal.models import (
    Appointment,
    BillingRate,
    Branch,
    CalcomEventType,
    Call,
    CallActivity,
    CallContent,
    CallFollowup,
    CallNote,
    Company,
    Customer,
    DailyCallStats,
    Notification,
    PhoneNumber,
    PipelineHeartbeat,
    PortalUser,
    PortalUserBranch,
    PrepaidBalance,
    Service,
    Staff,
)
from portal.tenancy import all_tenants, tenant_scope
from tests.conftest import TEST_SETTINGS, Databases, make_app

ZONE = ZoneInfo("Europe/Berlin")
MOMENTS = (
    "2026-11-23 05:30",  # Monday, before anybody is there
    "2026-11-24 10:20",
    "2026-11-28 13:10",  # Saturday
    "2026-10-25 12:00",  # Sunday on which clocks go back
    "2026-12-31 23:58",
)
OPEN_HOURS = ("2026-11-24 10:20", "2026-11-28 13:10")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@cache
def story(firm_number: int, at: str) -> Story:
    configure_encryption(TEST_SETTINGS.encryption_keys)
    return tell(FIRMS[firm_number], Rows(lambda model: 1), moment(at))


@pytest.fixture(
    params=[(firm, at) for at in MOMENTS for firm in (0, 1)], ids=lambda p: f"{FIRMS[p[0]].tenant_id} {p[1]}"
)
def told(request: pytest.FixtureRequest) -> Story:
    return story(*request.param)


def by_worker(visits: list[Visit]) -> Iterator[list[Visit]]:
    grouped: defaultdict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        if visit.status in BUSY:
            grouped[visit.worker].append(visit)
    yield from (sorted(group, key=lambda visit: visit.start) for group in grouped.values())


def test_nobody_has_two_visits_at_once_but_for_one_clash_in_the_coming_days(told: Story) -> None:
    clashes = [
        (one, other)
        for group in by_worker(told.calendar.visits)
        for one, other in pairwise(group)
        if one.padded.overlaps(other.padded)
    ]
    assert len(clashes) == 1
    assert timedelta(hours=12) < clashes[0][0].start - told.now < timedelta(days=5)


def test_visits_lie_within_working_hours(told: Story) -> None:
    for visit in told.calendar.visits:
        day = visit.start.astimezone(ZONE).date()
        spans = told.calendar.worked(visit.worker, day)
        assert any(span.start <= visit.start and visit.end <= span.end for span in spans), visit


def test_it_reaches_ninety_days_back_and_thirty_ahead_and_the_last_call_was_just_now(told: Story) -> None:
    today = told.now.astimezone(ZONE).date()
    days = [visit.start.astimezone(ZONE).date() for visit in told.calendar.visits]
    assert -93 <= (min(days) - today).days <= -85
    assert 25 <= (max(days) - today).days <= 30
    ends = [ring.ended for ring in told.rings]
    assert told.now - timedelta(minutes=10) < max(ends) < told.now
    assert (min(ends).astimezone(ZONE).date() - today).days >= -BACK


def test_it_is_as_busy_as_promised(told: Story) -> None:
    weekdays = Counter(ring.at.astimezone(ZONE).date() for ring in told.rings if ring.at.astimezone(ZONE).weekday() < 5)
    usual = sum(weekdays.values()) / len(weekdays)
    wanted = sum(told.firm.calls[day] for day in range(1, 6)) / 5
    assert wanted - 1.5 < usual < wanted + 1.5
    assert told.firm.customers <= len(told.people) <= told.firm.customers + 120


@pytest.mark.parametrize("at", OPEN_HOURS)
def test_at_any_hour_of_opening_somebody_was_here_today_and_somebody_comes(at: str) -> None:
    now = moment(at)
    today = [v for v in story(0, at).calendar.visits if v.start.astimezone(ZONE).date() == now.astimezone(ZONE).date()]
    assert any(visit.status == "completed" for visit in today)
    assert any(visit.status == "confirmed" and visit.start > now for visit in today)


def test_out_of_hours_the_next_ones_come_on_the_next_day_of_work() -> None:
    told = story(0, "2026-12-31 23:58")
    coming = [visit.start for visit in told.calendar.visits if visit.start > told.now and visit.status in BUSY]
    assert min(coming) - told.now < timedelta(days=4)


def test_what_happened_to_a_visit_happened_in_order(told: Story) -> None:
    for visit in told.calendar.visits:
        assert visit.created_at <= told.now
        assert visit.source == "walk_in" or visit.created_at < visit.start
        for later in (visit.moved_at, visit.cancelled_at):
            assert later is None or visit.created_at < later <= told.now, visit
        assert (visit.status == "cancelled") == (visit.cancelled_at is not None)
        assert visit.arrived_at is None or visit.arrived_at <= told.now
        if visit.status in {"completed", "no_show"}:
            assert visit.end < told.now


def test_a_call_that_books_comes_before_its_visit_and_from_its_customer(told: Story) -> None:
    booked = [ring for ring in told.rings if ring.booked]
    assert len(booked) > 90
    assert len({id(ring.visit) for ring in booked}) == len(booked)
    for ring in booked:
        assert ring.visit is not None
        assert ring.ended < ring.visit.start
        assert ring.visit.person == ring.person
        assert ring.visit.source == "phone"


def test_every_kind_of_call_is_there(told: Story) -> None:
    statuses = Counter(ring.status for ring in told.rings)
    assert {"completed", "no_answer", "busy"} <= set(statuses)
    moods = Counter(ring.dialogue.sentiment for ring in told.rings if ring.dialogue)
    assert min(moods[mood] for mood in ("positive", "neutral", "negative")) >= 4
    assert any(ring.number is None for ring in told.rings)
    assert any(ring.number and not ring.number.startswith("+49") for ring in told.rings)
    assert any(ring.direction == "outbound" for ring in told.rings)
    reasons = Counter(duty.reason for ring in told.rings for duty in ring.duties)
    assert {"callback", "complaint", "promise"} <= set(reasons)


def test_every_dialogue_is_played_and_no_placeholder_is_left(told: Story) -> None:
    played = {ring.dialogue.id for ring in told.rings if ring.dialogue}
    mine = {one.id for one in load() if one.business == told.firm.business}
    # A few may have found no free time in the days that they ask for.
    assert len(mine - played) <= 2
    for ring in told.rings:
        said = [ring.transcript.text if ring.transcript else ""]
        said += [ring.dialogue.summary, json.dumps(ring.dialogue.custom)] if ring.dialogue else []
        assert not any("{date" in text or "_name}" in text or "{st" in text or "{ser" in text for text in said)


def test_word_times_fill_the_call(told: Story) -> None:
    for ring in told.rings:
        if ring.transcript is None:
            continue
        times = [moment for turn in ring.transcript.turns for word in turn["words"] for moment in word[1:]]
        assert times == sorted(times)
        assert ring.end_reason == "user_hangup" or times[-1] <= ring.seconds


def test_families_share_a_line(told: Story) -> None:
    lines: defaultdict[int, set[str | None]] = defaultdict(set)
    for person in told.people:
        if person.family is not None:
            lines[person.family].add(person.phone)
    assert len(lines) >= 5
    assert all(len(numbers) == 1 for numbers in lines.values())
    assert all(person.phone is None or phones.normalise(person.phone) == person.phone for person in told.people)


def test_the_ledger_ends_where_it_shall(told: Story) -> None:
    movements = list(told.account.movements())
    assert movements[-1].after == told.firm.balance
    assert movements[0].after == movements[0].amount > 0
    for before, after in pairwise(movements):
        assert after.after == before.after + after.amount
        assert after.at > before.at
    assert min(movement.after for movement in movements) > 0
    assert {movement.kind for movement in movements} == {"credit", "charge", "topup"}


def test_the_same_moment_tells_the_same_story() -> None:
    configure_encryption(TEST_SETTINGS.encryption_keys)
    at, rows = moment(MOMENTS[1]), [Rows(lambda model: 1) for _ in range(2)]
    for one in rows:
        tell(FIRMS[1], one, at)
    for model in (Call, Appointment, Customer, CallFollowup):
        assert rows[0].by_model[model] == rows[1].by_model[model]


@pytest.mark.parametrize(
    ("day", "german", "english"),
    [
        (date(2026, 11, 24), "Dienstag, den vierundzwanzigsten November", "Tuesday, the twenty-fourth of November"),
        (date(2026, 3, 1), "Sonntag, den ersten März", "Sunday, the first of March"),
        (date(2026, 12, 17), "Donnerstag, den siebzehnten Dezember", "Thursday, the seventeenth of December"),
    ],
)
def test_dates_are_spoken(day: date, german: str, english: str) -> None:
    assert (spoken_date(day), spoken_date(day, "en")) == (german, english)


def test_summaries_write_their_days_in_figures() -> None:
    assert written_date(date(2026, 3, 1)) == "Sonntag, den 1. März"
    told = story(0, MOMENTS[1])
    summaries = [ring.dialogue.summary for ring in told.rings if ring.dialogue and ring.booked]
    assert summaries
    assert all(word not in summary for summary in summaries for word in ("zigsten", "zehnten", "ersten November"))


def test_times_are_spoken() -> None:
    at = datetime(2026, 11, 24, 13, 45, tzinfo=ZONE)
    assert spoken_time(at.time()) == "dreizehn Uhr fünfundvierzig"
    assert spoken_time(at.time(), "en") == "one forty-five"
    assert spoken_time(at.replace(hour=9, minute=0).time(), "en") == "nine o'clock"


# ---- In the database ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeded(databases: Databases) -> Iterator[Flask]:
    """A database of its own with the demo in it."""
    app = make_app(databases.create())
    with app.app_context():
        done = app.test_cli_runner().invoke(args=["demo", "seed"])
        assert done.exit_code == 0, done.output
        assert "Written: Salon Morgenrot, Praxis Lindner" in done.output
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def everybody(seeded: Flask) -> Iterator[Flask]:
    with all_tenants("tests look at the whole demo"):
        db.session.rollback()
        yield seeded
        db.session.rollback()


def company_of(firm: Firm) -> Company:
    return db.session.scalars(select(Company).where(Company.tenant_id == firm.tenant_id)).one()


def test_the_contract_names_are_there(everybody: Flask) -> None:
    salon, practice = (company_of(firm) for firm in FIRMS)
    assert (salon.name, practice.name) == ("Salon Morgenrot", "Praxis Lindner")
    for company in (salon, practice):
        assert company.retell_api_key == f"demo-retell-{company.tenant_id}"
        assert company.calcom_webhook_secret == f"demo-calcom-{company.tenant_id}"
    branches = select(Branch.name).order_by(Branch.id)
    assert list(db.session.scalars(branches.where(Branch.company_id == salon.id))) == [
        "Berlin-Mitte",
        "Potsdam",
        "Hamburg",
    ]
    assert list(db.session.scalars(branches.where(Branch.company_id == practice.id))) == ["Leipzig", "Halle"]
    assert set(db.session.scalars(select(Branch.name).where(Branch.is_primary))) == {"Berlin-Mitte", "Leipzig"}
    for number, agent in (("+493022334455", "agent_4c1f0b7d2a9e"), ("+4934155667788", "agent_9e2a7c4d1b0f")):
        row = db.session.scalars(select(PhoneNumber).where(PhoneNumber.number_e164 == number)).one()
        assert row.retell_agent_id == agent
    assert (salon.retell_agent_id, practice.retell_agent_id) == ("agent_4c1f0b7d2a9e", "agent_9e2a7c4d1b0f")


@pytest.mark.parametrize(("company", "offered"), [("salon-morgenrot", False), ("praxis-lindner", True)])
def test_automatic_topups_are_prepared_or_suggested_and_off(everybody: Flask, company: str, offered: bool) -> None:
    company_id = db.session.scalars(select(Company.id).where(Company.tenant_id == company)).one()
    with tenant_scope(company_id):
        found = auto_topup_page.page(utcnow())
        auto_topup_rules.check(found.offered)
    assert (found.suggested, found.state, found.at.card, found.at.consent) == (offered, "off", None, None)


def test_the_logins_work(everybody: Flask) -> None:
    users = {user.email: user for user in db.session.scalars(select(PortalUser))}
    assert set(users) == {login for logins in LOGINS.values() for login, _ in logins}
    for user in users.values():
        assert user.is_active
    for email in ("owner@salon-morgenrot.example", "staff@praxis-lindner.example", "operator@empfang.example"):
        assert access.verify(users[email].password_hash, PASSWORD)
    roles = {login: role for logins in LOGINS.values() for login, role in logins}
    words = {"branch manager": "manager", "branch staff": "staff"}
    assert {email: user.role for email, user in users.items()} == {
        login: words.get(role, role) for login, role in roles.items()
    }


def test_event_types_staff_and_price_are_the_contracts(everybody: Flask) -> None:
    salon = company_of(FIRMS[0])
    types = db.session.execute(
        select(
            CalcomEventType.calcom_event_type_id, CalcomEventType.name, CalcomEventType.duration_minutes, Branch.name
        )
        .join(Branch, Branch.id == CalcomEventType.branch_id)
        .join(Service, Service.id == CalcomEventType.service_id)
        .where(CalcomEventType.company_id == salon.id, CalcomEventType.calcom_event_type_id.between(4101, 4103))
        .order_by(CalcomEventType.calcom_event_type_id)
    ).all()
    assert [tuple(row) for row in types] == [
        (4101, "Damenhaarschnitt", 45, "Berlin-Mitte"),
        (4102, "Herrenhaarschnitt", 30, "Berlin-Mitte"),
        (4103, "Farbberatung", 30, "Berlin-Mitte"),
    ]
    names = dict(
        db.session.execute(select(Staff.calcom_user_id, Staff.display_name).where(Staff.company_id == salon.id)).all()
    )
    assert (names[501], names[502]) == ("Sofia Klein", "Tim Yilmaz")
    for rate in db.session.scalars(select(BillingRate)):
        assert (rate.rate_per_minute, rate.increment_seconds, rate.valid_until) == (Decimal("0.42"), 1, None)
        assert rate.minimum_charge == rate.setup_fee == 0


@pytest.mark.parametrize("firm", FIRMS, ids=lambda firm: firm.tenant_id)
def test_every_cent_is_where_it_should_be(everybody: Flask, firm: Firm) -> None:
    with tenant_scope(company_of(firm).id):
        assert verify.company() == []
        balance = db.session.scalars(select(PrepaidBalance)).one()
        assert (balance.available_balance, balance.reserved_balance) == (firm.balance, 0)


def test_the_salon_starts_with_a_hundred_and_fifty_euros() -> None:
    assert FIRMS[0].balance == Decimal("150.00")


@pytest.mark.parametrize("firm", FIRMS, ids=lambda firm: firm.tenant_id)
def test_customers_statistics_are_those_of_their_appointments(everybody: Flask, firm: Firm) -> None:
    columns = (
        "total_appointments", "completed_appointments", "cancelled_appointments", "no_show_appointments",
        "total_spent", "first_appointment_date", "last_appointment_date",
    )  # fmt: skip
    with tenant_scope(company_of(firm).id):
        people = Random(1).sample(list(db.session.scalars(select(Customer))), 60)
        before = {person.id: [getattr(person, name) for name in columns] for person in people}
        with writing():
            visits.refresh(*before)
        after = {person.id: [getattr(person, name) for name in columns] for person in people}
        db.session.rollback()
    assert after == before


@pytest.mark.parametrize("firm", FIRMS, ids=lambda firm: firm.tenant_id)
def test_daily_figures_are_those_of_the_calls(everybody: Flask, firm: Firm) -> None:
    with tenant_scope(company_of(firm).id):
        days = sorted(db.session.scalars(select(DailyCallStats.day).distinct()))
        calls = list(db.session.scalars(select(Call.started_at).order_by(Call.started_at)))
        first, last = (at.astimezone(ZONE).date() for at in (calls[0], calls[-1]))
        assert days == [first + timedelta(days=n) for n in range((last - first).days + 1)]
        assert len(days) >= 90
        for day in Random(1).sample(days, 8):
            kept = stats.days(day, day)[0].figures
            assert kept == stats.figures_between(*stats.day_limits(day, "Europe/Berlin"))


def test_call_and_appointment_point_at_each_other(everybody: Flask) -> None:
    made = select(Call.id, Call.appointment_id).where(Call.appointment_created)
    tied = select(Appointment.call_id, Appointment.id).where(Appointment.call_id.is_not(None))
    assert set(db.session.execute(made).all()) == set(db.session.execute(tied).all())
    assert db.session.scalar(select(func.count()).select_from(made.subquery())) > 250


def test_nothing_points_outside(everybody: Flask, engine_name: str) -> None:
    if engine_name == "sqlite":  # MariaDB has checked every row as it came
        assert db.session.execute(text("PRAGMA foreign_key_check")).all() == []


def test_the_pipeline_was_heard_just_now_and_there_is_something_to_do(everybody: Flask) -> None:
    for firm in FIRMS:
        with tenant_scope(company_of(firm).id):
            beats = {beat.provider: beat for beat in db.session.scalars(select(PipelineHeartbeat))}
            assert datetime.now(UTC) - (beats["retell"].last_event_at or datetime.min.replace(tzinfo=UTC)) < timedelta(
                minutes=30
            )
            assert "calcom" in beats
            waiting = select(func.count(CallFollowup.id)).where(CallFollowup.status == "open")
            assert 1 <= (db.session.scalar(waiting) or 0) <= 25


def test_the_pages_of_calls_show_what_people_did_there(everybody: Flask) -> None:
    for firm in FIRMS:
        with tenant_scope(company_of(firm).id):
            lines = select(CallActivity).where(CallActivity.activity_type.in_((call_deeds.MOOD, call_deeds.SENT)))
            done = {line.activity_type: line for line in db.session.scalars(lines)}
            mood, sent = done[call_deeds.MOOD], done[call_deeds.SENT]
            call = db.session.get_one(Call, mood.call_id)
            assert (mood.activity_data or {})["after"] == call.sentiment
            assert max(mood.occurred_at, sent.occurred_at) <= utcnow()
            people = set(db.session.scalars(select(PortalUser.name)))
            assert {(mood.activity_data or {})["by"], (sent.activity_data or {})["to"]} <= people
            noted = select(CallNote.call_id).group_by(CallNote.call_id).having(func.count() > 1)
            assert db.session.scalars(noted).all()
            assert all(note.created_at <= utcnow() for note in db.session.scalars(select(CallNote)))


def test_nobody_is_given_or_told_of_a_call_of_a_branch_that_they_do_not_see(everybody: Flask) -> None:
    for firm in FIRMS:
        with tenant_scope(company_of(firm).id):
            bound = defaultdict(set)
            for link in db.session.scalars(select(PortalUserBranch)):
                bound[link.portal_user_id].add(link.branch_id)
            at = dict(db.session.execute(select(Call.id, Call.branch_id)).all())
            told = select(Notification.portal_user_id, Notification.action_url).where(Notification.category == "call")
            calls = [(user, int((url or "").removeprefix("/calls/"))) for user, url in db.session.execute(told)]
            given = select(CallFollowup.assigned_to, CallFollowup.call_id).where(CallFollowup.assigned_to.is_not(None))
            calls += [(user or 0, call) for user, call in db.session.execute(given)]
            assert calls
            assert [(user, call) for user, call in calls if bound[user] and at[call] not in bound[user]] == []


def test_what_was_said_can_be_shown(everybody: Flask) -> None:
    contents = db.session.scalars(select(CallContent).order_by(CallContent.call_id).limit(200)).all()
    for content in contents:
        shown = transcripts.lines(content.turns or [], content.tool_calls or [], "de", ZONE)
        assert len(shown) == len(content.turns or []) + len(content.tool_calls or [])
        assert content.tenant_token == transcripts.tenant_token(content.company_id)


def test_a_second_run_changes_nothing_and_says_so(everybody: Flask) -> None:
    def counts() -> dict[str, int]:
        return {
            table.name: db.session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in db.metadata.sorted_tables
        }

    before = counts()
    db.session.rollback()
    done = everybody.test_cli_runner().invoke(args=["demo", "seed"])
    assert done.exit_code == 0
    assert "nothing was changed" in done.output
    assert counts() == before


def test_it_refuses_in_production(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], portal_env="production"))
    done = app.test_cli_runner().invoke(args=["demo", "seed"])
    assert done.exit_code == 1
    assert "production" in done.output
    with all_tenants("nothing must have come"):
        assert db.session.scalar(select(Company.id).where(Company.tenant_id == "salon-morgenrot")) is None
