"""Writes a mail from its two templates, in the reader's language, into the outbox."""

from __future__ import annotations

from typing import Any

from flask import render_template
from flask_babel import force_locale

from portal import settings
from portal.domain import mail


def send(
    template: str,
    recipient: str,
    subject: str,
    *,
    language: str,
    company_id: int | None,
    company_name: str | None = None,
    dedupe_key: str | None = None,
    attachments: list[dict[str, Any]] | None = None,
    sender_name: str | None = None,
    reply_to: str | None = None,
    **context: Any,
) -> bool:
    """Render ``email/<template>.txt`` and ``.html`` and queue them; False when this mail is known already.

    ``subject`` may be lazy and is translated here. Needs a transaction; the worker sends after its commit.
    """
    with force_locale(language):
        text, html = render(template, str(subject), company_name=company_name, **context)
        return mail.queue(
            recipient,
            str(subject),
            text,
            html,
            company_id=company_id,
            dedupe_key=dedupe_key,
            attachments=attachments,
            sender_name=sender_name,
            reply_to=reply_to,
        )


def render(template: str, subject: str, *, company_name: str | None = None, **context: Any) -> tuple[str, str]:
    """A mail's text and HTML, in the language in force."""
    context |= {"company_name": company_name, "product_name": settings().product_name, "subject": subject}
    return render_template(f"email/{template}.txt", **context), render_template(f"email/{template}.html", **context)
