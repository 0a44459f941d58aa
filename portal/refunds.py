"""The steps of a refund that lie on both sides of a commit: our note, then Stripe, then what Stripe answered.

Nothing here decides; ``domain/refunds.py`` and ``domain/parked.py`` do.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import structlog
from flask_babel import gettext as _

from portal import payments
from portal.clients.stripe import StripeGateway, StripeProblem, StripeRejected, StripeUnavailable
from portal.db import transaction, utcnow
from portal.domain import parked, refunds, topups
from portal.domain.errors import DomainError
from portal.models import BalanceTopup, Company

log = structlog.get_logger()


def look(topup_id: int) -> parked.Theirs | None:
    """What Stripe says about a top-up now; None where it knows none. Raises ``StripeProblem``."""
    facts = _read(payments.rows(topup_id)[0])
    return None if facts is None else parked.of(facts)


def look_again(topup_id: int) -> BalanceTopup:
    """Bring our row to where Stripe is now, by the usual door. Raises ``StripeProblem``."""
    topup, _company = payments.rows(topup_id)
    facts = _read(topup)
    return topup if facts is None else transaction(lambda: topups.apply(topup_id, facts, utcnow()))


def credit_what_was_paid(topup_id: int, seen: Decimal, reason: str) -> BalanceTopup:
    """Take the paid amount over into our row and credit it. ``seen``: the gross that the operator has decided on."""
    topup, company = payments.rows(topup_id)
    facts = _read(topup)
    if facts is None:
        raise DomainError(_("Stripe has no payment for this top-up."))
    theirs = parked.of(facts)
    if theirs.amount != seen:
        raise DomainError(_("Stripe says something else by now. Please look at it again."))

    def work() -> BalanceTopup:
        parked.correct(topup_id, company.tenant_id, theirs, reason)
        return topups.apply(topup_id, facts, utcnow())

    return transaction(work)


def _read(topup: BalanceTopup) -> topups.Told | None:
    """The page or payment that the top-up is about, with what has gone back of it; None where Stripe knows none."""
    stripe, (session_id, payment_id) = payments.gateway(), parked.subject(topup)
    if stripe is None:
        return None
    if session_id is not None:
        return topups.read(stripe, session_id, with_returns=True)
    return topups.read_payment(stripe, payment_id, with_returns=True) if payment_id else None


def refund(topup_id: int, gross: Decimal, reason: str, form_key: str, *, below_zero: bool) -> bool:
    """Give back gross euros of a credited top-up; False while Stripe has not answered. Raises ``DomainError``."""
    asked = transaction(partial(refunds.ask, topup_id, gross, reason, form_key, below_zero=below_zero))
    return _carry_out(topup_id, asked)


def refund_uncredited(topup_id: int, reason: str, form_key: str) -> bool:
    """Give a parked payment back whole; False while Stripe has not answered.

    Raises ``DomainError``, and ``StripeProblem`` where Stripe cannot even be read.
    """
    theirs = look(topup_id)
    if theirs is None:
        raise DomainError(_("Stripe has no payment for this top-up."))
    asked = transaction(partial(refunds.ask_uncredited, topup_id, theirs, reason, form_key))
    return _carry_out(topup_id, asked)


def try_again(topup_id: int) -> bool:
    """Ask once more for the refund that was not answered; False while Stripe does not answer."""
    topup, _company = payments.rows(topup_id)
    asked = refunds.waiting(topup)
    return asked is None or _carry_out(topup_id, asked)


def _carry_out(topup_id: int, asked: refunds.Asked) -> bool:
    stripe, (topup, company) = payments.gateway(), payments.rows(topup_id)
    if not asked.waits:
        return True
    if stripe is None:
        if not asked.again:
            transaction(lambda: refunds.refused(topup_id, asked.key, "no Stripe key is set"))
        raise DomainError(_("Payments are not set up on this installation: its Stripe key is missing."), "amount")
    try:
        refund_id = _ask(stripe, topup, company, asked)
    except StripeUnavailable as problem:
        log.warning("stripe is away", topup_id=topup_id, error=problem.message)
        return False
    except StripeProblem as problem:
        log.error("stripe refused a refund", topup_id=topup_id, error=problem.message, code=problem.code)
        message = problem.message
        transaction(lambda: refunds.refused(topup_id, asked.key, message))
        raise DomainError(_("Stripe refuses: %(message)s", message=message), "amount") from problem
    transaction(lambda: refunds.answered(topup_id, asked.key, refund_id, utcnow()))
    _book(topup_id)
    return True


def _ask(stripe: StripeGateway, topup: BalanceTopup, company: Company, asked: refunds.Asked) -> str:
    """The id of the refund at Stripe. Keys expire there after a day, so a second try looks for the first one's."""
    if asked.again and (known := _made_before(stripe, asked)) is not None:
        return known
    made = stripe.refund(
        asked.payment_id,
        asked.gross,
        idempotency_key=f"refund:{company.tenant_id}:{topup.id}:{asked.key}",
        metadata={"topup_id": str(topup.id), "tenant_id": company.tenant_id, "request": asked.key},
    )
    return made.refund_id


def _made_before(stripe: StripeGateway, asked: refunds.Asked) -> str | None:
    try:
        made = stripe.list_refunds(asked.payment_id)
    except StripeRejected as problem:
        # Not the refund is refused but our looking (another key): it may have been made, so its note stays.
        raise StripeUnavailable(problem.message, code=problem.code) from problem
    return next((one.refund_id for one in made if one.metadata.get("request") == asked.key), None)


def _book(topup_id: int) -> None:
    """What Stripe now says, by the one door. If it cannot be read, its webhook does the same later."""
    try:
        look_again(topup_id)
    except StripeProblem as problem:
        log.warning("a refund is booked later", topup_id=topup_id, error=problem.message)
