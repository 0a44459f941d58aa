"""What people are told about automatic top-ups. Lazy: spoken in each reader's own language."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal import formats


def euros(amount: Decimal) -> str:
    return formats.money(amount, str(get_locale().language))


def paid(amount: Decimal) -> LazyString:
    return LazyString(lambda: _("%(amount)s topped up automatically", amount=euros(amount)))


def paid_by(label: str | None, gross: Decimal) -> LazyString:
    """With what, and how much was charged."""

    def text() -> str:
        if not label:
            return str(_("%(gross)s were charged.", gross=euros(gross)))
        return str(_("%(gross)s were charged to %(label)s.", gross=euros(gross), label=label))

    return LazyString(text)


def declined_title() -> LazyString:
    return _l("The automatic top-up was declined")


def declined(amount: Decimal, pause: timedelta) -> LazyString:
    def text() -> str:
        hours = round(pause.total_seconds() / 3600)
        again = ngettext("We try again in %(num)s hour.", "We try again in %(num)s hours.", hours)
        no = _("The bank has not paid the automatic top-up of %(amount)s.", amount=euros(amount))
        return " ".join((no, again, _("You can top up yourself at any time, or save another card.")))

    return LazyString(text)


def rejected_title() -> LazyString:
    return _l("The automatic top-up could not be carried out")


def rejected() -> LazyString:
    return _l(
        "Nothing was charged. The fault is not with your card but with us or with Stripe; we try again every hour. "
        "Please top up yourself if the balance runs low."
    )


def off_title() -> LazyString:
    return _l("Automatic top-up is switched off")


def declined_off() -> LazyString:
    return _l(
        "The bank has declined three times, so nothing is charged any more. Please top up yourself, or save another "
        "card and switch it on again."
    )


def card_gone() -> LazyString:
    return _l("Stripe no longer has the saved payment method. Please save one again to switch it on.")


def gone_back() -> LazyString:
    return _l(
        "Money of a top-up has gone back to you, so nothing is charged by itself any more. You can switch it on again "
        "at any time."
    )


def in_person_title() -> LazyString:
    return _l("Please pay a top-up in person")


def in_person(amount: Decimal) -> LazyString:
    def text() -> str:
        asks = _("For %(amount)s your bank asks you to confirm the payment yourself.", amount=euros(amount))
        return " ".join((asks, _("Until then nothing is topped up automatically.")))

    return LazyString(text)
