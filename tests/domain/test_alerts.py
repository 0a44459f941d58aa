"""People hear once that money runs out: neither never nor again and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import func, select, update

from portal.db import db, transaction
from portal.domain import alerts, ledger, limit_rules, limits, notifications, reach
from portal.domain.alerts import GRACE_USED_UP, LOW, USED_UP, Level
from portal.domain.limit_rules import Wish
from portal.jobs import alerts as job
from portal.jobs import worker
from portal.models import Call, Company, DailySpend, EmailOutbox, Notification, OutboxJob, PortalUser, PrepaidBalance
from portal.tenancy import all_tenants, tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.factories import within
from tests.races.processes import at_once

NOW = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TAKES_MESSAGES = ["The receptionist only takes messages.", "You find them among the callbacks."]
AGAIN, OR_RAISED = "It works as usual again from", "or as soon as you raise the limit."


def euros(text: str) -> Decimal:
    return Decimal(text)


@pytest.fixture
def salon(cast: Cast) -> Firm:
    """10 € is the one threshold; a minute costs 0.42 €."""
    return cast.salon


def set_balance(firm: Firm, amount: str, now: datetime = NOW - timedelta(days=1)) -> None:
    """Bring the balance to this amount by a movement that no call made."""
    with tenant_scope(firm.id):
        there = db.session.scalars(select(PrepaidBalance.current_balance)).one()
    move(firm, str(euros(amount) - there), now)


def move(firm: Firm, amount: str, now: datetime) -> None:
    """Any movement; one that takes more than there is comes as a refund, which may."""
    topup = factories.make_topup(firm, "100.00")
    kind = "refund" if amount.startswith("-") else "chargeback"
    reference = f"test:{topup.id}"
    if euros(amount):
        within(firm, lambda: ledger.reverse(topup, kind, euros(amount), reference, now))


def charge(firm: Firm, now: datetime, seconds: int = 60) -> None:
    call = factories.make_call(
        firm, started_at=now - timedelta(seconds=seconds), duration_seconds=seconds, ended_at=now
    )
    within(firm, lambda: ledger.charge(call, now))


def add_threshold(firm: Firm, amount: str) -> None:
    within(firm, lambda: limit_rules.add_threshold(euros(amount), NOW))


def running_call(firm: Firm) -> Call:
    """A call for which money is held from now on."""
    call = factories.make_call(firm, started_at=NOW, ended_at=None, duration_seconds=None, status="in_progress")
    within(firm, lambda: ledger.hold(call, NOW))
    return call


def give_back(firm: Firm, call: Call, now: datetime) -> None:
    within(firm, lambda: ledger.release(call, now))


def noted(firm: Firm) -> list[dict[str, Any]]:
    """What waits to be told."""
    with tenant_scope(firm.id):
        query = select(OutboxJob.payload).where(OutboxJob.kind == alerts.KIND).order_by(OutboxJob.id)
        return list(db.session.scalars(query))


def told_kinds(firm: Firm) -> list[str]:
    return [payload["what"] for payload in noted(firm)]


def tell_all() -> None:
    """The worker's part: telling, then writing the mails that this asks for."""
    later = datetime.now(UTC) + timedelta(hours=1)
    worker.drain_outbox(later)
    worker.drain_outbox(later)


def bells(firm: Firm) -> list[Notification]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(Notification).order_by(Notification.portal_user_id, Notification.id)))


def mails() -> list[EmailOutbox]:
    with all_tenants("the test reads the outbox"):
        return list(db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id)))


# ---- When -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [
        ("10.00", "9.99", True),
        ("10.01", "10.00", False),
        ("9.99", "9.98", False),
        ("50", "-3", True),
        ("9", "11", False),
    ],
)
def test_a_level_is_crossed_from_at_least_it_to_below_it(before: str, after: str, crossed: bool) -> None:
    assert Level(LOW, euros("10")).crossed(euros(before), euros(after)) is crossed


def test_of_several_levels_the_one_that_says_most_is_told() -> None:
    low = [Level(LOW, euros(amount)) for amount in ("30", "5", "20")]
    assert alerts.worst(low) == Level(LOW, euros("5"))
    assert alerts.worst([*low, Level(USED_UP, euros("0.42"))]) == Level(USED_UP, euros("0.42"))
    assert alerts.worst([Level(LOW, euros("0.10")), Level(USED_UP, euros("0.42"))]) == Level(USED_UP, euros("0.42"))
    assert alerts.worst([]) is None


def test_a_threshold_is_told_once_and_again_only_after_the_balance_was_above_it(salon: Firm) -> None:
    set_balance(salon, "10.50")
    for step in range(1, 6):
        charge(salon, NOW + step * MINUTE)  # 10.08, 9.66, 9.24 …
    assert told_kinds(salon) == [LOW]
    move(salon, "0.50", NOW + 10 * MINUTE)  # 8.90: not above it
    charge(salon, NOW + 11 * MINUTE)
    assert told_kinds(salon) == [LOW]
    move(salon, "5.00", NOW + 12 * MINUTE)
    for step in range(13, 25):
        charge(salon, NOW + step * MINUTE)
    assert told_kinds(salon) == [LOW, LOW]
    assert len({payload["key"] for payload in noted(salon)}) == 2


def test_a_balance_that_reaches_a_threshold_exactly_is_not_below_it(salon: Firm) -> None:
    set_balance(salon, "10.42")
    charge(salon, NOW)
    assert noted(salon) == []
    charge(salon, NOW + MINUTE)
    assert told_kinds(salon) == [LOW]


def test_each_of_several_thresholds_is_told(salon: Firm) -> None:
    for amount in ("5", "2"):
        add_threshold(salon, amount)
    set_balance(salon, "10.10")
    for step in range(24):
        charge(salon, NOW + step * MINUTE)
    assert [(payload["what"], payload["level"]) for payload in noted(salon)] == [
        (LOW, "10.00"),
        (LOW, "5"),
        (LOW, "2"),
        (USED_UP, "0.42"),
    ]


def test_one_movement_across_everything_is_one_message(salon: Firm) -> None:
    add_threshold(salon, "5")
    set_balance(salon, "12.00")
    move(salon, "-12.00", NOW)
    assert told_kinds(salon) == [USED_UP]


def test_the_balance_counts_as_used_up_as_soon_as_no_call_connects_any_more(salon: Firm) -> None:
    """At 0.30 € the phone is switched over, and without this nobody would ever hear of it: no call comes through."""
    set_balance(salon, "0.72")
    charge(salon, NOW)
    assert told_kinds(salon)[-1] == USED_UP
    with tenant_scope(salon.id):
        assert not limits.may_connect(NOW).connects
    charge(salon, NOW + MINUTE)  # one that ran by then takes it below zero: no second message
    assert told_kinds(salon).count(USED_UP) == 1


def test_the_end_of_the_grace_amount_is_told_as_well(salon: Firm) -> None:
    within(salon, lambda: limit_rules.save(Wish("grace", grace=euros("1.00"))))
    set_balance(salon, "0.50")
    before = len(noted(salon))
    for step in range(1, 5):
        charge(salon, NOW + step * MINUTE)
        with tenant_scope(salon.id):
            ended = not limits.may_connect(NOW + step * MINUTE).connects
        assert (GRACE_USED_UP in told_kinds(salon)) is ended
    assert told_kinds(salon)[before:] == [USED_UP, GRACE_USED_UP]


def test_what_is_held_for_running_calls_alarms_nobody(salon: Firm) -> None:
    set_balance(salon, "10.50")
    for step in range(3):
        give_back(salon, running_call(salon), NOW + step * MINUTE)
    assert noted(salon) == []


def test_a_charge_that_is_taken_back_leaves_no_message(salon: Firm) -> None:
    set_balance(salon, "10.10")

    def work() -> None:
        charged = factories.Call(
            company_id=salon.id, call_id="x", started_at=NOW, ended_at=NOW, duration_seconds=60, status="completed"
        )
        db.session.add(charged)
        db.session.flush()
        ledger.charge(charged, NOW)
        raise RuntimeError("the transaction fails")

    with pytest.raises(RuntimeError):
        within(salon, work)
    assert noted(salon) == []


def test_another_company_is_not_concerned(cast: Cast) -> None:
    set_balance(cast.praxis, "100.00")
    set_balance(cast.salon, "10.10")
    charge(cast.salon, NOW)
    tell_all()
    assert noted(cast.praxis) == []
    assert bells(cast.praxis) == []


def waiting(firm: Firm) -> int:
    """Alerts that the worker has still to tell."""
    with tenant_scope(firm.id):
        query = select(func.count(OutboxJob.id)).where(OutboxJob.kind == alerts.KIND, OutboxJob.status == "pending")
        return db.session.scalars(query).one()


# ---- Limits -----------------------------------------------------------------------------------------------


def test_a_limit_is_told_once_a_day_and_once_a_month(salon: Firm) -> None:
    set_balance(salon, "100.00")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.84"), monthly=euros("1.68"))))
    for day in range(3):
        for step in range(4):
            charge(salon, NOW + timedelta(days=day) + step * MINUTE)
    assert [payload["key"] for payload in noted(salon)] == [
        "limit:day:2026-11-18:0.84",
        "limit:month:2026-11-01:1.68",
        "limit:day:2026-11-19:0.84",
        "limit:day:2026-11-20:0.84",
    ]


def test_calls_after_a_reached_limit_make_no_more_work(salon: Firm) -> None:
    set_balance(salon, "100.00")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.42"))))
    charge(salon, NOW)
    assert waiting(salon) == 1
    tell_all()
    charge(salon, NOW + MINUTE)
    sweep(salon, NOW + 2 * MINUTE)
    assert waiting(salon) == 0


def test_money_that_goes_back_reaches_no_limit(salon: Firm) -> None:
    set_balance(salon, "100.00")
    charge(salon, NOW)
    charge(salon, NOW + MINUTE)
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.50"))))
    move(salon, "-0.50", NOW + 2 * MINUTE)
    assert noted(salon) == []


def test_a_limit_that_is_raised_and_reached_again_is_told_again(salon: Firm) -> None:
    set_balance(salon, "100.00")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.42"))))
    charge(salon, NOW)
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.84"))))
    charge(salon, NOW + MINUTE)
    assert len(noted(salon)) == 2
    tell_all()
    assert len(bells(salon)) == 4  # two for each of two people


def test_what_was_given_back_and_spent_again_is_no_news(salon: Firm) -> None:
    set_balance(salon, "100.00")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.84"))))
    charge(salon, NOW)
    charge(salon, NOW + MINUTE)
    with tenant_scope(salon.id):
        charge_id = db.session.scalars(select(func.max(ledger.CallCharge.id))).one()
    tell_all()
    within(salon, lambda: ledger.credit_call(charge_id, euros("0.42"), "x", "k", NOW + 2 * MINUTE))
    charge(salon, NOW + 3 * MINUTE)
    tell_all()
    assert len(bells(salon)) == 2
    assert len(mails()) == 2


# ---- The round that looks after everybody -----------------------------------------------------------------


def sweep(firm: Firm, now: datetime = NOW) -> None:
    within(firm, lambda: alerts.sweep(now))


def test_a_balance_that_nobody_watched_is_told_once(salon: Firm) -> None:
    within(salon, lambda: db.session.execute(update(PrepaidBalance).values(current_balance=euros("3.00"))))
    for step in range(3):
        sweep(salon, NOW + step * MINUTE)
    assert [(payload["what"], payload["level"]) for payload in noted(salon)] == [(LOW, "10.00")]


def test_after_the_balance_was_above_it_the_round_tells_again(salon: Firm) -> None:
    set_balance(salon, "10.10")
    charge(salon, NOW)
    move(salon, "50.00", NOW + MINUTE)
    within(salon, lambda: db.session.execute(update(PrepaidBalance).values(current_balance=euros("3.00"))))
    sweep(salon, NOW + 2 * MINUTE)
    assert told_kinds(salon) == [LOW, LOW]


def test_a_company_that_never_had_a_balance_has_not_used_it_up(salon: Firm) -> None:
    sweep(salon)
    assert noted(salon) == []
    set_balance(salon, "5.00")
    set_balance(salon, "0.00", NOW - MINUTE)
    sweep(salon)
    assert told_kinds(salon) == [USED_UP]


def test_a_company_that_has_been_told_is_not_told_by_the_round(salon: Firm) -> None:
    set_balance(salon, "10.10")
    charge(salon, NOW)
    sweep(salon, NOW + MINUTE)
    assert len(noted(salon)) == 1


def test_without_thresholds_an_empty_balance_is_told_once_and_not_by_each_movement(salon: Firm) -> None:
    within(salon, lambda: limit_rules.drop_threshold(euros("10"), NOW))
    set_balance(salon, "0.60")
    charge(salon, NOW)  # 0.18
    move(salon, "-0.05", NOW + MINUTE)
    move(salon, "0.05", NOW + 2 * MINUTE)
    sweep(salon, NOW + 3 * MINUTE)
    assert told_kinds(salon) == [USED_UP]


def test_a_limit_set_below_what_is_spent_already_is_told_once(salon: Firm) -> None:
    set_balance(salon, "100.00")
    charge(salon, NOW)
    charge(salon, NOW + MINUTE)
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.50"))))
    for step in range(2, 5):
        sweep(salon, NOW + step * MINUTE)
    assert [payload["key"] for payload in noted(salon)] == ["limit:day:2026-11-18:0.50"]


def test_whoever_sets_a_threshold_above_the_balance_gets_no_message(salon: Firm) -> None:
    set_balance(salon, "20.00")
    add_threshold(salon, "50")
    sweep(salon)
    charge(salon, NOW)
    assert noted(salon) == []
    move(salon, "40.00", NOW + MINUTE)
    move(salon, "-15.00", NOW + 2 * MINUTE)
    assert [(payload["what"], payload["level"]) for payload in noted(salon)] == [(LOW, "50.00")]


def test_the_round_goes_through_every_active_company(cast: Cast) -> None:
    for firm in (cast.salon, cast.praxis):
        within(firm, lambda: db.session.execute(update(PrepaidBalance).values(current_balance=euros("3.00"))))
    closed = update(Company).where(Company.id == cast.praxis.id).values(is_active=False)
    transaction(lambda: db.session.execute(closed))
    job.sweep(NOW)
    assert told_kinds(cast.salon) == [LOW]
    assert told_kinds(cast.praxis) == []


# ---- What they are told -----------------------------------------------------------------------------------


def test_whoever_may_see_the_balance_gets_bell_and_mail_in_their_own_language(cast: Cast) -> None:
    firm = cast.salon
    english = update(PortalUser).where(PortalUser.id == firm.bookkeeper.id).values(language="en")
    within(firm, lambda: db.session.execute(english))
    set_balance(firm, "10.10")
    charge(firm, NOW)
    tell_all()
    assert {row.portal_user_id for row in bells(firm)} == {firm.owner.id, firm.bookkeeper.id}
    by_reader = {mail.recipient: mail for mail in mails()}
    assert set(by_reader) == {firm.owner.email, firm.bookkeeper.email}
    english_mail = by_reader[firm.bookkeeper.email]
    assert english_mail.subject == "Balance below €10.00"
    assert "€9.68 are left. After that, the receptionist only takes messages. Please top up in time." in (
        english_mail.text_body
    )
    assert "http://localhost/balance" in english_mail.text_body
    assert "http://localhost/notifications#preferences" in english_mail.text_body
    assert all(row.action_url == "/balance" for row in bells(firm))


def test_the_worker_carries_it_from_the_charge_to_the_mail(salon: Firm) -> None:
    set_balance(salon, "10.10")
    charge(salon, NOW)
    tell_all()
    assert len(mails()) == 2
    assert len(bells(salon)) == 2
    tell_all()
    assert len(mails()) == 2


def test_the_same_message_worked_off_twice_reaches_people_once(salon: Firm) -> None:
    set_balance(salon, "10.10")
    charge(salon, NOW)
    (payload,) = noted(salon)
    with tenant_scope(salon.id):
        for _ in range(3):
            job.tell(payload)
    tell_all()
    assert (len(bells(salon)), len(mails())) == (2, 2)


def test_people_get_it_in_the_way_they_have_chosen(cast: Cast) -> None:
    firm = cast.salon
    within(firm, lambda: notifications.choose(firm.owner.id, firm.id, {"billing": ["bell"]}))
    within(firm, lambda: notifications.choose(firm.bookkeeper.id, firm.id, {"billing": ["mail"]}))
    set_balance(firm, "10.10")
    charge(firm, NOW)
    tell_all()
    assert [row.portal_user_id for row in bells(firm)] == [firm.owner.id]
    assert [mail.recipient for mail in mails()] == [firm.bookkeeper.email]


@pytest.mark.parametrize(
    ("wish", "spent_to", "sentence"),
    [
        (Wish("message"), "0.10", "The receptionist only takes messages."),
        (Wish("forward", forward_to="030 99887766"), "0.10", "Calls are forwarded to 030 99887766."),
        (
            Wish("grace", grace=Decimal(10)),
            "0.10",
            "goes on until the balance is €10.00 below zero. Then it only takes",
        ),
        (Wish("grace", grace=Decimal(10)), "-10.00", "€10.00 below zero. The receptionist only takes messages."),
    ],
)
def test_a_used_up_balance_says_what_the_phone_does_now(cast: Cast, wish: Wish, spent_to: str, sentence: str) -> None:
    firm = cast.salon
    within(firm, lambda: db.session.execute(update(PortalUser).values(language="en")))
    within(firm, lambda: limit_rules.save(wish))
    set_balance(firm, "50.00")
    set_balance(firm, spent_to, NOW)
    tell_all()
    body = bells(firm)[-1].body or ""
    assert sentence in body
    assert body.endswith("It works as usual again as soon as you top up.")
    assert bells(firm)[-1].priority == "high"


@pytest.mark.parametrize(
    ("wish", "sentences"),
    [
        (
            Wish("message", daily=Decimal("0.42")),
            ["Calls have cost €0.42 today; the limit is €0.42.", *TAKES_MESSAGES, f"{AGAIN} midnight, {OR_RAISED}"],
        ),
        (
            Wish("grace", grace=Decimal(10), monthly=Decimal("0.42")),
            [
                "Calls have cost €0.42 this month; the limit is €0.42.",
                *TAKES_MESSAGES,
                f"{AGAIN} Tuesday, 1 December, {OR_RAISED}",
            ],
        ),
    ],
)
def test_a_reached_limit_says_what_happens_and_when_it_ends(cast: Cast, wish: Wish, sentences: list[str]) -> None:
    firm = cast.salon
    within(firm, lambda: db.session.execute(update(PortalUser).values(language="en")))
    set_balance(firm, "100.00")
    within(firm, lambda: limit_rules.save(wish))
    charge(firm, NOW)
    tell_all()
    assert bells(firm)[0].body == " ".join(sentences)
    assert bells(firm)[0].action_url == "/balance/limits"


# ---- On the page ------------------------------------------------------------------------------------------


@pytest.fixture
def english(app: Flask) -> Iterator[None]:
    with force_locale("en"):
        yield


def shown(firm: Firm, known: reach.Reach | None = None) -> list[alerts.BalanceWarning]:
    with tenant_scope(firm.id):
        return alerts.warnings(NOW, known)


def spend_daily(firm: Firm, amount: str) -> None:
    def work() -> None:
        for back in range(1, 15):
            day = NOW.date() - timedelta(days=back)
            db.session.add(DailySpend(company_id=firm.id, day=day, calls=10, amount=euros(amount)))

    within(firm, work)


def test_when_all_is_well_nothing_is_said(salon: Firm, english: None) -> None:
    set_balance(salon, "100.00")
    assert shown(salon) == []


def test_a_balance_that_lasts_until_tomorrow_is_said_with_what_follows(salon: Firm, english: None) -> None:
    set_balance(salon, "15.00")
    spend_daily(salon, "10.00")
    (found,) = shown(salon)
    assert (found.kind, found.title) == ("warn", "The balance lasts only until tomorrow")
    assert found.text == (
        "€15.00 are left, enough for about 15 calls. After that, the receptionist only takes messages."
    )
    assert (found.action_label, found.action_url) == ("Top up", "/balance")
    set_balance(salon, "12.00", NOW)
    spent = within(salon, lambda: db.session.execute(update(DailySpend).values(amount=euros("14.00"))))
    assert spent is not None
    assert shown(salon)[0].title == "The balance lasts only for today"


def test_a_balance_below_a_threshold_is_said_even_if_it_lasts(salon: Firm, english: None) -> None:
    set_balance(salon, "8.00")
    assert [found.title for found in shown(salon)] == ["Balance below €10.00"]


def test_a_used_up_balance_is_bad_unless_the_receptionist_goes_on(salon: Firm, english: None) -> None:
    set_balance(salon, "0.10")
    assert [(found.kind, found.title) for found in shown(salon)] == [("bad", "The balance is as good as used up")]
    within(salon, lambda: limit_rules.save(Wish("grace", grace=euros("10"))))
    assert [found.kind for found in shown(salon)] == ["warn"]
    set_balance(salon, "-10.00", NOW)
    assert [(found.kind, found.title) for found in shown(salon)] == [("bad", "The balance is used up")]


def test_money_that_is_held_only_is_not_called_used_up(salon: Firm, english: None) -> None:
    set_balance(salon, "2.00")
    running_call(salon)
    assert [found.title for found in shown(salon)] == ["The rest of the balance is held for calls that are running"]


def test_a_reached_limit_comes_first(salon: Firm, english: None) -> None:
    set_balance(salon, "8.42")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.42"))))
    charge(salon, NOW)
    assert [(found.kind, found.action_url) for found in shown(salon)] == [
        ("bad", "/balance/limits"),
        ("warn", "/balance"),
    ]


def test_a_reached_limit_promises_no_better_day_while_there_is_no_money(salon: Firm, english: None) -> None:
    set_balance(salon, "5.00")
    within(salon, lambda: limit_rules.save(Wish("message", daily=euros("0.42"))))
    charge(salon, NOW)
    assert "again from midnight" in shown(salon)[0].text
    set_balance(salon, "0.10", NOW)
    assert [("again" in found.text, "midnight" in found.text) for found in shown(salon)] == [
        (False, False),
        (True, False),
    ]


# ---- Many at once -----------------------------------------------------------------------------------------


def charge_now(app: Flask, company_id: int, call_id: int) -> None:
    def work() -> None:
        with tenant_scope(company_id):
            ledger.lock()
            ledger.charge(db.session.get_one(Call, call_id), NOW)

    transaction(work)


def sweep_now(app: Flask, company_id: int) -> None:
    def work() -> None:
        with tenant_scope(company_id):
            alerts.sweep(NOW)

    transaction(work)


@pytest.mark.slow
def test_of_twenty_charges_at_once_one_crosses_and_everybody_gets_one_mail(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    set_balance(firm, "14.00")
    within(firm, lambda: limit_rules.save(Wish("message", daily=euros("2.00"))))
    calls = [factories.make_call(firm, started_at=NOW - MINUTE, ended_at=NOW) for _ in range(20)]
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    at_once(url, [(charge_now, (firm.id, call.id)) for call in calls])  # 14.00 → 5.60
    assert sorted(told_kinds(firm)) == ["limit", LOW]
    tell_all()
    subjects = sorted((mail.recipient, mail.subject) for mail in mails())
    assert len(subjects) == len(set(subjects)) == 4  # two messages for each of two people


@pytest.mark.slow
def test_of_several_rounds_at_once_one_tells(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    firm = cast.salon
    within(firm, lambda: db.session.execute(update(PrepaidBalance).values(current_balance=euros("3.00"))))
    at_once(app.config["SQLALCHEMY_DATABASE_URI"], [(sweep_now, (firm.id,))] * 6)
    assert told_kinds(firm) == [LOW]
