"""What a stored invoice says, in its own language, and the file that is made of it."""

from __future__ import annotations

from datetime import date, datetime

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload, undefer

from portal import formats
from portal.db import db
from portal.domain import einvoice, vat
from portal.domain.einvoice import Document, Party
from portal.domain.invoices import ISSUER_ZONE
from portal.models import Invoice


def load(invoice_id: int) -> Invoice | None:
    """This company's document with its lines, its top-up and its file."""
    return db.session.scalar(
        select(Invoice)
        .where(Invoice.id == invoice_id)
        .options(selectinload(Invoice.lines), joinedload(Invoice.topup), undefer(Invoice.pdf))
        .execution_options(populate_existing=True)
    )


def document(invoice: Invoice) -> Document:
    """What the document says, in its own language. ``invoice`` as :func:`load` gives it."""
    corrects = db.session.get_one(Invoice, invoice.corrects_id) if invoice.corrects_id else None
    seller, customer = Party.from_snapshot(invoice.seller), Party.from_snapshot(invoice.customer)
    kind = vat.TaxKind(invoice.tax_category)
    with force_locale(invoice.language):
        exemption = _exemption(kind)
        notes = [*_about(invoice, corrects), exemption and _with_ids(exemption, kind, seller, customer)]
        paid = _paid(invoice)
    return Document(
        kind=invoice.kind,
        number=invoice.number,
        issued_on=invoice.issued_on,
        supplied_on=invoice.supplied_on,
        language=invoice.language,
        currency=invoice.currency,
        seller=seller,
        customer=customer,
        tax_kind=kind,
        tax_rate=invoice.tax_rate,
        net=invoice.net_amount,
        tax=invoice.tax_amount,
        gross=invoice.gross_amount,
        lines=tuple(
            einvoice.Line(line.description, line.quantity, line.unit_price, line.net_amount) for line in invoice.lines
        ),
        notes=tuple(note for note in notes if note),
        exemption=exemption,
        paid=paid,
        corrects=einvoice.Reference(corrects.number, corrects.issued_on) if corrects else None,
    )


def _about(invoice: Invoice, corrects: Invoice | None) -> list[str]:
    """What kind of document this is, in sentences."""
    if corrects is None:
        return [
            _(
                "Advance payment for services not yet rendered: the balance is used up by future calls, for which no "
                "further invoice is issued."
            )
        ]
    which = {"number": corrects.number, "day": _day(invoice, corrects.issued_on)}
    if invoice.kind == "storno":
        about = _("This document cancels invoice %(number)s of %(day)s in full.", **which)
    elif invoice.gross_amount < 0:
        about = _("This document reduces invoice %(number)s of %(day)s by the amount shown.", **which)
    else:
        about = _("This document takes an earlier reduction of invoice %(number)s of %(day)s back.", **which)
    return [about, _reason(invoice)]


def _reason(invoice: Invoice) -> str:
    if not invoice.reason or (invoice.gross_amount >= 0 and invoice.reason in {"refund", "chargeback"}):
        return ""
    words = {"refund": _("refund of the payment"), "chargeback": _("payment charged back by the bank")}
    return str(_("Reason: %(reason)s.", reason=words.get(invoice.reason, invoice.reason.rstrip("."))))


def _exemption(kind: vat.TaxKind) -> str:
    if kind is vat.TaxKind.SMALL_BUSINESS:
        return str(_("Exempt from VAT under § 19 UStG (small business)."))
    if kind is vat.TaxKind.REVERSE_CHARGE:
        return str(_("Reverse charge: the customer owes the VAT (§ 13b UStG, Art. 196 Directive 2006/112/EC)."))
    return ""


def _with_ids(exemption: str, kind: vat.TaxKind, seller: Party, customer: Party) -> str:
    if kind is not vat.TaxKind.REVERSE_CHARGE:
        return exemption
    ids = _("VAT ids: issuer %(issuer)s, customer %(customer)s.", issuer=seller.vat_id, customer=customer.vat_id)
    return f"{exemption} {ids}"


def _paid(invoice: Invoice) -> str:
    day = _day(invoice, invoice.supplied_on)
    if invoice.gross_amount < 0:
        return str(_("Paid back on %(day)s.", day=day))
    label = invoice.topup.payment_label if invoice.topup_id and invoice.topup else None
    if label:
        return str(_("Paid on %(day)s with %(means)s. Nothing is due.", day=day, means=label))
    return str(_("Paid on %(day)s. Nothing is due.", day=day))


def _day(invoice: Invoice, day: date) -> str:
    return formats.day(day, invoice.language, ISSUER_ZONE)


def render(invoice: Invoice, now: datetime) -> bytes:
    """The PDF of a document that has none yet; takes a second, so outside of any transaction."""
    from portal.domain import invoice_pdf

    said = document(invoice)
    return invoice_pdf.render(said, einvoice.xml(said), now)


def xml_in(pdf: bytes) -> bytes:
    """The e-invoice that the file carries."""
    from facturx import get_xml_from_pdf

    _name, content = get_xml_from_pdf(pdf, check_xsd=False)
    return bytes(content)
