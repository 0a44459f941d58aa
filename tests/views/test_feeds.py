"""Calendar feeds: who reads what under a secret address, and the page where addresses are made and ended."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from portal.db import Model, db, utcnow
from portal.domain import feed_contents, feeds, identity
from portal.domain.access import token_hash
from portal.models import (
    Appointment,
    AuditLog,
    Branch,
    CalendarFeed,
    Company,
    Customer,
    PortalUser,
    PortalUserBranch,
    Staff,
)
from portal.tenancy import all_tenants, tenant_scope
from portal.views import feeds as view
from tests import factories, ics
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.queries import Queries

SOON = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
MOST_QUERIES = 7


def fetch(client: PortalClient, token: str, **headers: str) -> TestResponse:
    return client.get(f"/feeds/{token}.ics", headers={name.replace("_", "-"): value for name, value in headers.items()})


def read(client: PortalClient, token: str) -> ics.Component:
    answer = fetch(client, token)
    assert answer.status_code == 200, answer.text
    return ics.read(answer.data)


def summaries(client: PortalClient, token: str) -> list[str]:
    return [event.text("SUMMARY") for event in read(client, token).children]


def change(firm: Firm, model: type[Model], row_id: int, **values: Any) -> None:
    def work() -> None:
        db.session.execute(update(model).where(model.id == row_id).values(**values))  # type: ignore[attr-defined]

    factories.within(firm, work)


def feed_of(firm: Firm, feed_id: int) -> CalendarFeed | None:
    with tenant_scope(firm.id):
        db.session.expire_all()
        return db.session.get(CalendarFeed, feed_id)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The clock of the pages stands still, so that no midnight falls between two requests."""
    moment = utcnow()
    monkeypatch.setattr(view, "utcnow", lambda: moment)
    return moment


@pytest.fixture
def colleague_at_other(cast: Cast) -> Appointment:
    return factories.make_appointment(
        cast.salon, start=SOON, staff_id=cast.salon.colleague.id, branch_id=cast.salon.other.id
    )


# ---- What stands in a feed --------------------------------------------------------------------------------------


def test_a_feed_is_a_calendar_of_appointments_for_whoever_knows_its_address(client: PortalClient, cast: Cast) -> None:
    row = factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    answer = fetch(client, token)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    calendar = ics.read(answer.data)
    assert calendar.text("X-WR-CALNAME") == "Salon Test Mitte"
    assert calendar.text("X-WR-TIMEZONE") == "Europe/Berlin"
    (event,) = calendar.children
    assert event.text("UID") == f"appointment-{row.id}@localhost"
    assert event.text("SUMMARY") == "Sofia Klein: Aylin Demir · Damenhaarschnitt"
    assert event.text("LOCATION") == "Salon Test Mitte, Weg 1"
    assert event.text("DESCRIPTION") == "Bestätigt"
    assert event.one("URL").value == f"http://localhost/appointments/{row.id}"
    assert event.one("DTSTART").value == f"{SOON:%Y%m%dT%H%M%SZ}"


def test_an_address_does_not_depend_on_the_password_and_the_page_says_so(client: PortalClient, cast: Cast) -> None:
    owner = cast.salon.owner
    _feed, token = factories.make_feed(cast.salon, owner)
    assert "hat mit Ihrem Passwort nichts zu tun" in client.sign_in(owner).get("/calendar/feeds").text
    changed = update(PortalUser).where(PortalUser.id == owner.id).values(session_version=9)
    factories.within(cast.salon, lambda: db.session.execute(changed))
    assert fetch(client, token).status_code == 200


def test_a_feed_speaks_its_owners_language_whoever_fetches_it(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=SOON, status="cancelled")
    change(cast.salon, PortalUser, cast.salon.owner.id, language="en")
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    assert summaries(client, token) == ["Cancelled: Sofia Klein: Aylin Demir · Damenhaarschnitt"]


def test_a_cancelled_appointment_stays_as_cancelled_and_a_moved_one_keeps_its_uid(
    client: PortalClient, cast: Cast
) -> None:
    row = factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    (before,) = read(client, token).children
    desk = client.sign_in(cast.salon.owner)
    assert desk.post(f"/appointments/{row.id}/cancel", data={"reason": "krank", "version": 1}).status_code == 303
    (after,) = read(client, token).children
    assert after.text("UID") == before.text("UID")
    assert after.text("STATUS") == "CANCELLED"
    assert int(after.text("SEQUENCE")) > int(before.text("SEQUENCE"))
    assert after.text("SUMMARY") == "Abgesagt: Sofia Klein: Aylin Demir · Damenhaarschnitt"


def test_only_the_days_around_today_are_in_it(client: PortalClient, cast: Cast, now: datetime) -> None:
    for days in (-400, -32, -29, 179, 182, 400):
        factories.make_appointment(cast.salon, start=now + timedelta(days=days))
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    days = [_day(event) for event in read(client, token).children]
    assert days == [(now + timedelta(days=offset)).date() for offset in (-29, 179)]


def test_what_reaches_into_the_window_is_in_it_and_what_ended_before_is_not(
    client: PortalClient, cast: Cast, now: datetime
) -> None:
    edge = now.replace(hour=0, minute=0, second=0, microsecond=0) - feed_contents.BACK
    factories.make_appointment(cast.salon, start=edge - timedelta(hours=2), minutes=60)
    reaching = factories.make_appointment(cast.salon, start=edge - timedelta(minutes=30), minutes=60)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    uids = [event.text("UID") for event in read(client, token).children]
    assert uids == [f"appointment-{reaching.id}@localhost"]


def _day(event: ics.Component) -> Any:
    return datetime.strptime(event.one("DTSTART").value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).date()


def test_a_busy_branch_is_cut_off_at_a_number_and_keeps_what_comes_first(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_contents, "MOST_EVENTS", 2)
    for hours in (3, 1, 2):
        factories.make_appointment(cast.salon, start=SOON + timedelta(hours=hours))
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    starts = [event.one("DTSTART").value for event in read(client, token).children]
    assert starts == [f"{SOON + timedelta(hours=hours):%Y%m%dT%H%M%SZ}" for hours in (1, 2)]


def test_an_appointment_without_staff_service_or_name_has_a_title_all_the_same(
    client: PortalClient, cast: Cast
) -> None:
    nobody = factories.make_customer(cast.salon, "", "")
    factories.make_appointment(cast.salon, start=SOON, staff_id=None, service_id=None, customer_id=nobody.id)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    assert summaries(client, token) == ["Termin"]


def test_whoever_was_erased_is_not_named(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=SOON)
    change(cast.salon, Customer, cast.salon.customer.id, erased_at=utcnow())
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    assert summaries(client, token) == ["Sofia Klein: Damenhaarschnitt"]


def test_the_cost_does_not_grow_with_the_number_of_appointments(client: PortalClient, cast: Cast) -> None:
    _feed, token = factories.make_feed(cast.salon, cast.salon.staff, "user")
    factories.make_appointment(cast.salon, start=SOON)
    fetch(client, token).close()
    counts = []
    for more in (0, 12):
        for hour in range(more):
            guest = factories.make_customer(cast.salon, f"Gast {hour}")
            factories.make_appointment(cast.salon, start=SOON + timedelta(hours=hour), customer_id=guest.id)
        with Queries() as asked:
            assert len(summaries(client, token)) == 1 + more
        counts.append(len(asked))
    assert counts[0] == counts[1] <= MOST_QUERIES


# ---- Whose appointments -----------------------------------------------------------------------------------------


def test_my_appointments_are_those_of_my_own_staff_record(
    client: PortalClient, cast: Cast, colleague_at_other: Appointment
) -> None:
    factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.staff, "user")
    assert read(client, token).text("X-WR-CALNAME") == "Meine Termine"
    assert summaries(client, token) == ["Aylin Demir · Damenhaarschnitt"]


def test_a_feed_of_all_branches_follows_the_branches_of_its_owner(
    client: PortalClient, cast: Cast, colleague_at_other: Appointment
) -> None:
    factories.make_appointment(cast.salon, start=SOON)
    _mine, owners = factories.make_feed(cast.salon, cast.salon.owner, branch_id=None)
    _theirs, staffs = factories.make_feed(cast.salon, cast.salon.staff, branch_id=None)
    assert len(summaries(client, owners)) == 2
    assert len(summaries(client, staffs)) == 1
    change(cast.salon, Branch, cast.salon.other.id, is_active=False)
    assert len(summaries(client, owners)) == 1


def test_another_companys_appointments_are_never_in_it(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.praxis, start=SOON)
    mine = factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner, branch_id=None)
    client.sign_in(cast.praxis.owner)  # the address says whose feed it is, not who is signed in
    assert [event.text("UID") for event in read(client, token).children] == [f"appointment-{mine.id}@localhost"]


def test_without_the_right_to_see_customers_no_name_is_in_it(client: PortalClient, cast: Cast) -> None:
    titled = {"service_id": None, "title": "Beratung mit Aylin Demir"}
    factories.make_appointment(cast.salon, start=SOON, customer_notes="Aylin Demir mag Tee")
    factories.make_appointment(cast.salon, start=SOON + timedelta(hours=2), **titled)
    _feed, token = factories.make_feed(cast.salon, cast.salon.staff, "user")
    assert "Demir" in fetch(client, token).text
    factories.deny(cast.salon, cast.salon.staff, "view_customers")
    assert summaries(client, token) == ["Damenhaarschnitt", "Termin"]
    assert "Demir" not in fetch(client, token).text


def test_numbers_notes_and_reasons_are_never_in_it(client: PortalClient, cast: Cast) -> None:
    facts = {"customer_notes": "geheim1", "internal_notes": "geheim2", "cancellation_reason": "geheim3"}
    factories.make_appointment(cast.salon, start=SOON, status="cancelled", **facts)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    text = fetch(client, token).text
    assert "geheim" not in text
    assert "5550100" not in text


# ---- Who may no longer ------------------------------------------------------------------------------------------


def _bind(firm: Firm, user: PortalUser, branch: Branch) -> None:
    def work() -> None:
        db.session.execute(delete(PortalUserBranch).where(PortalUserBranch.portal_user_id == user.id))
        db.session.add(PortalUserBranch(company_id=firm.id, portal_user_id=user.id, branch_id=branch.id))

    factories.within(firm, work)


def _deactivate_company(firm: Firm) -> None:
    with all_tenants("the tests' company is closed"):
        change(firm, Company, firm.id, is_active=False)


ENDINGS: dict[str, tuple[str, Any]] = {
    "the person is deactivated": ("branch", lambda f: change(f, PortalUser, f.staff.id, is_active=False)),
    "the company is closed": ("branch", _deactivate_company),
    "the calendar is denied": ("branch", lambda f: factories.deny(f, f.staff, "view_calendar")),
    "the role has no calendar": ("branch", lambda f: change(f, PortalUser, f.staff.id, role="bookkeeper")),
    "bound to another branch": ("branch", lambda f: _bind(f, f.staff, f.other)),
    "the branch is closed": ("branch", lambda f: change(f, Branch, f.main.id, is_active=False)),
    "no branch is open": ("all", lambda f: change(f, Branch, f.main.id, is_active=False)),
    "the own staff record is deactivated": ("user", lambda f: change(f, Staff, f.stylist.id, is_active=False)),
    "the login has no staff record": ("user", lambda f: change(f, PortalUser, f.staff.id, staff_id=None)),
    "the staff member is deactivated": ("staff", lambda f: change(f, Staff, f.colleague.id, is_active=False)),
    "the staff member went elsewhere": ("staff", lambda f: change(f, Staff, f.colleague.id, branch_id=f.other.id)),
}


@pytest.mark.parametrize("why", ENDINGS)
def test_what_somebody_may_no_longer_see_is_gone_at_the_next_fetch(client: PortalClient, cast: Cast, why: str) -> None:
    firm, (scope, ends) = cast.salon, ENDINGS[why]
    values: dict[str, Any] = {"staff_id": firm.colleague.id} if scope == "staff" else {}
    if scope == "staff":
        change(firm, Staff, firm.colleague.id, branch_id=firm.main.id)
    if scope == "all":
        values = {"branch_id": None}
    _feed, token = factories.make_feed(firm, firm.staff, "branch" if scope == "all" else scope, **values)
    answer = fetch(client, token)
    assert answer.status_code == 200
    ends(firm)
    gone = fetch(client, token, If_None_Match=answer.headers["ETag"])
    assert (gone.status_code, gone.text) == (404, "Not Found\n")
    assert "ETag" not in gone.headers


def test_every_wrong_address_gets_the_same_answer(client: PortalClient, cast: Cast) -> None:
    feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    wrong = ["x", token[:-1], token + "x", token.upper(), token_hash(token), "ü" * 50, "x" * 2000, str(feed.id)]
    change(cast.salon, CalendarFeed, feed.id, is_active=False)
    answers = [fetch(client, one) for one in [*wrong, token]]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, "Not Found\n")}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"private, no-store"}


def test_operators_have_no_calendar_to_subscribe_to(client: PortalClient, cast: Cast) -> None:
    assert client.sign_in(cast.operator).get("/calendar/feeds").status_code == 403


# ---- What is asked again and again ------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    first = fetch(client, token)
    first.close()
    with Queries() as asked:
        again = fetch(client, token, If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert len(asked) < MOST_QUERIES
    assert first.headers["Cache-Control"] == "private, no-cache"


def test_programs_that_know_only_dates_are_understood_as_well(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    assert "Last-Modified" not in fetch(client, token).headers, "what has just changed may change within the second"
    now = utcnow() + timedelta(seconds=30)
    monkeypatch.setattr(view, "utcnow", lambda: now)
    first = fetch(client, token)
    assert fetch(client, token, If_Modified_Since=first.headers["Last-Modified"]).status_code == 304
    change(cast.salon, Appointment, row.id, updated_at=now + timedelta(seconds=5))
    assert fetch(client, token, If_Modified_Since=first.headers["Last-Modified"]).status_code == 200


def _rename(firm: Firm, row: Appointment) -> None:
    change(firm, Customer, firm.customer.id, last_name="Neumann")


CHANGES: dict[str, Any] = {
    "an appointment is edited": lambda f, row: change(f, Appointment, row.id, title="anders"),
    "an appointment is added": lambda f, row: factories.make_appointment(f, start=SOON + timedelta(hours=5)),
    "an appointment is gone": lambda f, row: factories.within(
        f, lambda: db.session.execute(delete(Appointment).where(Appointment.id == row.id))
    ),
    "it went to another branch": lambda f, row: change(f, Appointment, row.id, branch_id=f.other.id),
    "the customer is renamed": _rename,
    "the staff member is renamed": lambda f, row: change(f, Staff, f.stylist.id, display_name="Sofia K."),
    "the branch moves": lambda f, row: change(f, Branch, f.main.id, address="Weg 9"),
    "names may no longer be seen": lambda f, row: factories.deny(f, f.owner, "view_customers"),
    "the owner speaks another language": lambda f, row: change(f, PortalUser, f.owner.id, language="en"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_is_sent(client: PortalClient, cast: Cast, what: str) -> None:
    row = factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    first = fetch(client, token)
    CHANGES[what](cast.salon, row)
    again = fetch(client, token, If_None_Match=first.headers["ETag"])
    assert again.status_code == 200
    assert again.headers["ETag"] != first.headers["ETag"]


def test_the_window_moves_with_the_day(client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    first = fetch(client, token)
    tomorrow = utcnow() + timedelta(days=1)
    monkeypatch.setattr(view, "utcnow", lambda: tomorrow)
    assert fetch(client, token, If_None_Match=first.headers["ETag"]).status_code == 200


def test_head_tells_the_same_without_the_calendar(client: PortalClient, cast: Cast) -> None:
    factories.make_appointment(cast.salon, start=SOON)
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    whole, head = fetch(client, token), client.head(f"/feeds/{token}.ics")
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]
    assert client.head("/feeds/nothing.ics").status_code == 404
    assert client.post(f"/feeds/{token}.ics").status_code == 405


def test_the_last_use_is_known_to_ten_minutes_and_written_after_the_answer(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    start = utcnow()
    seen = []
    for minutes in (0, 9, 11):
        now = start + timedelta(minutes=minutes)
        monkeypatch.setattr(view, "utcnow", lambda now=now: now)
        with Queries() as asked:
            answer = fetch(client, token)
        assert not [one for one in asked if one.startswith("UPDATE")]
        answer.close()
        row = feed_of(cast.salon, feed.id)
        assert row is not None
        assert row.updated_at == feed.updated_at
        seen.append(row.last_used_at)
    assert seen == [start, start, start + timedelta(minutes=11)]


def test_of_two_programs_at_once_only_one_writes_the_last_use(cast: Cast, now: datetime) -> None:
    feed, _token = factories.make_feed(cast.salon, cast.salon.owner)
    assert factories.within(cast.salon, lambda: feeds.note_use(feed.id, now))
    assert not factories.within(cast.salon, lambda: feeds.note_use(feed.id, now))


def test_a_calendar_is_read_although_its_use_cannot_be_written(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: Any) -> bool:
        raise OperationalError("UPDATE", None, Exception("database is locked"))

    feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    monkeypatch.setattr(feeds, "note_use", locked)
    answer = fetch(client, token)
    assert answer.status_code == 200
    answer.close()
    row = feed_of(cast.salon, feed.id)
    assert row is not None
    assert row.last_used_at is None


# ---- Secrets ----------------------------------------------------------------------------------------------------


def made(client: PortalClient, what: str = "branch-all") -> tuple[str, str]:
    """Make a feed by the form: its token, and the page that shows it."""
    assert client.post("/calendar/feeds", data={"what": what}).status_code == 303
    page = client.get("/calendar/feeds").text
    found = re.search(r'id="address" value="http://localhost/feeds/([\w-]+)\.ics"', page)
    assert found, page
    return found[1], page


def test_an_address_is_shown_once_in_three_ways_and_kept_as_a_hash(client: PortalClient, cast: Cast) -> None:
    owner = client.sign_in(cast.salon.owner)
    token, page = made(owner)
    assert len(token) == 43  # 256 bits
    assert f'href="webcal://localhost/feeds/{token}.ics"' in page
    assert 'src="data:image/svg+xml' in page
    again = owner.get("/calendar/feeds").text
    assert token not in again
    assert 'id="address"' not in again
    with tenant_scope(cast.salon.id):
        feed = db.session.scalars(select(CalendarFeed)).one()
        assert feed.token_hash == token_hash(token)
        records = db.session.scalars(select(AuditLog).where(AuditLog.model_type == "calendar_feeds")).all()
        assert [record.action for record in records] == ["calendar_feed.created"]
        text = repr([(record.old_values, record.new_values) for record in records])
    assert token not in text
    assert feed.token_hash not in text
    assert fetch(client, token).status_code == 200


def test_two_addresses_are_never_alike(client: PortalClient, cast: Cast) -> None:
    owner = client.sign_in(cast.salon.owner)
    assert made(owner)[0] != made(owner)[0]


def test_logs_and_error_pages_never_hold_a_token(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _feed, token = factories.make_feed(cast.salon, cast.salon.owner)

    def broken(*_: Any) -> None:
        raise RuntimeError("on purpose")

    with capture_logs() as logs:
        answers = [fetch(client, token), fetch(client, f"{token}x"), client.get(f"/feeds/{token}")]
        monkeypatch.setattr(feed_contents, "state", broken)
        answers.append(fetch(client, token))
        answers.append(client.post(f"/feeds/{token}.ics"))
        for answer in answers:
            answer.close()
    assert [answer.status_code for answer in answers] == [200, 404, 404, 500, 405]
    assert logs
    assert token not in repr(logs)
    assert not [answer for answer in answers if token in answer.text]
    assert {answer.headers["Referrer-Policy"] for answer in answers} == {"same-origin"}


def test_a_renewed_address_lets_the_old_one_die_at_once(client: PortalClient, cast: Cast) -> None:
    staff = client.sign_in(cast.salon.staff)
    old, _page = made(staff, "me")
    with tenant_scope(cast.salon.id):
        feed_id = db.session.scalars(select(CalendarFeed.id)).one()
    fetch(client, old).close()
    assert staff.post(f"/calendar/feeds/{feed_id}/renew").status_code == 303
    assert fetch(client, old).status_code == 404
    page = staff.get("/calendar/feeds").text
    new = re.search(r"/feeds/([\w-]+)\.ics", page)
    assert new
    assert new[1] != old
    assert "noch nie benutzt" in page
    assert fetch(client, new[1]).status_code == 200


def test_a_deleted_address_is_dead(client: PortalClient, cast: Cast) -> None:
    staff = client.sign_in(cast.salon.staff)
    feed, token = factories.make_feed(cast.salon, cast.salon.staff)
    assert staff.post(f"/calendar/feeds/{feed.id}/delete").status_code == 303
    assert fetch(client, token).status_code == 404
    assert feed_of(cast.salon, feed.id) is None


# ---- The page ---------------------------------------------------------------------------------------------------


def options(client: PortalClient) -> set[str]:
    return set(re.findall(r'<option value="([\w-]+)"', client.get("/calendar/feeds").text))


def test_everybody_may_subscribe_to_what_they_may_see(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    branches = {f"branch-{firm.main.id}", f"branch-{firm.other.id}"}
    people = {f"staff-{firm.stylist.id}", f"staff-{firm.colleague.id}"}
    assert options(client.sign_in(firm.owner)) == {"branch-all"} | branches | people
    assert options(client.sign_in(firm.staff)) == {"me", f"branch-{firm.main.id}"}
    _bind(firm, firm.manager, firm.other)
    assert options(client.sign_in(firm.manager)) == {f"branch-{firm.other.id}", f"staff-{firm.colleague.id}"}
    assert client.sign_in(firm.bookkeeper).get("/calendar/feeds").status_code == 403


@pytest.mark.parametrize(
    "what", ["", "branch-0", "nonsense", "branch-other", "staff-other", "branch-foreign", "branch-all"]
)
def test_what_somebody_may_not_see_cannot_be_subscribed_to(client: PortalClient, cast: Cast, what: str) -> None:
    known = {
        "branch-other": f"branch-{cast.salon.other.id}",
        "staff-other": f"staff-{cast.salon.colleague.id}",
        "branch-foreign": f"branch-{cast.praxis.main.id}",
    }
    answer = client.sign_in(cast.salon.staff).post("/calendar/feeds", data={"what": known.get(what, what)})
    assert answer.status_code == 422
    assert 'id="what-e"' in answer.text
    with tenant_scope(cast.salon.id):
        assert db.session.scalars(select(CalendarFeed)).all() == []


def test_the_domain_refuses_what_the_form_would_let_through(cast: Cast) -> None:
    reader = identity.load(f"{cast.salon.staff.id}:{cast.salon.staff.session_version}")
    assert reader is not None
    with tenant_scope(cast.salon.id), pytest.raises(feeds.DomainError):
        feeds.create(reader, f"branch-{cast.salon.other.id}", utcnow())


def test_a_person_may_have_so_many_addresses_and_no_more(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST", 2)
    owner = client.sign_in(cast.salon.owner)
    made(owner)
    made(owner)
    answer = owner.post("/calendar/feeds", data={"what": "branch-all"})
    assert answer.status_code == 422
    assert "Sie haben 2 Adressen" in answer.text


def test_the_list_says_what_it_is_when_it_was_made_and_last_used(client: PortalClient, cast: Cast) -> None:
    firm = cast.salon
    factories.make_feed(firm, firm.owner, last_used_at=utcnow() - timedelta(minutes=5))
    factories.make_feed(firm, firm.owner, "staff", staff_id=firm.colleague.id)
    page = client.sign_in(firm.owner).get("/calendar/feeds").text
    for words in ("Salon Test Mitte", "zuletzt benutzt: vor 5", "Termine von Tim Yilmaz", "noch nie benutzt"):
        assert words in page, words
    assert "Mit den Namen Ihrer Kunden." in page
    factories.deny(firm, firm.owner, "view_customers")
    assert "Ohne die Namen von Kunden." in client.sign_in(firm.owner).get("/calendar/feeds").text


def test_a_feed_that_shows_nothing_any_more_says_so(client: PortalClient, cast: Cast) -> None:
    factories.make_feed(cast.salon, cast.salon.staff, branch_id=cast.salon.other.id)
    assert "Ihre Rechte haben sich geändert" in client.sign_in(cast.salon.staff).get("/calendar/feeds").text


def test_an_owner_sees_and_ends_every_address_of_the_company(client: PortalClient, cast: Cast) -> None:
    feed, token = factories.make_feed(cast.salon, cast.salon.staff, "user")
    foreign, _token = factories.make_feed(cast.praxis, cast.praxis.owner)
    owner = client.sign_in(cast.salon.owner)
    page = owner.get("/calendar/feeds").text
    assert "Adressen Ihres Teams" in page
    assert f'action="/calendar/feeds/{feed.id}/delete"' in page
    assert f"/calendar/feeds/{foreign.id}/" not in page
    assert owner.post(f"/calendar/feeds/{feed.id}/renew").status_code == 404, "a new address is for its owner alone"
    assert fetch(client, token).status_code == 200
    assert owner.post(f"/calendar/feeds/{feed.id}/delete").status_code == 303
    assert fetch(client, token).status_code == 404


@pytest.mark.parametrize("role", ["manager", "staff"])
def test_others_see_and_touch_only_their_own(client: PortalClient, cast: Cast, role: str) -> None:
    feed, token = factories.make_feed(cast.salon, cast.salon.owner)
    other = client.sign_in(cast.salon.users[role])
    assert f"/calendar/feeds/{feed.id}/" not in other.get("/calendar/feeds").text
    for deed in ("renew", "delete"):
        assert other.post(f"/calendar/feeds/{feed.id}/{deed}").status_code == 404
    assert fetch(client, token).status_code == 200


def test_the_page_asks_the_same_however_many_addresses_there_are(client: PortalClient, cast: Cast) -> None:
    owner = client.sign_in(cast.salon.owner)
    counts = []
    for more in (1, 6):
        for _ in range(more):
            factories.make_feed(cast.salon, cast.salon.staff, "user")
        with Queries() as asked:
            owner.get("/calendar/feeds")
        counts.append(len(asked))
    assert counts[0] == counts[1]
