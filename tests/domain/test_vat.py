"""Tax on top-ups."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.vat import TaxKind, TaxSplit, part_of, split, tax_kind

amounts = st.integers(0, 500_000).map(lambda cents: Decimal(cents) / 100)
kinds = st.sampled_from(TaxKind)


def test_100_euros_net_are_119_euros_to_pay():
    assert split(Decimal(100), TaxKind.STANDARD) == TaxSplit(
        TaxKind.STANDARD, Decimal("0.19"), Decimal("100.00"), Decimal("19.00"), Decimal("119.00")
    )


@pytest.mark.parametrize("kind", [TaxKind.SMALL_BUSINESS, TaxKind.REVERSE_CHARGE])
def test_small_businesses_and_reverse_charge_show_no_tax(kind):
    assert (split(Decimal(100), kind).tax, split(Decimal(100), kind).gross) == (Decimal("0.00"), Decimal("100.00"))


def test_half_a_cent_of_tax_is_rounded_up():
    assert split(Decimal("10.50"), TaxKind.STANDARD).tax == Decimal("2.00")  # 1.995


def test_a_small_business_stays_one_also_towards_companies_abroad():
    assert tax_kind(small_business=True, reverse_charge=True) is TaxKind.SMALL_BUSINESS
    assert tax_kind(small_business=False, reverse_charge=True) is TaxKind.REVERSE_CHARGE
    assert tax_kind(small_business=False, reverse_charge=False) is TaxKind.STANDARD


def test_a_split_that_does_not_add_up_cannot_be_made():
    with pytest.raises(ValueError, match="is not"):
        TaxSplit(TaxKind.STANDARD, Decimal("0.19"), Decimal(100), Decimal(19), Decimal("119.01"))


def test_fractions_of_a_cent_are_refused():
    with pytest.raises(ValueError, match="whole cents"):
        split(Decimal("10.005"), TaxKind.STANDARD)
    with pytest.raises(ValueError, match="whole cents"):
        part_of(split(Decimal(10), TaxKind.STANDARD), Decimal("1.001"))


def test_no_part_is_larger_than_the_whole():
    with pytest.raises(ValueError, match="no part"):
        part_of(split(Decimal(10), TaxKind.STANDARD), Decimal("11.91"))
    with pytest.raises(ValueError, match="no part"):
        part_of(split(Decimal(10), TaxKind.STANDARD), Decimal("-0.01"))


def test_a_refund_of_half_the_gross_is_half_the_net():
    half = part_of(split(Decimal(100), TaxKind.STANDARD), Decimal("59.50"))
    assert (half.net, half.tax, half.gross) == (Decimal("50.00"), Decimal("9.50"), Decimal("59.50"))


def test_nothing_of_nothing_is_nothing():
    assert part_of(split(Decimal(0), TaxKind.STANDARD), Decimal(0)).gross == 0


@given(amounts, kinds)
def test_net_and_tax_are_always_the_gross(net, kind):
    made = split(net, kind)
    assert made.net == net
    assert made.net + made.tax == made.gross
    assert abs(made.tax - net * made.rate) <= Decimal("0.005")


@given(amounts, kinds)
def test_a_storno_mirrors_its_invoice(net, kind):
    there, back = split(net, kind), split(-net, kind)
    assert (there.net + back.net, there.tax + back.tax, there.gross + back.gross) == (0, 0, 0)


@given(amounts, kinds, st.lists(st.integers(0, 100), max_size=4))
def test_partial_refunds_never_lose_a_cent(net, kind, percents):
    whole = split(net, kind)
    steps = sorted((whole.gross * percent / 100).quantize(Decimal("0.01")) for percent in percents)
    nets = [part_of(whole, step).net for step in [*steps, whole.gross]]
    assert nets == sorted(nets)
    assert nets[-1] == whole.net


def test_a_hundred_thousand_amounts_and_their_refunds_add_up_to_the_cent():
    """Net and tax are the gross under every rule; what goes back in three parts comes to the whole, part by part."""
    dice = Random(20261123)
    for _round in range(100_000):
        whole = split(Decimal(dice.randint(1, 500_000)) / 100, dice.choice(list(TaxKind)))
        assert whole.net + whole.tax == whole.gross
        cents = int(whole.gross * 100)
        totals = [
            part_of(whole, Decimal(upto) / 100) for upto in sorted((dice.randint(0, cents), dice.randint(0, cents)))
        ]
        steps = [totals[0].net, totals[1].net - totals[0].net, whole.net - totals[1].net]
        taxes = [totals[0].tax, totals[1].tax - totals[0].tax, whole.tax - totals[1].tax]
        assert min(*steps, *taxes) >= 0
        assert sum(steps) + sum(taxes) == whole.gross
