"""The Flask extensions, made once and bound to the application in ``create_app``."""

from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, current_user
from flask_migrate import Migrate
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx

from portal.db import db

migrate = Migrate()
login = LoginManager()
csrf = CSRFProtect()
htmx = Htmx()
babel = Babel()


def person_or_address() -> str:
    """Whom a limit counts: the signed-in person, so that nobody locks out the others behind the same address."""
    return f"user {current_user.id}" if current_user.is_authenticated else str(get_remote_address())


# A coarse net against floods; who may try a password how often is counted in the database.
limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="fixed-window")

__all__ = ["babel", "csrf", "db", "htmx", "limiter", "login", "migrate", "person_or_address"]
