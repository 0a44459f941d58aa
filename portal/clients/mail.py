"""Sends mail through SMTP, or, where no server is set, into files that a developer can open."""

from __future__ import annotations

import base64
import smtplib
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.utils import formatdate, make_msgid, parseaddr
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
    """One mail to one person. ``message_id`` is the same for every attempt, so that a second one can be recognised.

    ``sender_name`` replaces the name beside the sender's address; answers go to ``reply_to``.
    """

    sender: str
    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str
    attachments: list[Attachment] = field(default_factory=list)
    sender_name: str | None = None
    reply_to: str | None = None

    def as_message(self) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._from(), self.recipient, self.subject
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        message["Date"], message["Message-ID"] = formatdate(), self.message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        if self.html:
            message.add_alternative(self.html, subtype="html")
        for item in self.attachments:
            kind, subtype, params = _parts_of(item.content_type)
            message.add_attachment(item.content, maintype=kind, subtype=subtype, filename=item.name, params=params)
        return message

    def _from(self) -> str | Address:
        if not self.sender_name:
            return self.sender
        return Address(self.sender_name, addr_spec=parseaddr(self.sender)[1])


def _parts_of(content_type: str) -> tuple[str, str, dict[str, str]]:
    """``text/calendar; method=REQUEST`` → ``text``, ``calendar``, ``{"method": "REQUEST"}``."""
    header = Message()
    header["Content-Type"] = content_type
    params = dict(header.get_params([])[1:])
    return header.get_content_maintype(), header.get_content_subtype(), params


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
