"""The simulator as an object: one lock, one store, one outbox. Tests steer it in Python, people on its pages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import stripe

from tests.fake_stripe.payments import Method, Payments
from tests.fake_stripe.store import Store, random_id
from tests.fake_stripe.webhooks import Order, Outbox, Post, Sender, Webhook
from tests.fake_stripe.wire import JSON

DEFAULT_SECRET = "whsec_demo"
DEFAULT_BASE = "http://stripe.invalid"


class Fault:
    """A wrong answer to come. status 0: the connection breaks; `after`: the work is done, only the answer gets lost.

    With a `delay` (seconds) and status 0 the answer is merely slow.
    """

    def __init__(self, status: int, when: Literal["before", "after"], times: int, path: str, delay: float) -> None:
        self.status = status
        self.when = when
        self.times = times
        self.path = path
        self.delay = delay


class FakeStripe:
    """Amounts in cents, times in Unix seconds. Every public method is one action with its own events."""

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        secret: str = DEFAULT_SECRET,
        state_file: Path | None = None,
        base_url: str | None = None,
        settle_after: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.lock = threading.RLock()
        self.base_url = base_url
        self.store = Store(state_file, now)
        self.outbox = Outbox(self.store, webhook_url, secret, changed=threading.Condition(self.lock))
        self.outbox.habits.change(self.store.settings.get("habits", {}))
        self.payments = Payments(self.store, self._emit)
        self.payments.settle_after = settle_after
        self.payments.receipts = base_url or DEFAULT_BASE
        self.faults: list[Fault] = []
        self.in_flight: set[str] = set()
        self.request: JSON = {"id": None, "idempotency_key": None}
        self._batch: list[JSON] = []
        self._depth = 0
        self._sender: Sender | None = None

    # ---------- one action ----------

    @contextmanager
    def acting(self) -> Iterator[Payments]:
        """Everything inside is one action: its events are queued together, the state is saved once."""
        with self.lock:
            self._depth += 1
            try:
                yield self.payments
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._finish()

    def _finish(self) -> None:
        batch, self._batch = self._batch, []
        self.store.fresh.clear()
        self.outbox.add(batch)
        self.store.save()

    def _emit(self, type: str, obj: JSON, previous: JSON | None = None) -> None:
        data: JSON = {"object": deepcopy(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        fields: JSON = {"api_version": stripe.api_version, "data": data, "type": type, "request": dict(self.request)}
        self._batch.append(self.store.new("event", **fields))

    def undo(self) -> None:
        """Takes back what this action has made so far."""
        for kind, id in self.store.fresh:
            self.store.tables[kind].pop(id, None)
        self._batch.clear()

    def tick(self) -> None:
        """Lets time pass: Sessions expire, debits settle."""
        with self.acting():
            self.payments.pass_time()

    # ---------- what a person does at Checkout, and banks later ----------

    def pay(self, session_id: str, method: Method = "card", *, save: bool = False, later: str = "ok") -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.pay(session_id, method, save=save, later=later))

    def decline(self, session_id: str, outcome: str = "generic_decline") -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.decline(session_id, outcome))

    def expire(self, session_id: str) -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.expire(session_id))

    def settle(self, id: str) -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.settle(id))

    def bounce(self, id: str) -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.bounce(id))

    def refund(self, id: str, amount: int | None = None) -> JSON:
        """As somebody does it in Stripe's own pages: without our knowing beforehand."""
        with self.acting() as payments:
            return deepcopy(payments.refund(id, amount, "requested_by_customer"))

    def finish_refund(self, refund_id: str, status: Literal["succeeded", "failed"]) -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.finish_refund(refund_id, status))

    def dispute(self, id: str, amount: int | None = None, reason: str = "fraudulent") -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.dispute(id, amount, reason))

    def close_dispute(self, id: str, status: Literal["won", "lost"]) -> JSON:
        with self.acting() as payments:
            return deepcopy(payments.close_dispute(id, status))

    def save_method(self, customer: str, method: Method = "card", behaviour: str = "ok") -> JSON:
        """A saved card or mandate of this customer; `behaviour`: how it answers when charged (payments.BEHAVIOURS)."""
        with self.acting() as payments:
            return deepcopy(payments.new_method(method, customer, behaviour))

    # ---------- looking ----------

    def get(self, id: str, kind: str | None = None) -> JSON:
        from tests.fake_stripe.store import kind_of

        with self.lock:
            return deepcopy(self.store.get(kind or kind_of(id) or "", id))

    def all(self, kind: str) -> list[JSON]:
        with self.lock:
            return deepcopy(self.store.all(kind))

    def events(self, type: str | None = None) -> list[JSON]:
        """Oldest first."""
        return [one for one in self.all("event") if type is None or one["type"] == type]

    # ---------- webhooks without a network ----------

    def webhooks(self) -> list[Webhook]:
        """The signed messages that wait to be delivered, oldest first."""
        return [self.outbox.message(one) for one in self.outbox.waiting()]

    def webhook(self, event_id: str, now: float | None = None) -> Webhook:
        """One event, signed as if sent at `now` (Unix seconds)."""
        return self.outbox.message({"event": event_id}, now)

    def deliver(self, post: Post, *, order: Order = "fifo", times: int = 1) -> list[int]:
        """Hands every waiting message to `post(body, headers) -> status`, in this order, each so many times."""
        from tests.fake_stripe.webhooks import _ordered

        return [self.outbox.send(one, post) for one in _ordered(self.outbox.waiting(), order) for _ in range(times)]

    # ---------- things going wrong ----------

    def fail_next(
        self,
        status: int = 500,
        *,
        when: Literal["before", "after"] = "before",
        times: int = 1,
        path: str = "",
        delay: float = 0.0,
    ) -> None:
        """The next API calls whose path contains `path` go wrong: see Fault."""
        with self.lock:
            self.faults.append(Fault(status, when, times, path, delay))

    def take_fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.path in path:
                    fault.times -= 1
                    self.faults = [one for one in self.faults if one.times > 0]
                    return fault
        return None

    # ---------- running ----------

    def start(self) -> None:
        """Starts sending webhooks in the background."""
        if self._sender is None:
            self._sender = Sender(self.outbox, self.tick)
            self._sender.start()

    def stop(self) -> None:
        if self._sender is not None:
            self._sender.stop()
            self._sender = None
        with self.lock:
            self.store.save()

    def change_webhooks(self, *, url: str | None = None, secret: str | None = None, **habits: Any) -> None:
        with self.lock:
            self.outbox.url = url or self.outbox.url
            self.outbox.secret = secret or self.outbox.secret
            self.outbox.habits.change(habits)
            self.store.settings["habits"] = vars(self.outbox.habits).copy()
            self.store.save()
            self.outbox.changed.notify_all()

    def reset(self) -> None:
        with self.lock:
            self.store.clear()
            self.faults.clear()
            self._batch.clear()
            self.store.save()

    def request_id(self) -> str:
        return random_id("req_", 14)
