"""A company's money for the operator: what it has, what it pays, what is given to it and taken from it.

Every page is opened inside the company's scope and speaks its local time; whoever opens one is written down.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from portal import filters, i18n
from portal.db import db, transaction, utcnow
from portal.domain import balance, balance_words, operator_money, pricing, rates, topups
from portal.domain.errors import DomainError
from portal.domain.movements import Place
from portal.forms.limits import put_beside
from portal.forms.operator import AdjustForm, AmountForm, CallForm, RateForm
from portal.htmx import page_or_part, see_other, toast, wants_part, whole_page
from portal.models import Company
from portal.permissions import Permission, requires
from portal.tenancy import tenant_scope

bp = Blueprint("operator_money", __name__, url_prefix="/operator/companies/<int:company_id>")


def in_company(view: Callable[..., AnyResponse]) -> Callable[..., AnyResponse]:
    """Open the address's company for its view: as the first argument, as the scope, and as the clock."""

    @wraps(view)
    def inside(company_id: int, **others: Any) -> AnyResponse:
        company = db.session.get(Company, company_id) or abort(404)
        i18n.set_zone(company.timezone)
        with tenant_scope(company.id):
            return view(company, **others)

    return inside


@bp.context_processor
def _helpers() -> dict[str, Any]:
    return {"words": balance_words, "outcome_of": topups.outcome, "example": operator_money.EXAMPLE}


# ---- The page ---------------------------------------------------------------------------------------------


@bp.get("")
@requires(Permission.OPERATE)
@in_company
def show(company: Company) -> Response:
    transaction(lambda: operator_money.open_company(company))
    return _show(company, CallForm(formdata=None))


def _show(company: Company, call_form: CallForm, status: int = 200) -> Response:
    place = Place(before=request.args.get("before", type=int), after=request.args.get("after", type=int))
    seen = operator_money.page(company, place, utcnow())
    return whole_page("operator/company.html", status, company=company, seen=seen, call_form=call_form)


@bp.get("/calls")
@requires(Permission.OPERATE)
@in_company
def find_call(company: Company) -> AnyResponse:
    """From the number of a call to the page that gives its price back."""
    form = CallForm(request.args)
    call_id = operator_money.find_call(form.call.data or "") if form.validate() else None
    if call_id is not None:
        return see_other(url_for(".credit_call", company_id=company.id, call_id=call_id))
    if form.call.data:
        put_beside(form, "call", _("This company has no call of this number."))
    return _show(company, form, 422)


# ---- Prices -----------------------------------------------------------------------------------------------


@bp.route("/rate", methods=["GET", "POST"])
@requires(Permission.OPERATE)
@in_company
def rate(company: Company) -> AnyResponse:
    now = utcnow()
    form = RateForm(company.timezone, now)
    if request.method == "GET":
        form.process(MultiDict(_as_in_force()))
        return _rate_page(company, form)
    if form.validate() and _done(form, lambda: operator_money.set_rate(form.wish(), now)):
        toast(_("The price is set."))
        return see_other(url_for(".show", company_id=company.id, _anchor="rates"))
    return _rate_page(company, form, 422)


def _as_in_force() -> dict[str, str]:
    """A form filled in with what is in force: that is where a new price begins from."""
    current = rates.in_force(utcnow())
    if current is None:
        return {"begins": "now", "increment": "1"}
    return {
        "begins": "now",
        "rate": filters.rate(current.rate_per_minute).replace("€", "").strip("\u00a0 "),
        "increment": str(current.increment_seconds),
        "minimum": filters.typed_amount(current.minimum_charge or None),
        "fee": filters.typed_amount(current.setup_fee or None),
    }


def _rate_page(company: Company, form: RateForm, status: int = 200) -> Response:
    found = operator_money.dated_rates(utcnow())
    price = _price(form) if status == 200 else None
    return whole_page("operator/rate.html", status, company=company, form=form, rates=found, price=price)


@bp.get("/rate/quote")
@requires(Permission.OPERATE)
@in_company
def quote(company: Company) -> AnyResponse:
    """What a call of 157 seconds would cost, while a price is being typed."""
    form = RateForm(company.timezone, utcnow())
    form.process(request.args)
    context = {"company": company, "form": form, "price": _price(form)}
    if wants_part():
        return page_or_part("operator/rate.html", "operator/_rate_quote.html", **context)
    return whole_page("operator/rate.html", rates=operator_money.dated_rates(utcnow()), **context)


def _price(form: RateForm) -> pricing.Price | None:
    """The example's price; None while the numbers cannot be read."""
    for field in (form.rate, form.increment, form.minimum, form.fee):
        inline = getattr(type(form), f"validate_{field.short_name}", None)
        if not field.validate(form, [inline] if inline else []):
            field.errors = []
            return None
    form.moment = utcnow()
    wish = form.wish()
    tariff = pricing.Tariff(wish.rate_per_minute, wish.increment_seconds, wish.minimum_charge, wish.setup_fee)
    return pricing.price(operator_money.EXAMPLE, tariff)


# ---- Credits and debits -----------------------------------------------------------------------------------


@bp.route("/adjust", methods=["GET", "POST"])
@requires(Permission.OPERATE)
@in_company
def adjust(company: Company) -> AnyResponse:
    """Two steps: what it would do to the balance, and then doing it."""
    form, now = AdjustForm(), utcnow()
    if request.method == "GET":
        form.direction.data, form.form_key.data = "credit", new_key()
        return _adjust_page(company, form)
    if form.step.data == "edit":
        return _adjust_page(company, form)
    if not form.validate():
        return _adjust_page(company, form, 422)
    amount, reason, key = form.signed, form.reason.data or "", form.form_key.data or ""
    if form.step.data != "book":
        return _check_adjustment(company, form)
    if not _done(form, lambda: operator_money.adjust(amount, reason, key, now)):
        return _adjust_page(company, form, 422)
    toast(_("Booked: %(amount)s", amount=filters.money(amount, sign=True)))
    return see_other(url_for(".show", company_id=company.id))


def _check_adjustment(company: Company, form: AdjustForm) -> Response:
    available = balance.standing(utcnow()).available
    try:
        operator_money.check_adjustment(form.signed, available)
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return _adjust_page(company, form, 422)
    return _adjust_page(company, form, confirm=True)


def _adjust_page(company: Company, form: AdjustForm, status: int = 200, *, confirm: bool = False) -> Response:
    standing = balance.standing(utcnow())
    context = {"company": company, "form": form, "standing": standing, "confirm": confirm}
    return whole_page("operator/adjust.html", status, **context)


# ---- A call's price back ----------------------------------------------------------------------------------


@bp.route("/calls/<int:call_id>/credit", methods=["GET", "POST"])
@requires(Permission.OPERATE)
@in_company
def credit_call(company: Company, call_id: int) -> AnyResponse:
    if operator_money.find_call(str(call_id)) != call_id:
        abort(404)
    form, now = AmountForm(), utcnow()
    charge = operator_money.charged(call_id)
    if request.method == "GET":
        form.form_key.data = new_key()
        form.amount.data = filters.typed_amount(charge.left) if charge and charge.left else ""
        return _credit_page(company, call_id, form)
    if not form.validate():
        return _credit_page(company, call_id, form, 422)
    amount, reason, key = form.euros, form.reason.data or "", form.form_key.data or ""
    if not _done(form, lambda: operator_money.credit_call(call_id, amount, reason, key, now)):
        return _credit_page(company, call_id, form, 422)
    toast(_("Given back: %(amount)s", amount=filters.money(amount)))
    return see_other(url_for(".show", company_id=company.id))


def _credit_page(company: Company, call_id: int, form: AmountForm, status: int = 200) -> Response:
    context = {"company": company, "form": form, "call_id": call_id, "charge": operator_money.charged(call_id)}
    return whole_page("operator/credit_call.html", status, **context)


# ---- For these pages --------------------------------------------------------------------------------------


def new_key() -> str:
    return secrets.token_hex(16)


def _done(form: FlaskForm, change: Callable[[], Any]) -> bool:
    """Do it; False with the refusal beside its field."""
    try:
        transaction(change)
    except DomainError as error:
        put_beside(form, error.field if error.field in form else None, error.message)
        return False
    return True
