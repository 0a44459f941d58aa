"""Invoice documents as tests need them, made without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from portal.domain.einvoice import Document, Line, Party, Reference
from portal.domain.vat import TaxKind, TaxSplit, split

SELLER = Party(
    name="Empfang Demo GmbH",
    lines=("Musterstraße 1",),
    postal_code="10115",
    city="Berlin",
    vat_id="DE123456788",
    tax_number="30/123/45678",
    email="rechnung@empfang.example",
    phone="+49 30 1234567",
)
CUSTOMER = Party(
    name="Salon Morgenrot GmbH",
    lines=("Torstraße 112", "Hinterhaus"),
    postal_code="10119",
    city="Berlin",
    vat_id="DE136695976",
    email="buchhaltung@salon.example",
)
VIENNA = Party("Café Wien KG", ("Ring 1",), "1010", "Wien", "AT", "ATU57194903")
LONG = Party(
    name="Gemeinschaftspraxis für Physiotherapie, Krankengymnastik und ganzheitliche Rehabilitation "
    "Dr. med. Müller-Lüdenscheidt & Partnerinnen mbB",
    lines=(
        "c/o Verwaltungsgesellschaft der Heilberufe Nordrhein-Westfalen",
        "Straße-des-siebzehnten-Junis 1234a, Aufgang C",
        "4. Obergeschoss",
        "Postfach 17",
    ),
    postal_code="44137",
    city="Dortmund-Kirchlinde",
)
THE_DAY = date(2026, 11, 22)


def line(net: Decimal) -> Line:
    return Line("Guthabenaufladung", Decimal("-1.00" if net < 0 else "1.00"), abs(net), net)


def document(amounts: TaxSplit | None = None, **changes: Any) -> Document:
    """An invoice over 100 euros net, or over ``amounts``; a document with a negative total corrects RE-2026-0001."""
    amounts = amounts or split(Decimal("100.00"), TaxKind.STANDARD)
    made = Document(
        kind="invoice",
        number="RE-2026-0001",
        issued_on=THE_DAY,
        supplied_on=THE_DAY,
        language="de",
        currency="EUR",
        seller=SELLER,
        customer=CUSTOMER,
        tax_kind=amounts.kind,
        tax_rate=amounts.rate * 100,
        net=amounts.net,
        tax=amounts.tax,
        gross=amounts.gross,
        lines=(line(amounts.net),),
        notes=("Anzahlung auf noch nicht erbrachte Leistungen.",),
        paid="Bezahlt am 22.11.2026.",
    )
    if amounts.gross < 0:
        made = replace(made, kind="storno", number="RE-2026-0002", corrects=Reference("RE-2026-0001", THE_DAY))
    return replace(made, **changes)


def refund(net: str, tax: str, **changes: Any) -> Document:
    """A correction by these amounts, written as positive euros."""
    less = TaxSplit(TaxKind.STANDARD, Decimal("0.19"), -Decimal(net), -Decimal(tax), -(Decimal(net) + Decimal(tax)))
    return document(less, **{"kind": "correction", **changes})


def every_kind() -> dict[str, Document]:
    """One document of each sort that the portal issues."""
    small = replace(SELLER, vat_id="")
    hundred = Decimal("100.00")
    exempt, reverse = split(hundred, TaxKind.SMALL_BUSINESS), split(hundred, TaxKind.REVERSE_CHARGE)
    return {
        "invoice": document(),
        "storno": document(split(-hundred, TaxKind.STANDARD)),
        "part": refund("8.40", "1.60"),
        "one cent": refund("0.00", "0.01"),
        "back again": document(kind="correction", number="RE-2026-0003", corrects=Reference("RE-2026-0001", THE_DAY)),
        "small business": document(exempt, seller=small, exemption="Steuerfrei nach § 19 UStG (Kleinunternehmer)."),
        "reverse charge": document(
            reverse, customer=VIENNA, exemption="Steuerschuldnerschaft des Leistungsempfängers."
        ),
        "address unknown": document(customer=Party("Nur ein Name")),
        "long": document(customer=LONG, language="en"),
    }
