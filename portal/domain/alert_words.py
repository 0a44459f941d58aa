"""What people are told about money that runs out: what it means for the phone, and what helps.

Pure but for the language.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import get_locale, gettext, ngettext

from portal import formats
from portal.domain import phones
from portal.domain.limits import Choice, Standing


def _(message: str, **values: Any) -> str:
    return str(gettext(message, **values))


def euros(amount: Decimal) -> str:
    return formats.money(amount, _language())


def low_title(level: Decimal) -> str:
    return _("Balance below %(amount)s", amount=euros(level))


def used_up_title(balance: Decimal) -> str:
    return _("The balance is used up") if balance <= 0 else _("The balance is as good as used up")


def new_title() -> str:
    return _("No balance yet")


def held_title() -> str:
    return _("The rest of the balance is held for calls that are running")


def grace_title() -> str:
    return _("The balance and its grace amount are used up")


def limit_title(period: str) -> str:
    return _("Today's spending limit is reached") if period == "day" else _("This month's spending limit is reached")


def left(balance: Decimal, calls: int | None = None) -> str:
    """What there is, and about how many calls it pays if that is known."""
    if calls:
        about = ngettext("about %(num)s call", "about %(num)s calls", calls)
        return _("%(amount)s are left, enough for %(calls)s.", amount=euros(balance), calls=about)
    return _("%(amount)s are left.", amount=euros(balance))


def too_little(balance: Decimal) -> str:
    if balance < 0:
        return _("It is %(amount)s below zero.", amount=euros(-balance))
    return _("%(amount)s are left, too little for another minute.", amount=euros(balance))


def spent(period: str, amount: Decimal, limit: Decimal) -> str:
    words = {"amount": euros(amount), "limit": euros(limit)}
    if period == "day":
        return _("Calls have cost %(amount)s today; the limit is %(limit)s.", **words)
    return _("Calls have cost %(amount)s this month; the limit is %(limit)s.", **words)


def later(at: Standing) -> str:
    """What the phone will do once the money is used up."""
    choice = at.rules.choice
    if choice.possible == "grace":
        return _("After that it goes on until the balance is %(grace)s below zero.", grace=euros(choice.grace))
    if choice.at_last == "forward":
        return _("After that, calls are forwarded to %(number)s.", number=number(at))
    return _("After that, the receptionist only takes messages.")


def now(at: Standing, action: str) -> str:
    """What the phone does from now on."""
    if action == "grace":
        return " ".join((_still(at.rules.choice), at_last(at)))
    if action == "forward":
        return _("Calls are forwarded to %(number)s.", number=number(at))
    return _("The receptionist only takes messages. You find them among the callbacks.")


def _still(choice: Choice) -> str:
    return _("The receptionist goes on until the balance is %(grace)s below zero.", grace=euros(choice.grace))


def at_last(at: Standing) -> str:
    """What follows the grace amount."""
    if at.rules.choice.at_last == "forward":
        return _("Then calls are forwarded to %(number)s.", number=number(at))
    return _("Then it only takes messages.")


def again(period: str, end: datetime, zone: str) -> str:
    """When a limit begins anew."""
    if period == "day":
        return _("It works as usual again from midnight, or as soon as you raise the limit.")
    day = formats.long_day(end, _language(), ZoneInfo(zone))
    return _("It works as usual again from %(day)s, or as soon as you raise the limit.", day=day)


def top_up() -> str:
    return _("It works as usual again as soon as you top up.")


def first_top_up() -> str:
    return _("It works as usual as soon as you have topped up.")


def in_time() -> str:
    return _("Please top up in time.")


def lasts_title(until: date, today: date) -> str:
    return _("The balance lasts only for today") if until <= today else _("The balance lasts only until tomorrow")


def number(at: Standing) -> str:
    """The number that calls are forwarded to, as people write it."""
    return phones.display(at.rules.choice.forward_to, at.country)


def _language() -> str:
    return str(get_locale().language)
