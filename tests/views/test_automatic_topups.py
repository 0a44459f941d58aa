"""A top-up's own page, where nobody paid on a page of Stripe's."""

from __future__ import annotations

from tests.cast import Cast
from tests.conftest import PortalClient
from tests.factories import make_topup


def test_under_way_it_says_so_and_looks_again(client: PortalClient, cast: Cast) -> None:
    topup = make_topup(cast.salon, "50.00", is_auto_topup=True)
    page = client.sign_in(cast.salon.owner).get(f"/balance/topups/{topup.id}").text
    assert "Die automatische Aufladung läuft" in page
    assert f'hx-get="/balance/topups/{topup.id}?v=' in page
    assert "/pay" not in page


def test_declined_it_says_why_and_can_be_paid_in_person(client: PortalClient, cast: Cast) -> None:
    topup = make_topup(cast.salon, "50.00", is_auto_topup=True, status="failed", failure_code="authentication_required")
    page = client.sign_in(cast.salon.owner).get(f"/balance/topups/{topup.id}").text
    assert "Die Bank möchte" in page or "bestätigen" in page
    assert f'name="form_key" value="instead-{topup.id}"' in page  # once, however often it is pressed
    assert "50,00" in page


def test_nobody_is_sent_to_stripe_for_an_automatic_one(client: PortalClient, cast: Cast) -> None:
    topup = make_topup(cast.salon, "50.00", is_auto_topup=True)
    answer = client.sign_in(cast.salon.owner).post(f"/balance/topups/{topup.id}/pay")
    assert answer.location == f"/balance/topups/{topup.id}"
