"""The mail with the summary of a call, written in each recipient's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_login import current_user

from portal import filters, i18n, mailer, settings
from portal.db import utcnow
from portal.domain import call_pages, call_words, transcripts
from portal.domain.call_mail import Recipient
from portal.models import Call

# As on paper: more than that stands in the portal.
MOST_LETTERS = 300_000
SUBJECT = 200


@dataclass(frozen=True)
class Told:
    """What a mail tells of a call, read before the transaction; ``lines`` only where the words go along."""

    call: Call
    lines: tuple[list[dict[str, Any]], list[dict[str, Any]]] | None

    @classmethod
    def of(cls, call: Call, *, with_words: bool) -> Told:
        return cls(call, call_pages.spoken(call.content) if with_words else None)


def send(told: Told, to: Recipient, sender: str, key: str) -> bool:
    """Queue one mail; False when it is in the outbox already. Needs a transaction."""
    call = told.call
    with force_locale(to.language):
        subject = _("Call of %(when)s: %(who)s", when=filters.when(call.started_at), who=who(call))
        return mailer.send(
            "call_summary",
            to.address,
            " ".join(subject.split())[:SUBJECT],
            language=to.language,
            company_id=call.company_id,
            company_name=current_user.company.name,
            dedupe_key=key,
            name=to.name,
            sender=sender,
            facts=_facts(call),
            summary=call.summary or "",
            turns=_turns(told) if told.lines is not None else None,
            url=f"{settings().portal_base_url}/calls/{call.id}" if to.user_id else "",
        )


def who(call: Call) -> str:
    """The customer's name, else the number."""
    return (call.customer.full_name if call.customer else "") or filters.phone(call.phone_number)


def speaker(call: Call) -> str:
    """The same in front of what they said; a withheld number says nothing."""
    return who(call) if call.phone_number or (call.customer and call.customer.full_name) else str(_("Caller"))


def numbered(call: Call) -> str:
    """The number beside the name; '' where it stands in the name's place already."""
    shown = filters.phone(call.phone_number)
    return "" if shown == who(call) else shown


def _facts(call: Call) -> list[tuple[str, str]]:
    seconds = call.duration_seconds or 0
    known = [
        (_("Caller") if call.direction == "inbound" else _("Called"), who(call)),
        (_("Number"), numbered(call)),
        (_("Date and time"), filters.when(call.started_at)),
        (_("Duration"), _("%(duration)s min", duration=filters.duration(seconds)) if seconds else ""),
        (_("Branch"), call.branch.name if call.branch else ""),
        (_("Outcome"), call_words.outcome(call, utcnow()).label),
        (_("Mood"), call_words.mood(call.sentiment)),
        (_("Appointment"), _booked(call)),
    ]
    return [(label, value) for label, value in known if value]


def _booked(call: Call) -> str:
    row = call.appointment
    if row is None:
        return ""
    parts = [filters.when(row.start_time), row.service.name if row.service else "", row.staff.name if row.staff else ""]
    return ", ".join(part for part in parts if part)


def _turns(told: Told) -> list[tuple[str, str, str]]:
    """``(0:12, who, what)``; what the receptionist did stands without a name."""
    assert told.lines is not None
    names = {"agent": _("Receptionist (AI)"), "user": speaker(told.call), "person": _("Person")}
    found: list[tuple[str, str, str]] = []
    left = MOST_LETTERS
    for line in transcripts.lines(*told.lines, i18n.language(), i18n.zone()):
        left -= len(line.text)
        if left < 0:
            return [*found, ("", "", _("The rest of this very long call stands in the portal."))]
        at = "" if line.second is None else filters.duration(line.second)
        found.append((at, names.get(line.who, ""), line.text))
    return found
