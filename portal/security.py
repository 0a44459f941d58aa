"""Headers that every answer carries, and the scope of every signed-in request."""

from __future__ import annotations

from flask import Flask, Response, request, session
from flask_login import current_user

from portal.htmx import send_toasts

CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'{form_targets}"
)


def init_app(app: Flask) -> None:
    # A form may be answered by a redirect to Stripe's page, and browsers hold redirects against form-action.
    settings = app.extensions["settings"]
    stripe_page = settings.stripe_api_base or "https://checkout.stripe.com"
    policy = CSP.format(form_targets=f" {stripe_page}")

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.endpoint != "static":
            send_toasts(response)
            response.headers.setdefault("Content-Security-Policy", policy)
            _keep_private(response)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        if settings.production:
            response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        return response


def _keep_private(response: Response) -> None:
    response.headers.add("Vary", "HX-Request")
    if response.cache_control.private and response.cache_control.max_age:
        return  # a view that says so itself: the company's colour stays in the browser for some minutes
    # The cookie itself is written after this.
    if current_user.is_authenticated or session.modified:
        response.headers["Cache-Control"] = "no-store"
