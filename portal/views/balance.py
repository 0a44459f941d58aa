"""The prepaid balance: how it stands, topping up, and every movement explained."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import csv_files, filters, i18n, payments, settings
from portal.clients.stripe import StripeProblem
from portal.db import db, transaction, utcnow
from portal.domain import alerts, amounts, balance, balance_words, invoice_list, movements, overview, stats, topups, vat
from portal.domain.statement import Month
from portal.extensions import limiter
from portal.forms.balance import LedgerForm, TopupForm, amount_words
from portal.htmx import page_or_part, polled, see_other, trigger, wants_part, whole_page
from portal.models import BalanceTopup, Company
from portal.permissions import Permission, may, may_name_callers, requires
from portal.shell import local_today
from portal.tenancy import current_company_id, get_or_404, tenant_scope

bp = Blueprint("balance", __name__)

CHOSEN_AT_FIRST = Decimal(100)
WORKDAYS_OF_A_DEBIT = 5
AXIS_EVERY = 7  # days between two words under the chart
LATEST_INVOICES = 4
MADE_WITHIN = timedelta(minutes=15)  # how long the page of a top-up looks out for its documents
SHORTCUTS = 3  # months that the ledger offers above its filters
NEAR = 0.2  # share of the curve's width within which two words overlap on a phone


@bp.context_processor
def _helpers() -> dict[str, Any]:
    """What the templates of these pages say things with."""
    return {
        "words": balance_words,
        "country": i18n.country(),
        "outcome_of": topups.outcome,
        "curve_of": lambda points: [(day.toordinal(), left) for day, left in points],
        "axis_of": _axis,
        "error_words": amount_words,
    }


def _axis(head: balance.Now) -> tuple[date | None, date | None]:
    """The days named under the curve beside today: its first and its last, unless today stands too near."""
    days = (head.drawn_until - head.drawn_from).days or 1
    past = (head.today - head.drawn_from).days / days
    return head.drawn_from if past > NEAR else None, head.drawn_until if past < 1 - NEAR else None


# ---- The page ---------------------------------------------------------------------------------------------


@bp.get("/balance")
@requires(Permission.VIEW_BALANCE)
def index() -> Response:
    return _page(_new_form(_wanted()))


def _page(form: TopupForm, status: int = 200) -> Response:
    seen = balance.overview(utcnow(), named=may_name_callers())
    context = _head_context(seen.now) | _topup_context(form, seen.now)
    warnings = alerts.warnings(utcnow(), seen.now.reach, seen.now.standing.zone)
    latest, _more = invoice_list.page(None, size=LATEST_INVOICES)
    context |= {"spend_bars": _bars(seen.now.spend), "warnings": warnings, "latest_invoices": latest}
    return whole_page("balance/index.html", status, seen=seen, opened=_opened(), **context)


def _bars(days: list[balance.SpendDay]) -> list[dict[str, Any]]:
    """The spend chart's rows; floats are for drawing only."""
    last = len(days) - 1
    return [
        {
            "label": filters.short_day(one.day),
            "outer": float(one.amount),
            "outer_text": filters.money(one.amount),
            "axis": filters.short_day(one.day) if (last - place) % AXIS_EVERY == 0 else "",
            "tip": f"{filters.weekday_day(one.day)}: {filters.money(one.amount)}",
        }
        for place, one in enumerate(days)
    ]


@bp.get("/balance/now")
@requires(Permission.VIEW_BALANCE)
def now() -> Response:
    """The head of the page, which stays up to date."""
    head = balance.now_part(utcnow(), named=may_name_callers())
    return polled("balance/_now.html", head.version, **_head_context(head))


@bp.get("/balance/latest")
@requires(Permission.VIEW_BALANCE)
def latest() -> Response:
    """The latest movements, which stay up to date."""
    seen = balance.overview(utcnow(), named=may_name_callers())
    return polled("balance/_latest.html", seen.now.version, seen=seen, opened=_opened(), **_head_context(seen.now))


@bp.get("/balance/chip")
@requires(Permission.VIEW_BALANCE)
def chip() -> Response:
    """The figure in the frame of every page."""
    shown = overview.balance_chip(local_today())
    return polled("layouts/_chip.html", shown.version if shown else "-", chip=shown)


def _head_context(head: balance.Now) -> dict[str, Any]:
    return {"head": head, "checked_at": utcnow(), "version": head.version, "named": may_name_callers()}


def _opened() -> int | None:
    return request.args.get("explain", type=int)


# ---- Topping up -------------------------------------------------------------------------------------------


@bp.post("/balance/topups")
@requires(Permission.TOP_UP)
@limiter.limit("30/minute")
def start_topup() -> AnyResponse:
    form = TopupForm()
    if not form.validate_on_submit() or payments.gateway() is None:
        return _card(form)
    split = _quote(form.euros, db.session.get_one(Company, current_company_id()))
    key, user_id, name = form.form_key.data or secrets.token_hex(16), current_user.id, current_user.name
    topup_id = transaction(lambda: topups.start(split, key, user_id, name).id)
    return see_other(payments.open_page(topup_id, i18n.language()) or url_for(".topup", topup_id=topup_id))


@bp.post("/balance/topups/<int:topup_id>/pay")
@requires(Permission.TOP_UP)
@limiter.limit("30/minute")
def pay(topup_id: int) -> AnyResponse:
    """On to Stripe's page of a top-up that is still open."""
    get_or_404(BalanceTopup, topup_id)
    return see_other(payments.open_page(topup_id, i18n.language()) or url_for(".topup", topup_id=topup_id))


@bp.get("/balance/topups/quote")
@requires(Permission.TOP_UP)
def quote() -> Response:
    """Net, VAT and gross of what is being typed or chosen; as a plain page, the card with that amount."""
    if not wants_part():
        return _page(_new_form(_wanted()))
    error, split, head = None, None, balance.now_part(utcnow(), named=False)
    try:
        net = amounts.check_range(amounts.parse(request.args.get("amount", "")))
        split = _quote(net, head.standing.company)
    except amounts.AmountError as problem:
        error = problem
    form = TopupForm(formdata=None)
    form.preset.data = request.args.get("preset", "")
    context = {"form": form, "presets": topups.PRESETS, "split": split, "error": error}
    return make_response(render_template("balance/_quote_part.html", calls_after=_calls_after(split, head), **context))


@bp.get("/balance/topups/<int:topup_id>")
@requires(Permission.VIEW_BALANCE)
def topup(topup_id: int) -> Response:
    """Where Stripe sends people back to. What it says is read from Stripe again, like after a webhook."""
    answered = _ask_stripe(get_or_404(BalanceTopup, topup_id))
    row = get_or_404(BalanceTopup, topup_id)
    found, head = topups.outcome(row), balance.now_part(utcnow(), named=False)
    documents = invoice_list.of_topup(row.id)
    context = {
        "topup": row,
        "outcome": found,
        "charged_back": bool(row.refunded_amount) and topups.taken_by_bank(row.id),
        "waiting": found.waiting or _documents_follow(row, documents),
        "reason": balance_words.decline_reason(row.failure_code),
        "answered": answered,
        "expected_on": _workdays_later(row.created_at.astimezone(i18n.zone())),
        "documents": documents,
        **_head_context(head),
    }
    version = f"{row.status}/{row.failure_code}/{row.refunded_amount}/{row.parked_reason}/{answered}/{len(documents)}"
    if not wants_part():
        return whole_page("balance/topup.html", **context | {"version": version})
    response = polled("balance/_topup_result.html", version, **{k: v for k, v in context.items() if k != "version"})
    return trigger(response, "balance-changed") if found is topups.Outcome.PAID else response


def _documents_follow(row: BalanceTopup, documents: list[invoice_list.Row]) -> bool:
    """Whether the worker is still making the invoice or its correction; not for ever, it may have stumbled."""
    if row.status not in topups.CREDITED or row.payment_method != "stripe" or utcnow() - row.updated_at > MADE_WITHIN:
        return False
    return sum(one.gross for one in documents) != row.gross_amount - row.refunded_amount


def _ask_stripe(row: BalanceTopup) -> bool:
    """Bring an unfinished top-up up to date; False when Stripe does not answer.

    A debit takes days: its card only looks at our own row, which the webhook and the worker keep.
    """
    unfinished = row.status in {*topups.OPEN, "failed"} and row.stripe_session_id is not None
    if not unfinished or payments.gateway() is None or (wants_part() and row.status == "processing"):
        return True
    try:
        payments.refresh(row.id)
    except StripeProblem:
        return False
    return True


def _card(form: TopupForm) -> Response:
    """The form again, with its messages."""
    if not wants_part():
        return _page(form, 422)
    head = balance.now_part(utcnow(), named=False)
    return page_or_part("balance/index.html", "balance/_topup_card.html", 422, head=head, **_topup_context(form, head))


def _topup_context(form: TopupForm, head: balance.Now) -> dict[str, Any]:
    """What the card needs; the quote of the amount in it, where there is one."""
    if not may(Permission.TOP_UP):
        return {"form": None}
    split = None if form.errors else _quote(form.euros, head.standing.company)
    after = _calls_after(split, head)
    ready = payments.gateway() is not None
    return {"form": form, "presets": topups.PRESETS, "split": split, "calls_after": after, "stripe_ready": ready}


def _calls_after(split: vat.TaxSplit | None, head: balance.Now) -> int | None:
    """How many calls the balance would be enough for with this top-up."""
    return head.reach.habit.calls_for(head.standing.available + split.net) if split else None


def _new_form(amount: Decimal | None) -> TopupForm:
    form = TopupForm(formdata=None)
    form.form_key.data = secrets.token_hex(16)
    form.euros = amount or CHOSEN_AT_FIRST
    form.choose(form.euros)
    return form


def _wanted() -> Decimal | None:
    """``?amount=``: what the form begins with."""
    try:
        return amounts.check_range(amounts.parse(request.args.get("amount", "")))
    except amounts.AmountError:
        return None


def _quote(net: Decimal, company: Company) -> vat.TaxSplit:
    seller = settings().seller
    return topups.quote(net, company, small_business=seller.small_business, seller_country=seller.country)


def _workdays_later(moment: datetime) -> datetime:
    """When a debit begun then, in the reader's time, has usually arrived."""
    left = WORKDAYS_OF_A_DEBIT
    while left:
        moment += timedelta(days=1)
        left -= moment.weekday() < 5
    return moment


# ---- The ledger -------------------------------------------------------------------------------------------


@bp.get("/balance/ledger")
@requires(Permission.VIEW_BALANCE)
def ledger() -> Response:
    form = LedgerForm(request.args)
    chosen = _filters(form) if form.validate() else movements.Filters()
    place = movements.Place(**{name: request.args.get(name, type=int) for name in ("before", "after", "at")})
    shown = movements.ledger_page(chosen, place, named=may_name_callers())
    context = {
        "form": form,
        "page": shown,
        "opened": _opened(),
        "named": may_name_callers(),
        "arguments": form.arguments(),
        "standing": balance.standing(utcnow()),
        "now": utcnow(),
        **_month_shortcuts(form),
    }
    return page_or_part("balance/ledger.html", "balance/_ledger.html", 422 if form.errors else 200, **context)


def _month_shortcuts(form: LedgerForm) -> dict[str, Any]:
    """The last months as days of the filter, which keeps its kind; ``month``: the one that is shown as a whole."""
    newest = Month.of(utcnow(), current_user.company.timezone)
    kind: dict[str, Any] = {"kind": form.kind.data or None}
    shown = (form.since.data, form.until.data)
    items = [(url_for(".ledger", **kind), _("All"), shown == (None, None))]
    for month in (newest.later(-back) for back in range(SHORTCUTS)):
        days = {"from": month.first.isoformat(), "to": month.last.isoformat()}
        items.append(
            (url_for(".ledger", **kind | days), _month_name(month, newest), shown == (month.first, month.last))
        )
    chosen = Month(form.since.data.replace(day=1), newest.zone) if form.since.data else None
    whole = chosen is not None and chosen <= newest and shown == (chosen.first, chosen.last)
    return {"shortcuts": items, "month": chosen if whole else None}


def _month_name(month: Month, newest: Month) -> str:
    """``November``; with its year where that is not this one."""
    name = filters.month(month.first)
    return name.rpartition(" ")[0] if month.first.year == newest.first.year else name


@bp.get("/balance/ledger/<int:movement_id>")
@requires(Permission.VIEW_BALANCE)
def movement(movement_id: int) -> AnyResponse:
    """One movement, opened (``?open=1``) or closed; as a plain page, the ledger where it stands."""
    found = movements.line(movement_id, named=may_name_callers())
    if found is None:
        abort(404)
    opened = request.args.get("open", default=1, type=int)
    if not wants_part():
        return see_other(url_for(".ledger", at=movement_id, explain=movement_id, _anchor=f"m{movement_id}"))
    shown = {"line": found, "opened": movement_id if opened else None, "named": may_name_callers()}
    return make_response(render_template("balance/_movement.html", **shown))


@bp.get("/balance/ledger.csv")
@requires(Permission.VIEW_BALANCE)
def ledger_csv() -> Response:
    """All movements of the chosen days and kind, oldest first, for German Excel: BOM, ``;``, decimal comma."""
    form = LedgerForm(request.args)
    if not form.validate():
        abort(422)
    rows = _csv_chunks(current_company_id(), _filters(form), may_name_callers())
    name = _("ledger")
    return csv_files.response(rows, f"{name}-{current_user.company.tenant_id}-{local_today()}.csv")


def _filters(form: LedgerForm) -> movements.Filters:
    zone = current_user.company.timezone
    start = stats.day_limits(form.since.data, zone)[0] if form.since.data else None
    end = stats.day_limits(form.until.data, zone)[1] if form.until.data else None
    return movements.Filters(form.kind.data or None, start, end)


def _csv_chunks(company_id: int, chosen: movements.Filters, named: bool) -> Iterator[str]:
    """The file piece by piece. The request is over by then, so each piece enters the company by itself."""
    money = [_("Amount in euros"), _("Balance after in euros")]
    yield csv_files.BOM + csv_files.line([_("Date and time"), _("Kind"), _("What"), *money, _("Reference")])
    last: int | None = None
    while True:
        with tenant_scope(company_id):
            lines = movements.chunk(chosen, last, named=named)
        yield "".join(csv_files.line(_csv_cells(line, named)) for line in lines)
        if len(lines) < movements.CHUNK:
            return
        last = lines[-1].id


def _csv_cells(line: movements.Line, named: bool) -> list[str]:
    words = [
        filters.when(line.at),
        balance_words.kind(line.kind),
        balance_words.text(line, i18n.country(), named=named),
    ]
    figures = [csv_files.figure(line.amount), csv_files.figure(line.after)]
    return [*map(csv_files.safe, words), *figures, csv_files.safe(line.reference)]
