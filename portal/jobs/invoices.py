"""Makes the files of invoices, sends each of them once, and issues what was left out."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import partial
from typing import Any

from flask_babel import lazy_gettext as _l

from portal import mailer, settings
from portal.db import transaction, utcnow
from portal.domain import billing_details, invoice_documents, invoices
from portal.models import Invoice
from portal.tenancy import all_tenants, tenant_scope


def document_topup(payload: dict[str, Any]) -> None:
    """Bring a top-up's documents to where its money is."""
    topup_id, reason = int(payload["topup_id"]), str(payload.get("reason", "refund"))
    transaction(lambda: invoices.catch_up(topup_id, utcnow(), reason))


def make_pdf(payload: dict[str, Any]) -> None:
    """Draw the file outside of any transaction, keep it, and write the mail with it."""
    invoice = invoice_documents.load(int(payload["invoice_id"]))
    if invoice is None:
        return
    pdf = invoice.pdf or invoice_documents.render(invoice, utcnow())
    transaction(partial(_keep_and_send, invoice.id, pdf, bool(payload.get("announce", True))))


def _keep_and_send(invoice_id: int, pdf: bytes, announce: bool) -> None:
    invoices.keep_pdf(invoice_id, pdf)
    invoice = invoice_documents.load(invoice_id)
    assert invoice is not None
    assert invoice.pdf is not None
    if announce:
        _send(invoice, invoice.pdf)


def _send(invoice: Invoice, pdf: bytes) -> None:
    company = billing_details.company()
    attachment = {
        "name": f"{invoice.number}.pdf",
        "content_type": "application/pdf",
        "base64": base64.b64encode(pdf).decode(),
    }
    for place, recipient in enumerate(billing_details.recipients(company)):
        mailer.send(
            "invoice",
            recipient,
            _subject(invoice),
            language=invoice.language,
            company_id=company.id,
            dedupe_key=f"invoice:{invoice.id}:{place}",
            attachments=[attachment],
            invoice=invoice,
            url=f"{settings().portal_base_url}/balance/invoices",
        )


def _subject(invoice: Invoice) -> Any:
    """Lazy: the mail is written in the document's language."""
    if invoice.kind == "invoice":
        return _l("Your invoice %(number)s", number=invoice.number)
    if invoice.kind == "storno":
        return _l("Cancellation of your invoice: %(number)s", number=invoice.number)
    return _l("Correction of your invoice: %(number)s", number=invoice.number)


def issue_missing(now: datetime) -> None:
    """Paid top-ups whose documents are behind the money, one transaction each."""
    with all_tenants("the worker serves every company"):
        behind = invoices.behind()
    for company_id, topup_id in behind:
        with tenant_scope(company_id):
            transaction(partial(invoices.catch_up, topup_id, now))


OUTBOX = {invoices.MAKE_PDF: make_pdf, "invoice_topup": document_topup}
PERIODIC = {"invoices.missing": (15 * 60, issue_missing)}
