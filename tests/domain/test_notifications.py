"""Who is told what, once, in which language and by which way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update

from portal.db import db, transaction
from portal.domain import notifications
from portal.jobs import notifications as job
from portal.jobs import worker
from portal.models import EmailOutbox, Notification, OutboxJob, PortalUser, PortalUserPermission
from portal.permissions import Permission
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within
from tests.races.processes import at_once

NOW = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)


def notify(firm: Firm, to: Any = Permission.VIEW_CALLS, **values: Any) -> int:
    values = {"type": "call.complaint", "category": "call", "title": "Beschwerde"} | values
    return within(firm, lambda: notifications.notify(to, **values))


def rows(firm: Firm) -> list[Notification]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(Notification).order_by(Notification.portal_user_id, Notification.id)))


def readers(firm: Firm) -> set[int]:
    return {row.portal_user_id for row in rows(firm)}


def mail_jobs(firm: Firm) -> list[dict[str, Any]]:
    with tenant_scope(firm.id):
        query = select(OutboxJob.payload).where(OutboxJob.kind == notifications.MAIL).order_by(OutboxJob.id)
        return list(db.session.scalars(query))


def mails() -> list[EmailOutbox]:
    with all_tenants("the test reads the outbox"):
        return list(db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id)))


# ---- Who --------------------------------------------------------------------------------------------------


def test_everybody_with_the_permission_is_told_and_nobody_else(cast: Cast) -> None:
    firm = cast.salon
    assert notify(firm, Permission.VIEW_CALLS) == 3
    assert readers(firm) == {firm.owner.id, firm.manager.id, firm.staff.id}
    assert rows(cast.praxis) == []


def test_grants_and_denials_of_one_person_count(cast: Cast) -> None:
    firm = cast.salon
    for user, granted in ((firm.manager, True), (firm.owner, False)):
        factories.save(
            firm,
            PortalUserPermission(
                company_id=firm.id, portal_user_id=user.id, permission="view_balance", granted=granted
            ),
        )
    notify(firm, Permission.VIEW_BALANCE, category="billing")
    assert readers(firm) == {firm.manager.id, firm.bookkeeper.id}


def test_people_who_have_left_hear_nothing(cast: Cast) -> None:
    firm = cast.salon
    gone = update(PortalUser).where(PortalUser.id == firm.owner.id).values(is_active=False)
    within(firm, lambda: db.session.execute(gone))
    notify(firm)
    assert firm.owner.id not in readers(firm)


def test_what_concerns_one_branch_goes_to_those_who_see_it(cast: Cast) -> None:
    firm = cast.salon  # staff is bound to the main branch, all others see both
    notify(firm, branch_id=firm.other.id)
    assert readers(firm) == {firm.owner.id, firm.manager.id}


def test_named_people_are_told_but_never_those_of_another_company(cast: Cast) -> None:
    assert notify(cast.salon, [cast.salon.staff.id, cast.praxis.owner.id]) == 1
    assert readers(cast.salon) == {cast.salon.staff.id}
    assert rows(cast.praxis) == []


# ---- What -------------------------------------------------------------------------------------------------


def test_each_reads_it_in_their_own_language(cast: Cast) -> None:
    firm = cast.salon
    english = update(PortalUser).where(PortalUser.id == firm.owner.id).values(language="en")
    within(firm, lambda: db.session.execute(english))
    notify(firm, title=_l("Sign in"), body=_l("Balance"))
    by_reader = {row.portal_user_id: row for row in rows(firm)}
    assert by_reader[firm.owner.id].body == "Balance"
    assert by_reader[firm.manager.id].body == "Guthaben"


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "calls/1", "", "/a\nb"]
)
def test_it_leads_to_a_page_of_ours_only(cast: Cast, url: str) -> None:
    with pytest.raises(ValueError, match="not a path of ours"):
        notify(cast.salon, action_url=url)
    assert rows(cast.salon) == []


def test_the_same_key_reaches_a_person_once_and_another_company_as_well(cast: Cast) -> None:
    assert notify(cast.salon, dedupe_key="k") == 3
    assert notify(cast.salon, dedupe_key="k") == 0
    assert notify(cast.praxis, dedupe_key="k") == 3
    assert (len(rows(cast.salon)), len(rows(cast.praxis))) == (3, 3)


def test_without_a_key_it_comes_each_time(cast: Cast) -> None:
    notify(cast.salon)
    notify(cast.salon)
    assert len(rows(cast.salon)) == 6


def test_a_title_that_is_too_long_is_cut_and_breaks_nothing(cast: Cast) -> None:
    notify(cast.salon, title="ä" * 400)
    assert {len(row.title) for row in rows(cast.salon)} == {255}


# ---- How --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "bell", "mail"), [(["bell"], 1, 0), (["mail"], 0, 1), (["bell", "mail"], 1, 1), ([], 0, 0)]
)
def test_everybody_chooses_the_way(cast: Cast, wanted: list[str], bell: int, mail: int) -> None:
    firm = cast.salon
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"call": wanted}))
    for _ in range(2):
        notify(firm, [firm.owner.id], dedupe_key="k")
    assert (len(rows(firm)), len(mail_jobs(firm))) == (bell, mail)
    worker.drain_outbox(datetime.now(UTC) + timedelta(hours=1))
    notify(firm, [firm.owner.id], dedupe_key="k")
    worker.drain_outbox(datetime.now(UTC) + timedelta(hours=2))
    assert len(mails()) == mail


def test_without_a_choice_money_comes_by_mail_and_calls_by_bell_alone(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        found = notifications.choices(cast.salon.owner.id)
    assert found["billing"] == {"bell", "mail"}
    assert found["call"] == {"bell"}


def test_a_choice_is_changed_category_by_category(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"call": ["mail"]}))
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"billing": ["bell", "pigeon"]}))
    with tenant_scope(firm.id):
        found = notifications.choices(firm.owner.id)
        assert notifications.choices(firm.manager.id)["call"] == {"bell"}
    assert (found["call"], found["billing"]) == ({"mail"}, {"bell"})
    assert set(found) == set(notifications.CATEGORIES)


def test_the_mail_greets_its_reader_and_leads_to_the_page(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"call": ["mail"]}))
    notify(
        firm,
        [firm.owner.id],
        body="Möchte Sie sprechen.",
        action_url="/calls/17",
        action="Anruf öffnen",
        details=[("Wer", "Aylin <b>Demir</b>"), ("Wann", "09:56")],
    )
    worker.drain_outbox(datetime.now(UTC) + timedelta(hours=1))
    (mail,) = mails()
    assert (mail.recipient, mail.subject) == (firm.owner.email, "Beschwerde")
    for words in (firm.owner.name, "Möchte Sie sprechen.", "Wer: Aylin <b>Demir</b>\nWann: 09:56"):
        assert words in mail.text_body
    assert "Anruf öffnen: http://localhost/calls/17" in mail.text_body
    assert mail.html_body is not None
    assert 'href="http://localhost/calls/17"' in mail.html_body
    assert "Aylin &lt;b&gt;Demir&lt;/b&gt;" in mail.html_body


def test_who_leaves_before_the_mail_is_written_gets_none(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"call": ["mail"]}))
    notify(firm, [firm.owner.id])
    (payload,) = mail_jobs(firm)
    gone = update(PortalUser).where(PortalUser.id == firm.owner.id).values(is_active=False)
    within(firm, lambda: db.session.execute(gone))
    with tenant_scope(firm.id):
        job.write(payload)
    assert mails() == []


# ---- Reading ----------------------------------------------------------------------------------------------


def many(firm: Firm, count: int, user: PortalUser | None = None) -> list[int]:
    """Ids, oldest first; two of each moment, so that the time alone is no order."""
    reader = user or firm.owner

    def work() -> list[int]:
        made = [
            Notification(
                company_id=firm.id,
                portal_user_id=reader.id,
                type="x",
                category="call",
                title=f"Nummer {number}",
                created_at=NOW + timedelta(minutes=number // 2),
            )
            for number in range(count)
        ]
        db.session.add_all(made)
        db.session.flush()
        return [row.id for row in made]

    return within(firm, work)


def read_page(firm: Firm, **place: int) -> notifications.Page:
    with tenant_scope(firm.id):
        return notifications.page(firm.owner.id, NOW, **place)


def test_pages_go_through_everything_once_in_both_directions(cast: Cast) -> None:
    ids = many(cast.salon, 75)
    many(cast.salon, 3, cast.salon.manager)
    first = read_page(cast.salon)
    assert first.newer is None
    assert first.older is not None
    second = read_page(cast.salon, before=first.older)
    assert second.older is not None
    third = read_page(cast.salon, before=second.older)
    assert third.older is None
    seen = [row.id for page in (first, second, third) for row in page.rows]
    assert seen == ids[::-1]
    assert third.newer is not None
    back = read_page(cast.salon, after=third.newer)
    assert [row.id for row in back.rows] == [row.id for row in second.rows]
    assert back.newer is not None
    assert read_page(cast.salon, after=back.newer).newer is None


def test_the_bell_counts_the_unread_and_shows_the_newest_five(cast: Cast) -> None:
    ids = many(cast.salon, 7)
    with tenant_scope(cast.salon.id):
        bell = notifications.bell(cast.salon.owner.id, NOW)
        assert notifications.bell(cast.salon.manager.id, NOW) == notifications.Bell(0, [])
    assert bell.unread == 7
    assert [row.id for row in bell.latest] == ids[:1:-1]


def test_the_bell_stops_counting_at_a_hundred(cast: Cast) -> None:
    many(cast.salon, 130)
    with tenant_scope(cast.salon.id):
        assert notifications.unread_count(cast.salon.owner.id, NOW) == 100


def test_the_version_changes_with_what_is_new_and_with_what_is_read(cast: Cast) -> None:
    firm = cast.salon

    def version() -> str:
        with tenant_scope(firm.id):
            return notifications.bell(firm.owner.id, NOW).version

    seen = [version()]
    first, *_rest = many(firm, 2)
    seen.append(version())
    within(firm, lambda: notifications.open_one(firm.owner.id, first, NOW))
    seen.append(version())
    many(firm, 1)
    seen.append(version())
    within(firm, lambda: notifications.mark_all_read(firm.owner.id, NOW))
    seen.append(version())
    assert len(set(seen)) == len(seen)


def test_opening_marks_one_and_only_ones_own(cast: Cast) -> None:
    firm = cast.salon
    mine, other = many(firm, 1)[0], many(firm, 1, firm.manager)[0]
    assert within(firm, lambda: notifications.open_one(firm.owner.id, mine, NOW)) == ""
    assert within(firm, lambda: notifications.open_one(firm.owner.id, other, NOW)) is None
    assert within(cast.praxis, lambda: notifications.open_one(firm.owner.id, mine, NOW)) is None
    read = {row.id: row.read_at for row in rows(firm)}
    assert (read[mine], read[other]) == (NOW, None)


def test_a_stored_address_that_leads_elsewhere_is_not_followed(cast: Cast) -> None:
    """The database refuses ``//``; browsers read a backslash as the same."""
    one = many(cast.salon, 1)[0]
    within(cast.salon, lambda: db.session.execute(update(Notification).values(action_url="/\\evil.example")))
    assert within(cast.salon, lambda: notifications.open_one(cast.salon.owner.id, one, NOW)) == ""


def test_opening_again_keeps_the_first_time(cast: Cast) -> None:
    mine = many(cast.salon, 1)[0]
    for minute in (0, 5):
        at = NOW + timedelta(minutes=minute)
        within(cast.salon, lambda: notifications.open_one(cast.salon.owner.id, mine, at))  # noqa: B023  run at once
    assert rows(cast.salon)[0].read_at == NOW


def test_marking_all_leaves_other_people_alone(cast: Cast) -> None:
    firm = cast.salon
    many(firm, 3)
    many(firm, 2, firm.manager)
    assert within(firm, lambda: notifications.mark_all_read(firm.owner.id, NOW)) == 3
    assert [row.read_at is None for row in rows(firm)] == [False] * 3 + [True] * 2


def test_what_has_expired_is_gone(cast: Cast) -> None:
    firm = cast.salon
    notify(firm, [firm.owner.id], expires_at=NOW)
    with tenant_scope(firm.id):
        assert notifications.bell(firm.owner.id, NOW - timedelta(seconds=1)).unread == 1
        assert notifications.bell(firm.owner.id, NOW).unread == 0
        assert notifications.page(firm.owner.id, NOW).rows == []


# ---- Many at once -----------------------------------------------------------------------------------------


def notify_now(app: Flask, company_id: int, owner_id: int) -> int:
    def work() -> int:
        with tenant_scope(company_id):
            return notifications.notify([owner_id], "x", "billing", "Guthaben", dedupe_key="once")

    return transaction(work)


@pytest.mark.slow
def test_of_several_processes_that_tell_the_same_one_does(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    task = (notify_now, (firm.id, firm.owner.id))
    assert sum(at_once(app.config["SQLALCHEMY_DATABASE_URI"], [task] * 6)) == 1
    assert len(rows(firm)) == 1
    assert len(mail_jobs(firm)) == 1
