"""Does every cent add up? The last run's result for each company, and asking for a new one."""

from __future__ import annotations

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal.db import transaction, utcnow
from portal.domain import operator, parked_words, reconciliation
from portal.htmx import polled, see_other, toast, whole_page
from portal.permissions import Permission, requires

bp = Blueprint("reconciliation", __name__, url_prefix="/operator/reconciliation")


@bp.context_processor
def _helpers() -> dict[str, object]:
    return {"areas": reconciliation.AREAS, "parked_words": parked_words}


@bp.get("")
@requires(Permission.OPERATE)
def index() -> Response:
    run = reconciliation.last_run()
    return whole_page("operator/reconciliation.html", run=run, version=_version(run), parked=operator.parked_topups())


@bp.get("/run")
@requires(Permission.OPERATE)
def progress() -> Response:
    """The run's state, which stays up to date while it runs."""
    run = reconciliation.last_run()
    return polled("operator/_reconciliation.html", _version(run), run=run)


@bp.post("/check")
@requires(Permission.OPERATE)
def check() -> AnyResponse:
    transaction(lambda: reconciliation.ask(utcnow()))
    toast(_("The check has been asked for. Its result appears here."))
    return see_other(url_for(".index"))


def _version(run: reconciliation.Run | None) -> str:
    return run.version if run else "-"
