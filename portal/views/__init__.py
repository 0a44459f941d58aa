"""The pages. A file is a blueprint is a word in the address."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from flask import Blueprint, Flask


def blueprints() -> list[Blueprint]:
    """Every ``bp`` of this package, in the order of the file names."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return [module.bp for module in modules if hasattr(module, "bp")]


def init_app(app: Flask) -> None:
    for blueprint in blueprints():
        app.register_blueprint(blueprint)
