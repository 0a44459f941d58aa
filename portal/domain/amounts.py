"""Euro amounts as people type them: ``1.234,56``, ``120,5``, ``120.50``, ``120 €``."""

from __future__ import annotations

import re
from decimal import Decimal

from flask_babel import lazy_gettext as _l

LOWEST_TOPUP = Decimal(10)
HIGHEST_TOPUP = Decimal(5000)

MESSAGES = {
    "not_a_number": _l("Please enter an amount such as 120.00."),
    "negative": _l("Please enter an amount above zero."),
    "too_many_decimals": _l("Please enter at most two decimal places."),
    "ambiguous": _l("This amount can be read in two ways. Please write it without thousands separators."),
    "too_small": _l("This amount is too small."),
    "too_large": _l("This amount is too large."),
}

# What may separate groups of three digits when a person types a space: plain, no-break, narrow no-break, thin.
_SPACES = " \u00a0\u202f\u2009"
_UNIT = "€|euro|eur"
_PLAIN = re.compile(r"(?P<whole>[0-9]+)(?:[.,](?P<decimals>[0-9]+))?")
_GERMAN = re.compile(r"(?P<whole>[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,(?P<decimals>[0-9]+))?")
_SPACED = re.compile(rf"(?P<whole>[1-9][0-9]{{0,2}}(?:[{_SPACES}][0-9]{{3}})+)(?:[.,](?P<decimals>[0-9]+))?")
_ENGLISH = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
# "1.234" is 1234 euros to a German and 1 euro 23 to a programmer; a leading zero starts no thousand.
_EITHER = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_LONGEST = 32
_MOST_DIGITS = 8  # before the comma, in a money column


class AmountError(ValueError):
    """What was typed is no usable amount; ``reason`` is a key of ``MESSAGES``, ``message`` its lazy words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = MESSAGES[reason]


def parse(text: str) -> Decimal:
    """Read euros typed in German or as a plain decimal; two decimals at most, never negative.

    Raises :class:`AmountError` with not_a_number, negative, too_many_decimals, ambiguous, or
    too_large for any money column.
    """
    body = _without_unit(text)
    if body[:1] in {"-", "−", "–"}:
        _read(body[1:].strip(_SPACES))
        raise AmountError("negative")
    return _read(body)


def check_range(amount: Decimal, lowest: Decimal = LOWEST_TOPUP, highest: Decimal = HIGHEST_TOPUP) -> Decimal:
    """The amount, or :class:`AmountError` with too_small or too_large; both ends are allowed."""
    if amount < lowest:
        raise AmountError("too_small")
    if amount > highest:
        raise AmountError("too_large")
    return amount


def _without_unit(text: str) -> str:
    body = text.strip()
    if len(body) > _LONGEST:
        raise AmountError("not_a_number")
    for edge in (rf"^(?:{_UNIT})\s*", rf"\s*(?:{_UNIT})$"):
        shorter = re.sub(edge, "", body, count=1, flags=re.IGNORECASE)
        if shorter != body:
            return shorter
    return body


def _read(body: str) -> Decimal:
    if _EITHER.fullmatch(body) or ("," in body and _ENGLISH.fullmatch(body)):
        raise AmountError("ambiguous")
    match = _PLAIN.fullmatch(body) or _GERMAN.fullmatch(body) or _SPACED.fullmatch(body)
    if match is None:
        raise AmountError("not_a_number")
    decimals = match["decimals"] or ""
    if len(decimals) > 2:
        raise AmountError("too_many_decimals")
    whole = re.sub(r"[^0-9]", "", match["whole"]).lstrip("0") or "0"
    if len(whole) > _MOST_DIGITS:
        raise AmountError("too_large")
    return Decimal(f"{whole}.{decimals:0<2}")
