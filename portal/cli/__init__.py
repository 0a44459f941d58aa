"""Commands, one file a group: parse, open the tenant, call the domain, commit, print."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from flask import Flask


def init_app(app: Flask) -> None:
    """Register what each file of this package lists in ``COMMANDS``."""
    for found in pkgutil.iter_modules(__path__):
        for command in import_module(f"{__name__}.{found.name}").COMMANDS:
            app.cli.add_command(command)
