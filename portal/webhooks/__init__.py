"""What Retell, Cal.com and Stripe send: verified, recorded once, handled."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from flask import Flask

from portal.extensions import csrf


def init_app(app: Flask) -> None:
    """Register the ``bp`` of every provider. A webhook proves itself by its signature instead of a CSRF token."""
    for found in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{found.name}")
        if hasattr(module, "bp"):
            csrf.exempt(module.bp)
            app.register_blueprint(module.bp)
