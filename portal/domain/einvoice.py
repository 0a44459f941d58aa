"""What an invoice says, and the same as an e-invoice: EN 16931 in UN/CEFACT syntax, as ZUGFeRD and Factur-X carry it.

Pure: a :class:`Document` in, XML out. The comments name the terms of EN 16931 (BT-…, BG-…) where the element does not.
"""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from lxml import etree

from portal.domain.vat import TaxKind

GUIDELINE = "urn:cen.eu:en16931:2017"
LEVEL = "en16931"
FILE_NAME = "factur-x.xml"

# UNTDID 1001. A top-up is paid in advance, but 386 (prepayment invoice) promises a final invoice that never comes.
TYPE_CODES = {"invoice": "380", "storno": "384", "correction": "384"}
# UNTDID 5305, and the reason code that goes with it (VATEX) where the list has one.
CATEGORIES = {TaxKind.STANDARD: "S", TaxKind.SMALL_BUSINESS: "E", TaxKind.REVERSE_CHARGE: "AE"}
EXEMPTION_CODES = {TaxKind.REVERSE_CHARGE: "VATEX-EU-AE"}
PIECE = "C62"
ONLINE_PAYMENT = "68"

_SPACE = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}


@dataclass(frozen=True)
class Party:
    """Issuer or customer as the document shows them; ``lines`` is the address above the town, '' is unknown."""

    name: str
    lines: tuple[str, ...] = ()
    postal_code: str = ""
    city: str = ""
    country: str = "DE"
    vat_id: str = ""
    tax_number: str = ""
    email: str = ""
    phone: str = ""

    @classmethod
    def from_snapshot(cls, stored: dict[str, Any]) -> Party:
        """Read what :meth:`snapshot` wrote."""
        return cls(**{**stored, "lines": tuple(stored["lines"])})

    def snapshot(self) -> dict[str, Any]:
        return {**asdict(self), "lines": list(self.lines)}

    @property
    def town(self) -> str:
        return f"{self.postal_code} {self.city}".strip()


@dataclass(frozen=True)
class Line:
    """One line; euros, ``quantity`` −1 where money goes back, because a price is never negative (BR-27)."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    net: Decimal


@dataclass(frozen=True)
class Reference:
    """The document that this one corrects."""

    number: str
    issued_on: date


@dataclass(frozen=True)
class Document:
    """An issued document, complete. Euros; ``tax_rate`` in percent; ``gross == net + tax`` to the cent.

    ``notes`` are the sentences that the law asks for, ``exemption`` why there is no tax, ``paid`` how it was settled.
    """

    kind: str
    number: str
    issued_on: date
    supplied_on: date
    language: str
    currency: str
    seller: Party
    customer: Party
    tax_kind: TaxKind
    tax_rate: Decimal
    net: Decimal
    tax: Decimal
    gross: Decimal
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    exemption: str = ""
    paid: str = ""
    corrects: Reference | None = None

    def __post_init__(self) -> None:
        if self.net + self.tax != self.gross or sum(line.net for line in self.lines) != self.net:
            raise ValueError(f"{self.number} does not add up")


class InvalidError(ValueError):
    """The XML breaks the schema of its own standard; the document must not go out."""


def xml(document: Document) -> bytes:
    """The e-invoice of ``document``, valid against the schema; raises :class:`InvalidError`."""
    root = etree.Element(_name("rsm:CrossIndustryInvoice"), nsmap=_SPACE)
    context = _add(root, "rsm:ExchangedDocumentContext")
    _add(_add(context, "ram:GuidelineSpecifiedDocumentContextParameter"), "ram:ID", GUIDELINE)
    _head(root, document)
    deal = _add(root, "rsm:SupplyChainTradeTransaction")
    for position, line in enumerate(document.lines, 1):
        _line(deal, document, position, line)
    agreement = _add(deal, "ram:ApplicableHeaderTradeAgreement")
    _party(_add(agreement, "ram:SellerTradeParty"), document.seller, is_seller=True)
    _party(_add(agreement, "ram:BuyerTradeParty"), document.customer)
    delivery = _add(_add(deal, "ram:ApplicableHeaderTradeDelivery"), "ram:ActualDeliverySupplyChainEvent")
    _date(_add(delivery, "ram:OccurrenceDateTime"), "udt:DateTimeString", document.supplied_on)
    _settlement(deal, document)
    _check(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _check(root: Any) -> None:
    # Here, because it takes a fifth of a second that only the making of a document has to spend.
    from facturx import xml_check_xsd

    try:
        xml_check_xsd(root, flavor="factur-x", level=LEVEL)
    except Exception as error:
        raise InvalidError(str(error)) from error


def _head(root: Any, document: Document) -> None:
    head = _add(root, "rsm:ExchangedDocument")
    _add(head, "ram:ID", document.number)
    _add(head, "ram:TypeCode", TYPE_CODES[document.kind])
    _date(_add(head, "ram:IssueDateTime"), "udt:DateTimeString", document.issued_on)
    for note in document.notes:
        _add(_add(head, "ram:IncludedNote"), "ram:Content", note)


def _line(deal: Any, document: Document, position: int, line: Line) -> None:
    item = _add(deal, "ram:IncludedSupplyChainTradeLineItem")
    _add(_add(item, "ram:AssociatedDocumentLineDocument"), "ram:LineID", str(position))
    _add(_add(item, "ram:SpecifiedTradeProduct"), "ram:Name", line.description)
    price = _add(_add(item, "ram:SpecifiedLineTradeAgreement"), "ram:NetPriceProductTradePrice")
    _add(price, "ram:ChargeAmount", _amount(line.unit_price))
    _add(_add(item, "ram:SpecifiedLineTradeDelivery"), "ram:BilledQuantity", _amount(line.quantity), unitCode=PIECE)
    settlement = _add(item, "ram:SpecifiedLineTradeSettlement")
    tax = _add(settlement, "ram:ApplicableTradeTax")
    _add(tax, "ram:TypeCode", "VAT")
    _add(tax, "ram:CategoryCode", CATEGORIES[document.tax_kind])
    _add(tax, "ram:RateApplicablePercent", _amount(document.tax_rate))
    total = _add(settlement, "ram:SpecifiedTradeSettlementLineMonetarySummation")
    _add(total, "ram:LineTotalAmount", _amount(line.net))


def _party(element: Any, party: Party, *, is_seller: bool = False) -> None:
    if is_seller and not party.vat_id:
        _add(element, "ram:ID", party.tax_number)  # without a VAT id the seller needs an identifier (BR-CO-26)
    _add(element, "ram:Name", party.name)
    address = _add(element, "ram:PostalTradeAddress")
    _known(address, "ram:PostcodeCode", party.postal_code)
    for tag, text in zip(("ram:LineOne", "ram:LineTwo", "ram:LineThree"), _three(party.lines), strict=False):
        _add(address, tag, text)
    _known(address, "ram:CityName", party.city)
    _add(address, "ram:CountryID", party.country)
    if party.email:
        _add(_add(element, "ram:URIUniversalCommunication"), "ram:URIID", party.email, schemeID="EM")
    for scheme, number in (("VA", party.vat_id), ("FC", party.tax_number)):
        if number:
            _add(_add(element, "ram:SpecifiedTaxRegistration"), "ram:ID", number, schemeID=scheme)


def _three(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The standard has room for three lines; a fourth goes on in the third."""
    return lines if len(lines) <= 3 else (*lines[:2], ", ".join(lines[2:]))


def _settlement(deal: Any, document: Document) -> None:
    part = _add(deal, "ram:ApplicableHeaderTradeSettlement")
    _add(part, "ram:InvoiceCurrencyCode", document.currency)
    if document.paid:
        means = _add(part, "ram:SpecifiedTradeSettlementPaymentMeans")
        _add(means, "ram:TypeCode", ONLINE_PAYMENT)
        _add(means, "ram:Information", document.paid)
    _tax(part, document)
    if document.paid:
        _add(_add(part, "ram:SpecifiedTradePaymentTerms"), "ram:Description", document.paid)
    _sums(part, document)
    if document.corrects:
        reference = _add(part, "ram:InvoiceReferencedDocument")
        _add(reference, "ram:IssuerAssignedID", document.corrects.number)
        _date(_add(reference, "ram:FormattedIssueDateTime"), "qdt:DateTimeString", document.corrects.issued_on)


def _tax(part: Any, document: Document) -> None:
    tax = _add(part, "ram:ApplicableTradeTax")
    _add(tax, "ram:CalculatedAmount", _amount(document.tax))
    _add(tax, "ram:TypeCode", "VAT")
    _known(tax, "ram:ExemptionReason", document.exemption)
    _add(tax, "ram:BasisAmount", _amount(document.net))
    _add(tax, "ram:CategoryCode", CATEGORIES[document.tax_kind])
    _known(tax, "ram:ExemptionReasonCode", EXEMPTION_CODES.get(document.tax_kind, ""))
    # The day of the payment is the day from which the tax is owed.
    _date(_add(tax, "ram:TaxPointDate"), "udt:DateString", document.supplied_on)
    _add(tax, "ram:RateApplicablePercent", _amount(document.tax_rate))


def _sums(part: Any, document: Document) -> None:
    """Everything is paid, or has gone back, when the document is made: nothing is due."""
    sums = _add(part, "ram:SpecifiedTradeSettlementHeaderMonetarySummation")
    _add(sums, "ram:LineTotalAmount", _amount(document.net))
    _add(sums, "ram:TaxBasisTotalAmount", _amount(document.net))
    _add(sums, "ram:TaxTotalAmount", _amount(document.tax), currencyID=document.currency)
    _add(sums, "ram:GrandTotalAmount", _amount(document.gross))
    _add(sums, "ram:TotalPrepaidAmount", _amount(document.gross))
    _add(sums, "ram:DuePayableAmount", _amount(Decimal(0)))


def _name(tag: str) -> str:
    prefix, _, local = tag.partition(":")
    return f"{{{_SPACE[prefix]}}}{local}"


def _add(parent: Any, tag: str, text: str | None = None, **attributes: str) -> Any:
    element = etree.SubElement(parent, _name(tag), attributes)
    if text is not None:
        element.text = printable(text)
    return element


def _known(parent: Any, tag: str, text: str) -> None:
    if text:
        _add(parent, tag, text)


def _date(parent: Any, tag: str, day: date) -> None:
    _add(parent, tag, f"{day:%Y%m%d}", format="102")


def _amount(value: Decimal) -> str:
    return f"{value:.2f}"


def printable(text: str) -> str:
    """Without control characters and lone surrogates, which neither XML nor paper can hold."""
    return "".join(char for char in text if char in "\t\n" or unicodedata.category(char) not in {"Cc", "Cs", "Cn"})
