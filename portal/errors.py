"""From an error to a status and a page that says what to do."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from portal.db import db, is_unavailable
from portal.domain.errors import DomainError
from portal.extensions import login

log = structlog.get_logger()
PAGES = {400, 401, 403, 404, 405, 413, 422, 429, 500, 503}


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, lambda error: answer(400, reason="csrf"))
    app.register_error_handler(DomainError, lambda error: answer(422, message=error.message))
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(OverflowError, _overflow)
    app.register_error_handler(Exception, _unexpected)


def answer(status: int, **context: object) -> Response:
    """The error page, JSON for a webhook, a line for a calendar program. None asks the database for anything."""
    if request.path.startswith("/webhooks/"):
        return make_response(jsonify(error=status), status)
    if status >= 500 and "_login_user" not in g:
        g._login_user = login.anonymous_user()  # who it is could not be read, and reading it again would fail again
    if request.path.startswith("/feeds/"):
        return _for_a_program(status)
    page = status if status in PAGES else (500 if status >= 500 else 400)
    context.setdefault("request_id", g.get("request_id"))
    return make_response(render_template(f"errors/{page}.html", status=status, **context), status)


def _for_a_program(status: int) -> Response:
    """A calendar program reads no pages, and a page would repeat the address, which is a secret."""
    words = HTTPStatus(status).phrase
    return Response(f"{words}\n", status, {"Cache-Control": "private, no-store"}, mimetype="text/plain")


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    response = answer(error.code or 500)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _database_error(error: DBAPIError) -> Response:
    db.session.rollback()
    if not is_unavailable(error):
        return _unexpected(error)
    log.error("database away", error=str(error.orig))
    response = answer(503)
    response.headers["Retry-After"] = "30"
    return response


def _overflow(error: OverflowError) -> Response:
    """SQLite refuses an id that is longer than any: there is no such row. The others just find none."""
    if "SQLite" not in str(error):
        return _unexpected(error)
    db.session.rollback()
    return answer(404)


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return answer(500)
