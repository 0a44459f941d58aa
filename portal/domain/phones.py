"""Phone numbers: E.164 inside, DIN 5008 on the page, digits for the search."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

DEFAULT_COUNTRY = "DE"

# How carriers and telephony providers say "the caller hides the number". The digits spell ANONYMOUS, RESTRICTED,
# BLOCKED, UNKNOWN and UNAVAILABLE on a telephone's keys.
_WITHHELD = {
    "", "anonymous", "restricted", "unknown", "private", "private number", "unavailable", "blocked", "withheld",
    "hidden", "no caller id", "anonymous caller", "private caller", "unknown caller", "unknown number",
    "none", "null", "undefined", "unbekannt", "anonym", "unterdrückt", "unterdrückte nummer",
    "266696687", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253",
}  # fmt: skip
_SIP = re.compile(r"^(?:sips?|tel):([^@;]*).*$", re.IGNORECASE)
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_TYPED_NUMBER = re.compile(r"[0-9+()/\-–.\s]+")
_SHORTEST = 5
_SHORTEST_SEARCH = 3


def is_withheld(raw: str | None) -> bool:
    """Whether what a provider sent as a number means that there is none."""
    return _bare(raw).casefold().partition("@")[0] in _WITHHELD


def is_somebodys(number: str | None) -> bool:
    """Whether a number of a call tells who it was. A name or an extension, as exchanges send them, is everybody's."""
    return (number or "").startswith("+")


def normalise(raw: str | None, country: str = DEFAULT_COUNTRY) -> str | None:
    """E.164 (``+49231274870``) of a number in any spelling, dialled in ``country``; None if withheld or no number.

    Without an area code it is no number: ``274870`` could be anybody's.
    """
    if is_withheld(raw):
        return None
    number = _parse(_full(_bare(raw), country), country)
    if number is None or not phonenumbers.is_possible_number(number) or len(str(number.national_number)) < _SHORTEST:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=4096)
def display(number: str | None, country: str = DEFAULT_COUNTRY) -> str:
    """DIN 5008: ``0231 274870`` for a reader in the number's own country, ``+49 231 274870`` elsewhere.

    '' for a withheld number; what cannot be read stays as it is.
    """
    if is_withheld(number):
        return ""
    parsed = _parse(number or "", country)
    if parsed is None:
        return number or ""
    area, local = _parts(parsed)
    if parsed.country_code == phonenumbers.country_code_for_region(country):
        return f"{_trunk_prefix(country)}{area} {local}" if area else f"{_trunk_prefix(country)}{local}"
    return " ".join(part for part in (f"+{parsed.country_code}", area, local) if part)


def digits_for_search(text: str, country: str = DEFAULT_COUNTRY) -> str:
    """The digits in which stored E.164 numbers end, from a number typed in any spelling.

    ``0231/27 48-70``, ``+49 (0)231 274870`` and ``274870`` all end the stored ``+49231274870``. '' when the text is
    no number or shorter than three digits.
    """
    body = _TRUNK_ZERO.sub("", text.strip())
    if not _TYPED_NUMBER.fullmatch(body):
        return ""
    digits = re.sub(r"[^0-9]", "", body)
    if digits.startswith("00"):
        digits = digits[2:]
    elif not body.startswith("+") and (prefix := _trunk_prefix(country)):
        digits = digits.removeprefix(prefix)
    return digits if len(digits) >= _SHORTEST_SEARCH else ""


def reversed_digits(text: str, country: str = DEFAULT_COUNTRY) -> str:
    """``digits_for_search`` backwards: the prefix to look for in a ``phone_rev`` column."""
    return digits_for_search(text, country)[::-1]


def _bare(raw: str | None) -> str:
    return _SIP.sub(r"\1", (raw or "").strip()).strip()


def _full(text: str, country: str) -> str:
    """The number as dialled from far enough away; '' for one that works in its own town only."""
    digits = re.sub(r"[^0-9+]", "", text)
    if digits[:1] in {"+", "0"} or not _trunk_prefix(country):
        return text
    return f"+{digits}" if digits.startswith(str(phonenumbers.country_code_for_region(country))) else ""


def _parse(text: str, country: str) -> PhoneNumber | None:
    # The library would read letters as keys of a telephone: "Anna 123" must not become a number.
    if not _TYPED_NUMBER.fullmatch(text):
        return None
    try:
        return phonenumbers.parse(_TRUNK_ZERO.sub("", text) if "+" in text else text, country)
    except NumberParseException:
        return None


def _parts(number: PhoneNumber) -> tuple[str, str]:
    """Area code (or mobile prefix) and the rest; the area code is '' in countries that know none."""
    digits = phonenumbers.national_significant_number(number)
    length = phonenumbers.length_of_geographical_area_code(number)
    if not length and _trunk_prefix(phonenumbers.region_code_for_country_code(number.country_code or 0)):
        length = phonenumbers.length_of_national_destination_code(number)
    if number.country_code == 49 and digits[:2] in {"15", "16", "17"}:
        length = 3  # people write 0152 33445566, although the block that was handed out is 01523
    return digits[:length], digits[length:]


def _trunk_prefix(country: str) -> str:
    return "0" if phonenumbers.ndd_prefix_for_region(country, True) == "0" else ""
