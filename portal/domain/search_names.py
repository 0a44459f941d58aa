"""Names as they are searched: Müller = Mueller = Muller, in any case and any order.

A customer's ``search_name`` holds every word of the name twice where the two differ, each after a space: folded
(``ä`` and ``ae`` both as ``a``, ``ß`` as ``ss``, other accents off) and written out (``ä`` as ``ae``)::

    Jörg Müller → " jorg muller joerg mueller"

A query is folded word by word, and every word must begin a word of the stored form: ``LIKE '% mull%'``. Folding drops
letters from left to right only, so the beginning of a name still finds it while it is being typed.
"""

from __future__ import annotations

import re
import unicodedata

LENGTH = 500  # of the column
MOST_WORDS = 6

_WRITTEN_OUT = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "œ": "oe",
    "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
    "'": None, "’": None, "ʼ": None, "`": None, "´": None,
})  # fmt: skip
_WORD = re.compile(r"[^\W_]+")
_UMLAUT_PAIR = re.compile(r"([aou])e")


def search_name(first: str | None, last: str | None) -> str:
    """The stored form, at most ``LENGTH`` characters, '' without a name."""
    written = _written_out(f"{first or ''} {last or ''}")
    folded = [_fold(word) for word in written]
    words = list(dict.fromkeys(folded + written))
    return "".join(f" {word}" for word in words)[:LENGTH]


def query_words(query: str) -> list[str]:
    """The folded words of a query; letters and digits only, so they are safe inside LIKE."""
    return [_fold(word) for word in _written_out(query)][:MOST_WORDS]


def like_patterns(query: str) -> list[str]:
    """Patterns that must all match ``search_name``; [] for a query without a letter or digit."""
    return [f"% {word}%" for word in query_words(query)]


def matches(stored: str, query: str) -> bool:
    """What the patterns say, in Python."""
    words = query_words(query)
    return bool(words) and all(f" {word}" in stored for word in words)


def _written_out(text: str) -> list[str]:
    lowered = unicodedata.normalize("NFC", text).lower().translate(_WRITTEN_OUT)
    plain = "".join(char for char in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(char))
    return _WORD.findall(plain)


def _fold(word: str) -> str:
    return _UMLAUT_PAIR.sub(r"\1", word)
