"""The page of one top-up: what it says in each state, and what can be done next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from flask import Flask

from portal.db import db, utcnow
from portal.domain import invoices
from portal.models import BalanceTopup
from tests.cast import Cast
from tests.conftest import PortalClient
from tests.factories import make_invoice, make_topup, within
from tests.fake_stripe import Simulator
from tests.payments import simulated_stripe

AGAIN = 'href="/balance?amount=100.00#topup"'
RECEIPT = "https://pay.stripe.example/receipts/1"
DONE: dict[str, Any] = {
    "status": "completed",
    "completed_at": utcnow(),
    "payment_label": "Visa •••• 4242",
    "receipt_url": RECEIPT,
}
STATES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    # state → the row, what is said, what can be clicked
    "paid": (
        DONE,
        ["Bezahlt und gutgeschrieben", "119,00 €", "19,00 €", "Visa •••• 4242"],
        [RECEIPT, 'href="/balance"'],
    ),
    "processing": ({"status": "processing"}, ["Lastschrift", "3 bis 5"], [AGAIN]),
    "expired": ({"status": "failed", "failure_code": "expired"}, ["Zeit"], [AGAIN]),
    "failed": (
        {"status": "failed", "stripe_payment_intent_id": "pi_1", "failure_code": "insufficient_funds"},
        ["Das Konto ist nicht gedeckt.", "noch einmal"],
        [AGAIN],
    ),
    "failed for no known reason": (
        {"status": "failed", "stripe_payment_intent_id": "pi_1", "failure_code": "mystery"},
        ["keinen Grund", "noch einmal"],
        [AGAIN],
    ),
    "never opened": ({"status": "failed", "failure_code": "never_opened"}, ["nichts abgebucht"], [AGAIN]),
    "parked": ({"status": "pending", "parked_reason": "amount differs"}, ["prüfen", "kein Geld"], ['href="/balance"']),
    "partly refunded": (
        DONE | {"refunded_amount": Decimal("11.90")},
        ["Teilweise erstattet", "11,90 €", "119,00 €"],
        [RECEIPT, 'href="/balance/ledger"'],
    ),
    "refunded": (
        DONE | {"status": "refunded", "refunded_amount": Decimal("119.00")},
        ["Erstattet", "119,00 €"],
        [RECEIPT, 'href="/balance/ledger"'],
    ),
}


@pytest.fixture
def owner(client: PortalClient, cast: Cast, app: Flask) -> Iterator[PortalClient]:
    with simulated_stripe(app):
        yield client.sign_in(cast.salon.owner)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ")).strip()


@pytest.mark.parametrize("state", STATES)
def test_each_state_says_what_it_is_and_what_comes_next(owner: PortalClient, cast: Cast, state: str) -> None:
    row, words, links = STATES[state]
    topup = make_topup(cast.salon, **row)
    answer = owner.get(f"/balance/topups/{topup.id}")
    said = text_of(answer.text)
    assert answer.status_code == 200
    for part in words:
        assert part in said, (part, said)
    for link in links:
        assert link in answer.text, link
    listed = owner.get("/balance").text
    assert f'href="/balance/topups/{topup.id}"' in listed


def test_only_what_still_changes_by_itself_asks_again(owner: PortalClient, cast: Cast) -> None:
    for number, (state, (row, _words, _links)) in enumerate(STATES.items()):
        payment = {"stripe_payment_intent_id": f"pi_{number}"} if "stripe_payment_intent_id" in row else {}
        topup = make_topup(cast.salon, **row | payment)
        polls = 'hx-trigger="every 5s"' in owner.get(f"/balance/topups/{topup.id}").text
        assert polls == (state in {"processing", "paid", "partly refunded"}), state


def test_a_page_does_not_wait_for_documents_for_ever(owner: PortalClient, cast: Cast) -> None:
    row = DONE | {"updated_at": utcnow() - timedelta(minutes=16)}
    topup = make_topup(cast.salon, **row)
    assert 'hx-trigger="every 5s"' not in owner.get(f"/balance/topups/{topup.id}").text


def test_a_top_up_without_tax_names_none(owner: PortalClient, cast: Cast) -> None:
    row = DONE | {"tax_rate": Decimal(0), "tax_amount": Decimal(0), "gross_amount": Decimal(100)}
    topup = make_topup(cast.salon, **row)
    assert "davon Umsatzsteuer" not in text_of(owner.get(f"/balance/topups/{topup.id}").text)


def test_a_paid_top_up_leads_to_its_invoice(owner: PortalClient, cast: Cast) -> None:
    made = make_invoice(cast.salon, receipt_url=RECEIPT)
    page = owner.get(f"/balance/topups/{made.topup_id}").text
    assert f'href="/balance/invoices/{made.id}.pdf"' in page
    assert made.number in page
    assert RECEIPT in page
    assert made.number in owner.get("/balance").text


def test_a_refund_leads_to_what_has_changed_its_invoice(owner: PortalClient, cast: Cast) -> None:
    made = make_invoice(cast.salon)
    for total in ("11.90", "119.00"):
        within(cast.salon, partial(_give_back, made.topup_id or 0, Decimal(total)))
    page = owner.get(f"/balance/topups/{made.topup_id}").text
    found = re.findall(r'href="/balance/invoices/(\d+)\.pdf"', page)
    assert len(found) == len(set(found)) == 3
    said = text_of(page)
    for part in (f"Rechnung {made.number} 119,00 €", "Korrektur", "−11,90 €", "−107,10 €"):
        assert part in said, (part, said)


def _give_back(topup_id: int, gross: Decimal) -> None:
    topup = db.session.get_one(BalanceTopup, topup_id)
    topup.refunded_amount = gross
    topup.status = "refunded" if gross == topup.gross_amount else "completed"
    invoices.cancel_for_topup(topup, gross, "refund", utcnow())


def test_the_bookkeeper_reads_it_and_is_offered_no_payment(client: PortalClient, cast: Cast, sim: Simulator) -> None:
    for row in ({"status": "failed", "failure_code": "expired"}, {"status": "processing"}):
        topup = make_topup(cast.salon, **row)
        page = client.sign_in(cast.salon.bookkeeper).get(f"/balance/topups/{topup.id}").text
        assert AGAIN not in page
        assert "/pay" not in page


@pytest.mark.parametrize(
    ("typed", "said"), [("5", "Mindestens 10,00 €."), ("99999", "Höchstens 5.000,00 € auf einmal.")]
)
def test_while_typing_it_says_what_would_be_right(owner: PortalClient, typed: str, said: str) -> None:
    answer = owner.htmx("GET", f"/balance/topups/quote?amount={typed}")
    assert answer.status_code == 200
    assert said in text_of(answer.text)


def test_a_ledger_without_movements_leads_to_the_balance_and_a_filter_without_any_to_all(owner: PortalClient) -> None:
    assert "Noch keine Bewegungen" in owner.get("/balance/ledger").text
    filtered = owner.get("/balance/ledger?kind=refund").text
    assert "Noch keine Bewegungen" not in filtered
    assert "Alle zeigen" in filtered
