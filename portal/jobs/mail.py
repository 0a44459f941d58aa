"""Sends what waits in the mail outbox."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from flask import current_app

from portal import settings
from portal.clients.mail import Attachment, Mail, MailError, mailer, message_id
from portal.db import transaction, utcnow
from portal.domain import customer_mail
from portal.domain import mail as outbox
from portal.models import EmailOutbox
from portal.tenancy import all_tenants, tenant_scope

T = TypeVar("T")


def send_due(now: datetime) -> None:
    """One attempt for every mail whose time has come."""
    with all_tenants("the worker serves every company"):
        waiting = outbox.due(now)
    for mail_id in waiting:
        row = _in_transaction(partial(outbox.claim, mail_id, now))
        if row is not None and _says_what_is_so(row, now):
            _send(row)


def _says_what_is_so(row: EmailOutbox, now: datetime) -> bool:
    """A mail to a customer is withdrawn when its appointment has changed since it was written."""
    key = customer_mail.read_key(row.dedupe_key)
    if key is None:
        return True

    def look() -> bool:
        with tenant_scope(key.company_id):
            is_so = customer_mail.still_true(key, row.recipient, now)
            if not is_so:
                customer_mail.withdraw(row)
            return is_so

    return transaction(look)


def _send(row: EmailOutbox) -> None:
    server = mailer(settings().smtp_url, Path(current_app.instance_path) / "mail")
    try:
        server.send(_as_mail(row))
    except MailError as error:
        message = str(error)
        _in_transaction(lambda: _failed(row, message))
    else:
        _in_transaction(lambda: outbox.sent(row.id, utcnow()))


def _failed(row: EmailOutbox, message: str) -> None:
    if outbox.failed(row.id, row.attempts, message, utcnow()) and customer_mail.read_key(row.dedupe_key):
        customer_mail.give_up(row)


def _as_mail(row: EmailOutbox) -> Mail:
    attachments = [
        Attachment(item["name"], item["content_type"], base64.b64decode(item["base64"]))
        for item in row.attachments or []
    ]
    host = urlsplit(settings().portal_base_url).hostname or "localhost"
    return Mail(
        settings().mail_from,
        row.recipient,
        row.subject,
        row.text_body,
        row.html_body,
        message_id(f"mail-{row.id}", host),
        attachments,
        row.sender_name,
        row.reply_to,
    )


def _in_transaction(work: Callable[[], T]) -> T:
    def within() -> T:
        with all_tenants("the worker serves every company"):
            return work()

    return transaction(within)


PERIODIC = {"mail": (5, send_due)}
