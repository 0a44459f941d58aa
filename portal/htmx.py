"""The only file that knows HTMX's headers. Every answer varies on ``HX-Request`` (see security.py)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Response, flash, get_flashed_messages, make_response, redirect, render_template
from htmx_flask import request

from portal.shell import full_frame


def wants_part() -> bool:
    """Whether only a part of the page is asked for. Boosted links and Back ask for whole pages."""
    whole = request.htmx.boosted or request.htmx.history_restore_request
    return bool(request.htmx) and not whole and request.headers.get("HX-Request-Type") != "full"


def page_around(asked: str | None) -> str | None:
    """Path and query of the page that asked for a part; ``asked`` itself where a whole page was asked for."""
    if not request.htmx or request.htmx.boosted:
        return asked
    shown = urlsplit(request.headers.get("HX-Current-URL", ""))
    return (f"{shown.path}?{shown.query}" if shown.query else shown.path) or None


def page_or_part(page: str, part: str, status: int = 200, /, **context: Any) -> Response:
    """The whole page, or for HTMX the part that the page includes."""
    if wants_part():
        return make_response(render_template(part, **context), status)
    return whole_page(page, status, **context)


def whole_page(page: str, status: int = 200, /, **context: Any) -> Response:
    """A page with its frame; what the frame shows is read here, not in the template."""
    return make_response(render_template(page, shell=full_frame(), **context), status)


def polled(part: str, version: str, /, **context: Any) -> Response:
    """A live part, or 204 when the browser already shows this ``version``.

    The part repeats the version in its own address: ``hx-get="…?v={{ version }}"``.
    """
    if request.args.get("v") == version:
        return Response(status=204)
    return make_response(render_template(part, **context | {"version": version}))


def see_other(url: str) -> Response:
    """Go on at ``url`` with a GET. HTMX follows by itself only for whole pages, so it is told."""
    if request.htmx and not request.htmx.boosted:
        return Response(status=204, headers={"HX-Redirect": url})
    return make_response(redirect(url, 303))


def load_whole(url: str) -> Response | None:
    """For pages with styles of their own (paper, the counter): HTMX is told to load them, not to swap them in."""
    return Response(status=204, headers={"HX-Redirect": url}) if request.htmx else None


def swapped_whole(response: Response) -> Response:
    """Let the part take the place of the old one instead of being morphed into it: nothing of the old is kept."""
    response.headers["HX-Reswap"] = "outerHTML"
    return response


def nothing_but(message: str, kind: str = "warn", status: int = 422) -> Response:
    """Say something in passing and leave the page as it is."""
    response = Response(status=status, headers={"HX-Reswap": "none"})
    return trigger(response, toast={"message": message, "kind": kind})


def toast(message: str, kind: str = "ok") -> None:
    """Say something in passing. ``kind`` is ok, info, warn or bad; shown with the next page or part."""
    flash(message, kind)


def trigger(response: Response, *events: str, **details: Any) -> Response:
    """Let the browser raise events (``balance-changed``) once the answer is in."""
    known = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps(known | {event: {} for event in events} | details)
    return response


def send_toasts(response: Response) -> Response:
    """Hand what :func:`toast` collected to a part, which has no toast region of its own."""
    if wants_part() and response.status_code == 200 and (messages := get_flashed_messages(with_categories=True)):
        latest: Any = messages[-1]
        kind, message = latest
        trigger(response, toast={"message": str(message), "kind": kind})
    return response
