"""Calendar feeds: the secret addresses that calendar programs read, and the page where people make and end them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import segno
import structlog
from flask import Blueprint, Flask, Response, abort, current_app, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.exc import DBAPIError
from werkzeug.http import is_resource_modified
from werkzeug.wrappers import Response as AnyResponse

from portal import i18n, settings
from portal.db import transaction, utcnow
from portal.domain import feed_contents, feeds, ical
from portal.domain.access import token_hash
from portal.domain.errors import DomainError
from portal.domain.feed_contents import Contents
from portal.domain.feeds import Found
from portal.domain.identity import Identity
from portal.extensions import limiter
from portal.forms.feeds import FeedForm
from portal.htmx import see_other, toast, whole_page
from portal.permissions import Permission, requires
from portal.tenancy import tenant_scope

bp = Blueprint("feeds", __name__)
log = structlog.get_logger()

NEW = "new_feed"  # in the session: the address that is shown once


# ---- What programs read -----------------------------------------------------------------------------------------


def _address_of_feed() -> str:
    """Each address is counted by itself: a shop's phones, and everybody's at Google, ask from one place."""
    return token_hash((request.view_args or {}).get("token", ""))


@bp.get("/feeds/<token>.ics")
@limiter.limit("60/minute", key_func=_address_of_feed)
def ics(token: str) -> Response:
    """The appointments, for whoever knows the address. Everything that is wrong with it gets the same answer."""
    now, found = utcnow(), feeds.find(token)
    if found is None:
        abort(404)
    with tenant_scope(found.company_id), i18n.speaking(found.reader.language):
        extent = feeds.extent(found)
        if extent is None:
            abort(404)
        names = Permission.VIEW_CUSTOMERS in found.reader.permissions
        response = _file(Contents(extent, names, settings().portal_base_url, now))
    if feeds.use_is_due(found, now):
        _note_afterwards(response, found, now)
    return response


def _file(contents: Contents) -> Response:
    state = feed_contents.state(contents)
    tag = f'W/"{state.tag}"'
    if is_resource_modified(request.environ, etag=tag, last_modified=state.changed_at):
        response = Response(feed_contents.write(contents), content_type=ical.CONTENT_TYPE)
        response.headers["Content-Disposition"] = 'inline; filename="calendar.ics"'
    else:
        response = Response(status=304)
    response.headers["ETag"] = tag
    # Seconds are all that this header knows: what has just changed may change again within the same one.
    if (contents.now - state.changed_at).total_seconds() > 2:
        response.last_modified = state.changed_at
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _note_afterwards(response: Response, found: Found, now: datetime) -> None:
    """When the answer is out: reading a calendar never waits for somebody who is writing."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def note() -> None:
        with app.app_context(), tenant_scope(found.company_id):
            try:
                transaction(lambda: feeds.note_use(found.id, now))
            except DBAPIError as error:
                log.warning("use of a calendar feed not noted", feed=found.id, error=type(error).__name__)

    response.call_on_close(note)


# ---- The page ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """An address in the three ways to take it. ``picture`` is a QR code as a data address."""

    feed_id: int
    url: str
    webcal: str
    picture: str


@bp.get("/calendar/feeds")
@requires(Permission.VIEW_CALENDAR)
def index() -> Response:
    return _page(None, shown=_shown_once())


@bp.post("/calendar/feeds")
@requires(Permission.VIEW_CALENDAR)
def create() -> AnyResponse:
    reader = _reader()
    form = FeedForm(feeds.choices(reader))
    if not form.validate():
        return _page(form, 422)
    try:
        feed_id, token = transaction(lambda: _created(reader, str(form.what.data)))
    except DomainError as error:
        form.what.errors = [error.message]
        return _page(form, 422)
    session[NEW] = [feed_id, token]
    return see_other(url_for(".index"))


@bp.post("/calendar/feeds/<int:feed_id>/renew")
@requires(Permission.VIEW_CALENDAR)
def renew(feed_id: int) -> AnyResponse:
    reader = _reader()
    token = transaction(lambda: feeds.renew(reader, feed_id))
    if token is None:
        abort(404)
    session[NEW] = [feed_id, token]
    toast(_("The old address no longer works."))
    return see_other(url_for(".index"))


@bp.post("/calendar/feeds/<int:feed_id>/delete")
@requires(Permission.VIEW_CALENDAR)
def delete(feed_id: int) -> AnyResponse:
    reader = _reader()
    if not transaction(lambda: feeds.end(reader, feed_id)):
        abort(404)
    toast(_("Deleted. The address no longer works."))
    return see_other(url_for(".index"))


def _reader() -> Identity:
    reader: Identity = current_user._get_current_object()
    return reader


def _created(reader: Identity, key: str) -> tuple[int, str]:
    feed, token = feeds.create(reader, key, utcnow())
    return feed.id, token


def _shown_once() -> Address | None:
    kept = session.pop(NEW, None)
    if not kept:
        return None
    feed_id, token = kept
    url = settings().portal_base_url + url_for(".ics", token=token)
    webcal = re.sub(r"^https?:", "webcal:", url)
    picture = segno.make(webcal, error="m").svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
    return Address(feed_id, url, webcal, picture)


def _page(form: FeedForm | None, status: int = 200, shown: Address | None = None) -> Response:
    reader = _reader()
    lines = feeds.listed(reader)
    return whole_page(
        "feeds/index.html",
        status,
        form=form or FeedForm(feeds.choices(reader), formdata=None),
        mine=[line for line in lines if line.mine],
        others=[line for line in lines if not line.mine],
        shown=shown,
        most=feeds.MOST,
        names=Permission.VIEW_CUSTOMERS in reader.permissions,
    )
