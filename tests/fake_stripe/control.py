"""/_sim/: the simulator's own switches, as JSON for scripts and as a page for people."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from tests.fake_stripe.core import FakeStripe
from tests.fake_stripe.pages import _payer, _state
from tests.fake_stripe.texts import labels, language, money
from tests.fake_stripe.wire import JSON, ApiError, invalid

Told = dict[str, Any]
MOODS: dict[str, JSON] = {  # what the control page offers
    "normal": {"delay": 0, "repeat": 1, "order": "fifo", "hold": False, "at_once": False},
    "late": {"delay": 20, "repeat": 1, "order": "fifo", "hold": False, "at_once": False},
    "twice": {"delay": 0, "repeat": 2, "order": "fifo", "hold": False, "at_once": True},
    "reverse": {"delay": 0, "repeat": 1, "order": "reverse", "hold": False, "at_once": False},
    "hold": {"delay": 0, "repeat": 1, "order": "fifo", "hold": True, "at_once": False},
}


def register(app: Flask, sim: FakeStripe) -> None:
    control = Blueprint("sim", __name__, url_prefix="/_sim")
    for rule, handler in RULES.items():
        control.add_url_rule(rule, handler.__name__, _switch(sim, handler), methods=["POST"])
    control.add_url_rule("/", "panel", lambda: _panel(sim), methods=["GET"])
    control.add_url_rule("/state", "state", lambda: jsonify(_summary(sim)), methods=["GET"])
    control.add_url_rule("/events", "events", lambda: jsonify(sim.events(request.args.get("type"))), methods=["GET"])
    control.add_url_rule("/deliveries", "deliveries", lambda: jsonify(sim.store.deliveries), methods=["GET"])
    app.register_blueprint(control)


def _switch(sim: FakeStripe, handler: Callable[..., Any]) -> Callable[..., AnyResponse]:
    """A form sent from the page leads back to the page; anything else is answered in JSON."""

    def view(**ids: str) -> AnyResponse:
        from_page = request.accept_mimetypes.best == "text/html"
        try:
            made = handler(sim, _told(), **ids)
        except ApiError as error:
            return redirect("/_sim/", 303) if from_page else (_json(error.body, error.status))
        return redirect("/_sim/", 303) if from_page else _json(made, 200)

    return view


def _json(body: Any, status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def _told() -> Told:
    return dict(request.get_json()) if request.is_json else request.form.to_dict()


def _number(told: Told, key: str) -> int | None:
    value = told.get(key)
    return None if value in {None, ""} else int(str(value))


# ---------- what can be switched ----------


def act_on_session(sim: FakeStripe, told: Told, id: str, action: str) -> JSON:
    """pay (method, save, later), decline (outcome), expire, settle, bounce."""
    actions: dict[str, Callable[[], JSON]] = {
        "pay": lambda: sim.pay(
            id, told.get("method", "card"), save=bool(told.get("save")), later=told.get("later", "ok")
        ),
        "decline": lambda: sim.decline(id, told.get("outcome", "generic_decline")),
        "expire": lambda: sim.expire(id),
        "settle": lambda: sim.settle(id),
        "bounce": lambda: sim.bounce(id),
    }
    return _do(actions, action)


def act_on_payment(sim: FakeStripe, told: Told, id: str, action: str) -> JSON:
    """settle, bounce, refund (amount), dispute (amount, reason); amounts in cents."""
    amount = _number(told, "amount")
    actions: dict[str, Callable[[], JSON]] = {
        "settle": lambda: sim.settle(id),
        "bounce": lambda: sim.bounce(id),
        "refund": lambda: sim.refund(id, amount),
        "dispute": lambda: sim.dispute(id, amount, told.get("reason", "fraudulent")),
    }
    return _do(actions, action)


def _do(actions: dict[str, Callable[[], JSON]], action: str) -> JSON:
    if action not in actions:
        raise invalid(f"Unknown action: {action}", param="action")
    return actions[action]()


def close_dispute(sim: FakeStripe, told: Told, id: str) -> JSON:
    return sim.close_dispute(id, told.get("status", "lost"))


def finish_refund(sim: FakeStripe, told: Told, id: str) -> JSON:
    return sim.finish_refund(id, told.get("status", "succeeded"))


def save_method(sim: FakeStripe, told: Told) -> JSON:
    return sim.save_method(told["customer"], told.get("method", "card"), told.get("behaviour", "ok"))


def change_method(sim: FakeStripe, told: Told, id: str) -> JSON:
    """How this saved card or mandate answers from now on."""
    with sim.acting():
        sim.store.get("payment_method", id)
        sim.store.side["behaviour"][id] = told["behaviour"]
    return {"id": id, "behaviour": told["behaviour"]}


def change_webhooks(sim: FakeStripe, told: Told) -> JSON:
    """url, secret, delay (seconds), repeat, order (fifo|reverse|shuffle), hold, at_once, retry_after; or one `mood`."""
    wanted = MOODS[told["mood"]] if "mood" in told else told
    known = {"url", "secret", *vars(sim.outbox.habits)}
    sim.change_webhooks(**{key: value for key, value in wanted.items() if key in known})
    if not sim.outbox.habits.hold:
        sim.outbox.release()
    return vars(sim.outbox.habits).copy()


def release(sim: FakeStripe, told: Told) -> JSON:
    return {"released": sim.outbox.release(told.get("order", "fifo"), _number(told, "repeat") or 1)}


def resend(sim: FakeStripe, told: Told, id: str) -> JSON:
    sim.outbox.resend(id, _number(told, "times") or 1)
    return {"event": id}


def fail_next(sim: FakeStripe, told: Told) -> JSON:
    """status (0 = connection breaks), when (before|after), times, path, delay (seconds)."""
    sim.fail_next(
        int(told.get("status", 500)),
        when=told.get("when", "before"),
        times=_number(told, "times") or 1,
        path=told.get("path", ""),
        delay=float(told.get("delay", 0)),
    )
    return {"faults": len(sim.faults)}


def reset(sim: FakeStripe, told: Told) -> JSON:
    sim.reset()
    return {}


RULES: dict[str, Callable[..., Any]] = {
    "/sessions/<id>/<action>": act_on_session,
    "/payments/<id>/<action>": act_on_payment,
    "/disputes/<id>/close": close_dispute,
    "/refunds/<id>/finish": finish_refund,
    "/payment_methods": save_method,
    "/payment_methods/<id>": change_method,
    "/webhooks": change_webhooks,
    "/deliveries/release": release,
    "/events/<id>/resend": resend,
    "/faults": fail_next,
    "/reset": reset,
}


# ---------- the page ----------


def _summary(sim: FakeStripe) -> JSON:
    with sim.lock:
        states = [one["state"] for one in sim.store.deliveries]
        return {
            "webhook_url": sim.outbox.url,
            "habits": vars(sim.outbox.habits),
            "objects": {kind: len(table) for kind, table in sim.store.tables.items()},
            "deliveries": {state: states.count(state) for state in sorted(set(states))},
            "settle_after": sim.payments.settle_after,
        }


def _panel(sim: FakeStripe) -> str:
    sim.tick()
    lang = language(None, request.accept_languages.best)
    habits = vars(sim.outbox.habits)
    moods = [name for name, mood in MOODS.items() if all(habits[key] == value for key, value in mood.items())]
    return render_template(
        "fake_stripe/panel.html",
        t=labels(lang),
        lang=lang,
        sessions=[_row(sim, one, lang) for one in sim.all("checkout.session")[:-21:-1]],
        payments=[_payment(sim, one, lang) for one in sim.all("charge")[:-21:-1]],
        disputes=[one for one in sim.all("dispute") if one["status"] not in {"won", "lost"}],
        deliveries=_deliveries(sim),
        moods=MOODS,
        mood=moods[0] if moods else None,
        url=sim.outbox.url,
        held=sum(one["state"] == "held" for one in sim.store.deliveries),
    )


def _row(sim: FakeStripe, session: JSON, lang: str) -> JSON:
    amount = money(session["amount_total"], session["currency"], lang)
    return {"id": session["id"], "state": _state(sim, session), "amount": amount, "payer": _payer(sim, session)}


def _payment(sim: FakeStripe, charge: JSON, lang: str) -> JSON:
    shown = {key: charge[key] for key in ("id", "status", "disputed", "refunded", "payment_intent")}
    back = charge["amount_refunded"]
    return {
        **shown,
        "amount": money(charge["amount"], charge["currency"], lang),
        "back": back and money(back, "eur", lang),
    }


def _deliveries(sim: FakeStripe) -> list[JSON]:
    with sim.lock:
        latest = sim.store.deliveries[:-31:-1]
        return [{**one, "type": sim.store.tables["event"].get(one["event"], {}).get("type", "")} for one in latest]
