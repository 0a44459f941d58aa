"""Writes the mails to customers: what has been asked for with a change, and reminders when their time has come."""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from portal import i18n, mailer, settings
from portal.db import db, transaction, utcnow
from portal.domain import customer_mail, customer_mail_settings, ical, reminders
from portal.domain import customer_mail_words as words
from portal.domain.customer_mail import Case
from portal.domain.customer_mail_settings import Wishes
from portal.domain.customer_mail_words import Facts
from portal.domain.reminders import Braked, Waiting
from portal.models import Company
from portal.tenancy import all_tenants, current_company_id, tenant_scope

log = structlog.get_logger()

EVERY = 120  # seconds


# ---- What was asked for -----------------------------------------------------------------------------------------


def write(payload: dict[str, Any]) -> None:
    """One mail, as things stand now; nothing where there is nothing to tell any more."""
    transaction(lambda: _write(payload, utcnow()))


def _write(payload: dict[str, Any], now: datetime) -> None:
    kind, customer_id = str(payload["kind"]), int(payload["customer_id"])
    was, until = payload.get("was"), payload.get("until")
    case = customer_mail.take_up(kind, int(payload["appointment_id"]), customer_id, now, was, until)
    if case is None:
        return
    full = customer_mail.brake(customer_id, now)
    if full == "company":
        customer_mail.put_off(payload)
        customer_mail.tell_of_brake(now)
    elif not full:
        post(case, now)


def post(case: Case, now: datetime) -> bool:
    """Put the mail into the outbox; False when it stands there already."""
    is_new = _post(case.kind, case.facts, case.address, case.key, now)
    if is_new:
        customer_mail.written(case, now)
    return is_new


def post_sample(kind: str, facts: Facts, to: str, token: str, now: datetime) -> bool:
    """The same about an invented appointment."""
    return _post(kind, facts, to, customer_mail.sample_key(current_company_id(), token), now)


def _post(kind: str, facts: Facts, to: str, key: str, now: datetime) -> bool:
    with i18n.speaking(facts.language, facts.zone):
        letter = words.letter(kind, facts)
        ours, host = parseaddr(settings().mail_from)[1], ical.host_of(settings().portal_base_url)
        return mailer.send(
            "appointment",
            to,
            letter.subject,
            language=facts.language,
            company_id=current_company_id(),
            company_name=facts.company,
            dedupe_key=key,
            attachments=[words.attachment(facts, letter, host, ours, to, now)],
            sender_name=facts.sender,
            reply_to=facts.reply_to or None,
            letter=letter,
        )


# ---- Reminders --------------------------------------------------------------------------------------------------


def remind(now: datetime) -> None:
    """Every company that wants it."""
    with all_tenants("the worker serves every company"):
        companies = db.session.execute(select(Company.id, Company.settings).where(Company.is_active)).all()
    for company_id, stored in companies:
        wishes = customer_mail_settings.of(stored)
        if wishes.reminder:
            with tenant_scope(company_id):
                _remind_all(wishes, now)


def _remind_all(wishes: Wishes, now: datetime) -> None:
    """One company's, a chunk after the other and a transaction for each mail."""
    after: Waiting | None = None
    while chunk := reminders.waiting(wishes, now, after):
        due = [one for one in chunk if reminders.is_due(one, wishes, now)]
        try:
            for one in due:
                _try(one, now)
        except Braked:
            transaction(lambda: customer_mail.tell_of_brake(now))
            return
        after = chunk[-1]


def _try(one: Waiting, now: datetime) -> None:
    """A mail that cannot be written holds up no other one."""
    try:
        transaction(partial(remind_one, one, now))
    except Braked:
        raise
    except Exception as error:
        db.session.rollback()
        log.error("reminder not written", company_id=current_company_id(), appointment_id=one.id, exc_info=error)


def remind_one(one: Waiting, now: datetime) -> bool:
    """Claim and write one reminder, in one transaction; False when somebody was first."""
    case = reminders.claim(one, now)
    return case is not None and post(case, now)


OUTBOX = {customer_mail.TELL: write}
PERIODIC = {"customer_mail.reminders": (EVERY, remind)}
