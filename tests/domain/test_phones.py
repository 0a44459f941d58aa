"""Phone numbers in, on the page, and in the search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.phones import digits_for_search, display, is_withheld, normalise, reversed_digits


@pytest.mark.parametrize(
    "typed",
    [
        "+49231274870",
        "+49 231 274870",
        "+49 (0)231 274870",
        "+49 ( 0 ) 231/274870",
        "0049 231 274870",
        "0231 274870",
        "0231/27 48-70",
        "(0231) 274870",
        "0231 – 274870",
        "0231.274870",
        "\u00a00231\u00a0274870 ",
        "49231274870",
        "tel:+49-231-274870",
        "sip:+49231274870@sip.example.com",
        "sip:+49231274870@sip.example.com;user=phone",
    ],
)
def test_one_number_in_any_spelling_is_one_number(typed):
    assert normalise(typed) == "+49231274870"


@pytest.mark.parametrize(
    ("typed", "country", "expected"),
    [
        ("044 668 18 00", "CH", "+41446681800"),
        ("01 5880400", "AT", "+4315880400"),
        ("0231 274870", "AT", "+43231274870"),
        ("0043 1 5880400", "DE", "+4315880400"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("0151 12345678", "DE", "+4915112345678"),
    ],
)
def test_numbers_are_read_from_their_country(typed, country, expected):
    assert normalise(typed, country) == expected


@pytest.mark.parametrize(
    "sent",
    [
        None, "", "  ", "anonymous", "Anonymous", "ANONYMOUS", "restricted", "unknown", "private", "Unavailable",
        "blocked",         "+266696687", "266696687", "+7378742833", "+2562533", "+8656696", "+86282452253",
        "sip:anonymous@anonymous.invalid", "anonymous@anonymous.invalid", "Anonymous Caller",
        "unbekannt", "Unterdrückte Nummer", "null",
    ],
)  # fmt: skip
def test_withheld_is_withheld(sent):
    assert is_withheld(sent)
    assert normalise(sent) is None
    assert display(sent) == ""


@pytest.mark.parametrize(
    "sent",
    [
        "110",
        "mir nicht",
        "Anna 0231 274870",
        "0800 FLOWERS",
        "274870",
        "231 274870",
        "+",
        "++49",
        "0",
        "1" * 40,
        "+999 12345",
    ],
)
def test_what_is_no_number_is_none_but_not_withheld(sent):
    assert normalise(sent) is None
    assert not is_withheld(sent)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+49231274870", "0231 274870"),
        ("+493022334455", "030 22334455"),
        ("+4934155667788", "0341 55667788"),
        ("+4915233445566", "0152 33445566"),
        ("+4915112345678", "0151 12345678"),
        ("+491712049318", "0171 2049318"),
        ("+491609012774", "0160 9012774"),
        ("+498001234567", "0800 1234567"),
        ("+41446681800", "+41 44 6681800"),
        ("+4315880400", "+43 1 5880400"),
        ("+33612345678", "+33 6 12345678"),
        ("+442071234567", "+44 20 71234567"),
        ("+390612345678", "+39 06 12345678"),
        ("+4532123456", "+45 32123456"),
        ("+12015550123", "+1 201 5550123"),
    ],
)
def test_a_german_reader_sees_din_5008(number, shown):
    assert display(number) == shown


@pytest.mark.parametrize(
    ("number", "country", "shown"),
    [
        ("+49231274870", "AT", "+49 231 274870"),
        ("+4915233445566", "CH", "+49 152 33445566"),
        ("+4315880400", "AT", "01 5880400"),
        ("+41446681800", "CH", "044 6681800"),
        ("+390612345678", "IT", "06 12345678"),
        ("+12015550123", "US", "201 5550123"),
    ],
)
def test_readers_abroad_see_the_country_code(number, country, shown):
    assert display(number, country) == shown


def test_what_cannot_be_read_is_shown_as_it_is():
    assert display("Pforte 12") == "Pforte 12"


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("0231 274870", "231274870"),
        ("0231/27 48-70", "231274870"),
        ("+49 231 274870", "49231274870"),
        ("+49 (0)231 274870", "49231274870"),
        ("0049231274870", "49231274870"),
        ("274870", "274870"),
        ("870", "870"),
        ("70", ""),
        ("", ""),
        ("Müller", ""),
        ("Müller 123", ""),
        ("%", ""),
    ],
)
def test_a_search_takes_a_number_in_any_spelling(typed, digits):
    assert digits_for_search(typed) == digits
    assert reversed_digits(typed) == digits[::-1]


def test_italian_numbers_keep_their_zero():
    assert digits_for_search("06 12345678", "IT") == "0612345678"


@given(st.text(max_size=30))
def test_any_text_is_survived(text):
    number = normalise(text)
    assert number is None or number[0] == "+"
    assert isinstance(display(text), str)
    assert digits_for_search(text).isdecimal() or not digits_for_search(text)


@given(
    st.sampled_from(["+49231", "+4930", "+49152", "+43664"]),
    st.integers(1_000_000, 9_999_999),
    st.sampled_from(["DE", "AT", "CH"]),
)
def test_every_spelling_that_we_show_finds_the_number_again(prefix, rest, country):
    number = f"{prefix}{rest}"
    shown = display(number, country)
    assert normalise(shown, country) == number
    assert number[::-1].startswith(reversed_digits(shown, country))
