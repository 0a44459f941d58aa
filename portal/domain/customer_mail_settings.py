"""Which mails a company sends to its customers about appointments; all of them are off until somebody wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db
from portal.domain import audit
from portal.domain.errors import DomainError
from portal.models import Company
from portal.tenancy import current_company_id

SETTING = "customer_mail"  # in companies.settings
KINDS = ("confirmation", "change", "cancellation", "reminder")
REPLY_TO = ("branch", "company", "none")
FEWEST_HOURS, MOST_HOURS = 1, 168
TEXT_LENGTH, SENDER_LENGTH = 500, 60
# So long after the hours were raised nothing is left whose reminder would have come later before.
REMEMBERED = timedelta(hours=2 * MOST_HOURS)


@dataclass(frozen=True)
class Former:
    """Reminders came ``hours`` before, until more hours were chosen."""

    hours: int
    until: datetime


@dataclass(frozen=True)
class Wishes:
    """What a company has switched on. ``hours`` before the appointment is reminded.

    ``with_calcom``: also of appointments that a Cal.com booking stands behind; Cal.com writes to those customers
    itself. ``sender`` '' is the company's name. ``texts``: kind → a few words of the company's own.
    ``reminders_since``: reminders whose time came before that are not made up for. ``former``: fewer hours, see
    ``reminders.owed_at``.
    """

    confirmation: bool = False
    change: bool = False
    cancellation: bool = False
    reminder: bool = False
    hours: int = 24
    with_calcom: bool = False
    with_price: bool = False
    sender: str = ""
    reply_to: str = "branch"
    texts: Mapping[str, str] = field(default_factory=dict)
    reminders_since: datetime | None = None
    former: tuple[Former, ...] = ()

    def sends(self, kind: str) -> bool:
        return bool(getattr(self, kind))

    @property
    def kinds(self) -> list[str]:
        """The kinds that are switched on."""
        return [kind for kind in KINDS if self.sends(kind)]


def of(settings: Mapping[str, Any] | None) -> Wishes:
    """From ``companies.settings``; what is not as it should be counts as never set."""
    stored = (settings or {}).get(SETTING)
    stored = stored if isinstance(stored, dict) else {}
    flags = {name: stored.get(name) is True for name in (*KINDS, "with_calcom", "with_price")}
    texts, hours, since = stored.get("texts"), stored.get("hours"), stored.get("reminders_since")
    return Wishes(
        **flags,
        hours=hours if isinstance(hours, int) and FEWEST_HOURS <= hours <= MOST_HOURS else 24,
        sender=one_line(str(stored.get("sender") or ""))[:SENDER_LENGTH],
        reply_to=stored["reply_to"] if stored.get("reply_to") in REPLY_TO else "branch",
        texts={kind: str(texts[kind]) for kind in KINDS if texts.get(kind)} if isinstance(texts, dict) else {},
        reminders_since=datetime.fromisoformat(since) if isinstance(since, str) else None,
        former=tuple(Former(int(hours), datetime.fromisoformat(until)) for hours, until in stored.get("former") or ()),
    )


def current() -> Wishes:
    """The current company's."""
    return of(db.session.scalar(select(Company.settings).where(Company.id == current_company_id())))


def save(wish: Wishes, now: datetime) -> Wishes:
    """Set the current company's. Needs a transaction; raises ``DomainError`` beside the field that is wrong."""
    wish = _tidy(wish)
    _check(wish)
    company = _locked()
    old = of(company.settings)
    since = old.reminders_since if old.reminder else now
    wish = replace(wish, reminders_since=since if wish.reminder else None, former=_former(old, wish, now))
    if wish == old:
        return old
    company.settings = {**(company.settings or {}), SETTING: _stored(wish)}
    audit.record("customer_mail.settings_saved", company, company_id=company.id, old=_stored(old), new=_stored(wish))
    return wish


def _former(old: Wishes, wish: Wishes, now: datetime) -> tuple[Former, ...]:
    """What was agreed on under fewer hours keeps their reminder where the time of the new one has passed already."""
    if not (old.reminder and wish.reminder):
        return ()
    known = (*old.former, Former(old.hours, now))
    return tuple(former for former in known if former.hours < wish.hours and former.until > now - REMEMBERED)


def one_line(text: str) -> str:
    """Without anything that could begin a new line or header: what stands in a subject or beside an address."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def plain(text: str) -> str:
    """A few lines as typed, without control characters."""
    lines = ["".join(letter for letter in line if letter.isprintable()).rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip()


def _tidy(wish: Wishes) -> Wishes:
    texts = {kind: text for kind in KINDS if (text := plain(wish.texts.get(kind, "")))}
    return replace(wish, sender=one_line(wish.sender), texts=texts)


def _check(wish: Wishes) -> None:
    if not FEWEST_HOURS <= wish.hours <= MOST_HOURS:
        raise DomainError(
            _("Please enter hours between %(least)s and %(most)s.", least=FEWEST_HOURS, most=MOST_HOURS), "hours"
        )
    if len(wish.sender) > SENDER_LENGTH:
        raise DomainError(_("Please enter at most %(most)s letters.", most=SENDER_LENGTH), "sender")
    if "@" in wish.sender:
        raise DomainError(_("Please enter a name, not an address."), "sender")
    for kind, text in wish.texts.items():
        if len(text) > TEXT_LENGTH:
            raise DomainError(_("Please enter at most %(most)s letters.", most=TEXT_LENGTH), f"text_{kind}")


def _stored(wish: Wishes) -> dict[str, Any]:
    since = wish.reminders_since
    former = [[each.hours, each.until.isoformat()] for each in wish.former]
    kept = {"texts": dict(wish.texts), "reminders_since": since.isoformat() if since else None, "former": former}
    return asdict(wish) | kept


def _locked() -> Company:
    return db.session.get_one(Company, current_company_id(), with_for_update=True, populate_existing=True)
