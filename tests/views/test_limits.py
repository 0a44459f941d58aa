"""The page about limits as a browser meets it."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import ledger, limit_rules, limits
from portal.domain.limit_rules import Wish
from portal.domain.limits import Rules
from portal.models import AuditLog
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within
from tests.queries import Queries

PAGE = "/balance/limits"
GOOD = {"action": "forward", "forward_to": "030 99887766", "daily": "25,00", "monthly": "400"}


def rules(firm: Firm) -> Rules:
    db.session.rollback()
    with tenant_scope(firm.id):
        return limits.standing(utcnow()).rules


def credit(firm: Firm, amount: str) -> None:
    now = utcnow() - timedelta(hours=2)
    within(firm, lambda: ledger.adjust(Decimal(amount), "test", f"credit-{amount}", now))


def charge(firm: Firm, seconds: int = 60) -> None:
    call = factories.make_call(firm, started_at=utcnow() - timedelta(seconds=seconds), duration_seconds=seconds)
    within(firm, lambda: ledger.charge(call, utcnow()))


def beside(page: str, field: str) -> str:
    """The message beside a field; '' without one."""
    found = re.search(rf'id="{field}-e".*?<span>(.*?)</span>', page, re.DOTALL)
    return found[1] if found else ""


# ---- Who --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("bookkeeper", 200), ("manager", 403), ("staff", 403)])
def test_who_may_see_the_balance_may_see_the_rules(client: PortalClient, cast: Cast, role: str, status: int) -> None:
    client.sign_in(cast.salon.users[role])
    assert client.get(PAGE).status_code == status
    assert client.get(f"{PAGE}/warnings").status_code == status


@pytest.mark.parametrize("role", ["bookkeeper", "manager", "staff"])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/alerts", f"{PAGE}/alerts/drop"])
def test_only_owners_change_them(client: PortalClient, cast: Cast, role: str, path: str) -> None:
    client.sign_in(cast.salon.users[role])
    before = rules(cast.salon)
    answer = client.post(path, data=GOOD | {"threshold": "30", "amount": "10.00"})
    assert answer.status_code == 403
    assert rules(cast.salon) == before


def test_strangers_are_sent_to_the_login(client: PortalClient, cast: Cast) -> None:
    assert client.get(PAGE).location.startswith("/login")
    assert client.post(PAGE, data=GOOD).location.startswith("/login")


def test_without_a_token_nothing_is_saved(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    client.csrf = False
    assert client.post(PAGE, data=GOOD).status_code == 400
    assert rules(cast.salon).daily is None


def test_the_bookkeeper_gets_no_buttons(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.bookkeeper).get(PAGE).text.partition('<div class="page-body">')[2]
    assert "<button" not in page
    assert page.count("<fieldset") == page.count(" disabled") == 2


# ---- What it shows ----------------------------------------------------------------------------------------


def test_it_opens_with_the_question_and_offers_no_refusal(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert page.index("Was soll das Telefon tun, wenn das Guthaben verbraucht ist?") < page.index("Höchstens ausgeben")
    assert set(re.findall(r'name="action" value="(\w+)"', page)) == {"forward", "message", "grace"}


def test_it_shows_what_is_set_and_what_is_spent(client: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50")
    within(cast.salon, lambda: limit_rules.save(Wish("forward", "03099887766", None, Decimal(2), Decimal("400.50"))))
    charge(cast.salon, 240)  # 1.68 €
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert 'value="030 99887766"' in page
    assert 'value="2,00"' in page
    assert 'value="400,50"' in page
    assert "1,68\u00a0€ von 2,00\u00a0€" in page
    assert 'class="bar bar-warn mt-1" value="1.68" max="2.00"' in page  # 84 % of the day
    assert 'class="bar mt-1" value="1.68" max="400.50"' in page


def test_a_reached_limit_is_said_first_and_its_bar_is_full(client: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50")
    within(cast.salon, lambda: limit_rules.save(Wish("message", daily=Decimal("0.50"))))
    charge(cast.salon, 120)
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert page.index("Die Grenze für heute ist erreicht") < page.index('id="h-end"')
    assert 'class="bar bar-bad mt-1" value="0.50" max="0.50"' in page


def test_it_states_by_how_much_running_calls_can_exceed_a_limit(client: PortalClient, cast: Cast) -> None:
    for _ in range(3):
        factories.make_call(cast.salon, started_at=utcnow() - timedelta(minutes=30), duration_seconds=600)
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert re.search(r"Gleichzeitige Gespräche, höchstens</dt><dd>3<", page)
    assert "12,60\u00a0€" in page  # 3 × 10 minutes × 0.42 €


def test_the_page_of_a_company_without_anything_stands_as_well(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.owner).get(PAGE)
    assert page.status_code == 200
    assert "Es gab noch keinen Anruf" in page.text


def test_another_companys_rules_are_not_shown(client: PortalClient, cast: Cast) -> None:
    within(cast.praxis, lambda: limit_rules.save(Wish("forward", "03412223344", None, Decimal(77), None)))
    page = client.sign_in(cast.salon.owner).get(PAGE).text
    assert "77,00" not in page
    assert "2223344" not in page


def test_it_asks_the_database_at_most_twelve_times(client: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50")
    within(cast.salon, lambda: limit_rules.save(Wish("message", daily=Decimal(25), monthly=Decimal(400))))
    client.sign_in(cast.salon.owner)
    client.get(PAGE)
    with Queries() as few:
        client.get(PAGE)
    for _ in range(5):
        charge(cast.salon)
    with Queries() as many:
        client.get(PAGE)
    assert 0 < len(few) == len(many) <= 12


# ---- Saving -----------------------------------------------------------------------------------------------


def test_saving_leads_back_and_applies(client: PortalClient, cast: Cast) -> None:
    answer = client.sign_in(cast.salon.owner).post(PAGE, data=GOOD)
    assert (answer.status_code, answer.location) == (303, PAGE)
    saved = rules(cast.salon)
    assert (saved.choice.action, saved.choice.forward_to) == ("forward", "+493099887766")
    assert (saved.daily, saved.monthly) == (Decimal(25), Decimal(400))
    with tenant_scope(cast.salon.id):
        (row,) = db.session.scalars(select(AuditLog).where(AuditLog.action == "balance.limits_changed")).all()
    assert row.user_id == cast.salon.owner.id
    assert rules(cast.praxis).daily is None


def test_empty_limits_are_none(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    client.post(PAGE, data=GOOD)
    client.post(PAGE, data=GOOD | {"daily": " ", "monthly": ""})
    assert (rules(cast.salon).daily, rules(cast.salon).monthly) == (None, None)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"daily": "-5"}, "daily"),
        ({"daily": "0"}, "daily"),
        ({"daily": "abc"}, "daily"),
        ({"daily": "1.234"}, "daily"),
        ({"daily": "2,555"}, "daily"),
        ({"daily": "999999999"}, "daily"),
        ({"monthly": "-0,01"}, "monthly"),
        ({"monthly": "24,99"}, "monthly"),
        ({"forward_to": ""}, "forward_to"),
        ({"forward_to": "Mama"}, "forward_to"),
        ({"forward_to": "030 1234567"}, "forward_to"),
        ({"action": "grace", "grace": ""}, "grace"),
        ({"action": "grace", "grace": "-3"}, "grace"),
        ({"action": "grace", "grace": "100,01"}, "grace"),
        ({"action": "grace", "grace": "viel"}, "grace"),
        ({"action": "refuse"}, "action"),
        ({"action": ""}, "action"),
    ],
)
def test_bad_input_comes_back_with_its_message_and_changes_nothing(
    client: PortalClient, cast: Cast, changed: dict[str, Any], field: str
) -> None:
    client.sign_in(cast.salon.owner)
    client.post(PAGE, data=GOOD)
    before = rules(cast.salon)
    answer = client.post(PAGE, data=GOOD | {"daily": "26"} | changed)
    assert answer.status_code == 422
    assert beside(answer.text, field)
    assert 'aria-invalid="true"' in answer.text or field == "action"
    assert rules(cast.salon) == before
    typed = changed.get(field)
    assert field == "action" or not typed or f'value="{typed}"' in answer.text


def test_what_stands_in_the_field_of_another_choice_is_no_mistake(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    answer = client.post(PAGE, data={"action": "message", "forward_to": "Mama", "grace": "viel"})
    assert answer.status_code == 303
    assert rules(cast.salon).choice.forward_to is None


# ---- Alerts -----------------------------------------------------------------------------------------------


def test_alerts_are_added_and_dropped_without_saving_the_rest(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    for amount in ("30", "5,50 €"):
        assert client.post(f"{PAGE}/alerts", data={"threshold": amount, "daily": "9"}).status_code == 303
    assert rules(cast.salon).thresholds == (Decimal(30), Decimal(10), Decimal("5.50"))
    assert "unter 5,50\u00a0€" in client.get(PAGE).text
    assert client.post(f"{PAGE}/alerts/drop", data={"amount": "30.00"}).status_code == 303
    assert rules(cast.salon).thresholds == (Decimal(10), Decimal("5.50"))
    assert rules(cast.salon).daily is None


@pytest.mark.parametrize("amount", ["", "abc", "-1", "0", "5000,01", "10", "10,001"])
def test_a_bad_alert_comes_back_with_its_message(client: PortalClient, cast: Cast, amount: str) -> None:
    answer = client.sign_in(cast.salon.owner).post(f"{PAGE}/alerts", data={"threshold": amount})
    assert answer.status_code == 422
    assert beside(answer.text, "threshold")
    assert rules(cast.salon).thresholds == (Decimal(10),)


@pytest.mark.parametrize("amount", ["", "NaN", "sNaN", "77", "-10", "x"])
def test_dropping_what_is_not_there_does_nothing(client: PortalClient, cast: Cast, amount: str) -> None:
    answer = client.sign_in(cast.salon.owner).post(f"{PAGE}/alerts/drop", data={"amount": amount})
    assert answer.status_code == 303
    assert rules(cast.salon).thresholds == (Decimal(10),)


def test_after_five_there_is_no_room_for_another(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    for amount in range(1, 5):
        client.post(f"{PAGE}/alerts", data={"threshold": str(amount)})
    assert 'name="threshold"' not in client.get(PAGE).text
    assert client.post(f"{PAGE}/alerts", data={"threshold": "7"}).status_code == 422


# ---- Warnings ---------------------------------------------------------------------------------------------


def test_the_warnings_answer_204_until_something_changes(client: PortalClient, cast: Cast) -> None:
    credit(cast.salon, "50")
    client.sign_in(cast.salon.owner)
    calm = client.htmx("GET", f"{PAGE}/warnings")
    assert calm.status_code == 200
    assert "note" not in calm.text
    version = re.search(r"\?v=(\w+)", calm.text)
    assert version
    assert client.htmx("GET", f"{PAGE}/warnings?v={version[1]}").status_code == 204
    within(cast.salon, lambda: limit_rules.save(Wish("message", daily=Decimal("0.42"))))
    charge(cast.salon)
    loud = client.htmx("GET", f"{PAGE}/warnings?v={version[1]}")
    assert loud.status_code == 200
    assert "Die Grenze für heute ist erreicht" in loud.text


@pytest.mark.parametrize("page", ["/balance", "/"])
def test_balance_page_and_dashboard_say_that_a_limit_is_reached(client: PortalClient, cast: Cast, page: str) -> None:
    credit(cast.salon, "50")
    within(cast.salon, lambda: limit_rules.save(Wish("message", daily=Decimal("0.42"))))
    charge(cast.salon)
    assert "Die Grenze für heute ist erreicht" in client.sign_in(cast.salon.owner).get(page).text


def test_who_may_not_see_the_balance_sees_no_warning_about_it(client: PortalClient, cast: Cast) -> None:
    within(cast.salon, lambda: limit_rules.save(Wish("message", daily=Decimal("0.42"))))
    credit(cast.salon, "50")
    charge(cast.salon)
    page = client.sign_in(cast.salon.manager).get("/")
    assert page.status_code == 200
    assert "Die Grenze für heute ist erreicht" not in page.text
