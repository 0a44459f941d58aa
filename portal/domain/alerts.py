"""When money runs out, people are told: once for each crossing of a threshold, once for each limit that is reached.

What crosses a threshold is a movement: it led from at least that amount to less. Movements come one after the other,
each under the lock of the balance, so that of twenty charges at the same moment exactly one crosses, and nothing has
to be remembered. What is held for running calls crosses nothing, because most of it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from sqlalchemy import select, update

from portal.db import db, rows_changed
from portal.domain import alert_words as words
from portal.domain import limits, notifications, outbox, reach, stats
from portal.domain.limits import Budget, Standing
from portal.models import BalanceTransaction, OutboxJob, PrepaidBalance
from portal.permissions import Permission
from portal.tenancy import current_company_id

KIND = "balance.alert"
LOW, USED_UP, GRACE_USED_UP = "low", "used_up", "grace_used_up"
SEVERITY = (LOW, USED_UP, GRACE_USED_UP)
ZERO, CENT = Decimal("0.00"), Decimal("0.01")
SOON = timedelta(days=1)
HABIT_DAYS = 30
TOP_UP_PAGE, LIMITS_PAGE = "/balance", "/balance/limits"


# ---- When -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """Something to tell when the balance falls below ``amount`` euros."""

    what: str
    amount: Decimal

    def crossed(self, before: Decimal, after: Decimal) -> bool:
        return before >= self.amount > after


def levels(at: Standing) -> list[Level]:
    """The thresholds, what a minute costs (below it no call connects any more), and the end of the grace amount."""
    found = [Level(LOW, threshold) for threshold in at.rules.thresholds]
    found.append(Level(USED_UP, max(at.minute, CENT)))
    if at.rules.choice.action == "grace" and at.rules.choice.grace > ZERO:
        found.append(Level(GRACE_USED_UP, CENT - at.rules.choice.grace))
    return found


def worst(found: Iterable[Level]) -> Level | None:
    """Of several levels that one movement crosses, the one that says most."""
    return max(found, key=lambda level: (SEVERITY.index(level.what), -level.amount), default=None)


def watch(balance: PrepaidBalance, row: BalanceTransaction, now: datetime) -> None:
    """Called by the ledger after each movement, with the balance locked. Telling people is the worker's work."""
    at = limits.standing(now)
    known, after = levels(at), row.balance_after
    if after >= max(level.amount for level in known):
        balance.low_balance_alert_sent_at = None
    crossed = worst(level for level in known if level.crossed(after - row.amount, after))
    if crossed is not None:
        balance.low_balance_alert_sent_at = now
        _enqueue(_of_level(crossed, after, row.reference))
    if row.kind == "charge":
        for budget in at.budgets:
            if budget.limit is not None and budget.spent + row.amount < budget.limit <= budget.spent:
                _enqueue(_of_limit(budget))


def sweep(now: datetime) -> None:
    """What no movement could say: a limit set below what is spent already, a balance that was never watched."""
    at = limits.standing(now)
    below = worst(level for level in levels(at) if at.current < level.amount)
    if below is not None and not at.is_new and _claimed(below, now):
        _enqueue(_of_level(below, at.current, f"sweep:{now.isoformat()}"))
    for budget in at.budgets:
        if budget.reached and not _told(payload := _of_limit(budget)):
            _enqueue(payload)


def _claimed(level: Level, now: datetime) -> bool:
    """False when people have been told since the balance was above every level, or somebody else does it now."""
    return bool(
        rows_changed(
            update(PrepaidBalance)
            .where(PrepaidBalance.low_balance_alert_sent_at.is_(None), PrepaidBalance.current_balance < level.amount)
            .values(low_balance_alert_sent_at=now)
        )
    )


def _told(payload: dict[str, Any]) -> bool:
    return db.session.scalar(select(OutboxJob.id).where(OutboxJob.dedupe_key == _key(payload))) is not None


def _enqueue(payload: dict[str, Any]) -> None:
    outbox.enqueue(KIND, payload, company_id=current_company_id(), dedupe_key=_key(payload))


def _key(payload: dict[str, Any]) -> str:
    return f"{KIND}:{current_company_id()}:{payload['key']}"


def _of_level(level: Level, balance: Decimal, reference: str) -> dict[str, Any]:
    key = f"{level.what}:{reference}"
    return {"what": level.what, "level": str(level.amount), "balance": str(balance), "key": key}


def _of_limit(budget: Budget) -> dict[str, Any]:
    """Once for each day or month; once more after the limit has been raised and is reached again."""
    return {
        "what": "limit",
        "period": budget.period,
        "first": budget.first.isoformat(),
        "end": budget.end.isoformat(),
        "limit": str(budget.limit),
        "spent": str(budget.spent),
        "key": f"limit:{budget.period}:{budget.first.isoformat()}:{budget.limit}",
    }


# ---- Telling ----------------------------------------------------------------------------------------------


def tell(payload: dict[str, Any], now: datetime) -> int:
    """Tell everybody who may see the balance; how many were told. The same payload twice tells nobody twice."""
    at = limits.standing(now)
    what = payload["what"]
    told = _limit_told(at, payload) if what == "limit" else _level_told(at, payload, now)
    return notifications.notify(
        Permission.VIEW_BALANCE,
        f"balance.{what}",
        "billing",
        dedupe_key=payload["key"],
        priority="normal" if what == LOW else "high",
        **told,
    )


def _level_told(at: Standing, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
    what, level, balance = payload["what"], Decimal(payload["level"]), Decimal(payload["balance"])
    calls = _reach(at, now).habit.calls_for(balance) if what == LOW else None
    action = at.rules.choice.at_last if what == GRACE_USED_UP else at.rules.choice.possible

    def title() -> str:
        return {
            LOW: lambda: words.low_title(level),
            USED_UP: lambda: words.used_up_title(balance),
            GRACE_USED_UP: words.grace_title,
        }[what]()

    def body() -> str:
        if what == LOW:
            return _sentences(words.left(balance, calls), words.later(at), words.in_time())
        return _sentences(words.too_little(balance), words.now(at, action), words.top_up())

    balance_row = (_l("Balance"), LazyString(lambda: words.euros(balance)))
    return {
        "title": LazyString(title),
        "body": LazyString(body),
        "details": [balance_row],
        "action_url": TOP_UP_PAGE,
        "action": _l("Top up"),
    }


def _limit_told(at: Standing, payload: dict[str, Any]) -> dict[str, Any]:
    """A limit is firm: a grace amount is about the balance."""
    period, end = payload["period"], datetime.fromisoformat(payload["end"])
    spent, limit = Decimal(payload["spent"]), Decimal(payload["limit"])

    def body() -> str:
        effect, again = words.now(at, at.rules.choice.at_last), words.again(period, end, at.zone)
        return _sentences(words.spent(period, spent, limit), effect, again)

    return {
        "title": LazyString(lambda: words.limit_title(period)),
        "body": LazyString(body),
        "details": [
            (_l("Spent"), LazyString(lambda: words.euros(spent))),
            (_l("Limit"), LazyString(lambda: words.euros(limit))),
        ],
        "action_url": LIMITS_PAGE,
        "action": _l("Change the limit"),
    }


def _sentences(*found: str) -> str:
    return " ".join(found)


# ---- On the page ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BalanceWarning:
    """Something to know before everything else. ``kind``: warn or bad. ``preventable``: by automatic top-ups."""

    kind: str
    title: str
    text: str
    action_label: str
    action_url: str
    preventable: bool = False


def warnings(now: datetime, known: reach.Reach | None = None, zone: str | None = None) -> list[BalanceWarning]:
    """What the money of the current company calls for now; empty when all is well.

    ``known``: how far the balance reaches, ``zone``: the company's, if the page has them already.
    """
    at = limits.standing(now, zone=zone)
    return warnings_of(at, known or _reach(at, now), now)


def warnings_of(at: Standing, known: reach.Reach, now: datetime) -> list[BalanceWarning]:
    """The same from what a page has read already."""
    found = urgent(at)
    soon = _of_reach(at, known, stats.local_day(now, at.zone)) if at.pays_a_minute else None
    return [*found, soon] if soon else found


def urgent(at: Standing) -> list[BalanceWarning]:
    """What keeps calls from being answered as usual, or is about to."""
    decision = limits.decide(at)
    found = [_of_budget(at, decision.budget)] if decision.budget else []
    return found if at.pays_a_minute else [*found, _of_used_up(at, decision.action)]


def _of_budget(at: Standing, budget: Budget) -> BalanceWarning:
    """Without money, a new day or a higher limit would change nothing."""
    assert budget.limit is not None
    said = [words.spent(budget.period, budget.spent, budget.limit), words.now(at, at.rules.choice.at_last)]
    if at.pays_a_minute:
        said.append(words.again(budget.period, budget.end, at.zone))
    return BalanceWarning(
        "bad", words.limit_title(budget.period), _sentences(*said), _("Change the limit"), LIMITS_PAGE
    )


def _of_used_up(at: Standing, action: str) -> BalanceWarning:
    title = words.held_title() if at.current >= max(at.minute, CENT) else words.used_up_title(at.current)
    text = _sentences(words.too_little(at.available), words.now(at, action), words.top_up())
    if at.is_new:
        title, text = words.new_title(), _sentences(words.now(at, action), words.first_top_up())
    kind, preventable = "warn" if action == "grace" else "bad", not at.tops_itself_up
    return BalanceWarning(kind, title, text, _("Top up"), TOP_UP_PAGE, preventable)


def _of_reach(at: Standing, known: reach.Reach, today: date) -> BalanceWarning | None:
    ends_soon = known.until is not None and known.until <= today + SOON
    if ends_soon and known.until is not None:
        title = words.lasts_title(known.until, today)
    elif at.is_low:
        title = words.low_title(min(level for level in at.rules.thresholds if at.available < level))
    else:
        return None
    text = _sentences(words.left(at.available, known.calls), words.later(at))
    return BalanceWarning("warn", title, text, _("Top up"), TOP_UP_PAGE, not at.tops_itself_up)


def _reach(at: Standing, now: datetime) -> reach.Reach:
    """From the daily figures alone; what today has cost already makes a small difference only."""
    today = stats.local_day(now, at.zone)
    days = stats.spend(today - timedelta(days=HABIT_DAYS), today)
    habit = reach.habit((reach.DaySpend(day, amount, calls) for day, (calls, amount) in days.items()), today)
    return reach.reach(at.available, habit, today, days.get(today, (0, ZERO))[1])
