"""The operator's inbox: what Retell, Cal.com and Stripe have sent, and what became of it."""

from __future__ import annotations

from flask import Blueprint, abort, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.db import transaction
from portal.domain import operator
from portal.domain.errors import DomainError
from portal.domain.operator import EventRow
from portal.htmx import page_or_part, see_other, toast, whole_page
from portal.permissions import Permission, requires
from portal.webhooks import inbox

bp = Blueprint("operator_inbox", __name__, url_prefix="/operator/inbox")


@bp.get("", strict_slashes=False)
@requires(Permission.OPERATE)
def events() -> Response:
    wish = request.args.get("s", "open")
    company_id = request.args.get("company", type=int)
    return whole_page(
        "operator/events.html",
        page=operator.events(wish, company_id, request.args.get("after", "")),
        wish=wish if wish in ("all", *operator.STATUSES) else "open",
        company_id=company_id,
    )


@bp.get("/<int:event_id>")
@requires(Permission.OPERATE)
def show_event(event_id: int) -> Response:
    return whole_page("operator/event.html", row=_event(event_id), payload=None)


@bp.post("/<int:event_id>/payload")
@requires(Permission.OPERATE)
def payload(event_id: int) -> Response:
    """What was sent; a POST, because opening it is written down."""
    row = _event(event_id)
    text = transaction(lambda: operator.open_payload(event_id))
    return page_or_part("operator/event.html", "operator/_payload.html", row=row, payload=text)


@bp.post("/<int:event_id>/retry")
@requires(Permission.OPERATE)
def retry(event_id: int) -> Response:
    _event(event_id)
    try:
        transaction(lambda: operator.note_retry(event_id))
    except DomainError as error:
        toast(error.message, "warn")
    else:
        _say(inbox.process(event_id))
    return see_other(url_for(".show_event", event_id=event_id))


def _say(status: str) -> None:
    if status == "done":
        toast(_("Done: the message has been processed."))
    elif status == "ignored":
        toast(_("The message has been read; nothing follows from it."))
    else:
        toast(_("It did not work again. The reason stands below."), "warn")


@bp.post("/<int:event_id>/discard")
@requires(Permission.OPERATE)
def discard(event_id: int) -> Response:
    _event(event_id)
    if transaction(lambda: operator.discard(event_id)):
        toast(_("Put away. It is kept, but no longer tried."))
    else:
        toast(_("This message has been settled already."), "warn")
    return see_other(url_for(".events"))


def _event(event_id: int) -> EventRow:
    row = operator.event(event_id)
    if row is None:
        abort(404)
    return row
