"""Who counts on a top-up hears of its end: arrived, returned, gone back and come again. Once each."""

from __future__ import annotations

from sqlalchemy import select

from portal.db import db
from portal.domain import notifications
from portal.models import Notification, OutboxJob
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.domain.test_topups import apply, begin
from tests.fake_stripe import Simulator


def told(firm: Firm, user_id: int) -> list[tuple[str, str]]:
    """What stands in this person's bell about top-ups, oldest first."""
    with tenant_scope(firm.id):
        rows = db.session.execute(
            select(Notification.type, Notification.title)
            .where(Notification.portal_user_id == user_id, Notification.type.like("topup.%"))
            .order_by(Notification.id)
        )
        return [(kind, title.replace("\u00a0", " ")) for kind, title in rows]


def mails(firm: Firm) -> int:
    """E-mails to the owner."""
    with tenant_scope(firm.id):
        jobs = db.session.scalars(select(OutboxJob).where(OutboxJob.kind == notifications.MAIL)).all()
        return sum(job.payload["user_id"] == firm.owner.id for job in jobs)


def test_a_payment_is_told_once_in_the_bell_and_only_to_who_may_see_the_balance(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    apply(cast.salon, topup)
    assert told(cast.salon, cast.salon.owner.id) == [("topup.completed", "100,00 € gutgeschrieben")]
    assert told(cast.salon, cast.salon.bookkeeper.id) == [("topup.completed", "100,00 € gutgeschrieben")]
    assert told(cast.salon, cast.salon.staff.id) == []
    assert told(cast.praxis, cast.praxis.owner.id) == []
    assert mails(cast.salon) == 0  # the invoice is one


def test_a_debit_that_comes_back_after_days_is_told_by_mail_too(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "", "sepa_debit", later="bounces")
    apply(cast.salon, topup)
    assert told(cast.salon, cast.salon.owner.id) == []
    sim.bounce(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    apply(cast.salon, topup)
    assert told(cast.salon, cast.salon.owner.id) == [("topup.returned", "Eine Lastschrift kam zurück")]
    assert mails(cast.salon) == 1


def test_a_page_that_nobody_paid_is_no_news(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.expire(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    assert told(cast.salon, cast.salon.owner.id) == []


def test_every_part_that_goes_back_is_told_with_its_amount(cast: Cast, sim: Simulator) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    for cents in (1000, 2000):
        sim.refund(topup.stripe_session_id or "", cents)
        apply(cast.salon, topup)
        apply(cast.salon, topup)
    titles = [title for _kind, title in told(cast.salon, cast.salon.owner.id)]
    assert titles == ["100,00 € gutgeschrieben", "10,00 € erstattet", "20,00 € erstattet"]
    assert mails(cast.salon) == 0  # the correction is one


def test_a_chargeback_is_called_one_on_the_page_too_and_winning_it_is_told(
    cast: Cast, sim: Simulator, client: PortalClient
) -> None:
    topup = begin(cast.salon)
    sim.pay(topup.stripe_session_id or "")
    dispute = sim.dispute(topup.stripe_session_id or "")
    apply(cast.salon, topup)
    page = client.sign_in(cast.salon.owner).get(f"/balance/topups/{topup.id}").text
    assert "Die Bank hat die Zahlung zurückgebucht" in page
    assert ">Erstattet<" not in page
    sim.close_dispute(dispute["id"], "won")
    apply(cast.salon, topup)
    assert [kind for kind, _title in told(cast.salon, cast.salon.owner.id)] == [
        "topup.completed",
        "topup.chargeback",
        "topup.chargeback_undone",
    ]
    assert mails(cast.salon) == 1
    assert "Die Bank hat die Zahlung zurückgebucht" not in client.get(f"/balance/topups/{topup.id}").text
