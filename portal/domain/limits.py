"""What calls may cost, and what the phone does when the money is used up.

A limit counts the company's local day or month. It is asked before a call connects; calls that run by then may end. The
phone is never simply left to ring: "refuse" is no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from portal.db import db
from portal.domain import pricing, rates, stats
from portal.domain.pricing import Tariff
from portal.models import BalanceTransaction, BillingRate, CallCharge, Company, PrepaidBalance
from portal.models.balance import KINDS
from portal.tenancy import current_company_id

ZERO = Decimal("0.00")
A_MINUTE = 60  # seconds that must be paid for before a call is taken
# The further thresholds, as amounts in text; the highest one is the balance's own column.
SETTING = "balance_alerts"


# ---- What applies -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What the company wants when the money is used up: ``forward``, ``message`` or ``grace`` (euros below zero)."""

    action: str = "message"
    forward_to: str | None = None
    grace: Decimal = ZERO

    @property
    def possible(self) -> str:
        """The action; without a number, nothing can be forwarded."""
        return self.action if self.action == "grace" else self.at_last

    @property
    def at_last(self) -> str:
        """What happens once going on is over, or was never chosen."""
        return "forward" if self.forward_to and self.action != "message" else "message"


@dataclass(frozen=True)
class Rules:
    """What a company has set; a limit of None is none. ``thresholds``: people are told below them, highest first."""

    choice: Choice = Choice()
    daily: Decimal | None = None
    monthly: Decimal | None = None
    thresholds: tuple[Decimal, ...] = ()


@dataclass(frozen=True)
class Budget:
    """What calls have cost in the local ``day`` or ``month`` from ``first`` until the moment ``end``, in euros."""

    period: str
    first: date
    end: datetime
    spent: Decimal
    limit: Decimal | None

    @property
    def reached(self) -> bool:
        return self.limit is not None and self.spent >= self.limit


@dataclass(frozen=True)
class Standing:
    """All that the decision needs. ``budgets`` are empty where no limit asked; ``opened``: is there a balance?

    ``tops_itself_up``: automatic top-ups are switched on. ``is_new``: no money has ever come, so none is used up.
    """

    active: bool
    zone: str
    country: str
    current: Decimal
    available: Decimal
    tariff: Tariff | None
    rules: Rules
    budgets: tuple[Budget, ...] = ()
    opened: bool = True
    tops_itself_up: bool = False
    is_new: bool = False

    @property
    def minute(self) -> Decimal:
        """Euros that a call of one minute costs; 0 while no rate is set."""
        return pricing.price(A_MINUTE, self.tariff).amount if self.tariff else ZERO

    @property
    def pays_a_minute(self) -> bool:
        return self.available >= self.minute and self.available > ZERO

    @property
    def is_low(self) -> bool:
        return bool(self.rules.thresholds) and self.available < self.rules.thresholds[0]


@dataclass(frozen=True)
class Decision:
    """May a call connect? ``state``: ok, low, exhausted or limit_reached (``budget`` says which).

    ``action`` is what the phone does once the money is used up, as far as that is possible: forward (to
    ``forward_to``, E.164), message, or grace, which is to go on as before.
    """

    state: str
    action: str
    forward_to: str
    budget: Budget | None = None

    @property
    def used_up(self) -> bool:
        return self.state in {"exhausted", "limit_reached"}

    @property
    def connects(self) -> bool:
        return not self.used_up or self.action == "grace"


def may_connect(now: datetime) -> Decision:
    """What applies to a call that comes now to the current company. Two queries at most."""
    return decide(standing(now))


def decide(at: Standing) -> Decision:
    """Limits are firm: the grace amount counts how far the balance is below zero, and nothing else."""
    choice = at.rules.choice
    reached = next((budget for budget in reversed(at.budgets) if budget.reached), None)
    if reached is not None:
        state = "limit_reached"
    elif not at.active or not at.pays_a_minute:
        state = "exhausted"
    else:
        state = "low" if at.is_low else "ok"
    may_go_on = at.active and reached is None and -at.available < choice.grace
    action = choice.possible if may_go_on else choice.at_last
    forward_to = choice.forward_to if action == "forward" else None
    return Decision(state, action, forward_to or "", reached)


def standing(now: datetime, *, always: bool = False, zone: str | None = None) -> Standing:
    """The current company's, read afresh. What was spent is read where a limit asks for it, or ``always``.

    ``zone``: the company's own, from callers who know it; then one statement reads everything.
    """
    spending = spent_columns(*_starts(now, zone)) if zone else []
    found, spent = _row(now, spending)
    limits = (found.daily_spending_limit, found.monthly_spending_limit)
    if not spent and (always or any(limit is not None for limit in limits)):
        spent = spent_since(*_starts(now, found.timezone))
    current = found.current_balance or ZERO
    return Standing(
        active=found.is_active,
        zone=found.timezone,
        country=found.country,
        current=current,
        available=current - (found.reserved_balance or ZERO),
        tariff=rates.tariff(found.BillingRate) if found.BillingRate else None,
        rules=rules_of(found, found),
        budgets=_budgets(now, found.timezone, spent, limits) if spent else (),
        opened=found.current_balance is not None,
        tops_itself_up=bool(found.auto_topup_enabled),
        is_new=not current and not found.has_moved,
    )


def rules_of(company: Any, balance: Any) -> Rules:
    """From the rows, or from :func:`standing`'s one row of both; a company without a balance has no limits."""
    return Rules(
        choice=Choice(company.exhausted_action, company.forward_to, balance.grace_amount or ZERO),
        daily=balance.daily_spending_limit,
        monthly=balance.monthly_spending_limit,
        thresholds=thresholds_of(balance.low_balance_alert_threshold or ZERO, company.settings),
    )


def thresholds_of(highest: Decimal, settings: dict[str, Any] | None) -> tuple[Decimal, ...]:
    """Highest first. 0 in the column means none."""
    further = (Decimal(text) for text in (settings or {}).get(SETTING, []))
    return tuple(sorted({amount for amount in (highest, *further) if amount > ZERO}, reverse=True))


def _row(now: datetime, spending: list[Any]) -> tuple[Any, list[Decimal]]:
    """Columns, not objects: what another process has committed meanwhile is seen."""
    balance, rate = PrepaidBalance, BillingRate
    in_force = and_(
        rate.company_id == Company.id,
        rate.valid_from <= now,
        or_(rate.valid_until.is_(None), rate.valid_until > now),
    )
    found = db.session.execute(
        select(
            Company.is_active,
            Company.timezone,
            Company.country,
            Company.settings,
            Company.exhausted_action,
            Company.forward_to,
            balance.current_balance,
            balance.reserved_balance,
            balance.grace_amount,
            balance.low_balance_alert_threshold,
            balance.daily_spending_limit,
            balance.monthly_spending_limit,
            balance.auto_topup_enabled,
            exists().where(BalanceTransaction.company_id == Company.id).label("has_moved"),
            rate,
            *spending,
        )
        .select_from(Company)
        .outerjoin(balance, balance.company_id == Company.id)
        .outerjoin(rate, in_force)
        .where(Company.id == current_company_id())
        .order_by(rate.valid_from.desc())
        .limit(1)
    ).one()
    return found, _spent(found[len(found) - len(spending) :])


# ---- What was spent ---------------------------------------------------------------------------------------


def _starts(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """When the local day and the local month began."""
    today = stats.local_day(now, zone)
    return stats.day_limits(today, zone)[0], stats.day_limits(today.replace(day=1), zone)[0]


def _budgets(
    now: datetime, zone: str, spent: list[Decimal], limits: tuple[Decimal | None, Decimal | None]
) -> tuple[Budget, Budget]:
    """The local day and the local month in which ``now`` lies, in this order."""
    today = stats.local_day(now, zone)
    first = today.replace(day=1)
    tomorrow, next_month = stats.day_limits(today, zone)[1], stats.day_limits(after_month(first), zone)[0]
    return (
        Budget("day", today, tomorrow, spent[0], limits[0]),
        Budget("month", first, next_month, spent[1], limits[1]),
    )


def after_month(first: date) -> date:
    """The first day of the next month."""
    return (first + timedelta(days=31)).replace(day=1)


def spent_since(*starts: datetime) -> list[Decimal]:
    """Euros that calls since each of these moments cost, without what was given back for them."""
    return _spent(db.session.execute(select(*spent_columns(*starts))).one())


def spent_columns(*starts: datetime) -> list[Any]:
    """What :func:`_spent` needs, as columns of one statement: one statement sees one state.

    The ledger is exact, so that a month of many thousand calls need not be added up before each further one: what was
    there, plus all other movements, minus what is there now.
    """
    return [_balance_before(None), *(part for start in starts for part in (_balance_before(start), _others(start)))]


def _spent(columns: Sequence[Any]) -> list[Decimal]:
    if not columns:
        return []
    now, *parts = (value or ZERO for value in columns)
    return [then + others - now for then, others in zip(parts[::2], parts[1::2], strict=True)]


def _balance_before(moment: datetime | None) -> Any:
    """By way of the newest time: ORDER BY with LIMIT 1 alone makes MariaDB walk through everything since then."""
    row, mark = BalanceTransaction, aliased(BalanceTransaction)
    newest = select(func.max(mark.created_at)).where(mark.company_id == current_company_id())
    if moment is not None:
        newest = newest.where(mark.created_at < moment)
    return (
        select(row.balance_after)
        .where(row.company_id == current_company_id(), row.created_at == newest.scalar_subquery())
        .order_by(row.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _others(start: datetime) -> Any:
    """What moved since then besides the calls since then: a credit for an earlier call is no saving of today."""
    row = BalanceTransaction
    kinds = [kind for kind in KINDS if kind != "charge"]
    return (
        select(func.sum(row.amount))
        .outerjoin(CallCharge, CallCharge.id == row.call_charge_id)
        .where(row.company_id == current_company_id(), row.kind.in_(kinds), row.created_at >= start)
        .where(or_(row.call_charge_id.is_(None), CallCharge.charged_at < start))
        .scalar_subquery()
    )
