"""Jinja filters: ``formats`` and ``domain.phones`` in the language and zone of the page.

None becomes '' in all of them but ``phone``. ``zone`` takes a name (``Europe/Vienna``) where a row has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask_babel import gettext as _
from jinja2 import pass_context
from jinja2.runtime import Context

from portal import formats, i18n
from portal.db import utcnow
from portal.domain import phones
from portal.domain.discreet import initials

RECENT_DAYS = 7


def init_app(app: Flask) -> None:
    """Register every filter under its own name."""
    app.jinja_env.filters.update({function.__name__: _at_run_time(function) for function in FILTERS})


def _at_run_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep Jinja from folding ``1000|number`` when it compiles a template: the first reader's language would stay."""

    @pass_context
    @wraps(function)
    def filtered(context: Context, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return filtered


def truncate(text: str | None, length: int = 255) -> str:
    """At most ``length`` letters, cut between words: ``Frau Voss möchte …``."""
    if text is None or len(text) <= length:
        return text or ""
    cut = text[: length - 1].rpartition(" ")[0]
    return f"{cut} …" if cut else f"{text[: length - 1]}…"


def money(value: Decimal | None, sign: bool = False) -> str:
    """``1.234,56 €`` / ``€1,234.56``; ``sign=True``: ``+50,00 €``, ``−1,10 €``."""
    return "" if value is None else formats.money(value, i18n.language(), sign=sign)


def rate(value: Decimal | None, sign: bool = False, up_to: int = 4) -> str:
    """Euros with up to four decimals, two at least: prices a minute, the steps of a charge (``1,099 €``)."""
    return "" if value is None else formats.money(value, i18n.language(), sign=sign, up_to=up_to)


def typed_amount(value: Decimal | None) -> str:
    """``1234,56``: the value of a form field."""
    return "" if value is None else formats.typed_amount(value, i18n.language())


def number(value: Decimal | float | None, places: int | None = None) -> str:
    """``1.234``, ``10,6``."""
    return "" if value is None else formats.number(value, i18n.language(), places)


def percent(share: Decimal | float | None, places: int = 0) -> str:
    """A share between 0 and 1 as ``64 %``."""
    return "" if share is None else formats.percent(share, i18n.language(), places)


def duration(seconds: int | None) -> str:
    """``2:37``, ``1:02:37``."""
    return "" if seconds is None else formats.duration(seconds)


def phone(value: str | None) -> str:
    """DIN 5008 for a reader in the company's country; withheld numbers are a name."""
    return phones.display(value or None, i18n.country()) or _("Withheld number")


def when(value: datetime | None, zone: str | None = None, named: bool | None = None) -> str:
    """``22.11.2026, 14:05``; with the zone on change days."""
    return "" if value is None else formats.when(value, i18n.language(), _zone(zone), named=named)


def clock(value: datetime | time | None, zone: str | None = None, named: bool | None = None) -> str:
    """``14:05``; with the zone on change days (``named=False``: never)."""
    return "" if value is None else formats.clock(value, i18n.language(), _zone(zone), named=named)


def clock_span(start: datetime, end: datetime, zone: str | None = None, named: bool | None = None) -> str:
    """``{{ start|clock_span(end) }}``: ``10:11–10:14``."""
    return formats.span(start, end, i18n.language(), _zone(zone), named=named)


def recently(value: datetime | None, zone: str | None = None) -> str:
    """``14:05`` for today, ``22.11., 14:05`` for any other day."""
    if value is None:
        return ""
    is_today = formats.local_day(value, _zone(zone)) == formats.local_day(utcnow(), _zone(zone))
    return clock(value, zone) if is_today else f"{short_day(value, zone)}, {clock(value, zone)}"


def day(value: date | None, zone: str | None = None) -> str:
    """``22.11.2026``."""
    return "" if value is None else formats.day(value, i18n.language(), _zone(zone))


def short_day(value: date | None, zone: str | None = None) -> str:
    """``22.11.``."""
    return "" if value is None else formats.short_day(value, i18n.language(), _zone(zone))


def near_day(value: date | None, zone: str | None = None) -> str:
    """``22.11.``; with its year where that is not this one."""
    return short_day(value, zone) if year(value, zone) == year(utcnow(), zone) else day(value, zone)


def weekday_day(value: date | None, zone: str | None = None) -> str:
    """``Sa., 28.11.``, never broken."""
    return "" if value is None else formats.weekday_day(value, i18n.language(), _zone(zone))


def long_day(value: date | None, zone: str | None = None, year: bool = False) -> str:
    """``Dienstag, 24. November``."""
    return "" if value is None else formats.long_day(value, i18n.language(), _zone(zone), year=year)


def month(value: date | None, zone: str | None = None) -> str:
    """``November 2026``."""
    return "" if value is None else formats.month(value, i18n.language(), _zone(zone))


def year(value: date | None, zone: str | None = None) -> str:
    """``2026``, of the local day."""
    return "" if value is None else str(formats.local_day(value, _zone(zone)).year)


def weekday(value: date | int | None, full: bool = False, zone: str | None = None) -> str:
    """``Sa.`` or ``Samstag``; of a day or of an ISO weekday 1 to 7."""
    return "" if value is None else formats.weekday(value, i18n.language(), _zone(zone), full=full)


def zone_name(value: datetime | None, zone: str | None = None) -> str:
    """``MEZ``, ``MESZ``."""
    return "" if value is None else formats.zone_name(value, i18n.language(), _zone(zone))


def change_note(value: date, zone: str | None = None) -> str:
    """``MEZ → MESZ`` for the heading of a change day, else ''."""
    where = _zone(zone)
    return formats.change_note(formats.local_day(value, where), i18n.language(), where)


def ago(value: datetime | None, short: bool = False, now: datetime | None = None) -> str:
    """``vor 24 Minuten``, ``in 2 Stunden``; ``gerade eben`` within the minute, the day itself beyond a week."""
    if value is None:
        return ""
    now = now or utcnow()
    if abs(value - now).days >= RECENT_DAYS:
        return day(value)
    return formats.relative(value, now, i18n.language(), short=short) or _("just now")


def isotime(value: datetime | date | None) -> str:
    """ISO 8601 in the page's zone, for ``<time datetime="…">``."""
    if isinstance(value, datetime):
        return formats.local(value, i18n.zone()).isoformat(timespec="seconds")
    return "" if value is None else value.isoformat()


def _zone(name: str | None) -> ZoneInfo:
    return ZoneInfo(name) if name else i18n.zone()


FILTERS = (
    money, rate, typed_amount, number, percent, duration, phone, truncate,
    when, clock, clock_span, recently, day, short_day, near_day, weekday_day, long_day, month, year, weekday, zone_name,
    change_note, ago, isotime, initials,
)  # fmt: skip
