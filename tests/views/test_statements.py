"""The pages and files of statements: who gets them, what is in them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pypdf import PdfReader

from portal.db import utcnow
from portal.domain import movements
from portal.domain.statement import Month
from tests.cast import Cast
from tests.clock import clock_ahead
from tests.conftest import PortalClient
from tests.queries import Queries
from tests.statements import ZONE, give, noon, talk

NOW = utcnow()
THIS = Month.of(NOW, ZONE)
LAST = THIS.later(-1)


@pytest.fixture(autouse=True)
def this_month() -> Iterator[None]:
    """The portal's too, should a run go on over the end of it."""
    with clock_ahead(NOW - utcnow()):
        yield


@pytest.fixture
def owner(client: PortalClient, cast: Cast) -> PortalClient:
    return client.sign_in(cast.salon.owner)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ")).strip()


def printed(answer: Any) -> str:
    assert answer.status_code == 200
    reader = PdfReader(io.BytesIO(answer.get_data()))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).replace("\u00a0", " ").split())


def table(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff")), delimiter=";"))


def test_the_list_shows_each_month_with_its_files(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "50.00", noon(LAST.later(-2), 5))
    talk(cast.salon, noon(LAST, 3))
    page = owner.get("/balance/statements").text
    said = text_of(page)
    assert re.findall(r"/balance/statements/([\d-]+)\.pdf", page) == [THIS.later(-back).key for back in range(4)]
    assert "vorläufig" in said
    assert "keine Bewegung" in said
    assert re.search(r"50,00 € .*−1,10 € .*48,90 €", said)
    assert f"/balance/statements/{LAST.key}.csv" in page
    assert "<html" not in owner.htmx("GET", "/balance/statements").text


def test_without_movements_there_is_nothing_to_list_and_nothing_to_load(owner: PortalClient, cast: Cast) -> None:
    give(cast.praxis, "7.77", noon(LAST, 3))
    assert "Noch keine Kontoauszüge" in owner.get("/balance/statements").text
    assert owner.get(f"/balance/statements/{LAST.key}.pdf").status_code == 404


def test_the_paper_and_the_file_of_a_month_tell_the_same(owner: PortalClient, cast: Cast) -> None:
    give(cast.salon, "50.00", noon(LAST, 2))
    talk(cast.salon, noon(LAST, 3))
    give(cast.salon, "9.99", LAST.end)
    give(cast.praxis, "7.77", noon(LAST, 3))
    answer = owner.get(f"/balance/statements/{LAST.key}.pdf")
    words = printed(answer)
    assert answer.mimetype == "application/pdf"
    assert f'filename="kontoauszug-salon-{LAST.key}.pdf"' in answer.headers["Content-Disposition"]
    for part in ("Endstand 48,90 €", "Salon Test", "Aylin Demir"):
        assert part in words, (part, words)
    for part in ("7,77", "9,99"):
        assert part not in words
    rows = table(owner.get(f"/balance/statements/{LAST.key}.csv"))
    assert [row[3:8] for row in rows[1:]] == [
        ["", "0,00", "", "", ""],
        ["50,00", "50,00", "", "", ""],
        ["-1,10", "48,90", "157", "157", "0,4200"],
        ["", "48,90", "", "", ""],
    ]
    assert {len(row) for row in rows} == {10}
    assert (rows[1][2], rows[-1][2]) == ("Anfangsstand", "Endstand")


def test_the_running_month_is_marked_in_both(owner: PortalClient, cast: Cast) -> None:
    talk(cast.salon, NOW)
    assert "Vorläufig" in printed(owner.get(f"/balance/statements/{THIS.key}.pdf"))
    assert table(owner.get(f"/balance/statements/{THIS.key}.csv"))[-1][2] == "Stand bisher"


@pytest.mark.parametrize("kind", ["pdf", "csv"])
def test_months_that_are_none_or_were_not_lived_through_are_not_there(
    owner: PortalClient, cast: Cast, kind: str
) -> None:
    give(cast.salon, "1.00", noon(LAST, 2))
    for key in (THIS.later(1).key, LAST.later(-1).key, "2026-13", "x", "2026", "9999-12"):
        assert owner.get(f"/balance/statements/{key}.{kind}").status_code == 404, key
    assert owner.get(f"/balance/statements/{LAST.key}.{kind}").status_code == 200


@pytest.mark.parametrize("kind", ["pdf", "csv"])
def test_the_bookkeeper_gets_no_callers(client: PortalClient, cast: Cast, kind: str) -> None:
    call = talk(cast.salon, noon(LAST, 3))
    answer = client.sign_in(cast.salon.bookkeeper).get(f"/balance/statements/{LAST.key}.{kind}")
    said = printed(answer) if kind == "pdf" else answer.get_data(as_text=True)
    assert f"Anruf {call.id}" in said
    for secret in ("Aylin", "Demir", "5550100"):
        assert secret not in said


def test_the_file_is_written_piece_by_piece_in_its_own_company(
    owner: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movements, "CHUNK", 3)
    for hour in range(9):
        give(cast.salon, "1.00", noon(LAST, 4) + timedelta(hours=hour))
    give(cast.praxis, "7.77", noon(LAST, 4))
    rows = table(owner.get(f"/balance/statements/{LAST.key}.csv"))
    assert [row[4] for row in rows[1:]] == ["0,00", *(f"{number},00" for number in range(1, 10)), "9,00"]


def test_a_name_that_is_a_formula_stays_text(owner: PortalClient, cast: Cast) -> None:
    from tests.factories import make_customer

    customer = make_customer(cast.salon, "=cmd|' /C calc'!A0", "X")
    talk(cast.salon, noon(LAST, 3), customer_id=customer.id)
    rows = table(owner.get(f"/balance/statements/{LAST.key}.csv"))
    assert rows[2][2].startswith("'=cmd")


def test_page_and_paper_ask_as_much_for_many_movements_as_for_few(owner: PortalClient, cast: Cast) -> None:
    asked = []
    for hours in (1, 12):
        for hour in range(hours):
            talk(cast.salon, noon(LAST, 4 + hours) + timedelta(minutes=hour))
        for address in ("/balance/statements", f"/balance/statements/{LAST.key}.pdf"):
            with Queries() as queries:
                owner.get(address)
            asked.append(len(queries))
    assert asked[:2] == asked[2:]
    assert max(asked) <= 14
