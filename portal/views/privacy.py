"""How long calls are kept."""

from __future__ import annotations

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal.db import transaction, utcnow
from portal.domain import retention
from portal.domain.errors import DomainError
from portal.domain.retention import Retention
from portal.forms.limits import put_beside
from portal.forms.privacy import RetentionForm
from portal.htmx import see_other, toast, whole_page
from portal.permissions import Permission, requires

bp = Blueprint("privacy", __name__, url_prefix="/settings/privacy")


@bp.get("")
@requires(Permission.MANAGE_SETTINGS)
def index() -> Response:
    form = RetentionForm(formdata=None)
    form.show(retention.current())
    return _page(form)


@bp.post("")
@requires(Permission.MANAGE_SETTINGS)
def save() -> AnyResponse:
    form = RetentionForm()
    if not form.validate_on_submit() or not _allowed(form):
        return _page(form, 422)
    wish = form.wish()
    losses = {kind: number for kind, number in retention.affected(wish, utcnow()).items() if number}
    if losses and form.confirmed.data != _seal(wish):
        form.confirmed.data = _seal(wish)
        return _page(form, losses=losses)
    transaction(lambda: retention.save(wish))
    toast(_("Saved. What is too old is deleted within six hours.") if losses else _("Saved."))
    return see_other(url_for(".index"))


def _allowed(form: RetentionForm) -> bool:
    try:
        retention.check(form.wish())
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return False
    return True


def _seal(wish: Retention) -> str:
    """Agreed to these limits and no others."""
    return "-".join(str(wish.days(kind) or 0) for kind in retention.KINDS)


def _page(form: RetentionForm, status: int = 200, losses: dict[str, int] | None = None) -> Response:
    return whole_page("settings/privacy.html", status, form=form, losses=losses or {}, most=retention.MOST_COUNTED)
