"""What the simulator remembers: Stripe's objects by kind and id, oldest first, kept in one JSON file if asked."""

import json
import secrets
import string
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.fake_stripe.blanks import BLANKS
from tests.fake_stripe.wire import JSON, invalid, missing

PREFIXES = {
    "checkout.session": "cs_test_",
    "payment_intent": "pi_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "dp_",
    "setup_intent": "seti_",
    "payment_method": "pm_",
    "customer": "cus_",
    "event": "evt_",
    "item": "li_",
}
# a charge and a refund of a SEPA debit have prefixes of their own, as at Stripe
KINDS = {prefix: kind for kind, prefix in PREFIXES.items()} | {"py_": "charge", "pyr_": "refund", "du_": "dispute"}
LETTERS = string.ascii_letters + string.digits
EVENTS_KEPT = 1000


def random_id(prefix: str, length: int = 24) -> str:
    return prefix + "".join(secrets.choice(LETTERS) for _ in range(length))


def kind_of(id: str) -> str | None:
    found = [kind for prefix, kind in KINDS.items() if id.startswith(prefix)]
    return found[0] if found else None


class Store:
    """All objects. `side` holds what Stripe keeps to itself: line items, answers by key, behaviour of cards."""

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self.path = path
        self.now = now
        self.tables: dict[str, dict[str, JSON]] = {kind: {} for kind in BLANKS}
        self.side: dict[str, Any] = _nothing_beside()
        self.fresh: list[tuple[str, str]] = []  # made by the action that is going on
        self.deliveries: list[JSON] = []
        self.settings: JSON = {}
        if path is not None and path.exists():
            self._load(json.loads(path.read_text(encoding="utf-8")))

    # ---------- one object ----------

    def new(self, kind: str, *, prefix: str | None = None, id: str | None = None, **fields: Any) -> JSON:
        blank = BLANKS[kind]
        if unknown := set(fields) - set(blank) - {"card", "sepa_debit", "presentment_details", "line_items"}:
            raise KeyError(f"{kind} has no {unknown}")
        id = id or random_id(prefix or PREFIXES[kind], 58 if kind == "checkout.session" else 24)
        made: JSON = {"id": id, "object": kind, **deepcopy(blank), **fields}
        if kind != "item":
            made["created"] = int(self.now())
        self.tables[kind][id] = made
        self.fresh.append((kind, id))
        return made

    def get(self, kind: str, id: str, param: str = "id") -> JSON:
        """The stored object itself, to be changed in place; ApiError 404 `resource_missing` if there is none."""
        found = self.tables[kind].get(id)
        if found is None:
            raise missing(kind, id, param)
        return found

    def all(self, kind: str, **same: Any) -> list[JSON]:
        return [one for one in self.tables[kind].values() if all(one.get(k) == v for k, v in same.items())]

    # ---------- lists ----------

    def page(
        self, kind: str, url: str, params: JSON, keep: Callable[[JSON], bool] = bool, /, **same: str | None
    ) -> JSON:
        """A list as Stripe answers it: newest first, `limit`, `starting_after`, `ending_before`, `created[gte]` …"""
        wanted = {key: value for key, value in same.items() if value is not None}
        found = [one for one in reversed(self.all(kind, **wanted)) if _in_range(one["created"], params.get("created"))]
        return self.envelope([one for one in found if keep(one)], url, params)

    def envelope(self, found: list[JSON], url: str, params: JSON) -> JSON:
        limit = params.get("limit", 10)
        if not 1 <= limit <= 100:
            raise invalid("Invalid limit: must be between 1 and 100", param="limit", code="parameter_invalid_integer")
        ids = [one["id"] for one in found]
        if before := params.get("ending_before"):
            part = found[: _place(ids, before, "ending_before")]
            data, more = part[-limit:], len(part) > limit
        else:
            after = params.get("starting_after")
            part = found[_place(ids, after, "starting_after") + 1 :] if after else found
            data, more = part[:limit], len(part) > limit
        return {"object": "list", "data": data, "has_more": more, "url": url}

    # ---------- expand[]=payment_intent.latest_charge ----------

    def expanded(self, obj: JSON, paths: list[str]) -> JSON:
        """A copy to send out, with ids along `paths` replaced by what they name."""
        copy = deepcopy(obj)
        for path in paths:
            if path.count(".") >= 4:
                raise invalid(f"You cannot expand more than 4 levels of a property. Property: {path}", param="expand")
            self._expand(copy, path.split("."), path)
        return copy

    def _expand(self, at: Any, steps: list[str], path: str) -> None:
        if isinstance(at, list):
            for one in at:
                self._expand(one, steps, path)
            return
        if not steps or at is None:
            return
        step = steps[0]
        if step not in at and not (extra := self._includable(at, step)):
            raise invalid(f"This property cannot be expanded ({step}).", param="expand")
        if step not in at:
            at[step] = extra
        elif isinstance(at[step], str):
            at[step] = deepcopy(self._named(at[step], path))
        self._expand(at[step], steps[1:], path)

    def _includable(self, at: JSON, step: str) -> JSON | None:
        if at.get("object") == "checkout.session" and step == "line_items":
            return self.lines(at["id"])
        if at.get("object") == "charge" and step == "refunds":
            url = f"/v1/charges/{at['id']}/refunds"
            return deepcopy(self.page("refund", url, {"limit": 100}, charge=at["id"]))
        return None

    def lines(self, session_id: str) -> JSON:
        items = deepcopy(self.side["lines"].get(session_id, []))
        return {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/checkout/sessions/{session_id}/line_items",
        }

    def _named(self, id: str, path: str) -> JSON:
        kind = kind_of(id)
        if kind is None:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        return self.get(kind, id)

    # ---------- the file ----------

    def save(self) -> None:
        if self.path is None:
            return
        self._forget()
        kept = {key: getattr(self, key) for key in ("tables", "side", "deliveries", "settings")}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        beside.replace(self.path)  # a crash leaves the old file or the new one, never half of it

    def _forget(self) -> None:
        """Old events, their deliveries and answers to keys of yesterday: the file is written after every action."""
        events = self.tables["event"]
        for old in list(events)[: max(0, len(events) - EVENTS_KEPT)]:
            del events[old]
        done = [one for one in self.deliveries if one["state"] in {"delivered", "failed"}]
        gone = {one["id"] for one in done[: max(0, len(done) - EVENTS_KEPT)]}
        self.deliveries = [one for one in self.deliveries if one["event"] in events and one["id"] not in gone]
        fresh = self.now() - 24 * 3600
        self.side["answers"] = {key: one for key, one in self.side["answers"].items() if one["at"] > fresh}

    def _load(self, kept: JSON) -> None:
        self.tables.update(kept["tables"])
        self.side.update(kept["side"])
        self.deliveries = kept["deliveries"]
        self.settings = kept["settings"]

    def clear(self) -> None:
        self.tables = {kind: {} for kind in BLANKS}
        self.side = _nothing_beside()
        self.deliveries = []


def _place(ids: list[str], id: str, param: str) -> int:
    if id not in ids:
        raise missing("object", id, param)
    return ids.index(id)


def _in_range(created: int, wanted: int | JSON | None) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return created == wanted
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    return all(tests[key](created, int(bound)) for key, bound in wanted.items())


def _nothing_beside() -> JSON:
    return {"lines": {}, "intent_data": {}, "answers": {}, "behaviour": {}, "settle_at": {}}
