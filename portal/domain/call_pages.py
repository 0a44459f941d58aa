"""What stands on the page of one call besides its row: its money explained, its timeline, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from portal.db import db
from portal.domain import call_deeds, call_words, phones, pricing, transcripts
from portal.domain.pricing import Price, Tariff
from portal.domain.transcripts import humanised
from portal.models import (
    Appointment,
    BalanceReservation,
    BalanceTransaction,
    Call,
    CallActivity,
    CallCharge,
    CallContent,
    Customer,
)


@dataclass(frozen=True)
class Cost:
    """A charge with every step to it. ``right``: computed again from its own row, it comes to the same."""

    charge: CallCharge
    price: Price
    since: datetime | None
    balance_after: Decimal | None

    @property
    def right(self) -> bool:
        return self.price.amount == self.charge.amount_charged


@dataclass(frozen=True)
class Event:
    """One line of a timeline."""

    icon: str
    text: str
    at: datetime


def load(call_id: int, branch_ids: list[int] | None, *, read: bool) -> Call | None:
    """The call with all that its page shows; None where the reader is bound to other branches.

    What was said is loaded for those who may ``read`` it.
    """
    appointment = joinedload(Call.appointment)
    query = select(Call).where(Call.id == call_id)
    query = query.options(
        joinedload(Call.customer),
        joinedload(Call.branch),
        joinedload(Call.charge).joinedload(CallCharge.rate),
        appointment.joinedload(Appointment.service),
        appointment.joinedload(Appointment.staff),
        selectinload(Call.activities),
    )
    if read:
        query = query.options(joinedload(Call.content))
    if branch_ids is not None:
        query = query.where(Call.branch_id.in_(branch_ids))
    return db.session.scalar(query)


def spoken(content: CallContent | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Turns and tool calls, ready for ``transcripts.lines``."""
    if content is None:
        return [], []
    return content.turns or transcripts.turns_of(content.transcript or ""), content.tool_calls or []


def cost(call: Call) -> Cost | None:
    """What the call cost, explained; None while it has no charge."""
    charge = call.charge
    if charge is None:
        return None
    tariff = Tariff(charge.rate_per_minute, charge.increment_seconds, charge.minimum_charge, charge.setup_fee)
    after = db.session.scalar(
        select(BalanceTransaction.balance_after).where(
            BalanceTransaction.call_charge_id == charge.id, BalanceTransaction.kind == "charge"
        )
    )
    since = charge.rate.valid_from if charge.rate is not None else None
    return Cost(charge, pricing.price(charge.duration_seconds, tariff), since, after)


def reserved(call: Call) -> Decimal | None:
    """Euros held for a call that is not charged yet."""
    return db.session.scalar(
        select(BalanceReservation.amount).where(
            BalanceReservation.call_id == call.id, BalanceReservation.status == "held"
        )
    )


def next_appointment(customer: Customer, besides: int | None, now: datetime) -> Appointment | None:
    """The customer's next appointment, other than that of the call."""
    query = select(Appointment).where(
        Appointment.customer_id == customer.id,
        Appointment.start_time >= now,
        Appointment.status.in_(("scheduled", "confirmed")),
    )
    if besides is not None:
        query = query.where(Appointment.id != besides)
    query = query.options(joinedload(Appointment.service), joinedload(Appointment.staff))
    return db.session.scalar(query.order_by(Appointment.start_time).limit(1))


# ---- The timeline ---------------------------------------------------------------------------------------------


def timeline(call: Call, charged: str = "") -> list[Event]:
    """What happened in and to the call, in its order. ``charged``: the amount in words, for those who may see it."""
    silent = call.status != "in_progress" and not call.duration_seconds
    told = [each for each in call.activities if not (silent and each.activity_type == "analysed")]
    events = [_event(call, activity) for activity in told]
    # One that was there before is what the call moved or cancelled.
    if call.appointment is not None and call.appointment.created_at >= call.started_at:
        events.append(Event("calendar-plus", _("Appointment booked"), call.appointment.created_at))
    if charged and call.charge is not None:
        events.append(Event("coins", _("%(amount)s charged", amount=charged), call.charge.charged_at))
    return sorted(events, key=lambda event: event.at)


def _event(call: Call, activity: CallActivity) -> Event:
    data = activity.activity_data or {}
    if "by" in data:
        return Event(*_deed(activity.activity_type, data), activity.occurred_at)
    icon, text = _words(call, activity.activity_type, phones.display(str(data.get("to") or "")))
    return Event(icon, text, activity.occurred_at)


def _deed(kind: str, data: dict[str, Any]) -> tuple[str, str]:
    """What a person has done, with their name."""
    by, to = str(data["by"]), str(data.get("to") or "")
    mood = call_words.mood(str(data.get("after") or "")) or _("no mood")
    sent = (
        _("Summary and conversation sent to %(to)s by %(name)s", to=to, name=by)
        if data.get("transcript")
        else _("Summary sent to %(to)s by %(name)s", to=to, name=by)
    )
    known = {
        call_deeds.MOOD: ("edit", _("Mood corrected to “%(mood)s” by %(name)s", mood=mood, name=by)),
        call_deeds.LINKED: ("user-check", _("Customer assigned by %(name)s", name=by)),
        call_deeds.UNLINKED: ("user-x", _("Customer taken off by %(name)s", name=by)),
        call_deeds.SENT: ("send", sent),
    }
    return known.get(kind) or ("info-circle", f"{humanised(kind)}, {by}")


def _words(call: Call, kind: str, to: str) -> tuple[str, str]:
    inbound = call.direction == "inbound"
    known = {
        "started": (
            "phone-incoming" if inbound else "phone-outgoing",
            _("Call answered") if inbound else _("Call made"),
        ),
        "recognised": ("user-check", _("Customer recognised")),
        "customer_new": ("user-plus", _("New customer entered")),
        "transfer_started": ("arrow-forward-up", _("Transfer begun")),
        "transfer_bridged": ("users", _("Transferred to a person")),
        "transfer_cancelled": ("phone-x", _("Transfer did not succeed")),
        "transfer_ended": ("phone-off", _("Transferred talk ended")),
        "ended": ("phone-off", call_words.end_reason(call.end_reason, call.direction) or _("Call ended")),
        "analysed": ("list-check", _("Conversation evaluated")),
    }
    icon, text = known.get(kind) or ("info-circle", humanised(kind))
    if kind == "started" and call.status in {"no_answer", "busy", "failed"}:
        text = _("Call came in") if inbound else _("Number dialled")
    return icon, f"{text} ({to})" if to else text
