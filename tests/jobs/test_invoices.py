"""The worker's part of invoices: the file once, the mail once, and nothing left out."""

from __future__ import annotations

import base64
import io
from decimal import Decimal
from typing import Any

import pytest
from facturx import get_xml_from_pdf
from pypdf import PdfReader
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import billing_details, invoice_documents, invoices
from portal.jobs import invoices as job
from portal.jobs import worker
from portal.models import BalanceTopup, EmailOutbox, Invoice
from portal.tenancy import all_tenants, tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_invoice, make_topup, within


def mails() -> list[EmailOutbox]:
    with all_tenants("the test reads the outbox"):
        return list(db.session.scalars(select(EmailOutbox).order_by(EmailOutbox.id)))


def stored(firm: Firm, invoice_id: int) -> Invoice:
    with tenant_scope(firm.id):
        found = invoice_documents.load(invoice_id)
    assert found is not None
    return found


def test_the_file_is_made_after_the_commit_and_mailed_to_the_owner(cast: Cast) -> None:
    made = make_invoice(cast.salon)
    assert stored(cast.salon, made.id).pdf is None
    worker.drain_outbox(utcnow())
    pdf = stored(cast.salon, made.id).pdf
    assert pdf is not None
    (mail,) = mails()
    assert (mail.recipient, mail.subject) == (cast.salon.owner.email, f"Ihre Rechnung {made.number}")
    assert "Vielen Dank für Ihre Aufladung" in mail.text_body
    assert mail.html_body is not None
    assert "119,00" in mail.html_body
    (attached,) = mail.attachments or []
    assert (attached["name"], attached["content_type"]) == (f"{made.number}.pdf", "application/pdf")
    assert base64.b64decode(attached["base64"]) == pdf
    assert get_xml_from_pdf(pdf)[0] == "factur-x.xml"


def test_running_twice_sends_once_and_keeps_the_first_file(cast: Cast) -> None:
    made = make_invoice(cast.salon)
    payload: dict[str, Any] = {"invoice_id": made.id}
    with tenant_scope(cast.salon.id):
        job.make_pdf(payload)
    first = stored(cast.salon, made.id)
    within(cast.salon, lambda: setattr(billing_details.company(), "invoice_email", "new@salon.example"))
    with tenant_scope(cast.salon.id):
        job.make_pdf(payload)
    again = stored(cast.salon, made.id)
    assert (again.pdf, again.pdf_sha256) == (first.pdf, first.pdf_sha256)
    assert len(mails()) == 1


def test_a_worker_that_was_stopped_between_file_and_mail_goes_on(cast: Cast) -> None:
    """Somebody opened the page meanwhile, so the file is there; the mail is not."""
    made = make_invoice(cast.salon)
    pdf = invoice_pdf_of(cast.salon, made)
    within(cast.salon, lambda: invoices.keep_pdf(made.id, pdf))
    worker.drain_outbox(utcnow())
    assert [base64.b64decode(item["base64"]) for item in mails()[0].attachments or []] == [pdf]


def invoice_pdf_of(firm: Firm, made: Invoice) -> bytes:
    with tenant_scope(firm.id):
        loaded = invoice_documents.load(made.id)
        assert loaded is not None
        return invoice_documents.render(loaded, utcnow())


def test_history_that_is_loaded_in_gets_files_but_no_mails(cast: Cast) -> None:
    topup = make_topup(cast.salon, status="completed", completed_at=utcnow())
    made = within(cast.salon, lambda: invoices.issue_for_topup(db.session.merge(topup), utcnow(), announce=False))
    assert made is not None
    worker.drain_outbox(utcnow())
    assert stored(cast.salon, made.id).pdf is not None
    assert mails() == []


@pytest.mark.parametrize(("language", "subject"), [("de", "Storno zu Ihrer Rechnung"), ("en", "Cancellation of your")])
def test_a_refund_is_told_in_the_customers_language(cast: Cast, language: str, subject: str) -> None:
    within(cast.salon, lambda: setattr(billing_details.company(), "language", language))
    make_topup(cast.salon, status="refunded", completed_at=utcnow(), refunded_amount=Decimal("119.00"))
    job.issue_missing(utcnow())
    worker.drain_outbox(utcnow())
    assert len(mails()) == 2
    assert mails()[1].subject.startswith(subject)


def test_top_ups_without_their_invoice_get_one(cast: Cast) -> None:
    topups = [make_topup(firm, status="completed", completed_at=utcnow()) for firm in (cast.salon, cast.praxis)]
    worker.run_periodic(utcnow())
    job.issue_missing(utcnow())
    with all_tenants("the test looks at every company"):
        assert set(db.session.scalars(select(Invoice.topup_id))) == {topup.id for topup in topups}
        numbers = set(db.session.scalars(select(BalanceTopup.invoice_number)))
    assert len(numbers) == 2


def test_the_paper_names_the_portals_customer(cast: Cast) -> None:
    made = make_invoice(cast.praxis)
    text = PdfReader(io.BytesIO(invoice_pdf_of(cast.praxis, made))).pages[0].extract_text()
    assert "Praxis Test" in text
    assert made.number in text


def test_an_order_for_a_document_that_never_came_to_be_is_done(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        job.make_pdf({"invoice_id": 987654321})
    assert mails() == []


def test_a_topup_asks_for_its_invoice_and_the_worker_makes_it(cast: Cast) -> None:
    firm = cast.salon
    topup = make_topup(firm, status="completed", completed_at=utcnow())
    with tenant_scope(firm.id):
        job.document_topup({"topup_id": topup.id})
        job.document_topup({"topup_id": topup.id})
        made = db.session.scalars(select(Invoice).where(Invoice.topup_id == topup.id)).all()
    assert [(one.kind, one.gross_amount) for one in made] == [("invoice", topup.gross_amount)]
