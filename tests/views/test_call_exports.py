"""Taking calls out of the portal: the filtered list as CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from portal.db import db, utcnow
from portal.models import AuditLog, PortalUserPermission
from portal.tenancy import all_tenants
from portal.views import call_exports
from tests import factories
from tests.cast import Cast
from tests.conftest import PortalClient

ADDRESS = "/calls/export.csv"


def rows(client: PortalClient, query: str = "") -> list[list[str]]:
    answer = client.get(ADDRESS + query)
    assert answer.status_code == 200
    text = answer.get_data().decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))


def test_the_file_holds_what_the_filters_let_through_in_order(client: PortalClient, cast: Cast) -> None:
    for minutes, mood in ((1, "negative"), (2, "positive"), (3, "negative")):
        started = utcnow() - timedelta(minutes=minutes)
        factories.make_call(
            cast.salon, started_at=started, sentiment=mood, duration_seconds=minutes, summary=f"Nr. {minutes}"
        )
    factories.make_call(cast.praxis, sentiment="negative", summary="Praxispatient")
    head, *found = rows(client.sign_in(cast.salon.owner), "?sentiment=negative")
    assert [row[5] for row in found] == ["1", "3"]
    assert [row[10] for row in found] == ["Nr. 1", "Nr. 3"]
    assert len({len(row) for row in found} | {len(head)}) == 1


def test_a_long_list_comes_in_pieces_without_gap_or_repetition(
    client: PortalClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_exports, "CHUNK", 2)
    for number in range(1, 6):
        factories.make_call(cast.salon, started_at=utcnow() - timedelta(minutes=number), duration_seconds=number)
    assert [row[5] for row in rows(client.sign_in(cast.salon.owner))[1:]] == ["1", "2", "3", "4", "5"]


def test_no_cell_is_run_as_a_formula(client: PortalClient, cast: Cast) -> None:
    person = factories.make_customer(cast.salon, "=HYPERLINK(1)", "Böse")
    factories.make_call(cast.salon, customer_id=person.id, summary="@SUM(1;2)\nzweite Zeile")
    cells = [cell for row in rows(client.sign_in(cast.salon.owner))[1:] for cell in row]
    assert "'=HYPERLINK(1) Böse" in cells
    assert "'@SUM(1;2)\nzweite Zeile" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t"))]


def test_whoever_may_not_see_money_gets_no_cost(client: PortalClient, cast: Cast) -> None:
    factories.make_call(cast.salon)
    owner, manager = (rows(client.sign_in(cast.salon.users[role]))[0] for role in ("owner", "manager"))
    assert len(owner) == len(manager) + 1


def test_who_took_it_out_stands_in_the_audit_log(client: PortalClient, cast: Cast) -> None:
    rows(client.sign_in(cast.salon.manager), "?q=Demir&booked=yes")
    with all_tenants("the test reads the audit log"):
        written = db.session.scalars(select(AuditLog).where(AuditLog.action == "calls.exported")).one()
    assert (written.user_id, written.company_id) == (cast.salon.manager.id, cast.salon.id)
    assert written.new_values == {"q": "Demir", "range": "90", "booked": "yes"}


# ---- One call on paper ------------------------------------------------------------------------------------


def paper(client: PortalClient, call_id: int) -> str:
    answer = client.get(f"/calls/{call_id}.pdf")
    assert (answer.status_code, answer.content_type) == (200, "application/pdf")
    pages = PdfReader(io.BytesIO(answer.get_data())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


SAID = "Agent: Salon Test, guten Tag.\nUser: Hier ist Çağla Großmann-Ünal 🙂 <b>fett</b>, bitte rückrufen."


def test_the_paper_holds_what_the_page_does(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon, SAID, summary="Bittet um Rückruf.", custom_data={"reason": "Rechnung"})
    text = paper(client.sign_in(cast.salon.owner), call.id)
    for part in ("Bittet um Rückruf.", "Rechnung", "Çağla Großmann-Ünal", "<b>fett</b>", cast.salon.company.name):
        assert part in text
    with all_tenants("the test reads the audit log"):
        written = db.session.scalars(select(AuditLog).where(AuditLog.action == "call.exported")).one()
    assert written.new_values == {"call_id": call.id}


def test_the_paper_of_a_withheld_number_names_it_once_and_gives_it_no_words(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon, SAID, phone_number=None, customer_id=None, duration_seconds=0)
    text = paper(client.sign_in(cast.salon.owner), call.id)
    assert text.count("Unterdrückte Nummer") == 1
    assert "Anrufer Hier ist" in text
    assert "0:00 Min." not in text


def test_a_paper_of_hundreds_of_turns_has_pages_and_a_foot_on_each(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon, "\n".join(f"User: Satz Nummer {number}." for number in range(300)))
    text = paper(client.sign_in(cast.salon.owner), call.id)
    assert "Satz Nummer 0." in text
    assert "Satz Nummer 299." in text
    assert len(re.findall(r"(?:Seite|Page) \d+ (?:von|of) \d+", text)) > 5


def test_who_may_not_read_gets_a_paper_without_a_word_of_it(client: PortalClient, cast: Cast) -> None:
    def deny() -> None:
        db.session.add(
            PortalUserPermission(
                company_id=cast.salon.id,
                portal_user_id=cast.salon.manager.id,
                permission="read_transcripts",
                granted=False,
            )
        )

    factories.within(cast.salon, deny)
    call = factories.make_call(cast.salon, SAID, summary="Bittet um Rückruf.")
    assert "Großmann" not in paper(client.sign_in(cast.salon.manager), call.id)


def test_nobody_gets_the_paper_of_another_company(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.praxis, SAID)
    assert client.sign_in(cast.salon.owner).get(f"/calls/{call.id}.pdf").status_code == 404


def test_staff_take_nothing_out(client: PortalClient, cast: Cast) -> None:
    call = factories.make_call(cast.salon, SAID)
    for address in (ADDRESS, f"/calls/{call.id}.pdf"):
        assert client.sign_in(cast.salon.staff).get(address).status_code == 403


def test_who_may_not_see_calls_takes_none_along(client: PortalClient, cast: Cast) -> None:
    """A person may be denied the calls while their role still has everything else that has to do with them."""
    salon = cast.salon
    call = factories.make_call(salon, "Agent: Guten Tag", summary="Frau Demir")
    factories.deny(salon, salon.manager, "view_calls")
    client.sign_in(salon.manager)
    assert client.get(ADDRESS).status_code == 403
    assert client.get(f"/calls/{call.id}.pdf").status_code == 403
