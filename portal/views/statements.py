"""Statements: the months of the ledger, each as a PDF and as a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from flask import Blueprint, Response, abort, make_response, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from portal import csv_files, filters, i18n
from portal.db import utcnow
from portal.domain import balance_words, billing_details, invoices, movements, statement
from portal.domain.movements import Line
from portal.domain.statement import Month
from portal.htmx import page_or_part
from portal.permissions import Permission, may_name_callers, requires
from portal.tenancy import current_company_id, tenant_scope

bp = Blueprint("statements", __name__, url_prefix="/balance/statements")


@bp.get("")
@requires(Permission.VIEW_BALANCE)
def index() -> Response:
    """The months, newest first; ``?before=2026-01`` pages back."""
    before = Month.parse(request.args.get("before", ""), _zone())
    shown = statement.months(utcnow(), _zone(), before)
    return page_or_part(
        "statements/index.html",
        "statements/_list.html",
        months=shown.rows,
        newer=url_for(".index", before=shown.newer) if shown.newer else None,
        older=url_for(".index", before=shown.older) if shown.older else None,
        calls_at_most=statement.CALLS_AT_MOST,
    )


@bp.get("/<month>.pdf")
@requires(Permission.VIEW_BALANCE)
def pdf(month: str) -> Response:
    from portal.domain import statement_pdf  # takes a third of a second to import

    now, named = utcnow(), may_name_callers()
    frame = statement_pdf.Frame(
        company=billing_details.of(billing_details.company()),
        issuer=invoices.issuer().name,
        language=i18n.language(),
        made_at=now,
        named=named,
        country=i18n.country(),
    )
    chosen = _month(month)
    response = make_response(statement_pdf.render(statement.of(chosen, now, named=named), frame))
    response.headers["Content-Type"] = "application/pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(chosen)}.pdf"'
    return response


@bp.get("/<month>.csv")
@requires(Permission.VIEW_BALANCE)
def csv(month: str) -> Response:
    """Every movement of the month with what it was charged for, between its opening and its closing balance."""
    chosen = _month(month)
    rows = _csv_chunks(current_company_id(), chosen, statement.opening(chosen), may_name_callers())
    return csv_files.response(rows, f"{_file_name(chosen)}.csv")


def _zone() -> str:
    zone: str = current_user.company.timezone
    return zone


def _month(text: str) -> Month:
    """A month that the company has lived through, else 404."""
    found, first = Month.parse(text, _zone()), statement.first_month(_zone())
    if found is None or first is None or not first <= found <= Month.of(utcnow(), _zone()):
        abort(404)
    return found


def _file_name(month: Month) -> str:
    name = _("statement")
    return f"{name}-{current_user.company.tenant_id}-{month.key}"


def _csv_chunks(company_id: int, month: Month, opening: Decimal, named: bool) -> Iterator[str]:
    """The file piece by piece. The request is over by then, so each piece enters the company by itself."""
    yield csv_files.BOM + csv_files.line(_csv_head())
    yield csv_files.line(["", "", _("Opening balance"), "", csv_files.figure(opening), *[""] * 5])
    chosen, last, after = movements.Filters(None, month.start, month.end), None, opening
    while True:
        with tenant_scope(company_id):
            lines = movements.chunk(chosen, last, named=named)
        yield "".join(csv_files.line(_csv_cells(line, named)) for line in lines)
        last, after = (lines[-1].id, lines[-1].after) if lines else (last, after)
        if len(lines) < movements.CHUNK:
            break
    closing = _("Closing balance") if month.end <= utcnow() else _("Balance so far")
    yield csv_files.line(["", "", closing, "", csv_files.figure(after), *[""] * 5])


def _csv_head() -> list[str]:
    money = [_("Amount in euros"), _("Balance after in euros")]
    call = [_("Seconds"), _("Charged seconds"), _("Euros a minute")]
    return [_("Date and time"), _("Kind"), _("What"), *money, *call, _("Invoice"), _("Reference")]


def _csv_cells(line: Line, named: bool) -> list[str]:
    words = [
        filters.when(line.at),
        balance_words.kind(line.kind),
        balance_words.text(line, i18n.country(), named=named),
    ]
    figures = [csv_files.figure(line.amount), csv_files.figure(line.after)]
    return [*map(csv_files.safe, words), *figures, *_charged(line), line.invoice_number or "", line.reference]


def _charged(line: Line) -> list[str]:
    """Seconds, charged seconds and price a minute of a charge; blank for everything else."""
    if line.explanation is None:
        return [""] * 3
    price = line.explanation.price
    return [str(price.seconds), str(price.billable_seconds), csv_files.figure(price.rate_per_minute, 4)]
