"""The demo's money: what every call cost, when somebody topped up, and a ledger that ends where it shall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from portal.demo.firms import RATE, Firm
from portal.demo.rings import Ring
from portal.domain import pricing
from portal.domain.pricing import Price, Tariff

TARIFF = Tariff(RATE)
LOW = Decimal("25.00")  # whoever pays looks at the balance about then
USUAL, SMALL = Decimal("100.00"), Decimal("50.00")
CARRIED_OVER = Decimal("10.00")  # at least, from the contract before
SETTLED = timedelta(seconds=2)
A_MOMENT = timedelta(microseconds=1)
HOLD = pricing.hold_amount(TARIFF)


@dataclass(frozen=True)
class Movement:
    """One row of the ledger. Exactly one of the three says what it is; ``held`` was reserved for a call."""

    at: datetime
    amount: Decimal
    after: Decimal
    kind: str
    ring: int | None = None
    price: Price | None = None
    held: Decimal = Decimal("0.00")


def price_of(ring: Ring) -> Price:
    return pricing.price(ring.seconds, TARIFF)


@dataclass
class Account:
    """Every movement of a company, oldest first; the balance after the last is what the firm shall have."""

    firm: Firm
    rings: list[Ring]
    opened_at: datetime
    given_back: int | None = None

    def movements(self) -> Iterator[Movement]:
        """Movements at strictly growing times."""
        topups = self._topups()
        level = self._opening(sum(topups, Decimal(0)))
        last = self.opened_at
        yield Movement(last, level, level, "credit")
        for number in self._in_order():
            price, ended = price_of(self.rings[number]), self.rings[number].ended + SETTLED
            if topups and (level - price.amount < LOW):
                amount = topups.pop(0)
                # Before the call, in any case; the page of the balance had been red for a while.
                last = max(last + A_MOMENT, self.rings[number].at - timedelta(minutes=3))
                level += amount
                yield Movement(last, amount, level, "topup")
            held = min(HOLD, level)
            last, level = max(ended, last + A_MOMENT), level - price.amount
            yield Movement(last, -price.amount, level, "charge", number, price, held)
            if number == self.given_back:
                last, level = last + timedelta(hours=3), level + price.amount
                yield Movement(last, price.amount, level, "credit", number)

    def _in_order(self) -> list[int]:
        charged = [number for number, ring in enumerate(self.rings) if ring.seconds]
        return sorted(charged, key=lambda number: self.rings[number].ended)

    def _topups(self) -> list[Decimal]:
        """As many as are needed, the last one larger, so that what is left is a handsome sum."""
        needed = self.firm.balance + self._spent() - self.firm.last_topup - CARRIED_OVER
        count = int(needed // USUAL)
        rest = needed - count * USUAL
        return [USUAL] * count + ([SMALL] if rest >= SMALL else []) + [self.firm.last_topup]

    def _opening(self, topped_up: Decimal) -> Decimal:
        """What was carried over, so that everything adds up to the cent."""
        return self.firm.balance + self._spent() - topped_up

    def _spent(self) -> Decimal:
        back = price_of(self.rings[self.given_back]).amount if self.given_back is not None else Decimal(0)
        return sum((price_of(ring).amount for ring in self.rings), Decimal(0)) - back
