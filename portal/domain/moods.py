"""The sentences of a caller that a mood rests on: those with the strongest words, shown word for word.

The mood itself comes with the provider's analysis, which gives no reasons. These are found here, by words of praise and
of anger in German and English; where nothing stands out, nothing is shown. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portal.domain.transcripts import Line

MOST = 2
LONGEST = 160

# Beginnings of words, with how strong they are.
GOOD = {
    "danke": 1, "dank": 1, "super": 2, "toll": 2, "wunderbar": 3, "prima": 2, "perfekt": 2, "klasse": 2, "freu": 2,
    "schnell": 1, "nett": 2, "lieb": 1, "zufrieden": 2, "begeistert": 3, "glücklich": 3, "empfehl": 2, "gern": 1,
    "spitze": 3, "gesund": 2, "besser": 1, "fantastisch": 3, "hervorragend": 3, "angenehm": 2, "passt": 1,
    "thank": 1, "great": 2, "perfect": 2, "lovely": 2, "wonderful": 3, "happy": 3, "glad": 2, "excellent": 3,
    "amazing": 3, "brilliant": 3, "pleased": 2, "appreciate": 2, "cheers": 1, "cool": 1,
}  # fmt: skip
BAD = {
    "beschwer": 3, "ärger": 3, "sauer": 3, "wütend": 3, "unverschämt": 4, "frech": 3, "schlecht": 2, "schlimm": 2,
    "furchtbar": 3, "katastroph": 4, "enttäusch": 3, "kaputt": 2, "falsch": 2, "warte": 1, "dauernd": 1, "unmöglich": 2,
    "unfreundlich": 3, "schmerz": 2, "weh": 1, "niemand": 1, "bewertung": 1, "anwalt": 3, "geld": 1, "stinksauer": 4,
    "leider": 1, "problem": 1, "nie": 1, "schade": 2, "genervt": 3, "nervt": 3, "reicht": 2, "frechheit": 4,
    "peinlich": 3, "verpfuscht": 4, "roboter": 1, "automat": 1, "blöd": 3, "mist": 3, "hölle": 3, "gestorben": 3,
    "krankenhaus": 2, "sorgen": 2, "nichts": 1, "vergessen": 1,
    "complain": 3, "angry": 3, "upset": 3, "terrible": 3, "awful": 3, "disappoint": 3, "wrong": 2, "worst": 4,
    "rude": 3, "unacceptable": 4, "ridiculous": 3, "refund": 2, "waiting": 1, "lawyer": 3, "never": 1,
    "annoy": 3, "broken": 2,
}  # fmt: skip
NOT = {"nicht", "kein", "keine", "keinen", "keiner", "nie", "not", "no", "never", "isn't", "wasn't", "don't", "hardly"}
THANKS = ("danke", "dank", "thank", "cheers")  # "not now, thanks" says no, and says it politely
REACH = 3  # words back in which a "not" turns the meaning

_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True)
class Evidence:
    """A sentence of the caller. ``line``: number of its line on the page, from 1; ``weight``: above 0 is friendly."""

    text: str
    line: int
    second: int | None
    weight: int

    @property
    def friendly(self) -> bool:
        return self.weight > 0


def evidence(lines: Sequence[Line], sentiment: str | None) -> list[Evidence]:
    """The strongest sentences that speak for this mood, in the order in which they were said.

    For a neutral one, the strongest of either kind; none without a mood.
    """
    found = [one for one in _sentences(lines) if _speaks_for(one, sentiment)]
    strongest = sorted(found, key=lambda one: (-abs(one.weight), -one.line))
    if sentiment == "neutral":
        strongest = [
            *[one for one in strongest if one.friendly][:1],
            *[one for one in strongest if not one.friendly][:1],
        ]
    return sorted(strongest[:MOST], key=lambda one: one.line)


def _speaks_for(one: Evidence, sentiment: str | None) -> bool:
    if sentiment == "neutral":
        return one.weight != 0
    return one.weight > 0 if sentiment == "positive" else one.weight < 0 and sentiment == "negative"


def _sentences(lines: Sequence[Line]) -> Iterator[Evidence]:
    for number, line in enumerate(lines, 1):
        if line.who == "user":
            for match in _SENTENCE.finditer(line.text):
                text = match[0].strip()
                yield Evidence(_short(text), number, line.second, weigh(text))


def weigh(sentence: str) -> int:
    """How friendly (above 0) or angry (below 0) the words of a sentence are."""
    words = [word.lower() for word in _WORD.findall(sentence)]
    return sum(_weight(word, words[max(0, place - REACH) : place]) for place, word in enumerate(words))


def _weight(word: str, before: list[str]) -> int:
    good, bad = _known(word, GOOD), _known(word, BAD)
    if good and NOT.intersection(before):
        if word.startswith(THANKS):
            return 0
        return -good - 1  # "not happy" is no weaker than "unhappy"
    return good - (0 if bad and NOT.intersection(before) else bad)


def _known(word: str, weights: dict[str, int]) -> int:
    """Of the longest beginning that is known."""
    return next((weights[word[:end]] for end in range(len(word), 2, -1) if word[:end] in weights), 0)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"
