"""Mail goes out once, is tried again when the server is away, and is given up visibly."""

from __future__ import annotations

import base64
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from sqlalchemy import select

from portal.clients.mail import FileMailer, Mail, MailError
from portal.db import db, transaction, utcnow
from portal.domain import mail as outbox
from portal.jobs import mail as job
from portal.models import EmailOutbox
from portal.tenancy import all_tenants
from tests.cast import Cast


class Server:
    """A mail server that can be told to be away."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self.away = False

    def send(self, mail: Mail) -> None:
        if self.away:
            raise MailError("away")
        self.sent.append(mail)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(job, "mailer", lambda url, folder: made)
    return made


def queue(key: str | None = None) -> bool:
    attachment = {"name": "a.pdf", "content_type": "application/pdf", "base64": base64.b64encode(b"%PDF").decode()}
    with all_tenants("the test writes a mail"):
        return transaction(
            lambda: outbox.queue(
                "a@b.example", "Grüße", "Text", "<p>Text</p>", company_id=None, dedupe_key=key, attachments=[attachment]
            )
        )


def stored() -> EmailOutbox:
    with all_tenants("the test reads the outbox"):
        return db.session.scalars(select(EmailOutbox)).one()


def test_a_mail_is_sent_once_with_both_bodies_and_its_attachment(cast: Cast, server: Server) -> None:
    queue()
    job.send_due(utcnow())
    job.send_due(utcnow() + timedelta(days=1))
    (mail,) = server.sent
    message = mail.as_message()
    assert message["Subject"] == "Grüße"
    assert [part.get_content_type() for part in message.walk() if not part.is_multipart()] == [
        "text/plain",
        "text/html",
        "application/pdf",
    ]
    assert stored().status == "sent"


def test_the_same_key_is_queued_once(cast: Cast, server: Server) -> None:
    assert queue("k")
    assert not queue("k")


def test_a_server_that_is_away_gets_it_later_and_then_no_more(cast: Cast, server: Server) -> None:
    queue()
    server.away = True
    now = utcnow()
    job.send_due(now)
    job.send_due(now)
    assert (stored().status, stored().attempts) == ("pending", 1)
    server.away = False
    job.send_due(now + timedelta(days=1))
    assert len(server.sent) == 1
    assert stored().status == "sent"


def test_after_eight_attempts_it_is_failed_for_everybody_to_see(cast: Cast, server: Server) -> None:
    queue()
    server.away = True
    for day in range(outbox.MAX_ATTEMPTS + 2):
        job.send_due(utcnow() + timedelta(days=day))
    assert (stored().status, stored().attempts, stored().error) == ("failed", outbox.MAX_ATTEMPTS, "away")


def test_without_a_server_a_mail_becomes_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    FileMailer(folder).send(Mail("x@y.example", "a@b.example", "Hallo", "Text", None, "<1@y.example>"))
    (file,) = folder.iterdir()
    assert message_from_bytes(file.read_bytes())["Message-ID"] == "<1@y.example>"
