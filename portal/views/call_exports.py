"""Calls taken out of the portal: the filtered list as CSV, one call as PDF. Who did it stands in the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, abort, make_response
from flask_babel import gettext as _
from flask_login import current_user

from portal import call_mails, csv_files, filters, i18n
from portal.db import transaction, utcnow
from portal.domain import audit, call_lists, call_pages, call_words, transcripts
from portal.domain.call_lists import Cursor, Filters
from portal.models import Call
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.shell import local_today
from portal.tenancy import current_company_id, tenant_scope
from portal.views import call_filters

bp = Blueprint("call_exports", __name__)

CHUNK = 500


@bp.get("/calls/export.csv")
@requires(Permission.EXPORT_CALLS)
def as_csv() -> Response:
    """The filtered list, oldest page last. What was said is not part of it, its summary is."""
    _check()
    used = {name: value for name, value in call_filters.typed().items() if value}
    transaction(lambda: audit.record("calls.exported", company_id=current_company_id(), new=used))
    pieces = _pieces(current_company_id(), call_filters.chosen(), may(Permission.VIEW_BALANCE))
    name = _("calls")
    return csv_files.response(pieces, f"{name}-{current_user.company.tenant_id}-{local_today()}.csv")


def _check() -> None:
    """Who sees no calls takes none along, whatever else they may."""
    if not may(Permission.VIEW_CALLS):
        abort(403)


def _pieces(company_id: int, chosen: Filters, priced: bool) -> Iterator[str]:
    """Piece by piece. The request is over by then, so each piece enters the company by itself."""
    yield csv_files.BOM + csv_files.line(_heads(priced))
    now, cursor = utcnow(), None
    while True:
        with tenant_scope(company_id):
            calls = call_lists.chunk(chosen, now, cursor, CHUNK)
            yield "".join(csv_files.line(_cells(call, priced)) for call in calls)
        if len(calls) < CHUNK:
            return
        cursor = Cursor(calls[-1].started_at, calls[-1].id)


def _heads(priced: bool) -> list[str]:
    heads = [
        _("Date and time"), _("Direction"), _("Number"), _("Customer"), _("Branch"), _("Seconds"), _("Outcome"),
        _("Matter"), _("Mood"), _("Appointment"), _("Summary"),
    ]  # fmt: skip
    return [*heads, _("Cost in euros")] if priced else heads


def _cells(call: Call, priced: bool) -> list[str]:
    outcome = call_words.outcome(call, utcnow())
    cells = [
        filters.when(call.started_at),
        _("Incoming") if call.direction == "inbound" else _("Outgoing"),
        filters.phone(call.phone_number),
        call.customer.full_name if call.customer else "",
        call.branch.name if call.branch else "",
        str(call.duration_seconds or 0),
        outcome.label,
        call_words.intent(call.intent) if call.intent else "",
        call_words.mood(call.sentiment),
        _("yes") if call.appointment_created else _("no"),
        call.summary or "",
    ]
    return [*map(csv_files.safe, cells), *([_cost(call)] if priced else [])]


def _cost(call: Call) -> str:
    return csv_files.figure(call.charge.amount_charged - call.charge.refunded_amount) if call.charge else ""


@bp.get("/calls/<int:call_id>.pdf")
@requires(Permission.EXPORT_CALLS)
def as_pdf(call_id: int) -> Response:
    """One call on paper; every word of it for who may read them."""
    from portal.domain import call_pdf  # takes a third of a second to import

    _check()
    read, now = may(Permission.READ_TRANSCRIPTS), utcnow()
    call = call_pages.load(call_id, visible_branch_ids(), read=read) or abort(404)
    i18n.set_zone(call.branch.timezone if call.branch else None)
    spoken = call_pages.spoken(call.content) if read else ([], [])
    told = call_pdf.Told(
        company=current_user.company.name,
        heading=_("Call of %(when)s", when=filters.when(call.started_at)),
        facts=_facts(call),
        summary=call.summary or "",
        speakers={"agent": _("Receptionist (AI)"), "user": call_mails.speaker(call), "person": _("Person")},
        lines=transcripts.lines(*spoken, i18n.language(), i18n.zone()) if read else None,
    )
    pdf = call_pdf.render(told, i18n.language(), now, filters.when(now))
    transaction(lambda: audit.record("call.exported", company_id=current_company_id(), new={"call_id": call_id}))
    name = _("call")
    return _file(pdf, f"{name}-{call_id}.pdf")


def _file(pdf: bytes, name: str) -> Response:
    response = make_response(pdf)
    response.headers["Content-Type"] = "application/pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _facts(call: Call) -> list[tuple[str, str]]:
    """What stands beside the summary on the call's page, in the same words."""
    seconds = call.duration_seconds or 0
    known = [
        (_("Caller") if call.direction == "inbound" else _("Called"), call_mails.who(call)),
        (_("Number"), call_mails.numbered(call)),
        (_("Branch"), call.branch.name if call.branch else ""),
        (_("Duration"), _("%(duration)s min", duration=filters.duration(seconds)) if seconds else ""),
        (_("Outcome"), call_words.outcome(call, utcnow()).label),
        (_("Mood"), call_words.mood(call.sentiment)),
        (_("Matter"), call_words.intent(call.intent) if call.intent else ""),
        *call_words.facts(call.custom_data, i18n.language(), i18n.zone()),
    ]
    return [(label, value) for label, value in known if value]
