"""The invoice pages as a browser meets them."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from facturx import get_xml_from_pdf
from lxml import etree
from pypdf import PdfReader

from portal.db import db
from portal.domain import billing_details, invoice_documents, invoice_list, invoices
from portal.models import Company
from portal.tenancy import tenant_scope
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.factories import make_invoice, make_topup, within
from tests.queries import Queries

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TYPED = {
    "name": "  Salon Morgenrot GmbH ",
    "street": "Torstraße 112",
    "extra": "Hinterhaus\r\n\r\n2. Stock ",
    "postal_code": "10119",
    "city": "Berlin",
    "country": "DE",
    "email": "buchhaltung@salon.example",
    "vat_id": "de 136 695 976",
}


def details(cast: Cast) -> billing_details.Details:
    with tenant_scope(cast.salon.id):
        return billing_details.of(billing_details.company())


# ---- The list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "bookkeeper"])
def test_who_sees_the_balance_sees_the_invoices(client: PortalClient, cast: Cast, role: str) -> None:
    made = make_invoice(cast.salon)
    page = client.sign_in(cast.salon.users[role]).get("/balance/invoices")
    assert page.status_code == 200
    assert f'href="/balance/invoices/{made.id}.pdf"' in page.text
    assert f'href="/balance/invoices/{made.id}.xml"' in page.text
    assert "119,00\u00a0€" in page.text


def test_another_companys_invoices_are_not_there(client: PortalClient, cast: Cast) -> None:
    foreign = make_invoice(cast.praxis)
    client.sign_in(cast.salon.owner)
    assert foreign.number not in client.get("/balance/invoices").text
    for kind in ("pdf", "xml"):
        assert client.get(f"/balance/invoices/{foreign.id}.{kind}").status_code == 404


def test_an_empty_list_says_when_the_first_one_comes(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.bookkeeper).get("/balance/invoices")
    assert "Die erste kommt mit der ersten Aufladung." in page.text


def test_a_year_can_be_chosen_and_an_unknown_one_means_all(client: PortalClient, cast: Cast) -> None:
    for year in (2025, 2026):
        moment = NOW.replace(year=year)
        topup = make_topup(cast.salon, status="completed", completed_at=moment)
        within(cast.salon, lambda topup=topup, moment=moment: invoices.issue_for_topup(db.session.merge(topup), moment))
    client.sign_in(cast.salon.owner)
    assert "RE-2026-0001" not in client.get("/balance/invoices?year=2025").text
    for wrong in ("1999", "x", ""):
        page = client.get(f"/balance/invoices?year={wrong}").text
        assert "RE-2025-0001" in page
        assert "RE-2026-0001" in page


def test_older_ones_are_a_page_away(client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoice_list.page, "__defaults__", (None, 2))
    for days in range(3):
        topup = make_topup(cast.salon, status="completed", completed_at=NOW)
        moment = NOW + timedelta(days=days)
        within(cast.salon, lambda topup=topup, moment=moment: invoices.issue_for_topup(db.session.merge(topup), moment))
    client.sign_in(cast.salon.owner)
    first = client.get("/balance/invoices").text
    assert "RE-2026-0001" not in first
    address = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    second = client.get(address).text
    assert "RE-2026-0001" in second
    assert "RE-2026-0002" not in second
    assert client.get("/balance/invoices?after=nonsense").status_code == 200


def test_a_refund_stands_below_what_it_takes_back(client: PortalClient, cast: Cast) -> None:
    topup = make_topup(cast.salon, status="completed", completed_at=NOW)
    within(
        cast.salon,
        lambda: invoices.cancel_for_topup(db.session.merge(topup), Decimal("119.00"), "refund", NOW),
    )
    page = client.sign_in(cast.salon.owner).get("/balance/invoices").text
    assert "Stornorechnung" in page
    assert "zu RE-2026-0001" in page
    assert "−119,00\u00a0€" in page


def test_a_part_is_the_list_alone(client: PortalClient, cast: Cast) -> None:
    make_invoice(cast.salon)
    part = client.sign_in(cast.salon.owner).htmx("GET", "/balance/invoices")
    assert part.text.startswith('<section class="card cards-sm invoices" id="invoice-list"')


def test_the_list_asks_the_database_the_same_for_one_and_for_many(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    make_invoice(cast.salon)
    with Queries() as one:
        client.get("/balance/invoices")
    for _number in range(5):
        make_invoice(cast.salon)
    with Queries() as many:
        client.get("/balance/invoices")
    assert len(many) == len(one)


# ---- The files --------------------------------------------------------------------------------------------


def test_who_is_quicker_than_the_worker_gets_the_file_all_the_same(client: PortalClient, cast: Cast) -> None:
    made = make_invoice(cast.salon)
    client.sign_in(cast.salon.bookkeeper)
    first = client.get(f"/balance/invoices/{made.id}.pdf")
    assert first.status_code == 200
    assert first.headers["Content-Type"] == "application/pdf"
    assert first.headers["Content-Disposition"] == f'attachment; filename="{made.number}.pdf"'
    assert first.headers["Cache-Control"] == "no-store"
    assert client.get(f"/balance/invoices/{made.id}.pdf").data == first.data
    with tenant_scope(cast.salon.id):
        stored = invoice_documents.load(made.id)
    assert stored is not None
    assert stored.pdf == first.data
    assert stored.pdf_sha256 == hashlib.sha256(first.data).hexdigest()


def test_the_xml_is_the_one_inside_the_pdf_and_says_the_same(client: PortalClient, cast: Cast) -> None:
    made = make_invoice(cast.salon, "123.45")
    client.sign_in(cast.salon.owner)
    pdf = client.get(f"/balance/invoices/{made.id}.pdf").data
    answer = client.get(f"/balance/invoices/{made.id}.xml")
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.data == get_xml_from_pdf(pdf)[1]
    total = etree.fromstring(answer.data).findtext(".//{*}GrandTotalAmount")
    assert Decimal(total) == made.gross_amount == Decimal("146.91")
    assert "146,91" in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


# ---- The invoice address ----------------------------------------------------------------------------------


def test_the_page_asks_for_what_the_address_lacks(client: PortalClient, cast: Cast) -> None:
    owner = client.sign_in(cast.salon.owner).get("/balance/invoices").text
    assert "Es fehlt: Straße und Hausnummer, Postleitzahl." in owner
    assert "Adresse ergänzen" in owner
    bookkeeper = client.sign_in(cast.salon.bookkeeper).get("/balance/invoices").text
    assert "Der Inhaber kann sie ergänzen." in bookkeeper
    assert "/balance/billing-details" not in bookkeeper


def test_the_address_is_saved_as_typed_but_tidied(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    assert 'value="Salon Test"' in client.get("/balance/billing-details").text
    answer = client.post("/balance/billing-details", data=TYPED)
    assert (answer.status_code, answer.location) == (303, "/balance/invoices")
    assert details(cast) == billing_details.Details(
        "Salon Morgenrot GmbH", "Torstraße 112", "Hinterhaus\n2. Stock", "10119", "Berlin", "DE",
        "buchhaltung@salon.example", "DE136695976",
    )  # fmt: skip
    page = client.get("/balance/invoices").text
    assert "Es fehlt" not in page
    assert "ist gespeichert" in page


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("name", " ", "Bitte geben Sie einen Namen ein."),
        ("street", "", "Bitte geben Sie Straße und Hausnummer ein."),
        ("postal_code", "Berlin", "Das ist keine Postleitzahl."),
        ("city", "", "Bitte geben Sie einen Ort ein."),
        ("country", "US", ""),
        ("email", "keine Adresse", "Bitte geben Sie eine gültige E-Mail-Adresse ein."),
        ("vat_id", "DE136695975", "Diese USt-IdNr. stimmt nicht"),
        ("extra", "a\nb\nc", "Bitte höchstens zwei Zeilen."),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    client: PortalClient, cast: Cast, field: str, typed: str, message: str
) -> None:
    before = details(cast)
    answer = client.sign_in(cast.salon.owner).post("/balance/billing-details", data=TYPED | {field: typed})
    assert answer.status_code == 422
    assert message in answer.text
    assert f'id="{field}-e"' in answer.text
    assert details(cast) == before


def test_only_the_own_company_is_changed(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner).post("/balance/billing-details", data=TYPED)
    with tenant_scope(cast.praxis.id):
        other = db.session.get_one(Company, cast.praxis.id)
    assert other.invoice_name is None


@pytest.mark.parametrize("role", ["manager", "staff", "bookkeeper"])
def test_only_who_manages_limits_changes_the_address(client: PortalClient, cast: Cast, role: str) -> None:
    answer = client.sign_in(cast.salon.users[role]).post("/balance/billing-details", data=TYPED)
    assert answer.status_code == 403
