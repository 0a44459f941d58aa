"""VAT on top-ups: the amount entered is net, the amount paid is gross, and net + tax = gross to the cent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from portal.domain.pricing import cents


class TaxKind(StrEnum):
    """Why an invoice shows the tax that it shows."""

    STANDARD = "standard"
    SMALL_BUSINESS = "small_business"  # § 19 UStG: the issuer charges none
    REVERSE_CHARGE = "reverse_charge"  # § 13b UStG: an EU company with a VAT id pays it itself


RATES = {
    TaxKind.STANDARD: Decimal("0.19"),
    TaxKind.SMALL_BUSINESS: Decimal("0.00"),
    TaxKind.REVERSE_CHARGE: Decimal("0.00"),
}


@dataclass(frozen=True)
class TaxSplit:
    """Euros, exact: ``net + tax == gross``. ``rate`` is a share (0.19)."""

    kind: TaxKind
    rate: Decimal
    net: Decimal
    tax: Decimal
    gross: Decimal

    def __post_init__(self) -> None:
        if self.net + self.tax != self.gross:
            raise ValueError(f"{self.net} + {self.tax} is not {self.gross}")


def tax_kind(*, small_business: bool, reverse_charge: bool) -> TaxKind:
    """Which rule applies. A small business shows no tax to anybody, so it comes first."""
    if small_business:
        return TaxKind.SMALL_BUSINESS
    return TaxKind.REVERSE_CHARGE if reverse_charge else TaxKind.STANDARD


def split(net: Decimal, kind: TaxKind) -> TaxSplit:
    """Add the tax to a net amount in whole cents; negative amounts (Storno) mirror the positive ones."""
    if cents(net) != net:
        raise ValueError(f"{net} is not in whole cents")
    tax = cents(net * RATES[kind])
    return TaxSplit(kind=kind, rate=RATES[kind], net=cents(net), tax=tax, gross=cents(net) + tax)


def part_of(whole: TaxSplit, gross: Decimal) -> TaxSplit:
    """The share of ``whole`` that ``gross`` euros of it are, for partial refunds.

    Give the total refunded so far: the full gross is exactly the full net, so that several parts always add up.
    """
    if cents(gross) != gross:
        raise ValueError(f"{gross} is not in whole cents")
    if not 0 <= gross <= whole.gross:
        raise ValueError(f"{gross} is no part of {whole.gross}")
    net = cents(whole.net * gross / whole.gross) if whole.gross else whole.net
    return TaxSplit(kind=whole.kind, rate=whole.rate, net=net, tax=cents(gross) - net, gross=cents(gross))
