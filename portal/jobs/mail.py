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
from portal.domain import mail as outbox
from portal.models import EmailOutbox
from portal.tenancy import all_tenants

T = TypeVar("T")


def send_due(now: datetime) -> None:
    """One attempt for every mail whose time has come."""
    with all_tenants("the worker serves every company"):
        waiting = outbox.due(now)
    for mail_id in waiting:
        if (row := _in_transaction(partial(outbox.claim, mail_id, now))) is not None:
            _send(row)


def _send(row: EmailOutbox) -> None:
    server = mailer(settings().smtp_url, Path(current_app.instance_path) / "mail")
    try:
        server.send(_as_mail(row))
    except MailError as error:
        message = str(error)
        _in_transaction(lambda: outbox.failed(row.id, row.attempts, message, utcnow()))
    else:
        _in_transaction(lambda: outbox.sent(row.id, utcnow()))


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
    )


def _in_transaction(work: Callable[[], T]) -> T:
    def within() -> T:
        with all_tenants("the worker serves every company"):
            return work()

    return transaction(within)


PERIODIC = {"mail": (5, send_due)}
