"""What Retell is told before a call connects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.db import db, transaction
from portal.domain import inbound
from portal.models import (
    Appointment,
    BranchClosure,
    Company,
    Customer,
    PhoneNumber,
    PrepaidBalance,
    WorkingHours,
)
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.queries import Queries
from tests.webhooks.retell_payloads import _read

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # a Tuesday, 10:00 in Berlin
AYLIN = "+49305550100"


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        change(PrepaidBalance, cast.salon.balance.id, current_balance=Decimal("100.00"))
        yield cast.salon


def change(model: Any, row_id: int, **values: Any) -> None:
    def write() -> None:
        row = db.session.get_one(model, row_id)
        for name, value in values.items():
            setattr(row, name, value)

    transaction(write)


def add(*rows: Any) -> None:
    transaction(lambda: db.session.add_all(rows))


def ask(salon: Firm, now: datetime = NOW, **asked: Any) -> dict[str, Any]:
    company = db.session.get_one(Company, salon.id, populate_existing=True)
    return inbound.answer(company, _read("call_inbound")["call_inbound"] | asked, now)


def told(salon: Firm, now: datetime = NOW, **asked: Any) -> dict[str, str]:
    variables: dict[str, str] = ask(salon, now, **asked)["dynamic_variables"]
    assert all(isinstance(value, str) for value in variables.values())
    return variables


def hours(salon: Firm) -> None:
    add(
        *(
            WorkingHours(
                company_id=salon.id, branch_id=salon.main.id, weekday=day, opens_at=time(9), closes_at=time(18)
            )
            for day in range(1, 6)
        )
    )


# ---- Who answers ----------------------------------------------------------------------------------------------


def test_the_numbers_own_agent_answers(salon: Firm) -> None:
    change(PhoneNumber, salon.phone.id, retell_agent_id="agent_of_the_number")
    assert ask(salon)["override_agent_id"] == "agent_of_the_number"


def test_a_number_without_an_agent_gets_the_companys(salon: Firm) -> None:
    change(PhoneNumber, salon.phone.id, retell_agent_id=None)
    assert ask(salon)["override_agent_id"] == "agent_salon"


def test_a_suspended_companys_calls_are_declined(salon: Firm) -> None:
    change(Company, salon.id, is_active=False)
    assert "override_agent_id" not in ask(salon)


def test_blocked_callers_are_declined_unless_somebody_shares_their_phone(salon: Firm) -> None:
    change(Customer, salon.customer.id, is_blocked=True)
    assert "override_agent_id" not in ask(salon)
    add(Customer(company_id=salon.id, first_name="Deniz", last_name="Demir", phone=AYLIN, phone_normalized=AYLIN))
    assert "override_agent_id" in ask(salon)


def test_another_companys_number_is_not_answered(salon: Firm) -> None:
    assert ask(salon, to_number="+49341765432") == {}
    assert ask(salon, to_number="+4940999888", agent_id="agent_praxis") == {}
    assert ask(salon, to_number=None, agent_id=None) == {}


def test_a_number_that_is_not_entered_yet_is_answered_by_our_agent(salon: Firm) -> None:
    assert ask(salon, to_number="+4940999888")["override_agent_id"] == "agent_salon"


@pytest.mark.parametrize(
    "asked", [{"from_number": 7}, {"to_number": ["+49"]}, {"agent_id": {}}, {"from_number": "\x00"}]
)
def test_nonsense_is_no_number(salon: Firm, asked: dict[str, Any]) -> None:
    ask(salon, **asked)


# ---- What the agent knows ---------------------------------------------------------------------------------------


def test_a_known_caller_is_greeted_by_name_and_branch(salon: Firm) -> None:
    found = told(salon)
    assert (found["caller_known"], found["caller_name"]) == ("yes", "Aylin Demir")
    assert (found["company_name"], found["branch"]) == ("Salon Test", "Salon Test Mitte")


def test_a_stranger_and_a_withheld_number_have_no_name(salon: Firm) -> None:
    for number in ("+4915299900011", "anonymous", None):
        found = told(salon, from_number=number)
        assert (found["caller_known"], found["caller_name"], found["next_appointment"]) == ("no", "", "")


def test_a_name_that_was_only_heard_is_not_said_back(salon: Firm) -> None:
    change(Customer, salon.customer.id, name_confirmed=False)
    assert told(salon)["caller_name"] == ""


def test_of_two_people_with_one_phone_nobody_is_guessed(salon: Firm) -> None:
    add(Customer(company_id=salon.id, first_name="Deniz", last_name="Demir", phone=AYLIN, phone_normalized=AYLIN))
    appointment(salon)
    found = told(salon)
    assert (found["caller_known"], found["caller_name"], found["next_appointment"]) == ("yes", "", "")


def appointment(salon: Firm, start: datetime = NOW + timedelta(days=3, hours=4), **more: Any) -> None:
    add(
        Appointment(
            company_id=salon.id,
            branch_id=salon.main.id,
            customer_id=salon.customer.id,
            staff_id=salon.stylist.id,
            service_id=salon.cut.id,
            start_time=start,
            end_time=start + timedelta(minutes=45),
            **more,
        )
    )


def test_the_next_appointment_is_told_in_the_companys_language_and_zone(salon: Firm) -> None:
    appointment(salon, NOW + timedelta(days=9))
    appointment(salon)
    appointment(salon, NOW + timedelta(days=1), status="cancelled")
    appointment(salon, NOW - timedelta(hours=2))
    change(Company, salon.id, language="en")
    assert told(salon)["next_appointment"] == "Friday, 27 November at 14:00, Damenhaarschnitt, Sofia Klein"


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (NOW, "open"),
        (datetime(2026, 11, 24, 7, 59, tzinfo=UTC), "closed"),
        (datetime(2026, 11, 24, 8, 0, tzinfo=UTC), "open"),
        (datetime(2026, 11, 24, 17, 0, tzinfo=UTC), "closed"),
        (datetime(2026, 11, 28, 9, 0, tzinfo=UTC), "closed"),
    ],
)
def test_open_or_closed_is_by_the_branchs_own_clock(salon: Firm, now: datetime, state: str) -> None:
    hours(salon)
    assert told(salon, now)["open_now"] == state


def test_a_closed_day_is_closed_and_hours_nobody_entered_are_unknown(salon: Firm) -> None:
    assert told(salon)["open_now"] == "unknown"
    hours(salon)
    add(BranchClosure(company_id=salon.id, branch_id=salon.main.id, date=date(2026, 11, 24), reason="Inventur"))
    assert told(salon)["open_now"] == "closed"


# ---- Money ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("balance", "state"), [("100.00", "ok"), ("9.99", "low"), ("0.42", "low"), ("0.41", "exhausted")]
)
def test_the_balance_must_be_enough_for_a_minute(salon: Firm, balance: str, state: str) -> None:
    change(PrepaidBalance, salon.balance.id, current_balance=Decimal(balance))
    assert told(salon)["balance_state"] == state


def test_when_the_money_is_used_up_the_company_decides(salon: Firm) -> None:
    change(PrepaidBalance, salon.balance.id, current_balance=Decimal("0.00"))
    change(Company, salon.id, exhausted_action="forward", forward_to="+4930555777")
    found = ask(salon)
    assert found["override_agent_id"] == "agent_salon"
    variables = found["dynamic_variables"]
    assert (variables["balance_state"], variables["exhausted_action"]) == ("exhausted", "forward")
    assert variables["forward_to"] == "+4930555777"


def test_a_limit_that_is_reached_counts_as_used_up(salon: Firm) -> None:
    change(PrepaidBalance, salon.balance.id, daily_spending_limit=Decimal("0.00"))
    assert told(salon)["balance_state"] == "exhausted"


def test_the_answer_takes_few_queries(salon: Firm) -> None:
    hours(salon)
    appointment(salon)
    change(PrepaidBalance, salon.balance.id, daily_spending_limit=Decimal("5.00"), monthly_spending_limit=Decimal(9))
    company = db.session.get_one(Company, salon.id)
    asked = _read("call_inbound")["call_inbound"]
    with Queries() as asked_of_it:
        inbound.answer(company, asked, NOW)
    assert 0 < len(asked_of_it) <= 10
