"""The paper: PDF/A-3 that says in print what its e-invoice says in figures."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from facturx import get_xml_from_pdf
from flask import Flask
from lxml import etree
from pypdf import PdfReader

from portal import formats
from portal.domain import invoice_pdf, paper
from portal.domain.einvoice import Document, Party, xml
from tests.invoices import LONG, document, every_kind

KINDS = every_kind()
MADE_AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def made(document: Document) -> bytes:
    return invoice_pdf.render(document, xml(document), MADE_AT)


def printed(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("kind", KINDS)
def test_paper_and_e_invoice_say_the_same(app: Flask, kind: str) -> None:
    said = KINDS[kind]
    pdf = made(said)
    name, inside = get_xml_from_pdf(pdf)
    assert (name, inside) == ("factur-x.xml", xml(said))
    root, words = etree.fromstring(inside), squeezed(printed(pdf))
    for tag in ("GrandTotalAmount", "TaxTotalAmount", "TaxBasisTotalAmount"):
        amount = Decimal(root.findtext(f".//{{*}}ApplicableHeaderTradeSettlement//{{*}}{tag}"))
        assert squeezed(formats.money(amount, said.language)) in words
    for text in (said.number, said.customer.name, said.seller.name, *said.customer.lines, said.seller.tax_number):
        assert squeezed(text) in words


def test_the_heading_names_the_document_in_its_own_language(app: Flask) -> None:
    assert "Rechnung RE-2026-0001" in printed(made(document()))
    assert "Stornorechnung RE-2026-0002" in printed(made(KINDS["storno"]))
    assert "Rechnungskorrektur RE-2026-0002" in printed(made(KINDS["part"]))
    english = printed(made(document(language="en")))
    assert "Invoice RE-2026-0001" in english
    assert "22 Nov 2026" in english
    assert "€119.00" in english


def test_german_paper_holds_all_that_the_law_asks_for(app: Flask) -> None:
    words = printed(made(document()))
    for part in (
        "Empfang Demo GmbH", "Musterstraße 1", "10115 Berlin", "USt-IdNr.: DE123456788", "Steuernummer: 30/123/45678",
        "Salon Morgenrot GmbH", "Torstraße 112", "10119 Berlin", "Rechnungsdatum 22.11.2026",
        "Rechnungsnummer RE-2026-0001", "Bezahlt am 22.11.2026", "Guthabenaufladung", "zzgl. 19 % USt. 19,00 €",
        "Gesamtbetrag 119,00 €",
        "Anzahlung auf noch nicht erbrachte Leistungen",
    ):  # fmt: skip
        assert part in words, words


def test_a_customer_abroad_gets_its_country_below_the_town(app: Flask) -> None:
    assert "1010 Wien ÖSTERREICH" in printed(made(KINDS["reverse charge"]))


# ---- PDF/A ------------------------------------------------------------------------------------------------


@cache
def _reader(kind: str) -> PdfReader:
    return PdfReader(io.BytesIO(made(KINDS[kind])))


def test_the_metadata_declare_pdf_a_3_and_the_e_invoice(app: Flask) -> None:
    root = _reader("invoice").trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    for declared in (
        "<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>B</pdfaid:conformance>",
        "<fx:DocumentFileName>factur-x.xml</fx:DocumentFileName>",
        "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>",
    ):  # fmt: skip
        assert declared in metadata
    assert "/Filter" not in root["/Metadata"]
    assert root["/Lang"] == "de"


def test_colours_have_a_profile_and_the_file_its_id(app: Flask) -> None:
    reader = _reader("invoice")
    intent = reader.trailer["/Root"]["/OutputIntents"][0]
    assert intent["/S"] == "/GTS_PDFA1"
    assert len(intent["/DestOutputProfile"].get_data()) > 1000
    assert len(reader.trailer["/ID"]) == 2
    assert "/Encrypt" not in reader.trailer
    assert not {"/JavaScript", "/AA"} & set(reader.trailer["/Root"])


def test_the_e_invoice_is_attached_as_an_alternative_of_the_whole_document(app: Flask) -> None:
    root = _reader("invoice").trailer["/Root"]
    attached = root["/AF"][0].get_object()
    assert attached["/AFRelationship"] == "/Alternative"
    assert attached["/UF"] == "factur-x.xml"
    assert attached["/EF"]["/F"]["/Subtype"] == "/text/xml"


def test_every_font_is_embedded_with_the_widths_it_has(app: Flask) -> None:
    fonts = _fonts(_reader("long"))
    assert len(fonts) == 2
    for font in fonts:
        assert font["/Subtype"] == "/Type0"
        assert "/ToUnicode" in font
        descendant = font["/DescendantFonts"][0].get_object()
        assert "/FontFile2" in descendant["/FontDescriptor"]
        assert descendant["/CIDToGIDMap"] is not None


def _fonts(reader: PdfReader) -> list[Any]:
    found = {name: font for page in reader.pages for name, font in page["/Resources"]["/Font"].items()}
    return [font.get_object() for font in found.values()]


def test_what_the_font_cannot_draw_becomes_what_it_can(app: Flask) -> None:
    """An empty box would break PDF/A, and look broken."""
    assert paper.drawable("Zażółć Ελλάς Şğı Ünïcödé Ø €") == "Zażółć Ελλάς Şğı Ünïcödé Ø €"
    assert paper.drawable("漢字 🙂 a\u200db ㎏ Ａ e\u0301 \t.") == "?? ? ab kg A é  ."
    words = printed(made(document(customer=Party("漢字 🙂 GmbH"))))
    assert "?? ? GmbH" in words


def test_long_names_wrap_and_everything_stays_on_one_page(app: Flask) -> None:
    reader = PdfReader(io.BytesIO(made(document(customer=LONG))))
    assert len(reader.pages) == 1


def test_a_long_reason_goes_on_over_the_page_with_the_issuer_below_each(app: Flask) -> None:
    reader = PdfReader(io.BytesIO(made(document(notes=("Grund " * 1500,)))))
    assert len(reader.pages) > 1
    assert all("USt-IdNr.: DE123456788" in page.extract_text() for page in reader.pages)
