"""One top-up for the operator: our row and Stripe's payment side by side, refunds, and what to do with a parked one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal import filters, payments, refunds, settings
from portal.clients.stripe import StripeProblem
from portal.db import transaction, utcnow
from portal.domain import audit, balance, balance_words, parked, parked_words, topups
from portal.domain import refunds as refund_rules
from portal.domain.errors import DomainError
from portal.forms.limits import put_beside
from portal.forms.operator import DecisionForm, RefundForm
from portal.htmx import see_other, toast, whole_page
from portal.models import BalanceTopup, Company
from portal.permissions import Permission, requires
from portal.tenancy import get_or_404
from portal.views.operator_money import in_company, new_key

bp = Blueprint("operator_topups", __name__, url_prefix="/operator/companies/<int:company_id>/topups/<int:topup_id>")


@bp.context_processor
def _helpers() -> dict[str, Any]:
    return {"words": balance_words, "outcome_of": topups.outcome, "parked_words": parked_words}


@bp.get("")
@requires(Permission.OPERATE)
@in_company
def show(company: Company, topup_id: int) -> Response:
    topup = get_or_404(BalanceTopup, topup_id)
    transaction(lambda: audit.record("operator.topup_opened", topup))
    form = DecisionForm(formdata=None)
    form.form_key.data = new_key()
    return _show(company, topup_id, form)


def _show(company: Company, topup_id: int, form: DecisionForm, status: int = 200) -> Response:
    theirs, answered = _theirs(topup_id)
    topup = get_or_404(BalanceTopup, topup_id)
    if status == 200:
        form.seen.data = str(theirs.amount) if theirs and theirs.amount is not None else ""
    return whole_page(
        "operator/topup.html",
        status,
        company=company,
        topup=topup,
        form=form,
        theirs=theirs,
        answered=answered,
        differs=parked.differences(topup, company.tenant_id, theirs) if theirs else {},
        may_correct=theirs is not None and parked.may_correct(topup, company.tenant_id, theirs),
        left=refund_rules.left(topup),
        waiting=refund_rules.waiting(topup),
        dispute_url=_at_stripe(theirs),
    )


def _theirs(topup_id: int) -> tuple[parked.Theirs | None, bool]:
    """Stripe's side, and whether Stripe has answered."""
    try:
        return refunds.look(topup_id), True
    except StripeProblem:
        return None, False


def _at_stripe(theirs: parked.Theirs | None) -> str:
    """Where evidence is handed in; '' for the simulator, which has no such page."""
    gateway = payments.gateway()
    if theirs is None or theirs.dispute is None or gateway is None or settings().stripe_api_base:
        return ""
    test = "" if gateway.livemode else "test/"
    return f"https://dashboard.stripe.com/{test}disputes/{theirs.dispute.dispute_id}"


# ---- Deciding ---------------------------------------------------------------------------------------------


@bp.post("/look")
@requires(Permission.OPERATE)
@in_company
def look(company: Company, topup_id: int) -> AnyResponse:
    """Read Stripe again; what agrees by now is credited by the usual door."""
    get_or_404(BalanceTopup, topup_id)
    try:
        topup = refunds.look_again(topup_id)
    except StripeProblem:
        toast(_("Stripe is not answering just now. Nothing has changed."), "bad")
    else:
        transaction(lambda: audit.record("operator.topup_looked_at", topup))
        toast(_("Read again. It stays as it is.") if topup.parked_reason else _("Read again. It agrees."))
    return see_other(_address(company, topup_id))


@bp.post("/decide")
@requires(Permission.OPERATE)
@in_company
def decide(company: Company, topup_id: int) -> AnyResponse:
    """What becomes of a parked top-up: credit what was paid, give it back, or put it away."""
    get_or_404(BalanceTopup, topup_id)
    form = DecisionForm()
    deeds: dict[str, Callable[[int, DecisionForm], str]] = {"credit": _credit, "refund": _give_back, "close": _close}
    deed = deeds.get(form.deed.data or "")
    if not form.validate() or deed is None:
        return _show(company, topup_id, form, 422)
    try:
        message = deed(topup_id, form)
    except DomainError as error:
        put_beside(form, "reason", error.message)
        return _show(company, topup_id, form, 422)
    except StripeProblem:
        put_beside(form, None, _("Stripe is not answering just now. Nothing has changed; please try again."))
        return _show(company, topup_id, form, 422)
    toast(message)
    return see_other(_address(company, topup_id))


def _credit(topup_id: int, form: DecisionForm) -> str:
    topup = refunds.credit_what_was_paid(topup_id, _decimal(form.seen.data), form.reason.data or "")
    return str(_("Credited: %(amount)s", amount=filters.money(topup.amount)))


def _give_back(topup_id: int, form: DecisionForm) -> str:
    if refunds.refund_uncredited(topup_id, form.reason.data or "", form.form_key.data or ""):
        return str(_("The payment goes back whole. Nothing was credited."))
    return str(_("Stripe has not answered yet. The refund is noted; please try again in a moment."))


def _close(topup_id: int, form: DecisionForm) -> str:
    theirs = refunds.look(topup_id)
    if theirs is None:
        raise DomainError(_("Stripe has no payment for this top-up."))
    reason, now = form.reason.data or "", utcnow()
    transaction(lambda: parked.put_away(topup_id, theirs, reason, now))
    return str(_("Put away."))


def _decimal(text: str | None) -> Decimal:
    """The value of our own hidden field."""
    try:
        return Decimal(text or "")
    except InvalidOperation:
        return Decimal(-1)


# ---- Refunds ----------------------------------------------------------------------------------------------


@bp.route("/refund", methods=["GET", "POST"])
@requires(Permission.OPERATE)
@in_company
def refund(company: Company, topup_id: int) -> AnyResponse:
    topup = get_or_404(BalanceTopup, topup_id)
    form = RefundForm()
    if request.method == "GET":
        form.form_key.data, form.amount.data = new_key(), filters.typed_amount(refund_rules.left(topup) or None)
        return _refund_page(company, topup_id, form)
    if not form.validate():
        return _refund_page(company, topup_id, form, 422)
    try:
        done = _refund(topup, form, utcnow())
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return _refund_page(company, topup_id, form, 422)
    _say(done, form.euros)
    return see_other(_address(company, topup_id))


def _refund(topup: BalanceTopup, form: RefundForm, now: datetime) -> bool:
    wish = (form.euros, form.reason.data or "", form.form_key.data or "")
    agreed = bool(form.below_zero.data)
    if topup.payment_method == "stripe":
        return refunds.refund(topup.id, *wish, below_zero=agreed)
    transaction(partial(refund_rules.by_hand, topup.id, *wish, now, below_zero=agreed))
    return True


@bp.post("/refund/again")
@requires(Permission.OPERATE)
@in_company
def refund_again(company: Company, topup_id: int) -> AnyResponse:
    """Ask Stripe once more for the refund that it has not answered."""
    waiting = refund_rules.waiting(get_or_404(BalanceTopup, topup_id))
    try:
        _say(refunds.try_again(topup_id), waiting.gross if waiting else None)
    except DomainError as error:
        toast(error.message, "bad")
    return see_other(_address(company, topup_id))


def _say(done: bool, gross: Decimal | None) -> None:
    if done:
        toast(
            _("Given back: %(amount)s", amount=filters.money(gross)) if gross else _("This has been settled already.")
        )
    else:
        toast(_("Stripe has not answered yet. The refund is noted; please try again in a moment."), "warn")


def _refund_page(company: Company, topup_id: int, form: RefundForm, status: int = 200) -> Response:
    topup = get_or_404(BalanceTopup, topup_id)
    available, left = balance.standing(utcnow()).available, refund_rules.left(topup)
    return whole_page(
        "operator/refund.html",
        status,
        company=company,
        topup=topup,
        form=form,
        left=left,
        whole=refund_rules.effect(topup, left, available) if left else None,
        waiting=refund_rules.waiting(topup),
    )


def _address(company: Company, topup_id: int) -> str:
    return url_for(".show", company_id=company.id, topup_id=topup_id)
