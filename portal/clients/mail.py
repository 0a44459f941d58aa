"""Sends mail through SMTP, or, where no server is set, into files that a developer can open."""

from __future__ import annotations

import base64
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

TIMEOUT = 20  # seconds


class MailError(RuntimeError):
    """The server cannot be reached or refuses the mail; it may be tried again."""


@dataclass(frozen=True)
class Attachment:
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Mail:
    """One mail to one person. ``message_id`` is the same for every attempt, so that a second one can be recognised."""

    sender: str
    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str
    attachments: list[Attachment] = field(default_factory=list)

    def as_message(self) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, self.recipient, self.subject
        message["Date"], message["Message-ID"] = formatdate(), self.message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        if self.html:
            message.add_alternative(self.html, subtype="html")
        for item in self.attachments:
            kind, _, subtype = item.content_type.partition("/")
            message.add_attachment(item.content, maintype=kind, subtype=subtype, filename=item.name)
        return message


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Deliver or raise :class:`MailError`."""


class FileMailer:
    """Writes ``.eml`` files into a folder; for development, where no SMTP server is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, mail: Mail) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = base64.urlsafe_b64encode(mail.message_id.encode())[:40].decode()
        (self.folder / f"{name}.eml").write_bytes(bytes(mail.as_message()))


class SmtpMailer:
    """``smtp://user:password@host:587`` (STARTTLS) or ``smtps://…:465``."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)

    def send(self, mail: Mail) -> None:
        try:
            with self._connect() as server:
                if self.url.username:
                    server.login(unquote(self.url.username), unquote(self.url.password or ""))
                server.send_message(mail.as_message())
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(str(error)) from error

    def _connect(self) -> smtplib.SMTP:
        host, context = self.url.hostname or "localhost", ssl.create_default_context()
        if self.url.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self.url.port or 465, timeout=TIMEOUT, context=context)
        server = smtplib.SMTP(host, self.url.port or 587, timeout=TIMEOUT)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        return server


def mailer(smtp_url: str, folder: Path) -> Mailer:
    return SmtpMailer(smtp_url) if smtp_url else FileMailer(folder)


def message_id(key: str, domain: str) -> str:
    """A Message-ID made of our own key."""
    return f"<{key}@{domain}>" if key else make_msgid(domain=domain)
