"""Invoices: one for every paid top-up, and a further document for every part of it that goes back.

Documents follow the money and are never changed: triggers refuse it. Their numbers come from one row per issuer and
year, locked until the transaction ends, so that a rollback leaves no gap. The PDF is made after the commit, once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from portal.db import db, rows_changed
from portal.domain import audit, billing_details, ledger, outbox, vat
from portal.domain.einvoice import Party
from portal.models import BalanceTopup, Invoice, InvoiceLine, InvoiceSequence

ZERO, ONE = Decimal("0.00"), Decimal("1.00")
# The issuer is in Germany: its day and its year count, wherever the customer sits.
ISSUER_ZONE = ZoneInfo("Europe/Berlin")
PAID = ("completed", "refunded")
# What somebody paid for. Credit that was given is no sale.
INVOICED = ("stripe", "bank_transfer")
MAKE_PDF = "invoice_pdf"


@dataclass(frozen=True)
class Issuer:
    """Who issues, from the settings (``SELLER_…``)."""

    name: str
    street: str
    postal_code: str
    city: str
    country: str
    tax_number: str
    vat_id: str
    email: str
    phone: str
    small_business: bool

    @property
    def key(self) -> str:
        """What its numbers are counted by: a corrected name or address goes on with the same sequence."""
        return (self.vat_id or self.tax_number or self.name)[:100]

    def party(self) -> Party:
        return Party(
            name=self.name,
            lines=(self.street,),
            postal_code=self.postal_code,
            city=self.city,
            country=self.country,
            vat_id=self.vat_id,
            tax_number=self.tax_number,
            email=self.email,
            phone=self.phone,
        )


_issuer: Issuer | None = None


def configure(issuer: Issuer) -> None:
    """Set who issues from now on; documents that exist keep theirs."""
    global _issuer
    _issuer = issuer


def issuer() -> Issuer:
    assert _issuer is not None, "invoices.configure() was not called"
    return _issuer


# ---- Issuing ----------------------------------------------------------------------------------------------


def issue_for_topup(topup: BalanceTopup, now: datetime, *, announce: bool = True) -> Invoice | None:
    """The invoice of a paid top-up: the one there is, or a new one; None for credit that nobody paid for.

    Call it in the transaction that completes the top-up. ``announce=False`` sends no mail (imported history).
    """
    if topup.payment_method not in INVOICED:
        return None
    ledger.lock()
    if (known := of_topup(topup.id)) is not None:
        return known
    customer = _customer(topup)
    split = vat.TaxSplit(
        _tax_kind(topup, customer), topup.tax_rate / 100, topup.amount, topup.tax_amount, topup.gross_amount
    )
    made = _issue(
        "invoice",
        split,
        now,
        topup_id=topup.id,
        supplied_on=local_day(topup.completed_at or now),
        customer=customer,
        announce=announce,
    )
    topup.invoice_number, topup.invoice_url = made.number, f"/balance/invoices/{made.id}.pdf"
    db.session.flush()
    return made


def cancel_for_topup(
    topup: BalanceTopup, refunded_gross: Decimal, reason: str, now: datetime, *, announce: bool = True
) -> Invoice | None:
    """Bring the documents of a top-up to what has gone back of it so far; None when they say so already.

    ``refunded_gross``: the total in euros, tax included. All at once makes a Storno, a part a correction, and money
    that comes back after all (a dispute won) a correction upwards. ``reason``: refund, chargeback, or a sentence.
    """
    original = issue_for_topup(topup, now, announce=announce)
    if original is None:
        return None
    further = _corrections(original.id)
    before = -sum((document.gross_amount for document in further), ZERO)
    if before == refunded_gross:
        return None
    whole = _split_of(original)
    gone, going = vat.part_of(whole, before), vat.part_of(whole, refunded_gross)
    change = replace(whole, net=gone.net - going.net, tax=gone.tax - going.tax, gross=gone.gross - going.gross)
    at_once = not further and refunded_gross == whole.gross
    return _issue(
        "storno" if at_once else "correction",
        change,
        now,
        # The key (kind, topup_id) allows one invoice and one Storno for a top-up, and any number of corrections.
        topup_id=topup.id if at_once else None,
        supplied_on=local_day(now),
        customer=Party.from_snapshot(original.customer),
        corrects=original,
        reason=reason,
        announce=announce,
    )


def of_topup(topup_id: int) -> Invoice | None:
    return db.session.scalar(select(Invoice).where(Invoice.topup_id == topup_id, Invoice.kind == "invoice"))


def local_day(moment: datetime) -> date:
    """The issuer's calendar day."""
    return moment.astimezone(ISSUER_ZONE).date()


def _issue(
    kind: str,
    split: vat.TaxSplit,
    now: datetime,
    *,
    topup_id: int | None,
    supplied_on: date,
    customer: Party,
    corrects: Invoice | None = None,
    reason: str | None = None,
    announce: bool,
) -> Invoice:
    company = billing_details.company()
    language = corrects.language if corrects else company.language
    made = Invoice(
        company_id=company.id,
        topup_id=topup_id,
        kind=kind,
        corrects_id=corrects.id if corrects else None,
        number=_next_number(local_day(now).year),
        issued_on=local_day(now),
        supplied_on=supplied_on,
        # A Storno takes back what was issued, so it names the same issuer.
        seller=corrects.seller if corrects else issuer().party().snapshot(),
        customer=customer.snapshot(),
        language=language,
        tax_category=str(split.kind),
        tax_rate=split.rate * 100,
        net_amount=split.net,
        tax_amount=split.tax,
        gross_amount=split.gross,
        reason=reason,
    )
    db.session.add(made)
    db.session.flush()
    db.session.add(_line(made))
    audit.record(f"invoice.{kind}_issued", made, new={"number": made.number, "gross": str(made.gross_amount)})
    outbox.enqueue(
        MAKE_PDF,
        {"invoice_id": made.id, "announce": announce},
        company_id=made.company_id,
        dedupe_key=f"{MAKE_PDF}:{made.id}",
    )
    db.session.flush()
    return made


def _line(made: Invoice) -> InvoiceLine:
    with force_locale(made.language):
        words = {
            "invoice": _("Balance top-up: advance payment for calls answered by the AI receptionist"),
            "storno": _("Balance top-up: cancellation"),
            "correction": _("Balance top-up: correction"),
        }
    back = made.gross_amount < 0
    return InvoiceLine(
        company_id=made.company_id,
        invoice_id=made.id,
        position=1,
        description=words[made.kind],
        quantity=-ONE if back else ONE,
        unit_price=abs(made.net_amount),
        net_amount=made.net_amount,
        tax_rate=made.tax_rate,
    )


def _next_number(year: int) -> str:
    """The next number of this year, drawn under a lock that ends with the transaction."""
    key = issuer().key
    if not any(row.issuer == key for row in _sequences(year)):
        _open_sequence(key, year)
    # All issuers of the year are locked and counted together, because a number is unique whoever has issued it.
    rows = _sequences(year)
    own = next(row for row in rows if row.issuer == key)
    own.last_number = max(row.last_number for row in rows) + 1
    db.session.flush()
    return f"RE-{year}-{own.last_number:04}"


def _sequences(year: int) -> list[InvoiceSequence]:
    return list(
        db.session.scalars(
            select(InvoiceSequence)
            .where(InvoiceSequence.year == year)
            .order_by(InvoiceSequence.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _open_sequence(key: str, year: int) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(InvoiceSequence(issuer=key, year=year))
    except IntegrityError:
        pass  # another process was first


def _customer(topup: BalanceTopup) -> Party:
    """The customer as known at this moment; the VAT id on which the tax was decided stays the top-up's."""
    details = billing_details.of(billing_details.company())
    noted = (topup.topup_metadata or {}).get("vat_id")
    return Party(
        name=details.name,
        lines=details.lines,
        postal_code=details.postal_code,
        city=details.city,
        country=details.country,
        vat_id=str(noted or details.vat_id),
        email=details.email,
    )


def _tax_kind(topup: BalanceTopup, customer: Party) -> vat.TaxKind:
    """Why there is tax or none: as noted when the payment began, else what the figures allow."""
    if topup.tax_rate:
        return vat.TaxKind.STANDARD
    noted = (topup.topup_metadata or {}).get("tax_kind")
    if noted in set(vat.TaxKind) - {vat.TaxKind.STANDARD}:
        return vat.TaxKind(noted)
    abroad = customer.country != issuer().country
    return vat.TaxKind.REVERSE_CHARGE if abroad and not issuer().small_business else vat.TaxKind.SMALL_BUSINESS


def _split_of(document: Invoice) -> vat.TaxSplit:
    return vat.TaxSplit(
        vat.TaxKind(document.tax_category),
        document.tax_rate / 100,
        document.net_amount,
        document.tax_amount,
        document.gross_amount,
    )


def _corrections(invoice_id: int) -> list[Invoice]:
    return list(db.session.scalars(select(Invoice).where(Invoice.corrects_id == invoice_id)))


# ---- What is missing --------------------------------------------------------------------------------------


def behind(limit: int = 200) -> list[tuple[int, int]]:
    """(company id, top-up id) of paid top-ups whose documents are not what they should be. Needs ``all_tenants``."""
    issued, back = aliased(Invoice), aliased(Invoice)
    has_invoice = exists().where(issued.topup_id == BalanceTopup.id, issued.kind == "invoice")
    corrected = (
        select(func.coalesce(func.sum(back.gross_amount), 0))
        .join(issued, issued.id == back.corrects_id)
        .where(issued.topup_id == BalanceTopup.id, issued.kind == "invoice")
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(BalanceTopup.company_id, BalanceTopup.id)
        .where(
            BalanceTopup.status.in_(PAID),
            BalanceTopup.payment_method.in_(INVOICED),
            or_(~has_invoice, BalanceTopup.refunded_amount + corrected != 0),
        )
        .order_by(BalanceTopup.id)
        .limit(limit)
    )
    return [(company_id, topup_id) for company_id, topup_id in rows]


def catch_up(topup_id: int, now: datetime, reason: str = "refund") -> None:
    """Make the documents that a top-up still lacks; nothing where there are none to make."""
    ledger.lock()
    topup = db.session.get_one(BalanceTopup, topup_id, populate_existing=True)
    if topup.status in PAID:
        cancel_for_topup(topup, topup.refunded_amount, reason, now)


def keep_pdf(invoice_id: int, pdf: bytes) -> bool:
    """Add the file to its document, once; False when another process was first."""
    return bool(
        rows_changed(
            update(Invoice)
            .where(Invoice.id == invoice_id, Invoice.pdf.is_(None))
            .values(pdf=pdf, pdf_sha256=hashlib.sha256(pdf).hexdigest())
        )
    )
