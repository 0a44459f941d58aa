"""Which language and which time zone a page speaks.

Language: the signed-in person's, else ``?lang=`` (remembered in the session), else the browser's, else German.
Zone: the one set for this page (a branch's), else the person's, else the company's, else Berlin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, current_app, g, has_app_context, has_request_context, request, session
from flask_babel import Babel, force_locale, get_locale, refresh
from flask_login import current_user

LANGUAGES = ("de", "en")
DEFAULT_LANGUAGE = "de"
DEFAULT_ZONE = "Europe/Berlin"
DEFAULT_COUNTRY = "DE"


def init_app(app: Flask, babel: Babel) -> None:
    """Connect Babel to the selectors below; templates get ``language()`` and ``zone()``."""
    babel.init_app(
        app,
        default_locale=DEFAULT_LANGUAGE,
        default_timezone=DEFAULT_ZONE,
        locale_selector=select_locale,
        timezone_selector=select_timezone,
    )
    app.before_request(_remember_language)
    app.jinja_env.globals.update(language=language, zone=zone)


def select_locale() -> str:
    """The language of this request; German outside of one."""
    if not has_request_context():
        return DEFAULT_LANGUAGE
    for wish in (_of_user("language"), request.args.get("lang"), session.get("lang")):
        if wish in LANGUAGES:
            return str(wish)
    return request.accept_languages.best_match(LANGUAGES, DEFAULT_LANGUAGE)


def select_timezone() -> str:
    """The name of the zone in force; names that no zone has are passed over."""
    if has_app_context():
        for name in (g.get("zone_name"), _of_user("timezone"), getattr(g.get("company"), "timezone", None)):
            if name and _known_zone(name):
                return str(name)
    return DEFAULT_ZONE


def language() -> str:
    """``de`` or ``en``, as in force now."""
    locale = get_locale() if has_app_context() else None
    return locale.language if locale and locale.language in LANGUAGES else DEFAULT_LANGUAGE


def zone() -> ZoneInfo:
    """The time zone in force now."""
    return ZoneInfo(select_timezone())


def local_day(moment: datetime) -> date:
    """The day on which an instant falls in the zone in force."""
    return moment.astimezone(zone()).date()


def set_zone(name: str | None) -> None:
    """Show the times of this page in a branch's zone; None goes back to the person's."""
    g.zone_name = name
    refresh()


def country() -> str:
    """The reader's country, for phone numbers: the company's, else Germany."""
    company = g.get("company") if has_app_context() else None
    return getattr(company, "country", None) or DEFAULT_COUNTRY


@contextmanager
def speaking(language: str, zone_name: str | None = None) -> Iterator[None]:
    """Write in somebody else's language and zone, as mails do. Needs an app context, no request."""
    before = g.get("zone_name")
    g.zone_name = zone_name or before
    try:
        with force_locale(language if language in LANGUAGES else DEFAULT_LANGUAGE):
            yield
    finally:
        g.zone_name = before


def _remember_language() -> None:
    wish = request.args.get("lang")
    if wish in LANGUAGES:
        session["lang"] = wish


def _of_user(name: str) -> str | None:
    # Without a login manager (a bare app, a command) there is nobody to ask.
    if not has_request_context() or not hasattr(current_app, "login_manager"):
        return None
    return getattr(current_user, name, None) if current_user.is_authenticated else None


@lru_cache(maxsize=256)
def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
