"""Automatic top-ups: when and how much, never more than what, with whose consent, and how it would have been."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal import filters, i18n, payments, settings
from portal.db import transaction, utcnow
from portal.domain import amounts, auto_topup, auto_topup_consent, auto_topup_page, balance_words, topups, vat
from portal.domain.auto_topup_consent import Saved
from portal.domain.auto_topup_page import InMoney, Page, Trial
from portal.domain.auto_topup_rules import Settings, check, covers
from portal.domain.errors import DomainError
from portal.extensions import limiter
from portal.forms.auto_topup import AutoTopupForm
from portal.forms.limits import put_beside
from portal.htmx import page_or_part, polled, see_other, toast, wants_part, whole_page
from portal.models import Company
from portal.permissions import Permission, may, requires

bp = Blueprint("auto_topup", __name__)


@bp.context_processor
def _helpers() -> dict[str, Any]:
    """What the templates of this page say things with."""
    return {
        "charged": auto_topup_page.charged,
        "days": auto_topup_page.DAYS,
        "least": amounts.LOWEST_TOPUP,
        "marks_of": _marks,
        "topup_state": lambda row: balance_words.state(topups.outcome(row)),
    }


def _marks(trial: Trial) -> list[dict[str, Any]]:
    """The pillars of the curve, each with words of its own."""
    return [
        {
            "x": mark.x,
            "low": mark.low,
            "high": mark.high,
            "tip": f"{filters.when(mark.at)}: {filters.money(mark.amount, sign=True)}",
        }
        for mark in trial.marks
    ]


# ---- The page ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shown:
    """The page read once: how things stand, and what one of several forms means in money."""

    seen: Page
    now: datetime

    def quote(self, net: Decimal) -> vat.TaxSplit:
        return quote(net, self.seen.company)

    def meant(self, wish: Settings | None) -> InMoney | None:
        return auto_topup_page.in_money(wish, self.quote, self.seen.habit) if wish else None

    def words(self, meant: InMoney | None) -> str | None:
        return auto_topup_page.consent_text(meant, settings().seller.name, settings().product_name) if meant else None

    def trial(self, meant: InMoney | None) -> Trial | None:
        return auto_topup_page.trial(meant, self.quote, self.now, self.seen.company.timezone) if meant else None


def quote(net: Decimal, company: Company) -> vat.TaxSplit:
    seller = settings().seller
    return topups.quote(net, company, small_business=seller.small_business, seller_country=seller.country)


@bp.get("/balance/auto-topup")
@requires(Permission.VIEW_BALANCE)
def index() -> Response:
    return _page()


@bp.get("/balance/auto-topup/state")
@requires(Permission.VIEW_BALANCE)
def state() -> Response:
    """What keeps it from running, kept up to date."""
    seen = auto_topup_page.page(utcnow())
    version = hashlib.sha256(repr(seen.version).encode()).hexdigest()[:12]
    return polled("auto_topup/_state.html", version, seen=seen, **_state_words(seen))


@bp.route("/balance/auto-topup/simulate", methods=["GET", "POST"])
@requires(Permission.VIEW_BALANCE)
def simulate() -> Response:
    """What the typed settings would have done; by the plain button, the whole page with it. Saves nothing."""
    form, shown = AutoTopupForm(request.values, meta={"csrf": False}), _shown()
    wish = _checked(form)
    if not wants_part():
        return _page(form, 200 if wish else 422, shown)
    return make_response(render_template("auto_topup/_simulated.html", **_context(form, wish, shown)))


def _page(form: AutoTopupForm | None = None, status: int = 200, shown: _Shown | None = None, **more: Any) -> Response:
    shown = shown or _shown()
    if form is None:
        form = AutoTopupForm(formdata=None)
        form.show(shown.seen.offered, shown.seen.other)
        context = _context(form, shown.seen.offered, shown) | more
    else:
        context = _context(form, form.wish() if form.fits else None, shown) | more
    if status == 200:
        return whole_page("auto_topup/index.html", **context)
    return page_or_part("auto_topup/index.html", "auto_topup/_form.html", status, **context)


def _shown() -> _Shown:
    now = utcnow()
    return _Shown(auto_topup_page.page(now), now)


def _context(form: AutoTopupForm, wish: Settings | None, shown: _Shown) -> dict[str, Any]:
    """``wish``: what is typed, or None while the amounts do not fit together."""
    seen, meant = shown.seen, shown.meant(wish)
    return {
        "form": form,
        "seen": seen,
        "meant": meant,
        "problem": form.problem,
        "trial": shown.trial(meant),
        "needs_consent": seen.needs_consent(wish),
        "consent_words": shown.words(meant),
        "figures": auto_topup_page.figures_of(wish) if wish else "",
        "saved_figures": auto_topup_page.figures_of(seen.at.settings) if seen.at.settings else "",
        "saved_words": shown.words(shown.meant(seen.at.settings)),
        "editable": may(Permission.MANAGE_LIMITS),
        "stripe_ready": payments.gateway() is not None,
        **_state_words(seen),
    }


def _state_words(seen: Page) -> dict[str, Any]:
    return {"state": seen.state, "reason": balance_words.decline_reason(seen.decline_code)}


# ---- Saving -----------------------------------------------------------------------------------------------


@bp.post("/balance/auto-topup")
@requires(Permission.MANAGE_LIMITS)
@limiter.limit("30/minute")
def save() -> AnyResponse:
    """Keep the settings; with the button for it also switch on, by way of Stripe where no card is saved."""
    form, shown = AutoTopupForm(), _shown()
    wish = _checked(form)
    switching_on = "switch_on" in request.form
    if wish is None or not _agreed(form, wish, required=switching_on):
        return _page(form, 422, shown)
    saved = _try(form, _change(form, wish, shown, switching_on))
    if saved is None:
        return _page(form, 422, shown)
    if switching_on and not shown.seen.at.card:
        return _to_stripe(saved)
    toast(_("Automatic top-up is on.") if switching_on else _("Saved."))
    return see_other(url_for(".index"))


def _checked(form: AutoTopupForm) -> Settings | None:
    """What is typed, once it is something that may be set; else the messages are beside the fields."""
    if not form.validate():
        return None
    wish = form.wish()
    return wish if _try(form, lambda: check(wish)) is not None else None


def _agreed(form: AutoTopupForm, wish: Settings, *, required: bool) -> bool:
    """A tick counts for the figures that stood beside it."""
    if not form.consent.data:
        if required:
            put_beside(form, "consent", _("Please agree first; without that nothing may be charged."))
        return not required
    if form.has_seen(wish):
        return True
    form.consent.data = False
    put_beside(form, "consent", _("The figures have changed. Please look at them and agree to these."))
    return False


def _change(form: AutoTopupForm, wish: Settings, shown: _Shown, switching_on: bool) -> Callable[[], int]:
    """What is to be written; it gives the id of a consent for Stripe's page, or 0."""
    user_id, text, now = current_user.id, shown.words(shown.meant(wish)) or "", utcnow()
    has_card, agrees = bool(shown.seen.at.card), bool(form.consent.data)

    def work() -> int:
        if has_card and agrees and (switching_on or shown.seen.at.on):
            auto_topup.agree_again(user_id, text, wish, now)
        else:
            auto_topup.save(wish, now)
        if not switching_on:
            return 0
        if not has_card:
            return auto_topup_consent.start(user_id, text)
        auto_topup.switch_on(now)
        return 0

    return lambda: transaction(work)


def _try(form: AutoTopupForm, change: Callable[[], int | None]) -> int | None:
    """What it gives (0 for nothing), or None when the rules refuse; then the reason stands beside its field."""
    try:
        return change() or 0
    except DomainError as error:
        put_beside(form, form.field_of(error.field), error.message)
        return None


@bp.post("/balance/auto-topup/off")
@requires(Permission.MANAGE_LIMITS)
def off() -> AnyResponse:
    transaction(auto_topup.switch_off)
    toast(_("Automatic top-up is off. Settings and card are kept."))
    return see_other(url_for(".index"))


# ---- The card ---------------------------------------------------------------------------------------------


@bp.post("/balance/auto-topup/card")
@requires(Permission.MANAGE_LIMITS)
@limiter.limit("30/minute")
def change_card() -> AnyResponse:
    """On to Stripe for another card; it needs a consent of its own."""
    shown = _shown()
    settings = shown.seen.at.settings
    text = shown.words(shown.meant(settings))
    if not text or settings is None or not request.form.get("consent"):
        return _page(None, 422, shown, card_problem=_("Please agree first; without that nothing may be charged."))
    if not covers(auto_topup_page.figures_in(request.form.get("seen", "")), settings):
        changed = _("The figures have changed. Please look at them and agree to these.")
        return _page(None, 422, shown, card_problem=changed)
    user_id, switch_on = current_user.id, shown.seen.at.on
    return _to_stripe(transaction(lambda: auto_topup_consent.start(user_id, text, switch_on=switch_on)))


@bp.post("/balance/auto-topup/card/remove")
@requires(Permission.MANAGE_LIMITS)
def forget_card() -> AnyResponse:
    transaction(auto_topup_consent.forget_card)
    toast(_("The card is removed, and automatic top-up is off."))
    return see_other(url_for(".index"))


def _to_stripe(consent_id: int) -> AnyResponse:
    address = payments.open_setup_page(consent_id, i18n.language(), url_for(".done"))
    if address is None:
        toast(_("Stripe, where the card is saved, does not answer. Your settings are kept; please try again."), "bad")
    return see_other(address or url_for(".index"))


@bp.get("/balance/auto-topup/done")
@requires(Permission.MANAGE_LIMITS)
def done() -> AnyResponse:
    """Where Stripe sends people back to; without a session's id they have turned back."""
    session_id = request.args.get("session", "")
    found = payments.finish_setup(session_id) if session_id else Saved.OPEN
    toast(*_outcome(found, on=auto_topup_page.page(utcnow()).at.on))
    return see_other(url_for(".index"))


def _outcome(found: Saved, *, on: bool) -> tuple[str, str]:
    """What to say, and in which tone."""
    if found is Saved.SAVED:
        return (_("The card is saved. Automatic top-up is on."), "ok") if on else (_("The card is saved."), "ok")
    words = {
        Saved.OPEN: (_("No card was saved, so nothing has changed. Your settings are kept."), "warn"),
        Saved.FAILED: (_("Saving the card did not work. Your settings are kept; please try again."), "bad"),
        Saved.OLD: (_("Meanwhile another card has been chosen; that one stays."), "warn"),
        Saved.FOREIGN: (_("This page of Stripe belongs to something else."), "bad"),
        Saved.UNAVAILABLE: (
            _("Stripe does not answer just now. As soon as it does, the card shows here by itself."),
            "warn",
        ),
    }
    return words[found]
