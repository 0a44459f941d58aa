"""Numbers that callers dial, and the agents that answer them. Each belongs to one company: so a call finds its own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.domain import audit, phones
from portal.domain.accounts import find_company
from portal.domain.errors import DomainError
from portal.models import Branch, Company, PhoneNumber

TYPES = ("direct", "hotline", "mobile", "test")
LONGEST_AGENT = 255


@dataclass(frozen=True)
class NewNumber:
    """``branch`` is a name, None for the company's line; ``agent`` Retell's id, None to leave it as it is."""

    tenant_id: str
    number: str
    branch: str | None = None
    agent: str | None = None
    type: str = "direct"


def register(new: NewNumber) -> str:
    """Enter a number, or bring it up to date; returns it as E.164. Needs ``all_tenants``; raises ``DomainError``."""
    company = find_company(new.tenant_id)
    if company is None:
        raise DomainError(f"there is no company {new.tenant_id}")
    e164 = phones.normalise(new.number, company.country)
    if e164 is None:
        raise DomainError(f"{new.number} is no phone number; write it with its area code, such as +49 30 123456")
    if new.agent:
        _check_agent(company, new.agent)
    known = db.session.scalar(select(PhoneNumber).where(PhoneNumber.number_e164 == e164).with_for_update())
    if known is not None and known.company_id != company.id:
        raise DomainError(f"{e164} belongs to another company")
    row = known or PhoneNumber(company_id=company.id, number_e164=e164, is_primary=not _has_numbers(company))
    _fill(row, new, _branch_id(company, new.branch))
    _write(row, e164)
    audit.record("phone_number.registered", row, new={"number": e164, "branch": new.branch, "agent": new.agent})
    return e164


def _fill(row: PhoneNumber, new: NewNumber, branch_id: int | None) -> None:
    row.number, row.type, row.branch_id = new.number.strip()[:50], new.type, branch_id
    row.is_active, row.deactivated_at = True, None
    row.retell_agent_id = new.agent or row.retell_agent_id


def _write(row: PhoneNumber, e164: str) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError:
        raise DomainError(f"{e164} was registered by somebody else just now") from None


def _check_agent(company: Company, agent: str) -> None:
    """An agent of two companies would make it anybody's guess whose call it is."""
    if len(agent) > LONGEST_AGENT or agent != agent.strip():
        raise DomainError("an agent's id is one word, such as agent_4c1f0b7d2a9e")
    owners = {
        *db.session.scalars(select(Company.id).where(Company.retell_agent_id == agent)),
        *db.session.scalars(select(PhoneNumber.company_id).where(PhoneNumber.retell_agent_id == agent)),
    }
    if owners - {company.id}:
        raise DomainError(f"{agent} belongs to another company")


def _has_numbers(company: Company) -> bool:
    return db.session.scalar(select(PhoneNumber.id).where(PhoneNumber.company_id == company.id).limit(1)) is not None


def _branch_id(company: Company, name: str | None) -> int | None:
    if name is None:
        return None
    rows = db.session.execute(select(Branch.id, Branch.name).where(Branch.company_id == company.id, Branch.is_active))
    branches = {found.casefold(): row_id for row_id, found in rows}
    if name.casefold() not in branches:
        raise DomainError(f"there is no branch {name}; there are: {', '.join(sorted(branches))}")
    return branches[name.casefold()]
