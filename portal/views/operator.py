"""The operator's first page: companies and their state, top-ups that wait for a decision."""

from __future__ import annotations

from flask import Blueprint, request
from werkzeug.wrappers import Response

from portal.db import utcnow
from portal.domain import operator, parked_words
from portal.htmx import page_or_part, wants_part, whole_page
from portal.permissions import Permission, requires

bp = Blueprint("operator", __name__, url_prefix="/operator")


@bp.get("", strict_slashes=False)
@requires(Permission.OPERATE)
def index() -> Response:
    now, query = utcnow(), request.args.get("q", "").strip()[:100]
    found = operator.companies(query, request.args.get("after", ""), now)
    if wants_part():
        return page_or_part("operator/index.html", "operator/_companies.html", found=found, query=query, now=now)
    return whole_page(
        "operator/index.html",
        found=found,
        query=query,
        now=now,
        figures=operator.figures(now),
        parked=operator.parked_topups(),
        parked_words=parked_words,
    )
