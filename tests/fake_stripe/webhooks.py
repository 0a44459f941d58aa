"""Signed webhooks: sent in order or out of it, once or twice, now or later, and again until answered 2xx."""

import hashlib
import hmac
import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Literal

from tests.fake_stripe.store import Store, random_id
from tests.fake_stripe.wire import JSON, ApiError

TIMEOUT = 15.0
LONGEST_PAUSE = 300.0
GIVE_UP_AFTER = 3 * 24 * 3600.0
Order = Literal["fifo", "reverse", "shuffle"]
Post = Callable[[bytes, dict[str, str]], int]


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """A `Stripe-Signature`: v1 = HMAC-SHA256(secret, "<unix seconds>.<body>"); v0 is a decoy Stripe adds in tests."""
    signed = str(timestamp).encode() + b"." + body
    v1 = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    v0 = hmac.new(b"v0" + secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={v1},v0={v0}"


@dataclass(frozen=True)
class Webhook:
    """One message as it goes over the wire."""

    event: JSON
    body: bytes
    headers: dict[str, str]


@dataclass
class Habits:
    """How the outbox behaves. delay in seconds, repeat = how often each message is sent, hold = wait for release()."""

    delay: float = 0.0
    repeat: int = 1
    order: Order = "fifo"
    hold: bool = False
    at_once: bool = False
    retry_after: float = 1.0

    def change(self, wanted: JSON) -> None:
        for key, value in wanted.items():
            if key not in self.__dataclass_fields__:
                raise KeyError(key)
            setattr(self, key, type(getattr(self, key))(value))


@dataclass
class Outbox:
    store: Store
    url: str | None
    secret: str
    habits: Habits = field(default_factory=Habits)
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    # ---------- in ----------

    def add(self, events: list[JSON]) -> None:
        """Queues the events of one action, in the order that the habits ask for."""
        with self.changed:
            for event in _ordered(events, self.habits.order):
                for _ in range(max(1, self.habits.repeat)):
                    self._queue(event["id"], self.store.now() + self.habits.delay)
            self.changed.notify_all()

    def resend(self, event_id: str, times: int = 1) -> None:
        with self.changed:
            self.store.get("event", event_id)
            for _ in range(times):
                self._queue(event_id, self.store.now(), state="waiting")
            self.changed.notify_all()

    def _queue(self, event_id: str, due: float, state: str | None = None) -> None:
        made = {
            "id": random_id("del_", 12),
            "event": event_id,
            "due": due,
            "first": self.store.now(),
            "attempts": 0,
            "state": state or ("held" if self.habits.hold else "waiting"),
            "status": None,
            "error": None,
        }
        self.store.deliveries.append(made)

    def release(self, order: Order = "fifo", repeat: int = 1) -> int:
        """Lets held messages go, in this order, each `repeat` times. Returns how many."""
        with self.changed:
            held = [one for one in self.store.deliveries if one["state"] == "held"]
            rest = [one for one in self.store.deliveries if one["state"] != "held"]
            free = [dict(one, state="waiting", due=self.store.now()) for one in _ordered(held, order)]
            again = [dict(one, id=random_id("del_", 12)) for one in free for _ in range(repeat)]
            self.store.deliveries = rest + again
            self.changed.notify_all()
            return len(again)

    # ---------- out ----------

    def due(self, now: float) -> list[JSON]:
        with self.changed:
            return [one for one in self.store.deliveries if one["state"] == "waiting" and one["due"] <= now]

    def waiting(self) -> list[JSON]:
        with self.changed:
            return [one for one in self.store.deliveries if one["state"] in {"waiting", "held"}]

    def message(self, delivery: JSON, now: float | None = None) -> Webhook:
        """Signed with the time of sending, as Stripe does for every attempt."""
        event = self.store.get("event", delivery["event"])
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        stamp = int(self.store.now() if now is None else now)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(body, self.secret, stamp),
            "User-Agent": "Stripe/1.0 (simulation)",
        }
        return Webhook(event, body, headers)

    def send(self, delivery: JSON, post: Post) -> int:
        """One attempt. 2xx: delivered. Anything else: again later, twice the pause each time, for three days."""
        error = None
        try:
            message = self.message(delivery)
            status = post(message.body, message.headers)
        except (OSError, HTTPException, ValueError, ApiError) as problem:  # away, confused, no address, event forgotten
            status, error = 0, str(problem)
        with self.changed:
            self._note(delivery, status, error)
            self.store.save()
        return status

    def _note(self, delivery: JSON, status: int, error: str | None) -> None:
        now = self.store.now()
        delivery.update(attempts=delivery["attempts"] + 1, status=status or None, error=error)
        if 200 <= status < 300:
            delivery["state"] = "delivered"
            if event := self.store.tables["event"].get(delivery["event"]):
                event["pending_webhooks"] = 0
        elif now - delivery["first"] > GIVE_UP_AFTER:
            delivery["state"] = "failed"
        else:
            pause = self.habits.retry_after * 2 ** (delivery["attempts"] - 1)
            delivery["due"] = now + min(pause, LONGEST_PAUSE)

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Over the network to the configured address; a redirect counts as a failure, as at Stripe."""
        if not self.url:
            raise OSError("no webhook address set")
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return refusal.code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Sender(threading.Thread):
    """Sends what is due, and lets time pass for the rest of the simulation."""

    def __init__(self, outbox: Outbox, tick: Callable[[], None]) -> None:
        super().__init__(name="stripe-webhooks", daemon=True)
        self.outbox = outbox
        self.tick = tick
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            self.tick()
            due = self.outbox.due(self.outbox.store.now()) if self.outbox.url else []
            if not due:
                self._wait()
            elif self.outbox.habits.at_once:
                self._all_at_once(due)
            else:
                self.outbox.send(due[0], self.outbox.post)

    def _wait(self) -> None:
        with self.outbox.changed:
            now = self.outbox.store.now()
            times = [one["due"] - now for one in self.outbox.waiting() if one["state"] == "waiting"]
            pause = min([1.0, *times]) if self.outbox.url else 1.0
            if pause > 0 and not self.stopping.is_set():
                self.outbox.changed.wait(pause)

    def _all_at_once(self, due: list[JSON]) -> None:
        threads = [threading.Thread(target=self.outbox.send, args=(one, self.outbox.post), daemon=True) for one in due]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT + 5)

    def stop(self) -> None:
        self.stopping.set()
        with self.outbox.changed:
            self.outbox.changed.notify_all()
        self.join(TIMEOUT)


def _ordered(things: list[JSON], order: Order) -> list[JSON]:
    if order == "reverse":
        return things[::-1]
    if order == "shuffle":
        return random.sample(things, len(things))
    return things
