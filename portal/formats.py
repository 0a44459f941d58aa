"""Money, numbers, days and times as words and figures. Pure: language ("de" or "en") and zone are arguments.

Amounts carry a real minus (U+2212) and no-break spaces; German money is ``1.234,56 €``, English ``€1,234.56``. Clocks
have 24 hours in both languages. On the days on which clocks change, every time names its zone.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.numbers import format_decimal

NBSP = "\u00a0"
MINUS = "\u2212"

# English as written in Europe: the day before the month.
_LOCALES = {"de": Locale("de"), "en": Locale("en", "GB")}
_PATTERNS = {
    "day": {"de": "dd.MM.y", "en": "d MMM y"},
    "short_day": {"de": "dd.MM.", "en": "d MMM"},
    "weekday_day": {"de": "EEE, dd.MM.", "en": "EEE d MMM"},
    "long_day": {"de": "EEEE, d. MMMM", "en": "EEEE, d MMMM"},
    "long_day_year": {"de": "EEEE, d. MMMM y", "en": "EEEE, d MMMM y"},
    "month": {"de": "LLLL y", "en": "LLLL y"},
    "weekday": {"de": "EEE", "en": "EEE"},
    "weekday_name": {"de": "cccc", "en": "cccc"},
}
_UNBROKEN = {"day", "short_day", "weekday_day"}
_GERMAN_ZONES = {"CET": "MEZ", "CEST": "MESZ", "WET": "WEZ", "WEST": "WESZ", "EET": "OEZ", "EEST": "OESZ"}
_UNITS: tuple[tuple[Literal["day", "hour", "minute"], int], ...] = (("day", 86400), ("hour", 3600), ("minute", 60))
_A_MONDAY = date(2024, 1, 1)


# ---- Numbers ------------------------------------------------------------------------------------------


def number(value: Decimal | float, locale: str, places: int | None = None) -> str:
    """``1.234`` or ``1.234,5``: ``places`` decimals, half up; without it as many as needed, up to two."""
    fewest, most = (0, 2) if places is None else (places, places)
    return _figures(value, locale, fewest, most)


def money(value: Decimal, locale: str, *, sign: bool = False, up_to: int = 2) -> str:
    """Euros; with ``sign`` a plus before what comes in, with ``up_to`` more decimals where they say something."""
    figures = _figures(abs(value), locale, 2, up_to)
    amount = f"€{figures}" if locale == "en" else f"{figures}{NBSP}€"
    if not any(figure in figures for figure in "123456789"):
        return amount
    if value < 0:
        return MINUS + amount
    return f"+{amount}" if sign else amount


def typed_amount(value: Decimal, locale: str) -> str:
    """``1234,56``: for form fields, readable by ``domain.amounts.parse``."""
    plain = f"{_half_up(value, 2):f}"
    return plain if locale == "en" else plain.replace(".", ",")


def percent(share: Decimal | float, locale: str, places: int = 0) -> str:
    """A share between 0 and 1 as ``64 %`` (German, no-break space) or ``64%``."""
    figures = _figures(Decimal(str(share)) * 100, locale, places, places)
    return f"{figures}%" if locale == "en" else f"{figures}{NBSP}%"


def duration(seconds: int) -> str:
    """``2:37``, from an hour on ``1:02:37``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _figures(value: Decimal | float, locale: str, fewest: int, most: int) -> str:
    exact = _half_up(Decimal(str(value)), most)
    pattern = "#,##0" + ("." + "0" * fewest + "#" * (most - fewest) if most else "")
    return format_decimal(exact or abs(exact), pattern, locale=_LOCALES[locale]).replace("-", MINUS)


def _half_up(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


# ---- Days ----------------------------------------------------------------------------------------------


def local_day(value: date, zone: ZoneInfo) -> date:
    """The calendar day of an instant in ``zone``; a plain date stays. Naive times are refused."""
    return local(value, zone).date() if isinstance(value, datetime) else value


def day(value: date, locale: str, zone: ZoneInfo) -> str:
    """``22.11.2026``, ``22 Nov 2026``."""
    return _date("day", value, locale, zone)


def short_day(value: date, locale: str, zone: ZoneInfo) -> str:
    """``22.11.``, ``22 Nov``: where the year goes without saying."""
    return _date("short_day", value, locale, zone)


def weekday_day(value: date, locale: str, zone: ZoneInfo) -> str:
    """``Sa., 28.11.``, ``Sat 28 Nov``; never broken."""
    return _date("weekday_day", value, locale, zone)


def long_day(value: date, locale: str, zone: ZoneInfo, *, year: bool = False) -> str:
    """``Dienstag, 24. November``, ``Tuesday, 24 November``; with its year on request."""
    return _date("long_day_year" if year else "long_day", value, locale, zone)


def month(value: date, locale: str, zone: ZoneInfo) -> str:
    """``November 2026``."""
    return _date("month", value, locale, zone)


def weekday(value: date | int, locale: str, zone: ZoneInfo, *, full: bool = False) -> str:
    """``Sa.``, ``Sat`` or in ``full`` ``Samstag``, ``Saturday``; of a day, or of an ISO weekday 1 to 7."""
    if isinstance(value, int):
        if not 1 <= value <= 7:
            raise ValueError(f"{value} is no ISO weekday")
        value = _A_MONDAY + timedelta(days=value - 1)
    return _date("weekday_name" if full else "weekday", value, locale, zone)


def _date(kind: str, value: date, locale: str, zone: ZoneInfo) -> str:
    text = format_date(local_day(value, zone), _PATTERNS[kind][locale], locale=_LOCALES[locale])
    return text.replace(" ", NBSP) if kind in _UNBROKEN else text


# ---- Times ---------------------------------------------------------------------------------------------


def local(value: datetime, zone: ZoneInfo) -> datetime:
    """The instant on the clocks of ``zone``. Naive times are refused."""
    if value.tzinfo is None:
        raise ValueError(f"naive time {value}: times are aware inside the portal")
    return value.astimezone(zone)


def clock(value: datetime | time, locale: str, zone: ZoneInfo, *, named: bool | None = None) -> str:
    """``14:05``; on change days ``14:05 MESZ``. ``named`` says always or never. A plain time is local already."""
    if isinstance(value, time):
        return f"{value:%H:%M}"
    text = f"{local(value, zone):%H:%M}"
    if named or (named is None and is_change_day(local_day(value, zone), zone)):
        text += NBSP + zone_name(value, locale, zone)
    return text


def when(value: datetime, locale: str, zone: ZoneInfo, *, named: bool | None = None) -> str:
    """``22.11.2026, 14:05``."""
    return f"{day(value, locale, zone)}, {clock(value, locale, zone, named=named)}"


def span(start: datetime, end: datetime, locale: str, zone: ZoneInfo, *, named: bool | None = None) -> str:
    """``10:11–10:14``; the zone is named once, and at both ends only where the clocks change in between."""
    first = clock(start, locale, zone, named=named)
    last = clock(end, locale, zone, named=named)
    if zone_name(start, locale, zone) == zone_name(end, locale, zone) and NBSP in last:
        first = clock(start, locale, zone, named=False)
    return f"{first}–{last}"


def zone_name(value: datetime, locale: str, zone: ZoneInfo) -> str:
    """The short name of the time in force: ``MEZ``, ``MESZ``, in English ``CET``, ``CEST``."""
    moment = local(value, zone)
    name = moment.tzname() or ""
    if not name[:1].isalpha():  # zones without a name call themselves "-03"
        offset = moment.utcoffset() or timedelta(0)
        return f"UTC{MINUS if offset < timedelta(0) else '+'}{abs(offset) // timedelta(minutes=60)}"
    return _GERMAN_ZONES.get(name, name) if locale == "de" else name


def is_change_day(value: date, zone: ZoneInfo) -> bool:
    """Whether clocks change on this local day."""
    midnight = datetime(value.year, value.month, value.day, tzinfo=zone)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def change_note(value: date, locale: str, zone: ZoneInfo) -> str:
    """For the heading of a day: ``MEZ → MESZ`` on a change day, '' on all others."""
    if not is_change_day(value, zone):
        return ""
    midnight = datetime(value.year, value.month, value.day, tzinfo=zone)
    return f"{zone_name(midnight, locale, zone)} → {zone_name(midnight + timedelta(days=1), locale, zone)}"


def relative(value: datetime, now: datetime, locale: str, *, short: bool = False) -> str:
    """``vor 24 Minuten``, ``in 2 Stunden``; ``short``: ``vor 24 Min.``. Whole minutes, hours or days, rounded down.

    '' within the minute: "just now" is the caller's word.
    """
    seconds = int((value - now).total_seconds())
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            whole = abs(seconds) // size * size
            return format_timedelta(
                timedelta(seconds=whole if seconds > 0 else -whole),
                granularity=unit,
                threshold=math.inf,  # or six days would become a week
                add_direction=True,
                format="short" if short else "long",
                locale=_LOCALES[locale],
            )
    return ""
