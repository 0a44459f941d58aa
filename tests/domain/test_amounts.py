"""Euro amounts as people type them."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import formats
from portal.domain.amounts import MESSAGES, AmountError, check_range, parse


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("120", "120.00"),
        ("120,5", "120.50"),
        ("120,50", "120.50"),
        ("120.5", "120.50"),
        ("120.50", "120.50"),
        ("0,5", "0.50"),
        ("0", "0.00"),
        ("1234,56", "1234.56"),
        ("1234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1.234.567,8", "1234567.80"),
        ("1.234.567", "1234567.00"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"),
        ("1\u202f234", "1234.00"),
        ("  120,50\t", "120.50"),
        ("120,50 €", "120.50"),
        ("120,50\u00a0€", "120.50"),
        ("€120.50", "120.50"),
        ("€ 5", "5.00"),
        ("120 EUR", "120.00"),
        ("120 Euro", "120.00"),
        ("euro 120", "120.00"),
        ("5000", "5000.00"),
        ("00120", "120.00"),
        ("99.999.999,99", "99999999.99"),
    ],
)
def test_german_and_plain_decimals_are_read(typed, meant):
    assert str(parse(typed)) == meant


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("1,234.56", "ambiguous"),
        ("1,234,567", "ambiguous"),
        ("1.234", "ambiguous"),
        ("1,234", "ambiguous"),
        ("120,555", "ambiguous"),
        ("-5", "negative"),
        ("−5,00", "negative"),
        ("- 5 €", "negative"),
        ("-1.234,56", "negative"),
        ("0,123", "too_many_decimals"),
        ("0.005", "too_many_decimals"),
        ("1234,555", "too_many_decimals"),
        ("120.5555", "too_many_decimals"),
        ("1.234,567", "too_many_decimals"),
        ("", "not_a_number"),
        ("   ", "not_a_number"),
        ("€", "not_a_number"),
        ("-", "not_a_number"),
        ("abc", "not_a_number"),
        ("-abc", "not_a_number"),
        ("--5", "not_a_number"),
        ("+5", "not_a_number"),
        ("1.2.3", "not_a_number"),
        ("1,2,3", "not_a_number"),
        ("1.23.456", "not_a_number"),
        ("12.34,56", "not_a_number"),
        ("1234.567,00", "not_a_number"),
        ("0.123,45", "not_a_number"),
        ("0 123", "not_a_number"),
        ("12 0", "not_a_number"),
        ("1 2 3", "not_a_number"),
        ("120 50 €", "not_a_number"),
        (",50", "not_a_number"),
        ("50,", "not_a_number"),
        ("50.", "not_a_number"),
        ("1e3", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1_000", "not_a_number"),
        ("nan", "not_a_number"),
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("-inf", "not_a_number"),
        ("١٢٣", "not_a_number"),
        ("１２０", "not_a_number"),
        ("½", "not_a_number"),
        ("120 USD", "not_a_number"),
        ("€ 120 €", "not_a_number"),
        ("120\n50", "not_a_number"),
        ("9" * 33, "not_a_number"),
        ("9" * 32, "too_large"),
        ("100000000", "too_large"),
        ("100.000.000,00", "too_large"),
    ],
)
def test_everything_else_is_refused_with_its_reason(typed, reason):
    with pytest.raises(AmountError) as caught:
        parse(typed)
    assert caught.value.reason == reason
    assert caught.value.message is MESSAGES[reason]


@pytest.mark.parametrize("inside", ["10", "10.01", "120.50", "5000"])
def test_top_ups_from_10_to_5000_euros_are_in_range(inside):
    assert check_range(Decimal(inside)) == Decimal(inside)


@pytest.mark.parametrize(
    ("outside", "reason"),
    [("0", "too_small"), ("9.99", "too_small"), ("5000.01", "too_large"), ("99999999", "too_large")],
)
def test_others_are_out_of_range(outside, reason):
    with pytest.raises(AmountError) as caught:
        check_range(Decimal(outside))
    assert caught.value.reason == reason


def test_the_range_may_be_another_one():
    assert check_range(Decimal(3), lowest=Decimal(1), highest=Decimal(5)) == 3


@given(st.integers(0, 10**10 - 1).map(lambda cents: Decimal(cents) / 100), st.sampled_from(["de", "en"]))
def test_what_a_form_shows_can_be_sent_back(amount, language):
    assert parse(formats.typed_amount(amount, language)) == amount


@given(st.integers(0, 10**10 - 1).map(lambda cents: Decimal(cents) / 100))
def test_german_money_can_be_copied_from_a_page(amount):
    assert parse(formats.money(amount, "de")) == amount


@given(st.text(max_size=40))
def test_any_text_is_an_amount_or_an_amount_error(text):
    amount = None
    with suppress(AmountError):
        amount = parse(text)
    assert amount is None or (amount >= 0 and amount == amount.quantize(Decimal("0.01")))
