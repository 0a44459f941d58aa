"""Names as people say them: what is a name at all, its two halves, and whether two of them mean one person. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from portal.domain.search_names import query_words

HALF = 100  # characters in each of the two columns
MOST_WORDS = 6
# Two surnames after the same first name and on the same line: misheard from here on, another person below.
ALIKE = 0.6

_TITLES = {
    "herr", "frau", "herrn", "familie", "dr", "prof", "dipl", "ing", "mr", "mrs", "ms", "miss",
}  # fmt: skip
# Words of a sentence, or of a system, that speech recognition hands over where a name should be.
_NO_NAMES = {
    "ich", "mir", "mich", "wir", "sie", "ja", "nein", "nicht", "kein", "keine", "bitte", "danke", "hallo", "name",
    "unbekannt", "anonym", "kunde", "kundin", "anrufer", "anruferin", "termin", "the", "my", "not", "yes", "unknown",
    "anonymous", "caller", "customer", "none", "null", "undefined", "test",
}  # fmt: skip
_LETTERS = re.compile(r"^[^\W\d_][\w.'’`´ \-]*$")


def clean(name: str | None) -> str | None:
    """The name without titles and stray spaces; None when it cannot be one (digits, a sentence, "unknown")."""
    words = [word for word in (name or "").replace(",", ", ").split() if word.rstrip(".,").casefold() not in _TITLES]
    text = " ".join(words).strip(" .,-")
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 2 and all(parts):
        text = f"{parts[1]} {parts[0]}"  # "Müller, Sabine"
    if not _LETTERS.match(text) or len(text.split()) > MOST_WORDS or any(char.isdigit() for char in text):
        return None
    return None if {word.casefold() for word in text.split()} & _NO_NAMES else text


def halves(name: str) -> tuple[str | None, str | None]:
    """First and last name. One word alone is the last name, which is what lists are sorted by."""
    first, _, last = name.strip().partition(" ")
    if not last:
        return None, first[:HALF] or None
    return first[:HALF], last.strip()[:HALF]


def same_person(known: str | None, said: str | None) -> bool:
    """Whether two names on one line, or with one e-mail address, mean the same person.

    Either one is part of the other (``Müller`` and ``Sabine Mueller``), or the first names are equal and the last names
    sound alike (``Anna Schmidt`` and ``Anna Schmitt``). First names must agree: families share a last name and a phone.
    """
    ours, theirs = query_words(known or ""), query_words(said or "")
    if not ours or not theirs:
        return False
    if set(ours) <= set(theirs) or set(theirs) <= set(ours):
        return True
    if min(len(ours), len(theirs)) < 2 or ours[0] != theirs[0]:
        return False
    return SequenceMatcher(None, ours[-1], theirs[-1]).ratio() >= ALIKE
