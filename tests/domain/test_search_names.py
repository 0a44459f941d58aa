"""Müller = Mueller = Muller."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.search_names import LENGTH, like_patterns, matches, query_words, search_name

letters = st.text(st.sampled_from("abceoumlrsßäöüÄÖÜé"), min_size=1, max_size=12)


@pytest.mark.parametrize("query", ["Müller", "Mueller", "Muller", "muller", "MÜLLER", "mu", "Muel", "müll"])
@pytest.mark.parametrize("name", ["Müller", "Mueller", "Muller", "MÜLLER", unicodedata.normalize("NFD", "Müller")])
def test_every_spelling_finds_every_spelling(query, name):
    assert matches(search_name("Anna", name), query)


@pytest.mark.parametrize(
    ("first", "last", "query"),
    [
        ("Jörg", "Groß", "gross joerg"),
        ("Jörg", "Groß", "Jorg Groß"),
        ("Çağla", "Großmann-Ünal", "cagla unal"),
        ("Çağla", "Großmann-Ünal", "Grossmann-Uenal"),
        ("Aleksander", "Wójcik", "wojcik"),
        ("Łukasz", "Nowak", "lukasz"),
        ("Søren", "Ærø", "soren"),
        ("Tim", "Yılmaz", "yilmaz"),
        ("Sean", "O’Brien", "o'brien"),
        ("Sean", "O'Brien", "obrien"),
        ("Michael", "Neuer", "michael neuer"),
        ("Hans-Joachim", "Freiherr von Waldenfels", "waldenfels hans"),
        (None, "Meyer", "meyer"),
        ("Ayşe", None, "ayse"),
    ],
)
def test_accents_order_and_hyphens_do_not_matter(first, last, query):
    assert matches(search_name(first, last), query)


@pytest.mark.parametrize("query", ["Schmidt", "Anna Schmidt", "üller", "ller", "", "  ", "%", "_", "-", "Müllers"])
def test_other_names_pieces_from_the_middle_and_empty_queries_find_nothing(query):
    assert not matches(search_name("Anna", "Müller"), query)


def test_the_stored_form_holds_both_spellings():
    assert search_name("Jörg", "Müller") == " jorg muller joerg mueller"
    assert search_name("Anna", "Schmidt") == " anna schmidt"
    assert search_name(None, None) == search_name("", " ") == ""


def test_like_patterns_need_no_escaping():
    assert like_patterns("Müller, 100%_A") == ["% muller%", "% 100%", "% a%"]
    assert like_patterns("%_%") == []


def test_long_names_and_long_queries_are_cut():
    assert len(search_name("ß" * 200, "ä" * 200)) <= LENGTH
    assert len(query_words("a " * 50)) == 6


@given(letters, letters)
def test_every_beginning_of_a_name_finds_it(first, last):
    stored = search_name(first, last)
    assert all(matches(stored, last[:length]) for length in range(1, len(last) + 1))
    assert matches(stored, f"{last} {first}")


@given(letters)
def test_writing_umlauts_out_changes_nothing(name):
    out = name.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    assert query_words(name) == query_words(out)
    assert matches(search_name(None, out), name)
    assert matches(search_name(None, name), out)


@given(st.text(max_size=40))
def test_any_text_is_survived(text):
    assert all(word.isalnum() for word in query_words(text))
    assert len(search_name(text, text)) <= LENGTH
