"""Public holidays of countries and their regions, from the library ``holidays``; computed, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType

import holidays
from holidays.registry import COUNTRIES

# The region of a branch that observes what the whole country does, as where a country has no regions of its own.
WHOLE = "*"
LONGEST_CODE = 10  # of a region, as branches.region holds it


@dataclass(frozen=True)
class Place:
    """Whose holidays count: ISO 3166-1 country, ISO 3166-2 subdivision without the country, or :data:`WHOLE`."""

    country: str
    region: str


def name(place: Place | None, day: date, language: str) -> str | None:
    """What the day is called there in that language, as far as it is known in it; None for an ordinary day."""
    if place is None:
        return None
    return of_year(place, day.year, language).get(day)


@lru_cache(maxsize=1024)
def of_year(place: Place, year: int, language: str) -> Mapping[date, str]:
    """All holidays of a year by day, in their order; none for a place that is not known."""
    if not known(place):
        return MappingProxyType({})
    found = holidays.country_holidays(
        place.country,
        subdiv=None if place.region == WHOLE else place.region,
        years=year,
        language=_language(place.country, language),
    )
    return MappingProxyType({day: str(found[day]) for day in sorted(found) if day.year == year})


def known(place: Place) -> bool:
    """Whether there is such a country and, but for :data:`WHOLE`, such a region of it."""
    return place.country in countries() and (place.region == WHOLE or place.region in regions(place.country))


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """ISO 3166-1 codes of all countries that are known."""
    return frozenset(codes[1] for codes in COUNTRIES.values())


@lru_cache(maxsize=256)
def regions(country: str) -> Mapping[str, str]:
    """The regions of a country, code → name, by name; a region without a known name is called by its code."""
    if country not in countries():
        return MappingProxyType({})
    about = holidays.country_holidays(country)
    names: dict[str, str] = {}
    for alias, code in about.subdivisions_aliases.items():
        names.setdefault(code, alias)
    codes = [code for code in about.subdivisions if len(code) <= LONGEST_CODE]
    return MappingProxyType(dict(sorted(((code, names.get(code, code)) for code in codes), key=lambda pair: pair[1])))


@lru_cache(maxsize=1024)
def _language(country: str, wanted: str) -> str | None:
    """The country's own spelling of a language; its own language where it does not speak the one that is wanted."""
    about = holidays.country_holidays(country)
    spoken = sorted(each for each in about.supported_languages if each.partition("_")[0] == wanted)
    return next(iter(spoken), about.default_language)
