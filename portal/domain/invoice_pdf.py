"""The paper of an invoice: one PDF/A-3 that shows the document and carries it as an e-invoice (ZUGFeRD).

The sheet follows DIN 5008 (address in the window of an envelope). Importing this module takes a third of a second
(``paper``), so only the making of a document imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from babel import Locale
from flask_babel import force_locale
from flask_babel import gettext as _

from portal import formats
from portal.domain.einvoice import FILE_NAME, Document, Party, printable
from portal.domain.paper import BOTTOM, GREY, HAIR, INK, LEFT, LINE, RIGHT, Paper, drawable

# Millimetres.
WINDOW, FACTS_X, BODY = 50, 122, 104
COLUMNS = (84, 16, 27, 14, 24)  # what, how many, price, tax, amount


def render(document: Document, xml: bytes, made_at: datetime) -> bytes:
    """The finished file. ``xml`` is the e-invoice of the same document."""
    with force_locale(document.language):
        sheet = _Sheet(document, made_at)
        sheet.draw()
    sheet.embed_file(
        bytes=xml,
        basename=FILE_NAME,
        desc="EN 16931",
        mime_type="text/xml",
        modification_date=made_at,
        associated_file_relationship="Alternative",
        compress=True,
        checksum=True,
    )
    sheet.set_xmp_metadata(_metadata(sheet, made_at))
    return bytes(sheet.output())


# What PDF/A (ISO 19005-3) and Factur-X want declared; the last two blocks describe and name the file inside.
METADATA = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<pdf:Producer>{producer}</pdf:Producer>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<xmp:CreateDate>{made_at}</xmp:CreateDate><xmp:ModifyDate>{made_at}</xmp:ModifyDate>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>fx</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq>
{properties}
</rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#">
<fx:DocumentType>INVOICE</fx:DocumentType><fx:DocumentFileName>{file_name}</fx:DocumentFileName>
<fx:Version>1.0</fx:Version><fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>"""
PROPERTY = """<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>
<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>
<pdfaProperty:description>{description}</pdfaProperty:description></rdf:li>"""
PROPERTIES = {
    "DocumentFileName": "name of the embedded XML invoice file",
    "DocumentType": "type of the hybrid document",
    "Version": "version of the standard of the embedded XML invoice file",
    "ConformanceLevel": "conformance level of the embedded XML invoice file",
}


def _metadata(sheet: _Sheet, made_at: datetime) -> str:
    return METADATA.format(
        title=escape(sheet.heading),
        author=escape(printable(sheet.document.seller.name)),
        producer=escape(str(sheet.producer)),
        made_at=made_at.astimezone(UTC).isoformat(timespec="seconds"),
        properties="\n".join(PROPERTY.format(name=name, description=text) for name, text in PROPERTIES.items()),
        file_name=FILE_NAME,
    )


class _Sheet(Paper):
    """The drawing of one document."""

    def __init__(self, document: Document, made_at: datetime) -> None:
        heading = f"{_kind(document.kind)} {document.number}"
        super().__init__(heading, document.seller.name, document.language, made_at, standard="PDF/A-3B")
        self.document = document

    def draw(self) -> None:
        self.add_page()
        self.letterhead(self.document.seller.name)
        bottom = max(self._address(), self._facts(), BODY - 10)
        self.set_y(bottom + 10)
        self.face(17, "B")
        self.block(self.epw, 8, self.heading)
        self.ln(5)
        self._table()
        self._totals()
        self._notes()

    def footer(self) -> None:
        """The issuer on every page, as the law and the bookkeeper want it."""
        self.set_y(-BOTTOM + 8)
        self.rule(HAIR)
        self.ln(2.5)
        top, width = self.get_y(), self.epw / 3
        for number, lines in enumerate(_imprint(self.document.seller, self.document.language)):
            self.set_xy(LEFT + number * width, top)
            self.face(8, "", GREY)
            self.block(width - 4, 3.7, "\n".join(lines))
        self.set_xy(LEFT, -11)
        self.face(8, "", GREY)
        page = _("Page %(page)s", page=self.page_no())
        self.cell(self.epw, 3.7, f"{self.document.number} · {page}", align="R")

    # ---- parts --------------------------------------------------------------------------------

    def _address(self) -> float:
        """The window: the sender in small, then the customer. Returns where it ends."""
        seller, customer = self.document.seller, self.document.customer
        self.set_y(WINDOW)
        self.face(7.5, "", GREY)
        self.block(86, 3.4, " · ".join(part for part in (seller.name, *seller.lines, seller.town) if part))
        self.ln(1.6)
        self.face(10.5, "B")
        self.block(86, LINE, customer.name)
        self.face(10.5)
        abroad = customer.country != seller.country
        country = _country(customer.country, self.document.language).upper() if abroad else ""
        self.block(86, LINE, "\n".join(line for line in (*customer.lines, customer.town, country) if line))
        return self.get_y()

    def _facts(self) -> float:
        """Number, dates, and what else a bookkeeper looks for first. Returns where it ends."""
        self.set_y(WINDOW)
        for label, value in self._known_facts():
            top = self.get_y()
            self.set_xy(FACTS_X, top)
            self.face(9, "", GREY)
            self.block(32, LINE, label)
            below = self.get_y()
            self.set_xy(FACTS_X + 33, top)
            self.face(9.5)
            self.block(self.w - RIGHT - FACTS_X - 33, LINE, value)
            self.set_y(max(below, self.get_y()))
        return self.get_y()

    def _known_facts(self) -> Iterable[tuple[str, str]]:
        document = self.document
        yield _("Invoice no.") if document.kind == "invoice" else _("Document no."), document.number
        yield _("Date of issue"), self.day(document.issued_on)
        if document.kind == "invoice":
            yield _("Paid on"), self.day(document.supplied_on)
        else:
            yield _("Date of change"), self.day(document.supplied_on)
        if document.corrects:
            yield _("For invoice"), document.corrects.number
            yield _("Dated"), self.day(document.corrects.issued_on)
        if document.customer.vat_id:
            yield _("Your VAT id"), document.customer.vat_id

    def _table(self) -> None:
        document = self.document
        self.face(9, "", GREY)
        self.row((_("Description"), _("Quantity"), _("Unit price, net"), _("VAT"), _("Amount, net")), COLUMNS)
        self.rule(GREY)
        for line in document.lines:
            self.ln(2)
            self.face(10.5)
            quantity = formats.number(line.quantity, document.language, 0)
            amounts = (self.money(line.unit_price), self._percent(), self.money(line.net))
            self.row((line.description, quantity, *amounts), COLUMNS)
            self.ln(2)
            self.rule(HAIR)

    def _totals(self) -> None:
        self.ln(3)
        document = self.document
        self._sum(_("Total, net"), document.net)
        self._sum(_("plus %(rate)s VAT", rate=self._percent()), document.tax)
        self.rule(INK, LEFT + 84)
        self.ln(1)
        self._sum(_("Total amount"), document.gross, "B")
        self.ln(6)

    def _sum(self, label: str, amount: Decimal, style: str = "") -> None:
        self.face(10.5, style)
        self.set_x(LEFT + 84)
        self.cell(45, 6, drawable(label))
        self.cell(self.w - RIGHT - self.x, 6, self.money(amount), align="R")
        self.ln(6)

    def _notes(self) -> None:
        for note in (self.document.paid, *self.document.notes):
            if note:
                self.face(10)
                self.block(self.epw, LINE, note)
                self.ln(2)
        self.face(8.5, "", GREY)
        self.block(self.epw, 4, _("This file carries the document as an e-invoice as well (ZUGFeRD, EN 16931)."))

    def _percent(self) -> str:
        return formats.percent(self.document.tax_rate / 100, self.language)


def _kind(kind: str) -> str:
    names: dict[str, str] = {
        "invoice": _("Invoice"),
        "storno": _("Cancellation invoice"),
        "correction": _("Invoice correction"),
    }
    return names[kind]


def _country(code: str, language: str) -> str:
    return str(Locale(language).territories.get(code, code))


def _imprint(seller: Party, language: str) -> Iterable[list[str]]:
    """The three columns of the foot; '' is left out."""
    columns = (
        [seller.name, *seller.lines, seller.town, _country(seller.country, language)],
        [seller.email, seller.phone],
        [
            _("VAT id: %(number)s", number=seller.vat_id) if seller.vat_id else "",
            _("Tax number: %(number)s", number=seller.tax_number) if seller.tax_number else "",
        ],
    )
    return ([line for line in column if line] for column in columns)
