"""Invoices: the list, the files, and whom they are made out to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from flask import Blueprint, Response, abort, make_response, request, url_for
from flask_babel import gettext as _

from portal.db import transaction, utcnow
from portal.domain import billing_details, invoice_documents, invoice_list, invoices
from portal.domain.errors import DomainError
from portal.forms.invoices import BillingDetailsForm
from portal.htmx import page_or_part, see_other, toast, whole_page
from portal.models import Invoice
from portal.permissions import Permission, requires

bp = Blueprint("invoices", __name__, url_prefix="/balance")


@bp.get("/invoices")
@requires(Permission.VIEW_BALANCE)
def index() -> Response:
    years = invoice_list.years()
    year = request.args.get("year", type=int)
    year = year if year in years else None
    after = _key(request.args.get("after", ""))
    rows, more = invoice_list.page(year, after)
    last = rows[-1] if rows else None
    return page_or_part(
        "invoices/index.html",
        "invoices/_list.html",
        rows=rows,
        years=years,
        year=year,
        totals=invoice_list.totals(year),
        newest=url_for("invoices.index", year=year) if after else None,
        older=url_for("invoices.index", year=year, after=f"{last.issued_on}.{last.id}") if last and more else None,
        missing=_missing(),
    )


def _key(text: str) -> tuple[date, int] | None:
    """``2026-11-22.17``: the document after which the page begins; None for anything else."""
    day, _dot, number = text.partition(".")
    try:
        return date.fromisoformat(day), int(number)
    except ValueError:
        return None


def _missing() -> list[str]:
    """What the invoice address lacks, in words."""
    words = {"street": _("street and number"), "postal_code": _("postal code"), "city": _("town")}
    return [words[name] for name in billing_details.of(billing_details.company()).missing]


@bp.get("/invoices/<int:invoice_id>.pdf")
@requires(Permission.VIEW_BALANCE)
def pdf(invoice_id: int) -> Response:
    found, content = _file(invoice_id)
    return _download(content, "application/pdf", f"{found.number}.pdf")


@bp.get("/invoices/<int:invoice_id>.xml")
@requires(Permission.VIEW_BALANCE)
def xml(invoice_id: int) -> Response:
    """The e-invoice alone: the very bytes that the PDF carries."""
    found, content = _file(invoice_id)
    return _download(invoice_documents.xml_in(content), "application/xml", f"{found.number}.xml")


def _file(invoice_id: int) -> tuple[Invoice, bytes]:
    """A document and its PDF, which is made here where somebody is quicker than the worker."""
    found = invoice_documents.load(invoice_id)
    if found is None:
        abort(404)
    if found.pdf is None:
        made = invoice_documents.render(found, utcnow())
        if not transaction(lambda: invoices.keep_pdf(invoice_id, made)):
            found = invoice_documents.load(invoice_id) or abort(404)
            made = found.pdf or made
        return found, made
    return found, found.pdf


def _download(content: bytes, content_type: str, name: str) -> Response:
    response = make_response(content)
    response.headers["Content-Type"] = content_type
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@bp.route("/billing-details", methods=["GET", "POST"], endpoint="billing_details")
@requires(Permission.MANAGE_LIMITS)
def billing_details_page() -> Response:
    form = BillingDetailsForm(data=asdict(billing_details.of(billing_details.company())))
    if not form.validate_on_submit():
        return _billing_page(form, 422 if form.is_submitted() else 200)
    typed = form.details()
    try:
        transaction(lambda: billing_details.change(typed))
    except DomainError as error:
        form[error.field or "name"].errors = [error.message]
        return _billing_page(form, 422)
    toast(_("The invoice address is saved. It stands on documents from now on."))
    return see_other(url_for("invoices.index"))


def _billing_page(form: BillingDetailsForm, status: int) -> Response:
    return whole_page("invoices/billing_details.html", status, form=form)
