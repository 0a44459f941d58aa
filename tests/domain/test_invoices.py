"""Invoices: one a top-up, numbered without a gap, never changed, and always what the money says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal.db import db, transaction, utcnow
from portal.domain import billing_details, invoice_documents, invoice_list, invoices
from portal.domain.billing_details import Details
from portal.domain.errors import DomainError
from portal.domain.vat import TaxKind
from portal.models import AuditLog, BalanceTopup, Company, Invoice, InvoiceLine, OutboxJob
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.factories import make_invoice, make_topup, save, within

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ADDRESS = Details("Salon Morgenrot GmbH", "Torstraße 112", "Hinterhaus", "10119", "Berlin", "DE", "b@s.example")


def paid(firm: Firm, amount: str = "100.00", **values: Any) -> BalanceTopup:
    return make_topup(firm, amount, **{"status": "completed", "completed_at": NOW} | values)


def issue(firm: Firm, topup: BalanceTopup, now: datetime = NOW) -> Invoice:
    made = within(firm, lambda: invoices.issue_for_topup(db.session.merge(topup), now))
    assert made is not None
    return made


def take_back(firm: Firm, topup: BalanceTopup, gross: str, reason: str = "refund") -> Invoice | None:
    return within(firm, lambda: invoices.cancel_for_topup(db.session.merge(topup), Decimal(gross), reason, NOW))


def all_of(firm: Firm) -> list[Invoice]:
    with tenant_scope(firm.id):
        return list(db.session.scalars(select(Invoice).order_by(Invoice.id)))


def said(firm: Firm, made: Invoice) -> Any:
    with tenant_scope(firm.id):
        loaded = invoice_documents.load(made.id)
        assert loaded is not None
        return invoice_documents.document(loaded)


def move(firm: Firm, details: Details) -> None:
    within(firm, lambda: billing_details.change(details))


def with_issuer(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(invoices, "_issuer", replace(invoices.issuer(), **changes))


# ---- Issuing ----------------------------------------------------------------------------------------------


def test_the_invoice_is_the_top_up_to_the_cent(cast: Cast) -> None:
    topup = paid(cast.salon, "123.45")
    made = issue(cast.salon, topup)
    assert (made.net_amount, made.tax_amount, made.gross_amount) == (
        topup.amount, topup.tax_amount, topup.gross_amount,
    )  # fmt: skip
    assert (made.tax_category, made.tax_rate) == ("standard", Decimal("19.00"))
    assert (made.issued_on, made.supplied_on) == (date(2026, 11, 22), date(2026, 11, 22))


def test_a_top_up_has_one_invoice_however_often_it_is_asked_for(cast: Cast) -> None:
    topup = paid(cast.salon)
    assert issue(cast.salon, topup).id == issue(cast.salon, topup, NOW + timedelta(days=3)).id
    assert len(all_of(cast.salon)) == 1


def test_the_top_up_knows_its_invoice(cast: Cast) -> None:
    topup = paid(cast.salon)
    made = issue(cast.salon, topup)
    with tenant_scope(cast.salon.id):
        stored = db.session.get_one(BalanceTopup, topup.id)
    assert (stored.invoice_number, stored.invoice_url) == (made.number, f"/balance/invoices/{made.id}.pdf")


@pytest.mark.parametrize(
    ("method", "invoiced"), [("bank_transfer", True), ("admin_credit", False), ("promotional", False)]
)
def test_only_what_somebody_paid_for_is_invoiced(cast: Cast, method: str, invoiced: bool) -> None:
    topup = paid(cast.salon, payment_method=method)
    made = within(cast.salon, lambda: invoices.issue_for_topup(db.session.merge(topup), NOW))
    assert (made is not None) == invoiced
    assert len(all_of(cast.salon)) == invoiced


def test_issuing_is_recorded_and_the_file_is_ordered(cast: Cast) -> None:
    made = issue(cast.salon, paid(cast.salon))
    with tenant_scope(cast.salon.id):
        assert db.session.scalars(
            select(AuditLog.new_values).where(AuditLog.action == "invoice.invoice_issued")
        ).one() == {
            "number": made.number,
            "gross": "119.00",
        }
        job = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == "invoice_pdf")).one()
    assert job.payload == {"invoice_id": made.id, "announce": True}


def test_the_document_holds_all_that_the_law_asks_for(cast: Cast) -> None:
    move(cast.salon, ADDRESS)
    document = said(cast.salon, issue(cast.salon, paid(cast.salon, payment_label="Visa ···· 4242")))
    assert document.seller.name == "Empfang Demo GmbH"
    assert (document.seller.town, document.seller.vat_id) == ("10115 Berlin", "DE123456788")
    assert (document.customer.name, document.customer.lines) == (
        "Salon Morgenrot GmbH",
        ("Torstraße 112", "Hinterhaus"),
    )
    assert document.paid == "Bezahlt am 22.11.2026 mit Visa ···· 4242. Es ist nichts mehr zu zahlen."
    assert document.notes[0].startswith("Anzahlung auf noch nicht erbrachte Leistungen")
    assert document.lines[0].description.startswith("Guthabenaufladung: Anzahlung")


def test_a_company_without_an_address_gets_its_invoice_all_the_same(cast: Cast) -> None:
    document = said(cast.praxis, issue(cast.praxis, paid(cast.praxis)))
    assert (document.customer.name, document.customer.lines, document.customer.city) == ("Praxis Test", (), "Berlin")


def test_the_document_speaks_the_customers_language(cast: Cast) -> None:
    within(cast.salon, lambda: setattr(billing_details.company(), "language", "en"))
    document = said(cast.salon, issue(cast.salon, paid(cast.salon)))
    assert document.lines[0].description.startswith("Balance top-up: advance payment")
    assert document.paid == "Paid on 22\u00a0Nov\u00a02026. Nothing is due."


# ---- Why there is tax or none -----------------------------------------------------------------------------


UNTAXED = {"tax_rate": Decimal("0.00"), "tax_amount": Decimal("0.00"), "gross_amount": Decimal("100.00")}


def test_a_small_business_shows_no_tax_and_says_why(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    with_issuer(monkeypatch, small_business=True)
    made = issue(cast.salon, paid(cast.salon, **UNTAXED))
    assert (made.tax_category, made.tax_amount, made.gross_amount) == ("small_business", 0, Decimal("100.00"))
    document = said(cast.salon, made)
    assert document.exemption == "Steuerfrei nach § 19 UStG (Kleinunternehmer)."
    assert document.exemption in document.notes


def test_reverse_charge_names_both_vat_ids(cast: Cast) -> None:
    move(cast.salon, replace(ADDRESS, city="Wien", postal_code="1010", country="AT", vat_id="ATU57194903"))
    made = issue(cast.salon, paid(cast.salon, **UNTAXED))
    assert made.tax_category == "reverse_charge"
    note = said(cast.salon, made).notes[-1]
    assert "Steuerschuldnerschaft des Leistungsempfängers" in note
    assert "DE123456788" in note
    assert "ATU57194903" in note


def test_what_was_noted_when_the_payment_began_counts(cast: Cast) -> None:
    """The company may have changed its VAT id since; the tax was decided on the old one."""
    noted = {"tax_kind": "reverse_charge", "vat_id": "ATU57194903"}
    made = issue(cast.salon, paid(cast.salon, topup_metadata=noted, **UNTAXED))
    assert made.tax_category == "reverse_charge"
    assert made.customer["vat_id"] == "ATU57194903"


# ---- Numbers ----------------------------------------------------------------------------------------------


def numbers(firm: Firm) -> list[str]:
    return [made.number for made in all_of(firm)]


def test_numbers_count_up_over_all_companies(cast: Cast) -> None:
    for firm in (cast.salon, cast.praxis, cast.salon):
        issue(firm, paid(firm))
    assert numbers(cast.salon) == ["RE-2026-0001", "RE-2026-0003"]
    assert numbers(cast.praxis) == ["RE-2026-0002"]


def test_a_rollback_leaves_no_gap(cast: Cast) -> None:
    first, second = paid(cast.salon), paid(cast.salon)

    def fail() -> None:
        with tenant_scope(cast.salon.id):
            invoices.issue_for_topup(db.session.merge(first), NOW)
            raise RuntimeError("Stripe's event cannot be handled")

    with pytest.raises(RuntimeError):
        transaction(fail)
    issue(cast.salon, second)
    issue(cast.salon, first)
    assert numbers(cast.salon) == ["RE-2026-0001", "RE-2026-0002"]


def test_the_year_turns_at_midnight_in_berlin(cast: Cast) -> None:
    for minute in (59, 60):
        moment = datetime(2026, 12, 31, 22, tzinfo=UTC) + timedelta(minutes=minute)
        issue(cast.salon, paid(cast.salon, completed_at=moment), moment)
    assert numbers(cast.salon) == ["RE-2026-0001", "RE-2027-0001"]
    assert [made.issued_on for made in all_of(cast.salon)] == [date(2026, 12, 31), date(2027, 1, 1)]


def test_a_corrected_vat_id_of_the_issuer_never_meets_a_number_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(cast.salon, paid(cast.salon))
    with_issuer(monkeypatch, vat_id="DE136695976")
    issue(cast.salon, paid(cast.salon))
    with_issuer(monkeypatch, vat_id="DE123456788")
    issue(cast.salon, paid(cast.salon))
    assert numbers(cast.salon) == ["RE-2026-0001", "RE-2026-0002", "RE-2026-0003"]


def test_an_invoice_made_late_says_when_it_was_paid(cast: Cast) -> None:
    made = issue(cast.salon, paid(cast.salon), NOW + timedelta(days=9))
    assert (made.issued_on, made.supplied_on) == (date(2026, 12, 1), date(2026, 11, 22))


# ---- Immutable --------------------------------------------------------------------------------------------


CHANGES = (
    "UPDATE invoices SET gross_amount = gross_amount + 1, net_amount = net_amount + 1",
    "UPDATE invoices SET number = 'RE-2026-9999'",
    "UPDATE invoices SET customer = '{}'",
    "UPDATE invoices SET seller = '{}'",
    "UPDATE invoices SET topup_id = NULL",
    "UPDATE invoices SET reason = 'x'",
    "UPDATE invoices SET supplied_on = '2020-01-01'",
    "UPDATE invoices SET language = 'en'",
    "DELETE FROM invoices",
    "UPDATE invoice_lines SET description = 'x'",
    "DELETE FROM invoice_lines",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_the_database_itself_refuses_to_change_what_is_issued(cast: Cast, statement: str) -> None:
    issue(cast.salon, paid(cast.salon))
    with pytest.raises(DBAPIError, match="append-only"):
        within(cast.salon, lambda: db.session.execute(text(statement)))


def test_the_file_is_added_once_and_never_replaced(cast: Cast) -> None:
    made = issue(cast.salon, paid(cast.salon))
    assert within(cast.salon, lambda: invoices.keep_pdf(made.id, b"%PDF-1"))
    assert not within(cast.salon, lambda: invoices.keep_pdf(made.id, b"%PDF-2"))
    with pytest.raises(DBAPIError, match="append-only"):
        within(cast.salon, lambda: db.session.execute(update(Invoice).values(pdf=b"%PDF-3")))
    with tenant_scope(cast.salon.id):
        loaded = invoice_documents.load(made.id)
    assert loaded is not None
    assert loaded.pdf == b"%PDF-1"


def test_a_new_address_leaves_issued_documents_alone(cast: Cast) -> None:
    move(cast.salon, ADDRESS)
    made = issue(cast.salon, paid(cast.salon))
    before = said(cast.salon, made)
    move(cast.salon, replace(ADDRESS, name="Neu GmbH", street="Neue Straße 1", vat_id="DE136695976"))
    within(cast.salon, lambda: setattr(billing_details.company(), "language", "en"))
    assert said(cast.salon, made) == before
    assert said(cast.salon, issue(cast.salon, paid(cast.salon))).customer.name == "Neu GmbH"


# ---- Money that goes back ---------------------------------------------------------------------------------


def sums(firm: Firm) -> tuple[Decimal, Decimal, Decimal]:
    rows = all_of(firm)
    return tuple(sum((getattr(row, name) for row in rows), Decimal(0)) for name in (
        "net_amount", "tax_amount", "gross_amount",
    ))  # type: ignore[return-value]  # fmt: skip


def test_a_full_refund_is_a_storno_that_names_the_invoice(cast: Cast) -> None:
    topup = paid(cast.salon)
    original = issue(cast.salon, topup)
    storno = take_back(cast.salon, topup, "119.00")
    assert storno is not None
    assert (storno.kind, storno.corrects_id, storno.number) == ("storno", original.id, "RE-2026-0002")
    assert (storno.net_amount, storno.tax_amount, storno.gross_amount) == (
        -original.net_amount, -original.tax_amount, -original.gross_amount,
    )  # fmt: skip
    document = said(cast.salon, storno)
    assert "storniert die Rechnung RE-2026-0001 vom 22.11.2026 in voller Höhe" in document.notes[0]
    assert document.notes[1] == "Grund: Erstattung der Zahlung."
    assert document.lines[0].unit_price == Decimal("100.00")
    assert document.lines[0].quantity == -1


def test_a_second_storno_is_refused(cast: Cast) -> None:
    topup = paid(cast.salon)
    original = issue(cast.salon, topup)
    storno = take_back(cast.salon, topup, "119.00")
    assert storno is not None
    assert take_back(cast.salon, topup, "119.00") is None
    columns = {column.name for column in Invoice.__table__.c} - {"id", "number", "pdf", "pdf_sha256"}
    copy = Invoice(number="RE-2026-0099", **{name: getattr(storno, name) for name in columns})
    with pytest.raises(IntegrityError):
        save(cast.salon, copy)
    assert [made.kind for made in all_of(cast.salon)] == ["invoice", "storno"]
    assert original.kind == "invoice"


def test_a_partial_refund_is_a_correction_of_that_part(cast: Cast) -> None:
    topup = paid(cast.salon)
    issue(cast.salon, topup)
    part = take_back(cast.salon, topup, "10.00")
    assert part is not None
    assert (part.kind, part.net_amount, part.tax_amount, part.gross_amount) == (
        "correction", Decimal("-8.40"), Decimal("-1.60"), Decimal("-10.00"),
    )  # fmt: skip
    assert "mindert die Rechnung RE-2026-0001" in said(cast.salon, part).notes[0]


def test_parts_add_up_to_the_whole_whatever_their_sizes(cast: Cast) -> None:
    dice = Random(7)
    topup = paid(cast.salon, "77.77")
    issue(cast.salon, topup)
    gone = Decimal(0)
    while gone < topup.gross_amount:
        gone = min(gone + Decimal(dice.randint(1, 2500)) / 100, topup.gross_amount)
        take_back(cast.salon, topup, str(gone))
        assert sums(cast.salon)[2] == topup.gross_amount - gone
    assert sums(cast.salon) == (0, 0, 0)
    assert {made.kind for made in all_of(cast.salon)} == {"invoice", "correction"}


def test_a_dispute_that_is_won_brings_the_invoice_back(cast: Cast) -> None:
    topup = paid(cast.salon)
    issue(cast.salon, topup)
    charged_back = take_back(cast.salon, topup, "119.00", "chargeback")
    assert charged_back is not None
    assert said(cast.salon, charged_back).notes[1] == "Grund: Rückbuchung der Zahlung durch die Bank."
    won = take_back(cast.salon, topup, "0.00", "chargeback")
    assert won is not None
    assert (won.kind, won.gross_amount) == ("correction", Decimal("119.00"))
    assert said(cast.salon, won).notes == (
        "Dieser Beleg nimmt eine frühere Minderung der Rechnung RE-2026-0001 vom 22.11.2026 zurück.",
    )
    assert sums(cast.salon)[2] == Decimal("119.00")
    assert take_back(cast.salon, topup, "119.00") is not None
    assert sums(cast.salon) == (0, 0, 0)


def test_a_refund_before_the_invoice_makes_both(cast: Cast) -> None:
    take_back(cast.salon, paid(cast.salon), "119.00")
    assert [made.kind for made in all_of(cast.salon)] == ["invoice", "storno"]


def test_a_correction_carries_issuer_customer_and_language_of_the_original(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    topup = paid(cast.salon)
    original = issue(cast.salon, topup)
    move(cast.salon, ADDRESS)
    with_issuer(monkeypatch, name="Umbenannt GmbH")
    part = take_back(cast.salon, topup, "10.00")
    assert part is not None
    assert (part.seller, part.customer, part.language) == (original.seller, original.customer, original.language)


@pytest.mark.parametrize("tax_kind", [TaxKind.SMALL_BUSINESS, TaxKind.REVERSE_CHARGE])
def test_a_refund_without_tax_stays_without_tax(cast: Cast, tax_kind: TaxKind) -> None:
    topup = paid(cast.salon, topup_metadata={"tax_kind": str(tax_kind)}, **UNTAXED)
    part = take_back(cast.salon, topup, "33.33")
    assert part is not None
    assert (part.tax_category, part.tax_amount, part.gross_amount) == (str(tax_kind), 0, Decimal("-33.33"))


# ---- What is missing --------------------------------------------------------------------------------------


def behind() -> list[int]:
    from portal.tenancy import all_tenants

    with all_tenants("the test looks at every company"):
        return [topup_id for _company_id, topup_id in invoices.behind()]


def test_documents_that_are_behind_the_money_are_found_and_made(cast: Cast) -> None:
    left_out = paid(cast.salon)
    refunded = paid(cast.praxis, status="refunded", refunded_amount=Decimal("119.00"))
    make_invoice(cast.salon)
    make_topup(cast.salon)
    paid(cast.salon, payment_method="admin_credit")
    assert behind() == [left_out.id, refunded.id]
    within(cast.salon, lambda: invoices.catch_up(left_out.id, NOW))
    within(cast.praxis, lambda: invoices.catch_up(refunded.id, NOW))
    assert behind() == []
    assert [made.kind for made in all_of(cast.praxis)] == ["invoice", "storno"]


# ---- The list ---------------------------------------------------------------------------------------------


def test_the_list_goes_on_where_the_page_before_ended(cast: Cast) -> None:
    for days in range(7):
        issue(cast.salon, paid(cast.salon), NOW + timedelta(days=days // 2))
    make_invoice(cast.praxis)
    seen: list[str] = []
    after = None
    with tenant_scope(cast.salon.id):
        while True:
            rows, more = invoice_list.page(2026, after, size=3)
            seen += [row.number for row in rows]
            if not more:
                break
            after = (rows[-1].issued_on, rows[-1].id)
    assert seen == [f"RE-2026-{number:04}" for number in range(7, 0, -1)]


def test_years_and_totals_are_those_of_the_company(cast: Cast) -> None:
    topup = paid(cast.salon)
    issue(cast.salon, topup)
    take_back(cast.salon, topup, "19.00")
    late = datetime(2028, 1, 2, tzinfo=UTC)
    issue(cast.salon, paid(cast.salon, "10.00", completed_at=late), late)
    issue(cast.praxis, paid(cast.praxis))
    with tenant_scope(cast.salon.id):
        assert invoice_list.years() == [2028, 2027, 2026]
        assert invoice_list.totals(2026) == invoice_list.Totals(
            2, Decimal("84.03"), Decimal("15.97"), Decimal("100.00")
        )
        assert invoice_list.totals(2027) == invoice_list.Totals(0, Decimal(0), Decimal(0), Decimal(0))
        assert invoice_list.totals(None).gross == Decimal("111.90")


def test_another_companys_document_is_not_there(cast: Cast) -> None:
    made = make_invoice(cast.praxis)
    with tenant_scope(cast.salon.id):
        assert invoice_documents.load(made.id) is None


# ---- The invoice address ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "country", "expected"),
    [
        ("Torstraße 112\n10119 Berlin", "DE", (("Torstraße 112",), "10119", "Berlin")),
        ("Weg 1\nHinterhaus\n D-10115  Berlin \n", "DE", (("Weg 1", "Hinterhaus"), "D-10115", "Berlin")),
        ("Damrak 1\n1011 AB Amsterdam", "NL", (("Damrak 1",), "1011 AB", "Amsterdam")),
        ("Rynek 1\n31-042 Kraków", "PL", (("Rynek 1",), "31-042", "Kraków")),
        ("Ulice 1\n110 00 Praha 1", "CZ", (("Ulice 1",), "110 00", "Praha 1")),
        ("Street 1\nVLT 1117 Valletta", "MT", (("Street 1",), "VLT 1117", "Valletta")),
        ("Baker Street 1\nSW1A 1AA London", "GB", (("Baker Street 1",), "SW1A 1AA", "London")),
        ("Iela 1\nLV-1010 Rīga", "LV", (("Iela 1",), "LV-1010", "Rīga")),
        ("Weg 1, Berlin", "DE", (("Weg 1, Berlin",), "", "")),
        ("Am Markt 3\nBad Dürkheim an der Weinstraße", "DE",
         (("Am Markt 3", "Bad Dürkheim an der Weinstraße"), "", "")),
    ],
)  # fmt: skip
def test_an_address_as_people_write_it_is_understood(
    address: str, country: str, expected: tuple[tuple[str, ...], str, str]
) -> None:
    found = billing_details.of(Company(name="A", invoice_address=address, country=country))
    assert (found.lines, found.postal_code, found.city) == expected


def test_without_an_invoice_address_the_companys_own_counts() -> None:
    company = Company(name="Salon", address="Weg 1", postal_code="10115", city="Berlin", country="DE")
    assert billing_details.of(company) == Details("Salon", "Weg 1", "", "10115", "Berlin")
    assert billing_details.of(Company(name="Salon", country="DE")).missing == ["street", "postal_code", "city"]
    assert billing_details.of(Company(name="Salon", city="Berlin", country="DE")).missing == ["street", "postal_code"]


def test_what_is_typed_comes_back_as_typed(cast: Cast) -> None:
    typed = replace(ADDRESS, extra="Hinterhaus\n2. Stock", vat_id="DE136695976")
    move(cast.salon, typed)
    with tenant_scope(cast.salon.id):
        assert billing_details.of(billing_details.company()) == typed


def test_a_change_of_the_address_is_recorded_with_before_and_after(cast: Cast) -> None:
    move(cast.salon, ADDRESS)
    move(cast.salon, ADDRESS)
    move(cast.salon, replace(ADDRESS, city="Potsdam"))
    with tenant_scope(cast.salon.id):
        rows = db.session.scalars(
            select(AuditLog).where(AuditLog.action == "company.billing_details_changed").order_by(AuditLog.id)
        ).all()
    assert len(rows) == 2
    assert (rows[1].old_values, rows[1].new_values) == ({"city": "Berlin"}, {"city": "Potsdam"})


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("", "DE", ""),
        ("de 136 695 976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("ATU 57194903", "AT", "ATU57194903"),
        ("EL 094259216", "GR", "EL094259216"),
        ("CHE-116.281.710", "CH", "CHE116281710"),
    ],
)
def test_a_vat_id_is_kept_in_its_compact_form(typed: str, country: str, kept: str) -> None:
    assert billing_details.check_vat_id(typed, country) == kept


@pytest.mark.parametrize(
    ("typed", "country"),
    [("DE136695975", "DE"), ("DE12345", "DE"), ("ATU57194903", "DE"), ("x", "CH"), ("ÄÖÜ1234", "CH"), ("XX1", "AT")],
)
def test_a_vat_id_that_cannot_be_right_is_refused_beside_its_field(cast: Cast, typed: str, country: str) -> None:
    with pytest.raises(DomainError) as refused:
        billing_details.check_vat_id(typed, country)
    assert refused.value.field == "vat_id"


def test_invoices_go_to_the_invoice_address_else_to_the_owners(cast: Cast) -> None:
    with tenant_scope(cast.salon.id):
        company = billing_details.company()
        assert billing_details.recipients(company) == [cast.salon.owner.email]
    move(cast.salon, ADDRESS)
    with tenant_scope(cast.salon.id):
        assert billing_details.recipients(billing_details.company()) == ["b@s.example"]


def test_lines_belong_to_their_document(cast: Cast) -> None:
    made = issue(cast.salon, paid(cast.salon))
    with tenant_scope(cast.salon.id):
        line = db.session.scalars(select(InvoiceLine)).one()
    assert (line.invoice_id, line.position, line.net_amount) == (made.id, 1, made.net_amount)
    assert made.created_at <= utcnow()
