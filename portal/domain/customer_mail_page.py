"""What the page of an appointment says about the mails to its customer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from portal.domain import customer_mail, customer_mail_settings, reminders, timetable
from portal.domain.customer_mail_settings import Wishes
from portal.domain.slots import OPEN
from portal.models import Appointment, EmailOutbox

HIDDEN = "•••"


@dataclass(frozen=True)
class Sent:
    """A mail. ``state``: sent, waiting, failed; ``at`` is when it was sent or written."""

    kind: str
    at: datetime
    address: str
    state: str


@dataclass(frozen=True)
class Outlook:
    """``address`` is the customer's, hidden from those who may not see it; '' where no mail may go to them.

    ``asks``: kinds that a form asks about. ``offer``: the mail that would tell how the appointment stands, or ''.
    ``reminder_at``: when the customer will be reminded; else ``no_reminder`` says why not: address calcom late, or ''.
    """

    sent: tuple[Sent, ...] = ()
    address: str = ""
    asks: tuple[str, ...] = ()
    offer: str = ""
    reminder_at: datetime | None = None
    no_reminder: str = ""


def outlook(row: Appointment, now: datetime, *, names: bool) -> Outlook:
    """Of an appointment with branch and customer loaded. ``names``: the reader may see addresses."""
    wishes = customer_mail_settings.current()
    sent = tuple(_sent(mail, names) for mail in customer_mail.mails(row) if mail.error != customer_mail.WITHDRAWN)
    if not wishes.kinds or row.start_time <= now:
        return Outlook(sent)
    asks = tuple(kind for kind in ("change", "cancellation") if asks_about(row, kind, wishes, now))
    at, why = _reminder(row, wishes, now)
    offer = customer_mail.offer(row, row.customer, wishes, now)
    address = customer_mail.address_of(row.customer)
    return Outlook(sent, address if names else hidden(address), asks, offer, at, why)


def outlook_of_form(row: Appointment | None, now: datetime, *, names: bool) -> Outlook:
    """What the form of an appointment asks; None is one that is still to be booked."""
    wishes = customer_mail_settings.current()
    if row is None:
        return Outlook(asks=("confirmation",) if wishes.confirmation else ())
    if not asks_about(row, "change", wishes, now):
        return Outlook()
    address = customer_mail.address_of(row.customer)
    return Outlook(address=address if names else hidden(address), asks=("change",))


def asks_about(row: Appointment, kind: str, wishes: Wishes, now: datetime) -> bool:
    """Whether a form that changes or cancels this appointment asks if the customer is to be told."""
    if row.status not in OPEN or not wishes.sends(kind):
        return False
    stands = "confirmation"  # and is not cancelled yet
    return not customer_mail.why_not(row, row.customer, stands, replace(wishes, confirmation=True), now)


def hidden(address: str) -> str:
    """``a•••@d•••.example``: enough to recognise what one knows already."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}{HIDDEN}@{domain[:1]}{HIDDEN}.{domain.rpartition('.')[2]}" if at else ""


def _sent(mail: EmailOutbox, names: bool) -> Sent:
    key = customer_mail.read_key(mail.dedupe_key)
    assert key is not None
    kind = {"cancelled": "cancellation", "reminder": "reminder"}.get(key.group)
    kind = kind or ("confirmation" if key.sequence.partition("~")[0] == "0" else "change")
    state = {"sent": "sent", "failed": "failed"}.get(mail.status, "waiting")
    address = mail.recipient if names else hidden(mail.recipient)
    return Sent(kind, mail.sent_at or mail.created_at, address, state)


def _reminder(row: Appointment, wishes: Wishes, now: datetime) -> tuple[datetime | None, str]:
    if not wishes.reminder or row.status not in OPEN or row.reminder_sent_at is not None:
        return None, ""
    if why := customer_mail.why_not(row, row.customer, "reminder", wishes, now):
        return None, why if why in ("address", "calcom") else ""
    due = reminders.owed_at(row.id, row.start_time, row.created_at, timetable.zone_of(row.branch), wishes)
    return (due, "") if due else (None, "late")
