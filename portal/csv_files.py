"""CSV files as German Excel opens them: UTF-8 with BOM, ``;`` between cells, decimal comma, sent piece by piece."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

from flask import Response, stream_with_context

BOM = "\ufeff"


def response(pieces: Iterator[str], name: str) -> Response:
    """The file ``name``. ``pieces`` are made after the request: each one enters its company's scope by itself."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(stream_with_context(pieces), mimetype="text/csv", headers=headers)


def line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def safe(text: str) -> str:
    """A cell that begins like a formula would be run by the program that opens the file."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def figure(value: Decimal, places: int = 2) -> str:
    """``-1,10``."""
    return f"{value:.{places}f}".replace(".", ",")
