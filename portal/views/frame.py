"""What every page's frame asks for: the company's colour, the pipeline light, a person's own choices, small files."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, make_response, request, session, url_for
from flask_login import current_user, login_required
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import branding, overview, preferences
from portal.htmx import polled, see_other
from portal.permissions import Permission, requires
from portal.tenancy import all_tenants
from portal.views.access import home, own_path

bp = Blueprint("shell", __name__)

COLOUR_SECONDS = 300


@bp.get("/brand/<tenant_id>.css")
def brand(tenant_id: str) -> AnyResponse:
    """The company's colour; empty without one. Says nothing that a visitor of the company would not see."""
    colour = branding.brand_colour(tenant_id)
    response = make_response(f":root {{ --brand: {colour}; }}\n" if colour else "")
    response.mimetype = "text/css"
    response.headers["Cache-Control"] = f"private, max-age={COLOUR_SECONDS}"
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/pipeline")
@requires(Permission.VIEW_CALLS)
def pipeline() -> Response:
    light, today = overview.pipeline(), i18n.local_day(utcnow())
    return polled("layouts/_pipeline.html", f"{light.version}-{today}", light=light)


@bp.post("/preferences/language")
def language() -> AnyResponse:
    wish = request.form.get("language", "")
    if wish in i18n.LANGUAGES:
        if current_user.is_authenticated:
            user_id = current_user.id
            with all_tenants("a person's own choice; operators have no company"):
                transaction(lambda: preferences.set_language(user_id, wish))
        else:
            session["lang"] = wish
    return see_other(_back())


@bp.post("/preferences/theme")
@login_required
def theme() -> AnyResponse:
    """Only people who are signed in have a stored one; the device decides for everybody else."""
    user_id, company_id, wish = current_user.id, current_user.company_id, request.form.get("theme", "")
    with all_tenants("a person's own choice; operators have no company"):
        transaction(lambda: preferences.set_theme(user_id, company_id, wish))
    return see_other(_back())


def _back() -> str:
    fallback = home() if current_user.is_authenticated else url_for("access.login")
    return own_path(request.form.get("next")) or fallback


@bp.get("/robots.txt")
def robots() -> Response:
    """Nothing here is for search engines."""
    response = make_response("User-agent: *\nDisallow: /\n")
    response.mimetype = "text/plain"
    return response


@bp.get("/favicon.ico")
def favicon() -> AnyResponse:
    """Browsers ask for this name by themselves."""
    return current_app.send_static_file("img/favicon.svg")
