"""The demo's telephone dialogues: read, filled with names and times, and timed as Retell would report them.

``dialogues.json`` holds whole conversations with placeholders; ``phrases.py`` composes short everyday ones. A turn is
``("agent", text)``, ``("user", text)`` or ``("tool", name, arguments, result)``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

SOURCE = Path(__file__).with_name("dialogues.json")
# The name is spelt out, or its sound matters: nobody else can be the caller.
OWN_CALLER = {"praxis-erstgespraech-umzug", "salon-straehnchen-aus-wien", "salon-name-falsch-verstanden"}
MORNING = {"praxis-checkup-auf-draengen", "praxis-blutabnahme-nuechtern", "salon-goldene-hochzeit"}

Turn = tuple[Any, ...]


@dataclass(frozen=True)
class Caller:
    first_name: str
    last_name: str
    known: bool
    gender: str


@dataclass(frozen=True)
class Dialogue:
    """One conversation. ``expects`` says what came of it: appointment, cancel, reschedule, followup, none, or
    promise_without_booking."""

    id: str
    business: str
    intent: str
    language: str
    caller: Caller | None
    sentiment: str | None
    successful: bool
    disconnection_reason: str
    service: str | None
    staff: str | None
    summary: str
    custom: dict[str, Any]
    expects: str
    turns: list[Turn]


@dataclass(frozen=True)
class Filling:
    """What the placeholders stand for. ``at`` is the local time that is spoken of."""

    company: str
    at: datetime
    first_name: str = ""
    last_name: str = ""
    gender: str = "female"
    staff: str = ""
    service: str = ""
    more: dict[str, str] = field(default_factory=dict)


@cache
def load() -> tuple[Dialogue, ...]:
    """All dialogues of the file, in its order."""
    return tuple(_dialogue(entry) for entry in json.loads(SOURCE.read_text(encoding="utf-8")))


def _dialogue(entry: dict[str, Any]) -> Dialogue:
    caller = Caller(**entry["caller"]) if entry["caller"] else None
    mood = None if entry["sentiment"] == "unknown" else entry["sentiment"]
    turns = [tuple(turn) for turn in entry["turns"]]
    return Dialogue(**{**entry, "caller": caller, "sentiment": mood, "turns": turns})


# ---- Filling --------------------------------------------------------------------------------------------------


def fill(dialogue: Dialogue, filling: Filling) -> Dialogue:
    """The dialogue with every placeholder replaced. Summary and data are German even where the turns are not."""
    spoken = _values(filling, dialogue.language)
    german = _values(filling, "de") | {"{date}": written_date(filling.at.date())}
    return replace(
        dialogue,
        summary=_replaced(dialogue.summary, german),
        custom=_replaced(dialogue.custom, german),
        turns=[tuple(_replaced(part, spoken) for part in turn) for turn in dialogue.turns],
    )


def _values(filling: Filling, language: str) -> dict[str, str]:
    at = filling.at
    return {
        "{company}": filling.company,
        "{first_name}": filling.first_name,
        "{last_name}": filling.last_name,
        "{title}": "Herr" if filling.gender == "male" else "Frau",
        "{staff}": filling.staff,
        "{service}": filling.service,
        "{date}": spoken_date(at.date(), language),
        "{date_iso}": at.date().isoformat(),
        "{time}": f"{at:%H:%M}",
        "{time_spoken}": spoken_time(at.time(), language),
        **{f"{{{name}}}": value for name, value in filling.more.items()},
    }


def _replaced(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, text in values.items():
            value = value.replace(placeholder, text) if "{" in value else value
        return value
    if isinstance(value, dict):
        return {name: _replaced(item, values) for name, item in value.items()}
    return [_replaced(item, values) for item in value] if isinstance(value, list) else value


WEEKDAYS = {
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
MONTHS = {
    "de": (
        "Januar", "Februar", "März", "April", "Mai", "Juni",
        "Juli", "August", "September", "Oktober", "November", "Dezember",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
}  # fmt: skip
_UNITS = ("", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")
_TENS = {20: "zwanzig", 30: "dreißig", 40: "vierzig", 50: "fünfzig"}
_ORDINALS = {1: "ersten", 3: "dritten", 7: "siebten", 8: "achten"}
_ENGLISH = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_ENGLISH_MINUTES = {
    5: "oh five", 10: "ten", 15: "fifteen", 20: "twenty", 25: "twenty-five", 30: "thirty", 35: "thirty-five",
    40: "forty", 45: "forty-five", 50: "fifty", 55: "fifty-five",
}  # fmt: skip
_ENGLISH_ORDINALS = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth", "twenty-fifth", "twenty-sixth",
    "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip


def spoken_number(number: int) -> str:
    """A number below sixty in German words: 24 → vierundzwanzig."""
    if number <= 12:
        return "null" if number == 0 else "eins" if number == 1 else _UNITS[number]
    if number < 20:
        return {16: "sechzehn", 17: "siebzehn"}.get(number) or f"{_UNITS[number - 10]}zehn"
    tens, unit = divmod(number, 10)
    return _TENS[tens * 10] if unit == 0 else f"{_UNITS[unit]}und{_TENS[tens * 10]}"


def spoken_date(day: date, language: str = "de") -> str:
    """``Montag, den vierundzwanzigsten November`` or ``Monday, the twenty-fourth of November``."""
    weekday, month = WEEKDAYS[language][day.weekday()], MONTHS[language][day.month - 1]
    if language == "en":
        return f"{weekday}, the {_ENGLISH_ORDINALS[day.day]} of {month}"
    ordinal = _ORDINALS.get(day.day) or f"{spoken_number(day.day)}{'ten' if day.day < 20 else 'sten'}"
    return f"{weekday}, den {ordinal} {month}"


def written_date(day: date) -> str:
    """``Montag, den 24. November``: as summaries write what was spoken."""
    return f"{WEEKDAYS['de'][day.weekday()]}, den {day.day}. {MONTHS['de'][day.month - 1]}"


def spoken_time(at: time, language: str = "de") -> str:
    """``zehn Uhr dreißig`` or ``ten thirty``; in English down to the last five minutes."""
    if language == "en":
        hour, minute = _ENGLISH[(at.hour - 1) % 12 + 1], at.minute // 5 * 5
        return f"{hour} {_ENGLISH_MINUTES[minute]}" if minute else f"{hour} o'clock"
    hour = "ein" if at.hour == 1 else spoken_number(at.hour)
    return f"{hour} Uhr {spoken_number(at.minute)}" if at.minute else f"{hour} Uhr"


# ---- Timing ---------------------------------------------------------------------------------------------------

# Seconds a letter, and a word on top; people on the phone speak more slowly than the receptionist.
PACE = {"agent": (0.056, 0.13), "user": (0.062, 0.14)}
THINKING = {"agent": (0.9, 1.7), "user": (0.6, 2.6)}
TOOL_SECONDS = (1.2, 3.4)


def retell_entries(
    turns: list[Turn], rng: Random, key: str, uid: str | None = None
) -> tuple[list[dict[str, Any]], float]:
    """The turns as Retell's ``transcript_with_tool_calls``, and how many seconds the call lasted.

    ``key`` makes the ids of the tool calls; ``uid`` is the booking that a booking tool answers with.
    """
    entries: list[dict[str, Any]] = []
    clock = 0.4
    for number, turn in enumerate(turns):
        if turn[0] == "tool":
            entries += _tool(turn, f"tool_call_{key}_{number}", clock, uid)
            clock += rng.uniform(*TOOL_SECONDS)
            continue
        if entries:
            clock += rng.uniform(*THINKING[turn[0]])
        words, clock = _words(turn[1], turn[0], clock, rng)
        entries.append({"role": turn[0], "content": turn[1], "words": words})
    return entries, clock + rng.uniform(0.3, 1.5)


def _words(text: str, who: str, clock: float, rng: Random) -> tuple[list[dict[str, Any]], float]:
    letter, extra = PACE[who]
    words = []
    for word in text.split():
        end = clock + (len(word) * letter + extra) * rng.uniform(0.9, 1.15)
        words.append({"word": f"{word} ", "start": round(clock, 3), "end": round(end, 3)})
        clock = end + (0.3 if word[-1] in ".?!…" else 0.12 if word[-1] == "," else 0.04)
    return words, clock


def _tool(turn: Turn, tool_call_id: str, clock: float, uid: str | None) -> list[dict[str, Any]]:
    _, name, arguments, result = turn
    if uid and isinstance(result, dict) and result.get("status") in {"booked", "rescheduled"}:
        result = {**result, "uid": uid}
    dumped = [json.dumps(value, ensure_ascii=False) for value in (arguments, result)]
    return [
        {
            "role": "tool_call_invocation",
            "tool_call_id": tool_call_id,
            "name": name,
            "type": name,
            "arguments": dumped[0],
            "time_sec": round(clock, 3),
        },
        {"role": "tool_call_result", "tool_call_id": tool_call_id, "content": dumped[1]},
    ]
