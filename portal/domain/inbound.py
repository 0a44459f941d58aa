"""What Retell is told before a call connects: which agent answers, and what it should know.

Values of dynamic variables are always strings. ``open_now`` is open, closed or unknown; ``balance_state`` is ok, low or
exhausted; ``exhausted_action`` is what the company wants then (forward, message, grace), as far as it is possible.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal import formats
from portal.db import db
from portal.domain import customers, limits, phones, timetable
from portal.domain.transcripts import clean
from portal.models import Appointment, Branch, Company, Customer, PhoneNumber
from portal.tenancy import all_tenants


def answer(company: Company, asked: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The content of ``call_inbound``; empty for a number that is not this company's, which declines the call."""
    dialled = phones.normalise(clean(asked.get("to_number"), 100), company.country)
    number = _number(dialled)
    if number is None and not _is_our_agent(company, asked, dialled):
        return {}
    branch = number.branch if number is not None and number.branch is not None else _primary_branch()
    people = _people(phones.normalise(clean(asked.get("from_number"), 100), company.country))
    told: dict[str, Any] = {
        "dynamic_variables": _variables(company, number, branch, people, now),
        "metadata": {"tenant_id": company.tenant_id},
    }
    agent = (number.retell_agent_id if number is not None else None) or company.retell_agent_id
    blocked = bool(people) and all(person.is_blocked for person in people)
    if agent and company.is_active and not blocked:
        told["override_agent_id"] = agent
    return told


def _number(dialled: str | None) -> PhoneNumber | None:
    if dialled is None:
        return None
    return db.session.scalar(
        select(PhoneNumber).where(PhoneNumber.number_e164 == dialled).options(joinedload(PhoneNumber.branch))
    )


def _is_our_agent(company: Company, asked: dict[str, Any], dialled: str | None) -> bool:
    """For a number that is not entered yet: Retell's agent is ours, and the number nobody else's."""
    if company.retell_agent_id is None or asked.get("agent_id") != company.retell_agent_id:
        return False
    with all_tenants("a number that is another company's is answered by nobody here"):
        return db.session.scalar(select(PhoneNumber.id).where(PhoneNumber.number_e164 == dialled)) is None


def _primary_branch() -> Branch | None:
    return db.session.scalar(
        select(Branch).where(Branch.is_active).order_by(Branch.is_primary.desc(), Branch.id).limit(1)
    )


def _people(e164: str | None) -> list[Customer]:
    return customers.find_by_phone(e164) if e164 else []


def _variables(
    company: Company, number: PhoneNumber | None, branch: Branch | None, people: list[Customer], now: datetime
) -> dict[str, str]:
    zone = ZoneInfo((branch.timezone if branch else None) or company.timezone)
    with force_locale(company.language):
        appointment = _next_appointment(people, company.language, zone, now)
    return {
        "company_name": company.name,
        "branch": branch.name if branch and (number is None or number.branch_id) else "",
        "open_now": _open_now(branch, zone, now),
        "caller_known": "yes" if people else "no",
        "caller_name": _name(people),
        "next_appointment": appointment,
        **_money(now),
    }


def _name(people: list[Customer]) -> str:
    """Only a name that is certain: one person, confirmed."""
    named = [person.full_name for person in people if person.name_confirmed and person.full_name]
    return named[0] if len(named) == 1 else ""


def _next_appointment(people: list[Customer], language: str, zone: ZoneInfo, now: datetime) -> str:
    """``Montag, 24. November, 10:30: Damenhaarschnitt, Sofia Klein``; '' where several people share the number."""
    if len(people) != 1:
        return ""
    found = db.session.scalar(
        select(Appointment)
        .where(Appointment.customer_id == people[0].id, Appointment.start_time >= now)
        .where(Appointment.status.in_(("scheduled", "confirmed")))
        .options(joinedload(Appointment.service), joinedload(Appointment.staff))
        .order_by(Appointment.start_time)
        .limit(1)
    )
    if found is None:
        return ""
    what = [found.service.name if found.service else found.title, found.staff.name if found.staff else None]
    day, clock = formats.long_day(found.start_time, language, zone), formats.clock(found.start_time, language, zone)
    when = _("%(day)s at %(clock)s", day=day, clock=clock)
    return ", ".join([when, *(part for part in what if part)])


def _open_now(branch: Branch | None, zone: ZoneInfo, now: datetime) -> str:
    if branch is None:
        return "unknown"
    day = now.astimezone(zone).date()
    opening = timetable.load(branch, None, day, day).open(branch.id, day)
    if opening is None:
        return "unknown"
    return "open" if any(span.start <= now < span.end for span in opening) else "closed"


def _money(now: datetime) -> dict[str, str]:
    """May the call be taken, and what else? For the agent, a limit that is reached is money that is used up."""
    decision = limits.may_connect(now)
    return {
        "balance_state": "exhausted" if decision.used_up else decision.state,
        "exhausted_action": decision.action,
        "forward_to": decision.forward_to,
    }
