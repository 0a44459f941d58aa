"""Customers: the list, one person, and what people of the business write down.

The list is the whole company's. Calls and appointments of branches that a person is not bound to stay out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import call_words, customer_history, customer_search, customers, phones
from portal.domain.customer_history import Cursor
from portal.domain.errors import DomainError
from portal.forms.customers import LANGUAGES, BlockForm, CustomerForm, NoteForm, NumberForm
from portal.htmx import page_or_part, see_other, toast, wants_part, whole_page
from portal.models import Customer, CustomerPhone
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.tenancy import get_or_404

bp = Blueprint("customers", __name__, url_prefix="/customers")

LINES = 15
# Choice of the timeline → what it shows.
KINDS = {"all": ("call", "appointment"), "calls": ("call",), "appointments": ("appointment",)}


# ---- The list ---------------------------------------------------------------------------------------------


@bp.get("", strict_slashes=False)
@requires(Permission.VIEW_CUSTOMERS)
def index() -> Response:
    wish = _wish()
    found = customer_search.search(wish, utcnow(), i18n.country(), visible_branch_ids())
    return page_or_part(
        "customers/index.html",
        "customers/_list.html",
        wish=wish,
        found=found,
        segments=customer_search.segments,
        address=_address(wish),
    )


def _wish() -> customer_search.Wish:
    only, order = request.args.get("show", ""), request.args.get("sort", "")
    return customer_search.Wish(
        query=request.args.get("q", "").strip()[:200],
        only=only if only in customer_search.FILTERS else "",
        order=order if order in customer_search.ORDERS else customer_search.ORDERS[0],
        after=request.args.get("after", "")[:500],
    )


def _address(wish: customer_search.Wish) -> Callable[..., str]:
    """The list's address with some of its wishes changed; ``after`` only where it is given."""

    def address(**changes: str | None) -> str:
        order = "" if wish.order == customer_search.ORDERS[0] else wish.order
        kept: dict[str, Any] = {"q": wish.query, "show": wish.only, "sort": order}
        return url_for("customers.index", **{name: value for name, value in (kept | changes).items() if value})

    return address


# ---- One person -------------------------------------------------------------------------------------------


@bp.get("/<int:customer_id>")
@requires(Permission.VIEW_CUSTOMERS)
def show(customer_id: int) -> Response:
    customer = _load(customer_id)
    if wants_part():
        return page_or_part("customers/show.html", "customers/_timeline.html", customer=customer, **_timeline(customer))
    return _page(customer)


def _load(customer_id: int) -> Customer:
    customer = customers.get(customer_id)
    if customer is None:
        abort(404)
    return customer


def _page(customer: Customer, status: int = 200, **forms: object) -> Response:
    """The whole page; ``forms`` are those that came back with messages."""
    branches, now = visible_branch_ids(), utcnow()
    context = {"note_form": NoteForm(), "block_form": BlockForm()} | forms
    return whole_page(
        "customers/show.html",
        status,
        customer=customer,
        figures=customer_history.figures(customer, branches),
        next_one=customer_history.next_appointment(customer, now, branches),
        notes=customer_history.notes(customer),
        alike=customers.alike(customer),
        languages=dict(LANGUAGES),
        bound=branches is not None,
        **_timeline(customer),
        **context,
    )


def _timeline(customer: Customer) -> dict[str, Any]:
    chosen = request.args.get("k", "all")
    allowed = [kind for kind in KINDS.get(chosen, KINDS["all"]) if may(_needed(kind))]
    entries = customer_history.timeline(
        customer,
        LINES + 1,
        kinds=allowed,
        branch_ids=visible_branch_ids(),
        after=Cursor.parse(request.args.get("after")),
    )
    shown = entries[:LINES]
    return {
        "entries": shown,
        "older": str(shown[-1].cursor) if len(entries) > LINES else None,
        "later": bool(request.args.get("after")),
        "chosen": chosen if chosen in KINDS else "all",
        "outcome": call_words.outcome,
        "now": utcnow(),
    }


def _needed(kind: str) -> Permission:
    return Permission.VIEW_CALLS if kind == "call" else Permission.VIEW_CALENDAR


# ---- Entering and correcting ------------------------------------------------------------------------------


@bp.route("/new", methods=["GET", "POST"])
@requires(Permission.EDIT_CUSTOMERS)
def new() -> Response:
    form = CustomerForm(data=None if request.form else _given())
    if not form.validate_on_submit():
        return _form(form, 422 if form.is_submitted() else 200)
    try:
        made = transaction(lambda: customers.create(form.details(), utcnow(), another=bool(form.another.data)))
    except customers.PossibleDuplicate as known:
        form.form_errors.append(known.message)
        return _form(form, 422, alike=known.people)
    except DomainError as error:
        return _form(_with_message(form, error), 422)
    toast(_("The customer has been entered."))
    return see_other(url_for("customers.show", customer_id=made.id))


def _given() -> dict[str, str]:
    """What a link to the form knows already, such as the number of a call."""
    return {name: request.args[name][:200] for name in ("first_name", "last_name", "phone") if name in request.args}


@bp.route("/<int:customer_id>/edit", methods=["GET", "POST"])
@requires(Permission.EDIT_CUSTOMERS)
def edit(customer_id: int) -> Response:
    customer = _alive(customer_id)
    form = _filled(customer)
    if not form.validate_on_submit():
        return _form(form, 422 if form.is_submitted() else 200, customer)
    try:
        transaction(lambda: customers.update_details(_alive(customer_id), form.details()))
    except DomainError as error:
        return _form(_with_message(form, error), 422, _alive(customer_id))
    toast(_("Saved."))
    return see_other(url_for("customers.show", customer_id=customer_id))


def _filled(customer: Customer, **options: Any) -> CustomerForm:
    """The form as the customer stands; a known number in the spelling that people use."""
    form = CustomerForm(**options, obj=customer)
    if form.phone.raw_data is None:  # nothing typed
        form.phone.data = phones.display(customer.phone_normalized, i18n.country()) or customer.phone
    return form


def _alive(customer_id: int) -> Customer:
    """The customer, with 404 for who has been erased: there is nothing left to change."""
    customer = _load(customer_id)
    if customer.erased_at is not None:
        abort(404)
    return customer


def _form(
    form: CustomerForm,
    status: int,
    customer: Customer | None = None,
    alike: list[Customer] | None = None,
    numbers: NumberForm | None = None,
) -> Response:
    return whole_page(
        "customers/form.html",
        status,
        form=form,
        customer=customer,
        alike=alike or [],
        numbers=numbers or NumberForm(formdata=None),
    )


F = TypeVar("F", CustomerForm, NoteForm, BlockForm, NumberForm)


def _with_message(form: F, error: DomainError) -> F:
    """The message beside its field, or above the form."""
    if error.field in form:
        form[error.field].errors = [error.message]
    else:
        form.form_errors.append(error.message)
    return form


@bp.get("/similar")
@requires(Permission.EDIT_CUSTOMERS)
def similar() -> Response:
    """While somebody types: who has this number or address already. As a page of its own it is a search."""
    phone, email = (request.args.get(name, "")[:200] for name in ("phone", "email"))
    if not wants_part():
        return see_other(url_for("customers.index", q=phone or email))
    e164, besides = customers.normalised(phone), request.args.get("besides", type=int)
    alike = customers.similar(e164, customers.usable_email(email), besides=besides)
    return page_or_part("customers/form.html", "customers/_similar.html", alike=alike)


@bp.post("/<int:customer_id>/phones")
@requires(Permission.EDIT_CUSTOMERS)
def add_phone(customer_id: int) -> Response:
    numbers = NumberForm()
    try:
        transaction(lambda: customers.add_number(_alive(customer_id), numbers.further_phone.data or ""))
    except DomainError as error:
        customer = _alive(customer_id)
        form = _filled(customer, formdata=None)
        return _form(form, 422, customer, numbers=_with_message(numbers, error))
    toast(_("Saved."))
    return see_other(url_for("customers.edit", customer_id=customer_id))


@bp.post("/<int:customer_id>/phones/<int:phone_id>/remove")
@requires(Permission.EDIT_CUSTOMERS)
def remove_phone(customer_id: int, phone_id: int) -> Response:
    def work() -> None:
        customer, number = _alive(customer_id), get_or_404(CustomerPhone, phone_id)
        if number.customer_id != customer.id:
            abort(404)
        customers.remove_number(number, customer)

    transaction(work)
    toast(_("The number has been removed."))
    return see_other(url_for("customers.edit", customer_id=customer_id))


# ---- Notes, blocking, names heard -------------------------------------------------------------------------


@bp.post("/<int:customer_id>/notes")
@requires(Permission.EDIT_CUSTOMERS)
def add_note(customer_id: int) -> Response:
    form, author = NoteForm(), current_user.id
    try:
        if not form.validate():
            return _notes(customer_id, form, 422)
        transaction(lambda: customers.add_note(_alive(customer_id), author, form.body.data or "", utcnow()))
    except DomainError as error:
        return _notes(customer_id, _with_message(form, error), 422)
    if not wants_part():
        return see_other(url_for("customers.show", customer_id=customer_id, _anchor="notes"))
    return _notes(customer_id, NoteForm(formdata=None))


def _notes(customer_id: int, form: NoteForm, status: int = 200) -> Response:
    customer = _alive(customer_id)
    if not wants_part():
        return _page(customer, status, note_form=form)
    notes = customer_history.notes(customer)
    return page_or_part(
        "customers/show.html", "customers/_notes.html", status, customer=customer, notes=notes, note_form=form
    )


@bp.post("/<int:customer_id>/block")
@requires(Permission.EDIT_CUSTOMERS)
def block(customer_id: int) -> Response:
    form = BlockForm()
    try:
        if not form.validate():
            return _page(_alive(customer_id), 422, block_form=form)
        transaction(lambda: customers.block(_alive(customer_id), form.reason.data or ""))
    except DomainError as error:
        return _page(_alive(customer_id), 422, block_form=_with_message(form, error))
    toast(_("Blocked. Calls from this number are no longer taken, unless it is shared with somebody else."))
    return see_other(url_for("customers.show", customer_id=customer_id))


@bp.post("/<int:customer_id>/unblock")
@requires(Permission.EDIT_CUSTOMERS)
def unblock(customer_id: int) -> Response:
    transaction(lambda: customers.unblock(_alive(customer_id)))
    toast(_("No longer blocked."))
    return see_other(url_for("customers.show", customer_id=customer_id))


@bp.post("/<int:customer_id>/confirm-name")
@requires(Permission.EDIT_CUSTOMERS)
def confirm_name(customer_id: int) -> Response:
    transaction(lambda: customers.confirm_name(_alive(customer_id)))
    toast(_("The name is confirmed."))
    return see_other(url_for("customers.show", customer_id=customer_id))
