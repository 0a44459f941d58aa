"""The paper of a statement: real text in the reader's language, and everything that has to stand on it."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from flask import Flask
from pypdf import PdfReader

from portal.domain import statement, statement_pdf
from portal.domain.billing_details import Details
from portal.domain.movements import CalledLine, Line
from portal.domain.statement import Entry, Group, Month, Statement, Sum
from portal.domain.statement_pdf import Frame
from tests.statements import ZONE, noon

OCTOBER = Month(date(2026, 10, 1), ZONE)
COMPANY = Details("Salon Morgenrot GmbH", "Torstraße 112", postal_code="10119", city="Berlin")
FRAME = Frame(COMPANY, "Empfang Demo GmbH", "de", noon(OCTOBER, 31) + timedelta(days=20), named=True)
Item = tuple[int, "Line | Group"]


def movement(kind: str, amount: str, day: int = 5, **values: object) -> Item:
    made = Line(1, kind, noon(OCTOBER, day), Decimal(amount), Decimal(0), "x", **values)  # type: ignore[arg-type]
    return day, made


def call(day: int, amount: str = "-1.10", name: str | None = "Aylin Demir") -> Item:
    return movement("charge", amount, day, call=CalledLine(17, 157, name, "+49305550100"))


def calls(day: int, count: int, amount: str) -> Item:
    return day, Group(OCTOBER.first.replace(day=day), "charge", count, Decimal(amount), count * 60)


def made(items: list[Item], *, closing: str | None = None, running: bool = False) -> Statement:
    """A month that opens with 50 euros."""
    opening = Decimal("50.00")
    balances = list(accumulate((what.amount for _day, what in items), initial=opening))[1:]
    kinds = dict.fromkeys(what.kind for _day, what in items)
    sums = [
        Sum(
            kind,
            sum(what.count if isinstance(what, Group) else 1 for _day, what in items if what.kind == kind),
            sum((what.amount for _day, what in items if what.kind == kind), Decimal(0)),
        )
        for kind in kinds
    ]
    entries = [
        Entry(OCTOBER.first.replace(day=day), what, after) for (day, what), after in zip(items, balances, strict=True)
    ]
    end = Decimal(closing) if closing else (balances or [opening])[-1]
    return Statement(OCTOBER, opening, end, sums, entries, seconds=600, running=running)


def pages(shown: Statement, frame: Frame = FRAME) -> PdfReader:
    return PdfReader(io.BytesIO(statement_pdf.render(shown, frame)))


def printed(shown: Statement, frame: Frame = FRAME) -> str:
    text = " ".join(page.extract_text() for page in pages(shown, frame).pages)
    return " ".join(text.replace("\u00a0", " ").split())


def reader(language: str = "de", *, named: bool = True) -> Frame:
    return Frame(COMPANY, "Empfang Demo GmbH", language, FRAME.made_at, named=named)


EVERYTHING = [
    call(3),
    movement("topup", "100.00", topup_id=7, topup_label="Visa •••• 4242", invoice_number="RE-2026-0007"),
    movement("refund", "-20.00", 9, topup_id=7, invoice_number="RE-2026-0007"),
    movement("chargeback", "-30.00", 10, topup_id=7),
    movement("credit", "5.00", 11, description="Kulanz"),
    movement("adjustment", "-2.00", 12, description="Doppelt gebucht"),
    movement("correction", "0.50", 13),
]


def test_everything_that_belongs_on_a_statement_is_there(app: Flask) -> None:
    words = printed(made(EVERYTHING))
    for part in (
        "Empfang Demo GmbH", "Kontoauszug Oktober 2026", "Salon Morgenrot GmbH", "Torstraße 112", "10119 Berlin",
        "01.10.2026 – 31.10.2026", "Anfangsstand 50,00 €", "Endstand 102,40 €",
        "03.10.2026 12:00 · Aylin Demir · 2:37 −1,10 € 48,90 €",
        "Aufgeladen, Visa •••• 4242 · RE-2026-0007 +100,00 € 148,90 €",
        "Erstattung zu Aufladung Nr. 7 · RE-2026-0007 −20,00 € 128,90 €",
        "Rückbuchung zu Aufladung Nr. 7 −30,00 € 98,90 €", "Gutschrift: Kulanz +5,00 €",
        "Abzug: Doppelt gebucht −2,00 €",
        "Anrufe 1 −1,10 €", "Aufladungen 1 +100,00 €", "Alle Bewegungen +52,40 €",
        "Anfangsstand 50,00 €, Bewegungen +52,40 € = Endstand 102,40 €", "Es stimmt auf den Cent",
        "Seite 1 von 1 · Erstellt am 20.11.2026, 12:00", "Europe/Berlin",
    ):  # fmt: skip
        assert part in words, (part, words)
    assert "Vorläufig" not in words


def test_an_english_reader_gets_english(app: Flask) -> None:
    words = printed(made(EVERYTHING), reader("en"))
    for part in ("Statement October 2026", "Opening balance €50.00", "Closing balance €102.40", "3 Oct 2026", "−€1.10"):
        assert part in words, (part, words)
    assert "Page 1 of 1" in words


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_file_tells_its_title_and_its_language(app: Flask, language: str) -> None:
    root: Any = pages(made(EVERYTHING), reader(language)).trailer["/Root"]
    assert root["/Lang"] == language
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    told = root["/Metadata"].get_data().decode()
    title = {"de": "Kontoauszug Oktober 2026", "en": "Statement October 2026"}[language]
    assert f'<rdf:li xml:lang="x-default">{title}</rdf:li>' in told
    assert "<pdfaid:part>2</pdfaid:part>" in told


def test_a_running_month_is_preliminary(app: Flask) -> None:
    words = printed(made([call(3)], running=True))
    assert "Vorläufig: Der Monat ist noch nicht zu Ende." in words
    assert "Stand bisher 48,90 €" in words
    assert "Endstand" not in words


def test_a_month_without_movement_says_so(app: Flask) -> None:
    words = printed(made([]))
    assert "Keine Bewegungen in diesem Monat." in words
    assert "Anfangsstand 50,00 €, Bewegungen 0,00 € = Endstand 50,00 €" in words


def test_what_does_not_add_up_is_not_hidden(app: Flask) -> None:
    words = printed(made([call(3)], closing="48.00"))
    assert "≠ Endstand 48,00 €" in words
    assert "Das geht nicht auf." in words
    assert "Es stimmt auf den Cent" not in words


def test_who_may_not_know_callers_reads_their_calls_numbers(app: Flask) -> None:
    words = printed(made([call(3)]), reader(named=False))
    assert "Anruf 17" in words
    assert "Aylin" not in words
    assert "5550100" not in words


def test_many_calls_are_a_line_a_day_and_the_paper_says_why(app: Flask) -> None:
    words = printed(made([calls(day, 12_345, "-1000.00") for day in range(1, 32)]))
    assert "01.10.2026 12.345 Anrufe · 740.700 Sek. −1.000,00 €" in words
    assert "382.695 Anrufe mit zusammen 600 Sekunden." in words
    assert f"Bei mehr als {statement.CALLS_AT_MOST} Anrufen im Monat" in words


def test_the_longest_statement_has_its_head_and_its_number_on_every_page(app: Flask) -> None:
    """As many lines as can be; a name that needs three of them is not torn by the end of a page."""
    many = [
        call(1 + number % 28, name="Hieronymus von und zu Papadimitriou-Schwarzenberger " * 3) for number in range(100)
    ]
    found = pages(made([*many, *[movement("credit", "0.01", 28, description="x") for _ in range(300)]]))
    total = len(found.pages)
    assert 10 < total < 30
    for number, page in enumerate(found.pages, 1):
        text = page.extract_text().replace("\u00a0", " ")
        assert f"Seite {number} von {total}" in text
        assert "Guthaben danach" in text or "Summen" in text
        assert text.count("Papadimitriou") % 3 == 0


def test_what_the_font_cannot_draw_does_not_break_the_paper(app: Flask) -> None:
    assert "?? ?" in printed(made([call(3, name="漢字 🙂")]))
