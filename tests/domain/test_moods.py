"""Which sentences a mood rests on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portal.domain import moods
from portal.domain.transcripts import Line

DIALOGUES = json.loads((Path(__file__).parents[2] / "portal/demo/dialogues.json").read_text(encoding="utf-8"))


def said(*texts: str) -> list[Line]:
    return [Line("user", text, at=10.0 * number) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("sentence", "sign"),
    [
        ("Das ist ja wunderbar, vielen Dank.", 1),
        ("Da war ich ehrlich gesagt nicht ganz glücklich.", -1),
        ("Das ist eine Frechheit!", -1),
        ("Kein Problem.", 0),
        ("Gerade nicht, danke.", 0),
        ("No, not now, thank you.", 0),
        ("Ich hätte gern einen Termin.", 1),
        ("Um elf.", 0),
        ("I am not happy with this.", -1),
        ("That was great, thank you.", 1),
        ("", 0),
    ],
)
def test_words_of_praise_and_anger_are_weighed_and_a_not_turns_them(sentence: str, sign: int) -> None:
    weight = moods.weigh(sentence)
    assert (weight > 0) - (weight < 0) == sign


def test_at_most_two_sentences_are_shown_in_the_order_of_the_call() -> None:
    lines = said("Ich bin sauer.", "Um elf.", "Das ist schlecht. Eine Frechheit!", "Das war schlimm.")
    found = moods.evidence(lines, "negative")
    assert [(one.text, one.line, one.second) for one in found] == [("Ich bin sauer.", 1, 0), ("Eine Frechheit!", 3, 20)]


def test_only_the_caller_counts_and_only_what_speaks_for_the_mood() -> None:
    lines = [Line("agent", "Das ist furchtbar, es tut mir leid."), *said("Danke, das ist nett."), Line("tool", "sauer")]
    assert moods.evidence(lines, "negative") == []
    assert [one.text for one in moods.evidence(lines, "positive")] == ["Danke, das ist nett."]
    assert moods.evidence(lines, None) == []


def test_a_neutral_mood_shows_both_sides() -> None:
    lines = said("Super, danke.", "Toll!", "Das war schlecht.", "Da war ich sauer.")
    assert [one.friendly for one in moods.evidence(lines, "neutral")] == [True, False]


def test_a_very_long_sentence_is_cut_between_words() -> None:
    found = moods.evidence(said("sauer " + "und noch etwas " * 40), "negative")
    assert len(found[0].text) <= moods.LONGEST + 2
    assert found[0].text.endswith(" …")


def test_most_moods_of_the_demo_have_something_to_rest_on() -> None:
    """A measure of the word lists, not of the provider."""
    strong = [one for one in DIALOGUES if one["sentiment"] in {"positive", "negative"}]
    shown = [
        moods.evidence(
            [Line(turn[0], turn[1]) for turn in one["turns"] if turn[0] in {"user", "agent"}], one["sentiment"]
        )
        for one in strong
    ]
    assert sum(map(bool, shown)) >= 0.8 * len(strong), (sum(map(bool, shown)), len(strong))
