"""Retell asked from our side: what its webhooks never brought, and calls whose hold is past its time.

Retell is asked outside of any transaction; what it answers is taken over in one of its own. A company's failure is
logged and holds up nobody else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import select

from portal import settings
from portal.clients.retell import RetellClient, RetellProblem, RetellUnavailable, may_ask
from portal.db import EncryptionError, db, transaction
from portal.domain import calls, heartbeat, ledger, reconcile
from portal.domain.call_reports import UnreadableError
from portal.models import Call, Company
from portal.tenancy import all_tenants, current_company_id, tenant_scope

T = TypeVar("T")
log = structlog.get_logger()

EVERY, HOLDS_EVERY = 300, 300  # seconds
# Of one company and one round; what is left is done in the next one.
MOST_PAGES, MOST_CALLS = 5, 50
MOST_SECONDS = 60.0  # of a round, so that other jobs get their turn
# So many companies in a row without any answer: Retell is away.
SILENT = 3
ASK_AGAIN = timedelta(minutes=15)
connect: Callable[[str, str], RetellClient] = RetellClient


@dataclass(frozen=True)
class Account:
    """A company's way to Retell, and the country that its numbers are read in."""

    client: RetellClient
    country: str


def account() -> Account | None:
    """The current company's; None where its key may not go out. Leaves no transaction open."""
    company = db.session.get_one(Company, current_company_id(), populate_existing=True)
    own = settings()
    try:
        key = company.retell_api_key
    except EncryptionError as error:
        log.error("the key for Retell cannot be read", company_id=company.id, error=str(error))
        key = None
    country = company.country
    db.session.rollback()
    if key is None or not may_ask(key, own.retell_api_base, production=own.production):
        return None
    return Account(connect(key, own.retell_api_base), country)


# ---- What never arrived -------------------------------------------------------------------------------------


def catch_up(now: datetime) -> None:
    """List every company's calls and fetch what is missing, in no fixed order, so that nobody is always the last."""
    with all_tenants("the worker serves every company"):
        query = select(Company.id).where(Company.is_active, Company.retell_api_key_sealed.is_not(None))
        companies = list(db.session.scalars(query))
    random.shuffle(companies)  # no secret: it only keeps the slow ones from being first every time
    end, silent = time.monotonic() + MOST_SECONDS, 0
    for company_id in companies:
        if time.monotonic() > end or silent == SILENT:
            log.warning("not every company was looked through", silent=silent)
            return
        with tenant_scope(company_id):
            silent = 0 if _guarded(now) else silent + 1


def _guarded(now: datetime) -> bool:
    """One company, whatever happens; False when nobody answered."""
    try:
        _catch_up_company(now)
    except RetellProblem as problem:
        log.warning("Retell does not answer", company_id=current_company_id(), error=str(problem), http=problem.status)
        return not (isinstance(problem, RetellUnavailable) and problem.silent)
    except Exception as error:
        db.session.rollback()
        log.error("calls could not be caught up", company_id=current_company_id(), exc_info=error)
    return True


def _catch_up_company(now: datetime) -> None:
    found = account()
    if found is None:
        return
    caught: list[str] = []
    try:
        place = _look_through(found, now, caught)
        transaction(partial(reconcile.keep_place, place))
    finally:
        if caught:
            company_id = current_company_id()
            transaction(partial(heartbeat.caught_up, reconcile.PROVIDER, company_id, len(caught), now))
            log.info("calls caught up", company_id=company_id, calls=len(caught))


def _look_through(found: Account, now: datetime, caught: list[str]) -> datetime:
    """Fetch into ``caught`` what is missing; from where on the next round lists."""
    since, cursor, asked = _read(lambda: reconcile.list_from(now)), None, 0
    last = since
    for _page in range(MOST_PAGES):
        page = found.client.list_calls(since, cursor)
        for gap in _read(partial(reconcile.gaps, page.calls, found.country, now)):
            if asked == MOST_CALLS:
                return gap.started_at
            asked += 1
            last = gap.started_at
            if _fetch(found, gap.call_id, now):
                caught.append(gap.call_id)
        last = max([last, *reconcile.starts(page.calls)])
        cursor = page.cursor
        if cursor is None:
            return _read(lambda: reconcile.looked_through(now))
    return last


def _fetch(found: Account, call_id: str, now: datetime) -> bool:
    """Ask for one call and take it over; False where that does not work, which is no reason to leave the others."""
    answer = found.client.get_call(call_id)
    if answer is None:
        return False
    return _take_over(answer, found.country, now) is not None


def _take_over(answer: dict[str, object], country: str, now: datetime) -> Call | None:
    try:
        return transaction(partial(reconcile.take_over, answer, country, now, now))
    except (calls.NotOursError, UnreadableError) as error:
        log.warning("a call of Retell's is not taken over", call_id=answer.get("call_id"), error=str(error))
    except Exception as error:
        db.session.rollback()
        log.error("a call of Retell's could not be taken over", call_id=answer.get("call_id"), exc_info=error)
    return None


def _read(work: Callable[[], T]) -> T:
    """Read, and leave no transaction open while Retell is asked."""
    try:
        return work()
    finally:
        db.session.rollback()


# ---- Holds past their time ----------------------------------------------------------------------------------


def settle_holds(now: datetime) -> None:
    """Charge, release or extend holds past their time."""
    with all_tenants("the worker serves every company"):
        overdue = ledger.overdue_holds(now)
    end = time.monotonic() + MOST_SECONDS
    for company_id, call_id in overdue:
        if time.monotonic() > end:
            return
        with tenant_scope(company_id):
            try:
                _settle_hold(call_id, now)
            except Exception as error:
                db.session.rollback()
                log.error("a hold could not be settled", company_id=company_id, call_id=call_id, exc_info=error)


def _settle_hold(call_id: int, now: datetime) -> None:
    """Ask Retell about a call whose end nobody reported; where there is no key that opens anything, decide alone."""
    running = _read(lambda: db.session.scalar(select(Call.call_id).where(Call.id == call_id, _RUNNING)))
    found = account() if running else None
    if running is None or found is None:
        transaction(partial(_settle_alone, call_id, now))
        return
    try:
        answer = found.client.get_call(running)
    except RetellUnavailable as problem:
        log.warning("Retell does not answer", call_id=call_id, error=str(problem), http=problem.status)
        transaction(partial(_keep, call_id, now + ASK_AGAIN))
        return
    except RetellProblem as problem:
        log.error("Retell refuses to tell of a call", call_id=call_id, error=str(problem), http=problem.status)
        answer = None
    if answer is not None and not reconcile.is_over(answer):
        transaction(partial(_keep, call_id, now + ledger.HOLD_LASTS))
        return
    if answer is not None:
        _take_over(answer, found.country, now)
    transaction(partial(_settle_alone, call_id, now))


_RUNNING = Call.status == "in_progress"


def _keep(call_id: int, until: datetime) -> None:
    ledger.extend(db.session.get_one(Call, call_id, populate_existing=True), until)


def _settle_alone(call_id: int, now: datetime) -> None:
    """By what is known here: a call that has ended is charged, for any other one the hold is given back."""
    ledger.lock()
    try:
        ledger.settle_overdue(db.session.get_one(Call, call_id, populate_existing=True), now)
    except ledger.NoRateError as error:
        log.warning("a call waits for a rate", call_id=call_id, error=error.message)


PERIODIC = {"retell.calls": (EVERY, catch_up), "holds": (HOLDS_EVERY, settle_holds)}
