"""Days and times as people and language models write them, read into instants. Pure.

``halb vier``, ``Mittwoch, den fünfundzwanzigsten November``, ``2026-11-25T16:00:00+01:00``, ``half past three``: what
is said can mean more than one instant (half past three in the night or in the afternoon), so all of them are
returned, the likeliest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

EARLY, LATE = 7, 20  # hours between which businesses give appointments
# Language models fill what they do not know with year 1 or 9999: no appointment, and the end of what a date can hold.
FIRST_YEAR, LAST_YEAR = 2000, 2100
LONGEST = 2000  # characters; whoever names a time needs fewer, and the patterns below take their time with more
_UNITS = "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()
_TEENS = "dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn".split()
_TENS = {20: "zwanzig", 30: "dreissig", 40: "vierzig", 50: "fünfzig"}
_ENGLISH = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_ENGLISH_TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty"}
_ENGLISH_ORDINALS = {1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"}
_WEEKDAYS = (
    ("montag", "monday"), ("dienstag", "tuesday"), ("mittwoch", "wednesday"), ("donnerstag", "thursday"),
    ("freitag", "friday"), ("samstag", "sonnabend", "saturday"), ("sonntag", "sunday"),
)  # fmt: skip
_MONTHS = (
    ("januar", "jänner", "january", "jan"), ("februar", "february", "feb"), ("märz", "maerz", "march", "mar"),
    ("april", "apr"), ("mai", "may"), ("juni", "june", "jun"), ("juli", "july", "jul"), ("august", "aug"),
    ("september", "sept", "sep"), ("oktober", "october", "okt", "oct"), ("november", "nov"),
    ("dezember", "december", "dez", "dec"),
)  # fmt: skip


def _numbers() -> dict[str, int]:
    """Word, casefolded, → number below sixty, German and English."""
    words = {word: number for number, word in enumerate([*_UNITS, *_TEENS])} | {"eins": 1, "eine": 1, "einem": 1}
    words |= {word: number for number, word in enumerate(_ENGLISH)}
    for ten, word in _TENS.items():
        words |= {word: ten} | {f"{unit}und{word}": ten + n for n, unit in enumerate(_UNITS[1:10], 1)}
    for ten, word in _ENGLISH_TENS.items():
        words |= {word: ten} | {f"{word}-{unit}": ten + n for n, unit in enumerate(_ENGLISH[1:10], 1)}
    return words


def _ordinals() -> dict[str, int]:
    """Word → day of a month: ``dritten``, ``vierundzwanzigsten``, ``twenty-fourth``; endings cut off."""
    german = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}
    found: dict[str, int] = {}
    for word, number in NUMBERS.items():
        if 1 <= number <= 31 and word not in ("eins", "eine", "einem"):
            german_stem = german.get(number) or f"{word}{'t' if number < 20 else 'st'}"
            found |= {f"{german_stem}{ending}": number for ending in ("e", "en", "er", "es")}
            found[_english_ordinal(word, number)] = number
    return found


def _english_ordinal(word: str, number: int) -> str:
    tens, unit = divmod(number, 10)
    if number > 20 and unit and "-" in word:
        return f"{_ENGLISH_TENS[tens * 10]}-{_english_ordinal(_ENGLISH[unit], unit)}"
    return _ENGLISH_ORDINALS.get(number) or (f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")


NUMBERS = _numbers()
ORDINALS = _ordinals()


# ---- Instants -------------------------------------------------------------------------------------------------


def instants(day: Any, at: Any, zone: ZoneInfo, said: datetime) -> list[datetime]:
    """What a day and a time, each in words or figures, can mean; [] when either cannot be read.

    ``said`` is when they were spoken, for ``morgen`` and years left out. A day may hold the time as well.
    """
    written = _joined(day, at)
    whole = written_instants(day, zone) or written_instants(at, zone) or written_instants(written, zone)
    if whole:
        return whole
    on = read_day(str(day or ""), said.astimezone(zone).date()) or read_day(str(at or ""), said.astimezone(zone).date())
    times = read_times(str(at or "")) or read_times(str(day or ""))
    return on_clock(on, times, zone) if on is not None else []


def _joined(day: Any, at: Any) -> str:
    return f"{day}T{at}" if isinstance(day, str) and isinstance(at, str) else ""


def on_clock(day: date, times: Iterable[time], zone: ZoneInfo) -> list[datetime]:
    """Wall-clock times as instants in UTC; both of them where a clock that goes back shows a time twice."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        return []
    found = [datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for at in times for fold in (0, 1)]
    return list(dict.fromkeys(found))


def written_instants(value: Any, zone: ZoneInfo) -> list[datetime]:
    """What an ISO time, or a number of seconds or milliseconds since 1970, can mean; [] for anything else.

    Without an offset it is local. Language models like to put a Z behind a local time, so with UTC as its offset it may
    be either.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(float(value))
    text = value.strip() if isinstance(value, str) else ""
    if len(text) <= len("2026-11-24") or not text[:4].isdigit():
        return []
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T", 1) if "T" not in text else text)
    except ValueError:
        return []
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return []
    wall = on_clock(moment.date(), [moment.time()], zone)
    if moment.tzinfo is None:
        return wall
    exact = moment.astimezone(UTC)
    return list(dict.fromkeys([exact, *wall])) if not moment.utcoffset() else [exact]


def _from_number(value: float) -> list[datetime]:
    seconds = value / 1000 if value >= 1e11 else value
    return [datetime.fromtimestamp(seconds, UTC)] if 1e9 <= seconds < 4e9 else []


# ---- Days -----------------------------------------------------------------------------------------------------

_ISO_DAY = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})")
_FIGURES = re.compile(r"(?<!\d)(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}|\d{2})(?!\d))?")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def read_day(text: str, today: date) -> date | None:
    """The day in a phrase that was said on ``today``; None when there is none."""
    text = text[:LONGEST].casefold()
    if found := _ISO_DAY.search(text):
        return _date(int(found[1]), int(found[2]), int(found[3]))
    if found := _FIGURES.search(text):
        return _dated(int(found[1]), int(found[2]), int(found[3]) if found[3] else None, today)
    words = _WORD.findall(text)
    return _with_month(words, today) or _with_weekday(words, text, today) or _relative(words, today)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _dated(day: int, month: int, year: int | None, today: date) -> date | None:
    """With its year, else the next one of its name; yesterday is still meant as yesterday."""
    if year is not None:
        return _date(year + 2000 if year < 100 else year, month, day)
    named = (_date(today.year + more, month, day) for more in (-1, 0, 1))
    return next((found for found in named if found is not None and found >= today - timedelta(days=1)), None)


def _with_month(words: list[str], today: date) -> date | None:
    """``25. November``, ``fünfundzwanzigsten November``, ``November 25th``, ``the twenty-fifth of November``."""
    place = next((n for n, word in enumerate(words) if _month(word)), None)
    if place is None:
        return None
    near = [*reversed(words[max(0, place - 3) : place]), *words[place + 1 : place + 2]]
    day = next((number for word in near if (number := _ordinal(word)) is not None), None)
    year = next((int(word) for word in words if re.fullmatch(r"20\d\d", word)), None)
    return _dated(day, _month(words[place]), year, today) if day else None


def _month(word: str) -> int:
    """1 to 12; 0 for what is no month."""
    return next((n for n, names in enumerate(_MONTHS, 1) if word in names), 0)


def _ordinal(word: str) -> int | None:
    if found := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", word):
        return int(found[1]) if 1 <= int(found[1]) <= 31 else None
    return ORDINALS.get(word)


def _with_weekday(words: list[str], text: str, today: date) -> date | None:
    """The next day of that name, today not counted; ``nächste Woche`` is the calendar's."""
    weekday = next((n for n, names in enumerate(_WEEKDAYS) for word in words if word in names), None)
    if weekday is None:
        return None
    if re.search(r"(nächste|kommende)[rn]? woche|next week", text):
        return today + timedelta(days=7 - today.weekday() + weekday)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _relative(words: list[str], today: date) -> date | None:
    days = {"heute": 0, "today": 0, "tonight": 0, "übermorgen": 2, "uebermorgen": 2, "morgen": 1, "tomorrow": 1}
    found = next((days[name] for name in days if name in words), None)
    return None if found is None else today + timedelta(days=found)


# ---- Times ----------------------------------------------------------------------------------------------------

_AFTERNOON = re.compile(r"\b(p\.?\s?m\b|nachmittags?|mittags?|abends?|afternoon|evening|tonight)")
_MORNING = re.compile(r"\b(a\.?\s?m\b|früh|morgens|vormittags?|morning)|\b(heute|morgen|\w+tag) (morgen|früh)\b")
_DIGITAL = re.compile(r"(?<![\d.])(\d{1,2})[:.](\d{2})(?::\d{2})?(?![\d.]|\.\d)")
_NUMBER = r"([^\W_]+(?:-[^\W_]+)*)"
_HOUR = re.compile(rf"\b{_NUMBER} (?:uhr|o.?clock)\b(?: {_NUMBER})?(?: {_NUMBER})?")
_HALF = re.compile(rf"\b(?:{_NUMBER} (vor|nach) )?halb {_NUMBER}")
_QUARTER = re.compile(rf"\b(dreiviertel|viertel vor|viertel nach|viertel|quarter to|quarter past) {_NUMBER}")
_AT = re.compile(rf"\b(?:um|gegen|ab|bis|at|by|around) {_NUMBER}\b")
_PAST = re.compile(rf"\b{_NUMBER} (vor|nach|past|to) {_NUMBER}")
_MERIDIEM = re.compile(rf"\b{_NUMBER}(?: {_NUMBER}(?: {_NUMBER})?)? ?[ap]\.?\s?m\b")


def read_times(text: str) -> list[time]:
    """The times that a phrase can mean, the likeliest first; [] when there is none."""
    text = re.sub(r"\s+", " ", text[:LONGEST].casefold()).strip()
    found = _digital(text) or _half(text) or _quarter(text) or _past(text) or _hour(text) or _bare(text)
    if found is None:
        return []
    minutes, is_exact = found
    return _meant(minutes, text, is_exact)


def _meant(minutes: int, text: str, is_exact: bool) -> list[time]:
    """Both halves of the day where the words do not tell; what lies in business hours first."""
    minutes %= 24 * 60
    late = minutes + 12 * 60
    if late >= 24 * 60 or (_MORNING.search(text) and not _AFTERNOON.search(text)):
        choices = [minutes]
    elif _AFTERNOON.search(text):
        choices = [late] if minutes < 12 * 60 else [minutes]
    else:
        choices = [minutes] if is_exact and minutes >= EARLY * 60 else [minutes, late]
    ordered = sorted(choices, key=lambda each: not EARLY * 60 <= each <= LATE * 60)
    return [time(each // 60, each % 60) for each in ordered]


def _digital(text: str) -> tuple[int, bool] | None:
    """``16:00``; with a dot only before the word Uhr, or it may be a day of a month."""
    for found in _DIGITAL.finditer(text):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60 and (":" in found[0] or re.match(r"\s?uhr|h\b", text[found.end() :])):
            return hour * 60 + minute, True
    return None


def _half(text: str) -> tuple[int, bool] | None:
    if (found := _HALF.search(text)) and (hour := _number(found[3])) is not None:
        shift = _number(found[1]) if found[1] else 0
        return hour * 60 - 30 + (shift or 0) * (1 if found[2] == "nach" else -1), False
    if (found := re.search(rf"\bhalf past {_NUMBER}", text)) and (hour := _number(found[1])) is not None:
        return hour * 60 + 30, False
    return None


def _quarter(text: str) -> tuple[int, bool] | None:
    if not (found := _QUARTER.search(text)) or (hour := _number(found[2])) is None:
        return None
    shift = {"viertel nach": 15, "quarter past": 15, "viertel": -45}.get(found[1], -15)
    return hour * 60 + shift, False


def _past(text: str) -> tuple[int, bool] | None:
    """``zehn nach drei``, ``five to four``."""
    for found in _PAST.finditer(text):
        minutes, hour = _number(found[1]), _number(found[3])
        if minutes is not None and hour is not None and hour <= 24:
            return hour * 60 + minutes * (1 if found[2] in ("nach", "past") else -1), False
    return None


def _hour(text: str) -> tuple[int, bool] | None:
    """``16 Uhr``, ``zehn Uhr dreißig``, ``four o'clock``, ``4 pm``, ``ten thirty am``, ``um zehn``."""
    if found := _HOUR.search(text):
        hour, minute = _number(found[1]), _number(found[2])
        if hour is not None and hour <= 24:
            return hour * 60 + (minute or 0), hour > 12
    if found := _MERIDIEM.search(text):
        hour, minute = _number(found[1]), _number(found[2])
        if hour is not None and 1 <= hour <= 12:
            return hour % 12 * 60 + (minute or 0), False
    if (found := _AT.search(text)) and (hour := _number(found[1])) is not None and hour <= 24:
        return hour * 60, hour > 12
    return None


def _bare(text: str) -> tuple[int, bool] | None:
    """A number alone, or an hour and its minutes in English words."""
    words = text.replace(" oh ", " ").split()
    numbers = [number for word in words if (number := _number(word)) is not None]
    if not words or len(numbers) != len(words) or len(words) > 2 or numbers[0] > 24:
        return None
    return numbers[0] * 60 + (numbers[1] if len(numbers) > 1 else 0), numbers[0] > 12


def _number(word: str | None) -> int | None:
    if word and word.isdecimal() and len(word) <= 2:
        return int(word)
    return NUMBERS.get(word or "")
