"""What people do on the page of one call: put its mood right, say who it was, write notes, send the summary."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import call_mails, i18n
from portal.db import transaction, utcnow
from portal.domain import (
    call_deeds,
    call_mail,
    call_mood,
    call_notes,
    call_pages,
    call_people,
    customer_search,
    phones,
)
from portal.domain.call_deeds import Person
from portal.domain.call_people import Linked
from portal.domain.customers import PossibleDuplicate
from portal.domain.errors import DomainError
from portal.forms.call_desk import CallerForm, MailForm
from portal.htmx import page_or_part, see_other, toast, wants_part, whole_page
from portal.models import Call
from portal.permissions import Permission, may, requires, visible_branch_ids
from portal.views import call_page

bp = Blueprint("call_desk", __name__, url_prefix="/calls/<int:call_id>")


def person() -> Person:
    """The signed-in person as the call's timeline names them."""
    return Person(current_user.id, current_user.name, visible_branch_ids())


def _call(call_id: int, *, read: bool = False) -> Call:
    """The call, for who may see it; 404 otherwise, and 403 for who sees no calls at all."""
    if not may(Permission.VIEW_CALLS):
        abort(403)
    call = call_pages.load(call_id, visible_branch_ids(), read=read) or abort(404)
    i18n.set_zone(call.branch.timezone if call.branch else None)
    return call


def _page_of(call_id: int, place: str = "") -> AnyResponse:
    return see_other(url_for("calls.show", call_id=call_id, _anchor=place or None))


# ---- The mood -------------------------------------------------------------------------------------------------


@bp.post("/mood")
@requires(Permission.READ_TRANSCRIPTS)
def mood(call_id: int) -> AnyResponse:
    """Who may read what was said may judge how it was said."""
    _call(call_id)
    wish, by = request.form.get("mood", ""), person()
    try:
        transaction(lambda: call_mood.correct(call_id, wish, by, utcnow()))
    except DomainError as error:
        return _refused(call_id, error)
    toast(_("The mood has been corrected. It stays like this."))
    if not wants_part():
        return _page_of(call_id, "h-mood")
    return page_or_part("calls/show.html", "calls/_call.html", **call_page.of(call_id))


def _refused(call_id: int, error: DomainError) -> AnyResponse:
    """A button that could not do what it says: the page as it stands, with the reason above it."""
    page = call_page.of(call_id) | {"refused": error.message}
    return page_or_part("calls/show.html", "calls/_call.html", 422, **page)


# ---- Who it was -----------------------------------------------------------------------------------------------


@bp.route("/customer", methods=["GET", "POST"])
@requires(Permission.EDIT_CUSTOMERS)
def customer(call_id: int) -> AnyResponse:
    """Choose among the customers: by a search, or with the buttons on the call's page."""
    call = _call(call_id)
    if request.method == "GET":
        if wants_part():
            return make_response(render_template("calls/_found.html", call=call, **_found()))
        return _choice(call)
    chosen, by = request.form.get("customer", ""), person()
    customer_id = int(chosen) if chosen.isdecimal() and len(chosen) < 19 else 0
    remember, books = "remember" in request.form, may(Permission.EDIT_APPOINTMENTS)

    def work() -> Linked:
        return call_people.link(call_id, customer_id, by, utcnow(), remember=remember, books=books)

    return _linked(call_id, work)


def _linked(call_id: int, work: Callable[[], Linked]) -> AnyResponse:
    try:
        toast(transaction(lambda: _said(work())))
    except DomainError as error:
        return _choice(_call(call_id), 422, message=error.message)
    return _page_of(call_id)


def _said(linked: Linked) -> str:
    name = linked.customer.full_name or _("this customer")
    if linked.appointment == "moved":
        return str(_("The call, its callbacks and its appointment now belong to %(name)s.", name=name))
    if linked.appointment == "stays":
        return str(_("The call and its callbacks now belong to %(name)s. The appointment stays as it is.", name=name))
    return str(_("The call and its callbacks now belong to %(name)s.", name=name))


@bp.post("/customer/new")
@requires(Permission.EDIT_CUSTOMERS)
def new_customer(call_id: int) -> AnyResponse:
    """Enter whoever called; with a number or address that is known already only on second thought."""
    call, form, by = _call(call_id), CallerForm(), person()
    if not form.validate():
        return _choice(call, 422, form)
    details, another, books = form.details(), bool(form.another.data), may(Permission.EDIT_APPOINTMENTS)

    def work() -> Linked:
        return call_people.enter(call_id, details, by, utcnow(), another=another, books=books)

    try:
        toast(transaction(lambda: _said(work())))
    except PossibleDuplicate as known:
        form.form_errors.append(known.message)
        return _choice(_call(call_id), 422, form, alike=[each.id for each in known.people])
    except DomainError as error:
        return _choice(_call(call_id), 422, _with_message(form, error))
    return _page_of(call_id)


@bp.post("/customer/none")
@requires(Permission.EDIT_CUSTOMERS)
def no_customer(call_id: int) -> AnyResponse:
    _call(call_id)
    by = person()
    transaction(lambda: call_people.unlink(call_id, by, utcnow()))
    toast(_("The call belongs to no customer now."))
    return _page_of(call_id)


def _choice(
    call: Call, status: int = 200, form: CallerForm | None = None, message: str = "", alike: list[int] | None = None
) -> Response:
    heard = call_people.heard(call)
    shown = form or CallerForm(formdata=None, data=vars(heard))
    if form is None and heard.phone:
        shown.phone.data = phones.display(heard.phone, i18n.country())  # as people write it
    page = {"call": call, "form": shown, "message": message, "alike": call_people.named(alike or [])}
    return whole_page("calls/customer.html", status, **page, **_found())


def _found() -> dict[str, Any]:
    """Customers that match what is typed, each name in pieces with whether it was searched for."""
    query = request.args.get("q", "").strip()[:100]
    hits = customer_search.suggestions(query, i18n.country())
    names = {hit.id: customer_search.segments(hit.full_name or "", query) for hit in hits}
    return {"query": query, "hits": hits, "names": names}


def _with_message(form: Any, error: DomainError) -> Any:
    """The message beside its field, or above the form."""
    if error.field in form:
        form[error.field].errors = [*form[error.field].errors, error.message]
    else:
        form.form_errors.append(error.message)
    return form


# ---- Notes ----------------------------------------------------------------------------------------------------


@bp.post("/notes")
@requires(Permission.VIEW_CALLS)
def add_note(call_id: int) -> AnyResponse:
    by, body = person(), request.form.get("body", "")
    return _noted(call_id, 0, lambda: call_notes.add(call_id, body, by, utcnow()), _("Note saved."))


@bp.post("/notes/<int:note_id>")
@requires(Permission.VIEW_CALLS)
def edit_note(call_id: int, note_id: int) -> AnyResponse:
    by, body = person(), request.form.get("body", "")
    return _noted(call_id, note_id, lambda: call_notes.edit(call_id, note_id, body, by, utcnow()), _("Note saved."))


@bp.post("/notes/<int:note_id>/delete")
@requires(Permission.VIEW_CALLS)
def delete_note(call_id: int, note_id: int) -> AnyResponse:
    by = person()
    return _noted(call_id, note_id, lambda: call_notes.delete(call_id, note_id, by), _("Note deleted."))


def _noted(call_id: int, note_id: int, work: Callable[[], Any], done: str) -> AnyResponse:
    """Do it, say so and show the notes; 403 for a colleague's."""
    call = _call(call_id)
    if note_id and call_notes.find(call_id, note_id) is None:
        abort(404)
    try:
        transaction(work)
    except call_notes.NotYoursError:
        abort(403)
    except DomainError as error:
        wrong = {"draft": request.form.get("body", ""), "note_problem": error.message, "note_wrong": note_id}
        return _notes_again(_call(call_id), wrong)
    toast(done)
    if not wants_part():
        return _page_of(call_id, "h-notes")
    return make_response(render_template("calls/_notes.html", call=call, **call_page.notes(call_id)))


def _notes_again(call: Call, wrong: dict[str, Any]) -> Response:
    """422 with the words that were not accepted."""
    if wants_part():
        return make_response(render_template("calls/_notes.html", call=call, **call_page.notes(call.id, **wrong)), 422)
    return whole_page("calls/show.html", 422, **call_page.of(call.id) | wrong)


# ---- The summary by e-mail ------------------------------------------------------------------------------------


@bp.route("/mail", methods=["GET", "POST"])
@requires(Permission.EXPORT_CALLS)
def mail(call_id: int) -> AnyResponse:
    """To whom, and with how much. Only owners and managers send calls out of the portal."""
    reads = may(Permission.READ_TRANSCRIPTS)
    call, form = _call(call_id, read=reads), MailForm()
    form.offer(call_mail.colleagues(call))
    if request.method == "GET":
        form.key.data = secrets.token_urlsafe(16)
        return _mail_page(call, form)
    if not form.validate():
        return _mail_page(call, form, 422)
    try:
        names = transaction(lambda: _send(call_id, form, reads=reads))
    except DomainError as error:
        return _mail_page(_call(call_id, read=reads), _with_message(form, error), 422)
    toast(_("The summary goes to %(names)s.", names=names) if names else _("This summary has been sent already."))
    return _page_of(call_id)


def _mail_page(call: Call, form: MailForm, status: int = 200) -> Response:
    addresses = {user.id: user.email for user in call_mail.colleagues(call)}
    words = call.content is not None if may(Permission.READ_TRANSCRIPTS) else False
    return whole_page("calls/mail.html", status, call=call, form=form, addresses=addresses, has_words=words)


def _send(call_id: int, form: MailForm, *, reads: bool) -> str:
    """Queue a mail to each; returns their names, '' when this form was sent before. Inside a transaction."""
    by, now = person(), utcnow()
    call_deeds.locked(call_id, by)  # of two equal forms the second sees the first
    call = _call(call_id, read=reads)
    chosen = call_mail.recipients(call, form.people.data or [], form.outside.data, i18n.language())
    call_mail.check_often(chosen, now)
    told = call_mails.Told.of(call, with_words=reads and bool(form.transcript.data))
    key = form.key.data or secrets.token_urlsafe(16)
    sent = [to for to in chosen if call_mails.send(told, to, by.name, call_mail.key_of(key, call_id, by, to))]
    if sent:
        call_mail.tell(call, sent, by, now, transcript=told.lines is not None)
    return ", ".join(to.name or to.address for to in sent)
