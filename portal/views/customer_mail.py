"""What customers are told by e-mail: the settings, how the mails look, and telling one customer by hand."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, abort, make_response, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n, mailer
from portal.db import db, transaction, utcnow
from portal.domain import customer_mail, customer_mail_settings
from portal.domain import customer_mail_words as words
from portal.domain.customer_mail_settings import KINDS
from portal.domain.customer_mail_words import Facts
from portal.domain.errors import DomainError
from portal.forms.customer_mail import CustomerMailForm
from portal.forms.limits import put_beside
from portal.htmx import see_other, toast, wants_part, whole_page
from portal.jobs import customer_mail as letters
from portal.models import Branch, Company
from portal.permissions import Permission, requires
from portal.tenancy import current_company_id
from portal.views import appointments as appointment_page

bp = Blueprint("customer_mail", __name__)

# A mail carries its rules at its elements; nothing else may happen in it, and only our own page may show it.
PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


# ---- Settings ---------------------------------------------------------------------------------------------------


@bp.get("/settings/customer-mail")
@requires(Permission.MANAGE_SETTINGS)
def index() -> Response:
    form = CustomerMailForm(formdata=None)
    form.show(customer_mail_settings.current())
    return _page(form)


@bp.post("/settings/customer-mail")
@requires(Permission.MANAGE_SETTINGS)
def save() -> AnyResponse:
    form = CustomerMailForm()
    if not form.validate_on_submit():
        return _page(form, 422)
    try:
        transaction(lambda: customer_mail_settings.save(form.wish(), utcnow()))
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return _page(form, 422)
    toast(_("Saved."))
    return see_other(url_for(".index"))


def _page(form: CustomerMailForm, status: int = 200) -> Response:
    company = db.session.get_one(Company, current_company_id())
    branch = _first_branch()
    wishes = customer_mail_settings.of(company.settings)
    context = {
        "form": form,
        "kinds": KINDS,
        "company": company,
        "answers_to": words.answers_to(branch, company, wishes) if branch else "",
        "has_branch": branch is not None,
        "most": customer_mail.MOST_A_DAY,
    }
    return whole_page("customer_mail/index.html", status, **context)


def _first_branch() -> Branch | None:
    return db.session.scalar(select(Branch).order_by(Branch.is_primary.desc(), Branch.id).limit(1))


# ---- How they look ----------------------------------------------------------------------------------------------


@bp.get("/settings/customer-mail/preview")
@requires(Permission.MANAGE_SETTINGS)
def preview() -> Response:
    """The mail as it stands saved, about an invented appointment."""
    kind = request.args.get("kind", KINDS[0])
    facts = _sample(kind)
    with i18n.speaking(facts.language, facts.zone):
        letter = words.letter(kind, facts)
        _text, html = mailer.render("appointment", letter.subject, company_name=facts.company, letter=letter)
    answer = make_response(html)
    answer.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return answer


@bp.post("/settings/customer-mail/sample")
@requires(Permission.MANAGE_SETTINGS)
def sample() -> AnyResponse:
    """The same mail to the person who asks for it."""
    kind = request.form.get("kind", KINDS[0])
    facts, token, now = _sample(kind), secrets.token_hex(8), utcnow()

    def work() -> bool:
        if customer_mail.brake(0, now):
            return False
        return letters.post_sample(kind, facts, current_user.email, token, now)

    if transaction(work):
        toast(_("The sample goes to %(email)s.", email=current_user.email))
    else:
        toast(_("That were many mails today. Please go on tomorrow."), "warn")
    # What is being typed in the settings beside it stays.
    return make_response() if wants_part() else see_other(url_for(".index"))


def _sample(kind: str) -> Facts:
    branch = _first_branch()
    if kind not in KINDS or branch is None:
        abort(404)
    company = db.session.get_one(Company, current_company_id())
    wishes, language = customer_mail_settings.of(company.settings), words.language_of(None, company)
    with i18n.speaking(language):
        return words.sample(kind, branch, company, wishes, utcnow(), language)


# ---- Telling one customer ---------------------------------------------------------------------------------------


@bp.post("/appointments/<int:appointment_id>/tell")
@requires(Permission.EDIT_APPOINTMENTS)
def tell(appointment_id: int) -> Response:
    """Send the customer how the appointment stands now, if it has not been told yet."""
    appointment_page.load(appointment_id)

    def work() -> bool:
        row, now = appointment_page.load(appointment_id), utcnow()
        kind = customer_mail.offer(row, row.customer, customer_mail_settings.current(), now)
        return bool(kind) and customer_mail.tell(row, kind, now)

    told = transaction(work)
    message = _("The e-mail to the customer is on its way.") if told else _("There is nothing to tell by e-mail.")
    return appointment_page.done(appointment_id, message)
