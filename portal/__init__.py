"""Empfang: the portal of a business whose phone is answered by an AI receptionist."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, current_app
from werkzeug.middleware.proxy_fix import ProxyFix

from config import INSTANCE, ROOT, Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application, ready to serve. Raises :class:`config.SettingsError` on wrong settings."""
    settings = (settings or Settings.from_env()).check()
    app = Flask(
        "portal",
        root_path=str(ROOT / "portal"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        instance_path=str(INSTANCE),
    )
    app.extensions["settings"] = settings
    _configure(app, settings)
    _connect_extensions(app, settings)
    _register(app)
    return app


def settings() -> Settings:
    """The running application's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def _configure(app: Flask, settings: Settings) -> None:
    from portal.db import engine_options

    secure = settings.portal_base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        # Cookies know no ports: two portals on one machine would sign each other's people out.
        SESSION_COOKIE_NAME=f"empfang_{urlsplit(settings.portal_base_url).port or 'portal'}",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=secure,
        PERMANENT_SESSION_LIFETIME=7 * 24 * 3600,
        SESSION_REFRESH_EACH_REQUEST=False,  # else every static file sets a cookie
        MAX_CONTENT_LENGTH=4 * 1024 * 1024,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=secure,
        BABEL_DEFAULT_LOCALE="de",
        BABEL_DEFAULT_TIMEZONE="Europe/Berlin",
        BABEL_TRANSLATION_DIRECTORIES="translations",
        RATELIMIT_ENABLED=settings.portal_env != "test",
        TESTING=settings.portal_env == "test",
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.database_url.startswith("sqlite:///"):
        Path(settings.database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    if settings.production:
        # One reverse proxy in front (docs/running.md); without it these headers would be anybody's to write.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]


def _connect_extensions(app: Flask, settings: Settings) -> None:
    import portal.models  # noqa: F401  the mappers must be known before the first query
    from portal import assets, extensions, filters, i18n, observability, security, shell
    from portal.clients.recording_store import Store
    from portal.db import configure_encryption
    from portal.domain import invoices, recordings

    configure_encryption(settings.encryption_keys)
    recordings.configure(Store(Path(settings.recordings_dir)))
    invoices.configure(invoices.Issuer(**asdict(settings.seller)))
    extensions.db.init_app(app)
    extensions.migrate.init_app(app, extensions.db, directory=str(ROOT / "migrations"))
    extensions.csrf.init_app(app)
    extensions.htmx.init_app(app)
    extensions.limiter.init_app(app)
    i18n.init_app(app, extensions.babel)
    for part in (observability, security, assets, filters, shell):
        part.init_app(app)


def _register(app: Flask) -> None:
    from portal import cli, errors, views, webhooks

    views.init_app(app)
    webhooks.init_app(app)
    errors.init_app(app)
    cli.init_app(app)
